"""Strings that want to be more than text, a workspace that is full of them, and what no screen may do because of one."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import orjson
from rich.segment import Segment
from textual.strip import Strip

from eventctl.sqlite_store import SqliteStore
from eventctl.store import DecisionRow, ExceptionRow, InstalledRow, Operations
from tests.cli.conftest import NOON, Face
from tests.cli.test_hostile import PIECES

COUNT = 10_000
AIMED = (
    "[@click=app.quit]x[/]", "[@click=app.bell()]x[/]", "[@click=screen.dismiss]", "[@mouse.up=app.quit]y[/]", '[link="https://evil.example"]z[/link]',
    "[$text-error on $primary]", "[bold", "\\[", "[/bold]", "[#ff0000]", "{row.title}", "\x1b]52;c;aGk=\x07", "\x1b]2;title\x1b\\", "\x1b[?1049l",
    "\x1b[8;10;10t", "\x1b[6n", "\x1b[>c", "\x1bP+q544e\x1b\\", "\x1b_Gi=1;AAAA\x1b\\", "\x9d0;t\x9c", "\u2067ab\u2069", "q", "u", "\x03", "\x04",
)  # fmt: skip
"""Aimed at a program that draws: markup that acts or links, the clipboard, the title, the alternate screen, questions to the terminal."""

TYPES = """\
namespace = "domain.evil"
[lives.thing]
key = ["key"]
title = "{title}"
[types.said]
summary = "Somebody says something."
level = "workflow"
actionable = true
payload = { key = "str", title = "str" }
lives = { thing = "opens" }
"""
SETTINGS = """\
[members.ada]
role = "admin"
[trust]
rules = [{ source = "stranger *", verdict = "quarantine" }]
[correlation]
burst = 0
cascade = 0
degraded = 0
"""
STATES = ("held", "window", "approved", "done", "undoing", "undone", "denied", "expired", "failed", "unknown")


def strings(seed: int, count: int) -> list[str]:
    """Strings of a few pieces each; every piece turns up many times."""
    choose = random.Random(seed)
    return ["".join(choose.choices([*PIECES, *AIMED], k=choose.randint(1, 5))) for _ in range(count)]


def envelope(number: int, text: str) -> dict[str, Any]:
    """An event with the text wherever an event takes text, and a title of its own."""
    return {
        "event": "domain.evil.said", "source": f"{'stranger ' if number % 20 == 0 else ''}{text}"[:200] or "s", "id": f"{number} {text}"[:256],
        "entity": text[:512] or None, "description": text, "level": number % 4,
        "payload": {"key": str(number), "title": text or "-", "nested": [{text or "x": [text, {"deep": text}]}], text or "x": text},
        "actions": {text[:60] or "a": {"description": text, "produces": "domain.evil.said"}},
        "resolution_shape": {text[:60] or "a": "str"},
    }  # fmt: skip


def make(root: Path, env: dict[str, str], count: int) -> Face:
    """A workspace with so many of them in it, worked off."""
    face, said = Face(root, env), strings(7, count)
    face("init", "--yes")
    folder = root / "company/domains/evil"
    (folder / "cartridges").mkdir(parents=True)
    (folder / "domain.toml").write_text('summary = "[@click=app.quit]Evil[/]"\n')
    (folder / "event_types.toml").write_text(TYPES)
    (root / "eventctl.toml").write_text(SETTINGS)
    _files(folder / "cartridges", said)
    raw = [text for text in said[:100] if "\n" not in text and text.strip()]
    lines = [json.dumps(envelope(number, text)) for number, text in enumerate(said)]
    face("emit", "--ndjson", "-", given="\n".join([*lines, *raw]), code=1)
    face("run", "--until-idle")
    for number, text in enumerate(said[1:40:2]):
        face.ask("inbox", "claim", f"n{number * 7 + 1}", "--agent", text)
        face.ask("silence", "add", "--source", text or "x", "--for", "2d", "--reason", text)
    face("run", "--until-idle")
    _rows(face, cycle(said))
    return face


def _files(folder: Path, said: Iterable[str]) -> None:
    """Rules whose files have such names, and that say such things about themselves."""
    names = [text.replace("/", "").replace("\0", "")[:40] for text in islice(said, 25)]
    for number, text in enumerate(names):
        summary = json.dumps(text).replace("\x7f", "\\u007f")
        rule = f'id = "rule-{number}"\nsummary = {summary}\nconsumes = ["domain.evil.said"]\nwhen = "payload.key == \'none\'"\n[notify]\ntitle = {summary}\n'
        (folder / f"rule-{number}.toml").write_text(rule, "utf-8", errors="replace")
        if number % 5 == 0:
            (folder / f"{text.encode('utf-8', 'replace').decode()}.toml").write_text("id = [", "utf-8")


def _rows(face: Face, said: Iterator[str]) -> None:
    """Decisions, dead letters and installed cartridges, written as the platform would have written them."""
    store = SqliteStore.open(face.root / ".eventctl/state.db", role="short")
    say = said.__next__
    store.commit(Operations(decisions=[_decision(number, say) for number in range(1, 301)]))
    store.commit(Operations(exceptions=[
        ExceptionRow("domain:evil", number, "dead", number, say() or "x", say(), 3) for number in range(31, 231) if number % 20 != 1
    ]))  # fmt: skip
    rows = [
        InstalledRow(
            ("library", f"domain:{say()}", f"member:{say()}")[number % 3], say() or "x", say(), f"sha256:{number:064x}", True,
            ("worker", "in-process", say())[number % 3], say(), say(), NOON,
        )
        for number in range(60)
    ]  # fmt: skip
    store.commit(Operations(installed=list({(row.place, row.id): row for row in rows}.values())))
    store.close()


def _decision(number: int, say: Any) -> DecisionRow:
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


BARS = {
    ("@mouse.down", "grab"),
    ("@mouse.up", "release"),
    *(("@mouse.down", f"scroll_{way}") for way in ("up", "down", "left", "right")),
}
BAR = set(" ▁▂▃▄▅▆▇█▉▊▋▌▍▎▏")
"""What the framework's own scroll bars hear, and are drawn with."""

# --- what no screen may do -------------------------------------------------------------------------------------------------------


def wrong(strips: Iterable[Strip]) -> list[str]:
    """What is wrong with what is about to be painted: letters that a terminal obeys, and places that act or link when clicked."""
    return [said for strip in strips for segment in strip for said in _wrong(segment)]


def _wrong(segment: Segment) -> Iterator[str]:
    if segment.control:
        yield f"a command to the terminal: {segment!r}"
    if unsafe(segment.text):
        yield f"letters that a terminal obeys: {segment.text!r}"
    if segment.style is not None:
        if segment.style.link:
            yield f"a link: {segment.text!r} -> {segment.style.link!r}"
        acts = {name: act for name, act in segment.style.meta.items() if name.startswith("@")}
        if acts and not (acts.items() <= BARS and set(segment.text) <= BAR):
            yield f"a click that acts: {segment.text!r} -> {segment.style.meta!r}"


def unsafe(text: str) -> set[str]:
    """What a terminal might obey, or would not show."""
    return {letter for letter in text if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
