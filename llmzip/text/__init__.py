"""Bytes to tokens and back, lossless for any bytes."""
