"""`lamplighter explain`: why a clip has these events, or none; and where each setting of a camera comes from."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from lamplighter.cli import tables
from lamplighter.cli.options import Json, settings_of
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import Settings
from pipeline.clip import Camera, Clip
from pipeline.detection.explain import Explanation, explain, obstacles
from pipeline.detection.gates import Detection
from pipeline.detection.layers import Resolved, header
from pipeline.errors import ConfigError
from pipeline.span import iso

_LISTED = 30  # runs of motion that are printed; --json has all


def explain_clip(
    context: typer.Context,
    clip: Annotated[str, typer.Argument(help="The clip's id; `lamplighter show CAMERA` lists them.")],
    as_json: Json = False,
) -> None:
    """Tell why a clip has these events, or none: what each setting leaves of its frames, and where it comes from.

    Each stretch of motion is told with the first setting that leaves nothing of it. Of a clip without events it is
    also told which setting would give one, changed alone and as little as possible. Nothing is measured again.
    """
    with open_desk(settings_of(context)) as desk:
        ingested = desk.catalog.clip(clip)
        if ingested is None:
            raise ConfigError(f"there is no clip {clip!r}; `lamplighter show CAMERA` lists those of a camera")
        activity, holds = desk.motion(desk.camera_of(ingested), ingested)
        found = explain(activity, holds.detection)
        if as_json:
            tables.write_json(_document(desk.settings, ingested.clip, holds, found))
        else:
            _print(desk.settings, ingested.clip, holds, found)


def camera_settings(desk: Desk, camera: Camera, *, as_json: bool) -> None:
    """Print every detection setting of a camera by day and by night, with where it comes from."""
    settings = desk.settings
    day, night = (settings.layers.of(camera.id, night=dark) for dark in (False, True))
    never = _never(desk, camera)
    if as_json:
        document: dict[str, Any] = {holds.profile: _values(settings, holds) for holds in (day, night)}
        document |= {"darkness": settings.darkness.model_dump(mode="json"), "never_fires": never}
        tables.write_json({"camera": camera.id, **document})
        return
    rows = []
    for key in Detection.model_fields:
        told = [(_shown(holds.detection, key), settings.whence(holds, key)) for holds in (day, night)]
        rows += [(key, "", *told[0])] if told[0] == told[1] else [(key, "day", *told[0]), ("", "night", *told[1])]
    tables.table(f"Detection settings of camera {camera.id}", "setting", "by", "value", "from", rows=rows)
    darkness = settings.darkness
    tables.out.print(
        {
            "sun": f"\nNight is when the sun stands lower than {darkness.below_degrees:g} degrees as a clip starts.",
            "picture": f"\nNight is when a clip's mean brightness is below {darkness.below_luma:g} grey levels.",
            "never": "\nIt is never night: darkness.by is never.",
        }[darkness.by]
    )
    for reason in never:
        tables.warn(f"these settings can never fire {reason}")


def _never(desk: Desk, camera: Camera) -> list[str]:
    """Return why the settings can find nothing in pictures of the camera's last clip, by day and by night."""
    clips = desk.catalog.clips(camera.id)
    if not clips:
        return []
    activity, _ = desk.motion(camera, clips[-1])
    held = [desk.settings.layers.of(camera.id, night=night) for night in (False, True)]
    return [f"by {holds.profile}: {reason}" for holds in held for reason in obstacles(activity.layout, holds.detection)]


def _values(settings: Settings, holds: Resolved) -> dict[str, dict[str, Any]]:
    return {
        key: {"value": value, "table": header(holds.tables[key]), "from": settings.origin(*holds.tables[key], key)}
        for key, value in holds.detection.model_dump(mode="json").items()
    }


def _shown(detection: Detection, key: str) -> str:
    value = getattr(detection, key)
    return json.dumps(value) if value != () else "none"


