"""Backtest: a cartridge as it is written now, over what stands in the log, against what stood there before.

    PATH      is put where it would stand: by its place in the workspace, else where a cartridge of its id stands, else in the
              library, enabled for the workspace
    before    another version of it, or what the workspace has in its place, or nothing where PATH is new
    after     PATH

Two trials are run, at the same time where the machine can, and compared. Nothing is written to the workspace.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from eventctl import discovery
from eventctl.account import Account, Span, Subject
from eventctl.difference import Difference, compare
from eventctl.discovery import DOMAINS, LIBRARY, MEMBERS, Found, Scan, Scope
from eventctl.errors import EventctlError, Misconfigured, NotFound, UsageError
from eventctl.house import House, Planned
from eventctl.installed import LIBRARY as LIBRARY_PLACE
from eventctl.manifest import MANIFEST
from eventctl.past import at_or_after
from eventctl.plan import Plan
from eventctl.store import Store
from eventctl.times import DAY
from eventctl.trial import Trial

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

WARM_UP = DAY
"""How much of the log before the beginning is folded so that what is remembered is there: the window of dedup, unless a rule's is
longer. The least that it is."""

Told = Callable[[int, int], None]
"""Hears how many records of how many have been read."""


def _nobody(_read: int, _of: int) -> None:
    return None


class Report(NamedTuple):
    """What a backtest came to. `first` is where what is told begins, `last` the end; seconds as they were on the clock."""

    id: str
    pipelines: tuple[str, ...]
    against: str
    first: int
    last: int
    before: Account
    after: Account
    difference: Difference


@dataclass(frozen=True, slots=True)
class Staged:
    """One side of a backtest: a cartridge in its place (None: nothing stands there), and what would run."""

    found: Found | None
    planned: Planned
    plans: tuple[Plan, ...]
    subject: Subject


class Stage:
    """A workspace in which one cartridge is replaced by another, on paper."""

    def __init__(self, house: House, store: Store | None) -> None:
        self._house = house
        self.scan = house.scan(store)

    def place(self, path: Path, into: str = "") -> Found:
        """The cartridge at `path`, read and put where it would stand, or in `into`, like `domain:marketing`.

        Raises Misconfigured with its mistakes, NotFound.
        """
        if not path.exists():
            raise NotFound("there is no such file", where=str(path))
        at = path.parent if path.name == MANIFEST else path
        scope, owner, shown = self._standing(at)
        if into == LIBRARY_PLACE:
            scope, owner, shown = "library", "", f"{LIBRARY}/{at.name}"
        elif into:
            scope, owner = _owner(into)
            folder = f"{DOMAINS if scope == 'domain' else MEMBERS}/{owner}"
            if not (self._house.paths.root / folder).is_dir():
                raise NotFound(f"there is no {into.partition(':')[0]} {owner!r}", where=folder)
            shown = f"{folder}/{discovery.CARTRIDGES}/{at.name}"
        found = discovery.one(at, shown or f"{LIBRARY}/{at.name}", scope, owner)
        if shown:
            return found
        same = [each for each in self.scan.found if each.manifest.id == found.manifest.id]
        return replace(found, scope=same[0].scope, owner=same[0].owner, path=same[0].path) if same else found

    def standing(self, found: Found) -> Found | None:
        """What the workspace has in its place."""
        alike = [each for each in self.scan.found if _place(each) == _place(found)]
        return alike[0] if alike else None

    def alone(self, found: Found) -> Staged:
        """A workspace with this cartridge, and those of its owner or the library that it requires or comes after, and no others.

        For examples: what others say about the same events is not what they are about, and a new rule breaks nobody's.
        """
        near = {found.manifest.id, *found.manifest.requires, *found.manifest.after}
        kept = [each for each in self.scan.found if each.manifest.id in near and each.owner in (found.owner, "")]
        return self._staged(kept, found, found)

    def set(self, found: Found | None, place: Found) -> Staged:
        """The workspace with `found` in the place of what stands where `place` does."""
        return self._staged(self.scan.found, found, place)

    def _staged(self, others: Iterable[Found], found: Found | None, place: Found) -> Staged:
        kept = [each for each in others if _place(each) != _place(place) and each.path != place.path]
        scan = replace_found(self.scan, [*kept, *([found] if found else [])])
        also = (place.manifest.id,) if place.scope == "library" else ()
        planned = self._house.planned(scan, enable=also)
        mine = {name: [each for each in plan if found and each.unit == found.path] for name, plan in planned.plans.items()}
        names = frozenset(each.rights.name for members in mine.values() for each in members)
        slots = frozenset(
            each.slots_in + slot for members in mine.values() for each in members for slot in each.rights.annotates
        )
        shaping = bool(found and found.manifest.rule is not None and found.manifest.rule.shaping)
        if found and not names and not shaping:
            wrong = [problem for problem in planned.problems if found.path in problem.where and not problem.warning]
            raise Misconfigured.listing(wrong) if wrong else Misconfigured("no pipeline would run it", where=found.path)
        label = _label(place) if shaping else ""
        return Staged(
            found,
            planned,
            tuple(planned.plans[name] for name, members in mine.items() if members),
            Subject(names, slots, label),
        )

    def _standing(self, path: Path) -> tuple[Scope, str, str]:
        """Whose a file is by where it stands; the library's when it stands nowhere in particular."""
        root = self._house.paths.root
        try:
            shown = path.resolve().relative_to(root).as_posix()
        except ValueError:
            return "library", "", ""
        parts = shown.split("/")
        for base, scope in ((DOMAINS, "domain"), (MEMBERS, "personal")):
            depth = base.count("/") + 1
            if shown.startswith(f"{base}/") and parts[depth + 1 : depth + 2] == [discovery.CARTRIDGES]:
                return scope, parts[depth], shown  # type: ignore[return-value]  # both are scopes
        return ("library", "", shown) if parts[0] == LIBRARY else ("library", "", "")


