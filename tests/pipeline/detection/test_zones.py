"""Zones lie on the cells that `measure` makes, in pictures of any size."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.activity import Activity
from pipeline.detection.detect import detect
from pipeline.detection.gates import Detection
from pipeline.detection.tracer import watched_cells
from pipeline.measure.grid import Grid
from pipeline.measure.motion import measure

if TYPE_CHECKING:
    from pipeline.layout import Layout
    from pipeline.zone import Zone

PLAIN = Detection(pre_roll_s=0, post_roll_s=0)


def around(layout: Layout, row: int, column: int) -> Zone:
    """Return a zone around exactly the pixels of a cell."""
    down, right = layout.edges()
    top, bottom, left, beyond = down[row], down[row + 1], right[column], right[column + 1]
    corners = ((left, top), (beyond, top), (beyond, bottom), (left, bottom))
    return tuple((float(x / layout.width), float(y / layout.height)) for x, y in corners)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 6000), st.integers(1, 6000), st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_a_zone_around_a_cell_is_that_cell(height: int, width: int, down: float, right: float, last: bool) -> None:
    assume(max(height, width) < 400 * min(height, width))
    layout = Grid(height, width).layout
    row, column = (layout.rows - 1, layout.columns - 1) if last else (
        min(layout.rows - 1, int(down * layout.rows)),
        min(layout.columns - 1, int(right * layout.columns)),
    )  # fmt: skip
    still, dark = np.zeros((1, layout.rows, layout.columns), np.uint8), np.zeros(1, np.uint8)
    activity = Activity(still, np.zeros(1, np.int64), dark, Fraction(1), 0, width, height, "test", layout.side)
    zone = around(layout, row, column)
    assert np.argwhere(watched_cells(activity, Detection(watch=(zone,)))).tolist() == [[row, column]]
    assert np.argwhere(~watched_cells(activity, Detection(ignore=(zone,)))).tolist() == [[row, column]]


def test_what_moves_in_the_last_cell_of_a_large_picture_is_in_the_zone_around_it() -> None:
    ground = np.random.default_rng(3).integers(60, 180, (2560, 2560), np.uint8)
    frames = []
    for number in range(30):
        frame = ground.copy()
        if 12 <= number < 20:
            frame[2352:, 2352 + number : 2532 + number] = 255
        frames.append((number, frame))
    activity = measure(frames, time_base=Fraction(1, 10))
    moved = activity.share.max(0)
    assert np.argwhere(moved > 50).tolist() == [[21, 21]]
    last, before = (around(activity.layout, at, at) for at in (21, 20))
    (event,) = detect(activity, PLAIN.model_copy(update={"watch": (last,)}))
    assert 10 <= event.start_pts <= event.peak_pts < event.end_pts <= 22
    assert detect(activity, PLAIN.model_copy(update={"ignore": (last,)})) == []
    assert detect(activity, PLAIN.model_copy(update={"watch": (before,)})) == []
    assert detect(Activity.from_bytes(activity.to_bytes()), PLAIN.model_copy(update={"watch": (last,)})) == [event]
