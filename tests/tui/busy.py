"""A workspace in which there is everything that the dashboard shows: `busy`, at noon, and always the same.

Three days of a small company, brought about through the command line at set times. It is made once for a process, and every test has
a copy, since making it takes a second or two.
"""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from eventctl import client, strikes
from eventctl.breadcrumb import Crumb
from eventctl.times import DAY, HOUR, MINUTE, iso
from eventctl.workspace import Paths
from tests.cli.conftest import NOON, Face
from tests.lifekit import code
from tests.tui.company import FILES, SETTINGS

LONG = (
    "The nightly import of the price lists of all suppliers has stopped at row 48,117 of 120,000, because a column that was a "
    "number until yesterday holds words since then, and nobody has said which of the two it is meant to be from now on"
)
CJK, EMOJI, RTL = "漢字の注文が届きません 배송 지연", "👩‍👩‍👧 and 🎉 broke the label printer 🖨️", "هذه رسالة من عميل قديم"
TREE = {
    "basket": {"items": [{"sku": "A-1", "count": 2, "tags": ["new", "heavy"]}, {"sku": "B-7", "count": 1, "tags": []}]},
    "customer": {"name": "Grace", "address": {"city": "Arlington", "lines": ["1 Main St", ""]}, "vip": True, "discount": None},
    "total": 129.5,
}
RUN_NS, PROGRAM_S = 120_000, 0.004
"""How long each run of a cartridge takes here, and each program."""

SHAPE = {"cause": "str", "refunded": "bool", "parcels": "int?", "notes": "list?"}


