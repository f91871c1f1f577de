"""What a reload comes to is what a fresh start would: whatever was kept from before, nothing of it is old."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from eventctl import catalog
from eventctl.composition import Before, Composition, compose
from eventctl.discovery import Found, Scan, scan
from eventctl.kept import Kept
from eventctl.plan import Plan
from eventctl.store import Unit

CODE = "async def process(event, context):\n    return event\n"
PLACES = ("company/domains/shop/cartridges", "company/domains/mill/cartridges", "cartridges", "personal/ada/cartridges")
NAMES = ("aa", "bb", "cc")
LINES = (
    '# requires = ["{other}"]',
    '# after = ["{other}"]',
    '# annotates = ["slot"]',
    '# emits = ["domain.shop.sold"]',
    '# emits = ["domain.shop.gone"]',
    "# [settings]\n# share = {{ type = 'bool', default = true }}",
    '# runs = "sandbox"',
)
TYPES = ("", "[types.gone]\nsummary = 'Gone.'\n", "[types.sold]\nsummary = 'Another.'\nlevel = 'business'\n")
SETTINGS = (
    "",
    "[settings.aa]\nshare = true\n",
    "[settings.aa]\nshare = 1\n",
    "[settings.bb]\nshare = false\n[settings.cc]\nx = 2\n",
)
RULES = (
    '[set]\nlevel = "business"\n',
    '[notify]\ntitle = "{{payload.x}}"\n',
    '[emit]\nevent = "domain.shop.gone"\n',
    "[set]\n",
)
Codes = st.tuples(st.sampled_from(("domain.shop.*", "domain.shop.sold", "**")), st.sets(st.sampled_from(LINES), max_size=2))


class Edits(RuleBasedStateMachine):
    """A workspace that somebody edits, and the process that has followed every edit."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="eventctl-test-"))
        self.before = Before.empty()
        self.units: dict[str, Unit] = {}
        self.found: list[Found] = []
        self.enable: dict[str, dict[str, Any]] = {}
        self.ticks = 1_700_000_000_000_000_000

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    def write(self, path: str, text: str) -> None:
        """Every write at another time: a disk tells moments apart by some milliseconds only."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self.ticks += 1_000_000_000
        os.utime(file, ns=(self.ticks, self.ticks))

    @initialize()
    def begin(self) -> None:
        self.types("", "")
        for place, name in ((PLACES[0], "aa"), (PLACES[2], "bb"), (PLACES[3], "cc")):
            self.put(place, name, "bb", ("**", set()))

    @rule(place=st.sampled_from(PLACES), name=st.sampled_from(NAMES), other=st.sampled_from(NAMES), code=Codes)
    def put(self, place: str, name: str, other: str, code: tuple[str, set[str]]) -> None:
        consumes, lines = code
        head = [f'# id = "{name}"', '# version = "1.0.0"', '# summary = "A test."', f'# consumes = ["{consumes}"]']
        head += sorted(line.format(other=other) for line in lines)
        self.write(f"{place}/{name}.py", "\n".join(["# /// cartridge", *head, "# ///", "", CODE]))

    @rule(place=st.sampled_from(PLACES), name=st.sampled_from(NAMES), body=st.sampled_from(RULES))
    def put_rule(self, place: str, name: str, body: str) -> None:
        head = f'id = "r{name}"\nsummary = "A rule."\nconsumes = ["domain.shop.*"]\nwhen = "payload.x > 1"\n'
        self.write(f"{place}/r{name}.toml", head + body.format())

    @rule(place=st.sampled_from(PLACES), name=st.sampled_from(NAMES))
    def remove(self, place: str, name: str) -> None:
        for file in (f"{place}/{name}.py", f"{place}/r{name}.toml"):
            (self.root / file).unlink(missing_ok=True)

    @rule(
        place=st.sampled_from(PLACES), name=st.sampled_from(NAMES), text=st.sampled_from(("", "# /// cartridge\n# ///", "\0"))
    )
    def spoil(self, place: str, name: str, text: str) -> None:
        self.write(f"{place}/{name}.py", text)

    @rule(types=st.sampled_from(TYPES), given=st.sampled_from(SETTINGS))
    def types(self, types: str, given: str) -> None:
        sold = "" if "sold" in types else "[types.sold]\nsummary = 'Sold.'\n"
        self.write("company/domains/shop/event_types.toml", f"namespace = 'domain.shop'\n{sold}{types}")
        self.write("company/domains/shop/domain.toml", f"summary = 'A shop.'\n{given}")
        self.write("company/domains/mill/domain.toml", given)
        self.write("personal/ada/member.toml", given)

    @rule(name=st.sampled_from(NAMES), share=st.sampled_from((True, 1, False)))
    def enabled(self, name: str, share: Any) -> None:
        self.enable = {} if share is False else {name: {"share": share}}

    @rule(place=st.sampled_from(PLACES), name=st.sampled_from(NAMES), off=st.booleans())
    def strike(self, place: str, name: str, *, off: bool) -> None:
        path = f"{place}/{name}.py"
        unit = self.units.get(path)
        if unit is not None:
            self.units[path] = unit._replace(
                strikes=1 + off, state="disabled" if off else "active", reason="it hung" if off else ""
            )

    @invariant()
    def as_a_fresh_start(self) -> None:
        fresh = self.composed(scan(self.root, dict(self.units)), None)
        looked = scan(self.root, dict(self.units), before=self.found)
        kept = self.composed(looked, self.before)
        assert view(fresh) == view(kept)
        self.units, self.found = looked.units, looked.found

    def composed(self, looked: Scan, before: Before | None) -> Composition:
        return compose(looked, catalog.load(looked.parts)[0], enable=self.enable, before=before)


def view(composed: Composition) -> Mapping[str, Any]:
    """All that a composition says, as plain values."""
    return {
        "plans": {name: planned(plan) for name, plan in composed.plans.items()},
        "problems": composed.problems,
        "shaping": [(one.scope, one.owner, one.manifest.id, one.hash) for one in composed.shaping],
        "units": composed.shaping_units,
    }


def planned(plan: Plan) -> Any:
    names = ("domain.shop.sold", "domain.shop.gone", "domain.mill.x", "a")
    met = {name: [[each.id for each in level] for level in plan.route(name).levels] for name in names}
    return plan.graph.levels, dict(plan.graph.before), [list(plain(each)) for each in plan], met


def plain(cartridge: Any) -> Iterator[tuple[str, str]]:
    for each in dataclasses.fields(cartridge):
        value = getattr(cartridge, each.name)
        yield each.name, repr((value.files, value.hash) if each.name == "code" else value)


TestEdits = Edits.TestCase
TestEdits.settings = settings(max_examples=30, stateful_step_count=12, deadline=None)


def test_the_workspace_that_edits_begin_with_stands() -> None:
    edits = Edits()
    try:
        edits.begin()
        begun = edits.composed(scan(edits.root, {}), None)
        assert [] == begun.problems
        assert ["domain:shop", "members"] == list(begun.plans)
    finally:
        edits.teardown()


def test_what_was_kept_too_long_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: results that are taken over whatever they followed from."""
    monkeypatch.setattr(Kept, "get", lambda self, key, _, make: self._now.setdefault(key, self._before.get(key) or make()))
    edits = Edits()
    try:
        edits.begin()
        edits.as_a_fresh_start()
        edits.put(PLACES[0], "aa", "bb", ("domain.shop.sold", {LINES[2]}))
        with pytest.raises(AssertionError):
            edits.as_a_fresh_start()
    finally:
        edits.teardown()
