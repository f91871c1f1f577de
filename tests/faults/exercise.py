"""One pass over everything that has a failpoint: `python exercise.py WORKSPACE ACKS`.

Emits, works everything off in this process (batches, a call and its answer, a due timer), and makes moves. It is run with a
failpoint armed, and then again without. Each id goes to ACKS once somebody was told that it is durable.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import orjson

import eventctl
from eventctl import client, decode
from eventctl.store import LogRow, Record
from eventctl.times import now_us
from eventctl.views import InboxFilter
from eventctl.workspace import Paths

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.faults.producer import event

EVENTS = 30


def main(root: str, acks: str) -> None:
    told = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    emit(Paths(Path(root)), told)
    with eventctl.open(root) as workspace:
        workspace.run_until_idle()
        for item in workspace.inbox.list(InboxFilter(states=["none"]), limit=3).items:
            moved = workspace.inbox.claim(item.notification.id, agent="tester")
            tell(told, workspace.views.record(moved.seq))
            moved = workspace.inbox.resolve(item.notification.id, agent="tester", resolution={"summary": "done"})
            tell(told, workspace.views.record(moved.seq))
        workspace.run_until_idle()


def emit(paths: Paths, told: int) -> None:
    rng = random.Random(os.getpid())
    for n in range(EVENTS):
        record = event(rng, n)
        if n % 10 == 0:
            now = now_us()
            raw = orjson.dumps({"event": "domain.faults.asked", "source": "producer", "payload": {"n": n}})
            record = decode.to_record(decode.decode(raw, now=now), principal="socket:producer", at=now)
        client.append(paths, [record])
        tell(told, record)


def tell(told: int, record: Record | LogRow | None) -> None:
    if record is None:
        raise RuntimeError("a record that was acknowledged cannot be read")
    os.write(told, f"{record.id}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
