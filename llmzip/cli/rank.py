"""`llmzip rank-models`: how well models predict texts, and texts from after a date (docs/estimate.md)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from llmzip.cli import reports
from llmzip.cli.options import Options, apply, messages_options, model_options, progress_options
from llmzip.cli.run import codec_settings, name_of
from llmzip.cli.run import report as report_error
from llmzip.errors import LlmzipError
from llmzip.model import BUILT_IN

if TYPE_CHECKING:
    from llmzip.report.examine import Examiner
    from llmzip.report.ranking_output import Ranking
    from llmzip.report.stopping import StopRequest
    from llmzip.report.texts import Text

rank_options = apply(
    [
        reports.files_argument,
        click.option(
            "--model",
            "models",
            metavar="MODEL",
            multiple=True,
            help=f'A model to rank; give it several times. "{BUILT_IN}" is the one inside (the default).',
        ),
        *model_options[1:],
        click.option("--ctx", "context", metavar="N", type=click.IntRange(1), help="Window of the models, in tokens."),
        click.option(
            "--split",
            metavar="DATE",
            type=reports.Day(),
            help="Compare texts from before and from after this day: by file time, or by the dates in JSON lines.",
        ),
        *reports.sample_options,
        *reports.format_options,
        click.option("--plot", metavar="FILE", help="Draw a picture into FILE.png or FILE.svg."),
        reports.force_option,
        *progress_options,
        *messages_options,
    ]
)


def run(files: tuple[str, ...], form: str, parameters: dict[str, Any]) -> int:
    """Score every model on every text and print the ranking; the exit code."""
    from llmzip.report import outputs, ranking_output
    from llmzip.report.ranking import collections, is_json_lines

    plot, day = parameters["plot"], parameters["split"]
    outputs.check_target(plot, (".png", ".svg"), force=parameters["force"])
    if plot:
        outputs.require_matplotlib()
    options = Options.of({name: value for name, value in parameters.items() if value is not None})
    ranking = ranking_output.Ranking(day=day.isoformat() if day else None)
    texts: list[tuple[str | None, Text]] = []

    with reports.stopping() as request:

        def take(path: str | None) -> None:
            chosen = {name: parameters[name] for name in ("sample", "seed", "text8")}
            if is_json_lines(name_of(path)):
                text = reports.read(path, force=parameters["force"])
            else:
                text = reports.read(path, force=parameters["force"], **chosen)
            modified = None if path is None else os.stat(path).st_mtime
            texts.extend(collections(text, day=day, modified=modified, **chosen))

        code = reports.each(files, options, take, request)
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
        reports.stopped_notice(options)
        code = reports.STOPPED
    if ranking.scores or form == "json":
        reports.emit(
            form,
            lambda: ranking_output.tables(ranking, partial=request.made),
            lambda: ranking_output.csv_rows(ranking),
            lambda: ranking_output.document(ranking, partial=request.made),
        )
    if plot and ranking.scores and not request.made:
        from llmzip.report.plots import draw_ranking

        picture = draw_ranking(ranking.ranked(), ranking_output.groups(ranking), plot[-3:].lower())
        outputs.write_whole(plot, picture)
    return code


def _score(
    model: str, texts: list[tuple[str | None, Text]], options: Options, ranking: Ranking, request: StopRequest
) -> int:
    """Score one model on all texts; the exit code of the first that failed."""
    from llmzip.report.examine import Examiner
    from llmzip.report.models import describe

    code = 0
    settings = codec_settings(options) | {"model": model}
    with Examiner(**settings) as examiner:
        ranking.described[model] = describe(model, examiner.session.model)
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
    from llmzip.report.estimate import estimate
    from llmzip.report.ranking import score

    with reports.watched(f"{model}: {text.name}", len(text.data), options, request) as done:
        result = estimate(examiner, text, done)
    # Part of a text could not be compared with what other models make of all of it.
    if not result.partial:
        ranking.scores[model].append((side, score(model, result)))
