"""What is installed stands beside what people wrote: a runner takes it between two steps, and runs the bytes that were looked at or none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

import eventctl
from eventctl import client, installed, lifecycle, starter, workspace
from eventctl.app import Workspace
from eventctl.breadcrumb import Crumb, NoCrumb
from eventctl.discovery import Domain, DomainFile, Scan
from eventctl.house import House
from eventctl.installed import Shelf, unit_path
from eventctl.memory_store import MemoryStore
from eventctl.package import Package
from eventctl.store import Keys, Operations, Store, Unit
from eventctl.strikes import unit_of
from eventctl.workspace import Paths
from tests.lifekit import ADMIN, NOW, code, packed
from tests.test_lifecycle import install, spoil

ONE, TWO = packed("till", "1.0.0"), packed("till", "2.0.0")
SHOP = "domain:shop"


def scanned(store: Store, known: dict[str, Unit] | None = None, shelf: Shelf | None = None) -> Scan:
    found = Scan(domains=[Domain("shop", DomainFile())], units=dict(known or {}))
    (shelf or Shelf()).join(found, store.installed(), store.package)
    return found


def test_a_new_version_begins_without_strikes_and_an_old_one_finds_its_own() -> None:
    store, path = MemoryStore(), unit_path(SHOP, "till")
    install(store, ONE, SHOP)
    units = scanned(store).units
    units[path] = units[path]._replace(strikes=1)
    install(store, TWO, SHOP)
    units = scanned(store, units).units
    assert (0, TWO.digest) == (units[path].strikes, units[path].hash)
    units[path] = units[path]._replace(strikes=3, state="disabled", reason="hung")
    assert "switched off: hung" in scanned(store, units).problems[0].what
    lifecycle.carry_out(store, lifecycle.rolling_back(store, SHOP, "till", who=ADMIN, now=NOW), who=ADMIN, now=NOW)
    found = scanned(store, units)
    assert (1, ONE.digest, "active") == (found.units[path].strikes, found.units[path].hash, found.units[path].state)
    assert ["till"] == [each.manifest.id for each in found.found]


def test_a_scan_that_changes_nothing_writes_nothing() -> None:
    store = MemoryStore()
    install(store, ONE, SHOP)
    first = scanned(store)
    assert [] == scanned(store, first.units).changed


@pytest.mark.parametrize("how", ["spoilt", "gone"])
def test_bytes_that_are_not_those_that_were_installed_are_left_out_and_told_once(how: str) -> None:
    store, shelf = MemoryStore(), Shelf()
    install(store, ONE, SHOP)
    before = scanned(store, shelf=shelf).units
    if how == "spoilt":
        spoil(store, ONE.digest)
    else:
        del store.tables.packages.rows[ONE.digest]
    found = scanned(store, before, shelf)
    assert [] == found.found
    reason = installed.DAMAGED if how == "spoilt" else installed.MISSING
    assert [(SHOP, "till", reason)] == list(installed.damaged(before, found.units))
    assert [] == list(installed.damaged(found.units, scanned(store, found.units, shelf).units))
    install(store, ONE, SHOP)
    assert ["till"] == [each.manifest.id for each in scanned(store, found.units, shelf).found]


@pytest.mark.parametrize(("runs", "wanted"), [("worker", "worker"), ("in-process", "in-process")])
def test_code_runs_in_a_worker_until_its_digest_is_trusted(runs: str, wanted: str) -> None:
    found = installed.found_of(ONE, SHOP, runs)
    assert (wanted, ONE.code, ONE.digest) == (found.manifest.runs, found.code.text, found.code.hash)


def test_trust_never_weakens_what_the_author_asked_for() -> None:
    careful = packed("till", "1.0.0", 'runs = "worker"')
    assert "worker" == installed.found_of(careful, SHOP, "in-process").manifest.runs


def test_a_domain_that_is_gone_leaves_out_what_was_installed_for_it() -> None:
    store = MemoryStore()
    install(store, ONE, "domain:gone")
    found = scanned(store)
    assert [] == found.found
    assert "not there any more" in found.problems[0].what


@pytest.mark.parametrize(
    ("place", "pipeline", "cartridge"),
    [(SHOP, "domain:shop", "till"), ("member:bob", "members", "bob/till"), ("library", "domain:shop", "till")],
)
def test_a_strike_finds_what_was_installed(place: str, pipeline: str, cartridge: str) -> None:
    store = MemoryStore()
    install(store, ONE, place)
    units = scanned(store).units
    assert units[unit_path(place, "till")] == unit_of(units, Crumb(pipeline, cartridge, 1, 0.0, 5.0))


# --- a runner that is at work ----------------------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "company/domains/shop").mkdir(parents=True)
    (tmp_path / "company/domains/shop/domain.toml").write_text('summary = "A shop."\n')
    (tmp_path / "eventctl.toml").write_text('[members.ada]\nrole = "admin"\n')
    paths = Paths(tmp_path.resolve())
    workspace.prepare(paths)
    starter._open_store(paths)
    return paths.root


@pytest.fixture
def running(root: Path) -> Iterator[Workspace]:
    with eventctl.open(root) as ws:
        ws.run_until_idle()
        yield ws


def speaking(version: str) -> Package:
    from eventctl import package

    text = code("till", version, 'annotates = ["sum"]', body=f'    context.annotate("sum", {version!r})\n')
    return package.of({"till.py": text.encode()})


def sold(ws: Workspace) -> str | None:
    """The version that ran for a new event."""
    seq = ws.emit("shop.sold", "tests", entity="a").seq
    assert ws.run_until_idle()
    kept = ws.store.snapshot(Keys(annotations=[seq])).annotations.get(seq, {}).get("sum")
    return None if kept is None else str(orjson.loads(kept))


def test_a_runner_takes_what_is_installed_rolled_back_and_removed_between_two_steps(root: Path, running: Workspace) -> None:
    assert sold(running) is None
    with client.short(Paths(root)) as store:
        install(store, speaking("1.0.0"), SHOP)
    assert "1.0.0" == sold(running)
    with client.short(Paths(root)) as store:
        install(store, speaking("2.0.0"), SHOP)
        lifecycle.carry_out(store, lifecycle.trusting(store, SHOP, "till"), who=ADMIN, now=NOW)
    assert "2.0.0" == sold(running)
    with client.short(Paths(root)) as store:
        lifecycle.carry_out(store, lifecycle.rolling_back(store, SHOP, "till", who=ADMIN, now=NOW), who=ADMIN, now=NOW)
    assert "1.0.0" == sold(running)
    with client.short(Paths(root)) as store:
        lifecycle.carry_out(store, lifecycle.removing(store, SHOP, "till"), who=ADMIN, now=NOW)
    assert sold(running) is None


def test_damage_that_a_reload_finds_stops_that_cartridge_and_tells_people(root: Path, running: Workspace) -> None:
    given = speaking("1.0.0")
    with client.short(Paths(root)) as store:
        install(store, given, SHOP)
    assert "1.0.0" == sold(running)
    with client.short(Paths(root)) as store:
        spoil(store, given.digest)
        store.commit(Operations(meta={installed.VERSION: "another"}))
    assert sold(running) is None
    types = [row.type for row in running.store.read_log(0, 1_000)]
    assert 1 == types.count("system.cartridge.disabled")


def test_nothing_that_is_installed_is_executed_to_look_at_it(root: Path) -> None:
    """The text of the code is never compiled by a scan: only a run would."""
    with client.short(Paths(root)) as store:
        install(store, speaking("1.0.0"), SHOP)
        house = House(Paths(root), {}, NoCrumb())
        planned = house.planned(house.scan(store))
    assert ["till"] == [each.id for each in planned.plans["domain:shop"]]
    assert not any(planned.modules.loaded(each.code) for each in planned.plans["domain:shop"])
