"""A camera's habits: what comes again is usual, who goes somewhere is not; the same past gives the same bytes."""

from __future__ import annotations

import functools
import itertools
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from evidences import strengths
from hypothesis import given
from hypothesis import strategies as st

from pipeline.activity import Activity
from pipeline.detection.detect import detect
from pipeline.detection.gates import Detection
from pipeline.detection.habits import HABITS_VERSION, Habits, Learner, Past
from pipeline.detection.operating import LEVELS
from pipeline.detection.usual import FLEET
from pipeline.layout import Layout
from pipeline.span import NS, Span, parse_iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Shares = NDArray[np.uint8]

NOON = parse_iso("2026-03-01T12:00:00Z")
HOUR = 3600 * NS
ROWS, COLUMNS = 18, 32
LAYOUT = Layout(16 * COLUMNS, 16 * ROWS, 16, ROWS, COLUMNS)


def past(share: Shares, start_ns: int = NOON, *, night: bool = False) -> Past:
    """Return a clip of 10 frames a second of a camera's past."""
    count, rows, columns = share.shape
    pts = np.arange(count, dtype=np.int64) * 100
    activity = Activity(share, pts, np.zeros(count, np.uint8), Fraction(1, 1000), 0, 16 * columns, 16 * rows, "1", 16)
    return Past(activity, Span(start_ns, start_ns + count * NS // 10), night)


def learnt(clips: Sequence[Past], *, again: Sequence[Past] | None = None) -> Habits:
    learner = Learner(clips[0].activity.layout)
    for one in clips:
        learner.look(one)
    known = learner.known()
    for one in clips if again is None else again:
        learner.look_again(one, known)
    return learner.known()


def still(frames: int = 600) -> Shares:
    return np.zeros((frames, ROWS, COLUMNS), np.uint8)


def swaying(seed: int, frames: int = 600) -> Shares:
    """Leaves on the left, that move most of the time."""
    rng = np.random.default_rng(seed)
    share = still(frames)
    share[:, 2:7, 1:6] = rng.integers(60, 120, (frames, 5, 5))
    return share


def walking(share: Shares, first: int = 200) -> Shares:
    """Somebody of 2 x 3 cells who crosses the picture in six seconds."""
    for step in range(60):
        left = step * (COLUMNS - 2) // 60
        share[first + step, 4:7, left : left + 2] = 220
    return share


def standing(share: Shares, first: int = 200, frames: int = 100) -> Shares:
    """Somebody who stands on a doorstep for a while, without a step."""
    share[first : first + frames, 4:7, 10:12] = 200
    return share


def hours(count: int, shares: Any, *, night: bool = False) -> list[Past]:
    """Return a clip of each of some hours from noon on."""
    return [past(shares(number), NOON + number * HOUR, night=night) for number in range(count)]


# The document ---------------------------------------------------------------------------------------------------------


@functools.cache
def an_example() -> Habits:
    return learnt([*hours(3, lambda n: walking(swaying(n))), *hours(2, lambda _: standing(still()), night=True)])


def test_what_is_written_is_read_as_the_same() -> None:
    known = an_example()
    read = Habits.from_bytes(known.to_bytes())
    assert (read.layout, read.span, read.clips) == (known.layout, known.span, known.clips)
    for name, array in known.arrays().items():
        assert np.array_equal(read.arrays()[name], array), name
    assert read.to_bytes() == known.to_bytes()


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
def test_the_same_clips_in_any_order_give_the_same_bytes(order: tuple[int, ...]) -> None:
    clips = [
        past(walking(swaying(1)), NOON),
        past(swaying(2), NOON + 60 * NS),
        past(standing(still()), NOON + HOUR),
        past(swaying(3), NOON + 10 * HOUR, night=True),
    ]
    reference = learnt(clips).to_bytes()
    assert learnt([clips[n] for n in order]).to_bytes() == reference
    assert learnt(clips, again=[clips[n] for n in order]).to_bytes() == reference


def test_a_learner_that_is_shown_the_clips_of_others_in_parts_knows_the_same() -> None:
    still_day = [past(still(), NOON + number * HOUR) for number in range(2)]
    halves = [past(still(300), one.span.start_ns + part * 30 * NS) for one in still_day for part in range(2)]
    whole, parts = learnt(still_day), learnt(halves)
    assert (parts.clips, whole.clips) == (4, 2)
    for name in ("slots", "footage_s", "steady", "gusts", "span"):
        assert np.array_equal(whole.arrays()[name], parts.arrays()[name]), name


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_damaged_bytes_are_refused_or_are_habits_all_the_same(at: int, flip: int) -> None:
    data = bytearray(an_example().to_bytes())
    data[at % len(data)] ^= flip
    try:
        found = Habits.from_bytes(bytes(data))
    except ValueError:
        return
    assert found.usual(night=False, hour=3).operating.strength(2.0) > 0


def replaced(**arrays: Any) -> bytes:
    import io  # noqa: PLC0415 - of these tests one writes

    out = io.BytesIO()
    np.savez(out, **(an_example().arrays() | arrays))
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04",
        an_example().to_bytes()[:-100],
        replaced(version=np.array(HABITS_VERSION + 1)),
        replaced(steady=np.zeros((1, 2, 2), np.uint16)),
        replaced(chance=np.zeros((2, 3), np.int64)),
        replaced(slots=np.array([[0, 24], [0, 1], [0, 2], [1, 1], [1, 2]])),
        replaced(footage_s=np.zeros(5)),
        replaced(more=np.zeros(1)),
        replaced(layout=np.array([1, 2, 3])),
        replaced(layout=np.array(["a"], object)),
    ],
)
def test_what_are_no_habits_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="wanted a camera's habits"):
        Habits.from_bytes(data)


