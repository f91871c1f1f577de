"""Events that belong to earlier ones: what sequences and absences remember of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventctl.windows.steps import BEHIND

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventctl.rule import Window

OPEN_MAX = 64
"""Openings per key that wait for their answer at a time."""


def too_late(window: Window, newest: int, at: int) -> bool:
    """Whether an event is too far behind the newest of its key to count."""
    return newest - at > BEHIND * window.within


def noted(window: Window, answers: Iterable[int], at: int, newest: int) -> list[int]:
    """The times of answers with one more, in order; those that can make no difference are left out.

    An answer between two others that are no further apart than `within` is never needed: an opening before the first has that
    one, and any later one has the last. So a window's length holds two at most, and what still counts ten or so.
    """
    kept: list[int] = []
    for answer in sorted({*answers, at}):
        if answer < newest - BEHIND * window.within:
            continue
        if len(kept) > 1 and answer - kept[-2] <= window.within:
            kept.pop()
        kept.append(answer)
    return kept


def answered(window: Window, answers: Iterable[int], at: int) -> bool:
    """Whether an opening at this time had its answer before it came in itself."""
    return any(at <= answer <= at + window.within for answer in answers)
