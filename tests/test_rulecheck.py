"""A rule in its place: whose it is, what may be said there, and the types that there are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import eventctl
from tests.rulekit import make, put, running, sell, titles

NOTIFY = '[notify]\ntitle = "x"\n'


def said(root: Path) -> list[str]:
    with eventctl.open(root) as ws:
        return [
            ("warning: " if problem.warning else "") + str(problem) for problem in ws.problems if "cartridges/" in problem.where
        ]


def rule(consumes: str, rest: str = NOTIFY) -> str:
    return f'id = "one"\nsummary = "A rule."\nconsumes = ["{consumes}"]\n{rest}'


WHERE = "company/domains/ops/cartridges/one.toml"


def test_a_type_that_nobody_declares_is_refused_with_the_one_that_is_meant(tmp_path: Path) -> None:
    assert [
        (
            f"{WHERE}:3: consumes[0]: 'domain.ops.sodl' is a type that no one declares, so that it may never come "
            "(did you mean 'domain.ops.sold'?)"
        )
    ] == said(make(tmp_path, one=rule("domain.ops.sodl")))


def test_a_pattern_of_no_declared_type_is_a_warning_and_the_rule_runs(tmp_path: Path) -> None:
    root = make(tmp_path, one=rule("weather.*"))
    assert [
        f"warning: {WHERE}:3: consumes[0]: 'weather.*' chooses no declared type: only events that nobody has declared"
    ] == said(root)
    with eventctl.open(root) as ws:
        ws.emit("weather.rain", "sky", {})
        ws.run_until_idle()
        assert ["x"] == titles(ws)


def test_a_domain_emits_its_own_declared_types(tmp_path: Path) -> None:
    assert [
        f"{WHERE}:5: emit.event: 'job.failed' is outside of domain.ops.** (a domain emits its own types; others subscribe to them)"
    ] == said(make(tmp_path, one=rule("domain.ops.sold", '[emit]\nevent = "job.failed"\n')))
    assert [
        f"{WHERE}:5: emit.event: no event_types.toml declares 'domain.ops.alrm' (did you mean 'domain.ops.alarm'?)"
    ] == said(make(tmp_path / "b", one=rule("domain.ops.sold", '[emit]\nevent = "domain.ops.alrm"\n')))


def test_a_proposal_leads_to_a_declared_type(tmp_path: Path) -> None:
    propose = '[propose]\naction = "a"\nsummary = "b"\nemits = "domain.ops.alrm"\n'
    assert [
        f"{WHERE}:7: propose.emits: no event_types.toml declares 'domain.ops.alrm' (did you mean 'domain.ops.alarm'?)"
    ] == said(make(tmp_path, one=rule("domain.ops.sold", propose)))


def test_a_member_is_told_by_their_own_rule_and_nobody_else_is(tmp_path: Path) -> None:
    root = make(tmp_path)
    put(root, "one", rule("domain.ops.sold"), folder="personal/ada")
    with running(root) as ws:
        sell(ws)
        (item,) = ws.inbox.list().items
        assert "member:ada" == item.notification.audience


def test_a_members_rule_changes_nothing_for_others(tmp_path: Path) -> None:
    root, where = make(tmp_path), "personal/ada/cartridges/one.toml"
    put(root, "one", rule("domain.ops.sold", '[emit]\nevent = "domain.ops.alarm"\n'), folder="personal/ada")
    theirs = "(a member's cartridge emits types of personal/ada/event_types.toml)"
    assert [f"{where}:5: emit.event: 'domain.ops.alarm' is outside of member.ada.** {theirs}"] == said(root)
    put(root, "one", rule("domain.ops.sold", '[set]\nlevel = "business"\n'), folder="personal/ada")
    assert [
        f"{where}:4: set: a member's rule does not [set]: it can notify, annotate, emit and silence (a domain's or the library's rule can)"
    ] == said(root)
    put(root, "one", rule("domain.ops.sold", NOTIFY + 'audience = "member:bob"\n'), folder="personal/ada")
    assert [f"{where}:6: notify.audience: a member's rule tells its member, not 'member:bob' (leave audience out)"] == said(
        root
    )


def test_a_library_rule_runs_where_it_is_enabled(tmp_path: Path) -> None:
    root = make(tmp_path)
    (root / "eventctl.toml").write_text('[members.ada]\nrole = "admin"\n[enable]\none = {}\n')
    put(root, "one", rule("domain.ops.sold"), folder=".")
    with running(root) as ws:
        sell(ws)
        assert ["x"] == titles(ws)


def test_a_mistake_in_one_rule_leaves_the_others_at_work(tmp_path: Path) -> None:
    root = make(tmp_path, one=rule("domain.ops.sold"), two='when = "paylod.a"\n' + NOTIFY)
    with eventctl.open(root) as ws:
        (problem,) = [problem for problem in ws.problems if not problem.warning]
        assert "company/domains/ops/cartridges/two.toml:4: when" == problem.where
        sell(ws)
        assert ["x"] == titles(ws)


def test_a_rule_that_was_checked_once_is_not_checked_again_when_it_has_not_changed(tmp_path: Path) -> None:
    root = make(tmp_path, one='when = "level > 0"\n' + NOTIFY)
    ask = (
        "import sys, eventctl\n"
        "with eventctl.open(sys.argv[1]) as ws:\n"
        "    ws.run_until_idle()\n"
        "    print([each.id for each in ws.pipelines[1].plan], 'cel_expr_python' in sys.modules)\n"
    )

    def begun() -> str:
        return subprocess.run([sys.executable, "-c", ask, str(root)], check=True, capture_output=True, text=True).stdout

    assert "['one'] True\n" == begun()
    assert "['one'] False\n" == begun(), "the manifest stands checked in the store, and nothing asked the rule"
    put(root, "one", 'when = "level > 1"\n' + NOTIFY)
    assert "['one'] True\n" == begun()
