"""A pipeline of cartridges: what it does with each event, and that nothing is lost, doubled or out of order on the way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from eventctl import strikes
from eventctl.breadcrumb import Crumb
from eventctl.catalog import Catalog, EventType
from eventctl.contracts import CallFailed
from eventctl.dag import open_events
from eventctl.dag.case import state_key
from eventctl.event import Event
from eventctl.modules import Code, digest
from eventctl.store import Keys, Operations, Record, Unit
from eventctl.times import SECOND
from tests.flowkit import OUT, PIPELINE, World, cartridge, plan


async def note(event: Any, context: Any) -> Any:
    """Counts the entity's events, and says beside each which one it is."""
    count = await context.state.get("count", 0) + 1
    context.state.set("count", count)
    context.annotate(context.settings.get("slot", "note"), count)
    return event


async def ask(event: Any, context: Any) -> Any:
    context.annotate("ask", await context.call("ask", {"about": event.payload}))
    return event


def raising(times: int, text: str = "boom") -> Callable[[Any, Any], Any]:
    """A cartridge that fails so many times, then goes on."""
    tries = iter(range(times))

    async def process(event: Any, context: Any) -> Any:
        if next(tries, None) is not None:
            raise ValueError(text)
        context.annotate("fails", "recovered")
        return event

    return process


async def make(event: Any, context: Any) -> Any:
    context.emit(OUT, {"of": event.id})
    return event


async def go_on(event: Any, _: Any) -> Any:
    return event


# --- plainly ----------------------------------------------------------------------------------------------------------------


def test_effects_are_committed_with_the_cursor() -> None:
    world = World(plan(cartridge("note", note), cartridge("make", make)))
    first, second = world.send(), world.send()
    report = world.step()
    assert (2, 2, 2, 1) == (report.pos, report.applied, report.emitted, report.commits)
    assert ({"note": 1}, {"note": 2}) == (world.annotations(first), world.annotations(second))
    assert {"count": 2} == world.state("note")
    assert [("s1", first), ("s2", second)] == [(orjson.loads(row.body)["payload"]["of"], row.caused_by) for row in world.made()]
    assert {"cartridge:domain:shop/make"} == {row.principal for row in world.made()}


def test_what_no_cartridge_wants_is_passed_without_reading_it() -> None:
    world = World(plan(cartridge("note", note)))
    for _ in range(5):
        world.send("elsewhere.sold")
    snapshots = []
    real = world.store.snapshot
    world.store.snapshot = lambda keys: snapshots.append(keys) or real(keys)  # type: ignore[method-assign,func-returns-value,assignment]  # counts
    assert (5, 5) == ((report := world.pipeline.advance(world.store, 100, world.now)).passed, report.applied)
    assert [] == snapshots
    assert [] == world.crumbs.visits


def test_rows_for_other_pipelines_are_passed() -> None:
    world = World(plan(cartridge("note", note, ["**"])))
    for why in ("answer", "timer", "retry"):
        world.feed(Record("move", "move", why, "x", b"{}", "cli:ada", world.now), "domain:other", why)
    assert 3 == world.step().applied


def test_the_breadcrumb_names_pipeline_cartridge_and_event() -> None:
    world = World(plan(cartridge("note", note, limit_s=2.5)))
    seq = world.send()
    world.step()
    assert {(PIPELINE, "note", seq)} == set(world.crumbs.visits)
    assert {2.5} == set(world.crumbs.limits)


def test_siblings_see_the_same_event_and_never_what_another_does_to_it() -> None:
    seen = []

    async def spoil(event: Any, context: Any) -> Any:
        event.payload["n"] = "spoilt"
        event.data["id"] = event.data["source"] = "spoilt"
        context.emit(OUT, {"n": 1})
        return event

    async def look(event: Any, _: Any) -> Any:
        seen.append((event.id, event.payload["n"]))
        return event

    world = World(plan(cartridge("spoil", spoil), cartridge("look", look), cartridge("later", look), after={"later": ["look"]}))
    world.send(n=1)
    world.step()
    assert [("s1", 1), ("s1", 1)] == seen
    assert "s1" == orjson.loads(world.made()[0].body)["caused_by"]


