"""A text as a web page, coloured by what each token costs; hovering tells the rest.

The page is one file: it loads nothing. Its policy allows one script, named by its hash, so that nothing in the text
can run even if it should get past the escaping.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
import json
from collections.abc import Iterator
from html import escape
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmzip.report.measure.estimate import MIXED, MODEL, QUANTISED, STORED, Estimate
from llmzip.report.measure.examine import BlockFacts

ALTERNATIVES = 4
"""Likely tokens that the page tells of; what an `Examiner` for it has to keep."""

LEVELS = (0.5, 1, 2, 3, 4.5, 6, 8, 11, 15)
"""Bits from which on the next colour is used."""

_NAMES = "abcdefghi"  # classes of the colours
_SECTION = 1500  # tokens of a section, at least; the browser lays out only those in view
_LONGEST_SECTION = 6000  # where no line ends
_FRACTION = 256  # of a bit

# Characters that would be invisible or reorder what stands around them, and how they are shown.
_CONTROL = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"} | {127: "\u2421"}
_NAMED = [
    *range(0x80, 0xA0),
    0x61C,
    0x200B,
    0x200E,
    0x200F,
    *range(0x2028, 0x202F),
    0x2060,
    *range(0x2066, 0x206A),
    0xFEFF,
]
_VISIBLE = _CONTROL | {code: f"⟨U+{code:04X}⟩" for code in [*_NAMED, 0xFFFE, 0xFFFF]}


def page(result: Estimate, pieces: list[bytes]) -> bytes:
    """The page of an estimate whose examiner kept `ALTERNATIVES` alternatives. pieces: bytes of each token id."""
    script, style = _asset("page.js"), _asset("page.css")
    policy = (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; script-src {_hash(script)}; style-src {_hash(style)}"
    )
    name = escape(visible(result.text.name))
    parts = [
        "<!doctype html>\n<html>\n<head>\n<meta charset=utf-8>\n",
        f'<meta http-equiv=Content-Security-Policy content="{policy}">\n',
        "<meta name=viewport content='width=device-width,initial-scale=1'>\n",
        f"<title>{name}: bits of each token</title>\n<style>{style}</style>\n</head>\n<body>\n",
        _header(result, name),
        "<main>\n",
        *_sections(result),
        "</main>\n<div id=tip role=tooltip hidden></div>\n",
        *_data(result, pieces),
        f"<script>{script}</script>\n</body>\n</html>\n",
    ]
    return "".join(parts).encode()


def _asset(name: str) -> str:
    return resources.files("llmzip.report.output").joinpath("assets", name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def visible(text: str) -> str:
    """Text with every control character shown by a stand-in; line feeds and tabs stay."""
    return text.translate(_VISIBLE)


def _header(result: Estimate, name: str) -> str:
    facts = [("tokens", f"{result.counts.tokens:,}"), ("bytes", f"{result.counts.bytes:,}")]
    for measure in (MODEL, QUANTISED, MIXED, STORED):
        found = result.measure(measure)
        if found is None:
            continue
        unit = "character" if found.per("character") is not None else "byte"
        facts.append((measure, f"{found.per(unit):.3f} bits per {unit}"))
    listed = "".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in facts)
    bounds = ["0", *(f"{level:g}" for level in LEVELS)]
    legend = "".join(f"<i class='{c}'>{bound}</i>" for c, bound in zip(["", *_NAMES], bounds, strict=True))
    choice = ""
    if result.columns.mixed is not None:
        choice = (
            "<label>colour by <select id=shade autocomplete=off><option value=bits selected>the model alone"
            "<option value=coded>what is coded, with mixing</select></label>"
        )
    legend = f"<div class=legend>bits per token from {legend}{choice}</div>"
    return f"<header>\n<h1>{name}</h1>\n<dl>{listed}</dl>\n{legend}\n</header>\n"


def _sections(result: Estimate) -> Iterator[str]:
    """The text in sections, each of which begins on a line of its own if lines are not too long."""
    first = 0
    for block in result.examination.blocks:
        levels = np.searchsorted(LEVELS, np.nan_to_num(block.scores.bits), "right").tolist()
        opened, made = first, [f"<section data-first={first}>"]
        for number, (text, literal) in enumerate(_texts(block)):
            if literal:
                made.append(f"<u>{escape(literal)}</u>")
            name = _NAMES[levels[number] - 1] if levels[number] else ""
            if text.startswith("\n"):
                name = f"'{name} n'" if name else "n"
            made.append(f"<i class={name}>{escape(text, False)}</i>" if name else f"<i>{escape(text, False)}</i>")
            first += 1
            length = first - opened
            if (length >= _SECTION and text.endswith("\n")) or (length >= _LONGEST_SECTION and text):
                yield "".join(made) + "</section>\n"
                opened, made = first, [f"<section data-first={first}>"]
        tail = _hexadecimal([literal for place, literal in block.text.literals if place == len(levels)])
        yield "".join(made) + (f"<u>{tail}</u>" if tail else "") + "</section>\n"


def _texts(block: BlockFacts) -> Iterator[tuple[str, str]]:
    """For every token what it shows, and what to show before it: the bytes there that no token stands for.

    A token that ends inside a character shows nothing; the one that completes the character shows it.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    literals: dict[int, list[bytes]] = {}
    for place, literal in block.text.literals:
        literals.setdefault(place, []).append(literal)
    offsets, data = block.offsets().tolist(), block.data
    lengths = block.lengths.tolist()
    last = len(lengths) - 1
    for number, length in enumerate(lengths):
        before = ""
        if number in literals:
            before = decoder.decode(b"", True) + _hexadecimal(literals[number])
        # A literal lies before its token: the token ends where the next one's literal begins.
        start = offsets[number]
        yield visible(decoder.decode(data[start : start + length], number == last)), before


