"""The simulated camera: seeded scenes of a street with people and vehicles crossing, and the true motion in them.

A scene is a value; its pictures and its truth are functions of it alone, the same bytes on every machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from simulation import scenery
from simulation.scenery import HIGH, LOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from simulation.scenery import Backdrop

Kind = Literal["person", "vehicle"]

_COATS = (
    (58, 128, 128),
    (92, 150, 112),
    (84, 116, 168),
    (186, 128, 128),
    (150, 96, 150),
    (70, 124, 120),
    (128, 140, 108),
)
_PAINTS = ((188, 128, 128), (52, 128, 128), (126, 129, 127), (86, 112, 176), (78, 156, 108), (160, 124, 132))
_NOISE_LOW, _NOISE_HIGH = -20, 44  # what LOW and HIGH leave room for, with the light at its dimmest


@dataclass(frozen=True, slots=True)
class Mover:
    """One person or vehicle that follows a path over the ground at a steady speed and is gone at its end.

    enter: seconds after the first frame at which it stands at the start of its path; may be negative.
    path: two or more points (x, y) where feet or wheels go, in shares of the picture's width and height; points outside
    the picture are allowed, points at or above the horizon (y <= 0.4) are not.
    speed: metres per second over the ground, which the camera looks down on from 2.6 m.
    colour: (Y, U, V) of the coat or the paint, Y in 34..204, U and V in 64..192.

    Raises ValueError when one of these does not hold.
    """

    kind: Kind
    enter: Fraction | int
    path: tuple[tuple[float, float], ...]
    speed: float
    colour: tuple[int, int, int] = (92, 150, 112)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"a mover is one of {', '.join(get_args(Kind))}, got {self.kind!r}")
        if not isinstance(self.enter, Fraction | int):
            raise ValueError(f"enter is exact seconds (int or Fraction), got {self.enter!r}")  # noqa: TRY004 - a noun refuses with ValueError
        if len(self.path) < 2 or any(a == b for a, b in pairwise(self.path)):
            raise ValueError(f"a path has two or more points, each unlike the one before it, got {self.path}")
        for x, y in self.path:
            if not (-4 <= x <= 5 and scenery.HORIZON + 0.06 < y <= 2):
                raise ValueError(f"a point of a path has x in -4..5 and y in 0.4..2 (below the horizon), got {(x, y)}")
        if not 0.05 <= self.speed <= 60:
            raise ValueError(f"speed is 0.05 to 60 metres per second, got {self.speed}")
        if not (LOW <= self.colour[0] <= HIGH and all(64 <= c <= 192 for c in self.colour[1:])):
            raise ValueError(f"colour is Y in {LOW}..{HIGH} and U, V in 64..192, got {self.colour}")


@dataclass(frozen=True, slots=True)
class Scene:
    """One clip of one simulated camera.

    seed: what happens; site: which street it is (the seed's own when None), so that clips of a camera share it.
    frames: how many pictures; width, height: pixels, even, at least 64 x 48; rate: frames per second.
    night: a dark picture with more noise under a street lamp; lamp: that lamp goes off and on again (by night only).
    rain: streaks and a grey light; leaves: trees wave in gusts; clouds: the light changes slowly, the gain at a stroke;
    shadows: movers and branches cast them (not by night or in rain).
    movers: who crosses, or None to draw them from the seed, `busy` a minute on average.

    Raises ValueError when one of these does not hold.
    """

    seed: int
    frames: int = 600
    width: int = 640
    height: int = 360
    rate: Fraction = Fraction(10)
    night: bool = False
    rain: bool = False
    leaves: bool = True
    shadows: bool = True
    clouds: bool = False
    lamp: bool = False
    busy: float = 4.0
    movers: tuple[Mover, ...] | None = None
    site: int | None = None

    def __post_init__(self) -> None:
        if self.seed < 0 or (self.site is not None and self.site < 0):
            raise ValueError(f"seed and site are 0 or more, got {self.seed} and {self.site}")
        if self.frames < 1:
            raise ValueError(f"a scene has at least one frame, got {self.frames}")
        if self.width < 64 or self.height < 48 or self.width % 2 or self.height % 2:
            raise ValueError(f"a picture is even and at least 64 x 48 pixels, got {self.width} x {self.height}")
        if not isinstance(self.rate, Fraction | int) or not 0 < self.rate <= 240:
            raise ValueError(f"rate is a Fraction above 0 and at most 240 frames per second, got {self.rate!r}")
        if self.lamp and not self.night:
            raise ValueError("a lamp that switches cannot be seen by day; wanted night=True with lamp=True")
        if not 0 <= self.busy <= 120:
            raise ValueError(f"busy is 0 to 120 movers a minute, got {self.busy}")
        object.__setattr__(self, "rate", Fraction(self.rate))

    def crossing(self) -> tuple[Mover, ...]:
        """Return who crosses, in order of entering when drawn from the seed; more frames only add to them."""
        if self.movers is not None:
            return self.movers
        arrivals, draws = scenery.random(self.seed, "arrivals"), scenery.random(self.seed, "movers")
        slots = math.ceil(self.frames / self.rate * 10)  # at most one mover enters in a tenth of a second
        return tuple(
            _draw_mover(draws, Fraction(slot, 10))
            for slot, chance in enumerate(arrivals.random(slots))
            if chance * 600 < self.busy
        )


def _draw_mover(rng: np.random.Generator, enter: Fraction) -> Mover:
    what, flip, jitter, pace, colour = (int(n) for n in rng.integers(0, 1000, 5))
    wobble = jitter / 1000 - 0.5
    if what < 400:  # lanes are driven on the right
        lane, path = (scenery.FAR_LANE, (1.3, -0.3)) if flip < 500 else (scenery.NEAR_LANE, (-0.3, 1.3))
        y = lane + 0.012 * wobble
        return Mover("vehicle", enter, ((path[0], y), (path[1], y)), 4.5 + pace / 150, _PAINTS[colour % len(_PAINTS)])
    speed, coat = 1.1 + pace / 1400, _COATS[colour % len(_COATS)]
    side = (-0.12, 1.12) if flip % 2 else (1.12, -0.12)
    if what < 600:
        y = scenery.FAR_WALK + 0.012 * wobble
        return Mover("person", enter, ((side[0], y), (side[1], y)), speed, coat)
    y = scenery.NEAR_WALK + 0.06 * wobble
    if what < 880:
        return Mover("person", enter, ((side[0], y), (side[1], y - 0.03 * wobble)), speed, coat)
    turn, door = (0.5 + 0.06 * wobble, y), (0.5 + 0.1 * wobble, scenery.DOOR)  # someone comes to the door and leaves
    return Mover("person", enter, ((side[0], y), turn, door, turn, (side[1], y)), speed, coat)


def render(scene: Scene) -> Iterator[NDArray[np.uint8]]:
    """Yield the pictures as I420: uint8 (height * 3 // 2, width), luma, then U, then V; each an array of its own."""
    width, height = scene.width, scene.height
    site = scene.seed if scene.site is None else scene.site

    def paint(*, lit: bool) -> Backdrop:
        return scenery.backdrop(
            site, width, height, night=scene.night, lit=lit, rain=scene.rain, wind=scene.leaves, shadows=scene.shadows
        )

    stages = {lit: paint(lit=lit) for lit in ((True, False) if scene.lamp else (True,))}
    lamp, gains, gusts, swings = _lamp(scene), _gains(scene), *_wind(scene)
    bank = _noise_bank(scene)
    pixels = width * height
    offsets = scenery.random(scene.seed, "noise").integers(0, len(bank) - pixels + 1, scene.frames)
    actors = [_Actor(scene, mover) for mover in scene.crossing()]
    scratch = np.empty((height, width), np.uint16)
    for frame in range(scene.frames):
        stage = stages[bool(lamp[frame])]
        out = np.empty(pixels * 3 // 2, np.uint8)
        luma, chroma = out[:pixels].reshape(height, width), out[pixels:].reshape(2, height // 2, width // 2)
        luma[:], chroma[:] = stage.luma, stage.chroma
        for i, patch in enumerate(stage.foliage):
            luma[patch.rows, patch.cols] = patch.bank[gusts[frame], (swings[frame] + 5 * i) % scenery.PHASES]
        _draw(scene, stage, [seen for actor in actors if (seen := actor.at(frame))], luma, chroma)
        if gains[frame] != 256:
            np.multiply(luma, np.uint16(gains[frame]), out=scratch)
            np.right_shift(scratch, 8, out=scratch)
            np.copyto(luma, scratch, casting="unsafe")
        # The bank holds negative noise as its two's complement; LOW and HIGH keep the sum inside a byte.
        np.add(luma, bank[offsets[frame] : offsets[frame] + pixels].reshape(height, width), out=luma)
        yield out.reshape(height * 3 // 2, width)


def truth(scene: Scene, rows: int, cols: int) -> NDArray[np.uint8]:
    """Return the share of each cell that people and vehicles cover: uint8 (frames, rows, cols), 255 = all of it.

    Shares are rounded up: 0 means not one pixel. Cell r holds the pixel rows from r * height // rows up to
    (r + 1) * height // rows, columns likewise. Leaves, rain, shadows and the beams of headlights are not movers.
    Raises ValueError unless there are 1 to height rows and 1 to width columns.
    """
    if not (1 <= rows <= scene.height and 1 <= cols <= scene.width):
        raise ValueError(
            f"wanted 1 to {scene.height} rows and 1 to {scene.width} columns for a picture of "
            f"{scene.width} x {scene.height}, got {rows} and {cols}"
        )
    tops, lefts = np.arange(rows + 1) * scene.height // rows, np.arange(cols + 1) * scene.width // cols
    areas = np.diff(tops)[:, None] * np.diff(lefts)
    share = np.zeros((scene.frames, rows, cols), np.uint8)
    actors = [_Actor(scene, mover) for mover in scene.crossing()]
    for frame in range(scene.frames):
        shown = [seen for actor in actors if (seen := actor.at(frame))]
        if not shown:
            continue
        covered = np.zeros((scene.height, scene.width), np.int64)
        for seen in shown:
            covered[seen.rows, seen.cols] |= seen.parts > 0
        counts = np.add.reduceat(np.add.reduceat(covered, tops[:-1], axis=0), lefts[:-1], axis=1)
        share[frame] = -(-counts * 255 // areas)
    return share


def crossings(scene: Scene) -> tuple[tuple[Mover, range], ...]:
    """Return each mover that shows at least a pixel, with the frames from its first to its last (half-open)."""
    found = []
    for mover in scene.crossing():
        actor = _Actor(scene, mover)
        frames = [frame for frame in actor.frames if actor.at(frame)]
        if frames:
            found.append((mover, range(frames[0], frames[-1] + 1)))
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A mover in one frame: its parts (h, w) as in scenery, cut to the picture, and where they lie."""

    mover: Mover
    rows: slice
    cols: slice
    parts: NDArray[np.uint8]
    foot: int  # the row its feet stand on, which may lie below the picture
    centre: int
    per_m: float
    right: bool


class _Actor:
    """A mover on the ground of a scene: where it stands in a frame, and how large."""

    def __init__(self, scene: Scene, mover: Mover) -> None:
        self.scene, self.mover = scene, mover
        self.figure = scenery.figure(mover.kind)
        # Over the ground in metres (across, away), so that a walker slows on the screen as it goes away.
        self.ground: list[tuple[float, float]] = []
        for x, y in mover.path:
            per_m = (y - scenery.HORIZON) * scene.height / scenery.CAMERA_M
            self.ground.append(((x - 0.5) * scene.width / per_m, scenery.FOCAL * scene.width / per_m))
        # The root of IEEE arithmetic is exact; math.hypot is not the same on every machine.
        self.lengths = [math.sqrt((c - a) * (c - a) + (d - b) * (d - b)) for (a, b), (c, d) in pairwise(self.ground)]
        enter = mover.enter * scene.rate
        leave = enter + Fraction(math.fsum(self.lengths) / mover.speed) * scene.rate
        self.frames = range(max(math.ceil(enter), 0), max(min(math.floor(leave) + 1, scene.frames), 0))

    def at(self, frame: int) -> _Seen | None:
        """Return what the picture of a frame shows of the mover, or None when that is not one pixel."""
        if frame not in self.frames:
            return None
        walked = float(frame / self.scene.rate - self.mover.enter) * self.mover.speed
        rest, leg = walked, 0
        while leg < len(self.lengths) - 1 and rest > self.lengths[leg]:
            rest -= self.lengths[leg]
            leg += 1
        share = min(rest / self.lengths[leg], 1.0)
        (ax, az), (bx, bz) = self.ground[leg], self.ground[leg + 1]
        x, z = ax + (bx - ax) * share, az + (bz - az) * share
        per_m = scenery.FOCAL * self.scene.width / z
        foot = math.floor(scenery.HORIZON * self.scene.height + per_m * scenery.CAMERA_M + 0.5)
        centre = math.floor(self.scene.width / 2 + x * per_m + 0.5)
        master = self.figure.parts[int(walked / self.figure.stride_m * len(self.figure.parts)) % len(self.figure.parts)]
        # A walker who comes towards the camera shows less of the side view the figure is drawn in.
        slim = 0.65 + 0.35 * abs(bx - ax) / self.lengths[leg]
        tall = max(int(self.figure.height_m * per_m), 2)
        wide = max(int(self.figure.width_m * per_m * slim), 2)
        right = bx >= ax
        top, left = foot - tall, centre - wide // 2
        rows = slice(max(top, 0), min(foot, self.scene.height))
        cols = slice(max(left, 0), min(left + wide, self.scene.width))
        if rows.start >= rows.stop or cols.start >= cols.stop:
            return None
        down = (np.arange(rows.start - top, rows.stop - top) * 2 + 1) * master.shape[0] // (2 * tall)
        along = (np.arange(cols.start - left, cols.stop - left) * 2 + 1) * master.shape[1] // (2 * wide)
        parts = master.take(down, axis=0).take(along if right else master.shape[1] - 1 - along, axis=1)
        if not parts.any():
            return None
        return _Seen(self.mover, rows, cols, parts, foot, centre, per_m, right)


def _draw(
    scene: Scene, stage: Backdrop, shown: list[_Seen], luma: NDArray[np.uint8], chroma: NDArray[np.uint8]
) -> None:
    """Draw what is seen of the movers, the farthest first, above all their shadows and beams."""
    for seen in shown:
        if scene.night and seen.mover.kind == "vehicle":
            _draw_beam(seen, luma)
        elif scene.shadows and not (scene.night or scene.rain):
            _draw_shadow(seen, luma)
    for seen in sorted(shown, key=lambda seen: seen.foot):
        light = float(stage.light[min(seen.foot, scene.height) - 1, min(max(seen.centre, 0), scene.width - 1)])
        table, u, v = _palette(seen.mover, light, night=scene.night)
        mask = seen.parts > 0
        np.copyto(luma[seen.rows, seen.cols], table[seen.parts], where=mask)
        odd_row, odd_col = seen.rows.start % 2, seen.cols.start % 2
        small = seen.parts[odd_row::2, odd_col::2]
        top, left = (seen.rows.start + 1) // 2, (seen.cols.start + 1) // 2
        for plane, tint in zip(chroma, (u, v), strict=True):
            at = plane[top : top + small.shape[0], left : left + small.shape[1]]
            np.copyto(at, tint[small], where=small > 0)


def _palette(
    mover: Mover, light: float, *, night: bool
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Return Y, U and V of each of the 256 values a part can have, in the light that falls on it."""
    y = mover.colour[0]
    colours = {
        scenery.COAT: mover.colour,
        scenery.TROUSERS: (y - 62 if y > 110 else y + 52, 133, 126),
        scenery.SKIN: (158, 114, 146),
        scenery.HAIR: (62, 124, 132),
        scenery.DARK: (46, 128, 128),
        scenery.GLASS: (66, 134, 125),
        scenery.METAL: (152, 128, 128),
        scenery.HEADLIGHT: (196, 126, 130),
        scenery.TAILLIGHT: (90, 112, 180),
    }
    table = np.full((3, 16, 16), 128.0)
    for part, colour in colours.items():
        lamp = night and part in (scenery.HEADLIGHT, scenery.TAILLIGHT)
        shade = 1 + (np.arange(16) - 8) * 0.04
        table[0, part] = HIGH if lamp else LOW + (np.clip(colour[0] * shade, LOW, HIGH) - LOW) * light
        for plane, value in zip(table[1:], colour[1:], strict=True):
            plane[part] = 128 + (value - 128) * (0.5 if night and not lamp else 1.0)
    full = np.clip(table, LOW, HIGH).astype(np.uint8).reshape(3, 256)
    return full[0], full[1], full[2]


def _draw_shadow(seen: _Seen, luma: NDArray[np.uint8]) -> None:
    """Darken the ground where the figure, flattened to a third and leaning right, keeps off the sun."""
    bottom = min(seen.foot, luma.shape[0])
    if seen.rows.stop != bottom or bottom != seen.foot:
        return  # the feet are not in the picture
    flat = seen.parts[::-3] > 0
    lean = np.arange(len(flat)) * 3 // 2
    wide = np.zeros((len(flat), flat.shape[1] + int(lean[-1]) + 1), np.bool_)
    at = np.arange(flat.shape[1]) + lean[:, None]
    np.put_along_axis(wide, at, flat, axis=1)
    left = seen.cols.start
    ground = luma[bottom - len(flat) : bottom, left : min(left + wide.shape[1], luma.shape[1])]
    wide = wide[::-1, : ground.shape[1]]
    np.copyto(ground, (LOW + ((ground.astype(np.uint16) - LOW) * 150 >> 8)).astype(np.uint8), where=wide)


def _draw_beam(seen: _Seen, luma: NDArray[np.uint8]) -> None:
    """Brighten the road ahead of a vehicle: a wedge of 7 m that widens and fades."""
    length, half = int(7 * seen.per_m), int(0.9 * seen.per_m)
    nose = seen.centre + int(2.15 * seen.per_m) * (1 if seen.right else -1)
    left = nose if seen.right else nose - length
    rows = np.arange(max(seen.foot - half - half // 2, 0), min(seen.foot + half // 2, luma.shape[0]))
    cols = np.arange(max(left, 0), min(left + length, luma.shape[1]))
    if not len(rows) or not len(cols):
        return
    ahead = (cols - nose if seen.right else nose - cols) / length
    off = np.abs(rows[:, None] - (seen.foot - half / 2 + half * 0.5 * ahead)) / (half * (0.25 + 0.75 * ahead))
    glow = np.clip(1 - off * off, 0, 1) * (110 * (1 - ahead))
    road = luma[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    road[:] = np.minimum(road + glow, HIGH).astype(np.uint8)


def _noise_bank(scene: Scene) -> NDArray[np.uint8]:
    """Return three pictures of sensor noise, and of rain if it falls, flat: any window of it is one frame's.

    Four bytes add up to nearly a normal deviate (Irwin-Hall, standard deviation 147.8) with integers alone.
    """
    rng, size = scenery.random(scene.seed, "bank"), scene.width * scene.height * 3
    total = np.zeros(size, np.int32)
    for _ in range(4):
        total += rng.integers(0, 256, size, np.uint8)
    strength = 34 if scene.night else 15  # in tenths of a level
    noise = (total - 510) * strength // 1478
    if scene.rain:
        drops = scene.height // 2 * 3
        length = np.maximum(rng.integers(scene.height // 24, scene.height // 8, drops), 2)
        start, bright = rng.integers(0, size, drops), rng.integers(8, 30, drops)
        for step in range(int(length.max())):
            falling = length > step
            at = start[falling] + step * scene.width + step // 4
            noise[at % size] += bright[falling]
    return np.clip(noise, _NOISE_LOW, _NOISE_HIGH).astype(np.int8).view(np.uint8)


def _curve(rng: np.random.Generator, scene: Scene, seconds: int, low: int, high: int) -> NDArray[np.float64]:
    """Return one value per frame: draws in low..high every so many seconds, joined by straight lines."""
    step = max(int(seconds * scene.rate), 1)
    knots = rng.integers(low, high + 1, scene.frames // step + 2)
    at, part = np.arange(scene.frames) // step, np.arange(scene.frames) % step / step
    return np.asarray(knots[at] + (knots[at + 1] - knots[at]) * part)


def _wind(scene: Scene) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return per frame the strength of the wind (0..LEVELS-1) and the point of the swing (0..PHASES-1)."""
    gusts = _curve(scenery.random(scene.seed, "wind"), scene, 2, 0, 100 * scenery.LEVELS - 1) // 100
    turns = np.arange(scene.frames) * float(Fraction(9, 10) / scene.rate)  # branches swing about once a second
    return gusts.astype(np.int64), (turns * scenery.PHASES).astype(np.int64)


def _gains(scene: Scene) -> NDArray[np.int64]:
    """Return per frame the light in 256ths: clouds drift, and now and then the gain steps."""
    if not scene.clouds:
        return np.full(scene.frames, 256, np.int64)
    drift = _curve(scenery.random(scene.seed, "clouds"), scene, 5, 214, 256)
    stepped = (
        np.repeat(scenery.random(scene.seed, "gain").integers(0, 3, scene.frames), int(11 * scene.rate) + 1)[
            : scene.frames
        ]
        == 0
    )
    return (drift * np.where(stepped, 0.94, 1.0)).astype(np.int64)


def _lamp(scene: Scene) -> NDArray[np.bool_]:
    """Return per frame whether the street lamp burns; one that switches first goes off within half the scene."""
    burns = np.ones(scene.frames, np.bool_)
    if scene.lamp:
        rng, frame = scenery.random(scene.seed, "lamp"), 0
        while frame < scene.frames:
            frame += max(int(scene.frames * rng.integers(20, 45)) // 100, 1)
            burns[frame:] ^= True
    return burns
