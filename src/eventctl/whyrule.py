"""Why a rule matched an event, or did not: its conditions asked again, in the order in which they are asked, over what is stored.

The file is the one of today, and so are the declarations; the event and what was noted beside it are those of then. What the store
says that the rule did is what counts: the conditions only explain it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from eventctl import recurring, whywindow
from eventctl.dag import faults
from eventctl.dag.case import as_event, state_key
from eventctl.dag.reads import STAGES
from eventctl.enrichments import PREFIX, seen_as
from eventctl.expressions import Facts, Unanswered, compiled
from eventctl.patterns import matches
from eventctl.plan import ENTITY
from eventctl.ruling import facts_of
from eventctl.store import LOG_PIPELINE, SHADOW, Keys
from eventctl.system import Item, shaping
from eventctl.system.classification import classify
from eventctl.system.rulings import Ruling, Rulings
from eventctl.times import iso
from eventctl.whyterms import Term, terms

if TYPE_CHECKING:
    from eventctl.catalog import Catalog
    from eventctl.discovery import Found
    from eventctl.manifest import Manifest
    from eventctl.rule import Rule
    from eventctl.store import LogRow, Store
    from eventctl.views import Trace

When = Callable[[int], str]
SHAPED = "shaped"
_UNSEEN = frozenset({"projection"})
"""Slots of stages that come after shaping."""


_IDLE = ("not_installed", "another", "not_enabled", "disabled")


class Check(NamedTuple):
    """One condition: `holds` is None where it is neither met nor broken. `reason` is it in half a sentence, where it is broken."""

    name: str
    holds: bool | None
    sentence: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """The rule that is asked about, where it stands or would stand.

    `names` are its instances (`domain:ops/big`), `slots` what it writes, `sees` the slots of cartridges before it; a shaping rule has
    a `ruling` among `rulings`. `standing` says what is unlike an ordinary rule today,
    `changed` when its file was (microseconds; 0: not known).
    """

    found: Found
    catalog: Catalog
    names: frozenset[str] = frozenset()
    slots: frozenset[str] = frozenset()
    sees: frozenset[str] = frozenset()
    ruling: Ruling | None = None
    rulings: Rulings | None = None
    standing: Sequence[tuple[str, str]] = ()
    changed: int = 0

    @property
    def manifest(self) -> Manifest:
        """Its file."""
        return self.found.manifest

    @property
    def consumes(self) -> tuple[str, ...]:
        """The patterns of the types that it looks at."""
        return self.found.manifest.consumes

    @property
    def rule(self) -> Rule:
        """What it says."""
        rule = self.found.manifest.rule
        assert rule is not None  # noqa: S101 - only rules are asked about
        return rule

    @property
    def idle(self) -> bool:
        """Whether nobody runs it today."""
        return any(code in _IDLE for code, _ in self.standing)

    @property
    def pipelines(self) -> tuple[str, ...]:
        """The pipelines that run it."""
        return tuple(sorted({name.partition("/")[0] for name in self.names})) if self.ruling is None else (LOG_PIPELINE,)

    def facts(self, row: LogRow, annotations: Mapping[str, bytes]) -> Facts:
        """What its expressions may ask about an event."""
        noted = {seen_as(slot): orjson.loads(value) for slot, value in annotations.items() if self._sees(slot)}
        if self.ruling is None:
            return facts_of(as_event(row, self.catalog), noted)
        item = self.item(row, annotations)
        return Facts(
            item.data, level=item.filed.level, domain=item.filed.domain, annotations=noted, now=item.moment,
            principal=item.principal,
        )  # fmt: skip

    def item(self, row: LogRow, annotations: Mapping[str, bytes]) -> Item:
        """An event as shaping met it."""
        entry = self.catalog.entry(row.type)
        item = Item(row, entry)
        trust = orjson.loads(annotations.get("trust", b"{}"))
        item.filed = classify(entry, item.data, attenuated=trust.get("verdict") == "attenuate")
        done = {each["rule"]: each for each in orjson.loads(annotations.get(SHAPED, b"[]")) if each.get("effect") == "set"}
        for ruling in self.rulings.of(row.type) if self.rulings is not None else ():
            if self.ruling is not None and ruling.label == self.ruling.label:
                break
            if ruling.label in done:
                item.filed = item.filed._replace(level=done[ruling.label]["values"]["level"][1])
        return item

    def key(self, row: LogRow) -> str:
        """The key of its window's state for an event."""
        if self.ruling is not None:
            return self.ruling.key(self.item(row, {}))
        if self.manifest.key == ENTITY:
            return row.entity or ""
        event = as_event(row, self.catalog)
        return state_key(event.data, event.domain, self.manifest.key)

    def one_entity(self, row: LogRow) -> str | None:
        """The entity that all events of this one's key have; None when its window belongs to something else."""
        return row.entity if self.manifest.key == ENTITY else None

    def counts(self, row: LogRow, annotations: Mapping[str, bytes]) -> bool:
        """Whether an event that was let in reached its window."""
        if self.ruling is None:
            return row.source not in self.names
        repeats = "repeat_of" in orjson.loads(annotations.get("dedup", b"{}"))
        return self.ruling.may_touch(self.item(row, annotations)) and row.source != shaping.SOURCE and not repeats

    def _sees(self, slot: str) -> bool:
        stages = STAGES - _UNSEEN if self.ruling is not None else STAGES
        return slot in stages or slot.startswith(PREFIX) or slot in self.sees


