"""The map of a simulated town: around its cameras, the same for the same, and GeoJSON that anybody can read."""

import pytest
from shapely.geometry import LineString, Point, shape

from pipeline.clip import Camera
from simulation.roads import road_map
from simulation.street import lay_out

PLACES = [(0.0, 0.0), (0.004, 0.0001), (0.002, 0.003)]
CAMERAS = [Camera(f"c{number}", 4.8 + lon, 52.0 + lat, "olga") for number, (lon, lat) in enumerate(PLACES)]


def test_the_same_cameras_have_the_same_map() -> None:
    assert road_map(CAMERAS) == road_map(list(CAMERAS))
    assert road_map(CAMERAS, seed=8) != road_map(CAMERAS)


def test_it_reaches_around_all_cameras_and_names_nothing() -> None:
    found = road_map(CAMERAS)["features"]
    whole = shape({"type": "GeometryCollection", "geometries": [one["geometry"] for one in found]})
    assert all(whole.envelope.contains(Point(one.lon, one.lat)) for one in CAMERAS)
    assert {tuple(one["properties"]) for one in found} == {("kind",)}
    kinds = {one["properties"]["kind"] for one in found}
    assert kinds == {"road", "street", "path", "water", "building", "park"}
    assert all(shape(one["geometry"]).is_valid for one in found)


def test_the_streets_cameras_stand_along_a_road(tmp_path: object) -> None:
    cameras = lay_out(tmp_path, seed=7, seconds=1).cameras  # type: ignore[arg-type]
    lines = [shape(one["geometry"]) for one in road_map(cameras)["features"] if one["properties"]["kind"] == "road"]
    roads = [one for one in lines if isinstance(one, LineString)]
    near = 20 / 111_320
    assert all(any(road.distance(Point(one.lon, one.lat)) < near for road in roads) for one in cameras)


def test_around_no_camera_there_is_no_map() -> None:
    with pytest.raises(ValueError, match="got none"):
        road_map([])
