"""`detect` against its own words, done moment by moment and cell by cell, in plain Python.

How strongly cells move is taken as it is gathered; all that is decided by it is done anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, product
from typing import TypeAlias

import numpy as np
from evidences import watched_strengths
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.activity import Activity
from pipeline.detection import operating
from pipeline.detection.detect import Event, detect
from pipeline.detection.gates import Detection
from pipeline.detection.gather import MOMENT_S
from pipeline.detection.operating import LEVELS, Operating
from pipeline.detection.usual import FLEET, Usual

Spot: TypeAlias = tuple[int, int, int]
"""A cell of a moment: moment, row, column."""

# Their edges run through the middle of no sixteenth of a cell.
TOP = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.4711), (0.0, 0.4711))
RIGHT = ((0.5911, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5911, 1.0))
NEAR = 1e-4  # of itself, a strength may be off: it is a float of 32 bits


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


def usual_step(activity: Activity) -> int:
    """Return how long a frame usually lasts, in ticks."""
    steps = sorted(int(later - one) for one, later in pairwise(activity.pts))
    middle = len(steps) // 2
    return (steps[middle] if len(steps) % 2 else (steps[middle - 1] + steps[middle]) // 2) if steps else 1


def part_of(activity: Activity) -> list[int]:
    """Return of each frame in which part of the clip it is, from 0: between parts none is shown for so long."""
    most = max(Fraction(2), 10 * usual_step(activity) * activity.time_base)
    parts = [0]
    for one, later in pairwise(activity.pts):
        parts.append(parts[-1] + (int(later - one) * activity.time_base > most))
    return parts


class Plain:
    """What was gathered of a clip: the `first` frame of each moment, the `strength` by moment, row and column."""

    def __init__(self, activity: Activity, known: Usual, detection: Detection) -> None:
        self.activity, (_, self.rows, self.columns) = activity, activity.share.shape
        self.cells = list(product(range(self.rows), range(self.columns)))
        seconds = [(int(pts) - int(activity.pts[0])) * float(activity.time_base) for pts in activity.pts]
        thirds = [math.floor(t / MOMENT_S + 0.01) for t in seconds]
        self.first = [f for f in range(len(thirds)) if f == 0 or thirds[f] > thirds[f - 1]]
        # How strong a cell is is held elsewhere: `test_gather`.
        strength = watched_strengths(activity, detection, known)
        self.strength: dict[Spot, float] = {spot: float(strength[spot]) for spot in np.ndindex(strength.shape)}


def level_at(per_day: float) -> float:
    """Return the strength that chance has so often a day: 1 twice a day, ten times of it a tenth as often."""
    return float(min(max((operating._RATE / per_day) ** math.log10(operating._TENFOLD), LEVELS[0]), LEVELS[-1]))


def score_of(strength: float) -> float:
    """Return the decimal logarithm of days between two such events of chance."""
    strength = float(min(max(strength, LEVELS[0]), LEVELS[-1]))
    return math.log10(strength) / math.log10(operating._TENFOLD) - math.log10(operating._RATE)


def rate_at(level: float) -> float:
    """Return how often a day chance is as strong as a level."""
    return float(10 ** -score_of(level))


def grouped(spots: set[Spot], *, over_time: bool, parts: list[int] | None = None) -> list[set[Spot]]:
    """Return what touches each other, corners included, in one moment or also from moment to moment of one part."""
    left, groups = set(spots), []
    while left:
        queue, group = [left.pop()], set()
        while queue:
            moment, row, column = queue.pop()
            group.add((moment, row, column))
            around = product((-1, 0, 1) if over_time else (0,), (-1, 0, 1), (-1, 0, 1))
            near = {(moment + t, row + r, column + c) for t, r, c in around} & left
            near = {spot for spot in near if parts is None or parts[spot[0]] == parts[moment]}
            left -= near
            queue.extend(near)
        groups.append(group)
    return groups


def travels(plain: Plain, motion: set[Spot]) -> float:
    """Return how far a motion's centre gets, weighted by amplitude, in shares of the longer side of the grid."""
    centres = []
    for moment in {moment for moment, _, _ in motion}:
        cells = [(row, column) for of, row, column in motion if of == moment]
        weight = [math.sqrt(plain.strength[moment, row, column]) for row, column in cells]
        centres.append(
            [sum(w * cell[axis] for w, cell in zip(weight, cells, strict=True)) / sum(weight) for axis in (0, 1)]
        )
    down, right = (max(centre[axis] for centre in centres) - min(centre[axis] for centre in centres) for axis in (0, 1))
    return float(math.hypot(down, right) / max(plain.rows, plain.columns))


@dataclass
class Found:
    """An event: when it is, its share, its score, and the moments and regions in which it may be strongest."""

    start_pts: int
    end_pts: int
    peak: float
    score: float
    strongest: set[tuple[int, tuple[tuple[int, int], ...]]]

    def is_as(self, event: Event) -> bool:
        """Tell whether `detect` found the same."""
        same = (self.start_pts, self.end_pts, self.peak) == (event.start_pts, event.end_pts, event.peak)
        return same and abs(self.score - event.score) < 2e-3 and (event.peak_pts, event.region) in self.strongest


