"""What people and coding agents do: changes from the branch to production, work items, sessions, tickets."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tools.week.names import CHANGES, FAILURES, ISSUES, PEOPLE, TASKS, TICKETS
from tools.week.tape import DESK, DEV, END, START, Tape, iso, moment

WORKDAYS = (0, 3, 4, 5, 6, 7)
PUSHES = (1, 2, 2, 3, 3, 4)


class Change:
    """One pull request. GitHub's webhooks tell its story: push, workflow_run, pull_request, pull_request_review."""

    def __init__(self, tape: Tape, service: str, number: int, title: str, author: str) -> None:
        self.tape, self.service, self.number, self.title, self.author = tape, service, number, title, author
        self.slug = f"{service}#{number}"
        self.branch = f"{author}/{'-'.join(title.lower().replace(':', '').replace(',', '').split()[:4])}"
        self.entity = f"pull-request/{service}/{number}"
        self.sha = tape.sha()

    def hook(self, at: datetime, hook: str, action: str, event: str, text: str, payload: dict[str, Any]) -> None:
        """One delivery: what our type declares, and under `github` what the webhook said beside it."""
        said = {
            "hook": hook, "action": action, "repository": f"tideline/{self.service}", "number": self.number,
            "sender": self.author, "url": f"https://github.example/tideline/{self.service}/pull/{self.number}",
        }  # fmt: skip
        self.tape.add(at, "github", DEV + event, text, {**payload, "github": said}, entity=self.entity)

    def push(self, at: datetime, branch: str, sha: str, commits: int) -> None:
        payload = {
            "remote": f"tideline/{self.service}", "branch": branch, "sha": sha, "pushed_at": iso(at), "author": self.author,
            "commits": commits,
        }  # fmt: skip
        text = f"{commits} commit{'s' * (commits > 1)} by {self.author}: {self.title}"
        self.hook(at, "push", "", "branch.pushed", text, payload)

    def build(self, at: datetime, branch: str, sha: str, error: str = "") -> datetime:
        """A workflow run; returns when it ended."""
        rng = self.tape.rng
        seconds = rng.randint(95, 640)
        base = {"slug": self.service, "branch": branch, "workflow": "ci", "run": rng.randint(10**9, 10**10), "sha": sha}
        end = at + timedelta(seconds=seconds)
        self.hook(at, "workflow_run", "requested", "build.started", f"CI runs on {branch}", base)
        done = {**base, "seconds": seconds}
        if error:
            self.hook(end, "workflow_run", "completed", "build.failed", error, {**done, "error": error})
        else:
            self.hook(end, "workflow_run", "completed", "build.completed", f"green in {seconds} s", done)
        return end

    def request(self, at: datetime, round_: int) -> None:
        payload = {"slug": self.slug, "round": round_, "title": self.title, "author": self.author}
        action = "opened" if round_ == 1 else "review_requested"
        self.hook(at, "pull_request", action, "review.requested", f"{self.title} (by {self.author})", payload)

    def verdict(self, at: datetime, round_: int, reviewer: str) -> None:
        payload = {"slug": self.slug, "round": round_, "reviewer": reviewer, "verdict": "changes_requested"}
        self.hook(at, "pull_request_review", "submitted", "review.verdict_ready", f"{reviewer} asks for changes", payload)

    def merge(self, at: datetime, reviewer: str, round_: int) -> datetime:
        """Approved, queued, merged, branch gone, main built. Returns when main's build ended."""
        said = {"slug": self.slug, "round": round_, "reviewer": reviewer}
        self.hook(at, "pull_request_review", "submitted", "review.approved", f"approved by {reviewer}", said)
        queued = at + timedelta(seconds=self.tape.rng.randint(20, 900))
        payload = {"slug": self.slug, "branch": self.branch, "sha": self.sha, "ready_at": iso(queued)}
        self.hook(queued, "pull_request", "enqueued", "deployment.started", "in the merge queue", payload)
        merged, commit = queued + timedelta(seconds=self.tape.rng.randint(30, 400)), self.tape.sha()
        done = {"slug": self.slug, "branch": self.branch, "merge_commit": commit}
        self.hook(merged, "pull_request", "closed", "deployment.completed", f"{self.title} is on main", done)
        gone = {"remote": f"tideline/{self.service}", "branch": self.branch, "sha": self.sha}
        self.hook(merged + timedelta(seconds=2), "delete", "", "branch.deleted", "merged", gone)
        self.push(merged + timedelta(seconds=1), "main", commit, 1)
        end = self.build(merged + timedelta(seconds=4), "main", commit)
        if self.service not in ("infra", "docs"):
            deploy(self.tape, end + timedelta(seconds=5), self.service, "staging", commit)
        return end


