"""The user's models by name: where their files lie, what their identity is, where they came from."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from llmzip.errors import LlmzipError, ModelError, UsageError
from llmzip.model import BUILT_IN
from llmzip.model.places import data_folder, store_json

_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


@dataclass(frozen=True)
class Entry:
    """A registered model. `identity` in hexadecimal; `source` as `models pull` takes it, empty if unknown."""

    name: str
    path: str
    identity: str
    source: str = ""


def registry_file() -> Path:
    """Where the list is kept."""
    return data_folder() / "models.json"


def entries() -> dict[str, Entry]:
    """All registered models. Raises LlmzipError for a damaged list."""
    file = registry_file()
    try:
        content = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise LlmzipError(f"cannot read the list of models {file}: {error.strerror}") from None
    try:
        document = json.loads(content)
        if document["version"] != _VERSION:
            raise LlmzipError(f"the list of models {file} was written by a newer llmzip; update this one")
        found = {name: Entry(name, **fields) for name, fields in document["models"].items()}
        if not all(isinstance(value, str) for entry in found.values() for value in vars(entry).values()):
            raise ValueError
        return found
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise LlmzipError(f"the list of models {file} is damaged; remove it and add the models again") from None


def check_name(name: str) -> str:
    """The name itself. Raises UsageError for what could be taken for a path or an address."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a model: letters, digits and . _ + - only; name it with --name")
    if name == BUILT_IN:
        raise UsageError(f"{BUILT_IN} is the name of the model inside llmzip; choose another one with --name")
    return name


def add(entry: Entry, *, replace: bool = False) -> None:
    """Register a model. Raises UsageError where the name stands for another model in another file, unless `replace`."""
    check_name(entry.name)
    with _changing() as known:
        other = known.get(entry.name)
        if other and entry.identity != other.identity and entry.path != other.path and not replace:
            raise UsageError(
                f"the name {entry.name} stands for another model, {other.path}; choose one with --name, or remove it"
            )
        known[entry.name] = entry


def remove(name: str) -> Entry:
    """Forget a model, its files stay. Raises ModelError where there is none of this name."""
    with _changing() as known:
        if name not in known:
            raise ModelError(f"no model is registered as {name}; see `llmzip models list`")
        return known.pop(name)


def with_identity(identity: str) -> list[Entry]:
    """Registered models of an identity whose file is there."""
    return [entry for entry in entries().values() if entry.identity == identity and Path(entry.path).is_file()]


@contextlib.contextmanager
def _changing() -> Iterator[dict[str, Entry]]:
    """The list, to be changed within the `with`; two programs wait for each other, a reader never sees half a list."""
    file = registry_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file.with_suffix(".lock"), "w") as lock:
            with contextlib.suppress(ImportError):
                import fcntl

                fcntl.flock(lock, fcntl.LOCK_EX)
            known = entries()
            yield known
            models = {}
            for name in sorted(known):
                models[name] = asdict(known[name])
                del models[name]["name"]
            store_json(file, {"version": _VERSION, "models": models})
    except OSError as error:
        raise LlmzipError(f"cannot change the list of models {file}: {error.strerror}") from None
