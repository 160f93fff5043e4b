"""Where a recording has no frames."""

from fractions import Fraction

import numpy as np
import pytest

from pipeline.holes import holes, longest_step, usual_step

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
