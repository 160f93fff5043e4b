"""Where the cells of a picture lie: the one formula, for `measure` and for what earlier versions of it stored."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_WORK_PIXELS = 28_000  # of a working image at most: 160 x 120 for 320 x 240, 160 x 90 for 720p, 120 x 67 for 1080p
_CELLS = 640  # of a grid: bounds what an hour of activity weighs
_CELL_SIDE = 16  # pixels: below this a cell is sensor noise


@dataclass(frozen=True, slots=True)
class Layout:
    """Cells over a picture: squares of `side` pixels from its top left corner; the last ones take what remains.

    Raises ValueError unless every cell begins inside of the picture.
    """

    width: int
    height: int
    side: int
    rows: int
    columns: int

    def __post_init__(self) -> None:
        for count, length in ((self.rows, self.height), (self.columns, self.width)):
            if min(count, self.side) < 1 or (count - 1) * self.side >= length:
                raise ValueError(
                    f"cells begin inside of their picture, got {self.columns} x {self.rows} of {self.side} pixels "
                    f"over {self.width} x {self.height}"
                )

    def edges(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where the cells begin, and the last one ends, in pixels: down int64 (R + 1,), right int64 (C + 1,)."""
        down, right = (
            np.append(np.arange(count, dtype=np.int64) * self.side, length)
            for count, length in ((self.rows, self.height), (self.columns, self.width))
        )
        return down, right


def working_box(height: int, width: int) -> int:
    """Return how many pixels along its side become one working pixel of `measure`."""
    # A power of two gives whole 32-bit words: rows are summed four pixels at a time.
    box: int = 2 ** max(0, math.ceil(math.log2(_box_side(height, width))))
    return 1 if min(height, width) < box else box  # a sliver: thousands of pixels by a handful


def layout_of(height: int, width: int, *, box: int) -> Layout:
    """Return the cells of a picture whose working pixels have `box` pixels along their side: whole working pixels."""
    side = max(_CELL_SIDE / box, math.sqrt(height * width / _CELLS) / box)
    per = max(1, math.ceil(side - 1e-9))
    rows, columns = (max(1, length // box // per) for length in (height, width))
    return Layout(width, height, box * per, rows, columns)


def layout_before(version: str, height: int, width: int) -> Layout:
    """Return the cells of an activity that was stored before it said where they lie, by the version that made it.

    Versions 3 to 6 of `measure` made them as it does now: whoever changes that keeps it here as it was.
    """
    if not version.startswith("2-"):
        return layout_of(height, width, box=working_box(height, width))
    side = _box_side(height, width)
    box = 1 if side <= 1 else 2 if side <= 2 else 4 * math.ceil(side / 4)
    return layout_of(height, width, box=1 if min(height, width) < box else box)


def _box_side(height: int, width: int) -> float:
    return math.sqrt(height * width / _WORK_PIXELS)
