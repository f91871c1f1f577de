"""What came in that nobody declared: unknown types, and payloads that have drifted from what is declared of theirs.

All of it is found when somebody asks, from the log's index by type and the newest events of each type. Nothing is kept and no
event pays for it: a fold in the pipeline would cost every event what a person wants to know once a week.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from eventctl.drift import Drift, drifts
from eventctl.inference import NOTHING, Shape, merge, observe, schema
from eventctl.patterns import matches
from eventctl.views import LogFilter

if TYPE_CHECKING:
    from eventctl.catalog import Catalog
    from eventctl.declared import Declared
    from eventctl.store import LogRow
    from eventctl.views import TypeSeen, Views

SAMPLE = 1_000
"""Newest events that a schema is inferred from. A field that one event in a hundred has is missed once in 20,000 times."""

GLANCE = 200
"""The same where many types are listed: a hundred types take half a second."""

SAMPLE_BYTES = 8 << 20
TYPES_MAX = 10_000
"""Types that are counted. Senders choose their names, so there is an end to them."""

EXAMPLES = 3
SOURCES = 10
DRIFTS_MAX = 50
_PAGE = 100


class Drifted(NamedTuple):
    """One difference from the declaration: in how many of the events looked at, and seqs of the newest of them."""

    field: str
    what: str
    events: int
    examples: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Discovery:
    """A type that is not declared, or whose events are not as declared.

    `count`, `first_at` and `last_at` (microseconds) are of all events in the log that were asked about; `sources` (name, events),
    `drift` and `shape` of the `sampled` newest; `examples` are seqs, newest first.
    """

    type: str
    declared: bool
    count: int
    first_at: int
    last_at: int
    examples: tuple[int, ...]
    sources: tuple[tuple[str, int], ...]
    sampled: int
    drift: tuple[Drifted, ...]
    shape: Shape

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema that all payloads looked at fit."""
        return schema(self.shape, self.sampled)


class Found(NamedTuple):
    """Discoveries, the most frequent first, and how many more there are than were asked for."""

    items: list[Discovery]
    more: int


def discover(
    views: Views, catalog: Catalog, *, pattern: str = "**", since: int | None = None, drift: bool = False, limit: int = 50
) -> Found:
    """The undeclared types that `pattern` chooses (none of them with `drift`), and the declared ones that have drifted."""
    seen = [each for each in views.types_seen(limit=TYPES_MAX, since=since) if matches(pattern, each.type)]
    items: list[Discovery] = []
    more = 0
    for each in seen:
        if not catalog.declared(each.type):
            if drift:
                continue
            if len(items) >= limit:
                more += 1
                continue
        elif not _says_something(catalog, each.type):
            continue
        found = _look(views, catalog, each, GLANCE)
        if found.declared and not found.drift:
            continue
        if len(items) >= limit:
            more += 1
        else:
            items.append(found)
    return Found(items, more)


def look(views: Views, catalog: Catalog, name: str, *, since: int | None = None) -> Discovery | None:
    """Everything about one type, declared or not; None when none of its events are in the log."""
    seen = views.types_seen(limit=1, since=since, only=name)
    return _look(views, catalog, seen[0], SAMPLE) if seen else None


def undeclared(views: Views, declared: Declared) -> list[str]:
    """The names of types in the log that nobody declares. Costs a look for each type, not for each event."""
    return [name for name in views.type_names(limit=TYPES_MAX) if not declared.declared(name)]


def _says_something(catalog: Catalog, name: str) -> bool:
    entry = catalog.entry(name)
    return bool(entry.payload) or entry.schema is not None


def _look(views: Views, catalog: Catalog, seen: TypeSeen, sample: int) -> Discovery:
    declared = catalog.declared(seen.type)
    wanted = catalog.payload_schema(seen.type) if declared and _says_something(catalog, seen.type) else {}
    table = catalog.entry(seen.type).payload
    shape = NOTHING
    sources: Counter[str] = Counter()
    examples: list[int] = []
    differing: dict[Drift, list[int]] = {}
    for row in _newest(views, seen, sample):
        payload = orjson.loads(row.body).get("payload") or {}
        sources[row.source] += 1
        examples += [row.seq] if len(examples) < EXAMPLES else []
        shape = merge(shape, observe(payload))
        for drift in set(drifts(wanted, _without_null(payload, table))) if wanted else ():
            if drift in differing or len(differing) < DRIFTS_MAX:
                differing.setdefault(drift, []).append(row.seq)
    drifted = [Drifted(*drift, len(seqs), tuple(seqs[:EXAMPLES])) for drift, seqs in differing.items()]
    if drifted:
        examples = sorted({seq for each in drifted for seq in each.examples}, reverse=True)[:EXAMPLES]
    return Discovery(
        type=seen.type,
        declared=declared,
        count=seen.events,
        first_at=_moment(views, seen.oldest),
        last_at=_moment(views, seen.newest),
        examples=tuple(examples),
        sources=tuple(sorted(sources.items(), key=lambda each: (-each[1], each[0]))[:SOURCES]),
        sampled=sources.total(),
        drift=tuple(sorted(drifted, key=lambda each: (-each.events, each.field, each.what))),
        shape=shape,
    )


def _newest(views: Views, seen: TypeSeen, limit: int) -> Iterator[LogRow]:
    """The newest events of a type, page by page: a few hundred large ones must not stand in memory together."""
    want = LogFilter(types=(seen.type,), kinds=("event",))
    before = seen.newest + 1
    limit = min(limit, seen.events)
    size = 0
    while limit > 0 and size < SAMPLE_BYTES:
        rows: Sequence[LogRow] = views.log(want, limit=min(limit, _PAGE), before=before)
        if not rows:  # trimmed in between
            return
        yield from rows
        size += sum(len(row.body) for row in rows)
        limit -= len(rows)
        before = rows[-1].seq


def _without_null(payload: dict[str, Any], table: Mapping[str, str]) -> dict[str, Any]:
    """The payload as a table of fields reads it: null is absent there, as it is to trust. A JSON Schema says itself what null is."""
    if not table or None not in payload.values():
        return payload
    return {name: value for name, value in payload.items() if value is not None or table.get(name, "").startswith("any")}


def _moment(views: Views, seq: int) -> int:
    row = views.record(seq)
    return 0 if row is None else row.at
