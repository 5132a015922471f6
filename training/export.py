"""A checkpoint as GGUF: F32 from the weights, then Q8_0, which ships and which expands to F32 alike everywhere."""

from __future__ import annotations

import ctypes
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch

from . import checkpoint
from .config import Config, Model
from .model import Decoder
from .prepare import BOS
from .weights import tensors

_Q8_0 = 7  # llama_ftype
_TOKEN_NORMAL, _TOKEN_CONTROL = 1, 3


def vocabulary(path: str | Path) -> tuple[list[str], list[int], list[str]]:
    """Tokens, token types and merges of a byte-level BPE tokenizer file, as GGUF wants them."""
    tokenizer = json.loads(Path(path).read_text(encoding="utf-8"))
    ids = tokenizer["model"]["vocab"]
    special = {token["id"]: token["content"] for token in tokenizer["added_tokens"]}
    size = max([*ids.values(), *special]) + 1
    tokens, types = [""] * size, [_TOKEN_NORMAL] * size
    for token, index in ids.items():
        tokens[index] = token
    for index, token in special.items():
        tokens[index], types[index] = token, _TOKEN_CONTROL
    if "" in tokens:
        raise ValueError(f"{path}: no token has the id {tokens.index('')}")
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]
    return tokens, types, merges


def write_gguf(
    path: Path, weights: dict[str, Any], model: Model, tokenizer: str | Path, name: str, context: int
) -> None:
    """Write an F32 GGUF. Raises ValueError if tokenizer and model differ in vocabulary."""
    tokens, types, merges = vocabulary(tokenizer)
    if len(tokens) != model.vocabulary:
        raise ValueError(f"{tokenizer} has {len(tokens)} tokens, the model {model.vocabulary}")
    bos = tokens.index(BOS)
    temporary = path.with_suffix(".part")
    writer = gguf.GGUFWriter(temporary, "qwen3")
    writer.add_name(name)
    writer.add_context_length(context)
    writer.add_embedding_length(model.width)
    writer.add_block_count(model.layers)
    writer.add_feed_forward_length(model.ffn_width)
    writer.add_head_count(model.heads)
    writer.add_head_count_kv(model.kv_heads)
    writer.add_key_length(model.head_width)
    writer.add_value_length(model.head_width)
    writer.add_layer_norm_rms_eps(model.norm_epsilon)
    writer.add_rope_freq_base(model.rope_base)
    writer.add_vocab_size(model.vocabulary)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(bos)
    writer.add_eos_token_id(bos)
    writer.add_add_bos_token(True)
    for tensor_name, array in tensors(weights, model).items():
        writer.add_tensor(tensor_name, np.ascontiguousarray(array, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(temporary, path)


def quantise(source: Path, target: Path) -> None:
    """Q8_0 copy of a GGUF. Raises OSError if llama.cpp fails."""
    import llama_cpp

    quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = _Q8_0
    params.nthread = 2
    temporary = target.with_suffix(".part")
    try:
        status = llama_cpp.llama_model_quantize(os.fsencode(source), os.fsencode(temporary), ctypes.byref(params))
    finally:
        # The callback dies with this function; llama.cpp must not call it afterwards.
        llama_cpp.llama_log_set(llama_cpp.llama_log_callback(0), ctypes.c_void_p(0))
    if status != 0:
        temporary.unlink(missing_ok=True)
        raise OSError(f"llama.cpp could not quantise {source}")
    os.replace(temporary, target)


def _packed(config: Config, weights: dict[str, Any], model: Model, name: str, full: Path) -> Path:
    """Write weights as F32 to `full` and as NAME-Q8_0.gguf into the export folder; returns the path of the latter."""
    write_gguf(full, weights, model, config.paths.tokenizer, name, config.export.context)
    packed = Path(config.paths.export) / f"{name}-Q8_0.gguf"
    quantise(full, packed)
    return packed


def export(config: Config, checkpoint_path: str | Path, name: str) -> Path:
    """Write NAME-F32.gguf and NAME-Q8_0.gguf into the export folder; returns the path of the latter."""
    state = checkpoint.load(checkpoint_path)
    folder = Path(config.paths.export)
    folder.mkdir(parents=True, exist_ok=True)
    packed = _packed(config, state["weights"], state["model"], name, folder / f"{name}-F32.gguf")
    print(f"{packed}: {packed.stat().st_size} bytes", file=sys.stderr)
    return packed


def sketch(config: Config, name: str) -> Path:
    """Write NAME-Q8_0.gguf with random weights: what a shape costs in time can be measured before it is trained."""
    torch.manual_seed(config.train.seed)
    folder = Path(config.paths.export)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        weights = Decoder(config.model).state_dict()
        return _packed(config, weights, config.model, name, Path(temporary) / "F32.gguf")
