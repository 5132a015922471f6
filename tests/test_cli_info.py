"""`llmzip info`: the table and the JSON document."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from llmzip.cli import main
from llmzip.codec.head import BlockHead
from llmzip.coding.table_file import IDENTITY
from llmzip.container import Block, BlockKind, Header, MemberWriter, classic, read_members
from llmzip.version import __version__

MODEL = bytes.fromhex("0011223344556677")
HEADER = Header(mixing=True, tolerance=30, context=512, parts=4, model=MODEL, extras={2: b"some model"})


def payload(tokens: int, streams: int) -> bytes:
    """The payload of a model block, with some code."""
    return BlockHead(False, tokens, streams, []).payload(bytes(100))


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.chdir(tmp_path)
    sink = io.BytesIO()
    writer = MemberWriter(sink, HEADER)
    writer.write_block(BlockKind.MODEL, bytes(3000), payload(900, 4))
    writer.write_block(BlockKind.MODEL, bytes(2000), payload(600, 32))
    writer.write_block(BlockKind.RAW, b"raw", b"raw")
    writer.finish()
    MemberWriter(sink, HEADER).finish()
    exact = MemberWriter(
        sink,
        Header(
            exact=True,
            mixing=False,
            continued=True,
            context=64,
            parts=2,
            model=bytes(8),
            extras={3: bytes([1]) + b"a  probe"},
        ),
    )
    exact.write_block(BlockKind.XZ, b"x" * 1000, classic.encode(BlockKind.XZ, b"x" * 1000))
    exact.finish()
    Path("sample.llmz").write_bytes(sink.getvalue())
    return sink.getvalue()


def test_json(sample: bytes, capsys: pytest.CaptureFixture) -> None:
    assert main._execute(["info", "--json", "sample.llmz"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["llmzip"] == __version__
    (file,) = document["files"]
    assert (file["file"], file["format"], file["original"], file["compressed"]) == ("sample.llmz", 1, 6003, len(sample))
    assert file["ratio"] == round(6003 / len(sample), 4) and file["bits_per_byte"] == round(8 * len(sample) / 6003, 4)
    assert file["blocks"]["model"]["count"] == 2 and file["blocks"]["model"]["original"] == 5000
    assert set(file["blocks"]) == {"model", "raw", "xz"}
    first, empty, exact = file["members"]
    assert first["model"] == {"identity": MODEL.hex(), "name": "some model", "at_hand": False}
    assert (first["mode"], first["tolerance"], first["context"], first["parts"]) == ("portable", 3e-5, 512, 4)
    assert first["coding"] == {"tokens": 1500, "streams": 32, "network": 2, "table": 0} and first["table"] is None
    assert (empty["original"], empty["blocks"], empty["coding"]) == (0, {}, None)
    assert (exact["mode"], exact["mixing"], exact["continued"], exact["tolerance"]) == ("exact", False, True, 0)
    assert exact["model"] is None
    assert sum(member["compressed"] for member in file["members"]) == len(sample)
    assert next(member["offset"] for member in file["members"]) == 0


def test_table(sample: bytes, capsys: pytest.CaptureFixture) -> None:
    assert main._execute(["info", "sample.llmz"]) == 0
    out = capsys.readouterr().out
    for words in (
        "sample.llmz:",
        "3 members",
        "6003 bytes",
        "2 model, 1 raw, 1 xz",
        "some model (0011223344556677), not at hand",
        "portable, tolerance 3e-05, mixing",
        "512 tokens, drops 1/4",
        "1500 tokens, up to 32 streams; 2 by the network",
        "exact, no mixing, blocks build on each other",
    ):
        assert words in out, out
    assert main._execute(["-lv", "sample.llmz"]) == 0
    assert capsys.readouterr().out == out


def test_list(sample: bytes, capsys: pytest.CaptureFixture) -> None:
    assert main._execute(["-l", "sample.llmz"]) == 0
    heading, line = capsys.readouterr().out.splitlines()
    assert heading.split() == ["blocks", "compressed", "original", "ratio", "bits/byte", "file"]
    sizes = [str(len(sample)), "6003", f"{6003 / len(sample):.3f}", f"{8 * len(sample) / 6003:.3f}"]
    assert line.split() == ["4", *sizes, "sample.llmz"]
    with open("empty.llmz", "wb") as sink:
        MemberWriter(sink, HEADER).finish()
    size = Path("empty.llmz").stat().st_size
    assert main._execute(["-l", "sample.llmz", "missing", "empty.llmz"]) == 1
    captured = capsys.readouterr()
    _, first, empty, total = captured.out.splitlines()
    assert first == line and empty.split() == ["0", str(size), "0", "-", "-", "empty.llmz"]
    assert total.split()[:3] == ["4", str(len(sample) + size), "6003"] and total.endswith("  2 files")
    assert captured.err == "llmzip: missing: No such file or directory\n"


def test_list_of_folders_and_lists(sample: bytes, capsys: pytest.CaptureFixture) -> None:
    Path("d").mkdir()
    for name in ("b.llmz", "a.llmz", "note.txt"):
        (Path("d") / name).write_bytes(sample)
    Path("names").write_bytes(b"d/b.llmz\0sample.llmz\0")
    skipped = "llmzip: skipped: files without the suffix .llmz (1)\n"
    for options, names, told in (
        (["-rl", "d"], ["d/a.llmz", "d/b.llmz"], skipped),
        (["-l", "-j2", "-0", "--files-from", "names"], ["d/b.llmz", "sample.llmz"], ""),
    ):
        assert main._execute(options) == 0
        captured = capsys.readouterr()
        _, *lines, total = captured.out.splitlines()
        assert [line.split()[-1] for line in lines] == names and total.endswith("  2 files")
        assert captured.err == told
    assert main._execute(["-rlv", "d"]) == 0
    captured = capsys.readouterr()
    assert captured.out.count("  format ") == 2 and captured.err == skipped


def test_the_embedded_model_is_at_hand(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    from llmzip.model import embedded

    path = tmp_path / "e.llmz"
    with open(path, "wb") as sink:
        MemberWriter(sink, Header(model=embedded.IDENTITY)).finish()
    assert main._execute(["info", str(path)]) == 0
    out = capsys.readouterr().out
    assert f"built-in ({embedded.IDENTITY.hex()}), at hand" in out and "ratio" not in out
    assert main._execute(["info", "--json", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["files"][0]["ratio"] is None


@pytest.mark.parametrize(("name", "streams"), [("prose.txt", 1), ("sliding.txt", 2), ("crlf.txt", 3)])
def test_real_files(name: str, streams: int, capsys: pytest.CaptureFixture) -> None:
    path = Path(__file__).parent / "golden" / "model" / f"{name}.llmz"
    with open(path, "rb") as source:
        block = next(event for event in read_members(source) if isinstance(event, Block))
    head, _ = BlockHead.unpack(block.payload, block.original_length)
    assert main._execute(["info", "--json", str(path)]) == 0
    (file,) = json.loads(capsys.readouterr().out)["files"]
    coding = {"tokens": head.tokens, "streams": head.streams, "network": 1, "table": 0}
    assert file["members"][0]["coding"] == coding
    assert head.streams == streams and head.tokens > 10


def test_a_file_without_a_network(capsys: pytest.CaptureFixture) -> None:
    path = Path(__file__).parent / "golden" / "model" / "fast.txt.llmz"
    assert main._execute(["info", "--json", str(path)]) == 0
    (member,) = json.loads(capsys.readouterr().out)["files"][0]["members"]
    assert member["model"] is None and member["table"] == {"identity": IDENTITY.hex(), "at_hand": True}
    assert (member["coding"]["network"], member["coding"]["table"]) == (0, 1)
    assert main._execute(["info", str(path)]) == 0
    out = capsys.readouterr().out
    assert "model      none\n" in out and f"built-in ({IDENTITY.hex()}), at hand" in out and "by the table" in out
    assert "--model" not in out and "window" not in out


def test_errors_do_not_hide_the_other_files(sample: bytes, capsys: pytest.CaptureFixture) -> None:
    Path("bad.llmz").write_bytes(sample[:-1])
    assert main._execute(["info", "--json", "bad.llmz", "missing", "sample.llmz"]) == 3
    captured = capsys.readouterr()
    assert [file["file"] for file in json.loads(captured.out)["files"]] == ["sample.llmz"]
    assert len(captured.err.splitlines()) == 2
