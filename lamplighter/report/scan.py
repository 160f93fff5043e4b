"""The picture of one scanned file: how much moved in it, and its events."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from lamplighter.report.pictures import timeline
from lamplighter.report.strips import strips
from pipeline.activity import Activity
from pipeline.detection.detect import Event
from pipeline.detection.evidence import weigh
from pipeline.detection.gates import Detection
from pipeline.detection.tracer import trace
from pipeline.span import NS, Span

_TITLE: Final = 90  # characters of a path that fit above a picture


def draw_file(name: str, activity: Activity, events: Sequence[Event], detection: Detection) -> bytes:
    """Draw a file's activity and events over the time from its first frame, as PNG."""
    first = int(activity.pts[0])

    def ns(pts: int) -> int:
        return math.floor((pts - first) * activity.time_base * NS)

    spans = [Span(ns(event.start_pts), max(ns(event.end_pts), ns(event.start_pts) + 1)) for event in events]
    parts = strips(activity, traced=trace(weigh(activity), detection))
    title = name if len(name) <= _TITLE else f"…{name[-_TITLE:]}"
    return timeline(parts, [("found", spans)], title=title)
