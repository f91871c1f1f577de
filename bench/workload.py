"""The events that every benchmark uses, the same for floor and contender.

Envelopes of about 670 bytes, 20 event types drawn evenly of which 4 are worth a notification, one event in ten repeats the
idempotency key of an earlier one. Deterministic for a seed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

WORTHY = ("deployment.failed", "alert.fired", "review.needs_decision", "security.advisory_found")
ROUTINE = (
    "deployment.started", "deployment.completed", "build.started", "build.completed", "test.passed", "review.requested",
    "review.approved", "planning.todo_created", "planning.artifact_changed", "content.published", "campaign.updated",
    "ticket.opened", "ticket.updated", "ticket.closed", "asset.rendered", "asset.approved",
)  # fmt: skip
NAMESPACE = "domain.bench"
TYPES = tuple(f"{NAMESPACE}.{name}" for name in WORTHY + ROUTINE)
NOTIFYING = frozenset(TYPES[: len(WORTHY)])
SOURCES = tuple(f"worker-{i}" for i in range(8))
ENTITIES = 500
WORDS = (
    "retry", "rollout", "canary", "replica", "shard", "quota", "latency", "window", "upstream", "cache", "branch", "merge",
    "budget", "release",
)  # fmt: skip
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
"""Lately, so that correlation counts it and retention lets it be; the longest workload is 83 minutes."""
REPEATS = 0.10


def catalog_part() -> dict[str, Any]:
    """The 20 types in the form of `event_types.toml`: each worthy type opens a life of its own per run."""
    types: dict[str, Any] = {name: {"summary": name, "level": "operational"} for name in ROUTINE}
    for name in WORTHY:
        types[name] = {"summary": name, "level": "business", "actionable": True, "lives": {name.split(".")[0]: "opens"}}
    lives = {name.split(".")[0]: {"key": ["run_id"], "title": f"{name} {{run_id}}"} for name in WORTHY}
    return {"namespace": NAMESPACE, "lives": lives, "types": types}


def events(count: int, seed: int = 7) -> Iterator[dict[str, Any]]:
    """`count` envelopes, 5 ms apart."""
    rng = random.Random(seed)
    sent: list[dict[str, Any]] = []
    for i in range(count):
        timestamp = (START + timedelta(milliseconds=5 * i)).isoformat()
        if sent and rng.random() < REPEATS:
            yield {**sent[rng.randrange(len(sent))], "id": f"{rng.getrandbits(128):032x}", "timestamp": timestamp}
            continue
        sha = f"{rng.getrandbits(160):040x}"
        kind = TYPES[rng.randrange(len(TYPES))]
        envelope = {
            "id": f"{rng.getrandbits(128):032x}",
            "event": kind,
            "version": 1,
            "source": SOURCES[rng.randrange(len(SOURCES))],
            "timestamp": timestamp,
            "idempotency_key": f"run-{i}:{sha[:12]}",
            "level": rng.randrange(4),
            "domain": kind.split(".")[1],
            "entity": f"service/{rng.randrange(ENTITIES)}",
            "description": " ".join(rng.choice(WORDS) for _ in range(20)),
            "visibility": "local",
            "payload": {
                "run_id": f"run-{i}",
                "sha": sha,
                "branch": f"feature/{rng.choice(WORDS)}-{rng.randrange(1000)}",
                "attempt": rng.randrange(5),
                "duration_ms": round(rng.random() * 90000, 2),
                "success": rng.random() < 0.7,
            },
            "actions": None,
            "terminal_when": None,
            "resolution_shape": None,
        }
        sent.append(envelope)
        yield envelope


def encoded(count: int, seed: int = 7) -> list[bytes]:
    """The envelopes as compact JSON."""
    return [json.dumps(envelope, separators=(",", ":")).encode() for envelope in events(count, seed)]


def expected(count: int, seed: int = 7, *, types: Collection[str] = NOTIFYING) -> int:
    """How many notifications there must be, or accepted events of other types: distinct occurrences."""
    return len({(e["event"], e["idempotency_key"]) for e in events(count, seed) if e["event"] in types})