@dataclass(slots=True)
class Answer:
    """What there is to say. `matched` is what the store says that it did, `would` what its file of today says.

    `verdict` is the one sentence at the end; `parts` are the sentences before it, under their headings.
    """

    matched: bool
    would: bool
    verdict: str
    parts: list[tuple[str, list[str]]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def explain(store: Store, trace: Trace, asked: Asked, when: When) -> Answer:
    """Why the rule matched an event, or did not."""
    record, annotations = trace.record, trace.annotations
    checks = [*_reaches(store, trace, asked, when)]
    condition: list[Term] = []
    window: whywindow.Stood | None = None
    if record.kind == "event":
        facts = asked.facts(record, annotations)
        condition = terms(asked.rule.when, facts) if asked.rule.when else []
        kind = asked.rule.window.kind if asked.rule.window else ""
        if not kind or (asked.rule.when and kind != "inhibit"):
            checks.append(_condition(asked.rule, condition, facts))
        if kind and all(check.holds is not False for check in checks):
            window = whywindow.stood(store, asked, record, facts, when)
            checks.append(Check("window", window.matched, "", window.reason))
        checks += _effects(asked, record, when)
    broken = next((check for check in checks if check.holds is False), None)
    did = done(trace, asked)
    answer = Answer(bool(did), broken is None, "")
    answer.verdict = _verdict(trace, asked, checks, broken, did, condition, when)
    answer.parts = [
        ("The rule", [*_head(asked), *(f"{sentence}." for _, sentence in asked.standing), *_newer(asked, record, when)]),
        ("What it asked of the event", [check.sentence for check in checks if check.sentence]),
        ("The terms of `when`", [f"{term.sentence()}." for term in condition]),
        ("Its window", window.lines if window else []),
        ("What it did", did),
    ]
    answer.facts = {
        "rule": {
            "id": asked.manifest.id, "version": asked.manifest.version, "path": asked.found.path, "mode": asked.rule.mode,
            "effects": asked.rule.effects, "runs_in": list(asked.pipelines), "standing": [code for code, _ in asked.standing],
            "changed": iso(asked.changed) if asked.changed else None,
        },
        "checks": [check._asdict() for check in checks],
        "terms": [term.form() for term in condition],
        "window": window.facts if window else None,
        "matched": answer.matched, "would_match": answer.would, "did": did, "sentence": answer.verdict,
    }  # fmt: skip
    return answer


def done(trace: Trace, asked: Asked) -> list[str]:
    """What the store says that the rule did with the event: made of it, or noted beside it."""
    lines = [f"It made e{child.seq} {child.type} of it." for child in trace.children if _its(child, asked.names)]
    for slot, value in trace.annotations.items():
        if slot == SHAPED and asked.ruling is not None:
            said = [each["effect"] for each in orjson.loads(value) if each.get("rule") == asked.ruling.label]
            lines += [f"It did [{effect}]." for effect in dict.fromkeys(said)]
        elif slot.rpartition("/")[2].startswith(SHADOW) and (slot in asked.slots or slot == f"{SHADOW}{_label(asked)}"):
            effects = ", ".join(f"[{each['effect']}]" for each in orjson.loads(value))
            lines.append(f"It was in shadow mode, and noted what it would have done: {effects}.")
        elif slot in asked.slots:
            lines.append(f"It wrote the annotation {slot}.")
    return lines


def _its(child: LogRow, names: frozenset[str]) -> bool:
    return child.source in names and child.principal == f"cartridge:{child.source}"


def _label(asked: Asked) -> str:
    return asked.ruling.label if asked.ruling is not None else asked.manifest.id


def _head(asked: Asked) -> list[str]:
    rule = asked.rule
    of = {"domain": f"the domain {asked.found.owner}", "personal": asked.found.owner}.get(asked.found.scope, "the library")
    does = ", ".join(f"[{effect}]" for effect in rule.effects) or f"[window] {rule.window.kind if rule.window else ''}"
    return [f"{asked.found.path}, of {of}: {'shapes' if rule.shaping else 'speaks'} with {does}."]


def _newer(asked: Asked, record: LogRow, when: When) -> list[str]:
    if asked.changed <= record.at:
        return []
    return [f"Its file was changed at {when(asked.changed)}, after the event came in: what it said before is not known."]


def _reaches(store: Store, trace: Trace, asked: Asked, when: When) -> list[Check]:
    """What has to be so before the rule is asked."""
    record = trace.record
    if record.kind == "timer" and done(trace, asked):
        reason = "the moment that its window waited for came, and what was expected had not"
        return [Check("window", True, f"{reason[0].upper()}{reason[1:]}.", reason)]
    if record.kind != "event":
        return [Check("event", False, f"It is a {record.kind}: rules look at events only.", f"it is a {record.kind}, no event")]
    checks = [_consumed(record.type, asked.consumes), *_let_in(store, trace, asked)]
    if asked.ruling is not None and asked.ruling.scope == "domain":
        checks.append(_business(asked.ruling, asked.item(record, trace.annotations)))
    checks.append(_loop(trace, asked))
    return [*checks, *_passed_over(store, trace, asked)]


def _consumed(type_: str, consumes: Sequence[str]) -> Check:
    found = [pattern for pattern in consumes if matches(pattern, type_)]
    if found:
        by = "" if found[0] == type_ else f", by the pattern {found[0]}"
        return Check("consumes", True, f"It consumes {type_}{by}.")
    near = get_close_matches(type_, consumes, n=1, cutoff=0.0)
    reason = f"it does not consume {type_}" + (f"; the nearest that it names is {near[0]}" if near else "")
    return Check("consumes", False, f"{reason[0].upper()}{reason[1:]}.", reason)


def _let_in(store: Store, trace: Trace, asked: Asked) -> list[Check]:
    """Whether the event came as far as the rule."""
    ended = next((row for row in trace.exceptions if row.pipeline == LOG_PIPELINE), None)
    if ended is not None:
        reason = f"the event did not come to it: {ended.state} at {ended.cartridge or ended.pipeline} ({ended.reason})"
        return [Check("let_in", False, f"{reason[0].upper()}{reason[1:]}.", reason)]
    reached = {cursor.pipeline: cursor.pos for cursor, _ in store.views.cursors()}
    at = next((row.pos for row in trace.feed if row.why in ("accept", "release")), None)
    if reached.get(LOG_PIPELINE, 0) < trace.record.seq:
        reason = "the system pipeline has not come to the event yet"
        return [Check("let_in", False, f"{reason[0].upper()}{reason[1:]}.", reason)]
    if asked.idle:
        return [Check("let_in", True, "The event was let in.")]
    checks = []
    for name in asked.pipelines:
        here, place = reached.get(name), trace.record.seq if name == LOG_PIPELINE else at
        if here is None:
            reason = f"the pipeline {name} has never run"
        elif place is None or here < place:
            reason = f"{name} has not come to the event yet"
        else:
            continue
        checks.append(Check("let_in", False, f"{reason[0].upper()}{reason[1:]}.", reason))
    if not checks:
        checks = [Check("let_in", True, f"The event was let in{_in(asked)}.")]
    return checks


def _in(asked: Asked) -> str:
    return f", and came to {' and '.join(asked.pipelines)}" if asked.ruling is None and asked.pipelines else ""


def _business(ruling: Ruling, item: Item) -> Check:
    if ruling.may_touch(item):
        return Check("owner", True, f"It is an event of the domain {ruling.owner}.")
    reason = f"a rule of the domain {ruling.owner} shapes only its own events, and this one is of {item.filed.domain or 'none'}"
    return Check("owner", False, f"{reason[0].upper()}{reason[1:]}.", reason)


def _loop(trace: Trace, asked: Asked) -> Check:
    """Events that the rule has made, and what follows from them, are no reason for it."""
    record = trace.record
    if asked.ruling is not None:
        if asked.rule.window is not None and record.source == shaping.SOURCE:
            return Check("loop", False, "Shaping made it: its windows do not count it.", "shaping made the event itself")
        repeat = orjson.loads(trace.annotations.get("dedup", b"{}")).get("repeat_of")
        if asked.rule.window is not None and repeat is not None:
            return Check("loop", False, f"It repeats e{repeat}: windows do not count it.", f"the event repeats e{repeat}")
        return Check("loop", True, "")
    made = next((row for row in (record, *trace.parents) if row.source in asked.names), None)
    if made is None:
        return Check("loop", True, "It does not follow from anything that the rule has made.")
    reason = (
        f"the event follows from e{made.seq}, which the rule made itself"
        if made is not record
        else "the rule made the event itself"
    )
    return Check("loop", False, f"{reason[0].upper()}{reason[1:]}.", reason)


def _passed_over(store: Store, trace: Trace, asked: Asked) -> list[Check]:
    """Where the pipeline went on without it."""
    reasons = []
    for name in asked.names:
        pipeline, _, id_ = name.partition("/")
        skipped = orjson.loads(trace.annotations.get(f"skipped:{pipeline}", b"{}"))
        if id_ in skipped:
            reasons.append(f"the event went on without it then: {skipped[id_]}")
        reasons += [
            f"the event is {row.state} at {row.cartridge or pipeline}: {row.reason}"
            for row in trace.exceptions
            if row.pipeline == pipeline
        ]
    return [Check("then", None, f"{reason[0].upper()}{reason[1:]}.", reason) for reason in reasons]


def _condition(rule: Rule, condition: Sequence[Term], facts: Facts) -> Check:
    if rule.when is None:
        return Check("when", True, "It has no `when`: it matches all that it consumes.")
    try:
        holds = compiled(rule.when).holds(facts)
    except Unanswered as none:
        return Check("when", False, f"`when` has no answer: {none}.", f"`when` has no answer: {none}")
    false = [term.sentence() for term in condition if term.value is False and not term.why]
    return Check("when", holds, f"`when` is {'true' if holds else 'false'}.", " and ".join(false) or f"`{rule.when}` is false")


def _effects(asked: Asked, record: LogRow, when: When) -> list[Check]:
    """What keeps a shaping rule from doing what it says, although it holds."""
    rule = asked.rule
    if asked.ruling is None:
        return []
    checks = []
    if rule.group is not None and asked.ruling.group(asked.item(record, {})) is None:
        checks.append(Check("effect", False, "", f"the event lacks a field of {', '.join(rule.group.by)}, by which it gathers"))
    silence = rule.silence
    if silence is not None and silence.until is not None and silence.until <= record.at:
        checks.append(Check("effect", False, "", f"its silence ended at {when(silence.until)}"))
    if silence is not None and silence.every and not recurring.ends(silence.every, silence.timezone, record.at):
        checks.append(Check("effect", False, "", f"its silence was not on at {when(record.at)}"))
    return [check._replace(sentence=f"{check.reason[0].upper()}{check.reason[1:]}.") for check in checks]


def _verdict(
    trace: Trace,
    asked: Asked,
    checks: Sequence[Check],
    broken: Check | None,
    did: Sequence[str],
    condition: Sequence[Term],
    when: When,
) -> str:
    held = _held(checks, condition)
    newer = "" if asked.changed <= trace.record.at else f", and its file was changed at {when(asked.changed)}"
    if did:
        return f"It matched: {held}." if broken is None else f"It matched then. Now it would not: {broken.reason}{newer}."
    if broken is not None:
        return f"It did not match: {broken.reason}."
    over = next((check.reason for check in checks if check.name == "then"), "")
    if over:
        return f"It did not match: {over}. Now it would: {held}."
    off = ", and ".join(sentence for code, sentence in asked.standing if code != "shadow")
    if off:
        return f"It would match ({held}), and did not: {off[0].lower()}{off[1:]}."
    if asked.ruling is not None and not asked.rule.set and not trace.notifications:
        return f"It matched ({held}), and had nothing to keep quiet: the event opened or changed no notification."
    if newer:
        return f"It would match now ({held}), and did not then{newer}."
    return f"It would match now ({held}), and nothing shows that it did then: it may have been put there after the event."


def _held(checks: Sequence[Check], condition: Sequence[Term]) -> str:
    window = next((check.reason for check in checks if check.name == "window" and check.holds), "")
    said = [window] if window else [term.sentence() for term in condition]
    return " and ".join(said) or "it asks for nothing but the type"


def suspended(store: Store, found: Found, ruling: Ruling | None) -> str:
    """Why a shaping rule acts no more: it had no answer for too many events in a row; "" when it does."""
    if ruling is None:
        return ""
    stored = store.snapshot(Keys(states=[shaping.FAULTS])).states.get(shaping.FAULTS)
    held = faults.read(orjson.loads(stored)).get(ruling.label) if stored else None
    if held is None or held.hash != found.code.hash or held.row < faults.ERRORS_MAX:
        return ""
    return f"it had no answer for {held.row} events in a row, the last time because {held.last}"
