"""Which texts the benchmarks measure unless others are named."""

from __future__ import annotations

from pathlib import Path

CORPORA = Path(__file__).parent.parent / "corpora"
_SUFFIXES = (".txt", ".md", ".rst", ".html", ".c", ".py", ".csv", ".log", ".json")
_BESIDE = ("README.md", "make_records.py")  # about the texts, not of them


def texts() -> list[Path]:
    """The texts of corpora/."""
    return sorted(path for path in CORPORA.iterdir() if path.suffix in _SUFFIXES and path.name not in _BESIDE)
