import math
import pickle
from dataclasses import FrozenInstanceError, replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clip import Camera, Clip, Condition, Disclosure, Owner, Sharing, check_id
from pipeline.span import NS, Span
from samples import DIGEST, NOON, camera, clip, stream

TIME_BASES = st.one_of(
    st.sampled_from([Fraction(1, n) for n in (15, 25, 30, 1000, 12800, 15360, 90000)]),
    st.sampled_from([Fraction(1001, 30000), Fraction(1001, 24000), Fraction(417083, 12500000)]),
    st.builds(Fraction, st.integers(1, 5000), st.integers(1, 10**6)),
)


@st.composite
def clips(draw: st.DrawFn) -> Clip:
    first = draw(st.integers(-(10**6), 10**9))
    length = draw(st.integers(1, 10**6))
    made = stream(time_base=draw(TIME_BASES), first_pts=first, end_pts=first + length)
    return clip(start_ns=NOON + draw(st.integers(0, 10 * NS)), stream=made)


def exact_ns(of: Clip, pts: int) -> Fraction:
    return of.start_ns + (pts - of.stream.first_pts) * of.stream.time_base * NS


@given(clips(), st.data())
def test_a_frame_is_in_a_half_open_span_if_and_only_if_its_pts_lie_between_the_bounds(
    of: Clip, data: st.DataObject
) -> None:
    pts = data.draw(st.integers(of.stream.first_pts, of.stream.end_pts))
    near = st.integers(of.span.start_ns, of.span.end_ns) | st.integers(-2, 2).map(
        lambda d: max(0, math.floor(exact_ns(of, pts)) + d)
    )
    start, end = sorted((data.draw(near), data.draw(near) + 1))
    assert (of.pts_at(start) <= pts < of.pts_at(end)) == (start <= exact_ns(of, pts) < end)


@given(clips(), st.data())
def test_the_instant_of_a_pts_leads_back_to_it(of: Clip, data: st.DataObject) -> None:
    pts = data.draw(st.integers(of.stream.first_pts, of.stream.end_pts))
    assert of.time_ns(pts) == math.floor(exact_ns(of, pts))
    assert of.pts_at(of.time_ns(pts)) == pts


@given(clips())
def test_the_whole_span_holds_every_frame_of_the_clip(of: Clip) -> None:
    assert of.span.start_ns == of.start_ns
    assert of.pts_at(of.span.start_ns) == of.stream.first_pts
    assert of.pts_at(of.span.end_ns) >= of.stream.end_pts
    assert of.span.end_ns - exact_ns(of, of.stream.end_pts) < 1


@given(clips(), st.data())
def test_cuts_that_touch_share_no_frame_and_lose_none(of: Clip, data: st.DataObject) -> None:
    cut = data.draw(st.integers(of.span.start_ns, of.span.end_ns))
    pts = data.draw(st.integers(of.stream.first_pts, of.stream.end_pts - 1))
    before = of.pts_at(of.span.start_ns) <= pts < of.pts_at(cut)
    after = of.pts_at(cut) <= pts < of.pts_at(of.span.end_ns)
    assert before != after


def test_time_stays_exact_after_a_day_of_ntsc_frames() -> None:
    frames = 86_400 * 30
    ntsc = clip(stream=stream(time_base=Fraction(1001, 30000), end_pts=frames, frames=frames))
    assert ntsc.span.end_ns == NOON + frames * 1001 * NS // 30000
    assert ntsc.pts_at(ntsc.span.end_ns) == frames


