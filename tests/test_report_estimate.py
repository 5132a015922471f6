"""Estimates against models whose entropy has a closed form; the schemes against really encoded ranks and codewords."""

import math
import zlib
from itertools import accumulate, pairwise

import constriction
import numpy as np
import pytest
from fakes import FakeModel
from hypothesis import given, settings
from hypothesis import strategies as st
from known_models import DYADIC, DYADIC_BITS, KnownExaminer, KnownModel, dyadic_text, independent

from llmzip.codec.agreement import Coding
from llmzip.codec.evaluation import Session, prefill
from llmzip.codec.layout import Layout
from llmzip.codec.pipeline import BlockPipeline
from llmzip.coding.rangecoder import TurnEncoder
from llmzip.coding.tree import VocabularyTree
from llmzip.model.base import Window
from llmzip.report.measure import estimate as e
from llmzip.report.measure import intervals, schemes
from llmzip.report.measure.costs import turn_owners
from llmzip.report.measure.scores import Scores, stable_ranks
from llmzip.report.measure.stopping import Stopped
from llmzip.report.measure.texts import Text
from llmzip.report.measure.windows import evaluations, segments

UNIFORM = dict.fromkeys(range(256), 1 / 256)


def text_of(data, name="text"):
    return Text(name, data, len(data))


def estimated(model, data, **options):
    return e.estimate(KnownExaminer(model, **options), text_of(data))


def test_entropy_in_closed_form():
    data = dyadic_text(8000)
    result = estimated(independent(DYADIC), data)
    assert result.counts.characters == result.counts.bytes == result.counts.tokens == 8000
    assert result.counts.words == len(data.split())
    alone = result.measure(e.MODEL)
    assert alone.bits == pytest.approx(1.75 * 8000, rel=1e-6)
    for unit in ("character", "byte", "token"):
        assert alone.per(unit) == pytest.approx(1.75, rel=1e-6)
    assert alone.per("word") == pytest.approx(14000 / len(data.split()), rel=1e-6)


def test_later_measures_follow_from_the_first():
    data = dyadic_text(8000)
    result = estimated(independent(DYADIC), data)
    bits = {measure.name: measure.bits for measure in result.measures}
    assert list(bits) == [e.MODEL, e.QUANTISED, e.MIXED, e.STORED, e.RANKS, e.PREFIX, e.ARITHMETIC]
    # Probabilities that are powers of two are met by codewords of whole bits.
    assert bits[e.PREFIX] == 14000
    assert bits[e.ARITHMETIC] == bits[e.MODEL]
    assert bits[e.MODEL] < bits[e.QUANTISED] < 1.1 * bits[e.MODEL]
    # Nothing can be learnt from independent bytes.
    assert bits[e.MIXED] == pytest.approx(bits[e.MODEL], rel=0.05)
    ranks = b" ".join(b"%d" % "abc ".index(chr(c)) for c in data)
    # Both letters of probability 1/8 are tied: the smaller token, the blank, comes first.
    ranks = ranks.translate(bytes.maketrans(b"23", b"32"))
    assert bits[e.RANKS] == 8 * len(zlib.compress(ranks, 9))


def test_what_is_said_of_the_file_is_what_compression_writes():
    data = dyadic_text(4000)
    codec = KnownExaminer(independent(DYADIC))
    packed = codec.compress(data)
    assert codec.decompress(packed) == data
    assert estimated(independent(DYADIC), data).measure(e.STORED).bits == 8 * len(packed)


