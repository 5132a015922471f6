"""Folders and lists of files: what is taken, what is passed over, what is told."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llmzip.cli import main
from llmzip.cli.tree import Tree

TEXT = b"The harbour of the town and the ships of the sea.\n"


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> Any:
    """Runs the command, level 1, beside a folder with all that a folder can hold."""
    monkeypatch.chdir(tmp_path)
    os.makedirs("tree/b/deep")
    for name in ("z", ".hidden", "b/new\nline", "b/deep/-x"):
        Path("tree", name).write_bytes(TEXT + name.encode())
    os.symlink("..", "tree/b/loop")
    os.symlink("z", "tree/link")
    os.mkfifo("tree/pipe")
    Path("tree/.llmzip-0123456789abcdef.tmp").touch()

    def call(*arguments: str) -> SimpleNamespace:
        code = main._execute(list(arguments))
        out, err = capfd.readouterr()
        return SimpleNamespace(code=code, out=out, err=err, lines=err.splitlines())

    return call


def files() -> dict[str, bytes]:
    return {
        str(path): path.read_bytes() for path in Path("tree").rglob("*") if path.is_file() and not path.is_symlink()
    }


PLAIN = ["tree/.hidden", "tree/z", "tree/b/new\nline", "tree/b/deep/-x"]


def test_recursive(tool: Any) -> None:
    before = files()
    tree = Tree(["tree"])
    assert list(tree) == PLAIN and dict(tree.skipped) == {"symbolic links": 2, "special files": 1}
    result = tool("-1", "-r", "tree")
    assert (result.code, result.lines) == (0, ["llmzip: skipped: special files (1), symbolic links (2)"])
    assert set(files()) - set(before) == {f"{name}.llmz" for name in PLAIN}
    result = tool("-1", "-rq", "tree")
    assert result.code == 1 and len(result.lines) == 5 and result.lines[-1] == "llmzip: 4 of 4 files failed"
    for name in PLAIN:
        os.unlink(name)
    result = tool("-t", "--recursive", "tree")
    assert result.code == 0
    result = tool("-d", "-r", "--rm", "tree")
    assert result.code == 0 and files() == before


def test_what_is_compressed_already_is_told(tool: Any) -> None:
    Path("tree/old.llmz").write_bytes(b"old")
    result = tool("-1", "-r", "--rm", "tree")
    assert result.code == 0 and "files with the suffix .llmz (1)" in result.err
    assert tool("-r", "tree").err.count("files with the suffix .llmz (5)") == 1
    Path("tree/plain").touch()
    assert "files without the suffix .llmz (1)" in tool("-d", "-r", "tree").err


def test_links_are_followed_by_force_but_not_in_circles(tool: Any) -> None:
    tree = Tree(["tree"], follow=True)
    assert list(tree) == ["tree/.hidden", "tree/link", *PLAIN[1:]] and tree.skipped["loops of links"] == 1
    os.symlink("b", "tree/c")  # another way to the same files is no circle
    assert len(list(Tree(["tree"], follow=True))) == 7
    os.symlink("nowhere", "tree/dangling")
    result = tool("-1", "-rf", "tree")
    assert result.code == 1 and "tree/dangling: No such file" in result.err and "loops of links (2)" in result.err


def test_failures_do_not_stop_the_others_and_are_told_at_the_end(tool: Any) -> None:
    Path("tree/z.llmz").write_bytes(b"precious")
    result = tool("-1", "-r", "missing", "tree")
    assert result.code == 1
    assert result.lines == [
        "llmzip: missing: No such file or directory",
        "llmzip: tree/z: tree/z.llmz already exists: nothing written; use -f to overwrite it",
        "llmzip: 2 of 5 files failed",
        "llmzip: skipped: files with the suffix .llmz (1), special files (1), symbolic links (2)",
    ]
    assert Path("tree/b/deep/-x.llmz").exists() and Path("tree/z.llmz").read_bytes() == b"precious"


def test_files_from_a_list(tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("list").write_bytes(b"tree/z\n\ntree/.hidden")
    assert tool("-1", "--files-from", "list", "tree/b/deep/-x").code == 0
    assert {name for name in files() if name.endswith(".llmz")} == {
        "tree/z.llmz",
        "tree/.hidden.llmz",
        "tree/b/deep/-x.llmz",
    }
    Path("list").write_bytes(b"tree/b/new\nline\0-\0")
    result = tool("-1", "-0", "--files-from", "list")
    assert result.code == 1 and Path("tree/b/new\nline.llmz").exists()
    assert result.lines == ["llmzip: ./-: No such file or directory", "llmzip: 1 of 2 files failed"]
    Path("list").write_bytes(b"")
    result = tool("-1", "--files-from", "list")  # nothing is named, which is not the same as standard input
    assert (result.code, result.out, result.err) == (0, "", "")
    Path("list").write_bytes(b"tree\n")
    assert tool("-1", "-rq", "-f", "--files-from", "list").code == 0


@pytest.mark.parametrize(
    ("code", "words", "arguments"),
    [
        (2, "-r needs a folder", ["-r"]),
        (2, "-0 is for", ["-0", "tree/z"]),
        (2, "-o names one", ["-r", "tree", "-o", "x"]),
        (2, "only once", ["--files-from", "-", "-"]),
        (2, "--rm needs files", ["-r", "--rm", "-c", "tree"]),
        (1, "use -r", ["tree"]),
        (1, "cannot read the list of files nowhere: No such", ["--files-from", "nowhere"]),
        (1, "cannot read the list of files tree: Is a dir", ["--files-from", "tree"]),
        (1, "zero bytes", ["--files-from", "zeros"]),
    ],
)
def test_refused(tool: Any, code: int, words: str, arguments: list[str]) -> None:
    Path("zeros").write_bytes(b"a\0b\0")
    before = files()
    result = tool("-1", *arguments)
    assert result.code == code and words in result.err and len(result.lines) == 1 and files() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_cannot_be_read(tool: Any) -> None:
    os.chmod("tree/b", 0)
    result = tool("-1", "-r", "tree")
    assert result.code == 1 and "tree/b: Permission denied" in result.err and Path("tree/z.llmz").exists()
    os.chmod("tree/b", 0o755)


def test_a_folder_that_goes_away(tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(path: Any) -> Any:
        if str(path) == "tree/b":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    result = tool("-1", "-r", "tree")
    assert result.code == 1 and "llmzip: tree/b: Permission denied" in result.lines and Path("tree/z.llmz").exists()
