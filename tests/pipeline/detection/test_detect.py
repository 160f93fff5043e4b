"""What `detect` promises of any activity and any settings."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.activity import Activity
from pipeline.detection.detect import Event, active_frames, detect, event_stretches, events
from pipeline.detection.gates import Detection
from pipeline.detection.stretches import unbroken
from pipeline.detection.trace import Trace
from pipeline.detection.tracer import trace, watched_cells
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

EVERYWHERE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
PLAIN = Detection(sensitivity=0.5, min_cells=1, max_area=1, min_event_s=0, gap_s=0, pre_roll_s=0, post_roll_s=0)


def made(share: NDArray[np.uint8], *, pts: NDArray[np.int64] | None = None, cold: int = 0) -> Activity:
    rows, columns = share.shape[1:]
    times = np.arange(len(share), dtype=np.int64) * 100 if pts is None else pts
    return Activity(
        share=share,
        pts=times,
        luma=np.zeros(len(share), np.uint8),
        time_base=Fraction(1, 1000),
        cold=cold,
        width=16 * columns,
        height=16 * rows,
        version="test",
        cell_side=16,
    )


def pulses(*runs: tuple[int, int], count: int = 100, value: int = 200, cells: int = 2) -> Activity:
    """Frames of 100 ms in which the first `cells` cells of row 1 move during each half-open run of frames."""
    share = np.zeros((count, 4, 6), np.uint8)
    for start, stop in runs:
        share[start:stop, 1, :cells] = value
    return made(share)


def spans(found: list[Event]) -> list[tuple[int, int]]:
    return [(event.start_pts, event.end_pts) for event in found]


def changed(**values: Any) -> Detection:
    return Detection.model_validate(PLAIN.model_dump() | values)


@st.composite
def activities(draw: st.DrawFn) -> Activity:
    count, rows, columns = draw(st.integers(1, 40)), draw(st.integers(1, 5)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    busy = rng.random((count, 1, 1)) < draw(st.floats(0, 1))
    share = (rng.integers(0, 256, (count, rows, columns)) * busy).astype(np.uint8)
    pts = np.cumsum(rng.integers(1, 500, count)).astype(np.int64) + draw(st.integers(-1000, 1000))
    return made(share, pts=pts, cold=draw(st.integers(0, count)))


seconds = st.floats(0, 3).map(lambda x: round(x, 2))


@st.composite
def detections(draw: st.DrawFn) -> Detection:
    return Detection(
        sensitivity=draw(st.floats(0.01, 1)),
        min_cells=draw(st.integers(1, 6)),
        max_area=draw(st.floats(0.1, 1)),
        watch=draw(st.sampled_from([(), (EVERYWHERE,)])),
        min_event_s=draw(seconds),
        gap_s=draw(seconds),
        pre_roll_s=draw(seconds),
        post_roll_s=draw(seconds),
    )


@given(activities(), detections())
def test_events_lie_within_the_clip_in_order_and_apart(activity: Activity, detection: Detection) -> None:
    found = detect(activity, detection)
    step = activity.pts[-1] - activity.pts[-2] if len(activity.pts) > 1 else 1
    for event in found:
        assert activity.pts[0] <= event.start_pts <= event.peak_pts < event.end_pts <= activity.pts[-1] + step
        assert event.peak_pts in activity.pts
        assert event.cells >= detection.min_cells
        assert event.peak >= detection.sensitivity
    assert all(one.end_pts < other.start_pts for one, other in pairwise(found))


@given(activities(), detections(), st.floats(0.01, 1))
def test_a_higher_sensitivity_bound_never_gives_more_active_frames(
    activity: Activity, detection: Detection, other: float
) -> None:
    low, high = sorted((detection.sensitivity, other))
    cells = [
        trace(activity, Detection.model_validate(detection.model_dump() | {"sensitivity": s})).cells
        for s in (low, high)
    ]
    assert (cells[0] >= cells[1]).all()


@given(activities(), detections())
def test_ignoring_everything_gives_nothing(activity: Activity, detection: Detection) -> None:
    assert detect(activity, Detection.model_validate(detection.model_dump() | {"ignore": (EVERYWHERE,)})) == []


@given(activities(), detections())
def test_watching_everything_is_watching_without_zones(activity: Activity, detection: Detection) -> None:
    everywhere = Detection.model_validate(detection.model_dump() | {"watch": (EVERYWHERE,)})
    nowhere = Detection.model_validate(detection.model_dump() | {"watch": ()})
    assert detect(activity, everywhere) == detect(activity, nowhere)


@given(activities(), detections(), st.sampled_from([0.0, 0.3]), st.sampled_from([(), (LEFT,)]))
def test_labelling_only_the_frames_that_matter_changes_nothing(
    activity: Activity, detection: Detection, travel: float, ignore: tuple[Any, ...]
) -> None:
    detection = Detection.model_validate(detection.model_dump() | {"travel": travel, "ignore": ignore})
    found = trace(activity, detection)
    size = found.travelling(travel)  # every frame's regions
    active = (size >= detection.min_cells) & (found.area <= detection.max_area)
    if activity.cold < len(active):
        active[: activity.cold] = False
    assert active_frames(trace(activity, detection), detection).tolist() == active.tolist()
    spans = zip(*event_stretches(activity, *unbroken(active), detection), strict=True)
    peaks = [(lo + int(np.where(active[lo:hi], size[lo:hi], 0).argmax())) for _, _, lo, hi, _ in spans]
    assert [(event.peak_pts, event.cells) for event in events(activity, found, detection)] == [
        (int(activity.pts[at]), int(size[at])) for at in peaks
    ]


@given(activities(), detections())
def test_bounds_are_no_less_than_the_largest_region_and_exact_up_to_two(
    activity: Activity, detection: Detection
) -> None:
    found = trace(activity, detection)
    every = np.arange(len(found.cells))
    assert (found.closer(every) >= found.cells).all()
    assert (found.bound >= found.cells).all()
    assert (np.minimum(found.bound, 2) == np.minimum(found.cells, 2)).all()
    assert (found.block <= found.cells).all()


@given(activities(), detections())
def test_every_active_frame_is_in_an_event_unless_it_is_too_short(activity: Activity, detection: Detection) -> None:
    found = trace(activity, detection)
    kept = events(activity, found, Detection.model_validate(detection.model_dump() | {"min_event_s": 0}))
    active = (found.cells >= detection.min_cells) & (found.area <= detection.max_area)
    if activity.cold < len(active):
        active[: activity.cold] = False
    for pts in activity.pts[active]:
        assert any(event.start_pts <= pts < event.end_pts for event in kept)


@given(activities(), detections(), seconds)
def test_a_wider_gap_never_gives_more_events(activity: Activity, detection: Detection, more: float) -> None:
    detection = Detection.model_validate(detection.model_dump() | {"min_event_s": 0})
    wider = Detection.model_validate(detection.model_dump() | {"gap_s": detection.gap_s + more})
    assert len(detect(activity, wider)) <= len(detect(activity, detection))


def regions_by_walking(moving: NDArray[np.bool_]) -> int:
    left = {(int(r), int(c)) for r, c in zip(*np.nonzero(moving), strict=True)}
    largest = 0
    while left:
        queue, size = [left.pop()], 0
        while queue:
            r, c = queue.pop()
            size += 1
            near = {(r + dr, c + dc) for dr in (-1, 0, 1) for dc in (-1, 0, 1)} & left
            left -= near
            queue.extend(near)
        largest = max(largest, size)
    return largest


@given(activities(), st.floats(0.01, 1))
def test_regions_are_connected_within_their_frame_only(activity: Activity, sensitivity: float) -> None:
    found = trace(activity, changed(sensitivity=sensitivity))
    level = sensitivity * 255
    assert found.cells.tolist() == [regions_by_walking(frame >= level) for frame in activity.share]
    assert isinstance(found, Trace)


def test_an_event_ends_when_the_frame_after_it_begins() -> None:
    assert spans(detect(pulses((10, 20)), PLAIN)) == [(1000, 2000)]
    assert spans(detect(pulses((0, 1)), PLAIN)) == [(0, 100)]
    assert spans(detect(pulses((99, 100)), PLAIN)) == [(9900, 10000)]
    assert detect(pulses(), PLAIN) == []


def test_a_gap_is_bridged_up_to_and_including_its_length() -> None:
    activity = pulses((10, 20), (25, 30))
    assert spans(detect(activity, changed(gap_s=0.5))) == [(1000, 3000)]
    assert spans(detect(activity, changed(gap_s=0.499))) == [(1000, 2000), (2500, 3000)]


def test_gaps_are_bridged_before_short_events_are_dropped() -> None:
    activity = pulses((10, 12), (14, 16), (40, 43))
    assert spans(detect(activity, changed(gap_s=0.2, min_event_s=0.6))) == [(1000, 1600)]
    assert spans(detect(activity, changed(min_event_s=0.3))) == [(4000, 4300)]
    assert detect(activity, changed(min_event_s=0.301)) == []


def test_rolls_are_added_clamped_and_joined() -> None:
    activity = pulses((5, 10), (20, 25), (95, 97))
    found = detect(activity, changed(pre_roll_s=0.6, post_roll_s=0.4))
    assert spans(found) == [(0, 2900), (8900, 10000)]
    assert detect(activity, changed(pre_roll_s=0.5, post_roll_s=0.4))[0].end_pts == 1400


def test_rolls_are_exact_where_a_float_is_not() -> None:
    share = np.array([0, 255, 255], np.uint8).reshape(3, 1, 1)
    pts = np.array([0, 3_000_000_000, 3_000_000_001], np.int64)
    activity = Activity(share, pts, np.zeros(3, np.uint8), Fraction(1, 10**9), 0, 16, 16, "test", 16)
    assert detect(activity, changed(pre_roll_s=0.1))[0].start_pts == 2_900_000_000


def test_a_frame_with_too_much_in_motion_is_a_lamp() -> None:
    share = np.zeros((30, 4, 6), np.uint8)
    share[10:15] = 255
    share[15:20, 1, 1] = 255
    activity = made(share)
    assert spans(detect(activity, changed(max_area=0.6))) == [(1500, 2000)]
    assert spans(detect(activity, PLAIN)) == [(1000, 2000)]
    watching = changed(max_area=0.6, watch=(LEFT,))
    assert spans(detect(activity, watching)) == [(1500, 2000)]


def test_connected_cells_count_and_scattered_ones_do_not() -> None:
    share = np.zeros((3, 4, 6), np.uint8)
    share[0, [0, 0, 3], [0, 2, 5]] = 255  # three apart
    share[1, [0, 1, 2], [0, 1, 2]] = 255  # a diagonal
    share[2, 0, :2] = 255
    assert trace(made(share), PLAIN).cells.tolist() == [1, 3, 2]
    assert spans(detect(made(share), changed(min_cells=3))) == [(100, 200)]


def test_an_event_tells_its_peak() -> None:
    share = np.zeros((10, 4, 6), np.uint8)
    share[2:8, 1, 1] = 255
    share[4, 1, 1:4] = 200
    (event,) = detect(made(share), PLAIN)
    assert event == Event(start_pts=200, end_pts=800, peak_pts=400, peak=1.0, cells=3)


def test_zones_choose_cells() -> None:
    activity = made(np.zeros((1, 4, 6), np.uint8))
    assert watched_cells(activity, changed(watch=(LEFT,))).tolist() == [[True] * 3 + [False] * 3] * 4
    both = changed(watch=(LEFT,), ignore=(((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.0, 0.5)),))
    assert watched_cells(activity, both).tolist() == [[False] * 6] * 2 + [[True] * 3 + [False] * 3] * 2
    moving = pulses((10, 20), cells=3)
    assert detect(moving, changed(ignore=(LEFT,))) == []
    assert len(detect(moving, changed(watch=(LEFT,)))) == 1


def test_a_zone_that_covers_no_cell_is_named() -> None:
    speck = ((0.5, 0.5), (0.501, 0.5), (0.501, 0.501))
    for field, name in (("watch", "watch zone 2"), ("ignore", "ignore zone 2")):
        with pytest.raises(ConfigError, match=f"{name} .*covers no cell of the 6 x 4 grid"):
            detect(pulses((1, 2)), changed(**{field: (LEFT, speck)}))


def test_cold_frames_start_no_event_unless_there_is_nothing_else() -> None:
    share = np.full((10, 1, 1), 255, np.uint8)
    assert spans(detect(made(share, cold=4), PLAIN)) == [(400, 1000)]
    assert spans(detect(made(share, cold=10), PLAIN)) == [(0, 1000)]


def test_an_hour_of_stillness_costs_next_to_nothing_and_gives_nothing() -> None:
    assert detect(made(np.zeros((54_000, 18, 32), np.uint8)), Detection()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"sensitivity": 0},
        {"sensitivity": 1.1},
        {"min_cells": 0},
        {"max_area": 0},
        {"gap_s": -1},
        {"watch": (((0, 0), (1, 1)),)},
        {"watch": (((0, 0), (1, 1), (0, 2)),)},
        {"ignore": (((0, 0), (1, 1), (0, float("nan"))),)},
        {"sensitivty": 0.5},
    ],
)
def test_settings_refuse_what_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Detection.model_validate(wrong)


@pytest.mark.parametrize(
    "wrong", [{"start_pts": 5}, {"end_pts": 4}, {"peak": 0.0}, {"peak": 1.5}, {"cells": 0}, {"peak_pts": 0}]
)
def test_an_event_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="event"):
        Event(**({"start_pts": 1, "end_pts": 5, "peak_pts": 4, "peak": 0.5, "cells": 2} | wrong))
