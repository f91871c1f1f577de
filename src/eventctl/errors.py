"""The errors a person may meet. Everything else is a bug and keeps its traceback.

A handled error says what is wrong, where, and what to do next. The command line prints it in one to three lines and ends with
its `exit_code`; nothing between the raise and that one place reformats it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Problem(NamedTuple):
    """One mistake in something that people write: where it stands (file and key), what is wrong, what to do about it.

    A `warning` is worth saying and stops nothing; any other problem leaves out the unit that it stands in. `mark` shows the place
    within a line that is hard to read: the line, and a caret under it.
    """

    where: str
    what: str
    hint: str = ""
    warning: bool = False
    mark: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f" ({self.hint})" if self.hint else "")


class EventctlError(Exception):
    """Something went wrong that a person can act on.

    `what` is one sentence; `where` names the file, key, line or record; `hint` says what to do next.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class UsageError(EventctlError):
    """The words of the call do not fit together."""

    exit_code = 2


class NotFound(EventctlError):
    """Nothing by that name or number stands here."""

    exit_code = 3


class Conflict(EventctlError):
    """A precondition no longer holds: somebody else was first. Nothing was written."""

    exit_code = 4


class NotPermitted(EventctlError):
    """This principal may not do that."""

    exit_code = 5


class Unavailable(EventctlError):
    """What this needs is not there now: another runner holds the workspace, or no runner answers."""

    exit_code = 69


class StorageFailed(EventctlError):
    """The disk answered with an I/O error. The process stops: after a failed fsync the page cache is not to be trusted."""

    exit_code = 74


class TryLater(EventctlError):
    """A passing state: the disk is full, or the workspace is being upgraded. Nothing was written; the same call may succeed later."""

    exit_code = 75


class Misconfigured(EventctlError):
    """A file that people write has mistakes, or was written by a newer version. `problems` lists them all."""

    exit_code = 78

    def __init__(self, what: str, *, where: str = "", hint: str = "", problems: Sequence[Problem] = ()) -> None:
        super().__init__(what, where=where, hint=hint)
        self.problems = tuple(problems) or (Problem(where, what, hint),)

    @classmethod
    def listing(cls, problems: Sequence[Problem]) -> Misconfigured:
        """One error for several problems: it speaks of the first and says how many more there are."""
        first, more = problems[0], len(problems) - 1
        what = first.what if not more else f"{first.what} (and {more} more)"
        return cls(what, where=first.where, hint=first.hint, problems=problems)


class Refused(EventctlError):
    """A record that cannot enter the log: it is kept as a reject, with this reason."""
