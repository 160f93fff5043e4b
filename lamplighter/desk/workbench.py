"""The workbench of the tuner: what a camera's clips of some time show, in memory while settings are tried on it."""

from __future__ import annotations

import functools
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

from lamplighter.desk.register import camera as camera_of
from pipeline.clip import Camera, Clip
from pipeline.detection.labels import scorable_labels
from pipeline.detection.night import is_night
from pipeline.detection.score import score
from pipeline.detection.series import Series, laid_out
from pipeline.errors import ConfigError, NotFound
from pipeline.span import NS, Span, merge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lamplighter.desk.habits import InForce
    from lamplighter.desk.holdings import Holdings
    from pipeline.activity import Activity
    from pipeline.detection.habits import Habits
    from pipeline.detection.layers import Layers
    from pipeline.detection.score import Score
    from pipeline.detection.trials import TuneSettings
    from pipeline.detection.usual import Usual
    from pipeline.layout import Layout
    from storage.archive import Ingested

    Ints: TypeAlias = NDArray[np.int64]

MOST_H: Final = 7 * 24
"""Footage that settings are tried on at once (hours)."""
_MOST_BYTES: Final = 768 * 2**20
_MOST_ACTIVITY: Final = 256 * 2**20
_FRESH_S: Final = 10.0  # clips that came in since are tried so much later


class Group(NamedTuple):
    """Clips of one half of the day, size and time base, laid end to end."""

    night: bool
    series: Series


@dataclass(frozen=True, eq=False)
class Tryout:
    """A camera's clips of some time with all that settings are tried on; nothing is read again for another setting.

    clips: those that start in `span`, in order of time. total, frames: float64 (R, C), the summed shares of the cells
    of the last clip's layout, and of how many frames. quiet_pts: the frame of the last clip in which least moves.
    """

    camera: Camera
    span: Span
    clips: tuple[Ingested, ...]
    groups: tuple[Group, ...]
    layout: Layout
    total: NDArray[np.float64]
    frames: int
    quiet_pts: int
    size: int
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def last(self) -> Clip:
        """The clip that stands for what the camera sees."""
        return self.clips[-1].clip

    @functools.cached_property
    def recorded(self) -> list[Span]:
        """When there is footage, in order; clips that follow each other at once are one."""
        return merge([part for one in self.clips for part in one.clip.recorded()])

    @property
    def bytes(self) -> int:
        """About how much memory it takes."""
        return self.size + sum(group.series.size for group in self.groups)

    def events(self, layers: Layers, *, rolls: bool = True) -> list[tuple[int, int]]:
        """Return when events are under these settings, (start, end) in ns in order; `rolls`: with what is kept around.

        Raises ConfigError for a zone that covers no cell.
        """
        found: list[tuple[int, int]] = []
        with self.lock:
            for night, series in self.groups:
                detection = layers.of(self.camera.id, night=night).detection
                if not rolls:
                    detection = detection.model_copy(update={"pre_roll_s": 0.0, "post_roll_s": 0.0})
                found += [(start, end) for start, end in series.events(detection).tolist()]
        return sorted(found)

    def score(self, layers: Layers, labels: Sequence[Span], rule: TuneSettings) -> Score | None:
        """Return what the events come to against true spans, None without any where there is footage."""
        inside = [span for span in labels if span & self.span]
        if not inside:
            return None
        try:
            truth, _ = scorable_labels({self.camera.id: inside}, {self.camera.id: self.recorded})
        except ConfigError:  # none of them lies in a clip
            return None
        spans = [Span(start, end) for start, end in self.events(layers, rolls=False)]
        duration_ns = sum(one.clip.footage_ns for one in self.clips)
        return score(spans, truth[self.camera.id], duration_ns=duration_ns, rule=rule)

    def scores(self, layers: Layers, at: Callable[[Ints], Ints], count: int) -> list[float]:
        """Return the highest score of each of `count` columns; `at` says in which column each instant (ns) lies."""
        best = np.full(count, np.nan)
        with self.lock:
            for night, series in self.groups:
                detection = layers.of(self.camera.id, night=night).detection
                best = np.fmax(best, series.scores(detection, at(series.times()), count))
        scores: list[float] = best.tolist()
        return scores


