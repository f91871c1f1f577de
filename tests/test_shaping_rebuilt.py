"""Silences and shaping rules are part of the fold: any history, with restarts in between, is rebuilt to the same."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventctl import moves, silences
from eventctl.errors import Conflict, NotFound, UsageError
from eventctl.memory_store import MemoryStore
from eventctl.principal import Principal
from eventctl.rebuild import rebuild
from eventctl.silences import Silence
from eventctl.store import Keys, Store
from eventctl.system.rulings import Rulings
from eventctl.system_pipeline import SystemPipeline
from eventctl.times import DAY, HOUR, MINUTE
from tests.system.kit import ADA, CATALOG, World, sqlite
from tests.test_shaping import rule

BOB = Principal.parse("cli:bob", "member")
RULES = (
    rule("minor", ["shop.deploy.*"], when="payload.env == 'test'", set={"level": 1}),
    rule("by-env", ["shop.deploy.failed"], group={"by": ["payload.env"]}),
    rule("hush", ["shop.ticket.*"], when="payload.id == 2", silence={"for": "2h"}),
    rule("loud", ["shop.**"], when="payload.error == 'p'", silence={"for": "1h"}),
    rule("mine", ["shop.**"], scope="personal", owner="bob", when="level < 3", silence={"for": "1d"}),
    rule("flap", ["shop.ticket.*"], window={"kind": "flap", "within": "1h", "count": 3, "value": "event", "per": ["payload.id"]}),
    rule(
        "outage", ["shop.**"],
        window={"kind": "inhibit", "within": "1h", "after": "event == 'shop.ticket.opened'", "until": "event == 'shop.ticket.closed'", "per": []},
    ),
    rule("many", ["shop.**"], window={"kind": "threshold", "within": "10m", "count": 4, "per": []}, silence={"for": "1h"}),
)  # fmt: skip
PAYLOAD = st.fixed_dictionaries(
    {"id": st.integers(1, 2), "slug": st.sampled_from(["api", "web", "db"]), "env": st.sampled_from(["eu", "test"])},
    optional={"error": st.sampled_from("pq"), "text": st.sampled_from("uv")},
)
TYPES = [
    "shop.deploy.failed", "shop.deploy.failed", "shop.deploy.started", "shop.deploy.done", "shop.ticket.opened",
    "shop.ticket.noted", "shop.ticket.closed", "shop.ticket.reopened",
]  # fmt: skip
ABOUT = st.sampled_from(
    [
        {"type": "shop.deploy.*"},
        {"type": "**"},
        {"entity": "svc/a"},
        {"when": "payload.error == 'q'"},
        {"type": "**", "member": "bob"},
    ]
)
NUMBER = st.integers(0, 99)
EMIT = st.tuples(st.just("emit"), st.sampled_from(TYPES), PAYLOAD, st.sampled_from([None, "svc/a"]))
SILENCE = st.one_of(
    st.tuples(
        st.just("silence"), ABOUT, st.sampled_from([HOUR, 20 * DAY]), st.sampled_from([(), ("12:00-13:00", "Fri 11:00-12:00")])
    ),
    st.tuples(st.just("end"), NUMBER),
)
MOVE = st.tuples(st.sampled_from(["resolve", "reopen", "claim", "archive", "unarchive", "snooze", "seen"]), NUMBER)
TIME = st.tuples(st.just("wait"), st.sampled_from([MINUTE, 40 * MINUTE, 2 * HOUR, 3 * DAY, 9 * DAY]))
RUN = st.tuples(st.just("run"), st.sampled_from([1, 3, 500]))
STEP = st.one_of(EMIT, EMIT, EMIT, EMIT, SILENCE, MOVE, TIME, RUN, RUN, st.just(("fire",)), st.just(("restart",)))
HISTORY = st.lists(STEP, min_size=30, max_size=70)


def made(store: Store | None = None) -> World:
    world = World(store)
    world.pipeline = pipeline()
    return world


def pipeline() -> SystemPipeline:
    return SystemPipeline(CATALOG, rules=Rulings(RULES))


def live(world: World, history: list[Any]) -> None:
    for what, *how in history:
        world.now += 1
        if what == "emit":
            kind, payload, entity = how
            world.emit(kind, payload, domain="shop", **({"entity": entity} if entity else {}))
        elif what == "run":
            world.pipeline.advance(world.store, how[0], world.now)
        elif what == "wait":
            world.now += how[0]
        elif what == "fire":
            world.fire()
        elif what == "restart":
            world.pipeline = pipeline()
        else:
            try:
                act(world, what, *how)
            except (Conflict, NotFound, UsageError):
                pass


def act(world: World, what: str, *how: Any) -> None:
    store, now = world.store, world.now
    if what == "silence":
        about, length, every = how
        who = BOB if about.get("member") else ADA
        silences.add(store, Silence(0, "", 0, now + length, every=every, reason="r", **about), principal=who, now=now)
    elif what == "end":
        standing = list(silences.standing(store))
        if standing:
            silences.end(store, standing[how[0] % len(standing)], principal=ADA, now=now)
    else:
        number = 1 + how[0] % (store.snapshot(Keys()).notification_last or 1)
        more: dict[str, Any] = (
            {"agent": "ada"}
            if what in ("resolve", "reopen", "claim")
            else {"member": "bob"}
            if what in ("snooze", "seen")
            else {}
        )
        more |= {"until": now + HOUR} if what == "snooze" else {}
        getattr(moves, what)(store, number, principal=ADA, now=now, **more)


def folded(store: Store) -> list[object]:
    """What shaping leaves behind, besides the projection. A timer that has fired says nothing new when it is set again."""
    timers = store.due_timers(2**62, limit=500)
    marks = [("timer", f"{timer.owner}:{timer.key}:{timer.due}") for timer in timers]
    fired = store.snapshot(Keys(identities=marks)).identities
    owed = [timer for timer, mark in zip(timers, marks, strict=True) if mark not in fired]
    return [silences.standing(store), silences.ended(store), owed, noted(store)]


def noted(store: Store) -> list[object]:
    traces = [store.views.trace(seq) for seq in range(1, store.tail("log") + 1)]
    return [trace.annotations for trace in traces if trace]


def differing(store: Store, other: Store) -> list[object]:
    """Where two projections differ, by notification: what the hash only says that it is so."""
    found: list[object] = []
    for number in range(1, store.snapshot(Keys()).notification_last + 1):
        rows = [each.views.notification(number) for each in (store, other)]
        mine, theirs = [row and row._replace(ver=0, changed_pos=0)._asdict() for row in rows]
        if mine is None or theirs is None:
            found += [] if mine == theirs else [(number, mine, theirs)]
            continue
        found += [(number, name, mine[name], theirs[name]) for name in mine if mine[name] != theirs[name]]
        lives = [[row.seq for row in each.views.life(number)] for each in (store, other)]
        views = [each.views.member_views(number) for each in (store, other)]
        found += [(number, *pair) for pair in (lives, views) if pair[0] != pair[1]]
    return found


def counted(store: Store) -> None:
    """A group counts the open rows that are gathered in it, and an open one has some; what is silenced has a name."""
    rows = {number: store.views.notification(number) for number in range(1, store.snapshot(Keys()).notification_last + 1)}
    for number, row in rows.items():
        assert row is None or (row.silenced_by is None) == (row.silenced_until is None)
        if row is not None and row.life.startswith("group:") and row.agent_state != "resolved" and row.archived_at is None:
            inside = [each for each in rows.values() if each is not None and each.silenced_by == f"n{number}"]
            assert row.title.endswith(f"({len(inside)} open)")
            assert inside


@given(HISTORY, st.sampled_from([1, 3, 500]))
@settings(max_examples=50, deadline=None)
def test_any_history_with_silences_and_shaping_rules_is_rebuilt_to_the_same(history, batch):
    world = made()
    live(world, history)
    world.run()
    counted(world.store)
    target = MemoryStore()
    same = rebuild(world.store, target, pipeline(), batch=batch).same
    assert [] == differing(world.store, target)
    assert same
    assert folded(world.store) == folded(target)


@given(HISTORY, st.sampled_from([1, 500]))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_both_stores_come_to_the_same_silences(history, batch):
    with tempfile.TemporaryDirectory() as folder:
        store = sqlite(Path(folder))
        world = made(store)
        live(world, history)
        world.run()
        target = MemoryStore()
        same = rebuild(store, target, pipeline(), batch=batch).same
        assert [] == differing(store, target)
        assert same
        assert folded(store) == folded(target)
        store.close()
