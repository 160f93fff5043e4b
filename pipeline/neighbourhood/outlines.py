"""Outlines of states and countries: in which of them an area lies, and the paths by which a page draws them.

The files in maps/ are those of us-atlas and world-atlas (maps/vendored.json names version, licence and SHA-256),
TopoJSON as they were published: borders are arcs that two neighbours share, so what is simplified still fits.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Final, TypeAlias

import shapely

MAPS: Final = Path(__file__).parent / "maps"
_NEAR: Final = 0.3  # degrees: how far off a coast the coarse outline of a country may be
_STATES: Final = {
    "01": "AL", "02": "AK", "04": "AZ", "05": "AR", "06": "CA", "08": "CO", "09": "CT", "10": "DE", "11": "DC",
    "12": "FL", "13": "GA", "15": "HI", "16": "ID", "17": "IL", "18": "IN", "19": "IA", "20": "KS", "21": "KY",
    "22": "LA", "23": "ME", "24": "MD", "25": "MA", "26": "MI", "27": "MN", "28": "MS", "29": "MO", "30": "MT",
    "31": "NE", "32": "NV", "33": "NH", "34": "NJ", "35": "NM", "36": "NY", "37": "NC", "38": "ND", "39": "OH",
    "40": "OK", "41": "OR", "42": "PA", "44": "RI", "45": "SC", "46": "SD", "47": "TN", "48": "TX", "49": "UT",
    "50": "VT", "51": "VA", "53": "WA", "54": "WV", "55": "WI", "56": "WY", "60": "AS", "66": "GU", "69": "MP",
    "72": "PR", "78": "VI",
}  # fmt: skip
"""States by their FIPS codes, as us-atlas has them."""

Point: TypeAlias = tuple[float, float]
Rings: TypeAlias = list[list[list[Point]]]


@dataclass(frozen=True, slots=True)
class Place:
    """A state or a country: `code` is that of ISO 3166, such as US-CA, a country's three digits such as 040."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Outline:
    """A place with its path of SVG, in the units of the map it stands on."""

    place: Place
    path: str


class _Map:
    """One file: its geometries by place, made of arcs that are given, whole or simplified."""

    def __init__(self, file: str, kind: str) -> None:
        document: dict[str, Any] = json.loads((MAPS / file).read_text(encoding="utf-8"))
        (scale_x, scale_y), (left, top) = document["transform"]["scale"], document["transform"]["translate"]
        self.arcs = [
            [(x * scale_x + left, y * scale_y + top) for x, y in accumulate(map(tuple, arc), _add)]
            for arc in document["arcs"]
        ]
        found = ((_place(one, kind), one) for one in document["objects"][kind]["geometries"])
        self.geometries = {place: one for place, one in found if place is not None}

    def rings(self, geometry: Any, arcs: Sequence[Sequence[Point]]) -> Rings:  # noqa: ANN401 - of a parsed document
        """Return the rings of a geometry's polygons, made of arcs."""
        polygons = [geometry["arcs"]] if geometry["type"] == "Polygon" else geometry["arcs"]
        return [[_joined(ring, arcs) for ring in polygon] for polygon in polygons]

    @cached_property
    def polygons(self) -> dict[Place, shapely.Geometry]:
        """Every place's polygon, in degrees."""
        found: dict[Place, shapely.Geometry] = {}
        for place, geometry in self.geometries.items():
            parts = [shapely.Polygon(ring, holes) for ring, *holes in self.rings(geometry, self.arcs)]
            found[place] = shapely.make_valid(shapely.MultiPolygon(parts))
        return found


def place_of(rings: Sequence[Sequence[Point]]) -> Place | None:
    """Return the state, outside of the United States the country, that most of a polygon (degrees, WGS84) lies in.

    None on the high seas. The outlines of countries are coarse: at a border or a coast it is the nearest one.
    """
    area = shapely.make_valid(shapely.Polygon(rings[0], rings[1:]))
    country = _most(area, _map("countries-110m.json", "countries").polygons, near=_NEAR)
    state = _most(area, _map("states-10m.json", "states").polygons, near=0.0)
    if state is None or (country is not None and country.code not in {"840", "630"} and not _mostly(area, state)):
        return country
    return state


def _mostly(area: shapely.Geometry, state: Place) -> bool:
    inside = shapely.intersection(_map("states-10m.json", "states").polygons[state], area)
    return bool(shapely.area(inside) * 2 >= shapely.area(area))


