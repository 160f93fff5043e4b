"""What an area covers is found in the catalogue, wherever on Earth it lies."""

import math
import random

import pytest

from pipeline.case.area import Area
from pipeline.clip import Camera
from storage.catalog.catalog import Catalog


@pytest.mark.parametrize(
    ("lon", "lat", "cell_m"),
    [(11.5, 48.1, 0.0), (11.5, 48.1, 250.0), (179.995, 48.1, 250.0), (-179.995, 48.1, 1000.0), (25.7, 84.0, 250.0)],
)
def test_every_camera_that_an_area_covers_is_found_by_its_bounds(
    catalog: Catalog, lon: float, lat: float, cell_m: float
) -> None:
    draw, wide = random.Random(7), 0.004 / math.cos(math.radians(lat))  # noqa: S311 - places, no secrets
    turned = [(math.cos(0.3 + k), math.sin(0.3 + k)) for k in (0, 1.2, 2.4, 3.6, 4.8)]
    west, east = max(-180.0, lon - wide), min(180.0, lon + wide)
    ring = [(min(east, max(west, lon + wide * x)), lat + 0.004 * y) for x, y in turned]
    area = Area(((*ring, ring[0]),), cell_m)

    def place() -> tuple[float, float]:
        reach = 3 * (wide + cell_m / 111_000 / math.cos(math.radians(lat)))
        x = lon + draw.uniform(-reach, reach)
        return (x + 180) % 360 - 180, lat + draw.uniform(-0.015 - cell_m / 80_000, 0.015 + cell_m / 80_000)

    places = [place() for _ in range(120)] + [(180.0, lat), (-180.0, lat), *ring]
    cameras = [Camera(f"c{at}", *where, "o") for at, where in enumerate(places)]
    catalog.put_cameras(cameras)
    found = {camera.id for camera in catalog.cameras(area)}
    covered = {camera.id for camera in cameras if area.covers(camera)}
    assert covered
    assert covered <= found
    assert len(found) < len(cameras)
