"""What a person sees: tables and progress bars. Results go to standard output, everything else to standard error."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from lamplighter.messages import in_json
from lamplighter.report.wording import not_whole, short_span, short_spans
from pipeline.case.consent import Standing
from pipeline.detection.labels import listed
from pipeline.text import json_text, shown, shown_lines
from workers.receipt import Outcome, Receipt

if TYPE_CHECKING:
    from lamplighter.desk.cases import Row
    from lamplighter.desk.tally import Tally
    from pipeline.case.released import Record
    from pipeline.retention import Removal

# A pipe has no width: the 80 columns it would get fold digests and paths that another program reads.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
err = Console(stderr=True, highlight=False, soft_wrap=True)
_log = logging.getLogger(__name__)
_ROWS = 2000  # of a table that is laid out as a whole, which of many more takes minutes
_ENDINGS = 12  # that one rule tells of by name; --json tells all


def write_json(document: object) -> None:
    """Print one JSON document and nothing else."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    sys.stdout.write(json_text(document, ascii_only=not utf8) + "\n")


def write_json_list(name: str, items: Iterable[object], rest: Mapping[str, object]) -> None:
    """Print one JSON document: under `name` a list that may be long, then the `rest`."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    sys.stdout.write(f'{{\n  "{name}": [')
    for number, item in enumerate(items):
        text = json_text(item, ascii_only=not utf8).replace("\n", "\n    ")
        sys.stdout.write(f"{',' * bool(number)}\n    {text}")
    # What stands for the rest is a document of its own: all but its opening brace goes on here.
    sys.stdout.write("\n  ],\n" + json_text(rest, ascii_only=not utf8).removeprefix("{\n") + "\n")


def write_text(data: bytes) -> None:
    """Print text that another program reads, byte for byte; to a terminal as `say` does."""
    if sys.stdout.isatty():
        say(data.decode(errors="surrogateescape").removesuffix("\n"))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)


def say(text: str = "") -> None:
    """Print a result to standard output: text as it is, with its line breaks, made safe to show."""
    out.print(_plain(text))


def tell(text: str, *, style: str = "") -> None:
    """Print to standard error what is not the result, as `say` does; in JSON where messages are."""
    if in_json():
        _log.info("%s", shown_lines(text))
        return
    err.print(_plain(text), style=style)


def cell(value: object) -> Text:
    """Return a value as a cell of a table: on one line, nothing in it taken for markup."""
    return Text(shown(value))


def _plain(text: str) -> Text:
    return Text(shown_lines(text))


def warn(text: str) -> None:
    """Print a warning to standard error; in a terminal it is broken between words, and in JSON where messages are."""
    if in_json():
        _log.warning("%s", shown(text))
        return
    err.print(cell(f"warning: {text}"), soft_wrap=not err.is_terminal)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """Give a progress display on standard error, gone when it is done."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=quiet or in_json() or not err.is_terminal) as bars:
        yield bars


@contextmanager
def followed(label: str, *, quiet: bool = False) -> Iterator[Callable[[Tally], None]]:
    """Give what shows a run behind a progress bar: told of its tally as it grows."""
    with progress(quiet=quiet) as bars:
        task = bars.add_task(shown(label), total=None)
        yield lambda tally: bars.update(task, total=tally.planned, completed=tally.finished)