def _most(area: shapely.Geometry, polygons: dict[Place, shapely.Geometry], *, near: float) -> Place | None:
    touched = ((place, one) for place, one in polygons.items() if shapely.intersects(one, area))
    common = {place: float(shapely.area(shapely.intersection(one, area))) for place, one in touched}
    if common:
        return max(common, key=lambda place: (common[place], place.code))
    away = {place: float(shapely.distance(one, area)) for place, one in polygons.items()} if near else {}
    nearest = min(away, key=lambda place: (away[place], place.code), default=None)
    return nearest if nearest is not None and away[nearest] <= near else None


def place_named(text: str) -> Place | None:
    """Return the place of that code or name, in any case, None for one there is none of."""
    wanted = text.strip().casefold()
    return next((one for one in places() if wanted in {one.code.casefold(), one.name.casefold()}), None)


@cache
def places() -> tuple[Place, ...]:
    """Return the states of the United States, then the countries, each in order of its code."""
    states = sorted(_map("states-10m.json", "states").geometries, key=lambda one: one.code)
    countries = sorted(_map("countries-110m.json", "countries").geometries, key=lambda one: one.code)
    return (*states, *countries)


@cache
def states_drawn() -> tuple[Outline, ...]:
    """Return the states with their paths, in a picture of 975 x 610 (Albers, Alaska and Hawaii moved in)."""
    return tuple(_outlines(_map("states-albers-10m.json", "states"), tolerance=0.6, digits=1))


@cache
def countries_drawn() -> tuple[Outline, ...]:
    """Return the countries with their paths, in a picture of 960 x 480: degrees of longitude and latitude alike."""
    found = _Map("countries-110m.json", "countries")  # its arcs are moved: not the one that places are found by
    found.arcs = [[((lon + 180.0) * 960 / 360, (90.0 - lat) * 960 / 360) for lon, lat in arc] for arc in found.arcs]
    kept = _outlines(found, tolerance=0.5, digits=1, around=960.0)
    return tuple(one for one in kept if one.place.code != "010")  # nobody's police is there, and it is wide


def _outlines(of: _Map, *, tolerance: float, digits: int, around: float = 0.0) -> Iterator[Outline]:
    """Yield the outlines of a map; around: how wide one that goes around the Earth is, 0 of one that does not."""
    arcs = [_simplified(arc, tolerance) for arc in of.arcs]
    for place, geometry in sorted(of.geometries.items(), key=lambda item: item[0].code):
        rings = (ring for polygon in of.rings(geometry, arcs) for ring in polygon)
        paths = [_path(part, digits) for ring in rings for part in _unwrapped(ring, around)]
        # Of an island that is gone when it is simplified, the whole of a small place may be left.
        yield Outline(place, "".join(paths) or "".join(_whole(of, geometry, digits)))


def _unwrapped(ring: Sequence[Point], around: float) -> list[list[Point]]:
    """Return a ring that crosses the edge of a map as one beyond its edge, once on each side; others as they are."""
    points, shift = [ring[0]], 0.0
    for (before, _), (x, y) in pairwise(ring):
        if around and abs(x - before) > around / 2:
            shift += around if x < before else -around
        points.append((x + shift, y))
    if all(0 <= x <= around for x, _ in points) or not around:
        return [points]
    return [[(x + by, y) for x, y in points] for by in (-around, 0.0, around)]


def _simplified(arc: Sequence[Point], tolerance: float) -> list[Point]:
    kept = shapely.get_coordinates(shapely.simplify(shapely.LineString(arc), tolerance))
    return [(float(x), float(y)) for x, y in kept]


def _whole(of: _Map, geometry: Any, digits: int) -> Iterable[str]:  # noqa: ANN401
    return (_path(ring, digits) for polygon in of.rings(geometry, of.arcs) for ring in polygon)


def _path(ring: Sequence[Point], digits: int) -> str:
    """Return a closed path of SVG, "" of a ring that is no more than a line."""
    points = list(dict.fromkeys((round(x, digits), round(y, digits)) for x, y in ring))
    if len(points) < 3:
        return ""
    return "M" + "L".join(f"{x:g},{y:g}" for x, y in points) + "Z"


@cache
def _map(file: str, kind: str) -> _Map:
    return _Map(file, kind)


def _add(one: tuple[float, ...], step: tuple[float, ...]) -> tuple[float, ...]:
    return one[0] + step[0], one[1] + step[1]


def _joined(ring: Sequence[int], arcs: Sequence[Sequence[Point]]) -> list[Point]:
    points: list[Point] = []
    for index in ring:
        arc = arcs[index] if index >= 0 else arcs[~index][::-1]
        points += arc[1:] if points else arc  # an arc begins where the one before it ends
    return points


def _place(geometry: Any, kind: str) -> Place | None:  # noqa: ANN401
    code = geometry.get("id")
    if code is None:
        return None
    return Place(f"US-{_STATES[code]}" if kind == "states" else str(code), str(geometry["properties"]["name"]))
