"""Model blocks: prefill on one side, lock step on the other, with drift in between."""

import itertools
from binascii import crc_hqx

import numpy as np
import pytest
from fakes import PIECES, FakeModel
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.codec.agreement import PORTABLE_TOLERANCE, Coding
from llmzip.codec.decoding import decode_block
from llmzip.codec.evaluation import ROWS, Session, prefill
from llmzip.codec.head import MAX_STREAMS, BlockHead
from llmzip.codec.layout import Layout
from llmzip.codec.pipeline import BlockPipeline
from llmzip.errors import CorruptError
from llmzip.model.base import Window

GOLDEN = "8e1a005b0343bf87e59853d1d4f76af7bfe15045933075796d1dfe1dc1c8e2fa151f95110130eb0d488f5e4688e9d4fa46f1e7adb0a85c8c442bcdfd0fc4fa85798d7f"
TEXT = ("It is a truth of the sea that what goes in comes out, and then the other thing.\n" * 12).encode()
DRIFT = PORTABLE_TOLERANCE * 1e-6 * 0.24  # of a logit, on both sides: the log odds then differ by less


def done(share):
    assert 0 <= share <= 1


def codec(model, window=Window(32, 4), tolerance=PORTABLE_TOLERANCE, mixing=True):
    return BlockPipeline(Session(model), Coding(window, tolerance, mixing))


def decode(pipeline, payload, original):
    """The block as it is read at first; CorruptError where that is not what was encoded."""
    return decode_block(pipeline, payload, len(original), original.__eq__, done, patience=0)[0]


def encode(data, streams, model=None, **coding):
    coder = codec(model or FakeModel(), **coding)
    return coder.encode(*coder.tokens_of(data), streams, progress=done)


@settings(max_examples=40, deadline=None)
@given(
    data=st.binary(max_size=300) | st.text(max_size=200).map(lambda s: s.encode("utf-8", "surrogatepass")),
    streams=st.integers(1, 40),
    window=st.sampled_from([Window(2, 1), Window(16, 2), Window(30, 3), Window(512, 4)]),
    mixing=st.booleans(),
)
def test_round_trip_with_drift(data, streams, window, mixing):
    coder = codec(FakeModel(DRIFT, 1), window, mixing=mixing)
    text, crlf = coder.tokens_of(data)
    payload = coder.encode(text, crlf, max(1, min(streams, len(text.tokens))), progress=done)
    decoder = codec(FakeModel(DRIFT, 2), window, mixing=mixing)
    assert decode(decoder, payload, data) == data


@pytest.mark.parametrize("streams", [1, 2, 7, 32, 100])
def test_round_trip_of_a_longer_text(streams):
    payload = encode(TEXT, streams, FakeModel(DRIFT, 1))
    assert decode(codec(FakeModel(DRIFT, 2)), payload, TEXT) == TEXT


def test_the_drift_of_these_tests_would_break_a_coder_without_tolerance():
    broken = 0
    for seed in range(6):
        payload = encode(TEXT, 3, FakeModel(2e-2, seed), tolerance=0)
        try:
            decode(codec(FakeModel(2e-2, 100 + seed), tolerance=0), payload, TEXT)
        except CorruptError:
            broken += 1
    assert broken > 0


def test_without_drift_no_tolerance_is_needed():
    payload = encode(TEXT, 3, tolerance=0)
    assert decode(codec(FakeModel(), tolerance=0), payload, TEXT) == TEXT
    assert len(payload) <= len(encode(TEXT, 3))


def test_literals_and_line_ends_travel_in_the_head():
    pieces = [b"a", b"b", b" ", b"\n", b"th", b"e", b"", b""]
    data = b"the a\r\nbeth\r\n\xff\xfea b the\r\n" * 3
    model = FakeModel(pieces=pieces)
    payload = encode(data, 2, model)
    head, _ = BlockHead.unpack(payload, len(data))
    assert head.crlf and head.literals
    assert decode(codec(FakeModel(pieces=pieces)), payload, data) == data


def test_every_token_is_evaluated_once_and_in_full_batches():
    model = FakeModel(window=Window(512, 4))
    session = Session(model)
    tokens = np.arange(6000, dtype=np.int32) % 270
    seen = np.zeros(len(tokens), int)
    for indices, logits in prefill(session, tokens, Layout(len(tokens), 5), model.window):
        assert logits.shape == (len(indices), len(PIECES))
        seen[indices] += 1
    assert (seen == 1).all()
    assert model.evaluated == len(tokens)
    assert session.evaluator(4, 512, 4 * 128).largest_batch == ROWS


