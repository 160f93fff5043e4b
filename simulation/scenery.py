"""What the simulated camera looks at: a painted street, its foliage, and the figures of people and vehicles.

Only integers, draws of PCG64 and plain IEEE arithmetic make pixels: sin, exp and float sums differ between machines.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Colour = tuple[int, int, int]
    Point = tuple[float, float]
    Floats = NDArray[np.float64]

# Painted luma stays inside, so that noise and rain are added in uint8 and can never wrap around.
LOW, HIGH = 34, 204
# The fixed view: share of the height above the horizon, camera height in metres, focal length in picture widths.
HORIZON, CAMERA_M, FOCAL = 0.34, 2.6, 0.8
# Rows of the street, as shares of the height: where feet and wheels go.
FAR_WALK, FAR_LANE, NEAR_LANE, NEAR_WALK, DOOR = 0.503, 0.575, 0.655, 0.765, 1.0
LEVELS, PHASES = 4, 16
_HOUSE_FOOT, _STREET, _WALK = 0.46, (0.53, 0.70), (0.715, 0.81)
_LAMP = (0.70, 0.17)
_WALLS: Sequence[Colour] = ((158, 120, 136), (108, 120, 146), (172, 128, 129), (132, 134, 123), (140, 121, 131))
_ROOFS: Sequence[Colour] = ((84, 126, 136), (72, 130, 127), (96, 120, 140))


def random(seed: int, stream: str) -> np.random.Generator:
    """Return the generator of one stream of a seed: what one thing draws never moves what another draws."""
    return np.random.Generator(np.random.PCG64([seed, *stream.encode()]))


def wave(turns: Floats | float) -> Floats:
    """Return a sine made of two parabolas, -1..1, period 1 turn, 0 at 0 and rising."""
    p = np.asarray(turns) - np.floor(turns)
    half = np.where(p < 0.5, p, p - 0.5)
    return np.where(p < 0.5, 16.0, -16.0) * half * (0.5 - half)


def texture(rng: np.random.Generator, height: int, width: int, cell: float) -> Floats:
    """Return value noise (height, width) in -1..1: a lattice of draws `cell` pixels apart, interpolated linearly."""
    y, x = np.arange(height) / cell, np.arange(width) / cell
    iy, ix = y.astype(np.int64), x.astype(np.int64)
    fy, fx = (y - iy)[:, None], x - ix
    lattice = rng.integers(-256, 257, (int(iy[-1]) + 2, int(ix[-1]) + 2)) / 256
    rows = lattice[iy] * (1 - fy) + lattice[iy + 1] * fy
    return np.asarray(rows[:, ix] * (1 - fx) + rows[:, ix + 1] * fx)


def _inside(points: Sequence[Point], x: Floats, y: Floats) -> NDArray[np.bool_]:
    """Tell which (x, y) lie in a convex polygon whose corners run clockwise on the screen."""
    inside = np.ones(np.broadcast_shapes(x.shape, y.shape), np.bool_)
    for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]], strict=True):
        inside &= (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0
    return inside


def _box(x0: float, y0: float, x1: float, y1: float) -> list[Point]:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def _meet(a: slice, b: slice) -> bool:
    return bool(a.start < b.stop and b.start < a.stop)


class _Canvas:
    """Luma (H, W) as floats and chroma (2, H, W) that convex polygons in shares of the picture are painted on."""

    def __init__(self, rng: np.random.Generator, width: int, height: int) -> None:
        self.rng, self.width, self.height = rng, width, height
        self.luma = np.full((height, width), 150.0)
        self.chroma = np.full((2, height, width), 128, np.uint8)
        self.fine = texture(rng, height, width, 1.5)
        self.coarse = texture(rng, height, width, max(2, height / 22))

    def window(self, points: Sequence[Point]) -> tuple[slice, slice]:
        """Return the rows and columns that hold a polygon, at least one of each."""
        spans = []
        for values, size in (([p[1] for p in points], self.height), ([p[0] for p in points], self.width)):
            first = min(max(int(min(values) * size), 0), size - 1)
            spans.append(slice(first, max(min(int(max(values) * size) + 1, size), first + 1)))
        return spans[0], spans[1]

    def paint(self, points: Sequence[Point], colour: Colour, *, grain: float = 4, blotch: float = 3) -> None:
        """Fill a polygon with a colour that varies by `grain` from pixel to pixel and by `blotch` over larger spots."""
        at = self.window(points)
        y = (np.arange(at[0].start, at[0].stop) + 0.5)[:, None] / self.height
        x = (np.arange(at[1].start, at[1].stop) + 0.5)[None, :] / self.width
        inside = _inside(points, x, y)
        np.copyto(self.luma[at], colour[0] + grain * self.fine[at] + blotch * self.coarse[at], where=inside)
        for plane, value in zip(self.chroma, colour[1:], strict=True):
            plane[at][inside] = value


@dataclass(frozen=True, slots=True, eq=False)
class Foliage:
    """A patch that waves: uint8 (LEVELS, PHASES, h, w), how it looks at each strength of wind and point of swing."""

    rows: slice
    cols: slice
    bank: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Backdrop:
    """What stands still: luma uint8 (H, W), chroma uint8 (2, H/2, W/2), light (H, W) in 0..1, and what only waves."""

    luma: NDArray[np.uint8]
    chroma: NDArray[np.uint8]
    light: Floats
    foliage: tuple[Foliage, ...]


def backdrop(
    site: int, width: int, height: int, *, night: bool, lit: bool, rain: bool, wind: bool, shadows: bool
) -> Backdrop:
    """Paint the street that the seed `site` stands for; `lit` says whether the street lamp burns (seen by night only).

    The same site is the same street by day and by night, with and without wind.
    """
    canvas = _Canvas(random(site, "street"), width, height)
    _paint_ground(canvas)
    glowing = _paint_houses(canvas)
    _paint_lamp_post(canvas)
    light = _light(width, height, night=night, lit=lit, rain=rain)
    patches = _foliage(canvas, shadows=shadows and not (night or rain), levels=LEVELS if wind else 1)

    def shine(luma: NDArray[Any], at: tuple[slice, ...]) -> NDArray[np.uint8]:
        return np.asarray(np.clip(LOW + (np.clip(luma, LOW, HIGH) - LOW) * light[at], LOW, HIGH), np.uint8)

    foliage = tuple(
        Foliage(rows, cols, np.stack([shine(level, (rows, cols)) for level in bank])) for rows, cols, bank in patches
    )
    luma = shine(canvas.luma, (slice(None), slice(None)))
    chroma = canvas.chroma[:, ::2, ::2].astype(np.int16) - 128
    chroma = chroma * (2 if night else 3 if rain else 4) // 4 + 128
    if night:
        for box in glowing:
            rows, cols = canvas.window(box)
            if any(_meet(rows, patch.rows) and _meet(cols, patch.cols) for patch in foliage):
                continue
            luma[rows, cols] = 156
            chroma[:, rows.start // 2 : rows.stop // 2, cols.start // 2 : cols.stop // 2] = [[[106]], [[142]]]
        if lit:
            luma[canvas.window(_box(_LAMP[0] - 0.012, _LAMP[1], _LAMP[0] + 0.012, _LAMP[1] + 0.02))] = HIGH
    for patch in foliage:
        luma[patch.rows, patch.cols] = patch.bank[0, 0]
    return Backdrop(luma, chroma.astype(np.uint8), light, foliage if wind else ())


def _paint_ground(canvas: _Canvas) -> None:
    rows = np.arange(int(0.4 * canvas.height))[:, None]
    sky = 188 - rows * (26 / len(rows)) + 14 * texture(canvas.rng, len(rows), canvas.width, canvas.height / 6)
    canvas.luma[: len(rows)] = np.maximum(sky, 150)
    canvas.chroma[0, : len(rows)], canvas.chroma[1, : len(rows)] = 137, 122
    canvas.paint(_box(0, 0.31, 1, _HOUSE_FOOT), (82, 120, 122), grain=16, blotch=18)  # a hedge between the houses
    canvas.paint(_box(0, _HOUSE_FOOT - 0.01, 1, 0.495), (104, 112, 120), grain=9, blotch=8)
    canvas.paint(_box(0, 0.485, 1, 0.522), (146, 127, 130), grain=4)
    canvas.paint(_box(0, 0.52, 1, _STREET[0]), (120, 128, 129))
    canvas.paint(_box(0, _STREET[0], 1, _STREET[1]), (98, 130, 127), grain=7, blotch=6)
    for left in np.arange(10) / 8 - 0.1 + canvas.rng.integers(0, 60) / 1000:
        x = float(left)
        canvas.paint([(x, 0.607), (x + 0.06, 0.607), (x + 0.06, 0.613), (x, 0.613)], (168, 127, 129))
    canvas.paint(_box(0, _STREET[1], 1, 0.717), (134, 128, 129))
    canvas.paint(_box(0, *_WALK[:1], 1, _WALK[1]), (154, 127, 130), grain=5)
    for i in range(-3, 12):  # the joints of the slabs run to the vanishing point
        near, far = 0.5 + (i - 4) * 0.16, 0.5 + (i - 4) * 0.16 * (_WALK[0] - HORIZON) / (_WALK[1] - HORIZON)
        canvas.paint(
            [(far, _WALK[0]), (far + 0.003, _WALK[0]), (near + 0.004, _WALK[1]), (near, _WALK[1])], (126, 128, 129)
        )
    canvas.paint(_box(0, _WALK[1], 1, 1), (106, 110, 120), grain=12, blotch=10)
    x = canvas.rng.integers(380, 620) / 1000
    canvas.paint([(x - 0.07, _WALK[1]), (x + 0.07, _WALK[1]), (x + 0.14, 1), (x - 0.12, 1)], (148, 127, 131), grain=6)


def _paint_houses(canvas: _Canvas) -> list[list[Point]]:
    """Paint three or four houses; return the windows behind which a lamp burns by night."""
    rng, count = canvas.rng, int(canvas.rng.integers(3, 5))
    lamps = []
    for i in range(count):
        slot = 1 / count
        left, right = (i + rng.integers(4, 14) / 100) * slot, (i + 1 - rng.integers(4, 14) / 100) * slot
        eaves, apex = rng.integers(22, 27) / 100, rng.integers(9, 16) / 100
        wall, roof = _WALLS[int(rng.integers(len(_WALLS)))], _ROOFS[int(rng.integers(len(_ROOFS)))]
        canvas.paint(_box(left, eaves, right, _HOUSE_FOOT), wall, grain=5, blotch=5)
        rows, cols = canvas.window(_box(left, eaves, right, _HOUSE_FOOT))
        canvas.luma[rows, cols][:: max(3, canvas.height // 90)] -= 12  # the shadow lines of boards or bricks
        ridge = (right - left) * rng.integers(0, 30) / 100
        middle, lip = (left + right) / 2, 0.012
        stack = left + (right - left) * 0.22
        canvas.paint(_box(stack, apex - 0.01, stack + 0.02, eaves), (104, 119, 145))
        top = [(middle - ridge, apex), (middle + ridge + 0.001, apex)]
        canvas.paint([*top, (right + lip, eaves + 0.012), (left - lip, eaves + 0.012)], roof, grain=11, blotch=6)
        canvas.paint(_box(left - lip, eaves + 0.01, right + lip, eaves + 0.02), (168, 128, 128))
        door = int(rng.integers(3))
        for column in range(3):
            x = left + (right - left) * (0.2 + 0.3 * column)
            for y in (eaves + 0.042, eaves + 0.13):
                if column == door and y > eaves + 0.1:
                    canvas.paint(_box(x - 0.019, y - 0.01, x + 0.019, _HOUSE_FOOT), (168, 128, 128))
                    colour = (70 + int(rng.integers(60)), int(rng.integers(112, 140)), int(rng.integers(116, 152)))
                    canvas.paint(_box(x - 0.015, y, x + 0.015, _HOUSE_FOOT), colour)
                    continue
                pane = _box(x - 0.02, y, x + 0.02, y + 0.055)
                canvas.paint(_box(x - 0.025, y - 0.008, x + 0.025, y + 0.063), (178, 128, 128))
                canvas.paint(pane, (64, 132, 126), grain=2, blotch=12)
                canvas.paint(_box(x - 0.0015, y, x + 0.0015, y + 0.055), (170, 128, 128))
                if rng.integers(100) < 22:
                    lamps.append(pane)
    return lamps


def _paint_lamp_post(canvas: _Canvas) -> None:
    x, y = _LAMP
    canvas.paint(_box(x + 0.016, y - 0.005, x + 0.022, 0.515), (70, 128, 128))
    canvas.paint(_box(x - 0.016, y - 0.016, x + 0.022, y), (74, 128, 128))


def _light(width: int, height: int, *, night: bool, lit: bool, rain: bool) -> Floats:
    """Return the share of full daylight that falls on what each pixel shows."""
    y = (np.arange(height) / height)[:, None]
    x = (np.arange(width) / width)[None, :]
    light = np.full((height, width), 0.76 if rain else 1.0)
    if night:
        light[:] = np.where(y < HORIZON, 0.13 + 0.2 * y, 0.26)
        if lit:  # a pool of light under the lamp, falling off with the square of the distance
            dx, dy = (x - _LAMP[0]) / 0.20, (y - 0.60) / 0.15
            halo = (x - _LAMP[0]) ** 2 * 900 + (y - _LAMP[1]) ** 2 * 300
            light += 0.52 / (1 + dx * dx + dy * dy) + 0.4 / (1 + halo)
    return np.asarray(np.minimum(light, 1.0))


def _foliage(canvas: _Canvas, *, shadows: bool, levels: int) -> list[tuple[slice, slice, NDArray[np.uint8]]]:
    """Paint two trees, a branch that hangs into the picture and its dappled shadow, each as a bank of swings."""
    rng, patches = canvas.rng, []
    side = int(rng.integers(2))
    trees = [(0.36 + rng.integers(-20, 20) / 1000, 0.09, 0.30), (0.90 - side * 0.86, 0.07, 0.33)]
    for x, top, bottom in trees:
        canvas.paint(_box(x - 0.009, bottom - 0.05, x + 0.009, 0.475), (72, 122, 134), grain=10)
        patches.append(_wave_patch(canvas, _box(x - 0.085, top, x + 0.085, bottom + 0.03), (96, 112, 120), levels))
    corner = 0.74 if side else 0.0  # away from the second tree: patches must not overlap
    patches.append(_wave_patch(canvas, _box(corner, -0.17, corner + 0.26, 0.17), (86, 110, 119), levels))
    if shadows:
        corner = corner + 0.02
        patches.append(_wave_patch(canvas, _box(corner, 0.83, corner + 0.23, 0.99), None, levels))
    return patches


def _wave_patch(
    canvas: _Canvas, box: Sequence[Point], colour: Colour | None, levels: int
) -> tuple[slice, slice, NDArray[np.uint8]]:
    """Return where a patch lies and its bank (levels, PHASES, h, w): leaves of a colour, or with None their shadow."""
    rows, cols = canvas.window(box)
    height, width = rows.stop - rows.start, cols.stop - cols.start
    ground = canvas.luma[rows, cols].copy()
    leaf, clump = max(2.0, canvas.height / 120), max(3.0, canvas.height / 28)
    leaves = texture(canvas.rng, height, width, leaf)
    clumps = texture(canvas.rng, height, width, clump)
    phase = texture(canvas.rng, height, width, clump * 2) * 0.35
    y = (np.arange(height)[:, None] + rows.start) / canvas.height
    x = (np.arange(width)[None, :] + cols.start) / canvas.width
    across = 2 * (x - box[0][0]) / (box[1][0] - box[0][0]) - 1
    down = 2 * (y - box[0][1]) / (box[2][1] - box[0][1]) - 1
    shape = 0.86 - across * across - down * down + 0.35 * clumps + 0.3 * leaves > 0
    if colour is None:
        shape &= clumps + 0.8 * leaves > -0.1
    else:
        for plane, value in zip(canvas.chroma, colour[1:], strict=True):
            plane[rows, cols][shape] = value
    paint = np.zeros_like(ground) if colour is None else colour[0] + 46 * leaves + 24 * clumps - 8 * down
    swing = canvas.height / 360
    bank = np.empty((levels, PHASES, height, width), np.uint8)
    for level in range(levels):
        for step in range(PHASES):
            turn = step / PHASES + phase + 0.8 * x - 0.6 * y
            dx = np.rint(level * 1.7 * swing * wave(turn)).astype(np.int64)
            dy = np.rint(level * 0.8 * swing * wave(2 * turn + 0.2)).astype(np.int64)
            at = np.clip(np.arange(height)[:, None] + dy, 0, height - 1) * width
            at += np.clip(np.arange(width) + dx, 0, width - 1)
            moved = ground * 0.66 if colour is None else paint.ravel()[at]
            bank[level, step] = np.clip(np.where(shape.ravel()[at], moved, ground), LOW, HIGH)
    return rows, cols, bank


# Parts of a figure; a pixel of a figure is 16 * part + texture (0..15, 8 is plain), and 0 where there is no figure.
COAT, TROUSERS, SKIN, HAIR, DARK, GLASS, METAL, HEADLIGHT, TAILLIGHT = range(1, 10)


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """A drawn figure facing right: uint8 (phases, h, w) of parts and texture, its size and one stride in metres."""

    parts: NDArray[np.uint8]
    height_m: float
    width_m: float
    stride_m: float


@cache
def figure(kind: str) -> Figure:
    """Return the master of "person" or "vehicle"."""
    return _person() if kind == "person" else _vehicle()


def _figure(
    layers: list[list[tuple[int, NDArray[Any]]]], shade: Floats, rough: float, size: Point, stride: float
) -> Figure:
    height, width = shade.shape
    grain = np.clip(np.rint(8 + rough * texture(random(0, "figure"), height, width, 2.5) + shade), 0, 15).astype(
        np.uint8
    )
    parts = np.zeros((len(layers), height, width), np.uint8)
    for frame, drawn in zip(parts, layers, strict=True):
        for part, inside in drawn:
            np.copyto(frame, np.uint8(16 * part) + grain, where=inside)
    parts.setflags(write=False)
    return Figure(parts, *size, stride)


def _limb(x: Floats, y: Floats, a: Point, b: Point, radius: float) -> NDArray[np.bool_]:
    """Tell which points lie within `radius` of the line from `a` to `b`."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    along = np.clip(((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.asarray((x - a[0] - along * dx) ** 2 + (y - a[1] - along * dy) ** 2 <= radius * radius)


