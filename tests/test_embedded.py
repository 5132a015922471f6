"""The real thing: the embedded model, end to end."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import llmzip
from llmzip.codec.codec import Codec
from llmzip.codec.evaluation import ROWS, prefill
from llmzip.codec.layout import Layout
from llmzip.container import BlockKind, read_members
from llmzip.errors import ModelError
from llmzip.model import embedded, expansion
from llmzip.model.identity import model_identity

GOLDEN = Path(__file__).parent / "golden" / "model"


def text(corpora, name, length):
    return (corpora / name).read_bytes()[:length]


def kinds(packed):
    return [event.kind for event in read_members(io.BytesIO(packed), payloads=False) if hasattr(event, "kind")]


def test_the_package_holds_the_model_it_says():
    assert expansion.file_digest(embedded.PACKED) == embedded.SHA256
    assert model_identity(embedded.PACKED) == embedded.IDENTITY


def test_the_vocabulary_is_the_models(corpora):
    """Without llama.cpp the same pieces, and the same tokens of any text."""
    from llmzip.model.llama import LlamaModel
    from llmzip.text import embedded_vocabulary as kept

    model = embedded.load_embedded(1)
    try:
        assert isinstance(model, LlamaModel) and tuple(model.pieces) == kept.pieces()
        for name in ("carnet.txt", "gezeiten.txt", "parser.c", "orders.csv"):
            data = text(corpora, name, 8000)
            assert kept.tokenize(data).tolist() == model.tokenize(data).tolist()
    finally:
        model.close()


@pytest.mark.parametrize("content", [None, b"", b"\0" * 31740])
def test_a_vocabulary_that_is_missing_or_damaged(monkeypatch, tmp_path, content):
    from llmzip.text import embedded_vocabulary as kept

    path = tmp_path / "vocabulary.bin"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(kept, "FILE", path)
    with pytest.raises(ModelError, match="reinstall"):
        kept.pieces.__wrapped__()


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("tiny.txt", 400),
        ("the-lighthouse-ledger.txt", 3000),
        ("gezeiten.txt", 1500),
        ("orders.csv", 1500),
        ("parser.c", 1500),
    ],
)
def test_texts_come_back_and_beat_the_classics(embedded_codec, corpora, name, length):
    data = text(corpora, name, length)
    packed = embedded_codec.compress(data)
    assert kinds(packed) == [BlockKind.MODEL]
    assert embedded_codec.decompress(packed) == data


def test_crlf_costs_hardly_anything(embedded_codec, corpora):
    lf = text(corpora, "windows-letter.txt", 10_000).replace(b"\r\n", b"\n")
    crlf = lf.replace(b"\n", b"\r\n")
    packed = embedded_codec.compress(crlf)
    assert embedded_codec.decompress(packed) == crlf
    assert len(packed) <= 1.01 * len(embedded_codec.compress(lf))


@pytest.mark.parametrize("streams", [1, 32])
@pytest.mark.parametrize("threads", [1, 2])
def test_any_streams_and_threads_decode(corpora, streams, threads):
    data = text(corpora, "field-notes.txt", 1200)
    with Codec(streams=streams, threads=3 - threads) as encoder, Codec(threads=threads) as decoder:
        assert decoder.decompress(encoder.compress(data)) == data


def test_windows_that_slide_often_decode(corpora):
    data = text(corpora, "the-glass-orchard.txt", 2500)
    with Codec(window=64, streams=2) as codec:
        assert codec.decompress(codec.compress(data)) == data


def test_odd_text_goes_through_the_model(embedded_codec, corpora):
    prose = text(corpora, "field-notes.txt", 1500)
    data = (
        b"\xef\xbb\xbf"
        + prose
        + b"\xff\x00<|bos|>\r"
        + prose[::-1][:99]
        + "漢字 🎉 \ud800".encode("utf-8", "surrogatepass")
    )
    packed = embedded_codec.compress(data)
    assert kinds(packed) == [BlockKind.MODEL]
    assert embedded_codec.decompress(packed) == data


def test_prefill_and_lock_step_agree_within_the_tolerance(embedded_codec, corpora):
    """The measured drift between the encoder's and the decoder's batch shapes stays far below what is tolerated."""
    session = embedded_codec.session
    tokens = session.model.tokenize(text(corpora, "tides-and-timber.md", 2400))
    window = embedded.WINDOW
    by_prefill = np.empty((len(tokens), len(session.model.pieces)), np.float32)
    for indices, logits in prefill(session, tokens, Layout(len(tokens), 1), window):
        by_prefill[indices] = logits
    evaluator = session.evaluator(1, window.context, 1)
    zero = np.zeros(1, np.int32)
    worst, position = 0.0, 0
    for row, token in enumerate([session.model.start, *tokens[:-1].tolist()]):
        if position == window.context:
            evaluator.slide(1, window.drop)
            position -= window.drop
        logits = evaluator.evaluate(np.array([token], np.int32), zero + position, zero)
        worst = max(worst, float(np.abs(logits[0] - by_prefill[row]).max()))
        position += 1
    assert len(tokens) > 0 and worst < 6e-5
    assert window.drop <= ROWS


def test_golden_files_decode(embedded_codec, corpora):
    """format: files made by earlier builds must open for ever (tests/golden/model/README.md)."""
    files = sorted(GOLDEN.glob("*.llmz"))
    assert files
    for file in files:
        assert embedded_codec.decompress(file.read_bytes()) == (GOLDEN / file.stem).read_bytes(), file.name


def test_the_functions_of_the_package():
    data = b"It was a bright cold day in April, and the clocks were striking."
    packed = llmzip.compress(data)
    assert len(packed) < len(data) + 20 and llmzip.decompress(packed) == data
    with pytest.raises(llmzip.CorruptError):
        llmzip.decompress(b"hello")
    assert issubclass(llmzip.CorruptError, llmzip.LlmzipError)


def test_a_damaged_cache_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMZIP_CACHE", str(tmp_path))
    embedded.load_embedded().close()
    (cached,) = tmp_path.glob("*.gguf")
    original = cached.read_bytes()
    cached.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    embedded.load_embedded().close()
    assert [path.read_bytes() == original for path in tmp_path.iterdir()] == [True]


@pytest.mark.parametrize("obstacle", ["file in the way", "unwritable"])
def test_without_a_cache_a_temporary_folder_serves(tmp_path, monkeypatch, obstacle):
    folder = tmp_path / "cache"
    if obstacle == "unwritable":
        folder = Path("/proc/no-such-place")
    else:
        folder.write_text("not a folder")
    monkeypatch.setenv("LLMZIP_CACHE", str(folder))
    before = set(Path(os.environ.get("TMPDIR", "/tmp")).glob("llmzip-*"))
    with Codec() as codec:
        assert codec.decompress(codec.compress(b"Some short text.")) == b"Some short text."
    assert set(Path(os.environ.get("TMPDIR", "/tmp")).glob("llmzip-*")) <= before | set(), "nothing is left behind"


def test_a_damaged_package_is_named(tmp_path, monkeypatch):
    packed = tmp_path / "embedded.gguf"
    shutil.copy(embedded.PACKED, packed)
    with open(packed, "r+b") as file:
        file.seek(5_000_000)
        file.write(b"damage")
    monkeypatch.setattr(embedded, "PACKED", packed)
    monkeypatch.setenv("LLMZIP_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelError, match="reinstall"):
        embedded.load_embedded()


@pytest.mark.parametrize("content", [b"", b"hello", b"GGUF", b"GGUF\x03\0\0\0" + b"\xff" * 16])
def test_a_model_file_that_is_no_model(tmp_path, content):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="model.gguf"):
        Codec(path).compress(b"some text")
    with pytest.raises(ModelError, match="no model file"):
        Codec(tmp_path / "missing.gguf").compress(b"some text")


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, llmzip; print(sorted({'numpy', 'llama_cpp', 'constriction', 'tqdm', 'gguf'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_nothing_is_printed(corpora):
    code = "import sys, llmzip; sys.stdout.buffer.write(llmzip.decompress(llmzip.compress(sys.stdin.buffer.read())))"
    data = text(corpora, "tiny.txt", 200)
    run = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert run.stdout == data and run.stderr == b""
