"""Equal-info windows: exact inverses, windows that decode by themselves, codes that nobody wrote."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import FakeModel
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.codec.settings import Settings
from llmzip.errors import UsageError
from llmzip.measures.equal_info import EqualInfo, Ratio

TEXT = "the rest of the thing is red, and the table in the room café 中 is not the thing. ".encode() * 30


@pytest.fixture(scope="module", params=[8, 13, 16, 24])
def coder(request):
    with EqualInfo(request.param, Settings(model=FakeModel())) as made:
        yield made


@settings(max_examples=25)
@given(data=st.binary(max_size=60) | st.text("the of\n", max_size=120).map(str.encode))
def test_any_bytes_come_back(coder, data):
    codes = coder.encode(data)
    assert coder.decode(codes) == data
    assert codes.dtype == {8: np.uint8, 13: np.uint16, 16: np.uint16, 24: np.uint32}[coder.bits]


def test_every_window_decodes_by_itself(coder):
    codes = coder.encode(TEXT)
    texts = coder.texts(codes)
    assert b"".join(texts) == TEXT
    for code, text in list(zip(codes.tolist(), texts, strict=True))[:40]:
        if coder.bits >= 16 or code >= 32:  # with fewer bits some bytes take two windows
            assert coder.decode([code]) == text
    table = {}
    for code, text in zip(codes.tolist(), texts, strict=True):
        if code >= 32:
            assert table.setdefault(code, text) == text, "a code stands for one text"


def test_drift_between_machines_changes_nothing():
    with (
        EqualInfo(16, Settings(model=FakeModel(drift=1e-6, seed=1))) as one,
        EqualInfo(16, Settings(model=FakeModel(drift=1e-6, seed=2))) as other,
    ):
        codes = one.encode(TEXT)
        assert other.decode(codes) == TEXT
        assert (other.encode(TEXT) != codes).sum() <= 2, "tokens near an edge may be left out here and not there"


def test_more_bits_hold_more_text():
    held = []
    for bits in (8, 16, 24):
        with EqualInfo(bits, Settings(model=FakeModel())) as made:
            held.append(len(TEXT) / len(made.encode(TEXT)))
    assert held == sorted(held)


def test_codes_that_nobody_wrote(coder):
    with pytest.raises(ValueError, match="bits"):
        coder.decode([1 << coder.bits])
    if coder.bits < 16:
        for codes in ([3], [17], [3, 4], [3, 255]):
            with pytest.raises(ValueError, match="half a byte"):
                coder.decode(codes)
    rng = np.random.default_rng(1)
    for code in rng.integers(0, 1 << coder.bits, 60).tolist():
        try:
            assert isinstance(coder.decode([code]), bytes)
        except ValueError as error:
            assert "stands for nothing" in str(error) or "half a byte" in str(error)


def test_limits():
    for bits in (7, 33):
        with pytest.raises(UsageError, match="8 to 32 bits"):
            EqualInfo(bits)
    with pytest.raises(UsageError, match="by a network"):
        EqualInfo(16, Settings(level=1))


def test_ratios_are_the_papers():
    """EqualInfoAC[b=16, v=256] and [b=16, v=65k] hold the same bits in one token less."""
    ratio = Ratio(16, 100, 532)
    assert ratio.bit_ratio == ratio.token_ratio(8) == pytest.approx(2.66)
    assert ratio.token_ratio(16) == pytest.approx(5.32)


def test_the_embedded_model():
    text = b"The ship came in with the tide, later than anyone had hoped, and nobody was there to see it. "
    with EqualInfo(16) as made:
        codes = made.encode(text)
        assert made.decode(codes) == text and 8 * len(text) / (16 * len(codes)) > 1.5
