"""Settings: every mistake is reported, the rest holds, and what is not obeyed is said."""

from __future__ import annotations

import os
from pathlib import Path

import jsonschema
import pytest

from eventctl import settings, workspace
from eventctl.discovery import Domain, DomainAutonomy, DomainFile
from eventctl.lives import DEFAULT_AGEING
from eventctl.matrix import matrix_of
from eventctl.settings import AutonomySettings, Settings
from eventctl.shapes import written_duration
from eventctl.suggest import parse_toml
from eventctl.times import DAY, FOREVER, HOUR, MINUTE, SECOND

FORMATS = """\
[workspace]
name = "ada-laptop"
[trust]
strictness = "strict"
rules = [{ source = "cron-*", channel = "cli", verdict = "accept" }]
[trust.domains]
marketing = "permissive"
[autonomy]
default = "L2"
[autonomy.domains]
customer-relations = "L1"
[autonomy.types]
"domain.software-development.deploy.failed" = "L1"
[members.ada]
role = "admin"
domains = ["software-development"]
[members.bob]
role = "member"
[sources.inbox]
kind = "files"
path = "drop/"
[sources.jobs]
kind = "schedule"
cron = "*/5 * * * *"
emit = { event = "system.schedule.fired", payload = { job = "sweep" } }
[channels.phone]
kind = "telegram"
token = "123:abc"
chat = 12345
[retention]
events = "30d"
[ageing]
resolved = { business = "30d" }
purge = "forever"
[runner]
batch = 200
[enable]
backup = { cron = "0 3 * * *" }
"""


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "eventctl.toml"
    path.write_text(text)
    return path


def load(tmp_path: Path, text: str, env: dict[str, str] | None = None) -> tuple[Settings, list[str]]:
    """The settings and the mistakes; warnings about what is not obeyed are left out."""
    found, problems = settings.load(file(tmp_path, text), env)
    return found, [str(problem) for problem in problems if not problem.warning]


def test_a_file_says_what_holds(tmp_path):
    found, problems = load(tmp_path, FORMATS)
    assert [] == problems
    assert ("strict", "cron-*", "accept") == (found.trust.strictness, found.trust.rules[0].source, found.trust.rules[0].verdict)
    assert ("admin", "member") == (found.members["ada"].role, found.members["bob"].role)
    assert {"path": "drop/"} == found.sources["inbox"].model_extra
    assert {"cron": "0 3 * * *"} == found.enable["backup"]
    assert 30 * DAY == found.retention.events


def test_an_empty_file_gives_the_defaults(tmp_path):
    found, problems = load(tmp_path, "")
    assert [] == problems
    assert ("standard", "L3", 90 * DAY, 500) == (
        found.trust.strictness, found.autonomy.default, found.retention.events, found.runner.batch
    )  # fmt: skip
    assert DEFAULT_AGEING == found.ageing.value()


def test_ageing_is_one_duration_or_by_level(tmp_path):
    ageing = load(tmp_path, FORMATS)[0].ageing.value()
    assert (*DEFAULT_AGEING.resolved[:3], 30 * DAY) == ageing.resolved
    assert ((FOREVER,) * 4, DEFAULT_AGEING.unhandled) == (ageing.purge, ageing.unhandled)


