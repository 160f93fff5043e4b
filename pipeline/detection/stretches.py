"""Stretches: active frames that follow each other, joined over gaps, and with what is kept before and after them."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from numpy.typing import NDArray

    from pipeline.activity import Activity

    Ints: TypeAlias = NDArray[np.int64]
    Bools: TypeAlias = NDArray[np.bool_]

_TRUE = np.ones(1, np.bool_)


class Stretches(NamedTuple):
    """Stretches of a clip in order, of one settings after the other; five int64 (n,).

    start, end: pts, half-open. first, last: the first and one past the last of its active frames. whose: which of some
    settings each is of, the stretches of one together.
    """

    start: Ints
    end: Ints
    first: Ints
    last: Ints
    whose: Ints

    def where(self, keep: Bools) -> Stretches:
        """Return those that are kept, bool (n,)."""
        return Stretches(*(part[keep] for part in self))

    def joined(self, gap: int) -> Stretches:
        """Return them with those of the same settings that lie at most `gap` ticks apart made one."""
        start, end, first, last, whose = self
        if len(start) < 2:
            return self
        apart = (start[1:] - end[:-1] > gap) | (whose[1:] != whose[:-1])
        head, tail = np.concatenate((_TRUE, apart)), np.concatenate((apart, _TRUE))
        return Stretches(start[head], end[tail], first[head], last[tail], whose[head])

    def with_rolls(self, activity: Activity, *, pre_s: float, post_s: float) -> Stretches:
        """Return them with both rolls, clamped to the clip, and joined where they then meet."""
        if not (pre_s or post_s):
            return self
        base = activity.time_base
        start = np.maximum(self.start - ticks(pre_s, base, math.ceil), activity.pts[0])
        end = np.minimum(self.end + ticks(post_s, base, math.ceil), _close(activity))
        return self._replace(start=start, end=end).joined(0)


def unbroken(active: Bools) -> tuple[Ints, Ints]:
    """Return the first and one past the last frame of active ones that follow each other: bool (N,) to two int64."""
    edges = np.flatnonzero(active[1:] != active[:-1]) + 1
    if active[0]:
        edges = np.concatenate(([0], edges))
    if len(edges) % 2:
        edges = np.concatenate((edges, [len(active)]))
    return edges[::2], edges[1::2]


def joined_stretches(activity: Activity, first: Ints, last: Ints, whose: Ints, *, gap_s: float) -> Stretches:
    """Return the stretches of `unbroken` active frames, of many settings at once: those at most `gap_s` apart are one.

    A sweep asks for the events of hundreds of settings in each clip: what NumPy does for one costs little more than to
    call it, so it is called once for all that join alike.
    """
    start, end = activity.pts[first], activity.pts.take(last, mode="clip")
    end[last == len(activity.pts)] = _close(activity)
    return Stretches(start, end, first, last, whose).joined(ticks(gap_s, activity.time_base, math.floor))


def ticks(seconds: float, time_base: Fraction, rounding: Callable[[Fraction], int]) -> int:
    """Return seconds as a whole number of ticks, from their decimal text: 0.1 means a tenth."""
    return _whole(seconds, time_base.numerator, time_base.denominator, rounding)


@functools.lru_cache(1024)  # to hash a Fraction would cost as much as is saved
def _whole(seconds: float, numerator: int, denominator: int, rounding: Callable[[Fraction], int]) -> int:
    return rounding(Fraction(str(seconds)) * denominator / numerator)


def _close(activity: Activity) -> int:
    """Return when the clip ends: its last frame lasts as long as the one before it."""
    pts = activity.pts
    return int(pts[-1] + (pts[-1] - pts[-2] if len(pts) > 1 else 1))
