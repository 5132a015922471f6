"""Every kind of tokenizer and network that llama.cpp runs, as tiny models of random weights; and what it cannot run."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from gguf import GGUFReader, GGUFValueType, GGUFWriter
from tiny_models import ARCHITECTURES, CONTEXT, LAYERS, SENTENCES, TOKENIZERS, tiny_model

from llmzip.codec.codec import Codec
from llmzip.codec.locate import Found, load
from llmzip.container import Header, read_members
from llmzip.errors import CorruptError, LlmzipError, LlmzipWarning, ModelError, UsageError
from llmzip.model.base import Window
from llmzip.model.identity import model_facts
from llmzip.text.tokens import STRETCH, Vocabulary

ODD = " \n  Café 中 <|endoftext|></s><s>\t▁ ".encode() + b"\xff\xfe\x00 " + SENTENCES.encode()


@pytest.fixture(autouse=True)
def model_always(monkeypatch):
    """Random weights predict badly: keep the classic codecs from taking the blocks."""
    monkeypatch.setattr("llmzip.codec.policy.beyond_classic", lambda classic, model: True)


def round_trip(path, data, **options):
    with Codec(path, threads=1, **options) as codec:
        packed = codec.compress(data)
        assert codec.decompress(packed) == data
        return codec, packed


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_tokenizers(tmp_path, tokenizer):
    path = tiny_model(tmp_path / "m.gguf", tokenizer=tokenizer)
    round_trip(path, ODD, streams=3)
    model = load(Found(path), 1)
    vocabulary = Vocabulary(model.pieces, model.tokenize)
    for text in (SENTENCES, " " + SENTENCES, "  " + SENTENCES, SENTENCES.replace(". ", ".\n")):
        data = (text + " ").encode() * (STRETCH // 100)
        tokens = vocabulary.encode(data)
        assert vocabulary.decode(tokens) == data
        if tokenizer != "WPM":  # which has neither capitals nor spaces
            assert not tokens.literals
            assert len(tokens.tokens) < 0.6 * len(data), "the tokenizer's own tokens are used, not single bytes"
    model.close()


def test_characters_that_have_a_token_are_not_spelt_by_bytes(tmp_path):
    """SentencePiece's byte tokens come first in the vocabulary, and a network hardly knows those that others stand for, too."""
    model = load(Found(tiny_model(tmp_path / "m.gguf", tokenizer="SPM")), 1)
    assert len(model.byte_tokens) == 256
    vocabulary = Vocabulary(model.pieces, model.tokenize, model.byte_tokens)
    for text in (SENTENCES, "Zx " + SENTENCES, "q"):
        tokens = vocabulary.encode(text.encode()).tokens
        assert not model.byte_tokens.intersection(tokens.tolist())
    assert model.byte_tokens.intersection(vocabulary.encode("\u20ac".encode()).tokens.tolist())
    model.close()


@pytest.mark.parametrize("tokenizer", [name for name in TOKENIZERS if name != "WPM"])  # which knows no spaces
def test_plain_text_has_the_tokens_of_llama_cpp(tmp_path, tokenizer):
    """In one piece, and cut into stretches; a space at the beginning is the one that some tokenizers would add."""
    model = load(Found(tiny_model(tmp_path / "m.gguf", tokenizer=tokenizer)), 1)
    vocabulary = Vocabulary(model.pieces, model.tokenize, model.byte_tokens)
    adds = tokenizer in ("SPM", "UGM")
    for text in (SENTENCES, "q", "Zx " + SENTENCES + "\n", SENTENCES.replace(". ", ".\n"), (SENTENCES + " ") * 400):
        if tokenizer == "UGM":  # which folds what is no single space
            text = text.replace("\n", "").rstrip()
        data = text.encode()
        found, own = vocabulary.encode(data), model.tokenize(data)
        assert np.array_equal(found.tokens, own)
        assert found.spaced == adds
        assert vocabulary.decode(found) == data
        led = vocabulary.encode(b" " + data)
        assert not led.spaced
        assert np.array_equal(led.tokens, own if adds else model.tokenize(b" " + data))
    model.close()


def test_an_added_space_does_not_spoil_the_tokens(tmp_path):
    """SentencePiece puts a space before each of the stretches that a long text is cut into."""
    vocabularies = []
    for tokenizer in ("SPM", "SPM without added space"):
        model = load(Found(tiny_model(tmp_path / f"{tokenizer}.gguf", tokenizer=tokenizer)), 1)
        vocabularies.append(Vocabulary(model.pieces, model.tokenize))
    for text in (SENTENCES + " ", " " + SENTENCES):
        data = text.encode() * 1000
        added, plain = (vocabulary.encode(data).tokens for vocabulary in vocabularies)
        assert np.array_equal(added[1:], plain[1:])