def test_habits_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        an_example().steady[0] = 1


# What is told by them -------------------------------------------------------------------------------------------------


def test_by_night_a_day_says_nothing_and_the_fleet_is_all_there_is() -> None:
    known = learnt(hours(2, swaying))
    assert known.usual(night=True, hour=12) is FLEET
    assert known.usual(night=False, hour=12).hours == pytest.approx(2 / 60)


def test_hours_near_weigh_more_and_midnight_is_no_border() -> None:
    clips = [past(swaying(1), NOON + number * HOUR) for number in (9, 10)]  # 21 and 22 h
    clips += [past(still(), NOON + number * HOUR) for number in (12, 13)]  # 0 and 1 h
    known = learnt(clips)

    def sways(hour: int) -> float:
        steady = known.usual(night=False, hour=hour).steady
        assert steady is not None
        return float(steady[3, 4])

    assert sways(21) > sways(23) > sways(0)
    assert sways(22) > sways(0)
    assert sways(23) == pytest.approx(sways(23 - 24), rel=1e-6)
    late = learnt([past(swaying(1), NOON + 11 * HOUR), past(still(), NOON + 5 * HOUR)])  # 23 and 17 h
    near, far = (late.usual(night=False, hour=hour).steady for hour in (0, 17))
    assert near is not None
    assert far is not None
    assert near[3, 4] > far[3, 4], "0 h is an hour from 23 h"


def test_more_past_weighs_more_smoothly() -> None:
    steady = []
    for count in (1, 2, 4, 8, 16):
        usual = learnt([past(swaying(n), NOON + n * 60 * NS) for n in range(count)]).usual(night=False, hour=12)
        assert usual.steady is not None
        steady.append(float(usual.steady[3, 4]))
    assert steady == sorted(steady)
    assert 0 < steady[0] < steady[-1] / 2


# What is learnt -------------------------------------------------------------------------------------------------------


@functools.cache
def windy_past() -> Habits:
    return learnt([past(swaying(n), NOON - 24 * HOUR + n * 60 * NS) for n in range(60)])


def moves(usual: Any, share: Shares) -> NDArray[np.bool_]:
    """Return which cells ever move under default settings: bool (R, C)."""
    found: NDArray[np.bool_] = strengths(past(share).activity, usual) >= usual.operating.strength(2.0)
    moved: NDArray[np.bool_] = np.asarray(found.any(0))
    return moved


def test_leaves_that_sway_steadily_are_usual_and_a_visitor_before_them_is_found() -> None:
    known = windy_past().usual(night=False, hour=12)
    part = swaying(99, 100)
    calm = still(200)
    calm[50:100] = part[50:]  # too little of the clip for itself to say that it is usual
    assert moves(FLEET, calm)[2:7, 1:6].any()
    assert not moves(known, calm).any()
    visited = walking(swaying(98))
    found = detect(past(visited).activity, Detection(), known)
    assert any(event.start_pts <= 23_000 < event.end_pts for event in found)


def test_visitors_that_travel_leave_no_habit() -> None:
    known = learnt([past(walking(still()), NOON + n * 60 * NS) for n in range(60)])
    assert not known.steady.any()
    assert known.gusts.max() <= 16
    assert not known.chance.any()
    usual = known.usual(night=False, hour=12)
    alone, with_past = (detect(past(walking(still())).activity, Detection(), one) for one in (FLEET, usual))
    assert len(alone) == len(with_past) == 1
    assert with_past[0].score >= alone[0].score - 0.01


def test_somebody_on_the_doorstep_every_day_is_never_usual() -> None:
    days = [past(standing(still(1200)), NOON - day * 24 * HOUR) for day in range(1, 15)]
    quiet = [past(still(1200), NOON - day * 24 * HOUR + n * 120 * NS) for day in range(1, 15) for n in range(1, 8)]
    usual = learnt([*days, *quiet]).usual(night=False, hour=12)
    (event,) = detect(past(standing(still(1200))).activity, Detection(), usual)
    assert (4, 10) in event.region


def test_a_parked_car_is_usual_in_time_and_who_comes_to_it_is_found() -> None:
    share = still(3000)
    share[20:, 5:8, 2:9] = 200  # left in its place after two seconds, for five minutes
    later = [past(share[300:], NOON + n * 300 * NS) for n in range(24)]
    usual = learnt(later).usual(night=False, hour=12)
    assert detect(past(share[300:]).activity, Detection(), usual) == []
    visited = walking(share[300:].copy(), 1000)
    assert detect(past(visited).activity, Detection(), usual) != []


def test_chance_is_counted_by_day_and_by_night_and_only_of_what_goes_nowhere() -> None:
    flicker = still()
    for first in range(100, 500, 100):
        flicker[first : first + 6, 3:5, 8:10] = 120
    known = learnt([past(flicker), past(still(), NOON + 12 * HOUR, night=True)])
    day, night = known.chance
    assert 0 < day[0] <= 4
    assert not night.any()
    assert (np.diff(day) <= 0).all()
    assert len(day) == len(LEVELS)
