"""Kills, full disks, failing reads and writes, and sources that change: what must hold afterwards (`tools/torture.py`, `test_torture.py`).

The target is absent or complete, the source is there unless the target is complete, an older target is untouched unless it was to be
replaced, and the next run leaves no litter.
"""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cli_standin import StandIn, command

ROOT = Path(__file__).parent.parent
TEXT = b"".join(b"line %d of a text that is kept\n" % i for i in range(3000))
BLOCK = 1 << 14

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* FAULT_CALL: the call that fails; FAULT_AT: the how manyeth on a file below FAULT_DIR; FAULT_ERROR: errno, or 0 for short ones:
 * from then on reads and writes do at most 7 bytes. */
static int here(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    const char *folder = getenv("FAULT_DIR");
    if (n <= 0 || !folder) return 0;
    path[n] = 0;
    return !strncmp(path, folder, strlen(folder));
}

static int due(const char *call, int inside) {
    static int count;
    const char *wanted = getenv("FAULT_CALL"), *at = getenv("FAULT_AT");
    if (!inside || !wanted || !at || strcmp(wanted, call)) return 0;
    count++;
    return atoi(getenv("FAULT_ERROR")) ? count == atoi(at) : count >= atoi(at);
}

#define FAIL(call, inside)                                                                                                      \
    if (due(call, inside)) {                                                                                                    \
        int error = atoi(getenv("FAULT_ERROR"));                                                                                \
        if (error) {                                                                                                            \
            errno = error;                                                                                                      \
            return -1;                                                                                                          \
        }                                                                                                                       \
        size = size > 7 ? 7 : size;                                                                                             \
    }

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

