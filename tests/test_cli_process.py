"""The command as a process: pipes, signals, terminals, full disks, tar, imports."""

from __future__ import annotations

import json
import os
import pty
import resource
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_standin import command

TEXT = b"".join(b"line %d\n" % i for i in range(30_000))
LIMIT = 60
"""Seconds after which a process counts as hung."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    (tmp_path / "a").write_bytes(TEXT)
    return tmp_path


def run(*arguments: str, stdin: bytes = b"", **settings: object) -> subprocess.CompletedProcess:
    return subprocess.run(command(*arguments, **settings), input=stdin, capture_output=True, timeout=LIMIT)


def shell(script: str) -> subprocess.CompletedProcess:
    """Bash with `llmzip` as the command under test."""
    Path("bin").mkdir(exist_ok=True)
    Path("bin/llmzip").write_text(f'#!/bin/sh\nexec {shlex.join(command())} "$@"\n')
    os.chmod("bin/llmzip", 0o755)
    environment = os.environ | {"PATH": f"{os.getcwd()}/bin:{os.environ['PATH']}"}
    return subprocess.run(["bash", "-c", script], env=environment, capture_output=True, timeout=LIMIT)


def test_filter() -> None:
    packed = run(stdin=TEXT)
    assert packed.returncode == 0 and not packed.stderr and packed.stdout.startswith(b"\xecLZ\r\n")
    for arguments in ("-d", "-dc", "decompress", "decompress -", "-d -o -", "-d -o /dev/stdout"):
        restored = run(*arguments.split(), stdin=packed.stdout)
        assert (restored.returncode, restored.stdout, restored.stderr) == (0, TEXT, b"")
    assert run("-t", stdin=packed.stdout).returncode == 0
    assert run("compress", "-", stdin=TEXT).stdout == packed.stdout
    assert run("-c", "a").stdout == packed.stdout
    joined = run("-c", "a", "-", "a", stdin=b"between")
    assert run("-d", stdin=joined.stdout).stdout == TEXT + b"between" + TEXT
    assert run("-o", "b.llmz", stdin=TEXT).returncode == 0
    mask = os.umask(0)
    os.umask(mask)
    assert os.stat("b.llmz").st_mode & 0o777 == 0o666 & ~mask
    assert json.loads(run("info", "--json", stdin=packed.stdout).stdout)["files"][0]["original"] == len(TEXT)


def test_pipes_and_redirections() -> None:
    assert shell("set -o pipefail; llmzip < a > b && llmzip -d < b | cmp - a").returncode == 0
    assert shell("cat a | llmzip | cat b - | llmzip -d | wc -c").stdout.split() == [b"%d" % (2 * len(TEXT))]
    assert shell("llmzip -c <(cat a) | llmzip -d | cmp - a").returncode == 0
    same = shell("llmzip -c a >> a")
    assert same.returncode == 1 and b"same file" in same.stderr and Path("a").read_bytes() == TEXT


def test_tar() -> None:
    Path("folder/deep").mkdir(parents=True)
    Path("folder/deep/a").write_bytes(TEXT)
    result = shell("set -e; tar -I llmzip -cf x.tar.llmz folder; rm -r folder; tar -I llmzip -xf x.tar.llmz")
    assert result.returncode == 0 and not result.stderr, result
    assert Path("folder/deep/a").read_bytes() == TEXT
    os.truncate("x.tar.llmz", os.path.getsize("x.tar.llmz") - 1)
    assert shell("tar -I llmzip -xf x.tar.llmz").returncode != 0
    with_options = shell("tar -I 'llmzip --no-mix -T1' -cf y.tar.llmz folder; tar -I 'llmzip --no-mix' -tf y.tar.llmz")
    assert with_options.returncode == 0 and b"folder/deep/a" in with_options.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("arguments", [["--rm", "a"], ["-f", "a", "-o", "old"], ["-d", "--rm", "p.llmz"]], ids=" ".join)
def test_signals_leave_nothing(number: int, arguments: list[str]) -> None:
    assert run("a", "-o", "p.llmz").returncode == 0
    Path("old").write_bytes(b"old")
    before = {name: Path(name).read_bytes() for name in os.listdir()}
    process = subprocess.Popen(command(*arguments, ready="/dev/stdout", delay=LIMIT), stderr=subprocess.PIPE)
    deadline = time.monotonic() + LIMIT
    while not [name for name in os.listdir() if name.endswith(".tmp") and os.path.getsize(name)]:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    assert process.communicate(timeout=LIMIT)[1] == b""
    assert process.returncode == 128 + number
    assert {name: Path(name).read_bytes() for name in os.listdir()} == before


def test_ignored_signals_stay_ignored() -> None:
    script = f"trap '' HUP; {shlex.join(command('a', delay=0.3))} & sleep 0.5; kill -HUP $!; wait $!"
    assert subprocess.run(["bash", "-c", script], timeout=LIMIT).returncode == 0
    assert run("-t", "a.llmz").returncode == 0


def test_a_reader_that_leaves_is_no_news() -> None:
    assert run("a").returncode == 0
    Path("big").write_bytes(TEXT * 2)
    for script in ("llmzip -d -c a.llmz | head -c 5", "yes | head -c 50000000 | llmzip | head -c 5"):
        result = shell(script + " > /dev/null; echo ${PIPESTATUS[@]}")
        # What fits a pipe's buffer is written before the reader leaves.
        assert result.stderr == b"" and result.stdout.split()[-2] in (b"0", b"1")
    assert shell("(sleep 0.1; llmzip -c big; echo $? >&2) | true").stderr == b"1\n"
    assert shell("(sleep 0.1; llmzip -dc a.llmz; echo $? >&2) | true").stderr == b"1\n"
    assert shell("(sleep 0.1; llmzip info a.llmz; echo $? >&2) | true").stderr == b"1\n"
    assert shell("mkdir d && cp a.llmz d/a.llmz && cp a.llmz d/b.llmz && cp a d/c").returncode == 0
    for options in ("-rl", "-rlv", "-rdc", "-rdc --jobs 2"):
        assert shell(f"(sleep 0.1; llmzip {options} d; echo $? >&2) | true").stderr == b"1\n"


def test_full_disk() -> None:
    assert run("a").returncode == 0
    for script in ("llmzip -c a > /dev/full", "llmzip -dc a.llmz > /dev/full", "llmzip info a.llmz > /dev/full"):
        result = shell(script)
        assert result.returncode == 1 and b"No space left" in result.stderr and len(result.stderr.splitlines()) == 1
    before = sorted(os.listdir())
    process = subprocess.run(
        command("-d", "a.llmz", "-o", "b"),
        capture_output=True,
        timeout=LIMIT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert process.returncode == 1 and b"File too large" in process.stderr and sorted(os.listdir()) == before


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors(closed: str) -> None:
    """A closed stream fails or goes unused; it is never replaced by the file that is being worked on."""
    assert shell(f"llmzip a {closed}").returncode == 0
    assert run("-d", "a.llmz", "-o", "b").returncode == 0 and Path("b").read_bytes() == TEXT
    if ">&-" in closed.replace("2>&-", ""):
        assert shell(f"llmzip -c a {closed}").returncode == 1
        assert shell(f"llmzip info a.llmz {closed}").returncode == 1
    if "<" in closed:
        assert shell(f"llmzip -o c {closed}").returncode == 1 and not os.path.exists("c")
    assert Path("a").read_bytes() == TEXT


def test_words_for_a_closed_stderr_go_nowhere_else() -> None:
    """Least of all into the compressed data."""
    sound = run("-c", "a").stdout
    for script in ("llmzip -v -c a 2>&-", "llmzip -c a missing 2>&-", "llmzip --debug -c a missing 2>&-"):
        assert shell(script).stdout == sound


@pytest.mark.parametrize("words", ["--help", "--version", "models", "models list --json", "man", "completion bash"])
def test_a_closed_stdout_is_told_by_whatever_writes_to_it(words: str) -> None:
    result = shell(f"llmzip {words} >&-")
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1, result


@pytest.mark.parametrize("words", ["info a.llmz", "-l a.llmz", "text word", "models", "--help"])
def test_in_words_of_its_own(words: str) -> None:
    result = shell(f"llmzip a && llmzip {words} >&-")
    assert result.returncode in (1, 2) and b"standard output is closed" in result.stderr, result
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("coding", ["ascii", "latin-1", "ascii:strict"])
def test_names_that_standard_output_cannot_spell(coding: str) -> None:
    Path("Hafen am Möwenstein €.txt").write_bytes(TEXT)
    result = shell(
        f"set -e; export PYTHONIOENCODING={coding} LC_ALL=C.UTF-8; llmzip Hafen*.txt; llmzip -l *.llmz; llmzip info *.llmz"
    )
    assert (result.returncode, result.stderr) == (0, b"") and result.stdout.count(b"\\u20ac.txt.llmz") == 2


class Terminal:
    """A process whose chosen descriptors are a terminal."""

    def __init__(self, *arguments: str, ends: tuple[int, ...], **settings: object) -> None:
        self.master, slave = pty.openpty()
        streams = {name: slave for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)) if number in ends}
        default = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command(*arguments, **settings), **(default | streams))
        os.close(slave)

    def finish(self) -> tuple[int, bytes, bytes]:
        """Exit code, what the terminal showed, what went to the pipes."""
        shown = b""
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    data = os.read(self.master, 65536)
                except OSError:
                    break
                if not data:
                    break
                shown += data
            elif self.process.poll() is not None:
                break
        out, err = self.process.communicate(timeout=LIMIT)
        os.close(self.master)
        return self.process.returncode, shown, (out or b"") + (err or b"")


def test_compressed_data_and_terminals() -> None:
    assert run("a").returncode == 0
    for arguments in (["-c", "a"], ["compress", "-c", "a"], ["-o", "-", "a"], ["-"]):
        code, shown, words = Terminal(*arguments, ends=(1,)).finish()
        assert code == 1 and not shown and b"not written to a terminal" in words
    code, shown, words = Terminal("-fc", "a", ends=(1,)).finish()
    assert code == 0 and shown.startswith(b"\xecLZ")
    code, shown, words = Terminal("-dc", "a.llmz", ends=(1,)).finish()
    assert code == 0 and shown.replace(b"\r\n", b"\n") == TEXT
    for arguments in (["-d"], ["decompress", "-"], ["-t"], ["info", "-"], ["-d", "-o", "b"]):
        code, shown, words = Terminal(*arguments, ends=(0,)).finish()
        assert code == 1 and b"not read from a terminal" in words and not os.path.exists("b")
    code, shown, words = Terminal(ends=(0, 1)).finish()
    assert code == 2 and words.startswith(b"Usage: llmzip") and len(words.splitlines()) == 1


def test_what_is_typed_is_read_where_the_output_can_take_it() -> None:
    for arguments in (["-c"], [], ["-"]):
        terminal = Terminal(*arguments, ends=(0,))
        os.write(terminal.master, b"typed\n\x04")  # Ctrl-D, once
        code, _, packed = terminal.finish()
        assert code == 0
        assert run("-d", stdin=packed).stdout == b"typed\n"
    Path("list").write_text("a\n")
    assert Terminal("--files-from", "list", ends=(0, 1)).finish()[0] == 0
    assert run("-t", "a.llmz").returncode == 0


def test_progress_only_on_a_terminal() -> None:
    code, shown, _ = Terminal("a", ends=(2,), delay=0.15).finish()
    assert code == 0 and b"a: " in shown and b"B/s" in shown and b"%" in shown
    code, shown, _ = Terminal("-d", "a.llmz", "-o", "b", ends=(2,), delay=0.15).finish()
    assert code == 0 and b"%" in shown
    for quiet in ("-q", "--no-progress"):
        assert Terminal("-t", quiet, "a.llmz", ends=(2,), delay=0.15).finish()[:2] == (0, b"")
    assert run("-t", "a.llmz", delay=0.15).stderr == b""


def test_the_model_is_loaded_once() -> None:
    Path("b").write_bytes(b"b")
    assert run("a", "b", log="log").returncode == 0
    assert Path("log").read_text() == "made\n"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["compress", "--help"], ["--nonsense"], ["missing"]])
def test_nothing_heavy_is_imported_early(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom llmzip.cli.main import main\ntry: main()\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'llama_cpp', 'constriction', 'tqdm', 'zstandard', 'brotli', 'gguf'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    result = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, timeout=LIMIT)
    assert result.returncode == 0, result.stderr


def test_module_and_exit_codes() -> None:
    for arguments, code in [(["--version"], 0), (["--nonsense"], 2), (["-d", "missing.llmz"], 1), (["-t", "a"], 3)]:
        result = subprocess.run([sys.executable, "-m", "llmzip", *arguments], capture_output=True, timeout=LIMIT)
        assert result.returncode == code, result
        assert b"Traceback" not in result.stderr


REAL = [sys.executable, "-m", "llmzip"]


@pytest.mark.parametrize(
    "script", ["--gpu-layers 3 -c prose", "--model nosuch.gguf -c a", "-c <&-", "-1 -c <&-", "-1 -c missing", "-1 -c ."]
)
def test_nothing_is_written_before_input_and_codec_are_there(script: str) -> None:
    Path("prose").write_text(
        "The old harbour slept under the snow, and nobody had heard of the ship since the autumn. "
    )
    result = subprocess.run(["bash", "-c", f"{shlex.join(REAL)} {script}"], capture_output=True, timeout=LIMIT)
    assert result.returncode != 0 and len(result.stderr.splitlines()) == 1, result
    assert result.stdout == b""


def test_formats_exclude_each_other_and_models_alone_lists() -> None:
    result = subprocess.run([*REAL, "estimate", "--json", "--csv", "a"], capture_output=True, timeout=LIMIT)
    assert result.returncode == 2 and b"--json and --csv are two formats" in result.stderr and not result.stdout
    result = subprocess.run([*REAL, "models"], capture_output=True, timeout=LIMIT)
    assert result.returncode == 0 and result.stdout.startswith(b"built-in  ")
    result = subprocess.run([*REAL, "models", "add", "nosuch.gguf"], capture_output=True, timeout=LIMIT)
    assert result.returncode == 4 and b"--model" not in result.stderr


@pytest.mark.parametrize(("value", "bold"), [(None, True), ("", True), ("1", False)])
def test_no_color(value: str | None, bold: bool) -> None:
    environment = {name: text for name, text in os.environ.items() if name != "NO_COLOR"}
    environment |= {} if value is None else {"NO_COLOR": value}
    master, slave = pty.openpty()
    script = (
        "from llmzip.cli.measuring import emit\nfrom llmzip.report.output.tables import Table, Column\n"
        "emit('table', lambda: [Table('a title', [Column('a', 'a')], [{'a': 1}])], list, dict)"
    )
    subprocess.run([sys.executable, "-c", script], stdout=slave, env=environment, timeout=LIMIT, check=True)
    os.close(slave)
    shown = os.read(master, 65536)
    os.close(master)
    assert b"titl" in shown and (b"\x1b[" in shown) == bold
