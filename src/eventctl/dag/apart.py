"""Cartridges that run apart: what the flow asks of whoever runs them elsewhere. No process and no socket is known here.

An event whose cartridge has not answered within the patience is not taken yet: `Thinking` ends the batch before it, what came before is
committed, and the event is met again from its top when there is news. A run that was begun is remembered by its cartridge, its event
and its attempt, with all that it was told; when it is met again and would be told something else, it is begun anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Literal, NamedTuple, Protocol

from eventctl.advance import Wait
from eventctl.catalog import Catalog
from eventctl.errors import EventctlError
from eventctl.modules import Code
from eventctl.plan import Cartridge
from eventctl.store import LogRow

PATIENCE_S = 0.005
"""How long one advance waits for cartridges elsewhere, all together: what a domain takes of everybody's time before it waits alone."""


ALL_DAY_S = 86_400.0
"""For who has nobody else to look after: a trial, a dry run. The deadline ends a run that does not end."""


class Thinking(EventctlError):
    """An event cannot be taken yet: its cartridges elsewhere have not answered. `waits` says what to look at."""

    def __init__(self, waits: Sequence[Wait]) -> None:
        super().__init__("a cartridge in a worker has not answered yet")
        self.waits = list(waits)


class Job(NamedTuple):
    """One run of one cartridge. `attempt` tells a new attempt from the same one met again; `defaults` are the event's by its type."""

    cartridge: Cartridge
    record: LogRow
    defaults: tuple[int, str, str]
    catalog: Catalog
    attempt: tuple[int, int]


class Finished(NamedTuple):
    """How a run elsewhere ended, as it was said there and not judged yet.

    `how` is that of `trampoline.Ended`, or `failed` (its code does not load, `text` says why) or `struck` (it hung, died or lied).
    `value` says what was returned: `event`, `nothing`, or else it was raised. `asked` is what the run wants done.
    """

    how: Literal["returned", "raised", "parked", "failed", "struck"]
    value: str = ""
    kind: str = ""
    text: str = ""
    ns: int = 0
    asked: Any = None


Answer = Callable[[Any], bytes]
"""Answers what a run elsewhere awaits: the ask as it came, parsed, and the reply as JSON. Raises Hostile for what is no ask."""


class Hostile(Exception):
    """What came from elsewhere is not what an honest worker sends."""


class Run(Protocol):
    """A run that was begun."""

    def still(self, answer: Answer) -> bool:
        """Whether it would be told now what it was told before. If not it begins anew, and `answer` is used up."""

    def go_on(self, answer: Answer, wait_s: float) -> Finished | None:
        """Answer what it asks, and wait for it no longer than this. None while it has not ended."""

    @property
    def wait(self) -> Wait:
        """What to look at until it goes on."""


class Apart(Protocol):
    """Whoever runs cartridges elsewhere. `limit_s` is how long a run may take whose manifest says nothing about it."""

    limit_s: float

    def begin(self, job: Job) -> Run:
        """The run of this job: the one that was begun before, or a new one."""

    def ready(self, waits: Sequence[Wait]) -> bool:
        """Whether there is news about one of these."""

    def tidy(self) -> None:
        """End what nobody has needed for a while."""

    def keep(self, codes: Sequence[Code]) -> None:
        """End what runs other code than this, and forget what did not load."""

    def close(self) -> None:
        """End them all."""


class Patience:
    """How long runs elsewhere may still be waited for, in seconds; shared by all of one advance."""

    __slots__ = ("left_s",)

    def __init__(self, left_s: float = PATIENCE_S) -> None:
        self.left_s = left_s

    def spend(self, run: Run, answer: Answer) -> Finished | None:
        """Let a run go on for as long as is left."""
        began = monotonic()
        try:
            return run.go_on(answer, self.left_s)
        finally:
            self.left_s = max(0.0, self.left_s - (monotonic() - began))