GELU = ("bloom", "gemma2", "gpt2")  # they drift: see below


@pytest.mark.parametrize(
    ("architecture", "exact"),
    [(name, exact) for name in ARCHITECTURES for exact in (False, True) if exact or name not in GELU],
)
def test_architectures(tmp_path, architecture, exact):
    """Windows slide, or start anew, several times."""
    path = tiny_model(tmp_path / "m.gguf", architecture, "SPM")
    _codec, packed = round_trip(path, SENTENCES.encode() * 3, exact=exact, streams=2, window=24)
    other = Codec(path, threads=1)
    assert other.decompress(packed) == SENTENCES.encode() * 3
    other.close()


def window_of(path):
    model = load(Found(path), 1)
    model.close()
    return model.window


def test_windows_suit_the_network(tmp_path):
    assert window_of(tiny_model(tmp_path / "a.gguf", "llama")) == Window(CONTEXT, 4)
    assert window_of(tiny_model(tmp_path / "b.gguf", "gemma2")) == Window(CONTEXT, 4)
    assert window_of(tiny_model(tmp_path / "c.gguf", "qwen2vl")) == Window(CONTEXT, 1), (
        "these positions cannot be shifted"
    )
    assert window_of(tiny_model(tmp_path / "d.gguf", "gpt2")) == Window(CONTEXT - 8, 1), "there are no positions beyond"
    for architecture in ("bloom", "lfm2", "mamba"):
        assert window_of(tiny_model(tmp_path / f"{architecture}.gguf", architecture)) == Window(CONTEXT, 4)


def test_positions_that_do_not_exist_are_refused(tmp_path):
    """llama.cpp would end the process."""
    path = tiny_model(tmp_path / "m.gguf", "gpt2")
    with (
        Codec(path, window=200, exact=True, threads=1) as codec,
        pytest.warns(LlmzipWarning, match="more than"),
        pytest.raises(UsageError, match=f"--ctx {CONTEXT - 8}"),
    ):
        codec.compress(SENTENCES.encode() * 9)


def test_memory_that_cannot_be_shifted_is_not_shifted(tmp_path):
    """llama.cpp would end the process."""
    model = load(Found(tiny_model(tmp_path / "m.gguf", "qwen2vl")), 1)
    evaluator = model.evaluator(1, 16, 8)
    evaluator.evaluate(np.arange(8, dtype=np.int32), np.arange(8, dtype=np.int32), np.zeros(8, np.int32))
    with pytest.raises(LlmzipError, match="cannot be shifted"):
        evaluator.slide(1, 4)
    evaluator.clear()
    evaluator.slide(1, 8)


@pytest.mark.parametrize("architecture", GELU)
def test_models_that_drift_are_exact_by_default(tmp_path, architecture):
    """The GELU of llama.cpp is a table of half precision: batch shapes fall on either side of its steps, in F32, too."""
    path = tiny_model(tmp_path / "m.gguf", architecture, "SPM")
    with pytest.warns(LlmzipWarning, match="is used in exact mode"):
        _, packed = round_trip(path, SENTENCES.encode() * 2)
    header = next(read_members(io.BytesIO(packed)))
    assert isinstance(header, Header) and header.exact
    with Codec(path, exact=False, threads=1) as codec, pytest.raises(ModelError, match="--exact"):
        codec.compress(SENTENCES.encode())


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name not in GELU])
def test_tolerance_does_not_rest_on_the_drift_of_this_machine(tmp_path, architecture, monkeypatch):
    """A build without AVX sees none between batch shapes, and differs from others all the same."""
    monkeypatch.setattr("llmzip.codec.arithmetic._MARGIN", 0)
    _, packed = round_trip(tiny_model(tmp_path / "m.gguf", architecture, "SPM"), SENTENCES.encode(), exact=False)
    header = next(read_members(io.BytesIO(packed)))
    assert isinstance(header, Header)
    recurrent = architecture in ("lfm2", "mamba", "rwkv7")
    assert header.tolerance == max(116 + LAYERS, 48 + 10 * LAYERS if recurrent else 0)


def test_recurrent_models_go_in_bare_steps(tmp_path):
    with Codec(tiny_model(tmp_path / "m.gguf", "rwkv7"), exact=True, threads=1) as codec:
        assert codec.choice.for_writing().coding.rows == 1


# -- what cannot be used ----------------------------------------------------------------------------------------------


