"""What decisions, packages, members and domains say of themselves: 10,000 hostile strings, and no screen obeys one."""

from __future__ import annotations

import json

import orjson
import pytest

from eventctl.decisions import EVENTS
from eventctl.sqlite_store import SqliteStore
from eventctl.store import DecisionRow, InstalledRow, Operations, Record
from tests.cli.conftest import NOON
from tests.cli.test_hostile import clean, hostile

DECISIONS = 700
SHOWN = 60
STATES = ("held", "window", "approved", "done", "undoing", "undone", "denied", "expired", "failed", "unknown")
PACKAGES = 150


def decision(number: int, say) -> DecisionRow:
    """A decision that is hostile wherever it holds text; its state and its executor are the platform's own."""
    args = {"argv": [say(), say()], say(): say(), "payload": {say(): say()}, "event": say(), "do": say()}
    body = {
        "form": say(), "action": say(), "summary": say(), "title": say(), "args": args, "by": say(), "cartridge": say(), "type": say(),
        "entity": say(), "hops": 0, "level": say(), "why": say(), "known": 0, "window": 1_000_000, "error": say(),
        "undo": ["command", {"argv": [say()]}] if number % 2 else [say(), {say(): say()}], "result": {say(): say()},
    }  # fmt: skip
    return DecisionRow(
        number, f"call-{number}", STATES[number % len(STATES)], say(), ("command", "emit", "agent", say())[number % 4],
        say() if number % 3 else "", 1, say() if number % 3 == 1 else "", say() if number % 3 == 2 else "", NOON,
        due=NOON + 10**9 if number % 2 else None, decided_by=say(), decided_at=NOON, body=orjson.dumps(body),
    )  # fmt: skip


@pytest.fixture
def dirty(face):
    words = iter(hostile(11, 40_000))
    store = SqliteStore.open(face.root / ".eventctl/state.db", role="short")

    def say() -> str:
        return next(words)

    body = orjson.dumps({"event": EVENTS["held"], "source": "s", "id": "1", "timestamp": "2026-11-20T12:00:00Z"})
    store.append([Record("event", "s", "1", EVENTS["held"], body, "cli:ada", NOON)])
    store.commit(Operations(decisions=[decision(number, say) for number in range(1, DECISIONS + 1)]))
    rows = [
        InstalledRow(
            ("library", f"domain:{say()}", f"member:{say()}")[number % 3], say() or "x", say(), f"sha256:{number:064x}", True,
            ("worker", "in-process", say())[number % 3], say(), say(), NOON,
        )
        for number in range(PACKAGES)
    ]  # fmt: skip
    store.commit(Operations(installed=list({(row.place, row.id): row for row in rows}.values())))
    store.close()
    return face


def test_ten_thousand_strings_in_decisions_command_no_terminal(dirty):
    said = [dirty("decisions", "list", "--all", "-n", str(DECISIONS)), dirty("decisions", "list"), dirty("autonomy", "show")]
    assert said[0].stdout.count("\n") >= DECISIONS
    for number in range(1, SHOWN + 1):
        said += [dirty("decisions", "show", f"d{number}"), dirty.ask("why", f"d{number}")]
        said += [dirty.ask("decisions", verb, f"d{number}") for verb in ("approve", "deny", "undo")]
    for result in said:
        clean(result.stdout)
        clean(result.stderr)
    for words in (("decisions", "list", "--all", "--json"), ("decisions", "show", "d3", "--json")):
        document = dirty(*words).stdout
        json.loads(document)
        clean(document)


def test_what_is_installed_commands_no_terminal(dirty):
    said = [dirty("cartridge", "list"), dirty("cartridge", "list", "--versions"), dirty.ask("config", "check")]
    said += [dirty.ask("cartridge", verb, name) for verb in ("show", "remove", "rollback", "trust") for name in hostile(12, 25)]
    said += [dirty.ask("cartridge", "install", name, "--yes") for name in hostile(13, 25) if "\0" not in name]
    said += [dirty.ask("cartridge", "graph"), dirty.ask("doctor"), dirty.ask("status")]
    for result in said:
        clean(result.stdout)
        clean(result.stderr)


def test_members_and_domains_command_no_terminal(face):
    for number, text in enumerate(hostile(14, 120)):
        name = json.dumps(text or "x").replace("\x7f", "\\u007f")
        config = f'[members.ada]\nrole = "admin"\n[members.{name}]\nrole = {name}\ndomains = [{name}]\n[autonomy]\ndefault = {name}\n'
        (face.root / "eventctl.toml").write_text(config, "utf-8", errors="replace")
        if number % 3 == 0:
            for words in (("member", "list"), ("autonomy", "show"), ("config", "check")):
                result = face.ask(*words)
                clean(result.stdout)
                clean(result.stderr)
        for words in (("member", "add", text), ("domain", "add", text), ("autonomy", "set", "L1", "--cartridge", text)):
            result = face.ask(*words)
            clean(result.stdout)
            clean(result.stderr)


def test_the_strings_would_be_seen_if_they_came_through():
    """The control: these strings do hold what a terminal obeys."""
    with pytest.raises(AssertionError):
        clean("".join(hostile(11, 40)))
