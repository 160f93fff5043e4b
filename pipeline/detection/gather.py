"""Gathers what a clip shows over place and time: of 3 x 3 cells, in a moment and in the second around it.

A visitor is compact and lasts: shares of neighbours are summed by their power, as strong ones are a visitor's and many
weak ones are leaves'; amplitude is the root of power, in whole steps of a sixteenth. Time comes first, so that moments
are added as whole blocks of memory; then columns before rows, and one more of each that is always 0, so that to add
what is beside every cell is to add the same numbers moved by one place.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.activity import Activity

    Amplitudes: TypeAlias = NDArray[np.uint16]
    Bools: TypeAlias = NDArray[np.bool_]
    F32: TypeAlias = NDArray[np.float32]
    Ints: TypeAlias = NDArray[np.int64]
    Seconds: TypeAlias = NDArray[np.float64]

STEPS = 16  # of amplitude to one of a share
MOMENT_S = 1 / 3  # neighbouring frames were averaged when they were measured: in between little is lost
_BLOCK, _BLOCKS = 64, 2  # moments that are passed over together, and blocks gathered at once: they stay in the cache
_SHARE_BITS = 3  # shares are stored in steps of 8
_MORE = 2048  # than any amplitude
WHOLE = 255 >> _SHARE_BITS  # of these steps shows a cell that moves wholly
_HALF_S = 0.5  # before and after: a visitor lasts so long; what is shorter is an insect, a flash, or noise
_FAR_S = 1.0  # before and after lie two more such seconds: noise of a sensor does not last so long
_QUIET = 0.75  # of its clip a cell shows less than what is usual
_RING = 3  # cells away, eight others tell it too: who stands there is not usual
_AROUND = np.array([at for at in itertools.product((-_RING, 0, _RING), repeat=2) if any(at)]).T[..., None]  # (2, 8, 1)
_LOOKED_AT = 64  # moments tell what is usual
_SEGMENT_S = 8.0  # a visitor has come and gone, and leaves have moved again
_SEGMENTS = 5  # at least, or nothing can be said to come again
_STILL = 0.3  # of the power that a cell shows at most: one that never shows less moves steadily
_FAINT = 16.0  # power of what is restless: less is no visitor's
_OFTEN = 0.15  # of the time a cell moves: seldom, it may be visitors who come again, each for a second or two in ten
_PASSES = 0.25  # of the power of what is restless shows what goes by, ...
_EVERYWHERE = 0.5  # ... in this much of the picture more than once: weather, insects, light; people keep to the ground
_TRAVELS = 2.0  # times as many places as at once are passed in a segment: a bush stirs where it is
_SOLE = 3  # cells that come again most of all may be a lamp or a clock that is burnt in


@dataclass(frozen=True, eq=False)
class Gathered:
    """What a clip shows, gathered over 3 x 3 cells, moment by moment: as many frames as last a third of a second.

    first: int64 (n,), the frame that each moment begins with, and stands for; times: float64 (n,), when, in seconds.
    at: int64 (k,), the moments in or near which anything moves; in all others everything is 0. brief, second: uint16
    (k, C + 1, R + 1), the amplitude that a cell that moves shows now and in the second around, and the mean of it, in
    which the last column and row are of no cell. moved: uint32 (k,), the sum of all shares, in steps.
    recorded: float64 (n,), as `times`, but without the holes.
    """

    first: Ints
    times: Seconds
    at: Ints
    brief: Amplitudes
    second: Amplitudes
    moved: NDArray[np.uint32]
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
        some = self.second[::step]
        usual = _ranked(some.reshape(len(some), -1), below // step).reshape(some.shape[1:])
        usual[-1], usual[:, -1] = 0, 0
        right, down = np.nonzero(usual)
        usual[right, down] = np.minimum(usual[right, down], _ring(usual, right, down))
        return power(usual)

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
        most, least = most.reshape(count, -1), least.reshape(count, -1)
        restless = _restless(most, least)
        found = float(np.partition(restless, -_SOLE - 1)[-_SOLE - 1])
        if found < _FAINT:
            return found
        often = _sums(self.brief != 0, 0, most=1).ravel() >= _OFTEN * len(self.first)
        less = float(np.partition(restless * often, -_SOLE - 1)[-_SOLE - 1])
        return less if less < found and self._visited(most, found, ~often, parts) else found

    def _visited(self, most: Amplitudes, found: float, seldom: Bools, parts: Sequence[tuple[int, int]]) -> bool:
        """Return whether what shows such a power in `seldom` cells, bool (m,), goes by as visitors do.

        They keep to the ground and pass more places than they are in at once; weather, insects and light come
        everywhere, and bushes in the wind stay. most: see `_restless`, of these `parts` of `at`.
        """
        level = STEPS * math.sqrt(_PASSES * found)
        passed = most >= level
        cells = (self.brief.shape[1] - 1) * (self.brief.shape[2] - 1)
        if np.count_nonzero(_sums(passed, 0, most=1) > 1) >= _EVERYWHERE * cells:
            return False
        at_once = (self.brief.reshape(len(self.brief), -1)[:, seldom] >= level).sum(1, dtype=np.uint32)
        spread = [
            places / at_once[start:end].max()
            for places, (start, end) in zip(passed[:, seldom].sum(1).tolist(), parts, strict=True)
            if places
        ]
        return bool(spread) and float(np.median(spread)) >= _TRAVELS


def gather(activity: Activity, watched: Bools | None = None) -> Gathered:
    """Gather what an activity shows, whatever is known of its camera; only what `watched` cells show: bool (R, C)."""
    first, times = moments(activity)
    share = activity.share.T  # (C, R, N)
    columns, rows, _ = share.shape
    step = _step(first)
    seen = share[..., ::step][..., : len(first)] if step else share[..., first]
    if watched is not None:
        seen = seen * watched.T[..., None]
    blocks, around = _busy_blocks(seen, times), _around(times)
    at = np.concatenate([np.arange(start, end) for start, end, _, _ in blocks] or [np.zeros(0, np.int64)])
    brief, second = np.empty((2, len(at), columns + 1, rows + 1), np.uint16)
    moved = np.empty(len(at), np.uint32)
    done = 0
    for start, end, low, high in blocks:
        inside, out = slice(start - low, end - low), slice(done, done + end - start)
        steps = np.zeros((high - low, columns + 1, rows + 1), np.uint16)
        steps[:, :columns, :rows] = seen[..., low:high].transpose(2, 0, 1)
        steps >>= np.uint16(_SHARE_BITS)
        now = _amplitudes(steps)
        steps = steps[inside]
        moved[out] = _sums(steps.reshape(end - start, -1), 1, most=WHOLE)
        second[out] = _mean_around(now, around, low)[inside]
        np.minimum(now[inside], second[out], out=brief[out])
        steps *= np.uint16(_MORE)  # a mask: what does not move is 0 as well
        np.minimum(brief[out], steps, out=brief[out])
        done += end - start
    return Gathered(first, times, at, brief, second, moved, times - _holes_before(activity, first))


def _holes_before(activity: Activity, first: Ints) -> Seconds:
    """Return how many seconds of holes lie before each moment, float64 (n,): nobody knows how restless they were."""
    if not activity.holes:
        return np.zeros(len(first))
    starts, ends = np.array(activity.holes, np.int64).T
    missing = np.concatenate(([0], np.cumsum(ends - starts)))
    seconds: Seconds = missing[np.searchsorted(ends, activity.pts[first], side="right")] * float(activity.time_base)
    return seconds


def _busy_blocks(seen: NDArray[np.uint8], times: Seconds) -> list[tuple[int, int, int, int]]:
    """Return the blocks of moments in or near which anything moves: start, end, and the two of what is around it.

    Those that follow each other are one, up to `_BLOCKS`.
    """
    blocks: list[tuple[int, int, int, int]] = []
    starts, reach = np.arange(0, len(times), _BLOCK), _HALF_S + 2 * _FAR_S
    opens, closes = times[starts], times[np.minimum(starts + (_BLOCK - 1), len(times) - 1)]
    around = np.concatenate((opens - reach, opens - _HALF_S, closes + _HALF_S + 1e-9, closes + reach))
    ends = np.searchsorted(times, around).reshape(4, -1).T.tolist()
    for start, (far_low, low, high, far_high) in zip(starts.tolist(), ends, strict=True):
        if not seen[..., far_low:far_high].any():
            continue
        end = min(start + _BLOCK, len(times))
        if blocks and blocks[-1][1] == start < blocks[-1][0] + _BLOCK * _BLOCKS:
            blocks[-1] = blocks[-1][0], end, blocks[-1][2], high
        else:
            blocks.append((start, end, low, high))
    return blocks


def _amplitudes(steps: Amplitudes) -> Amplitudes:
    """Return the amplitude of 3 x 3 of what each cell shows, in steps: uint16 (k, C + 1, R + 1) to the same."""
    now = steps * steps
    beside = _with_beside(now.reshape(-1), 1, out=np.empty_like(now).reshape(-1))
    now = _with_beside(beside, steps.shape[2], out=now.reshape(-1)).reshape(steps.shape)
    # NumPy converts a part at a time: no larger array is written.
    return np.multiply(np.sqrt(now, dtype=np.float32), np.float32(STEPS), out=now, casting="unsafe")


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
    first = np.concatenate(([0], np.flatnonzero(number[1:] != number[:-1]) + 1))
    return first, times[first]


def _step(first: Ints) -> int:
    """Return how many frames every moment has, 0 where they have not all as many."""
    step = int(first[1]) if len(first) > 1 else 1
    return step if np.array_equal(first, np.arange(len(first)) * step) else 0


def _with_beside(flat: Amplitudes, by: int, *, out: Amplitudes) -> Amplitudes:
    """Return every number and what is `by` places before it and after it, in `out`: uint16 (m,) to the same."""
    np.add(flat[:-by], flat[by:], out=out[:-by])
    out[-by:] = flat[-by:]
    out[by:] += flat[:-by]
    return out


class _Around(NamedTuple):
    """Which moments lie within half a second of each of n.

    close: of each lag in moments, bool (n - lag,): whether a moment and the one so much later do, None where all do.
    many: uint16 (n,), how many, itself included, those on one side twice where there are none on the other;
    one_sided: bool (n,), where that is so. usual: the count of most; odd: int64 (m,), the moments with another.
    """

    close: list[Bools | None]
    many: Amplitudes
    one_sided: Bools
    usual: np.uint16
    odd: Ints


def _around(times: Seconds) -> _Around:
    lags: list[Bools | None] = []
    before, after = np.zeros((2, len(times)), np.uint16)
    for lag in range(1, len(times)):
        close = times[lag:] - times[:-lag] <= _HALF_S
        some = np.count_nonzero(close)
        if not some:
            break
        lags.append(close if some < len(close) else None)
        before[lag:] += close
        after[:-lag] += close
    one_sided = (before == 0) != (after == 0)
    count = before + after
    count[one_sided] *= 2
    count += np.uint16(1)
    usual = count[len(count) // 2]  # where frames come evenly, of all but the first and the last
    return _Around(lags, count, one_sided, usual, np.flatnonzero((count != usual) | one_sided))


def _mean_around(level: Amplitudes, around: _Around, low: int) -> Amplitudes:
    """Return the mean over the moments within half a second of each: (k, ...) to the same, rounded down.

    level: of the moments from `low` on; at both ends of it means lack what lies beyond. Where nothing was recorded
    before or after, the other side counts twice: what moves in the first moment of a clip alone, or in the last, is
    not to count for more than what moves in one of its midst.
    """
    total = np.empty_like(level)
    for lag, close in enumerate(around.close, start=1):
        earlier, later = level[:-lag], level[lag:]
        if close is not None:
            weight = close[low : low + len(later), None, None]
            earlier, later = earlier * weight, later * weight
        if lag == 1:
            total[:1] = level[:1]
            np.add(level[1:], earlier, out=total[1:])
        else:
            total[lag:] += earlier
        total[:-lag] += later
    if not around.close:
        return level
    first, last = np.searchsorted(around.odd, (low, low + len(level)))
    odd = around.odd[first:last]
    if len(odd):
        own, sums = level[odd - low], total[odd - low]
        sums += (sums - own) * around.one_sided[odd, None, None]
        sums //= around.many[odd, None, None]
    total //= around.usual
    if len(odd):
        total[odd - low] = sums
    return total


def _sums(values: NDArray[np.uint16 | np.bool_], axis: int, *, most: int) -> NDArray[np.unsignedinteger]:
    """Return sums of numbers of which none is more than `most`: small ones are added in a third of the time."""
    small = np.uint16 if values.shape[axis] * most < 2**16 else np.uint32
    sums: NDArray[np.unsignedinteger] = values.sum(axis, dtype=small)
    return sums


def _ranked(values: Amplitudes, rank: int) -> Amplitudes:
    """Return the value of a rank, 0 the least, of each column: (n, m) to (m,)."""
    found = np.zeros(values.shape[1], np.uint16)
    some = np.flatnonzero(_sums(values != 0, 0, most=1) >= len(values) - rank)  # of all others it is 0
    found[some] = np.partition(values[:, some], rank, axis=0)[rank]
    return found


def _ring(usual: Amplitudes, right: Ints, down: Ints) -> Amplitudes:
    """Return the median of the eight cells around some, (m,) each, that lie some cells away: (C + 1, R + 1) to (m,)."""
    columns = np.minimum(np.maximum(right + _AROUND[0], 0), usual.shape[0] - 2)
    rows = np.minimum(np.maximum(down + _AROUND[1], 0), usual.shape[1] - 2)
    ring = usual[columns, rows]  # (8, m)
    middle: Amplitudes = np.partition(ring, len(ring) // 2, axis=0)[len(ring) // 2]
    return middle


def _restless(most: Amplitudes, least: Amplitudes) -> F32:
    """Return the power that each cell reaches in most parts, 0 where it does not fall below it again: float32 (m,).

    most, least: uint16 (parts, m), what each cell shows at most in each part, and in all of it.
    """
    middle = (len(most) - 1) // 2
    high = power(_ranked(most, middle))
    cells = np.flatnonzero(high)
    high[cells] *= power(_ranked(least[:, cells], middle)) < _STILL * high[cells]
    return high
