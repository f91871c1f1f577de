"""`silence`: what is kept quiet, for whom, until when and why. A maintenance window is a silence that comes again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eventctl import client
from eventctl.cli import ids
from eventctl.cli.params import DURATION, PATTERN
from eventctl.cli.render import Cell, Screen, count, document, listing, local, utc
from eventctl.cli.session import Lister, Session, json_option
from eventctl.cli.shortid import number
from eventctl.cli.who import member, principal
from eventctl.errors import UsageError
from eventctl.times import format_duration, parse_iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventctl.silences import Silence

ZONES = "/zoneinfo/"


@click.group(cls=Lister)
def silence() -> None:
    """Keep notifications quiet: for a while, or at hours that come again. Without a verb: the list.

    What is silenced is kept and counted. What is still open when a silence ends is back, and is news.
    """


@silence.command(short_help="Keep something quiet.")
@click.option("--type", "type_", type=PATTERN, metavar="PATTERN", help="Events like deployment.* or domain.**.")
@click.option("--source", default="", metavar="GLOB", help="From these sources: ci/*.")
@click.option("--entity", default="", metavar="URI", help="About this entity.")
@click.option("--domain", type=PATTERN, metavar="PATTERN", help="Of this domain.")
@click.option("--when", default="", metavar="CEL", help="For which this holds: payload.env == 'test'.")
@click.option("--for", "duration", type=DURATION, help="For so long: 2h, 3d.")
@click.option("--until", metavar="TIME", help="Until then: 2026-12-01T06:00:00Z.")
@click.option("--every", multiple=True, metavar="HOURS", help="At these hours only: 'Sat 22:00-06:00'; may be repeated.")
@click.option("--timezone", metavar="ZONE", help="Where these hours are read: Europe/Berlin (default: this machine's).")
@click.option("--mine", is_flag=True, help="For yourself only; without it for everybody, which an admin may.")
@click.option("--reason", required=True, metavar="TEXT", help="Why. Whoever looks for what they do not see is told.")
@json_option
@click.pass_obj
def add(
    session: Session,
    /,
    type_: str | None,
    source: str,
    entity: str,
    domain: str | None,
    when: str,
    duration: int | None,
    until: str | None,
    every: tuple[str, ...],
    timezone: str | None,
    mine: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Keep what opens or changes from now on quiet, for everybody or for yourself. A resolving event passes through.

    With --every it is on at those hours only, and goes on for 90 days unless --for or --until says how long.

    \b
    eventctl silence add --type 'deployment.*' --for 2h --reason "rolling out the new cluster"
    eventctl silence add --entity host/db1 --every "Sat 22:00-06:00" --until 2027-01-01T00:00:00Z --reason "backups"
    eventctl silence add --source 'ci/*' --for 1d --mine --reason "on call elsewhere"
    """
    from eventctl import silences

    ends = _until(session, duration, until, recurring=bool(every))
    if timezone and not every:
        raise UsageError("--timezone is where --every is read", hint="say --every 'Sat 22:00-06:00' too")
    zone = (timezone or _zone(session.env)) if every else ""
    wanted = silences.Silence(
        0, "", 0, ends, type=type_ or "", source=source, entity=entity, domain=domain or "", when=when, every=every, timezone=zone,
        reason=reason, member=member(session) if mine else "",
    )  # fmt: skip
    with client.short(session.paths()) as store:
        made = silences.add(store, wanted, principal=principal(session), now=session.now())
    if as_json:
        document(_form(made))
        return
    screen = Screen(session)
    screen.line(f"{made.name}  quiet {_when(made)}", silences.words(made))
    if every and duration is None and until is None:
        screen.say(
            f"a silence that comes again goes on for {format_duration(silences.RECURRING_FOR)} unless --until says otherwise"
        )
    _say_when(session, screen)


