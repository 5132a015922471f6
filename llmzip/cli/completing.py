"""What shells are told that a word may be, where it is neither a command nor an option nor just any file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def _beginning(names: list[str], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def registered(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the user's own models."""
    from llmzip.model import registry

    return _beginning(list(registry.entries()), incomplete)


def models(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Whatever names a model: a file, the built-in one, the user's own."""
    from click.shell_completion import CompletionItem

    from llmzip.model import BUILT_IN

    files = CompletionItem(incomplete, type="file")  # first: bash starts anew at files
    return [files, *_beginning([BUILT_IN], incomplete), *registered(context, parameter, incomplete)]


def coders(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What gives code lengths: of compressors the first word, those that are installed."""
    from llmzip.report.contest import contenders

    known = [name for name in contenders.NAMES if name not in contenders.OURS and not contenders.missing([name])]
    return _beginning(list(dict.fromkeys(["model", "mixer", *(name.split()[0] for name in known)])), incomplete)
