"""What every screen of the dashboard has: the top line, a way to read anew, one place that says what went wrong, and undo."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import Static

from eventctl.errors import EventctlError
from eventctl.tui.keyline import KeyLine
from eventctl.tui.look import plain, said
from eventctl.tui.topline import TopLine

if TYPE_CHECKING:
    from textual.widget import Widget
    from textual.worker import Worker

    from eventctl.store import Store
    from eventctl.tui.desk import Desk


LEAST, WHOLE = (60, 15), (80, 24)
"""Columns and lines of a terminal: what a screen needs, and what it needs to show everything."""

SMALL = (
    f"⚠ This terminal is too small.\nThe dashboard needs {LEAST[0]} columns and {LEAST[1]} lines,\n"
    f"and shows everything from {WHOLE[0]} x {WHOLE[1]} on."
)

READING = "reading"
"""The group of work that reads the screen in front anew."""


class Deed(NamedTuple):
    """What was just done, in words, and the moves that take it back; None where nothing does."""

    said: str
    back: Callable[[Store], str] | None = None


def reason(wrong: EventctlError | OSError) -> str:
    """What went wrong, where, and what to do next, as one sentence."""
    if isinstance(wrong, OSError):
        return " · ".join(str(part) for part in (wrong.strerror or wrong, wrong.filename) if part)
    return " · ".join(part for part in (wrong.what, wrong.where, wrong.hint) if part)


class Host(App[int]):
    """What a screen may ask of the app around it."""

    CSS = """
    Toast { padding: 0 1; margin-top: 0; }
    ToastRack { margin-bottom: 2; }
    """

    desk: Desk
    last: Deed | None = None
    """The last thing that was done and can be taken back."""

    words: str = ""
    """What the command line asked the inbox for; it goes before what is remembered."""

    def tell(self, sentence: str, *, bad: bool = False) -> None:
        """Say something to the person, whoever's words are in it."""
        self.notify(said(sentence), severity="error" if bad else "information", markup=False, timeout=8 if bad else 4)

    async def attempt(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it; what a person can act on is said, with what to do next. Everything else is a bug and passes."""
        try:
            await work()
        except (EventctlError, OSError) as wrong:
            self.tell(reason(wrong), bad=True)

    def begin(
        self, work: Callable[[], Awaitable[None]], group: str, *, exclusive: bool = False, part: Widget | None = None
    ) -> Worker[None] | None:
        """Attempt it beside everything else. It is called when its turn comes: what is given up before that leaves nothing behind.

        Work ends where it waits when the dashboard is left, or the `part` of a screen that it is for: what comes after an `await`
        finds its widgets there, and need not ask. None when nothing is begun, because the dashboard is being taken down.
        """
        if not self.is_running:
            return None
        attempt: Callable[[], Any] = partial(self.attempt, work)
        return (part or self).run_worker(attempt, group=group, exclusive=exclusive)

    def behind(self, work: Callable[[], Awaitable[None]], group: str, *, part: Widget | None = None) -> None:
        """Do it while keys are heard and the screen is painted. What is under way in the same group is given up for it."""
        self.begin(work, group, exclusive=True, part=part)

    def make(self, move: Callable[[Store], Deed]) -> None:
        """Make a move, say what came of it, and keep what takes it back. Moves are made in the order of asking, and none is given up."""

        def made(store: Store) -> Deed:
            deed = move(store)
            self.last = deed if deed.back else self.last  # before the next move: that one may take this one back
            return deed

        async def work() -> None:
            self.tell((await self.desk.move(made)).said)
            self.reread()

        self.begin(work, "moves")

    def reread(self) -> None:
        """Let the screen in front, and the top line, read anew."""
        self.behind(self.read_front, READING)

    async def read_front(self) -> None:
        """The reading itself."""
        raise NotImplementedError

    async def bring(self, mode: str, key: str) -> None:
        """Bring a screen in front, with nothing over it and the cursor on what has this key."""
        raise NotImplementedError


class Room(Screen[None]):
    """A screen. `body` gives its widgets, `reload` reads anew, `memory` and `recall` keep what is restored at the next start."""

    MODE: ClassVar[str] = ""
    """Its name among the modes of the app."""

    DEFAULT_CSS = """
    Room > #body { height: 1fr; }
    Room > #note { height: 1; color: $text-muted; background: $surface; padding: 0 1; }
    Room > #small { display: none; }
    Room.-cramped > #small {
        display: block; overlay: screen; position: absolute; offset: 0 0; width: 100%; height: 100%; background: $background;
        color: $text-warning; content-align: center middle; text-align: center;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "reload", "Read anew", show=False),
    ]

    @property
    def host(self) -> Host:
        """The app around it."""
        return cast("Host", self.app)

    @property
    def desk(self) -> Desk:
        """The way to the workspace."""
        return self.host.desk

    def compose(self) -> ComposeResult:
        """The top line, the body, a line for what this screen says about itself, the keys."""
        yield TopLine()
        with Vertical(id="body"):
            yield from self.body()
        yield Static("", id="note", markup=False)
        yield KeyLine()
        yield Static(SMALL, id="small", markup=False)

    def body(self) -> ComposeResult:
        """The widgets of this screen."""
        raise NotImplementedError

    async def reload(self) -> None:
        """Read what is shown anew. Called when the workspace has changed, at most once a second, and when the screen comes in front."""
        raise NotImplementedError

    def memory(self) -> dict[str, Any]:
        """What to restore at the next start, as JSON."""
        return {}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take up what `memory` gave at the end of the last run. It is called before anything is read, and may be of any shape."""

    def jump(self, key: str) -> None:
        """Put the cursor on what has this key (`d3`), once it is read. A screen without a list has nothing to do."""

    def note(self, text: str, tone: str = "muted") -> None:
        """Say something about this screen in the line above the keys."""
        self.query_one("#note", Static).update(plain(text, tone))

    def action_reload(self) -> None:
        """Read anew because somebody asks."""
        self.host.reread()

    def on_screen_resume(self) -> None:
        """In front again: things may have changed."""
        self.host.reread()

    def on_resize(self, event: events.Resize) -> None:
        """A terminal that is too small is said to be: half a screen would be read as a whole one."""
        self.set_class(event.size.width < LEAST[0] or event.size.height < LEAST[1], "-cramped")
