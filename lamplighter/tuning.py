"""`lamplighter tune`: settings chosen on stored activity, by labels or by a rate of events, written as TOML."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import tomlkit
import typer

from lamplighter import tables
from lamplighter.desk import Desk, open_desk
from lamplighter.options import Json, settings_of
from lamplighter.page import Section, page
from lamplighter.pictures import Strip, curve, strip, timeline_of_strips
from pipeline.detect import Detection, Event, detect
from pipeline.errors import ConfigError
from pipeline.labels import Labels, read_labels, settle_labels
from pipeline.span import NS, Span, parse_iso
from pipeline.tune import (
    SWEPT,
    Changes,
    Footage,
    Score,
    Sweep,
    best,
    front,
    missed,
    nearest,
    never_fires,
    parse_rate,
    sweep,
)
from storage.archive import Ingested

_IN_FORCE, _DEFAULT, _GRID = 0, 1, 2  # where trials stand
_LISTED = 20  # lost events and rows of a front that are shown
_FEW = 3  # events below which a rate says little


@dataclass(slots=True)
class _Seen:
    """What the settings in force and the suggested ones find on one camera, and what is drawn of it."""

    now: list[tuple[Span, Event]] = field(default_factory=list)
    then: list[Span] = field(default_factory=list)
    lost: list[tuple[Span, Event]] = field(default_factory=list)
    strips: list[Strip] = field(default_factory=list)
    gained: int = 0


@dataclass(slots=True)
class _Tuned:
    """The outcome: the sweep, the trial suggested for the fleet and for each camera, and what was noticed."""

    swept: Sweep
    fleet: int
    cameras: dict[str, int]
    warnings: list[str]
    labels: Labels | None
    per_day: Fraction | None
    seen: dict[str, _Seen] = field(default_factory=dict)

    def of(self, camera: str) -> int:
        """Return the trial suggested for a camera: its own, or the fleet's."""
        return self.cameras.get(camera, self.fleet)

    @property
    def hours(self) -> float:
        """Camera-hours of footage that were tried."""
        return sum(counts.duration_ns for counts in self.swept.cameras.values()) / (3600 * NS)


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
    write: Annotated[Path | None, typer.Option(help="Write the suggestion to this settings file (TOML).")] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder for pictures and one page of them.")] = None,
    as_json: Json = False,
) -> None:
    """Try a grid of detection settings on stored activity, and suggest the best. Nothing is measured again.

    With labels, best is the highest F1 over true spans; with --target, the settings that give about so many events and
    lose the least of those in force. The grid and the rule of what counts as found are in the section [tune].
    """
    settings = settings_of(context)
    if (labels is None) == (target is None):
        raise ConfigError("wanted a file of labels, or --target such as 6/day, and not both")
    per_day = parse_rate(target) if target is not None else None
    with open_desk(settings) as desk:
        clips = _clips(desk, camera, start, end)
        truth: Labels | None = None
        warnings: list[str] = []
        if labels is not None:
            truth, warnings = settle_labels(_read(labels), _spans(clips))
            clips = [one for one in clips if one.clip.camera in truth]
        swept = _sweep(desk, clips, truth, quiet=as_json)
        tuned = _choose(desk, swept, truth, per_day, warnings, per_camera=per_camera)
        if per_day is not None or pictures is not None:
            _look(desk, clips, tuned, strips=pictures is not None, quiet=as_json)
    text = _toml(_base(context), tuned, desk)
    written = _pictures(pictures, tuned, text) if pictures is not None else []
    if write is not None:
        _put(write, text.encode())
        written.append(write)
    if as_json:
        document = _document(tuned, desk) | {"toml": text, "written": [str(path) for path in written]}
        tables.write_json(document)
        return
    _print(tuned, desk)
    if write is None:
        tables.out.print("\nThe suggestion (--write FILE keeps it for --config):\n")
        tables.out.print(text.strip(), markup=False)
    for path in written:
        tables.out.print(f"written: {path}", markup=False)


