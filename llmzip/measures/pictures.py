"""Distances drawn: a dendrogram of the texts, and the matrix as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llmzip.measures.distances import symmetric
from llmzip.measures.editing import need

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_NAMES = 120  # beyond that names would be drawn over each other
_INCH = 0.16  # of height for a text

# Okabe and Ito's colours, told apart by people who see few.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999", "#000000")


def require() -> None:
    """Raises LlmzipError where pictures cannot be drawn."""
    for library in ("matplotlib", "scipy"):
        need(library)


def linkage(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The tree of a square matrix of distances, as SciPy has it, (n - 1, 4): average linkage (UPGMA) of the mean of both
    directions. Raises ValueError for fewer than two texts."""
    from scipy.cluster.hierarchy import linkage as link
    from scipy.spatial.distance import squareform

    if len(values) < 2:
        raise ValueError("a tree takes at least two texts")
    made: NDArray[np.float64] = link(squareform(symmetric(values), checks=False), "average")
    return made


def tree(
    values: NDArray[np.float64], names: Sequence[str], labels: Sequence[str | None], title: str, form: str
) -> bytes:
    """The dendrogram as "png" or "svg"; names in the colour of their label."""
    from scipy.cluster.hierarchy import dendrogram

    figure, axes = _canvas(8, max(2.5, 1 + _INCH * min(len(names), MOST_NAMES * 3)))
    shown = len(names) <= MOST_NAMES
    joins = linkage(values)
    dendrogram(
        joins,
        orientation="left",
        labels=list(names),
        ax=axes,
        no_labels=not shown,
        color_threshold=0,
        above_threshold_color="#555555",
        leaf_font_size=8,
    )
    if shown:
        colour = dict(zip(names, _colours(labels), strict=True))
        for text in axes.get_yticklabels():
            text.set_color(colour.get(text.get_text(), "black"))
    axes.set_xlim(*_reach(joins[:, 2]))
    axes.set_xlabel("distance at which two branches meet")
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    axes.set_title(title, loc="left", fontsize=10)
    _legend(figure, labels)
    return _drawn(figure, form)


def _reach(heights: NDArray[np.float64]) -> tuple[float, float]:
    """Of the axis of a tree, its root first: from 0 where that leaves half of it to the joins, else from below the lowest."""
    low, high = float(heights.min()), float(heights.max())
    room = 0.05 * ((high - low) or high or 1.0)
    return high + room, 0.0 if low < high / 2 else max(0.0, low - 4 * room)


def matrix(
    values: NDArray[np.float64], names: Sequence[str], labels: Sequence[str | None], title: str, form: str
) -> bytes:
    """The matrix as a picture, "png" or "svg"; where all texts have labels, those of one label lie side by side."""
    order = np.arange(len(names))
    if all(label is not None for label in labels):
        order = np.array(sorted(range(len(names)), key=lambda i: (str(labels[i]), i)))
    figure, axes = _canvas(7.5, 6.5)
    # The distance of a text to itself would take most of the scale.
    others = values[~np.eye(len(values), dtype=np.bool_)]
    least, most = (float(others.min()), float(others.max())) if len(others) else (0.0, 1.0)
    shown = values[np.ix_(order, order)]
    image = axes.imshow(shown, cmap="viridis", interpolation="nearest", vmin=least, vmax=max(most, least + 1e-9))
    figure.colorbar(image, ax=axes, shrink=0.8)
    if len(names) <= MOST_NAMES // 2:
        ticks = [names[i] for i in order.tolist()]
        size = 8 if len(names) <= 30 else 5
        axes.set_xticks(range(len(names)), ticks, rotation=90, fontsize=size)
        axes.set_yticks(range(len(names)), ticks, fontsize=size)
    else:
        _spans(axes, [labels[i] for i in order.tolist()])
    axes.set_title(title, loc="left", fontsize=10)
    return _drawn(figure, form)


def _spans(axes: Any, labels: Sequence[str | None]) -> None:
    """Ticks in the middle of every run of one label, lines between them."""
    starts = [i for i in range(len(labels)) if not i or labels[i] != labels[i - 1]]
    stops = [*starts[1:], len(labels)]
    middles = [(a + b - 1) / 2 for a, b in zip(starts, stops, strict=True)]
    if len(starts) > 40:
        return
    told = [str(labels[i]) if labels[i] is not None else "" for i in starts]
    axes.set_xticks(middles, told, rotation=90)
    axes.set_yticks(middles, told)
    for place in starts[1:]:
        axes.axhline(place - 0.5, color="white", linewidth=0.7)
        axes.axvline(place - 0.5, color="white", linewidth=0.7)


def _colours(labels: Sequence[str | None]) -> list[str]:
    known = sorted({label for label in labels if label is not None})
    return ["black" if label is None else _COLOURS[known.index(label) % len(_COLOURS)] for label in labels]


def _legend(figure: Figure, labels: Sequence[str | None]) -> None:
    known = sorted({label for label in labels if label is not None})
    if 1 < len(known) <= len(_COLOURS):
        from matplotlib.lines import Line2D

        marks = [Line2D([], [], color=_COLOURS[i], linewidth=3, label=label) for i, label in enumerate(known)]
        figure.legend(handles=marks, loc="outside lower center", ncols=len(known), fontsize=8, frameon=False)


def _canvas(width: float, height: float) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _drawn(figure: Figure, form: str) -> bytes:
    import matplotlib

    sink = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "llmzip"}):
        figure.savefig(sink, format=form, dpi=130, metadata={"Date": None} if form == "svg" else {})
    return sink.getvalue()
