"""Numbers spelt digit by digit."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmzip.codec.codec import Codec
from llmzip.text.digits import DigitSpeller, many_digits
from llmzip.text.embedded_vocabulary import digit_speller, embedded_vocabulary
from llmzip.text.tokens import TokenText, Vocabulary

texts = st.lists(
    st.sampled_from(
        [
            " 2026",
            "-01",
            "x7",
            "224218",
            " 9",
            ".50",
            "9f86d081884c",
            " 00C0FFEE",
            "deadbeef",
            "\n",
            "caf\u00e9",
            "\ud800",
            " ",
        ]
    ),
    max_size=40,
)


@given(texts)
def test_the_text_is_the_same_and_no_number_has_two_digits(parts):
    data = "".join(parts).encode("utf-8", "surrogatepass")
    vocabulary = embedded_vocabulary()
    text = digit_speller().spell(vocabulary.encode(data), data)
    assert vocabulary.decode(text) == data
    pieces = [vocabulary.pieces[token] for token in text.tokens.tolist()]
    assert not any(len(piece.strip()) > 1 and piece.strip().isdigit() for piece in pieces)


def test_equal_columns_of_numbers_become_equal_columns_of_tokens():
    vocabulary = embedded_vocabulary()
    texts = [b" %d," % number for number in (224218, 224219, 100000)]
    spelt = [digit_speller().spell(vocabulary.encode(text), text).tokens for text in texts]
    assert {len(tokens) for tokens in spelt} == {7}


def test_literals_stay_where_they_are():
    pieces = [b"a", b"1", b"2", b"12", b""]
    vocabulary = Vocabulary(pieces, lambda text: __import__("numpy").array([pieces.index(b"12")], "int32"))
    text = TokenText(vocabulary.encode(b"12").tokens, [(0, b"x"), (1, b"y")])
    assert vocabulary.decode(DigitSpeller(pieces).spell(text, b"x12y")) == b"x12y"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (b"9f86d081884c7d65", 16),
        (b" 9f86d081884c7d65\n", 17),  # the space belongs to the first digit
        (b"9F86D081884C7D65", 16),
        (b"deadbeefdeadbeef", None),  # might be a word
    ],
)
def test_long_hexadecimal_numbers_are_spelt(text, tokens):
    vocabulary = embedded_vocabulary()
    plain = vocabulary.encode(text)
    spelt = digit_speller().spell(plain, text)
    assert vocabulary.decode(spelt) == text
    if tokens:
        assert len(spelt.tokens) == tokens
    else:
        assert len(spelt.tokens) < len(text)


def _coded(text: str) -> int:
    with Codec(level=1, threads=1) as codec:
        return len(codec.compress(text.encode()))


def test_random_digits_cost_their_entropy():
    numbers = random.Random(4)
    decimal = "".join(f"blk_{numbers.randrange(10**19):019d}\n" for _ in range(3000))
    assert _coded(decimal) <= 1.01 * 3000 * 19 * math.log2(10) / 8
    hexadecimal = "".join(f"{numbers.getrandbits(128):032x}\n" for _ in range(2000))
    assert _coded(hexadecimal) <= 1.01 * 2000 * 16


def test_what_counts_up_costs_nearly_nothing():
    assert _coded("".join(f"{1000000 + number}\n" for number in range(8000))) < 300
    assert _coded("".join(f'{{"id": {number}, "at": {1700000000 + 60 * number}}}\n' for number in range(4000))) < 1500


def test_which_texts_have_many_digits():
    assert many_digits(b"2026-01-01 10:00:00 sshd[811]") and not many_digits(
        b"In 1815 he went to Rome, then home again to his wife, his garden and his two dogs, and was never seen abroad."
    )
    assert not many_digits(b"")
