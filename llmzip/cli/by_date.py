"""`llmzip rank-models --by-date`: how many bits texts take by when they were written (docs/measures.md)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmzip import atomic
from llmzip.cli import measuring
from llmzip.cli.options import Options, Size
from llmzip.cli.run import codec_settings, report
from llmzip.errors import LlmzipError, UsageError
from llmzip.model import BUILT_IN

if TYPE_CHECKING:
    from llmzip.measures.by_date import Point

DATE_COLUMN = "date"
TABLE = "table"
"""The name of a model: level 1, the table of n-grams with the mixer."""

by_date_options = [
    click.option("--by-date", is_flag=True, help="Bits over time, by the dates of texts: a column, or in file names."),
    click.option(
        "--date-column", metavar="NAME", help='Column with the date of tables and JSON lines (default: "date").'
    ),
    click.option("--column", "columns", metavar="NAME[,NAME]...", help='Columns with the text (default: "text").'),
    click.option(
        "--period",
        type=click.Choice(["year", "quarter", "month"]),
        help="What a point stands for (default: by the dates).",
    ),
    click.option(
        "--cut", metavar="SIZE", type=Size(1), help="With --by-date: of each text only its first SIZE, like 4K."
    ),
]


def run(files: tuple[str, ...], form: str, parameters: dict[str, Any], options: Options) -> int:
    """Code every text by every model and print the bits by period; the exit code."""
    from llmzip.cli.distance import collect
    from llmzip.measures import by_date, date_tables
    from llmzip.measures.collections import JSON_LINES, TABLES, Item
    from llmzip.measures.model_lengths import ModelLengths
    from llmzip.report.measure.stopping import Stopped

    if parameters["split"]:
        raise UsageError("--by-date and --split are two ways to look at dates: give one of them")
    items, code = list[Item](), 0
    for file in files:
        records = Path(file).suffix.lower() in (*TABLES, *JSON_LINES)
        column = (parameters["date_column"] or DATE_COLUMN) if records else None
        try:
            items += collect((file,), parameters["columns"], date=column)
        except LlmzipError as error:
            mine = report(error, None, options.debug)
            code = code or mine
    if code and not items:
        return code
    groups = by_date.periods(
        items, parameters["period"], sample=parameters["sample"], cut=parameters["cut"], seed=parameters["seed"]
    )
    told = []
    if parameters["cut"] and any(len(item.data) > parameters["cut"] for item in items):
        told.append(f"of texts longer than {parameters['cut']:,} bytes only the beginning was measured")
    found: dict[str, list[Point]] = {}
    total = sum(len(group.texts) for group in groups)
    with measuring.stopping() as request:
        for model in dict.fromkeys(parameters["models"] or (BUILT_IN,)):
            if model == TABLE:
                settings = replace(codec_settings(options), level=1, model=None)
                told.append(f"the {TABLE} is measured with mixing, without which nothing is left of it")
            else:
                settings = replace(codec_settings(replace(options, model=model)), mix=False)
            try:
                with (
                    ModelLengths(settings) as coder,
                    measuring.watched(model, total, options, request, unit=" texts") as done,
                ):
                    found[model] = by_date.over_time(coder, groups, done)
                    texts = [text for group in groups for text in group.texts]
                    told += [each for each in coder.notices([], texts) if each not in told]
            except Stopped:
                code = measuring.STOPPED
                measuring.stopped_notice(options)
                break
    if found or form == "json":
        measuring.emit(
            form,
            lambda: date_tables.tables(found, told, mixed=[TABLE]),
            lambda: date_tables.rows(found),
            lambda: date_tables.document(found, told),
        )
    plot = parameters["plot"]
    if plot and found and code != measuring.STOPPED:
        atomic.store(Path(plot), date_tables.picture(found, plot[-3:].lower()))
    measuring.tell(told, form, options)
    return code
