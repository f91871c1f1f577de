"""A package: the files of one cartridge, in memory, and the digest that names them. What is in none of these forms is refused.

<id>.py                                           a cartridge in one file, with its block
<id>.toml                                         a rule without code
cartridge.toml, cartridge.py, examples/*.toml     a folder

Beside a file `<id>.examples.toml` or `<id>.examples/*.toml`, and with any of them README*, LICENSE* and CHANGELOG*. Nothing of a
package is ever executed here, or written to a disk: it is data, and its code is parsed and looked at.
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
from eventctl.suggest import parse_toml
from eventctl.text import safe_text

FILES_MAX = 200
BYTES_MAX = 5_000_000
NAME_MAX = 200
DEPTH_MAX = 4
"""Files of a package, bytes of them in all, characters of a name, parts of a name."""

CODE_MAX = 256 * 1024
TOML_MAX = 256 * 1024
"""Bytes of its code, and of one TOML file. The longest shipped cartridge has 6 kB; parsing 256 kB of anything takes under a second."""

Kind = Literal["folder", "code", "rule"]

_MAGIC = b"eventctl package 1\n"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9_.+ -]+")
_WINDOWS = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_DOCUMENT = re.compile(r"(README|LICENSE|CHANGELOG)[A-Za-z0-9_-]*(\.(md|rst|txt))?")
_EXAMPLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.toml")
_STEM = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_HIDDEN = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\r(?!\n)")
"""What makes code look other than it is: control characters, a lone carriage return, marks that turn the direction of text."""

_RUN_BY = {
    "__init__.py": "Python runs it when its folder is imported",
    "__main__.py": "Python runs it with `python -m`",
    "conftest.py": "pytest runs it",
    "setup.py": "pip runs it",
    "sitecustomize.py": "Python runs it whenever it starts",
    "usercustomize.py": "Python runs it whenever it starts",
}
_ENDINGS = {
    ".pth": "Python runs its lines whenever it starts",
    ".pyc": "it is compiled code that nobody can read",
    ".pyo": "it is compiled code that nobody can read",
    ".so": "it is machine code",
    ".pyd": "it is machine code",
    ".dll": "it is machine code",
}


class BadPackage(Misconfigured):
    """What was given is no package, or one that cannot be let in. `problems` lists the reasons; nothing was written."""


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
    """A package of these files. Raises BadPackage with the reasons against it; its code is parsed and never executed."""
    _require(list(_name_problems(files, where)))
    main, kind = _form(files, where)
    problems = [*_strangers(files, main, where), *_sizes(files, where), *_contents(files, main, kind, where)]
    _require(problems)
    try:
        manifest = _manifest(files, main, kind, where)
    except Misconfigured as error:
        raise BadPackage.listing(error.problems) from None
    _require(list(_id_problems(manifest.id, main, kind, where)))
    return Package(dict(sorted(files.items())), digest(files), kind, main, manifest)


def digest(files: Mapping[str, bytes]) -> str:
    """`sha256:<hex>` over the sorted files: the length of each name, the name, the size and the SHA-256 of the content."""
    found = sha256(_MAGIC)
    for name, content in sorted(files.items()):
        written = name.encode()
        found.update(b"%d:%s%d:" % (len(written), written, len(content)) + sha256(content).digest())
    return f"sha256:{found.hexdigest()}"


def pack(package: Package) -> bytes:
    """The files as one value, for the store's `packages`."""
    parts = [_MAGIC]
    for name, content in package.files.items():
        written = name.encode()
        parts.append(b"%d:%s%d:%s" % (len(written), written, len(content), content))
    return b"".join(parts)


def unpack(body: bytes, wanted: str) -> Package:
    """The package that `pack` made `body` of. Raises WrongDigest when it is not what the digest `wanted` names, and BadPackage."""
    return of(contents(body, wanted), where=wanted[: len("sha256:") + 12])


