"""The stage for every fault: a workspace whose effects can be counted from outside, a producer, and the oracle.

What was promised is kept outside the database under test: a producer writes an id to a file only after it heard "ok". Then, from the
log alone, the oracle works out what there must be, and compares: every acknowledged id once; for each entity the cartridge's count
and one derived event for every tenth; each order's events in exactly one notification; each question one answer.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

EVENTCTL = [sys.executable, "-m", "eventctl"]
HERE = Path(__file__).parent
ENTITIES = 7
EVERY = 10
HELD = 69

SETTINGS = '[workspace]\nname = "faults"\n[members.tester]\nrole = "admin"\n'
EVENT_TYPES = """\
namespace = "domain.faults"
[lives.order]
key = ["order"]
title = "Order {order}"
[types."order.placed"]
summary = "An order came in."
level = "business"
payload = { order = "int", n = "int" }
lives = { order = "opens" }
[types."order.shipped"]
summary = "An order went out."
level = "operational"
payload = { order = "int" }
lives = { order = "resolves" }
[types."tick"]
summary = "One of many."
level = "operational"
payload = { n = "int" }
[types."asked"]
summary = "Wants an answer from outside, and to be woken later."
level = "operational"
payload = { n = "int" }
[types."tenth"]
summary = "Ten ticks of one entity."
level = "operational"
payload = { count = "int" }
"""
COUNTER = """\
# /// cartridge
# id       = "counter"
# version  = "1.0.0"
# summary  = "Counts the ticks of each entity and speaks at every tenth."
# consumes = ["domain.faults.tick"]
# emits    = ["domain.faults.tenth"]
# ///
async def process(event, context):
    count = await context.state.get("count", 0) + 1
    context.state.set("count", count)
    if count % 10 == 0:
        context.emit("domain.faults.tenth", {"count": count}, entity=event.entity)
    return event
"""
CALLER = """\
# /// cartridge
# id       = "caller"
# version  = "1.0.0"
# summary  = "Asks an executor, remembers the answer, sets a timer."
# consumes = ["domain.faults.asked", "timer.due"]
# annotates = ["answer"]
# [permissions]
# calls = ["log"]
# ///
from datetime import timedelta


async def process(event, context):
    if event.type == "timer.due":
        return event
    answer = await context.call("log", {"message": "asked"})
    context.annotate("answer", {"answer": answer})
    context.timer("later", timedelta(milliseconds=1))
    return event
"""


def make_workspace(root: Path) -> Path:
    """The workspace of every fault test."""
    domain = root / "company" / "domains" / "faults"
    (domain / "cartridges").mkdir(parents=True)
    (root / "eventctl.toml").write_text(SETTINGS)
    (domain / "domain.toml").write_text('summary = "Broken on purpose."\n')
    (domain / "event_types.toml").write_text(EVENT_TYPES)
    (domain / "cartridges" / "counter.py").write_text(COUNTER)
    (domain / "cartridges" / "caller.py").write_text(CALLER)
    subprocess.run([*EVENTCTL, "init", str(root)], check=True, stdout=subprocess.DEVNULL)
    settle(root)  # a pipeline starts at the tail of its stream: from here on it counts everything
    return root


def database(root: Path) -> Path:
    return root / ".eventctl" / "state.db"


@dataclass
class Actor:
    """A process that is started again whenever it was killed."""

    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command,
            env=os.environ | self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)


def producer(root: Path, acks: Path, seed: int) -> Actor:
    return Actor([sys.executable, str(HERE / "producer.py"), str(root), str(acks), str(seed)])


def supervisor(root: Path, **env: str) -> Actor:
    return Actor([*EVENTCTL, "-w", str(root), "run"], env)


def children(pid: int) -> list[int]:
    """The processes that this one has started: a supervisor's is the runner."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def settle(root: Path, timeout_s: float = 60) -> None:
    """Work off what is left, without faults. A runner whose supervisor was killed may take a moment to notice."""
    command = [*EVENTCTL, "-w", str(root), "run", "--until-idle"]
    deadline = time.monotonic() + timeout_s
    while True:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
        if done.returncode == 0:
            return
        if done.returncode != HELD or time.monotonic() > deadline:
            raise RuntimeError(f"exit {done.returncode}: {done.stderr}")
        time.sleep(0.2)


def wait_until_idle(root: Path, timeout_s: float = 30) -> None:
    """Until a runner that works in the background has nothing left."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with sqlite3.connect(f"file:{database(root)}?mode=ro", uri=True) as db:
            log, feed = (
                db.execute(f"SELECT coalesce(max({c}), 0) FROM {t}").fetchone()[0] for c, t in (("seq", "log"), ("pos", "feed"))
            )
            cursors = dict(db.execute("SELECT pipeline, pos FROM cursor"))
        if cursors and all(pos == (log if name == "system" else feed) for name, pos in cursors.items()):
            return
        time.sleep(0.05)
    raise TimeoutError("the runner did not catch up")


@dataclass
class Findings:
    """What the oracle saw. All of it is empty when every promise was kept."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    miscounted: list[str] = field(default_factory=list)
    notifications: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    acknowledged: int = 0
    recorded: int = 0

    @property
    def faults(self) -> list[str]:
        return self.lost + self.doubled + self.miscounted + self.notifications + self.unanswered + self.damage


