"""`decisions`: what wants to act and waits for a person, what was made of it, and by whom."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from eventctl import client
from eventctl import decisions as machine
from eventctl.cli import forms, ids
from eventctl.cli.moving import LATER
from eventctl.cli.render import Cell, Screen, count, document, json_text, listing, local
from eventctl.cli.session import Lister, Session, json_option
from eventctl.cli.shortid import decision, number
from eventctl.cli.who import principal
from eventctl.store import DECISION_ENDS, Keys, Operations
from eventctl.times import ago

if TYPE_CHECKING:
    from eventctl.principal import Principal
    from eventctl.store import DecisionRow, Store

STATES = (*machine.OPEN, *DECISION_ENDS)
COLORS = {"held": "yellow", "window": "cyan", "failed": "red", "unknown": "red"}
OUTPUT_LINES = 20
ASKED = {
    "may call": "calls",
    "secrets": "secrets",
    "hosts": "hosts",
    "emits": "emits",
    "imports": "imports",
    "effects": "effects",
}
DIFFERENCE = {"new": "new", "wider": "wider", "no more": "gone"}


@click.group(cls=Lister)
def decisions() -> None:
    """What wants to act: what waits for a person, what can still be taken back, and how everything before was decided.

    `[autonomy]` in eventctl.toml says what has to ask; `eventctl autonomy explain` says why.
    """


@decisions.command("list", short_help="List what waits for a person.")
@click.option("--all", "everything", is_flag=True, help="Also what is decided, newest first.")
@click.option("--state", multiple=True, type=click.Choice(STATES), help="Only in this state; may be repeated.")
@click.option(
    "--domain", multiple=True, metavar="NAME", shell_complete=ids.DOMAINS, help="Only of this domain; may be repeated."
)
@click.option("-n", "--limit", default=50, show_default=True, type=click.IntRange(1, 1_000), help="How many.")
@click.option("--before", metavar="ID", help="Only older ones than this decision: the next page.")
@json_option
@click.pass_obj
def list_(
    session: Session, /, everything: bool, state: tuple[str, ...], domain: tuple[str, ...], limit: int, before: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """List what is held and what waits out its window, newest first.

    \b
    eventctl decisions list
    eventctl decisions list --all --domain software-development
    """
    below = number(before, "d", "decision") if before else None
    chosen = state or (() if everything else machine.WAITING)
    with session.reading() as store:
        rows = store.views.decisions(chosen, domains=domain, after=below, limit=limit)
    if as_json:
        listing([forms.decision(row) for row in rows])
        return
    screen = Screen(session)
    if not rows:
        screen.say("Nothing waits for a decision." if not (everything or state or domain) else "There is no such decision.")
        return
    screen.table(("id", "age", "state", "until", "who asks", "for what"), [_row(screen, row) for row in rows])
    screen.say(f"see one: `eventctl decisions show d{rows[0].number}`")
    if len(rows) >= limit:
        screen.say(f"older ones: --before d{rows[-1].number}")


@decisions.command(short_help="Show a decision with its evidence.")
@click.argument("given", metavar="ID", shell_complete=ids.DECISIONS)
@json_option
@click.pass_obj
def show(session: Session, /, given: str, as_json: bool) -> None:
    """Show what exactly will be done or was, who asks, which setting has it held, how often the like was approved, and how it ended.

    \b
    eventctl decisions show d3
    eventctl decisions show n12
    """
    with session.reading() as store:
        row = decision(store.views, given)
        found = store.snapshot(Keys(approvals=[row.kind], records=[row.seq], identities=[("outbox", row.call)]))
    about, answer = found.records.get(row.seq), found.identities.get(("outbox", row.call))
    approvals = found.approvals.get(row.kind, 0)
    said = forms.value(answer.body) if answer is not None else None
    if as_json:
        more = {"approvals": approvals, "about": forms.record(about) if about else None, "answer": said}
        document({**forms.decision(row), **more})
        return
    screen, body = Screen(session), forms.value(row.body)
    screen.title(f"d{row.number}  {body.get('summary', row.name)}")
    screen.fields(fields(row, body, approvals, about.type if about else "", screen.now), indent=2)
    screen.line()
    for label, lines in deeds(row, body):
        screen.heading(label)
        for line in lines:
            screen.block(line)
    _ended(screen, body, said)
    if row.state in machine.WAITING:
        verbs = (
            f"`eventctl decisions approve d{row.number}` or `deny d{row.number}`"
            if row.state == "held"
            else f"`eventctl decisions undo d{row.number}`"
        )
        screen.say(f"then: {verbs}")


@decisions.command(short_help="Let what is held act.")
@click.argument("given", metavar="ID...", nargs=-1, required=True, shell_complete=ids.HELD_DECISIONS)
@json_option
@click.pass_obj
def approve(session: Session, /, given: tuple[str, ...], as_json: bool) -> None:
    """Let held decisions act, each exactly as `show` shows it. Your name stands beside it.

    \b
    eventctl decisions approve d3
    eventctl decisions approve d3 d4 n12
    """
    _decide(session, "approve", given, as_json)


@decisions.command(short_help="Turn down what is held.")
@click.argument("given", metavar="ID...", nargs=-1, required=True, shell_complete=ids.HELD_DECISIONS)
@click.option("--reason", "-m", "why", default="", metavar="TEXT", help="Why, for whoever asked.")
@json_option
@click.pass_obj
def deny(session: Session, /, given: tuple[str, ...], why: str, as_json: bool) -> None:
    """Turn decisions down that are held, or that wait out their window. Whoever asked hears so, and why.

    \b
    eventctl decisions deny d3
    eventctl decisions deny d3 -m "not before Monday"
    """
    _decide(session, "deny", given, as_json, why=why)


@decisions.command(short_help="Take back what acts, or has acted.")
@click.argument("given", metavar="ID...", nargs=-1, required=True, shell_complete=ids.DECISIONS)
@json_option
@click.pass_obj
def undo(session: Session, /, given: tuple[str, ...], as_json: bool) -> None:
    """Take back what is about to act, or by its own undo what has acted, while there is time.

    \b
    eventctl decisions undo d3
    """
    _decide(session, "undo", given, as_json)


def _decide(session: Session, verb: str, given: tuple[str, ...], as_json: bool, *, why: str = "") -> None:
    """Each by a durable move of its own, in order; what is mistyped is no reason to have decided those before it."""
    who = principal(session)
    done: list[machine.Decided] = []
    try:
        with client.short(session.paths()) as store:
            wanted = [decision(store.views, each).number for each in given]
            done.extend(decide(store, verb, each, who, session.now(), why) for each in wanted)
    finally:
        _answer(session, done, as_json)


def decide(store: Store, verb: str, wanted: int, who: Principal, now: int, why: str = "") -> machine.Decided:
    """Approve, deny or undo one decision; what an install does is part of the commit that approves it. Raises as `machine.approve` does."""
    if verb == "deny":
        return machine.deny(store, wanted, principal=who, now=now, why=why)
    if verb == "undo":
        return machine.undo(store, wanted, principal=who, now=now)

    def at_once(row: DecisionRow) -> Operations:
        from eventctl import lifecycle

        return lifecycle.perform(store, row, who, now)

    return machine.approve(store, wanted, principal=who, now=now, at_once=at_once)


def _answer(session: Session, done: list[machine.Decided], as_json: bool) -> None:
    if as_json:
        listing([{**forms.decision(each.row), "move": each.seq} for each in done])
        return
    screen = Screen(session)
    for each in done:
        screen.line(f"d{each.row.number}  {words(each.row)}", machine.summary_of(each.row))
    owed = any(each.row.state in ("approved", "undoing") for each in done)
    if owed and client.run_info(session.paths()) is None:
        screen.say(LATER)


def words(row: DecisionRow) -> str:
    """How it stands, said to who has just decided it."""
    return {"approved": "approved", "done": "approved and done", "undoing": "is taken back", "undone": "taken back"}.get(
        row.state, row.state
    )


def _row(screen: Screen, row: DecisionRow) -> list[object]:
    until = local(row.due)[5:16] if row.due is not None and row.state in (*machine.WAITING, "done") else ""
    state = Cell(row.state, fg=COLORS.get(row.state))
    return [f"d{row.number}", screen.ago(row.asked_at), state, until, machine.asker(row), machine.summary_of(row)]


def fields(row: DecisionRow, body: Mapping[str, Any], approvals: int, about: str, now: int) -> Iterator[tuple[str, object]]:
    """How it stands, who asks and why, as names and values. `approvals` are those of its kind, `about` is its event's type."""
    yield "state", _state(row, now)
    yield "who asks", f"{_person(body.get('by', ''))}, {ago(row.asked_at, now)}"
    yield "because of", f"e{row.seq} {about}".strip() if row.seq else ""
    yield "level", f"{body.get('level', '')}  ({body.get('why', '')})"
    yield "approved", f"{count(approvals, 'time')} by a person, of this kind: {row.kind}"
    alone = machine.at_the_desk(row) and not (row.owner and row.name in ("install", "remove"))
    yield "who decides", "an admin" if alone else f"{machine.whose(row)}, or an admin"
    if row.decided_at is not None:
        yield "decided", f"by {_person(row.decided_by) or 'nobody: autonomy let it act'}, {ago(row.decided_at, now)}"


