"""The decoder in PyTorch: qwen3's arithmetic (QK-norm, rotary halves, SwiGLU), for training only.

What ships is llama.cpp's evaluation of the exported weights; a test holds the two together.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from .config import Model

_QUERY_BLOCK = 128
"""Queries that share their keys; also the tokens by which a window moves on."""
_LOSS_ROWS = 2048


def rotary(context: int, config: Model, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotary positions, each (context, head_width / 2), float32 (arXiv 2104.09864)."""
    frequency = config.rope_base ** (-torch.arange(0, config.head_width, 2, device=device).float() / config.head_width)
    angle = torch.outer(torch.arange(context, device=device).float(), frequency)
    return angle.cos(), angle.sin()


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    low, high = x.chunk(2, -1)
    return torch.cat((low * cos - high * sin, high * cos + low * sin), -1)


def causal_attention(query: Tensor, key: Tensor, value: Tensor, window: int) -> Tensor:
    """Causal softmax attention with grouped heads (arXiv 2305.13245) in a window that moves on in blocks.

    query: (batch, kv_heads, group, time, width); key, value: (batch, kv_heads, time, width). Returns query's shape.
    A query sees from `window` - 127 to `window` tokens, itself among them, as it does in use, where a full cache drops
    its oldest 128; before that, all there are.

    Written out as matrix products over blocks of queries: on CPUs the fused kernel of PyTorch took a third of a
    training step, this takes half of that, and blocks leave out most of the half that causality masks.
    """
    batch, kv_heads, group, time, width = query.shape
    query = query * (1.0 / math.sqrt(width))
    blocks = []
    for start in range(0, time, _QUERY_BLOCK):
        stop = min(time, start + _QUERY_BLOCK)
        first = max(0, start + _QUERY_BLOCK - window)
        rows = query[:, :, :, start:stop].reshape(batch, kv_heads, group * (stop - start), width)
        scores = (rows @ key[:, :, first:stop].transpose(-1, -2)).view(batch, kv_heads, group, stop - start, -1)
        position = torch.arange(first, stop, device=query.device)
        scores = scores.float().masked_fill(position > position[start - first :, None], float("-inf"))
        weights = F.softmax(scores, -1).to(value.dtype).view(batch, kv_heads, group * (stop - start), -1)
        blocks.append((weights @ value[:, :, first:stop]).view(batch, kv_heads, group, stop - start, width))
    return torch.cat(blocks, 3)


