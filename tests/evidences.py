"""Evidence for the tests, spread out plainly: moments first, then rows and columns, whatever lies how in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.detection.evidence import Evidence, weigh
from pipeline.detection.gather import gather
from pipeline.detection.tracer import trace
from pipeline.detection.usual import FLEET, Usual

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.activity import Activity
    from pipeline.detection.gates import Detection


@dataclass(frozen=True)
class Shown:
    """What was gathered: the first frame of each moment, powers float64 (n, R, C), own (R, C), and unrest."""

    first: NDArray[np.int64]
    at: NDArray[np.int64]
    brief: NDArray[np.float64]
    lasting: NDArray[np.float64]
    own: NDArray[np.float64]
    unrest: float | None


def shown(activity: Activity) -> Shown:
    """Return what was gathered of an activity."""
    found = gather(activity)
    brief, lasting = (_spread(part, found.at, len(found.first)) for part in (found.brief, found.lasting))
    moves = activity.share[found.first] > 0
    return Shown(found.first, found.at, brief * moves, lasting, found.own[..., 0].T.astype(np.float64), found.unrest)


def strengths(activity: Activity, usual: Usual = FLEET) -> NDArray[np.float64]:
    """Return how strongly cells move beyond what is usual in every moment: float64 (n, R, C)."""
    return strengths_of(weigh(activity, usual))


def strengths_of(evidence: Evidence) -> NDArray[np.float64]:
    """Return the same of evidence."""
    return _spread(evidence.strength, evidence.at, len(evidence.pts))


def level_of(evidence: Evidence, detection: Detection) -> float:
    """Return the strength from which on a cell moves."""
    return float(np.float32(trace(evidence, detection).level))


def scale_of(activity: Activity, usual: Usual = FLEET) -> float:
    """Return the power beyond what is usual that has the strength 1."""
    return usual.scale(gather(activity))


def _spread(part: NDArray[Any], at: NDArray[np.int64], moments: int) -> NDArray[np.float64]:
    full = np.zeros((moments, part.shape[1], part.shape[0]))
    full[at] = part.transpose(2, 1, 0)
    return full
