"""From luma planes to small working images, and from those to the cells of a coarse grid.

A picture is cut into square boxes, and the mean of a box becomes one working pixel; a working image is cut into square
cells. Means of boxes are taken of many bytes at once, in the lanes of a machine word: `_mean_of_lanes` draws them.
"""

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
    Numbers = TypeVar("Numbers", F32, U8, NDArray[np.uint16], NDArray[np.int32])

_EVEN_BYTES = 0x00FF_00FF_00FF_00FF  # keeps every other byte of a word
_ONE_A_LANE = 0x0001_0001_0001_0001  # times a word of lanes: the uppermost lane becomes the sum of them all
_EIGHTH = 256 // 8  # times a sum of eight bytes: its upper byte becomes their mean
_KEEP_EVEN, _GATHER = (  # for each size of word; of the smaller one the lower half of the pattern
    {np.dtype(word): word(pattern & np.iinfo(word).max) for word in (np.uint32, np.uint64)}
    for pattern in (_EVEN_BYTES, _EIGHTH * _ONE_A_LANE)
)


class Grid:
    """How one size of picture becomes working images and cells.

    size: (height, width) of the picture in pixels. box: side of a box in pixels, a power of two. work_shape: (rows,
    columns) of a working image, one pixel a box. per: side of a cell in working pixels. cell_side: the same in pixels
    of the picture. grid_shape: (R, C), how many cells; what remains at the right and bottom edge belongs to the last
    ones. area: float32 (R, C), the working pixels of each cell.
    """

    def __init__(self, height: int, width: int) -> None:
        self.size = (height, width)
        self.box = working_box(height, width)
        self.work_shape = (height // self.box, width // self.box)
        self.layout = layout_of(height, width, box=self.box)
        self.per = self.layout.side // self.box
        self.grid_shape = (self.layout.rows, self.layout.columns)
        self.area = self.cells(np.ones((1, *self.work_shape), np.uint8)).astype(np.float32)
        # One word for each box, uint64 or uint32 (rows, columns): written over for every picture.
        self._lanes, self._more = np.empty((2, *self.work_shape), np.uint64 if self.box >= 8 else np.uint32)
        self._even = _KEEP_EVEN[self._lanes.dtype]

    def sample(self, plane: U8) -> Unsigned:
        """Return a copy of what `reduce` needs of a plane uint8 (H, W), which the decoder soon writes over.

        Of a box of 8 pixels and more that is one word of eight pixels from its middle, uint64 (rows, columns): memory
        bounds the speed, to touch a row costs more than all arithmetic after it. Of a smaller one it is the mean
        already, uint8 (rows, columns).
        """
        if plane.strides[1] != 1:
            plane = np.ascontiguousarray(plane)  # words are read straight from the bytes of a row
        rows, columns = self.work_shape
        plane = plane[: self.box * rows, : self.box * columns]
        if self.box == 1:
            return plane.copy()
        if self.box == 2:
            return _means_of_two_by_two(plane)
        if self.box == 4:
            return self._means_of_four_rows(plane)
        words = plane[self.box // 2 :: self.box].view(np.uint64)  # (rows, columns * box / 8): a row from each middle
        return words[:, self.box // 16 :: self.box // 8].copy()

    def reduce(self, samples: Sequence[Unsigned]) -> U8:
        """Return the working images of planes by their `sample`: means of boxes, uint8 (n, rows, columns).

        To decode a picture empties the caches: for many at once the code of this is fetched once.
        """
        if self.box < 8:
            return np.stack(samples).astype(np.uint8, copy=False)
        images = np.empty((len(samples), *self.work_shape), np.uint8)
        lanes, more = self._lanes, self._more
        for words, image in zip(samples, images, strict=True):
            np.bitwise_and(words, self._even, out=lanes)
            np.right_shift(words, np.uint64(8), out=more)
            lanes += np.bitwise_and(more, self._even, out=more)
            image[:] = _mean_of_lanes(lanes)
        return images

    def _means_of_four_rows(self, plane: U8) -> U8:
        """Return the means of boxes of 4 x 4 by every other pixel of them: (4 * rows, 4 * columns) to (rows, columns).

        A word holds the four pixels of one row of a box. Every other one of all four rows makes eight, added up in two
        lanes of 16 bits; see `_mean_of_lanes`.
        """
        words, lanes, more = plane.view(np.uint32), self._lanes, self._more  # words: (4 * rows, columns)
        np.bitwise_and(words[::4], self._even, out=lanes)
        for row in range(1, 4):
            lanes += np.bitwise_and(words[row::4], self._even, out=more)
        return _mean_of_lanes(lanes).copy()

    def cells(self, images: U8, most: int = 255) -> Unsigned:
        """Sum working pixels of at most `most` over cells: (n, rows, columns) to (n, R, C), the smallest type."""
        by_row = _fold(images, 1, self.per, self.grid_shape[0], most)
        tallest = self.work_shape[0] - (self.grid_shape[0] - 1) * self.per
        return _fold(by_row, 2, self.per, self.grid_shape[1], most * tallest)

    def means(self, images: U8) -> F32:
        """Return the mean of the working pixels of each cell: (n, rows, columns) to float32 (n, R, C)."""
        return (self.cells(images) / self.area).astype(np.float32, copy=False)


def _mean_of_lanes(lanes: Unsigned) -> U8:
    """Return the mean of the eight bytes that were added up in the lanes of each word, rounded down.

    lanes: uint64 or uint32 (rows, columns), written over. Returns uint8 (rows, columns), a view of it.

    Why lanes: to add bytes one by one is slow, and to add words of eight bytes lets the sum of one byte run over into
    the next. So every other byte is blanked and lends its room: a word becomes lanes of 16 bits with one byte each.
    Eight neighbouring pixels a to h in a word of 64 bits, its lowest byte drawn on the right, where the leftmost pixel
    stands (x86 and ARM keep the low byte first):

        word                        |  h |  g |  f |  e |  d |  c |  b |  a |
        word & EVEN_BYTES           |    .  g |    .  e |    .  c |    .  a |   four lanes, each with a byte to spare
        (word >> 8) & EVEN_BYTES    |    .  h |    .  f |    .  d |    .  b |   the other four pixels, in the same lanes
        lanes: the sum of both      |   g + h |   e + f |   c + d |   a + b |   at most 510; a lane holds 65,535
        lanes * ONE_A_LANE          |  a to h |  a to f |  a to d |   a + b |   at most 2,040
        ... * 32                    | mean  . |  ...    |  ...    |  ...    |   at most 65,280

    To multiply by 0x0001_0001_0001_0001 is to add the word to itself moved up by one, two and three lanes. So each lane
    becomes the sum of itself and all below it, the uppermost that of all four: it gathers them. What is moved out at
    the top is lost, and no lane runs over into the next, as none comes to 65,536.

    The uppermost lane is now the sum of eight pixels, times 32. Its upper byte is that divided by 256, and
    32 / 256 = 1 / 8: the upper byte of the word is the mean. The lane's lower byte is the fraction, and is left.

    A word of 32 bits has two lanes, and does the same with four times two pixels.
    """
    lanes *= _GATHER[lanes.dtype]
    means: U8 = lanes.view(np.uint8)[:, lanes.itemsize - 1 :: lanes.itemsize]  # the upper byte of every word
    return means


def _means_of_two_by_two(plane: U8) -> U8:
    """Return the means of boxes of 2 x 2, rounded: uint8 (2 * rows, 2 * columns) to (rows, columns)."""
    pairs = plane.view(np.uint16)  # (2 * rows, columns): two neighbours in each
    pairs = (pairs & np.uint16(255)) + (pairs >> np.uint16(8))
    return ((pairs[::2] + pairs[1::2] + np.uint16(2)) >> np.uint16(2)).astype(np.uint8)


def _fold(images: Unsigned, axis: int, per: int, count: int, most: int) -> Unsigned:
    """Sum stretches of `per` along an axis into `count` cells, the last of them taking what remains.

    Whole pictures are added, in the smallest type that holds a sum of values of at most `most`: to reduce along an axis
    takes three to six times as long.
    """
    length = images.shape[axis]
    per = min(per, length)
    end = count * per  # from here on it is what remains

    def along(part: slice | int) -> tuple[slice | int, ...]:
        return (slice(None),) * axis + (part,)

    images = images.astype(np.min_scalar_type(most * (per + length - end)), copy=False)
    total = images[along(slice(0, end, per))].copy()  # `count` along the axis: the first of every stretch
    for n in range(1, per):
        total += images[along(slice(n, end, per))]
    for n in range(end, length):
        total[along(-1)] += images[along(n)]
    return total


def around(level: Numbers, combine: np.ufunc = np.add) -> Numbers:
    """Combine the 3 x 3 around each, those there are: (..., rows, columns) to the same shape and dtype; their sum.

    First three rows into one, then three columns of those: four operations on whole arrays instead of eight.
    """
    rows = level.copy()
    combine(rows[..., 1:, :], level[..., :-1, :], out=rows[..., 1:, :])
    combine(rows[..., :-1, :], level[..., 1:, :], out=rows[..., :-1, :])
    combined = rows.copy()
    combine(combined[..., 1:], rows[..., :-1], out=combined[..., 1:])
    combine(combined[..., :-1], rows[..., 1:], out=combined[..., :-1])
    return combined


def regions(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the number of the region of touching pixels, of eight neighbours, that each is in, 0 outside: int32.

    mask: bool (rows, columns). Numbers grow in the order of the regions' first pixels, and leave gaps. By label
    propagation with pointer jumping; to load SciPy for its `label` would take as long as to measure a minute.
    """
    # Counted from the last pixel down, and turned around at the end: so 0 gives way to all, and the first pixel wins.
    count = mask.size
    ranks = np.arange(count, 0, -1, dtype=np.int32).reshape(mask.shape) * mask
    while True:
        near = around(ranks, np.maximum) * mask
        # What the pixel shows by now that a rank is from: so ranks cross a region in leaps.
        near = near.ravel().take(count - near, mode="clip") * mask
        if np.array_equal(near, ranks):
            return np.where(mask, count + 1 - ranks, 0).astype(np.int32)
        ranks = near
