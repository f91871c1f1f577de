"""The room of cartridges: what it lists, what each key does, and that it comes to what the command line comes to."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from eventctl.cli.backtest import TITLES
from eventctl.tui.cartridges.comparing import Comparing, drawn
from eventctl.tui.cartridges.consentview import Consent
from eventctl.tui.cartridges.lines import Entry, fits
from eventctl.tui.cartridges.screen import CartridgesRoom
from eventctl.tui.cartridges.sheet import Sheet
from eventctl.tui.dialogs import Form
from tests.cli.conftest import CLEAN, Face
from tests.lifekit import archive, code, folder, rule, tree
from tests.tui.kit import NARROW, USUAL, WAIT_S, WIDE, play, press, settled, shown, typed

SLOT = 'annotates = ["sum"]'
COUNT = '    context.annotate("sum", {"version": VERSION})\n'


def shop_at(root, env):
    """A workspace with the admin ada, the member bob, a domain, and three events."""
    face = Face(root, env)
    face("init", "--name", "test")
    config = root / "eventctl.toml"
    config.write_text(config.read_text() + '\n[members.bob]\nrole = "member"\n')
    put(root / "company/domains/shop/domain.toml", 'summary = "A shop."\n')
    put(root / "personal/bob/member.toml", "")
    for entity in "abc":
        face("emit", "shop.sold", "--source", "tests", "--entity", entity, "--id", f"sold-{entity}")
    face("run", "--until-idle")
    return face


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Both workspaces, made once: every test has a copy of its own."""
    folder = tmp_path_factory.mktemp("made")
    env = {**CLEAN, "HOME": str(folder), "TZ": "UTC", "EVENTCTL_MEMBER": "ada"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eventctl.starter.SHIPPED", ())
        shop_at(folder / "shop", env)
        fill(shop_at(folder / "full", env))
    return folder


@pytest.fixture
def shop(made, tmp_path, env):
    """A workspace with two members, a domain, three events and no cartridge."""
    return copied(made / "shop", tmp_path, env)


@pytest.fixture
def full(made, tmp_path, env):
    """One of each state."""
    return copied(made / "full", tmp_path, env)


def copied(root, folder, env):
    shutil.copytree(root, folder / "desk")
    return Face(folder / "desk", env)


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def source(face, version="1.0.0", *lines):
    """A candidate outside of the workspace; it says which version of it has run."""
    text = code("till", version, SLOT, *lines, body=COUNT.replace("VERSION", repr(version)))
    return put(face.root.parent / "given" / version / "till.py", text)


def installed(face, *versions, place=("--domain", "shop")):
    for version in versions:
        face("cartridge", "install", str(source(face, version)), *place, "--yes")


def twin(face):
    """A copy of the workspace, for the other face."""
    root = face.root.parent / "twin"
    shutil.copytree(face.root, root)
    return Face(root, face.env, face.now)


def standing(face):
    """What the command line says is installed, and what was decided about it; ids and places on the disk aside."""
    versions = json.loads(face("cartridge", "list", "--versions", "--json").stdout)["items"]
    decisions = json.loads(face("decisions", "list", "--all", "--json").stdout)["items"]
    return versions, [(each["number"], each["state"], each["summary"], each["kind"]) for each in decisions]


def room(app):
    return next(screen for screen in app.screen_stack if isinstance(screen, CartridgesRoom))


async def opened(pilot, app, id_=""):
    """Go there, and stand on a cartridge."""
    await press(pilot, "4")
    if id_:
        room(app).jump(id_)
        await settled(pilot)
        assert room(app).under.id == id_


def told(app):
    return " | ".join(note.message for note in app._notifications)


# --- what it lists ---------------------------------------------------------------------------------------------------------------


def fill(shop):
    """A cartridge in each state."""
    put(shop.root / "company/domains/shop/cartridges/late.toml", rule("late"))
    put(shop.root / "company/domains/shop/cartridges/quiet.toml", 'mode = "shadow"\n' + rule("quiet"))
    put(shop.root / "company/domains/shop/cartridges/wrong.toml", rule("wrong").replace("consumes", "consums"))
    put(shop.root / "company/domains/shop/cartridges/needy.py", code("needy", "1.0.0", 'requires = ["nothing-here"]'))
    put(shop.root / "personal/bob/cartridges/mine.toml", rule("mine"))
    put(shop.root / "cartridges/shelf.py", code("shelf"))
    installed(shop, "1.0.0", "2.0.0")
    shop("cartridge", "install", str(put(shop.root.parent / "given/gone.py", code("gone"))), "--yes")
    shop("cartridge", "remove", "gone", "--yes")
    shop("emit", "shop.sold", "--source", "tests", "--entity", "d", "--id", "sold-d")
    shop("run", "--until-idle")


def states(app):
    return {entry.id: (entry.state, entry.where) for entry in room(app).seen.entries}


def test_everything_is_listed_with_its_place_and_state(full):
    async def script(pilot, app):
        await opened(pilot, app)
        return states(app)

    assert {
        "late": ("active", "domain:shop"), "quiet": ("shadow", "domain:shop"), "wrong": ("broken", "domain:shop"),
        "needy": ("broken", "domain:shop"), "till": ("active", "domain:shop"), "mine": ("active", "member:bob"),
        "shelf": ("not enabled", "library"), "gone": ("kept", "library"),
    } == play(full, script)  # fmt: skip


def test_it_lists_what_the_command_line_lists_and_counts_alike(full):
    async def script(pilot, app):
        await opened(pilot, app)
        return room(app).seen

    seen = play(full, script)
    items = json.loads(full("cartridge", "list", "--json").stdout)["items"]
    by = {entry.path: entry for entry in seen.entries}
    assert {item["path"] for item in items} <= by.keys()
    assert [item["pipelines"] for item in items] == [list(by[item["path"]].runs) for item in items]
    counted = {path: totals.form() for path, totals in seen.counted.items()}
    assert {item["path"]: item["counts"] for item in items if item["counts"]} == counted
    assert 1 == counted["installed:domain:shop/till"]["calls"]


@pytest.mark.parametrize("size", [NARROW, USUAL, WIDE])
def test_it_fits_every_terminal_and_states_are_words(full, size):
    async def script(pilot, app):
        await opened(pilot, app)
        return shown(app)

    letters = play(full, script, size=size)
    for words in (
        "● active",
        "◌ shadow",
        "⚠ broken",
        "▪ kept",
        "○ not enabled",
        "Domain shop",
        "Member bob",
        "mistakes: C names them",
    ):
        assert words in letters


def test_the_card_says_what_show_says(full):
    async def script(pilot, app):
        await opened(pilot, app, "till")
        return room(app).pane.query_one("Static").render().plain

    card = play(full, script, size=WIDE)
    said = full("cartridge", "show", "till").stdout
    for line in said.splitlines()[2:]:
        assert line.split() == [] or " ".join(line.split()) in " ".join(card.split())
    assert "autonomy" in card
    assert "L3, acts (eventctl.toml: autonomy.default)" in card
    assert "● active" in card
    assert "▪ kept" in card
    assert "1.0.0" in card


def test_on_a_narrow_terminal_enter_opens_the_card_and_escape_goes_back(full):
    async def script(pilot, app):
        await opened(pilot, app, "till")
        assert "Versions" not in shown(app)
        await press(pilot, "enter")
        assert "not trusted: in a worker" in shown(app)
        await press(pilot, "escape")
        assert "◌ shadow" in shown(app)
        assert "not trusted" not in shown(app)

    play(full, script, size=NARROW)


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("state:broken", {"wrong", "needy"}),
        ("place:bob", {"mine"}),
        ("id:ti", {"till"}),
        ("origin:package", {"till", "gone"}),
        ("state:not-enabled place:library", {"shelf"}),
        ("domain:shop late", {"late"}),
        ("NOTHING-here", {"needy"}),
        ("zebra", set()),
    ],
)
def test_the_filter_takes_words_of_fields_and_of_everything(full, words, ids):
    async def script(pilot, app):
        await opened(pilot, app)
        await press(pilot, "slash")
        await typed(pilot, words)
        await press(pilot, "enter")
        return {room(app).seen and room(app)._by[key].id for key in room(app)._by}

    assert ids == play(full, script)


