"""Evidence: how strongly cells move beyond what is usual there, moment by moment; everything is decided by it."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pipeline.detection.gather import WHOLE, Gathered, gather
from pipeline.detection.usual import FLEET, Usual
from pipeline.holes import usual_step

if TYPE_CHECKING:
    from fractions import Fraction

    from numpy.typing import NDArray

    from pipeline.activity import Activity
    from pipeline.layout import Layout

    Amplitudes: TypeAlias = NDArray[np.uint16]
    Bools: TypeAlias = NDArray[np.bool_]
    F32: TypeAlias = NDArray[np.float32]
    Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Evidence:
    """How strongly the cells of a clip move, in n moments.

    beyond: uint16 (k, C + 1, R + 1), the amplitude beyond what is usual (see `Gathered`) of the moments `at`, int64
    (k,); 0 in all others. scale: the power that has the strength 1.
    """

    activity: Activity
    usual: Usual
    gathered: Gathered
    beyond: Amplitudes
    scale: float

    @property
    def at(self) -> Ints:
        """The moments in or near which anything moves: int64 (k,)."""
        return self.gathered.at

    @functools.cached_property
    def pts(self) -> Ints:
        """When each moment begins, in units of `time_base` seconds: int64 (n,)."""
        pts: Ints = self.activity.pts[self.gathered.first]
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
        return np.diff(self.gathered.first, append=len(self.activity.pts))

    @functools.cached_property
    def share(self) -> NDArray[np.uint8]:
        """What its cells show in each moment: uint8 (C, R, n)."""
        return self.activity.share.T[..., self.gathered.first]

    def area(self, moments: Ints) -> NDArray[np.float64]:
        """Return the mean share over the whole picture in some moments, 0 to 1: int64 (m,) to float64 (m,)."""
        share = self.activity.share.T[..., self.gathered.first[moments]]
        area: NDArray[np.float64] = share.sum((0, 1), dtype=np.uint32) / (255 * self.layout.rows * self.layout.columns)
        return area

    @property
    def most_area(self) -> float:
        """More than the `area` of any moment can be, from what was gathered: it costs nothing."""
        return (int(self.gathered.moved.max(initial=0)) / (self.layout.rows * self.layout.columns) + 1) / (WHOLE + 1)

    @property
    def cold(self) -> int:
        """How many leading moments were measured before the background was known; 0 when it never was."""
        cold = self.activity.cold
        return int(np.searchsorted(self.gathered.first, cold)) if cold < len(self.activity.pts) else 0

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

    def within(self, watched: Bools) -> Amplitudes:
        """Return `beyond` of watched cells, bool (R, C): what others show counts in none, also not in those beside."""
        if watched.all():
            return self.beyond
        key = watched.tobytes()
        if key not in self._within:
            gathered = gather(self.activity, watched)
            found = np.zeros_like(self.beyond)
            found[np.searchsorted(self.at, gathered.at)] = self.usual.beyond(gathered)
            found *= np.pad(watched.T, (0, 1))
            self._within[key] = np.minimum(found, self.beyond, out=found)
        return self._within[key]

    @functools.cached_property
    def _within(self) -> dict[bytes, Amplitudes]:
        return {}

    def strength(self, amplitude: float) -> float:
        """Return the strength that an amplitude beyond what is usual has."""
        return self.usual.strength(amplitude, scale=self.scale)

    def score(self, amplitude: float) -> float:
        """Return how rare it is that chance is so strong (see `Event`)."""
        return self.usual.operating.score(self.strength(amplitude))

    def level(self, per_day: float) -> int:
        """Return the least amplitude that is an event where so many false events a day are tolerable."""
        return self.usual.level(per_day, scale=self.scale)

    def usual_share(self, column: int, row: int, k: int) -> float:
        """Return what is usual in a cell in moment `at[k]`: the share of it that alone would be as strong."""
        usual = self._usual[min(k, len(self._usual) - 1), column, row]
        return round(min(1.0, math.sqrt(float(usual)) / WHOLE), 3)

    @functools.cached_property
    def _usual(self) -> F32:
        return self.usual.of(self.gathered)


def weigh(activity: Activity, usual: Usual = FLEET) -> Evidence:
    """Return the evidence of an activity against what is usual before its camera at its time."""
    gathered = gather(activity)
    return Evidence(activity, usual, gathered, usual.beyond(gathered), usual.scale(gathered))
