"""Where is asked: a polygon on the map, and the fixed cells of the map by which it is answered."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pipeline.clip import Camera
from pipeline.errors import RequestRefused

if TYPE_CHECKING:
    import shapely


Cell: TypeAlias = tuple[int, int]
"""A cell of the fixed grid: its row, counted from the equator to the north, and its column, from 180 degrees west."""

_ROW_M: Final = 110_574.0  # the shortest degree of latitude on the ellipsoid, at the equator
_COLUMN_M: Final = 111_319.0  # a degree of longitude at the equator; further away it is shorter by the cosine


@dataclass(frozen=True)
class Area:
    """One polygon on the map: closed rings of (lon, lat) in WGS84 degrees, the outer ring first, then its holes.

    cell_m: the side of the cells by which it is answered (metres): it then covers every camera of every cell of the
    fixed grid that it touches. Two cameras of one cell are so in an area or out of it together, whatever is drawn: no
    series of areas tells where in its cell a camera stands. 0: it covers what stands inside it.

    Raises RequestRefused("area", ...) when it is no such polygon, crosses itself, or crosses the antimeridian.
    """

    rings: tuple[tuple[tuple[float, float], ...], ...]
    cell_m: float = 0.0

    def __post_init__(self) -> None:
        try:
            # Floats from the start: a ring of integers would have another text, and so its request another id, when
            # it is read back.
            rings = tuple(tuple((float(lon), float(lat)) for lon, lat in ring) for ring in self.rings)
        except (TypeError, ValueError, OverflowError) as error:
            raise RequestRefused("area", f"the polygon's coordinates are not rings of [lon, lat]: {error}") from error
        object.__setattr__(self, "rings", rings)
        object.__setattr__(self, "cell_m", float(self.cell_m))
        if not rings:
            raise RequestRefused("area", "wanted a polygon, got one without any ring")
        for ring in rings:
            if len(ring) < 4 or ring[0] != ring[-1]:
                raise RequestRefused(
                    "area", f"a ring has at least 4 points and ends where it starts, got {len(ring)} points"
                )
            for lon, lat in ring:
                if not (abs(lon) <= 180 and abs(lat) <= 90):
                    raise RequestRefused(
                        "area", f"wanted lon in -180..180 and lat in -90..90 degrees, got lon {lon}, lat {lat}"
                    )
            if any(abs(a[0] - b[0]) > 180 for a, b in pairwise(ring)):
                raise RequestRefused(
                    "area", "the polygon crosses the antimeridian (180 degrees); ask for the part on one side of it"
                )
        if not self.polygon.is_valid:
            from shapely.validation import explain_validity

            raise RequestRefused(
                "area", f"the polygon is not simple ({explain_validity(self.polygon)}); draw it without crossing lines"
            )

    @cached_property
    def polygon(self) -> shapely.Polygon:
        """The same polygon for shapely, in degrees."""
        import shapely

        return shapely.Polygon(self.rings[0], self.rings[1:])

    @cached_property
    def size_m2(self) -> float:
        """Area on the WGS84 ellipsoid in square metres, its edges geodesics (C. F. F. Karney, J. Geodesy 87, 2013)."""
        import pyproj
        from shapely.geometry.polygon import orient

        return abs(pyproj.Geod(ellps="WGS84").geometry_area_perimeter(orient(self.polygon))[0])

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north of all that it covers, in degrees."""
        west, south, east, north = self.polygon.bounds
        if not self.cell_m:
            return west, south, east, north
        corners = [
            box(cell_of(lon, lat, self.cell_m), self.cell_m)
            for lon, lat in ((west, south), (west, north), (east, south), (east, north))
        ]
        wests, souths, easts, norths = zip(*corners, strict=True)
        # Rows have columns of their own: between the four corners one may reach a column further.
        reach = max(a - b for a, b in zip(easts, wests, strict=True))
        return max(-180.0, min(wests) - reach), min(souths), min(180.0, max(easts) + reach), max(norths)

    def covers(self, camera: Camera) -> bool:
        """Tell whether the camera is in a cell that the polygon touches; without cells, inside it or on its edge."""
        if self.cell_m:
            return self.touches(cell_of(camera.lon, camera.lat, self.cell_m))
        west, south, east, north = self.bounds
        if not south <= camera.lat <= north:
            return False
        # 180 degrees east and west are one meridian.
        lons = (-180.0, 180.0) if abs(camera.lon) == 180 else (camera.lon,)
        import shapely

        return any(west <= lon <= east and self.polygon.covers(shapely.Point(lon, camera.lat)) for lon in lons)

    def touches(self, cell: Cell) -> bool:
        """Tell whether any of a cell is inside the polygon; an edge in common is not enough."""
        import shapely

        square = shapely.box(*box(cell, self.cell_m))
        return self.polygon.intersects(square) and not self.polygon.touches(square)

    def cells(self) -> Iterator[Cell]:
        """Yield the cells it touches, row by row. Raises ValueError without a side for them."""
        if not self.cell_m:
            raise ValueError("an area has cells when it says how large they are, got cell_m 0")
        west, south, east, north = self.polygon.bounds
        for row in range(cell_of(west, south, self.cell_m)[0], cell_of(west, north, self.cell_m)[0] + 1):
            _, low, _, high = box((row, 0), self.cell_m)
            first, last = (cell_of(lon, (low + high) / 2, self.cell_m)[1] for lon in (west, min(east, 179.999999)))
            yield from (cell for cell in ((row, column) for column in range(first, last + 1)) if self.touches(cell))

    @classmethod
    def from_geojson(cls, document: Any) -> Area:  # noqa: ANN401 - a parsed document is anything until it is checked
        """Read a GeoJSON Polygon, or a Feature or FeatureCollection that holds exactly one (RFC 7946)."""
        kind = _kind(document)
        if kind == "FeatureCollection":
            features = document.get("features")
            if not isinstance(features, list) or len(features) != 1:
                count = len(features) if isinstance(features, list) else "none"
                raise RequestRefused("area", f"wanted one polygon in the collection, got {count}; ask once for each")
            document = features[0]
            kind = _kind(document)
        if kind == "Feature":
            document = document.get("geometry")
            kind = _kind(document)
        if kind != "Polygon":
            raise RequestRefused("area", f"wanted a GeoJSON Polygon, got {kind}")
        try:
            rings = tuple(tuple((p[0], p[1]) for p in ring) for ring in document["coordinates"])
        except (LookupError, TypeError) as error:
            raise RequestRefused("area", f"the polygon's coordinates are not rings of [lon, lat]: {error!r}") from error
        return cls(rings)

    def to_geojson(self) -> dict[str, Any]:
        """Return the GeoJSON Polygon."""
        return {"type": "Polygon", "coordinates": [[list(p) for p in ring] for ring in self.rings]}


def _kind(document: Any) -> str:  # noqa: ANN401 - see from_geojson
    return str(document.get("type")) if isinstance(document, dict) else type(document).__name__


def cell_of(lon: float, lat: float, side_m: float) -> Cell:
    """Return the cell of the fixed grid a place is in, at least `side_m` metres wide and high.

    Rows are of one height in degrees; a row has as many columns as fit around the Earth at its edge nearer to a pole.
    """
    row = math.floor(max(-90.0, min(lat, 89.999999)) / (side_m / _ROW_M))
    return row, math.floor((lon + 180.0) % 360.0 / 360.0 * _columns(row, side_m))


def box(cell: Cell, side_m: float) -> tuple[float, float, float, float]:
    """Return west, south, east, north of a cell in degrees."""
    row, column = cell
    height, width = side_m / _ROW_M, 360.0 / _columns(row, side_m)
    return column * width - 180.0, row * height, (column + 1) * width - 180.0, (row + 1) * height


def _columns(row: int, side_m: float) -> int:
    height = side_m / _ROW_M
    furthest = min(90.0, max(abs(row), abs(row + 1)) * height)
    return max(1, math.floor(360.0 * _COLUMN_M * math.cos(math.radians(furthest)) / side_m))
