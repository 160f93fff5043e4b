"""Why there are these events, or none: each setting is named for what it drops, and what would help does help."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.activity import Activity
from pipeline.detection.detect import detect
from pipeline.detection.explain import Explanation, explain, obstacles
from pipeline.detection.gates import Detection
from pipeline.detection.operating import Operating
from pipeline.detection.usual import Usual
from pipeline.errors import ConfigError

LEFT = ((0, 0), (0.5, 0), (0.5, 1), (0, 1))
ALL = ((0, 0), (1, 0), (1, 1), (0, 1))
PLAIN = Detection(min_cells=2, max_area=0.5, min_event_s=0.5, gap_s=0.2, pre_roll_s=1.0, post_roll_s=1.0)


def an_activity(*moving: tuple[int, int, int, int], frames: int = 120, cold: int = 0) -> Activity:
    """Return 20 s of 6 frames a second over 9 x 12 cells; (first, last, cells, level) moves cells of the fifth row."""
    share = np.zeros((frames, 9, 12), np.uint8)
    for first, last, cells, level in moving:
        share[first:last, 4, :cells] = level
    return Activity(
        share=share,
        pts=100 + np.arange(frames, dtype=np.int64),
        luma=np.zeros(frames, np.uint8),
        time_base=Fraction(1, 6),
        cold=cold,
        width=192,
        height=144,
        version="1-test",
        cell_side=16,
    )


def explained(*moving: tuple[int, int, int, int], cold: int = 0, **settings: Any) -> Explanation:
    detection = Detection.model_validate(PLAIN.model_dump() | settings)
    activity = an_activity(*moving, cold=cold)
    found = explain(activity, detection)
    assert list(found.events) == detect(activity, detection)
    return found


def left(found: Explanation) -> dict[str, int]:
    return {step.setting: step.frames for step in found.steps}


def test_an_event_is_explained_by_its_run() -> None:
    found = explained((20, 40, 3, 255))
    (run,), (event,) = found.runs, found.events
    assert (run.start_pts, run.end_pts, run.dropped_by) == (120, 140, "")
    assert (event.start_pts, event.end_pts) == (114, 146)
    assert found.strongest is not None
    assert (found.strongest.pts, found.strongest.row, found.strongest.column) == (122, 4, 1)
    assert found.strongest.usual == 0
    assert found.strongest.score == event.score > found.threshold
    assert not found.obstacles
    assert not found.remedies


def test_the_score_of_every_second_is_told_beside_the_threshold_and_what_is_usual_there() -> None:
    found = explained((20, 40, 3, 255))
    assert found.threshold == pytest.approx(-math.log10(PLAIN.sensitivity), abs=1e-3)
    assert found.past_h == 0
    assert [pts for pts, _, _ in found.scores] == list(range(100, 220, 6))
    over = [pts for pts, score, _ in found.scores if score >= found.threshold]
    assert over == [118, 124, 130, 136]
    assert max(score for _, score, _ in found.scores) == found.events[0].score


def test_what_is_usual_by_the_camera_s_past_is_told_and_taken_off() -> None:
    activity = an_activity((20, 40, 3, 255))
    cells = np.full((12, 9), 15.0**2, np.float32)  # of one cell of which half moves
    known = Usual(cells, None, Operating.known(), hours=48.0)
    plain, found = explain(activity, PLAIN), explain(activity, PLAIN, known)
    assert list(found.events) == detect(activity, PLAIN, known)
    assert found.past_h == 48
    assert found.strongest is not None
    assert found.strongest.usual == pytest.approx(math.sqrt(2) * 15 / 31, abs=1e-3)
    assert plain.strongest is not None
    assert found.strongest.score < plain.strongest.score


def test_nothing_moved_is_told_as_such() -> None:
    found = explained()
    assert (found.strongest, found.runs, found.events, found.remedies) == (None, (), (), ())
    assert set(left(found).values()) == {120, 0}


@pytest.mark.parametrize(
    ("moving", "settings", "reason"),
    [
        ((20, 40, 1, 255), {}, ("min_cells", 1, 2)),
        ((20, 40, 12, 255), {"max_area": 0.1}, ("max_area", 1 / 9, 0.1)),
        ((20, 40, 3, 255), {"travel": 0.25}, ("travel", 0, 0.25)),
        ((20, 22, 3, 255), {}, ("min_event_s", 1 / 3, 0.5)),
    ],
)
def test_each_setting_that_drops_a_run_is_named_with_what_was_got_and_wanted(
    moving: tuple[int, int, int, int], settings: dict[str, Any], reason: tuple[str, float, float]
) -> None:
    found = explained(moving, **settings)
    (run,) = found.runs
    assert (run.dropped_by, run.wanted) == (reason[0], reason[2])
    assert run.got == pytest.approx(reason[1], abs=1e-4)
    assert found.events == ()
    steps = [step.setting for step in found.steps]
    before, after = steps[steps.index(reason[0]) - 1], reason[0]
    assert left(found)[before] > left(found)[after] == 0


def test_what_reaches_a_setting_exactly_passes_it() -> None:
    found = explained((20, 26, 12, 255), max_area=1 / 9, min_cells=12, min_event_s=1.0)
    assert len(found.events) == 1
    assert set(list(left(found).values())[1:]) == {6}


@pytest.mark.parametrize(
    ("moving", "settings", "step"),
    [
        ((20, 40, 3, 32), {}, "sensitivity"),
        ((20, 40, 3, 255), {"ignore": (LEFT,)}, "watch, ignore"),
        ((20, 40, 2, 255), {"watch": (((0.6, 0), (1, 0), (1, 1), (0.6, 1)),)}, "watch, ignore"),
    ],
)
def test_motion_too_faint_or_outside_the_zones_makes_no_run_but_a_step(
    moving: tuple[int, int, int, int], settings: dict[str, Any], step: str
) -> None:
    found = explained(moving, **settings)
    assert found.runs == ()
    assert found.strongest is not None
    assert found.strongest.watched == (step == "sensitivity")
    steps = [one.setting for one in found.steps]
    assert left(found)[steps[steps.index(step) - 1]] > left(found)[step] == 0


def test_frames_before_the_background_was_known_are_the_first_to_go() -> None:
    found = explained((0, 20, 3, 200), cold=30)
    assert (left(found)["cold"], left(found)["sensitivity"], found.runs) == (90, 0, ())
    assert explained((0, 20, 3, 200), cold=120).events, "a clip that is all cold has nothing else"


def test_a_run_in_an_event_and_one_that_is_dropped_stand_beside_each_other() -> None:
    found = explained((6, 20, 3, 255), (60, 62, 3, 255), pre_roll_s=0.0, post_roll_s=0.0)
    assert [run.dropped_by for run in found.runs] == ["", "min_event_s"]
    assert left(found)["min_event_s"] == 14


@pytest.mark.parametrize(
    ("moving", "settings", "setting", "value"),
    [
        ((20, 40, 3, 32), {}, "sensitivity", 50.0),
        ((20, 40, 1, 255), {}, "min_cells", 1),
        ((20, 40, 12, 255), {"max_area": 0.1}, "max_area", 0.112),
        ((20, 40, 3, 255), {"travel": 0.25}, "travel", 0.0),
        ((20, 22, 3, 255), {}, "min_event_s", 0.333),
        ((20, 40, 3, 255), {"ignore": (LEFT,)}, "ignore", ()),
        ((20, 40, 2, 255), {"watch": (((0.6, 0), (1, 0), (1, 1), (0.6, 1)),)}, "watch", ()),
    ],
)
def test_the_nearest_value_of_one_setting_that_would_give_an_event_is_told(
    moving: tuple[int, int, int, int], settings: dict[str, Any], setting: str, value: float | tuple[()]
) -> None:
    remedies = {one.setting: one for one in explained(moving, **settings).remedies}
    assert remedies[setting].value == value
    changed = PLAIN.model_dump() | settings | {setting: value}
    assert detect(an_activity(moving), Detection.model_validate(changed))[0].start_pts == remedies[setting].start_pts


def test_two_short_runs_would_be_an_event_if_the_gap_were_longer() -> None:
    remedies = {one.setting: one.value for one in explained((20, 22, 3, 255), (26, 28, 3, 255)).remedies}
    assert remedies == {"gap_s": 0.667, "min_event_s": 0.333}


def test_no_single_setting_helps_where_two_are_in_the_way() -> None:
    assert explained((20, 22, 12, 255), max_area=0.1, min_event_s=5.0).remedies == ()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"min_cells": 109}, "min_cells 109 is more than the 108 connected cells that are watched of a grid of 12 x 9"),
        ({"min_cells": 55, "watch": (LEFT,)}, "more than the 54 connected cells"),
        ({"max_area": 0.0001}, "max_area 0.0001 is less than the 0.000299 of the picture"),
        ({"travel": 0.9, "watch": (LEFT,)}, "travel 0.9 is farther than the watched cells reach, 0.786"),
        ({"ignore": (ALL,)}, "ignore leaves none of the 12 x 9 cells to watch"),
    ],
)
def test_settings_that_can_never_fire_are_told_with_the_reason(settings: dict[str, Any], words: str) -> None:
    found = explained((20, 40, 3, 255), **settings)
    assert any(words in reason for reason in found.obstacles)
    assert found.events == ()


def test_a_zone_that_covers_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"watch zone 1 .* covers no cell of the 12 x 9 grid"):
        explained(watch=(((0.1, 0.1), (0.11, 0.1), (0.11, 0.11)),))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Activity, Detection]:
    frames = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    busy = rng.random(frames) < draw(st.sampled_from([0.1, 0.5, 0.9]))
    share = (rng.integers(0, 256, (frames, 3, 4)) * busy[:, None, None]).astype(np.uint8)
    pts = np.cumsum(rng.integers(1, 4, frames)).astype(np.int64)
    cold = draw(st.sampled_from([0, 0, min(2, frames)]))
    activity = Activity(share, pts, np.zeros(frames, np.uint8), Fraction(1, 10), cold, 64, 48, "1", 16)
    detection = Detection(
        sensitivity=draw(st.sampled_from([0.1, 2.0, 50.0, 2000.0, 100_000.0])),
        min_cells=draw(st.sampled_from([1, 1, 2, 5, 13])),
        max_area=draw(st.sampled_from([0.05, 0.3, 1.0])),
        travel=draw(st.sampled_from([0.0, 0.0, 0.3, 0.9, 1.0])),
        watch=draw(st.sampled_from([(), (LEFT,)])),
        ignore=draw(st.sampled_from([(), (LEFT,)])),
        min_event_s=draw(st.sampled_from([0.0, 0.4, 3.0])),
        gap_s=draw(st.sampled_from([0.0, 0.3])),
        pre_roll_s=draw(st.sampled_from([0.0, 0.5])),
    )
    return activity, detection


@given(cases())
def test_what_is_said_is_what_detect_does(case: tuple[Activity, Detection]) -> None:
    activity, detection = case
    found = explain(activity, detection)
    assert list(found.events) == detect(activity, detection)
    frames = [step.frames for step in found.steps]
    assert frames == sorted(frames, reverse=True)
    assert (frames[-1] > 0) == bool(found.events)
    assert any(run.dropped_by == "" for run in found.runs) == bool(found.events)
    for run in found.runs:
        if run.dropped_by:
            assert run.got < run.wanted or run.dropped_by == "max_area"
            assert run.got > run.wanted or run.dropped_by != "max_area"
    if found.events:
        assert not found.obstacles
        assert not found.remedies
    for one in found.remedies:
        changed = Detection.model_validate(detection.model_dump() | {one.setting: one.value})
        assert detect(activity, changed)[0].start_pts == one.start_pts
    assert list(found.obstacles) == obstacles(activity.layout, detection)
