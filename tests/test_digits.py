"""Numbers spelt digit by digit."""

from hypothesis import given
from hypothesis import strategies as st

from llmzip.text.digits import DigitSpeller, many_digits
from llmzip.text.embedded_vocabulary import digit_speller, embedded_vocabulary
from llmzip.text.tokens import TokenText, Vocabulary

texts = st.lists(
    st.sampled_from([" 2026", "-01", "x7", "224218", " 9", ".50", "\n", "caf\u00e9", "\ud800", " "]), max_size=40
)


@given(texts)
def test_the_text_is_the_same_and_no_number_has_two_digits(parts):
    data = "".join(parts).encode("utf-8", "surrogatepass")
    vocabulary = embedded_vocabulary()
    text = digit_speller().spell(vocabulary.encode(data))
    assert vocabulary.decode(text) == data
    pieces = [vocabulary.pieces[token] for token in text.tokens.tolist()]
    assert not any(len(piece.strip()) > 1 and piece.strip().isdigit() for piece in pieces)


def test_equal_columns_of_numbers_become_equal_columns_of_tokens():
    vocabulary = embedded_vocabulary()
    spelt = [digit_speller().spell(vocabulary.encode(b" %d," % n)).tokens for n in (224218, 224219, 100000)]
    assert {len(tokens) for tokens in spelt} == {7}


def test_literals_stay_where_they_are():
    pieces = [b"a", b"1", b"2", b"12", b""]
    vocabulary = Vocabulary(pieces, lambda text: __import__("numpy").array([pieces.index(b"12")], "int32"))
    text = TokenText(vocabulary.encode(b"12").tokens, [(0, b"x"), (1, b"y")])
    assert vocabulary.decode(DigitSpeller(pieces).spell(text)) == b"x12y"


def test_which_texts_have_many_digits():
    assert many_digits(b"2026-01-01 10:00:00 sshd[811]") and not many_digits(
        b"In 1815 he went to Rome, then home again to his wife, his garden and his two dogs, and was never seen abroad."
    )
    assert not many_digits(b"")
