import hashlib
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from simulation.scene import Mover, Scene, crossings, render, truth

SMALL = Scene(7, frames=40, width=320, height=180)
WALKER = Mover("person", 1, ((0.1, 0.765), (0.9, 0.765)), 2.0)
CAR = Mover("vehicle", Fraction(1, 2), ((-0.3, 0.655), (1.3, 0.655)), 9.0, (86, 112, 176))
FAR_CAR = Mover("vehicle", 0, ((1.3, 0.575), (-0.3, 0.575)), 7.0, (126, 129, 127))
VISITOR = Mover("person", -2, ((-0.1, 0.765), (0.5, 0.765), (0.5, 1.0), (0.5, 0.765)), 1.5, (84, 116, 168))
STREET = (WALKER, CAR, FAR_CAR, VISITOR)
# Every pixel of every frame of this scene. It may change only when what is drawn is meant to change.
GOLDEN = Scene(11, frames=12, width=160, height=96, night=True, rain=True, clouds=True, lamp=True, movers=STREET)


def digest(frames: Iterable[NDArray[np.uint8]]) -> str:
    told = hashlib.sha256()
    for frame in frames:
        told.update(frame.tobytes())
    return told.hexdigest()


def luma(scene: Scene) -> NDArray[np.int16]:
    return np.stack([frame[: scene.height] for frame in render(scene)]).astype(np.int16)


