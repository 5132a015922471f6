"""What is measured: reading, sampling, text8, counting."""

import io
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmzip.errors import LlmzipError
from llmzip.report.measure.texts import characters_at, count_units, piece_size, take, to_text8, words_at


def taken(data, **options):
    return take(io.BytesIO(data), "x", size=len(data), **options)


def test_a_whole_text():
    text = taken(b"one two\n")
    assert (text.data, text.size, text.sampled, text.joints) == (b"one two\n", 8, False, ())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"one\0two", "NUL"),
        ("naïve".encode("utf-16"), "UTF-16"),
        (bytes(range(1, 256)) * 20, "no text"),
        ("Не в той кодировке".encode("koi8-r"), "converted"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(128, 255)), "no text"),
    ],
)
def test_what_is_no_text_is_refused(data, words):
    with pytest.raises(LlmzipError, match=words):
        taken(data)
    if data:
        assert taken(data, force=True).data == data


@pytest.mark.parametrize(
    "data", ["Grüße aus Köln, schöne Wörter überall".encode("latin-1"), b"\x1b[1mbold\x1b[0m text"]
)
def test_old_encodings_and_colours_are_text(data):
    assert taken(data).data == data


def numbered_lines(count):
    return b"".join(b"line %06d of the file, with some words\n" % k for k in range(count))


def test_samples_are_pieces_of_the_file_at_seeded_places():
    data = numbered_lines(40_000)
    sample = 128 << 10
    text = taken(data, sample=sample, seed=3)
    assert text.sampled and text.size == len(data) and len(text.joints) == sample // piece_size(sample) == 32
    assert 0.95 * sample < len(text.data) <= sample
    ends = [*text.joints[1:], len(text.data) + 1]
    places = []
    for start, end in zip(text.joints, ends, strict=True):
        piece = text.data[start : end - 1]
        places.append(data.find(piece))
        assert places[-1] >= 0 and not piece[:1].isspace()
    part = len(data) / 32
    assert all(k * part <= place < (k + 1) * part for k, place in enumerate(places))
    assert taken(data, sample=sample, seed=3) == text != taken(data, sample=sample, seed=4)


def test_pieces_are_neither_tiny_nor_large():
    assert [piece_size(size << 10) for size in (1, 64, 512, 1024, 1 << 14)] == [4096, 4096, 8192, 16384, 16384]


def test_small_files_are_not_sampled():
    data = numbered_lines(100)
    assert taken(data, sample=1 << 20) == taken(data)
    with pytest.raises(LlmzipError, match="cannot be sampled"):
        take(io.BytesIO(data), "x", size=None, sample=1024)


def test_samples_never_cut_characters():
    for word in ("ж" * 200_000, "中文" * 100_000, "🎵é" * 60_000):
        data = word.encode()
        for seed in range(5):
            for part in taken(data, sample=48 << 10, seed=seed).data.split(b"\n"):
                part.decode()


def test_text8():
    made = to_text8(b"  The 3rd of May, 1905:\n\tR\xc3\xa9sum\xc3\xa9 -- A+B ")
    assert made == b"the three rd of may one nine zero five r sum a b"
    with pytest.raises(LlmzipError, match="text8"):
        taken(b"... --- ...", text8=True)


@given(st.binary(max_size=200))
def test_text8_has_27_characters_and_single_blanks(data):
    made = to_text8(data)
    assert set(made) <= set(b"abcdefghijklmnopqrstuvwxyz ")
    assert b"  " not in made and made == made.strip() and to_text8(made) == made


@given(st.text(max_size=60), st.lists(st.integers(0, 10), max_size=8))
def test_units_of_parts_add_up(text, sizes):
    data = text.encode()
    offsets = np.unique(np.minimum(np.cumsum([0, *sizes, len(data)]), len(data)))
    counts = count_units(data, 0)
    assert counts.characters == len(text) == characters_at(data, offsets)[-1]
    assert counts.words == len(text.split()) == words_at(data, offsets)[-1]
    for start, stop in itertools.pairwise(offsets):
        begun = characters_at(data, np.array([start, stop]))
        assert begun[1] - begun[0] == sum(byte & 0xC0 != 0x80 for byte in data[start:stop])
