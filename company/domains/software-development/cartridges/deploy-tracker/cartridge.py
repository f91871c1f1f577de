"""Remembers, for each service and environment, when a deploy began and how many failed in a row."""

from datetime import timedelta

from eventctl import Context, Event


async def process(event: Event, context: Context) -> Event | None:
    slug, environment = event.payload["slug"], event.payload["environment"]
    verb = event.event.rpartition(".")[2]
    if verb == "triggered":
        context.state.set(f"began:{environment}", event.timestamp.isoformat())
        return event
    seconds = await _seconds(event, context, environment)
    before = await context.state.get(f"failed:{environment}", 0)
    failed = 0 if verb == "succeeded" else before + 1
    context.state.set(f"failed:{environment}", failed)
    context.annotate("deploy", {"seconds": seconds, "failed_in_a_row": failed})
    title = None
    if failed == context.settings["failures"]:
        title = f"{slug} did not get into {environment} {failed} times in a row"
    elif not failed and before >= context.settings["failures"]:
        title = f"{slug} got into {environment} after {before} failures"
    elif seconds is not None and timedelta(seconds=seconds) > context.settings["slow"]:
        title = f"{slug} took {seconds // 60} minutes to get into {environment}"
    if title:
        context.notify(title, payload={"key": f"{slug}-{environment}"}, domain="software-development")
    return event


async def _seconds(event: Event, context: Context, environment: str) -> int | None:
    """Since the deploy was triggered, by the senders' clocks; None when nobody said that it began."""
    began = await context.state.get(f"began:{environment}")
    return None if began is None else round((event.timestamp - type(event.timestamp).fromisoformat(began)).total_seconds())
