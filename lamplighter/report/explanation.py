"""Why a clip has these events, or none, and where a camera's settings come from: for people and for programs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from lamplighter.desk.explanation import Explained
from lamplighter.report.page import Section
from lamplighter.report.wording import lacks, short_span
from lamplighter.settings import Settings
from pipeline.clip import Clip
from pipeline.detection.gates import Detection, Value, written
from pipeline.detection.layers import Resolved, header
from pipeline.span import iso

_LISTED = 30  # runs of motion that are listed; the document has all
_WIDE = 96  # characters of a line of prose
_SECONDS = 12  # the strongest, of which the score is listed; the document has all


def explanation_document(explained: Explained, settings: Settings) -> dict[str, Any]:
    """Return everything for --json."""
    clip, holds = explained.clip, explained.holds
    document = asdict(explained.found)
    for part, event in zip(document["events"], explained.found.events, strict=True):
        part["cells"] = event.cells
    document["scores"] = [
        {"at": iso(clip.time_ns(pts)), "score": score, "usual": usual} for pts, score, usual in document["scores"]
    ]
    for part in [*document["runs"], *document["events"]]:
        start, end = part.pop("start_pts"), part.pop("end_pts")
        part["span"] = str(clip.between(start, end))
    strongest = [document["strongest"]] if explained.found.strongest else []
    for part in document["remedies"]:
        part["value"] = _would_do(holds.detection, part["setting"], part["value"])
    for part in [*document["events"], *document["remedies"], *strongest]:
        for name in [name for name in part if name.endswith("pts")]:
            part[name.replace("pts", "at")] = iso(clip.time_ns(part.pop(name)))
    facts: dict[str, Any] = {"clip": clip.id, "camera": clip.camera, "span": str(clip.span), "profile": holds.half}
    condition = clip.stream.condition
    facts |= {
        "habits": explained.habits or None,
        "holes": [str(hole) for hole in clip.holes],
        "damaged": condition.damaged,
        "missing": condition.missing,
        "notes": condition.notes,
    }
    return facts | document | {"settings": _values(settings, holds)}


def explanation_warnings(explained: Explained) -> list[str]:
    """Return what makes the settings useless, whatever moves."""
    return [f"these settings can never fire: {reason}" for reason in explained.found.obstacles]


def explanation_sections(explained: Explained, settings: Settings) -> list[Section]:
    """Return what a person wants to know, the answer first."""
    clip, holds, found = explained.clip, explained.holds, explained.found
    count = len(found.events)
    events = "no event" if not count else "1 event" if count == 1 else f"{count} events"
    answer = f"Clip {clip.id} of camera {clip.camera}, {short_span(clip.span)}, by {holds.half}: {events}"
    sections = [Section("What moved", f"{answer}\n{_strongest(explained)}")]
    if told := lacks(clip):
        sections.append(Section("What the recording lacks", "\n".join(told)))
    if found.strongest is None:
        return sections
    if count:
        rows = [
            (
                *(_clock(clip, one.start_pts), _length(clip, one.start_pts, one.end_pts)),
                *(f"{one.score:.2f}", one.cells, f"{one.peak:.2f}"),
            )
            for one in found.events
        ]
        head = ("start", "length", "score", "connected cells", "peak")
        sections.append(Section("Events, rolls included", table=[head, *rows], right=head[1:]))
    sections += [_scores(explained), _steps(explained, settings), _runs(explained)]
    if found.remedies:
        sections.append(_remedies(explained))
    elif not count:
        nothing = "No setting changed alone would give an event: several stand in its way."
        sections.append(Section("What would give an event", nothing))
    return sections


def settings_document(day: Resolved, night: Resolved, settings: Settings) -> dict[str, Any]:
    """Return every setting of a camera by day and by night, with where it comes from."""
    return {holds.half: _values(settings, holds) for holds in (day, night)}


def settings_sections(camera: str, *, day: Resolved, night: Resolved, settings: Settings) -> list[Section]:
    """Return every setting of a camera by day and by night with where it comes from, and when it is night."""
    rows: list[Sequence[object]] = [("setting", "by", "value", "from")]
    for key in Detection.model_fields:
        told = [(_shown(holds.detection, key), settings.whence(holds, key)) for holds in (day, night)]
        rows += [(key, "", *told[0])] if told[0] == told[1] else [(key, "day", *told[0]), ("", "night", *told[1])]
    darkness = settings.darkness
    text = {
        "sun": f"Night is when the sun stands lower than {darkness.below_degrees:g} degrees as a clip starts.",
        "picture": f"Night is when a clip's mean brightness is below {darkness.below_luma:g} grey levels.",
        "never": "It is never night: darkness.by is never.",
    }[darkness.by]
    return [Section(f"Detection settings of camera {camera}", table=rows), Section("Day and night", text)]


def _strongest(explained: Explained) -> str:
    clip, found = explained.clip, explained.found
    if (strongest := found.strongest) is None:
        return "Nothing moved: no cell differs from the background in any frame."
    text = (
        f"The strongest motion is {strongest.share:.2f} of the cell in row {strongest.row + 1}, column "
        f"{strongest.column + 1} at {_clock(clip, strongest.pts)}"
        f"{'' if strongest.watched else ', which no zone watches'}; {strongest.usual:.2f} is usual there.\n"
        f"Its score is {strongest.score:.2f}, and somebody moves from {found.threshold:.2f} on."
    )
    if found.cold == found.frames:
        text += "\nThe clip is too short to know the background well; all of its frames count for lack of others."
    return text


def _scores(explained: Explained) -> Section:
    """Return the strongest seconds in order of time, and what the score is measured by."""
    clip, found = explained.clip, explained.found
    strongest = sorted(found.scores, key=lambda one: -one[1])[:_SECONDS]
    rows: list[Sequence[object]] = [("second from", "score", "", "usual there")]
    for pts, score, usual in sorted(strongest):
        rows.append((_clock(clip, pts), f"{score:.2f}", "moves" if score >= found.threshold else "", f"{usual:.2f}"))
    rate = _shown(explained.holds.detection, "sensitivity")
    known = (
        f"{found.past_h:,.1f} hours of the camera's past by {explained.holds.half} (habits {explained.habits})"
        if found.past_h
        else "the clip itself and all cameras together: of this camera's past nothing is known"
    )
    text = (
        f"A score of 0 comes once a day by chance, of 1 once in ten days. Decided from {found.threshold:.2f} on: "
        f"sensitivity {rate}. What is usual is told by {known}."
    )
    rest = f" (the {_SECONDS} strongest seconds of {len(found.scores):,})" if len(found.scores) > _SECONDS else ""
    return Section(f"Score over time{rest}", textwrap.fill(text, _WIDE), table=rows, right=("score", "usual there"))


def _steps(explained: Explained, settings: Settings) -> Section:
    holds, found = explained.holds, explained.found
    rows: list[Sequence[object]] = [("setting", "frames", "value", "from"), ("all frames", found.frames, "", "")]
    for step in found.steps:
        if step.setting == "cold":
            rows.append(("background known", step.frames, "", ""))
            continue
        for number, key in enumerate(step.setting.split(", ")):
            left = "" if number else step.frames
            rows.append((key, left, _shown(holds.detection, key), settings.whence(holds, key)))
    return Section("Frames left after each setting", table=rows, right=("frames",))


def _runs(explained: Explained) -> Section:
    clip, runs = explained.clip, explained.found.runs
    title = "Stretches in which watched cells moved"
    if not runs:
        least = explained.found.threshold
        return Section(title, f"No watched cell has a score of {least:.2f} in any second.")
    rest = f" (the first {_LISTED} of {len(runs):,})" if len(runs) > _LISTED else ""
    holes = [(start, end, "a hole: no frame, so no motion") for start, end in clip.stream.condition.holes]
    told = [(run.start_pts, run.end_pts, run.why or "in an event") for run in runs[:_LISTED]]
    told += [hole for hole in holes if len(runs) <= _LISTED or hole[0] < told[-1][0]]
    rows: list[Sequence[object]] = [("start", "length", "what became of it")]
    rows += [(_clock(clip, start), _length(clip, start, end), why) for start, end, why in sorted(told)]
    return Section(f"{title}{rest}", table=rows, right=("length",))


def _remedies(explained: Explained) -> Section:
    clip, holds = explained.clip, explained.holds
    rows: list[Sequence[object]] = [("setting", "now", "would do", "event from")]
    for one in explained.found.remedies:
        would_do = _would_do(holds.detection, one.setting, one.value)
        shown = "none" if would_do == [] else would_do
        rows.append((one.setting, _shown(holds.detection, one.setting), shown, _clock(clip, one.start_pts)))
    return Section("Each of these alone would give an event", table=rows)


def _values(settings: Settings, holds: Resolved) -> dict[str, dict[str, Any]]:
    return {
        key: {"value": value, "table": header(holds.tables[key]), "from": settings.origin(*holds.tables[key], key)}
        for key, value in written(holds.detection).items()
    }


def _would_do(detection: Detection, key: str, value: Value) -> Any:  # noqa: ANN401 - of any setting
    return written(detection.model_copy(update={key: value}), key)[key]


def _shown(detection: Detection, key: str) -> str:
    value = written(detection, key)[key]
    return "none" if value == [] else value if isinstance(value, str) else json.dumps(value)


def _length(clip: Clip, start_pts: int, end_pts: int) -> str:
    return f"{float((end_pts - start_pts) * clip.stream.time_base):.2f} s"


def _clock(clip: Clip, pts: int) -> str:
    t_ns = clip.time_ns(pts)
    return iso(t_ns - t_ns % 10_000_000).partition("T")[2]
