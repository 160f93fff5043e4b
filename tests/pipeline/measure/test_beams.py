"""What sweeps over a dark scene: beams and insects move nothing, whoever comes by night is found."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.measure.motion import measure

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    F64 = NDArray[np.float64]

H, W, FPS, COUNT = 240, 320, 10, 200
SWEEP = range(100, 130)
MOVES = 26  # of 255: a tenth of a cell


def wall(seed: int = 1) -> F64:
    """What a scene reflects, 0 to 1: patches of several sizes."""
    rng = np.random.default_rng(seed)
    picture = np.full((H, W), 0.45)
    for size in (4, 8, 16, 32):
        picture += np.kron(rng.normal(0, 0.05, (H // size + 1, W // size + 1)), np.ones((size, size)))[:H, :W]
    return picture.clip(0.1, 0.9)


def spot(down: float, right: float, wide: float) -> F64:
    y, x = np.ogrid[:H, :W]
    lit: F64 = np.exp(-((y - down) ** 2 + (x - right) ** 2) / (2 * wide**2))
    return lit


def share(picture: Callable[[int], F64]) -> NDArray[np.uint8]:
    rng = np.random.default_rng(2)
    frames = (picture(n) + rng.normal(0, 2.5, (H, W)) for n in range(COUNT))
    planes = enumerate(frame.round().clip(0, 255).astype(np.uint8) for frame in frames)
    return measure(planes, time_base=Fraction(1, FPS)).share


def dark(reflects: F64, beam: F64 | float = 0.0) -> F64:
    lit: F64 = 16 + reflects * (60 + 200 * beam)
    return lit


def beam(number: int) -> F64 | float:
    """A headlight that sweeps from left to right for three seconds."""
    return 0.8 * spot(120, 11 * (number - SWEEP.start), 45) if number in SWEEP else 0.0


def test_a_beam_that_sweeps_over_a_dark_wall_moves_nothing() -> None:
    plain = wall()
    moving = share(lambda n: dark(plain, beam(n))) >= MOVES
    assert moving.mean((1, 2)).max() < 0.01


@pytest.mark.parametrize("wide", [9, 14])
def test_an_insect_before_the_lens_moves_nothing(wide: float) -> None:
    plain = wall()

    def picture(n: int) -> F64:
        return dark(plain) + (120 * spot(60 + 8 * (n - 100), 20 + 14 * (n - 100), wide) if n in SWEEP else 0)

    assert not (share(picture)[SWEEP.start :] >= MOVES).any()


@pytest.mark.parametrize("reflects", [wall(), np.full((H, W), 0.45)], ids=["textured", "plain"])
@pytest.mark.parametrize("coat", [110.0, 230.0])
def test_somebody_in_white_before_a_dark_wall_is_found(reflects: F64, coat: float) -> None:
    def picture(n: int) -> F64:
        canvas = dark(reflects)
        if n in SWEEP:
            canvas[80:160, 100 + n - 100 : 132 + n - 100] = coat
        return canvas

    found = share(picture)[SWEEP.start + 1 : SWEEP.stop - 1, 5:10].max((1, 2))
    assert found.min() >= 200


def test_who_is_lit_by_a_beam_stays_found_in_it() -> None:
    plain, person = wall(), wall(5)[:96, :40] + 0.1

    def picture(n: int) -> F64:
        reflects = plain.copy()
        if 80 <= n < 150:
            reflects[80:176, 150:190] = person
        return dark(reflects, beam(n))

    found = share(picture)
    lit = found[SWEEP.start + 8 : SWEEP.start + 20, 5:11, 9:12]
    assert (lit >= 4 * MOVES).sum((1, 2)).min() >= 4
    away = np.ones((H // 16, W // 16), np.bool_)
    away[3:13, 7:14] = False
    assert (found[:, away] >= MOVES).mean(1).max() < 0.02


def test_a_lamp_that_comes_into_view_is_no_light_but_a_thing() -> None:
    plain = wall()

    def picture(n: int) -> F64:
        lamp = 900 * spot(120, 40 + 8 * (n - 100), 10) if n in SWEEP else 0
        return dark(plain) + lamp

    assert share(picture)[SWEEP.start + 1 : SWEEP.stop - 1].max((1, 2)).min() >= 200


def test_by_day_what_is_bright_and_soft_moves() -> None:
    plain = wall()

    def picture(n: int) -> F64:
        cloth = 80 * spot(120, 40 + 8 * (n - 100), 14) if n in SWEEP else 0
        return 60 + 170 * plain + cloth

    assert share(picture)[SWEEP.start + 1 : SWEEP.stop - 1].max((1, 2)).min() >= 150
