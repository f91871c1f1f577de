"""What happens by itself: cron jobs, heartbeats, alerts that come and go, updates of libraries."""

from __future__ import annotations

from datetime import datetime, timedelta

from tools.week.names import ALERTS, DEPENDENCIES, HOSTS
from tools.week.tape import DEV, END, START, Tape, iso, moment

DISK_FULL = "pg_dump: error: could not write to output file: No space left on device"
NIGHTLY = (
    ("backup-postgres", "atlas", 2, 0, 1460),
    ("backup-media", "atlas", 2, 40, 2210),
    ("reindex-search", "brook", 3, 15, 380),
    ("prune-uploads", "brook", 4, 5, 44),
)
"""Job, host, hour, minute, usual seconds."""


def job(tape: Tape, name: str, host: str, start: datetime, seconds: float, error: str = "", code: int = 1) -> None:
    """One run of a cron job under `eventctl exec --name`, in the words that `exec` uses."""
    run = f"{name}-{start:%m%d%H%M}"
    source, entity = f"exec:{host}", f"job/{name}"
    base = {"job": name, "host": host, "run": run, "command": [f"/srv/jobs/{name}"]}
    end = start + timedelta(seconds=seconds)
    tape.add(start, source, "job.started", f"{name} began", base, entity=entity, ident=f"{run}-began")
    took = {"exit_code": code if error else 0, "duration_s": round(seconds, 1)}
    if error:
        payload, text = {**base, **took, "output": error}, f"{name} failed with {code} after {seconds:.1f} s"
        tape.add(end, source, "job.failed", text, payload, entity=entity, ident=f"{run}-ended")
    else:
        text = f"{name} succeeded after {seconds:.1f} s"
        tape.add(end, source, "job.succeeded", text, {**base, **took}, entity=entity, ident=f"{run}-ended")


def cron(tape: Tape) -> None:
    """Calendar sync every 15 minutes, mail every hour, four jobs a night; the database backup fails from Wednesday on."""
    at = START + timedelta(minutes=3)
    while at < END:
        slow = tape.rng.random() < 0.012
        error = "calendar API: 504 Gateway Timeout after 3 attempts" if slow else ""
        job(tape, "sync-calendars", "brook", at, tape.rng.uniform(60, 90) if slow else tape.rng.uniform(4, 14), error)
        at += timedelta(minutes=15)
    at = START + timedelta(minutes=20)
    while at < END:
        job(tape, "send-reminders", "brook", at, tape.rng.uniform(8, 40))
        at += timedelta(hours=1)
    for day in range(1, 8):
        for name, host, hour, minute, usual in NIGHTLY:
            start = moment(day, f"{hour:02}:{minute:02}")
            broken = name == "backup-postgres" and day >= 5
            job(
                tape,
                name,
                host,
                start,
                311 + day if broken else usual * tape.rng.uniform(0.9, 1.15),
                DISK_FULL if broken else "",
            )
    job(tape, "invoice-run", "brook", moment(3, "06:00"), 912)


def heartbeats(tape: Tape) -> None:
    """Every host says four times a day that it is there."""
    at = START + timedelta(minutes=1)
    while at < END:
        for number, host in enumerate(HOSTS):
            beat = at + timedelta(seconds=number)
            payload = {"node_id": host, "beat": iso(beat), "load": round(tape.rng.uniform(0.1, 2.4), 2)}
            tape.add(beat, f"node@{host}", "node.alive", f"{host} is up", payload, entity=f"node/{host}")
        at += timedelta(hours=6)


def alert(tape: Tape, at: datetime, alert_id: str, service: str, severity: str, summary: str, minutes: float | None) -> None:
    """Prometheus fires, and takes it back after `minutes` (None: still on). It repeats the firing every five minutes."""
    payload = {"alert_id": alert_id, "severity": severity, "summary": summary, "starts_at": iso(at), "service": service}
    entity, source = f"service/{service}", "alertmanager"
    repeats = 1 if minutes is None else min(3, int(minutes // 5))
    for repeat in range(repeats + 1):
        tape.add(at + timedelta(minutes=5 * repeat), source, DEV + "ops.alert_fired", summary, payload, entity=entity)
    if minutes is not None:
        end = at + timedelta(minutes=minutes)
        tape.add(end, source, DEV + "ops.alert_resolved", f"Over: {summary}", payload, entity=entity)


def alerts(tape: Tape) -> None:
    """A handful a day, most of them over in minutes."""
    at = START + timedelta(hours=2)
    while at < END - timedelta(hours=6):
        alert_id, service, severity, summary = tape.rng.choice(ALERTS)
        alert(tape, at, alert_id, service, severity, summary, tape.rng.uniform(3, 22))
        at += timedelta(minutes=tape.rng.uniform(140, 420))


def dependencies(tape: Tape) -> None:
    """The bot that watches libraries speaks on Monday morning, all at once; most updates are in by Thursday."""
    for number, line in enumerate(DEPENDENCIES):
        package, version = line.split(" ", 1)
        payload = {"package": package, "version": version, "repository": "tideline/api"}
        at = moment(3, "05:30") + timedelta(seconds=7 * number)
        entity = f"package/{package}"
        tape.add(at, "dependabot", DEV + "maintenance.dependency_update", f"{package} {version} is out", payload, entity=entity)
        if number % 5 != 4:
            done = moment(4 + number % 3, "11:00") + timedelta(minutes=9 * number)
            tape.add(
                done, "dependabot", DEV + "maintenance.dependency_updated", f"{package} is at {version}", payload, entity=entity
            )
