"""Taking an action: the event, the decision and the move in one commit; who may, and what an agent has to ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from eventctl import acting, decisions, moves
from eventctl.acting import Taken
from eventctl.autonomy import Autonomy
from eventctl.errors import Conflict, EventctlError, NotFound, NotPermitted, UsageError
from eventctl.memory_store import MemoryStore
from eventctl.offers import offers
from eventctl.principal import Principal
from eventctl.rebuild import rebuild
from eventctl.store import Committed, Operations
from eventctl.times import MINUTE, SECOND
from tests.system.kit import ADA, World, catalog, sqlite

KIOSK = {
    "namespace": "kiosk",
    "domain": "kiosk",
    "lives": {"till": {"key": ["till"], "title": "Till {till}"}},
    "types": {
        "till.stuck": {
            "summary": "A till is stuck.", "level": "business", "actionable": True, "lives": {"till": "opens"},
            "payload": {"till": "int", "error": "str?"},
            "actions": {
                "restart": {"summary": "Restart the till", "emits": "till.restarted"},
                "scrap": {"summary": "Scrap it", "emits": "till.scrapped"},
                "seize": {"summary": "Seize it", "emits": "system.seized"},
            },
        },
        "till.restarted": {"summary": "Restarted.", "payload": {"till": "int", "by": "str?"}, "lives": {"till": "updates"}},
        "till.scrapped": {"summary": "Gone.", "payload": {"till": "int", "reason": "str"}, "lives": {"till": "resolves"}},
        "till.blessed": {"summary": "Blessed."},
    },
}  # fmt: skip
OWN = {
    "bless": {"description": "Bless it", "produces": "kiosk.till.blessed"},
    "lose": {"description": "Lose it", "produces": "kiosk.till.lost"},
    "restart": {"description": "mine", "produces": "kiosk.till.blessed"},
    "fake": {"description": "Say yes", "produces": "decision.approved"},
}
TYPES = catalog(KIOSK)
BOT = Principal.parse("cli:bot", "agent")


@pytest.fixture(params=["memory", "sqlite"])
def world(request: Any, tmp_path: Path) -> Iterator[World]:
    world = World(MemoryStore() if request.param == "memory" else sqlite(tmp_path), types=TYPES)
    world.tell("kiosk.till.stuck", {"till": 7, "error": "paper"}, entity="eventctl://till/7", actions=OWN)
    yield world
    world.store.close()


def take(
    world: World, name: str = "restart", *, principal: Principal = ADA, terms: Autonomy | None = None, **more: Any
) -> Taken:
    """The action on n1, now, with an agent's name where an agent asks."""
    world.now += 1
    agent = principal.subject if principal.grants == BOT.grants else None
    return acting.take(
        world.store, 1, name, principal=principal, now=world.now, catalog=TYPES, terms=terms or Autonomy(), agent=agent, **more
    )


def event(world: World, seq: int | None) -> tuple[Any, dict[str, Any]]:
    row = world.store.views.record(seq or 0)
    assert row
    return row, orjson.loads(row.body)


def test_what_a_type_offers_comes_before_what_its_sender_offers(world: World) -> None:
    newest = world.store.views.record(1)
    assert newest
    assert [("restart", True), ("scrap", True), ("seize", True), ("bless", False), ("lose", False), ("fake", False)] == [
        (each.name, each.declared) for each in offers(TYPES.entry(newest.type).actions, newest)
    ]


def test_a_person_who_acts_has_decided_in_one_commit(world: World) -> None:
    before = world.store.tail("log")
    taken = take(world)
    assert (before + 1, before + 2) == (taken.move, taken.event)
    row, body = event(world, taken.event)
    assert ("kiosk.till.restarted", "cli:ada", 1, 0, "eventctl://till/7") == (
        row.type,
        row.principal,
        row.caused_by,
        row.hops,
        row.entity,
    )
    assert ({"till": 7}, "inbox") == (body["payload"], body["source"])
    decision = taken.decision
    assert ("done", True, "cli:ada", "emit", 1) == (
        decision.state,
        decision.approved,
        decision.decided_by,
        decision.name,
        decision.seq,
    )
    assert {"id": row.id} == orjson.loads(decision.body)["result"]
    move, said = event(world, taken.move)
    assert ("inbox.act", "cli:ada") == (move.type, move.principal)
    assert ("act", 1, "restart") == (said["verb"], said["notification"], said["action"])
    assert [] == world.store.claim(world.now + SECOND, lease=MINUTE, limit=9), "nothing is owed: it is done"


def test_the_new_event_goes_its_way_and_the_history_holds_both(world: World) -> None:
    take(world, "scrap", given={"reason": "old"})
    world.run()
    assert "resolved" == world.row(1).agent_state
    assert ["kiosk.till.stuck", "inbox.act", "kiosk.till.scrapped"] == [row.type for row in world.store.views.life(1)]


def test_the_payload_is_what_the_new_type_declares_of_the_old_one_with_what_is_given_over_it(world: World) -> None:
    assert {"till": 8, "by": "hand"} == event(world, take(world, given={"till": 8, "by": "hand"}).event)[1]["payload"]
    assert {"till": 7, "error": "paper"} == event(world, take(world, "bless").event)[1]["payload"], "which declares nothing"


def refused(world: World, kind: type[EventctlError], name: str, **more: Any) -> str:
    before = world.store.tail("log"), world.store.views.decisions()
    with pytest.raises(kind) as found:
        take(world, name, **more)
    assert before == (world.store.tail("log"), world.store.views.decisions()), "what is refused leaves no trace"
    return found.value.what


