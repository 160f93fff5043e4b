"""Tunes detection over stored activity: true spans, the rule that matches events to them, the sweep, the suggestion.

Nothing here decodes: `trace` is paid once for each clip and sensitivity, the rest of a grid is arithmetic on runs, all
settings at once.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.activity import Activity
from pipeline.clip import Clip
from pipeline.detection.detect import Detection, active_frames, detect, runs, stretches_of, trace
from pipeline.detection.explain import obstacles
from pipeline.detection.labels import Labels
from pipeline.errors import ConfigError
from pipeline.span import NS, Span

Changes: TypeAlias = Mapping[str, float]
"""Knobs of `Detection` with the values to try; what is not named stays as it is in force."""
Ints: TypeAlias = NDArray[np.int64]

SWEPT = ("sensitivity", "min_cells", "travel", "max_area", "min_event_s", "gap_s")
"""The knobs a grid is made of; zones and rolls are the operator's choice, no measure of what was found."""

IN_FORCE, DEFAULT, GRID = 0, 1, 2
"""Where trials stand: the settings in force, the shipped default, and from there on the grid."""

_MOST = 20_000  # settings of one grid: found and false alarms of each are held for every camera
_PER_DAY = {"hour": Fraction(24), "day": Fraction(1), "week": Fraction(1, 7)}


class TuneSettings(BaseModel):
    """The grid that is swept (500 settings by default), and the rule that matches events to true spans."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sensitivity: tuple[float, ...] = Field(
        (0.1, 0.15, 0.2, 0.3, 0.45), min_length=1, description="values to try (as in detection)"
    )
    min_cells: tuple[int, ...] = Field((1, 2, 3, 5, 8), min_length=1, description="values to try (as in detection)")
    travel: tuple[float, ...] = Field((0.0, 0.05), min_length=1, description="values to try (as in detection)")
    max_area: tuple[float, ...] = Field((0.6,), min_length=1, description="values to try (as in detection)")
    min_event_s: tuple[float, ...] = Field(
        (0.0, 0.3, 0.6, 1.0, 2.0), min_length=1, description="values to try (as in detection)"
    )
    gap_s: tuple[float, ...] = Field((2.0, 5.0), min_length=1, description="values to try (as in detection)")
    overlap_s: float = Field(0.0, ge=0, le=60, description="an event and a true span must share this, 0: anything (s)")
    cover: float = Field(0.25, ge=0, le=1, description="true spans must fill this much of an event (share of its time)")
    min_labels: int = Field(10, ge=1, le=10_000, description="a camera with fewer true spans keeps the fleet's (count)")
    near: float = Field(0.15, ge=0, le=1, description="rates this near the target are equally good (share of it)")

    @model_validator(mode="after")
    def _knobs_fit(self) -> TuneSettings:
        size = 1
        for name in SWEPT:
            values = getattr(self, name)
            size *= len(values)
            for value in values:
                try:
                    Detection.model_validate({name: value})
                except ValidationError as error:
                    raise ValueError(f"{name}: {error.errors()[0]['msg']}, got {value}") from error
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: every value once, got {list(values)}")
        if size > _MOST:
            raise ValueError(f"a grid has at most {_MOST:,} settings, got {size:,}; give fewer values for a knob")
        return self

    def shape(self) -> tuple[int, ...]:
        """Return how many values each knob of `SWEPT` has."""
        return tuple(len(getattr(self, name)) for name in SWEPT)

    def grid(self) -> list[dict[str, float]]:
        """Return every setting of the grid, the last knob of `SWEPT` changing first."""
        return [
            dict(zip(SWEPT, values, strict=True))
            for values in itertools.product(*(getattr(self, name) for name in SWEPT))
        ]

    def trials(self) -> list[Changes]:
        """Return what a sweep tries: nothing changed, the shipped default, and the grid."""
        return [{}, {name: getattr(Detection(), name) for name in SWEPT}, *self.grid()]


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
    found, false = _match(_bounds(events), np.zeros(len(events), np.int64), _bounds(truth), 1, rule=rule)
    hits = int(found.sum())
    return Score(hits, len(truth) - hits, int(false[0]), duration_ns)


def missed(events: Sequence[Span], truth: Sequence[Span], *, rule: TuneSettings) -> list[Span]:
    """Return the true spans, which are apart, that no event finds, in order; see `score` for the rule."""
    found, _ = _match(_bounds(events), np.zeros(len(events), np.int64), _bounds(truth), 1, rule=rule)
    return [span for span, hit in zip(sorted(truth), found[0], strict=True) if not hit]


def _bounds(spans: Sequence[Span]) -> Ints:
    """Return int64 (n, 2), start and end in ns, in order."""
    return np.array([(span.start_ns, span.end_ns) for span in sorted(spans)], np.int64).reshape(-1, 2)


def _match(
    events: Ints, trial: Ints, truth: Ints, trials: int, *, rule: TuneSettings
) -> tuple[NDArray[np.bool_], Ints]:
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


@dataclass(frozen=True, slots=True, eq=False)
class Footage:
    """One clip with its stored activity and the settings in force for it.

    pinned: knobs that a narrower section of the settings holds for this clip; no trial changes them.
    """

    clip: Clip
    activity: Activity
    detection: Detection
    pinned: frozenset[str] = frozenset()

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
    peak: float = 0.0
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
    rolls included, weighted by peak times cells) are what there is to find, so that a setting is known by what it
    would lose. Every event is what `detect` gives. Raises ConfigError when there is no clip, or a zone covers no cell.
    """
    if not trials or trials[0]:
        raise ValueError("the first trial stands for the settings in force and changes nothing")
    result = Sweep(trials)
    plans: dict[object, _Trials] = {}
    for item in footage:
        camera = item.clip.camera
        if labels is not None and camera not in labels:
            continue
        picture = (item.activity.share.shape[1:], item.activity.width, item.activity.height)
        plan = plans.get((item.detection, item.pinned, picture))
        if plan is None:
            plan = plans[item.detection, item.pinned, picture] = _Trials(item, trials, rolls=labels is None)
        events, whose = plan.events(item, result)
        if IN_FORCE in plan.never:
            result.deaf.setdefault(camera, plan.never[IN_FORCE])
        counts = result.cameras.get(camera)
        if counts is None:
            truth = _bounds(labels[camera]) if labels is not None else np.zeros((0, 2), np.int64)
            counts = result.cameras[camera] = Counts.none(truth, len(trials))
        if labels is None:
            mine = detect(item.activity, item.detection)
            in_force = events[whose == plan.of[IN_FORCE]]
            found, false = _match(events, whose, in_force, plan.size, rule=rule)
            counts.kept += (found @ np.array([event.peak * event.cells for event in mine]))[plan.of]
        else:
            found, false = _match(events, whose, counts.truth, plan.size, rule=rule)
            counts.found |= found[plan.of]  # a true span may reach from clip to clip
        counts.events += np.bincount(whose, minlength=plan.size)[plan.of]
        counts.false_alarms += false[plan.of]
        counts.duration_ns += item.clip.span.duration_ns
        counts.clips += 1
    if not result.cameras:
        raise ConfigError("there is no clip to tune on; `lamplighter ingest` takes clips in")
    common = set.intersection(*(set(plan.never) for plan in plans.values()))
    result.never = {trial: next(iter(plans.values())).never[trial] for trial in sorted(common)}
    return result


