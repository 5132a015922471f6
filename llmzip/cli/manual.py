"""`llmzip man`: a manual page, made from what `--help` says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from llmzip.version import __version__

_ENVIRONMENT = {
    "LLMZIP_OPTS": "Options that count before those of the command line.",
    "LLMZIP_MODEL": "What --model is where it is not given.",
    "LLMZIP_CONFIG": "The configuration file, in place of config.toml in the user's folder of settings.",
    "LLMZIP_MODEL_PATH": "Folders, separated by colons, whose GGUF files are looked through for the model that a file needs.",
    "LLMZIP_CACHE": "Folder of expanded weights.",
    "LLMZIP_DATA": "Folder of the list of models.",
    "NO_COLOR": "If it is not empty, reports have neither colours nor bold letters.",
}


@click.command(name="man", context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def manual(context: click.Context) -> None:
    """Print the manual page: llmzip man | man -l - shows it, llmzip man > /usr/local/share/man/man1/llmzip.1 installs it."""
    root = context.find_root()
    click.echo("\n".join(page(root.command, root)))


def page(program: click.Command, context: click.Context) -> Iterator[str]:
    """The lines of the page in the man macros of roff."""
    yield f'.TH LLMZIP 1 "" "llmzip {__version__}" "User Commands"'
    yield from (".SH NAME", r"llmzip \- compress text without loss, driven by a language model")
    yield ".SH SYNOPSIS"
    commands = list(_commands(program, context))
    bare = next(each for each in commands if each[0] == "llmzip")
    yield from (".B llmzip", _text(" ".join(bare[1].collect_usage_pieces(bare[2]))), ".br")
    yield from (".B llmzip", r"\fICOMMAND\fR [\fIOPTION\fR]... [\fIFILE\fR]...")
    yield ".SH DESCRIPTION"
    yield from _paragraphs(program.help or "")
    yield ".SH OPTIONS"
    yield from _options(bare[1], bare[2])
    yield ".SH COMMANDS"
    for name, command, inner in commands:
        if command is bare[1]:
            continue
        yield f'.SS "{_text(name)} {_text(" ".join(command.collect_usage_pieces(inner)))}"'
        yield from _paragraphs(command.help or "")
        yield from _options(command, inner)
    yield ".SH ENVIRONMENT"
    for variable, meaning in _ENVIRONMENT.items():
        yield from (".TP", f".B {variable}", _text(meaning))
    if program.epilog:
        title, _, rest = inspect.cleandoc(program.epilog.replace("\b", "")).partition("\n")
        yield f".SH {title.strip().rstrip(':').upper()}"
        yield from (".nf", *(_text(line.strip()) for line in rest.splitlines()), ".fi")


def _commands(program: click.Command, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command that can be called, with its full name, the bare form first."""
    if not isinstance(program, click.Group):
        yield context.command_path, program, context
        return
    for name in ["", *program.list_commands(context)]:
        command = program.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = click.Context(command, context, info_name=name or None)
        yield from ((path.strip(), each, its) for path, each, its in _commands(command, inner))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record:
            yield from (".TP", f"\\fB{_text(record[0])}\\fR", _text(record[1]))


def _paragraphs(text: str) -> Iterator[str]:
    """Help as click has it: paragraphs, of which those after a line with \\b keep their lines."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", inspect.cleandoc(text))):
        kept = paragraph.startswith("\b")
        lines = [line.strip() if not kept else line for line in paragraph.splitlines() if line.strip("\b")]
        yield from (".PP",) if number else ()
        yield from (".nf", *map(_text, lines), ".fi") if kept else map(_text, lines)


def _text(text: str) -> str:
    """Text that roff takes as it is."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return r"\&" + escaped if escaped[:1] in (".", "'") else escaped
