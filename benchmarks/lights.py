"""Scenes whose light changes, with exact truth: the people and places of `benchmarks/composites.py` in another light.

A light is a function of the picture and the time, laid over the scene and its visitors alike. Every light is shown
with people who walk, with people who stand, and with nobody: 255 moves, and all that the light does is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.filters import gaussian

from benchmarks.composites import (
    COUNT,
    F32,
    HEIGHT,
    RATE,
    SIZE,
    WIDTH,
    Case,
    Footage,
    Show,
    exposed,
    passing,
    paste,
    people,
    standing,
)

VISITORS = "walk", "stand"
SETTLED_S = 4  # after its change a light may cost this long
_MOVES = 26  # of 255: a tenth of a cell
_SLOW = 5  # frames a second of a drift that lasts longer than a minute

Light = Callable[[F32, float], F32]  # a picture float32 (H, W) and the second: the picture in the light of then


@dataclass(frozen=True)
class Lighting:
    """A light over a plate. changes: (start, end) in seconds, of each time that it is another than before."""

    plate: str
    light: Light
    changes: tuple[tuple[float, float], ...]
    seconds: int = 60

    @property
    def rate(self) -> int:
        """Frames per second."""
        return RATE if self.seconds * RATE <= COUNT else _SLOW

    def settled(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Tell which frames are in a light that began to stay more than `SETTLED_S` before: bool (N,)."""
        at = np.arange(self.seconds * self.rate) / self.rate
        changing: np.ndarray[tuple[int], np.dtype[np.bool_]] = np.any(
            [(start <= at) & (at < end + SETTLED_S) for start, end in self.changes], axis=0
        )
        return ~changing


def case(name: str, visitors: str, footage: Footage) -> Case:
    """Return a light with some `VISITORS`."""
    lighting = LIGHTS[name]
    count, rate = lighting.seconds * lighting.rate, lighting.rate
    shows = _shows(visitors, footage, count, rate)
    plate, rng = footage.plate(lighting.plate), np.random.default_rng(12)
    frames, masks = np.empty((2, count, *SIZE), np.uint8)
    masks[:] = 0
    for n in range(count):
        canvas = plate.copy()
        for show in shows:
            if (seen := show[n]) is not None:
                paste(canvas, masks[n], seen)
        frames[n] = exposed(lighting.light(canvas, n / rate), rng, 2)
    return Case(frames, masks)


def _shows(visitors: str, footage: Footage, count: int, rate: int) -> list[Show]:
    crowd = people(footage)
    starts = range(3 * rate, count - 3 * rate, 8 * rate)
    step = 25 // rate if rate < RATE else 2
    walk = [passing(crowd[i % len(crowd)], start, step=step, count=count) for i, start in enumerate(starts)]
    """Return who is seen: "walk", "stand", or nobody."""
    if visitors == "walk":
        return walk
    if visitors == "nobody":
        return []
    # One stands through every change, another comes in the light of the middle and stays for most of it.
    first = standing(crowd[0], round(0.2 * count), round(0.6 * count), count=count)
    second = standing(crowd[2], round(0.45 * count), round(0.7 * count), count=count)
    return [first, second, *walk[::3]]


def _progress(at: float, start: float, length: float = 0.3) -> float:
    return min(1.0, max(0.0, (at - start) / length))


def _between(at: float, first: float, last: float, length: float = 0.3) -> float:
    """Return 1 from `first` to `last`, 0 before and after."""
    return _progress(at, first, length) - _progress(at, last, length)


