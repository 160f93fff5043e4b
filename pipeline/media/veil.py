"""Which blocks of a product's pictures are covered: zones, and all that moves at that time.

A picture is coded in blocks of 16 x 16 pixels of light and 8 x 8 of each colour. Whole ones are filled, so that none
holds both what is covered and what is seen: the coder has nothing to smear from one into the other.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.errors import ClipError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.activity import Activity
    from pipeline.clip import Stream
    from pipeline.cover import Cover
    from pipeline.zone import Zone

BLOCK: Final = 16
"""Pixels along the side of what is coded as one, in H.264 (ITU-T H.264, 6.3)."""
FILL: Final = (16, 128, 128)
"""Black: luma and both chromas, of the range that video usually has; near black where it has the full one."""
MARGIN: Final = 4
"""Pixels at the edge of a block that is covered which may show of its neighbour, and are beyond every zone.

The filter that smooths the edges of blocks changes up to three on each side of one (H.264, 8.7).
"""

# How coarsely a product may be coded at most, in x264's scale, and by how many levels of 255 what is covered may then
# differ from FILL: one after the other, until it does not. The coder sees nothing of what is covered, so what it rounds
# beside a noisy picture tells nothing of it: of 200 films of noise 12 took the second, 8 kept one level at the finest.
_TRIES: Final = ((18, 0), (8, 0), (1, 2))
TRIES: Final = len(_TRIES)
"""How often a product with something covered is made at most."""
# What moves is covered so long before and after, and a cell further on each side: where it stops for a moment, in the
# first light of what comes in, and where a cell holds too little of it to count.
_AROUND: Final = Fraction(1)


class Veil:
    """What is covered of the pictures of one cut, at each time.

    size: (width, height) of the product in pixels, even. time_base: seconds per pts of the clip (Fraction). activity:
    of the clip, needed where what moves is covered. Raises ValueError without it.
    """

    def __init__(
        self, cover: Cover, size: tuple[int, int], time_base: Fraction, *, activity: Activity | None = None
    ) -> None:
        if cover.moving and activity is None:
            raise ValueError("wanted the clip's activity, by which what moves is covered")
        self.size, (width, height) = size, size
        self.rows, self.columns = math.ceil(height / BLOCK), math.ceil(width / BLOCK)
        self._fixed = self._touched((*cover.zones, *cover.private))
        self._kept = self._inside(cover.keep)
        self._activity = activity if cover.moving else None
        self._around = math.ceil(_AROUND / time_base)
        self._shape, self._pixels, self._of = (0, 0), np.zeros((0, 0), np.bool_), b""
        self._tries = 0

    @property
    def worst_qp(self) -> int:
        """How coarsely the product may be coded at most, in x264's scale."""
        return _TRIES[min(self._tries, TRIES - 1)][0]

    @property
    def most_off(self) -> int:
        """By how many levels of 255 what is covered may differ from FILL."""
        return _TRIES[min(self._tries, TRIES - 1)][1]

    def refine(self) -> None:
        """Have the product coded more finely at the next try."""
        self._tries += 1

    def blocks(self, pts: int) -> NDArray[np.bool_]:
        """Return which blocks are covered in the frame at `pts`: bool (rows, columns), the first at the top left."""
        if self._activity is None:
            return self._fixed
        return self._fixed | (self._moving(self._activity, pts) & ~self._kept)

    def over(self, luma: NDArray[np.uint8], blocks: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Return luma, uint8 (H, W) of any size, with what is covered filled."""
        return np.where(self._spread(blocks, luma.shape), np.uint8(FILL[0]), luma)

    def _moving(self, activity: Activity, pts: int) -> NDArray[np.bool_]:
        first, last = np.searchsorted(activity.pts, [pts - self._around, pts + self._around + 1])
        if first == last or first < activity.cold:
            return np.ones((self.rows, self.columns), np.bool_)  # nothing is known of it
        cells = np.pad((activity.share[first:last] > 0).any(axis=0), 1)
        grown = np.zeros((cells.shape[0] - 2, cells.shape[1] - 2), np.bool_)
        for row, column in np.ndindex(3, 3):
            grown |= cells[row : row + grown.shape[0], column : column + grown.shape[1]]
        down, right = activity.layout.edges()
        width, height = self.size
        covered = np.zeros((self.rows, self.columns), np.bool_)
        rows = _reach(down, Fraction(height, activity.height), self.rows)
        columns = _reach(right, Fraction(width, activity.width), self.columns)
        for row, column in np.argwhere(grown).tolist():
            covered[rows[row], columns[column]] = True
        return covered

    def _boxes(self, margin: int) -> NDArray[np.object_]:
        """Return the blocks, a margin of pixels larger, as polygons in shares of the picture: (rows, columns)."""
        import shapely  # noqa: PLC0415 - costs a tenth of a second, and most cuts cover nothing

        width, height = self.size
        y, x = np.mgrid[: self.rows, : self.columns] * BLOCK
        low = (x - margin) / width, (y - margin) / height
        high = (x + BLOCK + margin) / width, (y + BLOCK + margin) / height
        boxes: NDArray[np.object_] = shapely.box(low[0], low[1], high[0], high[1])
        return boxes

    def _touched(self, zones: Sequence[Zone]) -> NDArray[np.bool_]:
        """Return the blocks that hold a point of a zone, or lie so near that its edge would be smoothed into it."""
        import shapely  # noqa: PLC0415

        found = np.zeros((self.rows, self.columns), np.bool_)
        for zone in zones:
            found |= shapely.intersects(shapely.Polygon(zone), self._boxes(MARGIN))
        return found

    def _inside(self, zones: Sequence[Zone]) -> NDArray[np.bool_]:
        """Return the blocks that lie wholly in zones, taken together; what is beyond the picture counts as in them."""
        import shapely  # noqa: PLC0415

        if not zones:
            return np.zeros((self.rows, self.columns), np.bool_)
        whole = shapely.union_all([shapely.Polygon(zone) for zone in zones])
        seen = shapely.intersection(self._boxes(0), shapely.box(0, 0, 1, 1))
        inside: NDArray[np.bool_] = shapely.covers(whole.buffer(1e-9), seen)
        return inside

    def _spread(self, blocks: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return which pixels of a picture of any size blocks cover: bool (H, W); kept for the next of its kind."""
        told = blocks.tobytes()
        if self._shape != shape or self._of != told:
            (width, height), (h, w) = self.size, shape
            rows = np.minimum((np.arange(h) * height // h) // BLOCK, self.rows - 1)
            columns = np.minimum((np.arange(w) * width // w) // BLOCK, self.columns - 1)
            self._shape, self._of, self._pixels = (h, w), told, blocks[np.ix_(rows, columns)]
        return self._pixels


def _reach(edges: NDArray[np.int64], scale: Fraction, most: int) -> list[slice]:
    """Return which blocks each cell reaches into: edges int64 (n + 1,) in pixels of the clip, n slices."""
    ends = [int(edge) * scale for edge in edges]
    return [slice(math.floor(start / BLOCK), min(most, math.ceil(end / BLOCK))) for start, end in pairwise(ends)]


def veil_of(cover: Cover, stream: Stream, *, height: int | None, activity: Activity | None) -> Veil | None:
    """Return the veil of a cut of a clip's film, at most `height` high, or None where all of the picture is seen.

    Raises ClipError ("activity") for the activity of another film, ValueError without one that is needed.
    """
    if not cover.hides:
        return None
    if cover.moving and activity is not None:
        was = activity.width, activity.height, activity.time_base
        if was != (stream.width, stream.height, stream.time_base):
            raise ClipError("activity", "it was measured of another film; measure it again (ingest --remeasure)")
    return Veil(cover, product_size(stream.width, stream.height, height), stream.time_base, activity=activity)


def product_size(width: int, height: int, limit: int | None) -> tuple[int, int]:
    """Return the width and height of a product of a clip of this upright size: even, and at most `limit` high."""
    at_most = height if limit is None else min(height, limit)
    across = min(2 * math.floor(width * at_most / height / 2 + 0.5), width // 2 * 2)
    return max(2, across), max(2, at_most // 2 * 2)