@pytest.mark.parametrize("name", ["a", "A.b-c_9", "0", "x" * 64, "a..b"])
def test_an_id_can_stand_in_a_key_a_file_name_and_a_url(name: str) -> None:
    check_id("camera", name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "-x", "_x", "a/b", "../a", "a b", "a\n", "ä", "a%2F", "x" * 65, "a\\b", "a\0", "٣"],
)
def test_an_id_that_would_need_quoting_is_refused_with_the_rule(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 64 of A-Z a-z 0-9") as refused:
        check_id("camera", name)
    assert repr(name) in str(refused.value)


@pytest.mark.parametrize("fields", [{"name": "a/b"}, {"owner": ""}, {"owner": "../x"}])
def test_a_camera_and_its_owner_have_ids(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="id is 1 to 64"):
        camera(**fields)


@pytest.mark.parametrize(
    ("lon", "lat"),
    [(180.1, 0), (-180.1, 0), (0, 90.1), (0, -90.1), (math.nan, 0), (0, math.nan), (math.inf, 0), (0, -math.inf)],
)
def test_a_camera_is_on_earth(lon: float, lat: float) -> None:
    with pytest.raises(ValueError, match=r"camera cam-1: wanted lon in -180\.\.180"):
        camera(lon=lon, lat=lat)


@pytest.mark.parametrize(("lon", "lat"), [(180, 90), (-180, -90), (0, 0)])
def test_the_ends_of_the_earth_are_on_it(lon: float, lat: float) -> None:
    assert camera(lon=lon, lat=lat).lon == lon


def test_a_camera_asks_its_owner_unless_told_otherwise() -> None:
    assert Camera("a", 0, 0, "b").sharing is Sharing.ASK
    assert camera(sharing="never").sharing is Sharing.NEVER


@pytest.mark.parametrize("sharing", ["", "yes", "ASK", None])
def test_an_unknown_way_of_sharing_is_refused_with_the_known_ones(sharing: Any) -> None:
    with pytest.raises(ValueError, match="camera cam-1: sharing is ask, always, never, got"):
        camera(sharing=sharing)


@pytest.mark.parametrize(
    "fields",
    [
        {"width": 0},
        {"height": -1},
        {"frames": 0},
        {"time_base": Fraction(0)},
        {"time_base": Fraction(-1, 30)},
        {"end_pts": 0},
        {"first_pts": 5, "end_pts": 4},
    ],
)
def test_a_stream_has_pixels_frames_and_a_duration(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a stream has pixels, frames and a duration"):
        stream(**fields)


@pytest.mark.parametrize("fields", [{"time_base": 0.04}, {"first_pts": 0.0}, {"end_pts": 900.5}, {"time_base": 1}])
def test_a_stream_takes_no_floating_point_time(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a stream's time is exact"):
        stream(**fields)


@pytest.mark.parametrize("digest", ["", "ab", "AB" * 32, "g" * 64, "a" * 65, DIGEST + "\n"])
def test_a_clip_has_a_sha256(digest: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        clip(sha256=digest)


def test_a_clip_has_bytes() -> None:
    with pytest.raises(ValueError, match="at least one byte, got 0"):
        clip(size=0)


def test_a_clip_has_a_camera() -> None:
    with pytest.raises(ValueError, match="camera id"):
        clip(camera="a b")


@pytest.mark.parametrize("start", [-1, 2**63, 1.5])
def test_a_clip_starts_at_an_instant_a_span_can_hold(start: Any) -> None:
    with pytest.raises(ValueError, match="span"):
        clip(start_ns=start)


def test_nouns_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        clip().start_ns = 0  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        camera().owner = "other"  # type: ignore[misc]


def test_a_clips_id_follows_camera_start_and_content_alone() -> None:
    one = clip()
    assert replace(one, key="elsewhere", size=5).id == one.id
    others = {replace(one, **change).id for change in ({"camera": "cam-2"}, {"start_ns": 1}, {"sha256": "cd" * 32})}
    assert len(others | {one.id}) == 4
    assert Span(one.start_ns, one.start_ns + 60 * NS) == one.span


def test_a_clips_id_tells_no_camera_and_no_time() -> None:
    assert len(clip().id) == 20
    assert set(clip().id) <= set("0123456789abcdef")


def test_nouns_travel_between_processes() -> None:
    assert pickle.loads(pickle.dumps(clip())) == clip()  # noqa: S301 - our own bytes
    assert pickle.loads(pickle.dumps(camera())) == camera()  # noqa: S301


# Owners ---------------------------------------------------------------------------------------------------------------


def test_an_owner_discloses_nothing_unless_they_say_so() -> None:
    assert Owner("olga").discloses == ()
    assert Owner("olga", discloses=("name",)).discloses == (Disclosure.NAME,)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "a/b"},
        {"id": "olga", "name": "two\nlines"},
        {"id": "olga", "mail": "nobody"},
        {"id": "olga", "mail": "a b@example.org"},
        {"id": "olga", "mail": "a@example.org, b@example.org"},
        {"id": "olga", "language": "English"},
        {"id": "olga", "discloses": {"face"}},
    ],
)
def test_an_owner_of_the_wrong_form_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="owner"):
        Owner(**fields)


def holed(*holes: tuple[int, int]) -> Clip:
    """A clip of 10 s in milliseconds, with these holes."""
    condition = Condition(holes=holes)
    return clip(stream=stream(time_base=Fraction(1, 1000), end_pts=10_000, frames=9, condition=condition))


def seconds(start: float, end: float) -> Span:
    return Span(NOON + round(start * NS), NOON + round(end * NS))


def test_what_is_recorded_of_a_span_ends_at_the_holes() -> None:
    one = holed((0, 500), (4000, 6000))
    assert one.holes == (seconds(0, 0.5), seconds(4, 6))
    assert one.recorded() == [seconds(0.5, 4), seconds(6, 10)]
    assert one.recorded(seconds(-60, 5)) == [seconds(0.5, 4)]
    assert one.recorded(seconds(4, 6)) == one.recorded(seconds(0, 0.5)) == one.recorded(seconds(11, 12)) == []
    assert one.recorded(seconds(7, 8)) == [seconds(7, 8)]
    assert one.recorded(seconds(5, 6.001)) == [seconds(6, 6.001)]


def test_a_clip_without_holes_is_recorded_whole() -> None:
    assert holed().recorded() == [holed().span]


@pytest.mark.parametrize("holes", [((5, 5),), ((5, 4),), ((5, 8), (8, 9)), ((5, 8), (7, 9)), ((1.0, 2.0),)])
def test_holes_that_cannot_be_are_refused(holes: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="holes are"):
        Condition(holes=holes)


@pytest.mark.parametrize("hole", [(-1, 500), (5000, 10_000), (11_000, 12_000)])
def test_a_hole_lies_inside_its_stream(hole: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="holes lie inside"):
        holed(hole)


def test_counts_below_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="counted from 0"):
        Condition(damaged=-1)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"zone": "Europe/Atlantis"}, "time zone"),
        ({"zone": "../etc/passwd"}, "time zone"),
        ({"clock_offset_s": float("nan")}, "clock is at most"),
        ({"clock_offset_s": 1e9}, "clock is at most"),
        ({"clock_known": "a\nb"}, "one line"),
        ({"aliases": ("Front\x1bDoor",)}, "one line"),
        ({"aliases": (" ",)}, "alias is empty"),
    ],
)
def test_a_clock_or_alias_that_cannot_be_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        camera(**fields)
