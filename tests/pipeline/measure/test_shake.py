"""What is promised of a shaking camera: how far it moved is found, and nothing is where it did not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.measure.shake import Shake, _quick, moved, shakes

if TYPE_CHECKING:
    from numpy.typing import NDArray


def wide(seed: int = 1) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    picture = np.full((104, 136), 110.0)
    for size in (2, 4, 8):
        picture += np.kron(rng.normal(0, 12, (104 // size, 136 // size)), np.ones((size, size)))
    return picture.clip(0, 255).astype(np.uint8)


def seen(picture: NDArray[np.uint8], down: int, right: int) -> NDArray[np.uint8]:
    return picture[20 - down : 84 - down, 20 - right : 116 - right]


@settings(max_examples=40, deadline=None)
@given(down=st.integers(-10, 10), right=st.integers(-12, 12), seed=st.integers(0, 5))
def test_a_displacement_is_found_and_undone(down: int, right: int, seed: int) -> None:
    picture = wide(seed)
    shake = Shake(seen(picture, 0, 0))
    image = seen(picture, down, right)
    assert shake.shift(image) == pytest.approx((down, right), abs=0.3)
    inside = np.s_[12:-12, 14:-14]
    assert np.abs(shake.steady(image)[inside].astype(int) - shake.reference[inside]).mean() < 4


def test_noise_and_a_passing_vehicle_displace_nothing() -> None:
    rng = np.random.default_rng(2)
    still = seen(wide(), 0, 0)
    images = np.repeat(still[None], 6, axis=0)
    for number, image in enumerate(images):
        image[20:50, 10 * number : 10 * number + 40] = 220
    noisy = (images + rng.normal(0, 3, images.shape)).clip(0, 255).astype(np.uint8)
    assert [Shake(still).shift(image) for image in noisy] == [(0.0, 0.0)] * 6
    assert not shakes(noisy)


def test_a_camera_shakes_when_two_of_its_pictures_are_displaced() -> None:
    picture = wide()
    places = [(0, 0), (0, 0), (0, 0), (3, -4), (0, 0)]
    assert not shakes(np.stack([seen(picture, *place) for place in places]))
    places[0] = (-2, 5)
    assert shakes(np.stack([seen(picture, *place) for place in places]))


@pytest.mark.parametrize("odd", range(5))
def test_one_picture_that_differs_shakes_no_camera_whichever_it_is(odd: int) -> None:
    places = [(3, -4) if n == odd else (0, 0) for n in range(5)]
    assert not shakes(np.stack([seen(wide(), *place) for place in places]))


def test_what_comes_in_at_an_edge_is_marked() -> None:
    image = np.full((6, 8), 9, np.uint8)
    assert (moved(image, 2, 0, outside=77)[:2] == 77).all()
    assert (moved(image, 2, 0, outside=77)[2:] == 9).all()
    assert (moved(image, 0, -1.5, outside=77)[:, -1] == 77).all()
    assert (moved(image, 1.25, -2) == 9).all()


@given(st.integers(1, 5000))
def test_a_quick_length_is_no_less_and_has_small_factors(length: int) -> None:
    quick = _quick(length)
    assert quick >= length
    for factor in (2, 3, 5):
        while not quick % factor:
            quick //= factor
    assert quick == 1
