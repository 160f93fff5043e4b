"""No series of permitted areas tells where in its cell of the map a camera is that always shares."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain

import pytest
import shapely

import sieges
from pipeline.case.area import Area, box, cell_of
from pipeline.case.request import Request
from pipeline.case.rules import Limits, check
from pipeline.clip import Camera
from pipeline.errors import RequestRefused
from pipeline.span import NS, Span

NOON = 1_767_268_800 * NS
LIMITS = Limits()
GROUNDS = [(11.5003, 48.1002), (4.8, 52.0), (-58.4, -34.6), (0.0001, 0.0001), (25.7, 66.5)]


def at(lon: float, lat: float) -> Camera:
    return Camera("c", lon, lat, "o")


def permitted(area: Area) -> bool:
    """Tell whether an area may be asked by the published rules."""
    span = Span(NOON, NOON + 3600 * NS)
    try:
        check(Request(area, span, "1", "town", "desk", "theft", NOON + 7200 * NS), LIMITS)
    except RequestRefused:
        return False
    return True


def attack(ground: sieges.Ground, camera: Camera, cell_m: float) -> Iterator[tuple[Area, bool]]:
    """Yield every permitted area of all series, and whether the camera's clip came back."""

    def answer(area: Area) -> bool:
        return replace(area, cell_m=cell_m).covers(camera)

    series: Iterable[Area] = chain(
        sieges.halving(ground, answer),
        sieges.halving(ground, answer, within=600, requests=30),
        sieges.strips(ground),
        sieges.combs(ground),
        sieges.sieves(ground),
        sieges.differences(ground),
        sieges.tilings(ground),
        sieges.along_the_cells(ground, LIMITS.cell_m),
        sieges.anything(ground, 1),
    )
    for area in series:
        asked = replace(area, cell_m=cell_m)
        if permitted(asked):
            yield asked, asked.covers(camera)


def left_over(
    ground: sieges.Ground, told: list[tuple[Area, bool]], step: float, reach: float
) -> list[tuple[float, float]]:
    """Return the places, in metres from the middle, that fit all that was told."""
    steps = math.ceil(reach / step)
    places = [(x * step, y * step) for x in range(-steps, steps + 1) for y in range(-steps, steps + 1)]
    left = [(place, at(*ground.place(*place))) for place in places]
    for area, answer in told:
        left = [(place, camera) for place, camera in left if area.covers(camera) == answer]
    return [place for place, _ in left]


def radius_of(places: list[tuple[float, float]]) -> float:
    """Return the radius of the smallest circle that holds all places (metres)."""
    return float(shapely.minimum_bounding_radius(shapely.MultiPoint(places)))


def known_within(places: list[tuple[float, float]], metres: float) -> float:
    """Return the share of the places that the best guess of all is nearer to than so many metres."""
    points = shapely.points(places)
    middle = shapely.MultiPoint(places).centroid
    guesses = [middle, *points[:: max(1, len(points) // 60)]]
    return max(float((shapely.distance(guess, points) < metres).mean()) for guess in guesses)


def test_without_cells_the_fifteen_areas_find_the_camera_to_two_metres() -> None:
    ground = sieges.Ground(11.5003, 48.1002)
    camera = at(*ground.place(41.3, -77.9))
    told = [
        (area, area.covers(camera))
        for area in sieges.halving(ground, lambda area: area.covers(camera))
        if permitted(area)
    ]
    assert len(told) == 15
    near = [(41.3 + x / 2, -77.9 + y / 2) for x in range(-40, 41) for y in range(-40, 41)]
    fitting = [spot for spot in near if all(area.covers(at(*ground.place(*spot))) == yes for area, yes in told)]
    assert radius_of(fitting) < 2


@pytest.mark.parametrize(("lon", "lat"), GROUNDS)
def test_no_series_of_permitted_areas_places_a_camera_nearer_than_its_cell(lon: float, lat: float) -> None:
    ground = sieges.Ground(lon, lat)
    camera = at(*ground.place(37.7, -61.3))
    told = list(attack(ground, camera, LIMITS.cell_m))
    assert len(told) > 300
    assert len({answer for _, answer in told}) == 2
    fitting = left_over(ground, told, step=12.5, reach=500)
    # What fits is whole cells, that of the camera among them.
    cells = {cell_of(*ground.place(*place), LIMITS.cell_m) for place in fitting}
    mine = cell_of(camera.lon, camera.lat, LIMITS.cell_m)
    assert mine in cells
    west, south, east, north = box(mine, LIMITS.cell_m)
    sides = [k / 16 for k in range(1, 16)]
    spots = [at(west + (east - west) * x, south + (north - south) * y) for x in sides for y in sides]
    for area, answer in told:
        assert {area.covers(spot) for spot in spots} == {answer}
    assert radius_of(fitting) >= 165
    assert known_within(fitting, 100) <= 0.53


@pytest.mark.parametrize("cell_m", [200.0, 250.0, 400.0])
def test_every_place_of_a_cell_gets_the_same_answers(cell_m: float) -> None:
    ground = sieges.Ground(11.5003, 48.1002)
    west, south, east, north = box(cell_of(11.5003, 48.1002, cell_m), cell_m)
    spots = [at(west + (east - west) * x, south + (north - south) * y) for x in (0.01, 0.5, 0.99) for y in (0.01, 0.99)]
    for area, answer in attack(ground, spots[0], cell_m):
        assert {area.covers(spot) for spot in spots} == {answer}
    across = math.hypot((east - west) * 111_320 * math.cos(math.radians(48.1)), (north - south) * sieges.M_LAT)
    assert across / 2 >= 141
