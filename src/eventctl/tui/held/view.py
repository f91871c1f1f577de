"""One of what is held, dead or refused, in full: why it stands there in words, what it holds, and what would let its like through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from eventctl.cli import forms, quarantine
from eventctl.cli.exceptions import where
from eventctl.cli.render import local
from eventctl.reasons import BETWEEN, in_words
from eventctl.times import ago
from eventctl.tui.detail.payloadtree import PayloadTree
from eventctl.tui.look import Cell, block, fields, headed, line, plain, said
from eventctl.tui.pane import Pane

if TYPE_CHECKING:
    from eventctl.store import Reject
    from eventctl.tui.held.lists import Item, Kind

RAW_MAX = 16_000
"""Characters of a reject that are shown; the store keeps no more of most."""


HELP = "What to do"
RESEND = "mend it where it comes from, and send it again: nothing here can make an event of it"


class Sight(NamedTuple):
    """What there is to see: `key` names it, `about` stands above its body or its raw text, `after` below."""

    key: str
    about: Content
    body: Any = None
    raw: bytes = b""
    after: Content = Content("")


def of_item(kind: Kind, item: Item, asked: str, now: int) -> Sight:
    """What is held, or failed for good. `asked` is what was asked about it."""
    row, record = item.row, item.record
    reasons = [in_words(reason) for reason in row.reason.split(BETWEEN)]
    pairs: list[tuple[str, object]] = [
        ("state", f"asked: {asked.rpartition('.')[2]}" if asked else kind.noun), ("where", where(row)),
        ("attempts", row.attempts or ""), ("entity", row.entity or ""),
    ]  # fmt: skip
    if record is not None:
        pairs += [("source", record.source), ("by", record.principal), ("at", f"{local(record.at)} ({ago(record.at, now)})")]
    title = line(Cell(f"e{row.seq}", "muted"), Cell(said(record.type if record else "trimmed from the log"), "strong"))
    heading = "How it failed" if kind.name == "dead" else "Why it is held"
    body = forms.value(record.body) if record is not None else None
    return Sight(item.key, _lines(title, *fields(pairs), *headed(heading, map(block, reasons))), body, b"", _after(kind, item))


def of_reject(reject: Reject, now: int) -> Sight:
    """What was refused, with its raw text."""
    title = line(Cell(f"r{reject.id}", "muted"), Cell("never became an event", "strong"))
    pairs = [("channel", reject.channel), ("at", f"{local(reject.at)} ({ago(reject.at, now)})")]
    about = _lines(title, *fields(pairs), *headed("Why it was refused", [block(reject.reason)]))
    return Sight(f"r{reject.id}", about, None, reject.raw, _lines(*headed(HELP, [plain(RESEND)])))


def _after(kind: Kind, item: Item) -> Content:
    if kind.name == "dead":
        return _lines(*headed(HELP, [plain("mend the cartridge and retry it, or discard it: the event stays in the log")]))
    rules = quarantine.rules([(item.row, item.record)])
    told = headed(HELP, [plain("release it, once, or discard it: the event stays in the log")])
    trust = headed(rules["heading"][0], map(block, [*rules["rules"], *rules["notes"]])) if rules else ()
    return _lines(*told, *trust)


class HeldView(Pane):
    """Shows one of them. The tree in it is opened and closed by its own keys."""

    DEFAULT_CSS = """
    HeldView { padding: 0 1; scrollbar-size-horizontal: 0; }
    HeldView > Static { width: 1fr; height: auto; }
    HeldView > PayloadTree { margin: 1 0; }
    HeldView > #raw { margin: 1 0; }
    """

    sight: Sight | None = None

    def compose(self) -> ComposeResult:
        """What stands above, the body as a tree or the raw text, what stands below."""
        yield Static("", id="about", markup=False)
        yield PayloadTree(id="payload")
        yield Static("", id="raw", markup=False)
        yield Static("", id="after", markup=False)

    def show(self, sight: Sight | None) -> None:
        """Show it, from its top when it is another one than before."""
        other = sight is None or self.sight is None or sight.key != self.sight.key
        self.sight = sight
        tree, raw = self.query_one(PayloadTree), self.query_one("#raw", Static)
        self.query_one("#about", Static).update(sight.about if sight else plain("Nothing to look at.", "muted"))
        self.query_one("#after", Static).update(sight.after if sight else Content(""))
        tree.display, raw.display = bool(sight and sight.body is not None), bool(sight and sight.raw)
        if sight is not None and sight.body is not None:
            tree.show(sight.body if isinstance(sight.body, dict | list) else {"body": sight.body})
        raw.update(block(sight.raw, limit=RAW_MAX) if sight else Content(""))
        if other:
            self.scroll_home(animate=False)


def _lines(*lines: Content) -> Content:
    return Content("\n").join(lines)
