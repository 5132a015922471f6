"""The fit to the tail of drift, on drifts that were drawn from a known one."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from llmzip.codec.quantiser import LINE_END, LINE_MARGIN
from llmzip.text.embedded_vocabulary import embedded_vocabulary

END = embedded_vocabulary().pieces.index(LINE_END)
TOKENS, TURNS = 40_000, 13
SCALES = 3e-6, 8e-6  # of other tokens, of line ends


@pytest.fixture
def tail(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "benchmarks"))
    import drift_tail

    yield drift_tail
    for name in ("drift_odds", "drift_tail"):
        sys.modules.pop(name, None)


@pytest.fixture
def folder(tmp_path):
    """What drift_odds.py keeps: two arithmetics, whose line ends, one token in ten, drift further than the others."""
    random = np.random.default_rng(5)
    tokens = np.where(random.random(TOKENS) < 0.1, END, END + 1).astype(np.int32)
    drift = np.zeros((TOKENS, TURNS))
    drift[:, 4] = random.exponential(np.where(tokens == END, SCALES[1], SCALES[0]))
    odds = np.rint(random.uniform(-8, 8, drift.shape) / 1e-8)
    for name, values in (("tokens", tokens), ("one-32", odds), ("other-32", odds + np.rint(drift / 1e-8))):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "0000.npy", values.astype(np.int32))
    return tmp_path


def fits(tail, folder, together):
    pair = tail.Pair(folder / "one-32", folder / "other-32", tail.kinds(together))
    lengths = np.array(pair.lengths)
    assert lengths.sum() == TOKENS
    every = [np.arange(len(lengths))]
    return [(drifts.kind, *drifts.tails(drifts.threshold(500), lengths, every)) for drifts in pair.drifts]


def test_each_kind_of_tokens_has_the_scale_that_it_drifts_by(tail, folder):
    (ends, of_ends), (others, of_others) = fits(tail, folder, False)
    assert (ends.margin, others.margin) == (LINE_MARGIN, 1)
    for found, scale in ((of_ends, SCALES[1]), (of_others, SCALES[0])):
        assert found.scale == pytest.approx(scale, rel=0.2)
        assert abs(found.shape) < 0.2
        # Of the 30 edges on the way from -8.7 to 8.7, which turns lie at evenly here, a unit has two, roughly.
        assert found.edges == pytest.approx(2, abs=0.5)


def test_a_mixture_of_two_scales_looks_heavier_than_either(tail, folder):
    ((_, mixed),) = fits(tail, folder, True)
    tails = fits(tail, folder, False)
    alone = tail.Expected(tails, 1e11)
    assert tail.Expected([(tail.kinds(True)[0], mixed)], 1e11).beyond(1.2e-4, 0) > 10 * alone.beyond(1.2e-4, 0)
    assert alone.beyond(1.2e-4, 1) < alone.beyond(1.2e-4, 0)


def test_what_is_expected_beyond_a_distance(tail):
    random = np.random.default_rng(3)
    peaks = 1e-5 + random.exponential(5e-6, 4000)
    found = tail.Tail(peaks, 1e-5, 400_000, 2.0)
    beyond = np.maximum(0, peaks - 2e-5).sum() / 400_000  # drift that is left when an edge lies 2e-5 away
    assert found.misread(2e-5) == pytest.approx(2.0 * beyond, rel=0.15)


def test_windows_of_several_lengths_are_not_compared(tail, folder, monkeypatch, capsys):
    (folder / "other-32").rename(folder / "other-64")
    monkeypatch.setattr(sys, "argv", ["drift_tail.py", str(folder)])
    tail.main()
    assert capsys.readouterr().out.strip() == "0 turns compared"
