"""Which rules matched an event, as the store says it: what they made of it, did to it, wrote beside it, or would have done.

Nothing is evaluated to find them. Only the values of a rule's terms are asked again, over the stored event, with its file of today.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from eventctl import whyshaped
from eventctl.store import SHAPED
from eventctl.times import parse_iso

if TYPE_CHECKING:
    from eventctl.catalog import Catalog
    from eventctl.notification import Notification
    from eventctl.store import DecisionRow, LogRow, Unit
    from eventctl.views import Trace, Views
    from eventctl.whyterms import Term

NOTICE = "notice.raised"
SHAPING = "eventctl:shaping"
GROUP = "group:"

When = Callable[[int], str]


class Rules(NamedTuple):
    """What explains a rule: the files as last read, and the catalog. Each is asked for where a rule has matched."""

    units: Callable[[], Mapping[str, Unit]]
    catalog: Callable[[], Catalog]


class Spoke(NamedTuple):
    """A rule that matched: its name, the effects that it had, in a sentence, the same as data, and the terms of its `when`."""

    rule: str
    effects: list[str]
    sentence: str
    facts: dict[str, Any]
    terms: list[Term]

    @property
    def lines(self) -> list[str]:
        """All sentences."""
        return [self.sentence, *(f"  `when`: {term.sentence()}." for term in self.terms)]


class _Deed(NamedTuple):
    name: str
    effect: str
    sentence: str
    facts: dict[str, Any]


def of_record(trace: Trace, rules: Rules, when: When, asked: Iterable[DecisionRow] = ()) -> list[Spoke]:
    """The rules that matched an event, those that shaped it first. `asked` are the decisions about it."""
    deeds = [*_shaped(trace, when), *_shadows(trace, when), *_made(trace, when), *_proposed(asked)]
    units = dict(rules.units()) if deeds or trace.annotations else {}
    deeds += _wrote(trace, units)
    return [_spoke(deed, trace.record, trace.annotations, rules, units) for deed in deeds]


def of_notification(row: Notification, opened: LogRow | None, views: Views, rules: Rules, when: When) -> tuple[list[str], str]:
    """Which rule raised a notification, in sentences, and its name; "" where none did."""
    if opened is None or opened.kind != "event":
        return [], ""
    if row.life.startswith(GROUP):
        return _told(row.life.removeprefix(GROUP), "gathers others in it, beginning with", opened, "", views, rules)
    payload = orjson.loads(opened.body).get("payload") or {}
    if opened.source == SHAPING and "rule" in payload:
        count = f": {payload['of']} changed {payload['count']} times" if "count" in payload else ""
        return [f"The rule {payload['rule']} says so{count}."], str(payload["rule"])
    if not _by_cartridge(opened) or "rule" not in payload:
        return [], ""
    cause = views.record(opened.caused_by) if opened.caused_by is not None else None
    counted = _counted(payload.get("window"), when)
    if cause is None or cause.kind != "event":
        return [f"The rule {opened.source} raised it when its time was over{counted}."], opened.source
    return _told(opened.source, "raised it, because of", cause, counted, views, rules)


def _told(name: str, did: str, cause: LogRow, counted: str, views: Views, rules: Rules) -> tuple[list[str], str]:
    trace, units = views.trace(cause.seq), rules.units()
    deed = _Deed(name, "", f"The rule {name} {did} e{cause.seq} {cause.type}{counted}.", {})
    return _spoke(deed, cause, trace.annotations if trace else {}, rules, units).lines, name


def _made(trace: Trace, when: When) -> Iterator[_Deed]:
    """Events that speaking rules have made of this one."""
    for child in trace.children:
        payload = orjson.loads(child.body).get("payload") if _by_cartridge(child) else None
        if isinstance(payload, dict) and "rule" in payload:
            effect = "emit" if child.type != NOTICE else "notify"
            said = f"The rule {child.source} matched{_counted(payload.get('window'), when)}: [{effect}] made e{child.seq} {child.type}."
            yield _Deed(child.source, effect, said, {"event": child.seq, "window": payload.get("window"), "shadow": False})


def _proposed(asked: Iterable[DecisionRow]) -> Iterator[_Deed]:
    """What rules have proposed about it."""
    for row in asked:
        body = orjson.loads(row.body)
        if body.get("rule"):
            said = f"The rule {body['by']} matched: [propose] asked for d{row.number}: {body['summary']}."
            yield _Deed(body["by"], "propose", said, {"decision": row.number, "window": None, "shadow": False})


def _shaped(trace: Trace, when: When) -> Iterator[_Deed]:
    for each in orjson.loads(trace.annotations.get(SHAPED, b"[]")):
        if "rule" in each:
            values = each.get("values") or {}
            said = whyshaped.sentence(each, when)
            yield _Deed(each["rule"], each["effect"], said, {"window": _window(values), "shadow": False})


def _shadows(trace: Trace, when: When) -> Iterator[_Deed]:
    for slot, value in trace.annotations.items():
        name = whyshaped.shadowed(slot)
        for each in orjson.loads(value) if name else ():
            said = whyshaped.sentence({"rule": name, **each}, when, shadow=True)
            yield _Deed(name, each["effect"], said, {"window": _window(each.get("values") or {}), "shadow": True})


def _wrote(trace: Trace, units: Mapping[str, Unit]) -> Iterator[_Deed]:
    """Annotations that rules have written."""
    slots: dict[str, tuple[str, str]] = {}
    for path, unit in units.items():
        rule = _manifest(unit).get("rule") or {}
        slot = (rule.get("annotate") or {}).get("slot")
        if slot and rule.get("mode") != "shadow":
            slots.setdefault(slot, (path, _manifest(unit)["id"]))
    for slot in trace.annotations:
        owner, _, name = slot.rpartition("/")
        path, id_ = slots.get(name, ("", ""))
        if path and (not owner or f"/{owner}/" in path or path.startswith("cartridges/")):
            label = f"{owner}/{id_}" if owner else id_
            yield _Deed(
                label, "annotate", f"The rule {label} matched: [annotate] wrote {slot}.", {"slot": slot, "shadow": False}
            )


def _by_cartridge(record: LogRow) -> bool:
    return record.kind == "event" and record.principal == f"cartridge:{record.source}"


def _counted(window: Any, when: When) -> str:
    if not isinstance(window, dict) or "since" not in window:
        return ""
    return f", having counted {window.get('count')} since {when(parse_iso(str(window['since'])))}"


def _window(values: Mapping[str, Any]) -> dict[str, Any] | None:
    return {name: values[name] for name in ("count", "since") if name in values} or None


def _manifest(unit: Unit) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(unit.manifest) if unit.manifest else {}
    return found


def _spoke(deed: _Deed, row: LogRow, annotations: Mapping[str, bytes], rules: Rules, units: Mapping[str, Unit]) -> Spoke:
    unit = _unit_of(units, deed.name)
    terms = _terms(unit, deed.name, row, annotations, rules) if unit is not None else []
    facts = {
        "rule": deed.name, "effect": deed.effect, "path": unit.path if unit else None, **deed.facts,
        "terms": [term.form() for term in terms],
    }  # fmt: skip
    return Spoke(deed.name, [deed.effect], deed.sentence, facts, terms)


def _unit_of(units: Mapping[str, Unit], name: str) -> Unit | None:
    """The file of a rule by its instance (`domain:ops/big`, `members/ada/big`) or its label (`big`, `ada/big`)."""
    owner, _, id_ = name.rpartition("/")
    place = owner.rpartition(":")[2].rpartition("/")[2]
    named = [unit for unit in units.values() if _manifest(unit).get("id") == id_ and _manifest(unit).get("rule")]
    inside = [unit for unit in named if place and f"/{place}/" in unit.path]
    shared = [unit for unit in named if unit.path.startswith("cartridges/")]
    return next(iter([*inside, *shared, *(named if not place else ())]), None)


def _terms(unit: Unit, name: str, row: LogRow, annotations: Mapping[str, bytes], rules: Rules) -> list[Term]:
    from eventctl import manifest as manifests
    from eventctl.discovery import Found
    from eventctl.modules import Code
    from eventctl.system.rulings import Ruling, Shaper
    from eventctl.whyrule import Asked
    from eventctl.whyterms import terms

    try:
        manifest = manifests.undump(unit.manifest)
    except ValueError:  # an older version let it through
        return []
    rule = manifest.rule
    if rule is None or rule.when is None or row.kind != "event":
        return []
    code = Code(hash=unit.hash)
    ruling = Ruling(Shaper("workspace", "", manifest, unit.hash), name, rule) if rule.shaping else None
    found = Found(manifest, "library", "", unit.path, code)
    asked = Asked(found, rules.catalog(), sees=frozenset(annotations), ruling=ruling)
    return terms(rule.when, asked.facts(row, annotations))
