from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="tokenizers is not installed (training/requirements.txt)")

from tokenizers import Tokenizer

from training import augment, corpus, markup, records
from training.facts import Facts
from training.prepare import BOS, HeldOutLeak, excerpt, load_tokens, manifest, prepare, token_path

from .conftest import text, write_shard


def test_tokens_spell_the_documents(prepared) -> None:
    tokenizer = Tokenizer.from_file(prepared.paths.tokenizer)
    tokens = load_tokens(prepared.paths.work, "train", "code")
    bos = tokenizer.token_to_id(BOS)
    assert bos == prepared.model.vocabulary - 1 and tokens[0] == bos
    starts = np.flatnonzero(tokens == bos)
    documents = [tokenizer.decode(list(part[1:]), skip_special_tokens=False) for part in np.split(tokens, starts[1:])]
    files = corpus.shards(prepared.paths.corpora, "train")["code"]
    assert documents == [d.text for path in files for d in corpus.documents(path)]
    facts = manifest(prepared.paths.work, "train", "code")
    assert (facts["documents"], facts["tokens"]) == (len(documents), len(tokens))
    assert facts["bytes"] == sum(len(d.encode()) for d in documents)


def test_preparing_again_changes_nothing_and_a_new_recipe_does(prepared, replaced, capsys) -> None:
    path = token_path(prepared.paths.work, "train", "book")
    before = path.stat().st_mtime_ns
    prepare(prepared)
    assert path.stat().st_mtime_ns == before and "already prepared" in capsys.readouterr().err
    prepare(replaced(prepared, "prepare", seed=2))
    assert path.stat().st_mtime_ns != before


def test_an_unfinished_source_is_done_again(prepared) -> None:
    path = token_path(prepared.paths.work, "train", "book")
    whole = path.read_bytes()
    path.with_suffix(".json").unlink()
    path.write_bytes(whole[:100])
    prepare(prepared)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("disguise", [str, str.upper, lambda t: t.replace(" ", "\n"), lambda t: f"\n {t}  "])
def test_held_out_text_in_the_training_part_is_refused(prepared, replaced, disguise) -> None:
    corpora = Path(prepared.paths.corpora)
    stolen = next(corpus.documents(corpora / "heldout-book.jsonl.xz")).text
    write_shard(corpora / "train-book-1.jsonl.xz", [("book", "new", text(5, 9)), ("book", "stolen", disguise(stolen))])
    with pytest.raises(HeldOutLeak, match="train-book-1.*'stolen'"):
        prepare(replaced(prepared, "prepare", seed=3))
    assert not token_path(prepared.paths.work, "train", "book").with_suffix(".json").exists()


def test_excerpts_are_whole_lines_from_the_start() -> None:
    body = "".join(f"line {i}\n" for i in range(100))
    assert excerpt(body, 1000, 0.5) == body
    part = excerpt(body, 200, 0.5)
    assert part in body and part.startswith("line ") and 0 < len(part) <= 200
    assert excerpt(body, 200, 0.0) == body[:200]


def test_leading_text_is_documents_in_order(config) -> None:
    path = Path(config.paths.corpora) / "heldout-book.jsonl.xz"
    whole = "\n\n".join(d.text for d in corpus.documents(path)).encode()
    assert corpus.leading_text(path, 10**9) == whole
    assert corpus.leading_text(path, 3000) == whole[:3000]


def test_wrapping_moves_white_space_only() -> None:
    body = (
        "First line of prose\nand its second line, longer.\n\n    indented stays\n    as it is\n\n- a list\n- stays\n"
    )
    flat = augment.unwrap(body)
    assert "prose and its second" in flat and "    indented stays\n    as it is" in flat and "- a list\n- stays" in flat
    wrapped = augment.wrap(flat, 20)
    assert wrapped.split() == body.split()
    assert max(map(len, wrapped.split("\n\n")[0].split("\n"))) <= 20


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("if x:\n    y\n        z", "if x:\n\ty\n\t\tz"),
        ("a\n  b\n      c", "a\n\tb\n\t\t\tc"),
        ("a\n\tb\n\t\tc", "a\n    b\n        c"),
    ],
)
def test_indentation_changes_its_unit(before: str, after: str) -> None:
    assert augment.retab(before) == after


def test_records_are_reproducible_and_of_every_shape() -> None:
    made = [records.records(text(1, 50), random.Random(seed)) for seed in range(60)]
    assert made == [records.records(text(1, 50), random.Random(seed)) for seed in range(60)]
    assert any(json_lines(one) for one in made)
    assert (
        any(' HTTP/1.1" ' in one for one in made)
        and any("\t" in one for one in made)
        and any("[INFO]" in one for one in made)
    )


@pytest.mark.parametrize("shape", records.SHAPES, ids=lambda shape: shape.__name__.strip("_"))
def test_every_shape_is_made_of_any_document(shape: Callable[[Facts], str]) -> None:
    for document in ("", "one", text(1, 50), "def f(x):\n    return {x: 1}\n" * 40):
        assert len(shape(Facts(document, random.Random(3)))) > 20


def test_formal_shapes_are_well_formed() -> None:
    facts = [Facts(text(1, 50), random.Random(seed)) for seed in range(20)]
    for one in facts:
        made = markup.bibliography(one)
        assert made.count("{") == made.count("}")
        made = markup.tex(one)
        assert made.count("\\begin{") == made.count("\\end{")
        made = markup.lisp(Facts("one two three", one.rng))
        assert made.count("(") == made.count(")")
        made = markup.page(one)
        for tag in ("div", "p", "ul", "table", "tr", "td", "li"):
            assert made.count(f"<{tag}>") + made.count(f"<{tag} ") == made.count(f"</{tag}>")


def json_lines(body: str) -> bool:
    try:
        return len([json.loads(line) for line in body.splitlines()]) > 3
    except ValueError:
        return False
