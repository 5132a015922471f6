"""The exported model, evaluated by llama.cpp, is the trained one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("tokenizers", reason="tokenizers is not installed (training/requirements.txt)")
torch = pytest.importorskip("torch", reason="PyTorch is not installed (training/requirements.txt)")
pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed (training/requirements.txt)")

import gguf
import numpy as np

from llmzip.model.base import Window
from llmzip.model.llama import LlamaModel, expand
from training import checkpoint
from training.evaluate import bits, evaluate, held_out_texts, surprisal, table
from training.export import export, sketch
from training.model import Decoder
from training.train import Trainer, run_folder, train


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def exported(prepared, replaced, request) -> tuple:
    prepared = replaced(prepared, "model", tied=request.param)
    train(prepared, "a")
    path = run_folder(prepared, "a") / "last.pt"
    packed = export(prepared, path, "tiny")
    state = checkpoint.load(path)
    model = Decoder(state["model"])
    model.load_state_dict(state["weights"])
    return prepared, packed, model


def test_llama_cpp_computes_what_was_trained(exported) -> None:
    config, packed, model = exported
    llama = LlamaModel(packed.with_name("tiny-F32.gguf"), bytes(8), "tiny", Window(64, 4), 1)
    tokens = llama.tokenize(next(iter(held_out_texts(config).values())))[:50]
    rows = np.concatenate(([llama.start], tokens[:-1])).astype(np.int32)
    evaluator = llama.evaluator(1, 64, 64)  # owns the logits
    logits = evaluator.evaluate(rows, np.arange(50, dtype=np.int32), np.zeros(50, np.int32))
    with torch.no_grad():
        expected = model(torch.from_numpy(rows.astype(np.int64))[None])[0].numpy()
    assert np.abs(logits - expected).max() < 1e-4


def test_the_gguf_tokenizer_is_the_trained_one(exported) -> None:
    from tokenizers import Tokenizer

    config, packed, _ = exported
    llama = LlamaModel(packed, bytes(8), "tiny", Window(64, 4), 1)
    ours = Tokenizer.from_file(config.paths.tokenizer)
    for text in ["The tide rises.\n\n\tTabs  and   spaces 123 don't", "é ü 漢字 \r\n<|bos|>x"]:
        tokens = list(llama.tokenize(text.encode()))
        assert b"".join(llama.pieces[t] for t in tokens) == text.encode()
        # The Hugging Face tokenizer reads <|bos|> in a text as the token; for the product it is text like any other.
        if "<|bos|>" not in text:
            assert tokens == ours.encode(text, add_special_tokens=False).ids


def test_packed_weights_expand_exactly(exported, tmp_path) -> None:
    _, packed, _ = exported
    expand(packed, tmp_path / "full.gguf")
    full = {t.name: t.data for t in gguf.GGUFReader(tmp_path / "full.gguf").tensors}
    for tensor in gguf.GGUFReader(packed).tensors:
        assert np.array_equal(gguf.quants.dequantize(tensor.data, tensor.tensor_type), full[tensor.name]), tensor.name


def test_a_finished_model_is_a_checkpoint(exported, tmp_path) -> None:
    _, packed, model = exported
    full = checkpoint.load(packed.with_name("tiny-F32.gguf"))
    assert full["model"] == model.config
    assert set(full["weights"]) == set(model.state_dict())
    for name, tensor in model.state_dict().items():
        assert torch.equal(full["weights"][name], tensor), name
    # Quantised, it is what the package expands it to.
    expand(packed, tmp_path / "full.gguf")
    rounded, expanded = checkpoint.load(packed)["weights"], checkpoint.load(tmp_path / "full.gguf")["weights"]
    for name, tensor in rounded.items():
        assert torch.equal(tensor, expanded[name]), name
        torch.testing.assert_close(tensor, full["weights"][name], rtol=0, atol=0.02)


def test_training_goes_on_from_a_finished_model(exported, replaced) -> None:
    config, packed, _ = exported
    further = Trainer(replaced(config, "train", warm_start=str(packed)), "further")
    further.warm_start(str(packed))
    finished = json.loads((run_folder(config, "a") / "log.jsonl").read_text().splitlines()[-2])["validation"]
    assert further.validate() == pytest.approx(finished, rel=0.01)


@pytest.mark.parametrize(
    ("architecture", "message"), [("llama", "holds a llama network"), ("qwen3", "has no token_embd")]
)
def test_other_networks_are_no_checkpoint(tmp_path, architecture: str, message: str) -> None:
    writer = gguf.GGUFWriter(tmp_path / "other.gguf", architecture)
    writer.add_block_count(1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ValueError, match=message):
        checkpoint.load(tmp_path / "other.gguf")


def test_figures_agree_with_pytorch(exported) -> None:
    config, packed, model = exported
    llama = LlamaModel(packed.with_name("tiny-F32.gguf"), bytes(8), "tiny", Window(64, 4), 1)
    text = next(iter(held_out_texts(config).values()))[:120]
    tokens = llama.tokenize(text)
    assert len(tokens) < 64  # within one window
    row = torch.tensor([[llama.start, *tokens]])
    with torch.no_grad():
        expected = float(model.loss(row)) * len(tokens) / np.log(2)
    assert bits(llama, text, Window(64, 4)) == pytest.approx(expected, rel=1e-4)


def test_surprisal_of_even_odds() -> None:
    assert surprisal(np.full((3, 16), 5.0, np.float32), np.array([0, 7, 15])) == pytest.approx(12.0)


def test_the_whole_table(exported, capsys, tmp_path) -> None:
    config, packed, _ = exported
    full = packed.with_name("tiny-F32.gguf")
    note = tmp_path / "note.txt"
    note.write_text("Boats wait under grey bridges.\n")
    result = evaluate(
        config, [str(full), str(packed)], texts=[str(note)], speed=True, json_path=str(tmp_path / "out.json")
    )
    assert set(result["bits_per_byte"][0]) == {"book", "code", "note.txt"}
    assert all(0 < value < 8 for column in result["bits_per_byte"] for value in column.values())
    assert set(result["rows_per_second"][0]) == {"prefill", "1 stream", "4 streams"}
    assert Path(tmp_path / "out.json").exists() and "| book |" in capsys.readouterr().out


def test_the_speed_of_a_shape_needs_no_training(prepared, capsys) -> None:
    path = sketch(prepared, "wide")
    assert checkpoint.load(path)["model"] == prepared.model
    result = evaluate(prepared, [str(path)], texts=[], speed=True, quality=False, json_path=None)
    assert "bits_per_byte" not in result and "bits per byte" not in capsys.readouterr().out
    assert min(result["rows_per_second"][0].values()) > 0
    assert all(1 < value < 20 for value in result["bytes_per_token"][0].values())
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_table_compares_with_the_first() -> None:
    shown = table("bits per byte", ["old", "new"], [{"book": 2.0}, {"book": 1.5}], 2)
    assert shown.splitlines()[2] == "| book | 2.00 | 1.50 | -25.0 % |"
