"""Series of areas by which somebody tries to find out where a camera is that always shares: each answer is a bit.

Every area of them may be asked by the published rules on its own; who asks has as many agencies, case numbers and
months as it takes.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from pipeline.case.area import Area, box, cell_of
from pipeline.errors import RequestRefused

Ring = tuple[tuple[float, float], ...]
Answer = Callable[[Area], bool]
M_LAT: Final = 111_320.0


class Ground:
    """A stretch of land in metres east and north of a place, in which a camera is known to be."""

    def __init__(self, lon: float, lat: float) -> None:
        self.lon, self.lat, self._wide = lon, lat, M_LAT * math.cos(math.radians(lat))

    def place(self, east: float, north: float) -> tuple[float, float]:
        return self.lon + east / self._wide, self.lat + north / M_LAT

    def metres(self, lon: float, lat: float) -> tuple[float, float]:
        return (lon - self.lon) * self._wide, (lat - self.lat) * M_LAT

    def ring(self, corners: Sequence[tuple[float, float]]) -> Ring:
        ring = [self.place(*corner) for corner in corners]
        return (*ring, ring[0])

    def square(self, west: float, south: float, *, wide: float, high: float) -> Ring:
        return self.ring([(west, south), (west + wide, south), (west + wide, south + high), (west, south + high)])


def halving(ground: Ground, answer: Answer, *, within: float = 128.0, requests: int = 15) -> Iterator[Area]:
    """Halve the ground east and west, and north and south in turn, by overlapping areas of a kilometre."""
    spans = [[-within, within], [-within, within]]
    for at in range(requests):
        axis = at % 2
        low, high = spans[axis]
        middle = (low + high) / 2
        if axis == 0:
            area = Area((ground.square(middle, -500, wide=1000, high=1000),))
        else:
            area = Area((ground.square(-500, middle, wide=1000, high=1000),))
        yield area
        spans[axis] = [middle, high] if answer(area) else [low, middle]


def strips(ground: Ground, step: float = 23.0) -> Iterator[Area]:
    """Slide strips, as narrow as is allowed, over the ground in two directions."""
    for at in range(int(-300 / step), int(300 / step)):
        yield Area((ground.square(at * step, -550, wide=62, high=1100),))
        yield Area((ground.square(-550, at * step, wide=1100, high=62),))


def combs(ground: Ground, step: float = 37.0) -> Iterator[Area]:
    """Slide combs over it, whose teeth and gaps are narrower than a cell."""
    for at in range(int(260 / step)):
        corners: list[tuple[float, float]] = [(-400, -500), (480, -500)]
        for tooth in reversed(range(6)):
            east = -400 + 170 * tooth
            corners += [(east + 30, -440), (east + 30, 500), (east, 500), (east, -440)]
        shift = at * step
        yield Area((ground.ring([(east + shift, north) for east, north in corners[:-1]]),))
        yield Area((ground.ring([(north, east + shift) for east, north in corners[:-1]]),))


def sieves(ground: Ground, step: float = 41.0) -> Iterator[Area]:
    """Slide squares full of holes over it, some larger than a cell."""
    for at in range(int(300 / step)):
        for hole, apart in ((60, 150), (270, 330)):
            count = int(900 / apart)
            first = -450 + at * step
            holes = tuple(
                ground.square(first + 40 + apart * x, -410 + apart * y, wide=hole, high=hole)
                for x in range(count)
                for y in range(count)
            )
            yield Area((ground.square(first, -450, wide=1000, high=1000), *holes))


def differences(ground: Ground, step: float = 60.0) -> Iterator[Area]:
    """Ask for a place, and for the same place less one house, house by house."""
    whole = ground.square(-300, -300, wide=600, high=600)
    yield Area((whole,))
    for x in range(int(-280 / step), int(280 / step)):
        for y in range(int(-280 / step), int(280 / step)):
            yield Area((whole, ground.square(x * step, y * step, wide=15, high=15)))


def tilings(ground: Ground) -> Iterator[Area]:
    """Cover it with areas of the smallest size that do not overlap, again and again from another corner."""
    for east, north in ((0, 0), (127, 0), (0, 127), (127, 127), (63, 31), (31, 95)):
        for x in range(-2, 2):
            for y in range(-2, 2):
                yield Area((ground.square(x * 255 + east, y * 255 + north, wide=254.6, high=254.6),))


def along_the_cells(ground: Ground, cell_m: float) -> Iterator[Area]:
    """Draw along the edges of the cells, a hair on either side: whoever knows the grid."""
    west, south, east, north = box(cell_of(ground.lon, ground.lat, cell_m), cell_m)
    hair, wide, high = 1e-8, east - west, north - south
    for left, low in ((0, 0), (1, 0), (0, 1), (-1, 0), (0, -1), (-1, -1), (-2, -2)):
        for grown in (-hair, 0.0, hair):
            a, b = west + left * wide - grown, south + low * high - grown
            c, d = west + (left + 2) * wide + grown, south + (low + 2) * high + grown
            yield Area((((a, b), (c, b), (c, d), (a, d), (a, b)),))
            yield Area((((a, b), (c, b), (a, d), (a, b)),))
            yield Area((((c, b), (c, d), (a, d), (c, b)),))


def anything(ground: Ground, seed: int, count: int = 150) -> Iterator[Area]:
    """Draw polygons of any shape."""
    draw = random.Random(seed)  # noqa: S311 - shapes, no secrets
    while count:
        x, y = draw.uniform(-400, 400), draw.uniform(-400, 400)
        corners = []
        for at in range(draw.randrange(3, 12)):
            angle, radius = at + draw.random(), draw.uniform(60, 800)
            corners.append((x + radius * math.cos(angle), y + radius * math.sin(angle)))
        try:
            yield Area((ground.ring(corners),))
        except RequestRefused:
            continue
        count -= 1