@silence.command("list", short_help="List silences, with how much each kept quiet.")
@click.option("--all", "all_", is_flag=True, help="With those that are over.")
@json_option
@click.pass_obj
def list_(session: Session, /, all_: bool, as_json: bool) -> None:
    """List what is kept quiet, for whom, until when, and how many events each silence has kept quiet.

    \b
    eventctl silence
    eventctl silence list --all --json
    """
    from eventctl import silences

    with session.reading() as store:
        found = list(silences.standing(store).values())
        if all_:
            found = [*silences.ended(store).values(), *found]
    if as_json:
        listing([{**_form(each), "on": each.quiet_until(session.now()) is not None} for each in found])
        return
    screen = Screen(session)
    if not found:
        screen.say("Nothing is silenced. `eventctl silence add --help` says how.")
        return
    screen.table(("id", "kept", "for", "ends", "what", "why"), [_row(screen, each) for each in found], right=(1,))
    for each in found:
        if each.errors:
            screen.say(f"{each.name} had no answer for {count(each.errors, 'event')}, which it let through: {each.error}")


@silence.command(short_help="End a silence; what is still open comes back.")
@click.argument("given", metavar="ID", shell_complete=ids.SILENCES)
@json_option
@click.pass_obj
def end(session: Session, /, given: str, as_json: bool) -> None:
    """End a silence. What it keeps quiet and is still open is back in the inbox, and is news.

    \b
    eventctl silence end s42
    """
    from eventctl import silences

    wanted = number(given, "s", "silence")
    with client.short(session.paths()) as store:
        made = silences.end(store, wanted, principal=principal(session), now=session.now())
    if as_json:
        document(_form(made))
        return
    screen = Screen(session)
    screen.line(f"{made.name}  ended, kept {count(made.kept, 'event')} quiet", silences.words(made))
    _say_when(session, screen)


def _say_when(session: Session, screen: Screen) -> None:
    if client.run_info(session.paths()) is None:
        screen.say("it takes effect when a runner comes to it: `eventctl run --until-idle`")


def _until(session: Session, duration: int | None, until: str | None, *, recurring: bool) -> int:
    from eventctl.silences import RECURRING_FOR

    if duration is not None and until is not None:
        raise UsageError("a silence ends once: --for or --until")
    if until is not None:
        try:
            return parse_iso(until)
        except ValueError as wrong:
            raise UsageError(str(wrong), where="--until") from None
    if duration is None and not recurring:
        raise UsageError("a silence has an end", hint="--for 2h, --until TIME, or --every 'Sat 22:00-06:00'")
    return session.now() + (RECURRING_FOR if duration is None else duration)


def _zone(env: Mapping[str, str]) -> str:
    """The zone of this machine; UTC where it has no name."""
    from zoneinfo import available_timezones

    named = env.get("TZ", "").removeprefix(":")
    linked = str(Path("/etc/localtime").resolve())
    found = named or (linked.partition(ZONES)[2] if ZONES in linked else "")
    return found if found in available_timezones() else "UTC"


def _when(each: Silence) -> str:
    hours = f"{', '.join(each.every)} {each.timezone} " if each.every else ""
    return f"{hours}until {local(each.until)}"


def _row(screen: Screen, each: Silence) -> list[object]:
    from eventctl import silences

    over = f"over {screen.ago(each.ended)}" + (f", by {each.ended_by}" if each.ended_by else "")
    ends = over if each.ended else screen.ago(each.until)
    hours = f" at {', '.join(each.every)} {each.timezone}" if each.every else ""
    dim = bool(each.ended)
    return [
        each.name, f"{each.kept:,}", Cell(each.member or "everybody", dim=dim), Cell(ends, dim=dim),
        Cell(silences.words(each) + hours, dim=dim), Cell(f"{each.reason} ({each.by})", dim=dim),
    ]  # fmt: skip


def _form(each: Silence) -> dict[str, Any]:
    return {
        "number": each.number, "short": each.name, "for": each.member or None, "by": each.by, "since": utc(each.since),
        "until": utc(each.until), "type": each.type or None, "source": each.source or None, "entity": each.entity or None,
        "domain": each.domain or None, "when": each.when or None, "every": list(each.every), "timezone": each.timezone or None,
        "reason": each.reason, "kept": each.kept, "last_kept": utc(each.last or None), "errors": each.errors,
        "error": each.error or None, "ended": utc(each.ended or None), "ended_by": each.ended_by or None,
    }  # fmt: skip
