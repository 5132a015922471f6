"""The short form and many messages at once: what is written, what is read, and what is refused."""

import base64
import io
import random
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_codec import SENTENCE, FakeCodec

import llmzip
from llmzip.cli import main
from llmzip.codec import short
from llmzip.codec.codec import Codec
from llmzip.codec.context import Context
from llmzip.container import read_index
from llmzip.container.fields import encode_varint
from llmzip.container.format import MAX_SHORT, is_short
from llmzip.errors import ContextError, CorruptError, LlmzipError, ModelError, UsageError

GOLDEN = Path(__file__).parent / "golden" / "short"
SENTENCES = [
    b"The meeting is moved to Thursday at noon; please bring notes.",
    b"I will be home a little later than usual tonight, my dear.",
    b"Could you please send me the final report before tomorrow?",
    b"The train to the north leaves from the second platform now.",
]
ODD = [b"", b"x", b"\n", b"one\r\ntwo\r\n", bytes(range(256)), b"\xff" * 40, "Größe, ещё, 日本".encode(), b"a" * 5000]


@pytest.fixture(scope="module")
def codec():
    with Codec(short=True, threads=1) as codec:
        yield codec


@pytest.fixture(scope="module")
def fast():
    return Codec(short=True, level=1)


def sealed(stored, original=b"", size=2):
    return stored + crc32(original, crc32(stored)).to_bytes(4, "little")[:size]


@pytest.mark.parametrize("data", SENTENCES)
def test_a_sentence_takes_less_than_twenty_bytes(codec, fast, data):
    assert 57 <= len(data) <= 61
    for coder in (codec, fast):
        assert len(coder.compress(data)) < 20


@pytest.mark.parametrize("data", ODD)
def test_any_bytes_come_back_and_grow_by_three(codec, fast, data):
    for coder in (codec, fast):
        packed = coder.compress(data)
        assert len(packed) <= len(data) + 4
        assert coder.decompress(packed) == data


def test_no_more_than_four_bytes_around_a_model_block(codec):
    """Beyond what the range coder needs: a byte before, a check behind; the number of tokens is of the block."""
    for data, size in ((SENTENCES[0], 2), (b" ".join(SENTENCES) * 4, 3)):
        packed = codec.compress(data)
        parsed = short.parse(packed)
        assert len(parsed.check) == size
        tokens = len(encode_varint(parsed.head.tokens))
        assert len(packed) - tokens - len(parsed.payload) == 1 + size <= 4


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=600))
def test_round_trip_without_a_network(data):
    assert Codec().decompress(Codec(level=1, short=True).compress(data)) == data


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=900), st.booleans(), st.binary(max_size=500))
def test_another_model_is_described(data, mix, context):
    options = {"context": context} if context else {}
    packed = FakeCodec(1e-5, 1, short=True, mix=mix, **options).compress(data)
    assert FakeCodec(1e-5, 2, **options).decompress(packed) == data


def test_exact_messages_are_described():
    data = b" ".join(SENTENCES) * 3
    packed = Codec(short=True, exact=True, threads=1).compress(data)
    assert short.parse(packed).header.exact
    assert Codec(threads=1).decompress(packed) == data


def test_a_message_on_a_context(fast):
    old = b"\n".join(SENTENCES) + b"\n"
    new = old.replace(b"Thursday", b"Friday").replace(b"\n", b"\r\n")
    for level in (1, 6):
        coder = Codec(short=True, level=level, context=old, threads=1)
        packed = coder.compress(new)
        assert len(packed) < 40 < len(fast.compress(new))
        assert coder.decompress(packed) == new
        with pytest.raises(ContextError, match=f"made with a context .{Context.of(old).named.identity[:4].hex()}"):
            fast.decompress(packed)
        with pytest.raises(ContextError, match="made with another context .* given is"):
            Codec(context=new).decompress(packed)


