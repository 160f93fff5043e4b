"""`lamplighter tune`: settings chosen on stored activity, by labels or by a rate of events."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from lamplighter.cli import tables
from lamplighter.cli.options import Json, settings_of, write_file
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.report.pictures import WIDTH, strip
from lamplighter.report.suggestion import Seen, Suggestion, is_ours
from lamplighter.settings import Settings, revised
from pipeline.detection.detect import detect
from pipeline.detection.labels import Labels, listed, read_labels, scorable_labels
from pipeline.detection.layers import header
from pipeline.detection.score import missed
from pipeline.detection.sweep import Footage, Sweep, sweep
from pipeline.detection.trace import watched_cells
from pipeline.detection.trials import GRID, SWEPT
from pipeline.detection.tune import best, nearest, parse_rate
from pipeline.errors import ConfigError
from pipeline.span import NS, Span, parse_iso
from storage.archive import Ingested

_HOUR_NS, _DAY_NS = 3600 * NS, 86_400 * NS
_FEW = 3  # events below which a rate says little


def tune(
    context: typer.Context,
    labels: Annotated[
        Path | None, typer.Argument(help="True spans: CSV with camera,start,end (UTC), or JSON by camera.")
    ] = None,
    *,
    target: Annotated[str | None, typer.Option(help="Without labels: events wanted of a camera, e.g. 6/day.")] = None,
    camera: Annotated[list[str] | None, typer.Option(help="Only this camera; give it again for more.")] = None,
    start: Annotated[str | None, typer.Option(help="Only clips that reach past this time.")] = None,
    end: Annotated[str | None, typer.Option(help="Only clips that start before this time.")] = None,
    per_camera: Annotated[bool, typer.Option(help="Suggest for single cameras too, where they gain by it.")] = True,
    write: Annotated[
        Path | None, typer.Option(help="Write the settings file in use, with the suggestion in it, to this file.")
    ] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder for pictures and one page of them.")] = None,
    still: Annotated[bool, typer.Option(help="Draw heat maps over a frame of each camera's footage.")] = True,
    as_json: Json = False,
) -> None:
    """Try a grid of detection settings on stored activity, and suggest the best. Nothing is measured again.

    With LABELS, best is the highest F1 over true spans. A true span is found when an event shares time with it; an
    event that finds none is a false alarm. Several events in one true span are one find and no false alarm; one event
    over several true spans finds them all, unless true spans fill less than a quarter of it. Rolls do not count.

    With --target, best is what gives about so many events and loses the least of those in force.

    The grid, and what counts as found, are in the section [tune] of the settings. What [day], [night] or a camera's
    own table holds stays as it is, and is tried as it is.
    """
    settings = settings_of(context)
    if (labels is None) == (target is None):
        raise ConfigError("wanted a file of labels, or --target such as 6/day, and not both")
    per_day = None if target is None else parse_rate(target)
    base = _base(context.obj[0], write)
    with open_desk(settings) as desk:
        clips = _clips(desk, camera, start, end)
        truth: Labels | None = None
        warnings = _noticed(desk, clips)
        if labels is not None:
            found = {name: spans for name, spans in _read(labels).items() if not camera or name in camera}
            truth, faults = scorable_labels(found, _spans(clips))
            warnings += faults
            clips = [one for one in clips if one.clip.camera in truth]
        swept = _sweep(desk, clips, truth, quiet=as_json)
        suggestion = _choose(settings, swept, truth, per_day, per_camera=per_camera)
        suggestion.warnings = warnings + suggestion.warnings
        if per_day is not None or pictures is not None:
            _look(desk, clips, suggestion, quiet=as_json)
        if pictures is not None:
            for name, seen in suggestion.seen.items():
                seen.heat = seen.place.draw(desk, title=f"Camera {name}: where it moves", still=still)
    text = suggestion.toml(base)
    files = {} if pictures is None else {pictures / name: data for name, data in suggestion.pictures(text).items()}
    if write is not None:
        files[write] = text.encode()
    for path, data in files.items():
        write_file(path, data)
    if as_json:
        written = {"written": [str(path) for path in files], "shows_footage": suggestion.shows_footage}
        tables.write_json(suggestion.document() | {"toml": text} | written)
    else:
        _print(suggestion, list(files), kept=write is not None)


def _base(config: Path | None, write: Path | None) -> str:
    """Return the text of the settings file in use, "" for none, before any work: `write` must not lose another's."""
    used = config or (Path(chosen) if (chosen := os.environ.get("LAMPLIGHTER_CONFIG")) else None)
    if write is not None and write.exists() and not (used is not None and used.exists() and write.samefile(used)):
        try:
            ours = is_ours(write.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            ours = False
        if not ours:
            raise ConfigError(
                f"--write {write}: is there and is not the settings file in use, so what it holds would be lost; "
                f"use it (--config {write}) or name another file"
            )
    return used.read_text(encoding="utf-8") if used else ""


def _clips(desk: Desk, cameras: Sequence[str] | None, start: str | None, end: str | None) -> list[Ingested]:
    known = {camera.id for camera in desk.catalog.cameras()}
    for camera in cameras or ():
        if camera not in known:
            raise ConfigError(f"there is no camera {camera!r}; `lamplighter show` counts them")
    try:
        within = Span(parse_iso(start) if start else 0, parse_iso(end) if end else 2**63 - 1)
    except ValueError as error:
        raise ConfigError(f"--start and --end: {error}") from error
    clips = [one for one in desk.catalog.clips(span=within) if not cameras or one.clip.camera in cameras]
    if not clips:
        raise ConfigError(
            "there is no clip to tune on; `lamplighter ingest` takes clips in, `lamplighter show` counts them"
        )
    return clips


def _noticed(desk: Desk, clips: Sequence[Ingested]) -> list[str]:
    """Return what makes the outcome less than it seems: old activity, keys that stay as they are, unknown cameras."""
    settings, layers = desk.settings, desk.settings.layers
    warnings = []
    if old := sum(one.version != settings.measure.version() for one in clips):
        warnings.append(
            f"{old} of {len(clips)} clips were measured by another version or settings; "
            "`lamplighter ingest --remeasure` brings them up to date"
        )
    held: dict[tuple[str, ...], set[str]] = {}
    for camera in {one.clip.camera for one in clips}:
        for night in (False, True):
            for key, table in layers.of(camera, night=night).tables.items():
                if key in SWEPT and table != ("detection",):
                    held.setdefault(table, set()).add(key)
    warnings += [f"{header(table)} holds {', '.join(sorted(keys))}: kept" for table, keys in sorted(held.items())]
    for key in SWEPT:
        if (origin := settings.origin("detection", key)) in {"the environment", "the command line"}:
            warnings.append(f"detection.{key} is set by {origin}, which outweighs what a settings file says of it")
    return warnings + desk.strangers()


def _spans(clips: Sequence[Ingested]) -> dict[str, list[Span]]:
    spans: dict[str, list[Span]] = {}
    for one in clips:
        spans.setdefault(one.clip.camera, []).append(one.clip.span)
    return spans


def _read(file: Path) -> dict[str, list[Span]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{file}: the labels cannot be read: {reason}") from error
    return read_labels(text, source=str(file))


def _footage(desk: Desk, clips: Sequence[Ingested], what: str, *, quiet: bool) -> Iterator[Footage]:
    """Read one clip's activity after the other, with the settings in force for it."""
    cameras = {camera.id: camera for camera in desk.catalog.cameras()}
    with tables.progress(quiet=quiet) as bars:
        for one in bars.track(clips, description=what):
            camera = cameras.get(one.clip.camera) or desk.camera_of(one)
            activity, holds = desk.motion(camera, one)
            yield Footage(one.clip, activity, holds.detection, holds.pinned)


def _sweep(desk: Desk, clips: Sequence[Ingested], truth: Labels | None, *, quiet: bool) -> Sweep:
    settings = desk.settings.tune
    footage = _footage(desk, clips, "Trying settings", quiet=quiet)
    swept = sweep(footage, settings.trials(), rule=settings, labels=truth)
    if any(counts.events[GRID:].any() for counts in swept.cameras.values()):
        return swept
    never = [reason for trial, reason in swept.never.items() if trial >= GRID]
    if len(never) == len(swept.trials) - GRID:
        raise ConfigError(f"no setting of the grid can ever fire: {never[0]}; mend [tune] in the settings file")
    raise ConfigError(
        "no setting of the grid gives any event in this footage: "
        f"the strongest motion moved {swept.peak:.2f} of a cell, and at most {swept.cells} connected cells; "
        "give [tune] lower values"
    )


def _choose(
    settings: Settings, swept: Sweep, truth: Labels | None, per_day: Fraction | None, *, per_camera: bool
) -> Suggestion:
    if per_day is None:
        chosen = _by_labels(settings, swept, truth, per_camera=per_camera)
    else:
        chosen = _by_rate(settings, swept, per_day, per_camera=per_camera)
    chosen.warnings += [
        f"camera {camera}: the settings in force can never fire: {reason}" for camera, reason in swept.deaf.items()
    ]
    if never := [reason for trial, reason in swept.never.items() if trial >= GRID]:
        chosen.warnings.append(f"{len(never)} settings of the grid can never fire, such as: {never[0]}")
    return chosen


def _by_labels(settings: Settings, swept: Sweep, truth: Labels | None, *, per_camera: bool) -> Suggestion:
    fleet = best(swept.scores(), settings.tune)
    chosen = Suggestion(settings, swept, fleet, {}, truth, None)
    few = []
    for camera, counts in swept.cameras.items() if per_camera else ():
        if len(counts.truth) < settings.tune.min_labels:
            few.append(camera)
        elif (own := best(counts.scores(), settings.tune, than=fleet)) != fleet:
            chosen.cameras[camera] = own
    if few:
        chosen.warnings.append(
            f"too few true spans for settings of their own (tune.min_labels is {settings.tune.min_labels}): "
            f"{listed(few, 'camera')}"
        )
    return chosen


def _by_rate(settings: Settings, swept: Sweep, per_day: Fraction, *, per_camera: bool) -> Suggestion:
    fleet = nearest(list(swept.cameras.values()), per_day, settings.tune)
    chosen = Suggestion(settings, swept, fleet, {}, None, per_day)
    total = sum(counts.duration_ns for counts in swept.cameras.values())
    if per_day * total < _FEW * _DAY_NS:
        chosen.warnings.append(
            f"{total / _HOUR_NS:.1f} camera-hours of footage are too little to tell settings apart: the target is "
            f"{float(per_day * total / _DAY_NS):.1f} events in them"
        )
    short = []
    for camera, counts in swept.cameras.items() if per_camera else ():
        wanted = float(per_day * counts.duration_ns / _DAY_NS)
        if wanted < _FEW:
            short.append(camera)
            continue
        own = nearest([counts], per_day, settings.tune, than=fleet)
        if own != fleet:
            chosen.cameras[camera] = own
        got = int(counts.events[own])
        if abs(got - wanted) > max(1, settings.tune.near * wanted):
            chosen.warnings.append(
                f"camera {camera}: the nearest the grid comes to {wanted:.1f} events is {got}; give [tune] other values"
            )
    if short:
        chosen.warnings.append(
            f"too little footage for settings of their own (the target is fewer than {_FEW} events in it): "
            f"{listed(short, 'camera')}"
        )
    return chosen


def _look(desk: Desk, clips: Sequence[Ingested], suggestion: Suggestion, *, quiet: bool) -> None:
    """Find the events in force and those of the suggestion once more, with all that is known of them."""
    rule, trials = desk.settings.tune, suggestion.swept.trials
    for item in _footage(desk, clips, "Comparing", quiet=quiet):
        clip = item.clip
        seen = suggestion.seen.setdefault(clip.camera, Seen())
        pairs = [
            [(clip.between(event.start_pts, event.end_pts), event) for event in found]
            for found in (
                detect(item.activity, item.detection),
                detect(item.activity, item.under(trials[suggestion.of(clip.camera)])),
            )
        ]
        now, then = ([span for span, _ in found] for found in pairs)
        gone = set(missed(then, now, rule=rule))
        seen.now += pairs[0]
        seen.then += then
        seen.lost += [(span, event) for span, event in pairs[0] if span in gone]
        seen.gained += len(missed(now, then, rule=rule))
        footage = suggestion.swept.cameras[clip.camera].duration_ns
        watched = watched_cells(item.activity, item.detection)
        columns = 2 + WIDTH * clip.span.duration_ns // footage
        seen.strips.append(strip(item.activity, clip.start_ns, columns=columns, watched=watched))
        seen.place.add(clip, item.activity, watched)


def _print(suggestion: Suggestion, written: Sequence[Path], *, kept: bool) -> None:
    for warning in suggestion.warnings:
        tables.warn(warning)
    for number, (title, (head, *rows)) in enumerate(suggestion.tables()):
        names = [str(name) for name in head]
        right = [name for name in names if name not in {"", "camera", "settings", "event"}]
        tables.table("\n" * bool(number) + title, *names, rows=rows, right=right)
    if changes := suggestion.changes():
        tables.out.print(f"\nSuggested{'' if kept else ' (--write FILE puts it into a settings file)'}:\n")
        tables.out.print(revised("", changes).strip(), markup=False)
    else:
        tables.out.print("\nNothing that was tried does better than the settings in force: they stay.")
    for path in written:
        tables.out.print(f"written: {path}", markup=False)
    if written and suggestion.shows_footage:
        tables.out.print("Heat maps and the page show footage: for the operator and the owner, never a requester.")
