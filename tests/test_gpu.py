"""What a GPU does, as far as it can be tried without one: llama.cpp is told of it and has no device to use, or a fake stands for it."""

from __future__ import annotations

import io
import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import llama_cpp
import numpy as np
import pytest
from fakes import FakeEvaluator, FakeModel
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import SENTENCES, tiny_model

from llmzip.codec import gpu, locate
from llmzip.codec.agreement import PORTABLE_TOLERANCE, Coding
from llmzip.codec.codec import Codec
from llmzip.codec.evaluation import Session
from llmzip.codec.locate import Found
from llmzip.codec.pipeline import BlockPipeline
from llmzip.container import read_members
from llmzip.errors import LlmzipError, UsageError
from llmzip.model import drift, embedded, llama
from llmzip.model import gpu as model_gpu
from llmzip.model.base import Window

TEXT = SENTENCES.encode() * 3
PROSE = (
    b"In the beginning there was the text, and the text of the beginning is what the model is reading in the end. " * 60
)


@pytest.fixture
def gpu_build(monkeypatch):
    """A build with a GPU back end, by its own account. Returns what each loaded model and context was asked for."""
    asked = {"layers": [], "caches": [], "operations": []}
    load, start = llama_cpp.llama_model_load_from_file, llama_cpp.llama_init_from_model

    def loading(path, params):
        asked["layers"].append(params.n_gpu_layers)
        return load(path, params)

    def starting(model, params):
        asked["caches"].append(bool(params.offload_kqv))
        asked["operations"].append(bool(params.op_offload))
        return start(model, params)

    monkeypatch.setattr(llama_cpp, "llama_supports_gpu_offload", lambda: True)
    monkeypatch.setattr(llama_cpp, "llama_model_load_from_file", loading)
    monkeypatch.setattr(llama_cpp, "llama_init_from_model", starting)
    monkeypatch.setattr("llmzip.codec.policy.beyond_classic", lambda classic, model: True)
    return asked


@pytest.fixture
def tiny(tmp_path):
    return tiny_model(tmp_path / "tiny.gguf", tokenizer="SPM")


def test_a_build_without_a_gpu_refuses_layers_on_one(tiny):
    assert llama.usable_gpu_layers(None) == llama.usable_gpu_layers(0) == 0
    with pytest.raises(UsageError, match="finds no GPU"):
        Codec(tiny, gpu_layers=3, threads=1).compress(TEXT)
    with pytest.raises(UsageError, match="finds no GPU"):
        Codec(gpu_layers=3, threads=1).compress(TEXT)
    with pytest.raises(UsageError, match="cannot be -1"):
        Codec(tiny, gpu_layers=-1)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(("wanted", "layers"), [(None, llama.ALL_LAYERS), (1, 1), (0, 0)])
def test_all_layers_of_an_own_model_go_to_the_gpu_unless_told_otherwise(gpu_build, tiny, exact, wanted, layers):
    with Codec(tiny, exact=exact, gpu_layers=wanted, threads=1, streams=2) as codec:
        assert codec.decompress(codec.compress(TEXT)) == TEXT
    assert set(gpu_build["layers"]) == {layers}
    # The caches go where the layers are; and nothing moves to the GPU for large batches alone, whose results would
    # then differ from those of small ones.
    assert set(gpu_build["caches"]) == {layers != 0} and set(gpu_build["operations"]) == {False}


def test_portable_files_by_an_own_model_on_a_gpu_tolerate_more(gpu_build, tiny):
    """And what tolerates less is read on the CPU, unless the user says otherwise."""
    packed = {}
    for layers in (0, None, 1):
        with Codec(tiny, exact=False, gpu_layers=layers, threads=1, streams=2) as codec:
            packed[layers] = codec.compress(TEXT)
    tolerances = [next(read_members(io.BytesIO(packed[layers]))).tolerance for layers in (0, None, 1)]
    assert tolerances[0] < drift.GPU == tolerances[1] == tolerances[2]
    gpu_build["layers"].clear()
    with Codec(tiny, exact=False, threads=1, streams=2) as codec:
        for layers in (0, 0, None, 0):
            assert codec.decompress(packed[layers]) == TEXT
        assert codec.compress(TEXT) == packed[None]
        assert codec.decompress(packed[0]) == TEXT
    assert gpu_build["layers"] == [0, llama.ALL_LAYERS, 0]
    gpu_build["layers"].clear()
    with Codec(tiny, gpu_layers=2, threads=1) as codec:
        assert codec.decompress(packed[0]) == TEXT
    assert gpu_build["layers"] == [2]