def contents(body: bytes, wanted: str) -> dict[str, bytes]:
    """The files in what `pack` made, verified and not looked into. Raises WrongDigest."""
    where = f"package {safe_text(wanted, limit=19)}"
    if not _DIGEST.fullmatch(wanted):
        raise WrongDigest("is no digest", where=where)
    try:
        files = _split(body)
    except ValueError:
        files = None
    if files is None or digest(files) != wanted:
        what = "its bytes are not those that were installed: they were changed since, or are damaged"
        raise WrongDigest(what, where=where, hint="restore a backup, or install it again")
    return files


def name_mistake(name: str) -> str:
    """Why no file of a package can have this name, as the end of a sentence; "" when it can. For every archive and folder."""
    parts = name.split("/")
    for wrong, sentence in (
        (not name, "is empty"),
        (len(name) > NAME_MAX, f"is longer than {NAME_MAX} characters"),
        (any(unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") for sign in name), "holds control characters"),
        (name.startswith("/"), "is absolute"),
        ("\\" in name, "holds a backslash"),
        (":" in name, "holds a colon: a drive, or a stream beside a file"),
        (".." in parts, "leaves its folder with '..'"),
        ("" in parts or "." in parts, "has a part that is empty or '.'"),
        (len(parts) > DEPTH_MAX, f"is deeper than {DEPTH_MAX} folders"),
        (unicodedata.normalize("NFC", name) != name, "is not in Unicode's composed form (NFC)"),
        (not all(_NAME.fullmatch(part) for part in parts), "has characters beside plain letters, digits and '._+-'"),
        (any(_WINDOWS.fullmatch(part) for part in parts), "is a device on Windows"),
        (any(part.endswith((".", " ")) or part.startswith(" ") for part in parts), "begins or ends with what Windows drops"),
    ):
        if wrong:
            return sentence
    return ""


def refused(where: str, name: str, why: str, hint: str = "") -> BadPackage:
    """The error about one member of something: its name, made safe to show, and why."""
    return BadPackage(why, where=f"{where}: {safe_text(name, limit=80)}", hint=hint)


def _is_example(name: str) -> bool:
    return name.startswith("examples/") or ".examples" in name


def _require(problems: list[Problem]) -> None:
    if problems:
        raise BadPackage.listing(problems)


def _name_problems(files: Mapping[str, bytes], where: str) -> Iterator[Problem]:
    if len(files) > FILES_MAX:
        yield Problem(where, f"holds {len(files)} files, and {FILES_MAX} are enough")
        return
    seen: dict[str, str] = {}
    for name in sorted(files):
        mistake = name_mistake(name)
        if mistake:
            yield Problem(f"{where}: {safe_text(name, limit=80)}", f"its name {mistake}")
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            yield Problem(f"{where}: {name}", f"differs from {other} by case only: on some disks they are one file")


def _form(files: Mapping[str, bytes], where: str) -> tuple[str, Kind]:
    if MANIFEST in files or CODE in files:
        for name in (MANIFEST, CODE):
            if name not in files:
                raise BadPackage(f"has no {name}", where=where, hint=f"a folder holds {MANIFEST} and {CODE}")
        return MANIFEST, "folder"
    mains = [name for name in sorted(files) if name.endswith((".py", ".toml")) and "/" not in name and not _is_example(name)]
    mains = [name for name in mains if name not in _RUN_BY] or mains
    if len(mains) != 1:
        what = f"holds {len(mains)} cartridges" if mains else "holds no cartridge"
        hint = (
            f"a package is a folder with {MANIFEST} and {CODE}, one .py file with a `# /// cartridge` block, or one .toml rule"
        )
        raise BadPackage(what, where=where, hint=hint)
    return mains[0], "code" if mains[0].endswith(".py") else "rule"


def _strangers(files: Mapping[str, bytes], main: str, where: str) -> Iterator[Problem]:
    """Files that are no part of a package. Each says what makes it one."""
    stem = main.rpartition(".")[0]
    folder = "examples" if main == MANIFEST else f"{stem}.examples"
    for name in sorted(files):
        last = name.rpartition("/")[2]
        if name == main or (main == MANIFEST and name == CODE) or _DOCUMENT.fullmatch(name):
            why = _RUN_BY.get(name, "")
        elif (main != MANIFEST and name == f"{stem}.examples.toml") or (
            name.startswith(f"{folder}/") and _EXAMPLE.fullmatch(name[len(folder) + 1 :])
        ):
            why = ""
        else:
            ending = next((why for end, why in _ENDINGS.items() if last.lower().endswith(end)), "")
            why = _RUN_BY.get(last.lower()) or ending or "it is none of the files that a package holds"
        if why:
            yield Problem(f"{where}: {name}", f"has no place in a package: {why}", "take it out")


def _sizes(files: Mapping[str, bytes], where: str) -> Iterator[Problem]:
    total = sum(map(len, files.values()))
    if total > BYTES_MAX:
        yield Problem(where, f"holds {total:,} bytes, and {BYTES_MAX:,} are enough")
    for name, content in sorted(files.items()):
        limit = CODE_MAX if name.endswith(".py") else TOML_MAX if name.endswith(".toml") else BYTES_MAX
        if len(content) > limit:
            yield Problem(f"{where}: {name}", f"has {len(content):,} bytes, and {limit:,} are enough")


def _contents(files: Mapping[str, bytes], main: str, kind: Kind, where: str) -> Iterator[Problem]:
    """Text that is not what it looks like, and examples that cannot be read."""
    for name, content in sorted(files.items()):
        if not name.endswith((".py", ".toml")) or len(content) > TOML_MAX:
            continue
        shown = f"{where}: {name}"
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            yield Problem(shown, f"is not UTF-8 (byte {error.start})")
            continue
        hidden = _HIDDEN.search(text)
        if hidden:
            line = text.count("\n", 0, hidden.start()) + 1
            yield Problem(f"{shown}:{line}", f"holds {safe_text(hidden[0])}, which makes text look other than it is")
        if name.endswith(".py"):
            cookies = [found[1].lower() for line in content.split(b"\n")[:2] if (found := _COOKIE.match(line))]
            if any(cookie not in (b"utf-8", b"utf8") for cookie in cookies):
                yield Problem(shown, f"says it is written in {safe_text(cookies[0], limit=40)}: code here is UTF-8")
        elif name != main:
            try:
                parse_toml(text, shown)
            except Misconfigured as error:
                yield from error.problems


def _manifest(files: Mapping[str, bytes], main: str, kind: Kind, where: str) -> Manifest:
    shown = f"{where}: {main}"
    if kind == "folder":
        return manifests.of_folder(files[MANIFEST], files[CODE], shown, f"{where}: {CODE}")
    return manifests.of_file(files[main], shown) if kind == "code" else manifests.of_rule(files[main], shown)


def _id_problems(id: str, main: str, kind: Kind, where: str) -> Iterator[Problem]:
    if _WINDOWS.fullmatch(id):
        yield Problem(f"{where}: {main}: id", f"{id!r} is a device on Windows", "give it another id")
    if kind == "folder":
        return
    stem = main.rpartition(".")[0]
    if kind == "code" and stem in sys.stdlib_module_names:
        yield Problem(f"{where}: {main}", "is the name of a module of Python's own", "give it another id")
    if not _STEM.fullmatch(stem) or stem.replace("_", "-") != id:
        yield Problem(
            f"{where}: {main}", f"holds the cartridge {id!r}", f"a file is called after its id: {id}{main[len(stem) :]}"
        )


def _split(body: bytes) -> dict[str, bytes]:
    """The files in a body. Raises ValueError for what `pack` did not write."""
    if not body.startswith(_MAGIC):
        raise ValueError("no package")
    files: dict[str, bytes] = {}
    at = len(_MAGIC)
    while at < len(body):
        name, at = _field(body, at)
        files[name.decode()], at = _field(body, at)
    return files


def _field(body: bytes, at: int) -> tuple[bytes, int]:
    end = body.index(b":", at, at + 12)
    size = int(body[at:end])
    if size < 0 or end + 1 + size > len(body):
        raise ValueError("cut off")
    return body[end + 1 : end + 1 + size], end + 1 + size
