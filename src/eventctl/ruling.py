"""Speaking rules at work: the function that a rule without code runs as, beside the cartridges in code.

A rule looks at the event, steps its window if it has one, and does its effects through the context like anybody. What it cannot
answer it raises: the event goes on without it, and the pipeline counts (`dag/faults.py`).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from eventctl.context import EMIT
from eventctl.dag.case import TIMER, state_key
from eventctl.expressions import Facts, compiled
from eventctl.store import SHADOW
from eventctl.templates import fields, filled, look_up, render, shown
from eventctl.times import from_datetime, iso
from eventctl.trampoline import Ask

if TYPE_CHECKING:
    from eventctl.context import CartridgeContext
    from eventctl.event import Event
    from eventctl.manifest import Manifest
    from eventctl.rule import Propose, Rule
    from eventctl.windows import Fired, Step

WINDOW = "window"
"""The name of a rule's state, and how the names of its timers begin: one window for each key, one timer for each window."""

TITLE_MAX, TEXT_MAX, KEY_MAX = 300, 4_000, 300
"""Characters of what a notice is given: what an event holds may be as long as an event."""

_ANNOTATIONS = re.compile(r"\bannotations\b")

Deed = dict[str, Any]
"""One effect with everything filled in: `effect` says which, the rest is what it takes."""


class Shared:
    """The facts about one event for all rules that ask about it in turn. Each keeps its own if it asks for annotations."""

    __slots__ = ("_body", "_seq", "facts")

    def __init__(self) -> None:
        self._body = b""
        self._seq = -1
        self.facts: tuple[Mapping[str, Any], Facts] = ({}, Facts({}))

    def about(self, event: Event) -> tuple[Mapping[str, Any], Facts]:
        """The envelope and the facts: made at the first question about an event."""
        if event.body is not self._body or event.seq != self._seq:
            self.facts = event.data, facts_of(event)
            self._body, self._seq = event.body, event.seq
        return self.facts


def facts_of(event: Event, annotations: Mapping[str, Any] | None = None) -> Facts:
    """What expressions may ask about an event as a reader sees it."""
    return Facts(
        event.data,
        level=event.level,
        domain=event.domain,
        annotations=annotations,
        now=event.at,
        principal=event.principal,
    )


def slots(manifest: Manifest) -> tuple[str, ...]:
    """The slots that a cartridge writes: a rule in the shadow has one of its own in place of all effects."""
    in_shadow = manifest.rule is not None and manifest.rule.mode == "shadow"
    return (SHADOW + manifest.id,) if in_shadow else manifest.annotates


def process_of(
    rule: Rule, manifest: Manifest, shared: Shared | None = None
) -> Callable[[Event, CartridgeContext], Awaitable[Event | None]]:
    """The cartridge function of a speaking rule. `shared` is for all rules that run in one engine."""
    return _Speaking(rule, manifest, shared or Shared()).process


class _Speaking:
    """A rule, ready to be given events. Changes nothing but through the context; the facts it shares are only remembered."""

    __slots__ = ("_id", "_paths", "_per", "_rule", "_shared", "_summary", "_wants_annotations")

    def __init__(self, rule: Rule, manifest: Manifest, shared: Shared) -> None:
        texts = list(rule.texts())
        self._rule = rule
        self._id = manifest.id
        self._per = manifest.key
        self._summary = manifest.summary
        self._shared = shared
        self._wants_annotations = any(_ANNOTATIONS.search(text) for text in texts)
        named = [path for text in texts for path in fields(text)]
        self._paths = tuple(dict.fromkeys([*named, *rule.window.per])) if rule.window else ()

    async def process(self, event: Event, context: CartridgeContext) -> Event | None:
        if event.event == TIMER and self._rule.window is not None:
            await self._woken(event, context)
        elif not (event.hops and await Ask("descends")):  # what follows from a rule is no new reason for it
            await self._look(event, context)
        return event

    async def _look(self, event: Event, context: CartridgeContext) -> None:
        if self._wants_annotations:
            annotations = await context.annotations()
            data: Mapping[str, Any] = event.data
            facts = facts_of(event, annotations)
        else:
            annotations = {}
            data, facts = self._shared.about(event)
        rule = self._rule
        if rule.window is not None:
            await self._step(event, context, facts, self._known(event, data, annotations))
        elif rule.when is None or compiled(rule.when).holds(facts):
            self._act(context, self._known(event, data, annotations))

    async def _step(self, event: Event, context: CartridgeContext, facts: Facts, known: Mapping[str, Any]) -> None:
        from eventctl import windows

        rule, window = self._rule, self._rule.window
        assert window is not None  # noqa: S101 - asked before
        signals = windows.signals(window, compiled(rule.when) if rule.when else None, facts)
        before = await context.state.get(WINDOW)
        step = windows.step(window, before, from_datetime(event.timestamp), event.at, signals)
        timer = f"{WINDOW}:{state_key(event.data, event.domain, self._per)}"
        self._remember(context, before, step, event.at, timer, {path: look_up(known, path) for path in self._paths})
        if step.fired is not None:
            self._act(context, known, step.fired)

    async def _woken(self, event: Event, context: CartridgeContext) -> None:
        from eventctl import windows

        window = self._rule.window
        assert window is not None  # noqa: S101 - asked before
        known = event.payload.get("body", {}).get("known", {})
        before = await context.state.get(WINDOW)
        step = windows.woken(window, before, event.at)
        self._remember(context, before, step, event.at, event.payload["key"], known)
        if step.fired is not None:
            about = {"entity": event.entity, **_nested(known), "rule": self._id, "now": iso(event.at)}
            self._act(context, about, step.fired)

    def _remember(
        self, context: CartridgeContext, before: Any, step: Step, now: int, timer: str, known: Mapping[str, Any]
    ) -> None:
        """Keep the window's state, and have it woken; the timer carries what the templates say of the event that set it."""
        if step.state is not before:
            context.state.set(WINDOW, step.state)
            context.state.expire(step.expires)
        if step.wake is not None:
            context.timer(timer, timedelta(microseconds=max(1, step.wake - now)), {"known": dict(known)})

    def _known(self, event: Event, data: Mapping[str, Any], annotations: Mapping[str, Any]) -> Mapping[str, Any]:
        """What templates may name."""
        more = {"level": event.level.name.lower(), "domain": event.domain, "annotations": annotations, "rule": self._id}
        return {**data, **more, "now": iso(event.at)}

    def _act(self, context: CartridgeContext, known: Mapping[str, Any], fired: Fired | None = None) -> None:
        about: Deed = {"rule": self._id}
        if fired is not None:
            about["window"] = {"count": fired.count, "since": iso(fired.since)}
            value = {} if fired.value is None else {"value": fired.value}
            known = {**known, "window": about["window"] | value}
        deeds = list(deeds_of(self._rule, self._id, self._summary, known, about))
        if self._rule.mode == "shadow":
            counted = {"values": about["window"]} if fired is not None else {}
            context.annotate(SHADOW + self._id, [{**deed, **counted} for deed in deeds])
            return
        for deed in deeds:
            _do(context, deed)


