"""Blocks that drift beyond the tolerance has misled: which readings are tried, and that the right one is found."""

import functools
import gc
import io
import random

import numpy as np
import pytest
from fakes import FakeEvaluator, FakeModel
from hypothesis import given, settings
from hypothesis import strategies as st
from test_codec import FakeCodec

from llmzip.codec.agreement import Coding
from llmzip.codec.codec import Codec
from llmzip.codec.decoding import decode_block
from llmzip.codec.evaluation import Session, in_steps
from llmzip.codec.head import BlockHead
from llmzip.codec.layout import Layout
from llmzip.codec.lockstep import LockStep
from llmzip.codec.pipeline import BlockPipeline
from llmzip.codec.quantiser import Quantiser
from llmzip.codec.repair import Astray, Doubts, Turn, readings
from llmzip.codec.rereading import Mark, Rereader
from llmzip.coding import cells
from llmzip.container import BlockKind, read_members
from llmzip.errors import ArithmeticMismatchError, CorruptError
from llmzip.model.base import Window
from llmzip.model.schedule import slid, span_at, spans

TOLERANCE = 4000  # large, so that a short text meets drift beside an edge
# No stretch twice: streams in the same state would be misled together.
TEXT = " ".join(
    random.Random(3).choices(
        [
            "it",
            "is",
            "a",
            "truth",
            "of",
            "the",
            "sea",
            "that",
            "what",
            "goes",
            "in",
            "comes",
            "out",
            "and",
            "then",
            "other",
            "thing",
        ],
        k=220,
    )
).encode()


NOISE = np.random.default_rng(11).uniform(-1, 1, (4999, len(FakeModel().pieces)))


class LongTailed(FakeModel):
    """Drifts as machines do: the same wherever the same is evaluated; mostly little, now and then beyond the tolerance."""

    def __init__(self, tail, size=1.3, rare=0.05, lanes=1):
        super().__init__(lanes=lanes)
        self.tail, self.size, self.rare = tail, size, rare

    def evaluator(self, streams, context, rows, threads=0):
        self.open_evaluators += 1
        return LongTailedEvaluator(self, streams, context, rows)


class LongTailedEvaluator(FakeEvaluator):
    def evaluate(self, tokens, positions, streams):
        logits = super().evaluate(tokens, positions, streams)
        for row, stream in enumerate(streams.tolist()):
            held = self._held[stream]
            place = hash((self._model.tail, len(held), *held[-8:]))
            rare = place // len(NOISE) % 1000 < 1000 * self._model.rare
            size = TOLERANCE * 1e-6 * self._model.size * (1 if rare else 0.01)
            logits[row] += size * NOISE[place % len(NOISE)]
        return logits


def codec(model, tolerance=TOLERANCE):
    return BlockPipeline(Session(model), Coding(Window(32, 4), tolerance, True))


def reads(decoder, payload):
    """Whether the block is read rightly at once."""
    try:
        return decode_block(decoder, payload, len(TEXT), TEXT.__eq__, patience=0) == (TEXT, False)
    except CorruptError:
        return False


@pytest.mark.parametrize(("streams", "lanes"), [(1, 1), (7, 1), (20, 2)])
def test_what_drift_misled_is_put_right(streams, lanes, spare):
    coder = codec(FakeModel())
    payload = coder.encode(*coder.tokens_of(TEXT), streams)
    misled = [d for d in (codec(LongTailed(tail, lanes=lanes)) for tail in range(40)) if not reads(d, payload)]
    assert misled, "nothing to put right: the test shows nothing"
    for decoder in misled:
        assert decode_block(decoder, payload, len(TEXT), TEXT.__eq__) == (TEXT, True)


