"""What somebody may have meant who wrote a word that is not known here."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """`did you mean 'x'?` for a near miss, else the options that there are (unless they are many), else nothing."""
    known = sorted(set(options))
    near = get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known here: {', '.join(known)}" if 0 < len(known) <= 24 else ""
