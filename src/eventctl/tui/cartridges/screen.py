"""What is installed where, and what can be done with it."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input

from eventctl.cli.cartridge import mistakes
from eventctl.cli.cartridgelook import Looked, counts_by_unit, look
from eventctl.cli.render import count
from eventctl.dag.faults import standing
from eventctl.tui.cartridges import asking
from eventctl.tui.cartridges import lines as cartridgelist
from eventctl.tui.cartridges import pane as cartridgepane
from eventctl.tui.cartridges.child import Child
from eventctl.tui.cartridges.lines import Entry, fits
from eventctl.tui.cartridges.pane import CartridgePane
from eventctl.tui.cartridges.sheet import Sheet
from eventctl.tui.look import Cell, line, plain, said
from eventctl.tui.room import Room
from eventctl.tui.rows import RowList

if TYPE_CHECKING:
    from eventctl.store import Store
    from eventctl.totals import Totals
    from eventctl.workspace import Paths

PAUSE_S = 0.05
"""How long the cursor must stand before the cartridge under it is looked at."""

FOLDERS = ("company", "cartridges", "personal")
FILTER_MAX = 200


class Seen(NamedTuple):
    """What was found, by what it can be told that it is still so, and how often each has run."""

    stamp: int
    looked: Looked
    entries: list[Entry]
    counted: dict[str, Totals]


class Sieve(Input):
    """Where the filter is typed: enter keeps it, escape leaves it off."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave the filter off")]

    def action_leave(self) -> None:
        """No filter."""
        self.value = ""
        self.screen.query_one(RowList).focus()


