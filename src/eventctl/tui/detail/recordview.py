"""One record of the log, whole: who said it and when, its body as a tree, and why it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import ContentSwitcher, Static

from eventctl.cli import forms
from eventctl.cli.render import local
from eventctl.times import ago
from eventctl.tui.detail.payloadtree import PayloadTree
from eventctl.tui.detail.whyview import WhyView
from eventctl.tui.keyline import KeyLine
from eventctl.tui.look import fields, plain

if TYPE_CHECKING:
    from eventctl.store import LogRow
    from eventctl.tui.room import Host


class RecordView(ModalScreen[None]):
    """Shows a record: `y` says why it is there, `c` goes to what caused it, escape goes back."""

    DEFAULT_CSS = """
    RecordView { align: center middle; }
    RecordView > #record { width: 96%; height: 90%; background: $surface; border: round $primary; padding: 0 1; }
    RecordView #head { height: auto; max-height: 12; margin-bottom: 1; }
    RecordView ContentSwitcher { height: 1fr; }
    RecordView #body { height: 1fr; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("y", "why", "Why", tooltip="Say why it is there; again for the record itself."),
        Binding("Y", "rule", "Why a rule", tooltip="Say why a rule matched it, or did not."),
        Binding("c", "cause", "What caused it"),
    ]

    def __init__(self, seq: int, *, why: bool = False) -> None:
        super().__init__()
        self.seq = seq
        self._why = why
        self._record: LogRow | None = None

    def compose(self) -> ComposeResult:
        """The fields, then the body or the trace."""
        with Vertical(id="record"):
            yield Static("", id="head", markup=False)
            with ContentSwitcher(initial="body"):
                with VerticalScroll(id="body", can_focus=False):
                    yield PayloadTree()
                yield WhyView(id="why")
            yield KeyLine()

    @property
    def host(self) -> Host:
        """The app around it."""
        return cast("Host", self.app)

    def on_mount(self) -> None:
        """Read it while keys are heard."""
        self.host.behind(self._read, "record", part=self)
        self.query_one(PayloadTree).focus()
        if self._why:
            self.action_why()

    async def _read(self) -> None:
        self._record = row = await self.host.desk.read(lambda store: store.views.record(self.seq))
        self.query_one("#head", Static).update(
            _head(row, self.host.desk.now()) if row else plain(f"The log no longer has e{self.seq}.")
        )
        self.query_one(PayloadTree).show(_value(row))
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What caused it can be gone to where something did."""
        return action != "cause" or bool(self._record and self._record.caused_by)

    def action_back(self) -> None:
        """Go back."""
        self.dismiss(None)

    def action_why(self) -> None:
        """Say why it is there, or show it again."""
        switcher, why = self.query_one(ContentSwitcher), self.query_one(WhyView)
        shown = switcher.current == "why" and not why.rule
        switcher.current = "body" if shown else "why"
        if shown:
            self.query_one(PayloadTree).focus()
        else:
            why.ask(f"e{self.seq}")
            why.focus()

    def action_rule(self) -> None:
        """Say why a rule matched it, or did not."""
        self.query_one(ContentSwitcher).current = "why"
        why = self.query_one(WhyView)
        why.given = f"e{self.seq}"
        why.choose()
        why.focus()

    def action_cause(self) -> None:
        """Go to what caused it; escape comes back."""
        if self._record is not None and self._record.caused_by:
            self.app.push_screen(RecordView(self._record.caused_by))


def _head(row: LogRow, now: int) -> Content:
    pairs = [
        ("id", f"e{row.seq}  {row.id}"), ("what", f"{row.kind} {row.type}"), ("source", row.source), ("by", row.principal),
        ("when", f"{local(row.at)} ({ago(row.at, now)})"), ("entity", row.entity), ("cause", f"e{row.caused_by}" if row.caused_by else ""),
        ("hops", row.hops or ""),
    ]  # fmt: skip
    return Content("\n").join(fields(pairs))


def _value(row: LogRow | None) -> Any:
    """The body; a tree has names at its top, so what has none stands under one."""
    value = forms.value(row.body) if row else {}
    return value if isinstance(value, dict | list) else {"body": value}
