"""Damaged files and limits, by the command."""

from __future__ import annotations

import itertools
import json
import os
import re
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from llmzip.cli import main
from llmzip.cli.salvage import as_zeros
from llmzip.codec import Codec
from llmzip.container import BlockKind, Header, MemberWriter, classic, read_index
from llmzip.container.salvage import Gap
from llmzip.container.streams import PIECE
from llmzip.errors import LlmzipError
from llmzip.model import threads

ROOT = Path(__file__).parent.parent
TEXT = b"".join(b"line %d of the ledger, %d crowns\n" % (i, i * i % 97) for i in range(700))
BLOCK = 8192


@pytest.fixture(autouse=True)
def damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """`a.llmz` with its second of three blocks damaged, `cut.llmz` that ends inside it; where its blocks lie."""
    monkeypatch.chdir(tmp_path)
    packed = Codec(level=1, block_size=BLOCK, threads=1).compress(TEXT)
    Path("sound.llmz").write_bytes(packed)
    with open("sound.llmz", "rb") as file:
        (entry,) = read_index(file)
        places = [(block.offset, block.offset + block.stored_length) for block in entry.blocks]
    assert len(places) >= 3
    middle = sum(places[1]) // 2
    Path("a.llmz").write_bytes(packed[:middle] + bytes([packed[middle] ^ 1]) + packed[middle + 1 :])
    Path("cut.llmz").write_bytes(packed[:middle])
    return places


def test_salvage_marks_what_is_lost(damaged: list[tuple[int, int]], capsys: pytest.CaptureFixture) -> None:
    assert main._execute(["decompress", "--salvage", "a.llmz"]) == 3
    start, stop = damaged[1]
    with open("sound.llmz", "rb") as file:
        (entry,) = read_index(file)
        before, length = (block.original_length for block in entry.blocks[:2])
    place = f"bytes {start} to {stop} of the file (bytes {before} to {before + length} of the original)"
    mark = f"\n[llmzip: {length} bytes are lost here: {place}]\n".encode()
    found = Path("a").read_bytes()
    first, second = found.split(mark)
    assert first + TEXT[before : before + length] + second == TEXT
    words = capsys.readouterr().err
    assert len(words.splitlines()) == 1 and "block 2" in words and f"bytes {start} to {stop}" in words


def test_salvage_with_zeros_keeps_places() -> None:
    assert main._execute(["-d", "--salvage-zeros", "-o", "b", "a.llmz"]) == 3
    found = Path("b").read_bytes()
    assert len(found) == len(TEXT) and {ours for ours, theirs in zip(found, TEXT, strict=True) if ours != theirs} == {0}


def test_zeros_for_large_gaps_come_in_pieces() -> None:
    """What is lost may be more than there is memory."""
    gap = Gap(0, 10, 3 << 40, 0, tuple(range(1 << 16)), "damaged")
    pieces = as_zeros(gap)
    assert sum(map(len, itertools.islice(pieces, 100))) == 100 * PIECE
    assert sum(map(len, as_zeros(replace(gap, lost=3 * PIECE + 7)))) == 3 * PIECE + 7
    assert list(as_zeros(replace(gap, lost=None))) == []


