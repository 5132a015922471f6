"""The rooms of the code as a picture: packages and their imports, as a Mermaid graph.

usage: rooms.py            print the graph
       rooms.py --write    put it into docs/architecture.md
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "llmzip"
PAGE = ROOT / "docs" / "architecture.md"
_PICTURE = re.compile(r"(?<=<!-- picture: rooms -->\n).*?(?=<!-- /picture -->)", re.DOTALL)


def room(module: str) -> str | None:
    """The package that a module of llmzip belongs to; None for the few modules that everybody uses."""
    parts = module.split(".")
    folder = PACKAGE.joinpath(*parts[1:])
    while len(parts) > 1 and not (folder / "__init__.py").exists():
        parts, folder = parts[:-1], folder.parent
    return ".".join(parts[1:]) or None


def imports() -> set[tuple[str, str]]:
    """Pairs (room, room that it imports from)."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        home = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "llmzip":
                for alias in node.names:
                    target = room(f"{node.module}.{alias.name}")
                    if home and target and target != home and not target.startswith(f"{home}."):
                        found.add((home, target))
    return found


def graph() -> str:
    """The Mermaid source."""
    lines = ["```mermaid", "flowchart TD"]
    for name, title in (("soft", "soft: floating point"), ("hard", "hard: integers")):
        inside = {"soft": ["model"], "hard": ["coding", "container"]}[name]
        lines += [f'    subgraph {name}["{title}"]', *(f"        {each}" for each in inside), "    end"]
    lines += [f"    {a} --> {b}" for a, b in sorted(imports())]
    return "\n".join([*lines, "```", ""])


def written() -> str:
    """The graph as it stands in docs/architecture.md."""
    match = _PICTURE.search(PAGE.read_text())
    return match[0] if match else ""


def main() -> None:
    if "--write" in sys.argv:
        PAGE.write_text(_PICTURE.sub(lambda _: graph(), PAGE.read_text()))
    else:
        print(graph(), end="")


if __name__ == "__main__":
    main()
