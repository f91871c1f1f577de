"""`inbox`: what is listed, what a screen says, and who may do what."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventctl import settings as configured
from eventctl.inboxquery import page, query
from eventctl.sqlite_store import SqliteStore
from eventctl.times import DAY, HOUR, MINUTE, iso


@pytest.fixture
def busy(face):
    """Two failed jobs an hour apart, a rollout, and something for ada alone."""
    face("emit", "job.failed", "--source", "cron", "--id", "1", "--payload", '{"job": "backup", "exit_code": 3}')
    face.later(HOUR)
    face("emit", "deployment.failed", "--source", "ci", "--id", "2", "--entity", "eventctl://service/api",
         "--payload", '{"slug": "api", "sha": "a1", "reason": "timeout"}')  # fmt: skip
    face("emit", "job.failed", "--source", "cron", "--id", "3", "--payload", '{"job": "sweep", "exit_code": 1}')
    face("run", "--until-idle")
    face.later(MINUTE)
    return face


def listed(face, *words):
    return [item["title"] for item in json.loads(face("inbox", "list", "--json", *words).stdout)["items"]]


def item(face, short):
    return json.loads(face("inbox", "show", short, "--json").stdout)


def number_of(face, title):
    items = json.loads(face("inbox", "list", "--json").stdout)["items"]
    return next(each["short"] for each in items if title in each["title"])


def test_an_empty_inbox_says_what_to_do_next(face, snapshot):
    snapshot(face("inbox").stderr)


def test_an_inbox_that_is_empty_because_nobody_works_says_so(face):
    face("emit", "job.failed", "--source", "cron", "--payload", '{"job": "backup"}')
    assert "1 event not worked on yet: `eventctl run --until-idle`" in face("inbox").stderr


def test_the_list_is_for_people(busy, snapshot):
    result = busy("inbox")
    snapshot(result.stdout + result.stderr)


def test_the_list_as_json_has_every_field(busy, snapshot):
    snapshot(busy("inbox", "--json", "-n", "1").stdout)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"api", "backup", "sweep"}),
        (["--type", "deployment.*"], {"api"}),
        (["--type", "deployment.*", "--type", "job.**"], {"api", "backup", "sweep"}),
        (["--level", "business"], {"api"}),
        (["--level", "0"], {"api", "backup", "sweep"}),
        (["--since", "30m"], {"api", "sweep"}),
        (["--until", "30m"], {"backup"}),
        (["--since", "2026-11-20T12:30:00Z"], {"api", "sweep"}),
        (["--text", "BACKUP"], {"backup"}),
        (["--text", "timeout"], {"api"}),
        (["--text", "backup", "--text", "cron 3"], {"backup"}),
        (["--where", "payload.exit_code > 1"], {"backup"}),
        (["--where", 'payload.slug == "api" || source == "cron"', "--level", "business"], {"api"}),
        (["--entity", "eventctl://service/api"], {"api"}),
        (["--state", "claimed"], set()),
        (["--state", "none", "--state", "claimed"], {"api", "backup", "sweep"}),
        (["--domain", "marketing"], set()),
        (["--audience", "member:bob"], set()),
        (["--unseen"], {"api", "backup", "sweep"}),
        (["--resolved"], {"api", "backup", "sweep"}),
    ],
    ids=lambda words: " ".join(sorted(words) if isinstance(words, set) else words) or "all",  # a set has no order of its own
)
def test_a_filter_leaves_what_fits(busy, words, expected):
    titles = " ".join(listed(busy, *words))
    assert expected == {name for name in ("api", "backup", "sweep") if name in titles}


def test_what_comes_first_can_be_said(busy):
    orders = {
        "level": "api sweep backup",
        "age": "sweep api backup",
        "oldest": "backup api sweep",
        "entity": "api sweep backup",
    }
    names = {
        order: [next(name for name in names.split() if name in title) for title in listed(busy, "--order", order)]
        for order, names in orders.items()
    }
    assert orders == {order: " ".join(found) for order, found in names.items()}


def test_a_condition_is_looked_for_until_the_page_is_full(busy):
    busy("emit", "--ndjson", "-", given="\n".join(
        json.dumps({"event": "job.failed", "source": "cron", "payload": {"job": f"j{n}", "exit_code": n % 50}}) for n in range(700)
    ))  # fmt: skip
    busy("run", "--until-idle")
    first = json.loads(busy("inbox", "list", "--where", "payload.exit_code == 7", "-n", "9", "--json").stdout)
    rest = json.loads(busy("inbox", "list", "--where", "payload.exit_code == 7", "--after", first["next"], "--json").stdout)
    assert (9, 5, None) == (len(first["items"]), len(rest["items"]), rest["next"])
    assert (
        "2 notifications, 2 unseen\n"
        == busy("inbox", "list", "--where", "payload.exit_code in [1, 3] && payload.job < 'j100'").stderr
    )


def test_a_wrong_condition_shows_its_place(busy, snapshot):
    snapshot(busy("inbox", "list", "--where", "payload.slug = 1", code=78).stderr)


def test_a_condition_that_nothing_fulfils_says_so(busy):
    assert "Nothing here fits." == busy("inbox", "list", "--where", "level > 3").stderr.strip()


WORDS = st.lists(
    st.one_of(
        st.tuples(st.just("level"), st.sampled_from(["workflow", "business", "0"])),
        st.tuples(st.just("type"), st.sampled_from(["deployment.*", "job.**", "*.failed"])),
        st.tuples(st.just("domain"), st.sampled_from(["**", "ops"])),
        st.tuples(st.just("state"), st.sampled_from(["none", "claimed", "resolved"])),
        st.tuples(st.just("audience"), st.sampled_from(["workspace", "member:ada"])),
        st.tuples(st.just("entity"), st.just("eventctl://service/api")),
        st.tuples(st.sampled_from(["since", "until"]), st.sampled_from(["30m", "2h", "2026-11-20T12:30:00Z"])),
        st.tuples(st.just("text"), st.sampled_from(["backup", "timeout api", "FAILED", "unseen"])),
        st.tuples(st.just("order"), st.sampled_from(["age", "oldest", "entity", "domain"])),
        st.tuples(st.sampled_from(["unseen", "resolved", "archived", "snoozed", "silenced", "others"]), st.just("")),
    ),
    max_size=4,
)
CONDITIONS = st.sampled_from(["", "", "payload.exit_code >= 1", 'payload.slug == "api" || level < 2'])
FORMS = st.sampled_from(["{0}:{1}", "--{0} {1}", "--{0}={1}"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=WORDS, where=CONDITIONS, form=FORMS)
def test_a_line_of_words_asks_for_what_the_same_flags_ask_for(busy, said, where, form):
    options = [word for name, value in said for word in ([f"--{name}", value] if value else [f"--{name}"])]
    shown = json.loads(busy("inbox", "list", "--json", *options, *(["--where", where] if where else [])).stdout)["items"]
    line = " ".join(form.format(name, f"'{value}'") if value else form.partition("{")[0] + name for name, value in said)
    with closing(SqliteStore.open(busy.root / ".eventctl/state.db", role="reader")) as store:
        asked = query(f"{line} where {where}" if where else line, member="ada", audience=(), now=busy.now)
        assert [each["number"] for each in shown] == [item.notification.id for item in page(store, asked, limit=50).items]


def test_what_is_resolved_is_counted_and_shown_when_it_is_asked_for(busy):
    short = number_of(busy, "backup")
    busy("inbox", "resolve", short)
    assert "2 notifications, 2 unseen; 1 resolved not shown (--resolved)\n" == busy("inbox").stderr
    assert "Nothing here fits. 1 resolved not shown (--resolved)\n" == busy("inbox", "--text", "backup").stderr
    for words in (["--resolved"], ["--state", "resolved"], ["--archived"]):
        result = busy("inbox", *words)
        assert "backup" in result.stdout
        assert "not shown" not in result.stderr
    assert "not shown" not in busy("inbox", "--state", "none").stderr


def test_a_page_ends_with_the_token_of_the_next(busy):
    first = json.loads(busy("inbox", "list", "-n", "2", "--json").stdout)
    second = json.loads(busy("inbox", "list", "-n", "2", "--after", first["next"], "--json").stdout)
    assert 3 == len({each["number"] for each in first["items"] + second["items"]})
    assert None is second["next"]


def test_a_token_that_is_none_is_wrong_usage(busy):
    assert "no page token" in busy("inbox", "list", "--after", "x", code=2).stderr


def test_seen_is_each_members_own(busy):
    (busy.root / "eventctl.toml").write_text((busy.root / "eventctl.toml").read_text() + '\n[members.bob]\nrole = "member"\n')
    short = number_of(busy, "backup")
    busy("inbox", "seen", short)
    assert 2 == len(listed(busy, "--unseen"))
    assert 3 == len(listed(busy, "--unseen", "--as", "bob"))
    busy("inbox", "unseen", short)
    assert 3 == len(listed(busy, "--unseen"))


def for_whom(face, *domains):
    """A workspace whose member bob has these domains, with a notification for each of the domains shop and ops, and for the workspace."""
    for name in ("shop", "ops"):
        folder = face.root / "company/domains" / name
        folder.mkdir(parents=True)
        (folder / "event_types.toml").write_text(
            f'namespace = "domain.{name}"\n[types.broken]\nsummary = "It broke."\nlevel = "workflow"\naudience = "domain:{name}"\n'
            'lives = { it = "opens" }\n[lives.it]\nkey = ["what"]\ntitle = "{what} of ' + name + '"\n'
        )
        face("emit", f"domain.{name}.broken", "--source", name, "--payload", '{"what": "door"}')
    written = face.root / "eventctl.toml"
    written.write_text(f"{written.read_text()}\n[members.bob]\ndomains = {json.dumps(domains)}\n")
    face("emit", "job.failed", "--source", "cron", "--payload", '{"job": "backup"}')
    face("run", "--until-idle")
    return face


def titles(face, *words):
    return {title.rpartition(" ")[2] for title in listed(face, *words)}


def test_who_has_domains_sees_those_first_and_an_admin_all(face):
    for_whom(face, "shop")
    assert {"shop", "backup"} == titles(face, "--as", "bob")
    assert {"shop", "ops", "backup"} == titles(face, "--as", "bob", "--others")
    assert {"ops"} == titles(face, "--as", "bob", "--audience", "domain:ops")
    assert {"shop", "ops", "backup"} == titles(face, "--as", "ada") == titles(face, "--agent", "claude")
    assert "1 for others not shown (--others)" in face("inbox", "--as", "bob").stderr
    assert "for others" not in face("inbox", "--as", "bob", "--others").stderr + face("inbox").stderr


def test_who_has_no_domains_sees_all(face):
    for_whom(face)
    assert {"shop", "ops", "backup"} == titles(face, "--as", "bob")


def test_the_way_of_a_notification_through_work(busy, snapshot):
    short = number_of(busy, "backup")
    screens = [
        busy("inbox", "claim", short, "--agent", "builder", "--lease", "20m").stdout,
        busy("inbox", "claim", short, "--agent", "other", code=4).stderr,
        busy("inbox", "start", short, "--agent", "builder").stdout,
        busy("inbox", "resolve", short, "--agent", "builder", "-m", "freed the disk", "--link", "https://x/1").stdout,
        busy("inbox", "show", short).stdout,
        busy("inbox", "archive", short).stdout,
        busy("inbox", "archive", short, code=4).stderr,
        busy("inbox", "unarchive", short).stdout,
    ]
    snapshot("---\n".join(screens))
    assert {"summary": "freed the disk", "link": "https://x/1"} == item(busy, short)["resolution"]


def test_a_wrong_resolution_is_taken_back(busy):
    short = number_of(busy, "backup")
    busy("inbox", "resolve", short, "-m", "freed the disk")
    assert f"eventctl inbox reopen {short}" in busy("inbox", "claim", short, code=4).stderr
    assert f"{short}  open again" in busy("inbox", "reopen", short, "--agent", "builder").stdout
    assert ("none", None) == (item(busy, short)["state"], item(busy, short)["resolution"])
    assert f"builder reopened {short}" in busy("inbox", "show", short).stdout
    busy("inbox", "reopen", short, code=4)


@pytest.mark.parametrize(
    ("written", "variable", "minutes"),
    [("", "", 30), ("45m", "", 45), ("45m", "1h", 60), ("soon", "", 30), ("45m", "soon", 45), ("1h 30m", "", 90)],
)
def test_a_claim_holds_for_as_long_as_the_settings_say(busy, written, variable, minutes):
    config = busy.root / "eventctl.toml"
    config.write_text(config.read_text() + (f'\n[inbox]\nlease = "{written}"\n' if written else ""))
    env = {"EVENTCTL_INBOX__LEASE": variable} if variable else {}
    busy("inbox", "claim", "n1", **env)
    assert iso(busy.now + minutes * MINUTE) == item(busy, "n1")["lease_until"]
    assert minutes * MINUTE == configured.load(config, env)[0].inbox.lease


def test_a_claim_that_is_over_cannot_speak(busy):
    short = number_of(busy, "backup")
    token = json.loads(busy("inbox", "claim", short, "--agent", "a", "--json").stdout)["items"][0]["token"]
    busy.later(HOUR)
    busy("inbox", "claim", short, "--agent", "b")
    busy("inbox", "resolve", short, "--agent", "a", "--token", str(token), code=4)


def test_what_is_snoozed_is_out_of_the_list_until_then(busy):
    short = number_of(busy, "backup")
    busy("inbox", "snooze", short, "--for", "2d")
    assert [] == listed(busy, "--text", "backup")
    assert listed(busy, "--text", "backup", "--snoozed")
    assert "1 snoozed not shown (--snoozed)" in busy("inbox").stderr
    busy.later(3 * DAY)
    assert listed(busy, "--text", "backup")
    busy("inbox", "snooze", short)
    busy("inbox", "unsnooze", short)
    assert listed(busy, "--text", "backup")


def test_several_are_moved_in_one_go_and_the_first_that_may_not_be_stops_it(busy):
    busy("inbox", "resolve", "n2")
    result = busy.ask("inbox", "claim", "n1", "n2")
    assert 4 == result.exit_code
    assert result.stdout.startswith("n1  yours")
    assert "n2 is resolved" in result.stderr


@pytest.mark.parametrize(
    ("words", "code"), [(["show", "n99"], 3), (["show", "e1"], 2), (["claim", "x"], 2), (["seen"], 2)], ids=str
)
def test_what_is_not_there_is_said(busy, words, code):
    busy("inbox", *words, code=code)


def test_an_agent_has_no_eyes_and_puts_nothing_away(busy):
    busy("inbox", "seen", "n1", "--agent", "builder", code=5)
    busy("inbox", "archive", "n1", "--agent", "builder", code=5)


def test_a_stranger_is_asked_who_they_are(busy, snapshot):
    snapshot(busy("inbox", "--as", "adda", code=2).stderr)


def test_nobody_in_particular_is_the_only_member(busy):
    busy("inbox", EVENTCTL_MEMBER="")


def test_with_several_members_and_no_name_the_only_admin_looks(busy):
    (busy.root / "eventctl.toml").write_text((busy.root / "eventctl.toml").read_text() + "\n[members.bob]\n[members.cy]\n")
    busy("inbox", "seen", "n1", EVENTCTL_MEMBER="")
    assert "seen by  ada" in busy("inbox", "show", "n1").stdout


def test_what_cannot_be_read_as_settings_names_the_file(busy):
    (busy.root / "eventctl.toml").write_text("[members\n")
    assert "eventctl.toml" in busy("inbox", code=78).stderr


def test_one_that_is_not_there_keeps_all_of_them_from_being_moved(busy):
    assert "n999" in busy("inbox", "claim", "n1", "n999", code=3).stderr
    assert "open" in busy("inbox", "show", "n1").stdout.split("state", 1)[1].split("\n")[0]


@pytest.mark.parametrize(
    "words",
    [
        ["inbox", "list", "--type", "a b"],
        ["inbox", "list", "--domain", "a..b"],
        ["log", "show", "--type", "A"],
        ["events", "list", "--type", "**.a"],
    ],
    ids=" ".join,
)
def test_what_is_no_pattern_is_wrong_usage(busy, words):
    assert "a pattern is" in busy(*words, code=2).stderr


@pytest.mark.parametrize("option", ["--as", "--agent"])
def test_nobody_by_an_empty_name_asks(busy, option):
    assert "a name is not empty" in busy("inbox", "list", option, "", code=2).stderr
