"""`python -m eventctl`, and the `eventctl` program: the command line, quiet about Ctrl-C while it is still being read in."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    try:
        from eventctl.cli import main as program
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    program()


if __name__ == "__main__":
    main()
