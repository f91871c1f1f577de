"""What a workspace begins with, and how it is added to: whatever people write between, every line of theirs stays."""

from __future__ import annotations

import tempfile
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import eventctl
from eventctl import beginning, starter
from eventctl import settings as reading
from eventctl.beginning import Person, Wish, first, read_domain, read_level, read_member
from eventctl.errors import Misconfigured

ADA = Person("ada", "admin")


class Done:
    """What `added` makes of a text."""

    def __init__(self, text, wish):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "eventctl.toml"
            file.write_bytes(text.encode())
            done = beginning.added(file, wish)
            done.edit.write()
            self.text, self.new, self.kept = file.read_bytes().decode(), done.new, done.kept


added = Done


def keeps(before: str, after: str) -> bool:
    lines = iter(after.split("\n"))
    return all(line in lines for line in before.split("\n") if line)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bob", Person("bob")),
        ("bob:admin", Person("bob", "admin")),
        ("bob:member:marketing,finance", Person("bob", "member", ("marketing", "finance"))),
        ("bob::marketing", Person("bob", "member", ("marketing",))),
    ],
)
def test_a_member_is_read_as_people_write_one(text, expected):
    assert expected == read_member(text)


@pytest.mark.parametrize("text", ["", "Bob", "../bob", "bob:boss", "bob:member:a b", "b\nob", ":admin"])
def test_what_is_no_member_is_refused(text):
    with pytest.raises(ValueError, match="is"):
        read_member(text)


@pytest.mark.parametrize(("text", "expected"), [("L3", ("", "L3")), ("l1", ("", "L1")), ("marketing=L2", ("marketing", "L2"))])
def test_a_level_is_read_as_people_write_one(text, expected):
    assert expected == read_level(text)


@pytest.mark.parametrize("text", ["", "L4", "marketing", "=x", "Marketing=L1", "../x=L1"])
def test_what_is_no_level_is_refused(text):
    with pytest.raises(ValueError, match="is"):
        read_level(text)


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", "-a", "A", "a" * 65, "a\n"])
def test_what_is_no_domain_is_refused(text):
    with pytest.raises(ValueError, match="name"):
        read_domain(text)


def test_new_settings_have_no_mistake_and_say_what_was_wished_for(tmp_path):
    wish = Wish(members=(ADA, Person("bob", "member", ("marketing",))), level="L2", levels={"marketing": "L3"})
    file = tmp_path / "eventctl.toml"
    file.write_text(first("desk", wish, ["marketing", "customer-relations"]))
    given, problems = reading.load(file)
    assert [] == [str(problem) for problem in problems if not problem.warning]
    assert {"ada": ("admin", ()), "bob": ("member", ("marketing",))} == {
        name: (member.role, member.domains) for name, member in given.members.items()
    }
    assert ("L2", {"customer-relations": "L1", "marketing": "L3"}) == (given.autonomy.default, given.autonomy.domains)
    assert {"customer-relations": "strict"} == given.trust.domains


def test_every_section_of_new_settings_says_in_a_line_what_it_is_for():
    lines = first("desk", Wish(members=(ADA,)), ["customer-relations"]).splitlines()
    headers = [at for at, line in enumerate(lines) if line.startswith("[")]
    assert len(headers) >= 6
    assert [] == [lines[at] for at in headers if not lines[at - 1].startswith("# ")]


def test_a_domain_that_is_not_there_is_spoken_of_nowhere():
    assert "customer-relations" not in first("desk", Wish(members=(ADA,)), ["marketing"])


def test_what_is_missing_is_added_and_what_differs_is_left_and_named():
    before = first("desk", Wish(members=(ADA,), level="L3"), ["marketing"])
    wish = Wish(members=(Person("ada", "member"), Person("eve")), level="L1", levels={"marketing": "L2"})
    done = added(before, wish)
    assert ["eve is a member", "the level of marketing is L2"] == done.new
    assert ["members.ada", "autonomy.default"] == [sentence.split()[0] for sentence in done.kept]
    assert keeps(before, done.text)
    assert added(done.text, wish).text == done.text


