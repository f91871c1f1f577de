"""What a word on the command line may be: a level, a moment, a duration."""

from __future__ import annotations

from typing import Any

import click

from eventctl import flags
from eventctl.cli.session import Session
from eventctl.times import parse_duration

LEVEL_NAMES = flags.LEVEL_NAMES


class Level(click.ParamType[int]):
    """`workflow`, or 2."""

    name = "level"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return flags.level(str(value))
        except ValueError as wrong:
            self.fail(str(wrong), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in LEVEL_NAMES if name.startswith(incomplete)]


class Moment(click.ParamType[int]):
    """`2h` (that long ago), or an RFC 3339 time; as microseconds since 1970 UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        session = (ctx.find_object(Session) if ctx else None) or Session()
        try:
            return flags.moment(str(value), session.now())
        except ValueError as wrong:
            self.fail(str(wrong), param, ctx)


class Duration(click.ParamType[int]):
    """`90s`, `2h 30m`, `7d`; as microseconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_duration(value)
        except ValueError as wrong:
            self.fail(str(wrong), param, ctx)


class Pattern(click.ParamType[str]):
    """`deployment.*`, or `domain.**`."""

    name = "pattern"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return flags.pattern(str(value))
        except ValueError as wrong:
            self.fail(str(wrong), param, ctx)


LEVEL = Level()
PATTERN = Pattern()
MOMENT = Moment()
DURATION = Duration()
