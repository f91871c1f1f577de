"""What may act without asking: L1 holds it for a person, L2 acts and leaves a time to take it back, L3 acts.

The most specific word wins, and each place has two voices, the workspace's before the domain's own:

    type         eventctl.toml: autonomy.types          an exact type before the longest pattern that fits
    cartridge    eventctl.toml: autonomy.cartridges     `domain/id` before `id`; then autonomy.cartridges of domain.toml
    domain       eventctl.toml: autonomy.domains        then autonomy.default of domain.toml
    workspace    eventctl.toml: autonomy.default        L3 unless it says otherwise

A member's own cartridge is held for that member, whatever is written: it acts for one person, and that one is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from eventctl.patterns import matches
from eventctl.times import HOUR, MINUTE

Level = Literal["L1", "L2", "L3"]

WINDOW = 10 * MINUTE
EXPIRES = 24 * HOUR
AFTER = 3
"""How long what L2 lets act can be taken back, how long what is held waits, and how often something of a kind must have been
approved by a person before L2 lets it act: unless the settings say otherwise."""

_FILE = "eventctl.toml"


class Ruling(NamedTuple):
    """A level, and the key that says so."""

    level: Level
    why: str


@dataclass(frozen=True, slots=True)
class Own:
    """What a domain's own file says: `default` for all of its cartridges (None: nothing), `cartridges` by id."""

    default: Level | None = None
    cartridges: Mapping[str, Level] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Autonomy:
    """The matrix. `own` is by domain; `window` and `expires` are microseconds."""

    default: Level = "L3"
    types: Mapping[str, Level] = field(default_factory=dict)
    cartridges: Mapping[str, Level] = field(default_factory=dict)
    domains: Mapping[str, Level] = field(default_factory=dict)
    own: Mapping[str, Own] = field(default_factory=dict)
    window: int = WINDOW
    expires: int = EXPIRES
    after: int = AFTER

    def level(self, event_type: str, cartridge: str, domain: str = "") -> Ruling:
        """What holds for a cartridge of a domain ("" for the workspace's) at an event of this type."""
        return (
            self._of_type(event_type)
            or self._of_cartridge(cartridge, domain)
            or self._of_domain(domain)
            or self._of_workspace()
        )

    def _of_type(self, event_type: str) -> Ruling | None:
        exact = self.types.get(event_type)
        if exact is not None:
            return Ruling(exact, f'{_FILE}: autonomy.types."{event_type}"')
        fitting = [pattern for pattern in self.types if matches(pattern, event_type)]
        if not fitting:
            return None
        longest = max(fitting, key=lambda pattern: (len(pattern), pattern))
        return Ruling(self.types[longest], f'{_FILE}: autonomy.types."{longest}"')

    def _of_cartridge(self, cartridge: str, domain: str) -> Ruling | None:
        for name in ([f"{domain}/{cartridge}"] if domain else []) + [cartridge]:
            given = self.cartridges.get(name)
            if given is not None:
                return Ruling(given, f'{_FILE}: autonomy.cartridges."{name}"')
        own = self.own.get(domain, Own()).cartridges.get(cartridge)
        return None if own is None else Ruling(own, f'{_own_file(domain)}: autonomy.cartridges."{cartridge}"')

    def _of_domain(self, domain: str) -> Ruling | None:
        given = self.domains.get(domain)
        if given is not None:
            return Ruling(given, f"{_FILE}: autonomy.domains.{domain}")
        own = self.own.get(domain, Own()).default
        return None if own is None else Ruling(own, f"{_own_file(domain)}: autonomy.default")

    def _of_workspace(self) -> Ruling:
        return Ruling(self.default, f"{_FILE}: autonomy.default")


def of_member(member: str) -> Ruling:
    """What holds for a member's own cartridge."""
    return Ruling("L1", f"a member's own cartridge asks its member, {member}")


def _own_file(domain: str) -> str:
    return f"company/domains/{domain}/domain.toml"
