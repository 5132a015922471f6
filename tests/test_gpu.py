"""Layers on a GPU, as far as it can be tried without one: llama.cpp is told of it and has no device to use."""

from __future__ import annotations

import os
import subprocess
import sys

import llama_cpp
import pytest
from tiny_models import SENTENCES, tiny_model

from llmzip.codec import locate
from llmzip.codec.codec import Codec
from llmzip.codec.locate import Found
from llmzip.errors import UsageError
from llmzip.model import llama

TEXT = SENTENCES.encode() * 3


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
    with pytest.raises(UsageError, match="no GPU back end"):
        Codec(tiny, gpu_layers=3, threads=1).compress(TEXT)
    with pytest.raises(UsageError, match="no GPU back end"):
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


def test_the_embedded_model_stays_on_the_cpu_unless_told_otherwise(gpu_build):
    for wanted in (None, 2):
        locate.load(Found(None), 1, gpu_layers=wanted).close()
    assert gpu_build["layers"] == [0, 2]


def test_what_is_on_a_gpu_is_part_of_the_arithmetic():
    assert len({llama.arithmetic(layers) for layers in (0, 5, llama.ALL_LAYERS)}) == 3


def test_cuda_multiplies_in_full_precision_unless_the_user_says_otherwise():
    code = "import os; from llmzip.model import llama; llama._start(); print(os.environ['NVIDIA_TF32_OVERRIDE'])"
    for given, expected in ((None, "0"), ("1", "1")):
        environment = {name: value for name, value in os.environ.items() if name != "NVIDIA_TF32_OVERRIDE"}
        environment |= {"NVIDIA_TF32_OVERRIDE": given} if given else {}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
        assert done.stdout.strip() == expected, done.stderr
