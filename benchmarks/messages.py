"""Short messages: sizes beside zstd with a trained dictionary, brotli and smaz, and how fast many are coded at once.

    python benchmarks/messages.py CORPUS.jsonl.xz... [--count N] [--length N]

The corpora are JSON lines with "text", as of shared/corpora; messages are pieces of them. zstd's dictionaries are trained on sentences that
nobody is measured on: as many, and all others. smaz takes part where it is installed (pip install smaz-py3). Speed is the ratio of rows a second to that of prefill, on one thread, in one run, median of three.
"""

from __future__ import annotations

import argparse
import json
import lzma
import re
import time
from collections.abc import Callable
from statistics import median

import brotli
import numpy as np
import zstandard

from llmzip import Codec
from llmzip.codec.evaluation import prefill
from llmzip.codec.layout import Layout

_SENTENCE = re.compile(r"[A-Z][^.!?\n]{40,90}[.!?]")
DICTIONARY = 64 << 10
PREFILLED = 4096  # tokens


def texts(paths: list[str]) -> list[str]:
    """The texts of all corpora."""
    found = []
    for path in paths:
        with lzma.open(path, "rt") as lines:
            found += [json.loads(line)["text"] for line in lines]
    return found


def seconds(work: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def by_zstd(known: list[bytes], measured: list[bytes]) -> list[bytes]:
    """With a dictionary that is trained on the known sentences."""
    dictionary = zstandard.train_dictionary(DICTIONARY, known)
    parameters = zstandard.ZstdCompressionParameters.from_level(22, write_content_size=0, write_dict_id=0)
    tool, back = (
        zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters),
        zstandard.ZstdDecompressor(dict_data=dictionary),
    )
    packed = [tool.compress(one) for one in measured]
    assert [
        back.decompress(one, max_output_size=len(text)) for one, text in zip(packed, measured, strict=True)
    ] == measured
    return packed


def by_smaz(measured: list[bytes]) -> list[bytes] | None:
    """None where it is not installed. It takes texts, not bytes."""
    try:
        import smaz  # type: ignore[import-not-found]
    except ImportError:
        return None
    packed = [smaz.compress(one.decode()) for one in measured]
    assert [smaz.decompress(one).encode() for one in packed] == measured
    return packed


def sizes(sentences: list[bytes], count: int) -> None:
    """Print mean sizes of some of these, evenly chosen."""
    step = max(1, len(sentences) // (2 * count))
    measured = sentences[step :: 2 * step][:count]
    unseen = set(measured)
    known = [one for one in sentences[:: 2 * step][:count] if one not in unseen]
    others = [one for one in sentences if one not in unseen]
    with Codec(threads=1) as codec, Codec(level=1) as fast:
        packed = codec.compress_many(measured)
        assert codec.decompress_many(packed) == measured
        rows = {
            "as they are": measured,
            "llmzip, short form": packed,
            "llmzip -1, short form": fast.compress_many(measured),
            f"zstd -22, dictionary of {DICTIONARY >> 10} KiB, {len(others):,} sentences": by_zstd(others, measured),
            f"zstd -22, dictionary of {DICTIONARY >> 10} KiB, {len(known):,} sentences": by_zstd(known, measured),
            "brotli -q 11": [brotli.compress(one, quality=11) for one in measured],
            "smaz": by_smaz(measured),
        }
    print(f"| {len(measured):,} sentences | bytes each | share |\n| --- | --- | --- |")
    whole = sum(map(len, measured))
    for name, coded in rows.items():
        if coded is None:
            print(f"| {name}: not installed | | |")
            continue
        total = sum(map(len, coded))
        print(f"| {name} | {total / len(measured):.1f} | {total / whole:.0%} |")


def speed(messages: list[bytes]) -> None:
    """Print rows a second of many messages, as ratios to prefill."""
    with Codec(threads=1) as codec:
        session = codec.session
        pipeline = codec.choice.pipeline(codec.choice.for_writing().coding)
        tokens = np.concatenate([pipeline.tokens_of(one)[0].tokens for one in messages])
        some = np.resize(tokens, PREFILLED)

        def evaluated() -> None:
            for _ in prefill(session, some, Layout(PREFILLED, 1), session.model.window):
                pass

        evaluated()
        packed: list[bytes] = []
        ratios: list[tuple[float, float]] = []
        for third in range(3):
            mine = messages[third::3]
            count = sum(len(pipeline.tokens_of(one)[0].tokens) for one in mine)
            rate = PREFILLED / seconds(evaluated)
            there = count / seconds(lambda mine=mine: packed.extend(codec.compress_many(mine)))  # type: ignore[misc]
            coded = packed[-len(mine) :]
            back = count / seconds(lambda coded=coded: codec.decompress_many(coded))  # type: ignore[misc]
            ratios.append((there / rate, back / rate))
    print(f"\n{len(messages):,} messages of {len(messages[0])} bytes, rows a second as a share of prefill's:")
    print(
        f"compress_many {median(there for there, _ in ratios):.0%}, decompress_many {median(back for _, back in ratios):.0%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("corpora", nargs="+")
    parser.add_argument(
        "--count", type=int, default=10_000, help="messages for the speed (default: 10,000; 0: sizes alone)"
    )
    parser.add_argument("--length", type=int, default=100, help="bytes of each (default: 100)")
    parser.add_argument("--sentences", type=int, default=1000, help="for the sizes (default: 1,000)")
    given = parser.parse_args()
    found = texts(given.corpora)
    sentences = [match.encode() for text in found for match in _SENTENCE.findall(text)]
    sizes(sentences, given.sentences)
    if not given.count:
        return
    pieces = [
        text.encode()[at : at + given.length]
        for text in found
        for at in range(0, len(text) - given.length, given.length)
    ]
    speed([piece for piece in pieces if len(piece) == given.length][: given.count])


if __name__ == "__main__":
    main()
