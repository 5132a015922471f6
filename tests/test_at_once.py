"""Table and network at once, on two cores: the bytes are those of one after the other."""

from __future__ import annotations

import io
import threading
import time

import pytest
from test_levels import blocks

from llmzip.codec import policy
from llmzip.codec.blockcoder import BlockCoder
from llmzip.codec.codec import Codec
from llmzip.codec.head import BlockHead


@pytest.fixture
def at_once(monkeypatch):
    """As on a machine with four cores, with blocks that are long enough."""
    for module in ("codec.ahead", "codec.choice", "model.threads"):
        monkeypatch.setattr(f"llmzip.{module}.usable_cores", lambda: 4)
    monkeypatch.setattr(policy, "table_meanwhile", lambda *_: True)


def compressed(data: bytes, **settings: int) -> bytes:
    with Codec(**settings) as codec:
        return codec.compress(data)


def has_network(packed: bytes) -> bool:
    (block,) = blocks(packed)
    return BlockHead.unpack(block.payload, 1 << 20)[0].network


@pytest.mark.parametrize(("name", "level"), [("manual.rst", 6), ("manual.rst", 9), ("server.log", 6)])
def test_the_same_bytes(at_once, corpora, name, level):
    data = (corpora / name).read_bytes()[:3000]
    assert compressed(data, level=level) == compressed(data, level=level, threads=1)


def test_the_network_ends_when_the_table_shows_that_it_is_vain(at_once, monkeypatch, corpora):
    data = (corpora / "manual.rst").read_bytes()[:6000]
    monkeypatch.setattr(policy, "regular", lambda bits: bits != float("inf"))

    def endless(self, data, network, report):
        while True:
            report(0.5)
            time.sleep(1e-3)

    monkeypatch.setattr(BlockCoder, "_by_network", endless)
    assert not has_network(compressed(data, level=6))


def test_progress_without_the_network(at_once, monkeypatch, corpora):
    data = (corpora / "the-lighthouse-ledger.txt").read_bytes()
    monkeypatch.setattr(policy, "network_pays", lambda *_: False)
    begun, by_table = threading.Event(), BlockCoder._by_table

    def slow(self, data, text, crlf, alone, report):
        time.sleep(0.2)
        begun.set()
        return by_table(self, data, text, crlf, alone, report)

    monkeypatch.setattr(BlockCoder, "_by_table", slow)
    told = []
    with Codec(level=6) as codec:
        codec.compress_stream(io.BytesIO(data), io.BytesIO(), progress=told.append)
    assert begun.is_set() and sum(told) == len(data) and len(told) > 1


def test_what_the_table_raises_comes_out(at_once, monkeypatch, corpora):
    def failing(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(BlockCoder, "_by_table", failing)
    with pytest.raises(MemoryError, match="no room"):
        compressed((corpora / "manual.rst").read_bytes()[:6000], level=6)


def test_the_table_ends_when_the_network_fails(at_once, monkeypatch, corpora):
    ended = []

    def endless(self, data, text, crlf, alone, report):
        try:
            while True:
                report(0.5)
                time.sleep(1e-3)
        finally:
            ended.append(True)

    def failing(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(BlockCoder, "_by_table", endless)
    monkeypatch.setattr(BlockCoder, "_by_network", failing)
    with pytest.raises(MemoryError, match="no room"):
        compressed((corpora / "manual.rst").read_bytes()[:6000], level=6)
    assert ended == [True]


def test_which_blocks():
    assert policy.table_meanwhile(300_000, 350_000, 1_000_000)
    assert not policy.table_meanwhile(300_000, 100_000, 1_000_000), "as regular as a log"
    assert not policy.table_meanwhile(5_000, 6_000, 17_000), "done at once"
    assert not policy.table_meanwhile(15_000, 15_000, 15_000), "no text"
