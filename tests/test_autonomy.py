"""The matrix: whose word about acting holds, and which key said it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventctl.autonomy import Autonomy, Own, of_member
from eventctl.patterns import matches

EVERYTHING = Autonomy(
    default="L3",
    types={"deploy.failed": "L1", "deploy.*": "L2", "**": "L3"},
    cartridges={"ops/rollback": "L2", "rollback": "L1", "elsewhere": "L1"},
    domains={"ops": "L2"},
    own={"ops": Own("L1", {"rollback": "L3", "restart": "L3"}), "sales": Own("L1", {"mail": "L2"})},
)


@pytest.mark.parametrize(
    ("type_", "cartridge", "domain", "level", "why"),
    [
        ("deploy.failed", "rollback", "ops", "L1", 'eventctl.toml: autonomy.types."deploy.failed"'),
        ("deploy.done", "rollback", "ops", "L2", 'eventctl.toml: autonomy.types."deploy.*"'),
        ("git.commit", "rollback", "ops", "L3", 'eventctl.toml: autonomy.types."**"'),
    ],
)
def test_a_type_goes_first_and_the_exact_one_before_the_longest_pattern(
    type_: str, cartridge: str, domain: str, level: str, why: str
) -> None:
    assert (level, why) == EVERYTHING.level(type_, cartridge, domain)


@pytest.mark.parametrize(
    ("cartridge", "domain", "level", "why"),
    [
        ("rollback", "ops", "L2", 'eventctl.toml: autonomy.cartridges."ops/rollback"'),
        ("rollback", "sales", "L1", 'eventctl.toml: autonomy.cartridges."rollback"'),
        ("rollback", "", "L1", 'eventctl.toml: autonomy.cartridges."rollback"'),
        ("restart", "ops", "L3", 'company/domains/ops/domain.toml: autonomy.cartridges."restart"'),
        ("other", "ops", "L2", "eventctl.toml: autonomy.domains.ops"),
        ("mail", "sales", "L2", 'company/domains/sales/domain.toml: autonomy.cartridges."mail"'),
        ("other", "sales", "L1", "company/domains/sales/domain.toml: autonomy.default"),
        ("other", "", "L3", "eventctl.toml: autonomy.default"),
        ("mail", "", "L3", "eventctl.toml: autonomy.default"),
    ],
)
def test_then_the_cartridge_then_the_domain_and_the_workspace_before_the_domains_own_file(
    cartridge: str, domain: str, level: str, why: str
) -> None:
    matrix = Autonomy(EVERYTHING.default, {}, EVERYTHING.cartridges, EVERYTHING.domains, EVERYTHING.own)
    assert (level, why) == matrix.level("deploy.failed", cartridge, domain)


def test_nothing_written_means_that_everything_acts() -> None:
    assert ("L3", "eventctl.toml: autonomy.default") == Autonomy().level("any.type", "any", "any")


def test_a_members_own_cartridge_is_held_for_its_member() -> None:
    assert "L1" == of_member("ada").level
    assert "ada" in of_member("ada").why


LEVELS = st.sampled_from(["L1", "L2", "L3"])
TYPES = st.sampled_from(["a.b", "a.c", "b.b", "a.b.c"])
PATTERNS = st.sampled_from(["a.b", "a.*", "*.b", "**", "a.**", "a.b.*"])


@given(st.dictionaries(PATTERNS, LEVELS), st.dictionaries(st.sampled_from(["x", "d/x", "y"]), LEVELS), LEVELS, TYPES)
def test_some_key_always_says_the_level_and_a_type_that_fits_is_never_passed_over(
    types: dict[str, str], cartridges: dict[str, str], default: str, type_: str
) -> None:
    ruling = Autonomy(default, types, cartridges).level(type_, "x", "d")  # type: ignore[arg-type]
    fitting = {pattern: level for pattern, level in types.items() if matches(pattern, type_)}
    if fitting:
        assert ruling.level in fitting.values()
        assert "autonomy.types" in ruling.why
    elif cartridges.keys() & {"x", "d/x"}:
        assert cartridges.get("d/x", cartridges.get("x")) == ruling.level
    else:
        assert default == ruling.level
