"""Where is asked: a polygon on the map, and the fixed cells of the map by which it is answered."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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
_HAIR: Final = 1e-9  # degrees: what rounding can do to the edge of a cell is far less
_LARGEST_M: Final = 1_000_000.0
_CORNERS: Final = 48
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
        if self.cell_m and not 1 <= self.cell_m <= _LARGEST_M:
            raise RequestRefused(
                "area", f"cells are 1 to {_LARGEST_M:g} metres wide, or there are none: 0, got {self.cell_m}"
            )
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
        """West, south, east, north of all that it covers, in degrees; with cells a little more."""
        west, south, east, north = self.polygon.bounds
        if not self.cell_m:
            return west, south, east, north
        rows = [cell_of(west, lat, self.cell_m)[0] for lat in (south, north)]
        # A cell that is touched reaches one cell's width beyond, at most that of the row nearest to a pole.
        reach = 360.0 / min(_columns(row, self.cell_m) for row in rows) + _HAIR
        low, high = box((rows[0], 0), self.cell_m)[1], box((rows[1], 0), self.cell_m)[3]
        return max(-180.0, west - reach), low - _HAIR, min(180.0, east + reach), high + _HAIR

    def covers(self, camera: Camera) -> bool:
        """Tell whether the camera is in a cell that the polygon touches; without cells, inside it or on its edge."""
        west, south, east, north = self.bounds
        if not south <= camera.lat <= north:
            return False
        # 180 degrees east and west are one meridian.
        lons = (-180.0, 180.0) if abs(camera.lon) == 180 else (camera.lon,)
        if not any(west <= lon <= east for lon in lons):
            return False
        if self.cell_m:
            return self.touches(cell_of(camera.lon, camera.lat, self.cell_m))
        import shapely

        return any(west <= lon <= east and self.polygon.covers(shapely.Point(lon, camera.lat)) for lon in lons)

    def touches(self, cell: Cell) -> bool:
        """Tell whether any of a cell is inside the polygon; an edge in common is not enough."""
        if cell not in self._answers:
            self._answers[cell] = bool(self._touched([cell])[0])
        return self._answers[cell]

    @cached_property
    def _answers(self) -> dict[Cell, bool]:
        return {}

    def _touched(self, cells: Sequence[Cell]) -> list[bool]:
        return _meets(self.polygon, cells, self.cell_m)

    def cells(self, *, most: int | None = None) -> tuple[Cell, ...]:
        """Return the cells it touches, row by row; of more than `most` the first of them, and at least one more.

        Raises ValueError without a side for them.
        """
        if not self.cell_m:
            raise ValueError("an area has cells when it says how large they are, got cell_m 0")
        if most is None:
            return self._all_cells
        found: list[Cell] = []
        for row in self._by_row():
            found += row
            if len(found) > most:
                break
        return tuple(found)

    @cached_property
    def _all_cells(self) -> tuple[Cell, ...]:
        return tuple(cell for row in self._by_row() for cell in row)

    def _by_row(self) -> Iterator[list[Cell]]:
        import shapely

        west, south, east, north = self.polygon.bounds
        for row in range(cell_of(west, south, self.cell_m)[0], cell_of(west, north, self.cell_m)[0] + 1):
            _, low, _, high = box((row, 0), self.cell_m)
            # Only what of the row's length it reaches over: the row may go round half the Earth.
            part = self.polygon.intersection(shapely.box(west, low, east, high))
            left, _, right, _ = (west, low, east, high) if part.is_empty else part.bounds
            columns = _columns(row, self.cell_m)
            first, last = (math.floor((lon + 180.0) / 360.0 * columns) for lon in (left - _HAIR, right + _HAIR))
            cells = [(row, column) for column in range(max(0, first), min(columns - 1, last) + 1)]
            yield [cell for cell, touched in zip(cells, self._touched(cells), strict=True) if touched]

    def overlaps(self, other: Area) -> bool:
        """Tell whether both cover a place in common: share a cell, or, of different cells, a part of one."""
        apart = self.bounds[2] < other.bounds[0] or other.bounds[2] < self.bounds[0]
        if apart or self.bounds[3] < other.bounds[1] or other.bounds[3] < self.bounds[1]:
            return False
        if self.cell_m == other.cell_m:
            return any(map(other.touches, self.cells())) if self.cell_m else self.polygon.intersects(other.polygon)
        mine, theirs = (self, other) if self.cell_m else (other, self)
        return any(_meets(theirs.region, mine.cells(), mine.cell_m))

    @cached_property
    def region(self) -> shapely.Geometry:
        """All that it covers, in degrees: its cells, or the polygon itself where it has none."""
        import shapely

        if not self.cell_m:
            return self.polygon
        return shapely.union_all([shapely.box(*box(cell, self.cell_m)) for cell in self.cells()])

    @cached_property
    def asked_m2(self) -> float:
        """How much is asked, in square metres: that of all its cells, or its own where it has none."""
        if not self.cell_m:
            return self.size_m2
        squares = (box(cell, self.cell_m) for cell in self.cells())
        return sum(Area((_ring(*square),)).size_m2 for square in squares)

    def cells_geojson(self) -> dict[str, Any]:
        """Return a GeoJSON MultiPolygon of one square for each of its cells, for a page to show what is asked."""
        squares = [_ring(*box(cell, self.cell_m)) for cell in self.cells()]
        return {"type": "MultiPolygon", "coordinates": [[[list(point) for point in ring]] for ring in squares]}

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

    @classmethod
    def around(cls, lon: float, lat: float, radius_m: float) -> Area:
        """Return the circle around a place, on the WGS84 ellipsoid, as a polygon of as many corners as look round.

        Raises RequestRefused("area", ...) for a place that is none, and for a radius that no area can have.
        """
        if not (abs(lon) <= 180 and abs(lat) <= 90):
            raise RequestRefused("area", f"wanted a place in -180..180, -90..90 degrees, got lon {lon}, lat {lat}")
        if not 1 <= radius_m <= _LARGEST_M:
            raise RequestRefused("area", f"wanted a radius of 1 to {_LARGEST_M:,.0f} metres, got {radius_m:g}")
        import pyproj

        turns = [360.0 * number / _CORNERS for number in range(_CORNERS)]
        count = len(turns)
        to = pyproj.Geod(ellps="WGS84").fwd([lon] * count, [lat] * count, turns, [radius_m] * count)
        ring = [(round(x, 7), round(y, 7)) for x, y in zip(to[0], to[1], strict=True)]
        return cls(((*ring, ring[0]),))

    def to_geojson(self) -> dict[str, Any]:
        """Return the GeoJSON Polygon."""
        return {"type": "Polygon", "coordinates": [[list(p) for p in ring] for ring in self.rings]}


def _kind(document: Any) -> str:  # noqa: ANN401 - see from_geojson
    return str(document.get("type")) if isinstance(document, dict) else type(document).__name__


def _meets(polygon: shapely.Geometry, cells: Sequence[Cell], side_m: float) -> list[bool]:
    """Tell of each cell whether it has more in common with a polygon than an edge."""
    import shapely

    squares = [shapely.box(*box(cell, side_m)) for cell in cells]
    shapely.prepare(polygon)
    return [bool(one) for one in shapely.intersects(polygon, squares) & ~shapely.touches(polygon, squares)]


def _ring(west: float, south: float, east: float, north: float) -> tuple[tuple[float, float], ...]:
    east = min(180.0, east)
    return (west, south), (east, south), (east, north), (west, north), (west, south)


def cell_of(lon: float, lat: float, side_m: float) -> Cell:
    """Return the cell of the fixed grid a place is in, at least `side_m` metres wide and high.

    Rows are of one height in degrees; a row has as many columns as fit around the Earth at its edge nearer to a pole.
    What is left at a pole belongs to its last row, which is one cell. 180 degrees east is 180 degrees west.
    """
    rows = _rows(side_m)
    row = max(-rows, min(rows - 1, math.floor(lat / (side_m / _ROW_M))))
    columns = _columns(row, side_m)
    return row, min(columns - 1, math.floor((lon + 180.0) % 360.0 / 360.0 * columns))


def box(cell: Cell, side_m: float) -> tuple[float, float, float, float]:
    """Return west, south, east, north of a cell in degrees."""
    (row, column), rows = cell, _rows(side_m)
    height, width = side_m / _ROW_M, 360.0 / _columns(row, side_m)
    south = -90.0 if row == -rows else row * height
    north = 90.0 if row == rows - 1 else (row + 1) * height
    return column * width - 180.0, south, (column + 1) * width - 180.0, north


def _rows(side_m: float) -> int:
    return math.floor(90.0 / (side_m / _ROW_M))


def _columns(row: int, side_m: float) -> int:
    if row in {-_rows(side_m), _rows(side_m) - 1}:
        return 1
    furthest = max(abs(row), abs(row + 1)) * (side_m / _ROW_M)
    return max(1, math.floor(360.0 * _COLUMN_M * math.cos(math.radians(furthest)) / side_m))
