"""`llmzip classify`: which class a text belongs to, by labelled texts (docs/measures.md)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from llmzip.cli import measuring
from llmzip.cli.distance import coder_options, collect, collect_each, collection_options, make_coder
from llmzip.cli.files import printable
from llmzip.cli.options import PATH, Options, apply, progress_options, report_messages_options
from llmzip.cli.program import EXIT_CODES, SETTINGS
from llmzip.cli.run import notice
from llmzip.errors import UsageError

if TYPE_CHECKING:
    from llmzip.measures.class_tables import Classified
    from llmzip.measures.collections import Item
    from llmzip.measures.lengths import CodeLengths, Progress

NEIGHBOURS, CLASS = "neighbours", "class"

classify_options = apply(
    [
        click.argument("files", metavar="[FILE]...", nargs=-1, type=PATH),
        click.option(
            "--labelled",
            metavar="FILE",
            required=True,
            type=PATH,
            help="Texts with labels: a folder of folders, a table or JSON lines with a column for labels, FASTA.",
        ),
        click.option("--label", metavar="NAME", help='Column that holds the label (default: "label").'),
        *collection_options,
        click.option(
            "--method",
            type=click.Choice([CLASS, NEIGHBOURS]),
            default=CLASS,
            help="class (the default): whose texts help most to code the new one; neighbours: what the nearest texts are.",
        ),
        click.option(
            "--neighbours", metavar="N", type=click.IntRange(1), default=3, help="How many vote (default: 3)."
        ),
        click.option(
            "--measure",
            type=click.Choice(["nid", "ncd", "cdm", "conditional"]),
            default="ncd",
            help="Distance to the neighbours (default: ncd).",
        ),
        *coder_options,
        click.option(
            "--shots", metavar="N", type=click.IntRange(1), help="Use N texts of each class only, drawn at random."
        ),
        click.option(
            "--cross-validate", "cross", is_flag=True, help="Classify the labelled texts, each by those of other folds."
        ),
        click.option(
            "--folds", metavar="N", type=click.IntRange(2), default=5, help="For --cross-validate (default: 5)."
        ),
        click.option("--seed", metavar="N", type=int, default=0, help="Seed of what is drawn at random (default: 0)."),
        *measuring.format_options,
        *progress_options,
        *report_messages_options,
    ]
)


def run(files: tuple[str, ...], form: str, parameters: dict[str, Any]) -> int:
    """Classify the files, or the labelled texts among themselves, and print the result; the exit code."""
    from llmzip.measures import class_tables
    from llmzip.measures.classes import check_labels, few_shot
    from llmzip.report.measure.stopping import Stopped

    options = Options.of({name: value for name, value in parameters.items() if value is not None})
    cross = parameters["cross"]
    if cross and files:
        raise UsageError("--cross-validate classifies the labelled texts: name no others")
    if not cross and not files:
        raise UsageError("name a FILE to classify, or give --cross-validate")
    labelled = collect((parameters["labelled"],), parameters["columns"], label=parameters["label"])
    for item in labelled:
        if not item.label:
            raise UsageError(
                f"{printable(item.name)} has no label: name the column with --label, or put texts into a folder for each class"
            )
    try:
        check_labels([item.label for item in labelled], len(labelled))
        if parameters["shots"]:
            chosen = few_shot([item.label or "" for item in labelled], parameters["shots"], parameters["seed"])
            labelled = [labelled[i] for i in chosen.tolist()]
        items, code = ([], 0) if cross else collect_each(files, parameters["columns"], options)
        if not {item.label for item in items} & {item.label for item in labelled}:
            # Names of other folders or sequences: no labels to be compared with.
            items = [replace(item, label=None) for item in items]
        if code and not items:
            return code
        coder = make_coder(parameters, options)
        try:
            with measuring.stopping() as request:
                total = _lengths(labelled, items, parameters)
                with measuring.watched("classes", total, options, request, unit=" lengths") as done:
                    found = (_crossed if cross else _classified)(coder, labelled, items, parameters, done)
        except Stopped:
            if not options.quiet:
                notice("stopped" + (": the same command goes on from the cache" if parameters["cache"] else ""))
            return measuring.STOPPED
        finally:
            coder.close()
    except ValueError as error:
        raise UsageError(str(error)) from None
    measuring.tell(found.notices, form, options)
    measuring.emit(
        form,
        lambda: class_tables.tables(found, each=not cross),
        lambda: class_tables.rows(found),
        lambda: class_tables.document(found),
    )
    return code


def _lengths(labelled: list[Item], items: list[Item], parameters: dict[str, Any]) -> int:
    """Code lengths to come, for the progress bar."""
    from llmzip.measures.distances import pairs

    classes = len({item.label for item in labelled})
    if parameters["method"] == CLASS:
        return classes * (len(items) or len(labelled))
    if parameters["cross"]:
        return pairs(parameters["measure"], len(labelled), len(labelled), same=True)
    return pairs(parameters["measure"], len(items), len(labelled))


def _method(parameters: dict[str, Any], labelled: int) -> str:
    if parameters["method"] == CLASS:
        return "the class whose texts code the new one in the fewest bits"
    return f"vote of the {min(parameters['neighbours'], labelled)} nearest by {parameters['measure']}"


def _described(
    coder: CodeLengths,
    labelled: list[Item],
    items: list[Item],
    parameters: dict[str, Any],
    labels: Any,
    sure: Any = None,
) -> Classified:
    from llmzip.measures.class_tables import Classified

    known, new = [item.data for item in labelled], [item.data for item in items]
    return Classified(
        _method(parameters, len(labelled)),
        coder.name,
        dict(sorted(Counter(item.label or "" for item in labelled).items())),
        coder.sizes(known),
        items,
        coder.sizes(new),
        labels,
        sure,
    )


def _classified(
    coder: CodeLengths, labelled: list[Item], items: list[Item], parameters: dict[str, Any], done: Progress
) -> Classified:
    from llmzip.measures import classes

    known, labels = [item.data for item in labelled], [item.label for item in labelled]
    new = [item.data for item in items]
    if parameters["method"] == CLASS:
        given, sure = classes.by_class(coder, known, labels, new, progress=done)
        _, contexts = classes.class_contexts(known, classes.check_labels(labels, len(known)))
    else:
        chosen = {"measure": parameters["measure"], "neighbours": parameters["neighbours"]}
        given, sure = classes.by_neighbours(coder, known, labels, new, progress=done, **chosen)
        contexts = known
    found = _described(coder, labelled, items, parameters, given, sure)
    found.notices += coder.notices(contexts, new)
    found.ahead = (
        "bits that the next best class takes more, as a share of the text's"
        if parameters["method"] == CLASS
        else "votes more than the next label has, as a share of all"
    )
    return found


def _crossed(
    coder: CodeLengths, labelled: list[Item], _items: list[Item], parameters: dict[str, Any], done: Progress
) -> Classified:
    from llmzip.measures import classes
    from llmzip.measures.distances import distance_matrix

    texts, labels = [item.data for item in labelled], [item.label for item in labelled]
    known = classes.check_labels(labels, len(labels))
    if parameters["method"] == CLASS:

        def predict(train: Any, test: Any) -> Any:
            some = [texts[i] for i in train.tolist()]
            return classes.by_class(
                coder, some, known[train].tolist(), [texts[i] for i in test.tolist()], progress=done
            )[0]

        # Folds leave out a part of each class, which changes little of what is to be told.
        _, contexts = classes.class_contexts(texts, known)
    else:
        classes.folds(known, parameters["folds"], parameters["seed"])  # complains before the work
        values = distance_matrix(coder, texts, None, parameters["measure"], done).values

        def predict(train: Any, test: Any) -> Any:
            return classes.vote(values[test[:, None], train], known[train], parameters["neighbours"])[0]

        contexts = texts
    _, given = classes.cross_validate(labels, predict, count=parameters["folds"], seed=parameters["seed"])
    found = _described(coder, labelled, labelled, parameters, given)
    found.method += f", {parameters['folds']} folds"
    found.notices += coder.notices(contexts, texts)
    return found


@click.command(name="classify", epilog=EXIT_CODES, context_settings=SETTINGS)
@classify_options
def command(files: tuple[str, ...], form: str, **parameters: Any) -> int:
    """Tell which class each FILE belongs to, by labelled texts that are coded with it; FILE may be a table of texts."""
    return run(files, form, parameters)
