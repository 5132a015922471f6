"""Options from LLMZIP_OPTS, LLMZIP_MODEL and the configuration file."""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from llmzip.cli import defaults, main, run
from llmzip.codec import Codec
from llmzip.errors import LlmzipError, ModelError, UsageError
from llmzip.model import places, registry


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


@pytest.mark.parametrize("home", [None, ""])
def test_a_user_without_a_home(tool: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: str | None) -> None:
    """As in containers that run under any number: nothing is kept, and nothing appears in a folder called ~ or below the root."""

    def nobody(number: int) -> NoReturn:
        raise KeyError(number)

    for variable in [name for name in os.environ if name.startswith(("XDG_", "LLMZIP_"))]:
        monkeypatch.delenv(variable)
    monkeypatch.delenv("HOME") if home is None else monkeypatch.setenv("HOME", home)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    if home is None:
        for folder in (places.cache_folder(), places.data_folder(), places.config_file().parent):
            assert folder == Path("/dev/null/llmzip")
        assert registry.entries() == {}
        with pytest.raises(LlmzipError, match="cannot change the list of models"):
            registry.add(registry.Entry("m", "x", "00" * 8))
    before = sorted(os.listdir())
    assert tool("a").options.threads == 0
    assert sorted(os.listdir()) == before


@contextmanager
def somebody() -> Iterator[None]:
    """One whom the system refuses things."""
    root = os.geteuid() == 0
    if root:
        os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        if root:
            os.setresuid(0, 0, 0)


def test_settings_of_a_home_that_is_another_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """`su` and `sudo` may leave HOME as it was. What is refused in one's own folder is told."""
    monkeypatch.delenv("LLMZIP_CONFIG")
    with tempfile.TemporaryDirectory() as home:
        os.chmod(home, 0o755)
        monkeypatch.setenv("XDG_CONFIG_HOME", home)
        path = places.config_file()
        path.parent.mkdir()
        path.touch(0)
        with somebody(), pytest.raises(UsageError, match="Permission denied"):
            defaults.from_file()
        path.parent.chmod(0)
        with somebody():
            assert defaults.from_file() == {}
        path.parent.chmod(0o755)


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
