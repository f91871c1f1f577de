"""Trust: who says this, is it theirs to say, and does it look like it? The first stage, one evaluator for local and remote events alike.

What counts is the principal, which the platform stamped, never a name in the envelope: whoever came in over a local channel as the
owner is known, and so is the platform itself; everybody else is known by a rule. A rule matches the source that the event claims
and the channel it really came over. What an event looks like is judged in `anomaly`, for everybody but the platform; the graver
of both judgements holds, with the reasons of both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import translate
from typing import Literal, NamedTuple, Protocol

import orjson

from eventctl.principal import PLATFORM
from eventctl.reasons import joined
from eventctl.store import Keys, Operations, Snapshot
from eventctl.system import Ended, Item, Verdict
from eventctl.system.anomaly import (
    FIRST_SEEN,
    OVERSIZED,
    UNLIKE,
    Anomalies,
    Sighting,
    Sightings,
    Unlike,
    unlike,
)

SLOT = "trust"
KNOWN_CHANNELS = PLATFORM | {"cli", "socket"}
"""Channels whose records come from the owner's own account on this machine, or from the platform."""

ATTENUATED_LEVEL = 1
"""The highest level that an attenuated event can have: it is filed, and interrupts nobody."""

IGNORE = "ignore"
"""What an anomaly comes to that nobody wants to hear of; it is not looked for."""

ENDS = ("quarantine", "reject")
"""Outcomes that an event does not go on with."""

CACHED_MAX = 8192
"""Judgements kept at hand. Senders choose part of the key, so there is an end to it."""

Outcome = Literal["accept", "flag", "attenuate", "quarantine", "reject"]


class Rule(Protocol):
    """What a `[trust] rules` entry says. `source` is a shell pattern over the event's source, `channel` "" or "*" for any."""

    @property
    def source(self) -> str: ...

    @property
    def channel(self) -> str: ...

    @property
    def verdict(self) -> str: ...


class Judgement(NamedTuple):
    """An outcome and why; the reasons are empty for `accept`."""

    outcome: Outcome
    reasons: tuple[str, ...] = ()


ACCEPT = Judgement("accept")


class Claim(NamedTuple):
    """What trust looks at. `level` is the sender's, None when they gave none; `domain` the event's or its type's.

    `home` is the domain that declares the type, or "" for none; None when that is the same.
    """

    type: str
    source: str
    principal: str
    level: int | None
    domain: str
    reserved: bool
    home: str | None = None


Seen = tuple[str, str, str, int | None, str | None]
"""What two events must have in common to be judged alike: type, source, principal, and level and domain as they were sent."""


class Standing(NamedTuple):
    """What holds for all events with one claim: the judgement on it, and what is odd for such an event.

    `size` is the bytes past which it is oversized, `unlike` looks at its payload, `sighting` is its pair of type and source; None
    where nobody asks.
    """

    judgement: Judgement
    size: int | None = None
    unlike: Unlike | None = None
    sighting: Sighting | None = None


