"""Cartridges in workers: what they may do, what becomes of one that hangs, dies or lies, and that nobody else notices."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from datetime import timedelta

import pytest

from eventctl import workerlink
from eventctl.dag.apart import Hostile
from eventctl.store import Operations, StateRow, Unit
from eventctl.workerlink import DEPTH_MAX, parsed
from tests.flowkit import OUT, PIPELINE, World, plan
from tests.workerkit import Apart, coded, workers

LIMIT_S = 1.5
COUNTS = """
async def process(event, context):
    count = await context.state.get("count", 0) + 1
    context.state.set("count", count)
    context.annotate("counts", count)
    return event
"""
AGES = """
import time
async def process(event, context):
    if event.payload.get("wait"):
        time.sleep(event.payload["wait"])
    context.annotate("ages", event.payload.get("wait", 0))
    return event
"""
TIMES = """
import time
async def process(event, context):
    began = time.monotonic()
    time.sleep(event.payload.get("wait", 0))
    context.annotate("times", [began, time.monotonic()])
    return event
"""


def world_of(made, text, **more):
    """A worker cartridge `bad` beside `counts`, which runs here and works at every event."""
    return Apart(plan(coded("bad", text, limit_s=LIMIT_S, **more), coded("counts", COUNTS, runs="in-process")), made)


def news(world):
    return [row.type for row in world.store.read_log(0, 1_000) if row.source == "eventctl"]


def strikes(world, name="bad"):
    unit = world.store.units().get(f"cartridges/{name}.py")
    return unit.strikes if unit else 0


# --- what is the same as in this process --------------------------------------------------------------------------------------------


def test_a_run_in_a_worker_has_its_effects_and_its_state():
    with workers() as made:
        world = Apart(plan(coded("counts", COUNTS)), made)
        seqs = [world.send() for _ in range(5)]
        world.settle()
        assert [1, 2, 3, 4, 5] == [world.annotations(seq)["counts"] for seq in seqs]
        assert {"count": 5} == world.state("counts")
        assert 1 == len(made)  # one process for all of them


def test_what_a_worker_reads_is_what_the_runner_knows():
    text = """
from datetime import timedelta
async def process(event, context):
    before = [each.payload["n"] for each in await context.history("shop.*")]
    beside = await context.annotations()
    said = {"before": before, "beside": beside, "settings": context.settings, "now": context.now.isoformat()}
    said["wait"] = context.settings["wait"] == timedelta(seconds=2)
    said["settings"] = sorted(context.settings)
    said["declared"] = [context.catalog.declared("domain.shop.made"), context.catalog.declared("nothing")]
    said["level"] = context.catalog.entry("domain.shop.made").level
    context.annotate("reads", said)
    return event
"""
    with workers() as made:
        told = []
        for runs in ("in-process", "worker"):
            settings = {"wait": timedelta(seconds=2), "name": "ada", "many": [1, 2]}
            world = Apart(plan(coded("reads", text, runs=runs, settings=settings)), made)
            seqs = [world.send(n=n) for n in range(3)]
            world.settle()
            told.append([world.annotations(seq)["reads"] for seq in seqs])
        assert told[0] == told[1]
        assert [1, 0] == told[1][2]["before"]
        assert [[True, False]] == [told[1][2]["declared"]]


def test_a_call_parks_and_goes_on_with_its_answer():
    text = """
async def process(event, context):
    answer = await context.call("ask", {"n": 1})
    context.annotate("calls", answer)
    return event
