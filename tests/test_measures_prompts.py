"""Shorter prompts: the paper's condition, exact inverses, `llmzip prompt` on text and on ids."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny_models import TOKENIZERS, tiny_model

from llmzip.cli.main import _execute
from llmzip.measures import prompts, runs, tokenizers
from llmzip.measures.runs import replace_runs, worth

pytest.importorskip("pydivsufsort", reason="runs are found by suffix arrays")

# Sequences in which something is repeated: pieces put together in any order, with single numbers between.
PIECES = st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=70), min_size=1, max_size=4)
SEQUENCES = PIECES.flatmap(
    lambda pieces: st.lists(st.sampled_from(pieces) | st.lists(st.integers(0, 12), max_size=3), max_size=12)
).map(lambda parts: [number for part in parts for number in part])
TEXTS = st.lists(
    st.sampled_from(["<", "|", "<|", "dict|>", "<|dict|>", "<|0|>", "<|/dict|>", "é", "the same old words ", "9"]),
    max_size=40,
)


def run(capsysbinary, *arguments):
    code = _execute(list(arguments))
    out, err = capsysbinary.readouterr()
    return code, out, err.decode()


def test_the_papers_condition_has_three_cases():
    found = {(length, count) for length in range(1, 8) for count in range(1, 8) if worth(length, count)}
    assert found == {
        (n, k)
        for n in range(1, 8)
        for k in range(1, 8)
        if (n >= 4 and k >= 2) or (n == 3 and k >= 3) or (n == 2 and k >= 4)
    }


@settings(max_examples=80)
@given(SEQUENCES, st.sampled_from([2, 3, 7, 1024, None]))
@example([0] * 50, 1024)
@example([1, 2] * 40, 7)
def test_sequences_come_back_and_every_run_is_worth_it(sequence, longest):
    found = replace_runs(sequence, longest)
    assert found.expand().tolist() == sequence
    for number, each in enumerate(found.runs):
        assert len(each) <= (longest or 1024)
        assert worth(len(each), int((found.body == -1 - number).sum()))
    ids = prompts.shorten(sequence, 13, longest)
    assert prompts.restore(ids, 13).tolist() == sequence and len(ids) <= len(sequence)
    saved = prompts.saved(sequence, longest)
    assert (saved.before, saved.after) == (len(sequence), len(ids))


def test_what_is_repeated_is_found():
    rng = np.random.default_rng(1)
    run, other = rng.integers(0, 500, 30), rng.integers(0, 500, 400)
    sequence = np.concatenate([other[:100], run, other[100:200], run, other[200:], run, other[:100]])
    found = replace_runs(sequence)
    assert sorted(map(len, found.runs)) == [30, 100], "long stretches at few places"
    assert found.length == len(sequence) - (3 * 30 + 2 * 100) + (31 + 101) + 5


def test_long_sequences_that_repeat_without_end():
    for sequence in (
        np.zeros(60_000, int),
        np.resize(np.arange(7), 60_000),
        np.resize(np.random.default_rng(2).integers(0, 8000, 20_001), 60_000),
    ):
        found = replace_runs(sequence)
        assert (found.expand() == sequence).all() and found.length < 0.4 * len(sequence)


def test_attention_is_counted_as_in_the_paper():
    assert prompts.Saved(100, 73, 1, 5).attention == pytest.approx(
        0.4671
    )  # 27 % of the tokens, 47 % of the computation
    assert prompts.Saved(100, 82, 1, 5).attention == pytest.approx(0.3276)
    assert prompts.Saved(0, 0, 0, 0).tokens == 0


@settings(max_examples=80)
@given(TEXTS)
@example(["<|dict|>"])
@example(["<|dict|>", "<||", "the same old words "] * 5)
@example(["<", "the same old words ", "the same old words ", "|"] * 5)
def test_texts_come_back_even_those_that_look_like_marks(parts):
    stretches = [part.encode() for part in parts]
    made = prompts.shorten_text(stretches)
    assert prompts.restore_text(made) == b"".join(stretches)


@settings(max_examples=30)
@given(st.binary(max_size=300))
def test_any_bytes_come_back(data):
    stretches = tokenizers.embedded().stretches(data * 3)
    assert b"".join(stretches) == data * 3
    assert prompts.restore_text(prompts.shorten_text(stretches)) == data * 3


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ([10, 12, 1, 2], "not closed"),
        ([12, 1], "without a dictionary"),
        ([10, 1, 11, 2], "do not follow"),
        ([10, 13, 1, 11, 2], "do not follow"),
        ([10, 12, 1, 11, 13], "stands in no dictionary"),
        ([10, 12, 1, 11, 10], "two"),
    ],
)
def test_damaged_ids_are_told(ids, words):
    with pytest.raises(ValueError, match=words):
        prompts.restore(ids, 10)
    with pytest.raises(ValueError, match="0 to 9"):
        prompts.shorten([10], 10)


@pytest.mark.parametrize(
    "text",
    [b"<|dict|><|0|>a", b"<|dict|>b<|0|>a<|/dict|>", b"<|dict|><|1|>a<|/dict|>", b"<|dict|><|0|>a<|/dict|><|1|>"],
)
def test_damaged_texts_are_told(text):
    with pytest.raises(ValueError, match=r"not closed|do not follow|no dictionary"):
        prompts.restore_text(text)


def test_a_tokenizer_of_the_library(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"the": 0, "cat": 1, "sat": 2, "[UNK]": 3}
    made = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(tmp_path / "t.json"))
    tokenizer = tokenizers.of_file(tmp_path / "t.json")
    text = ("  the cat   sat, the cat sat — " * 6).encode()
    assert b"".join(tokenizer.stretches(text)) == text and tokenizer.size == 4
    assert len(tokenizer.stretches(text)) == len(tokenizer.encode(text)[0]) == 48
    short = prompts.shorten_text(tokenizer.stretches(text))
    assert len(short) < len(text) and prompts.restore_text(short) == text


LETTERS = {"UGM", "WPM"}  # they have no tokens for some bytes
ODD = "Café 中 <|endoftext|></s><s>\t▁ \r\n  \ufb01ne e\u0301 \n".encode()


def prompt_there_and_back(capsysbinary, folder, data, *tokenizer):
    """Whether the text comes back from its text form and from its ids; tokens, and those that are left."""
    source = folder / "prompt.txt"
    source.write_bytes(data)
    kept = []
    for form in ([], ["--ids"]):
        code, out, err = run(capsysbinary, "prompt", *tokenizer, *form, "-c", str(source))
        if code:
            assert form and err.endswith("use the text form\n") and len(err.splitlines()) == 1
            kept.append(False)
            continue
        (folder / "short").write_bytes(out)
        assert run(capsysbinary, "prompt", *tokenizer, *form, "-d", "-c", str(folder / "short")) == (0, data, "")
        kept.append(True)
    code, out, _ = run(capsysbinary, "prompt", *tokenizer, "--json", str(source))
    assert code == 0
    return kept, json.loads(out)["prompts"][0]


@pytest.mark.parametrize("family", TOKENIZERS)
def test_tokenizers_of_models(corpora, tmp_path, capsysbinary, family):
    """One GGUF of each kind of tokenizer that llama.cpp knows."""
    path = str(tiny_model(tmp_path / "m.gguf", tokenizer=family))
    text = (corpora / "server.log").read_bytes()[:3000]
    for data in (text, ODD + text):
        kept, row = prompt_there_and_back(capsysbinary, tmp_path, data, "--model", path)
        assert kept == [True, family not in LETTERS]
        assert row["shortened"] < (0.9 if family == "WPM" else 0.6) * row["tokens"], (
            "the same lines come again and again"
        )


def test_the_tokenizer_of_the_embedded_model_as_a_file(corpora, tmp_path, capsysbinary):
    from llmzip.model.embedded import PACKED

    data = ODD + (corpora / "parser.c").read_bytes()
    kept, row = prompt_there_and_back(capsysbinary, tmp_path, data, "--model", str(PACKED))
    assert kept == [True, True]
    assert prompt_there_and_back(capsysbinary, tmp_path, data) == (kept, row), "the same without naming it"


def made_tokenizers(texts):
    """Tokenizers of the library as models have them: byte-level BPE, SentencePiece's two, WordPiece."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    byte_level = Tokenizer(models.BPE())
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    byte_level.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    byte_level.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"])
    )
    llama = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    llama.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    llama.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    llama.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=600, special_tokens=["<unk>", *bytes_]))
    unigram = Tokenizer(models.Unigram())
    unigram.normalizer, unigram.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.Metaspace()
    unigram.decoder = decoders.Metaspace()
    unigram.train_from_iterator(
        texts, trainers.UnigramTrainer(vocab_size=300, unk_token="<unk>", special_tokens=["<unk>"])
    )
    pieces = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    pieces.normalizer, pieces.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    pieces.decoder = decoders.WordPiece()
    pieces.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[UNK]", "[CLS]", "[SEP]"])
    )
    pieces.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return {"bytes": byte_level, "llama": llama, "unigram": unigram, "wordpiece": pieces}


