"""About how much memory a block takes to decode, from what its head says, before it is taken."""

from __future__ import annotations

from llmzip.codec.head import BlockHead
from llmzip.codec.pipeline import BlockPipeline
from llmzip.coding.mixing import memory_for
from llmzip.container import Block, BlockKind
from llmzip.errors import LlmzipError

# Measured (`tests/test_cli_salvage.py` holds them to it), and rounded up: interpreter and libraries; with the tokenizer, the tables and the start.
_PROGRAM, _TEXT = 56 << 20, 112 << 20
_WEIGHTS_SHARE = 2.0  # of the weights in F32: mapped, with what llama.cpp makes of them
_WINDOWS = {BlockKind.ZSTD: 1, BlockKind.XZ: 2, BlockKind.BROTLI: 1}
_COPIES = 3  # of the original: decoded, joined, written
_OF_TOKENS = 40  # bytes: ids, ranks, rows and history


def needed(block: Block, pipeline: BlockPipeline | None) -> int:
    """Bytes that the process takes while it decodes a block; pipeline: of a model block."""
    length = block.original_length
    if pipeline is None:
        return _PROGRAM + (_COPIES + _WINDOWS.get(block.kind, 0)) * length + block.payload_length
    return coded(BlockHead.unpack(block.payload, length)[0], length, block.payload_length, pipeline)


def coded(head: BlockHead, length: int, stored: int, pipeline: BlockPipeline) -> int:
    """The same of what a pipeline decodes, of so many original and stored bytes."""
    memory = _PROGRAM + _COPIES * length + stored
    memory += _TEXT + min(memory_for(head.tokens), _OF_TOKENS * 64 * head.tokens) + _OF_TOKENS * head.tokens
    if pipeline.network:
        model = pipeline.session.model
        steps = -(-head.tokens // head.streams)
        memory += head.streams * model.stream_bytes(min(pipeline.of(head).window.context, steps))
        memory += int(_WEIGHTS_SHARE * model.weight_bytes)
    return memory


def require(limit: int, needs: int, where: str) -> None:
    """Raises LlmzipError where a block needs more than the limit."""
    if needs > limit:
        raise LlmzipError(
            f"{where}: takes about {-(-needs >> 20)} MiB of memory to decode, more than the limit of {limit >> 20} MiB allows"
        )
