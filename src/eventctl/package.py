"""A package: the files of one cartridge, in memory, and the digest that names them. What is in none of the forms below is refused.

<id>.py, and <id>.examples.toml beside it         a cartridge in one file, with its block
<id>.toml, and <id>.examples.toml beside it       a rule without code
cartridge.toml, cartridge.py, examples/*.toml     a folder

With any of them README*, LICENSE* and CHANGELOG*. Nothing of a package is ever executed here, or written to a disk: it is read as
data, and its code is parsed and looked at. Names are compared, and never made a path of.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

from eventctl import manifest as manifests
from eventctl.errors import Misconfigured, Problem
from eventctl.manifest import CODE, MANIFEST, Manifest

FILES_MAX = 200
BYTES_MAX = 5_000_000
CODE_MAX = 256 * 1024
NAME_MAX = 200
DEPTH_MAX = 4
"""Files of a package, bytes of them in all, bytes of its code, characters of a name, parts of a name."""

Kind = Literal["folder", "code", "rule"]


class BadPackage(Misconfigured):
    """What was given is no package, or one that cannot be let in. `problems` lists every reason; nothing was written."""


class WrongDigest(BadPackage):
    """The bytes are not those that the digest was made of."""


@dataclass(frozen=True, slots=True)
class Package:
    """One cartridge's files by name, sorted, checked by `of`. `digest` is `sha256:<64 hex>`, `code` b"" for a rule without code.

    `main` names the file that the manifest stands in, `code_name` the one that the code stands in.
    """

    files: Mapping[str, bytes]
    digest: str
    kind: Kind
    main: str
    manifest: Manifest = field(compare=False)

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def code_name(self) -> str:
        return CODE if self.kind == "folder" else self.main

    @property
    def code(self) -> bytes:
        return b"" if self.kind == "rule" else self.files[self.code_name]

    @property
    def examples(self) -> dict[str, bytes]:
        """Its examples by name, sorted."""
        return {name: content for name, content in self.files.items() if _is_example(name)}


def of(files: Mapping[str, bytes], *, where: str = "the package") -> Package:
    """A package of these files. Raises BadPackage with every reason against it; its code is parsed and never executed."""
    raise NotImplementedError


def digest(files: Mapping[str, bytes]) -> str:
    """`sha256:<hex>` over the sorted files: the length of each name, the name, the size and the SHA-256 of the content."""
    raise NotImplementedError


def pack(package: Package) -> bytes:
    """The files as one value, for the store's `packages`."""
    raise NotImplementedError


def unpack(body: bytes, wanted: str) -> Package:
    """The package that `pack` made the body of. Raises WrongDigest when the bytes are not those of the digest `wanted`."""
    raise NotImplementedError


def name_mistake(name: str) -> str:
    """Why no file of a package can have this name, as the end of a sentence; "" when it can. For every archive and folder."""
    raise NotImplementedError


def _is_example(name: str) -> bool:
    return name.startswith("examples/") or name.endswith(".examples.toml")
