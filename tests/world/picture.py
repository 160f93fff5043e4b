"""What a film of the world shows and sounds like, and how that is read again: numbers, colours, fields and pitch."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]

WIDTH: Final = 320
HEIGHT: Final = 240
BITS: Final = 12
DARK, BRIGHT = 50, 200
RATE: Final = Fraction(25)

# Rows of the picture of 240: the number, its complement; the number of the field, its complement; the colours.
_NUMBER, _FIELD, _COLOURS = (0, 24, 48), (148, 172, 196), (200, 240)
_PATCHES: Final = {
    "red": (81, 90, 240),
    "green": (145, 54, 34),
    "blue": (41, 240, 110),
    "white": (235, 128, 128),
    "black": (16, 128, 128),
}
"""Colours by name as Y, U, V of limited range (BT.601); each patch is 50 of 320 pixels wide, the first at x = 20."""


def draw(number: int, *, width: int = WIDTH, height: int = HEIGHT, fields: str = "") -> bytes:
    """Return the picture of that number, I420 of an even size: twelve bars tell it, a box moves below them.

    fields: "t" or "b" where one field shows the instant half a frame after the other: the top one (even lines) or the
    bottom one is the first. Number of the field and place of the box are those of its instant.
    """
    luma = _luma(number, 2 * number, width, height)
    if fields:
        later = 1 if fields == "t" else 0
        luma[later::2] = _luma(number, 2 * number + 1, width, height)[later::2]
    chroma = [np.full((height // 2, width // 2), 128, np.uint8) for _ in "uv"]
    for index, (y, *uv) in enumerate(_PATCHES.values()):
        rows, columns = _patch(index, width, height)
        luma[rows, columns] = y
        half = slice(rows.start // 2, rows.stop // 2), slice(columns.start // 2, columns.stop // 2)
        for plane, value in zip(chroma, uv, strict=True):
            plane[half] = value
    return luma.tobytes() + b"".join(plane.tobytes() for plane in chroma)


def _luma(number: int, field: int, width: int, height: int) -> Luma:
    rows, columns = np.mgrid[:height, :width]
    luma: Luma = (90 + 40 * rows / height + 20 * ((rows // 7 + columns // 9) % 2)).astype(np.uint8)
    left = (width * 3 * field // 640) % (width * 5 // 8)
    luma[height * 70 // 240 : height * 140 // 240, left : left + width * 5 // 16] = 235 if field // 16 % 2 else 20
    for value, where in ((number, _NUMBER), (field, _FIELD)):
        for bit in range(BITS):
            span = slice(_x(20 + 20 * bit, width), _x(40 + 20 * bit, width))
            on = bool(value >> bit & 1)
            luma[_y(where[0], height) : _y(where[1], height), span] = BRIGHT if on else DARK
            luma[_y(where[1], height) : _y(where[2], height), span] = DARK if on else BRIGHT
    return luma


def number_of(luma: Luma) -> int | None:
    """Return the number a picture shows, or None where its bars and their complement do not fit together."""
    return _read(luma, _NUMBER)


def plain_number_of(luma: Luma) -> int | None:
    """Return the number of a picture whose bars have no complement (rows 4 to 28 of 240)."""
    height, width = luma.shape
    rows = slice(_y(12, height), _y(20, height))
    levels = [float(luma[rows, _x(26 + 20 * bit, width) : _x(34 + 20 * bit, width)].mean()) for bit in range(BITS)]
    if any(abs(level - (BRIGHT + DARK) / 2) < 20 for level in levels):
        return None
    return sum((level > (BRIGHT + DARK) / 2) << bit for bit, level in enumerate(levels))


def fields_of(luma: Luma) -> tuple[int | None, int | None]:
    """Return the numbers that the even and the odd lines of a picture show."""
    return _read(luma, _FIELD, step=2), _read(luma, _FIELD, step=2, first=1)


def _read(luma: Luma, where: tuple[int, int, int], *, step: int = 1, first: int = 0) -> int | None:
    height, width = luma.shape
    number = 0
    for bit in range(BITS):
        columns = slice(_x(24 + 20 * bit, width), _x(36 + 20 * bit, width))
        levels = []
        for top, bottom in pairwise(where):
            inside = slice(_y(top, height) + 2, _y(bottom, height) - 2)
            rows = [row for row in range(height)[inside] if row % step == first or step == 1]
            levels.append(float(luma[rows, columns].mean()))
        if abs(levels[0] - levels[1]) < (BRIGHT - DARK) / 2:
            return None
        number |= (levels[0] > levels[1]) << bit
    return number


def colours_of(planes: tuple[NDArray[Any], NDArray[Any], NDArray[Any]]) -> dict[str, tuple[float, float, float]]:
    """Return the mean Y, U, V of every patch, as they are stored."""
    luma, u, v = planes
    found = {}
    for index, name in enumerate(_PATCHES):
        means = []
        for plane in (luma, u, v):
            rows, columns = _patch(index, plane.shape[1], plane.shape[0], edge=8)
            means.append(float(plane[rows, columns].mean()))
        found[name] = (means[0], means[1], means[2])
    return found


def colours_wanted(*, full: bool) -> dict[str, tuple[float, float, float]]:
    """Return the Y, U, V of every patch in limited or in full range, of 8 bits."""
    if not full:
        return {name: (float(y), float(u), float(v)) for name, (y, u, v) in _PATCHES.items()}
    return {
        name: ((y - 16) * 255 / 219, 128 + (u - 128) * 255 / 224, 128 + (v - 128) * 255 / 224)
        for name, (y, u, v) in _PATCHES.items()
    }


def _patch(index: int, width: int, height: int, *, edge: int = 0) -> tuple[slice, slice]:
    """Return rows and columns of a patch, on even lines; `edge`: this many of 320 less on every side."""
    rows = slice(_y(_COLOURS[0] + edge, height), _y(_COLOURS[1] - edge, height))
    return rows, slice(_x(20 + 50 * index + edge, width), _x(70 + 50 * index - edge, width))


def _x(of_320: int, width: int) -> int:
    return width * of_320 // WIDTH // 2 * 2


def _y(of_240: int, height: int) -> int:
    return height * of_240 // HEIGHT // 2 * 2


def sound(seconds: Fraction, hertz: int) -> NDArray[np.int16]:
    """Return the sound of a film: 400 + 150 s Hz in second s, mono."""
    return (9000 * wave(np.arange(int(seconds * hertz)) / hertz)).astype(np.int16)


def wave(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sound at instants (seconds of the film), -1 to 1; its phase goes on where the pitch changes."""
    second = np.floor(at)
    # The phase in whole turns gathered until a second begins: the sum of all pitches before it, whole numbers.
    turns: NDArray[np.float64] = (400 + 150 * second) * (at - second)
    return np.sin(2 * np.pi * turns)
