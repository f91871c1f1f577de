"""Strikes: who is to blame for a fall, the line to look at, and one commit that holds all of it."""

from __future__ import annotations

import faulthandler
import signal
from pathlib import Path

import orjson
import pytest

from eventctl.breadcrumb import Crumb
from eventctl.memory_store import MemoryStore
from eventctl.store import LOG_PIPELINE, Advance, ExceptionRow, Operations, Record, Unit
from eventctl.strikes import Fall, Judge, book, culprit

NOW = 1_800_000_000_000_000
SPINS = Crumb("domain:ops", "spins", 3, 100.0, 5.0)
DUMP = """\
Fatal Python error: Aborted

Thread 0x00007f0000000001 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 324 in wait

Current thread 0x00007f0000000002 (most recent call first):
  File "{base}/re/__init__.py", line 166 in match
  File "/home/ada/events/company/domains/ops/cartridges/spins.py", line 12 in process
  File "{ours}/trampoline.py", line 90 in resume

Extension modules: orjson (total: 1)
"""


def dump() -> str:
    import sys

    import eventctl

    return DUMP.format(base=sys.base_prefix, ours=Path(eventctl.__file__).parent)


@pytest.mark.parametrize(
    "status", [1, 0, 134, -signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGILL, -signal.SIGFPE]
)
def test_an_end_inside_a_cartridge_is_its_fault(status: int) -> None:
    assert "ended the process" in Judge().verdict(Fall(status, SPINS))


def test_a_hang_is_its_fault() -> None:
    assert "hung for more than 5 s" == Judge().verdict(Fall(-signal.SIGABRT, SPINS, hung=True))


@pytest.mark.parametrize("status", [1, -signal.SIGSEGV, -signal.SIGKILL])
def test_an_end_outside_of_cartridges_is_nobodys(status: int) -> None:
    assert "" == Judge().verdict(Fall(status, None))


@pytest.mark.parametrize("killer", [signal.SIGKILL, signal.SIGTERM])
def test_a_kill_from_outside_counts_at_the_third_time_in_a_row(killer: signal.Signals) -> None:
    judge = Judge()
    assert ["", ""] == [judge.verdict(Fall(-killer, SPINS)) for _ in range(2)]
    assert f"was killed 3 times in a row with {killer.name}" == judge.verdict(Fall(-killer, SPINS))


def test_another_place_or_a_quiet_end_begins_the_row_anew() -> None:
    judge = Judge()
    kill = -signal.SIGKILL
    falls = [SPINS, SPINS, SPINS._replace(seq=4), SPINS, SPINS, None, SPINS, SPINS]
    assert [""] * len(falls) == [judge.verdict(Fall(kill, crumb)) for crumb in falls]


def test_the_line_to_look_at_is_the_newest_of_foreign_code() -> None:
    assert "/home/ada/events/company/domains/ops/cartridges/spins.py:12 in process()" == culprit(dump())


def test_a_dump_of_our_own_code_names_its_newest_frame(tmp_path: Path) -> None:
    file = tmp_path / "crash"
    with file.open("w") as crash:
        faulthandler.dump_traceback(crash)
    assert "test_strikes.py" in culprit(file.read_text())


def test_no_dump_gives_no_line() -> None:
    assert "" == culprit("")


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore()
    made.append([Record("event", "tests", f"e{n}", "job.completed", b"{}", "cli:ada", NOW) for n in range(1, 4)])
    for pipeline in (LOG_PIPELINE, "domain:ops"):
        made.open_cursor(pipeline, at=0)
    feed = [(seq, "job.completed", "accept") for seq in (1, 2, 3)]
    made.commit(Operations(advance=Advance(LOG_PIPELINE, 0, 3, 0, applied=3), feed=feed))
    made.commit(Operations(advance=Advance("domain:ops", 0, 1, 0, applied=1)))
    manifest = orjson.dumps({"id": "spins"})
    made.commit(
        Operations(
            units=[
                Unit("company/domains/other/cartridges/spins.py", 1, 1, 1, "h", manifest),
                Unit("company/domains/ops/cartridges/spins.py", 1, 1, 1, "h", manifest),
            ]
        )
    )
    return made


def told(store: MemoryStore) -> list[str]:
    return [row.type for row in store.read_log(3, 100)]


