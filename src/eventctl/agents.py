"""The executor `agent`: a configured program, such as a coding agent, works on a notification.

It claims the notification, gives the program what is known about it as JSON on its standard input, renews the claim while the program
runs, and settles by how that ends: exit code 0 resolves the notification, anything else gives it back with the reason.

    {"agent": "claude", "instructions": "...",             what the workspace's own rule or cartridge asks for
     "notification": {...}, "event": {...}, "history": [...], "left_out": 0}       what is known: data, whoever sent it

`instructions` are the workspace's words. Everything else holds text from whoever sends events, each record with the principal that
brought it in: it describes and commands nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from eventctl import client, holding, moves
from eventctl.contracts import Answer, Request
from eventctl.errors import Conflict, EventctlError, NotFound, UsageError
from eventctl.event import Level
from eventctl.notification import Notification
from eventctl.principal import ROLES, Principal
from eventctl.programs import Ended, Programs
from eventctl.store import LogRow, Store
from eventctl.text import safe_text
from eventctl.times import MINUTE, SECOND, format_duration, iso

if TYPE_CHECKING:
    from eventctl.settings import AgentSettings
    from eventctl.workspace import Paths

TIMEOUT = 30 * MINUTE
LEASE = 5 * MINUTE
BEAT = 1 * MINUTE
"""A claim is held for so long and renewed so often: when this machine goes down, the notification is free again soon."""

AROUND_S = 60.0
"""What an attempt may take besides its program."""

HISTORY_MAX = 100
HISTORY_BYTES = 1024 * 1024
SUMMARY_MAX = 500
SAID_MAX = 300

Writing = Callable[[], AbstractContextManager[Store]]

log = logging.getLogger("eventctl.agents")


@dataclass(frozen=True, slots=True)
class Agent:
    """How an agent is started: its words, never a shell's; `timeout` in microseconds; what its environment has besides the usual."""

    command: tuple[str, ...]
    timeout: int = TIMEOUT
    env: Mapping[str, str] = field(default_factory=dict)


class Hold(NamedTuple):
    """A notification in an agent's hand: the claim's token is its fence."""

    agent: str
    number: int
    token: int


