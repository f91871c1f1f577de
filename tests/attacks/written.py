"""What stands in the files of a package: strangers, code that would run, manifests that want too much."""

from __future__ import annotations

from collections.abc import Iterator

from tests.attacks.attack import Attack, bad, laid, saved
from tests.attacks.forge import GOOD, canary, folder, manifest

STRANGERS = {
    "sitecustomize.py": "whenever it starts",
    "usercustomize.py": "whenever it starts",
    "evil.pth": "whenever it starts",
    "__init__.py": "when its folder is imported",
    "__main__.py": "python -m",
    "conftest.py": "pytest runs it",
    "setup.py": "pip runs it",
    "cartridge.pyc": "compiled code",
    "__pycache__/cartridge.cpython-311.pyc": "compiled code",
    "cartridge.so": "machine code",
    "json.py": "none of the files",
    "pyproject.toml": "none of the files",
    ".git/hooks/post-checkout": "none of the files",
    "examples/evil.py": "none of the files",
    "README.py": "none of the files",
    "more.zip": "none of the files",
}
"""Files that somebody runs, or that stand where a package holds nothing."""

CODE = {
    "a file is written": ('open("{canary}", "w").close()', "`open` reaches files"),
    "a path is written": (
        'from pathlib import Path\nPath("{canary}").write_text("x")',
        "imports pathlib.Path, which reaches files",
    ),
    "a program is started": ('import subprocess\nsubprocess.run(["touch", "{canary}"])', "reaches other programs"),
    "a socket is opened": ("import socket\nsocket.create_connection(('127.0.0.1', 9))", "reaches the network"),
    "the environment is read": ("import os\nSECRET = os.environ", "imports os"),
    "machine code": ("import ctypes\nctypes.CDLL(None)", "reaches machine code"),
    "pickle": ("import pickle\npickle.loads(b'')", "hidden in data"),
    "eval": ("eval(\"open('{canary}', 'w')\")", "`eval` runs text as code"),
    "exec": ("exec('import os')", "`exec` runs text as code"),
    "an import by text": ("__import__('o' + 's')", "`__import__`"),
    "importlib": ("from importlib import import_module\nimport_module('os')", "the interpreter itself"),
    "subclasses": ("FOUND = ().__class__.__base__.__subclasses__()", "`.__subclasses__`"),
    "globals of a function": ("X = process.__globals__", "`.__globals__`"),
    "through a plain module": ("import dataclasses\nX = dataclasses.sys", "`.sys` reaches the interpreter"),
    "from a plain module": ("from dataclasses import sys", "reaches the interpreter"),
    "builtins": ("X = __builtins__", "`__builtins__`"),
    "inside of eventctl": ("from eventctl.sqlite_store import SqliteStore", "the inside of eventctl"),
    "a decorator": ("@print\ndef other(): pass", "`print` is used when it is loaded"),
    "a default": ("def other(x=print('x')): pass", "`print` is used when it is loaded"),
    "a body of a class": ("class Other:\n    print('x')", "`print` is used when it is loaded"),
    "a base of a class": ("class Other(print('x') or object): pass", "`print` is used when it is loaded"),
    "a loop without an end": ("while True:\n    pass", "a statement (while) runs when it is loaded"),
    "a with": ("import re\nwith re.compile('x'):\n    pass", "a statement (with) runs"),
    "in a comprehension": ("X = [print(x) for x in range(3)]", "`print` is used when it is loaded"),
    "under a condition": ("if 1:\n    print('x')", "`print` is used when it is loaded"),
    "in a handler": ("try:\n    X = 1\nexcept ValueError:\n    pass\nfinally:\n    print('x')", "`print` is used"),
    "a debugger": ("async def other():\n    breakpoint()", "`breakpoint`"),
    "an annotation": ("def other(x: print('x')): pass", "`print` is used when it is loaded"),
    "what catches": ("try:\n    X = 1\nexcept print('x'):\n    pass", "`print` is used when it is loaded"),
    "by a table": ("{1: print}[1]('x')", "`print` is used when it is loaded"),
    "by what sorts": ("sorted([1], key=print)", "`print` is used when it is loaded"),
    "other letters": ("import \uff4f\uff53", "imports os"),
    "other letters of eval": ("X = \uff45\uff56\uff41\uff4c", "`eval`"),
    "what random uses": ("import random\nX = random._os", "imports random._os, which reaches what a module keeps"),
    "what json uses": ("import json\nX = json.codecs.open", "which reaches what a module uses itself"),
    "code by its parts": ("from types import CodeType", "code that is made of text"),
    "a star": ("from os import *", "imports os"),
    "in a function": ("async def other():\n    import shutil", "imports shutil, which reaches files"),
    "another name": ("import os as re\nX = re.sep", "imports os"),
    "the end": ("exit()", "`exit` ends whoever runs it"),
    "asyncio": ("import asyncio\nX = asyncio.get_event_loop", "an event loop of its own"),
}
"""What stands before `process`, and what the guardian says to it."""