def refused(path):
    with pytest.raises(ModelError) as caught:
        Codec(path, threads=1).compress(SENTENCES.encode())
    message = str(caught.value)
    assert path.name in message and "\n" not in message
    return message


def test_a_truncated_model(tmp_path):
    path = tiny_model(tmp_path / "m.gguf")
    content = path.read_bytes()
    for length in (10, 200, 3000, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        assert any(word in refused(path) for word in ("cut short", "damaged"))


def test_damaged_headers_never_crash(tmp_path):
    path = tiny_model(tmp_path / "m.gguf")
    content = bytearray(path.read_bytes())
    random = np.random.default_rng(3)
    for _ in range(150):
        damaged = bytearray(content)
        for at in random.integers(4, 3000, 3):
            damaged[at] = random.integers(256)
        path.write_bytes(damaged)
        try:
            model_facts(path, fresh=True)
        except ModelError:
            pass


def test_a_vocabulary_without_weights(tmp_path):
    path = tmp_path / "m.gguf"
    writer = GGUFWriter(path, "llama")
    TOKENIZERS["SPM"](writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert "vocabulary" in refused(path)


def test_embedding_models(tmp_path):
    path = tiny_model(tmp_path / "m.gguf", extra=lambda writer: writer.add_uint32("llama.pooling_type", 1))
    assert "embedding" in refused(path)
    path = tiny_model(tmp_path / "n.gguf", extra=lambda writer: writer.add_bool("llama.attention.causal", False))
    assert "embedding" in refused(path)


def test_other_things_in_gguf_files(tmp_path):
    for kind, word in (("adapter", "adapter"), ("mmproj", "mmproj"), ("imatrix", "imatrix")):
        path = tiny_model(tmp_path / f"{kind}.gguf", extra=lambda writer, kind=kind: writer.add_type(kind))
        assert word in refused(path)
    path = tmp_path / "unknown.gguf"
    tiny_model(path)
    path.write_bytes(path.read_bytes().replace(b"llama", b"lxyma"))
    assert "architecture" in refused(path)


def test_split_models(tmp_path):
    whole = tiny_model(tmp_path / "whole.gguf", tokenizer="SPM")
    split_into(whole, 3)
    parts = sorted(tmp_path.glob("whole-0*.gguf"))
    assert len(parts) == 3
    data = SENTENCES.encode()
    _, packed = round_trip(parts[0], data)
    for path in (whole, parts[1]):
        with Codec(path, threads=1) as codec:
            assert codec.decompress(packed) == data, "the same model, whole or in parts, whichever part is named"
    parts[2].unlink()
    assert "get all parts" in refused(parts[0])
    parts[0].rename(tmp_path / "renamed.gguf")
    assert "00001-of" in refused(tmp_path / "renamed.gguf")


def split_into(path, parts):
    """As `llama-gguf-split` does: metadata in the first part, tensors over all."""
    reader = GGUFReader(path)
    for part in range(parts):
        writer = GGUFWriter(path.with_name(f"{path.stem}-{part + 1:05d}-of-{parts:05d}.gguf"), "llama")
        writer.add_uint16("split.no", part)
        writer.add_uint16("split.count", parts)
        writer.add_int32("split.tensors.count", len(reader.tensors))
        for name, field in reader.fields.items():
            if part == 0 and not name.startswith("GGUF.") and name != "general.architecture":
                inner = field.types[1] if field.types[0] == GGUFValueType.ARRAY else None
                writer.add_key_value(name, field.contents(), field.types[0], sub_type=inner)
        for at, tensor in enumerate(reader.tensors):
            if at * parts // len(reader.tensors) == part:
                writer.add_tensor(tensor.name, tensor.data)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def test_too_little_memory(tmp_path, monkeypatch):
    path = tiny_model(tmp_path / "m.gguf", tokenizer="SPM")
    monkeypatch.setattr("llmzip.model.own.available_memory", lambda: 1 << 20)
    assert "GiB" in refused(path)


def test_a_window_with_impossible_parts_is_corrupt(tmp_path):
    path = tiny_model(tmp_path / "m.gguf", tokenizer="SPM")
    _, packed = round_trip(path, SENTENCES.encode())
    header = next(read_members(io.BytesIO(packed)))
    assert isinstance(header, Header)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Header, "_contradiction", lambda self: "")  # which would not let it be written
        forged = replace(header, parts=1000).pack() + packed[len(header.pack()) :]
    with Codec(path, threads=1) as codec, pytest.raises(CorruptError):
        codec.decompress(forged)
