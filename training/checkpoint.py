"""Checkpoints: complete or absent, never half-written; finished models and the first one's names read as well."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import torch

from . import config as recipe
from . import weights


def save(path: str | Path, state: dict[str, Any]) -> None:
    """Write atomically: a stop in the middle leaves the checkpoint before."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    with open(temporary, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load(path: str | Path) -> dict[str, Any]:
    """A checkpoint's content, or that of a GGUF made of one; at least "weights" (name to tensor) and "model" (a
    config.Model).

    Raises FileNotFoundError, or ValueError if the file is neither.
    """
    if Path(path).suffix == ".gguf":
        arrays, model = weights.read(path)
        return {"weights": {name: torch.from_numpy(array) for name, array in arrays.items()}, "model": model}
    state = torch.load(path, map_location="cpu", weights_only=True)
    if "sd" in state:
        return _first_model(state)
    if "weights" not in state or "model" not in state:
        raise ValueError(f"{path} is not a checkpoint of this trainer")
    state["model"] = recipe.build(recipe.Model, state["model"], "model.")
    return state


def average(paths: list[str], parts: list[float]) -> dict[str, Any]:
    """Weighted mean of models of one shape: between two ends of one run it is better than both (arXiv 2203.05482).

    `parts` need not add up to one. Raises ValueError for models of different shapes, and if the numbers do not match.
    """
    if len(paths) != len(parts) or not paths or sum(parts) <= 0 or min(parts) < 0:
        raise ValueError(f"{len(paths)} models need as many parts, none negative and not all zero: {parts}")
    states = [load(path) for path in paths]
    if any(state["model"] != states[0]["model"] for state in states):
        raise ValueError("models of different shapes have no mean")
    total = sum(parts)
    mean = {
        name: sum(part / total * state["weights"][name] for part, state in zip(parts, states, strict=False))
        for name in states[0]["weights"]
    }
    return {"weights": mean, "model": describe(states[0]["model"])}


def describe(model: recipe.Model) -> dict[str, Any]:
    return dataclasses.asdict(model)


_FIRST_NAMES = {
    "n1": "attention_norm",
    "n2": "ffn_norm",
    "qn": "query_norm",
    "kn": "key_norm",
    "wqkv": "qkv",
    "wo": "attention_out",
    "wgu": "gate_up",
    "wd": "down",
}


def _first_model(state: dict[str, Any]) -> dict[str, Any]:
    """The first embedded model was saved with other names; its arithmetic is the same."""
    shape = state["cfg"]
    model = recipe.Model(
        vocabulary=shape["V"],
        width=shape["d"],
        layers=shape["L"],
        heads=shape["h"],
        kv_heads=shape["h"],
        head_width=shape["hd"],
        ffn_width=shape["ff"],
        rope_base=shape["base"],
    )
    tensors = {}
    for name, tensor in state["sd"].items():
        if name.startswith("blocks."):
            _, layer, short = name.split(".")
            name = f"blocks.{layer}.{_FIRST_NAMES[short]}"
        else:
            name = {"emb": "embedding", "nf": "output_norm"}[name]
        tensors[name] = tensor.float()
    return {"weights": tensors, "model": model}
