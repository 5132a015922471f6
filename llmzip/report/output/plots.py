"""Pictures of an estimate: where in the text the bits are, how good the ranks are, what context buys."""

from __future__ import annotations

import bz2
import io
import lzma
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llmzip.report.measure.estimate import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_POINTS = 120  # points of a line over the position, at most
_TOKENS = 100  # tokens that a point stands for, at least
_STEPS = 32  # prefixes that a classic codec is tried on
_LONG = 4 << 20  # of texts longer than this only a quarter as many

# Okabe and Ito's colours, told apart by people who see few.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#999999", "#E69F00", "#56B4E9")


def _brotli(data: bytes) -> int:
    import brotli

    return len(brotli.compress(data, quality=9, lgwin=24))


CLASSIC: dict[str, Callable[[bytes], int]] = {
    "gzip -9": lambda data: len(zlib.compress(data, 9)),
    "bzip2 -9": lambda data: len(bz2.compress(data, 9)),
    "xz -9": lambda data: len(lzma.compress(data, preset=9)),
    "brotli 9": _brotli,
}


def marginal_costs(data: bytes, size: Callable[[bytes], int], steps: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Places (steps,) in the middle of equal stretches, and bits per byte that each adds to the compressed size."""
    ends = np.linspace(0, len(data), steps + 1).astype(int)
    sizes = np.array([size(data[:end]) for end in ends])
    return (ends[1:] + ends[:-1]) / 2, 8 * np.diff(sizes) / np.maximum(np.diff(ends), 1)


def smoothed(lengths: NDArray[np.int64], bits: NDArray[np.float64], points: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Places in the middle of about equal stretches, and bits per byte there, from tokens of `lengths` bytes, (n,)."""
    ends = np.cumsum(lengths)
    edges = np.unique(np.searchsorted(ends, np.linspace(0, ends[-1], points + 1)[1:]) + 1)
    edges = np.concatenate([[0], np.minimum(edges, len(lengths))])
    places = np.concatenate([[0], ends])[edges]
    totals = np.concatenate([[0.0], np.cumsum(bits)])[edges]
    keep = np.diff(places) > 0
    return ((places[1:] + places[:-1]) / 2)[keep], (np.diff(totals)[keep] / np.diff(places)[keep])


def rank_bins(ranks: NDArray[np.int32], bits: NDArray[np.float64]) -> tuple[list[str], NDArray[Any], NDArray[Any]]:
    """Labels of the bins 0, 1, 2-3, 4-7, ... of ranks, with the share of tokens and the share of bits in each."""
    which = np.where(ranks > 0, np.floor(np.log2(np.maximum(ranks, 1))).astype(int) + 1, 0)
    count = int(which.max()) + 1
    labels = ["0", "1"] + [f"{_short(1 << (b - 1))}–{_short((1 << b) - 1)}" for b in range(2, count)]
    tokens = np.bincount(which, minlength=count) / len(ranks)
    cost = np.bincount(which, bits, minlength=count) / max(float(bits.sum()), 1e-9)
    return labels[:count], tokens, cost


def _short(number: int) -> str:
    return str(number) if number < 1000 else f"{number / 1000:.0f}k"


def draw_estimate(result: Estimate, form: str, check: Callable[[], None] | None = None) -> bytes:
    """A picture ("png" or "svg") of one estimate. check: called now and then, may raise to give up."""
    with _drawing():
        figure = _figure(3 if result.windows else 2)
        axes = figure.axes
        _draw_position(axes[0], result, check or (lambda: None))
        _draw_ranks(axes[1], result)
        if result.windows:
            _draw_windows(axes[2], result)
        figure.suptitle(result.text.name, fontsize=11)
        return _saved(figure, form)


def _figure(panels: int) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 3.1 * panels + 0.5), layout="constrained")
    for number in range(panels):
        axes = figure.add_subplot(panels, 1, number + 1)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
    return figure


