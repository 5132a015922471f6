"""Finding models: by path, by registered name, on the hub, by the identity that a file names."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
import time

import pytest
from hub_server import HubServer
from tiny_models import SENTENCES, tiny_model

from llmzip.cli.main import _execute
from llmzip.codec import locate
from llmzip.codec.codec import Codec
from llmzip.container import TAG_NAME, read_members
from llmzip.errors import LlmzipError, LlmzipWarning, ModelError, UnusedModelWarning, UsageError
from llmzip.model import embedded, hub, identity, registry, split
from llmzip.report.output.model_facts import model_bytes

TEXT = SENTENCES.encode()


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Lists and caches of this test alone."""
    monkeypatch.setenv("LLMZIP_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("llmzip.codec.policy.beyond_classic", lambda classic, model: True)
    monkeypatch.delenv("LLMZIP_MODEL", raising=False)
    monkeypatch.delenv("LLMZIP_MODEL_PATH", raising=False)
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def tiny(tmp_path):
    return tiny_model(tmp_path / "tiny.gguf", tokenizer="SPM")


@pytest.fixture
def server(tiny, monkeypatch):
    other = tiny_model(tiny.with_name("other.gguf"), tokenizer="SPM", seed=2)
    serving = HubServer(
        {
            "someone/tiny-GGUF": {"tiny.gguf": tiny.read_bytes(), "README.md": b"hello"},
            "someone/many-GGUF": {
                "many-Q4_K_M.gguf": other.read_bytes(),
                "many-Q8_0.gguf": b"",
                "many-IQ4_K_M_X.gguf": b"",
            },
            "someone/odd-GGUF": {"a.gguf": b"", "b.gguf": b""},
            "someone/none": {"README.md": b"hello"},
            "someone/broken": {"broken.gguf": tiny.read_bytes()[:-100]},
        }
    )
    monkeypatch.setenv("HF_ENDPOINT", serving.url)
    yield serving
    serving.close()


def packed_by(spec, **options):
    with Codec(spec, threads=1, **options) as codec:
        return codec.compress(TEXT)


def unpacked(packed, spec=None):
    with Codec(spec, threads=1) as codec:
        return codec.decompress(packed)


# -- registry ---------------------------------------------------------------------------------------------------------


def test_a_registered_model_is_found_by_name_and_by_identity(tiny):
    packed = packed_by(tiny)
    with pytest.raises(ModelError, match="tiny.gguf.*llmzip models add") as caught:
        unpacked(packed)
    assert locate.resolve(tiny).path == tiny and identity.model_facts(tiny).identity in str(caught.value)
    assert _execute(["models", "add", str(tiny), "--name", "mine"]) == 0
    assert unpacked(packed) == TEXT
    assert unpacked(packed_by("mine")) == TEXT
    assert locate.at_hand(bytes.fromhex(identity.model_facts(tiny).identity))
    assert _execute(["models", "remove", "mine"]) == 0
    assert tiny.exists()
    with pytest.raises(ModelError):
        unpacked(packed)


def test_a_model_in_a_folder_of_the_model_path_is_found(tiny, monkeypatch, tmp_path):
    packed = packed_by(tiny)
    (tiny.parent / "a-broken.gguf").write_bytes(b"GGUF")
    monkeypatch.setenv("LLMZIP_MODEL_PATH", f"{tmp_path / 'missing'}{os.pathsep}{tiny.parent}")
    assert unpacked(packed) == TEXT


def test_a_model_path_that_names_nobody_is_passed_over(tiny, monkeypatch):
    monkeypatch.setenv("LLMZIP_MODEL_PATH", f"~nobody-of-this-name/models:{tiny.parent}")
    assert locate.find(identity.model_identity(tiny)).path == tiny


def test_the_file_decides_not_the_model_that_is_named(tiny, tmp_path):
    other = tiny_model(tmp_path / "other.gguf", tokenizer="SPM", seed=2)
    packed, built_in = packed_by(tiny), packed_by(None)
    with pytest.raises(ModelError, match="other.gguf"):
        unpacked(packed, other)
    registry.add(registry.Entry("t", str(tiny), identity.model_facts(tiny).identity))
    with pytest.warns(UnusedModelWarning, match="needs t .*other.gguf is the model"):
        assert unpacked(packed, other) == TEXT
    with pytest.warns(UnusedModelWarning, match="needs the built-in model"):
        assert unpacked(built_in, other) == TEXT
    with Codec(other, threads=1) as codec:
        with pytest.warns(UnusedModelWarning):
            assert codec.decompress(packed + built_in) == TEXT + TEXT
        assert codec.compress(TEXT) == packed_by(other), "compression goes back to the model that was named"


@pytest.mark.parametrize("damage", [b"", b"GGUF", None], ids=["empty", "truncated", "missing"])
def test_a_model_that_is_named_in_vain_is_told(tiny, tmp_path, capsys, monkeypatch, damage):
    packed, restored = tmp_path / "a.llmz", tmp_path / "a"
    packed.write_bytes(packed_by(tiny))
    assert _execute(["models", "add", str(tiny), "--name", "mine"]) == 0
    named = tmp_path / "named.gguf"
    if damage is not None:
        named.write_bytes(damage)
    capsys.readouterr()
    assert _execute(["decompress", "--model", str(named), str(packed)]) == 0
    told = capsys.readouterr().err
    assert restored.read_bytes() == TEXT
    assert "--model is not used, the file needs mine" in told and "named.gguf" in told and told.count("\n") == 1
    assert _execute(["decompress", "-fq", "--model", str(named), str(packed)]) == 0
    monkeypatch.setenv("LLMZIP_MODEL", str(named))
    assert _execute(["decompress", "-f", str(packed)]) == 0
    assert not capsys.readouterr().err, "silent with -q, and where the name is but a default"


def test_a_changed_file_is_not_compressed_with_by_its_name(tiny, capsys):
    assert _execute(["models", "add", str(tiny), "--name", "x"]) == 0
    tiny_model(tiny, tokenizer="SPM", seed=3)
    with pytest.raises(ModelError, match="has changed.*llmzip models add .* --name x"):
        packed_by("x")
    assert _execute(["models", "add", str(tiny), "--name", "x"]) == 0
    assert unpacked(packed_by("x")) == TEXT


def test_a_model_replaced_behind_its_stamp_is_not_taken_for_drift(tiny, monkeypatch):
    packed = packed_by(tiny)
    registry.add(registry.Entry("x", str(tiny), identity.model_facts(tiny).identity))
    monkeypatch.setattr(identity, "_stamp", lambda files: [[0]])
    identity.model_facts(tiny)
    tiny_model(tiny, tokenizer="SPM", seed=3)
    with pytest.raises(ModelError, match="is now"):
        unpacked(packed)


def test_the_time_of_the_inode_tells_of_a_change(tiny):
    facts, status = identity.model_facts(tiny), tiny.stat()
    content = bytearray(tiny.read_bytes())
    content[-5] ^= 1
    tiny.write_bytes(content)
    os.utime(tiny, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert identity.model_facts(tiny).identity != facts.identity


def test_a_window_beyond_the_training_is_told(tiny):
    with pytest.warns(LlmzipWarning, match="more than the 64"):
        packed = packed_by(tiny, window=100)
    assert unpacked(packed, tiny) == TEXT


def test_names_keep_their_meaning(tiny, tmp_path):
    other = tiny_model(tmp_path / "other.gguf", tokenizer="SPM", seed=2)
    assert _execute(["models", "add", str(tiny), "--name", "x"]) == 0
    assert _execute(["models", "add", str(tiny), "--name", "x"]) == 0
    assert _execute(["models", "add", str(other), "--name", "x"]) == 2
    assert registry.entries()["x"].path == str(tiny)
    for bad in ("a/b", "hf:x", "", "-x", "é"):
        with pytest.raises(UsageError):
            registry.check_name(bad)


def test_verify_notices_what_changed(tiny, capsys):
    registry.add(registry.Entry("x", str(tiny), identity.model_facts(tiny).identity))
    assert _execute(["models", "verify"]) == 0
    status = tiny.stat()
    content = bytearray(tiny.read_bytes())
    content[-5] ^= 1
    tiny.write_bytes(content)
    os.utime(tiny, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert _execute(["models", "verify", "x"]) == 4
    assert "is now the model" in capsys.readouterr().out
    tiny.unlink()
    assert _execute(["models", "verify"]) == 4
    with pytest.raises(ModelError, match="llmzip models add"):
        locate.resolve("x")


def test_a_registered_file_that_changed_is_not_used(tiny):
    packed = packed_by(tiny)
    registry.add(registry.Entry("x", str(tiny), identity.model_facts(tiny).identity))
    assert unpacked(packed) == TEXT
    tiny_model(tiny, tokenizer="SPM", seed=3)
    with pytest.raises(ModelError, match="is now"):
        unpacked(packed)


def test_list_and_info(tiny, capsys):
    registry.add(registry.Entry("x", str(tiny), identity.model_facts(tiny).identity, "hf:someone/tiny-GGUF/tiny.gguf"))
    assert _execute(["models", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["models"]
    assert [entry["name"] for entry in listed] == ["built-in", "x"] and listed[1]["present"]
    assert _execute(["models", "list"]) == 0
    table = capsys.readouterr().out
    assert "hf:someone" in table
    assert _execute(["models"]) == 0 and capsys.readouterr().out == table
    assert _execute(["models", "info", "--json", "x"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["architecture"] == "llama" and facts["kind"] == "F32" and facts["mode"] == "portable"
    assert facts["memory"] == 4 * facts["weights"], "what the model takes, not what the machine has"
    assert _execute(["models", "info"]) == 0 and embedded.IDENTITY.hex() in capsys.readouterr().out


def test_the_built_in_model_keeps_its_name(tiny, capsys):
    """Another model of that name could never be reached by it."""
    assert _execute(["models", "add", str(tiny), "--name", "built-in"]) == 2
    assert "built-in" in capsys.readouterr().err and registry.entries() == {}
    with Codec("built-in", threads=1) as codec:
        assert codec.session.model.identity == embedded.IDENTITY


def test_a_damaged_list_is_named(tiny):
    registry.registry_file().parent.mkdir(parents=True)
    for content in (
        "{",
        "[]",
        "[" * 100_000,
        '{"version": 1}',
        '{"version": 1, "models": {"x": {}}}',
        '{"version": 1, "models": {"x": {"path": 5, "identity": "00"}}}',
    ):
        registry.registry_file().write_text(content)
        with pytest.raises(LlmzipError, match="models.json"):
            registry.entries()
    registry.registry_file().write_text('{"version": 2, "models": {}}')
    with pytest.raises(LlmzipError, match="newer"):
        registry.entries()


def test_hashing_is_remembered_but_not_blindly(tiny, monkeypatch, tmp_path):
    monkeypatch.setenv("LLMZIP_CACHE", str(tmp_path / "cache"))
    first = identity.model_facts(tiny)
    with monkeypatch.context() as patch:
        patch.setattr(identity, "_read_facts", None)
        assert identity.model_facts(tiny) == first
    tiny_model(tiny, tokenizer="SPM", seed=3)
    assert identity.model_facts(tiny).identity != first.identity
    for garbage in ("garbage", "[" * 100_000):
        (tmp_path / "cache" / "identities.json").write_text(garbage)
        assert identity.model_facts(tiny).identity != first.identity


# -- the hub ----------------------------------------------------------------------------------------------------------


def test_a_model_from_the_hub(server, monkeypatch):
    packed = packed_by("hf:someone/tiny-GGUF")
    header = next(read_members(io.BytesIO(packed)))
    assert header.extras[TAG_NAME] == b"hf:someone/tiny-GGUF/tiny.gguf"
    assert unpacked(packed) == TEXT, "what was fetched is registered"
    count = len(server.requests)
    assert packed_by("hf:someone/tiny-GGUF") == packed_by("hf:someone/tiny-GGUF/tiny.gguf") == packed
    assert len(server.requests) == count, "and not asked for again"
    registry.remove("tiny")
    with pytest.raises(ModelError, match="llmzip models pull hf:someone/tiny-GGUF/tiny.gguf"):
        unpacked(packed)


def test_a_download_on_the_fly_is_silent_where_progress_is_not_wanted(server, tmp_path):
    (tmp_path / "t.txt").write_bytes(TEXT)
    words = ["--model", "hf:someone/tiny-GGUF", "-q", "-c", str(tmp_path / "t.txt")]
    done = subprocess.run([sys.executable, "-m", "llmzip", *words], capture_output=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, b"") and done.stdout
    assert any(path.endswith("tiny.gguf") for _, path, _ in server.requests)


def test_the_usual_quantisation_is_chosen(server):
    assert locate.resolve("hf:someone/many-GGUF").name.endswith("/many-Q4_K_M.gguf")
    with pytest.raises(ModelError, match="a.gguf, b.gguf"):
        locate.resolve("hf:someone/odd-GGUF")
    with pytest.raises(ModelError, match="no GGUF"):
        locate.resolve("hf:someone/none")


def test_a_download_that_breaks_off_is_resumed(server, tiny, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    server.break_after = 5000
    path, _ = hub.fetch("hf:someone/tiny-GGUF", progress=False)
    assert path.read_bytes() == tiny.read_bytes()
    assert any(span and span.startswith("bytes=5000-") for _, _, span in server.requests)


def test_what_is_not_there_is_said_in_a_line(server, monkeypatch, capsys):
    for spec, word, code in (
        ("hf:nobody/nothing", "hf:nobody/nothing", 4),
        ("hf:someone/tiny-GGUF/missing.gguf", "no file", 4),
        ("hf:someone", "hf:OWNER/REPO", 2),
        ("hf:someone/broken", "cut short", 4),
    ):
        assert _execute(["models", "pull", "-q", spec]) == code
        error = capsys.readouterr().err
        assert word in error and error.count("\n") == 1, error
    assert registry.entries() == {}, "nothing incomplete is registered"


def test_without_a_network(server, tiny, capsys):
    locate.pull("hf:someone/tiny-GGUF", progress=False)
    server.close()
    assert locate.resolve("hf:someone/tiny-GGUF").path
    started = time.monotonic()
    assert _execute(["models", "pull", "-q", "hf:someone/many-GGUF/many-Q4_K_M.gguf"]) == 1
    assert "cannot reach" in capsys.readouterr().err
    assert _execute(["models", "pull", "-q", "hf:someone/many-GGUF"]) == 1
    assert "cannot reach" in capsys.readouterr().err
    assert time.monotonic() - started < 60


def test_a_full_disk(server, monkeypatch, capsys):
    import huggingface_hub

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", full)
    assert _execute(["models", "pull", "-q", "hf:someone/tiny-GGUF"]) == 1
    assert "no room" in capsys.readouterr().err and registry.entries() == {}


# -- the command line -------------------------------------------------------------------------------------------------


def test_exit_codes_and_the_environment(tiny, tmp_path):
    data = tmp_path / "t.txt"
    data.write_bytes(TEXT)
    environment = os.environ | {"LLMZIP_MODEL": "nobody"}

    def run(*arguments, **more):
        return subprocess.run(
            [sys.executable, "-m", "llmzip", *map(str, arguments)], capture_output=True, env=environment | more
        )

    assert run("-c", data).returncode == 4
    packed = run("-c", "-T1", data, LLMZIP_MODEL=str(tiny))
    assert packed.returncode == 0
    (tmp_path / "t.llmz").write_bytes(packed.stdout)
    missing = run("-dc", tmp_path / "t.llmz", LLMZIP_MODEL="")
    assert missing.returncode == 4 and missing.stdout == b"" and missing.stderr.count(b"\n") == 1
    assert run("-dc", "-T1", "--model", tiny, tmp_path / "t.llmz").stdout == TEXT
    assert run("-c", "--gpu-layers", "3", "--model", tiny, data).returncode == 2, "there is no GPU in this build"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("m.gguf", ["m.gguf"]),
        ("m-00001-of-00002.gguf", ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]),
        ("m-00002-of-00002.gguf", ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]),
        ("a-of-b.gguf", ["a-of-b.gguf"]),
    ],
)
def test_names_of_split_models(name, parts, tmp_path):
    assert split.all_parts(name) == parts
    assert split.stands_for_model(name) == (name == parts[0])
    for part in parts:
        (tmp_path / part).write_bytes(b"12345")
    assert model_bytes(tmp_path / name) == 5 * len(parts), "whichever part is named"