def test_later_levels_see_the_annotations_of_earlier_ones_and_of_the_system_only() -> None:
    seen: dict[str, Any] = {}

    def looking(name: str) -> Any:
        async def process(event: Any, context: Any) -> Any:
            seen[name] = dict(await context.annotations())
            context.annotate(name, name)
            return event

        return process

    world = World(plan(*(cartridge(name, looking(name)) for name in ("a", "b", "c")), after={"c": ["a"]}))
    seq = world.send()
    from eventctl.store import Operations

    world.store.commit(Operations(annotations=[(seq, "trust", b'["flagged"]'), (seq, "other-domains-slot", b"1")]))
    world.step()
    system = {"trust": ["flagged"]}
    assert {"a": system, "b": system, "c": {**system, "a": "a", "b": "b"}} == seen


def test_history_never_looks_past_the_event() -> None:
    seen = []

    async def look(event: Any, context: Any) -> Any:
        assert all(isinstance(earlier, Event) for earlier in await context.history())
        seen.append([earlier.id for earlier in await context.history("shop.*", limit=2)])
        return event

    world = World(plan(cartridge("look", look)))
    for _ in range(4):
        world.send()
    world.step()
    assert [[], ["s1"], ["s2", "s1"], ["s3", "s2"]] == seen


def test_state_belongs_to_the_declared_key() -> None:
    world = World(plan(cartridge("note", note, key=("payload.slug",)), cartridge("by-source", go_on, key=("source",))))
    world.send(slug="api")
    world.send(slug="web")
    world.send(slug="api")
    world.send(slug=42)
    world.step()
    assert [2, 1, 1] == [world.state("note", key)["count"] for key in ("api", "web", "42")]


def test_state_belongs_to_several_fields_at_once_or_to_none() -> None:
    several = cartridge("note", note, key=("payload.slug", "domain"))
    world = World(plan(several, cartridge("all", note, key=(), settings={"slot": "all"})))
    for slug in ("api", "api", 'a","b', None, 42):
        world.send(slug=slug)
    world.step()
    keys = ['["api",""]', '["a\\",\\"b",""]', '[null,""]', '[42,""]']
    assert [2, 1, 1, 1] == [world.state("note", key)["count"] for key in keys]
    assert 5 == world.state("all", "")["count"]


def test_a_key_that_a_sender_makes_long_goes_by_its_beginning_and_a_hash() -> None:
    one, other = "x" * 1_000 + "a", "x" * 1_000 + "b"
    keys = {state_key({"payload": {"slug": slug}}, "", ["payload.slug"]) for slug in (one, other)}
    assert 2 == len(keys)
    assert {265} == {len(key) for key in keys}


def test_undeclared_types_reach_those_who_ask_for_them() -> None:
    world = World(plan(cartridge("note", note, ["my.own.*"])))
    seq = world.send("my.own.thing")
    world.step()
    assert {"note": 1} == world.annotations(seq)


def test_a_plain_function_is_a_cartridge_too() -> None:
    def process(event: Any, context: Any) -> Any:
        context.annotate("plain", 1)
        return event

    world = World(plan(cartridge("plain", process)))
    assert {"plain": 1} == world.annotations((world.send(), world.step())[0])


def test_time_and_errors_are_counted_by_cartridge() -> None:
    import time

    def slow(event: Any, _: Any) -> Any:
        time.sleep(0.006)
        return event

    world = World(plan(cartridge("slow", slow), cartridge("fails", raising(1), on_error="skip")))
    world.send()
    world.step()
    slow_one, failing = world.pipeline.invocations["slow"], world.pipeline.invocations["fails"]
    assert (1, 0, 1) == (slow_one.calls, slow_one.errors, slow_one.over)
    assert slow_one.total_ns == slow_one.max_ns > 5_000_000
    assert (1, 1) == (failing.calls, failing.errors)


def test_what_a_run_is_meant_to_take_can_be_set_and_the_first_longer_one_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "eventctl.dag")
    world = World(plan(cartridge("any", lambda event, _: event)), budget_ns=0)
    for _ in range(2):
        world.send()
    world.step()
    assert 2 == world.pipeline.invocations["any"].over
    assert 1 == caplog.text.count("and 0 ms are meant")


# --- dropping and holding -------------------------------------------------------------------------------------------------------


async def refuse(event: Any, context: Any) -> Any:
    context.state.set("seen", 1)
    context.emit(OUT, {})
    context.drop("not ours")
    return event


