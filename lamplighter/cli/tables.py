"""What a person sees: tables and progress bars. Results go to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from lamplighter.report.wording import short_span
from pipeline.case.consent import Standing
from pipeline.detection.labels import listed
from workers.receipt import Outcome, Receipt

if TYPE_CHECKING:
    from lamplighter.desk.cases import Row
    from lamplighter.desk.tally import Tally
    from pipeline.case.released import Record

# A pipe has no width: the 80 columns it would get fold digests and paths that another program reads.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def write_json(document: object) -> None:
    """Print one JSON document and nothing else."""
    sys.stdout.write(json.dumps(document, indent=2, sort_keys=True, default=str, ensure_ascii=False) + "\n")


def warn(text: str) -> None:
    """Print a warning to standard error; in a terminal it is broken between words."""
    err.print(f"warning: {text}", markup=False, soft_wrap=not err.is_terminal)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """Give a progress display on standard error, gone when it is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=quiet or not err.is_terminal) as bars:
        yield bars


@contextmanager
def followed(label: str, *, quiet: bool = False) -> Iterator[Callable[[Tally], None]]:
    """Give what shows a run behind a progress bar: told of its tally as it grows."""
    with progress(quiet=quiet) as bars:
        task = bars.add_task(label, total=None)
        yield lambda tally: bars.update(task, total=tally.planned, completed=tally.finished)


def table(title: str, *columns: str, rows: Sequence[Sequence[object]], right: Sequence[str] = ()) -> None:
    """Print a table; the columns named in `right` are set to the right."""
    # A zone or a path in brackets would be taken for markup.
    grid = Table(
        title=escape(title), title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False
    )
    for column in columns:
        grid.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(escape(str(cell)) for cell in row))
    out.print(grid)


def tally_rows(tally: Tally) -> list[tuple[str, int]]:
    """Return how many units came to which outcome, those with none left out."""
    return [(outcome.value, count) for outcome in Outcome if (count := tally.outcomes.get(outcome, 0))]


def made_rows(tally: Tally) -> list[tuple[str, int]]:
    """Return how many units were made now or before: what a requester may know of a run."""
    return [(name, count) for name, count in tally_rows(tally) if name != Outcome.ASIDE.value]


def print_tally(title: str, tally: Tally) -> None:
    """Print what a run came to, and every unit that was set aside with its reason."""
    table(title, "clips", "outcome", rows=[(count, outcome) for outcome, count in tally_rows(tally)] or [(0, "found")])
    if tally.aside:
        rows = [(receipt.job.name, receipt.station, receipt.reason) for receipt in _sorted(tally.aside)]
        table("\nSet aside", "clip", "station", "reason", rows=rows)


def tell_aside(tally: Tally) -> None:
    """Tell the operator, on standard error, what was set aside: it names cameras, which a requester must not see."""
    for receipt in _sorted(tally.aside):
        err.print(f"set aside: {receipt.job.name}: {receipt.station}: {receipt.reason}", markup=False)


def tally_document(tally: Tally) -> dict[str, Any]:
    """Return what a run came to, for --json."""
    return {
        "outcomes": dict(tally_rows(tally)),
        "set_aside": [
            {"clip": receipt.job.name, "station": receipt.station, "reason": receipt.reason}
            for receipt in _sorted(tally.aside)
        ],
        "seconds": {station: round(seconds, 4) for station, seconds in tally.seconds.items()},
    }


def print_match(rows: Sequence[Row]) -> None:
    """Print the clips that match with how they stand, then how many cameras and clips do not, by reason."""
    found = [row for row in rows if row.standing]
    table(
        "Clips that match",
        *("camera", "owner", "clip", "asked time", "events", "consent"),
        rows=[
            (
                row.match.camera.id,
                row.match.camera.owner,
                row.match.clip.id if row.match.clip else "",
                short_span(row.match.span) if row.match.span else "",
                len(row.match.events),
                row.standing.value if row.standing else "",
            )
            for row in found
        ],
        right=("events",),
    )
    reasons = Counter(row.match.verdict for row in rows if not row.standing)
    if reasons:
        table("\nNot matched", "count", "reason", rows=[(count, why.value) for why, count in reasons.most_common()])


def warn_of_deaf(rows: Sequence[Row]) -> None:
    """Warn of settings that can never fire, once for each reason, naming the cameras and the half of the day.

    Not for a requester: it tells of cameras that nothing was delivered of.
    """
    deaf: dict[tuple[str, str], set[str]] = {}
    for camera, kept in ((row.match.camera.id, row.kept) for row in rows if row.kept):
        for reason in kept.never:
            deaf.setdefault(("night" if kept.night else "day", reason), set()).add(camera)
    for (half, reason), cameras in sorted(deaf.items()):
        warn(f"{listed(sorted(cameras), 'camera')}: the settings in force by {half} can never fire: {reason}")


def match_document(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return every verdict, for --json."""
    return [
        {
            "camera": row.match.camera.id,
            "owner": row.match.camera.owner,
            "clip": row.match.clip.id if row.match.clip else None,
            "verdict": row.match.verdict.value,
            "consent": row.standing.value if row.standing else None,
            "span": str(row.match.span) if row.match.span else None,
            "events": [str(event) for event in row.match.events],
        }
        for row in rows
    ]


def print_records(records: Sequence[Record], where: str) -> None:
    """Print what was delivered, in the order of its keys, and where it lies."""
    table(
        f"Delivered to {where}",
        *("file", "actual time", "frames", "made by", "bytes", "sha256"),
        rows=[
            (
                record.key,
                short_span(record.actual),
                record.frames,
                record.method,
                f"{record.size:,}",
                record.sha256[:16] + "…",
            )
            for record in sorted(records, key=lambda record: record.key)
        ],
        right=("frames", "bytes"),
    )


def waiting(rows: Sequence[Row]) -> int:
    """Return how many clips wait for their owner."""
    return sum(row.standing is Standing.WAITING for row in rows)


def _sorted(receipts: Sequence[Receipt[Any, Any]]) -> list[Receipt[Any, Any]]:
    return sorted(receipts, key=lambda receipt: receipt.job.name)
