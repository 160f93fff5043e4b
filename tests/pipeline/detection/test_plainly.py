"""`detect` against its own words, done frame by frame and cell by cell, in plain Python and exact numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise, product
from typing import TypeAlias

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.activity import Activity
from pipeline.detection.detect import Event, detect
from pipeline.detection.gates import Detection

Spot: TypeAlias = tuple[int, int, int]
"""A cell of a frame: frame, row, column."""

# Their edges run through the middle of no sixteenth of a cell.
TOP = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.4711), (0.0, 0.4711))
RIGHT = ((0.5911, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5911, 1.0))


def exact(number: float) -> Fraction:
    return Fraction(str(number))


def is_watched(activity: Activity, detection: Detection, row: int, column: int) -> bool:
    """Of zones that are rectangles: a cell belongs to one that covers at least a quarter of it."""

    def within(zones: tuple[tuple[tuple[float, float], ...], ...]) -> bool:
        side, last_row, last_column = 16, activity.share.shape[1] - 1, activity.share.shape[2] - 1
        top, left = row * side, column * side
        bottom = activity.height if row == last_row else top + side
        right = activity.width if column == last_column else left + side
        for zone in zones:
            west, east = min(x for x, _ in zone) * activity.width, max(x for x, _ in zone) * activity.width
            north, south = min(y for _, y in zone) * activity.height, max(y for _, y in zone) * activity.height
            # As `detect` sees it, in sixteenths: by the middle of each.
            middles = [
                (left + (right - left) * (2 * i + 1) / 8, top + (bottom - top) * (2 * j + 1) / 8)
                for i, j in product(range(4), repeat=2)
            ]
            if sum(west < x < east and north < y < south for x, y in middles) >= 4:
                return True
        return False

    return (within(detection.watch) or not detection.watch) and not within(detection.ignore)


def usual(activity: Activity) -> int:
    """Return how long a frame usually lasts, in ticks."""
    steps = sorted(int(later - one) for one, later in pairwise(activity.pts))
    middle = len(steps) // 2
    return (steps[middle] if len(steps) % 2 else (steps[middle - 1] + steps[middle]) // 2) if steps else 1


def part_of(activity: Activity) -> list[int]:
    """Return of each frame in which part of the clip it is, from 0: between parts none is shown for so long."""
    most = max(Fraction(2), 10 * usual(activity) * activity.time_base)
    parts = [0]
    for one, later in pairwise(activity.pts):
        parts.append(parts[-1] + (int(later - one) * activity.time_base > most))
    return parts


def grouped(spots: set[Spot], *, over_time: bool, parts: list[int] | None = None) -> list[set[Spot]]:
    """Return what touches each other, corners included, in one frame or also from frame to frame of one part."""
    left, groups = set(spots), []
    while left:
        queue, group = [left.pop()], set()
        while queue:
            frame, row, column = queue.pop()
            group.add((frame, row, column))
            around = product((-1, 0, 1) if over_time else (0,), (-1, 0, 1), (-1, 0, 1))
            near = {(frame + t, row + r, column + c) for t, r, c in around} & left
            near = {spot for spot in near if parts is None or parts[spot[0]] == parts[frame]}
            left -= near
            queue.extend(near)
        groups.append(group)
    return groups


def travels(activity: Activity, motion: set[Spot]) -> float:
    """Return how far a motion's centre gets, weighted by share, in shares of the longer side of the grid."""
    centres = []
    for frame in {frame for frame, _, _ in motion}:
        cells = [(row, column) for of, row, column in motion if of == frame]
        weight = [float(activity.share[frame, row, column]) for row, column in cells]
        centres.append(
            [sum(w * cell[axis] for w, cell in zip(weight, cells, strict=True)) / sum(weight) for axis in (0, 1)]
        )
    down, right = (max(centre[axis] for centre in centres) - min(centre[axis] for centre in centres) for axis in (0, 1))
    rows, columns = activity.share.shape[1:]
    return math.hypot(down, right) / int(max(rows, columns))


def plainly(activity: Activity, detection: Detection) -> list[Event]:
    """Return what `detect` finds, by the words of its settings."""
    frames, rows, columns = activity.share.shape
    cells = list(product(range(rows), range(columns)))
    watched = {(r, c) for r, c in cells if is_watched(activity, detection, r, c)}
    over = {
        (frame, r, c)
        for frame in range(frames)
        for r, c in watched
        if Fraction(int(activity.share[frame, r, c]), 255) >= exact(detection.sensitivity)
    }
    far = {
        spot
        for motion in grouped(over, over_time=True, parts=part_of(activity))
        if not detection.travel or travels(activity, motion) >= detection.travel
        for spot in motion
    }
    size = [
        max((len(region) for region in grouped({p for p in over if p[0] == frame} & far, over_time=False)), default=0)
        for frame in range(frames)
    ]
    cold = activity.cold if activity.cold < frames else 0
    active = [
        frame >= cold
        and size[frame] >= detection.min_cells
        and activity.share[frame].sum() / (255 * rows * columns) <= detection.max_area
        for frame in range(frames)
    ]
    peaks = [max((int(activity.share[frame, r, c]) for r, c in watched), default=0) for frame in range(frames)]
    return events_of(activity, detection, active, size, peaks)


