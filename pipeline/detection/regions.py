"""Connected regions of moving cells: how large they are in each moment, and how far they travel from moment to moment.

Arrays of cells have the columns of the grid before its rows, as an Activity lies in memory.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import skimage as ski  # loads its parts, and SciPy, when they are first asked for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]

LABELLED = 256  # moments labelled at once: more of them do not stay in the cache and take twice as long
_FOLLOWED = 4096  # moments followed at once: bounds the memory of hours of footage


class Regions(NamedTuple):
    """The regions of some moments, three arrays (M,).

    moment: int64, which each is in; cells: int64, how many it has; travel: float64, how far the motion that it is part
    of travels in all, in shares of the picture's longer side.
    """

    moment: Ints
    cells: Ints
    travel: NDArray[np.float64]

    def largest(self, moments: int, *, travel: float = 0.0) -> Ints:
        """Return the size of the largest region of each of `moments` moments that travels so far: int64 (moments,)."""
        far = slice(None) if not travel else self.travel >= travel
        largest = np.zeros(moments, np.int64)
        np.maximum.at(largest, self.moment[far], self.cells[far])
        return largest


def largest_region(cells: NDArray[np.bool_]) -> int:
    """Return the size of the largest connected region, diagonal neighbours included: bool (C, R); 0 without a cell."""
    return int(largest_regions(cells[None])[0])


def largest_regions(moving: NDArray[np.bool_]) -> Ints:
    """Return the size of the largest region of each moment: bool (n, C, R) to int64 (n,)."""
    apart = _apart(moving)
    at, regions = _labelled(apart)
    sizes = np.bincount(regions)
    moment = np.zeros(len(sizes), np.int64)
    moment[regions] = at // apart[0].size
    largest = np.zeros(len(moving), np.int64)
    np.maximum.at(largest, moment, sizes)
    return largest


def region_of(beyond: NDArray[np.uint16], *, level: int) -> tuple[tuple[int, int], ...]:
    """Return the cells that move by `level` and are connected to the strongest: (C, R) to (row, column) each."""
    labels, _ = _label(beyond >= level, connectivity=2)
    rows, columns = np.nonzero((labels == labels.flat[beyond.argmax()]).T)
    return tuple(zip(rows.tolist(), columns.tolist(), strict=True))


def follow(beyond: NDArray[np.uint16], at: Ints, *, level: int, resumes: Sequence[int] = ()) -> Regions:
    """Return every region of cells that move by `level`: uint16 (k, C, R), of the moments `at`, int64 (k,), in order.

    `resumes` are the moments before which there is a hole, across which nothing is followed. A region moves on from
    moment to moment for as long as it touches a region of the one before; how far is the diagonal of the box that its
    centre, weighted by amplitude, stays in.
    """
    parts = [Regions(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    busy = at[(beyond >= level).any((1, 2))]
    between = np.split(busy, np.searchsorted(busy, resumes)) if len(resumes) else [busy]
    for part in itertools.chain.from_iterable(map(_cut_where_still, between)):
        seen = beyond[np.searchsorted(at, part)]
        moment, cells, travel = _followed(seen, level, part)
        parts.append(Regions(part[moment], cells, travel))
    return Regions(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def travelling(beyond: NDArray[np.uint16], at: Ints, *, level: int, least: float, most: float) -> NDArray[np.bool_]:
    """Return which cells are part of a compact motion that goes somewhere: bool (k, C, R).

    beyond: uint16 (k, C, R), of the moments `at`, int64 (k,), those that move by `level`. Such a motion travels by
    `least` of the picture's longer side or more, and never covers more than `most` of its cells.
    """
    found = np.zeros(beyond.shape, np.bool_)
    for part in _cut_where_still(at):
        where = np.searchsorted(at, part)
        seen = beyond[where]
        apart = _apart(seen >= level)
        flat = np.flatnonzero(apart)
        if not len(flat):
            continue
        moment, cell = np.divmod(flat, apart[0].size)
        motion = _motions(apart, part, moment, cell)
        right, down = np.divmod(cell, apart.shape[2])
        travel, cells = _journeys(motion, moment, right, down, seen[moment, right, down].astype(np.float64))
        visits = (travel >= least * max(seen.shape[1:])) & (cells <= most * seen[0].size)
        mine = visits[motion]
        found[where[moment[mine]], right[mine], down[mine]] = True
    return found


def _journeys(
    motion: Ints, moment: Ints, right: Ints, down: Ints, weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], Ints]:
    """Return how far each motion travels, in cells, and the most cells it ever has: of cells (m,) of some motions.

    A motion may be in several pieces in one moment: they have one centre.
    """
    piece, place = np.unique(motion * (moment.max() + 1) + moment, return_inverse=True)
    mass, x, y = (np.bincount(place, weight * by) for by in (1, right, down))
    centres = np.stack([x / mass, y / mass], axis=1)
    first = np.flatnonzero(np.diff(piece // (moment.max() + 1), prepend=-1))
    box = np.maximum.reduceat(centres, first) - np.minimum.reduceat(centres, first)
    return np.hypot(*box.T), np.maximum.reduceat(np.bincount(place), first)


def _cut_where_still(busy: Ints) -> Iterator[Ints]:
    """Yield the moments in parts of `_FOLLOWED` at most, cut where nothing moves if that is anywhere."""
    start = 0
    while start < len(busy):
        part = busy[start : start + _FOLLOWED]
        breaks = np.flatnonzero(np.diff(part) > 1)
        if start + _FOLLOWED < len(busy) and len(breaks):
            part = part[: breaks[-1] + 1]
        yield part
        start += len(part)


def _apart(moving: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the moments with a still column after each, so that one tall picture of them keeps their regions apart."""
    moments, columns, rows = moving.shape
    apart = np.zeros((moments, columns + 1, rows), np.bool_)
    apart[:, :-1] = moving
    return apart


