"""The inside of a worker: one cartridge, run by the same trampoline and with the same context as in the runner's process.

The context here checks early, so that a mistake is raised on the line that made it; what it collects is only asked for. The runner
asks it again of a context of its own, and that one counts.
"""

from __future__ import annotations

import logging
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from eventctl.breadcrumb import NoCrumb
from eventctl.context import ASKS_MAX, NAMES_MAX, CartridgeContext, Deal, Rights
from eventctl.contracts import CallFailed, Decision
from eventctl.event import Event
from eventctl.modules import Code, LoadFailed, Modules
from eventctl.store import LogRow
from eventctl.trampoline import PARK, Ask, Ended, Mistake, Place, drive, wrong_return

if TYPE_CHECKING:
    from eventctl.catalog import Catalog

TEXT_MAX = 2_000
OUTCOME_MAX = 4_000_000
"""Bytes that all a run wants done may take on its way: a frame holds 4 MiB."""

Talk = Callable[[Mapping[str, Any]], Any]
"""Says something to the runner. What is an ask gets the reply."""


class LazyCatalog:
    """The catalog, unpacked when a cartridge asks for more than whether a type is declared: few do, and it takes 0.1 s."""

    def __init__(self, types: list[str], packed: str) -> None:
        self._types = frozenset(types)
        self._packed = packed
        self._catalog: Catalog | None = None

    def declared(self, name: str) -> bool:
        """Whether the type is declared."""
        return name in self._types

    def whole(self) -> Catalog:
        """The catalog itself."""
        if self._catalog is None:
            import pickle

            self._catalog = pickle.loads(b64decode(self._packed))  # noqa: S301 - our own runner packed it; nothing comes back so
        return self._catalog


class WorkerContext(CartridgeContext):
    """A context that writes down what may be asked of another one: each call's arguments as they were when it was made."""

    __slots__ = ("_lazy", "said")

    def __init__(self, record: LogRow, rights: Rights, catalog: LazyCatalog, settings: Mapping[str, Any]) -> None:
        super().__init__(record, rights, catalog=catalog, settings=settings)  # type: ignore[arg-type]
        self._lazy = catalog
        self.said: list[tuple[str, str]] = []

    @property
    def catalog(self) -> Catalog:
        return self._lazy.whole()

    def emit(self, event: str, payload: Mapping[str, Any], **fields: Any) -> None:
        super().emit(event, payload, **fields)
        self.said.append(("emit", orjson.dumps([event, dict(payload), fields]).decode()))

    def notify(
        self, title: str, *, level: int | str = "workflow", audience: str = "", withdraw: bool = False, **fields: Any
    ) -> None:
        options = {"level": level, "audience": audience, "withdraw": withdraw, **fields}
        super().notify(title, level=level, audience=audience, withdraw=withdraw, **fields)
        self.said.append(("notify", orjson.dumps([title, options]).decode()))

    def asked(self) -> dict[str, Any]:
        """All that the run wants done, values as texts of JSON."""
        outcome, at = self.outcome, self._record.at
        wanted: dict[str, Any] = {
            "annotations": [(slot, value.decode()) for slot, value in outcome.annotations.items()],
            "states": [(name, value.decode()) for name, value in outcome.states.items()],
            "timers": [(key, orjson.dumps([timer.due - at, timer.body]).decode()) for key, timer in outcome.timers.items()],
            "said": self.said,
            "proposed": [_deal(deal, title=deal.title) for deal in outcome.proposed],
            "verdict": outcome.verdict,
            "reason": outcome.reason,
            "hopeless": outcome.hopeless,
        }
        return {name: value for name, value in wanted.items() if value}


