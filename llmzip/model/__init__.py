"""The soft side: a language model evaluated in floating point, from tokens to odds of turns in the vocabulary tree."""

BUILT_IN = "built-in"
"""The name by which the embedded model can be asked for."""