def _spot(row: int, column: int, radius: float) -> F32:
    """Return how much a lamp lights each pixel, 0 to 1: float32 (H, W)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    cone: F32 = (1 / (1 + np.exp((np.hypot(y - row, x - column) - radius) / 6))).astype(np.float32)
    return cone


def _bars() -> F32:
    """Return what buildings and poles shade, 0 to 1, with hard edges."""
    shade = np.zeros(SIZE, np.float32)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    shade[(x + 0.6 * y < 190) & (y > 90)] = 1
    shade[(abs(x - 0.4 * y - 190) < 8) | (abs(x - 0.4 * y - 270) < 5)] = 1
    soft: F32 = gaussian(shade, 1.0).astype(np.float32)  # type: ignore[no-untyped-call]
    return soft


def _dim(left: float) -> Lighting:
    def light(picture: F32, at: float) -> F32:
        return picture * np.float32(1 - (1 - left) * _between(at, 20, 50))

    return Lighting("hall", light, ((20, 20.3), (50, 50.3)))


def _lamp() -> Lighting:
    cone = _spot(150, 90, 70)

    def light(picture: F32, at: float) -> F32:
        return picture * (1 - np.float32(0.55 * _between(at, 18, 44)) * cone)

    return Lighting("hall", light, ((18, 18.3), (44, 44.3)))


def _steps() -> Lighting:
    """Let three lamps go off one after another and on again, over a light that stays."""
    cones = [_spot(60, 60, 90), _spot(120, 260, 100), _spot(210, 120, 80)]
    spans = [(20, 45), (22, 47), (24, 48)]

    def light(picture: F32, at: float) -> F32:
        lit = np.full(SIZE, 0.35, np.float32)
        for cone, span in zip(cones, spans, strict=True):
            lit += np.float32(0.45 * (1 - _between(at, *span))) * cone
        return picture * lit

    return Lighting("hall", light, ((20, 24.3), (45, 48.3)))


def _drift(start: float, length: float, seconds: int = 60) -> Lighting:
    """Let the sun go from where it lights the left and throws shadows to the right, half as bright."""
    slant = np.linspace(0.3, -0.3, WIDTH, dtype=np.float32)
    bright = (1 + slant) * (1 - np.float32(0.4) * _bars())
    dull = np.float32(0.55) * (1 - slant)

    def light(picture: F32, at: float) -> F32:
        lit: F32 = picture * (bright + (dull - bright) * np.float32(_progress(at, start, length)))
        return lit

    return Lighting("highway", light, ((start, start + length),), seconds)


def _clouds() -> Lighting:
    """Take the sun, and the shadows it throws, three times."""
    shade = _bars()

    def light(picture: F32, at: float) -> F32:
        dull = np.float32(sum(_between(at, *span) for span in ((10, 22, 2), (30, 36, 1), (44, 58, 3))))
        return picture * (np.float32(0.6) * dull + (1 - np.float32(0.5) * shade) * (1 - dull))

    return Lighting("highway", light, ((10, 12), (22, 24), (30, 31), (36, 37), (44, 47), (58, 60)))


def _exposure() -> Lighting:
    """Step through exposures every seven seconds; the brightest parts burn out."""
    gains = (1.0, 1.7, 1.2, 0.6, 0.9, 1.7, 0.6, 1.2, 1.0)

    def light(picture: F32, at: float) -> F32:
        step = min(int(at / 7), len(gains) - 1)
        before = gains[max(step - 1, 0)]
        return picture * np.float32(before + (gains[step] - before) * _progress(at, 7 * step, 0.4))

    return Lighting("highway", light, tuple((7.0 * n, 7 * n + 0.4) for n in range(1, 9)))


def _infrared() -> Lighting:
    """Take the filter from a camera: less contrast, the dark is brighter, and a lamp of its own is in the middle."""
    lamp = np.float32(0.7) + np.float32(0.5) * gaussian(_spot(130, 170, 60), 30).astype(np.float32)  # type: ignore[no-untyped-call]

    def light(picture: F32, at: float) -> F32:
        by_night = (35 + np.float32(0.6) * picture + 20 * np.exp(-picture / np.float32(40))) * lamp
        part = np.float32(_progress(at, 25, 0.5))
        lit: F32 = picture + (by_night - picture) * part
        return lit

    return Lighting("highway", light, ((25, 25.5),))


LIGHTS: dict[str, Lighting] = {
    "dims to .6": _dim(0.6),
    "dims to .4": _dim(0.4),
    "a lamp's part": _lamp(),
    "three lamps": _steps(),
    "drift of 2 s": _drift(28, 2),
    "drift of 10 s": _drift(22, 10),
    "drift of 60 s": _drift(0, 60),
    "drift of 300 s": _drift(30, 300, 360),
    "clouds": _clouds(),
    "exposure": _exposure(),
    "infrared": _infrared(),
}


def quiet(share: NDArray[np.uint8], lighting: Lighting) -> float:
    """Return the part of all cells that a light makes move once it is settled, with nobody there: 0 to 1."""
    settled = lighting.settled()
    return float((share[settled] >= _MOVES).mean()) if settled.any() else 0.0
