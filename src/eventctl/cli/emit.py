"""`emit`: from flags or a stream to the log, on the shortest way there is. Durable when it answers."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from eventctl import client, helpdesk
from eventctl.cli.params import LEVEL
from eventctl.cli.session import Session, Verb, json_option, refusal, unallowed
from eventctl.decode import decode, to_record
from eventctl.errors import EventctlError, NotFound, NotPermitted, Refused, UsageError
from eventctl.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventctl.cli.intake import Counts, Intake

COMPLAINTS_MAX = 20
"""Bad lines of a stream that are named; the rest is counted, and all of them are kept as rejects."""


@click.command(cls=Verb, short_help="Append an event, or a stream of them.")
@click.argument("type_", metavar="[TYPE]", required=False)
@click.option("--source", metavar="S", help="Who says so. With --id it names the event for good.")
@click.option("--level", type=LEVEL, help="infrastructure, operational, workflow, business (default: the type's).")
@click.option("--domain", metavar="D", help="The domain it belongs to.")
@click.option("--entity", metavar="URI", help="What it is about, like eventctl://deployment/api.")
@click.option("--description", metavar="TEXT", help="One sentence for people.")
@click.option("--visibility", type=click.Choice(["local", "cluster", "public"]), help="How far it may travel.")
@click.option("--id", "id_", metavar="ID", help="Its id; the same source and id again is a duplicate (default: a new one).")
@click.option("--timestamp", metavar="TIME", help="When it happened, like 2026-11-20T10:00:00Z (default: now).")
@click.option("--payload", metavar="JSON|@FILE", help="Its data, a JSON object; @- reads it from the standard input.")
@click.option("--ndjson", metavar="FILE|-", help="Append one envelope a line.")
@click.option("--journald", metavar="FILE|-", help="Append lines of `journalctl -o json`.")
@click.option("--git", "repository", metavar="DIR", help="Append the commits of a git repository.")
@click.option("--dry-run", is_flag=True, help="Say what would become of it, and write nothing.")
@json_option
@click.pass_obj
def emit(session: Session, /, type_: str | None, dry_run: bool, as_json: bool, **flags: Any) -> None:
    """Append an event; it is durable when this returns. The answer is its short id.

    \b
    eventctl emit deployment.failed --source ci --payload '{"slug": "api", "sha": "a1", "reason": "timeout"}'
    eventctl emit --ndjson events.ndjson
    journalctl -o json -f | eventctl emit --journald -
    eventctl emit --git .

    A bad line of a stream is named on stderr and kept (see `eventctl rejects list`), the good ones go in, and the exit code is 1.
    """
    streams = {name: flags.pop(name) for name in ("ndjson", "journald", "repository")}
    given = [name for name, value in streams.items() if value is not None]
    if len(given) + (type_ is not None) != 1:
        raise UsageError(
            "emit takes one thing at a time: a TYPE, --ndjson, --journald or --git",
            hint="eventctl emit deployment.failed --source ci",
        )
    if type_ is not None:
        _emit_one(session, type_, flags, as_json, dry_run=dry_run)
        return
    if dry_run:
        raise UsageError("--dry-run is for one event, not for a stream of them", hint="name its TYPE and --source")
    extra = [name for name, value in flags.items() if value is not None]
    if extra:
        raise UsageError(f"--{extra[0].rstrip('_')} describes one event and does not go with a stream of them")
    _emit_stream(session, given[0], streams[given[0]], as_json)


def _emit_one(session: Session, type_: str, flags: dict[str, Any], as_json: bool, *, dry_run: bool) -> None:
    if not flags["source"]:
        raise UsageError("an event has a source", hint=f"eventctl emit {type_} --source NAME")
    principal = session.producer()
    paths = session.paths()
    now = session.now()
    raw = _envelope(type_, flags, paths.root)
    if (flags["payload"] or "").startswith("@") and flags["payload"] != "@-":
        principal = helpdesk.speaker(principal, paths.root, Path(flags["payload"][1:]))
    try:
        record = to_record(decode(raw, now=now), principal=str(principal), at=now)
    except Refused as wrong:
        if not dry_run:
            client.append(paths, [], rejects=[(principal.channel, now, refusal(wrong), raw)])
        raise Refused(refusal(wrong), hint=wrong.hint) from None
    reason = unallowed(principal, record)
    if reason:
        raise NotPermitted(reason, hint="an agent emits under agent.**")
    if dry_run:
        from eventctl.cli import dryrun

        dryrun.dry_run(session, record, as_json=as_json)
        return
    appended = client.append(paths, [record])[0]
    if as_json:
        from eventctl.cli.render import document

        repeated = {"duplicate_of": appended.seq} if appended.duplicate else {}
        document({"id": record.id, "seq": appended.seq, **repeated})
        return
    click.echo(f"e{appended.seq}")
    if appended.duplicate:
        click.echo(f"this id from {safe_text(record.source, limit=80)} was in the log already: nothing was added", err=True)


def _envelope(type_: str, flags: dict[str, Any], root: Path) -> bytes:
    """The flags as an envelope. The payload goes in as it was written, so that the decoder judges it and not a parsed copy."""
    import orjson

    names = {"id_": "id"}
    fields = {names.get(name, name): value for name, value in flags.items() if value is not None and name != "payload"}
    try:
        head = orjson.dumps({"event": type_, **fields})
    except TypeError:  # orjson: str is not valid UTF-8
        raise UsageError("an event is text in UTF-8, and one of these words is not") from None
    if flags["payload"] is None:
        return head
    payload = _payload(flags["payload"], root)
    try:
        orjson.loads(payload)  # one whole JSON value: it cannot end early and go on as fields of the envelope
    except orjson.JSONDecodeError as wrong:
        raise UsageError(f"the payload is not JSON: {wrong}", hint="""quote it for the shell: --payload '{"n": 1}'""") from None
    return head[:-1] + b',"payload":' + payload + b"}"


def _payload(text: str, root: Path) -> bytes:
    if not text.startswith("@"):
        return text.encode(errors="surrogateescape")
    with _opened(root, text[1:]) as stream:
        return stream.read()


def _emit_stream(session: Session, kind: str, name: str, as_json: bool) -> None:
    from eventctl.cli import intake as intakes

    paths = session.paths()
    principal = session.producer() if name == "-" else helpdesk.speaker(session.producer(), paths.root, Path(name))
    place = "" if name == "-" else f"{name}:"

    def complain(number: int, reason: str) -> None:
        if intake.counts.refused <= COMPLAINTS_MAX:
            click.echo(safe_text(f"{place}line {number}: {reason}", limit=1_000), err=True)

    with client.Appender(paths) as appender:
        intake = intakes.Intake(appender, principal, session.now, complain)
        try:
            if kind == "repository":
                _pour_repository(intake, name)
            else:
                with _opened(paths.root, name) as stream:
                    intakes.pour(intake, intakes.Lines(stream).groups(), _journal_line if kind == "journald" else None)
        except (EventctlError, OSError):
            _answer_cut_short(intake, as_json)
            raise
        _answer(intake.counts, as_json)
    if intake.counts.refused:
        raise click.exceptions.Exit(1)


def _pour_repository(intake: Intake, name: str) -> None:
    from eventctl.cli.intake import pour_envelopes
    from eventctl.gitlog import envelopes

    pour_envelopes(intake, envelopes(Path(name)))


def _journal_line(raw: bytes) -> bytes:
    import orjson

    from eventctl.journald import envelope

    try:
        entry = orjson.loads(raw)
    except orjson.JSONDecodeError as wrong:
        raise Refused(f"not JSON: {wrong}") from None
    if not isinstance(entry, dict):
        raise Refused("a journal entry is a JSON object")
    return orjson.dumps(envelope(entry))


def _answer_cut_short(intake: Intake, as_json: bool) -> None:
    """What came in before something stopped the stream; nothing when it never began."""
    if intake.counts != type(intake.counts)():
        _answer(intake.counts, as_json)
    if intake.pending:
        lines = "line was" if intake.pending == 1 else "lines were"
        click.echo(f"{intake.pending:,} {lines} read and not taken, and what follows was not read", err=True)


def _answer(counts: Counts, as_json: bool) -> None:
    from eventctl.cli.render import count, document

    if as_json:
        document(
            {
                "accepted": counts.accepted, "duplicates": counts.duplicates, "refused": counts.refused,
                "first_seq": counts.first, "last_seq": counts.last,
            }
        )  # fmt: skip
        return
    span = f" (e{counts.first} to e{counts.last})" if counts.accepted > 1 else f" (e{counts.first})" if counts.accepted else ""
    parts = [f"{count(counts.accepted, 'event')} in{span}"]
    parts += [f"{counts.duplicates:,} already there"] if counts.duplicates else []
    parts += [f"{counts.refused:,} refused"] if counts.refused else []
    click.echo(", ".join(parts))
    if counts.refused > COMPLAINTS_MAX:
        click.echo(f"... and {counts.refused - COMPLAINTS_MAX:,} more", err=True)
    if counts.refused:
        click.echo("what was refused is kept: `eventctl rejects list`", err=True)


@contextmanager
def _opened(root: Path, name: str) -> Iterator[BinaryIO]:
    if name == "-":
        if sys.stdin.isatty():
            click.echo("reading from the keyboard; Ctrl-D ends it", err=True)
        yield sys.stdin.buffer
        return
    path = Path(name)
    if not path.exists():
        raise NotFound("there is no such file", where=name)
    with helpdesk.opened(root, path) if helpdesk.lies_in(root, path) else path.open("rb") as file:
        yield file
