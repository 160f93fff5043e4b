"""Why a clip has these events, or none: what each setting leaves of its time, and what would have to change."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pipeline.detection.detect import Event, active_moments, event_stretches, events
from pipeline.detection.evidence import weigh
from pipeline.detection.gates import (
    CellGate,
    Detection,
    Gate,
    InForce,
    MomentGate,
    Step,
    StretchGate,
    Value,
    settings_at,
    table,
)
from pipeline.detection.stretches import Stretches, joined_stretches, unbroken
from pipeline.detection.tracer import trace, view_of
from pipeline.detection.usual import FLEET, Usual

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from pipeline.activity import Activity
    from pipeline.layout import Layout

    Bools: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Strongest:
    """The cell that moved most of all, watched or not: when, its place in the grid from 0, its share 0 to 1.

    score: how rare it is by chance (see `Event`); threshold: the score from which it is decided that somebody moves;
    usual: the share of the cell that is usual there then, as strong as what is usual of 3 x 3 cells.
    """

    pts: int
    row: int
    column: int
    share: float
    watched: bool
    score: float
    usual: float


@dataclass(frozen=True, slots=True)
class Left:
    """A gate, in the order they are applied, and how many frames are left after it.

    setting: the names of its settings with a comma between them; "cold" for the frames before the background was known.
    """

    setting: str
    frames: int


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch in which watched cells moved: `start_pts` <= t < `end_pts`, without rolls, frames `gap_s` apart joined.

    dropped_by: the setting because of which it holds no event, "" when it holds one; got: the nearest it came to what
    was wanted of it, in the setting's unit; why: the same in words, "" when it holds an event.
    """

    start_pts: int
    end_pts: int
    dropped_by: str = ""
    got: float = 0.0
    wanted: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Remedy:
    """One setting that would by itself give an event, at the value nearest to the present one, and when that starts."""

    setting: str
    value: Value
    start_pts: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """What `detect` did to one activity. `strongest` is None when nothing moved at all; `remedies` are for no events.

    frames: of the clip; cold: those before its background was known. threshold: the score from which a cell moves.
    past_h: hours of the camera's past that say what is usual, 0: the clip and the fleet alone do. scores: (pts, score,
    usual) of each second, the strongest watched cell's and what is usual there, as a share of the cell. obstacles: why
    these settings can never find anything in a picture of this size.
    """

    frames: int
    cold: int
    threshold: float
    past_h: float
    scores: tuple[tuple[int, float, float], ...]
    strongest: Strongest | None
    steps: tuple[Left, ...]
    runs: tuple[Run, ...]
    events: tuple[Event, ...]
    obstacles: tuple[str, ...]
    remedies: tuple[Remedy, ...]


def explain(activity: Activity, detection: Detection, usual: Usual = FLEET) -> Explanation:
    """Return why `detect` finds what it finds. Raises ConfigError for a zone that covers no cell."""
    return _Explainer(activity, detection, usual).explanation()


def obstacles(layout: Layout, detection: Detection) -> list[str]:
    """Return why the settings can never find an event in pictures of some layout, none when they can.

    Raises ConfigError for a zone that covers no cell.
    """
    view, said = view_of(layout, detection), []
    for _, gate in table(type(detection)):
        if reason := gate.obstacle(view, detection):
            said.append(reason)
            if isinstance(gate, CellGate):  # no cell is left that the other gates could speak of
                break
    return said