def test_a_model_that_was_given_reads_what_it_is_given(gpu_build, tiny):
    with Codec(tiny, exact=False, gpu_layers=0, threads=1, streams=2) as codec:
        packed = codec.compress(TEXT)
    gpu_build["layers"].clear()
    model = locate.load(Found(tiny), 1, exact=False)
    try:
        with Codec(model, threads=1) as codec:
            for _ in range(2):
                assert codec.decompress(packed) == TEXT
    finally:
        model.close()
    assert gpu_build["layers"] == [llama.ALL_LAYERS]


def test_the_embedded_model_stays_on_the_cpu_unless_told_otherwise(gpu_build):
    for wanted in (None, 2):
        locate.load(Found(None), 1, gpu_layers=wanted).close()
    assert gpu_build["layers"] == [0, 2]


def test_what_is_on_a_gpu_is_part_of_the_arithmetic():
    assert len({llama.arithmetic(layers) for layers in (0, 5, llama.ALL_LAYERS)}) == 3


def test_cuda_multiplies_in_full_precision_unless_the_user_says_otherwise():
    code = "import os; from llmzip.model import llama; llama._start(); print(os.environ['NVIDIA_TF32_OVERRIDE'])"
    for set_to, expected in ((None, "0"), ("1", "1")):
        environment = {name: value for name, value in os.environ.items() if name != "NVIDIA_TF32_OVERRIDE"}
        environment |= {"NVIDIA_TF32_OVERRIDE": set_to} if set_to else {}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
        assert done.stdout.strip() == expected, done.stderr


def test_models_on_the_cpu_start_no_gpu_and_small_ones_on_it_one(monkeypatch, tiny):
    asked, load = [], llama_cpp.llama_model_load_from_file

    def loading(path, params):
        asked.append((params.n_gpu_layers, params.split_mode, params.main_gpu))
        return load(path, params)

    monkeypatch.setattr(llama_cpp, "llama_model_load_from_file", loading)
    usual = llama_cpp.llama_model_default_params().split_mode
    for layers, alone in ((0, False), (2, True), (2, False)):
        llama.LlamaModel(tiny, bytes(8), "tiny", None, 1, gpu_layers=layers, one_gpu=alone).close()
    assert asked == [(0, 0, -1), (2, 0, 0), (2, usual, 0)] and usual != 0


def _layers_of_a_child(wanted, answer):
    try:
        answer.put(llama.usable_gpu_layers(wanted))
    except UsageError as error:
        answer.put(str(error))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_leaves_the_gpu_alone(gpu_build):
    assert llama.usable_gpu_layers(None) == llama.ALL_LAYERS
    context = multiprocessing.get_context("fork")
    answer = context.SimpleQueue()
    for wanted in (None, 3):
        child = context.Process(target=_layers_of_a_child, args=(wanted, answer))
        child.start()
        child.join(60)
    assert answer.get() == 0 and "forked" in answer.get()


def test_llama_cpp_is_asked_for_the_memory_of_a_device(monkeypatch):
    llama.usable_gpu_layers(None)
    monkeypatch.setattr(model_gpu, "_GPU", 0)  # the CPU stands for one
    assert model_gpu.free_memory() > 1 << 20
    monkeypatch.setattr(model_gpu, "_GPU", 99)
    assert model_gpu.free_memory() == 0


# -- shapes of batches ----------------------------------------------------------------------------------------------


def in_full(columns):
    return not 4 <= columns <= 16


@given(st.integers(1, 256), st.integers(1, 600))
def test_batches_grow_to_shapes_that_are_computed_in_full(streams, rows):
    each = model_gpu.rows_each(streams, rows)
    assert each >= rows and in_full(each) and in_full(each * streams)
    assert each == rows or each <= model_gpu.MANY
    if rows * streams <= 512:
        assert each * streams <= max(model_gpu.most_rows(streams, 512), 17)


