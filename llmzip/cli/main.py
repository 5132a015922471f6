"""The command `llmzip`: subcommands, and the bare filter form that users of gzip, xz and zstd expect."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from typing import Any, NoReturn, TextIO

import click
from click.shell_completion import CompletionItem

from llmzip.cli import defaults, run
from llmzip.cli.cat import cat_options
from llmzip.cli.cat import run as run_cat
from llmzip.cli.classify import classify_options
from llmzip.cli.classify import run as run_classify
from llmzip.cli.compare import compare_options
from llmzip.cli.compare import run as run_compare
from llmzip.cli.completion import completion
from llmzip.cli.diff import diff_options
from llmzip.cli.diff import run as run_diff
from llmzip.cli.distance import distance_options
from llmzip.cli.distance import run as run_distance
from llmzip.cli.estimate import estimate_options
from llmzip.cli.estimate import run as run_estimate
from llmzip.cli.files import printable, remove_leftovers
from llmzip.cli.grep import grep_options
from llmzip.cli.grep import run as run_grep
from llmzip.cli.lake import lake
from llmzip.cli.manual import manual
from llmzip.cli.model_commands import models
from llmzip.cli.options import (
    Options,
    compress_options,
    decompress_options,
    filter_options,
    info_options,
    test_options,
    version_option,
)
from llmzip.cli.prompt import prompt_options
from llmzip.cli.prompt import run as run_prompt
from llmzip.cli.rank import rank_options
from llmzip.cli.rank import run as run_rank
from llmzip.cli.signals import Terminated, raise_on_signals
from llmzip.cli.text import run as run_text
from llmzip.cli.text import text_options
from llmzip.errors import LlmzipWarning

EXIT_CODES = """\b
Exit status:
  0 done; 1 error; 2 wrong usage; 3 input corrupt or truncated;
  4 model or context not found, or not the one that the file needs;
  5 this machine's arithmetic cannot decode the file;
  130 interrupted; 143 terminated.
After an error the other files are still done; the status is the first error's."""

SEARCH_CODES = (
    "Exit status: 0 a line was found; 1 none was; 2 an error, after which the other files are still searched."
)
DIFF_CODES = "Exit status: 0 no difference; 1 some difference; 2 an error."

_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_BARE = ""
"""Name under which the group knows the bare form: one that cannot be typed as a command."""


class _Program(click.Group):
    """A group that takes everything but its own commands and options as the bare form."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help", "-V", "--version")):
            args = [_BARE, *args]
        command = self.get_command(ctx, args[0])
        if command in (bare, compress, decompress, test, cat) and not ctx.resilient_parsing:
            args[1:1] = defaults.environment_options(bare, command)
        if command and any(parameter.name == "threads" for parameter in command.params):
            ctx.default_map = {args[0]: defaults.from_file()}
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """For the first word: the commands, and the options and files of the bare form."""
        files = [] if incomplete.startswith("-") else [CompletionItem(incomplete, type="file")]
        options = bare.shell_complete(click.Context(bare, ctx), incomplete)
        return [*files, *super().shell_complete(ctx, incomplete), *options]  # bash starts anew at files

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return bare if cmd_name == _BARE else super().get_command(ctx, cmd_name)


@click.command(cls=_Program, context_settings=_SETTINGS, epilog=EXIT_CODES, invoke_without_command=False)
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
    group: click.Command = program
    for word in context.params.get("words") or ():
        group = (isinstance(group, click.Group) and group.commands.get(word)) or click.Command(None)
    known = group.commands if isinstance(group, click.Group) else {}
    return [
        CompletionItem(name, help=each.get_short_help_str())
        for name, each in known.items()
        if name.startswith(incomplete)
    ]


@program.command(name="help", context_settings=_SETTINGS)
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


@program.command(epilog=EXIT_CODES, context_settings=_SETTINGS)
@compress_options
def compress(files: tuple[str, ...], **parameters: Any) -> int:
    """Compress each FILE to FILE.llmz; without FILE, or for -, standard input to standard output."""
    return _operate("compress", files, parameters)


@program.command(epilog=EXIT_CODES, context_settings=_SETTINGS)
@decompress_options
def decompress(files: tuple[str, ...], **parameters: Any) -> int:
    """Restore each FILE.llmz to FILE; without FILE, or for -, standard input to standard output."""
    return _operate("decompress", files, parameters)


@program.command(epilog=EXIT_CODES, context_settings=_SETTINGS)
@test_options
def test(files: tuple[str, ...], **parameters: Any) -> int:
    """Decode each FILE, verify everything, write nothing."""
    return _operate("test", files, parameters)


@program.command(epilog=EXIT_CODES, context_settings=_SETTINGS)
@info_options
def info(files: tuple[str, ...], **parameters: Any) -> int:
    """Tell what each FILE holds, without decoding it."""
    from llmzip.cli.info import show

    return show(files, Options.of(parameters))


@program.command(epilog=EXIT_CODES, context_settings=_SETTINGS)
@cat_options
def cat(files: tuple[str, ...], part: tuple[int, int | None] | None, **parameters: Any) -> int:
    """Write the original of each FILE, or a part of it, to standard output; without FILE that of standard input."""
    return run_cat(files, part, parameters)


@program.command(epilog=SEARCH_CODES, context_settings=_SETTINGS | {"help_option_names": ["--help"]})
@grep_options
def grep(words: tuple[str, ...], **parameters: Any) -> int:
    """Print the lines that match PATTERN of the original of each FILE, compressed or not, as the system's grep does."""
    return run_grep(words, parameters)