def _person() -> Figure:
    """Draw a walker of 1.76 m in eight phases of two steps."""
    size, per_m = (1.76, 1.0), 64
    y = (1.76 - (np.arange(int(size[0] * per_m)) + 0.5) / per_m)[:, None]
    x = ((np.arange(int(size[1] * per_m)) + 0.5) / per_m - 0.5)[None, :]
    layers = []
    for step in range(8):
        drawn: list[tuple[int, NDArray[Any]]] = []
        for lag in (0.5, 0.0):  # the far limbs first
            turn = step / 8 + lag
            swing, lift = float(wave(turn)), max(0.0, float(wave(turn + 0.25)))
            foot, knee = (0.34 * swing, 0.07 + 0.13 * lift), (0.15 * swing + 0.05 + 0.08 * lift, 0.48)
            drawn += [(TROUSERS, _limb(x, y, (0, 0.86), knee, 0.095)), (TROUSERS, _limb(x, y, knee, foot, 0.07))]
            drawn.append((DARK, _limb(x, y, foot, (foot[0] + 0.14, foot[1] - 0.02), 0.05)))
        for lag in (0.5, 0.0):
            swing = float(wave(step / 8 + lag + 0.5))
            elbow, hand = (0.14 * swing - 0.03, 1.08), (0.30 * swing + 0.04, 0.86)
            if lag == 0:
                drawn.append((COAT, _limb(x, y, (0.0, 0.92), (0.01, 1.34), 0.165)))
            drawn += [(COAT, _limb(x, y, (0, 1.36), elbow, 0.07)), (COAT, _limb(x, y, elbow, hand, 0.055))]
            drawn.append((SKIN, _limb(x, y, hand, (hand[0] + 0.02, hand[1] - 0.04), 0.045)))
        drawn.append((SKIN, _limb(x, y, (0.02, 1.46), (0.03, 1.62), 0.085)))
        drawn.append((HAIR, _limb(x, y, (-0.05, 1.60), (0.01, 1.68), 0.08)))
        layers.append(drawn)
    return _figure(layers, 3 * (0.5 - np.abs(x * 4)) + 0 * y, 3.0, size, 1.5)


