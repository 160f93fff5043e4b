"""Which detection setting holds where, and when it is night."""

from __future__ import annotations

import tomllib
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lamplighter.settings import Settings, revised
from pipeline.activity import Activity
from pipeline.clip import Camera
from pipeline.detection.gates import Detection
from pipeline.detection.layers import CameraLayer, Layers, header
from pipeline.detection.night import Darkness, is_night, sun_elevation_deg
from pipeline.errors import ConfigError
from pipeline.span import parse_iso
from samples import clip

FULL = Layers(
    fleet=Detection(sensitivity=0.1),
    day=Detection(sensitivity=0.2),
    night=Detection(sensitivity=0.3),
    cameras={
        "door": CameraLayer(sensitivity=0.4, day=Detection(sensitivity=0.5), night=Detection(sensitivity=0.6)),
        "yard": CameraLayer(sensitivity=0.7),
        "lane": CameraLayer(night=Detection(sensitivity=0.8)),
    },
)


@pytest.mark.parametrize(
    ("camera", "night", "value", "table"),
    [
        ("other", False, 0.2, ("day",)),
        ("other", True, 0.3, ("night",)),
        ("yard", False, 0.7, ("camera", "yard")),
        ("yard", True, 0.7, ("camera", "yard")),
        ("door", False, 0.5, ("camera", "door", "day")),
        ("door", True, 0.6, ("camera", "door", "night")),
        ("lane", False, 0.2, ("day",)),
        ("lane", True, 0.8, ("camera", "lane", "night")),
    ],
)
def test_the_narrower_table_outweighs_the_wider(camera: str, night: bool, value: float, table: tuple[str, ...]) -> None:
    found = FULL.of(camera, night=night)
    assert (found.detection.sensitivity, found.tables["sensitivity"]) == (value, table)


def test_a_key_that_is_not_given_leaves_the_value_of_the_wider_table() -> None:
    layers = Layers(Detection(min_cells=3, gap_s=9), cameras={"door": CameraLayer(gap_s=2.0)})
    found = layers.of("door", night=False)
    assert (found.detection.min_cells, found.detection.gap_s) == (3, 2.0)
    assert found.tables["min_cells"] == found.tables["sensitivity"] == ("detection",)
    assert found.pinned == {"gap_s"}


def test_a_key_given_with_its_default_value_counts() -> None:
    layers = Layers(Detection(sensitivity=0.5), night=Detection(sensitivity=Detection().sensitivity))
    assert layers.of("door", night=True).detection.sensitivity == Detection().sensitivity


def test_every_key_has_a_table_and_zones_are_replaced_whole() -> None:
    left, right = ((0, 0), (0.5, 0), (0.5, 1)), ((0.5, 0), (1, 0), (1, 1))
    layers = Layers(Detection(ignore=(left,)), cameras={"door": CameraLayer(ignore=(right,))})
    found = layers.of("door", night=False)
    assert list(found.detection.ignore) == [right]
    assert set(found.tables) == set(Detection.model_fields)


def test_a_camera_that_is_not_in_the_catalogue_is_named() -> None:
    assert FULL.strangers({"door", "other"}) == ["lane", "yard"]