def test_a_drop_gives_up_its_own_effects_keeps_its_siblings_and_skips_later_levels() -> None:
    world = World(
        plan(cartridge("refuse", refuse), cartridge("note", note), cartridge("later", make), after={"later": ["note"]})
    )
    seq = world.send()
    world.step()
    row = world.exception(seq)
    assert row is not None
    assert ("dropped", "refuse", "not ours") == (row.state, row.cartridge, row.reason)
    assert ({"note": 1}, {}, []) == (world.annotations(seq), world.state("refuse"), world.made())


def test_none_is_a_drop_without_a_reason() -> None:
    world = World(plan(cartridge("silent", lambda *_: None)))
    seq = world.send()
    world.step()
    assert (("dropped", "silent", "")) == ((row := world.exception(seq)) and (row.state, row.cartridge, row.reason))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda event: Event(event.body, seq=event.seq, at=event.at, principal=event.principal), "it returned another event"),
        (lambda _: {"event": "x"}, "it returned a dict"),
        (lambda _: True, "it returned a bool"),
        (lambda _: note, "it returned a function"),
    ],
)
def test_returning_anything_else_is_an_error(given: Any, said: str) -> None:
    world = World(plan(cartridge("odd", lambda event, _: given(event))))
    seq = world.send()
    world.step()
    row = world.exception(seq)
    assert row is not None
    assert "retry" == row.state
    assert said in row.reason


async def hold(event: Any, context: Any) -> Any:
    context.annotate("hold", "looked at")
    context.quarantine("suspicious")
    return event


def test_what_is_quarantined_waits_for_a_person_and_goes_on_when_released() -> None:
    world = World(plan(cartridge("hold", hold), cartridge("note", note), cartridge("later", make), after={"later": ["note"]}))
    seq = world.send()
    world.step()
    assert {seq: "quarantined"} == world.states()
    assert ({"note": 1}, []) == (world.annotations(seq), world.made())
    world.decide("quarantine.release", seq)
    world.step()
    assert {} == world.states()
    assert {"hold": "looked at", "note": 1} == world.annotations(seq)
    assert {"count": 1} == world.state("note")
    assert 1 == len(world.made())


def test_what_is_quarantined_can_be_discarded_and_decisions_count_once() -> None:
    world = World(plan(cartridge("hold", hold)))
    seq = world.send()
    world.step()
    for verb in ("dead.retry", "quarantine.discard", "quarantine.discard", "quarantine.release"):
        world.decide(verb, seq)
    world.step()
    row = world.exception(seq)
    assert row is not None
    assert ("dropped", "discarded by cli:ada: suspicious") == (row.state, row.reason)


# --- failing ------------------------------------------------------------------------------------------------------------------


def test_raising_is_counted_before_it_is_tried_again_and_nothing_of_the_event_happens_meanwhile() -> None:
    world = World(plan(cartridge("fails", raising(2)), cartridge("note", note)))
    seq = world.send()
    world.step()
    row = world.exception(seq)
    assert row is not None
    assert ("retry", "fails", 1, world.now + SECOND) == (row.state, row.cartridge, row.attempts, row.due)
    assert ({}, {}) == (world.annotations(seq), world.state("note"))
    world.later(0.9).step()
    assert 1 == world.pipeline.invocations["fails"].calls
    world.later(0.2).step()
    assert (2, world.now + 10 * SECOND) == ((row := world.exception(seq)) and (row.attempts, row.due))
    world.later(11).step()
    assert {"fails": "recovered", "note": 1} == world.annotations(seq)
    assert {} == world.states()


def dead_letter(*others: Any, after: Any = None) -> tuple[World, int]:
    world = World(plan(cartridge("fails", raising(3)), *others, after=after))
    seq = world.send()
    for _ in range(3):
        world.step()
        world.later(11)
    return world, seq


def test_after_three_attempts_the_cartridge_is_dead_for_this_event_and_the_others_go_on() -> None:
    world, seq = dead_letter(
        cartridge("note", note), cartridge("late", make), cartridge("later", make), after={"late": ["fails"], "later": ["late"]}
    )
    row = world.exception(seq)
    assert row is not None
    assert ("dead", "fails", 3) == (row.state, row.cartridge, row.attempts)
    assert "ValueError: boom; not run: late, later" == row.reason
    assert ({"note": 1}, []) == (world.annotations(seq), world.made())
    failed = world.made("cartridge.failed")
    assert [("fails", 3, seq)] == [
        ((payload := orjson.loads(row.body)["payload"])["cartridge"], payload["attempts"], row.caused_by) for row in failed
    ]


