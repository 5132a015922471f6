"""The Dask cluster that does the work: one that is there, or workers of this machine."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from llmzip.errors import LlmzipError
from llmzip.lake import work
from llmzip.lake.work import Way
from llmzip.model.threads import usable_cores

if TYPE_CHECKING:
    from distributed import Client

PATIENCE = 120.0
"""Seconds that a scheduler may be away before a run is given up."""

_FIRST = 10.0  # seconds to find a scheduler, or a first worker
_LOUD = ("distributed", "tornado", "asyncio", "bokeh")


class Cluster:
    """A client of a scheduler, which is found again when it was restarted. Raises `LlmzipError` where there is none."""

    def __init__(self, scheduler: str | None = None, workers: int = 0, client: Client | None = None) -> None:
        try:
            import distributed
        except ImportError:
            raise LlmzipError("the lake needs Dask: pip install 'llmzip[dask]'") from None
        # What matters of that, we say ourselves. Some of those below have levels of their own.
        below = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in _LOUD]
        for name in (*_LOUD, *below):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._distributed, self._address, self._given = distributed, scheduler, client
        self._local: Any = None
        if client is None and scheduler is None:
            self._local = distributed.LocalCluster(
                n_workers=workers or usable_cores(),
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",
                silence_logs=50,
            )
        self.client: Client = client or self._connect(_FIRST)
        if self._local:
            self.client.run(_deaf, on_error="ignore")

    def _connect(self, seconds: float) -> Client:
        try:
            return self._distributed.Client(self._local or self._address, timeout=seconds, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise LlmzipError(
                f"no scheduler answers at {self._address}: {' '.join(str(error).split())[:200]}"
            ) from None

    @property
    def dashboard(self) -> str:
        """Address of Dask's own pages; empty where there are none."""
        try:
            import bokeh  # noqa: F401
        except ImportError:
            return ""
        return str(self.client.dashboard_link or "")

    def threads(self) -> int:
        """Tasks that can run at once, at least one."""
        try:
            return max(1, sum(map(int, self.client.nthreads().values())))
        except (OSError, TimeoutError, RuntimeError, AttributeError):
            return 1

    def prepare(self, way: Way) -> None:
        """Make sure that there are workers and that each has this llmzip and the model.

        Raises `LlmzipError` with the first worker's reason, ModelError where it is the model.
        """
        try:
            self.client.wait_for_workers(1, timeout=_FIRST)
        except TimeoutError:
            raise LlmzipError(f"the scheduler at {self._address} has no workers") from None
        for address, answer in self.client.run(_answer, way, on_error="return").items():
            if isinstance(answer, LlmzipError):
                raise type(answer)(f"worker {address}: {answer}")
            if isinstance(answer, BaseException):
                raise LlmzipError(
                    f"worker {address} cannot work: {type(answer).__name__}: {' '.join(str(answer).split())[:200]}; "
                    f"it needs llmzip {way.version} and what Python finds here"
                )

    def find_again(self) -> None:
        """Wait for a scheduler that has gone to come back. Raises `LlmzipError` if it stays away."""
        if self._given is not None or self._local is not None:
            raise LlmzipError("the cluster has gone; what was done is in the manifest: run it again to go on")
        began = time.monotonic()
        while True:
            try:
                self.client.close(timeout=1)
            except Exception:  # of a client that is half gone: another takes its place
                pass
            try:
                self.client = self._connect(5.0)
                return
            except LlmzipError as error:
                if time.monotonic() - began > PATIENCE:
                    raise LlmzipError(f"{error}; what was done is in the manifest: run it again to go on") from None
                time.sleep(1.0)

    def close(self) -> None:
        """Let go of the client, and end workers that were started for it."""
        if self._given is None:
            self.client.close(timeout=5)
        if self._local is not None:
            self._local.close(timeout=5)


def _deaf() -> None:
    """Ctrl-C is not for this process: a terminal tells it to all of them, and the first one decides."""
    with suppress(ValueError):  # a worker that is a thread of another process
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _answer(way: Way) -> str:
    return work.prepare(way)


@contextmanager
def cluster(scheduler: str | None, workers: int, client: Client | None) -> Iterator[Cluster]:
    """A cluster for the time of a with statement."""
    held = Cluster(scheduler, workers, client)
    try:
        yield held
    finally:
        held.close()