@pytest.mark.parametrize("streams", [1, 3, 8])
def test_context_is_what_precedes_a_token(streams):
    """Each letter doubles or moves on with known odds that depend on the one before it."""

    def predict(held):
        last = held[-1]
        return {last: 0.75, 97 + (last - 96) % 26: 0.25} if 97 <= last < 123 else {97 + k: 1 / 26 for k in range(26)}

    data = bytearray(b"a")
    for draw in np.random.default_rng(3).random(2999):
        data.append(data[-1] if draw < 0.75 else 97 + (data[-1] - 96) % 26)
    result = estimated(KnownModel(predict), bytes(data), streams=streams)
    length = -(-len(data) // streams)
    bits = 0.0
    for k, byte in enumerate(data):
        starts = {
            0,
            *accumulate(
                [length if s < len(data) % streams or len(data) % streams == 0 else length - 1 for s in range(streams)]
            ),
        }
        bits -= math.log2(1 / 26 if k in starts else 0.75 if byte == data[k - 1] else 0.25)
    assert result.measure(e.MODEL).bits == pytest.approx(bits, rel=1e-6)


def test_units_of_text_that_is_not_ascii():
    data = "Größe: 10 µm — naïve Œuvre\n".encode() * 40
    result = estimated(KnownModel(lambda held: UNIFORM), data)
    assert result.counts == e.Counts(len(data), len(data.decode()), 6 * 40, len(data))
    assert result.measure(e.MODEL).bits == pytest.approx(8 * len(data), rel=1e-6)
    assert result.columns.counts() == result.counts


def test_line_ends_and_bytes_without_a_token():
    crlf = estimated(KnownModel(lambda held: UNIFORM), b"one line\r\n" * 300)
    assert crlf.counts.bytes == 3000 and crlf.counts.tokens == 2700
    assert crlf.measure(e.MODEL).bits == pytest.approx(8 * 2700, rel=1e-6)
    assert crlf.columns.counts().bytes == crlf.columns.counts().characters == 3000
    # Bytes of a block of tokens are those of the file, so blocks with more line ends have more of them.
    ends = np.array([2 if byte == 10 else 1 for byte in b"one line\n" * 300], float)
    blocks = [ends[k : k + 256].sum() for k in range(0, 2700, 256)]
    bits = [8.0 * len(ends[k : k + 256]) for k in range(0, 2700, 256)]
    width = intervals.half_width(np.array(bits), np.array(blocks))
    assert crlf.measure(e.MODEL).margins["byte"] == pytest.approx(width, rel=1e-5)

    model = FakeModel(pieces=[bytes([b]) for b in b"abc "] + [b"ab", b""])
    examiner = KnownExaminer(model)
    data = b"abc ab " * 200 + b"xyz" + b"abc" * 9 + b"!"
    result = e.estimate(examiner, text_of(data))
    assert result.literal_bytes == 4
    scored = sum(block.scores.bits.sum() for block in result.examination.blocks)
    assert result.measure(e.MODEL).bits == pytest.approx(scored + 32)
    assert result.columns.bytes.sum() + 4 == len(data)
    block = result.examination.blocks[0]
    for token, at in zip(block.text.tokens, block.offsets(), strict=False):
        assert data[at:].startswith(model.pieces[token])


def test_a_text_that_is_not_utf8_has_no_characters():
    result = estimated(KnownModel(lambda held: UNIFORM), b"caf\xe9 au lait " * 50)
    assert result.counts.characters is None and result.counts.words == 150
    assert result.measure(e.MODEL).per("character") is None
    assert result.measure(e.MODEL).per("byte") == pytest.approx(8, rel=1e-6)


def test_blocks_that_suit_no_model_are_still_measured():
    data = b"a" * 100_000
    result = estimated(independent(DYADIC), data)
    assert result.measure(e.MODEL).bits == pytest.approx(100_000, rel=1e-6)
    assert result.measure(e.STORED).bits < 8 * 200


def test_samples_that_the_codec_takes_are_not_counted():
    """Bytes that do not look like text are first tried on samples."""
    data = np.random.default_rng(5).integers(33, 127, 80_000).astype(np.uint8).tobytes()
    result = estimated(KnownModel(lambda held: UNIFORM), data)
    assert result.counts.tokens == len(data) and len(result.examination.blocks) == 1
    assert result.measure(e.MODEL).bits == pytest.approx(8 * len(data), rel=1e-6)


def test_several_blocks_add_up():
    data = dyadic_text(16000)
    result = estimated(independent(DYADIC), data, block_size=4096)
    assert len(result.examination.blocks) == 4
    assert result.measure(e.MODEL).bits == pytest.approx(1.75 * 16000, rel=1e-6)
    assert result.columns.group[-1] >= 16000 // intervals.BLOCK - 1


def test_stopping_leaves_what_was_evaluated():
    model, seen = independent(DYADIC), []

    def progress(count):
        seen.append(count)
        if sum(seen) > 3000:
            raise Stopped

    result = e.estimate(KnownExaminer(model, streams=1), text_of(dyadic_text(8000)), progress)
    assert result.partial and 3000 < result.counts.tokens < 8000
    assert result.counts.tokens == len(result.columns.seen)
    assert [measure.name for measure in result.measures] == [e.MODEL, e.RANKS, e.PREFIX, e.ARITHMETIC]
    done = dyadic_text(8000)[: result.counts.tokens].decode()
    assert result.measure(e.MODEL).bits == pytest.approx(sum(DYADIC_BITS[c] for c in done), rel=1e-6)


# -- what each token costs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [1, 2, 5])
@pytest.mark.parametrize("mix", [True, False])
def test_costs_of_tokens_add_up_to_the_coded_block(streams, mix):
    data = b"the ships of the sea and the harbour of the town " * 30
    examiner = KnownExaminer(FakeModel(), streams=streams, mix=mix)
    block = examiner.examine(data).blocks[0]
    coder = BlockPipeline(Session(FakeModel()), Coding(Window(32, 4), 30, mix))
    text, crlf = coder.tokens_of(data)
    payload = coder.encode(text, crlf, streams)
    costs = block.mixed if mix else block.quantised
    assert (block.mixed is None) == (not mix)
    assert costs.sum() / 8 == pytest.approx(len(payload), abs=14)


def test_turns_belong_to_the_tokens_whose_bits_they_are():
    pipeline = BlockPipeline(Session(FakeModel(drift=1e-5)), Coding(Window(32, 4), 30, True))
    text, _ = pipeline.tokens_of(b"the ships of the sea and the caf\xc3\xa9s of the town " * 20)
    tokens, layout = text.tokens, Layout(len(text.tokens), 7)
    cells = pipeline.quantise(tokens, layout)
    states = cells.states
    states[3] = states[11] = 2
    ranks = np.empty(len(tokens), np.uint32)
    ranks[layout.rows] = pipeline.tree.ranks[tokens]
    for (start, stop), bits, _ in pipeline.turns(tokens, layout, cells):
        owners = turn_owners(ranks[start:stop], states[start:stop], pipeline.tree, True)
        bits = np.frombuffer(bits, np.uint8)
        assert len(owners) == len(bits)
        for row in range(stop - start):
            mine, state = bits[owners == row].tolist(), int(states[start + row])
            flags = {0: [0], 1: [1, 0], 2: [1, 1]}[state]
            assert mine[: len(flags)] == flags
            path = [c == "1" for c in f"{ranks[start + row]:0{pipeline.tree.depth}b}"]
            left = mine[len(flags) :]
            # Turns that are not coded lead to the left.
            for turn in path:
                if left and left[0] == turn:
                    left = left[1:]
                else:
                    assert not turn
            assert not left


def test_turns_that_do_not_fit_are_refused():
    from llmzip.report.measure.costs import token_costs

    with pytest.raises(ValueError, match="turns"):
        token_costs(
            np.zeros(2, np.uint32),
            np.zeros(2, np.uint8),
            VocabularyTree([b"a", b"b", b"c", b"d"]),
            False,
            b"\0",
            b"\0\0",
        )


# -- schemes ---------------------------------------------------------------------------------------------------------


def random_rows(rows, symbols, seed):
    generator = np.random.default_rng(seed)
    return generator.normal(0, 2, (rows, symbols)).astype(np.float32), generator.integers(0, symbols, rows).astype(
        np.int32
    )


def test_scores_are_those_of_a_softmax():
    logits, tokens = random_rows(50, 300, 2)
    scores = Scores(tokens, alternatives=5)
    scores.add(np.arange(0, 50, 2), logits[::2])
    scores.add(np.arange(1, 50, 2), logits[1::2])
    exact = logits.astype(np.float64)
    chances = np.exp(exact) / np.exp(exact).sum(1, keepdims=True)
    assert scores.bits == pytest.approx(-np.log2(chances[np.arange(50), tokens]), abs=1e-5)
    order = np.argsort(-logits, axis=1, kind="stable")
    assert (order[:, :5] == scores.likely).all()
    assert scores.chances == pytest.approx(np.take_along_axis(chances, order[:, :5], 1), rel=1e-4)
    assert (order[np.arange(50), scores.ranks] == tokens).all()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.data())
