"""Exact mode: quantised weights as they are, on this machine's very arithmetic."""

from __future__ import annotations

import ctypes
import io
import warnings
from dataclasses import replace

import numpy as np
import pytest
from fakes import FakeEvaluator, FakeModel

from llmzip.codec import arithmetic, evaluation
from llmzip.codec.arithmetic import Probe
from llmzip.codec.codec import Codec
from llmzip.codec.evaluation import Session
from llmzip.codec.locate import Found, load
from llmzip.container import TAG_PROBE, BlockKind, Header, read_members
from llmzip.errors import ArithmeticMismatchError, CorruptError, ModelError
from llmzip.model import embedded, own
from llmzip.model.base import Window
from llmzip.model.identity import model_facts

SENTENCE = b"The harbour of the town and the ships of the sea, the old men and the weather. "
KINDS = {"F32": 0, "F16": 1, "BF16": 32, "Q4_0": 2, "Q8_0": 7, "Q4_K_M": 15, "Q6_K": 18}


@pytest.fixture(autouse=True)
def model_always(monkeypatch):
    monkeypatch.setattr("llmzip.codec.policy.unpromising", lambda *_: False)
    monkeypatch.setattr("llmzip.codec.policy.beyond_classic", lambda classic, model: True)


# -- with a model whose kernels can be told how to round
# ----------------------------------------------------------------


class RoundingEvaluator(FakeEvaluator):
    """Logits whose last digits depend on the number of rows, as the kernels of llama.cpp make them do."""

    def evaluate(self, tokens, positions, streams):
        logits = super().evaluate(tokens, positions, streams)
        several = len(tokens) >= self._model.kernel_rows
        for row, position in enumerate(positions.tolist()):
            logits[row] += self._model.rounding if several and position < self._model.trusted else 0
            # Not the same for all tokens, or it would cancel out.
            logits[row, ::2] *= np.float32(1.5) if several and position < self._model.trusted else np.float32(1)
        return logits


class RoundingModel(FakeModel):
    """kernel_rows: from so many rows on, another kernel runs; trusted: only at positions below this one."""

    def __init__(self, kernel_rows=2, trusted=1 << 20, rounding=0.25, arithmetic="one kind", **options):
        super().__init__(**options)
        self.kernel_rows, self.trusted, self.rounding, self.arithmetic = kernel_rows, trusted, rounding, arithmetic
        self.exact = True

    def evaluator(self, streams, context, rows):
        self.open_evaluators += 1
        return RoundingEvaluator(self, streams, context, rows)


def rounding_codec(fake, **options):
    return Codec(fake, **options)


@pytest.mark.parametrize(("kernel_rows", "rows"), [(1, 2), (2, 2), (5, 8), (8, 8), (40, 1)])
def test_the_rows_of_a_step_are_found_out(kernel_rows, rows):
    assert arithmetic.proven_rows(Session(RoundingModel(kernel_rows, window=Window(64, 4)))) == rows


def test_models_that_cannot_take_rows_back_go_in_bare_steps():
    model = RoundingModel(1)
    model.rewinds = False
    assert arithmetic.proven_rows(Session(model)) == 1


@pytest.mark.parametrize("kernel_rows", [1, 2, 8, 40])
@pytest.mark.parametrize("streams", [1, 3, 9])
@pytest.mark.parametrize("length", [1, 7, 800])
def test_round_trip(kernel_rows, streams, length):
    data = (SENTENCE * 11)[:length]
    packed = rounding_codec(RoundingModel(kernel_rows), streams=streams).compress(data)
    header = next(read_members(io.BytesIO(packed)))
    assert isinstance(header, Header) and header.exact and header.tolerance == 0
    assert rounding_codec(RoundingModel(kernel_rows)).decompress(packed) == data


