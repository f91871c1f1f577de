"""Examples beside cartridges: where they are looked for, what they may say, and what is said of one that does not hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventctl import discovery, examples, testing
from eventctl.backtest import Stage
from eventctl.breadcrumb import NoCrumb
from eventctl.errors import Misconfigured, NotFound
from eventctl.house import House
from eventctl.workspace import at

ROOT = Path(__file__).resolve().parents[1]

RULE = """id = "big-sale"
summary = "Tells of a big sale."
consumes = ["shop.*"]
when = "payload.n > 10"
[notify]
title = "{payload.n} sold"
level = "business"
"""
SLEEPY = """# /// cartridge
# id = "sleepy"
# summary = "Says that nothing came, asks somebody, drops what is odd and fails at thirteen."
# consumes = ["shop.*"]
# annotates = ["sleepy"]
# [permissions]
# calls = ["ask"]
# ///
from datetime import timedelta


async def process(event, context):
    if event.event == "timer.due":
        context.notify("nothing came")
        return event
    n = event.payload["n"]
    if n == 13:
        raise ValueError("thirteen")
    if n % 2:
        context.drop("odd")
        return event
    context.timer("wait", timedelta(hours=1))
    context.annotate("sleepy", {"said": await context.call("ask", {"n": n}), "n": n})
    return event
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "eventctl.toml").write_text('[workspace]\nname = "x"\n')
    (tmp_path / "cartridges").mkdir()
    (tmp_path / "cartridges" / "big-sale.toml").write_text(RULE)
    (tmp_path / "cartridges" / "sleepy.py").write_text(SLEEPY)
    return tmp_path


def example(root: Path, cartridge: str, text: str) -> examples.Result:
    file = root / "cartridges" / f"{Path(cartridge).stem}.examples.toml"
    file.write_text(text)
    stage = Stage(House(at(root), {}, NoCrumb(), no_plugins=True), None)
    found = stage.place(root / "cartridges" / cartridge)
    return examples.run(file, stage.alone(found))


def given(n: int) -> str:
    return f'[[given]]\nevent = "shop.sold"\nentity = "till"\npayload = {{ n = {n} }}\n'


@pytest.mark.parametrize("case", testing.examples(ROOT), ids=str)
def test_the_example_of_a_shipped_cartridge_holds(case: testing.Case) -> None:
    case.check()


def test_every_shipped_cartridge_has_an_example() -> None:
    scan = discovery.scan(ROOT, {})
    told = {case.cartridge.relative_to(ROOT).as_posix() for case in testing.examples(ROOT)}
    assert set() == {found.path.removesuffix("/cartridge.toml") for found in scan.found} - told


def test_a_file_of_examples_is_no_cartridge(root: Path) -> None:
    (root / "cartridges" / "big-sale.examples").mkdir()
    (root / "cartridges" / "big-sale.examples" / "one.toml").write_text(given(11) + "[then]\nnotifications = 1\n")
    (root / "cartridges" / "big-sale.examples.toml").write_text(given(11) + "[then]\nnotifications = 1\n")
    scan = discovery.scan(root, {})
    assert ["big-sale", "sleepy"] == [found.manifest.id for found in scan.found]
    assert [] == scan.problems
    assert ["big-sale.examples.toml", "one.toml"] == sorted(
        file.name for file in examples.beside(root / "cartridges" / "big-sale.toml")
    )


def test_an_example_is_about_its_own_cartridge_whatever_others_say_of_the_same_events(root: Path) -> None:
    for member in ("ada", "bob"):
        folder = root / "personal" / member / "cartridges"
        folder.mkdir(parents=True)
        (folder / "big-sale.toml").write_text(RULE)
        (folder / "big-sale.examples.toml").write_text(given(11) + "[then]\nnotifications = 1\n")
    cases = [case for case in testing.examples(root) if "personal" in str(case)]
    assert 2 == len(cases)
    assert [[], []] == [case.run().misses for case in cases]


def test_an_example_that_does_not_hold_says_what_was_expected_and_what_was_found(root: Path) -> None:
    result = example(root, "big-sale.toml", given(11) + '[then]\nnotifications = [{ title = "12 sold", level = 3 }]\n')
    (miss,) = result.misses
    assert ("notifications", '{"title":"12 sold","level":3}') == (miss.what, miss.expected)
    assert '"title":"11 sold","level":"business"' in miss.found


@pytest.mark.parametrize(
    "then",
    [
        "notifications = 1",
        'notifications = [{ title = "11 sold", level = "business", audience = "workspace" }]',
        "notifications = [{ level = 3 }]",
        "errors = 0\ndrops = 0\nemits = 0",
    ],
)
def test_what_an_example_may_say_of_a_rule(root: Path, then: str) -> None:
    assert [] == example(root, "big-sale.toml", f"{given(11)}[then]\n{then}\n").misses


