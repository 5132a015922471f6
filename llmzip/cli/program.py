"""The group of commands: each is loaded when it is asked for, so that those with much to import cost the others nothing."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any

import click

from llmzip.cli import defaults

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

EXIT_CODES = """\b
Exit status:
  0 done; 1 error; 2 wrong usage; 3 input corrupt or truncated;
  4 model or context not found, or not the one that the file needs;
  5 this machine's arithmetic cannot decode the file;
  129, 130, 143 ended by SIGHUP, Ctrl-C, SIGTERM.
After an error the other files are still done; the status is the first error's."""

SEARCH_CODES = (
    "Exit status: 0 a line was found; 1 none was; 2 an error, after which the other files are still searched."
)
DIFF_CODES = "Exit status: 0 no difference; 1 some difference; 2 an error."

SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

BARE = ""
"""Name under which the group knows the bare form: one that cannot be typed as a command."""
_OWN_OPTIONS = ("-h", "--help", "-V", "--version")
_BY_ENVIRONMENT = (BARE, "compress", "decompress", "test", "cat")
"""The commands for which options of the environment count."""


class Commands(click.Group):
    """A group whose list of commands cuts no sentence short."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [
            (name, _clause(command)) for name in self.list_commands(ctx) if (command := self.get_command(ctx, name))
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _clause(command: click.Command) -> str:
    """What a command does: the first clause of its help."""
    first = " ".join((command.help or "").split("\n\n")[0].split())
    found = re.match(r"(?:\([^)]*\)|[^.:;(]|[.:;](?! |$))*", first)
    return f"{found[0] if found else first}."


class Program(Commands):
    """A group that takes everything but its own commands and options as the bare form.

    homes: of each command the module that has it and its name there, as MODULE:NAME.
    """

    def __init__(self, *args: Any, homes: dict[str, str], **given: Any) -> None:
        super().__init__(*args, **given)
        self._homes = homes

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        if args and args[0] in _OWN_OPTIONS:
            args = args[:1]
        if not args or (args[0] not in self.list_commands(ctx) and args[0] not in _OWN_OPTIONS):
            args = [BARE, *args]
        name, command = args[0], self.get_command(ctx, args[0])
        if command and name in _BY_ENVIRONMENT and not ctx.resilient_parsing:
            args[1:1] = defaults.environment_options(self.bare, command)
        if command and any(parameter.name == "threads" for parameter in command.params):
            ctx.default_map = {name: defaults.from_file()}
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """For the first word: the commands, and the options and files of the bare form."""
        from click.shell_completion import CompletionItem

        files = [] if incomplete.startswith("-") else [CompletionItem(incomplete, type="file")]
        options = self.bare.shell_complete(click.Context(self.bare, ctx), incomplete)
        return [*files, *super().shell_complete(ctx, incomplete), *options]  # bash starts anew at files

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(name for name in {*self.commands, *self._homes} if name != BARE)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._homes and cmd_name not in self.commands:
            module, name = self._homes[cmd_name].split(":")
            self.commands[cmd_name] = getattr(importlib.import_module(module), name)
        return super().get_command(ctx, cmd_name)

    @property
    def bare(self) -> click.Command:
        """The form without a command."""
        return self.commands[BARE]
