"""How counts, times and settings are written for people, on paper as in a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.clip import WHOLE, Clip
from pipeline.span import NS, Span, iso

_TOLD = 10


def clip_count(count: int) -> str:
    """Return "1 clip", "1,200 clips"."""
    return f"{count:,} {'clip' if count == 1 else 'clips'}"


def second(t_ns: int) -> str:
    """Return an instant (ns UTC) to the second, rounded down."""
    return iso(t_ns - t_ns % NS)


def short_span(span: Span) -> str:
    """Return a span to the tenth of a second."""
    return f"{second(span.start_ns)} + {span.duration_ns / NS:.1f} s"


def short_spans(spans: Sequence[Span]) -> str:
    """Return the first three spans, and how many more there are."""
    rest = f" and {len(spans) - 3:,} more" if len(spans) > 3 else ""
    return ", ".join(map(short_span, spans[:3])) + rest


def not_whole(clips: Sequence[Clip]) -> str:
    """Return how many of some clips have holes, damage and notes and how much of each, "" when all are whole."""
    lacks = [clip.stream.condition for clip in clips if clip.stream.condition != WHOLE]
    if not lacks:
        return ""
    told = []
    for what, counts in (
        ("damaged frames", [one.damaged for one in lacks]),
        ("missing frames", [one.missing for one in lacks]),
        ("holes", [len(one.holes) for one in lacks]),
        ("notes", [len(one.notes) for one in lacks]),
    ):
        if any(counts):
            told.append(f"{what} in {sum(map(bool, counts)):,} ({sum(counts):,})")
    return f"{clip_count(len(lacks))} {'is' if len(lacks) == 1 else 'are'} not whole: {', '.join(told)}"


def lacks(clip: Clip) -> list[str]:
    """Return a sentence on each thing that a clip lacks or bears; of more than ten holes the first ten are told."""
    told = [
        f"There is no picture from {second(hole.start_ns)} on for {hole.duration_ns / NS:,.1f} s."
        for hole in clip.holes[:_TOLD]
    ]
    if more := len(clip.holes) - _TOLD if len(clip.holes) > _TOLD else 0:
        told.append(f"There are {more:,} more such holes.")
    condition = clip.stream.condition
    if condition.damaged:
        told.append(f"Damaged: {condition.damaged:,} of {clip.stream.frames:,} frames, parts of which are made up.")
    if condition.missing:
        told.append(f"Missing: {condition.missing:,} frames that gave no picture, or never came.")
    return [*told, *condition.notes]


def settings_rows(document: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested settings as dotted names with their values."""
    rows = []
    for name, value in document.items():
        if isinstance(value, dict) and not prefix:
            rows += settings_rows(value, f"{name}.")
        else:
            rows.append((f"{prefix}{name}", json.dumps(value, default=str, ensure_ascii=False)))
    return rows
