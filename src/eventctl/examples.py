"""Examples that are tests: events that come in, and what must have become of them. They stand beside the cartridge, in TOML.

deploy-tracker/examples/*.toml                     of a folder
ad-spend.examples.toml, ad-spend.examples/*.toml   of a cartridge that is one file

[[given]]                 an event, with the moment `at` that it comes in; the others of its fields as in an envelope
[answers]                 what a call is answered, by the executor's name
[then]                    what holds afterwards; what is not said is not asked, but for errors, of which there are none
annotations               slot -> value, beside the last event; fields that are not named may be anything
notifications             how many stand, or a list of fields that each has, in any order
emits                     how many events the cartridge makes, or a list: types, or tables with fields of the event
drops                     how many events it drops
errors                    how many events it fails at
calls                     the executors that are called and have no answer
decisions                 how much it wants done that autonomy decides about, or a list of fields that each has: action, summary, call, args
after                     how much time goes by before anything is looked at, so that timers come due
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import orjson
from pydantic import Field

from eventctl.dag.gate import Gate
from eventctl.decode import decode, to_record
from eventctl.discovery import EXAMPLES
from eventctl.errors import Misconfigured, NotFound, Refused
from eventctl.event import Level
from eventctl.manifest import MANIFEST
from eventctl.memory_store import MemoryStore
from eventctl.notification import Notification
from eventctl.rehearsal import Rehearsal
from eventctl.shapes import Duration, Strings, TypeName, Written
from eventctl.store import Keys
from eventctl.suggest import check, read_toml
from eventctl.times import SECOND, parse_iso

if TYPE_CHECKING:
    from eventctl.backtest import Staged
    from eventctl.store import DecisionRow, Record

START = "2026-01-05T12:00:00Z"
"""When the first event comes in, if the example does not say; the others follow a second apart."""

PRINCIPAL = "cli:example"
TOPS = ("cartridges", "company", "personal")
SHOWN = ("title", "level", "audience", "type", "entity", "actionable", "agent_state", "domain", "life", "silenced_by")
"""The fields of a notification that an example may name."""


class Given(Written):
    """One event that comes in."""

    event: TypeName
    at: str = ""
    source: str = "example"
    payload: dict[str, Any] = Field(default_factory=dict)
    entity: str | None = None
    level: int | str | None = None
    domain: str | None = None
    description: str | None = None
    visibility: str | None = None
    id: str | None = None
    timestamp: str | None = None
    idempotency_key: str | None = None
    principal: str = PRINCIPAL


class Then(Written):
    """What holds at the end."""

    annotations: dict[str, Any] = Field(default_factory=dict)
    notifications: int | list[dict[str, Any]] | None = None
    emits: int | list[str | dict[str, Any]] | None = None
    drops: int | None = None
    errors: int = 0
    calls: Strings | None = None
    decisions: int | list[dict[str, Any]] | None = None
    after: Duration = 0


class Example(Written):
    """An example as it is written."""

    summary: str = ""
    given: Annotated[tuple[Given, ...], Field(strict=False, min_length=1)]
    answers: dict[str, Any] = Field(default_factory=dict)
    then: Then


class Miss(NamedTuple):
    """Something that an example said and that is not so."""

    what: str
    expected: str
    found: str


class Result(NamedTuple):
    """How one example went. `misses` is empty when it holds."""

    path: Path
    cartridge: str
    misses: list[Miss]


def beside(path: Path) -> list[Path]:
    """The files of examples of the cartridge at `path`, sorted."""
    folder = path.parent if path.name == MANIFEST else path
    if folder.is_dir():
        return sorted((folder / "examples").glob("*.toml"))
    file, many = (path.with_name(path.stem + ending) for ending in EXAMPLES)
    return sorted([*([file] if file.is_file() else []), *many.glob("*.toml")])


def read(path: Path) -> Example:
    """The example in a file. Raises Misconfigured with every mistake."""
    example = check(Example, read_toml(path), str(path))
    for number, given in enumerate(example.given):
        try:
            _record(given, number)
        except (Refused, ValueError) as wrong:
            raise Misconfigured(str(wrong), where=f"{path}: given[{number}]") from None
    return example


def run(path: Path, staged: Staged) -> Result:
    """Let what an example gives happen to a cartridge in its place, and see what it says."""
    example, planned = read(path), staged.planned
    gate = Gate(
        quiet=planned.gate.quiet
    )  # what it wants is the same wherever it runs; whether it may is the workspace's to say
    rehearsal = Rehearsal(
        MemoryStore(), planned.system, staged.plans, planned.catalog, planned.modules, answers=example.answers, gate=gate
    )
    last = 0
    for number, given in enumerate(example.given):
        record = _record(given, number)
        last = rehearsal.bring(record)
    rehearsal.wait(rehearsal.now + example.then.after)
    rehearsal.settle()
    found = staged.found
    name = found.manifest.id if found else ""
    return Result(path, name, list(_misses(example.then, rehearsal, last, staged)))


def _record(given: Given, number: int) -> Record:
    at = parse_iso(given.at) if given.at else parse_iso(START) + number * SECOND
    fields = {name: value for name, value in given.model_dump(exclude={"at", "principal"}).items() if value is not None}
    return to_record(decode(orjson.dumps(fields), now=at), principal=given.principal, at=at)


def _misses(then: Then, rehearsal: Rehearsal, last: int, staged: Staged) -> Iterable[Miss]:
    store, names = rehearsal.store, staged.subject.names
    slots = {slot.rpartition("/")[2]: value for slot, value in _beside(store, last).items()}
    for slot, wanted in then.annotations.items():
        if slot not in slots:
            yield Miss(f"annotation {slot}", _text(wanted), f"none; there are {', '.join(sorted(slots)) or 'none at all'}")
        elif not fits(wanted, slots[slot]):
            yield Miss(f"annotation {slot}", _text(wanted), _text(slots[slot]))
    if then.notifications is not None:
        yield from _listed("notifications", then.notifications, [_shown(row) for row in _notifications(store)])
    if then.emits is not None:
        made = [row for row in rehearsal.made(0) if row.source in names and not row.type.startswith("notice.")]
        asked = (
            then.emits
            if isinstance(then.emits, int)
            else [{"event": one} if isinstance(one, str) else one for one in then.emits]
        )
        yield from _listed("emits", asked, [orjson.loads(row.body) for row in made])
    dropped = [row for name in rehearsal.names[1:] for row in store.exceptions_of(name, ("dropped",))]
    if then.drops is not None and then.drops != len(dropped):
        yield Miss("drops", str(then.drops), f"{len(dropped)}: {'; '.join(row.reason for row in dropped)}".rstrip(": "))
    failed = rehearsal.failures()
    if then.errors != len(failed):
        yield Miss("errors", str(then.errors), f"{len(failed)}: {'; '.join(row.reason for row in failed)}".rstrip(": "))
    calls = [name for name, _, _ in rehearsal.calls()]
    if then.calls is not None and sorted(then.calls) != sorted(calls):
        yield Miss("calls", _text(list(then.calls)), _text(calls))
    if then.decisions is not None:
        yield from _listed("decisions", then.decisions, [_wanted(row) for row in rehearsal.decisions()])


def fits(wanted: Any, found: Any) -> bool:
    """Whether a value is as it was described: a table may have more fields than are named, all else is equal."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(name in found and fits(value, found[name]) for name, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(wanted) == len(found) and all(map(fits, wanted, found))
    return type(wanted) is type(found) and bool(wanted == found) if isinstance(wanted, bool) else bool(wanted == found)


