from __future__ import annotations

from pathlib import Path

import pytest

from training import config as recipe

RECIPE = Path(recipe.__file__).with_name("config.toml")


def test_the_recipe_loads_and_its_shares_are_positive() -> None:
    config = recipe.load(RECIPE)
    assert sum(source.share for source in config.prepare.sources.values()) == pytest.approx(1.0)
    assert config.model.vocabulary == config.tokenizer.vocabulary


def test_overrides_win_and_keep_the_rest() -> None:
    config = recipe.load(RECIPE, ["train.rows=3", 'paths.work="elsewhere"', "prepare.sources.book.share=0.5"])
    assert (config.train.rows, config.paths.work) == (3, "elsewhere")
    assert config.prepare.sources["book"].share == 0.5
    assert config.prepare.sources["book"].excerpt_bytes == recipe.load(RECIPE).prepare.sources["book"].excerpt_bytes


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("train.rowz=3", "unknown setting train.rowz"),
        ('train.rows="3"', "expected int"),
        ("train.rows=", "not a TOML"),
        ("train.compile=1", "expected bool"),
        ("prepare.sources.book.shares=1", "unknown setting prepare.sources.book.shares"),
    ],
)
def test_mistakes_are_named(assignment: str, words: str) -> None:
    with pytest.raises(recipe.ConfigError, match=words):
        recipe.load(RECIPE, [assignment])


def test_a_whole_number_serves_as_a_fraction() -> None:
    assert recipe.load(RECIPE, ["train.clip=2"]).train.clip == 2.0
