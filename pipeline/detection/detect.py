"""Finds events in an Activity: arithmetic on a coarse grid that never sees a pixel.

Two steps, so that a sweep over settings pays for the first only when sensitivity or zones change: `trace` makes a few
numbers of every frame, `events` makes spans of them.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from skimage.measure import label, points_in_poly

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pipeline.activity import Activity

    Ints: TypeAlias = NDArray[np.int64]

_CHUNK = 4096  # frames followed at once: bounds the memory of hours of footage
_LABELLED = 256  # frames labelled at once: more of them do not stay in the cache and take twice as long
_BLOCK = 1024  # frames traced at once: what is made of them stays in the cache
_LIKELY = 8  # frames of an event that are labelled first, to know how many cells its peak has at least
_TRUE = np.ones(1, np.bool_)
_FINE = 4  # points along a cell's side by which its cover is found

Coordinate = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Zone = Annotated[tuple[tuple[Coordinate, Coordinate], ...], Field(min_length=3)]
"""A polygon of (x, y) points relative to the picture: (0, 0) is its top left corner, (1, 1) its bottom right one."""


class Detection(BaseModel):
    """The operator's settings: what counts as an event."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sensitivity: float = Field(
        0.2, gt=0, le=1, description="a cell moves from this share on; lower finds more (share of the cell)"
    )
    min_cells: int = Field(2, ge=1, le=10_000, description="connected moving cells a frame needs (count)")
    max_area: float = Field(
        0.6, gt=0, le=1, description="a frame with more in motion is a lamp, not a visitor (share of the picture)"
    )
    travel: float = Field(
        0.0,
        ge=0,
        le=1,
        description="motion must move its centre this far, leaves return; 0 = off (share of the picture's longer side)",
    )
    watch: tuple[Zone, ...] = Field((), description="zones to look at, none: everywhere (polygons, 0..1)")
    ignore: tuple[Zone, ...] = Field((), description="zones to leave out, also of `watch` (polygons, 0..1)")
    min_event_s: float = Field(0.3, ge=0, le=3600, description="shorter events are dropped (s)")
    gap_s: float = Field(2.0, ge=0, le=3600, description="events this near are one (s)")
    pre_roll_s: float = Field(2.0, ge=0, le=600, description="kept before an event (s)")
    post_roll_s: float = Field(2.0, ge=0, le=600, description="kept after an event (s)")


@dataclass(frozen=True, slots=True)
class Event:
    """A stretch of motion, pre- and post-roll included: `start_pts` <= t < `end_pts` in the activity's time base.

    peak_pts: the frame with the most connected moving cells; cells: how many they were.
    peak: the largest share of any watched cell while it moved, 0 to 1.

    Raises ValueError unless start_pts <= peak_pts < end_pts, 0 < peak <= 1 and cells >= 1.
    """

    start_pts: int
    end_pts: int
    peak_pts: int
    peak: float
    cells: int

    def __post_init__(self) -> None:
        if not self.start_pts <= self.peak_pts < self.end_pts:
            raise ValueError(f"an event's peak lies inside it, got {self.start_pts} {self.peak_pts} {self.end_pts}")
        if not 0 < self.peak <= 1 or self.cells < 1:
            raise ValueError(f"an event moves some cell by a share in 0..1, got peak {self.peak}, {self.cells} cells")


