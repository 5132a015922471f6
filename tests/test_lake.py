"""Corpora on stores, worked on by a Dask cluster: what comes out is what one process makes, whatever happens on the way."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import click
import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip import Codec
from llmzip.cli.main import program
from llmzip.errors import LlmzipError, UsageError
from llmzip.lake import (
    Corpus,
    compress,
    compress_bag,
    compress_column,
    decompress,
    decompress_bag,
    decompress_column,
    verify,
)
from llmzip.lake.jobs import measure
from llmzip.lake.manifest import Done, Line, Manifest, key_of
from llmzip.lake.places import HIDDEN, Entry, complete_file, folds_case, refuse_twins, store, told
from llmzip.lake.planning import Item, Pace, runs, tasks

distributed = pytest.importorskip("distributed")
SMALL = {"level": 1, "block_size": 1 << 14}


def text(seed: int, size: int) -> bytes:
    """Made-up prose."""
    draw = random.Random(seed)
    words = ["the", "harbour", "of", "a", "town", "and", "its", "ships", "by", "night", "under", "old", "stars"]
    return " ".join(draw.choice(words) for _ in range(size // 5)).encode()[:size]


@pytest.fixture(scope="module")
def client():
    """A cluster within this process: threads for workers."""
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as local:
        with distributed.Client(local, set_as_default=False) as made:
            yield made


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "texts"
    for number in range(12):
        path = root / f"2024-{number % 3 + 1:02}" / f"note-{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text(number, 300 + 500 * number))
    (root / "empty.txt").write_bytes(b"")
    (root / "big.log").write_bytes(text(99, 150_000))
    return root


def files(root: Path) -> dict[str, bytes]:
    """Everything below a folder but what the lake keeps for itself."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and HIDDEN not in path.parts
    }


def test_there_and_back(client, corpus: Path, tmp_path: Path) -> None:
    packed, restored = tmp_path / "packed", tmp_path / "restored"
    totals = compress(Corpus(str(corpus)), str(packed), client=client, task_seconds=0.2, **SMALL)
    originals = files(corpus)
    assert (totals.files, totals.original, totals.failures) == (14, sum(map(len, originals.values())), [])
    with Codec(**SMALL) as codec:
        # One process would have made the same, of the file in parts, too.
        assert files(packed) == {f"{name}.llmz": codec.compress(data) for name, data in originals.items()}
    assert not list((packed / HIDDEN).glob("parts/*"))
    again = compress(Corpus(str(corpus)), str(packed), client=client, **SMALL)
    assert (again.files, again.known) == (0, 14)
    checked = verify(Corpus(str(packed)), manifest=str(packed), client=client)
    assert (checked.files, checked.failures) == (14, [])
    back = decompress(Corpus(str(packed)), str(restored), client=client, task_seconds=0.05, **SMALL)
    assert not back.failures and files(restored) == originals
    (corpus / "2024-01" / "note-0.txt").write_bytes(b"changed")
    os.utime(corpus / "2024-01" / "note-0.txt", (1, 1))
    changed = compress(Corpus(str(corpus)), str(packed), client=client, **SMALL)
    assert (changed.files, changed.known) == (1, 13)


def test_an_output_that_is_gone_is_made_again(client, corpus: Path, tmp_path: Path) -> None:
    packed, back = tmp_path / "packed", tmp_path / "back"
    compress(Corpus(str(corpus)), str(packed), client=client, **SMALL)
    decompress(Corpus(str(packed)), str(back), client=client)
    whole = files(back)
    gone = ["2024-01/note-0.txt", "2024-02/note-1.txt", "big.log"]
    for name in gone:
        (back / name).unlink()
    again = decompress(Corpus(str(packed)), str(back), client=client)
    assert (again.files, again.known) == (len(gone), len(whole) - len(gone)) and files(back) == whole
    (packed / "2024-01/note-0.txt.llmz").unlink()
    assert compress(Corpus(str(corpus)), str(packed), client=client, **SMALL).files == 1


