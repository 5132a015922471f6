"""The command on files, in this process, with a stand-in for the codec."""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from cli_standin import StandIn

from llmzip.cli import files, limits, main, run
from llmzip.cli.options import Options, parse_size
from llmzip.errors import UsageError

TEXT = b"".join(b"line %d\n" % i for i in range(20_000))


class Tool:
    """Runs the command in an empty folder; its stderr must be one line for each expected error."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> None:
        self.folder = folder
        self.capfd = capfd
        self.settings: dict[str, Any] = {}
        self.made = 0
        self.during: Callable[[], None] = lambda: None
        monkeypatch.chdir(folder)
        monkeypatch.setattr(run, "make_codec", self._make)
        (folder / "a").write_bytes(TEXT)

    def _make(self, options: object) -> StandIn:
        self.made += 1
        self.options = options
        codec = StandIn(**self.settings)
        pause = codec._pause
        codec._pause = lambda: (self.during(), pause())
        return codec

    def __call__(self, *arguments: str) -> SimpleNamespace:
        code = main._execute(list(arguments))
        out, err = self.capfd.readouterr()
        return SimpleNamespace(code=code, out=out, err=err, lines=err.splitlines())

    def fails(self, code: int, words: str, *arguments: str) -> None:
        """Exit `code`, one line with `words`, and nothing else changed."""
        before = self.listing()
        result = self(*arguments)
        assert (result.code, len(result.lines)) == (code, 1), result
        assert result.err.startswith("llmzip: ") and words in result.err, result.err
        assert self.listing() == before

    def listing(self) -> dict[str, object]:
        return {
            path.name: path.read_bytes() if path.is_file() else path.lstat().st_mode for path in self.folder.iterdir()
        }


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> Tool:
    return Tool(tmp_path, monkeypatch, capfd)


@pytest.mark.parametrize(
    ("compress", "decompress"),
    [
        (["a"], ["-d", "a.llmz"]),
        (["compress", "a"], ["decompress", "a.llmz"]),
        (["-z", "--", "a"], ["--decompress", "--", "a.llmz"]),
        (["-kT0", "a"], ["-dk", "a.llmz"]),
        (["a", "-o", "a.llmz"], ["-d", "-o", "a", "a.llmz"]),
        (["--rm", "--keep", "-q", "--no-progress", "a"], ["decompress", "-v", "a.llmz"]),
    ],
)
def test_round_trip(tool: Tool, compress: list[str], decompress: list[str]) -> None:
    os.chmod("a", 0o640)
    os.utime("a", ns=(10**18, 987_654_321_123_456_789))
    result = tool(*compress)
    assert result.code == 0 and not result.out and not result.err
    compressed = os.stat("a.llmz")
    assert stat.S_IMODE(compressed.st_mode) == 0o640 and compressed.st_mtime_ns == 987_654_321_123_456_789
    assert compressed.st_size < len(TEXT) and Path("a").read_bytes() == TEXT
    assert tool("test", "a.llmz").code == tool("-t", "a.llmz").code == 0
    os.unlink("a")
    assert tool(*decompress).code == 0
    restored = os.stat("a")
    assert stat.S_IMODE(restored.st_mode) == 0o640 and restored.st_mtime_ns == 987_654_321_123_456_789
    assert Path("a").read_bytes() == TEXT
    assert sorted(os.listdir()) == ["a", "a.llmz"]


def test_special_permission_bits_are_dropped(tool: Tool) -> None:
    os.chmod("a", 0o4755)
    assert tool("a").code == 0
    assert stat.S_IMODE(os.stat("a.llmz").st_mode) == 0o755


def test_empty_file(tool: Tool) -> None:
    Path("empty").touch()
    assert tool("empty").code == 0 and tool("-t", "empty.llmz").code == 0
    tool.fails(3, "empty", "-t", "empty")
    os.unlink("empty")
    assert tool("-d", "empty.llmz").code == 0 and Path("empty").read_bytes() == b""


def test_existing_target(tool: Tool) -> None:
    Path("a.llmz").write_bytes(b"precious")
    tool.fails(1, "already exists", "a")
    tool.fails(1, "already exists", "a", "-o", "a.llmz")
    assert tool("-f", "a").code == 0
    tool.fails(1, "already exists", "-d", "a.llmz")
    Path("a").write_bytes(b"other")
    assert tool("-df", "a.llmz").code == 0 and Path("a").read_bytes() == TEXT
    os.symlink("nowhere", "link")
    tool.fails(1, "already exists", "-d", "a.llmz", "-o", "link")


def test_target_that_appears_meanwhile(tool: Tool) -> None:
    tool.during = lambda: Path("a.llmz").write_bytes(b"precious")
    result = tool("a")
    assert result.code == 1 and "already exists" in result.err
    assert tool.listing() == {"a": TEXT, "a.llmz": b"precious"}


def test_file_system_without_hard_links(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no")

    monkeypatch.setattr(os, "link", link)
    assert tool("a").code == 0 and tool("-t", "a.llmz").code == 0
    tool.fails(1, "already exists", "a")
    tool.during = lambda: Path("b").write_bytes(b"precious")
    result = tool("a", "-o", "b")
    assert result.code == 1 and Path("b").read_bytes() == b"precious" and len(os.listdir()) == 3


def test_suffix(tool: Tool) -> None:
    assert tool("a").code == 0
    tool.fails(1, "already has the suffix", "a.llmz")
    assert tool("-f", "a.llmz").code == 0 and os.path.exists("a.llmz.llmz")
    tool.fails(1, "does not end in .llmz", "-d", "a")
    tool.fails(1, "does not end in .llmz", "-df", "a")
    os.rename("a.llmz", ".llmz")
    tool.fails(1, "does not end in .llmz", "-d", ".llmz")
    assert tool("-dc", ".llmz").code == 0
    assert tool("-d", ".llmz", "-o", "b").code == 0 and Path("b").read_bytes() == TEXT


def test_chosen_suffix(tool: Tool) -> None:
    assert tool("-S", ".lz", "a").code == 0 and sorted(os.listdir()) == ["a", "a.lz"]
    tool.fails(1, "already has the suffix .lz", "--suffix", ".lz", "a.lz")
    tool.fails(1, "does not end in .llmz", "-d", "a.lz")
    os.unlink("a")
    assert tool("decompress", "-S.lz", "a.lz").code == 0 and Path("a").read_bytes() == TEXT
    os.rename("a.lz", "b.llmz")
    assert tool("-d", "-S.lz", "b.llmz").code == 0 and Path("b").read_bytes() == TEXT
    for suffix in ("", "/x"):
        tool.fails(2, "no suffix", "-S", suffix, "a")


def test_inputs_that_are_refused(tool: Tool) -> None:
    os.symlink("a", "link")
    os.mkfifo("pipe")
    os.mkdir("folder")
    tool.fails(1, "symbolic link", "link")
    tool.fails(1, "no regular file", "pipe")
    tool.fails(1, "no regular file", "/dev/null")
    tool.fails(1, "use -c or -o", "-f", "/dev/null")
    tool.fails(1, "use -c or -o", "-f", "pipe")
    tool.fails(1, "is a directory", "folder")
    tool.fails(1, "is a directory", "-f", "folder")
    tool.fails(1, "is a directory", "-c", "folder")
    tool.fails(1, "No such file", "missing")
    tool.fails(1, "No such file", "-d", "missing.llmz")
    tool.fails(1, "No such file", "-t", "missing.llmz")
    assert tool("link", "-o", "b.llmz").code == 0
    assert tool("-f", "link").code == 0 and Path("link.llmz").read_bytes() == Path("b.llmz").read_bytes()
    assert tool("/dev/null", "-o", "null.llmz").code == 0 and tool("-t", "null.llmz").code == 0


def test_outputs_that_are_refused(tool: Tool) -> None:
    os.mkdir("folder")
    tool.fails(1, "is a directory", "-f", "a", "-o", "folder")
    tool.fails(1, "is no name", "-f", "a", "-o", "folder/")
    tool.fails(1, "No such file", "a", "-o", "missing/b")
    os.link("a", "twin")
    tool.fails(1, "same file", "-f", "a", "-o", "a")
    tool.fails(1, "same file", "-f", "a", "-o", "twin")
    os.symlink("a", "link")
    tool.fails(1, "same file", "-f", "a", "-o", "link")


def test_devices_as_output_stay_devices(tool: Tool) -> None:
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        Path("short").write_bytes(b"short")
        assert tool("short", "-o", "pipe").code == 0
        assert os.read(reader, 5) == b"\xecLZ\r\n"
    finally:
        os.close(reader)
    assert tool("a", "-o", "/dev/null").code == 0
    tool.fails(1, "No space left", "a", "-o", "/dev/full")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode) and stat.S_ISFIFO(os.stat("pipe").st_mode)


def test_forced_output_replaces_a_link_not_its_target(tool: Tool) -> None:
    Path("precious").write_bytes(b"precious")
    os.symlink("precious", "a.llmz")
    assert tool("-f", "a").code == 0
    assert not os.path.islink("a.llmz") and Path("precious").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("fail", "code", "words"),
    [
        ("memory", 1, "not enough memory"),
        ("bug", 1, "internal error, ZeroDivisionError: a bug in two lines; run with --debug"),
        ("arithmetic", 5, "computes otherwise"),
        ("make", 4, "no such model"),
    ],
)
def test_failures_leave_nothing(tool: Tool, fail: str, code: int, words: str) -> None:
    assert tool("a", "-o", "good.llmz").code == 0
    Path("b.llmz").write_bytes(b"precious")
    tool.settings["fail"] = fail
    tool.fails(code, words, "a")
    tool.fails(code, words, "-f", "a", "-o", "b.llmz")
    tool.fails(code, words, "--rm", "a")
    tool.fails(code, words, "-d", "good.llmz")
    tool.fails(code, words, "-t", "good.llmz")
    debug = tool("--debug", "a")
    assert debug.code == code and "Traceback" in debug.err and debug.lines[-1].startswith("llmzip: a: ")


def test_interrupt_leaves_nothing(tool: Tool) -> None:
    def interrupt() -> None:
        assert [name for name in os.listdir() if name.endswith(".tmp")]
        raise KeyboardInterrupt

    tool.during = interrupt
    assert tool("--rm", "a").code == 130
    assert tool.listing() == {"a": TEXT}


def test_leftovers_are_known(tool: Tool) -> None:
    """What the with statement could not clean up, the end of the program does."""
    with files.Input("a", follow=False) as source:
        output = files.OutputFile("b", source, binary=True, force=False)
        output.__enter__()
        assert len(os.listdir()) == 2 and stat.S_IMODE(os.fstat(output.stream.fileno()).st_mode) == 0o600
        files.remove_leftovers()
        assert os.listdir() == ["a"]
        output.stream.close()


def test_corrupt_input(tool: Tool) -> None:
    assert tool("a").code == 0
    data = bytearray(Path("a.llmz").read_bytes())
    data[len(data) // 2] ^= 1
    Path("bad.llmz").write_bytes(data)
    Path("cut.llmz").write_bytes(data[:-3])
    Path("more.llmz").write_bytes(Path("a.llmz").read_bytes() + b"x")
    Path("text.llmz").write_bytes(TEXT)
    for command in ("-d", "-t", "decompress", "test"):
        tool.fails(3, "bad.llmz: block 2 at byte", command, "bad.llmz")
        tool.fails(3, "block 2", command, "cut.llmz")
        tool.fails(3, f"byte {len(data)}", command, "more.llmz")
        tool.fails(3, "not an llmzip file", command, "text.llmz")
    tool.fails(3, "not an llmzip file", "info", "text.llmz")
    tool.fails(3, "truncated", "info", "cut.llmz")


@pytest.fixture
def nobody(tool: Tool) -> Iterator[None]:
    """For the time of a test somebody whom the system refuses things."""
    assert tool("a", "-o", "loaded.llmz").code == 0  # with all that is imported on the way
    os.chmod(".", 0o777)
    tool.folder = Path()  # the folders above let only their owner in
    root = os.geteuid() == 0
    if root:
        os.setresuid(65534, 65534, 0)
    yield
    if root:
        os.setresuid(0, 0, 0)


def test_an_unreadable_file_does_not_keep_the_command_from_the_others(tool: Tool, nobody: None) -> None:
    for name in ("b", "c"):
        Path(name).write_bytes(TEXT)
    os.chmod("b", 0)
    for arguments in ([], ["compress", "-f"]):
        result = tool(*arguments, "b", "c")
        assert (result.code, result.lines) == (1, ["llmzip: b: Permission denied"]) and os.path.exists("c.llmz")
    os.chmod("c.llmz", 0)
    for command in ("-d", "-t", "-l", "info", "decompress", "test"):
        result = tool(command, "c.llmz")
        assert (result.code, result.lines) == (1, ["llmzip: c.llmz: Permission denied"]), result


def test_stored_but_not_removed(tool: Tool, nobody: None) -> None:
    os.mkdir("other")
    Path("other/a").write_bytes(TEXT)
    os.chmod("other", 0o555)
    result = tool("--rm", "other/a", "-o", "stored.llmz")
    assert result.code == 1 and os.path.exists("other/a")
    assert result.lines == ["llmzip: other/a: stored, but could not remove other/a: Permission denied"]
    assert tool("-t", "stored.llmz").code == 0
    os.chmod("other", 0o755)


def test_several_files(tool: Tool) -> None:
    for name in ("b", "c"):
        Path(name).write_bytes(TEXT[:1000] + name.encode())
    result = tool("a", "missing", "b", "folder/x", "c")
    assert result.code == 1 and len(result.lines) == 2
    assert sorted(os.listdir()) == ["a", "a.llmz", "b", "b.llmz", "c", "c.llmz"]
    assert tool.made == 1
    Path("bad.llmz").write_bytes(b"bad")
    # The code of the first error, whatever comes after.
    assert tool("-t", "a.llmz", "bad.llmz", "missing", "b.llmz").code == 3
    assert tool("-t", "missing", "bad.llmz").code == 1
    assert tool("-t", "a.llmz", "b.llmz").code == 0


def test_without_a_codec_one_line_is_enough(tool: Tool) -> None:
    tool.settings["fail"] = "make"
    Path("b").touch()
    tool.fails(4, "no such model", "a", "b")


def test_remove(tool: Tool) -> None:
    assert tool("--rm", "a").code == 0 and os.listdir() == ["a.llmz"]
    assert tool("-d", "--rm", "a.llmz").code == 0 and os.listdir() == ["a"]
    assert Path("a").read_bytes() == TEXT


def test_remove_only_what_was_read(tool: Tool) -> None:
    def grow() -> None:
        if os.path.getsize("a") == len(TEXT):
            with open("a", "ab") as file:
                file.write(b"more")

    tool.during = grow
    result = tool("--rm", "a")
    assert result.code == 1 and "changed" in result.err and os.path.exists("a")

    def replace() -> None:
        Path("new").write_bytes(b"new")
        os.replace("new", "a")

    tool.during = replace
    result = tool("-f", "--rm", "a")
    assert result.code == 1 and "changed" in result.err and Path("a").read_bytes() == b"new"
    tool.during = lambda: None
    os.symlink("a", "link")
    result = tool("-f", "--rm", "link")
    assert result.code == 1 and "not removed" in result.err and os.path.islink("link") and os.path.exists("a")


def test_nothing_is_removed_for_a_device_or_a_pipe(tool: Tool) -> None:
    """What they are given is gone."""
    tool("a", "-o", "p.llmz")
    os.mkfifo("pipe")
    for target in ("/dev/null", "pipe"):
        tool.fails(1, "--rm needs a file that keeps the output", "--rm", "a", "-o", target)
        tool.fails(1, "--rm needs a file that keeps the output", "-d", "-f", "--rm", "p.llmz", "-o", target)


@pytest.mark.parametrize("call", ["fchmod", "utime"])
def test_file_system_without_permissions_or_times(tool: Tool, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """A stick with FAT refuses most of what a mode can say."""

    def refused(*given: Any, **named: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    os.chmod("a", 0o640)
    monkeypatch.setattr(os, call, refused)
    assert tool("a").code == 0
    assert stat.S_IMODE(os.stat("a.llmz").st_mode) == (0o600 if call == "fchmod" else 0o640)
    os.unlink("a")
    assert tool("-d", "a.llmz").code == 0 and Path("a").read_bytes() == TEXT


def test_very_deep_folders(tool: Tool) -> None:
    depth = 1200
    os.makedirs("deep")
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir("deep")
        for _ in range(depth):
            os.mkdir("d")
            os.chdir("d")
        Path("file").write_bytes(b"at the bottom")
        os.fchdir(here)
        assert tool("-r", "deep").code == 0
        assert os.path.getsize("deep/" + "d/" * depth + "file.llmz")
    finally:
        os.fchdir(here)
        os.close(here)
        subprocess.run(["rm", "-rf", "deep"], check=True)


@pytest.mark.parametrize(
    ("limit", "words"), [(None, "no more threads: raise `ulimit -u`"), (1 << 30, "`ulimit -v` allows")]
)
def test_threads_that_cannot_be_started(
    tool: Tool, monkeypatch: pytest.MonkeyPatch, limit: int | None, words: str
) -> None:
    """For want of address space, or of the number of threads that a user or a container may have."""

    def refused() -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(limits, "address_space", lambda: limit)
    tool.during = refused
    tool.fails(1, words, "a")


def test_vanishing_input(tool: Tool) -> None:
    tool.during = lambda: os.path.exists("a") and os.unlink("a")
    result = tool("--rm", "a")
    assert result.code == 1 and "No such file" in result.err and len(result.lines) == 1
    assert tool("-t", "a.llmz").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nonsense", "a"],
        ["compress", "--nonsense"],
        ["-c", "-o", "b", "a"],
        ["-o", "b", "a", "a"],
        ["-o", "", "a"],
        ["--rm", "-c", "a"],
        ["--rm", "-o", "-", "a"],
        ["--rm", "-", "-o", "b"],
        ["--rm"],
        ["-", "-"],
        ["-T", "x", "a"],
        ["-T", "-1", "a"],
        ["--streams", "0", "a"],
        ["--ctx", "0", "a"],
        ["--block-size", "1", "a"],
        ["--block-size", "65M", "a"],
        ["--block-size", "4G", "a"],
        ["decompress", "--exact", "a"],
        ["test", "-o", "b", "a"],
        ["-o"],
    ],
)
def test_usage(tool: Tool, arguments: list[str]) -> None:
    tool.fails(2, "", *arguments)
    assert tool.made == 0


def coding(options: Options) -> tuple:
    o = options
    return o.threads, o.model, o.mix, o.streams, o.window, o.block_size, o.exact, o.verify


def test_options_reach_the_codec(tool: Tool) -> None:
    arguments = "-T 3 --model m.gguf --no-mix --streams 7 --ctx 99 --block-size 512KiB --portable --verify"
    assert tool(*arguments.split(), "a").code == 0
    assert coding(tool.options) == (3, "m.gguf", False, 7, 99, 512 << 10, False, True)
    assert tool("-d", "--exact", "a.llmz", "-o", "b").code == 0
    assert tool.options.exact is True
    assert tool("-t", "a.llmz").code == 0
    assert coding(tool.options) == (0, None, True, None, None, None, None, False) and tool.options.level == 6
    for level in range(1, 10):
        assert tool(f"-{level}", "-fc", "a").code == 0 and tool.options.level == level


def test_blocks_that_did_not_come_back_are_told(tool: Tool) -> None:
    tool.settings = {"unverified": 2}
    result = tool("--verify", "a")
    assert (result.code, len(result.lines)) == (0, 1) and "2 of" in result.err and "did not come back" in result.err
    assert tool("--verify", "-qf", "a").err == ""


def test_blocks_that_were_put_right_are_told(tool: Tool) -> None:
    assert tool("a").code == 0
    tool.settings = {"repaired": 1}
    for arguments in (["-dc", "a.llmz"], ["-t", "a.llmz"]):
        result = tool(*arguments)
        assert (
            (result.code, len(result.lines)) == (0, 1)
            and "complete, but 1 of" in result.err
            and "put right" in result.err
        )
        assert tool("-q", *arguments).err == ""


def test_the_real_factory_takes_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the signature: making a codec loads no model."""
    from llmzip.codec import Codec

    assert isinstance(run.make_codec(Options()), Codec)
    with pytest.raises(UsageError):
        run.make_codec(Options(streams=10**9))


