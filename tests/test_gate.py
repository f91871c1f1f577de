"""The gate: what of a cartridge's run is held, asked once, performed at most once, and what the cartridge hears of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from eventctl import decisions
from eventctl.autonomy import Autonomy
from eventctl.contracts import Answer, CallFailed, Request
from eventctl.dag.gate import Gate
from eventctl.dag_pipeline import DagPipeline
from eventctl.errors import Conflict
from eventctl.event import HOPS_MAX
from eventctl.failpoints import FailpointReached, armed
from eventctl.modules import Modules
from eventctl.outbox import Outbox
from eventctl.plan import Plan
from eventctl.principal import ROLES, Principal
from eventctl.store import DecisionRow, Keys, LogRow, Operations
from eventctl.times import HOUR, MINUTE, SECOND
from tests.flowkit import OUT, World, cartridge, plan

ADA = Principal("cli", "ada", ROLES["admin"])
L1, L2, L3 = (Autonomy(default=level) for level in ("L1", "L2", "L3"))
CALLS = ("command", "log", "emit")


class Hands:
    """An executor that remembers what it was asked to do."""

    def __init__(self, name: str = "command", answer: Answer | None = None) -> None:
        self.name = name
        self.did: list[Any] = []
        self._answer = answer or Answer(True, {"exit": 0})

    def execute(self, request: Request) -> Answer:
        self.did.append(dict(request.args))
        return self._answer


class Company(World):
    """A pipeline behind a gate, with an outbox whose executors remember, and the system pipeline's hand for answers."""

    def __init__(self, plan: Plan, autonomy: Autonomy, *, answer: Answer | None = None) -> None:
        self.gate = Gate(autonomy)
        self.hands, self.lines = Hands(answer=answer), Hands("log", Answer(True))
        super().__init__(plan)
        self.outbox = self.new_outbox()
        self._fed = 0

    def restarted(self) -> DagPipeline:
        self.pipeline = DagPipeline(self.plan, self.catalog, modules=Modules(), crumb=self.crumbs, gate=self.gate)
        return self.pipeline

    def new_outbox(self) -> Outbox:
        executors = {each.name: each for each in (self.hands, self.lines)}
        self.outbox = Outbox(self.store, executors, wake=lambda: None, jitter=lambda: 0.0)
        return self.outbox

    def later(self, seconds: float) -> Company:
        super().later(seconds)
        return self

    def settle(self) -> None:
        """Everything that is due now, until nothing moves."""
        moved = True
        while moved:
            moved = self.step().moved
            moved |= bool(decisions.settle(self.store, self.now))
            worked = self.outbox.work(self.now)
            while self.outbox.in_flight:
                time.sleep(0.001)
                worked = self.outbox.work(self.now)
            moved |= bool(worked.started or worked.ended)
            moved |= self.feed_answers()

    def feed_answers(self) -> bool:
        rows = self.store.read_log(self._fed, 1_000)
        self._fed = rows[-1].seq if rows else self._fed
        fed = [(row.seq, orjson.loads(row.body)["pipeline"], "answer") for row in rows if row.kind == "answer"]
        if fed:
            self.store.commit(Operations(feed=fed))
        return bool(fed)

    def decisions(self) -> list[DecisionRow]:
        return self.store.views.decisions(limit=100)[::-1]

    def told(self) -> list[str]:
        return [row.type for row in self.log() if row.type.startswith("decision.")]

    def log(self) -> Sequence[LogRow]:
        return self.store.read_log(0, 1_000)


async def calls(event: Any, context: Any) -> Any:
    """A plain call of an executor that acts, after a thought that does not."""
    await context.call("log", {"text": "thinking"})
    try:
        said = await context.call("command", {"argv": ["make", "it"]})
    except CallFailed as failed:
        said = str(failed)
    context.annotate("calls", said)
    return event


async def decides(event: Any, context: Any) -> Any:
    decision = await context.decide(
        "restart", "command", {"argv": ["restart", event.entity]}, summary=f"Restart {event.entity}", undo=("command", {"argv": ["stop"]})
    )  # fmt: skip
    context.annotate("decides", [decision.outcome, decision.by, decision.error])
    return event


