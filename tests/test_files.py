"""File objects: llmzip's behave as those of gzip, bz2, lzma and zstandard do, and seek where those cannot."""

import builtins
import bz2
import errno
import gzip
import io
import lzma
import os
import pickle
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

import llmzip
from llmzip.codec.codec import Codec
from llmzip.codec.settings import SMALLEST_BLOCK
from llmzip.container import read_index

LINES = "".join(f"{n}: the harbour, the ships, größer\r\nand the sea\n" for n in range(800))
DATA = LINES.encode()
CODEC = Codec(level=1, block_size=SMALLEST_BLOCK)


def open_llmzip(file, mode="rb", **options):
    return llmzip.open(file, mode, codec=CODEC, **options)


class LlmzipFile(llmzip.LlmzipFile):
    def __init__(self, file, mode="rb"):
        super().__init__(file, mode, codec=CODEC)


@pytest.fixture(autouse=True, scope="module")
def quick():
    """Blocks go to the classic codecs: files are made and read as ever, in a hundredth of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llmzip.codec.policy.unpromising", lambda data, classic_length, pipeline: True)
        yield


@dataclass
class Peer:
    """A module of the kind. lacks: what its files cannot do, or do otherwise."""

    name: str
    open: Any
    compress: Any
    decompress: Any
    file: Any = None
    compressor: Any = None
    decompressor: Any = None
    lacks: set[str] = field(default_factory=set)


PEERS = [
    Peer(
        "llmzip",
        open_llmzip,
        CODEC.compress,
        CODEC.decompress,
        LlmzipFile,
        lambda: llmzip.Compressor(codec=CODEC),
        lambda: llmzip.Decompressor(codec=CODEC),
    ),
    Peer("gzip", gzip.open, gzip.compress, gzip.decompress, lambda file, mode: gzip.GzipFile(file, mode)),
    Peer("bz2", bz2.open, bz2.compress, bz2.decompress, bz2.BZ2File, bz2.BZ2Compressor, bz2.BZ2Decompressor),
    Peer("lzma", lzma.open, lzma.compress, lzma.decompress, lzma.LZMAFile, lzma.LZMACompressor, lzma.LZMADecompressor),
    Peer(
        "zstandard",
        zstandard.open,
        zstandard.ZstdCompressor().compress,
        lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
        lacks={"seek back", "members", "append", "cut", "lines", "peek", "modes", "damage", "iobase"},
    ),
]


def having(*features):
    """The modules that have all of these."""
    return pytest.mark.parametrize(
        "peer",
        [peer for peer in PEERS if not peer.lacks & set(features)],
        ids=lambda peer: peer.name,
    )


with_objects = pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.compressor], ids=lambda peer: peer.name)


class Pipe(io.RawIOBase):
    """Gives a few bytes at a time and cannot seek."""

    def __init__(self, data):
        self._data = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._data.readinto(memoryview(buffer)[:1000])


class Full(io.RawIOBase):
    """A disk that is full after so many bytes."""

    def __init__(self, room):
        self.room = room

    def writable(self):
        return True

    def write(self, data):
        if self.room < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(data)
        return len(data)


# -- the same for all -------------------------------------------------------------------------------------------------


@having()
def test_bytes_and_text_round_trip(peer, tmp_path):
    path = tmp_path / "a"
    with peer.open(path, "wb") as file:
        assert file.writable() and not file.readable() and not file.closed
        assert file.write(DATA[:70_000]) == len(DATA[:70_000])
        file.write(memoryview(DATA)[70_000:])
    with peer.open(path, "rb") as file:
        assert file.readable() and not file.writable()
        assert file.read() == DATA and file.read() == b""
    assert file.closed
    with peer.open(path, "rt", encoding="utf-8", newline="") as file:
        assert file.read() == LINES
    with peer.open(path, "wt", encoding="latin-1", errors="replace", newline="\r\n") as file:
        file.write("größer\n☃\n")
    with peer.open(path, "rb") as file:
        assert file.read() == "größer\r\n?\r\n".encode("latin-1")


@having()
def test_undecodable_text_is_unicodes_error(peer, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(peer.compress(b"caf\xe9"))
    with pytest.raises(UnicodeDecodeError), peer.open(path, "rt", encoding="utf-8") as file:
        file.read()
    with peer.open(path, "rt", encoding="utf-8", errors="surrogateescape") as file:
        assert file.read() == "caf\udce9"


@having()
def test_files_that_are_given_stay_open(peer):
    sink = io.BytesIO()
    with peer.open(sink, "wb", **({"closefd": False} if peer.name == "zstandard" else {})) as file:
        file.write(DATA)
    assert not sink.closed and peer.decompress(sink.getvalue()) == DATA
    sink.seek(0)
    with peer.open(sink, "rb", **({"closefd": False} if peer.name == "zstandard" else {})) as file:
        assert file.read(10) == DATA[:10]
    assert not sink.closed


@having()
def test_pipes_are_read_forwards(peer):
    with peer.open(Pipe(peer.compress(DATA)), "rb") as file:
        assert file.read(7) == DATA[:7]
        assert b"".join(iter(lambda: file.read(50_000), b"")) == DATA[7:]


@having("lines")
def test_lines_pieces_and_peeks(peer, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(peer.compress(DATA))
    with peer.open(path) as file:
        assert list(file) == DATA.splitlines(keepends=True)
    with peer.open(path) as file:
        first, second, *rest = DATA.splitlines(keepends=True)
        assert file.readline() == first and file.readline(3) == second[:3] and file.readline() == second[3:]
        assert file.peek(1)[:1] == rest[0][:1] and file.tell() == len(first + second)
        assert file.readlines(1) == rest[:1]
        buffer = bytearray(10_000)
        at = file.tell()
        assert file.readinto(buffer) == len(buffer) and buffer == DATA[at : at + len(buffer)]
        assert (some := file.read1(100)) and DATA[at + len(buffer) :].startswith(some) and len(some) <= 100
        assert file.read(0) == b"" and file.read(None)[-10:] == DATA[-10:]
        assert file.readline() == file.read1() == file.peek(1) == b"" and file.readinto(buffer) == 0


@having("iobase")
def test_they_are_buffered_files(peer, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(peer.compress(DATA))
    with peer.open(path) as file:
        assert isinstance(file, io.BufferedIOBase)
        assert file.fileno() > 2 and not file.isatty()
        assert io.TextIOWrapper(file, "utf-8", newline="").read() == LINES
    with pytest.raises(io.UnsupportedOperation):
        peer.open(io.BytesIO(peer.compress(DATA))).fileno()


@having("seek back")
def test_seeking(peer, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(peer.compress(DATA))
    with peer.open(path) as file:
        assert file.seekable() and file.tell() == 0
        for place in (20_000, 5, 12_288, 12_287, 4_096, len(DATA) - 3, 0):
            assert file.seek(place) == place == file.tell()
            assert file.read(5) == DATA[place : place + 5] and file.tell() == min(place + 5, len(DATA))
        assert file.seek(-10, io.SEEK_END) == len(DATA) - 10 and file.read() == DATA[-10:]
        assert file.seek(100) == 100 and file.seek(-50, io.SEEK_CUR) == 50 and file.read(5) == DATA[50:55]
        assert file.seek(len(DATA) + 1000) == len(DATA), "beyond the end is the end"
        assert file.read(1) == b"" and file.seek(0) == 0 and file.read() == DATA
        with pytest.raises((ValueError, OSError)):
            file.seek(0, 9)
    with peer.open(path, "rt", encoding="utf-8", newline="") as file:
        for _ in range(40):
            file.readline()
        place, line = file.tell(), file.readline()
        file.read()
        file.seek(place)
        assert file.readline() == line


@having("members", "append")
def test_members_read_as_one_and_are_appended(peer, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(peer.compress(b"") + peer.compress(DATA) + peer.compress(b"") + peer.compress(b"second"))
    with peer.open(path, "ab") as file:
        file.write(b"third")
    with peer.open(path, "at", encoding="utf-16-le") as file:
        file.write("fourth")
    whole = DATA + b"secondthird" + "fourth".encode("utf-16-le")
    assert peer.decompress(path.read_bytes()) == whole
    with peer.open(path) as file:
        assert file.read() == whole
        file.seek(len(DATA) + 3)
        assert file.read(6) == b"ondthi"


@having("modes")
def test_modes_and_what_they_allow(peer, tmp_path):
    path = tmp_path / "a"
    for mode in ("z", "rbt", "tb"):
        with pytest.raises(ValueError):
            peer.open(path, mode)
    with pytest.raises(ValueError):
        peer.open(path, "rb", encoding="utf-8")
    with pytest.raises(TypeError):
        peer.open(None)
    with pytest.raises(FileNotFoundError):
        peer.open(path)
    with pytest.raises(IsADirectoryError):
        peer.open(tmp_path)
    with peer.open(path, "xb") as file:
        file.write(b"x")
        for step in (file.read, lambda: file.peek(1)):
            with pytest.raises((io.UnsupportedOperation, OSError)):
                step()
        with pytest.raises(TypeError):
            file.write("text")
    with pytest.raises(FileExistsError):
        peer.open(path, "x")
    with peer.open(os.fsencode(path), "r") as file:
        with pytest.raises((io.UnsupportedOperation, OSError)):
            file.write(b"y")
        assert file.read() == b"x"


@having("modes")
def test_closed_files_say_so(peer, tmp_path):
    path = tmp_path / "a"
    writer = peer.open(path, "wb")
    writer.write(DATA)
    writer.close()
    writer.close()
    reader = peer.open(path)
    reader.read(1)
    reader.close()
    steps = [lambda: writer.write(b"x"), writer.tell, reader.read, lambda: reader.seek(0), reader.readline]
    for step in [*steps, lambda: reader.peek(1)]:
        with pytest.raises(ValueError):
            step()
    assert peer.decompress(path.read_bytes()) == DATA


@having("cut", "damage")
def test_a_cut_file_gives_what_is_whole_and_then_EOFError(peer, tmp_path):
    whole = peer.compress(os.urandom(3000) + DATA)
    with peer.open(io.BytesIO(whole[:-3])) as file:
        with pytest.raises(EOFError):
            file.read()
    with pytest.raises(EOFError):
        peer.open(Pipe(whole[: len(whole) // 2])).read()
    with pytest.raises((OSError, lzma.LZMAError, llmzip.CorruptError)):
        peer.open(io.BytesIO(b"this is no compressed file at all")).read()


@having("cut")
def test_an_error_of_the_disk_comes_through(peer):
    noise = os.urandom(300_000)
    file = peer.open(Full(100_000), "wb")
    with pytest.raises(OSError, match="No space"):
        file.write(noise)
        file.close()


@with_objects
def test_data_piece_by_piece(peer):
    compressor = peer.compressor()
    packed = b"".join(compressor.compress(DATA[at : at + 999]) for at in range(0, len(DATA), 999)) + compressor.flush()
    assert peer.decompress(packed) == DATA
    for step in (lambda: compressor.compress(b"x"), compressor.flush):
        with pytest.raises(ValueError):
            step()
    decompressor = peer.decompressor()
    assert decompressor.needs_input and not decompressor.eof and decompressor.unused_data == b""
    assert b"".join(decompressor.decompress(packed[at : at + 1]) for at in range(len(packed))) == DATA
    assert decompressor.eof and not decompressor.needs_input and decompressor.unused_data == b""
    with pytest.raises(EOFError):
        decompressor.decompress(b"")


@with_objects
def test_no_more_than_max_length_comes_at_once(peer):
    source, decompressor, found = io.BytesIO(peer.compress(DATA) + b"more"), peer.decompressor(), []
    assert decompressor.decompress(b"") == b"" and decompressor.needs_input
    while not decompressor.eof:
        found.append(decompressor.decompress(source.read(100) if decompressor.needs_input else b"", max_length=777))
        assert len(found[-1]) <= 777
    assert b"".join(found) == DATA
    assert decompressor.unused_data + source.read() == b"more"


@with_objects
def test_what_is_no_buffer_is_a_TypeError(peer):
    for data in (None, "text", 5):
        for step in (peer.compress, peer.compressor().compress, peer.decompressor().decompress):
            with pytest.raises(TypeError):
                step(data)
    numbers = memoryview(bytes(range(16))).cast("I")
    assert peer.decompress(peer.compress(numbers)) == bytes(range(16))
    compressor = peer.compressor()
    assert peer.decompress(compressor.compress(numbers) + compressor.flush()) == bytes(range(16))


@with_objects
@settings(max_examples=15, deadline=None)
@given(st.binary(max_size=20_000), st.lists(st.integers(1, 5000), min_size=1), st.integers(1, 9000))
def test_any_pieces(peer, data, sizes, most):
    compressor, decompressor, packed, found, at, turn = peer.compressor(), peer.decompressor(), b"", b"", 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        packed, at, turn = packed + compressor.compress(data[at : at + size]), at + size, turn + 1
    packed, at = packed + compressor.flush(), 0
    while not decompressor.eof:
        size = sizes[turn % len(sizes)] if decompressor.needs_input else 0
        found += decompressor.decompress(packed[at : at + size], most)
        at, turn = at + size, turn + 1
    assert found == data


# -- what only llmzip has ---------------------------------------------------------------------------------------------


class Counting(Codec):
    """Counts the blocks that it decodes."""

    decoded_blocks = 0

    def decode_block(self, *args, **given):
        self.decoded_blocks += 1
        return super().decode_block(*args, **given)


def test_a_seek_decodes_one_block_and_the_last_few_stay():
    codec = Counting(level=1, threads=1)
    file = llmzip.open(io.BytesIO(CODEC.compress(DATA)), codec=codec)
    assert file.seek(18_000) == 18_000 and codec.decoded_blocks == 0
    assert file.read(10) == DATA[18_000:18_010] and codec.decoded_blocks == 1
    for place in (19_500, 9_000, 17_100, 11_100, 19_700):
        file.seek(place)
        assert file.read(10) == DATA[place : place + 10]
    assert codec.decoded_blocks == 2
    file.seek(0, io.SEEK_END)
    assert codec.decoded_blocks == 2, "the length stands in the index"


def test_asking_for_the_length_does_not_end_reading_forwards():
    codec = Counting(level=1, threads=1)
    file = llmzip.open(io.BytesIO(CODEC.compress(DATA)), codec=codec)
    start = file.read(100)
    assert file.seek(0, io.SEEK_END) == len(DATA) and file.seek(100) == 100
    assert start + file.read() == DATA
    assert codec.decoded_blocks == len(DATA) // SMALLEST_BLOCK + 1


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(DATA) + 9), st.integers(0, 9000)), max_size=12), st.integers(0, 3))
def test_reading_anywhere_is_reading_the_original(places, before):
    other = CODEC.compress(DATA[:9000])
    source = io.BytesIO(b"other" * before + other + CODEC.compress(DATA[9000:]))
    source.seek(5 * before)
    file, plain = llmzip.open(source, codec=CODEC), io.BytesIO(DATA)
    for place, size in places:
        file.seek(place), plain.seek(min(place, len(DATA)))
        assert file.read(size) == plain.read(size) and file.tell() == plain.tell()
    assert file.read() == plain.read()


def test_a_pipe_cannot_seek_and_says_so():
    file = llmzip.open(Pipe(CODEC.compress(DATA)), codec=CODEC)
    assert not file.seekable() and file.read(10) == DATA[:10] and file.tell() == 10
    for step in (lambda: file.seek(0), lambda: file.seek(0, io.SEEK_END)):
        with pytest.raises(io.UnsupportedOperation, match="cannot seek"):
            step()
    assert file.read() == DATA[10:]
    with llmzip.open(io.BytesIO(), "w", codec=CODEC) as file, pytest.raises(io.UnsupportedOperation):
        file.seek(0)


def test_damage_is_told_again_and_blocks_beside_it_can_be_read():
    packed = bytearray(CODEC.compress(DATA))
    (member,) = read_index(io.BytesIO(packed))
    packed[member.blocks[4].payload_offset + 20] ^= 1
    file = llmzip.open(io.BytesIO(packed), codec=CODEC)
    for _ in range(2):
        with pytest.raises(llmzip.CorruptError, match="block"):
            file.read()
    file.seek(0)
    assert file.read(4000) == DATA[:4000]
    file.seek(-100, io.SEEK_END)
    assert file.read() == DATA[-100:]
    file = llmzip.open(Pipe(bytes(packed)), codec=CODEC)
    for _ in range(2):
        with pytest.raises(llmzip.CorruptError, match="block"):
            while file.read(1000):
                pass
    decompressor = llmzip.Decompressor(codec=CODEC)
    for data in (packed, b""):
        with pytest.raises(llmzip.CorruptError, match="block"):
            decompressor.decompress(data)


def test_a_file_whose_writing_failed_stays_without_its_end():
    sink = Full(5000)
    file = llmzip.open(sink, "wb", codec=CODEC)
    with pytest.raises(OSError, match="No space"):
        file.write(os.urandom(20_000))
    sink.room = 1 << 20
    with pytest.raises(ValueError, match="failed before"):
        file.write(b"x")
    file.close()
    assert file.closed and sink.room == 1 << 20, "nothing follows the gap"


@pytest.mark.parametrize("wrong", [{"encoding": "nosuch"}, {"newline": "x"}])
def test_no_file_is_emptied_for_a_wrong_way_of_text(wrong, tmp_path):
    (tmp_path / "a.llmz").write_bytes(b"kept")
    for name in ("a.llmz", "b.llmz"):
        with pytest.raises((LookupError, ValueError)):
            llmzip.open(tmp_path / name, "wt", level=1, **wrong)
    assert (tmp_path / "a.llmz").read_bytes() == b"kept" and not (tmp_path / "b.llmz").exists()


def test_no_file_is_made_for_a_model_that_is_missing(tmp_path):
    path = tmp_path / "a.llmz"
    with pytest.raises(llmzip.ModelError):
        llmzip.open(path, "wb", model=str(tmp_path / "missing.gguf"))
    with pytest.raises(ValueError, match="levels"):
        llmzip.open(path, "wb", level=11)
    with pytest.raises(TypeError):
        llmzip.open(path, "wb", codec=CODEC, level=1)
    assert not path.exists()


def test_names_and_modes(tmp_path):
    path = tmp_path / "a.llmz"
    for mode, shown in (("w", "wb"), ("a", "ab"), ("r", "rb")):
        with llmzip.open(path, mode, codec=CODEC) as file:
            assert (file.name, file.mode) == (str(path), shown)


def test_what_llmzip_is_stricter_in(tmp_path):
    for mode in ("", "rw", "br+", "wx", "t"):
        with pytest.raises(ValueError):
            open_llmzip(tmp_path / "a", mode)
    for step in (lambda: llmzip.decompress(None), lambda: llmzip.decompress("text"), lambda: llmzip.compress(None)):
        with pytest.raises(TypeError):
            step()
    with llmzip.open(io.BytesIO(), "w", codec=CODEC) as file:
        assert not file.seekable()
        for step in (file.readline, lambda: next(iter(file)), lambda: file.readinto(bytearray(1))):
            with pytest.raises(io.UnsupportedOperation):
                step()
    for step in (
        file.flush,
        file.readable,
        file.writable,
        file.seekable,
        file.fileno,
        file.__enter__,
        lambda: next(iter(file)),
    ):
        with pytest.raises(ValueError):
            step()


def test_the_module_shows_what_it_has():
    shown = [name for name in dir(llmzip) if not name.startswith("__")]
    assert {*shown, "__version__"} == set(llmzip.__all__)
    assert all(getattr(llmzip, name).__doc__ for name in shown)
    assert llmzip.open is not builtins.open


def test_a_file_far_away_is_read_in_few_pieces():
    class Far(io.BytesIO):
        reads = bytes_read = 0

        def read(self, size=-1):
            data = super().read(size)
            self.reads, self.bytes_read = self.reads + 1, self.bytes_read + len(data)
            return data

    noise = os.urandom(200_000)  # some fifty blocks
    far = Far(CODEC.compress(noise))
    file = llmzip.open(far, codec=CODEC)
    file.seek(150_000)
    assert file.read(10) == noise[150_000:150_010]
    assert far.bytes_read < 3 * SMALLEST_BLOCK, "the index, and one block"


def test_all_ways_of_compressing_make_the_same_bytes():
    sink, compressor = io.BytesIO(), llmzip.Compressor(codec=CODEC)
    with llmzip.open(sink, "w", codec=CODEC) as file:
        for at in range(0, len(DATA), 1234):
            file.write(DATA[at : at + 1234])
    assert sink.getvalue() == compressor.compress(DATA) + compressor.flush() == CODEC.compress(DATA)


class Interrupted(Codec):
    """Is interrupted in the third block, once."""

    left = 3

    def decode_block(self, *args, **given):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return super().decode_block(*args, **given)


def test_an_interruption_is_not_taken_for_the_end():
    packed = CODEC.compress(DATA)
    for make, after in ((io.BytesIO, None), (Pipe, llmzip.LlmzipError)):
        file, found = llmzip.open(make(packed), codec=Interrupted(level=1, threads=1)), b""
        with pytest.raises(KeyboardInterrupt):
            while True:
                found += file.read1()
        if after:
            for _ in range(2):
                with pytest.raises(after, match="interrupted"):
                    file.read()
        else:
            assert found + file.read() == DATA


def test_other_modules_take_it_for_a_file(tmp_path):
    path = tmp_path / "a.tar.llmz"
    with llmzip.open(path, "w", codec=CODEC) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("one", "two", "three"):
            info = tarfile.TarInfo(name)
            info.size = len(DATA)
            archive.addfile(info, io.BytesIO(DATA))
    with llmzip.open(path, codec=CODEC) as packed, tarfile.open(fileobj=packed) as archive:
        assert archive.getnames() == ["one", "two", "three"]
        assert archive.extractfile("three").read() == archive.extractfile("one").read() == DATA
    with llmzip.open(tmp_path / "b.llmz", "w", codec=CODEC) as file:
        pickle.dump({"data": DATA}, file)
    with llmzip.open(tmp_path / "b.llmz", codec=CODEC) as file:
        assert pickle.load(file) == {"data": DATA}


@pytest.mark.parametrize("threads", [1, 2])
def test_a_program_that_ends_completes_its_files(threads, tmp_path):
    code = """if True:
        import sys, llmzip
        options = {"level": 1, "block_size": 4096, "threads": int(sys.argv[2])}
        held = llmzip.open(sys.argv[1] + "/a", "w", **options), llmzip.open(sys.argv[1] + "/b", "wt", **options)
        held[0].write(b"the harbour and the ships, " * 400)
        held[1].write("text in the wrapper")
    """
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), str(threads)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert llmzip.open(tmp_path / "a").read() == b"the harbour and the ships, " * 400
    assert llmzip.open(tmp_path / "b").read() == b"text in the wrapper"


@pytest.mark.parametrize(
    "last", ["", "import atexit; atexit.register(file.close)"], ids=["left open", "closed at exit"]
)
def test_with_the_network_too(last, tmp_path):
    """Where no thread can begin any more, one does all the work, and what needs threads is not loaded."""
    code = f"""if True:
        import sys, llmzip
        from llmzip.codec import choice, policy
        from llmzip.model import threads
        choice.usable_cores = threads.usable_cores = lambda: 4
        policy._LONG = 100
        file = llmzip.open(sys.argv[1] + "/a", "w", streams=2)
        file.write(open(sys.argv[2], "rb").read(5000))
        {last}
    """
    text = Path(__file__).parent.parent / "corpora" / "field-notes.txt"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), str(text)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert llmzip.open(tmp_path / "a").read() == text.read_bytes()[:5000]


def test_who_reads_all_after_a_place_still_has_the_whole_verified():
    one, other = CODEC.compress(b"one " * 2000), CODEC.compress(b"two " * 2000)
    (first,), (second,) = read_index(io.BytesIO(one)), read_index(io.BytesIO(other))
    at, size = first.blocks[1].offset, first.blocks[1].stored_length
    assert (second.blocks[1].offset, second.blocks[1].stored_length) == (at, size)
    mixed = one[:at] + other[at : at + size] + one[at + size :]  # every block is whole, the file is not
    file = llmzip.open(io.BytesIO(mixed), codec=CODEC)
    file.seek(5000)
    assert file.read(4) == b"two "
    file.seek(0)
    with pytest.raises(llmzip.CorruptError, match="digest"):
        file.read()
