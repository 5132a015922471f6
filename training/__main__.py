"""`python -m training STEP --config FILE`: one command for each step of the recipe."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import config as recipe

_DEFAULT = Path(__file__).with_name("config.toml")


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(prog="python -m training", description="The recipe of the embedded model.")
    steps = main.add_subparsers(dest="step", required=True)

    def step(name: str, text: str) -> argparse.ArgumentParser:
        sub = steps.add_parser(name, help=text, description=text)
        sub.add_argument("--config", default=str(_DEFAULT), help="recipe (TOML); default: the one beside this code")
        sub.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            dest="overrides",
            help="override one setting, as a TOML assignment: train.rows=4",
        )
        return sub

    step("tokenizer", "learn the vocabulary from the training part of the corpora")
    step("prepare", "turn the corpora into token arrays")
    train = step("train", "train, or go on training, until the token budget is spent")
    train.add_argument("--run", default="run", help="name of the run: its folder under paths.work")
    train.add_argument("--resume", action="store_true", help="go on from the run's last checkpoint")
    train.add_argument("--branch-from", metavar="RUN", help="begin as a copy of another run's last checkpoint")
    train.add_argument("--budget-tokens", type=int, help="plan the schedule anew for this many tokens in all")
    train.add_argument("--until-minutes", type=float, help="stop with a checkpoint after this many minutes")
    train.add_argument(
        "--end-minutes", type=float, help="let the schedule end after this many minutes, whatever the speed"
    )
    plan = step("plan", "move the end of a training that is running")
    plan.add_argument("--run", default="run", help="name of the run")
    plan.add_argument("--budget-tokens", type=int, required=True, help="new end, in tokens since the run's beginning")
    ngrams = step("ngrams", "count the prepared tokens and write the table of n-grams")
    ngrams.add_argument("--output", required=True, metavar="FILE", help="where the table is written")
    ngrams.add_argument("--vocabulary", metavar="GGUF", help="model whose vocabulary it is; default: the embedded one")
    ngrams.add_argument("--size", type=float, default=14.2, help="of the table, about, in millions of bytes")
    start = step("start", "learn what the mixer begins with where there is no network")
    start.add_argument("--output", required=True, metavar="FILE", help="where the start is written")
    average = step("average", "the weighted mean of checkpoints of one shape, as a checkpoint")
    average.add_argument("checkpoints", nargs="+", help="checkpoint files (.pt)")
    average.add_argument("--parts", nargs="+", type=float, help="share of each (default: equal)")
    average.add_argument("--output", required=True, metavar="FILE", help="where the mean is written")
    export = step("export", "write a checkpoint as GGUF (F32 and Q8_0)")
    export.add_argument("checkpoint", help="checkpoint file (.pt)")
    export.add_argument("--name", help="file name stem; default: export.name of the recipe")
    sketch = step("sketch", "write an untrained model of the recipe's shape, to measure its speed")
    sketch.add_argument("--name", required=True, help="file name stem")
    evaluate = step("evaluate", "bits per byte of held-out text and rows a second, through llama.cpp")
    evaluate.add_argument("models", nargs="+", metavar="GGUF", help="models to compare; the first is the reference")
    evaluate.add_argument("--text", action="append", default=[], metavar="FILE", help="further text files to measure")
    part = evaluate.add_mutually_exclusive_group()
    part.add_argument("--no-speed", action="store_true", help="leave out the measurement of speed")
    part.add_argument("--speed-only", action="store_true", help="leave out the bits per byte")
    evaluate.add_argument("--json", metavar="FILE", help="also write the figures here")
    memorised = step("memorisation", "how far a model would repeat its training text, beside held-out text")
    memorised.add_argument("model", help="checkpoint (.pt) or GGUF made of one")
    memorised.add_argument("--rows", type=int, default=64, help="rows looked at of each kind of text")
    return main


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        config = recipe.load(options.config, options.overrides)
        # Steps import what they need themselves: torch is not needed to prepare, llama.cpp not to train.
        if options.step == "tokenizer":
            from .tokenizer import train_tokenizer

            train_tokenizer(config)
        elif options.step == "prepare":
            from .prepare import prepare

            prepare(config)
        elif options.step == "train":
            from .train import train

            train(
                config,
                options.run,
                resume=options.resume,
                branch_from=options.branch_from,
                budget_tokens=options.budget_tokens,
                until_minutes=options.until_minutes,
                end_minutes=options.end_minutes,
            )
        elif options.step == "plan":
            from .train import move_end

            move_end(config, options.run, options.budget_tokens)
        elif options.step == "ngrams":
            from .table import write_table

            write_table(config, options.vocabulary, Path(options.output), int(options.size * 1e6))
        elif options.step == "start":
            from .start import write_start

            write_start(config, Path(options.output))
        elif options.step == "average":
            from . import checkpoint

            parts = options.parts or [1.0] * len(options.checkpoints)
            checkpoint.save(options.output, checkpoint.average(options.checkpoints, parts))
        elif options.step == "export":
            from .export import export

            export(config, options.checkpoint, options.name or config.export.name)
        elif options.step == "sketch":
            from .export import sketch

            print(sketch(config, options.name))
        elif options.step == "memorisation":
            from .memorisation import memorisation

            print("\n".join(memorisation(config, options.model, options.rows)))
        else:
            from .evaluate import evaluate

            evaluate(
                config,
                options.models,
                texts=options.text,
                speed=not options.no_speed,
                quality=not options.speed_only,
                json_path=options.json,
            )
    except (ValueError, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
