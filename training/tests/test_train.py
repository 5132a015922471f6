from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("tokenizers", reason="tokenizers is not installed (training/requirements.txt)")
torch = pytest.importorskip("torch", reason="PyTorch is not installed (training/requirements.txt)")

from training import checkpoint
from training.__main__ import main
from training.config import Model
from training.train import Trainer, move_end, run_folder, train

ROOT = Path(__file__).parents[2]


def log(config, run: str) -> list[dict]:
    return [json.loads(line) for line in (run_folder(config, run) / "log.jsonl").read_text().splitlines()]


def weights(config, run: str) -> dict:
    return checkpoint.load(run_folder(config, run) / "last.pt")["weights"]


def test_training_learns_and_ends_at_its_budget(prepared) -> None:
    trainer = train(prepared, "a")
    assert trainer.tokens == prepared.train.budget_tokens
    records = log(prepared, "a")
    first, last = (r["validation"] for r in (records[1], records[-2]))
    assert set(first) == {"book", "code"} and all(last[s] < 0.8 * first[s] for s in first)
    assert records[-1]["finished"]


def test_adamw_alone_learns_as_well(prepared, replaced) -> None:
    trainer = train(replaced(prepared, "train", muon=False, adam_rate=0.003), "a")
    records = log(prepared, "a")
    first, last = (r["validation"] for r in (records[1], records[-2]))
    assert all(last[s] < 0.8 * first[s] for s in first)
    assert set(trainer.optimisers) == {"adam"}
    resumed = Trainer(trainer.config, "a")
    resumed.restore(trainer.folder / "last.pt")
    assert resumed.validate() == trainer.validate()


def test_a_stopped_run_goes_on_as_if_it_had_not(prepared) -> None:
    whole = train(prepared, "whole")
    half = Trainer(prepared, "half")
    for _ in range(17):
        half.step()
    checkpoint.save(run_folder(prepared, "half") / "last.pt", half.state())
    resumed = train(prepared, "half", resume=True)
    assert resumed.tokens == whole.tokens
    for (name, one), other in zip(weights(prepared, "whole").items(), weights(prepared, "half").values(), strict=False):
        assert torch.equal(one, other), name


def test_decays_branch_from_the_stable_phase(prepared) -> None:
    train(prepared, "a")
    stable = checkpoint.load(run_folder(prepared, "a") / "stable.pt")
    assert stable["tokens"] < prepared.train.budget_tokens
    longer = train(prepared, "b", branch_from="a", budget_tokens=50 * 128)
    assert longer.tokens == 50 * 128 and longer.schedule.decay_from > stable["tokens"]


def test_the_end_comes_at_its_time(prepared, replaced) -> None:
    begun = time.monotonic()
    trainer = train(replaced(prepared, "train", budget_tokens=10**9, log_steps=2), "a", end_minutes=0.05)
    assert 0 < trainer.schedule.budget < 10**9 and log(prepared, "a")[-1]["finished"]
    assert trainer.schedule.rate(trainer.tokens) == pytest.approx(prepared.train.floor) and time.monotonic() - begun > 3


def test_the_end_can_be_moved_while_training(prepared, replaced) -> None:
    endless = replaced(prepared, "train", budget_tokens=10**9)
    run_folder(endless, "a").mkdir(parents=True)
    trainer = Trainer(endless, "a")

    class Never:
        asked = False

    from training.train import _loop

    move_end(endless, "a", 20 * 128)
    with open(trainer.folder / "log.jsonl", "a") as out:
        _loop(trainer, out, Never(), None)
    assert trainer.tokens == 20 * 128


def test_a_run_is_not_overwritten_and_nothing_is_not_resumed(prepared) -> None:
    train(prepared, "a", until_minutes=0)
    with pytest.raises(FileExistsError, match="--resume"):
        train(prepared, "a")
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        train(prepared, "b", resume=True)


