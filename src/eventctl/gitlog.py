"""The history of a git repository as envelopes: one `git.commit` for each commit, named by its hash.

The hash is the event's id, so reading a repository again brings in what is new and nothing else.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eventctl.errors import EventctlError, NotFound

FORMAT = "%H%x1f%P%x1f%an%x1f%ae%x1f%cI%x1f%D%x1f%s%x1f%b%x1e"
"""Fields end in US and commits in RS: neither can stand in a git header, and a body that holds one is cut there."""

BODY_MAX = 4_000


def envelopes(repository: Path, *, since: str = "") -> Iterator[dict[str, Any]]:
    """The commits of all branches, oldest first. Raises `NotFound` without git, `EventctlError` with what git said."""
    command = ["git", "-C", str(repository), "log", "--all", "--reverse", f"--format={FORMAT}"]
    if since:
        command.append(f"--since={since}")
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError:
        raise NotFound("git is not installed", hint="install git, or pipe events in with --ndjson") from None
    with process:
        complaints: Any = process.stderr  # a pipe, never None
        name = repository.resolve().name
        for record in _records(process.stdout):
            yield _envelope(name, record)
        complaint = complaints.read().decode(errors="replace").strip()
    if process.returncode:
        raise EventctlError(complaint.split("\n")[0] or "git log failed", where=str(repository))


def _records(stream: Any) -> Iterator[list[str]]:
    rest = b""
    while chunk := stream.read1(1 << 16):
        *whole, rest = (rest + chunk).split(b"\x1e")
        for record in whole:
            fields = record.lstrip(b"\n").decode(errors="replace").replace("\0", "␀").split("\x1f")
            if len(fields) >= 8:
                yield fields


def _envelope(repository: str, fields: list[str]) -> dict[str, Any]:
    commit, parents, author, email, moment, names, subject, body = fields[:8]
    return {
        "event": "git.commit",
        "id": commit,
        "source": f"git:{repository}",
        "timestamp": moment,
        "entity": f"eventctl://repository/{repository}",
        "description": subject[:300],
        "payload": {
            "repository": repository, "sha": commit, "parents": parents.split(), "author": author, "email": email,
            "names": names, "subject": subject, "body": body.strip()[:BODY_MAX],
        },
    }  # fmt: skip


def checked_out(path: Path, revision: str, folder: Path) -> Path:
    """The file or folder at `path` as it was in a revision, written into `folder`. Raises `NotFound` where git has none."""
    target = folder / path.name
    files = [path / "cartridge.toml", path / "cartridge.py"] if path.is_dir() else [path]
    for file in files:
        try:
            shown = subprocess.run(
                ["git", "-C", str(file.parent), "show", f"{revision}:./{file.name}"], capture_output=True, check=False
            )
        except FileNotFoundError:
            raise NotFound("git is not installed", hint="name a file to compare with") from None
        if shown.returncode:
            what = f"there is no file {revision!r}, and git has no such revision of {file.name}"
            raise NotFound(what, where=str(path), hint="name a file, or a revision like HEAD~1")
        written = target / file.name if path.is_dir() else target
        written.parent.mkdir(exist_ok=True)
        written.write_bytes(shown.stdout)
    return target
