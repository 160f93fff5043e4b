"""Gathers what a clip shows over place and time: of 3 x 3 cells, in a moment and in the second around it.

A visitor is compact and lasts: shares of neighbours are summed by their power, as strong ones are a visitor's and many
weak ones are leaves'. Arrays of cells have columns before rows and time last, as an Activity lies
in memory: the moments of a cell side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.activity import Activity

    Bools: TypeAlias = NDArray[np.bool_]
    F32: TypeAlias = NDArray[np.float32]
    Ints: TypeAlias = NDArray[np.int64]
    Powers: TypeAlias = NDArray[np.uint16]
    Seconds: TypeAlias = NDArray[np.float64]

MOMENT_S = 0.2  # neighbouring frames were averaged when they were measured: in between nothing is lost
FULL = 9 * 31 * 31  # the power of 3 x 3 cells that move wholly: shares are stored in 32 steps of 8
_SHARE_BITS = 3  # of those 8
_HALF_S = 0.5  # before and after: a visitor lasts so long; what is shorter is an insect, a flash, or noise
_FAR_S = 1.0  # before and after lie two more such seconds: noise of a sensor does not last so long
_QUIET = 0.75  # of its clip a cell shows less than what is usual
_RING = 3  # cells around a place tell it too, but for the 3 x 3 in the middle: who stands there is not usual
_LOOKED_AT = 250  # moments tell what is usual
_SEGMENT_S = 8.0  # a visitor has come and gone, and leaves have moved again
_SEGMENTS = 3  # at least, or nothing can be said to come again
_STILL = 0.3  # of what a cell shows at most: one that never shows less moves steadily
_SOLE = 3  # cells that come again most of all may be a lamp or a clock that is burnt in


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """What a clip shows, gathered over 3 x 3 cells, moment by moment: as many frames as last a fifth of a second.

    first: int64 (n,), the frame that each moment begins with, and stands for. at: int64 (k,), the moments in or near
    which anything moves; in all others everything is 0. moves: bool (C, R, k), which cells move themselves; brief,
    lasting: float32 (C, R, k), the power that shows now and in the second around, and that which shows in the three
    seconds around, 0 to `FULL`. own: float32 (C, R, 1), what the clip itself says is usual; unrest: the power that
    comes again and again in its most restless cells, None of a clip too short to tell.
    """

    first: Ints
    at: Ints
    moves: Bools
    brief: F32
    lasting: F32
    own: F32
    unrest: float | None


def gather(activity: Activity) -> Gathered:
    """Gather what an activity shows, whatever the settings and whatever is known of its camera."""
    first, times = moments(activity)
    share = _at(activity.share.T, first)  # (C, R, n)
    at = _near(times, share.max((0, 1)) > 0)
    if len(at) < len(first):
        share = share[..., at]
    step = (share >> np.uint8(_SHARE_BITS)).astype(np.uint16)
    now = _summed(step * step).astype(np.float32)
    second = _mean_around(np.sqrt(now), times[at])  # of amplitudes: a flash of a fifth of it weighs a fifth as much
    long = _mean_of_three(second, times[at])
    np.minimum(long, second, out=long)
    second *= second
    long *= long
    own = _own(second, len(first))
    brief = np.minimum(now, second, out=now)
    recorded = times - _holes_before(activity, first)
    return Gathered(first, at, share > 0, brief, long, own, _unrest(brief, second, at, recorded))


def moments(activity: Activity) -> tuple[Ints, Seconds]:
    """Return the first frame of each moment, int64 (n,), and when it is, in seconds from the first: float64 (n,)."""
    times = (activity.pts - activity.pts[0]) * float(activity.time_base)
    # A time base of whole milliseconds rounds: what is a hair early belongs to the moment that begins.
    number = np.floor(times / MOMENT_S + 0.01)
    first = np.flatnonzero(np.diff(number, prepend=-1))
    return first, times[first]


def strength(gathered: Gathered, usual: F32) -> F32:
    """Return the power that cells show now beyond what is usual: float32 (C, R, k), 0 where a cell does not move.

    usual: float32 (C, R, 1) or (C, R, k).
    """
    beyond: F32 = gathered.brief - usual
    np.maximum(beyond, 0, out=beyond)
    beyond *= gathered.moves
    return beyond


def _at(share: NDArray[np.uint8], first: Ints) -> NDArray[np.uint8]:
    """Return the shares of some frames: uint8 (C, R, N) to (C, R, n)."""
    step = int(first[1] - first[0]) if len(first) > 1 else 1
    if np.array_equal(first, np.arange(len(first)) * step):
        return np.ascontiguousarray(share[..., ::step][..., : len(first)])
    return share.take(first, axis=2)


def _holes_before(activity: Activity, first: Ints) -> Seconds:
    """Return how many seconds of holes lie before each moment, float64 (n,): nobody knows how restless they were."""
    if not activity.holes:
        return np.zeros(len(first))
    starts, ends = np.array(activity.holes, np.int64).T
    missing = np.concatenate(([0], np.cumsum(ends - starts)))
    seconds: Seconds = missing[np.searchsorted(ends, activity.pts[first], side="right")] * float(activity.time_base)
    return seconds


def _near(times: Seconds, busy: Bools) -> Ints:
    """Return the moments near enough to a busy one to show anything of it, and their neighbours: int64 (k,)."""
    reach = 2 * (_HALF_S + _FAR_S)
    moving = times[busy]
    nearest = np.searchsorted(moving, times)
    near = np.zeros(len(times), np.bool_)
    for there in (nearest - 1, nearest):
        inside = (there >= 0) & (there < len(moving))
        near[inside] |= abs(times[inside] - moving[there[inside]]) <= reach
    return np.flatnonzero(near)


def _summed(power: Powers) -> Powers:
    """Return the sum over the 3 x 3 around each cell, those there are: (C, R, k) to the same."""
    down = power.copy()
    down[:, 1:] += power[:, :-1]
    down[:, :-1] += power[:, 1:]
    total = down.copy()
    total[1:] += down[:-1]
    total[:-1] += down[1:]
    return total


def _mean_around(level: F32, times: Seconds) -> F32:
    """Return the mean over the moments within half a second of each: (C, R, k) to the same."""
    total, count = level.copy(), np.ones(len(times), np.float32)
    for lag in range(1, len(times)):
        close = times[lag:] - times[:-lag] <= _HALF_S
        if not close.any():
            break
        earlier, later = level[..., :-lag], level[..., lag:]
        total[..., lag:] += earlier if close.all() else earlier * close
        total[..., :-lag] += later if close.all() else later * close
        count[lag:] += close
        count[:-lag] += close
    total *= 1 / count
    return total


def _mean_of_three(level: F32, times: Seconds) -> F32:
    """Return the mean of each moment, and of those a second before and after it, as far as there are: (C, R, k)."""
    before = np.searchsorted(times, times - _FAR_S - 0.01)
    after = np.searchsorted(times, times + _FAR_S + 0.01, side="right") - 1
    mean: F32 = level + level[..., before]
    mean += level[..., after]
    mean /= 3
    return mean


def _own(shown: F32, count: int) -> F32:
    """Return what cells show less than for most of a clip of `count` moments, where those around do too: (C, R, 1)."""
    columns, rows, busy = shown.shape
    below = int(_QUIET * (count - 1)) - (count - busy)  # how many of the busy ones are to lie below
    if below < 0:
        return np.zeros((columns, rows, 1), np.float32)
    step = busy // _LOOKED_AT + 1
    usual = np.partition(shown[..., ::step], below // step, axis=2)[..., below // step]
    if not usual.any():
        return usual[..., None]
    reach = np.arange(-_RING, _RING + 1)
    padded = np.pad(usual, _RING, mode="edge")
    ring = [
        padded[_RING + right : _RING + right + columns, _RING + down : _RING + down + rows]
        for right in reach
        for down in reach
        if max(abs(right), abs(down)) > 1
    ]
    middle = len(ring) // 2
    own: F32 = np.minimum(usual, np.partition(np.stack(ring), middle, axis=0)[middle])[..., None]
    return own


def _unrest(brief: F32, shown: F32, at: Ints, times: Seconds) -> float | None:
    """Return the power that the most restless cells reach in most segments of a clip, and fall below again in each.

    brief, shown: float32 (C, R, k), of the moments `at`, int64 (k,); times: float64 (n,), of all. A visitor is not
    there in most segments, or stays; leaves are, and come and go. None of a clip without enough of them.
    """
    count = int((times[-1] - times[0]) // _SEGMENT_S)
    if count < _SEGMENTS:
        return None
    segment = np.minimum((times - times[0]) * (count / (times[-1] - times[0])), count - 1).astype(np.int64)
    there, starts = np.unique(segment[at], return_index=True)
    if 2 * len(there) <= count:  # in most of them nothing moves at all
        return 0.0
    quiet = len(times[at]) < len(times)
    most, least = np.zeros((2, *brief.shape[:2], count), np.float32)
    most[..., there] = np.maximum.reduceat(brief, starts, axis=2)
    whole = np.bincount(segment[at], minlength=count)[there] == np.bincount(segment, minlength=count)[there]
    least[..., there] = np.minimum.reduceat(shown, starts, axis=2) * (whole | (not quiet))
    high, low = (np.partition(part, count // 2, axis=2)[..., count // 2] for part in (most, least))
    high[low >= _STILL * high] = 0
    return float(np.partition(high.ravel(), -_SOLE - 1)[-_SOLE - 1]) if high.size > _SOLE else float(high.max())
