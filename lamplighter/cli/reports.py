"""What commands that tell and draw have in common: a report's sections in a terminal, and how far its reading is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lamplighter.cli import tables
from lamplighter.cli.options import write_file
from lamplighter.desk.comparison import Follow
from lamplighter.report.page import Drawn, Section
from storage.archive import Ingested


def print_sections(sections: Sequence[Section]) -> None:
    """Print text and tables to standard output, an empty line between the sections; pictures are left to pages."""
    for number, section in enumerate(sections):
        gap = "\n" * bool(number)
        if section.text:
            tables.out.print(gap + section.text, markup=False)
        if section.table:
            head, *rows = section.table
            tables.table(gap + section.heading, *map(str, head), rows=rows, right=section.right)


def follow_clips(*, quiet: bool, few: int = 0) -> Follow:
    """Show on standard error how many clips are done, unless there are fewer than `few`: those are read at once."""

    def follow(clips: Sequence[Ingested], what: str) -> Iterable[Ingested]:
        with tables.progress(quiet=quiet or len(clips) < few) as bars:
            yield from bars.track(clips, description=what)

    return follow


def write_drawn(folder: Path, drawn: Drawn) -> dict[Path, int]:
    """Write a report's files into a folder, warn of what it lacks, and return their sizes (bytes)."""
    for warning in drawn.warnings:
        tables.warn(warning)
    for name, data in drawn.files.items():
        write_file(folder / name, data)
    return {folder / name: len(data) for name, data in drawn.files.items()}