def judge(root: Path, acknowledged: set[str]) -> Findings:
    """Compare the database with what was promised and with what its own log demands."""
    found = Findings(acknowledged=len(acknowledged))
    with sqlite3.connect(f"file:{database(root)}?mode=ro", uri=True) as db:
        if (verdict := db.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            found.damage.append(f"integrity_check: {verdict}")
        events = db.execute("SELECT seq, id, type, entity, body FROM log WHERE kind = 'event' ORDER BY seq").fetchall()
        found.recorded = len(events)
        ids = Counter(id for (id,) in db.execute("SELECT id FROM log WHERE kind IN ('event', 'move')"))
        found.lost = sorted(acknowledged - ids.keys())
        found.doubled = [id for id, times in ids.items() if times > 1]
        _judge_counts(db, events, found)
        _judge_notifications(db, events, found)
        _judge_answers(db, events, found)
        for pipeline, pos, total in db.execute(
            "SELECT pipeline, pos, applied + dropped + quarantined + dead + waiting FROM cursor"
        ):
            stream, column = ("log", "seq") if pipeline == "system" else ("feed", "pos")
            passed = db.execute(f"SELECT count(*) FROM {stream} WHERE {column} <= ?", (pos,)).fetchone()[0]
            if passed != total:
                found.miscounted.append(f"{pipeline}: {passed} positions passed, {total} accounted for")
    return found


def _judge_counts(db: sqlite3.Connection, events: list[tuple[int, str, str, str, bytes]], found: Findings) -> None:
    ticks = Counter(entity for _, _, type, entity, _ in events if type == "domain.faults.tick")
    tenths = Counter(entity for _, _, type, entity, _ in events if type == "domain.faults.tenth")
    counted = {}
    for key, value in db.execute("SELECT key, value FROM state WHERE cartridge LIKE 'domain:faults/%'"):
        state = json.loads(value)
        counted[key] = state["count"] if isinstance(state, dict) else state
    for entity, expected in ticks.items():
        if counted.get(entity) != expected:
            found.miscounted.append(f"{entity}: {expected} ticks in the log, {counted.get(entity)} applied")
        if tenths[entity] != expected // EVERY:
            found.miscounted.append(f"{entity}: {expected // EVERY} derived events owed, {tenths[entity]} in the log")


def _judge_notifications(db: sqlite3.Connection, events: list[tuple[int, str, str, str, bytes]], found: Findings) -> None:
    orders: dict[str, set[int]] = {}
    for seq, _, type, _, body in events:
        if type == "domain.faults.order.placed":
            orders.setdefault(json.dumps([json.loads(body)["payload"]["order"]], separators=(",", ":")), set()).add(seq)
    shown: dict[str, list[int]] = {}
    open_ones = set()
    query = "SELECT id, life_key, agent_state FROM notification WHERE life = 'domain.faults.order'"
    for number, key, state in db.execute(query):
        shown.setdefault(key, []).append(number)
        if state != "resolved":
            open_ones.add(number)
    history: dict[int, list[int]] = {}
    for number, seq in db.execute("SELECT notification, seq FROM notification_event JOIN log USING (seq) WHERE kind = 'event'"):
        history.setdefault(number, []).append(seq)
    for key, seqs in orders.items():
        numbers = shown.pop(key, [])
        kept = sorted(seq for number in numbers for seq in history.get(number, []))
        if kept != sorted(seqs):
            found.notifications.append(f"order {key}: the log has {sorted(seqs)}, its {len(numbers)} notifications {kept}")
        if sum(number in open_ones for number in numbers) > 1:
            found.notifications.append(f"order {key}: two open notifications")
    found.notifications += [f"order {key}: a notification of nothing" for key in shown]


def _judge_answers(db: sqlite3.Connection, events: list[tuple[int, str, str, str, bytes]], found: Findings) -> None:
    """Each question has one answer in the log, and the cartridge's word about it."""
    for seq, _, type, _, _ in events:
        if type == "domain.faults.asked":
            answers = db.execute("SELECT count(*) FROM log WHERE kind = 'answer' AND caused_by = ?", (seq,)).fetchone()[0]
            words = db.execute("SELECT count(*) FROM annotation WHERE seq = ? AND slot = 'answer'", (seq,)).fetchone()[0]
            if (answers, words) != (1, 1):
                found.unanswered.append(f"e{seq}: {answers} answers, {words} annotations")


def read_acks(path: Path) -> set[str]:
    """The ids that somebody was told are durable; a half-written last line was told to nobody."""
    text = path.read_text() if path.exists() else ""
    return set(text[: text.rfind("\n") + 1].split())


def term(root: Path) -> int:
    """Whose turn it is: the fence that the newest runner took."""
    with sqlite3.connect(f"file:{database(root)}?mode=ro", uri=True) as db:
        return int(db.execute("SELECT coalesce(max(term), 0) FROM cursor").fetchone()[0])