def test_where_prefill_proves_wrong_after_all_steps_take_over(monkeypatch):
    """The proof is made on a few tokens; a kernel that changes later is noticed and costs time, not the file."""
    stepped = []
    in_steps = evaluation.in_steps
    monkeypatch.setattr(evaluation, "in_steps", lambda *arguments: stepped.append(1) or in_steps(*arguments))
    packed = {}
    for trusted in (1 << 20, 25):
        fake = RoundingModel(8, trusted)
        with rounding_codec(fake, streams=1) as codec:
            packed[trusted] = codec.compress(SENTENCE * 5)
        assert not stepped
    # Prefill and steps agree wherever both have eight rows. Now they do not from position 25 on.
    monkeypatch.setattr(RoundingEvaluator, "evaluate", _disagreeing(RoundingEvaluator.evaluate))
    packed = rounding_codec(RoundingModel(8), streams=1).compress(SENTENCE * 5)
    assert stepped
    assert rounding_codec(RoundingModel(8)).decompress(packed) == SENTENCE * 5


def _disagreeing(evaluate):
    def wrapped(self, tokens, positions, streams):
        logits = evaluate(self, tokens, positions, streams)
        logits[positions > 25, ::3] += np.float32(0.5 if len(tokens) > 8 else 0)
        return logits

    return wrapped


def test_another_arithmetic_is_refused_before_a_byte_is_written():
    packed = rounding_codec(RoundingModel(8, arithmetic="lib 1; CPU A B; 0 GPU layers"), block_size=1 << 12).compress(
        SENTENCE * 120
    )
    other = RoundingModel(8, rounding=0.5, arithmetic="lib 2; CPU A C; 0 GPU layers")
    sink = io.BytesIO()
    with pytest.raises(ArithmeticMismatchError) as caught:
        rounding_codec(other).decompress_stream(io.BytesIO(packed), sink)
    message = str(caught.value)
    assert sink.getvalue() == b"" and "\n" not in message and caught.value.exit_code == 5
    assert all(word in message for word in ("made with 1, here 2", "made with B, here C", "8 rows", "--portable"))
    with pytest.raises(ArithmeticMismatchError, match="description is the same"):
        rounding_codec(RoundingModel(8, rounding=0.5, arithmetic="lib 1; CPU A B; 0 GPU layers")).decompress(packed)


def test_classic_blocks_of_an_exact_file_wait_for_the_check_too(monkeypatch):
    monkeypatch.setattr("llmzip.codec.policy.unpromising", lambda data, *_: data.startswith(b"0"))
    data = b"0" * 4096 + SENTENCE * 40
    packed = rounding_codec(RoundingModel(2), block_size=1 << 12).compress(data)
    kinds = [event.kind for event in read_members(io.BytesIO(packed), payloads=False) if hasattr(event, "kind")]
    assert kinds[0] is not BlockKind.MODEL and kinds[-1] is BlockKind.MODEL
    sink = io.BytesIO()
    with pytest.raises(ArithmeticMismatchError):
        rounding_codec(RoundingModel(2, rounding=0.5)).decompress_stream(io.BytesIO(packed), sink)
    assert sink.getvalue() == b""


def test_the_check_is_made_once(monkeypatch):
    packed = rounding_codec(RoundingModel(2), block_size=1 << 12).compress(SENTENCE * 160)
    checks = []
    require = arithmetic.require
    monkeypatch.setattr(arithmetic, "require", lambda *arguments: checks.append(1) or require(*arguments))
    assert rounding_codec(RoundingModel(2)).decompress(packed) == SENTENCE * 160
    assert len(checks) == 1


@pytest.mark.parametrize("extra", [b"", b"\x02short", b"\x00" + bytes(8), b"\x41" + bytes(8)])
def test_damaged_fingerprints(extra, monkeypatch):
    packed = rounding_codec(RoundingModel(2)).compress(SENTENCE)
    header = next(read_members(io.BytesIO(packed)))
    with monkeypatch.context() as writer:
        writer.setattr(Header, "_contradiction", lambda self: "")
        forged = replace(header, extras=header.extras | {TAG_PROBE: extra}).pack() + packed[len(header.pack()) :]
    with pytest.raises(CorruptError):
        rounding_codec(RoundingModel(2)).decompress(forged)


def test_the_probe_in_the_header():
    """format: a reader finds rows, fingerprint and description in extra 3."""
    wanted = Probe(300 % 64, bytes(range(8)), "lib; CPU")
    assert wanted.pack() == b"\x2c" + bytes(range(8)) + b"lib; CPU"
    assert Probe.unpack(wanted.pack()) == wanted
    assert "\x1b" not in Probe.unpack(b"\x02" + bytes(8) + b"\x1b[2J").arithmetic
    assert arithmetic.probe_tokens(5, 1000).tolist() == [618, 236, 854, 472, 90]


