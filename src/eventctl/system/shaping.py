"""Shaping: rules and silences that say what an event counts as, before anybody sees it.

    [set]       another level                        [group]    its life is gathered with others like it
    [silence]   it is kept quiet for a while         flap, inhibit   windows that keep quiet by themselves

A rule without a window acts on every event that it matches; one that counts acts on the event that reaches the count, and on those
that match after it, as long as its window (or what `for` says). What was done stands beside the event, in the slot `shaped`;
a rule in shadow mode only writes down what it would have done. An event for which an expression has no answer goes on as it is; a rule
that has none for `faults.ERRORS_MAX` events in a row acts no more until its file changes.

The stage knows the rules' events by type, and asks for nothing where there are neither rules nor silences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from eventctl import recurring, silences, windows
from eventctl.dag import faults
from eventctl.enrichments import seen_as
from eventctl.event import SCHEMA_VERSION
from eventctl.expressions import Facts, Unanswered
from eventctl.ids import derived_id
from eventctl.notification import Notification
from eventctl.store import LOG_PIPELINE, SHADOW, SHAPED, Keys, LogRow, Operations, Record, Snapshot, StateRow, TimerRow
from eventctl.system import Item, silencing
from eventctl.system.due import Due
from eventctl.system.rulings import Ruling, Rulings
from eventctl.system.shaped import Gather, Quiet, Shaped
from eventctl.system.silencing import Silencing
from eventctl.system.trust import ATTENUATED_LEVEL
from eventctl.templates import render
from eventctl.text import safe_text
from eventctl.times import MINUTE, iso, parse_iso
from eventctl.windows import Step

OWNER = "system/shaping"
SOURCE = "eventctl:shaping"
PRINCIPAL = "cartridge:system/shaping"
FLAPS, CALM = "system.flapping.detected", "system.flapping.ended"
OFF, ON = "system.cartridge.disabled", "system.cartridge.enabled"
FAULTS = (LOG_PIPELINE, faults.STATE)

TITLE_MAX = 180


class Woken:
    """A window of a shaping rule wants to be asked again."""

    __slots__ = ("key", "moment", "rule", "seq")

    def __init__(self, row: LogRow, body: Mapping[str, Any]) -> None:
        self.seq = row.seq
        self.moment = row.at
        self.key = str(body["key"])
        self.rule = str(body["body"].get("rule", ""))


class Shaping:
    """The stage before the projection."""

    name = "shaping"

    def __init__(self, rules: Rulings | None = None) -> None:
        self.rules = rules or Rulings()

    def ask(self, keys: Keys) -> None:
        """What every batch must know."""
        silencing.prepare(keys)
        if len(self.rules):
            keys.states.append(FAULTS)

    def prepare(self, items: Sequence[Item], keys: Keys) -> None:
        """Find the rules of the events, and ask for their windows and groups."""
        for item in items:
            rules = self.rules.of(item.type)
            if not rules:
                continue
            item.shape = Shaped(rules)
            for ruling in rules:
                if ruling.rule.window is not None:
                    keys.states.append((OWNER, ruling.key(item)))
                group = ruling.group(item)
                if group is not None:
                    keys.lives.append((ruling.life, group))

    def prepare_move(self, keys: Keys) -> None:
        """A move sets or ends a silence."""
        keys.states.append(silences.OVER)

    def prepare_woken(self, woken: Woken, keys: Keys) -> None:
        """A window is asked again."""
        keys.states.append((OWNER, woken.key))

    def begin(self, snapshot: Snapshot, out: Operations) -> ShapingRun:
        return ShapingRun(self.rules, snapshot, out)


class ShapingRun:
    """Rules and silences at work on one batch."""

    name = "shaping"

    def __init__(self, rules: Rulings, snapshot: Snapshot, out: Operations) -> None:
        self._rules = rules
        self._snapshot = snapshot
        self._states = snapshot.states
        self._out = out
        self._windows: dict[str, tuple[dict[str, Any], int | None]] = {}
        stored = snapshot.states.get(FAULTS)
        self._faults = faults.read(orjson.loads(stored)) if stored else {}
        self._blamed = False
        self._facts: Facts | None = None
        self._noted: dict[int, dict[str, Any]] = {}
        self._heard = 0
        self.silencing = Silencing(snapshot, out)

    @property
    def awake(self) -> bool:
        """Whether there is anything that could shape an event."""
        return bool(len(self._rules) or self.silencing)

    def judge(self, item: Item) -> None:
        """Say what the event counts as."""
        self._facts = None
        if item.shape is not None:
            shape = item.shape = Shaped(item.shape.rules)
            for ruling in shape.rules:
                self._rule(ruling, item, shape)
        if item.lives and self.silencing:
            self.silencing.judge(item, self._asked(item))

    def settle(self, item: Item) -> None:
        """Note beside the event what was done, and count what was kept quiet: after the projection, which knows whether it was."""
        shape = item.shape
        if shape is None:
            return
        said = [*shape.said, *(told for _, told in shape.hush if shape.hushed)]
        if said:
            self._out.annotations.append((item.seq, SHAPED, orjson.dumps(said)))
        if shape.hushed:
            for by, _ in shape.hush:
                if by[0] == "s":
                    self.silencing.kept(by, item.moment)

    def said(self, row: LogRow) -> None:
        """A move of a silence."""
        self.silencing.said(row)

    def fire(self, due: Due) -> None:
        """A timer of a silence."""
        self.silencing.fire(due)

    def still(self, row: Notification, at: int) -> Quiet | None:
        """The silence that goes on keeping a notification quiet when another is over; None when there is none."""
        event = self._snapshot.records.get(row.seq)
        if event is None:
            return None
        noted = self._snapshot.annotations.get(row.seq, {})
        return self.silencing.still(row, event, {seen_as(slot): orjson.loads(value) for slot, value in noted.items()}, at)

    def wake(self, woken: Woken) -> None:
        """A window's time has come."""
        ruling, state = self._rules.get(woken.rule), self._state(woken.key)
        window = ruling.rule.window if ruling is not None else None
        if ruling is None or window is None or not state:
            return
        if "flapping" in state and (state.get("calm") or 0) <= woken.moment:
            self._calm(woken.key, state, woken.seq, woken.moment)
        self._keep(ruling, woken.key, state, windows.woken(window, state.get("window"), woken.moment), woken.moment)

    def end(self) -> None:
        """The batch is through: write what windows and silences remember."""
        for key, (state, expires) in self._windows.items():
            kept = {name: value for name, value in state.items() if value is not None}
            self._out.states.append(StateRow(OWNER, key, orjson.dumps(kept) if kept else None, expires))
        if self._blamed:
            self._out.states.append(StateRow(*FAULTS, orjson.dumps(faults.kept(self._faults))))
        self.silencing.finish()

    def _rule(self, ruling: Ruling, item: Item, shape: Shaped) -> None:
        if not ruling.may_touch(item) or (self._faults and self._off(ruling)):
            return
        try:
            matched = self._matched(ruling, item)
        except Unanswered as error:
            self._blame(ruling, item, str(error))
            return
        if ruling.label in self._faults:
            self._answered(ruling, item)
        if matched is None:
            return
        values, until = matched
        if ruling.rule.mode == "shadow":
            would = [{"effect": effect, "values": values} for effect in _effects(ruling)]
            self._out.annotations.append((item.seq, f"{SHADOW}{ruling.label}", orjson.dumps(would)))
        else:
            self._shape(ruling, item, shape, values, until)

    def _shape(self, ruling: Ruling, item: Item, shape: Shaped, values: dict[str, Any], until: int) -> None:
        rule = ruling.rule
        if rule.set is not None and not ruling.member:
            shape.said.append(_told(ruling, "set", {**values, "level": [item.filed.level, rule.set.level]}))
            level = min(rule.set.level, ATTENUATED_LEVEL) if item.attenuated else rule.set.level  # what trust doubts stays low
            item.filed = item.filed._replace(level=level)
            self._facts = None
        group = ruling.group(item)
        if rule.group is not None and group is not None and shape.gather is None and not ruling.member:
            shape.gather = Gather(ruling.label, group, self._title(ruling, item, group))
            shape.hush.append(
                (
                    ruling.by,
                    _told(ruling, "group", {**values, "by": dict(zip(rule.group.by, orjson.loads(group), strict=True))}),
                )
            )
        if "silence" in _effects(ruling) and until > item.moment:
            reason = render(rule.silence.reason, item.data) if rule.silence else ""
            told = {**_told(ruling, "silence", values), "until": iso(until), "reason": reason[:TITLE_MAX]}
            shape.silence(ruling.by, until, told | ({"member": ruling.member} if ruling.member else {}), ruling.member)

    def _title(self, ruling: Ruling, item: Item, group: str) -> str:
        given = ruling.rule.group.title if ruling.rule.group else ""
        text = render(given, item.data) if given else f"{item.type}: {', '.join(map(str, orjson.loads(group)))}"
        return safe_text(text, limit=TITLE_MAX)

    def _matched(self, ruling: Ruling, item: Item) -> tuple[dict[str, Any], int] | None:
        """What the rule counted, and until when it keeps quiet; None when it does not hold. Raises Unanswered."""
        if ruling.rule.window is not None:
            return self._counted(ruling, item)
        when = ruling.when
        if when is not None and not when.holds(self._asked(item)):
            return None
        return {}, self._until(ruling, item.moment, 0)

    def _counted(self, ruling: Ruling, item: Item) -> tuple[dict[str, Any], int] | None:
        window = ruling.rule.window
        if window is None:
            return None
        if item.repeat_of is not None or item.source == SOURCE:
            return None
        signals = windows.signals(window, ruling.when, self._asked(item))
        key = ruling.key(item)
        state = self._state(key)
        step = windows.step(window, state.get("window"), parse_iso(item.data["timestamp"]), item.moment, signals)
        fired = step.fired
        values = {} if fired is None else {"count": fired.count, "since": iso(fired.since), "value": fired.value}
        if window.kind == "flap":
            self._flap(ruling, item, key, state, step)
        muted, lasting = step.muted, int(state.get("lasting") or 0)
        if fired is not None and muted is None:
            lasting = item.moment + _lasts(ruling)
            state["lasting"] = lasting
        self._keep(ruling, key, state, step, item.moment)
        if muted is not None:
            return values, self._until(ruling, item.moment, muted)
        if fired is not None or (signals.counts and lasting > item.moment):
            return values, self._until(ruling, item.moment, lasting)
        return None

    def _flap(self, ruling: Ruling, item: Item, key: str, state: dict[str, Any], step: Step) -> None:
        """One notice stands while it flaps, and goes when it was calm for as long as the window."""
        if "flapping" in state and (step.muted is None or step.fired is not None):
            self._calm(key, state, item.seq, item.moment)
        if step.fired is not None and ruling.rule.mode == "live" and not ruling.member:
            state["flapping"] = {"rule": ruling.label, "of": _named(ruling, item), "count": step.fired.count}
            self._tell(FLAPS, state["flapping"], item.seq, item.moment, item.hops, f"{item.seq}:{ruling.label}")
        if "flapping" in state and step.muted is not None and step.muted != state.get("calm"):
            state["calm"] = step.muted
            self._out.timers.append(TimerRow(OWNER, key, step.muted, orjson.dumps({"rule": ruling.label})))

    def _calm(self, key: str, state: dict[str, Any], seq: int, at: int) -> None:
        state["calm"] = None
        self._tell(CALM, state.pop("flapping"), seq, at, 0, f"{key}:{seq}")

    def _until(self, ruling: Ruling, moment: int, otherwise: int) -> int:
        silence = ruling.rule.silence
        if silence is None:
            return otherwise
        if silence.until is not None:
            return silence.until
        if silence.every:
            return recurring.ends(silence.every, silence.timezone, moment) or 0
        if silence.for_ is None or (otherwise and ruling.rule.window is not None):
            return otherwise
        return -(-(moment + silence.for_) // MINUTE) * MINUTE  # whole minutes: one timer ends all of a minute

    def _keep(self, ruling: Ruling, key: str, state: dict[str, Any], step: Step, now: int) -> None:
        state["window"] = step.state
        if (state.get("lasting") or 0) <= now:
            state["lasting"] = None
        if step.wake is not None:
            self._out.timers.append(TimerRow(OWNER, key, step.wake, orjson.dumps({"rule": ruling.label})))
        expires = None if step.expires is None or "flapping" in state else max(step.expires, state["lasting"] or 0)
        self._windows[key] = (state, expires)

    def _state(self, key: str) -> dict[str, Any]:
        held = self._windows.get(key)
        if held is not None:
            return held[0]
        stored = self._states.get((OWNER, key))
        return orjson.loads(stored) if stored else {}

    def _asked(self, item: Item) -> Facts:
        if self._facts is None:
            said = self._out.annotations
            for seq, slot, value in said[self._heard :]:
                self._noted.setdefault(seq, {})[seen_as(slot)] = orjson.loads(value)
            self._heard = len(said)
            noted = self._noted.get(item.seq)
            self._facts = Facts(
                item.data, level=item.filed.level, domain=item.filed.domain, annotations=noted, now=item.moment,
                principal=item.principal,
            )  # fmt: skip
        return self._facts

    def _off(self, ruling: Ruling) -> bool:
        held = self._faults.get(ruling.label)
        return held is not None and held.hash == ruling.hash and held.row >= faults.ERRORS_MAX

    def _blame(self, ruling: Ruling, item: Item, error: str) -> None:
        self._answered(ruling, item, changed_only=True)
        self._blamed = True
        off = faults.failed(self._faults, ruling.label, ruling.hash, error, item.seq, item.moment)
        if off:
            told = {"pipeline": LOG_PIPELINE, "cartridge": ruling.label, "reason": off}
            self._tell(OFF, told, item.seq, item.moment, item.hops, f"{ruling.label}:{item.seq}")

    def _answered(self, ruling: Ruling, item: Item, *, changed_only: bool = False) -> None:
        """What was held against the rule is over with an answer, and with another content of its file."""
        held = self._faults.get(ruling.label)
        if held is not None and held.hash != ruling.hash:
            del self._faults[ruling.label]
            self._blamed = True
            if held.row >= faults.ERRORS_MAX:
                told = {"pipeline": LOG_PIPELINE, "cartridge": ruling.label}
                self._tell(ON, told, item.seq, item.moment, item.hops, f"{ruling.label}:{item.seq}")
        elif not changed_only:
            self._blamed |= faults.answered(self._faults, [ruling.label])

    def _tell(self, kind: str, payload: Mapping[str, Any], seq: int, at: int, hops: int, name: str) -> None:
        id_ = derived_id(SOURCE, f"{kind}:{name}", "system", "shaping", 0)
        envelope = {
            "id": id_, "event": kind, "version": SCHEMA_VERSION, "source": SOURCE, "timestamp": iso(at), "payload": payload,
            "hops": hops + 1,
        }  # fmt: skip
        body = orjson.dumps(envelope)
        self._out.records.append(Record("event", SOURCE, id_, kind, body, PRINCIPAL, at, None, caused_by=seq, hops=hops + 1))


def _effects(ruling: Ruling) -> list[str]:
    """What it does: what it says, or, for a window that keeps quiet by itself, silence."""
    return ruling.rule.effects or ["silence"]


def _lasts(ruling: Ruling) -> int:
    """How long a rule that counted enough goes on acting, in microseconds."""
    rule = ruling.rule
    if rule.silence is not None and rule.silence.for_ is not None:
        return rule.silence.for_
    return rule.window.within if rule.window is not None else 0


def _told(ruling: Ruling, effect: str, values: dict[str, Any]) -> dict[str, Any]:
    return {"rule": ruling.label, "effect": effect, "values": values}


def _named(ruling: Ruling, item: Item) -> str:
    """What a window belongs to, in words."""
    fields = ruling.rule.window.per if ruling.rule.window is not None else ()
    found: Mapping[str, Any] = {
        "entity": item.entity or item.source,
        "source": item.source,
        "event": item.type,
        "domain": item.filed.domain,
    }
    shown = [str(found[field]) if field in found else render(f"{{{field}}}", item.data) for field in fields]
    return ", ".join(shown) or item.type
