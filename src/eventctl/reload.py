"""What people write has changed: new pipelines are built aside, and take the old ones' place between two steps.

A thread watches the folders of cartridges and domains and looks at `eventctl.toml` once a second; it only says that something
changed. The engine asks with `take` between its steps, on its own thread. When what was changed has a mistake that was not there
before, what ran keeps running, and either way an event says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from eventctl.advance import Pipeline
from eventctl.announce import announce
from eventctl.discovery import Found
from eventctl.errors import EventctlError, Problem
from eventctl.installed import VERSION
from eventctl.store import Record, Store
from eventctl.workspace import CONFIG, Paths

FOLDERS = ("company", "cartridges", "personal")
STEP_MS = 150
"""How often the watching thread wakes up. A change is heard of at its first look and told at the next, when nothing more has come: 0.15
to 0.3 s. At 500 ms a reload took 0.8 to 1.3 s; this costs 0.05 % of a processor more; the library's 50 ms took twice what the rest
of an idle runner takes."""

DEBOUNCE_MS = 250
"""An editor writes a file in several steps; a build that starts in between sees half of it."""

LOOK_MS = 2_000
PROBLEMS_MAX = 20


class Built(NamedTuple):
    """Pipelines, ready to run; what was left out of them and why; and what was found, for the next look."""

    pipelines: Sequence[Pipeline]
    problems: Sequence[Problem]
    found: Sequence[Found] = ()


class Change(NamedTuple):
    """What a reload came to: the pipelines to run from now on (None keeps the old ones), and the event that says so."""

    pipelines: Sequence[Pipeline] | None
    told: Record


class Reload:
    """Watches one workspace. `build` makes pipelines from the files as they are now, given those that run; `running` runs.

    `installed` is the store's fact about what is installed (`installed.VERSION`), as it was before `running` was built.
    """

    def __init__(
        self,
        paths: Paths,
        build: Callable[[Store, Built], Built],
        running: Built,
        *,
        now: Callable[[], int],
        wake: Callable[[], None],
        installed: str | None = None,
    ) -> None:
        self._root = paths.root
        self._build = build
        self._running = running
        self._now = now
        self._wake = wake
        self._installed = installed
        self._changed = threading.Event()
        self._stop = threading.Event()
        self.watching = threading.Event()
        """Set once the watcher has looked: what is written from then on is seen."""
        self._thread: threading.Thread | None = None

    def watch(self) -> None:
        """Begin to watch."""
        self._thread = threading.Thread(target=self._watch, name="reload", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)

    def ask(self) -> None:
        """Something has changed: have a look between this step and the next."""
        self._changed.set()
        self._wake()

    def take(self, store: Store) -> Change | None:
        """Build again if something has changed, in files or in what is installed; None when nothing has."""
        installed = store.meta(VERSION)
        if not self._changed.is_set() and installed == self._installed:
            return None
        self._changed.clear()
        self._installed = installed
        try:
            built = self._build(store, self._running)
        except EventctlError as error:
            return self._failed([Problem(error.where, error.what, error.hint)])
        known = set(self._running.problems)
        new = [problem for problem in built.problems if not problem.warning and problem not in known]
        if new:
            return self._failed(new)
        self._running = built
        facts = {"pipelines": [pipeline.name for pipeline in built.pipelines]}
        return Change(built.pipelines, announce("system.reload.done", facts, now=self._now(), by="runner", entity="reload"))

    def _failed(self, problems: Sequence[Problem]) -> Change:
        first = problems[0]
        reason = f"{first.where}: {first.what}" if first.where else first.what
        facts = {"reason": reason, "problems": [f"{found.where}: {found.what}" for found in problems[:PROBLEMS_MAX]]}
        told = announce("system.reload.failed", facts, now=self._now(), by="runner", entity="reload", description=reason)
        return Change(None, told)

    def _watch(self) -> None:
        settings = self._settings()
        for changed in self._changes():
            self.watching.set()
            if self._stop.is_set():
                return
            before, settings = settings, self._settings()
            if changed or before != settings:
                self.ask()

    def _changes(self) -> Iterator[bool]:
        """About once a second, and at once when a file has changed: whether one has. Folders may come and go."""
        from watchfiles import watch  # 70 ms, on this thread and not before the first step

        while not self._stop.is_set():
            folders = self._folders()
            if not folders:
                self._stop.wait(LOOK_MS / 1000)
                yield bool(self._folders())
                continue
            for changes in watch(
                *folders,
                watch_filter=lambda _, path: is_ours(path, self._root),
                debounce=DEBOUNCE_MS,
                step=STEP_MS,
                rust_timeout=LOOK_MS,
                yield_on_timeout=True,
                stop_event=self._stop,
                raise_interrupt=False,
            ):
                yield bool(changes)
                if self._folders() != folders:
                    yield True
                    break

    def _folders(self) -> list[Path]:
        return [self._root / name for name in FOLDERS if (self._root / name).is_dir()]

    def _settings(self) -> tuple[int, int]:
        try:
            stat = (self._root / CONFIG).stat()
        except FileNotFoundError:
            return (0, 0)
        return (stat.st_mtime_ns, stat.st_size)


def is_ours(path: str, root: Path) -> bool:
    """Whether a changed file can matter: hidden ones, compiled ones and editors' leftovers cannot."""
    parts = Path(path).relative_to(root).parts
    hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
    return not hidden and not path.endswith(("~", ".swp", ".tmp", ".new", ".pyc"))
