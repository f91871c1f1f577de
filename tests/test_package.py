"""Packages: what is one, what names it, and what is kept of it."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from eventctl import archives, package
from eventctl.package import BadPackage, WrongDigest
from tests.attacks.forge import GOOD, folder

ROOT = Path(__file__).parents[1]
SHIPPED = [
    path
    for folder_ in ("cartridges", "company/domains/*/cartridges", "personal/*/cartridges")
    for path in sorted(ROOT.glob(f"{folder_}/*"))
    if ".examples" not in path.name and not path.name.startswith((".", "_"))
]
BLOCK = '# /// cartridge\n# id = "night-watch"\n# summary = "Watches."\n# consumes = ["job.*"]\n# ///\n'


@pytest.mark.parametrize("path", SHIPPED, ids=[path.name for path in SHIPPED])
def test_every_shipped_cartridge_is_a_package_and_is_what_was_packed(path):
    found = package.of(archives.read(path))
    assert path.name.partition(".")[0] == found.id
    assert found == package.unpack(package.pack(found), found.digest)
    assert found.examples


def test_the_forms_say_where_manifest_and_code_stand():
    code = (BLOCK + GOOD.format(slot="x")).encode()
    as_folder, as_file = package.of(folder()), package.of({"night_watch.py": code, "LICENSE": b"mine"})
    as_rule = package.of(
        {"night-watch.toml": b'id = "night-watch"\nsummary = "x"\nconsumes = ["a.b"]\n[notify]\ntitle = "x"\n'}
    )
    assert ("folder", "cartridge.toml", "cartridge.py") == (as_folder.kind, as_folder.main, as_folder.code_name)
    assert ("code", "night_watch.py", code) == (as_file.kind, as_file.main, as_file.code)
    assert ("rule", "night-watch.toml", b"") == (as_rule.kind, as_rule.main, as_rule.code)


def test_the_digest_is_of_names_sizes_and_contents_in_their_order():
    files = {"b": b"22", "a": b"1"}
    told = b"eventctl package 1\n1:a1:" + sha256(b"1").digest() + b"1:b2:" + sha256(b"22").digest()
    assert f"sha256:{sha256(told).hexdigest()}" == package.digest(files)


def test_the_digest_tells_what_looks_alike_when_it_is_strung_together():
    alike = [{"a": b"b"}, {"ab": b""}, {"a": b"", "b": b""}, {"b": b"a"}, {"a1:b": b""}, {}]
    assert len(alike) == len({package.digest(files) for files in alike})


def test_where_something_was_packed_makes_no_difference(tmp_path):
    (tmp_path / "one").mkdir()
    for name, content in folder().items():
        (tmp_path / "one" / name).write_bytes(content)
    by_folder, by_file = archives.read(tmp_path / "one"), archives.read(tmp_path / "one/cartridge.toml")
    assert package.of(folder()).digest == package.of(by_folder).digest == package.of(by_file).digest


@pytest.mark.parametrize("wanted", ["", "sha256:", "md5:" + "0" * 64, "sha256:" + "0" * 64, "sha256:" + "0" * 63 + "\n"])
def test_bytes_of_another_digest_are_not_unpacked(wanted):
    with pytest.raises(WrongDigest):
        package.unpack(package.pack(package.of(folder())), wanted)


def test_every_reason_is_told_at_once():
    with pytest.raises(BadPackage) as refused:
        package.of({**folder(), "setup.py": b"", "evil.pth": b"", "examples/x.toml": b"= ="})
    assert ["evil.pth", "setup.py", "examples/x.toml"] == [
        problem.where.rpartition(" ")[2] for problem in refused.value.problems
    ]


def test_what_is_wrong_in_code_or_manifest_is_named_with_its_line():
    with pytest.raises(BadPackage) as refused:
        package.of(folder(code="x = (\n"), where="evil")
    assert "evil: cartridge.py:1: is not Python: '(' was never closed" == str(refused.value.problems[0])


def test_a_package_may_stand_in_a_folder_of_its_own_in_an_archive_and_only_in_one(tmp_path):
    from tests.attacks.forge import tar_of

    for wrap, name in (("", ""), ("night-watch-1.0/", "night-watch-1.0/"), ("a/b/", "b/")):
        (tmp_path / "a.tar").write_bytes(tar_of({wrap + name_: content for name_, content in folder().items()}))
        found = archives.read(tmp_path / "a.tar")
        assert {name_ if wrap != "a/b/" else name + name_ for name_ in folder()} == set(found)
