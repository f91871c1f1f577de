"""What is held goes on once, or is dropped once, whenever the process dies in between."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from eventctl import moves
from eventctl.errors import Conflict, NotFound
from eventctl.failpoints import FailpointReached, armed
from eventctl.sqlite_store import SqliteStore
from eventctl.system.trust import Trust
from tests.system.kit import ADA, World

HELD = 4
ASKED = st.lists(st.tuples(st.sampled_from(["release", "discard"]), st.integers(0, HELD - 1)), max_size=8)
CRASHES = st.lists(st.tuples(st.sampled_from(["t0.before_commit", "t0.after_commit", "t1.before_commit", "t1.after_commit"]), st.integers(1, 4)), max_size=6)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(ASKED, CRASHES, st.integers(1, 5))
def test_a_release_re_enters_once_and_a_discard_drops_once_through_any_crash(asked, crashes, limit):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "state.db"
        world = World(SqliteStore.create(path, checkpointer=True, reserve_bytes=0), trust=Trust("strict"))
        held = [world.tell("shop.ticket.opened", {"id": number}, principal="http:x") for number in range(HELD)]
        decided = {}
        plan = list(crashes)

        def survive(action) -> None:
            """Do it, dying where the plan says so; whoever died comes back with another process and tries again."""
            while True:
                point = plan.pop() if plan else None
                try:
                    with armed(f"{point[0]}=raise@{point[1]}") if point else nullcontext():
                        action()
                except FailpointReached:
                    world.store.close()
                    world.store = SqliteStore.open(path, role="runner", checkpointer=True)
                    continue
                return

        def ask(verb: str, seq: int) -> None:
            with suppress(Conflict, NotFound):
                moves.control(world.store, f"quarantine.{verb}", seq, principal=ADA, now=world.now)

        for verb, index in asked:
            survive(lambda verb=verb, seq=held[index]: ask(verb, seq))
            decided.setdefault(held[index], verb)
        survive(lambda: world.run(limit))
        let_in = Counter(seq for seq, _, why in world.feed() if why == "release")
        assert Counter(seq for seq, verb in decided.items() if verb == "release") == let_in
        assert sum(let_in.values()) == len(world.inbox())
        dropped = [seq for seq in held if (row := world.exception(seq)) and row.state == "dropped"]
        assert sorted(seq for seq, verb in decided.items() if verb == "discard") == dropped
        assert HELD - len(decided) == world.counts()[2]
        world.store.close()
