"""`llmzip grep`: the system's grep on the originals of files, which are decoded into it block by block."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import IO, Any

import click

from llmzip.cli.files import on_output
from llmzip.cli.options import PATH, Options, apply, context_option, model_options, version_option
from llmzip.cli.originals import Original
from llmzip.cli.program import SEARCH_CODES, SETTINGS
from llmzip.cli.run import Run
from llmzip.cli.tree import Tree
from llmzip.container import write_all
from llmzip.errors import LlmzipError, UsageError

_STDIN = "(standard input)"

_PASSED = {
    "number": ("-n", "--line-number", "Lines with their numbers."),
    "ignore_case": ("-i", "--ignore-case", "Capitals are small letters."),
    "count": ("-c", "--count", "The number of lines in place of the lines."),
    "with_matches": ("-l", "--files-with-matches", "The names of files with such lines in place of the lines."),
    "without_match": ("-L", "--files-without-match", "The names of files without such lines."),
    "invert": ("-v", "--invert-match", "The lines that do not match."),
    "only": ("-o", "--only-matching", "The parts that match in place of the lines."),
    "word": ("-w", "--word-regexp", "Only whole words match."),
    "line": ("-x", "--line-regexp", "Only whole lines match."),
    "quiet": ("-q", "--quiet", "Print nothing and end at the first line; the status tells."),
    "text": ("-a", "--text", "Take every file for text."),
    "extended": ("-E", "--extended-regexp", "PATTERN is an extended regular expression."),
    "fixed": ("-F", "--fixed-strings", "PATTERN is a string, not a regular expression."),
    "perl": ("-P", "--perl-regexp", "PATTERN is a regular expression of Perl's."),
    "with_name": ("-H", "--with-filename", "Lines with the names of their files (of several files: the default)."),
    "without_name": ("-h", "--no-filename", "Lines without the names of their files."),
}
_NUMBERS = {
    "most": ("-m", "--max-count", "End each file after NUM lines."),
    "after": ("-A", "--after-context", "NUM lines after each, too."),
    "before": ("-B", "--before-context", "NUM lines before each, too."),
    "around": ("-C", "--context-lines", "NUM lines before and after each, too."),
}

grep_options = apply(
    [
        click.argument("words", metavar="PATTERN [FILE]...", nargs=-1, type=PATH),
        *[click.option(short, long, name, is_flag=True, help=help) for name, (short, long, help) in _PASSED.items()],
        *[
            click.option(short, long, name, metavar="NUM", type=click.IntRange(0), help=help)
            for name, (short, long, help) in _NUMBERS.items()
        ],
        click.option(
            "-e", "--regexp", "patterns", metavar="PATTERN", multiple=True, help="A pattern; several are either."
        ),
        click.option(
            "-r", "--recursive", is_flag=True, help="All files in the folders FILE (default: the current one)."
        ),
        click.option(
            "--color", type=click.Choice(["auto", "always", "never"]), default="never", help="Mark what matches."
        ),
        *model_options,
        context_option,
        click.option("--debug", is_flag=True, help="Print a traceback when something fails."),
        version_option,
    ]
)


def run(words: tuple[str, ...], parameters: dict[str, Any]) -> int:
    """Search the files; 0 where a line was found, 1 where none was, 2 after an error."""
    patterns, files = parameters["patterns"] or words[:1], words[0 if parameters["patterns"] else 1 :]
    if not patterns:
        raise UsageError("grep needs a PATTERN (see llmzip grep --help)")
    command = ["grep", *_flags(parameters), *(word for pattern in patterns for word in ("-e", pattern))]
    _refuse(command)
    recursive, quiet = parameters["recursive"], parameters["quiet"]
    named = len(files) > 1 or recursive or parameters["with_name"]
    if named and not parameters["without_name"]:
        command.append("-H")
    session = Run(Options.of({name: value for name, value in parameters.items() if name != "quiet"}))
    found = False

    def one(path: str | None) -> None:
        nonlocal found
        if quiet and found:
            return
        with Original(path, lambda: session.codec, plain=True) as source:
            try:
                found |= _search([*command, f"--label={_STDIN if path is None else on_output(path)}"], source)
            except BrokenPipeError:
                session.writing_stdout = True  # whoever reads has gone: nothing more is wanted
                raise

    tree = Tree(files or (".",)) if recursive else None
    failed = session.for_each(tree or files, one)
    if quiet and found:
        return 0
    return 2 if failed or (tree and tree.failed) else 0 if found else 1


def _flags(parameters: dict[str, Any]) -> list[str]:
    flags = [short for name, (short, _, _) in _PASSED.items() if parameters[name] and name != "with_name"]
    for name, (short, _, _) in _NUMBERS.items():
        if parameters[name] is not None:
            flags += [short, str(parameters[name])]
    colour = parameters["color"]
    if colour != "never" and not (colour == "auto" and os.environ.get("NO_COLOR")):
        flags.append(f"--color={colour}")
    return flags


def _refuse(command: list[str]) -> None:
    """Raises UsageError for what grep takes for no pattern, or where there is no grep, before a file is touched."""
    try:
        tried = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    except FileNotFoundError:
        raise UsageError("searching needs the program grep, which is not installed here") from None
    if tried.returncode > 1:
        reason = os.fsdecode(tried.stderr).strip().splitlines()
        raise UsageError(reason[0].removeprefix("grep: ") if reason else "grep does not take these options")


def _search(command: list[str], source: Original) -> bool:
    """Whether lines were found; they go to standard output. Raises BrokenPipeError where that takes no more."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0) as process:
        try:
            _feed(process.stdin, source)
        except Exception:
            process.wait()  # what is before the damage is searched
            raise
        except BaseException:
            process.kill()
            raise
    if process.returncode == -signal.SIGPIPE:
        raise BrokenPipeError
    if process.returncode not in (0, 1):
        raise LlmzipError(f"grep ended with status {process.returncode}")
    return process.returncode == 0


def _feed(sink: IO[bytes] | None, source: Original) -> None:
    """Write the original to grep, as long as it wants more."""
    assert sink
    with sink:
        for piece in source.pieces():
            try:
                write_all(sink, piece)  # type: ignore[arg-type]
            except BrokenPipeError:
                return


@click.command(name="grep", epilog=SEARCH_CODES, context_settings=SETTINGS | {"help_option_names": ["--help"]})
@grep_options
def command(words: tuple[str, ...], **parameters: Any) -> int:
    """Print the lines that match PATTERN of the original of each FILE, compressed or not, as the system's grep does."""
    return run(words, parameters)
