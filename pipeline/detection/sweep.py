"""A sweep: many settings on many clips of stored activity, the work they have in common done once.

Nothing here decodes: a trace is paid once for each clip and way of judging cells, the rest of a grid is arithmetic on
stretches, all settings at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.activity import Activity
from pipeline.clip import Clip
from pipeline.detection.detect import Event, active_moments, event_stretches
from pipeline.detection.detect import events as found_events
from pipeline.detection.evidence import Evidence, weigh
from pipeline.detection.explain import obstacles
from pipeline.detection.gates import Detection, Step, settings_at
from pipeline.detection.labels import Labels
from pipeline.detection.score import Score, bounds, match
from pipeline.detection.stretches import unbroken
from pipeline.detection.tracer import trace
from pipeline.detection.trials import IN_FORCE, Changes, TuneSettings
from pipeline.detection.usual import FLEET, Usual
from pipeline.errors import ConfigError
from pipeline.span import NS

Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Footage:
    """One clip with its stored activity, the settings in force for it, and what is usual before its camera then.

    pinned: knobs that a narrower section of the settings holds for this clip; no trial changes them.
    """

    clip: Clip
    activity: Activity
    detection: Detection
    pinned: frozenset[str] = frozenset()
    usual: Usual = FLEET

    def under(self, changes: Changes) -> Detection:
        """Return the settings for this clip with the changes made."""
        return self.detection.model_copy(update={k: v for k, v in changes.items() if k not in self.pinned})

    def times(self, pts: Ints) -> Ints:
        """Return instants in ns, exactly as `Clip.time_ns` has them."""
        tick = self.clip.stream.time_base * NS
        ticks = pts - self.clip.stream.first_pts
        if len(ticks) and int(abs(ticks).max()) * tick.numerator >= 2**62:
            return np.array([self.clip.time_ns(int(p)) for p in pts], np.int64)
        return self.clip.start_ns + ticks * tick.numerator // tick.denominator


@dataclass(slots=True, eq=False)
class Counts:
    """What every trial came to on one camera; arrays have one entry for each trial.

    truth: the true spans, int64 (L, 2) in ns; found: bool (T, L); events, false_alarms: int64 (T,); kept: float64 (T,),
    without labels the weight of the events in force that each trial finds too; duration_ns: of all clips.
    """

    truth: Ints
    found: NDArray[np.bool_]
    events: Ints
    false_alarms: Ints
    kept: NDArray[np.float64]
    duration_ns: int = 0
    clips: int = 0

    @classmethod
    def none(cls, truth: Ints, trials: int) -> Counts:
        """Return counts of no clip yet."""
        false, events = np.zeros((2, trials), np.int64)
        return cls(truth, np.zeros((trials, len(truth)), np.bool_), events, false, np.zeros(trials))

    def score(self, trial: int) -> Score:
        """Return the score of one trial on this camera."""
        hits = int(self.found[trial].sum())
        return Score(hits, len(self.truth) - hits, int(self.false_alarms[trial]), self.duration_ns)

    def scores(self) -> list[Score]:
        """Return the score of every trial on this camera."""
        return _scores(self.found.sum(1), len(self.truth), self.false_alarms, self.duration_ns)


@dataclass(slots=True, eq=False)
class Sweep:
    """The outcome of a sweep: the trials, what they came to on each camera, and the strongest motion there was.

    never: the trials that can give no event on any of the clips, with a reason; deaf: the cameras on which the settings
    in force can give none on some clip, with the reason.
    """

    trials: Sequence[Changes]
    cameras: dict[str, Counts] = field(default_factory=dict)
    never: dict[int, str] = field(default_factory=dict)
    deaf: dict[str, str] = field(default_factory=dict)
    peak: float = -math.inf
    cells: int = 0

    def fleet(self, trial: int) -> Score:
        """Return the score of one trial over all cameras."""
        first, *rest = (counts.score(trial) for counts in self.cameras.values())
        return sum(rest, first)

    def scores(self) -> list[Score]:
        """Return the score of every trial over all cameras."""
        cameras = self.cameras.values()
        hits = np.sum([counts.found.sum(1) for counts in cameras], axis=0)
        false = np.sum([counts.false_alarms for counts in cameras], axis=0)
        return _scores(hits, sum(len(one.truth) for one in cameras), false, sum(one.duration_ns for one in cameras))


def _scores(hits: Ints, truth: int, false: Ints, duration_ns: int) -> list[Score]:
    return [
        Score(found, truth - found, wrong, duration_ns)
        for found, wrong in zip(hits.tolist(), false.tolist(), strict=True)
    ]


def sweep(
    footage: Iterable[Footage], trials: Sequence[Changes], *, rule: TuneSettings, labels: Labels | None = None
) -> Sweep:
    """Try every setting on every clip, one clip in memory at a time. The first trial must change nothing.

    With labels, motion itself is scored: rolls are left out, for they would let an event reach a span it did not
    see; clips of cameras without labels are passed over. Without labels, the events in force (the first trial's,
    rolls included, weighted by their score) are what there is to find, so that a setting is known by what it
    would lose. Every event is what `detect` gives. Raises ConfigError when there is no clip, or a zone covers no cell.
    """
    if not trials or trials[0]:
        raise ValueError("the first trial stands for the settings in force and changes nothing")
    result = Sweep(trials)
    plans: dict[object, _Plan] = {}
    for item in footage:
        camera = item.clip.camera
        if labels is not None and camera not in labels:
            continue
        key = item.detection, item.pinned, item.activity.layout
        if (plan := plans.get(key)) is None:
            plan = plans[key] = _Plan(item, trials, rolls=labels is None)
        if IN_FORCE in plan.never:
            result.deaf.setdefault(camera, plan.never[IN_FORCE])
        if (counts := result.cameras.get(camera)) is None:
            truth = bounds(labels[camera]) if labels is not None else np.zeros((0, 2), np.int64)
            counts = result.cameras[camera] = Counts.none(truth, len(trials))
        seen = plan.look(item)
        result.peak, result.cells = max(result.peak, seen.peak), max(result.cells, seen.cells)
        _count(counts, item, plan, seen, rule=rule, labelled=labels is not None)
    if not result.cameras:
        raise ConfigError("there is no clip to tune on; `lamplighter ingest` takes clips in")
    common = set.intersection(*(set(plan.never) for plan in plans.values()))
    result.never = {trial: next(iter(plans.values())).never[trial] for trial in sorted(common)}
    return result


def _count(counts: Counts, item: Footage, plan: _Plan, seen: _Seen, *, rule: TuneSettings, labelled: bool) -> None:
    """Add what the choices of a plan came to on a clip to the counts of its camera."""
    choices, of = len(plan.choices), plan.choice_of
    if labelled:
        found, false = match(seen.events, seen.choice, counts.truth, choices, rule=rule)
        counts.found |= found[of]  # a true span may reach from clip to clip
    else:
        in_force = seen.events[seen.choice == of[IN_FORCE]]
        found, false = match(seen.events, seen.choice, in_force, choices, rule=rule)
        # What is rarer by chance weighs more, and everything weighs.
        weight = np.array([1 + max(0.0, event.score) for event in seen.in_force(item.detection)])
        counts.kept += (found @ weight)[of]
    counts.events += np.bincount(seen.choice, minlength=choices)[of]
    counts.false_alarms += false[of]
    counts.duration_ns += item.clip.footage_ns
    counts.clips += 1


class _Seen(NamedTuple):
    """What the choices of a plan came to on one clip.

    events: int64 (E, 2), their starts and ends in ns; choice: int64 (E,), whose each is. peak: the highest score of any
    moment; cells: the most connected ones that moved. evidence: what all of it is made of.
    """

    events: Ints
    choice: Ints
    peak: float
    cells: int
    evidence: Evidence

    def in_force(self, detection: Detection) -> list[Event]:
        """Return the events under some settings, rolls included."""
        return found_events(trace(self.evidence, detection), detection)


class _Plan:
    """How trials are tried on clips of one layout under the same settings in force, so that work is shared.

    choices: the different settings that the trials come to: where some are pinned, many trials are one choice.
    choice_of: int64 (T,), the choice of each trial. never: the trials that can give no event, with the reason.

    Choices under which the same moments are active are a row. Rows that judge cells alike share a trace; choices that
    make events of active moments alike share one call for all their rows.
    """

    def __init__(self, item: Footage, trials: Sequence[Changes], *, rolls: bool) -> None:
        kind = type(item.detection)
        off = {} if rolls else dict.fromkeys(settings_at(kind, Step.ROLLS), 0.0)
        tried = [item.under({**changes}).model_copy(update=off) for changes in trials]
        self.choices = list(dict.fromkeys(tried))
        number = {choice: n for n, choice in enumerate(self.choices)}
        self.choice_of = np.array([number[choice] for choice in tried], np.int64)
        reasons = [next(iter(obstacles(item.activity.layout, choice)), "") for choice in self.choices]
        self.never = {trial: reasons[n] for trial, n in enumerate(self.choice_of.tolist()) if reasons[n]}
        cells = attrgetter(*settings_at(kind, Step.CELLS))
        moments = attrgetter(*settings_at(kind, Step.CELLS, Step.MOMENTS))
        shape = attrgetter(*settings_at(kind, Step.JOIN, Step.STRETCHES, Step.ROLLS))
        row = {values: n for n, values in enumerate(dict.fromkeys(map(moments, self.choices)))}
        self.traces: dict[object, dict[int, Detection]] = {}  # by how cells are judged: the rows, a choice of each
        self.shapes: dict[object, tuple[Detection, Ints]] = {}  # a choice, and by row which one it is, or -1 for none
        for n, choice in enumerate(self.choices):
            mine = row[moments(choice)]
            self.traces.setdefault(cells(choice), {}).setdefault(mine, choice)
            _, of_row = self.shapes.setdefault(shape(choice), (choice, np.full(len(row), -1)))
            of_row[mine] = n

    def look(self, item: Footage) -> _Seen:
        """Return the events of every choice on a clip, and the strongest motion."""
        evidence = weigh(item.activity, item.usual)
        first, last, row, peak, cells = self._active(evidence)
        pts, whose = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.int64)]
        for choice, of_row in self.shapes.values():
            mine = of_row[row] >= 0
            found = event_stretches(evidence, first[mine], last[mine], choice, whose=row[mine])
            pts.append(np.stack([found.start, found.end], axis=1))
            whose.append(of_row[found.whose])
        events = item.times(np.concatenate(pts).ravel()).reshape(-1, 2)
        return _Seen(events, np.concatenate(whose), peak, cells, evidence)

    def _active(self, evidence: Evidence) -> tuple[Ints, Ints, Ints, float, int]:
        """Return the `unbroken` active moments of every row, which row each is of, and the strongest motion."""
        none = np.zeros(0, np.int64)
        firsts, lasts, whose = [none], [none], [none]
        peak, cells = -math.inf, 0
        for rows in self.traces.values():
            traced = trace(evidence, next(iter(rows.values())))
            peak = max(peak, evidence.score(int(traced.peak.max())))
            cells = max(cells, int(traced.cells.max()))
            for number, choice in rows.items():
                first, last = unbroken(active_moments(traced, choice))
                firsts.append(first)
                lasts.append(last)
                whose.append(np.full(len(first), number, np.int64))
        return np.concatenate(firsts), np.concatenate(lasts), np.concatenate(whose), peak, cells
