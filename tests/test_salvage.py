"""What is whole of a damaged file comes back, and the gaps are known."""

from __future__ import annotations

import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_container import HEADER, member

from llmzip.container import Block, BlockKind, Header, classic, read_index
from llmzip.container.salvage import Gap, Piece, Salvage
from llmzip.errors import CorruptError

BLOCKS = [
    (BlockKind.RAW, b"raw bytes that come first"),
    (BlockKind.ZSTD, b"".join(b"zstd %d\n" % i for i in range(60))),
    (BlockKind.XZ, b"".join(b"xz %d\n" % i for i in range(70))),
    (BlockKind.BROTLI, b"".join(b"brotli %d\n" % i for i in range(80))),
    (BlockKind.RAW, b"the end"),
]
FILE = member(BLOCKS)
ORIGINALS = [data for _, data in BLOCKS]
(ENTRY,) = read_index(io.BytesIO(FILE))
PLACES = [ENTRY.block(io.BytesIO(FILE), i).offset for i in range(len(BLOCKS))] if hasattr(ENTRY, "block") else []
PLACES = PLACES or [block.offset for block in ENTRY.blocks]


def decode(header: Header | None, block: Block) -> bytes:
    if block.kind is BlockKind.MODEL:
        raise CorruptError("a model block")
    data = classic.decode(block.kind, block.payload, block.original_length)
    block.verify(data)
    return data


def salvaged(file: bytes) -> tuple[list[bytes], list[Gap]]:
    found = list(Salvage(io.BytesIO(file), decode))
    gaps = [each for each in found if isinstance(each, Gap)]
    for gap in gaps:
        assert 0 <= gap.start <= gap.stop <= len(file)
    return [each.data for each in found if isinstance(each, Piece)], gaps


def flipped(file: bytes, at: int) -> bytes:
    return file[:at] + bytes([file[at] ^ 0x55]) + file[at + 1 :]


