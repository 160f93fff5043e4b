"""Tunes detection over stored activity: which of the settings that a sweep tried to take."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from pipeline.detection.score import Score
from pipeline.detection.sweep import Counts
from pipeline.detection.trials import GRID, IN_FORCE, TuneSettings
from pipeline.span import NS


def front(scores: Sequence[Score]) -> list[int]:
    """Return the Pareto front by recall and precision, highest recall first.

    No score of it is beaten in one and matched in the other. Of equal ones the first stands for all; those that found
    nothing are no choice.
    """
    order = sorted(
        (i for i, s in enumerate(scores) if s.found),
        key=lambda i: (-_or0(scores[i].recall), -_or0(scores[i].precision), i),
    )
    kept: list[int] = []
    best = 0.0
    for i in order:
        if _or0(scores[i].precision) > best:
            best = _or0(scores[i].precision)
            kept.append(i)
    return kept


def _or0(value: float | None) -> float:
    return 0.0 if value is None else value


def best(scores: Sequence[Score], settings: TuneSettings, *, than: int = IN_FORCE) -> int:
    """Return the trial with the highest F1, of the trials of `settings`.

    Trial `than` is kept unless the grid does better. Of several best ones, the one around which the grid does best, one
    and two steps away: the middle of what works bears another week's weather better than its edge.
    """
    f1 = np.array([_or0(s.f1) for s in scores[GRID:]]).reshape(settings.shape())
    if f1.max() <= _or0(scores[than].f1):
        return than
    around = f1
    for _ in range(2):
        padded = np.pad(around, 1)  # beyond the grid nothing is known to work
        inner = (slice(1, -1),) * f1.ndim
        for axis in range(f1.ndim):
            for part in (slice(None, -2), slice(2, None)):
                around = around + padded[(*inner[:axis], part, *inner[axis + 1 :])]
    return GRID + int(np.where(f1 == f1.max(), around, -1).argmax())


def nearest(cameras: Sequence[Counts], per_day: Fraction, settings: TuneSettings, *, than: int = IN_FORCE) -> int:
    """Return the trial that gives about so many events a day of each camera, and loses the least of those in force.

    All trials within `near` of the wanted number of events, or as near as the nearest, are equal; of them the one that
    keeps the most weight, then the nearer to the target, then trial `than`, then the first.
    """
    events = np.sum([counts.events for counts in cameras], axis=0)
    wanted = float(per_day * sum(counts.duration_ns for counts in cameras) / (86_400 * NS))
    kept = np.sum([counts.kept for counts in cameras], axis=0)
    off = abs(events - wanted)
    close = np.flatnonzero(off <= max(float(off.min()), settings.near * wanted))
    return int(min(close, key=lambda i: (-round(float(kept[i]), 6), off[i], i != than, i)))
