"""What nuisances are staged with: visitors cut out of labelled footage, sensors, wind, and a camera's own encoder.

Lengths are in frames of the scene's `rate`; light is float32 in grey levels of 255; labels are those of CDnet 2014.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.filters import gaussian
from skimage.transform import resize

from benchmarks.composites import Case, Cutout, Footage
from pipeline.media.decode import open_video
from pipeline.media.encode import encode

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Bool = NDArray[np.bool_]

_FILMED_HZ = 25  # the labelled sequences
_MOVES = 255
_SWINGS = ((0.61, 0.7), (1.37, 0.5), (2.3, 0.3))  # of twigs: Hz, share of the reach
_VARIANTS = 24  # noise planes, of which each frame takes one at a place and a sign of its own


@dataclass(frozen=True)
class Scene:
    """How long, how often and how large: `count` frames of `size` (H, W), `rate` a second; `seed` draws all chance."""

    seed: int
    seconds: int
    rate: int = 10
    size: tuple[int, int] = (240, 320)

    @property
    def count(self) -> int:
        """How many frames there are."""
        return self.seconds * self.rate

    def rng(self, what: str) -> np.random.Generator:
        """Return the generator of one thing that is left to chance; things do not disturb one another."""
        return np.random.default_rng([self.seed, *what.encode()])

    def smooth(self, what: str | np.random.Generator, scale: float) -> F32:
        """Return smooth noise (H, W) of deviation 1, its bumps about `scale` pixels wide."""
        rng = self.rng(what) if isinstance(what, str) else what
        field = gaussian(rng.normal(size=self.size), scale, mode="wrap")  # type: ignore[no-untyped-call]
        even: F32 = (field / field.std()).astype(np.float32)
        return even

    def spot(self, at: tuple[float, float], radius: tuple[float, float]) -> F32:
        """Return a blurred spot, 1 at its centre `at` (y, x), that falls off over `radius` pixels down and across."""
        down = np.exp(-((np.arange(self.size[0]) - at[0]) ** 2) / (2 * radius[0] ** 2))
        across = np.exp(-((np.arange(self.size[1]) - at[1]) ** 2) / (2 * radius[1] ** 2))
        spot: F32 = np.outer(down, across).astype(np.float32)
        return spot


@dataclass(frozen=True, eq=False)
class Sight:
    """One visitor in one frame: luma, cover 0..1 and label, all (h, w), and where their top left corner lies.

    relative: the luma is the difference from the mean of what it is pasted on.
    """

    luma: F32
    alpha: F32
    label: Bool
    top: float
    left: float
    relative: bool = False

    def moved(self, down: float, right: float) -> Sight:
        """Return it elsewhere, to the whole pixel."""
        return replace(self, top=self.top + down, left=self.left + right)

    def of_contrast(self, contrast: float, kept: float) -> Sight:
        """Return it with `kept` of its own texture, and so many grey levels above what it will be pasted on."""
        luma = (self.luma - self.luma[self.label].mean()) * np.float32(kept) + np.float32(contrast)
        return replace(self, luma=luma, relative=True)


Show = Mapping[int, Sight]
"""What is seen of one visitor, by the number of the frame."""


def sights(track: Sequence[Cutout]) -> list[Sight]:
    """Return the sights of a track, cut to what is seen."""
    found = []
    for cutout in track:
        rows, columns = (np.flatnonzero((cutout.alpha > 0.02).any(axis)) for axis in (1, 0))
        part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        luma, alpha, label = cutout.luma[part].copy(), cutout.alpha[part].copy(), cutout.label[part].copy()
        found.append(Sight(luma, alpha, label, int(rows[0]), int(columns[0])))
    return found


def people(footage: Footage, take: int) -> list[list[Sight]]:
    """Return walkers: of the one take those who cross a lawn, of the other those of a corridor and their mirrored."""
    if take == 1:
        return [sights(track) for track in footage.tracks("pedestrians", 60)]
    tracks = footage.tracks("hall", 30)
    return [sights(track) for track in (*tracks, *([cutout.mirrored() for cutout in track] for track in tracks))]


def vehicles(footage: Footage) -> list[list[Sight]]:
    """Return a few vehicles that come a long way towards the camera."""
    return [sights(track) for track in footage.tracks("highway", 230)]


def passing(track: Sequence[Sight], first: int, scene: Scene, *, by: tuple[float, float] = (0, 0)) -> Show:
    """Show a track once from a frame on, displaced by (down, right) pixels."""
    frames = round(len(track) * scene.rate / _FILMED_HZ)
    at = {first + n: track[min(n * _FILMED_HZ // scene.rate, len(track) - 1)].moved(*by) for n in range(frames)}
    return {n: sight for n, sight in at.items() if 0 <= n < scene.count}


def standing(
    track: Sequence[Sight], first: int, last: int, scene: Scene, *, by: tuple[float, float] = (0, 0)
) -> dict[int, Sight]:
    """Show somebody who comes, stands from a frame to another, swaying by a pixel now and then, and goes on."""
    half = len(track) // 2
    show = dict(passing(track[half:], last, scene, by=by))
    coming = passing(track[:half], 0, scene, by=by)
    show |= {n + first - len(coming): sight for n, sight in coming.items() if n + first - len(coming) >= 0}
    for n in range(max(first, 0), min(last, scene.count)):
        sway = round(0.9 * math.sin(0.9 * n / scene.rate) + 0.5 * math.sin(2.3 * n / scene.rate))
        show[n] = track[half].moved(by[0], by[1] + sway)
    return show


def paste(canvas: F32, mask: U8, sight: Sight) -> None:
    """Draw a sight onto a picture and its labels, as far as it lies inside."""
    top, left = round(sight.top), round(sight.left)
    (height, width), (rows, columns) = canvas.shape, sight.label.shape
    y, x = slice(max(top, 0), min(top + rows, height)), slice(max(left, 0), min(left + columns, width))
    if y.start >= y.stop or x.start >= x.stop:
        return
    own = slice(y.start - top, y.stop - top), slice(x.start - left, x.stop - left)
    luma, part = sight.luma[own], canvas[y, x]
    if sight.relative:
        luma = luma + part.mean()
    part += (luma - part) * sight.alpha[own]
    mask[y, x][sight.label[own]] = _MOVES


Light = Callable[[int, F32], F32]
"""What becomes of the picture of a frame: light that falls on it, or what hangs before the lens."""


def compose(
    scene: Scene,
    background: Callable[[int], F32],
    shows: Sequence[Show],
    *,
    light: Light | None = None,
    cover: Callable[[int], tuple[F32, F32]] | None = None,
    sensor: Callable[[int], F32] | None = None,
) -> Case:
    """Paste visitors onto a background, put a `cover` (its alpha and luma) before them, light it, add noise.

    A visitor behind more than half of the cover is not labelled.
    """
    sensor = sensor or Sensor(scene, 2.0)
    frames = np.empty((scene.count, *scene.size), np.uint8)
    masks = np.zeros_like(frames)
    for n in range(scene.count):
        canvas = background(n).astype(np.float32, copy=True)
        for show in shows:
            if n in show:
                paste(canvas, masks[n], show[n])
        if cover is not None:
            alpha, luma = cover(n)
            canvas += (luma - canvas) * alpha
            masks[n][alpha > 0.5] = 0
        if light is not None:
            canvas = light(n, canvas)
        frames[n] = (canvas + sensor(n)).round().clip(0, 255).astype(np.uint8)
    return Case(frames, masks)


class Sensor:
    """The noise of a sensor: `sigma` grey levels, its grain `grain` pixels wide, and a pattern that does not change."""

    def __init__(self, scene: Scene, sigma: float, *, grain: float = 0.0, fixed: float = 0.0) -> None:
        rng = scene.rng("sensor")
        self._planes = [
            np.float32(sigma) * (scene.smooth(rng, grain) if grain else rng.normal(size=scene.size).astype(np.float32))
            for _ in range(_VARIANTS)
        ]
        columns = rng.normal(size=scene.size[1]).astype(np.float32)
        self._fixed = np.float32(fixed) * (columns + rng.normal(size=scene.size).astype(np.float32))
        self._draw = rng.integers(0, 1 << 30, (scene.count, 4))

    def __call__(self, n: int) -> F32:
        """Return the noise of a frame, (H, W)."""
        which, down, right, sign = self._draw[n].tolist()
        plane = np.roll(self._planes[which % _VARIANTS], (down, right), (0, 1))
        noise: F32 = plane * np.float32(1 - 2 * (sign % 2)) + self._fixed
        return noise


class Wind:
    """Displaces a picture as wind moves twigs: neighbours swing together, far ones apart, as strong as `gusts`.

    gusts: (N,), 0 to 1, of `reach` pixels.
    """

    def __init__(self, scene: Scene, picture: F32, reach: float, gusts: NDArray[np.float64]) -> None:
        rng = scene.rng("wind")
        self._picture, self._reach, self._gusts, self._scene = picture, reach, gusts, scene
        # Paces of their own for every spot would tear neighbours further apart the longer it lasts.
        self._swings = [
            [(hertz, 2 * scene.smooth(rng, 10), np.float32(share)) for hertz, share in _SWINGS] for _ in range(2)
        ]
        self._y, self._x = np.mgrid[: scene.size[0], : scene.size[1]].astype(np.float32)

    def __call__(self, n: int) -> F32:
        """Return the picture as it is in a frame, (H, W)."""
        turn = 2 * math.pi * n / self._scene.rate
        reach = np.float32(self._reach * self._gusts[n])
        down, right = (
            reach * sum(share * np.sin(phase + np.float32(hertz * turn)) for hertz, phase, share in swings)
            for swings in self._swings
        )
        y = np.clip(np.round(self._y + down), 0, self._scene.size[0] - 1).astype(np.intp)
        x = np.clip(np.round(self._x + right), 0, self._scene.size[1] - 1).astype(np.intp)
        blown: F32 = self._picture[y, x]
        return blown


def gusty(scene: Scene, *, calm: float = 0.15, swell_s: float = 3.0) -> NDArray[np.float64]:
    """Return (N,), `calm` to 1: wind that comes and goes all the time."""
    box = round(swell_s * scene.rate)
    gusts = np.convolve(scene.rng("gusts").random(scene.count + 2 * box), np.ones(box) / box, "same")[box:-box]
    gusts = (gusts - gusts.min()) / np.ptp(gusts)
    even: NDArray[np.float64] = calm + (1 - calm) * gusts
    return even


def enlarged(picture: F32, size: tuple[int, int]) -> F32:
    """Return a picture (H, W) in another size."""
    return np.asarray(resize(picture, size, order=1), np.float32)  # type: ignore[no-untyped-call]


def as_recorded(case: Case, rate: int, *, codec: str = "libx265", bit_rate: str = "300k") -> Case:
    """Encode and decode the frames as a camera does; the labels stay."""
    height, width = case.frames.shape[1:]
    grey = np.full((height // 2, width), 128, np.uint8)
    options = {"preset": "ultrafast", "b": bit_rate, "maxrate": bit_rate, "bufsize": bit_rate}
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as folder:
        path = Path(folder) / "clip.mp4"
        pictures = (np.concatenate([frame, grey]) for frame in case.frames)
        encode(path, pictures, rate=Fraction(rate), codec=codec, options=options, gop=2 * rate)
        with open_video(path) as video:
            frames = np.stack([plane.copy() for _, plane in video.luma()])
    if frames.shape != case.frames.shape:
        raise SystemExit(f"{frames.shape} was recorded of {case.frames.shape}")
    return Case(frames, case.masks)
