"""The commands that read compressed files as what they stand for, and what shells want: completion and a manual page."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from llmzip.cli import main
from llmzip.cli.cat import Range
from llmzip.codec.codec import Codec

LINES = [b"%d the harbour and the sea\n" % number for number in range(500)]
TEXT = b"".join(LINES)
BINARY = b"ab\x00cd harbour\nxyz\n"
LIMIT = 120
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def packed() -> dict[str, bytes]:
    with Codec(level=1, block_size=4096) as codec:
        return {"text.llmz": codec.compress(TEXT), "bin.llmz": codec.compress(BINARY)}


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any, packed: dict[str, bytes]) -> Any:
    """Runs the command in a folder with two compressed files and a plain one."""
    monkeypatch.chdir(tmp_path)
    for name, data in packed.items():
        Path(name).write_bytes(data)
    Path("plain").write_bytes(TEXT)

    def call(*arguments: str) -> SimpleNamespace:
        code = main._execute(list(arguments))
        out, err = capfdbinary.readouterr()
        return SimpleNamespace(code=code, out=out, err=err.decode())

    return call


# -- standard input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", ["-d", "-t -v", "-l", "info", "cat", "cat --range 5:40", "-d --salvage", "-1 -c"])
def test_what_others_took_from_standard_input_is_not_looked_at(tool: Any, arguments: str) -> None:
    """As `(read line; llmzip -d) < file` leaves it: even where what was taken is a compressed file itself."""
    packed = Path("text.llmz").read_bytes()
    Path("joined").write_bytes(Path("bin.llmz").read_bytes() + packed)
    found = []
    for name, start in (("text.llmz", 0), ("joined", os.path.getsize("bin.llmz"))):
        with open(name, "rb") as file:
            file.seek(start)
            command = [sys.executable, "-m", "llmzip", *arguments.split(), "-"]
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            done = subprocess.run(command, stdin=file, capture_output=True, timeout=LIMIT, env=environment)
        found.append((done.returncode, done.stdout))
    assert found[0] == found[1] and found[0][0] == 0


# -- cat -----------------------------------------------------------------------------------------------------------


def test_cat(tool: Any) -> None:
    assert tool("cat", "text.llmz", "bin.llmz").out == TEXT + BINARY
    result = tool("cat", "plain")
    assert result.code == 3 and not result.out and "not an llmzip file" in result.err
    assert tool("cat", "-f", "plain", "bin.llmz").out == TEXT + BINARY
    result = tool("cat", "missing", "bin.llmz")
    assert result.code == 1 and result.out == BINARY and len(result.err.splitlines()) == 1
    Path("cut.llmz").write_bytes(Path("text.llmz").read_bytes()[:-3])
    result = tool("cat", "cut.llmz", "bin.llmz")
    # Behind what broke off nothing is written that could be taken for its end.
    assert result.code == 3 and TEXT.startswith(result.out)


@pytest.mark.parametrize(
    ("text", "start", "stop"),
    [
        ("0:10", 0, 10),
        ("4000:4200", 4000, 4200),
        ("4096:8192", 4096, 8192),
        ("1K:2KiB", 1024, 2048),
        ("12000:", 12000, None),
        (":5", 0, 5),
        ("-10:", -10, None),
        ("-2KB:-1KB", -2048, -1024),
        ("100:-100", 100, -100),
        ("5:5", 5, 5),
        ("0:9G", 0, 9 << 30),
        (":", 0, None),
    ],
)
def test_range(tool: Any, monkeypatch: pytest.MonkeyPatch, text: str, start: int, stop: int | None) -> None:
    decoded = []
    real = Codec.decode_indexed
    monkeypatch.setattr(Codec, "decode_indexed", lambda *given: decoded.append(given[3]) or real(*given))
    for name in ("text.llmz", "plain"):
        result = tool("cat", "-f", "--range", text, name)
        assert (result.code, result.out) == (0, TEXT[start:stop])
    first, last = (place // 4096 for place in slice(start, stop).indices(len(TEXT))[:2])
    if stop is not None and 0 <= stop - start < 4096:
        assert len(decoded) <= last - first + 1 <= 2  # only the blocks that hold it


@pytest.mark.parametrize("text", ["", "1", "a:b", "1:2:3", "9:8", "1.5:2", "-1:-2"])
def test_bad_ranges(tool: Any, text: str) -> None:
    result = tool("cat", "--range", text, "text.llmz")
    assert result.code == 2 and not result.out and "--range" in result.err and len(result.err.splitlines()) == 1


def test_ranges_that_are_not_there(tool: Any) -> None:
    result = tool("cat", "--range", "9M:", "text.llmz", "bin.llmz")
    assert result.code == 1 and not result.out and f"only {len(TEXT)} bytes" in result.err
    assert tool("cat", "--range", f"{len(BINARY)}:", "bin.llmz").code == 0
    assert Range().convert((3, 4), None, None) == (3, 4)


# -- grep ----------------------------------------------------------------------------------------------------------


def test_grep_finds_lines_across_blocks(tool: Any) -> None:
    for line in (LINES[0], LINES[148], LINES[149], LINES[-1]):
        result = tool("grep", "-x", line[:-1].decode(), "text.llmz")
        assert (result.code, result.out) == (0, line)
    assert tool("grep", "-c", "harbour", "text.llmz").out == b"500\n"


@pytest.mark.parametrize(
    "arguments",
    [
        "-n ^77 text",
        "-n ^77 text bin",
        "-c harbour text bin",
        "-ci HARBOUR text bin",
        "-l harbour text bin",
        "-L xyz text bin",
        "-v the bin",
        "-E ^(7|8)\\s text",
        "-F (7|8) text",
        "-o ^7[0-9]* text",
        "-m 2 -A 1 sea text",
        "-h ^77 text bin",
        "-H ^77 text",
        "-e ^77 -e ^88 text",
        "harbour bin",
        "-a harbour bin",
        "nothing text",
        "-q harbour text",
    ],
)
def test_grep_is_grep(tool: Any, arguments: str) -> None:
    """The same output and status as of grep on the originals."""
    Path("text").write_bytes(TEXT)
    Path("bin").write_bytes(BINARY)
    expected = subprocess.run(["grep", *arguments.split()], capture_output=True)
    words = [f"{word}.llmz" if word in ("text", "bin") else word for word in arguments.split()]
    result = tool("grep", *words)
    assert result.out.replace(b".llmz", b"") == expected.stdout and result.code == expected.returncode, result


def test_grep_of_plain_files_folders_and_damage(tool: Any) -> None:
    os.mkdir("folder")
    shutil.copy("text.llmz", "folder")
    os.symlink("..", "folder/up")
    assert tool("grep", "-c", "^77 ", "plain", "text.llmz").out == b"plain:1\ntext.llmz:1\n"
    assert tool("grep", "-rc", "^77 ", "folder", "plain").out == b"folder/text.llmz:1\nplain:1\n"
    Path("cut.llmz").write_bytes(Path("text.llmz").read_bytes()[:-3])
    result = tool("grep", "^77 ", "cut.llmz", "missing", "text.llmz")
    assert result.code == 2 and result.out.count(b"harbour") == 2 and len(result.err.splitlines()) == 2
    assert tool("grep", "-q", "^77 ", "text.llmz", "missing").code == 0
    assert tool("grep", "-q", "^77 ", "folder").code == 2


@pytest.mark.parametrize("arguments", [["(", "-E"], ["[", "-n"], [], ["-m", "x", "a"], ["--nonsense", "a"]])
def test_grep_refuses(tool: Any, arguments: list[str]) -> None:
    result = tool("grep", *arguments, *(["text.llmz"] if arguments else []))
    assert result.code == 2 and not result.out and len(result.err.splitlines()) == 1
    assert result.err.startswith("llmzip: ")


# -- diff ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["grep -H harbour", "diff plain"])
def test_names_are_safe_on_a_terminal_and_true_in_a_pipe(tool: Any, command: str) -> None:
    name = "a\x1b[31m\nb"
    Path(name).write_bytes(b"the harbour\n")
    run = [sys.executable, "-m", "llmzip", *command.split(), name]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    assert name.encode() in subprocess.run(run, stdout=subprocess.PIPE, timeout=LIMIT, env=environment).stdout
    master, slave = pty.openpty()
    with open(master, "rb", buffering=0) as shown:
        subprocess.run(run, stdout=slave, timeout=LIMIT, env=environment)
        os.close(slave)
        words = shown.read(1 << 16)
    assert b"\x1b" not in words and b"a\\x1b[31m\\nb" in words


def test_diff(tool: Any) -> None:
    changed = TEXT.replace(b"\n77 the", b"\n77 a")
    Path("changed").write_bytes(changed)
    expected = subprocess.run(
        ["diff", "-u", "--label", "text.llmz", "--label", "changed", "plain", "changed"], capture_output=True
    )
    result = tool("diff", "text.llmz", "changed")
    assert (result.code, result.out) == (1, expected.stdout) and expected.returncode == 1
    assert (tool("diff", "text.llmz", "plain").code, tool("diff", "plain", "text.llmz").out) == (0, b"")
    assert tool("diff", "-U0", "text.llmz", "changed").out.count(b"\n") == 5
    assert b"differ" in tool("diff", "--brief", "text.llmz", "changed").out
    assert tool("diff", "-w", "text.llmz", "plain").code == 0
    binary = tool("diff", "bin.llmz", "plain")
    assert binary.code in (1, 2) and b"differ" in binary.out and not binary.err


def test_diff_refuses(tool: Any) -> None:
    Path("cut.llmz").write_bytes(Path("text.llmz").read_bytes()[:-3])
    for arguments in (["missing", "plain"], ["plain", "."], ["cut.llmz", "plain"], ["-", "-"], ["plain"]):
        result = tool("diff", *arguments)
        assert result.code == 2 and not result.out and len(result.err.splitlines()) == 1, result


# -- real shells ---------------------------------------------------------------------------------------------------


def bash(script: str, **environment: str) -> subprocess.CompletedProcess:
    """A script for bash, with the command under test as llmzip."""
    Path("bin").mkdir(exist_ok=True)
    Path("bin/llmzip").write_text(f'#!/bin/sh\nexec {sys.executable} -m llmzip "$@"\n')
    os.chmod("bin/llmzip", 0o755)
    root = str(Path(__file__).parent.parent)
    settings = os.environ | {"PATH": f"{os.getcwd()}/bin:{os.environ['PATH']}", "PYTHONPATH": root} | environment
    return subprocess.run(["bash", "-c", script], env=settings, capture_output=True, timeout=LIMIT)


def test_pipes(tool: Any) -> None:
    result = bash(
        "set -e; cat text.llmz | llmzip cat | cmp - plain; llmzip cat - < text.llmz | cmp - plain\n"
        "cat text.llmz | llmzip grep -H '^77 '; llmzip diff - plain < text.llmz; llmzip grep sea text.llmz | head -1\n"
        "cat text.llmz | llmzip cat --range 0:5; echo $?"
    )
    lines = result.stdout.splitlines()
    assert lines == [b"(standard input):77 the harbour and the sea", LINES[0].rstrip()], result
    assert b"needs a file, not a pipe" in result.stderr and len(result.stderr.splitlines()) == 1


def test_find_and_xargs(tool: Any) -> None:
    os.mkdir("folder")
    for name in ("a", "b c", "d\ne"):
        Path("folder", name).write_bytes(TEXT + name.encode())
    result = bash("set -e; find folder -type f -exec llmzip -1 --rm {} +; find folder -name '*.llmz' | wc -l")
    assert result.returncode == 0 and not result.stderr, result
    result = bash("set -e; find folder -name '*.llmz' -print0 | xargs -0 -n1 -P2 llmzip -d --rm; ls folder | wc -l")
    assert result.returncode == 0 and not result.stderr, result
    assert {path.name: path.read_bytes() for path in Path("folder").iterdir()} == {
        name: TEXT + name.encode() for name in ("a", "b c", "d\ne")
    }


def test_git_textconv(tool: Any) -> None:
    settings = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    with Codec(level=1) as codec:
        Path("new").write_bytes(codec.compress(TEXT.replace(b"\n77 the", b"\n77 a")))
    result = bash(
        "set -e; git init -q repository; cd repository; git config diff.llmzip.textconv 'llmzip cat'\n"
        "git config diff.llmzip.cachetextconv true; echo '*.llmz diff=llmzip' > .gitattributes; cp ../text.llmz .\n"
        "git add .; git commit -qm one; cp ../new text.llmz; git diff; git commit -qam two; git log -p -1 --format=%s",
        **settings,
    )
    assert result.returncode == 0, result
    assert result.stdout.count(b"-77 the harbour and the sea\n+77 a harbour and the sea\n") == 2


def test_tar_with_options(tool: Any) -> None:
    result = bash(
        "set -e; mkdir folder; cp plain folder; tar -I 'llmzip -1 -T1' -cf x.tar.llmz folder; rm -r folder\n"
        "tar -I 'llmzip -1 -T1' -xf x.tar.llmz; cmp folder/plain plain; LLMZIP_OPTS=-1 tar -I llmzip -cf y.tar.llmz folder\n"
        "cmp x.tar.llmz y.tar.llmz"
    )
    assert result.returncode == 0 and not result.stderr, result


def test_manual_page(tool: Any) -> None:
    page = tool("man").out.decode()
    assert tool("man").err == "" and page.startswith(".TH LLMZIP 1 ")
    shown = page.replace("\\-", "-")
    names = main.program.list_commands(click.Context(main.program))
    assert len(names) > 15
    for name in names:
        assert f'.SS "llmzip {name} ' in shown or f'.SS "llmzip {name}"' in shown or name == "lake"
    for words in (
        "--files-with-matches",
        "LLMZIP_OPTS",
        "EXIT STATUS",
        "llmzip models add",
        "5 this machine's arithmetic",
    ):
        assert words in shown
    if shutil.which("groff"):
        checked = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", "-z"], input=page.encode(), capture_output=True, timeout=LIMIT
        )
        assert checked.returncode == 0 and not checked.stderr, checked.stderr
    if shutil.which("man"):
        Path("llmzip.1").write_text(page)
        read = subprocess.run(["man", "-l", "llmzip.1"], capture_output=True, timeout=LIMIT).stdout.decode()
        assert "ENVIRONMENT" in read and "compress text without loss" in read
