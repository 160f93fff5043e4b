"""Where a recording has no frames."""

from fractions import Fraction

import numpy as np
import pytest

from pipeline.holes import holes, longest_step, never_came, usual_step

BASE = Fraction(1, 1000)


def frames(*steps: int) -> np.ndarray:
    return np.cumsum(np.array([0, *steps], np.int64))


@pytest.mark.parametrize("steps", [(), (40,), (40,) * 9, (40, 1900, 40, 40), (60_000,) * 9, (2800, 3100, 9000, 2800)])
def test_frames_that_come_as_usual_leave_no_hole(steps: tuple[int, ...]) -> None:
    assert holes(frames(*steps), BASE) == []


def test_a_pause_is_a_hole_that_begins_where_the_frame_before_it_usually_ends() -> None:
    assert holes(frames(40, 40, 3_600_000, 40, 40), BASE) == [(120, 3_600_080)]


def test_every_pause_is_a_hole_of_its_own() -> None:
    assert holes(frames(*[40] * 5, 2100, *[40] * 5, 5000, 40), BASE) == [(240, 2300), (2540, 7500)]


def test_a_camera_that_takes_a_frame_a_minute_may_take_ten() -> None:
    usual = usual_step(frames(*[60_000] * 5))
    assert longest_step(usual, BASE) == 600_000
    assert longest_step(40, BASE) == 2000
    assert holes(frames(*[60_000] * 5, 600_001), BASE) == [(360_000, 900_001)]


def test_frames_never_came_where_one_step_is_longer_than_all_others() -> None:
    assert never_came(frames(*[40] * 20, 160, *[40] * 20, 81), BASE, alike=0.9) == (2, 4)
    assert never_came(frames(*[40] * 20, 40, 5000, 40), BASE, alike=0.9) == (0, 0)  # that is a hole
    assert never_came(frames(40, 80, 40, 120, 40), BASE, alike=0.9) == (0, 0)  # no even recording
    assert never_came(frames(*[33, 33, 34] * 9), BASE, alike=0.9) == (0, 0)
    assert never_came(frames(40), BASE, alike=0.9) == (0, 0)
