"""The process that runs cartridges: `python -m eventctl.runner_process ROOT --nonce N --nudge FD`.

Started by the supervisor and by nobody else. The crash file is armed before anything else is imported: whatever kills this
process leaves the line that it was in. It ends when it is told to (SIGTERM), or when the other end of its nudge is closed, which
says that its supervisor is gone.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from eventctl.errors import EventctlError
from eventctl.workspace import Paths


def main(argv: Sequence[str]) -> int:
    """Run until told to stop; returns the exit code that the supervisor reads."""
    given = _arguments(argv)
    paths = Paths(given.root)
    crash = os.open(paths.crash, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    faulthandler.enable(crash, all_threads=True)
    os.set_inheritable(given.nudge, False)  # a command that a cartridge calls must not keep it open
    _log_to_stderr()
    try:
        return _run(paths, given.nudge)
    except EventctlError as error:
        logging.getLogger("eventctl.runner").error("%s", " - ".join(filter(None, (str(error), error.hint))))  # noqa: TRY400 - no bug
        return error.exit_code


def _run(paths: Paths, nudge: int) -> int:
    from eventctl import app, settings
    from eventctl.breadcrumb import Breadcrumb
    from eventctl.times import SECOND

    given, _ = settings.load(paths.config, os.environ)
    crumb = Breadcrumb(paths.breadcrumb, limit_s=given.runner.hang_deadline / SECOND)
    with app.running(paths, os.environ, crumb=crumb, watch=True) as running:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: running.engine.stop())
        for problem in running.problems:
            if not problem.warning:
                logging.getLogger("eventctl.runner").warning("left out: %s: %s", problem.where, problem.what)
        running.engine.loop(nudge)
    crumb.close()
    return 0


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="eventctl.runner_process")
    parser.add_argument("root", type=Path)
    parser.add_argument("--nonce", required=True)
    parser.add_argument("--nudge", type=int, required=True)
    return parser.parse_args(argv)


def _log_to_stderr() -> None:
    """One safe line for each message: what cartridges and events say may hold anything."""
    from eventctl.text import safe_text

    class Safe(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return "\n".join(safe_text(line, limit=4_000) for line in super().format(record).split("\n"))

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Safe("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it tells how many files changed; what came of it is an event


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
