"""What `measure` promises of who is still, small or faint, and of cameras of any pace; on small scenes made here."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.measure.motion import measure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from pipeline.activity import Activity

    U8 = NDArray[np.uint8]

H, W = 120, 160
MS = Fraction(1, 1000)
RATES = (0.35, 1, 3, 8, 15, 30)  # frames per second


def ground(seed: int = 1, *, spread: float = 12) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    picture = np.full((H, W), 110.0)
    for size in (4, 8, 16, 32):
        coarse = rng.normal(0, spread, (H // size + 1, W // size + 1))
        picture += np.kron(coarse, np.ones((size, size)))[:H, :W]
    return picture


def measured(pictures: Iterable[NDArray[np.float64]], times: Iterable[float], noise: float = 2) -> Activity:
    rng = np.random.default_rng(2)
    seen = ((p + rng.normal(0, noise, p.shape)).round().clip(0, 255).astype(np.uint8) for p in pictures)
    return measure(((round(t * 1000), p) for t, p in zip(times, seen, strict=True)), time_base=MS)


def test_a_bag_stays_found_after_its_owner_who_stood_beside_it_has_left() -> None:
    scene, rng = ground(), np.random.default_rng(3)
    coat = 40 + rng.normal(0, 8, (48, 16))

    def picture(second: int) -> NDArray[np.float64]:
        seen = scene.copy()
        if 20 <= second < 130:
            seen[32:80, 64:80] = coat
        if second >= 20:
            seen[56:80, 80:104] = 215
        return seen

    share = measured((picture(s) for s in range(150)), range(150)).share
    assert (share[22:128, 2:5, 4] > 50).mean() > 0.9
    assert (share[22:, 3:5, 5] > 50).mean() > 0.9
    assert not share[132:, 2:5, :4].any()
    assert not share[:18].any()


def test_what_shows_again_and_again_is_the_scene_however_strong_its_edges() -> None:
    scene = ground()
    scene[32:64, 64:96] = 230  # a lit window, before which somebody dark passes now and then

    def picture(number: int) -> NDArray[np.float64]:
        seen = scene.copy()
        if number % 40 < 12:
            seen[24:88, 60:100] = scene[24:88, 60:100].mean() / 2
        return seen

    share = measured((picture(n) for n in range(240)), np.arange(240) / 2).share
    passes = np.arange(240) % 40 < 12
    assert (share[passes][:, 2:4, 4:6] > 50).mean() > 0.9
    assert not share[~passes][2:].any()


def test_a_busy_road_is_no_foliage() -> None:
    scene, rng = ground(), np.random.default_rng(4)
    cars = rng.integers(0, 256, 400)
    busy = rng.random(400) < 0.6  # of the time a car of any colour covers the spot

    def picture(number: int) -> NDArray[np.float64]:
        seen = scene.copy()
        if busy[number]:
            seen[40:64, 64:96] = cars[number]
        return seen

    share = measured((picture(n) for n in range(400)), np.arange(400) / 2).share
    apart = abs(cars - scene[40:64, 64:96].mean()) > 60
    assert (share[busy & apart][:, 3, 4:6] > 70).mean() > 0.95
    assert (share[~busy] > 25).mean() < 0.01


# Below some grey levels noise that was compressed would come in: who is as faint counts for less.
@pytest.mark.parametrize(("left", "least"), [(1, 100), (0.4, 100), (0.2, 70)])
def test_who_is_as_faint_as_the_scene_is_found_like_by_day(left: float, least: int) -> None:
    scene = 110 + (ground() - 110) * left

    def picture(number: int) -> NDArray[np.float64]:
        seen = scene.copy()
        if 40 <= number < 60:
            seen[32:80, 64:96] += 60 * left
        return seen

    share = measured((picture(n) for n in range(120)), np.arange(120) / 10, noise=1).share
    assert (share[42:58, 2:5, 4:6] > least).all()
    assert not share[:38].any()


@pytest.mark.parametrize("rate", RATES)
def test_at_any_rate_who_passes_and_who_stands_is_found_and_nothing_else(rate: float) -> None:
    scene = ground()
    count = 160 if rate < 15 else 320

    def picture(number: int) -> NDArray[np.float64]:
        seen = scene.copy()
        if count // 4 <= number < count // 2:
            seen[16:64, 32:64] = 30  # stands for a quarter of the clip
        if number % 16 == 5:
            seen[80:112, 96:128] = 240  # is there for one frame, as a car is to a slow camera
        return seen

    share = measured((picture(n) for n in range(count)), np.arange(count) / rate).share
    assert (share[count // 4 + 1 : count // 2 - 1, 1:4, 2:4] > 100).all()
    assert not share[: count // 4 - 4, 1:4, 2:4].any()
    if rate <= 3:
        assert (share[5::16, 5:7, 6:8] > 160).all()  # of the lower ones it covers two thirds
        assert not share[8::16, 5:7, 6:8].any()


def test_what_is_there_for_one_frame_is_seen_little_in_those_beside_it() -> None:
    pictures = [ground() for _ in range(60)]
    pictures[30][32:80, 64:96] = 240
    share = measured(pictures, np.arange(60) / 15).share[:, 2:5, 4:6].astype(float)
    assert share[29].mean() < 0.6 * share[30].mean()
    assert share[31].mean() < 0.6 * share[30].mean()


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_a_clip_of_a_few_frames_is_all_cold_however_long_it_lasts(count: int) -> None:
    activity = measured((ground() for _ in range(count)), np.arange(count) * 3.0)
    assert activity.share.shape[0] == count
    assert activity.cold == (count if count < 5 else 0)


def test_a_slow_camera_is_looked_at_for_longer() -> None:
    scene = ground()

    def picture(number: int) -> NDArray[np.float64]:
        seen = scene.copy()
        if 30 <= number < 110:  # for four minutes, longer than a fast camera's horizon
            seen[32:80, 64:96] = 30
        return seen

    share = measured((picture(n) for n in range(200)), np.arange(200) * 3.0).share
    assert (share[32:108, 2:5, 4:6] > 100).all()
    assert not share[112:].any()
