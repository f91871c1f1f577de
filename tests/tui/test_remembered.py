"""What the dashboard takes up again, and what it makes of a file that it did not write."""

from __future__ import annotations

import pytest

from eventctl.tui.remembered import Memory, Remembered
from tests.tui.kit import play, press, settled, shown

FULL = Memory("eventctl-light", "health", {"health": {"order": "name"}, "inbox": {"filter": "unseen"}})


def at(tmp_path, who: str = "ada") -> Remembered:
    return Remembered(tmp_path / "dashboard.json", who)


def test_what_is_written_is_read_again(tmp_path):
    at(tmp_path).write(FULL)
    assert FULL == at(tmp_path).read()


def test_nothing_is_remembered_of_who_was_never_here(tmp_path):
    at(tmp_path).write(FULL)
    assert Memory() == at(tmp_path, "bob").read()
    assert Memory() == at(tmp_path / "elsewhere").read()


def test_one_does_not_write_over_what_another_keeps(tmp_path):
    ada, bob = at(tmp_path), at(tmp_path, "bob")
    ada.write(FULL)
    bob.write(Memory("nord"))
    assert FULL == ada.read()
    assert Memory("nord") == bob.read()


def test_the_file_is_private_and_nothing_lies_beside_it(tmp_path):
    (tmp_path / "dashboard.new").write_text("what a killed one has left")
    at(tmp_path).write(FULL)
    assert ["dashboard.json"] == [path.name for path in tmp_path.iterdir()]
    assert 0o600 == (tmp_path / "dashboard.json").stat().st_mode & 0o777


@pytest.mark.parametrize(
    "found", [b"", b"{", b"[]", b'{"format": 2, "people": {}}', b'{"format": 1, "people": []}', b"\xff" * 9], ids=repr
)
def test_a_file_that_is_none_of_ours_is_set_aside_with_a_word(tmp_path, found):
    (tmp_path / "dashboard.json").write_bytes(found)
    remembered = at(tmp_path)
    assert Memory() == remembered.read()
    assert "it is now dashboard.damaged" in remembered.wrong
    assert found == (tmp_path / "dashboard.damaged").read_bytes()
    remembered.write(FULL)
    assert FULL == at(tmp_path).read()


def test_a_folder_in_its_place_is_no_crash(tmp_path):
    (tmp_path / "dashboard.json").mkdir()
    remembered = at(tmp_path)
    assert Memory() == remembered.read()
    assert remembered.wrong


@pytest.mark.parametrize(
    "entry", ["7", "null", '{"theme": 7, "room": [], "rooms": 1}', '{"rooms": {"inbox": 3, "live": null}}'], ids=repr
)
def test_an_entry_of_another_shape_is_nothing(tmp_path, entry):
    (tmp_path / "dashboard.json").write_text(f'{{"format": 1, "people": {{"ada": {entry}}}}}')
    assert Memory() == at(tmp_path).read()


def test_the_next_start_begins_where_the_last_one_was_left(face):
    async def leave(pilot, app) -> None:
        await press(pilot, "6", "s", "t")
        await pilot.press("q")

    play(face, leave)

    async def look(pilot, app) -> None:
        assert "health" == app.current_mode
        assert "eventctl-light" == app.theme
        assert "silent longest" in shown(app)

    play(face, look)


def test_a_dashboard_that_is_killed_has_lost_ten_seconds_at_most(face):
    async def look(pilot, app) -> None:
        await press(pilot, "6")
        for _ in range(10):
            await app.look()
        await settled(pilot)
        kept = Remembered(face.root / ".eventctl/dashboard.json", "ada").read()
        assert "health" == kept.room

    play(face, look)


def test_what_cannot_be_kept_is_said_and_stops_nothing(face):
    (face.root / ".eventctl/dashboard.new").mkdir()

    async def look(pilot, app) -> None:
        await press(pilot, "t")
        app.keep()
        await settled(pilot)
        assert "cannot be kept" in "".join(str(told.message) for told in app._notifications)

    play(face, look)


def test_a_theme_or_a_room_that_is_gone_is_not_missed(face):
    Remembered(face.root / ".eventctl/dashboard.json", "ada").write(Memory("lost", "attic"))

    async def look(pilot, app) -> None:
        assert ("eventctl-dark", "inbox") == (app.theme, app.current_mode)

    play(face, look)


def test_an_agent_and_a_member_of_one_name_keep_their_own(face):
    async def turn(pilot, app) -> None:
        await press(pilot, "t")
        app.keep()

    play(face, turn, EVENTCTL_AGENT="ada")

    async def look(pilot, app) -> None:
        assert "eventctl-dark" == app.theme

    play(face, look)
