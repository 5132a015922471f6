"""Completion in the real shells: keys are typed into bash and zsh at a terminal, fish is asked by its own `complete`."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmzip.cli import main

LIMIT = 60
PROMPT = b"READY> "
# What is typed before the tab, and the line as it is afterwards.
TYPED = [
    ("llmzip compr", "llmzip compress "),
    ("llmzip models ver", "llmzip models verify "),
    ("llmzip --uncom", "llmzip --uncompress "),
    ("llmzip -d --std", "llmzip -d --stdout "),
    ("llmzip pla", "llmzip plain "),
    ("llmzip -o xyz two", "llmzip -o xyz two\\ words.txt "),
    ("llmzip --context pla", "llmzip --context plain "),
    ("llmzip cat --model my-o", "llmzip cat --model my-own "),
    ("llmzip distance --measure cond", "llmzip distance --measure conditional "),
    ("llmzip distance --by gz", "llmzip distance --by gzip "),
    ("llmzip help ran", "llmzip help rank-models "),
]
FEW = [TYPED[i] for i in (0, 3, 5, 7)]  # each starts Python

# The line goes to a file with control-g, as the shell has it, and is forgotten.
STARTS = {
    "bash": (
        'eval "$(llmzip completion bash)"\n'
        'show() { printf "%s\\n" "$READLINE_LINE" >> shown; READLINE_LINE=; }\n'
        "bind -x '\"\\C-g\": show'\n"
    ),
    "zsh": (
        "autoload -Uz compinit; compinit -u -D\n"
        'eval "$(llmzip completion zsh)"\n'
        'show() { print -r -- "$BUFFER" >> shown; BUFFER= }\n'
        "zle -N show; bindkey '^G' show\n"
    ),
}
COMMANDS = {"bash": ["bash", "--noprofile", "--rcfile", ".bashrc", "-i"], "zsh": ["zsh", "-i"]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files, a registered model, and the command under test in the path."""
    monkeypatch.chdir(tmp_path)
    Path("bin").mkdir()
    Path("bin/llmzip").write_text(f'#!/bin/sh\nexec {sys.executable} -m llmzip "$@"\n')
    os.chmod("bin/llmzip", 0o755)
    for name in ("plain", "two words.txt"):
        Path(name).write_text("text")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    monkeypatch.setenv("LLMZIP_DATA", str(tmp_path / "data"))
    from llmzip.model import registry

    registry.add(registry.Entry("my-own", str(tmp_path / "plain"), "0" * 16, ""))
    return tmp_path


class Terminal:
    """An interactive shell on a terminal of its own."""

    def __init__(self, shell: str) -> None:
        Path(f".{shell}rc").write_text(f"PS1='{PROMPT.decode()}'\n{STARTS[shell]}")
        self._terminal, theirs = pty.openpty()
        settings = os.environ | {"ZDOTDIR": os.getcwd(), "TERM": "dumb", "HOME": os.getcwd()}
        self._child = subprocess.Popen(
            COMMANDS[shell],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=settings,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        self._read = b""
        self._until(lambda: PROMPT in self._read)

    def _until(self, condition) -> None:
        ends = time.monotonic() + LIMIT
        while not condition():
            if select.select([self._terminal], [], [], 0.05)[0]:
                self._read += os.read(self._terminal, 4096)
            assert time.monotonic() < ends, self._read

    def completed(self, typed: str) -> str:
        """The line after a tab."""
        shown = Path("shown")
        shown.unlink(missing_ok=True)
        os.write(self._terminal, typed.encode() + b"\t\x07")
        self._until(lambda: shown.exists() and shown.read_bytes().endswith(b"\n"))
        return shown.read_text().removesuffix("\n")

    def close(self) -> None:
        self._child.kill()
        self._child.wait()
        os.close(self._terminal)


@pytest.fixture(params=["bash", "zsh"])
def terminal(request: pytest.FixtureRequest, folder: Path) -> Iterator[Terminal]:
    """A shell that has read what `llmzip completion` prints."""
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")
    made = Terminal(request.param)
    yield made
    made.close()


def test_keys_are_completed(terminal: Terminal) -> None:
    assert [terminal.completed(typed) for typed, _ in FEW] == [line for _, line in FEW]


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_is_offered_the_same(folder: Path) -> None:
    asked = "".join(f"complete -C '{typed}'; echo ---\n" for typed, _ in FEW)
    script = f"llmzip completion fish | source\n{asked}"
    settings = os.environ | {"HOME": str(folder)}
    found = subprocess.run(
        ["fish", "--private", "-c", script], env=settings, capture_output=True, text=True, timeout=LIMIT
    )
    offered = [[line.split("\t")[0] for line in part.splitlines()] for part in found.stdout.split("---\n")[:-1]]
    assert offered == [["compress"], ["--stdout"], ["two words.txt"], ["my-own"]], found


@pytest.mark.parametrize(("typed", "line"), TYPED)
def test_every_kind_of_word(folder: Path, typed: str, line: str) -> None:
    """As shells ask, without a shell."""
    from click.shell_completion import ShellComplete

    words = typed.split(" ")
    asked = ShellComplete(main.program, {}, "llmzip", "_LLMZIP_COMPLETE")
    found = asked.get_completions(words[1:-1], words[-1])
    wanted = line.rsplit(" ", 1)[0].split(" ")[-1]
    if words[-1] in ("pla", "two"):  # names of files are the shell's own business; it is asked for them
        assert any(item.type == "file" and item.value == words[-1] for item in found)
    else:
        assert wanted in [item.value for item in found if item.type == "plain"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main._execute(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "_LLMZIP_COMPLETE" in script and "llmzip" in script
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=script.encode(), timeout=LIMIT).returncode == 0


def test_a_shell_that_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main._execute(["completion", "tcsh"]) == 2
    assert "tcsh" in capsys.readouterr().err