class _Trials:
    """The settings of all trials for clips under the same settings in force, ordered so that work is shared.

    of: int64 (T,), which of `size` different settings each trial is: where knobs are pinned, many are alike.
    never: the trials that can give no event in a picture of this size, with the reason.
    """

    def __init__(self, item: Footage, trials: Sequence[Changes], *, rolls: bool) -> None:
        off: Changes = {} if rolls else {"pre_roll_s": 0.0, "post_roll_s": 0.0}
        tried = [item.under({**changes}).model_copy(update=off) for changes in trials]
        different = {chosen: number for number, chosen in enumerate(dict.fromkeys(tried))}
        self.of = np.array([different[chosen] for chosen in tried], np.int64)
        self.size = len(different)
        self.never: dict[int, str] = {}
        self.seen = False
        # Settings with the same active frames are a row; those that join them alike share one call for all rows.
        row = {knobs: number for number, knobs in enumerate(dict.fromkeys(map(_activating, different)))}
        self.row = np.array([row[_activating(chosen)] for chosen in tried], np.int64)
        self.rows: dict[float, dict[int, Detection]] = {}
        self.joins: dict[tuple[float, ...], tuple[Detection, Ints]] = {}
        for chosen, number in different.items():
            mine = row[_activating(chosen)]
            self.rows.setdefault(chosen.sensitivity, {}).setdefault(mine, chosen)
            _, settings = self.joins.setdefault(_joining(chosen), (chosen, np.full(len(row), -1)))
            settings[mine] = number

    def events(self, item: Footage, result: Sweep) -> tuple[Ints, Ints]:
        """Return the events of all settings, int64 (E, 2) in ns, and whose each is; note the strongest motion."""
        activity = item.activity
        firsts, lasts, whose = [], [], []
        for rows in self.rows.values():
            traced = trace(activity, next(iter(rows.values())))
            if any(chosen.travel for chosen in rows.values()):
                _ = traced.regions  # holds what `cells` asks for, so that nothing is labelled twice
            most = int(traced.cells.max())
            result.cells = max(result.cells, most)
            result.peak = max(result.peak, int(traced.peak.max()) / 255)
            for number, chosen in rows.items():
                if not self.seen and (reasons := obstacles(traced, chosen)):
                    self.never |= dict.fromkeys(np.flatnonzero(self.row == number).tolist(), reasons[0])
                if most < chosen.min_cells:
                    continue
                first, last = runs(active_frames(activity, traced, chosen))
                firsts.append(first)
                lasts.append(last)
                whose.append(np.full(len(first), number, np.int64))
        self.seen = True
        if not sum(map(len, firsts)):
            return np.zeros((0, 2), np.int64), np.zeros(0, np.int64)
        first, last, row = (np.concatenate(parts) for parts in (firsts, lasts, whose))
        starts, ends, settings = [], [], []
        for chosen, of_row in self.joins.values():
            mine = of_row[row] >= 0
            start, end, _, _, found = stretches_of(activity, first[mine], last[mine], row[mine], chosen)
            starts.append(start)
            ends.append(end)
            settings.append(of_row[found])
        pts = np.concatenate([*starts, *ends])
        return item.times(pts).reshape(2, -1).T, np.concatenate(settings)


def _activating(chosen: Detection) -> tuple[float, ...]:
    """Return the knobs that decide which frames are active."""
    return chosen.sensitivity, chosen.min_cells, chosen.travel, chosen.max_area


def _joining(chosen: Detection) -> tuple[float, ...]:
    """Return the knobs that make events of active frames."""
    return chosen.min_event_s, chosen.gap_s, chosen.pre_roll_s, chosen.post_roll_s


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


def parse_rate(text: str) -> Fraction:
    """Return events a day from a text such as 6/day, 0.5/hour or 20/week. Raises ConfigError for any other."""
    found = re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(?:/|per)\s*(hour|day|week)\s*", text, re.IGNORECASE)
    if found is None or not Fraction(found[1]):
        raise ConfigError(f"--target: wanted a number above 0 per hour, day or week, such as 6/day, got {text!r}")
    return Fraction(found[1]) * _PER_DAY[found[2].lower()]


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