def deeds_of(rule: Rule, id_: str, summary: str, known: Mapping[str, Any], about: Mapping[str, Any]) -> Iterator[Deed]:
    """The effects of a speaking rule with everything filled in. `about` says in payloads who speaks and what its window counted."""
    per = rule.window.per if rule.window else ("entity",)
    own_key = ":".join([id_, *filter(None, (shown(look_up(known, path)) for path in per))])
    if (annotate := rule.annotate) is not None:
        yield {"effect": "annotate", "slot": annotate.slot, "value": filled(annotate.value, known)}
    if (notify := rule.notify) is not None:
        yield {
            "effect": "notify",
            "title": render(notify.title, known).strip()[:TITLE_MAX] or summary,
            "level": notify.level,
            "audience": notify.audience,
            "key": (render(notify.key, known) if notify.key else own_key)[:KEY_MAX],
            **_text(render(notify.text, known)),
            "payload": dict(about),
        }
    if (propose := rule.propose) is not None:
        yield {"effect": "propose", **_proposal(propose, known)}
    if (emit := rule.emit) is not None:
        more = {
            "entity": render(emit.entity, known)[:KEY_MAX] if emit.entity else None,
            "level": emit.level,
            "description": render(emit.description, known)[:TEXT_MAX],
        }
        payload = {**about, **_present(filled(emit.payload, known))}
        yield {
            "effect": "emit",
            "event": emit.event,
            "payload": payload,
            **{name: given for name, given in more.items() if given},
        }


def _proposal(propose: Propose, known: Mapping[str, Any]) -> Deed:
    """What is to be done, with everything filled in: an executor and its arguments."""
    args: Deed
    if propose.command is not None:
        call, args = "command", {"argv": _words(propose.command, known)}
    elif propose.agent is not None:
        call, args = "agent", {"agent": propose.agent, "instructions": render(propose.instructions, known)[:TEXT_MAX]}
    else:
        call, args = EMIT, {"event": propose.emits, "payload": _present(filled(propose.payload, known))}
    title = render(propose.title, known).strip()[:TITLE_MAX]
    return {
        "action": propose.action,
        "call": call,
        "args": args,
        "summary": render(propose.summary, known).strip()[:TITLE_MAX] or propose.action,
        **({"title": title} if title else {}),
        **({"undo": ["command", {"argv": _words(propose.undo, known)}]} if propose.undo else {}),
    }


def _words(words: Iterable[str], known: Mapping[str, Any]) -> list[str]:
    """A command's words. What an event holds stays inside its word, whatever it is."""
    return [render(word, known) for word in words]


def _do(context: CartridgeContext, deed: Deed) -> None:
    effect, given = deed["effect"], {name: value for name, value in deed.items() if name != "effect"}
    if effect == "annotate":
        context.annotate(given["slot"], given["value"])
    elif effect == "emit":
        context.emit(given.pop("event"), given.pop("payload"), **given)
    elif effect == "propose":
        name, args = given.pop("undo", (None, None))
        context.propose(undo=(name, args) if name else None, rule=True, **given)
    else:
        context.notify(given.pop("title"), **given)


def _text(text: str) -> Deed:
    return {"text": text[:TEXT_MAX]} if text.strip() else {}


def _present(payload: Mapping[str, Any]) -> dict[str, Any]:
    """A field that the event does not have is left out, and not said to be nothing."""
    return {name: value for name, value in payload.items() if value is not None}


def _nested(paths: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted path as the tables that the paths lead through."""
    found: dict[str, Any] = {}
    for path, value in paths.items():
        *tables, last = path.split(".")
        table = found
        for name in tables:
            table = table.setdefault(name, {})
        table[last] = value
    return found
