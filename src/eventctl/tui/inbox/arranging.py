"""How the inbox is laid out: its columns, what stands in a row, its orders, and the headers that go with each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType

from eventctl.flags import LEVEL_NAMES
from eventctl.inboxquery import ORDERS
from eventctl.times import to_datetime
from eventctl.tui import look
from eventctl.tui.dialogs import Choice, Field, Form
from eventctl.tui.look import Cell, said
from eventctl.tui.rows import Column, Row
from eventctl.views import InboxItem, Order

COLUMNS = (
    Column("", 1), Column("id", 7, snug=True), Column("level", 10), Column("age", 4, right=True), Column("state", 18, snug=True),
    Column("domain", 20, wide=104, snug=True), Column("entity", 24, wide=136, snug=True),
    Column("for", 18, wide=170, snug=True), Column("title", 0),
)  # fmt: skip

ORDER_WORDS: Mapping[Order, str] = {
    "level": "by level", "domain": "by domain", "age": "newest first", "oldest": "oldest first", "entity": "by entity"
}  # fmt: skip

WEEK_DAYS = 7


class Arrangement(NamedTuple):
    """What comes first, and whether headers stand between."""

    order: Order = "level"
    headers: bool = True

    @property
    def said(self) -> str:
        """In words, for the line below the list."""
        return ORDER_WORDS[self.order] + ("" if self.headers else ", no headers")


def row(item: InboxItem, arrangement: Arrangement, now: int) -> Row:
    """A notification as a line of the list."""
    about = item.notification
    settled = about.agent_state == "resolved" or about.archived_at is not None
    cells = (
        Cell(look.SEEN) if item.seen else Cell(look.NEWS, "good"),
        Cell(f"n{about.id}", "muted"),
        look.level(about.level, short=True),
        Cell(look.age(about.updated_at, now), "muted"),
        look.state(about, item.snooze_until, now),
        Cell(said(about.domain, 40), "muted"),
        Cell(said(about.entity, 60), "muted"),
        Cell(said(about.audience, 40), "muted"),
        Cell(said(about.title), "muted" if settled else "" if item.seen else "strong"),
    )
    return Row(f"n{about.id}", cells, heading(item, arrangement.order, now) if arrangement.headers else "")


def heading(item: InboxItem, order: Order, now: int) -> str:
    """The header that a row stands under in this order."""
    about = item.notification
    if order in ("age", "oldest"):
        return day(about.updated_at, now)
    if order == "domain":
        return said(about.domain, 80) or "no domain"
    if order == "entity":
        return said(about.entity, 120) or "about nothing in particular"
    if about.archived_at is not None:
        return "archived"
    return "resolved" if about.agent_state == "resolved" else LEVEL_NAMES[about.level]


def day(us: int, now: int) -> str:
    """`today`, `yesterday`, `this week` (the seven days up to today) or `older`, by the calendar here."""
    days = (to_datetime(now).astimezone().date() - to_datetime(us).astimezone().date()).days
    if days < 1:
        return "today"
    return "yesterday" if days == 1 else "this week" if days < WEEK_DAYS else "older"


class Orders(Form):
    """What comes first: the key that opened it goes on to the next, enter takes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("o", "next", "The next order")]

    def __init__(self, order: Order) -> None:
        choices = [(each, ORDER_WORDS[each]) for each in ORDERS]
        super().__init__("What comes first?", [Field("order", "order", order, choices=choices)])

    def action_next(self) -> None:
        """Go on to the next."""
        self.query_one(Choice).action_cursor_down()