def test_all_mistakes_are_reported_and_the_rest_holds(tmp_path):
    found, problems = load(
        tmp_path,
        """\
colour = "red"
[workspace]
name = 5
[trust]
strictness = "strict"
rules = [{ source = "a", verdict = "acept" }, { source = "b", verdict = "reject" }, { verdict = "flag" }]
[member.ada]
[members.bob]
role = "amdin"
domains = ["x"]
[sources.one]
path = "x"
[sources.two]
kind = "files"
[retention]
events = 90
[runner]
batch = 0
hang_deadline = "3s"
[enable]
"Bad Name" = {}
""",
    )
    assert {
        "eventctl.toml: unknown key 'colour'",
        "eventctl.toml: workspace.name: should be text, not 5",
        "eventctl.toml: trust.rules[0].verdict: is one of accept, flag, attenuate, quarantine, reject, not 'acept'",
        "eventctl.toml: trust.rules[2]: 'source' is missing",
        "eventctl.toml: unknown key 'member'",
        "eventctl.toml: members.bob.role: is one of admin, member, not 'amdin'",
        "eventctl.toml: sources.one: 'kind' is missing",
        "eventctl.toml: retention.events: a duration is text like '10s', '5m', '2h' or '7d', not '90'",
        "eventctl.toml: runner.batch: input should be greater than or equal to 1, not 0",
        'eventctl.toml: enable."Bad Name"',
    } == {problem.partition(" (")[0].partition(": a name begins")[0] for problem in problems}  # fmt: skip
    assert ["strict", ["b"], 3 * SECOND, 500] == [
        found.trust.strictness, [rule.source for rule in found.trust.rules], found.runner.hang_deadline, found.runner.batch
    ]  # fmt: skip
    assert (("x",), "member") == (found.members["bob"].domains, found.members["bob"].role)
    assert ["two"] == list(found.sources)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("[member.ada]", "did you mean 'members'?"),
        ('[trust]\nstrictnes = "strict"', "did you mean 'strictness'?"),
        ('[trust]\nstrictness = "stict"', "did you mean 'strict'?"),
        ('[members.ada]\nrole = "amdin"', "did you mean 'admin'?"),
        ('[trust]\nrules = [{ source = "a", verdict = "accept", chanel = "cli" }]', "did you mean 'channel'?"),
    ],
)
def test_a_near_miss_gets_a_suggestion(tmp_path, wrong, hint):
    (problem,) = settings.load(file(tmp_path, wrong))[1]
    assert hint == problem.hint


@pytest.mark.parametrize("window", ["30s", "90s", "500ms"])
def test_a_window_of_correlation_that_is_no_whole_number_of_minutes_is_refused(tmp_path, window):
    found, problems = load(tmp_path, f'[correlation]\nwindow = "{window}"\n')
    assert 5 * MINUTE == found.correlation.window
    assert "eventctl.toml: correlation.window: is counted in whole minutes, like '5m', not" in problems[0]


def test_how_long_what_is_held_waits_and_what_an_agent_is_are_read(tmp_path):
    found, problems = load(
        tmp_path,
        """[autonomy]
window = "30m"
expires = "2d"
after = 0
[agents.claude]
command = ["claude", "-p", "do it"]
env = { CI = "true" }
[agents.slow]
command = ["codex"]
timeout = "2h"
[agents.none]
command = []
timeout = "5m"
""",
    )
    assert (30 * MINUTE, 2 * DAY, 0) == (found.autonomy.window, found.autonomy.expires, found.autonomy.after)
    assert {
        "claude": (("claude", "-p", "do it"), 30 * MINUTE, {"CI": "true"}), "slow": (("codex",), 2 * HOUR, {}),
    } == {name: (agent.command, agent.timeout, agent.env) for name, agent in found.agents.items() if agent.command}  # fmt: skip
    assert [] == [said for said in problems if "agents.none" not in said and "not obeyed" not in said]
    assert any("agents.none.command" in said for said in problems)
    plain = load(tmp_path, "")[0].autonomy
    assert (10 * MINUTE, DAY, 3) == (plain.window, plain.expires, plain.after)


def test_what_is_set_and_not_obeyed_is_said_where_it_was_set(tmp_path):
    env = {"EVENTCTL_WORKSPACE__NAME": "here", "EVENTCTL_RUNNER__BATCH": "9"}
    told = settings.load(file(tmp_path, FORMATS), env)[1]
    assert {True} == {problem.warning for problem in told}
    assert [
        "EVENTCTL_WORKSPACE__NAME", "eventctl.toml: sources.inbox", "eventctl.toml: sources.jobs", "eventctl.toml: channels.phone",
    ] == [problem.where for problem in told]  # fmt: skip
    assert all("not obeyed by this version" in problem.what for problem in told)


