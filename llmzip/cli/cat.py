"""`llmzip cat`: the originals of compressed files, or a part of each, one after another on standard output."""

from __future__ import annotations

import re
from typing import Any

import click

from llmzip.cli.files import StandardOutput
from llmzip.cli.options import PATH, Options, apply, context_option, model_options, report_messages_options
from llmzip.cli.originals import Original
from llmzip.cli.program import EXIT_CODES, SETTINGS
from llmzip.cli.run import Run
from llmzip.container import write_all

_PLACE = re.compile(r"(-?\d+)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


class Range(click.ParamType[tuple[int, int | None]]):
    """A part like 10MB:11MB, its first byte and the one behind its last; K, M, G and T are powers of 1024."""

    name = "range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int | None]:
        """Start and stop of an option's text; stop is None for the end."""
        if isinstance(value, tuple):
            return value
        parts = value.split(":")
        places = [_PLACE.fullmatch(part.strip()) for part in parts]
        if len(parts) != 2 or any(part.strip() and not place for part, place in zip(parts, places, strict=True)):
            self.fail(
                f"{value!r}: write START:STOP in bytes, or with K, M or G, like 10MB:11MB, 4096: or -1MB:", param, ctx
            )
        start, stop = (
            int(place[1]) << 10 * " KMGT".index(place[2].upper() or " ") if place else None for place in places
        )
        if stop is not None and (start or 0) > stop and ((start or 0) < 0) == (stop < 0):
            self.fail(f"{value!r} ends before it begins", param, ctx)
        return start or 0, stop


cat_options = apply(
    [
        click.argument("files", metavar="[FILE]...", nargs=-1, type=PATH),
        click.option(
            "--range",
            "part",
            metavar="START:STOP",
            type=Range(),
            help="Only these bytes of each original, like 10MB:11MB or -1MB: (the last); decodes what it needs, no more.",
        ),
        click.option("-f", "--force", is_flag=True, help="Pass on files that are not compressed."),
        *model_options,
        context_option,
        *report_messages_options,
    ]
)


def run(files: tuple[str, ...], part: tuple[int, int | None] | None, parameters: dict[str, Any]) -> int:
    """Write the files; the exit code."""
    session = Run(Options.of(parameters))

    def one(path: str | None) -> None:
        with Original(path, lambda: session.codec, plain=session.options.force) as source:
            with StandardOutput(source.input, binary=False, force=True) as output:
                for piece in source.part(*part) if part else source.pieces():
                    session.writing_stdout = True
                    write_all(output.stream, piece)

    return session.for_each(files, one)


@click.command(name="cat", epilog=EXIT_CODES, context_settings=SETTINGS)
@cat_options
def command(files: tuple[str, ...], part: tuple[int, int | None] | None, **parameters: Any) -> int:
    """Write the original of each FILE, or a part of it, to standard output; without FILE that of standard input."""
    return run(files, part, parameters)
