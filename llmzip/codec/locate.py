"""From what the user names, or what a file needs, to a loaded model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llmzip.coding import start_file, table_file
from llmzip.errors import ModelError
from llmzip.model import BUILT_IN, embedded
from llmzip.model.base import LanguageModel
from llmzip.model.split import stands_for_model


@dataclass(frozen=True)
class Found:
    """A model's file (None: the embedded model) and what headers call it: its address where it has one."""

    path: Path | None
    name: str = ""


def resolve(spec: str | Path | None, *, progress: bool = True) -> Found:
    """The model that the user names: a path, a registered name, `hf:OWNER/REPO[/FILE]`, None for the embedded one.

    Raises ModelError where there is none, LlmzipError where it cannot be fetched.
    """
    from llmzip.model import hub, registry

    if spec is None or spec == BUILT_IN:
        return Found(None)
    text = str(spec)
    if text.startswith(hub.PREFIX) and not Path(text).exists():
        return Found(*pull(text, progress=progress))
    path = Path(spec)
    if path.exists() or isinstance(spec, Path) or os.sep in text:
        return Found(path, path.name)
    entry = registry.entries().get(text)
    if entry is None:
        raise ModelError(
            f"there is no model file {text}, and no model is registered by that name (see `llmzip models list`)"
        )
    if not Path(entry.path).is_file():
        again = f"llmzip models pull {entry.source}" if entry.source else f"llmzip models add PATH --name {text}"
        raise ModelError(f"the file of the model {text} is gone ({entry.path}); get it again with `{again}`")
    return Found(Path(entry.path), entry.source or entry.name)


def pull(spec: str, name: str | None = None, *, progress: bool = True, again: bool = False) -> tuple[Path, str]:
    """Fetch a model from the hub, unless it was before, and register it; its file and its complete address.

    Nothing is registered that is not a complete model. Raises ModelError, LlmzipError.
    """
    from llmzip.model import hub, registry
    from llmzip.model.identity import model_facts

    if name:
        registry.check_name(name)
    if not again:
        for entry in registry.entries().values():
            if (entry.source == spec or entry.source.startswith(spec + "/")) and Path(entry.path).is_file():
                return Path(entry.path), entry.source
    path, source = hub.fetch(spec, progress=progress)
    facts = model_facts(path)
    registry.add(registry.Entry(name or path.stem, str(path), facts.identity, source), replace=name is None)
    return path, source


def find(identity: bytes, spec: str | Path | None = None, hint: str = "", *, progress: bool = True) -> Found:
    """The model of this identity: the embedded one, a registered one, the one named, one in `LLMZIP_MODEL_PATH`.

    hint: what the file calls it. Raises ModelError, naming the command that gets it.
    """
    from llmzip.model import registry
    from llmzip.model.identity import model_facts

    named = ""
    if identity == embedded.IDENTITY:
        return Found(None)
    for entry in registry.with_identity(identity.hex()):
        return Found(Path(entry.path), entry.source or entry.name)
    if spec is not None:
        found = resolve(spec, progress=progress)
        have = model_facts(found.path).identity if found.path else embedded.IDENTITY.hex()
        if have == identity.hex():
            return found
        named = f", which {spec} ({have}) is not"
    for path in _searched():
        try:
            if model_facts(path).identity == identity.hex():
                return Found(path, path.name)
        except ModelError:
            continue
    called = f"{hint} ({identity.hex()})" if hint else f"of the identity {identity.hex()}"
    if hint.startswith("hf:"):
        advice = f"get it with `llmzip models pull {hint}`"
    else:
        advice = "name its GGUF with --model, or register it with `llmzip models add FILE`"
    raise ModelError(f"made with the model {called}{named or ', which is not at hand'}; {advice}")


def _searched() -> Iterator[Path]:
    """GGUF files in the folders of `LLMZIP_MODEL_PATH`; of a split model its first part."""
    for folder in filter(None, os.environ.get("LLMZIP_MODEL_PATH", "").split(os.pathsep)):
        for path in sorted(Path(folder).expanduser().glob("*.gguf")):
            if stands_for_model(path.name):
                yield path


def load(found: Found, threads: int, *, exact: bool | None = None, gpu_layers: int | None = None) -> LanguageModel:
    """A model ready to evaluate. exact: weights as they are, or expanded to F32; None: as suits the model.

    gpu_layers: None for all with an own model and none with the embedded one, whose files shall open everywhere: the
    drift of GPUs has not been measured (docs/models.md). Raises ModelError, and UsageError for layers on a GPU that
    llama.cpp was not built for.
    """
    from llmzip.model.llama import usable_gpu_layers
    from llmzip.model.own import load_own

    if found.path is None:
        return embedded.load_embedded(threads, exact=bool(exact), gpu_layers=usable_gpu_layers(gpu_layers or 0))
    layers = usable_gpu_layers(gpu_layers)
    return load_own(found.path, threads, exact=exact, gpu_layers=layers, name=found.name)


def load_model(path: str | Path | None, threads: int) -> LanguageModel:
    """The embedded model (None), or one that the user names, evaluated in F32. Raises ModelError."""
    return load(resolve(path), threads, exact=False)


def table_at_hand(identity: bytes) -> bool:
    """Whether this is the table of n-grams inside the package."""
    return identity == table_file.IDENTITY


def table_bytes() -> int:
    """Size of the table of n-grams and of the mixer's start, which goes with it."""
    return table_file.FILE.stat().st_size + start_file.FILE.stat().st_size


def at_hand(identity: bytes) -> bool:
    """Whether the model of this identity can be used without being named."""
    try:
        find(identity)
    except ModelError:
        return False
    return True
