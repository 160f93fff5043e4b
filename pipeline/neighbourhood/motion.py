"""Which motion in a clip its owner is told of: what the detection in force finds, in their zones, the strongest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.detection.detect import Event, events
from pipeline.detection.evidence import weigh
from pipeline.detection.tracer import trace
from pipeline.detection.zones import covered_cells

if TYPE_CHECKING:
    from pipeline.activity import Activity
    from pipeline.detection.layers import Resolved
    from pipeline.neighbourhood.alert import Rule


def strongest(activity: Activity, holds: Resolved, rule: Rule) -> Event | None:
    """Return the strongest event that an owner wants to be told of, the first of equal ones; None for none.

    Motion beyond the owner's zones, or where the detection in force does not look, counts in none. Raises ConfigError
    for a zone that covers no cell of this picture.
    """
    within = covered_cells(activity.layout, rule.zones, called="alert") if rule.zones else None
    found = events(trace(weigh(activity, holds.usual), holds.detection, within=within), holds.detection)
    wanted = [event for event in found if rule.min_score is None or event.score >= rule.min_score]
    return max(wanted, key=lambda event: (event.score, -event.start_pts), default=None)
