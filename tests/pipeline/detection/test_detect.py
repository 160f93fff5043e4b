"""What `detect` promises of any activity and any settings."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from evidences import level_of, scale_of, strengths, strengths_of
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.activity import Activity
from pipeline.detection.detect import Event, active_moments, detect, event_stretches, events
from pipeline.detection.evidence import weigh
from pipeline.detection.gates import Detection
from pipeline.detection.stretches import unbroken
from pipeline.detection.tracer import trace, watched_cells
from pipeline.detection.usual import FLEET
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

EVERYWHERE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
PLAIN = Detection(min_cells=1, max_area=1, min_event_s=0, gap_s=0, pre_roll_s=0, post_roll_s=0)


def made(share: NDArray[np.uint8], *, pts: NDArray[np.int64] | None = None, cold: int = 0) -> Activity:
    rows, columns = share.shape[1:]
    times = np.arange(len(share), dtype=np.int64) * 100 if pts is None else pts
    return Activity(
        share=share,
        pts=times,
        luma=np.zeros(len(share), np.uint8),
        time_base=Fraction(1, 600),
        cold=cold,
        width=16 * columns,
        height=16 * rows,
        version="test",
        cell_side=16,
    )


def pulses(*runs: tuple[int, int], count: int = 100, value: int = 200, cells: int = 2) -> Activity:
    """Frames of 100 ticks, a sixth of a second, in half-open runs of which the first `cells` cells of row 1 move.

    Two of them are a moment.
    """
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


rates = st.floats(-2, 5).map(lambda power: 10.0**power)
seconds = st.floats(0, 3).map(lambda x: round(x, 2))


@st.composite
def detections(draw: st.DrawFn) -> Detection:
    return Detection(
        sensitivity=draw(rates),
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
    operating = FLEET.operating
    loudest = round(operating.score(operating.strength(100_000)), 3)  # beyond which nothing is quieter
    step = activity.pts[-1] - activity.pts[-2] if len(activity.pts) > 1 else 1
    for event in found:
        assert activity.pts[0] <= event.start_pts <= event.peak_pts < event.end_pts <= activity.pts[-1] + step
        assert event.peak_pts in activity.pts
        assert event.score >= round(-np.log10(detection.sensitivity), 3) - 0.002 or event.score == loudest
    assert all(one.end_pts < other.start_pts for one, other in pairwise(found))


@given(activities(), detections(), rates)
def test_tolerating_more_false_events_never_gives_fewer_active_moments(
    activity: Activity, detection: Detection, other: float
) -> None:
    less, more = (detection.model_copy(update={"sensitivity": rate}) for rate in sorted((detection.sensitivity, other)))
    evidence = weigh(activity)
    few, many = (active_moments(trace(evidence, settings), settings) for settings in (less, more))
    assert (many >= few).all()


@given(activities(), detections())
def test_ignoring_everything_gives_nothing(activity: Activity, detection: Detection) -> None:
    assert detect(activity, Detection.model_validate(detection.model_dump() | {"ignore": (EVERYWHERE,)})) == []


@given(activities(), detections())
def test_watching_everything_is_watching_without_zones(activity: Activity, detection: Detection) -> None:
    everywhere = Detection.model_validate(detection.model_dump() | {"watch": (EVERYWHERE,)})
    nowhere = Detection.model_validate(detection.model_dump() | {"watch": ()})
    assert detect(activity, everywhere) == detect(activity, nowhere)


@given(activities(), detections(), st.sampled_from([0.0, 0.3]), st.sampled_from([(), (LEFT,)]))
def test_labelling_only_the_moments_that_matter_changes_nothing(
    activity: Activity, detection: Detection, travel: float, ignore: tuple[Any, ...]
) -> None:
    detection = Detection.model_validate(detection.model_dump() | {"travel": travel, "ignore": ignore})
    evidence = weigh(activity)
    found = trace(evidence, detection)
    active = found.travelling(travel) >= detection.min_cells  # every moment's regions
    active &= found.area <= detection.max_area
    active[: evidence.cold] = False
    assert active_moments(trace(evidence, detection), detection).tolist() == active.tolist()
    stretches = event_stretches(evidence, *unbroken(active), detection)
    ends = zip(stretches.first, stretches.last, strict=True)
    peaks = [lo + int(np.where(active[lo:hi], found.peak[lo:hi].astype(np.int64), -1).argmax()) for lo, hi in ends]
    assert [(one.start_pts, one.end_pts, one.peak_pts) for one in events(found, detection)] == [
        (start, end, int(evidence.pts[at]))
        for start, end, at in zip(stretches.start, stretches.end, peaks, strict=True)
    ]


@given(activities(), detections())
def test_every_active_moment_is_in_an_event_unless_it_is_too_short(activity: Activity, detection: Detection) -> None:
    evidence = weigh(activity)
    found = trace(evidence, detection)
    kept = events(found, detection.model_copy(update={"min_event_s": 0}))
    active = (found.cells >= detection.min_cells) & (found.area <= detection.max_area)
    active[: evidence.cold] = False
    for pts in evidence.pts[active]:
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


@given(activities(), rates)
def test_regions_are_connected_within_their_moment_only(activity: Activity, sensitivity: float) -> None:
    evidence = weigh(activity)
    found = trace(evidence, changed(sensitivity=sensitivity))
    moving = strengths_of(evidence) >= level_of(evidence, changed(sensitivity=sensitivity))
    assert found.cells.tolist() == [regions_by_walking(moment) for moment in moving]


def test_an_event_ends_when_the_moment_after_it_begins() -> None:
    assert spans(detect(pulses((10, 20)), PLAIN)) == [(1000, 2000)]
    assert spans(detect(pulses((11, 19)), PLAIN)) == [(1200, 2000)], "a moment is its first frame"
    assert spans(detect(pulses((0, 4)), PLAIN)) == [(0, 400)]
    assert spans(detect(pulses((96, 100)), PLAIN)) == [(9600, 10000)]
    assert detect(pulses(), PLAIN) == []


def test_what_is_gone_in_a_moment_is_no_event_unless_it_is_strong() -> None:
    assert detect(pulses((10, 12), value=120), PLAIN) == []
    assert spans(detect(pulses((10, 14), value=120), PLAIN)) == [(1000, 1400)]
    assert spans(detect(pulses((10, 12)), PLAIN)) == [(1000, 1200)]


def test_a_gap_is_bridged_up_to_and_including_its_length() -> None:
    activity = pulses((10, 20), (26, 30))
    assert spans(detect(activity, changed(gap_s=1.0))) == [(1000, 3000)]
    assert spans(detect(activity, changed(gap_s=0.999))) == [(1000, 2000), (2600, 3000)]


def test_gaps_are_bridged_before_short_events_are_dropped() -> None:
    activity = pulses((10, 14), (18, 22), (60, 66))
    assert spans(detect(activity, changed(gap_s=0.667, min_event_s=2.0))) == [(1000, 2200)]
    assert spans(detect(activity, changed(min_event_s=1.0))) == [(6000, 6600)]
    assert detect(activity, changed(min_event_s=1.001)) == []


def test_rolls_are_added_clamped_and_joined() -> None:
    activity = pulses((4, 10), (20, 26), (94, 98))
    found = detect(activity, changed(pre_roll_s=1.2, post_roll_s=0.5))
    assert spans(found) == [(0, 2900), (8680, 10000)]
    assert detect(activity, changed(pre_roll_s=0.5, post_roll_s=0.5))[0].end_pts == 1300


def test_rolls_are_exact_where_a_float_is_not() -> None:
    share = np.zeros((4, 9, 9), np.uint8)
    share[1:, 4, 4] = 255
    pts = np.array([0, 1_500_000_000, 1_700_000_000, 1_700_000_001], np.int64)
    activity = Activity(share, pts, np.zeros(4, np.uint8), Fraction(1, 10**9), 0, 144, 144, "test", 16)
    assert detect(activity, changed(pre_roll_s=0.1))[0].start_pts == 1_400_000_000


def test_a_moment_with_too_much_in_motion_is_a_lamp() -> None:
    share = np.zeros((60, 4, 6), np.uint8)
    share[10:16] = 255
    share[16:22, 1, 1:3] = 255
    activity = made(share)
    assert spans(detect(activity, changed(max_area=0.6))) == [(1600, 2200)]
    assert spans(detect(activity, PLAIN)) == [(1000, 2200)]
    watching = changed(max_area=0.6, watch=(LEFT,))
    assert spans(detect(activity, watching)) == [(1600, 2200)]


def test_connected_cells_count_and_scattered_ones_do_not() -> None:
    share = np.zeros((90, 9, 12), np.uint8)
    share[20:26, [1, 1, 7], [1, 5, 10]] = 255  # three apart
    share[40:46, [2, 3, 4], [2, 3, 4]] = 255  # a diagonal
    share[60:66, 4, 4:6] = 255
    assert trace(weigh(made(share)), PLAIN).cells[[11, 21, 31]].tolist() == [1, 3, 2]
    assert spans(detect(made(share), changed(min_cells=3))) == [(4000, 4600)]


def test_an_event_tells_its_peak_its_score_and_the_cells_that_move_then() -> None:
    share = np.zeros((140, 9, 12), np.uint8)
    share[20:50, 2, 2] = 160
    share[30:40, 2, 2:5] = 200
    share[34:40, 7, 10] = 180  # apart from the strongest
    (event,) = detect(made(share), PLAIN)
    assert (event.start_pts, event.end_pts, event.peak) == (2000, 5000, 200 / 255)
    assert 3000 <= event.peak_pts < 4000
    assert event.region == ((2, 2), (2, 3), (2, 4)), "what is beside them does not move"
    assert event.cells == 3
    power = 3 * (200 // 8) ** 2  # of the cell in their middle
    most = float(strengths(made(share)).max())
    assert event.score == pytest.approx(FLEET.operating.score(most), abs=1e-3)
    assert most == pytest.approx(power / scale_of(made(share)), rel=0.01)
    assert event.score > -np.log10(PLAIN.sensitivity)


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
    share = np.zeros((40, 6, 6), np.uint8)
    share[:10, :3, :3] = 255
    assert spans(detect(made(share, cold=4), PLAIN)) == [(400, 1000)]
    assert spans(detect(made(share, cold=5), PLAIN)) == [(600, 1000)], "a moment is its first frame"
    assert detect(made(share, cold=39), PLAIN) == []
    assert spans(detect(made(share, cold=40), PLAIN)) == [(0, 1000)]


def test_an_hour_of_stillness_costs_next_to_nothing_and_gives_nothing() -> None:
    assert detect(made(np.zeros((54_000, 18, 32), np.uint8)), Detection()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"sensitivity": 0},
        {"sensitivity": 100_001},
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
    "wrong", [{"start_pts": 5}, {"end_pts": 4}, {"peak": 0.0}, {"peak": 1.5}, {"region": ()}, {"peak_pts": 0}]
)
def test_an_event_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {"start_pts": 1, "end_pts": 5, "peak_pts": 4, "peak": 0.5, "score": 1.0}
    assert Event(**right, region=((0, 0),)).cells == 1
    with pytest.raises(ValueError, match="event"):
        Event(**({**right, "region": ((0, 0),)} | wrong))
