"""What is installed: each step is one commit, by who may, and what stands afterwards is what a simple model says."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from eventctl import decisions, lifecycle
from eventctl.autonomy import Autonomy
from eventctl.errors import Conflict, EventctlError, NotFound, NotPermitted, UsageError
from eventctl.failpoints import FailpointReached, armed
from eventctl.installed import VERSION
from eventctl.lifecycle import Do, Done, Proposal
from eventctl.memory_store import MemoryStore
from eventctl.package import Package
from eventctl.principal import Principal
from eventctl.sqlite_store import SqliteStore
from eventctl.store import InstalledRow, Operations, Store
from tests.lifekit import ADMIN, AGENT, MEMBER, NOW, packed

PLACES = ("library", "domain:shop", "member:bob")
VERSIONS = {version: packed("till", version) for version in ("1.0.0", "1.1.0", "2.0.0")}


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    made = SqliteStore.create(tmp_path / "state" / "state.db", checkpointer=True, reserve_bytes=0)
    yield made
    made.close()


def install(store: Store, given: Package, place: str = "library", who: Principal = ADMIN, now: int = NOW) -> Done:
    return lifecycle.carry_out(store, lifecycle.installing(store, given, place, "file:/x", who=who, now=now), who=who, now=now)


def standing(store: Store) -> set[tuple[str, str, bool, str]]:
    return {(row.place, row.version, row.active, row.runs) for row in store.installed()}


def active(store: Store, place: str = "library") -> InstalledRow:
    return lifecycle.active(store, place, "till")


def everything(store: Store) -> tuple[object, ...]:
    """All that these steps can write."""
    return store.installed(), store.views.decisions(limit=100), store.tail("log"), store.meta(VERSION), store.units()


def test_an_install_is_one_commit_of_package_row_decision_and_record(store: Store) -> None:
    done = install(store, VERSIONS["1.0.0"])
    row = active(store)
    assert (done.decision, "worker", "cli:ada") == (row.decision, row.runs, row.by)
    assert VERSIONS["1.0.0"] == lifecycle.stored(store, row.digest)
    decision = store.views.decision(done.decision)
    assert decision is not None
    assert ("done", "install:library/till", "install", "cli:ada", True) == (
        decision.state, decision.kind, decision.name, decision.decided_by, decision.approved,
    )  # fmt: skip
    record = store.read_log(done.seq - 1, 1)[0]
    body = orjson.loads(record.body)
    assert ("move", "cartridge.installed", "cli:ada") == (record.kind, record.type, record.principal)
    assert ("library", row.digest, done.decision) == (body["place"], body["digest"], body["decision"])


@pytest.mark.parametrize("point", ["lifecycle.before_commit", "lifecycle.after_commit"])
def test_a_step_that_is_cut_off_is_whole_or_nothing(store: Store, point: str) -> None:
    before = everything(store)
    with armed(f"{point}=raise"), pytest.raises(FailpointReached):
        install(store, VERSIONS["1.0.0"])
    if point == "lifecycle.before_commit":
        assert before == everything(store)
    else:
        assert {("library", "1.0.0", True, "worker")} == standing(store)
        assert 1 == len(store.views.decisions(limit=9))


def test_every_change_is_seen_by_a_runner(store: Store) -> None:
    install(store, VERSIONS["1.0.0"])
    first = store.meta(VERSION)
    lifecycle.carry_out(store, lifecycle.removing(store, "library", "till"), who=ADMIN, now=NOW)
    assert first is not None
    assert first != store.meta(VERSION)


def test_a_rollback_goes_back_to_what_was_active_before_and_once_more_goes_forward(store: Store) -> None:
    for version in ("1.0.0", "1.1.0", "2.0.0"):
        install(store, VERSIONS[version])  # all at the same moment: their order is not the clock's
    seen = []
    for to in ("", "", "1.0.0", VERSIONS["1.1.0"].digest[7:20]):
        lifecycle.carry_out(
            store, lifecycle.rolling_back(store, "library", "till", to=to, who=ADMIN, now=NOW), who=ADMIN, now=NOW
        )
        seen.append(active(store).version)
    assert ["1.1.0", "2.0.0", "1.0.0", "1.1.0"] == seen


def test_a_rollback_brings_back_what_was_removed(store: Store) -> None:
    install(store, VERSIONS["1.0.0"])
    lifecycle.carry_out(store, lifecycle.removing(store, "library", "till"), who=ADMIN, now=NOW)
    assert {("library", "1.0.0", False, "worker")} == standing(store)
    lifecycle.carry_out(store, lifecycle.rolling_back(store, "library", "till", who=ADMIN, now=NOW), who=ADMIN, now=NOW)
    assert {("library", "1.0.0", True, "worker")} == standing(store)


def test_there_is_nothing_to_go_back_to_after_a_removal_for_good(store: Store) -> None:
    install(store, VERSIONS["1.0.0"])
    lifecycle.carry_out(store, lifecycle.removing(store, "library", "till", for_good=True), who=ADMIN, now=NOW)
    assert [] == store.installed()
    with pytest.raises(NotFound):
        lifecycle.rolling_back(store, "library", "till", who=ADMIN, now=NOW)


def test_trust_is_for_one_digest(store: Store) -> None:
    install(store, VERSIONS["1.0.0"])
    lifecycle.carry_out(store, lifecycle.trusting(store, "library", "till"), who=ADMIN, now=NOW)
    install(store, VERSIONS["1.1.0"])
    assert {("library", "1.0.0", False, "in-process"), ("library", "1.1.0", True, "worker")} == standing(store)
    with pytest.raises(Conflict):
        lifecycle.trusting(store, "library", "till", revoke=True)


def test_one_digest_that_two_versions_share_the_name_of_is_asked_for_by_its_digest(store: Store) -> None:
    other = packed("till", "1.0.0", "annotates = ['sum']")
    for given in (VERSIONS["1.0.0"], other, VERSIONS["2.0.0"]):
        install(store, given)
    with pytest.raises(UsageError, match="2 versions"):
        lifecycle.rolling_back(store, "library", "till", to="1.0.0", who=ADMIN, now=NOW)


def proposals(store: Store, who: Principal) -> dict[Do, Proposal]:
    """One of each kind, over a workspace in which each is possible."""
    return {
        "install": lifecycle.installing(store, VERSIONS["2.0.0"], "domain:shop", "file:/x", who=who, now=NOW),
        "promote": lifecycle.promoting(store, "domain:shop", "till", "library", who=who, now=NOW),
        "remove": lifecycle.removing(store, "domain:shop", "till"),
        "rollback": lifecycle.rolling_back(store, "domain:shop", "till", who=who, now=NOW),
        "trust": lifecycle.trusting(store, "domain:shop", "till"),
    }


@pytest.mark.parametrize("do", lifecycle.RIGHTS)
@pytest.mark.parametrize("who", [MEMBER, AGENT, ADMIN._replace(channel="socket"), ADMIN._replace(channel="http")])
def test_who_is_no_admin_at_the_desk_changes_nothing(store: Store, do: Do, who: Principal) -> None:
    for version in ("1.0.0", "1.1.0"):
        install(store, VERSIONS[version], "domain:shop")
    before = everything(store)
    with pytest.raises(NotPermitted) as refused:
        lifecycle.carry_out(store, proposals(store, who)[do], who=who, now=NOW)
    assert 5 == refused.value.exit_code
    assert before == everything(store)


def test_a_member_installs_for_themselves_and_for_nobody_else(store: Store) -> None:
    install(store, VERSIONS["1.0.0"], "member:bob", MEMBER)
    for place in ("member:ada", "domain:shop", "library"):
        with pytest.raises(NotPermitted):
            install(store, VERSIONS["1.0.0"], place, MEMBER)
    with pytest.raises(NotPermitted):
        lifecycle.carry_out(store, lifecycle.trusting(store, "member:bob", "till"), who=MEMBER, now=NOW)
    assert {("member:bob", "1.0.0", True, "worker")} == standing(store)


# --- what waits for an admin -----------------------------------------------------------------------------------------------------


def approve(store: Store, number: int, who: Principal = ADMIN, now: int = NOW + 1) -> decisions.Decided:
    return decisions.approve(store, number, principal=who, now=now, at_once=lambda row: lifecycle.perform(store, row, who, now))


def asked(store: Store, do: Do) -> int:
    return lifecycle.ask(store, proposals(store, MEMBER)[do], who=MEMBER, now=NOW, terms=Autonomy()).decision


@pytest.mark.parametrize("do", lifecycle.RIGHTS)
def test_what_a_member_asks_for_is_done_when_an_admin_approves_and_not_before(store: Store, do: Do) -> None:
    for version in ("1.0.0", "1.1.0"):
        install(store, VERSIONS[version], "domain:shop")
    before = store.installed()
    number = asked(store, do)
    assert before == store.installed()
    with pytest.raises(NotPermitted):
        approve(store, number, MEMBER)
    assert before == store.installed()
    approve(store, number)
    shop = {("domain:shop", "1.0.0", False, "worker"), ("domain:shop", "1.1.0", False, "worker")}
    expected = {
        "install": shop | {("domain:shop", "2.0.0", True, "worker")},
        "promote": shop | {("library", "1.1.0", True, "worker")},
        "remove": shop,
        "rollback": {("domain:shop", "1.0.0", True, "worker"), ("domain:shop", "1.1.0", False, "worker")},
        "trust": {("domain:shop", "1.0.0", False, "worker"), ("domain:shop", "1.1.0", True, "in-process")},
    }
    assert expected[do] == standing(store)
    decided = store.views.decision(number)
    assert decided is not None
    assert ("done", "cli:ada", True) == (decided.state, decided.decided_by, decided.approved)
    types = [row.type for row in store.read_log(0, 100)]
    assert 1 == types[2:].count(lifecycle.DONE[do])
    with pytest.raises(Conflict):
        approve(store, number)


@pytest.mark.parametrize("do", lifecycle.RIGHTS)
def test_what_has_changed_since_it_was_asked_for_is_not_done_over(store: Store, do: Do) -> None:
    for version in ("1.0.0", "1.1.0"):
        install(store, VERSIONS[version], "domain:shop")
    number = asked(store, do)
    install(store, packed("till", "3.0.0"), "domain:shop")
    before = store.installed()
    with pytest.raises(Conflict):
        approve(store, number)
    assert before == store.installed()
    row = store.views.decision(number)
    assert row is not None
    assert "held" == row.state


@pytest.mark.parametrize("how", ["denied", "expired"])
def test_what_is_denied_or_left_is_never_done(store: Store, how: str) -> None:
    install(store, VERSIONS["1.0.0"], "domain:shop")
    install(store, VERSIONS["1.1.0"], "domain:shop")
    number = asked(store, "install")
    before = store.installed()
    if how == "denied":
        decisions.deny(store, number, principal=ADMIN, now=NOW + 1)
    else:
        assert 1 == decisions.settle(store, NOW + Autonomy().expires)
    assert before == store.installed()
    with pytest.raises(Conflict):
        approve(store, number, now=NOW + 2 * Autonomy().expires)


def test_an_agent_may_not_even_ask(store: Store) -> None:
    given = lifecycle.installing(store, VERSIONS["1.0.0"], "library", "file:/x", who=AGENT, now=NOW)
    with pytest.raises(NotPermitted):
        lifecycle.ask(store, given, who=AGENT, now=NOW, terms=Autonomy())
    assert [] == store.views.decisions(limit=9)


def test_files_that_were_changed_while_they_waited_are_not_let_in(store: Store) -> None:
    given = lifecycle.installing(store, VERSIONS["1.0.0"], "library", "file:/x", who=MEMBER, now=NOW)
    number = lifecycle.ask(store, given, who=MEMBER, now=NOW, terms=Autonomy()).decision
    spoil(store, VERSIONS["1.0.0"].digest)
    with pytest.raises(EventctlError):
        approve(store, number)
    assert [] == store.installed()


def test_installing_again_mends_what_was_damaged(store: Store) -> None:
    install(store, VERSIONS["1.0.0"])
    spoil(store, VERSIONS["1.0.0"].digest)
    with pytest.raises(EventctlError):
        lifecycle.stored(store, VERSIONS["1.0.0"].digest)
    install(store, VERSIONS["1.0.0"])
    assert VERSIONS["1.0.0"] == lifecycle.stored(store, VERSIONS["1.0.0"].digest)


def spoil(store: Store, digest: str) -> None:
    """Change one byte of what the store keeps."""
    body = store.package(digest)
    assert body is not None
    changed = bytes([*body[:-3], body[-3] ^ 1, *body[-2:]])
    if isinstance(store, MemoryStore):
        store.tables.packages.rows[digest] = changed
    else:
        assert isinstance(store, SqliteStore)
        with store.connection.transaction() as db:
            db.execute("UPDATE package SET body = ? WHERE digest = ?", (changed, digest))


# --- all of it, in any order -----------------------------------------------------------------------------------------------------


@dataclass
class Model:
    """What a place remembers: versions in the order in which they were last active, which one is, and which are trusted."""

    order: list[str] = field(default_factory=list)
    active: str | None = None
    trusted: set[str] = field(default_factory=set)

    def activate(self, version: str) -> None:
        self.order = [each for each in self.order if each != version] + [version]
        self.active = version

    def back(self) -> str | None:
        others = [each for each in self.order if each != self.active]
        return others[-1] if others else None


places = st.sampled_from(PLACES)


class Lifecycle(RuleBasedStateMachine):
    """Both stores and a model, through the same steps."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        sqlite = SqliteStore.create(Path(self.folder.name) / "s" / "state.db", checkpointer=True, reserve_bytes=0)
        self.stores: list[Store] = [MemoryStore(), sqlite]
        self.model = {place: Model() for place in PLACES}
        self.done = 0
        self.now = NOW

    def teardown(self) -> None:
        self.stores[1].close()
        self.folder.cleanup()

    def step(self, make: object, fails: bool = False) -> None:
        for store in self.stores:
            if fails:
                with pytest.raises((NotFound, Conflict)):
                    make(store)  # type: ignore[operator]
            else:
                lifecycle.carry_out(store, make(store), who=ADMIN, now=self.now)  # type: ignore[operator]
        self.done += not fails

    @rule(place=places, version=st.sampled_from(list(VERSIONS)))
    def install(self, place: str, version: str) -> None:
        self.step(lambda store: lifecycle.installing(store, VERSIONS[version], place, "file:/x", who=ADMIN, now=self.now))
        self.model[place].activate(version)

    @rule(place=places, to=places)
    def promote(self, place: str, to: str) -> None:
        if place == to:
            return
        here, there = self.model[place], self.model[to]
        self.step(
            lambda store: lifecycle.promoting(store, place, "till", to, who=ADMIN, now=self.now), fails=here.active is None
        )
        if here.active is not None:
            there.activate(here.active)
            there.trusted.discard(here.active)
            there.trusted |= here.trusted & {here.active}
            here.active = None

    @rule(place=places)
    def rollback(self, place: str) -> None:
        model = self.model[place]
        to = model.back()
        self.step(lambda store: lifecycle.rolling_back(store, place, "till", who=ADMIN, now=self.now), fails=to is None)
        if to is not None:
            model.activate(to)

    @rule(place=places, for_good=st.booleans())
    def remove(self, place: str, for_good: bool) -> None:
        model = self.model[place]
        fails = model.active is None and not (for_good and model.order)
        self.step(lambda store: lifecycle.removing(store, place, "till", for_good=for_good), fails=fails)
        if not fails and for_good:
            self.model[place] = Model()
        elif not fails:
            model.active = None

    @rule(place=places, revoke=st.booleans())
    def trust(self, place: str, revoke: bool) -> None:
        model = self.model[place]
        fails = model.active is None or (model.active in model.trusted) != revoke
        self.step(lambda store: lifecycle.trusting(store, place, "till", revoke=revoke), fails=fails)
        if not fails and model.active is not None:
            (model.trusted.discard if revoke else model.trusted.add)(model.active)

    @precondition(lambda self: self.done)
    @rule(us=st.integers(-5_000_000, 5_000_000))
    def time_goes_by_or_back(self, us: int) -> None:
        self.now += us

    @invariant()
    def both_stand_as_the_model_says(self) -> None:
        expected = {
            (place, version, version == model.active, "in-process" if version in model.trusted else "worker")
            for place, model in self.model.items()
            for version in model.order
        }
        for store in self.stores:
            assert expected == standing(store)
            assert self.done == len(store.views.decisions(limit=10_000)) == store.tail("log")
            for row in store.installed():
                assert VERSIONS[row.version] == lifecycle.stored(store, row.digest)


TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_the_model_is_no_mirror(store: Store) -> None:
    """A rollback that forgets to put the other version aside would be seen: two active ones are refused by the store or the model."""
    install(store, VERSIONS["1.0.0"])
    install(store, VERSIONS["1.1.0"])
    row = next(row for row in store.installed() if not row.active)
    store.commit(Operations(installed=[row._replace(active=True)]))
    assert {("library", "1.0.0", True, "worker"), ("library", "1.1.0", False, "worker")} == standing(store)
