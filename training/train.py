"""The training run: resumable at any step, stoppable by SIGTERM, its end movable while it runs.

A run is a folder: `last.pt` (weights, optimiser, sampler, schedule), `stable.pt` (the same at the end of the stable
phase, from which other decays can branch), `log.jsonl`, and, written from outside, `budget` (see `move_end`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch

from . import checkpoint
from .config import Config
from .model import Decoder, adapt, sight
from .muon import Muon
from .prepare import load_tokens, manifest
from .sampler import Sampler
from .schedule import Schedule


def run_folder(config: Config, run: str) -> Path:
    return Path(config.paths.work) / "runs" / run


def move_end(config: Config, run: str, budget_tokens: int) -> None:
    """Ask a running training to end at another token count; it looks after every logged step."""
    folder = run_folder(config, run)
    temporary = folder / "budget.part"
    temporary.write_text(f"{budget_tokens}\n")
    os.replace(temporary, folder / "budget")


def validation_rows(config: Config, source: str) -> tuple[torch.Tensor, float]:
    """Evenly spaced held-out rows (rows, context + 1) and their source's tokens per byte."""
    tokens = load_tokens(config.paths.work, "validation", source)
    context = config.train.context
    count = min(config.train.validate_rows, (len(tokens) - 1) // context)
    stride = (len(tokens) - 1 - context) / max(1, count - 1)
    rows = [
        torch.from_numpy(tokens[s : s + context + 1].astype("int64")) for s in (int(i * stride) for i in range(count))
    ]
    facts = manifest(config.paths.work, "validation", source)
    return torch.stack(rows), facts["tokens"] / facts["bytes"]


class Trainer:
    """A model, its optimisers, its data and its place in the schedule."""

    def __init__(self, config: Config, run: str) -> None:
        self.config, self.folder = config, run_folder(config, run)
        settings = config.train
        self.device = torch.device(settings.device)
        torch.manual_seed(settings.seed)
        self.model = Decoder(config.model, settings.window).to(self.device)
        matrices, vectors = self.model.matrices(), self.model.vectors()
        self.optimisers: dict[str, tuple[torch.optim.Optimizer, float]] = {}
        """Optimisers and their peak rates, by their name in the checkpoint."""
        if settings.muon:
            muon = Muon(matrices, settings.muon_rate, settings.muon_momentum, settings.muon_weight_decay)
            self.optimisers["muon"] = muon, settings.muon_rate
        else:
            vectors = [*vectors, *(matrix for matrix, _ in matrices)]
        adam = torch.optim.AdamW(vectors, settings.adam_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
        self.optimisers["adam"] = adam, settings.adam_rate
        shares = {name: source.share for name, source in config.prepare.sources.items() if source.share > 0}
        arrays = {name: load_tokens(config.paths.work, "train", name) for name in shares}
        self.sampler = Sampler(arrays, shares, settings.context, settings.seed)
        self.step_tokens = settings.rows * settings.context
        self.schedule = Schedule.plan(
            settings.warmup_steps * self.step_tokens, settings.budget_tokens, settings.decay_share, settings.floor
        )
        self.tokens = 0
        self._loss = torch.compile(self.model.loss, dynamic=False) if settings.compile else self.model.loss
        fused = settings.compile and self.device.type == "cuda"
        self._seen = sight(settings.context, settings.window, self.device) if fused else None

    def warm_start(self, path: str) -> None:
        """Begin with another checkpoint's weights, adapted in shape where `model.adapt` can."""
        other = checkpoint.load(path)
        self.model.load_state_dict(adapt(other["weights"], other["model"], self.config.model))

    def state(self) -> dict[str, Any]:
        return {
            "weights": self.model.state_dict(),
            "model": checkpoint.describe(self.config.model),
            **{name: optimiser.state_dict() for name, (optimiser, _) in self.optimisers.items()},
            "sampler": self.sampler.state(),
            "schedule": dataclasses.asdict(self.schedule),
            "tokens": self.tokens,
        }

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint of this trainer. Raises ValueError if the recipe's model has another shape."""
        state = checkpoint.load(path)
        if state["model"] != self.config.model:
            raise ValueError(f"{path} holds a model of another shape than the recipe; use train.warm_start instead")
        self.model.load_state_dict(state["weights"])
        for name, (optimiser, _) in self.optimisers.items():
            optimiser.load_state_dict(state[name])
        self.sampler.restore(state["sampler"])
        self.schedule = Schedule(**state["schedule"])
        self.tokens = state["tokens"]

    def replan(self, budget: int) -> None:
        self.schedule = self.schedule.replan(self.tokens, budget, self.config.train.decay_share)

    def _precision(self) -> contextlib.AbstractContextManager:
        if self.config.train.bf16:
            return torch.autocast(self.device.type, torch.bfloat16)
        return contextlib.nullcontext()

    def _rows(self) -> torch.Tensor:
        rows = torch.from_numpy(self.sampler.rows(self.config.train.rows))
        # From pinned memory the copy does not wait for the steps that a GPU has still to do.
        return rows.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else rows

    def step(self) -> torch.Tensor:
        """One update; returns the loss in nats a token, a scalar on the device: to read it is to wait for the step."""
        settings = self.config.train
        with self._precision():
            loss = self._loss(self._rows(), self._seen)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip)
        rate = self.schedule.rate(self.tokens)
        for optimiser, peak in self.optimisers.values():
            optimiser.param_groups[0]["lr"] = peak * rate
            optimiser.step()
            optimiser.zero_grad()
        self.tokens += self.step_tokens
        return loss.detach()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Bits per byte of held-out rows, by source: rows without carried context, so higher than `evaluate` says."""
        result = {}
        for path in sorted((Path(self.config.paths.work) / "tokens").glob("validation-*.bin")):
            source = path.stem.split("-")[1]
            rows, tokens_per_byte = validation_rows(self.config, source)
            losses = []
            for part in rows.to(self.device).split(self.config.train.rows):
                with self._precision():
                    losses.append(float(self.model.loss(part)) * len(part))
            result[source] = sum(losses) / len(rows) / math.log(2) * tokens_per_byte
        return result


class _Stop:
    """Turns SIGTERM and SIGINT into a request that the loop reads between two steps."""

    def __init__(self) -> None:
        self.asked = False
        self._old = {s: signal.signal(s, self._ask) for s in (signal.SIGTERM, signal.SIGINT)}

    def _ask(self, number: int, frame: object) -> None:
        self.asked = True

    def close(self) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)


def train(
    config: Config,
    run: str,
    *,
    resume: bool = False,
    branch_from: str | None = None,
    budget_tokens: int | None = None,
    until_minutes: float | None = None,
    end_minutes: float | None = None,
) -> Trainer:
    """Train until the schedule's end, the time limit or a stop signal; always leaves a checkpoint.

    end_minutes: let the schedule end when this call has lasted so long; its tokens follow from the speed.

    Raises FileExistsError if the run exists and neither `resume` nor another name is given; FileNotFoundError if there
    is nothing to resume or to branch from.
    """
    settings = config.train
    folder = run_folder(config, run)
    last = folder / "last.pt"
    if not resume and last.exists():
        raise FileExistsError(f"run {run!r} exists in {folder}: give --resume, or another name with --run")
    if resume and not last.exists():
        raise FileNotFoundError(f"nothing to resume: {last} does not exist")
    folder.mkdir(parents=True, exist_ok=True)
    if settings.device == "cpu":
        torch.set_num_threads(settings.threads)
    if branch_from is not None:
        source = run_folder(config, branch_from)
        # The end of the stable phase, where there is one: a decayed run has little left to learn from.
        shutil.copyfile(source / ("stable.pt" if (source / "stable.pt").exists() else "last.pt"), last)
    trainer = Trainer(config, run)
    if resume or branch_from is not None:
        trainer.restore(last)
    elif settings.warm_start:
        trainer.warm_start(settings.warm_start)
    if budget_tokens is not None and budget_tokens != trainer.schedule.budget:
        trainer.replan(budget_tokens)
    (folder / "budget").unlink(missing_ok=True)
    stop = _Stop()
    try:
        with open(folder / "log.jsonl", "a", encoding="utf-8") as log:
            _loop(trainer, log, stop, until_minutes, end_minutes)
    finally:
        stop.close()
    return trainer


def _loop(
    trainer: Trainer, log: Any, stop: _Stop, until_minutes: float | None, end_minutes: float | None = None
) -> None:
    settings, folder = trainer.config.train, trainer.folder
    begun = saved = time.monotonic()
    first_tokens = trainer.tokens
    first_cpu = time.process_time()
    losses: list[torch.Tensor] = []
    validated = -1
    paced = _Pace(begun + 60 * end_minutes) if end_minutes is not None else None

    def note(**values: Any) -> None:
        values = {"tokens": trainer.tokens, "seconds": round(time.monotonic() - begun, 1), **values}
        log.write(json.dumps(values) + "\n")
        log.flush()
        print(json.dumps(values), file=sys.stderr, flush=True)

    def settled() -> float:
        """Mean loss since the last log entry. Raises ValueError if it is not finite: then no checkpoint may be written over."""
        loss = float(torch.stack(losses).mean()) if losses else 0.0
        if not math.isfinite(loss):
            raise ValueError(
                f"the loss is {loss} at {trainer.tokens} tokens: resume {folder / 'last.pt'} at a lower rate"
            )
        return loss

    def validate() -> None:
        nonlocal validated
        if validated != trainer.tokens:
            validated = trainer.tokens
            note(validation={name: round(value, 4) for name, value in trainer.validate().items()})

    note(plan=dataclasses.asdict(trainer.schedule), parameters=sum(p.numel() for p in trainer.model.parameters()))
    validate()
    while trainer.tokens < trainer.schedule.budget and not stop.asked:
        if until_minutes is not None and time.monotonic() - begun > 60 * until_minutes:
            break
        was_decaying = trainer.schedule.decaying(trainer.tokens)
        losses.append(trainer.step())
        steps = trainer.tokens // trainer.step_tokens
        if not was_decaying and trainer.schedule.decaying(trainer.tokens):
            # At full rate, whatever part of a step lies beyond the point: a branch plans its own decay.
            held = dataclasses.replace(trainer.schedule, decay_from=trainer.tokens)
            settled()
            checkpoint.save(folder / "stable.pt", trainer.state() | {"schedule": dataclasses.asdict(held)})
        if steps % settings.log_steps == 0:
            done = trainer.tokens - first_tokens
            note(
                loss=round(settled(), 4),
                rate=round(trainer.schedule.rate(trainer.tokens), 4),
                tokens_per_second=round(done / (time.monotonic() - begun)),
                tokens_per_cpu_second=round(done / (time.process_time() - first_cpu)),
            )
            losses = []
            _follow_budget(trainer, folder / "budget", note)
            if paced is not None:
                paced.replan(trainer)
        if steps % settings.validate_steps == 0:
            validate()
        if time.monotonic() - saved > settings.checkpoint_seconds:
            settled()
            checkpoint.save(folder / "last.pt", trainer.state())
            saved = time.monotonic()
    settled()
    checkpoint.save(folder / "last.pt", trainer.state())
    validate()
    note(finished=trainer.tokens >= trainer.schedule.budget)


class _Pace:
    """Moves the schedule's end so that it comes at a given time, by the tokens a second since the first look."""

    def __init__(self, end: float) -> None:
        self._end = end
        self._first: tuple[float, int] | None = None

    def replan(self, trainer: Trainer) -> None:
        now = time.monotonic()
        # What came before the first look is compilation.
        if self._first is None:
            self._first = now, trainer.tokens
            return
        speed = (trainer.tokens - self._first[1]) / (now - self._first[0])
        trainer.replan(trainer.tokens + max(trainer.step_tokens, int(speed * (self._end - now))))


def _follow_budget(trainer: Trainer, path: Path, note: Any) -> None:
    if not path.exists():
        return
    text = path.read_text()
    path.unlink()
    try:
        trainer.replan(int(text))
        note(plan=dataclasses.asdict(trainer.schedule))
    except ValueError as error:
        note(refused=str(error))
