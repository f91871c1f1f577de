"""The trampoline: foreign code is driven by hand, and whatever it does, the run ends one of three ways."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any

import pytest

from eventctl.contracts import CallFailed
from eventctl.errors import StorageFailed
from eventctl.trampoline import PARK, Ask, Ended, Mistake, Place, drive
from tests.flowkit import Crumbs

HERE = Place("domain:shop", "till", 7, 0.5)


def run(process: Any, answers: Any = None, crumbs: Crumbs | None = None) -> Ended:
    def answer(ask: Ask) -> Any:
        found = answers(ask) if callable(answers) else answers
        if isinstance(found, Exception):
            raise found
        return found

    return drive(process, (), answer, HERE, crumbs or Crumbs())


async def ask_twice() -> Any:
    return await Ask("state", "a") + await Ask("state", "b")


def test_what_is_awaited_is_answered_and_what_is_returned_comes_back() -> None:
    ended = run(ask_twice, 21)
    assert ("returned", 42) == (ended.how, ended.value)
    assert ended.ns > 0


def test_a_plain_function_is_accepted_too() -> None:
    assert ("returned", 3) == (run(lambda: 3).how, run(lambda: 3).value)


def test_a_run_without_an_answer_is_parked_and_its_finally_blocks_run() -> None:
    ran = []

    async def process() -> None:
        try:
            await Ask("call")
        finally:
            ran.append("finally")

    assert "parked" == run(process, PARK).how
    assert ["finally"] == ran


def test_a_failed_call_is_raised_where_it_was_awaited() -> None:
    async def process() -> str:
        try:
            await Ask("call")
        except CallFailed as failed:
            return str(failed)
        return "never"

    assert "gone" == run(process, CallFailed("gone")).value


def test_what_the_store_raises_passes_through_and_the_cartridge_cannot_swallow_it() -> None:
    async def process() -> str:
        try:
            return str(await Ask("history"))
        except BaseException:  # noqa: BLE001 - what this test is about
            return "swallowed"

    with pytest.raises(StorageFailed):
        run(process, StorageFailed("EIO"))


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), GeneratorExit(), asyncio.CancelledError(), MemoryError()])
def test_whatever_a_cartridge_raises_is_how_its_run_ended(error: BaseException) -> None:
    async def process() -> None:
        raise error

    ended = run(process)
    assert ("raised", error) == (ended.how, ended.error)


def test_ctrl_c_is_for_the_runner() -> None:
    async def process() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(process)


def test_stop_iteration_out_of_a_plain_function_is_an_error_and_no_drop() -> None:
    ended = run(lambda: next(iter(())))
    assert "raised" == ended.how


async def sleep_a_while() -> None:
    await asyncio.sleep(1)


async def give_way() -> None:
    await asyncio.sleep(0)


async def wait_for_a_future() -> None:
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("process", [sleep_a_while, give_way, wait_for_a_future])
def test_awaiting_anything_else_is_a_mistake_with_a_clear_sentence(process: Any) -> None:
    ended = run(process)
    assert isinstance(ended.error, Mistake)
    assert "may await only what its context gives it" in str(ended.error)


@pytest.mark.parametrize("process", [sleep_a_while, wait_for_a_future])
def test_nor_does_a_loop_of_the_host_make_it_work(process: Any) -> None:
    async def host() -> Ended:
        return run(process)

    ended = asyncio.run(host())
    assert "it awaited a Future of asyncio" in str(ended.error)


def test_one_that_swallows_its_end_once_is_parked_all_the_same() -> None:
    async def process() -> str:
        try:
            await Ask("call")
        except BaseException:  # noqa: BLE001 - what this test is about
            pass
        return "went on"

    assert "parked" == run(process, PARK).how


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_that_swallows_everything_is_given_up_with_a_clear_sentence() -> None:
    async def process() -> None:
        while True:
            try:
                await Ask("call")
            except BaseException:  # noqa: BLE001 - what this test is about
                pass

    ended = run(process, PARK)
    assert "raised" == ended.how
    assert "awaited again" in str(ended.error)
    gc.collect()  # Python says that it ignored being closed, now and not in another test


def test_the_breadcrumb_stands_exactly_while_foreign_code_runs() -> None:
    crumbs, seen = Crumbs(), []

    async def process() -> None:
        seen.append(crumbs.here)
        await Ask("state")
        seen.append(crumbs.here)

    def answer(_: Ask) -> int:
        seen.append(crumbs.here)
        return 1

    run(process, answer, crumbs)
    assert [("domain:shop", "till", 7), None, ("domain:shop", "till", 7)] == seen
    assert crumbs.here is None
    assert {0.5} == set(crumbs.limits)


def test_the_breadcrumb_is_gone_after_a_raise() -> None:
    crumbs = Crumbs()
    run(lambda: sys.exit(3), crumbs=crumbs)
    assert crumbs.here is None
