"""The dashboard itself: its screens, its keys, its colours, and the beat at which it looks whether something has changed."""

from __future__ import annotations

import sys
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.theme import Theme

from eventctl.cli.session import Session
from eventctl.store import Store
from eventctl.tui.cartridges import CartridgesRoom
from eventctl.tui.decisions import DecisionsRoom
from eventctl.tui.desk import Desk
from eventctl.tui.health import HealthRoom
from eventctl.tui.held import HeldRoom
from eventctl.tui.inbox import InboxRoom
from eventctl.tui.live import LiveRoom
from eventctl.tui.look import Cell, line, said
from eventctl.tui.room import READING, Host, Room, TopLine
from eventctl.views import Counts

BEAT_S = 1.0
"""How often it looks whether something was committed: a pragma, microseconds. So a screen is read anew once a second at most."""

AGEING_BEATS = 10
"""Ages on the screen move without anybody's doing; so often they are written anew."""

SWITCH_S = 0.001
"""How long a thread that reads may keep the interpreter before the one that paints gets it. The default, 5 ms, is felt at each key."""

DARK = Theme(
    name="eventctl-dark", primary="#4f9cf9", secondary="#5ec4b6", accent="#c792ea", warning="#f0b429", error="#ff6b6b",
    success="#7bc96f", foreground="#d7dce2", background="#10141a", surface="#161c24", panel="#1d2530", dark=True,
)  # fmt: skip
LIGHT = Theme(
    name="eventctl-light", primary="#0b5cad", secondary="#00766c", accent="#7b2cbf", warning="#9a5b00", error="#b3261e",
    success="#2e7d32", foreground="#1b1f24", background="#fbfbfa", surface="#f1f2f4", panel="#e3e6ea", dark=False,
)  # fmt: skip


class Dashboard(Host):
    """The app. `session` says which workspace, who looks, and what time it is."""

    TITLE = "eventctl"
    MODES: ClassVar = {room.MODE: room for room in (InboxRoom, DecisionsRoom, LiveRoom, CartridgesRoom, HeldRoom, HealthRoom)}
    DEFAULT_MODE = "inbox"
    ENABLE_COMMAND_PALETTE = True

    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(title.partition(" ")[0], f"go('{mode}')", title.partition(" ")[2], show=False)
            for mode, title in TopLine.TABS.items()
        ),
        Binding("u", "undo", "Undo"),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.desk = Desk(session)
        self._version = -1
        self._beats = 0

    def on_mount(self) -> None:
        """Colours, and the beat."""
        sys.setswitchinterval(SWITCH_S)
        for theme in (DARK, LIGHT):
            self.register_theme(theme)
        self.theme = DARK.name
        self.set_interval(BEAT_S, self._beat)

    def _beat(self) -> None:
        """Look whether something has changed; a reading that is still under way is left alone."""
        if not any(worker.group == READING and not worker.is_finished for worker in self.workers):
            self.behind(self.look, READING)

    async def look(self) -> None:
        """Let the screen in front read anew if somebody has committed something, or if its ages are old."""
        self._beats += 1
        version = await self.desk.read(lambda store: store.views.version())
        if version != self._version or not self._beats % AGEING_BEATS:
            self._version = version
            await self.read_front()

    async def read_front(self) -> None:
        """The screen in front, and the top line."""
        room = self.front
        if room is not None:
            await room.reload()
            counts, held = await self.desk.read(_counts)
            room.query_one(TopLine).show(room.MODE, counts, held, self._told())

    @property
    def front(self) -> Room | None:
        """The room in front, also under a dialog."""
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, Room) and screen.is_mounted), None)

    def _told(self) -> Content:
        return line(Cell(said(self.desk.paths.root.name, 30), "strong"), Cell(said(self.desk.who.subject, 30) + " ", "muted"))

    async def action_go(self, mode: str) -> None:
        """Bring a screen in front."""
        await self.switch_mode(mode)

    def action_undo(self) -> None:
        """Take the last thing back."""
        deed, self.last = self.last, None
        if deed is None or deed.back is None:
            self.tell("nothing to take back")
            return
        back = deed.back

        async def work() -> None:
            self.tell(await self.desk.move(back))
            self.reread()

        self.run_worker(self.attempt(work), group="moves")

    def on_unmount(self) -> None:
        """Let go of the workspace."""
        self.desk.close()


def _counts(store: Store) -> tuple[Counts, int]:
    cursors = store.views.cursors()
    return store.views.counts(), sum(cursor.quarantined + cursor.dead for cursor, _ in cursors)
