"""The lake on a real cluster of processes and a real object store: workers die, the scheduler goes away, stores refuse.

LLMZIP_LAKE_FILES, LLMZIP_LAKE_UP_TO (bytes of the largest of them) and LLMZIP_LAKE_BIG (bytes of one large file) make it
larger: 1000, 200000 and 20000000 were tried.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmzip import Codec
from llmzip.errors import LlmzipError
from llmzip.lake import Corpus, cluster, compress, decompress, verify
from llmzip.lake.places import HIDDEN

distributed = pytest.importorskip("distributed")
pytest.importorskip("s3fs")
moto_server = pytest.importorskip("moto.server")

FILES = int(os.environ.get("LLMZIP_LAKE_FILES", 30))
UP_TO = int(os.environ.get("LLMZIP_LAKE_UP_TO", 20_000))
BIG = int(os.environ.get("LLMZIP_LAKE_BIG", 400_000))
SETTINGS = {"level": 1, "block_size": max(1 << 16, BIG // 64)}
ROOT = Path(__file__).parent.parent


def text(seed: int, size: int) -> bytes:
    """Made-up prose with some numbers."""
    draw = random.Random(seed)
    words = [
        "the",
        "harbour",
        "of",
        "a",
        "town",
        "and",
        "its",
        "ships",
        "by",
        "night",
        "under",
        "old",
        "stars",
        "17",
        "408",
    ]
    return " ".join(draw.choices(words, k=size // 4 + 1)).encode()[:size]


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, object]]:
    """Storage options of an object store on this machine."""
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {"key": "k", "secret": "s", "endpoint_url": f"http://{host}:{port}", "use_listings_cache": False}
    server.stop()


@pytest.fixture(scope="module")
def originals() -> dict[str, bytes]:
    draw = random.Random(5)
    made = {
        f"2023/{number % 7}/file-{number:04}.txt": text(number, draw.randint(1_000, UP_TO)) for number in range(FILES)
    }
    return made | {"big.txt": text(-1, BIG)}


@pytest.fixture(scope="module")
def bucket(s3, originals) -> str:
    import s3fs

    fs = s3fs.S3FileSystem(**s3)
    for name in ("lake", "other"):
        fs.mkdir(name)
    fs.pipe({f"lake/in/{name}": data for name, data in originals.items()})
    return "s3://lake"


class Scheduler:
    """A scheduler and two workers, as their own processes; `workers` are brought back whenever they end, as a supervisor does."""

    def __init__(self, folder: Path) -> None:
        self._environment = os.environ | {"PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "10s"}
        self._folder, self._port = folder, free_port()
        self.address = f"tcp://127.0.0.1:{self._port}"
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", str(self._port), "--no-dashboard")
        self.workers: list[subprocess.Popen[bytes]] = []
        self._running = True
        self._keeper = threading.Thread(target=self._keep)
        self._keeper.start()

    def _start(self, kind: str, *arguments: str) -> subprocess.Popen[bytes]:
        log = open(self._folder / f"{kind}.log", "ab")
        command = [sys.executable, "-m", "distributed.cli.dask_" + kind, *arguments]
        return subprocess.Popen(command, env=self._environment, stdout=log, stderr=log, cwd=self._folder)

    def _keep(self) -> None:
        while self._running:
            self.workers = [worker for worker in self.workers if worker.poll() is None]
            while len(self.workers) < 2:
                self.workers.append(
                    self._start(
                        "worker",
                        self.address,
                        "--no-nanny",
                        "--nthreads",
                        "1",
                        "--no-dashboard",
                        "--death-timeout",
                        "20",
                    )
                )
            time.sleep(0.2)

    def kill_a_worker(self) -> None:
        self.workers[0].kill()

    def restart(self) -> None:
        self.scheduler.send_signal(signal.SIGKILL)
        self.scheduler.wait()
        time.sleep(1)
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", str(self._port), "--no-dashboard")

    def close(self) -> None:
        self._running = False
        self._keeper.join()
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Scheduler]:
    held = Scheduler(tmp_path)
    yield held
    held.close()


def stored(s3, root: str) -> dict[str, bytes]:
    import s3fs

    fs = s3fs.S3FileSystem(**s3)
    found = fs.find(root)
    return {name.removeprefix(f"{root}/"): fs.cat_file(name) for name in found if HIDDEN not in name}


def lines(s3, root: str) -> list[str]:
    import s3fs

    fs = s3fs.S3FileSystem(**s3)
    segments = fs.find(f"{root}/{HIDDEN}/manifest")
    return [json.loads(line)["source"] for name in segments for line in fs.cat_file(name).splitlines()]


def test_workers_die_and_the_scheduler_comes_back(s3, bucket, originals, scheduler: Scheduler) -> None:
    often = max(1, FILES // 100)  # not all in the first seconds
    acts = {2 * often: scheduler.kill_a_worker, 4 * often: scheduler.restart, 7 * often: scheduler.kill_a_worker}
    seen = 0

    def heard(totals) -> None:
        nonlocal seen
        seen += 1
        if act := acts.pop(seen, None):
            act()

    totals = compress(
        Corpus(f"{bucket}/in", **s3),
        f"{bucket}/out",
        scheduler=scheduler.address,
        task_seconds=0.05 if FILES < 100 else 1.0,
        target_options=s3,
        heard=heard,
        **SETTINGS,
    )
    assert not totals.failures and not acts
    with Codec(**SETTINGS) as codec:
        expected = {f"{name}.llmz": codec.compress(data) for name, data in originals.items()}
    assert stored(s3, "lake/out") == expected
    assert {name.removeprefix("s3://lake/in/") for name in lines(s3, "lake/out")} == set(originals)
    again = compress(
        Corpus(f"{bucket}/in", **s3), f"{bucket}/out", scheduler=scheduler.address, target_options=s3, **SETTINGS
    )
    assert (again.files, again.known) == (0, len(originals))
    back = decompress(
        Corpus(f"{bucket}/out", **s3),
        "s3://other/back",
        scheduler=scheduler.address,
        task_seconds=1.0,
        target_options=s3,
    )
    assert not back.failures and stored(s3, "other/back") == originals


def test_what_stores_refuse(s3, bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    fs = s3fs.S3FileSystem(**s3)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as local:
        with distributed.Client(local, set_as_default=False) as client:
            with pytest.raises(LlmzipError, match="nosuchbucket"):
                compress(Corpus("s3://nosuchbucket/*.txt", **s3), str(tmp_path), client=client, **SETTINGS)
            for name in [name for name in os.environ if name.startswith("AWS_")]:
                monkeypatch.delenv(name)
            monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
            monkeypatch.setenv("HOME", str(tmp_path))
            with pytest.raises(LlmzipError, match="credentials"):
                compress(
                    Corpus("s3://lake/in", endpoint_url=s3["endpoint_url"]), str(tmp_path), client=client, **SETTINGS
                )
            fs.pipe_file("lake/one/a.txt", text(3, 2000))
            refused = compress(
                Corpus("s3://lake/one", **s3), "s3://nosuchbucket/out", client=client, target_options=s3, **SETTINGS
            )
            assert refused.files == 0 and "nosuchbucket" in refused.failures[0].reason
            packed = compress(
                Corpus("s3://lake/one", **s3), "s3://lake/packed", client=client, target_options=s3, **SETTINGS
            )
            assert packed.files == 1
            whole = fs.cat_file("lake/packed/a.txt.llmz")
            fs.pipe_file("lake/packed/a.txt.llmz", whole[:-3])
            cut = verify(Corpus("s3://lake/packed", **s3), client=client, manifest=None)
            assert [failure.code for failure in cut.failures] == [3]


def test_a_worker_whose_disk_is_full(s3, bucket) -> None:
    """The spool of an upload cannot be written: that file fails, nothing appears under its name, the others go on."""
    import resource

    import s3fs

    fs = s3fs.S3FileSystem(**s3)
    fs.pipe({"lake/two/small.txt": b"some words\n", "lake/two/large.bin": random.Random(1).randbytes(300_000)})
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, silence_logs=50) as local:
        with distributed.Client(local, set_as_default=False) as client:

            def limit() -> None:
                # As a full disk does, with EFBIG in place of ENOSPC.
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

            client.run(limit)
            totals = compress(
                Corpus("s3://lake/two", **s3), "s3://lake/twice", client=client, target_options=s3, **SETTINGS
            )
            assert totals.files == 1 and len(totals.failures) == 1
            assert "large.bin" in totals.failures[0].source and "large" in totals.failures[0].reason.lower()
    assert [name for name in fs.find("lake/twice") if HIDDEN not in name] == ["lake/twice/small.txt.llmz"]


def test_workers_of_this_machine_do_not_hear_the_terminal() -> None:
    """Ctrl-C is told to all processes of a terminal: they would print what they were at."""
    with cluster.cluster(None, 1, None) as held:
        (heard,) = held.client.run(lambda: signal.getsignal(signal.SIGINT)).values()
    assert heard == signal.SIG_IGN and signal.getsignal(signal.SIGINT) != signal.SIG_IGN
