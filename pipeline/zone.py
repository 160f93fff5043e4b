"""A zone: a polygon that somebody draws over the picture, in shares of its width and height."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, TypeAlias

MOST_ZONES: Final = 64
"""How many zones of one kind may be drawn over one picture."""
MOST_CORNERS: Final = 128
"""How many corners one may have."""

Zone: TypeAlias = tuple[tuple[float, float], ...]
"""A polygon of (x, y) points relative to the upright picture: (0, 0) is its top left corner, (1, 1) its bottom right
one."""


def zone_of(text: str) -> Zone:
    """Read a zone as it is typed: "0,0 0.3,0 0.3,0.5 0,0.5". Raises ValueError for what is none."""
    corners = [corner.split(",") for corner in text.split()]
    try:
        zone = tuple((float(x), float(y)) for x, y in corners)
    except ValueError:
        raise ValueError(
            f"wanted the corners of a zone as X,Y apart by spaces, such as 0,0 0.3,0 0.3,0.5 0,0.5; got {text!r}"
        ) from None
    return checked([zone])[0]


def checked(zones: Iterable[Zone]) -> tuple[Zone, ...]:
    """Return zones in one order, each once: the same zones are the same, however they were drawn up.

    Raises ValueError for too many of them, and for one that has fewer than three corners or too many, a corner outside
    of the picture, sides that cross, or no inside.
    """
    # A corner is a pair of floats in documents and names too, whatever it was drawn with.
    known = sorted({tuple((float(x), float(y)) for x, y in zone) for zone in zones})
    if len(known) > MOST_ZONES:
        raise ValueError(f"wanted at most {MOST_ZONES} zones over one picture, got {len(known)}")
    for zone in known:
        _check(zone)
    return tuple(known)


def _check(zone: Zone) -> None:
    # Costs a tenth of a second, and most cameras and answers have none.
    from shapely import Polygon  # noqa: PLC0415

    told = " ".join(f"{x:g},{y:g}" for x, y in zone[:8]) + (" ..." if len(zone) > 8 else "")
    if not 3 <= len(zone) <= MOST_CORNERS:
        raise ValueError(f"wanted a zone of 3 to {MOST_CORNERS} corners, got {len(zone)}: {told}")
    if not all(math.isfinite(one) and 0 <= one <= 1 for corner in zone for one in corner):
        raise ValueError(f"wanted corners inside of the picture, from 0,0 to 1,1, got the zone {told}")
    if not Polygon(zone).is_valid:
        raise ValueError(f"the sides of the zone {told} cross or enclose nothing; draw it as one loop, or as two zones")