@pytest.mark.parametrize(("text", "size"), [("4096", 4096), ("512k", 524288), ("4M", 4 << 20), ("4 MiB", 4 << 20)])
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1", "4X", "1.5M", "0x10", "4MM"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ValueError):
        parse_size(text)


def test_names_are_safe_on_a_terminal(tool: Tool) -> None:
    name = b"evil\x1b[31m\nname\xff"
    result = tool(os.fsdecode(name))
    assert result.code == 1 and result.lines == [r"llmzip: evil\x1b[31m\nname\xff: No such file or directory"]
    Path(os.fsdecode(name)).write_bytes(b"text")
    assert tool(os.fsdecode(name)).code == 0
    assert os.path.exists(name + b".llmz")
    assert tool("info", os.fsdecode(name) + ".llmz").out.startswith(r"evil\x1b[31m\nname\xff.llmz:")


def test_longest_names(tool: Tool) -> None:
    name = "n" * 250
    os.rename("a", name)
    assert tool(name).code == 0 and os.path.exists(name + ".llmz")
    os.rename(name, name + "n" * 5)
    tool.fails(1, "File name too long", name + "n" * 5)


def test_verbose(tool: Tool) -> None:
    result = tool("-v", "a")
    size = os.path.getsize("a.llmz")
    assert len(result.lines) == 1 and f"llmzip: a: {len(TEXT)} -> {size} bytes, ratio " in result.err
    for word in (f"{8 * size / len(TEXT):.3f} bits/byte", "bits/char", "kB/s"):
        assert word in result.err
    assert "OK" in tool("-tv", "a.llmz").err
    Path("empty").touch()
    assert tool("-v", "empty").code == 0


