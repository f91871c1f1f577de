"""One event on its way through one pipeline: its record, its route, and what earlier runs of it have left to remember."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson

from eventctl.catalog import Catalog
from eventctl.event import SCHEMA_VERSION, Event
from eventctl.plan import ENTITY, Cartridge, Route
from eventctl.store import LogRow
from eventctl.times import iso

TIMER = "timer.due"

KEY_MAX = 512
KEY_SHOWN = 200
"""Characters of a key of state: senders choose what it holds, and it stands in an index."""


@dataclass(slots=True)
class Notes:
    """What must survive between the runs of an event that is not finished. Kept as state of the pipeline itself.

    `attempts` counts failed runs by cartridge, `dead` names those that were given up, with the reason. `calls` are the ids of calls
    by cartridge, version and number, `waits` those without an answer. `only` limits a run to these cartridges (the others
    are done), `released` are let past their own quarantine, `failed` were dead before a person had this tried again. `round`
    counts such retries: each makes failed calls anew.

    Where all are leaves (`dag.leaves`), `left` are those that are not done, each with the reason: who raised has a time in `due`
    (microseconds), who waits its calls in `asked`, anybody else is behind an earlier event. `ended` is who dropped or held it, and why.
    """

    attempts: dict[str, int] = field(default_factory=dict)
    dead: dict[str, str] = field(default_factory=dict)
    calls: dict[str, str] = field(default_factory=dict)
    waits: list[str] = field(default_factory=list)
    only: list[str] | None = None
    released: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    round: int = 0
    left: dict[str, str] | None = None
    due: dict[str, int] = field(default_factory=dict)
    asked: dict[str, list[str]] = field(default_factory=dict)
    ended: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Notes:
        """Notes as `kept` gave them."""
        return cls(**kept)

    def kept(self) -> dict[str, Any]:
        """What is worth keeping, as JSON; empty when nothing is."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in values.items() if value or (name == "only" and value is not None)}


@dataclass(slots=True)
class Case:
    """An event and where it stands: `pos` in the feed. `state_key`, when a timer brought it, is the key that it was set under."""

    record: LogRow
    route: Route
    pos: int
    notes: Notes
    state_key: str | None = None

    def event(self, catalog: Catalog) -> Event:
        """The event for one reader, who may do with it as they like."""
        return as_event(self.record, catalog)

    def key_of(self, cartridge: Cartridge, catalog: Catalog) -> str:
        """What a cartridge's state is addressed by here."""
        if self.state_key is not None:
            return self.state_key
        if cartridge.key == ENTITY:
            return self.record.entity or ""
        event = self.event(catalog)
        return state_key(event.data, event.domain, cartridge.key)


def as_event(record: LogRow, catalog: Catalog) -> Event:
    """A record as an event, with what the catalog says where it says nothing."""
    defaults = catalog.entry(record.type).defaults
    return Event(record.body, seq=record.seq, at=record.at, principal=record.principal, defaults=defaults)


def state_key(data: Mapping[str, Any], domain: str, fields: Sequence[str]) -> str:
    """What state is addressed by, given an event's fields and its domain: the value of one field, the values of several, or "".

    A single text stands as it is and absent is ""; everything else is JSON, so that two lists of values never look alike. What is
    longer than 512 characters goes by its beginning and a hash.
    """
    values = [_field(data, domain, name) for name in fields]
    if len(values) == 1 and (values[0] is None or isinstance(values[0], str)):
        key = values[0] or ""
    else:
        found: Any = values[0] if len(values) == 1 else values
        key = orjson.dumps(found, option=orjson.OPT_SORT_KEYS).decode() if values else ""
    return key if len(key) <= KEY_MAX else f"{key[:KEY_SHOWN]}#{sha256(key.encode()).hexdigest()}"


def _field(data: Mapping[str, Any], domain: str, name: str) -> Any:
    if name == "domain":
        return domain
    value: Any = data
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def timer_body(record: LogRow, state_key: str, body: Mapping[str, Any]) -> bytes:
    """What a timer carries: what its cartridge said, and where it said so."""
    about = {"entity": record.entity, "state": state_key, "hops": record.hops, "body": body}
    return orjson.dumps(about)


def timer_case(record: LogRow, route: Route, pos: int, notes: Notes) -> Case:
    """The record of a due timer as an event of type `timer.due`, about the entity and with the state of the run that set it."""
    said = orjson.loads(record.body)
    about = said["body"]
    envelope = {
        "id": record.id,
        "event": TIMER,
        "version": SCHEMA_VERSION,
        "source": record.source,
        "timestamp": iso(record.at),
        "entity": about["entity"],
        "payload": {"key": said["key"], "body": about["body"]},
        "hops": about["hops"],
    }
    seen = record._replace(body=orjson.dumps(envelope), entity=about["entity"], hops=about["hops"])
    return Case(seen, route, pos, notes, state_key=about["state"])


def timer_owner(record: LogRow, pipeline: str) -> str:
    """The id of the cartridge whose timer came due."""
    owner: str = orjson.loads(record.body)["owner"]
    return owner.removeprefix(f"{pipeline}/")