def plainly(plain: Plain, detection: Detection, level: float) -> list[Found]:
    """Return what `detect` finds, by the words of its settings."""
    activity, moments = plain.activity, range(len(plain.first))
    watched = {(r, c) for r, c in plain.cells if is_watched(activity, detection, r, c)}
    over = {spot for spot, strength in plain.strength.items() if spot[1:] in watched and strength >= level}
    parts = [part_of(activity)[frame] for frame in plain.first]
    far = {
        spot
        for motion in grouped(over, over_time=True, parts=parts)
        if not detection.travel or travels(plain, motion) >= detection.travel
        for spot in motion
    }
    cold = activity.cold if activity.cold < len(activity.pts) else 0
    active = []
    for moment in moments:
        sizes = [len(region) for region in grouped({spot for spot in far if spot[0] == moment}, over_time=False)]
        frame = plain.first[moment]
        area = activity.share[frame].sum() / (255 * plain.rows * plain.columns)
        enough = max(sizes, default=0) >= detection.min_cells
        active.append(frame >= cold and enough and area <= detection.max_area)

    def found(start: int, end: int, inside: list[int]) -> Found:
        # What lasts is told in its midst: what was seen of it may lie two seconds before or after.
        begins = [*plain.first, len(activity.pts)]
        seen = activity.share[begins[max(0, inside[0] - 8)] : begins[min(inside[-1] + 9, len(plain.first))]]
        peak = max(1, *(int(seen[:, r, c].max()) for r, c in watched))
        most = max(plain.strength[moment, r, c] for moment in inside for r, c in watched)
        strongest = set()
        for moment in inside:
            for region in grouped({spot for spot in over if spot[0] == moment}, over_time=False):
                if max(plain.strength[spot] for spot in region) >= most * (1 - NEAR):
                    cells = tuple(sorted((row, column) for _, row, column in region))
                    strongest.add((int(activity.pts[plain.first[moment]]), cells))
        return Found(start, end, peak / 255, score_of(most), strongest)

    return events_of(plain, detection, active, found)


def events_of(
    plain: Plain, detection: Detection, active: list[bool], found: Callable[[int, int, list[int]], Found]
) -> list[Found]:
    activity, tick = plain.activity, plain.activity.time_base
    every, part = [int(p) for p in activity.pts], part_of(activity)
    pts, parts = [every[frame] for frame in plain.first], [part[frame] for frame in plain.first]
    closes = {}  # of each part: before a hole a frame lasts as long as usual; the last one as the one before it
    for frame, number in enumerate(part):
        lone = frame == 0 or part[frame - 1] != number
        is_last = frame == len(every) - 1
        lasts = every[frame] - every[frame - 1] if is_last and not lone else usual_step(activity)
        closes[number] = every[frame] + lasts
    ends = [pts[m + 1] if m + 1 < len(pts) and parts[m + 1] == parts[m] else closes[parts[m]] for m in range(len(pts))]
    runs: list[list[int]] = []  # start, end, first moment, last moment
    for moment in (moment for moment, is_active in enumerate(active) if is_active):
        near = runs and (runs[-1][3] + 1 == moment or (pts[moment] - runs[-1][1]) * tick <= exact(detection.gap_s))
        if near and parts[runs[-1][3]] == parts[moment]:
            runs[-1][1], runs[-1][3] = ends[moment], moment
        else:
            runs.append([pts[moment], ends[moment], moment, moment])
    long = [one for one in runs if (one[1] - one[0]) * tick >= exact(detection.min_event_s)]
    rolled: list[list[int]] = []
    for start, end, first, last in long:
        opens = pts[parts.index(parts[first])]
        start = max(opens, start - math.ceil(exact(detection.pre_roll_s) / tick))  # noqa: PLW2901
        end = min(closes[parts[first]], end + math.ceil(exact(detection.post_roll_s) / tick))  # noqa: PLW2901
        rolls = detection.pre_roll_s or detection.post_roll_s
        if rolled and rolls and start <= rolled[-1][1]:
            rolled[-1][1], rolled[-1][3] = end, last
        else:
            rolled.append([start, end, first, last])
    return [
        found(start, end, [moment for moment in range(first, last + 1) if active[moment]])
        for start, end, first, last in rolled
    ]


EVEN_MS = (16, 17, 33, 67, 100, 143, 200, 250, 400, 1000, 3300)