"""
    with workers() as made:
        world = Apart(plan(coded("calls", text)), made)
        seq = world.send()
        world.settle()
        assert {seq: "waiting"} == world.states()
        assert 1 == world.answer(result={"yes": 1})
        world.settle()
        assert {"yes": 1} == world.annotations(seq)["calls"]
        assert {} == world.states()


@pytest.mark.parametrize("what", ['raise ValueError("no")', 'context.annotate("other", 1)', 'return "x"'])
def test_a_failure_in_a_worker_is_tried_again_and_given_up_with_the_same_words(what):
    text = f"async def process(event, context):\n    {what}\n    return event\n"
    with workers() as made:
        said = []
        for runs in ("in-process", "worker"):
            world = Apart(plan(coded("fails", text, runs=runs)), made)
            seq = world.send()
            for _ in range(3):
                world.settle()
                world.later(20)
            world.settle()
            said.append((world.states(), world.exception(seq)))
        assert said[0] == said[1]
        assert "dead" == said[1][1].state
        assert 3 == said[1][1].attempts


def test_code_that_does_not_load_is_a_dead_letter_at_once():
    with workers() as made:
        world = Apart(plan(coded("broken", "import nothing_of_that_name\nasync def process(e, c): return e\n")), made)
        seq = world.send()
        world.settle()
        row = world.exception(seq)
        assert ("dead", 1) == (row.state, row.attempts)
        assert "its code does not load: ModuleNotFoundError" in row.reason
        assert 0 == strikes(world, "broken")


def test_without_workers_such_a_cartridge_does_not_run_at_all():
    world = World(plan(coded("counts", COUNTS)))
    seq = world.send()
    world.step()
    assert "LoadFailed: it runs in a worker, and there are none here" in world.exception(seq).reason


# --- patience -----------------------------------------------------------------------------------------------------------------------


def test_an_event_whose_worker_thinks_is_not_taken_yet_and_what_came_before_is():
    with workers() as made:
        world = Apart(plan(coded("ages", AGES, limit_s=60.0)), made)
        world.send()
        world.settle()
        quick, slow, after = world.send(), world.send(wait=1.5), world.send()
        while not (report := world.step()).waits or world.cursor().pos < quick:
            assert world.cursor().pos <= quick  # nobody has waited for it
        assert quick == world.cursor().pos
        assert not world.step().moved
        assert 1 == len(report.waits)
        world.settle()
        assert after == world.cursor().pos
        assert 1.5 == world.annotations(slow)["ages"]


def test_the_workers_of_one_level_think_at_the_same_time():
    with workers() as made:
        names = [f"a{n}" for n in range(4)]
        world = Apart(plan(*(coded(name, TIMES.replace("times", name), limit_s=60.0) for name in names)), made)
        world.send()
        world.settle()
        seq = world.send(wait=1.0)
        world.settle()
        spans = [world.annotations(seq)[name] for name in names]
        assert max(began for began, _ in spans) < min(ended for _, ended in spans)


def test_more_workers_than_may_be_alive_take_turns():
    with workers(alive_max=2) as made:
        world = Apart(plan(*(coded(f"a{n}", AGES.replace("ages", f"a{n}")) for n in range(5))), made)
        seq = world.send()
        world.settle()
        assert 5 == len(world.annotations(seq))
        assert 2 >= len(made)


def test_what_came_of_inputs_that_have_changed_is_thrown_away():
    text = """
import time
async def process(event, context):
    seen = await context.state.get("count", 0)
    time.sleep(event.payload.get("wait", 0))
    context.annotate("sees", seen)
    return event
