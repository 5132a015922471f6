"""Editing effort on edits that are made from real texts: block moves, rewritings, typos."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.codec.settings import Settings
from llmzip.measures.editing import edit_distance, efforts, levenshtein, phrase_starts, phrases
from llmzip.measures.model_lengths import ModelLengths

pytest.importorskip("pydivsufsort", reason="phrases are counted by suffix arrays")
pytest.importorskip("rapidfuzz", reason="Levenshtein's distance is rapidfuzz's")


def plain_phrases(text):
    """LZ77 by its definition: the longest stretch that begins before, or one new symbol."""
    count = at = 0
    while at < len(text):
        length = 0
        while at + length < len(text) and text.find(text[at : at + length + 1], 0, at + length) >= 0:
            length += 1
        at += max(1, length)
        count += 1
    return count


def typos(text, count, seed=1):
    """Letters replaced at random places."""
    generator, letters = random.Random(seed), list(text)
    for place in generator.sample(range(len(letters)), count):
        letters[place] = generator.choice("abcdefghijklmnopqrstuvwxyz")
    return "".join(letters)


@pytest.fixture(scope="module")
def paragraphs(corpora):
    text = (corpora / "the-glass-orchard.txt").read_text()
    return [part.replace("\n", " ") for part in text.split("\n\n") if 300 < len(part) < 900][:8]


@settings(max_examples=150)
@given(st.text("ab", max_size=40) | st.text("abcdé中", max_size=40))
def test_phrases_are_those_of_the_definition(text):
    assert phrases(text) == plain_phrases(text)


def test_known_cases():
    assert [phrases(text) for text in ("", "a", "aaaa", "abab", "abcabcabc")] == [0, 1, 2, 3, 4]
    assert edit_distance("abcdef", "abcdef") == 1 and edit_distance("abcdef", "") == 0
    assert edit_distance("abcdef", "defabc") == 2 and levenshtein("abcdef", "defabc") == 6
    assert edit_distance(b"abc", b"xyz") == 3 and edit_distance("", "aaaa") == 2
    assert phrase_starts(np.array([5, 70_000, 5, 70_000])).tolist() == [0, 1, 2]
    with pytest.raises(TypeError):
        edit_distance("a", b"a")


def test_a_moved_block_is_little_effort_and_many_single_edits(paragraphs):
    for paragraph in paragraphs:
        half = paragraph.rindex(" ", 0, len(paragraph) // 2) + 1
        moved = paragraph[half:] + paragraph[:half]
        assert edit_distance(paragraph, moved) <= 3
        assert levenshtein(paragraph, moved) > 0.4 * len(paragraph)


def test_effort_grows_with_typos_and_rewriting_is_more(paragraphs):
    for paragraph, other in pairwise(paragraphs):
        few, many = typos(paragraph, 3), typos(paragraph, 30)
        half = len(paragraph) // 2
        rewritten = paragraph[:half] + other[:half]
        found = [edit_distance(paragraph, text) for text in (paragraph, few, rewritten, other)]
        assert found == sorted(found) and found[0] == 1
        assert edit_distance(paragraph, few) < edit_distance(paragraph, many) < edit_distance(paragraph, other)
        assert edit_distance(paragraph, few) <= 1 + 3 * 3


def test_a_text_against_its_edited_version_is_below_one_against_anothers(paragraphs):
    with ModelLengths(Settings(level=1)) as coder:
        for paragraph, other in pairwise(paragraphs):
            texts = [text.encode() for text in (paragraph, typos(paragraph, 5), typos(other, 5))]
            found = efforts(coder, texts[0], texts)
            for measure in ("phrases", "levenshtein", "bits"):
                same, edited, anothers = (getattr(effort, measure) for effort in found.efforts)
                assert same < edited < anothers, measure
            same = found.efforts[0]
            assert same.bits < 0.15 * same.alone and same.levenshtein == 0


def test_a_long_text_takes_linear_time():
    text = "".join(random.Random(3).choices("abcdefgh ", k=200_000))
    assert edit_distance(text, text[100_000:] + text[:100_000]) <= 3


def test_empty_texts_are_refused():
    with ModelLengths(Settings(level=1)) as coder, pytest.raises(ValueError, match="empty"):
        efforts(coder, b"", [b"a"])
