# /// cartridge
# id = "campaign-budget-monitor"
# version = "1.0.0"
# summary = "Judges how fast a campaign spends: a limit that is passed too early is worth a notice."
# consumes = ["domain.marketing.campaign.*"]
# annotates = ["budget"]
# key = "payload.campaign_id"
# [settings]
# days = { type = "int", default = 7, help = "How many days a campaign is meant to run." }
# ahead = { type = "float", default = 1.25, help = "Spending so many times faster than planned is too fast." }
# ///
"""Compares the share of the budget that is spent with the share of the days that are over."""

from datetime import datetime

from eventctl import Context, Event

DAY_S = 86_400


async def process(event: Event, context: Context) -> Event | None:
    payload = event.payload
    if event.event.endswith(".launched"):
        context.state.set("launched", {"at": event.timestamp.isoformat(), "budget": payload["budget"]})
        return event
    launched = await context.state.get("launched")
    if not event.event.endswith(".budget_threshold_hit") or launched is None or not launched["budget"]:
        return event
    elapsed = (event.timestamp - datetime.fromisoformat(launched["at"])).total_seconds() / (context.settings["days"] * DAY_S)
    spent = payload["spent"] / launched["budget"]
    context.annotate("budget", {"spent": round(spent, 2), "elapsed": round(elapsed, 2)})
    if spent > elapsed * context.settings["ahead"]:
        title = f"{payload['name']} has spent {spent:.0%} of its budget in {elapsed:.0%} of its time"
        context.notify(title, payload={"key": payload["campaign_id"]}, domain="marketing")
    return event
