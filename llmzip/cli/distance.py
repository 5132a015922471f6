"""`llmzip distance`: how far texts are from each other (docs/measures.md)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmzip import atomic
from llmzip.cli import completing, measuring
from llmzip.cli.files import Input, printable
from llmzip.cli.options import (
    PATH,
    Decorator,
    Options,
    apply,
    is_default,
    model_options,
    progress_options,
    report_messages_options,
    window_option,
)
from llmzip.cli.program import EXIT_CODES, SETTINGS
from llmzip.cli.run import codec_settings, name_of, notice, report
from llmzip.errors import LlmzipError, UsageError

if TYPE_CHECKING:
    from llmzip.measures.collections import Item
    from llmzip.measures.lengths import CodeLengths

EDIT = "edit"
_PICTURES = (".png", ".svg")

collection_options = [
    click.option(
        "--column",
        "columns",
        metavar="NAME[,NAME]...",
        help='Columns of a table or JSON lines that make up a text (default: "text" or "sequence").',
    ),
]
coder_options: list[Decorator] = [
    click.option(
        "--by",
        metavar="CODER",
        shell_complete=completing.coders,
        default="model",
        help="What codes the texts: model (the default), mixer (no network, fast), or a compressor of `llmzip compare` like gzip.",
    ),
    *model_options,
    click.option("--mix/--no-mix", default=True, help="Let the coder learn from the texts, too (default: yes)."),
    window_option("Window of the model, in tokens (default: its own)."),
    click.option(
        "--cache",
        metavar="FILE",
        type=PATH,
        help="Keep code lengths in FILE, so that stopped work goes on where it ended.",
    ),
]

distance_options = apply(
    [
        measuring.files_argument,
        click.option(
            "--measure",
            type=click.Choice(["nid", "ncd", "cdm", "conditional", EDIT]),
            default="nid",
            help="Which distance (default: nid); edit: the effort to turn the first text into each other one.",
        ),
        *coder_options,
        *collection_options,
        click.option(
            "--matrix", metavar="FILE", type=PATH, help="All texts against all, into FILE.csv, FILE.json or FILE.npy."
        ),
        click.option(
            "--tree",
            metavar="FILE",
            type=PATH,
            help="All against all, drawn as a dendrogram into FILE.png or FILE.svg.",
        ),
        click.option(
            "--map",
            "picture",
            metavar="FILE",
            type=PATH,
            help="All against all, drawn as a map into FILE.png or FILE.svg.",
        ),
        *measuring.format_options,
        click.option("-f", "--force", is_flag=True, help="Overwrite."),
        *progress_options,
        *report_messages_options,
    ]
)


def make_coder(parameters: dict[str, Any], options: Options) -> CodeLengths:
    """The coder that was asked for, with its cache. Raises UsageError, ModelError, LlmzipError."""
    from llmzip.measures.lengths import contender

    by = parameters["by"]
    coder: CodeLengths
    if by in ("model", "mixer"):
        from llmzip.measures.model_lengths import ModelLengths

        if by == "mixer" and options.model is not None and not is_default("model"):
            raise UsageError("--by mixer uses no model's network: leave out --model, or --by")
        settings = codec_settings(options)
        coder = ModelLengths(replace(settings, level=1, window=None, model=None) if by == "mixer" else settings)
    else:
        coder = contender(by)
    if parameters["cache"]:
        from llmzip.measures.store import StoredLengths

        coder = StoredLengths(coder, parameters["cache"])
    return coder


def split_columns(columns: str | None) -> list[str]:
    """The names of an option."""
    return [name.strip() for name in columns.split(",") if name.strip()] if columns else []


def collect(files: tuple[str, ...], columns: str | None, **chosen: Any) -> list[Item]:
    """The texts of all files. Raises LlmzipError; an error of the system carries the file's name."""
    from llmzip.measures.collections import read_collection

    items = []
    for file in files:
        try:
            items += read_collection(file, columns=split_columns(columns), **chosen)
        except OSError as error:
            raise LlmzipError(f"{printable(error.filename or file)}: {error.strerror}") from None
    return items