WRITTEN = {
    "an unknown key": (manifest(autostart="true"), "unknown key 'autostart'"),
    "an id that climbs": (manifest("../../../evil"), "a name begins with a lower-case letter"),
    "an absolute id": (manifest("/tmp/evil"), "a name begins with a lower-case letter"),
    "an id in capitals": (manifest("Deploy-Watch"), "a name begins with a lower-case letter"),
    "an id with a line end": (manifest("night-watch\\n"), "a name begins with a lower-case letter"),
    "an id with a NUL": (manifest("night\\u0000watch"), "a name begins with a lower-case letter"),
    "an id of other letters": (manifest("night-w\u0430tch"), "a name begins with a lower-case letter"),
    "an id with an escape": (manifest("night\\u001b[2Jwatch"), "a name begins with a lower-case letter"),
    "a long id": (manifest("n" * 65), "a name begins with a lower-case letter"),
    "an empty id": (manifest(""), "a name begins with a lower-case letter"),
    "a device as an id": (manifest("con"), "device on Windows"),
    "an id that looks like another": (manifest("watch-dep1oys"), "can be taken for watch-deploys"),
    "an id without its hyphen": (manifest("watchdeploys"), "can be taken for watch-deploys"),
    "an older version": (manifest("watch-deploys", version='"1.9.9"'), "a step back"),
    "a version that climbs": (manifest(version='"../1"'), "a version begins with a digit"),
    "an api to come": (manifest(api="99"), "was written for api 99"),
    "a sandbox": (manifest(runs='"sandbox"'), "sandbox"),
    "a million keys": ("".join(f"k{number}=1\n" for number in range(1_000_000)), "are enough"),
    "many wrong keys": (manifest() + "".join(f"k{number}=1\n" for number in range(20_000)), "unknown key"),
    "a key of 30,000 parts": (manifest() + ".".join("a" * 30_000) + " = 1\n", "nested too deep"),
    "a quoted key of 30,000 parts": (manifest() + ".".join(['"\\""'] * 30_000) + " = 1\n", "nested too deep"),
    "tables in tables": (manifest() + "x = " + "{a=" * 10_000 + "1" + "}" * 10_000 + "\n", "nested too deep"),
    "lists in lists": (manifest() + "x = " + "[" * 10_000 + "]" * 10_000 + "\n", "nested too deep"),
    "a number of 5,000 digits": (manifest() + "x = " + "9" * 5_000 + "\n", "is not TOML"),
    "a default 40 deep": (
        manifest() + '[settings.x]\ntype = "list"\ndefault = ' + "[" * 40 + "]" * 40 + "\n",
        "nested too deep",
    ),
    "no TOML": ("\x00\x01\x02", "makes text look other than it is"),
    "a mark that turns text": (manifest(summary='"\u202eplain"'), "makes text look other than it is"),
    "another's event": (manifest(emits='["domain.marketing.campaign.launched"]'), "may be a domain's type"),
    "an event of the platform": (manifest(emits='["system.runner.started"]'), "may come from the platform only"),
    "every event": (manifest(emits='["**"]'), "may be a type of any domain"),
    "an escape in its words": (
        manifest(summary='"\\u001b[2J\\u001b]0;x\\u0007harmless"', emits='["**"]'),
        "may be a type of any domain",
    ),
    "a slot of the system": (manifest(slot="trust"), "a slot of the system's own"),
}
"""A `cartridge.toml`, and what the refusal names."""


