"""The scorer's rule, and a sweep that is nothing but `detect` done many times."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from evidences import strengths
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.activity import Activity
from pipeline.clip import Clip, Condition
from pipeline.detection.detect import detect
from pipeline.detection.gates import Detection
from pipeline.detection.labels import Labels
from pipeline.detection.score import Score, missed, score
from pipeline.detection.sweep import Counts, Footage, sweep
from pipeline.detection.trials import GRID, SWEPT, Changes, TuneSettings
from pipeline.detection.tune import best, front, nearest
from pipeline.detection.usual import FLEET
from pipeline.errors import ConfigError
from pipeline.span import NS, Span
from samples import NOON, clip, stream

HOUR = 3600 * NS
RULE = TuneSettings()


def s(start: float, end: float) -> Span:
    return Span(NOON + round(start * NS), NOON + round(end * NS))


def scored(events: Sequence[Span], truth: Sequence[Span], **rule: float) -> tuple[int, int, int]:
    """Return found, missed and false alarms."""
    got = score(events, truth, duration_ns=HOUR, rule=TuneSettings(**rule))
    assert got.missed == len(missed(events, truth, rule=TuneSettings(**rule)))
    return got.found, got.missed, got.false_alarms


# The matching rule ----------------------------------------------------------------------------------------------------


def test_an_event_on_a_true_span_finds_it() -> None:
    assert scored([s(10, 20)], [s(12, 18)]) == (1, 0, 0)


@pytest.mark.parametrize(
    ("events", "truth", "expected"),
    [
        ([], [], (0, 0, 0)),
        ([], [s(1, 2)], (0, 1, 0)),
        ([s(1, 2)], [], (0, 0, 1)),
        ([s(1, 2), s(3, 4)], [], (0, 0, 2)),
    ],
)
def test_where_there_is_nothing_nothing_is_found(
    events: list[Span], truth: list[Span], expected: tuple[int, int, int]
) -> None:
    assert scored(events, truth) == expected


def test_a_true_span_in_several_events_is_one_found_span_and_no_false_alarm() -> None:
    assert scored([s(10, 12), s(14, 16), s(18, 20)], [s(9, 21)]) == (1, 0, 0)


def test_several_true_spans_in_one_event_are_all_found() -> None:
    assert scored([s(0, 20)], [s(1, 6), s(8, 12), s(15, 19)]) == (3, 0, 0)


def test_an_event_that_true_spans_hardly_fill_finds_nothing() -> None:
    assert scored([s(0, 100)], [s(10, 14), s(50, 54)]) == (0, 2, 1)
    assert scored([s(0, 100)], [s(10, 14), s(50, 54)], cover=0.08) == (2, 0, 0)
    assert scored([s(0, 100)], [s(10, 14), s(50, 54)], cover=0.0) == (2, 0, 0)


def test_an_event_between_two_true_spans_finds_both_it_touches_in_time() -> None:
    """A tie: the event is as much of the one as of the other."""
    assert scored([s(8, 12)], [s(0, 10), s(10, 20)]) == (2, 0, 0)


def test_two_events_on_one_true_span_and_one_beside_it() -> None:
    assert scored([s(1, 2), s(3, 4), s(8, 9)], [s(0, 5), s(20, 21)]) == (1, 1, 1)


def test_spans_that_touch_share_nothing() -> None:
    assert scored([s(0, 10)], [s(10, 20)]) == (0, 1, 1)
    assert scored([s(20, 30)], [s(10, 20)]) == (0, 1, 1)
    one = [Span(NOON, NOON + 10)]
    assert scored([Span(NOON + 9, NOON + 12)], one, cover=0.0) == (1, 0, 0)
    assert scored([Span(NOON + 10, NOON + 12)], one, cover=0.0) == (0, 1, 1)


def test_the_least_overlap_is_exact_and_never_more_than_the_true_span() -> None:
    assert scored([s(0, 10)], [s(8, 20)], overlap_s=2.0, cover=0.0) == (1, 0, 0)
    assert scored([Span(NOON, NOON + 10 * NS - 1)], [s(8, 20)], overlap_s=2.0, cover=0.0) == (0, 1, 1)
    assert scored([s(0, 4)], [s(1, 2)], overlap_s=2.0) == (1, 0, 0)


def test_the_order_of_events_and_truth_does_not_matter() -> None:
    events, truth = [s(30, 32), s(0, 4), s(10, 12)], [s(11, 14), s(1, 3)]
    assert scored(events, truth) == scored(sorted(events), sorted(truth)) == (2, 0, 1)


def test_true_spans_that_overlap_are_refused() -> None:
    with pytest.raises(ValueError, match="true spans are apart"):
        score([], [s(0, 5), s(4, 6)], duration_ns=HOUR, rule=RULE)


def slowly(events: Sequence[Span], truth: Sequence[Span], rule: TuneSettings) -> tuple[int, int, int]:
    """Match pair by pair, by the words of the rule."""

    def shared(one: Span, other: Span) -> int:
        both = one & other
        return 0 if both is None else both.duration_ns

    found: set[Span] = set()
    false = 0
    for event in events:
        agrees = sum(shared(event, span) for span in truth) >= rule.cover * event.duration_ns
        least = [min(max(1, round(rule.overlap_s * NS)), span.duration_ns) for span in truth]
        mine = [span for span, need in zip(truth, least, strict=True) if agrees and shared(event, span) >= need]
        found |= set(mine)
        false += not mine
    return len(found), len(truth) - len(found), false


def apart(cuts: list[int]) -> list[Span]:
    edges = sorted(set(cuts))
    return [s(start / 2, end / 2) for start, end in zip(edges[::2], edges[1::2], strict=False)]


@given(
    st.lists(st.integers(0, 60), max_size=14).map(apart),
    st.lists(st.integers(0, 60), max_size=14).map(apart),
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    st.sampled_from([0.0, 0.5, 1.0, 5.0]),
)
def test_the_rule_is_what_its_words_say(events: list[Span], truth: list[Span], cover: float, overlap_s: float) -> None:
    assert scored(events, truth, cover=cover, overlap_s=overlap_s) == slowly(
        events, truth, TuneSettings(cover=cover, overlap_s=overlap_s)
    )


# Scores ---------------------------------------------------------------------------------------------------------------


def test_a_score_says_precision_recall_f1_and_false_alarms_an_hour() -> None:
    got = Score(found=6, missed=2, false_alarms=3, duration_ns=HOUR // 2)
    assert (got.precision, got.recall, got.f1) == (6 / 9, 6 / 8, 12 / 17)
    assert got.false_alarms_per_hour == 6
    assert Score(6, 2, 3, HOUR) + Score(1, 0, 0, HOUR) == Score(7, 2, 3, 2 * HOUR)


def test_what_cannot_be_said_is_none() -> None:
    assert (Score(0, 0, 0, HOUR).precision, Score(0, 0, 0, HOUR).recall, Score(0, 0, 0, HOUR).f1) == (None,) * 3
    assert Score(0, 2, 0, HOUR).precision is None
    assert Score(0, 0, 2, HOUR).recall is None
    assert Score(0, 2, 0, HOUR).f1 == 0


@pytest.mark.parametrize("wrong", [(-1, 0, 0, 1), (0, -1, 0, 1), (0, 0, -1, 1), (0, 0, 0, 0)])
def test_a_score_of_less_than_nothing_is_refused(wrong: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="a score counts from 0"):
        Score(*wrong)


# The grid -------------------------------------------------------------------------------------------------------------


def test_the_default_grid_has_500_settings_after_those_in_force_and_the_shipped_default() -> None:
    trials = RULE.trials()
    assert len(trials) - GRID == len(RULE.grid()) == 500
    assert (trials[0], trials[1]) == ({}, {name: getattr(Detection(), name) for name in SWEPT})
    assert len({tuple(trial.items()) for trial in trials[GRID:]}) == 500
    assert all(set(trial) == set(SWEPT) for trial in trials[1:])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sensitivity": [0.0]}, "sensitivity: Input should be greater than 0, got 0.0"),
        ({"sensitivity": ["often"]}, "wanted a number above 0 per hour, day or week"),
        ({"min_cells": [1, 1]}, "min_cells: every value once"),
        ({"gap_s": []}, "at least 1 item"),
        ({"min_event_s": [n / 10 for n in range(201)]}, "at most 20,000 settings, got 20,100"),
        ({"cover": 2}, "less than or equal to 1"),
        ({"zones": [1]}, "Extra inputs"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TuneSettings.model_validate(values)


# The sweep ------------------------------------------------------------------------------------------------------------


def an_activity(
    share: np.ndarray[Any, np.dtype[np.uint8]],
    *,
    cold: int = 0,
    first_pts: int = 0,
    pauses: np.ndarray[Any, np.dtype[np.int64]] | int = 0,
) -> Activity:
    """Return an activity of 4 frames a second, with some ticks of pause before frames."""
    frames, rows, columns = share.shape
    return Activity(
        share=share,
        pts=first_pts + np.arange(frames, dtype=np.int64) * 3 + np.cumsum(np.full(frames, 0) + pauses),
        luma=np.full(frames, 90, np.uint8),
        time_base=Fraction(1, 12),
        cold=cold,
        width=columns * 16,
        height=rows * 16,
        version="1-test",
        cell_side=16,
    )


def a_clip(activity: Activity, camera: str = "cam-1", *, start_ns: int = NOON) -> Clip:
    frames, first, end = len(activity.pts), int(activity.pts[0]), int(activity.pts[-1]) + 3
    lacks = Condition(holes=activity.holes)
    timed = {"time_base": activity.time_base, "first_pts": first, "end_pts": end, "frames": frames, "condition": lacks}
    return clip(camera, start_ns, stream=stream(width=activity.width, height=activity.height, **timed))


def filmed(*moving: tuple[int, int], frames: int = 80, level: int = 200, cells: int = 3) -> Activity:
    """Return an activity in which a row of cells moves in these frames."""
    share = np.zeros((frames, 3, 4), np.uint8)
    for first, last in moving:
        share[first:last, 1, :cells] = level
    return an_activity(share)


@st.composite
def activities(draw: st.DrawFn) -> Activity:
    frames, rows, columns = draw(st.integers(1, 40)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    busy = rng.random(frames) < draw(st.sampled_from([0.1, 0.5, 0.9]))
    share = rng.integers(0, 256, (frames, rows, columns)) * busy[:, None, None]
    pauses = (rng.random(frames) < draw(st.sampled_from([0.0, 0.0, 0.2]))) * 120
    return an_activity(
        share.astype(np.uint8),
        pauses=pauses.astype(np.int64),
        cold=draw(st.sampled_from([0, 0, 1, frames])),
        first_pts=draw(st.integers(-5, 900)),
    )


SMALL = TuneSettings(
    sensitivity=(0.2, 2000.0),
    min_cells=(1, 3),
    travel=(0.0, 0.2),
    max_area=(0.4, 1.0),
    min_event_s=(0.0, 0.6),
    gap_s=(0.0, 1.0),
)
HALF = (((0, 0), (0.6, 0), (0.6, 1), (0, 1)),)
IN_FORCE = [
    Detection(),
    Detection(watch=HALF, gap_s=0.3, pre_roll_s=0.5, post_roll_s=1.0),
    Detection(sensitivity=90_000, min_cells=2, min_event_s=0.0, ignore=HALF),
]


@settings(max_examples=15)
@given(
    st.lists(st.tuples(activities(), st.sampled_from("ab"), st.sampled_from(IN_FORCE)), min_size=1, max_size=4),
    st.sampled_from([frozenset[str](), frozenset({"sensitivity"}), frozenset({"min_cells", "gap_s"})]),
    st.booleans(),
)
def test_a_sweep_is_plain_detect_under_every_setting(
    films: list[tuple[Activity, str, Detection]], pinned: frozenset[str], labelled: bool
) -> None:
    footage = [
        Footage(a_clip(activity, camera, start_ns=NOON + number * HOUR), activity, detection, pinned)
        for number, (activity, camera, detection) in enumerate(films)
    ]
    truth = tuple(Span(NOON + n * HOUR + 2 * NS, NOON + n * HOUR + 4 * NS) for n in range(len(films)))
    labels: Labels | None = dict.fromkeys("ab", truth) if labelled else None
    trials: list[Changes] = SMALL.trials()
    swept = sweep(footage, trials, rule=RULE, labels=labels)
    assert set(swept.cameras) == {camera for _, camera, _ in films}
    assert swept.scores() == [swept.fleet(number) for number in range(len(trials))]
    for camera, counts in swept.cameras.items():
        mine = [item for item in footage if item.clip.camera == camera]
        assert counts.scores() == [counts.score(number) for number in range(len(trials))]
        assert (counts.clips, counts.duration_ns) == (len(mine), sum(item.clip.footage_ns for item in mine))
        for number, changes in enumerate(trials):
            rolls = {"pre_roll_s": 0.0, "post_roll_s": 0.0} if labelled else {}
            spans = []
            for item in mine:
                changed = {key: value for key, value in changes.items() if key not in pinned} | rolls
                detection = Detection.model_validate(item.detection.model_dump() | changed)
                spans += [item.clip.between(e.start_pts, e.end_pts) for e in detect(item.activity, detection)]
            assert counts.events[number] == len(spans)
            if labelled:
                assert counts.score(number) == score(spans, truth, duration_ns=counts.duration_ns, rule=RULE)
        if not labelled:
            weight = [sum(1 + max(0, e.score) for e in detect(item.activity, item.detection)) for item in mine]
            assert counts.kept[0] == pytest.approx(sum(weight))
            assert (counts.kept <= counts.kept[0] + 1e-9).all()


@given(activities(), st.integers(0, 2**40))
def test_many_instants_at_once_are_those_of_the_clip(activity: Activity, start: int) -> None:
    item = Footage(a_clip(activity, start_ns=start), activity, Detection())
    assert item.times(activity.pts).tolist() == [item.clip.time_ns(int(pts)) for pts in activity.pts]


def test_instants_too_far_apart_for_64_bits_of_ticks_are_still_exact() -> None:
    activity = Activity(
        np.zeros((2, 1, 1), np.uint8),
        np.array([0, 2**40]),
        np.zeros(2, np.uint8),
        Fraction(10**6, 10**9 + 7),
        0,
        1,
        1,
        "1",
        16,
    )
    timed = {"time_base": activity.time_base, "first_pts": 0, "end_pts": 2**40 + 1, "frames": 2}
    item = Footage(clip(stream=stream(width=1, height=1, **timed)), activity, Detection())
    assert item.times(activity.pts).tolist() == [item.clip.time_ns(0), item.clip.time_ns(2**40)]


def test_a_true_span_that_reaches_from_clip_to_clip_is_found_by_either() -> None:
    quiet, moving = filmed(), filmed((0, 20))
    footage = [
        Footage(a_clip(quiet), quiet, Detection()),
        Footage(a_clip(moving, start_ns=NOON + 20 * NS), moving, Detection()),
    ]
    swept = sweep(footage, [{}], rule=RULE, labels={"cam-1": (s(15, 25),)})
    assert swept.fleet(0) == Score(1, 0, 0, 40 * NS)


def test_a_camera_without_labels_is_passed_over_and_one_where_nothing_moved_counts() -> None:
    moving = filmed((8, 20))
    footage = [Footage(a_clip(moving, camera), moving, Detection()) for camera in ("seen", "empty", "unseen")]
    swept = sweep(footage, [{}], rule=RULE, labels={"seen": (s(1, 6),), "empty": ()})
    assert {camera: counts.score(0) for camera, counts in swept.cameras.items()} == {
        "seen": Score(1, 0, 0, 20 * NS),
        "empty": Score(0, 0, 1, 20 * NS),
    }


def test_rolls_reach_no_true_span() -> None:
    moving = filmed((40, 50))
    footage = [Footage(a_clip(moving), moving, Detection(pre_roll_s=9, post_roll_s=9))]
    swept = sweep(footage, [{}], rule=TuneSettings(cover=0), labels={"cam-1": (s(2, 5),)})
    assert swept.fleet(0) == Score(0, 1, 1, 20 * NS)


def test_the_strongest_motion_is_told_where_no_setting_finds_any() -> None:
    faint = filmed((8, 20), level=32, cells=2)
    strongest = float(strengths(faint).max())
    swept = sweep([Footage(a_clip(faint), faint, Detection())], [{}, {"sensitivity": 100_000}], rule=RULE)
    assert swept.peak == pytest.approx(FLEET.operating.score(strongest), abs=1e-6)
    assert swept.cells >= 2
    assert swept.cameras["cam-1"].events.tolist() == [0, 1]


def test_trials_that_can_never_fire_are_told_with_the_reason() -> None:
    small, large = filmed((8, 20)), an_activity(np.zeros((4, 9, 9), np.uint8))
    trials: list[Changes] = [{}, {"min_cells": 13}, {"min_cells": 100}, {"travel": 1.0}]
    swept = sweep([Footage(a_clip(small), small, Detection())], trials, rule=RULE)
    assert set(swept.never) == {1, 2, 3}
    assert "min_cells 13 is more than the 12 connected cells" in swept.never[1]
    footage = [Footage(a_clip(x, camera), x, Detection()) for x, camera in ((small, "small"), (large, "large"))]
    assert set(sweep(footage, trials, rule=RULE).never) == {2}


def test_a_camera_that_the_settings_in_force_can_never_alarm_is_named() -> None:
    one = filmed((8, 20))
    footage = [Footage(a_clip(one, camera), one, Detection(min_cells=n)) for camera, n in (("deaf", 13), ("well", 2))]
    assert set(sweep(footage, [{}], rule=RULE).deaf) == {"deaf"}


def test_a_sweep_over_nothing_is_refused_and_so_is_a_first_trial_that_changes_something() -> None:
    with pytest.raises(ConfigError, match="there is no clip to tune on"):
        sweep([], [{}], rule=RULE)
    with pytest.raises(ValueError, match="the first trial"):
        sweep([], [{"gap_s": 1.0}], rule=RULE)


# Choosing -------------------------------------------------------------------------------------------------------------


def test_no_score_of_the_front_is_beaten() -> None:
    scores = [
        Score(found, 10 - found, false, HOUR) for found, false in [(0, 0), (9, 9), (5, 0), (7, 2), (7, 3), (5, 1)]
    ]
    assert front(scores) == [1, 3, 2]
    assert front([*scores, Score(9, 1, 9, HOUR)]) == [1, 3, 2]
    assert front([]) == front([Score(0, 3, 0, HOUR)]) == []


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), max_size=30))
def test_every_score_off_the_front_is_matched_by_one_on_it(pairs: list[tuple[int, int]]) -> None:
    scores = [Score(found, 10 - found, false, HOUR) for found, false in pairs]
    edge = [scores[i] for i in front(scores)]
    for one in scores:
        if one.found:
            assert any(
                (e.recall or 0) >= (one.recall or 0) and (e.precision or 0) >= (one.precision or 0) for e in edge
            )


def chosen(f1: dict[int, int], *, now: int = 0, than: int = 0, grid: TuneSettings = RULE) -> dict[str, float]:
    """Return the trial that is best when these trials find so many of ten, and all others (but those before) none."""
    scores = [Score(now, 10 - now, 0, HOUR)] * GRID + [Score(0, 10, 0, HOUR)] * len(grid.grid())
    for trial, found in f1.items():
        scores[trial] = Score(found, 10 - found, 0, HOUR)
    trial = best(scores, grid, than=than)
    return {"trial": trial, **grid.trials()[trial]}


def test_the_best_has_the_highest_f1_and_those_in_force_stay_unless_the_grid_does_better() -> None:
    assert chosen({17: 4, 99: 9})["trial"] == 99
    assert chosen({17: 4}, now=4)["trial"] == 0
    assert chosen({17: 4}, now=4, than=1)["trial"] == 1
    assert chosen({17: 5}, now=4)["trial"] == 17


def test_of_several_best_the_middle_of_what_works_is_taken() -> None:
    grid = TuneSettings(
        sensitivity=(1, 2, 3, 4, 5),
        min_cells=(1, 2, 3, 4, 5),
        travel=(0.0,),
        min_event_s=(0.3,),
        gap_s=(2.0,),
    )
    every = range(GRID, GRID + 25)
    assert chosen(dict.fromkeys(every, 9), grid=grid)["trial"] == GRID + 12
    beside_the_edge = [n for n in every if grid.trials()[n]["sensitivity"] >= 3]
    found = chosen(dict.fromkeys(beside_the_edge, 9), grid=grid)
    assert (found["sensitivity"], found["min_cells"]) == (4, 3)
    alone = {GRID: 9, GRID + 12: 9, GRID + 13: 8}
    assert chosen(alone, grid=grid)["trial"] == GRID + 12


def counted(events: list[int], kept: list[float], *, days: int = 1) -> Counts:
    none = Counts.none(np.zeros((0, 2), np.int64), len(events))
    none.events[:], none.kept[:], none.duration_ns = events, kept, days * 24 * HOUR
    return none


def test_the_nearest_gives_about_so_many_events_and_loses_the_least() -> None:
    day = Fraction(10)
    assert nearest([counted([50, 4, 10], [9, 8, 1])], day, RULE) == 2
    assert nearest([counted([50, 11, 10], [9, 8, 1])], day, RULE) == 1, "both are near: the one that keeps more"
    assert nearest([counted([50, 12, 10], [9, 8, 1])], day, RULE) == 2, "12 is not near 10"
    assert nearest([counted([0, 3, 1], [0, 2, 2])], Fraction(1, 9), RULE) == 0, "none is nearest to a ninth"
    assert nearest([counted([10, 10, 10], [5, 5, 5])], day, RULE) == 0
    assert nearest([counted([10, 10, 10], [5, 5, 5])], day, RULE, than=2) == 2


def test_the_rate_is_that_of_each_camera() -> None:
    cameras = [counted([8, 20], [1, 1]), counted([4, 20], [1, 1])]
    assert nearest(cameras, Fraction(6), RULE) == 0
    assert nearest([counted([12, 60], [1, 1], days=10)], Fraction(6), RULE) == 1
