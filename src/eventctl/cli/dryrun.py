"""`emit --dry-run`: what would become of an event, on screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventctl.cli import forms
from eventctl.cli.params import LEVEL_NAMES
from eventctl.cli.render import Screen, count, document, json_text
from eventctl.cli.wiring import house_of

if TYPE_CHECKING:
    from eventctl.cli.session import Session
    from eventctl.dryrun import Foreseen
    from eventctl.notification import Notification
    from eventctl.store import DecisionRow, Record


def dry_run(session: Session, record: Record, *, as_json: bool) -> None:
    """Say what would become of the record. Writes nothing, whether a runner is there or not."""
    from eventctl.dryrun import foresee

    house = house_of(session)
    with session.reading() as store:
        found = foresee(store, house.planned(house.scan(store)), record)
    if as_json:
        document(_form(found))
    else:
        _show(Screen(session), found)


def _form(found: Foreseen) -> dict[str, Any]:
    import orjson

    return {
        "dry_run": True, "event": found.type, "duplicate_of": found.duplicate_of,
        "pipelines": [{**ending._asdict(), "cartridges": found.met.get(ending.pipeline, [])} for ending in found.endings],
        "annotations": found.annotations,
        "notifications": [
            {"id": row.id, "opened": before is None, "title": row.title, "level": LEVEL_NAMES[row.level], "audience": row.audience,
             "agent_state": row.agent_state, "news": before is None or row.news > before.news, "silenced_by": row.silenced_by}
            for before, row in found.notifications
        ],
        "emitted": [{"event": row.type, "source": row.source, "payload": orjson.loads(row.body).get("payload")} for row in found.made],
        "calls": [{"name": name, "args": args} for name, args in found.calls],
        "decisions": [_decided(row) for row in found.decisions],
        "unread": found.unread,
    }  # fmt: skip


def _decided(row: DecisionRow) -> dict[str, Any]:
    """What would want to act; the number that it has in a dry run means nothing."""
    return {name: value for name, value in forms.decision(row).items() if name not in ("number", "short", "seq", "version")}


def _show(screen: Screen, found: Foreseen) -> None:
    import orjson

    screen.say("a dry run: nothing was written")
    if found.unread:
        screen.say(f"{count(found.unread, 'record')} before it have not been worked off, and are not taken into account")
    screen.title(found.type)
    if found.duplicate_of is not None:
        screen.line(f"  is e{found.duplicate_of}: its source and id are in the log already, and nothing would be added")
        return
    for ending in found.endings:
        by = f" by {ending.cartridge}" if ending.cartridge else ""
        names = ", ".join(found.met.get(ending.pipeline, []))
        screen.line(f"  {ending.pipeline}: {ending.state}{by}", ending.reason or names)
    for slot, value in found.annotations.items():
        screen.line(f"  annotation {slot}", orjson.dumps(value).decode())
    for before, row in found.notifications:
        screen.line(f"  {_what(before, row)}", f"{row.title} ({LEVEL_NAMES[row.level]}, {row.audience})")
    for made in found.made:
        screen.line(f"  emits {made.type}", orjson.dumps(orjson.loads(made.body).get("payload")).decode())
    for name, args in found.calls:
        screen.line(f"  would call {name}", json_text(args).replace("\n", " "))
    from eventctl.asked import words

    for asked in found.decisions:
        screen.line("  wants to act", words(asked))


def _what(before: Notification | None, row: Notification) -> str:
    if before is None:
        done = "opens a notification" if row.agent_state != "resolved" else "opens and resolves a notification"
    elif row.agent_state == "resolved" and before.agent_state != "resolved":
        done = f"resolves n{row.id}"
    else:
        done = f"changes n{row.id}"
    quiet = f", silenced by {row.silenced_by}" if row.silenced_by else ""
    return done + quiet
