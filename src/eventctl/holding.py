"""Who has a notification in hand: claims, their leases and their tokens, and what stands against a move."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventctl.errors import Conflict
from eventctl.notification import Notification
from eventctl.times import iso


def held(row: Notification, at: int) -> bool:
    """Whether somebody has it in hand. A lease that is over holds nothing, even before its timer has said so."""
    return row.agent_state in ("claimed", "in_progress") and (row.lease_due is None or row.lease_due > at)


def by(row: Notification) -> Conflict:
    """That somebody else has it in hand."""
    until = f" until {_clock(row.lease_due)}" if row.lease_due is not None else ""
    return Conflict(
        f"n{row.id} is {_words(row.agent_state)} by {row.agent}{until}",
        hint="wait, or take another: `eventctl inbox list --state none`",
    )


def unarchived(row: Notification) -> None:
    """Raises `Conflict` when it was put away."""
    if row.archived_at is not None:
        raise Conflict(f"n{row.id} is archived", hint=f"`eventctl inbox unarchive n{row.id}` brings it back")


def still_open(row: Notification) -> None:
    """Raises `Conflict` when it is settled."""
    unarchived(row)
    if row.agent_state == "resolved":
        raise Conflict(f"n{row.id} is resolved", hint=f"`eventctl inbox reopen n{row.id}` takes that back")


def must_hold(body: Mapping[str, Any], row: Notification, at: int) -> None:
    """Whoever makes this move is the one who claimed: by the current token, or without any by name. Raises `Conflict`."""
    still_open(row)
    token = body.get("token")
    if token is not None and not 0 < token <= row.lease_token:
        claims = f"the newest is claim {row.lease_token}" if row.lease_token else "it has never been claimed"
        raise Conflict(f"n{row.id} has no claim {token}: {claims}", hint=f"`eventctl inbox claim n{row.id}` tells its number")
    if token is not None and token != row.lease_token:
        raise Conflict(
            f"claim {token} of n{row.id} is over: it has been claimed again since (claim {row.lease_token})",
            hint="leave it to who has it now, or take another: `eventctl inbox list --state none`",
        )
    if row.agent_state == "none":
        raise Conflict(f"n{row.id} is not claimed", hint=f"`eventctl inbox claim n{row.id}` takes it")
    if not held(row, at):
        raise Conflict(f"the claim of {row.agent} on n{row.id} ended at {_clock(row.lease_due)}", hint="claim it again")
    if token is None and row.agent != body["agent"]:
        raise by(row)


def _words(state: str) -> str:
    return state.replace("_", " ")


def _clock(us: int | None) -> str:
    return f"{iso(us or 0)[11:16]} UTC"
