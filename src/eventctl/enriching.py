"""What is declared as enrichment, and what plugins bring of it, becomes the stage that does it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from eventctl import patterns
from eventctl.contracts import Enricher
from eventctl.enrichments import EnrichmentSettings
from eventctl.errors import Problem
from eventctl.event import Event
from eventctl.lookups import VALUE_MAX, Table
from eventctl.plugins import enrich
from eventctl.suggest import at
from eventctl.system.enrichers import Enrichers, History, Lookup, Plugged, Said

Declared = tuple[str, str, Mapping[str, EnrichmentSettings]]
"""A file, the domain that it is of ("" for the workspace), and what it declares."""


def enrichers(
    root: Path, declared: Iterable[Declared], plugged: Iterable[Enricher], *, budget_us: int
) -> tuple[Enrichers | None, list[Problem]]:
    """The stage, or None where nothing is declared; and what is wrong. A table with a mistake gives nothing until it is mended."""
    lookups: list[Lookup] = []
    histories: list[History] = []
    brought: list[Plugged] = []
    problems: list[Problem] = []
    taken: dict[tuple[str, str], str] = {}
    for file, domain, tables in declared:
        for name, enrichment in tables.items():
            where, slot = at(file, ("enrichment", name)), enrichment.annotates
            other = taken.get((slot, "")) or taken.get((slot, domain))
            if other is not None:
                problems.append(Problem(where, f"annotates {slot!r}, which {other} does already", "choose another slot"))
                continue
            taken[slot, domain] = where
            if enrichment.history is not None:
                history = enrichment.history
                histories.append(History(name, slot, enrichment.consumes, history, enrichment.within, domain))
                continue
            lookup = _lookup(root, name, enrichment, domain)
            lookups.append(lookup)
            lookup.table.look()
            if lookup.table.trouble is not None:
                key, what, hint = lookup.table.trouble
                problems.append(Problem(f"{where}.{key}", what, hint))
    for enricher in plugged:
        mistakes = list(_mistakes(enricher, taken))
        problems += mistakes
        if not mistakes:
            brought.append(Plugged(enricher.name, tuple(enricher.consumes), partial(_ask, enricher)))
    if not (lookups or histories or brought):
        return None, problems
    return Enrichers(lookups, histories, brought, budget=budget_us * 1_000, clock=time.perf_counter_ns), problems


def _lookup(root: Path, name: str, enrichment: EnrichmentSettings, domain: str) -> Lookup:
    table = Table(root, enrichment.table, enrichment.key, enrichment.columns)
    return Lookup(name, enrichment.annotates, enrichment.consumes, tuple(enrichment.from_.split(".")), table, domain)


def _mistakes(enricher: Enricher, taken: Mapping[tuple[str, str], str]) -> Iterator[Problem]:
    where = f"enricher {enricher.name}"
    other = next((said for (slot, _), said in taken.items() if slot == enricher.name), None)
    if other is not None:
        yield Problem(where, f"annotates {enricher.name!r}, which {other} does already", "choose another slot there")
    for pattern in enricher.consumes:
        try:
            patterns.check(pattern)
        except ValueError as error:
            yield Problem(where, str(error))


def _ask(enricher: Enricher, events: Sequence[Event]) -> Said:
    values, error = enrich(enricher, events, VALUE_MAX)
    return Said(values, error)
