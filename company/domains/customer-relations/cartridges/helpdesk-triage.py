# /// cartridge
# id = "helpdesk-triage"
# version = "1.0.0"
# summary = "Reads how urgent a ticket sounds, and raises those that cannot wait."
# consumes = ["domain.customer-relations.helpdesk.ticket_created"]
# emits = ["domain.customer-relations.helpdesk.ticket_triaged"]
# annotates = ["triage"]
# [settings]
# urgent = { type = "list", default = ["charged", "paid", "harbour", "lost", "refund"], help = "Words of tickets that cannot wait." }
# ///
"""Looks for words and for nothing else: what a stranger wrote is never followed, only filed."""

import re

from eventctl import Context, Event


async def process(event: Event, context: Context) -> Event | None:
    said = set(re.findall(r"\w+", event.payload["subject"].lower()))
    found = sorted(said.intersection(context.settings["urgent"]))
    context.annotate("triage", {"urgency": "high" if found else "normal", "because": found})
    if found:
        about = {key: event.payload[key] for key in ("ticket_id", "subject")}
        context.emit("domain.customer-relations.helpdesk.ticket_triaged", {**about, "because": found})
    return event
