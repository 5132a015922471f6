"""Two builds of llama.cpp against each other: portable files must open in both, exact ones only where they were made.

Builds llama-cpp-python a second time, without AVX and the like, into `.venv-portability` (some minutes, once), then has
each build restore what the other one made. Usage: portability.py [--other PYTHON] [--part levels|models]; PYTHON: an
interpreter with llmzip's dependencies.
Exit status 0 if all is as it should be.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import requires, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv-portability"
PLAIN = ["NATIVE", "AVX", "AVX2", "AVX512", "FMA", "F16C", "BMI2", "SSE42"]
QUANTISED = {"F16": 1, "Q8_0": 7, "Q4_K_M": 15}
TEXTS = {"the-lighthouse-ledger.txt": 8000, "parser.c": 2500, "gezeiten.txt": 2500, "server.log": 6000}
LEVELS = ("-1", "-6", "-9")
SLOW = 30.0  # seconds; a refusal includes starting Python and loading the model, on a machine that may be busy


def plain_build() -> str:
    """The interpreter of the second environment, made if it is not there or has another version."""
    python, marker = FOLDER / "bin" / "python", FOLDER / "built"
    wanted = f"llama-cpp-python=={version('llama-cpp-python')}"
    if marker.is_file() and marker.read_text() == wanted:
        return str(python)
    print(f"building {wanted} without AVX into {FOLDER.name} (once; takes some minutes)", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", FOLDER], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    others = [
        line.partition(";")[0] for line in requires("llmzip") or [] if ";" not in line and not line.startswith("llama")
    ]
    subprocess.run([*pip, *others], check=True)
    flags = " ".join(f"-DGGML_{name}=OFF" for name in PLAIN)
    build = [*pip, "--no-cache-dir", "--no-binary", "llama-cpp-python", wanted]
    subprocess.run(build, check=True, env=os.environ | {"CMAKE_ARGS": flags})
    marker.write_text(wanted)
    return str(python)


@dataclass
class Build:
    """An interpreter with one build of llama.cpp."""

    name: str
    python: str

    def llmzip(self, *arguments: str | Path) -> tuple[int, str, float]:
        """Exit status, messages and seconds of one call."""
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        began = time.monotonic()
        command = [self.python, "-m", "llmzip", *map(str, arguments)]
        run = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
        return run.returncode, run.stderr.strip(), time.monotonic() - began

    def features(self) -> str:
        """What this build uses, to tell the two apart."""
        code = "from llmzip.model.llama import arithmetic; print(arithmetic(0))"
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [self.python, "-c", code], capture_output=True, text=True, env=environment, check=True
        ).stdout.strip()


class Checks:
    """Runs the checks, prints a line for each, remembers whether one failed."""

    def __init__(self, folder: Path, builds: tuple[Build, Build]) -> None:
        self.folder, self.builds, self.failed = folder, builds, False

    def say(self, good: bool, text: str) -> None:
        """One result."""
        self.failed |= not good
        print(f"{'ok    ' if good else 'FAILED'}  {text}", flush=True)

    def pack(self, build: Build, source: Path, *options: str | Path) -> Path | None:
        """Compress a file; None, and a failed check, if that does not work."""
        target = self.folder / "packed.llmz"
        code, error, _ = build.llmzip("compress", "-f", *options, "-o", target, source)
        if code:
            self.say(False, f"{build.name} compresses {source.name} {' '.join(map(str, options))}: {error}")
        return None if code else target

    def restored(self, build: Build, packed: Path, source: Path, *options: str | Path) -> tuple[bool, str, float]:
        """Whether a build restores the very bytes."""
        target = self.folder / "restored"
        target.unlink(missing_ok=True)
        code, error, seconds = build.llmzip("decompress", *options, "-o", target, packed)
        return code == 0 and target.read_bytes() == source.read_bytes(), error or "other bytes", seconds

    def portable(self, source: Path, *options: str | Path, model: Path | None = None) -> None:
        """Each build opens what the other one made."""
        named = ("--model", model) if model else ()
        for maker, reader in (self.builds, self.builds[::-1]):
            packed = self.pack(maker, source, "--portable", *named, *options)
            if packed:
                good, error, seconds = self.restored(reader, packed, source, *named)
                what = f"portable {model.stem if model else 'built-in'} {' '.join(map(str, options))}"
                text = f"{what:<34} {source.name:<26} {maker.name:>6} to {reader.name:<6}"
                text += f" {packed.stat().st_size:>7} bytes {seconds:6.1f} s"
                self.say(good, text if good else f"{text} {error}")

    def exact(self, source: Path, model: Path) -> None:
        """A build opens what it made itself, with any number of threads, and refuses what the other one made."""
        for maker, other in (self.builds, self.builds[::-1]):
            packed = self.pack(maker, source, "--exact", "--model", model, "-T1")
            if not packed:
                continue
            good, error, seconds = self.restored(maker, packed, source, "--model", model, "-T2")
            what = f"exact {model.stem:<28} {source.name:<26}"
            self.say(
                good, f"{what} {maker.name:>6}, 1 thread, to 2 threads {seconds:6.1f} s{'' if good else ' ' + error}"
            )
            code, error, seconds = other.llmzip("decompress", "--model", model, "-o", self.folder / "refused", packed)
            clean = code == 5 and not (self.folder / "refused").exists() and error.count("\n") == 0
            self.say(
                clean and seconds < SLOW,
                f"{what} {maker.name:>6} refused by {other.name}: status {code}, {seconds:.1f} s: {error}",
            )


def quantised(folder: Path) -> list[Path]:
    """The built-in model with other types of weights."""
    import llama_cpp

    from llmzip.model import embedded
    from llmzip.model.llama import arithmetic

    arithmetic(0)  # llama.cpp is silent from now on
    made = []
    for name, kind in QUANTISED.items():
        params = llama_cpp.llama_model_quantize_default_params()
        params.ftype, params.allow_requantize = kind, True
        made.append(folder / f"{name}.gguf")
        if llama_cpp.llama_model_quantize(os.fsencode(embedded.PACKED), os.fsencode(made[-1]), ctypes.byref(params)):
            raise SystemExit(f"llama.cpp cannot make {name}")
    return made


def main() -> int:
    """Run all checks; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--other", metavar="PYTHON", help="an interpreter with another build, instead of making one")
    parser.add_argument("--part", choices=("levels", "models"), help="only that: the levels, or own models")
    options = parser.parse_args()
    other = options.other or plain_build()
    builds = (Build("native", sys.executable), Build("plain", other))
    for build in builds:
        print(f"{build.name}: {build.features()}")
    if builds[0].features() == builds[1].features():
        print("the two builds are the same: nothing is tested")
        return 1
    with tempfile.TemporaryDirectory(prefix="llmzip-portability-") as name:
        folder = Path(name)
        checks = Checks(folder, builds)
        for corpus, length in TEXTS.items() if options.part != "models" else ():
            source = folder / corpus
            source.write_bytes((ROOT / "corpora" / corpus).read_bytes()[:length])
            for level in LEVELS:
                checks.portable(source, level)
        source = folder / "tiny.txt"
        source.write_bytes((ROOT / "corpora" / "field-notes.txt").read_bytes()[:800])
        checks.portable(source, "--ctx", "64", "--streams", "4")
        for model in quantised(folder) if options.part != "levels" else ():
            checks.portable(source, model=model)
            checks.exact(source, model)
    print("as it should be" if not checks.failed else "NOT as it should be")
    return int(checks.failed)


if __name__ == "__main__":
    sys.exit(main())
