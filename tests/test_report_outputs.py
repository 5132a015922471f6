"""Tables, documents and pictures; files that are written whole."""

import csv
import io
import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from known_models import DYADIC, KnownExaminer, dyadic_text, independent

from llmzip import atomic
from llmzip.errors import LlmzipError, UsageError
from llmzip.report.contest.compare import Result, totals
from llmzip.report.contest.ranking import AFTER, BEFORE, Score, collections, gap, together
from llmzip.report.measure.estimate import MODEL, estimate, window_rows
from llmzip.report.measure.texts import Text
from llmzip.report.output import comparison, estimates, plots, rankings, targets
from llmzip.report.output.tables import Column, Table, grouped, render, to_csv, with_margin


@pytest.fixture(scope="module")
def result():
    examiner = KnownExaminer(independent(DYADIC))
    data = dyadic_text(2400)
    found = estimate(examiner, Text("a $odd$ <name>|.txt", data, len(data)))
    window_rows(examiner, found, [15, 31], tokens=128)
    return found


def test_tables():
    columns = [Column("name", "name", left=True), Column("size", "bytes", grouped), Column("h", "H", with_margin(2))]
    table = Table(
        "A [bold]title[/]", columns, [{"name": "a|b[red]", "size": 12345, "h": (1.5, 0.25)}, {"name": "c"}], ["So."]
    )
    text = render([table], "table")
    assert "A [bold]title[/]" in text and "a|b[red]  12,345  1.50 ± 0.25" in text and "So." in text
    assert render([table], "markdown").splitlines() == [
        "**A [bold]title[/]**",
        "",
        "| name | bytes | H |",
        "| --- | ---: | ---: |",
        "| a\\|b[red] | 12,345 | 1.50 ± 0.25 |",
        "| c |  |  |",
        "",
        "So.",
    ]


@pytest.mark.parametrize("width", [30, 40, 60, 80])
def test_numbers_stay_whole_on_narrow_terminals(width):
    columns = [Column("name", "measure", left=True), Column("a", "bits/char"), Column("b", "bytes", grouped)]
    rows = [{"name": "after the quantiser", "a": "1.9711 ± 0.1490", "b": 12345678}, {"name": "ranks", "b": 9}]
    text = render([Table("a text", columns, rows, ["A note."])], "table", width=width)
    assert max(map(len, text.splitlines())) <= width
    for whole in ("1.9711 ± 0.1490", "12,345,678", "bits/char", "ranks"):
        assert whole in text
    assert "\x1b" not in text and "\x1b[1m" in render(
        [Table("a text", columns, rows)], "table", width=width, colour=True
    )


def test_csv_reads_back():
    rows = [{"a": 'x,"y"\nz', "b": None}, {"a": "é", "b": 1.5}]
    assert list(csv.DictReader(io.StringIO(to_csv(rows)))) == [{"a": 'x,"y"\nz', "b": ""}, {"a": "é", "b": "1.5"}]
    assert to_csv([]) == ""


def test_estimate_outputs_agree(result):
    model, settings = {"name": "known"}, {"context": 64}
    document = json.loads(json.dumps(estimates.document([result, result], model, settings, partial=False)))
    assert (document["schema"], document["schema_version"]) == ("llmzip.estimate", 1)
    assert document["model"] == model and document["partial"] is False
    file = document["files"][0]
    alone = file["measures"][0]
    assert (file["bytes"], file["characters"], file["tokens"], alone["measure"]) == (2400, 2400, 2400, MODEL)
    assert alone["bits_per_character"] == pytest.approx(1.75, abs=1e-5)
    low, high = alone["interval_character"]
    assert low < 1.75 < high
    assert [row["window"] for row in file["windows"]] == [15, 31]
    assert document["total"][0]["bits"] == pytest.approx(2 * alone["bits"], abs=0.01)
    rows = list(csv.DictReader(io.StringIO(to_csv(estimates.csv_rows([result])))))
    assert [row["window"] for row in rows] == [""] * 7 + ["15", "31"]
    assert float(rows[0]["bits_per_token"]) == pytest.approx(1.75, abs=1e-5)
    text = render(estimates.tables([result, result]), "table")
    assert "1.7500 ±" in text and "2 texts together" in text and "a $odd$ <name>|.txt: 2,400 bytes" in text


