"""The command with a model of known probabilities that takes its time: for signals.

Run as a program with a file to create once it works, and the arguments of llmzip.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from known_models import DYADIC, independent

from llmzip.codec import choice, locate
from llmzip.model import embedded


def main() -> None:
    model = independent(DYADIC, embedded.WINDOW)

    def slow() -> None:
        Path(sys.argv[1]).touch()
        time.sleep(0.03)

    model.on_evaluate = slow
    choice.TABLE = b""
    locate.load = lambda *_, **__: model
    embedded.IDENTITY = model.identity
    from llmzip.cli.main import main as command

    command(sys.argv[2:])


if __name__ == "__main__":
    main()