def test_salvage_of_what_is_cut_and_of_pipes() -> None:
    assert main._execute(["-d", "--salvage", "cut.llmz"]) == 3
    assert (
        TEXT.startswith(Path("cut").read_bytes().partition(b"\n[llmzip: ")[0])
        and Path("cut").stat().st_size > BLOCK // 2
    )
    run = [sys.executable, "-m", "llmzip", "-dc", "--salvage"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(run, input=Path("a.llmz").read_bytes(), capture_output=True, env=environment)
    assert done.returncode == 3 and done.stdout.count(b"[llmzip: ") == 1


def test_salvage_of_a_sound_file_is_decompression(capsys: pytest.CaptureFixture) -> None:
    assert main._execute(["-d", "--salvage", "sound.llmz"]) == 0
    assert Path("sound").read_bytes() == TEXT and not capsys.readouterr().err


def test_what_is_not_whole_anywhere_makes_no_file(capsys: pytest.CaptureFixture) -> None:
    Path("noise.llmz").write_bytes(b"noise" * 100)
    assert main._execute(["-d", "--salvage", "noise.llmz"]) == 3
    assert not os.path.exists("noise") and "no block of it is whole" in capsys.readouterr().err


def test_the_input_is_kept_where_something_is_lost() -> None:
    assert main._execute(["-d", "--salvage", "--rm", "a.llmz"]) == 3
    assert os.path.exists("a.llmz") and os.path.exists("a")


def test_test_names_all_damage(damaged: list[tuple[int, int]], capsys: pytest.CaptureFixture) -> None:
    packed = bytearray(Path("a.llmz").read_bytes())
    packed[damaged[0][0] + 20] ^= 1
    Path("a.llmz").write_bytes(packed)
    assert main._execute(["test", "a.llmz"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert f"blocks 1 to 2, bytes {damaged[0][0]} to {damaged[1][1]} of the file" in line and "--salvage" in line


def test_test_of_joined_files_names_the_damaged_part_alone(
    damaged: list[tuple[int, int]], capsys: pytest.CaptureFixture
) -> None:
    sound = Path("sound.llmz").read_bytes()
    Path("joined.llmz").write_bytes(sound * 2 + Path("a.llmz").read_bytes() + sound)
    assert main._execute(["test", "joined.llmz"]) == 3
    (words,) = capsys.readouterr().err.splitlines()
    start, stop = (2 * len(sound) + place for place in damaged[1])
    lost = "in all [0-9]+ bytes of the original are lost: "
    assert re.search(f"{lost}block 2, bytes {start} to {stop} of the file [(][^;]*[)]; `llmzip decompress", words), (
        words
    )


def test_what_is_appended_to_a_whole_file_is_no_certain_loss(
    damaged: list[tuple[int, int]], capsys: pytest.CaptureFixture
) -> None:
    Path("longer.llmz").write_bytes(Path("sound.llmz").read_bytes() + b"junk\n")
    assert main._execute(["test", "longer.llmz"]) == 3
    (words,) = capsys.readouterr().err.splitlines()
    assert "something was appended" in words and "may be lost" in words and "is lost" not in words


def test_test_of_the_rest_decodes_nothing_twice(
    damaged: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    decode = Codec.decode_block

    def counting(self: Codec, header: Header, block: object, *more: object, **how: object) -> object:
        decoded.append(block.offset)  # type: ignore[attr-defined]
        return decode(self, header, block, *more, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(Codec, "decode_block", counting)
    assert main._execute(["test", "-T1", "a.llmz"]) == 3
    assert [decoded.count(start) for start, _ in damaged] == [1] * len(damaged)


def bomb(path: str, members: int = 3) -> None:
    """A little file of large blocks."""
    zeros = bytes(1 << 20)
    payload = classic.encode(BlockKind.ZSTD, zeros)
    with open(path, "wb") as file:
        for _ in range(members):
            writer = MemberWriter(file, Header())
            for _ in range(4):
                writer.write_block(BlockKind.ZSTD, zeros, payload)
            writer.finish()


@pytest.mark.parametrize("way", ["file", "pipe", "salvage", "test", "lie"])
def test_bombs_stop_at_max_size(way: str, capsys: pytest.CaptureFixture) -> None:
    bomb("bomb.llmz")
    if way == "lie":  # without a footer nothing is claimed
        Path("bomb.llmz").write_bytes(Path("bomb.llmz").read_bytes()[:-20])
    options = {"test": ["test"], "salvage": ["-d", "--salvage"]}.get(way, ["-d"])
    if way == "pipe":
        run = [sys.executable, "-m", "llmzip", "-d", "--max-size", "2500K"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(run, input=Path("bomb.llmz").read_bytes(), capture_output=True, env=environment)
        assert (done.returncode, done.stdout) == (1, bytes(2 << 20)) and b"--max-size" in done.stderr
        return
    assert main._execute([*options, "--max-size", "2500K", "bomb.llmz"]) == 1
    assert "--max-size" in capsys.readouterr().err and not os.path.exists("bomb")
    assert main._execute(["test", "--max-size", "1G", "bomb.llmz"]) == (3 if way == "lie" else 0)


def test_max_size_in_python() -> None:
    packed = Path("sound.llmz").read_bytes()
    assert Codec(max_size=len(TEXT)).decompress(packed) == TEXT
    with pytest.raises(LlmzipError, match="max-size"):
        Codec(max_size=len(TEXT) - 1).decompress(packed)


def test_memory_limit(capsys: pytest.CaptureFixture) -> None:
    assert main._execute(["test", "--memory-limit", "50M", "sound.llmz"]) == 1
    assert "MiB of memory to decode, more than the limit of 50 MiB" in capsys.readouterr().err
    assert main._execute(["test", "--memory-limit", "1G", "sound.llmz"]) == 0


MEASURE = """
import json, sys
from llmzip.codec.codec import Codec
from llmzip.codec import resources
needs, needed = [], resources.needed
resources.needed = lambda *block: needs.append(needed(*block)) or needs[-1]
with open(sys.argv[1], "rb") as source, open("/dev/null", "wb") as sink:
    Codec(memory_limit=1 << 40).decompress_stream(source, sink)
peak = int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
print(json.dumps([max(needs), peak << 10]))
"""


@pytest.mark.parametrize("coder", [Codec(level=1, short=True), Codec(short=True, streams=1)], ids=["table", "network"])
def test_limits_of_messages_in_the_short_form(coder: Codec, capsys: pytest.CaptureFixture) -> None:
    text = b"The ledger of the harbour lay open, and nobody had written in it since the autumn."
    Path("s.llmz").write_bytes(coder.compress(text))
    for options, status in (
        ([f"--max-size={len(text)}"], 0),
        ([f"--max-size={len(text) - 1}"], 1),
        (["--memory-limit=50M"], 1),
        (["--memory-limit=1G"], 0),
    ):
        assert main._execute(["test", *options, "s.llmz"]) == status
        words = capsys.readouterr().err
        assert len(words.splitlines()) == status and ("more than the" in words) == bool(status)


def test_the_estimate_of_memory_holds() -> None:
    """Also with the network, whose caches are most of it."""
    Path("network.llmz").write_bytes(Codec(streams=16, threads=1).compress(TEXT[:6000]))
    bomb("bomb.llmz")
    for name in ("sound.llmz", "network.llmz", "bomb.llmz"):
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, os.path.abspath(name)], cwd=ROOT, capture_output=True, check=True
        )
        needs, took = json.loads(done.stdout)
        assert took < needs < 4 * took, (name, needs >> 20, took >> 20)


def test_under_ulimit() -> None:
    """A megabyte of zeros a block decodes in 256 MiB of address space; what needs more ends in a line."""
    bomb("bomb.llmz")

    def run(limit: int) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "llmzip", "-T1", "-t", "bomb.llmz"],
            env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
            capture_output=True,
            timeout=60,
        )

    done = run(512 << 20)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("limit", [70, 110, 150])
def test_too_little_address_space_is_told_in_one_line(limit: int) -> None:
    """Whichever library meets the limit first: some end the process in their own words."""
    done = subprocess.run(
        [sys.executable, "-m", "llmzip", "-t", str(ROOT / "tests" / "files" / "good-model-network.llmz")],
        env={name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
        | {"PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit << 20, limit << 20)),
        capture_output=True,
        timeout=60,
    )
    (line,) = done.stderr.decode().splitlines()
    assert done.returncode == 1 and f"not enough memory in the {limit} MiB of address space" in line


def test_threads_have_room_in_the_address_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(64))
    for limit, cores in ((resource.RLIM_INFINITY, 64), (256 << 20, 1), (1 << 30, 5)):
        monkeypatch.setattr(resource, "getrlimit", lambda kind, limit=limit: (limit, limit))
        assert threads.usable_cores() == cores
