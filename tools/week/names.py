"""Who and what the week is about: Tideline, five people who rent out kayaks through a web shop."""

from __future__ import annotations

PEOPLE = ("ada", "noor", "tomas", "mei", "jules")
HOSTS = ("atlas", "brook", "cedar")
SERVICES = ("api", "web", "worker", "infra", "docs")

CHANGES = {
    "api": (
        "Retry idempotent calls to the payment provider", "Return 409 when a slot is taken twice", "Page the bookings list by key",
        "Drop the legacy v1 availability route", "Validate IBANs before we store them", "Cache opening hours per season",
        "Stop logging card fingerprints", "Add rate limits to the partner API", "Fix time zone of winter bookings",
        "Make refunds idempotent", "Expose weather holds as a field", "Split the bookings table by season",
        "Sign webhooks to partners", "Use one transaction for a group booking", "Return problem+json everywhere",
        "Remove N+1 query in the fleet report", "Timeouts for every outgoing call", "Let partners cancel until noon",
    ),
    "web": (
        "Calendar: keyboard navigation", "Show the price per person while typing", "Fix double submit on slow phones",
        "Lazy-load the river map", "Replace moment with Temporal", "Dark mode for the guide's app",
        "Translate the checkout to Dutch", "Accessible names for the seat picker", "Remember the last used harbour",
        "Show tide tables next to the slot", "Offline page for the boat house", "Keep the basket when the session ends",
        "Upgrade to Vite 8", "Error page that says what to do", "Smaller images on the landing page", "Print view for the day plan",
    ),
    "worker": (
        "Thumbnails: limit decoder memory", "Send reminders at the guest's local time", "Back off when the SMS provider says 429",
        "Move invoice PDFs to a queue of their own", "Idempotent e-mail jobs", "Resize portraits before upload",
        "Drain on SIGTERM", "Metrics for queue age", "Retry calendar sync with jitter", "Prune finished jobs after 30 days",
        "One connection per worker", "Poison jobs go to a dead letter", "Speed up the nightly report",
    ),
    "infra": (
        "Postgres 18 on staging", "Alert on replication lag", "Rotate the deploy keys", "Bigger volume for atlas backups",
        "Pin the runner image by digest", "Terraform: remove the unused NAT", "Probe the checkout from outside", "Renew certificates 30 days early",
        "Firewall: close 5432 to the office", "Move CI cache to cedar", "Restore drill, as a script",
    ),
    "docs": (
        "How to run the shop locally", "Runbook: payments are down", "Runbook: the queue is full", "Explain seasons and holds",
        "Partner API: examples in curl", "Changelog for 2.14", "Who is on call, and how to swap", "Glossary for new colleagues",
    ),
}  # fmt: skip

FAILURES = (
    "test_refund_is_idempotent: expected 1 refund, got 2", "TimeoutError: page.click('Book now') after 30000 ms",
    "E501 line too long (131 > 120) in bookings/routes.py", "mypy: 3 errors in 2 files", "OOMKilled while building the image",
    "npm ERR! 503 Service Unavailable from the registry", "test_tide_table[leap-day] failed", "coverage 81.9 % is below 82 %",
    "snapshot of <Checkout> does not match", "flaky: test_queue_drains_on_sigterm (3rd time this week)",
)  # fmt: skip

ISSUES = (
    "Guests see yesterday's tide after midnight", "Refund shows twice in the partner report", "Checkout hangs on iOS 26 when offline",
    "Guide's app logs out every hour", "Wrong harbour in the confirmation mail", "Search finds no harbour with an accent",
    "Price per person is rounded down", "Group booking of 13 is refused", "PDF invoice has no VAT number", "Map is blank in Firefox private windows",
    "SMS reminder arrives at 04:00", "Cannot book the last slot of the season", "Double entry after pressing back",
    "Seat picker ignores the keyboard", "Gift card cannot be used twice", "Calendar feed drops cancelled bookings",
    "Photo upload fails above 8 MB", "Weather hold is not lifted", "Partner webhook misses the signature header", "Slow day plan for big fleets",
)  # fmt: skip

ALERTS = (
    ("api-p99", "api", "warning", "p99 latency of the API is above 800 ms"),
    ("queue-age", "worker", "warning", "oldest job waits for more than 5 minutes"),
    ("cpu-brook", "brook", "warning", "CPU of brook above 90 % for 10 minutes"),
    ("5xx-web", "web", "critical", "5xx rate of the shop is above 1 %"),
    ("replication-lag", "atlas", "warning", "replica is 45 s behind"),
    ("runner-offline", "cedar", "warning", "CI runner cedar does not answer"),
    ("sms-errors", "worker", "warning", "SMS provider refuses 4 % of the messages"),
)

DEPENDENCIES = (
    "django 5.2.8", "orjson 3.13.0", "vite 8.1.2", "sentry-sdk 3.4.0", "psycopg 3.3.9", "pillow 12.4.0", "react 20.0.1", "ruff 0.17.5",
    "playwright 1.61.0", "stripe 14.2.0", "celery 5.7.1", "certifi 2026.11.1", "types-requests 2.34", "eslint 10.2.0", "boto3 1.44.12",
)  # fmt: skip

TASKS = (
    ("claude-code", "Fix the flaky queue test", ("pytest -x tests/queue", "git push origin fix/queue-drain")),
    ("codex", "Write the partner API examples", ("curl -s localhost:8000/v2/slots", "npm run docs:build")),
    ("claude-code", "Move invoice PDFs to their own queue", ("alembic upgrade head", "pytest tests/invoices")),
    ("codex", "Translate the checkout to Dutch", ("npm run i18n:extract", "npm test -- checkout")),
    ("claude-code", "Find the N+1 in the fleet report", ("psql -c 'EXPLAIN ANALYZE ...'", "pytest tests/fleet")),
    ("claude-code", "Prune finished jobs", ("python manage.py shell", "git commit -am 'Prune finished jobs'")),
    ("codex", "Smaller images on the landing page", ("npx sharp-cli -i public/*.jpg", "npm run build")),
    ("claude-code", "Explain the 409s of last night", ("journalctl -u api --since 02:00", "rg 'slot taken' src/")),
)

TICKETS = (
    "My confirmation mail never came", "I was charged twice", "Can I move my trip to Sunday?", "The invoice lacks our VAT number",
    "Is the tour on if it rains?", "Your site says the slot is gone, but I paid", "Gift card code does not work", "We are 13 people",
    "Where do I park?", "Please delete my account", "Wrong language in the mail", "The map does not load at work",
    "Refund for a cancelled tour", "Do you rent dry bags?", "Booking for a school class", "Lost a phone in boat 7",
)  # fmt: skip
