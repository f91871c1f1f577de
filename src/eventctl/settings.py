"""The settings of a workspace: `eventctl.toml`, with `EVENTCTL_SECTION__KEY` over it.

Mistakes do not stop a workspace: each is reported with its key, and what is mistaken falls back to its default, but for
`autonomy`, which holds what nobody could read. What this version does not obey is reported too, as a warning.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, ValidationError, WithJsonSchema

from eventctl import autonomy, times
from eventctl.decode import LIMITS
from eventctl.enrichments import EnrichmentSettings
from eventctl.errors import Misconfigured, Problem
from eventctl.event import Level
from eventctl.lives import DEFAULT_AGEING, DEFAULT_LEASE, Ageing
from eventctl.nearest import did_you_mean
from eventctl.obeyed import unobeyed
from eventctl.principal import CHANNELS
from eventctl.shapes import (
    Duration,
    Pattern,
    Size,
    Slug,
    Strings,
    Window,
    Written,
    is_duration,
    parse_window,
    written_duration,
)
from eventctl.suggest import Key, at, key_text, problems_of, read_toml, salvage

ENV_PREFIX = "EVENTCTL_"

_MEMBER = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SECRET = re.compile(r"token|secret|password|passwd|authorization|api_?key", re.IGNORECASE)


def _member(text: str) -> str:
    if not _MEMBER.fullmatch(text):
        raise ValueError(f"a member's name is lower-case letters, digits, '-' and '_', not {text[:40]!r}")
    return text


def _channel(text: str) -> str:
    if text not in ("", "*", *CHANNELS):
        raise ValueError(f"a channel is one of {', '.join(sorted(CHANNELS))}, not {text[:40]!r}")
    return text


def _one_channel(text: str) -> str:
    if text not in CHANNELS:
        raise ValueError(f"a channel is one of {', '.join(sorted(CHANNELS))}, not {text[:40]!r}")
    return text


def _by_level(default: tuple[int, int, int, int]) -> BeforeValidator:
    """One duration for all levels, or a table of some."""

    def read(value: Any) -> tuple[int, ...]:
        if not isinstance(value, dict):
            return (parse_window(value),) * 4
        times_by_level = list(default)
        for name, given in value.items():
            times_by_level[Level.parse(name)] = parse_window(given)
        return tuple(times_by_level)

    return BeforeValidator(read)


_BY_LEVEL = WithJsonSchema(
    {
        "oneOf": [
            {"type": "string", "examples": ["7d", "forever"]},
            {
                "type": "object",
                "properties": {level.name.lower(): {"type": "string", "examples": ["7d"]} for level in Level},
                "additionalProperties": False,
            },
        ]
    }
)
Four = tuple[int, int, int, int]
Strictness = Literal["permissive", "standard", "strict"]
MemberName = Annotated[str, AfterValidator(_member)]
CountOrNever = Annotated[int, Field(ge=0, le=1_000_000)]


class WorkspaceSettings(Written):
    """The workspace itself."""

    name: str = ""


class TrustRule(Written):
    """Events whose source fits the shell pattern, from a channel (`""` or `*`: any), are judged so; the first rule that fits holds."""

    source: Annotated[str, Field(min_length=1)]
    channel: Annotated[str, AfterValidator(_channel)] = ""
    verdict: Literal["accept", "flag", "attenuate", "quarantine", "reject"]


Odd = Literal["ignore", "flag", "attenuate", "quarantine", "reject"]


class AnomalySettings(Written):
    """What is odd about an event whoever sent it, and what that comes to. `sizes` are by pattern of types; the first that fits holds."""

    first_seen: Odd = "flag"
    oversized: Odd = "attenuate"
    unlike_schema: Odd = "flag"
    size: Size = LIMITS.bytes // 4
    sizes: dict[Pattern, Size] = Field(default_factory=dict)


class TrustSettings(Written):
    """Who is believed. `domains` and `channels` say where a domain or a channel is stricter or laxer than the workspace."""

    strictness: Strictness = "standard"
    rules: Annotated[tuple[TrustRule, ...], Strict(False)] = ()
    domains: dict[str, Strictness] = Field(default_factory=dict)
    channels: dict[Annotated[str, AfterValidator(_one_channel)], Strictness] = Field(default_factory=dict)
    anomalies: AnomalySettings = AnomalySettings()


class AutonomySettings(Written):
    """What may act without asking: L1 holds, L2 acts with an undo window, L3 acts. Type before cartridge before domain.

    What L2 lets act can be undone for `window`; what is held waits for a person for `expires`; L2 lets act what a person has approved
    `after` times.
    """

    default: autonomy.Level = "L3"
    domains: dict[str, autonomy.Level] = Field(default_factory=dict)
    cartridges: dict[str, autonomy.Level] = Field(default_factory=dict)
    types: dict[Pattern, autonomy.Level] = Field(default_factory=dict)
    window: Duration = autonomy.WINDOW
    expires: Duration = autonomy.EXPIRES
    after: CountOrNever = autonomy.AFTER


class MemberSettings(Written):
    """A person of the workspace. `domains` are those that they decide for, and whose notifications they see first."""

    role: Literal["admin", "member"] = "member"
    domains: Strings = ()


class AgentSettings(Written):
    """An agent that cartridges may call: the program and its words, how long it may take, and what its environment has besides."""

    command: Annotated[Strings, Field(min_length=1)]
    timeout: Duration = 30 * times.MINUTE
    env: dict[str, str] = Field(default_factory=dict)


class PluggedSettings(BaseModel):
    """A source or channel: its kind, and what that kind of it takes (`model_extra`), which whoever provides it checks."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    kind: Annotated[str, Field(min_length=1)]