@settings(max_examples=30)
@given(st.integers(1, 500), st.integers(1, 40))
def test_coding_order_is_step_by_step(count, streams):
    streams = min(streams, count)
    layout = Layout(count, streams)
    place = layout.rows.tolist()
    assert sorted(place) == list(range(count))
    # Stream by stream, a token's place grows by one step of all streams.
    assert all(b - a == streams or b < streams for a, b in itertools.pairwise(place))
    # Steps and runs cut the same order.
    tokens = np.argsort(layout.rows)
    assert np.concatenate([layout.at(step) for step in range(layout.steps)]).tolist() == tokens.tolist()
    runs = layout.runs(most=7)
    assert [run.start for run in runs[1:]] == [run.stop for run in runs[:-1]] and runs[-1].stop == count
    assert all(0 < run.stop - run.start <= 7 for run in runs)


def test_damaged_payloads_never_get_past_the_codec_unseen():
    """Whatever is decoded from damage is either refused or of some bytes that the block's check will refuse."""
    data = TEXT[:200]
    payload = encode(data, 2)
    decoder = codec(FakeModel())
    wrong = 0
    for cut in range(len(payload)):
        try:
            decode(decoder, payload[:cut], data)
        except CorruptError:
            wrong += 1
    assert wrong >= len(payload) - 4  # the last bytes of the coder may be redundant
    for bit in range(8 * len(payload)):
        damaged = bytearray(payload)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            assert decode(decoder, bytes(damaged), data) == data
        except CorruptError:
            pass


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"", "ends inside"),
        (b"\x40\x01\x01", "unknown flags"),
        (b"\x84\x01\x01", "unknown flags"),
        (b"\x00\x65\x01", "101 tokens"),
        (b"\x00\x05\x00", "0 streams"),
        (b"\x00\x05\x06", "6 streams"),
        (b"\x00\x64\x81\x02", f"{MAX_STREAMS + 1} streams"),
        (b"\x02\x05\x01\xff\xff\x03", "literals"),
        (b"\x02\x05\x01\x01\x06\x01x", "tokens before a literal"),
        (b"\x02\x05\x01\x01\x00\x02x", "ends inside"),
        (b"\x02\x05\x01\x01\x00\x00", "empty literal"),
        (b"\x00\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x01", "number"),
    ],
)
def test_impossible_heads_are_refused(head, says):
    with pytest.raises(CorruptError, match=says):
        decode(codec(FakeModel()), crc_hqx(head, 0).to_bytes(2, "little") + head, bytes(100))


@settings(max_examples=20, deadline=None)
@given(
    repeats=st.integers(1, 12),
    streams=st.integers(1, 40),
    window=st.sampled_from([Window(3, 1), Window(4, 2), Window(9, 2), Window(30, 3), Window(32, 4)]),
    lanes=st.integers(1, 2),
)
def test_a_block_may_be_read_with_less_of_the_window(repeats, streams, window, lanes):
    data = TEXT[: 80 * repeats]
    coder = codec(FakeModel(DRIFT, 1, lanes=lanes), window).near
    payload = coder.encode(*coder.tokens_of(data), streams)
    assert BlockHead.unpack(payload, len(data))[0].near
    assert decode(codec(FakeModel(DRIFT, 2, lanes=lanes), window), payload, data) == data


def test_less_of_a_window_is_that_of_a_model_made_so():
    """Its bytes are those of the smaller window, but for the head."""
    near = encode(TEXT, 3, window=Window(24, 12))
    coder = codec(FakeModel()).near
    payload = coder.encode(*coder.tokens_of(TEXT), 3)
    assert payload[3:] == near[3:] and payload[2] == near[2] | 128
    assert payload[3:] != encode(TEXT, 3)[3:]


@pytest.mark.parametrize(
    ("window", "less"),
    [((1024, 8), (768, 24)), ((2048, 1), (1536, 1)), ((8, 4), (6, 3)), ((5, 2), (3, 1)), ((7, 2), (5, 2))],
)
def test_three_quarters_of_windows(window, less):
    assert Window(*window).near == Window(*less)


def test_there_are_no_three_quarters_of_a_window_of_two():
    payload = codec(FakeModel()).near.encode(*codec(FakeModel()).tokens_of(TEXT), 3)
    with pytest.raises(CorruptError, match="three quarters of a window of 2 tokens are none"):
        decode(codec(FakeModel(), Window(2, 1)), payload, TEXT)


def test_damage_is_refused_before_decoding():
    payload = encode(TEXT, 3)
    decoder = codec(model := FakeModel())
    for at in range(len(payload)):
        for damaged in (
            payload[:at],
            payload[:at] + bytes([payload[at] ^ 1 << at % 8]) + payload[at + 1 :],
            payload + b"x",
        ):
            with pytest.raises(CorruptError, match="stored bytes do not match"):
                decode_block(decoder, damaged, len(TEXT), TEXT.__eq__)
    assert model.evaluated == 0


def test_golden_block():
    """format: this block must decode for ever under coder version 1."""
    payload = encode(TEXT[:120], 3)
    assert payload.hex() == GOLDEN
