"""Fuzz what reads files (tests/fuzzing.py): coverage-guided with atheris where it is installed, and by blind mutation.

    python tools/fuzz.py [--seconds N] [--blind] [--share OF_A_CORE] [TARGET]...

Every input must be read, or end in an error made for it, within two seconds and a fixed bound of memory. A failing one is
stored in tests/fuzz_corpus/TARGET, and is a test from then on. Each minute of a run adds a line to build/fuzz/tally.tsv; `--tally` adds them up.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import fuzzing

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
CORPUS, WORK = ROOT / "tests" / "fuzz_corpus", ROOT / "build" / "fuzz"
MEMORY_MB = 1024  # of the process, with the fuzzer and everything that it has imported
TIME = 2.0  # seconds of processor time for one input
TARGETS = ("header", "structure", "whole", "payloads", "head", "decoder", "repair", "files")
WANDERING = 30  # inputs beside the seeds that the decoder's are made from
REAL = "real"  # the embedded model; blind, since each input takes a tenth of a second
REAL_TIME = 20.0  # repair included


def store(target: str, data: bytes) -> Path:
    """Keep a finding."""
    path = CORPUS / target / hashlib.sha256(data).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def tally(target: str, way: str, inputs: int, seconds: float, reached: str = "") -> None:
    """Add a line to what was tried."""
    WORK.mkdir(parents=True, exist_ok=True)
    with open(WORK / "tally.tsv", "a") as file:
        file.write(f"{target}\t{way}\t{inputs}\t{seconds:.0f}\t{reached}\n")
    print(f"{target}: {inputs:,} inputs in {seconds:.0f} s, {way} {reached}", flush=True)


def add_up() -> None:
    """Print the sums of the tally."""
    inputs: Counter[tuple[str, str]] = Counter()
    spent: Counter[tuple[str, str]] = Counter()
    reached: dict[tuple[str, str], Counter[str]] = {}
    for line in (WORK / "tally.tsv").read_text().splitlines():
        target, way, count, seconds, *rest = line.split("\t")
        inputs[target, way] += int(count)
        spent[target, way] += int(seconds)
        for word in rest[0].split() if rest else []:
            how, _, number = word.partition("=")
            reached.setdefault((target, way), Counter())[how] += int(number)
    for key, count in sorted(inputs.items()):
        print(f"{' '.join(key)}: {count:,} in {spent[key]:,} s", dict(reached.get(key, {})))


def told(target: fuzzing.Target) -> str:
    """How far the inputs since the last time got, where the target counts that."""
    reached: Counter[str] = getattr(target, "reached", Counter())
    words = " ".join(f"{how}={count}" for how, count in sorted(reached.items()))
    reached.clear()
    return words


def blind(name: str, seconds: float, seed: int, share: float = 1.0) -> None:
    """Mutate seeds and what was accepted, without looking at coverage. share: of a core, at most."""
    import fuzzing

    target, chance = fuzzing.target(name), random.Random(seed)
    pool = [*fuzzing.seeds(name), *(path.read_bytes() for path in sorted((CORPUS / name).glob("*")))]
    seeds = len(pool)
    began = last = time.monotonic()
    inputs, used, data = 0, time.process_time(), b""
    try:
        while time.monotonic() - began < seconds:
            for _ in range(20 if name == REAL else 200):
                data = fuzzing.mutated(chance.choice(pool), chance)
                start = time.process_time()
                accepted = fuzzing.run(target, data)
                spent = time.process_time() - start
                assert spent < (REAL_TIME if name == REAL else TIME), f"took {spent:.1f} s"
                inputs += 1
                if name == "decoder":  # where nearly every input gets to the end: go on from any
                    if chance.random() < 0.002 and len(data) < 100:
                        pool.append(data)
                        del pool[seeds : len(pool) - WANDERING]
                elif accepted and len(pool) < 500 and len(data) < 4000:
                    pool.append(data)
            if time.monotonic() - last > 60:
                tally(name, "blind", inputs, time.monotonic() - last, told(target))
                inputs, last = 0, time.monotonic()
            if share < 1:
                time.sleep((time.process_time() - used) * (1 / share - 1))
                used = time.process_time()
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < MEMORY_MB << 10, "too much memory"
    except Exception:
        print(f"finding: {store(name, data)}", file=sys.stderr)
        raise
    tally(name, "blind", inputs, time.monotonic() - last, told(target))


def guided(name: str, seconds: float) -> None:
    """Coverage-guided, in this process, which atheris ends."""
    import atheris

    with atheris.instrument_imports(include=["llmzip.container", "llmzip.codec"]):
        import fuzzing
    target = fuzzing.target(name)
    folder = WORK / name
    folder.mkdir(parents=True, exist_ok=True)
    for data in [*fuzzing.seeds(name), *(path.read_bytes() for path in sorted((CORPUS / name).glob("*")))]:
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)

    def one(data: bytes) -> None:
        start = time.process_time()
        try:
            fuzzing.run(target, data)
            assert time.process_time() - start < TIME, "too slow"
        except BaseException:
            print(f"finding: {store(name, data)}", file=sys.stderr, flush=True)
            raise

    arguments = [f"-max_total_time={seconds:.0f}", "-max_len=4096", "-print_final_stats=1"]
    arguments += [f"-rss_limit_mb={MEMORY_MB}", "-timeout=30", f"-artifact_prefix={folder}-", str(folder)]
    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()


def watch(name: str, seconds: float) -> int:
    """Run `guided` in a process of its own and count its inputs."""
    command = [sys.executable, __file__, "--inside", "--seconds", str(seconds), name]
    began = time.monotonic()
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    inputs = [line.split()[-1] for line in done.stderr.splitlines() if "number_of_executed_units" in line]
    tally(name, "guided", int(inputs[0]) if inputs else 0, time.monotonic() - began)
    if done.returncode:
        print(done.stderr[-4000:], file=sys.stderr)
    return done.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (default: these), {REAL}"
    )
    parser.add_argument("--seconds", type=float, default=30, help="for each target and way (default: 30)")
    parser.add_argument("--blind", action="store_true", help="only by blind mutation")
    parser.add_argument("--seed", type=int, default=None, help="of blind mutation (default: another one each time)")
    parser.add_argument("--share", type=float, default=1.0, help="of a core that blind mutation may take (default: 1)")
    parser.add_argument("--tally", action="store_true", help="only add up what was tried so far")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    chosen = options.targets or TARGETS
    if wrong := set(chosen) - {*TARGETS, REAL}:
        parser.error(f"there is no target {', '.join(sorted(wrong))}")
    if options.tally:
        add_up()
        return 0
    if options.inside:
        guided(chosen[0], options.seconds)
        return 0
    try:
        import atheris  # noqa: F401
    except ImportError:
        print("atheris is not installed (pip install atheris): by blind mutation only")
        options.blind = True
    failed = 0
    for name in chosen:
        if not options.blind and name != REAL:
            failed |= watch(name, options.seconds)
        seed = time.time_ns() if options.seed is None else options.seed
        blind(name, options.seconds, seed, options.share)
    return failed


if __name__ == "__main__":
    sys.exit(main())
