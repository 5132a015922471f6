"""A corpus compressed, restored, verified or measured by a cluster; what is done is in the manifest and not done again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from llmzip.codec.settings import Settings
from llmzip.errors import UsageError
from llmzip.lake import parts, work
from llmzip.lake.cluster import Cluster, cluster
from llmzip.lake.driver import Driver, Unit
from llmzip.lake.manifest import Done, Line, Manifest, key_of
from llmzip.lake.parts import Part, Plan
from llmzip.lake.places import SUFFIX, Corpus, Entry, Stored, canonical, folds_case, join, refuse_twins
from llmzip.lake.planning import Item, Pace, is_big, runs, tasks
from llmzip.lake.work import Failure, Report, Way

if TYPE_CHECKING:
    from distributed import Client

TASK_SECONDS = 60.0
_FIRST_RATES = {False: 200e3, True: 15e3}  # bytes a second of a worker, without and with the network
_EXPANSION = 4.0  # bytes of a text in a byte of its archive

Heard = Callable[["Totals"], None]


@dataclass
class Totals:
    """What a run did. original, compressed: bytes; characters: of the originals that are UTF-8; known: files that were done
    before; skipped: files that such work does not concern, links and the like; expected: bytes of all files that were to be done; dashboard: address of
    Dask's own pages while it works, empty where there are none."""

    files: int = 0
    original: int = 0
    compressed: int = 0
    characters: int = 0
    known: int = 0
    skipped: int = 0
    expected: int = 0
    failures: list[Failure] = field(default_factory=list)
    dashboard: str = ""

    def add(self, report: Report) -> None:
        """Take in what a task did."""
        self.files += len(report.lines)
        self.original += report.original
        self.compressed += sum(line.compressed for line in report.lines)
        self.characters += sum(line.characters or 0 for line in report.lines)
        self.failures += report.failures


def compress(
    corpus: Corpus,
    target: str,
    *,
    scheduler: str | None = None,
    client: Client | None = None,
    workers: int = 0,
    task_seconds: float = TASK_SECONDS,
    target_options: dict[str, Any] | None = None,
    force: bool = False,
    heard: Heard | None = None,
    **settings: Any,
) -> Totals:
    """Compress every file of a corpus to its name and `.llmz` below target, a URL of fsspec.

    scheduler: address of a Dask scheduler, or client: of one; without either, `workers` processes of this machine (0: one a core).
    task_seconds: what a task shall take, as far as files and blocks allow. heard: is told the totals after every task.
    settings: as of `Codec`. Files that the manifest below target has are passed over; one that fails does not stop the others.
    Raises UsageError, ModelError, `LlmzipError` for what concerns all files.
    """
    Settings(**settings)
    way = _way("compress", target, corpus, target_options, settings, force)
    job = _Job(way, task_seconds, heard)
    return job.run(corpus, lambda: cluster(scheduler, workers, client))


def decompress(
    corpus: Corpus,
    target: str,
    *,
    scheduler: str | None = None,
    client: Client | None = None,
    workers: int = 0,
    task_seconds: float = TASK_SECONDS,
    target_options: dict[str, Any] | None = None,
    force: bool = False,
    heard: Heard | None = None,
    **settings: Any,
) -> Totals:
    """Restore every archive of a corpus to its name without `.llmz` below target; the rest as `compress`."""
    Settings(**settings)
    way = _way("decompress", target, corpus, target_options, settings, force)
    job = _Job(way, task_seconds, heard)
    return job.run(corpus, lambda: cluster(scheduler, workers, client))


def verify(
    corpus: Corpus,
    *,
    manifest: str | None = None,
    scheduler: str | None = None,
    client: Client | None = None,
    workers: int = 0,
    task_seconds: float = TASK_SECONDS,
    heard: Heard | None = None,
    **settings: Any,
) -> Totals:
    """Decode every archive of a corpus to nowhere, and compare it with what the manifest below a target says of it, if given.

    An archive that the manifest names and that is not there, or is of another text, is a failure. The rest as `compress`.
    """
    Settings(**settings)
    way = _way("verify", "", corpus, None, settings, False)
    expected = _Expected(manifest, dict(corpus.options)) if manifest else None
    job = _Job(way, task_seconds, heard, partial(_compare, expected) if expected else None)
    totals = job.run(corpus, lambda: cluster(scheduler, workers, client))
    if expected:
        totals.failures += expected.missing()
    return totals


