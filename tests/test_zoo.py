"""The zoo of tests/files: what must be read is, and what must be refused is, at once and by name."""

from __future__ import annotations

import io
import re
import sys
import time
from pathlib import Path

import pytest

from llmzip.cli import main
from llmzip.codec import Codec
from llmzip.errors import LlmzipError

FILES = Path(__file__).parent / "files"
ROWS = re.findall(r"^\| `([\w-]+)` \| (.*) \| (\d) \| (.*) \|$", (FILES / "README.md").read_text(), re.M)


@pytest.fixture(scope="module")
def codec():
    with Codec(threads=1) as codec:
        codec.decompress((FILES / "good-model-network.llmz").read_bytes())  # loaded, not to be counted below
        yield codec


def test_every_file_is_described() -> None:
    assert sorted(name for name, *_ in ROWS) == sorted(path.stem for path in FILES.glob("*.llmz"))
    assert {name.partition("-")[0] for name, *_ in ROWS} == {"good", "bad", "unsupported"}


@pytest.mark.parametrize(("name", "what", "status", "says"), ROWS, ids=[name for name, *_ in ROWS])
def test_file(name: str, what: str, status: str, says: str, codec: Codec) -> None:
    file = FILES / f"{name}.llmz"
    began = time.process_time()
    try:
        codec.decompress_stream(io.BytesIO(file.read_bytes()), io.BytesIO())
        found, words = 0, ""
    except LlmzipError as error:
        found, words = error.exit_code, str(error)
    assert found == int(status) and (found == 0) == name.startswith("good")
    assert any(wanted in words for wanted in says.split(" or ")), words
    assert "\x1b" not in words and len(words) < 900
    assert time.process_time() - began < 5


def test_the_command_says_the_same(capsys: pytest.CaptureFixture) -> None:
    names = [row for row in ROWS if not row[0].startswith("good")][::4]
    for name, _, status, says in names:
        assert main._execute(["test", str(FILES / f"{name}.llmz")]) == int(status)
        (line,) = capsys.readouterr().err.splitlines()
        assert any(wanted in line for wanted in says.split(" or ")) and line.isprintable()


def test_listing_hostile_names_is_safe(capsys: pytest.CaptureFixture) -> None:
    for name in ("good-name-escapes", "good-name-long", "good-name-command"):
        assert main._execute(["info", str(FILES / f"{name}.llmz")]) == 0
        shown = capsys.readouterr().out
        assert "\x1b" not in shown and len(shown) < 2000 and "`" not in shown


def test_the_script_makes_these_files() -> None:
    """All that does not depend on libraries or on the bitstream of model blocks."""
    sys.path.insert(0, str(FILES.parent.parent / "tools"))
    import zoo

    for cases in (zoo.bad(), zoo.unsupported()):
        for name, data, *_ in cases:
            if not re.match("bad-(zstd|xz|brotli)", name):
                assert (FILES / f"{name}.llmz").read_bytes() == data, f"{name}: run `python tools/zoo.py`"
