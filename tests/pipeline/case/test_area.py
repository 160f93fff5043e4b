"""The cells of the map: fixed, whole, and never smaller than they say; and what an area of them covers."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pyproj
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.case.area import Area, box, cell_of
from pipeline.case.request import Request
from pipeline.case.rules import Limits, check
from pipeline.clip import Camera
from pipeline.errors import RequestRefused
from pipeline.span import NS, Span

GEOD = pyproj.Geod(ellps="WGS84")
NOON = 1_767_268_800 * NS
Ring = tuple[tuple[float, float], ...]

lons = st.floats(-180, 180)
lats = st.floats(-90, 90)
sides = st.floats(200, 10_000)
inside = st.floats(0, 1, exclude_max=True)


def at(lon: float, lat: float) -> Camera:
    return Camera("c", lon, lat, "o")


def metres(lon: float, lat: float, corners: Sequence[tuple[float, float]]) -> Ring:
    """Return a ring of corners given in metres east and north of a place."""
    wide = 111_320 * math.cos(math.radians(lat))
    ring = [(lon + east / wide, lat + north / 111_320) for east, north in corners]
    return (*ring, ring[0])


def comb(lon: float, lat: float, *, teeth: int, wide_m: float, apart_m: float, long_m: float) -> Ring:
    """Return a ring like a comb: a back of `wide_m`, and teeth that go north from it."""
    corners: list[tuple[float, float]] = [(0, 0)]
    end = (teeth - 1) * apart_m + wide_m
    corners += [(end, 0)]
    for tooth in reversed(range(teeth)):
        east = tooth * apart_m
        corners += [(east + wide_m, wide_m), (east + wide_m, long_m), (east, long_m), (east, wide_m)]
    corners.pop()
    return metres(lon, lat, corners)


@st.composite
def areas(draw: Any) -> Area:
    """Draw areas of many shapes and sizes: round ones, strips, combs, with a hole and without, anywhere on Earth."""
    lon, lat = draw(st.floats(-179.9, 179.9)), draw(st.floats(-85, 85))
    side, size = draw(st.sampled_from([200.0, 250.0, 400.0, 1000.0])), draw(st.floats(120, 1500))
    shape = draw(st.sampled_from(["round", "strip", "comb", "hole"]))
    turn = draw(st.floats(0, 2 * math.pi))
    if shape == "comb":
        rings: tuple[Ring, ...] = (comb(lon, lat, teeth=draw(st.integers(2, 5)), wide_m=20, apart_m=110, long_m=size),)
    elif shape == "strip":
        along, across = (math.cos(turn), math.sin(turn)), (-math.sin(turn), math.cos(turn))
        corners = [(0.0, 0.0), (size, 0.0), (size, 30.0), (0.0, 30.0)]
        rings = (metres(lon, lat, [(a * along[0] + b * across[0], a * along[1] + b * across[1]) for a, b in corners]),)
    else:
        circle = [(math.cos(turn + k * math.pi / 4), math.sin(turn + k * math.pi / 4)) for k in range(8)]
        outer = metres(lon, lat, [(size * x, size * y) for x, y in circle])
        hole = metres(lon, lat, [(0.7 * size * x, 0.7 * size * y) for x, y in circle])
        rings = (outer, hole) if shape == "hole" else (outer,)
    assume(all(abs(x) <= 180 and abs(y) <= 90 for ring in rings for x, y in ring))
    return Area(rings, side)


# Cells ----------------------------------------------------------------------------------------------------------------


@given(lons, lats, sides)
def test_every_place_on_earth_is_in_its_cell(lon: float, lat: float, side: float) -> None:
    west, south, east, north = box(cell_of(lon, lat, side), side)
    at_lon = -180.0 if lon == 180 else lon
    assert west - 1e-9 <= at_lon <= east + 1e-9
    assert south - 1e-9 <= lat <= north + 1e-9


@given(lons, lats, sides)
def test_a_cell_is_nowhere_smaller_than_its_side(lon: float, lat: float, side: float) -> None:
    west, south, east, north = box(cell_of(lon, lat, side), side)
    assert GEOD.inv(west, south, west, north)[2] >= side * 0.9999
    if north == 90 or south == -90:  # one cell around the pole
        assert east - west == 360
        return
    # Along the parallel: a wide cell's shortest line bends towards the pole.
    parts = max(1, math.ceil(east - west))
    for edge in (south, north):
        steps = [west + (east - west) * k / parts for k in range(parts + 1)]
        along = sum(GEOD.inv(a, edge, b, edge)[2] for a, b in pairwise(steps))
        assert along >= side * 0.9999


@given(lons, lats, sides, inside, inside)
def test_all_places_of_a_cell_are_in_it_and_in_no_other(
    lon: float, lat: float, side: float, along: float, up: float
) -> None:
    cell = cell_of(lon, lat, side)
    west, south, east, north = box(cell, side)
    x, y = west + (east - west) * (0.001 + 0.998 * along), south + (north - south) * (0.001 + 0.998 * up)
    assert cell_of(x, y, side) == cell


@pytest.mark.parametrize(("lon", "lat"), [(180, 0), (-180, 0), (180, 90), (0, -90), (math.nextafter(180, 0), 48)])
def test_the_edges_of_the_map_have_cells(lon: float, lat: float) -> None:
    cell = cell_of(lon, lat, 250)
    west, south, east, north = box(cell, 250)
    assert -180 <= west < east <= 180 + 1e-9
    assert -90 <= south < north <= 90


def test_180_degrees_east_is_180_degrees_west() -> None:
    assert cell_of(180, 48, 250) == cell_of(-180, 48, 250)


def test_the_grid_does_not_depend_on_what_is_asked() -> None:
    assert cell_of(11.5, 48.1, 250) == (21274, 56944)


@pytest.mark.parametrize("cell_m", [-1, 0.5, math.nan, math.inf, 2e6])
def test_cells_that_cannot_be_are_refused(cell_m: float) -> None:
    with pytest.raises(RequestRefused, match="cells are 1 to"):
        Area((metres(11, 48, [(0, 0), (300, 0), (300, 300)]),), cell_m)


# What is covered ------------------------------------------------------------------------------------------------------


@given(areas(), st.lists(st.tuples(inside, inside), min_size=2, max_size=6), st.floats(-0.3, 1.3), st.floats(-0.3, 1.3))
def test_two_cameras_of_one_cell_are_in_every_area_together(
    area: Area, places: list[tuple[float, float]], along: float, up: float
) -> None:
    west, south, east, north = area.polygon.bounds
    lon, lat = west + along * (east - west), south + up * (north - south)
    assume(abs(lon) <= 180)
    cell = cell_of(lon, lat, area.cell_m)
    left, low, right, high = box(cell, area.cell_m)
    cameras = [at(lon, lat)]
    for x, y in places:
        there = (left + (right - left) * (0.001 + 0.998 * x), low + (high - low) * (0.001 + 0.998 * y))
        if abs(there[0]) <= 180:
            cameras.append(at(*there))
    assert len({area.covers(camera) for camera in cameras}) == 1


@given(areas(), st.floats(0, 1), st.floats(0, 1))
def test_what_is_drawn_is_covered_and_what_is_covered_is_in_the_bounds(area: Area, along: float, up: float) -> None:
    west, south, east, north = area.bounds
    lon, lat = west + along * (east - west), south + up * (north - south)
    camera = at(lon, lat)
    if area.polygon.contains(shapely.Point(lon, lat)):
        assert area.covers(camera)
    assert area.covers(camera) == area.touches(cell_of(lon, lat, area.cell_m))
    for cell in area.cells():
        left, low, right, high = box(cell, area.cell_m)
        assert max(-180, left) >= west
        assert min(180, right) <= east
        assert south <= low
        assert high <= north


@given(areas())
def test_its_cells_are_all_that_it_touches_and_no_other(area: Area) -> None:
    west, south, east, north = area.bounds
    rows = range(cell_of(west, south, area.cell_m)[0], cell_of(west, north, area.cell_m)[0] + 1)
    near = []
    for row in rows:
        first, last = (cell_of(lon, sum(box((row, 0), area.cell_m)[1::2]) / 2, area.cell_m)[1] for lon in (west, east))
        near += [(row, column) for column in range(first - 1, last + 2)]
    squares = {cell: shapely.box(*box(cell, area.cell_m)) for cell in near}
    wanted = {cell for cell, one in squares.items() if area.polygon.intersection(one).area > 0}
    # An intersection that is smaller than rounding may be seen by one and not by the other.
    differ = wanted ^ set(area.cells())
    assert all(area.polygon.intersection(squares[cell]).area < 1e-14 for cell in differ)
    assert len(set(area.cells())) == len(area.cells())


@pytest.mark.parametrize("lon", [179.9975, -179.9975])
def test_an_area_that_ends_at_the_antimeridian_has_cells_to_its_end(lon: float) -> None:
    ring = tuple((lon + x, 48.1 + y) for x, y in ((-0.0025, 0), (0.0025, 0), (0.0025, 0.004), (-0.0025, 0.004)))
    area = Area(((*ring, ring[0]),), 250.0)
    for step in range(21):
        camera = at(lon - 0.0024 + 0.00024 * step, 48.102)
        assert area.covers(camera)
        assert area.bounds[0] <= camera.lon <= area.bounds[2]


@pytest.mark.parametrize("lat", [89.99, -89.99])
def test_an_area_at_a_pole_is_covered(lat: float) -> None:
    pole = math.copysign(90, lat)
    around = [(float(lon), lat) for lon in (-170, -90, 0, 90, 170)]
    area = Area(((*around, (170.0, pole), (0.0, pole), (-170.0, pole), around[0]),), 250.0)
    assert area.covers(at(100, math.copysign(89.9999, lat)))
    assert area.cells()


def test_a_cell_inside_of_a_hole_is_not_asked_and_one_at_its_edge_is() -> None:
    outer = metres(11.5, 48.1, [(-1000, -1000), (1000, -1000), (1000, 1000), (-1000, 1000)])
    hole = metres(11.5, 48.1, [(-600, -600), (600, -600), (600, 600), (-600, 600)])
    area = Area((outer, hole), 250.0)
    assert not area.covers(at(11.5, 48.1))
    assert area.covers(at(*metres(11.5, 48.1, [(-590, 0)])[0]))  # in the hole, and its cell is not
    assert area.covers(at(*metres(11.5, 48.1, [(-700, 0)])[0]))


def test_a_hole_smaller_than_a_cell_keeps_nobody_out() -> None:
    outer = metres(11.5, 48.1, [(-400, -400), (400, -400), (400, 400), (-400, 400)])
    hole = metres(11.5, 48.1, [(-5, -5), (5, -5), (5, 5), (-5, 5)])
    assert Area((outer, hole), 250.0).covers(at(11.5, 48.1))
    assert not Area((outer, hole)).covers(at(11.5, 48.1))


# What is asked, and its limits ----------------------------------------------------------------------------------------


@given(areas())
def test_what_is_asked_is_at_least_what_is_drawn(area: Area) -> None:
    assert area.asked_m2 >= area.size_m2 * 0.999
    assert area.asked_m2 >= len(area.cells()) * area.cell_m**2 * 0.999
    shown = shapely.geometry.shape(area.cells_geojson())
    assert shapely.get_num_geometries(shown) == len(area.cells())
    assert shapely.buffer(area.region, 1e-9).covers(area.polygon)


def test_an_area_without_cells_asks_for_itself() -> None:
    area = Area((metres(11.5, 48.1, [(0, 0), (400, 0), (400, 400), (0, 400)]),))
    assert area.asked_m2 == area.size_m2
    assert area.region == area.polygon
    with pytest.raises(ValueError, match="cell_m 0"):
        area.cells()


def asked(area: Area) -> None:
    span = Span(NOON, NOON + 3600 * NS)
    check(Request(area, span, "1", "town", "desk", "theft", NOON + 7200 * NS), Limits())


LONG = {
    "through Europe": ((0.0, 40.0), (30.0, 60.0), (30.0, 60.0 + 5e-7), (0.0, 40.0 + 5e-7)),
    "along a parallel": ((0.0, 48.0), (8.0, 48.0), (8.0, 48.0 + 1e-6), (0.0, 48.0 + 1e-6)),
    "along a meridian": ((11.0, 10.0), (11.0 + 2e-7, 10.0), (11.0 + 2e-7, 60.0), (11.0, 60.0)),
}


@pytest.mark.parametrize("ring", LONG.values(), ids=LONG)
def test_a_thread_through_a_country_is_refused_though_it_is_small(ring: Ring) -> None:
    area = Area(((*ring, ring[0]),), 250.0)
    assert 64_750 <= area.size_m2 <= 1_294_994
    with pytest.raises(RequestRefused, match="thin or jagged") as error:
        asked(area)
    assert error.value.rule == "area"


def test_a_comb_that_reaches_over_a_town_is_refused() -> None:
    area = Area((comb(11.5, 48.1, teeth=12, wide_m=15, apart_m=250, long_m=3000),), 250.0)
    assert area.size_m2 <= 1_294_994
    with pytest.raises(RequestRefused, match="thin or jagged"):
        asked(area)


@given(st.floats(0, math.pi), st.floats(1, 4), st.floats(64_800, 1_294_000), st.floats(11, 11.01), st.floats(48, 48.01))
def test_no_plain_shape_is_refused_for_its_cells(
    turn: float, ratio: float, size: float, lon: float, lat: float
) -> None:
    long, wide = math.sqrt(size * ratio), math.sqrt(size / ratio)
    corners = [(-long / 2, -wide / 2), (long / 2, -wide / 2), (long / 2, wide / 2), (-long / 2, wide / 2)]
    cos, sin = math.cos(turn), math.sin(turn)
    area = Area((metres(lon, lat, [(x * cos - y * sin, x * sin + y * cos) for x, y in corners]),), 250.0)
    assume(64_750 <= area.size_m2 <= 1_294_994)
    asked(area)


@pytest.mark.parametrize("cell_m", [200, 250, 400, 1000, 10_000])
def test_the_most_cells_leave_room_for_the_smallest_and_largest_area(cell_m: float) -> None:
    limits = Limits(cell_m=cell_m)
    assert limits.max_cells >= 4
    assert limits.max_cells * cell_m**2 >= limits.max_area_m2