@pytest.fixture
def packed(monkeypatch):
    """A file of one model block that tolerates the drift of these tests."""
    monkeypatch.setattr("llmzip.codec.policy.beyond_classic", lambda by_zstd, by_model: True)
    monkeypatch.setattr("llmzip.codec.policy.unpromising", lambda *known: False)
    monkeypatch.setattr("llmzip.codec.arithmetic.LEAST_TOLERANCE", TOLERANCE)
    packed = FakeCodec(streams=2).compress(TEXT)
    (block,) = (event for event in read_members(io.BytesIO(packed), payloads=False) if hasattr(event, "kind"))
    assert block.kind is BlockKind.MODEL
    return packed


def test_files_are_put_right(packed, spare):
    repaired = 0
    for tail in range(40):
        reader, sink = Codec(LongTailed(tail)), io.BytesIO()
        repaired += reader.decompress_stream(io.BytesIO(packed), sink).repaired
        assert sink.getvalue() == TEXT
    assert repaired, "nothing to put right: the test shows nothing"


def test_files_that_cannot_be_read_here_are_not_called_damaged(packed):
    reader, sink = Codec(LongTailed(0, size=100.0, rare=1.0)), io.BytesIO()
    with pytest.raises(ArithmeticMismatchError, match="block 1 at byte .* drifts by far more"):
        reader.decompress_stream(io.BytesIO(packed), sink)
    assert not sink.getvalue()


def test_a_damaged_check_costs_one_more_reading(packed):
    end = len(packed) - 2 - packed[-1]
    damaged = packed[: end - 2] + bytes([packed[end - 2] ^ 1]) + packed[end - 1 :]
    reader = FakeCodec()
    with pytest.raises(CorruptError, match="check does not match"):
        reader.decompress(damaged)
    once = FakeCodec()
    once.decompress(packed)
    assert reader.fake.evaluated == 2 * once.fake.evaluated


def test_drift_beyond_repair_is_named():
    payload = codec(FakeModel()).encode(*codec(FakeModel()).tokens_of(TEXT), 2)
    hopeless = codec(LongTailed(0, size=100.0, rare=1.0))
    assert not reads(hopeless, payload)
    with pytest.raises(ArithmeticMismatchError, match="drifts by far more"):
        decode_block(hopeless, payload, len(TEXT), TEXT.__eq__)


def test_repair_lets_go_of_all_that_it_took():
    """Mixers and caches of every reading, which no process may gather."""
    payload = codec(FakeModel()).encode(*codec(FakeModel()).tokens_of(TEXT), 2)
    hopeless = codec(LongTailed(0, size=100.0, rare=1.0))
    with pytest.raises(ArithmeticMismatchError):
        decode_block(hopeless, payload, len(TEXT), TEXT.__eq__)
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, LockStep)]


def test_exact_blocks_have_one_reading():
    coder = codec(model := FakeModel(), tolerance=0)
    payload = coder.encode(*coder.tokens_of(TEXT), 2)
    once = model.evaluated
    with pytest.raises(CorruptError, match="check does not match"):
        decode_block(coder, payload, len(TEXT), lambda data: False)
    assert model.evaluated == 2 * once


edges = st.sampled_from(sorted({*cells.BASE_EDGES, *cells.SHIFTED_EDGES})).map(lambda edge: edge / cells.UNIT)
near_edges = st.tuples(edges, st.floats(-3e-4, 3e-4)).map(sum)


@given(z=st.lists(st.floats(-30, 30) | near_edges, min_size=1, max_size=9), drift=st.floats(-8, 8))
def test_the_cell_beyond_the_nearest_edge_is_the_encoders(z, drift):
    quantiser = Quantiser(100)
    z = np.array(z)[:, None]
    states, coded = quantiser.encode(np.exp(z))
    distances, _ = quantiser.nearest(np.exp(z), states, coded)
    assert (distances > 0.999).all(), "no encoder writes a turn within the tolerance of an edge"
    drifted, found = np.exp(z + drift * 100e-6), np.empty(z.shape, np.uint8)
    quantiser.decode(drifted[:, 0], states, found[:, 0])
    distances, beyond = quantiser.nearest(drifted, states, found)
    misread = found != coded
    assert (beyond[misread] == coded[misread]).all()
    assert (distances[misread] < max(0, abs(drift) - 0.999)).all()