def test_lists_of_commands_cut_nothing_short(tool: Tool) -> None:
    for words in ((), ("models",), ("lake",)):
        _, _, commands = tool(*words, "--help").out.partition("Commands:\n")
        rows = re.findall(r"^  [a-z-]+ +\S.*(?:\n {4,}.*)*", commands.partition("Exit status")[0], re.M)
        assert len(rows) > 3
        for row in rows:
            assert row.endswith(".") and not row.endswith("...") and row.count("(") == row.count(")")


def test_levels_have_names_as_of_gzip(tool: Tool) -> None:
    for option, level in (("--fast", 1), ("--best", 9), ("-1", 1), ("-5", 5)):
        assert tool(option, "-kf", "a").code == 0 and tool.options.level == level


def test_help_and_version(tool: Tool) -> None:
    for command in ([], ["compress"], ["decompress"], ["test"], ["info"], ["-d"]):
        for option in ("--help", "-h"):
            result = tool(*command, option)
            assert result.code == 0 and "Usage: llmzip" in result.out and "Exit status" in result.out
    assert tool("-d", "--help").out.startswith("Usage: llmzip [OPTIONS] [FILE]...\n")
    assert tool("--help", "-d").out == tool("--help").out
    assert tool("--version").out.startswith("llmzip ") and tool("-V").code == 0
    for command in ("compress", "test", "estimate", "compare", "rank-models", "models"):
        assert tool(command, "-V").out == tool("-V").out
    for words in ([], ["compress"], ["models", "add"]):
        assert tool("help", *words).out == tool(*words, "--help").out
    tool.fails(2, "no command 'models nonsense'", "help", "models", "nonsense")
    tool.fails(2, "no command 'test a'", "help", "test", "a")


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can give files away")
def test_owner(tool: Tool) -> None:
    os.chown("a", 12345, 23456)
    assert tool("a").code == 0
    status = os.stat("a.llmz")
    assert (status.st_uid, status.st_gid) == (12345, 23456)


