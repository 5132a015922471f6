"""Imports go down, and the soft side (floats) never meets the hard side (integers) but in the codec."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import llmzip

ROOT = Path(llmzip.__file__).parent

# What the modules of each package may import from the others (docs/architecture.md).
ALLOWED = {
    "cli": {"measures", "report", "files", "lake", "codec", "model", "container"},
    "measures": {"report", "codec", "coding", "model", "text"},
    "lake": {"report", "codec", "model", "container"},
    "report": {"codec", "model", "text", "container"},
    "plugins": {"files", "codec"},
    "files": {"codec", "model", "container"},
    "codec": {"text", "model", "coding", "container"},
    "text": set(),
    "model": set(),
    "coding": set(),
    "container": set(),
}
EVERYWHERE = {"atomic", "errors", "version"}


def imported(path: Path) -> Iterator[str]:
    """Names of the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_package_has_its_rule() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"data"} == set(ALLOWED)


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_go_down(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        for name in imported(path):
            top, _, rest = name.partition(".")
            if top == "llmzip":
                target = rest.partition(".")[0]
                assert target in ALLOWED[package] | EVERYWHERE | {package, "__version__"}, f"{path}: {name}"


@pytest.mark.parametrize("package", ALLOWED)
def test_includes_of_native_code_go_down(package: str) -> None:
    for path in [*(ROOT / package).rglob("*.c"), *(ROOT / package).rglob("*.h")]:
        for other in re.findall(r'#include "\.\./(\w+)/', path.read_text()):
            assert other in ALLOWED[package], f"{path}: {other}"


def test_the_hard_side_has_no_model_and_the_container_no_numbers() -> None:
    for package, forbidden in (("coding", {"llama_cpp"}), ("container", {"llama_cpp", "numpy", "constriction"})):
        for path in (ROOT / package).rglob("*.py"):
            found = {name.partition(".")[0] for name in imported(path)}
            assert not found & forbidden, path


def test_rooms_are_small() -> None:
    for path in [*ROOT.rglob("*.py"), *ROOT.rglob("*.c")]:
        assert len(path.read_text().splitlines()) <= 400, path


def private_names_of_others(path: Path) -> Iterator[str]:
    """Names with a leading underscore that a file takes from another package: imported, or attributes that only others
    define."""
    tree = ast.parse(path.read_text())
    package = path.parent
    own = "".join(each.read_text() for each in package.rglob("*.py"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("llmzip."):
            home = ROOT.parent / node.module.replace(".", "/")
            if home.parent != package and home != package:
                yield from (alias.name for alias in node.names if is_private(alias.name))
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            # An attribute of something that is made elsewhere: the package itself never sets, defines or slots it.
            name = re.escape(node.attr)
            if not re.search(rf"(self|cls)\.{name}\b|def {name}\(|^\s*{name}\b.*[:=]|class {name}\b", own, re.M):
                yield node.attr


def is_private(name: str) -> bool:
    # Native modules are named so by custom; dunder names belong to the language.
    return name.startswith("_") and not name.startswith("__") and name not in ("_mixer", "_masses", "_")


ALLOWED_ATTRIBUTES: set[str] = set()


@pytest.mark.parametrize("folder", ["llmzip", "benchmarks", "tools"])
def test_private_names_stay_in_their_package(folder: str) -> None:
    for path in (ROOT.parent / folder).rglob("*.py"):
        found = set(private_names_of_others(path)) - ALLOWED_ATTRIBUTES
        assert not found, f"{path}: {sorted(found)}"


def test_the_picture_of_the_rooms_is_true() -> None:
    sys.path.insert(0, str(ROOT.parent / "tools"))
    import rooms

    assert rooms.written() == rooms.graph(), "run `python tools/rooms.py --write`"
