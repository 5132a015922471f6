"""Code lengths: K(x) and K(x|y) against the plain way, one text after the other in one stream."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import FakeModel
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmzip.cli.main import _execute
from llmzip.codec.evaluation import Session
from llmzip.codec.layout import Layout
from llmzip.codec.settings import Settings
from llmzip.errors import UsageError
from llmzip.measures.continuations import Continuations, batches
from llmzip.measures.lengths import contender
from llmzip.measures.model_lengths import ModelLengths, kept_tokens
from llmzip.model.base import Window
from llmzip.report.contest.contenders import TOOLS
from llmzip.report.measure.costs import turn_bits
from llmzip.report.measure.estimate import MIXED, estimate
from llmzip.report.measure.examine import Examiner
from llmzip.report.measure.texts import Text

WORDS = [b"the rest of the thing is red", b"and the table", b"caf\xc3\xa9 ed of the", b"in", b"", b"zzzz the \xff zz"]


def plainly(lengths, context, text, kept=None):
    """Bits of a text after a context, evaluated and mixed as one stream that is cut nowhere."""
    pipeline = lengths._pipeline
    before = np.concatenate([pipeline.tokens_of(each)[0].tokens for each in (context, lengths.separator)])
    before = before if context is not None else before[:0]
    after, literals = pipeline.tokens_of(text)[0].tokens, pipeline.tokens_of(text)[0].literals
    seen = before if kept is None else before[len(before) - kept :]
    tokens = np.concatenate([seen, after])
    cells = pipeline.quantise(tokens, Layout(len(tokens), 1))
    states, found = cells.states[len(seen) :], cells.cells[len(seen) :]
    own = pipeline.quantise(before, Layout(len(before), 1))
    mixer = pipeline.mixer(Layout(len(before) + len(after), 1))
    if len(before) and pipeline.coding.mixing:
        mixer.encode(pipeline.tree.ranks[before], own.states, own.cells)
    bits = 0.0
    if len(after):
        bits = turn_bits(*mixer.encode(pipeline.tree.ranks[after], states.copy(), found.copy()))
    return bits + 8 * sum(len(literal) for _, literal in literals)


@pytest.mark.parametrize("mix", [True, False])
def test_lengths_are_those_of_one_stream(mix):
    with ModelLengths(Settings(model=FakeModel(window=Window(64, 4)), mix=mix)) as lengths:
        contexts = [WORDS[0], WORDS[1], WORDS[3]]
        wanted = np.ones((3, len(WORDS)), bool)
        for number, found in lengths.given(contexts, WORDS, wanted):
            assert found.tolist() == [plainly(lengths, contexts[number], text) for text in WORDS]
        assert lengths.rows >= lengths.needed


def test_a_text_alone_has_the_bits_that_estimate_prints():
    text = b"the rest of the thing is red and the table is not " * 8
    model = FakeModel()
    with ModelLengths(Settings(model=model)) as lengths, Examiner(model, streams=1) as examiner:
        (bits,) = lengths.alone([text])
        measure = estimate(examiner, Text("x", text, len(text))).measure(MIXED)
        assert bits == pytest.approx(measure.bits)


@settings(max_examples=40)
@given(st.lists(st.text("the of", max_size=40).map(str.encode), min_size=1, max_size=6), st.integers(1, 200))
@example([b""], 133)  # the context alone fills the window
def test_any_texts_after_any_context(texts, length):
    context = (b"the thing of red " * 20)[:length]
    with ModelLengths(Settings(model=FakeModel(window=Window(64, 4)))) as lengths:
        wanted = np.ones((1, len(texts)), bool)
        ((_, found),) = lengths.given([context], texts, wanted)
        before = sum(len(lengths._coded(each).tokens) for each in (context, lengths.separator))
        for text, bits in zip(texts, found, strict=True):
            kept = kept_tokens(before, len(lengths._coded(text).tokens), 64)
            expected = plainly(lengths, context, text, min(before, 32) if kept is None else kept)
            assert bits == expected
        assert not np.isnan(found).any()


def test_a_mixer_that_is_copied_gives_the_bits_of_one_made_for_each_text(corpora):
    """By the mixer alone, on texts whose tables are of many sizes."""
    data = (corpora / "field-notes.txt").read_bytes()
    texts = [data[at : at + length] for at, length in enumerate([3, 40, 900, 41, 42, 300, 39, 1500, 310, 40])]
    contexts = [b"", data[3000:3100], data[2000:4500]]
    with ModelLengths(Settings(level=1)) as lengths:
        pipeline = lengths._pipeline

        def made_anew(context, text):
            before = lengths.tokens(context)
            if context:
                before = np.concatenate([before, lengths.tokens(lengths.separator)])
            ranks = pipeline.tree.ranks[before], pipeline.tree.ranks[lengths.tokens(text)]
            mixer = pipeline.mixer(Layout(len(before) + len(ranks[1]), 1))
            mixer.encode(ranks[0], bytes(len(ranks[0])), None)
            return turn_bits(*mixer.encode(ranks[1], bytes(len(ranks[1])), None))

        assert lengths.alone(texts).tolist() == [made_anew(b"", text) for text in texts]
        wanted = np.ones((2, len(texts)), bool)
        for number, found in lengths.given(contexts[1:], texts, wanted):
            assert found.tolist() == [made_anew(contexts[number + 1], text) for text in texts]


def test_mixers_are_made_once_for_texts_of_a_size(monkeypatch, corpora):
    data = (corpora / "field-notes.txt").read_bytes()
    with ModelLengths(Settings(level=1)) as lengths:
        made, mixer = [], lengths._pipeline.mixer
        monkeypatch.setattr(lengths._pipeline, "mixer", lambda layout: made.append(layout) or mixer(layout))
        texts = [data[at : at + 200] for at in range(0, 8000, 200)]
        lengths.alone(texts)
        assert len(made) <= 3
        list(lengths.given(texts[:2], texts, np.ones((2, len(texts)), bool)))
        assert len(made) <= 9


def test_unwanted_pairs_are_not_evaluated():
    model = FakeModel()
    with ModelLengths(Settings(model=model)) as lengths:
        wanted = np.array([[False, True], [False, False]])
        before = model.evaluated  # the drift of its arithmetic is measured first
        rows = dict(lengths.given([b"the", b"of"], [b"the", b"red"], wanted))
        assert np.isnan(rows[0][0]) and rows[0][1] > 0 and np.isnan(rows[1]).all()
        assert model.evaluated - before == lengths.rows == lengths.needed == 6


@given(st.lists(st.integers(0, 90), max_size=60), st.integers(1, 512), st.integers(1, 20))
def test_batches_hold_every_text_once_within_the_limits(lengths, rows, streams):
    lengths = np.array(lengths, np.intp)
    made = batches(lengths, rows, streams)
    assert sorted(i for batch in made for i in batch) == np.flatnonzero(lengths).tolist()
    for batch in made:
        assert len(batch) <= streams and (len(batch) == 1 or len(batch) * lengths[batch].max() <= rows)


def test_many_texts_of_like_length_need_few_more_rows_than_they_must():
    """200 texts of 200 bytes; a bound of 1.5 was asked for."""
    rng = np.random.default_rng(0)
    texts = [rng.integers(0, 250, max(4, round(n))).astype(np.int32) for n in rng.normal(62, 8, 200)]

    model = FakeModel(window=Window(512, 4))
    shared = Continuations(Session(model), texts, 192)
    for text in texts[:2]:
        list(shared.context(text))
        for _ in shared.texts(np.arange(200)):
            pass
    assert shared.rows == model.evaluated
    assert shared.rows <= 1.1 * shared.needed


def test_compressors_by_concatenation():
    gzip = contender("gzip")
    texts = [b"the quick brown fox jumps over it" * 2, b"pack my box with five dozen jugs"]
    alone = gzip.alone(texts)
    rows = dict(gzip.given(texts, texts, np.ones((2, 2), bool)))
    assert rows[0][0] < alone[0] / 3 and rows[0][1] > rows[1][1]
    assert contender("zstd").name == "zstd -19" and gzip.sizes(texts)[0].tokens is None
    with pytest.raises(UsageError, match="there is no coder"):
        contender("zip")


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_compressors_that_are_programs(tool, corpora, capsys):
    """Nothing is mocked: the program packs the texts, alone and one after the other."""
    if tool.path() is None:
        pytest.skip(f"{tool.programs[0]} is not installed")
    if tool.name in ("cmix", "paq8px -8"):
        pytest.skip("takes minutes and gigabytes")
    text, other = ((corpora / name).read_bytes()[:4000] for name in ("field-notes.txt", "gezeiten.txt"))
    coder = contender(tool.name.split()[0])
    assert coder.name == tool.name and coder.alone([text])[0] > 8 * 500
    (_, bits), (_, from_another) = coder.given([text, other], [text], np.ones((2, 1), np.bool_))
    # PPMd needs to see a stretch several times before it copies it.
    assert 0 < bits[0] < (0.9 if "PPMd" in tool.name else 0.1) * coder.alone([text])[0]
    assert bits[0] < from_another[0]
    files = [str(corpora / name) for name in ("tiny.txt", "carnet.txt", "gezeiten.txt")]
    assert _execute(["distance", "--by", tool.name.split()[0], *files]) == 0
    out = capsys.readouterr().out
    assert f"by {tool.name}, on 3 texts of" in out and "nan" not in out


def test_a_program_that_is_not_there(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match="zpaq -m5 is not installed"):
        contender("zpaq")


def test_the_mixer_alone_needs_no_network_and_reads_bases_letter_by_letter():
    with ModelLengths(Settings(level=1)) as lengths:
        rng = np.random.default_rng(3)
        genes = [bytes(rng.choice(list(b"ACGT"), 300).astype(np.uint8)) for _ in range(2)]
        sizes = lengths.sizes([*genes, b"A sentence about genes."])
        assert [size.tokens for size in sizes[:2]] == [300, 300] and sizes[2].tokens < 12
        alone = lengths.alone(genes)
        ((_, found),) = lengths.given(genes[:1], genes, np.ones((1, 2), bool))
        assert found[0] < 0.2 * alone[0] and found[1] > 0.8 * alone[1]
        assert lengths.rows == 0
