"""The service: what is written for a service manager, and what is asked of it. The real ones are asked in tests/faults."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from eventctl import servicefile, starter
from eventctl.errors import Conflict, EventctlError, NotFound, Unavailable, UsageError
from eventctl.service import Launchd, Manager, Said, Systemd, ask, install, job, manager, remove
from eventctl.servicefile import Job, judged, launchd_agent, systemd_unit
from eventctl.workspace import Paths, running

JOB = Job(Path("/home/ada/my work"), "/opt/venv/bin/python3", "/usr/bin:/bin", Path("/home/ada"))
UNIT = """\
# Written by `eventctl service install` (81c1108efce0a351). A new install writes it again.
# Your own additions: `systemctl --user edit eventctl-my-work-fcd02fe1`. `eventctl service remove` takes it away.
[Unit]
Description=eventctl run in /home/ada/my work
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=exec
ExecStart=/opt/venv/bin/python3 -m eventctl run -w "/home/ada/my work"
WorkingDirectory=/home/ada/my work
Environment="PATH=/usr/bin:/bin"
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=69 78
KillMode=mixed
TimeoutStopSec=30
# Commands and agents that it starts need your files and the network, so neither is taken away. What is: new rights (sudo), memory
# dumps of what it holds, and the scheduler's real-time classes.
NoNewPrivileges=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
LockPersonality=yes
LimitCORE=0