def run(
    house: House,
    source: Store,
    path: Path,
    *,
    since: int = 0,
    first: int = 0,
    into: str = "",
    against: Path | None = None,
    reopen: Callable[[], Store] | None = None,
    told: Told = _nobody,
) -> Report:
    """Backtest the cartridge at `path` from `since` (microseconds), or from record `first`, to the end of the log.

    `into` says where it would stand (`domain:marketing`, `member:ada`) when it does not yet. `against` is another version of it.
    `reopen` gives another process a store of its own: then both trials run at the same time.
    """
    stage = Stage(house, source)
    found = stage.place(path, into)
    other = stage.place(against) if against else stage.standing(found)
    if other is not None and against is None and other.code.hash == found.code.hash:
        other = None  # the file itself: it is new, or was changed where it stands
    return _between(stage, source, found, other, since, first, reopen, told)


def over(
    house: House,
    source: Store,
    found: Found,
    *,
    since: int,
    first: int = 0,
    against: Found | None = None,
    reopen: Callable[[], Store] | None = None,
    told: Told = _nobody,
) -> Report:
    """Backtest a cartridge that stands in no file, as it would be found, against another version or what the workspace has in its place.

    What stands there itself is compared with nothing, as a file is.
    """
    stage = Stage(house, source)
    other = against or stage.standing(found)
    if other is not None and against is None and other.code.hash == found.code.hash:
        other = None
    return _between(stage, source, found, other, since, first, reopen, told)


def _between(
    stage: Stage,
    source: Store,
    found: Found,
    other: Found | None,
    since: int,
    first: int,
    reopen: Callable[[], Store] | None,
    told: Told,
) -> Report:
    if other is not None:
        other = replace(other, scope=found.scope, owner=found.owner, path=found.path)
    after, before = stage.set(found, found), stage.set(other, found)
    before = _matched(before, after)
    span = _span(source, first or at_or_after(source, since), found, other)
    accounts = _both(source, span, before, after, reopen, told)
    diff = compare(*accounts)
    name = f"{other.manifest.id} {other.manifest.version}" if other else ""
    begin = first or at_or_after(source, since)
    return Report(found.manifest.id, tuple(plan.pipeline for plan in after.plans), name, begin, span.last, *accounts, diff)


