"""What the commands that measure share: options, reading inputs, stopping, and printing in four formats."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from llmzip.cli.files import Input, require_output
from llmzip.cli.options import PATH, Decorator, Options, Size
from llmzip.cli.progress import progress
from llmzip.cli.run import Run, name_of, notice
from llmzip.errors import LlmzipError

if TYPE_CHECKING:
    from llmzip.report.measure.stopping import StopRequest
    from llmzip.report.measure.texts import Text
    from llmzip.report.output.tables import Row, Table

STOPPED = 128 + signal.SIGINT


class Day(click.ParamType[date]):
    """A day like 2024-07-01."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The day an option's text names."""
        if isinstance(value, date):
            return value
        try:
            return datetime.strptime(value, "%Y-%m-%d").date()
        except ValueError:
            self.fail(f"{value!r} is no date: write it like 2024-07-01", param, ctx)


class Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers with commas between them."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The numbers of an option's text, in its order."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r}: write whole numbers with commas between them, like 31,127", param, ctx)
        if min(numbers) < 1 or max(numbers) >= 1 << 20:
            self.fail("a window holds 1 to 1048575 tokens", param, ctx)
        return tuple(dict.fromkeys(numbers))


files_argument = click.argument("files", metavar="FILE...", nargs=-1, required=True, type=PATH)


def _choose_form(context: click.Context, parameter: click.Parameter, given: bool) -> str:
    """The value of `form`, which commands take: the one format that was given. Raises click.UsageError for a second one."""
    chosen: str | None = context.params.get("form")
    mine = parameter.opts[0].removeprefix("--")
    if given and chosen:
        raise click.UsageError(f"--{chosen} and --{mine} are two formats: give one of them")
    if given:
        context.params["form"] = mine
    return chosen or mine


def _format(name: str, help: str) -> Decorator:
    return click.option(f"--{name}", name, is_flag=True, expose_value=False, callback=_choose_form, help=help)


format_options: list[Decorator] = [
    _format("json", "Print a JSON document."),
    _format("csv", "Print CSV."),
    _format("markdown", "Print Markdown tables."),
    # The default: options that were not given have their turn last.
    click.option("--table", "form", is_flag=True, hidden=True, callback=_choose_form),
]
sample_options = [
    click.option("--sample", metavar="SIZE", type=Size(1024), help="Of larger files take random pieces only, like 1M."),
    click.option("--seed", metavar="N", type=int, default=0, help="Seed of what is drawn at random (default: 0)."),
    click.option("--text8", is_flag=True, help="Turn texts into the 27 characters of text8 first."),
]
force_option = click.option("-f", "--force", is_flag=True, help="Overwrite; measure what does not look like text, too.")


@contextmanager
def stopping() -> Iterator[StopRequest]:
    """Ctrl-C as a request to stop, while the with statement lasts."""
    from llmzip.report.measure.stopping import stop_on_interrupt

    with stop_on_interrupt() as request:
        yield request


def read(path: str | None, *, force: bool, sample: int | None = None, seed: int = 0, text8: bool = False) -> Text:
    """The text of a file, or of standard input for None. Raises LlmzipError for what cannot be measured, OSError."""
    from llmzip.report.measure.texts import take

    with Input(path, follow=True) as source:
        if source.terminal:
            raise LlmzipError("is a terminal: name a file or redirect the input")
        return take(source.stream, name_of(path), size=source.size, sample=sample, seed=seed, text8=text8, force=force)


def each(files: Sequence[str], options: Options, action: Callable[[str | None], None], request: StopRequest) -> int:
    """Do `action` for each file; the exit code. After a request to stop no further file is begun."""

    def one(path: str | None) -> None:
        if not request.made:
            action(path)

    from llmzip.report.measure.stopping import Stopped

    try:
        code = Run(options).for_each(tuple(files), one)
    except Stopped:
        return STOPPED
    return STOPPED if request.made else code


@contextmanager
def watched(
    name: str, total: int, options: Options, request: StopRequest, unit: str = "B"
) -> Iterator[Callable[[int], None]]:
    """A function to report newly done units to, which also ends the work when that was asked for."""
    with progress(name, lambda: total, options, unit) as advance:

        def done(count: int) -> None:
            request.check()
            if advance:
                advance(count)

        yield done


def emit(
    form: str,
    tables: Callable[[], Sequence[Table]],
    rows: Callable[[], Sequence[Row]],
    document: Callable[[], dict[str, Any]],
) -> None:
    """Print the result as a table, JSON, CSV or Markdown (`form`). Raises OSError when standard output does not take it."""
    from llmzip.report.output.tables import render, to_csv

    require_output()
    if form == "json":
        text = json.dumps(document(), indent=2) + "\n"
    elif form == "csv":
        text = to_csv(rows())
    else:
        terminal = sys.stdout.isatty()
        width = os.get_terminal_size(sys.stdout.fileno()).columns if terminal else None
        text = render(tables(), form, width=width or None, colour=terminal and not os.environ.get("NO_COLOR"))
    if not (sys.stdout.encoding or "").lower().startswith("utf"):
        text = text.encode(sys.stdout.encoding or "ascii", "backslashreplace").decode(sys.stdout.encoding or "ascii")
    sys.stdout.write(text)
    sys.stdout.flush()


def tell(notices: Sequence[str], form: str, options: Options) -> None:
    """Notices on standard error where the format has no place for them; tables and documents hold them."""
    if form == "csv" and not options.quiet:
        for each in notices:
            notice(each)


def stopped_notice(options: Options) -> None:
    """Say that the result is not whole."""
    if not options.quiet:
        notice("stopped: what follows is partial")
