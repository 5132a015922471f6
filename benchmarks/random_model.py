"""Models of random weights: the shape of a network without its sense, for measuring speed and memory."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HEAD, GROUPS, BLOCK = 64, 8, 32
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DRAWN, _PIECE = 1 << 21, 64 << 20  # weights drawn, then repeated; bytes of one write


def _weights(full: bool) -> NDArray[np.uint8]:
    """Bytes of some random weights, in F32 (full) or Q8_0."""
    random = np.random.default_rng(0)
    if full:
        return (random.standard_normal(_DRAWN, np.float32) * np.float32(0.02)).view(np.uint8)
    blocks = np.empty((_DRAWN // BLOCK, 2 + BLOCK), np.uint8)
    blocks[:, :2] = np.frombuffer(np.float16(3e-4).tobytes(), np.uint8)
    blocks[:, 2:] = random.integers(0, 256, (len(blocks), BLOCK), np.uint8)
    return blocks.ravel()


def write_model(path: Path, vocabulary: int, width: int, layers: int, *, full: bool = False) -> int:
    """Write a Llama of random weights in Q8_0, or in F32 (full); their number. width: a multiple of 512."""
    from gguf import GGMLQuantizationType, GGUFWriter, TokenType

    writer = GGUFWriter(path, "llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(4 * width)
    writer.add_head_count(width // HEAD)
    writer.add_head_count_kv(GROUPS)
    writer.add_layer_norm_rms_eps(1e-5)
    words = ("".join(word) for word in itertools.product(LETTERS, repeat=4))
    tokens = [f"\u0120{word}" for word in itertools.islice(words, vocabulary - 1)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*tokens, "<|end|>"])
    writer.add_token_types([TokenType.NORMAL] * len(tokens) + [TokenType.CONTROL])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(vocabulary - 1)
    writer.add_eos_token_id(vocabulary - 1)

    shapes: list[tuple[int, int]] = []
    contents: list[NDArray[np.uint8] | None] = []  # None: weights

    def matrix(name: str, rows: int, columns: int) -> None:
        if full:
            writer.add_tensor_info(name, (rows, columns), np.dtype(np.float32), 4 * rows * columns)
        else:
            size = columns // BLOCK * (2 + BLOCK)
            kind = GGMLQuantizationType.Q8_0
            writer.add_tensor_info(name, (rows, size), np.dtype(np.uint8), rows * size, raw_dtype=kind)
        shapes.append((rows, columns))
        contents.append(None)

    def norm(name: str) -> None:
        writer.add_tensor_info(name, (width,), np.dtype(np.float32), 4 * width)
        contents.append(np.ones(width, np.float32).view(np.uint8))

    matrix("token_embd.weight", vocabulary, width)
    norm("output_norm.weight")
    for layer in range(layers):
        block = f"blk.{layer}"
        norm(f"{block}.attn_norm.weight")
        norm(f"{block}.ffn_norm.weight")
        matrix(f"{block}.attn_q.weight", width, width)
        matrix(f"{block}.attn_k.weight", GROUPS * HEAD, width)
        matrix(f"{block}.attn_v.weight", GROUPS * HEAD, width)
        matrix(f"{block}.attn_output.weight", width, width)
        matrix(f"{block}.ffn_gate.weight", 4 * width, width)
        matrix(f"{block}.ffn_up.weight", 4 * width, width)
        matrix(f"{block}.ffn_down.weight", width, 4 * width)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    _write_tensors(path, writer.data_alignment, _weights(full), full, shapes, contents)
    return sum(rows * columns for rows, columns in shapes)


def _write_tensors(
    path: Path,
    alignment: int,
    weights: NDArray[np.uint8],
    full: bool,
    shapes: list[tuple[int, int]],
    contents: list[NDArray[np.uint8] | None],
) -> None:
    """Append the tensors to a file that has all but them: in parallel, since a large model is a matter of gigabytes."""
    repeated = np.resize(weights, -(-_PIECE // len(weights)) * len(weights))
    matrices = iter(shapes)
    with open(path, "r+b") as file, ThreadPoolExecutor() as pool:

        def write(first: int, size: int, at: int) -> None:
            if os.pwrite(file.fileno(), memoryview(repeated)[:size], at + first) != min(size, len(repeated)):
                raise OSError(f"no room for a model of random weights in {path}")

        written = []
        at = file.seek(0, os.SEEK_END)
        for content in contents:
            at += -at % alignment
            if content is not None:
                os.pwrite(file.fileno(), content.tobytes(), at)
                at += len(content)
                continue
            rows, columns = next(matrices)
            size = 4 * rows * columns if full else rows * columns // BLOCK * (2 + BLOCK)
            for first in range(0, size, len(repeated)):
                written.append(pool.submit(write, first, size - first, at))
            at += size
        for one in written:
            one.result()