class AgentExecutor:
    """`context.call("agent", {"agent": "claude", "instructions": "...", "notification": 12})`.

    Without `notification` it is the open one whose history holds the event of the call. `agents` gives what is configured now,
    `writing` the store for one move. The answer is {"agent", "notification", "exit", "resolution", "output", "seconds"}. It is not ok,
    and nothing was run, when somebody else holds the notification; nor when the program did not end with exit code 0.
    """

    name = "agent"
    acts = True

    def __init__(
        self,
        agents: Callable[[], Mapping[str, Agent]],
        writing: Writing,
        programs: Programs,
        *,
        root: str,
        now: Callable[[], int],
        lease: int = LEASE,
        beat: int = BEAT,
    ) -> None:
        self._agents = agents
        self._writing = writing
        self._programs = programs
        self._root = root
        self._now = now
        self._lease = lease
        self._beat = beat
        self._claiming = Lock()
        self.deadline_s = AROUND_S + max([0, *(agent.timeout for agent in agents().values())]) / SECOND

    def execute(self, request: Request) -> Answer:
        agents = self._agents()
        wrong = _wrong(request.args, agents)
        if wrong:
            return Answer(False, error=wrong)
        name, agent = request.args["agent"], agents[request.args["agent"]]
        if agent.timeout / SECOND > request.deadline_s:
            return Answer(
                False,
                error=f"the runner was started before {name} had its time of {format_duration(agent.timeout)}: start `eventctl run` anew",
            )
        with self._writing() as store:
            number = request.args.get("notification") or _notification_of(store, request.seq)
            if number is None:
                said = f"no open notification holds e{request.seq}: say which one it is about"
                return Answer(False, error=said)
            hold = self._take(store, name, number)
            if isinstance(hold, Answer):
                return hold
            given = brief(store, hold, str(request.args.get("instructions", "")))
        return self._work(request, agent, hold, given)

    def stop(self) -> None:
        """End all agents that run, with their children, and whatever is started after."""
        self._programs.stop()

    def _work(self, request: Request, agent: Agent, hold: Hold, given: bytes) -> Answer:
        env = {
            **agent.env, "EVENTCTL_AGENT": hold.agent, "EVENTCTL_NOTIFICATION": f"n{hold.number}", "EVENTCTL_CLAIM": str(hold.token),
            "EVENTCTL_WORKSPACE": self._root, "EVENTCTL_CALL": request.id,
        }  # fmt: skip
        try:
            ended = self._programs.run(
                agent.command, seconds=agent.timeout / SECOND, given=given, env=env, watch=self._heart(hold)
            )
        except (OSError, ValueError) as error:
            why = f"cannot start {agent.command[0]!r}: {error}"
            self._settle(lambda store: self._release(store, hold, why))
            return Answer(False, error=why)
        said = ended.output.decode(errors="replace")
        if ended.exit or ended.stopped:
            words = "stopped with the runner" if self._programs.stopping else ended.words
            self._settle(lambda store: self._release(store, hold, f"{hold.agent} {words}"))
            tail = safe_text(said[-SAID_MAX:].strip(), limit=SAID_MAX)
            return Answer(False, error=f"{hold.agent} {words}" + (f"; it had said: {tail}" if tail else ""))
        return self._done(hold, ended, said)

    def _done(self, hold: Hold, ended: Ended, said: str) -> Answer:
        """Exit code 0: resolve, with what its last line says."""
        settled = self._settle(lambda store: self._resolve(store, hold, ended.answer.decode(errors="replace")))
        if isinstance(settled, str):
            return Answer(False, error=f"{hold.agent} ended with exit code 0, but {settled}")
        answer = {
            "agent": hold.agent, "notification": hold.number, "exit": 0, "resolution": settled,
            "output": said, "truncated": ended.said > len(ended.output), "seconds": ended.seconds,
        }  # fmt: skip
        return Answer(True, result=answer)

    def _take(self, store: Store, agent: str, number: int) -> Hold | Answer:
        """Claim it. Claiming renews what is the agent's already, so that it is free is looked at first, by one at a time."""
        now = self._now()
        with self._claiming:
            row = store.views.notification(number)
            if row is not None and holding.held(row, now):
                left_s = ((row.lease_due or now) - now) / SECOND
                mine = row.agent == agent
                return Answer(
                    False, error=f"n{number} is in the hands of {row.agent}", again=mine, after_s=left_s if mine else None
                )
            try:
                claimed = moves.claim(store, number, agent=agent, principal=principal(agent), now=now, lease=self._lease)
                after = claimed.notification
                if after.claimed_at != now:  # somebody of the same name was faster, and this only renewed it
                    return Answer(False, error=f"n{number} is in the hands of {after.agent}")
                moves.start(store, number, agent=agent, principal=principal(agent), now=now, token=after.lease_token)
            except (Conflict, NotFound) as error:
                return Answer(False, error=error.what)
        return Hold(agent, number, after.lease_token)

    def _heart(self, hold: Hold) -> Callable[[], str]:
        """What renews the claim, when it is time, and says why the work is to end: somebody else has taken it over."""
        due = time.monotonic() + self._beat / SECOND

        def beat() -> str:
            nonlocal due
            if time.monotonic() < due:
                return ""
            due = time.monotonic() + self._beat / SECOND
            try:
                with self._writing() as store:
                    return self._renew(store, hold)
            except EventctlError as error:  # a full disk, a busy store: the claim lasts for several beats
                log.warning("the claim of %s on n%d could not be renewed: %s", hold.agent, hold.number, error.what)
                return ""

        return beat

    def _renew(self, store: Store, hold: Hold) -> str:
        row = store.views.notification(hold.number)
        lost = _lost(row, hold)
        if lost or row is None or row.agent_state == "resolved":
            return f"stopped: {lost}" if lost else ""
        now = self._now()
        try:
            moves.claim(store, hold.number, agent=hold.agent, principal=principal(hold.agent), now=now, lease=self._lease)
        except (Conflict, NotFound) as error:
            return f"stopped: {error.what}"
        return ""

    def _release(self, store: Store, hold: Hold, why: str) -> str:
        row = store.views.notification(hold.number)
        if _lost(row, hold) or (row is not None and row.agent_state == "resolved"):
            return ""
        reason = safe_text(why, limit=SUMMARY_MAX)
        who, now = principal(hold.agent), self._now()
        try:
            moves.release(store, hold.number, agent=hold.agent, principal=who, now=now, token=hold.token, reason=reason)
        except (Conflict, NotFound) as error:
            log.info("%s", error.what)
        return ""

    def _resolve(self, store: Store, hold: Hold, said: str) -> Mapping[str, Any] | str:
        """The resolution that was taken, or why there is none."""
        row = store.views.notification(hold.number)
        lost = _lost(row, hold)
        if lost or row is None:
            return lost
        if row.agent_state == "resolved":  # it did so itself, with `eventctl inbox resolve`
            own: dict[str, Any] = orjson.loads(row.resolution or b"{}")
            return own
        unfit = ""
        for resolution in _resolutions(said):
            try:
                moves.resolve(
                    store, hold.number, agent=hold.agent, principal=principal(hold.agent), now=self._now(), resolution=resolution,
                    token=hold.token,
                )  # fmt: skip
            except UsageError as error:
                unfit = unfit or error.what
            except (Conflict, NotFound) as error:
                return error.what
            else:
                return resolution
        self._release(store, hold, unfit)
        return unfit

    def _settle(self, step: Callable[[Store], Mapping[str, Any] | str]) -> Mapping[str, Any] | str:
        try:
            with self._writing() as store:
                return step(store)
        except EventctlError as error:  # the work is done and must not be done again: the lease gives the notification back
            log.warning("%s", error.what)
            return error.what