def test_partial_results_say_so(result):
    assert "Partial" in render(estimates.tables([result], partial=True), "table")
    assert "Partial" not in render(estimates.tables([result]), "table")
    assert estimates.document([result], {}, {}, partial=True)["partial"] is True


# -- pictures --------------------------------------------------------------------------------------------------------


def test_marginal_costs_add_up_to_the_compressed_size():
    data = dyadic_text(4000)
    places, costs = plots.marginal_costs(data, plots.CLASSIC["gzip -9"], 8)
    empty, whole = plots.CLASSIC["gzip -9"](b""), plots.CLASSIC["gzip -9"](data)
    assert costs.sum() * 500 / 8 == pytest.approx(whole - empty) and places[0] == 250


def test_smoothing_keeps_the_bits():
    generator = np.random.default_rng(1)
    lengths, bits = generator.integers(1, 9, 1000), generator.random(1000) * 9
    places, rates = plots.smoothed(lengths, bits, 40)
    assert len(places) == 40 and (np.diff(places) > 0).all()
    assert rates.min() > 0 and rates.mean() == pytest.approx(bits.sum() / lengths.sum(), rel=0.02)


def test_rank_bins():
    labels, tokens, bits = plots.rank_bins(np.array([0, 0, 1, 2, 3, 4, 7, 8], np.int32), np.arange(8.0))
    assert labels == ["0", "1", "2–3", "4–7", "8–15"]
    assert (tokens * 8).tolist() == [2, 1, 2, 2, 1] and (bits * 28).round(9).tolist() == [1, 2, 7, 11, 7]


def test_pictures(result):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    assert plots.draw_estimate(result, "png").startswith(b"\x89PNG")
    picture = plots.draw_estimate(result, "svg")
    assert ElementTree.fromstring(picture).tag.endswith("svg")
    assert picture == plots.draw_estimate(result, "svg"), "the same figures must give the same picture"
    assert plots.draw_ranking(["a", "b"], {"x": [(1.0, 0.1), None], "y": [(2.0, None), (3.0, 0.2)]}, "png")


# -- comparisons -----------------------------------------------------------------------------------------------------


def results():
    return [
        Result("a", "llmzip", 1000, 100, 1.0, 2.0, 50, 60, 5000),
        Result("a", "xz -9e", 1000, 400, 0.1, 0.0, 5, 6),
        Result("b", "llmzip", 3000, 900, 1.0, 2.0, 70, 40, 5000),
        Result("b", "xz -9e", 3000, 800, 0.1, 0.2, 5, 6),
        Result("c", "llmzip", 500, 100, 1.0, 2.0, 70, 40, 5000),
        Result("c", "xz -9e", 500, 0, error="does not restore the file"),
    ]


def test_totals_are_over_what_all_did():
    ours, xz = totals(results())
    assert (ours.files, ours.original, ours.compressed, ours.adjusted) == (2, 4000, 1000, 6000)
    assert ours.geometric_bits == pytest.approx((0.8 * 2.4) ** 0.5) and ours.pack_peak == 70
    assert (xz.compressed, xz.adjusted) == (1200, 1200)
    assert totals([results()[-1]]) == []


def test_a_compressor_that_fails_everywhere_does_not_hide_the_totals():
    broken = [Result(name, "zpaq -m5", 1000, error="not today") for name in "ab"]
    assert [total.codec for total in totals([*results()[:4], *broken])] == ["llmzip", "xz -9e"]


def test_comparison_outputs():
    text = render(comparison.tables(results(), ["cmix"], partial=False), "table")
    assert "Failed: xz -9e on c: does not restore the file." in text and "Not installed: cmix." in text
    assert "5 of 6 results gave back" in text and "2 files together" in text and "Partial" not in text
    document = json.loads(json.dumps(comparison.document(results(), ["cmix"], {"bytes": 5000}, partial=True)))
    assert document["partial"] and document["schema"] == "llmzip.compare" and len(document["totals"]) == 2
    first, failed = document["results"][0], document["results"][-1]
    assert (first["adjusted"], first["bits_per_byte"], first["verified"]) == (5100, 0.8, True)
    assert (failed["verified"], failed["bits_per_byte"], failed["adjusted"]) == (False, None, None)
    assert len(to_csv(comparison.csv_rows(results())).splitlines()) == 7
    assert "Partial" in render(comparison.tables(results()[:1], [], partial=True), "markdown")


