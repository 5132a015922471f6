"""Build the native modules with AddressSanitizer and UndefinedBehaviorSanitizer, apart from the others, and run their tests.

    python tools/sanitize.py [pytest arguments]

Any report of a sanitizer ends the run with its own status. Needs gcc with libasan and libubsan.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build" / "sanitize"
FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g"
TESTS = (
    "test_mixing.py",
    "test_network.py",
    "test_masses.py",
    "test_cells.py",
    "test_rangecoder.py",
    "test_start.py",
    "test_ngrams.py",
    "test_text.py",
    "test_quantiser.py",
    "test_block.py",
    "test_hostile.py",
    "test_fuzz.py",
)


def build() -> None:
    """A copy of the package whose native modules are instrumented."""
    package = BUILD / "llmzip"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(ROOT / "llmzip", package, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    command = [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", BUILD, "--build-temp", BUILD / "temp"]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"CFLAGS": FLAGS, "LDFLAGS": FLAGS}, check=True)


def library(name: str) -> str:
    """Where the compiler has a sanitizer's library."""
    found = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return found.stdout.strip()


def run(arguments: list[str]) -> int:
    """The tests, with the instrumented modules."""
    environment = os.environ | {
        "PYTHONPATH": f"{BUILD}{os.pathsep}{ROOT}",  # the package of the first, all else of the second
        "LD_PRELOAD": f"{library('libasan.so')} {library('libubsan.so')}",
        # Python itself lets go of no memory at its end.
        "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1:exitcode=77:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:exitcode=77",
        "PYTHONMALLOC": "malloc",  # so that bytes beyond an object of Python's are seen, too
    }
    check = "import llmzip.coding._mixer as m; assert 'sanitize' in m.__file__, m.__file__"
    subprocess.run([sys.executable, "-P", "-c", check], cwd=ROOT, env=environment, check=True)
    tests = arguments or [str(ROOT / "tests" / name) for name in TESTS if (ROOT / "tests" / name).exists()]
    return subprocess.run([sys.executable, "-P", "-m", "pytest", *tests], cwd=ROOT, env=environment).returncode


if __name__ == "__main__":
    build()
    sys.exit(run(sys.argv[1:]))
