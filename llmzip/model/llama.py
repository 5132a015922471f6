"""A GGUF model evaluated by llama.cpp, through the low-level interface of llama-cpp-python.

The high-level `Llama` class is not used: it hides settings that decide which kernels run, and copies logits.
Settings that matter for the drift between machines (docs/portability.md): flash attention off, no repacked weights,
K and V cache in F32, one cache slab per stream.
"""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from llmzip.errors import LlmzipError, ModelError, UsageError
from llmzip.model import _log, stream_state
from llmzip.model.base import Window
from llmzip.model.drift import known_drift
from llmzip.model.threads import ThreadTuner, for_evaluation, is_busy, usable_cores

_F32 = 0  # ggml_type
_FLASH_ATTENTION_OFF = 0
_DEFAULT_CONTEXT = 2048
_SMALLEST_CONTEXT = 16
_SHARED_WEIGHTS = 256 << 20  # bytes: weights of which several evaluators at once are worth their memory
_SPARE_POSITIONS = 8  # of a model that has no others, for the rows that pad a step

# llama.cpp logs to stderr, which is the user's: stay silent, keep the errors for our own message.
_LOG_CALLBACK = ctypes.cast(_log.address(), llama_cpp.llama_log_callback)


def _reason(otherwise: str = "llama.cpp gave no reason") -> str:
    """The first error since the last call, which is the cause of the others; its function's name is left out."""
    errors = _log.take()
    first = errors[0].decode("utf-8", "replace").strip() if errors else otherwise
    return re.sub(r"^\w+: ", "", first.rpartition(": error loading model: ")[2])


_started = False
_forked = False  # from a process that had started, where the driver of a GPU cannot start any more


def _after_fork() -> None:
    global _forked
    _forked = _forked or _started


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _start() -> None:
    global _started
    if not _started:
        # CUDA multiplies F32 matrices in TF32, with 10 bits of mantissa, unless told otherwise before it starts.
        os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
        llama_cpp.llama_log_set(_LOG_CALLBACK, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        _started = True


def expand(source: Path, target: Path) -> None:
    """Write a copy of a GGUF with every tensor dequantised to F32 (exact). Raises ModelError."""
    _start()
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = 0
    params.allow_requantize = True
    params.nthread = usable_cores()
    if llama_cpp.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(params)) != 0:
        raise ModelError(f"cannot expand the model {source} to F32: {_reason()}")


ALL_LAYERS = -1
"""For `gpu_layers`: all, where llama.cpp finds a GPU."""
_ONE_DEVICE = 0  # llama_split_mode


def usable_gpu_layers(wanted: int | None) -> int:
    """Layers to put on a GPU: by default all, if llama.cpp finds one. Raises UsageError where it finds none."""
    _start()
    if llama_cpp.llama_supports_gpu_offload() and not _forked:
        return ALL_LAYERS if wanted is None else wanted
    if wanted:
        if _forked:
            raise UsageError("a forked process cannot use a GPU: leave out --gpu-layers, or start it by spawn")
        raise UsageError(
            "llama.cpp finds no GPU, or was built without a back end for it: leave out --gpu-layers, or install "
            "llama-cpp-python built for it"
        )
    return 0


def arithmetic(gpu_layers: int) -> str:
    """The build, the processor's features in use and the GPU, in a line: what the last digits of a logit depend on."""
    _start()
    parts = [f"llama-cpp-python {llama_cpp.__version__}"]
    for backend in llama_cpp.llama_print_system_info().decode("utf-8", "replace").split(" | "):
        name, _, value = (part.strip() for part in backend.rpartition("="))
        if value not in ("0", ""):
            # The first feature of a back end has the back end's name before it: "CPU : SSE3 = 1".
            parts.append(" ".join(name.replace(":", " ").split()) + ("" if value == "1" else f"={value}"))
    return f"{parts[0]}; {' '.join(parts[1:]) or 'no CPU features'}; {gpu_layers} GPU layers"


