"""Hooks of MkDocs: pages that read well beside the code read well as a site.

What they say of files beside docs/ becomes their names, since the site does not have them; links that show the name of a page's file
show its title; the picture of rooms, which would take a script from elsewhere, becomes a table.
"""

from __future__ import annotations

import re
from typing import Any

_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)[^)]*\)")
_BARE = re.compile(r"\[([\w-]+\.md)\]\((\1)(#[^)]*)?\)")
_PICTURE = re.compile(r"```mermaid\n(.*?)```\n", re.DOTALL)
_ARROW = re.compile(r"^ *([\w.]+) --> ([\w.]+)$", re.MULTILINE)

_titles: dict[str, str] = {}


def on_config(config: Any, **_: Any) -> Any:
    """Remembers the titles of the navigation."""

    def walk(entries: list[Any]) -> None:
        for entry in entries:
            for title, place in entry.items():
                if isinstance(place, list):
                    walk(place)
                else:
                    _titles[place] = title

    walk(config["nav"])
    return config


def _table(picture: re.Match[str]) -> str:
    rooms: dict[str, list[str]] = {}
    for room, other in _ARROW.findall(picture[1]):
        rooms.setdefault(room, []).append(f"`{other}`")
    rows = [f"| `{room}` | {', '.join(others)} |" for room, others in rooms.items()]
    return "\n".join(["| room | imports |", "| --- | --- |", *rows, ""])


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called for every page."""
    markdown = _BARE.sub(lambda link: f"[{_titles.get(link[1], link[1])}]({link[2]}{link[3] or ''})", markdown)
    markdown = _PICTURE.sub(_table, markdown)
    return _OUTSIDE.sub(lambda link: link[1] if link[1].strip("`") == link[2] else f"{link[1]} (`{link[2]}`)", markdown)