def _draw_position(axes: Axes, result: Estimate, check: Callable[[], None]) -> None:
    columns, data = result.columns, result.text.data
    lines = [("model alone", columns.bits), ("with mixing", columns.mixed)]
    for (label, bits), colour in zip(lines, _COLOURS, strict=False):
        if bits is not None and len(bits):
            axes.plot(
                *smoothed(columns.bytes, bits, max(1, min(_POINTS, len(bits) // _TOKENS))),
                label=label,
                color=colour,
                linewidth=1.3,
            )
    steps = max(1, min(_STEPS if len(data) <= _LONG else _STEPS // 4, len(data) // 512))
    for (label, size), colour in zip(CLASSIC.items(), _COLOURS[2:], strict=False):
        check()
        axes.plot(*marginal_costs(data, size, steps), label=label, color=colour, linewidth=0.9, linestyle="--")
    axes.set(xlabel="position in the text, bytes", ylabel="bits per byte", xlim=(0, len(data)))
    axes.set_ylim(bottom=0)
    axes.ticklabel_format(axis="x", style="plain")
    axes.legend(fontsize=8, ncols=3, frameon=False)


def _draw_ranks(axes: Axes, result: Estimate) -> None:
    labels, tokens, bits = rank_bins(result.columns.ranks, result.columns.bits)
    places = np.arange(len(labels))
    axes.bar(places - 0.2, 100 * tokens, 0.4, label="of the tokens", color=_COLOURS[0])
    axes.bar(places + 0.2, 100 * bits, 0.4, label="of the bits", color=_COLOURS[1])
    axes.set_xticks(places, labels, fontsize=7)
    axes.set(xlabel="rank of the token that came, among the model's guesses", ylabel="percent")
    axes.legend(fontsize=8, frameon=False)


def _draw_windows(axes: Axes, result: Estimate) -> None:
    unit = "character" if all(row.counts.characters for row in result.windows) else "byte"
    places = [row.mean_context for row in result.windows]
    values = [row.per(unit) or 0 for row in result.windows]
    margins = [row.margins.get(unit, 0) for row in result.windows]
    axes.errorbar(places, values, margins, marker="o", color=_COLOURS[0], capsize=3, linewidth=1.2)
    axes.set_xscale("log", base=2)
    axes.set_xticks(places, [str(row.window) for row in result.windows])
    axes.minorticks_off()
    axes.set(xlabel="window, tokens of context", ylabel=f"bits per {unit}")


def draw_ranking(names: Sequence[str], groups: dict[str, list[tuple[float, float | None] | None]], form: str) -> bytes:
    """A picture of bits per character: a bar for each model (`names`) in each group, with its interval."""
    with _drawing():
        figure = _figure(1)
        axes = figure.axes[0]
        width = 0.8 / max(len(groups), 1)
        for number, (label, pairs) in enumerate(groups.items()):
            known = [(place, pair) for place, pair in enumerate(pairs) if pair is not None]
            places = [place + (number - (len(groups) - 1) / 2) * width for place, _ in known]
            margins = [pair[1] or 0 for _, pair in known]
            colour = _COLOURS[number % len(_COLOURS)]
            axes.bar(
                places, [pair[0] for _, pair in known], width * 0.9, yerr=margins, label=label, color=colour, capsize=3
            )
        axes.set_xticks(range(len(names)), names, fontsize=8)
        axes.set_ylabel("bits per character")
        if groups:
            axes.legend(fontsize=8, frameon=False)
        return _saved(figure, form)


@contextmanager
def _drawing() -> Iterator[None]:
    """The same picture for the same figures, and file names as they are."""
    import matplotlib

    with warnings.catch_warnings(), matplotlib.rc_context({"svg.hashsalt": "llmzip", "text.parse_math": False}):
        # A name may hold characters that the font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        yield


def _saved(figure: Figure, form: str) -> bytes:
    sink = io.BytesIO()
    figure.savefig(sink, format=form, dpi=150, metadata={"Date": None} if form == "svg" else None)
    return sink.getvalue()
