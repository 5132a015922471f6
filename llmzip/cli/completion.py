"""`llmzip completion`: what makes a shell complete the commands, options and files of llmzip."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
VARIABLE = "_LLMZIP_COMPLETE"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion for a shell.

    \b
    bash:  eval "$(llmzip completion bash)"      in ~/.bashrc
    zsh:   eval "$(llmzip completion zsh)"       in ~/.zshrc, after compinit
    fish:  llmzip completion fish > ~/.config/fish/completions/llmzip.fish
    """
    made = SHELLS[shell](context.find_root().command, {}, "llmzip", VARIABLE)
    # Without its look at the version of the bash that happens to be the first one.
    click.echo(made.source_template % made.source_vars())
