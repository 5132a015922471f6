"""The operations of the bare form as commands: `llmzip compress`, `decompress`, `test` and `info`."""

from __future__ import annotations

from typing import Any

import click

from llmzip.cli.options import Options, compress_options, decompress_options, info_options, test_options
from llmzip.cli.program import EXIT_CODES, SETTINGS
from llmzip.cli.run import Run, operate


@click.command(epilog=EXIT_CODES, context_settings=SETTINGS)
@compress_options
def compress(files: tuple[str, ...], **parameters: Any) -> int:
    """Compress each FILE to FILE.llmz; without FILE, or for -, standard input to standard output."""
    return operate("compress", files, parameters)


@click.command(epilog=EXIT_CODES, context_settings=SETTINGS)
@decompress_options
def decompress(files: tuple[str, ...], **parameters: Any) -> int:
    """Restore each FILE.llmz to FILE; without FILE, or for -, standard input to standard output."""
    return operate("decompress", files, parameters)


@click.command(epilog=EXIT_CODES, context_settings=SETTINGS)
@test_options
def test(files: tuple[str, ...], **parameters: Any) -> int:
    """Decode each FILE, verify everything, write nothing."""
    return operate("test", files, parameters)


@click.command(epilog=EXIT_CODES, context_settings=SETTINGS)
@info_options
def info(files: tuple[str, ...], **parameters: Any) -> int:
    """Tell what each FILE holds, without decoding it."""
    from llmzip.cli.info import show

    return show(files, Run(Options.of(parameters)))