class _Explainer:
    """An activity under some settings, with what every moment is to their gates."""

    def __init__(self, activity: Activity, detection: Detection, usual: Usual) -> None:
        self.activity, self.detection = activity, detection
        self.gates = table(type(detection))
        self.evidence = weigh(activity, usual)
        self.trace = trace(self.evidence, detection)
        every = np.ones(len(self.trace.peak), np.bool_)
        self.passing: dict[Gate, Bools] = {}  # of each gate of cells or moments those it lets pass, bool (n,)
        for _, gate in self.gates:
            if isinstance(gate, CellGate | MomentGate):
                passes = gate.moments(self.trace, detection)
                self.passing[gate] = every if passes is None else passes
        self.active = active_moments(self.trace, detection)
        self.events = events(self.trace, detection)

    def explanation(self) -> Explanation:
        return Explanation(
            frames=len(self.activity.pts),
            cold=self.activity.cold,
            threshold=round(-math.log10(self.detection.sensitivity), 3),
            past_h=round(self.evidence.usual.hours, 3),
            scores=tuple(self._scores()),
            strongest=self._strongest(),
            steps=tuple(self._left()),
            runs=tuple(self._runs()),
            events=tuple(self.events),
            obstacles=tuple(obstacles(self.activity.layout, self.detection)),
            remedies=() if self.events else tuple(self._remedies()),
        )

    def _strongest(self) -> Strongest | None:
        evidence = self.evidence
        if not evidence.beyond.any():
            return None
        k, column, row = (int(at) for at in np.unravel_index(evidence.beyond.argmax(), evidence.beyond.shape))
        moment = int(evidence.at[k])
        share = int(evidence.share[column, row, moment]) / 255
        watched = bool(self.trace.view.watched[row, column])
        score = round(evidence.score(int(evidence.beyond[k, column, row])), 3)
        usual = evidence.usual_share(column, row, k)
        return Strongest(int(evidence.pts[moment]), row, column, share, watched, score, usual)

    def _scores(self) -> Iterator[tuple[int, float, float]]:
        evidence = self.evidence
        seconds = (evidence.pts - evidence.pts[0]) * evidence.time_base.numerator // evidence.time_base.denominator
        starts = np.flatnonzero(np.diff(seconds, prepend=-1))
        for first, last in zip(starts.tolist(), [*starts[1:].tolist(), len(evidence.pts)], strict=True):
            moment = first + int(self.trace.peak[first:last].argmax())
            score, usual = evidence.score(int(self.trace.peak[moment])), 0.0
            if self.trace.peak[moment]:
                k = int(np.searchsorted(evidence.at, moment))
                seen = self.trace.beyond[k]
                column, row = (int(at) for at in np.unravel_index(seen.argmax(), seen.shape))
                usual = evidence.usual_share(column, row, k)
            yield int(evidence.pts[first]), round(score, 3), usual

    def _left(self) -> Iterator[Left]:
        left = np.ones(len(self.active), np.bool_)
        for settings, gate in self.gates:
            if gate in self.passing:
                left = left & self.passing[gate]
                yield Left(", ".join(settings) or "cold", self._frames(left))
        found = self._joined(left)
        for settings, gate in self.gates:
            if isinstance(gate, StretchGate):
                found = found.where(gate.stretches(found, self.activity.time_base, self.detection))
                rolled = found.with_rolls(
                    self.evidence, pre_s=self.detection.pre_roll_s, post_s=self.detection.post_roll_s
                )
                inside = np.zeros_like(left)
                for part in _parts(rolled):
                    inside[part] = left[part]
                yield Left(", ".join(settings), self._frames(inside))

    def _frames(self, moments: Bools) -> int:
        """Return how many frames some moments hold."""
        return int(self.evidence.frames[moments].sum())

    def _joined(self, moments: Bools) -> Stretches:
        """Return the stretches of some moments, of which none is dropped and none has rolls."""
        first, last = unbroken(moments)
        return joined_stretches(self.evidence, first, last, np.zeros_like(first), gap_s=self.detection.gap_s)

    def _runs(self) -> Iterator[Run]:
        moving = np.all([passes for gate, passes in self.passing.items() if gate.step <= Step.CELLS], axis=0)
        happened = np.zeros(len(moving), np.bool_)
        for part in _parts(event_stretches(self.evidence, *unbroken(self.active), self.detection)):
            happened[part] = True
        happened &= self.active
        found = self._joined(moving)
        for start, end, part in zip(found.start.tolist(), found.end.tolist(), _parts(found), strict=True):
            yield Run(start, end) if happened[part].any() else self._dropped(start, end, part)

    def _dropped(self, start: int, end: int, part: slice) -> Run:
        """Return a run with the first setting that leaves nothing of it, what it came to, and what was wanted."""
        left = np.zeros(len(self.active), np.bool_)
        left[part] = True
        for settings, gate in self.gates:
            if isinstance(gate, MomentGate):
                passing = left & self.passing[gate]
                if not passing.any():
                    got = gate.nearest(self.trace, self.detection, np.flatnonzero(left))
                    return self._run(start, end, gate, settings[0], got)
                left = passing
        found = self._joined(left)
        for settings, gate in self.gates:
            if isinstance(gate, StretchGate):
                kept = found.where(gate.stretches(found, self.activity.time_base, self.detection))
                if not len(kept.start):
                    got = gate.nearest(found, self.activity.time_base, self.detection)
                    return self._run(start, end, gate, settings[0], got)
                found = kept
        raise AssertionError("every gate lets some of a run pass that is in no event")

    def _run(self, start: int, end: int, gate: Gate, setting: str, got: float) -> Run:
        wanted = float(getattr(self.detection, setting))
        return Run(start, end, setting, got, wanted, gate.words.format(got=got, wanted=wanted))

    def _remedies(self) -> Iterator[Remedy]:
        in_force = InForce(self.trace, self._joined(self.active), self.activity.time_base)
        for settings, gate in self.gates:
            for setting in settings:
                values = gate.looser(setting, in_force, self.detection)
                nearest = _nearest(values, functools.partial(self._first, setting))
                if nearest is not None:
                    value, event = nearest
                    yield Remedy(setting, value, event.start_pts)

    def _first(self, setting: str, value: Value) -> Event | None:
        """Return the first event with one setting changed."""
        kind = type(self.detection)
        changed = kind.model_validate(self.detection.model_dump() | {setting: value})
        anew = setting in settings_at(kind, Step.CELLS)
        found = events(trace(self.evidence, changed) if anew else self.trace, changed)
        return found[0] if found else None


def _parts(stretches: Stretches) -> Iterable[slice]:
    """Return the moments of each stretch."""
    return map(slice, stretches.first.tolist(), stretches.last.tolist())


def _nearest(values: Sequence[Value], first: Callable[[Value], Event | None]) -> tuple[Value, Event] | None:
    """Return the first value that gives an event, and the event: of values each looser than the one before it."""
    if not values or (found := first(values[-1])) is None:
        return None
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high) // 2
        event = first(values[middle])
        if event is not None:
            high, found = middle, event
        else:
            low = middle + 1
    return values[high], found