def test_ranks_are_places_in_a_stable_sort(levels, data):
    token = data.draw(st.integers(0, len(levels) - 1))
    logits = np.array([levels], np.float32)
    rank = stable_ranks(logits, np.array([token], np.int32), logits[:, token])[0]
    assert np.argsort(-logits[0], kind="stable")[rank] == token


def test_ranks_decode_to_the_text():
    """Really encode ranks: with the same predictions they give the tokens back."""
    logits, tokens = random_rows(400, 60, 4)
    scores = Scores(tokens)
    scores.add(np.arange(400), logits)
    packed = zlib.compress(schemes.rank_text(scores.ranks), 9)
    assert schemes.ranks_and_zlib(scores.ranks) == 8 * len(packed)
    ranks = [int(word) for word in zlib.decompress(packed).split()]
    restored = [int(np.argsort(-row, kind="stable")[rank]) for row, rank in zip(logits, ranks, strict=True)]
    assert restored == tokens.tolist()


def shannon_code(chances):
    """Codewords as strings: the first ceil(-log2 p) binary digits of the sum of larger probabilities (Shannon)."""
    lengths = schemes.codeword_lengths(-np.log2(chances))
    words, below = {}, 0.0
    for symbol in np.argsort(-chances, kind="stable").tolist():
        words[symbol] = f"{int(below * 2.0 ** lengths[symbol]):0{lengths[symbol]}b}"
        below += chances[symbol]
    return words


