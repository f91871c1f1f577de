"""The gate: what of a run may act is measured against the matrix of autonomy, and becomes a wish where it is not let through.

Thinking is not gated: an executor that says `acts = False` is called as it is. Everything else acts, also one that says nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from eventctl.autonomy import Autonomy, Ruling, of_member
from eventctl.context import SUMMARY_MAX, Deal, Rights
from eventctl.decisions import Wish
from eventctl.ids import outbox_id
from eventctl.store import LogRow

MEMBERS = "members"
DOMAIN = "domain:"


@dataclass(frozen=True, slots=True)
class Gate:
    """The matrix of a workspace, and the executors that change nothing in the world (`quiet`)."""

    autonomy: Autonomy = field(default_factory=Autonomy)
    quiet: frozenset[str] = frozenset({"log"})

    def holds(self, deal: Deal, rights: Rights, record: LogRow) -> bool:
        """Whether a deal becomes a decision. A plain call that may act at once stays a plain call."""
        if deal.form != "call":
            return True
        return deal.name not in self.quiet and self.ruling(rights, record).level != "L3"

    def ruling(self, rights: Rights, record: LogRow) -> Ruling:
        """What holds for a cartridge at an event."""
        domain, owner, id_ = place_of(rights)
        return of_member(owner) if owner else self.autonomy.level(record.type, id_, domain)

    def wish(self, call: str, deal: Deal, rights: Rights, record: LogRow) -> Wish:
        """A deal as what is asked. `call` is what its answer goes by."""
        domain, owner, _ = place_of(rights)
        args: dict[str, Any] = orjson.loads(deal.args)
        body: dict[str, Any] = {
            "form": deal.form,
            "action": deal.action,
            "summary": deal.summary or _in_words(deal.name, args),
            "args": args,
            "by": rights.name,
            "cartridge": rights.cartridge,
            "type": record.type,
            "entity": record.entity,
            "hops": record.hops,
        }
        more = {"title": deal.title, "undo": deal.undo, "emit": deal.emit, "rule": deal.rule}
        body |= {name: value for name, value in more.items() if value}
        kind = f"{rights.name}:{deal.action}"
        return Wish(call, deal.name, kind, rights.pipeline, record.seq, domain, owner, body, self.ruling(rights, record))


def place_of(rights: Rights) -> tuple[str, str, str]:
    """The domain, the member and the id of a cartridge as people know them: at most one of the first two."""
    if rights.pipeline == MEMBERS:
        owner, _, id_ = rights.cartridge.partition("/")
        return "", owner, id_
    domain = rights.pipeline.removeprefix(DOMAIN) if rights.pipeline.startswith(DOMAIN) else ""
    return domain, "", rights.cartridge


def proposal_call(deal: Deal, rights: Rights, seq: int) -> str:
    """What a proposal's answer goes by: the same in every run of its event."""
    return outbox_id(seq, rights.pipeline, rights.cartridge, deal.name, f"propose:{deal.number}:{deal.action}")


def _in_words(name: str, args: Mapping[str, Any]) -> str:
    """A plain call as people are asked about it."""
    argv = args.get("argv")
    if name == "command" and isinstance(argv, list):
        return f"run {shlex.join(str(word) for word in argv)}"[:SUMMARY_MAX]
    return f"call {name}: {orjson.dumps(args).decode()}"[:SUMMARY_MAX] if args else f"call {name}"
