"""A short soak, and processes that share caches (`tools/soak.py` goes on for as long as one likes)."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tools"))


def test_nothing_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import soak

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where no other program's files come and go

    running = soak.Soak(noise=1 << 18, long=1 << 18)
    for _ in range(9):
        running.round()
        running.note()
    running.judge()


def test_what_grows_is_found() -> None:
    import soak

    running, size = soak.Soak(kinds=()), 100 << 20
    running.noted = [(size + (i << 10), 7, 0) for i in range(30)]
    running.noted[25] = 2 * size, 7, 0
    running.judge()
    for grown in ((1 << 20, 0, 0), (0, 1, 0), (0, 0, 1)):
        held = running.noted
        running.noted = [
            tuple(value + i * more for value, more in zip(each, grown, strict=True)) for i, each in enumerate(held)
        ]
        with pytest.raises(AssertionError, match="grew"):
            running.judge()
        running.noted = held


SHARE = """
import sys
from pathlib import Path
from llmzip.codec import Codec
from llmzip.model import registry
name = sys.argv[1]
sys.stdin.readline()
registry.add(registry.Entry(name, __file__ if "__file__" in globals() else "x", "00" * 8))
with Codec(threads=1) as codec:
    assert codec.decompress(codec.compress(b"The harbour of the town. " * 4)) == b"The harbour of the town. " * 4
"""


def test_four_processes_share_caches(tmp_path: Path) -> None:
    """All begin at once with empty ones: one expansion of the weights is left, the list of models has all four, and nothing else."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "LLMZIP_CACHE": str(tmp_path / "cache"),
        "LLMZIP_DATA": str(tmp_path / "data"),
    }
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SHARE, f"m{i}"], env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for i in range(4)
    ]
    for process in running:
        assert process.stdin
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in running:
        words = process.communicate(timeout=120)[1]
        assert (process.returncode, words) == (0, b"")
    names = sorted(path.name for path in (tmp_path / "cache").iterdir())
    assert len([name for name in names if name.endswith(".gguf")]) == 1
    assert not [name for name in names if name.startswith(".")]
    listed = subprocess.run(
        [sys.executable, "-m", "llmzip", "models", "list"], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert all(f"m{i} " in listed for i in range(4))
