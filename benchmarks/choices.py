"""Which coder level 1 chooses for blocks of many kinds, and what another choice would have given.

usage: choices.py [FILE...]

Without files, texts of corpora/ and data made here. *lost*: bytes above the smallest of model and classic codecs; *refused in*: for
blocks that a classic codec has, the time of finding out as a share of the time that coding them takes; "all of it" where the model was
tried.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import math
import random
import sqlite3
import struct
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from numpy._core import _multiarray_umath as umath
from texts import texts

from llmzip.codec import policy
from llmzip.codec.codec import Codec
from llmzip.coding import _mixer
from llmzip.container import classic
from llmzip.model.embedded import PACKED

SIZE = 40_000


def made() -> Iterator[tuple[str, bytes]]:
    """Blocks of kinds that corpora/ has none of."""
    chance = random.Random(7)
    prose = max(texts(), key=lambda path: path.stat().st_size).read_bytes()
    code = Path(json.__file__).with_name("decoder.py").read_bytes()
    words = prose.decode("utf-8", "ignore").split()
    noise = chance.randbytes(SIZE)
    yield "random", noise
    yield "zeros", bytes(SIZE)
    yield "one letter", b"a" * SIZE
    yield "base64 of noise", base64.encodebytes(noise)
    yield "base64 of prose", base64.encodebytes(prose[:SIZE])
    yield "hex of noise", noise[: SIZE // 2].hex().encode()
    yield (
        "hex dump of prose",
        b"\n".join(b"%08x  %s" % (at, prose[at : at + 16].hex(" ").encode()) for at in range(0, 12_000, 16)),
    )
    yield "UTF-16", prose[:SIZE].decode("utf-8", "ignore").encode("utf-16")
    yield "UTF-32", prose[: SIZE // 2].decode("utf-8", "ignore").encode("utf-32")
    yield "Latin-1", ("é" + prose[:SIZE].decode("utf-8", "ignore").replace("e", "è")).encode("latin-1", "replace")
    yield "CR line ends", prose[:SIZE].replace(b"\r\n", b"\n").replace(b"\n", b"\r")
    yield "CRLF line ends", prose[:SIZE].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    yield "no spaces", prose[:SIZE].replace(b" ", b"")
    yield "capitals", prose[:SIZE].upper()
    yield "ROT13", prose[:SIZE].translate(bytes((c + 13 - 97) % 26 + 97 if 97 <= c < 123 else c for c in range(256)))
    yield "shuffled words", " ".join(chance.sample(words, len(words))).encode()[:SIZE]
    yield "word list", "\n".join(sorted(set(words))).encode()[:SIZE]
    yield (
        "terminal session",
        b"".join(
            b"\x1b[32muser@host\x1b[0m:\x1b[34m~/src\x1b[0m$ ls %s\r\n\x1b[01;34m%s\x1b[0m  %s\r\n"
            % tuple(w.encode() for w in chance.choices(words, k=3))
            for _ in range(400)
        ),
    )
    yield (
        "control characters",
        b"".join(bytes([chance.randrange(32)]) + w.encode() for w in chance.choices(words, k=5000))[:SIZE],
    )
    yield (
        "minified JavaScript",
        b";".join(
            b"function %c%d(%c){return %c*%d+%c[%d]}"
            % (
                chance.randrange(97, 123),
                i,
                *chance.choices(range(97, 123), k=2),
                chance.randrange(999),
                chance.randrange(97, 123),
                i % 7,
            )
            for i in range(900)
        ),
    )
    yield "machine code", Path(umath.__file__).read_bytes()[2_000_000 : 2_000_000 + SIZE]
    yield "library", Path(_mixer.__file__).read_bytes()[:SIZE]
    yield "Python bytecode", compile(code, "decoder.py", "exec").co_code * 4 + code[:2000]
    yield "program", Path(sys.executable).resolve().read_bytes()[:SIZE]
    yield "program of 20 kB", Path(umath.__file__).read_bytes()[1_000_000:1_020_000]
    yield "gzip of prose", gzip.compress(prose, mtime=0)[:SIZE]
    picture = b"".join(b"\0" + bytes((x * y // 97 + chance.randrange(3)) & 255 for x in range(200)) for y in range(200))
    yield "picture, raw", picture
    yield "picture, deflated", zlib.compress(picture, 9)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for number in range(12):
            info = tarfile.TarInfo(f"part-{number}.txt")
            info.size = 2500
            tar.addfile(info, io.BytesIO(prose[number * 2500 : (number + 1) * 2500]))
    yield "tar of prose", archive.getvalue()
    yield "prose and noise", prose[: SIZE // 2] + noise[: SIZE // 2]
    yield (
        "JSON, one line",
        json.dumps([{"id": i, "word": w, "n": chance.random()} for i, w in enumerate(words[:800])]).encode(),
    )
    yield "JSON, indented", json.dumps({w: len(w) for w in words[:2000]}, indent=2).encode()
    yield (
        "CSV of floats",
        "\n".join(",".join(f"{chance.gauss(0, 1):.4f}" for _ in range(8)) for _ in range(600)).encode(),
    )
    yield (
        "CSV of integers",
        "\n".join(",".join(str(chance.randrange(10**k)) for k in (2, 4, 6)) for _ in range(2400)).encode(),
    )
    yield "random digits", "".join(chance.choices("0123456789", k=SIZE)).encode()
    yield "random letters", "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=SIZE)).encode()
    yield "DNA", "".join(chance.choices("ACGT", k=SIZE)).encode()
    yield "UUIDs", "\n".join(f"{chance.getrandbits(128):032x}" for _ in range(1200)).encode()
    yield (
        "IP addresses",
        "\n".join(".".join(str(chance.randrange(256)) for _ in range(4)) for _ in range(2500)).encode(),
    )
    yield (
        "URLs",
        "\n".join(
            f"https://example.org/{a}/{b}?q={c}" for a, b, c in (chance.choices(words, k=3) for _ in range(900))
        ).encode(),
    )
    yield "Python", code
    yield "diff", b"\n".join((b"+" if chance.random() < 0.1 else b" ") + line for line in code.splitlines())
    yield "YAML", "\n".join(f"- name: {w}\n  size: {len(w)}\n  tags: [{w[:2]}, {w[-2:]}]" for w in words[:800]).encode()
    yield "XML", "".join(f"<item id='{i}'><w>{w}</w></item>\n" for i, w in enumerate(words[:1000])).encode()
    yield "INI", "".join(f"[{w}]\nvalue = {chance.randrange(1000)}\n" for w in words[:1500]).encode()
    yield "time stamps", "\n".join(str(1_700_000_000 + 3 * i + chance.randrange(3)) for i in range(3500)).encode()
    yield "Chinese", "".join(chr(0x4E00 + int(chance.expovariate(1 / 300)) % 5000) for _ in range(13_000)).encode()
    yield (
        "Cyrillic",
        "".join(
            chr(0x430 + ord(c) % 32) if c.isalpha() else c for c in prose[:20_000].decode("utf-8", "ignore")
        ).encode(),
    )
    yield from binaries(chance, prose)
    yield "emoji", "".join(chr(0x1F600 + chance.randrange(64)) for _ in range(10_000)).encode()


def byte(value: float) -> int:
    """A sample of a picture."""
    return max(0, min(255, round(value)))


def binaries(chance: random.Random, prose: bytes) -> Iterator[tuple[str, bytes]]:
    """Pictures, sound, numbers, databases, archives."""
    points = [(x, y) for y in range(200) for x in range(200)]
    yield (
        "photo, grey",
        bytes(byte(128 + 100 * math.sin(x / 20) * math.cos(y / 15) + chance.gauss(0, 6)) for x, y in points),
    )
    waves = (
        lambda x, y: 128 + 100 * math.sin(x / 20),
        lambda x, y: 128 + 90 * math.cos(y / 15),
        lambda x, y: 100 + 60 * math.sin((x + y) / 25),
    )
    yield "photo, RGB", bytes(byte(wave(x, y) + chance.gauss(0, 8)) for x, y in points[: SIZE // 3] for wave in waves)
    tones = (8000 * math.sin(i / 17) + 3000 * math.sin(i / 5.3) + chance.gauss(0, 200) for i in range(SIZE // 2))
    yield "sound", b"".join(struct.pack("<h", int(tone)) for tone in tones)
    yield "sound of noise", b"".join(struct.pack("<h", int(chance.gauss(0, 3000))) for _ in range(SIZE // 2))
    yield "floats, 4 bytes", b"".join(struct.pack("<f", chance.gauss(0, 1)) for _ in range(SIZE // 4))
    yield "floats, 8 bytes", b"".join(struct.pack("<d", i / 10 + chance.random()) for i in range(SIZE // 8))
    yield "integers", b"".join(struct.pack("<I", chance.randrange(100_000)) for _ in range(SIZE // 4))
    yield "a counter", b"".join(struct.pack("<I", 3 * i) for i in range(SIZE // 4))
    yield (
        "records",
        b"".join(struct.pack("<IHBBd", i, chance.randrange(500), i % 4, 0, chance.random()) for i in range(SIZE // 16)),
    )
    yield "four values", bytes(chance.choices((0, 1, 2, 7), k=SIZE))
    yield "weights of a network", PACKED.read_bytes()[4_000_000 : 4_000_000 + SIZE]
    database = sqlite3.connect(":memory:")
    database.execute("create table t (a integer, b text, c real)")
    rows = [(i, prose[20 * i : 20 * i + 15].decode("latin-1"), chance.random()) for i in range(900)]
    database.executemany("insert into t values (?, ?, ?)", rows)
    database.commit()
    yield "SQLite", database.serialize()[:SIZE]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(8):
            archive.writestr(f"part-{number}.txt", prose[number * 11_000 : (number + 1) * 11_000])
    yield "zip", packed.getvalue()[:SIZE]
    yield "zip of 20 kB", packed.getvalue()[:20_000]
    yield "bzip2", bz2.compress(prose)[:SIZE]
    yield "xz", lzma.compress(prose)[:SIZE]
    yield "encrypted, 200 kB", chance.randbytes(200_000)
    yield "base64 of noise, 200 kB", base64.encodebytes(chance.randbytes(150_000))


def main() -> None:
    blocks = [(path.name, path.read_bytes()) for path in [Path(name) for name in sys.argv[1:]] or texts()]
    if len(sys.argv) == 1:
        blocks += made()
    print(
        "| block | bytes | zstd, xz or brotli | model | chosen | lost | refused in |\n| --- | ---: | ---: | ---: | --- | ---: | ---: |"
    )
    wrong = lost = total = 0
    with Codec(level=1, threads=1) as codec:
        pipeline = codec.choice.pipeline(codec.choice.for_writing().coding)
        pipeline.encode(*pipeline.tokens_of(b"warm " * 5000), 1)
        for name, data in blocks:
            kind, best = classic.smallest(data)
            began = time.process_time()
            model = len(pipeline.encode(*pipeline.tokens_of(data), 1))
            coding = time.process_time() - began
            began = time.process_time()
            refused = policy.unpromising(data, classic.quick_length(data), pipeline)
            share = f"{(time.process_time() - began) / coding:.1%}" if refused else "all of it"
            by_model = not refused and (policy.beyond_classic(classic.quick_length(data), model) or model <= len(best))
            more = (model if by_model else len(best)) - min(model, len(best))
            wrong, lost, total = (
                wrong + (more > 0.01 * min(model, len(best))),
                lost + more,
                total + min(model, len(best)),
            )
            chosen = "model" if by_model else kind.name.lower()
            print(
                f"| {name} | {len(data):,} | {len(best):,} | {model:,} | {chosen} | {more or ''} | {'' if by_model else share} |",
                flush=True,
            )
    print(
        f"\n{len(blocks)} blocks, {wrong} wrong by more than 1 %, {lost:,} of {total:,} bytes lost ({lost / total:.2%})"
    )


if __name__ == "__main__":
    main()