def folders() -> Iterator[Attack]:
    for name, words in STRANGERS.items():
        yield Attack(f"folder: {name}", words, laid(lambda evil, name=name: {**folder(), name: canary(evil).encode()}))
    for name, (code, words) in CODE.items():
        yield Attack(
            f"code: {name}",
            words,
            laid(
                lambda evil, code=code: folder(code=f"{code.replace('{canary}', evil)}\n\n\n{GOOD.format(slot='night-watch')}")
            ),
        )
    for name, (written, words) in WRITTEN.items():
        yield Attack(f"manifest: {name}", words, laid(lambda evil, written=written: folder(written=written)))
    good = GOOD.format(slot="night-watch").encode()
    for name, code, words in (
        ("300 kB", b"#" * 300_000, "262,144 are enough"),
        ("nested", b"x = " + b"-" * 100_000 + b"1\n" + good, "is not Python"),
        ("brackets", b"x = " + b"(" * 10_000 + b"\n" + good, "is not Python"),
        ("a long sum", b"x = " + b"1+" * 100_000 + b"1\n" + good, "is not Python"),
        ("no Python", b"def def def", "is not Python"),
        ("a NUL", b"x = 1\0\n" + good, "makes text look other than it is"),
        ("utf-7", b"# coding: utf-7\n" + good, "code here is UTF-8"),
        ("rot13", b"#!/usr/bin/python\n# -*- coding: rot13 -*-\n" + good, "code here is UTF-8"),
        ("latin", b"# caf\xe9\n" + good, "is not UTF-8"),
        ("a turned line", "x = 'a\u202e\u2066# b'\n".encode() + good, "makes text look other than it is"),
        ("a lone return", b"x = 1 # harmless\rimport os\n" + good, "makes text look other than it is"),
        ("an escape", b"# \x1b[1A\x1b[2K\n" + good, "makes text look other than it is"),
        ("no process", b"async def run(event, context): ...\n", "has no function process"),
        ("process with one argument", b"async def process(event): ...\n", "takes two arguments"),
    ):
        yield Attack(f"code: {name}", words, laid(lambda evil, code=code: {**folder(), "cartridge.py": code}))
    yield Attack("folder: no manifest", "has no cartridge.toml", laid(lambda evil: {"cartridge.py": good}))
    yield Attack("folder: no code", "has no cartridge.py", laid(lambda evil: {"cartridge.toml": manifest().encode()}))
    yield Attack("folder: two files", "holds 2 cartridges", laid(lambda evil: {"a.py": good, "b.py": good}))
    yield Attack(
        "folder: examples that are no TOML", "is not TOML", laid(lambda evil: {**folder(), "examples/x.toml": b"= = ="})
    )
    yield Attack(
        "folder: a manifest that is no text", "is not UTF-8", laid(lambda evil: {**folder(), "cartridge.toml": b"\xff\xfe"})
    )
    yield Attack(
        "folder: 300 files", "more than 200", laid(lambda evil: {f"examples/e{number}.toml": b"" for number in range(300)})
    )
    yield Attack("folder: 6 MB", "5,000,000 are enough", laid(lambda evil: {**folder(), "README": b"x" * 6_000_000}))
    yield Attack("folder: deep", "deeper than 4", laid(lambda evil: {**folder(), "examples/a/b/c/x.toml": b""}))
    yield Attack("place: one that climbs", "no domain|no place", laid(bad, "--domain", "../../../tmp"))
    yield Attack("place: a member who climbs", "no member|no place", laid(bad, "--member", "../ada"))
    yield Attack("place: another's types", "outside of domain.marketing", laid(lambda evil: folder(emits='["domain.customer-relations.helpdesk.ticket_triaged"]'), "--domain", "marketing"))  # fmt: skip
    yield Attack("place: a member who emits", "outside of member.ada.**", laid(lambda evil: folder(emits='["job.finished"]'), "--member", "ada"))  # fmt: skip
    yield Attack("place: where a file stands", "a file has the id", laid(lambda evil: folder(id="deploy-tracker"), "--domain", "software-development"))  # fmt: skip
    yield Attack("place: a slot that is taken", "annotates here already", laid(lambda evil: folder(slot="deploy"), "--domain", "software-development"))  # fmt: skip
    block = '# /// cartridge\n# id = "{id}"\n# summary = "x"\n# consumes = ["job.*"]\n# ///\n'
    yield Attack(
        "file: named for a module",
        "module of Python's own",
        saved("socket.py", lambda evil: block.format(id="socket").encode() + good),
    )
    yield Attack(
        "file: named for another",
        "holds the cartridge 'night-watch'",
        saved("watch-deploys.py", lambda evil: block.format(id="night-watch").encode() + good),
    )
    yield Attack(
        "file: sitecustomize.py",
        "whenever it starts",
        saved("sitecustomize.py", lambda evil: block.format(id="sitecustomize").encode() + good),
    )
    yield Attack(
        "file: two blocks",
        "more than one",
        saved("night-watch.py", lambda evil: 2 * block.format(id="night-watch").encode() + good),
    )
    yield Attack(
        "file: a block without an end",
        "does not end",
        saved("night-watch.py", lambda evil: block.format(id="night-watch").replace("# ///\n", "").encode() + good),
    )
