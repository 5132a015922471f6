"""Models of a few thousand random weights, one for each kind of tokenizer and network that llama.cpp knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFWriter, TokenType

EMBEDDING, HIDDEN, HEADS, LAYERS, CONTEXT = 64, 64, 2, 2, 64

SENTENCES = (
    "The ships of the harbour lay still, and the men of the town waited for the tide to turn again in the morning."
)


def _words() -> list[str]:
    parts = sorted({word[:length] for word in SENTENCES.split() for length in range(2, 6)})
    return [*parts, *(" " + part for part in parts)]


def bytes_to_unicode() -> dict[int, str]:
    """GPT-2's printable characters for bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + at) for at, byte in enumerate(others)}


def spm(writer: GGUFWriter, *, add_space: bool = True, model: str = "llama") -> int:
    """SentencePiece: byte tokens, ▁ for spaces, a space put before every text."""
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    kinds = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL] + [TokenType.BYTE] * 256
    pieces = list(dict.fromkeys([*map(chr, range(33, 127)), "▁", *(word.replace(" ", "▁") for word in _words())]))
    tokens += pieces
    kinds += [TokenType.NORMAL] * len(pieces)
    writer.add_tokenizer_model(model)
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * 259 + [float(len(piece)) for piece in pieces])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_space_prefix(add_space)
    return len(tokens)


def bpe(writer: GGUFWriter, *, pre: str = "gpt-2") -> int:
    """Byte-level BPE."""
    letters = bytes_to_unicode()
    tokens, merges = list(letters.values()), []
    for word in _words():
        coded = "".join(letters[byte] for byte in word.encode())
        for length in range(2, len(coded) + 1):
            if coded[:length] not in tokens:
                tokens.append(coded[:length])
                merges.append(f"{coded[: length - 1]} {coded[length - 1]}")
    tokens.append("<|endoftext|>")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.NORMAL] * (len(tokens) - 1) + [TokenType.CONTROL])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(len(tokens) - 1)
    writer.add_eos_token_id(len(tokens) - 1)
    return len(tokens)


def wpm(writer: GGUFWriter) -> int:
    """WordPiece: it puts all letters in lower case and knows no spaces, so little of it can be used."""
    tokens = [
        "[UNK]",
        "[CLS]",
        "[SEP]",
        *(f"▁{chr(c)}" for c in range(33, 127)),
        *map(chr, range(33, 127)),
        "▁the",
        "▁men",
        "▁town",
    ]
    writer.add_tokenizer_model("bert")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL] + [TokenType.NORMAL] * (len(tokens) - 3)
    )
    for name, token in (("unk", 0), ("bos", 1), ("eos", 2), ("sep", 2), ("mask", 0), ("pad", 0), ("cls", 1)):
        writer.add_uint32(f"tokenizer.ggml.{'seperator' if name == 'sep' else name}_token_id", token)
    return len(tokens)


def ugm(writer: GGUFWriter) -> int:
    """Unigram, as in T5: it folds runs of spaces and puts one before every text."""
    pieces = list(dict.fromkeys([*map(chr, range(33, 127)), "▁", *(word.replace(" ", "▁") for word in _words())]))
    tokens = ["<pad>", "</s>", "<unk>", *pieces]
    writer.add_tokenizer_model("t5")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * 3 + [-10.0 / len(piece) for piece in pieces])
    writer.add_token_types([TokenType.CONTROL, TokenType.CONTROL, TokenType.UNKNOWN] + [TokenType.NORMAL] * len(pieces))
    writer.add_eos_token_id(1)
    writer.add_unk_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_add_space_prefix(True)
    writer.add_remove_extra_whitespaces(True)
    return len(tokens)


def rwkv(writer: GGUFWriter) -> int:
    """RWKV's greedy tokenizer over byte strings."""
    tokens = ["<s>"] + [f"\\x{byte:02x}" for byte in range(256)] + _words()
    writer.add_tokenizer_model("rwkv")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL] + [TokenType.NORMAL] * (len(tokens) - 1))
    return len(tokens)


TOKENIZERS = {
    "SPM": spm,
    "SPM without added space": lambda writer: spm(writer, add_space=False),
    **{
        f"BPE {pre}": (lambda writer, pre=pre: bpe(writer, pre=pre))
        for pre in ("gpt-2", "llama-bpe", "qwen2", "deepseek-llm", "tekken")
    },
    "WPM": wpm,
    "UGM": ugm,
    "RWKV": rwkv,
}


