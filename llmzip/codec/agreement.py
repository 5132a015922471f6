"""What encoder and decoder agree on, to and from the header of a member."""

from __future__ import annotations

from dataclasses import dataclass, field

from llmzip.codec.arithmetic import Probe
from llmzip.container import TAG_PROBE, Header
from llmzip.errors import CorruptError
from llmzip.model.base import Window


@dataclass(frozen=True)
class Coding:
    """How the blocks of a member are coded.

    tolerance: drift of log odds in units of 1e-6. probe: in exact files, what the arithmetic must reproduce.
    """

    window: Window
    tolerance: int
    mixing: bool
    probe: Probe | None = None

    @property
    def exact(self) -> bool:
        """Whether the bits depend on the arithmetic of the machine."""
        return self.probe is not None

    @property
    def rows(self) -> int:
        """Rows of a step at least."""
        return self.probe.rows if self.probe else 1


@dataclass(frozen=True)
class Agreement:
    """A new member: its model's identity, its coding, and what else the header says."""

    identity: bytes
    coding: Coding
    extras: dict[int, bytes] = field(default_factory=dict)

    def header(self) -> Header:
        """The header that tells a reader."""
        coding = self.coding
        extras = self.extras | ({TAG_PROBE: coding.probe.pack()} if coding.probe else {})
        return Header(
            exact=coding.exact,
            mixing=coding.mixing,
            tolerance=coding.tolerance,
            context=coding.window.context,
            parts=coding.window.parts,
            model=self.identity,
            extras=extras,
        )


def coding_of(header: Header) -> Coding:
    """What a header says of its blocks. Raises CorruptError for what no encoder writes."""
    probe = Probe.unpack(header.extras.get(TAG_PROBE)) if header.exact else None
    try:
        window = Window(header.context, header.parts)
    except ValueError:
        raise CorruptError(
            f"impossible window ({header.context} tokens in {header.parts} parts): the file is damaged"
        ) from None
    return Coding(window, header.tolerance, header.mixing, probe)
