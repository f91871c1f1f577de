"""`why`: a record or a notification, explained."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from eventctl import client, whydecided
from eventctl.cli import ids
from eventctl.cli.render import Screen, document, local
from eventctl.cli.session import Session, Verb, json_option
from eventctl.cli.shortid import decision, notification, parse, record
from eventctl.declared import META, Declared
from eventctl.errors import NotFound
from eventctl.store import Store
from eventctl.times import iso
from eventctl.why import Explanation, of_notification, of_record
from eventctl.whyspoke import Rules

if TYPE_CHECKING:
    from eventctl.catalog import Catalog


@click.command(cls=Verb, short_help="Explain a record or a notification, or why there is none.")
@click.argument("given", metavar="ID", shell_complete=ids.ANY)
@click.option("--rule", metavar="ID|PATH", shell_complete=ids.CARTRIDGES, help="Why this rule matched the record, or did not.")
@json_option
@click.pass_obj
def why(session: Session, /, given: str, rule: str | None, as_json: bool) -> None:
    """Say where something came from, what every step did with it and why, what came of it, or why nothing did.

    ID is a record (e42, or the beginning of its id), a notification (n7: with --rule, its newest event) or a decision (d3).

    With --rule, a rule of the workspace or a file is asked again over the record: what it consumes, the values of its terms,
    at which count its window stood, and one sentence that says why it matched or did not.

    \b
    eventctl why n7
    eventctl why e42 --json
    eventctl why e42 --rule ad-spend
    """
    with session.reading() as store:
        when = iso if as_json else local
        told = explain(session, store, given, when) if rule is None else ask(session, store, given, rule, when)
    if as_json:
        document(told.facts)
        return
    show(Screen(session), told)


def show(screen: Screen, told: Explanation) -> None:
    """Print an explanation."""
    screen.title(told.title)
    for part in told.parts:
        screen.line()
        screen.heading(part.heading)
        for sentence in part.lines:
            screen.sentence(sentence)
    if told.next_steps:
        screen.line()
        screen.say("next: " + ", ".join(f"`{step}`" for step in told.next_steps))


def explain(session: Session, store: Store, given: str, when: Callable[[int], str]) -> Explanation:
    """Why a record, a notification or a decision is there; `when` is how an instant is written.

    May compose all files of the workspace. Raises what `shortid` raises where nothing goes by that id.
    """
    short = parse(given)
    declared = _declared(session, store)
    rules = _rules(session, store)
    if short and short[0] == "n":
        row = notification(store.views, given)
        return of_notification(store.views, row, declared, rules, now=session.now(), when=when)
    if short and short[0] == "d":
        decided = decision(store.views, given)
        about = store.views.trace(decided.seq) if decided.seq else None
        return whydecided.of_decision(store.views, decided, about, now=session.now(), when=when)
    found = record(store.views, given)
    trace = store.views.trace(found.seq)
    if trace is None:
        raise NotFound(f"e{found.seq} has just been trimmed from the log")
    running = client.run_info(session.paths()) is not None
    told = of_record(store.views, trace, declared, rules, now=session.now(), running=running, when=when)
    asked = store.views.decisions_about(found.seq)
    if asked:
        whydecided.add(told, asked, session.now())
    return told


def ask(session: Session, store: Store, given: str, rule: str, when: Callable[[int], str]) -> Explanation:
    """Why a rule matched a record, or a notification's newest event, or did not. Composes all files of the workspace.

    Raises what `shortid` and `whyasked` raise where there is no such record or rule.
    """
    from eventctl import whyrule
    from eventctl.cli.wiring import house_of
    from eventctl.whyasked import asked

    short = parse(given)
    seq = notification(store.views, given).seq if short and short[0] == "n" else record(store.views, given).seq
    trace = store.views.trace(seq)
    if trace is None:
        raise NotFound(f"e{seq} has just been trimmed from the log")
    subject = asked(house_of(session), store, rule)
    answer = whyrule.explain(store, trace, subject, when)
    told = Explanation(f"e{seq}  {trace.record.type}, and the rule {subject.manifest.id}")
    for heading, lines in answer.parts:
        told.add(heading, lines)
    told.add("So", [answer.verdict])
    told.facts = {
        "subject": {"kind": "rule", "rule": subject.manifest.id, "seq": seq},
        **answer.facts,
        "sentences": [{"about": part.heading, "lines": part.lines} for part in told.parts],
    }
    return told


def _rules(session: Session, store: Store) -> Rules:
    def catalog() -> Catalog:
        from eventctl.cli.wiring import catalog_of

        return catalog_of(session)

    return Rules(store.units, catalog)


def _declared(session: Session, store: Store) -> Declared:
    """What the pipelines went by; before they have ever been built, what the files say."""
    held = store.meta(META)
    if held is not None:
        return Declared.read(held)
    from eventctl.cli.wiring import catalog_of

    return Declared.of(catalog_of(session))
