"""A series: many clips of one camera laid end to end, so that other settings are tried on all of them at once.

What `detect` pays for once a clip and setting is paid here once a setting: of a day in hundreds of clips that is
little. The events are the same, clip by clip.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar, cast

import numpy as np

from pipeline.detection.detect import active_moments, event_stretches
from pipeline.detection.evidence import Evidence, weigh
from pipeline.detection.regions import LABELLED, Regions, follow, largest_regions
from pipeline.detection.stretches import unbroken
from pipeline.detection.trace import Trace
from pipeline.detection.tracer import view_of
from pipeline.span import NS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.activity import Activity
    from pipeline.clip import Clip
    from pipeline.detection.gates import Detection
    from pipeline.detection.trace import View
    from pipeline.detection.usual import Usual
    from pipeline.layout import Layout

    Bools: TypeAlias = NDArray[np.bool_]
    Ints: TypeAlias = NDArray[np.int64]

K = TypeVar("K")
V = TypeVar("V")
_VIEWS, _LEVELS = 2, 24  # that are remembered of those tried last
_MOST_A_DAY = 100_000.0  # what is no event at this sensitivity is one at none: it is not kept


class Part(NamedTuple):
    """A clip of a series, what is usual before its camera then, and the power that has the strength 1."""

    clip: Clip
    usual: Usual
    scale: float


class Shown(NamedTuple):
    """What some watched cells show, in the moments that can matter at any setting.

    at: int64 (k,), which moments; beyond: uint16 (k, C, R), their amplitudes; peak: uint16 (n,), the strongest of each
    of all moments.
    """

    at: Ints
    beyond: NDArray[np.uint16]
    peak: NDArray[np.uint16]


class _Times(NamedTuple):
    """When the moments of a clip are, how much of the picture moves in each, and where its background was known."""

    pts: Ints
    end_pts: int
    holes: tuple[tuple[int, int], ...]
    area: NDArray[np.float64]
    warm: Bools


@dataclass(frozen=True, eq=False)
class Series:
    """Clips of one camera of one size and time base, in order, which settings are tried on; see `laid_out`.

    pts: int64 (n,), when the moments of all of them begin, those of a clip `shift` ticks later than they are, so that a
    hole lies between two clips. owner: int64 (n,), which clip each is of. area: float64 (n,), the mean share of the
    picture; warm: bool (n,), whether the background was known. read: gives the activity of a clip once more.
    """

    parts: tuple[Part, ...]
    layout: Layout
    time_base: Fraction
    pts: Ints
    end_pts: int
    holes: tuple[tuple[int, int], ...]
    owner: Ints
    shift: Ints
    area: NDArray[np.float64]
    warm: Bools
    read: Callable[[int], Activity]
    shown: dict[bytes, Shown] = field(default_factory=dict)
    cells: dict[tuple[bytes, float], Ints] = field(default_factory=dict)
    regions: dict[tuple[bytes, float], Regions] = field(default_factory=dict)
    known: dict[float, Ints] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """About how many bytes it holds in memory."""
        shown = sum(one.beyond.nbytes + one.peak.nbytes for one in self.shown.values())
        return shown + self.pts.nbytes * (5 + len(self.cells))

    def events(self, detection: Detection) -> Ints:
        """Return when the events of all clips are: int64 (E, 2), start and end in ns, clip by clip in order.

        They are those of `detect`. Raises ConfigError for a zone that covers no cell.
        """
        view = view_of(self.layout, detection)
        line = _Line(self, view, detection.sensitivity)
        found = event_stretches(self, *unbroken(active_moments(line, detection) & self.warm), detection)
        owner = self.owner[found.first]
        return np.stack([self.instants(found.start, owner), self.instants(found.end, owner)], axis=1)

    def times(self) -> Ints:
        """Return when each moment begins: int64 (n,), in ns."""
        return self.instants(self.pts, self.owner)

    def scores(self, detection: Detection, groups: Ints, count: int) -> NDArray[np.float64]:
        """Return the score (see `Event`) of the strongest watched cell in each of `count` groups: float64 (count,).

        groups: int64 (n,), which one each moment is in. Not a number where there is no moment.
        """
        peak = self.seen(view_of(self.layout, detection)).peak
        strength = peak.astype(np.float64) ** 2 / np.array([part.scale for part in self.parts])[self.owner]
        order = np.lexsort((strength, groups))
        strongest = order[np.append(groups[order][1:] != groups[order][:-1], True)]
        found = np.full(count, np.nan)
        for at in strongest.tolist():
            part = self.parts[int(self.owner[at])]
            found[groups[at]] = part.usual.operating.score(part.usual.strength(int(peak[at]), scale=part.scale))
        return found

    def levels(self, per_day: float) -> Ints:
        """Return from which amplitude on a cell moves, in each clip: int64 (clips,)."""
        if per_day not in self.known:
            found = [part.usual.level(per_day, scale=part.scale) for part in self.parts]
            self.known[per_day] = np.array(found, np.int64)
            _forget(self.known, _LEVELS)
        return self.known[per_day]

    def seen(self, view: View) -> Shown:
        """Return what the watched cells show: of other cells than before, every activity is read once more."""
        key = view.watched.tobytes()
        if key not in self.shown:
            pieces = (_piece(weigh(self.read(n), part.usual), view) for n, part in enumerate(self.parts))
            self.shown[key] = _joined(pieces)
            _forget(self.shown, _VIEWS)
        return self.shown[key]

    def instants(self, pts: Ints, owner: Ints) -> Ints:
        """Return instants of the series in ns, exactly as `Clip.time_ns` has them."""
        ticks = pts - self.shift[owner] - np.array([part.clip.stream.first_pts for part in self.parts], np.int64)[owner]
        tick = self.time_base * NS
        if len(ticks) and int(abs(ticks).max()) * tick.numerator >= 2**62:
            pairs = zip((pts - self.shift[owner]).tolist(), owner.tolist(), strict=True)
            return np.array([self.parts[whose].clip.time_ns(at) for at, whose in pairs], np.int64)
        starts = np.array([part.clip.start_ns for part in self.parts], np.int64)
        return starts[owner] + ticks * tick.numerator // tick.denominator

    @functools.cached_property
    def firsts(self) -> Ints:
        """Return the first moment of each clip, and one past the last: int64 (clips + 1,)."""
        return np.searchsorted(self.owner, np.arange(len(self.parts) + 1))

    @functools.cached_property
    def resumes(self) -> Ints:
        """Return the moments before which there is a hole, also that between two clips: int64 (h,)."""
        return np.searchsorted(self.pts, np.array([end for _, end in self.holes], np.int64))


class _Line(Trace):
    """The trace of a series: what the gates of moments ask of one clip, of all its clips at once."""

    def __init__(self, series: Series, view: View, per_day: float) -> None:
        shown = series.seen(view)
        # A level is of a clip. What asks for it, or for the evidence, is overridden below; the gates ask for no more.
        super().__init__(shown.peak, cast("Evidence", series), view, 0)
        facts = {"series": series, "shown": shown, "key": (view.watched.tobytes(), per_day)}
        self.__dict__.update(facts, levels=series.levels(per_day))

    series: Series
    shown: Shown
    key: tuple[bytes, float]
    levels: Ints

    @property
    def cold(self) -> int:
        """The moments of which the background was not known stand in `Series.warm`."""
        return 0

    @functools.cached_property
    def over(self) -> Bools:
        """Which moments have a watched cell that moves: bool (n,)."""
        over: Bools = self.peak >= self.levels[self.series.owner]
        return over

    @functools.cached_property
    def cells(self) -> Ints:
        """The size of each moment's largest connected region of moving watched cells."""
        if self.key not in self.series.cells:
            sizes, shown = np.zeros(len(self.peak), np.int64), self.shown
            busy = np.flatnonzero(self.over[shown.at])
            levels = self.levels[self.series.owner[shown.at[busy]]].astype(np.uint16)[:, None, None]
            for start in range(0, len(busy), LABELLED):
                part = slice(start, start + LABELLED)
                sizes[shown.at[busy[part]]] = largest_regions(shown.beyond[busy[part]] >= levels[part])
            self.series.cells[self.key] = sizes
            _forget(self.series.cells, _LEVELS)
        return self.series.cells[self.key]

    @functools.cached_property
    def regions(self) -> Regions:
        """Every region of every moment, and how far its motion travels."""
        if self.key not in self.series.regions:
            self.series.regions[self.key] = self._followed()
            _forget(self.series.regions, _LEVELS)
        return self.series.regions[self.key]

    def _followed(self) -> Regions:
        series, shown = self.series, self.shown
        bounds = np.searchsorted(shown.at, series.firsts).tolist()
        moving = np.flatnonzero(np.maximum.reduceat(self.over, series.firsts[:-1]))
        found = [Regions(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
        for clip in moving.tolist():
            part, level = slice(bounds[clip], bounds[clip + 1]), int(self.levels[clip])
            inside = (series.resumes > series.firsts[clip]) & (series.resumes < series.firsts[clip + 1])
            resumes = series.resumes[inside].tolist()
            found.append(follow(shown.beyond[part], shown.at[part], level=level, resumes=resumes))
        return Regions(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))

    def reaching(self, least: int) -> Bools:
        """Return bool (n,): the moments in which so many connected cells move."""
        return self.over if least == 1 else self.cells >= least

    def calm(self, most: float) -> Bools | None:
        """Return bool (n,): the moments whose mean share is at most so much."""
        return None if most >= 1 else self.series.area <= most


def laid_out(
    clips: Iterable[tuple[Clip, Activity, Usual]], detection: Detection, *, read: Callable[[int], Activity]
) -> Series:
    """Lay clips of one camera, size and time base end to end; at least one, each read once, one in memory at a time.

    read: gives the activity of the n-th of them once more, when other cells than those of `detection` are watched.
    Raises ConfigError for a zone that covers no cell, ValueError for clips that differ in size or time base.
    """
    parts, pieces, times, kinds = [], [], [], set()
    for clip, activity, usual in clips:
        evidence = weigh(activity, usual)
        kinds.add((activity.layout, activity.time_base))
        parts.append(Part(clip, usual, evidence.scale))
        pieces.append(_piece(evidence, view := view_of(activity.layout, detection)))
        area = evidence.area(np.arange(len(evidence.pts)))
        warm = np.arange(len(evidence.pts)) >= evidence.cold
        times.append(_Times(evidence.pts, evidence.end_pts, evidence.holes, area, warm))
    if len(kinds) != 1:
        raise ValueError(f"wanted clips of one size and time base, got {len(kinds)} kinds")
    ((layout, time_base),) = kinds
    shifts, holes, until = list[int](), list[tuple[int, int]](), 0
    for one in times:
        shift = until + 1 - int(one.pts[0])  # one tick is a hole, however long it was
        if shifts:
            holes.append((until, until + 1))
        shifts.append(shift)
        holes += [(start + shift, end + shift) for start, end in one.holes]
        until = one.end_pts + shift
    return Series(
        tuple(parts),
        layout,
        time_base,
        np.concatenate([one.pts + shift for one, shift in zip(times, shifts, strict=True)]),
        until,
        tuple(holes),
        np.repeat(np.arange(len(times)), [len(one.pts) for one in times]),
        np.array(shifts, np.int64),
        np.concatenate([one.area for one in times]),
        np.concatenate([one.warm for one in times]),
        read,
        {view.watched.tobytes(): _joined(pieces)},
    )


def _piece(evidence: Evidence, view: View) -> Shown:
    beyond = evidence.within(view.watched)
    strongest = beyond.reshape(len(beyond), beyond.shape[1] * beyond.shape[2]).max(1)
    peak = np.zeros(len(evidence.pts), np.uint16)
    peak[evidence.at] = strongest
    kept = strongest >= evidence.level(_MOST_A_DAY)
    return Shown(evidence.at[kept], beyond[kept][:, :-1, :-1], peak)


def _joined(pieces: Iterable[Shown]) -> Shown:
    found = list(pieces)
    before = np.cumsum([0, *(len(one.peak) for one in found)])
    return Shown(
        np.concatenate([one.at + first for one, first in zip(found, before.tolist(), strict=False)]),
        np.concatenate([one.beyond for one in found]),
        np.concatenate([one.peak for one in found]),
    )


def _forget(kept: dict[K, V], most: int) -> None:
    """Leave the `most` entries that were added last."""
    while len(kept) > most:
        del kept[next(iter(kept))]
