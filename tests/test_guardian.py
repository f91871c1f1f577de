"""The guardian: what it says about a package, what is new since the version before, and judges of another kind."""

from __future__ import annotations

import textwrap

import pytest

from eventctl import guardian, plugins
from eventctl.catalog import Catalog, load
from eventctl.contracts import Candidate, Judgement
from eventctl.guardian import Case, Cost, Premises, judge
from eventctl.package import of
from eventctl.suites.guardians import GuardianSuite
from tests.attacks.forge import GOOD, folder, manifest

PARTS = [("here", {"namespace": "domain.shop", "types": {"sold": {"summary": "Sold."}, "order.paid": {"summary": "Paid."}}})]
CATALOG: Catalog = load(PARTS)[0]
PLAIN = GOOD.format(slot="night-watch")


def package(code: str = PLAIN, **more: str):
    return of(folder(code, **more))


def said(code: str = PLAIN, *, place: str = "library", premises: Premises | None = None, **more: str) -> list[tuple[str, str]]:
    """The severities and sentences about a package that is harmless but for what is given."""
    found = judge(Case(package=package(code, **more), place=place, origin="file:x"), premises or Premises(catalog=CATALOG))
    return [(reason.severity, reason.sentence) for reason in found.reasons]


def compared(before: dict[str, str], after: dict[str, str], **more: object) -> guardian.Verdict:
    """The verdict about a second version."""
    first, second = package(version='"1.0.0"', **before), package(**{"version": '"1.1.0"', **after})
    given = {"before_origin": "file:x", "origin": "file:y", **more}
    return judge(
        Case(package=second, place="library", before=first, **given), Premises(catalog=CATALOG, calls=["agent", "command"])
    )


PERMISSIONS = "permissions = {{ calls = {calls} }}"


def test_a_package_that_computes_and_annotates_is_accepted():
    found = judge(Case(package=package(), place="library", origin="file:x"), Premises(catalog=CATALOG))
    assert ("accept", ()) == (found.verdict, found.reasons)
    assert ("annotate night-watch",) == found.diff.new


@pytest.mark.parametrize(
    ("code", "severity", "sentence"),
    [
        ("import pandas", "ask", "imports pandas, which is none of the plain modules: it has to be installed, and may do anything"),
        ("import os", "refuse", "imports os, which reaches files"),
        ("import random", "note", "imports random: a run that is repeated gets other numbers"),
        ("import urllib.parse", "", ""),
        ("import urllib.parse\nX = urllib.request", "refuse", "imports urllib.request, which reaches the network"),
        ("from eventctl import Context, Event, Level", "", ""),
        ("import eventctl\nasync def other():\n    eventctl.open('.')", "refuse", "imports eventctl.open, which reaches the inside of eventctl"),
        ("from eventctl import Workspace", "refuse", "imports eventctl.Workspace, which reaches the inside of eventctl"),
        ("import re\nX = re.compile('x', re.I).pattern", "", ""),
        ("from dataclasses import dataclass, field\n@dataclass(frozen=True)\nclass A:\n    x: list = field(default_factory=list)", "", ""),
        ("from typing import NamedTuple\nclass A(NamedTuple):\n    x: int = 1\nB = A(2)", "ask", "line 4: `A` is called when it is loaded, and not when an event comes"),
        ("WORDS = frozenset('a b'.split())\nMORE = sorted(x.upper() for x in WORDS)", "ask", "line 2: `x` is called when it is loaded, and not when an event comes"),
        ("def other():\n    return getattr(1, 'real')", "ask", "line 2: `getattr` reaches attributes by text"),
        ("X = '{0.__globals__}'", "ask", "line 1: the text '__globals__' names what leads to everything that Python has loaded"),
        ("from datetime import timedelta\nX = timedelta(days=1)", "", ""),
        ("X = 10 ** 10", "ask", "line 1: a power may take for ever to compute when it is loaded, and not when an event comes"),
        ("#" * 70_000, "ask", "has 70,1"),
    ],
)  # fmt: skip
def test_code_is_seen_for_what_it_reaches(code, severity, sentence):
    found = said(f"{code}\n{PLAIN}")
    if not severity:
        assert [] == found
    else:
        assert [(severity, sentence)] == [(mark, text[: len(sentence)]) for mark, text in found]


def test_a_domain_allows_modules_by_name():
    premises = Premises(catalog=CATALOG, imports=["requests", "http.client"])
    found = said(f"import requests\nimport http.client\nimport http.server\n{PLAIN}", premises=premises)
    assert [("refuse", "imports http.server, which reaches the network")] == [each for each in found if each[0] != "note"]
    assert ("note", "imports requests, which [guardian] imports allows") in found


