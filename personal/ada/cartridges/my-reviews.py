# /// cartridge
# id = "my-reviews"
# version = "1.0.0"
# summary = "Tells ada what reviewers say about a change that she wrote."
# consumes = ["domain.software-development.review.*"]
# key = "payload.slug"
# [settings]
# me = { type = "str", default = "ada", help = "The author whose changes count." }
# ///
"""Remembers which changes are hers when their review is asked for."""

from eventctl import Context, Event

SAYS = {"verdict_ready": "wants changes in", "approved": "approved"}


async def process(event: Event, context: Context) -> Event | None:
    payload, me = event.payload, context.settings["me"]
    verb = event.event.rpartition(".")[2]
    if verb == "requested":
        context.state.set("title", payload["title"] if payload["author"] == me else None)
    elif verb in SAYS and (title := await context.state.get("title")):
        text = f"{payload['reviewer']} {SAYS[verb]} {payload['slug']}: {title}"
        context.notify(text, audience=f"member:{me}", payload={"key": payload["slug"]})
    return event
