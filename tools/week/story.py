"""What made the week memorable: a certificate, a full disk, a migration, a poisoned photo, and what is open on Friday."""

from __future__ import annotations

from datetime import timedelta

from tools.week.names import SERVICES
from tools.week.rhythm import alert
from tools.week.tape import DESK, DEV, END, NEWS, STUDIO, Tape, iso, moment
from tools.week.work import Change, deploy

MALFORMED = (
    '{"event":"job.started","source":"cron@atlas","payload":{"job":"backup-pos',
    '{"event":"node.alive","source":"node@brook","payload":{"node_id":"brook","load":NaN}}',
    '{"event":"job.failed","event":"job.succeeded","source":"cron@brook","payload":{"job":"sync-calendars"}}',
    "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>",
    '{"source":"github","payload":{"zen":"Keep it logically awesome."}}',
    '{"event":"job.started","source":"cron@brook","timestamp":"2026-11-18 04:05:00","payload":{"job":"prune-uploads"}}',
    '{"event":"job.started","source":"cron@brook","level":"high","payload":{"job":"send-reminders"}}',
    "Nov 19 15:05:41 brook kernel: Out of memory: Killed process 31337 (vips)",
    '{"event":"domain.software-development.build.started","source":"github","description":"\\ud83d","payload":{}}',
    '["job.started","cron@atlas"]',
)  # fmt: skip


def certificate(tape: Tape) -> None:
    """Tuesday 14:10: the staging certificate runs out, and every probe says so: 36 alerts in four minutes."""
    start = moment(4, "14:10")
    for number in range(36):
        service = SERVICES[number % len(SERVICES)]
        at = start + timedelta(seconds=6.5 * number)
        summary = f"probe {number // 5 + 1} of {service}.staging: certificate has expired"
        alert(tape, at, f"tls-{service}-{number // 5 + 1}", f"{service}-staging", "critical", summary, 4)


def migration(tape: Tape) -> None:
    """Thursday 11:20: the API does not get into production, twice; GitHub hears no answer meanwhile and repeats itself."""
    lock = "migration 0142 waits for a lock on bookings: canceling statement due to lock timeout"
    deploy(tape, moment(6, "11:20"), "api", "production", "9f31c04ab2", 1, lock)
    deploy(tape, moment(6, "11:41"), "api", "production", "9f31c04ab2", 2, lock)
    alert(tape, moment(6, "11:24"), "5xx-api", "api", "critical", "5xx rate of the API is above 2 %", 67)
    deploy(tape, moment(6, "12:32"), "api", "production", "77c0de51fa", 1)
    tape.redeliver(moment(6, "11:15"), moment(6, "12:40"), "github", 0.9, 3600)
    tape.redeliver(moment(0, "16:40"), moment(7, "15:00"), "github", 0.055, 120)
    tape.redeliver(moment(0, "16:40"), moment(7, "15:00"), "alertmanager", 0.06, 30)


def cascade(tape: Tape) -> None:
    """Friday 16:36: one photo takes four workers down within 100 seconds, one after the other."""
    for number, worker in enumerate(
        ("thumbnails-1", "thumbnails-2", "thumbnails-3", "thumbnails-4", "thumbnails-2", "thumbnails-1")
    ):
        at = moment(7, "16:36:10") + timedelta(seconds=19 * number)
        payload = {"worker_name": worker, "host": "brook", "signal": "SIGKILL", "job": "upload 88131", "crashed_at": iso(at)}
        text = f"{worker} was killed: out of memory in libvips, upload 88131"
        tape.add(at, "supervisor@brook", "system.worker.crashed", text, payload, entity=f"worker/{worker}")
    alert(tape, moment(7, "16:38:30"), "queue-age", "worker", "critical", "oldest job waits for more than 2 minutes", None)


