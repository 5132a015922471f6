"""estimate, compare and rank-models as commands."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from known_models import DYADIC, dyadic_text, independent

from llmzip.cli.main import _execute
from llmzip.codec import locate
from llmzip.model import embedded

HERE = Path(__file__).parent


@pytest.fixture
def known(monkeypatch):
    monkeypatch.setattr("llmzip.codec.choice.TABLE", b"")  # of another vocabulary
    monkeypatch.setattr(locate, "load", lambda *_, **__: independent(DYADIC, embedded.WINDOW))
    monkeypatch.setattr(embedded, "IDENTITY", independent(DYADIC, embedded.WINDOW).identity)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(dyadic_text(2400))
    return str(path)


def run(capsys, *arguments):
    code = _execute(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def test_estimate_as_json(known, text, capsys):
    code, out, err = run(capsys, "estimate", text, "--json", "--window", "15,31", "--window-tokens", "64")
    document = json.loads(out)
    assert (code, err) == (0, "")
    (file,) = document["files"]
    assert file["file"] == text and not document["partial"]
    assert file["measures"][0]["bits_per_character"] == pytest.approx(1.75, abs=1e-5)
    assert [(row["window"], row["stride"]) for row in file["windows"]] == [(15, 1), (31, 3)]
    assert document["settings"] == {
        "context": 1024,
        "mixing": True,
        "block_size": 4 << 20,
        "sample": None,
        "seed": 0,
        "text8": False,
    }


def test_estimate_in_other_formats(known, text, capsys):
    assert "1.7500 ±" in run(capsys, "estimate", text)[1]
    assert "| model alone | 1.7500 ±" in run(capsys, "estimate", text, "--markdown")[1]
    rows = list(csv.DictReader(io.StringIO(run(capsys, "estimate", text, "--csv", "--no-mix")[1])))
    assert "after mixing" not in [row["measure"] for row in rows] and float(rows[0]["bits_per_byte"]) == pytest.approx(
        1.75
    )


def test_estimate_of_samples_and_text8(known, tmp_path, capsys):
    path = tmp_path / "large.txt"
    path.write_bytes(dyadic_text(80_000).upper())
    document = json.loads(run(capsys, "estimate", str(path), "--json", "--sample", "32K", "--seed", "5", "--text8")[1])
    (file,) = document["files"]
    assert file["size"] == 80_000 and file["sample"]["pieces"] == 8 and 20_000 < file["sample"]["bytes"] <= 32_769
    # Runs of blanks have become single ones, so there are fewer of the characters that take 3 bits.
    assert 1.6 < file["measures"][0]["bits_per_character"] < 1.75


def test_bad_files_have_their_line_and_the_others_their_figures(known, text, tmp_path, capsys):
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"\0\1\2")
    bad = [str(tmp_path / name) for name in ("empty", "binary", "missing", "")]
    code, out, err = run(capsys, "estimate", *bad, text, "--json")
    assert code == 1 and [file["file"] for file in json.loads(out)["files"]] == [text]
    assert [line.split(": ")[1] for line in err.splitlines()] == [*bad[:3], str(tmp_path)] or len(err.splitlines()) == 4
    for words in ("is empty", "is no text", "No such file", "is a directory"):
        assert words in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--window", "1024"], 2, "does not fit the context of 1024 tokens"),
        (["--window", "0"], 2, "a window holds"),
        (["--window", "x"], 2, "whole numbers"),
        (["--sample", "12 parsecs"], 2, "is not a size"),
        (["--plot", "x.gif"], 2, "must end in .png or .svg"),
        (["--html", "/nowhere/x.html"], 1, "no folder"),
        (["--window", "40", "--window-stride", "41"], 1, "stride"),
    ],
)
def test_wrong_arguments(known, text, capsys, arguments, code, words):
    found, _out, err = run(capsys, "estimate", text, *arguments)
    assert found == code and words in err and len(err.splitlines()) == 1


def test_pictures_and_pages_show_one_text(known, text, capsys, tmp_path):
    code, _out, err = run(capsys, "estimate", text, text, "--html", str(tmp_path / "x.html"))
    assert code == 2 and "one file" in err and not (tmp_path / "x.html").exists()


def test_windows_of_short_texts_are_refused_but_not_the_rest(known, tmp_path, capsys):
    path = tmp_path / "short"
    path.write_bytes(b"abc abc")
    code, out, err = run(capsys, "estimate", str(path), "--window", "31", "--json")
    assert code == 1 and "only 7 tokens" in err and json.loads(out)["files"][0]["tokens"] == 7


def test_page_and_picture_are_written(known, text, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    page, picture = tmp_path / "x.html", tmp_path / "x.svg"
    code, _, err = run(capsys, "estimate", text, "--html", str(page), "--plot", str(picture))
    assert (
        (code, err) == (0, "") and page.read_bytes().startswith(b"<!doctype html>") and b"<svg" in picture.read_bytes()
    )
    code, _, err = run(capsys, "estimate", text, "--html", str(page))
    assert code == 1 and "already exists" in err
    assert run(capsys, "estimate", text, "--html", str(page), "-f")[0] == 0


def test_missing_matplotlib_is_told_before_the_work(known, text, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, out, err = run(capsys, "estimate", text, "--plot", str(tmp_path / "x.png"))
    assert code == 1 and "pip install 'llmzip[plot]'" in err and out == ""


def test_missing_model(text, capsys):
    for command in ("estimate", "compare", "rank-models"):
        code, out, err = run(capsys, command, text, "--model", "/nowhere.gguf")
        assert code == 4 and "/nowhere.gguf" in err and out == "" and len(err.splitlines()) == 1


def test_rank_models(known, text, tmp_path, capsys):
    old = tmp_path / "old.txt"
    old.write_bytes(dyadic_text(1600))
    os.utime(old, (1e9, 1e9))
    code, out, err = run(capsys, "rank-models", text, str(old), "--split", "2020-01-01", "--json")
    document = json.loads(out)
    (model,) = document["models"]
    assert (code, err) == (0, "") and model["model"] == "built-in" and document["split"] == "2020-01-01"
    assert model["before"]["characters"] == 1600 and model["after"]["characters"] == 2400
    assert model["gap"]["gap"] == pytest.approx(0, abs=1e-5) and model["gap"]["margin"] > 0
    assert run(capsys, "rank-models", text, "--split", "yesterday")[0] == 2
    assert "built-in" in run(capsys, "rank-models", text)[1]


def test_compare_without_a_model(text, tmp_path, capsys):
    code, out, err = run(capsys, "compare", text, str(tmp_path / "missing"), "--only", "gzip,bzip2", "--json")
    document = json.loads(out)
    assert code == 1 and "No such file" in err
    assert [(each["codec"], each["verified"]) for each in document["results"]] == [
        ("gzip -9", True),
        ("bzip2 -9", True),
    ]
    code, out, err = run(capsys, "compare", text, "--only", "cmix,gzip")
    if "cmix" in err:
        assert code == 0 and "not installed, skipped: cmix" in err and "Not installed: cmix." in out


@pytest.mark.skipif(not hasattr(signal, "SIGINT"), reason="needs signals")
@pytest.mark.parametrize("command", ["estimate", "rank-models"])
def test_interrupt_prints_what_is_known(command, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(dyadic_text(8000 if name == "a" else 400_000))
    ready = tmp_path / "ready"
    process = subprocess.Popen(
        [sys.executable, HERE / "report_standin.py", ready, command, tmp_path / "a", tmp_path / "b", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(HERE)},
        text=True,
    )
    while not ready.exists() and process.poll() is None:
        time.sleep(0.01)
    # Long enough to be in the second file, much too short for all of it.
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    document = json.loads(out)
    assert process.returncode == 130 and document["partial"] and "stopped: what follows is partial" in err
    if command == "estimate":
        last = document["files"][-1]
        assert last["partial"] and 0 < last["tokens"] < 400_000
        assert last["measures"][0]["bits_per_character"] == pytest.approx(1.75, abs=0.2)


def test_levels_without_a_network(tmp_path, capsys):
    path, packed = tmp_path / "text", tmp_path / "packed"
    path.write_bytes(b"The table of n-grams knows English well enough for this.\n" * 3)
    assert run(capsys, "-1", str(path), "-o", str(packed))[0] == 0
    code, out, err = run(capsys, "estimate", "-1", str(path), "--json")
    document = json.loads(out)
    measures = {each["measure"]: each["bits"] for each in document["files"][0]["measures"]}
    assert (code, err, document["model"]["name"]) == (0, "", "table of n-grams")
    assert list(measures) == ["after mixing", "file with container"]
    assert measures["file with container"] == 8 * packed.stat().st_size
    assert 0 < measures["after mixing"] < measures["file with container"]
    for option in (["--window", "31"], ["--html", str(tmp_path / "x.html")], ["--plot", str(tmp_path / "x.svg")]):
        code, _, err = run(capsys, "estimate", "-1", str(path), *option)
        assert code == 2 and "level 1 has none" in err
    code, out, err = run(capsys, "rank-models", str(path), "--model", "table", "--json")
    assert code == 0 and "table of n-grams" in out