@dataclass(frozen=True, eq=False)
class Trace:
    """What `events` needs of every frame, made for one sensitivity and one set of zones.

    peak: uint8 (N,), the largest share among watched cells.
    moving: unsigned (C, N), how many watched cells of each column move.
    block: uint8 (N,), the most cells that move in any 2 x 2 of watched ones.
    share, watched, level: what they were made from: uint8 (N, R, C), bool (R, C), the share from which a cell moves.

    To label the regions of all frames would cost most of the time, and few of them are asked for.
    """

    peak: NDArray[np.uint8]
    moving: NDArray[np.unsignedinteger[Any]]
    block: NDArray[np.uint8]
    share: NDArray[np.uint8]
    watched: NDArray[np.bool_]
    level: int

    @functools.cached_property
    def count(self) -> NDArray[np.unsignedinteger[Any]]:
        """How many watched cells move in each frame."""
        count: NDArray[np.unsignedinteger[Any]] = self.moving.sum(0, dtype=np.min_scalar_type(self.watched.size))
        return count

    @functools.cached_property
    def bound(self) -> NDArray[np.unsignedinteger[Any]]:
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
    def cells(self) -> Ints:
        """The size of each frame's largest connected region of moving watched cells, diagonal neighbours included."""
        if "regions" not in vars(self):
            return self.largest(np.arange(len(self.peak)))
        frame, cells, _ = self.regions
        return self._most(frame, cells)

    @functools.cached_property
    def area(self) -> NDArray[np.float64]:
        """The mean share over the whole picture, 0 to 1: zones do not change what a lamp is."""
        area: NDArray[np.float64] = self.share.sum((1, 2), dtype=np.uint32) / (255 * self.watched.size)
        return area

    def largest(self, frames: Ints) -> Ints:
        """Return int64 (n,): `cells` of some frames, found for them alone."""
        cells = self.bound[frames].astype(np.int64)
        unsure = np.flatnonzero(cells > 2)
        for start in range(0, len(unsure), _LABELLED):
            part = unsure[start : start + _LABELLED]
            moving = (self.share.T[..., frames[part]] >= self.level) & self.watched.T[..., None]
            cells[part] = _largest_regions(moving.transpose(2, 0, 1))
        return cells

    def reaching(self, least: int, travel: float) -> NDArray[np.bool_]:
        """Return bool (N,): whether so many connected cells move, by a motion that travels so far."""
        if travel or "cells" in vars(self):
            return self.travelling(travel) >= least
        reach = self.block >= least
        if least > 2:
            unsure = np.flatnonzero(~reach & (self.bound >= least))
            unsure = unsure[self.closer(unsure) >= least]
            reach[unsure] = self.largest(unsure) >= least
        return reach

    def calm(self, most: float) -> NDArray[np.bool_]:
        """Return bool (N,): whether `area` is at most so much, without finding it where it cannot be more."""
        cells = self.watched.size
        still = np.count_nonzero(self.watched) - int(self.count.max())
        if (255 * (cells - still) + (self.level - 1) * still) / (255 * cells) <= most:
            return np.ones(len(self.peak), np.bool_)
        return self.area <= most

    def travelling(self, least: float) -> NDArray[np.int64]:
        """Return int64 (N,): `cells`, counting only regions whose motion travels `least` or more.

        A region moves on from frame to frame for as long as it touches a region of the frame before; how far is the
        diagonal of the box that its centre, weighted by share, stays in (share of the picture's longer side).
        """
        if not least:
            return self.cells
        frame, cells, travel = self.regions
        far = travel >= least
        return self._most(frame[far], cells[far])

    def _most(self, frame: Ints, cells: Ints) -> Ints:
        most = np.zeros(len(self.peak), np.int64)
        np.maximum.at(most, frame, cells)
        return most

    @functools.cached_property
    def regions(self) -> tuple[Ints, Ints, NDArray[np.float64]]:
        """Every region of every frame: its frame, its size in cells, and how far its motion travels in all.

        Found when it is first asked for: it costs more than the rest of the trace, and most settings do without.
        """
        busy = np.flatnonzero(self.block)
        found = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
        start = 0
        while start < len(busy):
            part = busy[start : start + _CHUNK]
            breaks = np.flatnonzero(np.diff(part) > 1)
            if start + _CHUNK < len(busy) and len(breaks):  # cut where nothing moves
                part = part[: breaks[-1] + 1]
            seen = self.share.T[..., part] * self.watched.T[..., None]
            frame, cells, travel = _followed(seen.transpose(2, 0, 1), self.level, part)
            found.append((part[frame], cells, travel))
            start += len(part)
        frames, sizes, travels = zip(*found, strict=True)
        return np.concatenate(frames), np.concatenate(sizes), np.concatenate(travels)


def detect(activity: Activity, detection: Detection) -> list[Event]:
    """Return the events of an activity in order; they do not overlap.

    A frame is active when at least `min_cells` connected cells move, their motion travels as far as `travel` at some
    time before or after, and no more than `max_area` of the picture moves.
    Active frames at most `gap_s` apart are joined, what is then shorter than `min_event_s` is dropped, the rolls are
    added, clamped to the clip and joined where they meet. Frames before the background was known (`cold`) are not
    active, unless the whole clip is cold: then it is all there is. Raises ConfigError for a zone that covers no cell.
    """
    return events(activity, trace(activity, detection), detection)