def test_files_tell_the_forms_apart(codec, tmp_path):
    packed = codec.compress(SENTENCES[0])
    assert Codec().compress(b"")[0] not in range(0x80, 0xC0)
    assert is_short(packed) and not is_short(b"text") and not is_short(b"")
    sink = io.BytesIO()
    assert Codec(level=1).decompress_stream(io.BytesIO(Codec(level=1, short=True).compress(b"abc")), sink).original == 3
    assert sink.getvalue() == b"abc"
    with pytest.raises(CorruptError, match="is in the short form"):
        read_index(io.BytesIO(packed))
    with llmzip.open(tmp_path / "a.llmz", "wb", level=1, short=True) as file:
        file.write(b"first ")
        file.write(b"second")
    assert len((tmp_path / "a.llmz").read_bytes()) < 14
    with llmzip.open(tmp_path / "a.llmz") as file:
        assert (file.read(), file.seek(-3, 2), file.read(), file.seek(1), file.read(4)) == (
            b"first second",
            9,
            b"ond",
            1,
            b"irst",
        )


def test_what_is_too_long(fast):
    with pytest.raises(UsageError, match="takes 1,048,576 bytes"):
        fast.compress(bytes(MAX_SHORT + 1))
    with pytest.raises(UsageError, match="leave out --short"):
        fast.compress_many([b"a", bytes(MAX_SHORT + 1)])
    with pytest.raises(CorruptError, match="longer than any message"):
        fast.decompress(b"\x88" + bytes(short.MAX_STORED + 1))


# ---- hostile and damaged ----


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (b"\x80", "malformed|damaged"),
        (b"\x88", "damaged"),
        (b"\x8c" + bytes(9), "newer"),
        (b"\x81" + bytes(9), "newer"),
        (b"\xa8" + bytes(9), "newer"),
        (sealed(b"\x80" + encode_varint(MAX_SHORT + 1) + b"words", size=3), "damaged"),
        (sealed(b"\x84" + encode_varint(1 << 62) + b"words", size=3), "damaged"),
        (sealed(b"\x84" + encode_varint(200_000), size=3), "damaged|no encoder writes|does not match"),
        (sealed(b"\x84\x05"), "damaged|no encoder writes|does not match"),
        (sealed(b"\x88abc", b"abd"), "damaged"),
        (sealed(b"\x84\x80\x00words"), "malformed"),
        (sealed(b"\xa0\x7fshort", size=3), "damaged"),
        (sealed(b"\xa0\x05\x80\1\0\0\0", size=3), "newer|runs over"),
    ],
)
def test_hostile_messages(fast, message, says):
    with pytest.raises(CorruptError, match=says):
        fast.decompress(message)


@pytest.mark.parametrize("kind", [each for each in short.Kind if each is not short.Kind.RAW])
def test_a_network_is_not_asked_for_more_tokens_than_bytes_justify(kind):
    part = (bytes(5) + b"\0\0" + b"\0" * kind.network) if kind.on_context else b""
    for tokens in (1024 + 64 * 2, 1024 + 64 * 2 + 1):
        message = bytes([0x80 | kind << 2]) + part + encode_varint(tokens) + b"ab" + bytes(3)
        if kind.network and tokens > 1024 + 64 * 2:
            with pytest.raises(CorruptError, match="1153 tokens of a network, more than its 2 bytes justify"):
                short.parse(message)
        else:
            assert short.parse(message).head.tokens == tokens


def test_messages_that_say_much_in_little_justify_themselves():
    for network in (True, False):
        made = short.message(SimpleNamespace(network=network, context=None), b"", False, 5000, b"ab")
        parsed = short.parse(made)
        assert parsed.head.tokens == 5000 and parsed.payload == b"ab".ljust(63 if network else 2, b"\0")


def test_parts_of_a_context_that_are_not_there():
    context = Context.of(SENTENCE)
    for skip, rest, flags in ((len(SENTENCE), 0, 0), (0, 1 << 40, 0), (0, 0, 4)):
        stored = (
            b"\x94"
            + context.named.identity[:4]
            + bytes([flags])
            + encode_varint(skip)
            + encode_varint(rest)
            + b"\5words"
        )
        with pytest.raises(CorruptError, match="impossible part|damaged"):
            Codec(context=SENTENCE).decompress(sealed(stored))


