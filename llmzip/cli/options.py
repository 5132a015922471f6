"""The options of the commands, and the one object that carries them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import click
from click.core import ParameterSource

from llmzip.cli import completing
from llmzip.codec.head import MAX_STREAMS
from llmzip.codec.settings import (
    DEFAULT_LEVEL,
    DEFAULT_PATIENCE,
    LAST_WITHOUT_NETWORK,
    MOST_PATIENCE,
    SMALLEST_BLOCK,
    SMALLEST_WINDOW,
    Settings,
)
from llmzip.container.format import MAX_BLOCK, MAX_CONTEXT
from llmzip.errors import UsageError

SUFFIX = ".llmz"

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]

_SIZE = re.compile(r"(\d+)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


@dataclass(frozen=True)
class Options(Settings):
    """What the user asked for, of the codec and of the command; commands without an option leave its default."""

    output: str | None = None
    suffix: str = SUFFIX
    stdout: bool = False
    remove: bool = False
    force: bool = False
    quiet: bool = False
    verbose: bool = False
    progress: bool = True
    debug: bool = False
    json: bool = False
    salvage: bool = False
    zeros: bool = False
    recursive: bool = False
    files_from: str | None = None
    null: bool = False
    jobs: int = 1

    @property
    def settings(self) -> Settings:
        """What is meant for the codec."""
        return Settings(**{field.name: getattr(self, field.name) for field in fields(Settings)})

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Options:
        """From a command's parameters; others than the options are passed over."""
        names = {field.name for field in fields(cls)}
        values = {name: value for name, value in parameters.items() if name in names}
        if values.get("level", DEFAULT_LEVEL) <= LAST_WITHOUT_NETWORK and is_default("model"):
            values.pop("model", None)  # it was meant for files that need a network
        return cls(**values)

    def check(self, files: tuple[str, ...]) -> Options:
        """The options for these files, with `-o -` turned into `-c`. Raises `UsageError` for contradictions."""
        output, stdout = self.output, self.stdout
        if output is not None and stdout:
            raise UsageError("-c and -o name two outputs: give one of them")
        if output == "":
            raise UsageError("-o needs a file name")
        if not self.suffix or "/" in self.suffix or "\0" in self.suffix:
            raise UsageError(f"-S {self.suffix!r} is no suffix for a file name: give one like {SUFFIX}")
        many = self.recursive or self.files_from is not None
        if output is not None and many:
            raise UsageError("-o names one output: use -c to join those of many files, or no -o")
        if output is not None and len(files) > 1:
            raise UsageError(f"-o names one output for {len(files)} files: use -c to join them, or no -o")
        if output in ("-", "/dev/stdout"):
            output, stdout = None, True
        if self.remove and (stdout or not (files or many) or "-" in files):
            raise UsageError("--rm needs files on both sides: it cannot go with standard input or output")
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return Options(**values | {"output": output, "stdout": stdout})


def is_default(parameter: str) -> bool:
    """Whether the value of a parameter is from the environment or the configuration file: not said of these very files."""
    context = click.get_current_context(silent=True)
    elsewhere = (ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP)
    return context is not None and context.get_parameter_source(parameter) in elsewhere