def collect_each(
    files: tuple[str, ...], columns: str | None, options: Options, *, needs_first: bool = False
) -> tuple[list[Item], int]:
    """The texts of all files that can be read, and the exit code: of the first file that cannot be, which is told.

    `-` is standard input, one text. needs_first: nothing can be done without the first file. Raises LlmzipError.
    """
    if files.count("-") > 1:
        raise UsageError("standard input (-) can be read only once")
    items: list[Item] = []
    code = 0
    for file in files:
        try:
            items += [_piped()] if file == "-" else collect((file,), columns)
        except LlmzipError as error:
            if needs_first and not items and not code:
                raise
            mine = report(error, None, options.debug)
            code = code or mine
    return items, code


def _piped() -> Item:
    from llmzip.measures.collections import Item

    with Input(None, follow=True) as source:
        data = source.stream.read()
    if not data:
        raise LlmzipError(f"{name_of(None)} is empty: leave it out")
    return Item(name_of(None), data)


def run(files: tuple[str, ...], form: str, parameters: dict[str, Any]) -> int:
    """Measure the distances and print them; the exit code."""
    from llmzip.measures import distances, pictures, tables
    from llmzip.report.measure.stopping import Stopped
    from llmzip.report.output import targets

    options = Options.of({name: value for name, value in parameters.items() if value is not None})
    matrix, tree, picture = (parameters[name] for name in ("matrix", "tree", "picture"))
    targets.check_target(matrix, tables.MATRIX_FORMS, force=options.force)
    for target in (tree, picture):
        targets.check_target(target, _PICTURES, force=options.force)
    if tree or picture:
        pictures.require()
    square = bool(matrix or tree or picture)
    if parameters["measure"] == EDIT:
        if square:
            raise UsageError(
                "--measure edit compares the first text with the others: leave out --matrix, --tree and --map"
            )
        from llmzip.cli import editing

        return editing.run(files, form, parameters, options)
    items, code = collect_each(files, parameters["columns"], options, needs_first=not square)
    if code and len(items) < 2:
        return code
    if len(items) < 2:
        raise UsageError(f"{printable(items[0].name)} is the only text: name another to compare it with")
    x, y = (items, None) if square else (items[:1], items[1:])
    measure = parameters["measure"]
    coder = make_coder(parameters, options)
    try:
        with measuring.stopping() as request:
            total = distances.pairs(measure, len(x), len(y or x), same=square)
            with measuring.watched("distances", total, options, request, unit=" lengths") as done:
                found = distances.distance_matrix(
                    coder, [item.data for item in x], None if y is None else [item.data for item in y], measure, done
                )
    except Stopped:
        if not options.quiet:
            notice("stopped" + (": the same command goes on from the cache" if parameters["cache"] else ""))
        return measuring.STOPPED
    finally:
        coder.close()
    measuring.tell(found.notices, form, options)
    names, labels = short_names(items), [item.label for item in items]
    title = f"{measure} by {found.coder}, {len(items)} texts of {sum(size.bytes for size in found.x_sizes):,} bytes"
    if matrix:
        atomic.store(Path(matrix), tables.matrix_file(found, items, Path(matrix).suffix.lower()))
    if tree:
        atomic.store(Path(tree), pictures.tree(found.values, names, labels, title, tree[-3:].lower()))
    if picture:
        atomic.store(Path(picture), pictures.matrix(found.values, names, labels, title, picture[-3:].lower()))
    if square:
        measuring.emit(
            form,
            lambda: tables.nearest_tables(found, items),
            lambda: tables.nearest_rows(found, items),
            lambda: tables.document(found, items, items),
        )
    else:
        others = y or []
        measuring.emit(
            form,
            lambda: tables.pair_tables(found, x, others),
            lambda: tables.pair_rows(found, x, others),
            lambda: tables.document(found, x, others),
        )
    return code


def short_names(items: list[Item]) -> list[str]:
    """Names for a picture: without the folder that all share, cut at 40 characters; one for each text."""
    folders = [Path(item.name).parent.parts for item in items]
    shared = 0
    while len({folder[: shared + 1] for folder in folders}) == 1 and shared < len(folders[0]):
        shared += 1
    found = [printable(str(Path(*Path(item.name).parts[shared:])))[-40:] for item in items]
    count = Counter(found)
    return [name if count[name] == 1 else f"{name} ({i + 1})" for i, name in enumerate(found)]


@click.command(name="distance", epilog=EXIT_CODES, context_settings=SETTINGS)
@distance_options
def command(files: tuple[str, ...], form: str, **parameters: Any) -> int:
    """Tell how far the first FILE is from each other one, or all from all; FILE may be a table or a folder of texts."""
    return run(files, form, parameters)
