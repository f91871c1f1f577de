"""What may be done with a cartridge, from the question to the answer: prepared, shown, tried where somebody wants to, and settled.

Everything is prepared and settled by the functions of the command line. A trial runs in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from eventctl import lifecycle
from eventctl.cli.backtest import Since
from eventctl.cli.consent import Prepared, ground_of, outcome, settle
from eventctl.errors import NotPermitted
from eventctl.guardian import Cost
from eventctl.tui.cartridges.comparing import Comparing
from eventctl.tui.cartridges.consentview import Answer, Consent, Ways
from eventctl.tui.dialogs import Field, Form
from eventctl.tui.room import Deed

if TYPE_CHECKING:
    from eventctl.lifecycle import Do
    from eventctl.package import Package
    from eventctl.staging import Ground
    from eventctl.store import Store
    from eventctl.tui.room import Host

SINCE = "30d"
GROUP = "errand"


class Errand(NamedTuple):
    """Something that somebody wants done in a place. `prepare` looks at it over the workspace as it stands.

    `trial` are the words of `eventctl cartridge backtest` for it, () where nothing is tried; `package` is
    what they find in an archive that stands for "{}".
    """

    do: Do
    place: str
    prepare: Callable[[Ground], Prepared]
    trial: tuple[str, ...] = ()
    package: Package | None = None


def begin(host: Host, errand: Errand, report: Mapping[str, Any] | None = None) -> None:
    """Show what it would be, with the report of a trial where there is one, and ask."""
    host.behind(partial(_ask, host, errand, report), GROUP)


async def _ask(host: Host, errand: Errand, report: Mapping[str, Any] | None) -> None:
    desk = host.desk

    def prepare(store: Store) -> Prepared:
        prepared = errand.prepare(ground_of(desk.session, store))
        return with_report(prepared, report) if report else prepared

    prepared = await desk.search(prepare)
    if prepared.said:
        host.tell(prepared.said)
        return
    ways = _ways(host, errand, prepared)
    host.push_screen(Consent(prepared, ways), partial(_answered, host, errand, prepared))


def with_report(prepared: Prepared, report: Mapping[str, Any]) -> Prepared:
    """With the report of a trial beside it, as a decision keeps it: the counts, and no example."""
    brief = {name: value for name, value in report.items() if name not in ("changes", "schema_version")}
    cost = Cost(report["mean_us"] / 1_000, report["max_us"] / 1_000) if report["runs"] else None
    return prepared.tried(brief, cost)


def _ways(host: Host, errand: Errand, prepared: Prepared) -> Ways:
    """Which answers there are for the one who looks."""
    barred, ask = "", errand.do != "trust" and not prepared.proposal.carried
    try:
        lifecycle.permit(host.desk.who, errand.do, errand.place)
    except NotPermitted as wrong:
        barred = f"{wrong.what}: an admin may"
    try:
        lifecycle.permit_asking(host.desk.who)
    except NotPermitted:
        ask = False
    return Ways(barred, ask, bool(errand.trial) and prepared.proposal.backtest is None)


def _answered(host: Host, errand: Errand, prepared: Prepared, answer: Answer | None) -> None:
    if answer is None:
        host.tell("nothing was changed")
    elif answer == "try":
        _try(host, errand)
    else:
        host.make(partial(_settled, host, prepared, ask=answer == "ask"))


def _settled(host: Host, prepared: Prepared, store: Store, *, ask: bool) -> Deed:
    proposal, done = settle(host.desk.session, store, prepared, ask=ask)
    if done.held:
        return Deed(f"d{done.decision} waits for an admin")
    return Deed(" ".join(outcome(proposal, done)))


def _try(host: Host, errand: Errand) -> None:
    """Ask over how much of the log, and run it; then ask again with what came of it."""
    what = "This executes its code, in a process that is not this one: what was not trusted in a worker, without your rights."
    since = Field("since", "since", SINCE, "30d, a date, or e123", check=wrong_since)
    host.push_screen(Form("Try it over the log", [since], said=what, yes="Try it"), partial(_trial, host, errand))


def _trial(host: Host, errand: Errand, given: Mapping[str, Any] | None) -> None:
    if given is None:
        begin(host, errand)
        return
    screen = Comparing(
        f"Trial over the log since {given['since']}", [*errand.trial, "--since", given["since"].strip()], package=errand.package,
        onward="the question",
    )  # fmt: skip
    host.push_screen(screen, partial(begin, host, errand))


def wrong_since(value: Any) -> str:
    """What is wrong with the beginning of a trial; "" for nothing."""
    try:
        Since().convert(str(value), None, None)
    except click.BadParameter as wrong:
        return wrong.message
    return ""


def compare(host: Host, title: str, words: Sequence[str]) -> None:
    """Run a backtest for its own sake."""
    host.push_screen(Comparing(title, words))
