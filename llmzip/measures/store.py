"""Code lengths kept in a file (SQLite), so that work that was stopped goes on where it ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmzip.errors import LlmzipError
from llmzip.measures.lengths import CodeLengths, Progress, Size, Wanted, unwatched

_VERSION = 1
_KEYS_AT_ONCE = 500


class StoredLengths:
    """Another coder's lengths, each worked out once: those of a context are stored when all texts after it are done.

    A key stands for coder, context and text together (BLAKE2b, 16 bytes), so one file serves any texts and coders.
    Raises LlmzipError where the file is none of ours or cannot be written.
    """

    def __init__(self, coder: CodeLengths, path: str | Path) -> None:
        self._coder, self._path = coder, path
        self.name, self.identity = coder.name, coder.identity
        try:
            self._file = sqlite3.connect(path)
            (version,) = self._file.execute("PRAGMA user_version").fetchone()
            (tables,) = self._file.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if version != _VERSION and (version or tables):
                raise sqlite3.DatabaseError("made by another program or version")
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS lengths (key BLOB PRIMARY KEY, bits REAL NOT NULL) WITHOUT ROWID"
            )
            self._file.execute(f"PRAGMA user_version = {_VERSION}")
            self._file.commit()
        except sqlite3.Error as error:
            raise LlmzipError(f"{path} cannot be used as a cache ({error}): name another file") from None

    def sizes(self, texts: Sequence[bytes]) -> list[Size]:
        """As the coder's."""
        return self._coder.sizes(texts)

    def notices(self, contexts: Sequence[bytes], texts: Sequence[bytes]) -> list[str]:
        """As the coder's."""
        return self._coder.notices(contexts, texts)

    def _keys(self, context: bytes | None, texts: Sequence[bytes]) -> list[bytes]:
        before = blake2b(digest_size=16)
        for part in (self.identity.encode(), b"" if context is None else b"+" + context):
            before.update(len(part).to_bytes(8, "little") + part)
        keys = []
        for text in texts:
            one = before.copy()
            one.update(text)
            keys.append(one.digest())
        return keys

    def _known(self, keys: list[bytes]) -> NDArray[np.float64]:
        found: dict[bytes, float] = {}
        for at in range(0, len(keys), _KEYS_AT_ONCE):
            some = keys[at : at + _KEYS_AT_ONCE]
            marks = ",".join("?" * len(some))
            found.update(self._file.execute(f"SELECT key, bits FROM lengths WHERE key IN ({marks})", some))
        return np.array([found.get(key, np.nan) for key in keys])

    def _keep(self, keys: list[bytes], bits: NDArray[np.float64], new: NDArray[np.bool_]) -> None:
        try:
            with self._file:
                self._file.executemany(
                    "INSERT OR REPLACE INTO lengths VALUES (?, ?)",
                    [(keys[i], float(bits[i])) for i in np.flatnonzero(new).tolist()],
                )
        except sqlite3.Error as error:
            raise LlmzipError(f"{self._path} cannot be written ({error}): make room, or name another file") from None

    def alone(self, texts: Sequence[bytes], progress: Progress = unwatched) -> NDArray[np.float64]:
        """K(x) of each text in bits, (n,)."""
        keys = self._keys(None, texts)
        found = self._known(keys)
        new = np.isnan(found)
        progress(int((~new).sum()))
        if new.any():
            found[new] = self._coder.alone([texts[i] for i in np.flatnonzero(new).tolist()], progress)
            self._keep(keys, found, new)
        return found

    def given(
        self, contexts: Sequence[bytes], texts: Sequence[bytes], wanted: Wanted, progress: Progress = unwatched
    ) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """As `CodeLengths`."""
        keys = [self._keys(context, texts) for context in contexts]
        known = np.array([self._known(of_context) for of_context in keys]).reshape(len(contexts), len(texts))
        missing = np.isnan(known) & wanted
        progress(int((wanted & ~missing).sum()))
        for number, found in self._coder.given(contexts, texts, missing, progress):
            self._keep(keys[number], found, missing[number])
            yield number, np.where(wanted[number], np.where(missing[number], found, known[number]), np.nan)

    def close(self) -> None:
        """Close the file and free the coder."""
        self._file.close()
        self._coder.close()
