"""The stage for decisions that are killed: cartridges that ask to act, people who decide, and the oracle.

Commands append to a file outside of the database under test, a line each time they run: that is what the world saw. What a person was
told "ok" about is acknowledged in another file. The oracle compares both with the decisions and the log: each decision acted at most
once, an event was made exactly once, nothing acted that nobody let act, a yes is kept, and nothing is left in between.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults import scene

SETTINGS = """\
[workspace]
name = "deciding"
[members.tester]
role = "admin"
[autonomy]
default = "L3"
window = "1s"
expires = "3s"
after = 0
[autonomy.types]
"domain.acts.later" = "L2"
"domain.acts.held" = "L1"
"""
EVENT_TYPES = """\
namespace = "domain.acts"
[types.now]
summary = "Wants something done at once."
payload = { n = "int", how = "str" }
[types.later]
summary = "Wants something done that can be taken back."
payload = { n = "int", how = "str" }
[types.held]
summary = "Wants something done that a person decides about."
payload = { n = "int", how = "str" }
[types.made]
summary = "It was made."
payload = { n = "int" }
"""
DOER = """\
# /// cartridge
# id        = "doer"
# version   = "1.0.0"
# summary   = "Does what it is asked, if it may."
# consumes  = ["domain.acts.now", "domain.acts.later", "domain.acts.held"]
# emits     = ["domain.acts.made"]
# annotates = ["ended"]
# ordered   = "none"
# [permissions]
# calls = ["command", "emit"]
# ///
async def process(event, context):
    n, how = event.payload["n"], event.payload["how"]
    slow = "0.05" if n % 2 else "0"
    say = ["sh", "-c", 'sleep "$3"; printf "%s\\n" "$1" >> "$2"', "say"]
    if how == "emit":
        name, args, undo = "emit", {{"event": "domain.acts.made", "payload": {{"n": n}}}}, None
    else:
        name, args = "command", {{"argv": [*say, str(n), "{seen}", slow]}}
        undo = ("command", {{"argv": [*say, str(-n), "{seen}", "0"]}}) if how == "undo" else None
    decision = await context.decide(how, name, args, summary=f"{{how}} {{n}}", undo=undo)
    context.annotate("ended", decision.outcome)
    return event
"""
HOWS = ("command", "emit", "undo")
TYPES = ("now", "later", "held")
ENDS = {"done", "failed", "unknown", "denied", "expired", "undone"}
HEARD = {
    "done": ("done",), "denied": ("denied",), "expired": ("expired",), "undone": ("undone", "done"),
    "unknown": ("failed", "done"),
}  # fmt: skip
"""What the cartridge may have heard of a decision that stands so at last: one that was done may have been taken back afterwards."""


@dataclass
class Stage:
    """A workspace, what the world saw, and how many events were sent."""

    root: Path
    seen: Path
    acks: Path
    sent: int = 0

    @classmethod
    def make(cls, folder: Path) -> Stage:
        root, seen = folder / "ws", folder / "seen.txt"
        domain = root / "company" / "domains" / "acts"
        (domain / "cartridges").mkdir(parents=True)
        (root / "eventctl.toml").write_text(SETTINGS)
        (domain / "domain.toml").write_text('summary = "Acts."\n')
        (domain / "event_types.toml").write_text(EVENT_TYPES)
        (domain / "cartridges" / "doer.py").write_text(DOER.format(seen=seen))
        subprocess.run([*scene.EVENTCTL, "init", str(root)], check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        scene.settle(root)
        return cls(root, seen, folder / "acks.txt")

    def add(self, settings: str, rule: str) -> None:
        """More settings, and a rule of the library that is enabled."""
        config = self.root / "eventctl.toml"
        (self.root / "cartridges").mkdir(exist_ok=True)
        name = rule.split('"')[1]
        (self.root / "cartridges" / f"{name}.toml").write_text(rule)
        config.write_text(f"{config.read_text()}\n{settings}\n[enable]\n{name} = {{}}\n")
        scene.settle(self.root)

    def send(self, rounds: int = 1) -> None:
        """Events of every type, for every way of acting."""
        lines = []
        for _ in range(rounds):
            for type_ in TYPES:
                for how in HOWS:
                    self.sent += 1
                    event = {"event": f"domain.acts.{type_}", "source": "till", "payload": {"n": self.sent, "how": how}}
                    lines.append(json.dumps(event))
        command = [*scene.EVENTCTL, "-w", str(self.root), "emit", "--ndjson", "-"]
        subprocess.run(command, input="\n".join(lines), text=True, check=True, capture_output=True)

    def run(self, **env: str) -> int:
        """A runner until it is idle, or killed; its exit code."""
        command = [*scene.EVENTCTL, "-w", str(self.root), "run", "--until-idle"]
        return subprocess.run(command, env=os.environ | env, capture_output=True, timeout=120).returncode

    def people(self, **env: str) -> int:
        """People decide about what waits for them, and take some back; or are killed in the middle of it."""
        command = [sys.executable, str(scene.HERE / "people.py"), str(self.root), str(self.acks)]
        return subprocess.run(command, env=os.environ | env, capture_output=True, timeout=60).returncode

    def settle(self, timeout_s: float = 60, **env: str) -> None:
        """Run without faults until every decision has ended, or for so long."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            code = self.run(**env)
            if code not in (0, scene.HELD):
                raise RuntimeError(f"a runner without faults ended with {code}")
            if code == 0 and not self.waiting():
                return
            time.sleep(0.3)

    def waiting(self) -> int:
        """Decisions that have not ended, and events that wait for one."""
        with self.database() as db:
            ends = ", ".join(f"'{state}'" for state in sorted(ENDS))
            held = db.execute(f"SELECT count(*) FROM decision WHERE state NOT IN ({ends})").fetchone()[0]
            return int(held + db.execute("SELECT count(*) FROM exception WHERE state IN ('waiting', 'retry')").fetchone()[0])

    def database(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{scene.database(self.root)}?mode=ro", uri=True)


@dataclass
class Findings:
    """What the oracle saw; `faults` is empty when every promise was kept."""

    faults: list[str] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)


