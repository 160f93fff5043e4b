"""From luma planes to small working images, and from those to the cells of a coarse grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from pipeline.layout import layout_of, working_box

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    U8: TypeAlias = NDArray[np.uint8]
    F32: TypeAlias = NDArray[np.float32]
    Unsigned: TypeAlias = NDArray[np.unsignedinteger[Any]]
    Numbers = TypeVar("Numbers", F32, U8, NDArray[np.uint16])

_EVEN = 0x00FF00FF00FF00FF  # every other byte: room for sums of 257 of them
_GATHER = 0x0001000100010001


class Grid:
    """How one size of picture becomes working images and cells."""

    def __init__(self, height: int, width: int) -> None:
        self.size = (height, width)
        self.box = working_box(height, width)
        self.shape = (height // self.box, width // self.box)
        words = np.array([_EVEN, 32 * _GATHER], np.uint64)
        self.even, self.gather = words if self.box >= 8 else (words >> np.uint64(32)).astype(np.uint32)
        self.scratch = np.empty((2, *self.shape), self.even.dtype)
        self.layout = layout_of(height, width, box=self.box)
        self.per = self.layout.side // self.box
        self.grid = (self.layout.rows, self.layout.columns)
        self.area = self.cells(np.ones((1, *self.shape), np.uint8)).astype(np.float32)  # working pixels of each cell

    def sample(self, plane: U8) -> Unsigned:
        """Return a copy of what `reduce` needs of a plane: of large boxes one word of eight pixels in the middle each.

        Memory bounds the speed: to touch a row costs more than all arithmetic after it.
        """
        box, (rows, columns) = self.box, self.shape
        if plane.strides[1] != 1:
            plane = np.ascontiguousarray(plane)
        if box >= 8:
            middle = plane[box // 2 : box * rows : box, : box * columns].view(np.uint64)
            return middle[:, box // 16 :: box // 8].copy()
        plane = plane[: box * rows, : box * columns]
        if box == 1:
            return plane.copy()
        if box == 2:
            pairs = plane.view(np.uint16)
            pairs = (pairs & np.uint16(255)) + (pairs >> np.uint16(8))
            return ((pairs[::2] + pairs[1::2] + np.uint16(2)) >> np.uint16(2)).astype(np.uint8)
        words = plane.view(np.uint32)  # every other pixel of four rows
        total, more = self.scratch
        np.bitwise_and(words[::4], self.even, out=total)
        for row in range(1, 4):
            total += np.bitwise_and(words[row::4], self.even, out=more)
        return self._means_of_eight().copy()

    def reduce(self, samples: Sequence[Unsigned]) -> U8:
        """Return the working images of planes by their `sample`: means of boxes, uint8 (n, rows, columns).

        To decode a picture empties the caches: for many at once the code of this is fetched once.
        """
        if self.box < 8:
            return np.stack(samples).astype(np.uint8, copy=False)
        images = np.empty((len(samples), *self.shape), np.uint8)
        total, more = self.scratch
        for words, image in zip(samples, images, strict=True):
            np.bitwise_and(words, self.even, out=total)
            np.right_shift(words, np.uint64(8), out=more)
            total += np.bitwise_and(more, self.even, out=more)
            image[:] = self._means_of_eight()
        return images

    def _means_of_eight(self) -> U8:
        """Return the means from sums of eight pixels in the lanes of sixteen bits of the first scratch: a view of it.

        Multiplying gathers the lanes in the uppermost one; 32 times a sum of eight bytes has their mean as upper byte.
        """
        total = self.scratch[0]
        total *= self.gather
        means: U8 = total.view(np.uint8)[:, total.itemsize - 1 :: total.itemsize]
        return means

    def cells(self, images: U8, most: int = 255) -> Unsigned:
        """Sum working pixels of at most `most` over cells: (n, rows, columns) to (n, R, C), the smallest type."""
        by_row = _fold(images, 1, self.per, self.grid[0], most)
        tallest = self.shape[0] - (self.grid[0] - 1) * self.per
        return _fold(by_row, 2, self.per, self.grid[1], most * tallest)

    def means(self, images: U8) -> F32:
        """Return the mean of the working pixels of each cell: (n, rows, columns) to float32 (n, R, C)."""
        return (self.cells(images) / self.area).astype(np.float32, copy=False)


def _fold(images: Unsigned, axis: int, per: int, count: int, most: int) -> Unsigned:
    """Sum runs of `per` along an axis into `count` cells, the last of them taking what remains.

    Whole pictures are added, in the smallest type that holds a sum of values of at most `most`: to reduce along an axis
    takes three to six times as long.
    """
    length = images.shape[axis]
    per = min(per, length)
    end = count * per

    def along(part: slice | int) -> tuple[slice | int, ...]:
        return (slice(None),) * axis + (part,)

    images = images.astype(np.min_scalar_type(most * (per + length - end)), copy=False)
    total = images[along(slice(0, end, per))].copy()
    for n in range(1, per):
        total += images[along(slice(n, end, per))]
    for n in range(end, length):
        total[along(-1)] += images[along(n)]
    return total


def around(level: Numbers, combine: np.ufunc = np.add) -> Numbers:
    """Combine the 3 x 3 around each, those there are: (..., rows, columns) to the same shape and dtype; their sum."""
    rows = level.copy()
    combine(rows[..., 1:, :], level[..., :-1, :], out=rows[..., 1:, :])
    combine(rows[..., :-1, :], level[..., 1:, :], out=rows[..., :-1, :])
    combined = rows.copy()
    combine(combined[..., 1:], rows[..., :-1], out=combined[..., 1:])
    combine(combined[..., :-1], rows[..., 1:], out=combined[..., :-1])
    return combined
