from __future__ import annotations

import dataclasses

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (training/requirements.txt)")
from torch.nn import functional as F

from training.config import Model
from training.model import Decoder, adapt, causal_attention, fused_attention, sight
from training.muon import Muon, orthogonalise

SHAPE = Model(vocabulary=50, width=64, layers=2, heads=4, kv_heads=4, head_width=16, ffn_width=96)


def decoder(shape: Model = SHAPE) -> Decoder:
    """Random weights in every place, also where training begins with zeros."""
    torch.manual_seed(1)
    model = Decoder(shape)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@pytest.mark.parametrize("time", [5, 128, 300])
def test_attention_is_causal_softmax_attention(time: int) -> None:
    query, key, value = torch.randn(2, 2, 3, time, 16), torch.randn(2, 2, time, 16), torch.randn(2, 2, time, 16)
    expected = F.scaled_dot_product_attention(
        query, key[:, :, None].expand_as(query), value[:, :, None].expand_as(query), is_causal=True
    )
    torch.testing.assert_close(causal_attention(query, key, value, 512), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("window", [128, 256])
def test_a_window_moves_on_in_blocks(window: int) -> None:
    time = 500
    query, key, value = torch.randn(1, 2, 3, time, 16), torch.randn(1, 2, time, 16), torch.randn(1, 2, time, 16)
    at = torch.arange(time)
    seen = (at <= at[:, None]) & (at >= (at[:, None] // 128 + 1) * 128 - window)
    assert seen.sum(1).max() == window and seen[300:].sum(1).min() == window - 127
    expected = F.scaled_dot_product_attention(
        query, key[:, :, None].expand_as(query), value[:, :, None].expand_as(query), attn_mask=seen
    )
    torch.testing.assert_close(causal_attention(query, key, value, window), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("window", [128, 256])
def test_the_fused_kernel_sees_the_same(window: int) -> None:
    query, key, value = torch.randn(2, 2, 3, 512, 16), torch.randn(2, 2, 512, 16), torch.randn(2, 2, 512, 16)
    with torch.no_grad():
        fused = fused_attention(query, key, value, sight(512, window, query.device))
    torch.testing.assert_close(fused, causal_attention(query, key, value, window), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("window", [0, 100])
def test_a_window_is_whole_blocks(window: int) -> None:
    with pytest.raises(ValueError, match="multiple of 128"):
        Decoder(SHAPE, window)


def test_the_past_does_not_see_the_future() -> None:
    model, tokens = decoder(), torch.randint(0, 50, (1, 20))
    changed = tokens.clone()
    changed[0, 12:] = (changed[0, 12:] + 1) % 50
    one, other = model(tokens), model(changed)
    torch.testing.assert_close(one[:, :12], other[:, :12])
    assert not torch.allclose(one[:, 12:], other[:, 12:])


def test_loss_is_cross_entropy_of_the_logits() -> None:
    model, rows = decoder(), torch.randint(0, 50, (3, 21))
    expected = F.cross_entropy(model(rows[:, :-1]).reshape(-1, 50), rows[:, 1:].reshape(-1))
    torch.testing.assert_close(model.loss(rows), expected)


def test_a_wider_model_begins_as_the_same_function() -> None:
    model, tokens = decoder(), torch.randint(0, 50, (2, 20))
    wider = Decoder(dataclasses.replace(SHAPE, ffn_width=128))
    wider.load_state_dict(adapt(model.state_dict(), SHAPE, wider.config))
    torch.testing.assert_close(model(tokens), wider(tokens))


def test_equal_heads_are_grouped_without_loss() -> None:
    model, tokens = decoder(), torch.randint(0, 50, (2, 20))
    with torch.no_grad():
        for block in model.blocks:
            for part in block.qkv[64:].split(64):
                pairs = part.view(2, 2, 16, 64)
                pairs[:, 1] = pairs[:, 0]
    grouped = Decoder(dataclasses.replace(SHAPE, kv_heads=2))
    grouped.load_state_dict(adapt(model.state_dict(), SHAPE, grouped.config))
    torch.testing.assert_close(model(tokens), grouped(tokens))


@pytest.mark.parametrize("change", [{"width": 32}, {"layers": 3}, {"kv_heads": 3}, {"ffn_width": 64}])
def test_other_shapes_cannot_be_begun_from(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="another shape"):
        adapt(decoder().state_dict(), SHAPE, dataclasses.replace(SHAPE, **change))


def test_every_parameter_has_one_optimiser() -> None:
    model = decoder()
    matrices, vectors = model.matrices(), model.vectors()
    assert {id(p) for p, _ in matrices} | {id(p) for p in vectors} == {id(p) for p in model.parameters()}
    assert len(matrices) + len(vectors) == len(list(model.parameters()))
    assert all(sum(splits) == p.size(0) for p, splits in matrices)


@pytest.mark.parametrize("shape", [(3, 32, 64), (3, 64, 32), (1, 48, 48)])
def test_updates_are_nearly_orthogonal(shape: tuple[int, int, int]) -> None:
    singular = torch.linalg.svdvals(orthogonalise(torch.randn(shape)).float())
    assert singular.min() > 0.5 and singular.max() < 1.4


def test_stacked_maps_are_updated_one_by_one() -> None:
    stacked = torch.nn.Parameter(torch.zeros(48, 32))
    alone = [torch.nn.Parameter(torch.zeros(rows, 32)) for rows in (32, 16)]
    gradient = torch.randn(48, 32)
    stacked.grad = gradient
    for parameter, part in zip(alone, gradient.split((32, 16)), strict=False):
        parameter.grad = part
    Muon([(stacked, (32, 16))], 0.1, 0.9, 0.0).step()
    Muon([(alone[0], (32,)), (alone[1], (16,))], 0.1, 0.9, 0.0).step()
    torch.testing.assert_close(stacked.data, torch.cat([p.data for p in alone]))
