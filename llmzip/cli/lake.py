"""`llmzip lake`: corpora of many files on any store, worked on by a Dask cluster (docs/scale.md)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from llmzip.cli import completing
from llmzip.cli.files import printable
from llmzip.cli.options import Decorator, apply, coding_options, is_default, progress_options, report_messages_options
from llmzip.cli.program import Commands
from llmzip.cli.run import explain, notice
from llmzip.codec.settings import DEFAULT_LEVEL, LAST_WITHOUT_NETWORK
from llmzip.errors import LlmzipError

if TYPE_CHECKING:
    from llmzip.lake.jobs import Totals
    from llmzip.lake.places import Corpus

_CODEC = ("model", "level", "mix", "streams", "window", "exact", "block_size")
_SHOWN_FAILURES = 20


class StorageOptions(click.ParamType[tuple[str, Any]]):
    """A storage option like anon=true or endpoint_url=http://...; values are JSON where they can be read as such."""

    name = "option"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        """Name and value."""
        if isinstance(value, tuple):
            return value
        name, equals, text = value.partition("=")
        if not (name and equals):
            self.fail(f"{value!r}: write NAME=VALUE", param, ctx)
        try:
            return name, json.loads(text)
        except ValueError:
            return name, text


_sources = click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
_target = click.argument("target", metavar="TARGET")
_storage = click.option(
    "-O",
    "--storage",
    metavar="NAME=VALUE",
    multiple=True,
    type=StorageOptions(),
    help='Option of fsspec for the stores, like anon=true or endpoint_url="http://..." (any number).',
)
_cluster_options: list[Decorator] = [
    click.option(
        "--scheduler", metavar="ADDRESS", help="A Dask scheduler, tcp://HOST:PORT (default: workers of this machine)."
    ),
    click.option(
        "--workers",
        metavar="N",
        type=click.IntRange(0, 4096),
        default=0,
        help="Workers without a scheduler (default: one a core).",
    ),
    click.option(
        "--task-seconds",
        metavar="S",
        type=click.FloatRange(0.1),
        default=60.0,
        help="What a task shall take (default: 60).",
    ),
    _storage,
]
_force = click.option("-f", "--force", is_flag=True, help="Overwrite files that are not llmzip's own work.")
_json = click.option("--json", "as_json", is_flag=True, help="A JSON document with the totals and what failed.")
_model = click.option(
    "--model",
    metavar="MODEL",
    envvar="LLMZIP_MODEL",
    shell_complete=completing.models,
    help="A model that every worker has, or the URL of a GGUF on a store.",
)
_compressing = apply(
    [
        _sources,
        _target,
        _model,
        *coding_options,
        *_cluster_options,
        _force,
        _json,
        *progress_options,
        *report_messages_options,
    ]
)
_restoring = apply(
    [_sources, _target, _model, *_cluster_options, _force, _json, *progress_options, *report_messages_options]
)
_verifying = apply(
    [
        _sources,
        _model,
        click.option(
            "--manifest", metavar="URL", help="Compare with the manifest below this target of `lake compress`."
        ),
        *_cluster_options,
        _json,
        *progress_options,
        *report_messages_options,
    ]
)
_estimating = apply(
    [
        _sources,
        _model,
        *coding_options,
        click.option(
            "--depth", metavar="N", type=click.IntRange(1), default=1, help="Folders that name a group (default: 1)."
        ),
        click.option(
            "--by",
            "precision",
            type=click.Choice(["year", "month", "day"]),
            default="month",
            help="Dates that name a group (default: month).",
        ),
        *_cluster_options,
        _json,
        *progress_options,
        *report_messages_options,
    ]
)


@click.group(cls=Commands, no_args_is_help=False)
def lake() -> None:
    """Compress, restore, verify or measure whole corpora: files, folders and patterns on any store of fsspec, by a Dask cluster.

    SOURCE and TARGET are paths or URLs: 's3://bucket/**/*.txt'. What is done is noted below TARGET in .llmzip-lake and
    passed over by the next run; a file that fails does not stop the others.
    """


@lake.command()
@_compressing
def compress(sources: tuple[str, ...], target: str, **given: Any) -> int:
    """Compress every file of SOURCE to its name and .llmz below TARGET."""
    from llmzip.lake import jobs

    return _run(
        jobs.compress, "compressed", given, _corpus(sources, given), target, _options(given), force=given["force"]
    )


@lake.command()
@_restoring
def decompress(sources: tuple[str, ...], target: str, **given: Any) -> int:
    """Restore every .llmz of SOURCE below TARGET."""
    from llmzip.lake import jobs

    return _run(
        jobs.decompress, "restored", given, _corpus(sources, given), target, _options(given), force=given["force"]
    )


