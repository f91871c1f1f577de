"""`events discover` and `events adopt` over a real workspace: what nobody declared is found, shown safely, and taken in."""

from __future__ import annotations

import json
import tomllib

import pytest

import eventctl
from eventctl.reload import is_ours
from tests.cli.test_hostile import clean, hostile

LOST = "domain.marketing.ad.lost"
TYPES = "company/domains/marketing/event_types.toml"


HELD = """# Kept by hand.
namespace = "domain.marketing"

[types."campaign.launched"]
summary = "A campaign goes live."
payload = { campaign_id = "str", name = "str", budget = "float", launched_at = "str" }
"""


def answer(face, *words, code=0):
    return json.loads(face(*words, "--json", code=code).stdout)


def envelopes(*events):
    return "\n".join(json.dumps({"source": "ads", "payload": {}, **event}) for event in events)


@pytest.fixture
def face(face):
    """A workspace with one domain."""
    folder = face.root / "company/domains/marketing"
    folder.mkdir(parents=True)
    (folder / "event_types.toml").write_text(HELD)
    return face


@pytest.fixture
def shop(face):
    """Sixty events of a type that nobody declares, two that have drifted, one that is no domain's, one as declared."""
    lost = [
        {
            "event": LOST,
            "payload": {"ad_id": f"a{n}", "state": ("on", "off")[n % 2], "spent": n / 2, **({"note": "x"} if n else {})},
        }
        for n in range(60)
    ]
    launched = {"campaign_id": "c", "name": "n", "budget": "12", "launched_at": "now"}
    rest = [
        {"event": "domain.marketing.campaign.launched", "payload": launched},
        {"event": "domain.marketing.campaign.launched", "payload": {**launched, "budget": 12, "colour": "red"}},
        {"event": "stranger.spoke", "source": "me"},
        {"event": "job.failed", "payload": {"job": "backup", "run": "r1"}},
    ]
    face("emit", "--ndjson", "-", given=envelopes(*lost, *rest))
    return face


def test_what_nobody_declared_is_listed_with_what_has_drifted(shop, snapshot):
    result = shop("events", "discover")
    snapshot(result.stdout + result.stderr)
    items = answer(shop, "events", "discover")["items"]
    assert [LOST, "domain.marketing.campaign.launched", "stranger.spoke"] == [each["type"] for each in items]
    assert [60, 2, 1] == [each["seen"] for each in items]
    assert ["e60", "e59", "e58"] == items[0]["examples"]
    assert [{"source": "ads", "events": 60}] == items[0]["sources"]
    assert {"field": "budget", "what": "is string, declared number", "events": 1, "examples": ["e61"]} in items[1]["drift"]
    assert ["domain.marketing.campaign.launched"] == [
        each["type"] for each in answer(shop, "events", "discover", "--drift")["items"]
    ]
    assert ["stranger.spoke"] == [each["type"] for each in answer(shop, "events", "discover", "stranger.*")["items"]]
    shop.later()
    assert [] == answer(shop, "events", "discover", "--since", "30m")["items"]


def test_one_type_is_shown_with_its_schema(shop, snapshot):
    result = shop("events", "discover", LOST)
    snapshot(result.stdout + result.stderr, "unknown")
    result = shop("events", "discover", "domain.marketing.campaign.launched")
    snapshot(result.stdout + result.stderr, "drifted")
    assert "as it is declared" in shop("events", "discover", "job.failed").stderr
    assert f"did you mean '{LOST}'?" in shop("events", "discover", LOST[:-1], code=3).stderr


def test_nothing_unknown_says_so(face):
    assert "Everything that came in is declared" in face("events", "discover").stderr
    assert "Every payload is as it is declared" in face("events", "discover", "--drift").stderr
    assert 0 == answer(face, "status")["undeclared_types"]


def test_a_type_that_is_adopted_is_declared_and_discovered_no_more(shop, snapshot):
    before = (shop.root / TYPES).read_bytes()
    dry = shop("events", "adopt", LOST, "--dry-run")
    assert before == (shop.root / TYPES).read_bytes()
    result = shop("events", "adopt", LOST, "--level", "workflow", "--summary", "An ad is gone.")
    snapshot(result.stdout + result.stderr)
    assert dry.stdout.startswith("would write")
    after = (shop.root / TYPES).read_bytes()
    assert after.startswith(before)
    spec = tomllib.loads(after.decode())["types"]["ad.lost"]
    assert ("An ad is gone.", "workflow") == (spec["summary"], spec["level"])
    assert {"ad_id": "str", "spent": "float", "state": "str", "note": "str?"} == spec["payload"]
    shop("config", "check")
    assert LOST not in [each["type"] for each in answer(shop, "events", "discover")["items"]]
    assert answer(shop, "events", "show", LOST)["declared"]
    again = shop("events", "adopt", LOST, code=4).stderr
    assert f"{LOST}' is declared already" in again
    assert TYPES in again


