from __future__ import annotations

import numpy as np
import pytest

from training.sampler import Sampler
from training.schedule import Schedule

PLAN = Schedule.plan(warmup=100, budget=1000, decay_share=0.4, floor=0.02)


def test_warm_up_stable_decay() -> None:
    assert PLAN.rate(0) == 0.01 and PLAN.rate(99) == 1.0 and PLAN.rate(599) == 1.0
    assert PLAN.rate(800) == pytest.approx(0.51) and PLAN.rate(1000) == 0.02 and PLAN.rate(2000) == 0.02
    rates = [PLAN.rate(t) for t in range(600, 1001)]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("tokens", [50, 300, 599, 600, 700, 999])
@pytest.mark.parametrize("budget", [1001, 1500, 5000])
def test_a_new_end_makes_no_jump(tokens: int, budget: int) -> None:
    moved = PLAN.replan(tokens, budget, 0.4)
    assert moved.rate(tokens) == pytest.approx(PLAN.rate(tokens))
    assert moved.rate(budget) == 0.02
    assert moved.decaying(budget - 1)


def test_an_end_in_the_past_is_refused() -> None:
    with pytest.raises(ValueError, match="has been passed"):
        PLAN.replan(700, 700, 0.4)


def test_an_early_end_begins_to_decay_at_once() -> None:
    assert PLAN.replan(500, 600, 0.4).decay_from == 500


def arrays() -> dict[str, np.ndarray]:
    return {"a": np.arange(2000, dtype=np.uint16), "b": np.arange(5000, 9000, dtype=np.uint16)}


def test_every_row_once_a_pass_then_at_another_offset() -> None:
    sampler = Sampler({"a": arrays()["a"]}, {"a": 1.0}, 10, seed=3)
    first = sampler.rows(198)
    assert sorted(first[:, 0]) == list(range(0, 1980, 10))
    assert (np.diff(first, axis=1) == 1).all() and first.shape == (198, 11)
    second = sampler.rows(198)
    assert len({*second[:, 0]}) == 198 and not {*second[:, 0]} & {*first[:, 0]}


def test_sources_come_in_their_shares() -> None:
    sampler = Sampler(arrays(), {"a": 1.0, "b": 3.0, "unused": 9.0}, 10, seed=3)
    from_b = (sampler.rows(100)[:, 0] >= 5000).sum()
    assert from_b == 75
    assert sampler.state() == {"a": 25, "b": 75}


def test_a_restored_sampler_goes_on_alike() -> None:
    one, other = (Sampler(arrays(), {"a": 1.0, "b": 1.0}, 10, seed=3) for _ in range(2))
    one.rows(333)
    other.restore(one.state())
    assert (one.rows(50) == other.rows(50)).all()


def test_too_little_text_is_refused() -> None:
    with pytest.raises(ValueError, match="source a"):
        Sampler({"a": np.arange(15, dtype=np.uint16)}, {"a": 1.0}, 10, seed=0)