def test_turns_that_are_not_coded_are_near_nothing():
    found = np.array([[0], [cells.NEUTRAL]], np.uint8)
    distances, beyond = Quantiser(30).nearest(np.array([[0.0], [1.0]]), np.array([0, cells.ESCAPED], np.uint8), found)
    assert np.isinf(distances).all() and (beyond == found).all()


class Misled(FakeModel):
    """Drifts by so much that turns are misread, where it is told: {(stream, token of it): in tolerances}."""

    def __init__(self, drifts=()):
        super().__init__()
        self.drifts = dict(drifts)

    def evaluator(self, streams, context, rows):
        self.open_evaluators += 1
        return MisledEvaluator(self, streams, context, rows)


class MisledEvaluator(FakeEvaluator):
    def evaluate(self, tokens, positions, streams):
        logits = super().evaluate(tokens, positions, streams)
        for row, stream in enumerate(streams.tolist()):
            # The place in the stream is lost when the cache slides; here it does not.
            size = self._model.drifts.get((stream, len(self._held[stream]) - 1), 0.01)
            noise = NOISE[(131 * stream + len(self._held[stream])) % len(NOISE)]
            logits[row] += size * FINE * 1e-6 * noise
        return logits


FINE, LONG = 600, 4096
WORDS = " ".join(random.Random(5).choices(TEXT.decode().split(), k=700)).encode()


def long_codec(model):
    return BlockPipeline(Session(model), Coding(Window(LONG, 4), FINE, True))


@pytest.fixture
def spare(monkeypatch):
    """The blocks of these tests are short, to be fast; they get the work that longer ones have."""
    monkeypatch.setattr("llmzip.codec.decoding._SHORT", 50_000)