def test_pipelines_that_are_at_work_take_an_adopted_type_in(shop):
    with eventctl.open(shop.root) as here:
        here.run_until_idle()
        answered = answer(shop, "status")
        assert 2 == answered["undeclared_types"]
        assert "event types are declared by nobody" in shop("status").stderr
        shop("events", "adopt", LOST)
        assert is_ours(str(shop.root / TYPES), shop.root)
        here.engine._reload.ask()
        here.run_until_idle()
        assert "stranger.spoke is declared by nobody" in shop("status").stderr
        assert "stranger.spoke" in shop("doctor").stdout


def test_a_nested_payload_gets_a_schema_beside_the_file(shop):
    shop("emit", "domain.marketing.ad.deep", "--source", "s", "--payload", '{"to": {"city": "Rome"}, "lines": [{"n": 1}]}')
    done = answer(shop, "events", "adopt", "domain.marketing.ad.deep")
    assert (True, str(shop.root / "company/domains/marketing/ad.deep.schema.json")) == (done["written"], done["schema_file"])
    shop("config", "check")
    assert ["lines", "to"] == answer(shop, "events", "show", "domain.marketing.ad.deep")["schema"]["required"]
    shop("emit", "domain.marketing.ad.deep", "--source", "s", "--payload", '{"to": {"city": 1}, "lines": []}')
    (drifted,) = answer(shop, "events", "discover", "domain.marketing.ad.deep")["drift"]
    assert ("to.city", "is integer, declared string") == (drifted["field"], drifted["what"])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["stranger.spoke"], 2, "no domain's"),
        ([LOST, "--domain", "customer-relations"], 2, "leave `--domain` out"),
        ([LOST, "--domain", "marketing", "--file", "x.toml"], 2, "exclude each other"),
        (["domain.nowhere.x"], 3, "is in the log"),
        (["domain.marketing.campaign.launched"], 4, "declared already"),
        (["system.unheard.of"], 2, "reserved"),
        (['x"y\x1b[31m'], 3, "is in the log"),
        ([LOST, "--level", "high"], 2, "is no level"),
    ],
    ids=str,
)
def test_what_cannot_be_adopted_is_refused_with_what_to_do(shop, words, code, said):
    before = (shop.root / TYPES).read_bytes()
    result = shop("events", "adopt", *words, code=code)
    assert said in result.stderr
    clean(result.stderr)
    assert before == (shop.root / TYPES).read_bytes()


def test_a_domain_that_is_not_there_is_named(shop):
    shop("emit", "domain.markting.ad.lost", "--source", "s")
    assert "did you mean 'marketing'?" in shop("events", "adopt", "domain.markting.ad.lost", code=3).stderr


def test_a_plugins_file_takes_a_type_of_its_namespace(shop, tmp_path):
    part = tmp_path / "plugin" / "types.toml"
    part.parent.mkdir()
    part.write_text('namespace = "stranger"\n')
    shop("events", "adopt", "stranger.spoke", "--file", str(part))
    assert {"spoke"} == set(tomllib.loads(part.read_text("utf-8"))["types"])
    assert "outside the namespace" in shop("events", "adopt", LOST, "--file", str(part), code=2).stderr


def test_hostile_fields_reach_no_screen_and_no_file_as_they_came(face):
    names = [text.replace("\0", "") for text in hostile(7, 600)]
    rows = [{"event": LOST, "source": text[:100] or "s", "payload": {text: text, "deep": {text: 1}}} for text in names]
    face("emit", "--ndjson", "-", given=envelopes(*rows[:20]))
    known = "domain.marketing.campaign.launched"
    face("emit", "--ndjson", "-", given=envelopes(*({"event": known, "payload": row["payload"]} for row in rows)))
    for words in (["discover"], ["discover", LOST], ["discover", known], ["adopt", LOST]):
        for more in ([], ["--json"]) if words[0] == "discover" else ([],):
            result = face("events", *words, *more)
            clean(result.stdout)
            clean(result.stderr)
    folder = face.root / "company/domains/marketing"
    assert {"deep"} < set(json.loads((folder / "ad.lost.schema.json").read_text("utf-8"))["properties"])
    for file in (face.root / TYPES, folder / "ad.lost.schema.json"):
        clean(file.read_text("utf-8"))
    face("config", "check")
