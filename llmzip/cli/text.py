"""`llmzip text`: a message in characters that go through a chat, an address or a log."""

from __future__ import annotations

import base64
import binascii
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from llmzip.cli.files import require_output
from llmzip.cli.options import Options, apply, context_option, level_options, model_options, report_messages_options
from llmzip.cli.program import EXIT_CODES, SETTINGS
from llmzip.cli.run import make_codec
from llmzip.errors import CorruptError, LlmzipError

if TYPE_CHECKING:
    from llmzip.codec import Codec

text_options = apply(
    [
        click.argument("words", metavar="[TEXT]...", nargs=-1),
        click.option("-d", "--decode", is_flag=True, help="Print the message that TEXT stands for."),
        click.option(
            "--base",
            type=click.Choice(["85", "64"]),
            help="Of the characters: 85 (the default, shorter) or 64; by itself found out with -d.",
        ),
        *model_options,
        context_option,
        *level_options,
        *report_messages_options,
    ]
)


def run(words: tuple[str, ...], decode: bool, base: str | None, parameters: dict[str, Any]) -> int:
    """Print a message coded, or decoded; without words it is read from standard input. The exit code."""
    require_output()
    given = os.fsencode(" ".join(words)) if words else _standard_input()
    options = Options.of({name: value for name, value in parameters.items() if value is not None} | {"short": True})
    with make_codec(options) as codec:
        if decode:
            out = _decoded(codec, b"".join(given.split()), base)
            out += b"\n" if sys.stdout.isatty() and not out.endswith(b"\n") else b""
        else:
            packed = codec.compress(given)
            out = (base64.b64encode(packed) if base == "64" else base64.b85encode(packed)) + b"\n"
    sys.stdout.buffer.write(out)
    sys.stdout.buffer.flush()
    return 0


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise LlmzipError("standard input is closed: give the text as an argument")
    return sys.stdin.buffer.read()


def _decoded(codec: Codec, characters: bytes, base: str | None) -> bytes:
    """The message, in whichever base it comes out. Raises CorruptError."""
    failure = None
    for name in (base,) if base else ("85", "64"):
        try:
            return codec.decompress(_bytes_of(characters, name))
        except CorruptError as error:
            failure = failure or error
    raise failure or CorruptError("no message")


def _bytes_of(characters: bytes, base: str | None) -> bytes:
    from llmzip.container.format import is_short

    try:
        packed = base64.b64decode(characters, validate=True) if base == "64" else base64.b85decode(characters)
    except (ValueError, binascii.Error):
        raise CorruptError(f"the text is not base{base}: copy all of it, and nothing else") from None
    if not is_short(packed):
        raise CorruptError("the text is no message: copy all of it, and nothing else")
    return packed


@click.command(name="text", epilog=EXIT_CODES, context_settings=SETTINGS)
@text_options
def command(words: tuple[str, ...], decode: bool, base: str | None, **parameters: Any) -> int:
    """Print TEXT as a short message, or with -d the text of such a message; without TEXT read standard input."""
    return run(words, decode, base, parameters)
