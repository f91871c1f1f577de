"""A timer of the inbox that came due."""

from __future__ import annotations


class Due:
    """`moment` is when its record was written; its `key` reads `what:who:number`, as in `lease::7` or `silence:end:42`."""

    __slots__ = ("due", "key", "moment", "number", "seq", "what", "who")

    def __init__(self, seq: int, moment: int, key: str, due: int) -> None:
        self.seq = seq
        self.moment = moment
        self.key = key
        self.due = due
        self.what, _, rest = key.partition(":")
        self.who, _, number = rest.rpartition(":")
        self.number = int(number) if number.isdigit() else 0
