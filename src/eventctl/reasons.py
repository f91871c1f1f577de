"""The words that trust writes down about an event, and what they mean to people.

A reason is a word, or a word and after a colon what in particular: `unknown_source`, `rule: cron-*`, `oversized: 70,000 bytes`.
Several stand with `; ` between them.
"""

from __future__ import annotations

from collections.abc import Iterable

WORDS = {
    "reserved_type": "only the platform itself may say this",
    "unknown_source": "nobody vouches for this source on this channel",
    "malformed_level": "its level is none",
    "unknown_level": "its level is none",
    "missing_domain": "it names no domain",
    "rule": "a rule of [trust] names its source",
    "first_seen": "this source has not sent this type before, or not for a month",
    "oversized": "it is larger than events of its type are",
    "unlike_schema": "its payload is not what is declared",
}
BETWEEN = "; "

VERDICTS = {
    "flag": "flagged it",
    "attenuate": "let it through at a lower level, so that it interrupts nobody",
    "quarantine": "held it",
    "reject": "refused it",
}


def joined(reasons: Iterable[str]) -> str:
    """Several reasons as one text."""
    return BETWEEN.join(reasons)


def in_words(text: str) -> str:
    """Reasons as people read them, each with the word that stands in the store beside it; other text stays what it is."""
    return " and ".join(_in_words(reason) for reason in text.split(BETWEEN))


def _in_words(reason: str) -> str:
    code, colon, detail = reason.partition(": ")
    if code not in WORDS:
        return reason
    return f"{WORDS[code]} ({code}{colon}{detail})"


def verdict_in_words(verdict: str, reasons: Iterable[str]) -> str:
    """What trust did with an event that it let go on, and why."""
    return f"{VERDICTS.get(verdict, verdict)}: {in_words(joined(reasons))}"