def judge(stage: Stage) -> Findings:
    """Compare what the world saw with what was decided."""
    found = Findings()
    text = stage.seen.read_text() if stage.seen.exists() else ""
    seen = Counter(int(line) for line in text.split())
    with stage.database() as db:
        made: Counter[int] = Counter(
            json.loads(body)["payload"]["n"] for (body,) in db.execute("SELECT body FROM log WHERE type = 'domain.acts.made'")
        )
        rows = db.execute("SELECT state, name, seq, approved, body FROM decision").fetchall()
        asked = {seq: json.loads(body)["payload"] for seq, body in db.execute(_ASKED)}
        ended = {seq: json.loads(value) for seq, value in db.execute("SELECT seq, value FROM annotation WHERE slot = 'ended'")}
        owed = db.execute("SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending', 'retry')").fetchone()[0]
        numbers = dict(db.execute("SELECT number, state FROM decision"))
    decided = {seq: (state, name, approved) for state, name, seq, approved, _ in rows}
    found.states = Counter(state for state, *_ in decided.values())
    if owed:
        found.faults.append(f"{owed} effects are still owed")
    if len(asked) != stage.sent:
        found.faults.append(f"{stage.sent} events were sent, {len(asked)} stand in the log")
    for seq, payload in asked.items():
        n, how, kind = payload["n"], payload["how"], payload["type"]
        if seq not in decided:
            found.faults.append(f"e{seq}: nobody decided")
            continue
        state, _, approved = decided[seq]
        acted = made[n] if how == "emit" else seen[n]
        found.faults += [
            f"e{seq} ({kind}, {how}, {state}): {said}" for said in _wrong(state, how, kind, acted, seen[-n], bool(approved))
        ]
        if ended.get(seq) not in HEARD.get(state, ()):
            found.faults.append(f"e{seq} ({state}): its cartridge heard {ended.get(seq, 'nothing')}")
    found.faults += _broken(stage, numbers)
    return found


_ASKED = """SELECT seq, json_set(body, '$.payload.type', type) FROM log
  WHERE type IN ('domain.acts.now', 'domain.acts.later', 'domain.acts.held')"""


def _wrong(state: str, how: str, kind: str, acted: int, taken_back: int, approved: bool) -> list[str]:
    """What a decision's end does not allow: how often it acted, and how often it was taken back."""
    wrong = []
    if state not in ENDS:
        wrong.append("it never ended")
    allowed: dict[str, tuple[int, ...]] = {
        "done": (1,), "denied": (0,), "expired": (0,), "undone": (0, 1), "unknown": (0, 1),
    }  # fmt: skip
    if acted not in allowed.get(state, (0, 1)):
        wrong.append(f"it acted {acted} times")
    if state == "undone" and acted != taken_back:
        wrong.append(f"it acted {acted} times and was taken back {taken_back} times")
    if state == "failed":
        wrong.append("nothing here fails")
    if how == "emit" and state == "unknown":
        wrong.append("an event is made or not, and which is known")
    if taken_back > 1 or (taken_back and (not acted or state not in ("undone", "unknown"))):
        wrong.append(f"it was taken back {taken_back} times")
    if kind.endswith("held") and acted and not approved:
        wrong.append("nobody approved it")
    return wrong


def _broken(stage: Stage, numbers: dict[int, str]) -> list[str]:
    """Words that people were told are kept, and were not."""
    kept: dict[str, set[str]] = {
        "approve": {"done", "failed", "unknown", "undone"},
        "deny": {"denied", "undone"},
        "undo": {"undone", "unknown"},
    }
    told: list[Any] = [line.split() for line in (stage.acks.read_text() if stage.acks.exists() else "").splitlines()]
    return [
        f"d{number}: somebody heard that {verb} was heard, and it is {numbers.get(int(number))}"
        for verb, number in told
        if numbers.get(int(number)) not in kept[verb]
    ]
