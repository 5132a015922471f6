"""A short stretch of `make torture`: killed at random moments, no room, calls that fail, sources that change."""

from __future__ import annotations

import errno
import random
import shutil
from pathlib import Path

import pytest
import torturing

WAYS = (["--rm", "a"], ["-d", "-f", "-o", "old", "p.llmz"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inner = tmp_path / "scene"
    inner.mkdir()
    return inner


def test_killed_at_random_moments(folder: Path) -> None:
    states = torturing.kills(folder, 9, random.Random(3))
    assert sum(count for state, count in states.items() if not state.endswith("in time")) == 9


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs a C compiler")
def test_calls_that_fail(folder: Path) -> None:
    library = torturing.shim(folder.parent)
    calls = {"write": (errno.EIO,), "fsync": (errno.EIO,), "read": (0,)}
    outcomes = torturing.faults(folder, library, calls, 1, iter(WAYS))
    assert outcomes["write EIO: refused"] == outcomes["fsync EIO: refused"] == 2 == outcomes["read short: done"]


def test_no_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torturing, "WAYS", WAYS[:1])
    try:
        outcomes = torturing.full_disks(folder, 2)
    except OSError:
        pytest.skip("no small file system can be mounted")
    assert outcomes["refused"] == 2 and outcomes["done"] == 1


def test_the_source_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        torturing, "CHANGES", {change: torturing.CHANGES[change] for change in ("appended", "replaced")}
    )
    assert sum(torturing.changing_sources(folder).values()) == 4


def test_what_torture_would_notice(folder: Path) -> None:
    """The checks themselves."""
    scene = torturing.Scene(folder, b"text", b"packed")
    scene.check(["a"], None)
    for name, content, arguments in (
        ("a.llmz", b"half", ["a"]),
        ("a", b"changed", ["a"]),
        ("old", b"half", ["-f", "-o", "old", "a"]),
        ("other", b"", ["a"]),
    ):
        scene.restore()
        (folder / name).write_bytes(content)
        with pytest.raises(torturing.Broken):
            scene.check(arguments, None)
    scene.restore()
    (folder / "a").unlink()
    with pytest.raises(torturing.Broken):
        scene.check(["--rm", "a"], None)
    scene.restore()
    (folder / ".llmzip-0.tmp").write_bytes(b"")
    scene.check(["a"], None)
    with pytest.raises(torturing.Broken):
        scene.check(["a"], 1)