def test_a_described_message_that_contradicts_itself():
    """The kind of the first byte is only a hint where a header follows: the block itself says whether a network takes part."""
    packed = bytearray(FakeCodec(short=True).compress(SENTENCE * 3))
    assert packed[0] == 0xA0
    packed[0] = 0xA4
    with pytest.raises(CorruptError):
        FakeCodec().decompress(bytes(packed))
    with pytest.raises(ModelError):
        FakeCodec(identity=b"another1").decompress(FakeCodec(short=True).compress(SENTENCE * 3))


@pytest.mark.parametrize("level", [1, 6])
def test_damage_is_found_out(level):
    """A check of two bytes lets one in 65,536 pass; these do not."""
    random.seed(level)
    codec = Codec(short=True, level=level, threads=1)
    packed = codec.compress(SENTENCES[1])
    damaged = [packed[:length] for length in range(1, len(packed))] + [packed + b"\0", packed + b"x"]
    for _ in range(60 if level == 1 else 20):
        wrong = bytearray(packed)
        wrong[random.randrange(len(packed))] ^= 1 << random.randrange(8)
        damaged.append(bytes(wrong))
    for wrong in damaged:
        with pytest.raises(LlmzipError):
            codec.decompress(wrong)


# ---- many ----


def test_many_are_what_each_is(codec, fast):
    texts = [*SENTENCES, *ODD, b" ".join(SENTENCES) * 8, *SENTENCES * 18]
    for coder in (codec, fast):
        packed = coder.compress_many(texts)
        assert coder.decompress_many(packed) == texts
        for text, message in list(zip(texts, packed, strict=True))[:: 1 if coder is fast else 7]:
            assert coder.decompress(message) == text
        assert sum(map(len, packed)) < sum(map(len, texts)) / 3
    assert codec.compress_many([]) == [] == codec.decompress_many([])
    assert codec.decompress_many(fast.compress_many(texts[:9])) == texts[:9]


def test_many_with_another_model_and_on_a_context():
    texts = [SENTENCE, SENTENCE * 2, b""]
    for make in (lambda: FakeCodec(1e-5, 3), lambda: Codec(level=1, context=SENTENCE * 2)):
        packed = make().compress_many(texts)
        assert make().decompress_many(packed) == texts


def test_a_damaged_one_among_many_is_named(codec):
    packed = codec.compress_many(SENTENCES)
    wrong = bytearray(packed[2])
    wrong[5] ^= 16
    with pytest.raises(CorruptError, match="^message 3: "):
        codec.decompress_many([*packed[:2], bytes(wrong), packed[3]])
    with pytest.raises(CorruptError, match="^message 2: "):
        codec.decompress_many([packed[0], b"", packed[1]])


def test_a_model_is_not_asked_one_by_one(monkeypatch):
    calls = []
    with Codec(threads=1) as codec:
        evaluator = type(codec.session.model.evaluator(1, 16, 1))
        evaluate = evaluator.evaluate
        monkeypatch.setattr(
            evaluator, "evaluate", lambda self, *rows: calls.append(len(rows[0])) or evaluate(self, *rows)
        )
        codec.compress_many(SENTENCES * 16)
    assert len(calls) <= 3


# ---- the command ----


def command(*arguments, given=None):
    run = subprocess.run([sys.executable, "-m", "llmzip", *arguments], input=given, capture_output=True)
    return run.returncode, run.stdout, run.stderr


def test_text_command(capfdbinary):
    for base, decode in ((["--base", "64"], base64.b64decode), ([], base64.b85decode)):
        assert main._execute(["text", "-1", *base, SENTENCES[0].decode()]) == 0
        line = capfdbinary.readouterr().out
        assert len(decode(line.strip())) < 20 and line.endswith(b"\n")
        assert main._execute(["text", "-d", line.decode().strip()]) == 0
        assert capfdbinary.readouterr().out == SENTENCES[0]
    for wrong in ("zzz", "é", "f", ""):
        assert main._execute(["text", "-d", wrong]) == 3
        assert len(capfdbinary.readouterr().err.splitlines()) == 1