def events_of(
    activity: Activity, detection: Detection, active: list[bool], size: list[int], peaks: list[int]
) -> list[Event]:
    pts, tick, parts = [int(p) for p in activity.pts], activity.time_base, part_of(activity)
    last_of = {part: frame for frame, part in enumerate(parts)}
    ends = [*pts[1:], 0]
    for frame in last_of.values():  # before a hole a frame lasts as long as usual; the last one as the one before it
        lone = frame == 0 or parts[frame - 1] != parts[frame]
        is_last = frame == len(pts) - 1
        ends[frame] = pts[frame] + (pts[frame] - pts[frame - 1] if is_last and not lone else usual(activity))
    found: list[list[int]] = []  # start, end, first frame, last frame
    for frame in (frame for frame, is_active in enumerate(active) if is_active):
        near = found and (found[-1][3] + 1 == frame or (pts[frame] - found[-1][1]) * tick <= exact(detection.gap_s))
        if near and parts[found[-1][3]] == parts[frame]:
            found[-1][1], found[-1][3] = ends[frame], frame
        else:
            found.append([pts[frame], ends[frame], frame, frame])
    long = [one for one in found if (one[1] - one[0]) * tick >= exact(detection.min_event_s)]
    rolled: list[list[int]] = []
    for start, end, first, last in long:
        opens, closes = pts[parts.index(parts[first])], ends[last_of[parts[first]]]
        start = max(opens, start - math.ceil(exact(detection.pre_roll_s) / tick))  # noqa: PLW2901
        end = min(closes, end + math.ceil(exact(detection.post_roll_s) / tick))  # noqa: PLW2901
        rolls = detection.pre_roll_s or detection.post_roll_s
        if rolled and rolls and start <= rolled[-1][1]:
            rolled[-1][1], rolled[-1][3] = end, last
        else:
            rolled.append([start, end, first, last])
    events = []
    for start, end, first, last in rolled:
        inside = [frame for frame in range(first, last + 1) if active[frame]]
        at = max(inside, key=lambda frame: (size[frame], -frame))
        events.append(Event(start, end, pts[at], max(peaks[frame] for frame in inside) / 255, size[at]))
    return events


@st.composite
def activities(draw: st.DrawFn) -> Activity:
    """Blobs that stay or walk, and scattered cells; times in tenths of a second, so that limits are met exactly."""
    count, rows, columns = draw(st.integers(1, 30)), draw(st.integers(1, 6)), draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    share = np.zeros((count, rows, columns), np.uint8)
    for _ in range(draw(st.integers(0, 3))):
        first, length, high, wide = rng.integers(0, count), rng.integers(1, 12), rng.integers(1, 4), rng.integers(1, 7)
        (y, x), speed = rng.integers(-1, (rows, columns)), rng.integers(-1, 2, 2)
        for frame in range(int(first), min(count, int(first + length))):
            top, left = np.maximum(0, (y, x) + speed * (frame - first))
            share[frame, top : top + high, left : left + wide] = rng.integers(40, 256)
    scattered = rng.random(share.shape) < draw(st.sampled_from([0.0, 0.05, 0.2, 0.5, 1.0]))
    scattered &= rng.random((count, 1, 1)) < draw(st.sampled_from([0.3, 1.0]))
    share[scattered] = rng.integers(0, 256, int(scattered.sum()))
    steps = rng.choice([100, 100, 200, 500], count) if draw(st.booleans()) else np.full(count, 100)
    holes = rng.random(count) < draw(st.sampled_from([0.0, 0.0, 0.05, 0.3]))
    steps[holes] = rng.choice([2000, 2001, 5000, 3_600_000], int(holes.sum()))
    pts = np.cumsum(steps).astype(np.int64) + draw(st.integers(-1000, 1000))
    cold = draw(st.sampled_from([0, 0, count // 2, count]))
    more = draw(st.tuples(st.integers(0, 15), st.integers(0, 15)))
    return Activity(
        share, pts, np.zeros(count, np.uint8), Fraction(1, 1000), cold,
        width=16 * columns + more[0], height=16 * rows + more[1], version="1", cell_side=16,
    )  # fmt: skip


seconds = st.integers(0, 12).map(lambda tenths: tenths / 10)


@settings(max_examples=500, deadline=None)
@given(
    activities(),
    st.builds(
        Detection,
        sensitivity=st.sampled_from([0.1, 0.2, 0.5, 0.7, 1.0]),
        min_cells=st.integers(1, 6),
        max_area=st.sampled_from([0.1, 0.3, 0.6, 1.0]),
        travel=st.sampled_from([0.0, 0.0, 0.1, 0.4]),
        watch=st.sampled_from([(), (TOP,), (TOP, RIGHT)]),
        ignore=st.sampled_from([(), (RIGHT,)]),
        min_event_s=seconds,
        gap_s=seconds | st.just(3600.0),
        pre_roll_s=seconds | st.just(600.0),
        post_roll_s=seconds | st.just(600.0),
    ),
)
def test_detect_does_what_its_settings_say(activity: Activity, detection: Detection) -> None:
    small = activity.share.shape[1] == 1 or activity.share.shape[2] == 1  # a zone may cover none of so few cells
    detection = detection.model_copy(update={"watch": (), "ignore": ()}) if small else detection
    found = detect(activity, detection)
    assert found == plainly(activity, detection)
    assert all(one.end_pts <= other.start_pts for one, other in pairwise(found))