def test_a_strike_is_one_exception_one_count_and_one_event(store: MemoryStore) -> None:
    sentence = book(store, SPINS, "hung for more than 5 s", dump(), NOW)
    hung = "spins hung for more than 5 s at /home/ada/events/company/domains/ops/cartridges/spins.py:12 in process()"
    assert f"{hung}; it runs in a worker from now on" == sentence
    (struck,) = store.exceptions_of("domain:ops", ("struck",))
    assert (3, 3, "spins") == (struck.seq, struck.pos, struck.cartridge)
    assert "spins.py:12" in struck.reason
    assert ["system.cartridge.struck", "system.cartridge.moved"] == told(store)
    strikes = {path: unit.strikes for path, unit in store.units().items()}
    assert {"company/domains/other/cartridges/spins.py": 0, "company/domains/ops/cartridges/spins.py": 1} == strikes


def test_the_third_strike_switches_the_unit_off(store: MemoryStore) -> None:
    for seq in (3, 2):
        book(store, SPINS._replace(seq=seq), "hung", "", NOW)
    unit = store.units()["company/domains/ops/cartridges/spins.py"]
    assert ("active", 2) == (unit.state, unit.strikes)
    book(store, SPINS, "hung", "", NOW)
    unit = store.units()["company/domains/ops/cartridges/spins.py"]
    assert ("disabled", 3, "hung") == (unit.state, unit.strikes, unit.reason)
    struck, moved, off = (f"system.cartridge.{what}" for what in ("struck", "moved", "disabled"))
    assert [struck, moved, struck, struck, off] == told(store)
    assert "active" == store.units()["company/domains/other/cartridges/spins.py"].state


@pytest.mark.parametrize(
    ("path", "manifest"),
    [("plugin:more/spins", {"id": "spins"}), ("company/domains/ops/cartridges/spins.toml", {"id": "spins", "rule": {}})],
)
def test_what_cannot_run_in_a_worker_is_switched_off_at_the_second_strike(path: str, manifest: dict[str, object]) -> None:
    made = MemoryStore()
    made.open_cursor("domain:ops", at=0)
    made.commit(Operations(units=[Unit(path, 1, 1, 1, "h", orjson.dumps(manifest))]))
    assert "spins hung" == book(made, SPINS, "hung", "", NOW)
    assert "spins hung; it is switched off after 2 strikes" == book(made, SPINS, "hung", "", NOW)
    assert "disabled" == made.units()[path].state


def test_an_event_that_was_open_keeps_its_place_and_its_entity(store: MemoryStore) -> None:
    waiting = ExceptionRow("domain:ops", 1, "waiting", 1, "spins", "for an answer", attempts=2, entity="api")
    store.commit(Operations(exceptions=[waiting]))
    book(store, SPINS._replace(seq=1), "hung", "", NOW)
    assert [waiting._replace(state="struck", reason="hung")] == store.exceptions_of("domain:ops", ("struck",))


def test_two_culprits_of_one_event_are_both_left_out(store: MemoryStore) -> None:
    book(store, SPINS, "hung", "", NOW)
    book(store, SPINS._replace(cartridge="crashes"), "ended the process with SIGSEGV", "", NOW)
    (struck,) = store.exceptions_of("domain:ops", ("struck",))
    assert "spins,crashes" == struck.cartridge
    assert "hung; ended the process with SIGSEGV" == struck.reason


def test_a_cartridge_without_a_file_is_struck_all_the_same(store: MemoryStore) -> None:
    book(store, SPINS._replace(cartridge="from-a-plugin"), "hung", "", NOW)
    assert ["from-a-plugin"] == [row.cartridge for row in store.exceptions_of("domain:ops", ("struck",))]


def test_in_the_system_pipeline_a_record_stands_at_its_own_number(store: MemoryStore) -> None:
    book(store, Crumb(LOG_PIPELINE, "trust", 2, 0.0, 5.0), "hung", "", NOW)
    assert [2] == [row.pos for row in store.exceptions_of(LOG_PIPELINE, ("struck",))]


def test_an_event_far_ahead_of_the_cursor_is_not_taken_for_one_that_was_passed(store: MemoryStore) -> None:
    store.append([Record("event", "tests", f"far{n}", "job.completed", b"{}", "cli:ada", NOW) for n in range(4, 10_001)])
    store.commit(Operations(feed=[(seq, "job.completed", "accept") for seq in range(4, 10_001)]))
    book(store, SPINS._replace(seq=10_000), "hung", "", NOW)
    assert [10_000] == [row.pos for row in store.exceptions_of("domain:ops", ("struck",))]


@pytest.mark.parametrize("seq", [1, 99])
def test_an_event_that_is_done_or_not_there_is_not_opened_again(store: MemoryStore, seq: int) -> None:
    book(store, SPINS._replace(seq=seq), "hung", "", NOW)
    assert [] == store.exceptions_of("domain:ops", ("struck",))
    assert "system.cartridge.struck" == told(store)[0]