def _clips(desk: Desk, cameras: Sequence[str] | None, start: str | None, end: str | None) -> list[Ingested]:
    known = {camera.id for camera in desk.catalog.cameras()}
    for camera in cameras or ():
        if camera not in known:
            raise ConfigError(f"there is no camera {camera!r}; `lamplighter show` lists them")
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


def _spans(clips: Sequence[Ingested]) -> dict[str, list[Span]]:
    spans: dict[str, list[Span]] = {}
    for one in clips:
        spans.setdefault(one.clip.camera, []).append(one.clip.span)
    return spans


def _read(file: Path) -> dict[str, list[Span]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: the labels cannot be read: {error}") from error
    return read_labels(text, source=str(file))


def _footage(desk: Desk, clips: Sequence[Ingested], what: str, *, quiet: bool) -> Iterator[Footage]:
    """Read one clip's activity after the other, with the settings in force for it."""
    with tables.progress(quiet=quiet) as bars:
        for one in bars.track(clips, description=what):
            activity = desk.archive.activity(one)
            yield Footage(one.clip, activity, desk.settings.detection)


def _sweep(desk: Desk, clips: Sequence[Ingested], truth: Labels | None, *, quiet: bool) -> Sweep:
    settings = desk.settings.tune
    shipped = {name: getattr(Detection(), name) for name in SWEPT}
    trials: list[Changes] = [{}, shipped, *settings.grid()]
    swept = sweep(_footage(desk, clips, "Trying settings", quiet=quiet), trials, rule=settings, labels=truth)
    if not any(counts.events[_GRID:].any() for counts in swept.cameras.values()):
        raise ConfigError(_why_never(desk, swept))
    return swept


def _why_never(desk: Desk, swept: Sweep) -> str:
    reasons = {_never(desk, swept, changes) for changes in swept.trials[_GRID:]}
    told = f"the strongest motion moved {swept.peak:.2f} of a cell, and at most {swept.cells} connected cells"
    if None not in reasons:
        return f"no setting of the grid can ever fire: {min(filter(None, reasons))}; mend [tune] in the settings file"
    return f"no setting of the grid gives any event in this footage: {told}; give [tune] lower values"


def _never(desk: Desk, swept: Sweep, changes: Changes) -> str | None:
    """Return why these settings cannot fire on any of the pictures there are."""
    detection = desk.settings.detection.model_copy(update=dict(changes))
    reasons = [never_fires(detection, *grid) for grid in swept.grids]
    return None if None in reasons else reasons[0]


def _choose(
    desk: Desk,
    swept: Sweep,
    truth: Labels | None,
    per_day: Fraction | None,
    warnings: list[str],
    *,
    per_camera: bool,
) -> _Tuned:
    settings = desk.settings.tune
    own: dict[str, int] = {}
    if per_day is None:
        fleet = best([swept.fleet(trial) for trial in range(len(swept.trials))], settings)
        for camera, counts in swept.cameras.items():
            scores = [counts.score(trial) for trial in range(len(swept.trials))]
            if per_camera and len(counts.truth) >= settings.min_labels:
                own[camera] = best(scores, settings, than=fleet)
            elif per_camera:
                warnings.append(
                    f"camera {camera} has {len(counts.truth)} true spans: too few for settings of its own "
                    f"(tune.min_labels is {settings.min_labels})"
                )
    else:
        fleet = nearest(list(swept.cameras.values()), per_day, settings)
        for camera, counts in swept.cameras.items():
            if per_camera:
                own[camera] = nearest([counts], per_day, settings)
            wanted = float(per_day * counts.duration_ns / (86_400 * NS))
            chosen = int(counts.events[own.get(camera, fleet)])
            if wanted < _FEW:
                warnings.append(
                    f"camera {camera} has {counts.duration_ns / (3600 * NS):.1f} h of footage, in which the target is "
                    f"{wanted:.1f} events: too little to tell settings apart"
                )
            elif per_camera and abs(chosen - wanted) > max(1, settings.near * wanted):
                warnings.append(
                    f"camera {camera}: the nearest the grid comes to {wanted:.1f} events is {chosen}; "
                    "give [tune] other values"
                )
    never = [reason for changes in swept.trials[_GRID:] if (reason := _never(desk, swept, changes))]
    if never:
        warnings.append(f"{len(never)} settings of the grid can never fire, such as: {never[0]}")
    own = {camera: trial for camera, trial in own.items() if trial != fleet}
    return _Tuned(swept, fleet, own, warnings, truth, per_day)


def _look(desk: Desk, clips: Sequence[Ingested], tuned: _Tuned, *, strips: bool, quiet: bool) -> None:
    """Find the events in force and those of the suggestion once more, with all that is known of them."""
    for item in _footage(desk, clips, "Comparing", quiet=quiet):
        camera, clip = item.clip.camera, item.clip
        seen = tuned.seen.setdefault(camera, _Seen())
        pairs = [
            [(Span(clip.time_ns(event.start_pts), clip.time_ns(event.end_pts)), event) for event in found]
            for found in (
                detect(item.activity, item.detection),
                detect(item.activity, item.under(tuned.swept.trials[tuned.of(camera)])),
            )
        ]
        now, then = ([span for span, _ in found] for found in pairs)
        gone = set(missed(then, now, rule=desk.settings.tune))
        seen.now += pairs[0]
        seen.then += then
        seen.lost += [(span, event) for span, event in pairs[0] if span in gone]
        seen.gained += len(missed(now, then, rule=desk.settings.tune))
        if strips:
            seen.strips.append(strip(item.activity, clip.start_ns))


# What is shown --------------------------------------------------------------------------------------------------------


def _values(desk: Desk, changes: Changes) -> dict[str, float]:
    return {name: changes.get(name, getattr(desk.settings.detection, name)) for name in SWEPT}


def _named(tuned: _Tuned) -> list[tuple[str, int]]:
    return [("in force", _IN_FORCE), ("shipped default", _DEFAULT), ("suggested", tuned.fleet)]


def _numbers(score: Score) -> dict[str, float | int | None]:
    return {
        "found": score.found,
        "missed": score.missed,
        "false_alarms": score.false_alarms,
        "precision": score.precision,
        "recall": score.recall,
        "f1": score.f1,
        "false_alarms_per_hour": score.false_alarms_per_hour,
    }


def _front(tuned: _Tuned) -> list[int]:
    return front([tuned.swept.fleet(trial) for trial in range(len(tuned.swept.trials))])


_COLUMNS = ("found", "missed", "false", "precision", "recall", "F1", "false/h")


def _cells(score: Score) -> list[str]:
    return [
        "-" if value is None else str(value) if isinstance(value, int) else f"{value:.3f}"
        for value in _numbers(score).values()
    ]


def _lost_rows(tuned: _Tuned) -> list[tuple[str, Span, Event]]:
    lost = [(camera, span, event) for camera, seen in tuned.seen.items() for span, event in seen.lost]
    return sorted(lost, key=lambda row: (-row[2].peak * row[2].cells, row[0], row[1]))


def _score_table(tuned: _Tuned, desk: Desk) -> list[list[object]]:
    swept = tuned.swept
    rows: list[list[object]] = [["settings", *_COLUMNS, *SWEPT]]
    chosen = _named(tuned) + [("Pareto front", trial) for trial in _front(tuned)[:_LISTED]]
    rows += [
        [name, *_cells(swept.fleet(trial)), *_values(desk, swept.trials[trial]).values()] for name, trial in chosen
    ]
    return rows


def _camera_table(tuned: _Tuned) -> list[list[object]]:
    swept = tuned.swept
    rows: list[list[object]] = [["camera", "settings", *_COLUMNS, "hours"]]
    for camera, counts in swept.cameras.items():
        trials = _named(tuned) + ([("its own", tuned.cameras[camera])] if camera in tuned.cameras else [])
        for name, trial in trials:
            rows.append([camera, name, *_cells(counts.score(trial)), f"{counts.duration_ns / (3600 * NS):.2f}"])
    return rows


def _rate_table(tuned: _Tuned, desk: Desk) -> list[list[object]]:
    rows: list[list[object]] = [["camera", "hours", "events now", "a day", "then", "a day ", "lost", "new", *SWEPT]]
    for camera, seen in tuned.seen.items():
        counts = tuned.swept.cameras[camera]
        days = counts.duration_ns / (86_400 * NS)
        values = _values(desk, tuned.swept.trials[tuned.of(camera)]).values()
        now, then = len(seen.now), len(seen.then)
        rates = [now, f"{now / days:.1f}", then, f"{then / days:.1f}", len(seen.lost), seen.gained]
        rows.append([camera, f"{counts.duration_ns / (3600 * NS):.2f}", *rates, *values])
    return rows


def _lost_table(tuned: _Tuned) -> list[list[object]]:
    rows: list[list[object]] = [["camera", "event", "cells", "peak"]]
    for camera, span, event in _lost_rows(tuned)[:_LISTED]:
        rows.append([camera, tables.short_span(span), event.cells, f"{event.peak:.2f}"])
    return rows


def _shown(tuned: _Tuned, desk: Desk) -> list[tuple[str, list[list[object]]]]:
    """Return the tables with their titles, the head of each first."""
    grid = len(tuned.swept.trials) - _GRID
    if tuned.per_day is None:
        return [
            (f"Fleet: {grid} settings over {tuned.hours:.2f} camera-hours", _score_table(tuned, desk)),
            ("By camera", _camera_table(tuned)),
        ]
    lost = _lost_rows(tuned)
    title = f"{float(tuned.per_day):g} events a day of each camera: {grid} settings over {tuned.hours:.2f} camera-hours"
    shown = [(title, _rate_table(tuned, desk))]
    if lost:
        shown.append((f"Lost: the strongest {min(len(lost), _LISTED)} of {len(lost)} events", _lost_table(tuned)))
    return shown


def _print(tuned: _Tuned, desk: Desk) -> None:
    for warning in tuned.warnings:
        tables.err.print(f"warning: {warning}", markup=False)
    for number, (title, (head, *rows)) in enumerate(_shown(tuned, desk)):
        names = [str(name) for name in head]
        right = [name for name in names if name not in {"camera", "settings", "event"}]
        tables.table("\n" * bool(number) + title, *names, rows=rows, right=right)
    if tuned.per_day is None and tuned.fleet == _IN_FORCE:
        tables.out.print("\nNo setting of the grid does better than those in force: they stay.")


def _document(tuned: _Tuned, desk: Desk) -> dict[str, Any]:
    swept = tuned.swept

    def told(trial: int, camera: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = {"settings": _values(desk, swept.trials[trial])}
        if tuned.per_day is None:
            return found | _numbers(swept.fleet(trial) if camera is None else swept.cameras[camera].score(trial))
        counted = swept.cameras.values() if camera is None else [swept.cameras[camera]]
        return found | {"events": int(sum(counts.events[trial] for counts in counted))}

    document: dict[str, Any] = {name.replace(" ", "_"): told(trial) for name, trial in _named(tuned)}
    document |= {"warnings": tuned.warnings, "hours": tuned.hours, "tried": len(swept.trials) - _GRID, "cameras": {}}
    for camera, counts in swept.cameras.items():
        one: dict[str, Any] = {name.replace(" ", "_"): told(trial, camera) for name, trial in _named(tuned)}
        one |= {"hours": counts.duration_ns / (3600 * NS), "clips": counts.clips, "own": None}
        if camera in tuned.cameras:
            one["own"] = told(tuned.cameras[camera], camera)
        if tuned.per_day is not None:
            seen = tuned.seen[camera]
            one |= {
                "events_now": len(seen.now),
                "events_then": len(seen.then),
                "new": seen.gained,
                "lost": len(seen.lost),
            }
        document["cameras"][camera] = one
    if tuned.per_day is None:
        return document | {"front": [told(trial) for trial in _front(tuned)]}
    lost = [{"camera": camera, "span": str(span), **asdict(event)} for camera, span, event in _lost_rows(tuned)]
    return document | {"events_per_day": float(tuned.per_day), "lost": lost}


# What is written ------------------------------------------------------------------------------------------------------


def _base(context: typer.Context) -> tomlkit.TOMLDocument:
    """Return the settings file in use, or an empty one: what is suggested takes its place."""
    chosen = context.obj[0] or os.environ.get("LAMPLIGHTER_CONFIG")
    return tomlkit.parse(Path(chosen).read_text(encoding="utf-8")) if chosen else tomlkit.document()


def _toml(base: tomlkit.TOMLDocument, tuned: _Tuned, desk: Desk) -> str:
    """Return the settings file in use with the suggestion in it, comments and all."""
    fleet = _values(desk, tuned.swept.trials[tuned.fleet])
    _table(base, "detection").update(fleet)
    for camera, trial in tuned.cameras.items():
        values = _values(desk, tuned.swept.trials[trial])
        own = {name: value for name, value in values.items() if value != fleet[name]}
        if own:
            _table(_table(base, "camera", inner=True), camera).update(own)
    head = f"# Suggested by `lamplighter tune` over {tuned.hours:.2f} camera-hours"
    if tuned.per_day is None:
        score = tuned.swept.fleet(tuned.fleet)
        found = f"{score.found} of {score.found + score.missed} true spans found, {score.false_alarms} false alarms"
        head += f": {found}, on the footage it was chosen on"
    else:
        head += f" for {float(tuned.per_day):g} events a day of each camera"
    body = tomlkit.dumps(base)
    kept = "\n".join(line for line in body.splitlines() if not line.startswith("# Suggested by `lamplighter tune`"))
    return f"{head}.\n{kept.lstrip()}\n"


def _table(parent: Any, name: str, *, inner: bool = False) -> Any:  # noqa: ANN401 - tables of any depth
    if name not in parent:
        parent[name] = tomlkit.table(is_super_table=inner)
    return parent[name]


def _put(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{os.getpid()}-{path.name}")
        draft.write_bytes(data)
        draft.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def _pictures(folder: Path, tuned: _Tuned, text: str) -> list[Path]:
    drawn: dict[str, tuple[str, bytes]] = {}
    if tuned.per_day is None:
        swept = tuned.swept
        points = [((score := swept.fleet(trial)).precision, score.recall) for trial in range(len(swept.trials))]
        drawn["precision-recall.png"] = (
            "Precision and recall",
            curve(
                points[_GRID:],
                front=[points[trial] for trial in _front(tuned)],
                default=points[_IN_FORCE],
                suggested=points[tuned.fleet],
                title="All settings tried, over the fleet",
            ),
        )
    for camera, seen in tuned.seen.items():
        rows = [("in force", [span for span, _ in seen.now]), ("suggested", seen.then)]
        truth = None if tuned.labels is None else tuned.labels[camera]
        picture = timeline_of_strips(seen.strips, rows, title=f"Camera {camera}", truth=truth)
        drawn[f"timeline-{camera}.png"] = (f"Camera {camera}", picture)
    sections = [Section(title, picture=picture) for title, picture in drawn.values()]
    sections.append(Section("The suggestion, as a settings file", text))
    for name, (_, picture) in drawn.items():
        _put(folder / name, picture)
    _put(folder / "page.html", page("Detection settings", sections).encode())
    return [*(folder / name for name in drawn), folder / "page.html"]