@program.command(epilog=DIFF_CODES, context_settings=_SETTINGS)
@diff_options
def diff(first: str, second: str, **parameters: Any) -> int:
    """Print how the originals of A and B differ, compressed or not, as the system's diff -u does."""
    return run_diff(first, second, parameters)


@program.command(epilog=EXIT_CODES, context_settings=_SETTINGS)
@estimate_options
def estimate(files: tuple[str, ...], form: str, **parameters: Any) -> int:
    """Tell how many bits each FILE has by the model, and where they go; writes no archive."""
    return run_estimate(files, form, parameters)


@program.command(epilog=EXIT_CODES, context_settings=_SETTINGS)
@compare_options
def compare(files: tuple[str, ...], form: str, **parameters: Any) -> int:
    """Compress each FILE with llmzip and with other compressors; every result is verified by restoring it."""
    return run_compare(files, form, parameters)


@program.command(name="rank-models", epilog=EXIT_CODES, context_settings=_SETTINGS)
@rank_options
def rank_models(files: tuple[str, ...], form: str, **parameters: Any) -> int:
    """Rank models by how few bits each FILE takes by them; FILE is text or JSON lines with "text" and "date"."""
    return run_rank(files, form, parameters)


@program.command(epilog=EXIT_CODES, context_settings=_SETTINGS)
@classify_options
def classify(files: tuple[str, ...], form: str, **parameters: Any) -> int:
    """Tell which class each FILE belongs to, by labelled texts that are coded with it; FILE may be a table of texts."""
    return run_classify(files, form, parameters)


@program.command(epilog=EXIT_CODES, context_settings=_SETTINGS)
@distance_options
def distance(files: tuple[str, ...], form: str, **parameters: Any) -> int:
    """Tell how far the first FILE is from each other one, or all from all; FILE may be a table or a folder of texts."""
    return run_distance(files, form, parameters)


@program.command(epilog=EXIT_CODES, context_settings=_SETTINGS)
@prompt_options
def prompt(files: tuple[str, ...], form: str, **parameters: Any) -> int:
    """Make a prompt shorter without loss: repeated runs of tokens become meta-tokens, a dictionary stands in front."""
    return run_prompt(files, form, parameters)


@program.command(epilog=EXIT_CODES, context_settings=_SETTINGS)
@text_options
def text(words: tuple[str, ...], decode: bool, base: str | None, **parameters: Any) -> int:
    """Print TEXT as a short message, or with -d the text of such a message; without TEXT read standard input."""
    return run_text(words, decode, base, parameters)


program.add_command(models)
program.add_command(completion)
program.add_command(manual)
program.add_command(lake)


@click.command(name=_BARE, epilog=EXIT_CODES, context_settings=_SETTINGS)
@filter_options
def bare(files: tuple[str, ...], operation: str | None, **parameters: Any) -> int:
    """Compress, decompress (-d), test (-t) or list (-l) each FILE; without FILE be a filter."""
    if operation is None and not files and sys.stdin is not None and sys.stdin.isatty() and not parameters["force"]:
        click.echo("Usage: llmzip [-d] [OPTION]... [FILE]...   (see llmzip --help)", err=True)
        return 2
    return _operate(operation or "compress", files, parameters)


def _operate(operation: str, files: tuple[str, ...], parameters: dict[str, Any]) -> int:
    # Click hands None for a flag pair that was not given.
    given = {name: value for name, value in parameters.items() if value is not None}
    options = Options.of(given).check(files)
    if operation == "info":
        from llmzip.cli import info, listing

        return info.show(files, options) if options.verbose else listing.show(files, options)
    from llmzip.cli.selection import Selection

    chosen = Selection(files, options, compressing=operation == "compress")
    session = run.Run(options)
    code = session.for_each(chosen, getattr(session, operation))
    chosen.tell_skipped()
    return code or int(chosen.failed)


def _occupy_standard_descriptors() -> None:
    """Make sure that no file opened later becomes descriptor 0, 1 or 2 by accident.

    A closed one is filled with a null device in the wrong direction, so that using it still fails.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if descriptor == 0 else os.O_RDONLY)


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
        if sys.stdout is not None:
            sys.stdout.flush()
        return code or 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        run.notice(printable(" ".join(error.format_message().split())) + " (see llmzip --help)")
        return 2
    except (KeyboardInterrupt, click.Abort):
        return 128 + signal.SIGINT
    except Exception as error:
        return run.report(error, None, debug)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point of the command; ends the process with the exit code."""
    _occupy_standard_descriptors()
    try:
        raise_on_signals()
        code = _execute(sys.argv[1:] if arguments is None else arguments)
    except Terminated as stop:
        code = 128 + stop.number
    finally:
        remove_leftovers()
    if sys.stdout is not None:
        try:
            sys.stdout.flush()
        except OSError:
            # The reader has gone or the disk is full; the interpreter must not complain about it once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            code = code or 1
    sys.exit(code)


if __name__ == "__main__":
    main()