def test_a_word_with_a_colon_that_is_no_field_is_a_word():
    entry = Entry("installed:domain:shop/till", "till", "1", "domain:shop", "domain:shop", "active", (), "package", "counts")
    assert fits(entry, "domain:shop")
    assert not fits(entry, "state:broken")


def test_filter_and_cursor_come_back_and_garbage_is_survived(full):
    async def script(pilot, app):
        await opened(pilot, app)
        await press(pilot, "slash")
        await typed(pilot, "shop")
        await press(pilot, "enter", "down")
        return room(app).memory()

    memory = play(full, script)
    again = CartridgesRoom()
    again.recall(memory)
    assert ("shop", memory["cursor"]) == (again.words, again._wanted)
    for garbage in ({}, {"filter": 7, "cursor": [1]}, {"filter": None}, {"filter": "\x1b[2J"}):
        again.recall(garbage)
        assert "\x1b" not in again.words


def test_a_cartridge_that_is_pointed_at_gets_the_cursor_whatever_is_filtered(full):
    async def script(pilot, app):
        await opened(pilot, app)
        await press(pilot, "slash")
        await typed(pilot, "zebra")
        await press(pilot, "enter")
        room(app).jump("bob/mine")
        await settled(pilot)
        assert "mine" == room(app).under.id

    play(full, script)