@st.composite
def activities(draw: st.DrawFn) -> Activity:
    """Blobs that stay or walk, cells that flicker steadily, scattered ones; .3 to 60 frames a second, even or not."""
    step = draw(st.sampled_from(EVEN_MS))
    count = draw(st.sampled_from([60, 60, 25, 25, 12, 120 if step < 50 else 40, 3, 2, 1]))
    rows, columns = draw(st.sampled_from([4, 6, 3, 2, 1])), draw(st.sampled_from([5, 7, 3, 2, 1]))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    share = np.zeros((count, rows, columns), np.uint8)
    lasts = max(1, 2400 // step)
    for _ in range(draw(st.sampled_from([2, 1, 3, 4]))):
        first, length, high, wide = rng.integers(0, count), rng.integers(1, lasts + 1), *rng.integers(1, 5, 2)
        (y, x), speed = rng.integers(-1, (rows, columns)), rng.integers(-1, 2, 2) * step / 400
        for frame in range(int(first), min(count, int(first + length))):
            top, left = np.maximum(0, (y, x) + speed * (frame - first)).astype(int)
            share[frame, top : top + high, left : left + wide] = rng.integers(40, 256)
    if draw(st.booleans()):  # leaves, in a part of the picture or all of it
        top, left = rng.integers(0, rows), rng.integers(0, columns)
        share[:, top:, left:] = np.maximum(share[:, top:, left:], rng.integers(0, 90, share[:, top:, left:].shape))
    scattered = rng.random(share.shape) < draw(st.sampled_from([0.0, 0.0, 0.05, 0.5]))
    scattered &= rng.random((count, 1, 1)) < 0.3
    share[scattered] = rng.integers(0, 256, int(scattered.sum()))
    steps = np.full(count, step)
    if draw(st.booleans()):
        steps = np.maximum(1, (step * rng.choice([0.3, 1.0, 1.0, 2.0, 5.0], count)).astype(int))
    holes = rng.random(count) < draw(st.sampled_from([0.0, 0.0, 0.1]))
    steps[holes] = rng.choice([2000, 2001, 5000, 3_600_000], int(holes.sum()))
    pts = np.cumsum(steps).astype(np.int64) + draw(st.integers(-1000, 1000))
    cold = draw(st.sampled_from([0, 0, 0, count // 2, count]))
    more = draw(st.tuples(st.integers(0, 15), st.integers(0, 15)))
    return Activity(
        share, pts, np.zeros(count, np.uint8), Fraction(1, 1000), cold,
        width=16 * columns + more[0], height=16 * rows + more[1], version="1", cell_side=16,
    )  # fmt: skip


@st.composite
def pasts(draw: st.DrawFn, activity: Activity) -> Usual:
    """Return what is usual: nothing known, some cells steadily, or also some in gusts."""
    cells = activity.share.shape[:0:-1]
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    steady = (rng.integers(0, 900, cells) * (rng.random(cells) < 0.5)).astype(np.float32)
    gusts = (rng.integers(0, 3000, cells) * (rng.random(cells) < draw(st.floats(0, 1)))).astype(np.float32)
    which = draw(st.sampled_from(["none", "steady", "gusts", "both"]))
    if which == "none":
        return FLEET
    return Usual(
        steady=None if which == "gusts" else steady,
        gusts=None if which == "steady" else gusts,
        operating=Operating.known(),
    )


seconds = st.integers(0, 12).map(lambda tenths: tenths / 10)


def between(strengths: list[float], wanted: float) -> float:
    """Return a level near the one that is wanted, with no strength near it."""
    low, high = wanted * 0.8, wanted * 1.25
    values = [low, *sorted(value for value in strengths if low < value < high), high]
    one, other = max(pairwise(values), key=lambda pair: pair[1] / pair[0])
    return math.sqrt(one * other)


@settings(max_examples=200, deadline=None)
@given(
    st.data(),
    activities(),
    st.floats(-3, 4).map(lambda power: 2.0**power),
    st.builds(
        Detection,
        min_cells=st.sampled_from([1, 1, 1, 2, 4]),
        max_area=st.sampled_from([1.0, 1.0, 0.6, 0.2]),
        travel=st.sampled_from([0.0, 0.0, 0.0, 0.1034, 0.3977]),
        watch=st.sampled_from([(), (), (TOP,), (TOP, RIGHT)]),
        ignore=st.sampled_from([(), (), (RIGHT,)]),
        min_event_s=st.sampled_from([0.0, 0.3, 1.2]),
        gap_s=seconds | st.just(3600.0),
        pre_roll_s=seconds | st.just(600.0),
        post_roll_s=seconds | st.just(600.0),
    ),
)
def test_detect_does_what_its_settings_say(
    data: st.DataObject, activity: Activity, wanted: float, detection: Detection
) -> None:
    known = data.draw(pasts(activity))
    small = activity.share.shape[1] == 1 or activity.share.shape[2] == 1  # a zone may cover none of so few cells
    detection = detection.model_copy(update={"watch": (), "ignore": ()}) if small else detection
    plain = Plain(activity, known, detection)
    strengths = [strength for strength in plain.strength.values() if strength]
    level = between(strengths, wanted)
    assume(all(abs(strength / level - 1) > NEAR for strength in strengths))
    detection = detection.model_copy(update={"sensitivity": rate_at(level)})
    found, expected = detect(activity, detection, known), plainly(plain, detection, level)
    assert len(found) == len(expected)
    assert all(one.is_as(event) for one, event in zip(expected, found, strict=True)), (expected, found)
    assert all(one.end_pts <= other.start_pts for one, other in pairwise(found))


@given(st.floats(0.0001, 10_000))
def test_the_level_is_that_of_the_rate(per_day: float) -> None:
    assert abs(Operating.known().strength(per_day) / level_at(per_day) - 1) < NEAR
