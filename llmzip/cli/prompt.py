"""`llmzip prompt`: prompts made shorter without loss, and back (docs/measures.md)."""

from __future__ import annotations

import contextlib
import json
import sys
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import click

from llmzip.cli import measuring
from llmzip.cli.files import Input, OutputFile, require_output
from llmzip.cli.options import PATH, Options, apply, is_default, model_options, report_messages_options
from llmzip.cli.program import EXIT_CODES, SETTINGS
from llmzip.cli.run import name_of, notice
from llmzip.errors import CorruptError, LlmzipError, UsageError

if TYPE_CHECKING:
    from llmzip.measures.prompts import Saved
    from llmzip.measures.tokenizers import PromptTokenizer
    from llmzip.model.base import LanguageModel

SCHEMA = "llmzip.prompt"
_BEGINS = json.dumps({"schema": SCHEMA})[:-1].encode()

prompt_options = apply(
    [
        measuring.files_argument,
        click.option(
            "--tokenizer", metavar="FILE", type=PATH, help="A tokenizer.json instead of the built-in model's tokenizer."
        ),
        *model_options[:1],
        click.option(
            "-o",
            "--output",
            metavar="FILE",
            type=PATH,
            help="Write the shortened prompt to FILE; without -o and -c: a report.",
        ),
        click.option("-c", "--stdout", is_flag=True, help="Write the shortened prompt to standard output."),
        click.option("-d", "--restore", is_flag=True, help="Back: FILE is a shortened prompt."),
        click.option(
            "--ids/--text",
            "ids",
            default=None,
            help="Token ids (JSON), meta-tokens beyond the vocabulary; or text with marks (the default).",
        ),
        click.option("--tokens", is_flag=True, help="FILE is no text but a JSON list of token ids (with --ids)."),
        click.option(
            "--vocabulary", metavar="N", type=click.IntRange(1), help="Tokens of the vocabulary, for --tokens."
        ),
        click.option(
            "--longest", metavar="N", type=click.IntRange(2), help="Longest run in tokens (default: what leaves least)."
        ),
        *measuring.format_options,
        click.option("-f", "--force", is_flag=True, help="Overwrite."),
        *report_messages_options,
    ]
)


def run(files: tuple[str, ...], form: str, parameters: dict[str, Any]) -> int:
    """Shorten or restore, or report what would be saved; the exit code."""
    options = Options.of({name: value for name, value in parameters.items() if value is not None})
    writes = options.output is not None or options.stdout
    if parameters["restore"] and not writes:
        raise UsageError("-d restores a prompt: say where to with -o FILE or -c")
    if writes and len(files) > 1:
        raise UsageError("-o and -c take one FILE")
    if options.output is not None and options.stdout:
        raise UsageError("-c and -o name two outputs: give one of them")
    if parameters["tokens"] and writes and not parameters["ids"]:
        raise UsageError("--tokens has no text to be written: give --ids")
    if parameters["tokenizer"] and options.model is not None and not is_default("model"):
        raise UsageError("--tokenizer and --model name two tokenizers: give one of them")
    reports: list[tuple[str, Saved]] = []
    tokenizer = _Tokenizer(parameters["tokenizer"], options)
    with contextlib.closing(tokenizer), measuring.stopping() as request:

        def one(path: str | None) -> None:
            with Input(path, follow=True) as source:
                data = source.stream.read()
                if not writes:
                    reports.append((name_of(path), _saved(data, parameters, tokenizer)))
                    return
                made = (_restored if parameters["restore"] else _shortened)(data, parameters, tokenizer)
                _write(made, source, options)

        code = measuring.each(files, options, one, request)
        name = tokenizer.made.name if reports and not parameters["tokens"] else ""
    if not writes and (reports or form == "json"):
        from llmzip.measures import prompt_tables

        measuring.emit(
            form,
            lambda: prompt_tables.tables(reports, name),
            lambda: prompt_tables.rows(reports),
            lambda: prompt_tables.document(reports, name),
        )
    return code


class _Tokenizer:
    """The tokenizer that was asked for, made when it is first needed and held until `close`."""

    def __init__(self, file: str | None, options: Options) -> None:
        self._file, self._options = file, options
        self._model: LanguageModel | None = None

    @cached_property
    def made(self) -> PromptTokenizer:
        """Raises ModelError."""
        from llmzip.measures import tokenizers

        if self._file:
            return tokenizers.of_file(self._file)
        if not self._options.named:
            return tokenizers.embedded()
        from llmzip.codec.locate import load, resolve

        # As it is, and not on a GPU: only its tokenizer is wanted.
        self._model = load(resolve(str(self._options.model)), 1, exact=True, gpu_layers=0)
        return tokenizers.of_model(self._model)

    def close(self) -> None:
        """Free the model."""
        if self._model is not None:
            self._model.close()


