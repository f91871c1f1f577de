"""What a workspace begins with: event types without a mistake, cartridges whose examples hold, a recording that anybody can make again."""

from __future__ import annotations

import gzip
import json
import tomllib
from pathlib import Path

import orjson
import pytest

import eventctl
from eventctl import catalog, decode, manifest, starter
from eventctl.errors import Refused
from eventctl.times import HOUR, parse_iso
from eventctl.views import InboxFilter
from tools.week.__main__ import record

ROOT = Path(__file__).resolve().parents[1]
RECORDING = ROOT / "demo" / "week.ndjson.gz"
RECORDING_BYTES_MAX = 400_000
CONTENT = [ROOT / top for top in ("cartridges", "company", "personal")]


def cartridges() -> list[Path]:
    files = [file for top in CONTENT for file in sorted(top.rglob("*.py")) if file.name != "cartridge.py"]
    files += [file for top in CONTENT for file in sorted(top.glob("**/cartridges/*.toml"))] + sorted(
        ROOT.glob("cartridges/*.toml")
    )
    files = [file for file in files if not file.name.endswith(".examples.toml")]
    return files + [file.parent for top in CONTENT for file in sorted(top.rglob("cartridge.toml"))]


def examples() -> list[Path]:
    return sorted(file for top in CONTENT for file in top.rglob("examples/*.toml"))


def loaded() -> tuple[catalog.Catalog, list]:
    shipped = [("eventctl", part) for part in catalog.shipped_parts()]
    return catalog.load(
        [*shipped, *(catalog.read_part(path) for path in sorted(ROOT.glob("company/domains/*/event_types.toml")))]
    )


@pytest.fixture(scope="module")
def lines() -> list[dict]:
    return [json.loads(line) for line in gzip.decompress(RECORDING.read_bytes()).splitlines()]


def test_the_shipped_event_types_have_no_mistake_and_leave_no_loose_end():
    assert [] == loaded()[1]


@pytest.mark.parametrize("domain", sorted((ROOT / "company/domains").iterdir()), ids=lambda path: path.name)
def test_a_domain_declares_types_of_its_own_namespace_only(domain):
    part = tomllib.loads((domain / "event_types.toml").read_text())
    assert f"domain.{domain.name}" == part["namespace"]


@pytest.mark.parametrize("path", cartridges(), ids=lambda path: path.name)
def test_a_shipped_cartridge_has_a_manifest_that_can_be_read(path):
    found = manifest.load(path)
    assert path.stem == found.id


class At:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.us = 0

    def now(self) -> int:
        return self.us

    def monotonic(self) -> float:
        return self.us / 1e6


@pytest.mark.parametrize("example", examples(), ids=lambda path: f"{path.parent.parent.name}/{path.stem}")
def test_an_example_of_a_cartridge_holds(example, tmp_path):
    told = tomllib.loads(example.read_text())
    starter.make(tmp_path, name="examples", member="ada")
    clock = At()
    with eventctl.open(tmp_path, env={}, clock=clock, no_plugins=True) as here:
        for given in told["given"]:
            clock.us = parse_iso(given.pop("at"))
            last = here.emit(given.pop("event"), given.pop("source", "example"), given.pop("payload"), **given)
            here.run_until_idle()
        trace = here.views.trace(last.seq)
        found = {slot: orjson.loads(value) for slot, value in trace.annotations.items()}
        rows = here.views.inbox(InboxFilter(archived=True), limit=100).items
    then = told["then"]
    assert then.get("annotations", {}) == {slot: found.get(slot) for slot in then.get("annotations", {})}
    assert then.get("notifications", len(rows)) == len(rows)


def test_the_recording_is_what_its_program_makes():
    assert record() == gzip.decompress(RECORDING.read_bytes()).decode()


def test_the_recording_is_small_enough_to_ship():
    assert RECORDING.stat().st_size < RECORDING_BYTES_MAX


def test_every_type_in_the_recording_is_declared(lines):
    found, _ = loaded()
    assert set() == {line["line"]["event"] for line in lines if "line" in line and not found.declared(line["line"]["event"])}


def test_every_envelope_in_the_recording_may_enter_the_log_and_nothing_else_may(lines):
    refused = []
    for line in lines:
        try:
            decode.decode(json.dumps(line["line"]) if "line" in line else line["raw"], now=0)
        except Refused:
            refused.append(line)
    assert [line for line in lines if "raw" in line] == refused


def test_the_recording_holds_redeliveries_a_burst_late_arrivals_and_lines_that_are_no_events(lines):
    seen = [(line["line"]["source"], line["line"]["id"]) for line in lines if "line" in line]
    assert len(seen) - len(set(seen)) > 50
    probes = [line for line in lines if line.get("line", {}).get("payload", {}).get("summary", "").startswith("probe ")]
    assert len(probes) > 60
    waits = [parse_iso(line["at"]) - parse_iso(line["line"]["timestamp"]) for line in lines if "line" in line]
    assert sum(wait > HOUR for wait in waits) > 10
    assert 10 == sum("raw" in line for line in lines)