def test_the_example_of_the_page_is_true(capfdbinary, corpora):
    page = (corpora.parent / "docs" / "short.md").read_text()
    sentence, characters = re.search(r'llmzip text "(.*)" +# prints (\S+)\n', page).groups()
    assert main._execute(["text", sentence]) == 0
    assert capfdbinary.readouterr().out.decode() == f"{characters}\n"
    assert f"llmzip text -d '{characters}'" in page and main._execute(["text", "-d", characters]) == 0
    assert capfdbinary.readouterr().out.decode() == sentence


def test_text_command_in_a_pipe():
    code, out, _ = command("text", "-1", given=b"any \xff bytes\n")
    assert code == 0
    assert command("text", "-d", given=out) == (0, b"any \xff bytes\n", b"")


def test_files_in_the_short_form(tmp_path):
    (tmp_path / "a").write_bytes(SENTENCES[0])
    assert main._execute(["-1", "--short", str(tmp_path / "a")]) == 0
    packed = tmp_path / "a.llmz"
    assert packed.stat().st_size < 20
    assert main._execute(["-t", str(packed)]) == 0
    assert main._execute(["-d", "-f", str(packed)]) == 0
    assert (tmp_path / "a").read_bytes() == SENTENCES[0]


def test_messages_are_alone_in_their_files(tmp_path, monkeypatch, capfdbinary):
    """What would be joined could not be read again."""
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        (tmp_path / name).write_bytes(SENTENCES[0])
    (tmp_path / "list").write_bytes(b"a\n")
    for options in (["a", "b"], ["-r", "."], ["--files-from", "list"]):
        assert main._execute(["-1", "--short", "-c", *options]) == 2
        captured = capfdbinary.readouterr()
        assert captured.out == b"" and b"cannot be joined" in captured.err
    assert main._execute(["-1", "--short", "a"]) == 0
    packed = (tmp_path / "a.llmz").read_bytes()
    for options in ({}, {"short": True}):
        with pytest.raises(UsageError, match="appended"):
            llmzip.open("a.llmz", "ab", level=1, **options)
    assert (tmp_path / "a.llmz").read_bytes() == packed
    capfdbinary.readouterr()
    assert main._execute(["-dc", "--max-size", "20", "a.llmz"]) == 1
    captured = capfdbinary.readouterr()
    assert captured.out == b"" and b"--max-size" in captured.err


def test_programs_that_read_files_read_messages(tmp_path, monkeypatch, capfdbinary):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").write_bytes(b"one ship\ntwo\nthree ships\n")
    (tmp_path / "plain").write_bytes(b"\x80 no message, a ship\n")
    assert main._execute(["-1", "--short", "a"]) == 0
    for words, code, out in (
        (["cat", "a.llmz"], 0, b"one ship\ntwo\nthree ships\n"),
        (["cat", "--range", "4:8", "a.llmz"], 0, b"ship"),
        (["grep", "-c", "ship", "a.llmz"], 0, b"2\n"),
        (["grep", "-ac", "ship", "plain"], 0, b"1\n"),
        (["diff", "a.llmz", "a"], 0, b""),
    ):
        assert main._execute(words) == code
        assert capfdbinary.readouterr() == (out, b""), words


# ---- golden ----


def test_golden_messages_decode(codec):
    """format: messages made by earlier builds must open for ever (tools/golden.py)."""
    old = (GOLDEN / "old.txt").read_bytes()
    with Codec(context=old, threads=1) as reader:
        found = 0
        for packed in sorted(GOLDEN.glob("*.llmz")):
            text = GOLDEN / f"{packed.name.split('.')[0]}.txt"
            assert reader.decompress(packed.read_bytes()) == text.read_bytes(), packed.name
            found += 1
    assert found == 7


def test_golden_bytes_are_what_is_written():
    for name, options in (("sentence", {}), ("new", {"context": GOLDEN / "old.txt"})):
        data = (GOLDEN / f"{name}.txt").read_bytes()
        assert Codec(level=1, short=True, **options).compress(data) == (GOLDEN / f"{name}.1.short.llmz").read_bytes()
