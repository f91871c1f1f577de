"""Archives that say other things than they hold, and names that lead elsewhere."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.attacks import forge
from tests.attacks.attack import Attack, bad, saved
from tests.attacks.forge import Member, deflated, folder, gzip, pax, tar, tar_member, tar_of, zip_of, zipped

NAMES = {
    "absolute": ("/tmp/evil.py", "is absolute"),
    "up": ("../evil.py", "'..'"),
    "up in the middle": ("examples/../../evil.py", "'..'"),
    "backslash": ("..\\evil.py", "backslash"),
    "drive": ("C:evil.py", "colon"),
    "stream": ("cartridge.py::$DATA", "colon"),
    "empty part": ("examples//evil.toml", "empty or '.'"),
    "dot": ("examples/./evil.toml", "empty or '.'"),
    "newline": ("evil\n.py", "control characters"),
    "escape": ("\x1b[2Jevil.py", "control characters"),
    "right to left": ("evil\u202eyp.py", "control characters"),
    "no width": ("cart\u200bridge.py", "control characters"),
    "deep": ("a/b/c/d/evil.py", "deeper than 4"),
    "not composed": ("cafe\u0301.md", "composed form"),
    "full width": ("\uff43artridge.py", "plain letters"),
    "homoglyph": ("c\u0430rtridge.py", "plain letters"),
    "device": ("aux.py", "device on Windows"),
    "device with an ending": ("NUL.toml", "device on Windows"),
    "space at the end": ("cartridge.py ", "Windows drops"),
    "dot at the end": ("cartridge.py.", "Windows drops"),
    "case": ("CARTRIDGE.py", "twice"),
}
"""Hostile names: what the refusal says. Each is put into a tar and into a zip."""


def named() -> Iterator[Attack]:
    for name, (path, words) in NAMES.items():
        raw = path.encode()
        yield Attack(f"tar: {name}", words, saved("a.tar", lambda evil, raw=raw: tar_of(bad(evil), tar_member(raw, b"x"))))
        yield Attack(f"zip: {name}", words, saved("a.zip", lambda evil, path=path: zipped(bad(evil), Member(path, b"x"))))
    yield Attack("tar: a NUL in a name", "control", saved("a.tar", lambda evil: tar_of(bad(evil), tar_member(b"README\0.py"))))
    yield Attack("zip: a NUL in a name", "control", saved("a.zip", lambda evil: zipped(bad(evil), Member(b"README\0.py"))))
    yield Attack(
        "tar: a long name",
        "longer than 200",
        saved("a.tar", lambda evil: tar_of(bad(evil), tar_member("a" * 100, prefix=b"b" * 150))),
    )
    yield Attack("zip: a long name", "longer than 200", saved("a.zip", lambda evil: zipped(bad(evil), Member("a" * 60_000))))
    yield Attack("tar: no UTF-8", "not UTF-8", saved("a.tar", lambda evil: tar_of(bad(evil), tar_member(b"\xff\xfe.py"))))
    yield Attack("zip: no UTF-8", "not UTF-8", saved("a.zip", lambda evil: zipped(bad(evil), Member(b"\xff\xfe.py"))))


def tars() -> Iterator[Attack]:
    def put(name: str, words: str, *members: bytes, before: bool = False, end: bytes = b"\0" * 1024) -> Attack:
        def made(evil: str) -> bytes:
            own = [tar_member(path, content) for path, content in bad(evil).items()]
            return tar(*((*members, *own) if before else (*own, *members)), end=end)

        return Attack(f"tar: {name}", words, saved("a.tar", made))

    other = tar_of(folder())
    for kind, words in ((b"1", "a hard link"), (b"2", "a link"), (b"3", "a device"), (b"4", "a device"), (b"6", "a pipe"), (b"7", "contiguous"), (b"Z", "not known here")):  # fmt: skip
        yield put(f"kind {kind.decode()}", words, tar_member("examples/x.toml", kind=kind, link="../../../.eventctl/state.db"))
    yield put(
        "a file through a link", "a link", tar_member("examples", kind=b"2", link="/tmp"), tar_member("examples/x.toml", b"x")
    )
    yield put(
        "a long name of GNU's",
        "long name of GNU's",
        tar_member("././@LongLink".removeprefix("././"), b"../evil\0", kind=b"L"),
        before=True,
    )
    yield put("a long link of GNU's", "long name of GNU's", tar_member("LongLink", b"/etc/passwd\0", kind=b"K"), before=True)
    yield put("sparse by GNU", "sparse", tar_member("README", b"x", kind=b"S"))
    yield put("pax renames", "pax header 'path'", pax(("path", "../evil.py")), tar_member("README", b"x"))
    yield put("pax resizes", "pax header 'size'", pax(("size", "1000000")), tar_member("README", b"x"))
    yield put("pax links", "pax header 'linkpath'", pax(("linkpath", "/etc/passwd")), tar_member("README", b"x"))
    yield put(
        "pax makes sparse", "pax header 'GNU.sparse.name'", pax(("GNU.sparse.name", "../evil")), tar_member("README", b"x")
    )
    yield put("pax for all", "pax header 'path'", pax(("path", "../evil.py"), kind=b"g"), before=True)
    yield put("pax that is damaged", "pax header that is damaged", tar_member("P", b"999999 path=x\n", kind=b"x"))
    yield put("a size in base 256", "no octal number", tar_member("README", b"x", size=b"\x80" + b"\0" * 10 + b"\1"))
    yield put("a size below nothing", "no octal number", tar_member("README", b"x", size=b"-0000000001\0"))
    yield put("a size that lies", "cut off", tar_member("README", b"x", size=b"00000777777\0"))
    yield put("a size of 8 GB", "bytes", tar_member("README", b"x", size=b"77777777777\0"))
    yield put("a checksum that does not fit", "checksum", tar_member("README", b"x", checksum=b"000000\0 "))
    yield put("GNU fields as a name", "part of its name", tar_member("README", b"x", magic=b"ustar  \0", prefix=b"../.."))
    yield put("from before 1988", "before 1988", tar_member("README", b"x", magic=b"\0" * 8))
    yield put("the same file twice", "twice", tar_member("cartridge.py", b"x"))
    yield put("hidden in the padding", "hidden behind it", tar_member("README", b"x", padding=b"#"))
    yield put("a folder with content", "folder with content", tar_member("examples", b"x", kind=b"5"))
    yield put("no end", "no end", end=b"")
    yield put("a second archive", "second archive", end=b"\0" * 1024 + other)
    yield put("201 files", "more than 200 files", *(tar_member(f"examples/e{number}.toml") for number in range(200)))
    yield put("6 MB", "bytes", tar_member("README", b"x" * 6_000_000))
    yield Attack(
        "gzip: a second one behind it",
        "second archive",
        saved("a.tar.gz", lambda evil: gzip(tar_of(folder())) + gzip(tar_of(bad(evil)))),
    )
    yield Attack(
        "gzip: something behind it",
        "something after its end",
        saved("a.tgz", lambda evil: gzip(tar_of(folder())) + b"#!/bin/sh"),
    )
    yield Attack("gzip: cut off", "cut off", saved("a.tgz", lambda evil: gzip(tar_of(bad(evil)))[:-4]))
    yield Attack("gzip: none", "no gzip file", saved("a.tgz", lambda evil: tar_of(bad(evil))))
    yield Attack("gzip: a bomb", "inflates to more", saved("a.tgz", lambda evil: _bomb()))


def _bomb() -> bytes:
    raw = forge.zeros(300_000_000)
    return b"\x1f\x8b\x08" + b"\0" * 6 + b"\xff" + raw + struct.pack("<2I", 0, 300_000_000)


def zips() -> Iterator[Attack]:
    def put(name: str, words: str, *members: Member, **lies: bytes | int) -> Attack:
        return Attack(f"zip: {name}", words, saved("a.zip", lambda evil: zipped(bad(evil), *members, **lies)))

    text = b"# Watches\n" * 20
    yield put("a link", "is a link", Member("README", b"/etc/passwd", mode=0o120777))
    yield put("a pipe", "a pipe", Member("README", b"", mode=0o010644))
    yield put("a device", "a device", Member("README", b"", mode=0o020644))
    yield put("a folder by its kind", "folder by its kind", Member("README", b"", mode=0o040755))
    yield put("a folder with content", "folder with content", Member("examples/", b"x", mode=0))
    yield put("the same file twice", "twice", Member("cartridge.py", b"x"))
    yield put("something before it", "hidden before it", before=b"#!/bin/sh\n")
    yield put("something between", "hidden before it", Member("README", text, before=b"evil"))
    yield put("something before the directory", "hidden between", gap=b"evil")
    yield put("something behind it", "something after its end", after=b"evil")
    yield put("a second archive", "overlaps", Member("README", text, offset=0))
    yield put("a member that is not listed", "hidden", Member("evil.py", text, hidden=True))
    yield put("fewer members than there are", "more in its directory", count=1)
    yield put("more members than there are", "directory that is damaged", count=5)
    yield put("60,000 members, by its word", "200 are enough", count=60_000)
    yield put("another name in its header", "says one thing", Member("README", text, local_name=b"evil.p"))
    yield put("another size in its header", "says one thing", Member("README", text, local_size=1))
    yield put("another way of packing in its header", "says one thing", Member("README", text, local_method=0))
    yield put("a smaller size than there is", "another size", Member("README", b"x" * 9, size=3))
    yield put("a larger size than there is", "another size", Member("README", text, size=1_000))
    yield put("a size of 4 GB", "bytes, and 5,000,000", Member("README", text, size=0xFFFFFFFF))
    yield put("a checksum that does not fit", "checksum", Member("README", text, crc=1))
    yield put("data that is damaged", "damaged", Member("README", text, packed=b"\xff\xff\xff"))
    yield put("data behind the data", "does not end", Member("README", text, packed=deflated(text) + b"evil"))
    yield put(
        "a descriptor that lies",
        "after its data",
        Member("README", text, flags=0x8, descriptor=struct.pack("<4s3I", b"PK\7\x08", 1, 2, 3)),
    )
    yield put("encrypted", "is encrypted", Member("README", text, flags=0x1))
    yield put("strongly encrypted", "packed in a way", Member("README", text, flags=0x40))
    yield put("bzip2", "packed in a way", Member("README", text, method=12, packed=b"BZh"))
    yield put(
        "another name in an extra field", "another name", Member("README", text, extra=struct.pack("<2H", 0x7075, 4) + b"evil")
    )
    yield put("zip64", "zip64", Member("README", text, extra=struct.pack("<2HQ", 1, 8, 1)))
    yield put("an extra field that lies", "damaged", Member("README", text, extra=struct.pack("<2H", 9, 900)))
    yield put("a comment at a member", "has a comment", Member("README", text, comment=b"evil"))
    yield put(
        "a bomb that says its size",
        "bytes, and 5,000,000",
        Member("README", b"", packed=forge.zeros(200_000_000), size=200_000_000),
    )
    yield put("a bomb that lies", "does not end|another size", Member("README", b"", packed=forge.zeros(200_000_000), size=100))
    yield put(
        "a bomb in a bomb",
        "none of the files",
        Member("more.zip", zip_of(Member("README", b"", packed=forge.zeros(1_000_000), size=1_000_000))),
    )
    yield put("201 files", "200 are enough", *(Member(f"examples/e{number}.toml") for number in range(199)))
    yield put("6 MB", "5,000,000 are enough", Member("README", b"x" * 6_000_000))
    yield Attack("zip: cut off", "is no zip", saved("a.zip", lambda evil: zipped(bad(evil))[:-9]))
    yield Attack("zip: a tar by another name", "is no zip", saved("a.zip", lambda evil: tar_of(bad(evil))))
    yield Attack("zip: nothing in it", "no cartridge", saved("a.zip", lambda evil: zip_of()))


def wheels() -> Iterator[Attack]:
    def put(name: str, words: str, *members: Member, top: str = "night_watch") -> Attack:
        def made(evil: str) -> bytes:
            own = [Member(f"{top}/{path}", content) for path, content in bad(evil).items()]
            return zip_of(*own, Member("night_watch-1.dist-info/METADATA", b"Name: night-watch\n"), *members)

        return Attack(f"wheel: {name}", words, saved("night_watch-1-py3-none-any.whl", made))

    yield put("a .pth beside it", "pip would put it elsewhere", Member("evil.pth", b"import os"))
    yield put("scripts", "pip would put it elsewhere", Member("night_watch-1.data/scripts/evil", b"#!/bin/sh"))
    yield put("a cartridge in .data", "pip copies elsewhere", top="night_watch-1.data/purelib/night_watch")
    yield put("two cartridges", "2 folders", Member("other/cartridge.toml", b"id = 'x'"))
    yield put("code in __init__.py", "when its folder is imported", Member("night_watch/__init__.py", b"import os"))
    yield Attack(
        "wheel: no cartridge", "0 folders", saved("x-1-py3-none-any.whl", lambda evil: zip_of(Member("x/evil.py", b"")))
    )
