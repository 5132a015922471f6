"""A short look with the fuzzer's targets, and all that it ever found (`make fuzz` goes on for as long as one likes)."""

from __future__ import annotations

import random
import time
from pathlib import Path

import fuzzing
import pytest
from hypothesis import given
from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "fuzz_corpus"
FINDINGS = sorted(path for path in CORPUS.glob("*/*") if path.is_file())
TARGETS = fuzzing.targets()


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_stays_mended(path: Path) -> None:
    began = time.process_time()
    fuzzing.run(fuzzing.target(path.parent.name), path.read_bytes())
    assert time.process_time() - began < 10


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_accepted(name: str) -> None:
    """A target that refuses everything would find nothing."""
    accepted = [fuzzing.run(TARGETS[name], data) for data in fuzzing.seeds(name)]
    # Structures are random bytes; model blocks end at their check, which nobody can make hold.
    assert any(accepted) or name in ("structure", "repair", "whole")


@pytest.mark.parametrize("name", TARGETS)
def test_mutations_end_well_or_in_an_error_made_for_them(name: str) -> None:
    chance, seeds = random.Random(name), fuzzing.seeds(name)
    for _ in range(20 if name == "repair" else 150):
        fuzzing.run(TARGETS[name], fuzzing.mutated(chance.choice(seeds), chance))


@given(st.binary(max_size=400))
def test_structures(data: bytes) -> None:
    fuzzing.structure(data)


@given(st.binary(max_size=200))
def test_headers(data: bytes) -> None:
    fuzzing.run(fuzzing.header, data)


@given(st.binary(max_size=200))
def test_heads(data: bytes) -> None:
    fuzzing.run(fuzzing.head, data)