def _document(settings: Settings, clip: Clip, holds: Resolved, found: Explanation) -> dict[str, Any]:
    document = asdict(found)
    for part in [*document["runs"], *document["events"]]:
        start, end = part.pop("start_pts"), part.pop("end_pts")
        part["span"] = str(clip.between(start, end))
    for part in [*document["events"], *document["remedies"], *([document["strongest"]] if found.strongest else [])]:
        for name in [name for name in part if name.endswith("pts")]:
            part[name.replace("pts", "at")] = iso(clip.time_ns(part.pop(name)))
    facts = {"clip": clip.id, "camera": clip.camera, "span": str(clip.span), "profile": holds.profile}
    return facts | document | {"settings": _values(settings, holds)}


def _print(settings: Settings, clip: Clip, holds: Resolved, found: Explanation) -> None:
    count = len(found.events)
    events = "no event" if not count else "1 event" if count == 1 else f"{count} events"
    tables.out.print(
        f"Clip {clip.id} of camera {clip.camera}, {tables.short_span(clip.span)}, by {holds.profile}: {events}"
    )
    for reason in found.obstacles:
        tables.warn(f"these settings can never fire: {reason}")
    if found.strongest is None:
        tables.out.print("Nothing moved: no cell differs from the background in any frame.")
        return
    strongest = found.strongest
    tables.out.print(
        f"The strongest motion is {strongest.share:.2f} of the cell in row {strongest.row + 1}, column "
        f"{strongest.column + 1} at {_clock(clip, strongest.pts)}"
        f"{'' if strongest.watched else ', which no zone watches'}."
    )
    if found.cold == found.frames:
        tables.out.print(
            "The clip is too short to know the background well; all of its frames count for lack of others."
        )
    if count:
        tables.table(
            "\nEvents, rolls included",
            *("start", "length", "connected cells", "peak"),
            rows=[
                (_clock(clip, one.start_pts), _length(clip, one.start_pts, one.end_pts), one.cells, f"{one.peak:.2f}")
                for one in found.events
            ],
            right=("length", "connected cells", "peak"),
        )
    _print_steps(settings, holds, found)
    _print_runs(clip, holds, found)
    if found.remedies:
        tables.table(
            "\nEach of these alone would give an event",
            *("setting", "now", "would do", "event from"),
            rows=[
                (
                    one.setting,
                    _shown(holds.detection, one.setting),
                    "none" if one.value == () else f"{one.value:g}",
                    _clock(clip, one.start_pts),
                )
                for one in found.remedies
            ],
        )
    elif not count:
        tables.out.print("\nNo setting changed alone would give an event: several stand in its way.")


def _print_runs(clip: Clip, holds: Resolved, found: Explanation) -> None:
    if not found.runs:
        tables.out.print(f"\nNo watched cell moves by {holds.detection.sensitivity:g}, the sensitivity, in any frame.")
        return
    rest = f" (the first {_LISTED} of {len(found.runs):,})" if len(found.runs) > _LISTED else ""
    tables.table(
        f"\nStretches in which watched cells moved{rest}",
        *("start", "length", "what became of it"),
        rows=[
            (_clock(clip, run.start_pts), _length(clip, run.start_pts, run.end_pts), run.why or "in an event")
            for run in found.runs[:_LISTED]
        ],
        right=("length",),
    )


def _print_steps(settings: Settings, holds: Resolved, found: Explanation) -> None:
    rows: list[tuple[object, ...]] = [("all frames", found.frames, "", "")]
    for step in found.steps:
        if step.setting == "cold":
            rows.append(("background known", step.frames, "", ""))
            continue
        for number, key in enumerate(step.setting.split(", ")):
            left = "" if number else step.frames
            rows.append((key, left, _shown(holds.detection, key), settings.whence(holds, key)))
    tables.table("\nFrames left after each setting", "setting", "frames", "value", "from", rows=rows, right=("frames",))


def _length(clip: Clip, start_pts: int, end_pts: int) -> str:
    return f"{float((end_pts - start_pts) * clip.stream.time_base):.2f} s"


def _clock(clip: Clip, pts: int) -> str:
    t_ns = clip.time_ns(pts)
    return iso(t_ns - t_ns % 10_000_000).partition("T")[2]
