# /// cartridge
# id = "review-gatekeeper"
# version = "1.0.0"
# summary = "Counts the rounds of a review, and speaks up when an asset goes in circles."
# consumes = ["domain.creative-production.asset.*"]
# annotates = ["review"]
# key = "payload.asset_id"
# [settings]
# rounds = { type = "int", default = 3, help = "So many revisions are a loop." }
# ///
"""An approval starts the count again."""

from eventctl import Context, Event


async def process(event: Event, context: Context) -> Event | None:
    verb = event.event.rpartition(".")[2]
    if verb == "approved":
        context.state.set("rounds", None)
    elif verb == "revision_requested":
        rounds = await context.state.get("rounds", 0) + 1
        context.state.set("rounds", rounds)
        context.annotate("review", {"rounds": rounds})
        if rounds == context.settings["rounds"]:
            title = f"{event.payload['title']} goes in circles: revision {rounds}"
            context.notify(title, payload={"key": event.payload["asset_id"]}, domain="creative-production")
    return event
