"""`log`: the records themselves, newest last, as they come, or one in full."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from eventctl.cli import forms, ids
from eventctl.cli.params import MOMENT, PATTERN
from eventctl.cli.render import Screen, count, document, json_text, line, listing, local
from eventctl.cli.session import Noun, Session, json_option
from eventctl.cli.shortid import number, record
from eventctl.errors import UsageError
from eventctl.patterns import matches
from eventctl.position import resume, token

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from eventctl.store import LogRow, Store
    from eventctl.views import LogFilter

POLL_S = 0.25
PAGE = 500
HEAD = ("id", "time", "type", "source", "about")


@click.group(cls=Noun)
def log() -> None:
    """The records themselves: events, and the moves, timers and answers between them."""


def _filters(command: Any) -> Any:
    for option in (
        click.option("--until", type=MOMENT, metavar="TIME", help="Ingested before then."),
        click.option("--since", type=MOMENT, metavar="TIME", help="Ingested since then: 2h, or 2026-11-20T10:00:00Z."),
        click.option("--entity", metavar="URI", help="About this entity."),
        click.option("--source", "sources", multiple=True, metavar="S", help="From this source; may be repeated."),
        click.option(
            "--kind",
            "kinds",
            multiple=True,
            type=click.Choice(["event", "move", "timer", "answer"]),
            help="Of this kind; may be repeated.",
        ),
        click.option(
            "--type",
            "types",
            multiple=True,
            type=PATTERN,
            metavar="PATTERN",
            help="Like deployment.* or domain.**; may be repeated.",
        ),
    ):
        command = option(command)
    return command


@log.command(short_help="List records, or show one in full.")
@click.argument("given", required=False, metavar="[ID]", shell_complete=ids.RECORDS)
@_filters
@click.option("-n", "--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many.")
@click.option("--before", metavar="ID", help="Only older ones than this record: the next page.")
@click.option("--after", metavar="POSITION", help="The first ones after a `position` that was printed before.")
@json_option
@click.pass_obj
def show(
    session: Session, /, given: str | None, limit: int, before: str | None, after: str | None, as_json: bool, **filters: Any
) -> None:
    """List the newest records, oldest first; or show one with everything in it.

    \b
    eventctl log show --type 'job.*' --since 2h
    eventctl log show e42
    """
    from eventctl.views import LogFilter

    if before and after:
        raise UsageError("--before and --after exclude each other")
    with session.reading() as store:
        if given is not None:
            _show_one(session, store, record(store.views, given), as_json)
            return
        if after is not None:
            rows, reached = _after(store, LogFilter(**filters), resume(store, after), limit)
        else:
            reached = store.tail("log")
            reached = min(reached, number(before, "e", "record") - 1) if before else reached
            rows = store.views.log(LogFilter(**filters), limit=limit, before=reached + 1)[::-1]
        if as_json:
            listing([_form(store, row) for row in rows], position=token(store, reached))
            return
    screen = Screen(session)
    if not rows:
        screen.say(
            "The log has no such record."
            if after or any(filters.values())
            else "The log is empty: try `eventctl exec -- make test`."
        )
        return
    screen.table(HEAD, [_line(row) for row in rows])
    if len(rows) == limit and after is None:
        screen.say(f"older ones: --before e{rows[0].seq}")


@log.command(short_help="Follow the log.")
@_filters
@click.option(
    "-n", "--limit", default=10, show_default=True, type=click.IntRange(0, 10_000), help="Begin with so many older ones."
)
@click.option("--after", "given", metavar="POSITION", help="Begin after a `position` that was printed before, instead.")
@click.option("--ndjson", is_flag=True, help="Print one JSON object a line.")
@click.pass_obj
def tail(session: Session, /, limit: int, given: str | None, ndjson: bool, **filters: Any) -> None:
    """Print the newest records and then each one as it comes, until Ctrl-C.

    \b
    eventctl log tail
    eventctl log tail --type 'deployment.*' --ndjson
    """
    from eventctl.views import LogFilter

    want = LogFilter(**filters)
    screen = Screen(session)
    with session.reading() as store:
        after = resume(store, given) if given else store.tail("log")
        rows = store.views.log(want, limit=limit, before=after + 1)[::-1] if limit and not given else []
        try:
            while True:
                _print_all(screen, store, rows, ndjson)
                found = store.read_log(after, PAGE)
                after = found[-1].seq if found else after
                rows = [row for row in found if _wanted(row, want)]
                if not found:
                    time.sleep(POLL_S)
        except KeyboardInterrupt:
            return


@log.command(short_help="Say what a range of the log would come to now. Changes nothing.")
@click.argument("first", required=False, metavar="[FROM]")
@click.argument("last", required=False, metavar="[TO]")
@json_option
@click.pass_obj
def replay(session: Session, /, first: str | None, last: str | None, as_json: bool) -> None:
    """Run the records FROM..TO (default: all) through the pipelines as they are now, on a copy, and say what would come out.

    Needs the whole log: one that retention has trimmed cannot be replayed. Nothing is sent and nothing is written: a call gets the answer that was recorded for it, and one without an answer is reported.

    \b
    eventctl log replay e100 e200
    """
    from eventctl.cli.replaying import replay_range

    begin = number(first, "e", "record") if first else 1
    end = number(last, "e", "record") if last else None
    report = replay_range(session, begin, end)
    if as_json:
        document(report)
        return
    _show_replay(Screen(session), report)


def _show_replay(screen: Screen, report: dict[str, Any]) -> None:
    first, last = report["first"], report["last"]
    screen.title(f"Replayed {count(report['records'], 'record')}, e{first} to e{last}, on a copy")
    for name, counts in report["pipelines"].items():
        parts = [
            f"{counts[state]:,} {state}" for state in ("applied", "dropped", "quarantined", "waiting", "dead") if counts[state]
        ]
        screen.fields([(name, ", ".join(parts) or "nothing")], indent=2)
    screen.fields(
        [
            ("would emit", count(report["emitted"], "event")),
            ("would owe", count(report["owed"], "effect")),
            ("notifications", f"{report['opened']:,} opened, {report['changed']:,} changed"),
        ],
        indent=2,
    )
    if not report["differences"]:
        screen.line("Every record comes to the same end as it did.")
        return
    screen.line(f"{count(report['differences_count'], 'record')} would come to another end:")
    rows = [[f"e{each['seq']}", each["pipeline"], _end(each["was"]), _end(each["now"])] for each in report["differences"]]
    screen.table(("id", "pipeline", "was", "would be"), rows)


def _end(end: dict[str, str]) -> str:
    return f"{end['state']}: {end['reason']}" if end["reason"] else end["state"]


def _wanted(row: LogRow, want: LogFilter) -> bool:
    return (
        (not want.types or any(matches(pattern, row.type) for pattern in want.types))
        and (not want.kinds or row.kind in want.kinds)
        and (not want.sources or row.source in want.sources)
        and (want.entity is None or row.entity == want.entity)
        and (want.since is None or row.at >= want.since)
        and (want.until is None or row.at < want.until)
    )


def _after(store: Store, want: LogFilter, after: int, limit: int) -> tuple[list[LogRow], int]:
    """The first records after a position that are wanted, and the position that was reached in looking for them."""
    rows: list[LogRow] = []
    while len(rows) < limit and (found := store.read_log(after, PAGE)):
        rows += [row for row in found if _wanted(row, want)]
        after = found[-1].seq
    return rows[:limit], rows[limit - 1].seq if len(rows) >= limit else after


def _form(store: Store, row: LogRow) -> dict[str, Any]:
    return {**forms.record(row), "position": token(store, row.seq)}


def _print_all(screen: Screen, store: Store, rows: Iterable[LogRow], ndjson: bool) -> None:
    for row in rows:
        if ndjson:
            line(_form(store, row))
        else:
            screen.line("  ".join(_fixed(row)), forms.description(row))


def _fixed(row: LogRow) -> Sequence[str]:
    from eventctl.text import safe_text

    return (
        f"e{row.seq}".ljust(7),
        local(row.at)[11:],
        safe_text(row.type, limit=60).ljust(24),
        safe_text(row.source, limit=60),
    )


def _line(row: LogRow) -> list[object]:
    return [f"e{row.seq}", local(row.at)[5:], row.type, row.source, forms.description(row)]


def _show_one(session: Session, store: Store, row: LogRow, as_json: bool) -> None:
    if as_json:
        document(_form(store, row))
        return
    screen = Screen(session)
    screen.title(f"e{row.seq}  {row.type}")
    screen.fields(
        [
            ("kind", row.kind), ("source", row.source), ("id", row.id), ("by", row.principal),
            ("at", f"{local(row.at)} ({screen.ago(row.at)})"), ("entity", row.entity),
            ("caused by", f"e{row.caused_by}" if row.caused_by else None),
        ],
        indent=2,
    )  # fmt: skip
    screen.line()
    screen.block(json_text(forms.value(row.body)))
    screen.say(f"what became of it: `eventctl why e{row.seq}`")