def trace(activity: Activity, detection: Detection) -> Trace:
    """Reduce an activity to a few numbers a frame; of `detection` only `sensitivity` and the zones matter.

    Raises ConfigError for a zone that covers no cell.
    """
    watched = watched_cells(activity, detection)
    level = _level(detection.sensitivity)
    # The frames of a cell lie side by side, so that each step takes as many frames at once as the cache holds.
    share = activity.share.T
    columns, rows, frames = share.shape
    everywhere = bool(watched.all())
    peak, block = np.zeros((2, frames), np.uint8)
    moving = np.zeros((columns, frames), np.min_scalar_type(rows))
    for start in range(0, frames, _BLOCK):
        part: slice | Ints = slice(start, start + _BLOCK)
        seen = share[..., part]
        peak[part] = seen.max((0, 1)) if everywhere else seen[watched.T].max(0, initial=0)
        busy = start + np.flatnonzero(peak[part] >= level)
        if not len(busy):
            continue
        if 3 * len(busy) < seen.shape[2]:
            part, seen = busy, share[..., busy]
        over = seen >= level
        if not everywhere:
            over &= watched.T[..., None]
        moving[:, part] = over.view(np.uint8).sum(1, dtype=moving.dtype)
        block[part] = _block(over.view(np.uint8))
    return Trace(peak, moving, block, activity.share, watched, level)