def make(root: Path, env: dict[str, str]) -> Face:
    """Make it. Given back at noon, with nothing owed."""
    ticks = count(0, RUN_NS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eventctl.starter.SHIPPED", ())
        patch.setattr("eventctl.trampoline.perf_counter_ns", ticks.__next__)
        patch.setattr("eventctl.programs.round", lambda seconds, digits: PROGRAM_S, raising=False)
        return _made(Face(root, env, now=NOON - 3 * DAY))


def _made(face: Face) -> Face:
    root = face.root
    face("init", "--yes", "--name", "busy")
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    (root / "eventctl.toml").write_text(SETTINGS, "utf-8")
    _install(face)
    _work(face)
    _old(face)
    _failures(face)
    _shop(face)
    _tickets(face)
    _strangers(face)
    _asks(face)
    _handled(face)
    _strike(face)
    face.now = NOON
    return face


def _event(type_: str, source: str, id_: str, at: int, payload: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"event": type_, "source": source, "id": id_, "timestamp": iso(at), "payload": payload, **more}


def _emit(face: Face, *events: dict[str, Any]) -> None:
    face("emit", "--ndjson", "-", given="\n".join(map(json.dumps, events)))


def _work(face: Face) -> None:
    """Work everything off."""
    face("run", "--until-idle")


def _ago(us: int) -> int:
    return NOON - us


def _install(face: Face) -> None:
    """A cartridge that is trusted, in its second version, and one that is not."""
    given = face.root.parent / "given"
    given.mkdir()
    for name, version, summary in (("till", "1.0.0", "Counts."), ("till", "2.0.0", "Counts."), ("courier", "0.3.1", "Asks.")):
        file = given / f"{name}.py"
        file.write_text(code(name, version, f'consumes = ["domain.sales.{name}.**"]').replace("A test.", summary), "utf-8")
        face("cartridge", "install", str(file), "--domain", "sales", "--yes")
    face("cartridge", "trust", "till", "--yes")


def _old(face: Face) -> None:
    """What was dealt with days ago: resolved, archived, kept quiet."""
    face("silence", "add", "--type", "domain.ops.noticed", "--for", "30d", "--reason", "the rack is moved")
    face("silence", "add", "--source", "ci/*", "--every", "Sat 22:00-06:00", "--timezone", "UTC", "--reason", "backups")
    at = face.now
    _emit(
        face,
        *(_event("domain.ops.noticed", "racks", f"notice-{n}", at, {"what": f"fan {n} is loud"}) for n in range(1, 4)),
        *(_event("domain.ops.failed", "ci/main", f"old-{n}", at, {"slug": f"old-{n}"}) for n in range(1, 3)),
        _event("job.failed", "cron", "old-job", at, {"job": "rotate-logs", "exit_code": 2}),
    )
    _work(face)


def _failures(face: Face) -> None:
    """Jobs, alerts and a cartridge that cannot cope with some of them."""
    face.now = _ago(DAY)
    hosts = ("web-1", "web-2", "web-3", "db-1", "mail")
    _emit(
        face,
        *(
            _event("domain.ops.alert.fired", "prometheus", f"alert-{n}", _ago(DAY + n * HOUR),
                   {"host": host, "check": "disk" if n % 2 else "load", "value": 90 + n}, entity=f"eventctl://host/{host}")
            for n, host in enumerate(hosts)
        ),
        *(
            _event("job.failed", "cron", f"job-{n}", _ago(DAY + n * MINUTE), {"job": job, "exit_code": n + 1, "tail": ["one", "two"]})
            for n, job in enumerate(("backup", "sweep", "reindex", "thumbnails"))
        ),
        *(_event("domain.ops.probe", "probe", f"probe-{n}", _ago(DAY), {"number": n}) for n in range(12)),
    )  # fmt: skip
    for _ in range(5):  # what raised is tried again later, on the face's own clock
        face.ask("run", "--until-idle", "--patience", "0s")
        face.later(HOUR)


def _shop(face: Face) -> None:
    """Orders with much in them, and leads."""
    face.now = _ago(9 * HOUR)
    _emit(
        face,
        _event("domain.sales.order.stuck", "shop", "order-1", _ago(20 * HOUR), {"order": 1001, "why": LONG, **TREE},
               entity="eventctl://order/1001", description=LONG, resolution_shape=SHAPE,
               actions={"refund": {"description": "Give the money back", "produces": "domain.sales.order.refunded"}}),
        _event("domain.sales.order.stuck", "shop", "order-2", _ago(19 * HOUR), {"order": 1002, "why": CJK},
               entity="eventctl://order/1002"),
        _event("domain.sales.order.stuck", "shop", "order-3", _ago(50 * MINUTE), {"order": 1003, "why": "paid twice"},
               entity="eventctl://order/1003"),
        *(_event("domain.sales.lead.came", "web-form", f"lead-{n}", _ago(n * 3 * HOUR), {"name": name, "size": n})
          for n, name in enumerate(("Initech", "Hooli", "Globex & Söhne", "Umbrella", "Wayne", "Stark", "Tyrell"), start=1)),
        _event("domain.sales.till.rang", "till", "ring-1", _ago(HOUR), {"amount": 3}),
    )  # fmt: skip
    _work(face)


def _tickets(face: Face) -> None:
    """What customers write, in their own letters."""
    said = (
        "Cannot log in", CJK, EMOJI, RTL, "How do I export?", "Invoice 77 is wrong", "Please call me back", "The app is slow",
        "[red]Bold[/red] letters {in} brackets", "Where is my parcel?", "Refund, please", "Ça ne marche plus, même après un café",
    )  # fmt: skip
    for n, text in enumerate(said, start=1):
        face.now = _ago(7 * HOUR - n * 31 * MINUTE)
        level = ("operational", "workflow", "infrastructure")[n % 3]
        payload = {"ticket": n, "subject": text}
        _emit(face, _event("domain.care.ticket.opened", f"helpdesk/{n % 3}", f"ticket-{n}", face.now, payload, level=level))
    _work(face)


def _strangers(face: Face) -> None:
    """What is held because of who sent it or what it claims to be, and what never became an event."""
    face.now = _ago(45 * MINUTE)
    _emit(
        face,
        *(_event("job.failed", f"forum-{n % 2}", f"post-{n}", _ago(3 * HOUR), {"job": f"post {n}", "text": f"click here {n}"})
          for n in range(5)),
        _event("domain.care.ticket.opened", "forum-0", "post-9", _ago(2 * HOUR), {"ticket": 900, "subject": RTL}),
        _event("notice.raised", "ada", "note-1", _ago(2 * HOUR), {"key": "note", "title": "Water the plants"}),
    )  # fmt: skip
    face.ask("emit", "--ndjson", "-", given='nonsense\n{"event":"a.b"}\n{"event":"No","source":"x","payload":[]}\n')
    _work(face)


def _asks(face: Face) -> None:
    """Decisions: held at L1, waiting out a window and done with an undo at L2, denied, and failed."""
    face.now = NOON - 20 * MINUTE
    _emit(face, *(_event("domain.ops.failed", "ci/main", f"deploy-{slug}", face.now, {"slug": slug}) for slug in
                  ("api", "web", "漢字", "search")))  # fmt: skip
    _work(face)
    face("decisions", "deny", "d" + _decision(face, "Roll search back"), "-m", "it is being rebuilt anyway")
    _work(face)
    face.now = NOON - 4 * MINUTE
    for event in (  # one after the other: programs that run side by side end in any order
        _event("domain.sales.stock.low", "shop", "stock-1", face.now, {"sku": "A-1"}),
        _event("domain.sales.stock.low", "shop", "stock-2", face.now, {"sku": "B-7"}),
        _event("domain.sales.invoice.late", "books", "invoice-1", face.now, {"invoice": 77, "name": "Initech"}),
        _event("domain.ops.silent", "prometheus", "silent-1", face.now, {"who": "bob"}),
        _event("domain.care.spam.seen", "helpdesk/0", "spam-1", face.now, {"sender": "eve@example.org"}),
    ):
        _emit(face, event)
        _work(face)


def _decision(face: Face, summary: str) -> str:
    items = json.loads(face("decisions", "list", "--json").stdout)["items"]
    return str(next(item["number"] for item in items if summary in item["summary"]))


def _handled(face: Face) -> None:
    """Some of it is being dealt with, by agents and by people."""
    face.now = NOON - 2 * MINUTE
    number = numbers(face)
    face("inbox", "claim", number["backup"], "--agent", "builder")
    face("inbox", "claim", number["reindex ended"], number["Hooli"], "--agent", "scout")
    face("inbox", "start", number["Hooli"], "--agent", "scout")
    face("inbox", "claim", number["Umbrella"])
    face("inbox", "resolve", number["thumbnails"], "-m", "ran it again", "--link", "https://example.org/pull/12")
    face("inbox", "resolve", number["rotate-logs"], "-m", "the disk was full", "--agent", "builder")
    face("inbox", "archive", number["old-1"], number["old-2"])
    face("inbox", "snooze", number["Wayne"], "--for", "3d")
    face("inbox", "seen", number["Stark"], number["Tyrell"], number["How do I export?"], number["db-1"])
    _work(face)


def _strike(face: Face) -> None:
    """What a hang brings about, without the hang."""
    with client.short(Paths(face.root)) as store:
        row = next(row for row in store.read_log(0, 1_000, kinds=("event",)) if row.id == "alert-4")
        crumb = Crumb("domain:ops", "measure", row.seq, 100.0, 5.0)
        strikes.book(store, crumb, "hung for more than 5 s", "", face.now)
    _work(face)


def numbers(face: Face) -> dict[str, str]:
    """The short ids of notifications, by words of their titles."""
    said = face("inbox", "list", "--json", "-n", "1000").stdout
    titles = {item["title"]: item["short"] for item in json.loads(said)["items"]}
    return _Words(titles)


class _Words(dict[str, str]):
    """Looked up by some of the words of a title."""

    def __missing__(self, words: str) -> str:
        return next(short for title, short in self.items() if words in title)
