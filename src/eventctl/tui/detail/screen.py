"""One notification, whole: what it is and what may be done about it, beside what became of it and why it is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import TabbedContent, TabPane

from eventctl.tui.detail.history import History, Owed
from eventctl.tui.detail.pane import Detail, follow
from eventctl.tui.detail.whyview import WhyView
from eventctl.tui.triage.keys import Picked, TriageRoom

if TYPE_CHECKING:
    from eventctl.tui.detail.subject import Subject


class DetailRoom(TriageRoom):
    """One notification, whole. Escape goes back to where it was opened; n and p go to the next and the one before in that list."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012 - Textual declares it so

    DEFAULT_CSS = """
    DetailRoom #split { layout: horizontal; height: 1fr; overflow-y: hidden; }
    DetailRoom #split > Detail { width: 5fr; height: 1fr; }
    DetailRoom #split > TabbedContent { width: 6fr; height: 1fr; border-left: solid $panel; }
    DetailRoom TabPane { padding: 0; height: 1fr; }
    DetailRoom.-narrow #split { layout: vertical; overflow-y: auto; scrollbar-size-vertical: 1; }
    DetailRoom.-narrow #split > Detail { width: 100%; height: auto; overflow-y: hidden; }
    DetailRoom.-narrow #split > TabbedContent { width: 100%; height: 100%; border: none; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("y", "why", "Why", tooltip="Say why it is there, in the words of `eventctl why`."),
        Binding(
            "Y", "rule", "Why a rule", show=False, tooltip="Choose a rule, and say why it matched the newest event or did not."
        ),
        Binding("h", "tab('history')", "History", tooltip="The events and moves of its life; enter opens one."),
        Binding("o", "tab('owed')", "Owed", tooltip="The decisions about it, and what it owes the world."),
        Binding("x", "act", "Act", tooltip="Choose one of the actions that it offers, and say what it hands on."),
        Binding("a", "decide", "Decide", tooltip="Go to the decision that it tells of."),
        Binding("n", "step(1)", "Next"),
        Binding("p", "step(-1)", "Before"),
    ]

    def __init__(self, number: int, *, why: bool = False, among: Sequence[int] = ()) -> None:
        super().__init__()
        self.number = number
        """The notification that is shown."""
        self._among = tuple(among) if number in among else (number,)
        self._first = "why" if why else "history"
        self._explained: Subject | None = None

    def body(self) -> ComposeResult:
        """What it is, and beside it what became of it and why it is there."""
        with VerticalScroll(id="split", can_focus=False):
            yield Detail(self.number, brief=True)
            with TabbedContent(initial=self._first):
                with TabPane("History", id="history"):
                    yield History()
                with TabPane("Why", id="why"):
                    yield WhyView()
                with TabPane("Decisions and effects", id="owed"):
                    yield Owed()

    @property
    def detail(self) -> Detail:
        """The left half."""
        return self.query_one(Detail)

    @property
    def tab(self) -> str:
        """The tab in front."""
        return self.query_one(TabbedContent).active

    def on_mount(self) -> None:
        """Where keys go first."""
        if self._first == "why":
            self.query_one(WhyView).focus()
        else:
            self.detail.focus()

    def picked(self) -> list[Picked]:
        """The one that is shown, as far as it is shown."""
        found = self.detail.subject
        if found is None or found.row.id != self.number or self.detail.gone:
            return []
        return [Picked(found.row.id, found.row.news, found.row.title)]

    async def reload(self) -> None:
        """Read anew what is shown; nothing, when the room is being left."""
        for detail in self.query(Detail):
            await detail.reload()

    def on_detail_filled(self, message: Detail.Filled) -> None:
        """The other half, from the same reading."""
        found = message.subject
        if message.detail.number != self.number:
            return
        self.query_one(History).show(found)
        self.query_one(Owed).show(found, self.desk.who, self.desk.now())
        self._explain()
        self.refresh_bindings()
        if self._first == "why":
            self._first = ""
            self.call_after_refresh(self._turn)  # what stands above it has its height now
        place = f"{self._among.index(self.number) + 1} of {len(self._among)}" if len(self._among) > 1 else ""
        named = f"n{self.number} {found.row.title}" if found else ""
        self.note(" · ".join(part for part in (place, named) if part))

    def on_tabbed_content_tab_activated(self) -> None:
        """Why is asked when somebody looks."""
        self._explain()

    def _explain(self) -> None:
        """Explain what is shown, if somebody looks and it has not been explained as it is."""
        found, why = self.detail.subject, self.query_one(WhyView)
        if self.tab == "why" and found is not None and found.row.id == self.number and found != self._explained:
            self._explained = found
            given = f"n{self.number}"
            why.ask(given, why.rule if why.given == given else "")

    def on_row_list_chosen(self, message: History.Chosen) -> None:
        """Show a record whole, or go to a decision."""
        follow(message.rows)

    def action_reload(self) -> None:
        """Read anew because somebody asks; why as well."""
        self._explained = None
        super().action_reload()

    def action_back(self) -> None:
        """Go back."""
        self.dismiss()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that lead nowhere here are not offered."""
        if action == "decide":
            return self.detail.subject is not None and self.detail.subject.decision is not None
        return action != "step" or len(self._among) > 1

    def action_act(self) -> None:
        """Choose an action."""
        self.detail.action_act()

    def action_decide(self) -> None:
        """Go to the decision that it tells of."""
        self.detail.action_decide()

    def action_tab(self, name: str) -> None:
        """Bring a tab in front, with the keys in it."""
        self.query_one(TabbedContent).active = name
        inside = self.query_one(f"#{name}", TabPane).query("RowList, WhyView").first()
        inside.focus(scroll_visible=False)
        self.call_after_refresh(self._turn)

    def _turn(self) -> None:
        """Bring the tabs in sight, where they stand below."""
        self.query_one(TabbedContent).scroll_visible(animate=False, top=True)

    def action_why(self) -> None:
        """Say why it is there; where a rule was asked about, everything again."""
        why = self.query_one(WhyView)
        self.action_tab("why")
        if why.rule:
            why.ask(f"n{self.number}")

    def action_rule(self) -> None:
        """Say why a rule matched, or did not."""
        self.action_tab("why")
        why = self.query_one(WhyView)
        why.given = f"n{self.number}"
        why.choose()

    def action_step(self, by: int) -> None:
        """Go to another one of the list that it was opened from."""
        at = self._among.index(self.number) + by
        if not 0 <= at < len(self._among):
            self.host.tell("that is the last one" if by > 0 else "that is the first one")
            return
        self.number = self._among[at]
        self.detail.show(self.number)
