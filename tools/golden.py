"""Make the golden files of tests/golden/model anew, after a change of the bitstream or of what is embedded."""

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
    "sliding.txt": ["--ctx", "64", "--streams", "2"],
    "no-mix.txt": ["--no-mix"],
    "fast.txt": ["-1"],
    "lines.log": ["-1"],
    "small.txt": ["-9"],
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
    for text in sorted(path for path in GOLDEN.iterdir() if path.suffix not in (".llmz", ".md")):
        packed = text.with_name(f"{text.name}.llmz")
        options = OPTIONS.get(text.name, [])
        subprocess.run([*run, "compress", "-q", "-f", *options, "-o", packed, text], cwd=ROOT, check=True)
        subprocess.run([*run, "test", "-q", packed], cwd=ROOT, check=True)
    VERSIONS.write_text(json.dumps(versions(), indent=2) + "\n")


if __name__ == "__main__":
    renew()