def test_failures_are_named_and_do_not_stop_the_others(client, corpus: Path, tmp_path: Path) -> None:
    packed, restored = tmp_path / "packed", tmp_path / "restored"
    compress(Corpus(str(corpus)), str(packed), client=client, task_seconds=0.2, **SMALL)
    cut, flipped, wrong = (
        packed / "2024-01/note-3.txt.llmz",
        packed / "big.log.llmz",
        packed / "2024-02/note-4.txt.llmz",
    )
    cut.write_bytes(cut.read_bytes()[:-1])
    data = bytearray(flipped.read_bytes())
    data[len(data) // 2] ^= 1
    flipped.write_bytes(data)
    wrong.write_bytes((packed / "2024-02/note-1.txt.llmz").read_bytes())
    (packed / "2024-03/note-5.txt.llmz").unlink()
    checked = verify(Corpus(str(packed)), manifest=str(packed), client=client)
    assert sorted(failure.source.rpartition("/")[2] for failure in checked.failures) == [
        "big.log.llmz",
        "note-3.txt.llmz",
        "note-4.txt.llmz",
        "note-5.txt.llmz",
    ]
    back = decompress(Corpus(str(packed)), str(restored), client=client, task_seconds=0.05, **SMALL)
    assert sorted((Path(failure.source).name, failure.code) for failure in back.failures) == [
        ("big.log.llmz", 3),
        ("note-3.txt.llmz", 3),
    ]
    assert back.files == 11 and not {"big.log", "2024-01/note-3.txt"} & set(files(restored))
    assert not list(tmp_path.rglob("*.tmp"))


def test_what_is_there_is_not_overwritten(client, corpus: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    (packed / "2024-01").mkdir(parents=True)
    (packed / "2024-01/note-0.txt.llmz").write_bytes(b"precious")
    totals = compress(Corpus(str(corpus)), str(packed), client=client, **SMALL)
    assert [failure.code for failure in totals.failures] == [1] and "--force" in totals.failures[0].reason
    assert (packed / "2024-01/note-0.txt.llmz").read_bytes() == b"precious"
    forced = compress(Corpus(str(corpus)), str(packed), client=client, force=True, **SMALL)
    assert (forced.files, forced.known, forced.failures) == (1, 13, [])
    # Restored where the originals are: what is the same is fine, what differs stays.
    (corpus / "2024-02/note-1.txt").write_bytes(b"edited since")
    back = decompress(Corpus(str(packed)), str(corpus), client=client, **SMALL)
    assert [Path(failure.source).name for failure in back.failures] == ["note-1.txt.llmz"]
    assert (corpus / "2024-02/note-1.txt").read_bytes() == b"edited since"


def test_parts_of_an_earlier_run_are_taken_up(client, corpus: Path, tmp_path: Path) -> None:
    from llmzip.lake import parts
    from llmzip.lake.parts import Part
    from llmzip.lake.work import Way

    source = Corpus(str(corpus / "big.log"))
    (entry,) = source.entries()
    way = Way("compress", tuple(sorted(SMALL.items())), str(tmp_path / "packed"))
    item = Item(entry, str(tmp_path / "packed/big.log.llmz"))
    plan, there = parts.plan(way, item)
    assert there == [] and len(plan.lengths) > 5
    assert not parts.do_part(way, item, plan, Part(2, 4)).failures
    assert parts.plan(way, item) == (plan, [Part(2, 4)])
    made = Path(parts.folder_of(way, item)) / "00000002-00000004"
    written = made.stat().st_mtime_ns
    seen = []
    totals = compress(
        source, way.target, client=client, task_seconds=0.1, heard=lambda _: seen.append(made.exists()), **SMALL
    )
    assert (totals.files, totals.failures) == (1, []) and written
    with Codec(**SMALL) as codec:
        assert (tmp_path / "packed/big.log.llmz").read_bytes() == codec.compress((corpus / "big.log").read_bytes())


@pytest.mark.parametrize("operation", ["compress", "decompress"])
def test_joining_twice_is_joining_once(corpus: Path, tmp_path: Path, operation: str) -> None:
    """As after the death of a worker that had joined the parts and not yet said so."""
    from llmzip.lake import parts
    from llmzip.lake.parts import Part
    from llmzip.lake.work import Way

    text = (corpus / "big.log").read_bytes()
    with Codec(**SMALL) as codec:
        archive = codec.compress(text)
    (corpus / "big.log.llmz").write_bytes(archive)
    source, expected = ("big.log", archive) if operation == "compress" else ("big.log.llmz", text)
    (entry,) = Corpus(str(corpus / source)).entries()
    way = Way(operation, tuple(sorted(SMALL.items())), str(tmp_path / "made"))
    item = Item(entry, str(tmp_path / "made/out"))
    plan, _ = parts.plan(way, item)
    half = len(plan.lengths) // 2
    done = [Part(0, half), Part(half, len(plan.lengths))]
    (missing,) = parts.join_parts(way, item, plan, done).failures
    assert "no such file" in missing.reason.lower() and not Path(item.target).exists()
    for part in done:
        assert not parts.do_part(way, item, plan, part).failures
    first, second = (parts.join_parts(way, item, plan, done) for _ in range(2))
    assert (first.failures, second.failures) == ([], []) and first.lines == second.lines
    assert Path(item.target).read_bytes() == expected
    assert list(way.manifest.lines()) == first.lines and not Path(parts.folder_of(way, item)).exists()
    Path(item.target).unlink()  # by somebody who wants it made again: what the manifest says is not true any more
    assert parts.join_parts(way, item, plan, done).failures


def test_an_output_is_complete_or_absent(tmp_path: Path) -> None:
    for url in (f"{tmp_path}/deep/file", "memory://bucket/deep/file"):
        fs, path = store(url)
        with pytest.raises(ZeroDivisionError):
            with complete_file(url, {}) as file:
                file.write(b"half")
                raise ZeroDivisionError
        assert not fs.exists(path)
        with complete_file(url, {}) as file:
            file.write(b"whole")
        assert fs.cat_file(path) == b"whole"
    assert sorted(os.listdir(tmp_path / "deep")) == ["file"]


def test_names_that_fall_together(client, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_twins(["a.txt", "A.txt", "b.txt"], folds=False)
    with pytest.raises(UsageError, match="the same name"):
        refuse_twins(["a.txt", "b.txt", "a.txt"], folds=False)
    with pytest.raises(UsageError, match="differ in case"):
        refuse_twins(["a.txt", "A.txt"], folds=True)
    (corpus / "EMPTY.txt").write_bytes(b"another")
    monkeypatch.setattr("llmzip.lake.jobs.folds_case", lambda url, options: True)
    with pytest.raises(UsageError, match="differ in case"):
        compress(Corpus(str(corpus)), str(tmp_path / "packed"), client=client, **SMALL)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/empty.txt").write_bytes(b"of another folder")
    monkeypatch.undo()
    with pytest.raises(UsageError, match="the same name"):
        compress(Corpus(str(corpus), str(tmp_path / "other")), str(tmp_path / "packed"), client=client, **SMALL)
    assert not folds_case(str(tmp_path), {}) or os.path.exists(str(tmp_path).upper())


def test_what_a_corpus_is(corpus: Path, tmp_path: Path) -> None:
    (corpus / HIDDEN / "manifest").mkdir(parents=True)
    (corpus / HIDDEN / "manifest/x.jsonl").write_bytes(b"")
    (corpus / "2024-01/deep/deeper").mkdir(parents=True)
    (corpus / "2024-01/deep/deeper/d.txt").write_bytes(b"d")

    def names(*patterns: str) -> list[str]:
        return sorted(entry.name for entry in Corpus(*(f"{corpus}{pattern}" for pattern in patterns)).entries())

    everything = sorted(str(path.relative_to(corpus)) for path in corpus.rglob("*") if path.is_file())
    assert names("") == names("/") == [name for name in everything if HIDDEN not in name]
    assert names("/**/*.txt") == [name for name in everything if name.endswith(".txt")]
    assert names("/*.txt") == ["empty.txt"]
    assert names("/2024-0[12]/*.txt") == [
        name for name in everything if name[:7] in ("2024-01", "2024-02") and name.count("/") == 1
    ]
    assert names("/big.log") == ["big.log"] and len(names("", "/*.txt")) == len(names(""))


def test_links_are_passed_over_and_counted(client, corpus: Path, tmp_path: Path) -> None:
    (corpus / "link").symlink_to("big.log")
    (corpus / "around").symlink_to(".")
    os.mkfifo(corpus / "pipe")
    totals = compress(Corpus(str(corpus)), str(tmp_path / "packed"), client=client, **SMALL)
    assert (totals.files, totals.skipped, totals.failures) == (14, 3, [])


def test_what_stores_say_is_one_line() -> None:
    for error in (PermissionError("Access Denied"), FileNotFoundError("no\nsuch")):
        with pytest.raises(LlmzipError, match=r"^s3://bucket/x: ") as caught:
            with told("s3://bucket/x"):
                raise error
        assert "\n" not in str(caught.value)


def test_sources_that_are_not_there(client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LlmzipError, match="not found"):
        compress(Corpus(f"{tmp_path}/nothing"), str(tmp_path), client=client)
    with pytest.raises(LlmzipError, match="no file matches"):
        compress(Corpus(f"{tmp_path}/*.txt"), str(tmp_path), client=client)
    with pytest.raises(LlmzipError, match="nosuch"):
        compress(Corpus("nosuch://bucket/file"), str(tmp_path), client=client)
    (tmp_path / "a").write_bytes(b"a")
    monkeypatch.setattr("llmzip.lake.cluster._FIRST", 1.0)
    with pytest.raises(LlmzipError, match="no scheduler answers"):
        compress(Corpus(f"{tmp_path}/a"), str(tmp_path / "out"), scheduler="tcp://127.0.0.1:9")


def test_workers_of_another_version_are_refused(client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"a")
    with monkeypatch.context() as patch:
        patch.setattr("llmzip.lake.work.__version__", "0.0.1")  # what the workers are; Way took the true one
        with pytest.raises(LlmzipError, match=r"worker .* has llmzip 0.0.1"):
            compress(Corpus(f"{tmp_path}/a"), str(tmp_path / "out"), client=client, **SMALL)
    with pytest.raises(LlmzipError, match=r"worker .*nosuch") as caught:
        compress(Corpus(f"{tmp_path}/a"), str(tmp_path / "out"), client=client, model="nosuch.gguf")
    assert caught.value.exit_code == 4
    assert not (tmp_path / "out").exists()


def test_estimates(client, corpus: Path, tmp_path: Path) -> None:
    from llmzip.lake.estimates import Estimates

    estimates = Estimates()
    totals = measure(Corpus(str(corpus / "**/*.txt")), estimates.add, client=client, **SMALL)
    assert totals.files == 13
    rows = {(row["by"], row["group"]): row for row in estimates.rows()}
    assert rows[None, "all"]["files"] == 13 and rows["date", "2024-02"]["files"] == 4
    assert rows["folder", "2024-01"]["margin"] > 0 and rows["folder", "."]["margin"] is None
    with Codec(**SMALL) as codec:
        packed = sum(len(codec.compress(path.read_bytes())) for path in corpus.rglob("*.txt"))
    characters = sum(len(path.read_bytes()) for path in corpus.rglob("*.txt"))
    assert rows[None, "all"]["bits_per_character"] == pytest.approx(8 * packed / characters)


def test_bags_and_columns(client) -> None:
    bag = pytest.importorskip("dask.bag")
    strings = ["", "One line.", "Ærø, 中文", "x" * 1000]
    with client.as_current():
        packed = compress_bag(bag.from_sequence(strings, npartitions=2), **SMALL)
        assert all(isinstance(each, bytes) for each in packed.compute())
        assert decompress_bag(packed).compute() == strings


def test_columns_of_dataframes(client) -> None:
    frames, pandas = pytest.importorskip("dask.dataframe"), pytest.importorskip("pandas")
    frame = pandas.DataFrame({"id": range(6), "text": ["a", None, "ccc", "", "e e", "f"]})
    with client.as_current():
        packed = compress_column(frames.from_pandas(frame, npartitions=2), "text", "packed", **SMALL)
        assert [type(value) for value in packed.compute()["packed"].dropna()] == [bytes] * 5
        restored = decompress_column(packed, "packed", "back").compute()
        assert restored["back"].tolist()[2:] == ["ccc", "", "e e", "f"] and restored["back"].isna().tolist()[1]
        with pytest.raises(KeyError):
            compress_column(packed, "nosuch")


@given(st.lists(st.binary(min_size=16, max_size=16)), st.lists(st.binary(min_size=16, max_size=16)))
def test_done_is_a_set(keys: list[bytes], others: list[bytes]) -> None:
    done = Done(keys)
    # Keys that differ in zeros at their end are the same to it; hashes do not.
    known = {key.rstrip(b"\0") for key in keys}
    assert all(key in done for key in keys) and len(done) == len(known)
    assert all((other in done) == (other.rstrip(b"\0") in known) for other in others)


def test_the_manifest_outlives_its_runs(tmp_path: Path) -> None:
    manifest = Manifest(str(tmp_path), {})
    lines = [Line(f"s{i}", f"t{i}", i, i, None, "d", "1", "compress") for i in range(300)]
    for line in lines:
        manifest.add([line])
    manifest.add([])
    manifest.compact()
    assert len(manifest.segments()) == 1 and sorted(manifest.lines(), key=lambda line: line.original) == lines
    assert key_of("s1", "1", "t1", "compress") in Done(line.key for line in manifest.lines())
    assert key_of("s1", "2", "t1", "compress") not in Done(line.key for line in manifest.lines())
    Path(manifest.segments()[0]).write_text("{}\n")
    with pytest.raises(LlmzipError, match="not a manifest"):
        list(manifest.lines())


entries = st.builds(Entry, st.text(max_size=3), st.just("n"), st.integers(-1, 10**9), st.just(""))


@given(st.lists(entries, max_size=50), st.floats(1e3, 1e7), st.floats(0.1, 100))
def test_every_file_is_in_one_task(found: list[Entry], rate: float, aim: float) -> None:
    items = [Item(entry, str(number)) for number, entry in enumerate(found)]
    groups = list(tasks(items, Pace(rate), aim, 1 << 22))
    assert sorted(item.target for group in groups for item in group) == sorted(item.target for item in items)
    assert all(groups)


@given(st.lists(st.integers(1, 1 << 22), max_size=50), st.floats(1e3, 1e7), st.floats(0.1, 100))
@settings(max_examples=50)
def test_every_block_is_in_one_run(lengths: list[int], rate: float, aim: float) -> None:
    made = list(runs(lengths, Pace(rate), aim))
    assert [block for start, stop in made for block in range(start, stop)] == list(range(len(lengths)))


def test_the_command(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client, capsys) -> None:
    monkeypatch.setattr("llmzip.lake.cluster.Cluster._connect", lambda self, seconds: client)
    monkeypatch.setattr("llmzip.lake.cluster.Cluster.close", lambda self: None)
    scheduler = ["--scheduler", "tcp://here:1"]

    def run(*arguments: str) -> tuple[int, str, str]:
        code = program.main(["lake", *arguments, *scheduler], prog_name="llmzip", standalone_mode=False)
        said = capsys.readouterr()
        return code or 0, said.out, said.err

    code, out, err = run("compress", "-1", "--block-size", "16K", f"{corpus}/2024-*/*.txt", str(tmp_path / "packed"))
    assert code == 0 and not out and "12 files compressed" in err
    (tmp_path / "packed/2024-01/note-0.txt.llmz").write_bytes(b"nothing")
    code, out, err = run("decompress", "--json", str(tmp_path / "packed"), str(tmp_path / "back"))
    assert code == 3 and json.loads(out)["files"] == 11 and "note-0.txt.llmz" in err
    code, out, err = run("verify", "--manifest", str(tmp_path / "packed"), str(tmp_path / "packed"))
    assert code == 3 and "11 files verified" in err and "1 failed" in err
    monkeypatch.setenv("LLMZIP_MODEL", "nosuch.gguf")  # which nothing at level 1 needs
    monkeypatch.setattr("llmzip.lake.cluster.Cluster.dashboard", "http://there:1/status")
    (tmp_path / "packed/2024-01/note-0.txt.llmz").unlink()
    again = ("compress", "-1", "--block-size", "16K", "-v", f"{corpus}/2024-*/*.txt", str(tmp_path / "packed"))
    code, out, err = run(*again)
    assert code == 0 and err.splitlines()[0] == "llmzip: Dask's pages: http://there:1/status"
    assert "1 files compressed" in err and "11 done before" in err
    code, out, err = run("estimate", "-1", f"{corpus}/2024-*/*.txt")
    assert code == 0 and "2024-02" in out and "±" in out
    code, out, err = run("estimate", "-1", "--json", f"{corpus}/2024-*/*.txt")
    document = json.loads(out)
    assert (code, document["files"], document["failures"]) == (0, 12, []) and document["rows"][0]["group"] == "all"
    code, out, err = run("verify", str(tmp_path / "nosuch"))
    assert code == 1 and len(err.splitlines()) == 1


def test_every_option_of_coding_reaches_the_workers() -> None:
    from dataclasses import fields

    from llmzip.cli import lake
    from llmzip.cli.options import apply, coding_options
    from llmzip.codec.settings import Settings

    coding = {option.name for option in click.command()(apply(coding_options)(lambda **_: None)).params}
    taken = {option.name for option in lake.compress.params}
    assert (
        {"window", "level", "mix"} <= coding <= taken & set(lake._CODEC) <= {field.name for field in fields(Settings)}
    )


def test_stores_through_fsspec(client, corpus: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/lake/in/a.txt", text(1, 3000))
    totals = compress(Corpus("memory://lake/in"), "memory://lake/out", client=client, **SMALL)
    assert totals.files == 1 and not totals.failures
    with Codec() as codec:
        assert codec.decompress(memory.cat_file("/lake/out/a.txt.llmz")) == text(1, 3000)
