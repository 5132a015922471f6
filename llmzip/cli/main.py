"""The command `llmzip`: subcommands, and the bare filter form that users of gzip, xz and zstd expect."""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from os import _exit as end_process
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import click

from llmzip.cli import limits, run, signals
from llmzip.cli.files import ClosedOutput, printable, remove_leftovers
from llmzip.cli.options import filter_options, version_option
from llmzip.cli.program import BARE, EXIT_CODES, SETTINGS, Program
from llmzip.codec import ahead
from llmzip.errors import LlmzipWarning

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_HOMES = {  # of the commands that are loaded when they are asked for
    "cat": "llmzip.cli.cat:command",
    "classify": "llmzip.cli.classify:command",
    "compare": "llmzip.cli.compare:command",
    "completion": "llmzip.cli.completion:completion",
    "compress": "llmzip.cli.operations:compress",
    "decompress": "llmzip.cli.operations:decompress",
    "diff": "llmzip.cli.diff:command",
    "distance": "llmzip.cli.distance:command",
    "estimate": "llmzip.cli.estimate:command",
    "grep": "llmzip.cli.grep:command",
    "info": "llmzip.cli.operations:info",
    "lake": "llmzip.cli.lake:lake",
    "man": "llmzip.cli.manual:manual",
    "models": "llmzip.cli.model_commands:models",
    "prompt": "llmzip.cli.prompt:command",
    "rank-models": "llmzip.cli.rank:command",
    "test": "llmzip.cli.operations:test",
    "text": "llmzip.cli.text:command",
}


@click.command(cls=Program, homes=_HOMES, context_settings=SETTINGS, epilog=EXIT_CODES, invoke_without_command=False)
@version_option
def program() -> None:
    """Compress text without loss, driven by a language model.

    Without a command llmzip is a filter in the manner of xz and zstd: "llmzip FILE" makes FILE.llmz, "llmzip -d
    FILE.llmz" restores it, "llmzip -t" tests, "llmzip -l" lists, and without FILE it reads standard input and writes
    standard output: "tar -I llmzip -cf DIR.tar.llmz DIR". "llmzip -d --help" lists the options of that form.
    A file named like a command is written ./NAME.
    """


def _commands(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The commands of llmzip, or of the group that was named already."""
    from click.shell_completion import CompletionItem

    group: click.Command | None = program
    for word in context.params.get("words") or ():
        group = group.get_command(context, word) if isinstance(group, click.Group) else None
    if not isinstance(group, click.Group):
        return []
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return [
        CompletionItem(name, help=each.get_short_help_str())
        for name, each in found.items()
        if each and name.startswith(incomplete)
    ]


@program.command(name="help", context_settings=SETTINGS)
@click.argument("words", metavar="[COMMAND]...", nargs=-1, shell_complete=_commands)
@click.pass_context
def show_help(context: click.Context, words: tuple[str, ...]) -> None:
    """Explain llmzip, or the command that is named."""
    command: click.Command = program
    told = context.parent or context
    for word in words:
        found = command.get_command(told, word) if isinstance(command, click.Group) else None
        if found is None:
            raise click.UsageError(f"there is no command {' '.join(words)!r}")
        command, told = found, click.Context(found, told, info_name=word)
    click.echo(command.get_help(told))


class _Bare(click.Command):
    """The form without a command, in whose usage there is no name of one."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path.strip() or "llmzip", " ".join(self.collect_usage_pieces(ctx)))


@program.command(name=BARE, cls=_Bare, epilog=EXIT_CODES, context_settings=SETTINGS)
@filter_options
def bare(files: tuple[str, ...], operation: str | None, **parameters: Any) -> int:
    """Compress, decompress (-d), test (-t) or list (-l) each FILE; without FILE be a filter."""
    named = files or any(parameters[name] for name in ("output", "files_from", "recursive", "force"))
    if operation is None and not named and all(each is not None and each.isatty() for each in (sys.stdin, sys.stdout)):
        click.echo("Usage: llmzip [-d] [OPTION]... [FILE]...   (see llmzip --help)", err=True)
        return 2
    return run.operate(operation or "compress", files, parameters)


def _occupy_standard_descriptors() -> None:
    """Make sure that no file opened later becomes descriptor 0, 1 or 2 by accident.

    A closed one is filled with a null device in the wrong direction, so that using it still fails. Words for a stderr that is closed go
    nowhere: where Python has none, it prints them to standard output.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if descriptor == 0 else os.O_RDONLY)
    sys.stdout = sys.stdout or ClosedOutput()
    sys.stderr = sys.stderr or open(os.devnull, "w")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # characters of names that the locale lacks


def _execute(arguments: list[str]) -> int:
    """Run the program; every outcome as an exit code, every failure as one line on stderr."""
    debug = "--debug" in arguments
    with warnings.catch_warnings():
        warnings.simplefilter("once", LlmzipWarning)
        others = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, LlmzipWarning):
                run.notice(printable(str(message)))
            else:
                others(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        return _outcome(arguments, debug)


def _outcome(arguments: list[str], debug: bool) -> int:
    try:
        code = program.main(arguments, prog_name="llmzip", standalone_mode=False)
        sys.stdout.flush()
        return code or 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        path = error.ctx.command_path.strip() if error.ctx else "llmzip"
        run.notice(printable(" ".join(error.format_message().split())) + f" (see {path} --help)")
        return 2
    except (KeyboardInterrupt, click.Abort):
        return 128 + signal.SIGINT
    except Exception as error:
        return run.report(error, None, debug)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point of the command; ends the process with the exit code."""
    _occupy_standard_descriptors()
    limits.watch()
    try:
        try:
            signals.raise_on_signals()
            code = _execute(sys.argv[1:] if arguments is None else arguments)
            signals.resume()
        finally:
            remove_leftovers()
            signals.no_more()
    except signals.Terminated as stop:
        signals.no_more()
        remove_leftovers()  # a signal may have come while that was done
        code = 128 + stop.number
    signals.end_at_once()
    try:
        sys.stdout.flush()
    except OSError:
        # The reader has gone or the disk is full; the interpreter must not complain about it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = code or 1
    if ahead.stuck():
        end_process(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
