"""`llmzip -l`: a line for each compressed file, and their totals."""

from __future__ import annotations

from collections.abc import Iterable

from llmzip.cli.files import Input, require_output
from llmzip.cli.run import Run, name_of
from llmzip.container.index import list_members, read_index
from llmzip.errors import LlmzipError

_HEADING = f"{'blocks':>7} {'compressed':>13} {'original':>13} {'ratio':>8} {'bits/byte':>9}  file"


def show(files: Iterable[str], session: Run) -> int:
    """Print the table; the exit code. Raises `OSError` when stdout does not take it."""
    require_output()
    rows: list[tuple[int, int, int]] = []

    def one(path: str | None) -> None:
        with Input(path, follow=True) as source:
            if source.terminal:
                raise LlmzipError("compressed data is not read from a terminal: name a file or redirect the input")
            members = list_members(source.stream) if source.size is None else read_index(source.stream)
        session.writing_stdout = True  # where that breaks off, nobody wants the rest
        if not rows:
            print(_HEADING)
        rows.append(
            (
                sum(len(member.blocks) for member in members),
                sum(member.size for member in members),
                sum(member.footer.original for member in members),
            )
        )
        print(_line(*rows[-1], name_of(path)), flush=True)

    code = session.for_each(files, one)
    if len(rows) > 1:
        blocks, compressed, original = (sum(column) for column in zip(*rows, strict=True))
        print(_line(blocks, compressed, original, f"{len(rows)} files"))
    return code


def _line(blocks: int, compressed: int, original: int, name: str) -> str:
    ratio = f"{original / compressed:.3f}" if original else "-"
    bits = f"{8 * compressed / original:.3f}" if original else "-"
    return f"{blocks:>7} {compressed:>13} {original:>13} {ratio:>8} {bits:>9}  {name}"