@functools.cache
def places(streams):
    """Of a block of WORDS: the payload, what drifts mislead: {(stream, token): the least that does, in tolerances}, and how many turns
    of it: {(stream, token, drift): turns}."""
    coder = long_codec(FakeModel())
    text, crlf = coder.tokens_of(WORDS)
    layout = Layout(len(text.tokens), streams)
    payload = coder.encode(text, crlf, streams)
    found, least, turns = coder.quantise(text.tokens, layout), {}, {}
    for size in (12, 6, 3):
        everywhere = Misled({(s, t): size for s in range(streams) for t in range(layout.steps)})
        drifting = long_codec(everywhere)
        steps = in_steps(drifting.session, text.tokens, layout, Window(LONG, 4), 1)
        odds = np.empty((layout.count, drifting.tree.depth))
        drifting.odds(text.tokens, steps, odds.__setitem__)
        for token in range(layout.count):
            row = layout.rows[token]
            again = np.empty(drifting.tree.depth, np.uint8)
            states = np.full(drifting.tree.depth, found.states[row], np.uint8)
            drifting.quantiser.decode(odds[token], states, again)
            if wrong := int(((again != found.cells[row]) & (odds[token] > 0)).sum()):
                least[int(row % streams), int(row // streams)] = size
                turns[int(row % streams), int(row // streams), size] = wrong
    return payload, least, layout, turns


@pytest.mark.parametrize("streams", [1, 5])
def test_drift_of_any_size_is_put_right(streams, spare):
    payload, least, *_ = places(streams)
    assert set(least.values()) == {3, 6, 12}
    for size in (3, 6, 12):
        at = [place for place, small in least.items() if small == size]
        for place in at[len(at) // 2 :][:1]:
            decoder = long_codec(Misled({place: size}))
            assert decode_block(decoder, payload, len(WORDS), WORDS.__eq__) == (WORDS, True), (place, size)


@pytest.mark.parametrize("streams", [1, 5])
@pytest.mark.parametrize("apart", [200, 900])
def test_two_misread_turns_are_put_right(streams, apart, spare):
    payload, least, layout, _ = places(streams)
    by_order = sorted((place for place, size in least.items() if size <= 6), key=lambda place: place[::-1])
    pairs = [
        (one, other)
        for one in by_order
        for other in by_order
        if one < other and (other[1] - one[1]) * streams >= apart and one[1] * streams < layout.count / 2
    ]
    pairs.sort(key=lambda pair: pair[1][1] - pair[0][1])
    assert pairs
    for pair in pairs[:1]:
        decoder = long_codec(Misled({place: least[place] for place in pair}))
        assert decode_block(decoder, payload, len(WORDS), WORDS.__eq__) == (WORDS, True), pair


@pytest.mark.parametrize("streams", [1, 5])
def test_a_token_misread_twice_can_be_put_right(streams, spare):
    """Drift far beyond the tolerance comes in all turns of a token. Not every such token comes back (docs/reliability.md); what does not is
    refused."""
    payload, _, _, turns = places(streams)
    twice = sorted(((place[:2], place[2]) for place, count in turns.items() if count == 2), reverse=True)
    assert twice
    for place, size in twice:
        decoder = long_codec(Misled({place: size}))
        try:
            assert decode_block(decoder, payload, len(WORDS), WORDS.__eq__) == (WORDS, True), (place, size)
            return
        except ArithmeticMismatchError:
            continue
    pytest.fail("none of them")


@pytest.mark.parametrize("patience", [0.5, 3, 7])
def test_repair_is_bounded_by_a_multiple_of_one_decoding(patience):
    payload, _, layout, _ = places(1)
    decoder = long_codec(Misled({(0, step): 1000 for step in range(layout.steps)}))
    with pytest.raises(ArithmeticMismatchError, match=r"drifts by far more .* \(--patience 100\)"):
        decode_block(decoder, payload, len(WORDS), WORDS.__eq__, patience=patience)
    assert decoder.session.model.evaluated <= (1 + patience) * layout.steps + 1_000


def test_without_patience_a_block_is_read_once():
    payload, _, layout, _ = places(1)
    decoder = long_codec(Misled({(0, step): 1000 for step in range(layout.steps)}))
    with pytest.raises(CorruptError):
        decode_block(decoder, payload, len(WORDS), WORDS.__eq__, patience=0)
    assert decoder.session.model.evaluated <= layout.steps


def test_patience_finds_what_the_usual_work_does_not():
    payload, *_ = places(5)
    decoder = long_codec(Misled({(4, 105): 6}))
    with pytest.raises(ArithmeticMismatchError):
        decode_block(decoder, payload, len(WORDS), WORDS.__eq__, patience=0.1)
    assert decode_block(decoder, payload, len(WORDS), WORDS.__eq__, patience=30) == (WORDS, True)


def test_steps_are_where_spans_put_them():
    for window in (Window(8, 4), Window(9, 2), Window(6, 1)):
        assert [span_at(row, window) for row in range(70)] == list(spans(70, window, 1))


def test_where_a_window_slid_last_is_what_spans_say():
    for window, position in ((Window(8, 4), 0), (Window(9, 2), 5), (Window(6, 1), 6)):
        last = -1
        for span in spans(70, window, 1, position):
            assert slid(span.start, window, position) == last
            last = span.start if span.slide else last


def long_reading(lanes=1, rewinds=True):
    """A block of two streams that slides often, and all its tokens."""
    model = FakeModel(seed=2, lanes=lanes)
    model.rewinds = rewinds
    coder = codec(model)
    text, crlf = coder.tokens_of(TEXT * 6)
    layout = Layout(len(text.tokens), 2)
    words = BlockHead.unpack(coder.encode(text, crlf, 2), 1 << 20)[1]
    return LockStep(coder, words, layout, keeping=True), layout, text.tokens


def read_on(reading, stop):
    while reading.step < stop:
        reading.advance()


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_going_back_changes_nothing(data):
    """Wherever it goes back to, and whatever copies it has: taken back where the window has not slid since, else from a mark."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llmzip.codec.rereading._FAR_ROWS", data.draw(st.sampled_from([9, 64, 1 << 13])))
        reading, layout, tokens = long_reading(data.draw(st.integers(1, 2)), rewinds := data.draw(st.booleans()))
        marks = []
        for _ in range(data.draw(st.integers(1, 6))):
            read_on(reading, data.draw(st.integers(reading.step, layout.steps)))
            if data.draw(st.booleans()):
                marks.append(reading.mark())
            step, was = data.draw(st.integers(0, reading.step)), reading.step
            marks = [mark for mark in marks if mark.step <= step]
            reading.back(step, marks[-1] if marks else None, again=data.draw(st.booleans()))
            assert reading.step in (step, marks[-1].step if marks else 0)
            assert reading.step == step or not rewinds or slid(was, Window(32, 4)) >= step
        read_on(reading, layout.steps)
        assert (reading.tokens == tokens).all()


def test_what_was_misread_between_is_forgotten():
    """Another reading of some steps, then the right one again."""
    reading, layout, tokens = long_reading()
    read_on(reading, 150)
    mark = reading.mark()
    read_on(reading, 170)
    for step in (165, 160, 152):
        reading.back(step, mark, again=True)
        read_on(reading, step)
        reading.advance(Other(step))
        read_on(reading, step + 6)
    reading.back(152, mark)
    read_on(reading, layout.steps)
    assert (reading.tokens == tokens).all()


class Other:
    """Takes the turns of one step otherwise."""

    def __init__(self, step):
        self.step = step

    def instead(self, step):
        return {Turn(step, stream, level): 0 for stream in range(2) for level in range(4)} if step == self.step else {}

    def see(self, step, odds, states, cells_, line_ends): ...


def test_going_back_from_a_copy_of_the_mixer_takes_less(monkeypatch):
    monkeypatch.setattr("llmzip.codec.rereading._FAR_ROWS", 64)
    reading, layout, tokens = long_reading()
    read_on(reading, layout.steps - 9)
    here = reading.mark()
    read_on(reading, layout.steps)
    first = reading.back(here.step, here)
    read_on(reading, layout.steps)
    assert reading.back(here.step, here) < first / 2
    read_on(reading, layout.steps)
    near = reading.back(here.step, here, again=True)
    read_on(reading, layout.steps)
    assert reading.back(here.step, here) < near
    reading.back(9)
    read_on(reading, layout.steps)
    assert reading.back(here.step, here) > first / 2, "the copies were of another reading"
    read_on(reading, layout.steps)
    assert (reading.tokens == tokens).all()


def test_readings_that_part_late_are_read_from_there():
    """A block of one stream: read once, then in three ways that part from it at steps 50, 45 and 40."""
    read = []

    class Steps:
        step, tokens, room, fewest_marks = 0, None, 1, 1

        def advance(self, doubts):
            read.append(self.step)
            self.step += 1
            if (self.step > 60 and doubts.misread) or self.step == 80:
                raise Astray

        def mark(self):
            return Mark(self.step, np.zeros(1, np.uint8))

        def back(self, step, mark, *, again):
            backs.append((step, again))
            self.step = step
            return 0

    backs, track = [], Track({})
    reader = Rereader(Steps, Layout(100, 1), 10_000)
    for expected, steps in (([{}], [0]), ([{50: 1}, {45: 1}, {40: 1}], [40, 45, 40])):
        sets = [{Turn(step, 0, 0): cell for step, cell in each.items()} for each in expected]
        reader.expect(sets)
        backs.clear()
        for misread in sets:
            with pytest.raises(Astray):
                reader.read(Doubts(track, 1, misread))
        assert [step for step, _ in backs] == steps
    assert [again for _, again in backs] == [True, False, False]
    assert reader.left == 10_000 - len(read)


class Track:
    """A scripted block of one stream with a turn a step: `misread` are (at which step: how far from the edge); once a turn has been taken
    wrongly, and from `lost` on whatever is taken, doubtful ones come at an even interval. Others lie far from edges."""

    exhausted = False

    def __init__(self, misread, lost=10**9):
        self.misread, self.lost, self.steps = misread, lost, 0

    def expect(self, readings): ...

    def nearest(self, odds, states, found):
        return odds, found + np.uint8(1)

    def read(self, doubts):
        right = True
        self.exhausted = self.steps > 90_000
        for step in range(STEPS):
            self.steps += 1
            right &= step < self.lost
            distance = self.misread.get(step, 200.0) if right else 0.5 if step % INTERVAL == 0 else 20.0 + step % 50
            taken = bool(doubts.instead(step))
            nothing = np.zeros(1, np.uint8)
            doubts.see(step, np.array([[distance]]), nothing, np.array([[taken]], np.uint8), nothing.astype(bool))
            right &= taken == (step in self.misread)
        return right

    tolerance = 1000


STEPS, INTERVAL = 4000, 20
far_apart = st.dictionaries(st.integers(0, 5).map(lambda i: 650 * i + 7), st.floats(0, 9), min_size=1, max_size=3)


@settings(max_examples=8, deadline=None)
@given(far_apart)
def test_several_misread_turns_are_found(misread):
    track = Track(misread)
    assert any(readings(track, track, 1))


class Flagging(Track):
    """Of flagged tokens the distances are those from the first grid; from their own they lie far."""

    def nearest(self, odds, states, found):
        return np.where((states > 0)[:, None], 20.0, odds), found + np.uint8(1)


def test_the_end_of_a_line_keeps_more_from_an_edge_than_other_tokens():
    """What lies within its margin is a violation there, and a flag that such a turn had is none."""
    for line_end, distance, state, violated in (
        (False, 2.0, cells.SAFE, False),
        (True, 2.0, cells.SAFE, True),
        (True, 4.0, cells.SAFE, False),
        (False, 2.0, cells.HALF_SHIFTED, True),
        (True, 4.5, cells.HALF_SHIFTED, False),
        (True, 5.5, cells.HALF_SHIFTED, True),
    ):
        doubts, states = Doubts(Flagging({}), 2), np.array([state, cells.SAFE], np.uint8)
        try:
            doubts.see(
                0, np.array([[distance], [2.0]]), states, np.zeros((2, 1), np.uint8), np.array([line_end, False])
            )
            assert not violated, (line_end, distance, state)
        except Astray:
            assert violated, (line_end, distance, state)


def test_turns_to_ends_of_lines_are_suspected_sooner():
    track, nothing = Track({}), np.zeros(2, np.uint8)
    doubts = Doubts(track, 2)
    doubts.see(0, np.array([[30.0], [30.0]]), nothing, np.zeros((2, 1), np.uint8), np.array([False, True]))
    assert doubts.suspects().turns[:, 1].tolist() == [1, 0]


def test_violations_that_were_passed_over_still_count_behind_a_mark():
    """A reading that goes on does not show again what lies before the mark it goes on from."""
    track = Track({})
    for shown in (range(100, 200), range(200)):
        doubts = Doubts(track, 1, trusted=100, harmless=3)
        with pytest.raises(Astray):
            for step in shown:
                near, nothing = np.array([[0.5 if step in (40, 150) else 20.0]]), np.zeros(1, np.uint8)
                doubts.see(step, near, nothing, np.zeros((1, 1), np.uint8), nothing.astype(bool))
        assert doubts.row == 151 and doubts.borne == 4
        assert doubts.as_it_is < Doubts(track, 1, trusted=100).as_it_is + doubts.rate * 151


def test_noise_is_given_up():
    track = Track({}, lost=100)
    with pytest.raises(Astray):
        assert not any(readings(track, track, 1))
