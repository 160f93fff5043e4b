"""Makes shares of raw cells: damped where those around do not agree, averaged over neighbouring frames, in steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    U8: TypeAlias = NDArray[np.uint8]
    F32: TypeAlias = NDArray[np.float32]
    Seconds: TypeAlias = NDArray[np.float64]

_SUPPORT = 4  # cells' worth of difference within 2 x 2 that let a share stand: a thing on the border of two cells
_STEP = 8  # of a stored share: finer ones are noise, and would take twice the space
_FRAMES = 64  # of cells that are done by one NumPy call: they are smaller than working images


def finish(cells: U8, times: Seconds, *, smooth_s: float, floor: float) -> U8:
    """Damp what no neighbour in space supports, average neighbours in time, drop what is below the floor.

    Of an average of three frames half is kept even where neither the middle one nor two of the three show as much.

    cells: uint8 (n, R, C); times: float64 (n,), seconds; smooth_s, floor: see `MeasureSettings`. Returns the same of
    shares.
    """
    share = np.zeros_like(cells)
    near = np.concatenate([[False], np.diff(times) <= smooth_s, [False]])  # near[k]: frames k - 1 and k
    busy = np.pad(cells.any((1, 2)), 1)  # (n + 2,); most frames of most cameras hold nothing at all
    kept = np.flatnonzero(busy[:-2] | busy[1:-1] | busy[2:])  # frames that do, and those beside them
    last = len(cells) - 1
    for start in range(0, len(kept), _FRAMES):
        here = kept[start : start + _FRAMES]  # (k,)
        # Each frame with those before and after it; every one is damped once, though three may want it. The first of
        # all has none before it and takes itself for it, with a weight of 0; so does the last.
        wanted = np.concatenate([here - 1, here, here + 1]).clip(0, last)
        frames, back = np.unique(wanted, return_inverse=True)
        earlier, now, later = _damped(cells[frames])[back].reshape(3, len(here), *cells.shape[1:])  # (k, R, C) each
        before, after = (near[here + n].astype(np.float32)[:, None, None] for n in (0, 1))  # (k, 1, 1): 0 or 1
        total = (now + earlier * before + later * after) / (1 + before + after)
        middle = np.maximum(np.minimum(earlier, later), np.minimum(np.maximum(earlier, later), now))
        most = np.where(before * after > 0, np.maximum(middle, now), total)
        total = (total + np.minimum(total, most)) / 2  # by half: leaves are told by what is there again and again
        total *= total >= np.float32(floor * 255)
        share[here] = _stepped(total)
    return share


def _damped(cells: U8) -> F32:
    """Return cells (n, R, C) where what is around agrees, less of those that stand alone; see `measure`: float32."""
    level = cells.astype(np.uint16)
    # Sums of squares of 2 x 2 cells, (n, R + 1, C + 1), those beyond an edge being 0: each cell is in four of them.
    squares = np.pad(level, ((0, 0), (1, 1), (1, 1)))
    squares = squares[:, 1:] + squares[:, :-1]
    squares = squares[:, :, 1:] + squares[:, :, :-1]
    squares = np.maximum(squares[:, 1:], squares[:, :-1])
    support = np.minimum(np.maximum(squares[:, :, 1:], squares[:, :, :-1]) / np.float32(_SUPPORT), np.float32(255))
    damped: F32 = np.sqrt(level * support)
    return damped


def _stepped(level: F32) -> U8:
    """Return shares in steps of `_STEP`, at most 255: float32 (n, R, C) to uint8."""
    return np.minimum(np.round(level / _STEP) * _STEP, np.float32(255)).astype(np.uint8)


def between(share: U8, before: NDArray[np.int64], measured: NDArray[np.int64], pts: NDArray[np.int64]) -> U8:
    """Return a share for every frame, linear in time between those measured: uint8 (n, R, C) to (N, R, C).

    pts: int64 (N,), of every frame; measured: int64 (n,), which of them were; before: int64 (N,), the position
    in `measured` of the one at or before each frame.
    """
    full = np.empty((len(pts), *share.shape[1:]), np.uint8)
    after = np.minimum(before + 1, len(measured) - 1)
    gap = np.maximum(pts[measured[after]] - pts[measured[before]], 1)
    part = ((pts - pts[measured[before]]) / gap).astype(np.float32)  # (N,): how far on the way from one to the next
    part[after == before] = 0
    for start in range(0, len(pts), 512):
        rows = slice(start, start + 512)
        low = share[before[rows]].astype(np.float32)
        low += (share[after[rows]] - low) * part[rows, None, None]
        full[rows] = _stepped(low)
    return full
