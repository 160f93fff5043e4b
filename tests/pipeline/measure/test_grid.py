"""What `Grid` promises: working images and cells of any size of picture."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.measure.grid import Grid


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 900), width=st.integers(1, 1300), pad=st.integers(0, 9), seed=st.integers(0, 9))
def test_every_size_and_stride_becomes_a_working_image_of_means(height: int, width: int, pad: int, seed: int) -> None:
    grid = Grid(height, width)
    gride = np.random.default_rng(seed).integers(0, 256, (height, width + pad), np.uint8)[:, pad:]
    rows, columns = grid.work_shape
    box = grid.box
    (image,) = grid.reduce([grid.sample(gride)])
    assert image.shape == grid.work_shape
    assert rows * columns <= 30_000 or box == 1
    boxes = gride[: rows * box, : columns * box].reshape(rows, box, columns, box)
    if box == 4:
        boxes = boxes[:, :, :, ::2]
    if box >= 8:
        first = box // 2 if box > 8 else 0
        boxes = boxes[:, box // 2 : box // 2 + 1, :, first : first + 8]
    total, many = boxes.sum((1, 3), dtype=np.int64), boxes.shape[1] * boxes.shape[3]
    assert np.array_equal(image, (total + 2) // 4 if box == 2 else total // many)
    assert grid.cells(image[None]).sum() == image.sum(dtype=np.int64)
    assert np.array_equal(grid.cells(image[None] // 8, 31), grid.cells(image[None] // 8))
    assert np.prod(grid.grid_shape) <= 640 or min(height, width) < 16


def test_large_pictures_of_any_shape_get_about_as_many_cells() -> None:
    for size in [(1080, 1920), (1920, 1080), (2160, 3840), (720, 1280), (480, 640), (576, 768)]:
        assert 400 <= np.prod(Grid(*size).grid_shape) <= 640
