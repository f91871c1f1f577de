"""The process of a worker: `python -I -m eventctl.worker_process CHANNEL HELLO CRASH PARENT`, numbers of descriptors and of its parent.

Started by the runner and by nobody else. It reads who it is, lets go of what it does not need, loads its cartridge and answers, one run
after the other, until the channel is closed.

    runner -> worker    {"run": number, "record", "defaults"}    a run; {"is"|"raises"|"parks"} the reply to an ask
    worker -> runner    {"up": what it let go of}, {"loaded": true} or {"failed": why}
                        {"ask": [verb, ...]}, {"log": [level, line]}, {"end": number, "how", ...}

Each message is its length (4 bytes, big-endian, at most 4 MiB towards the runner) and one JSON object.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from struct import Struct
from typing import Any

import orjson

from eventctl import confinement
from eventctl.modules import LoadFailed
from eventctl.worker import Inside, Lines, Printed, why_not

_LENGTH = Struct(">I")


class Channel:
    """The worker's end. Blocking: there is nothing else to do."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._stream = self._socket.makefile("rb")

    def say(self, told: Mapping[str, Any]) -> None:
        body = orjson.dumps(told)
        self._socket.sendall(_LENGTH.pack(len(body)) + body)

    def hear(self) -> dict[str, Any] | None:
        """The next message; None when the runner is gone."""
        head = self._stream.read(4)
        if len(head) < 4:
            return None
        body = self._stream.read(*_LENGTH.unpack(head))
        heard: dict[str, Any] = orjson.loads(body)
        return heard

    def talk(self, told: Mapping[str, Any]) -> Any:
        """Say something; an ask waits for its reply. Ends the process when the runner is gone."""
        self.say(told)
        if "ask" not in told:
            return None
        heard = self.hear()
        if heard is None:
            os._exit(0)
        return heard


def main(argv: Sequence[str]) -> int:
    """Answer until the channel is closed."""
    channel_at, hello_at, crash_at, parent = map(int, argv)
    faulthandler.enable(crash_at, all_threads=False)
    for descriptor in (channel_at, crash_at):
        os.set_inheritable(descriptor, False)
    with open(hello_at, "rb") as file:  # noqa: PTH123 - a descriptor
        hello = orjson.loads(file.read())
    channel = Channel(channel_at)
    sys.argv = ["eventctl-worker"]
    channel.say({"up": confinement.confine(hello["memory"], parent, str(Path.cwd()))})
    lines = Lines(channel.talk)
    logging.basicConfig(level=logging.INFO, handlers=[lines])
    sys.stdout = sys.stderr = Printed(lines)
    inside = Inside(hello, channel.talk)
    try:
        inside.load()
    except LoadFailed as failure:
        channel.say({"failed": why_not(failure)})
        return 0
    channel.say({"loaded": True})
    while (wanted := channel.hear()) is not None:
        lines.again()
        channel.say({"end": wanted["run"], **inside.run(wanted)})
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    os._exit(code)  # what a cartridge left running does not hold up the end