def executor(
    paths: Paths, env: Mapping[str, str], configured: Callable[[], Mapping[str, AgentSettings]], *, now: Callable[[], int]
) -> AgentExecutor:
    """The executor of a workspace, whose agents are those that its settings hold when they are asked."""

    def agents() -> dict[str, Agent]:
        return {name: Agent(each.command, each.timeout, each.env) for name, each in configured().items()}

    root = str(paths.root)
    return AgentExecutor(agents, lambda: client.short(paths), Programs(env, root), root=root, now=now)


def principal(agent: str) -> Principal:
    """Who an agent is that the outbox runs, and what it may do: what agents may."""
    return Principal("outbox", f"agent:{agent}", ROLES["agent"])


def brief(store: Store, hold: Hold, instructions: str) -> bytes:
    """What an agent reads: its instructions, and apart from them what is known about the notification."""
    row = store.views.notification(hold.number)
    if row is None:
        raise NotFound(f"there is no n{hold.number}")
    life = store.views.life(hold.number, limit=HISTORY_MAX)
    kept, size = 0, 0
    for record in reversed(life):
        size += len(record.body)
        if size > HISTORY_BYTES:
            break
        kept += 1
    newest = store.views.record(row.seq)
    told = {
        "agent": hold.agent, "instructions": instructions, "notification": {**_notification(row), "claim": hold.token},
        "event": None if newest is None else _record(newest), "history": [_record(each) for each in life[len(life) - kept :]],
        "left_out": len(life) - kept,
    }  # fmt: skip
    return orjson.dumps(told)


def _wrong(args: Mapping[str, Any], agents: Mapping[str, Agent]) -> str:
    """What is wrong with a call's arguments, in a sentence; "" when nothing is."""
    name, number = args.get("agent"), args.get("notification")
    if not isinstance(name, str) or name not in agents:
        there = ", ".join(sorted(agents)) or "none yet"
        return f"no agent is called {name!r}: under [agents] in eventctl.toml stand {there}"
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number <= 0):
        return "notification is a number, like 12"
    return "" if isinstance(args.get("instructions", ""), str) else "instructions are a text"


def _notification_of(store: Store, seq: int) -> int | None:
    trace = store.views.trace(seq) if seq else None
    rows = trace.notifications if trace else []
    return next((row.id for row in rows if row.agent_state != "resolved" and row.archived_at is None), None)


def _lost(row: Notification | None, hold: Hold) -> str:
    """Who has it in the agent's place; "" while it is the agent's, or was until the agent itself resolved it."""
    if row is None or row.archived_at is not None:
        return f"n{hold.number} was put away"
    if row.lease_token != hold.token:
        return f"n{hold.number} has been claimed again since, by {row.agent or 'somebody'}"
    if row.agent_state == "resolved" and row.agent != hold.agent:
        return f"n{hold.number} was resolved without it"
    if row.agent_state == "none":
        return f"n{hold.number} was given back"
    return ""


def _resolutions(said: str) -> Sequence[dict[str, Any]]:
    """What the last line of its output may mean: a resolution in JSON, or a summary in words."""
    line = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")
    plain = {"summary": safe_text(line, limit=SUMMARY_MAX) or "done"}
    try:
        given = orjson.loads(line)
    except orjson.JSONDecodeError:
        return [plain]
    return [given, plain] if isinstance(given, dict) else [plain]


def _notification(row: Notification) -> dict[str, Any]:
    return {
        "number": row.id, "title": row.title, "level": Level(row.level).name.lower(), "domain": row.domain, "type": row.type,
        "entity": row.entity, "life": row.life, "life_key": row.life_key, "audience": row.audience,
        "opened_at": iso(row.created_at), "changed_at": iso(row.updated_at), "seq": row.seq,
    }  # fmt: skip


def _record(row: LogRow) -> dict[str, Any]:
    return {
        "seq": row.seq, "kind": row.kind, "type": row.type, "source": row.source, "principal": row.principal, "at": iso(row.at),
        "body": orjson.loads(row.body),
    }  # fmt: skip