@pytest.mark.parametrize("section", ["trust", "members", "autonomy", "runner", "enable", "sources"])
def test_a_section_that_is_no_table_falls_back(tmp_path, section):
    found, problems = load(tmp_path, f"{section} = 5\n")
    assert f"eventctl.toml: {section}: should be a table, not 5" == problems[0]
    assert "standard" == found.trust.strictness


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"[trust\n", "is not TOML: Expected ']' at the end of a table declaration (at line 1, column 7)"),
        (b"\xff\xfe", "is not UTF-8 (byte 0)"),
        (b"x = " + b"[" * 50_000, "is nested too deep"),
    ],
)
def test_a_file_that_cannot_be_read_gives_the_defaults_and_says_so(tmp_path, text, what):
    path = tmp_path / "eventctl.toml"
    path.write_bytes(text)
    found, problems = settings.load(path)
    assert what == problems[0].what
    assert "standard" == found.trust.strictness
    assert "cannot be read: No such file or directory" == settings.load(tmp_path / "none.toml")[1][0].what


# --- variables --------------------------------------------------------------------------------------------------------------------


def test_a_variable_goes_before_the_file(tmp_path):
    env = {
        "EVENTCTL_RUNNER__BATCH": "9",
        "EVENTCTL_MEMBERS__BOB__DOMAINS": '["x"]',
        "EVENTCTL_RETENTION__EVENTS": "5d",
        "OTHER__X": "1",
    }
    found, problems = load(tmp_path, FORMATS, {**env, "EVENTCTL_WORKSPACE": "/x", "EVENTCTL_NO_PLUGINS": "1"})
    assert [] == problems
    assert (9, ("x",), 5 * DAY) == (found.runner.batch, found.members["bob"].domains, found.retention.events)


def test_a_mistaken_variable_is_named_and_changes_nothing(tmp_path):
    env = {"EVENTCTL_RUNNER__BATCH": "many", "EVENTCTL_RUNER__BATCH": "9", "EVENTCTL_RUNNER__BACH": "9"}
    found, problems = load(tmp_path, FORMATS, env)
    assert 200 == found.runner.batch
    assert [
        "EVENTCTL_RUNER__BATCH: there is no section 'runer' (did you mean 'runner'?)",
        "EVENTCTL_RUNNER__BACH: unknown key 'bach' (did you mean 'batch'?)",
        "EVENTCTL_RUNNER__BATCH: should be a whole number, not 'many'",
    ] == problems


# --- showing ----------------------------------------------------------------------------------------------------------------------


def test_each_setting_is_shown_with_its_origin_as_it_is_written(tmp_path):
    rows = settings.explain(file(tmp_path, FORMATS), {"EVENTCTL_RUNNER__BATCH": "9"})
    shown = {row.key: (row.value, row.origin) for row in rows}
    assert (9, "EVENTCTL_RUNNER__BATCH") == shown["runner.batch"]
    assert ("2s", "default") == shown["runner.hang_deadline"]
    assert ("5ms", "default") == shown["runner.in_process_budget"]
    assert ("30d", "eventctl.toml") == shown["retention.events"]
    assert ("admin", "eventctl.toml") == shown["members.ada.role"]
    assert ("sweep", "eventctl.toml") == shown["sources.jobs.emit.payload.job"]
    assert ({"infrastructure": "7d", "operational": "14d", "workflow": "30d", "business": "90d"}, "default") == shown[
        "ageing.unhandled"
    ]
    assert ("L1", "eventctl.toml") == shown['autonomy.types."domain.software-development.deploy.failed"']


