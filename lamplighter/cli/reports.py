"""What commands that tell and draw have in common: a report's sections in a terminal, and how far its reading is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lamplighter.cli import tables
from lamplighter.desk.comparison import Follow
from lamplighter.desk.desk import Desk
from lamplighter.desk.files import write_file
from lamplighter.report.page import Drawn, Section
from pipeline.text import shown
from storage.archive import Ingested

if TYPE_CHECKING:
    from lamplighter.report.heat import Still


def print_sections(sections: Sequence[Section]) -> None:
    """Print text and tables to standard output, an empty line between the sections; pictures are left to pages."""
    for number, section in enumerate(sections):
        gap = "\n" * bool(number)
        if section.text:
            tables.say(gap + section.text)
        if section.table:
            head, *rows = section.table
            tables.table(gap + section.heading, *map(str, head), rows=rows, right=section.right)


def follow_clips(*, quiet: bool, few: int = 0) -> Follow:
    """Show on standard error how many clips are done, unless there are fewer than `few`: those are read at once."""

    def follow(clips: Sequence[Ingested], what: str) -> Iterable[Ingested]:
        with tables.progress(quiet=quiet or len(clips) < few) as bars:
            yield from bars.track(clips, description=shown(what))

    return follow


def still_of(desk: Desk) -> Still:
    """Return how to see a frame of the desk's footage; why there is none is a warning."""
    return partial(desk.still, missed=tables.warn)


def write_drawn(folder: Path, drawn: Drawn) -> dict[Path, int]:
    """Write a report's files into a folder and return their sizes (bytes)."""
    for name, data in drawn.files.items():
        write_file(folder / name, data)
    return {folder / name: len(data) for name, data in drawn.files.items()}
