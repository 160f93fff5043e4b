"""What a clip lacks is drawn and told: holes where they are, damage in words, stills only where they lie."""

import io
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lamplighter.desk.explanation import Explained
from lamplighter.report.explanation import explanation_document, explanation_sections
from lamplighter.report.heat import CameraHeat
from lamplighter.report.pictures import WIDTH, timeline
from lamplighter.report.strips import strip, strips
from lamplighter.report.wording import lacks, not_whole, short_spans
from lamplighter.settings import load
from pipeline.activity import Activity
from pipeline.clip import Clip, Condition
from pipeline.detection.evidence import weigh
from pipeline.detection.explain import explain
from pipeline.detection.gates import Detection
from pipeline.detection.layers import Layers
from pipeline.detection.tracer import trace
from pipeline.span import NS, Span, parse_iso
from samples import NOON, clip, stream

pytestmark = pytest.mark.whole

HOUR_MS = 3_600_000
LEFT, RIGHT = 191, 1154  # between them is the time axis


def film(*parts: int, pause_ms: int = HOUR_MS, busy: range = range(0)) -> Activity:
    """Parts of so many frames of 100 ms with a pause between them, and motion in some of them."""
    pts = np.arange(sum(parts), dtype=np.int64) * 100
    for first in np.cumsum(parts)[:-1]:
        pts[first:] += pause_ms
    share = np.zeros((sum(parts), 6, 8), np.uint8)
    share[busy.start : busy.stop, 1:3, 2:4] = 200
    return Activity(share, pts, np.full(len(pts), 90, np.uint8), Fraction(1, 1000), 0, 128, 96, "1-test", 16)


def clip_of(activity: Activity, **lacking: int | tuple[str, ...]) -> Clip:
    condition = Condition(holes=activity.holes, **lacking)  # type: ignore[arg-type]
    end, frames = int(activity.pts[-1]) + 100, len(activity.pts)
    of = stream(width=128, height=96, time_base=activity.time_base, end_pts=end, frames=frames, condition=condition)
    return clip(stream=of)


def pixels(png: bytes) -> NDArray[np.int64]:
    with Image.open(io.BytesIO(png)) as image:
        assert image.width == WIDTH
        return np.asarray(image.convert("RGB")).astype(np.int64)


def hatched(png: bytes) -> NDArray[np.int64]:
    """Return the pixel columns of the upper curve with the grey of a hole's hatch from top to bottom."""
    picture = pixels(png)[62:212, LEFT:RIGHT]
    grey = (picture.max(2) - picture.min(2) < 8) & (picture[..., 0] > 120) & (picture[..., 0] < 205)
    return np.flatnonzero(grey.sum(0) > 25)


def test_strips_are_of_the_parts_between_holes_and_as_long_as_they_recorded() -> None:
    before, after = strips(film(50, 30), NOON)
    assert (before.start_ns, before.length_ns, before.goes_on) == (NOON, 5 * NS, False)
    assert (after.start_ns, after.length_ns, after.goes_on) == (NOON + (HOUR_MS + 5000) * 10**6, 3 * NS, True)
    (whole,) = strips(film(80), NOON)
    assert np.array_equal(whole.peak, strip(film(80), NOON).peak)


def test_a_hole_is_hatched_where_it_is_and_narrow_where_it_is_long() -> None:
    assert len(hatched(timeline(strips(film(100), NOON), [], title="t"))) == 0
    hour = hatched(timeline(strips(film(50, 50), NOON), [], title="t"))
    assert 10 < len(hour) < 40
    assert abs(hour.mean() / (RIGHT - LEFT) - 0.5) < 0.01
    short = hatched(timeline(strips(film(1000, 1000, pause_ms=3000), NOON), [], title="t"))
    assert 5 < len(short) < 20  # 3 s of 203, to scale


def test_an_event_before_a_hole_is_not_drawn_across_it() -> None:
    busy = film(50, 50, busy=range(30, 50))
    png = timeline(strips(busy, NOON), [("in force", [Span(NOON + 3 * NS, NOON + 5 * NS)])], title="t")
    blue = np.flatnonzero((abs(pixels(png)[:, LEFT:RIGHT] - (0, 114, 178)) < 12).all(2).sum(0) > 10)
    assert blue[-1] < hatched(png)[0] + 2


