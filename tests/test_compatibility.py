"""Old files open: golden files and their versions, models and tables of earlier versions (docs/compatibility.md)."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import pytest
from tiny_models import tiny_model

from llmzip.codec import Codec
from llmzip.coding import packaged, start_file, table_file
from llmzip.container.format import CODER, VERSION
from llmzip.errors import ModelError
from llmzip.model import embedded
from llmzip.model.identity import model_identity

GOLDEN = Path(__file__).parent / "golden"
HELD = json.loads((GOLDEN / "versions.json").read_text())
TEXT = b"A text that is compressed by one version and opened by the next. " * 4


def test_golden_files_belong_to_these_versions() -> None:
    """Where this fails after a change: before the first release run `python tools/golden.py`; after it raise `CODER`."""
    sys.path.insert(0, str(GOLDEN.parent.parent / "tools"))
    import golden

    found = golden.versions()
    if HELD["released"] and (HELD["format"], HELD["coder"]) == (VERSION, CODER):
        for name, digest in HELD["files"].items():
            assert found["files"].get(name) == digest, f"{name} was changed, and format and coder stayed"
    elif not HELD["released"]:
        assert (HELD["format"], HELD["coder"]) == (VERSION, CODER)


def test_released_files_are_not_renewed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sys.path.insert(0, str(GOLDEN.parent.parent / "tools"))
    import golden

    held = tmp_path / "versions.json"
    held.write_text(json.dumps(HELD | {"released": True}))
    monkeypatch.setattr(golden, "VERSIONS", held)
    monkeypatch.setattr(golden.subprocess, "run", lambda *_, **__: pytest.fail("renewed"))
    with pytest.raises(SystemExit, match="released"):
        golden.renew()


def test_an_earlier_model_inside_the_package_is_found_by_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By a network without sense nothing gets smaller.
    monkeypatch.setattr("llmzip.codec.policy.beyond_classic", lambda classic, model: True)
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    other = tiny_model(earlier / "one.gguf", seed=1)
    path = tiny_model(earlier / "two.gguf", seed=2)
    assert model_identity(other) != model_identity(path)
    with Codec(path, threads=1) as codec:
        packed = codec.compress(TEXT)
    monkeypatch.setenv("LLMZIP_DATA", str(tmp_path / "data"))
    with Codec(threads=1) as codec, pytest.raises(ModelError):
        codec.decompress(packed)
    monkeypatch.setattr(embedded, "EARLIER", earlier)
    with Codec(threads=1) as codec:
        assert codec.decompress(packed) == TEXT


def test_an_earlier_table_is_found_by_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the table and start of today were those of an earlier version."""
    packed = Codec(level=1, threads=1).compress(TEXT)
    identity = table_file.IDENTITY
    folder = tmp_path / identity.hex()
    folder.mkdir()
    monkeypatch.setattr(table_file, "IDENTITY", bytes(range(8)))
    table_file._earlier.cache_clear()
    with pytest.raises(ModelError, match=identity.hex()):
        Codec(threads=1).decompress(packed)
    monkeypatch.setattr(table_file, "EARLIER", tmp_path)
    shutil.copy(table_file.FILE, folder)
    with pytest.raises(ModelError, match=identity.hex()):
        Codec(threads=1).decompress(packed)
    shutil.copy(start_file.FILE, folder)
    assert Codec(threads=1).decompress(packed) == TEXT
    table_file._earlier.cache_clear()
    damaged = bytearray(start_file.FILE.read_bytes())
    damaged[1000] ^= 1
    (folder / start_file.FILE.name).write_bytes(damaged)
    with pytest.raises(ModelError, match="damaged"):
        Codec(threads=1).decompress(packed)
    table_file._earlier.cache_clear()


def test_what_is_embedded_is_what_files_name() -> None:
    assert packaged.identity_of(table_file.TABLE_IDENTITY + start_file.IDENTITY) == table_file.IDENTITY
    assert hashlib.sha256(embedded.PACKED.read_bytes()).hexdigest() == embedded.SHA256
