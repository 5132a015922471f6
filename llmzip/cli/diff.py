"""`llmzip diff`: the system's diff on the originals of two files."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import ExitStack
from typing import IO, Any

import click

from llmzip.cli.files import on_output, require_output
from llmzip.cli.options import PATH, Options, apply, context_option, model_options, report_messages_options
from llmzip.cli.originals import Original
from llmzip.cli.program import DIFF_CODES, SETTINGS
from llmzip.cli.run import Run, name_of, report
from llmzip.container import write_all
from llmzip.errors import LlmzipError, UsageError

DIFFERENT, TROUBLE = 1, 2

diff_options = apply(
    [
        click.argument("first", metavar="A", type=PATH),
        click.argument("second", metavar="B", type=PATH),
        click.option(
            "-U",
            "--unified",
            "lines",
            metavar="NUM",
            type=click.IntRange(0),
            default=3,
            help="Lines around a change (default: 3).",
        ),
        click.option("-i", "--ignore-case", is_flag=True, help="Capitals are small letters."),
        click.option("-w", "--ignore-all-space", is_flag=True, help="Spaces do not count."),
        click.option("-a", "--text", is_flag=True, help="Take both files for text."),
        click.option("--brief", is_flag=True, help="Only whether they differ."),
        click.option(
            "--color", type=click.Choice(["auto", "always", "never"]), default="never", help="Colours for what changed."
        ),
        *model_options,
        context_option,
        *report_messages_options,
    ]
)


def run(first: str, second: str, parameters: dict[str, Any]) -> int:
    """Print what differs; 0 where nothing does, 1 where something does, 2 after an error."""
    if first == second == "-":
        raise UsageError("standard input (-) can be read only once")
    session = Run(Options.of(parameters))
    flags = [flag for flag in ("-i", "-w", "-a") if parameters[_parameter(flag)]]
    flags += ["--brief"] if parameters["brief"] else [f"-U{parameters['lines']}"]
    colour = parameters["color"]
    if colour != "never" and not (colour == "auto" and os.environ.get("NO_COLOR")):
        flags.append(f"--color={colour}")
    name: str | None = None
    with ExitStack() as stack:
        originals = []
        try:
            for name in (first, second):
                source = stack.enter_context(Original(None if name == "-" else name, lambda: session.codec, plain=True))
                originals.append(_as_file(source, stack))
            name = None
            return _compare(flags, [first, second], originals)
        except Exception as error:
            report(error, name and name_of(None if name == "-" else name), session.options.debug)
            return TROUBLE


def _parameter(flag: str) -> str:
    return {"-i": "ignore_case", "-w": "ignore_all_space", "-a": "text"}[flag]


def _as_file(source: Original, stack: ExitStack) -> int:
    """A descriptor of the original: of the file itself where it is plain, else of a file without a name that holds it.

    The system's diff takes both sides into memory or seeks in them, so that a pipe would gain nothing.
    """
    if not source.packed and source.seekable:
        return source.input.stream.fileno()
    file: IO[bytes] = stack.enter_context(tempfile.TemporaryFile(buffering=0))
    for piece in source.pieces():
        write_all(file, piece)  # type: ignore[arg-type]
    return file.fileno()


def _compare(flags: list[str], names: list[str], descriptors: list[int]) -> int:
    for descriptor in descriptors:
        os.lseek(descriptor, 0, os.SEEK_SET)
    labels = [word for name in names for word in ("--label", on_output(name))]
    files = [f"/dev/fd/{descriptor}" for descriptor in descriptors]
    try:
        require_output()
        done = subprocess.run(["diff", *flags, *labels, *files], pass_fds=descriptors, stderr=subprocess.PIPE)
    except FileNotFoundError:
        raise LlmzipError("comparing needs the program diff, which is not installed here") from None
    if done.returncode < 0:  # whoever read has gone
        raise BrokenPipeError
    if done.stderr:
        raise LlmzipError(os.fsdecode(done.stderr).strip().removeprefix("diff: "))
    return done.returncode


@click.command(name="diff", epilog=DIFF_CODES, context_settings=SETTINGS)
@diff_options
def command(first: str, second: str, **parameters: Any) -> int:
    """Print how the originals of A and B differ, compressed or not, as the system's diff -u does."""
    return run(first, second, parameters)