[Install]
WantedBy=default.target
"""
AGENT = {
    "Label": "eventctl-my-work-fcd02fe1",
    "ProgramArguments": ["/opt/venv/bin/python3", "-m", "eventctl", "run", "-w", "/home/ada/my work"],
    "WorkingDirectory": "/home/ada/my work",
    "EnvironmentVariables": {"PATH": "/usr/bin:/bin"},
    "RunAtLoad": True,
    "KeepAlive": {"SuccessfulExit": False},
    "ThrottleInterval": 60,
    "ExitTimeOut": 30,
    "ProcessType": "Background",
    "StandardOutPath": "/home/ada/Library/Logs/eventctl-my-work-fcd02fe1.log",
    "StandardErrorPath": "/home/ada/Library/Logs/eventctl-my-work-fcd02fe1.log",
    "HardResourceLimits": {"Core": 0},
}


def test_the_unit_is_this() -> None:
    assert UNIT == systemd_unit(JOB)


def test_the_agent_is_this() -> None:
    found = plistlib.loads(launchd_agent(JOB).encode())
    assert 16 == len(found.pop("EventctlWrote"))
    assert AGENT == found


def test_two_folders_of_one_name_have_services_of_their_own() -> None:
    other = Job(Path("/home/bob/my work"), JOB.python, JOB.path, JOB.home)
    assert JOB.name != other.name
    assert "eventctl-workspace-" == Job(Path("/home/漢"), "", "", JOB.home).name[:19]


@pytest.mark.parametrize(
    ("folder", "argument"),
    [
        ("/w/plain", "/w/plain"),
        ("/w/50% off", '"/w/50%% off"'),
        ("/w/$HOME", '"/w/$$HOME"'),
        ('/w/a"b', '"/w/a\\"b"'),
        ("/w/a\\b", '"/w/a\\\\b"'),
        ("/w/a;b", '"/w/a;b"'),
    ],
)
def test_a_path_reaches_the_program_as_it_is(folder: str, argument: str) -> None:
    unit = systemd_unit(Job(Path(folder), "/p", "/bin", JOB.home))
    assert f"ExecStart=/p -m eventctl run -w {argument}\n" in unit


@pytest.mark.parametrize("folder", ["/w/a\nExecStart=/bin/evil", "/w/\x1b[31m"])
def test_a_path_that_could_say_more_than_a_path_is_refused(folder: str) -> None:
    with pytest.raises(UsageError):
        systemd_unit(Job(Path(folder), "/p", "/bin", JOB.home))


needs_verify = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here")


def verified(unit: str, folder: Path) -> subprocess.CompletedProcess[str]:
    folder.chmod(0o700)
    file = folder / "eventctl-x.service"
    file.write_text(unit)
    env = {**os.environ, "XDG_RUNTIME_DIR": str(folder), "SYSTEMD_LOG_TARGET": "console"}
    return subprocess.run(["systemd-analyze", "verify", "--user", str(file)], env=env, capture_output=True, text=True)


@needs_verify
@pytest.mark.parametrize("name", ["work", "50% of $HOME", 'a "quoted" \\ name'])
def test_systemd_itself_finds_nothing_wrong_with_the_unit(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    unit = systemd_unit(Job(tmp_path / name, shutil.which("env") or "", "/usr/bin", tmp_path))
    done = verified(unit, tmp_path)
    assert (0, "") == (done.returncode, done.stdout + done.stderr)


@needs_verify
def test_systemd_would_find_a_mistake(tmp_path: Path) -> None:
    done = verified(UNIT.replace("Type=exec", "Type=never").replace("RestrictRealtime", "RestrictRealtimes"), tmp_path)
    assert "RestrictRealtimes" in done.stderr
    assert "never" in done.stderr


@pytest.mark.parametrize("text", [UNIT, launchd_agent(JOB)], ids=["systemd", "launchd"])
def test_what_we_wrote_can_be_told_from_what_somebody_changed(text: str) -> None:
    assert "ours" == judged(text)
    assert "edited" == judged(text.replace("/usr/bin:/bin", "/bin"))


@pytest.mark.parametrize("text", ["", "[Service]\nExecStart=/bin/true\n", plistlib.dumps({"Label": "x"}).decode(), "<plist"])
def test_what_we_did_not_write_is_foreign(text: str) -> None:
    assert "foreign" == judged(text)


class Machine:
    """Stands for a service manager: notes what it is asked, and says what it is told to say."""

    def __init__(self, **said: Said) -> None:
        self.asked: list[str] = []
        self.said = said

    def __call__(self, command: Sequence[str]) -> Said:
        self.asked.append(" ".join(command))
        word = command[1] if command[1] != "--user" else command[2]
        return self.said.get(word.replace("-", "_"), Said(0, ""))


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(starter.make(tmp_path / "work", name="work", member="ada").root)


def wanted(paths: Paths) -> Job:
    return job(paths, {"HOME": str(paths.root.parent), "PATH": "/bin"})


@pytest.fixture(params=["linux", "darwin"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def of(kind: str, machine: Machine) -> Manager:
    return manager({}, machine, kind)


def test_installing_writes_it_starts_it_and_a_second_time_writes_nothing(kind: str, paths: Paths) -> None:
    machine = Machine()
    here, mine = of(kind, machine), wanted(paths)
    assert install(here, paths, mine)
    assert here.text(mine) == here.file(mine).read_text()
    assert not install(here, paths, mine)
    if kind == "linux":
        assert f"systemctl --user enable --now {mine.name}.service" in machine.asked
        assert [] == [line for line in machine.asked if "disable" in line]


def test_one_that_another_version_wrote_is_brought_up_to_date_and_started_anew(paths: Paths) -> None:
    machine, mine = Machine(), wanted(paths)
    here = of("linux", machine)
    install(here, paths, mine)
    newer = Job(mine.root, "/other/python", mine.path, mine.home)
    assert install(here, paths, newer)
    assert "/other/python" in here.file(newer).read_text()
    stop = machine.asked.index(f"systemctl --user disable --now {mine.name}.service")
    assert f"systemctl --user enable --now {mine.name}.service" in machine.asked[stop:]


def test_an_edited_file_stays_unless_it_is_asked_for(kind: str, paths: Paths) -> None:
    here, mine = of(kind, Machine()), wanted(paths)
    install(here, paths, mine)
    file = here.file(mine)
    edited = file.read_text().replace("PATH", "PATH2")
    file.write_text(edited)
    for refused in (lambda: install(here, paths, mine), lambda: remove(here, mine)):
        with pytest.raises(Conflict, match="edited"):
            refused()
    assert edited == file.read_text()
    assert install(here, paths, mine, replace=True)
    assert here.text(mine) == file.read_text()


def test_a_file_that_somebody_else_wrote_is_never_touched(kind: str, paths: Paths) -> None:
    machine = Machine()
    here, mine = of(kind, machine), wanted(paths)
    file = here.file(mine)
    file.parent.mkdir(parents=True)
    file.write_text("[Service]\nExecStart=/bin/true\n")
    for refused in (lambda: install(here, paths, mine, replace=True), lambda: remove(here, mine)):
        with pytest.raises(Conflict, match="somebody else"):
            refused()
    assert file.read_text().startswith("[Service]")


def test_removing_stops_it_and_takes_the_file_away(kind: str, paths: Paths) -> None:
    machine = Machine()
    here, mine = of(kind, machine), wanted(paths)
    install(here, paths, mine)
    neighbour = here.file(mine).parent / "other.service"
    neighbour.write_text("x")
    remove(here, mine)
    assert [neighbour] == list(here.file(mine).parent.iterdir())
    if kind == "linux":
        assert f"systemctl --user disable --now {mine.name}.service" in machine.asked
    with pytest.raises(NotFound):
        remove(here, mine)


@pytest.mark.parametrize("said", [Said(127, "there is no systemctl"), Said(1, "Failed to connect to bus: No medium found")])
def test_without_a_systemd_nothing_is_written_and_the_error_says_what_to_do(paths: Paths, said: Said) -> None:
    here, mine = of("linux", Machine(show_environment=said)), wanted(paths)
    with pytest.raises(Unavailable) as refused:
        install(here, paths, mine)
    assert refused.value.hint
    assert 69 == refused.value.exit_code
    assert not here.file(mine).exists()


def test_a_manager_that_does_not_start_it_is_named_with_what_it_said(paths: Paths) -> None:
    with pytest.raises(EventctlError, match="unit is masked"):
        install(of("linux", Machine(enable=Said(1, "unit is masked"))), paths, wanted(paths))


def test_while_a_runner_works_there_nothing_is_installed_beside_it(kind: str, paths: Paths) -> None:
    here, mine = of(kind, Machine()), wanted(paths)
    with running(paths), pytest.raises(Conflict, match="works on this workspace"):
        install(here, paths, mine)
    assert not here.file(mine).exists()


def test_the_state_is_what_systemd_says(paths: Paths) -> None:
    said = "ActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=42\nExecMainStatus=0\n"
    here = of("linux", Machine(show=Said(0, said)))
    state = here.state(wanted(paths))
    assert (True, True, "active (running)", 42) == (state.running, state.at_boot, state.detail, state.pid)
    failed = of("linux", Machine(show=Said(0, "ActiveState=failed\nSubState=failed\nMainPID=0\nExecMainStatus=78\n")))
    state = failed.state(wanted(paths))
    assert (False, "failed (failed), exit code 78") == (state.running, state.detail)


def test_who_has_no_linger_is_told_of_it_and_who_has_it_is_not() -> None:
    assert "enable-linger" in Systemd({}, Machine(show_user=Said(0, "no"))).advice()
    assert "" == Systemd({}, Machine(show_user=Said(0, "yes"))).advice()


def test_launchd_is_asked_about_this_users_own_domain(paths: Paths) -> None:
    machine = Machine()
    install(Launchd({}, machine), paths, wanted(paths))
    assert {f"gui/{os.getuid()}"} == {line.split()[2].partition("/eventctl")[0] for line in machine.asked}


def test_a_program_that_is_not_there_is_an_answer_and_no_traceback() -> None:
    assert 127 == ask(["eventctl-no-such-program"]).code
    assert Said(3, "out\nerr") == ask(["sh", "-c", "echo out; echo err >&2; exit 3"])


def test_codes_that_another_start_would_only_repeat_are_those_of_the_errors() -> None:
    from eventctl.errors import Misconfigured

    assert servicefile.NO_RESTART == (Unavailable.exit_code, Misconfigured.exit_code)
