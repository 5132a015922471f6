"""Code lengths: K(x), the bits of a text, and K(x|y), its bits after another text that both sides have.

Three kinds of coder give them: a model with mixing, the mixer with its table of n-grams alone, and any compressor that
`compare` knows, by concatenation. Lengths by the first two are sums of -log2 p over the turns that the codec would code,
so fractions of a bit count, and neither container nor range coder adds anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from llmzip.errors import UsageError

Progress = Callable[[int], None]
"""Told how many pairs of texts were newly done; may raise to stop the work."""

Wanted = NDArray[np.bool_]
"""Which pairs are wanted, (contexts, texts)."""


def unwatched(pairs: int) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True)
class Size:
    """What a code length rests on. tokens: None by a compressor that has none."""

    bytes: int
    tokens: int | None


class CodeLengths(Protocol):
    """A coder."""

    @property
    def name(self) -> str:
        """For people: "model", "gzip -9"."""
        ...

    @property
    def identity(self) -> str:
        """All that a length depends on beside the texts, in a line."""
        ...

    def sizes(self, texts: Sequence[bytes]) -> list[Size]:
        """What the lengths of these texts rest on."""
        ...

    def alone(self, texts: Sequence[bytes], progress: Progress = unwatched) -> NDArray[np.float64]:
        """K(x) of each text in bits, (n,)."""
        ...

    def given(
        self, contexts: Sequence[bytes], texts: Sequence[bytes], wanted: Wanted, progress: Progress = unwatched
    ) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """K(x|y) in bits for every context y, one context at a time: its number and the lengths (n,) of the texts x, nan where
        they are not wanted."""
        ...

    def notices(self, contexts: Sequence[bytes], texts: Sequence[bytes]) -> list[str]:
        """Sentences on texts that do not fit a window."""
        ...

    def close(self) -> None:
        """Free what is held."""
        ...


class ConcatenatedLengths:
    """Lengths by a compressor: K(x) = 8 |C(x)|, K(x|y) = 8 (|C(y s x)| - |C(y)|), s: what stands between two texts.

    compress: bytes to bytes. No window beyond the compressor's own.
    """

    def __init__(self, name: str, compress: Callable[[bytes], bytes], separator: bytes = b" ") -> None:
        self.name, self.separator = name, separator
        self._compress = compress

    @property
    def identity(self) -> str:
        """Name and separator."""
        return f"{self.name} {self.separator!r}"

    def sizes(self, texts: Sequence[bytes]) -> list[Size]:
        """Bytes alone."""
        return [Size(len(text), None) for text in texts]

    def _bits(self, data: bytes) -> int:
        return 8 * len(self._compress(data))

    def alone(self, texts: Sequence[bytes], progress: Progress = unwatched) -> NDArray[np.float64]:
        """K(x) of each text in bits, (n,)."""
        found = np.empty(len(texts))
        for i, text in enumerate(texts):
            found[i] = self._bits(text)
            progress(1)
        return found

    def given(
        self, contexts: Sequence[bytes], texts: Sequence[bytes], wanted: Wanted, progress: Progress = unwatched
    ) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """As `CodeLengths`; a compressor with a header and short texts may make a length negative."""
        for number, context in enumerate(contexts):
            found = np.full(len(texts), np.nan)
            own = self._bits(context) if wanted[number].any() else 0
            for i in np.flatnonzero(wanted[number]).tolist():
                found[i] = self._bits(context + self.separator + texts[i]) - own
                progress(1)
            yield number, found

    def notices(self, contexts: Sequence[bytes], texts: Sequence[bytes]) -> list[str]:
        """None: how far a compressor looks back is its own affair."""
        return []

    def close(self) -> None:
        """Nothing is held."""


def contender(name: str, separator: bytes = b" ") -> ConcatenatedLengths:
    """Lengths by a compressor of `compare`: its name, or the first word of it ("gzip", "xz", "zpaq"); several of one first word:
    the first. Raises UsageError for a name that is none or whose tool is not installed."""
    from llmzip.report.contest import contenders

    known = [each for each in contenders.NAMES if each not in contenders.OURS]
    found = next((each for each in known if name in (each, each.split()[0])), None)
    if found is None:
        names = dict.fromkeys(each.split()[0] for each in known)
        raise UsageError(f"there is no coder {name!r}: there are model, mixer, {', '.join(names)}")
    tool = contenders.find(found)
    if isinstance(tool, contenders.Library):
        return ConcatenatedLengths(found, tool.compress, separator)
    if contenders.missing([found]):
        raise UsageError(f"{found} is not installed")
    return ConcatenatedLengths(found, lambda data: _by_tool(found, data), separator)


def _by_tool(name: str, data: bytes) -> bytes:
    """A compressor that is a program of its own, by the same step as `compare`."""
    import subprocess
    import tempfile
    from pathlib import Path

    from llmzip.errors import LlmzipError
    from llmzip.report.contest import contenders

    tool = contenders.find(name)
    assert isinstance(tool, contenders.Tool)
    with tempfile.TemporaryDirectory(prefix="llmzip-") as folder:
        home = Path(folder)
        (home / "original").write_bytes(data)
        command = [tool.path() or tool.programs[0], *contenders.arguments(tool, tool.pack, home)]
        ended = subprocess.run(command, cwd=home, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        packed = home / tool.packed
        if ended.returncode or not packed.exists():
            raise LlmzipError(f"{name} ended with status {ended.returncode}")
        return packed.read_bytes()
