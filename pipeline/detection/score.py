"""True spans against events: the rule that matches them, and what they come to."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.detection.trials import TuneSettings
from pipeline.span import NS, Span

Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Score:
    """What events came to against true spans: spans found and missed, false alarms, and over how long.

    Raises ValueError for a negative count or no time.
    """

    found: int
    missed: int
    false_alarms: int
    duration_ns: int

    def __post_init__(self) -> None:
        if min(self.found, self.missed, self.false_alarms) < 0 or self.duration_ns <= 0:
            raise ValueError(f"a score counts from 0 over some time, got {self}")

    def __add__(self, other: Score) -> Score:
        return Score(
            self.found + other.found,
            self.missed + other.missed,
            self.false_alarms + other.false_alarms,
            self.duration_ns + other.duration_ns,
        )

    @property
    def precision(self) -> float | None:
        """Found of found and false alarms; None when there is neither."""
        return _share(self.found, self.found + self.false_alarms)

    @property
    def recall(self) -> float | None:
        """Found of all true spans; None when there are none."""
        return _share(self.found, self.found + self.missed)

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall; None when there was nothing to find and nothing was."""
        return _share(2 * self.found, 2 * self.found + self.missed + self.false_alarms)

    @property
    def false_alarms_per_hour(self) -> float:
        """False alarms in an hour of one camera."""
        return self.false_alarms * 3600 * NS / self.duration_ns


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def score(events: Sequence[Span], truth: Sequence[Span], *, duration_ns: int, rule: TuneSettings) -> Score:
    """Score the events of one camera against its true spans by the matching rule.

    - An event agrees with the truth when true spans fill `cover` of its time: one event from morning to evening
      would otherwise find everything.
    - A true span is found when an event that agrees shares `overlap_s` with it, or all of it where it is shorter;
      with 0, any instant. Spans are half-open: those that touch share nothing.
    - An event that finds no true span is a false alarm.
    - A true span in several events is one found span and no false alarm. Several true spans in one event are all
      found. So splits and merges cost nothing, and counts of events need not add up to counts of spans.

    Raises ValueError for true spans that overlap: `scorable_labels` makes one of them.
    """
    if any(after.start_ns < before.end_ns for before, after in itertools.pairwise(sorted(truth))):
        raise ValueError("true spans are apart, got some that overlap")
    found, false = match(bounds(events), np.zeros(len(events), np.int64), bounds(truth), 1, rule=rule)
    hits = int(found.sum())
    return Score(hits, len(truth) - hits, int(false[0]), duration_ns)


def missed(events: Sequence[Span], truth: Sequence[Span], *, rule: TuneSettings) -> list[Span]:
    """Return the true spans, which are apart, that no event finds, in order; see `score` for the rule."""
    found, _ = match(bounds(events), np.zeros(len(events), np.int64), bounds(truth), 1, rule=rule)
    return [span for span, hit in zip(sorted(truth), found[0], strict=True) if not hit]


def bounds(spans: Sequence[Span]) -> Ints:
    """Return int64 (n, 2), start and end in ns, in order."""
    return np.array([(span.start_ns, span.end_ns) for span in sorted(spans)], np.int64).reshape(-1, 2)


def match(events: Ints, trial: Ints, truth: Ints, trials: int, *, rule: TuneSettings) -> tuple[NDArray[np.bool_], Ints]:
    """Match the events of many trials at once; `events` (E, 2) and `truth` (L, 2), in order and apart, in ns.

    Returns which true spans each trial found, bool (trials, L), and its false alarms, int64 (trials,).
    """
    start, end = events.T
    first = np.searchsorted(truth[:, 1], start, side="right")
    beyond = np.searchsorted(truth[:, 0], end, side="left")
    count = np.maximum(beyond - first, 0)
    event = np.repeat(np.arange(len(events)), count)
    span = np.arange(len(event)) - np.repeat(np.cumsum(count) - count, count) + first[event]
    shared = np.minimum(end[event], truth[span, 1]) - np.maximum(start[event], truth[span, 0])
    filled = np.bincount(event, shared, len(events))
    agrees = filled >= rule.cover * (end - start)
    least = np.minimum(max(1, round(rule.overlap_s * NS)), truth[span, 1] - truth[span, 0])
    hit = agrees[event] & (shared >= least)
    found = np.zeros((trials, len(truth)), np.bool_)
    found[trial[event[hit]], span[hit]] = True
    right = np.zeros(len(events), np.bool_)
    right[event[hit]] = True
    return found, np.bincount(trial[~right], minlength=trials)
