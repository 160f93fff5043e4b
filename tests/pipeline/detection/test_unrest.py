"""Visitors who come again and again within a clip are not taken for what is restless there; wind and insects are."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.activity import Activity
from pipeline.detection.detect import detect
from pipeline.detection.gates import Detection
from pipeline.detection.gather import gather

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Shares = NDArray[np.uint8]

ROWS, COLUMNS, SECONDS = 9, 16, 66
PLAIN = Detection(pre_roll_s=0, post_roll_s=0)


def film(share: Shares, rate: int) -> Activity:
    return Activity(
        share, np.arange(len(share), dtype=np.int64), np.zeros(len(share), np.uint8), Fraction(1, rate), 0,
        width=16 * COLUMNS, height=16 * ROWS, version="1", cell_side=16,
    )  # fmt: skip


def still(rate: int) -> Shares:
    return np.zeros((SECONDS * rate, ROWS, COLUMNS), np.uint8)


def visits(share: Shares, rate: int, *, crosses_s: float, level: int, every_s: float = 10) -> list[tuple[float, float]]:
    """Let somebody cross the lower part of the picture every few seconds, and return when that is, in seconds."""
    times = []
    for number, start_s in enumerate(np.arange(3.0, SECONDS - crosses_s - 1, every_s)):
        frames = np.arange(round(start_s * rate), round((start_s + crosses_s) * rate))
        along = (frames - frames[0]) / len(frames) * COLUMNS
        right = (along if number % 2 else COLUMNS - 1e-6 - along).astype(int)
        share[frames, 6, right] = level
        share[frames, 7, right] = level // 2
        times.append((start_s, start_s + crosses_s))
    return times


def wind(share: Shares, rate: int, *, level: int) -> None:
    """Let leaves move in the upper right corner, most of the time, now more and now less."""
    rng = np.random.default_rng(4)
    stirs = rng.random((SECONDS * 3, 3, 5)) < 0.5
    force = level * rng.uniform(0.4, 1, (SECONDS * 3, 3, 5)) * stirs
    share[:, :3, -5:] = np.maximum(share[:, :3, -5:], force[np.arange(len(share)) * 3 // rate])


def found(activity: Activity) -> list[tuple[float, float]]:
    base = activity.time_base
    return [(float(one.start_pts * base), float(one.end_pts * base)) for one in detect(activity, PLAIN)]


@pytest.mark.parametrize("rate", [6, 15, 30])
@pytest.mark.parametrize("crosses_s", [2.0, 3.5, 5.0])
@pytest.mark.parametrize("level", [120, 160, 255])
def test_each_of_six_visitors_in_a_minute_is_an_event(rate: int, crosses_s: float, level: int) -> None:
    share = still(rate)
    came = visits(share, rate, crosses_s=crosses_s, level=level)
    events = found(film(share, rate))
    assert len(events) == len(came) == 6
    for (start, end), (event_start, event_end) in zip(came, events, strict=True):
        assert start - 0.7 <= event_start < event_end <= end + 0.7


@pytest.mark.parametrize("rate", [6, 15])
@pytest.mark.parametrize("crosses_s", [2.0, 3.5])
def test_each_is_an_event_in_the_wind_too_and_the_wind_is_none(rate: int, crosses_s: float) -> None:
    alone, share = still(rate), still(rate)
    wind(alone, rate, level=32)
    assert found(film(alone, rate)) == []
    came = visits(share, rate, crosses_s=crosses_s, level=200)
    wind(share, rate, level=32)
    events = found(film(share, rate))
    assert len(events) == len(came) == 6
    assert gather(film(share, rate)).unrest == pytest.approx(gather(film(alone, rate)).unrest, rel=0.3)


def test_visitors_in_the_wind_leave_it_as_restless_as_it_is_alone() -> None:
    alone, share = still(15), still(15)
    wind(alone, 15, level=80)
    visits(share, 15, crosses_s=3, level=255)
    wind(share, 15, level=80)
    assert gather(film(share, 15)).unrest == pytest.approx(gather(film(alone, 15)).unrest, rel=0.1)


def test_a_bush_that_stirs_for_a_second_in_ten_where_it_is_stays_restless() -> None:
    share, rng = still(15), np.random.default_rng(2)
    for second in range(3, SECONDS - 2, 6):
        share[second * 15 : second * 15 + 12, :3, :4] = rng.integers(80, 120, (12, 3, 4))
    assert (share > 0).mean(0).max() < 0.15
    assert (gather(film(share, 15)).unrest or 0) > 500


def test_what_comes_everywhere_stays_restless_however_seldom_in_one_place() -> None:
    share, rng = still(15), np.random.default_rng(3)
    for _ in range(90):  # insects: each is there for three moments, and goes as far as a visitor
        at, row, column = rng.integers(0, len(share) - 15), rng.integers(0, ROWS - 2), rng.integers(0, COLUMNS - 6)
        for step in range(3):
            share[at + 5 * step : at + 5 * step + 5, row : row + 2, column + 2 * step : column + 2 * step + 2] = 150
    assert (share > 0).mean(0).max() < 0.15
    assert (gather(film(share, 15)).unrest or 0) > 200


@pytest.mark.parametrize("rate", [3, 10, 25])
def test_a_first_or_last_moment_alone_is_no_stronger_than_one_in_the_midst(rate: int) -> None:
    frames = max(1, rate // 3)
    peaks = []
    for start in (0, SECONDS * rate // 2 // rate * rate, SECONDS * rate - frames):
        share = still(rate)
        share[start : start + frames, 3:6, 3:6] = 200
        peaks.append(int(gather(film(share, rate)).brief.max(initial=0)))
    assert max(peaks[0], peaks[2]) <= peaks[1]
