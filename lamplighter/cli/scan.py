"""`lamplighter scan`: the events of files, at once: without a store, a catalogue or a camera."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamplighter.cli.options import Json, RayAddress, Workers, exit_code, settings_of
from pipeline.errors import ConfigError
from pipeline.text import shown

if TYPE_CHECKING:
    from lamplighter.desk.scan import ScanPlan
    from lamplighter.desk.tally import Tally
    from lamplighter.settings import Settings
    from pipeline.clip import Condition
    from workers.scan import FileEvent, Scanned

_TOLD = 20  # files that lack something, told one by one
_NAMED = 3  # files without an event, told by name


def scan(
    context: typer.Context,
    where: Annotated[list[str], typer.Argument(metavar="FILE", help="Video files, folders of them, patterns.")],
    *,
    cut: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write each event as an exact clip: DIR/FILE-01.mp4, ...")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw each file's timeline into this folder; of one file also FILE.png.")
    ] = None,
    as_csv: Annotated[
        str | None, typer.Option("--csv", metavar="FILE", help="Write the events as CSV; - = to standard output.")
    ] = None,
    by: Annotated[str, typer.Option(help="Order of table and CSV: time, or score (the highest first).")] = "time",
    resume: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep each file's result in FILE as it comes, and go on from there."),
    ] = None,
    workers: Workers = None,
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Find the events in video files, with their scores. Needs no store, catalogue or camera, and leaves none.

    Start, end and score of each event, in the time from the file's first frame; an event ends with its last frame, and
    has the rolls of the settings. A folder is searched through: what `ingest` would take is scanned, the rest counted.

    The settings are those of the section [detection]: change them by --config FILE, or by the environment, such as
    LAMPLIGHTER_DETECTION__MIN_EVENT_S=2. A file has no place, so the sun does not tell night from day: [day] and
    [night] count with darkness.by = "picture" alone. A raw stream needs ingest.raw_rate.

    One file, or files of less than 64 MB together, are scanned in this process, more on a Ray of its own, unless
    --workers says otherwise. With --resume a run that was stopped, even killed, goes on where it was: only files,
    settings and versions that changed are scanned again. A bad file costs one line on standard error and exit code 1.

    A cut holds exactly the frames of its event; it is decoded and compared with its source before it counts. A file
    that is there already is never written over by another: what is not cut is said, with exit code 1.
    """
    if by not in {"time", "score"}:
        raise ConfigError(f"--by: wanted time or score, got {by!r}")
    if as_json and as_csv == "-":
        raise ConfigError("--json and --csv -: both would be standard output; give one of them, or --csv FILE")
    settings = settings_of(context, batch={"workers": workers, "ray_address": ray_address})
    outputs = () if as_csv in {None, "-"} else (Path(str(as_csv)),)
    tally = _scanned(settings, where, _plan(cut, picture, resume, outputs), quiet=as_json)
    _tell(tally, outputs, by=by, to_stdout="json" if as_json else "csv" if as_csv == "-" else "table")
    exit_code(tally)
    if any(result.uncut for result in tally.results):
        raise typer.Exit(1)


def _tell(tally: Tally, outputs: Sequence[Path], *, by: str, to_stdout: str) -> None:
    """Write and print what was found, and on standard error what was not whole, set aside or passed over."""
    from lamplighter.cli import tables
    from lamplighter.desk.files import write_file

    rows = [(result.file, event) for result in tally.results for event in result.events]
    if by == "score":
        rows.sort(key=lambda row: (-row[1].score, row[0], row[1].start_ms))
    for path in outputs:
        write_file(path, _csv(rows))
    if to_stdout == "json":
        counts = {"found": tally.found, "left_out": tally.left.document()}
        tables.write_json_list("files", map(_file, tally.results), tables.tally_document(tally) | counts)
    elif to_stdout == "csv":
        tables.write_text(_csv(rows))
    else:
        _print(tally, rows)
    for line in _lacking(tally.results):
        tables.warn(line)
    for result in tally.results:
        if result.uncut:
            tables.tell(shown(f"not cut: {result.file}: {result.uncut}"))
    tables.tell_aside(tally)
    if footage := tally.left.footage:
        tables.warn(f"passed over, though they may hold footage: {footage}; name such a file outright to have it read")


def _plan(cut: Path | None, picture: Path | None, resume: Path | None, outputs: tuple[Path, ...]) -> ScanPlan:
    from lamplighter.desk.scan import ScanPlan

    if picture is None:
        return ScanPlan(cut, resume=resume, outputs=outputs)
    from lamplighter.report.scan import draw_file

    return ScanPlan(cut, picture, draw_file, resume, outputs)


