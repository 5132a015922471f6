"""The soft side: a language model evaluated in floating point, from tokens to odds of turns in the vocabulary tree."""