def table(title: str, *columns: str, rows: Sequence[Sequence[object]], right: Collection[str] = ()) -> None:
    """Print a table; the columns named in `right` are set to the right."""
    name = title.lstrip("\n")  # a gap above is ours
    head = Text("\n" * (len(title) - len(name)) + shown(name))
    grid = Table(title=head, title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False)
    for column in columns:
        grid.add_column(cell(column), justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        grid.add_row(*map(cell, row))
    out.print(grid)


def long_table(title: str, *columns: str, rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> None:
    """Print a table; one of thousands of rows a line at a time, each row on one line however wide the terminal is."""
    if len(rows) <= _ROWS:
        table(title, *columns, rows=rows, right=right)
        return
    widths = [max(cell(row[at]).cell_len for row in (columns, *rows)) for at in range(len(columns))]
    say(title)
    for row in (columns, *rows):
        line = Text("  ").join(
            _padded(cell(value), width, left=name in right)
            for value, width, name in zip(row, widths, columns, strict=True)
        )
        sys.stdout.write(line.plain.rstrip() + "\n")


def _padded(text: Text, width: int, *, left: bool) -> Text:
    (text.pad_left if left else text.pad_right)(width - text.cell_len)
    return text


def tally_rows(tally: Tally) -> list[tuple[str, int]]:
    """Return how many units came to which outcome, those with none left out."""
    return [(outcome.value, count) for outcome in Outcome if (count := tally.outcomes.get(outcome, 0))]


def print_tally(title: str, tally: Tally) -> None:
    """Print what a run came to, and every unit that was set aside with its reason."""
    table(title, "clips", "outcome", rows=[(count, outcome) for outcome, count in tally_rows(tally)] or [(0, "found")])
    if tally.aside:
        _print_aside("\nSet aside", tally)
    _print_not_whole(tally)


def _print_not_whole(tally: Tally) -> None:
    """Print how many clips lack something, and the commands that tell more of the first of them."""
    if told := not_whole([one.clip for one in tally.not_whole]):
        ids = [one.clip.id for one in tally.not_whole]
        see = ", ".join(f"`lamplighter show {name}`" for name in ids[:3]) + (", ..." if len(ids) > 3 else "")
        say(f"\n{told}; see {see}")


def tell_replaced(removals: Sequence[Removal]) -> None:
    """Tell which clips had been taken before they were whole, and what is in their place."""
    for one in removals:
        for camera, name in one.clips:
            tell(f"Replaced {camera}/{name}: {one.note}")


def _print_aside(title: str, tally: Tally) -> None:
    rows = [(receipt.job.name, receipt.station, receipt.reason) for receipt in _sorted(tally.aside)]
    table(title, "clip", "station", "reason", rows=rows)
    tell_bugs({receipt.place: receipt.trace for receipt in reversed(tally.bugs)})


def print_found(title: str, tally: Tally) -> None:
    """Print every unit that was set aside, and last the one table that accounts for every file that was found."""
    if tally.aside:
        _print_aside("Set aside", tally)
    rows: list[tuple[int, str, str]] = [
        (count, outcome, "") for outcome, count in tally_rows(tally) if outcome != Outcome.ASIDE.value
    ]
    stations = Counter(receipt.station for receipt in tally.aside)
    rows += [(count, Outcome.ASIDE.value, station) for station, count in stations.most_common()]
    rows += _left_rows(tally)
    gap = "\n" * bool(tally.aside)
    table(gap + title, "files", "outcome", "which", rows=[*rows, (tally.found, "found", "")], right=("files",))
    tell_replaced(tally.replaced)
    _print_not_whole(tally)
    if lacking := tally.left.footage:
        warn(
            f"left out of these, though they may hold footage: {lacking}; look at the table, and name a file outright "
            "to have it read whatever its ending"
        )


def _left_rows(tally: Tally) -> list[tuple[int, str, str]]:
    """Return what was left out by rule and ending: of one rule the most frequent endings, the others together."""
    by_rule: dict[str, list[tuple[int, str]]] = {}
    for rule, ending, count in tally.left.rows():
        by_rule.setdefault(rule.told, []).append((count, ending))
    rows: list[tuple[int, str, str]] = []
    for what, endings in by_rule.items():
        rows += [(count, what, ending) for count, ending in endings[:_ENDINGS]]
        if rest := endings[_ENDINGS:]:
            rows.append((sum(count for count, _ in rest), what, f"{len(rest)} other endings"))
    return rows


def tell_aside(tally: Tally) -> None:
    """Tell the operator, on standard error, what was set aside: it names cameras, which a requester must not see."""
    for receipt in _sorted(tally.aside):
        text = f"set aside: {receipt.job.name}: {receipt.station}: {receipt.reason}"
        if in_json():
            _log.warning("%s", shown(text), extra={"clip": receipt.job.name, "station": receipt.station})
        else:
            err.print(cell(text))
    tell_bugs({receipt.place: receipt.trace for receipt in reversed(tally.bugs)})


def tell_bugs(bugs: Mapping[str, str]) -> None:
    """Show on standard error the traceback of each bug that was met, by where it is: what there is to report."""
    for place, trace in bugs.items():
        tell(f"\n{trace.rstrip()}\nThis is a bug, please report it: {place}")


def tell_learnt(tally: Tally) -> None:
    """Tell on standard error of which cameras a run learnt the habits, and of which it could not."""
    if tally.learnt:
        tell(f"Habits learnt of {listed(tally.learnt, 'camera')}")
    if tally.habits is not None:
        warn_of_unlearnt(tally.habits)


def warn_of_unlearnt(tally: Tally) -> None:
    """Warn of cameras whose habits were not learnt, with the reason."""
    for receipt in _sorted(tally.aside):
        warn(f"camera {receipt.job.name}: its habits were not learnt: {receipt.station}: {receipt.reason}")
    tell_bugs({receipt.place: receipt.trace for receipt in reversed(tally.bugs)})


def tally_document(tally: Tally) -> dict[str, Any]:
    """Return what a run came to, for --json."""
    return {
        "outcomes": dict(tally_rows(tally)),
        "set_aside": [
            {"clip": receipt.job.name, "station": receipt.station, "reason": receipt.reason}
            | ({"trace": receipt.trace} if receipt.trace else {})
            for receipt in _sorted(tally.aside)
        ],
        "seconds": {station: round(seconds, 4) for station, seconds in tally.seconds.items()},
    }


def print_match(rows: Sequence[Row]) -> None:
    """Print the clips that match with how they stand, then how many cameras and clips do not, by reason."""
    found = [row for row in rows if row.standing]
    table(
        "Clips that match",
        *("camera", "owner", "clip", "asked time", "events", "score", "consent"),
        rows=[
            (
                row.match.camera.id,
                row.match.camera.owner,
                row.match.clip.id if row.match.clip else "",
                short_spans(row.match.recorded),
                len(row.match.events),
                "" if row.score is None else f"{row.score:.1f}",
                row.standing.value if row.standing else "",
            )
            for row in found
        ],
        right=("events", "score"),
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


def warn_of_damage(rows: Sequence[Row]) -> int:
    """Warn of clips of which nobody can say what moved in them, and return how many these are."""
    damaged = [row for row in rows if row.damage]
    for row in damaged:
        camera = row.match.camera.id
        warn(f"{row.damage}; remove it if it is there, and lamplighter ingest --remeasure --camera {camera}")
    return len(damaged)


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
            "recorded": [str(part) for part in row.match.recorded],
            "events": [str(event) for event in row.match.events],
            "score": row.score,
            "habits": row.habits or None,
        }
        for row in rows
    ]


def print_records(records: Sequence[Record], where: str) -> None:
    """Print what was delivered, in the order of its keys, and where it lies; frames damaged, missing and native."""
    table(
        f"Delivered to {where}",
        *("file", "actual time", "frames", "damaged", "missing", "covered", "made by", "native", "bytes", "sha256"),
        rows=[
            (
                record.key,
                short_span(record.actual),
                record.frames,
                record.damaged,
                record.missing,
                ", ".join(record.covered),
                record.method,
                record.native_frames,
                f"{record.size:,}",
                record.sha256[:16] + "…",
            )
            for record in sorted(records, key=lambda record: record.key)
        ],
        right=("frames", "damaged", "missing", "native", "bytes"),
    )


def waiting(rows: Sequence[Row]) -> int:
    """Return how many clips wait for their owner."""
    return sum(row.standing is Standing.WAITING for row in rows)


def _sorted(receipts: Sequence[Receipt[Any, Any]]) -> list[Receipt[Any, Any]]:
    return sorted(receipts, key=lambda receipt: receipt.job.name)
