"""Signals at the worst moments: never lost, never a traceback."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from llmzip.model import _log

ROOT = Path(__file__).parent.parent
PRELUDE = """
import ctypes, os, signal, sys, time
from llmzip.cli import main, signals
def interrupted():
    os.kill(os.getpid(), signal.{number})
    for _ in range(1000): pass  # where Python looks whether a signal came
def work():
{work}
    time.sleep(20)
    return 0
main.program.main = lambda *_, **options: work()
main.main([])
"""


def ended(work: str, number: str = "SIGINT") -> tuple[int, bytes]:
    """Status and stderr of the program when its work is this, and a signal comes where `interrupted` is called."""
    script = PRELUDE.format(number=number, work=textwrap.indent(textwrap.dedent(work), " " * 4))
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, timeout=60)
    return done.returncode, done.stderr


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_in_a_callback_from_c(number: str) -> None:
    """ctypes prints what a callback raises and goes on."""
    work = """
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(lambda a, b: interrupted() or 0)
    numbers = (ctypes.c_int * 2)(2, 1)
    ctypes.CDLL(None).qsort(numbers, 2, 4, compare)
    """
    assert ended(work, number) == (128 + getattr(signal, number), b"")


@pytest.mark.parametrize(
    "work",
    [
        "class Dying:\n    def __del__(self): interrupted()\nDying()",
        "import weakref\nclass Thing: pass\nthing = Thing()\nwatch = weakref.ref(thing, lambda _: interrupted())\ndel thing",
        "import gc\ngc.callbacks.append(lambda *_: gc.callbacks.clear() or interrupted())\ngc.collect()",
    ],
    ids=["destructor", "weak reference", "collector"],
)
def test_where_python_ignores_exceptions(work: str) -> None:
    assert ended(work) == (130, b"")


def test_raised_again_while_the_hook_runs() -> None:
    """However slow the machine, the second attempt waits until the hook is through."""
    work = """
    import builtins
    def slow(thing, kind):
        signals.isinstance = builtins.isinstance
        time.sleep(0.2)
        return isinstance(thing, kind)
    class Dying:
        def __del__(self):
            signals.isinstance = slow
            interrupted()
    Dying()
    """
    assert ended(work) == (130, b"")


@pytest.mark.parametrize(
    "work",
    [
        "class Field:\n    def __set_name__(self, *_): interrupted()\nclass Thing: field = Field()",
        "try: interrupted()\nexcept: pass",
        "try: interrupted()\nexcept BaseException as error: raise ValueError('something else') from error",
        "try: interrupted()\nexcept BaseException: pass\nreturn 0",
        "try: interrupted()\nexcept BaseException: pass\ntry: 1 / 0\nexcept ArithmeticError as first:\n    try: [][0]\n"
        "    except LookupError as second: raise first from second\n    finally: time.sleep(0.2)",
    ],
    ids=["while a class is made", "dropped", "changed", "dropped at the end", "errors in a circle"],
)
def test_where_others_make_something_else_of_it(work: str) -> None:
    assert ended(work) == (130, b"")
    assert ended(f"for _ in range(3):\n{textwrap.indent(work, '    ')}" if "return" not in work else work) == (130, b"")


def test_putting_in_order_takes_its_time() -> None:
    """What a signal ends is not interrupted while it cleans up, in `finally`, `except` or a generator that is closed."""
    work = """
    import contextlib
    def slowly(what):
        time.sleep(0.3)
        print(what, file=sys.stderr)
    def generator():
        try: yield
        finally: slowly("closed")
    @contextlib.contextmanager
    def manager():
        try: yield
        finally: slowly("left")
    def inner():
        started = generator()
        next(started)
        with manager():
            try: interrupted()
            except BaseException:
                slowly("seen")
                raise
    try: inner()
    finally: slowly("finished")
    """
    status, words = ended(work)
    assert status == 130 and sorted(words.split()) == [b"closed", b"finished", b"left", b"seen"]


@pytest.mark.parametrize("where", ["remove_leftovers", "signals.end_at_once"])
def test_a_signal_at_the_very_end(where: str) -> None:
    """No traceback, whatever the program is at."""
    work = f"""
    others = main.{where}
    def met():
        main.{where} = others
        interrupted()
        others()
    main.{where} = met
    return 7
    """
    status, words = ended(work)
    assert (status, words) == (130 if where == "remove_leftovers" else 7, b"")


def test_one_signal_is_enough() -> None:
    work = """
    try:
        interrupted()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): os.kill(os.getpid(), number)
        print("cleaned up", file=sys.stderr)
    """
    assert ended(work) == (130, b"cleaned up\n")


@pytest.mark.parametrize("together", [("SIGHUP", "SIGTERM"), ("SIGINT", "SIGTERM"), ("SIGHUP", "SIGINT", "SIGTERM")])
def test_signals_that_come_together(together: tuple[str, ...]) -> None:
    """A terminal that closes, or a machine that shuts down, sends several at once, perhaps while native code is at work."""
    script = PRELUDE.format(number="SIGINT", work=" " * 4 + "print(flush=True)")
    run = [sys.executable, "-c", script]
    with subprocess.Popen(run, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        for number in (signal.SIGSTOP, *(getattr(signal, name) for name in together), signal.SIGCONT):
            process.send_signal(number)
        words = process.communicate(timeout=60)[1]
    assert process.returncode in {128 + getattr(signal, name) for name in together} and words == b""


def test_blocks_in_native_code_are_not_waited_for() -> None:
    """It may take half a minute, and hears of no signal."""
    work = """
    from llmzip.codec.ahead import Ahead
    ahead = Ahead(2)
    try:
        for _ in range(2): ahead.put(lambda report: time.sleep(1000), lambda share: None)
        interrupted()
    finally:
        ahead.close()
    """
    assert ended(work) == (130, b"")


def test_a_block_in_native_code_is_not_waited_for() -> None:
    """Not even where it is the only one."""
    work = """
    import hashlib, threading
    from llmzip.container import classic
    classic.encode = lambda kind, data: hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    classic.smallest(b"the harbour and the sea, " * 20_000)
    """
    assert ended(work) == (130, b"")


def test_the_command_twice_in_one_process() -> None:
    work = """
    if not hasattr(main, "again"):
        main.again = True
        try: main.main([])
        except SystemExit: pass
        signals.raise_on_signals()
        class Dying:
            def __del__(self): 1 / 0
        Dying()
        interrupted()
    return 0
    """
    status, words = ended(work)
    assert status == 130 and words.count(b"ZeroDivisionError") == 1


def test_other_exceptions_in_destructors_are_still_told() -> None:
    status, words = ended("class Dying:\n    def __del__(self): 1 / 0\nDying()\ninterrupted()")
    assert status == 130 and b"ZeroDivisionError" in words


@pytest.mark.parametrize("module", ["click", "atexit"])
def test_before_the_program_is_there(module: str) -> None:
    """Until the handlers stand, Ctrl-C ends the process without a word, as it ends a program in C: from the command's first line on."""
    script = (
        "import os, signal, sys\n"
        f"sys.modules.pop({module!r}, None)\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from llmzip.launch import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script, "--version"], cwd=ROOT, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


def test_what_the_caller_ignores_stays_ignored_from_the_start() -> None:
    script = "trap '' INT; exec \"$@\""
    run = [sys.executable, "-c", "import os, signal; from llmzip.launch import main\nos.kill(os.getpid(), 2)\nmain()"]
    done = subprocess.run(["sh", "-c", script, "sh", *run, "--version"], cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith(b"llmzip ")


def say(level: int, text: bytes | None) -> None:
    prototype = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
    prototype(_log.address())(level, text, None)


def test_the_log_keeps_the_first_errors() -> None:
    _log.take()
    say(4, b"first")
    say(3, b"a warning")
    say(4, None)
    say(4, b"x" * 5000)
    for number in range(50):
        say(4, b"%d" % number)
    kept = _log.take()
    assert kept[0] == b"first" and kept[1] == b"x" * 511 and len(kept) == 20
    assert _log.take() == []


def test_the_log_is_for_several_threads() -> None:
    _log.take()
    threads = [threading.Thread(target=lambda: [say(4, b"text") for _ in range(300)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    taken = []
    while any(thread.is_alive() for thread in threads):
        taken += _log.take()
    taken += _log.take()
    assert len(taken) >= 20 and set(taken) == {b"text"}


def test_the_real_model_is_interrupted_wherever_it_is(tmp_path: Path) -> None:
    """A few moments of a run; `make torture` tries many more."""
    (tmp_path / "a").write_bytes((ROOT / "corpora" / "field-notes.txt").read_bytes()[:40_000])
    run = [sys.executable, "-m", "llmzip", "-f", "a"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for moment in (0, 0.5):
        with subprocess.Popen(run, cwd=tmp_path, stderr=subprocess.PIPE, env=environment) as process:
            while len(os.listdir(tmp_path)) < 2 and process.poll() is None:
                time.sleep(0.01)
            time.sleep(moment)
            process.send_signal(signal.SIGINT)
            words = process.communicate(timeout=60)[1]
        assert (process.returncode, words) == (130, b"")
        assert os.listdir(tmp_path) == ["a"]
