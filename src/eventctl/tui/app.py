"""The dashboard itself: its screens, its keys, its colours, and the beat at which it looks whether something has changed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.filter import LineFilter, Monochrome
from textual.screen import Screen

from eventctl.cli.session import Session
from eventctl.errors import EventctlError, StorageFailed, TryLater, UsageError
from eventctl.store import Store
from eventctl.tui import themes
from eventctl.tui.desk import Desk
from eventctl.tui.harmless import Harmless
from eventctl.tui.look import Cell, said
from eventctl.tui.remembered import Memory, Remembered
from eventctl.tui.room import READING, WHOLE, Host, Room, reason
from eventctl.tui.running import Runner, Standing
from eventctl.tui.stylesheet import Parsed
from eventctl.tui.topline import Told, TopLine

BEAT_S = 1.0
"""How often it looks whether something was committed: a pragma, microseconds. So a screen is read anew once a second at most."""

AGEING_BEATS = 10
"""Ages on the screen move without anybody's doing; so often they are written anew. As often, what is remembered is kept."""

RUNNER_S = 2.0
"""How often the runner is asked how it is."""

SWITCH_S = 0.001
"""How long a thread that reads may keep the interpreter before the one that paints gets it. The default, 5 ms, is felt at each key."""

SOON_S = 0.25
"""And while it begins or ends: people wait for that."""

WARM_S = 0.5
"""After this the other screens are read in: half a second for some, which nobody should wait for who goes there."""

AGAIN_S = 3.0
"""Within this time a second ctrl+c means it."""

SCREENS = {
    "inbox": "eventctl.tui.inbox.screen:InboxRoom",
    "decisions": "eventctl.tui.decisions.screen:DecisionsRoom",
    "live": "eventctl.tui.live.screen:LiveRoom",
    "cartridges": "eventctl.tui.cartridges.screen:CartridgesRoom",
    "held": "eventctl.tui.held.screen:HeldRoom",
    "health": "eventctl.tui.health.screen:HealthRoom",
}
"""Name -> the class of a screen. The first paint waits for one of them (0.1 s of reading in) and not for all (1.3 s)."""


class Opening(NamedTuple):
    """How the dashboard was called: words for the inbox's filter, a screen, a theme, and whether a runner is started if there is none."""

    words: str = ""
    room: str = ""
    theme: str = ""
    run: bool = False


def _commands() -> type[Provider]:
    """What the palette offers, read in when it is opened."""
    from eventctl.tui.palette import Commands

    return Commands


