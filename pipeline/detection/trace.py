"""A trace: the evidence of a clip reduced to a few numbers a moment, for one operating point and one set of zones.

All other settings are applied to a trace, so that a sweep pays for one only where cells are judged otherwise.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pipeline.detection.regions import LABELLED, Regions, follow, largest_region, largest_regions, region_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.detection.evidence import Evidence

    Amplitudes: TypeAlias = NDArray[np.uint16]
    Bools: TypeAlias = NDArray[np.bool_]
    Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class View:
    """Which cells of pictures of one size count, before anything moves: bool (R, C)."""

    watched: Bools

    @functools.cached_property
    def room(self) -> int:
        """The size of the largest connected region of watched cells: no moment can have a larger one."""
        return largest_region(self.watched.T)

    @functools.cached_property
    def reach(self) -> float:
        """How far watched cells lie apart at most, in shares of the picture's longer side; 0 without any."""
        if not self.watched.any():
            return 0.0
        down, right = (np.ptp(np.flatnonzero(self.watched.any(axis))) for axis in (1, 0))
        reach: float = math.hypot(down, right) / max(self.watched.shape)
        return reach


@dataclass(frozen=True, eq=False)
class Trace:
    """What the gates of moments need of all n moments of a clip.

    peak: uint16 (n,), the amplitude of the strongest watched cell, beyond what is usual. cold: how many leading moments
    do not count, for the background was not known; 0 when it never was. evidence, view, level: what it was made from, a
    cell moving from that amplitude on.
    """

    peak: Amplitudes
    evidence: Evidence
    view: View
    level: int

    @property
    def cold(self) -> int:
        """How many leading moments do not count."""
        return self.evidence.cold

    @functools.cached_property
    def beyond(self) -> Amplitudes:
        """The amplitudes of watched cells: uint16 (k, C, R), of the moments `evidence.at`."""
        return self.evidence.within(self.view.watched)[:, :-1, :-1]

    @functools.cached_property
    def scores(self) -> NDArray[np.float64]:
        """How rare it is that chance is as strong as the strongest watched cell (see `Event`), for every frame."""
        levels, place = np.unique(self.peak, return_inverse=True)
        scores = np.array([self.evidence.score(level) for level in levels.tolist()])
        return np.repeat(scores[place], self.evidence.frames)

    @functools.cached_property
    def threshold(self) -> float:
        """The score from which on a cell moves."""
        return self.evidence.score(self.level)

    @functools.cached_property
    def area(self) -> NDArray[np.float64]:
        """The mean share over the whole picture, 0 to 1: zones do not change what a lamp is."""
        return self.evidence.area(np.arange(len(self.peak)))

    @functools.cached_property
    def cells(self) -> Ints:
        """The size of each moment's largest connected region of moving watched cells, diagonal neighbours included."""
        cells = np.zeros(len(self.peak), np.int64)
        busy = np.flatnonzero(self.peak[self.evidence.at] >= self.level)
        for start in range(0, len(busy), LABELLED):
            part = busy[start : start + LABELLED]
            cells[self.evidence.at[part]] = largest_regions(self.beyond[part] >= self.level)
        return cells

    @functools.cached_property
    def regions(self) -> Regions:
        """Every region of every moment, and how far its motion travels: costs more than the rest of the trace."""
        resumes = np.searchsorted(self.evidence.pts, [end for _, end in self.evidence.holes]).tolist()
        return follow(self.beyond, self.evidence.at, level=self.level, resumes=resumes)

    def reaching(self, least: int) -> Bools:
        """Return bool (n,): the moments in which so many connected cells move."""
        return self.peak >= self.level if least == 1 else self.cells >= least

    def travelling(self, least: float) -> Ints:
        """Return int64 (n,): `cells`, counting only regions whose motion travels `least` or more."""
        return self.regions.largest(len(self.peak), travel=least) if least else self.cells

    def calm(self, most: float) -> Bools | None:
        """Return bool (n,): the moments whose `area` is at most so much; None for all, where it cannot matter."""
        if most >= 1 or self.evidence.most_area <= most:
            return None
        active = np.flatnonzero(self.peak >= self.level)
        calm = np.ones(len(self.peak), np.bool_)
        calm[active] = self.evidence.area(active) <= most
        return calm

    def strongest_of(self, moments: Ints) -> int:
        """Return the first of some moments with the strongest watched cell."""
        return int(moments[np.argmax(self.peak[moments])])

    def region(self, moment: int) -> tuple[tuple[int, int], ...]:
        """Return the connected cells around the strongest one of a moment, (row, column) each, in order."""
        return region_of(self.beyond[np.searchsorted(self.evidence.at, moment)], level=self.level)