def _hexadecimal(literals: list[bytes]) -> str:
    return " ".join(literal.hex(" ") for literal in literals)


def _data(result: Estimate, pieces: list[bytes]) -> Iterator[str]:
    """The columns that the script reads, and what tells it how."""
    scores = [block.scores for block in result.examination.blocks]
    likely = np.concatenate([each.likely for each in scores]) if scores else np.empty((0, ALTERNATIVES), np.int32)
    chances = np.concatenate([each.chances for each in scores]) if scores else np.empty((0, ALTERNATIVES), np.float32)
    used, places = np.unique(likely, return_inverse=True)
    wide = max(len(used), int(result.columns.ranks.max(initial=0)) + 1) > 1 << 16
    whole = np.dtype("<u4" if wide else "<u2")
    facts = {
        "wide": wide,
        "coded": result.columns.mixed is not None,
        "alternatives": likely.shape[1],
        "levels": LEVELS,
        "pieces": [_piece(pieces[token]) for token in used.tolist()],
    }
    yield f'<script type="application/json" id=facts>{_json(facts)}</script>\n'
    yield _column("bits", _fixed(result.columns.bits))
    yield _column("ranks", result.columns.ranks.astype(whole))
    if result.columns.mixed is not None:
        yield _column("coded", _fixed(result.columns.mixed))
    yield _column("likely", places.reshape(-1).astype(whole))
    yield _column("chances", np.rint(np.clip(chances, 0, 1) * 65535).astype("<u2"))


def _fixed(bits: NDArray[np.float64]) -> NDArray[np.uint16]:
    return np.clip(np.rint(np.nan_to_num(bits) * _FRACTION), 0, 65535).astype("<u2")


def _column(name: str, values: NDArray[Any]) -> str:
    return f'<script type="text/plain" id={name}>{base64.b64encode(values.tobytes()).decode()}</script>\n'


def _json(value: object) -> str:
    """JSON that can stand in a script element: nothing in it can end the element or begin a comment."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _piece(piece: bytes) -> str:
    """A token as the page tells it among the alternatives."""
    try:
        return visible(piece.decode()) or "⟨none⟩"
    except UnicodeDecodeError:
        return f"⟨{piece.hex(' ').upper()}⟩"
