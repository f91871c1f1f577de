"""A runner without supervisor and without the runner's lock: `python runner_alone.py WORKSPACE`.

What a machine that wakes up late looks like: it believes that the workspace is still its own. Ends with 69 once it finds out.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from eventctl.app import running
from eventctl.breadcrumb import NoCrumb
from eventctl.errors import Unavailable
from eventctl.workspace import Paths


def main(root: str) -> int:
    try:
        with running(Paths(Path(root)), os.environ, crumb=NoCrumb()) as run:
            while True:
                run.engine.step()
    except Unavailable as fenced:
        return fenced.exit_code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
