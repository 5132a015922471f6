"""The first moments of the command, before its modules are there to handle signals: Ctrl-C ends it without a word."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import SIG_DFL, SIGINT, default_int_handler, getsignal, signal
    from typing import NoReturn
else:
    from _signal import SIG_DFL, SIGINT, default_int_handler, getsignal, signal  # built in; `signal` imports much

# With the first import of the command, not with its first call: a script that calls it may do other things before.
if getsignal(SIGINT) is default_int_handler:
    signal(SIGINT, SIG_DFL)

import atexit
import gc


def main() -> NoReturn:
    """Entry point of the command."""
    # What imports make stays: the collector need not look it through every few hundred objects, nor at the end once more.
    gc.set_threshold(50_000, 20, 100)
    atexit.register(gc.freeze)
    from llmzip.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