def test_group_that_cannot_be_kept_gets_no_rights(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    def fchown(*_: object) -> None:
        raise PermissionError(errno.EPERM, "no")

    monkeypatch.setattr(os, "fchown", fchown)
    os.chmod("a", 0o674)
    assert tool("a").code == 0
    assert stat.S_IMODE(os.stat("a.llmz").st_mode) == 0o644


def commands(command, path=("llmzip",)):
    """Every command and subcommand with its name."""
    yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), (*path, name))


def test_no_command_looks_at_files_before_it_begins():
    """Click would end the whole call because of one file that cannot be read."""
    types = [p.type for _, command in commands(main.program) for p in [*command.params, *main.bare.params]]
    paths = [each for each in types if isinstance(each, click.Path)]
    assert len(paths) > 5 and not any(path.readable or path.exists for path in paths)


def test_a_parameter_means_the_same_in_every_command():
    """Options are filled by the names of parameters: one of another meaning under the same name would get there too."""
    from dataclasses import fields

    flags: dict[str, set[str]] = {field.name: set() for field in fields(Options)}
    for option in main.bare.params:
        flags.get(option.name, set()).update(option.opts)
    wrong = [
        (name, option.opts)
        for name, command in commands(main.program)
        for option in command.params
        if isinstance(option, click.Option) and flags.get(option.name) and not flags[option.name] & set(option.opts)
    ]
    assert not wrong


def test_every_option_is_documented(corpora):
    from llmzip.cli.main import bare, program

    pages = corpora.parent / "docs"
    documented = "".join(page.read_text() for page in pages.glob("*.md"))
    missing = []
    for name, command in [*commands(program), ("llmzip", bare)]:
        for option in command.params:
            for flag in (
                [*option.opts, *option.secondary_opts] if hasattr(option, "hidden") and not option.hidden else ()
            ):
                if flag.startswith("--") and not re.search(re.escape(flag) + r"(?![\w-])", documented):
                    missing.append(f"{name} {flag}")
    assert not missing