def test_time_goes_by_so_that_timers_come_due(root: Path) -> None:
    answers = '[answers]\nask = "yes"\n'
    before = example(root, "sleepy.py", given(2) + answers + '[then]\nnotifications = 0\nafter = "59m"\n')
    after = example(root, "sleepy.py", given(2) + answers + '[then]\nnotifications = 1\nafter = "1h"\n')
    assert [[], []] == [before.misses, after.misses]


def test_a_call_gets_the_answer_that_the_example_gives_and_one_without_an_answer_stays_open(root: Path) -> None:
    asked = '[answers]\nask = "yes"\n[then]\ncalls = []\nannotations = { sleepy = { said = "yes" } }\n'
    assert [] == example(root, "sleepy.py", given(2) + asked).misses
    assert [] == example(root, "sleepy.py", given(2) + '[then]\ncalls = ["ask"]\n').misses
    assert ["annotation sleepy"] == [
        miss.what for miss in example(root, "sleepy.py", given(2) + "[then]\nannotations = { sleepy = { n = 2 } }\n").misses
    ]


OFFER = """id = "offer"
summary = "Offers to stop selling."
consumes = ["shop.*"]
[propose]
action = "stop"
summary = "Stop selling {payload.n}"
command = ["stop", "{payload.n}"]
undo = ["start"]
"""


def test_what_wants_to_act_is_collected_and_nothing_does_whatever_the_workspace_says_of_it(root: Path) -> None:
    (root / "cartridges" / "offer.toml").write_text(OFFER)
    (root / "eventctl.toml").write_text('[autonomy]\ndefault = "L1"\n')
    wanted = '{ action = "stop", summary = "Stop selling 2", call = "command", args = { argv = ["stop", "2"] } }'
    assert [] == example(root, "offer.toml", f"{given(2)}[then]\ndecisions = [{wanted}]\ncalls = []\n").misses
    undone = 'decisions = [{ undo = { call = "command", args = { argv = ["start"] } }, state = "approved" }]'
    assert [] == example(root, "offer.toml", f"{given(2)}[then]\n{undone}\n").misses
    answered = '[answers]\ncommand = { exit = 0 }\n[then]\ndecisions = [{ state = "done" }]\n'
    assert [] == example(root, "offer.toml", given(2) + answered).misses
    (miss,) = example(root, "offer.toml", f"{given(2)}[then]\ndecisions = 2\n").misses
    assert ("decisions", "2") == (miss.what, miss.expected)


def test_drops_are_counted_and_an_error_that_nobody_expects_fails_the_example(root: Path) -> None:
    assert [] == example(root, "sleepy.py", given(1) + "[then]\ndrops = 1\n").misses
    assert [] == example(root, "sleepy.py", given(13) + "[then]\nerrors = 1\n").misses
    (miss,) = example(root, "sleepy.py", given(13) + "[then]\nnotifications = 0\n").misses
    assert ("errors", "0", "1: ValueError: thirteen") == miss


def test_an_unknown_key_is_refused_with_a_suggestion(root: Path) -> None:
    with pytest.raises(Misconfigured) as wrong:
        example(root, "big-sale.toml", given(11) + "[then]\nnotification = 1\n")
    assert "did you mean 'notifications'?" == wrong.value.hint


def test_an_event_that_could_not_enter_the_log_is_no_example(root: Path) -> None:
    with pytest.raises(Misconfigured, match=r"given\[0\]"):
        example(root, "big-sale.toml", '[[given]]\nevent = "shop.sold"\nsource = ""\n[then]\nnotifications = 0\n')


def test_a_cartridge_without_examples_is_told_where_to_write_one(root: Path) -> None:
    with pytest.raises(NotFound) as wrong:
        examples.of(root / "cartridges" / "big-sale.toml")
    assert "write big-sale.examples.toml beside it" == wrong.value.hint


def test_pytest_collects_examples_by_itself(root: Path, pytester: pytest.Pytester) -> None:
    (root / "cartridges" / "big-sale.examples.toml").write_text(given(11) + "[then]\nnotifications = 1\n")
    (root / "cartridges" / "sleepy.examples.toml").write_text(given(1) + "[then]\ndrops = 0\n")
    ran = pytester.runpytest_subprocess("-p", "eventctl.testing", "-p", "no:cacheprovider", str(root))
    ran.assert_outcomes(passed=1, failed=1)
    ran.stdout.fnmatch_lines(["*drops*", "*expected*0*", "*found*1: odd*"])