# -- with the embedded model's weights
# ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quantised(tmp_path_factory):
    """Paths of the embedded model in other types of weights, made when first asked for."""
    import llama_cpp

    folder = tmp_path_factory.mktemp("quantised")

    def make(kind):
        path = folder / f"{kind}.gguf"
        if not path.exists():
            params = llama_cpp.llama_model_quantize_default_params()
            params.ftype, params.allow_requantize, params.nthread = KINDS[kind], True, 1
            source = str(embedded.PACKED).encode()
            assert llama_cpp.llama_model_quantize(source, str(path).encode(), ctypes.byref(params)) == 0
        return path

    with Codec(threads=1):
        yield make


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_types_of_weights(quantised, corpora, kind, exact):
    data = (corpora / "field-notes.txt").read_bytes()[:300]
    with Codec(quantised(kind), exact=exact, threads=1, streams=2, window=48) as codec:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # who asks for exact files is told nothing
            packed = codec.compress(data)
        assert codec.decompress(packed) == data
        if exact:
            rows = codec.choice.for_writing().coding.rows
            # More rows cost the decoder time: this pins what is known of the kernels.
            assert rows in ((2,) if kind in ("F32", "F16", "BF16") else (2, 8))


@pytest.mark.parametrize("kind", KINDS)
def test_threads_do_not_matter(quantised, kind):
    """Few evaluations: on a busy machine two threads wait for each other most of the time."""
    tokens = np.arange(100, 124, dtype=np.int32)
    positions, streams = np.arange(24, dtype=np.int32), np.zeros(24, np.int32)
    found = []
    for threads in (1, 2):
        model = load(Found(quantised(kind)), threads, exact=True)
        evaluator = model.evaluator(1, 64, 24)
        logits = [evaluator.evaluate(tokens, positions, streams).copy()]
        for rows in (8, 1):
            logits.append(evaluator.evaluate(tokens[:rows], positions[:rows] + 24, streams[:rows]).copy())
            evaluator.discard(1, 24)
        found.append(np.concatenate(logits))
    assert np.array_equal(found[0].view(np.uint32), found[1].view(np.uint32))


def test_the_embedded_model_in_exact_mode(corpora):
    data = (corpora / "tiny.txt").read_bytes()[:300]
    with Codec(exact=True, threads=1) as codec:
        packed = codec.compress(data)
    header = next(read_members(io.BytesIO(packed)))
    assert header.exact and header.model == embedded.IDENTITY and header.name == ""
    with Codec(threads=1) as codec:
        assert codec.decompress(packed) == data
        portable = codec.compress(data)
        assert codec.decompress(packed + portable) == data + data
    assert not next(read_members(io.BytesIO(portable))).exact


# -- which mode, and whether it fits
# --------------------------------------------------------------------------------------


def test_the_mode_follows_the_size(quantised, monkeypatch):
    facts = model_facts(quantised("Q4_K_M"))
    assert not own.exact_suits(facts)
    assert own.exact_suits(replace(facts, weights=2 << 30))
    assert not own.exact_suits(replace(facts, weights=2 << 30, plain=True)), "F32 is not smaller as it is"
    with monkeypatch.context() as patch:
        patch.setattr(own, "available_memory", lambda: 2 * facts.expanded - 2)
        assert own.exact_suits(facts)
    with monkeypatch.context() as patch:
        patch.setattr(own, "is_cached", lambda identity: False)
        patch.setattr(own.shutil, "disk_usage", lambda folder: type("", (), {"free": 1 << 20}))
        assert own.exact_suits(facts)
        with pytest.raises(ModelError, match="LLMZIP_CACHE"):
            own.load_own(quantised("Q4_K_M"), 1, exact=False)
    with monkeypatch.context() as patch:
        patch.setattr(own, "available_memory", lambda: facts.stored + (257 << 20))
        with pytest.raises(ModelError, match="--exact"):
            own.load_own(quantised("Q4_K_M"), 1, exact=False)
        own.load_own(quantised("Q4_K_M"), 1, exact=True).close()