def friday(tape: Tape) -> None:
    """What a person finds at the end of the week."""
    summary = "disk of atlas is 96 % full, full in 9 hours"
    alert(tape, moment(7, "13:50"), "disk-atlas", "atlas", "critical", summary, None)
    broken = "TypeError: slots.map is not a function (smoke test /checkout)"
    deploy(tape, moment(7, "15:52"), "web", "production", "c41d0077e3", 1, broken)
    deploy(tape, moment(7, "16:11"), "web", "production", "c41d0077e3", 2, broken)
    advisory = {"advisory_id": "CVE-2026-48211", "severity": "high", "package": "pillow", "fixed_in": "12.4.1"}
    text = "pillow before 12.4.1: heap overflow in the WebP decoder"
    tape.add(moment(7, "09:02"), "dependabot", DEV + "maintenance.security_patch", text, advisory, entity="package/pillow")
    blocked = Change(tape, "api", 371, "Archive bookings older than five seasons", "noor")
    question = "Two weeks of double writes, or one night offline?"
    asked = {"slug": blocked.slug, "round": 3, "question": question}
    blocked.hook(moment(7, "10:41"), "pull_request_review", "submitted", "review.needs_decision", question, asked)
    permission(tape)
    customers(tape)


def permission(tape: Tape) -> None:
    """An agent waits for a yes since a quarter past four."""
    base = {"session": "5d20c9e114", "agent": "claude-code", "task": "Bigger volume for atlas backups"}
    entity, source = "session/5d20c9e114", "claude-code@tomas"
    tape.add(
        moment(7, "16:07"),
        source,
        DEV + "agent.session_started",
        "claude-code begins",
        {**base, "member": "tomas"},
        entity=entity,
    )
    asked = {"session": "5d20c9e114", "use": "5d20c9e114-4", "agent": "claude-code", "tool": "Bash"}
    asked["command"] = "terraform apply -target=aws_ebs_volume.atlas_backup"
    text = "claude-code waits for tomas"
    tape.add(moment(7, "16:15"), source, DEV + "agent.permission_requested", text, asked, entity=entity)


def customers(tape: Tape) -> None:
    """A ticket that a customer made urgent, a campaign that overspends, an asset that waits; and a title with a trick in it."""
    base = {"ticket_id": 4466, "subject": "School class of 28 stands at the harbour, no booking found"}
    entity = "ticket/4466"
    tape.add(moment(7, "15:58"), "helpdesk", DESK + "helpdesk.ticket_created", "a customer wrote", base, entity=entity)
    urgent = {**base, "reason": "guests are on site", "escalated_to": "jules"}
    tape.add(moment(7, "16:20"), "helpdesk", DESK + "helpdesk.ticket_escalated", "guests are on site", urgent, entity=entity)
    ad = {"campaign_id": "autumn-light", "name": "Autumn light"}
    launched = {**ad, "budget": 1500.0, "launched_at": iso(moment(3, "09:00"))}
    tape.add(
        moment(3, "09:00"), "ads", NEWS + "campaign.launched", "1,500 for seven days", launched, entity="campaign/autumn-light"
    )
    for day, share, spent in ((5, 50, 771.2), (7, 90, 1382.9)):
        hit = {**ad, "spent": spent, "threshold": float(share)}
        text = f"{spent:,.0f} of 1,500 spent ({share} %)"
        tape.add(moment(day, "12:15"), "ads", NEWS + "campaign.budget_threshold_hit", text, hit, entity="campaign/autumn-light")
    film = {"asset_id": "harbour-film", "title": "Harbour film, 30 s"}
    tape.add(
        moment(3, "10:20"),
        "studio",
        STUDIO + "asset.brief_created",
        "wanted for the campaign",
        film,
        entity="asset/harbour-film",
    )
    draft = {**film, "draft": 2, "reviewer": "ada", "deadline": iso(END + timedelta(days=3))}
    tape.add(
        moment(7, "11:30"),
        "studio",
        STUDIO + "asset.review_requested",
        "draft 2 waits for ada",
        draft,
        entity="asset/harbour-film",
    )
    trick = {"slug": "web#1221", "title": "Names with \x1b[31mcolours\x1b[0m and \u202ereversed\u202c text break the day plan"}
    tape.add(moment(7, "14:33"), "github", DEV + "planning.todo_created", "filed by a guest", trick, entity="todo/web#1221")


def noise(tape: Tape) -> None:
    """Lines that are no events: a write that was cut off, a proxy's error page, a sender with an old library."""
    for number, text in enumerate(MALFORMED):
        tape.raw(moment(1 + number % 6, f"{3 + number}:{(17 * number) % 60:02}:21"), text)