class Weights:
    """Adds random tensors to a GGUF; shapes as llama.cpp counts them, the fastest index first."""

    def __init__(self, writer: GGUFWriter, seed: int) -> None:
        self.writer, self.random = writer, np.random.default_rng(seed)

    def __call__(self, name: str, *shape: int, scale: float = 0.15, shift: float = 0.0) -> None:
        values = self.random.normal(size=shape[::-1]) * scale + shift
        self.writer.add_tensor(name, values.astype(np.float32))

    def norm(self, name: str, size: int = EMBEDDING, bias: bool = False) -> None:
        self(f"{name}.weight", size, shift=1.0)
        if bias:
            self(f"{name}.bias", size)


def transformer(writer: GGUFWriter, weights: Weights, *, post_norms: bool = False, bias: bool = False) -> None:
    """The layers of Llama, with the additions of its relatives."""
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(EMBEDDING // HEADS)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        weights.norm(f"{block}.attn_norm")
        for name, width in (("q", EMBEDDING), ("k", EMBEDDING // HEADS), ("v", EMBEDDING // HEADS)):
            weights(f"{block}.attn_{name}.weight", EMBEDDING, width)
            if bias:
                weights(f"{block}.attn_{name}.bias", width)
        weights(f"{block}.attn_output.weight", EMBEDDING, EMBEDDING)
        weights.norm(f"{block}.ffn_norm")
        weights(f"{block}.ffn_gate.weight", EMBEDDING, HIDDEN)
        weights(f"{block}.ffn_up.weight", EMBEDDING, HIDDEN)
        weights(f"{block}.ffn_down.weight", HIDDEN, EMBEDDING)
        if post_norms:
            weights.norm(f"{block}.post_attention_norm")
            weights.norm(f"{block}.post_ffw_norm")


def gemma2(writer: GGUFWriter, weights: Weights) -> None:
    """Attention over a sliding window in every other layer."""
    writer.add_sliding_window(12)
    transformer(writer, weights, post_norms=True)


def qwen2vl(writer: GGUFWriter, weights: Weights) -> None:
    """Positions of several dimensions, which cannot be shifted."""
    writer.add_rope_dimension_sections([4, 6, 6, 0])
    transformer(writer, weights, bias=True)


def gelu_layers(writer: GGUFWriter, weights: Weights) -> None:
    """The layers of GPT-2 and its relatives."""
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(1e-5)
    weights("output_norm.bias", EMBEDDING)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        weights.norm(f"{block}.attn_norm", bias=True)
        weights.norm(f"{block}.ffn_norm", bias=True)
        shapes = (("attn_qkv", EMBEDDING, 3 * EMBEDDING), ("attn_output", EMBEDDING, EMBEDDING))
        for name, width, height in (*shapes, ("ffn_up", EMBEDDING, HIDDEN), ("ffn_down", HIDDEN, EMBEDDING)):
            weights(f"{block}.{name}.weight", width, height)
            weights(f"{block}.{name}.bias", height)


def gpt2(writer: GGUFWriter, weights: Weights) -> None:
    """Learned positions."""
    weights("position_embd.weight", EMBEDDING, CONTEXT)
    gelu_layers(writer, weights)


def bloom(writer: GGUFWriter, weights: Weights) -> None:
    """No positions at all: attention falls off with distance (ALiBi)."""
    weights.norm("token_embd_norm", bias=True)
    gelu_layers(writer, weights)


def lfm2(writer: GGUFWriter, weights: Weights) -> None:
    """A hybrid: short convolutions, whose state has no positions, and attention in turn."""
    kernel = 3
    writer.add_head_count(HEADS)
    writer.add_head_count_kv([layer % 2 for layer in range(LAYERS)])
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(EMBEDDING // HEADS)
    writer.add_shortconv_l_cache(kernel)
    weights.norm("token_embd_norm")
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        weights.norm(f"{block}.attn_norm")
        weights.norm(f"{block}.ffn_norm")
        if layer % 2:
            weights.norm(f"{block}.attn_q_norm", EMBEDDING // HEADS)
            weights.norm(f"{block}.attn_k_norm", EMBEDDING // HEADS)
            for name, width in (("q", EMBEDDING), ("k", EMBEDDING // HEADS), ("v", EMBEDDING // HEADS)):
                weights(f"{block}.attn_{name}.weight", EMBEDDING, width)
            weights(f"{block}.attn_output.weight", EMBEDDING, EMBEDDING)
        else:
            weights(f"{block}.shortconv.conv.weight", kernel, EMBEDDING, scale=0.4)
            weights(f"{block}.shortconv.in_proj.weight", EMBEDDING, 3 * EMBEDDING)
            weights(f"{block}.shortconv.out_proj.weight", EMBEDDING, EMBEDDING)
        weights(f"{block}.ffn_gate.weight", EMBEDDING, HIDDEN)
        weights(f"{block}.ffn_up.weight", EMBEDDING, HIDDEN)
        weights(f"{block}.ffn_down.weight", HIDDEN, EMBEDDING)


def mamba(writer: GGUFWriter, weights: Weights) -> None:
    """A state-space model."""
    inner, state, rank, kernel = 2 * EMBEDDING, 8, 4, 4
    writer.add_head_count(0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_ssm_conv_kernel(kernel)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(state)
    writer.add_ssm_time_step_rank(rank)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        weights.norm(f"{block}.attn_norm")
        weights(f"{block}.ssm_in.weight", EMBEDDING, 2 * inner)
        weights(f"{block}.ssm_conv1d.weight", kernel, inner, scale=0.4)
        weights(f"{block}.ssm_conv1d.bias", inner)
        weights(f"{block}.ssm_x.weight", inner, rank + 2 * state)
        weights(f"{block}.ssm_dt.weight", rank, inner)
        weights(f"{block}.ssm_dt.bias", inner)
        weights(f"{block}.ssm_a", state, inner, shift=-1.0)
        weights(f"{block}.ssm_d", inner)
        weights(f"{block}.ssm_out.weight", inner, EMBEDDING)


def rwkv7(writer: GGUFWriter, weights: Weights) -> None:
    """A linear recurrence."""
    low = 8
    writer.add_head_count(0)
    writer.add_layer_norm_eps(1e-5)
    writer.add_wkv_head_size(EMBEDDING)  # ggml takes 64 numbers at once
    writer.add_token_shift_count(2)
    writer.add_decay_lora_rank(low)
    writer.add_iclr_lora_rank(low)
    writer.add_value_residual_mix_lora_rank(low)
    writer.add_gate_lora_rank(low)
    weights.norm("token_embd_norm", bias=True)
    weights("output_norm.bias", EMBEDDING)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        for name in ("attn_norm", "attn_norm_2", "time_mix_ln"):
            weights.norm(f"{block}.{name}", bias=True)
        for name in "wav":
            weights(f"{block}.time_mix_{name}0.weight", EMBEDDING)
        for name in "wavg":
            weights(f"{block}.time_mix_{name}1.weight", EMBEDDING, low)
            weights(f"{block}.time_mix_{name}2.weight", low, EMBEDDING)
        weights(f"{block}.time_mix_lerp_fused.weight", EMBEDDING, 1, 1, 6)
        for name in ("k_k", "k_a", "r_k"):
            weights(f"{block}.time_mix_{name}.weight", EMBEDDING)
        for name in ("key", "value", "receptance", "output"):
            weights(f"{block}.time_mix_{name}.weight", EMBEDDING, EMBEDDING)
        weights(f"{block}.channel_mix_lerp_k.weight", EMBEDDING, 1, 1)
        weights(f"{block}.channel_mix_key.weight", EMBEDDING, HIDDEN)
        weights(f"{block}.channel_mix_value.weight", HIDDEN, EMBEDDING)


ARCHITECTURES = {
    "llama": transformer,
    "gemma2": gemma2,
    "qwen2vl": qwen2vl,
    "gpt2": gpt2,
    "bloom": bloom,
    "lfm2": lfm2,
    "mamba": mamba,
    "rwkv7": rwkv7,
}


def tiny_model(
    path: Path, architecture: str = "llama", tokenizer: str = "BPE gpt-2", *, seed: int = 1, extra=None
) -> Path:
    """Write a GGUF and return its path. extra: called with the writer, for fields of a test's own."""
    writer = GGUFWriter(path, architecture)
    writer.add_name(f"tiny {architecture}")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(EMBEDDING)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_block_count(LAYERS)
    vocabulary = TOKENIZERS[tokenizer](writer)
    writer.add_vocab_size(vocabulary)
    if extra:
        extra(writer)
    weights = Weights(writer, seed)
    weights("token_embd.weight", EMBEDDING, vocabulary, scale=0.5)
    if architecture != "lfm2":
        weights.norm("output_norm")
    if architecture != "gemma2":
        weights("output.weight", EMBEDDING, vocabulary, scale=0.5)
    ARCHITECTURES[architecture](writer, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
