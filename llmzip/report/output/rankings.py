"""Rankings of models as tables, CSV rows and a JSON document (docs/estimate.md describes the keys)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llmzip.report.contest.ranking import AFTER, BEFORE, Gap, Score, gap, together
from llmzip.report.output.tables import Column, Row, Table, decimals, grouped, with_margin
from llmzip.version import __version__

SCHEMA = "llmzip.rank-models"
SCHEMA_VERSION = 1
ALL = "all texts"


@dataclass
class Ranking:
    """Scores of models on texts: `scores[model]` holds pairs (side of the date or None, score), in the order of the
    texts.

    described: what is known of each model. day: ISO date of the split, None without one.
    """

    described: dict[str, dict[str, Any]] = field(default_factory=dict)
    scores: dict[str, list[tuple[str | None, Score]]] = field(default_factory=dict)
    day: str | None = None

    def total(self, model: str, side: str | None = None) -> Score | None:
        """All texts of a side (None: of both) as one collection; None if the model lacks scores that others have."""
        mine = [score for where, score in self.scores[model] if side is None or where == side]
        most = max(len([1 for where, _ in each if side is None or where == side]) for each in self.scores.values())
        return together(model, side or ALL, mine) if mine and len(mine) == most else None

    def gap(self, model: str) -> Gap | None:
        """The gap between both sides; None where one is missing."""
        before, after = self.total(model, BEFORE), self.total(model, AFTER)
        return gap(before, after) if before and after else None

    def ranked(self) -> list[str]:
        """Models, best first; those that did not score all texts come last."""

        def key(model: str) -> tuple[bool, float]:
            total = self.total(model)
            return total is None, total.rate if total else 0.0

        return sorted(self.scores, key=key)


def _pair(score: Score | None) -> tuple[float, float | None] | None:
    return None if score is None else (score.rate, score.margin)


def tables(ranking: Ranking, *, partial: bool) -> list[Table]:
    """The models, best first, and below that their bits on each text."""
    columns = [
        Column("model", "model", left=True),
        Column("bytes", "model bytes", grouped),
        Column("all", "bits/char", with_margin(4)),
        Column("mixed", "after mixing", decimals(4)),
    ]
    if ranking.day:
        columns += [
            Column(BEFORE, f"before {ranking.day}", with_margin(4)),
            Column(AFTER, "from then on", with_margin(4)),
            Column("gap", "gap", with_margin(4)),
        ]
    rows = []
    for model in ranking.ranked():
        total, gaps = ranking.total(model), ranking.gap(model) if ranking.day else None
        rows.append(
            {
                "model": model,
                "bytes": ranking.described[model].get("bytes"),
                "all": _pair(total),
                "mixed": total.mixed if total else None,
                BEFORE: _pair(ranking.total(model, BEFORE)),
                AFTER: _pair(ranking.total(model, AFTER)),
                "gap": (gaps.gap, gaps.margin) if gaps else None,
            }
        )
    made = [Table("Models by bits per character, model alone", columns, rows)]
    texts = _texts(ranking)
    if len(texts) > 1:
        names = [Column("text", "text", left=True), Column("characters", "characters", grouped)]
        names += [Column(model, model, with_margin(4)) for model in ranking.ranked()]
        by_text = []
        for side, name in texts:
            row: Row = {"text": f"{name} ({side})" if side else name}
            for model, scores in ranking.scores.items():
                for where, score in scores:
                    if (where, score.collection) == (side, name):
                        row[model] = _pair(score)
                        row["characters"] = score.characters
            by_text.append(row)
        made.append(Table("Bits per character on each text", names, by_text))
    if partial:
        made[-1].notes.append("Partial: stopped before all models had scored all texts.")
    return made


def _texts(ranking: Ranking) -> list[tuple[str | None, str]]:
    return list(dict.fromkeys((side, s.collection) for each in ranking.scores.values() for side, s in each))


def groups(ranking: Ranking) -> dict[str, list[tuple[float, float | None] | None]]:
    """What a picture shows: a bar for each ranked model, by side of the date or, without one, by text."""
    models = ranking.ranked()
    if ranking.day:
        labels = {BEFORE: f"before {ranking.day}", AFTER: f"from {ranking.day}"}
        return {label: [_pair(ranking.total(model, side)) for model in models] for side, label in labels.items()}
    found: dict[str, list[tuple[float, float | None] | None]] = {}
    for _, name in _texts(ranking)[:8]:
        mine = [{s.collection: s for _, s in ranking.scores[model]} for model in models]
        found[name] = [_pair(scores.get(name)) for scores in mine]
    return found


def document(ranking: Ranking, *, partial: bool) -> dict[str, Any]:
    """The JSON document."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "llmzip": __version__,
        "partial": partial,
        "split": ranking.day,
        "models": [_model(ranking, model) for model in ranking.ranked()],
    }


def _model(ranking: Ranking, model: str) -> dict[str, Any]:
    gaps = ranking.gap(model) if ranking.day else None
    return {
        "model": model,
        **ranking.described[model],
        "total": _plain(ranking.total(model)),
        "before": _plain(ranking.total(model, BEFORE)) if ranking.day else None,
        "after": _plain(ranking.total(model, AFTER)) if ranking.day else None,
        "gap": None if gaps is None else {"gap": round(gaps.gap, 6), "margin": _rounded(gaps.margin)},
        "texts": [
            {"file": score.collection, "side": side, **(_plain(score) or {})} for side, score in ranking.scores[model]
        ],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _plain(score: Score | None) -> Row | None:
    if score is None:
        return None
    return {
        "characters": score.characters,
        "bits": round(score.bits, 3),
        "bits_per_character": round(score.rate, 6),
        "margin": _rounded(score.margin),
        "mixed_bits_per_character": _rounded(score.mixed),
    }


def csv_rows(ranking: Ranking) -> list[Row]:
    """A row for each model on each text."""
    return [
        {"model": model, "file": score.collection, "side": side, **(_plain(score) or {})}
        for model in ranking.ranked()
        for side, score in ranking.scores[model]
    ]