class RetentionSettings(Written):
    """How long the log keeps events, and how large its file may grow (None: any size). What is still owed or shown stays."""

    events: Window = 90 * times.DAY
    size: Size | None = None


class AgeingSettings(Written):
    """How long notifications stay, one duration or by level; a type's own `ageing` goes before it."""

    resolved: Annotated[Four, _by_level(DEFAULT_AGEING.resolved), _BY_LEVEL] = DEFAULT_AGEING.resolved
    unhandled: Annotated[Four, _by_level(DEFAULT_AGEING.unhandled), _BY_LEVEL] = DEFAULT_AGEING.unhandled
    purge: Annotated[Four, _by_level(DEFAULT_AGEING.purge), _BY_LEVEL] = DEFAULT_AGEING.purge

    def value(self) -> Ageing:
        """What `catalog.load` takes."""
        return Ageing(self.resolved, self.unhandled, self.purge)


class InboxSettings(Written):
    """Claims: how long one holds before somebody else may take the notification."""

    lease: Duration = DEFAULT_LEASE


def _whole_minutes(us: int) -> int:
    if us < times.MINUTE or us % times.MINUTE:
        raise ValueError(f"is counted in whole minutes, like '5m', not {written_duration(us)!r}")
    return us


class CorrelationSettings(Written):
    """When many events become one: the window, and how many make a burst, a cascade of failures, a degraded entity; 0 for never."""

    window: Annotated[Duration, AfterValidator(_whole_minutes)] = 5 * times.MINUTE
    burst: CountOrNever = 10
    cascade: CountOrNever = 3
    degraded: CountOrNever = 3


class RunnerSettings(Written):
    """How the runner works. In-process code has `in_process_budget` per event; past `hang_deadline` it counts as hung.

    After `promote_after` runs a member's or a domain's cartridge is suggested to more people, once; 0 is for never.
    """

    in_process_budget: Duration = 5 * times.MILLISECOND
    hang_deadline: Duration = 2 * times.SECOND
    enrichment_budget: Duration = 50 * times.MILLISECOND
    batch: Annotated[int, Field(ge=1, le=10_000)] = 500
    promote_after: Annotated[int, Field(ge=0)] = 1_000


class PluginsSettings(Written):
    """Plugins that are installed but not wanted here, by name."""

    disabled: Strings = ()


class Settings(Written):
    """`eventctl.toml`, every section of it. Durations are microseconds, sizes bytes."""

    workspace: WorkspaceSettings = WorkspaceSettings()
    trust: TrustSettings = TrustSettings()
    autonomy: AutonomySettings = AutonomySettings()
    members: dict[MemberName, MemberSettings] = Field(default_factory=dict)
    agents: dict[MemberName, AgentSettings] = Field(default_factory=dict)
    sources: dict[str, PluggedSettings] = Field(default_factory=dict)
    channels: dict[str, PluggedSettings] = Field(default_factory=dict)
    retention: RetentionSettings = RetentionSettings()
    ageing: AgeingSettings = AgeingSettings()
    inbox: InboxSettings = InboxSettings()
    correlation: CorrelationSettings = CorrelationSettings()
    runner: RunnerSettings = RunnerSettings()
    plugins: PluginsSettings = PluginsSettings()
    enrichment: dict[Slug, EnrichmentSettings] = Field(default_factory=dict)
    enable: dict[Slug, dict[str, Any]] = Field(default_factory=dict)


class Shown(NamedTuple):
    """One setting that holds: its key, its value as people write it, and where it came from (default, the file, a variable)."""

    key: str
    value: Any
    origin: str


class _Read(NamedTuple):
    settings: Settings
    data: dict[str, Any]
    origins: dict[Key, str]
    problems: list[Problem]


def load(path: Path, env: Mapping[str, str] | None = None, *, shown: str = "") -> tuple[Settings, list[Problem]]:
    """The settings of the file at `path` under the variables of `env`, and every mistake in both. Never fails."""
    where = shown or path.name
    read = _read(path, env or {}, where)
    return read.settings, [*read.problems, *_unobeyed(read, where)]


