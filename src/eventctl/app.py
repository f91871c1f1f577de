"""The wiring: the one place that knows which parts a running workspace is made of.

`open` gives a program (and the command line) a workspace; `running` gives the runner's process its engine. Both put the same parts
together, around the pipelines of a `House`. Nothing is built before it is asked for: a workspace that is only read opens one connection.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from eventctl import client, settings, strictjson, workspace
from eventctl.advance import Pipeline
from eventctl.announce import announce
from eventctl.breadcrumb import NoCrumb
from eventctl.decode import decode, to_record
from eventctl.errors import NotFound, Problem
from eventctl.house import House
from eventctl.inbox import Inbox
from eventctl.installed import VERSION
from eventctl.invoked import Counting
from eventctl.outbox import Outbox
from eventctl.principal import ROLES, Principal
from eventctl.reload import Reload
from eventctl.retention import Keep, Retention
from eventctl.runner import LOG_BATCHES, Clock, Engine, MachineClock, StepReport, Wake
from eventctl.sqlite_store import SqliteStore
from eventctl.store import Appended, Record, Store
from eventctl.trampoline import Crumb
from eventctl.views import Views
from eventctl.workspace import Paths

PIECE = 500


class Emitted(NamedTuple):
    """Where an event stands in the log; `duplicate` says that it stood there before."""

    id: str
    seq: int
    duplicate: bool


class Running(NamedTuple):
    """An engine that holds its workspace, the store under it, and what was left out when it was built."""

    engine: Engine
    store: SqliteStore
    problems: Sequence[Problem]


@contextmanager
def running(
    paths: Paths,
    env: Mapping[str, str],
    *,
    crumb: Crumb,
    clock: Clock | None = None,
    watch: bool = False,
    checkpointer: bool = False,
    no_plugins: bool = False,
) -> Iterator[Running]:
    """An engine for a block. The caller holds the runner's lock, or is the child of who does. `watch` reloads what changes."""
    ticks = clock or MachineClock()
    with ExitStack() as closing:
        store = SqliteStore.open(paths.db, role="runner", checkpointer=checkpointer)
        closing.callback(store.close)
        wake = Wake()
        closing.callback(wake.close)
        house = House(paths, env, crumb, no_plugins=no_plugins, now=ticks.now)
        before = store.meta(VERSION)
        built = house.build(store)
        closing.callback(house.workers.close)
        outbox = Outbox(store, house.plugins.executors, wake=wake.wake, jitter=random.Random().random)
        closing.callback(outbox.close)
        reload = Reload(paths, house.build, built, now=ticks.now, wake=wake.wake, installed=before)
        closing.callback(reload.close)
        if watch:
            reload.watch()
        given = house.settings()[0]
        engine = Engine(
            store,
            built.pipelines,
            outbox,
            clock=ticks,
            wake=wake,
            reload=reload,
            limit=given.runner.batch,
            log_limit=LOG_BATCHES * given.runner.batch,
            counting=Counting(given.runner.promote_after),
        )
        engine.chore = Upkeep(store, Keep(given.retention.events, given.retention.size), engine).work
        yield Running(engine, store, built.problems)


class Upkeep:
    """Retention for the pipelines that an engine runs, whichever these are after a reload."""

    def __init__(self, store: SqliteStore, keep: Keep, engine: Engine) -> None:
        self._engine = engine
        self._live: set[str] = set()
        self._retention = Retention(store, keep, self._live, _expired)

    def work(self, now: int) -> bool:
        """One slice; whether there is more to do."""
        self._live.clear()
        self._live.update(pipeline.name for pipeline in self._engine.pipelines)
        return self._retention.work(now)


def _expired(pipeline: str, reason: str, now: int) -> Record:
    return announce("system.pipeline.expired", {"pipeline": pipeline, "reason": reason}, now=now, by="runner", entity=pipeline)


