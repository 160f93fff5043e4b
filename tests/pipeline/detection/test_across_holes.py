"""What happens where a recording has no frames: nothing reaches across, and nobody is said to have been there."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from evidences import shown
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

HOUR = 600 * 3600
BASE = Fraction(1, 600)  # a frame lasts 100 ticks, two of them are a moment


def film(*parts: int, busy: dict[int, int] | None = None, pause: int = HOUR) -> Activity:
    """Parts of so many frames of a sixth of a second, a pause between; `busy`: where a row moves in a frame."""
    frames = sum(parts)
    pts = np.arange(frames, dtype=np.int64) * 100
    for first in np.cumsum(parts)[:-1]:
        pts[first:] += pause
    share = np.zeros((frames, 4, 6), np.uint8)
    for frame, column in (busy or {}).items():
        share[frame, :, column : column + 2] = 255
    return Activity(share, pts, np.zeros(frames, np.uint8), BASE, 0, 96, 64, "test", 16)


def still(*frames: int) -> dict[int, int]:
    """Motion in the same place in all of these frames."""
    return dict.fromkeys(frames, 2)


def spans(activity: Activity, **settings: Any) -> list[tuple[int, int]]:
    return [(one.start_pts, one.end_pts) for one in detect(activity, Detection(**settings))]


def test_an_hours_pause_is_no_event_of_an_hour() -> None:
    both = film(50, 50, busy=still(*range(44, 56)))
    assert spans(both, gap_s=3600, pre_roll_s=600, post_roll_s=600) == [
        (0, 5000),
        (HOUR + 5000, HOUR + 10_000),
    ]
    assert spans(both, pre_roll_s=0, post_roll_s=0) == [(4400, 5000), (HOUR + 5000, HOUR + 5600)]


def test_rolls_end_at_the_frames_beside_a_hole() -> None:
    before, after = film(50, 50, busy=still(*range(40, 46))), film(50, 50, busy=still(*range(54, 60)))
    assert spans(before) == [(2800, 5000)]
    assert spans(after) == [(HOUR + 5000, HOUR + 7200)]


def test_a_last_frame_after_a_hole_lasts_as_long_as_usual() -> None:
    assert spans(film(50, 1, busy=still(50)), min_event_s=0) == [(HOUR + 5000, HOUR + 5100)]


def test_motion_is_not_followed_across_a_hole() -> None:
    def walk(*columns: int) -> dict[int, int]:
        return {frame: columns[(frame - 44) // 6] for frame in range(44, 56)}

    near, settings = walk(0, 2), {"travel": 0.2, "min_event_s": 0}
    assert len(spans(film(100, busy=near), **settings)) == 1
    assert spans(film(50, 50, busy=near), **settings) == []
    assert len(spans(film(50, 50, busy=near), min_event_s=0, gap_s=0)) == 2


@given(st.lists(st.integers(1, 15).map(lambda half: 2 * half), min_size=2, max_size=5), st.data())
def test_what_is_gathered_on_one_side_of_a_hole_says_nothing_of_the_other(
    parts: list[int], data: st.DataObject
) -> None:
    frames = sum(parts)
    where = data.draw(st.dictionaries(st.integers(0, frames - 1), st.integers(0, 5)))
    whole = film(*parts, busy=where)
    assume(len(whole.holes) == len(parts) - 1)
    found, moments = shown(whole), 0
    for first, last in pairwise([0, *np.cumsum(parts).tolist()]):
        share, pts, luma = whole.share[first:last], whole.pts[first:last], whole.luma[first:last]
        alone = shown(Activity(share, pts, luma, BASE, 0, 96, 64, "test", 16))
        here = slice(moments, moments + len(alone.first))
        assert (found.first[here] - first).tolist() == alone.first.tolist()
        assert np.allclose(found.brief[here], alone.brief, rtol=1e-5)
        assert np.allclose(found.lasting[here], alone.lasting, rtol=1e-5)
        moments += len(alone.first)


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.data())
def test_no_event_reaches_into_a_hole(parts: list[int], data: st.DataObject) -> None:
    where = data.draw(st.dictionaries(st.integers(0, sum(parts) - 1), st.integers(0, 5)))
    settings = {
        "travel": data.draw(st.sampled_from([0.0, 0.2])), "gap_s": data.draw(st.sampled_from([0.0, 0.5, 3600.0])),
        "pre_roll_s": data.draw(st.sampled_from([0.0, 1.0, 600.0])), "min_event_s": 0, "sensitivity": 5000,
    }  # fmt: skip
    whole = film(*parts, busy=where)
    for start, end in spans(whole, **settings):
        assert all(end <= from_pts or start >= to_pts for from_pts, to_pts in whole.holes)


def test_a_clip_is_as_restless_as_what_was_recorded_of_it() -> None:
    leaves = {frame: frame % 4 for frame in range(600) if frame % 40 < 20}
    recorded, holed = shown(film(600, busy=leaves)), shown(film(300, 300, busy=leaves))
    assert recorded.unrest is not None
    assert recorded.unrest > 0
    assert holed.unrest == pytest.approx(recorded.unrest, rel=0.2)


def test_a_sweep_sees_a_hole_as_detect_does_and_counts_no_time_for_it() -> None:
    holed = film(50, 50, busy=still(*range(44, 56)))
    lacks = Condition(holes=holed.holes)
    taken = clip(stream=stream(time_base=BASE, end_pts=HOUR + 10_000, frames=100, condition=lacks))
    counts = sweep([Footage(taken, holed, Detection())], [{}, {"gap_s": 3600.0}], rule=TuneSettings()).cameras["cam-1"]
    assert counts.duration_ns == round(10_000 / 600 * NS)
    assert counts.events.tolist() == [2, 2]


def test_a_label_inside_a_hole_is_left_out() -> None:
    lacks = Condition(holes=((5000, HOUR),))
    taken = clip(stream=stream(time_base=BASE, end_pts=HOUR + 5000, condition=lacks))
    inside, seen = Span(NOON + 60 * NS, NOON + 90 * NS), Span(NOON, NOON + NS)
    labels, (warning,) = scorable_labels({"cam-1": [inside, seen]}, {"cam-1": taken.recorded()})
    assert labels == {"cam-1": (seen,)}
    assert "there is no clip of that time" in warning


def test_stretches_of_motion_are_told_apart_at_a_hole() -> None:
    found = explain(film(50, 50, busy=still(*range(46, 54))), Detection(gap_s=3600, min_event_s=1))
    assert [(run.start_pts, run.end_pts, run.dropped_by) for run in found.runs] == [
        (4600, 5000, "min_event_s"),
        (HOUR + 5000, HOUR + 5400, "min_event_s"),
    ]


@pytest.mark.parametrize(("pause", "holes"), [(1100, 0), (1101, 1)])
def test_a_frame_lasts_two_seconds_before_there_is_a_hole(pause: int, holes: int) -> None:
    assert len(film(30, 30, pause=pause).holes) == holes
