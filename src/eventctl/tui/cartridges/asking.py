"""What is asked before something is done with a cartridge: where from, where to, which version; then the errand begins."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from eventctl.cli import install as installing
from eventctl.cli import promote as promoting
from eventctl.cli import remove as removing
from eventctl.cli import rollback as rolling
from eventctl.cli import trust as trusting
from eventctl.cli.consent import Prepared
from eventctl.errors import Conflict
from eventctl.installed import LIBRARY, PREFIX, unit_path
from eventctl.lifecycle import short
from eventctl.staging import stage
from eventctl.tui.cartridges import errands
from eventctl.tui.cartridges.errands import SINCE, Errand, wrong_since
from eventctl.tui.dialogs import Field, Form

if TYPE_CHECKING:
    from eventctl.staging import Ground, Staged
    from eventctl.store import InstalledRow
    from eventctl.tui.cartridges.lines import Entry
    from eventctl.tui.cartridges.screen import CartridgesRoom

NOTHING = "nothing"
ELSEWHERE = "is no installed one: it is a file of this workspace, or a plugin's"


def install(room: CartridgesRoom) -> None:
    """Where from, and for whom."""
    fields = [
        Field("source", "from", hint="a folder, a file, an archive, or pip:NAME==VERSION", check=_named),
        Field("place", "for", LIBRARY, choices=places(room)),
        Field("downgrade", "older", flag=True, hint="it is meant to be older than what is there"),
    ]
    said = "It is read and judged, and you see what it asks for before you agree. Nothing of it is executed before."
    room.app.push_screen(Form("Install a cartridge", fields, said=said, yes="Look at it"), partial(_install, room))


def _install(room: CartridgesRoom, given: Mapping[str, Any] | None) -> None:
    if given is not None:
        room.note(f"{given['source']} is read …")
        room.host.behind(partial(_stage, room, given["source"].strip(), given["place"], downgrade=given["downgrade"]), "stage")


async def _stage(room: CartridgesRoom, source: str, place: str, *, downgrade: bool) -> None:
    """Read it once: what is shown is what is tried and what is installed."""
    session = room.desk.session
    staged: Staged = await room.desk.think(lambda: stage(source, env=session.env))

    def prepare(ground: Ground) -> Prepared:
        return installing.prepare(session, ground, staged, place, downgrade=downgrade)

    errands.begin(room.host, Errand("install", place, prepare, ("{}", "--into", place, "--yes"), staged.package))


def promote(room: CartridgesRoom, entry: Entry) -> None:
    """Where to."""
    if entry.path.startswith("plugin:"):
        room.host.tell(f"{entry.id} belongs to a plugin, and stays there", bad=True)
        return
    ranks = promoting.RANKS
    above = ranks[ranks.index(entry.place.partition(":")[0]) + 1 :]
    wider = [place for place in places(room) if place.partition(":")[0] in above]
    if not wider:
        room.host.tell(f"{entry.id} is in {entry.place}: there is no place of more people", bad=True)
        return
    fields = [Field("to", "to", wider[0], choices=wider)]
    room.app.push_screen(
        Form(f"Promote {entry.id}", fields, said=f"It is in {entry.place} now.", yes="Look at it"),
        partial(_promote, room, entry),
    )


def _promote(room: CartridgesRoom, entry: Entry, given: Mapping[str, Any] | None) -> None:
    if given is None:
        return
    to, session = given["to"], room.desk.session

    def prepare(ground: Ground) -> Prepared:
        left = promoting.chosen(ground, entry.path, to)
        if left is None:
            raise Conflict(f"{entry.id} stands in {to} already")
        return promoting.prepare(session, ground, left, to)

    errands.begin(room.host, Errand("promote", to, prepare, (_source(room, entry), "--into", to)))


def rollback(room: CartridgesRoom, entry: Entry) -> None:
    """To which of the kept versions."""
    kept = [row for row in _versions(room, entry) if not row.active]
    if not kept:
        room.host.tell(f"{entry.id} has no version from before in {entry.place}", bad=True)
        return
    fields = [
        Field("to", "version", kept[0].digest, choices=[(row.digest, f"{row.version} ({short(row.digest)})") for row in kept])
    ]
    room.app.push_screen(
        Form(
            f"Roll {entry.id} back",
            fields,
            said=f"It is in {entry.place}; the newest of before stands first.",
            yes="Look at it",
        ),
        partial(_rollback, room, entry),
    )


def _rollback(room: CartridgesRoom, entry: Entry, given: Mapping[str, Any] | None) -> None:
    if given is None:
        return
    session = room.desk.session

    def prepare(ground: Ground) -> Prepared:
        return rolling.prepare(session, ground, entry.place, entry.id, given["to"])

    errands.begin(room.host, Errand("rollback", entry.place, prepare))


def remove(room: CartridgesRoom, entry: Entry) -> None:
    """With its versions or without."""
    if not _versions(room, entry):
        room.host.tell(f"{entry.id} {ELSEWHERE}; delete the file", bad=True)
        return
    gone = entry.state == "kept"
    fields = [Field("for_good", "for good", gone, flag=True, hint="all its versions too: nothing is left to roll back to")]
    room.app.push_screen(Form(f"Remove {entry.id} from {entry.place}", fields, yes="Look at it"), partial(_remove, room, entry))


def _remove(room: CartridgesRoom, entry: Entry, given: Mapping[str, Any] | None) -> None:
    if given is None:
        return

    def prepare(ground: Ground) -> Prepared:
        return removing.prepare(ground, entry.place, entry.id, for_good=given["for_good"])

    errands.begin(room.host, Errand("remove", entry.place, prepare))


def trust(room: CartridgesRoom, entry: Entry) -> None:
    """Trust its digest; one that is trusted, no more."""
    row = next((row for row in _versions(room, entry) if row.active), None)
    if row is None:
        room.host.tell(f"{entry.id} {ELSEWHERE}: there is no digest to trust", bad=True)
        return
    revoke = row.runs == "in-process"

    def prepare(ground: Ground) -> Prepared:
        return trusting.prepare(ground, entry.place, entry.id, revoke=revoke)

    errands.begin(room.host, Errand("trust", entry.place, prepare))


def backtest(room: CartridgesRoom, entry: Entry) -> None:
    """Since when, and against what."""
    if entry.path.startswith("plugin:") or entry.state == "kept":
        why = "belongs to a plugin" if entry.path.startswith("plugin:") else "was removed: r brings it back"
        room.host.tell(f"{entry.id} {why}; it is not tried", bad=True)
        return
    since = Field("since", "since", SINCE, "30d, a date, or e123", check=wrong_since)
    against = Field("against", "against", hint="a file, or a git revision like HEAD; empty: what stands in its place")
    if entry.installed:
        kept = [(row.digest, f"{row.version} ({short(row.digest)})") for row in _versions(room, entry) if not row.active]
        against = Field("against", "against", choices=[("", NOTHING), *kept])
    said = "It runs over the log in a process of its own. Nothing is written and nothing is sent."
    room.app.push_screen(
        Form(f"Backtest of {entry.id}", [since, against], said=said, yes="Run it"), partial(_backtest, room, entry)
    )


def _backtest(room: CartridgesRoom, entry: Entry, given: Mapping[str, Any] | None) -> None:
    if given is not None:
        against = given["against"].strip()
        words = [_source(room, entry), "--since", given["since"].strip(), *(("--against", against) if against else ())]
        errands.compare(room.host, f"{entry.id} over the log since {given['since']}", words)


def places(room: CartridgesRoom) -> list[str]:
    """Where something can be installed: the library, the domains, the members."""
    ours = room.seen.looked if room.seen else None
    domains = [f"domain:{domain.name}" for domain in ours.domains] if ours else []
    members = [f"member:{name}" for name in ours.members] if ours else []
    return [LIBRARY, *domains, *members]


def _named(value: Any) -> str:
    return "" if str(value).strip() else "say where it is"


def _source(room: CartridgesRoom, entry: Entry) -> str:
    """How the command line is told which one: by its file, or by the name under which it is installed."""
    if entry.path.startswith(PREFIX):
        return entry.path
    return str(room.desk.paths.root / entry.path.removesuffix("/cartridge.toml"))


def _versions(room: CartridgesRoom, entry: Entry) -> list[InstalledRow]:
    """What was installed of it, the newest first."""
    rows = room.seen.looked.rows if room.seen else []
    return sorted((row for row in rows if unit_path(row.place, row.id) == entry.path), key=lambda row: -row.at)