def test_files_are_read_anew_when_one_has_changed_and_not_before(full):
    async def script(pilot, app):
        await opened(pilot, app)
        first = room(app).seen
        await press(pilot, "ctrl+r")
        assert first.looked is room(app).seen.looked
        put(full.root / "cartridges/new.py", code("new"))
        await press(pilot, "ctrl+r")
        assert "new" in states(app)

    play(full, script)


def test_another_room_can_point_at_one_before_anybody_was_here(full):
    async def script(pilot, app):
        asked = CartridgesRoom()
        asked.recall({"filter": "zebra"})
        asked.jump("personal/bob/cartridges/mine.toml")
        assert {"filter": "", "cursor": "personal/bob/cartridges/mine.toml"} == asked.memory()

    play(full, script)


# --- looking into one ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "id_"), [("c", "needy"), ("C", "late")])
def test_check_names_what_the_command_line_names(full, key, id_):
    async def script(pilot, app):
        await opened(pilot, app, id_)
        await press(pilot, key)
        assert isinstance(app.screen, Sheet)
        return app.screen._text.plain

    words = [str(full.root / "company/domains/shop/cartridges/needy.py")] if key == "c" else []
    text = play(full, script)
    problems = json.loads(full("cartridge", "check", *words, "--json", code=78).stdout)["items"]
    assert problems
    for problem in problems:
        assert problem["what"] in text
        assert problem["where"] in text


def test_one_without_a_mistake_is_said_to_have_none(full):
    async def script(pilot, app):
        await opened(pilot, app, "gone")
        await press(pilot, "c")
        return shown(app)

    assert "✔ no mistake" in play(full, script)


EXAMPLES = """\
[[given]]
event = "shop.sold"
[then]
notifications = NUMBER
"""


def test_examples_are_run_as_a_child_and_what_fails_is_shown(full):
    for name, number in (("good", 1), ("bad", 3)):
        put(full.root / f"personal/bob/cartridges/mine.examples/{name}.toml", EXAMPLES.replace("NUMBER", str(number)))

    async def script(pilot, app):
        await opened(pilot, app, "mine")
        await press(pilot, "x")
        return app.screen._text.plain

    text = play(full, script)
    told = json.loads(full("cartridge", "test", str(full.root / "personal/bob/cartridges/mine.toml"), "--json", code=1).stdout)
    assert "2 examples, 1 failed" in text
    assert ["bad", "good"] == sorted(item["path"].rpartition("/")[2].removesuffix(".toml") for item in told["items"])
    for item in told["items"]:
        assert f"{'✔ holds' if item['ok'] else '✗ fails'}  {item['path']}" in text
        assert all(miss["expected"] in text and miss["found"] in text for miss in item["misses"])