@pytest.mark.parametrize(
    "counts", [[1], [2], [4], [16], [17], [1] * 2, [1] * 6, [1] * 16, [1] * 20, [3, 2, 1], [9] * 3, [40, 1], [5, 17, 5]]
)
def test_what_fills_up_a_batch_leaves_no_trace(monkeypatch, tiny, counts):
    shapes, evaluate = [], llama.LlamaEvaluator.evaluate

    def recorded(self, tokens, positions, streams):
        shapes.append(np.unique(streams, return_counts=True)[1].tolist())
        return evaluate(self, tokens, positions, streams)

    model = llama.LlamaModel(tiny, bytes(8), "tiny", Window(64, 4), 1)
    shape = len(counts), 64, 64
    plain = model.evaluator(*shape)
    full = model_gpu.FullPrecisionEvaluator(model._model, len(model.pieces), *shape, 1, model.start)
    streams = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    offsets = np.concatenate([np.arange(count, dtype=np.int32) for count in counts])
    lengths = np.array(counts, np.int32)
    random = np.random.default_rng(1)
    for round_ in range(3):  # what was added is gone, so positions follow on
        tokens = random.integers(0, len(model.pieces), len(streams)).astype(np.int32)
        positions = offsets + round_ * lengths[streams]
        if positions.max() >= 64:
            break
        expected = plain.evaluate(tokens, positions, streams).copy()
        with monkeypatch.context() as patch:
            patch.setattr(llama.LlamaEvaluator, "evaluate", recorded)
            found = full.evaluate(tokens, positions, streams)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert shapes
    for shape in shapes:
        assert len(set(shape)) == 1 and in_full(shape[0]) and in_full(sum(shape))
    for evaluator in (plain, full):
        evaluator.close()
    model.close()


# -- the built-in model ---------------------------------------------------------------------------------------------


class OffInSteps(FakeModel):
    """Drifts where so many streams go a step."""

    def __init__(self, width):
        super().__init__(window=embedded.WINDOW)
        self.width = width

    def evaluator(self, streams, context, rows, threads=0):
        model = self

        class Evaluator(FakeEvaluator):
            def evaluate(self, tokens, positions, streams):
                model.noisiness = 1e-3 if len(tokens) == model.width else 0.0
                return super().evaluate(tokens, positions, streams)

        self.open_evaluators += 1
        return Evaluator(self, streams, context, rows)


def test_the_probe_sees_drift_and_in_what_shape_it_is():
    cpu = FakeModel(window=embedded.WINDOW)
    pipeline = BlockPipeline(Session(cpu), Coding(embedded.WINDOW, PORTABLE_TOLERANCE, False))

    def drift(model):
        with_gpu = Session(model)
        found = gpu.drift(pipeline, with_gpu)
        with_gpu.release()
        assert model.open_evaluators == cpu.open_evaluators == 0
        return found

    assert drift(FakeModel()) < 1e-6  # logits are rounded to F32
    assert 1e-5 < drift(FakeModel(drift=1e-5)) < 2e-5
    for width in (1, 4, 32):
        assert drift(OffInSteps(width)) > 1e-4
    assert drift(OffInSteps(5)) < 1e-6


@pytest.fixture
def one_gpu(monkeypatch):
    """A machine with a GPU: fakes are the built-in model there and on the CPU. Returns both by name, and the GPU's memory."""
    machine = {"cpu": FakeModel(window=embedded.WINDOW, lanes=2), "gpu": FakeModel(), "memory": 8 << 30, "loaded": 0}
    machine["cpu"].identity = machine["gpu"].identity = embedded.IDENTITY

    def on_gpu(threads, *, gpu_layers):
        assert gpu_layers == llama.ALL_LAYERS
        machine["loaded"] += 1
        if isinstance(machine["gpu"], Exception):
            raise machine["gpu"]
        return machine["gpu"]

    monkeypatch.setattr(locate, "load", lambda *arguments, **options: machine["cpu"])
    monkeypatch.setattr(llama, "usable_gpu_layers", lambda wanted: llama.ALL_LAYERS)
    monkeypatch.setattr(model_gpu, "free_memory", lambda: machine["memory"])
    monkeypatch.setattr(embedded, "load_embedded", on_gpu)
    monkeypatch.setattr(gpu, "WORTHWHILE", 4096)
    monkeypatch.setattr("llmzip.codec.policy.beyond_classic", lambda classic, model: True)
    monkeypatch.setattr("llmzip.codec.policy.unpromising", lambda *arguments: False)
    return machine


