"""What `measure` promises: of frames made here, and of real footage where it is there."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydantic import ValidationError

from pipeline.detection.detect import detect
from pipeline.detection.gates import Detection
from pipeline.errors import ClipError
from pipeline.measure.motion import VERSION, MeasureSettings, measure
from pipeline.media.decode import open_video
from simulation.scene import Scene, render

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from pipeline.activity import Activity

    Planes = Iterable[NDArray[np.uint8]]

H, W = 120, 160
MS = Fraction(1, 1000)


def scene(seed: int = 1, height: int = H, width: int = W) -> NDArray[np.uint8]:
    """A still picture with structure at every scale a camera sees."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width), 110.0)
    for size in (4, 8, 16, 32):
        coarse = rng.normal(0, 12, (height // size + 1, width // size + 1))
        picture += np.kron(coarse, np.ones((size, size)))[:height, :width]
    return picture.clip(40, 200).astype(np.uint8)


def noisy(picture: NDArray[np.uint8], rng: np.random.Generator, sigma: float = 2.0) -> NDArray[np.uint8]:
    noise = rng.normal(0, sigma, picture.shape)
    return (picture + noise).round().clip(0, 255).astype(np.uint8)


def timed(planes: Planes, fps: float = 10) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    for number, plane in enumerate(planes):
        yield round(number * 1000 / fps), plane


def moves(activity: Activity, level: int = 50) -> NDArray[np.bool_]:
    return activity.share >= level


def crossing(count: int, fps: float = 10, *, value: int = 250, seconds: float = 3) -> Iterator[NDArray[np.uint8]]:
    """A 32 x 32 square that crosses rows 48 to 80 from left to right, again and again, then stays away as long."""
    rng = np.random.default_rng(2)
    still = scene()
    for number in range(count):
        plane = noisy(still, rng)
        x = int((number / fps % (2 * seconds)) / seconds * W)
        if x < W:
            plane[48:80, x : x + 32] = value
        yield plane


def test_a_still_scene_with_sensor_noise_is_exactly_zero() -> None:
    rng = np.random.default_rng(3)
    for sigma in (0.0, 2.0, 4.0):
        activity = measure(timed(noisy(scene(), rng, sigma) for _ in range(100)), time_base=MS)
        assert not activity.share.any()
        assert activity.cold == 0


def test_what_crosses_is_measured_where_it_is_and_nowhere_else() -> None:
    activity = measure(timed(crossing(120)), time_base=MS)
    assert activity.share.shape == (120, 7, 10)
    assert (activity.width, activity.height) == (W, H)
    assert activity.share[15, 3, 5] > 200  # the square stands at x 80 to 112
    assert activity.share[:, 3, 2:8].max() >= 240  # a little less than all: in the frames beside it is elsewhere
    assert not activity.share[:, 6].any()
    assert not activity.share[35:55].any()  # it is away


def test_an_object_of_the_first_frames_leaves_no_ghost() -> None:
    still, rng = scene(), np.random.default_rng(4)

    def planes() -> Iterator[NDArray[np.uint8]]:
        for number in range(150):
            plane = noisy(still, rng)
            if number < 40:
                plane[32:64, 64:96] = 20
            yield plane

    activity = measure(timed(planes()), time_base=MS)
    assert moves(activity)[:38, 2:4, 4:6].all()
    assert not activity.share[45:].any()


def test_somebody_who_stands_still_for_a_minute_stays_in_sight() -> None:
    still, rng = scene(), np.random.default_rng(5)

    def planes() -> Iterator[NDArray[np.uint8]]:
        for number in range(360):  # three minutes
            plane = noisy(still, rng)
            if 100 <= number < 220:
                plane[32:80, 64:96] = 30
            yield plane

    activity = measure(timed(planes(), fps=2), time_base=MS)
    assert moves(activity)[100:220, 2:5, 4:6].all()
    assert not activity.share[:98].any()
    assert not activity.share[222:].any()


@pytest.mark.parametrize("gain", [0.7, 0.9, 1.15, 1.3])
def test_a_change_of_light_over_the_whole_picture_is_no_motion(gain: float) -> None:
    still, rng = scene(), np.random.default_rng(6)
    lit = (still * gain).clip(0, 255).astype(np.uint8)
    planes = (noisy(lit if 40 <= n < 80 else still, rng) for n in range(160))
    activity = measure(timed(planes), time_base=MS)
    assert (activity.share > 0).mean() < 0.01


def test_a_cloud_over_half_of_the_picture_is_no_motion_but_a_visitor_is() -> None:
    still, rng = scene(), np.random.default_rng(7)
    shade = np.linspace(0.85, 1.0, W)

    def planes() -> Iterator[NDArray[np.uint8]]:
        for number in range(160):
            plane = noisy((still * shade).astype(np.uint8) if 40 <= number < 80 else still, rng)
            if 60 <= number < 70:
                plane[32:64, 64:96] = 230
            yield plane

    activity = measure(timed(planes()), time_base=MS)
    assert moves(activity)[61:69, 2:4, 4:6].all()
    moving = moves(activity, 26)
    moving[:, 1:5, 3:7] = False
    assert moving.mean() < 0.01


def test_a_shaking_camera_is_no_motion_but_a_visitor_is() -> None:
    wide, rng = scene(8, H + 40, W + 40), np.random.default_rng(8)

    def planes(*, visitor: bool) -> Iterator[NDArray[np.uint8]]:
        for number in range(120):
            y, x = rng.integers(14, 27, 2)
            plane = noisy(wide[y : y + H, x : x + W], rng)
            if visitor and 50 <= number < 70:
                plane[32:64, 64:96] = 250
            yield plane

    shaken = measure(timed(planes(visitor=False)), time_base=MS)
    assert moves(shaken).mean() < 0.002
    activity = measure(timed(planes(visitor=True)), time_base=MS)
    assert moves(activity)[51:69, 2:4, 4:6].all()


def test_leaves_weigh_less_than_a_visitor_of_the_same_contrast() -> None:
    still, rng = scene(), np.random.default_rng(9)

    def planes() -> Iterator[NDArray[np.uint8]]:
        for number in range(200):
            plane = noisy(still, rng)
            leaves = np.kron(rng.integers(-30, 31, (16, 20)), np.ones((4, 4)))
            plane[:64, :80] = (still[:64, :80] + leaves).clip(0, 255)
            if 100 <= number < 120:
                plane[64:112, 112:144] = still[64:112, 112:144] // 2 + 100
            yield plane

    activity = measure(timed(planes()), time_base=MS)
    visitor = activity.share[101:119, 4:7, 7:9].astype(float).mean()
    leaves = activity.share[:, :4, :5].astype(float).mean()
    assert visitor > 5 * leaves


def test_somebody_who_stays_for_most_of_a_clip_is_told_from_the_scene_by_the_outline() -> None:
    still, rng = scene(), np.random.default_rng(13)
    coat = noisy(np.full((48, 32), 40, np.uint8), rng, 8)

    def planes(first: int, last: int) -> Iterator[NDArray[np.uint8]]:
        for number in range(300):
            plane = noisy(still, rng)
            if first <= number < last:
                plane[32:80, 64:96] = coat
            yield plane

    for first, last in ((75, 300), (60, 255), (0, 195)):  # who stays to the end; who leaves; who was there first
        activity = measure(timed(planes(first, last), fps=5), time_base=MS)
        there = np.zeros(300, np.bool_)
        there[first:last] = True
        inside = moves(activity)[:, 2:5, 4:6].mean((1, 2))
        assert inside[there].mean() > 0.95
        assert inside[~there].mean() < 0.05
        assert moves(activity)[:, :, 7:].mean() < 0.002


def test_a_cast_shadow_weighs_less_than_half_of_who_casts_it() -> None:
    still, rng = np.maximum(scene(14, 240, 320), 80), np.random.default_rng(14)

    def planes() -> Iterator[NDArray[np.uint8]]:
        for number in range(150):
            plane = still.astype(np.float64)
            if 50 <= number < 65:
                plane[32:128, 64:128] *= 0.6
                plane[128:224, 192:256] = 20 + 0.3 * plane[0:96, 192:256]
            yield noisy(plane.astype(np.uint8), rng)

    activity = measure(timed(planes()), time_base=MS)
    shadow = activity.share[52:63, 2:8, 4:8].astype(float).mean()
    visitor = activity.share[52:63, 8:14, 12:16].astype(float).mean()
    assert visitor > 150
    assert shadow < visitor / 2


def test_noise_of_night_is_no_motion_but_a_visitor_in_the_dark_is() -> None:
    dark, rng = scene() // 5, np.random.default_rng(15)

    def planes() -> Iterator[NDArray[np.uint8]]:
        for number in range(200):
            plane = dark.copy()
            if 80 <= number < 120:
                plane[32:80, 64:96] = 70
            yield noisy(plane, rng, 6)

    activity = measure(timed(planes()), time_base=MS)
    assert moves(activity)[81:119, 2:5, 4:6].mean() > 0.9
    assert moves(activity, 26)[:79].mean() < 0.002


def test_rain_and_insects_before_the_lens_are_no_event_but_a_visitor_is() -> None:
    still, rng = scene(), np.random.default_rng(16)

    def planes(*, visitor: bool) -> Iterator[NDArray[np.uint8]]:
        for number in range(200):
            plane = still.astype(np.float64)
            for top, left in zip(rng.integers(0, H - 24, 30), rng.integers(0, W, 30), strict=True):
                plane[top : top + 24, left] += 40
            if number % 10 == 0:
                top, left = rng.integers(0, H - 10), rng.integers(0, W - 10)
                plane[top : top + 10, left : left + 10] += 80
            if visitor and 100 <= number < 140:
                plane[32:80, 64:96] = 30
            yield noisy(plane.clip(0, 255).astype(np.uint8), rng)

    assert detect(measure(timed(planes(visitor=False)), time_base=MS), Detection()) == []
    (event,) = detect(measure(timed(planes(visitor=True)), time_base=MS), Detection(pre_roll_s=0, post_roll_s=0))
    assert abs(event.start_pts - 10_000) <= 400
    assert abs(event.end_pts - 14_000) <= 700  # two moments of a third: evidence is of half a second around


def test_lamps_that_switch_again_and_again_and_headlights_are_no_motion() -> None:
    still, rng = scene(), np.random.default_rng(17)
    gains = np.repeat(np.resize([1.0, 0.6, 0.8], 10), 20)
    gains[90:96] = 1.4  # headlights shine into the scene
    planes = (noisy((still * gain).clip(0, 255).astype(np.uint8), rng) for gain in gains)
    assert (measure(timed(planes), time_base=MS).share > 0).mean() < 0.01


@pytest.mark.whole
@pytest.mark.parametrize(("height", "width", "size"), [(240, 320, 10), (720, 1280, 24), (1080, 1920, 32)])
def test_a_clock_burnt_into_the_picture_raises_no_event(height: int, width: int, size: int) -> None:
    still, rng = scene(18, height, width), np.random.default_rng(18)
    font = ImageFont.load_default(size)

    def planes() -> Iterator[NDArray[np.uint8]]:
        for number in range(150):
            picture = Image.fromarray(noisy(still, rng))
            text = f"2026-03-01 12:{number // 5 // 60:02}:{number // 5 % 60:02}"
            ImageDraw.Draw(picture).text((size // 2, size // 2), text, fill=255, font=font)
            yield np.array(picture)

    assert detect(measure(timed(planes(), fps=5), time_base=MS), Detection()) == []


@pytest.mark.parametrize("kind", [{}, {"night": True}, {"rain": True}, {"clouds": True}], ids=str)
def test_an_empty_street_has_no_event_in_any_weather(kind: dict[str, bool]) -> None:
    street = Scene(5, frames=300, width=480, height=270, movers=(), **kind)  # type: ignore[arg-type]
    frames = ((number * 100, picture[:270]) for number, picture in enumerate(render(street)))
    assert detect(measure(frames, time_base=MS), Detection()) == []


def test_a_clip_is_measured_by_its_own_frames_alone() -> None:
    first = measure(timed(crossing(60)), time_base=MS).to_bytes()
    measure(timed(noisy(scene(20), np.random.default_rng(20)) for _ in range(60)), time_base=MS)  # another camera's
    assert measure(timed(crossing(60)), time_base=MS).to_bytes() == first


@pytest.mark.parametrize("fps", [1, 5, 30, 60])
def test_the_frame_rate_changes_the_count_of_entries_and_not_what_is_measured(fps: int) -> None:
    activity = measure(timed(crossing(60 * fps, fps, seconds=10), fps), time_base=MS)
    assert len(activity.pts) == 60 * fps
    assert activity.pts.tolist() == [round(n * 1000 / fps) for n in range(60 * fps)]
    assert moves(activity)[5 * fps, 3, 5]
    assert not activity.share[12 * fps : 19 * fps].any()


def test_variable_frame_rate_is_measured_at_its_own_times() -> None:
    rng = np.random.default_rng(10)
    times = np.cumsum(rng.integers(20, 400, 200)).tolist()
    still = scene()
    inside = [5000 <= t < 9000 for t in times]

    def frames() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        for t, there in zip(times, inside, strict=True):
            plane = noisy(still, rng)
            if there:
                plane[32:64, 64:96] = 250
            yield t, plane

    activity = measure(frames(), time_base=MS)
    assert activity.pts.tolist() == times
    moving = moves(activity, 128)[:, 2, 4]
    wrong = np.flatnonzero(moving != np.array(inside))
    assert all(min(abs(times[i] - 5000), abs(times[i] - 9000)) < 500 for i in wrong)


def test_a_plane_is_read_before_the_next_step_and_never_kept() -> None:
    expected = measure(timed(crossing(60)), time_base=MS)
    buffer = np.empty((H, W), np.uint8)

    def reused() -> Iterator[NDArray[np.uint8]]:
        for plane in crossing(60):
            buffer[:] = plane
            view = buffer.view()
            view.setflags(write=False)
            yield view
            buffer[:] = 0

    assert np.array_equal(measure(timed(reused()), time_base=MS).share, expected.share)


@pytest.mark.parametrize(
    "size", [(16, 16), (1, 1), (9, 300), (1, 5000), (5000, 1), (1080, 1920), (1920, 1080), (577, 769)]
)
def test_any_size_is_measured(size: tuple[int, int]) -> None:
    still = scene(11, *size)
    activity = measure(timed([still, still, still, 255 - still]), time_base=MS)
    assert not activity.share[:2].any()  # the third has a neighbour in time
    assert activity.share[3].any() or size == (1, 1)


def test_the_same_frames_give_the_same_bytes() -> None:
    first = measure(timed(crossing(60)), time_base=MS).to_bytes()
    assert measure(timed(crossing(60)), time_base=MS).to_bytes() == first


def test_the_version_tells_settings_apart() -> None:
    one = measure(timed(crossing(3)), time_base=MS)
    other = measure(timed(crossing(3)), time_base=MS, settings=MeasureSettings(contrast=8))
    assert one.version == MeasureSettings().version() != other.version
    assert one.version.startswith(f"{VERSION}-")


def test_the_brightness_of_every_frame_is_kept_also_of_those_not_measured() -> None:
    fade = [np.full((H, W), 40 + 2 * number, np.uint8) for number in range(60)]
    one = measure(timed(fade, 30), time_base=MS)
    assert one.luma.dtype == np.uint8
    assert len(one.luma) == 60
    assert np.abs(one.luma - np.arange(40, 160, 2)).max() <= 2


def test_a_clip_too_short_to_know_its_background_is_all_cold() -> None:
    assert measure(timed(crossing(10)), time_base=MS).cold == 10
    assert measure(timed(crossing(1)), time_base=MS).cold == 1
    assert measure(timed(crossing(40)), time_base=MS).cold == 0


def test_memory_does_not_grow_with_the_clip_beyond_its_result() -> None:
    limits = MeasureSettings(horizon_s=10, block_s=5)
    still = scene()
    peaks = []
    for count in (1000, 6000):
        tracemalloc.start()
        measure(timed(still for _ in range(count)), time_base=MS, settings=limits)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    cells = 7 * 10
    assert peaks[1] - peaks[0] < 5000 * (4 * cells + 200)


def test_no_frames_is_a_bad_clip() -> None:
    with pytest.raises(ClipError, match=r"decode: .*no frames"):
        measure([], time_base=MS)


@pytest.mark.parametrize("rate", [15, 240])
def test_a_size_that_changes_names_both_sizes(rate: float) -> None:
    planes = [scene(), scene(), scene(12, 60, 80)]
    with pytest.raises(ClipError, match="80 x 60 after 160 x 120 at frame 2"):
        measure(timed(planes, fps=30), time_base=MS, settings=MeasureSettings(rate_hz=rate))


def test_time_that_runs_backwards_is_a_bad_clip() -> None:
    with pytest.raises(ClipError, match="pts 5 after 9 at frame 1"):
        measure([(9, scene()), (5, scene())], time_base=MS)


def test_planes_of_another_dtype_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="uint8"):
        measure([(0, np.zeros((4, 4), np.float32))], time_base=MS)


def test_settings_refuse_what_cannot_be() -> None:
    for wrong in ({"rate_hz": 0}, {"samples": 2}, {"floor": 1.0}, {"horizon": 3}):
        with pytest.raises(ValidationError):
            MeasureSettings.model_validate(wrong)


def average_precision(score: NDArray[np.float64], label: NDArray[np.bool_]) -> float:
    label = label[np.argsort(-score, kind="stable")]
    hits = np.cumsum(label)
    return float(np.sum(label * hits / np.arange(1, len(label) + 1)) / label.sum())


@pytest.mark.parametrize(
    ("sequence", "least"),
    [("hall", 0.93), ("pedestrians", 0.97)],  # OpenCV's MOG2 reaches 0.841 and 0.852 here
)
def test_labelled_footage_is_measured_better_than_by_mog2(footage: Path, sequence: str, least: float) -> None:
    folder = footage / "labelled" / sequence
    with open_video(folder / "video.mp4") as video:
        activity = measure(video.luma(), time_base=video.time_base)
    first, last = (int(x) for x in (folder / "temporalROI.txt").read_text().split())
    names = sorted((folder / "groundtruth").glob("*.png"))[first - 1 : last]
    masks = np.stack([np.asarray(Image.open(name).convert("L")) for name in names])
    rows, columns = masks.shape[1] // 16, masks.shape[2] // 16
    assert activity.share.shape[1:] == (rows, columns)

    def cells(of: NDArray[np.bool_]) -> NDArray[np.float64]:
        part = of[:, : rows * 16, : columns * 16].reshape(-1, rows, 16, columns, 16)
        mean: NDArray[np.float64] = part.mean((2, 4))
        return mean

    known = 1 - cells((masks == 85) | (masks == 170))
    moving = cells(masks == 255) / np.maximum(known, 1e-6)
    scored = (known > 0.5) & ((moving < 0.02) | (moving > 0.15))
    share = activity.share[first - 1 : last].astype(np.float64)
    assert average_precision(share[scored], moving[scored] > 0.15) > least
