"""`python -m llmzip` is the command `llmzip`."""

from __future__ import annotations

from llmzip.launch import main

if __name__ == "__main__":
    main()
