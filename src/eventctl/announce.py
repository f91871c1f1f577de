"""Events that the platform itself brings in: a strike, a full disk, a clock that jumped.

They go through the log and the pipeline like everybody else's. Their source is `eventctl`, their principal `system:<part>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from eventctl.event import SCHEMA_VERSION
from eventctl.ids import uuid7
from eventctl.store import Record
from eventctl.times import iso

SOURCE = "eventctl"


def announce(
    event: str,
    payload: Mapping[str, Any],
    *,
    now: int,
    by: str,
    entity: str | None = None,
    description: str = "",
    caused_by: int | None = None,
    hops: int = 0,
    id_: str = "",
) -> Record:
    """An event of the platform, ready to be appended or committed. `by` is the part that speaks, `now` microseconds.

    `id_` is for what may be said twice and is to be heard once.
    """
    id_ = id_ or uuid7(now)
    fields: dict[str, Any] = {
        "id": id_,
        "event": event,
        "version": SCHEMA_VERSION,
        "source": SOURCE,
        "timestamp": iso(now),
        "payload": dict(payload),
    }
    if entity is not None:
        fields["entity"] = entity
    if description:
        fields["description"] = description
    if hops:
        fields["hops"] = hops
    return Record("event", SOURCE, id_, event, orjson.dumps(fields), f"system:{by}", now, entity, caused_by, hops)