class CartridgesRoom(Room):
    """What is installed where, how it stands, and what can be done with it."""

    MODE = "cartridges"

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012 - Textual declares it so

    DEFAULT_CSS = """
    CartridgesRoom Sieve { display: none; }
    CartridgesRoom Sieve.-open { display: block; }
    CartridgesRoom CartridgePane { width: 45%; border-left: solid $panel; }
    CartridgesRoom.-narrow CartridgePane { display: none; width: 1fr; border: none; }
    CartridgesRoom.-narrow.-reading RowList { display: none; }
    CartridgesRoom.-narrow.-reading CartridgePane { display: block; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "check", "Check", tooltip="Name every mistake of its files, with place and what to do. Executes nothing."),
        Binding("C", "check_all", "Check all", show=False, tooltip="Name every mistake of the workspace."),
        Binding("x", "test", "Test", tooltip="Run the examples that stand beside it, in a process of its own."),
        Binding("b", "backtest", "Backtest", tooltip="Run it over the log, and see what would be otherwise. Nothing is written or sent."),
        Binding("i", "install", "Install", tooltip="Bring one in from a folder, an archive or pip: judged and shown before anything is done."),
        Binding("p", "promote", "Promote", tooltip="Move it to more people: from a member to a domain, from a domain to the library."),
        Binding("r", "rollback", "Roll back", tooltip="Make a version active again that was kept."),
        Binding("D", "remove", "Remove", tooltip="Take away what was installed. Its versions are kept unless you say otherwise."),
        Binding("T", "trust", "Trust", tooltip="Let this digest run inside the runner with all your rights, or in a worker again."),
        Binding("o", "edit", "Edit", tooltip="Open a file of this workspace in $VISUAL or $EDITOR."),
        Binding("slash", "filter", "Filter", tooltip="Words in its id, summary, file or pipelines; id:, place:, state:, origin: look there alone."),
        Binding("escape", "back", "Back to the list", show=False),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.words = ""
        self.seen: Seen | None = None
        self._wanted = ""
        self._by: dict[str, Entry] = {}

    def body(self) -> ComposeResult:
        """The filter, the list, and the cartridge under the cursor."""
        yield Sieve(self.words, placeholder="words, id:till, place:shop, state:broken, origin:file", compact=True, id="sieve")
        with Horizontal():
            yield RowList(cartridgelist.COLUMNS, id="rows", empty="No cartridge here: `i` installs one.")
            yield CartridgePane()

    def on_mount(self) -> None:
        """What is filtered from the start shows; the list has the keys."""
        self.query_one(Sieve).set_class(bool(self.words), "-open")
        self.rows.focus()

    @property
    def rows(self) -> RowList:
        """The list."""
        return self.query_one(RowList)

    @property
    def pane(self) -> CartridgePane:
        """The cartridge in full."""
        return self.query_one(CartridgePane)

    def memory(self) -> dict[str, Any]:
        """The filter, and where the cursor stands."""
        lists = self.query(RowList)  # none before anybody was here
        return {"filter": self.words, "cursor": (lists.first().key if lists else "") or self._wanted}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """The same again."""
        words, cursor = memory.get("filter"), memory.get("cursor")
        self.words = said(words, FILTER_MAX) if isinstance(words, str) else ""
        self._wanted = cursor if isinstance(cursor, str) else ""

    def jump(self, key: str) -> None:
        """Put the cursor on a cartridge, by its id, its name in a pipeline or its file, whatever the filter shows."""
        self._wanted = key
        if self.words:
            self._sieve("")
        self.host.reread()

    # --- reading -----------------------------------------------------------------------------------------------------------------

    async def reload(self) -> None:
        """Read the workspace anew if anything in it has changed, and how often each has run."""
        session, paths, seen = self.desk.session, self.desk.paths, self.seen

        def read(store: Store) -> Seen:
            now = stamp(paths, store)
            if seen is not None and seen.stamp == now:
                return seen._replace(counted=counts_by_unit(session, seen.looked.composed))
            looked = look(session)
            return Seen(now, looked, cartridgelist.entries(looked), counts_by_unit(session, looked.composed))

        self.seen = await self.desk.search(read)
        self.fill()
        await self._look()

    def fill(self) -> None:
        """Show what was read and fits the filter."""
        if self.seen is None:
            return
        shown = [entry for entry in self.seen.entries if fits(entry, self.words)]
        self._by = {entry.path: entry for entry in shown}
        self.rows.empty = "Nothing fits the filter." if self.words else "No cartridge here: `i` installs one."
        self.rows.fill([cartridgelist.row(entry, self.seen.counted.get(entry.path)) for entry in shown])
        wanted, self._wanted = self._wanted, ""
        if wanted:
            self.rows.point(self._named(wanted))
        self._told(len(shown))

    def _named(self, given: str) -> str:
        id_ = given.rpartition("/")[2]
        found = [path for path, entry in self._by.items() if given == path] or [
            path for path, entry in self._by.items() if entry.id in (given, id_)
        ]
        return found[0] if found else ""

    def _told(self, shown: int) -> None:
        if self.seen is None:
            return
        wrong = sum(not problem.warning for problem in self.seen.looked.problems)
        warned = len(self.seen.looked.problems) - wrong
        all_ = len(self.seen.entries)
        parts = [f"{shown:,} of {all_:,} cartridges" if shown < all_ else f"{all_:,} cartridges"]
        parts += [f"✗ {wrong:,} mistake{'s' * (wrong != 1)}: C names them"] if wrong else ["no mistakes"]
        parts += [f"{warned:,} warning{'s' * (warned != 1)}"] if warned else []
        self.note(" · ".join(parts), "bad" if wrong else "muted")

    def on_row_list_moved(self) -> None:
        """Another cartridge is looked at."""
        self.host.behind(self._pause, "card")

    async def _pause(self) -> None:
        await asyncio.sleep(PAUSE_S)
        await self._look()

    async def _look(self) -> None:
        """Find out about the cartridge under the cursor."""
        entry, seen = self.under, self.seen
        told = None
        if entry is not None and seen is not None:
            told = await self.desk.think(partial(cartridgepane.tell, seen.looked, entry, seen.counted.get(entry.path)))
        if (entry.path if entry else "") == self.rows.key:
            self.pane.show(told)

    @property
    def under(self) -> Entry | None:
        """The cartridge under the cursor."""
        return self._by.get(self.rows.key)

    # --- the filter --------------------------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Let somebody type."""
        sieve = self.query_one(Sieve)
        sieve.add_class("-open")
        sieve.focus()

    def on_input_changed(self, message: Input.Changed) -> None:
        """Filter while it is typed: what was read is at hand."""
        message.stop()
        self.words = message.value
        self.query_one(Sieve).set_class(bool(self.words) or self.query_one(Sieve).has_focus, "-open")
        self.fill()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Enter: it holds, and the list has the keys again."""
        message.stop()
        self.query_one(Sieve).set_class(bool(self.words), "-open")
        self.rows.focus()

    def _sieve(self, words: str) -> None:
        self.words = words
        for sieve in self.query(Sieve):  # there is none yet where nobody has been here
            with self.prevent(Input.Changed):
                sieve.value = words
            sieve.set_class(bool(words), "-open")

    # --- the card ----------------------------------------------------------------------------------------------------------------

    def on_row_list_chosen(self) -> None:
        """Read it: beside the list, or in its place where there is no room for both."""
        self.add_class("-reading")
        self.pane.focus()

    def action_back(self) -> None:
        """To the list."""
        self.remove_class("-reading")
        self.rows.focus()

    # --- what is done ------------------------------------------------------------------------------------------------------------

    def action_check(self) -> None:
        """Name the mistakes of the one under the cursor."""
        entry = self.under
        if entry is not None:
            self.host.behind(partial(self._check, entry), "check")

    async def _check(self, entry: Entry) -> None:
        if entry.own:
            path = self.desk.paths.root / entry.path.removesuffix("/cartridge.toml")
            found = await self.desk.think(partial(mistakes, self.desk.session, path))
        else:
            found = [each for each in (self.seen.looked.problems if self.seen else ()) if each.where.startswith(entry.path)]
        self._sheet(f"Check of {entry.path}", list(cartridgepane.problems(found)))

    def action_check_all(self) -> None:
        """Name all mistakes."""
        if self.seen is not None:
            self._sheet("Check of everything", list(cartridgepane.problems(self.seen.looked.problems)))

    def _sheet(self, title: str, lines: list[Content]) -> None:
        self.app.push_screen(Sheet(title, Content("\n").join(lines or [plain("✔ no mistake", "good")])))

    def action_test(self) -> None:
        """Run the examples of the one under the cursor."""
        entry = self.under
        if entry is None:
            return
        if not entry.own:
            self.host.tell(
                f"{entry.id} is no file of this workspace: its examples are not run; b tries it over the log", bad=True
            )
            return
        self.note(f"the examples of {entry.id} run …")
        self.host.behind(partial(self._test, entry), "test")

    async def _test(self, entry: Entry) -> None:
        path = self.desk.paths.root / entry.path.removesuffix("/cartridge.toml")
        ended = await Child(self.desk, ["cartridge", "test", str(path)]).run(lambda _read, _of: None)
        self._sheet(f"Examples of {entry.id}", tested(ended.answer("the test")))

    def action_backtest(self) -> None:
        """Run the one under the cursor over the log."""
        if self.under is not None:
            asking.backtest(self, self.under)

    def action_install(self) -> None:
        """Bring one in."""
        asking.install(self)

    def action_promote(self) -> None:
        """Move the one under the cursor to more people."""
        if self.under is not None:
            asking.promote(self, self.under)

    def action_rollback(self) -> None:
        """Bring a kept version of the one under the cursor back."""
        if self.under is not None:
            asking.rollback(self, self.under)

    def action_remove(self) -> None:
        """Take the one under the cursor away."""
        if self.under is not None:
            asking.remove(self, self.under)

    def action_trust(self) -> None:
        """Trust the one under the cursor, or no more."""
        if self.under is not None:
            asking.trust(self, self.under)

    def action_edit(self) -> None:
        """Open the file under the cursor in the editor, which has the terminal until it ends."""
        entry, env = self.under, self.desk.session.env
        if entry is None or not entry.own:
            self.host.tell("only a file of this workspace can be edited", bad=True)
            return
        editor = shlex.split(env.get("VISUAL") or env.get("EDITOR") or "vi")
        try:
            with self.app.suspend():
                subprocess.run([*editor, str(self.desk.paths.root / entry.path)], env=dict(env), check=False)
        except (SuspendNotSupported, OSError) as wrong:
            self.host.tell(f"the editor cannot be opened: {wrong or 'there is no terminal'}", bad=True)
            return
        self.host.reread()


def tested(answer: Mapping[str, Any]) -> list[Content]:
    """The results of `cartridge test`, one after the other, with what is not as it should be."""
    lines = [plain(f"{count(answer['examples'], 'example')}, {answer['failed'] or 'none'} failed", "strong")]
    for item in answer["items"]:
        mark = Cell("✔ holds", "good") if item["ok"] else Cell("✗ fails", "bad")
        lines.append(line(mark, Cell(said(item["path"]))))
        if item["problem"]:
            lines.append(plain(f"    {said(item['problem'])}", "bad"))
        for miss in item["misses"]:
            lines.append(plain(f"    {said(miss['what'])}"))
            lines.append(line(Cell("      expected", "muted"), Cell(said(miss["expected"]))))
            lines.append(line(Cell("      found   ", "muted"), Cell(said(miss["found"]))))
    return lines


def stamp(paths: Paths, store: Store) -> int:
    """Changes when something was written, installed, switched off or suspended. Costs a look at each file's entry."""
    files = [
        paths.config,
        *(Path(base, name) for top in FOLDERS for base, _, names in os.walk(paths.root / top) for name in names),
    ]
    looks = []
    for file in files:
        try:
            stat = file.lstat()
        except OSError:
            continue
        looks.append((str(file), stat.st_mtime_ns, stat.st_size, stat.st_ino))
    units = [(unit.path, unit.hash, unit.state, unit.reason, unit.strikes) for unit in store.units().values()]
    return hash(
        (tuple(sorted(looks)), tuple(sorted(store.installed())), tuple(sorted(units)), tuple(map(str, standing(store))))
    )
