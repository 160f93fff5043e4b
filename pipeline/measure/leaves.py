"""Leaves and water: cells whose background itself moves, and what of a visitor is seen before them.

Shapes: n images of (rows, columns) working pixels, or of (R, C) cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.measure.background import bent, light
from pipeline.measure.grid import around

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    from pipeline.measure.background import Background
    from pipeline.measure.grid import Grid

    U8: TypeAlias = NDArray[np.uint8]
    F32: TypeAlias = NDArray[np.float32]
    Seconds: TypeAlias = NDArray[np.float64]

_LEAVES = (0.08, 8)  # of what is around a cell trembles before it is one of leaves; how fast it becomes one beyond
_FITS_S = 0.13  # within this leaves change, and a visitor hardly has come or gone
_FITS = (0.15, 0.4)  # of a cell changes within that: below it is a visitor, above leaves, between both in part
_USUALLY = 0.75  # of the time leaves show less than half of what they show in gusts, ...
_GUSTS = 2  # ... and that is taken off,
_OFF = 128  # of 255 at most: who covers a cell of leaves is still seen
_LOOKED_AT = 500  # frames tell what is usual
_WHOLE = (2, 4)  # grey levels, and times its own unrest: by what the mean of a cell of leaves strays by itself


def leaves_of(known: Background, grid: Grid) -> F32:
    """Return how much each cell is one of leaves or water, by what trembles in and near it: float32 (R, C), 0 to 1."""
    part = grid.means(known.trembles[None]) / np.float32(255)  # float32 (1, R, C), of each cell
    part = around(part) / around(np.ones_like(part))  # of the 3 x 3 around it, fewer at an edge
    leaves: F32 = np.clip((part[0] - np.float32(_LEAVES[0])) * np.float32(_LEAVES[1]), 0, 1)
    return leaves


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """What cells of leaves or water show as a whole. All float32 (R, C).

    Leaves hide whoever comes before them: any value may be theirs. But they wave within a cell and leave its mean,
    which a visitor changes. leaves: how much a cell is one of those, 0 to 1; mean, room: what it shows without
    visitors and how far it strays, in grey levels.
    """

    leaves: F32
    mean: F32
    room: F32

    @classmethod
    def find(cls, samples: U8, known: Background, leaves: F32, grid: Grid) -> Whole:
        """Return it of pictures of the scene, uint8 (n, rows, columns), all put into the light of the background."""
        means = grid.means(samples)  # float32 (n, R, C)
        gain = light(known.usual, samples)
        if gain is not None:
            means /= bent(gain, *grid.grid_shape)
        mean = np.median(means, axis=0)  # (R, C)
        strays = np.median(abs(means - mean), axis=0)
        return cls(leaves, mean, _WHOLE[0] + _WHOLE[1] * strays)

    def look(self, cells: U8, images: U8, gain: F32 | None, grid: Grid, full: int) -> U8:
        """Return the raw cells of images with those of leaves looked at as a whole too: uint8 (n, R, C).

        cells: uint8 (n, R, C), the raw cells; images: uint8 (n, rows, columns); gain: their light, see `light`; full:
        see `MeasureSettings`.
        """
        mean = self.mean if gain is None else self.mean * bent(gain, *grid.grid_shape)
        # How far the mean of a cell is from what it may be, float32 (n, R, C), 255 at `full` grey levels.
        away = (abs(grid.means(images) - mean) - self.room) * np.float32(255 / full)
        return np.maximum(cells, (away.clip(0, 255) * self.leaves).astype(np.uint8))


def calmed(blocks: Sequence[tuple[U8, F32]], times: Seconds) -> U8:
    """Take off what leaves and water usually show, by the minutes around each block: uint8 (n, R, C).

    A cell of theirs moves most of the time, and by fits and starts; a visitor comes and goes once, and stands still.
    `blocks` gives raw cells uint8 (n, R, C) and how much each cell is one of leaves (R, C), 0 to 1; `times` the
    seconds of all of them, float64 (n,).
    """
    every = np.concatenate([cells for cells, _ in blocks])
    calm = every.copy() if any(leaves.any() for _, leaves in blocks) else every
    ends = np.cumsum([0, *(len(cells) for cells, _ in blocks)])  # block k is of frames ends[k] to ends[k + 1]
    for n, (_, leaves) in enumerate(blocks):
        at = leaves > 0  # bool (R, C): the m cells that matter
        first, last = ends[max(n - 1, 0)], ends[min(n + 2, len(blocks))]  # frames: from the block before to that after
        lag = np.searchsorted(times, times[first] + _FITS_S) - first  # frames
        if not at.any() or lag >= last - first:
            continue
        seen = every[first:last, at].astype(np.float32)  # (frames, m)
        off = np.minimum(_GUSTS * _usually(seen) * _in_fits(seen, lag) * leaves[at], _OFF)  # (m,)
        block = slice(ends[n], ends[n + 1])
        calm[block, at] = np.maximum(every[block, at] - off, 0) * (255 / (255 - off))
    return calm


def _in_fits(seen: F32, lag: int) -> F32:
    """Return how surely cells move by fits and starts: float32 (frames, m) to (m,), 0 to 1."""
    fits = abs(seen[lag:] - seen[:-lag]).mean(0) / (seen.mean(0) + 1)
    in_part: F32 = np.clip((fits - _FITS[0]) / (_FITS[1] - _FITS[0]), 0, 1)
    return in_part


def _usually(seen: F32) -> F32:
    """Return what cells show less than for most of the time: float32 (frames, m) to (m,)."""
    some = np.sort(seen[:: len(seen) // _LOOKED_AT + 1], axis=0)
    usually: F32 = some[int(_USUALLY * (len(some) - 1))]
    return usually
