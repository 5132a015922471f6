"""Options from LLMZIP_OPTS, LLMZIP_MODEL and the configuration file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llmzip.cli import main, run
from llmzip.codec import Codec
from llmzip.errors import ModelError


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> Any:
    """Runs the command up to the codec; tells its exit code, messages and the options that were meant for the codec."""
    monkeypatch.chdir(tmp_path)
    Path("a").write_bytes(b"text")
    seen = SimpleNamespace(options=None)

    def make(options: Any) -> Any:
        seen.options = options
        raise ModelError("no model today")

    monkeypatch.setattr(run, "make_codec", make)

    def call(*arguments: str) -> SimpleNamespace:
        seen.options = None
        code = main._execute(list(arguments))
        return SimpleNamespace(code=code, err=capfd.readouterr().err, options=seen.options)

    return call


def test_options_from_the_environment_come_first(tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMZIP_OPTS", "-9 -T1 --no-mix --model 'two words' -f")
    options = tool("a").options
    assert (options.level, options.threads, options.mix, options.model, options.force) == (
        9,
        1,
        False,
        "two words",
        True,
    )
    options = tool("-4", "--mix", "a", "--model", "m").options
    assert (options.level, options.threads, options.mix, options.model) == (4, 1, True, "m")
    options = tool("compress", "a").options
    assert (options.level, options.mix) == (9, False)
    # What a command has no option for is passed over.
    Path("a.llmz").touch()
    options = tool("decompress", "-c", "a.llmz").options
    assert (options.level, options.threads, options.mix, options.model) == (6, 1, True, "two words")
    monkeypatch.setenv("LLMZIP_OPTS", "  ")
    assert tool("-f", "a").options.level == 6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("--nonsense", "No such option"),
        ("-T many", "'-T'"),
        ("-9 file", "file is no option"),
        ("'", "quotation"),
        ("-o", "requires an argument"),
    ],
)
def test_wrong_options_are_told_with_their_source(
    tool: Any, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    monkeypatch.setenv("LLMZIP_OPTS", text)
    for command in ([], ["compress"], ["test"]):
        result = tool(*command, "a")
        assert result.code == 2 and result.err.startswith("llmzip: LLMZIP_OPTS: ") and words in result.err
        assert len(result.err.splitlines()) == 1


def test_configuration_file(tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("config.toml").write_text('model = "~/models/m.gguf"\nthreads = 1\n')
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("LLMZIP_CONFIG", "config.toml")
    options = tool("a").options
    assert (options.model, options.threads) == ("/home/somebody/models/m.gguf", 1)
    monkeypatch.setenv("LLMZIP_MODEL", "by-variable")
    assert tool("a").options.model == "by-variable"
    options = tool("a", "--model", "by-option", "-T2").options
    assert (options.model, options.threads) == ("by-option", 2)
    # A default says nothing about files that need no network; an option does.
    assert tool("-1", "a").options.model is None
    result = tool("-1", "--model", "m", "a")
    assert result.code == 2 and "level 1 uses no" in result.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense = 1", "no setting 'nonsense': there are model, threads"),
        ("model = 1", "model must be a text, not 1"),
        ("threads = true", "threads must be a whole number from 0, not True"),
        ("threads = -1", "threads must be a whole number from 0, not -1"),
        ("model", "Expected"),
    ],
)
def test_wrong_configuration(tool: Any, monkeypatch: pytest.MonkeyPatch, text: str, words: str) -> None:
    Path("config.toml").write_text(text)
    monkeypatch.setenv("LLMZIP_CONFIG", "config.toml")
    result = tool("a")
    assert result.code == 2 and "config.toml: " in result.err and words in result.err
    assert tool("--help").code == 0
    monkeypatch.setenv("LLMZIP_CONFIG", "missing.toml")
    assert "missing.toml, which is not there" in tool("a").err


def test_the_users_folder_of_settings(tool: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LLMZIP_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tool("a").options.threads == 0
    from llmzip.model.places import config_file

    config_file().parent.mkdir(parents=True)
    config_file().write_text("threads = 2")
    assert tool("a").options.threads == 2


def test_a_default_model_is_only_used_where_it_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMZIP_MODEL", "nosuch.gguf")
    Path("a").write_bytes(b"The harbour of the town and the ships of the sea.\n")
    assert main._execute(["-1", "a"]) == 0
    assert main._execute(["-d", "a.llmz", "-o", "b"]) == 0
    with Codec() as codec:
        assert codec.decompress(Path("a.llmz").read_bytes()) == Path("b").read_bytes() == Path("a").read_bytes()


def test_more_threads_than_cores(tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from llmzip.codec.choice import bounded
    from llmzip.model.threads import usable_cores

    assert [bounded(wanted) for wanted in (0, 1, 4096)] == [0, 1, usable_cores()]
