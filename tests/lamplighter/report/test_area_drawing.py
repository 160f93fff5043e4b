"""The drawing of a request's area: its shape, its scale, and nothing besides."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lamplighter.report.area import drawn
from samples import square


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[list(place) for place in ring] for ring in rings]}


def corners(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.-]+) ([\d.-]+)", path)]


def test_north_is_up_and_both_directions_have_one_scale() -> None:
    """At 60 degrees north a degree of longitude is half as long as one of latitude."""
    drawing = drawn(polygon([(10, 60), (10.02, 60), (10.02, 60.01), (10, 60.01), (10, 60)]))
    assert drawing is not None
    south_west, south_east, north_east, *_ = corners(drawing.path)
    assert south_west[1] > north_east[1]
    assert south_east[0] > south_west[0]
    wide, high = south_east[0] - south_west[0], south_east[1] - north_east[1]
    assert wide == pytest.approx(high, rel=0.01)
    assert drawing.size == "1,111 m from west to east and 1,111 m from south to north"


def test_the_bar_is_as_long_as_it_says() -> None:
    drawing = drawn(polygon(square(size=0.01)))
    assert drawing is not None
    height = max(y for _, y in corners(drawing.path)) - min(y for _, y in corners(drawing.path))
    left, right = (float(re.search(pattern, drawing.bar)[1]) for pattern in (r"M([\d.]+)", r"H([\d.]+)"))  # type: ignore[index]
    metres = float(drawing.scale.removesuffix(" m").replace(",", ""))
    assert (right - left) / metres == pytest.approx(height / 1111.3, rel=0.01)


@pytest.mark.parametrize("size", [0.0001, 0.003, 0.02, 0.5])
def test_any_area_fits_its_drawing(size: float) -> None:
    drawing = drawn(polygon(square(size=size)))
    assert drawing is not None
    assert all(0 <= x <= drawing.width and 0 <= y <= drawing.height for x, y in corners(drawing.path))
    assert float(re.search(r"H([\d.]+)", drawing.bar)[1]) < drawing.width  # type: ignore[index]


def test_a_hole_is_a_ring_of_its_own() -> None:
    drawing = drawn(polygon(square(size=0.01), square(size=0.002)))
    assert drawing is not None
    assert drawing.path.count("M") == drawing.path.count("Z") == 2


def test_an_area_over_the_180th_meridian_is_as_wide_as_it_is() -> None:
    drawing = drawn(polygon([(179.999, 0), (-179.999, 0), (-179.999, 0.001), (179.999, 0.001), (179.999, 0)]))
    assert drawing is not None
    assert drawing.size.startswith("222 m from west to east")


def test_of_many_corners_the_first_are_written_out() -> None:
    ring = [(11.5 + n / 1e4, 48.1 + n % 2 / 1e4) for n in range(30)]
    drawing = drawn(polygon([*ring, ring[0]]))
    assert drawing is not None
    assert drawing.corners.count(";") == 12
    assert "and 18 more" in drawing.corners


@pytest.mark.parametrize(
    "area",
    [{}, {"coordinates": []}, {"coordinates": [[]]}, {"coordinates": [[["a", "b"]]]}, {"coordinates": None},
     {"coordinates": [[[float("nan"), 1.0], [2.0, 3.0]]]}],
)  # fmt: skip
def test_what_is_no_polygon_is_not_drawn(area: dict[str, Any]) -> None:
    assert drawn(area) is None
