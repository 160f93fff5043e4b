"""Clips laid end to end find what `detect` finds in each of them, whatever is tried."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from pipeline.activity import Activity
from pipeline.clip import Clip, Stream
from pipeline.detection.detect import detect
from pipeline.detection.evidence import weigh
from pipeline.detection.gates import Detection
from pipeline.detection.series import Series, laid_out
from pipeline.detection.tracer import trace
from pipeline.detection.usual import FLEET, Usual
from pipeline.errors import ConfigError
from pipeline.span import NS

RATE, ROWS, COLUMNS = 10, 8, 12
LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
TRIED = {
    "as shipped": Detection(),
    "sensitive": Detection(sensitivity=5000),
    "deaf": Detection(sensitivity=0.01),
    "large": Detection(min_cells=5),
    "large and sensitive": Detection(min_cells=3, sensitivity=500),
    "no lamp": Detection(max_area=0.08),
    "travelling": Detection(travel=0.2),
    "travelling and sensitive": Detection(travel=0.1, sensitivity=900),
    "long": Detection(min_event_s=1.5, gap_s=0, pre_roll_s=0, post_roll_s=0),
    "joined": Detection(gap_s=20, pre_roll_s=30, post_roll_s=30),
    "watched": Detection(watch=(LEFT,)),
    "ignored": Detection(ignore=(LEFT,), min_cells=2, sensitivity=50),
}


def a_clip(number: int, *, frames: int, holes: bool, cold: int) -> tuple[Clip, Activity]:
    rng = np.random.default_rng(number)
    share = np.zeros((frames, ROWS, COLUMNS), np.uint8)
    share[rng.random(share.shape) < 0.01] = 40
    for _ in range(rng.integers(1, 5)):  # somebody walks across, some of them at the very ends
        first, length, row = int(rng.integers(-20, frames)), int(rng.integers(5, 60)), int(rng.integers(0, ROWS - 2))
        for at in range(max(0, first), min(frames, first + length)):
            column = (at - first) * COLUMNS // length
            share[at, row : row + 3, column : column + 2] = 230
    if number % 4 == 3:
        share[frames // 2 : frames // 2 + 15] = 200  # a lamp
    pts = np.arange(frames, dtype=np.int64) * 100
    if holes:
        pts[frames // 3 :] += 7_000
        pts[2 * frames // 3 :] += 5_000
    activity = Activity(
        share, pts, np.full(frames, 120, np.uint8), Fraction(1, 1000), cold, COLUMNS * 16, ROWS * 16, "test", 16
    )
    stream = Stream("h264", COLUMNS * 16, ROWS * 16, Fraction(1, 1000), 0, int(pts[-1]) + 100, frames)
    clip = Clip("cam", (1_700_000_000 + 600 * number) * NS + number, f"{number:064x}", 1, "clip.mp4", stream)
    return clip, activity


def usual_of(number: int) -> Usual:
    """Some clips are of a restless camera: what is an event differs from clip to clip."""
    return replace(FLEET, unrest=5.0 * number) if number % 2 else FLEET


@pytest.fixture(scope="module")
def clips() -> list[tuple[Clip, Activity, Usual]]:
    return [
        (*a_clip(n, frames=150 + 37 * n, holes=n in {2, 5}, cold={1: 25, 4: 10_000}.get(n, 0)), usual_of(n))
        for n in range(7)
        if n != 4
    ] + [(*a_clip(8, frames=90, holes=False, cold=90), FLEET)]


@pytest.fixture(scope="module")
def series(clips: list[tuple[Clip, Activity, Usual]]) -> Series:
    return laid_out(clips, Detection(), read=lambda n: clips[n][1])


@pytest.mark.parametrize("name", TRIED)
def test_a_series_finds_what_is_found_clip_by_clip(
    series: Series, clips: list[tuple[Clip, Activity, Usual]], name: str
) -> None:
    tried = TRIED[name]
    found = [
        [clip.time_ns(event.start_pts), clip.time_ns(event.end_pts)]
        for clip, activity, usual in clips
        for event in detect(activity, tried, usual)
    ]
    assert series.events(tried).tolist() == found
    assert series.events(tried).tolist() == found, "also the second time, from what is remembered"


def test_the_settings_differ_in_what_they_find(series: Series) -> None:
    assert len({str(series.events(tried).tolist()) for tried in TRIED.values()}) >= 9


def test_its_scores_are_those_of_the_strongest_moment(
    series: Series, clips: list[tuple[Clip, Activity, Usual]]
) -> None:
    times = series.times()
    scores = series.scores(Detection(), np.searchsorted(series.firsts, np.arange(len(times)), side="right") - 1, 9)
    for number, (_, activity, usual) in enumerate(clips):
        assert scores[number] == trace(weigh(activity, usual), Detection()).scores.max()
    assert np.isnan(scores[len(clips) :]).all()


def test_a_zone_that_covers_no_cell_is_refused(series: Series) -> None:
    speck = ((0.5, 0.5), (0.501, 0.5), (0.5, 0.501))
    with pytest.raises(ConfigError, match="covers no cell"):
        series.events(Detection(watch=(speck,)))


def test_clips_that_differ_in_size_are_refused(clips: list[tuple[Clip, Activity, Usual]]) -> None:
    clip, activity, usual = clips[0]
    other = replace(activity, width=activity.width - 1)
    with pytest.raises(ValueError, match="one size"):
        laid_out([(clip, activity, usual), (clip, other, usual)], Detection(), read=lambda _: activity)


def test_few_views_are_remembered(series: Series) -> None:
    for right in (0.3, 0.4, 0.6, 0.8):
        series.events(Detection(watch=(((0.0, 0.0), (right, 0.0), (right, 1.0), (0.0, 1.0)),)))
    assert len(series.shown) <= 2
