"""What a resolution must say: the newest event of a notification may ask for a shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from eventctl.errors import UsageError
from eventctl.notification import Notification
from eventctl.store import Keys, Store

_SHAPES: dict[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float": (int, float), "bool": (bool,), "list": (list,), "dict": (dict,), "object": (dict,),
}  # fmt: skip


def asked_shape(store: Store, row: Notification) -> dict[str, str]:
    """What the newest event of a notification asks of a resolution: field -> a shape, with `?` for one that may be left out."""
    record = store.snapshot(Keys(records=[row.seq])).records.get(row.seq)
    shape: dict[str, str] | None = orjson.loads(record.body).get("resolution_shape") if record is not None else None
    return shape or {}


def fits(wanted: str, value: object) -> bool:
    """Whether a value has the shape; None stands for one that is left out. Words that are no shape count as any."""
    if value is None:
        return wanted.endswith("?")
    kind = wanted.removesuffix("?")
    if kind not in _SHAPES:
        return True
    return isinstance(value, _SHAPES[kind]) and (kind == "bool" or not isinstance(value, bool))


def check_resolution(store: Store, row: Notification, resolution: Mapping[str, Any]) -> None:
    """Raise `UsageError` unless the resolution has what the newest event asks for."""
    for name, wanted in asked_shape(store, row).items():
        value = resolution.get(name)
        if fits(wanted, value):
            continue
        if value is None:
            raise UsageError(f"a resolution of n{row.id} has a {name!r} ({wanted})", hint=_shown(row))
        raise UsageError(f"{name!r} of a resolution of n{row.id} is a {wanted.removesuffix('?')}", hint=_shown(row))


def _shown(row: Notification) -> str:
    return f"`eventctl log show e{row.seq}` has the shape that it asks for, under resolution_shape"
