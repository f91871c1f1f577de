"""Every rule that a page shows is a rule that works: it is put into a new workspace and taken in without a word."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import eventctl
from eventctl import starter

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "docs" / "rules.md")
BLOCK = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(r"^# (\S+\.toml)$", re.MULTILINE)


def shown() -> list[tuple[str, str]]:
    """The rules of the pages, each with where it says that it stands; else it is the library's, and enabled."""
    found = []
    for page in PAGES:
        for text in BLOCK.findall(page.read_text("utf-8")):
            rule = tomllib.loads(text)
            if "consumes" in rule:
                place = PLACE.search(text)
                found.append((place[1] if place else f"cartridges/{rule['id']}.toml", text))
    return found


def test_there_are_rules_to_be_seen():
    assert len(shown()) >= 3


@pytest.mark.parametrize(("place", "text"), shown(), ids=lambda given: given.partition("\n")[0])
def test_a_rule_of_a_page_works_when_it_is_pasted(place: str, text: str, tmp_path: Path):
    starter.make(tmp_path, name="pages", member="ada")
    id_ = tomllib.loads(text)["id"]
    file = tmp_path / place
    file.write_text(text)
    assert id_ == file.stem
    if place.startswith("cartridges/"):
        config = tmp_path / "eventctl.toml"
        config.write_text(f"{config.read_text()}\n[enable]\n{id_} = {{}}\n")
    with eventctl.open(tmp_path, env={}, no_plugins=True) as ws:
        ws.run_until_idle()
        assert [] == [str(problem) for problem in ws.problems if id_ in str(problem)]
        runs = {each.unit for pipeline in ws.pipelines[1:] for each in pipeline.plan}
        shaping = {"set", "group", "silence"} & tomllib.loads(text).keys()
        assert shaping or place in runs
