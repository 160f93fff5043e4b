"""The same scene at every rate: movers keep their pace, whatever the camera's is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.composites import Footage
from benchmarks.rates import CASES, RATES, TIME_BASE, steady, variable


@pytest.mark.parametrize("rate", RATES)
def test_a_steady_camera_has_its_rate_and_enough_frames(rate: float) -> None:
    times = steady(rate)
    assert np.allclose(np.diff(times), 1 / rate)
    assert 150 <= len(times) <= 900


def test_a_variable_camera_is_slow_and_fast_in_turn() -> None:
    steps = np.diff(variable())
    assert 0 < steps.min() < 0.15
    assert 0.3 < steps.max() < 1


def test_a_case_changes_where_it_is_labelled_and_times_increase(footage: Path) -> None:
    case = CASES["hall 1 / s"](Footage(footage))
    assert (np.diff(case.pts) == 1 / TIME_BASE).all()
    assert case.frames.shape == case.masks.shape
    away = abs(case.frames - np.median(case.frames, axis=0))
    assert away[case.masks == 255].mean() > 20
    assert away[case.masks == 0].mean() < 3
