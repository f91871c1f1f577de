# /// cartridge
# id = "threshold"
# version = "1.0.0"
# summary = "Tells you when too many events of an entity come in a row, once per window."
# consumes = ["**"]
# annotates = ["threshold"]
# [settings]
# types = { type = "str", default = "job.failed", help = "The event type that counts." }
# count = { type = "int", default = 5, help = "So many are too many." }
# window = { type = "duration", default = "1h", help = "Within this time." }
# ///
"""Keeps the times of the last events of each entity; what is older than the window is forgotten."""

from eventctl import Context, Event


async def process(event: Event, context: Context) -> Event | None:
    if event.event != context.settings["types"] or event.entity is None:
        return event
    edge = (context.now - context.settings["window"]).timestamp()
    times = [at for at in await context.state.get("times", []) if at > edge]
    times.append(context.now.timestamp())
    context.state.set("times", times[-context.settings["count"] :])
    context.annotate("threshold", len(times))
    if len(times) == context.settings["count"]:
        context.notify(f"{event.entity}: {event.event} {len(times)} times", payload={"key": event.entity})
    return event