def _block(moving: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the most moving cells in a 2 x 2: 0 or 1 (C, R, n) to uint8 (n,). Two that touch are in one."""
    if len(moving) > 1:
        moving = moving[1:] + moving[:-1]
    if moving.shape[1] > 1:
        moving = moving[:, 1:] + moving[:, :-1]
    most: NDArray[np.uint8] = moving.max((0, 1))
    return most


def events(activity: Activity, found: Trace, detection: Detection) -> list[Event]:
    """Return the events a trace holds; of `detection` everything but `sensitivity` and the zones matters here."""
    active = active_frames(activity, found, detection)
    travelling = found.travelling(detection.travel) if detection.travel else None
    result = []
    spans = stretches(activity, *runs(active), detection)
    for begin, stop, first, last in zip(*(ends.tolist() for ends in spans), strict=True):
        frames = first + np.flatnonzero(active[first:last])
        at, cells = _peak(found, frames) if travelling is None else _first_of_most(frames, travelling[frames])
        result.append(Event(begin, stop, int(activity.pts[at]), int(found.peak[frames].max()) / 255, cells))
    return result


def _first_of_most(frames: Ints, cells: Ints) -> tuple[int, int]:
    most = int(cells.max())
    return int(frames[cells == most].min()), most


def _peak(found: Trace, frames: Ints) -> tuple[int, int]:
    """Return the first of the frames with the most `cells`, and how many.

    A few likely ones are labelled, then only those that by their bounds may have more, or as many and come before.
    """
    bound = found.bound[frames]
    likely = frames[np.argpartition(bound, -_LIKELY)[-_LIKELY:]] if len(frames) > _LIKELY else frames
    at, most = _first_of_most(likely, found.largest(likely))
    known = np.zeros(len(found.peak), np.bool_)
    known[likely] = True
    rest = frames[(bound >= most) & ~known[frames]]
    if len(rest):
        closer = found.closer(rest)
        rest = rest[(closer > most) | ((closer == most) & (rest < at))]
    if not len(rest):
        return at, most
    other, more = _first_of_most(rest, found.largest(rest))
    return (other, more) if (more, -other) > (most, -at) else (at, most)


def active_frames(activity: Activity, found: Trace, detection: Detection) -> NDArray[np.bool_]:
    """Return bool (N,): the active frames; of `detection` only `min_cells`, `max_area` and `travel` matter here."""
    active = found.reaching(detection.min_cells, detection.travel) & found.calm(detection.max_area)
    if activity.cold < len(active):
        active[: activity.cold] = False
    return active


def runs(active: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return the first and one past the last frame of every run of active frames, two int64 (n,)."""
    edges = np.flatnonzero(active[1:] != active[:-1]) + 1
    if active[0]:
        edges = np.concatenate(([0], edges))
    if len(edges) % 2:
        edges = np.concatenate((edges, [len(active)]))
    return edges[::2], edges[1::2]


def stretches(activity: Activity, first: Ints, last: Ints, detection: Detection) -> tuple[Ints, ...]:
    """Return the start and end pts of every event, rolls included, and its first and one past its last active frame.

    Four int64 (E,) from the `runs` of active frames, without the facts of an `Event`.
    """
    return stretches_of(activity, first, last, np.zeros_like(first), detection)[:4]


def stretches_of(
    activity: Activity, first: Ints, last: Ints, whose: Ints, detection: Detection
) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Return the `stretches` of many settings at once and whose each is; `whose`: int64 (n,), the runs of one together.

    A sweep asks for the events of hundreds of settings in each clip: what NumPy does for one costs little more than to
    call it, so it is called once for all that join, drop and roll alike.
    """
    pts, base = activity.pts, activity.time_base
    close = int(pts[-1] + (pts[-1] - pts[-2] if len(pts) > 1 else 1))  # the last frame lasts as long as the one before
    start, end = pts[first], pts.take(last, mode="clip")
    end[last == len(pts)] = close
    found = _joined(start, end, first, last, whose, gap=_ticks(detection.gap_s, base, math.floor))
    long = found[1] - found[0] >= _ticks(detection.min_event_s, base, math.ceil)
    start, end, first, last, whose = (part[long] for part in found)
    if not (detection.pre_roll_s or detection.post_roll_s):
        return start, end, first, last, whose
    start = np.maximum(start - _ticks(detection.pre_roll_s, base, math.ceil), pts[0])
    end = np.minimum(end + _ticks(detection.post_roll_s, base, math.ceil), close)
    return _joined(start, end, first, last, whose, gap=0)


def _joined(
    start: Ints, end: Ints, first: Ints, last: Ints, whose: Ints, *, gap: int
) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Make one of neighbours of the same settings that are at most `gap` apart."""
    if len(start) < 2:
        return start, end, first, last, whose
    apart = (start[1:] - end[:-1] > gap) | (whose[1:] != whose[:-1])
    head, tail = np.concatenate((_TRUE, apart)), np.concatenate((apart, _TRUE))
    return start[head], end[tail], first[head], last[tail], whose[head]


def watched_cells(activity: Activity, detection: Detection) -> NDArray[np.bool_]:
    """Return bool (R, C): the cells that count, for pictures and for `trace`.

    A cell belongs to a zone that covers at least a quarter of it. Raises ConfigError for a zone that covers no cell.
    """
    shape = activity.share.shape[1:]
    watched = np.full(shape, not detection.watch, dtype=np.bool_)
    for number, zone in enumerate(detection.watch):
        watched |= _covered(activity, zone, f"watch zone {number + 1}")
    for number, zone in enumerate(detection.ignore):
        watched &= ~_covered(activity, zone, f"ignore zone {number + 1}")
    return watched


def _covered(activity: Activity, zone: Zone, name: str) -> NDArray[np.bool_]:
    rows, columns = activity.share.shape[1:]
    y = _points(rows, activity.height, cell_side(activity)) / activity.height
    x = _points(columns, activity.width, cell_side(activity)) / activity.width
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    inside = points_in_poly(grid, np.array(zone))  # type: ignore[no-untyped-call]
    covered: NDArray[np.bool_] = inside.reshape(rows, _FINE, columns, _FINE).mean((1, 3)) >= 0.25
    if not covered.any():
        raise ConfigError(
            f"{name} {list(zone)} covers no cell of the {columns} x {rows} grid; "
            f"make it larger than a quarter of a cell (1/{columns} by 1/{rows} of the picture)"
        )
    return covered


def cell_side(activity: Activity) -> float:
    """Return the side of a cell in pixels: `measure` makes squares of a multiple of 4, the last one takes the rest."""
    rows, columns = activity.share.shape[1:]
    bound: float = min(activity.height / rows, activity.width / columns)
    return bound // 4 * 4 if bound >= 4 else bound


def _points(count: int, length: int, side: float) -> NDArray[np.float64]:
    """Return the coordinates of `_FINE` points in each of `count` cells along an axis of `length` pixels."""
    edges = np.append(np.arange(count) * side, length)
    steps = (np.arange(_FINE) + 0.5) / _FINE
    return (edges[:-1, None] + np.diff(edges)[:, None] * steps).ravel()


@functools.lru_cache(1024)
def _level(sensitivity: float) -> int:
    """Return the smallest stored value that reaches a share."""
    return max(1, math.ceil(Fraction(str(sensitivity)) * 255))


def _ticks(seconds: float, time_base: Fraction, rounding: Callable[[Fraction], int]) -> int:
    """Return seconds as a whole number of ticks, from their decimal text: 0.1 means a tenth."""
    return _whole(seconds, time_base.numerator, time_base.denominator, rounding)


@functools.lru_cache(1024)  # to hash a Fraction would cost as much as is saved
def _whole(seconds: float, numerator: int, denominator: int, rounding: Callable[[Fraction], int]) -> int:
    return rounding(Fraction(str(seconds)) * denominator / numerator)


def _largest_regions(moving: NDArray[np.bool_]) -> Ints:
    """Return the size of the largest region of each frame: bool (n, C, R) to int64 (n,)."""
    tall = _apart(moving)
    at, regions = _regions(tall)
    sizes = np.bincount(regions)
    frame = np.zeros(len(sizes), np.int64)
    frame[regions] = at // tall[0].size
    largest = np.zeros(len(moving), np.int64)
    np.maximum.at(largest, frame, sizes)
    return largest


def _apart(moving: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the frames with a still column after each, so that one tall picture of them keeps their regions apart."""
    frames, columns, rows = moving.shape
    tall = np.zeros((frames, columns + 1, rows), np.bool_)
    tall[:, :-1] = moving
    return tall


def _regions(tall: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return where cells move in frames that are `_apart`, flat, and the region of each, numbered from 0 by frame.

    Labels are asked for of integers: of bools scikit-image has them from SciPy, in two to three times the time.
    """
    where, regions, count = [], [], 0
    for start in range(0, len(tall), _LABELLED):
        part = tall[start : start + _LABELLED]
        flat = part.view(np.uint8).reshape(-1, part.shape[2])
        labels, found = label(flat, connectivity=2, return_num=True)  # type: ignore[no-untyped-call]
        at = np.flatnonzero(part)
        where.append(at + start * tall[0].size)
        regions.append(labels.ravel()[at] + (count - 1))
        count += found
    return np.concatenate(where), np.concatenate(regions)


def _followed(seen: NDArray[np.uint8], level: int, index: Ints) -> tuple[Ints, Ints, NDArray[np.float64]]:
    """Return every region's frame (a place in `index`), size and travel: uint8 (n, C, R) of frames `index`, int (n,).

    Frames that do not follow each other are kept apart by an empty one, in a volume whose first axis is time.
    """
    tall = _apart(seen >= level)
    at, regions = _regions(tall)
    (frame, cell), rows = np.divmod(at, tall[0].size), tall.shape[2]
    slots = np.arange(len(index)) + np.cumsum(np.diff(index, prepend=index[0]) > 1)
    volume = np.zeros((slots[-1] + 1, *tall.shape[1:]), np.uint8)  # of bools: see `_regions`
    volume[slots] = tall
    labels = label(volume, connectivity=3)  # type: ignore[no-untyped-call]
    motions = labels.ravel()[slots[frame] * tall[0].size + cell] - 1
    sizes = np.bincount(regions)
    frame_of, motion_of = np.zeros((2, len(sizes)), np.int64)
    frame_of[regions], motion_of[regions] = frame, motions
    # A motion may be in several pieces in one frame: they have one centre.
    piece, place = np.unique(motion_of * len(index) + frame_of, return_inverse=True)
    place = place[regions]
    right, down = np.divmod(cell, rows)
    weight = seen[frame, right, down].astype(np.float64)
    mass, x, y = (np.bincount(place, weight * by) for by in (1, right, down))
    centres = np.stack([x / mass, y / mass], axis=1)
    first = np.flatnonzero(np.diff(piece // len(index), prepend=-1))
    box = np.maximum.reduceat(centres, first) - np.minimum.reduceat(centres, first)
    return frame_of, sizes, np.hypot(*box.T)[motion_of] / max(seen.shape[1:])