class Workspace:
    """An open workspace. Use it as a context manager, or close it.

    Emitting and reading work beside a runner. `step` and `run_until_idle` run the pipelines in this process, and raise
    `Unavailable` while another runner holds the workspace. Not safe to share between threads.
    """

    def __init__(
        self, paths: Paths, *, env: Mapping[str, str], clock: Clock, who: Principal, no_plugins: bool, i_know: bool
    ) -> None:
        self.paths = paths
        self._i_know = i_know
        self._env = env
        self._clock = clock
        self._who = who
        self._no_plugins = no_plugins
        self._closing = ExitStack()
        self._running: Running | None = None
        self._reader: SqliteStore | None = None
        self._appender = self._closing.enter_context(client.Appender(paths))
        self.inbox = Inbox(
            lambda: self.views, self._writing, who, clock.now, lambda: settings.load(paths.config, env)[0].inbox.lease
        )

    @property
    def store(self) -> SqliteStore:
        """The runner's store once this process runs the pipelines, a read-only one before."""
        if self._running is not None:
            return self._running.store
        if self._reader is None:
            self._reader = SqliteStore.open(self.paths.db, role="reader")
            self._closing.callback(self._reader.close)
        return self._reader

    @property
    def views(self) -> Views:
        """What people read."""
        return self.store.views

    @property
    def engine(self) -> Engine:
        """The engine, made on first use: from then on this process is the workspace's runner."""
        return self._run().engine

    @property
    def pipelines(self) -> list[Pipeline]:
        """The pipelines of this workspace, `system` first."""
        return self.engine.pipelines

    @property
    def problems(self) -> Sequence[Problem]:
        """What is written in this workspace and does not load."""
        return self._run().problems

    def emit(self, event: str, source: str, payload: Mapping[str, Any] | None = None, **fields: Any) -> Emitted:
        """Append one event, durable when this returns. `fields` are the envelope's others: entity, level, description, id ...

        Raises `Refused` with the field and the reason, `TryLater` when the disk is full.
        """
        return self.emit_many([{"event": event, "source": source, "payload": {} if payload is None else payload, **fields}])[0]

    def emit_many(self, envelopes: Iterable[Mapping[str, Any]]) -> list[Emitted]:
        """Append envelopes in their order, in transactions of up to 500. One that is refused raises before any is appended."""
        now = self._clock.now()
        records = [
            to_record(decode(strictjson.written(envelope), now=now), principal=str(self._who), at=now) for envelope in envelopes
        ]
        return [Emitted(record.id, row.seq, row.duplicate) for record, row in zip(records, self._append(records), strict=True)]

    def step(self) -> StepReport:
        """Do everything that is due, once."""
        return self.engine.step()

    def run_until_idle(self, *, patience_s: float = 30.0, each: Callable[[StepReport], None] | None = None) -> bool:
        """Step until nothing is owed; see `Engine.run_until_idle`."""
        return self.engine.run_until_idle(patience_s=patience_s, each=each)

    def close(self) -> None:
        """Let go of everything. What was emitted stays."""
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _run(self) -> Running:
        if self._running is None:
            self._closing.enter_context(workspace.running(self.paths, i_know=self._i_know))
            self._running = self._closing.enter_context(
                running(
                    self.paths, self._env, crumb=NoCrumb(), clock=self._clock, checkpointer=True, no_plugins=self._no_plugins
                )
            )
        return self._running

    def _append(self, records: Sequence[Record]) -> list[Appended]:
        if self._running is None:
            return self._appender.append(records)
        return [row for at in range(0, len(records), PIECE) for row in self._running.store.append(records[at : at + PIECE])]

    @contextmanager
    def _writing(self) -> Iterator[Store]:
        if self._running is not None:
            yield self._running.store
            return
        with client.short(self.paths) as store:
            yield store


def open(
    path: str | os.PathLike[str] | None = None,
    *,
    env: Mapping[str, str] = os.environ,
    clock: Clock | None = None,
    who: Principal | None = None,
    no_plugins: bool = False,
    i_know: bool = False,
) -> Workspace:
    """The workspace in `path`, or the one that the current folder belongs to. Raises `NotFound` when there is none.

    `who` is stamped on what is emitted and moved (default: `socket:` and the account's name, with an admin's rights).
    `i_know` lets this process run a workspace that lies on a network file system.
    """
    paths = workspace.at(Path(path).expanduser()) if path is not None else workspace.find(Path.cwd(), env)
    if not paths.db.exists():
        raise NotFound("the workspace has no state yet", where=str(paths.root), hint="`eventctl init` makes it")
    account = Principal("socket", env.get("USER") or str(os.getuid()), ROLES["admin"])
    return Workspace(paths, env=env, clock=clock or MachineClock(), who=who or account, no_plugins=no_plugins, i_know=i_know)