def _span(source: Store, begin: int, *cartridges: Found | None) -> Span:
    """From where it must be folded, so that at `begin` windows hold what they would."""
    last = source.tail("log")
    rows = source.read_log(begin - 1, 1)
    if not rows:
        return Span(last + 1, last)
    since = rows[0].at
    windows = [
        each.manifest.rule.window.within for each in cartridges if each and each.manifest.rule and each.manifest.rule.window
    ]
    return Span(at_or_after(source, since - max([WARM_UP, *windows])), last, since)


def _matched(before: Staged, after: Staged) -> Staged:
    """The other side runs the same pipelines, and what both leave out is the same."""
    plans = tuple(before.planned.plans[plan.pipeline] for plan in after.plans if plan.pipeline in before.planned.plans)
    names = before.subject.names | after.subject.names
    subject = Subject(names, before.subject.slots | after.subject.slots, before.subject.label or after.subject.label)
    return replace(before, plans=plans, subject=subject)


def _both(
    source: Store, span: Span, before: Staged, after: Staged, reopen: Callable[[], Store] | None, told: Told
) -> tuple[Account, Account]:
    of = max(0, span.last - span.first + 1)
    if before.found is None and not before.subject.label and _only_tells(after):
        done = _try(source, span, after, lambda read: told(read, of))
        without = {key: one for key, one in done.notices.items() if one.event not in done.events}
        return Account(notices=without, records=done.records), done
    if reopen is None or not sys.platform.startswith("linux"):
        first = _try(source, span, before, lambda read: told(read // 2, of))
        return first, _try(source, span, after, lambda read: told((of + read) // 2, of))
    context = get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_aside, args=(theirs, reopen, span, before), daemon=True)
    child.start()
    theirs.close()
    done = _try(source, span, after, lambda read: told(read, of))
    try:
        answer: Any = ours.recv()
    except EOFError:
        raise EventctlError("the trial of the version before ended without a result") from None
    child.join()
    if isinstance(answer, EventctlError):
        raise answer
    return answer, done


def _aside(pipe: Connection, reopen: Callable[[], Store], span: Span, staged: Staged) -> None:
    """The trial of the other side, in a process of its own."""
    store = reopen()
    try:
        pipe.send(_try(store, span, staged, lambda _: None))
    except EventctlError as error:
        pipe.send(error)
    finally:
        store.close()
        pipe.close()


def _try(source: Store, span: Span, staged: Staged, told: Callable[[int], None]) -> Account:
    planned = staged.planned
    trial = Trial(
        source, span, staged.subject, planned.system, staged.plans, planned.catalog, modules=planned.modules, gate=planned.gate,
        told=told,
    )  # fmt: skip
    return trial.run()


def _only_tells(staged: Staged) -> bool:
    """Whether without this cartridge nothing would be there to compare: it stands alone, and all it does is told of it."""
    return all(
        each.unit == staged.found.path and not (each.rights.emits or each.rights.calls)
        for plan in staged.plans
        for each in plan
        if staged.found
    )


def _owner(into: str) -> tuple[Scope, str]:
    kind, _, name = into.partition(":")
    if kind not in ("domain", "member") or not name:
        raise UsageError(f"{into!r} is no place for a cartridge", hint="one is library, domain:marketing or member:ada")
    return ("domain" if kind == "domain" else "personal"), name


def replace_found(scan: Scan, found: Iterable[Found]) -> Scan:
    """A scan in which other cartridges were found."""
    return replace(scan, found=list(found))


def _place(found: Found) -> tuple[str, str, str]:
    return found.scope, found.owner, found.manifest.id


def _label(found: Found) -> str:
    """The name of a shaping rule among all of them: only a member's begins with its owner."""
    return f"{found.owner}/{found.manifest.id}" if found.scope == "personal" else found.manifest.id