def test_prefix_codes_exist_and_take_the_bits_that_are_told():
    logits, tokens = random_rows(60, 40, 5)
    scores = Scores(tokens)
    scores.add(np.arange(60), logits)
    exact = logits.astype(np.float64)
    chances = np.exp(exact) / np.exp(exact).sum(1, keepdims=True)
    codes = [shannon_code(row) for row in chances]
    stream = "".join(code[token] for code, token in zip(codes, tokens.tolist(), strict=True))
    assert len(stream) == schemes.token_by_token(scores.bits)
    at = 0
    for code, token in zip(codes, tokens.tolist(), strict=True):
        found = [symbol for symbol, word in code.items() if stream.startswith(word, at)]
        assert found == [token], "a codeword must be the only one that fits"
        at += len(code[token])
    assert at == len(stream)


def test_arithmetic_coding_takes_the_bits_that_are_told():
    logits, tokens = random_rows(500, 40, 6)
    scores = Scores(tokens)
    scores.add(np.arange(500), logits)
    exact = logits.astype(np.float64)
    chances = np.exp(exact) / np.exp(exact).sum(1, keepdims=True)
    encoder = constriction.stream.queue.RangeEncoder()
    for row, token in zip(chances, tokens.tolist(), strict=True):
        encoder.encode(token, constriction.stream.model.Categorical(row, perfect=False))
    assert 0 <= 32 * len(encoder.get_compressed()) - schemes.arithmetic_coding(scores.bits) < 100


def test_codewords_of_certain_tokens_take_nothing():
    assert schemes.codeword_lengths(np.array([0.0, 1e-9, 0.001, 1.0, 1.0000001, 1.5])).tolist() == [0, 0, 1, 1, 1, 2]


def test_coded_turns_are_what_the_range_coder_takes():
    coder = TurnEncoder()
    bits, chances = np.array([0, 1] * 500, np.uint8), np.full(1000, 1 << 14, np.uint16)
    coder.encode(bits, chances)
    ideal = 500 * 2 + 500 * math.log2(4 / 3)
    assert 8 * len(coder.finish()) == pytest.approx(ideal, abs=64)


# -- intervals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("freedom", "value"),
    [
        *((1, 12.706205), (2, 4.302653), (3, 3.182446), (4, 2.776445), (5, 2.570582), (6, 2.446912)),
        *((7, 2.364624), (10, 2.228139), (30, 2.042272), (1000, 1.962339)),
    ],
)
def test_quantiles_of_students_t(freedom, value):
    assert intervals.t_quantile(freedom) == pytest.approx(value, rel=5e-5)


def test_no_interval_reaches_below_zero():
    assert intervals.bounds(0.5, 0.25) == (0.25, 0.75)
    assert intervals.bounds(0.1, 0.25) == (0, 0.35)


def test_intervals_hold_the_truth_as_often_as_they_say():
    generator = np.random.default_rng(11)
    trials, held = 2000, 0
    for _ in range(trials):
        units = generator.integers(40, 80, 12).astype(float)
        bits = 2.0 * units + generator.normal(0, 10, 12)
        width = intervals.half_width(bits, units)
        held += abs(bits.sum() / units.sum() - 2.0) <= width
    assert 0.93 < held / trials < 0.97


def test_no_interval_from_one_block():
    assert intervals.half_width(np.array([3.0]), np.array([1.0])) is None
    assert estimated(independent(DYADIC), dyadic_text(200)).measure(e.MODEL).margins == {}


def test_interval_of_an_estimate_is_that_of_its_blocks():
    data = dyadic_text(8000)
    result = estimated(independent(DYADIC), data)
    costs = np.array([DYADIC_BITS[chr(c)] for c in data], float)
    blocks = [costs[k : k + 256] for k in range(0, 8000, 256)]
    width = intervals.half_width(np.array([b.sum() for b in blocks]), np.array([float(len(b)) for b in blocks]))
    assert result.measure(e.MODEL).margins["character"] == pytest.approx(width, rel=1e-5)


