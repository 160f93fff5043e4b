"""A trace answers the same whatever it has labelled: that is a matter of cost, said when it is made."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from evidences import level_of, strengths_of
from hypothesis import given
from hypothesis import strategies as st

from pipeline.activity import Activity
from pipeline.detection import regions
from pipeline.detection.evidence import weigh
from pipeline.detection.gates import Detection
from pipeline.detection.regions import follow, travelling
from pipeline.detection.tracer import trace, view_of, watched_cells

LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))


@st.composite
def activities(draw: st.DrawFn) -> Activity:
    count, rows, columns = draw(st.integers(1, 40)), draw(st.integers(1, 5)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    busy = rng.random((count, 1, 1)) < draw(st.floats(0, 1))
    share = (rng.integers(0, 256, (count, rows, columns)) * busy).astype(np.uint8)
    pts, dark = np.arange(count, dtype=np.int64), np.zeros(count, np.uint8)
    return Activity(share, pts, dark, Fraction(1, 10), draw(st.integers(0, count)), 16 * columns, 16 * rows, "1", 16)


@given(activities(), st.integers(1, 7))
def test_an_answer_does_not_depend_on_what_was_asked_before(activity: Activity, least: int) -> None:
    fresh, asked = (trace(weigh(activity), Detection()) for _ in range(2))
    assert len(asked.regions.cells) >= (asked.cells > 0).sum()
    assert asked.reaching(least).tolist() == fresh.reaching(least).tolist()
    assert asked.cells.tolist() == fresh.cells.tolist()


@given(activities())
def test_the_region_of_a_moment_holds_its_strongest_cell_and_what_is_connected_to_it(activity: Activity) -> None:
    found = trace(weigh(activity), Detection(sensitivity=1000))
    every, level = strengths_of(found.evidence), level_of(found.evidence, Detection(sensitivity=1000))
    for moment in np.flatnonzero(found.peak >= found.level).tolist():
        strength, region = every[moment], found.region(moment)
        assert max(strength[cell] for cell in region) == strength.max()
        assert all(strength[cell] >= level for cell in region)
        around = {(row + down, column + right) for row, column in region for down in (-1, 0, 1) for right in (-1, 0, 1)}
        assert {cell for cell in around - set(region) if cell in np.ndindex(strength.shape)} <= {
            (int(row), int(column)) for row, column in np.argwhere(strength < level)
        }


@given(activities(), st.floats(0, 1))
def test_moments_that_move_in_too_much_of_the_picture_are_not_calm(activity: Activity, most: float) -> None:
    found = trace(weigh(activity), Detection())
    calm = found.calm(most)
    over = found.peak >= found.level
    area = activity.share[found.evidence.gathered.first].mean((1, 2)) / 255
    assert np.allclose(found.area, area)
    assert (found.area[over] <= most).tolist() == (over[over] if calm is None else calm[over]).tolist()


@given(activities(), st.sampled_from([(LEFT,), (((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)),)]))
def test_what_moves_where_nobody_looks_moves_nothing_beside_it(activity: Activity, zone: Any) -> None:
    if activity.share.shape[2] < 2:
        return
    detection = Detection(sensitivity=1000, ignore=zone)
    watched = watched_cells(activity, detection)
    alone = Activity(
        np.where(watched, activity.share, 0).astype(np.uint8), activity.pts, activity.luma, activity.time_base,
        activity.cold, activity.width, activity.height, "1", 16,
    )  # fmt: skip
    found, cut = trace(weigh(activity), detection), trace(weigh(alone), detection)
    assert not found.beyond[:, ~watched.T].any()
    assert (found.peak <= cut.peak).all() or found.evidence.scale != cut.evidence.scale
    if not alone.share.any():
        assert not found.peak.any()


def test_regions_are_followed_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    at = np.flatnonzero(rng.random(250) < 0.8)
    beyond = (rng.integers(0, 1000, (len(at), 6, 4)) * (rng.random((len(at), 1, 1)) < 0.9)).astype(np.uint16)
    whole = follow(beyond, at, level=500)
    visits = travelling(beyond, at, level=800, least=0.3, most=0.6)
    monkeypatch.setattr(regions, "_FOLLOWED", 40)
    for one, other in zip(whole, follow(beyond, at, level=500), strict=True):
        assert one.tolist() == other.tolist()
    assert visits.any()
    assert np.array_equal(travelling(beyond, at, level=800, least=0.3, most=0.6), visits)


def test_how_cells_are_judged_is_found_once_for_a_layout_and_cannot_be_written_to() -> None:
    share = np.zeros((1, 4, 6), np.uint8)
    activity = Activity(share, np.zeros(1, np.int64), np.zeros(1, np.uint8), Fraction(1), 0, 96, 64, "1", 16)
    one = view_of(activity.layout, Detection(watch=(LEFT,), gap_s=1))
    assert view_of(activity.layout, Detection(watch=(LEFT,), gap_s=5)) is one
    assert view_of(activity.layout, Detection(ignore=(LEFT,), gap_s=1)) is not one
    assert one.room == 12
    assert one.reach == pytest.approx(np.hypot(3, 2) / 6)
    with pytest.raises(ValueError, match="read-only"):
        watched_cells(activity, Detection())[0, 0] = False
