"""Every test that the page about testing shows is a test that passes, and one that a broken cartridge would fail."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from eventctl.ran import Ran
from eventctl.trying import run_cartridge

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "testing.md").read_text("utf-8")
SHOWN = {
    text.partition("\n")[0].removeprefix("# "): text
    for text in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_file_of_the_page_passes_as_it_is_shown(name, pytester):
    pytester.makepyfile(**{name.removesuffix(".py"): SHOWN[name]})
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-q")
    outcomes = result.parseoutcomes()
    assert set() == outcomes.keys() & {"failed", "errors", "error"}
    assert outcomes["passed"] >= SHOWN[name].count("def test_")


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("test_slow_jobs.py", "took > 600", "took > 1"),
        ("test_waiting.py", '"red" if', '"blue" if'),
        ("test_promises.py", 'context.annotate("seen", True)', "event.payload.clear()"),
    ],
)
def test_a_mistake_in_it_would_be_found(name, right, wrong, pytester):
    assert right in SHOWN[name]
    pytester.makepyfile(**{name.removesuffix(".py"): SHOWN[name].replace(right, wrong)})
    assert pytester.runpytest_subprocess("-p", "no:cacheprovider", "-q").parseoutcomes()["failed"] >= 1


def test_everything_that_can_be_given_and_had_is_on_the_page():
    given = [name for name in inspect.signature(run_cartridge).parameters if name not in ("cartridge", "events")]
    assert [] == [name for name in given if f"`{name}=" not in PAGE and f" `{name}=" not in PAGE and f"`{name}={{" not in PAGE]
    assert [] == [name for name in Ran.__slots__ if name != "events" and f"`{name}`" not in PAGE]
