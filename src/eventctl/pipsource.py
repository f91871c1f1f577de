"""Fetches a package that is named `pip:NAME` or `pip:NAME==VERSION` with pip: the wheel is downloaded and read, never installed.

pip goes by the user's own configuration, so that a private index works. It takes wheels only: building a source distribution would
run its code. It starts in an empty folder, so that nothing that lies around is taken for pip.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from eventctl import archives
from eventctl.errors import NotFound, Unavailable, UsageError
from eventctl.package import BadPackage
from eventctl.text import safe_text

PREFIX = "pip:"

_NAME = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?)(?:==([0-9][0-9A-Za-z.!+_-]{0,63}))?")
_OPTIONS = ("--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input", "--quiet", "--no-cache-dir")
_OFFLINE = ("NewConnectionError", "ConnectTimeout", "ReadTimeout", "ProxyError", "name resolution", "SSLError", "Max retries")


def fetch(
    source: str, *, env: Mapping[str, str], timeout_s: float = 120.0, python: str = sys.executable
) -> tuple[dict[str, bytes], str]:
    """The files of the wheel, and `pip:NAME==VERSION` of what was found. `env` is the environment pip gets.

    Raises UsageError for what is no such name, NotFound (no wheel of that name), Unavailable (no pip, no network) with what to do,
    and BadPackage.
    """
    wanted = _NAME.fullmatch(source.removeprefix(PREFIX)) if source.startswith(PREFIX) else None
    if wanted is None:
        raise UsageError(f"is pip:NAME or pip:NAME==VERSION, not {source[:60]!r}", hint="pip:eventctl-deploys==1.2.0")
    with tempfile.TemporaryDirectory(prefix="eventctl-pip-") as folder:
        command = [python, "-P", "-m", "pip", "download", *_OPTIONS, "--dest", folder, wanted[0]]
        try:
            ended = subprocess.run(
                command,
                cwd=folder,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(f"pip did not answer within {timeout_s:g} s", where=source, hint="try again later") from None
        except OSError as error:
            raise Unavailable(f"pip cannot be started: {error.strerror or error}", where=source) from error
        if ended.returncode:
            raise _why(ended.stderr.decode(errors="replace"), source)
        return _read(Path(folder), wanted[1], source)


def _read(folder: Path, wanted: str, source: str) -> tuple[dict[str, bytes], str]:
    wheels = sorted(folder.iterdir())
    name, _, rest = wheels[0].name.partition("-") if wheels else ("", "", "")
    if len(wheels) != 1 or wheels[0].suffix != ".whl" or _folded(name) != _folded(wanted):
        raise BadPackage("pip brought something other than this one wheel", where=source)
    return archives.read(wheels[0]), f"{PREFIX}{_folded(name)}=={rest.partition('-')[0]}"


def _folded(name: str) -> str:
    """The name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _why(said: str, source: str) -> NotFound | Unavailable:
    if "No module named pip" in said:
        return Unavailable(
            "pip is not here", where=source, hint="`python -m ensurepip`, or download the wheel and install the file"
        )
    if any(sign in said for sign in _OFFLINE):
        return Unavailable("the package index cannot be reached", where=source, hint="download the wheel and install the file")
    if "No matching distribution" in said or "Could not find a version" in said:
        what = "the index has no wheel of that name and version for this Python"
        return NotFound(what, where=source, hint="a source distribution would run its code and is not taken: ask for a wheel")
    last = [line for line in said.splitlines() if line.strip()][-1:]
    return Unavailable(f"pip failed: {safe_text(' '.join(last), limit=200)}", where=source)
