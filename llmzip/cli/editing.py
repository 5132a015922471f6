"""`llmzip distance --measure edit`: the effort to turn one text into others (docs/measures.md)."""

from __future__ import annotations

from typing import Any

from llmzip.cli import measuring
from llmzip.cli.options import Options
from llmzip.errors import UsageError


def run(files: tuple[str, ...], form: str, parameters: dict[str, Any], options: Options) -> int:
    """Measure the effort from the first text to each other one and print it; the exit code."""
    from llmzip.cli.distance import collect_each, make_coder
    from llmzip.measures import editing, tables
    from llmzip.report.measure.stopping import Stopped

    for library in ("pydivsufsort", "rapidfuzz"):
        editing.need(library)
    items, code = collect_each(files, parameters["columns"], options, needs_first=True)
    if code and len(items) < 2:
        return code
    if len(items) < 2:
        raise UsageError(f"{items[0].name} is the only text: name another to compare it with")
    coder = make_coder(parameters, options)
    source, edited = items[0], items[1:]
    try:
        with measuring.stopping() as request:
            with measuring.watched("edits", 2 * len(edited), options, request, unit=" lengths") as done:
                found = editing.efforts(coder, source.data, [item.data for item in edited], done)
    except Stopped:
        return measuring.STOPPED
    finally:
        coder.close()
    measuring.tell(found.notices, form, options)
    measuring.emit(
        form,
        lambda: tables.effort_tables(found, source, edited),
        lambda: tables.effort_rows(found, source, edited),
        lambda: tables.effort_document(found, source, edited),
    )
    return code
