"""Evidence for the tests, spread out plainly: moments first, then rows and columns, whatever lies how in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.detection.evidence import Evidence, weigh
from pipeline.detection.gather import STEPS, gather
from pipeline.detection.tracer import trace, view_of
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
    parts = (_spread(part, found.at, len(found.first)) for part in (found.brief, found.lasting))
    brief, lasting = ((part / STEPS) ** 2 for part in parts)
    own = found.own[:-1, :-1].T.astype(np.float64)
    return Shown(found.first, found.at, brief, lasting, own, found.unrest)


def strengths(activity: Activity, usual: Usual = FLEET) -> NDArray[np.float64]:
    """Return how strongly cells move beyond what is usual in every moment: float64 (n, R, C)."""
    return strengths_of(weigh(activity, usual))


def watched_strengths(activity: Activity, detection: Detection, usual: Usual = FLEET) -> NDArray[np.float64]:
    """Return the same where only what watched cells show counts."""
    evidence = weigh(activity, usual)
    beyond = evidence.within(view_of(activity.layout, detection).watched)
    return (_spread(beyond, evidence.at, len(evidence.pts)) / STEPS) ** 2 / evidence.scale


def strengths_of(evidence: Evidence) -> NDArray[np.float64]:
    """Return the same of evidence."""
    return (_spread(evidence.beyond, evidence.at, len(evidence.pts)) / STEPS) ** 2 / evidence.scale


def level_of(evidence: Evidence, detection: Detection) -> float:
    """Return the strength from which on a cell moves."""
    return evidence.strength(trace(evidence, detection).level)


def scale_of(activity: Activity, usual: Usual = FLEET) -> float:
    """Return the power beyond what is usual that has the strength 1."""
    return usual.scale(gather(activity))


def _spread(part: NDArray[Any], at: NDArray[np.int64], moments: int) -> NDArray[np.float64]:
    full = np.zeros((moments, part.shape[2] - 1, part.shape[1] - 1))
    full[at] = part[:, :-1, :-1].transpose(0, 2, 1)
    return full