async def proposes(event: Any, context: Any) -> Any:
    context.propose("say-so", "emit", {"event": OUT, "payload": {"n": 1}, "entity": "other"}, summary="Say so")
    return event


def company(process: Any, autonomy: Autonomy, *, answer: Answer | None = None, **more: Any) -> Company:
    return Company(plan(cartridge(process.__name__, process, calls=CALLS, **more)), autonomy, answer=answer)


def test_a_plain_call_that_may_act_stays_a_plain_call() -> None:
    here = company(calls, L3)
    seq = here.send()
    here.settle()
    assert {"exit": 0} == here.annotations(seq)["calls"]
    assert ([], []) == (here.decisions(), here.told())


@pytest.mark.parametrize("level", [L1, L2])
def test_a_plain_call_that_acts_is_held_and_thinking_is_not(level: Autonomy) -> None:
    here = company(calls, level)
    seq = here.send()
    here.settle()
    (held,) = here.decisions()
    assert ("held", "domain:shop/calls:command", "command", seq) == (held.state, held.kind, held.name, held.seq)
    assert "run make it" == decisions.summary_of(held)
    assert ([{"text": "thinking"}], []) == (here.lines.did, here.hands.did)
    row = here.exception(seq)
    assert row is not None
    assert ("waiting", "for a decision: run make it") == (row.state, row.reason)
    decisions.approve(here.store, held.number, principal=ADA, now=here.now)
    here.settle()
    assert {"exit": 0} == here.annotations(seq)["calls"]
    assert [{"argv": ["make", "it"]}] == here.hands.did


@pytest.mark.parametrize(
    ("how", "heard"), [("deny", "denied by cli:ada"), ("expire", "nobody approved it within 1d")], ids=["denied", "expired"]
)
def test_a_call_that_is_not_let_fails_and_says_by_whom(how: str, heard: str) -> None:
    here = company(calls, L1)
    seq = here.send()
    here.settle()
    if how == "deny":
        decisions.deny(here.store, 1, principal=ADA, now=here.now)
    else:
        here.later(24 * HOUR / SECOND)
    here.settle()
    assert heard == here.annotations(seq)["calls"]
    assert [] == here.hands.did
    assert 0 == here.store.views.counts().outbox_owed


def test_a_cartridge_hears_how_it_was_decided() -> None:
    outcomes = {}
    for verb in ("approve", "deny"):
        here = company(decides, L1)
        seq = here.send()
        here.settle()
        getattr(decisions, verb)(here.store, 1, principal=ADA, now=here.now)
        here.settle()
        outcomes[verb] = here.annotations(seq)["decides"]
    assert {"approve": ["done", "cli:ada", ""], "deny": ["denied", "cli:ada", "denied by cli:ada"]} == outcomes


def test_what_acts_by_itself_was_decided_by_nobody_and_what_fails_says_why() -> None:
    good, bad = company(decides, L3), company(decides, L3, answer=Answer(True, {"exit": 3, "output": "no disk"}))
    seqs = [good.send(), bad.send()]
    good.settle()
    bad.settle()
    assert ["done", "", ""] == good.annotations(seqs[0])["decides"]
    assert ["failed", "", "the command ended with exit code 3: no disk"] == bad.annotations(seqs[1])["decides"]
    assert ([], ["decision.failed"]) == (good.told(), bad.told())


def approved_before(here: Company, times: int) -> None:
    for number in range(1, times + 1):
        here.send()
        here.settle()
        decisions.approve(here.store, number, principal=ADA, now=here.now)
        here.settle()


def test_l2_holds_what_is_new_and_lets_act_what_people_have_approved_three_times() -> None:
    here = company(decides, L2)
    approved_before(here, 3)
    assert 3 == len(here.hands.did)
    seq = here.send()
    here.settle()
    assert ["done", "", ""] == here.annotations(seq)["decides"]
    assert "decision.acting" == here.told()[-2]
    last = here.decisions()[-1]
    here.later(60)
    decisions.undo(here.store, last.number, principal=ADA, now=here.now)
    here.settle()
    assert {"argv": ["stop"]} == here.hands.did[-1]
    assert "undone" == here.decisions()[-1].state


