"""What encoder and decoder agree on, to and from the header of a member."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from llmzip.codec.context import Named
from llmzip.container.format import NO_MODEL, TAG_CONTEXT, TAG_PROBE, TAG_TABLE, Header
from llmzip.errors import CorruptError, LlmzipWarning
from llmzip.model.base import Window

if TYPE_CHECKING:
    from llmzip.codec.arithmetic import Probe

# format: drift of a turn's log odds that a portable file tolerates, in units of 1e-6 (docs/portability.md): with the built-in model, and
# with others at least.
PORTABLE_TOLERANCE = 120
LEAST_TOLERANCE = 30


@dataclass(frozen=True)
class Coding:
    """How blocks are coded: by a network, a table of n-grams, or both.

    window: of the network; None without one. tolerance: drift of log odds in units of 1e-6. probe: in exact files, what
    the arithmetic must reproduce. table: the table's identity, b"" without one. context: what blocks may build on.
    """

    window: Window | None
    tolerance: int
    mixing: bool
    probe: Probe | None = None
    table: bytes = b""
    context: Named | None = None

    @property
    def exact(self) -> bool:
        """Whether the bits depend on the arithmetic of the machine."""
        return self.probe is not None

    @property
    def rows(self) -> int:
        """Rows of a step at least."""
        return self.probe.rows if self.probe else 1

    @property
    def alone(self) -> Coding:
        """The coding of blocks that leave the network out."""
        return replace(self, window=None, tolerance=0, probe=None)


@dataclass(frozen=True)
class Agreement:
    """A new member: its model's identity, its coding, and what else the header says."""

    identity: bytes
    coding: Coding
    extras: dict[int, bytes] = field(default_factory=dict)

    def header(self) -> Header:
        """The header that tells a reader."""
        coding = self.coding
        extras = dict(self.extras)
        if coding.probe:
            extras[TAG_PROBE] = coding.probe.pack()
        if coding.table:
            extras[TAG_TABLE] = coding.table
        if coding.context:
            extras[TAG_CONTEXT] = coding.context.pack()
        return Header(
            exact=coding.exact,
            mixing=coding.mixing,
            tolerance=coding.tolerance,
            context=coding.window.context if coding.window else 0,
            parts=coding.window.parts if coding.window else 0,
            model=self.identity,
            extras=extras,
        )


def tell_exact(name: str, *, asked: bool) -> None:
    """Say that new files by a model are for a kind of machine, unless that was asked for."""
    if not asked:
        message = (
            f"{name} is used in exact mode: its files open where the same build of llama.cpp runs on the same kind of processor, and "
            "nowhere else; --portable makes others, where the model suits it"
        )
        warnings.warn(message, LlmzipWarning, stacklevel=2)


def require_known(header: Header) -> None:
    """Raises CorruptError where model blocks are coded in a way that is reserved for later."""
    if header.continued:
        raise CorruptError("uses a feature that this llmzip cannot decode (continued mixing): update it")


def coding_of(header: Header) -> Coding:
    """What a header says of its blocks. Raises CorruptError for what no encoder writes."""
    probe = None
    if header.exact:
        from llmzip.codec.arithmetic import Probe

        probe = Probe.unpack(header.extras.get(TAG_PROBE))
    table = header.extras.get(TAG_TABLE, b"")
    context = Named.unpack(header.extras[TAG_CONTEXT]) if TAG_CONTEXT in header.extras else None
    if header.model == NO_MODEL and header.context == 0:
        return Coding(None, header.tolerance, header.mixing, probe, table, context)
    try:
        window = Window(header.context, header.parts)
    except ValueError:
        raise CorruptError(
            f"impossible window ({header.context} tokens in {header.parts} parts): the file is damaged"
        ) from None
    return Coding(window, header.tolerance, header.mixing, probe, table, context)
