"""The words of the filter bar: what they ask for, and the page that a condition chooses."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from eventctl.errors import Misconfigured, UsageError
from eventctl.inboxquery import ORDERS, WORDS, Page, Query, narrowed, page, query, usual
from eventctl.memory_store import MemoryStore
from eventctl.store import Operations
from eventctl.suites.rows import NOON_US, notification, record
from eventctl.times import HOUR, MINUTE
from eventctl.views import InboxFilter

NOW = NOON_US + HOUR
USUAL = usual("ada", ("workspace",), NOW)


def asked(words: str) -> Query:
    return query(words, member="ada", audience=("workspace",), now=NOW)


def want(**said: Any) -> InboxFilter:
    return narrowed(USUAL, **said)


def test_the_usual_view_is_what_is_open_and_neither_silenced_nor_snoozed():
    assert USUAL == InboxFilter(
        member="ada", hide_snoozed_at=NOW, hide_silenced_at=NOW, resolved=False, audience=("workspace",)
    )
    assert None is usual("", (), NOW).hide_snoozed_at
    assert Query(USUAL) == asked("") == asked("  ")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("level:workflow", {"level_min": 2}),
        ("--level workflow", {"level_min": 2}),
        ("--level=workflow", {"level_min": 2}),
        ("Level:3", {"level_min": 3}),
        ("level:workflow level:business", {"level_min": 3}),
        ("type:deployment.* type:job.**", {"types": ["deployment.*", "job.**"]}),
        ("--type 'deployment.*' --type='job.**'", {"types": ["deployment.*", "job.**"]}),
        ("domain:marketing", {"domains": ["marketing"]}),
        ('entity:"a b"', {"entity": "a b"}),
        ("entity:eventctl://service/api", {"entity": "eventctl://service/api"}),
        ("state:claimed state:none", {"states": ["claimed", "none"]}),
        ("state:resolved", {"states": ["resolved"], "resolved": True}),
        ("audience:member:ada", {"audience": ["member:ada"]}),
        ("since:2h", {"since": NOW - 2 * HOUR}),
        ("until:2026-11-20T12:30:00Z", {"until": NOON_US + 30 * MINUTE}),
        ("--since '2h 30m'", {"since": NOW - 150 * MINUTE}),
        ("unseen", {"unseen": True}),
        ("--unseen --resolved", {"unseen": True, "resolved": True}),
        ("archived snoozed", {"archived": True, "snoozed": True}),
        ("silenced others", {"silenced": True, "others": True}),
        ("order:age", {"order": "age"}),
        ("lock timeout", {"text": ["lock", "timeout"]}),
        ("text:lock --text 'time out' unseen x", {"text": ["lock", "time out", "x"], "unseen": True}),
        ("'unseen' \"level:2\"", {"text": ["unseen", "level:2"]}),
        ("'two words", {"text": ["two words"]}),
        ('"a \\"b"', {"text": ['a "b']}),
        ("don't", {"text": ["don't"]}),
        ("https://example.org/a?b=1", {"text": ["https://example.org/a?b=1"]}),
        ("service:api http:500 10:30 a=b -x --", {"text": ["service:api", "http:500", "10:30", "a=b", "-x", "--"]}),
        ("level", {"text": ["level"]}),
        ("unseenly wherever", {"text": ["unseenly", "wherever"]}),
    ],
)
def test_words_ask_for_what_the_flags_of_the_command_line_ask_for(words, expected):
    assert Query(want(**expected)) == asked(words)


@pytest.mark.parametrize(
    ("words", "where"),
    [
        ('where payload.slug == "api" && level > 1', 'payload.slug == "api" && level > 1'),
        ("where:level>1", "level>1"),
        ("--where 'level > 1'", "level > 1"),
        ('--where "payload.slug == \\"api\\""', 'payload.slug == "api"'),
        ('--where "api" == payload.slug', '"api" == payload.slug'),
        ("where 'api' in payload.slugs", "'api' in payload.slugs"),
    ],
)
def test_from_where_on_all_is_one_condition(words, where):
    assert Query(want(unseen=True, text=["x"]), where) == asked(f"unseen x {words}")


def test_behind_a_condition_in_quotes_a_line_of_the_shell_goes_on():
    assert Query(want(unseen=True, text=["x"]), "level > 1") == asked("--where 'level > 1' --unseen --text x")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("level:high", "level: 'high' is no level: one of infrastructure, operational, workflow, business, or 0 to 3"),
        ("level:", "level: wants one of infrastructure"),
        ("--level", "level: wants one of infrastructure"),
        ("--level --unseen", "level: '--unseen' is no level"),
        ("state:done", "state: 'done' is none of none, claimed, in_progress, resolved"),
        ("order:name", "order: 'name' is none of level, domain, age, oldest, entity"),
        ("since:soon", "since: 'soon' is neither an age like 2h nor a time"),
        ("type:a..b", "type: a pattern is"),
        ("unseen:yes", "unseen: takes no value"),
        ("--unseen=1", "unseen: takes no value"),
        ("where", "where: wants a condition"),
        ("x --where  ", "where: wants a condition"),
        ("--json", "--json: --json does not say which ones"),
        ("-n 5", "-n: -n does not say which ones"),
        ("--limit=5", "'--limit=' is no word of a filter"),
        ("--colour always", "'--colour' is no word of a filter"),
    ],
)
def test_a_wrong_word_is_named_with_what_it_wants(words, said):
    with pytest.raises(UsageError) as wrong:
        asked(words)
    assert str(wrong.value).startswith(said)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("lvel:workflow", "level:"),
        ("tpye:a.b", "type:"),
        ("--stat claimed", "state:"),
        ("domian:x", "domain:"),
        ("--unsen", "unseen"),
    ],
)
def test_a_near_miss_of_a_flag_is_asked_back(words, meant):
    with pytest.raises(UsageError) as wrong:
        asked(words)
    assert f"did you mean {meant}? In quotes it is looked for" == wrong.value.hint
    assert Query(want(text=[words])) == asked(f'"{words}"')


def filled(count: int, **given: Any) -> MemoryStore:
    """Notifications with an event each, whose payload has `n` and, when it is even, `slug`."""
    store = MemoryStore()
    for n in range(1, count + 1):
        payload = {"n": n, **({"slug": f"s{n % 4}"} if n % 2 == 0 else {})}
        store.append([record(n, body=orjson.dumps({"event": "build.finished", "source": "ci", "payload": payload}))])
    rows = [
        notification(n, seq=n, level=n % 3, domain=f"d{n % 2}", updated_at=NOON_US + n, **given) for n in range(1, count + 1)
    ]
    store.commit(Operations(opened=rows, annotations=[(1, "risk", b'{"score":9}')]))
    return store


def numbers(found: Page) -> list[int]:
    return [item.notification.id for item in found.items]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("payload.n > 8", [11, 10, 12, 9]),
        ('payload.slug == "s0"', [8, 4, 12]),  # odd ones have no slug, which is no answer
        ("level == 2 && domain == 'd0'", [8, 2]),
        ("annotations.risk.score > 5", [1]),
        ("source == 'ci' && event == 'build.finished' && payload.n == 3", [3]),
        ("now > timestamp('2026-11-20T12:00:10Z')", [11, 12]),
        ("payload.n", []),
        ("false", []),
    ],
)
def test_a_condition_chooses_by_the_newest_event(where, found):
    got = page(filled(12), Query(InboxFilter(), where), limit=50)
    assert (found, "", 12, True) == (numbers(got), *got[1:])


def test_without_a_condition_a_page_is_the_views_page():
    store = filled(5)
    got = page(store, Query(InboxFilter()), limit=2)
    assert store.views.inbox(InboxFilter(), limit=2) == (got.items, got.next)
    assert (2, True) == (got.looked, got.whole)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("limit", "look"), [(1, 5_000), (3, 5_000), (4, 7), (2, 1), (50, 5)])
def test_pages_of_a_condition_give_every_row_that_fits_once(order, limit, look):
    store, asking = filled(30), Query(InboxFilter(order=order), "payload.n % 3 == 0")
    whole = numbers(page(store, asking, limit=50))
    found: list[int] = []
    after, pages = "", 0
    while pages == 0 or after:
        got = page(store, asking, limit=limit, after=after, look=look)
        assert got.looked <= look
        assert got.whole == (len(got.items) == limit or not got.next)
        found += numbers(got)
        after, pages = got.next, pages + 1
    assert 10 == len(whole)
    assert whole == found


def test_one_whose_event_is_gone_is_asked_with_an_empty_payload():
    store = MemoryStore()
    store.commit(Operations(opened=[notification(1, seq=99)]))
    assert [] == numbers(page(store, Query(InboxFilter(), "payload.n > 0"), limit=9))
    assert [1] == numbers(page(store, Query(InboxFilter(), "level == 2 && event == 'build.finished'"), limit=9))


@pytest.mark.parametrize("where", ["level >", "nothing == 1", "level + 1", "payload.a.matches('(')"])
def test_a_wrong_condition_is_shown_with_its_place(where):
    with pytest.raises(Misconfigured) as wrong:
        page(filled(1), Query(InboxFilter(), where), limit=1)
    assert where in wrong.value.where or wrong.value.problems[0].where == "where"


def test_every_word_says_what_it_wants():
    assert [] == [name for name, flag in WORDS.items() if not flag.wants and flag.field != name]