def test_tokenizers_of_the_library(corpora, tmp_path, capsysbinary):
    """Whatever a tokenizer folds or drops, the text form brings back; ids do where they stand for the text, else they are refused."""
    text = (corpora / "server.log").read_bytes()[:3000]
    exact = {"bytes": {text, ODD + text}, "llama": {text}, "unigram": {text}, "wordpiece": set()}
    for name, tokenizer in made_tokenizers([text.decode()]).items():
        path = tmp_path / f"{name}.json"
        tokenizer.save(str(path))
        for data in (text, ODD + text):
            kept, row = prompt_there_and_back(capsysbinary, tmp_path, data, "--tokenizer", str(path))
            assert kept == [True, data in exact[name]], name
            assert row["shortened"] < row["tokens"]


def test_command_on_text(corpora, tmp_path, capsysbinary):
    source, short, back = corpora / "records.json", tmp_path / "short", tmp_path / "back"
    assert run(capsysbinary, "prompt", "-o", str(short), str(source)) == (0, b"", "")
    assert short.stat().st_size < 0.9 * source.stat().st_size
    assert run(capsysbinary, "prompt", "-d", "-o", str(back), str(short)) == (0, b"", "")
    assert back.read_bytes() == source.read_bytes()
    code, out, _ = run(capsysbinary, "prompt", str(source), str(corpora / "parser.c"), "--json")
    document = json.loads(out)
    assert code == 0 and [row["bytes"] for row in document["prompts"]] == [
        source.stat().st_size,
        (corpora / "parser.c").stat().st_size,
    ]
    assert 0.1 < document["prompts"][1]["tokens_saved"] < document["prompts"][1]["attention_saved"] < 0.6
    code, _, err = run(capsysbinary, "prompt", "-o", str(short), str(source))
    assert code == 1 and "already exists" in err