def test_a_signal_stops_with_a_checkpoint(prepared, replaced, tmp_path) -> None:
    recipe = tmp_path / "recipe.toml"
    c = prepared
    recipe.write_text(
        f"[paths]\ncorpora = {json.dumps(c.paths.corpora)}\nwork = {json.dumps(c.paths.work)}\n"
        "[prepare.sources]\nbook = { share = 1 }\n"
        f"[model]\nvocabulary = {c.model.vocabulary}\nwidth = 64\nlayers = 1\nheads = 2\nkv_heads = 1\n"
        "head_width = 16\nffn_width = 64\n"
        "[train]\ncompile = false\nthreads = 1\nrows = 2\ncontext = 32\nlog_steps = 1\nbudget_tokens = 1_000_000_000\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "training", "train", "--config", str(recipe), "--run", "signal"],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    try:
        path = Path(c.paths.work) / "runs" / "signal" / "log.jsonl"
        for _ in range(1200):
            if path.exists() and '"loss"' in path.read_text():
                break
            assert process.poll() is None, "training ended by itself"
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(120) == 0
    finally:
        process.kill()
    state = checkpoint.load(path.with_name("last.pt"))
    assert state["tokens"] > 0 and state["tokens"] % 64 == 0


def test_a_half_written_checkpoint_leaves_the_one_before(tmp_path) -> None:
    path = tmp_path / "last.pt"
    checkpoint.save(path, {"weights": {}, "model": {}, "tokens": 1})

    class Unpicklable:
        def __reduce__(self):
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError):
        checkpoint.save(path, {"weights": {}, "model": {}, "tokens": Unpicklable()})
    assert checkpoint.load(path)["tokens"] == 1


def test_the_mean_of_checkpoints(tmp_path) -> None:
    shape = Model(vocabulary=8, width=4, layers=1, heads=1, kv_heads=1, head_width=4, ffn_width=4)
    paths = []
    for i, value in enumerate((1.0, 5.0)):
        paths.append(str(tmp_path / f"{i}.pt"))
        weights = {"embedding": torch.full((8, 4), value)}
        checkpoint.save(paths[-1], {"weights": weights, "model": checkpoint.describe(shape)})
    out = str(tmp_path / "mean.pt")
    assert main(["average", *paths, "--parts", "3", "1", "--output", out]) == 0
    mean = checkpoint.load(out)
    assert mean["model"] == shape and torch.equal(mean["weights"]["embedding"], torch.full((8, 4), 2.0))
    assert main(["average", *paths, "--output", out]) == 0
    assert torch.equal(checkpoint.load(out)["weights"]["embedding"], torch.full((8, 4), 3.0))


def test_what_has_no_mean(tmp_path) -> None:
    shape = Model(vocabulary=8, width=4, layers=1, heads=1, kv_heads=1, head_width=4, ffn_width=4)
    paths = []
    for i in range(2):
        paths.append(str(tmp_path / f"{i}.pt"))
        described = checkpoint.describe(dataclasses.replace(shape, width=4 * (i + 1)))
        checkpoint.save(paths[-1], {"weights": {}, "model": described})
    with pytest.raises(ValueError, match="different shapes"):
        checkpoint.average(paths, [1, 1])
    for parts in ([1.0], [0.0, 0.0], [-1.0, 2.0]):
        with pytest.raises(ValueError, match="as many parts"):
            checkpoint.average(paths, parts)


def test_a_loss_that_is_not_finite_writes_over_no_checkpoint(prepared, replaced, monkeypatch) -> None:
    endless = replaced(prepared, "train", log_steps=10**6, checkpoint_seconds=0.0)
    step, losses = Trainer.step, iter([1.0, 1.0, float("nan")])
    monkeypatch.setattr(Trainer, "step", lambda self: step(self) * 0 + next(losses))
    with pytest.raises(ValueError, match="the loss is nan"):
        train(endless, "a")
    assert checkpoint.load(run_folder(prepared, "a") / "last.pt")["tokens"] == 2 * 128
