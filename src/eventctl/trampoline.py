"""Drives a cartridge's coroutine by hand. There is no event loop: a cartridge never waits, so there is nothing to loop over.

What a cartridge awaits of its context arrives here as a yielded `Ask`. It is answered at once, or the run is over: parked, and
later begun again from its top. Whatever else is yielded was awaited from somewhere else (a sleep, a socket, a future) and is a
mistake of the cartridge. Reads happen here and not inside the coroutine, so that a failing disk is never a cartridge's error, nor
something that it could swallow.

The breadcrumb stands exactly while foreign code runs.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from inspect import CO_COROUTINE
from time import perf_counter_ns
from types import CoroutineType
from typing import Any, Literal, NamedTuple, Protocol

from eventctl.contracts import CallFailed

CLOSES_MAX = 3
"""How often a coroutine is told to end. One that catches everything and awaits again never would."""

FOREIGN_AWAIT = (
    "it awaited {what}: a cartridge may await only what its context gives it (state.get, history, annotations, call); "
    "waiting for the world is a call"
)


class Ask:
    """What a cartridge awaits: a `verb` of its context with the arguments."""

    __slots__ = ("args", "verb")

    def __init__(self, verb: str, *args: Any) -> None:
        self.verb = verb
        self.args = args

    def __await__(self) -> Generator[Ask, Any, Any]:
        return (yield self)


class _Park:
    __slots__ = ()


PARK = _Park()
"""The answer to an `Ask` that has none yet."""


class Crumb(Protocol):
    """Told where foreign code is about to run, and when it has given control back. `limit_s` is how long it may take."""

    def enter(self, pipeline: str, cartridge: str, seq: int, limit_s: float | None = None) -> None: ...

    def leave(self) -> None: ...


class Place(NamedTuple):
    """Who runs and on what: what the breadcrumb says."""

    pipeline: str
    cartridge: str
    seq: int
    limit_s: float | None = None


class Ended(NamedTuple):
    """How a run ended: `returned` a value, `raised` an error, or `parked`. `ns` is the time inside foreign code."""

    how: Literal["returned", "raised", "parked"]
    value: Any = None
    error: BaseException | None = None
    ns: int = 0


class Mistake(Exception):
    """A cartridge did what no cartridge may do. The message says what, and what to do instead."""


class RaisedElsewhere(Exception):
    """What a cartridge raised in a worker: the message, and the name of its class."""

    def __init__(self, raised_as: str, text: str) -> None:
        super().__init__(text)
        self.raised_as = raised_as


class Struck(Exception):
    """A cartridge in a worker hung, died or did not tell the truth: its worker was ended, and no further attempt is made."""


def wrong_return(value: object) -> Mistake:
    """What is wrong with an answer that is neither the event nor None."""
    given = type(value).__name__
    what = "another event" if given == "Event" else f"a {given}"
    return Mistake(f"it returned {what}: return the event that came in, or None; new events are made with context.emit")


def drive(
    process: Callable[..., Any], given: tuple[Any, ...], answer: Callable[[Ask], Any], place: Place, crumb: Crumb
) -> Ended:
    """Run one cartridge's function on what it is given until it has returned, raised or parked.

    `answer` gives the value of an `Ask`, or `PARK`, or raises `CallFailed` or `Mistake`, which the cartridge gets to see; any
    other error of `answer` is the platform's and passes through.
    """
    run = _Run(place, crumb)
    code = getattr(process, "__code__", None)
    if code is not None and code.co_flags & CO_COROUTINE:
        coroutine = process(*given)  # runs nothing of it yet
    else:
        ended = _whole(run.resume(process, *given))
        if ended is not None:
            return ended
        coroutine = run.value
    if not isinstance(coroutine, CoroutineType):  # a plain function
        return Ended("returned", coroutine, ns=run.ns)
    try:
        return _loop(run, coroutine, answer)
    finally:
        if coroutine.cr_frame is not None:  # what answers broke off, a full disk for one
            _end(run, coroutine)


def guarded(step: Callable[[], Any], place: Place, crumb: Crumb) -> Ended:
    """Let foreign code do one thing, under the breadcrumb; it returned or raised."""
    run = _Run(place, crumb)
    return _whole(run.resume(step)) or Ended("returned", run.value, ns=run.ns)


def _whole(ended: Ended | None) -> Ended | None:
    """StopIteration ends a coroutine; out of a plain function it is an error like any other."""
    if ended is None or ended.error is not None:
        return ended
    return Ended("raised", error=Mistake("it raised StopIteration"), ns=ended.ns)


class _Run:
    """The resumes of one run: each under the breadcrumb, each timed."""

    __slots__ = ("crumb", "ns", "place", "value")

    def __init__(self, place: Place, crumb: Crumb) -> None:
        self.place = place
        self.crumb = crumb
        self.ns = 0
        self.value: Any = None

    def resume(self, step: Callable[..., Any], *args: Any) -> Ended | None:
        """Let foreign code run to its next stop. None when it stopped, with `value`; else how it ended."""
        place = self.place
        error: BaseException | None = None
        value: Any = None
        self.crumb.enter(place.pipeline, place.cartridge, place.seq, place.limit_s)
        began = perf_counter_ns()
        try:
            self.value = step(*args)
            return None
        except StopIteration as stop:
            value = stop.value
        except KeyboardInterrupt:
            raise
        except BaseException as raised:  # noqa: BLE001 - the plugin boundary: sys.exit() in a cartridge must not end the runner
            error = _explained(raised)
        finally:
            self.ns += perf_counter_ns() - began
            self.crumb.leave()
        return Ended("returned" if error is None else "raised", value, error, self.ns)


def _loop(run: _Run, coroutine: CoroutineType[Any, Any, Any], answer: Callable[[Ask], Any]) -> Ended:
    step: Callable[..., Any] = coroutine.send
    sent: Any = None
    while True:
        ended = run.resume(step, sent)
        if ended is not None:
            return ended
        asked = run.value
        if not isinstance(asked, Ask):
            return Ended("raised", error=Mistake(FOREIGN_AWAIT.format(what=_named(asked))), ns=run.ns)
        try:
            step, sent = coroutine.send, answer(asked)
        except (CallFailed, Mistake) as error:
            step, sent = coroutine.throw, error
        if sent is PARK:
            stubborn = _end(run, coroutine)
            return Ended("raised", error=stubborn, ns=run.ns) if stubborn else Ended("parked", ns=run.ns)


def _end(run: _Run, coroutine: CoroutineType[Any, Any, Any]) -> Mistake | None:
    """Close a coroutine, so that its `finally` blocks run now; what they raise counts for nothing."""
    for _ in range(CLOSES_MAX):
        ended = run.resume(coroutine.close)
        if ended is None or coroutine.cr_frame is None:
            return None
    return Mistake("it caught GeneratorExit and awaited again: catch Exception, not BaseException, around an await")


def _explained(error: BaseException) -> BaseException:
    """Without a loop asyncio says `no running event loop`, which tells an author nothing."""
    if isinstance(error, RuntimeError) and str(error) == "no running event loop":
        mistake = Mistake(FOREIGN_AWAIT.format(what="something of asyncio"))
        mistake.__cause__ = error
        return mistake
    return error


def _named(asked: object) -> str:
    if asked is None:
        return "a bare yield (asyncio.sleep(0) is one)"
    kind = type(asked)
    return f"a {kind.__name__} of {kind.__module__.partition('.')[0].lstrip('_')}"
