"""A user's own GGUF: evaluated in F32, so that its files open everywhere, or as it is, where that takes too much
memory."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from llmzip.errors import ModelError
from llmzip.model.base import Window
from llmzip.model.expansion import expanded, is_cached
from llmzip.model.identity import ModelFacts, model_facts, model_files
from llmzip.model.llama import LlamaModel
from llmzip.model.places import available_memory, cache_folder

MOST_EXPANDED = 4 << 30
"""Models that take more bytes than this in F32 are evaluated as they are unless the user wants otherwise."""
_ROOM = 256 << 20  # bytes beside the weights: caches, logits, the program


def exact_suits(facts: ModelFacts) -> bool:
    """Whether a model is better evaluated as it is: F32 would take too much memory or disk."""
    if facts.plain:
        return False
    memory = available_memory()
    if facts.expanded > MOST_EXPANDED or (memory is not None and facts.expanded > memory // 2):
        return True
    return _disk_lacks(facts) > 0


def _disk_lacks(facts: ModelFacts) -> int:
    """Bytes that the cache folder lacks for the expanded weights; 0 where they are there or fit."""
    if is_cached(bytes.fromhex(facts.identity)):
        return 0
    folder = cache_folder()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return max(0, facts.expanded + _ROOM - shutil.disk_usage(folder).free)
    except OSError:
        return 0


def load_own(
    path: Path,
    threads: int = 0,
    *,
    exact: bool | None = False,
    gpu_layers: int = 0,
    name: str | None = None,
    window: Window | None = None,
) -> LlamaModel:
    """The model in a GGUF file. exact: as it is, None: as suits it. Raises ModelError, also where memory does not
    suffice."""
    facts = model_facts(path)
    identity = bytes.fromhex(facts.identity)
    first, name = model_files(path)[0], name or path.name
    exact = exact_suits(facts) if exact is None else exact
    in_use = facts.stored if exact or facts.plain else facts.expanded
    memory = available_memory()
    if memory is not None and in_use + _ROOM > memory and not gpu_layers:
        advice = (
            "close other programs or choose a smaller model"
            if exact or facts.plain
            else "use --exact or a smaller model"
        )
        how = "" if exact or facts.plain else " expanded to F32"
        raise ModelError(
            f"the model {name}{how} takes {in_use / 2**30:.1f} GiB of memory, "
            f"of which {memory / 2**30:.1f} GiB are available; {advice}"
        )
    options: dict[str, Any] = {"gpu_layers": gpu_layers, "learned_positions": facts.learned_positions}
    if exact or facts.plain:
        return LlamaModel(first, identity, name, window, threads, exact=exact, **options)
    lacking = _disk_lacks(facts)
    if lacking:
        raise ModelError(
            f"the cache folder {cache_folder()} lacks {lacking / 2**30:.1f} GiB for the model {name} expanded to F32; "
            "make room, set LLMZIP_CACHE, or use --exact"
        )
    with expanded(first, identity) as file:
        return LlamaModel(file, identity, name, window, threads, **options)
