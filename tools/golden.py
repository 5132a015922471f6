"""Make the golden files of tests/golden/model anew, after a change of the bitstream or of what is embedded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "golden" / "model"

# Options of `llmzip compress` for the files that are not made with the default ones (README.md beside them).
OPTIONS = {
    "crlf.txt": ["--streams", "3"],
    "sliding.txt": ["--ctx", "64", "--streams", "2"],
    "no-mix.txt": ["--no-mix"],
    "fast.txt": ["-1"],
    "lines.log": ["-1"],
    "small.txt": ["-9"],
}


def renew() -> None:
    """Compress every golden text, and test the result."""
    # In processes of their own, which see changed code.
    run = [sys.executable, "-m", "llmzip"]
    for text in sorted(path for path in GOLDEN.iterdir() if path.suffix not in (".llmz", ".md")):
        packed = text.with_name(f"{text.name}.llmz")
        options = OPTIONS.get(text.name, [])
        subprocess.run([*run, "compress", "-q", "-f", *options, "-o", packed, text], cwd=ROOT, check=True)
        subprocess.run([*run, "test", "-q", packed], cwd=ROOT, check=True)


if __name__ == "__main__":
    renew()
