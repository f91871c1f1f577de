"""What docs/autonomy.md shows is so: its rule is held under its settings, named as it says, and done when it is approved."""

from __future__ import annotations

import re
from pathlib import Path

import eventctl
from eventctl import decisions, starter
from eventctl.decisions import LEGAL
from eventctl.principal import ROLES, Principal
from eventctl.settings import load
from eventctl.times import HOUR, MINUTE, now_us

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "autonomy.md").read_text("utf-8")
BLOCKS = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FAILED = "domain.software-development.deploy.failed"
PAYLOAD = {"slug": "api", "environment": "prod", "sha": "a1", "attempt": 1, "error": "no disk"}


def test_the_example_of_the_page_is_held_and_done_when_it_is_approved(tmp_path: Path) -> None:
    root = starter.make(tmp_path / "work", name="work", member="ada").root
    rule = next(text for text in BLOCKS if "deploy-again" in text and "consumes" in text)
    (root / "company/domains/software-development/cartridges/deploy-again.toml").write_text(rule)
    config = root / "eventctl.toml"
    config.write_text(re.sub(r"\[autonomy\]\n(?:[^\[]*\n)?", "", config.read_text()) + f"\n{BLOCKS[0]}")
    with eventctl.open(root, env={}, no_plugins=True) as here:
        assert [] == [problem for problem in here.problems if "deploy-again" in str(problem)]
        here.run_until_idle()
        here.emit(FAILED, "ci", PAYLOAD)
        here.run_until_idle()
        titles = [item.notification.title for item in here.inbox.list().items]
        assert "software-development asks: Deploy api again" in titles
        assert "    software-development asks: Deploy api again" in PAGE
        ada = Principal("cli", "ada", ROLES["admin"])
        decisions.approve(here.store, 1, principal=ada, now=now_us())
        here.run_until_idle()
        row = here.views.decision(1)
        assert row is not None
        assert "done" == row.state
        decisions.undo(here.store, 1, principal=ada, now=now_us())
        here.run_until_idle()
        row = here.views.decision(1)
        assert row is not None
        assert "undone" == row.state


def test_the_settings_of_the_page_are_what_it_says_they_are_by_default(tmp_path: Path) -> None:
    file = tmp_path / "eventctl.toml"
    file.write_text(BLOCKS[0])
    given, problems = load(file)
    assert [] == problems
    assert (10 * MINUTE, 24 * HOUR, 3) == (given.autonomy.window, given.autonomy.expires, given.autonomy.after)
    assert load(tmp_path / "none.toml")[0].autonomy.window == given.autonomy.window


def test_every_state_stands_in_the_drawing_of_the_page() -> None:
    drawing = PAGE[PAGE.index("asked ──") : PAGE.index("- **Known**")]
    states = {state for pair in LEGAL for state in pair if state}
    assert states == {state for state in states if re.search(rf"\b{state}\b", drawing)}