def cells(pixels: NDArray[Any], rows: int, cols: int) -> NDArray[Any]:
    """Split (N, H, W) into (N, rows, cols, pixels of a cell) where both divide."""
    n, height, width = pixels.shape
    split = pixels.reshape(n, rows, height // rows, cols, width // cols)
    return split.transpose(0, 1, 3, 2, 4).reshape(n, rows, cols, -1)


def test_frames_are_i420_pictures_of_their_own() -> None:
    scene = replace(SMALL, frames=3, width=66, height=50)
    frames = list(render(scene))
    assert len(frames) == 3
    assert {(frame.dtype.str, frame.shape) for frame in frames} == {("|u1", (75, 66))}
    assert not np.shares_memory(frames[0], frames[1])


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    scene = replace(SMALL, frames=20, busy=60)
    assert digest(render(scene)) == digest(render(replace(scene)))
    assert digest(render(scene)) != digest(render(replace(scene, seed=8)))
    assert digest(render(scene)) != digest(render(replace(scene, site=8)))


def test_bytes_are_the_same_on_every_machine() -> None:
    assert digest(render(GOLDEN)) == "533545cfc6d1df595c200e9e2e0ab60ee544579d7293dd00720d06716fcb0a5e"
    assert (
        digest(render(replace(GOLDEN, night=False, rain=False, lamp=False)))
        == "21b41dc1ed3dd3485ee34a53b052fd310f1bcad9ba9855c563b8af8b2f0bc386"
    )


def test_clips_of_one_site_share_its_street_by_day() -> None:
    quiet = replace(SMALL, frames=30, leaves=False, busy=0, site=3)
    one, other = (luma(replace(quiet, seed=seed)).mean(axis=0) for seed in (1, 2))
    elsewhere = luma(replace(quiet, seed=1, site=4)).mean(axis=0)
    assert np.abs(one - other).max() < 3
    assert np.abs(one - elsewhere).mean() > 10


@pytest.mark.parametrize(
    "kind",
    [{}, {"rain": True, "clouds": True}, {"leaves": False, "shadows": False}, {"night": True, "lamp": True}],
    ids=["day", "rain", "still", "night"],
)
def test_truth_agrees_with_the_pixels(kind: dict[str, Any]) -> None:
    scene = replace(SMALL, movers=STREET, **kind)
    rows, cols = 18, 32
    moved = np.abs(luma(scene) - luma(replace(scene, movers=())))
    share = truth(scene, rows, cols)
    assert share.dtype == np.uint8
    assert share.shape == (40, rows, cols)
    changed = cells(moved, rows, cols)
    assert (share > 127).sum() > 600
    weakest = 2.5 if scene.night else 5  # levels, averaged over a cell; both pictures have the same noise
    assert (changed.mean(axis=-1)[share > 127] >= weakest).mean() > 0.98
    casts = scene.night or (scene.shadows and not scene.rain)  # beams by night, shadows by day
    assert (share > 0)[changed.any(axis=-1)].mean() > (0.6 if casts else 0.9999)


def test_what_truth_leaves_out_does_not_change_a_pixel_without_shadows() -> None:
    scene = replace(SMALL, movers=STREET, shadows=False, clouds=True)
    moved = np.abs(luma(scene) - luma(replace(scene, movers=())))
    assert cells(moved, 18, 32).max(axis=-1)[truth(scene, 18, 32) == 0].max() == 0


def test_shadows_fall_outside_the_truth_and_only_darken() -> None:
    scene = replace(SMALL, movers=STREET)
    difference = luma(scene) - luma(replace(scene, movers=()))
    outside = cells(difference, 180, 320)[..., 0][truth(scene, 180, 320) == 0]
    assert outside.min() < -10
    assert outside.max() <= 0


def test_truth_of_single_pixels_adds_up_to_the_truth_of_cells() -> None:
    scene = replace(SMALL, movers=STREET, width=322, height=182)
    pixel, whole = truth(scene, 182, 322), truth(scene, 1, 1)
    assert set(np.unique(pixel)) == {0, 255}
    assert (whole[:, 0, 0] == -(-(pixel > 0).sum(axis=(1, 2)) * 255 // (182 * 322))).all()
    uneven = truth(scene, 5, 7)
    assert (uneven[:, 1, 2] == -(-(pixel[:, 36:72, 92:138] > 0).sum(axis=(1, 2)) * 255 // (36 * 46))).all()


def test_crossings_are_the_frames_in_which_each_mover_shows() -> None:
    scene = replace(SMALL, frames=80, movers=STREET)
    seen = crossings(scene)
    assert [mover for mover, _ in seen] == list(STREET)
    for mover, frames in seen:
        covered = truth(replace(scene, movers=(mover,)), 9, 16).any(axis=(1, 2))
        assert np.flatnonzero(covered).tolist() == list(frames)
    assert seen[0][1].start == 10  # it stands in the picture when it enters, one second after the first frame
    assert seen[3][1].start == 0


def test_a_mover_keeps_its_speed_at_every_rate() -> None:
    at_30 = crossings(replace(SMALL, frames=240, rate=Fraction(30), movers=(WALKER,)))[0][1]
    at_10 = crossings(replace(SMALL, frames=80, movers=(WALKER,)))[0][1]
    assert at_30.start == 3 * at_10.start
    assert abs(len(at_30) - 3 * len(at_10)) <= 3


def test_a_mover_that_never_shows_is_no_crossing() -> None:
    scene = replace(SMALL, movers=(replace(WALKER, enter=60), replace(CAR, path=((2, 0.6), (4, 0.6)))))
    assert crossings(scene) == ()
    assert not truth(scene, 4, 4).any()


def test_an_empty_scene_has_empty_truth_but_moving_leaves() -> None:
    scene = replace(SMALL, busy=0)
    assert scene.crossing() == ()
    assert crossings(scene) == ()
    assert not truth(scene, 18, 32).any()
    noise_alone, leaves = luma(replace(scene, leaves=False)).std(axis=0), luma(scene).std(axis=0)
    assert noise_alone.max() < 4
    assert 0.01 < (leaves > 6).mean() < 0.3


def test_the_night_is_darker_and_noisier() -> None:
    quiet = replace(SMALL, busy=0, leaves=False)
    day, night = luma(quiet), luma(replace(quiet, night=True))
    assert night.mean() < day.mean() / 1.7
    assert night.std(axis=0).mean() > 2 * day.std(axis=0).mean()


def test_rain_clouds_and_a_lamp_change_the_whole_picture_without_movers() -> None:
    quiet = replace(SMALL, frames=120, busy=0, leaves=False)
    steady = np.ptp(luma(quiet).mean(axis=(1, 2)))
    assert steady < 0.1
    assert np.ptp(luma(replace(quiet, clouds=True)).mean(axis=(1, 2))) > 4
    steps = np.abs(np.diff(luma(replace(quiet, night=True, lamp=True)).mean(axis=(1, 2))))
    assert 1 <= (steps > 4).sum() <= 6
    assert luma(replace(quiet, rain=True)).std(axis=0).mean() > 1.1 * luma(quiet).std(axis=0).mean()


@pytest.mark.parametrize("extreme", [{"rain": True}, {"clouds": True}, {"night": True, "rain": True}], ids=str)
def test_noise_never_wraps_around(extreme: dict[str, Any]) -> None:
    frames = luma(replace(SMALL, movers=STREET, **extreme))
    assert frames.min() >= 4
    assert frames.max() <= 250


def test_busy_is_the_mean_number_of_movers_a_minute() -> None:
    drawn = Scene(1, frames=36_000, busy=6).crossing()
    assert 300 <= len(drawn) <= 420
    assert {mover.kind for mover in drawn} == {"person", "vehicle"}
    assert Scene(1, frames=600, busy=6).crossing() == drawn[: len(Scene(1, frames=600, busy=6).crossing())]


def test_drawn_movers_start_outside_the_picture() -> None:
    scene = Scene(5, frames=600, width=160, height=90, busy=40)
    late = [(mover, frames) for mover, frames in crossings(scene) if frames.start]
    assert len(late) > 20
    assert all(frames.start > mover.enter * scene.rate for mover, frames in late)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"width": 321}, "even"),
        ({"height": 181}, "even"),
        ({"width": 62}, "64 x 48"),
        ({"frames": 0}, "at least one frame"),
        ({"rate": Fraction(0)}, "rate"),
        ({"rate": 29.97}, "Fraction"),
        ({"seed": -1}, "seed"),
        ({"site": -1}, "site"),
        ({"busy": -0.5}, "busy"),
        ({"busy": float("nan")}, "busy"),
        ({"lamp": True}, "night=True"),
    ],
    ids=str,
)
def test_a_scene_refuses_to_be_built_wrong(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(SMALL, **wrong)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"kind": "horse"}, "person, vehicle"),
        ({"enter": 0.5}, "exact seconds"),
        ({"path": ((0.5, 0.8),)}, "two or more points"),
        ({"path": ((0.5, 0.8), (0.5, 0.8))}, "unlike"),
        ({"path": ((0.5, 0.8), (0.5, 0.3))}, "horizon"),
        ({"path": ((0.5, 0.8), (float("nan"), 0.8))}, "x in"),
        ({"speed": 0.0}, "speed"),
        ({"colour": (20, 128, 128)}, "colour"),
        ({"colour": (90, 20, 128)}, "colour"),
    ],
    ids=str,
)
def test_a_mover_refuses_to_be_built_wrong(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(WALKER, **wrong)


@pytest.mark.parametrize("grid", [(0, 4), (4, 0), (181, 4), (4, 321)])
def test_truth_refuses_a_grid_the_picture_cannot_fill(grid: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="rows"):
        truth(SMALL, *grid)
