"""`completion`: the line that a shell needs."""

from __future__ import annotations

from typing import Any

import click

from eventctl.cli.session import Verb

WHERE = {
    "bash": '# add to ~/.bashrc:\n#   eval "$(eventctl completion bash)"',
    "zsh": '# add to ~/.zshrc:\n#   eval "$(eventctl completion zsh)"',
    "fish": "# save as ~/.config/fish/completions/eventctl.fish",
}


@click.command(cls=Verb, short_help="Tab completion for bash, zsh and fish.")
@click.argument("shell", type=click.Choice(list(WHERE)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    eval "$(eventctl completion bash)"
    eventctl completion fish > ~/.config/fish/completions/eventctl.fish
    """
    from click.shell_completion import ShellComplete, get_completion_class

    found: Any = get_completion_class(shell)  # never None: click ships the three shells that the argument allows
    script = found(ctx.find_root().command, {}, "eventctl", "_EVENTCTL_COMPLETE")
    click.echo(WHERE[shell])
    click.echo(ShellComplete.source(script))  # bash's own `source` runs a bash first, to ask for its version
