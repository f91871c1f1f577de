"""Decisions: the table of what each level makes of a wish, what each step writes, and the whole machine over both stores."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from eventctl import decisions
from eventctl.autonomy import Autonomy, Ruling
from eventctl.contracts import Answer
from eventctl.decisions import LEGAL, Wish
from eventctl.errors import Conflict, NotFound, NotPermitted
from eventctl.memory_store import MemoryStore
from eventctl.outbox import ending
from eventctl.principal import ROLES, Principal, granted
from eventctl.sqlite_store import SqliteStore
from eventctl.store import DECISION_ENDS, DecisionRow, Keys, Operations, OutboxChange, OutboxRow, Record, Store
from eventctl.times import HOUR, MINUTE

NOW = 1_700_000_000_000_000
TERMS = Autonomy()
ADMIN = Principal("cli", "ada", ROLES["admin"])


def wish(level: str = "L1", *, call: str = "c1", undo: bool = False, name: str = "command", **fields: Any) -> Wish:
    body: dict[str, Any] = {
        "form": "decide", "action": "deploy", "summary": "Deploy api again", "args": {"argv": ["make"]}, "by": "domain:ops/deployer",
        "cartridge": "deployer", "type": "deploy.failed", "entity": "api", "hops": 0,
    }  # fmt: skip
    if undo:
        body["undo"] = ["command", {"argv": ["make", "rollback"]}]
    ruling = Ruling(level, "a test says so")  # type: ignore[arg-type]
    made = Wish(call, name, "domain:ops/deployer:deploy", "domain:ops", 1, "ops", "", body, ruling)
    return made._replace(**fields)


def asked(level: str, *, known: int = 0, undo: bool = False) -> Operations:
    return decisions.ask(wish(level, undo=undo), known, 1, NOW, TERMS)


def kinds(out: Operations) -> list[str]:
    return [record.type for record in out.records]


@pytest.mark.parametrize(
    ("level", "known", "undo", "state", "owes", "told"),
    [
        ("L3", 0, False, "approved", True, []),
        ("L3", 0, True, "approved", True, []),
        ("L2", 3, True, "approved", True, ["decision.acting"]),
        ("L2", 3, False, "window", False, ["decision.acting"]),
        ("L2", 2, True, "held", False, ["decision.held"]),
        ("L2", 2, False, "held", False, ["decision.held"]),
        ("L1", 99, False, "held", False, ["decision.held"]),
        ("L1", 99, True, "held", False, ["decision.held"]),
    ],
)
def test_a_level_says_what_becomes_of_a_wish(
    level: str, known: int, undo: bool, state: str, owes: bool, told: list[str]
) -> None:
    out = asked(level, known=known, undo=undo)
    assert (state, owes, told) == (out.decisions[0].state, bool(out.outbox), kinds(out))


def test_what_is_held_expires_after_a_day_and_what_l2_lets_pass_waits_out_its_window() -> None:
    assert NOW + 24 * HOUR == asked("L1").decisions[0].due
    assert NOW + 10 * MINUTE == asked("L2", known=3).decisions[0].due
    assert asked("L3").decisions[0].due is None


def test_what_an_approval_owes_is_the_call_itself_once_and_without_a_second_attempt() -> None:
    held = asked("L1").decisions[0]
    out = decisions.approved(held, "cli:ada", NOW + 1)
    row = out.outbox[0]
    assert ("c1", "decision", "command", 1) == (row.id, row.kind, row.name, row.seq)
    assert {"argv": ["make"]} == orjson.loads(row.body)["args"]
    assert orjson.loads(row.body)["repeat"] is False
    after = out.decisions[0]
    assert ("approved", True, "cli:ada", None) == (after.state, after.approved, after.decided_by, after.due)


@pytest.mark.parametrize(("step", "outcome"), [(decisions.denied, "denied"), (None, "expired")])
def test_what_does_not_act_answers_whoever_waits_for_it(step: Callable[..., Operations] | None, outcome: str) -> None:
    held = asked("L1").decisions[0]
    out = step(held, "cli:ada", NOW + 1) if step else decisions.due(held, NOW + 24 * HOUR)
    answer = next(record for record in out.records if record.kind == "answer")
    said = orjson.loads(answer.body)
    assert ("outbox", "c1", "domain:ops", 1) == (answer.source, answer.id, said["pipeline"], said["seq"])
    assert (False, outcome) == (said["ok"], said["outcome"])
    assert not out.outbox


def test_after_its_time_nobody_can_approve_it_though_nothing_has_settled_it_yet() -> None:
    held = asked("L1").decisions[0]
    with pytest.raises(Conflict, match="expired"):
        decisions.approved(held, "cli:ada", NOW + 24 * HOUR)


def test_what_was_done_can_be_taken_back_within_its_window_by_its_own_undo() -> None:
    acting = asked("L2", known=3, undo=True).decisions[0]
    done = decisions.answered(acting, Answer(True, {"exit": 0}), NOW + 1).decisions[0]
    assert ("done", NOW + 1 + 10 * MINUTE) == (done.state, done.due)
    out = decisions.undone(done, "cli:ada", NOW + 2)
    assert ["make", "rollback"] == orjson.loads(out.outbox[0].body)["args"]["argv"]
    assert "c1" == decisions.call_of(out.outbox[0]) != out.outbox[0].id
    assert "undone" == decisions.answered(out.decisions[0], Answer(True, {"exit": 0}), NOW + 3).decisions[0].state
    with pytest.raises(Conflict, match="and can be taken back until"):
        decisions.approved(done, "cli:ada", NOW + 2)
    with pytest.raises(Conflict, match="its time to be taken back is over"):
        decisions.undone(done, "cli:ada", NOW + 11 * MINUTE)


def test_what_has_no_undo_is_done_for_good() -> None:
    done = decisions.answered(asked("L3").decisions[0], Answer(True, {"exit": 0}), NOW + 1).decisions[0]
    assert done.due is None
    with pytest.raises(Conflict, match="nothing takes it back"):
        decisions.undone(done, "cli:ada", NOW + 2)


def test_a_program_that_ran_and_failed_has_not_done_it() -> None:
    out = decisions.answered(asked("L3").decisions[0], Answer(True, {"exit": 2, "output": "a\nno such target"}), NOW + 1)
    said = orjson.loads(next(record.body for record in out.records if record.kind == "answer"))
    assert "failed" == out.decisions[0].state
    assert ["decision.failed"] == [record.type for record in out.records if record.kind == "event"]
    assert (True, "failed", "the command ended with exit code 2: no such target") == (
        said["ok"], said["outcome"], said["failed"]
    )  # fmt: skip


def test_what_acts_without_asking_is_told_only_when_it_fails() -> None:
    quiet = decisions.answered(asked("L3").decisions[0], Answer(True, {"exit": 0}), NOW + 1)
    assert ["call.answered"] == kinds(quiet)
    loud = decisions.answered(asked("L3").decisions[0], Answer(False, error="boom"), NOW + 1)
    assert ["call.answered", "decision.failed"] == kinds(loud)


def test_an_attempt_whose_end_nobody_saw_is_shown_as_that() -> None:
    out = decisions.answered(asked("L3").decisions[0], Answer(False, error="?"), NOW + 1, unseen=True)
    assert "unknown" == out.decisions[0].state
    assert ["call.answered", "decision.ambiguous"] == kinds(out)
    assert "failed" == orjson.loads(out.records[0].body)["outcome"]


def test_people_are_told_who_asks_for_what_and_how_to_answer() -> None:
    body = orjson.loads(asked("L1").records[0].body)
    assert "ops asks: Deploy api again" == body["payload"]["title"]
    assert "eventctl decisions approve d1" in body["description"]
    assert "domain:ops" == body["payload"]["audience"]


# --- who may -------------------------------------------------------------------------------------------------------------------


def holding(store: Store, made: Wish) -> int:
    store.commit(decisions.ask(made, 0, decisions.next_number(store), NOW, TERMS))
    return store.views.decisions(limit=1)[0].number


@pytest.mark.parametrize(
    ("who", "domain", "owner", "may"),
    [
        (Principal("cli", "ada", ROLES["admin"]), "ops", "", True),
        (Principal("cli", "bob", granted("member", ["ops"])), "ops", "", True),
        (Principal("cli", "bob", granted("member", ["sales"])), "ops", "", False),
        (Principal("cli", "bob", granted("member", ["ops"])), "", "", False),
        (Principal("cli", "bob", granted("member")), "", "bob", True),
        (Principal("cli", "bob", granted("member")), "", "ada", False),
        (Principal("cli", "bob", granted("member")), "bob", "", False),
        (Principal("cli", "helper", ROLES["agent"]), "ops", "", False),
        (Principal("cartridge", "domain:ops/deployer", frozenset()), "ops", "", False),
    ],
)
@pytest.mark.parametrize("verb", ["approve", "deny", "undo"])
def test_admins_decide_for_all_members_for_their_domains_and_themselves_and_programs_never(
    who: Principal, domain: str, owner: str, may: bool, verb: str
) -> None:
    store = MemoryStore()
    number = holding(store, wish(domain=domain, owner=owner))
    before = store.views.decision(number)
    decide = getattr(decisions, verb)
    if may and verb != "undo":
        assert number == decide(store, number, principal=who, now=NOW + 1).row.number
        return
    with pytest.raises(Conflict if may else NotPermitted):
        decide(store, number, principal=who, now=NOW + 1)
    assert before == store.views.decision(number)


def test_a_decision_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        decisions.approve(MemoryStore(), 7, principal=ADMIN, now=NOW)


def test_what_is_done_at_the_desk_is_approved_with_that_right_and_there_only() -> None:
    store = MemoryStore()
    number = holding(store, wish(name="install", pipeline="", seq=0))
    telegram = Principal("http", "ada", ROLES["admin"])
    with pytest.raises(NotPermitted):
        decisions.approve(store, number, principal=telegram, now=NOW + 1, at_once=lambda _: Operations())
    done = decisions.approve(store, number, principal=ADMIN, now=NOW + 1, at_once=lambda _: Operations(meta={"x": "y"}))
    assert ("done", "y") == (done.row.state, store.meta("x"))
    assert not store.views.outbox()


def test_two_who_approve_at_once_have_one_winner_and_one_act_is_owed() -> None:
    store = MemoryStore()
    number = holding(store, wish())
    row = store.views.decision(number)
    assert row is not None
    store.commit(decisions.approved(row, "cli:ada", NOW + 1))
    with pytest.raises(Conflict):
        store.commit(decisions.approved(row, "cli:bob", NOW + 1))
    with pytest.raises(Conflict, match="is on its way"):
        decisions.approve(store, number, principal=ADMIN, now=NOW + 2)
    assert 1 == len(store.views.outbox())


def test_expiry_against_approval_has_one_winner() -> None:
    store = MemoryStore()
    number = holding(store, wish())
    row = store.views.decision(number)
    assert row is not None
    late = decisions.due(row, NOW + 24 * HOUR)
    decisions.approve(store, number, principal=ADMIN, now=NOW + 24 * HOUR - 1)
    with pytest.raises(Conflict):
        store.commit(late)
    assert 0 == decisions.settle(store, NOW + 24 * HOUR)
    left = store.views.decision(number)
    assert left is not None
    assert "approved" == left.state


# --- the whole machine -----------------------------------------------------------------------------------------------------------

PIECES = count()


class Deciding(RuleBasedStateMachine):
    """People, the runner and the outbox act on a few decisions in any order; the process may end anywhere and begin again."""

    store: Store

    @initialize()
    def begin(self) -> None:
        self.now = NOW
        self.seen: dict[str, str] = {}
        self.acted: dict[str, int] = {}
        self.flying: list[OutboxRow] = []
        self.open()

    def open(self) -> None:
        self.store = MemoryStore()

    def restart(self) -> None:
        """What was on its way is not any more; the store keeps what was committed."""

    @rule(level=st.sampled_from(["L1", "L2", "L3"]), undo=st.booleans(), which=st.integers(0, 3), known=st.sampled_from([0, 3]))
    def ask(self, level: str, undo: bool, which: int, known: int) -> None:
        made = wish(level, call=f"c{which}", undo=undo)
        if made.id not in self.store.snapshot(Keys(decisions=[made.id])).decisions:
            self.store.commit(decisions.ask(made, known, decisions.next_number(self.store), self.now, TERMS))

    @rule(which=st.integers(0, 3))
    def ask_again_without_looking(self, which: int) -> None:
        made = wish("L1", call=f"c{which}")
        if made.id in self.store.snapshot(Keys(decisions=[made.id])).decisions:
            before = self.rows()
            self.store.commit(decisions.ask(made, 0, decisions.next_number(self.store), self.now, TERMS))
            assert before == self.rows()

    @rule(verb=st.sampled_from(["approve", "deny", "undo"]), number=st.integers(1, 4))
    def move(self, verb: str, number: int) -> None:
        before = self.rows()
        try:
            getattr(decisions, verb)(self.store, number, principal=ADMIN, now=self.now)
        except (Conflict, NotFound):
            assert before == self.rows()

    @rule(number=st.integers(1, 4))
    def two_at_once(self, number: int) -> None:
        row = self.store.views.decision(number)
        if row is None or row.state != "held" or (row.due or 0) <= self.now:
            return
        steps = [decisions.approved(row, "cli:ada", self.now), decisions.denied(row, "cli:bob", self.now)]
        self.store.commit(steps[0])
        with pytest.raises(Conflict):
            self.store.commit(steps[1])

    @rule(wait=st.sampled_from([1, 5 * MINUTE, 11 * MINUTE, 25 * HOUR]))
    def time_goes_by(self, wait: int) -> None:
        self.now += wait

    @rule()
    def settle(self) -> None:
        decisions.settle(self.store, self.now)
        assert not self.store.due_decisions(self.now, limit=10)

    @rule()
    def claim(self) -> None:
        for row in self.store.claim(self.now, lease=MINUTE, limit=10):
            assert 1 == row.attempt
            self.acted[row.id] = self.acted.get(row.id, 0) + 1
            self.flying.append(row)

    @precondition(lambda self: self.flying)
    @rule(how=st.sampled_from(["done", "dead"]))
    def an_attempt_ends(self, how: str) -> None:
        row = self.flying.pop()
        self.end(row, Answer(how == "done", {"exit": 0}, error="" if how == "done" else "boom", again=True), how)

    @rule()
    def the_process_ends_and_begins_again(self) -> None:
        self.restart()
        self.flying.clear()
        for row in self.store.overdue(2**62, limit=10):
            self.end(row, Answer(False), "unknown")

    def end(self, row: OutboxRow, answer: Answer, state: str) -> None:
        out = ending(self.store, row, answer, self.now, unseen=state == "unknown")
        out.outbox_changed.append(OutboxChange(row.id, row.attempt_id, state))
        self.store.commit(out)

    def rows(self) -> list[DecisionRow]:
        return self.store.views.decisions(limit=10)

    @invariant()
    def only_legal_steps_are_taken(self) -> None:
        for row in self.rows():
            before = self.seen.get(row.call, "")
            assert before == row.state or (before, row.state) in LEGAL, f"{before} -> {row.state}"
            self.seen[row.call] = row.state

    @invariant()
    def a_decision_owes_at_most_one_act_and_one_undo_and_none_before_it_is_let(self) -> None:
        owed: dict[str, list[str]] = {}
        for owing in self.store.views.outbox(limit=100):
            owed.setdefault(decisions.call_of(owing), []).append(owing.id)
        for row in self.rows():
            ids = owed.pop(row.call, [])
            if row.state in ("held", "window", "denied", "expired"):
                assert not ids
            else:
                assert len(ids) <= (2 if decisions.undo_of(row) else 1)
            assert len(set(ids)) == len(ids)
        assert not owed
        assert all(times == 1 for times in self.acted.values())

    @invariant()
    def whoever_waits_has_one_answer_when_it_is_over_and_none_before(self) -> None:
        for row in self.rows():
            found = self.store.snapshot(Keys(identities=[("outbox", row.call)])).identities
            over = row.state in (*DECISION_ENDS, "undoing")
            assert over == bool(found), row.state


class DecidingOnDisk(Deciding):
    """The same over a file that is closed and opened again where the process ends."""

    folder: Path

    def open(self) -> None:
        self.path = self.folder / f"{next(PIECES)}.db"
        self.store = SqliteStore.create(self.path, checkpointer=True, reserve_bytes=0)

    def restart(self) -> None:
        self.store.close()
        self.store = SqliteStore.open(self.path, checkpointer=True)

    def teardown(self) -> None:
        self.store.close()


TestDeciding = Deciding.TestCase
TestDeciding.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_the_machine_holds_on_disk_too(tmp_path: Path) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    DecidingOnDisk.folder = tmp_path
    run_state_machine_as_test(
        DecidingOnDisk,
        settings=settings(
            max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
        ),
    )


def test_the_machine_of_the_test_refuses_a_step_that_is_not_legal() -> None:
    machine = Deciding()
    machine.begin()
    machine.ask("L1", undo=False, which=0, known=0)
    machine.only_legal_steps_are_taken()
    row = machine.rows()[0]
    machine.store.commit(Operations(decisions=[row._replace(state="undoing", ver=2)]))
    with pytest.raises(AssertionError, match="held -> undoing"):
        machine.only_legal_steps_are_taken()


def test_a_move_is_a_record_with_who_made_it() -> None:
    store = MemoryStore()
    number = holding(store, wish(seq=store.append([Record("event", "t", "1", "a.b", b"{}", "cli:t", NOW)])[0].seq))
    made = decisions.approve(store, number, principal=ADMIN, now=NOW + 1)
    move = store.snapshot(Keys(records=[made.seq])).records[made.seq]
    assert ("move", "decisions.approve", "cli:ada", 1) == (move.kind, move.type, move.principal, move.caused_by)
