# /// cartridge
# id = "build-notifier"
# version = "1.0.0"
# summary = "Tells the team when main stays red: the third failed build in a row is no accident."
# consumes = ["domain.software-development.build.completed", "domain.software-development.build.failed"]
# annotates = ["build"]
# key = "payload.slug"
# [settings]
# branch = { type = "str", default = "main", help = "The branch to watch." }
# failures = { type = "int", default = 3, help = "So many failed builds in a row are worth a notice." }
# ///
"""Counts failed builds of the watched branch in a row, one count for each thing that is built."""

from eventctl import Context, Event


async def process(event: Event, context: Context) -> Event | None:
    if event.payload["branch"] != context.settings["branch"]:
        return event
    before = await context.state.get("red", 0)
    red = 0 if event.event.endswith(".completed") else before + 1
    context.state.set("red", red)
    context.annotate("build", {"red_in_a_row": red})
    slug, branch, limit = event.payload["slug"], event.payload["branch"], context.settings["failures"]
    if red == limit:
        context.notify(
            f"{branch} of {slug} has been red for {red} builds", payload={"key": slug}, domain="software-development"
        )
    elif not red and before >= limit:
        context.notify(f"{branch} of {slug} is green again", payload={"key": slug}, domain="software-development")
    return event
