"""`cartridge test`: the examples that stand beside cartridges, run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from eventctl.cli.session import Session, Verb, json_option
from eventctl.errors import EventctlError, Misconfigured

if TYPE_CHECKING:
    from eventctl.cli.render import Screen
    from eventctl.examples import Result


@click.command("test", cls=Verb, short_help="Run the examples that stand beside cartridges.")
@click.argument("path", required=False, type=click.Path(path_type=Path), metavar="[PATH]")
@json_option
@click.pass_obj
def cartridge_test(session: Session, /, path: Path | None, as_json: bool) -> None:
    """Run the examples of the cartridge at PATH, or of all cartridges of the workspace. Ends with 1 when one does not hold.

    An example is a TOML file beside the cartridge: NAME.examples.toml, or examples/*.toml in its folder.

    \b
    eventctl cartridge test
    eventctl cartridge test personal/ada/cartridges/ad-spend.toml
    """
    from eventctl import examples
    from eventctl.backtest import Stage
    from eventctl.cli.render import Screen, count, document
    from eventctl.cli.wiring import house_of

    house = house_of(session)
    stage = Stage(house, None)
    root = house.paths.root
    chosen = [(path, file) for file in examples.of(path)] if path else examples.every(root)
    results, broken = list[tuple[Path, "Result | None", str]](), 0
    for unit, file in chosen:
        try:
            results.append((file, examples.run(file, stage.alone(stage.place(unit))), ""))
        except Misconfigured as wrong:
            broken += 1
            results.append((file, None, str(wrong)))
    failed = sum(result is None or bool(result.misses) for _, result, _ in results)
    if as_json:
        document(
            {
                "examples": len(results), "failed": failed,
                "items": [
                    {"path": _shown(file, root), "cartridge": result.cartridge if result else None, "ok": bool(result and not result.misses),
                     "misses": [miss._asdict() for miss in result.misses] if result else [], "problem": problem or None}
                    for file, result, problem in results
                ],
            }
        )  # fmt: skip
    else:
        screen = Screen(session)
        for file, result, problem in results:
            _tell(screen, _shown(file, root), result, problem)
        if not results:
            screen.say("No cartridge here has an example: write one beside it, as NAME.examples.toml.")
        else:
            screen.line(f"{count(len(results), 'example')}, {failed or 'none'} failed")
    if failed:
        raise click.exceptions.Exit(EventctlError.exit_code)


def _tell(screen: Screen, name: str, result: Result | None, problem: str) -> None:
    if result is not None and not result.misses:
        screen.line("ok    ", name)
        return
    screen.line("failed", name)
    if problem:
        screen.sentence(problem, indent=8)
    for miss in result.misses if result else ():
        screen.line(f"        {miss.what}")
        screen.line("          expected", miss.expected)
        screen.line("          found   ", miss.found)


def _shown(file: Path, root: Path) -> str:
    try:
        return file.resolve().relative_to(root).as_posix()
    except ValueError:
        return str(file)
