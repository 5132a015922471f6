"""What the commands do with each file: open, hand to the codec, store, report; go on after an error."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from llmzip.cli import limits, signals
from llmzip.cli.files import (
    Input,
    Nowhere,
    OutputFile,
    StandardOutput,
    compressed_name,
    decompressed_name,
    printable,
)
from llmzip.cli.jobs import Done, one_by_one, processes, side_by_side, threads_each
from llmzip.cli.options import Options, is_default
from llmzip.cli.progress import Together, progress, shown, summary_line
from llmzip.errors import CorruptError, LlmzipError, LlmzipWarning, UnusedModelWarning, UsageError
from llmzip.model.threads import usable_cores

if TYPE_CHECKING:
    from llmzip.codec import Codec
    from llmzip.codec.context import Context
    from llmzip.codec.crew import CrewCodec
    from llmzip.codec.settings import Settings
    from llmzip.codec.summary import Summary
    from llmzip.report.measure.examine import Examiner

STDIN_NAME = "(stdin)"


def codec_settings(options: Options) -> Settings:
    """What the options say to a codec, at this terminal; from now on the notices that they leave out are silent."""
    if options.quiet:
        warnings.simplefilter("ignore", LlmzipWarning)
    if is_default("model"):
        warnings.simplefilter("ignore", UnusedModelWarning)
    if options.threads > usable_cores() and options.verbose:
        notice(f"-T {options.threads}: {usable_cores()} threads, as many as there are cores")
    return replace(options.settings, show_downloads=shown(options))


def make_codec(options: Options) -> Codec:
    """The codec for these options; its libraries are imported here. Raises `LlmzipError`."""
    from llmzip.codec import Codec

    settings = codec_settings(options)
    return Codec(settings=replace(settings, context=_context(settings)))


def make_crew(options: Options, count: int) -> CrewCodec:
    """A codec of so many worker processes for these options. Raises `LlmzipError`."""
    from llmzip.codec import Codec
    from llmzip.codec.crew import CrewCodec

    settings = codec_settings(options)
    settings = replace(settings, context=_context(settings))
    own = replace(settings, threads=threads_each(options, count))
    return CrewCodec(count, lambda: Codec(settings=own), settings)


def make_examiner(options: Options, *, alternatives: int = 0) -> Examiner:
    """The same as a codec that tells what it does. Raises `LlmzipError`."""
    from llmzip.report.measure.examine import Examiner

    settings = codec_settings(options)
    return Examiner(settings=replace(settings, context=_context(settings)), alternatives=alternatives)


def _context(settings: Settings) -> Context | None:
    """The context, read once for all files. Raises `ContextError`."""
    from llmzip.codec.context import Context

    return None if settings.context is None else Context.of(settings.context)


class Run:
    """One call of the program: its options and the codec, made when the first file needs it and kept for all."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._codec: Codec | None = None
        self._hopeless = False
        self.writing_stdout = False
        self.unread = False  # whoever read standard output has gone
        self._jobs = processes(options)
        self._together = Together()
        self._progress = self._together.file if self._jobs > 1 else progress

    @property
    def codec(self) -> Codec:
        """The codec of this call. Raises `LlmzipError` when it cannot be made."""
        if self._codec is None:
            self._hopeless = True
            self._codec = make_codec(self.options) if self._jobs == 1 else make_crew(self.options, self._jobs)
            self._hopeless = False
        return self._codec

    def compress(self, path: str | None) -> None:
        """Compress one file, or standard input for None."""
        options = self.options
        target = self._target(path, lambda name: compressed_name(name, options.force, options.suffix))
        with self._input(path, target) as source:
            with self._output(target, source, binary=True) as output:
                with self._progress(name_of(path), lambda: source.size, options) as advance:
                    summary = self.codec.compress_stream(source.stream, output.stream, progress=advance)
            if summary.unverified and not options.quiet:
                notice(
                    f"{name_of(path)}: {summary.unverified} of {summary.blocks} blocks did not come back when verified and "
                    "were stored by a classic codec; please report it"
                )
            self._finish(path, source, summary_line(summary, compressing=True))

    def decompress(self, path: str | None) -> None:
        """Decompress one file, or standard input for None."""
        if self.options.salvage or self.options.zeros:
            self.salvage(path)
            return
        target = self._target(path, lambda name: decompressed_name(name, self.options.suffix))
        with self._input(path, target) as source:
            self._refuse_terminal(source)
            self._refuse_size(source)
            with self._output(target, source, binary=False) as output:
                with self._progress(name_of(path), lambda: original_size(source), self.options) as advance:
                    summary = self.codec.decompress_stream(source.stream, output.stream, progress=advance)
            self._tell_repaired(path, summary)
            self._finish(path, source, summary_line(summary, compressing=False))

    def salvage(self, path: str | None) -> None:
        """Write what is whole of one damaged file, with marks for what is lost; then raise `CorruptError`, naming it."""
        from llmzip.cli import salvage

        target = self._target(path, lambda name: decompressed_name(name, self.options.suffix))
        mark = salvage.as_zeros if self.options.zeros else salvage.in_words
        with self._input(path, target) as source:
            self._refuse_terminal(source)
            with self._output(target, source, binary=False) as output:
                gaps = salvage.recover(self.codec, salvage.seekable(source.stream), output.stream, mark)
            if gaps:
                raise salvage.damage(gaps, "damaged: ", "; all else is recovered")
            self._finish(path, source, "whole, nothing was lost")

    def test(self, path: str | None) -> None:
        """Decode one file to nowhere; everything in it is verified. Where blocks are damaged, all of them are named."""
        with Input(path, follow=True) as source:
            self._refuse_terminal(source)
            self._refuse_size(source)
            sink = Nowhere()
            try:
                with self._progress(name_of(path), lambda: original_size(source), self.options) as advance:
                    summary = self.codec.decompress_stream(source.stream, cast(BinaryIO, sink), progress=advance)
            except CorruptError as error:
                raise self._surveyed(source, sink.writes, error) from None
            self._tell_repaired(path, summary)
            self._finish(path, source, f"OK, {summary_line(summary, compressing=False)}")

    def _surveyed(self, source: Input, sound: int, error: CorruptError) -> CorruptError:
        """The error with all damage named, where the file can be read again; sound: blocks at its start that are whole."""
        if not source.stream.seekable() or not begins_as_member(source.stream):
            return error
        from llmzip.cli.salvage import damage, survey

        error = error.with_traceback(None)  # which holds all that the decoder had
        gaps = survey(self.codec, source.stream, sound, error)
        return damage(gaps, f"{error}; in all ", "; `llmzip decompress --salvage` recovers the rest") if gaps else error

    def _tell_repaired(self, path: str | None, summary: Summary) -> None:
        if summary.repaired and not self.options.quiet:
            notice(
                f"{name_of(path)}: complete, but {summary.repaired} of {summary.blocks} blocks had to be put right: the model's "
                "arithmetic on this machine drifts by more than the file tolerates; please report it"
            )

    def for_each(self, files: Iterable[str], action: Callable[[str | None], None]) -> int:
        """Do `action` for each file (`-` is standard input, as is an empty tuple); the exit code.

        After an error the other files are still done, and the code is that of the first error. Two errors end the loop:
        no codec can be made, or standard output broke off inside a file, so that nothing behind it could be read.
        """
        if isinstance(files, tuple):
            files = files or ("-",)
            if files.count("-") > 1:
                raise UsageError("standard input (-) can be read only once")
        failed: dict[int, int] = {}  # exit codes of files that failed, by their place
        ended = 0

        def one(file: str) -> None:
            self.writing_stdout = False
            action(None if file == "-" else file)

        def done(number: int, file: str, error: BaseException | None) -> bool:
            nonlocal ended
            ended += 1
            if error is None:
                return True
            if not isinstance(error, Exception):
                raise error
            self.unread |= self.writing_stdout and isinstance(error, BrokenPipeError)
            failed[number] = report(error, name_of(None if file == "-" else file), self.options.debug)
            return not (self._hopeless or self.writing_stdout)

        if self._jobs > 1:
            self._side_by_side(files, one, done)
        else:
            one_by_one(files, one, done)
        if (
            failed
            and ended > 1
            and not self.unread
            and (self._jobs > 1 or self.options.recursive or self.options.files_from)
        ):
            notice(f"{len(failed)} of {ended} files failed")
        return failed[min(failed)] if failed else 0

    def _side_by_side(self, files: Iterable[str], one: Callable[[str], None], done: Done) -> None:
        """With worker processes; what is joined on standard output keeps its order."""
        if self.options.verbose and self._jobs < self.options.jobs:
            notice(f"--jobs {self.options.jobs}: {self._jobs} processes, as many as threads may be used")
        try:
            codec = self.codec  # its processes begin before there are threads
        except Exception as error:
            done(0, next(iter(files), "-"), error)
            return
        try:
            side_by_side(files, one, done, codec.close, 1 if self.options.stdout else self._jobs)
        finally:
            self._together.close()
            codec.close()

    def _target(self, path: str | None, derive: Callable[[str], str]) -> str | None:
        """Where the output goes: a path, or None for standard output."""
        if self.options.output is not None:
            return self.options.output
        if self.options.stdout or path is None:
            return None
        return derive(path)

    def _input(self, path: str | None, target: str | None) -> Input:
        # With an output named after it, a link is likely a mistake, and a device or pipe surely one.
        chosen = target is None or self.options.output is not None
        return Input(path, follow=self.options.force or chosen, special=chosen)

    def _output(self, target: str | None, source: Input, *, binary: bool) -> StandardOutput | OutputFile:
        if target is None:
            output = StandardOutput(source, binary=binary, force=self.options.force)
            self.writing_stdout = True
            return output
        chosen = OutputFile(target, source, binary=binary, force=self.options.force)
        if chosen.special and self.options.remove:
            raise LlmzipError(f"--rm needs a file that keeps the output, and {printable(target)} is none: nothing done")
        return chosen

    def _refuse_terminal(self, source: Input) -> None:
        if source.terminal and not self.options.force:
            raise LlmzipError("compressed data is not read from a terminal: name a file or redirect the input")

    def _refuse_size(self, source: Input) -> None:
        """Raises `LlmzipError` where a file says itself that it is larger than it may be; those that lie are stopped later."""
        most = self.options.max_size
        if most is not None and (claimed := original_size(source) or 0) > most:
            raise LlmzipError(f"the original has {claimed} bytes, more than the {most} that --max-size allows")

    def _finish(self, path: str | None, source: Input, summary: str) -> None:
        if self.options.remove:
            try:
                source.remove()
            except OSError as error:
                raise LlmzipError(f"stored, but could not remove {name_of(path)}: {explain(error)}") from error
        if self.options.verbose:
            notice(f"{name_of(path)}: {summary}")