def test_a_sound_file_has_no_gaps() -> None:
    for file in (FILE, FILE + FILE, member([]), member([]) + FILE):
        pieces, gaps = salvaged(file)
        assert not gaps and b"".join(pieces) == b"".join(ORIGINALS) * (len(file) // len(FILE))


@pytest.mark.parametrize("number", range(len(BLOCKS)))
@pytest.mark.parametrize("place", ["type", "lengths", "payload", "check"])
def test_one_damaged_block(number: int, place: str) -> None:
    start = PLACES[number]
    end = [*PLACES, ENTRY.footer.offset][number + 1]
    at = {"type": start, "lengths": start + 1, "payload": (start + end) // 2, "check": end - 1}[place]
    pieces, (gap,) = salvaged(flipped(FILE, at))
    assert pieces == ORIGINALS[:number] + ORIGINALS[number + 1 :]
    before = sum(map(len, ORIGINALS[:number]))
    assert (gap.start, gap.stop, gap.lost, gap.original) == (start, end, len(ORIGINALS[number]), before)
    assert gap.blocks == (number + 1,)


def test_damaged_neighbours_are_one_gap() -> None:
    file = flipped(flipped(FILE, PLACES[1] + 20), PLACES[2] + 20)
    pieces, (gap,) = salvaged(file)
    assert pieces == [ORIGINALS[0], *ORIGINALS[3:]]
    assert (gap.start, gap.stop, gap.blocks) == (PLACES[1], PLACES[3], (2, 3))
    assert gap.lost == len(ORIGINALS[1]) + len(ORIGINALS[2])


@pytest.mark.parametrize("at", [0, 3, 5, 6, 8, 20, len(HEADER.pack()) - 1])
def test_a_damaged_header_costs_no_classic_block(at: int) -> None:
    pieces, (gap,) = salvaged(flipped(FILE, at))
    assert pieces == ORIGINALS and gap.lost == 0 and (gap.start, gap.stop) == (0, PLACES[0])


def test_a_damaged_footer_costs_nothing() -> None:
    for at in range(ENTRY.footer.offset, len(FILE)):
        pieces, gaps = salvaged(flipped(FILE, at))
        assert pieces == ORIGINALS and len(gaps) == 1 and gaps[0].lost in (0, None)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_without_an_index_blocks_are_searched(number: int) -> None:
    """The footer is cut off, and one block is damaged: the others are found."""
    start = PLACES[number]
    cut = FILE[: ENTRY.footer.offset]
    for at in (start, start + 1, start + 12):
        pieces, gaps = salvaged(flipped(cut, at))
        assert [piece for piece in ORIGINALS if piece in pieces] == ORIGINALS[:number] + ORIGINALS[number + 1 :]
        assert gaps[0].start == start


def test_every_truncation() -> None:
    for length in range(len(FILE)):
        pieces, gaps = salvaged(FILE[:length])
        whole = sum(end <= length for end in [*PLACES[1:], ENTRY.footer.offset])
        assert pieces == ORIGINALS[:whole] and gaps
        if length in (*PLACES, len(HEADER.pack()), ENTRY.footer.offset):
            # Nothing is damaged, but nobody knows what came behind.
            assert gaps == [
                Gap(length, length, None, sum(map(len, pieces)), (), "the member has no footer: the file is truncated")
            ]
        behind, gaps = salvaged(FILE[:length] + FILE)
        assert behind[-4:] == ORIGINALS[-4:] and (gaps or not length)


def test_bytes_lost_or_put_in_between() -> None:
    for number, start in enumerate(PLACES[1:-1], 1):
        for file in (FILE[: start + 9] + FILE[start + 12 :], FILE[: start + 9] + b"new" + FILE[start + 9 :]):
            pieces, gaps = salvaged(file)
            assert pieces == ORIGINALS[:number] + ORIGINALS[number + 1 :] and gaps


def test_other_members_are_untouched() -> None:
    for at in range(0, len(FILE), 7):
        pieces, gaps = salvaged(FILE + flipped(FILE, at) + FILE)
        assert pieces[:5] == ORIGINALS == pieces[-5:] and gaps


@pytest.mark.parametrize("block", BLOCKS)
def test_a_member_of_one_block(block: tuple[BlockKind, bytes]) -> None:
    """Its footer does not tell lengths."""
    alone = member([block])
    (entry,) = read_index(io.BytesIO(alone))
    start = len(HEADER.pack())
    for at in range(len(alone)):
        for behind in (b"", FILE):
            pieces, gaps = salvaged(flipped(alone, at) + behind)
            assert pieces[-5:] == ORIGINALS or not behind
            mine = pieces[:1] if len(pieces) > len(BLOCKS) * bool(behind) else []
            whole = not start <= at < entry.footer.offset
            assert mine == [block[1]] * whole and len(gaps) == 1
            if whole:
                assert gaps[0].lost in (0, None)
            elif at >= start + 5:  # else its head, the only one to tell, is damaged
                assert gaps[0].lost == len(block[1])
    for length in range(1, len(alone)):
        pieces, gaps = salvaged(alone[:length])
        assert pieces == [block[1]] * (length >= entry.footer.offset)
        assert gaps
    assert salvaged(alone * 3) == ([block[1]] * 3, [])


def test_misplaced_blocks_are_told() -> None:
    first, second = FILE[PLACES[0] : PLACES[1]], FILE[PLACES[4] : ENTRY.footer.offset]
    two = member([BLOCKS[0], BLOCKS[4]])
    swapped = two.replace(first + second, second + first)
    _, gaps = salvaged(swapped)
    assert gaps


@settings(max_examples=60)
@given(st.integers(0, len(FILE)), st.integers(0, 40), st.binary(max_size=40), st.booleans())
def test_any_damage_gives_only_whole_blocks(start: int, cut: int, new: bytes, two: bool) -> None:
    file = FILE[:start] + new + FILE[start + cut :] + (FILE if two else b"")
    pieces, _ = salvaged(file)
    assert all(piece in ORIGINALS for piece in pieces)
    assert not two or pieces[-5:] == ORIGINALS


def test_noise() -> None:
    noise = random.Random(1).randbytes(30_000)
    assert salvaged(noise)[0] == []
    pieces, gaps = salvaged(FILE + noise + FILE)
    assert pieces == ORIGINALS * 2 and len(gaps) == 1
    assert salvaged(b"")[1]
