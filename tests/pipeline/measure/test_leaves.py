"""What is promised of leaves and water: they are calmed, and who comes before them is seen."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.measure.leaves import calmed
from pipeline.measure.motion import measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

RATE, N = 15, 600
TIMES = np.arange(N) / RATE
LEAVES = np.array([[1, 0.5, 0, 0]], np.float32)


def flicker(low: int, high: int) -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(low, high, (N, 1, 4), np.uint8)


def test_what_leaves_usually_show_is_taken_off_and_nothing_elsewhere() -> None:
    cells = flicker(10, 60)
    calm = calmed([(cells, LEAVES)], TIMES)
    assert calm[:, 0, 0].max() == 0
    assert 0 < calm[:, 0, 1].mean() < cells[:, 0, 1].mean() / 2
    assert np.array_equal(calm[:, 0, 2:], cells[:, 0, 2:])


def test_who_passes_before_leaves_or_stands_there_is_still_seen() -> None:
    cells = flicker(10, 60)
    cells[300:320, 0, 0] = 255
    assert calmed([(cells, LEAVES)], TIMES)[300:320, 0, 0].min() > 200
    cells = np.zeros((N, 1, 4), np.uint8)
    cells[100:, 0] = 180
    assert np.array_equal(calmed([(cells, LEAVES)], TIMES), cells)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_clip_of_a_few_frames_is_left_as_it_is_or_calmed_without_an_error(length: int) -> None:
    cells = flicker(10, 60)[:length]
    calm = calmed([(cells, LEAVES)], TIMES[:length])
    assert calm.shape == cells.shape
    assert (calm <= cells).all()


def test_every_block_is_calmed_by_the_blocks_beside_it() -> None:
    cells, still = flicker(10, 60), np.zeros_like(LEAVES)
    blocks = [(cells[:590], LEAVES), (cells[590:], LEAVES)]
    assert calmed(blocks, TIMES)[590:, 0, 0].max() == 0  # too short to tell by itself
    blocks = [(cells[:300], LEAVES), (cells[300:], still)]
    calm = calmed(blocks, TIMES)
    assert calm[:300, 0, 0].max() == 0
    assert np.array_equal(calm[300:], cells[300:])


def test_a_visitor_whose_every_pixel_might_be_a_leaf_is_seen_by_the_mean_of_the_cell() -> None:
    rng = np.random.default_rng(6)
    tree = rng.integers(40, 201, (60, 120, 160), np.uint8)

    def planes() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        for number in range(300):
            plane = np.kron(tree[rng.integers(60)], np.ones((2, 2), np.uint8))
            if 150 <= number < 180:
                plane[96:160, 128:192] = 60
            yield number, plane

    share = measure(planes(), time_base=Fraction(1, RATE)).share
    there = share[152:178, 6:10, 8:12]
    assert there.mean() > 100
    assert (share[:140] > 50).mean() < 0.001
    assert (np.delete(share[152:178], np.s_[5:11], axis=1) > 50).mean() < 0.001
