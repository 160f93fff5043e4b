"""Where a recording has no frames: the one rule of how long a frame may last before what follows it is a hole."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

_HOLE_S: Final = 2  # below this no camera is said to have paused
_STEPS: Final = 10  # and it has to miss so many frames in a row: one that takes a frame a minute pauses every minute


def usual_step(pts: NDArray[np.int64]) -> int:
    """Return the median step from frame to frame, at least 1 tick: pts int64 (N,), increasing; 1 below two frames."""
    return max(1, int(np.median(np.diff(pts)))) if len(pts) > 1 else 1


def longest_step(usual: int, time_base: Fraction) -> int:
    """Return how many ticks a frame may last where frames usually last `usual` ticks of `time_base` seconds."""
    return max(math.ceil(_HOLE_S / time_base), _STEPS * usual)


def holes(pts: NDArray[np.int64], time_base: Fraction) -> list[tuple[int, int]]:
    """Return the times between frames in which none was recorded, half-open (start_pts, end_pts), in order.

    pts: int64 (N,), increasing, of every frame, in `time_base` seconds. The frame before a hole lasts as long as frames
    usually do.
    """
    steps = np.diff(pts)
    # Of nearly all recordings this is all that is looked at: the median costs more than the rest.
    if not len(steps) or int(steps.max()) * time_base.numerator <= _HOLE_S * time_base.denominator:
        return []
    usual = usual_step(pts)
    before = np.flatnonzero(steps > longest_step(usual, time_base))
    return [(int(pts[at]) + usual, int(pts[at + 1])) for at in before]


def never_came(pts: NDArray[np.int64], time_base: Fraction, *, alike: float) -> tuple[int, int]:
    """Return how many steps are longer than the others, and how many frames they lack; (0, 0) of an uneven recording.

    pts: int64 (N,), increasing, in `time_base` seconds. alike: the share of steps that have to last as long as usual.
    Holes are none of them.
    """
    if len(pts) < 3:
        return 0, 0
    steps, usual = np.diff(pts), usual_step(pts)
    if (np.abs(steps - usual) <= max(1, usual // 50)).mean() < alike:
        return 0, 0
    long = steps[(steps > 1.5 * usual) & (steps <= longest_step(usual, time_base))]
    return len(long), int(np.rint(long / usual).sum()) - len(long)