def test_a_value_is_added_under_its_header_and_not_under_the_next_ones_comment():
    before = '[autonomy.domains]\na = "L1"\n\n# What follows is about trust.\n[trust]\nstrictness = "strict"\n'
    after = added(before, Wish(levels={"b": "L2"})).text
    assert '[autonomy.domains]\na = "L1"\nb = "L2"\n\n# What follows is about trust.\n[trust]\nstrictness = "strict"\n' == after


@pytest.mark.parametrize(
    "before",
    [
        "",
        "# nothing but a comment",
        '[autonomy] # mine\ndefault = "L3"',
        'autonomy.default = "L3"\n',
        "[ autonomy . domains ]\nother = 'L1'\r\n",
        '[members]\nada = { role = "admin" }\n',
        '[members.ada]\nrole = "admin"\n\n\n\n# the end\n',
        '[enable]\nx = { text = """\n[autonomy]\n""" }\n',
        '[autonomy]\ntypes = { "a.b" = "L1" }\n',
    ],
)
def test_however_settings_are_written_they_can_be_added_to(before):
    wish = Wish(members=(Person("eve"),), level="L2", levels={"marketing": "L1"})
    done = added(before, wish)
    data = tomllib.loads(done.text)
    assert {"role": "member"} == data["members"]["eve"]
    assert "L1" == data["autonomy"]["domains"]["marketing"]
    assert keeps(before, done.text)


@pytest.mark.parametrize("before", ['members = { ada = { role = "admin" } }\n', "autonomy = 3\n"])
def test_what_cannot_be_added_without_changing_a_line_is_refused_with_what_to_write(before):
    with pytest.raises(Misconfigured) as refused:
        added(before, Wish(members=(Person("eve"),), levels={"a": "L1"}))
    assert "write it by hand" in refused.value.hint


def test_settings_that_cannot_be_read_are_not_added_to():
    with pytest.raises(Misconfigured):
        added("[members\n", Wish(members=(Person("eve"),)))


def test_a_domain_of_ones_own_has_no_mistake_and_takes_events(tmp_path):
    root = starter.make(tmp_path, name="x", member="ada", wish=Wish(domains=("finance",))).root
    types = root / "company/domains/finance/event_types.toml"
    types.write_text(
        "\n".join(
            line[2:] if (line.startswith("# ") and "=" in line) or line.startswith("# [") else line
            for line in types.read_text().splitlines()[2:]
        )
    )
    types.write_text('namespace = "domain.finance"\n' + types.read_text().replace('namespace = "domain.finance"', ""))
    with eventctl.open(root, env={}, no_plugins=True) as here:
        assert [] == [str(problem) for problem in here.problems if not problem.warning]
        here.emit("domain.finance.order.stuck", "till", {"order": "7"})
        here.run_until_idle()
        assert ["Order 7"] == [item.notification.title for item in here.inbox.list().items]


def test_only_the_domains_that_were_chosen_are_there_and_nothing_speaks_of_others(tmp_path):
    root = starter.make(tmp_path, name="x", member="bob", wish=Wish(domains=("marketing",))).root
    assert ["marketing"] == [path.name for path in (root / "company/domains").iterdir()]
    assert ["bob"] == [path.name for path in (root / "personal").iterdir()]
    assert starter.make(tmp_path, name="x", member="bob").added == []
    with eventctl.open(root, env={}, no_plugins=True) as here:
        assert [] == [str(problem) for problem in here.problems if not problem.warning]


