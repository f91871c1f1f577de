"""`inbox`: what wants attention, and the moves that people and agents make with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from eventctl import inboxquery, whyshaped
from eventctl.cli import forms, ids, moving
from eventctl.cli.act import act
from eventctl.cli.params import DURATION, LEVEL, LEVEL_NAMES, MOMENT, PATTERN
from eventctl.cli.render import Cell, Screen, count, document, listing, local, utc
from eventctl.cli.session import Lister, Session, Verb, json_option
from eventctl.cli.shortid import notification
from eventctl.cli.unshown import Unshown, counted
from eventctl.cli.who import audience, eyes
from eventctl.cli.who import lease as configured_lease
from eventctl.declared import META, Declared
from eventctl.notification import Notification
from eventctl.offers import Offer, offers
from eventctl.store import LogRow, Store
from eventctl.times import ago
from eventctl.views import InboxItem, InboxPage

TOKEN = click.option("--token", type=int, metavar="N", help="The claim it belongs to; one that is over is a conflict.")


@click.group(cls=Lister)
def inbox() -> None:
    """What wants attention. Without a verb: the list.

    A notification has two sides: what each member has seen of it, and what an agent or a person does about it.
    """


@inbox.command("list", short_help="List notifications, the most urgent first.")
@click.option(
    "--type", "types", multiple=True, type=PATTERN, metavar="PATTERN", help="Like deployment.* or domain.**; may be repeated."
)
@click.option("--level", "level_min", type=LEVEL, default=0, metavar="LEVEL", help="At least this level.")
@click.option("--domain", "domains", multiple=True, type=PATTERN, metavar="PATTERN", help="Of this domain; may be repeated.")
@click.option("--entity", metavar="URI", help="About this entity.")
@click.option(
    "--state", "states", multiple=True, type=click.Choice(inboxquery.STATES), help="What is being done; may be repeated."
)
@click.option("--audience", multiple=True, metavar="WHOM", help="workspace, domain:NAME or member:NAME; may be repeated.")
@click.option("--since", type=MOMENT, metavar="TIME", help="Changed since then: 2h, or 2026-11-20T10:00:00Z.")
@click.option("--until", type=MOMENT, metavar="TIME", help="Last changed before then.")
@click.option("--text", multiple=True, metavar="WORDS", help="With all these words in the title or in the newest event.")
@click.option("--where", default="", metavar="CEL", help="Whose newest event fulfils this condition.")
@click.option("--unseen", is_flag=True, help="Only what you have not seen.")
@click.option("--resolved", is_flag=True, help="With what is resolved.")
@click.option("--archived", is_flag=True, help="With what is resolved, and what was put away.")
@click.option("--snoozed", is_flag=True, help="With what you have snoozed.")
@click.option("--silenced", is_flag=True, help="What is silenced, and nothing else.")
@click.option("--others", is_flag=True, help="With what is for other domains and members than yours.")
@click.option("--order", type=click.Choice(inboxquery.ORDERS), default="level", show_default=True, help="What comes first.")
@click.option("-n", "--limit", default=50, show_default=True, type=click.IntRange(1, 1_000), help="How many.")
@click.option("--after", default="", metavar="TOKEN", help="The next page: the token that the last one ended with.")
@json_option
@click.pass_obj
def list_(
    session: Session,
    /,
    limit: int,
    after: str,
    where: str,
    as_json: bool,
    **said: Any,
) -> None:
    """List what is open, by level, the newest change first. `*` marks what you have not seen.

    Who has `domains` in eventctl.toml sees what is for the workspace, for those domains and for them.

    \b
    eventctl inbox
    eventctl inbox list --unseen --level workflow
    eventctl inbox list --type 'deployment.*' --since 2d --resolved --json
    eventctl inbox list --order age --where 'payload.slug == "api"'
    """
    usual = inboxquery.usual(eyes(session), audience(session), session.now())
    want = inboxquery.narrowed(usual, **said)
    with session.reading() as store:
        page = _page(store, inboxquery.Query(want, where), limit, after)
        if as_json:
            listing([forms.item(item) for item in page.items], next=page.next or None)
            return
        rest = Unshown.of(store, inboxquery.Query(want, where), usual, empty=not page.items)
    _show_page(Screen(session), page, rest, filtered=bool(where) or want != replace(usual, order=want.order))


def _page(store: Store, query: inboxquery.Query, limit: int, after: str) -> InboxPage:
    """A page that is full, or all there is, however far a condition has to be looked for."""
    items: list[InboxItem] = []
    while True:
        page = inboxquery.page(store, query, limit=limit - len(items), after=after)
        items, after = items + page.items, page.next
        if page.whole:
            return InboxPage(items, after)


@inbox.command(short_help="Show one notification with its history.")
@click.argument("given", metavar="ID", shell_complete=ids.PUT_AWAY)
@json_option
@click.pass_obj
def show(session: Session, /, given: str, as_json: bool) -> None:
    """Show a notification, who does what about it, and the events and moves of its life.

    \b
    eventctl inbox show n7
    """
    with session.reading() as store:
        row = notification(store.views, given)
        life = store.views.life(row.id)
        seen = store.views.member_views(row.id)
        noted = store.views.trace(row.seq) if row.silenced_by is not None else None
        available = offered(store, row)
    quiet = whyshaped.quiet(row, noted.annotations if noted else {}, session.now(), local)
    views = {view.member: {"seen": view.seen >= row.news, "snoozed_until": utc(view.snooze_until)} for view in seen}
    if as_json:
        document(
            {
                **forms.notification(row),
                "members": views,
                "actions": [each._asdict() for each in available],
                "history": [forms.record(each) for each in life],
            }
        )
        return
    screen = Screen(session)
    screen.title(row.title)
    screen.fields(fields(row, [name for name, view in views.items() if view["seen"]], quiet, screen.now), indent=2)
    screen.line()
    screen.table(("id", "time", "what", "by", ""), [step(each) for each in life])
    if available:
        screen.line()
        screen.table(("action", "", "emits"), [(each.name, each.summary, each.emits) for each in available])
        screen.say(f"take one: `eventctl inbox act n{row.id} ACTION`")
    screen.say(f"why it is here: `eventctl why n{row.id}`")


def _verb(name: str, short: str, *options: Any) -> Callable[[Callable[..., None]], click.Command]:
    """A move as a command: its own options, then the notifications it is about."""

    def decorate(function: Callable[..., None]) -> click.Command:
        command: Any = click.pass_obj(function)
        offered = ids.PUT_AWAY if name in ("unarchive", "reopen") else ids.NOTIFICATIONS
        given = click.argument("given", metavar="ID...", nargs=-1, required=True, shell_complete=offered)
        for option in (json_option, *options, given):
            command = option(command)
        made: click.Command = inbox.command(name, cls=Verb, short_help=short)(command)
        return made

    return decorate


@_verb("seen", "Mark as seen, for you.")
def seen(session: Session, /, given: tuple[str, ...], as_json: bool) -> None:
    """Mark notifications as seen by you. News of them brings them back.

    \b
    eventctl inbox seen n7 n8
    """
    moving.move(session, "seen", given, as_json, said="seen")


@_verb("unseen", "Mark as not seen, for you.")
def unseen(session: Session, /, given: tuple[str, ...], as_json: bool) -> None:
    """Mark notifications as not seen by you.

    \b
    eventctl inbox unseen n7
    """
    moving.move(session, "unseen", given, as_json, said="unseen")


@_verb(
    "claim",
    "Take to work on, for a while.",
    click.option("--lease", type=DURATION, help="For how long (default: the setting inbox.lease)."),
)
def claim(session: Session, /, given: tuple[str, ...], lease: int | None, as_json: bool) -> None:
    """Take notifications to work on. Exit code 4 says that somebody else was first.

    The claim ends by itself after its lease; claiming again before that extends it.

    \b
    eventctl inbox claim n7 --agent builder --lease 30m
    """
    moving.move(session, "claim", given, as_json, said="yours", lease=configured_lease(session) if lease is None else lease)


@_verb("start", "Say that work on a claimed one has begun.", TOKEN)
def start(session: Session, /, given: tuple[str, ...], token: int | None, as_json: bool) -> None:
    """Say that you are working on what you have claimed.

    \b
    eventctl inbox start n7 --agent builder
    """
    moving.move(session, "start", given, as_json, said="in progress", token=token)


@_verb(
    "release",
    "Give a claimed one back.",
    click.option("--reason", "-m", default="", metavar="TEXT", help="Why, for whoever takes it next."),
    TOKEN,
)
def release(session: Session, /, given: tuple[str, ...], token: int | None, reason: str, as_json: bool) -> None:
    """Give back what you have claimed.

    \b
    eventctl inbox release n7
    eventctl inbox release n7 --agent builder -m "needs the password of the registry"
    """
    moving.move(session, "release", given, as_json, said="free again", token=token, reason=reason)


@_verb(
    "resolve",
    "Settle, with a word on how.",
    click.option("--summary", "-m", default="", metavar="TEXT", help="How it was settled."),
    click.option("--link", metavar="URL", help="Where the fix can be seen."),
    TOKEN,
)
def resolve(
    session: Session, /, given: tuple[str, ...], summary: str, link: str | None, token: int | None, as_json: bool
) -> None:
    """Settle notifications. You need not have claimed them.

    \b
    eventctl inbox resolve n7 -m "raised the timeout" --link https://example.org/pull/12
    """
    resolution = {"summary": summary, **({"link": link} if link else {})}
    moving.move(session, "resolve", given, as_json, said="resolved", resolution=resolution, token=token)


@_verb("reopen", "Take back that it is resolved.")
def reopen(session: Session, /, given: tuple[str, ...], as_json: bool) -> None:
    """Open notifications again that were resolved too early, or by mistake. Nobody holds them then.

    \b
    eventctl inbox reopen n7
    """
    moving.move(session, "reopen", given, as_json, said="open again")


@_verb(
    "snooze",
    "Hear nothing of it for a while.",
    click.option("--for", "duration", type=DURATION, default="1d", show_default=True, help="For how long."),
)
def snooze(session: Session, /, given: tuple[str, ...], duration: int, as_json: bool) -> None:
    """Leave notifications out of your list for a while. Nobody else's changes.

    \b
    eventctl inbox snooze n7 --for 3d
    """
    moving.move(session, "snooze", given, as_json, said="snoozed", until=session.now() + duration)


@_verb("unsnooze", "End a snooze.")
def unsnooze(session: Session, /, given: tuple[str, ...], as_json: bool) -> None:
    """Bring notifications that you have snoozed back into your list.

    \b
    eventctl inbox unsnooze n7
    """
    moving.move(session, "unsnooze", given, as_json, said="back in your list")


@_verb("archive", "Put away, for everybody.")
def archive(session: Session, /, given: tuple[str, ...], as_json: bool) -> None:
    """Put notifications away for everybody; `inbox list --archived` still shows them.

    \b
    eventctl inbox archive n7 n8
    """
    moving.move(session, "archive", given, as_json, said="archived")


@_verb("unarchive", "Bring back what was put away.")
def unarchive(session: Session, /, given: tuple[str, ...], as_json: bool) -> None:
    """Bring notifications that were put away back.

    \b
    eventctl inbox unarchive n7
    """
    moving.move(session, "unarchive", given, as_json, said="back in the inbox")


inbox.add_command(act)


def _show_page(screen: Screen, page: InboxPage, rest: Unshown, *, filtered: bool) -> None:
    hidden = rest.said(lambda option: f"--{option}")
    if page.items:
        screen.table(("", "id", "level", "age", "state", "title"), [_row(screen, item) for item in page.items], right=(3,))
        fresh = sum(not item.seen for item in page.items)
        parts = [f"{count(len(page.items), 'notification')}, {fresh} unseen", hidden]
        parts += [f"the next page: --after {page.next}"] if page.next else []
        screen.say("; ".join(part for part in parts if part))
        return
    said = "Nothing here fits." if filtered else "Nothing wants attention."
    screen.say(f"{said} {hidden}".rstrip())
    if rest.waiting:
        events = "event" if rest.waiting == 1 else "events"
        screen.say(f"{counted(rest.waiting)} {events} not worked on yet: `eventctl run --until-idle`")
    elif not filtered and not hidden:
        screen.say("`eventctl exec -- make test` records how a command went; `eventctl demo` shows a busy inbox.")


def _row(screen: Screen, item: InboxItem) -> list[object]:
    row = item.notification
    settled = row.agent_state == "resolved" or row.archived_at is not None
    return [
        "" if item.seen else Cell("*", fg="green", bold=True),
        f"n{row.id}",
        screen.level(row.level),
        screen.ago(row.updated_at).removesuffix(" ago"),
        Cell(_state(row, item.snooze_until, screen.now), dim=settled),
        Cell(row.title, bold=not item.seen and not settled, dim=settled),
    ]


def _state(row: Notification, snooze_until: int | None, now: int) -> str:
    if row.archived_at is not None:
        return "archived"
    if row.agent_state == "claimed":
        return f"claimed by {row.agent}"
    if row.agent_state == "in_progress":
        return f"{row.agent} is on it"
    if row.agent_state == "resolved":
        return "resolved"
    if snooze_until and snooze_until > now:
        return f"snoozed, back {ago(snooze_until, now)}"
    if row.silenced_until and row.silenced_until > now:
        return _silenced(row.silenced_by or "", row.silenced_until, now)
    return "open"


def _silenced(by: str, until: int, now: int) -> str:
    return f"in {by}" if by.startswith("n") else f"silenced by {by.removeprefix('rule:')}, back {ago(until, now)}"


def offered(store: Store, row: Notification) -> list[Offer]:
    """What may be done about it: as the pipelines knew the types, for the catalog costs a quarter second."""
    newest, declared = store.views.record(row.seq), Declared.read(store.meta(META) or '{"types": {}, "keys": {}}')
    return offers(declared.actions(newest.type), newest) if newest and row.archived_at is None else []


def fields(row: Notification, seen_by: list[str], quiet: list[str], now: int) -> list[tuple[str, object]]:
    """What there is to know about a notification, by name; a value that is None or "" stands for nothing. Values may quote strangers."""
    resolution = forms.value(row.resolution) or {}
    summary = resolution.get("summary") if isinstance(resolution, dict) else resolution
    return [
        ("id", f"n{row.id}"),
        ("level", LEVEL_NAMES[row.level]),
        ("state", _state(row, None, now)),
        ("quiet", " ".join(quiet)),
        ("settled", summary),
        ("for", row.audience),
        ("domain", row.domain),
        ("entity", row.entity),
        ("life", f"{row.life} {row.life_key}"),
        ("opened", f"{local(row.created_at)} ({ago(row.created_at, now)}) by e{row.opened_seq}"),
        ("changed", f"{local(row.updated_at)} ({ago(row.updated_at, now)}), newest event e{row.seq}"),
        ("lease", f"ends {ago(row.lease_due, now)}" if row.lease_due else None),
        ("seen by", ", ".join(seen_by) or "nobody yet"),
    ]


def step(row: LogRow) -> list[object]:
    """A record of a life as a line: its id, when, what, by whom, and what it says of itself. Cells may quote strangers."""
    what = row.type if row.kind == "event" else forms.description(row)
    by = row.source if row.kind == "event" else row.principal
    return [f"e{row.seq}", local(row.at)[5:], what, by, forms.description(row) if row.kind == "event" else ""]
