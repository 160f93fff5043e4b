"""What a change of light may cost: seconds, over all or a part of the picture; and a visitor stays found."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.measure.lights import differ, halves, lights_of
from pipeline.measure.motion import measure

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pipeline.activity import Activity

    F64 = NDArray[np.float64]

H, W, FPS, COUNT = 120, 160, 5, 300
STILL = np.ones((H // 8, W // 8), np.bool_)  # cells of light, none of leaves


def scene(seed: int = 1) -> F64:
    rng = np.random.default_rng(seed)
    picture = np.full((H, W), 120.0)
    for size in (4, 8, 16, 32):
        picture += np.kron(rng.normal(0, 12, (H // size + 1, W // size + 1)), np.ones((size, size)))[:H, :W]
    return picture.clip(40, 220)


def shade() -> F64:
    """What a lamp on the left lights, 0 to 1."""
    lit: F64 = np.tile(1 / (1 + np.exp((np.arange(W) - 70) / 4)), (H, 1))
    return lit


def within(second: float, first: float, last: float, length: float = 0.2) -> float:
    return float(np.clip((second - first) / length, 0, 1) - np.clip((second - last) / length, 0, 1))


def dims(picture: F64, second: float) -> F64:
    return picture * (1 - 0.5 * within(second, 20, 40))


def lamp(picture: F64, second: float) -> F64:
    return picture * (1 - 0.6 * within(second, 20, 40) * shade())


def steps(picture: F64, second: float) -> F64:
    right = within(second, 21, 41) * (1 - shade())
    return picture * (1 - 0.5 * within(second, 20, 40) * shade() - 0.4 * right)


def drifts(picture: F64, second: float) -> F64:
    part = np.clip((second - 15) / 30, 0, 1)
    lit: F64 = picture * ((1 - part) * (0.6 + 0.6 * shade()) + part * (0.8 - 0.3 * shade()))
    return lit


def infrared(picture: F64, second: float) -> F64:
    lit: F64 = picture + (60 - 0.5 * picture) * within(second, 25, 99)
    return lit


def negative(picture: F64, second: float) -> F64:
    """Cloth and leaves that are dark by day are bright to infrared, and a lamp sits at the camera."""
    by_night = 40 + 0.35 * (255 - picture) + 30 * shade()
    lit: F64 = picture + (by_night - picture) * within(second, 25, 99)
    return lit


LIGHTS = [dims, lamp, steps, drifts, infrared, negative]


def measured(light: Callable[[F64, float], F64], *, visitor: range = range(0)) -> Activity:
    """Measure a minute at 5 frames a second; the visitor stands at rows 32 to 80, columns 48 to 80, in some frames."""
    rng, plain = np.random.default_rng(2), scene()
    coat = np.random.default_rng(3).normal(0, 8, (48, 32)) + 45

    def plane(number: int) -> NDArray[np.uint8]:
        picture = plain.copy()
        if number in visitor:
            picture[32:80, 48:80] = coat
        noisy = light(picture, number / FPS) + rng.normal(0, 2, (H, W))
        return noisy.round().clip(0, 255).astype(np.uint8)

    return measure(((n, plane(n)) for n in range(COUNT)), time_base=Fraction(1, FPS))


@pytest.mark.parametrize("light", LIGHTS)
def test_a_light_that_stays_costs_seconds_with_nobody_there(light: Callable[[F64, float], F64]) -> None:
    moves = measured(light).share >= 26
    seconds = moves.mean((1, 2)).reshape(-1, FPS).mean(1)  # (60,): the part of all cells
    assert (seconds > 0.01).sum() <= 4


@pytest.mark.parametrize("light", LIGHTS)
def test_who_stands_there_while_the_light_changes_stays_found(light: Callable[[F64, float], F64]) -> None:
    there = range(70, 160)  # 14 s to 32 s
    share = measured(light, visitor=there).share
    inside, away = share[:, 2:5, 3:5], np.ones(COUNT, np.bool_)
    away[there.start - 1 : there.stop + 1] = False
    assert (inside[there.start + 1 : there.stop - 1] >= 50).mean() > 0.9
    moves = np.where(away, (share >= 26).mean((1, 2)), 0).reshape(-1, FPS).mean(1)  # (60,): the part of all cells
    assert (moves > 0.01).sum() <= 4  # seconds


def test_a_thing_that_fills_half_of_the_picture_for_half_of_the_time_is_no_light() -> None:
    picture, bus = scene(), scene(9)
    bus[:, W // 2 :] = picture[:, W // 2 :]
    rng = np.random.default_rng(4)
    shown = [picture] * 20 + [bus] * 20
    pictures = np.stack([(one + rng.normal(0, 2, (H, W))).clip(0, 255).astype(np.uint8) for one in shown])
    assert not differ(halves(pictures[:1])[0], halves(pictures), STILL).any()
    assert lights_of(halves(pictures), STILL) == []


def test_lights_are_told_apart_by_their_pictures_and_what_comes_back_is_the_same_light() -> None:
    rng = np.random.default_rng(5)
    shown = [scene()] * 10 + [lamp(scene(), 30)] * 8 + [scene()] * 6
    pictures = np.stack([(one + rng.normal(0, 2, (H, W))).clip(0, 255).astype(np.uint8) for one in shown])
    first, second = lights_of(halves(pictures), STILL)
    assert first.tolist() == [*range(10), *range(18, 24)]
    assert second.tolist() == [*range(10, 18)]


def test_a_gain_is_no_other_light() -> None:
    pictures = np.stack([scene(), 0.5 * scene()]).astype(np.uint8)
    assert not differ(halves(pictures[:1])[0], halves(pictures), STILL).any()