@lake.command()
@_verifying
def verify(sources: tuple[str, ...], manifest: str | None, **given: Any) -> int:
    """Decode every .llmz of SOURCE to nowhere; everything in it is checked."""
    from llmzip.lake import jobs

    return _run(jobs.verify, "verified", given, _corpus(sources, given), manifest=manifest)


@lake.command()
@_estimating
def estimate(sources: tuple[str, ...], depth: int, precision: str, **given: Any) -> int:
    """Bits per character of SOURCE, with intervals, by folder and by date; stores nothing."""
    from llmzip.lake import jobs
    from llmzip.lake.estimates import Estimates

    estimates = Estimates(depth, {"year": 4, "month": 7, "day": 10}[precision])
    given["also"] = lambda: {"rows": estimates.rows()}
    code = _run(jobs.measure, "measured", given, _corpus(sources, given), estimates.add)
    if not given["as_json"]:
        from llmzip.report.output.tables import render

        click.echo(render(estimates.tables(), "table"), nl=False)
    return code


def _corpus(sources: tuple[str, ...], given: dict[str, Any]) -> Corpus:
    from llmzip.lake.places import Corpus

    return Corpus(*sources, **_options(given))


def _options(given: dict[str, Any]) -> dict[str, Any]:
    return dict(given["storage"])


def _run(
    work: Callable[..., Totals], done: str, given: dict[str, Any], corpus: Corpus, *arguments: Any, **named: Any
) -> int:
    """Do the work, show its progress, print what came of it; the exit code."""
    from llmzip.lake.jobs import first_code

    if len(arguments) == 2 and isinstance(arguments[1], dict):
        named |= {"target_options": arguments[1]}
        arguments = arguments[:1]
    settings = {name: given[name] for name in _CODEC if given.get(name) is not None}
    if settings.get("level", DEFAULT_LEVEL) <= LAST_WITHOUT_NETWORK and is_default("model"):
        settings.pop("model", None)  # it was meant for files that need a network
    with _progress(given) as heard:
        try:
            totals = work(
                corpus,
                *arguments,
                scheduler=given["scheduler"],
                workers=given["workers"],
                task_seconds=given["task_seconds"],
                heard=heard,
                **named,
                **settings,
            )
        except LlmzipError as error:
            notice(explain(error))
            return error.exit_code
    _tell(totals, done, given)
    return first_code(totals)


@contextmanager
def _progress(given: dict[str, Any]) -> Iterator[Callable[[Totals], None] | None]:
    """What is told the totals, with a terminal as a bar; where Dask's own pages are is said once."""
    said = False

    def pages(totals: Totals) -> None:
        nonlocal said
        if totals.dashboard and not said:
            notice(f"Dask's pages: {totals.dashboard}")
        said = True

    if not given["progress"] or given["quiet"] or not sys.stderr.isatty():
        yield pages if given["verbose"] and not given["quiet"] else None
        return
    from tqdm import tqdm

    tqdm.monitor_interval = 0
    with tqdm(total=0, unit="B", unit_scale=True, dynamic_ncols=True, leave=False, file=sys.stderr) as bar:

        def heard(totals: Totals) -> None:
            if not said:
                bar.clear()
                pages(totals)
            bar.total = totals.expected
            bar.set_postfix_str(
                f"{totals.files} files" + (f", {len(totals.failures)} failed" if totals.failures else "")
            )
            bar.update(totals.original - bar.n)

        yield heard


def _tell(totals: Totals, done: str, given: dict[str, Any]) -> None:
    for failure in totals.failures[:_SHOWN_FAILURES]:
        notice(printable(f"{failure.source}: {failure.reason}"))
    if len(totals.failures) > _SHOWN_FAILURES:
        notice(f"and {len(totals.failures) - _SHOWN_FAILURES} more; --json lists them all")
    if given.get("as_json"):
        values = {name: value for name, value in vars(totals).items() if name not in ("failures", "dashboard")}
        failures = [vars(failure) for failure in totals.failures]
        also = given["also"]() if "also" in given else {}
        click.echo(json.dumps(values | also | {"failures": failures}, indent=2))
    elif not given["quiet"]:
        notice(_summary(totals, done))


def _summary(totals: Totals, done: str) -> str:
    parts = [f"{totals.files} files {done}, {totals.original} -> {totals.compressed} bytes"]
    if totals.characters:
        parts.append(f"{8 * totals.compressed / totals.characters:.3f} bits/char")
    if totals.known:
        parts.append(f"{totals.known} done before")
    if totals.skipped:
        parts.append(f"{totals.skipped} passed over")
    if totals.failures:
        parts.append(f"{len(totals.failures)} failed")
    return ", ".join(parts)
