"""Connected regions of moving cells: how large they are in each frame, and how far they travel from frame to frame.

Arrays of cells have the columns of the grid before its rows, as an Activity lies in memory.
"""

from __future__ import annotations

import itertools
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import skimage as ski  # loads its parts, and SciPy, when they are first asked for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]

LABELLED = 256  # frames labelled at once: more of them do not stay in the cache and take twice as long
_FOLLOWED = 4096  # frames followed at once: bounds the memory of hours of footage


class Labelling(IntEnum):
    """Of which frames regions are found: labelling them all costs more than all else, and few settings need it."""

    FEW = 0
    """Those that decide, each time that something is asked."""
    EVERY = 1
    """All, once: for whoever asks much."""
    FOLLOWED = 2
    """All, once, and followed from frame to frame."""


class Regions(NamedTuple):
    """The regions of some frames, three arrays (M,).

    frame: int64, which frame each is in; cells: int64, how many it has; travel: float64, how far the motion that it is
    part of travels in all, in shares of the picture's longer side.
    """

    frame: Ints
    cells: Ints
    travel: NDArray[np.float64]

    def largest(self, frames: int, *, travel: float = 0.0) -> Ints:
        """Return the size of the largest region of each of `frames` frames that travels so far: int64 (frames,)."""
        far = slice(None) if not travel else self.travel >= travel
        largest = np.zeros(frames, np.int64)
        np.maximum.at(largest, self.frame[far], self.cells[far])
        return largest


def largest_region(cells: NDArray[np.bool_]) -> int:
    """Return the size of the largest connected region, diagonal neighbours included: bool (C, R); 0 without a cell."""
    return int(largest_regions(cells[None])[0])


def largest_regions(moving: NDArray[np.bool_]) -> Ints:
    """Return the size of the largest region of each frame: bool (n, C, R) to int64 (n,)."""
    apart = _apart(moving)
    at, regions = _labelled(apart)
    sizes = np.bincount(regions)
    frame = np.zeros(len(sizes), np.int64)
    frame[regions] = at // apart[0].size
    largest = np.zeros(len(moving), np.int64)
    np.maximum.at(largest, frame, sizes)
    return largest


def follow(
    share: NDArray[np.uint8], watched: NDArray[np.bool_], *, level: int, busy: Ints, resumes: Sequence[int] = ()
) -> Regions:
    """Return every region of watched cells that move by `level`, of the frames `busy`: all in which any cell does.

    `share` is uint8 (N, R, C), `watched` bool (R, C), `busy` int64 (n,) in order; `resumes` are the frames before which
    there is a hole, across which nothing is followed. A region moves on from frame to frame
    for as long as it touches a region of the frame before; how far is the diagonal of the box that its centre, weighted
    by share, stays in.
    """
    parts = [Regions(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    between = np.split(busy, np.searchsorted(busy, resumes)) if len(resumes) else [busy]
    for part in itertools.chain.from_iterable(map(_cut_where_still, between)):
        seen = share.T[..., part] * watched.T[..., None]
        frame, cells, travel = _followed(seen.transpose(2, 0, 1), level, part)
        parts.append(Regions(part[frame], cells, travel))
    return Regions(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _cut_where_still(busy: Ints) -> Iterator[Ints]:
    """Yield the frames in parts of `_FOLLOWED` at most, cut where nothing moves if that is anywhere."""
    start = 0
    while start < len(busy):
        part = busy[start : start + _FOLLOWED]
        breaks = np.flatnonzero(np.diff(part) > 1)
        if start + _FOLLOWED < len(busy) and len(breaks):
            part = part[: breaks[-1] + 1]
        yield part
        start += len(part)


def _apart(moving: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the frames with a still column after each, so that one tall picture of them keeps their regions apart."""
    frames, columns, rows = moving.shape
    apart = np.zeros((frames, columns + 1, rows), np.bool_)
    apart[:, :-1] = moving
    return apart


def _labelled(apart: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return where cells move in frames that are `_apart`, flat, and the region of each, numbered from 0 by frame."""
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


def _followed(seen: NDArray[np.uint8], level: int, index: Ints) -> tuple[Ints, Ints, NDArray[np.float64]]:
    """Return each region's frame (a place in `index`), size and travel: uint8 (n, C, R) of frames `index`, int (n,)."""
    apart = _apart(seen >= level)
    at, regions = _labelled(apart)
    frame, cell = np.divmod(at, apart[0].size)
    motions = _motions(apart, index, frame, cell)
    sizes = np.bincount(regions)
    frame_of, motion_of = np.zeros((2, len(sizes)), np.int64)
    frame_of[regions], motion_of[regions] = frame, motions
    # A motion may be in several pieces in one frame: they have one centre.
    piece, place = np.unique(motion_of * len(index) + frame_of, return_inverse=True)
    place = place[regions]
    right, down = np.divmod(cell, apart.shape[2])
    weight = seen[frame, right, down].astype(np.float64)
    mass, x, y = (np.bincount(place, weight * by) for by in (1, right, down))
    centres = np.stack([x / mass, y / mass], axis=1)
    first = np.flatnonzero(np.diff(piece // len(index), prepend=-1))
    box = np.maximum.reduceat(centres, first) - np.minimum.reduceat(centres, first)
    return frame_of, sizes, np.hypot(*box.T)[motion_of] / max(seen.shape[1:])


def _motions(apart: NDArray[np.bool_], index: Ints, frame: Ints, cell: Ints) -> Ints:
    """Return which motion each moving cell is part of, numbered from 0: regions in a volume whose first axis is time.

    Frames that do not follow each other are kept apart by an empty one.
    """
    slots = np.arange(len(index)) + np.cumsum(np.diff(index, prepend=index[0]) > 1)
    volume = np.zeros((slots[-1] + 1, *apart.shape[1:]), np.bool_)
    volume[slots] = apart
    labels, _ = _label(volume, connectivity=3)
    motions: Ints = labels.ravel()[slots[frame] * apart[0].size + cell] - 1
    return motions
