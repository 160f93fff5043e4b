"""`lamplighter picture`: what moved in a clip or before a camera, and what two settings make of it, as pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from lamplighter.cli import tables
from lamplighter.cli.options import Json, settings_of, write_file
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.report.heat import CameraHeat, HeatMap
from lamplighter.report.page import OPERATORS_ONLY, SHOWS_FOOTAGE, Section, page
from lamplighter.report.pictures import WIDTH, Strip, strip, timeline
from lamplighter.settings import Settings, load
from pipeline.activity import Activity
from pipeline.clip import Camera, Clip
from pipeline.detection.detect import Event, detect
from pipeline.detection.gates import Detection
from pipeline.detection.trace import watched_cells
from pipeline.errors import ConfigError
from pipeline.span import NS, Span, iso
from storage.archive import Ingested

_LISTED = 500  # events and clips a page lists; pictures show them all


@dataclass(frozen=True, slots=True)
class _Found:
    """What one set of settings finds: (clip, event) in order of time, and the settings `used` by day and by night."""

    name: str
    settings: Settings
    camera: Camera
    events: list[tuple[Clip, Event]] = field(default_factory=list)
    used: dict[str, Detection] = field(default_factory=dict)

    def detection(self, clip: Clip, activity: Activity) -> Detection:
        holds = self.settings.layers.for_clip(self.camera, clip, activity)
        return self.used.setdefault(holds.profile, holds.detection)

    @property
    def spans(self) -> list[Span]:
        return [clip.between(event.start_pts, event.end_pts) for clip, event in self.events]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the pictures need of the clips, in order of time."""

    clips: list[Ingested]
    strips: list[Strip]
    cold: list[int]
    place: CameraHeat


def picture(
    context: typer.Context,
    thing: Annotated[str, typer.Argument(help="A clip, or a camera: all its clips in order of time.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder to write timeline.png, heat.png and page.html into.")],
    compare: Annotated[
        Path | None, typer.Option(help="Another settings file (TOML), its events drawn below those in force.")
    ] = None,
    still: Annotated[bool, typer.Option(help="Draw the heat map over a frame of the footage.")] = True,
    as_json: Json = False,
) -> None:
    """Draw activity and events over time, and where it moves, as PNG and one page. For operators and owners only.

    Nothing is measured again. The page shows a frame of the footage, unless --no-still is given: keep it like footage.
    """
    settings = settings_of(context)
    other = None if compare is None else load(compare, flags=context.obj[1])
    with open_desk(settings) as desk:
        camera, clips = _clips(desk, thing)
        found = [_Found("in force", settings, camera)]
        if compare is not None and other is not None:
            found.append(_Found(compare.name, other, camera))
        seen = _look(desk, clips, found, quiet=as_json)
        title = f"{'Clip' if clips[0].clip.id == thing else 'Camera'} {thing}"
        heat = seen.place.draw(desk, title=f"{title}: where it moves", still=still)
    drawn = {
        "timeline.png": timeline(
            seen.strips, [(one.name, one.spans) for one in found], title=f"{title}: activity and events"
        ),
        "heat.png": heat.picture,
    }
    sections = _sections(seen, found, drawn["timeline.png"], heat)
    notice = SHOWS_FOOTAGE if heat.shows_footage else OPERATORS_ONLY
    text = page(f"{title}: motion and events", sections, notice=notice)
    files = {out / name: data for name, data in (drawn | {"page.html": text.encode()}).items()}
    for path, data in files.items():
        write_file(path, data)
    events = {one.name: len(one.events) for one in found}
    if as_json:
        tables.write_json(
            {
                "written": [str(file) for file in files],
                "clips": len(clips),
                "events": events,
                "shows_footage": heat.shows_footage,
            }
        )
        return
    counts = ", ".join(f"{name}: {count:,} events" for name, count in events.items())
    tables.out.print(f"{title}: {tables.clip_count(len(clips))}; {counts}", markup=False)
    tables.table("Written", "file", "bytes", rows=[(file, f"{file.stat().st_size:,}") for file in files])
    if heat.shows_footage:
        tables.out.print("The heat map and the page show footage: for the operator and the owner, never a requester.")


def _clips(desk: Desk, thing: str) -> tuple[Camera, list[Ingested]]:
    one = desk.catalog.clip(thing)
    camera = desk.catalog.camera(thing if one is None else one.clip.camera)
    if camera is None:
        raise ConfigError(f"there is no clip and no camera {thing!r}; `lamplighter show` and `show CAMERA` list them")
    clips = desk.catalog.clips(thing) if one is None else [one]
    if not clips:
        raise ConfigError(f"camera {thing} has no clips yet; `lamplighter ingest` takes them in")
    return camera, clips