def operate(operation: str, files: tuple[str, ...], parameters: dict[str, Any]) -> int:
    """Do one of compress, decompress, test and info, with a command's parameters; the exit code."""
    # Click hands None for a flag pair that was not given.
    given = {name: value for name, value in parameters.items() if value is not None}
    options = Options.of(given).check(files)
    from llmzip.cli.selection import Selection

    joined = options.stdout and (len(files) > 1 or options.recursive or options.files_from is not None)
    if operation == "compress" and options.short and joined:
        raise UsageError("messages in the short form cannot be joined: name one file with -c, or leave out --short")
    if operation == "compress" and not options.network:
        # NumPy's library of linear algebra, which nothing here calls, would start a thread for every core.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    chosen = Selection(files, options, compressing=operation == "compress")
    if operation == "info":
        from llmzip.cli import info, listing

        session = Run(replace(options, jobs=1))  # nothing is decoded, and lines keep their order
        code = (info.show if options.verbose else listing.show)(chosen, session)
    else:
        session = Run(options)
        code = session.for_each(chosen, getattr(session, operation))
    if not session.unread:
        chosen.tell_skipped()
    return code or int(chosen.failed)


def begins_as_member(stream: BinaryIO) -> bool:
    """Whether a seekable stream begins as a compressed file."""
    from llmzip.container.format import MAGIC

    stream.seek(0)
    return stream.read(len(MAGIC)) == MAGIC