class Trust:
    """The first stage. `strictness` holds for the workspace, `domains` and `channels` say where a domain or a channel has its own.

    Of a domain's and a channel's the stricter holds. A domain that is laxer than the workspace is so for the types that it
    declares: anybody can write its name on an event.
    """

    name = "trust"

    def __init__(
        self,
        strictness: str = "standard",
        rules: Sequence[Rule] = (),
        domains: Mapping[str, str] | None = None,
        *,
        channels: Mapping[str, str] | None = None,
        anomalies: Anomalies | None = None,
    ) -> None:
        self._strictness = strictness
        self._domains = dict(domains or {})
        self._channels = dict(channels or {})
        self._rules = [(re.compile(translate(rule.source)), rule.channel, rule) for rule in rules]
        self._judged: dict[Seen, Standing] = {}
        self._unlike: dict[str, Unlike | None] = {}
        self._pairs: dict[tuple[str, str], Sighting] = {}
        self.anomalies = anomalies or Anomalies()

    def judge(self, claim: Claim) -> Judgement:
        """The judgement on one claim; it depends on nothing else."""
        channel = _channel(claim.principal)
        if claim.reserved and channel not in PLATFORM:
            return Judgement("quarantine", ("reserved_type",))
        rule = self._rule(claim)
        if rule is not None and rule.verdict != "accept":
            return Judgement(_OUTCOMES[rule.verdict], (f"rule: {rule.source}",))
        known = rule is not None or channel in KNOWN_CHANNELS
        return _TABLE[self.strictness(claim)](claim, known)

    def strictness(self, claim: Claim) -> str:
        """How strictly a claim is judged: as its channel and its domain say, the stricter of both, or else as the workspace does."""
        own = self._domains.get(claim.domain)
        if own is not None and claim.home not in (None, claim.domain):
            own = _stricter([own, self._domains.get(claim.home or "", self._strictness)])
        said = [strictness for strictness in (own, self._channels.get(_channel(claim.principal))) if strictness is not None]
        return _stricter(said) if said else self._strictness

    def _rule(self, claim: Claim) -> Rule | None:
        channel = _channel(claim.principal)
        return next((rule for fits, on, rule in self._rules if on in ("", "*", channel) and fits.match(claim.source)), None)

    def prepare(self, items: Sequence[Item], keys: Keys) -> None:
        """Ask for the shelves of the events' pairs, and mark what is doubted: that changes what dedup asks for.

        A released event has been judged by a person; its pair counts as seen from then on.
        """
        judged, shelves = self._judged, dict[tuple[str, str], None]()
        for item in items:
            data = item.data
            claim = (item.type, item.source, item.principal, data.get("level"), data.get("domain"))
            judgement, size, unlike, pair = judged.get(claim) or self._first_sight(item, claim)
            if pair is not None:
                item.sighting = pair
                shelves[pair.key] = None
            if item.trusted:
                continue
            if judgement is not ACCEPT:
                item.suspect = True
                item.judgement = judgement
                if judgement.outcome in ENDS:
                    continue  # who says it decides alone
            if size is not None and len(item.body) > size:
                self._doubt(item, OVERSIZED, f"{len(item.body):,} bytes, past {size:,}")
            if unlike is not None:
                difference = unlike(item.payload)
                if difference:
                    self._doubt(item, UNLIKE, difference)
        keys.states += shelves

    def _doubt(self, item: Item, reason: str, detail: str) -> None:
        odd = Judgement(_OUTCOMES[self.anomalies.verdict(reason)], (f"{reason}: {detail}",))
        item.judgement = odd if item.judgement is None else graver(item.judgement, odd)

    def begin(self, snapshot: Snapshot, out: Operations) -> TrustRun:
        return TrustRun(self.anomalies, snapshot, out)

    def claim(self, item: Item) -> Claim:
        """What trust looks at in an event."""
        data, entry = item.data, item.entry
        domain = data.get("domain") or entry.domain
        return Claim(item.type, item.source, item.principal, data.get("level"), domain, entry.reserved, entry.domain)

    def _first_sight(self, item: Item, claim: Seen) -> Standing:
        if len(self._judged) >= CACHED_MAX:
            self._judged.clear()
        found = self._judged[claim] = self._standing(self.claim(item), item)
        return found

    def _standing(self, claim: Claim, item: Item) -> Standing:
        judgement = self.judge(claim)
        if _channel(claim.principal) in PLATFORM or self.strictness(claim) == "permissive":
            return Standing(judgement)
        odd = self.anomalies
        if item.type not in self._unlike:
            if len(self._unlike) >= CACHED_MAX:
                self._unlike.clear()
            self._unlike[item.type] = unlike(item.entry)
        return Standing(
            judgement,
            None if odd.oversized == IGNORE else odd.limit(item.type),
            None if odd.unlike_schema == IGNORE else self._unlike[item.type],
            None if odd.first_seen == IGNORE else self._pair(item.type, item.source),
        )

    def _pair(self, name: str, source: str) -> Sighting:
        if len(self._pairs) >= CACHED_MAX:
            self._pairs.clear()
        found = self._pairs.get((name, source))
        if found is None:
            found = self._pairs[name, source] = Sighting(name, source)
        return found