def explain(path: Path, env: Mapping[str, str] | None = None, *, shown: str = "") -> list[Shown]:
    """Every setting that holds, with its origin. What looks like a secret is hidden."""
    read = _read(path, env or {}, shown or path.name)
    return [
        row
        for section in Settings.model_fields
        for row in _rows((section,), getattr(read.settings, section), read.data.get(section, {}), read, shown or path.name)
    ]


def json_schema() -> dict[str, Any]:
    """The JSON Schema of `eventctl.toml`, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema(), "title": "eventctl.toml"}


def _read(path: Path, env: Mapping[str, str], where: str) -> _Read:
    try:
        data = read_toml(path, where)
    except Misconfigured as error:
        read = _Read(Settings(), {}, {}, list(error.problems))
    else:
        settings, left, problems = salvage(Settings, data, where, _unit)
        read = _Read(settings or Settings(), left, {}, problems)
    for name in sorted(env):
        if name.startswith(ENV_PREFIX) and "__" in name:
            read = _with_variable(read, name, env[name])
    return _closed(read, where)


def _closed(read: _Read, where: str) -> _Read:
    """What may act is the one thing that does not fall back to its default when it is mistaken: it is held, or it was not worth writing.

    All of it: what is mistaken may have been the word that held what a less specific one, here or in a domain's file, lets go.
    """
    spoilt = (at(where, ("autonomy",)), f"{ENV_PREFIX}AUTONOMY")
    if not any(each.where == where or each.where.startswith(spoilt) for each in read.problems if not each.warning):
        return read
    everything = {"default": "L1", "types": {"**": "L1"}, "cartridges": {}, "domains": {}}
    held = read.settings.autonomy.model_copy(update=everything)
    return read._replace(settings=read.settings.model_copy(update={"autonomy": held}))


def _unobeyed(read: _Read, file: str) -> Iterator[Problem]:
    for key, sentence in unobeyed("eventctl.toml", read.data):
        variable = next((name for given, name in read.origins.items() if given[: len(key)] == key), "")
        yield Problem(variable or at(file, key), sentence, "take it out", warning=True)


def _unit(key: Key) -> Key:
    inner = (("trust", "rules"), ("trust", "domains"), ("trust", "channels"), ("trust", "anomalies"))
    return key[:3] if key[:2] in inner or key[0] == "members" else key[:2]


def _with_variable(read: _Read, name: str, text: str) -> _Read:
    key = tuple(part.lower() for part in name.removeprefix(ENV_PREFIX).split("__"))
    if key[0] not in Settings.model_fields:
        problem = Problem(name, f"there is no section {key[0]!r}", did_you_mean(key[0], Settings.model_fields))
        return read._replace(problems=[*read.problems, problem])
    data = _put(read.data, key, _value(text))
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        mistakes = [problem._replace(where=name) for problem in problems_of(error, Settings, "")]
        return read._replace(problems=[*read.problems, *mistakes])
    return _Read(settings, data, {**read.origins, key: name}, read.problems)


def _value(text: str) -> Any:
    """A variable's text as TOML reads it (`200`, `true`, `["a"]`), or else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def _put(data: Mapping[str, Any], key: Key, value: Any) -> dict[str, Any]:
    inner = data.get(str(key[0]))
    below = _put(inner if isinstance(inner, dict) else {}, key[1:], value) if key[1:] else value
    return {**data, str(key[0]): below}


def _rows(key: Key, table: Any, given: Any, read: _Read, file: str) -> Iterator[Shown]:
    """What holds in a table: of a table inside it, each key."""
    for name in type(table).model_fields if isinstance(table, Written) else table:
        written, below = given.get(name), (*key, name)
        inner = getattr(table, name) if isinstance(table, Written) else None
        if isinstance(inner, Written):
            yield from _rows(below, inner, written or {}, read, file)
        elif written is None:
            yield Shown(key_text(below), _as_written(table, name), "default")
        else:
            yield from _leaves(below, written, read.origins, file)


def _leaves(key: Key, value: Any, origins: Mapping[Key, str], file: str) -> Iterator[Shown]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves((*key, name), inner, origins, file)
        return
    origin = next((origins[key[:length]] for length in range(len(key), 0, -1) if key[:length] in origins), file)
    hidden = isinstance(value, str) and any(_SECRET.search(str(part)) for part in key[2:])
    yield Shown(key_text(key), "(hidden)" if hidden else value, origin)


def _as_written(section: Any, name: str) -> Any:
    value = getattr(section, name)
    if isinstance(section, AgeingSettings):
        return {level.name.lower(): written_duration(value[level]) for level in Level}
    if is_duration(type(section).model_fields[name].metadata):
        return written_duration(value)
    return list(value) if isinstance(value, tuple) else value