def test_what_is_asked_for_the_first_time_is_asked_about():
    calls = {"permissions": '{calls = ["agent", "fax"], secrets = ["token"], hosts = ["x.org"]}'}
    found = said(premises=Premises(catalog=CATALOG, calls=["agent"]), **calls)
    asked = [sentence for severity, sentence in found if severity == "ask"]
    assert asked == [
        "asks for: call agent", "asks for: call fax", "asks for: secret token", "asks for: host x.org",
        "calls 'fax', and there is no executor of that name here",
    ]  # fmt: skip
    assert [True, True] == ["not obeyed by this version" in sentence for severity, sentence in found if severity == "note"]


def test_what_the_version_before_did_not_ask_for_is_new_wider_or_gone():
    before = {"permissions": '{calls = ["agent"]}', "emits": '["domain.shop.order.*"]', "slot": "one"}
    after = {"permissions": '{calls = ["command"]}', "emits": '["domain.shop.**"]', "slot": "one"}
    found = compared(before, after)
    assert ("call command",) == found.diff.new
    assert ("emit domain.shop.** (was domain.shop.order.*)",) == found.diff.wider
    assert ("call agent", "emit domain.shop.order.*") == found.diff.gone
    assert "ask" == found.verdict
    assert "asks for something that the version before did not: call command" in [reason.sentence for reason in found.reasons]


def test_an_update_that_asks_for_no_more_is_accepted():
    same = {"permissions": '{calls = ["agent"]}'}
    assert ("accept", guardian.Difference()) == (compared(same, same).verdict, compared(same, same).diff)


@pytest.mark.parametrize(
    ("version", "more", "verdict"),
    [
        ("1.0.1", {}, "accept"),
        ("1.10.0", {}, "accept"),
        ("1.0.0", {}, "ask"),
        ("0.9.9", {}, "refuse"),
        ("1.0.0-rc1", {}, "refuse"),
        ("0.9.9", {"downgrade": True}, "accept"),
        ("1.1.0", {"origin": "pip:other==1", "before_origin": "pip:one==1"}, "refuse"),
        ("1.1.0", {"origin": "pip:one==2", "before_origin": "pip:one==1"}, "accept"),
        ("1.1.0", {"origin": "file:/x", "before_origin": "pip:one==1"}, "ask"),
        ("1.1.0", {"runs": "in-process"}, "ask"),
    ],
)
def test_versions_go_forward_and_come_from_where_they_came_from(version, more, verdict):
    assert (
        verdict == compared({"slot": "one"}, {"version": f'"{version}"', "slot": "one", "summary": '"Other."'}, **more).verdict
    )


@pytest.mark.parametrize(
    ("other", "severity"),
    [
        ("n1ght-watch", "refuse"),
        ("night-vvatch", "refuse"),
        ("nightwatch", "refuse"),
        ("night-watsh", "ask"),
        ("nihgt-watch", "ask"),
        ("night-watchs", "ask"),
        ("night-watch2", ""),
        ("day-watch", ""),
    ],
)
def test_a_name_that_can_be_taken_for_another_is_seen(other, severity):
    found = said(premises=Premises(catalog=CATALOG, ids={other: ["library"]}))
    assert [severity] * bool(severity) == [mark for mark, _ in found]


def test_names_that_count_on_are_not_mistaken_for_each_other():
    assert [] == said(id="watch-2", premises=Premises(catalog=CATALOG, ids={"watch-1": ["library"], "watch-3": ["library"]}))


@pytest.mark.parametrize(
    ("place", "emits", "severity"),
    [
        ("domain:shop", "domain.shop.sold", ""),
        ("domain:shop", "domain.shop.lost", "ask"),
        ("domain:shop", "domain.mill.sold", "refuse"),
        ("member:ada", "member.ada.sold", "ask"),
        ("member:ada", "member.bob.sold", "refuse"),
        ("member:ada", "domain.shop.sold", "refuse"),
        ("library", "**", "refuse"),
        ("library", "job.lost", "ask"),
    ],
)
def test_a_place_emits_its_own_types(place, emits, severity):
    assert [severity] * bool(severity) == [mark for mark, _ in said(place=place, emits=f'["{emits}"]')]


def test_what_it_costs_is_held_against_what_the_domain_allows():
    def cost(measured: Cost | None) -> list[str]:
        case = Case(package=package(), place="domain:shop", origin="file:x", cost=measured)
        return [reason.severity for reason in judge(case, Premises(catalog=CATALOG, cost_us=2_000)).reasons]

    assert [] == cost(Cost(0.4, 1.9))
    assert ["ask"] == cost(Cost(0.4, 2.1))
    assert ["note"] == cost(None)


def test_a_requirement_that_is_not_here_is_named():
    found = said(requires='["threshhold"]', premises=Premises(catalog=CATALOG, ids={"threshold": ["library"]}))
    assert [
        ("ask", "requires 'threshhold', which is not here: it is left out until it is (did you mean 'threshold'?)")
    ] == found