class Dashboard(Host):
    """The app. `session` says which workspace, who looks, and what time it is."""

    TITLE = "eventctl"
    DEFAULT_MODE = "inbox"
    COMMANDS: ClassVar[set[Any]] = {_commands}

    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(title.partition(" ")[0], f"go('{mode}')", f"Go to {title.partition(' ')[2]}", show=False)
            for mode, title in TopLine.TABS.items()
        ),
        Binding("u", "undo", "Undo", tooltip="Take back the last thing that was done here, where it can be taken back."),
        Binding("t", "turn", "Dark or light", show=False),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "quit", "Quit", tooltip="Leave. What is on its way is finished first."),
    ]

    def __init__(self, session: Session, opening: Opening = Opening()) -> None:  # noqa: B008  # a tuple of texts: nothing in it changes
        self.desk = Desk(session)
        self._opening = opening
        self.words = opening.words
        self._remembered = Remembered(
            self.desk.paths.state_dir / "dashboard.json", self.desk.member or f"agent {self.desk.who.subject}"
        )
        self._memory = self._kept = self._remembered.read()
        wanted = opening.room or ("inbox" if opening.words else self._memory.room)
        if wanted in SCREENS:
            self.DEFAULT_MODE = wanted  # type: ignore[misc]  # where this start begins; the framework reads it through the instance
        super().__init__()
        for mode in SCREENS:
            self.add_mode(mode, self._making(mode))
        for theme in themes.OURS:
            self.register_theme(theme)
        if opening.theme and opening.theme not in self.available_themes:
            raise UsageError(f"there is no theme {opening.theme!r}", hint=f"themes: {', '.join(sorted(self.available_themes))}")
        names = (opening.theme, self._memory.theme, themes.DARK.name)
        self.theme = next(name for name in names if name in self.available_themes)
        self.stylesheet = Parsed(variables=self.get_css_variables())
        self.runner = Runner(session, self.desk.paths, self.desk.who)
        self.standing = Standing("none")
        self._colourless = not session.wants_color(sys.stdout) and (
            session.color == "never" or bool(session.env.get("NO_COLOR"))
        )
        self._harmless = Harmless()
        self._version = -1
        self._lost = ""
        self._beats = 0
        self._asked_at = -AGAIN_S
        self._leaving = False
        self._soon: Callable[[Callable[[], None]], object] | None = None

    def _making(self, mode: str) -> Callable[[], Screen[Any]]:
        def make() -> Room:
            module, _, name = SCREENS[mode].partition(":")
            room: Room = getattr(import_module(module), name)()
            room.recall(self._memory.rooms.get(mode, {}))
            return room

        return make

    def on_mount(self) -> None:
        """The beat, and somebody who works."""
        self._soon = asyncio.get_running_loop().call_soon_threadsafe
        sys.setswitchinterval(SWITCH_S)
        self.set_interval(BEAT_S, self._beat)
        self.set_interval(RUNNER_S, self.look_at_runner)
        self.set_timer(WARM_S, lambda: self.begin(self._warm, "warm"))
        self.begin(self._begin, "runner")
        if self._remembered.wrong:
            self.tell(self._remembered.wrong, bad=True)
        if self.size.width < WHOLE[0] or self.size.height < WHOLE[1]:
            self.tell(
                f"this terminal is {self.size.width} x {self.size.height}: from {WHOLE[0]} x {WHOLE[1]} on everything is shown"
            )

    def get_line_filters(self) -> list[LineFilter]:
        """Nothing that a terminal obeys; no colours where nobody wants any, whoever's environment says so."""
        filters = [*super().get_line_filters(), self._harmless]
        return filters if self.no_color or not self._colourless else [*filters, Monochrome()]

    async def _warm(self) -> None:
        for place in SCREENS.values():
            await asyncio.to_thread(import_module, place.partition(":")[0])

    # --- reading -----------------------------------------------------------------------------------------------------------------

    def _beat(self) -> None:
        """Look whether something has changed; a reading that is still under way is left alone."""
        if not self._busy(READING):
            self.behind(self.look, READING)

    def _busy(self, group: str) -> bool:
        return any(worker.group == group and not worker.is_finished for worker in self.workers)

    async def look(self) -> None:
        """Let the screen in front read anew if somebody has committed something, or if its ages are old.

        While that fails the screen says that it is old, and why; in the corner that is said once.
        """
        self._beats += 1
        if not self._beats % AGEING_BEATS:
            self.keep()
        try:
            await self._look(old=bool(self._lost) or not self._beats % AGEING_BEATS)
        except (EventctlError, OSError) as wrong:
            before, self._lost = self._lost, reason(wrong)
            if self.front is not None:
                self.front.note(f"⚠ what is shown is old: {self._lost}", "bad")
            if self._lost != before:
                raise

    async def _look(self, *, old: bool) -> None:
        version = await self.desk.version()
        if self.front is None or not (version != self._version or old):
            return
        if self._lost:
            self.front.note("")
        await self.read_front()
        self._version, self._lost = version, ""  # what was given up, or has failed, is read again

    async def read_front(self) -> None:
        """The screen in front, and the top line."""
        room = self.front
        if room is not None:
            await room.reload()
            waits = await self.desk.read(_waits)
            for line in room.query(TopLine):  # none, when the screen was left meanwhile
                line.show(room.MODE or self.current_mode, waits, self._told())

    @property
    def front(self) -> Room | None:
        """The room in front, also under a dialog."""
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, Room) and screen.is_mounted), None)

    def _told(self) -> Told:
        root, who = said(self.desk.paths.root.name, 24), said(self.desk.who.subject, 20)
        return Told(self.standing.cell(), Cell(root, "strong"), Cell(who, "muted"))

    # --- somebody who works ------------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """See who works, and start somebody when nobody does and nobody said to only look."""
        await self._see()
        if self._opening.run and not self.standing.there:
            await self._start()

    def look_at_runner(self) -> None:
        """Ask how the runner is, unless that is being asked."""
        if not self._busy("runner") and not self._leaving:
            self.begin(self._see, "runner")

    async def _see(self) -> None:
        try:
            standing = await asyncio.to_thread(self.runner.look)
        except OSError as error:
            standing = Standing("none", said=f"it cannot be seen whether anybody works: {error.strerror}")
        before, self.standing = self.standing, standing
        if standing.state in ("starting", "stopping", "restarting"):
            self.set_timer(SOON_S, self.look_at_runner)
        if standing.said and standing.said != before.said:
            self.tell(f"{standing.said} · ctrl+p: Start the runner", bad=True)
        elif before.there and not standing.there and not standing.said:
            self.tell("the runner is gone: nobody works on what comes in · ctrl+p: Start the runner")
        if standing != before and self.front is not None:
            self.front.query_one(TopLine).tell(self._told())

    async def _start(self) -> None:
        try:
            await asyncio.to_thread(self.runner.start)
        except EventctlError as wrong:
            self.standing = Standing("none", said=f"{wrong.what}; this dashboard only looks")
            raise
        await self._see()

    def action_start_runner(self) -> None:
        """Start a runner."""
        self.begin(self._start, "runner")

    def action_stop_runner(self) -> None:
        """Stop the runner that this dashboard started."""
        if not self.runner.ask_to_stop():
            self.tell("this dashboard has started no runner; whoever did stops it")
        self.look_at_runner()

    # --- what is remembered ------------------------------------------------------------------------------------------------------

    def keep(self) -> None:
        """Write down what the next start takes up again, if it is something else than is written. A full disk is said once."""
        memory = self._now()
        if memory == self._kept:
            return
        self._kept = memory
        try:
            self._remembered.write(memory)
        except OSError as error:
            self.tell(f"what to take up at the next start cannot be kept: {error.strerror}", bad=True)

    def _now(self) -> Memory:
        rooms = dict(self._memory.rooms)
        for stack in self._screen_stacks.values():
            rooms |= {
                room.MODE: room.memory()
                for room in stack
                if isinstance(room, Room) and room.MODE in SCREENS and room.is_mounted
            }
        return Memory(self.theme, self.current_mode, rooms)

    # --- keys --------------------------------------------------------------------------------------------------------------------

    async def action_go(self, mode: str) -> None:
        """Bring a screen in front."""
        await self.switch_mode(mode)

    async def bring(self, mode: str, key: str) -> None:
        """Bring a screen in front, with nothing over it and the cursor on what has this key."""
        await self.switch_mode(mode)
        while len(self.screen_stack) > 1:
            await self.pop_screen()
        if self.front is not None:
            self.front.jump(key)

    def jump(self, letter: str, number: int) -> None:
        """Go to `n7`, `e42` or `d3`."""
        self.behind(partial(self._jump, letter, number), "jump")

    async def _jump(self, letter: str, number: int) -> None:
        from eventctl.tui.detail.recordview import RecordView
        from eventctl.tui.detail.screen import DetailRoom

        if letter == "d":
            await self.bring("decisions", f"d{number}")
        else:
            there = await self.desk.read(partial(_there, letter=letter, number=number))
            if not there:
                self.tell(f"there is no {letter}{number}", bad=True)
            else:
                self.push_screen(DetailRoom(number) if letter == "n" else RecordView(number))

    def action_help(self) -> None:
        """Every key, and what it does here."""
        from eventctl.tui.help import Help

        self.push_screen(Help(self.screen))

    def action_turn(self) -> None:
        """Dark to light, light to dark, in our own colours."""
        self.theme = (themes.LIGHT if self.current_theme.dark else themes.DARK).name

    def action_undo(self) -> None:
        """Take the last thing back: in its turn, for what was just pressed may still be on its way."""

        async def work() -> None:
            self.tell(await self.desk.move(self._take_back))
            self.reread()

        self.begin(work, "moves")

    def _take_back(self, store: Store) -> str:
        deed, self.last = self.last, None
        if deed is None or deed.back is None:
            return "nothing to take back"
        try:
            return deed.back(store)
        except (TryLater, StorageFailed):
            self.last = deed
            raise

    # --- the end -----------------------------------------------------------------------------------------------------------------

    async def action_quit(self) -> None:
        """Leave."""
        self.leave()

    def action_help_quit(self) -> None:
        """What ctrl+c does where nothing is marked to be copied: leave, when it is pressed twice."""
        now = asyncio.get_running_loop().time()
        if now - self._asked_at < AGAIN_S:
            self.leave()
        else:
            self._asked_at = now
            self.tell("ctrl+c again to quit")

    def leave(self) -> None:
        """Keep what is remembered, ask our runner to finish, wait for the moves that are on their way, and end. Once is enough."""
        if self._leaving:
            return
        self._leaving = True
        self.keep()
        self.runner.ask_to_stop()
        self.begin(self._leave, "leaving")

    def leave_soon(self) -> None:
        """The same from a signal, which may come in the middle of anything."""
        if self._soon is not None:
            self._soon(self.leave)
        elif not self._leaving:
            raise KeyboardInterrupt  # nothing has begun yet

    async def _leave(self) -> None:
        moves = [worker for worker in self.workers if worker.group == "moves" and not worker.is_finished]
        if moves:
            await self.workers.wait_for_complete(moves)
        for worker in self.workers:
            if worker.group != "leaving":
                worker.cancel()  # the screens are taken down: nobody reads for them any more
        self.exit(0)

    def on_unmount(self) -> None:
        """Let go of the workspace."""
        self._soon, self._leaving = None, True
        self.desk.close()


def _waits(store: Store) -> dict[str, int]:
    """How much waits in which screen."""
    counts, cursors = store.views.counts(), store.views.cursors()
    held = sum(cursor.quarantined + cursor.dead for cursor, _ in cursors)
    return {"inbox": counts.notifications_open, "decisions": counts.decisions_held, "held": held}


def _there(store: Store, *, letter: str, number: int) -> bool:
    found = store.views.notification(number) if letter == "n" else store.views.record(number)
    return found is not None