def test_code_that_was_installed_is_not_run_as_a_test(full):
    async def script(pilot, app):
        await opened(pilot, app, "till")
        await press(pilot, "x")
        assert isinstance(app.screen, CartridgesRoom)
        return told(app)

    assert "its examples are not run" in play(full, script)


# --- backtests -------------------------------------------------------------------------------------------------------------------


async def trial(pilot, app):
    """Wait until a backtest has come to something."""
    await settled(pilot)
    assert isinstance(app.screen, Comparing)
    return app.screen


async def since_ever(pilot, app):
    """Fill in a form so that it goes over the whole log."""
    assert isinstance(app.screen, Form)
    await press(pilot, *["backspace"] * 3)
    await typed(pilot, "e1")
    await press(pilot, "enter")


@pytest.mark.parametrize(("id_", "against"), [("late", ""), ("till", ""), ("till", "1.0.0")])
def test_side_by_side_it_shows_what_backtest_prints(full, id_, against):
    async def script(pilot, app):
        await opened(pilot, app, id_)
        await press(pilot, "b")
        if against:
            await press(pilot, "tab", "down", "shift+tab")
        await since_ever(pilot, app)
        screen = await trial(pilot, app)
        rows = screen.sides._rows
        return (
            screen.report,
            [(row.group.rpartition(":")[0], *(cell.text for cell in row.cells[1:])) for row in rows],
            shown(app),
        )

    report, rows, letters = play(full, script, size=WIDE)
    path = "installed:domain:shop/till" if id_ == "till" else str(full.root / "company/domains/shop/cartridges/late.toml")
    more = ("--against", against) if against else ()
    printed = json.loads(full("cartridge", "backtest", path, "--since", "e1", *more, "--json").stdout)
    wanted = [
        (TITLES[kind], change["event"], change["before"], change["after"])
        for kind in TITLES
        for change in printed["changes"].get(kind, [])
    ]
    assert wanted
    assert wanted == rows
    times = ("mean_us", "max_us")
    assert {name: value for name, value in printed.items() if name not in times} == {
        name: value for name, value in report.items() if name not in times
    }
    assert "without it" in letters
    assert f"{len(wanted)} " in letters


def test_a_difference_opens_the_event_that_it_happens_at(full):
    async def script(pilot, app):
        await opened(pilot, app, "late")
        await press(pilot, "b")
        await since_ever(pilot, app)
        await trial(pilot, app)
        await press(pilot, "enter")
        return shown(app)

    assert "shop.sold" in play(full, script)


SLOW = code("slow", body="    import time\n    time.sleep(600)\n")


async def begun(pilot, app):
    """Begin a backtest that does not end, and give its child."""
    await opened(pilot, app, "slow")
    await press(pilot, "b")
    await pilot.press("enter")
    async with asyncio.timeout(WAIT_S):
        while not (isinstance(app.screen, Comparing) and app.screen.child and app.screen.child.pid):
            await pilot.pause(0.02)
        child = app.screen.child
        while not processes(child.pid):
            await pilot.pause(0.02)
    return child


def test_given_up_a_backtest_leaves_no_process_and_says_so(full):
    put(full.root / "company/domains/shop/cartridges/slow.py", SLOW)

    async def script(pilot, app):
        child = await begun(pilot, app)
        assert "escape stops it" in shown(app)
        await pilot.press("escape")
        async with asyncio.timeout(WAIT_S):
            while processes(child.pid):
                await pilot.pause(0.02)
        assert isinstance(app.screen, CartridgesRoom)
        return told(app)

    assert "the backtest was stopped: nothing was changed" in play(full, script)


def test_the_dashboard_leaves_no_backtest_behind(full):
    put(full.root / "company/domains/shop/cartridges/slow.py", SLOW)
    assert [] == processes(play(full, begun).pid)


