"""Names of models that are split over several files: NAME-00001-of-00003.gguf and so on."""

from __future__ import annotations

import re

_MOST = 1000  # parts; larger numbers are part of a name
_PART = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf")


def all_parts(name: str) -> list[str]:
    """The names of all files of the model that one of them belongs to, the first part first; `name` alone if it is whole."""
    match = _PART.fullmatch(name)
    if not match or not 1 <= int(match[3]) <= _MOST:
        return [name]
    return [f"{match[1]}-{part:05d}-of-{match[3]}.gguf" for part in range(1, int(match[3]) + 1)]


def stands_for_model(name: str) -> bool:
    """Whether a file is a whole model or the first part of one."""
    match = _PART.fullmatch(name)
    return match is None or all_parts(name)[0] == name