def _vehicle() -> Figure:
    """Draw a car of 4.4 by 1.5 m whose spokes turn in four phases."""
    size, per_m = (1.5, 4.4), 48
    y = (1.5 - (np.arange(int(size[0] * per_m)) + 0.5) / per_m)[:, None]
    x = ((np.arange(int(size[1] * per_m)) + 0.5) / per_m)[None, :]

    def shape(*points: Point) -> NDArray[np.bool_]:
        return _inside([(px, -py) for px, py in points], x, -y)

    body = [
        (DARK, shape((0.3, 0.4), (4.1, 0.4), (4.1, 0.16), (0.3, 0.16))),
        (
            COAT,
            shape(
                (0.06, 0.88), (0.7, 0.95), (3.3, 0.93), (4.25, 0.74), (4.4, 0.6), (4.38, 0.27), (0.05, 0.27), (0.0, 0.6)
            ),
        ),
        (COAT, shape((1.25, 1.46), (2.6, 1.46), (3.45, 0.9), (0.5, 0.9))),
        (GLASS, shape((1.3, 1.38), (1.85, 1.38), (1.85, 0.96), (0.85, 0.96))),
        (GLASS, shape((1.95, 1.38), (2.52, 1.38), (3.14, 0.96), (1.95, 0.96))),
        (DARK, shape((1.89, 0.94), (1.91, 0.94), (1.91, 0.36), (1.89, 0.36))),
        (METAL, shape((2.0, 0.8), (2.22, 0.8), (2.22, 0.76), (2.0, 0.76))),
        (HEADLIGHT, shape((4.12, 0.72), (4.36, 0.64), (4.38, 0.54), (4.14, 0.58))),
        (TAILLIGHT, shape((0.0, 0.8), (0.14, 0.82), (0.14, 0.64), (0.0, 0.62))),
    ]
    layers = []
    for step in range(4):
        wheels: list[tuple[int, NDArray[Any]]] = []
        for hub in (0.86, 3.5):
            dx, dy = x - hub, y - 0.33
            turned = dx * (1 - step / 2) + dy * (1 - np.abs(step / 2 - 1)) if step else dx
            wheels += [(DARK, dx * dx + dy * dy <= 0.33**2), (METAL, dx * dx + dy * dy <= 0.2**2)]
            wheels.append((DARK, (dx * dx + dy * dy <= 0.2**2) & (np.abs(turned) < 0.05)))
        layers.append([*body, *wheels])
    glare = np.where(np.abs(x - y - 0.6) < 0.12, 3.0, 0.0)
    return _figure(layers, 5 * (y - 0.75) + glare, 1.2, size, 1.0)
