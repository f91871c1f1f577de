"""Who asks. Members stand in `eventctl.toml`; an agent names itself and may do what agents may.

Reads the file's `[members]` and `[inbox]` as they are and nothing else of it: no mistake elsewhere keeps anyone from their inbox.
"""

from __future__ import annotations

import tomllib
from typing import Any

from eventctl.cli.session import Session, os_user
from eventctl.errors import Misconfigured, NotPermitted, UsageError
from eventctl.lives import DEFAULT_LEASE
from eventctl.principal import ROLES, Principal, allowed, granted
from eventctl.regular import read_regular
from eventctl.times import parse_duration


def principal(session: Session) -> Principal:
    """The agent or member who asks: the named one, else the account's own name, else the only member there is.

    Raises `UsageError` when that does not name one, with the names to choose from.
    """
    if session.agent:
        return Principal("cli", session.agent, ROLES["agent"])
    members = _members(session)
    named = session.member or session.env.get("EVENTCTL_MEMBER")
    name = named or _usual(os_user(session.env), members)
    if name in members:
        return Principal("cli", name, granted(_role(members[name]), _domains(members[name])))
    if not members:
        return Principal("cli", name or os_user(session.env), ROLES["admin"])
    if name is None:
        raise UsageError(f"who are you? This workspace has {', '.join(members)}", hint="say --as NAME, or set EVENTCTL_MEMBER")
    raise UsageError(f"{name!r} is no member of this workspace", hint=_suggestion(name, list(members)))


def member(session: Session) -> str:
    """Whose eyes: the member who asks. Raises `NotPermitted` for an agent, who has none."""
    if session.agent:
        raise NotPermitted("an agent has no seen and unseen of its own", hint="say --as NAME instead of --agent")
    return principal(session).subject


def eyes(session: Session) -> str:
    """The member who looks, or "" for an agent."""
    return "" if session.agent else member(session)


def audience(session: Session) -> tuple[str, ...]:
    """Whose notifications they look at unless they say otherwise; empty for all.

    A member who has `domains`: the workspace's, those domains', and their own. Admins, agents and all others: everybody's.
    """
    name = eyes(session)
    entry = _members(session).get(name)
    domains = _domains(entry)
    if not domains or _role(entry) == "admin":
        return ()
    return ("workspace", *(f"domain:{domain}" for domain in domains), f"member:{name}")


def require(who: Principal, verb: str, about: str = "") -> None:
    """Raise `NotPermitted` unless `who` may."""
    if not allowed(who, verb, about):
        words = f"{verb} for {about}" if about else verb
        raise NotPermitted(f"{who.subject} may not do that: {words}", hint="an admin can: see [members] in eventctl.toml")


def lease(session: Session) -> int:
    """How long a claim holds: `inbox.lease`, from the variable, the file, or the default. A mistaken one counts as absent."""
    for text in (session.env.get("EVENTCTL_INBOX__LEASE"), _section(session, "inbox").get("lease")):
        try:
            return parse_duration(str(text))
        except ValueError:
            continue
    return DEFAULT_LEASE


def _members(session: Session) -> dict[str, Any]:
    return _section(session, "members")


def _section(session: Session, name: str) -> dict[str, Any]:
    config = session.paths().config
    try:
        section = tomllib.loads(read_regular(config).decode("utf-8-sig")).get(name, {})
    except OSError as error:
        raise Misconfigured(f"cannot be read: {error.strerror or error}", where=str(config)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise Misconfigured(
            f"not TOML: {wrong}", where=str(config), hint="`eventctl config check` shows every mistake"
        ) from None
    return section if isinstance(section, dict) else {}


def _role(entry: Any) -> str:
    role = entry.get("role", "member") if isinstance(entry, dict) else "member"
    return role if role in ("admin", "member") else "member"


def _domains(entry: Any) -> list[str]:
    domains = entry.get("domains", []) if isinstance(entry, dict) else []
    return [domain for domain in domains if isinstance(domain, str)] if isinstance(domains, list) else []


def _usual(account: str, members: dict[str, Any]) -> str | None:
    if account in members or not members:
        return account
    if len(members) == 1:
        return next(iter(members))
    admins = [name for name, entry in members.items() if _role(entry) == "admin"]
    return admins[0] if len(admins) == 1 else None


def _suggestion(name: str, names: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else f"members are {', '.join(names)}"