def test_a_domain_that_is_asked_for_later_comes_whole_and_one_that_was_removed_comes_back_only_when_asked_for(tmp_path):
    def domains():
        return sorted(path.name for path in (tmp_path / "company/domains").iterdir())

    starter.make(tmp_path, name="x", member="ada", wish=Wish(domains=("marketing",)))
    starter.make(tmp_path, name="x", member="ada", wish=Wish(domains=("customer-relations",)))
    assert ["customer-relations", "marketing"] == domains()
    given = reading.load(tmp_path / "eventctl.toml")[0]
    assert ("L1", "strict") == (given.autonomy.domains["customer-relations"], given.trust.domains["customer-relations"])
    for file in sorted((tmp_path / "company/domains/marketing").rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    (tmp_path / "company/domains/marketing").rmdir()
    assert starter.make(tmp_path, name="x", member="ada").removed
    assert ["customer-relations"] == domains()
    starter.make(tmp_path, name="x", member="ada", wish=Wish(domains=("marketing",)))
    assert ["customer-relations", "marketing"] == domains()
    assert (tmp_path / "company/domains/marketing/event_types.toml").exists()


def test_a_members_file_that_was_removed_does_not_come_back(tmp_path):
    wish = Wish(members=(ADA, Person("bob")))
    starter.make(tmp_path, name="x", member="ada", wish=wish)
    (tmp_path / "personal/bob/member.toml").unlink()
    starter.make(tmp_path, name="x", member="ada", wish=wish)
    assert not (tmp_path / "personal/bob/member.toml").exists()


def test_whoever_asks_is_the_admin_where_the_wish_names_none():
    from eventctl.starter import _peopled

    assert (ADA, Person("bob")) == _peopled(Wish(members=(Person("bob"),)), "ada").members
    assert (Person("ada", "admin"),) == _peopled(Wish(members=(Person("ada"),)), "ada").members
    assert (Person("bob", "admin"),) == _peopled(Wish(members=(Person("bob", "admin"),)), "ada").members


NAMES = st.sampled_from(["ada", "bob", "eve"])
SHIPPED = ("marketing", "customer-relations")
WISHES = st.builds(
    Wish,
    st.none() | st.lists(st.sampled_from([*SHIPPED, "finance"]), unique=True).map(tuple),
    st.lists(st.builds(Person, NAMES, st.sampled_from(["admin", "member"]), st.sampled_from([(), ("marketing",)])), unique_by=lambda one: one.name).map(tuple),
    st.sampled_from(["", *beginning.LEVELS]),
    st.dictionaries(st.sampled_from([*SHIPPED, "finance"]), st.sampled_from(beginning.LEVELS)),
)  # fmt: skip
LINES = st.sampled_from(["# mine", "", "  # indented", "# [members.bob]"])
FILES = st.sampled_from(
    ["eventctl.toml", "personal/bob/member.toml", "helpdesk/README.md", "company/domains/marketing/domain.toml"]
)


class Hands(RuleBasedStateMachine):
    """Init with any flags, and people who edit, remove and add between: what they wrote stays, byte for byte and line for line."""

    root: Path

    @initialize(wish=WISHES)
    def begin(self, wish):
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.edited: dict[str, str] = {}
        self.removed: set[str] = set()
        starter.make(self.root, name="x", member="ada", wish=wish)

    @rule(wish=WISHES)
    def again(self, wish):
        before = (self.root / "eventctl.toml").read_text()
        starter.make(self.root, name="x", member="ada", wish=wish)
        after = (self.root / "eventctl.toml").read_text()
        assert keeps(before, after)
        assert wish != Wish() or before == after

    @rule(file=FILES, line=LINES, at=st.integers(0, 40))
    def edit(self, file, line, at):
        target = self.root / file
        if not target.exists():
            return
        lines = target.read_text().split("\n")
        lines.insert(min(at, len(lines)), line)
        target.write_text("\n".join(lines))
        if file != "eventctl.toml":
            self.edited[file] = target.read_text()

    @rule(value=st.sampled_from(['default = "L2"', 'default = "L1"']))
    def change_a_value(self, value):
        target = self.root / "eventctl.toml"
        lines = [value if line.startswith("default = ") else line for line in target.read_text().split("\n")]
        target.write_text("\n".join(lines))

    @precondition(lambda self: (self.root / "cartridges/format.py").exists())
    @rule()
    def remove(self):
        (self.root / "cartridges/format.py").unlink()
        self.removed.add("cartridges/format.py")

    @invariant()
    def what_people_wrote_is_there(self):
        for file, text in getattr(self, "edited", {}).items():
            assert text == (self.root / file).read_text()
        for file in getattr(self, "removed", ()):
            assert not (self.root / file).exists()

    @invariant()
    def the_settings_can_be_read(self):
        if hasattr(self, "root"):
            assert [] == [str(one) for one in reading.load(self.root / "eventctl.toml")[1] if not one.warning]

    def teardown(self):
        if hasattr(self, "folder"):
            self.folder.cleanup()


Hands.TestCase.settings = settings(
    max_examples=40, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck)
)
TestHands = Hands.TestCase
