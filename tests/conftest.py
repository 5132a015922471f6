"""Shared by all tests: the cache of expanded weights stays out of the user's home, one for the whole run."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

import llmzip.cli

sys.path.insert(0, str(Path(__file__).parent))  # tests import `fakes`

settings.register_profile("default", deadline=None)
# The same examples every time, and the way to repeat a failing one (--hypothesis-profile ci); fifty times as many (expensive).
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("expensive", deadline=None, max_examples=5000)
settings.load_profile("default")

_cache = tempfile.TemporaryDirectory(prefix="llmzip-tests-")
os.environ["LLMZIP_CACHE"] = _cache.name  # subprocesses inherit it
os.environ["LLMZIP_DATA"] = os.path.join(_cache.name, "data")  # not the user's own list of models
os.environ["LLMZIP_CONFIG"] = os.devnull
os.environ.pop("LLMZIP_OPTS", None)


@pytest.fixture(scope="session", autouse=True)
def commands() -> None:
    """Commands are loaded when they are first asked for: then what they take from `run` must not be what a test put there, and a test
    that gives up its rights could not read them in a folder of root's own."""
    for module in pkgutil.iter_modules(llmzip.cli.__path__, "llmzip.cli."):
        importlib.import_module(module.name)


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The project's own texts."""
    return Path(__file__).parent.parent / "corpora"


@pytest.fixture(scope="session")
def embedded_codec():
    """One codec on the embedded model for all tests that only compress and decompress."""
    from llmzip.codec.codec import Codec

    with Codec() as codec:
        yield codec
