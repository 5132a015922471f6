"""Comparing: each compressor restores what it was given, in a process of its own, and nothing else is believed."""

import json
import signal
import sys

import pytest

from llmzip.cli.compare import choose
from llmzip.errors import UsageError
from llmzip.report.contest import compare, worker
from llmzip.report.contest.contenders import LIBRARIES, NAMES, TOOLS, find, missing
from llmzip.report.measure.stopping import Stopped, stop_on_interrupt

TEXT = b"The harbour of the town and the ships of the sea, the old men and the weather.\n" * 60


def compared(name, data=TEXT, check=lambda: None):
    return compare.compare_file(data, "x", name, {}, {"llmzip": 4711}, check)


@pytest.mark.parametrize("codec", LIBRARIES, ids=lambda codec: codec.name)
def test_libraries_restore(codec):
    packed = codec.compress(TEXT)
    assert codec.decompress(packed) == TEXT and len(packed) < len(TEXT) / 4


def test_a_library_in_its_own_process():
    found = compared("xz -9e")
    assert found.error is None and (found.file, found.codec, found.original) == ("x", "xz -9e", len(TEXT))
    assert found.compressed == len(find("xz -9e").compress(TEXT)) == found.adjusted
    assert found.pack_seconds > 0 and found.unpack_seconds > 0
    # An interpreter takes some MiB; anything above a GiB would be another process's.
    assert 4 << 20 < found.pack_peak < 1 << 30 and 4 << 20 < found.unpack_peak < 1 << 30


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_tools_restore(tool):
    if tool.path() is None:
        pytest.skip(f"{tool.programs[0]} is not installed")
    if tool.name in ("cmix", "paq8px -8"):
        pytest.skip("takes minutes and gigabytes")
    found = compared(tool.name)
    assert found.error is None and 0 < found.compressed < len(TEXT) and found.pack_peak > 0


def step_that(change):
    real = compare._step

    def step(codec, action, folder, settings, check):
        done = real(codec, action, folder, settings, check)
        return change(action, folder, done) or done

    return step


def test_wrong_bytes_are_noticed(monkeypatch):
    def spoil(action, folder, done):
        if action == "unpack":
            (folder / "restored").write_bytes(TEXT[:-1] + b"!")

    monkeypatch.setattr(compare, "_step", step_that(spoil))
    assert compared("gzip -9").error == "does not restore the file"


def test_missing_output_is_noticed(monkeypatch):
    monkeypatch.setattr(compare, "_step", step_that(lambda action, folder, done: (folder / "packed").unlink()))
    assert compared("gzip -9").error == "compression failed: wrote no file"


def test_the_original_is_out_of_reach_when_restoring(monkeypatch):
    seen = []

    def look(action, folder, done):
        seen.append((action, (folder / "original").exists()))

    monkeypatch.setattr(compare, "_step", step_that(look))
    compared("gzip -9")
    assert seen == [("pack", True), ("unpack", False)]


def test_failures_are_told(tmp_path, capsys):
    (tmp_path / "packed").write_bytes(b"no gzip file")
    assert worker.main(["gzip -9", "unpack", str(tmp_path), "{}"]) == 1
    assert "gzip" in json.loads(capsys.readouterr().out)["error"].lower()
    assert worker.main(["llmzip", "pack", str(tmp_path), '{"block_size": 1}']) == 1
    assert "block" in json.loads(capsys.readouterr().out)["error"]


def test_a_worker_that_dies_is_told(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert compared("gzip -9").error == "compression failed: ended with status 1"


def test_stopping_ends_the_worker():
    calls = []

    def check():
        calls.append(1)
        if len(calls) > 1:
            raise Stopped

    with pytest.raises(Stopped):
        compared("xz -9e", check=check)


def test_names():
    assert choose(None, None) == list(NAMES)
    assert choose("zstd,xz", None) == ["xz -9e", "zstd -19", "zstd --ultra -22 --long"]
    assert choose("xz, zpaq -m5 ,llmzip", "xz") == ["llmzip", "zpaq -m5"]
    with pytest.raises(UsageError, match="no compressor 'rar'"):
        choose("rar", None)
    with pytest.raises(UsageError, match="no compressor is left"):
        choose("xz", "xz")
    assert set(missing(NAMES)) <= {tool.name for tool in TOOLS}


def test_the_first_interrupt_is_a_request():
    before = signal.getsignal(signal.SIGINT)
    with stop_on_interrupt() as request:
        request.check()
        signal.raise_signal(signal.SIGINT)
        assert request.made and signal.getsignal(signal.SIGINT) is before
        with pytest.raises(Stopped):
            request.check()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