def _labelled(apart: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return where cells move in moments that are `_apart`, flat, and the region of each, numbered from 0 by moment."""
    where, regions, count = [], [], 0
    for start in range(0, len(apart), LABELLED):
        part = apart[start : start + LABELLED]
        labels, more = _label(part.reshape(-1, part.shape[2]), connectivity=2)
        at = np.flatnonzero(part)
        where.append(at + start * apart[0].size)
        regions.append(labels.ravel()[at] + (count - 1))
        count += more
    return np.concatenate(where), np.concatenate(regions)


def _label(moving: NDArray[np.bool_], *, connectivity: int) -> tuple[Ints, int]:
    """Return the number of each cell's region from 1 on, 0 where nothing moves, and how many regions there are."""
    # Of bytes: those of bools scikit-image has from SciPy, which takes two to three times as long.
    as_bytes = moving.view(np.uint8)
    labels, count = ski.measure.label(as_bytes, connectivity=connectivity, return_num=True)  # type: ignore[no-untyped-call]
    return labels, count


def _followed(seen: NDArray[np.uint16], level: int, index: Ints) -> tuple[Ints, Ints, NDArray[np.float64]]:
    """Return each region's moment (a place in `index`), size and travel: uint16 (n, C, R) of moments `index`."""
    apart = _apart(seen >= level)
    at, regions = _labelled(apart)
    moment, cell = np.divmod(at, apart[0].size)
    motions = _motions(apart, index, moment, cell)
    sizes = np.bincount(regions)
    moment_of, motion_of = np.zeros((2, len(sizes)), np.int64)
    moment_of[regions], motion_of[regions] = moment, motions
    right, down = np.divmod(cell, apart.shape[2])
    travel, _ = _journeys(motions, moment, right, down, seen[moment, right, down].astype(np.float64))
    return moment_of, sizes, travel[motion_of] / max(seen.shape[1:])


def _motions(apart: NDArray[np.bool_], index: Ints, moment: Ints, cell: Ints) -> Ints:
    """Return which motion each moving cell is part of, numbered from 0: regions in a volume whose first axis is time.

    Frames that do not follow each other are kept apart by an empty one.
    """
    slots = np.arange(len(index)) + np.cumsum(np.diff(index, prepend=index[0]) > 1)
    volume = np.zeros((slots[-1] + 1, *apart.shape[1:]), np.bool_)
    volume[slots] = apart
    labels, _ = _label(volume, connectivity=3)
    motions: Ints = labels.ravel()[slots[moment] * apart[0].size + cell] - 1
    return motions
