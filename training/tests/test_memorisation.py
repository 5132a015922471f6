from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="tokenizers is not installed (training/requirements.txt)")
torch = pytest.importorskip("torch", reason="PyTorch is not installed (training/requirements.txt)")

from training import memorisation
from training.memorisation import drawn, look, runs
from training.prepare import load_tokens
from training.train import Trainer


def test_runs_reach_to_the_first_wrong_guess() -> None:
    right = np.array([[1, 1, 0, 1], [0, 1, 1, 1]], bool)
    assert runs(right).tolist() == [[2, 1, 0, 1], [0, 3, 2, 1]]


def test_a_text_learnt_by_heart_shows(prepared, monkeypatch) -> None:
    monkeypatch.setattr(memorisation, "PROMPT", 4)
    trainer = Trainer(prepared, "a")
    tokens = load_tokens(prepared.paths.work, "train", "book")[: 8 * 32 + 1]
    rows = drawn(tokens, 4, 32, 0)
    before = look(trainer.model, rows)
    for _ in range(120):
        trainer.model.loss(torch.from_numpy(rows)).backward()
        for optimiser, rate in trainer.optimisers.values():
            optimiser.param_groups[0]["lr"] = rate
            optimiser.step()
            optimiser.zero_grad()
    after, other = (
        look(trainer.model, rows),
        look(trainer.model, drawn(load_tokens(prepared.paths.work, "train", "code"), 4, 32, 0)),
    )
    assert before.long == 0 and after.long > 0.1 and after.longest > 25 and other.longest < 15
    assert after.bits < 1 < other.bits
    assert len(after.text) == after.longest


def test_too_little_text_is_said(prepared) -> None:
    with pytest.raises(ValueError, match="too few"):
        drawn(load_tokens(prepared.paths.work, "validation", "book")[:20], 2, 32, 0)
