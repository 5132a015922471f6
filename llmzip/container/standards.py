"""Codings that headers name by a number, since nearly all files are coded so: their parameters, model and table."""

from __future__ import annotations

from typing import NamedTuple


class Standard(NamedTuple):
    """What a header would say otherwise: the fields of `format.Header`, and the identity of the table of n-grams."""

    tolerance: int
    context: int
    parts: int
    model: bytes
    table: bytes


_TABLE = bytes.fromhex("e1cdf589017bb4e5")

# format: what is inside the package, at levels 1 to 3 and from 4 on. Numbered from 1. Once files are about, an entry stays as it is: another
# built-in model or table gets new ones behind these.
STANDARDS = (
    Standard(0, 0, 0, bytes(8), _TABLE),
    Standard(120, 1024, 4, bytes.fromhex("80561b8f758a5216"), _TABLE),
)
