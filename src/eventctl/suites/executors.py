"""What every executor must do.

class TestMine(ExecutorSuite):
    @pytest.fixture
    def executor(self):
        return Weather()

    args = {"city": "Berlin"}
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from eventctl.contracts import Answer, Executor, Request

DEADLINE_S = 5.0
SLACK_S = 1.0


class ExecutorSuite:
    """`executor` is one, `args` what it can do; `wrong` holds arguments that it can do nothing with; None for one that takes all."""

    args: Mapping[str, Any]
    wrong: Mapping[str, Any] | None = {"no-such-argument": 1}
    acts: bool | None = None
    """What it is meant to say of itself; None does not ask."""

    @pytest.fixture
    def executor(self) -> Executor:
        raise NotImplementedError("give the executor: override the fixture `executor`")

    def ask(self, executor: Executor, args: Mapping[str, Any], *, attempt: int = 1) -> Answer:
        """One attempt, as the outbox makes it."""
        sent = orjson.loads(orjson.dumps(dict(args)))
        return executor.execute(Request("call-1", executor.name, sent, attempt, DEADLINE_S))

    def test_it_has_a_name_that_a_manifest_can_name(self, executor: Executor) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_-]{0,63}", executor.name)

    def test_it_says_whether_it_acts_or_is_taken_to(self, executor: Executor) -> None:
        assert isinstance(getattr(executor, "acts", True), bool)
        assert self.acts is None or self.acts == getattr(executor, "acts", True)

    def test_it_answers_within_its_deadline_with_json(self, executor: Executor) -> None:
        began = time.monotonic()
        answer = self.ask(executor, self.args)
        assert time.monotonic() - began < DEADLINE_S + SLACK_S
        assert isinstance(answer, Answer)
        assert "" == answer.error
        assert answer.ok
        assert answer.result == orjson.loads(orjson.dumps(answer.result))

    def test_it_may_be_asked_again_with_the_same_id(self, executor: Executor) -> None:
        assert self.ask(executor, self.args).ok
        assert self.ask(executor, self.args, attempt=2).ok

    def test_what_it_cannot_do_is_refused_in_a_sentence_and_not_tried_again(self, executor: Executor) -> None:
        if self.wrong is None:
            pytest.skip("it takes whatever it is given")
        answer = self.ask(executor, self.wrong)
        assert not answer.ok
        assert answer.error
        assert "\n" not in answer.error
        assert not answer.again

    def test_it_leaves_the_arguments_as_they_were(self, executor: Executor) -> None:
        args = orjson.loads(orjson.dumps(dict(self.args)))
        executor.execute(Request("call-1", executor.name, args, 1, DEADLINE_S))
        assert dict(self.args) == args
