"""Texts to be measured: files, folders, tables, JSON lines and FASTA, each text with its name and, where there is one, its label."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmzip.errors import LlmzipError

TABLES = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
FASTA = (".fa", ".fasta", ".fna", ".ffn")

TEXT_COLUMNS = ("text", "sequence")
LABEL_COLUMN = "label"


@dataclass(frozen=True)
class Item:
    """A text: where it comes from, its bytes, its label (None where it has none), and the other fields of its record."""

    name: str
    data: bytes
    label: str | None = None
    date: str | None = None


def read_collection(
    path: str | Path,
    *,
    columns: Sequence[str] = (),
    label: str | None = None,
    date: str | None = None,
) -> list[Item]:
    """The texts of a file or folder, none of them empty.

    A table (.csv, .tsv) or JSON lines give a text a record: the columns named, joined by line feeds, else "text" or
    "sequence"; `label` and `date`: columns to take those from. FASTA gives a text a sequence, without line ends, its label
    being the file's name without suffix. A folder gives the texts of all its files, with the name of the folder that a
    file lies in as label. Any other file is one text. Raises LlmzipError naming what is wrong, OSError.
    """
    source = Path(path)
    if source.is_dir():
        items = [
            item
            for file in sorted(source.rglob("*"))
            if file.is_file()
            for item in _of_file(file, columns, label, date)
        ]
        items = [_labelled(item, source) for item in items]
    else:
        items = list(_of_file(source, columns, label, date))
    if not items:
        raise LlmzipError(f"{source} holds no texts")
    for item in items:
        if not item.data:
            raise LlmzipError(f"{item.name} is empty: leave it out")
    return items


def _labelled(item: Item, folder: Path) -> Item:
    inside = Path(item.name.rpartition(":")[0] or item.name).relative_to(folder)
    if item.label is None and len(inside.parts) > 1:
        return Item(item.name, item.data, inside.parts[-2], item.date)
    return item


def _of_file(path: Path, columns: Sequence[str], label: str | None, date: str | None) -> Iterator[Item]:
    suffix = path.suffix.lower()
    if suffix in TABLES:
        yield from _records(path, _rows(path, TABLES[suffix]), columns, label, date)
    elif suffix in JSON_LINES:
        yield from _records(path, _objects(path), columns, label, date)
    elif suffix in FASTA:
        yield from _sequences(path)
    else:
        yield Item(str(path), path.read_bytes())


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, dict[str, str]]]:
    csv.field_size_limit(1 << 27)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            for number, row in enumerate(csv.DictReader(file, delimiter=delimiter, strict=True), 2):
                if None in row or None in row.values():
                    raise LlmzipError(f"{path}: record {number} has not as many fields as the heading")
                yield number, row
    except UnicodeDecodeError:
        raise LlmzipError(f"{path} is not in UTF-8: convert it first") from None
    except csv.Error as error:
        raise LlmzipError(f"{path} is no table: {error}") from None


def _objects(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(io.BytesIO(path.read_bytes()), 1):
        if line.strip():
            try:
                record = json.loads(line)
                yield (
                    number,
                    {str(key): value if isinstance(value, str) else json.dumps(value) for key, value in record.items()},
                )
            except (ValueError, AttributeError):
                raise LlmzipError(f"{path}: line {number} is no JSON object") from None


def _records(
    path: Path,
    records: Iterator[tuple[int, dict[str, str]]],
    columns: Sequence[str],
    label: str | None,
    date: str | None,
) -> Iterator[Item]:
    for number, record in records:
        chosen = columns or [name for name in TEXT_COLUMNS if name in record][:1]
        for name in [*chosen, *(each for each in (label, date) if each)]:
            if name not in record:
                raise LlmzipError(f"{path} has no column {name!r}: it has {', '.join(record)}")
        if not chosen:
            raise LlmzipError(
                f"{path} has no column {' or '.join(map(repr, TEXT_COLUMNS))}: name one of {', '.join(record)}"
            )
        text = "\n".join(record[name] for name in chosen)
        data = text.encode("utf-8", "surrogateescape")
        yield Item(
            f"{path}:{number}",
            data,
            record[label] if label else record.get(LABEL_COLUMN),
            record[date] if date else None,
        )


def _sequences(path: Path) -> Iterator[Item]:
    name, parts = "", list[bytes]()
    for line in [*path.read_bytes().splitlines(), b">"]:
        if line.startswith(b">"):
            if name:
                yield Item(f"{path}:{name}", b"".join(parts), path.stem)
            words = line[1:].decode("utf-8", "replace").split()
            name, parts = words[0] if words else "-", []
        elif line.strip() and not name:
            raise LlmzipError(f"{path} is no FASTA: it does not begin with >")
        else:
            parts.append(line.strip())
