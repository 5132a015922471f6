"""Bits over time: dates in names and columns, periods, and a model that has not seen the later texts."""

from __future__ import annotations

import json

import pytest
from known_models import independent

from llmzip.cli.main import _execute
from llmzip.codec import locate
from llmzip.errors import LlmzipError
from llmzip.measures import by_date, date_tables
from llmzip.measures.by_date import Point
from llmzip.measures.collections import Item
from llmzip.model import embedded

ODDS = {"a": 0.7, "b": 0.1, "c": 0.1, " ": 0.1}


def run(capsys, *arguments):
    code = _execute(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def known(monkeypatch):
    monkeypatch.setattr("llmzip.codec.choice.TABLE", b"")
    monkeypatch.setattr(locate, "load", lambda *_, **__: independent(ODDS, embedded.WINDOW))


@pytest.fixture
def records(tmp_path):
    """Texts that the model knows until the end of 2023, and others."""
    path = tmp_path / "texts.jsonl"
    with open(path, "w") as file:
        for year in (2021, 2022, 2023, 2024, 2025):
            for month in range(1, 13):
                text = ("aaab aaac " if year < 2024 else "bcbc cbbc ") * (3 + month % 3)
                file.write(json.dumps({"text": text, "date": f"{year}-{month:02}-15"}) + "\n")
    return path


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("2024-07-01-news.md", "2024-07-01"),
        ("talk_2023.txt", "2023"),
        ("2024/03/2024-03-28-x.md", "2024-03-28"),
        ("20240301", "2024-03-01"),
        ("v1.2.3-build.12345", None),
        ("2024-13-01", "2024"),
        ("2023-02-30", None),
    ],
)
def test_dates_in_names(name, found):
    assert by_date.date_in(name) == found


def test_periods():
    assert [by_date.period_of("2024-07-01", period) for period in by_date.PERIODS] == ["2024", "2024 Q3", "2024-07"]
    with pytest.raises(LlmzipError, match="has no month"):
        by_date.period_of("2024", "month")
    assert by_date.fitting_period(["2024-01-01", "2024-09-01"]) == "month"
    assert by_date.fitting_period([f"{2010 + i // 12}-{1 + i % 12:02}" for i in range(60)]) == "quarter"
    assert by_date.fitting_period(["2010", "2024-09-01"]) == "year"
    items = [Item(f"2024-0{i}-01.txt", ("é" * 10).encode()) for i in range(1, 7)]
    groups = by_date.periods(items, "quarter", cut=7)
    assert [(group.period, len(group.texts)) for group in groups] == [("2024 Q1", 3), ("2024 Q2", 3)]
    assert groups[0].texts[0].decode() == "ééé"
    sampled = by_date.periods(items, "year", sample=50, seed=3)
    assert len(sampled[0].texts) == 3


def test_a_cut_off_shows(known, records, capsys, tmp_path):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    picture = tmp_path / "p.svg"
    code, out, err = run(
        capsys, "rank-models", str(records), "--by-date", "--period", "year", "--json", "--plot", str(picture)
    )
    points = json.loads(out)["points"]
    assert (code, err) == (0, "")
    assert [point["period"] for point in points] == ["2021", "2022", "2023", "2024", "2025"]
    rates = [point["bits_per_character"] for point in points]
    assert max(rates[:3]) < 2 and min(rates[3:]) > 2.5
    assert all(
        point["margin_95"] < 0.2 and point["bytes"] and point["tokens"] and point["texts"] == 12 for point in points
    )
    assert all(word in picture.read_text() for word in ("2021", "2025", "bits per character"))
    arguments = ["rank-models", str(records), "--by-date", "--cut", "20"]
    told = "only the beginning was measured"
    _, table, err = run(capsys, *arguments)
    assert "2021 Q1" in table and table.count(told) == 1 and err == ""
    _, table, err = run(capsys, *arguments, "--csv")
    assert told not in table and err.count(told) == 1


def test_dates_of_tables_and_names(known, tmp_path, capsys):
    (tmp_path / "t.csv").write_text("when,body\n2020-05-01,aab a\n2021-05-01,bbc\n2021-06-01,bac\n")
    arguments = [
        "rank-models",
        str(tmp_path / "t.csv"),
        "--by-date",
        "--date-column",
        "when",
        "--column",
        "body",
        "--csv",
    ]
    code, out, _ = run(capsys, *arguments, "--period", "year")
    assert code == 0 and len(out.splitlines()) == 3
    for name in ("a-2020-01-01.txt", "b-2021-01-01.txt"):
        (tmp_path / name).write_text("aab abc")
    code, out, _ = run(capsys, "rank-models", *map(str, sorted(tmp_path.glob("*.txt"))), "--by-date", "--csv")
    assert code == 0 and "2020-01" in out and "2021-01" in out


@pytest.mark.parametrize(
    ("name", "content", "arguments", "words"),
    [
        ("t.csv", "text\naab\n", [], "no column 'date'"),
        ("t.csv", "text,date\naab,soon\n", [], "has no date in 'soon'"),
        ("note.txt", "aab", [], "has no date in its name"),
        ("2020.txt", "aab", ["--period", "month"], "has no month"),
        ("2020.txt", "aab", ["--split", "2020-01-01"], "give one of them"),
    ],
)
def test_bad_input(known, tmp_path, capsys, name, content, arguments, words):
    (tmp_path / name).write_text(content)
    code, _, err = run(capsys, "rank-models", str(tmp_path / name), "--by-date", *arguments)
    assert code in (1, 2) and words in err and len(err.splitlines()) == 1


def test_the_axis_of_pictures_is_not_stretched_by_few_texts():
    points = [Point(str(2000 + i), 9, 90, 30, 90, 90 * rate, 0.1) for i, rate in enumerate((1.0, 1.2, 1.1))]
    few = [Point("2010", 2, 20, 9, 20, 20 * 1.5, 12.0), Point("2011", 1, 10, 5, 10, 10 * 0.8, None)]
    low, high = date_tables._limits([*points, *few])
    assert 0.7 < low < 0.8 and 1.5 < high < 1.6, "every point is in the picture, not every interval"
    assert date_tables._limits(few[1:])[0] < 0.8 < date_tables._limits(few[1:])[1]
    assert date_tables.picture({"model": [*points, *few]}, "png").startswith(b"\x89PNG")