def sight(time: int, window: int, device: torch.device) -> BlockMask:
    """What a query sees in `causal_attention`, as the fused kernel wants it."""

    def visible(_batch: Tensor, _head: Tensor, row: Tensor, column: Tensor) -> Tensor:
        return (column <= row) & (column >= (row // _QUERY_BLOCK + 1) * _QUERY_BLOCK - window)

    return create_block_mask(visible, None, None, time, time, device=str(device), BLOCK_SIZE=_QUERY_BLOCK)


def fused_attention(query: Tensor, key: Tensor, value: Tensor, seen: BlockMask) -> Tensor:
    """`causal_attention` as one kernel (arXiv 2412.05496): quick on GPUs, compiled; elsewhere it has no gradient."""
    batch, kv_heads, group, time, width = query.shape
    key, value = (x.repeat_interleave(group, 1) for x in (key, value))
    mixed = flex_attention(query.reshape(batch, kv_heads * group, time, width), key, value, block_mask=seen)
    return mixed.view(batch, kv_heads, group, time, width)


class Block(nn.Module):
    def __init__(self, config: Model, window: int) -> None:
        super().__init__()
        self.config, self.window = config, window
        c, heads = config, config.heads * config.head_width
        self.attention_norm = nn.Parameter(torch.ones(c.width))
        self.query_norm = nn.Parameter(torch.ones(c.head_width))
        self.key_norm = nn.Parameter(torch.ones(c.head_width))
        self.qkv = nn.Parameter(torch.randn(heads + 2 * c.kv_heads * c.head_width, c.width) / math.sqrt(c.width))
        self.attention_out = nn.Parameter(torch.zeros(c.width, heads))
        self.ffn_norm = nn.Parameter(torch.ones(c.width))
        self.gate_up = nn.Parameter(torch.randn(2 * c.ffn_width, c.width) / math.sqrt(c.width))
        self.down = nn.Parameter(torch.zeros(c.width, c.ffn_width))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, seen: BlockMask | None) -> Tensor:
        c = self.config
        batch, time, _ = x.shape
        norm = (c.head_width,), c.norm_epsilon
        qkv = F.linear(F.rms_norm(x, (c.width,), self.attention_norm, c.norm_epsilon), self.qkv)
        qkv = qkv.view(batch, time, c.heads + 2 * c.kv_heads, c.head_width)
        query, key, value = qkv.split((c.heads, c.kv_heads, c.kv_heads), 2)
        query = _rotate(F.rms_norm(query, norm[0], self.query_norm, norm[1]), cos, sin).to(value.dtype)
        key = _rotate(F.rms_norm(key, norm[0], self.key_norm, norm[1]), cos, sin).to(value.dtype)
        query = query.view(batch, time, c.kv_heads, c.heads // c.kv_heads, c.head_width).permute(0, 2, 3, 1, 4)
        key, value = key.transpose(1, 2), value.transpose(1, 2)
        if seen is None:
            mixed = causal_attention(query, key, value, self.window)
        else:
            mixed = fused_attention(query, key, value, seen)
        x = x + F.linear(mixed.permute(0, 3, 1, 2, 4).reshape(batch, time, -1), self.attention_out)
        gate, up = F.linear(F.rms_norm(x, (c.width,), self.ffn_norm, c.norm_epsilon), self.gate_up).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, self.down)


class Decoder(nn.Module):
    """Token ids (batch, time) to logits (batch, time, vocabulary).

    `window`: tokens that attention sees, a multiple of 128 (see `causal_attention`).
    """

    def __init__(self, config: Model, window: int = 512) -> None:
        super().__init__()
        if window <= 0 or window % _QUERY_BLOCK:
            raise ValueError(f"train.window ({window}) must be a multiple of {_QUERY_BLOCK}")
        if config.heads % config.kv_heads:
            raise ValueError(f"model.heads ({config.heads}) must be a multiple of model.kv_heads ({config.kv_heads})")
        self.config = config
        self.embedding = nn.Parameter(torch.randn(config.vocabulary, config.width) * 0.02)
        self.blocks = nn.ModuleList(Block(config, window) for _ in range(config.layers))
        self.output_norm = nn.Parameter(torch.ones(config.width))
        if not config.tied:
            self.output = nn.Parameter(torch.randn(config.vocabulary, config.width) * 0.02)

    @property
    def _last(self) -> nn.Parameter:
        return self.embedding if self.config.tied else self.output

    def _hidden(self, tokens: Tensor, seen: BlockMask | None = None) -> Tensor:
        cos, sin = rotary(tokens.size(1), self.config, tokens.device)
        cos, sin = cos[:, None, :], sin[:, None, :]
        x = F.embedding(tokens, self.embedding)
        if torch.is_autocast_enabled(tokens.device.type):
            x = x.to(torch.get_autocast_dtype(tokens.device.type))
        for block in self.blocks:
            x = block(x, cos, sin, seen)
        return F.rms_norm(x, (self.config.width,), self.output_norm, self.config.norm_epsilon)

    def forward(self, tokens: Tensor) -> Tensor:
        return F.linear(self._hidden(tokens), self._last)

    def loss(self, rows: Tensor, seen: BlockMask | None = None) -> Tensor:
        """Mean cross entropy, in nats a token, of rows (batch, time + 1): each token given those before it.

        seen: `sight` of rows this long, for the fused kernel; without it attention is written out.
        """
        hidden = self._hidden(rows[:, :-1], seen).reshape(-1, self.config.width)
        targets = rows[:, 1:].reshape(-1)
        # In pieces: the logits of a whole batch do not fit into a cache, nor, on small machines, into memory. A GPU has room.
        piece = len(hidden) if hidden.is_cuda else _LOSS_ROWS
        total = sum(
            F.cross_entropy(F.linear(x, self._last).float(), y, reduction="sum")
            for x, y in zip(hidden.split(piece), targets.split(piece), strict=False)
        )
        return total / targets.numel()

    def matrices(self) -> list[tuple[nn.Parameter, tuple[int, ...]]]:
        """Hidden weight matrices, each with the row counts of the independent maps that are stacked in it."""
        c = self.config
        kv = c.kv_heads * c.head_width
        return [
            pair
            for block in self.blocks
            for pair in (
                (block.qkv, (c.heads * c.head_width, kv, kv)),
                (block.attention_out, (c.width,)),
                (block.gate_up, (c.ffn_width, c.ffn_width)),
                (block.down, (c.width,)),
            )
        ]

    def vectors(self) -> list[nn.Parameter]:
        """Everything that is not a hidden matrix: embedding, output and norm gains."""
        hidden = {id(parameter) for parameter, _ in self.matrices()}
        return [parameter for parameter in self.parameters() if id(parameter) not in hidden]


def regroup_heads(matrix: Tensor, heads: int, kv_heads: int) -> Tensor:
    """Mean of the key (or value) heads of each group: (heads * w, d) to (kv_heads * w, d) (arXiv 2305.13245)."""
    width = matrix.size(0) // heads
    return matrix.view(kv_heads, heads // kv_heads, width, -1).mean(1).reshape(kv_heads * width, -1)


def adapt(state: dict[str, Tensor], old: Model, new: Model) -> dict[str, Tensor]:
    """Weights of a model of shape `old` as the beginning of one of shape `new`.

    Key/value heads may become fewer (mean of each group) and the feed-forward part wider (new units start silent,
    so the function is the same). Raises ValueError if anything else differs.
    """
    fixed = ("vocabulary", "width", "layers", "heads", "head_width", "rope_base", "norm_epsilon", "tied")
    unlike = [name for name in fixed if getattr(old, name) != getattr(new, name)]
    if unlike or old.kv_heads % new.kv_heads or new.ffn_width < old.ffn_width:
        raise ValueError(f"cannot begin from a model of another shape: {', '.join(unlike) or 'kv_heads or ffn_width'}")
    result = dict(state)
    q, kv = old.heads * old.head_width, old.kv_heads * old.head_width
    more = new.ffn_width - old.ffn_width
    for i in range(old.layers):
        query, key, value = state[f"blocks.{i}.qkv"].split((q, kv, kv))
        key, value = (regroup_heads(m, old.kv_heads, new.kv_heads) for m in (key, value))
        result[f"blocks.{i}.qkv"] = torch.cat((query, key, value))
        if more:
            gate, up = state[f"blocks.{i}.gate_up"].chunk(2)
            fresh = torch.randn(2, more, old.width, generator=torch.Generator().manual_seed(i)) / math.sqrt(old.width)
            result[f"blocks.{i}.gate_up"] = torch.cat((gate, fresh[0].to(gate), up, fresh[1].to(up)))
            result[f"blocks.{i}.down"] = F.pad(state[f"blocks.{i}.down"], (0, more))
    return result
