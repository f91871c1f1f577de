"""The inbox over SQLite: which rows a filter chooses, in which order, and where a page goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventctl.viewing import OPEN_RANK, RESOLVED_RANK, parse_token, words_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventctl.views import InboxFilter

_ENTITY = "coalesce(nullif(n.entity, ''), x'')"
"""A blob sorts behind every text: what is about nothing comes last."""

_SORTED = {
    "level": "n.rank DESC, n.id DESC",
    "age": "n.updated_at DESC, n.id DESC",
    "oldest": "n.updated_at, n.id",
    "domain": "n.domain, n.rank DESC, n.id DESC",
    "entity": f"{_ENTITY}, n.rank DESC, n.id DESC",
}

_BEYOND = {
    "level": ("(n.rank, n.id) < (?, ?)", ("number", "id")),
    "age": ("(n.updated_at, n.id) < (?, ?)", ("number", "id")),
    "oldest": ("(n.updated_at, n.id) > (?, ?)", ("number", "id")),
    "domain": ("(n.domain > ? OR (n.domain = ? AND (n.rank, n.id) < (?, ?)))", ("name", "name", "number", "id")),
    "entity": (f"({_ENTITY} > ? OR ({_ENTITY} = ? AND (n.rank, n.id) < (?, ?)))", ("name", "name", "number", "id")),
}
"""That a row stands behind a place, and what of the place that takes."""


def page(want: InboxFilter, columns: str, limit: int, after: str) -> tuple[str, list[Any]]:
    """The SELECT of a page with the member's `seen` and `snooze_until` behind the columns, and its parameters. Raises `UsageError`."""
    where, given = _conditions(want)
    if after:
        beyond, fields = _BEYOND[want.order]
        at = parse_token(after, want.order)._asdict()
        where.append(beyond)
        given += [at[field] if field != "name" or at["name"] or want.order == "domain" else b"" for field in fields]
    statement = f"""SELECT {columns}, v.seen, v.snooze_until {_from(want)}
      WHERE {" AND ".join(where)} ORDER BY {_SORTED[want.order]} LIMIT ?"""
    return statement, [want.member, *given, limit]


def counting(want: InboxFilter, most: int) -> tuple[str, list[Any]]:
    """The SELECT of how many fit, counted up to `most`, and its parameters. Raises `UsageError`."""
    where, given = _conditions(want)
    statement = f"SELECT count(*) FROM (SELECT 1 {_from(want)} WHERE {' AND '.join(where)} LIMIT ?)"
    return statement, [want.member, *given, most]


def holding(text: str, plain: Sequence[str], body: str) -> tuple[list[str], list[str]]:
    """For each word the condition that one of the columns or the body holds it, and the parameters. Raises `UsageError`.

    The body is a blob, which LIKE takes for one only as a text.
    """
    condition = " OR ".join([*(f"{column} LIKE ? ESCAPE '\\'" for column in plain), f"CAST({body} AS TEXT) LIKE ? ESCAPE '\\'"])
    found = [(_like(word), _like(as_json)) for word, as_json in words_of(text)]
    return [f"({condition})"] * len(found), [each for word, as_json in found for each in [*[word] * len(plain), as_json]]


def marks(values: Sequence[Any]) -> str:
    """As many question marks."""
    return ",".join("?" * len(values))


def _from(want: InboxFilter) -> str:
    newest = "LEFT JOIN log AS l ON l.seq = n.seq" if want.text else ""
    return f"""FROM notification AS n INDEXED BY notification_rank
      LEFT JOIN member_view AS v ON v.member = ? AND v.notification = n.id {newest}"""


def _conditions(want: InboxFilter) -> tuple[list[str], list[Any]]:
    where, given = ["n.rank >= ?"], list[Any]([0 if want.archived else RESOLVED_RANK if want.resolved else OPEN_RANK])
    if not want.resolved:
        where.append("n.agent_state <> 'resolved'")
    for column, patterns in (("n.type", want.types), ("n.domain", want.domains)):
        if patterns:
            where.append(f"({' OR '.join(_chosen(column, pattern, given) for pattern in patterns)})")
    for column, values in (("n.agent_state", want.states), ("n.audience", want.audience)):
        if values:
            where.append(f"{column} IN ({marks(values)})")
            given += values
    for condition, value in (
        ("n.level >= ?", want.level_min or None),
        ("n.entity = ?", want.entity),
        ("n.updated_at >= ?", want.since),
        ("n.updated_at < ?", want.until),
        ("coalesce(v.snooze_until, 0) <= ?", want.hide_snoozed_at),
        ("coalesce(n.silenced_until, 0) <= ?", want.hide_silenced_at),
        ("n.silenced_until > ?", want.silenced_at),
    ):
        if value is not None:
            where.append(condition)
            given.append(value)
    if want.unseen:
        where.append("coalesce(v.seen, 0) < n.news")
    held, words = holding(want.text, ("n.title",), "l.body")
    where += held
    given += words
    return where, given


def _like(text: str) -> str:
    for special in "\\%_":
        text = text.replace(special, f"\\{special}")
    return f"%{text}%"


def _chosen(column: str, pattern: str, given: list[Any]) -> str:
    """The condition that a pattern chooses this column; a plain comparison wherever one says it all."""
    if "*" not in pattern:
        given.append(pattern)
        return f"{column} = ?"
    if pattern == "**":
        return "true"
    head = pattern.removesuffix(".**")
    if "*" not in head:
        given.extend((f"{head}.", f"{head}/"))  # "/" is the character after "."
        return f"({column} >= ? AND {column} < ?)"
    given.append(pattern)
    return f"fits(?, {column})"