def _listed(what: str, wanted: int | list[Any], found: list[dict[str, Any]]) -> Iterable[Miss]:
    if isinstance(wanted, int):
        if wanted != len(found):
            yield Miss(what, str(wanted), f"{len(found)}: {_text(found)}" if found else "0")
        return
    left = list(found)
    for one in wanted:
        match = next((other for other in left if fits(_levels(one), other)), None)
        if match is None:
            yield Miss(what, _text(one), _text(left) if left else "no other")
        else:
            left.remove(match)
    if len(wanted) != len(found) and len(left) == len(found) - len(wanted):
        yield Miss(what, f"{len(wanted)}", f"{len(found)}, also {_text(left)}")


def _levels(one: dict[str, Any]) -> dict[str, Any]:
    """A level may be written as its number."""
    level = one.get("level")
    if not isinstance(level, int) or not 0 <= level < len(Level) or "event" in one:
        return one
    return {**one, "level": Level(level).name.lower()}


def _shown(row: Notification) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in SHOWN}
    return {**_levels({**fields}), "archived": row.archived_at is not None}


def _wanted(row: DecisionRow) -> dict[str, Any]:
    """What an example may name of a decision."""
    body = orjson.loads(row.body)
    undo = {"undo": {"call": body["undo"][0], "args": body["undo"][1]}} if body.get("undo") else {}
    named = {name: body[name] for name in ("action", "summary", "args")}
    return {**named, "call": row.name, "form": body["form"], "state": row.state, **undo}


def _notifications(store: MemoryStore) -> list[Notification]:
    from eventctl.views import InboxFilter

    page = store.views.inbox(InboxFilter(archived=True), limit=1_000)
    return [item.notification for item in page.items]


def _beside(store: MemoryStore, seq: int) -> dict[str, Any]:
    found = store.snapshot(Keys(annotations=[seq])).annotations.get(seq, {})
    return {slot: orjson.loads(value) for slot, value in found.items()}


def _text(value: Any) -> str:
    return orjson.dumps(value, default=str).decode()


def every(root: Path) -> list[tuple[Path, Path]]:
    """(cartridge, file of examples) of every cartridge of a workspace."""
    return [pair for top in TOPS for pair in _below(root / top)]


def _below(folder: Path) -> list[tuple[Path, Path]]:
    found = []
    for path in sorted({*folder.rglob("*.py"), *folder.rglob("*.toml")}):
        unit = path.parent if path.name == MANIFEST else path
        if path.name.endswith(EXAMPLES[0]) or (path.name == "cartridge.py") or "cartridges" not in path.parts:
            continue
        if any(part.endswith(EXAMPLES[1]) or part == "examples" for part in path.parts):
            continue
        found += [(unit, example) for example in beside(unit)]
    return found


def of(path: Path) -> list[Path]:
    """The examples of one cartridge. Raises NotFound when it has none."""
    found = beside(path)
    if not found:
        name = "examples/NAME.toml in it" if path.is_dir() else f"{path.stem}{EXAMPLES[0]} beside it"
        raise NotFound("it has no examples", where=str(path), hint=f"write {name}")
    return found
