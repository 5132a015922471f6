"""`llmzip compare`: llmzip beside other compressors (docs/estimate.md)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from llmzip.cli import measuring
from llmzip.cli.options import Options, apply, coding_options, model_options, progress_options, report_messages_options
from llmzip.cli.program import EXIT_CODES, SETTINGS
from llmzip.cli.run import make_codec, notice
from llmzip.errors import LlmzipError, UsageError

compare_options = apply(
    [
        measuring.files_argument,
        *model_options,
        *coding_options,
        *measuring.sample_options,
        click.option("--only", metavar="NAME[,NAME]...", help="Compare only these compressors, like xz,zpaq."),
        click.option("--skip", metavar="NAME[,NAME]...", help="Leave these compressors out."),
        *measuring.format_options,
        click.option("-f", "--force", is_flag=True, help="Take what does not look like text, too."),
        *progress_options,
        *report_messages_options,
    ]
)


def run(files: tuple[str, ...], form: str, parameters: dict[str, Any]) -> int:
    """Compare the compressors on each file and print the result; the exit code."""
    from llmzip.report.contest.compare import Result, compare_file
    from llmzip.report.contest.contenders import OURS, missing
    from llmzip.report.output import comparison
    from llmzip.report.output.model_facts import data_bytes, model_document

    options = Options.of({name: value for name, value in parameters.items() if value is not None})
    names = choose(parameters["only"], parameters["skip"])
    skipped = missing(names)
    if skipped and not options.quiet and parameters["only"]:
        notice(f"not installed, skipped: {', '.join(skipped)}")
    names = [name for name in names if name not in skipped]
    settings: dict[str, Any] = {}
    described: dict[str, Any] = {}
    ours = [name for name in names if name in OURS]
    sizes: dict[str, int] = {}
    if ours and (options.named or not options.mix):
        # Other levels are rows of the embedded model alone.
        names = [name for name in names if OURS.get(name) is None]
        ours = [name for name in names if name in OURS]
    if ours:
        settings = asdict(options.settings)
        # A model that cannot be loaded is told once, and before the others have worked for an hour.
        with make_codec(options) as codec:
            described = model_document(options.named, codec.session.model)
        for name in ours:
            level = OURS[name] or options.level
            sizes[name] = data_bytes(described["bytes"], level, mixing=options.mix, own=options.named is not None)
    results: list[Result] = []

    with measuring.stopping() as request:

        def one(path: str | None) -> None:
            sampled = {name: parameters[name] for name in ("sample", "seed", "text8", "force")}
            text = measuring.read(path, **sampled)
            failed = []
            with measuring.watched(text.name, len(names), options, request, unit=" compressors") as done:
                for name in names:
                    found = compare_file(text.data, text.name, name, settings, sizes, request.check)
                    results.append(found)
                    failed += [found] if found.error else []
                    done(1)
            if failed:
                raise LlmzipError("; ".join(f"{each.codec} {each.error}" for each in failed))

        code = measuring.each(files, options, one, request)
    if request.made:
        measuring.stopped_notice(options)
    if results or form == "json":
        measuring.emit(
            form,
            lambda: comparison.tables(results, skipped, partial=request.made),
            lambda: comparison.csv_rows(results),
            lambda: comparison.document(results, skipped, described, partial=request.made),
        )
    return code


def choose(only: str | None, skip: str | None) -> list[str]:
    """The compressors that are wanted, in the order of `NAMES`. Raises UsageError for a name that is none."""
    from llmzip.report.contest.contenders import NAMES

    def chosen(text: str) -> set[str]:
        found = set()
        for word in filter(None, (part.strip() for part in text.split(","))):
            mine = {word} & set(NAMES) or {name for name in NAMES if name.split()[0] == word}
            if not mine:
                raise UsageError(f"there is no compressor {word!r}: there are {', '.join(NAMES)}")
            found |= mine
        return found

    wanted = chosen(only) if only is not None else set(NAMES)
    wanted -= chosen(skip) if skip is not None else set()
    if not wanted:
        raise UsageError("no compressor is left to compare")
    return [name for name in NAMES if name in wanted]


@click.command(name="compare", epilog=EXIT_CODES, context_settings=SETTINGS)
@compare_options
def command(files: tuple[str, ...], form: str, **parameters: Any) -> int:
    """Compress each FILE with llmzip and with other compressors; every result is verified by restoring it."""
    return run(files, form, parameters)
