"""A clip or a camera and what settings find in it, as pictures and one page of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lamplighter.desk.comparison import Comparison, Found
from lamplighter.report.camera import CameraPictures
from lamplighter.report.heat import Still
from lamplighter.report.page import OPERATORS_ONLY, SHOWS_FOOTAGE, Drawn, Section, page
from lamplighter.report.wording import clip_count, lacks, not_whole, second, settings_rows
from pipeline.detection.gates import Detection
from pipeline.span import NS
from storage.archive import Ingested

_LISTED = 500  # events and clips a page lists; pictures show them all


def draw_comparison(comparison: Comparison, pictures: CameraPictures, still: Still | None) -> Drawn:
    """Return timeline.png, heat.png and page.html, which holds both; the heat map over a still, if one is given."""
    title = comparison.title
    heat = pictures.heat.draw(still, title=f"{title}: where it moves")
    rows = [(one.name, one.spans) for one in comparison.found]
    timeline = pictures.timeline(rows, title=f"{title}: activity and events")
    found = comparison.found
    sections = [
        Section("Activity and events", _summary(comparison), timeline),
        Section("Where it moves", heat.text, heat.picture),
        Section("Settings", _differences(found), table=_settings(found)),
        Section("Events", _cut_short(max(len(one.events) for one in found)), table=_events(found)),
        Section("Clips", _cut_short(len(comparison.clips)), table=_clips(comparison)),
    ]
    notice = SHOWS_FOOTAGE if heat.shows_footage else OPERATORS_ONLY
    text = page(f"{title}: motion and events", sections, notice=notice)
    files = {"timeline.png": timeline, "heat.png": heat.picture, "page.html": text.encode()}
    return Drawn(files, heat.shows_footage)


def _summary(comparison: Comparison) -> str:
    clips = comparison.clips
    hours = sum(one.clip.footage_ns for one in clips) / NS / 3600
    first, last = clips[0].clip.span, clips[-1].clip.span
    versions = sorted({one.version for one in clips})
    return (
        f"{clip_count(len(clips))} of camera {clips[0].clip.camera}, {hours:.2f} hours "
        f"from {second(first.start_ns)} to {second(last.end_ns)}, measured by {', '.join(versions)}.\n\n"
        "The upper curve is the score of the settings in force, with their threshold: how rare it is that chance moves "
        "as strongly. The next is the share in motion of the watched cell that moves most, the lower one the share of "
        "the whole picture; each is the highest of its pixel column. Below are the events, pre- and post-roll included."
        f"{_lacks(clips)}"
    )


def _lacks(clips: Sequence[Ingested]) -> str:
    """Return what the clips lack: of a single one in full, of several how many are not whole."""
    told = lacks(clips[0].clip) if len(clips) == 1 else [not_whole([one.clip for one in clips])]
    return "".join(f"\n\n{line}" for line in told if line)


def _settings(found: Sequence[Found]) -> list[Sequence[object]]:
    halves = sorted({half for one in found for half in one.used})
    columns = [(one, half) for half in halves for one in found if half in one.used]
    heads = [one.name if len(halves) == 1 else f"{one.name}, by {half}" for one, half in columns]
    documents = [dict(settings_rows(one.used[half].model_dump(mode="json"))) for one, half in columns]
    return [("detection", *heads), *((name, *(document[name] for document in documents)) for name in documents[0])]


def _differences(found: Sequence[Found]) -> str:
    if len(found) == 1:
        return ""
    one, other = (item.used for item in found)
    pairs = [(one[half], other[half]) for half in one if half in other]
    differing = [name for name in Detection.model_fields if any(getattr(a, name) != getattr(b, name) for a, b in pairs)]
    return f"They differ in {', '.join(differing)}." if differing else "Both are the same."


def _events(found: Sequence[Found]) -> list[Sequence[object]]:
    rows: list[Sequence[object]] = [("settings", "start (UTC)", "length (s)", "score", "peak (%)", "cells", "clip")]
    for one in found:
        for (clip, event), span in list(zip(one.events, one.spans, strict=True))[:_LISTED]:
            length = round(span.duration_ns / NS, 1)
            score, peak = f"{event.score:.1f}", round(100 * event.peak)
            rows.append((one.name, second(span.start_ns), length, score, peak, event.cells, clip.id))
    return rows if len(rows) > 1 else [*rows, ("none were found", *[""] * 6)]


def _clips(comparison: Comparison) -> list[Sequence[object]]:
    found = comparison.found
    known = ("clip", "start (UTC)", "length (s)", "frames", "cold frames")
    head = (*known, *(f"events {one.name}" for one in found), "lacks")
    counts = [Counter(clip.id for clip, _ in one.events) for one in found]
    rows: list[Sequence[object]] = [head]
    for ingested, cold in list(zip(comparison.clips, comparison.cold, strict=True))[:_LISTED]:
        clip = ingested.clip
        length = round(clip.span.duration_ns / NS, 1)
        numbers = (length, clip.stream.frames, cold, *(count[clip.id] for count in counts))
        rows.append((clip.id, second(clip.start_ns), *numbers, str(clip.stream.condition)))
    return rows


def _cut_short(count: int) -> str:
    return f"The first {_LISTED} of {count:,} are listed; the pictures show all." if count > _LISTED else ""
