"""Every build of llama.cpp at hand against every other, in every shape: do files made in one open in the other, and how far do they drift?

usage: portability_matrix.py [--builds FOLDER] [--bytes N] [--files] [--report FILE] [TEXT...]

FOLDER (default: $LLMZIP_BUILDS) has a folder of shared libraries for each build, as llama-cpp-python takes them from LLAMA_CPP_LIB_PATH; `native` is
the one that is installed. The builds that docs/portability.md speaks of and that are not there are named. A folder of the name aarch64 has
a program `python` that runs everything for that processor (tools/aarch64.sh makes it).

A cell is a build, a number of threads, a number of streams and a way of encoding: by prefill, or in the decoder's own steps. For each the
odds of all turns are computed once. That a block opens is then told from the cells: it does if every cell that
the encoder chose is found again from the decoder's odds, and if not, how many turns are misread. Real blocks of each build, and whole files at
levels 1, 6 and 9, are opened by each other one, too; at level 1 all builds must write the same file. With --files only that is done.
Exit status 0 if all do.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
KNOWN = ("native", "noavx", "avx2", "openblas", "fastmath", "aarch64")
THREADS, STREAMS, WAYS = (1, 2), (1, 4, 32), ("prefill", "steps")
LEVELS = (1, 6, 9)
EMULATED = ("aarch64",)
SHORT = 4  # one part in so many of the text is for two threads, which get into each other's way on busy machines, and for emulated processors
REACH = 9.7  # log odds: beyond the outermost edge drift changes nothing


def odds_file(folder: Path, build: str, threads: int, streams: int, way: str, size: int) -> Path:
    return folder / f"{build}-{threads}-{streams}-{way}-{size}.npz"


def inside(options: argparse.Namespace) -> None:
    """In the process of one build: compute the odds of all cells, make blocks, open those of others."""
    import llmzip
    from llmzip.codec.agreement import PORTABLE_TOLERANCE, Coding
    from llmzip.codec.decoding import decode_block
    from llmzip.codec.evaluation import Session, in_steps, prefill
    from llmzip.codec.layout import Layout
    from llmzip.codec.locate import load_model
    from llmzip.codec.pipeline import BlockPipeline
    from llmzip.errors import LlmzipError
    from llmzip.model import embedded
    from llmzip.model.llama import arithmetic

    folder, text = options.folder, options.text.read_bytes()
    if options.open:
        pipeline = BlockPipeline(Session(load_model(None, 1)), Coding(embedded.WINDOW, PORTABLE_TOLERANCE, True))
        for stored in sorted([*folder.glob("*.block"), *folder.glob("*.llmz")]):
            size = int(stored.stem.split("-")[-1])
            if stored.name.startswith(options.inside + "-") or (
                options.inside in EMULATED and size > len(text) // SHORT
            ):
                continue
            data, repaired = text[:size], False
            try:
                if stored.suffix == ".llmz":
                    good = llmzip.decompress(stored.read_bytes())
                else:
                    good, repaired = decode_block(pipeline, stored.read_bytes(), len(data), data.__eq__)
                print(stored.name, "repaired" if repaired else "ok" if good == data else "wrong", flush=True)
            except LlmzipError as error:
                print(stored.name, f"FAILED: {error}", flush=True)
        return
    print(arithmetic(0), flush=True)
    emulated, short = options.inside in EMULATED, text[: len(text) // SHORT]
    for data in [short] if emulated else [short, text]:
        for level in LEVELS:
            (folder / f"{options.inside}-level{level}-{len(data)}.llmz").write_bytes(llmzip.compress(data, level=level))
    if options.files:
        return
    for threads in THREADS[:1] if emulated else THREADS:
        pipeline = BlockPipeline(Session(load_model(None, threads)), Coding(embedded.WINDOW, PORTABLE_TOLERANCE, True))
        for data in [short] if emulated or threads > 1 else [short, text]:
            whole, crlf = pipeline.tokens_of(data)
            tokens = whole.tokens
            for streams in STREAMS:
                layout = Layout(len(tokens), streams)
                if threads == 1:
                    block = folder / f"{options.inside}-{streams}-{len(data)}.block"
                    block.write_bytes(pipeline.encode(whole, crlf, streams))
                for way in WAYS:
                    rows = prefill(pipeline.session, tokens, layout, embedded.WINDOW)
                    if way == "steps":
                        rows = in_steps(pipeline.session, tokens, layout, embedded.WINDOW, 1)
                    odds = np.empty((len(tokens), pipeline.tree.depth))
                    pipeline.odds(tokens, rows, odds.__setitem__)
                    states, cells = pipeline.cells(tokens, odds)
                    target = odds_file(folder, options.inside, threads, streams, way, len(data))
                    np.savez(target, odds=odds, states=states, cells=cells)
        pipeline.session.close()


class Build:
    """One build of llama.cpp, and how to run Python with it."""

    def __init__(self, name: str, folder: Path | None) -> None:
        self.name, self._folder = name, folder

    def run(self, *arguments: str | Path) -> list[str]:
        """Lines that this file prints when it runs inside the build. Raises CalledProcessError."""
        python: str | Path = sys.executable
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        if self._folder:
            environment["LLAMA_CPP_LIB_PATH"] = str(self._folder)
            if (self._folder / "python").exists():
                python = self._folder / "python"
        command = [str(python), __file__, "--inside", self.name, *map(str, arguments)]
        return subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        ).stdout.splitlines()


def compared(maker: dict[str, NDArray[np.float64]], reader: dict[str, NDArray[np.float64]]) -> tuple[float, int, int]:
    """Largest drift within reach, turns, and misread turns, where `reader` opens what `maker` made."""
    from llmzip.codec.agreement import PORTABLE_TOLERANCE
    from llmzip.codec.quantiser import Quantiser

    one, other = maker["odds"], reader["odds"]
    coded = one > 0
    near = coded & (np.abs(np.log(np.where(coded, one, 1))) < REACH)
    drift = np.abs(np.log(one[near]) - np.log(other[near]))
    quantiser, again, wrong = Quantiser(PORTABLE_TOLERANCE), np.empty(len(one), np.uint8), 0
    for level in range(one.shape[1]):
        quantiser.decode(other[:, level], maker["states"], again)
        wrong += int(((again != maker["cells"][:, level]) & coded[:, level]).sum())
    return float(drift.max(initial=0)), int(near.sum()), wrong


def misread(folder: Path, say: Callable[[str], None]) -> bool:
    """Whether a turn of the cells in a folder is misread; says what there is."""
    from llmzip.codec.agreement import PORTABLE_TOLERANCE

    tolerance = PORTABLE_TOLERANCE * 1e-6
    held, failed = {}, False
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            held[tuple(path.stem.split("-"))] = dict(file)
    say(
        f"{'maker':>10}{'reader':>10}{'threads':>9}{'streams':>9} {'encoder':<9}{'turns':>9}{'largest':>10}{'margin':>8}{'misread':>9}"
    )
    worst, cells = 0.0, 0
    for (maker, made_with, streams, way, size), made in held.items():
        for (reader, read_with, others, steps, length), read in held.items():
            if (others, length, steps) != (streams, size, "steps"):
                continue
            largest, turns, wrong = compared(made, read)
            margin = f"{tolerance / largest:.1f}" if largest else "-"
            say(
                f"{maker:>10}{reader:>10}{made_with + ' / ' + read_with:>9}{streams:>9} {way:<9}{turns:>9}{largest:>10.1e}{margin:>8}{wrong:>9}"
            )
            worst, cells, failed = max(worst, largest), cells + 1, failed or wrong > 0
    rest = f"largest drift {worst:.1e}, margin left {tolerance / worst:.1f}" if worst else "no drift"
    say(f"{cells} cells, {rest}")
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="*", type=Path, metavar="TEXT", help="default: six kinds of corpora/")
    parser.add_argument("--builds", type=Path, default=os.environ.get("LLMZIP_BUILDS"), metavar="FOLDER")
    parser.add_argument("--only", nargs="*", help="builds to take (default: all that are there)")
    parser.add_argument("--bytes", type=int, default=12_000, help="of all texts together")
    parser.add_argument("--files", action="store_true", help="whole files at three levels alone")
    parser.add_argument("--report", type=Path, help="write the cells to a file, too")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--text", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--open", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(options)
        return 0
    sys.path.insert(0, str(ROOT))
    builds = [Build("native", None)]
    if options.builds:
        builds += [Build(path.name, path) for path in sorted(Path(options.builds).iterdir()) if path.is_dir()]
    builds = [build for build in builds if not options.only or build.name in options.only]
    names = [build.name for build in builds]
    for missing in (name for name in KNOWN if name not in names):
        print(f"NOT AT HAND: {missing} (a folder of that name in --builds)")
    kinds = ("the-lighthouse-ledger.txt", "parser.c", "gezeiten.txt", "server.log", "manual.rst", "field-notes.txt")
    texts = options.texts or [ROOT / "corpora" / kind for kind in kinds]
    share = options.bytes // len(texts)
    lines, failed = [], False

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    with tempfile.TemporaryDirectory(prefix="llmzip-matrix-") as name:
        folder, only = Path(name), ["--files"] if options.files else []
        text = folder / "text"
        text.write_bytes(b"".join(path.read_bytes()[:share] for path in texts))
        for build in builds:
            say(f"{build.name}: {build.run('--folder', folder, '--text', text, *only)[0]}")
        if not options.files:
            failed = misread(folder, say)
        for build in builds:
            for line in build.run("--folder", folder, "--text", text, "--open"):
                say(f"{build.name} opens {line}")
                failed |= not line.endswith((" ok", " repaired"))
        for size in {path.stem.split("-")[-1] for path in folder.glob("*.llmz")}:
            written = {path.read_bytes() for path in folder.glob(f"*-level1-{size}.llmz")}
            say(f"level 1, {size} bytes: {len(written)} different file{'s'[: len(written) > 1]}")
            failed |= len(written) > 1
    if options.report:
        options.report.write_text("\n".join(lines) + "\n")
    say("NOT as it should be" if failed else "as it should be")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