"""
    with workers() as made:
        world = Apart(plan(coded("sees", text)), made)
        seq = world.send(wait=0.1)
        while not world.step().waits:
            pass
        time.sleep(0.4)
        world.step()  # its question is answered: nothing is remembered
        world.store.commit(Operations(states=[StateRow(f"{PIPELINE}/sees", "e", b'{"count":7}')]))
        world.settle()
        assert 7 == world.annotations(seq)["sees"]


def test_a_worker_that_nobody_needs_ends():
    with workers(idle_s=0.1) as made:
        world = Apart(plan(coded("counts", COUNTS)), made)
        world.send()
        world.settle()
        assert 1 == len(made)
        time.sleep(0.15)
        world.step()
        assert 0 == len(made)


# --- deadline, death and lies -------------------------------------------------------------------------------------------------------


def test_a_hang_is_a_dead_letter_with_its_line_and_a_strike_in_the_same_commit():
    with workers() as made:
        text = (
            "import time\nasync def process(event, context):\n    time.sleep(event.payload.get('wait', 0))\n    return event\n"
        )
        world = world_of(made, text)
        world.send()
        world.settle()
        seq = world.send(wait=1e6)
        world.settle()
        row = world.exception(seq)
        assert ("dead", "bad", 1) == (row.state, row.cartridge, row.attempts)
        assert "hung for more than 1.5 s at /nowhere/bad.py:3 in process()" == row.reason
        assert 2 == world.annotations(seq)["counts"]
        assert ["system.cartridge.struck"] == news(world)
        assert 1 == strikes(world)


def test_the_third_strike_switches_a_worker_cartridge_off():
    with workers() as made:
        world = world_of(made, "import os\nasync def process(event, context):\n    os._exit(3)\n")
        world.store.commit(Operations(units=[Unit("cartridges/bad.py", 1, 1, 1, "h", b'{"id":"bad","runs":"worker"}')]))
        seqs = [world.send() for _ in range(4)]
        world.settle()
        assert dict.fromkeys(seqs[:3], "dead") == world.states()
        struck, off = "system.cartridge.struck", "system.cartridge.disabled"
        assert [struck, struck, struck, off] == news(world)
        unit = world.store.units()["cartridges/bad.py"]
        assert ("disabled", 3, "ended its process with exit code 3") == (unit.state, unit.strikes, unit.reason[:34])
        assert [1, 2, 3, 4] == [world.annotations(seq)["counts"] for seq in seqs]


FINDS = """
import gc, os, signal, sys, time, ctypes
CHANNEL = next(each for each in gc.get_objects() if type(each).__name__ == "Channel")
SOCKET = CHANNEL._socket
def number():
    frame = sys._getframe()
    while "wanted" not in frame.f_locals: frame = frame.f_back
    return frame.f_locals["wanted"]["run"]
def end(**more):
    CHANNEL.say({"end": number(), "how": "returned", "value": "event", "ns": 1} | more)
def raw(data):
    SOCKET.sendall(data)
async def process(event, context):
    BEHAVE
    return event
"""
LIES = {
    "another run's number": 'CHANNEL.say({"end": number() + 1, "how": "returned", "value": "event"})',
    "ten thousand and one names": 'end(asked={"states": [[str(n), "1"] for n in range(10_001)]})',
    "asks without end": 'while True: CHANNEL.talk({"ask": ["state", "a"]})',
    "a number that is a bool": 'CHANNEL.say({"end": True, "how": "returned", "value": "event"})',
    "a frame that is too large": r'raw(b"\xff\xff\xff\xff")',
    "a frame nested too deep": r'body = b"{\"log\":" + b"[" * 40 + b"]" * 40 + b"}"; raw(len(body).to_bytes(4, "big") + body)',
    "a frame nested a hundred thousand deep": r'body = b"[" * 100000 + b"]" * 100000; raw(len(body).to_bytes(4, "big") + body)',
    "what is not JSON": r'raw(b"\0\0\0\x05hello")',
    "what is no object": r'raw(b"\0\0\0\x02[]")',
    "an unknown message": 'CHANNEL.say({"open": "/etc/passwd"})',
    "an ask that there is not": 'CHANNEL.say({"ask": ["open", "/etc/passwd"]}); time.sleep(99)',
    "an ask of another shape": 'CHANNEL.say({"ask": {"state": 1}}); time.sleep(99)',
    "a call that is no text": 'CHANNEL.say({"ask": ["call", "ask", "[1]"]}); time.sleep(99)',
    "a question within a question": r"""raw(2 * b'\0\0\0\x15{"ask":["state","a"]}')""",
    "an end after the end": "end(); end()",
    "a question after the end": 'end(); CHANNEL.say({"ask": ["state", "a"]})',
    "a greeting again": 'CHANNEL.say({"loaded": True})',
    "half a frame and no more": r'raw(b"\0\0\1\0{"); os._exit(0)',
    "half a frame and silence": r'raw(b"\0\0\1\0{"); time.sleep(99)',
    "byte after byte": r"""
    raw(b"\0\1\0\0")
    while True: raw(b" "); time.sleep(0.01)
