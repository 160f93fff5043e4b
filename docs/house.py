"""The floors and rooms of the house, and the one reader of its imports: its test and its picture both use it."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
# From below: each may import those before it.
FLOORS = ("pipeline", "storage", "workers", "simulation", "lamplighter", "benchmarks")
# Rooms of one floor, each of which may use those before it. What stands in no room is below them all.
ROOMS = {
    "pipeline": ("media", "measure", "detection", "log", "case", "evidence", "neighbourhood"),
    "lamplighter": ("desk", "report", "web", "cli"),
}


def python_files() -> list[str]:
    """Return the project's Python files, those not yet committed too, but nothing git ignores."""
    listed = None
    if (ROOT / ".git").exists():
        words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.py"]
        listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed is None or listed.returncode:
        return sorted(
            str(path.relative_to(ROOT)) for floor in (*FLOORS, "tests") for path in (ROOT / floor).rglob("*.py")
        )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def imports(source: str, file: str) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) for every import in a source, also those inside functions and under conditions."""
    for line, name, _ in statements(source, file):
        yield line, name


def statements(source: str, file: str) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Yield (line, dotted name, names taken from it) for every import in a source, wherever it stands."""
    package = file.split("/")[:-1]
    for node in ast.walk(ast.parse(source, file)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            taken = tuple(alias.name for alias in node.names)
            names = [node.module] if node.module else taken
            yield from ((node.lineno, ".".join([*base, name]), taken if node.module else ()) for name in names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in {"import_module", "__import__", "importorskip"}:
                yield node.lineno, str(node.args[0].value), ()


def goes_up(file: str, name: str) -> bool:
    """Tell whether a file of one room imports from a room above it on the same floor."""
    floor, *inside = file.split("/")
    top, *wanted = name.split(".")
    if floor != top or floor not in ROOMS or not wanted or wanted[0] not in ROOMS[floor]:
        return False
    if floor == "lamplighter" and len(inside) == 1:  # its entry, which only opens the door
        return inside[0] != "__main__.py"
    mine = ROOMS[floor].index(inside[0]) if inside[0] in ROOMS[floor] else -1
    return ROOMS[floor].index(wanted[0]) > mine
