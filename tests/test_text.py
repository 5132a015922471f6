"""Bytes to tokens and back: any bytes, any tokenizer."""

import numpy as np
import pytest
from fakes import PIECES, greedy
from hypothesis import example, given
from hypothesis import strategies as st

from llmzip.text import newlines
from llmzip.text.tokens import STRETCH, Vocabulary

ODD = [
    b"",
    b"\0",
    bytes(range(256)),
    b"\xef\xbb\xbfBOM",
    b"\xed\xa0\x80 lone surrogate",
    b"caf\xc3\xa9 \xc3 cut \xf0\x9f\x98",
    b"a\r\nb\rc\n",
    b"<|bos|><|endoftext|></s>",
    b" " * 5000 + b"\t" * 300 + b"\n" * 700,
    b"a" * (3 * STRETCH + 5),
    "漢字かな交じり文🎉".encode() * 2000,
]


def lossy(text):
    """A tokenizer that forgets control bytes and puts a space in front."""
    return greedy(PIECES)(b" " + bytes(b for b in text if b >= 32))


def broken(text):
    return np.array([5, 6, 7], np.int32)


@pytest.mark.parametrize("tokenize", [greedy(PIECES), lossy, broken])
@pytest.mark.parametrize("data", ODD, ids=range(len(ODD)))
def test_odd_bytes_survive_any_tokenizer(tokenize, data):
    vocabulary = Vocabulary(PIECES, tokenize)
    text = vocabulary.encode(data)
    assert vocabulary.decode(text) == data
    assert not text.literals, "every byte has a token here"


@given(st.binary(max_size=400) | st.text(max_size=400).map(lambda s: s.encode("utf-8", "surrogatepass")))
@example(b"\xff")
@example(b"ab\xffcd\xff\xff")
def test_literals_carry_what_has_no_token(data):
    pieces = [b"a", b"b", b" ", b"th", b"e", b"\xc3\xa9", b"", b"abab"]
    vocabulary = Vocabulary(pieces, greedy(pieces))
    text = vocabulary.encode(data)
    assert vocabulary.decode(text) == data
    positions = [position for position, _ in text.literals]
    assert positions == sorted(positions)
    assert all(literal for _, literal in text.literals)


def test_the_tokenizer_is_used_where_it_can_be_trusted():
    seen = []

    def tokenize(text):
        seen.append(text)
        return greedy(PIECES)(text)

    data = b"word " * (STRETCH // 2) + b"\xff" + b"more"
    vocabulary = Vocabulary(PIECES, tokenize)
    vocabulary.encode(b"x")  # before its first text the tokenizer is tried
    seen.clear()
    vocabulary.encode(data)
    assert b"".join(seen) == data.replace(b"\xff", b"")
    assert all(len(stretch) <= STRETCH for stretch in seen)
    assert all(stretch.startswith(b" ") for stretch in seen[1:-1]), "cut before a space, so that no word is cut"


@given(st.text(alphabet="ab\r\n", max_size=60).map(str.encode))
def test_newline_transform_is_reversible_or_refused(data):
    text = newlines.to_lf(data)
    if text is not None:
        assert newlines.to_crlf(text) == data
        assert b"\r" not in text
    crlf_only = b"\r\n" in data and data.replace(b"\r\n", b"").translate(None, b"ab") == b""
    assert (text is not None) == crlf_only


def test_spare_tokens_are_taken_only_where_no_other_has_the_piece():
    pieces = [b"a", b"b", b"a", b"", b"a"]
    vocabulary = Vocabulary(pieces, lambda text: np.empty(0, np.int32), {0, 1})
    assert vocabulary.encode(b"aba").tokens.tolist() == [2, 1, 2]
    assert Vocabulary(pieces, lambda text: np.empty(0, np.int32)).encode(b"aba").tokens.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("data", "tokens", "spaced"),
    [
        (b"Once", [0, 1], True),
        (b" Once", [0, 1], False),
        (b"Once\xffOnce", [0, 1, 2, 3, 1], True),
        (b"\xffOnce", [2, 3, 1], False),
        (b"", [], False),
    ],
)
def test_an_added_space_is_kept_where_the_text_begins_with_it(data, tokens, spaced):
    pieces = [b" On", b"ce", b"O", b"n", b" a"]
    known = {b"a": [4], b"Once": [0, 1]}
    vocabulary = Vocabulary(pieces, lambda text: np.array(known[text], np.int32))
    text = vocabulary.encode(data)
    assert (text.tokens.tolist(), text.spaced) == (tokens, spaced)
    assert vocabulary.decode(text) == data
