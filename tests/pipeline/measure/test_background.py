"""What `find_background` promises: the scene behind its visitors, and the room it needs for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pipeline.measure.background import Background, bent, find_background, light

if TYPE_CHECKING:
    from numpy.typing import NDArray

    U8 = NDArray[np.uint8]

H, W, N = 60, 80, 24


def ground() -> NDArray[np.floating[Any]]:
    rng = np.random.default_rng(1)
    return 110 + np.kron(rng.normal(0, 6, (H // 4, W // 4)), np.ones((4, 4)))


def figure() -> NDArray[np.floating[Any]]:
    """Somebody, 24 x 12 working pixels with a coat of their own."""
    rng = np.random.default_rng(2)
    return 50 + np.kron(rng.normal(0, 8, (6, 3)), np.ones((4, 4)))


def pictures(there: range, seed: int = 3) -> U8:
    rng = np.random.default_rng(seed)
    out = np.repeat(ground()[None], N, axis=0)
    out[there.start : there.stop, 20:44, 30:42] = figure()
    return np.asarray((out + rng.normal(0, 1.5, out.shape)).round().clip(0, 255).astype(np.uint8))


def found(samples: U8, restless: U8 | None = None) -> Background:
    still = np.ones_like(samples) if restless is None else restless
    return find_background(samples, still, same_levels=8, contrast=6, unrest=2.0)


@pytest.mark.parametrize(
    "there", [range(4, 8), range(8, 20), range(5, 20), range(6, 24), range(15)], ids=lambda r: f"{r.start}-{r.stop}"
)
def test_the_scene_is_found_behind_whoever_stands_there_and_however_long(there: range) -> None:
    usual = found(pictures(there)).usual
    # Within 10 of the 60 grey levels between both: who fills a region of light sways its gain a little.
    assert np.abs(usual[20:44, 30:42] - ground()[20:44, 30:42]).mean() < 10
    assert np.abs(usual - ground()).mean() < 3


def test_what_is_there_in_every_sample_is_the_scene() -> None:
    usual = found(pictures(range(N))).usual
    assert np.abs(usual[20:44, 30:42] - figure()).mean() < 4


def test_the_scene_is_found_in_whatever_light_the_samples_were_taken() -> None:
    samples = pictures(range(4, 8)).astype(np.float64)
    samples *= np.resize([0.6, 0.8, 1.0], N)[:, None, None]
    usual = found(samples.astype(np.uint8)).usual
    assert np.abs(usual / 0.8 - ground()).mean() < 3


def test_what_trembles_has_a_range_and_what_stands_still_has_none() -> None:
    rng = np.random.default_rng(4)
    samples = pictures(range(0))
    leaves = rng.integers(40, 200, (2, N, H, 30), np.uint8)
    samples[:, :, :30] = leaves[0]
    restless = np.ones_like(samples)
    restless[:, :, :30] = np.abs(leaves[0].astype(int) - leaves[1]).astype(np.uint8)
    scene = found(samples, restless)
    assert (scene.highest[2:-2, 2:28] > 180).mean() > 0.95
    assert (scene.lowest[2:-2, 2:28] < 60).mean() > 0.95
    assert scene.above[:, 34:].max() <= 12
    assert scene.below[:, 34:].max() <= 12
    assert (scene.trembles[:, :28] == 255).mean() > 0.95
    assert not scene.trembles[:, 34:].any()


def test_room_never_leaves_the_range_of_a_byte() -> None:
    room = np.full((1, 2), 10, np.uint8)
    scene = Background(np.array([[3, 250]], np.uint8), room, room, np.zeros_like(room))
    assert scene.lowest.tolist() == [[0, 240]]
    assert scene.highest.tolist() == [[13, 255]]


def test_light_follows_a_cloud_and_no_visitor() -> None:
    samples = pictures(range(1))[:2]
    expected = samples[1]
    assert light(expected, samples[1:]) is None
    visited = samples[1:].copy()
    visited[0, 22:34, 24:34] = 30  # less than half of any region
    assert light(expected, visited) is None
    shade = np.linspace(0.8, 1.0, W)
    gain = light(expected, (expected * shade).astype(np.uint8)[None])
    assert gain is not None
    assert np.abs(bent(gain, H, W)[0, :, 10:-10] - shade[10:-10]).max() < 0.05
