"""Reduces an activity to what a timeline needs of it: a few kilobytes, however long it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.activity import Activity
from pipeline.detection.trace import Trace
from pipeline.span import NS

COLUMNS = 966
"""Pixels of a timeline's axis."""


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """The activity of a clip, or of a part of it without a hole, as a timeline needs it: a few kilobytes however long.

    start_ns, length_ns: when it is, nanoseconds (start 0 when it is not known). edges: float64 (K + 1,), seconds
    after the start. peak, area: float64 (K,), the largest share of a watched cell and the mean share of the picture
    between two edges, 0 to 1. cold_ns: how long the background was not known. score: float64 (K,), the highest between
    two edges (see `Event`), threshold: from which on a cell moves; None where nobody detected. goes_on: it comes after
    a hole of the clip that the strip before it is of.
    """

    start_ns: int
    length_ns: int
    edges: NDArray[np.float64]
    peak: NDArray[np.float64]
    area: NDArray[np.float64]
    cold_ns: int
    score: NDArray[np.float64] | None = None
    threshold: float = 0.0
    goes_on: bool = False


def strips(
    activity: Activity, start_ns: int = 0, *, columns: int = COLUMNS, traced: Trace | None = None
) -> list[Strip]:
    """Reduce an activity whose first frame is at `start_ns` to a strip for each part without a hole, in order.

    They have about `columns` steps in all, each the maximum over its frames. traced: what was detected in it.
    """
    watched = None if traced is None else traced.view.watched
    scores = None if traced is None else traced.scores
    threshold = 0.0 if traced is None else traced.threshold
    if not activity.holes:
        one = strip(activity, start_ns, columns=columns, watched=watched, scores=scores)
        return [replace(one, threshold=threshold)]
    firsts = [0, *np.searchsorted(activity.pts, [end for _, end in activity.holes]).tolist(), len(activity.pts)]
    closes = [start for start, _ in activity.holes]
    found = []
    for number, (first, last) in enumerate(pairwise(firsts)):
        cold = min(max(activity.cold - first, 0), last - first)
        share, pts, luma = activity.share[first:last], activity.pts[first:last], activity.luma[first:last]
        part = replace(activity, share=share, pts=pts, luma=luma, cold=cold)
        at_ns = start_ns + _ns(activity, int(pts[0]))
        wide = 2 + columns * (last - first) // len(activity.pts)
        close = closes[number] if number < len(closes) else None
        mine = None if scores is None else scores[first:last]
        one = strip(part, at_ns, columns=wide, watched=watched, scores=mine, end_pts=close)
        found.append(replace(one, threshold=threshold, goes_on=number > 0))
    return found


def strip(
    activity: Activity,
    start_ns: int = 0,
    *,
    columns: int = COLUMNS,
    watched: NDArray[np.bool_] | None = None,
    scores: NDArray[np.float64] | None = None,
    end_pts: int | None = None,
) -> Strip:
    """Reduce an activity to at most `columns` steps, each the maximum over its frames.

    watched: bool (R, C), the cells that count; scores: float64 (N,), of its frames.
    end_pts: when the last frame ends; without it, that is shown as long as the one before it, as in `detect`.
    """
    frames = len(activity.pts)
    cells = activity.share.T.reshape(-1, frames)
    seen = cells if watched is None else cells[watched.T.ravel()]
    peak = seen.max(0, initial=0) / 255
    area = cells.sum(0, dtype=np.uint32) / (255 * len(cells))
    if end_pts is None:
        end_pts = int(activity.pts[-1]) + (int(activity.pts[-1] - activity.pts[-2]) if frames > 1 else 1)
    length_ns = max(1, _ns(activity, end_pts))
    seconds = (activity.pts - activity.pts[0]) * float(activity.time_base)
    edges = np.append(seconds, length_ns / NS)
    curves = [peak, area, *([] if scores is None else [scores])]
    if frames > columns:
        edges = np.linspace(0, edges[-1], columns + 1)
        column = np.minimum(np.searchsorted(edges, seconds, side="right") - 1, columns - 1)
        # A column that no frame begins in (a variable frame rate) still shows the frame before it.
        last = np.bincount(column, minlength=columns).cumsum() - 1
        for number, values in enumerate(curves):
            curves[number] = values[last]
            np.maximum.at(curves[number], column, values)
    cold_ns = length_ns if activity.cold == frames else _ns(activity, int(activity.pts[activity.cold]))
    return Strip(start_ns, length_ns, edges, curves[0], curves[1], cold_ns, *curves[2:])


def _ns(activity: Activity, pts: int) -> int:
    """Return the time of `pts` after the first frame, rounded down to a whole nanosecond."""
    return math.floor((int(pts) - int(activity.pts[0])) * activity.time_base * NS)
