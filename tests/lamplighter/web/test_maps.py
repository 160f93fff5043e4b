"""The town's map: one file, served in ranges to everybody alike, and refused before anything is served."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from fleet_fixtures import change
from lamplighter.desk.desk import Desk
from lamplighter.settings import WebSettings
from lamplighter.web.app import make_app
from lamplighter.web.maps import check_ground, ground, shapes
from pipeline.clip import Camera
from pipeline.errors import ConfigError
from simulation.roads import road_map

CAMERAS = [Camera("a", 4.8, 52.0, "olga"), Camera("b", 4.803, 52.0001, "olga")]


@pytest.fixture
def town(tmp_path: Path) -> Path:
    file = tmp_path / "town.geojson"
    file.write_text(json.dumps(road_map(CAMERAS)))
    return file


@pytest.fixture
def asked(desk: Desk, town: Path) -> Iterator[TestClient]:
    change(desk, web=WebSettings(map=str(town)))
    with TestClient(make_app(desk), base_url=desk.settings.web.at) as client:
        yield client


def test_it_is_given_whole_and_in_ranges(asked: TestClient, town: Path) -> None:
    data = town.read_bytes()
    assert asked.get("/map/town").content == data
    part = asked.get("/map/town", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, data[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(data)}"
    assert asked.get("/map/town", headers={"Range": f"bytes={len(data)}-"}).status_code == 416


def test_its_path_changes_with_it_and_is_kept_by_browsers(asked: TestClient, desk: Desk, town: Path) -> None:
    before = ground(desk.settings.web)
    assert before is not None
    assert "max-age" in asked.get(before.path).headers["cache-control"]
    town.write_text("{}")
    after = ground(desk.settings.web)
    assert after is not None
    assert after.path != before.path


def test_without_one_there_is_none(asked: TestClient, desk: Desk, town: Path) -> None:
    town.unlink()
    assert ground(desk.settings.web) is None
    assert asked.get("/map/town").status_code == 404
    assert asked.get("/map/town/../../etc/passwd").status_code == 404


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("town.png", b"{}", "wanted a .pmtiles or .geojson file"),
        ("town.geojson", b"PMTiles\x03", "holds no GeoJSON"),
        ("town.pmtiles", b"PMTiles\x02", "holds no PMTiles of version 3"),
        ("town.pmtiles", None, "cannot be read"),
    ],
)
def test_what_is_no_map_is_refused_before_anything_is_served(
    tmp_path: Path, name: str, data: bytes | None, said: str
) -> None:
    file = tmp_path / name
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(ConfigError, match=f"web.map: .*{said}"):
        check_ground(WebSettings(map=str(file)))


def test_shapes_are_geojson_with_kinds() -> None:
    area = {"type": "Polygon", "coordinates": []}
    found = shapes(("area", area), points=[{"lon": 4.8, "lat": 52.0, "state": "good"}])
    assert [one["properties"] for one in found["features"]] == [{"kind": "area"}, {"kind": "point", "state": "good"}]
    assert found["features"][1]["geometry"] == {"type": "Point", "coordinates": [4.8, 52.0]}
