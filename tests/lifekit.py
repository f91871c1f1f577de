"""Packages for tests of what is installed: small, complete, and deadly to whoever executes them."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from eventctl import package
from eventctl.package import Package
from eventctl.principal import ROLES, Principal

ADMIN = Principal("cli", "ada", ROLES["admin"])
MEMBER = Principal("cli", "bob", ROLES["member"])
AGENT = Principal("cli", "claude", ROLES["agent"])
NOW = 1_795_176_000_000_000
"""2026-11-20 12:00 UTC."""

CANARY = "import pathlib\npathlib.Path({canary!r}).write_text('executed')\n\n\n"
PROCESS = "async def process(event, context):\n{body}    return event\n"


def code(name: str = "till", version: str = "1.0.0", *lines: str, canary: Path | None = None, body: str = "") -> str:
    """A cartridge in one file. With `canary`, importing it writes that file."""
    manifest = [f'id = "{name}"', f'version = "{version}"', 'summary = "A test."', *lines]
    if not any(line.startswith("consumes") for line in lines):
        manifest.append('consumes = ["shop.**"]')
    block = "# /// cartridge\n" + "".join(f"# {line}\n" for line in manifest) + "# ///\n"
    return block + (CANARY.format(canary=str(canary)) if canary else "") + PROCESS.format(body=body)


def rule(name: str = "late", version: str = "1.0.0", consumes: str = "shop.**") -> str:
    """A rule that speaks."""
    return (
        f'id = "{name}"\nversion = "{version}"\nsummary = "A test."\nconsumes = ["{consumes}"]\n'
        '[notify]\ntitle = "{event}"\nlevel = "workflow"\n'
    )


def packed(name: str = "till", version: str = "1.0.0", *lines: str) -> Package:
    """A package of one file."""
    return package.of({f"{name}.py": code(name, version, *lines).encode()})


def archive(path: Path, files: dict[str, str]) -> Path:
    """A `.tar.gz` of these files, under one folder."""
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"{path.name.partition('.')[0]}/{name}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return path


def folder(version: str = "1.0.0", *lines: str, name: str = "watch", canary: Path | None = None) -> dict[str, str]:
    """The files of a cartridge in a folder."""
    text = f'id = "{name}"\nversion = "{version}"\nsummary = "A test."\nconsumes = ["shop.**"]\n' + "".join(
        f"{line}\n" for line in lines
    )
    return {
        "cartridge.toml": text,
        "cartridge.py": (CANARY.format(canary=str(canary)) if canary else "") + PROCESS.format(body=""),
        "README.md": "A test.\n",
    }


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a folder but what a database keeps beside itself."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm", ".lock"))
    }
