"""The matrix of a workspace, put together from what people wrote: eventctl.toml, and every domain's own file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from eventctl.autonomy import Autonomy, Own
from eventctl.dag.gate import Gate
from eventctl.errors import Problem
from eventctl.nearest import did_you_mean

if TYPE_CHECKING:
    from eventctl.contracts import Executor
    from eventctl.discovery import Domain, Found
    from eventctl.settings import Settings


def matrix_of(given: Settings, domains: Iterable[Domain]) -> Autonomy:
    """What may act without asking."""
    said = given.autonomy
    own = {name: Own(file.autonomy.default, file.autonomy.cartridges) for name, file in domains}
    return Autonomy(
        said.default, said.types, said.cartridges, said.domains, own, window=said.window, expires=said.expires, after=said.after
    )


def gate_of(given: Settings, domains: Iterable[Domain], executors: Mapping[str, Executor]) -> Gate:
    """The gate that every pipeline of the workspace stands behind. An executor that does not say `acts = False` acts."""
    quiet = frozenset(name for name, executor in executors.items() if not getattr(executor, "acts", True))
    return Gate(matrix_of(given, domains), quiet)


def unknown_agents(given: Settings, found: Iterable[Found]) -> list[Problem]:
    """Rules that propose the work of an agent which eventctl.toml does not have: it would fail when it is let."""
    problems = []
    for each in found:
        propose = each.manifest.rule.propose if each.manifest.rule else None
        if propose is not None and propose.agent is not None and propose.agent not in given.agents:
            hint = did_you_mean(propose.agent, given.agents) or f"add [agents.{propose.agent}] to eventctl.toml"
            what = f"there is no agent {propose.agent!r}"
            problems.append(Problem(f"{each.path}: propose.agent", what, hint, warning=True))
    return problems
