"""Finds events in an Activity: arithmetic on a coarse grid that never sees a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pipeline.detection.gates import FrameGate, StretchGate, table
from pipeline.detection.stretches import Stretches, joined_stretches, unbroken
from pipeline.detection.trace import first_of_most
from pipeline.detection.tracer import trace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.activity import Activity
    from pipeline.detection.gates import Detection
    from pipeline.detection.trace import Trace

    Bools: TypeAlias = NDArray[np.bool_]
    Ints: TypeAlias = NDArray[np.int64]


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

    @property
    def score(self) -> float:
        """How much moved in it; of two events the one with the higher score is the surer one."""
        return self.peak * self.cells


def detect(activity: Activity, detection: Detection) -> list[Event]:
    """Return the events of an activity in order; they do not overlap.

    A frame is active when every gate of frames lets it pass: at least `min_cells` connected cells move, their motion
    travels as far as `travel` at some time before or after, and no more than `max_area` of the picture moves.
    Active frames at most `gap_s` apart are joined, what is then shorter than `min_event_s` is dropped, the rolls are
    added, clamped to the clip and joined where they meet. Frames before the background was known (`cold`) are not
    active, unless the whole clip is cold: then it is all there is. Raises ConfigError for a zone that covers no cell.
    """
    return events(activity, trace(activity, detection), detection)


def events(activity: Activity, traced: Trace, detection: Detection) -> list[Event]:
    """Return the events that a trace holds; what judges cells is in the trace already."""
    active = active_frames(traced, detection)
    travelling = traced.travelling(detection.travel) if detection.travel else None
    result = []
    found = event_stretches(activity, *unbroken(active), detection)
    for start, end, first, last, _ in zip(*(ends.tolist() for ends in found), strict=True):
        frames = first + np.flatnonzero(active[first:last])
        at, cells = traced.largest_of(frames) if travelling is None else first_of_most(frames, travelling[frames])
        result.append(Event(start, end, int(activity.pts[at]), int(traced.peak[frames].max()) / 255, cells))
    return result


def event_times(activity: Activity, traced: Trace, detection: Detection) -> list[tuple[int, int]]:
    """Return the start and end pts of the `events`: their other facts cost as much as all else of them."""
    found = event_stretches(activity, *unbroken(active_frames(traced, detection)), detection)
    return list(zip(found.start.tolist(), found.end.tolist(), strict=True))


def active_frames(traced: Trace, detection: Detection) -> Bools:
    """Return bool (N,): the frames that all gates of frames let pass."""
    active = np.ones(len(traced.peak), np.bool_)
    for _, gate in table(type(detection)):
        if isinstance(gate, FrameGate) and (passes := gate.frames(traced, detection)) is not None:
            active &= passes
    return active


def event_stretches(
    activity: Activity, first: Ints, last: Ints, detection: Detection, *, whose: Ints | None = None
) -> Stretches:
    """Return the stretches that are events, rolls included, of `unbroken` active frames.

    `whose`: int64 (n,), which of some settings they are of, where several that join, drop and roll alike are asked for
    at once; the frames of one together.
    """
    owner = np.zeros_like(first) if whose is None else whose
    found = joined_stretches(activity, first, last, owner, gap_s=detection.gap_s)
    for _, gate in table(type(detection)):
        if isinstance(gate, StretchGate):
            found = found.where(gate.stretches(found, activity.time_base, detection))
    return found.with_rolls(activity, pre_s=detection.pre_roll_s, post_s=detection.post_roll_s)
