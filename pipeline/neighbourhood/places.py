"""Where something of the neighbourhood is: a cell of the fixed grid, at least 500 m wide, and never a point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from pipeline.case.area import Area, Cell, box
from pipeline.errors import RequestRefused

LEAST_M: Final = 500.0
"""The least side of a cell in metres."""
DECIMALS: Final = 3
"""Of a degree, the most that is told of any place: three are some 100 metres."""

Rings: TypeAlias = tuple[tuple[tuple[float, float], ...], ...]


def told_box(cell: Cell, side_m: float) -> list[float]:
    """Return west, south, east, north of a cell in degrees, to three decimals: it never becomes smaller by that."""
    west, south, east, north = (edge * 10**DECIMALS for edge in box(cell, side_m))
    edges = math.floor(west), math.floor(south), math.ceil(east), math.ceil(north)
    return [edge / 10**DECIMALS for edge in edges]


def near(one: Cell, other: Cell, *, side_m: float, reach: int) -> bool:
    """Tell whether at most `reach - 1` cells lie between two, in either direction; each is near itself."""
    if abs(one[0] - other[0]) > reach:
        return False
    west, _, east, _ = box(one, side_m)
    left, _, right, _ = box(other, side_m)
    reach_lon = (reach + 0.5) * max(east - west, right - left)
    apart = abs((west + east) / 2 - (left + right) / 2)
    return min(apart, 360.0 - apart) <= reach_lon


def told_rings(area: Area) -> Rings:
    """Return an area's rings to three decimals. Raises RequestRefused where that is no polygon any more."""
    rings = tuple(_rounded(ring) for ring in area.rings)
    try:
        return Area(rings).rings
    except RequestRefused as error:
        raise RequestRefused(
            "area", f"to three decimals, the most that is told of a place, it is no polygon any more: {error.reason}"
        ) from error


def _rounded(ring: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    points = [(round(lon, DECIMALS) + 0.0, round(lat, DECIMALS) + 0.0) for lon, lat in ring]
    apart = [point for at, point in enumerate(points) if not at or point != points[at - 1]]
    return tuple(apart)


def rings_of_box(cell: Cell, side_m: float) -> Rings:
    """Return the ring around a cell, to three decimals."""
    west, south, east, north = told_box(cell, side_m)
    return (((west, south), (east, south), (east, north), (west, north), (west, south)),)


def geojson(rings: Rings) -> dict[str, Any]:
    """Return rings as a GeoJSON Polygon."""
    return {"type": "Polygon", "coordinates": [[list(point) for point in ring] for ring in rings]}