def test_the_severest_reason_comes_first_and_is_the_verdict():
    found = judge(
        Case(package=package(f"import os, pandas, random\n{PLAIN}"), place="library", origin="x"), Premises(catalog=CATALOG)
    )
    assert ["refuse", "ask", "note"] == [reason.severity for reason in found.reasons]
    assert "refuse" == found.verdict
    assert "refuse" == found.as_json()["verdict"]


class Careful:
    """A judge that asks about everything that asks for something, and does not look at what it does not know."""

    name = "careful"

    def judge(self, candidate: Candidate) -> Judgement:
        return Judgement("ask", [f"wants {ask}" for ask in candidate.asks[:10]]) if candidate.asks else Judgement("accept")


class TestCareful(GuardianSuite):
    @pytest.fixture
    def guardian(self):
        return Careful()


def judged_by(brought: object | None, code: str = PLAIN) -> guardian.Verdict:
    guardians = {"other": brought} if brought else {}
    premises = Premises(catalog=CATALOG, judge="other", guardians=guardians)
    return judge(Case(package=package(code), place="library", origin="file:x"), premises)


class Says:
    name = "other"

    def __init__(self, *said: object) -> None:
        self.said = said
        self.seen: list[Candidate] = []

    def judge(self, candidate: Candidate) -> Judgement:
        self.seen.append(candidate)
        if isinstance(self.said[0], BaseException):
            raise self.said[0]
        return self.said[0] if len(self.said) == 1 else Judgement(*self.said)


@pytest.mark.parametrize(
    ("judge_", "verdict", "sentence"),
    [
        (Says("accept", []), "accept", "other: says accept"),
        (Says("ask", ["look at it"]), "ask", "other: look at it"),
        (Says("refuse", ["no"]), "refuse", "other: no"),
        (Says("maybe", []), "ask", "other: the judge said 'maybe', which is no verdict"),
        (Says(RuntimeError("no network")), "ask", "other: the judge failed: RuntimeError: no network"),
        (Says(SystemExit(0)), "ask", "other: the judge failed: SystemExit: 0"),
        (Says("no judgement"), "ask", "other: the judge failed: AttributeError: 'str' object has no attribute 'verdict'"),
        (Says(None), "ask", "other: the judge failed: AttributeError: 'NoneType' object has no attribute 'verdict'"),
        (None, "ask", "[guardian] judge names 'other', and no plugin brings it (known here: rules)"),
    ],
)
def test_a_judge_of_another_kind_is_heard_and_one_that_fails_means_ask(judge_, verdict, sentence):
    found = judged_by(judge_)
    assert (verdict, sentence) == (found.verdict, found.reasons[0].sentence)


def test_another_judge_cannot_let_in_what_the_rules_ask_about_or_refuse():
    lenient = Says("accept", [])
    assert "ask" == judged_by(lenient, f"import pandas\n{PLAIN}").verdict
    assert ["imports pandas, which is none of the plain modules: it has to be installed, and may do anything"] == list(
        lenient.seen[0].reasons
    )
    assert "refuse" == judged_by(lenient, f"import os\n{PLAIN}").verdict
    assert 1 == len(lenient.seen), "nobody else is shown what is refused anyway"


def test_a_plugin_brings_a_judge_by_the_hook(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    code = """
        from eventctl.contracts import Judgement
        from eventctl.hookspecs import hookimpl

        class Strict:
            name = "strict"
            def judge(self, candidate):
                return Judgement("refuse", [f"not {candidate.id} \\u202e"])

        @hookimpl
        def eventctl_register_guardians():
            return [Strict()]
        """
    (tmp_path / "plugged_strict.py").write_text(textwrap.dedent(code))
    info = tmp_path / "eventctl_strict-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: eventctl-strict\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[eventctl]\nstrict = plugged_strict\n")
    brought = plugins.load()
    assert "strict" == brought.owners["guardian", "strict"]
    premises = Premises(catalog=CATALOG, judge="strict", guardians=brought.guardians)
    found = judge(Case(package=package(), place="library", origin="file:x"), premises)
    assert ("refuse", "strict: not night-watch \\u202e") == (found.verdict, found.reasons[0].sentence)


def test_a_rule_that_hides_or_acts_is_asked_about():
    rule = manifest().replace('annotates = ["night-watch"]\n', "") + '[silence]\nfor = "1h"\n'
    found = judge(
        Case(package=of({"night-watch.toml": rule.encode()}), place="library", origin="file:x"), Premises(catalog=CATALOG)
    )
    assert [("ask", "asks for: effect silence")] == [tuple(reason) for reason in found.reasons]