def _person(principal: str) -> str:
    """A principal as people say it: whoever sits at the command line by their name alone."""
    return principal.removeprefix("cli:")


def _state(row: DecisionRow, now: int) -> str:
    if row.due is None:
        return row.state
    when = f"{local(row.due)} ({ago(row.due, now)})"
    return {
        "held": f"held: waits for a person until {when}, and is denied then",
        "window": f"window: acts by itself at {when}, unless it is undone",
        "done": f"done: can be taken back until {when}",
    }.get(row.state, row.state)


def deeds(row: DecisionRow, body: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """What exactly is done, and what takes it back."""
    args = body.get("args") or {}
    yield "What is done", _change(args) if machine.at_the_desk(row) and args.get("id") else deed(row.name, args)
    if body.get("undo"):
        yield "What takes it back", deed(*body["undo"])


def _change(args: Mapping[str, Any]) -> list[str]:
    """A change of the workspace's cartridges as people read it before they say yes: what `install` showed to whoever asked."""
    before, after, judged = args.get("before") or {}, args.get("after") or {}, args.get("guardian") or {}
    asked, diff = judged.get("permissions") or {}, judged.get("diff") or {}
    there = f"{before['version']} ({before['digest'][7:19]})" if before else "nothing"
    pairs = [("place", args.get("place")), ("from", args.get("from")), ("there now", there)]
    pairs += [(label, ", ".join(asked.get(key, ()))) for label, key in ASKED.items()]
    pairs += [(label, ", ".join(diff.get(key, ()))) for label, key in DIFFERENCE.items()]
    pairs += [("runs", after.get("runs")), ("origin", args.get("origin")), ("digest", args.get("digest"))]
    if report := args.get("backtest"):
        pairs.append(("backtest", f"{report['records']:,} records: {json_text(report['counts'])}"))
    widest = max(len(label) for label, _ in pairs)
    lines = [f"{label.ljust(widest)}  {value}" for label, value in pairs if value]
    lines += [f"{'guardian'.ljust(widest)}  {judged['verdict']}"] if judged else []
    return [*lines, *(f"  {each['severity']}: {each['sentence']}" for each in judged.get("reasons", ()))]


def deed(name: str, args: Mapping[str, Any]) -> list[str]:
    """A call as people read it before they say yes to it: the words of a command one by one, all else as JSON."""
    argv = args.get("argv")
    if name == "command" and isinstance(argv, list):
        rest = {key: value for key, value in args.items() if key != "argv"}
        return [f"run  {shlex.join(str(word) for word in argv)}", *([json_text(rest)] if rest else [])]
    if name == "emit":
        return [f"emit  {args.get('event')}", json_text(args.get("payload", {}))]
    return [name, json_text(dict(args))] if args else [name]


def _ended(screen: Screen, body: Mapping[str, Any], said: Mapping[str, Any] | None) -> None:
    if body.get("error"):
        screen.heading("How it ended")
        screen.sentence(body["error"])
    if lines := output(said):
        screen.heading("What it said")
        screen.block("\n".join(lines))


def output(said: Mapping[str, Any] | None) -> list[str]:
    """The last lines that came with an answer."""
    result = said.get("result") if said else None
    given = result.get("output") if isinstance(result, Mapping) else None
    return str(given).splitlines()[-OUTPUT_LINES:] if given else []
