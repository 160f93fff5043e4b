"""Evidence: how strongly cells move beyond what is usual there, moment by moment; everything is decided by it."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pipeline.detection.gather import FULL, gather
from pipeline.detection.usual import FLEET, Usual
from pipeline.holes import usual_step

if TYPE_CHECKING:
    from fractions import Fraction

    from numpy.typing import NDArray

    from pipeline.activity import Activity
    from pipeline.layout import Layout

    F32: TypeAlias = NDArray[np.float32]
    Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Evidence:
    """How strongly the cells of a clip move, in n moments.

    pts: int64 (n,), when each moment begins, in units of `time_base` seconds; first: int64 (n,), with which frame.
    strength: float32 (C, R, k), beyond what is usual (see `Usual`), of the moments `at`, int64 (k,); 0 in all others.
    widest: the largest part of the picture's cells that move at all in any moment.
    """

    activity: Activity
    usual: Usual
    first: Ints
    at: Ints
    strength: F32
    widest: float

    @functools.cached_property
    def pts(self) -> Ints:
        """When each moment begins."""
        pts: Ints = self.activity.pts[self.first]
        return pts

    @functools.cached_property
    def end_pts(self) -> int:
        """When the clip ends: its last frame lasts as long as the one before it, as usual after a hole."""
        pts, holes = self.activity.pts, self.activity.holes
        if len(pts) < 2 or (holes and holes[-1][1] == pts[-1]):
            return int(pts[-1]) + usual_step(pts)
        return int(pts[-1] + (pts[-1] - pts[-2]))

    @functools.cached_property
    def frames(self) -> Ints:
        """How many frames each moment holds: int64 (n,)."""
        return np.diff(self.first, append=len(self.activity.pts))

    @functools.cached_property
    def share(self) -> NDArray[np.uint8]:
        """What its cells show in each moment: uint8 (C, R, n)."""
        return self.activity.share.T[..., self.first]

    @property
    def cold(self) -> int:
        """How many leading moments were measured before the background was known; 0 when it never was."""
        cold = self.activity.cold
        return int(np.searchsorted(self.first, cold)) if cold < len(self.activity.pts) else 0

    @property
    def time_base(self) -> Fraction:
        """Seconds in a tick."""
        return self.activity.time_base

    @property
    def holes(self) -> tuple[tuple[int, int], ...]:
        """The times without a frame, half-open."""
        return self.activity.holes

    @property
    def layout(self) -> Layout:
        """Where the cells lie."""
        return self.activity.layout

    @functools.cached_property
    def _usual(self) -> F32:
        return self.usual.of(gather(self.activity))

    def usual_share(self, column: int, row: int, k: int) -> float:
        """Return what is usual in a cell in moment `at[k]`: the share of it that alone would be as strong."""
        usual = self._usual
        power = float(usual[column, row, min(k, usual.shape[2] - 1)])
        return round(min(1.0, math.sqrt(power * 9 / FULL)), 3)

    def strength_at(self, moments: Ints) -> F32:
        """Return the strength of some moments: int64 (m,) to float32 (C, R, m)."""
        where = np.searchsorted(self.at, moments)
        there = where < len(self.at)
        there[there] = self.at[where[there]] == moments[there]
        found = np.zeros((*self.strength.shape[:2], len(moments)), np.float32)
        found[..., there] = self.strength[..., where[there]]
        return found


def weigh(activity: Activity, usual: Usual = FLEET) -> Evidence:
    """Return the evidence of an activity against what is usual before its camera at its time."""
    gathered = gather(activity)
    columns, rows, busy = gathered.moves.shape
    widest = int(gathered.moves.sum((0, 1), dtype=np.uint16).max()) / (columns * rows) if busy else 0.0
    return Evidence(activity, usual, gathered.first, gathered.at, usual.strength(gathered), widest)
