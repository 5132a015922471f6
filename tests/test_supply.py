"""What is not trusted stays data: no code from files, no names that lead elsewhere, nothing that moves the terminal's cursor."""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path

import pytest

from llmzip.cli import main
from llmzip.errors import UsageError
from llmzip.model import hub, registry

ROOT = Path(__file__).parent.parent
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "code", "codeop"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "system", "popen"}


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMZIP_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_no_code_comes_from_data() -> None:
    for path in (ROOT / "llmzip").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            where = f"{path}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                assert not {alias.name.partition(".")[0] for alias in node.names} & FORBIDDEN_MODULES, where
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] not in FORBIDDEN_MODULES, where
            elif isinstance(node, ast.Call):
                if isinstance(node.func, ast.Name):
                    assert node.func.id not in FORBIDDEN_CALLS, where
                elif isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
                    name = f"{node.func.value.id}.{node.func.attr}"
                    assert name not in {"os.system", "os.popen", "yaml.load", "torch.load"}, where
                for keyword in node.keywords:
                    shell = keyword.arg == "shell" and not (
                        isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                    )
                    pickled = keyword.arg == "allow_pickle"
                    assert not shell and not pickled, where


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "/etc/x", "a\\b", ".hidden", "-x", "a b", "a\nb", "x" * 101, "\x1b[31m", "built-in"],
)
def test_names_cannot_leave_the_registry(name: str) -> None:
    with pytest.raises(UsageError):
        registry.check_name(name)


@pytest.mark.parametrize(
    "address",
    (
        "hf:../x hf:a/.. hf:a--b/c hf:a/b/../c.gguf hf:a/b//c.gguf hf:/etc/passwd hf:a hf: a/b hf:a/b/c.bin hf:a/b/\\c.gguf "
        "hf:a/\x1b[31mb hf:-a/b hf:a/b/\x00.gguf hf:" + "a" * 97 + "/b"
    ).split(" "),
)
def test_addresses_cannot_leave_the_hub(address: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(UsageError):
        hub.HubModel.parse(address)
    if "\x00" not in address and address.startswith("hf:"):
        assert main._execute(["models", "pull", address]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.isprintable() and "is no address of a model" in line


def test_what_the_list_of_models_says_is_escaped(data: Path, capsys: pytest.CaptureFixture) -> None:
    """It may have been written by others, and paths may hold anything."""
    evil = "/tmp/\x1b]0;evil\x07\n.gguf"
    document = {"version": 1, "models": {"x\x1b[2J": {"path": evil, "identity": "00" * 8, "source": ""}}}
    (data / "data").mkdir()
    (data / "data" / "models.json").write_text(json.dumps(document))
    for arguments in (
        ["models", "list"],
        ["models", "verify"],
        ["models", "remove", "x\x1b[2J"],
        ["models", "list", "--json"],
    ):
        main._execute(arguments)
        shown = capsys.readouterr()
        assert "\x1b" not in shown.out + shown.err and "\x07" not in shown.out + shown.err, arguments


def test_files_of_models_with_odd_names_are_escaped(data: Path, capsys: pytest.CaptureFixture) -> None:
    from tiny_models import tiny_model

    path = tiny_model(data / "m\x1b[31m\x07.gguf")
    for arguments in (["models", "info", str(path)], ["models", "add", str(path), "--name", "m"], ["models", "list"]):
        main._execute(arguments)
        shown = capsys.readouterr()
        assert "\x1b" not in shown.out + shown.err and "\x07" not in shown.out + shown.err, arguments
        assert shown.out


def test_the_lock_file_pins_everything() -> None:
    lines = (ROOT / "requirements-dev.lock").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert len(pins) > 30 and all(re.fullmatch(r"[A-Za-z0-9._-]+==[\w.+!]+", pin) for pin in pins)
    names = {pin.partition("==")[0].lower().replace("_", "-") for pin in pins}
    assert {
        "llama-cpp-python",
        "numpy",
        "constriction",
        "click",
        "zstandard",
        "brotli",
        "pytest",
        "hypothesis",
        "ruff",
        "mypy",
    } <= names


def test_new_outputs_are_private_until_they_are_whole(data: Path) -> None:
    """Nobody else reads half a file, or plants a link in its place."""
    from llmzip.cli.files import Input, OutputFile

    (data / "a").write_bytes(b"x")
    with Input("a", follow=False) as source, OutputFile("b", source, binary=True, force=False) as output:
        (temporary,) = data.glob(".llmzip-*")
        assert temporary.stat().st_mode & 0o777 == 0o600
        output.stream.write(b"y")
    assert sorted(path.name for path in data.iterdir()) == ["a", "b"] and os.stat("b").st_size == 1
