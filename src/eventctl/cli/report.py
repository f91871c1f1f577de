"""How an error is told: on stderr, in one to three lines, or as JSON."""

from __future__ import annotations

import sys

import click

from eventctl.cli.session import Session
from eventctl.text import safe_text

MESSAGE_MAX = 2_000
"""Characters of an error line. A message may quote a stranger's line; a screen full of it helps nobody."""


def report(session: Session, what: str, *, where: str = "", hint: str = "", code: int = 1) -> int:
    """Print an error on stderr, in one to three lines or as JSON, and give its exit code back."""
    if session.json:
        from eventctl.cli.render import json_text

        error = {"code": code, "message": what, "where": where, "hint": hint}
        sys.stderr.write(json_text({"error": error}) + "\n")
        return code
    color = session.wants_color(sys.stderr)
    label = click.style("error:", fg="red", bold=True) if color else "error:"
    lines = [f"{label} {safe_text(what, limit=MESSAGE_MAX)}"]
    lines += [f"  {safe_text(line, limit=MESSAGE_MAX)}" for part in (where, hint) for line in part.splitlines()]
    sys.stderr.write("\n".join(lines) + "\n")
    return code
