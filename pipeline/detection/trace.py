"""A trace: an Activity reduced to a few numbers a frame, for one sensitivity and one set of zones.

All other settings are applied to a trace, so that a sweep pays for one only where cells are judged otherwise.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from pipeline.detection.regions import LABELLED, Labelling, Regions, follow, largest_region, largest_regions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bools: TypeAlias = NDArray[np.bool_]
    Counts: TypeAlias = NDArray[np.unsignedinteger[Any]]
    Ints: TypeAlias = NDArray[np.int64]

_LIKELY = 8  # frames that are labelled first, to know how many cells a peak has at least


@dataclass(frozen=True, eq=False)
class View:
    """What the gates of cells make of pictures of one size, before anything moves.

    watched: bool (R, C), the cells that count; level: 1 to 255, the share from which a cell moves.
    """

    watched: Bools
    level: int

    @functools.cached_property
    def room(self) -> int:
        """The size of the largest connected region of watched cells: no frame can have a larger one."""
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
    """What the gates of frames need of every frame.

    peak: uint8 (N,), the largest share among watched cells.
    moving: unsigned (C, N), how many watched cells of each column move.
    block: uint8 (N,), the most cells that move in any 2 x 2 of watched ones.
    cold: how many leading frames do not count, for the background was not known; 0 when it never was.
    share, view: what they were made from: uint8 (N, R, C), and how its cells are judged.
    labelling: of which frames the regions are found. It changes what an answer costs, never what it is.
    resumes: the frames before which there is a hole: nobody is followed across it.
    """

    peak: NDArray[np.uint8]
    moving: Counts
    block: NDArray[np.uint8]
    cold: int
    share: NDArray[np.uint8]
    view: View
    labelling: Labelling
    resumes: tuple[int, ...] = ()

    @functools.cached_property
    def count(self) -> Counts:
        """How many watched cells move in each frame."""
        count: Counts = self.moving.sum(0, dtype=np.min_scalar_type(self.view.watched.size))
        return count

    @functools.cached_property
    def bound(self) -> Counts:
        """The count, but 1 where no two cells touch: at least `cells`, and the same up to 2."""
        return np.where(self.block > 1, self.count, self.block)

    def closer(self, frames: Ints) -> Ints:
        """Return int64 (n,), a closer bound of some frames: a region does not reach over a column that is still."""
        moving = self.moving[:, frames]
        total = moving.cumsum(0, dtype=np.int64)
        before = np.maximum.accumulate(np.where(moving, 0, total), axis=0)
        bound: Ints = (total - before).max(0)
        return bound

    @functools.cached_property
    def area(self) -> NDArray[np.float64]:
        """The mean share over the whole picture, 0 to 1: zones do not change what a lamp is."""
        area: NDArray[np.float64] = self.share.sum((1, 2), dtype=np.uint32) / (255 * self.view.watched.size)
        return area

    @functools.cached_property
    def cells(self) -> Ints:
        """The size of each frame's largest connected region of moving watched cells, diagonal neighbours included."""
        if self.labelling is Labelling.FOLLOWED:
            return self.regions.largest(len(self.peak))
        return self._labelled(np.arange(len(self.peak)))

    @functools.cached_property
    def regions(self) -> Regions:
        """Every region of every frame, and how far its motion travels: costs more than the rest of the trace."""
        watched, busy = self.view.watched, np.flatnonzero(self.block)
        return follow(self.share, watched, level=self.view.level, busy=busy, resumes=self.resumes)

    def _labelled(self, frames: Ints) -> Ints:
        cells = self.bound[frames].astype(np.int64)
        unsure = np.flatnonzero(cells > 2)
        for start in range(0, len(unsure), LABELLED):
            part = unsure[start : start + LABELLED]
            moving = (self.share.T[..., frames[part]] >= self.view.level) & self.view.watched.T[..., None]
            cells[part] = largest_regions(moving.transpose(2, 0, 1))
        return cells

    def reaching(self, least: int) -> Bools:
        """Return bool (N,): the frames in which so many connected cells move."""
        if self.labelling is not Labelling.FEW:
            return self.cells >= least
        reach = self.block >= least
        if least > 2:
            unsure = np.flatnonzero(~reach & (self.bound >= least))
            unsure = unsure[self.closer(unsure) >= least]
            reach[unsure] = self._labelled(unsure) >= least
        return reach

    def travelling(self, least: float) -> Ints:
        """Return int64 (N,): `cells`, counting only regions whose motion travels `least` or more."""
        return self.regions.largest(len(self.peak), travel=least) if least else self.cells

    def calm(self, most: float) -> Bools | None:
        """Return bool (N,): the frames whose `area` is at most so much; None for all, where it cannot be more."""
        cells = self.view.watched.size
        still = np.count_nonzero(self.view.watched) - int(self.count.max())
        if (255 * (cells - still) + (self.view.level - 1) * still) / (255 * cells) <= most:
            return None
        return self.area <= most

    def largest_of(self, frames: Ints) -> tuple[int, int]:
        """Return the first of some frames with the most `cells`, and how many.

        A few likely ones are labelled, then only those that by their bounds may have more, or as many and come before.
        """
        if self.labelling is not Labelling.FEW:
            return first_of_most(frames, self.cells[frames])
        bound = self.bound[frames]
        likely = frames[np.argpartition(bound, -_LIKELY)[-_LIKELY:]] if len(frames) > _LIKELY else frames
        at, most = first_of_most(likely, self._labelled(likely))
        known = np.zeros(len(self.peak), np.bool_)
        known[likely] = True
        rest = frames[(bound >= most) & ~known[frames]]
        if len(rest):
            closer = self.closer(rest)
            rest = rest[(closer > most) | ((closer == most) & (rest < at))]
        if not len(rest):
            return at, most
        other, more = first_of_most(rest, self._labelled(rest))
        return (other, more) if (more, -other) > (most, -at) else (at, most)


def first_of_most(frames: Ints, cells: Ints) -> tuple[int, int]:
    """Return the first of the frames, int64 (n,), with the most of its cells, int64 (n,), and how many."""
    most = int(cells.max())
    return int(frames[cells == most].min()), most
