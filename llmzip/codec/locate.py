"""From what the user names, or what a file needs, to a loaded model."""

from __future__ import annotations

import contextlib
import os
import shlex
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llmzip.coding import start_file, table_file
from llmzip.errors import LlmzipError, ModelError, UnusedModelWarning, UsageError
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

    Raises ModelError where there is none, or not the one that was registered; LlmzipError where it cannot be fetched.
    """
    from llmzip.model import hub, registry
    from llmzip.model.identity import model_facts

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
    have = model_facts(Path(entry.path)).identity
    if have != entry.identity:
        raise ModelError(
            f"the file of the model {text} has changed: it was {entry.identity} and is {have} ({entry.path}); if that is wanted, "
            f"register it anew with `llmzip models add {entry.path} --name {text}`"
        )
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
    """The model of this identity: the embedded one, the one named, a registered one, one in `LLMZIP_MODEL_PATH`.

    hint: what the file calls it. Warns where the one that is named is another one and was not needed (`UnusedModelWarning`).
    Raises ModelError, naming the command that gets it.
    """
    named, other = "", _at_hand(identity)
    if spec is not None and not (other and _on_hub(spec)):
        try:
            found = resolve(spec, progress=progress)
            have = _identity_of(found)
            if have == identity:
                return found
            named = f", which {spec} ({have.hex()}) is not"
            why = f"{spec} is the model {have.hex()}"
        except LlmzipError as error:
            if not other:
                raise
            why = str(error)
        if other:
            message = (
                f"--model is not used, the file needs {other.name or 'the built-in model'} ({identity.hex()}): {why}"
            )
            warnings.warn(message, UnusedModelWarning, stacklevel=2)
    if other:
        return other
    called = f"{hint} ({identity.hex()})" if hint else f"of the identity {identity.hex()}"
    if _address(hint):
        advice = f"get it with `llmzip models pull {hint}`"
    else:
        advice = "name its GGUF with --model, or register it with `llmzip models add FILE`"
    raise ModelError(f"made with the model {called}{named or ', which is not at hand'}; {advice}")


def _address(hint: str) -> bool:
    """Whether what a file calls its model is an address that can stand in a command as it is: files are not trusted."""
    from llmzip.model import hub

    try:
        hub.HubModel.parse(hint)
    except UsageError:
        return False
    return shlex.quote(hint) == hint


def unchanged(found: Found, identity: bytes) -> None:
    """Read a model's file anew. Raises ModelError where it is not the model of this identity any more."""
    have = _identity_of(found, fresh=True)
    if have != identity:
        raise ModelError(
            f"{found.path or embedded.PACKED} was the model {identity.hex()} and is now {have.hex()}; get the model again"
        )


def _identity_of(found: Found, *, fresh: bool = False) -> bytes:
    from llmzip.model.identity import model_facts

    if found.path is None and not fresh:
        return embedded.IDENTITY
    return bytes.fromhex(model_facts(found.path or embedded.PACKED, fresh=fresh).identity)


def _on_hub(spec: str | Path) -> bool:
    from llmzip.model import hub

    return str(spec).startswith(hub.PREFIX) and not Path(spec).exists()


def _at_hand(identity: bytes) -> Found | None:
    """The model of this identity where it is known without being named."""
    from llmzip.model import registry

    if identity == embedded.IDENTITY:
        return Found(None)
    for entry in registry.with_identity(identity.hex()):
        return Found(Path(entry.path), entry.source or entry.name)
    for path in _searched():
        found = Found(path, path.name)
        with contextlib.suppress(ModelError):
            if _identity_of(found) == identity:
                return found
    return None


def _searched() -> Iterator[Path]:
    """GGUF files in the folders of `LLMZIP_MODEL_PATH`, and earlier models inside the package; of a split model its first part."""
    folders = [*filter(None, os.environ.get("LLMZIP_MODEL_PATH", "").split(os.pathsep)), str(embedded.EARLIER)]
    for folder in folders:
        for path in sorted(Path(os.path.expanduser(folder)).glob("*.gguf")):
            if stands_for_model(path.name):
                yield path


def load(found: Found, threads: int, *, exact: bool | None = None, gpu_layers: int | None = None) -> LanguageModel:
    """A model ready to evaluate. exact: weights as they are, or expanded to F32; None: as suits the model.

    gpu_layers: None for all with an own model and none with the embedded one, which `codec.gpu` puts there once it knows what that does
    to its results. Raises ModelError, and UsageError for layers on a GPU where llama.cpp finds none.
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


def table_facts() -> tuple[bytes, int]:
    """What files call the table of n-grams inside the package, and the tokens of its vocabulary. Raises ModelError."""
    return table_file.IDENTITY, table_file.embedded_table().vocabulary


def table_bytes() -> int:
    """Size of the table of n-grams and of the mixer's start, which goes with it."""
    return table_file.FILE.stat().st_size + start_file.FILE.stat().st_size


def at_hand(identity: bytes) -> bool:
    """Whether the model of this identity can be used without being named."""
    return _at_hand(identity) is not None