# -- ranking ---------------------------------------------------------------------------------------------------------


def test_gaps_and_collections_of_scores():
    a, b = Score("m", "a", 200, 100, 0.3, 180), Score("m", "b", 400, 100, 0.4, None)
    both = together("m", "all", [a, b])
    assert (both.rate, both.mixed, both.margin) == (3.0, None, pytest.approx(0.25))
    assert gap(a, b).gap == 2.0 and gap(a, b).margin == pytest.approx(0.5)
    assert gap(a, Score("m", "c", 1, 1, None, None)).margin is None


def test_ranking_outputs():
    ranking = rankings.Ranking(day="2024-01-01")
    for model, bits in (("worse", 300), ("better", 200), ("unfinished", 1)):
        ranking.described[model] = {"bytes": 7}
        ranking.scores[model] = [(BEFORE, Score(model, "x", bits, 100, 0.1, bits))]
        if model != "unfinished":
            ranking.scores[model].append((AFTER, Score(model, "x", bits + 50, 100, 0.1, bits)))
    assert ranking.ranked() == ["better", "worse", "unfinished"]
    text = render(rankings.tables(ranking, partial=False), "table")
    assert "0.5000 ± 0.1414" in text and "x (after)" in text
    document = json.loads(json.dumps(rankings.document(ranking, partial=False)))
    assert [model["model"] for model in document["models"]] == ranking.ranked()
    assert document["models"][0]["gap"]["gap"] == 0.5 and document["models"][2]["total"] is None
    assert len(rankings.csv_rows(ranking)) == 5
    assert list(rankings.groups(ranking)) == ["before 2024-01-01", "from 2024-01-01"]


LINES = b"""{"date": "2023-12-31", "text": "old"}
{"date": "2024-01-01T00:00:00Z", "text": "new"}

{"date": "2022", "text": "older"}
"""


def split(data, name="x.jsonl", modified=None, **options):
    from datetime import date

    text = Text(name, data, len(data))
    return [(s, t.data) for s, t in collections(text, day=date(2024, 1, 1), modified=modified, **options)]


def test_json_lines_are_split_by_their_dates():
    assert split(LINES) == [(BEFORE, b"old\n\nolder"), (AFTER, b"new")]
    assert len(split(LINES, sample=1)[0][1].split()) == 1
    undated = Text("x.jsonl", b'{"text": "a"}\n{"text": "b"}', 9)
    assert [t.data for _, t in collections(undated, day=None, modified=None)] == [b"a\n\nb"]


def test_files_are_split_by_their_time():
    assert split(b"text", "x.txt", modified=1704067199.0) == [(BEFORE, b"text")]
    assert split(b"text", "x.txt", modified=1704067200.0) == [(AFTER, b"text")]


@pytest.mark.parametrize(
    "line",
    [b"{", b"[]", b'{"text": "x"}', b'{"date": "soon", "text": "x"}', b'{"date": "2024-01-01", "text": 3}', b"\xff"],
)
def test_lines_that_are_no_records_are_named(line):
    with pytest.raises(LlmzipError, match="line 4"):
        split(LINES.replace(b"\n\n", b"\n") + line)


# -- files -----------------------------------------------------------------------------------------------------------


def test_targets_are_checked_first(tmp_path):
    good = tmp_path / "a.png"
    targets.check_target(str(good), (".png", ".svg"), force=False)
    targets.check_target(None, (".png",), force=False)
    with pytest.raises(UsageError, match="must end in .png or .svg"):
        targets.check_target(str(tmp_path / "a.gif"), (".png", ".svg"), force=False)
    with pytest.raises(LlmzipError, match="no folder"):
        targets.check_target(str(tmp_path / "no" / "a.png"), (".png",), force=False)
    good.write_bytes(b"old")
    with pytest.raises(LlmzipError, match="already exists"):
        targets.check_target(str(good), (".png",), force=False)
    targets.check_target(str(good), (".png",), force=True)


def test_files_are_whole_or_absent(tmp_path, monkeypatch):
    target = tmp_path / "a.html"
    atomic.store(target, b"new")
    assert target.read_bytes() == b"new"

    def fail(descriptor):
        raise OSError(28, "no space")

    monkeypatch.setattr(atomic.os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        atomic.store(target, b"newer")
    assert target.read_bytes() == b"new" and list(tmp_path.iterdir()) == [target]
