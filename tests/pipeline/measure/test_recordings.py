"""A clip with holes in it: what comes after a long one is measured as a clip of its own."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.activity import Activity
from pipeline.measure.motion import MeasureSettings, measure

MS = Fraction(1, 1000)
HEIGHT, WIDTH = 96, 128
HORIZON_MS = round(1000 * MeasureSettings().horizon_s)


def scene(seed: int, *, evening: bool, seconds: int = 6, start_ms: int = 0) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Somebody walks through the picture for all of a part of a recording; in the evening the light is another."""
    noise = np.random.default_rng(seed)
    ground = np.kron(np.random.default_rng(1).integers(60, 180, (6, 8)), np.ones((16, 16)))
    for number in range(25 * seconds):
        picture = ground * np.where(np.arange(WIDTH) > 70, 0.5, 0.9) if evening else ground
        picture = picture + noise.normal(0, 2, ground.shape)
        left = 5 + 100 * number // (25 * seconds)
        picture[40:70, left : left + 12] = 240
        yield start_ms + 40 * number, picture.clip(0, 255).astype(np.uint8)


def whole(pause_ms: int, parts: int = 3) -> Activity:
    frames = [
        frame
        for n in range(parts)
        for frame in scene(n, evening=n % 2 == 1, start_ms=n * (6000 + pause_ms - 40) + 40 * n)
    ]
    return measure(frames, time_base=MS)


@pytest.mark.parametrize("pause_ms", [HORIZON_MS + 100, 150_000, 3_600_000, 40_000_000])
def test_after_a_long_hole_a_clip_is_measured_as_one_of_its_own(pause_ms: int) -> None:
    found = whole(pause_ms)
    assert len(found.holes) == 2
    for n in range(3):
        alone = measure(scene(n, evening=n % 2 == 1), time_base=MS)
        part = slice(150 * n, 150 * (n + 1))
        assert np.array_equal(found.share[part], alone.share)
        assert np.array_equal(found.luma[part], alone.luma)


def test_where_nothing_but_the_light_changed_in_a_long_hole_nothing_moves() -> None:
    def dull(start_ms: int, level: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        return ((start_ms + 40 * n, np.full((HEIGHT, WIDTH), level, np.uint8)) for n in range(100))

    assert not measure([*dull(0, 40), *dull(3_600_000, 200)], time_base=MS).share.any()


def test_a_clip_is_cold_where_no_part_between_long_holes_is_long_enough_to_know_the_background() -> None:
    frames = [frame for n in range(3) for frame in scene(n, evening=False, seconds=1, start_ms=3_600_000 * n)]
    assert measure(frames, time_base=MS).cold == 75
    assert measure([*frames, *scene(3, evening=False, start_ms=4 * 3_600_000)], time_base=MS).cold == 0


def test_a_camera_that_takes_a_picture_every_three_minutes_has_no_hole_and_one_recording() -> None:
    rare = [(180_000 * n, plane) for n, (_, plane) in enumerate(scene(0, evening=False, seconds=1))]
    found = measure(rare, time_base=MS)
    assert found.holes == ()
    assert found.cold == 0
