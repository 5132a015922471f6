"""The codec: byte streams in, byte streams out, with one model kept loaded."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from llmzip.codec import arithmetic, models, policy
from llmzip.codec.arithmetic import Probe
from llmzip.codec.block import BlockCodec, Coding
from llmzip.codec.blocks import blocks
from llmzip.codec.evaluation import Session
from llmzip.codec.quantiser import PORTABLE_TOLERANCE
from llmzip.codec.repair import Astray
from llmzip.container import (
    MAX_BLOCK,
    TAG_NAME,
    TAG_PROBE,
    Block,
    BlockKind,
    Footer,
    Header,
    MemberWriter,
    classic,
    read_members,
    write_all,
)
from llmzip.errors import ArithmeticMismatchError, CorruptError, ModelError, UsageError
from llmzip.model import BUILT_IN, embedded
from llmzip.model.base import LanguageModel, Window

DEFAULT_BLOCK = 4 << 20
SMALLEST_BLOCK = 1 << 12

_ENCODING = 0.3  # about the share of encoding in the time of encoding and decoding

Progress = Callable[[int], None]
"""Told how many bytes of the original were newly done."""


@dataclass
class Summary:
    """What a run did. `characters` is the number of Unicode characters, None where the original is not all UTF-8.

    unverified: blocks that the model coded but did not restore when they were verified, and that were stored otherwise.
    repaired: blocks in which drift beyond the tolerance had to be put right.
    """

    original: int = 0
    compressed: int = 0
    characters: int | None = 0
    blocks: int = 0
    tokens: int = 0
    unverified: int = 0
    repaired: int = 0
    seconds: float = 0.0

    def count_text(self, data: bytes) -> None:
        """Add one block of the original."""
        self.original += len(data)
        self.blocks += 1
        if self.characters is not None:
            try:
                self.characters += len(data.decode())
            except UnicodeDecodeError:
                self.characters = None


class Codec:
    """Compresses and decompresses; loads its model when it is first needed and keeps it.

    model: path of a GGUF file, a registered name or `hf:OWNER/REPO[/FILE]`, None for the embedded model. threads: 0 =
    all usable cores; never changes the bytes that come back. mix: whether the adaptive mixer is used. streams: streams
    of a block, None = by its length. context: tokens of a window, None = the model's own. exact: evaluate quantised
    weights as they are, for files that need this machine's arithmetic; None = only where the model is too large for
    F32. gpu_layers: layers on a GPU, None = all of an own model, none of the embedded one. block_size: bytes of a
    block, 4 KiB to 64 MiB. verify: decode every block again before it is written, and store by a classic codec what does
    not come back. show_downloads: progress on stderr while a model is fetched from the hub.

    What decompression needs stands in the files: there model, threads and gpu_layers count alone.

    Not safe for use by several threads at once. Raises UsageError for arguments outside their range.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        threads: int = 0,
        mix: bool = True,
        streams: int | None = None,
        context: int | None = None,
        exact: bool | None = None,
        gpu_layers: int | None = None,
        block_size: int = DEFAULT_BLOCK,
        verify: bool = False,
        show_downloads: bool = True,
    ) -> None:
        if not SMALLEST_BLOCK <= block_size <= MAX_BLOCK:
            raise UsageError(f"a block must hold {SMALLEST_BLOCK} to {MAX_BLOCK} bytes, not {block_size}")
        if streams is not None and not 1 <= streams <= policy.MAX_STREAMS:
            raise UsageError(f"there can be 1 to {policy.MAX_STREAMS} streams, not {streams}")
        if context is not None and not 16 <= context <= 1 << 20:
            raise UsageError(f"a window can hold 16 to {1 << 20} tokens, not {context}")
        if threads < 0:
            raise UsageError(f"the number of threads cannot be {threads}")
        if gpu_layers is not None and gpu_layers < 0:
            raise UsageError(f"the number of layers on a GPU cannot be {gpu_layers}")
        self._path = None if model == BUILT_IN else model
        self._threads, self._exact, self._gpu_layers = threads, exact, gpu_layers
        self._mix, self._streams, self._context, self._block_size = mix, streams, context, block_size
        self._verify, self._show_downloads = verify, show_downloads
        self._session: Session | None = None
        self._coders: dict[Coding, BlockCodec] = {}
        self._probe: Probe | None = None
        self._required: tuple[bytes, Probe] | None = None
        self._for_file = False

    # -- the model --------------------------------------------------------------------------------------------------

    def _load(self, found: models.Found, exact: bool | None) -> LanguageModel:
        return models.load(found, self._threads, exact=exact, gpu_layers=self._gpu_layers)

    @property
    def session(self) -> Session:
        """The loaded model: the one that the last file needed, at first the one that the user named."""
        if self._session is None:
            self._session = Session(self._load(self._named(), self._exact))
            self._for_file = False
        return self._session

    def _named(self) -> models.Found:
        return models.resolve(self._path, progress=self._show_downloads)

    def _find(self, header: Header) -> models.Found:
        return models.find(header.model, self._path, header.name, progress=self._show_downloads)

    def _session_for(self, header: Header) -> None:
        """Load what a file needs, unless it is loaded. Raises ModelError."""
        if self._session is not None:
            model = self._session.model
            if model.identity == header.model and model.exact == header.exact:
                return
            self.close()
        found = self._find(header)
        self._session = Session(self._load(found, header.exact))
        self._for_file = True
        have = self._session.model.identity
        if have != header.model:
            self.close()
            raise ModelError(
                f"{found.path} was registered as the model {header.model.hex()} and is now {have.hex()}; get the model again"
            )

    def _use_named(self) -> None:
        """Drop a model that was loaded for a file that was restored, unless it is the user's own choice."""
        if self._session is not None and self._for_file:
            model = self._session.model
            if self._path is not None or self._exact or (model.identity, model.exact) != (embedded.IDENTITY, False):
                self.close()

    def _agreement(self) -> tuple[Coding, bytes, dict[int, bytes]]:
        """For a new file: how it is coded, the model's identity, and the header's extras.

        The embedded model in portable mode need not be loaded for that.
        """
        if self._path is None and not self._exact:
            return Coding(self._window(embedded.WINDOW), PORTABLE_TOLERANCE, self._mix), embedded.IDENTITY, {}
        model = self.session.model
        window, extras = self._window(model.window), {}
        if model.identity != embedded.IDENTITY:
            extras[TAG_NAME] = model.name.encode()
        if model.exact:
            self._probe = self._probe or arithmetic.probe(self.session)
            extras[TAG_PROBE] = self._probe.pack()
            return Coding(window, 0, self._mix, True, self._probe.rows), model.identity, extras
        coding = Coding(window, PORTABLE_TOLERANCE, self._mix)
        if model.identity == embedded.IDENTITY:
            return coding, model.identity, extras
        tolerance = self._block_codec(coding).measured_tolerance()
        if tolerance <= arithmetic.MOST_TOLERANCE:
            return replace(coding, tolerance=tolerance), model.identity, extras
        if self._exact is False:
            raise ModelError(
                f"the arithmetic of {model.name} varies too much for portable files, even in F32; use --exact"
            )
        self.close()
        self._session = Session(self._load(self._named(), True))
        return self._agreement()

    def _window(self, default: Window) -> Window:
        return Window(self._context, default.parts) if self._context else default

    def _block_codec(self, coding: Coding) -> BlockCodec:
        if coding not in self._coders:
            self._coders = {coding: self._new_block_codec(coding)}
        return self._coders[coding]

    def _new_block_codec(self, coding: Coding) -> BlockCodec:
        return BlockCodec(self.session, coding)

    def close(self) -> None:
        """Free the model. The codec can be used again and loads it anew."""
        self._coders, self._probe, self._required = {}, None, None
        if self._session is not None:
            self._session.close()
            self._session = None

    def __enter__(self) -> Codec:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # -- compression ------------------------------------------------------------------------------------------------

    def compress(self, data: bytes) -> bytes:
        """A complete compressed file for these bytes."""
        sink = io.BytesIO()
        self.compress_stream(io.BytesIO(data), sink)
        return sink.getvalue()

    def compress_stream(self, source: BinaryIO, sink: BinaryIO, progress: Progress | None = None) -> Summary:
        """Compress all of source into sink as one member, block by block, in memory bounded by the block size.

        Raises ModelError, and OSError as source and sink do.
        """
        began, summary = time.monotonic(), Summary()
        self._use_named()
        coding, identity, extras = self._agreement()
        header = Header(
            exact=coding.exact,
            mixing=self._mix,
            tolerance=coding.tolerance,
            context=coding.window.context,
            parts=coding.window.parts,
            model=identity,
            extras=extras,
        )
        writer = MemberWriter(sink, header)
        for data in blocks(source, self._block_size):
            report = _Share(progress, len(data))
            encoding = _portion(report, 0, _ENCODING) if self._verify else report
            kind, payload, tokens = self._encode_block(data, coding, encoding)
            if self._verify and kind is BlockKind.MODEL and not self._restores(payload, data, coding, report):
                kind, payload = classic.smallest(data)
                tokens, summary.unverified = 0, summary.unverified + 1
            writer.write_block(kind, data, payload)
            report(1.0)
            summary.tokens += tokens
            summary.count_text(data)
        summary.compressed = writer.finish().compressed
        summary.seconds = time.monotonic() - began
        return summary

    def _encode_block(
        self, data: bytes, coding: Coding, report: Callable[[float], None]
    ) -> tuple[BlockKind, bytes, int]:
        """Kind, payload and number of tokens of a block: the smallest of the model's and the classic codecs' work."""
        codec = self._block_codec(coding)
        by_zstd = len(classic.encode(BlockKind.ZSTD, data))
        if policy.unpromising(data, by_zstd, codec):
            return *classic.smallest(data), 0
        text, crlf = codec.tokens_of(data)
        stream_bytes = self.session.model.stream_bytes(coding.window.context)
        streams = policy.streams_for(len(text.tokens), coding.window, self._streams, stream_bytes)
        payload = codec.encode(text, crlf, streams, report)
        if policy.beyond_classic(by_zstd, len(payload)):
            return BlockKind.MODEL, payload, len(text.tokens)
        kind, best = classic.smallest(data)
        return (kind, best, 0) if len(best) < len(payload) else (BlockKind.MODEL, payload, len(text.tokens))

    def _restores(self, payload: bytes, data: bytes, coding: Coding, report: Callable[[float], None]) -> bool:
        """Whether a model block decodes to its data here: drift beyond the tolerance would show."""
        try:
            decoded = self._block_codec(coding).decode(payload, len(data), _portion(report, _ENCODING, 1))
        except CorruptError:
            return False
        return decoded == data

    # -- decompression ----------------------------------------------------------------------------------------------

    def decompress(self, data: bytes) -> bytes:
        """The original bytes of a compressed file. Raises CorruptError, ModelError, ArithmeticMismatchError."""
        sink = io.BytesIO()
        self.decompress_stream(io.BytesIO(data), sink)
        return sink.getvalue()

    def decompress_stream(self, source: BinaryIO, sink: BinaryIO, progress: Progress | None = None) -> Summary:
        """Decompress all members of source into sink. A block is written when its check has passed, never before.

        An exact file's arithmetic is checked before its first byte; in portable files drift beyond the tolerance is put
        right where it can be (`repair`). Raises CorruptError, ModelError, ArithmeticMismatchError, and OSError as source
        and sink do.
        """
        began, summary = time.monotonic(), Summary()
        header = Header()
        for event in read_members(source):
            if isinstance(event, Header):
                header = event
            elif isinstance(event, Block):
                report = _Share(progress, event.original_length)
                try:
                    data, repaired = self._decode_block(event, header, report)
                except CorruptError as error:
                    raise CorruptError(f"{event.where}: {error}") from None
                event.accept(data)
                write_all(sink, data)
                report(1.0)
                summary.count_text(data)
                summary.repaired += repaired
            elif isinstance(event, Footer):
                summary.compressed = event.end
        summary.seconds = time.monotonic() - began
        return summary

    def _decode_block(self, block: Block, header: Header, report: Callable[[float], None]) -> tuple[bytes, bool]:
        """The original of a block, unverified, and whether it was put right."""
        needed = self._require(header) if header.exact else None
        if block.kind is not BlockKind.MODEL:
            return classic.decode(block.kind, block.payload, block.original_length), False
        if header.continued:
            raise CorruptError("uses a feature that this llmzip cannot decode (continued mixing): update it")
        self._session_for(header)
        try:
            window = Window(header.context, header.parts)
        except ValueError:
            raise CorruptError(
                f"impossible window ({header.context} tokens in {header.parts} parts): the file is damaged"
            ) from None
        rows = needed.rows if needed else 1
        codec = self._block_codec(Coding(window, header.tolerance, header.mixing, header.exact, rows))
        return _decoded(codec, block, report)

    def _require(self, header: Header) -> Probe:
        """What an exact file says of its arithmetic; raises ArithmeticMismatchError unless this machine has the
        same."""
        needed = Probe.unpack(header.extras.get(TAG_PROBE))
        self._session_for(header)
        if self._required != (header.model, needed):
            arithmetic.require(self.session, needed)
            self._required = (header.model, needed)
        return needed