def measure(
    corpus: Corpus,
    each: Callable[[Line, Entry], None],
    *,
    scheduler: str | None = None,
    client: Client | None = None,
    workers: int = 0,
    task_seconds: float = TASK_SECONDS,
    heard: Heard | None = None,
    **settings: Any,
) -> Totals:
    """Compress every file of a corpus to nowhere; each: is told every file's sizes. The rest as `compress`."""
    Settings(**settings)
    way = _way("estimate", "", corpus, None, settings, False)
    job = _Job(way, task_seconds, heard, each=each)
    return job.run(corpus, lambda: cluster(scheduler, workers, client))


def _way(
    operation: str, target: str, corpus: Corpus, options: dict[str, Any] | None, settings: dict[str, Any], force: bool
) -> Way:
    return Way(
        operation=operation,
        settings=tuple(sorted(settings.items())),
        target=canonical(target, options or {}) if target else "",
        source_options=corpus.options,
        target_options=tuple(sorted((options or {}).items())),
        force=force,
    )


class _Expected:
    """What a manifest says of archives: which there are, and what they restore to."""

    def __init__(self, root: str, options: dict[str, Any]) -> None:
        lines = [line for line in Manifest(root, options).lines() if line.way.startswith("compress")]
        if not lines:
            raise UsageError(f"{root} has no manifest of compressed files")
        self._texts = Done(key_of(line.target, line.digest, "", "") for line in lines)
        self._targets = {line.target for line in lines}

    def compare(self, line: Line) -> Failure | None:
        if line.source in self._targets:
            self._targets.discard(line.source)
            if key_of(line.source, line.digest, "", "") not in self._texts:
                return Failure(line.source, "is sound, but not of the text that the manifest names", 3)
        return None

    def forgive(self, failure: Failure) -> None:
        self._targets.discard(failure.source)

    def missing(self) -> list[Failure]:
        return [Failure(target, "the manifest names it, but it is not there", 1) for target in sorted(self._targets)]


def _compare(expected: _Expected, report: Report) -> None:
    for failure in report.failures:
        expected.forgive(failure)
    for line in list(report.lines):
        wrong = expected.compare(line)
        if wrong:
            report.lines.remove(line)
            report.failures.append(wrong)


