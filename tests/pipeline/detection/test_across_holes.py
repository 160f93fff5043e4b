"""What happens where a recording has no frames: nothing reaches across, and nobody is said to have been there."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.activity import Activity
from pipeline.clip import Condition
from pipeline.detection.detect import detect
from pipeline.detection.explain import explain
from pipeline.detection.gates import Detection
from pipeline.detection.labels import scorable_labels
from pipeline.detection.sweep import Footage, sweep
from pipeline.detection.trials import TuneSettings
from pipeline.span import NS, Span
from samples import NOON, clip, stream

HOUR_MS = 3_600_000
BASE = Fraction(1, 1000)


def film(*parts: int, busy: dict[int, int] | None = None, pause_ms: int = HOUR_MS) -> Activity:
    """Parts of so many frames of 100 ms with a pause between them; `busy`: frames in which a row moves, and where."""
    frames = sum(parts)
    pts = np.arange(frames, dtype=np.int64) * 100
    for first in np.cumsum(parts)[:-1]:
        pts[first:] += pause_ms
    share = np.zeros((frames, 4, 6), np.uint8)
    for frame, column in (busy or {}).items():
        share[frame, :, column : column + 2] = 200
    return Activity(share, pts, np.zeros(frames, np.uint8), BASE, 0, 96, 64, "test", 16)


def still(*frames: int) -> dict[int, int]:
    """Motion in the same place in all of these frames."""
    return dict.fromkeys(frames, 2)


def spans(activity: Activity, **settings: Any) -> list[tuple[int, int]]:
    return [(one.start_pts, one.end_pts) for one in detect(activity, Detection(**settings))]


def test_an_hours_pause_is_no_event_of_an_hour() -> None:
    both = film(50, 50, busy=still(*range(45, 55)))
    assert spans(both, gap_s=3600, pre_roll_s=600, post_roll_s=600) == [
        (0, 5000),
        (HOUR_MS + 5000, HOUR_MS + 10_000),
    ]
    assert spans(both, pre_roll_s=0, post_roll_s=0) == [(4500, 5000), (HOUR_MS + 5000, HOUR_MS + 5500)]


def test_rolls_end_at_the_frames_beside_a_hole() -> None:
    before, after = film(50, 50, busy=still(*range(40, 45))), film(50, 50, busy=still(*range(55, 60)))
    assert spans(before) == [(2000, 5000)]
    assert spans(after) == [(HOUR_MS + 5000, HOUR_MS + 8000)]


def test_a_last_frame_after_a_hole_lasts_as_long_as_usual() -> None:
    assert spans(film(50, 1, busy=still(50)), min_event_s=0) == [(HOUR_MS + 5000, HOUR_MS + 5100)]


def test_motion_is_not_followed_across_a_hole() -> None:
    walk = dict(enumerate([0, 0, 0, 4, 4, 4]))
    assert spans(film(3, 3, busy=walk), travel=0.3, min_event_s=0) == []
    assert spans(film(6, busy=walk), travel=0.3, min_event_s=0) == []  # they do not touch from frame to frame
    near = dict(enumerate([0, 0, 0, 2, 2, 2]))
    assert len(spans(film(6, busy=near), travel=0.3, min_event_s=0)) == 1
    assert spans(film(3, 3, busy=near), travel=0.3, min_event_s=0) == []


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.data())
def test_parts_of_a_clip_are_detected_as_clips_of_their_own(parts: list[int], data: st.DataObject) -> None:
    frames = sum(parts)
    where = data.draw(st.dictionaries(st.integers(0, frames - 1), st.integers(0, 5)))
    settings = Detection(
        travel=data.draw(st.sampled_from([0.0, 0.2])), gap_s=data.draw(st.sampled_from([0.0, 0.5, 3600.0])),
        min_event_s=data.draw(st.sampled_from([0.0, 0.3])), pre_roll_s=data.draw(st.sampled_from([0.0, 1.0, 600.0])),
    )  # fmt: skip
    whole = film(*parts, busy=where)
    assume(len(whole.holes) == len(parts) - 1)  # of bursts of single frames the pauses are the usual step
    alone = []
    for first, last in pairwise([0, *np.cumsum(parts).tolist()]):
        share, pts, luma = whole.share[first:last], whole.pts[first:last], whole.luma[first:last]
        alone += detect(Activity(share, pts, luma, BASE, 0, 96, 64, "test", 16), settings) if last - first > 1 else []
    lone = {int(whole.pts[first]) for first, size in zip(np.cumsum([0, *parts]), parts, strict=False) if size == 1}
    assert [one for one in detect(whole, settings) if one.start_pts not in lone] == alone


def test_a_sweep_sees_a_hole_as_detect_does_and_counts_no_time_for_it() -> None:
    holed = film(50, 50, busy=still(*range(45, 55)))
    lacks = Condition(holes=holed.holes)
    taken = clip(stream=stream(time_base=BASE, end_pts=HOUR_MS + 10_000, frames=100, condition=lacks))
    counts = sweep([Footage(taken, holed, Detection())], [{}, {"gap_s": 3600.0}], rule=TuneSettings()).cameras["cam-1"]
    assert counts.duration_ns == 10 * NS
    assert counts.events.tolist() == [2, 2]


def test_a_label_inside_a_hole_is_left_out() -> None:
    lacks = Condition(holes=((5000, HOUR_MS),))
    taken = clip(stream=stream(time_base=BASE, end_pts=HOUR_MS + 5000, condition=lacks))
    inside, seen = Span(NOON + 60 * NS, NOON + 90 * NS), Span(NOON, NOON + NS)
    labels, (warning,) = scorable_labels({"cam-1": [inside, seen]}, {"cam-1": taken.recorded()})
    assert labels == {"cam-1": (seen,)}
    assert "there is no clip of that time" in warning


def test_stretches_of_motion_are_told_apart_at_a_hole() -> None:
    found = explain(film(50, 50, busy=still(*range(49, 51))), Detection(gap_s=3600, min_event_s=1))
    assert [(run.start_pts, run.end_pts, run.dropped_by) for run in found.runs] == [
        (4900, 5000, "min_event_s"),
        (HOUR_MS + 5000, HOUR_MS + 5100, "min_event_s"),
    ]


@pytest.mark.parametrize(("pause_ms", "holes"), [(1900, 0), (1901, 1)])
def test_a_frame_lasts_two_seconds_before_there_is_a_hole(pause_ms: int, holes: int) -> None:
    assert len(film(30, 30, pause_ms=pause_ms).holes) == holes