def test_a_dead_letter_that_is_retried_runs_only_what_did_not_run() -> None:
    world, seq = dead_letter(cartridge("note", note), cartridge("late", make), after={"late": ["fails"]})
    world.decide("dead.retry", seq)
    world.step()
    assert {} == world.states()
    assert {"fails": "recovered", "note": 1} == world.annotations(seq)
    assert {"count": 1} == world.state("note")
    assert 1 == len(world.made())
    assert [seq] == [row.caused_by for row in world.made("cartridge.recovered")]


def test_a_dead_letter_can_be_given_up() -> None:
    world, seq = dead_letter()
    world.decide("dead.discard", seq)
    world.step()
    assert {seq: "dropped"} == world.states()
    assert 1 == len(world.made("cartridge.recovered"))


def test_a_dead_letter_that_fails_again_is_dead_again() -> None:
    world = World(plan(cartridge("fails", raising(6)), cartridge("note", note)))
    seq = world.send()
    for _ in range(3):
        world.later(11).step()
    world.decide("dead.retry", seq)
    for _ in range(3):
        world.later(11).step()
    assert {seq: "dead"} == world.states()
    assert [3, 6] == [orjson.loads(row.body)["payload"]["attempts"] for row in world.made("cartridge.failed")]
    world.decide("dead.retry", seq)
    world.step()
    assert {} == world.states()


def test_on_error_skip_passes_over_it_and_whoever_comes_after() -> None:
    world = World(
        plan(
            cartridge("fails", raising(1), on_error="skip"),
            cartridge("note", note),
            cartridge("late", make),
            after={"late": ["fails"]},
        )
    )
    seq = world.send()
    world.step()
    assert {} == world.states()
    skipped = {"fails": "ValueError: boom", "late": "it comes after one that failed"}
    assert {"note": 1, f"skipped:{PIPELINE}": skipped} == world.annotations(seq)


def test_on_error_disable_switches_it_off_with_whoever_requires_it() -> None:
    world = World(
        plan(
            cartridge("fails", raising(9), on_error="disable"),
            cartridge("needs", make, requires=("fails",)),
            cartridge("note", note),
        )
    )
    first, second = world.send(), world.send()
    world.step()
    assert {first: "dead"} == world.states()
    assert {"note": 2} == world.annotations(second)
    assert (["note"], []) == ([each.id for each in world.pipeline.plan], world.made())
    unit: Unit = world.store.units()["cartridges/fails.py"]
    assert ("disabled", "ValueError: boom") == (unit.state, unit.reason)
    assert 1 == len(world.made("system.cartridge.disabled"))


