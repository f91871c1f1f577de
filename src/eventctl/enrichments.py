"""The form of an enrichment: what is known about events from elsewhere, declared in `eventctl.toml` or a `domain.toml`.

[enrichment.hosts]                                     a row of a table that lies in the workspace
consumes  = ["node.**"]
table     = "tables/hosts.csv"
key       = "host"
from      = "payload.host"
annotates = "host"

[enrichment.recent]                                    how many events of another type its entity had
consumes  = ["deploy.*"]
history   = "job.failed"
within    = "24h"
annotates = "recent"
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, Strict, model_validator

from eventctl.shapes import Duration, Pattern, Strings, Written
from eventctl.times import DAY

PREFIX = "enrichment:"
"""What the slots of enrichments begin with where they are stored, so that no cartridge's slot is one; readers see them without it."""

ENTITY = "entity"
HEADERS = ("entity", "source", "event", "domain")
"""What a key may be taken from besides the payload."""

_SLOT = re.compile(r"[a-z][a-z0-9_]{0,63}")
_FROM = re.compile(r"payload(\.[A-Za-z0-9_][A-Za-z0-9_-]*)+")


def seen_as(slot: str) -> str:
    """The name that readers of an event know a stored slot by."""
    return slot.removeprefix(PREFIX)


def _slot(text: str) -> str:
    if not _SLOT.fullmatch(text):
        raise ValueError(f"a slot is lower-case letters, digits and '_', so that rules can name it, not {text[:40]!r}")
    return text


def _from(text: str) -> str:
    if text not in HEADERS and not _FROM.fullmatch(text):
        raise ValueError(f"is {', '.join(HEADERS)} or a field like 'payload.host', not {text[:40]!r}")
    return text


class EnrichmentSettings(Written):
    """What is annotated to events of these types: a row of a table, or what their entity went through. One of the two."""

    consumes: Annotated[tuple[Pattern, ...], Strict(False), Field(min_length=1)]
    annotates: Annotated[str, AfterValidator(_slot)]
    table: str = ""
    key: str = ""
    from_: Annotated[str, Field(alias="from"), AfterValidator(_from)] = ENTITY
    columns: Strings = ()
    history: Pattern | None = None
    within: Duration = DAY

    @model_validator(mode="after")
    def _one_kind(self) -> EnrichmentSettings:
        if bool(self.table) == (self.history is not None):
            raise ValueError("has a table or a history: one of them says where its values come from")
        given = self.model_fields_set
        if self.table and not self.key:
            raise ValueError("has a table and no key: the column that `from` is looked up in")
        if self.table and "within" in given:
            raise ValueError("has a table, which knows no time: `within` belongs to a history")
        extra = sorted(given & {"key", "from_", "columns"})
        if self.history is not None and extra:
            raise ValueError(f"has a history, which is that of the event's entity: {extra[0].rstrip('_')!r} belongs to a table")
        return self
