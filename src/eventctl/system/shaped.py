"""What shaping makes of one event, for the projection: until when it is kept quiet, for whom, and what gathers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from eventctl.system.rulings import Ruling


class Quiet(NamedTuple):
    """What keeps a notification quiet, and until when (microseconds)."""

    by: str
    until: int


class Gather(NamedTuple):
    """The group that the event's lives belong to: the rule, the key of the group as JSON, and what it is called."""

    rule: str
    key: str
    title: str


class Shaped:
    """What is known and decided about one event.

    `rules` consume its type, `said` is what is noted beside it. Each of `hush` is noted only when the event did open or change
    something, which is what `hushed` says after the projection; `snoozes` are (member, until, by).
    """

    __slots__ = ("gather", "hush", "hushed", "quiet", "rules", "said", "snoozes")

    def __init__(self, rules: tuple[Ruling, ...] = ()) -> None:
        self.rules = rules
        self.quiet: Quiet | None = None
        self.gather: Gather | None = None
        self.snoozes: list[tuple[str, int, str]] = []
        self.said: list[dict[str, Any]] = []
        self.hush: list[tuple[str, dict[str, Any]]] = []
        self.hushed = False

    def silence(self, by: str, until: int, said: dict[str, Any], member: str = "") -> None:
        """Keep it quiet until then, for a member or everybody. Of several silences the one that ends last counts."""
        self.hush.append((by, said))
        if member:
            self.snoozes.append((member, until, by))
        elif self.quiet is None or until > self.quiet.until:
            self.quiet = Quiet(by, until)