class TrustRun:
    """The judgements on one batch."""

    name = "trust"
    every = True

    def __init__(self, anomalies: Anomalies, snapshot: Snapshot, out: Operations) -> None:
        self._sightings = Sightings(snapshot, out)
        self._until = self._sightings.until
        self._out = out
        self._new = (
            Judgement("accept") if anomalies.first_seen == IGNORE else Judgement(_OUTCOMES[anomalies.first_seen], (FIRST_SEEN,))
        )

    def judge(self, items: Sequence[Item]) -> Sequence[Ended]:
        ended: list[Ended] = []
        until = self._until.get
        for item in items:
            pair, judgement = item.sighting, item.judgement
            if pair is not None and until(pair, 0) <= item.at:
                judgement = self._sighted(item, pair, judgement)
            if judgement is not None:
                verdict = self._verdict(item, judgement)
                if verdict is not None:
                    ended.append(Ended(item, verdict))
        return ended

    def _sighted(self, item: Item, pair: Sighting, judgement: Judgement | None) -> Judgement | None:
        """The judgement with what follows from whether the pair was seen before; what goes on has been seen from now on."""
        if judgement is not None and judgement.outcome in ENDS:
            return judgement
        if not item.trusted and self._sightings.new(pair, item.at):
            judgement = self._new if judgement is None else graver(judgement, self._new)
        if judgement is None or judgement.outcome not in ENDS:
            self._sightings.note(pair, item.at)
        return judgement

    def _verdict(self, item: Item, judgement: Judgement) -> Verdict | None:
        outcome, reasons = judgement
        if outcome == "quarantine":
            return Verdict("quarantined", joined(reasons))
        if outcome == "reject":
            return Verdict("rejected", f"rejected: {joined(reasons)}")
        said: dict[str, object] = {"verdict": outcome, "reasons": reasons}
        if outcome == "attenuate":
            item.attenuated = True
            said["level_at_most"] = ATTENUATED_LEVEL
        self._out.annotations.append((item.seq, SLOT, orjson.dumps(said)))
        return None

    def end(self) -> None:
        self._sightings.end()


def graver(one: Judgement, other: Judgement) -> Judgement:
    """The graver outcome of two, with the reasons of both."""
    outcome = max(one.outcome, other.outcome, key=_GRAVITY.index)
    return Judgement(outcome, (*one.reasons, *other.reasons))


def _stricter(said: Sequence[str]) -> str:
    return max(said, key=_STRICTNESS.index)


def _channel(principal: str) -> str:
    return principal.partition(":")[0]


def _bad_level(level: int | None) -> bool:
    return level is not None and not 0 <= level <= 3


def _standard(claim: Claim, known: bool) -> Judgement:
    if _bad_level(claim.level):
        return Judgement("quarantine", ("malformed_level",))
    return ACCEPT if known else Judgement("flag", ("unknown_source",))


def _strict(claim: Claim, known: bool) -> Judgement:
    if not known:
        return Judgement("quarantine", ("unknown_source",))
    if _bad_level(claim.level):
        return Judgement("reject", ("unknown_level",))
    if not claim.domain and not claim.type.startswith("system."):
        return Judgement("flag", ("missing_domain",))
    return ACCEPT


def _permissive(claim: Claim, known: bool) -> Judgement:
    return ACCEPT


_STRICTNESS = ("permissive", "standard", "strict")
_GRAVITY: tuple[Outcome, ...] = ("accept", "flag", "attenuate", "quarantine", "reject")
_TABLE = {"permissive": _permissive, "standard": _standard, "strict": _strict}
_OUTCOMES: dict[str, Outcome] = {
    "flag": "flag", "attenuate": "attenuate", "quarantine": "quarantine", "reject": "reject",
}  # fmt: skip