def test_code_that_does_not_load_is_a_dead_letter_at_once(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text("import nothing_of_this_name\n")
    bad = cartridge("bad", None)
    code = Code((file,), digest([file.read_bytes()]))
    world = World(plan(type(bad)(bad.rights, bad.consumes, code), cartridge("note", note)))
    seq = world.send()
    world.step()
    row = world.exception(seq)
    assert row is not None
    assert ("dead", "bad") == (row.state, row.cartridge)
    assert "ModuleNotFoundError" in row.reason
    assert {"note": 1} == world.annotations(seq)


def test_a_struck_cartridge_is_left_out_for_this_event_and_the_others_go_on() -> None:
    world = World(plan(cartridge("hangs", raising(99)), cartridge("note", note)))
    seq, after = world.send(), world.send("shop.other", "e2")
    crumb = Crumb(PIPELINE, "hangs", seq, 0.0, 5.0)
    strikes.book(world.store, crumb, "hung for more than 5 s", "", world.now)
    world.restarted()
    world.step()
    row = world.exception(seq)
    assert row is not None
    assert ("dead", "hangs", "hung for more than 5 s") == (row.state, row.cartridge, row.reason)
    assert {"note": 1} == world.annotations(seq)
    assert {seq: "dead", after: "retry"} == world.states()


@pytest.mark.parametrize("left", [(), ("note",)])
def test_an_event_struck_by_a_cartridge_that_is_switched_off_is_a_dead_letter_at_once(left: tuple[str, ...]) -> None:
    world = World(plan(cartridge("hangs", raising(99), ["shop.sold"]), cartridge("note", note, ["shop.other"])))
    seq = world.send()
    strikes.book(world.store, Crumb(PIPELINE, "hangs", seq, 0.0, 5.0), "hung", "", world.now)
    world.plan = world.plan.without({"hangs", "note"} - set(left))
    world.restarted()
    world.step()
    assert ("dead", "hangs", "hung") == ((row := world.exception(seq)) and (row.state, row.cartridge, row.reason))
    world.restarted()
    assert not world.step().moved
    world.decide("dead.retry", seq)
    for _ in range(3):
        world.step()
    assert (0, 0) == (world.cursor().waiting, world.cursor().dead)


def test_a_struck_timer_whose_cartridge_is_switched_off_is_a_dead_letter() -> None:
    async def sets(event: Any, context: Any) -> Any:
        context.timer("soon", after=timedelta(seconds=1))
        return event

    world = World(plan(cartridge("sets", sets), cartridge("note", note, ["elsewhere"])))
    world.send()
    world.step()
    assert 1 == world.later(2).fire()
    seq = world.store.tail("log")
    strikes.book(world.store, Crumb(PIPELINE, "sets", seq, 0.0, 5.0), "hung", "", world.now)
    world.plan = world.plan.without({"sets"})
    world.restarted()
    world.step()
    assert {seq: "dead"} == world.states()


def test_an_event_struck_far_ahead_in_a_large_batch_runs_once() -> None:
    ran: list[int] = []

    def counts(event: Any, context: Any) -> Any:
        ran.append(1)
        return event

    world = World(plan(cartridge("hangs", raising(99)), cartridge("counts", counts)))
    world.store.append([Record("event", "x", f"x{n}", "x.y", b"{}", "cli:ada", world.now) for n in range(3_000)])
    world.store.commit(Operations(feed=[(seq, "x.y", "accept") for seq in range(1, 3_001)]))
    seq = world.send()
    strikes.book(world.store, Crumb(PIPELINE, "hangs", seq, 0.0, 5.0), "hung", "", world.now)
    world.restarted()
    world.step(10_000)
    assert ([1], {seq: "dead"}, 3_001) == (ran, world.states(), world.cursor().pos)


def test_a_strike_while_an_event_is_run_again_leaves_it_and_keeps_its_place() -> None:
    world = World(plan(cartridge("ask", ask), cartridge("hangs", go_on), cartridge("note", note), after={"hangs": ["ask"]}))
    first, second = world.send(), world.send()
    world.step()
    world.answer()
    strikes.book(world.store, Crumb(PIPELINE, "hangs", first, 0.0, 5.0), "hung", "", world.now)
    world.restarted()
    for _ in range(3):
        world.step()
        world.answer()
    world.step()
    assert {first: "dead"} == world.states()
    assert ({"ask": "yes", "note": 1}, {"ask": "yes", "note": 2}) == (world.annotations(first), world.annotations(second))


def test_two_strikes_at_one_event_leave_both_out() -> None:
    world = World(plan(cartridge("a", raising(99)), cartridge("b", raising(99)), cartridge("note", note)))
    seq = world.send()
    for name in ("a", "b"):
        strikes.book(world.store, Crumb(PIPELINE, name, seq, 0.0, 5.0), "hung", "", world.now)
        world.restarted()
    world.step()
    assert ("dead", "a,b") == ((row := world.exception(seq)) and (row.state, row.cartridge))
    assert {"note": 1} == world.annotations(seq)


def test_a_plan_that_fails_by_our_own_fault_buries_one_event_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    from eventctl.dag import effects

    real = effects.write

    def broken(case: Any, *rest: Any) -> None:
        if case.record.id == "s3":
            raise ZeroDivisionError("ours")
        real(case, *rest)

    monkeypatch.setattr(effects, "write", broken)
    world = World(plan(cartridge("note", note)))
    seqs = [world.send() for _ in range(6)]
    report = world.step()
    assert [seqs[2]] == report.buried
    assert {seqs[2]: "dead"} == world.states()
    assert {"count": 5} == world.state("note")
    monkeypatch.undo()
    world.decide("dead.retry", seqs[2])
    world.step()
    assert ({}, {"count": 6}) == (world.states(), world.state("note"))


# --- calls -----------------------------------------------------------------------------------------------------------------------


def test_an_answer_that_fails_by_our_own_fault_buries_the_event_that_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from eventctl.dag import effects

    real = effects.write

    def broken(case: Any, kept: Any, *rest: Any) -> None:
        if kept.cartridge.id == "ask":
            raise ZeroDivisionError("ours")
        real(case, kept, *rest)

    monkeypatch.setattr(effects, "write", broken)
    world = World(plan(cartridge("ask", ask, calls=("ask",))))
    seq = world.send()
    world.step()
    assert {seq: "waiting"} == world.states()
    world.answer()
    report = world.step()
    assert [seq] == report.buried
    assert {seq: "dead"} == world.states()
    monkeypatch.undo()
    world.decide("dead.retry", seq)
    world.step()
    assert {} == world.states()
    assert {"ask": "yes"} == world.annotations(seq)


def test_a_call_parks_the_event_and_its_answer_runs_it_again_from_the_top() -> None:
    world = World(plan(cartridge("ask", ask), cartridge("note", note), cartridge("make", make)))
    seq = world.send(q=1)
    assert 1 == world.step().waiting
    assert ({}, {}, []) == (world.annotations(seq), world.state("note"), world.made())
    (owed,) = world.owed()
    assert ("call", "ask", PIPELINE, seq) == (owed.kind, owed.name, owed.pipeline, owed.seq)
    assert {"cartridge": "ask", "args": {"about": {"q": 1}}} == orjson.loads(owed.body)
    world.later(10).answer(result={"a": 2})
    world.step()
    assert {"ask": {"a": 2}, "note": 1} == world.annotations(seq)
    assert {} == world.states()
    assert 1 == len(world.made())
    assert {} == world.store.snapshot(Keys(states=[(PIPELINE, f"e{seq}")])).states


def test_the_calls_of_a_level_are_owed_together_and_each_once() -> None:
    world = World(
        plan(
            cartridge("ask", ask),
            cartridge("two", ask, annotates=["ask"]),
            cartridge("late", ask, annotates=["ask"]),
            after={"late": ["ask"]},
        )
    )
    world.send()
    world.step()
    assert 1 == world.answer(limit=1)
    world.step()
    assert 1 == world.answer()
    world.step()
    assert 1 == world.answer()
    world.step()
    assert (0, {}) == (world.answer(), world.states())


async def ask_or_default(event: Any, context: Any) -> Any:
    try:
        context.annotate("ask", await context.call("ask", {}))
    except CallFailed as failed:
        context.annotate("ask", str(failed))
    return event


def test_a_call_that_failed_is_raised_where_it_was_made() -> None:
    world = World(plan(cartridge("ask", ask_or_default)))
    seq = world.send()
    world.step()
    world.answer(ok=False)
    world.step()
    assert {"ask": "it would not"} == world.annotations(seq)


def test_a_person_who_retries_a_dead_letter_has_its_failed_calls_made_anew_and_no_other() -> None:
    async def two(event: Any, context: Any) -> Any:
        context.annotate("two", [await context.call("ask", {"n": 1}), await context.call("tell", {"n": 2})])
        return event

    world = World(plan(cartridge("two", two)))
    seq = world.send()
    world.step()
    world.answer(result="first")
    world.step()
    world.answer(ok=False)
    for _ in range(4):
        world.step()
        world.later(11)
    assert ("dead", "CallFailed: it would not") == ((row := world.exception(seq)) and (row.state, row.reason))
    world.decide("dead.retry", seq)
    world.step()
    assert 1 == world.answer(result="second")
    world.step()
    assert {"two": ["first", "second"]} == world.annotations(seq)


def test_a_run_that_asks_for_something_else_each_time_is_given_up() -> None:
    numbers = iter(range(100))

    async def fickle(event: Any, context: Any) -> Any:
        await context.call("ask", {"n": next(numbers)})
        return event

    world = World(plan(cartridge("fickle", fickle)))
    seq = world.send()
    world.step()
    world.answer()
    world.step()
    row = world.exception(seq)
    assert row is not None
    assert "dead" == row.state
    assert "is not the one that it made before" in row.reason
    assert 0 == world.answer()


def test_a_context_that_is_kept_for_the_next_event_is_of_no_use() -> None:
    kept: list[Any] = []

    async def keep(event: Any, context: Any) -> Any:
        kept.append(context)
        kept[0].annotate("keep", "late")
        return event

    world = World(plan(cartridge("keep", keep)))
    first, second = world.send(), world.send(entity_is="another")
    world.step()
    assert {"keep": "late"} == world.annotations(first)
    assert "run is over" in (((row := world.exception(second)) and row.reason) or "")


def test_one_that_swallows_its_parking_and_goes_on_changes_nothing() -> None:
    async def greedy(event: Any, context: Any) -> Any:
        try:
            await context.call("ask", {})
        except BaseException:  # noqa: BLE001 - what this test is about
            context.annotate("greedy", "meanwhile")
        return event

    world = World(plan(cartridge("greedy", greedy)))
    seq = world.send()
    world.step()
    assert ({seq: "waiting"}, {}) == (world.states(), world.annotations(seq))
    world.answer()
    world.step()
    assert ({}, {}) == (world.states(), world.annotations(seq))


def test_a_failing_sibling_is_tried_again_while_the_call_is_on_its_way() -> None:
    world = World(plan(cartridge("ask", ask), cartridge("fails", raising(1))))
    seq = world.send()
    world.step()
    assert ({seq: "retry"}, 1) == (world.states(), world.answer())
    world.step()
    assert {seq: "retry"} == world.states()
    world.later(2).step()
    assert {"ask": "yes", "fails": "recovered"} == world.annotations(seq)


# --- order -----------------------------------------------------------------------------------------------------------------------


async def ask_first(event: Any, context: Any) -> Any:
    if event.payload.get("ask"):
        await context.call("ask", {})
    return event


def order() -> tuple[Any, list[str]]:
    ran: list[str] = []

    async def last(event: Any, _: Any) -> Any:
        ran.append(event.id)
        return event

    return last, ran


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_later_events_of_an_entity_wait_behind_an_earlier_one(limit: int) -> None:
    last, ran = order()
    world = World(plan(cartridge("ask", ask_first), cartridge("last", last), after={"last": ["ask"]}))
    first = world.send("shop.sold", "e", ask=True)
    others = [world.send("shop.sold", "f"), world.send("shop.sold", None)]
    behind = [world.send("shop.sold", "e", ask=number == 1) for number in range(3)]
    for _ in range(10):
        world.step(limit)
    assert {first: "waiting"} | dict.fromkeys(behind, "behind") == world.states()
    assert [f"s{seq}" for seq in others] == ran
    world.restarted()
    world.answer()
    for _ in range(10):
        world.step(limit)
    assert {behind[1]: "waiting", behind[2]: "behind"} == world.states()
    world.answer()
    for _ in range(10):
        world.step(limit)
    assert [f"s{seq}" for seq in [*others, first, *behind]] == ran


def test_events_without_order_do_not_wait() -> None:
    last, ran = order()
    world = World(
        plan(cartridge("ask", ask_first, ordered=False), cartridge("last", last, ordered=False), after={"last": ["ask"]})
    )
    world.send("shop.sold", "e", ask=True)
    world.send("shop.sold", "e")
    world.step()
    assert ["s2"] == ran


def test_retries_hold_the_order_too() -> None:
    world = World(plan(cartridge("fails", raising(1)), cartridge("note", note)))
    first, second = world.send(), world.send()
    world.step()
    assert {first: "retry", second: "behind"} == world.states()
    world.later(2).step()
    assert ({"fails": "recovered", "note": 1}, {"fails": "recovered", "note": 2}) == (
        world.annotations(first), world.annotations(second),
    )  # fmt: skip


def test_past_its_bound_it_takes_nothing_new_until_answers_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_events, "WAITING_MAX", 5)
    world = World(plan(cartridge("ask", ask)))
    seqs = [world.send("shop.sold", f"e{number}") for number in range(20)]
    for _ in range(4):
        report = world.step(2)
    assert "6 events wait for answers" in report.held
    assert 6 == report.pos
    for _ in range(30):
        world.answer()  # these stand behind what it does not take: it finds them all the same
        world.step(2)
    assert {} == world.states()
    assert all(world.annotations(seq) for seq in seqs)


