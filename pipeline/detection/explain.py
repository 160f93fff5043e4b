"""Why a clip has these events, or none: what each setting leaves of its frames, and what would have to change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from skimage.measure import label

from pipeline.detection.detect import Detection, Event, active_frames, detect, events, runs, stretches, trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pipeline.activity import Activity
    from pipeline.detection.detect import Trace

    Ints: TypeAlias = NDArray[np.int64]

Value: TypeAlias = float | int | tuple[()]


@dataclass(frozen=True, slots=True)
class Strongest:
    """The cell that moved most of all, watched or not: its frame, its place in the grid from 0, its share 0 to 1."""

    pts: int
    row: int
    column: int
    share: float
    watched: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One setting in the order they are applied, and how many frames are left after it."""

    setting: str
    frames: int


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch in which watched cells moved: `start_pts` <= t < `end_pts`, without rolls, frames `gap_s` apart joined.

    dropped_by: the setting because of which it holds no event, "" when it holds one; got: the nearest it came to what
    was wanted of it, in the setting's unit.
    """

    start_pts: int
    end_pts: int
    dropped_by: str = ""
    got: float = 0.0
    wanted: float = 0.0


@dataclass(frozen=True, slots=True)
class Remedy:
    """One setting that would by itself give an event, at the value nearest to the present one, and when that starts."""

    setting: str
    value: Value
    start_pts: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """What `detect` did to one activity. `strongest` is None when nothing moved at all; `remedies` are for no events.

    obstacles: why these settings can never find anything in a picture of this size.
    """

    frames: int
    cold: int
    strongest: Strongest | None
    steps: tuple[Step, ...]
    runs: tuple[Run, ...]
    events: tuple[Event, ...]
    obstacles: tuple[str, ...]
    remedies: tuple[Remedy, ...]


def explain(activity: Activity, detection: Detection) -> Explanation:
    """Return why `detect` finds what it finds. Raises ConfigError for a zone that covers no cell."""
    found = trace(activity, detection)
    happened = events(activity, found, detection)
    return Explanation(
        frames=len(activity.pts),
        cold=activity.cold,
        strongest=_strongest(activity, found),
        steps=_steps(activity, found, detection),
        runs=_runs(activity, found, detection),
        events=tuple(happened),
        obstacles=tuple(obstacles(found, detection)),
        remedies=() if happened else tuple(_remedies(activity, found, detection)),
    )


def obstacles(found: Trace, detection: Detection) -> list[str]:
    """Return why the settings can never find an event in pictures of this size, none when they can.

    Of `found` only the watched cells and the level count: what moved in it does not.
    """
    watched = found.watched
    rows, columns = watched.shape
    if not watched.any():
        return [f"ignore leaves none of the {columns} x {rows} cells to watch"]
    said = []
    # Labels of integers: for bools scikit-image loads half of itself, which takes longer than most explanations.
    regions = label(watched.view(np.uint8), connectivity=2)  # type: ignore[no-untyped-call]
    largest = int(np.bincount(regions[watched]).max())
    if detection.min_cells > largest:
        said.append(
            f"min_cells {detection.min_cells} is more than the {largest} connected cells that are watched "
            f"of a grid of {columns} x {rows}"
        )
    covered = detection.min_cells * found.level / (255 * watched.size)
    if covered > detection.max_area:
        said.append(
            f"max_area {detection.max_area:g} is less than the {covered:.4f} of the picture that min_cells "
            f"{detection.min_cells} cover when they move by sensitivity {detection.sensitivity:g}"
        )
    down, right = (np.ptp(np.flatnonzero(watched.any(axis))) for axis in (1, 0))
    farthest = math.hypot(down, right) / max(watched.shape)
    if detection.travel > farthest:
        said.append(f"travel {detection.travel:g} is farther than the watched cells reach, {farthest:.3f}")
    return said


def _strongest(activity: Activity, found: Trace) -> Strongest | None:
    most = activity.share.max()
    if not most:
        return None
    frame, row, column = (int(at) for at in np.unravel_index(activity.share.argmax(), activity.share.shape))
    return Strongest(int(activity.pts[frame]), row, column, int(most) / 255, bool(found.watched[row, column]))


def _warm(activity: Activity) -> NDArray[np.bool_]:
    warm = np.ones(len(activity.pts), np.bool_)
    if activity.cold < len(warm):
        warm[: activity.cold] = False
    return warm


def _steps(activity: Activity, found: Trace, detection: Detection) -> tuple[Step, ...]:
    left = _warm(activity)
    steps = [Step("cold", int(left.sum()))]
    gates = [
        ("sensitivity", activity.share.max((1, 2)) >= found.level),
        ("watch, ignore", found.peak >= found.level),
        ("min_cells", found.cells >= detection.min_cells),
        ("max_area", found.area <= detection.max_area),
        ("travel", found.travelling(detection.travel) >= detection.min_cells),
    ]
    for setting, passes in gates:
        left = left & passes
        steps.append(Step(setting, int(left.sum())))
    kept = sum(
        int(left[first:last].sum())
        for _, _, first, last in zip(*stretches(activity, *runs(left), detection), strict=True)
    )
    return (*steps, Step("min_event_s", kept))


def _runs(activity: Activity, found: Trace, detection: Detection) -> tuple[Run, ...]:
    moving = _warm(activity) & (found.peak >= found.level)
    active = active_frames(activity, found, detection)
    happened = np.zeros(len(moving), np.bool_)
    for _, _, first, last in zip(*stretches(activity, *runs(active), detection), strict=True):
        happened[first:last] = True
    result = []
    for start, end, first, last in zip(*stretches(activity, *runs(moving), _bare(detection)), strict=True):
        part = slice(int(first), int(last))
        why: tuple[str, float, float] = ("", 0.0, 0.0)
        if not (happened[part] & active[part]).any():
            why = _why(activity, found, detection, part=part, active=active)
        result.append(Run(int(start), int(end), *why))
    return tuple(result)


def _why(
    activity: Activity, found: Trace, detection: Detection, *, part: slice, active: NDArray[np.bool_]
) -> tuple[str, float, float]:
    """Return the first setting that leaves nothing of a run, what the run came to, and what was wanted."""
    cells, area = found.cells[part], found.area[part]
    large = cells >= detection.min_cells
    if not large.any():
        return "min_cells", float(cells.max()), float(detection.min_cells)
    if not (large & (area <= detection.max_area)).any():
        return "max_area", float(area[large].min()), detection.max_area
    if not active[part].any():
        frame, size, travel = found.regions
        mine = (frame >= part.start) & (frame < part.stop) & (size >= detection.min_cells)
        mine[mine] = found.area[frame[mine]] <= detection.max_area
        return "travel", float(travel[mine].max()), detection.travel
    inside = np.zeros(len(active), np.bool_)
    inside[part] = active[part]
    start, end, _, _ = stretches(activity, *runs(inside), _bare(detection))
    return "min_event_s", float((end - start).max() * activity.time_base), detection.min_event_s


def _bare(detection: Detection) -> Detection:
    return detection.model_copy(update={"min_event_s": 0.0, "pre_roll_s": 0.0, "post_roll_s": 0.0})


def _remedies(activity: Activity, found: Trace, detection: Detection) -> list[Remedy]:
    def first(**changes: Value) -> Event | None:
        changed = Detection.model_validate(detection.model_dump() | changes)
        reuse = changes.keys().isdisjoint({"sensitivity", "watch", "ignore"})
        seen = events(activity, found, changed) if reuse else detect(activity, changed)
        return seen[0] if seen else None

    result = []
    for setting, values in _candidates(activity, found, detection).items():
        value = _nearest(values, lambda value, setting=setting: first(**{setting: value}) is not None)  # type: ignore[misc]
        if value is not None and (event := first(**{setting: value})) is not None:
            result.append(Remedy(setting, value, event.start_pts))
    return result


def _nearest(values: Sequence[Value], fires: Callable[[Value], bool]) -> Value | None:
    """Return the first value that gives an event, of values each looser than the one before it."""
    if not values or not fires(values[-1]):
        return None
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high) // 2
        if fires(values[middle]):
            high = middle
        else:
            low = middle + 1
    return values[high]


def _candidates(activity: Activity, found: Trace, detection: Detection) -> dict[str, list[Value]]:
    """Return for each setting the values looser than the present one that could matter, the nearest first.

    Numbers are rounded to three decimals to the loose side.
    """
    present = active_frames(activity, found, detection)
    start, end, _, _ = stretches(activity, *runs(present), _bare(detection))
    lengths, gaps = ((ticks * float(activity.time_base)) for ticks in (end - start, start[1:] - end[:-1]))
    found_travel = found.regions[2] if detection.travel else np.zeros(0)
    highest = min(found.level - 1, int(activity.share.max()))
    values: dict[str, list[Value]] = {
        "sensitivity": [_down(level / 255) for level in range(highest, 0, -1)],
        "min_cells": list(range(min(detection.min_cells - 1, int(found.cells.max())), 0, -1)),
        "max_area": [min(1.0, _up(x)) for x in np.unique(found.area[found.area > detection.max_area])],
        "travel": [_down(x) for x in np.unique(found_travel[found_travel < detection.travel])[::-1]],
        "min_event_s": [_down(x) for x in np.unique(lengths[lengths < detection.min_event_s])[::-1]],
        "gap_s": [min(3600.0, _up(x)) for x in np.unique(gaps[gaps > detection.gap_s])],
        "watch": [()] if detection.watch else [],
        "ignore": [()] if detection.ignore else [],
    }
    values["sensitivity"] = [value for value in values["sensitivity"] if value]
    return values


def _down(value: float) -> float:
    return math.floor(value * 1000 + 1e-9) / 1000


def _up(value: float) -> float:
    return math.ceil(value * 1000 - 1e-9) / 1000