def test_command_on_ids(corpora, tmp_path, capsysbinary):
    source, short = corpora / "server.log", tmp_path / "short.json"
    assert run(capsysbinary, "prompt", "--ids", "-o", str(short), str(source))[0] == 0
    document = json.loads(short.read_text())
    assert document["vocabulary"] == 8192 and document["ids"][0] == 8192
    assert run(capsysbinary, "prompt", "--ids", "-d", "-c", str(short)) == (0, source.read_bytes(), "")
    # Ids are not taken for a text, and another tokenizer's text is not given out.
    code, out, err = run(capsysbinary, "prompt", "-d", "-c", str(short))
    assert (code, out) == (1, b"") and "give --ids" in err
    assert run(capsysbinary, "prompt", "--text", "-d", "-c", str(short)) == (0, short.read_bytes(), "")
    document["ids"][-1] = document["ids"][-1] % 8000 + 1
    short.write_text(json.dumps(document))
    code, out, err = run(capsysbinary, "prompt", "--ids", "-d", "-c", str(short))
    assert (code, out) == (1, b"") and "is not the tokenizer it was made with" in err
    tokens = tmp_path / "tokens.json"
    tokens.write_text(json.dumps([5, 6, 7, 8, 9] * 8))
    assert run(capsysbinary, "prompt", "--ids", "--tokens", "-o", str(tmp_path / "s"), str(tokens))[0] == 0
    code, out, _ = run(capsysbinary, "prompt", "--ids", "-d", "-c", str(tmp_path / "s"))
    assert code == 0 and json.loads(out) == [5, 6, 7, 8, 9] * 8
    assert b"40" in run(capsysbinary, "prompt", "--tokens", str(tokens))[1]


@pytest.mark.parametrize(
    ("content", "arguments", "code", "words"),
    [
        ("", [], 1, "is empty"),
        ("[1, -2]", ["--tokens"], 1, "no JSON list of token ids"),
        ("[1, 9]", ["--tokens", "--vocabulary", "5"], 1, "beyond a vocabulary of 5"),
        ("x", ["-d"], 2, "say where to"),
        ("<|dict|>", ["-d", "-c"], 3, "not closed"),
        ("{}", ["-d", "-c", "--ids"], 3, "not made by llmzip prompt"),
        ("x", ["--tokenizer", "/nowhere"], 4, "is no file of tokenizers"),
        ("x", ["--tokenizer", "a", "--model", "b"], 2, "two tokenizers"),
        ("[1]", ["--tokens", "-c"], 2, "give --ids"),
        ("x", ["-c", "-o", "y"], 2, "two outputs"),
    ],
)
def test_bad_input(tmp_path, capsysbinary, content, arguments, code, words):
    path = tmp_path / "prompt"
    path.write_text(content)
    found, out, err = run(capsysbinary, "prompt", str(path), *arguments)
    assert found == code and words in err and not out and len(err.splitlines()) == 1


def test_a_default_model_gives_way_to_a_tokenizer(tmp_path, capsysbinary, monkeypatch):
    monkeypatch.setenv("LLMZIP_MODEL", "nosuch.gguf")
    test_bad_input(tmp_path, capsysbinary, "x", ["--tokenizer", "/nowhere"], 4, "is no file of tokenizers")


def test_the_longest_run_can_be_chosen():
    sequence = list(range(100)) * 2
    assert max(map(len, replace_runs(sequence, 40).runs)) == 40
    often = ([1, 2, 3, 4, 5] + [9, 8, 7, 6] * 3) * 40
    assert replace_runs(often).length <= min(replace_runs(often, limit).length for limit in runs.LIMITS)
