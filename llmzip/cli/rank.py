"""`llmzip rank-models`: how well models predict texts, and texts from after a date (docs/estimate.md)."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmzip import atomic
from llmzip.cli import completing, measuring
from llmzip.cli.by_date import TABLE, by_date_options
from llmzip.cli.by_date import run as run_by_date
from llmzip.cli.options import (
    PATH,
    Options,
    apply,
    model_options,
    progress_options,
    report_messages_options,
    window_option,
)
from llmzip.cli.program import EXIT_CODES, SETTINGS
from llmzip.cli.run import make_examiner, name_of
from llmzip.cli.run import report as report_error
from llmzip.errors import LlmzipError
from llmzip.model import BUILT_IN

if TYPE_CHECKING:
    from llmzip.report.measure.examine import Examiner
    from llmzip.report.measure.stopping import StopRequest
    from llmzip.report.measure.texts import Text
    from llmzip.report.output.rankings import Ranking

rank_options = apply(
    [
        measuring.files_argument,
        click.option(
            "--model",
            "models",
            metavar="MODEL",
            multiple=True,
            shell_complete=completing.models,
            help=f'A model to rank; give it several times. "{BUILT_IN}" is the one inside (the default), "{TABLE}" the '
            "table of n-grams without it (level 1).",
        ),
        *model_options[1:],
        window_option("Window of the models, in tokens."),
        click.option(
            "--split",
            metavar="DATE",
            type=measuring.Day(),
            help="Compare texts from before and from after this day: by file time, or by the dates in JSON lines.",
        ),
        *by_date_options,
        *measuring.sample_options,
        *measuring.format_options,
        click.option("--plot", metavar="FILE", type=PATH, help="Draw a picture into FILE.png or FILE.svg."),
        measuring.force_option,
        *progress_options,
        *report_messages_options,
    ]
)


def run(files: tuple[str, ...], form: str, parameters: dict[str, Any]) -> int:
    """Score every model on every text and print the ranking; the exit code."""
    from llmzip.report.contest.ranking import collections, is_json_lines
    from llmzip.report.output import rankings, targets

    plot, day = parameters["plot"], parameters["split"]
    targets.check_target(plot, (".png", ".svg"), force=parameters["force"])
    if plot:
        targets.require_matplotlib()
    options = Options.of({name: value for name, value in parameters.items() if value is not None})
    if parameters["by_date"]:
        return run_by_date(files, form, parameters, options)
    ranking = rankings.Ranking(day=day.isoformat() if day else None)
    texts: list[tuple[str | None, Text]] = []

    with measuring.stopping() as request:

        def take(path: str | None) -> None:
            chosen = {name: parameters[name] for name in ("sample", "seed", "text8")}
            if is_json_lines(name_of(path)):
                text = measuring.read(path, force=parameters["force"])
            else:
                text = measuring.read(path, force=parameters["force"], **chosen)
            modified = None if path is None else os.stat(path).st_mtime
            texts.extend(collections(text, day=day, modified=modified, **chosen))

        code = measuring.each(files, options, take, request)
        for model in dict.fromkeys(parameters["models"] or (BUILT_IN,)) if texts else ():
            if request.made:
                break
            try:
                failed = _score(model, texts, options, ranking, request)
            except Exception as error:
                failed = report_error(error, model, options.debug)
            code = code or failed
    ranking.scores = {model: scores for model, scores in ranking.scores.items() if scores}
    if request.made:
        measuring.stopped_notice(options)
        code = measuring.STOPPED
    if ranking.scores or form == "json":
        measuring.emit(
            form,
            lambda: rankings.tables(ranking, partial=request.made),
            lambda: rankings.csv_rows(ranking),
            lambda: rankings.document(ranking, partial=request.made),
        )
    if plot and ranking.scores and not request.made:
        from llmzip.report.output.plots import draw_ranking

        picture = draw_ranking(ranking.ranked(), rankings.groups(ranking), plot[-3:].lower())
        atomic.store(Path(plot), picture)
    return code


def _score(
    model: str, texts: list[tuple[str | None, Text]], options: Options, ranking: Ranking, request: StopRequest
) -> int:
    """Score one model on all texts; the exit code of the first that failed."""
    from llmzip.report.output.model_facts import model_document, table_document

    code = 0
    chosen = replace(options, level=1) if model == TABLE else replace(options, model=model)
    with make_examiner(chosen) as examiner:
        described = model_document(model, examiner.session.model) if chosen.network else table_document()
        ranking.described[model] = described
        ranking.scores[model] = []
        for side, text in texts:
            try:
                _score_text(model, side, text, examiner, options, ranking, request)
            except LlmzipError as error:
                code = code or report_error(error, f"{text.name} ({model})", options.debug)
            if request.made:
                break
    return code


def _score_text(
    model: str,
    side: str | None,
    text: Text,
    examiner: Examiner,
    options: Options,
    ranking: Ranking,
    request: StopRequest,
) -> None:
    from llmzip.report.contest.ranking import score
    from llmzip.report.measure.estimate import estimate

    with measuring.watched(f"{model}: {text.name}", len(text.data), options, request) as done:
        result = estimate(examiner, text, done)
    # Part of a text could not be compared with what other models make of all of it.
    if not result.partial:
        ranking.scores[model].append((side, score(model, result)))


@click.command(name="rank-models", epilog=EXIT_CODES, context_settings=SETTINGS)
@rank_options
def command(files: tuple[str, ...], form: str, **parameters: Any) -> int:
    """Rank models by how few bits each FILE takes by them; FILE is text or JSON lines with "text" and "date"."""
    return run(files, form, parameters)
