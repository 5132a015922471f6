"""Make the golden files of tests/golden/model and tests/golden/short anew, after a change of the bitstream or of what is embedded."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "golden" / "model"
VERSIONS = GOLDEN.parent / "versions.json"

# Options of `llmzip compress` for the files that are not made with the default ones (README.md beside them).
OPTIONS = {
    "crlf.txt": ["--streams", "3"],
    "less.txt": ["--streams", "40"],
    "sliding.txt": ["--ctx", "64", "--streams", "2"],
    "no-mix.txt": ["--no-mix"],
    "fast.txt": ["-1"],
    "lines.log": ["-1"],
    "small.txt": ["-9"],
}
SHORT = ROOT / "tests" / "golden" / "short"
# Of each text: the options of `llmzip compress`, and what its file is called after them.
MESSAGES = {
    ("sentence", "short"): ["--short"],
    ("note", "short"): ["--short"],
    ("sentence", "1.short"): ["-1", "--short"],
    ("new", "1"): ["-1", "--context", SHORT / "old.txt"],
    ("new", "9"): ["-9", "--context", SHORT / "old.txt"],
    ("new", "short"): ["--short", "--context", SHORT / "old.txt"],
    ("new", "1.short"): ["-1", "--short", "--context", SHORT / "old.txt"],
}


def versions() -> dict[str, Any]:
    """What the golden files pin: versions, whether they are released, and the digest of every file."""
    sys.path.insert(0, str(ROOT))
    from llmzip.container.format import CODER, VERSION

    files = sorted(GOLDEN.parent.rglob("*.llmz"))
    digests = {f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return {"format": VERSION, "coder": CODER, "released": False, "files": digests}


def renew() -> None:
    """Compress every golden text, and test the result."""
    if VERSIONS.exists() and (held := json.loads(VERSIONS.read_text()))["released"]:
        sys.exit(
            f"format {held['format']} and coder {held['coder']} are released: their golden files stay. Raise the coder, keep the old one, "
            "and put new files beside the old ones (docs/compatibility.md)"
        )
    # In processes of their own, which see changed code.
    run = [sys.executable, "-m", "llmzip"]
    for (name, kind), options in MESSAGES.items():
        packed = SHORT / f"{name}.{kind}.llmz"
        subprocess.run(
            [*run, "compress", "-q", "-f", *options, "-o", packed, SHORT / f"{name}.txt"], cwd=ROOT, check=True
        )
        subprocess.run([*run, "test", "-q", "--context", SHORT / "old.txt", packed], cwd=ROOT, check=True)
    for text in sorted(path for path in GOLDEN.iterdir() if path.suffix not in (".llmz", ".md")):
        packed = text.with_name(f"{text.name}.llmz")
        options = OPTIONS.get(text.name, [])
        subprocess.run([*run, "compress", "-q", "-f", *options, "-o", packed, text], cwd=ROOT, check=True)
        subprocess.run([*run, "test", "-q", packed], cwd=ROOT, check=True)
    VERSIONS.write_text(json.dumps(versions(), indent=2) + "\n")


if __name__ == "__main__":
    renew()