# --- timers --------------------------------------------------------------------------------------------------------------------------


async def remind(event: Any, context: Any) -> Any:
    if event.event == "timer.due":
        context.annotate("remind", event.payload)
        context.state.set("woken", await context.state.get("set"))
        context.emit(OUT, {})
    else:
        context.state.set("set", event.id)
        context.timer("soon", timedelta(seconds=5), {"n": event.payload["n"]})
    return event


def test_a_timer_wakes_its_cartridge_alone_with_the_state_of_the_run_that_set_it() -> None:
    world = World(plan(cartridge("remind", remind, key=("payload.slug",)), cartridge("note", note)))
    world.send(n=1, slug="api")
    world.send(n=2, slug="api")
    world.step()
    assert 0 == world.later(4).fire()
    assert 1 == world.later(1).fire()
    world.step()
    (timer,) = world.store.read_log(0, 100, kinds=["timer"])
    assert {"remind": {"key": "soon", "body": {"n": 2}}} == world.annotations(timer.seq)
    assert "s2" == world.state("remind", "api")["woken"]
    assert 2 == world.pipeline.invocations["note"].calls
    (made,) = world.made()
    assert ("e", 1, timer.seq) == (made.entity, made.hops, made.caused_by)


def test_a_timer_of_a_cartridge_that_went_is_dropped_with_a_reason() -> None:
    world = World(plan(cartridge("remind", remind), cartridge("note", note)))
    world.send(n=1)
    world.step()
    world.plan = plan(cartridge("note", note))
    world.restarted()
    world.later(5).fire()
    world.step()
    (timer,) = world.store.read_log(0, 100, kinds=["timer"])
    assert ("dropped", "remind") == ((row := world.exception(timer.seq)) and (row.state, row.cartridge))


