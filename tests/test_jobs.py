"""Worker processes: the same files, errors in their place, nothing left behind by signals and dying workers."""

from __future__ import annotations

import array
import fcntl
import io
import os
import signal
import subprocess
import sys
import termios
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import FakeModel

from llmzip.cli import main
from llmzip.cli.jobs import processes, side_by_side, threads_each
from llmzip.cli.options import Options
from llmzip.codec.codec import Codec
from llmzip.codec.crew import Crew, CrewCodec
from llmzip.codec.settings import Settings
from llmzip.errors import CorruptError, LlmzipError, LlmzipWarning, UsageError
from llmzip.model.threads import usable_cores

TEXT = b"".join(b"%d the harbour and the sea\n" % number for number in range(500))
LIMIT = 60
ROOT = Path(__file__).parent.parent


@pytest.fixture(params=["table", "network"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Codec, CrewCodec]]:
    """A codec, and one with two processes, of the same settings; with a network it is a fake one."""
    network = {"model": FakeModel(), "mix": False} if request.param == "network" else {"level": 1}
    settings = Settings(block_size=4096, **network)
    crew = CrewCodec(2, lambda: Codec(settings=settings), settings)
    yield Codec(settings=settings), crew
    crew.close()


def test_the_same_bytes_both_ways(pair: tuple[Codec, CrewCodec]) -> None:
    alone, crew = pair
    packed = alone.compress(TEXT)
    done: list[int] = []
    sink = io.BytesIO()
    summary = crew.compress_stream(io.BytesIO(TEXT), sink, done.append)
    assert sink.getvalue() == packed == crew.compress(TEXT)
    assert (sum(done), summary.blocks, summary.original, summary.compressed) == (
        len(TEXT),
        -(-len(TEXT) // 4096),
        len(TEXT),
        len(packed),
    )
    assert crew.decompress(packed) == alone.decompress(packed) == TEXT
    assert crew.compress(b"") == alone.compress(b"")
    assert crew.choice.idle


def test_several_threads(pair: tuple[Codec, CrewCodec]) -> None:
    crew = pair[1]
    texts = [TEXT[start : start + 9000] for start in range(0, 9000, 3000)]
    found: dict[int, bytes] = {}
    threads = [
        threading.Thread(target=lambda at=at: found.update({at: crew.decompress(crew.compress(texts[at]))}))
        for at in range(len(texts))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert [found[at] for at in range(len(texts))] == texts


def test_damage_is_told_and_the_crew_goes_on(pair: tuple[Codec, CrewCodec]) -> None:
    alone, crew = pair
    packed = alone.compress(TEXT)
    bad = bytearray(packed)
    bad[len(bad) // 2] ^= 1
    with pytest.raises(CorruptError) as expected:
        alone.decompress(bytes(bad))
    for _ in range(2):
        with pytest.raises(CorruptError) as found:
            crew.decompress(bytes(bad))
        assert str(found.value) == str(expected.value)
    assert crew.decompress(packed) == TEXT


class _Strange:
    """In place of a codec: does what is said."""

    def __init__(self) -> None:
        self.settings = Settings()

    def member_header(self) -> Any:
        warnings.warn("something to know", LlmzipWarning, stacklevel=2)
        return os.getpid()

    def block_coder(self) -> Any:
        return self

    def code(self, what: str, report: Any) -> Any:
        if what == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "bug":
            raise ZeroDivisionError("a bug")
        if what == "end":
            raise EOFError("not of the connection")
        for share in range(10_000):
            report(share / 10_000)
            time.sleep(0.01)


def test_faults_of_workers() -> None:
    crew = Crew(2, _Strange)  # type: ignore[arg-type]
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")  # the worker was made before, and has the filters of then
            first = crew.call("header")
        assert first != os.getpid() and [str(warning.message) for warning in told] == ["something to know"]
        with pytest.raises(LlmzipError, match="internal error in a worker, ZeroDivisionError: a bug"):
            crew.call("code", "bug")
        with pytest.raises(LlmzipError, match="internal error in a worker, EOFError"):
            crew.call("code", "end")

        class Enough(Exception):
            pass

        def enough(share: float) -> None:
            raise Enough

        for _ in range(3):  # a block that is given up frees its worker at once
            with pytest.raises(Enough):
                crew.call("code", "long", report=enough)
        with pytest.raises(LlmzipError, match="SIGKILL: too little memory"):
            crew.call("code", "die")
        assert crew.call("header") > 0
        with pytest.raises(LlmzipError, match="SIGKILL"):
            crew.call("code", "die")
        with pytest.raises(LlmzipError, match="all worker processes have ended"):
            crew.call("header")
    finally:
        crew.close()


SLOW_END = """
import multiprocessing.util, time
from llmzip.cli import signals
from llmzip.codec.crew import Crew
class Slow:
    def __init__(self):
        multiprocessing.util.Finalize(None, time.sleep, (0.3,), exitpriority=1)
    def member_header(self):
        return 1
signals.raise_on_signals()
crew = Crew(1, Slow)
crew.call("header")
crew.close()
"""


def test_workers_that_take_their_time_to_end_say_nothing() -> None:
    """On a busy machine."""
    done = subprocess.run([sys.executable, "-c", SLOW_END], cwd=ROOT, capture_output=True, timeout=LIMIT)
    assert (done.returncode, done.stderr) == (0, b"")


class _Deaf:
    """A process in native code, and the clock by which it is waited for."""

    def __init__(self) -> None:
        self.now, self.killed = 100.0, 0

    def terminate(self) -> None:
        pass

    def join(self, seconds: float | None = None) -> None:
        self.now += seconds or 0.0

    def is_alive(self) -> bool:
        return True

    def kill(self) -> None:
        self.killed += 1


def test_workers_that_hear_nothing_are_waited_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = _Deaf()
    monkeypatch.setattr("llmzip.codec.crew.time.monotonic", lambda: deaf.now)
    crew = Crew(0, _Strange)  # type: ignore[arg-type]
    crew._workers = [SimpleNamespace(process=deaf)] * 16  # type: ignore[list-item]
    crew.close()
    assert deaf.killed == 16 and deaf.now == 102


def test_processes_and_threads_are_bounded_together() -> None:
    cores = usable_cores()
    for jobs, threads in ((1, 0), (0, 0), (3, 1), (4096, 0), (2, 4096), (0, 1)):
        options = Options(jobs=jobs, threads=threads)
        count = processes(options)
        most = min(threads, cores) or cores
        assert 1 <= count <= most and count * threads_each(options, count) <= most
        assert jobs == 0 or count <= jobs


def test_side_by_side() -> None:
    seen: list[str] = []
    told: dict[int, str] = {}

    def action(file: str) -> None:
        seen.append(file)
        if file == "b":
            raise UsageError(file)

    def done(number: int, file: str, error: BaseException | None) -> bool:
        told[number] = f"{file} {error}"
        return True

    side_by_side("abcd", action, done, lambda: None, 2)
    assert sorted(seen) == list("abcd") and told == {0: "a None", 1: "b b", 2: "c None", 3: "d None"}
    seen.clear()
    side_by_side("abcd", action, lambda *end: end[2] is None, lambda: None, 1)
    assert seen == ["a", "b"]


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any) -> Any:
    """Runs the command with two processes, whatever the machine has."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("llmzip.cli.jobs.usable_cores", lambda: 2)
    for number in range(5):
        Path(f"f{number}").write_bytes(TEXT[: 3000 * number])

    def call(*arguments: str) -> SimpleNamespace:
        code = main._execute(["-1", "--block-size", "4K", *arguments])
        out, err = capfdbinary.readouterr()
        return SimpleNamespace(code=code, out=out, lines=err.decode().splitlines())

    return call


def test_files_side_by_side(tool: Any) -> None:
    names = [f"f{number}" for number in range(5)]
    expected = {name: tool("-c", name).out for name in names}
    assert tool("--jobs", "2", *names).code == 0
    assert {name: Path(f"{name}.llmz").read_bytes() for name in names} == expected
    joined = tool("-c", "-j2", *names)
    assert (joined.code, joined.out, joined.lines) == (0, b"".join(expected.values()), [])
    packed = [f"{name}.llmz" for name in names]
    assert tool("-t", "-j2", *packed).code == 0
    assert tool("-d", "-j2", "-c", *packed).out == b"".join(Path(name).read_bytes() for name in names)
    assert tool("-d", "-j2", "-f", "--rm", *packed).code == 0 and sorted(os.listdir()) == names


def test_a_failure_is_of_one_file(tool: Any) -> None:
    assert tool("f1", "f2", "f3", "f4").code == 0
    bad = bytearray(Path("f2.llmz").read_bytes())
    bad[len(bad) // 2] ^= 1
    Path("f2.llmz").write_bytes(bad)
    for order in (["f1.llmz", "f2.llmz", "missing.llmz", "f4.llmz"], ["missing.llmz", "f2.llmz", "f4.llmz"]):
        result = tool("-d", "-f", "-j2", *order)
        # Of several errors that of the first file, in the order of the files, decides.
        assert result.code == (3 if order[0] == "f1.llmz" else 1)
        assert len(result.lines) == 3 and result.lines[-1] == f"llmzip: 2 of {len(order)} files failed"
        assert Path("f4").read_bytes() == TEXT[:12000] and not [name for name in os.listdir() if name.endswith(".tmp")]
    result = tool("-d", "-c", "-j2", "f1.llmz", "f2.llmz", "f3.llmz")
    assert result.code == 3 and (TEXT[:3000] + TEXT[:6000]).startswith(result.out)


TWO_CORES = "import llmzip.cli.jobs; llmzip.cli.jobs.usable_cores = lambda: 2; from llmzip.cli.main import main; main()"


def _workers(parent: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True).stdout.split()
    return [int(word) for word in listed]


def _running(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("stdout", [False, True])
def test_signals_end_all(tmp_path: Path, number: int, stdout: bool) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(TEXT * 300)
    command = [sys.executable, "-c", TWO_CORES, "-1", "-j2", *(["-c"] if stdout else []), "a", "b"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    deadline = time.monotonic() + LIMIT
    while len(workers := _workers(process.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    assert len(workers) == 2 and process.poll() is None
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    words = process.communicate(timeout=LIMIT)[1]
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number) and words == b""
    deadline = time.monotonic() + LIMIT
    while any(map(_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_running, workers))
    if number != signal.SIGKILL:
        assert sorted(os.listdir(tmp_path)) == ["a", "b"]


@pytest.mark.parametrize("file", ["-", "pipe"])
def test_signals_end_what_waits_for_a_pipe(tmp_path: Path, file: str) -> None:
    """Nobody may ever write to it again."""
    os.mkfifo(tmp_path / "pipe")
    process = subprocess.Popen(
        [sys.executable, "-c", TWO_CORES, "-1", "-j2", "-c", file],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stdin
    with process.stdin if file == "-" else open(tmp_path / "pipe", "wb") as sink:
        sink.write(b"the harbour")
        sink.flush()
        while array.array("i", fcntl.ioctl(sink, termios.FIONREAD, bytes(4)))[0]:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(LIMIT) == 143
        finally:
            process.kill()
    assert process.stderr and process.stderr.read() == b""
