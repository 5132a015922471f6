"""`llmzip estimate`: how many bits a text has, without writing an archive (docs/estimate.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from llmzip import atomic
from llmzip.cli import measuring
from llmzip.cli.options import (
    PATH,
    Options,
    apply,
    coding_options,
    context_option,
    model_options,
    progress_options,
    report_messages_options,
)
from llmzip.cli.program import EXIT_CODES, SETTINGS
from llmzip.cli.run import make_examiner
from llmzip.errors import UsageError

_PICTURES = (".png", ".svg")

estimate_options = apply(
    [
        measuring.files_argument,
        *model_options,
        context_option,
        *coding_options,
        *measuring.sample_options,
        click.option(
            "--window",
            "windows",
            metavar="M[,M]...",
            type=measuring.Numbers(),
            help="Also bits against the tokens of context, like 31,127,255,511.",
        ),
        click.option(
            "--window-stride",
            metavar="N",
            type=click.IntRange(1),
            help="Tokens scored in each window; with 1 all have the full context (default: an eighth of the window).",
        ),
        click.option(
            "--window-tokens",
            metavar="N",
            type=click.IntRange(64),
            default=2048,
            help="Tokens to score (default: 2048).",
        ),
        *measuring.format_options,
        click.option("--plot", metavar="FILE", type=PATH, help="Draw a picture into FILE.png or FILE.svg."),
        click.option("--html", metavar="FILE", type=PATH, help="Write the text, coloured by its bits, as a web page."),
        measuring.force_option,
        *progress_options,
        *report_messages_options,
    ]
)


def run(files: tuple[str, ...], form: str, parameters: dict[str, Any]) -> int:
    """Estimate each file and print the result; the exit code."""
    from llmzip.report.measure.estimate import Estimate, estimate
    from llmzip.report.output import estimates, targets
    from llmzip.report.output.model_facts import model_document, table_document
    from llmzip.report.output.page import ALTERNATIVES

    plot, html, windows = parameters["plot"], parameters["html"], parameters["windows"] or ()
    if (plot or html) and len(files) > 1:
        raise UsageError(f"{'--plot' if plot else '--html'} shows one text: name one file")
    targets.check_target(plot, _PICTURES, force=parameters["force"])
    targets.check_target(html, (".html", ".htm"), force=parameters["force"])
    if plot:
        targets.require_matplotlib()
    given = {name: value for name, value in parameters.items() if value is not None}
    options = Options.of(given)
    for option, wanted in (("--window", windows), ("--plot", plot), ("--html", html)):
        if wanted and not options.network:
            raise UsageError(
                f"{option} shows what the network says, and level {options.level} has none: use level 4 to 9"
            )
    results: list[Estimate] = []

    with (
        measuring.stopping() as request,
        make_examiner(options, alternatives=ALTERNATIVES if html else 0) as examiner,
    ):
        model = examiner.session.model if options.network else None
        longest = options.window or (model.window.context if model else None)
        if windows and longest and max(windows) >= longest:
            raise UsageError(
                f"a window of {max(windows)} tokens does not fit the context of {longest} tokens, one of which is "
                f"taken by the start: use at most {longest - 1}"
                + ("" if options.window else ", or give --ctx if the model was trained on more")
            )

        def one(path: str | None) -> None:
            sampled = {name: parameters[name] for name in ("sample", "seed", "text8", "force")}
            text = measuring.read(path, **sampled)
            with measuring.watched(text.name, len(text.data), options, request) as done:
                result = estimate(examiner, text, done)
            if result.measures:
                results.append(result)
            if windows and not result.partial:
                _windows(examiner, result, parameters, options, request)
            if result.partial:
                return
            if plot:
                from llmzip.report.output.plots import draw_estimate

                atomic.store(Path(plot), draw_estimate(result, plot[-3:].lower(), request.check))
            if html and model:
                from llmzip.report.output.page import page

                atomic.store(Path(html), page(result, model.pieces))

        code = measuring.each(files, options, one, request)
        settings = {
            "context": longest,
            "mixing": options.mix,
            "block_size": options.block_bytes,
            "sample": parameters["sample"],
            "seed": parameters["seed"],
            "text8": parameters["text8"],
        }
        described = model_document(options.named, model) if model else table_document()
    if request.made:
        measuring.stopped_notice(options)
    if results or form == "json":
        measuring.emit(
            form,
            lambda: estimates.tables(results, partial=request.made),
            lambda: estimates.csv_rows(results),
            lambda: estimates.document(results, described, settings, partial=request.made),
        )
    return code


def _windows(examiner: Any, result: Any, parameters: dict[str, Any], options: Options, request: Any) -> None:
    from llmzip.report.measure.estimate import window_rows
    from llmzip.report.measure.windows import evaluations

    given = {"stride": parameters["window_stride"], "tokens": parameters["window_tokens"], "seed": parameters["seed"]}
    total = evaluations(len(result.columns.tokens), parameters["windows"], **given)
    with measuring.watched(f"{result.text.name} (windows)", total, options, request, unit=" tokens") as done:
        window_rows(examiner, result, parameters["windows"], **given, progress=done)


@click.command(name="estimate", epilog=EXIT_CODES, context_settings=SETTINGS)
@estimate_options
def command(files: tuple[str, ...], form: str, **parameters: Any) -> int:
    """Tell how many bits each FILE has by the model, and where they go; writes no archive."""
    return run(files, form, parameters)
