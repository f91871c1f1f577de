"""What somebody agrees to: what would be done with a cartridge, what it may, what the guardian says, and the ways to answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from eventctl.cli import consent
from eventctl.cli.consent import Prepared, refuse
from eventctl.cli.install import asks_more
from eventctl.errors import Misconfigured
from eventctl.lifecycle import spoken
from eventctl.tui.dialogs import Asking
from eventctl.tui.look import Cell, block, fields, line, plain, said

Answer = Literal["yes", "ask", "try"]

SEVERITIES = {"refuse": Cell("✗ refuses", "bad"), "ask": Cell("! look", "warn"), "note": Cell("· note", "muted")}


class Ways(NamedTuple):
    """Which answers there are. `barred` is why the one who looks may not do it, "" when they may."""

    barred: str = ""
    ask: bool = False
    trial: bool = False


class Consent(Asking[Answer | None]):
    """Shows it all and waits for an answer; None is no. Nothing is done by a key that was meant for something else: no is chosen first."""

    DEFAULT_CSS = """
    Consent { align: center middle; }
    Consent > #consent { width: 96%; max-width: 110; height: 96%; background: $surface; border: round $primary; padding: 0 1; }
    Consent #title { height: auto; text-style: bold; }
    Consent #card { height: 1fr; scrollbar-size-vertical: 1; }
    Consent #card > Static { height: auto; width: 1fr; }
    Consent #question { height: auto; margin-top: 1; }
    Consent #ways { height: 1; }
    Consent #ways Button { margin-right: 2; min-width: 8; }
    Consent #ways Button:focus { text-style: bold reverse; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "answer('')", "No"),
        Binding("y", "answer('yes')", "Yes"),
        Binding("a", "answer('ask')", "Ask an admin"),
        Binding("b", "answer('try')", "Try it first"),
        Binding("right,tab", "app.focus_next", "Next answer", show=False),
        Binding("left,shift+tab", "app.focus_previous", "Answer before", show=False),
        Binding("down,j", "turn(1)", "Down", show=False),
        Binding("up,k", "turn(-1)", "Up", show=False),
        Binding("pagedown", "turn(10)", "Page down", show=False),
        Binding("pageup", "turn(-10)", "Page up", show=False),
    ]

    def __init__(self, prepared: Prepared, ways: Ways) -> None:
        super().__init__()
        self.prepared = prepared
        self._refused = _refused(prepared)
        self._ways = ways._replace(ask=ways.ask and not self._refused, trial=ways.trial and not self._refused)

    def compose(self) -> ComposeResult:
        """The card, the question, the answers."""
        proposal, ways = self.prepared.proposal, self._ways
        with Vertical(id="consent"):
            yield Static(plain(f"{spoken(proposal.do)} {proposal.id} {proposal.version}"), id="title", markup=False)
            with VerticalScroll(id="card", can_focus=False):
                yield Static(Content("\n").join(_card(self.prepared)), markup=False)
            yield Static(self._question(), id="question", markup=False)
            with Horizontal(id="ways"):
                yield Button("No (n)", id="no", compact=True)
                if self._able("yes"):
                    yield Button(Content(f"{_yes(self.prepared)} (y)"), id="yes", variant="warning", compact=True)
                if ways.ask:
                    yield Button("Ask an admin (a)", id="ask", compact=True)
                if ways.trial:
                    yield Button("Try it first (b)", id="try", compact=True)

    def on_mount(self) -> None:
        """No is chosen first."""
        self.query_one("#no", Button).focus()

    def _question(self) -> Content:
        prepared = self.prepared
        if self._refused:
            return Content("\n").join([plain("✗ Nobody can agree to this.", "bad"), block(self._refused)])
        lines, more = [], asks_more(prepared.proposal)
        if more and prepared.proposal.before is not None:
            lines.append(plain(f"⚠ It asks for more than {prepared.proposal.before.version}: {', '.join(more)}", "warn"))
        if prepared.words:
            lines.append(block(f"⚠ {prepared.words}", "warn"))
        if self._ways.barred:
            lines.append(plain(f"✗ {self._ways.barred}", "bad"))
        return Content("\n").join([*lines, plain(prepared.question, "strong")])

    def _able(self, answer: str) -> bool:
        ways = self._ways
        return {"yes": not self._refused and not ways.barred, "ask": ways.ask, "try": ways.trial}.get(answer, True)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only the answers that there are."""
        return action != "answer" or self._able(str(parameters[0]))

    def action_answer(self, answer: str) -> None:
        """Answer."""
        answers: dict[str, Answer] = {"yes": "yes", "ask": "ask", "try": "try"}
        self.dismiss(answers.get(answer))

    def action_turn(self, lines: int) -> None:
        """Scroll the card."""
        self.query_one("#card", VerticalScroll).scroll_relative(y=lines, animate=False)

    def on_button_pressed(self, message: Button.Pressed) -> None:
        """One of the answers."""
        self.action_answer(message.button.id or "")


def _refused(prepared: Prepared) -> str:
    """Why nobody can agree to it; "" when somebody can."""
    try:
        refuse(prepared)
    except Misconfigured as wrong:
        return " · ".join(part for part in (wrong.what, wrong.hint) if part)
    return ""


def _yes(prepared: Prepared) -> str:
    """The word for yes, which says what is agreed to."""
    verb = spoken(prepared.proposal.do).capitalize()
    return f"{verb}, and let it do more" if asks_more(prepared.proposal) else verb


def _card(prepared: Prepared) -> Iterator[Content]:
    proposal, manifest = prepared.proposal, prepared.manifest
    if manifest is not None:
        yield plain(manifest.summary)
        yield Content("")
    yield from fields(consent.fields(proposal, manifest))
    for reason in proposal.verdict.reasons if proposal.verdict else ():
        yield line(SEVERITIES[reason.severity], Cell(said(reason.sentence)))