ssize_t write(int fd, const void *data, size_t size) {
    FAIL("write", here(fd))
    return REAL(ssize_t, "write", int, const void *, size_t)(fd, data, size);
}
ssize_t read(int fd, void *data, size_t size) {
    FAIL("read", here(fd))
    return REAL(ssize_t, "read", int, void *, size_t)(fd, data, size);
}
int fsync(int fd) {
    size_t size = 0;
    FAIL("fsync", here(fd))
    (void)size;
    return REAL(int, "fsync", int)(fd);
}
int linkat(int a, const char *from, int b, const char *to, int flags) {
    size_t size = 0;
    FAIL("link", 1)
    (void)size;
    return REAL(int, "linkat", int, const char *, int, const char *, int)(a, from, b, to, flags);
}
int link(const char *from, const char *to) {
    size_t size = 0;
    FAIL("link", 1)
    (void)size;
    return REAL(int, "link", const char *, const char *)(from, to);
}
int rename(const char *from, const char *to) {
    size_t size = 0;
    FAIL("rename", 1)
    (void)size;
    return REAL(int, "rename", const char *, const char *)(from, to);
}
int close(int fd) {
    size_t size = 0;
    int inside = here(fd);
    int result = REAL(int, "close", int)(fd);
    FAIL("close", inside)
    (void)size;
    return result;
}
"""


class Broken(AssertionError):
    """Something that must hold does not."""


def require(holds: bool, what: str, folder: Path) -> None:
    """Raises Broken."""
    if not holds:
        raise Broken(f"{what}: {sorted(os.listdir(folder))}")


class Scene:
    """A folder with a text `a`, its compressed form `p.llmz`, and an older target `old`; `restore` makes it so again."""

    def __init__(self, folder: Path, text: bytes = TEXT, packed: bytes | None = None) -> None:
        self.folder, self.text = folder, text
        if packed is None:
            subprocess.run(
                command("-", "-c", block_size=BLOCK), input=text, stdout=(folder / "p.llmz").open("wb"), check=True
            )
            packed = (folder / "p.llmz").read_bytes()
        self.packed = packed
        self.restore()

    def restore(self) -> None:
        """Put everything back."""
        for path in self.folder.iterdir():
            path.unlink()
        (self.folder / "a").write_bytes(self.text)
        (self.folder / "p.llmz").write_bytes(self.packed)
        (self.folder / "old").write_bytes(b"older content")

    def check(self, arguments: list[str], status: int | None, *, swept: bool = False) -> str:
        """Whatever was interrupted, this holds; in which state it was. status: None for killed."""
        folder = self.folder
        compressing = "-d" not in arguments
        source, content = ("a", self.text) if compressing else ("p.llmz", self.packed)
        target = arguments[arguments.index("-o") + 1] if "-o" in arguments else "a.llmz" if compressing else "p"
        names = set(os.listdir(folder))
        litter = {name for name in names if name.startswith(".llmzip-")}
        unknown = names - {"a", "p.llmz", "old", target, *litter}
        require(not unknown, f"unknown files {unknown}", folder)
        complete = target in names and self._complete(target, compressing)
        if target == "old":
            require(
                complete or (folder / "old").read_bytes() == b"older content", "the older target is damaged", folder
            )
        else:
            require(complete or target not in names, "the target is incomplete", folder)
            require((folder / "old").read_bytes() == b"older content", "another file was touched", folder)
        if source in names:
            require((folder / source).read_bytes() == content, "the source was changed", folder)
        else:
            require(complete and "--rm" in arguments, "the source is lost", folder)
        if status is not None:
            require(not litter, f"litter after status {status}", folder)
            require(status != 0 or complete, "status 0 without a target", folder)
        if swept:
            require(not litter, "litter after the next run", folder)
        return "done" if complete else "not begun" if not litter else "begun"

    def _complete(self, target: str, compressing: bool) -> bool:
        found = (self.folder / target).read_bytes()
        if not compressing:
            return found == self.text
        return found == self.packed or (len(found) > 20 and self._restores(found))

    def _restores(self, found: bytes) -> bool:
        from llmzip.codec import Codec
        from llmzip.errors import LlmzipError

        try:
            return Codec().decompress(found) == self.text
        except LlmzipError:
            return False

    def age(self) -> None:
        """As if what was left had been left long ago."""
        for path in self.folder.glob(".llmzip-*"):
            os.utime(path, (0, 0))


WAYS = (
    ["a"],
    ["--rm", "a"],
    ["-f", "-o", "old", "a"],
    ["-d", "p.llmz"],
    ["-d", "--rm", "p.llmz"],
    ["-d", "-f", "-o", "old", "p.llmz"],
)


def forked(folder: Path, arguments: list[str], make: Callable[[], object] | None, nowhere: int) -> int:
    """The command in a child of this process, so that it begins at once; its process id."""
    child = os.fork()
    if child:
        return child
    try:
        os.chdir(folder)
        os.dup2(nowhere, 2)
        from llmzip import atomic
        from llmzip.cli import main, run

        atomic._swept.clear()
        if make:
            run.make_codec = lambda options: make()  # type: ignore[assignment, return-value]
        main.main(["-q", *arguments])
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)
    finally:
        os._exit(99)
    raise AssertionError


def kills(folder: Path, count: int, chance: random.Random, *, real: bool = False) -> Counter[str]:
    """Kill the command so many times at random moments of its run, with SIGKILL; in which state it was each time."""
    if real:
        from llmzip.codec import Codec

        text = TEXT[:1500]
        scene, make = Scene(folder, text, Codec(threads=1).compress(text)), None
    else:
        scene = Scene(folder)
        make = lambda: StandIn(block_size=BLOCK, delay=0.002)  # noqa: E731
    states: Counter[str] = Counter()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    durations: dict[str, float] = {}
    number = done = 0
    while done < count:
        arguments = WAYS[number % len(WAYS)]
        number += 1
        key = " ".join(arguments)
        if key not in durations:
            began = time.monotonic()
            _, status = os.waitpid(forked(folder, arguments, make, nowhere), 0)
            durations[key] = time.monotonic() - began
            require(status == 0, f"{key} fails by itself with {status}", folder)
            scene.check(arguments, 0)
            scene.restore()
        child = forked(folder, arguments, make, nowhere)
        time.sleep(chance.uniform(0, 1.1 * durations[key]))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        done += killed
        if not killed:
            durations[key] *= 0.9  # it was measured when the machine was busier
        states[
            scene.check(arguments, None if killed else os.waitstatus_to_exitcode(status))
            + ("" if killed else ", in time")
        ] += 1
        # The next run, some other one, clears away what was left.
        scene.age()
        for name in ("a.llmz", "p"):
            (folder / name).unlink(missing_ok=True)
        (folder / "a").write_bytes(scene.text)
        os.waitpid(forked(folder, ["a"], make, nowhere), 0)
        require(not list(folder.glob(".llmzip-*")), "litter after the next run", folder)
        scene.restore()
    os.close(nowhere)
    return states


def shim(folder: Path) -> Path:
    """The library that makes calls fail, compiled."""
    source, library = folder / "shim.c", folder / "shim.so"
    source.write_text(SHIM)
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-w", "-o", library, source, "-ldl"], check=True)
    return library


def faults(
    folder: Path, library: Path, calls: dict[str, tuple[int, ...]], most: int, ways: Iterator[list[str]] | None = None
) -> Counter[str]:
    """Let each call fail in turn, the first, the second and so on; outcomes. calls: errors for each call, 0 for short ones."""
    scene = Scene(folder, TEXT[:40_000])
    outcomes: Counter[str] = Counter()
    for arguments in ways or WAYS:
        for call, errors in calls.items():
            for error in errors:
                for at in range(1, most + 1):
                    environment = os.environ | {
                        "LD_PRELOAD": str(library),
                        "FAULT_DIR": str(folder),
                        "FAULT_CALL": call,
                        "FAULT_AT": str(at),
                        "FAULT_ERROR": str(error),
                        "PYTHONPATH": str(ROOT),
                        "PYTHONDONTWRITEBYTECODE": "1",
                    }
                    done = subprocess.run(
                        command(*arguments, block_size=BLOCK),
                        cwd=folder,
                        env=environment,
                        capture_output=True,
                        timeout=120,
                    )
                    scene.check(arguments, done.returncode)
                    lines = done.stderr.decode().splitlines()
                    require(len(lines) == (done.returncode != 0), f"{call} {at}: says {lines}", folder)
                    require(error != 0 or done.returncode == 0, f"short {call} from {at} on: {lines}", folder)
                    name = errno.errorcode.get(error, "short")
                    outcomes[f"{call} {name}: {'refused' if done.returncode else 'done'}"] += 1
                    scene.restore()
                    if done.returncode == 0 and error:
                        break  # it is not called so often
    return outcomes


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of so many bytes. Raises OSError where it cannot be mounted."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
    if done.returncode:
        raise OSError(done.stderr.decode())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def full_disks(folder: Path, steps: int) -> Counter[str]:
    """Leave less and less room, from all that is needed to none."""
    outcomes: Counter[str] = Counter()
    with small_disk(folder / "disk", 8 << 20) as disk:
        scene = Scene(disk)
        page = 4096
        for arguments in WAYS:
            needed = len(scene.packed if "-d" not in arguments else scene.text)
            for step in range(steps + 1):
                scene.restore()
                status = os.statvfs(disk)
                room = (needed * step // steps + 2 * page * (step == steps)) // page * page
                with open(disk / "filler", "wb") as filler:
                    filler.write(bytes(max(0, status.f_bavail * status.f_frsize - room)))
                done = subprocess.run(
                    command(*arguments, block_size=BLOCK),
                    cwd=disk,
                    capture_output=True,
                    timeout=60,
                    env=os.environ | {"PYTHONPATH": str(ROOT)},
                )
                os.unlink(disk / "filler")
                scene.check(arguments, done.returncode)
                lines = done.stderr.decode().splitlines()
                require(len(lines) == (done.returncode != 0), f"says {lines}", disk)
                require(done.returncode == 0 or "No space left" in lines[0], f"says {lines}", disk)
                require(step != steps or done.returncode == 0, f"fails with room: {lines}", disk)
                outcomes["refused" if done.returncode else "done"] += 1
    return outcomes


CHANGES: dict[str, Callable[[Path], None]] = {
    "appended": lambda path: path.open("ab").write(b"more") and None,
    "cut": lambda path: os.truncate(path, 1000),
    "replaced": lambda path: os.replace(_another(path), path),
    "rewritten": lambda path: path.write_bytes(path.read_bytes()[::-1]) and None,
    "removed": lambda path: path.unlink(),
}


def _another(path: Path) -> Path:
    other = path.with_name("other")
    other.write_bytes(b"another file\n" * 999)
    return other


def changing_sources(folder: Path) -> Counter[str]:
    """Change the source in the middle of a run with --rm: it must not be removed then."""
    outcomes: Counter[str] = Counter()
    for change, how in CHANGES.items():
        for arguments in (["--rm", "a"], ["-d", "--rm", "p.llmz"]):
            scene = Scene(folder)
            source = folder / arguments[-1]
            ready = folder.parent / "ready"
            ready.unlink(missing_ok=True)
            settings = {"block_size": BLOCK, "delay": 0.05, "ready": str(ready)}
            process = subprocess.Popen(
                [sys.executable, str(ROOT / "tests" / "cli_standin.py"), json.dumps(settings), *arguments],
                cwd=folder,
                stderr=subprocess.PIPE,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
            while not ready.exists():
                time.sleep(0.005)
            how(source)
            changed = source.read_bytes() if source.exists() else None
            words = process.communicate(timeout=60)[1].decode().splitlines()
            require(process.returncode != 0 and len(words) == 1, f"{change}: {process.returncode}, {words}", folder)
            require(
                (source.read_bytes() if source.exists() else None) == changed,
                f"{change}: the source was touched",
                folder,
            )
            require(not list(folder.glob(".llmzip-*")), f"{change}: litter", folder)
            outcomes[f"{change}: kept"] += 1
            for path in folder.iterdir():
                path.unlink()
            scene.restore()
    return outcomes


def tidy(folder: Path) -> None:
    """Remove a folder."""
    shutil.rmtree(folder, ignore_errors=True)