def _decoded(codec: BlockCodec, block: Block, report: Callable[[float], None]) -> tuple[bytes, bool]:
    """What a model block's check was made from, if it can be found, else something that the check will refuse; and whether
    another reading than the first was needed.

    Raises CorruptError, and ArithmeticMismatchError where drift must have exceeded the tolerance by far.
    """
    data, failure = b"", None
    try:
        data = codec.decode(block.payload, block.original_length, report)
        if block.fits(data):
            return data, False
    except CorruptError as error:
        failure = error
    try:
        for other in codec.other_readings(block.payload, block.original_length):
            if block.fits(other):
                return other, True
    except Astray:
        raise ArithmeticMismatchError(
            f"{block.where}: its bytes are intact, but the model's arithmetic on this machine drifts by far more than the "
            "file tolerates: decompress it on a machine, or with a build of llama-cpp-python, like that which made it"
        ) from None
    if failure:
        raise failure
    return data, False


def _portion(report: Callable[[float], None], start: float, stop: float) -> Callable[[float], None]:
    """Tells the shares of a part that goes from `start` to `stop` of the whole."""
    return lambda share: report(start + share * (stop - start))


class _Share:
    """Turns the share of a block that is done into newly done bytes."""

    def __init__(self, progress: Progress | None, length: int) -> None:
        self._progress, self._length, self._done = progress, length, 0

    def __call__(self, share: float) -> None:
        done = int(share * self._length)
        if self._progress and done > self._done:
            self._progress(done - self._done)
            self._done = done
