"""One table says who may do what."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventctl.patterns import check
from eventctl.principal import AT_THE_DESK, CHANNELS, ROLES, SUBJECT_MAX, VERBS, Principal, allowed, granted

PRINTABLE = st.text(min_size=1, max_size=SUBJECT_MAX).filter(str.isprintable)


@given(st.sampled_from(sorted(CHANNELS)), PRINTABLE)
def test_a_principal_survives_its_text(channel: str, subject: str) -> None:
    assert (
        Principal(channel, subject)
        == Principal.parse(f"{channel}:{subject}")
        == Principal.parse(str(Principal(channel, subject)))
    )


@pytest.mark.parametrize(
    "text", ["", "ada", "cli", "cli:", "phone:ada", "CLI:ada", "cli:a\nb", "cli:\x1b[31m", "cli:" + "a" * 201]
)
def test_what_names_nobody_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Principal.parse(text)


def test_an_unknown_role_and_an_unknown_verb_are_mistakes_of_the_program() -> None:
    with pytest.raises(ValueError, match="admin, member, agent"):
        Principal.parse("cli:ada", "owner")
    with pytest.raises(ValueError, match="no verb"):
        allowed(Principal.parse("cli:ada", "admin"), "fly")


def test_every_grant_of_a_role_names_a_verb_that_there_is() -> None:
    for grant in set().union(*ROLES.values()):
        verbs, _, objects = grant.partition(":")
        check(verbs)
        assert "@self" == objects or not objects or check(objects) is None
        assert any(allowed(Principal("cli", "ada", frozenset({verbs})), verb) for verb in VERBS)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_nobody_may_do_anything_without_a_grant_and_an_admin_at_the_desk_everything(verb: str) -> None:
    assert not allowed(Principal.parse("cli:ada"), verb, "ada")
    assert allowed(Principal.parse("cli:ada", "admin"), verb, "ada")


@pytest.mark.parametrize("channel", sorted(CHANNELS - {"cli"}))
def test_what_is_done_at_the_desk_is_heard_nowhere_else(channel: str) -> None:
    admin = Principal.parse(f"{channel}:ada", "admin")
    assert AT_THE_DESK == {verb for verb in VERBS if not allowed(admin, verb)}


def test_a_member_marks_as_seen_for_nobody_else() -> None:
    bob = Principal.parse("cli:bob", "member")
    assert allowed(bob, "inbox.seen", "bob")
    assert not allowed(bob, "inbox.seen", "ada")
    assert not allowed(bob, "inbox.seen")
    assert allowed(bob, "inbox.claim", "n12")
    assert not allowed(bob, "restore")


def test_an_agent_works_from_the_inbox_and_speaks_in_its_own_family() -> None:
    agent = Principal.parse("socket:claude", "agent")
    assert {"inbox.act", "inbox.claim", "inbox.start", "inbox.release", "inbox.resolve", "inbox.reopen"} == {
        verb for verb in VERBS if allowed(agent, verb)
    }
    assert allowed(agent, "emit", "agent.turn.completed")
    assert not allowed(agent, "emit", "system.backup.completed")
    assert not allowed(agent, "inbox.seen", "claude")


def may(principal: Principal, verb: str, *targets: str) -> list[str]:
    return [target for target in targets if allowed(principal, verb, target)]


EVERYBODYS = ("workspace", "domain:shop", "domain:ops", "member:bob", "member:ada", "domain:bob", "library", "")


@pytest.mark.parametrize("verb", ["decisions.approve", "decisions.deny", "decisions.undo"])
def test_a_member_decides_for_their_domains_and_for_themselves(verb: str) -> None:
    assert ["domain:shop", "member:bob"] == may(Principal("cli", "bob", granted("member", ["shop"])), verb, *EVERYBODYS)
    assert ["member:bob"] == may(Principal("cli", "bob", granted("member")), verb, *EVERYBODYS)
    assert list(EVERYBODYS) == may(Principal("cli", "ada", granted("admin")), verb, *EVERYBODYS)
    for role in ("agent", "producer"):
        assert [] == may(Principal("cli", "bob", granted(role, ["shop"])), verb, *EVERYBODYS)


def test_a_domain_that_is_written_as_a_pattern_grants_no_other() -> None:
    odd = Principal("cli", "bob", granted("member", ["*", "**", "@self", "s*"]))
    assert ["member:bob"] == may(odd, "decisions.approve", *EVERYBODYS)


def test_a_member_brings_cartridges_in_for_themselves_alone_and_trusts_none() -> None:
    bob = Principal("cli", "bob", granted("member", ["shop"]))
    assert ["member:bob"] == may(bob, "cartridge.install", *EVERYBODYS)
    assert ["member:bob"] == may(bob, "cartridge.remove", *EVERYBODYS)
    for verb in ("cartridge.promote", "cartridge.trust", "autonomy.set", "workspace.change"):
        assert [] == may(bob, verb, *EVERYBODYS)
    assert [] == may(Principal("http", "bob", granted("member")), "cartridge.install", *EVERYBODYS)


def test_a_token_has_the_grants_it_was_given() -> None:
    token = Principal("http", "ci", frozenset({"emit:build.**"}))
    assert allowed(token, "emit", "build.finished")
    assert not allowed(token, "emit", "deploy.finished")
    assert not allowed(token, "emit")
    assert not allowed(token, "operate")


# --- the page that people read ----------------------------------------------------------------------------------------------------

PAGE = Path(__file__).resolve().parents[1] / "docs/members.md"
WORDS = {
    "yes": EVERYBODYS,
    "their domains', their own": ("domain:shop", "member:bob"),
    "their own": ("member:bob",),
    "no": (),
}


def rows() -> list[tuple[list[str], list[str]]]:
    """The table of roles: the verbs of each row, and what it says of admin, member and agent."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [(re.findall(r"`([^`]+)`", first), rest) for first, _, *rest in cells]


def test_the_page_about_members_names_every_verb_once() -> None:
    assert sorted(VERBS) == sorted(verb for verbs, _ in rows() for verb in verbs)


@pytest.mark.parametrize(("number", "role"), list(enumerate(("admin", "member", "agent"))))
def test_the_page_about_members_says_what_each_role_may(number: int, role: str) -> None:
    who = Principal("cli", "bob", granted(role, ["shop"]))
    wrong = [
        verb
        for verbs, said in rows()
        for verb in verbs
        if (said[number] == "`agent.**`" and not (allowed(who, verb, "agent.turn") and not allowed(who, verb, "job.failed")))
        or (said[number] != "`agent.**`" and may(who, verb, *EVERYBODYS) != list(WORDS[said[number]]))
    ]
    assert [] == wrong
