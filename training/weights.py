"""The decoder's weights under llama.cpp's names for qwen3, and back: a finished model is a checkpoint as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np

from .config import Model

_WHOLE = {"embedding": "token_embd", "output_norm": "output_norm", "output": "output"}
_BLOCK = {
    "attention_norm": ("attn_norm",),
    "query_norm": ("attn_q_norm",),
    "key_norm": ("attn_k_norm",),
    "qkv": ("attn_q", "attn_k", "attn_v"),
    "attention_out": ("attn_output",),
    "ffn_norm": ("ffn_norm",),
    "gate_up": ("ffn_gate", "ffn_up"),
    "down": ("ffn_down",),
}


def tensors(weights: dict[str, Any], model: Model) -> dict[str, np.ndarray]:
    """Weights of the decoder under llama.cpp's names, float32; what the decoder stacks is taken apart."""
    arrays = {name: tensor.float().cpu().numpy() for name, tensor in weights.items()}
    query, kv = model.heads * model.head_width, model.kv_heads * model.head_width
    cuts = {"qkv": (query, query + kv), "gate_up": (model.ffn_width,)}
    result = {f"{theirs}.weight": arrays[ours] for ours, theirs in _WHOLE.items() if ours in arrays}
    for i in range(model.layers):
        for ours, theirs in _BLOCK.items():
            parts = np.split(arrays[f"blocks.{i}.{ours}"], cuts.get(ours, ()))
            result |= {f"blk.{i}.{name}.weight": part for name, part in zip(theirs, parts, strict=False)}
    return result


def read(path: str | Path) -> tuple[dict[str, np.ndarray], Model]:
    """Weights (float32, under the decoder's names) and shape of a GGUF that `export` wrote, quantised or not.

    Quantised weights come back as what they expand to: training goes on from what ships.

    Raises FileNotFoundError, or ValueError if the file is no GGUF or holds another network than this decoder.
    """
    reader = gguf.GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    if fields.get("general.architecture") != "qwen3":
        raise ValueError(f"{path} holds a {fields.get('general.architecture')} network; this decoder is a qwen3")
    theirs = {tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type) for tensor in reader.tensors}
    try:
        return _converted(theirs, {name.removeprefix("qwen3."): value for name, value in fields.items()})
    except KeyError as missing:
        raise ValueError(f"{path} has no {missing.args[0]}: it is not a model that `export` wrote") from None


def _converted(theirs: dict[str, np.ndarray], number: dict[str, Any]) -> tuple[dict[str, np.ndarray], Model]:
    vocabulary, width = theirs["token_embd.weight"].shape
    model = Model(
        vocabulary=vocabulary,
        width=width,
        layers=number["block_count"],
        heads=number["attention.head_count"],
        kv_heads=number["attention.head_count_kv"],
        head_width=number["attention.key_length"],
        ffn_width=number["feed_forward_length"],
        rope_base=float(number["rope.freq_base"]),
        # Kept as float32 in the file: the shortest decimal that means the same is what the recipe said.
        norm_epsilon=float(str(np.float32(number["attention.layer_norm_rms_epsilon"]))),
        tied="output.weight" not in theirs,
    )
    ours = {name: theirs[f"{other}.weight"] for name, other in _WHOLE.items() if name != "output" or not model.tied}
    for i in range(model.layers):
        for name, parts in _BLOCK.items():
            ours[f"blocks.{i}.{name}"] = np.concatenate([theirs[f"blk.{i}.{part}.weight"] for part in parts])
    return {name: np.array(array, dtype=np.float32) for name, array in ours.items()}, model