def parse_size(text: str) -> int:
    """Bytes of a size like 65536, 512K or 4MiB (K, M, G and T are powers of 1024). Raises `ValueError`."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a size: write bytes, or a number with K, M, G or T")
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[match[2].upper()]


class Size(click.ParamType[int]):
    """A size like 512K, not below `least` and not above `most` (None: no limit)."""

    name = "size"

    def __init__(self, least: int, most: int | None = None) -> None:
        self._least, self._most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes from an option's text."""
        if isinstance(value, int):
            return value
        try:
            size = parse_size(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if size < self._least:
            self.fail(f"{value} is too small: give at least {self._least >> 10}K", param, ctx)
        if self._most is not None and size > self._most:
            self.fail(f"{value} is too large: give at most {self._most >> 20}M", param, ctx)
        return size


PATH = click.Path(readable=False)
"""Names of files, unlooked at: one that cannot be read must not keep the command from the others."""

_files = click.argument("files", metavar="[FILE]...", nargs=-1, type=PATH)


def _version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        from llmzip.container.format import VERSION
        from llmzip.version import __version__

        click.echo(f"llmzip {__version__} (file format {VERSION})")
        context.exit()


version_option = click.option(
    "-V", "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)


def _messages(verbose: str) -> list[Decorator]:
    return [
        click.option("-q", "--quiet", is_flag=True, help="No progress and no notices; errors are still printed."),
        click.option("-v", "--verbose", is_flag=True, help=verbose),
        click.option("--debug", is_flag=True, help="Print a traceback when something fails."),
        version_option,
    ]


messages_options = _messages("A summary line for each file.")
report_messages_options = _messages("More notices.")
progress_options = [
    click.option("--progress/--no-progress", default=True, help="Progress on a terminal (default: yes)."),
]
_output = [
    click.option("-o", "--output", metavar="FILE", type=PATH, help="Write to FILE; - is standard output."),
    click.option("-c", "--stdout", is_flag=True, help="Write to standard output."),
    click.option(
        "-S", "--suffix", metavar="SUF", default=SUFFIX, help=f"Suffix of compressed files (default: {SUFFIX})."
    ),
    click.option("-f", "--force", is_flag=True, help="Overwrite, follow links, allow terminals and double suffixes."),
    click.option("-k", "--keep", "remove", flag_value=False, type=bool, help="Keep the input (the default)."),
    click.option("--rm", "remove", flag_value=True, type=bool, help="Remove the input once the output is stored."),
]
model_options = [
    click.option(
        "--model",
        metavar="MODEL",
        envvar="LLMZIP_MODEL",
        shell_complete=completing.models,
        help="Instead of the built-in model: a GGUF file, a name of `llmzip models`, or hf:OWNER/REPO[/FILE].",
    ),
    click.option(
        "-T",
        "--threads",
        metavar="N",
        type=click.IntRange(0, 4096),
        default=0,
        help="CPU threads; 0 (default): as many as help.",
    ),
    click.option(
        "--gpu-layers",
        metavar="N",
        type=click.IntRange(0),
        help="Layers on a GPU; 0: none (default: all, where there is one).",
    ),
]
context_option = click.option(
    "--context",
    metavar="FILE",
    type=PATH,
    help="A text that both sides have, like an older version: costs little more than what differs from it.",
)
many_options = [
    click.option("-r", "--recursive", is_flag=True, help="Go through folders; links only with -f."),
    click.option(
        "--files-from",
        metavar="LIST",
        type=PATH,
        help="Also the files that LIST names, one a line; - is standard input.",
    ),
    click.option("-0", "--null", is_flag=True, help="Names in LIST end with zero bytes, as find -print0 writes them."),
    click.option(
        "-j",
        "--jobs",
        metavar="N",
        type=click.IntRange(0, 4096),
        default=1,
        help="Processes for files and blocks; 0: as many as cores.",
    ),
]
_LEVELS = {
    1: "Fast: the table of n-grams and the mixer, no network (-2 and -3 are the same).",
    6: "Network, table and mixer (the default; -4 and -5 are the same).",
    9: "Smallest: one stream and larger blocks; slow to decompress (-7 and -8 are the same).",
}


_NAMES = {1: ("--fast",), 9: ("--best",)}  # as of gzip and xz


def _level(level: int) -> Decorator:
    return click.option(
        f"-{level}",
        *_NAMES.get(level, ()),
        "level",
        flag_value=level,
        type=int,
        help=_LEVELS.get(level, ""),
        hidden=level not in _LEVELS,
    )


level_options = [_level(level) for level in range(1, 10)]


def window_option(help: str) -> Decorator:
    """Of all commands that evaluate a model: the setting `window`."""
    return click.option("--ctx", "window", metavar="N", type=click.IntRange(SMALLEST_WINDOW, MAX_CONTEXT), help=help)


coding_options = [
    *level_options,
    click.option("--mix/--no-mix", default=True, help="Let the coder learn from the file as it goes (default: yes)."),
    click.option(
        "--streams",
        metavar="N",
        type=click.IntRange(1, MAX_STREAMS),
        help="Streams decoded in lock step in each block.",
    ),
    window_option("Window of the model, in tokens."),
    click.option(
        "--block-size",
        metavar="SIZE",
        type=Size(SMALLEST_BLOCK, MAX_BLOCK),
        help="Like 512K (default: 4M; 16M from -7 on).",
    ),
    click.option(
        "--exact/--portable",
        default=None,
        help="Files for this kind of machine alone, or that open anywhere (default: as the model suggests).",
    ),
]

short_option = click.option(
    "--short", is_flag=True, help="The short form: 4 bytes around a text of at most 1 MiB, without index and digest."
)
_verify = [
    click.option(
        "--verify", is_flag=True, help="Decode every block twice before it is stored, once with drift added (slow)."
    ),
]


def apply(decorators: list[Decorator]) -> Decorator:
    """One decorator that puts these before a command, in their order."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


compress_options = apply(
    [
        _files,
        *_output,
        *many_options,
        *model_options,
        context_option,
        *coding_options,
        short_option,
        *_verify,
        *progress_options,
        *messages_options,
    ]
)
_limits = [
    click.option(
        "--max-size",
        metavar="SIZE",
        type=Size(0),
        help="Decompress no file to more than SIZE bytes (like 512K, 4M, 1G).",
    ),
    click.option(
        "--memory-limit",
        metavar="SIZE",
        type=Size(1),
        help="Refuse what takes more than about SIZE bytes of memory to decode.",
    ),
    click.option(
        "--patience",
        metavar="TIMES",
        type=click.FloatRange(0, MOST_PATIENCE),
        default=DEFAULT_PATIENCE,
        show_default=True,
        help="Where this machine's arithmetic misreads a block, spend up to TIMES one decoding on putting it right.",
    ),
]
_salvage = [
    click.option("--salvage", is_flag=True, help="Recover all whole blocks of damaged files; a line marks each gap."),
    click.option("--salvage-zeros", "zeros", is_flag=True, help="The same, with zero bytes in place of what is lost."),
]
decompress_options = apply(
    [
        _files,
        *_output,
        *many_options,
        *model_options,
        context_option,
        *_limits,
        *_salvage,
        *progress_options,
        *messages_options,
    ]
)
test_options = apply(
    [_files, *many_options, *model_options, context_option, *_limits, *progress_options, *messages_options]
)
info_options = apply([_files, click.option("--json", is_flag=True, help="A JSON document."), *messages_options])
filter_options = apply(
    [
        _files,
        click.option("-z", "--compress", "operation", flag_value="compress", help="Compress (the default)."),
        click.option("-d", "--decompress", "--uncompress", "operation", flag_value="decompress", help="Decompress."),
        click.option("-t", "--test", "operation", flag_value="test", help="Verify, write nothing."),
        click.option(
            "-l", "--list", "operation", flag_value="info", help="List sizes; with -v all that `llmzip info` tells."
        ),
        *_output,
        *many_options,
        *model_options,
        context_option,
        *coding_options,
        short_option,
        *_verify,
        *_limits,
        *_salvage,
        *progress_options,
        *messages_options,
    ]
)
