"""What is usual before a camera at one hour, and how strongly a clip shows more than that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.detection.gather import STEPS, Gathered, power
from pipeline.detection.operating import Operating

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    Amplitudes: TypeAlias = NDArray[np.uint16]
    F32: TypeAlias = NDArray[np.float32]

_OFF = 2.0  # times what is usual is taken off: leaves stray as far again from what they usually show
_BLOWS = (0.25, 0.5)  # of all that moves in gusts does at once: below it is none, above it is one, between both in part
_STIRS = 0.5  # of the power a cell shows in gusts: then it takes part in one
_WIDE = 0.05  # of the picture's cells take part at least: a doorstep does not blow
_SOME = 16.0  # power from which a cell can be said to move in gusts
_LEAST = 16.0  # power that is an event where nothing is restless: noise of a sensor comes to half of it, ...
_RESTLESS = 3.0  # ... and times the unrest, where something is: leaves have gusts
UNREST: Final = (20.0, 120.0)
"""Power: the unrest of a camera and a clip that say nothing of it, and the most that counts: people come again too."""
_TOLD = 1 / 16  # of the strength that is an event: what is less strong is nothing
_LASTS, _AT_MOST = 3, 40.0  # times counts what lasts for seconds, up to this power: only what is hardly seen at all


@dataclass(frozen=True, slots=True, eq=False)
class Usual:
    """What is usual before a camera at the time of a clip, and at which strength an event is decided.

    steady, gusts: float32 (C, R), powers of 3 x 3 cells (see `Gathered`), already weighed by how much is known; None
    where nothing is. unrest: see `Gathered`, None where it is not known. hours: of footage that tell so.
    """

    steady: F32 | None
    gusts: F32 | None
    operating: Operating
    unrest: float | None = None
    hours: float = 0.0

    def beyond(self, gathered: Gathered) -> Amplitudes:
        """Return the amplitude that cells show beyond what is usual: uint16 (k, C + 1, R + 1)."""
        usual, scale = self.of(gathered), self.scale(gathered)
        found = _less(gathered.brief, usual, _TOLD * scale)
        if scale >= _AT_MOST:
            return found
        most = np.uint16(STEPS * math.sqrt(_AT_MOST))
        lasts = np.minimum(_less(gathered.lasting, usual, _TOLD / _LASTS * scale), most)
        lasts *= np.uint16(round(64 * math.sqrt(_LASTS)))
        lasts >>= np.uint16(6)
        return np.maximum(found, np.minimum(lasts, most, out=lasts), out=lasts)

    def scale(self, gathered: Gathered) -> float:
        """Return the power beyond what is usual that has the strength 1, by how restless the clip and its camera are.

        It is what makes an event of a fleet of which nothing else is known.
        """
        unrest = self.unrest if gathered.unrest is None else gathered.unrest
        return _LEAST + _RESTLESS * min(UNREST[0] if unrest is None else unrest, UNREST[1])

    def strength(self, amplitude: float, *, scale: float) -> float:
        """Return the strength of an amplitude beyond what is usual; `scale` is the power that has the strength 1."""
        return (amplitude / STEPS) ** 2 / scale

    def level(self, per_day: float, *, scale: float) -> int:
        """Return the least amplitude that is an event where so many false events a day are tolerable."""
        return max(1, math.ceil(STEPS * math.sqrt(self.operating.strength(per_day) * scale) - 1e-6))

    def of(self, gathered: Gathered) -> F32:
        """Return the power that is usual, by the camera's past and the clip itself: float32 (1 or k, C + 1, R + 1)."""
        usual = gathered.own
        if self.steady is not None:
            usual = np.maximum(usual, np.pad(self.steady, (0, 1)))
        usual = usual[None] * np.float32(_OFF)
        blowing = None if self.gusts is None else _blowing(gathered.brief, self.gusts)
        if blowing is None or self.gusts is None:
            return usual
        return np.maximum(usual, np.pad(self.gusts, (0, 1)) * (blowing * np.float32(_OFF))[:, None, None])


FLEET: Final = Usual(None, None, Operating.known())
"""What is usual before a camera of which nothing is known."""


def _less(amplitude: Amplitudes, usual: F32, told: float) -> Amplitudes:
    """Return amplitudes less what is usual, as powers are, 0 for what has less power than can be told.

    amplitude: uint16 (k, C + 1, R + 1); usual: float32 (1 or k, C + 1, R + 1), powers; told: the least power.
    """
    flat = amplitude.reshape(len(amplitude), usual.shape[1] * usual.shape[2])
    off = usual.reshape(len(usual), flat.shape[1])
    cells = np.flatnonzero(off[0] if len(off) == 1 else off.any(0))
    if 2 * len(cells) > flat.shape[1]:  # to pick them out would cost more than all the others
        return _left(flat, off, told).reshape(amplitude.shape)
    found = flat * (flat >= max(1, math.ceil(STEPS * math.sqrt(told))))
    if len(cells):
        found[:, cells] = _left(flat[:, cells], off[:, cells], told)
    return found.reshape(amplitude.shape)


def _left(amplitude: Amplitudes, off: F32, told: float) -> Amplitudes:
    left = power(amplitude)
    left -= off
    left *= left >= told
    np.sqrt(left, out=left)
    left *= STEPS
    return left.astype(np.uint16)


def _blowing(shown: Amplitudes, gusts: F32) -> F32 | None:
    """Return in which moments what moves in gusts does so all at once: float32 (k,), 0 to 1; None where nothing can."""
    part = gusts >= _SOME  # bool (C, R)
    if np.count_nonzero(part) < _WIDE * part.size:
        return None
    level = STEPS * np.sqrt(_STIRS * gusts[part])
    stirs = (shown[:, :-1, :-1][:, part] >= level).mean(1, dtype=np.float32)  # (k,)
    blows: F32 = np.clip((stirs - _BLOWS[0]) / (_BLOWS[1] - _BLOWS[0]), 0, 1)
    return blows
