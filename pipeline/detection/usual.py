"""What is usual before a camera at one hour, and how strongly a clip shows more than that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.detection.gather import Gathered, strength
from pipeline.detection.operating import Operating

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    F32: TypeAlias = NDArray[np.float32]

_OFF = 2.0  # times what is usual is taken off: leaves stray as far again from what they usually show
_BLOWS = (0.25, 0.5)  # of all that moves in gusts does at once: below it is none, above it is one, between both in part
_STIRS = 0.5  # of what a cell shows in gusts: then it takes part in one
_WIDE = 0.05  # of the picture's cells take part at least: a doorstep does not blow
_SOME = 16.0  # power from which a cell can be said to move in gusts
_LEAST = 8.0  # power that is an event where nothing is restless: half of what noise of a sensor comes to, ...
_RESTLESS = 3.0  # ... and times the unrest, where something is: leaves have gusts
_UNREST = (30.0, 120.0)  # power: of a camera and a clip that say nothing of it, and at most: people come again too
_LASTS, _AT_MOST = 3.0, 40.0  # times counts what lasts for seconds, up to this power: only what is hardly seen


@dataclass(frozen=True, slots=True, eq=False)
class Usual:
    """What is usual before a camera at the time of a clip, and at which strength an event is decided.

    steady, gusts: float32 (C, R), powers of 3 x 3 cells (see `gather`), already weighed by how much is known; None
    where nothing is. unrest: see `Gathered`, None where it is not known. hours: of footage that tell so.
    """

    steady: F32 | None
    gusts: F32 | None
    operating: Operating
    unrest: float | None = None
    hours: float = 0.0

    def strength(self, gathered: Gathered) -> F32:
        """Return how strongly cells move beyond what is usual: float32 (C, R, k).

        1 is what makes an event of a fleet of which nothing else is known: of what is restless anyway it takes more.
        """
        usual, scale = self.of(gathered), np.float32(self.scale(gathered))
        moves = strength(gathered, usual)
        lasts = gathered.lasting - usual
        lasts *= np.float32(_LASTS)
        np.minimum(lasts, np.float32(_AT_MOST), out=lasts)
        np.maximum(moves, lasts, out=moves)
        moves /= scale
        return moves

    def scale(self, gathered: Gathered) -> float:
        """Return the power beyond what is usual that has the strength 1, by how restless the clip and its camera are."""
        known = [unrest for unrest in (gathered.unrest, self.unrest) if unrest is not None]
        return _LEAST + _RESTLESS * min(max(known, default=_UNREST[0]), _UNREST[1])

    def of(self, gathered: Gathered) -> F32:
        """Return the power that is usual, by the camera's past and by the clip itself: float32 (C, R, 1 or k)."""
        usual = gathered.own
        if self.steady is not None:
            usual = np.maximum(usual, self.steady[..., None])
        usual = usual * np.float32(_OFF)
        blowing = None if self.gusts is None else _blowing(gathered.brief, self.gusts)
        if blowing is None or self.gusts is None:
            return usual
        return np.maximum(usual, self.gusts[..., None] * (blowing * np.float32(_OFF)))


FLEET: Final = Usual(None, None, Operating.known())
"""What is usual before a camera of which nothing is known."""


def _blowing(shown: F32, gusts: F32) -> F32 | None:
    """Return in which moments what moves in gusts does so all at once: float32 (k,), 0 to 1; None where nothing can."""
    part = gusts >= _SOME  # bool (C, R)
    if np.count_nonzero(part) < _WIDE * part.size:
        return None
    level = gusts[part]
    stirs = (shown[part] >= _STIRS * level[:, None]).mean(0, dtype=np.float32)  # (k,)
    blows: F32 = np.clip((stirs - _BLOWS[0]) / (_BLOWS[1] - _BLOWS[0]), 0, 1)
    return blows