def test_what_cannot_be_taken_back_waits_out_its_window_under_l2() -> None:
    here = company(calls, L2)
    approved_before(here, 3)
    seq = here.send()
    here.settle()
    assert ("window", 3) == (here.decisions()[-1].state, len(here.hands.did))
    here.later(10 * MINUTE / SECOND).settle()
    assert ("done", 4) == (here.decisions()[-1].state, len(here.hands.did))
    other = here.send()
    here.settle()
    decisions.undo(here.store, here.decisions()[-1].number, principal=ADA, now=here.now)
    here.later(20 * MINUTE / SECOND).settle()
    assert ("undone", 4) == (here.decisions()[-1].state, len(here.hands.did))
    assert {"exit": 0} == here.annotations(seq)["calls"]
    assert "taken back by cli:ada before it acted" == here.annotations(other)["calls"]


def test_a_members_own_cartridge_is_held_for_that_member_whatever_the_settings_say() -> None:
    mine = cartridge("ada/calls", calls, calls=CALLS, pipeline="members", annotates=("calls",))
    here = Company(plan(mine, pipeline="members"), L3)
    here.send()
    here.settle()
    (held,) = here.decisions()
    assert ("held", "", "ada") == (held.state, held.domain, held.owner)


def test_a_rerun_asks_nothing_twice_also_after_a_restart() -> None:
    here = company(calls, L1)
    here.send()
    here.settle()
    here.restarted()
    here.new_outbox()
    for _ in range(3):
        here.settle()
    here.send("shop.sold", "other")
    here.settle()
    assert [1, 2] == [row.number for row in here.decisions()]
    assert 2 == here.told().count("decision.held")


def test_what_was_asked_stays_as_it_was_asked_when_the_settings_change() -> None:
    here = company(calls, L1)
    seq = here.send()
    here.settle()
    here.gate = Gate(L3)
    here.restarted()
    here.decide("dead.retry", seq)  # nothing: it is not dead
    here.settle()
    assert (["held"], []) == ([row.state for row in here.decisions()], here.hands.did)
    decisions.approve(here.store, 1, principal=ADA, now=here.now)
    here.settle()
    assert 1 == len(here.hands.did)


def test_an_event_that_is_proposed_is_made_once_by_its_cartridge_and_of_its_event() -> None:
    here = company(proposes, L1)
    seq = here.send()
    here.settle()
    assert ([], {}) == (here.made(), here.states()), "a proposal does not park its event"
    decisions.approve(here.store, 1, principal=ADA, now=here.now)
    here.settle()
    (made,) = here.made()
    assert ("domain:shop/proposes", "cartridge:domain:shop/proposes", seq, 1, "other") == (
        made.source, made.principal, made.caused_by, made.hops, made.entity
    )  # fmt: skip
    assert {"n": 1} == orjson.loads(made.body)["payload"]


def test_a_plain_call_of_emit_makes_the_event_and_answers_with_its_id() -> None:
    async def says(event: Any, context: Any) -> Any:
        context.annotate("says", await context.call("emit", {"event": OUT, "payload": {"n": 2}}))
        return event

    here = company(says, L3)
    seq = here.send()
    here.settle()
    (made,) = here.made()
    assert ({"id": made.id}, seq, []) == (here.annotations(seq)["says"], made.caused_by, here.decisions())


def test_an_event_is_made_exactly_once_though_the_process_ends_around_its_commit() -> None:
    here = company(proposes, L3)
    here.send()
    here.step()
    for point in ("t2.after_claim", "t3.before_commit"):
        with armed(f"{point}=raise"), pytest.raises(FailpointReached):
            here.outbox.work(here.now)
        here.new_outbox()
        assert [] == here.made()
    here.settle()
    here.later(HOUR / SECOND).settle()
    assert 1 == len(here.made())
    assert ["done"] == [row.state for row in here.decisions()]


def test_a_decision_that_was_cut_off_is_unknown_and_never_tried_again() -> None:
    here = company(decides, L3)
    seq = here.send()
    here.step()
    with armed("t2.after_claim=raise"), pytest.raises(FailpointReached):
        here.outbox.work(here.now)
    here.new_outbox()
    here.settle()
    here.later(HOUR / SECOND).settle()
    assert ([], ["unknown"]) == (here.hands.did, [row.state for row in here.decisions()])
    assert ["decision.ambiguous"] == here.told()
    assert ["failed", "", decisions.CUT_OFF] == here.annotations(seq)["decides"]


