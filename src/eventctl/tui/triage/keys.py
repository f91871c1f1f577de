"""The keys of triage: whatever screen has picked notifications gets a move for each key, with a form first where one is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from textual.binding import Binding, BindingType

from eventctl.cli.who import lease
from eventctl.errors import EventctlError
from eventctl.principal import allowed
from eventctl.silences import SET
from eventctl.tui.dialogs import Field, Form, Waiting
from eventctl.tui.look import said
from eventctl.tui.room import Deed, Room
from eventctl.tui.triage import moves as triage
from eventctl.tui.triage import quieting, resolving

if TYPE_CHECKING:
    from eventctl.store import Store

T = TypeVar("T")

AGENTS = "an agent has no seen and unseen of its own, and snoozes nothing: say --as NAME instead of --agent"


class Picked(NamedTuple):
    """A notification that a key is about, as it was shown when the key was pressed."""

    number: int
    news: int
    title: str


class TriageRoom(Room):
    """A screen on which notifications are picked; keys move those that are, whatever moves on the screen meanwhile."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "seen", "Seen", tooltip="Mark as seen, as far as it was shown to you."),
        Binding("S", "unseen", "Not seen", show=False, tooltip="Mark as not seen."),
        Binding("c", "claim", "Claim", tooltip="Take it to work on, for a while; again: for longer."),
        Binding("w", "work", "Work", tooltip="Say that you work on it; what is free is claimed first."),
        Binding("f", "free", "Give back", show=False, tooltip="Give back what you have claimed."),
        Binding("F", "free_because", "Give back and say why", show=False, tooltip="Give back, with a word to who takes it next."),
        Binding("r", "resolve", "Resolve", tooltip="Say how it was settled; the form asks for what the event asks for."),
        Binding("R", "reopen", "Reopen", show=False, tooltip="Make open again what was resolved."),
        Binding("z", "snooze", "Snooze", tooltip="Leave it out of your list for a while."),
        Binding("Z", "unsnooze", "End a snooze", show=False, tooltip="Bring back what you have snoozed."),
        Binding("m", "silence", "Mute", tooltip="Keep quiet what comes like this, for you or for everybody."),
        Binding("e", "archive", "Archive", tooltip="Put away, for everybody."),
        Binding("E", "unarchive", "Bring back", show=False, tooltip="Bring back what was put away."),
    ]  # fmt: skip

    def picked(self) -> list[Picked]:
        """What a key is about now."""
        raise NotImplementedError

    def moving(self, picked: Sequence[Picked]) -> None:
        """These are about to be moved. Called before each move."""

    def action_seen(self) -> None:
        """Mark as seen what was shown, and no more than that."""
        if picked := self._mine():
            shown = {each.number: each.news for each in picked}
            self._make(picked, partial(triage.seen, shown=shown))

    def action_unseen(self) -> None:
        """Mark as not seen."""
        if picked := self._mine():
            self._make(picked, triage.unseen)

    def action_claim(self) -> None:
        """Take to work on."""
        self._make(self._any(), partial(triage.claim, lease=lease(self.desk.session)))

    def action_work(self) -> None:
        """Begin to work."""
        self._make(self._any(), partial(triage.start, lease=lease(self.desk.session)))

    def action_free(self) -> None:
        """Give back."""
        self._make(self._any(), triage.release)

    def action_free_because(self) -> None:
        """Give back, and say why."""
        if picked := self._any():
            form = Form(
                f"Give back {_words(picked)}", [Field("reason", "why", hint="for whoever takes it next")], yes="Give back"
            )
            self._ask(form, picked, lambda values: partial(triage.release, reason=values["reason"].strip()))

    def action_resolve(self) -> None:
        """Ask how it was settled, in the shape that is asked for."""
        if not (picked := self._any()):
            return
        numbers = [each.number for each in picked]

        def asked(shape: dict[str, str]) -> None:
            form = Form(f"Resolve {_words(picked)}", resolving.fields(shape), yes="Resolve")
            self._ask(form, picked, lambda values: partial(triage.resolve, resolution=resolving.resolution(values, shape)))

        self._prepare(lambda store: resolving.asked(store, numbers), asked)

    def action_reopen(self) -> None:
        """Make open again."""
        self._make(self._any(), triage.reopen)

    def action_snooze(self) -> None:
        """Ask for how long."""
        if picked := self._mine():
            form = Form(f"Snooze {_words(picked)}", quieting.snooze_fields(), yes="Snooze")
            self._ask(
                form, picked, lambda values: partial(triage.snooze, until=quieting.snoozed_until(values, self.desk.now()))
            )

    def action_unsnooze(self) -> None:
        """End a snooze."""
        if picked := self._mine():
            self._make(picked, triage.unsnooze)

    def action_silence(self) -> None:
        """Ask what is to be quiet, beginning with what these have in common."""
        picked = self._any()
        if not picked:
            return
        if not allowed(self.desk.who, SET, self.desk.member):
            self.host.tell("an agent keeps nothing quiet: people do", bad=True)
            return
        self._prepare(lambda store: quieting.Alike(store, _rows(store, picked)), self._ask_silence)

    def _ask_silence(self, alike: quieting.Alike) -> None:
        who, now, member = self.desk.who, self.desk.now, self.desk.member
        fields = quieting.silence_fields(alike, mine_only=not allowed(who, SET, ""))
        form = Form(
            "Keep quiet what is like this", fields, yes="Mute", check=quieting.silence_mistakes,
            said="From now on, what opens or changes and fits all of these. An empty field fits anything.",
        )  # fmt: skip

        def answered(values: dict[str, Any] | None) -> None:
            if values is not None:
                self.host.make(lambda store: triage.hush(store, quieting.silence(values, member, now()), who, now))

        self.app.push_screen(form, answered)

    def action_archive(self) -> None:
        """Put away."""
        self._make(self._any(), triage.archive)

    def action_unarchive(self) -> None:
        """Bring back."""
        self._make(self._any(), triage.unarchive)

    def _any(self) -> list[Picked]:
        """What is picked; when that is nothing, it is said."""
        picked = self.picked()
        if not picked:
            self.host.tell("there is nothing here to do that with")
        return picked

    def _mine(self) -> list[Picked]:
        """The same, for moves that only a member makes."""
        if self.desk.member:
            return self._any()
        self.host.tell(AGENTS, bad=True)
        return []

    def _prepare(self, read: Callable[[Store], T], then: Callable[[T], None]) -> None:
        """Read what a form needs and let `then` show it. What speaks against it is said in a dialog: it is being typed for one."""
        waiting = Waiting()

        async def work() -> None:
            found: T | EventctlError
            try:
                found = await self.desk.read(read)
            except EventctlError as wrong:
                found = wrong
            if not waiting.is_active:
                return
            waiting.dismiss()
            if isinstance(found, EventctlError):  # at once: between the two the keys would meet the screen below
                self.app.push_screen(Form(found.what, said=found.hint))
            else:
                then(found)

        self.app.push_screen(waiting)
        self.host.behind(work, "asking")

    def _ask(self, form: Form, picked: list[Picked], then: Callable[[dict[str, Any]], Callable[..., Deed]]) -> None:
        def answered(values: dict[str, Any] | None) -> None:
            if values is not None:
                self._make(picked, then(values))

        self.app.push_screen(form, answered)

    def _make(self, picked: Sequence[Picked], move: Callable[..., Deed]) -> None:
        """Let `move` do its work on those that were picked when the key was pressed."""
        if picked:
            numbers, who, now = [each.number for each in picked], self.desk.who, self.desk.now
            self.moving(picked)
            self.host.make(lambda store: move(store, numbers, who, now))


def _words(picked: Sequence[Picked]) -> str:
    first = picked[0]
    return f"n{first.number}: {said(first.title, 120)}" if len(picked) == 1 else f"{len(picked):,} notifications"


def _rows(store: Store, picked: Iterable[Picked]) -> list[Any]:
    rows = (store.views.notification(each.number) for each in picked)
    return [row for row in rows if row is not None]
