"""The nuisances are what they say: two versions that differ by visitors alone, and the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import staging
from benchmarks.composites import Case, Footage
from benchmarks.material import visible
from benchmarks.nuisances import KINDS, TAKES, Nuisance, cases
from benchmarks.staging import Scene, Sensor, Sight, Wind, as_recorded, compose, gusty, paste, standing

SCENE = Scene(3, 4, 10, (48, 64))


def _sight(top: float = 4, left: float = 4) -> Sight:
    label = np.ones((12, 8), np.bool_)
    return Sight(np.full((12, 8), 200, np.float32), label.astype(np.float32), label, top, left)


def test_there_is_every_kind_in_two_takes_with_visitors_and_without_any() -> None:
    assert len({case.name for case in cases()}) == len(KINDS) * len(TAKES) * 2
    assert len({case.scene.seed for case in cases()}) == len(KINDS) * len(TAKES)
    assert all(60 <= case.scene.seconds <= 180 and 10 <= case.scene.rate <= 15 for case in cases())


def test_a_visitor_is_labelled_where_it_is_seen_also_half_outside() -> None:
    canvas, mask = np.zeros(SCENE.size, np.float32), np.zeros(SCENE.size, np.uint8)
    paste(canvas, mask, _sight(left=60))
    paste(canvas, mask, _sight(top=-30))
    assert np.argwhere(mask).min(0).tolist() == [4, 60]
    assert np.argwhere(mask).max(0).tolist() == [15, 63]
    assert ((canvas == 200) == (mask == 255)).all()


def test_a_contrast_is_from_what_lies_behind() -> None:
    canvas = np.full(SCENE.size, 46, np.float32)
    paste(canvas, np.zeros(SCENE.size, np.uint8), _sight().of_contrast(-13, 1 / 8))
    assert canvas[8, 8] == pytest.approx(33)


def test_who_stands_is_there_from_the_first_frame_to_the_last_and_hidden_behind_a_cover() -> None:
    show = standing([_sight()] * 20, 0, SCENE.count, SCENE)
    assert sorted(show) == list(range(SCENE.count))
    ground, thick = np.full(SCENE.size, 90, np.float32), np.full(SCENE.size, 0.6, np.float32)
    seen = compose(SCENE, lambda _: ground, [show])
    assert (seen.masks.max((1, 2)) == 255).all()
    assert visible(seen.masks).all()
    assert not compose(SCENE, lambda _: ground, [show], cover=lambda _: (thick, ground)).masks.any()


def test_noise_is_of_its_strength_and_another_in_every_frame_but_for_its_fixed_pattern() -> None:
    sensor = Sensor(SCENE, 2.0, grain=0.9)
    assert np.std([sensor(n) for n in range(20)]) == pytest.approx(2.0, rel=0.05)
    assert abs(np.corrcoef(sensor(0).ravel(), sensor(1).ravel())[0, 1]) < 0.1
    assert (Sensor(SCENE, 2.0, grain=0.9)(7) == sensor(7)).all()
    fixed = Sensor(SCENE, 0.5, fixed=3.0)
    assert np.corrcoef(fixed(0).ravel(), fixed(1).ravel())[0, 1] > 0.9


def test_wind_moves_as_far_as_its_gusts_reach() -> None:
    ramp = np.repeat(np.arange(SCENE.size[1], dtype=np.float32)[None], SCENE.size[0], 0)
    calm, blown = (Wind(SCENE, ramp, 5, np.full(SCENE.count, gust)) for gust in (0.0, 1.0))
    assert (calm(9) == ramp).all()
    assert 1 < abs(blown(9) - ramp).max() <= 5 * sum(share for _, share in staging._SWINGS) + 1
    assert pytest.approx(gusty(SCENE).min()) == 0.15
    assert gusty(SCENE).max() == 1


def test_a_recording_keeps_its_frames_and_its_labels() -> None:
    frames = np.tile(np.linspace(0, 250, 128, dtype=np.uint8), (8, 96, 1))
    case = Case(frames, np.zeros_like(frames))
    again = as_recorded(case, 10)
    assert again.masks is case.masks
    assert abs(again.frames.astype(int) - frames).mean() < 6


@pytest.fixture(scope="module")
def home(footage: Path) -> Footage:
    return Footage(footage)  # one for all: what is read of it is kept for as long as this runs


def test_with_and_without_visitors_it_is_the_same_but_for_them(home: Footage) -> None:
    with_, without = (Nuisance("headlights", 1, visited=visited).make(home) for visited in (True, False))
    assert not without.masks.any()
    there = with_.masks.any((1, 2))
    assert 0.02 < visible(with_.masks).mean() < 0.3
    assert (with_.frames[~there] == without.frames[~there]).all()
    away = abs(with_.frames.astype(np.int16) - without.frames)
    assert away[with_.masks == 255].mean() > 10
    again = Nuisance("headlights", 1, visited=True).make(home)
    assert (again.frames == with_.frames).all()
    assert (again.masks == with_.masks).all()


@pytest.mark.whole
@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("night")])
def test_visitors_come_in_every_kind(kind: str, home: Footage) -> None:
    case = Nuisance(kind, 1, visited=True)
    made = case.make(home)
    assert made.frames.shape == made.masks.shape == (case.scene.count, *case.scene.size)
    assert visible(made.masks).any()
    assert not visible(made.masks).all()
    assert made.frames.std() > 2
