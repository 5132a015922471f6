"""Files that appear whole or not at all, and what killed programs leave behind."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmzip import atomic
from llmzip.errors import ModelError
from llmzip.model import expansion


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if each test were a process of its own."""
    monkeypatch.setattr(atomic, "_swept", set())


def left_behind(folder: Path, age: float = 3600) -> Path:
    path = atomic.aside(folder)
    path.write_bytes(b"half a file")
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def test_old_leftovers_are_removed(tmp_path: Path) -> None:
    gone = [left_behind(tmp_path) for _ in range(3)]
    atomic.sweep(tmp_path)
    assert not any(path.exists() for path in gone)


def test_what_may_be_in_use_stays(tmp_path: Path) -> None:
    young = left_behind(tmp_path, age=5)
    locked = left_behind(tmp_path)
    with open(locked, "r+b") as file:
        atomic.in_use(file.fileno())
        os.utime(locked, (0, 0))
        atomic.sweep(tmp_path)
        assert young.exists() and locked.exists()


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = left_behind(tmp_path)
    script = (
        "import os, sys; from llmzip import atomic\n"
        "file = open(sys.argv[1], 'r+b'); atomic.in_use(file.fileno()); print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        atomic.sweep(tmp_path)
        assert path.exists()
        process.kill()
        process.wait()
    atomic._swept.clear()
    atomic.sweep(tmp_path)
    assert not path.exists()


def test_nothing_else_is_touched(tmp_path: Path) -> None:
    names = [
        ".llmzip-.tmp",
        ".llmzip-0123456789abcdef.tmpx",
        "llmzip-0123456789abcdef.tmp",
        ".llmzip-0123456789ABCDEF.tmp",
    ]
    for name in names:
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (0, 0))
    link, folder, pipe = (atomic.aside(tmp_path) for _ in range(3))
    link.symlink_to(tmp_path / names[0])
    folder.mkdir()
    os.mkfifo(pipe)
    for path in (folder, pipe):
        os.utime(path, (0, 0))
    atomic.sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([*names, link.name, folder.name, pipe.name])


def test_others_files_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = left_behind(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    atomic.sweep(tmp_path)
    assert path.exists()


def test_a_folder_is_swept_once_and_never_raises(tmp_path: Path) -> None:
    atomic.sweep(tmp_path)
    path = left_behind(tmp_path)
    atomic.sweep(tmp_path)
    assert path.exists()
    atomic.sweep(tmp_path / "missing")
    atomic.sweep(path)


@pytest.mark.parametrize("folder", ["", "."])
def test_the_current_folder(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = left_behind(tmp_path)
    atomic.sweep(folder)
    assert not path.exists()


def test_expansion_sweeps_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = left_behind(tmp_path)
    monkeypatch.setattr(expansion, "expand", lambda source, target: target.write_bytes(b"expanded"))
    made = expansion._expand_into(tmp_path, tmp_path / "source", "stem-")
    assert os.listdir(tmp_path) == [made.name] and made.read_bytes() == b"expanded" and not path.exists()


def test_no_room_to_expand_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """llama.cpp has no better words for it than iostream error. Errors of who uses the expansion stay what they are."""

    def full(source: Path, target: Path) -> None:
        raise ModelError("iostream error")

    monkeypatch.setenv("LLMZIP_CACHE", str(tmp_path))
    with monkeypatch.context() as patch, pytest.raises(ModelError, match="no room to expand.*set LLMZIP_CACHE"):
        patch.setattr(expansion, "expand", full)
        with expansion.expanded(tmp_path / "source", bytes(8)):
            raise AssertionError
    monkeypatch.setenv("LLMZIP_CACHE", "/dev/null/cache")
    monkeypatch.setattr(expansion, "expand", lambda source, target: target.write_bytes(b"expanded"))
    for error in (OSError("of others"), ModelError("of others")):
        with pytest.raises(type(error), match="^of others$"), expansion.expanded(tmp_path / "source", bytes(8)):
            raise error


def test_a_folder_that_can_be_written_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mode 300: the file is complete, and its name cannot be synced."""
    if os.geteuid() == 0:
        opened = os.open

        def refusing(path: os.PathLike[str] | str, flags: int, *more: int) -> int:
            if flags & os.O_DIRECTORY:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return opened(path, flags, *more)

        monkeypatch.setattr(os, "open", refusing)
    else:
        os.chmod(tmp_path, 0o300)
    try:
        atomic.sync_folder(tmp_path)
        atomic.store(tmp_path / "a", b"content")
    finally:
        os.chmod(tmp_path, 0o700)
    assert (tmp_path / "a").read_bytes() == b"content"


def test_other_failures_of_syncing_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(number: int) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "fsync", fail)
    error = errno.EINVAL
    atomic.sync_folder(tmp_path)
    error = errno.EIO
    with pytest.raises(OSError):
        atomic.sync_folder(tmp_path)


def test_a_file_that_fails_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")

    def fail(number: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError):
        atomic.store(target, b"new")
    assert os.listdir(tmp_path) == ["a"] and target.read_bytes() == b"old"