def original_size(source: Input) -> int | None:
    """The original length that a compressed file claims, for the progress bar; None when it cannot be told cheaply."""
    if source.path is None or source.size is None:
        return None
    from llmzip.container.index import claimed_length

    try:
        return claimed_length(source.stream)
    except LlmzipError:
        # Reading it for good will say what is wrong.
        return None
    finally:
        source.stream.seek(0)


def report(error: BaseException, name: str | None, debug: bool) -> int:
    """Print one line about `error` on stderr, after its traceback if wanted; the exit code that goes with it. Raises Terminated."""
    signals.resume()
    if debug:
        import traceback

        traceback.print_exception(error)
    code = error.exit_code if isinstance(error, LlmzipError) else 1
    message = explain(error)
    if message:
        notice(f"{name}: {message}" if name else message)
    return code


def explain(error: BaseException) -> str:
    """What went wrong, as one line; empty for a reader that has gone away, which needs no words."""
    if isinstance(error, LlmzipError):
        text = str(error)
    elif isinstance(error, BrokenPipeError):
        text = ""
    elif limits.out_of_memory(error):
        text = limits.advice()
    elif limits.out_of_threads(error):
        text = "the system allows no more threads: raise `ulimit -u`, or what the container may have, or end other programs"
    elif isinstance(error, OSError) and error.errno is not None:
        text = os.strerror(error.errno)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            text += ": nothing stored; make room and try again"
    else:
        text = f"internal error, {type(error).__name__}: {error}; run with --debug for details and report it"
    return printable(" ".join(text.split()))


def notice(text: str) -> None:
    """A line on stderr in the program's name; a closed stderr is no reason to fail."""
    try:
        print(f"llmzip: {text}", file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):
        pass


def name_of(path: str | None) -> str:
    """How messages call a file."""
    return STDIN_NAME if path is None else printable(path)
