"""The service under a real systemd of this user: installed it runs, killed it comes back, refused it is not tried again.

The manager is started for the test, in a mount namespace of its own, where the machine looks as if systemd had booted it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SYSTEMD = next((path for path in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if Path(path).exists()), "")
pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0 or not SYSTEMD or not shutil.which("unshare"),
        reason="a systemd of one's own needs root, systemd and unshare",
    ),
]
BEGIN = """
set -e
mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd && mkdir -p /run/systemd/system
$SYSTEMD --user & MANAGER=$!
trap 'kill $MANAGER; wait $MANAGER' EXIT
for _ in $(seq 100); do systemctl --user show-environment >/dev/null 2>&1 && break; sleep 0.1; done
systemctl --user show-environment >/dev/null || { echo NO MANAGER; exit 0; }
ctl() { "$PYTHON" -m eventctl "$@"; }
until_is() { for _ in $(seq 150); do ctl service status --json 2>/dev/null | grep -q "$1" && return; sleep 0.1; done; echo "never $1"; }
pid() { ctl service status --json | sed -n 's/.*"pid": \\([0-9]*\\).*/\\1/p'; }
"""
LIFE = """
ctl init . >/dev/null
ctl service install >/dev/null 2>&1; until_is '"running": true'; echo installed
FIRST=$(pid); ctl service install >/dev/null 2>&1; [ "$FIRST" = "$(pid)" ] && echo "a second install disturbs nothing"
kill -9 $FIRST; sleep 1; until_is '"running": true'
for _ in $(seq 150); do NEXT=$(pid); [ "$NEXT" != 0 ] && break; sleep 0.1; done
[ "$NEXT" != "$FIRST" ] && echo "back after kill -9"
ctl service remove >/dev/null; ctl service status >/dev/null || echo "gone: $?"
ls "$HOME/.config/systemd/user"
"""
REFUSED = """
ctl init . >/dev/null
ctl service install --print > unit
NAME=$(sed -n 's/.*edit \\(eventctl-[a-z0-9-]*\\).*/\\1/p' unit)
mkdir -p "$HOME/.config/systemd/user"; mv unit "$HOME/.config/systemd/user/$NAME.service"
exec 9<>.eventctl/runner.lock; flock 9
systemctl --user daemon-reload; systemctl --user start "$NAME" || true
for _ in $(seq 100); do systemctl --user show "$NAME" -p ExecMainStatus --value | grep -q 69 && break; sleep 0.1; done
sleep 7
systemctl --user show "$NAME" -p ExecMainStatus -p NRestarts
"""


def played(script: str, tmp_path: Path) -> list[str]:
    home, runtime, work = (tmp_path / name for name in ("home", "run", "work"))
    for folder in (home, runtime, work):
        folder.mkdir(mode=0o700)
    env = {
        "HOME": str(home), "XDG_RUNTIME_DIR": str(runtime), "PATH": os.environ["PATH"], "PYTHON": sys.executable, "SYSTEMD": SYSTEMD,
        "SYSTEMD_LOG_TARGET": "null", "EVENTCTL_MEMBER": "ada",
    }  # fmt: skip
    command = ["unshare", "--mount", "--propagation", "private", "bash", "-c", BEGIN + script]
    done = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True, timeout=110)
    lines = done.stdout.splitlines()
    if "NO MANAGER" in lines:
        pytest.skip("systemd does not start here")
    return lines


def test_an_installed_service_runs_comes_back_after_a_kill_and_goes_when_it_is_removed(tmp_path: Path) -> None:
    expected = ["installed", "a second install disturbs nothing", "back after kill -9", "gone: 3"]
    assert expected == played(LIFE, tmp_path)


def test_while_another_runner_holds_the_workspace_it_is_not_started_over_and_over(tmp_path: Path) -> None:
    assert ["NRestarts=0", "ExecMainStatus=69"] == sorted(played(REFUSED, tmp_path), reverse=True)
