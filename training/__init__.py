"""The recipe of the embedded model: text to tokens, tokens to weights, weights to GGUF, GGUF to figures.

Apart from the package `llmzip`: its own requirements (`requirements.txt`), its own tests, and never shipped.
"""