def test_what_a_clip_lacks_is_told_in_sentences() -> None:
    of = clip_of(film(50, 30, pause_ms=4000), damaged=2, missing=1200, notes=("One time stamp stands twice.",))
    assert lacks(of) == [
        "There is no picture from 2026-03-01T12:00:05Z on for 4.0 s.",
        "Damaged: 2 of 80 frames, parts of which are made up.",
        "Missing: 1,200 frames that gave no picture, or never came.",
        "One time stamp stands twice.",
    ]
    assert lacks(clip_of(film(9))) == []
    assert lacks(clip_of(film(*[50] * 13)))[-1] == "There are 2 more such holes."


def test_many_clips_are_counted_by_what_they_lack() -> None:
    some = [clip_of(film(50, 30), damaged=3), clip_of(film(50), damaged=4, notes=("a", "b")), clip_of(film(50))]
    assert not_whole(some) == "2 clips are not whole: damaged frames in 2 (7), holes in 1 (1), notes in 1 (2)"
    assert not_whole(some[2:]) == ""


def test_a_few_spans_are_told_and_the_rest_counted() -> None:
    spans = [Span(NOON + n * NS, NOON + (n + 1) * NS) for n in range(5)]
    assert short_spans(spans[:1]) == "2026-03-01T12:00:00Z + 1.0 s"
    assert short_spans(spans).endswith("12:00:02Z + 1.0 s and 2 more")


def explained(activity: Activity, of: Clip) -> Explained:
    return Explained(of, Layers().of("cam-1", night=False), explain(activity, Detection()))


def test_an_explanation_tells_holes_among_what_moved_and_damage_above() -> None:
    activity = film(50, 50, busy=range(40, 60))
    of = clip_of(activity, damaged=4)
    sections = {one.heading: one for one in explanation_sections(explained(activity, of), load(flags={}))}
    assert "Damaged: 4 of 100 frames" in sections["What the recording lacks"].text
    rows = [tuple(row) for row in sections["Stretches in which watched cells moved"].table or ()]
    hole = "a hole: no frame, so no motion"
    assert [row[2] for row in rows[1:]] == ["in an event", hole, "in an event"]
    before, between, after = (float(str(row[1]).removesuffix(" s")) for row in rows[1:])
    assert between == 3600
    # A second of motion on each side, and a moment or two around it in which its evidence lasts.
    assert 1 <= before <= 1.4
    assert 1 <= after <= 1.4
    document = explanation_document(explained(activity, of), load(flags={}))
    assert document["holes"] == [str(of.holes[0])]
    assert (document["damaged"], document["missing"], document["notes"]) == (4, 0, ())


def test_a_still_that_does_not_lie_below_the_cells_is_left_out_with_what_to_do() -> None:
    seen, activity = CameraHeat(), film(50)
    seen.add(clip_of(activity), activity, np.ones((6, 8), np.bool_))
    upright = seen.draw(lambda _clip, _pts: np.zeros((96, 128), np.uint8), title="t")
    assert upright.shows_footage
    sideways = seen.draw(lambda _clip, _pts: np.zeros((128, 96), np.uint8), title="t")
    assert not sideways.shows_footage
    assert "ingest --remeasure --all" in sideways.text


def test_a_timeline_begins_where_the_first_frame_that_can_be_shown_does() -> None:
    from lamplighter.desk.comparison import Look  # noqa: PLC0415 - of one test
    from lamplighter.report.camera import CameraPictures  # noqa: PLC0415 - of one test

    activity = film(50)
    lead = Condition(holes=((-700, 0),))
    of = clip(stream=stream(time_base=activity.time_base, first_pts=-700, end_pts=5000, frames=50, condition=lead))
    drawn = CameraPictures()
    drawn.add(Look(of, activity, (), (), trace(weigh(activity), Detection()), of.footage_ns))
    assert [one.start_ns for one in drawn.strips] == [parse_iso("2026-03-01T12:00:00.7Z")]
