"""Is this the same occurrence again? A key of 16 bytes says so, within the window that the type declares.

What makes an occurrence is the type's business: its identity fields win. A type that declares none leaves it to the sender's own
`idempotency_key`, which counts for that sender and that type only, so that nobody can take another's.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import orjson

from eventctl.lives import pick

if TYPE_CHECKING:
    from eventctl.catalog import EventType


def identity_prefix(name: str) -> bytes:
    """What stands before the values: the scope and the type. JSON ends where it ends, so no two pairs run together."""
    return orjson.dumps(["type", name])


def occurrence_key(entry: EventType, data: Mapping[str, Any], principal: str) -> tuple[bytes | None, str | None]:
    """(key, None); or (None, the identity field that the payload lacks); or (None, None) when nothing makes an occurrence.

    `data` is the whole envelope, `principal` who brought it in. A lacking field never stands for a value: two events without it
    have nothing in common.
    """
    if entry.identity:
        payload = data.get("payload") or {}
        values = [payload.get(path[0]) if len(path) == 1 else pick(payload, path) for path in entry.identity_paths]
        if None in values:
            return None, entry.identity[values.index(None)]
        return blake2b(entry.prefix + orjson.dumps(values, option=orjson.OPT_SORT_KEYS), digest_size=16).digest(), None
    own = data.get("idempotency_key")
    if own is None:
        return None, None
    return blake2b(orjson.dumps(["key", principal, entry.type, own]), digest_size=16).digest(), None
