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


def check_resolution(store: Store, row: Notification, resolution: Mapping[str, Any]) -> None:
    """The newest event may say what a resolution has: field -> a shape, `?` for one that may be left out. Words count as any."""
    record = store.snapshot(Keys(records=[row.seq])).records.get(row.seq)
    shape = orjson.loads(record.body).get("resolution_shape") if record is not None else None
    for name, wanted in (shape or {}).items():
        kind = wanted.removesuffix("?")
        value = resolution.get(name)
        if value is None:
            if not wanted.endswith("?"):
                raise UsageError(f"a resolution of n{row.id} has a {name!r} ({wanted})", hint=_shown(row))
        elif kind in _SHAPES and (not isinstance(value, _SHAPES[kind]) or (isinstance(value, bool) and kind != "bool")):
            raise UsageError(f"{name!r} of a resolution of n{row.id} is a {kind}", hint=_shown(row))


def _shown(row: Notification) -> str:
    return f"`eventctl log show e{row.seq}` has the shape that it asks for, under resolution_shape"
