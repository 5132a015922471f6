"""CRLF line ends: a reversible transform, since language models have hardly seen carriage returns."""

from __future__ import annotations


def to_lf(data: bytes) -> bytes | None:
    """The block with LF line ends, if every line end is CRLF (and there is one); None where that is not reversible."""
    pairs = data.count(b"\r\n")
    if pairs == 0 or data.count(b"\n") != pairs or data.count(b"\r") != pairs:
        return None
    return data.replace(b"\r\n", b"\n")


def to_crlf(data: bytes) -> bytes:
    """The inverse of `to_lf`."""
    return data.replace(b"\n", b"\r\n")
