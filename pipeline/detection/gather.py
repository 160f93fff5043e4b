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

MOMENT_S = 0.2  # neighbouring frames were averaged when they were measured: in between nothing is lost
WINDOW_S = 1.0  # a visitor lasts so long; what is shorter is an insect, a flash, or noise
FULL = 9 * 31 * 31  # the power of 3 x 3 cells that move wholly: shares are stored in 32 steps of 8
_SHARE_BITS = 3  # of those 8
_LAGS = 3  # moments lie within half of `WINDOW_S` at most: 7 times `FULL` stay in 16 bits
_QUIET = 0.75  # of its clip a cell shows less than what is usual
_RING = 3  # cells around a place tell it too, but for the 3 x 3 in the middle: who stands there is not usual
_LOOKED_AT = 250  # moments tell what is usual


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """What a clip shows, gathered over 3 x 3 cells, moment by moment: as many frames as last a fifth of a second.

    first: int64 (n,), the frame that each moment begins with, and stands for. at: int64 (k,), the moments in or near
    which anything moves; in all others everything is 0. moves: bool (C, R, k), which cells move themselves; now,
    lasting: (C, R, k), the power of a moment (uint16), and its mean over the second around it (float32), 0 to `FULL`.
    own: float32 (C, R, 1), what the clip itself says is usual.
    """

    first: Ints
    at: Ints
    moves: Bools
    now: Powers
    lasting: F32
    own: F32


def gather(activity: Activity) -> Gathered:
    """Gather what an activity shows, whatever the settings and whatever is known of its camera."""
    first, times = moments(activity)
    share = _at(activity.share.T, first)  # (C, R, n)
    near = _pairs(times)
    busy = share.max((0, 1)) > 0
    for lag, close in enumerate(near, 1):
        busy[lag:] |= busy[:-lag] & close
        busy[:-lag] |= busy[lag:] & close
    at = np.flatnonzero(busy)
    around = np.ones(len(times), np.float32)  # how many moments lie in the second around each
    for lag, close in enumerate(near, 1):
        around[lag:] += close
        around[:-lag] += close
    if len(at) < len(first):
        share, near = share[..., at], _pairs(times[at])
    step = (share >> np.uint8(_SHARE_BITS)).astype(np.uint16)
    now = _summed(step * step)
    total = now.copy()
    for lag, close in enumerate(near, 1):
        weight = True if close.all() else close.astype(np.uint16)
        total[..., lag:] += now[..., :-lag] if weight is True else now[..., :-lag] * weight
        total[..., :-lag] += now[..., lag:] if weight is True else now[..., lag:] * weight
    lasting: F32 = total * (np.float32(1) / around[at])
    return Gathered(first, at, share > 0, now, lasting, _own(lasting, len(first)))


def moments(activity: Activity) -> tuple[Ints, NDArray[np.float64]]:
    """Return the first frame of each moment, int64 (n,), and when it is, in seconds from the first: float64 (n,)."""
    times = (activity.pts - activity.pts[0]) * float(activity.time_base)
    # A time base of whole milliseconds rounds: what is a hair early belongs to the moment that begins.
    number = np.floor(times / MOMENT_S + 0.01)
    first = np.flatnonzero(np.diff(number, prepend=-1))
    return first, times[first]


def strength(gathered: Gathered, usual: F32) -> F32:
    """Return how strongly cells move beyond what is usual: float32 (C, R, k), 0 to `FULL`, 0 where a cell does not.

    usual: float32 (C, R, 1) or (C, R, k). It is the geometric mean of what a moment shows beyond it and what the second
    around does: the one has sharp ends, the other outlasts noise.
    """
    beyond: F32 = gathered.now - usual
    np.maximum(beyond, 0, out=beyond)
    lasts = gathered.lasting - usual
    np.maximum(lasts, 0, out=lasts)
    beyond *= lasts
    beyond *= gathered.moves
    np.sqrt(beyond, out=beyond)
    return beyond


def _at(share: NDArray[np.uint8], first: Ints) -> NDArray[np.uint8]:
    """Return the shares of some frames: uint8 (C, R, N) to (C, R, n)."""
    step = int(first[1] - first[0]) if len(first) > 1 else 1
    if np.array_equal(first, np.arange(len(first)) * step):
        return np.ascontiguousarray(share[..., ::step][..., : len(first)])
    return share.take(first, axis=2)


def _pairs(times: NDArray[np.float64]) -> list[Bools]:
    """Return for each lag which moments and those so many before them lie in one second around: bool (n - lag,)."""
    close = [times[lag:] - times[:-lag] <= WINDOW_S / 2 for lag in range(1, min(_LAGS, len(times) - 1) + 1)]
    return [pair for pair in close if pair.any()]


def _summed(power: Powers) -> Powers:
    """Return the sum over the 3 x 3 around each cell, those there are: (C, R, k) to the same."""
    down = power.copy()
    down[:, 1:] += power[:, :-1]
    down[:, :-1] += power[:, 1:]
    total = down.copy()
    total[1:] += down[:-1]
    total[:-1] += down[1:]
    return total


def _own(lasting: F32, count: int) -> F32:
    """Return what cells show less than for most of a clip of `count` moments, where those around do too: (C, R, 1)."""
    columns, rows, busy = lasting.shape
    below = int(_QUIET * (count - 1)) - (count - busy)  # how many of the busy ones are to lie below
    if below < 0:
        return np.zeros((columns, rows, 1), np.float32)
    step = busy // _LOOKED_AT + 1
    some = lasting[..., ::step]
    usual = np.partition(some, below // step, axis=2)[..., below // step]
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
