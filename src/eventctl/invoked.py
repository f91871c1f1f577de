"""How often cartridges ran and how long they took: told once a minute, added up for good, and once a reason to suggest more.

What is told is `cartridge.invoked`, one event for each that ran. Cartridges are not counted while they hear of that. What they emit
then is counted, but each telling stands one hop behind what it counts, and hops have an end: nobody is kept busy by being counted.
What is added up stands in a row of state for each (`totals.py`), written with the telling and when the engine comes to rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from eventctl import totals
from eventctl.advance import Pipeline
from eventctl.announce import announce
from eventctl.dag.run import INVOKED, Invocations
from eventctl.dag_pipeline import DagPipeline
from eventctl.event import HOPS_MAX
from eventctl.plan import Cartridge
from eventctl.store import Operations, Record, StateRow, Store
from eventctl.times import MINUTE, SECOND, iso
from eventctl.totals import NOTHING, Totals

EVERY = MINUTE
SAVED_S = 5.0
"""How often totals are written while cartridges run: so old is what `cartridge graph` shows at most, and so much a crash forgets."""

PROMOTABLE = "system.cartridge.promotable"
_OWN = ("personal/", "company/domains/", "installed:member:", "installed:domain:")
"""How the units begin that may be promoted; what is in the library already may not."""


class Counting:
    """Adds up what pipelines count. From `promote_after` runs on, a member's or a domain's cartridge is suggested to more people, once.

    0 suggests nothing.
    """

    def __init__(self, promote_after: int = 0) -> None:
        self._promote_after = promote_after
        self._added: dict[tuple[str, str], Totals] = {}
        self._since, self._told_s, self._saved_s = 0, 0.0, 0.0

    def begin(self, now: int, monotonic_s: float) -> None:
        """Time is counted from here."""
        self._since, self._told_s, self._saved_s = now, monotonic_s, monotonic_s

    def work(self, store: Store, pipelines: Sequence[Pipeline], now: int, monotonic_s: float) -> int:
        """Tell or save when it is time for that and anything ran; how many records that took."""
        if (monotonic_s - self._told_s) * SECOND >= EVERY:
            told = self._tell(store, pipelines, self._since, now)
            self.begin(now, monotonic_s)
            return told
        if monotonic_s - self._saved_s < SAVED_S:
            return 0
        self._saved_s = monotonic_s
        return self.save(store, pipelines, now)

    def _tell(self, store: Store, pipelines: Sequence[Pipeline], since: int, now: int) -> int:
        """Say what was counted from `since` until now, and count anew."""
        records = [
            _record(pipeline, cartridge, counted, since, now)
            for pipeline, cartridge, counted in _counted(pipelines)
            if counted.hops < HOPS_MAX
        ]
        told = self.save(store, pipelines, now, records)
        for pipeline in _dags(pipelines):
            pipeline.invocations.clear()
        self._added.clear()
        return told

    def save(self, store: Store, pipelines: Sequence[Pipeline], now: int, records: Sequence[Record] = ()) -> int:
        """Add what is new to the totals, in one commit with these records; how many records were written."""
        so_far = {(pipeline.name, name): _totals(counted, now) for pipeline, name, counted in _counted(pipelines)}
        new = {key: ran for key, ran in so_far.items() if ran.calls != self._added.get(key, NOTHING).calls}
        known = totals.read(store, new) if new else {}
        states: list[StateRow] = []
        suggested: list[Record] = []
        running = {pipeline.name: pipeline.plan for pipeline in _dags(pipelines)}
        for (name, id_), ran in new.items():
            whole = known.get((name, id_), NOTHING).plus(_since(ran, self._added.get((name, id_), NOTHING)))
            cartridge = running[name].get(id_)
            if cartridge is not None and self._may_be_more(cartridge, whole):
                suggested.append(_suggestion(name, cartridge, whole, now))
                whole = whole._replace(suggested=True)
            states.append(totals.row(name, id_, whole))
        if records or states:
            store.commit(Operations(records=[*records, *suggested], states=states))
        self._added = so_far
        return len(records) + len(suggested)

    def _may_be_more(self, cartridge: Cartridge, whole: Totals) -> bool:
        due = 0 < self._promote_after <= whole.calls and not whole.suggested
        return due and cartridge.unit.startswith(_OWN)


def _dags(pipelines: Sequence[Pipeline]) -> list[DagPipeline]:
    return [pipeline for pipeline in pipelines if isinstance(pipeline, DagPipeline)]


def _counted(pipelines: Sequence[Pipeline]) -> Iterator[tuple[DagPipeline, str, Invocations]]:
    for pipeline in _dags(pipelines):
        for cartridge, counted in pipeline.invocations.items():
            yield pipeline, cartridge, counted


def _totals(counted: Invocations, now: int) -> Totals:
    ran = Totals(counted.calls, counted.errors, counted.total_ns, counted.max_ns, boxes=tuple(counted.boxes))
    return ran._replace(since=counted.first or now, last=counted.last or now)


def _since(ran: Totals, added: Totals) -> Totals:
    """What was counted after so much of it had been added."""
    boxes = tuple(all_ - before for all_, before in zip(ran.boxes, added.boxes, strict=True))
    return ran._replace(
        calls=ran.calls - added.calls, errors=ran.errors - added.errors, total_ns=ran.total_ns - added.total_ns, boxes=boxes
    )


def _suggestion(pipeline: str, cartridge: Cartridge, whole: Totals, now: int) -> Record:
    owner, _, id_ = cartridge.id.rpartition("/")
    of = owner or pipeline.removeprefix("domain:")
    wrong = {0: "without an error", 1: "with 1 error"}.get(whole.errors, f"with {whole.errors:,} errors")
    to = _upward(cartridge) if owner else "library"
    said = f"{id_} of {of} has run {whole.calls:,} times {wrong}: `eventctl cartridge promote {id_} --to {to}`"
    facts = {"pipeline": pipeline, "cartridge": cartridge.id, "calls": whole.calls, "errors": whole.errors, "to": to}
    return announce(
        PROMOTABLE, facts, now=now, by="runner", entity=id_, description=said, id_=f"promotable:{pipeline}/{cartridge.id}"
    )


def _upward(cartridge: Cartridge) -> str:
    """The domain whose events a member's cartridge takes; "domain:NAME" where that is not plain."""
    parts = [pattern.split(".") for pattern in cartridge.consumes]
    domains = {part[1] for part in parts if part[0] == "domain" and len(part) > 1 and "*" not in part[1]}
    return f"domain:{domains.pop()}" if len(domains) == 1 else "domain:NAME"


def _record(pipeline: DagPipeline, cartridge: str, counted: Invocations, since: int, now: int) -> Record:
    facts = {
        "pipeline": pipeline.name,
        "cartridge": cartridge,
        "since": iso(since),
        "calls": counted.calls,
        "errors": counted.errors,
        "total_ms": round(counted.total_ns / 1e6, 3),
        "max_ms": round(counted.max_ns / 1e6, 3),
        "over_budget": counted.over,
    }
    return announce(INVOKED, facts, now=now, by="runner", entity=f"{pipeline.name}/{cartridge}", hops=counted.hops + 1)
