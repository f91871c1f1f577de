"""What a word on the command line may be: a level, a moment, a duration."""

from __future__ import annotations

from typing import Any

import click

from eventctl.cli.session import Session
from eventctl.times import parse_duration, parse_iso

LEVEL_NAMES = ("infrastructure", "operational", "workflow", "business")


class Level(click.ParamType[int]):
    """`workflow`, or 2."""

    name = "level"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = str(value).lower()
        if text in ("0", "1", "2", "3"):
            return int(text)
        if text not in LEVEL_NAMES:
            self.fail(f"{value!r} is no level: one of {', '.join(LEVEL_NAMES)}, or 0 to 3", param, ctx)
        return LEVEL_NAMES.index(text)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in LEVEL_NAMES if name.startswith(incomplete)]


class Moment(click.ParamType[int]):
    """`2h` (that long ago), or an RFC 3339 time; as microseconds since 1970 UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        now = (ctx.find_object(Session) if ctx else None) or Session()
        try:
            return now.now() - parse_duration(value)
        except ValueError:
            pass
        try:
            return parse_iso(value)
        except ValueError:
            self.fail(f"{value!r} is neither an age like 2h nor a time like 2026-11-20T10:00:00Z", param, ctx)


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
        from eventctl.patterns import check

        try:
            check(str(value))
        except ValueError as wrong:
            self.fail(str(wrong), param, ctx)
        return str(value)


LEVEL = Level()
PATTERN = Pattern()
MOMENT = Moment()
DURATION = Duration()