def processes(group):
    """The processes of a group that have not ended."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            state, _, theirs = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if process.name.isdecimal() and int(theirs) == group and state not in "ZX":
            found.append(int(process.name))
    return found


def test_a_backtest_that_cannot_be_says_why(full):
    async def script(pilot, app):
        await opened(pilot, app, "wrong")
        await press(pilot, "b", "enter")
        assert isinstance(app.screen, CartridgesRoom)
        return told(app)

    assert "'consumes' is missing" in play(full, script)


def test_a_file_is_edited_where_there_is_a_terminal_and_nothing_else_is(full):
    async def script(pilot, app):
        await opened(pilot, app, "late")
        await press(pilot, "o")
        room(app).jump("till")
        await settled(pilot)
        await press(pilot, "o")
        return told(app)

    said = play(full, script, EDITOR="true")
    assert "the editor cannot be opened" in said
    assert "only a file of this workspace can be edited" in said


# --- what changes something ------------------------------------------------------------------------------------------------------


async def choose(pilot, app, path, downs=0):
    """Fill in the form of `i`, and look at what comes."""
    assert isinstance(app.screen, Form)
    await typed(pilot, "x")
    app.screen.query("Input").first().value = str(path)
    await press(pilot, "tab", *["down"] * downs, "enter")


PLACES = {"library": 0, "domain:shop": 1, "member:bob": 3}


def test_installing_comes_to_what_the_command_line_comes_to(shop):
    other, given = twin(shop), source(shop)
    other("cartridge", "install", str(given), "--domain", "shop", "--yes")

    async def script(pilot, app):
        await opened(pilot, app)
        await press(pilot, "i")
        await choose(pilot, app, given, PLACES["domain:shop"])
        assert isinstance(app.screen, Consent)
        letters = shown(app)
        await press(pilot, "y")
        assert "till" in states(app)
        return letters, told(app)

    letters, said = play(shop, script)
    for words in ("install till 1.0.0", "guardian", "digest", "Install till 1.0.0 in domain:shop?", "annotate sum"):
        assert words in letters
    assert "installed till 1.0.0 in domain:shop" in said
    assert standing(other) == standing(shop)


def test_no_is_chosen_first_and_changes_nothing(shop):
    before = tree(shop.root)

    async def script(pilot, app):
        await opened(pilot, app)
        await press(pilot, "i")
        await choose(pilot, app, source(shop))
        await press(pilot, "enter")
        return told(app)

    assert "nothing was changed" in play(shop, script)
    assert before == {name: text for name, text in tree(shop.root).items() if "dashboard" not in name}


def test_what_the_guardian_refuses_shows_why_and_has_no_yes(shop, tmp_path):
    canary = tmp_path / "canary"
    given = put(tmp_path / "given/till.py", code(canary=canary))

    async def script(pilot, app):
        await opened(pilot, app)
        await press(pilot, "i")
        await choose(pilot, app, given)
        letters = shown(app)
        await press(pilot, "y", "a", "b")
        assert isinstance(app.screen, Consent)
        await press(pilot, "escape")
        return letters

    letters = play(shop, script)
    assert "Nobody can agree to this" in letters
    assert "the guardian refuses till" in letters
    assert "Install (y)" not in letters
    assert ([], []) == standing(shop)
    assert not canary.exists()


def test_what_cannot_be_read_says_why_and_nothing_is_asked(shop, tmp_path):
    bad = archive(tmp_path / "evil.tar.gz", {**folder(), "setup.py": "x"})

    async def script(pilot, app):
        await opened(pilot, app)
        await press(pilot, "i")
        await choose(pilot, app, bad)
        assert isinstance(app.screen, CartridgesRoom)
        return told(app)

    assert "setup.py" in play(shop, script)


def test_more_than_before_is_said_and_the_yes_names_it(shop):
    installed(shop, "1.0.0")
    more = source(shop, "2.0.0", 'permissions = { calls = ["command"] }')
    other = twin(shop)
    other("cartridge", "install", str(more), "--domain", "shop", "--yes", "--wider")

    async def script(pilot, app):
        await opened(pilot, app)
        await press(pilot, "i")
        await choose(pilot, app, more, PLACES["domain:shop"])
        letters = shown(app)
        await press(pilot, "y")
        return letters

    letters = play(shop, script)
    assert "It asks for more than 1.0.0: call command" in letters
    assert "Install, and let it do more (y)" in letters
    assert standing(other) == standing(shop)


def test_a_trial_before_installing_stands_in_the_decision(shop):
    given = source(shop)

    async def script(pilot, app):
        await opened(pilot, app)
        await press(pilot, "i")
        await choose(pilot, app, given, PLACES["domain:shop"])
        await press(pilot, "b")
        await since_ever(pilot, app)
        screen = await trial(pilot, app)
        assert {"annotated": 3} == screen.report["counts"]
        await press(pilot, "a")
        assert isinstance(app.screen, Consent)
        letters = shown(app)
        await press(pilot, "y")
        return letters

    assert "3 annotated" in play(shop, script)
    decision = json.loads(shop("decisions", "show", "d1", "--json").stdout)
    assert {"annotated": 3} == decision["args"]["backtest"]["counts"]
    assert "changes" not in decision["args"]["backtest"]


def test_a_member_is_told_what_they_may_not_and_can_ask(shop):
    other, given = twin(shop), source(shop)
    other("--as", "bob", "cartridge", "install", str(given), "--domain", "shop", "--ask", "--json")

    async def script(pilot, app):
        await opened(pilot, app)
        await press(pilot, "i")
        await choose(pilot, app, given, PLACES["domain:shop"])
        letters = shown(app)
        await press(pilot, "y")
        assert isinstance(app.screen, Consent)
        await press(pilot, "a")
        return letters, told(app)

    letters, said = play(shop, script, EVENTCTL_MEMBER="bob")
    assert "bob may not install a cartridge in domain:shop: an admin may" in letters
    assert "d1 waits for an admin" in said
    assert standing(other) == standing(shop)
    assert [] == standing(shop)[0]


@pytest.mark.parametrize("to", ["library", "domain:shop"])
def test_promoting_what_is_installed_comes_to_what_the_command_line_comes_to(shop, to):
    installed(shop, "1.0.0", place=("--member", "bob"))
    other = twin(shop)
    other("cartridge", "promote", "till", "--to", to, "--yes")

    async def script(pilot, app):
        await opened(pilot, app, "till")
        await press(pilot, "p", *["down"] * (to != "library"), "enter")
        assert f"Promote till 1.0.0 to {to}?" in shown(app)
        await press(pilot, "y")

    play(shop, script)
    assert standing(other) == standing(shop)


@pytest.mark.parametrize("to", ["library", "domain:shop"])
def test_files_are_promoted_whole(shop, to):
    put(shop.root / "personal/bob/cartridges/late.toml", rule())
    put(shop.root / "personal/bob/cartridges/late.examples.toml", "# none\n")
    other = twin(shop)
    other("cartridge", "promote", "late", "--to", to, "--yes")

    async def script(pilot, app):
        await opened(pilot, app, "late")
        await press(pilot, "p", *["down"] * (to != "library"), "enter")
        assert f"to {to}?" in shown(app)
        await press(pilot, "y")

    play(shop, script)
    for part in ("personal", "company", "cartridges"):
        assert tree(other.root / part) == tree(shop.root / part)
    assert standing(other) == standing(shop)


def test_a_trial_before_promoting_stands_beside_the_question(shop):
    put(shop.root / "personal/bob/cartridges/late.toml", rule())

    async def script(pilot, app):
        await opened(pilot, app, "late")
        await press(pilot, "p", "down", "enter", "b")
        await since_ever(pilot, app)
        screen = await trial(pilot, app)
        assert 3 == screen.report["counts"]["notified"]
        await press(pilot, "a")
        letters = shown(app)
        await press(pilot, "y")
        return letters

    assert "3 notified" in play(shop, script)
    assert 3 == json.loads(shop("decisions", "show", "d1", "--json").stdout)["args"]["backtest"]["counts"]["notified"]


@pytest.mark.parametrize(
    ("key", "words", "more"),
    [
        ("r", ("rollback", "till"), ()),
        ("D", ("remove", "till"), ()),
        ("D", ("remove", "till", "--for-good"), ("space",)),
        ("T", ("trust", "till"), None),
    ],
)
def test_it_comes_to_what_the_command_line_comes_to(shop, key, words, more):
    installed(shop, "1.0.0", "2.0.0")
    other = twin(shop)
    other("cartridge", *words, "--yes")

    async def script(pilot, app):
        await opened(pilot, app, "till")
        await press(pilot, key)
        if more is not None:
            await press(pilot, *more, "enter")
        assert isinstance(app.screen, Consent)
        letters = shown(app)
        await press(pilot, "y")
        return letters

    letters = play(shop, script)
    if key == "T":
        assert "inside the runner with all of your rights" in " ".join(letters.replace("│", " ").split())
        assert "sha256:" in letters
    assert standing(other) == standing(shop)


def test_trust_is_taken_back_by_the_same_key(shop):
    installed(shop, "1.0.0")
    shop("cartridge", "trust", "till", "--yes")
    other = twin(shop)
    other("cartridge", "trust", "till", "--revoke", "--yes")

    async def script(pilot, app):
        await opened(pilot, app, "till")
        await press(pilot, "T")
        assert "Let till run in a worker again?" in shown(app)
        await press(pilot, "y")

    play(shop, script)
    assert standing(other) == standing(shop)


@pytest.mark.parametrize(
    ("key", "words"), [("r", "no version from before"), ("D", "delete the file"), ("T", "no digest to trust")]
)
def test_what_was_not_installed_says_so(full, key, words):
    async def script(pilot, app):
        await opened(pilot, app, "late")
        await press(pilot, key)
        assert isinstance(app.screen, CartridgesRoom)
        return told(app)

    assert words in play(full, script)


def test_what_changed_in_the_meantime_is_not_overwritten(shop):
    installed(shop, "1.0.0", "2.0.0")

    async def script(pilot, app):
        await opened(pilot, app, "till")
        await press(pilot, "D", "enter")
        installed(shop, "3.0.0")
        await press(pilot, "y")
        return told(app)

    assert "has changed since this was proposed" in play(shop, script)
    assert "3.0.0" in [row["version"] for row in standing(shop)[0] if row["active"]]


def test_the_key_is_about_the_row_that_was_under_the_cursor(full):
    async def script(pilot, app):
        await opened(pilot, app, "till")
        await press(pilot, "D")
        put(full.root / "company/domains/shop/cartridges/till.toml", rule("aaa"))
        app.reread()
        await settled(pilot)
        assert "Remove till from domain:shop" in shown(app)

    play(full, script)


# --- strangers -------------------------------------------------------------------------------------------------------------------

HOSTILE = "[@click=app.quit()]x[/] [b]bold \\u001b]0;owned\\u0007 \\u202egnp.exe"


def test_text_of_manifests_is_letters_and_nothing_else(shop):
    text = rule("late").replace('summary = "A test."', f'summary = "{HOSTILE}"')
    given = put(shop.root.parent / "given/late.toml", text)
    put(shop.root / "company/domains/shop/cartridges/late.toml", text)
    put(shop.root / "company/domains/shop/cartridges/bad.toml", rule("x\\u001b[2J[b]"))

    async def script(pilot, app):
        await opened(pilot, app, "late")
        seen = [shown(app)]
        await press(pilot, "i")
        await choose(pilot, app, given, PLACES["member:bob"])
        assert isinstance(app.screen, Consent)
        seen.append(shown(app))
        await press(pilot, "escape", "C")
        assert isinstance(app.screen, Sheet)
        seen.append(shown(app))
        assert app.is_running
        return seen

    room_, card, sheet = play(shop, script, size=WIDE)
    for letters in (room_, card, sheet):
        assert "\x1b" not in letters
        assert "\u202e" not in letters
    assert "[@click=app.quit()]x[/] [b]bold" in room_
    assert "[@click=app.quit()]x[/] [b]bold" in card
    assert "bad.toml" in sheet


def test_a_report_with_hostile_words_is_drawn_as_letters():
    report = {
        "counts": {"title": 1},
        "changes": {"title": [{"event": "e1", "before": "[b]\x1b[2J", "after": "[@click=app.quit()]x"}]},
    }
    (row, _), *_ = drawn(report)
    assert "\x1b" not in row.cells[2].text
    assert "[@click=app.quit()]x" == row.cells[3].text