class LlamaModel:
    """A loaded GGUF.

    path: the file that is evaluated; identity: 8 bytes that name the model in file headers; name: for people;
    window: what it was trained on, None for what its file says, up to 2048 tokens by default;
    threads: 0 means as many as turn out fastest; changes speed, not (beyond the tolerated drift) results.
    gpu_layers: layers to evaluate on a GPU, as `usable_gpu_layers` gives them; one_gpu: on the first one alone, where there are several.
    exact: whether its quantised weights are evaluated as they are, so that results have to be reproduced exactly.
    learned_positions: there are none beyond the context that it was trained on.
    Raises ModelError if llama.cpp cannot load the file or it is no model that continues text.
    """

    def __init__(
        self,
        path: Path,
        identity: bytes,
        name: str,
        window: Window | None,
        threads: int,
        *,
        gpu_layers: int = 0,
        one_gpu: bool = False,
        exact: bool = False,
        learned_positions: bool = False,
    ) -> None:
        _start()
        self.identity, self.name, self.exact = identity, name, exact
        self._threads = threads
        self._gpu_layers, self.on_gpu = gpu_layers, gpu_layers != 0
        self.arithmetic = arithmetic(gpu_layers)
        params = llama_cpp.llama_model_default_params()
        params.use_extra_bufts = False
        params.n_gpu_layers = gpu_layers
        if one_gpu or not gpu_layers:
            # llama.cpp starts all GPUs that it finds, even for a model that puts nothing on them.
            params.split_mode, params.main_gpu = _ONE_DEVICE, 0 if gpu_layers else -1
        _log.take()
        self._model = llama_cpp.llama_model_load_from_file(os.fsencode(path), params)
        if not self._model:
            raise ModelError(f"cannot load the model {path}: {_reason()}")
        self._refuse(path)
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        self.pieces = [self._piece(token) for token in range(llama_cpp.llama_vocab_n_tokens(self._vocab))]
        self.byte_tokens = frozenset(
            token
            for token in range(len(self.pieces))
            if llama_cpp.llama_vocab_get_attr(self._vocab, token) & llama_cpp.LLAMA_TOKEN_ATTR_BYTE
        )
        # format: the start token is the beginning-of-sequence token, else the end-of-sequence token, else token 0.
        bos = llama_cpp.llama_vocab_bos(self._vocab)
        self.start = bos if bos >= 0 else max(llama_cpp.llama_vocab_eos(self._vocab), 0)
        recurrent = llama_cpp.llama_model_is_recurrent(self._model) or llama_cpp.llama_model_is_hybrid(self._model)
        self.rewinds = not recurrent
        self.drift = known_drift(
            self._described("general.architecture"),
            llama_cpp.llama_model_n_layer(self._model),
            recurrent=recurrent,
            gpu=self.on_gpu,
        )
        self.weight_bytes = int(llama_cpp.llama_model_size(self._model))
        # Each reads all weights in every step. The bits of exact files depend on the rows of a step.
        small = self.weight_bytes <= _SHARED_WEIGHTS and not exact and gpu_layers == 0
        self.lanes = (threads or usable_cores()) if small else 1
        trained = llama_cpp.llama_model_n_ctx_train(self._model)
        self._positions = trained if learned_positions else None
        self.window = window or self._default_window(trained)
        self.trained = window.context if window else trained

    def _described(self, key: str) -> str:
        """What the model's file says under a key; empty where it does not."""
        buffer = ctypes.create_string_buffer(256)
        written = llama_cpp.llama_model_meta_val_str(self._model, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace") if written > 0 else ""

    def _refuse(self, path: Path) -> None:
        """Raises ModelError for networks that do not predict the next token from those before it."""
        if llama_cpp.llama_model_has_encoder(self._model):
            reason = "has an encoder: it translates or embeds a whole text and does not continue one"
        elif llama_cpp.llama_model_is_diffusion(self._model):
            reason = "is a diffusion model: it does not predict the next token"
        elif (
            llama_cpp.llama_vocab_type(llama_cpp.llama_model_get_vocab(self._model)) == llama_cpp.LLAMA_VOCAB_TYPE_NONE
        ):
            reason = "has no tokenizer, so text cannot be turned into its tokens"
        else:
            return
        raise ModelError(f"the model {path} {reason}; choose a model that generates text")

    def _default_window(self, trained: int) -> Window:
        """The context that it was trained on, up to 2048 tokens; a cache that cannot be shifted starts anew when
        full."""
        context = max(_SMALLEST_CONTEXT, min(trained or _DEFAULT_CONTEXT, _DEFAULT_CONTEXT))
        if self._positions is not None:
            return Window(context - _SPARE_POSITIONS, 1)
        evaluator = self.evaluator(1, _SMALLEST_CONTEXT, 1)
        try:
            return Window(context, 4 if evaluator.shifts else 1)
        finally:
            evaluator.close()

    def stream_bytes(self, context: int) -> int:
        """Memory of one stream's keys and values in F32, for a window of so many tokens (at most; estimated)."""
        heads = max(1, llama_cpp.llama_model_n_head(self._model))
        width = (
            llama_cpp.llama_model_n_embd(self._model) * max(1, llama_cpp.llama_model_n_head_kv(self._model)) // heads
        )
        layers: int = llama_cpp.llama_model_n_layer(self._model)
        return int(8 * layers * width * (context if self.rewinds else 1))

    def _piece(self, token: int) -> bytes:
        """Bytes of a token; empty for control tokens, which never stand for text of the user's."""
        if llama_cpp.llama_vocab_is_control(self._vocab, token):
            return b""
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            written = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, size, 0, False)
            if written >= 0:
                return buffer.raw[:written]
            size = -written

    def tokenize(self, text: bytes) -> NDArray[np.int32]:
        """Tokens of valid UTF-8 text, no start token added, nothing in the text read as a special token."""
        room = len(text) + 16
        tokens = np.empty(room, np.int32)
        pointer = tokens.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token))
        count = llama_cpp.llama_tokenize(self._vocab, text, len(text), pointer, room, False, False)
        if count < 0:
            raise ModelError(f"the tokenizer of {self.name} gives more tokens than bytes")
        return tokens[:count]

    def evaluator(self, streams: int, context: int, rows: int, threads: int = 0) -> LlamaEvaluator:
        if self._positions is not None and context > self._positions:
            raise UsageError(
                f"{self.name} knows {self._positions} positions, and {_SPARE_POSITIONS} are kept free: "
                f"use --ctx {self._positions - _SPARE_POSITIONS} or less"
            )
        shape = (self._model, len(self.pieces), streams, context, rows, threads or self._threads)
        if self._gpu_layers and not self.exact and self.rewinds and self._positions is None:
            from llmzip.model.gpu import FullPrecisionEvaluator

            return FullPrecisionEvaluator(*shape, self.start)
        return LlamaEvaluator(*shape, self._gpu_layers != 0)

    def close(self) -> None:
        if self._model:
            llama_cpp.llama_model_free(self._model)
            self._model = None

    def __del__(self) -> None:
        self.close() if getattr(self, "_model", None) else None


