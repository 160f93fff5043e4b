"""Draws who imports whom, room by room, as an SVG: `python -m docs.rooms`. Fails at a circle or an upward arrow."""

from __future__ import annotations

from collections import Counter
from graphlib import CycleError, TopologicalSorter
from html import escape

from docs.house import FLOORS, ROOMS, ROOT, python_files, statements

PICTURE = ROOT / "docs" / "pictures" / "rooms.svg"
# From the top. What stands in no room of its floor lies below the rooms.
ORDER = tuple(
    place
    for floor in reversed(FLOORS)
    for place in (*(f"{floor}/{room}" for room in reversed(ROOMS.get(floor, ()))), floor)
)
_STEP_X, _STEP_Y, _WIDTH, _HEIGHT, _LEFT, _TOP = 84, 46, 150, 30, 16, 58
_HEAD = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8z" fill="#7f8c8d"/></marker></defs>'
)
_SHADES = {
    "benchmarks": "#e8e3f4",
    "lamplighter": "#fdebd0",
    "simulation": "#fadbd8",
    "workers": "#d5f5e3",
    "storage": "#d6eaf8",
    "pipeline": "#eaecee",
}


def room_of(parts: list[str]) -> str | None:
    """Return the room of a module or file, given as its path's parts; None outside the house."""
    if parts[0] not in FLOORS:
        return None
    inside = parts[0] in ROOMS and len(parts) > 1 and parts[1] in ROOMS[parts[0]]
    return "/".join(parts[: 2 if inside else 1])


def arrows(sources: dict[str, str]) -> Counter[tuple[str, str]]:
    """Return how many imports go from room to room, given the text of every file; those within one room are left out.

    `lamplighter/__main__.py` is the door's handle: it stands in no room and is left out too.
    """
    found: Counter[tuple[str, str]] = Counter()
    for file, source in sources.items():
        here = room_of(file.split("/"))
        if here is None or file == "lamplighter/__main__.py":
            continue
        for _, name, _ in statements(source, file):
            there = room_of(name.split("."))
            if there not in {None, here}:
                found[here, str(there)] += 1
    return found


def faults(sources: dict[str, str]) -> list[str]:
    """Return every upward arrow between rooms, and a circle of modules where there is one, each as a sentence."""
    found = [
        f"{here} imports {there}, which stands above it ({count} times)"
        for (here, there), count in sorted(arrows(sources).items())
        if ORDER.index(there) < ORDER.index(here)
    ]
    known = {file.removesuffix(".py").removesuffix("/__init__").replace("/", "."): file for file in sources}
    graph: dict[str, set[str]] = {}
    for module, file in known.items():
        taken = {
            one
            for _, name, names in statements(sources[file], file)
            for one in (name, *(f"{name}.{inner}" for inner in names))
            # A package that is named on the way to one of its modules is no import of what it holds.
            if one in known and not any(f"{one}.{inner}" in known for inner in names)
        }
        graph[module] = taken - {module}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append("modules import each other in a circle: " + " <- ".join(error.args[1]))
    return found


def draw(counted: Counter[tuple[str, str]]) -> str:
    """Return the picture: rooms on the diagonal, an import goes right from the one that imports and down to the other.

    The number at the bend says how many. An upward arrow would lie left of the diagonal, in red.
    """
    width = _LEFT * 2 + _STEP_X * (len(ORDER) - 1) + _WIDTH
    height = _TOP + _STEP_Y * (len(ORDER) - 1) + _HEIGHT + 20
    centre = {
        place: (_LEFT + _STEP_X * n + _WIDTH // 2, _TOP + _STEP_Y * n + _HEIGHT // 2) for n, place in enumerate(ORDER)
    }
    lines, numbers = [], []
    for (here, there), count in sorted(counted.items()):
        (x, y), (to_x, to_y) = centre[here], centre[there]
        down = ORDER.index(there) > ORDER.index(here)
        colour = "#7f8c8d" if down else "#c0392b"
        start, end = (x + _WIDTH // 2, to_y - _HEIGHT // 2 - 2) if down else (x - _WIDTH // 2, to_y + _HEIGHT // 2 + 2)
        lines.append(
            f'<path d="M{start} {y}H{to_x}V{end}" fill="none" stroke="{colour}" stroke-opacity=".45" '
            f'marker-end="url(#head)"><title>{escape(f"{here} imports {there}: {count}")}</title></path>'
        )
        numbers.append(
            f'<circle cx="{to_x}" cy="{y}" r="11" fill="#fff" stroke="{colour}"/>'
            f'<text x="{to_x}" y="{y + 4}" font-size="11" text-anchor="middle">{count}</text>'
        )
    boxes = []
    for place, (x, y) in centre.items():
        name = f"{place} (rest)" if place in ROOMS else place
        boxes.append(
            f'<rect x="{x - _WIDTH // 2}" y="{y - _HEIGHT // 2}" width="{_WIDTH}" height="{_HEIGHT}" rx="5" '
            f'fill="{_SHADES[place.split("/")[0]]}" stroke="#555"/>'
            f'<text x="{x}" y="{y + 5}" font-size="14" text-anchor="middle">{escape(name)}</text>'
        )
    said = f"{sum(counted.values())} imports between {len(ORDER)} rooms: each goes right, then down to what it uses"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
            f"<title>{said}</title>",
            _HEAD,
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            f'<text x="{_LEFT}" y="30" font-size="16">{said}</text>',
            *lines,
            *boxes,
            *numbers,
            "</svg>",
            "",
        ]
    )


def read() -> dict[str, str]:
    """Return the text of every Python file of the house, by its path."""
    names = [name for name in python_files() if name.split("/")[0] in FLOORS]
    return {name: (ROOT / name).read_text(encoding="utf-8") for name in sorted(names)}


def main() -> None:
    """Write the picture; refuse a house with a circle or an upward arrow."""
    sources = read()
    if wrong := faults(sources):
        raise SystemExit("\n".join(wrong))
    PICTURE.write_text(draw(arrows(sources)), encoding="utf-8")
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