""",
    "a slot that it may not fill": 'end(asked={"annotations": [["counts", "1"]]})',
    "an event that it may not emit": 'end(asked={"said": [["emit", "[\\"shop.sold\\",{},{}]"]]})',
    "an event of the platform": 'end(asked={"said": [["emit", "[\\"system.reload.done\\",{},{}]"]]})',
    "an event with an id of its own": 'end(asked={"said": [["emit", "[\\"domain.shop.made\\",{},{\\"id\\":\\"x\\"}]"]]})',
    "an event with its payload twice": 'end(asked={"said": [["emit", "[\\"domain.shop.made\\",{},{\\"payload\\":{}}]"]]})',
    "a notice for somebody else": 'end(asked={"said": [["notify", "[\\"x\\",{\\"audience\\":\\"domain:other\\"}]"]]})',
    "a verb that there is not": 'end(asked={"said": [["drop_table", "[]"]]})',
    "a timer in the past": 'end(asked={"timers": [["t", "[-5,{}]"]]})',
    "a timer without end": 'end(asked={"timers": [["t", "[1e300,{}]"]]})',
    "state of another shape": 'end(asked={"states": {"a": 1}})',
    "state that is not JSON": 'end(asked={"states": [["a", "nope"]]})',
    "a verdict that there is not": 'end(asked={"verdict": "applied"})',
    "a proposal without a shape": 'end(asked={"proposed": ["{}"]})',
    "an end that there is not": 'end(how="applied")',
    "an end that waits for nothing": 'end(how="parked")',
    "a channel that is closed": "os.close(SOCKET.fileno()); time.sleep(99)",
    "an exit in the middle": "os._exit(0)",
    "a fork that speaks too, where there are forks": "try: os.fork()\n    except OSError: pass\n    end(); end()",
    "a segmentation fault": "ctypes.string_at(0)",
    "an abort": "os.abort()",
    "a kill of itself": "os.kill(os.getpid(), signal.SIGKILL)",
    "a kill of its group": "os.killpg(0, signal.SIGTERM)",
    "a deaf hang": "signal.signal(signal.SIGABRT, signal.SIG_IGN)\n    while True: pass",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_worker_that_does_not_keep_to_it_fails_its_cartridge_and_nobody_else(lie):
    with workers() as made:
        world = world_of(made, FINDS.replace("BEHAVE", LIES[lie]))
        first = world.send()
        world.settle()
        late = "after the end" in lie or "fork" in lie
        if late and not strikes(world):  # it came too late to be heard with the end: the next run pays
            world.send()
            world.settle()
        dead = world.exception(first) or world.exception(first + 1)
        assert ("dead", "bad", 1) == (dead.state, dead.cartridge, dead.attempts)
        assert 1 == strikes(world)
        assert 1 == world.annotations(first)["counts"]
        assert [] == world.made(OUT)
        assert {"counts"} == set(world.annotations(first))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("for n in range(10_001): context.state.set(str(n), n)", "10,001 names"),
        ("while True: await context.state.get('a')", "awaited 1,000 things"),
    ],
)
def test_an_honest_worker_that_wants_too_much_has_made_a_mistake_and_is_no_liar(text, said):
    with workers() as made:
        patient = coded("bad", f"async def process(event, context):\n    {text}\n    return event\n", limit_s=20)
        world = Apart(plan(patient), made)
        seq = world.send()
        world.settle()
        assert said in world.exception(seq).reason
        assert "retry" == world.exception(seq).state
        assert 0 == strikes(world)


def test_an_honest_worker_is_not_taken_for_a_liar():
    with workers() as made:
        world = world_of(made, FINDS.replace("BEHAVE", "pass"))
        world.send()
        world.settle()
        assert {} == world.states()
        assert 0 == strikes(world)


def test_what_a_worker_prints_goes_to_the_log_and_has_an_end(caplog):
    text = """
