"""What the pages and the docstrings show is true: their examples run."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

import llmzip

ROOT = Path(__file__).parent.parent
PACKAGE = Path(llmzip.__file__).parent
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GIVEN = {"README.md": {"text": "It was a dark and stormy night.", "pages": [b"a page", b"another page"]}}

pages = [
    path for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if PYTHON.search(path.read_text())
]
modules = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text()
]


def run(test):
    """Fails with what differs; returns the number of examples."""
    said = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append, clear_globs=False)
    assert not result.failed, "".join(said)
    return result.attempted


@pytest.mark.parametrize("page", pages, ids=lambda page: page.name)
def test_examples_of_pages(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shared = {"__name__": "__main__", **GIVEN.get(page.name, {})}
    for number, block in enumerate(PYTHON.findall(page.read_text())):
        name = f"{page.name}, block {number + 1}"
        if ">>> " in block:
            test = doctest.DocTestParser().get_doctest(block, {}, name, str(page), 0)
            test.globs = shared  # blocks of a page follow each other
            assert run(test) > 0
        else:
            exec(compile(block, name, "exec"), shared)


@pytest.mark.parametrize("name", modules)
def test_examples_of_docstrings(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))
    assert sum(run(test) for test in found if test.examples) > 0


def test_there_are_examples():
    assert ROOT / "docs" / "python.md" in pages and ROOT / "README.md" in pages
    assert {"llmzip", "llmzip.files.file", "llmzip.files.incremental"} <= set(modules)


def test_the_site_names_every_page_once():
    """In its navigation, and in the table of its first page."""
    named = re.findall(r"^ +- .*: ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert sorted(named) == sorted(pages)
    linked = re.findall(r"\]\(([\w-]+\.md)\)", (ROOT / "docs/index.md").read_text())
    assert sorted(linked) == sorted(pages - {"index.md"})
