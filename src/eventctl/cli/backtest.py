"""`cartridge backtest`: what a cartridge would have done with what stands in the log, before it is switched on."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eventctl.cli.consent import Agreed, agree, is_package
from eventctl.cli.params import MOMENT
from eventctl.cli.session import Session, Verb, json_option
from eventctl.errors import UsageError

if TYPE_CHECKING:
    from eventctl.account import Account
    from eventctl.backtest import Report, Told
    from eventctl.cli.consent import Prepared
    from eventctl.cli.render import Screen
    from eventctl.discovery import Found
    from eventctl.staging import Ground
    from eventctl.store import Store

TITLES = {
    "notified": "newly notified", "unnotified": "no longer notified", "regrouped": "in another notification",
    "level": "at another level", "title": "with another title", "silenced": "now silenced", "unsilenced": "no longer silenced",
    "told": "newly said in notices", "untold": "no longer said in notices",
    "emitted": "newly emitted", "unemitted": "no longer emitted", "reworded": "emitted with other contents",
    "annotated": "annotated differently", "failed": "failing differently",
    "asked": "newly asked of autonomy", "unasked": "no longer asked of autonomy", "calls": "calls without an answer",
}  # fmt: skip
"""The kinds of difference as people read them, those that matter most first."""

JSON_EXAMPLES_MAX = 1_000
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Since(click.ParamType[tuple[str, int]]):
    """`30d` (that long ago), a date, a time, or `e123`."""

    name = "since"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        text = str(value)
        if text[:1] == "e" and text[1:].isdigit():
            return "record", int(text[1:])
        return "moment", MOMENT.convert(f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text, param, ctx)


@click.command(cls=Verb, short_help="What a cartridge would have done with what stands in the log.")
@click.argument("path", type=click.Path(path_type=Path), metavar="PATH")
@click.option(
    "--since", type=Since(), default="30d", show_default=True, metavar="WHEN", help="From then: 30d, a date, or e123."
)
@click.option(
    "--against", metavar="PATH|REVISION", help="Compare with this file, with PATH in a git revision, or with a kept version."
)
@click.option(
    "--into",
    default="",
    metavar="PLACE",
    help="Where it would stand: domain:NAME, member:NAME or library (default: by its path).",
)
@click.option(
    "--fail-on", type=click.Choice(["newly", "any"]), help="End with 1 when there is a new notification, or any difference."
)
@click.option(
    "--examples", type=click.IntRange(0, 1_000), default=5, show_default=True, metavar="N", help="So many of each kind."
)
@click.option("--yes", "-y", is_flag=True, help="Agree beforehand to execute what stands in an archive.")
@click.option("--progress", is_flag=True, help="Say how far it is on stderr, a line of JSON at a time.")
@json_option
@click.pass_obj
def backtest(
    session: Session,
    /,
    path: Path,
    since: tuple[str, int],
    against: str | None,
    into: str,
    fail_on: str | None,
    examples: int,
    yes: bool,
    progress: bool,
    as_json: bool,
) -> None:
    """Run the cartridge at PATH over what stands in the log, and say what would have come out otherwise.

    Nothing is written and nothing is sent: a call gets the answer that was recorded for it, and one without an answer is named. It
    is compared with what the workspace has in its place; a file that is new, or that stands there itself, with nothing.
    PATH may be an archive, or pip:NAME: the code of a stranger, which is executed in a worker, and once you agree. It may be what is
    installed, as `cartridge list` names it, and is then tried where it stands or `--into` another place.

    \b
    eventctl cartridge backtest personal/ada/cartridges/ad-spend.toml
    eventctl cartridge backtest ad-spend.toml --since 7d --against HEAD --fail-on newly
    eventctl cartridge backtest installed:domain:shop/till --against 1.0.0
    """
    from eventctl import backtest as backtests
    from eventctl.cli.wiring import house_of

    with session.reading() as store, _progress(session, as_json, progress) as told:
        moment, first = (since[1], 0) if since[0] == "moment" else (0, since[1])
        house, reopen = house_of(session), reopening(session)
        if is_installed(path) or is_package(path):
            if is_installed(path):
                found, other = _installed(store, path, into, against)
            elif against:
                raise UsageError("a package is compared with what stands in its place", hint="leave out --against")
            else:
                found, other = _candidate(session, path, into, Agreed(yes=yes)), None
            report = backtests.over(house, store, found, since=moment, first=first, against=other, reopen=reopen, told=told)
        else:
            with _other(path, against) as file:
                report = backtests.run(
                    house, store, path, since=moment, first=first, into=into, against=file, reopen=reopen, told=told
                )
    if as_json:
        from eventctl.cli.render import document

        document(form(report))
    else:
        from eventctl.cli.render import Screen

        show(Screen(session), report, examples)
    differs = report.difference if fail_on == "any" else "notified" in report.difference.changes
    if fail_on and differs:
        raise click.exceptions.Exit(1)


def _candidate(session: Session, path: Path, into: str, given: Agreed) -> Found:
    """What stands in an archive, placed as it would be installed. Raises `UsageError` where nobody agrees to execute it."""
    from eventctl.installed import found_of
    from eventctl.staging import stage

    staged = stage(str(path), env=session.env)
    if staged.package.manifest.rule is None:
        agree(f"This executes the code of {staged.package.id} ({staged.package.digest}), in a worker. Try it?", given)
    return found_of(staged.package, into or "library", "worker")


def is_installed(path: Path) -> bool:
    """Whether it names what is installed, as lists do, and no file."""
    from eventctl.installed import PREFIX

    return str(path).startswith(PREFIX)


def _installed(store: Store, path: Path, into: str, against: str | None) -> tuple[Found, Found | None]:
    """What is installed under this name, and the version of it to compare with. Raises `NotFound`, `UsageError`."""
    from eventctl import lifecycle
    from eventctl.cli.consent import which
    from eventctl.installed import found_of

    place, id_ = which(store, str(path))
    row = lifecycle.active(store, place, id_)
    found = found_of(lifecycle.stored(store, row.digest), into or place, row.runs)
    if not against:
        return found, None
    other = lifecycle.version(store, place, id_, against)
    return found, found_of(lifecycle.stored(store, other.digest), into or place, other.runs)


def form(report: Report) -> dict[str, Any]:
    """The report as JSON."""
    after = report.after
    changes = report.difference.changes
    return {
        "id": report.id, "pipelines": list(report.pipelines), "against": report.against or None,
        "first": report.first, "last": report.last, "records": after.records, "counts": report.difference.counts,
        "changes": {kind: [change._asdict() for change in changes[kind][:JSON_EXAMPLES_MAX]] for kind in TITLES if kind in changes},
        "runs": after.runs, "errors": after.errors, "mean_us": _mean_us(after), "max_us": after.max_ns / 1_000,
        "moves_without_notification": after.moves_lost, "held": after.held or None,
    }  # fmt: skip


def brief(report: Report) -> dict[str, Any]:
    """What a decision keeps of it: the counts, and no example."""
    return {name: value for name, value in form(report).items() if name != "changes"}


def tried(session: Session, ground: Ground, prepared: Prepared, since: int, given: Agreed) -> Prepared:
    """A candidate with its trial over the last `since` microseconds beside it. Raises `UsageError` where nobody agrees to execute it."""
    from eventctl.staging import cost_of

    if prepared.found is None:
        raise UsageError("there is nothing to try")
    if prepared.found.manifest.rule is None and not prepared.proposal.carried:
        agree("A backtest executes its code, in a worker. Try it?", given)
    report = ground.tried(prepared.found, since=session.now() - since, reopen=reopening(session))
    return prepared.tried(brief(report), cost_of(report))


def show(screen: Screen, report: Report, examples: int) -> None:
    """The report for people: counts first, then examples."""
    from eventctl.cli.render import count

    after, changes = report.after, report.difference.changes
    span = f"e{report.first} to e{report.last}" if report.first <= report.last else "no records"
    screen.title(f"{report.id} over {span}, against {report.against or 'nothing'}")
    for kind, title in TITLES.items():
        if kind in changes:
            screen.line(f"  {len(changes[kind]):>7,}", title)
    if not changes:
        screen.line("  no difference")
    ran = f"  it ran {count(after.runs, 'time')}"
    if after.runs:
        ran += f", {_mean_us(after):,.0f} us each, {after.max_ns / 1_000:,.0f} us at most"
    screen.line(f"{ran}, over {count(after.records, 'record')}")
    if after.errors:
        screen.line(f"  {count(after.errors, 'run')} raised an error")
    if after.held:
        screen.line("  it stopped early:", after.held)
    for kind, title in TITLES.items():
        if kind not in changes or not examples:
            continue
        screen.heading(title)
        for change in changes[kind][:examples]:
            text = " -> ".join(part for part in (change.before, change.after) if part)
            screen.line(f"  {_short(change.event)}", text)
        more = len(changes[kind]) - examples
        if more > 0:
            screen.line(f"  and {more:,} more")


def _mean_us(account: Account) -> float:
    return round(account.total_ns / account.runs / 1_000, 1) if account.runs else 0.0


def _short(event: str) -> str:
    """`e123` as it is; a timer that came due in the trial has no number in the log."""
    return event if is_record(event) else "(timer)"


def is_record(event: str) -> bool:
    """Whether a difference is at a record of the log, `e123`, and not at a timer that came due in the trial."""
    return event[:1] == "e" and event[1:].isdecimal()


def reopening(session: Session) -> Any:
    """How another process opens a store of its own, to look at."""

    def reopen() -> Store:
        from eventctl.sqlite_store import SqliteStore

        return SqliteStore.open(session.paths().db, role="reader")

    return reopen


@contextmanager
def _other(path: Path, against: str | None) -> Iterator[Path | None]:
    """The version to compare with: a file, or the same file as it was in a git revision, written aside."""
    if against is None or Path(against).exists():
        yield Path(against) if against else None
        return
    import tempfile

    from eventctl.gitlog import checked_out

    with tempfile.TemporaryDirectory(prefix="eventctl-backtest-") as folder:
        yield checked_out(path, against, Path(folder))


class _Hundredths:
    """Prints how far it is, when another hundredth of it is done."""

    def __init__(self) -> None:
        self._said = -1

    def told(self, read: int, of: int) -> None:
        """So many records of so many have been read."""
        done = 100 * read // of if of else 100
        if done != self._said:
            self._said = done
            click.echo(f'{{"read": {read}, "of": {of}}}', err=True)


@contextmanager
def _progress(session: Session, quiet: bool, lines: bool) -> Iterator[Told]:
    """Lines of JSON for a program that asks for them, one for each hundredth; a bar on a terminal; nothing elsewhere."""
    if lines:
        yield _Hundredths().told
        return
    if quiet or not sys.stderr.isatty() or session.env.get("TERM") == "dumb":
        yield lambda _read, _of: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True, no_color=not session.wants_color(sys.stderr))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda read, of: bar.update(task, completed=read, total=of)