import sys
async def process(event, context):
    for n in range(5000): print("line", n)
    print("\\x1b[2J", file=sys.stderr)
    context.log.warning("said")
    return event
"""
    with workers() as made, caplog.at_level(logging.INFO, "eventctl.cartridge"):
        world = world_of(made, text)
        world.send()
        world.settle()
        lines = [record.getMessage() for record in caplog.records if record.name == "eventctl.cartridge"]
        assert "printed: line 0" == lines[0]
        assert "which is not kept" in lines[-1]
        assert sum(map(len, lines)) < 25_000
        assert {} == world.states()


def test_a_hundred_lines_written_past_python_are_nobodys_problem(capfd):
    with workers() as made:
        world = world_of(
            made, "import os\nasync def process(e, c):\n    os.write(1, b'x' * 500000)\n    os.write(2, b'y')\n    return e\n"
        )
        world.send()
        world.settle()
        assert {} == world.states()
    assert ("", "") == capfd.readouterr()


def test_memory_has_an_end():
    text = "async def process(event, context):\n    held = bytearray(300 << 20)\n    return event\n"
    with workers() as made:
        said = []
        for memory in (200 << 20, None):
            world = Apart(plan(coded("large", text, memory=memory, limit_s=30)), made)
            seq = world.send()
            world.settle()
            row = world.exception(seq)
            said.append(row and (row.state, row.reason))
        assert [("retry", "MemoryError"), None] == said


def test_a_worker_that_cannot_start_is_named_and_nobody_is_struck(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with workers() as made:
        world = world_of(made, "async def process(e, c): return e\n")
        seq = world.send()
        world.settle()
        assert "LoadFailed: its worker ended with exit code 1, 3 times" in world.exception(seq).reason
        assert 0 == strikes(world)
        assert 1 == world.annotations(seq)["counts"]


def test_where_no_process_can_be_started_its_pipeline_waits_and_nobody_is_to_blame(monkeypatch, caplog):
    real = subprocess.Popen

    def full(*given, **more):
        raise OSError(24, "Too many open files")

    with workers() as made:
        world = Apart(plan(coded("counts", COUNTS)), made)
        seq = world.send()
        monkeypatch.setattr(workerlink.subprocess, "Popen", full)
        for _ in range(5):
            assert not world.step().moved
            time.sleep(0.03)
        assert 1 == len([record for record in caplog.records if "Too many open files" in record.getMessage()])
        monkeypatch.setattr(workerlink.subprocess, "Popen", real)
        world.settle()
        assert 1 == world.annotations(seq)["counts"]


def test_a_run_that_nobody_comes_back_for_is_ended_without_a_strike():
    with workers(idle_s=0.2) as made:
        world = Apart(plan(coded("ages", AGES, limit_s=0.2)), made)
        world.send()
        world.settle()
        world.send(wait=60)
        while not world.step().waits:
            pass
        assert 1 == len(made)
        time.sleep(0.7)
        made.tidy()  # as after a reload: another pipeline asks for other code
        assert 0 == len(made)
        assert 0 == strikes(world, "ages")


def test_all_workers_are_gone_when_they_are_closed():
    with workers() as made:
        world = world_of(made, "import os\nasync def process(e, c):\n    c.annotate('bad', os.getpid())\n    return e\n")
        seq = world.send()
        world.settle()
        pid = world.annotations(seq)["bad"]
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("body", [b"[]", b"1", b"{", b"", b"\xff"])
def test_what_is_no_message_is_refused(body):
    with pytest.raises(Hostile):
        parsed(body)


def test_a_message_may_be_as_deep_as_it_may_be_and_no_deeper():
    def deep(levels):
        return b'{"a":' * levels + b"1" + b"}" * levels

    assert parsed(deep(DEPTH_MAX))
    with pytest.raises(Hostile):
        parsed(deep(DEPTH_MAX + 1))
