"""Distances: known cases, the cache, the files and pictures of `llmzip distance`."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeModel

from llmzip.cli.main import _execute
from llmzip.codec.settings import Settings
from llmzip.errors import LlmzipError
from llmzip.measures import distances
from llmzip.measures.collections import Item, read_collection
from llmzip.measures.distances import MEASURES, Lengths, symmetric
from llmzip.measures.lengths import contender
from llmzip.measures.model_lengths import ModelLengths
from llmzip.measures.store import StoredLengths
from llmzip.report.measure.stopping import Stopped

MOON = b"The cat sat on the mat and looked at the moon for a while, as it did on most nights of that long summer. " * 2
STARS = MOON.replace(b"moon", b"stars").replace(b"summer", b"winter")
STOCKS = (
    b"Stocks edged higher on Friday as another drop in the price of oil helped Wall Street to forget a bad report. " * 2
)
GENE = b"ATGGAGAAAAAGCGCCGGGCACGCATCAATGTGTCACTGGAGCAGCTCAAGTCGCTGCTGGAGAAACACTACTCGCACCAGATCCGGAAGCGC" * 3


@pytest.fixture(scope="module")
def mixer():
    with ModelLengths(Settings(level=1)) as coder:
        yield coder


def run(capsys, *arguments):
    code = _execute(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def folder(tmp_path):
    for label, name, data in (("sky", "moon", MOON), ("sky", "stars", STARS), ("money", "stocks", STOCKS)):
        (tmp_path / label).mkdir(exist_ok=True)
        (tmp_path / label / f"{name}.txt").write_bytes(data)
    return tmp_path


def test_definitions_on_lengths_worked_out_by_hand():
    lengths = Lengths(np.array([10.0]), np.array([20.0]), np.array([[4.0]]), np.array([[15.0]]))
    expected = {"nid": 15 / 20, "ncd": (10 + 15 - 10) / 20, "cdm": 25 / 30, "conditional": 4 / 10}
    assert {measure: lengths.distances(measure)[0, 0] for measure in MEASURES} == pytest.approx(expected)
    with pytest.raises(ValueError, match="no measure"):
        lengths.distances("euclid")


@pytest.mark.parametrize("by", ["mixer", "gzip", "zstd", "xz", "brotli", "bzip2"])
def test_equal_texts_are_near_edited_ones_nearer_than_others(mixer, by):
    """Equal is not zero: by how much is said in docs/measures.md."""
    coder = mixer if by == "mixer" else contender(by)
    lengths = distances.distance_matrix(coder, [MOON, STARS, STOCKS]).lengths
    for measure in MEASURES:
        found = lengths.distances(measure)
        assert np.isfinite(found).all() and found.max() < 1.3
        assert np.diag(found).max() <= (0.5 if measure == "cdm" else 0.0) + (0.35 if by == "bzip2" else 0.12)
        assert found[0, 1] < found[0, 2] and found[1, 0] < found[2, 0]
        assert measure != "nid" or (found == found.T).all()


def test_rectangles_are_parts_of_the_square(mixer):
    texts = [MOON, STARS, STOCKS, GENE]
    for measure in MEASURES:
        square = distances.distance_matrix(mixer, texts, measure=measure)
        part = distances.distance_matrix(mixer, texts[:1], texts[1:], measure)
        assert part.values == pytest.approx(square.values[:1, 1:])
        assert part.coder == "mixer" and [size.bytes for size in part.y_sizes] == [len(text) for text in texts[1:]]


def test_empty_texts_are_refused(mixer):
    for texts in ([b""], [MOON, b""]):
        with pytest.raises(ValueError, match="empty"):
            distances.distance_matrix(mixer, texts)
        with pytest.raises(ValueError, match="empty"):
            distances.distance_matrix(mixer, [MOON], texts)


def test_texts_longer_than_the_window_are_told():
    long = b"the thing in red " * 60
    with ModelLengths(Settings(model=FakeModel())) as coder:
        found = distances.distance_matrix(coder, [long, b"the rest", b"red"])
    assert np.isfinite(found.values).all()
    assert len(found.notices) == 2
    assert "1 of 3 texts are longer than the window of 32 tokens" in found.notices[0]
    assert "contexts do not fit" in found.notices[1]


def test_lengths_are_worked_out_once(tmp_path):
    class Counting:
        def __init__(self):
            self.inner = contender("gzip")
            self.done = 0

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def given(self, contexts, texts, wanted, progress):
            self.done += int(wanted.sum())
            yield from self.inner.given(contexts, texts, wanted, progress)

    coder = Counting()
    texts = [MOON, STARS, STOCKS]
    first = distances.distance_matrix(StoredLengths(coder, tmp_path / "cache"), texts).values
    assert coder.done == 9
    again = StoredLengths(coder, tmp_path / "cache")
    assert (distances.distance_matrix(again, texts).values == first).all() and coder.done == 9
    more = distances.distance_matrix(again, [*texts, GENE]).values
    assert coder.done == 16 and (more[:3, :3] == first).all()

    class Stopping(Exception):
        pass

    def stop(count, seen=[0]):  # noqa: B006
        seen[0] += count
        if seen[0] > 8:
            raise Stopping

    with pytest.raises(Stopping):
        distances.distance_matrix(StoredLengths(coder, tmp_path / "other"), texts, progress=stop)
    before = coder.done
    kept = distances.distance_matrix(StoredLengths(coder, tmp_path / "other"), texts)
    assert coder.done - before == 6 and (kept.values == first).all(), "the first row was kept"


def test_a_file_of_another_kind_is_no_cache(tmp_path):
    (tmp_path / "text").write_bytes(MOON)
    with pytest.raises(LlmzipError, match="cannot be used as a cache"):
        StoredLengths(contender("gzip"), tmp_path / "text")
    assert (tmp_path / "text").read_bytes() == MOON


def test_collections(folder, tmp_path_factory):
    items = read_collection(folder)
    assert [(item.label, item.data) for item in items] == [("money", STOCKS), ("sky", MOON), ("sky", STARS)]
    there = tmp_path_factory.mktemp("tables")
    (there / "t.csv").write_text('label,title,text\na,"One, two",three\nb,Four,"five\nsix"\n')
    assert [(item.label, item.data) for item in read_collection(there / "t.csv")] == [
        ("a", b"three"),
        ("b", b"five\nsix"),
    ]
    assert read_collection(there / "t.csv", columns=["title", "text"])[0].data == b"One, two\nthree"
    (there / "t.jsonl").write_text(
        '{"text": "x", "label": "y", "when": "2024"}\n\n{"text": "z", "label": 3, "when": 1}\n'
    )
    found = read_collection(there / "t.jsonl", date="when")
    assert [(item.data, item.label, item.date) for item in found] == [(b"x", "y", "2024"), (b"z", "3", "1")]
    (there / "gene.fasta").write_text(">one some words\nACGT\nAC\n>two\nTT\n")
    assert [
        (item.name.rpartition(":")[2], item.data, item.label) for item in read_collection(there / "gene.fasta")
    ] == [
        ("one", b"ACGTAC", "gene"),
        ("two", b"TT", "gene"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "columns", "words"),
    [
        ("a.csv", "title\nx\n", [], "no column 'text' or 'sequence'"),
        ("a.csv", "text\nx\n", ["body"], "no column 'body': it has text"),
        ("a.csv", "text,label\nx\n", [], "record 2 has not as many fields"),
        ("a.csv", "text,label\n,b\n", [], "is empty"),
        ("a.csv", "text\n", [], "holds no texts"),
        ("a.jsonl", "[1]\n", [], "line 1 is no JSON object"),
        ("a.fasta", "ACGT\n", [], "is no FASTA"),
        ("a.txt", "", [], "is empty"),
    ],
)
def test_bad_collections(tmp_path, name, content, columns, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(LlmzipError, match=words):
        read_collection(tmp_path / name, columns=columns)


def test_a_default_model_says_nothing_about_the_mixer(folder, capsys, tmp_path, monkeypatch):
    names = [str(folder / "sky" / "moon.txt"), str(folder / "sky" / "stars.txt")]
    (tmp_path / "config.toml").write_text('model = "nosuch.gguf"\n')
    for variable, value in (("LLMZIP_CONFIG", str(tmp_path / "config.toml")), ("LLMZIP_MODEL", "nosuch.gguf")):
        with monkeypatch.context() as elsewhere:
            elsewhere.setenv(variable, value)
            assert run(capsys, "distance", "--by", "mixer", *names)[0] == 0
    code, _, err = run(capsys, "distance", "--by", "mixer", "--model", "nosuch.gguf", *names)
    assert code == 2 and "leave out --model" in err


def test_command_prints_pairs_with_what_they_rest_on(folder, capsys):
    names = [str(folder / "sky" / "moon.txt"), str(folder / "sky" / "stars.txt"), str(folder / "money" / "stocks.txt")]
    code, out, err = run(capsys, "distance", "--by", "mixer", *names, "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["values"][0][0] < document["values"][0][1]
    assert [row["bytes"] for row in document["columns"]] == [len(STARS), len(STOCKS)] and document["rows"][0][
        "tokens"
    ] > 20
    rows = list(
        csv.DictReader(io.StringIO(run(capsys, "distance", "--by", "gzip", "--measure", "cdm", *names, "--csv")[1]))
    )
    assert float(rows[0]["cdm"]) < float(rows[1]["cdm"]) and rows[0]["a_bytes"] == str(len(MOON))
    table = run(capsys, "distance", "--by", "mixer", *names)[1]
    assert "3 texts of" in table and "tokens" in table and "max{K(x|y), K(y|x)}" in table


def test_a_model_of_the_environment_is_no_contradiction(folder, capsys, monkeypatch):
    monkeypatch.setenv("LLMZIP_MODEL", "other.gguf")
    moon = str(folder / "sky" / "moon.txt")
    assert run(capsys, "distance", "--by", "mixer", moon, moon)[::2] == (0, "")


def test_matrix_tree_and_map(folder, capsys, tmp_path_factory):
    pytest.importorskip("scipy", reason="trees need SciPy")
    there = tmp_path_factory.mktemp("made")
    made = {name: there / name for name in ("m.csv", "m.json", "m.npy", "t.svg", "p.png")}
    for name in ("m.csv", "m.json", "m.npy"):
        code, out, err = run(capsys, "distance", "--by", "gzip", str(folder), "--matrix", str(made[name]))
        assert (code, err) == (0, "") and "Nearest texts" in out
    code, _, err = run(
        capsys, "distance", "--by", "gzip", str(folder), "--tree", str(made["t.svg"]), "--map", str(made["p.png"])
    )
    assert (code, err) == (0, "")
    values = np.load(made["m.npy"])
    assert values.shape == (3, 3) and json.loads(made["m.json"].read_text())["values"] == values.tolist()
    assert float(list(csv.reader(made["m.csv"].open()))[1][4]) == values[0, 1]
    svg = made["t.svg"].read_text()
    assert all(name in svg for name in ("moon.txt", "stars.txt", "stocks.txt", "money"))
    assert made["p.png"].read_bytes()[:4] == b"\x89PNG"
    code, _, err = run(capsys, "distance", "--by", "gzip", str(folder), "--matrix", str(made["m.npy"]))
    assert code == 1 and "already exists" in err


def test_trees_join_what_is_alike():
    pytest.importorskip("scipy", reason="trees need SciPy")
    from llmzip.measures.pictures import linkage

    values = np.array([[0.1, 0.3, 0.9], [0.2, 0.1, 0.8], [0.9, 0.9, 0.0]])
    assert symmetric(values) == pytest.approx(np.array([[0, 0.25, 0.9], [0.25, 0, 0.85], [0.9, 0.85, 0]]))
    assert linkage(values)[0, :3].tolist() == [0, 1, 0.25]
    with pytest.raises(ValueError, match="two texts"):
        linkage(values[:1, :1])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--by", "zip"], 2, "there is no coder 'zip'"),
        (["--by", "mixer", "--model", "x.gguf"], 2, "--by mixer uses no model"),
        (["--matrix", "x.txt"], 2, "must end in .csv or .json or .npy"),
        (["--tree", "x.gif"], 2, "must end in .png or .svg"),
        (["--measure", "edit", "--matrix", "x.csv"], 2, "compares the first text"),
        (["missing"], 1, "missing: No such file"),
    ],
)
def test_wrong_arguments(folder, capsys, arguments, code, words):
    moon = str(folder / "sky" / "moon.txt")
    found, _, err = run(capsys, "distance", moon, moon, *arguments)
    assert found == code and words in err and len(err.splitlines()) == 1


def test_one_text_has_nothing_to_be_compared_with(folder, capsys):
    for measure in ("nid", "edit"):
        code, _, err = run(capsys, "distance", "--measure", measure, str(folder / "sky" / "moon.txt"))
        assert code == 2 and "is the only text" in err


def test_stopping_and_going_on(folder, capsys, monkeypatch, tmp_path):
    def stopped(*_):
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr("llmzip.measures.distances.distance_matrix", stopped)
        code, out, err = run(
            capsys,
            "distance",
            "--by",
            "gzip",
            str(folder),
            "--map",
            str(tmp_path / "m.png"),
            "--cache",
            str(tmp_path / "c"),
        )
    assert code == 128 + signal.SIGINT and not out and "goes on from the cache" in err
    assert not (tmp_path / "m.png").exists()


def test_files_that_cannot_be_read_do_not_stop_the_others(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("a", MOON), ("b", STARS), ("empty", b"")):
        Path(name).write_bytes(text)
    code, out, err = run(capsys, "distance", "--by", "gzip", "--json", "a", "gone", "empty", "b")
    assert code == 1 and [row["text"] for row in json.loads(out)["columns"]] == ["b"]
    assert [line.split(":")[1].strip() for line in err.splitlines()] == ["gone", "empty is empty"]
    # Without the text that the others are compared with there is nothing to say.
    code, out, err = run(capsys, "distance", "--by", "gzip", "gone", "a", "b")
    assert (code, out) == (1, "") and len(err.splitlines()) == 1
    assert run(capsys, "distance", "--by", "gzip", "a", "gone")[:2] == (1, "")
    code, out, _ = run(capsys, "distance", "--by", "gzip", "--matrix", "m.csv", "gone", "a", "b")
    assert code == 1 and len(Path("m.csv").read_text().splitlines()) == 3


def test_what_a_table_rests_on_is_counted_where_sizes_are_alike(tmp_path, capsys):
    fasta = tmp_path / "s.fa"
    fasta.write_text(">a\nATGCATGCATGC\n>b\nATGCATTTATGC\n")
    assert "on 2 texts of 24 bytes, 24 tokens" in run(capsys, "distance", "--by", "mixer", str(fasta))[1]
    out = run(capsys, "distance", "--by", "mixer", "--matrix", str(tmp_path / "m.csv"), str(fasta))[1]
    assert "on 2 texts of 24 bytes, 24 tokens" in out


def test_a_text_from_a_pipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("b").write_bytes(STARS)
    root = str(Path(__file__).parent.parent)
    command = [sys.executable, "-m", "llmzip", "distance", "--by", "gzip", "--json", "-", "b"]
    found = subprocess.run(command, input=MOON, capture_output=True, env=os.environ | {"PYTHONPATH": root})
    assert json.loads(found.stdout)["rows"][0]["text"] == "(stdin)" and not found.stderr
    assert (
        subprocess.run(command, input=b"", capture_output=True, env=os.environ | {"PYTHONPATH": root}).returncode == 1
    )


def test_names_in_pictures_leave_out_the_folder_that_all_share():
    from llmzip.cli.distance import short_names

    def named(*names):
        return short_names([Item(name, b"x") for name in names])

    assert named("news/sports/0.txt", "news/world/0.txt") == ["sports/0.txt", "world/0.txt"]
    assert named("/a/b/t.csv:2", "/a/b/t.csv:3") == ["t.csv:2", "t.csv:3"]
    assert named("x", "x", "a/x") == ["x (1)", "x (2)", "a/x"]
    assert named("abc/x", "abd/x") == ["abc/x", "abd/x"]


def test_the_axis_of_a_tree_leaves_room_for_its_joins():
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    from llmzip.measures.pictures import _reach

    assert _reach(np.array([0.2, 0.9]))[1] == 0.0
    high, low = _reach(np.array([0.97, 1.0]))
    assert 1.0 < high < 1.01 and 0.95 < low < 0.97
    assert _reach(np.zeros(2))[1] == 0.0 < _reach(np.zeros(2))[0]
