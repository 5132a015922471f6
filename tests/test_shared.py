"""One codec, or the process's codecs, in several threads and several files at once."""

import io
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from fakes import FakeModel

import llmzip
from llmzip.codec.codec import Codec
from llmzip.codec.settings import SMALLEST_BLOCK
from llmzip.files.shared import shared_codec

SENTENCE = b"The harbour of the town and the ships of the sea, the old men and the weather. "


@pytest.fixture
def network_always(monkeypatch):
    """The fake model predicts badly: keep table and classic codecs from taking its blocks."""
    monkeypatch.setattr("llmzip.codec.policy.unpromising", lambda data, classic_length, pipeline: False)
    monkeypatch.setattr("llmzip.codec.policy.beyond_classic", lambda classic_length, model_length: True)


def in_threads(count, work):
    """What work(number) gives in threads that start together."""
    together = threading.Barrier(count)

    def run(number):
        together.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_one_codec_in_several_threads(network_always):
    codec = Codec(FakeModel(), block_size=SMALLEST_BLOCK, streams=3)
    texts = [bytes([65 + number]) * 500 + SENTENCE * 60 for number in range(3)]
    alone = [Codec(FakeModel(), block_size=SMALLEST_BLOCK, streams=3).compress(text) for text in texts]

    def work(number):
        packed = codec.compress(texts[number])
        return packed, codec.decompress(packed)

    for number, (packed, back) in enumerate(in_threads(3, work)):
        assert packed == alone[number] and back == texts[number]


def test_the_network_in_several_threads():
    codec = Codec()
    texts = [b"Dear %d, it was good to see you at the harbour last Sunday. " % number for number in range(3)]

    def work(number):
        packed = codec.compress(texts[number])
        return packed, codec.decompress(packed)

    for text, (packed, back) in zip(texts, in_threads(3, work), strict=True):
        assert back == text and len(packed) < len(text) + 60


def test_a_process_loads_a_model_once(monkeypatch):
    from llmzip.codec import locate

    loads = []
    load = locate.load
    monkeypatch.setattr(locate, "load", lambda *args, **options: loads.append(args) or load(*args, **options))
    shared_codec().close()
    text = b"Dear all, it was good to see you at the harbour last Sunday, and the boats. " * 6

    def work(number):
        return llmzip.decompress(llmzip.compress(text, level=4 + 3 * (number % 2)))

    assert in_threads(3, work) == [text] * 3
    with llmzip.open(file := io.BytesIO(), "w") as writer:
        writer.write(text)
    file.seek(0)
    assert llmzip.open(file).read() == text
    assert len(loads) == 1


def test_a_file_goes_on_with_its_model_when_another_came_between(network_always):
    fake = FakeModel()
    codec, sink = Codec(fake, block_size=SMALLEST_BLOCK, streams=2), io.BytesIO()
    embedded = llmzip.compress(SENTENCE)
    text = SENTENCE * 120
    writer = codec.compressor(sink)
    reader = codec.decoded(io.BytesIO(codec.compress(text)))
    pieces = []
    for at in range(0, len(text), 6000):
        writer.feed(text[at : at + 6000])
        assert codec.decompress(embedded) == SENTENCE
        pieces.append(next(reader, b""))
    writer.finish()
    assert codec.decompress(sink.getvalue()) == text
    assert b"".join([*pieces, *reader]) == text
    assert sink.getvalue() == Codec(FakeModel(), block_size=SMALLEST_BLOCK, streams=2).compress(text)


def test_models_are_kept_by_what_they_are_loaded_with():
    assert shared_codec(level=1).choice.place is shared_codec(level=9).choice.place
    assert shared_codec(threads=1).choice.place is not shared_codec().choice.place
    fake = FakeModel()
    assert shared_codec(model=fake).choice.place is not shared_codec(model=fake).choice.place, "the caller's"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_loads_its_own():
    text = SENTENCE * 3
    own = Codec(threads=2)  # llama.cpp starts threads, which a forked process lacks
    packed = own.compress(text)
    assert llmzip.compress(text, threads=2) == packed and not own.choice.idle
    with own.choice.lock, shared_codec(threads=2).choice.lock:  # as of threads that are not in the child
        child = os.fork()
        if not child:
            signal.alarm(60)  # ends a child that hangs
            for codec in (own, shared_codec(threads=2), shared_codec()):
                if codec.decompress(packed) != text or codec.compress(text) != packed:
                    os._exit(1)
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