def _bytes_of(array: NDArray[np.uint8]) -> Any:
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(ctypes.c_uint8))


class LlamaEvaluator:
    """Streams of one llama.cpp context. See `llmzip.model.base.Evaluator`."""

    def __init__(
        self, model: object, vocabulary: int, streams: int, context: int, rows: int, threads: int, gpu: bool = False
    ) -> None:
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = context * streams
        params.n_batch = params.n_ubatch = self.rows = max(rows, streams)
        params.n_seq_max = streams
        params.n_threads = params.n_threads_batch = most = for_evaluation(threads)
        params.flash_attn_type = _FLASH_ATTENTION_OFF
        params.type_k = params.type_v = _F32
        params.kv_unified = False
        # Large batches on another device than small ones would differ from them: what is on the CPU stays there.
        params.offload_kqv, params.op_offload = gpu, False
        # With a cache of the sliding window alone, positions could not be shifted.
        params.swa_full = True
        params.no_perf = True
        _log.take()
        self._context = llama_cpp.llama_init_from_model(model, params)
        if not self._context:
            raise LlmzipError(
                f"cannot allocate {streams} streams of {context} tokens: {_reason('not enough memory')}; "
                "use fewer streams or a smaller context"
            )
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._vocabulary, self._count = vocabulary, streams
        self._tuner = ThreadTuner(most, is_busy(most)) if threads == 0 else None
        self._threads = params.n_threads
        self._make_batch()

    def _make_batch(self) -> None:
        """A llama_batch over numpy arrays, filled in place for every call."""
        n = self.rows
        self._tokens, self._positions, self._streams = (np.zeros(n, np.int32) for _ in range(3))
        self._stream_counts, self._wanted = np.ones(n, np.int32), np.ones(n, np.int8)
        self._stream_pointers = (self._streams.ctypes.data + 4 * np.arange(n)).astype(np.uintp)

        def pointer(array: NDArray[Any], kind: Any) -> Any:
            return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))

        batch = llama_cpp.llama_batch()
        batch.token = pointer(self._tokens, llama_cpp.llama_token)
        batch.pos = pointer(self._positions, llama_cpp.llama_pos)
        batch.n_seq_id = pointer(self._stream_counts, ctypes.c_int32)
        batch.seq_id = pointer(self._stream_pointers, ctypes.POINTER(ctypes.c_int32))
        batch.logits = pointer(self._wanted, ctypes.c_int8)
        self._batch = batch

    def evaluate(
        self, tokens: NDArray[np.int32], positions: NDArray[np.int32], streams: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        rows = len(tokens)
        self._tokens[:rows], self._positions[:rows], self._streams[:rows] = tokens, positions, streams
        self._batch.n_tokens = rows
        if self._tuner:
            self._use_threads(self._tuner.begin(rows))
        status = llama_cpp.llama_decode(self._context, self._batch)
        if self._tuner:
            self._tuner.end(rows)
        if status != 0:
            raise LlmzipError(
                f"llama.cpp failed to evaluate {rows} tokens (status {status}): {_reason('no reason given')}"
            )
        return np.ctypeslib.as_array(llama_cpp.llama_get_logits(self._context), shape=(rows, self._vocabulary))

    def _use_threads(self, threads: int) -> None:
        if threads != self._threads:
            llama_cpp.llama_set_n_threads(self._context, threads, threads)
            self._threads = threads

    @property
    def shifts(self) -> bool:
        """Whether the oldest positions can be dropped and the others moved down."""
        return bool(llama_cpp.llama_memory_can_shift(self._memory))

    def slide(self, streams: int, drop: int) -> None:
        # A recurrent state has no positions to drop: it runs on, and only its count is turned back.
        for stream in range(streams):
            if not llama_cpp.llama_memory_seq_rm(self._memory, stream, 0, drop):
                raise LlmzipError("llama.cpp cannot drop the oldest tokens of this model's memory")
            if self.shifts:
                llama_cpp.llama_memory_seq_add(self._memory, stream, drop, -1, -drop)
            elif llama_cpp.llama_memory_seq_pos_max(self._memory, stream) >= 0:
                raise LlmzipError(
                    "this model's memory cannot be shifted, so a full window has to be dropped as a whole"
                )

    def discard(self, streams: int, position: int) -> None:
        for stream in range(streams):
            self._take_back(stream, position)

    def _take_back(self, stream: int, position: int) -> None:
        if not llama_cpp.llama_memory_seq_rm(self._memory, stream, position, -1):
            raise LlmzipError("llama.cpp cannot take back the latest tokens of this model's memory")

    def copy(self, source: int, first: int, stop: int) -> None:
        for stream in range(first, stop):
            llama_cpp.llama_memory_seq_rm(self._memory, stream, -1, -1)
            llama_cpp.llama_memory_seq_cp(self._memory, source, stream, -1, -1)

    def save(self) -> NDArray[np.uint8]:
        caches = np.empty(llama_cpp.llama_state_get_size(self._context), np.uint8)
        return caches[: llama_cpp.llama_state_get_data(self._context, _bytes_of(caches), len(caches))]

    def restore(self, caches: NDArray[np.uint8]) -> None:
        if llama_cpp.llama_state_set_data(self._context, _bytes_of(caches), len(caches)) != len(caches):
            raise LlmzipError(f"llama.cpp cannot put its memory back: {_reason('no reason given')}")

    def save_stream(self, stream: int) -> NDArray[np.uint8]:
        cache = stream_state.save(self._context, stream, self._count)
        if cache is None:
            raise LlmzipError(
                f"llama.cpp cannot copy a stream of this model: {_reason('it has another kind of memory')}"
            )
        return cache

    def restore_stream(self, stream: int, cache: NDArray[np.uint8]) -> None:
        if not stream_state.restore(self._context, stream, self._count, cache):
            raise LlmzipError(f"llama.cpp cannot put a stream's memory back: {_reason('no reason given')}")

    def clear(self) -> None:
        llama_cpp.llama_memory_clear(self._memory, True)

    def close(self) -> None:
        if self._context:
            llama_cpp.llama_free(self._context)
            self._context = None

    def __del__(self) -> None:
        self.close() if getattr(self, "_context", None) else None
