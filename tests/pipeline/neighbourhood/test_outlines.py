"""Outlines: those that were published, in which of them a place lies, and what is drawn of them."""

import hashlib
import json
import re
from itertools import pairwise

import pytest

from pipeline.neighbourhood.outlines import MAPS, countries_drawn, place_named, place_of, places, states_drawn
from samples import square


def test_each_vendored_file_is_listed_with_version_licence_and_hash_and_is_what_was_published() -> None:
    listed = json.loads((MAPS / "vendored.json").read_text(encoding="utf-8"))
    assert {one["file"]: one["sha256"] for one in listed} == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in MAPS.glob("*.json")
        if path.name != "vendored.json"
    }
    assert {(one["package"], one["version"], one["licence"]) for one in listed} == {
        ("us-atlas", "3.0.1", "ISC"),
        ("world-atlas", "2.0.2", "ISC"),
    }
    assert "Permission to use, copy, modify" in (MAPS / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("lon", "lat", "code"),
    [
        (-118.24, 34.05, "US-CA"),
        (-73.95, 40.71, "US-NY"),
        (-87.6, 41.9, "US-IL"),
        (-157.85, 21.3, "US-HI"),
        (-66.1, 18.4, "US-PR"),
        (144.8, 13.45, "US-GU"),
        (-79.4, 43.7, "124"),
        (16.37, 48.2, "040"),
        (4.8, 52.0, "528"),
        (-0.12, 51.5, "826"),
        (178.4, -18.1, "242"),
    ],
)
def test_an_area_lies_in_its_state_and_outside_of_the_united_states_in_its_country(
    lon: float, lat: float, code: str
) -> None:
    found = place_of((square(lon, lat, 0.1),))
    assert found is not None
    assert found.code == code


def test_an_area_at_a_border_lies_where_most_of_it_does_and_one_at_sea_nowhere() -> None:
    across = place_of(((*square(-120.0, 39.2, 0.2)[:2], (-119.9, 39.3), (-120.3, 39.3), square(-120.0, 39.2, 0.2)[0]),))
    assert across is not None
    assert across.code == "US-CA"
    assert place_of((square(-30.0, 30.0),)) is None


def test_places_are_found_by_code_and_by_name_in_any_case() -> None:
    assert [place_named(text) for text in ("us-ny", "NEW YORK ", "040", "austria")] == [
        *(place_named("US-NY"),) * 2,
        *(place_named("Austria"),) * 2,
    ]
    assert place_named("Atlantis") is None
    assert len({one.code for one in places()}) == len(places()) == 230


def test_every_place_is_drawn_small_and_within_its_picture() -> None:
    for outlines, count in ((states_drawn(), 51), (countries_drawn(), 173)):
        assert len(outlines) == count
        assert sum(len(one.path) for one in outlines) < 80_000
        for one in outlines:
            assert re.fullmatch(r"(M-?[\d.]+,-?[\d.]+(L-?[\d.]+,-?[\d.]+)+Z)+", one.path), one.place
    wide = [x for one in countries_drawn() for x in _steps(one.path)]
    assert max(wide) < 480, "no line goes around the Earth"


def _steps(path: str) -> list[float]:
    """Return how far each line of a path goes to the side."""
    found = []
    for ring in path.split("Z"):
        xs = [float(point.split(",")[0]) for point in ring.removeprefix("M").split("L") if point]
        found += [abs(one - other) for one, other in pairwise(xs)]
    return found
