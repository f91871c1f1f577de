"""The context: it says no on the line that asks for too much, collects what is allowed, and is of no use after the run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from eventctl.catalog import Catalog, EventType
from eventctl.context import CALLS_MAX, EMITS_MAX, HISTORY_MAX, VALUE_MAX, CartridgeContext, Rights
from eventctl.contracts import Context
from eventctl.ids import derived_id
from eventctl.store import LogRow
from eventctl.trampoline import Ask, Mistake

CATALOG = Catalog([EventType(name, declared=True) for name in ("domain.shop.made", "notice.raised", "notice.withdrawn")])
RIGHTS = Rights("domain:shop", "till", emits=("domain.shop.*",), annotates=("till",), calls=("ask",), audiences=("workspace",))


def record(**changes: Any) -> LogRow:
    body = {"id": "p1", "event": "shop.sold", "source": "till", "timestamp": "2026-11-20T10:00:00Z", "trace": "t1"}
    row = LogRow(
        7, "event", "till", "p1", "shop.sold", orjson.dumps(body), "cli:ada", 1_700_000_000_000_000, "order:1", None, 0
    )
    return row._replace(**changes)


def context(row: LogRow | None = None, rights: Rights = RIGHTS) -> CartridgeContext:
    return CartridgeContext(row or record(), rights, catalog=CATALOG, settings={"slow": 1})


def asked(awaitable: Any) -> Ask:
    ask = awaitable.send(None)
    awaitable.close()
    assert isinstance(ask, Ask)
    return ask


def test_it_is_what_the_contract_promises() -> None:
    promised: Context = context()
    assert datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC) == promised.now
    assert {"slow": 1} == promised.settings
    assert CATALOG is promised.catalog


def test_now_is_the_ingestion_and_never_the_clock() -> None:
    assert context().now == context().now


def test_an_emitted_event_is_caused_by_its_parent_and_its_id_is_derived() -> None:
    given = context()
    given.emit("domain.shop.made", {"n": 1}, description="made")
    given.emit("domain.shop.made", {"n": 2}, entity=None)
    first, second = given.outcome.emitted
    body = orjson.loads(first.body)
    assert derived_id("till", "p1", "domain:shop", "till", 0) == first.id
    assert derived_id("till", "p1", "domain:shop", "till", 1) == second.id
    assert ("domain:shop/till", "p1", 1, "t1") == (body["source"], body["caused_by"], body["hops"], body["trace"])
    assert ("order:1", None) == (first.entity, second.entity)


def test_emitting_what_the_manifest_does_not_name_is_a_mistake() -> None:
    with pytest.raises(Mistake, match=r"emits 'domain\.crm\.made', which its manifest does not name"):
        context().emit("domain.crm.made", {})


def test_emitting_what_nobody_declares_is_a_mistake() -> None:
    with pytest.raises(Mistake, match="no event_types"):
        context().emit("domain.shop.unknown", {})


@pytest.mark.parametrize("field", ["id", "source", "hops", "caused_by", "timestamp", "zzz"])
def test_what_follows_from_the_parent_cannot_be_stated(field: str) -> None:
    with pytest.raises(Mistake, match=f"cannot be given '{field}'"):
        context().emit("domain.shop.made", {}, **{field: "x"})


def test_what_cannot_enter_the_log_is_a_mistake_of_the_cartridge() -> None:
    with pytest.raises(Mistake, match="cannot enter the log"):
        context().emit("domain.shop.made", {}, level=9)
    with pytest.raises(Mistake, match="cannot be JSON"):
        context().emit("domain.shop.made", {"at": object()})


def test_past_the_hop_limit_an_event_is_refused_even_when_the_cartridge_swallows_it() -> None:
    given = context(record(hops=8))
    with pytest.raises(Mistake, match="9 hops"):
        given.emit("domain.shop.made", {})
    assert "goes round in a loop" in given.outcome.hopeless


def test_a_run_emits_only_so_much() -> None:
    given = context()
    for _ in range(EMITS_MAX):
        given.emit("domain.shop.made", {})
    with pytest.raises(Mistake, match=f"it emitted {EMITS_MAX} events"):
        given.emit("domain.shop.made", {})


def test_a_notice_names_its_cartridge_and_keeps_its_key() -> None:
    given = context()
    given.notify("Slow deploy", level="business", key="api", payload={"text": "It took an hour.", "by": "somebody else"})
    notice = orjson.loads(given.outcome.emitted[0].body)
    wanted = {
        "by": "domain:shop/till",
        "key": "api",
        "title": "Slow deploy",
        "audience": "workspace",
        "text": "It took an hour.",
    }
    assert wanted == notice["payload"]
    assert (3, "Slow deploy") == (notice["level"], notice["description"])


def test_a_members_cartridge_speaks_to_its_member_only() -> None:
    rights = Rights("members", "ada/till", audiences=("member:ada",))
    given = context(rights=rights)
    given.notify("hello")
    assert "member:ada" == orjson.loads(given.outcome.emitted[0].body)["payload"]["audience"]
    with pytest.raises(Mistake, match="for member:ada, not for 'workspace'"):
        given.notify("hello", audience="workspace")


def test_only_declared_slots_are_annotated_and_only_with_json() -> None:
    given = context()
    given.annotate("till", {"a": 1})
    assert {"till": b'{"a":1}'} == given.outcome.annotations
    with pytest.raises(Mistake, match="annotates 'other'"):
        given.annotate("other", 1)
    with pytest.raises(Mistake, match="cannot be JSON"):
        given.annotate("till", {1, 2})
    with pytest.raises(Mistake, match="bytes"):
        given.annotate("till", "x" * VALUE_MAX)


def test_a_timer_is_for_later() -> None:
    given = context()
    given.timer("wake", timedelta(seconds=2), {"a": 1})
    assert record().at + 2_000_000 == given.outcome.timers["wake"].due
    with pytest.raises(Mistake, match="a timer is for later"):
        given.timer("wake", timedelta(0))


def test_state_that_was_set_is_read_back_and_cannot_be_changed_through_what_was_read() -> None:
    given = context()
    basket = ["apple"]
    given.state.set("basket", basket)
    basket.append("pear")

    async def read() -> Any:
        return await given.state.get("basket")

    with pytest.raises(StopIteration) as stop:
        read().send(None)
    assert ["apple"] == stop.value.value


def test_awaited_methods_ask_the_trampoline() -> None:
    given = context()
    assert ("state", ("n",)) == ((ask := asked(given.state.get("n"))).verb, ask.args)
    assert ("history", ("order:1", "shop.*", HISTORY_MAX)) == (
        (ask := asked(given.history("shop.*", limit=10**9))).verb,
        ask.args,
    )
    assert ("call", ("ask", 0, b'{"q":1}')) == ((ask := asked(given.call("ask", {"q": 1}))).verb, ask.args)
    assert ("call", ("ask", 1, b"{}")) == ((ask := asked(given.call("ask", {}))).verb, ask.args)


def test_calls_are_declared_and_counted() -> None:
    given = context()
    with pytest.raises(Mistake, match=r"\[permissions\] calls = \['tell'\]"):
        asked(given.call("tell", {}))
    for _ in range(CALLS_MAX):
        asked(given.call("ask", {}))
    with pytest.raises(Mistake, match=f"it made {CALLS_MAX} calls"):
        asked(given.call("ask", {}))


def test_a_context_that_was_kept_says_that_its_run_is_over() -> None:
    given = context()
    given.close()
    for late in (
        lambda: given.annotate("till", 1),
        lambda: given.emit("domain.shop.made", {}),
        lambda: given.notify("x"),
        lambda: given.timer("x", timedelta(1)),
        lambda: given.drop("x"),
        lambda: given.quarantine("x"),
        lambda: given.state.set("x", 1),
        lambda: asked(given.state.get("x")),
        lambda: asked(given.call("ask", {})),
        lambda: asked(given.history()),
        lambda: asked(given.annotations()),
    ):
        with pytest.raises(Mistake, match="run is over"):
            late()


def test_a_notice_is_withdrawn_by_its_key() -> None:
    given = context()
    given.notify("Slow deploy", key="api")
    given.notify("Fast again", key="api", withdraw=True)
    raised, withdrawn = (orjson.loads(event.body) for event in given.outcome.emitted)
    assert ("notice.raised", "notice.withdrawn") == (raised["event"], withdrawn["event"])
    assert [raised["payload"][name] for name in ("by", "key")] == [withdrawn["payload"][name] for name in ("by", "key")]
