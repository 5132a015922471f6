"""Muon: momentum whose update of each matrix is made nearly orthogonal (Jordan et al. 2024; arXiv 2502.16982)."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor

# Quintic whose fixed-point interval is about [0.7, 1.2]: five steps bring any singular value there.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_STEPS = 5


def orthogonalise(stack: Tensor) -> Tensor:
    """Nearly orthogonal matrices with the singular vectors of `stack` (n, rows, columns), in bfloat16."""
    a, b, c = _COEFFICIENTS
    x = stack.to(torch.bfloat16)
    tall = x.size(1) > x.size(2)
    if tall:
        x = x.transpose(1, 2)
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(_STEPS):
        gram = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.transpose(1, 2) if tall else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised; several maps stacked in one parameter are treated one by one.

    `matrices`: pairs of a parameter (rows, columns) and the row counts of the maps stacked in it.
    """

    def __init__(self, matrices: list[tuple[Tensor, tuple[int, ...]]], lr: float, momentum: float, weight_decay: float):
        super().__init__([p for p, _ in matrices], {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self._splits = [splits for _, splits in matrices]

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        (group,) = self.param_groups
        by_shape: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for parameter, splits in zip(group["params"], self._splits, strict=False):
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(parameter)
            state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
            update = parameter.grad.lerp(state["momentum"], group["momentum"])
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            for target, part in zip(parameter.split(splits), update.split(splits), strict=False):
                by_shape[part.shape].append((target, part))
        # Matrices of one shape go through the iteration together: eight small products are slower than one batch.
        for (rows, columns), pairs in by_shape.items():
            scale = group["lr"] * max(1.0, rows / columns) ** 0.5
            for (target, _), update in zip(
                pairs, orthogonalise(torch.stack([part for _, part in pairs])), strict=False
            ):
                target.add_(update.to(target.dtype), alpha=-scale)
