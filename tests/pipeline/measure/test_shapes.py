"""Pictures of any shape are measured: a header may claim any, and one that cannot be would end more than its clip."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.measure.motion import measure
from pipeline.measure.shake import shakes

SHORT = st.sampled_from([1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 127, 128])
LONG = st.sampled_from([1, 2, 3, 64, 255, 640, 1001, 4096, 8191, 16_384])


def pictures(height: int, width: int, count: int, *, shaking: bool) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Noise, or a scene of it before a camera that shakes by up to a quarter of the picture."""
    rng = np.random.default_rng(height * width)
    down, right = height // 4 + 1, width // 4 + 1
    scene = rng.integers(0, 256, (height + down, width + right), np.uint8)
    for number in range(count):
        y, x = (int(rng.integers(0, down)), int(rng.integers(0, right))) if shaking and number % 2 else (0, 0)
        noise = rng.integers(0, 256, (height, width), np.uint8)
        yield number, scene[y : y + height, x : x + width] if shaking else noise


@settings(max_examples=60)
@given(SHORT, LONG, st.booleans(), st.sampled_from([1, 2, 3, 7]), st.booleans())
def test_a_picture_of_any_shape_is_measured(short: int, long: int, upright: bool, count: int, shaking: bool) -> None:
    height, width = (long, short) if upright else (short, long)
    found = measure(pictures(height, width, count, shaking=shaking), time_base=Fraction(1, 5))
    assert (found.height, found.width, len(found.pts)) == (height, width, count)


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("size", [(8, 2048), (9, 4000), (8, 32_768)])
def test_shaking_along_a_sliver_is_found_and_none_where_it_stands_still(size: tuple[int, int], upright: bool) -> None:
    rng = np.random.default_rng(4)
    scene = np.kron(rng.integers(0, 256, (size[0], size[1] // 4 + 8)), np.ones((1, 4))).astype(np.uint8)
    for places, shaken in (((0, 1, 0, 2, 0), True), ((0, 0, 0, 0, 0), False)):
        images = np.stack([scene[:, at : at + size[1]] for at in places])
        assert shakes(images.swapaxes(1, 2) if upright else images) == shaken
