"""What a notification offers to do, as buttons: a person who presses one has decided, an agent has asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Static

from eventctl.cli.act import came_of, payload_of, taking
from eventctl.errors import Conflict, UsageError
from eventctl.times import ago
from eventctl.tui.dialogs import Field, Form
from eventctl.tui.look import Cell, line, said

if TYPE_CHECKING:
    from eventctl.acting import Taken
    from eventctl.offers import Offer
    from eventctl.store import Store
    from eventctl.tui.detail.subject import Subject
    from eventctl.tui.room import Host

SHOWN_MAX = 12
"""Buttons; the chooser has all of them."""

NAME_MAX = 30


class Choice(NamedTuple):
    """An offer as it stood when it was chosen: of which notification, and of which event of it."""

    number: int
    seq: int
    offer: Offer


class OfferButton(Button):
    """One of them."""

    def __init__(self, offer: Offer) -> None:
        super().__init__(Content(said(offer.name, NAME_MAX)), compact=True, variant="primary")
        self.offer = offer


class Affordances(Vertical):
    """The buttons. What is taken is the action by that name of the event that was seen, or nothing."""

    DEFAULT_CSS = """
    Affordances { height: auto; }
    Affordances > Horizontal { height: auto; }
    Affordances Button { min-width: 10; margin-right: 1; }
    Affordances Button:focus { text-style: bold reverse; }
    Affordances Static { width: 1fr; height: auto; }
    """

    FORM: ClassVar[str] = "a JSON object; it goes over what the event hands on"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._subject: Subject | None = None
        self._drawn: list[Offer] = []
        self._flying: set[tuple[int, str]] = set()

    def compose(self) -> ComposeResult:
        """Nothing is offered before it is known of what."""
        yield from ()

    @property
    def host(self) -> Host:
        """The app around it."""
        return cast("Host", self.app)

    @property
    def offers(self) -> Sequence[Offer]:
        """What may be taken."""
        return self._subject.offers if self._subject else ()

    async def show(self, subject: Subject | None) -> None:
        """Offer what this one offers. Buttons that stay the same stay where they are, with the focus on them."""
        self._subject = subject
        offers = list(self.offers[:SHOWN_MAX])
        if offers != self._drawn:
            await self._draw(offers)
        if subject is not None:
            for offer, words in zip(offers, self.query(Static).exclude("Button"), strict=True):
                words.update(_words(subject, offer, self.host.desk.now()))

    async def _draw(self, offers: list[Offer]) -> None:
        focused = self.screen.focused
        name = focused.offer.name if isinstance(focused, OfferButton) and focused in self.query(OfferButton) else None
        await self.remove_children()
        self._drawn = offers
        await self.mount_all([Horizontal(OfferButton(offer), Static("", markup=False)) for offer in offers])
        for button in self.query(OfferButton):
            if button.offer.name == name:
                button.focus(scroll_visible=False)

    def on_button_pressed(self, message: Button.Pressed) -> None:
        """By enter or by mouse."""
        message.stop()
        if isinstance(message.button, OfferButton):
            self.ask(message.button.offer)

    def choose(self) -> None:
        """Let the person choose one, and say what it hands on."""
        subject, offers = self._subject, list(self.offers)
        if subject is None or not offers:
            self.host.tell("it offers nothing to do")
            return

        def chosen(values: Mapping[str, Any] | None) -> None:
            if values is not None:
                offer = offers[int(values["offer"])]
                self._take(Choice(subject.row.id, subject.row.seq, offer), values["payload"])

        choices = [(str(at), f"{offer.name}  {offer.summary}") for at, offer in enumerate(offers)]
        fields = [Field("offer", "action", "0", choices=choices), self._payload]
        self.app.push_screen(Form(f"What to do about n{subject.row.id}", fields, yes="Take it"), chosen)

    def ask(self, offer: Offer) -> None:
        """Ask whether it is meant, and what it hands on."""
        subject = self._subject
        if subject is None:
            return
        choice = Choice(subject.row.id, subject.row.seq, offer)

        def chosen(values: Mapping[str, Any] | None) -> None:
            if values is not None:
                self._take(choice, values["payload"])

        words = f"{offer.summary}\nIt emits {offer.emits}.\n{_before(subject, offer, self.host.desk.now())}".strip()
        self.app.push_screen(Form(f"n{choice.number}  {offer.name}", [self._payload], said=words, yes="Take it"), chosen)

    @property
    def _payload(self) -> Field:
        return Field("payload", "payload", hint=self.FORM, check=_wrong)

    def _take(self, choice: Choice, payload: str) -> None:
        """Take it, once however often it is pressed while it is on its way; say what came of it."""
        key, host = (choice.number, choice.offer.name), self.host
        if key in self._flying:
            host.tell(f"n{choice.number}  {choice.offer.name}: is on its way already")
            return
        self._flying.add(key)
        given = payload_of(payload.strip() or None)

        async def work() -> None:
            try:
                take = await host.desk.think(lambda: taking(host.desk.session))

                def move(store: Store) -> Taken:
                    _same(store, choice)
                    return take(store, choice.number, choice.offer.name, given)

                taken = await host.desk.move(move)
            finally:
                self._flying.discard(key)
            host.tell(f"n{choice.number}  {choice.offer.name}: {came_of(taken)}")
            host.reread()

        host.begin(work, "moves")


def _same(store: Store, choice: Choice) -> None:
    """Raises Conflict when an event has come that the person has not seen: its action of that name may be another one."""
    row = store.views.notification(choice.number)
    if row is not None and row.seq != choice.seq:
        raise Conflict(
            f"n{choice.number} has changed since you looked: its newest event is e{row.seq}", hint="look again, then take it"
        )


def _words(subject: Subject, offer: Offer, now: int) -> Content:
    whose = "" if offer.declared else "only its sender offers it"
    cells = (Cell(said(offer.summary)), Cell(f"→ {said(offer.emits, 80)}", "muted"), Cell(whose, "warn"))
    return line(*cells, Cell(_before(subject, offer, now), "good"))


def _before(subject: Subject, offer: Offer, now: int) -> str:
    """Who took it already for this event, and what came of it; "" for nobody."""
    for decision, action, who in reversed(subject.acted):
        if action == offer.name and decision.seq == subject.row.seq:
            return f"{said(who, 40)} took it {ago(decision.asked_at, now)}: d{decision.number} is {decision.state}"
    return ""


def _wrong(text: str) -> str:
    try:
        payload_of(text.strip() or None)
    except UsageError as wrong:
        return wrong.what
    return ""
