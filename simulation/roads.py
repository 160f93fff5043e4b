"""The map of a simulated street or town, made of where its cameras stand: roads, houses, water, a park; as GeoJSON."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pipeline.clip import Camera

_METRES_PER_DEGREE: Final = 111_320
_BEYOND_M: Final = 700.0  # how far the map reaches beyond the cameras
_ROW_M: Final = 70.0  # from one road to the next
_BLOCK_M: Final = 120.0  # from one side street to the next
_HOUSE_M: Final = 16.0

Shape = dict[str, Any]


def road_map(cameras: Sequence[Camera], *, seed: int = 7) -> dict[str, Any]:
    """Return a GeoJSON FeatureCollection around some cameras: each thing has a "kind", none a name.

    The kinds: "road", "street", "path" and "water" of lines; "building", "park" and "water" of polygons. A road runs
    along each row of cameras. The same cameras and seed give the same map. Raises ValueError without cameras.
    """
    if not cameras:
        raise ValueError("a map is made around cameras, got none")
    plan = _Plan(cameras, random.Random(seed))  # noqa: S311 - a simulation
    features = [*plan.park(), *plan.canal(), *plan.houses(), *plan.roads()]
    return {"type": "FeatureCollection", "features": features}


class _Plan:
    """The plan of a town in metres from the south-western camera."""

    def __init__(self, cameras: Sequence[Camera], draw: random.Random) -> None:
        self._draw = draw
        self._lon, self._lat = min(one.lon for one in cameras), min(one.lat for one in cameras)
        self._east_m = _METRES_PER_DEGREE * math.cos(math.radians(self._lat))
        places = [self._metres(one.lon, one.lat) for one in cameras]
        wide, high = max(x for x, _ in places), max(y for _, y in places)
        self._west, self._east = -_BEYOND_M, math.ceil((wide + _BEYOND_M) / _BLOCK_M) * _BLOCK_M
        self._south, self._north = -_BEYOND_M / 2, high + _BEYOND_M / 2
        # The first row's cameras stand on both sides of its road.
        first = 6.0
        self._rows = [first + _ROW_M * row for row in range(-4, math.ceil(high / _ROW_M) + 5)]
        start = math.ceil(self._west / _BLOCK_M)
        self._columns = [_BLOCK_M * (one + 0.5) for one in range(start, int(self._east // _BLOCK_M))]

    def _metres(self, lon: float, lat: float) -> tuple[float, float]:
        return (lon - self._lon) * self._east_m, (lat - self._lat) * _METRES_PER_DEGREE

    def _place(self, x: float, y: float) -> list[float]:
        return [round(self._lon + x / self._east_m, 7), round(self._lat + y / _METRES_PER_DEGREE, 7)]

    def _line(self, kind: str, *places: tuple[float, float]) -> Shape:
        line = {"type": "LineString", "coordinates": [self._place(*one) for one in places]}
        return {"type": "Feature", "properties": {"kind": kind}, "geometry": line}

    def _patch(self, kind: str, *places: tuple[float, float]) -> Shape:
        ring = [self._place(*one) for one in (*places, places[0])]
        return {"type": "Feature", "properties": {"kind": kind}, "geometry": {"type": "Polygon", "coordinates": [ring]}}

    def roads(self) -> Iterator[Shape]:
        """Yield side streets, then the roads along the rows: the middle one is the widest."""
        for x in self._columns:
            yield self._line("street", (x, self._rows[0]), (x, self._rows[-1]))
        for number, y in enumerate(self._rows):
            kind = "road" if number in {0, 4, len(self._rows) - 1} else "street"
            yield self._line(kind, (self._west, y), (self._east, y))
        low, high = self._columns[0], self._columns[1]
        yield self._line("path", (low, self._rows[-2]), ((low + high) / 2, self._rows[-3] + 12), (high, self._rows[-2]))

    def canal(self) -> Iterator[Shape]:
        """Yield the water to the south, from edge to edge."""
        y, bends = self._rows[0] - 45, range(9)
        step = (self._east - self._west) / 8
        bank = [(self._west + step * one, y + 9 * math.sin(one * 1.1)) for one in bends]
        yield self._patch("water", *bank, *((x, place - 28) for x, place in reversed(bank)))

    def park(self) -> Iterator[Shape]:
        """Yield the green between two side streets in the north."""
        west, east, north = self._columns[0], self._columns[1], self._rows[-1]
        south = self._rows[-3]
        yield self._patch("park", (west, south), (east, south), (east, north), (west, north))

    def houses(self) -> Iterator[Shape]:
        """Yield houses along both sides of each road, with gaps."""
        for low, high in zip(self._rows, self._rows[1:], strict=False):
            for left, right in zip(self._columns, self._columns[1:], strict=False):
                if left == self._columns[0] and low >= self._rows[-3]:
                    continue  # the park
                x = left + 12
                while x + _HOUSE_M < right - 10:
                    wide = self._draw.uniform(0.7, 1.0) * _HOUSE_M
                    for near in (low + 14, high - 14 - _HOUSE_M):
                        if self._draw.random() < 0.9:
                            yield self._house(x, near, wide)
                    x += wide + self._draw.choice([2.0, 2.0, 6.0])

    def _house(self, x: float, y: float, wide: float) -> Shape:
        deep = self._draw.uniform(0.75, 1.0) * _HOUSE_M
        return self._patch("building", (x, y), (x + wide, y), (x + wide, y + deep), (x, y + deep))
