"""From luma planes to small working images, and from those to the cells of a coarse grid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    U8: TypeAlias = NDArray[np.uint8]
    F32: TypeAlias = NDArray[np.float32]

_WORK_PIXELS = 28_000  # of a working image at most: 160 x 120 for 320 x 240, 160 x 90 for 720p, 120 x 67 for 1080p
_CELLS = 640  # of a grid: bounds what an hour of activity weighs
_CELL_SIDE = 16  # pixels: below this a cell is sensor noise
_EVEN = 0x00FF00FF00FF00FF  # every other byte: room for sums of 257 of them
_GATHER = 0x0001000100010001


class Plan:
    """How one size of picture becomes working images and cells."""

    def __init__(self, height: int, width: int) -> None:
        self.size = (height, width)
        side = math.sqrt(height * width / _WORK_PIXELS)
        self.box = 2 ** max(0, math.ceil(math.log2(side)))  # whole 32-bit words: rows are summed four pixels at a time
        if min(height, width) < self.box:  # a sliver: thousands of pixels by a handful
            self.box = 1
        self.shape = (height // self.box, width // self.box)
        word = np.uint64 if self.box >= 8 else np.uint32
        words = self.shape[0], self.shape[1] * max(1, self.box // 8)
        self.scratch = np.empty(words, word), np.empty(words, word), np.empty(self.shape, word)
        per = max(_CELL_SIDE / self.box, math.sqrt(height * width / _CELLS) / self.box)
        self.per = max(1, math.ceil(per - 1e-9))
        self.grid = (max(1, self.shape[0] // self.per), max(1, self.shape[1] // self.per))
        self.area = self.cells(np.ones((1, *self.shape), np.uint8))  # working pixels of each cell

    def reduce(self, plane: U8) -> U8:
        """Return the working image of a plane: box means, uint8 (rows, columns)."""
        box, (rows, columns) = self.box, self.shape
        if plane.strides[1] != 1:
            plane = np.ascontiguousarray(plane)
        if box == 1:
            return plane[:rows, :columns].copy()
        if box == 2:
            pairs = plane[: 2 * rows, : 2 * columns].view(np.uint16)
            pairs = (pairs & np.uint16(255)) + (pairs >> np.uint16(8))
            return ((pairs[::2] + pairs[1::2] + np.uint16(2)) >> np.uint16(2)).astype(np.uint8)
        # Bytes are summed four or two to a word, in lanes of sixteen bits: every other byte of all four rows of a small
        # box, all bytes of the middle row of a larger one. Memory bounds the speed: each further row that is touched
        # costs as much as half of the arithmetic after it.
        word, even, gather = (np.uint64, _EVEN, _GATHER) if box >= 8 else (np.uint32, _EVEN >> 32, _GATHER >> 32)
        total, more, sums = self.scratch
        if box == 4:
            read = [plane[row : box * rows : box, : box * columns].view(word) for row in range(box)]
            np.bitwise_and(read[0], word(even), out=total)
            for words in read[1:]:
                total += np.bitwise_and(words, word(even), out=more)
        else:
            more[:] = plane[box // 2 : box * rows : box, : box * columns].view(word)
            np.right_shift(more, word(8), out=total)
            total &= word(even)
            more &= word(even)
            total += more
        per = max(1, box // 8)
        sums[:] = total[:, ::per]
        for n in range(1, per):
            sums += total[:, n::per]
        # A multiplication gathers the lanes in the uppermost; they are sums of 8 pixels, or of as many as a row has.
        sums *= word(gather)
        sums >>= word(8 * word().itemsize - 16 + max(8, box).bit_length() - 1)
        image: U8 = sums.astype(np.uint8)
        return image

    def cells(self, images: U8, most: int = 255) -> NDArray[np.int64]:
        """Sum working pixels of at most `most` over cells: (n, rows, columns) to (n, R, C)."""
        by_row = _fold(images, self.per, self.grid[0], most)
        tallest = self.shape[0] - (self.grid[0] - 1) * self.per
        return _fold(by_row.swapaxes(1, 2), self.per, self.grid[1], most * tallest).swapaxes(1, 2).astype(np.int64)

    def means(self, images: U8) -> F32:
        """Return the mean of the working pixels of each cell: (n, rows, columns) to float32 (n, R, C)."""
        return (self.cells(images) / self.area).astype(np.float32)


def _fold(
    images: NDArray[np.unsignedinteger[Any]], per: int, count: int, most: int
) -> NDArray[np.unsignedinteger[Any]]:
    """Sum runs of `per` along the middle axis into `count` cells, the last of them taking what remains.

    Whole pictures are added, in the smallest type that holds a sum of values of at most `most`: to reduce along an axis
    takes three to six times as long.
    """
    length = images.shape[1]
    per = min(per, length)
    end = count * per
    images = images.astype(np.min_scalar_type(most * (per + length - end)), copy=False)
    total = images[:, :end:per].copy()
    for n in range(1, per):
        total += images[:, n:end:per]
    for n in range(end, length):
        total[:, -1] += images[:, n]
    return total


def around(level: F32) -> F32:
    """Sum the 3 x 3 cells around each cell, those there are: (n, R, C) to (n, R, C)."""
    padded = np.pad(level, ((0, 0), (1, 1), (1, 1)))
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    total: F32 = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    return total
