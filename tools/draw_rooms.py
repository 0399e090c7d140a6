#!/usr/bin/env python3
"""Draws the rooms of host/ (docs/rooms.svg) from the includes of their files.

    tools/draw_rooms.py            writes docs/rooms.svg
    tools/draw_rooms.py --check    exit status 1 when docs/rooms.svg is not what it would write

A room is a folder of host/ with C files. Its height is the longest path of includes down to a room
that includes none. Arrows implied by others are left out (transitive reduction).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
SVG = ROOT / "docs" / "rooms.svg"
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, MARGIN = 150, 34, 26, 46, 20


def read_rooms(host: Path) -> dict[str, set[str]]:
    """Each room with the rooms that its files include."""
    rooms: dict[str, set[str]] = {}
    for path in sorted(host.rglob("*")):
        if path.suffix in {".c", ".h", ".inc"} and path.parent != host:
            room = path.parent.relative_to(host).as_posix()
            below = rooms.setdefault(room, set())
            for name in INCLUDE.findall(path.read_text(encoding="utf-8")):
                other = Path(name).parent.as_posix()
                if (host / name).is_file() and other != room:
                    below.add(other)
    return rooms


def heights(rooms: dict[str, set[str]]) -> dict[str, int]:
    """Longest path down from each room; ends the program at a circle."""
    known: dict[str, int] = {}

    def height(room: str, way: tuple[str, ...]) -> int:
        if room in way:
            sys.exit("circle between rooms: " + " > ".join((*way, room)))
        if room not in known:
            known[room] = max((height(b, (*way, room)) + 1 for b in rooms[room]), default=0)
        return known[room]

    for room in rooms:
        height(room, ())
    return known


def reachable(rooms: dict[str, set[str]], start: str) -> set[str]:
    """Rooms that can be reached from start by one arrow or more."""
    seen: set[str] = set()
    todo = list(rooms[start])
    while todo:
        room = todo.pop()
        if room not in seen:
            seen.add(room)
            todo.extend(rooms[room])
    return seen


def arrows(rooms: dict[str, set[str]]) -> list[tuple[str, str]]:
    """The arrows that no longer path implies."""
    return [
        (room, other)
        for room in sorted(rooms)
        for other in sorted(rooms[room])
        if not any(other in reachable(rooms, between) for between in rooms[room] - {other})
    ]


def place(rooms: dict[str, set[str]]) -> dict[str, tuple[float, float]]:
    """Upper left corner of each box: rows by height; the rooms of text/ stand to the right."""
    level = heights(rooms)
    at: dict[str, tuple[float, float]] = {}
    left = float(MARGIN)
    for lane in (
        [room for room in sorted(rooms) if not room.startswith("text/")],
        [room for room in sorted(rooms) if room.startswith("text/")],
    ):
        rows = [[r for r in lane if level[r] == h] for h in range(max(level.values()), -1, -1)]
        widest = max(len(row) for row in rows)
        for h, row in enumerate(rows):
            x = left + (widest - len(row)) * (BOX_WIDTH + GAP_X) / 2
            for i, room in enumerate(row):
                at[room] = (x + i * (BOX_WIDTH + GAP_X), MARGIN + h * (BOX_HEIGHT + GAP_Y))
        left += widest * (BOX_WIDTH + GAP_X)
    return at


def draw(rooms: dict[str, set[str]]) -> str:
    """The drawing as SVG text."""
    at = place(rooms)
    width = max(x for x, _ in at.values()) + BOX_WIDTH + MARGIN
    height = max(y for _, y in at.values()) + BOX_HEIGHT + MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" font-family="sans-serif" font-size="14">',
        "<title>Rooms of host/: an arrow is an include</title>",
        '<defs><marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#555"/></marker></defs>',
        f'<rect width="{width:g}" height="{height:g}" fill="#fff"/>',
    ]
    for room, other in arrows(rooms):
        (x1, y1), (x2, y2) = at[room], at[other]
        x1, y1, x2 = x1 + BOX_WIDTH / 2, y1 + BOX_HEIGHT, x2 + BOX_WIDTH / 2
        lines.append(
            f'<path d="M{x1:g},{y1:g} C{x1:g},{y1 + 24:g} {x2:g},{y2 - 24:g} {x2:g},{y2:g}" '
            'fill="none" stroke="#555" marker-end="url(#a)"/>'
        )
    for room, (x, y) in sorted(at.items()):
        lines.append(
            f'<rect x="{x:g}" y="{y:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="5" '
            'fill="#eef3f8" stroke="#345"/>'
        )
        lines.append(
            f'<text x="{x + BOX_WIDTH / 2:g}" y="{y + 22:g}" text-anchor="middle" '
            f'fill="#123">{escape(room)}</text>'
        )
    return "\n".join([*lines, "</svg>", ""])


def main() -> int:
    """Writes or checks the drawing."""
    text = draw(read_rooms(ROOT / "host"))
    if sys.argv[1:] == ["--check"]:
        if not SVG.is_file() or SVG.read_text(encoding="utf-8") != text:
            print("docs/rooms.svg is not what the includes give: run tools/draw_rooms.py")
            return 1
        return 0
    SVG.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
