"""Dialogs: a few fields over the screen, checked when they are sent, answered with their values or not at all.

`self.app.push_screen(Form("Resolve n7", [Field("summary", "summary")]), callback)` calls back with `{"summary": "..."}`, or None
when the person went away. A form without fields is a question: it answers `{}` for yes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Input, OptionList, Static, TextArea

from eventctl.tui.look import TONES, block, plain, said

T = TypeVar("T")

CHOSEN, OTHER = "●", "○"
TICKED, UNTICKED = "✓", " "

FRAME = 7
"""Lines of a dialog around its fields: the edges, two of heading, two of the ways out, and one to see that something lies below."""


class Field(NamedTuple):
    """A field of a form. `hint` stands beside it until it is filled in.

    `choices` makes it a list to choose from, each a value or a pair (value, words); `flag` a box to tick, whose value is a bool;
    `lines` above 1 a text of several lines. `check` gets the value and says what is wrong with it, "" for nothing.
    """

    name: str
    label: str
    value: Any = ""
    hint: str = ""
    choices: Sequence[str | tuple[str, str]] = ()
    flag: bool = False
    lines: int = 1
    check: Callable[[Any], str] | None = None


class Asking(ModalScreen[T]):
    """A dialog that is answered once, while it is in front: a second answer would close the screen below in its place."""

    def dismiss(self, result: T | None = None) -> AwaitComplete:
        """Answer, and go. One that is answered already, or that lies below another, stays as it is."""
        return super().dismiss(result) if self.is_active else AwaitComplete()


class Form(Asking[dict[str, Any] | None]):
    """Fill in and send: tab goes on, enter sends, escape goes back without doing anything."""

    DEFAULT_CSS = """
    Form { align: center middle; }
    Form > #dialog {
        width: 74; max-width: 96%; height: auto; max-height: 96%; background: $surface; border: round $primary; padding: 0 1;
    }
    Form #title { height: auto; max-height: 2; text-style: bold; }
    Form #fields { height: auto; scrollbar-size-vertical: 1; }
    Form #said { height: auto; color: $text-muted; padding-bottom: 1; }
    Form #buttons { height: 1; margin-top: 1; }
    Form #buttons Button { margin-right: 2; min-width: 10; }
    Form #buttons Button:focus { text-style: bold reverse; }
    Form #keys { width: 1fr; text-align: right; color: $text-muted; height: 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Go back without doing anything"),
        Binding("ctrl+enter,ctrl+s", "send", "Send, from any field", priority=True),
        Binding("down", "app.focus_next", "Next field", show=False),
        Binding("up", "app.focus_previous", "Field before", show=False),
    ]

    def __init__(
        self,
        title: str,
        fields: Sequence[Field] = (),
        said: str | Content = "",
        yes: str = "OK",
        check: Callable[[dict[str, Any]], Mapping[str, str]] | None = None,
    ) -> None:
        """`check` judges all values together, once each is right: what is wrong, by the name of the field where it is to be said."""
        super().__init__()
        self._check = check
        self._heading = title
        self._fields = tuple(fields)
        self._said = said
        self._yes = yes

    def compose(self) -> ComposeResult:
        """The heading, what is said about it, the fields, the two ways out."""
        with Vertical(id="dialog"):
            yield Static(plain(self._heading), id="title", markup=False)
            with VerticalScroll(id="fields", can_focus=False):
                if self._said:
                    yield Static(block(self._said) if isinstance(self._said, str) else self._said, id="said", markup=False)
                for field in self._fields:
                    yield Entry(field)
            with Horizontal(id="buttons"):
                yield Button(plain(self._yes), id="yes", variant="primary", compact=True)
                yield Button(Content("Cancel"), id="no", compact=True)
                many = any(field.lines > 1 for field in self._fields)
                yield Static(f"{'ctrl+s' if many else 'enter'} {said(self._yes, 20)} · esc cancel", id="keys", markup=False)

    def on_mount(self) -> None:
        """The first field is where typing goes."""
        first = next(iter(self.query(Entry)), None)
        (first.control if first else self.query_one("#yes", Button)).focus()

    def on_resize(self, event: events.Resize) -> None:
        """Fields scroll, so that the ways out stay in sight."""
        self.query_one("#fields").styles.max_height = max(3, event.size.height - FRAME)

    def action_leave(self) -> None:
        """Answer None."""
        self.dismiss(None)

    def action_send(self) -> None:
        """Answer the values, if every field is right; else say what is wrong beside each that is not."""
        entries = list(self.query(Entry))
        values = {entry.field.name: entry.value for entry in entries}
        wrong = [entry for entry in entries if not entry.judged()]
        if not wrong and self._check:
            mistakes = self._check(values)
            wrong = [entry for entry in entries if not entry.told(mistakes.get(entry.field.name, ""))]
        if wrong:
            wrong[0].control.focus()
            wrong[0].scroll_visible(animate=False)
        else:
            self.dismiss(values)

    def on_input_submitted(self) -> None:
        """Enter in a field."""
        self.action_send()

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Enter on a choice sends; a click only chooses, and has its own way there."""
        message.stop()
        self.action_send()

    def on_button_pressed(self, message: Button.Pressed) -> None:
        """One of the two ways out."""
        self.action_send() if message.button.id == "yes" else self.action_leave()


class Waiting(Asking[Any]):
    """Stands where a form will stand once it is known what it asks: keys that are pressed for the form must not meet the screen below."""

    DEFAULT_CSS = """
    Waiting { background: transparent; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Do not wait", show=False)]

    def action_leave(self) -> None:
        """Ask nothing."""
        self.dismiss(None)


class Choice(OptionList):
    """A list of which one is chosen: where the highlight stands."""

    def __init__(self, field: Field) -> None:
        self.values = [each if isinstance(each, str) else each[0] for each in field.choices]
        self._words = [each if isinstance(each, str) else each[1] for each in field.choices]
        super().__init__(*(self._said(at, chosen=False) for at in range(len(self.values))), markup=False, compact=True)
        self._first = self.values.index(field.value) if field.value in self.values else 0

    def on_mount(self) -> None:
        """What was chosen before is chosen."""
        self.highlighted = self._first

    def _said(self, at: int, *, chosen: bool) -> Content:
        return Content(f"{CHOSEN if chosen else OTHER} {said(self._words[at])}")

    def watch_highlighted(self, highlighted: int | None) -> None:
        """A mark and not a colour alone says which one it is."""
        super().watch_highlighted(highlighted)
        for at in range(self.option_count):
            self.replace_option_prompt_at_index(at, self._said(at, chosen=at == highlighted))

    async def _on_click(self, event: events.Click) -> None:
        """A click chooses and sends nothing."""
        event.prevent_default()
        clicked = event.style.meta.get("option")
        if clicked is not None:
            self.highlighted = clicked


class Tick(Checkbox):
    """A box to tick. Space ticks; enter sends the form as in every other field."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.send", "Send", show=False),
        Binding("space", "toggle_button", "Tick or not", show=False),
    ]

    def watch_value(self) -> None:
        """A mark and not a colour alone says whether it is ticked."""
        self.BUTTON_INNER = TICKED if self.value else UNTICKED
        super().watch_value()


class Entry(Widget):
    """A field on the screen: its label, what is typed, and what is wrong with it."""

    DEFAULT_CSS = """
    Entry { height: auto; }
    Entry > Horizontal { height: auto; }
    Entry Static.label { width: 16; height: auto; color: $text-primary; padding-right: 1; }
    Entry Input { width: 1fr; }
    Entry TextArea { width: 1fr; }
    Entry Choice { width: 1fr; height: auto; max-height: 8; }
    Entry Tick { width: 1fr; height: 1; border: none; padding: 0; }
    Entry > .hint { height: auto; color: $text-muted; padding-left: 16; }
    Entry > .wrong { height: auto; color: $text-error; padding-left: 16; display: none; }
    """

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.field = field
        self.control: Input | TextArea | Choice | Tick = _control(field)

    def compose(self) -> ComposeResult:
        """The label beside the control; the hint and the mistake below."""
        with Horizontal():
            yield Static(plain(self.field.label), classes="label", markup=False)
            yield self.control
        if self.field.hint and not isinstance(self.control, Input | Tick):
            yield Static(plain(self.field.hint), classes="hint", markup=False)
        yield Static("", classes="wrong", markup=False)

    @property
    def value(self) -> Any:
        """What is typed, chosen or ticked."""
        control = self.control
        if isinstance(control, Choice):
            return control.values[control.highlighted or 0]
        return control.text if isinstance(control, TextArea) else control.value

    def judged(self) -> bool:
        """Whether it is right by itself; what is wrong is said below it."""
        return self.told(self.field.check(self.value) if self.field.check else "")

    def told(self, wrong: str) -> bool:
        """Say what is wrong below it; whether that is nothing."""
        told = self.query_one(".wrong", Static)
        told.display = bool(wrong)
        told.update(Content.styled(f"✗ {said(wrong)}", TONES["bad"]) if wrong else "")
        return not wrong


def _control(field: Field) -> Input | TextArea | Choice | Tick:
    if field.choices:
        return Choice(field)
    if field.flag:
        return Tick(plain(field.hint), bool(field.value), compact=True)
    if field.lines > 1:
        area = TextArea(str(field.value), compact=True, soft_wrap=True, tab_behavior="focus")
        area.styles.height = field.lines
        return area
    return Input(str(field.value), placeholder=said(field.hint, 120), compact=True, select_on_focus=False)
