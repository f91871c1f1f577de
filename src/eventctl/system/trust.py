"""Trust: who says this, and is it theirs to say? The first stage, one evaluator for local and remote events alike.

What counts is the principal, which the platform stamped, never a name in the envelope: whoever came in over a local channel as the
owner is known, and so is the platform itself; everybody else is known by a rule. A rule matches the source that the event claims
and the channel it really came over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import translate
from typing import Literal, NamedTuple, Protocol

import orjson

from eventctl.store import Keys, Operations, Snapshot
from eventctl.system import PLATFORM, Item, Verdict

SLOT = "trust"
KNOWN_CHANNELS = PLATFORM | {"cli", "socket"}
"""Channels whose records come from the owner's own account on this machine, or from the platform."""

ATTENUATED_LEVEL = 1
"""The highest level that an attenuated event can have: it is filed, and interrupts nobody."""

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
    """What trust looks at. `level` is the sender's, None when they gave none; `domain` the event's or its type's."""

    type: str
    source: str
    principal: str
    level: int | None
    domain: str
    reserved: bool


Seen = tuple[str, str, str, int | None, str | None]
"""What two events must have in common to be judged alike: type, source, principal, and level and domain as they were sent."""


class Trust:
    """The first stage. `strictness` holds for the workspace, `domains` says where a domain has its own."""

    name = "trust"

    def __init__(
        self, strictness: str = "standard", rules: Sequence[Rule] = (), domains: Mapping[str, str] | None = None
    ) -> None:
        self._strictness = strictness
        self._domains = dict(domains or {})
        self._rules = [(re.compile(translate(rule.source)), rule.channel, rule) for rule in rules]
        self._judged: dict[Seen, Judgement] = {}

    def judge(self, claim: Claim) -> Judgement:
        """The judgement on one claim; it depends on nothing else."""
        if claim.reserved and _channel(claim.principal) not in PLATFORM:
            return Judgement("quarantine", ("reserved_type",))
        rule = self._rule(claim)
        if rule is not None and rule.verdict != "accept":
            return Judgement(_OUTCOMES[rule.verdict], (f"rule: {rule.source}",))
        known = rule is not None or _channel(claim.principal) in KNOWN_CHANNELS
        return _TABLE[self._domains.get(claim.domain, self._strictness)](claim, known)

    def _rule(self, claim: Claim) -> Rule | None:
        channel = _channel(claim.principal)
        return next((rule for fits, on, rule in self._rules if on in ("", "*", channel) and fits.match(claim.source)), None)

    def prepare(self, item: Item, keys: Keys) -> None:
        """Nothing is asked for; but what is doubted is marked here, because it changes what dedup asks for."""
        if item.trusted:
            return
        data = item.data
        claim = (item.type, item.source, item.principal, data.get("level"), data.get("domain"))
        judgement = self._judged.get(claim) or self._first_sight(item, claim)
        if judgement is not ACCEPT:
            item.suspect = True
            item.attenuated = judgement.outcome == "attenuate"

    def begin(self, snapshot: Snapshot, out: Operations) -> TrustRun:
        return TrustRun(self, out)

    def judgement(self, item: Item) -> Judgement:
        """The judgement on an event; one that was released has been judged by a person."""
        if item.trusted:
            return ACCEPT
        data = item.data
        domain = data.get("domain") or item.entry.domain
        return self.judge(Claim(item.type, item.source, item.principal, data.get("level"), domain, item.entry.reserved))

    def _first_sight(self, item: Item, claim: Seen) -> Judgement:
        if len(self._judged) >= CACHED_MAX:
            self._judged.clear()
        found = self._judged[claim] = self.judgement(item)
        return found


class TrustRun:
    """The judgements on one batch."""

    name = "trust"
    every = False

    def __init__(self, trust: Trust, out: Operations) -> None:
        self._trust = trust
        self._out = out

    def judge(self, item: Item) -> Verdict | None:
        if not item.suspect:
            return None
        outcome, reasons = self._trust.judgement(item)
        reason = ", ".join(reasons)
        if outcome == "quarantine":
            return Verdict("quarantined", reason)
        if outcome == "reject":
            return Verdict("rejected", f"rejected: {reason}")
        self._out.annotations.append((item.seq, SLOT, orjson.dumps({"verdict": outcome, "reasons": reasons})))
        return None

    def end(self) -> None:
        """Every row was written as it came."""


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


_TABLE = {"permissive": _permissive, "standard": _standard, "strict": _strict}
_OUTCOMES: dict[str, Outcome] = {
    "flag": "flag", "attenuate": "attenuate", "quarantine": "quarantine", "reject": "reject",
}  # fmt: skip