def rows_of(machine):
    """What CPU and GPU have evaluated since the last time."""
    rows = [machine[name].evaluated for name in ("cpu", "gpu")]
    machine["cpu"].evaluated = machine["gpu"].evaluated = 0
    return rows


def test_blocks_that_are_worth_it_go_to_a_gpu_that_computes_as_the_cpu_does(one_gpu):
    with Codec(mix=False, streams=4) as codec:
        small = codec.compress(PROSE[:4000])
        assert one_gpu["loaded"] == 0
        rows_of(one_gpu)
        packed = codec.compress(PROSE)
        cpu, on_gpu = rows_of(one_gpu)
        probe = embedded.WINDOW.context
        assert cpu == probe and on_gpu > probe + len(PROSE) / 8  # the probe alone is for both
        assert codec.decompress(packed) == PROSE
        assert rows_of(one_gpu)[0] == 0
        assert codec.decompress(small) == PROSE[:4000]
        assert rows_of(one_gpu)[1] == 0 and one_gpu["loaded"] == 1
    assert one_gpu["cpu"].open_evaluators == one_gpu["gpu"].open_evaluators == 0
    with Codec(gpu_layers=0) as codec:
        assert codec.decompress(packed) == PROSE
        assert rows_of(one_gpu)[1] == 0


@pytest.mark.parametrize("trouble", ["drift", "load", "memory", "evaluator"])
def test_a_gpu_that_does_not_suit_leaves_the_work_to_the_cpu(one_gpu, trouble, recwarn):
    if trouble == "drift":
        one_gpu["gpu"].noisiness = PORTABLE_TOLERANCE * 1e-6 / 3
    elif trouble == "load":
        one_gpu["gpu"] = LlmzipError("cannot load the model")
    elif trouble == "memory":
        one_gpu["memory"] = 1 << 30
    else:
        one_gpu["gpu"].evaluator = lambda *shape, **options: (_ for _ in ()).throw(LlmzipError("not enough memory"))
    with Codec(mix=False, streams=4) as codec:
        assert codec.decompress(codec.compress(PROSE)) == PROSE
    assert one_gpu["loaded"] == (trouble != "memory") and one_gpu["cpu"].evaluated > len(PROSE) / 8
    assert one_gpu["cpu"].open_evaluators == 0 and not recwarn.list


def test_a_gpu_has_one_block_at_a_time_and_few_wait_for_it(one_gpu):
    device = gpu.Gpu()
    device._session, device._tried = Session(FakeModel()), True
    seen, inside, go = [], threading.Semaphore(0), threading.Event()

    def block(number):
        with device.lent() as session:
            seen.append(session)
            inside.release()
            assert go.wait(60)

    with ThreadPoolExecutor(6) as pool:
        for number in range(6):
            pool.submit(block, number)
        for _ in range(3):  # the one on the GPU, and two for which that lasts too long
            assert inside.acquire(timeout=60)
        assert sorted(session is None for session in seen) == [False, True, True]
        go.set()
    assert sum(session is None for session in seen) == 2 and len(seen) == 6


def test_blocks_on_a_gpu_and_on_cores_make_the_same_file(one_gpu):
    with Codec(mix=False, streams=3, block_size=1 << 12, gpu_layers=0) as codec:
        expected = codec.compress(PROSE)
    rows_of(one_gpu)
    with Codec(mix=False, streams=3, block_size=1 << 12, threads=2) as codec:
        assert codec.compress(PROSE) == expected
        assert codec.decompress(expected) == PROSE
    assert all(rows_of(one_gpu))  # the last block is a small one


def test_the_embedded_model_by_way_of_a_gpu(gpu_build, monkeypatch):
    monkeypatch.setattr(model_gpu, "free_memory", lambda: 8 << 30)
    monkeypatch.setattr(gpu, "WORTHWHILE", 1024)
    text = gpu.TEXT.read_bytes()[:1500]
    with Codec(threads=1) as codec:
        packed = codec.compress(text)
        assert set(gpu_build["layers"]) == {0, llama.ALL_LAYERS}
        assert codec.decompress(packed) == text
    with Codec(threads=1, gpu_layers=0) as codec:
        assert codec.decompress(packed) == text