def test_secrets_are_not_shown(tmp_path):
    shown = {row.key: row.value for row in settings.explain(file(tmp_path, FORMATS))}
    assert ("(hidden)", 12345) == (shown["channels.phone.token"], shown["channels.phone.chat"])


def test_mistaken_settings_are_shown_as_what_holds(tmp_path):
    shown = {row.key: row[1:] for row in settings.explain(file(tmp_path, '[runner]\nbatch = "x"\n'))}
    assert (500, "default") == shown["runner.batch"]


def test_durations_are_written_without_loss():
    expected = {
        "0s": 0,
        "5ms": 5_000,
        "1h 30m": HOUR + 30 * MINUTE,
        "90d": 90 * DAY,
        "forever": FOREVER,
        "1d 2h 3m 4s": DAY + 2 * HOUR + 184 * SECOND,
    }
    assert expected == {written_duration(us): us for us in expected.values()}


def test_the_schema_for_editors_agrees_with_the_reader(tmp_path):
    validator = jsonschema.Draft202012Validator(settings.json_schema())
    assert [] == [error.message for error in validator.iter_errors(parse_toml(FORMATS, "x"))]
    for wrong in (
        '[trust]\nstrictness = "x"',
        "[member.ada]",
        '[ageing]\nresolved = { busines = "1d" }',
        "[retention]\nevents = 5",
        "[sources.x]",
    ):
        assert list(validator.iter_errors(parse_toml(wrong, "x"))), wrong


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_a_settings_file_that_is_no_regular_file_is_named_and_not_waited_for(tmp_path, make):
    make(tmp_path / "eventctl.toml")
    paths = workspace.at(tmp_path)
    given, problems = settings.load(paths.config)
    expected = Settings(autonomy=AutonomySettings(default="L1", types={"**": "L1"}))
    assert (expected, ["cannot be read: it is no regular file"]) == (given, [found.what for found in problems])


@pytest.mark.parametrize(
    ("text", "env", "level"),
    [
        ("", {}, "L3"),
        ('[inbox]\nlease = "soon"', {}, "L3"),
        ("[autonomy", {}, "L1"),
        ('[autonomy]\ndefault = "l1"', {}, "L1"),
        ('[autonomy.types]\n"deploy.**" = "l1"', {}, "L1"),
        ('[autonomy]\ndefault = "L2"\nwindow = "soon"', {"EVENTCTL_INBOX__LEASE": "5m"}, "L1"),
        ("", {"EVENTCTL_AUTONOMY__DEFAULT": "l1"}, "L1"),
        ("", {"EVENTCTL_AUTONOMY__DEFAULT": "L2"}, "L2"),
    ],
)
def test_what_may_act_is_held_where_nobody_can_read_it(tmp_path, text, env, level):
    (tmp_path / "eventctl.toml").write_text(text)
    assert level == settings.load(tmp_path / "eventctl.toml", env)[0].autonomy.default


@pytest.mark.parametrize("wrong", ['types = { "deploy.**" = "l1" }', 'cartridges = { "ops/doer" = 1 }', 'expires = "soon"'])
def test_a_mistake_in_what_may_act_holds_also_what_another_line_would_let_go(tmp_path, wrong):
    """The mistaken word may have been the one that held this."""
    (tmp_path / "eventctl.toml").write_text(f'[autonomy]\ndomains = {{ ops = "L3" }}\n{wrong}\n')
    own = [Domain("ops", DomainFile(autonomy=DomainAutonomy(default="L3", cartridges={"doer": "L3"})))]
    held = matrix_of(settings.load(tmp_path / "eventctl.toml", {})[0], own)
    assert "L1" == held.level("deploy.failed", "doer", "ops").level
    (tmp_path / "eventctl.toml").write_text('[autonomy]\ndomains = { ops = "L3" }\n')
    free = matrix_of(settings.load(tmp_path / "eventctl.toml", {})[0], own)
    assert "L3" == free.level("deploy.failed", "doer", "ops").level