def test_a_timer_that_fails_or_asks_is_an_event_like_any_other() -> None:
    fails = raising(1)

    async def wake(event: Any, context: Any) -> Any:
        if event.event == "timer.due":
            await fails(event, context)
            context.annotate("fails", await context.call("ask", {}))
        else:
            context.timer("soon", timedelta(seconds=5))
        return event

    world = World(plan(cartridge("fails", wake)))
    world.send()
    world.step()
    world.later(5).fire()
    world.step()
    assert ["retry"] == list(world.states().values())
    world.later(2).restarted()
    world.step()
    assert ["waiting"] == list(world.states().values())
    world.answer()
    world.step()
    assert {} == world.states()


# --- loops -----------------------------------------------------------------------------------------------------------------------------


def test_a_loop_of_derived_events_ends_at_the_hop_limit_with_a_dead_letter() -> None:
    loop = "domain.shop.loop"

    async def again(event: Any, context: Any) -> Any:
        context.emit(loop, {})
        return event

    catalog = Catalog([EventType(loop, declared=True)])
    world = World(plan(cartridge("again", again, ["shop.sold", loop])), catalog=catalog)
    world.send()
    from eventctl.store import Operations

    fed = 0
    for _ in range(20):
        world.step()
        rows = world.made(loop)
        world.store.commit(Operations(feed=[(row.seq, row.type, "accept") for row in rows[fed:]]))
        fed = len(rows)
    assert [1, 2, 3, 4, 5, 6, 7, 8] == [row.hops for row in world.made(loop)]
    (dead,) = world.states()
    assert "goes round in a loop" in (((row := world.exception(dead)) and row.reason) or "")


# --- reload ---------------------------------------------------------------------------------------------------------------------------------


def test_a_new_plan_takes_over_what_the_old_one_left_open() -> None:
    world = World(plan(cartridge("ask", ask), cartridge("note", note)))
    first = world.send()
    world.step()
    world.answer()
    world.plan = plan(cartridge("ask", ask), cartridge("other", note, settings={"slot": "other"}))
    world.restarted()
    world.step()
    assert {"ask": "yes", "other": 1} == world.annotations(first)


def test_an_open_event_whose_cartridges_all_went_is_done() -> None:
    world = World(plan(cartridge("ask", ask)))
    world.send()
    world.step()
    world.plan = plan(cartridge("note", note, ["elsewhere.*"]))
    world.restarted()
    world.answer()
    world.step()
    assert {} == world.states()
