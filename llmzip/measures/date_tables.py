"""Code lengths over time as tables, CSV rows, a JSON document and a picture (docs/measures.md describes the keys)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from llmzip.measures.by_date import Point
from llmzip.report.output.tables import Column, Row, Table, grouped, with_margin
from llmzip.version import __version__

SCHEMA, SCHEMA_VERSION = "llmzip.by_date", 1

_FEW = 5
"""With fewer texts an interval says little but that there are few, and would be most of the picture."""

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def rows(found: Mapping[str, Sequence[Point]]) -> list[Row]:
    """A row for each model and period."""
    return [
        {
            "model": model,
            "period": point.period,
            "texts": point.texts,
            "bytes": point.bytes,
            "tokens": point.tokens,
            "characters": point.characters,
            "bits": point.bits,
            "bits_per_character": point.rate,
            "margin_95": point.margin,
        }
        for model, points in found.items()
        for point in points
    ]


def tables(found: Mapping[str, Sequence[Point]], told: Sequence[str], mixed: Sequence[str] = ()) -> list[Table]:
    """A table for each model; what was told of all is below the last. mixed: models measured with mixing."""
    columns = [
        Column("period", "period", left=True),
        Column("texts", "texts", grouped),
        Column("bytes", "bytes", grouped),
        Column("tokens", "tokens", grouped),
        Column("rate", "bits per character", with_margin(3)),
    ]
    note = "each text by itself; intervals (95 %) over texts"
    last = list(found)[-1:]
    return [
        Table(
            f"Over time: {model}",
            columns,
            [row | {"rate": (row["bits_per_character"], row["margin_95"])} for row in rows({model: points})],
            [note if model in mixed else f"the model alone, {note}", *(told if [model] == last else [])],
        )
        for model, points in found.items()
    ]


def document(found: Mapping[str, Sequence[Point]], told: Sequence[str]) -> dict[str, Any]:
    """All that is known, for `--json`."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "llmzip": __version__,
        "notices": list(told),
        "points": rows(found),
    }


def _limits(points: Sequence[Point]) -> tuple[float, float]:
    """Of the axis: all points, and the intervals of all but a few texts; those of few texts may leave the picture."""
    reach = [(point.rate, (point.margin or 0.0) if point.texts >= _FEW else 0.0) for point in points]
    low, high = min(rate - margin for rate, margin in reach), max(rate + margin for rate, margin in reach)
    room = 0.08 * (high - low) or 0.05
    return max(0.0, low - room), high + room


def picture(found: Mapping[str, Sequence[Point]], form: str) -> bytes:
    """A line for each model over the periods, with its intervals, as "png" or "svg"."""
    import matplotlib
    from matplotlib.figure import Figure

    names = sorted({point.period for points in found.values() for point in points})
    places = {name: i for i, name in enumerate(names)}
    figure = Figure(figsize=(max(5.0, 1.5 + 0.45 * len(names)), 4), layout="constrained")
    axes = figure.subplots()
    for number, (model, points) in enumerate(found.items()):
        axes.errorbar(
            [places[point.period] for point in points],
            [point.rate for point in points],
            yerr=[float("nan") if point.margin is None else point.margin for point in points],
            marker="o",
            markersize=4,
            capsize=3,
            linewidth=1.5,
            color=_COLOURS[number % len(_COLOURS)],
            label=model,
        )
    axes.set_xticks(
        range(len(names)), names, rotation=45 if len(names) > 8 else 0, ha="right" if len(names) > 8 else "center"
    )
    axes.set_ylabel("bits per character")
    axes.set_ylim(*_limits([point for points in found.values() for point in points]))
    axes.grid(axis="y", alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    texts = sum(point.texts for point in next(iter(found.values())))
    size = sum(point.bytes for point in next(iter(found.values())))
    axes.set_title(f"Code length over time, {texts} texts of {size:,} bytes", loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    sink = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "llmzip"}):
        figure.savefig(sink, format=form, dpi=130, metadata={"Date": None} if form == "svg" else {})
    return sink.getvalue()