def test_an_executor_that_asks_for_another_attempt_gets_none_for_a_decision() -> None:
    here = company(decides, L3, answer=Answer(False, error="busy", again=True))
    seq = here.send()
    here.settle()
    here.later(HOUR / SECOND).settle()
    assert 1 == len(here.hands.did)
    assert ["failed", "", "busy"] == here.annotations(seq)["decides"]


def test_a_settled_decision_is_not_written_when_the_process_ends_before_its_commit() -> None:
    here = company(calls, L1)
    here.send()
    here.settle()
    here.later(24 * HOUR / SECOND)
    with armed("decision.before_commit=raise"), pytest.raises(FailpointReached):
        decisions.settle(here.store, here.now)
    assert ["held"] == [row.state for row in here.decisions()]
    with pytest.raises(Conflict, match="expired"):
        decisions.approve(here.store, 1, principal=ADA, now=here.now)
    here.settle()
    assert ["expired"] == [row.state for row in here.decisions()]


@pytest.mark.parametrize(
    ("args", "what"),
    [
        ({"event": "billing.sent", "payload": {}}, "its manifest does not name"),
        ({"event": "domain.shop.unknown", "payload": {}}, "no event_types.toml declares"),
        ({"event": "notice.raised", "payload": {}}, "its manifest does not name"),
        ({"payload": {}}, "takes event"),
        ({"event": OUT, "payload": {}, "source": "ada"}, "cannot be given 'source'"),
    ],
)
@pytest.mark.parametrize("form", ["propose", "decide", "call"])
def test_no_event_is_asked_for_that_the_manifest_does_not_name(form: str, args: dict[str, Any], what: str) -> None:
    async def wants(event: Any, context: Any) -> Any:
        if form == "call":
            await context.call("emit", args)
        elif form == "decide":
            await context.decide("say", "emit", args, summary="Say")
        else:
            context.propose("say", "emit", args, summary="Say")
        return event

    here = company(wants, L3)
    seq = here.send()
    for _ in range(3):
        here.later(60).settle()
    row = here.exception(seq)
    assert row is not None
    assert "dead" == row.state
    assert what in row.reason
    assert [] == here.decisions()


def test_a_call_that_the_manifest_does_not_name_is_no_decision_either() -> None:
    async def wants(event: Any, context: Any) -> Any:
        context.propose("pay", "bank", {}, summary="Pay")
        return event

    here = company(wants, L3)
    seq = here.send()
    for _ in range(3):
        here.later(60).settle()
    row = here.exception(seq)
    assert row is not None
    assert "it calls 'bank', which its manifest does not name" in row.reason


def test_a_dropper_proposes_nothing() -> None:
    async def drops(event: Any, context: Any) -> Any:
        context.propose("say", "emit", {"event": OUT}, summary="Say")
        context.drop("enough")

    here = company(drops, L1)
    here.send()
    here.settle()
    assert [] == here.decisions()


def test_who_is_asked_about_being_asked_does_not_go_on_for_ever() -> None:
    async def loops(event: Any, context: Any) -> Any:
        context.propose("more", "command", {"argv": ["true"]}, summary="More")
        return event

    here = company(loops, L1, consumes=("**",))
    here.send()
    for _ in range(40):
        before = here.store.tail("log")
        here.later(60).step()
        rows = [row for row in here.store.read_log(before, 100) if row.type == "decision.held"]
        here.store.commit(Operations(feed=[(row.seq, row.type, "accept") for row in rows]))
    assert HOPS_MAX == len(here.decisions())
    assert 1 == len([state for state in here.states().values() if state == "dead"])


def test_an_answer_is_kept_with_how_it_was_decided() -> None:
    here = company(decides, L1)
    here.send()
    here.settle()
    decisions.approve(here.store, 1, principal=ADA, now=here.now)
    here.settle()
    call = here.decisions()[0].call
    answer = here.store.snapshot(Keys(identities=[("outbox", call)])).identities["outbox", call]
    assert {"ok": True, "outcome": "done", "by": "cli:ada"}.items() <= orjson.loads(answer.body).items()