@pytest.mark.parametrize("table", [{"day": {"sensitivity": 0}}, {"dusk": {}}, {"min_cells": 0}])
def test_a_camera_table_takes_detection_settings_alone(table: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CameraLayer.model_validate(table)


def test_the_sun_stands_where_published_values_have_it() -> None:
    # The worked example of the Solar Position Algorithm (I. Reda, A. Andreas, NREL/TP-560-34302, table A5.1):
    # topocentric elevation without refraction 39.872046 degrees.
    assert sun_elevation_deg(-105.1786, 39.742476, t_ns=parse_iso("2003-10-17T19:30:30Z")) == pytest.approx(
        39.872, abs=0.02
    )
    # J. Meeus, Astronomical Algorithms, example 25.b: declination -7.78507 degrees, which is the height of the sun at
    # the pole, at 0h of dynamical time.
    assert sun_elevation_deg(0, 90, t_ns=parse_iso("1992-10-13T00:00:00Z")) == pytest.approx(-7.785, abs=0.02)


def test_the_sun_is_lowest_at_midnight_and_highest_at_noon_of_the_place() -> None:
    day = parse_iso("2026-03-20T00:00:00Z")
    for lon in (-170, -75, 0, 4.8, 139.7):
        heights = [sun_elevation_deg(lon, 52, t_ns=day + minute * 60 * 10**9) for minute in range(0, 1440, 4)]
        noon = (720 - 4 * lon) % 1440
        gap = abs(heights.index(max(heights)) * 4 - noon)
        assert min(gap, 1440 - gap) <= 20
        assert max(heights) == pytest.approx(38, abs=0.5)


def test_beyond_the_arctic_circle_the_sun_need_not_set_or_rise() -> None:
    camera, darkness = Camera("north", 18.96, 69.65, "olga"), Darkness()
    still = np.zeros(1, np.uint8)
    for hour in range(24):
        assert not is_night(darkness, camera, start_ns=parse_iso(f"2026-06-21T{hour:02d}:00:00Z"), luma=still)
        assert sun_elevation_deg(18.96, 69.65, t_ns=parse_iso(f"2026-12-21T{hour:02d}:00:00Z")) < 0


def test_night_is_told_by_the_sun_by_the_picture_or_never() -> None:
    camera = Camera("door", 4.8, 52.0, "olga")
    noon, midnight = parse_iso("2026-01-31T12:00:00Z"), parse_iso("2026-01-31T23:30:00Z")
    bright, dark = np.full(9, 120, np.uint8), np.full(9, 20, np.uint8)
    expected = {"sun": (False, False, True, True), "picture": (False, True, False, True), "never": (False,) * 4}
    for by, answers in expected.items():
        darkness = Darkness.model_validate({"by": by})
        found = [is_night(darkness, camera, start_ns=t, luma=x) for t, x in product((noon, midnight), (bright, dark))]
        assert tuple(found) == answers


def test_dusk_is_where_its_angle_puts_it() -> None:
    camera, still = Camera("door", 0.0, 0.0, "olga"), np.zeros(1, np.uint8)
    # On the equator at an equinox the sun sinks a degree in four minutes; it sets some minutes after 18 h.
    for degrees, minutes in ((-6, 31), (0, 7), (6, -17)):
        darkness = Darkness(below_degrees=degrees)
        sets = parse_iso("2026-03-20T18:00:00Z") + minutes * 60 * 10**9
        assert not is_night(darkness, camera, start_ns=sets - 3 * 60 * 10**9, luma=still)
        assert is_night(darkness, camera, start_ns=sets + 3 * 60 * 10**9, luma=still)


# What is written so that it holds -------------------------------------------------------------------------------------

KEYS = ("sensitivity", "min_cells", "gap_s")
values = st.fixed_dictionaries({}, optional={key: st.sampled_from([1, 2, 3]) for key in KEYS}).map(
    lambda found: found | ({"sensitivity": found["sensitivity"] / 10} if "sensitivity" in found else {})
)


@st.composite
def all_layers(draw: st.DrawFn) -> Layers:
    def camera() -> CameraLayer:
        return CameraLayer(**draw(values), day=Detection(**draw(values)), night=Detection(**draw(values)))

    named = {name: camera() for name in draw(st.sets(st.sampled_from(["door", "yard.1"])))}
    fleet, day, night = (Detection(**draw(values)) for _ in range(3))
    return Layers(fleet, day, night, named)


full = st.fixed_dictionaries({key: st.sampled_from([1, 4, 5]) for key in KEYS}).map(
    lambda found: found | {"sensitivity": found["sensitivity"] / 10}
)


@given(all_layers(), full, st.dictionaries(st.sampled_from(["door", "yard.1", "new"]), full))
def test_a_revision_holds_wherever_no_narrower_table_has_the_key(
    layers: Layers, fleet: dict[str, float], cameras: dict[str, dict[str, float]]
) -> None:
    before = {
        "detection": layers.fleet.model_dump(mode="json"),
        "day": layers.day.model_dump(mode="json", exclude_unset=True),
        "night": layers.night.model_dump(mode="json", exclude_unset=True),
        "camera": {name: own.model_dump(mode="json", exclude_unset=True) for name, own in layers.cameras.items()},
    }
    tables = layers.revision(fleet, cameras)
    assert all(
        value != fleet[key] for table in tables if table != ("detection",) for key, value in tables[table].items()
    )
    text = revised(tomlkit.dumps(before), tables)
    after = Settings.model_validate(tomllib.loads(text)).layers
    for camera, night in product(("door", "yard.1", "new", "other"), (False, True)):
        old, new = layers.of(camera, night=night), after.of(camera, night=night).detection
        for key in KEYS:
            wanted = getattr(old.detection, key) if key in old.pinned else cameras.get(camera, fleet)[key]
            assert getattr(new, key) == wanted


def an_activity(luma: int = 90) -> Activity:
    share = np.zeros((2, 4, 6), np.uint8)
    return Activity(share, np.arange(2), np.full(2, luma, np.uint8), Fraction(1), 0, 96, 64, "1", 16)


def test_one_answer_for_a_clip_by_the_sun_at_its_camera() -> None:
    camera = Camera("door", 4.8, 52.0, "olga")
    still = an_activity()
    for hour, night in ((12, False), (23, True)):
        taken = clip("door", parse_iso(f"2026-01-31T{hour}:00:00Z"))
        assert FULL.for_clip(camera, taken, still) == FULL.of("door", night=night)


def test_a_zone_that_covers_nothing_is_refused_with_camera_and_table() -> None:
    speck = ((0.1, 0.1), (0.11, 0.1), (0.11, 0.11))
    layers = Layers(cameras={"door": CameraLayer(night=Detection(ignore=(speck,)))}, darkness=Darkness(by="picture"))
    camera = Camera("door", 4.8, 52.0, "olga")
    with pytest.raises(ConfigError, match=r'^camera door: \[camera\."door"\.night\]: ignore zone 1 .* covers no cell'):
        layers.for_clip(camera, clip("door"), an_activity(luma=5))
    assert layers.for_clip(camera, clip("door"), an_activity(luma=200)).detection.ignore == ()


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (("detection",), "[detection]"),
        (("camera", "a.b"), '[camera."a.b"]'),
        (("camera", "a", "day"), '[camera."a".day]'),
    ],
)
def test_a_table_is_named_as_in_a_settings_file(table: tuple[str, ...], text: str) -> None:
    assert header(table) == text
