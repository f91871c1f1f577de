"""A process that emits for as long as it lives: `python producer.py WORKSPACE ACKS SEED`.

It writes an id to ACKS only after it heard that the event is durable, and repeats what it was not told about, with the same id.
When the run is recorded for a power cut, the acknowledgement goes into the trace, at its place among the writes.
"""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

import orjson

from eventctl import client, decode, errors
from eventctl.store import Record
from eventctl.times import now_us
from eventctl.workspace import Paths

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.faults.powercut import acknowledge

ENTITIES = 7


def main(root: str, acks: str, seed: str) -> None:
    rng = random.Random(f"{seed}-{os.getpid()}")
    told = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    recording = os.environ.get("EVENTCTL_RECORD_TRACE")
    trace = os.open(recording, os.O_WRONLY | os.O_APPEND) if recording else None
    paths = Paths(Path(root))
    n = 0
    while True:
        records = []
        for _ in range(rng.choice([1, 1, 1, 5, 20])):
            n += 1
            records.append(event(rng, n))
        while True:
            try:
                client.append(paths, records)
                break
            except (errors.TryLater, errors.Unavailable, errors.StorageFailed, ConnectionError):
                time.sleep(0.01)
        if trace is None:
            os.write(told, b"".join(f"{record.id}\n".encode() for record in records))
        else:
            for record in records:
                acknowledge(trace, record.id)
        time.sleep(rng.uniform(0, 0.004))


def event(rng: random.Random, n: int) -> Record:
    """A tick of one of seven entities, or an order (numbers repeat now and then: another event of that life)."""
    now = now_us()
    if rng.random() < 0.3:
        order = rng.randrange(5_000)
        body = {"event": "domain.faults.order.placed", "payload": {"order": order, "n": n}}
    else:
        body = {"event": "domain.faults.tick", "entity": f"thing/{rng.randrange(ENTITIES)}", "payload": {"n": n}}
    raw = orjson.dumps(body | {"source": "producer"})
    return decode.to_record(decode.decode(raw, now=now), principal="socket:producer", at=now)


if __name__ == "__main__":
    main(*sys.argv[1:])
