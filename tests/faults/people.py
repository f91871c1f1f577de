"""People at their desk: `python people.py WORKSPACE ACKS`. Approves and denies what is held, takes some back, and says so once it is kept."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from eventctl import client, decisions
from eventctl.errors import Conflict
from eventctl.principal import Principal
from eventctl.times import now_us
from eventctl.workspace import Paths

ADMIN = Principal.parse("cli:tester", "admin")
MOVES = {"approve": decisions.approve, "deny": decisions.deny, "undo": decisions.undo}


def main(root: str, acks: str) -> None:
    told = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with client.short(Paths(Path(root))) as store:
        for row in store.views.decisions(("held", "window", "done"), limit=1_000):
            verb = choice(row.number, row.state)
            if not verb:
                continue
            try:
                MOVES[verb](store, row.number, principal=ADMIN, now=now_us())
            except Conflict:  # it came due, or was decided, before this one was heard
                continue
            os.write(told, f"{verb} {row.number}\n".encode())


def choice(number: int, state: str) -> str:
    """Of what is held: half is approved, a quarter denied, the rest expires. Of the others a part is taken back."""
    if state == "held":
        return ("approve", "deny", "approve", "")[number // 3 % 4]
    return "undo" if number % 4 == 1 else ""


if __name__ == "__main__":
    main(*sys.argv[1:])
