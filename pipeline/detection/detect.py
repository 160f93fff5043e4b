"""Finds events in an Activity: arithmetic on a coarse grid that never sees a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pipeline.detection.evidence import weigh
from pipeline.detection.gates import MomentGate, StretchGate, table
from pipeline.detection.stretches import Stretches, Timed, joined_stretches, unbroken
from pipeline.detection.tracer import trace
from pipeline.detection.usual import FLEET, Usual

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.activity import Activity
    from pipeline.detection.gates import Detection
    from pipeline.detection.trace import Trace

    Bools: TypeAlias = NDArray[np.bool_]
    Ints: TypeAlias = NDArray[np.int64]


_AROUND = 8  # moments: more than two seconds, as far as evidence reaches


@dataclass(frozen=True, slots=True)
class Event:
    """A stretch of motion, pre- and post-roll included: `start_pts` <= t < `end_pts` in the activity's time base.

    score: how rare it is that chance moves as strongly, the decimal logarithm of days between two such events: 0 comes
    once a day, 2 once in a hundred days. peak_pts: when it is strongest; region: the connected cells (row, column) that
    move then. peak: the largest share of any watched cell in it, 0 to 1.

    Raises ValueError unless start_pts <= peak_pts < end_pts, 0 < peak <= 1 and some cell moves.
    """

    start_pts: int
    end_pts: int
    peak_pts: int
    peak: float
    score: float
    region: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        if not self.start_pts <= self.peak_pts < self.end_pts:
            raise ValueError(f"an event's peak lies inside it, got {self.start_pts} {self.peak_pts} {self.end_pts}")
        if not 0 < self.peak <= 1 or not self.region:
            raise ValueError(f"an event moves a cell by a share in 0..1, got {self.peak} of {len(self.region)} cells")

    @property
    def cells(self) -> int:
        """How many connected cells move when it is strongest."""
        return len(self.region)


def detect(activity: Activity, detection: Detection, usual: Usual = FLEET) -> list[Event]:
    """Return the events of an activity in order; they do not overlap.

    usual: what is usual before its camera at its time; that of the fleet where nothing is known of it.

    A cell moves when it is stronger than chance is `sensitivity` times a day. A moment, a third of a second, is active
    when every gate of moments lets it pass: at least `min_cells` connected cells move, their motion travels as far as
    `travel` at some time before or after, and no more than `max_area` of the picture moves. Active moments at most
    `gap_s` apart are joined, what is then shorter than `min_event_s` is dropped, the rolls are added, clamped to the
    clip and joined where they meet. Moments before the background was known (`cold`) are not active, unless the whole
    clip is cold: then it is all there is. Raises ConfigError for a zone that covers no cell.
    """
    return events(trace(weigh(activity, usual), detection), detection)


def events(traced: Trace, detection: Detection) -> list[Event]:
    """Return the events that a trace holds; what judges cells is in the trace already."""
    active, evidence = active_moments(traced, detection), traced.evidence
    first_of = evidence.gathered.first
    watched = traced.view.watched
    everywhere = watched.all()
    result = []
    found = event_stretches(evidence, *unbroken(active), detection)
    for start, end, first, last, _ in zip(*(ends.tolist() for ends in found), strict=True):
        moments = first + np.flatnonzero(active[first:last])
        at = traced.strongest_of(moments)
        # What lasts for seconds is told in their midst, also in a moment in which nothing is seen of it.
        end_of = int(first_of[last + _AROUND]) if last + _AROUND < len(active) else None
        around = slice(int(first_of[max(0, first - _AROUND)]), end_of)
        share = evidence.activity.share[around]
        peak = max(1, int(share.max() if everywhere else share.max(0)[watched].max())) / 255
        score = round(evidence.score(int(traced.peak[at])), 3)
        result.append(Event(start, end, int(evidence.pts[at]), peak, score, traced.region(at)))
    return result


def event_times(traced: Trace, detection: Detection) -> list[tuple[int, int]]:
    """Return the start and end pts of the `events`: their other facts cost as much as all else of them."""
    found = event_stretches(traced.evidence, *unbroken(active_moments(traced, detection)), detection)
    return list(zip(found.start.tolist(), found.end.tolist(), strict=True))


def active_moments(traced: Trace, detection: Detection) -> Bools:
    """Return bool (n,): the moments that all gates of moments let pass."""
    active = np.ones(len(traced.peak), np.bool_)
    for _, gate in table(type(detection)):
        if isinstance(gate, MomentGate) and (passes := gate.moments(traced, detection)) is not None:
            active &= passes
    return active


def event_stretches(
    evidence: Timed, first: Ints, last: Ints, detection: Detection, *, whose: Ints | None = None
) -> Stretches:
    """Return the stretches that are events, rolls included, of `unbroken` active moments.

    `whose`: int64 (n,), which of some settings they are of, where several that join, drop and roll alike are asked for
    at once; the moments of one together.
    """
    owner = np.zeros_like(first) if whose is None else whose
    found = joined_stretches(evidence, first, last, owner, gap_s=detection.gap_s)
    for _, gate in table(type(detection)):
        if isinstance(gate, StretchGate):
            found = found.where(gate.stretches(found, evidence.time_base, detection))
    return found.with_rolls(evidence, pre_s=detection.pre_roll_s, post_s=detection.post_roll_s)