class Inside:
    """The cartridge of a worker. `hello` is what the runner said at its beginning; `talk` says something to the runner."""

    def __init__(self, hello: Mapping[str, Any], talk: Talk) -> None:
        self._talk = talk
        self._rights = Rights(**{name: _tupled(value) for name, value in hello["rights"].items()})
        self._settings = {name: _setting(value) for name, value in hello["settings"].items()}
        self._catalog = LazyCatalog(hello["types"], hello["catalog"])
        self._code = Code((Path(hello["path"]),), hello["hash"], text=hello["text"].encode())
        self._process: Any = None
        self._asks = 0

    def load(self) -> None:
        """Load the code. Raises LoadFailed."""
        place = Place(self._rights.pipeline, self._rights.cartridge, 0)
        self._process = Modules().process(self._code, place, NoCrumb())

    def run(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """One run: what it came to."""
        record = LogRow(*wanted["record"])
        record = record._replace(body=wanted["record"][5].encode())
        level, domain, visibility = wanted["defaults"]
        event = Event(
            record.body, seq=record.seq, at=record.at, principal=record.principal, defaults=(level, domain, visibility)
        )
        context = WorkerContext(record, self._rights, self._catalog, self._settings)
        place = Place(self._rights.pipeline, self._rights.cartridge, record.seq)
        self._asks = 0
        ended = drive(self._process, (event, context), lambda ask: self._answer(ask, context), place, NoCrumb())
        context.close()
        return _told(ended, event, context)

    def _answer(self, ask: Ask, context: WorkerContext) -> Any:
        self._asks += 1
        if self._asks > ASKS_MAX:
            raise Mistake(f"it awaited {ASKS_MAX:,} things for one event, which is what a worker may")
        reply = self._talk({"ask": _asked(ask)})
        if "parks" in reply:
            context.close()
            return PARK
        if "raises" in reply:
            kind, text = reply["raises"]
            raise CallFailed(text) if kind == "CallFailed" else Mistake(text)
        value = reply["is"]
        if ask.verb == "history":
            return [_event(row) for row in value]
        return Decision(**value) if ask.verb == "decide" else value


def _told(ended: Ended, event: Event, context: WorkerContext) -> dict[str, Any]:
    told: dict[str, Any] = {"how": ended.how, "ns": ended.ns}
    error = ended.error
    if ended.how == "returned" and ended.value is not event and not context.outcome.verdict:
        if ended.value is None:
            told["value"] = "nothing"
        else:
            error = wrong_return(ended.value)
    elif ended.how == "returned":
        told["value"] = "event"
    if error is None:
        try:
            told["asked"] = context.asked()
        except TypeError as wrong:  # the body of a timer that was changed after it was set
            error = Mistake(f"what it wants done cannot be JSON: {wrong}")
        else:
            size = len(orjson.dumps(told["asked"]))
            many = max(len(told["asked"].get(name, ())) for name in ("annotations", "states", "timers"))
            if many > NAMES_MAX:
                error = Mistake(f"it sets {many:,} names for one event; in a worker {NAMES_MAX:,} are allowed")
            elif size > OUTCOME_MAX:
                error = Mistake(f"what it wants done has {size:,} bytes; in a worker {OUTCOME_MAX:,} are allowed")
    if error is not None:
        hopeless = context.outcome.hopeless
        asked = {"hopeless": hopeless} if hopeless else {}
        told |= {"how": "raised", "kind": type(error).__name__[:80], "text": _text(error), "asked": asked}
    return told


def why_not(failure: LoadFailed) -> str:
    """Why code does not load, short enough to be said."""
    return _text(failure)


def _text(error: BaseException) -> str:
    text = str(error)[:TEXT_MAX]
    return text.encode(errors="replace").decode()


def _asked(ask: Ask) -> list[Any]:
    """An ask as it is sent: what may be nested deeply goes as text."""
    if ask.verb == "call":
        return ["call", ask.args[0], ask.args[2].decode()]
    return ["decide", _deal(ask.args[0])] if ask.verb == "decide" else [ask.verb, *ask.args]


def _deal(deal: Deal, **more: Any) -> str:
    args = orjson.Fragment(deal.args)
    wanted = {"action": deal.action, "call": deal.name, "args": args, "summary": deal.summary, "undo": deal.undo, **more}
    return orjson.dumps(wanted).decode()


def _event(row: Any) -> Event:
    body, seq, at, principal, (level, domain, visibility) = row
    return Event(body.encode(), seq=seq, at=at, principal=principal, defaults=(level, domain, visibility))


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _setting(value: Any) -> Any:
    """A setting as it was before it became JSON: `{"us": n}` is a time."""
    return timedelta(microseconds=value["us"]) if isinstance(value, dict) else value


class Lines(logging.Handler):
    """Sends what is logged to the runner, up to so many characters a run."""

    def __init__(self, talk: Talk, most: int = 20_000) -> None:
        super().__init__()
        self._talk = talk
        self._most = most
        self.left = most

    def emit(self, record: logging.LogRecord) -> None:
        self.say(record.levelno, record.getMessage())

    def say(self, level: int, text: str) -> None:
        """One line."""
        if self.left <= 0:
            return
        text = text[: min(TEXT_MAX, self.left)]
        self.left -= len(text) + 1
        over = " (and more, which is not kept)" if self.left <= 0 else ""
        self._talk({"log": [level, text.encode(errors="replace").decode() + over]})

    def again(self) -> None:
        """A new run begins."""
        self.left = self._most


class Printed:
    """What stands in the place of stdout and stderr: whole lines become lines of the log."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._rest = ""

    def write(self, text: str) -> int:
        *whole, rest = (self._rest + str(text)).split("\n")
        self._rest = rest[-TEXT_MAX:]
        for line in whole:
            if line.strip():
                self._lines.say(logging.INFO, f"printed: {line}")
        return len(text)

    def flush(self) -> None:
        """Nothing is kept but the beginning of a line."""

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True
