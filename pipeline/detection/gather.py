"""Gathers what a clip shows over place and time: of 3 x 3 cells, in a moment and in the second around it.

A visitor is compact and lasts: shares of neighbours are summed by their power, as strong ones are a visitor's and many
weak ones are leaves'; amplitude is the root of power, in whole steps of a sixteenth. Time comes first, so that moments
are added as whole blocks of memory; then columns before rows, and one more of each that is always 0, so that to add
what is beside every cell is to add the same numbers moved by one place.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.activity import Activity

    Amplitudes: TypeAlias = NDArray[np.uint16]
    Bools: TypeAlias = NDArray[np.bool_]
    F32: TypeAlias = NDArray[np.float32]
    Ints: TypeAlias = NDArray[np.int64]
    Seconds: TypeAlias = NDArray[np.float64]

STEPS = 16  # of amplitude to one of a share
MOMENT_S = 1 / 3  # neighbouring frames were averaged when they were measured: in between little is lost
_BLOCK = 64  # moments gathered at once: what is made of them stays in the cache
_SHARE_BITS = 3  # shares are stored in steps of 8
WHOLE = 255 >> _SHARE_BITS  # of these steps shows a cell that moves wholly
_HALF_S = 0.5  # before and after: a visitor lasts so long; what is shorter is an insect, a flash, or noise
_FAR_S = 1.0  # before and after lie two more such seconds: noise of a sensor does not last so long
_QUIET = 0.75  # of its clip a cell shows less than what is usual
_RING = 3  # cells away, eight others tell it too: who stands there is not usual
_LOOKED_AT = 64  # moments tell what is usual
_SEGMENT_S = 8.0  # a visitor has come and gone, and leaves have moved again
_SEGMENTS = 5  # at least, or nothing can be said to come again
_STILL = 0.3  # of the power that a cell shows at most: one that never shows less moves steadily
_SOLE = 3  # cells that come again most of all may be a lamp or a clock that is burnt in


@dataclass(frozen=True, eq=False)
class Gathered:
    """What a clip shows, gathered over 3 x 3 cells, moment by moment: as many frames as last a third of a second.

    first: int64 (n,), the frame that each moment begins with, and stands for; times: float64 (n,), when, in seconds.
    at: int64 (k,), the moments in or near which anything moves; in all others everything is 0. brief, second: uint16
    (k, C + 1, R + 1), the amplitude that a cell that moves shows now and in the second around, and the mean of it.
    recorded: float64 (n,), as `times`, but without the holes.
    """

    first: Ints
    times: Seconds
    at: Ints
    brief: Amplitudes
    second: Amplitudes
    recorded: Seconds

    @functools.cached_property
    def lasting(self) -> Amplitudes:
        """The amplitude that a cell that moves shows in the second around and in those before and after it too."""
        times = self.times[self.at]
        before = np.searchsorted(times, times - _FAR_S - 0.01)
        after = np.searchsorted(times, times + _FAR_S + 0.01, side="right") - 1
        mean: Amplitudes = self.second[before] + self.second
        mean += self.second[after]
        mean //= np.uint16(3)
        np.minimum(mean, self.second, out=mean)
        mean *= self.brief > 0
        return mean

    @functools.cached_property
    def own(self) -> F32:
        """The power that cells show less than for most of the clip, where those around do too: float32 (C + 1, R + 1).

        It is what the clip itself says is usual.
        """
        busy, count = len(self.at), len(self.first)
        below = int(_QUIET * (count - 1)) - (count - busy)  # how many of the busy ones are to lie below
        if below < 0:
            return np.zeros(self.second.shape[1:], np.float32)
        step = busy // _LOOKED_AT + 1
        usual = np.partition(self.second[::step], below // step, axis=0)[below // step]
        return power(np.minimum(usual, _ring(usual)) if usual.any() else usual)

    @functools.cached_property
    def unrest(self) -> float | None:
        """The power that the most restless cells reach in most segments of a clip, and fall below again in each.

        A visitor is not there in most segments, or stays; leaves are, and come and go. None of a clip without enough.
        """
        length = float(self.recorded[-1] - self.recorded[0])
        count = int(length // _SEGMENT_S)
        if count < _SEGMENTS:
            return None
        ends = np.searchsorted(self.recorded, self.recorded[0] + length / count * np.arange(1, count))
        parts = list(itertools.pairwise([0, *np.searchsorted(self.at, ends).tolist(), len(self.at)]))
        wanted = np.diff([0, *ends.tolist(), len(self.recorded)]).tolist()  # moments, also those in which all is 0
        most, least = np.zeros((2, count, *self.brief.shape[1:]), np.uint16)
        for number, ((start, end), moments_) in enumerate(zip(parts, wanted, strict=True)):
            if start < end:
                self.brief[start:end].max(0, out=most[number])
            if 0 < end - start == moments_:
                self.second[start:end].min(0, out=least[number])
        high, low = (power(np.partition(part, (count - 1) // 2, axis=0)[(count - 1) // 2]) for part in (most, least))
        high[low >= _STILL * high] = 0
        return float(np.partition(high.ravel(), -_SOLE - 1)[-_SOLE - 1])


def gather(activity: Activity, watched: Bools | None = None) -> Gathered:
    """Gather what an activity shows, whatever is known of its camera; only what `watched` cells show: bool (R, C)."""
    first, times = moments(activity)
    share = activity.share.T  # (C, R, N)
    columns, rows, _ = share.shape
    step = _step(first)
    seen = share[..., ::step][..., : len(first)] if step else share.take(first, axis=2)
    if watched is not None:
        seen = seen * watched.T[..., None]
    blocks = _busy_blocks(seen, times)
    at = np.concatenate([np.arange(start, end) for start, end, _, _ in blocks] or [np.zeros(0, np.int64)])
    brief, second = np.empty((2, len(at), columns + 1, rows + 1), np.uint16)
    done = 0
    for start, end, low, high in blocks:
        moves, now = _amplitudes(seen[..., low:high])
        out = slice(done, done + end - start)
        inside = slice(start - low, end - low)
        mean = _mean_around(now, times[low:high])[inside]
        mean[:, columns], mean[..., rows] = 0, 0
        second[out] = mean
        np.minimum(now[inside], mean, out=brief[out])
        brief[out] *= moves[inside] > 0
        done += end - start
    return Gathered(first, times, at, brief, second, times - _holes_before(activity, first))


def _holes_before(activity: Activity, first: Ints) -> Seconds:
    """Return how many seconds of holes lie before each moment, float64 (n,): nobody knows how restless they were."""
    if not activity.holes:
        return np.zeros(len(first))
    starts, ends = np.array(activity.holes, np.int64).T
    missing = np.concatenate(([0], np.cumsum(ends - starts)))
    seconds: Seconds = missing[np.searchsorted(ends, activity.pts[first], side="right")] * float(activity.time_base)
    return seconds


def _busy_blocks(seen: NDArray[np.uint8], times: Seconds) -> list[tuple[int, int, int, int]]:
    """Return the blocks of moments in or near which anything moves: start, end, and the two of what is around it."""
    blocks, reach = [], _HALF_S + 2 * _FAR_S
    for start in range(0, len(times), _BLOCK):
        end = min(start + _BLOCK, len(times))
        wanted = [times[start] - reach, times[start] - _HALF_S, times[end - 1] + _HALF_S + 1e-9, times[end - 1] + reach]
        far_low, low, high, far_high = np.searchsorted(times, wanted).tolist()
        if seen[..., far_low:far_high].any():
            blocks.append((start, end, low, high))
    return blocks


def _amplitudes(seen: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Amplitudes]:
    """Return what each cell shows, in steps, and the amplitude of 3 x 3: uint8 (C, R, k) to (k, C + 1, R + 1) each."""
    columns, rows, count = seen.shape
    steps = np.zeros((count, columns + 1, rows + 1), np.uint8)
    steps[:, :columns, :rows] = seen.transpose(2, 0, 1)
    steps >>= np.uint8(_SHARE_BITS)
    now = np.multiply(steps, steps, dtype=np.uint16)
    _add_beside(now.reshape(-1), 1)
    _add_beside(now.reshape(-1), rows + 1)
    level = np.sqrt(now, dtype=np.float32)
    level *= STEPS
    np.copyto(now, level, casting="unsafe")
    return steps, now


def power(amplitude: Amplitudes) -> F32:
    """Return the power of amplitudes: uint16 to float32 of the same shape."""
    level = amplitude.astype(np.float32)
    level *= np.float32(1 / STEPS)
    level *= level
    return level


def moments(activity: Activity) -> tuple[Ints, Seconds]:
    """Return the first frame of each moment, int64 (n,), and when it is, in seconds from the first: float64 (n,)."""
    times = (activity.pts - activity.pts[0]) * float(activity.time_base)
    # A time base of whole milliseconds rounds: what is a hair early belongs to the moment that begins.
    number = np.floor(times / MOMENT_S + 0.01)
    first = np.flatnonzero(np.diff(number, prepend=-1))
    return first, times[first]


def _step(first: Ints) -> int:
    """Return how many frames every moment has, 0 where they have not all as many."""
    step = int(first[1]) if len(first) > 1 else 1
    return step if np.array_equal(first, np.arange(len(first)) * step) else 0


def _add_beside(flat: Amplitudes, by: int) -> None:
    """Add to every number what is `by` places before it and after it, in place: uint16 (m,)."""
    before = flat[:-by].copy()
    flat[:-by] += flat[by:]
    flat[by:] += before


def _mean_around(level: Amplitudes, times: Seconds) -> Amplitudes:
    """Return the mean over the moments within half a second of each: (k, ...) to the same, rounded down."""
    total, count = level.copy(), np.ones(len(times), np.uint16)
    for lag in range(1, len(times)):
        close = times[lag:] - times[:-lag] <= _HALF_S
        if not close.any():
            break
        weight = close[:, None, None]
        earlier, later = level[:-lag], level[lag:]
        total[lag:] += earlier if close.all() else earlier * weight
        total[:-lag] += later if close.all() else later * weight
        count[lag:] += close
        count[:-lag] += close
    usual = np.uint16(np.bincount(count).argmax()) if len(count) else np.uint16(1)
    odd = np.flatnonzero(count != usual)
    corrected = total[odd] // count[odd, None, None]
    total //= usual
    total[odd] = corrected
    return total


def _ring(usual: Amplitudes) -> Amplitudes:
    """Return the median of the eight cells around each that lie some cells away: (C + 1, R + 1) to the same."""
    inner = usual[:-1, :-1]
    columns, rows = inner.shape
    padded = np.pad(inner, _RING, mode="edge")
    reach = (0, _RING, 2 * _RING)
    ring = [
        padded[right : right + columns, down : down + rows]
        for right, down in itertools.product(reach, reach)
        if (right, down) != (_RING, _RING)
    ]
    middle = len(ring) // 2
    found = np.zeros_like(usual)
    found[:-1, :-1] = np.partition(np.stack(ring), middle, axis=0)[middle]
    return found
