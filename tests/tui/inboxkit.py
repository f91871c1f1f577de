"""What tests of the inbox share: a small inbox, its twin for the command line, and both as rows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from eventctl.times import HOUR, MINUTE, iso
from eventctl.tui.app import Dashboard
from eventctl.tui.inbox.screen import InboxRoom
from eventctl.tui.rows import RowList
from tests.cli.conftest import Face
from tests.tui.kit import press, settled, typed

SHAPE = {"cause": "str", "minutes": "int?", "again": "bool", "hosts": "list?"}


def event(face: Face, type_: str, id_: str, payload: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"event": type_, "source": "cron", "id": id_, "timestamp": iso(face.now), "payload": payload, **more}


def emit(face: Face, *events: dict[str, Any]) -> None:
    """Bring them in and work them off."""
    face("emit", "--ndjson", "-", given="\n".join(map(json.dumps, events)))
    face("run", "--until-idle")


def furnish(face: Face) -> Face:
    """Six notifications: a deployment above five jobs, an hour apart, of which n6 asks how it was settled."""
    jobs = ("backup", "sweep", "reindex", "thumbnails")
    for at, job in enumerate(jobs, start=1):
        emit(face, event(face, "job.failed", f"job-{at}", {"job": job, "exit_code": at}))
        face.later(HOUR)
    deployed = event(
        face, "deployment.failed", "dep-1", {"slug": "api", "sha": "a1", "reason": "timeout"}, entity="eventctl://service/api"
    )
    emit(face, deployed, event(face, "job.failed", "job-6", {"job": "restore", "exit_code": 6}, resolution_shape=SHAPE))
    face.later(MINUTE)
    return face


def twin(face: Face, tmp_path: Path) -> Face:
    """The same workspace again, at the same time, for the command line to do the same in."""
    root = tmp_path / "twin"
    shutil.copytree(face.root, root)
    return Face(root, face.env, face.now)


def rows(face: Face, *words: str) -> list[dict[str, Any]]:
    """Everything in the inbox, as the command line gives it."""
    everything = ("--archived", "--snoozed", "--others", "-n", "1000", *words)
    found: list[dict[str, Any]] = json.loads(face("inbox", "list", "--json", *everything).stdout)["items"]
    return found


def titles(face: Face, *words: str) -> list[str]:
    return [item["short"] for item in json.loads(face("inbox", "list", "--json", *words).stdout)["items"]]


def room(app: Dashboard) -> InboxRoom:
    found = app.front
    assert isinstance(found, InboxRoom)
    return found


def keys(app: Dashboard) -> list[str]:
    """The rows on the list, from above."""
    return [row.key for row in listed(app)]


def listed(app: Dashboard) -> list[Any]:
    return list(room(app).query_one("#rows", RowList)._rows)


def told(app: Dashboard) -> list[str]:
    """What was said in the corner, oldest first."""
    return [notification.message for notification in app._notifications]


async def filtered(pilot: Pilot[int], words: str) -> None:
    """Type a filter and press enter."""
    await press(pilot, "slash")
    await typed(pilot, words)
    await press(pilot, "enter")
    await settled(pilot)
