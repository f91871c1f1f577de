"""Names that can be taken for each other: by what they look like, and by one letter."""

from __future__ import annotations

_SIGNS = str.maketrans("01", "ol", "-_")


def skeleton(name: str) -> str:
    """What is left of a name when signs that look alike are one: `dep1oy-tracker` and `deploytracker` have the same."""
    return name.translate(_SIGNS).replace("rn", "m").replace("vv", "w").replace("i", "l")


def one_off(one: str, other: str) -> bool:
    """Whether one letter makes the other of two names that are long enough to be mistaken; numbers count on: job-1, job-2."""
    if min(len(one), len(other)) < 5 or abs(len(one) - len(other)) > 1:
        return False
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    left, right = one[start:], other[start:]
    if len(left) == len(right):
        swapped = left[:2] == right[1::-1] and left[2:] == right[2:]
        return swapped or (left[1:] == right[1:] and not (left[0].isdigit() and right[0].isdigit()))
    longer, shorter = (left, right) if len(left) > len(right) else (right, left)
    return longer[1:] == shorter and not longer[0].isdigit()