def deploy(tape: Tape, at: datetime, slug: str, environment: str, sha: str, attempt: int = 1, error: str = "") -> None:
    """One release into one environment."""
    rng = tape.rng
    payload = {"slug": slug, "environment": environment, "sha": sha, "attempt": attempt}
    entity = f"service/{slug}"
    tape.add(at, "deployer", DEV + "deploy.triggered", f"{sha} on its way", payload, entity=entity)
    seconds = rng.randint(40, 190)
    end = at + timedelta(seconds=seconds)
    if error:
        tape.add(end, "deployer", DEV + "deploy.failed", error, {**payload, "error": error}, entity=entity)
    else:
        text = f"{sha} is live after {seconds} s"
        tape.add(end, "deployer", DEV + "deploy.succeeded", text, {**payload, "seconds": seconds}, entity=entity)


def office(tape: Tape, day: int) -> datetime:
    """A moment of a working day."""
    return moment(day, "08:10") + timedelta(minutes=tape.rng.triangular(0, 590, 200))


def changes(tape: Tape) -> None:
    """Some seventy pull requests; what was opened late is still open."""
    rng = tape.rng
    numbers = {service: 300 + 57 * place for place, service in enumerate(CHANGES)}
    todo = [(service, title) for service, titles in CHANGES.items() for title in titles]
    rng.shuffle(todo)
    for place, (service, title) in enumerate(todo):
        numbers[service] += 1
        change = Change(tape, service, numbers[service], title, rng.choice(PEOPLE))
        day = WORKDAYS[place * len(WORKDAYS) // len(todo)]
        at = office(tape, day)
        if not START < at < END:
            at = moment(4, "09:00") + timedelta(minutes=rng.uniform(0, 500))
        walk(change, at, stuck=place >= len(todo) - 7)


def walk(change: Change, at: datetime, *, stuck: bool) -> None:
    """A change from its first push until it is merged, or until it waits for a reviewer."""
    tape, rng = change.tape, change.tape.rng
    reviewer = rng.choice([person for person in PEOPLE if person != change.author])
    round_ = 1
    for push in range(rng.choice(PUSHES)):
        change.sha = tape.sha()
        change.push(at, change.branch, change.sha, rng.randint(1, 5))
        red = rng.random() < 0.24
        end = change.build(at + timedelta(seconds=3), change.branch, change.sha, rng.choice(FAILURES) if red else "")
        if push == 0:
            change.request(at + timedelta(seconds=70), round_)
        elif rng.random() < 0.45:
            change.verdict(end + timedelta(minutes=rng.uniform(4, 60)), round_, reviewer)
            round_ += 1
            at = end + timedelta(minutes=rng.uniform(70, 110))
            change.request(at, round_)
        at = max(at, end) + timedelta(minutes=rng.uniform(6, 75))
    change.sha = tape.sha()
    change.push(at, change.branch, change.sha, 1)
    end = change.build(at + timedelta(seconds=3), change.branch, change.sha)
    if not stuck:
        change.merge(end + timedelta(minutes=rng.uniform(5, 120)), reviewer, round_)


def releases(tape: Tape) -> None:
    """The shop goes to production twice a day; three versions are tagged."""
    for day in WORKDAYS[1:]:
        for clock, service in (("10:30", "web"), ("15:40", "worker"), ("11:50", "api")):
            if (day, service) not in ((6, "api"), (7, "web")):
                at = moment(day, clock) + timedelta(minutes=tape.rng.uniform(0, 15))
                deploy(tape, at, service, "production", tape.sha())
    for day, clock, service, version in (
        (3, "14:00", "web", "8.3.0"),
        (5, "13:10", "worker", "5.9.1"),
        (6, "13:05", "api", "2.14.1"),
    ):
        payload = {"slug": service, "version": version, "author": "mei", "github": {"hook": "release", "action": "published"}}
        text = f"{service} {version} is released"
        tape.add(moment(day, clock), "github", DEV + "release.published", text, payload, entity=f"service/{service}")


def issues(tape: Tape) -> None:
    """What users and colleagues file; half of it is closed within the week."""
    for number, title in enumerate(ISSUES):
        day = WORKDAYS[number % len(WORKDAYS)]
        at = max(office(tape, day), START + timedelta(minutes=30 + number))
        slug = f"web#{1200 + number}"
        base = {"slug": slug, "title": title, "github": {"hook": "issues", "action": "opened", "number": 1200 + number}}
        entity = f"todo/{slug}"
        tape.add(at, "github", DEV + "planning.todo_created", f"filed by {tape.rng.choice(PEOPLE)}", base, entity=entity)
        if number % 2:
            done = at + timedelta(hours=tape.rng.uniform(3, 40))
            closed = {**base, "reason": "completed", "closed_at": iso(done)}
            tape.add(done, "github", DEV + "planning.todo_closed", "closed as completed", closed, entity=entity)


def agents(tape: Tape) -> None:
    """Sessions of coding agents. One laptop was on a train: what its agent did arrives two hours late, in one go."""
    rng = tape.rng
    for number in range(42):
        agent, task, commands = TASKS[number % len(TASKS)]
        member = PEOPLE[number % len(PEOPLE)]
        start = max(office(tape, WORKDAYS[number % len(WORKDAYS)]), START + timedelta(minutes=15))
        if start > END - timedelta(hours=2):
            start -= timedelta(days=1)
        late = 7200 - 60 * rng.random() if number in (15, 27) else 0.0
        session(tape, start, agent, task, member, commands, late)


def session(tape: Tape, at: datetime, agent: str, task: str, member: str, commands: tuple[str, ...], late: float) -> None:
    """One session: it starts, asks, fails at a tool now and then, and stops."""
    rng, key = tape.rng, tape.sha()
    base = {"session": key, "agent": agent, "task": task}
    entity, source = f"session/{key}", f"{agent}@{member}"

    def say(event: str, text: str, payload: dict[str, Any]) -> None:
        tape.add(at, source, DEV + "agent." + event, text, payload, entity=entity, late=late)

    say("session_started", f"{agent} begins: {task}", {**base, "member": member})
    for step in range(rng.randint(3, 9)):
        at += timedelta(seconds=rng.uniform(20, 240))
        use, command = f"{key}-{step}", rng.choice(commands)
        asked = {"session": key, "use": use, "agent": agent, "command": command}
        if rng.random() < 0.4:
            say("permission_requested", f"{agent} waits for {member}", {**asked, "tool": "Bash"})
            at += timedelta(seconds=rng.uniform(3, 400))
            say("permission_answered", f"{member} says yes", {**asked, "answer": "allow", "member": member})
        elif rng.random() < 0.45:
            error = rng.choice(("exit code 1", "exit code 2: no such file", "timed out after 120 s"))
            say("tool_failed", f"Bash: {error}", {**base, "use": use, "tool": "Bash", "error": error})
    at += timedelta(seconds=rng.uniform(20, 300))
    say("session_ended", "done", {**base, "outcome": "stop"})


def tickets(tape: Tape) -> None:
    """Customers write at all hours."""
    at, number = START + timedelta(minutes=50), 4410
    while at < END - timedelta(minutes=30):
        number += 1
        subject = TICKETS[number % len(TICKETS)]
        base = {"ticket_id": number, "subject": subject}
        entity = f"ticket/{number}"
        tape.add(at, "helpdesk", DESK + "helpdesk.ticket_created", f"a customer wrote: {subject}", base, entity=entity)
        if number % 6:
            reply = at + timedelta(minutes=tape.rng.uniform(10, 300))
            updated = {**base, "updated_at": iso(reply)}
            tape.add(reply, "helpdesk", DESK + "helpdesk.ticket_updated", "answered", updated, entity=entity)
            end = reply + timedelta(minutes=tape.rng.uniform(5, 600))
            done = {**base, "resolved_at": iso(end)}
            tape.add(end, "helpdesk", DESK + "helpdesk.ticket_resolved", "solved", done, entity=entity)
        at += timedelta(minutes=tape.rng.uniform(90, 420))