@dataclass(eq=False)
class Workbench:
    """The tryouts that were asked for last, as many as `most` bytes hold, and the last one in any case."""

    most: int = _MOST_BYTES
    _asked: dict[tuple[str, str, Span], tuple[float, str]] = field(default_factory=dict)
    _kept: OrderedDict[str, Tryout] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def tryout(self, holdings: Holdings, name: str, span: Span, habits: InForce) -> Tryout:
        """Return the clips of a camera that start in a span, to try settings on; see Desk.tryout."""
        asked = holdings.archive.store.url, name, span
        with self._lock:
            at_s, key = self._asked.get(asked, (-_FRESH_S, ""))
            # To list a day of clips costs more than to try settings on them.
            if time.monotonic() - at_s < _FRESH_S and key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        camera = camera_of(holdings, name)
        catalog = holdings.catalog
        clips = [one for one in catalog.clips(camera.id, span) if span.start_ns <= one.clip.start_ns < span.end_ns]
        if not clips:
            raise NotFound(f"camera {camera.id} has no clip that starts in {span}")
        if (hours := sum(one.clip.footage_ns for one in clips) / (3600 * NS)) > MOST_H:
            raise ConfigError(f"{hours:,.0f} hours of footage lie in {span}; choose a time with {MOST_H} at most")
        key = _key(holdings, camera, span, clips, habits)
        with self._lock:
            self._asked = {one: told for one, told in self._asked.items() if time.monotonic() - told[0] < _FRESH_S}
            self._asked[asked] = time.monotonic(), key
            if (known := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return known
        with self._turn:  # two at once would take twice the memory, and both cores
            with self._lock:
                known = self._kept.get(key)
            if known is None:
                known = _made(holdings, camera, span, clips, habits)
            with self._lock:
                self._kept[key] = known
                while len(self._kept) > 1 and sum(one.bytes for one in self._kept.values()) > self.most:
                    self._kept.popitem(last=False)
        return known


def _key(holdings: Holdings, camera: Camera, span: Span, clips: list[Ingested], habits: InForce) -> str:
    where = holdings.archive.store.url, camera, span
    told = hashlib.sha256(repr((where, habits.digest(camera.id), holdings.settings.darkness)).encode())
    for one in clips:
        told.update(f"{one.clip.id}\0{one.activity}\0{one.version}\n".encode())
    return told.hexdigest()


class _Kept:
    """Activities that were read, in memory up to a bound, the others in the store."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings, self.bytes = holdings, 0
        self._held: dict[str, Activity] = {}

    def read(self, one: Ingested) -> Activity:
        """Return the activity of a clip."""
        if (known := self._held.get(one.clip.id)) is not None:
            return known
        activity = self._holdings.archive.activity(one)
        if self.bytes + activity.share.nbytes <= _MOST_ACTIVITY:
            self._held[one.clip.id] = activity
            self.bytes += activity.share.nbytes
        return activity


def _made(holdings: Holdings, camera: Camera, span: Span, clips: list[Ingested], habits: InForce) -> Tryout:
    settings, kept, known = holdings.settings, _Kept(holdings), habits.of(camera.id)
    layout = kept.read(clips[-1]).layout
    total, frames, quiet_pts = np.zeros((layout.rows, layout.columns)), 0, 0
    kinds: list[tuple[tuple[bool, Layout, object], Ingested]] = []
    for one in clips:
        activity = kept.read(one)
        night = is_night(settings.darkness, camera, start_ns=one.clip.start_ns, luma=activity.luma)
        kinds.append(((night, activity.layout, activity.time_base), one))
        if activity.layout == layout:
            total += activity.share.sum(0, dtype=np.int64)
            frames += len(activity.pts)
            quiet_pts = int(activity.pts[activity.share.sum((1, 2), dtype=np.uint32).argmin()])
    groups = []
    kinds.sort(key=lambda pair: repr(pair[0]))
    for (night, _, _), members in groupby(kinds, key=lambda pair: pair[0]):
        mine = [one for _, one in members]
        groups.append(Group(night, _series(settings.layers, camera, mine, kept.read, known, night=night)))
    return Tryout(camera, span, tuple(clips), tuple(groups), layout, total, frames, quiet_pts, kept.bytes)


def _series(
    layers: Layers,
    camera: Camera,
    clips: list[Ingested],
    read: Callable[[Ingested], Activity],
    known: Habits | None,
    *,
    night: bool,
) -> Series:
    def each() -> Iterator[tuple[Clip, Activity, Usual]]:
        for one in clips:
            activity = read(one)
            yield one.clip, activity, layers.for_clip(camera, one.clip, activity, known).usual

    return laid_out(each(), layers.of(camera.id, night=night).detection, read=lambda n: read(clips[n]))


BENCH: Final = Workbench()
"""That of this process."""
