"""A trace: the evidence of a clip reduced to a few numbers a moment, for one operating point and one set of zones.

All other settings are applied to a trace, so that a sweep pays for one only where cells are judged otherwise.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from pipeline.detection.regions import LABELLED, Labelling, Regions, follow, largest_region, largest_regions, region_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.detection.evidence import Evidence

    Bools: TypeAlias = NDArray[np.bool_]
    Counts: TypeAlias = NDArray[np.unsignedinteger[Any]]
    F32: TypeAlias = NDArray[np.float32]
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

    peak: float32 (n,), the strength of the strongest watched cell. block: uint8 (n,), the most cells that move in any
    2 x 2 of watched ones; count: unsigned (n,), how many move. cold: how many leading moments do not count, for the
    background was not known; 0 when it never was. evidence, view, level: what they were made from, a cell moving from
    that strength on. labelling: of which moments the regions are found: it changes what an answer costs, never what it
    is.
    """

    peak: F32
    block: NDArray[np.uint8]
    count: Counts
    cold: int
    evidence: Evidence
    view: View
    level: float
    labelling: Labelling

    @functools.cached_property
    def area(self) -> NDArray[np.float64]:
        """The mean share over the whole picture, 0 to 1: zones do not change what a lamp is."""
        share = self.evidence.share
        area: NDArray[np.float64] = share.sum((0, 1), dtype=np.uint32) / (255 * self.view.watched.size)
        return area

    @functools.cached_property
    def cells(self) -> Ints:
        """The size of each moment's largest connected region of moving watched cells, diagonal neighbours included."""
        if self.labelling is Labelling.FOLLOWED:
            return self.regions.largest(len(self.peak))
        return self._labelled(np.arange(len(self.peak)))

    @functools.cached_property
    def regions(self) -> Regions:
        """Every region of every moment, and how far its motion travels: costs more than the rest of the trace."""
        resumes = np.searchsorted(self.evidence.pts, [end for _, end in self.evidence.holes]).tolist()
        strength = self.evidence.strength * self.view.watched.T[..., None]
        return follow(strength, self.evidence.at, level=self.level, resumes=resumes)

    def moving(self, moments: Ints) -> Bools:
        """Return which watched cells move in some moments: bool (n, C, R)."""
        moving: Bools = (self.evidence.strength_at(moments) >= self.level) & self.view.watched.T[..., None]
        return moving.transpose(2, 0, 1)

    def _labelled(self, moments: Ints) -> Ints:
        cells = np.where(self.block[moments] > 1, self.count[moments], self.block[moments]).astype(np.int64)
        unsure = np.flatnonzero(cells > 2)  # two that touch are in one block, and of up to two nothing is left to find
        for start in range(0, len(unsure), LABELLED):
            part = unsure[start : start + LABELLED]
            cells[part] = largest_regions(self.moving(moments[part]))
        return cells

    def reaching(self, least: int) -> Bools:
        """Return bool (n,): the moments in which so many connected cells move."""
        if self.labelling is not Labelling.FEW:
            return self.cells >= least
        reach = self.block >= least
        if least > 2:
            unsure = np.flatnonzero(~reach & (self.count >= least) & (self.block > 1))
            reach[unsure] = self._labelled(unsure) >= least
        return reach

    def travelling(self, least: float) -> Ints:
        """Return int64 (n,): `cells`, counting only regions whose motion travels `least` or more."""
        return self.regions.largest(len(self.peak), travel=least) if least else self.cells

    def calm(self, most: float) -> Bools | None:
        """Return bool (n,): the moments whose `area` is at most so much; None for all, where it cannot be more."""
        return None if self.evidence.widest <= most else self.area <= most

    def strongest_of(self, moments: Ints) -> int:
        """Return the first of some moments with the strongest watched cell."""
        return int(moments[np.argmax(self.peak[moments])])

    def region(self, moment: int) -> tuple[tuple[int, int], ...]:
        """Return the connected cells around the strongest one of a moment, (row, column) each, in order."""
        strength = np.where(self.view.watched.T, self.evidence.strength_at(np.array([moment]))[..., 0], 0)
        return region_of(strength, level=self.level)
