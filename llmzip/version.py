"""The version of the program (the version of the file format is in `llmzip.container.format`)."""

__version__ = "0.1.0"
