"""The rules that matched an event, from what the store says: every effect has its sentence, and nothing that only looks like one."""

from __future__ import annotations

from pathlib import Path

from eventctl import whyspoke
from eventctl.breadcrumb import NoCrumb
from eventctl.house import House
from eventctl.times import iso
from eventctl.whyspoke import Rules, Spoke
from eventctl.workspace import Paths
from tests.rulekit import put
from tests.test_rule_kinds import SOLD, SPEAKS, TROUBLE, Day, about_trouble, day, window
from tests.test_why_rule import at


def rules_of(here: Day, root: Path) -> Rules:
    house = House(Paths(root.resolve()), {}, NoCrumb(), no_plugins=True)
    return Rules(here.ws.store.units, lambda: house.catalog()[0])


def matched(here: Day, root: Path, seq: int) -> list[Spoke]:
    trace = here.ws.views.trace(seq)
    assert trace is not None
    return whyspoke.of_record(trace, rules_of(here, root), iso, here.ws.views.decisions_about(seq))


def raised(here: Day, root: Path, title: str) -> tuple[list[str], str]:
    """What is said about the rule behind the notification with this title."""
    views = here.ws.views
    (row,) = (item.notification for item in here.ws.inbox.list().items if item.notification.title == title)
    opened = next(each for each in views.life(row.id) if each.seq == row.opened_seq)
    return whyspoke.of_notification(row, opened, views, rules_of(here, root), iso)


def test_every_effect_has_its_sentence(tmp_path: Path) -> None:
    speaks = '[annotate]\nslot = "seen"\n[propose]\naction = "restart"\nsummary = "Restart"\nemits = "domain.ops.restart"\n'
    with day(tmp_path, both="when = \"payload.step == 'a'\"\n" + speaks, many=window("threshold", count="2")) as here:
        first, second = here.says({"step": "a"}), here.says({"step": "b"})
        (made, wrote), (many,) = matched(here, tmp_path, first), matched(here, tmp_path, second)
    assert "The rule domain:ops/both matched: [propose] asked for d1: Restart." == made.sentence
    assert "The rule both matched: [annotate] wrote seen." == wrote.sentence
    assert "  `when`: `payload.step == 'a'` is true (payload.step is \"a\")." == made.lines[1] == wrote.lines[1]
    assert many.sentence.startswith(f"The rule domain:ops/many matched, having counted 2 since {at(1)}: [emit] made e")


def test_a_member_in_the_shadow_is_named_with_the_rule(tmp_path: Path) -> None:
    text = f'id = "mine"\nsummary = "A rule."\nconsumes = ["{SOLD}"]\nmode = "shadow"\n[notify]\ntitle = "x"\n'
    with day(tmp_path, many=window("threshold", count="9")) as here:
        put(tmp_path, "mine", text, folder="personal/ada")
    with day(tmp_path) as here:
        (spoke,) = matched(here, tmp_path, here.says({}))
    assert "The rule ada/mine is in shadow mode; it would have done [notify]." == spoke.sentence
    assert spoke.facts["shadow"]


def test_shaping_rules_are_among_them_and_silences_of_people_are_not(tmp_path: Path) -> None:
    quiet = about_trouble("quiet") + 'when = "payload.host == \'a\'"\n[silence]\nfor = "1h"\nreason = "calm"\n'
    level = about_trouble("level") + '[set]\nlevel = "workflow"\n'
    with day(tmp_path, quiet=quiet, level=level) as here:
        said = {spoke.rule: spoke.sentence for spoke in matched(here, tmp_path, here.troubled("a", up=True))}
    assert "The rule level set its level to workflow; it was business." == said["level"]
    assert said["quiet"].startswith("The rule quiet keeps it quiet, from everybody, until")


def test_a_sender_cannot_pretend_to_be_a_rule(tmp_path: Path) -> None:
    with day(tmp_path, big=SPEAKS) as here:
        seq = here.says({"host": "a", "up": True, "rule": "big", "window": {"count": 9}}, event=TROUBLE)
        assert ([], "") == raised(here, tmp_path, "a is in trouble")
        assert [] == matched(here, tmp_path, seq)
        forged = here.ws.emit(TROUBLE, "domain:ops/big", {"host": "b", "up": True, "rule": "big"}).seq
        here.ws.run_until_idle()
        trace = here.ws.views.trace(forged)
        assert trace is not None
        for row in trace.notifications:
            assert ([], "") == whyspoke.of_notification(row, trace.record, here.ws.views, rules_of(here, tmp_path), iso)
        assert trace.notifications


def test_a_notification_that_a_rule_raised_names_it_and_its_reason(tmp_path: Path) -> None:
    big = 'when = "payload.step == \'a\'"\n[notify]\ntitle = "big"\n'
    late = '[notify]\ntitle = "late"\n[window]\nkind = "absence"\nwithin = "10m"\nexpect = "payload.step == \'a\'"\n'
    with day(tmp_path, big=big, late=late) as here:
        seq = here.says({"step": "a"})
        here.passes(60)
        lines, name = raised(here, tmp_path, "big")
        silent, _ = raised(here, tmp_path, "late")
    assert "domain:ops/big" == name
    assert [
        f"The rule domain:ops/big raised it, because of e{seq} {SOLD}.",
        "  `when`: `payload.step == 'a'` is true (payload.step is \"a\").",
    ] == lines
    assert [f"The rule domain:ops/late raised it when its time was over, having counted 1 since {at(1)}."] == silent


def test_a_group_and_what_flaps_name_their_rules(tmp_path: Path) -> None:
    gather = about_trouble("gather") + '[group]\nby = ["payload.rack"]\ntitle = "rack {payload.rack}"\n'
    flaps = (
        about_trouble("flaps")
        + '[window]\nkind = "flap"\nwithin = "10m"\nvalue = "payload.up"\ncount = 2\nper = ["payload.host"]\n'
    )
    with day(tmp_path, gather=gather, flaps=flaps) as here:
        first = here.says({"host": "a", "up": True, "rack": "r1"}, event=TROUBLE)
        for up in (False, True):
            here.troubled("b", up=not up)
            here.troubled("b", up=up)
        titles = [item.notification.title for item in here.ws.inbox.list().items]
        lines, name = raised(here, tmp_path, next(title for title in titles if "rack r1" in title))
        flap, _ = raised(here, tmp_path, next(title for title in titles if "flaps" in title))
    assert ("gather", [f"The rule gather gathers others in it, beginning with e{first} {TROUBLE}."]) == (name, lines)
    assert ["The rule flaps says so: b changed 2 times."] == flap
