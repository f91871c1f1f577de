"""Changes of the workspace from the command line: what changed in which file, and the record of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventctl.cli.render import Screen, document

if TYPE_CHECKING:
    from eventctl.cli.session import Session
    from eventctl.company import Changed


def answer(session: Session, done: Changed, as_json: bool, *, dry: bool = False, **more: Any) -> None:
    """Print what was changed, or would be."""
    if as_json:
        changes = [{"key": each.name, "before": each.before, "after": each.after} for each in done.changes]
        document({"file": done.file, "changes": changes, "move": done.seq or None, "dry_run": dry, **more})
        return
    screen = Screen(session)
    if not done.changes:
        screen.line(f"{done.file}: that is so already")
    for each in done.changes:
        at = f"  (e{done.seq})" if done.seq else ""
        screen.line(f"{done.file}:", f"{each.name}: {shown(each.before)} -> {shown(each.after)}{at}")
    if dry:
        screen.say("nothing was changed (--dry-run)")


def shown(value: Any) -> str:
    """A value of a settings file in a line."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return ", ".join(f"{name} {shown(each)}" for name, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
