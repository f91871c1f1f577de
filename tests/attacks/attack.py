"""One attack: something hostile that is made in a folder, and what the refusal of it has to name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.attacks.forge import canary, folder


class Attack(NamedTuple):
    """One hostile package. `words` have to be in what is said; `|` stands between sentences of which one is enough.

    `make` is given a folder of its own, the path of a canary that hostile code would write, and a file that is nobody's business. It
    gives the words after `cartridge install`; a path alone stands for itself.
    """

    name: str
    words: str
    make: Callable[[Path, str, Path], Path | Sequence[str]]


def saved(name: str, make: Callable[[str], bytes]) -> Callable[[Path, str, Path], Path]:
    def made(here: Path, evil: str, secret: Path) -> Path:
        (here / name).write_bytes(make(evil))
        return here / name

    return made


def laid(files: Callable[[str], dict[str, bytes]], *rest: str) -> Callable[[Path, str, Path], Path | Sequence[str]]:
    def made(here: Path, evil: str, secret: Path) -> Path | Sequence[str]:
        for name, content in files(evil).items():
            (here / "package" / name).parent.mkdir(parents=True, exist_ok=True)
            (here / "package" / name).write_bytes(content)
        return here / "package" if not rest else (str(here / "package"), *rest)

    return made


def bad(evil: str, **more: str) -> dict[str, bytes]:
    return folder(code=canary(evil), **more)