class _Job:
    """One run over a corpus. check: may turn lines of a report into failures."""

    def __init__(
        self,
        way: Way,
        task_seconds: float,
        heard: Heard | None,
        check: Callable[[Report], None] | None = None,
        each: Callable[[Line, Entry], None] | None = None,
    ) -> None:
        self._way, self._aim, self._heard = way, task_seconds, heard
        self._check, self._each = check, each
        self._codec = Settings(**dict(way.settings))
        reading = way.operation in ("decompress", "verify")
        self._pace = Pace(_FIRST_RATES[self._codec.network], _EXPANSION if reading else 1.0)
        self._parted = way.operation in ("compress", "decompress")
        self.totals = Totals()

    def run(self, corpus: Corpus, started: Callable[[], AbstractContextManager[Cluster]]) -> Totals:
        """started: the cluster, which is not asked for where nothing is left to do."""
        items = self._items(corpus)
        first = next(items, None)
        if first is None:
            return self.totals
        with started() as held:
            held.prepare(self._way)
            self.totals.dashboard = held.dashboard
            self._tell(Report())
            block = self._codec.block_bytes if self._parted else 1 << 62
            groups = tasks(chain([first], items), self._pace, self._aim, block)
            Driver(held, self._failed).run(self._units(groups))
        if self._parted:
            self._way.manifest.compact()
        return self.totals

    def _items(self, corpus: Corpus) -> Iterator[Item]:
        """What is to be done, without what is; found as it is asked for, where no two files can get one name."""
        way = self._way
        items: Iterable[Item] = self._concerned(corpus.entries(self._passed))
        if way.target and (len(corpus.urls) > 1 or folds_case(way.target, way.writing)):
            items = list(items)
            refuse_twins((item.target for item in items), folds_case(way.target, way.writing))
        done = Done(line.key for line in way.manifest.lines()) if way.target else Done(())
        stored = Stored(way.writing)
        for item in items:
            if key_of(item.entry.url, item.entry.stamp, item.target, way.label) in done and item.target in stored:
                self.totals.known += 1
            else:
                self.totals.expected += max(0, item.entry.size)
                yield item

    def _passed(self) -> None:
        self.totals.skipped += 1

    def _concerned(self, entries: Iterable[Entry]) -> Iterator[Item]:
        """The files that such work is about, with the names of their outputs."""
        compressing = self._way.operation in ("compress", "estimate")
        for entry in entries:
            archive = entry.name.endswith(SUFFIX)
            if archive == compressing:
                self.totals.skipped += 1
                continue
            name = entry.name.removesuffix(SUFFIX) if archive else entry.name + SUFFIX
            yield Item(entry, join(self._way.target, name) if self._way.target else "")

    def _units(self, groups: Iterator[list[Item]]) -> Iterator[Unit]:
        for group in groups:
            sources = tuple(item.entry.url for item in group)
            if self._parted and is_big(group[0].entry, self._pace, self._aim, self._codec.block_bytes):
                yield Unit(parts.plan, (self._way, group[0]), partial(self._planned, group[0]), sources)
            else:
                entries = {item.entry.url: item.entry for item in group}
                yield Unit(work.do_files, (self._way, group), partial(self._done, entries), sources)

    def _done(self, entries: dict[str, Entry], report: Report) -> Iterable[Unit]:
        if report.lines:
            size = sum(max(0, entries[line.source].size) for line in report.lines)
            self._pace.learn(report.original, report.seconds, size)
        if self._check:
            self._check(report)
        if self._each:
            for line in report.lines:
                self._each(line, entries[line.source])
        self._tell(report)
        return ()

    def _planned(self, item: Item, answer: tuple[Plan, list[Part]] | Failure) -> Iterable[Unit]:
        if isinstance(answer, Failure):
            self._failed(answer)
            return
        plan, there = answer
        big = _Big(item, plan, list(there))
        gaps = list(_gaps(there, len(plan.lengths)))
        for gap in gaps:
            for start, stop in runs(plan.lengths[gap.start : gap.stop], self._pace, self._aim):
                big.wanted += 1
                part = Part(gap.start + start, gap.start + stop)
                yield Unit(
                    parts.do_part, (self._way, item, plan, part), partial(self._part_done, big, part), (item.entry.url,)
                )
        if not gaps:
            yield self._joined(big)

    def _part_done(self, big: _Big, part: Part, report: Report) -> Iterable[Unit]:
        big.wanted -= 1
        if report.failures:
            # Of its other parts, too, the first failure is the one to tell.
            if not big.failed:
                self._failed(report.failures[0])
            big.failed = True
            return
        self._pace.learn(sum(big.plan.lengths[part.start : part.stop]), report.seconds)
        big.there.append(part)
        if not big.wanted and not big.failed:
            yield self._joined(big)

    def _joined(self, big: _Big) -> Unit:
        ordered = sorted(big.there, key=lambda part: part.start)
        return Unit(
            parts.join_parts, (self._way, big.item, big.plan, ordered), self._joining_done, (big.item.entry.url,)
        )

    def _joining_done(self, report: Report) -> Iterable[Unit]:
        self._tell(report)
        return ()

    def _failed(self, failure: Failure) -> None:
        self._tell(Report(failures=[failure]))

    def _tell(self, report: Report) -> None:
        self.totals.add(report)
        if self._heard:
            self._heard(self.totals)


@dataclass
class _Big:
    """A file in parts. wanted: parts that are being worked on."""

    item: Item
    plan: Plan
    there: list[Part]
    wanted: int = 0
    failed: bool = False


def _gaps(there: Iterable[Part], count: int) -> Iterator[Part]:
    """What is not there of so many blocks."""
    at = 0
    for part in there:
        if part.start > at:
            yield Part(at, part.start)
        at = max(at, part.stop)
    if at < count:
        yield Part(at, count)


def first_code(totals: Totals) -> int:
    """The exit code of a run: that of the first failure, 0 if there is none."""
    return totals.failures[0].code if totals.failures else 0
