"""How a workspace is: what is wrong and what to do about it, and cards of what there is to know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from eventctl import client, company, settings
from eventctl.cli.autonomy import levels, matrix_in
from eventctl.cli.backup import size
from eventctl.cli.doctor import Check, quick
from eventctl.cli.render import count
from eventctl.cli.status import blamed_in, held
from eventctl.cli.unfinished import unfinished
from eventctl.errors import EventctlError
from eventctl.shapes import written_duration
from eventctl.times import ago
from eventctl.tui.look import Cell, age, said

if TYPE_CHECKING:
    from pathlib import Path

    from eventctl.beginning import Person
    from eventctl.cli.session import Session
    from eventctl.store import CursorRow, OutboxRow, Store
    from eventctl.views import Counts
    from eventctl.workspace import Paths

OWED = ("pending", "sending", "retry", "dead", "unknown")
OWED_WORDS = {"dead": "given up", "unknown": "nobody saw the end of"}
OWED_MAX = 500
"""Effects that are looked at; of more, the newest."""

LISTED_MAX = 8
"""Lines of a card that name single things; what is more is counted."""


class Fact(NamedTuple):
    """A line of a card: its name, and what is so."""

    name: str
    is_: Cell


class Card(NamedTuple):
    """Facts under a title."""

    title: str
    facts: tuple[Fact, ...]


class Vitals(NamedTuple):
    """What is wrong, the worst first, and the cards."""

    troubles: tuple[Check, ...]
    cards: tuple[Card, ...]


def moving(store: Store, paths: Paths, now: int) -> Vitals:
    """What changes while the workspace works: accounts, effects, disk. Milliseconds."""
    counts, cursors = store.views.counts(), store.views.cursors()
    owed = store.views.outbox(states=OWED, limit=OWED_MAX)
    checks = list(quick(paths))
    troubles = [check for check in checks if check.state != "ok"]
    troubles += _troubles(store, counts, cursors, alone=client.ask_status(paths) is None)
    cards = (
        _accounts(store, counts, cursors, now), effects(store, owed, now), _disk(paths),
        _log(store, counts, now), _checked(checks),
    )  # fmt: skip
    return Vitals(tuple(sorted(troubles, key=lambda check: check.state != "fail")), cards)


def written(session: Session, store: Store) -> Vitals:
    """What people have written: retention, members, autonomy. Reads all files of the workspace: up to a second for a large one."""
    paths = session.paths()
    try:
        kept, problems = settings.load(paths.config, session.env)
        matrix = [(what, level) for what, level, _ in levels(matrix_in(session))]
        people = company.members(paths)
    except EventctlError as wrong:
        return Vitals((Check("fail", "settings", str(wrong), wrong.hint or "eventctl config check"),), ())
    mistakes = [problem for problem in problems if not problem.warning]
    words = f"{count(len(mistakes), 'mistake')}, the first: {mistakes[0]}" if mistakes else ""
    troubles = (Check("warn", "settings", words, "eventctl config check"),) if mistakes else ()
    retention = (
        Fact("events stay", Cell(written_duration(kept.retention.events))),
        Fact("largest file", Cell(size(kept.retention.size) if kept.retention.size else "any size", "muted")),
        Fact("trimmed so far", Cell(f"{_number(store.meta('trimmed.log')):,} records")),
    )
    cards = (Card("Retention", retention), _members(people), _autonomy(matrix))
    return Vitals(troubles, cards)


def _troubles(store: Store, counts: Counts, cursors: list[tuple[CursorRow, int]], *, alone: bool) -> Iterator[Check]:
    behind = sum(lag for _, lag in cursors)
    if alone and not cursors and counts.log_records:
        yield Check("warn", "runner", "no pipeline has run yet", "ctrl+p: Start the runner")
    if alone and behind:
        yield Check("warn", "runner", f"nobody works on {count(behind, 'position')} of pipelines", "ctrl+p: Start the runner")
    for cursor, lag in cursors:
        if sentence := held(cursor, lag):
            yield Check("warn", said(cursor.pipeline, 60), sentence, "eventctl status")
    if counts.outbox_dead:
        yield Check("warn", "effects", f"{count(counts.outbox_dead, 'effect')} given up", "eventctl dead-letter list")
    dead = sum(cursor.dead for cursor, _ in cursors)
    if dead:
        yield Check("warn", "dead letters", f"{count(dead, 'event')} failed for good", "5 shows them")
    quarantined = sum(cursor.quarantined for cursor, _ in cursors)
    if quarantined:
        yield Check("warn", "quarantine", f"{count(quarantined, 'event')} wait for your judgement", "5 shows them")
    for blame in blamed_in(store)[:LISTED_MAX]:
        yield Check("warn", said(blame.id, 60), str(blame), f"eventctl cartridge show {blame.path}")


def _accounts(store: Store, counts: Counts, cursors: list[tuple[CursorRow, int]], now: int) -> Card:
    lag = sum(lag for _, lag in cursors)
    facts = [
        Fact("unaccounted", _judged(counts.unaccounted)),
        Fact("rejected", Cell(f"{counts.rejects:,}{': `eventctl rejects`' if counts.rejects else ''}")),
        Fact("behind", Cell(f"{lag:,} in {count(len(cursors), 'pipeline')}", "warn" if lag else "muted")),
        Fact("decisions", Cell(f"{counts.decisions_held:,} wait for a yes", "accent" if counts.decisions_held else "muted")),
    ]
    left = unfinished(store, [cursor for cursor, _ in cursors])
    facts += [Fact(said(open_.pipeline, 30), Cell(said(open_.words(now)))) for open_ in left[:LISTED_MAX]]
    return Card("Accounts", tuple(facts))


def effects(store: Store, owed: list[OutboxRow], now: int) -> Card:
    """What is owed to the world, by executor and state; the oldest, and when the next is tried."""
    if not owed:
        return Card("Effects owed", (Fact("owed", Cell("nothing", "good")),))
    groups = Counter((row.name, row.state) for row in owed)
    facts = []
    for (name, state), number in sorted(groups.items())[:LISTED_MAX]:
        rows = [row for row in owed if (row.name, row.state) == (name, state)]
        oldest = store.views.record(min(row.seq for row in rows))
        due = min((row.next_at for row in rows if row.next_at and state in ("pending", "retry")), default=None)
        words = [f"{number:,} {OWED_WORDS.get(state, state)}"]
        words += [f"oldest {age(oldest.at, now)}"] if oldest else []
        words += [f"next try {ago(due, now)}"] if due and due > now else []
        tone = "warn" if state in ("dead", "unknown", "retry") else ""
        facts.append(Fact(said(name, 40), Cell(f"{'⚠ ' if tone else ''}{', '.join(words)}", tone)))
    if len(groups) > LISTED_MAX:
        facts.append(Fact("", Cell(f"and {len(groups) - LISTED_MAX:,} more: `eventctl status`", "muted")))
    if len(owed) == OWED_MAX:
        facts.append(Fact("", Cell(f"of the newest {OWED_MAX:,}", "muted")))
    return Card("Effects owed", tuple(facts))


def _disk(paths: Paths) -> Card:
    backups = sorted((paths.state_dir / "backups").glob("*.db"))
    facts = [
        Fact("state.db", Cell(size(_bytes(paths.db)))),
        Fact("not yet in it", Cell(size(_bytes(paths.db.with_name(f"{paths.db.name}-wal"))), "muted")),
        Fact("reserve", Cell(size(_bytes(paths.reserve)) if paths.reserve.exists() else "given back", "muted")),
        Fact("snapshots", Cell(size(sum(map(_bytes, (paths.state_dir / "snapshots").glob("*.db")))), "muted")),
        Fact("backups here", Cell(f"{len(backups):,}, the newest {backups[-1].stem}") if backups else Cell("none: `eventctl backup`", "muted")),
    ]  # fmt: skip
    return Card("Disk", tuple(facts))


def _log(store: Store, counts: Counts, now: int) -> Card:
    first, last = store.read_log(0, 1), store.views.record(counts.log_tail) if counts.log_tail else None
    facts = [Fact("records", Cell(f"{counts.log_records:,}"))]
    facts += [Fact("first", Cell(f"e{first[0].seq}, {ago(first[0].at, now)}"))] if first else []
    facts += [Fact("last", Cell(f"e{last.seq}, {ago(last.at, now)}"))] if last else []
    return Card("Log", tuple(facts))


def _checked(checks: list[Check]) -> Card:
    glyphs = {"ok": Cell("✔ ", "good"), "warn": Cell("⚠ ", "warn"), "fail": Cell("✘ ", "bad")}
    facts = [Fact(check.name, Cell(glyphs[check.state].text + said(check.said), glyphs[check.state].tone)) for check in checks]
    return Card("Checked", (*facts, Fact("", Cell("more: `eventctl doctor`", "muted"))))


def _members(people: dict[str, Person]) -> Card:
    facts = [
        Fact(said(each.name, 30), Cell(" ".join([each.role, *([f"for {said(', '.join(each.domains), 60)}"] if each.domains else [])])))
        for each in list(people.values())[:LISTED_MAX]
    ]  # fmt: skip
    if len(people) > LISTED_MAX:
        facts.append(Fact("", Cell(f"and {len(people) - LISTED_MAX:,} more: `eventctl member list`", "muted")))
    return Card(
        "Members", tuple(facts) or (Fact("", Cell("nobody is named: whoever opens the workspace is its admin", "muted")),)
    )


def _autonomy(matrix: list[tuple[str, str]]) -> Card:
    facts = [Fact(said(what, 40), Cell(level)) for what, level in matrix[-LISTED_MAX:]]
    if len(matrix) > LISTED_MAX:
        facts.append(Fact("", Cell(f"and {len(matrix) - LISTED_MAX:,} more: `eventctl autonomy show`", "muted")))
    return Card("Autonomy", tuple(facts))


def _judged(number: int) -> Cell:
    return Cell(f"✘ {number:,}: `eventctl verify`", "bad") if number else Cell(f"✔ {number:,}", "good")


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _number(text: str | None) -> int:
    return int(text) if text else 0
