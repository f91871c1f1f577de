"""What was discovered, on a screen and as JSON; and what an adoption writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventctl.cli.render import Cell, Screen, count, json_text, local, utc

if TYPE_CHECKING:
    from eventctl.adoption import Adoption
    from eventctl.discoveries import Discovery, Found


def form(found: Discovery) -> dict[str, Any]:
    """A discovery in JSON."""
    return {
        "type": found.type, "declared": found.declared, "seen": found.count, "first_seen": utc(found.first_at),
        "last_seen": utc(found.last_at), "examples": _shorts(found.examples), "sampled": found.sampled,
        "sources": [{"source": name, "events": number} for name, number in found.sources],
        "drift": [{**each._asdict(), "examples": _shorts(each.examples)} for each in found.drift],
        "schema": found.schema,
    }  # fmt: skip


def adoption_form(adoption: Adoption, *, written: bool) -> dict[str, Any]:
    """An adoption in JSON."""
    return {
        "type": adoption.type, "file": str(adoption.file), "block": adoption.block,
        "schema_file": str(adoption.schema_file) if adoption.schema_file else None, "schema": adoption.schema or None, "written": written,
    }  # fmt: skip


def show_all(screen: Screen, found: Found) -> None:
    """The list, and what to do with it."""
    rows = [
        [
            each.type,
            f"{each.count:,}",
            screen.ago(each.first_at),
            screen.ago(each.last_at),
            Cell(_verdict(each), fg=None if each.declared else "yellow"),
            " ".join(_shorts(each.examples)),
        ]
        for each in found.items
    ]
    screen.table(("type", "seen", "first", "last", "what", "examples"), rows, right=(1,))
    if found.more:
        screen.say(f"and {count(found.more, 'more type')}: `--limit`, or a pattern")
    if any(not each.declared for each in found.items):
        screen.say("what one of them looks like: `eventctl events discover TYPE`; to declare it: `eventctl events adopt TYPE`")
    if any(each.declared for each in found.items):
        screen.say("a type that has drifted in full: `eventctl events discover TYPE`; then change its event_types.toml")


def show_one(screen: Screen, found: Discovery, owner: str) -> None:
    """One type with its schema."""
    sample = f" (of the newest {found.sampled:,})" if found.sampled < found.count else ""
    screen.title(found.type)
    screen.fields(
        [
            ("declared by", owner or "nobody"),
            ("seen", count(found.count, "time")),
            ("first", f"{local(found.first_at)} ({screen.ago(found.first_at)})"),
            ("last", f"{local(found.last_at)} ({screen.ago(found.last_at)})"),
            ("from", ", ".join(f"{name} {number:,}" for name, number in found.sources) + sample),
            ("examples", " ".join(_shorts(found.examples))),
        ],
        indent=2,
    )
    if found.drift:
        screen.line()
        screen.heading("unlike what is declared" + sample)
        rows = [[each.field, each.what, f"{each.events:,}", " ".join(_shorts(each.examples))] for each in found.drift]
        screen.table(("field", "what", "events", "examples"), rows, right=(2,))
    screen.line()
    screen.heading("payload, as it was seen" + sample)
    screen.block(json_text(found.schema))
    screen.say(f"one of them in full: `eventctl log show e{found.examples[0]}`" if found.examples else "")
    if not found.declared:
        screen.say(f"declare it: `eventctl events adopt {found.type}`")
    elif not found.drift:
        screen.say("every one of these events is as it is declared")


def show_adoption(screen: Screen, adoption: Adoption, *, written: bool) -> None:
    """What was written, or what would be."""
    verb = "wrote" if written else "would write"
    for path, text in ((adoption.file, adoption.block), (adoption.schema_file, adoption.schema)):
        if path is None:
            continue
        screen.line(verb, path)
        screen.block(text.strip("\n"))
    if written:
        screen.say("Now say what it means: its summary, what makes an occurrence (identity), and which life it is part of.")
        screen.say("`eventctl run`, if it is at work, has taken it in; `eventctl config check` says what is wrong with it.")


def _verdict(found: Discovery) -> str:
    if not found.declared:
        return "not declared"
    first, more = found.drift[0], len(found.drift) - 1
    return f"{first.field} {first.what} ({first.events:,} of {found.sampled:,})" + (f", and {more} more" if more else "")


def _shorts(seqs: tuple[int, ...]) -> list[str]:
    return [f"e{seq}" for seq in seqs]
