"""Stretches: active moments that follow each other, joined over gaps, and with what is kept before and after them."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]
    Bools: TypeAlias = NDArray[np.bool_]

_TRUE = np.ones(1, np.bool_)


class Timed(Protocol):
    """When the moments of some evidence are; see `Evidence`."""

    @property
    def pts(self) -> Ints:
        """When each begins, in units of `time_base` seconds: int64 (n,)."""

    @property
    def end_pts(self) -> int:
        """When the last one ends."""

    @property
    def holes(self) -> tuple[tuple[int, int], ...]:
        """The times without a frame, half-open, in order."""

    @property
    def time_base(self) -> Fraction:
        """Seconds in a tick."""


class Stretches(NamedTuple):
    """Stretches of a clip in order, of one settings after the other; five int64 (n,).

    start, end: pts, half-open. first, last: the first and one past the last of its active moments. whose: which of some
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

    def with_rolls(self, evidence: Timed, *, pre_s: float, post_s: float) -> Stretches:
        """Return them with both rolls, clamped to the clip and its holes, and joined where they then meet."""
        if not (pre_s or post_s):
            return self
        base = evidence.time_base
        opens, closes = _recorded_around(evidence, self.start)
        start = np.maximum(self.start - ticks(pre_s, base, math.ceil), opens)
        end = np.minimum(self.end + ticks(post_s, base, math.ceil), closes)
        return self._replace(start=start, end=end).joined(0)


def unbroken(active: Bools) -> tuple[Ints, Ints]:
    """Return the first and one past the last moment of active ones that follow each other: bool (n,) to two int64."""
    edges = np.flatnonzero(active[1:] != active[:-1]) + 1
    if active[0]:
        edges = np.concatenate(([0], edges))
    if len(edges) % 2:
        edges = np.concatenate((edges, [len(active)]))
    return edges[::2], edges[1::2]


def joined_stretches(evidence: Timed, first: Ints, last: Ints, whose: Ints, *, gap_s: float) -> Stretches:
    """Return the stretches of `unbroken` active moments, of many settings at once: those at most `gap_s` apart are one.

    None reaches across a hole, however short beside `gap_s`: nobody knows what was there. A sweep asks for the events
    of hundreds of settings in each clip: what NumPy does for one costs little more than to call it, so it is called
    once for all that join alike.
    """
    gap = ticks(gap_s, evidence.time_base, math.floor)
    if evidence.holes:
        return _joined_between_holes(evidence, first, last, whose, gap=gap)
    start, end = evidence.pts[first], evidence.pts.take(last, mode="clip")
    end[last == len(evidence.pts)] = evidence.end_pts
    return Stretches(start, end, first, last, whose).joined(gap)


def _joined_between_holes(evidence: Timed, first: Ints, last: Ints, whose: Ints, *, gap: int) -> Stretches:
    """Return `joined_stretches` of evidence with holes, each of which cuts what goes on across it."""
    resumes = np.searchsorted(evidence.pts, np.array(evidence.holes, np.int64)[:, 1])  # the first moment after each
    cuts = np.searchsorted(resumes, last) - np.searchsorted(resumes, first, side="right")  # inside each stretch
    of = np.repeat(np.arange(len(first)), cuts + 1)
    nth = np.arange(len(of)) - np.repeat(np.cumsum(cuts + 1) - (cuts + 1), cuts + 1)
    at = np.searchsorted(resumes, first, side="right")[of] + nth  # the hole that ends each part, one past the last
    first = np.where(nth > 0, resumes[np.maximum(at, 1) - 1], first[of])
    last = np.where(nth < cuts[of], resumes[np.minimum(at, len(resumes) - 1)], last[of])
    start = evidence.pts[first]
    end = np.minimum(evidence.pts.take(last, mode="clip"), _recorded_around(evidence, start)[1])
    end[last == len(evidence.pts)] = evidence.end_pts
    parts = len(resumes) + 1  # those of different parts are kept apart as those of different settings are
    found = Stretches(start, end, first, last, whose[of] * parts + at).joined(gap)
    return found._replace(whose=found.whose // parts)


def ticks(seconds: float, time_base: Fraction, rounding: Callable[[Fraction], int]) -> int:
    """Return seconds as a whole number of ticks, from their decimal text: 0.1 means a tenth."""
    return _whole(seconds, time_base.numerator, time_base.denominator, rounding)


@functools.lru_cache(1024)  # to hash a Fraction would cost as much as is saved
def _whole(seconds: float, numerator: int, denominator: int, rounding: Callable[[Fraction], int]) -> int:
    return rounding(Fraction(str(seconds)) * denominator / numerator)


def _recorded_around(evidence: Timed, pts: Ints) -> tuple[Ints | int, Ints | int]:
    """Return the start and end of what was recorded without a hole around moments at `pts`: int64 (n,), or one each."""
    if not evidence.holes:
        return int(evidence.pts[0]), evidence.end_pts
    starts, ends = np.array(evidence.holes, np.int64).T
    part = np.searchsorted(ends, pts, side="right")
    return np.append(evidence.pts[0], ends)[part], np.append(starts, evidence.end_pts)[part]
