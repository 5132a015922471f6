"""What shortened prompts save, as tables, CSV rows and a JSON document (docs/measures.md describes the keys)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmzip.measures.prompts import Saved
from llmzip.report.output.tables import Column, Row, Table, grouped
from llmzip.version import __version__

SCHEMA, SCHEMA_VERSION = "llmzip.prompts", 1


def rows(reports: Sequence[tuple[str, Saved]]) -> list[Row]:
    """A row for each prompt."""
    return [
        {
            "file": name,
            "bytes": saved.bytes,
            "tokens": saved.before,
            "shortened": saved.after,
            "dictionary": saved.dictionary,
            "entries": saved.entries,
            "tokens_saved": saved.tokens,
            "attention_saved": saved.attention,
        }
        for name, saved in reports
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def tables(reports: Sequence[tuple[str, Saved]], tokenizer: str) -> list[Table]:
    """One table, a row for each prompt."""
    columns = [
        Column("file", "prompt", left=True),
        Column("bytes", "bytes", grouped),
        Column("tokens", "tokens", grouped),
        Column("shortened", "shortened", grouped),
        Column("dictionary", "of which dictionary", grouped),
        Column("entries", "entries", grouped),
        Column("tokens_saved", "tokens saved", _percent),
        Column("attention_saved", "attention saved", _percent),
    ]
    note = f"{f'tokens of {tokenizer}' if tokenizer else 'token ids as given'}; attention: 1 - (shortened / tokens)^2"
    return [Table("Prompts with meta-tokens", columns, rows(reports), [note])]


def document(reports: Sequence[tuple[str, Saved]], tokenizer: str) -> dict[str, Any]:
    """All that is known, for `--json`."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "llmzip": __version__,
        "tokenizer": tokenizer or None,
        "prompts": rows(reports),
    }
