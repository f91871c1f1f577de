"""What a log is asked for, typed as one line of words: the flags of `log tail`, and words to look for.

type:deployment.* kind:event source:ci/main since:2h timeout
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from eventctl import flags
from eventctl.flagwords import Flag, fields, pattern, plain
from eventctl.rows import Kind
from eventctl.views import LogFilter

KINDS: tuple[str, ...] = get_args(Kind)

WORDS: Mapping[str, Flag] = {
    "type": Flag("types", pattern, "a pattern like deployment.*", many=True),
    "kind": Flag("kinds", lambda text, _: flags.choice(text, KINDS), f"one of {', '.join(KINDS)}", many=True),
    "source": Flag("sources", plain, "a source", many=True),
    "entity": Flag("entity", plain, "an entity"),
    "since": Flag("since", flags.moment, "an age like 2h, or a time"),
    "until": Flag("until", flags.moment, "an age like 2h, or a time"),
    "text": Flag("text", plain, "words to look for", many=True),
}
"""The words that a query knows, by the names that the flags of `log show` and `log tail` have."""

_ELSEWHERE = ("--limit", "-n", "--before", "--after", "--json", "--ndjson")


def query(words: str, now: int) -> LogFilter:
    """What a line of words asks for. Raises `UsageError`, which names the word and what it wants."""
    said = fields(words, WORDS, now, _ELSEWHERE)
    return LogFilter(**{**said, "text": " ".join(said.get("text", ()))})