def _listed(data: bytes, parameters: dict[str, Any]) -> tuple[list[int], int]:
    """A JSON list of ids, and the size of their vocabulary."""
    try:
        ids = json.loads(data)
        if not isinstance(ids, list) or not all(type(token) is int and token >= 0 for token in ids):
            raise ValueError
    except ValueError:
        raise LlmzipError("is no JSON list of token ids") from None
    size = parameters["vocabulary"] or max(ids, default=0) + 1
    if ids and max(ids) >= size:
        raise LlmzipError(f"holds the token {max(ids)}, beyond a vocabulary of {size}")
    return ids, size


def _saved(data: bytes, parameters: dict[str, Any], chosen: _Tokenizer) -> Saved:
    from llmzip.measures import prompts

    if parameters["tokens"]:
        return prompts.saved(_listed(data, parameters)[0], parameters["longest"])
    if not data:
        raise LlmzipError("is empty: there is nothing to shorten")
    stretches = chosen.made.stretches(data)
    known = {stretch: number for number, stretch in enumerate(dict.fromkeys(stretches))}
    return prompts.saved([known[each] for each in stretches], parameters["longest"], len(data))


def _shortened(data: bytes, parameters: dict[str, Any], chosen: _Tokenizer) -> bytes:
    from llmzip.measures import prompts

    longest = parameters["longest"]
    if not parameters["ids"]:
        made = prompts.shorten_text(chosen.made.stretches(data), longest)
        if prompts.restore_text(made) != data:
            raise AssertionError("the shortened prompt does not come back")
        return made
    spaced = False
    if parameters["tokens"]:
        tokens, size = _listed(data, parameters)
    else:
        tokenizer = chosen.made
        found, spaced = tokenizer.encode(data)
        if tokenizer.decode(found, spaced) != data:
            raise LlmzipError(f"{tokenizer.name} does not give this text back from its tokens: use the text form")
        tokens, size = found.tolist(), tokenizer.size
    ids = prompts.shorten(tokens, size, longest)
    if prompts.restore(ids, size).tolist() != tokens:
        raise AssertionError("the shortened prompt does not come back")
    document = {
        "schema": SCHEMA,
        "vocabulary": size,
        "text": not parameters["tokens"],
        "spaced": spaced,
        "digest": None if parameters["tokens"] else _digest(data),
        "ids": ids.tolist(),
    }
    return (json.dumps(document) + "\n").encode()


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()


def _restored(data: bytes, parameters: dict[str, Any], chosen: _Tokenizer) -> bytes:
    from llmzip.measures import prompts

    if parameters["ids"] is None and data.startswith(_BEGINS):
        raise LlmzipError("is a prompt as token ids: give --ids (or --text, where this is the text itself)")
    try:
        if not parameters["ids"]:
            return prompts.restore_text(data)
        document = json.loads(data)
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise ValueError("it was not made by llmzip prompt --ids")
        tokens = prompts.restore(document["ids"], int(document["vocabulary"]))
        if not document["text"]:
            return (json.dumps(tokens.tolist()) + "\n").encode()
        tokenizer = chosen.made
        if tokenizer.size != document["vocabulary"]:
            raise LlmzipError(
                f"was made with a vocabulary of {document['vocabulary']} tokens, {tokenizer.name} has {tokenizer.size}: name the "
                "tokenizer it was made with"
            )
        text = tokenizer.decode(tokens, bool(document["spaced"]))
        if _digest(text) != document["digest"]:
            raise LlmzipError(
                f"does not become the text it was made from: it is damaged, or {tokenizer.name} is not the tokenizer it was made with"
            )
        return text
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise CorruptError(f"is no shortened prompt: {error}") from None


def _write(made: bytes, source: Input, options: Options) -> None:
    if options.output is not None and options.output != "-":
        with OutputFile(options.output, source, binary=False, force=options.force) as output:
            output.stream.write(made)
        return
    require_output()
    sys.stdout.flush()
    sys.stdout.buffer.write(made)
    sys.stdout.buffer.flush()
    if options.verbose:
        notice(f"{len(made)} bytes written")


@click.command(name="prompt", epilog=EXIT_CODES, context_settings=SETTINGS)
@prompt_options
def command(files: tuple[str, ...], form: str, **parameters: Any) -> int:
    """Make a prompt shorter without loss: repeated runs of tokens become meta-tokens, a dictionary stands in front."""
    return run(files, form, parameters)
