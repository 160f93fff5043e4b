"""A trace answers the same whatever it has labelled: that is a matter of cost, said when it is made."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.activity import Activity
from pipeline.detection import regions
from pipeline.detection.detect import events
from pipeline.detection.gates import Detection
from pipeline.detection.regions import Labelling, follow
from pipeline.detection.trace import first_of_most
from pipeline.detection.tracer import labelling_for, trace, view_of, watched_cells

LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))


@st.composite
def activities(draw: st.DrawFn) -> Activity:
    count, rows, columns = draw(st.integers(1, 40)), draw(st.integers(1, 5)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    busy = rng.random((count, 1, 1)) < draw(st.floats(0, 1))
    share = (rng.integers(0, 256, (count, rows, columns)) * busy).astype(np.uint8)
    pts, dark = np.arange(count, dtype=np.int64), np.zeros(count, np.uint8)
    return Activity(share, pts, dark, Fraction(1, 10), draw(st.integers(0, count)), 16 * columns, 16 * rows, "1", 16)


@given(
    activities(),
    st.sampled_from([0.1, 0.5, 0.8]),
    st.integers(1, 7),
    st.sampled_from([0.0, 0.2, 0.6]),
    st.sampled_from([(), (LEFT,)]),
)
def test_what_is_labelled_changes_no_answer(
    activity: Activity, sensitivity: float, least: int, travel: float, ignore: tuple[tuple[tuple[float, float], ...]]
) -> None:
    detection = Detection(sensitivity=sensitivity, min_cells=least, travel=travel, ignore=ignore)
    few, *others = (trace(activity, detection, labelling=labelling) for labelling in Labelling)
    frames = np.flatnonzero(few.block)
    for other in others:
        assert other.reaching(least).tolist() == few.reaching(least).tolist()
        assert other.cells.tolist() == few.cells.tolist()
        assert other.travelling(travel).tolist() == few.travelling(travel).tolist()
        assert events(activity, other, detection) == events(activity, few, detection)
        if len(frames):
            assert other.largest_of(frames) == few.largest_of(frames) == first_of_most(frames, few.cells[frames])


@given(activities(), st.integers(1, 7))
def test_an_answer_does_not_depend_on_what_was_asked_before(activity: Activity, least: int) -> None:
    fresh, asked = (trace(activity, Detection(sensitivity=0.5)) for _ in range(2))
    assert len(asked.regions.cells) >= (asked.cells > 0).sum()
    assert asked.reaching(least).tolist() == fresh.reaching(least).tolist()
    assert asked.largest_of(np.arange(len(asked.peak))) == fresh.largest_of(np.arange(len(asked.peak)))


def test_motion_is_followed_only_where_a_gate_asks_for_it() -> None:
    assert labelling_for(Detection()) is Labelling.FEW
    assert labelling_for(Detection(travel=0.05)) is Labelling.FOLLOWED


def test_regions_are_followed_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    share = (rng.integers(0, 256, (200, 4, 6)) * (rng.random((200, 1, 1)) < 0.8)).astype(np.uint8)
    busy = np.flatnonzero((share >= 128).any((1, 2)))
    watched = np.ones((4, 6), np.bool_)
    whole = follow(share, watched, level=128, busy=busy)
    monkeypatch.setattr(regions, "_FOLLOWED", 40)
    for one, other in zip(whole, follow(share, watched, level=128, busy=busy), strict=True):
        assert one.tolist() == other.tolist()


def test_how_cells_are_judged_is_found_once_for_a_layout_and_cannot_be_written_to() -> None:
    share = np.zeros((1, 4, 6), np.uint8)
    activity = Activity(share, np.zeros(1, np.int64), np.zeros(1, np.uint8), Fraction(1), 0, 96, 64, "1", 16)
    one = view_of(activity.layout, Detection(watch=(LEFT,), gap_s=1))
    assert view_of(activity.layout, Detection(watch=(LEFT,), gap_s=5)) is one
    assert view_of(activity.layout, Detection(watch=(LEFT,), sensitivity=0.3)) is not one
    assert (one.level, one.room) == (51, 12)
    assert one.reach == pytest.approx(np.hypot(3, 2) / 6)
    with pytest.raises(ValueError, match="read-only"):
        watched_cells(activity, Detection())[0, 0] = False
