"""Classes: votes and ties, classes by code length, cross-validation, `llmzip classify` and its bad input."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from llmzip.cli.main import _execute
from llmzip.codec.settings import Settings
from llmzip.measures import classes
from llmzip.measures.classes import Accuracy
from llmzip.measures.lengths import contender
from llmzip.measures.model_lengths import ModelLengths

pytest.importorskip("sklearn", reason="neighbours need scikit-learn")

SKY = [
    "The moon rose over the quiet hills.",
    "Stars filled the night above the hills.",
    "The night was clear and the moon was bright.",
]
MONEY = [
    "Stocks fell as the price of oil rose.",
    "The bank raised its rates as prices fell.",
    "Oil stocks rose and the bank was pleased.",
]
NEW = {
    "sky": "The stars and the moon were bright above the hills.",
    "money": "The price of bank stocks rose as oil fell.",
}


def run(capsys, *arguments):
    code = _execute(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "labelled.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "text"])
        writer.writerows([["sky", text] for text in SKY] + [["money", text] for text in MONEY])
    return path


@pytest.fixture
def new(tmp_path):
    path = tmp_path / "new.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "text"])
        writer.writerows(NEW.items())
    return path


def test_votes_and_ties():
    values = np.array([[0.3, 0.1, 0.2, 0.9], [0.4, 0.9, 0.8, 0.3], [0.1, 0.2, 0.3, 0.4]])
    labels = np.array(["a", "b", "b", "a"])
    assert classes.vote(values, labels, 1)[0].tolist() == ["b", "a", "a"]
    assert classes.vote(values, labels, 3)[0].tolist() == ["b", "a", "b"]
    tied, sure = classes.vote(values, labels, 2)
    assert tied.tolist() == ["b", "a", "a"] and sure.tolist() == [1, 1, 0], "the nearer one decides"
    assert classes.vote(values, labels, 99)[0].tolist() == ["b", "a", "a"], "no more neighbours than texts"


@pytest.mark.parametrize("by", ["mixer", "gzip"])
def test_both_methods_tell_two_subjects_apart(by):
    coder = ModelLengths(Settings(level=1)) if by == "mixer" else contender(by)
    labelled = [text.encode() for text in SKY + MONEY]
    labels = ["sky"] * 3 + ["money"] * 3
    texts = [text.encode() for text in NEW.values()]
    given, sure = classes.by_class(coder, labelled, labels, texts)
    assert given.tolist() == ["sky", "money"] and (sure > 0).all()
    for measure in ("ncd", "nid", "cdm", "conditional"):
        given, _ = classes.by_neighbours(coder, labelled, labels, texts, measure=measure, neighbours=3)
        assert given.tolist() == ["sky", "money"], measure
    coder.close()


def test_wilsons_interval():
    low, high = Accuracy(80, 100).interval()
    assert (low, high) == (pytest.approx(0.7112, abs=1e-4), pytest.approx(0.8666, abs=1e-4))
    assert Accuracy(0, 10).interval()[0] < 1e-12 and Accuracy(10, 10).interval()[1] == pytest.approx(1)


def test_cross_validation_never_shows_a_text_itself():
    labels = ["a", "b"] * 10
    seen = []

    def predict(train, test):
        assert not set(train) & set(test) and len(train) + len(test) == 20
        seen.extend(test.tolist())
        return np.array(["a"] * len(test))

    accuracy, given = classes.cross_validate(labels, predict, count=5)
    assert sorted(seen) == list(range(20)) and accuracy == Accuracy(10, 20) and set(given.tolist()) == {"a"}


def test_few_shots_are_drawn_by_the_seed():
    labels = ["a"] * 30 + ["b"] * 20
    chosen = classes.few_shot(labels, 5, 1)
    assert [labels[i] for i in chosen] == ["a"] * 5 + ["b"] * 5
    assert chosen.tolist() == classes.few_shot(labels, 5, 1).tolist() != classes.few_shot(labels, 5, 2).tolist()
    assert set(chosen) <= set(classes.few_shot(labels, 9, 1))
    with pytest.raises(ValueError, match="has 20 texts, fewer than 21"):
        classes.few_shot(labels, 21, 1)


@pytest.mark.parametrize("method", ["class", "neighbours"])
def test_command(table, new, capsys, method):
    code, out, err = run(
        capsys, "classify", "--by", "mixer", "--labelled", str(table), str(new), "--method", method, "--json"
    )
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert [row["label"] for row in document["texts"]] == ["sky", "money"]
    assert document["classes"] == {"money": 3, "sky": 3} and document["labelled_bytes"] == sum(map(len, SKY + MONEY))
    assert document["accuracy"]["accuracy"] == 1 and document["accuracy"]["lower_95"] < 0.5
    out = run(capsys, "classify", "--by", "gzip", "--labelled", str(table), str(new), "--method", method)[1]
    assert "labelled: 6 texts of" in out and "measured on 2 texts of" in out


def test_cross_validation_by_command(table, capsys):
    for method in ("class", "neighbours"):
        code, out, _ = run(
            capsys,
            "classify",
            "--by",
            "mixer",
            "--labelled",
            str(table),
            "--cross-validate",
            "--folds",
            "3",
            "--method",
            method,
            "--csv",
        )
        rows = list(csv.DictReader(io.StringIO(out)))
        assert code == 0 and len(rows) == 6 and {row["label"] for row in rows} <= {"sky", "money"}


def test_genes_as_fasta(tmp_path, capsys):
    rng = np.random.default_rng(5)
    families = [rng.choice(list("ACGT"), 400) for _ in range(2)]

    def gene(family):
        changed = np.where(rng.random(400) < 0.08, rng.choice(list("ACGT"), 400), families[family])
        return "".join(changed)

    for family, name in enumerate(("kinase", "channel")):
        (tmp_path / f"{name}.fasta").write_text("".join(f">{name}{i}\n{gene(family)}\n" for i in range(3)))
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "kinase.fa").write_text(f">x\n{gene(0)}\n")
    (tmp_path / "new" / "unknown.fa").write_text(f">x\n{gene(1)}\n")
    (tmp_path / "all").mkdir()
    for name in ("kinase", "channel"):
        (tmp_path / f"{name}.fasta").rename(tmp_path / "all" / f"{name}.fasta")
    for by in ("mixer", "xz"):
        code, out, _ = run(
            capsys,
            "classify",
            "--by",
            by,
            "--labelled",
            str(tmp_path / "all"),
            str(tmp_path / "new" / "kinase.fa"),
            "--json",
        )
        found = json.loads(out)
        assert code == 0 and found["texts"][0]["label"] == "kinase" and found["accuracy"]["accuracy"] == 1
        # The name of a file is no label where no class has it.
        out = run(
            capsys, "classify", "--by", by, "--labelled", str(tmp_path / "all"), str(tmp_path / "new" / "unknown.fa")
        )
        assert out[0] == 0 and "channel" in out[1] and "Accuracy" not in out[1] and "unknown\n" not in out[1]


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        ("text\nx\ny\n", ["--cross-validate"], "has no label: name the column"),
        ('label,text\na,"x\nb,y\n', ["--cross-validate"], "unexpected end of data"),
        ("label,text\na,x\na,y\n", ["--cross-validate"], "one class only"),
        ("label,text\na,x\nb,y\n", ["--cross-validate"], "the class 'a' has 1 texts, fewer than the 5 folds"),
        ("label,text\na,x\nb,y\n", ["--cross-validate", "--method", "neighbours"], "fewer than the 5 folds"),
        ("label,text\na,x\nb,y\n", ["--shots", "2", "--cross-validate"], "has 1 texts, fewer than 2"),
        ("label,text\na,x\nb,y\n", [], "name a FILE"),
        ("label,text\na,x\nb,y\n", ["--cross-validate", "more"], "name no others"),
        ("label,text\na,x\nb,y\n", ["--label", "kind", "--cross-validate"], "no column 'kind': it has label, text"),
        ("label,text\na,\nb,y\n", ["--cross-validate"], "is empty"),
        ("label,text\n", ["--cross-validate"], "holds no texts"),
    ],
)
def test_bad_input(tmp_path, capsys, content, arguments, words):
    path = tmp_path / "t.csv"
    path.write_text(content)
    code, _, err = run(capsys, "classify", "--by", "gzip", "--labelled", str(path), *arguments)
    assert code in (1, 2) and words in err and len(err.splitlines()) == 1