def _scanned(settings: Settings, where: Sequence[str], plan: ScanPlan, *, quiet: bool) -> Tally:
    """Scan behind a progress bar; who stops it is told how to go on."""
    from lamplighter.cli import tables
    from lamplighter.desk.scan import scan as scanned

    seen: list[Tally] = []
    try:
        with tables.followed("Scanning", quiet=quiet) as show:

            def saw(tally: Tally) -> None:
                seen[:] = [tally]
                show(tally)

            return scanned(settings, where, plan, saw=saw)
    except KeyboardInterrupt:
        if seen:
            told = f"stopped after {seen[0].finished:,} of {seen[0].planned:,} files"
            kept = f"their results are kept in {plan.resume}, run it again for the rest"
            tables.tell(f"{told}; {kept if plan.resume else 'with --resume FILE the next run would go on there'}")
        raise


def _print(tally: Tally, rows: Sequence[tuple[str, FileEvent]]) -> None:
    from lamplighter.cli import tables

    if rows:
        cuts = any(event.cut for _, event in rows)
        told = [(file, *_cells(event), *([event.cut] if cuts else [])) for file, event in rows]
        heads = ("file", "start", "end", "length", "score", *(["cut"] if cuts else []))
        tables.long_table("Events", *heads, rows=told, right=("start", "end", "length", "score"))
        tables.say()
    still = [result.file for result in tally.results if not result.events]
    files = len(tally.results)
    tables.say(f"{_events(len(rows))} in {files:,} file{'s' * (files != 1)}{_rest(tally)}.")
    if still and files > 1:
        named = ", ".join(still[:_NAMED]) if len(still) <= _NAMED else f"{len(still):,} of them"
        tables.say(f"No event in {named}.")


def _cells(event: FileEvent) -> tuple[str, str, str, str]:
    """Return start, end, length and score for people."""
    length_s = (event.end_ms - event.start_ms) / 1000
    score = f"{event.score:.4g}" if abs(event.score) < 1000 else f"{event.score:,.0f}"
    return _clock(event.start_ms), _clock(event.end_ms), f"{length_s:,.1f} s", score


def _rest(tally: Tally) -> str:
    """Tell of the files that were not scanned, or not now."""
    from workers.receipt import Outcome

    told = [(tally.outcomes.get(Outcome.ALREADY, 0), "known from before"), (len(tally.aside), "set aside")]
    told.append((tally.left.total, "passed over"))
    return "".join(f", {count:,} {what}" for count, what in told if count)


def _events(count: int) -> str:
    return f"{count:,} event{'s' * (count != 1)}" if count else "No events"


def _clock(ms: int) -> str:
    minutes, rest = divmod(ms, 60_000)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def _csv(rows: Sequence[tuple[str, FileEvent]]) -> bytes:
    """Return the events as CSV, names exact, byte for byte."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["file", "start_s", "end_s", "score", "cut"])
    for file, event in rows:
        times = (f"{event.start_ms / 1000:.3f}", f"{event.end_ms / 1000:.3f}")
        writer.writerow([file, *times, f"{event.score:.6g}", event.cut])
    return out.getvalue().encode(errors="surrogateescape")


def _file(result: Scanned) -> dict[str, Any]:
    events = [
        {"start_s": event.start_ms / 1000, "end_s": event.end_ms / 1000, "score": float(f"{event.score:.6g}")}
        | ({"cut": event.cut} if event.cut else {})
        for event in result.events
    ]
    facts = {"length_s": result.length_ms / 1000, "frames": result.frames, "night": result.night}
    lacks = result.condition
    told: dict[str, Any] = {
        "holes": [[start / 1000, end / 1000] for start, end in lacks.holes],
        "damaged": lacks.damaged,
        "missing": lacks.missing,
        "notes": list(lacks.notes),
    }
    told["uncut"] = result.uncut
    return {"file": result.file, "events": events} | facts | {name: value for name, value in told.items() if value}


def _lacking(results: Sequence[Scanned]) -> Iterator[str]:
    """Yield a line for each file that is not whole; of many, how many more there are."""
    lacking = [result for result in results if str(result.condition)]
    for result in lacking[:_TOLD]:
        yield f"{result.file}: {_told(result.condition)}"
    if more := len(lacking) - _TOLD if len(lacking) > _TOLD else 0:
        yield f"{more:,} more files are not whole; --json tells all of each"


def _told(lacks: Condition) -> str:
    holes = [hole for hole in lacks.holes if hole[0] >= 0]  # of what was before the first frame a note tells
    parts = [f"no picture from {_clock(start)} to {_clock(end)}" for start, end in holes[:3]]
    parts += [f"{len(holes) - 3:,} more such holes"] if len(holes) > 3 else []
    parts += [f"{lacks.damaged:,} damaged frames"] if lacks.damaged else []
    parts += [f"{lacks.missing:,} missing frames"] if lacks.missing else []
    return "; ".join([*parts, *lacks.notes])
