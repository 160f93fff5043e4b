"""Hard cases with exact truth: real people and cars, cut out by their labels, before real scenes that are spoiled.

Made at run time from the footage that is there, never stored. Every case lasts a minute at 15 frames a second and is
labelled as CDnet labels: 255 moves, 50 is shadow, and 0 is all else, leaves, rain, light and reflections included.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from skimage.filters import gaussian
from skimage.measure import label as regions_of
from skimage.morphology import dilation

from pipeline.media.decode import open_video
from simulation.scene import Scene, render, truth

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Bool = NDArray[np.bool_]

RATE = 15  # frames per second
COUNT = 60 * RATE
SIZE = HEIGHT, WIDTH = 240, 320
_MOVES, _SHADOW = 255, 50


@dataclass(frozen=True, eq=False)
class Case:
    """A minute of luma uint8 (N, H, W) at `RATE` frames per second, with its labels uint8 (N, H, W)."""

    frames: U8
    masks: U8


@dataclass(frozen=True, eq=False)
class Cutout:
    """What one labelled frame shows of one mover: its luma, its cover 0..1 with soft edges, and its label; (H, W)."""

    luma: F32
    alpha: F32
    label: Bool

    def moved(self, down: float, right: float) -> Cutout:
        """Return the cutout displaced by fractions of a pixel."""
        luma, alpha, label = (_shifted(p, down, right) for p in (self.luma, self.alpha, self.label.astype(np.float32)))
        return Cutout(luma, alpha, label > 0.5)

    def mirrored(self) -> Cutout:
        """Return the cutout as a mirror shows it, walking the other way."""
        return Cutout(self.luma[:, ::-1], self.alpha[:, ::-1], self.label[:, ::-1])


Show = list[Cutout | None]  # what is seen of one mover in each of the COUNT frames


class Footage:
    """The labelled sequences and clips, read once, cut to HEIGHT x WIDTH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cache  # noqa: B019 - one of these lives as long as the benchmark
    def plate(self, name: str) -> F32:
        """Return the empty scene of a labelled sequence: the mean of what every pixel shows while it is still."""
        frames, labels = self._sequence(name)
        usable = labels == 0
        count = usable.sum(0)
        total = (frames * usable).sum(0, dtype=np.float64)
        median = np.median(frames[:: max(1, len(frames) // 60)], axis=0)
        empty: F32 = np.where(count > 20, total / np.maximum(count, 1), median).astype(np.float32)
        return empty

    @cache  # noqa: B019
    def tracks(self, name: str, least: int) -> list[list[Cutout]]:
        """Return single movers over at least so many frames, followed by overlap while they are apart from others."""
        frames, labels = self._sequence(name)
        done: list[list[tuple[int, Bool]]] = []
        live: list[list[tuple[int, Bool]]] = []
        for frame in range(len(labels)):
            regions = regions_of(labels[frame] == _MOVES, connectivity=2)  # type: ignore[no-untyped-call]
            sizes = np.bincount(regions.ravel())
            sizes[0] = 0
            free = set(np.flatnonzero(sizes > 80).tolist())
            going = []
            for track in live:
                last = track[-1][1]
                over = np.bincount(regions[last], minlength=len(sizes))
                number = int(over[1:].argmax()) + 1 if len(over) > 1 else 0
                if number in free and over[number] and 0.6 < sizes[number] / last.sum() < 1.6:
                    track.append((frame, regions == number))
                    free.discard(number)
                    going.append(track)
                else:
                    done.append(track)
            live = going + [[(frame, regions == number)] for number in sorted(free)]
        long = [track for track in done + live if len(track) >= least and max(p.sum() for _, p in track) > 600]
        return [[_cutout(frames[frame], part) for frame, part in track] for track in long]

    @lru_cache(maxsize=2)  # noqa: B019 - hundreds of megabytes each
    def crop(self, clip: str, top: int, left: int, scale: int) -> F32:
        """Return float32 (n, H, W): a part of every frame of an unlabelled clip, averaged over boxes of `scale`."""
        with open_video(self.folder / "clips" / clip) as video:
            planes = [plane[top : top + HEIGHT * scale, left : left + WIDTH * scale] for _, plane in video.luma()]
        boxes: F32 = np.stack(planes).reshape(-1, HEIGHT, scale, WIDTH, scale).mean((2, 4), dtype=np.float32)
        return boxes

    @lru_cache(maxsize=2)  # noqa: B019 - hundreds of megabytes each
    def _sequence(self, name: str) -> tuple[U8, U8]:
        folder = self.folder / "labelled" / name
        with open_video(folder / "video.mp4") as video:
            frames = np.stack([plane[:HEIGHT, :WIDTH].copy() for _, plane in video.luma()])
        names = sorted((folder / "groundtruth").glob("*.png"))
        return frames, np.stack([np.asarray(Image.open(path).convert("L"))[:HEIGHT, :WIDTH] for path in names])


def _cutout(frame: U8, part: Bool) -> Cutout:
    # A hard label lies a little inside of what it labels.
    soft = gaussian(dilation(part).astype(np.float32), 0.8)  # type: ignore[no-untyped-call]
    return Cutout(frame.astype(np.float32), soft.astype(np.float32), part)


def _shifted(plane: F32, down: float, right: float) -> F32:
    """Return the plane displaced, linearly interpolated; the edge is repeated."""
    for axis, by in ((0, down), (1, right)):
        at = np.clip(np.arange(plane.shape[axis]) - by, 0, plane.shape[axis] - 1)
        low = at.astype(np.int64)
        part = np.expand_dims((at - low).astype(np.float32), 1 - axis)
        plane = plane.take(low, axis) * (1 - part) + plane.take(np.minimum(low + 1, plane.shape[axis] - 1), axis) * part
    return plane


def paste(canvas: F32, mask: U8, cutout: Cutout) -> None:
    """Put a cutout into a picture float32 (H, W) and its label into the mask, in place."""
    canvas += (cutout.luma - canvas) * cutout.alpha
    mask[cutout.label] = _MOVES


def _compose(background: Callable[[int], F32], shows: list[Show], *, noise: float = 2.0, seed: int = 1) -> Case:
    """Paste what is seen of every mover onto a background, then add the noise of a sensor."""
    rng = np.random.default_rng(seed)
    frames, masks = np.empty((2, COUNT, *SIZE), np.uint8)
    masks[:] = 0
    for n in range(COUNT):
        canvas = background(n).copy()
        for show in shows:
            if (seen := show[n]) is not None:
                paste(canvas, masks[n], seen)
        frames[n] = exposed(canvas, rng, noise)
    return Case(frames, masks)


def exposed(canvas: F32, rng: np.random.Generator, noise: float) -> U8:
    """Return what a sensor with so much noise makes of a picture."""
    return (canvas + rng.normal(0, noise, SIZE).astype(np.float32)).round().clip(0, 255).astype(np.uint8)


def passing(track: list[Cutout], first: int, *, step: int = 2, count: int = COUNT) -> Show:
    """Show a track once, from a frame on; labelled sequences have 25 frames a second, so every other one is used."""
    show: Show = [None] * count
    for n, cutout in enumerate(track[::step]):
        if first + n < count:
            show[first + n] = cutout
    return show


def standing(
    track: list[Cutout], first: int, last: int, *, enter: bool = True, leave: bool = True, count: int = COUNT
) -> Show:
    """Show somebody who comes, stands still from a frame to another, swaying a little, and goes on."""
    show: Show = [None] * count
    steps = track[::2]
    half = len(steps) // 2
    if enter:
        for n, cutout in enumerate(steps[:half]):
            if first - half + n >= 0:
                show[first - half + n] = cutout
    for n in range(first, last):
        sway = n / RATE
        show[n] = steps[half].moved(0.3 * math.sin(1.3 * sway), 0.8 * math.sin(0.9 * sway) + 0.4 * math.sin(2.3 * sway))
    if leave:
        for n, cutout in enumerate(steps[half:]):
            if last + n < count:
                show[last + n] = cutout
    return show


def people(footage: Footage) -> list[list[Cutout]]:
    """Return the walkers of two sequences, one after the other, also mirrored."""
    tracks = footage.tracks("pedestrians", 60) + footage.tracks("hall", 30)
    return [*tracks, *([cutout.mirrored() for cutout in track] for track in tracks)]


def walks(footage: Footage, every_s: float, *, start_s: float = 3) -> list[Show]:
    """Return walkers, one every so many seconds."""
    crowd = people(footage)
    starts = np.arange(start_s, COUNT / RATE - 3, every_s)
    return [passing(crowd[i % len(crowd)], round(float(start) * RATE)) for i, start in enumerate(starts)]


def smooth(rng: np.random.Generator, scale: float) -> F32:
    """Return smooth noise (H, W) of deviation 1, its bumps about `scale` pixels wide."""
    field = gaussian(rng.normal(size=SIZE), scale, mode="wrap")  # type: ignore[no-untyped-call]
    even: F32 = (field / field.std()).astype(np.float32)
    return even


class _Wind:
    """Displaces a picture as wind moves twigs: every spot swings at its own phase and pace, in gusts."""

    def __init__(self, picture: F32, reach: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.picture, self.reach = picture, reach
        self.phase = [smooth(rng, 7) * 2 for _ in range(2)]
        self.pace = [2.0 + 0.5 * smooth(rng, 12) for _ in range(2)]
        self.gust = np.convolve(rng.random(COUNT + 60), np.ones(45) / 45, "same")[:COUNT]
        self.gust = (self.gust - self.gust.min()) / np.ptp(self.gust)
        self.y, self.x = np.mgrid[:HEIGHT, :WIDTH]

    def __call__(self, n: int) -> F32:
        swing = [
            self.reach * (0.2 + self.gust[n]) * np.sin(phase + pace * (2 * math.pi * n / RATE))
            for phase, pace in zip(self.phase, self.pace, strict=True)
        ]
        y = np.clip(np.round(self.y + swing[0]), 0, HEIGHT - 1).astype(np.int64)
        x = np.clip(np.round(self.x + swing[1]), 0, WIDTH - 1).astype(np.int64)
        blown: F32 = self.picture[y, x]
        return blown


def leaves(footage: Footage) -> Case:
    """Cars pass now and then behind a tree that the wind shakes and that covers half of the picture, with gaps."""
    rng = np.random.default_rng(3)
    tree = footage.crop("atv.mp4", 60, 900, 2)[0]
    cover = np.clip(1.5 * (smooth(rng, 5) + 0.9 * smooth(rng, 30) + np.linspace(1.2, -1.2, WIDTH)) + 0.5, 0, 1)
    wind, gaps = _Wind(tree, 4, 4), _Wind(cover.astype(np.float32), 4, 4)
    cars = footage.tracks("highway", 40)
    starts = [60, 200, 330, 480, 560, 700, 820]
    case = _compose(lambda _: footage.plate("highway"), [passing(c, s) for c, s in zip(cars, starts, strict=False)])
    frames, masks = case.frames.copy(), case.masks.copy()
    for n in range(COUNT):
        before = gaps(n)
        frames[n] = (frames[n] + (wind(n) - frames[n]) * before).round().clip(0, 255).astype(np.uint8)
        masks[n][before > 0.5] = 0
    return Case(frames, masks)


def _leaves_filmed(clip: str, top: int, left: int, scale: int, every_s: float) -> Callable[[Footage], Case]:
    """People walk before a real tree in the wind, filmed close and played fast, forwards and backwards."""

    def made(footage: Footage) -> Case:
        tree = footage.crop(clip, top, left, scale)
        turn = len(tree) - 1
        return _compose(lambda n: tree[turn - abs(n % (2 * turn) - turn)], walks(footage, every_s))

    return made


def water(footage: Footage) -> Case:
    """People walk along water: the lower half glitters."""
    rng = np.random.default_rng(5)
    plate = footage.plate("hall")
    waves = [smooth(rng, 2.5) for _ in range(6)]
    down = np.clip((np.arange(HEIGHT)[:, None] - 130) / 30, 0, 1).astype(np.float32)

    def lake(n: int) -> F32:
        t = n / RATE
        rolled = [
            np.roll(wave, (round(3 * math.sin(t + i)), round((i - 2.5) * 9 * t)), (0, 1))
            for i, wave in enumerate(waves)
        ]
        return plate + down * (14 * sum(rolled) + 30 * (rolled[0] > 1.6))

    return _compose(lake, walks(footage, 9))


def rain(footage: Footage) -> Case:
    """Streaks fall before the lens, and two insects a second fly over it."""
    rng = np.random.default_rng(6)
    plate = footage.plate("highway")
    y, x = np.mgrid[:HEIGHT, :WIDTH]

    def wet(n: int) -> F32:
        sky = plate * np.float32(0.9)
        for _ in range(60):
            top, left, length = (int(rng.integers(*reach)) for reach in ((-20, HEIGHT), (0, WIDTH - 4), (10, 40)))
            for step in range(max(0, -top), min(length, HEIGHT - top)):
                sky[top + step, left + step // 10] += 40
        if n % 8 < 2:
            at = rng.integers(0, HEIGHT), rng.integers(0, WIDTH)
            sky += np.float32(90) * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * 7.0**2)).astype(np.float32)
        return sky

    return _compose(wet, walks(footage, 9))


def _stands(
    name: str, first: float, last: float, *, enter: bool = True, leave: bool = True
) -> Callable[[Footage], Case]:
    def made(footage: Footage) -> Case:
        crowd = people(footage)
        person = crowd[0] if name == "hall" else crowd[2]
        plate = footage.plate(name)
        show = standing(person, round(first * COUNT), round(last * COUNT), enter=enter, leave=leave)
        return _compose(lambda _: plate, [show])

    return made


def shadows(footage: Footage) -> Case:
    """People and the hard shadows they cast: sheared, flattened, half as bright."""
    plate = footage.plate("highway")
    case_shows = walks(footage, 7)
    rng = np.random.default_rng(7)
    frames, masks = np.empty((2, COUNT, *SIZE), np.uint8)
    masks[:] = 0
    for n in range(COUNT):
        canvas = plate.copy()
        seen = [cutout for show in case_shows if (cutout := show[n]) is not None]
        for cutout in seen:
            cast = _cast(cutout)
            canvas *= 1 - np.float32(0.45) * cast
            masks[n][cast > 0.5] = _SHADOW
        for cutout in seen:
            paste(canvas, masks[n], cutout)
        frames[n] = exposed(canvas, rng, 2)
    return Case(frames, masks)


def _cast(cutout: Cutout) -> F32:
    """Return the cover of a shadow on the ground: the figure laid down from its feet to the right."""
    rows = np.flatnonzero((cutout.alpha > 0.5).any(1))
    shade = np.zeros(SIZE, np.float32)
    if not len(rows):
        return shade
    foot = rows[-1]
    for up in range(foot - rows[0] + 1):
        row = foot - round(up * 0.35)
        right = round(up * 0.9)
        if right < WIDTH:
            part = cutout.alpha[foot - up, : WIDTH - right]
            np.maximum(shade[row, right:], part, out=shade[row, right:])
    return shade


def lamps(footage: Footage) -> Case:
    """Switch the light and let clouds drift while people walk."""
    rng = np.random.default_rng(8)
    switched = np.repeat(rng.choice([0.6, 0.8, 1.0], COUNT // 75 + 1), 75)[:COUNT]
    slant = np.linspace(-0.12, 0.12, WIDTH, dtype=np.float32)
    case = _compose(lambda _: footage.plate("hall"), walks(footage, 8), noise=0)
    gains = [np.float32(s) * (1 + slant * math.sin(n / 40)) for n, s in enumerate(switched)]
    frames = np.stack([exposed(f * g, rng, 2) for f, g in zip(case.frames, gains, strict=True)])
    return Case(frames, case.masks)


def night(footage: Footage) -> Case:
    """Leave a quarter of the light, and give the sensor three times the noise."""
    rng = np.random.default_rng(9)
    case = _compose(lambda _: footage.plate("hall"), walks(footage, 8), noise=0)
    return Case(np.stack([exposed(frame * np.float32(0.25), rng, 6) for frame in case.frames]), case.masks)


def shake(footage: Footage) -> Case:
    """Let the camera's pole sway by up to 8 pixels."""
    case = _compose(lambda _: footage.plate("highway"), walks(footage, 8))
    t = np.arange(COUNT) / RATE
    down = np.round(4 * np.sin(5.1 * t) + 2 * np.sin(11 * t)).astype(int)
    right = np.round(5 * np.sin(3.7 * t) + 3 * np.sin(9 * t)).astype(int)
    moved = [
        np.stack([np.roll(f, (d, r), (0, 1)) for f, d, r in zip(planes, down, right, strict=True)])
        for planes in (case.frames, case.masks)
    ]
    for planes in moved:  # what has been rolled in at the edges is not a scene
        planes[:, :8], planes[:, -8:], planes[:, :, :8], planes[:, :, -8:] = 0, 0, 0, 0
    frames = np.pad(moved[0][:, 8:-8, 8:-8], ((0, 0), (8, 8), (8, 8)), mode="edge")
    return Case(frames, moved[1])


def shop(footage: Footage) -> Case:
    """People enter over a polished floor that mirrors them; daylight flickers in the door; a clock is burnt in."""
    plate = footage.plate("hall")
    rng = np.random.default_rng(10)
    shows = walks(footage, 6)
    frames, masks = np.empty((2, COUNT, *SIZE), np.uint8)
    masks[:] = 0
    door = gaussian(np.pad(np.ones((70, 50)), ((40, HEIGHT - 110), (150, WIDTH - 200))), 6).astype(np.float32)  # type: ignore[no-untyped-call]
    flicker = np.convolve(rng.normal(0, 1, COUNT + 30), np.ones(20) / 20, "same")[:COUNT] * 80
    for n in range(COUNT):
        canvas = plate + door * np.float32(flicker[n])
        seen = [cutout for show in shows if (cutout := show[n]) is not None]
        for cutout in seen:
            rows = np.flatnonzero((cutout.alpha > 0.5).any(1))
            if len(rows):
                foot = rows[-1]
                high = min(foot + 1, HEIGHT - foot - 1)
                mirror = slice(foot + 1, foot + 1 + high)
                source = slice(foot, foot - high if foot >= high else None, -1)
                canvas[mirror] += (cutout.luma[source] - canvas[mirror]) * cutout.alpha[source] * np.float32(0.22)
        for cutout in seen:
            paste(canvas, masks[n], cutout)
        frames[n] = exposed(canvas, rng, 2)
        _clock(frames[n], n // RATE)
    return Case(frames, masks)


def _clock(frame: U8, second: int) -> None:
    picture = Image.new("L", (110, 12))
    ImageDraw.Draw(picture).text((1, 0), f"2026-03-01 12:00:{second % 60:02}", fill=255)
    part = frame[4:16, 6:116]
    part[np.asarray(picture) > 100] = 255


def _simulated(**kind: bool) -> Callable[[Footage], Case]:
    def made(_: Footage) -> Case:
        scene = Scene(11, frames=COUNT, width=WIDTH, height=HEIGHT, rate=Fraction(RATE), busy=12, **kind)  # type: ignore[arg-type]
        frames = np.stack([picture[:HEIGHT] for picture in render(scene)])
        return Case(frames, (truth(scene, HEIGHT, WIDTH) > 0).view(np.uint8) * np.uint8(_MOVES))

    return made


CASES: dict[str, Callable[[Footage], Case]] = {
    "leaves": leaves,
    "leaves filmed": _leaves_filmed("atv.mp4", 240, 880, 1, 11),
    # These two were looked at only when every constant of `measure` had its value.
    "leaves filmed 2": _leaves_filmed("atv2.mp4", 240, 880, 1, 9),
    "leaves filmed 3": _leaves_filmed("atv3.mp4", 100, 200, 2, 9),
    "water": water,
    "rain": rain,
    "stands 30 %": _stands("hall", 0.4, 0.7),
    "stands 65 %": _stands("hall", 0.2, 0.85),
    "stays 75 %": _stands("highway", 0.25, 1.0, leave=False),
    "first 40 %": _stands("hall", 0.0, 0.4, enter=False),
    "first 65 %": _stands("highway", 0.0, 0.65, enter=False),
    "shadows": shadows,
    "lamps": lamps,
    "night": night,
    "shake": shake,
    "shop": shop,
    "sim day": _simulated(clouds=True),
    "sim rain": _simulated(rain=True),
    "sim night": _simulated(night=True, lamp=True),
}