def _look(desk: Desk, clips: Sequence[Ingested], found: Sequence[_Found], *, quiet: bool) -> _Seen:
    """Read each activity once."""
    footage = sum(one.clip.span.duration_ns for one in clips)
    seen = _Seen(list(clips), [], [], CameraHeat())
    with tables.progress(quiet=quiet or len(clips) < 20) as bars:
        for ingested in bars.track(clips, description="Reading activity"):
            clip, activity = ingested.clip, desk.archive.activity(ingested)
            watched = watched_cells(activity, found[0].detection(clip, activity))
            # A month of a camera holds 39 million frames: a clip gets the pixel columns it will be drawn with.
            columns = 2 + WIDTH * clip.span.duration_ns // footage
            seen.strips.append(strip(activity, clip.start_ns, columns=columns, watched=watched))
            seen.cold.append(activity.cold)
            seen.place.add(clip, activity, watched)
            for one in found:
                one.events.extend((clip, event) for event in detect(activity, one.detection(clip, activity)))
    return seen


def _sections(seen: _Seen, found: Sequence[_Found], drawn: bytes, heat: HeatMap) -> list[Section]:
    hours = sum(one.clip.span.duration_ns for one in seen.clips) / NS / 3600
    first, last = seen.clips[0].clip.span, seen.clips[-1].clip.span
    versions = sorted({one.version for one in seen.clips})
    activity = (
        f"{tables.clip_count(len(seen.clips))} of camera {seen.clips[0].clip.camera}, {hours:.2f} hours "
        f"from {_second(first.start_ns)} to {_second(last.end_ns)}, measured by {', '.join(versions)}.\n\n"
        "The upper curve is the share in motion of the watched cell that moves most, the lower one the share of the "
        "whole picture, each the highest of its pixel column. Below are the events, pre- and post-roll included."
    )
    return [
        Section("Activity and events", activity, drawn),
        Section("Where it moves", heat.text, heat.picture),
        Section("Settings", _differences(found), table=_settings(found)),
        Section("Events", _cut_short(max(len(one.events) for one in found)), table=_events(found)),
        Section("Clips", _cut_short(len(seen.clips)), table=_clip_rows(seen, found)),
    ]


def _settings(found: Sequence[_Found]) -> list[Sequence[object]]:
    profiles = sorted({profile for one in found for profile in one.used})
    columns = [(one, profile) for profile in profiles for one in found if profile in one.used]
    heads = [one.name if len(profiles) == 1 else f"{one.name}, by {profile}" for one, profile in columns]
    documents = [dict(tables.settings_rows(one.used[profile].model_dump(mode="json"))) for one, profile in columns]
    return [("detection", *heads), *((name, *(document[name] for document in documents)) for name in documents[0])]


def _differences(found: Sequence[_Found]) -> str:
    if len(found) == 1:
        return ""
    one, other = (item.used for item in found)
    pairs = [(one[profile], other[profile]) for profile in one if profile in other]
    differing = [name for name in Detection.model_fields if any(getattr(a, name) != getattr(b, name) for a, b in pairs)]
    return f"They differ in {', '.join(differing)}." if differing else "Both are the same."


def _events(found: Sequence[_Found]) -> list[Sequence[object]]:
    rows: list[Sequence[object]] = [("settings", "start (UTC)", "length (s)", "peak (%)", "cells", "clip")]
    for one in found:
        for (clip, event), span in list(zip(one.events, one.spans, strict=True))[:_LISTED]:
            length = round(span.duration_ns / NS, 1)
            rows.append((one.name, _second(span.start_ns), length, round(100 * event.peak), event.cells, clip.id))
    return rows if len(rows) > 1 else [*rows, ("none were found", *[""] * 5)]


def _clip_rows(seen: _Seen, found: Sequence[_Found]) -> list[Sequence[object]]:
    head = ("clip", "start (UTC)", "length (s)", "frames", "cold frames", *(f"events {one.name}" for one in found))
    counts = [Counter(clip.id for clip, _ in one.events) for one in found]
    rows: list[Sequence[object]] = [head]
    for ingested, cold in list(zip(seen.clips, seen.cold, strict=True))[:_LISTED]:
        clip = ingested.clip
        length = round(clip.span.duration_ns / NS, 1)
        numbers = (length, clip.stream.frames, cold, *(count[clip.id] for count in counts))
        rows.append((clip.id, _second(clip.start_ns), *numbers))
    return rows


def _cut_short(count: int) -> str:
    return f"The first {_LISTED} of {count:,} are listed; the pictures show all." if count > _LISTED else ""


def _second(t_ns: int) -> str:
    return iso(t_ns - t_ns % NS)
