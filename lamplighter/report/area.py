"""The area of a request as a drawing: its outline, a scale and north, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_WIDTH, _HEIGHT, _EDGE = 480, 360, 44
_METRES_PER_DEGREE: Final = 40_007_863 / 360  # along a meridian of WGS84
_MOST_CORNERS: Final = 12


@dataclass(frozen=True, slots=True)
class Drawing:
    """What the drawing is made of: paths of SVG (numbers alone), and words. See `drawn`."""

    width: int
    height: int
    path: str
    north: str
    north_x: int
    north_y: int
    bar: str
    bar_x: int
    bar_y: int
    scale: str
    size: str
    corners: str


def drawn(area: Mapping[str, Any]) -> Drawing | None:
    """Return the drawing of a GeoJSON polygon (degrees, WGS84), None for what is none.

    North is up; both directions have one scale, by the length of a degree in the middle of it. Good for areas of some
    kilometres, which a request's are.
    """
    try:
        rings = [[(float(lon), float(lat)) for lon, lat, *_ in ring] for ring in area["coordinates"]]
        start, middle = rings[0][0][0], sum(lat for _, lat in rings[0]) / len(rings[0])
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError):
        return None
    if not all(math.isfinite(value) for ring in rings for place in ring for value in place):
        return None
    east, up = math.cos(math.radians(middle)) * _METRES_PER_DEGREE, _METRES_PER_DEGREE
    # One that reaches over the 180th meridian has corners on both sides of it.
    metres = [[(((lon - start + 540) % 360 - 180) * east, lat * up) for lon, lat in ring] for ring in rings]
    xs, ys = ([place[at] for ring in metres for place in ring] for at in (0, 1))
    wide, high = max(xs) - min(xs), max(ys) - min(ys)
    unit = min((_WIDTH - 2 * _EDGE) / max(wide, 1.0), (_HEIGHT - 2 * _EDGE) / max(high, 1.0))  # pixels a metre
    left, top = (_WIDTH - wide * unit) / 2, (_HEIGHT - high * unit) / 2
    path = " ".join(
        "M" + "L".join(f"{left + (x - min(xs)) * unit:.1f} {top + (max(ys) - y) * unit:.1f}" for x, y in ring) + "Z"
        for ring in metres
    )
    bar_m = _round_length(90 / unit)
    end = 14 + bar_m * unit
    return Drawing(
        *(_WIDTH, _HEIGHT, path),
        *(f"M{_WIDTH - 22} 46V10M{_WIDTH - 28} 20L{_WIDTH - 22} 10L{_WIDTH - 16} 20", _WIDTH - 22, 62),
        *(f"M14 {_HEIGHT - 18}v8H{end:.1f}v-8", 14, _HEIGHT - 22),
        scale=_length(bar_m),
        size=f"{_length(wide)} from west to east and {_length(high)} from south to north",
        corners=_corners(rings[0]),
    )


def _round_length(metres: float) -> float:
    """Return the largest of 1, 2, 5, 10, ... metres that is not longer."""
    ten = 10.0 ** math.floor(math.log10(max(metres, 1.0)))
    return max(step * ten for step in (1, 2, 5) if step * ten <= max(metres, 1.0))


def _length(metres: float) -> str:
    return f"{metres:,.0f} m" if metres < 10_000 else f"{metres / 1000:,.0f} km"


def _corners(ring: Sequence[tuple[float, float]]) -> str:
    """Return the corners, latitude first, as people read them; of many the first."""
    places = ring[:-1] if len(ring) > 1 and ring[0] == ring[-1] else ring
    told = "; ".join(f"{lat:.6f}, {lon:.6f}" for lon, lat in places[:_MOST_CORNERS])
    more = len(places) - _MOST_CORNERS
    return told + (f"; and {more:,} more" if more > 0 else "") + " (latitude, longitude)"
