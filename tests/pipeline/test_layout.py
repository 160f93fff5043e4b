"""Where cells lie: as `measure` makes them, in pictures of any size, and as earlier versions of it made them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.layout import Layout, layout_before
from pipeline.measure.grid import Grid


@settings(max_examples=80, deadline=None)
@given(height=st.integers(1, 4000), width=st.integers(1, 4000))
def test_cells_have_the_working_pixels_that_measure_sums_into_them(height: int, width: int) -> None:
    plan = Grid(height, width)
    assert (plan.layout.rows, plan.layout.columns) == plan.cells(np.ones((1, *plan.work_shape), np.uint8)).shape[1:]
    held = []
    for edges, count in zip(plan.layout.edges(), plan.work_shape, strict=True):
        assert (np.diff(edges) > 0).all()
        cell = np.searchsorted(edges, np.arange(count) * plan.box, side="right") - 1
        held.append(np.bincount(cell))
    assert np.array_equal(plan.area[0], np.outer(*held))


def test_the_last_cells_take_what_remains() -> None:
    down, right = Layout(2560, 2500, 112, 22, 22).edges()
    assert (right[:2].tolist(), right[-2:].tolist()) == ([0, 112], [2352, 2560])
    assert (len(down), down[-2:].tolist()) == (23, [2352, 2500])


@pytest.mark.parametrize(
    ("height", "width", "side", "rows", "columns"),
    [
        (2560, 2560, 112, 22, 22),
        (1080, 1920, 64, 16, 30),
        (240, 320, 16, 15, 20),
        (3, 20_000, 16, 1, 1250),  # a sliver
        (1, 1, 16, 1, 1),
    ],
)
def test_known_sizes_of_picture(height: int, width: int, side: int, rows: int, columns: int) -> None:
    assert Grid(height, width).layout == Layout(width, height, side, rows, columns)
    for version in ("5-5f2c9ab04e", "4-5f2c9ab04e", "3-5f2c9ab04e"):
        assert layout_before(version, height, width) == Layout(width, height, side, rows, columns)


@pytest.mark.parametrize(
    ("height", "width", "side", "rows", "columns"),
    [(1080, 1920, 60, 18, 32), (240, 320, 16, 15, 20), (2560, 2560, 112, 22, 22), (2160, 3840, 120, 18, 32)],
)
def test_the_second_version_had_other_boxes(height: int, width: int, side: int, rows: int, columns: int) -> None:
    assert layout_before("2-5f2c9ab04e", height, width) == Layout(width, height, side, rows, columns)


@pytest.mark.parametrize("wrong", [(64, 48, 16, 4, 4), (64, 48, 16, 3, 5), (64, 48, 0, 3, 4), (64, 48, 16, 0, 4)])
def test_cells_that_cannot_be_are_refused(wrong: tuple[int, int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="cells begin inside of their picture"):
        Layout(*wrong)
