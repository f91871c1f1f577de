"""What Tab offers where an id is asked for: what stands in the workspace, read-only and short, each with words that tell it.

A shell is no place for an error: where nothing can be read, nothing is offered.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

import click

from eventctl.cli.session import Session
from eventctl.errors import EventctlError
from eventctl.text import safe_text

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from eventctl.store import Store

Pairs = Iterable[tuple[str, str]]
Completer = Callable[[click.Context, click.Parameter, str], list[Any]]

OFFERED_MAX = 40
HELP_MAX = 80


def _offers(*readers: Callable[[Store], Pairs]) -> Completer:
    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        session = ctx.find_object(Session) or Session()
        try:
            with session.reading() as store:
                pairs = [pair for reader in readers for pair in reader(store) if pair[0].startswith(incomplete.lower())]
        except (EventctlError, OSError, sqlite3.Error):
            return []
        return [CompletionItem(name, help=safe_text(said, limit=HELP_MAX)) for name, said in pairs]

    return complete


def _inbox(*, archived: bool = False) -> Callable[[Store], Pairs]:
    def read(store: Store) -> Pairs:
        from eventctl.views import InboxFilter

        page = store.views.inbox(InboxFilter(archived=archived), limit=OFFERED_MAX)
        return [(f"n{item.notification.id}", item.notification.title) for item in page.items]

    return read


def _log(store: Store) -> Pairs:
    from eventctl.cli.forms import description
    from eventctl.views import LogFilter

    rows = store.views.log(LogFilter(), limit=OFFERED_MAX)
    return [(f"e{row.seq}", f"{row.type} {description(row)}") for row in rows]


def _standing(state: str) -> Callable[[Store], Pairs]:
    def read(store: Store) -> Pairs:
        rows = store.views.exceptions(states=[state], limit=OFFERED_MAX)
        return [(f"e{row.seq}", f"{row.cartridge or row.pipeline}: {row.reason}") for row in rows]

    return read


def _rejects(store: Store) -> Pairs:
    return [(f"r{row.id}", row.reason) for row in store.views.rejects(limit=OFFERED_MAX)]


def _silences(store: Store) -> Pairs:
    from eventctl import silences

    return [(each.name, f"{silences.words(each)}: {each.reason}") for each in silences.standing(store).values()]


def _decisions(*states: str) -> Callable[[Store], Pairs]:
    def read(store: Store) -> Pairs:
        from eventctl.decisions import asker, summary_of

        rows = store.views.decisions(states, limit=OFFERED_MAX)
        return [(f"d{row.number}", f"{asker(row)}, {row.state}: {summary_of(row)}") for row in rows]

    return read


def _units(store: Store) -> Pairs:
    from eventctl.cli.forms import value

    manifests = [value(unit.manifest) for unit in store.units().values() if unit.manifest]
    return [(str(each.get("id", "")), str(each.get("summary", ""))) for each in manifests]


def _names(of: Literal["members", "domains"]) -> Completer:
    """What the files of the workspace name."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        from eventctl import company

        session = ctx.find_object(Session) or Session()
        try:
            there = company.members(session.paths()) if of == "members" else company.domains(session.paths())
        except (EventctlError, OSError):
            return []
        return [name for name in there if name.startswith(incomplete)]

    return complete


MEMBERS = _names("members")
DOMAINS = _names("domains")
NOTIFICATIONS = _offers(_inbox())
PUT_AWAY = _offers(_inbox(archived=True))
RECORDS = _offers(_log)
ANY = _offers(_inbox(), _decisions(), _log)
HELD = _offers(_standing("quarantined"))
HELD_DECISIONS = _offers(_decisions("held", "window"))
DECISIONS = _offers(_decisions())
DEAD = _offers(_standing("dead"))
REJECTS = _offers(_rejects)
CARTRIDGES = _offers(_units)
SILENCES = _offers(_silences)
