"""One scene at many frame rates, with exact truth: nothing that `measure` does may hang on 15 frames a second.

Cars and people are cut out by their labels as in `benchmarks/composites.py`, and move at their own pace whatever the
rate: of a fast car, a slow camera has one frame. Made at run time, never stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from benchmarks.composites import SIZE, Cutout, Footage, exposed, paste, people

U8 = NDArray[np.uint8]
Seconds = NDArray[np.float64]

RATES = (0.35, 1, 3, 8, 15, 30)  # frames per second
TIME_BASE = Fraction(1, 1000)
_FILMED = 25  # frames per second of the labelled sequences
_AT_LEAST, _AT_MOST = 150, 900  # frames, and a minute between both: slow cameras are looked at for longer


@dataclass(frozen=True, eq=False)
class Case:
    """Luma uint8 (N, H, W) at pts int64 (N,) of `TIME_BASE`, with its labels uint8 (N, H, W)."""

    frames: U8
    pts: NDArray[np.int64]
    masks: U8


@dataclass(frozen=True, eq=False)
class _Visit:
    """One mover, who comes at a time and stands still for a while halfway; all in seconds."""

    track: list[Cutout]
    start: float
    stands: float = 0

    def at(self, time: float) -> Cutout | None:
        """Return what is seen of it then."""
        half = len(self.track) / 2 / _FILMED
        since = time - self.start
        since -= min(max(since - half, 0), self.stands)
        number = math.floor(since * _FILMED)
        return self.track[number] if 0 <= number < len(self.track) else None


def steady(rate: float) -> Seconds:
    """Return the times of frames at one rate, in seconds."""
    return np.arange(round(min(max(60 * rate, _AT_LEAST), _AT_MOST))) / rate


def variable() -> Seconds:
    """Return the times of frames as cameras give them that save: 30 a second in one moment, one a second in another."""
    steps = np.exp(np.random.default_rng(1).uniform(math.log(1 / 30), 0, 400))
    return np.cumsum(np.convolve(steps, np.ones(12) / 12, "valid"))


def cars(footage: Footage, times: Seconds) -> Case:
    """Let cars pass on a motorway: one a second, which covers some spots for most of the time."""
    tracks = footage.tracks("highway", 40)
    rng = np.random.default_rng(2)
    starts = np.arange(-3, times[-1])  # seconds
    visits = [_Visit(tracks[int(rng.integers(len(tracks)))], float(start + rng.random())) for start in starts]
    return _filmed(footage, "highway", times, visits)


def hall(footage: Footage, times: Seconds) -> Case:
    """Let people walk through a hall, one every seven seconds; one in five stands there for a sixth of the time."""
    tracks = people(footage)
    visits = [
        _Visit(tracks[n % len(tracks)], float(start), times[-1] / 6 if n % max(5, len(times) // 20) == 1 else 0)
        for n, start in enumerate(np.arange(1, times[-1], 7))
    ]
    return _filmed(footage, "hall", times, visits)


def _filmed(footage: Footage, plate: str, times: Seconds, visits: list[_Visit]) -> Case:
    rng = np.random.default_rng(3)
    frames, masks = np.zeros((2, len(times), *SIZE), np.uint8)
    for n, time in enumerate(times.tolist()):
        canvas = footage.plate(plate).copy()
        for visit in visits:
            if (seen := visit.at(time)) is not None:
                paste(canvas, masks[n], seen)
        frames[n] = exposed(canvas, rng, 2)
    return Case(frames, np.round(times / float(TIME_BASE)).astype(np.int64), masks)


def _of(scene: Callable[[Footage, Seconds], Case], times: Callable[[], Seconds]) -> Callable[[Footage], Case]:
    return lambda footage: scene(footage, times())


def _steady(rate: float) -> Callable[[], Seconds]:
    return lambda: steady(rate)


CASES: dict[str, Callable[[Footage], Case]] = {
    f"{scene.__name__} {name}": _of(scene, times)
    for scene in (cars, hall)
    for name, times in [*((f"{rate} / s", _steady(rate)) for rate in RATES), ("variable", variable)]
}