@pytest.mark.parametrize(
    ("kind", "name", "given", "said"),
    [
        (NotFound, "retsart", {}, "n1 offers no action 'retsart'"),
        (UsageError, "scrap", {}, "the payload of kiosk.till.scrapped: reason is missing"),
        (UsageError, "scrap", {"reason": 5}, "the payload of kiosk.till.scrapped: reason is integer, declared string"),
        (UsageError, "restart", {"colour": "red"}, "the payload of kiosk.till.restarted: colour is not declared"),
        (UsageError, "lose", {}, "'lose' emits kiosk.till.lost, which no event_types.toml declares"),
        (NotPermitted, "fake", {}, "'fake' emits decision.approved, which may come from the platform only"),
        (UsageError, "seize", {}, "'seize' emits system.seized, which no event_types.toml declares"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_no_trace(
    world: World, kind: type[EventctlError], name: str, given: dict[str, Any], said: str
) -> None:
    assert said == refused(world, kind, name, given=given)


def test_without_the_right_nobody_acts(world: World) -> None:
    for who in (Principal.parse("http:shop", "producer"), Principal("cli", "nobody")):
        assert f"{who} may not inbox.act" == refused(world, NotPermitted, "restart", principal=who)


def test_what_is_put_away_offers_nothing(world: World) -> None:
    moves.archive(world.store, 1, principal=ADA, now=world.now)
    assert "n1 is archived" == refused(world, Conflict, "restart")


def test_an_agent_that_may_act_has_acted_once_whatever_it_is_told(world: World) -> None:
    taken = take(world, principal=BOT)
    row, _ = event(world, taken.event)
    assert ("cli:bot", 1) == (row.principal, row.hops)
    assert ("done", False, "") == (taken.decision.state, taken.decision.approved, taken.decision.decided_by)
    assert "bot has asked for 'restart' already: d1 is done" == refused(world, Conflict, "restart", principal=BOT)


def test_an_agent_that_is_held_asks_and_a_person_decides(world: World) -> None:
    taken = take(world, principal=BOT, terms=Autonomy(types={"kiosk.**": "L1"}))
    assert ("held", None) == (taken.decision.state, taken.event)
    world.run()
    assert "decision.held" in [row.type for row in world.store.read_log(0, 99)]
    assert 1 == len([row for row in world.inbox() if row.life == "decision.decision"])
    decided = decisions.approve(world.store, taken.decision.number, principal=ADA, now=world.now)
    [owed] = world.store.claim(world.now + SECOND, lease=MINUTE, limit=9)
    assert ("approved", "emit") == (decided.row.state, owed.name)
    assert {"till": 7} == orjson.loads(owed.body)["emit"]["payload"]


def test_what_a_person_denied_an_agent_does_not_ask_for_again(world: World) -> None:
    held = Autonomy("L1")
    taken = take(world, principal=BOT, terms=held)
    decisions.deny(world.store, taken.decision.number, principal=ADA, now=world.now)
    assert "bot has asked for 'restart' already: d1 is denied" == refused(world, Conflict, "restart", principal=BOT, terms=held)


def test_under_l2_what_people_have_done_often_enough_is_no_news(world: World) -> None:
    terms = Autonomy("L2")
    assert "held" == take(world, principal=BOT, terms=terms).decision.state
    for _ in range(terms.after):
        take(world)
    known = take(world, principal=Principal.parse("cli:other", "agent"), terms=terms).decision
    assert ("window", world.now + terms.window) == (known.state, known.due)


def test_an_agent_takes_nothing_that_only_a_sender_offers(world: World) -> None:
    said = "bot may not take 'bless': the event offers it, and its type kiosk.till.stuck does not"
    assert said == refused(world, NotPermitted, "bless", principal=BOT)


def test_an_agent_leaves_alone_what_somebody_else_holds_and_a_person_need_not(world: World) -> None:
    moves.claim(world.store, 1, agent="bob", principal=ADA, now=world.now)
    assert refused(world, Conflict, "restart", principal=BOT).startswith("n1 is claimed by bob")
    assert "done" == take(world).decision.state


def test_an_agent_that_goes_round_in_a_loop_ends(world: World) -> None:
    world.tell("kiosk.till.stuck", {"till": 7, "error": "ink"}, entity="eventctl://till/7", hops=8)
    assert "kiosk.till.restarted would be 9 hops from where it began; 8 are allowed" == refused(
        world, Conflict, "restart", principal=BOT
    )
    assert 0 == event(world, take(world).event)[0].hops


def test_two_who_act_at_the_same_moment_are_both_kept(world: World) -> None:
    """The second commit finds the row and the number taken, plans again, and gets the next number."""
    inner = world.store.commit

    def first_other(operations: Operations, *, durable: bool = False) -> Committed:
        world.store.commit = inner  # type: ignore[method-assign]
        take(world)
        return inner(operations, durable=durable)

    world.store.commit = first_other  # type: ignore[method-assign]
    assert 2 == take(world).decision.number
    assert [2, 1] == [row.number for row in world.store.views.decisions()]


def test_a_rebuild_comes_to_the_same(world: World) -> None:
    take(world)
    take(world, "bless")
    take(world, "scrap", given={"reason": "old"})
    world.run()
    done = rebuild(world.store, MemoryStore(), World(types=TYPES).pipeline)
    assert (True, 3) == (done.same, done.moves)
