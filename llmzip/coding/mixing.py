"""Mixing: the probabilities of a block's turns, from the model's cells and from what the file has shown so far.

The work is native (`_mixer`, docs/mixing.md); this layer gives it the cells' table and the decoder's loop. Encoder and
decoder drive the same C functions in the same order.

A block of N tokens lies in S streams, the longer ones (by one token) first. Step t codes token t of every stream that
has one, in stream order: of each its state (where flags are in use), then its turns level by level. Each turn is learnt
before the next one is predicted.

format: the order of coding, the cells' table and every probability decide the bits.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, TypeAlias

from llmzip.coding import _mixer
from llmzip.coding.cells import CENTRES
from llmzip.coding.start_file import Start

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llmzip.coding.turndecoder import TurnDecoder

    Ranks: TypeAlias = array[int] | NDArray[np.uint32]

MOST_LEAVES = 1 << 18
"""Of a vocabulary's tree."""

# format: what has no room in the tables is forgotten.
_SMALL_BLOCK = 1 << 20  # tokens
_OBSERVED = 1 << 14  # tokens learnt at once: bounds the memory for what is thrown away


def memory_for(tokens: int) -> int:
    """Bytes that the tables may come to for a block of so many tokens; short blocks take less."""
    return (64 if tokens < _SMALL_BLOCK else 128) << 20


def sizes(tokens: int, traits: bool) -> tuple[int, ...]:
    """Of the tables of a mixer for so many tokens, as binary logarithms. Mixers of equal ones, made alike, predict alike for as
    long as their blocks last, however long those are. Raises ValueError."""
    return _mixer.sizes(tokens, memory_for(tokens), traits)


Table = _mixer.Table


class Mixer:
    """Predicts and learns the turns of the blocks of one file, for one direction of coding.

    leaves: size of the vocabulary, 2 to 2**18. streams, tokens: shape of the first block; `tokens` also sizes the
    tables.
    mix: off, every turn costs what its cell says (for study). flags: tokens have a state (portable arithmetic).
    table: of n-grams, for this vocabulary. traits: of the tokens (`VocabularyTree`), (leaves, 10); without them lines and fields
    are not looked at. start: what it begins with, for turns without cells. seen: ranks of tokens that stand before the first block
    and that both sides know: learnt without being coded.
    Raises ValueError for arguments out of range, MemoryError.
    """

    def __init__(
        self,
        leaves: int,
        streams: int,
        tokens: int,
        *,
        mix: bool = True,
        flags: bool = True,
        memory: int | None = None,
        table: Table | None = None,
        traits: bytes | None = None,
        start: Start | None = None,
        seen: Ranks | None = None,
    ) -> None:
        known = len(seen) if seen is not None and mix else 0
        self._mixer = _mixer.Mixer(
            leaves,
            CENTRES,
            1 if known else streams,
            known or tokens,
            room=known + tokens,
            mix=mix,
            flags=flags,
            memory=memory or memory_for(known + tokens),
            table=table,
            traits=traits,
            start=start.data if start else None,
        )
        if known and seen is not None:
            self._observe(seen)
            self.next_block(streams, tokens)

    def _observe(self, ranks: Ranks) -> None:
        """Learn a block of one stream as if it had been coded, without cells.

        format: it is learnt as blocks without a network are, whatever comes.
        """
        for first in range(0, len(ranks), _OBSERVED):
            some = ranks[first : first + _OBSERVED]
            self._mixer.encode(some, bytes(len(some)), None)

    @property
    def left(self) -> int:
        """Tokens of the block that are not coded yet."""
        return self._mixer.left

    @property
    def memory(self) -> int:
        """Bytes the tables may come to occupy."""
        return self._mixer.memory

    def next_block(self, streams: int, tokens: int) -> None:
        """Go on with another block; what was learnt stays. Raises RuntimeError in the middle of one."""
        self._mixer.next_block(streams, tokens)

    def encode(
        self, ranks: Ranks, states: bytes | NDArray[np.uint8], cells: NDArray[np.uint8] | None
    ) -> tuple[bytes, bytes]:
        """Bits (uint8) and probabilities (uint16) of all turns of the next n tokens, in coding order, as raw bytes.

        ranks, states: (n,); cells: (n, depth), what belongs to forced turns is not read; None where there is no model but the table.
        All in coding order, C-contiguous. Raises ValueError.
        """
        return self._mixer.encode(ranks, states, cells)

    def learnt(self) -> bytes:
        """What was learnt so far, as the data of a `Start`. Raises RuntimeError where it began without one."""
        return self._mixer.learnt()

    def save(self) -> bytes:
        """All that it knows between two tokens, as large as its tables, for `restore`."""
        return self._mixer.save()

    def restore(self, saved: bytes) -> None:
        """Back to where it was saved, earlier or later in the same block. Raises ValueError for what another mixer or block gave."""
        self._mixer.restore(saved)

    def decode(self, coder: TurnDecoder, count: int, cells: object | None = None) -> array[int]:
        """Ranks of the next `count` tokens, in coding order, four bytes each.

        cells: capsule of a source of the network's cells (cellsource.h), which knows them for one step: the tokens must be of it.
        None where there is no model but the table. Raises CorruptError, ValueError for more tokens than are left.
        """
        ranks = array("I", bytes(4 * count))
        self._mixer.decode(coder.native, ranks, cells)
        coder.check()
        return ranks
