"""Who asks, and the one place that says whether they may.

A principal is stamped by the platform where a record comes in; nothing a sender writes makes one. Its text form names it
(`cli:ada`); its grants come from its role, or from the token or peer it came with.

A grant is a pattern over verbs, and after a colon one over the verb's object: `inbox.*`, `emit:agent.**`. The object `@self` is
the principal's own name, or the place and audience `member:<name>` that goes with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from eventctl.patterns import matches

CHANNELS = frozenset({"cli", "socket", "file", "http", "redis", "peer", "cartridge", "timer", "outbox", "system"})
"""How a record can have come in; `system` is the platform itself, about itself."""

PLATFORM = frozenset({"cartridge", "timer", "outbox", "system"})
"""Channels that only the platform itself brings records in through."""

SUBJECT_MAX = 200

VERBS = {
    "emit": "bring in an event of the type that is the object",
    "inbox.seen": "mark as seen for the member that is the object",
    "inbox.unseen": "mark as unseen for that member",
    "inbox.snooze": "hear nothing for a while, for that member",
    "inbox.unsnooze": "end a snooze for that member",
    "inbox.claim": "take a notification to work on",
    "inbox.start": "say that work on a claimed notification has begun",
    "inbox.release": "give a claimed notification back",
    "inbox.resolve": "say how a notification was settled",
    "inbox.reopen": "take back that a notification is resolved",
    "inbox.archive": "put a notification away",
    "inbox.unarchive": "bring a notification back",
    "silence.set": "keep notifications quiet for the member that is the object, or for everybody",
    "silence.ended": "end such a silence",
    "quarantine.release": "let a held event go on",
    "quarantine.discard": "drop a held event",
    "dead.retry": "run a dead letter again",
    "dead.discard": "give a dead letter up",
    "decisions.approve": "let what is held act; the object is `domain:<name>`, `member:<name>` or `workspace`",
    "decisions.deny": "turn down what is held, or what waits out its undo window",
    "decisions.undo": "take back what has acted, or is about to",
    "inbox.act": "take an action that a notification offers",
    "cartridge.install": "bring in a cartridge, or another version of one; the object is the place",
    "cartridge.promote": "move a cartridge to more people",
    "cartridge.remove": "take a cartridge away",
    "cartridge.trust": "let an installed cartridge run inside the runner, with all of its rights",
    "autonomy.set": "say what may act without asking",
    "workspace.change": "add and change domains and members",
    "operate": "run, stop, back up and verify the workspace",
    "restore": "put an older state in the workspace's place",
}
"""Everything that can be asked for."""

AT_THE_DESK = frozenset(
    {
        "restore",
        "cartridge.install",
        "cartridge.promote",
        "cartridge.remove",
        "cartridge.trust",
        "autonomy.set",
        "workspace.change",
    }
)
"""Granted or not, these are heard on the `cli` channel only: a stolen token or a talked-over agent cannot reach them."""

ROLES: dict[str, frozenset[str]] = {
    "admin": frozenset({"**"}),
    "member": frozenset(
        {
            "emit", "operate", "quarantine.*", "dead.*",
            "inbox.claim", "inbox.start", "inbox.release", "inbox.resolve", "inbox.reopen",
            "inbox.archive", "inbox.unarchive",
            "inbox.seen:@self", "inbox.unseen:@self", "inbox.snooze:@self", "inbox.unsnooze:@self",
            "silence.set:@self", "silence.ended:@self",
            "inbox.act", "decisions.*:@self", "cartridge.install:@self", "cartridge.remove:@self",
        }
    ),
    "agent": frozenset(
        {"emit:agent.**", "inbox.claim", "inbox.start", "inbox.release", "inbox.resolve", "inbox.reopen", "inbox.act"}
    ),
    "producer": frozenset({"emit"}),
}  # fmt: skip
"""What each role may do. An agent works from the inbox and speaks in its own family; it marks nothing as seen by people, and what
acts is decided by people alone."""


def granted(role: str, domains: Iterable[str] = ()) -> frozenset[str]:
    """The grants of a role, with what a member has besides: to decide for each of their domains."""
    mine = (f"decisions.*:domain:{domain}" for domain in domains) if role == "member" else ()
    return ROLES[role] | frozenset(mine)


class Principal(NamedTuple):
    """A channel, a name on it, and what it may do."""

    channel: str
    subject: str
    grants: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str, role: str | None = None) -> Principal:
        """Read `channel:subject`; the grants are the role's, or none. Raises ValueError with a sentence."""
        channel, colon, subject = text.partition(":")
        if not colon or channel not in CHANNELS:
            raise ValueError(
                f"a principal is written like cli:ada, with one of {', '.join(sorted(CHANNELS))}, not {text[:80]!r}"
            )
        if not subject.isprintable() or not 0 < len(subject) <= SUBJECT_MAX:
            raise ValueError(f"the name after {channel}: has 1 to {SUBJECT_MAX} printable characters, not {subject[:80]!r}")
        if role is not None and role not in ROLES:
            raise ValueError(f"a role is one of {', '.join(ROLES)}, not {role[:80]!r}")
        return cls(channel, subject, ROLES[role] if role else frozenset())

    def __str__(self) -> str:
        return f"{self.channel}:{self.subject}"


def allowed(principal: Principal, verb: str, target: str = "") -> bool:
    """Whether the principal may do that to the target, the verb's object. A grant over objects says no when there is none."""
    if verb not in VERBS:
        raise ValueError(f"{verb!r} is no verb of this platform")
    if verb in AT_THE_DESK and principal.channel != "cli":
        return False
    return any(_covers(grant, verb, target, principal.subject) for grant in principal.grants)


def _covers(grant: str, verb: str, target: str, subject: str) -> bool:
    verbs, colon, objects = grant.partition(":")
    if not matches(verbs, verb):
        return False
    if not colon:
        return True
    return bool(target) and (target in (subject, f"member:{subject}") if objects == "@self" else matches(objects, target))
