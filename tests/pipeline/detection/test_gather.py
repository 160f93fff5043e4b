"""What a clip shows is gathered over place and time by plain rules, whatever its frame rate and however still it is."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise, product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from evidences import scale_of, shown, strengths, strengths_of
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.activity import Activity
from pipeline.detection import gather as gathering
from pipeline.detection.evidence import weigh
from pipeline.detection.gather import MOMENT_S, STEPS, moments
from pipeline.detection.operating import Operating
from pipeline.detection.usual import FLEET, Usual

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Shares = NDArray[np.uint8]


FULL = 9 * 31**2  # the power of 3 x 3 cells that move wholly
LEVEL = FLEET.operating.strength(2)  # of an event, twice a day


def film(share: Shares, *, step_ms: int = 100, pts: NDArray[np.int64] | None = None) -> Activity:
    count, rows, columns = share.shape
    times = np.arange(count, dtype=np.int64) * step_ms if pts is None else pts
    return Activity(
        share, times, np.zeros(count, np.uint8), Fraction(1, 1000), 0,
        width=16 * columns, height=16 * rows, version="1", cell_side=16,
    )  # fmt: skip


@st.composite
def activities(draw: st.DrawFn) -> Activity:
    """Return motion in some of the moments, .3 to 60 frames a second, even or not, with holes or none."""
    step = draw(st.sampled_from([100, 16, 33, 67, 143, 200, 250, 400, 1000, 3300]))
    count = draw(st.sampled_from([40, 90, 200 if step <= 100 else 30, 7, 2, 1]))
    rows, columns = draw(st.sampled_from([3, 5, 1])), draw(st.sampled_from([4, 6, 1]))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    share = rng.integers(0, 256, (count, rows, columns)) * (rng.random((count, rows, columns)) < 0.4)
    parts = rng.random(count // 10 + 1) < draw(st.sampled_from([0.2, 0.6, 1.0]))
    share *= np.repeat(parts, 10)[:count, None, None]
    steps = np.full(count, step)
    if draw(st.booleans()):
        steps = np.maximum(1, (step * rng.choice([0.3, 1.0, 2.0, 5.0], count)).astype(int))
    holes = rng.random(count) < draw(st.sampled_from([0.0, 0.0, 0.05]))
    steps[holes] = rng.choice([2001, 60_000], int(holes.sum()))
    return film(share.astype(np.uint8), pts=np.cumsum(steps).astype(np.int64))


def plainly(activity: Activity) -> dict[str, NDArray[np.float64]]:
    """Return brief, lasting and shown (n, R, C), own (R, C) and times (n,) by their words, moment by moment."""
    seconds = [(int(pts) - int(activity.pts[0])) * float(activity.time_base) for pts in activity.pts]
    thirds = [math.floor(t / MOMENT_S + 0.01) for t in seconds]
    first = [f for f in range(len(thirds)) if f == 0 or thirds[f] > thirds[f - 1]]
    assert first == shown(activity).first.tolist()
    times = [seconds[frame] for frame in first]
    step = activity.share[first].astype(np.int64) // 8
    count, rows, columns = step.shape
    padded = np.pad(step**2, ((0, 0), (1, 1), (1, 1)))
    around = product(range(3), repeat=2)
    now = sum((padded[:, y : y + rows, x : x + columns] for y, x in around), np.zeros(step.shape, np.int64))
    amplitude = np.floor(STEPS * np.sqrt(now)).astype(np.int64)
    second = np.stack([amplitude[which].sum(0) // len(which) for which in map(_near, [times] * count, range(count))])
    lasting = second.copy()
    for moment, t in enumerate(times):
        within = [m for m in range(count) if abs(times[m] - t) <= gathering._FAR_S + 0.01]
        long = (second[within[0]] + second[moment] + second[within[-1]]) // 3
        lasting[moment] = np.minimum(long, second[moment]) * (step[moment] > 0)
    quartile = np.sort(second, axis=0)[int(gathering._QUIET * (count - 1))]
    own = np.zeros((rows, columns), np.int64)
    reach = (-gathering._RING, 0, gathering._RING)
    for y, x in product(range(rows), range(columns)):
        ring = sorted(
            quartile[min(max(y + down, 0), rows - 1), min(max(x + right, 0), columns - 1)]
            for down, right in product(reach, reach)
            if (down, right) != (0, 0)
        )
        own[y, x] = min(quartile[y, x], ring[len(ring) // 2])
    found = {"brief": np.minimum(amplitude, second) * (step > 0), "lasting": lasting, "own": own, "shown": second}
    return {name: (part / STEPS) ** 2 for name, part in found.items()} | {"times": np.array(times)}


@settings(max_examples=120, deadline=None)
@given(activities())
def test_what_is_gathered_is_what_its_words_say_and_quiet_moments_that_are_passed_over_change_nothing(
    activity: Activity,
) -> None:
    found, plain = shown(activity), plainly(activity)
    few = len(found.first) < gathering._LOOKED_AT  # of more moments some tell what is usual
    for name in ("brief", "lasting", "own") if few else ("brief", "lasting"):
        assert np.allclose(getattr(found, name), plain[name], rtol=1e-6, atol=1e-6), name
    assert 0 <= found.brief.min() <= found.brief.max() <= FULL * (1 + 1e-6)


def _near(times: list[float], moment: int) -> list[int]:
    """Return the moments within half a second of one; those on one side twice where there are none on the other."""
    within = [m for m in range(len(times)) if abs(times[m] - times[moment]) <= gathering._HALF_S]
    before, after = ([m for m in within if m < moment], [m for m in within if m > moment])
    return [*(before or after), moment, *(after or before)]


def unrest_plainly(activity: Activity, plain: dict[str, NDArray[np.float64]]) -> float | None:
    """Return the power that comes and goes in most parts of what was recorded, in the most restless cells but three."""
    ends = [int(end) for _, end in activity.holes]
    lacks = [float((end - start) * activity.time_base) for start, end in activity.holes]
    pts = activity.pts[shown(activity).first]
    before = [sum(lack for lack, end in zip(lacks, ends, strict=True) if end <= at) for at in pts]
    times = plain["times"] - before
    count = int((times[-1] - times[0]) // gathering._SEGMENT_S)
    if count < gathering._SEGMENTS:
        return None
    part = np.searchsorted(times[0] + (times[-1] - times[0]) / count * np.arange(1, count), times, side="right")
    brief, parts = plain["brief"], [np.flatnonzero(part == number) for number in range(count)]
    high, low = (
        np.sort(np.stack(values), axis=0)[(count - 1) // 2]
        for values in ([brief[at].max(0) for at in parts], [plain["shown"][at].min(0) for at in parts])
    )
    high[low >= gathering._STILL * high] = 0
    often = (brief > 0).mean(0) >= gathering._OFTEN
    every, of_often = (
        float(([0.0] * (gathering._SOLE + 1) + np.sort(powers.ravel()).tolist())[-gathering._SOLE - 1])
        for powers in (high, high[often])
    )
    if every < gathering._FAINT:
        return every
    shows = brief >= gathering._PASSES * every
    if (np.stack([shows[at].any(0) for at in parts]).sum(0) > 1).mean() >= gathering._EVERYWHERE:
        return every
    shows &= ~often
    spread = [shows[at].any(0).sum() / shows[at].sum((1, 2)).max() for at in parts if shows[at].any()]
    return of_often if spread and float(np.median(spread)) >= gathering._TRAVELS else every


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 2**16),
    st.sampled_from([0.05, 0.3, 0.8]),
    st.sampled_from([0, 60_000]),
    st.sampled_from([1, 6, 12]),
    st.sampled_from([0, 40, 90]),
)
def test_unrest_is_what_comes_again_and_again_and_does_not_pass_by(
    seed: int, busy: float, pause_ms: int, wide: int, every: int
) -> None:
    rng = np.random.default_rng(seed)
    share = np.zeros((500, 8, 12), np.int64)
    share[..., :wide] = rng.integers(0, 100, (500, 8, wide)) * np.repeat(rng.random((100, 8, wide)) < busy, 5, axis=0)
    for start in range(0, 460, every) if every else ():  # a visitor goes along a row
        along = np.arange(24)
        share[start + along, 6, along // 2] = share[start + along, 5, along // 2] = 200
    pts = np.arange(500, dtype=np.int64) * 110
    pts[250:] += pause_ms
    activity = film(share.astype(np.uint8), pts=pts)
    assert shown(activity).unrest == pytest.approx(unrest_plainly(activity, plainly(activity)), rel=0.01)


def test_one_frame_and_two_are_clips_too() -> None:
    share = np.full((2, 3, 3), 255, np.uint8)
    one, two = shown(film(share[:1])), shown(film(share, step_ms=500))
    assert one.brief[:, 1, 1].tolist() == pytest.approx([FULL])
    assert two.brief[:, 1, 1].tolist() == pytest.approx([FULL, FULL])
    assert (one.unrest, two.unrest) == (None, None)
    assert len(shown(film(share)).first) == 1, "frames of a tenth of a second make one moment"
    assert len(shown(film(share * 0)).at) == 0
    assert not strengths(film(share * 0)).any()


def test_an_hour_with_somebody_in_it_for_a_minute_is_gathered_as_that_minute_is() -> None:
    rng = np.random.default_rng(7)
    share = np.zeros((54_000, 9, 16), np.uint8)
    share[30_000:30_900, 3:6, 5:9] = rng.integers(100, 256, (900, 3, 4))
    found = shown(film(share, step_ms=67))
    assert len(found.at) < len(found.first) / 20
    assert found.at.min() > 5_500
    minute = shown(film(share[29_700:31_200], step_ms=67))
    assert float(found.brief.max()) == pytest.approx(float(minute.brief.max()), rel=0.2)  # moments begin elsewhere
    assert not found.own.any()
    assert found.unrest == 0


@pytest.mark.parametrize("step_ms", [20, 33, 40, 67, 100, 125, 200])
def test_the_same_motion_is_as_strong_at_any_frame_rate(step_ms: int) -> None:
    count = 12_000 // step_ms
    share = np.zeros((count, 5, 6), np.uint8)
    times = np.arange(count) * step_ms
    share[(times >= 4000) & (times < 7000), 1:4, 1:4] = 160
    found = shown(film(share, step_ms=step_ms))
    assert float(found.brief.max()) == 9 * 20**2
    at = times[found.first[found.brief[:, 2, 2] > 9 * 20**2 / 2]] / 1000
    assert at.min() == pytest.approx(4.0, abs=0.5)
    assert at.max() == pytest.approx(6.67, abs=0.5)


def test_a_moment_is_a_third_of_a_second_and_stands_for_its_first_frame() -> None:
    first, times = moments(film(np.zeros((30, 1, 1), np.uint8), step_ms=67))
    assert first.tolist() == [0, 5, 10, 15, 20, 25]
    assert all(later - one == pytest.approx(0.335) for one, later in pairwise(times))
    assert moments(film(np.zeros((4, 1, 1), np.uint8), step_ms=5000))[0].tolist() == [0, 1, 2, 3]


# Evidence -------------------------------------------------------------------------------------------------------------


@given(activities())
def test_nothing_is_strong_in_moments_that_are_passed_over(activity: Activity) -> None:
    evidence = weigh(activity)
    assert not strengths_of(evidence)[np.setdiff1d(np.arange(len(evidence.pts)), evidence.at)].any()


@given(activities())
def test_evidence_tells_what_its_clip_shows(activity: Activity) -> None:
    evidence, first = weigh(activity), shown(activity).first
    assert np.array_equal(evidence.share, activity.share[first].T)
    assert evidence.frames.sum() == len(activity.pts)
    assert evidence.pts.tolist() == activity.pts[first].tolist()
    assert evidence.end_pts > activity.pts[-1]


@pytest.mark.parametrize(("cold", "moments_cold"), [(0, 0), (1, 1), (2, 1), (3, 2), (5, 3), (10, 0)])
def test_a_moment_is_cold_when_its_first_frame_is_unless_all_are(cold: int, moments_cold: int) -> None:
    share, pts = np.zeros((10, 1, 1), np.uint8), np.arange(10, dtype=np.int64)
    activity = Activity(share, pts, np.zeros(10, np.uint8), Fraction(1, 6), cold, 16, 16, "1", 16)
    assert weigh(activity).cold == moments_cold


def test_a_last_frame_lasts_as_long_as_the_one_before_it_and_as_usual_after_a_hole() -> None:
    share = np.zeros((4, 1, 1), np.uint8)
    assert weigh(film(share, pts=np.array([0, 100, 200, 500]))).end_pts == 800
    assert weigh(film(share, pts=np.array([0, 100, 200, 9000]))).end_pts == 9100
    assert weigh(film(share[:1], pts=np.array([7]))).end_pts == 8


# What is usual is taken off -------------------------------------------------------------------------------------------


def busy(*, frames: int = 300, level: int = 120) -> Activity:
    """Return motion of one strength in 3 x 3 cells of 9 x 12, in the middle fifth of a clip of 10 frames a second."""
    share = np.zeros((frames, 9, 12), np.uint8)
    share[2 * frames // 5 : 3 * frames // 5, 3:6, 4:7] = level
    return film(share)


def test_twice_what_is_usual_is_taken_off() -> None:
    activity = busy(frames=200)
    steady = np.full((12, 9), 300.0, np.float32)
    plain, known = (strengths(activity, usual) for usual in (FLEET, Usual(steady, None, Operating.known())))
    at = np.unravel_index(plain.argmax(), plain.shape)
    scale = scale_of(activity)
    assert float(plain[at] * scale) == pytest.approx(9 * 15**2, rel=0.01)
    assert float(known[at] * scale) == pytest.approx(9 * 15**2 - 600, rel=0.01)
    assert not strengths(activity, Usual(steady * 10, None, Operating.known())).any()


@given(activities(), st.integers(0, 2**16))
def test_more_that_is_usual_never_makes_anything_stronger(activity: Activity, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steady, more, gusts = rng.integers(0, 900, (3, *activity.share.shape[:0:-1])).astype(np.float32)
    known = [
        FLEET,
        Usual(steady, None, Operating.known()),
        Usual(steady + more, None, Operating.known()),
        Usual(steady + more, gusts, Operating.known()),
        Usual(steady + more, gusts, Operating.known(), unrest=1000.0),
    ]
    for one, other in pairwise(strengths(activity, usual) for usual in known):
        assert (other <= one + 1e-4).all()


def test_a_gust_that_moves_all_at_once_is_taken_off_and_a_visitor_in_it_is_not() -> None:
    rng = np.random.default_rng(1)
    share = np.zeros((200, 9, 16), np.uint8)
    leaves = (slice(40, 80), slice(0, 9), slice(8, 16))  # half of the picture, all at once
    share[leaves] = rng.integers(60, 90, share[leaves].shape)
    gusts = np.zeros((16, 9), np.float32)
    gusts[8:] = float(shown(film(share)).brief.max())
    known = Usual(None, gusts, Operating.known(), unrest=120.0)
    assert strengths(film(share)).max() >= LEVEL
    assert strengths(film(share), known).max() < LEVEL
    share[50:70, 3:6, 11:14] = 255
    most = strengths(film(share), known).max(0)
    assert most[4, 12] >= LEVEL
    assert most[:, :9].max() < LEVEL
    lone = np.zeros((200, 9, 16), np.uint8)
    lone[40:80, 3:6, 11:14] = 100
    calm = Usual(None, None, Operating.known(), unrest=120.0)
    assert np.allclose(strengths(film(lone), known), strengths(film(lone), calm)), "what few cells do is no gust"


def test_a_web_in_a_corner_that_never_rests_is_usual_by_the_clip_itself_and_a_visitor_elsewhere_is_found() -> None:
    rng = np.random.default_rng(2)
    share = np.zeros((600, 9, 16), np.uint8)
    share[:, :6, :6] = rng.integers(90, 130, (600, 6, 6))
    assert strengths(film(share))[:, :3, :3].max() < LEVEL
    share[200:240, 4:8, 11:13] = 255
    found = strengths(film(share))
    assert found[:, 4:8, 11:13].max() >= LEVEL
    assert found[:, :3, :3].max() < LEVEL


def test_who_stands_in_one_place_for_most_of_a_clip_is_not_usual_there() -> None:
    share = np.zeros((600, 12, 16), np.uint8)
    share[60:, 5:7, 8] = 160
    assert (strengths(film(share))[:, 5:7, 8] >= LEVEL).any(1).mean() > 0.8
