# /// cartridge
# id = "format"
# version = "1.0.0"
# summary = "Puts an event into one line of text, the way you want to read it."
# consumes = ["**"]
# annotates = ["text"]
# [settings]
# template = { type = "str", default = "{event}: {description}", help = "Text with {event}, {source}, {entity}, {description} or a payload field." }
# ///
"""Plain replacement and nothing more: a field is looked up by its name and printed."""

import re

from eventctl import Context, Event

FIELD = re.compile(r"\{([a-z_]+)\}")


async def process(event: Event, context: Context) -> Event | None:
    known = {"event": event.event, "source": event.source, "entity": event.entity, "description": event.description}
    values = {**event.payload, **known}
    context.annotate("text", FIELD.sub(lambda field: str(values.get(field[1], "?")), context.settings["template"]))
    return event