# -- windows ---------------------------------------------------------------------------------------------------------

DISTANCE = 20


def echo_model():
    """Repeats the token `DISTANCE` back with p = 15/16 where it can look back so far; else all bytes are alike."""

    def predict(held):
        if len(held) <= DISTANCE:
            return UNIFORM
        echo = held[-DISTANCE]
        return {token: 15 / 16 if token == echo else 1 / 16 / 255 for token in range(256)}

    return KnownModel(predict, Window(64, 4))


def echo_text(count):
    first = np.random.default_rng(8).integers(97, 123, DISTANCE).astype(np.uint8).tobytes()
    return (first * (count // DISTANCE + 1))[:count]


def windowed(windows, stride, tokens=256):
    examiner = KnownExaminer(echo_model())
    result = e.estimate(examiner, text_of(echo_text(600)))
    e.window_rows(examiner, result, windows, stride=stride, tokens=tokens)
    return result, examiner


def test_a_stride_of_one_gives_exactly_the_window():
    result, _ = windowed([DISTANCE - 1, DISTANCE, DISTANCE + 9], 1)
    blind, sighted, more = result.windows
    hit = -math.log2(15 / 16)
    assert blind.mean_context == DISTANCE - 1 and blind.per("token") == pytest.approx(8, rel=1e-6)
    assert sighted.mean_context == DISTANCE and sighted.per("token") == pytest.approx(hit, rel=1e-4)
    assert more.mean_context == DISTANCE + 9 and more.per("token") == pytest.approx(hit, rel=1e-4)
    assert len({row.counts for row in result.windows}) == 1, "all windows must score the same tokens"


@pytest.mark.parametrize("stride", [1, 7, 12])
def test_windows_score_the_tokens_of_their_segments(stride):
    examiner = KnownExaminer(independent(DYADIC))
    data = dyadic_text(1600).decode()
    result = e.estimate(examiner, text_of(data.encode()))
    e.window_rows(examiner, result, [12, 30], stride=stride, tokens=256, seed=3)
    scored = "".join(data[start:stop] for start, stop in segments(1600, 30, 256, 3))
    for row in result.windows:
        assert row.bits == pytest.approx(sum(DYADIC_BITS[c] for c in scored), rel=1e-6)
        assert row.counts.tokens == len(scored)


def test_a_longer_stride_never_looks_further_than_the_window():
    (row,) = windowed([DISTANCE + 4], 10)[0].windows
    # Contexts run from 15 to 24, five of the ten see far enough; the last run of each segment is shorter.
    assert DISTANCE - 5 <= row.mean_context <= DISTANCE + 4
    hit = -math.log2(15 / 16)
    assert hit < row.per("token") < 8
    assert row.counts.tokens == 256


def test_windows_share_the_scoring_loop(monkeypatch):
    from llmzip.report.measure import windows

    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return prefill(*arguments)

    monkeypatch.setattr(windows, "prefill", counted)
    windowed([31], 4)
    assert len(calls) == 1


def test_evaluations_are_told_beforehand():
    done = []
    examiner = KnownExaminer(echo_model())
    result = e.estimate(examiner, text_of(echo_text(600)))
    e.window_rows(examiner, result, [15, 31], stride=None, tokens=128, progress=done.append)
    assert sum(done) == evaluations(600, [15, 31], stride=None, tokens=128, seed=0)


def test_stopped_windows_are_partial():
    examiner = KnownExaminer(echo_model())
    result = e.estimate(examiner, text_of(echo_text(600)))
    done = []

    def progress(rows):
        done.append(rows)
        if sum(done) > 1000:
            raise Stopped

    e.window_rows(examiner, result, [15, 31], stride=1, tokens=128, progress=progress)
    assert result.partial and len(result.windows) == 1 and result.windows[0].partial
    assert 0 < result.windows[0].counts.tokens < 128


def test_windows_need_enough_text():
    from llmzip.errors import LlmzipError

    with pytest.raises(LlmzipError, match="only 40 tokens"):
        segments(40, 40, 1000, 0)


@settings(max_examples=50)
@given(st.integers(2, 3000), st.integers(1, 600), st.integers(64, 4000), st.integers(0, 5))
def test_segments_lie_inside_the_text(count, longest, wanted, seed):
    if count <= longest:
        return
    found = segments(count, longest, wanted, seed)
    assert found and all(longest <= start < stop <= count for start, stop in found)
    assert all(a[1] <= b[0] for a, b in pairwise(found))
    assert sum(stop - start for start, stop in found) <= max(wanted, 64)
