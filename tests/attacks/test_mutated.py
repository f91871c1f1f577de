"""Packages that are damaged at random, and packages that say random things: the named error or a package, soon, and nothing else."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from eventctl import archives, guardian, inspection, package, untar, unzip
from eventctl.catalog import Catalog
from eventctl.errors import Misconfigured
from eventctl.package import BadPackage, WrongDigest
from tests.attacks import forge
from tests.attacks.forge import Member

SECONDS = 3.0
FEW = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
FILES = {**forge.folder(), "examples/one.toml": b"[[given]]\nevent = 'job.done'\n[then]\n", "README.md": b"# Watches\n" * 9}
TAR, ZIP = forge.tar_of(FILES), forge.zipped(FILES)
DESCRIBED = forge.zip_of(*(Member(name, content, method=0) for name, content in FILES.items()))


def _mutated(raw: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for at, take, put in changes:
        place = at % (len(raw) + 1)
        raw = raw[:place] + put + raw[place + take :]
    return raw


changes = some.lists(
    some.tuples(some.integers(0, 20_000), some.integers(0, 40), some.binary(max_size=40)), min_size=1, max_size=6
)
flips = some.lists(
    some.tuples(some.integers(0, 20_000), some.just(1), some.binary(min_size=1, max_size=1)), min_size=1, max_size=3
)


def _read(tmp_path, name: str, raw: bytes) -> dict[str, bytes] | None:
    """The files, or None where it was refused. Anything else is raised, and so is a read that takes long."""
    file = tmp_path / name
    file.write_bytes(raw)
    began = time.process_time()
    try:
        return archives.read(file)
    except BadPackage:
        return None
    finally:
        assert time.process_time() - began < SECONDS


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    return tmp_path_factory.mktemp("mutated")


@FEW
@given(some.one_of(changes, flips), some.sampled_from([("a.tar", TAR), ("a.zip", ZIP), ("a.zip", DESCRIBED)]))
def test_a_damaged_archive_gives_what_was_packed_or_the_named_error(here, changed, archive):
    name, raw = archive
    mutated = _mutated(raw, changed)
    found = _read(here, name, mutated)
    assert found in (None, FILES) or name == "a.tar"  # a tar has no checksum over its content
    if found is not None:
        assert sum(map(len, found.values())) <= package.BYTES_MAX
        assert all(not package.name_mistake(path) for path in found)


@FEW
@given(changes)
def test_a_damaged_gzip_gives_the_named_error(here, changed):
    raw = forge.gzip(TAR)
    assert _read(here, "a.tgz", raw) == FILES
    mutated = _mutated(raw, changed)
    found = _read(here, "a.tgz", mutated)
    assert found is None or found == FILES


@FEW
@given(some.binary(max_size=3_000), some.sampled_from(["a.tar", "a.tgz", "a.zip", "a-1-py3-none-any.whl"]))
def test_noise_is_refused(here, raw, name):
    assert _read(here, name, raw) is None or raw == b"\0" * len(raw)


names = some.one_of(
    some.text(max_size=12), some.sampled_from([*FILES, "night-watch.py", "x.toml", "examples/x.toml", "LICENSE"])
)
contents = some.one_of(
    some.binary(max_size=200),
    some.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")),
    some.sampled_from(list(FILES.values())),
)


@FEW
@given(some.dictionaries(names, contents, max_size=6))
def test_any_files_are_a_package_or_the_named_error(files):
    try:
        found = package.of(files)
    except BadPackage:
        return
    assert package.unpack(package.pack(found), found.digest) == found


@FEW
@given(changes)
def test_a_changed_byte_is_no_package_of_that_digest(changed):
    found = package.of(FILES)
    body = package.pack(found)
    mutated = _mutated(body, changed)
    if mutated == body:
        return
    with pytest.raises(WrongDigest):
        package.unpack(mutated, found.digest)


@FEW
@given(changes)
def test_any_code_that_is_let_in_is_judged(changed):
    code = _mutated(
        forge.GOOD.encode() + b"\nimport re, os\nX = re.compile('x')\n@print\nclass A(X): y = [eval for eval in X]\n", changed
    )
    try:
        found = package.of({**FILES, "cartridge.py": code})
    except BadPackage:
        return
    verdict = guardian.judge(
        guardian.Case(package=found, place="library", origin="file:x"), guardian.Premises(catalog=Catalog())
    )
    assert verdict.verdict in ("accept", "ask", "refuse")
    assert verdict.as_json()["verdict"] == verdict.verdict


words = some.sampled_from(
    sorted(
        inspection.PLAIN
        | set(inspection.REACHING)
        | inspection._INNER
        | set(inspection._HIDES)
        | inspection._LEADING
        | inspection._MADE_OF_TEXT
    )
)
forms = some.sampled_from(
    [
        "import {a}",
        "from {a} import {b}",
        "X = {a}.{b}",
        "import {a}\nX = {a}.{b}.{c}",
        "@{a}\nclass Y({b}): {c} = {a}",
        "X = [{a} for {b} in {c}]",
        "{a}({b})[{c}]()",
    ]
)


@FEW
@given(some.lists(some.tuples(forms, words, words, words), max_size=4))
def test_looking_at_what_code_may_name_never_fails(lines):
    code = "\n".join(form.format(a=a, b=b.rpartition(".")[2], c=c.rpartition(".")[2]) for form, a, b, c in lines)
    seen = inspection.look(code.encode())
    assert all(inspection.reach(name) is None or isinstance(inspection.reach(name), str) for name in seen.imports)


@FEW
@given(some.binary(max_size=400))
def test_looking_at_any_code_never_fails(code):
    assert inspection.look(code) is not None


@pytest.mark.parametrize("raw", [b"", b"\0" * 512, b"\0" * 1024, b"PK\5\6" + b"\0" * 18, TAR[:700], ZIP[:-1], ZIP[1:]])
def test_both_readers_know_what_is_none_of_theirs(raw):
    for read in (untar.members, unzip.members):
        try:
            found = read(raw, "x")
        except Misconfigured:
            continue
        assert {} == found
