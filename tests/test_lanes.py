"""Several cores at one file: streams parted over evaluators, several blocks with one network, the same bytes whatever the cores."""

import io
import random
import threading
import time

import numpy as np
import pytest
from fakes import FakeModel
from test_block import DRIFT, decode, encode
from test_codec import kinds

from llmzip.codec.agreement import PORTABLE_TOLERANCE, Coding
from llmzip.codec.codec import Codec
from llmzip.codec.evaluation import Session
from llmzip.codec.lanes import on_lanes
from llmzip.codec.pipeline import BlockPipeline
from llmzip.container import BlockKind
from llmzip.errors import CorruptError
from llmzip.model.base import Window
from llmzip.model.team import Team

TEXT = " ".join(
    random.Random(4).choices(
        ["it", "is", "a", "truth", "of", "the", "sea", "that", "what", "goes", "in", "comes", "out", "and", "then"],
        k=600,
    )
).encode()


def codec(model):
    return BlockPipeline(Session(model), Coding(Window(32, 4), PORTABLE_TOLERANCE, True))


@pytest.fixture
def cores(monkeypatch):
    """As on a machine with four cores."""
    for module in ("codec.ahead", "codec.choice", "model.threads"):
        monkeypatch.setattr(f"llmzip.{module}.usable_cores", lambda: 4)


@pytest.fixture
def network_always(monkeypatch):
    monkeypatch.setattr("llmzip.codec.policy.unpromising", lambda data, classic_length, pipeline: False)
    monkeypatch.setattr("llmzip.codec.policy.beyond_classic", lambda classic_length, model_length: True)


@pytest.mark.parametrize("streams", [1, 7, 16, 23, 40])
@pytest.mark.parametrize("lanes", [2, 3])
def test_lanes_change_no_byte_and_read_their_blocks(lanes, streams):
    payload = encode(TEXT, streams)
    assert encode(TEXT, streams, FakeModel(lanes=lanes)) == payload
    assert (
        decode(codec(FakeModel(DRIFT, 2, lanes=lanes)), encode(TEXT, streams, FakeModel(DRIFT, 1, lanes=lanes)), TEXT)
        == TEXT
    )


def test_a_step_of_many_streams_is_evaluated_by_all_lanes_at_once():
    for streams, expected in ((15, 1), (16, 2), (40, 3)):
        model = FakeModel(lanes=3, pause=1e-3)
        decode(codec(model), encode(TEXT, streams), TEXT)
        assert model.most_at_once == expected


def test_a_team_is_one_set_of_streams():
    rng = np.random.default_rng(3)
    one, members = FakeModel().evaluator(10, 32, 40), [FakeModel().evaluator(n, 32, 16) for n in (4, 4, 2)]
    team = Team(members, 4, 40, len(FakeModel().pieces))
    caches = position = 0

    def both(streams, rows):
        tokens = rng.integers(0, 256, streams * rows).astype(np.int32)
        positions = np.tile(np.arange(position, position + rows, dtype=np.int32), streams)
        of = np.repeat(np.arange(streams, dtype=np.int32), rows)
        expected = one.evaluate(tokens, positions, of)
        assert np.array_equal(team.evaluate(tokens, positions, of), expected)

    for step in range(40):
        if position == 32:
            for each in (one, team):
                each.slide(10, 8)
            position -= 8
        if step == 20:
            caches, saved = (one.save(), team.save()), position
        both(10, rows := 1 + 3 * (step == 0))
        position += rows
    one.restore(caches[0]), team.restore(caches[1])
    position = saved
    both(10, 1)
    one.discard(7, position), team.discard(7, position)
    both(7, 1)
    one.clear(), team.clear()
    position = 0
    both(3, 2)
    team.close()


class Later:
    """Alone from the n-th question on."""

    def __init__(self, n):
        self.left = n

    def __call__(self):
        self.left -= 1
        return self.left < 0


def test_a_lane_joins_when_a_core_becomes_free():
    seen, asked = set(), Later(4)

    def work(session, check):
        seen.add(threading.current_thread())
        while len(seen) < 2:
            check()

    on_lanes(Session(FakeModel(lanes=2), asked), 2, work)
    assert len(seen) == 2 and asked.left < 0


