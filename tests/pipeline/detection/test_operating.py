"""From a rate of false events follows a strength: of all cameras at first, more and more of its own past."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.detection.gates import Detection
from pipeline.detection.operating import LEVELS, Operating

counted = st.lists(st.integers(0, 50), min_size=len(LEVELS), max_size=len(LEVELS)).map(
    lambda more: np.cumsum(np.array(more[::-1], np.int64))[::-1]
)
pasts = st.one_of(st.just(Operating.known()), st.builds(Operating.known, counted, st.floats(0, 60)))
rates = st.floats(-4, 5).map(lambda power: 10.0**power)


def test_with_no_past_the_default_is_decided_at_strength_one() -> None:
    known = Operating.known()
    assert known.strength(Detection().sensitivity) == pytest.approx(1, rel=1e-3)
    assert known.score(1.0) == pytest.approx(-np.log10(2), abs=1e-3)


@given(pasts, rates, rates)
def test_who_tolerates_more_is_told_of_no_less(known: Operating, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert known.strength(more) <= known.strength(less)


@given(pasts, st.floats(0, 3000), st.floats(0, 3000))
def test_what_is_stronger_never_scores_less(known: Operating, one: float, other: float) -> None:
    weak, strong = sorted((one, other))
    assert known.score(strong) >= known.score(weak)


@given(pasts, rates)
def test_strength_and_score_are_inverse_within_the_levels(known: Operating, per_day: float) -> None:
    strength = known.strength(per_day)
    assert LEVELS[0] <= strength <= LEVELS[-1] * (1 + 1e-12)
    if LEVELS[0] < strength < LEVELS[-1]:
        assert known.score(strength) == pytest.approx(-np.log10(per_day), abs=1e-4)


@given(counted)
def test_no_days_of_past_are_no_past_once_nothing_was_counted(
    chance: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> None:
    assert np.array_equal(Operating.known(chance * 0, 0.0).rates, Operating.known().rates)


def test_the_change_over_from_all_cameras_to_its_own_past_is_smooth() -> None:
    a_day = (LEVELS <= 8) * np.int64(5)  # five events a day that are nobody's, all as strong as 8
    days = [0, 1, 2, 4, 8, 16, 64, 1000]
    strengths = [Operating.known(a_day * day, day).strength(2.0) for day in days]
    assert strengths[0] == pytest.approx(1, rel=1e-3)
    assert strengths[1] < 2, "five in one day may be one visitor who stands there now and then"
    assert all(strength == pytest.approx(8, rel=0.1) for strength in strengths[3:])
    fine = [Operating.known(a_day * 0, day).strength(2.0) for day in np.arange(0, 30, 0.1)]
    assert all(0 <= one - other < 0.1 for one, other in pairwise(fine)), "a quiet camera is trusted more day by day"
    assert fine[-1] < fine[0] / 2


def test_a_camera_with_many_chance_events_asks_for_more_strength_than_one_with_few() -> None:
    many, few = (Operating.known((LEVELS <= 4) * np.int64(count), 1.0) for count in (100, 1))
    assert many.strength(2.0) > few.strength(2.0)
    assert many.score(4.0) < few.score(4.0)
    assert (np.diff(many.rates) <= 0).all()