def test_an_error_in_a_part_comes_out_when_all_have_ended():
    class Failing:
        def __init__(self, fails):
            self.fails, self.ended = fails, False

        def evaluate(self, tokens, positions, streams):
            if self.fails:
                raise MemoryError
            time.sleep(0.05)
            self.ended = True
            return np.zeros((len(tokens), 5), np.float32)

        def close(self):
            pass

    for fails in range(3):
        members = [Failing(number == fails) for number in range(3)]
        team = Team(members, 1, 3, 5)
        rows = np.arange(3, dtype=np.int32)
        with pytest.raises(MemoryError):
            team.evaluate(rows, rows, rows)
        assert [member.ended for member in members] == [number != fails for number in range(3)]
        team.close()


def test_lanes_end_together_when_one_fails():
    seen = threading.Event()

    def work(session, check):
        if threading.current_thread() is threading.main_thread():
            assert seen.wait(60)
            raise ZeroDivisionError
        seen.set()
        while True:
            check()

    with pytest.raises(ZeroDivisionError):
        on_lanes(Session(FakeModel(lanes=2)), 2, work)


def test_blocks_with_a_network_are_in_work_at_once_and_the_bytes_are_the_same(cores, network_always):
    data = TEXT * 9
    plain = Codec(FakeModel(), block_size=4096, streams=3).compress(data)
    assert kinds(plain).count(BlockKind.MODEL) > 4
    model = FakeModel(lanes=4, pause=1e-3)
    packed = io.BytesIO()
    with Codec(model, block_size=4096, streams=3) as codec:
        codec.compress_stream(io.BytesIO(data), packed)
        assert packed.getvalue() == plain and model.most_at_once > 1
        model.most_at_once = 0
        assert codec.decompress(plain) == data and model.most_at_once > 1
    assert model.open_evaluators == 0
    with Codec(FakeModel(lanes=4), threads=1) as codec:
        assert codec.decompress(plain) == data


def test_a_damaged_block_among_several_is_named(cores, network_always):
    data = TEXT * 9
    packed = bytearray(Codec(FakeModel(), block_size=4096, streams=3).compress(data))
    packed[len(packed) // 2] ^= 4
    out = io.BytesIO()
    with pytest.raises(CorruptError, match="block"), Codec(FakeModel(lanes=4)) as codec:
        codec.decompress_stream(io.BytesIO(packed), out)
    assert out.getvalue() and data.startswith(out.getvalue())


def test_a_model_is_let_go_when_the_blocks_that_use_it_are_done(cores):
    model = FakeModel(lanes=4)
    codec = Codec(model, streams=3)
    choice = codec.choice
    order = []

    def ask():
        return choice.resume(agreement)

    with choice.lock:
        agreement = choice.for_writing()

    def work():
        with choice.lent(ask, lambda: False):
            inside.set()
            time.sleep(0.1)
            order.append("block")

    inside = threading.Event()
    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(60)
    codec.close()
    order.append("closed")
    thread.join()
    assert order == ["block", "closed"] and choice.idle


def test_verify_and_many_threads_of_a_user(cores, network_always):
    codec = Codec(FakeModel(lanes=4), verify=True, block_size=4096, streams=20)
    plain = Codec(FakeModel(), block_size=4096, streams=20).compress(TEXT * 3)
    found = []
    threads = [threading.Thread(target=lambda: found.append(codec.compress(TEXT * 3))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [plain] * 6
    codec.close()


def test_the_embedded_model_gives_the_same_bytes_in_lanes(monkeypatch, corpora):
    for module in ("codec.ahead", "codec.choice", "model.threads", "model.llama"):
        monkeypatch.setattr(f"llmzip.{module}.usable_cores", lambda: 2)
    data = (corpora / "the-lighthouse-ledger.txt").read_bytes()[:6000]
    packed = []
    for threads, size in ((1, 1 << 20), (2, 1 << 20), (1, 4096), (2, 4096)):
        with Codec(threads=threads, streams=16, block_size=size) as codec:
            packed.append(codec.compress(data))
            if threads == 2:
                assert codec.decompress(packed[-2]) == data
    assert packed[0] == packed[1] and packed[2] == packed[3]
