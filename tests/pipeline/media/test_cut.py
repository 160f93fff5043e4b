"""A cut holds only the asked time: proven on footage in which every frame carries its own number."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.clip import Clip
from pipeline.errors import ClipError
from pipeline.media import proof
from pipeline.media.cut import Cut, Product, make_cut
from pipeline.media.decode import open_video
from pipeline.media.encode import encode
from pipeline.media.profile import Profile
from pipeline.media.transcode import Excerpt, program
from pipeline.span import NS, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

WIDTH, HEIGHT, BITS = 128, 96, 12
START = 1_750_000_000 * NS + 123_456_789
SECRETS = {"title": "private title", "location": "+48.1000+011.5000/", "comment": "private comment"}


def numbered(number: int) -> NDArray[np.uint8]:
    """I420 (144, 128): twelve blocks of 32 x 32, each one bit of the number."""
    picture = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    bits = np.array([220 if number >> bit & 1 else 30 for bit in range(BITS)], np.uint8)
    picture[:HEIGHT] = np.kron(bits.reshape(3, 4), np.ones((32, 32), np.uint8))
    return picture


def number_of(luma: NDArray[np.uint8]) -> int:
    h, w = luma.shape
    middle = luma[h // 6 :: h // 3, w // 8 :: w // 4][:3, :4].ravel()
    return sum(1 << bit for bit, value in enumerate(middle) if value > 125)


def footage_file(path: Path, count: int = 60, **options: Any) -> Path:
    settings: dict[str, Any] = {"rate": Fraction(25), "gop": 10, "metadata": SECRETS, "created_ns": START}
    encode(path, (numbered(n) for n in range(count)), **(settings | options))
    return path


def clip_of(path: Path) -> Clip:
    with open_video(path) as video:
        for _ in video.luma():
            pass
        data = path.read_bytes()
        return Clip("cam-1", START, hashlib.sha256(data).hexdigest(), len(data), f"clips/{path.name}", video.stream)


def frames_of(path: Path) -> list[tuple[int, Fraction]]:
    """(number, seconds) of every shown frame."""
    with open_video(path, loop_filter=True) as video:
        return [(number_of(luma), pts * video.time_base) for pts, luma in video.luma()]


def uneven(count: int, *, start: int = 0, unit: int = 1) -> list[int]:
    steps = np.random.default_rng(5).integers(1, 90, count) * unit
    return [start + int(t) for t in np.cumsum(steps)]


MILLI, MPEG = Fraction(1, 1000), Fraction(1, 90_000)
OPEN_GOP = {"x264-params": "open-gop=1:bframes=3:b-adapt=0:keyint=12:min-keyint=12:scenecut=0"}
SOURCES: dict[str, Callable[[Path], Path]] = {
    "cfr": lambda d: footage_file(d / "a.mp4", options={"bf": "0"}),
    "b-frames": lambda d: footage_file(d / "a.mp4", options={"bf": "3", "b_strategy": "0"}),
    "open gop": lambda d: footage_file(d / "a.mp4", options=OPEN_GOP, gop=12),
    "vfr": lambda d: footage_file(d / "a.mp4", pts=uneven(60), time_base=MILLI),
    "odd rate": lambda d: footage_file(d / "a.mp4", rate=Fraction(30_000, 1001), options={"bf": "2"}),
    "late first frame": lambda d: footage_file(d / "a.mp4", pts=uneven(60, start=7_000), time_base=MILLI),
    "mkv, vfr, b-frames": lambda d: footage_file(d / "a.mkv", pts=uneven(60), time_base=MILLI, options={"bf": "2"}),
    "ts, far from zero": lambda d: footage_file(
        d / "a.ts", pts=uneven(60, start=7_000_000_000, unit=90), time_base=MPEG, options={"bf": "2"}
    ),
    "hevc": lambda d: footage_file(d / "a.mp4", codec="libx265", options={"preset": "ultrafast"}),
    "vp9": lambda d: footage_file(d / "a.webm", codec="libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8"}),
    "av1": lambda d: footage_file(d / "a.mp4", codec="libsvtav1", options={"preset": "10"}),
    "avi, h264, b-frames": lambda d: footage_file(d / "a.avi", options={"bf": "2"}),
    "avi, mjpeg": lambda d: footage_file(d / "a.avi", codec="mjpeg"),
    "avi, msmpeg4": lambda d: footage_file(d / "a.avi", codec="msmpeg4"),
    "mpg": lambda d: footage_file(d / "a.mpg", codec="mpeg2video", options={"bf": "2"}),
}


@pytest.fixture(scope="session", params=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Clip]:
    path = SOURCES[request.param](tmp_path_factory.mktemp("source"))
    return path, clip_of(path)


def spans(clip: Clip) -> Iterator[Span]:
    """The whole, one from keyframe to keyframe, one that ends inside a picture group, one beyond the end, one frame."""
    first, unit = clip.stream.first_pts, clip.stream.time_base
    whole = clip.span
    yield Span(whole.start_ns - NS, whole.end_ns + NS)
    step = whole.duration_ns // clip.stream.frames
    for start, end in ((10, 30), (10, 27), (13, 31), (41, 80)):
        yield Span(whole.start_ns + start * step, whole.start_ns + end * step + 1)
    assert first * unit >= 0


def check(path: Path, clip: Clip, span: Span, target: Path, profile: Profile) -> Product:
    """Make a cut and compare it with the source, frame by frame, without trusting the record."""
    record = make_cut(path, target, Cut("r1", clip, span, profile))
    zero = clip.stream.first_pts * clip.stream.time_base
    inside = [
        (number, t - zero)
        for number, t in frames_of(path)
        if Fraction(span.start_ns - START, NS) <= t - zero < Fraction(span.end_ns - START, NS)
    ]
    got = frames_of(target)
    assert [number for number, _ in got] == [number for number, _ in inside]
    with open_video(target) as video:
        assert video.samples == len(inside)  # also none that only an edit list hides
        tick = video.time_base
    for (_, have), (_, want) in zip(got, inside, strict=True):
        assert abs((have - got[0][1]) - (want - inside[0][1])) < tick
    data = target.read_bytes()
    assert (record.sha256, record.size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert record.frames == len(inside)
    assert record.actual.start_ns == START + int(inside[0][1] * NS)
    assert span & record.actual == record.actual
    for secret in SECRETS.values():
        assert secret.encode() not in data
    return record


def test_a_cut_holds_exactly_the_frames_of_the_asked_span(source: tuple[Path, Clip], tmp_path: Path) -> None:
    path, clip = source
    for number, span in enumerate(spans(clip)):
        check(path, clip, span, tmp_path / f"{number}.mp4", Profile())


@pytest.fixture(scope="module")
def uneven_source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Clip]:
    path = SOURCES["mkv, vfr, b-frames"](tmp_path_factory.mktemp("uneven"))
    return path, clip_of(path)


@hypothesis.settings(max_examples=25, deadline=None, derandomize=True)
@hypothesis.given(edges=st.sets(st.integers(0, 3_000_000_000), min_size=2, max_size=2))
def test_any_span_to_the_nanosecond_gives_exactly_its_frames(
    uneven_source: tuple[Path, Clip], tmp_path_factory: pytest.TempPathFactory, edges: set[int]
) -> None:
    path, clip = uneven_source
    span = Span(START + min(edges), START + max(edges))
    target = tmp_path_factory.getbasetemp() / "any.mp4"
    inside = span & clip.span
    hypothesis.assume(inside is not None)
    zero = clip.stream.first_pts * clip.stream.time_base
    if any(span.start_ns <= START + (t - zero) * NS < span.end_ns for _, t in frames_of(path)):
        check(path, clip, span, target, Profile())
    else:
        with pytest.raises(ClipError, match="no frame lies in"):
            make_cut(path, target, Cut("r", clip, span, Profile()))


def test_a_cut_on_keyframes_is_the_cameras_own_packets_and_any_other_is_so_from_the_next_one_on(tmp_path: Path) -> None:
    path = SOURCES["b-frames"](tmp_path)
    clip = clip_of(path)
    on_keys = Span(START + 400_000_000, START + 1_200_000_000)
    off_keys = Span(START + 440_000_000, START + 1_200_000_000)
    made = [check(path, clip, span, tmp_path / "1.mp4", Profile()) for span in (on_keys, off_keys)]
    assert [(one.method, one.frames, one.native) for one in made] == [
        ("remux", 20, ((0, 20),)),
        ("smart", 19, ((9, 19),)),
    ]
    asked = check(path, clip, on_keys, tmp_path / "3.mp4", Profile(codec="h264"))
    assert (asked.method, asked.native) == ("transcode", ())


def test_an_open_picture_group_is_encoded_again(tmp_path: Path) -> None:
    path = SOURCES["open gop"](tmp_path)
    span = Span(START + 12 * 40_000_000, START + 36 * 40_000_000)  # from keyframe to keyframe
    record = check(path, clip_of(path), span, tmp_path / "1.mp4", Profile())
    assert (record.method, record.frames) == ("transcode", 24)


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_every_codec_of_a_profile_keeps_each_frames_exact_time(codec: Any, tmp_path: Path) -> None:
    path = SOURCES["vfr"](tmp_path)
    span = Span(START + 500_000_000, START + 1_700_000_000)
    record = check(path, clip_of(path), span, tmp_path / "1.mp4", Profile(codec=codec))
    assert (record.method, record.codec) == ("transcode", codec)


def test_a_profiles_height_keeps_the_aspect_and_never_enlarges(tmp_path: Path) -> None:
    path = SOURCES["cfr"](tmp_path)
    clip = clip_of(path)
    small = make_cut(path, tmp_path / "1.mp4", Cut("r", clip, clip.span, Profile(height=67)))
    large = make_cut(path, tmp_path / "2.mp4", Cut("r", clip, clip.span, Profile(height=720)))
    assert (small.width, small.height) == (90, 66)
    assert (large.width, large.height) == (WIDTH, HEIGHT)


def test_a_profiles_frame_rate_shows_only_frames_of_the_span_and_ends_with_it(tmp_path: Path) -> None:
    path = SOURCES["vfr"](tmp_path)
    clip = clip_of(path)
    span = Span(START + 500_000_000, START + 1_700_000_000)
    make_cut(path, tmp_path / "1.mp4", Cut("r", clip, span, Profile(fps=10)))
    zero = clip.stream.first_pts * clip.stream.time_base
    inside = [n for n, t in frames_of(path) if Fraction(1, 2) <= t - zero < Fraction(17, 10)]
    got = frames_of(tmp_path / "1.mp4")
    assert {n for n, _ in got} <= set(inside)
    assert [t - got[0][1] for _, t in got] == [Fraction(i, 10) for i in range(len(got))]
    assert 11 <= len(got) <= 12


def test_bit_rate_and_quality_reach_the_encoder(tmp_path: Path) -> None:
    path = SOURCES["cfr"](tmp_path)
    clip = clip_of(path)
    sizes = {
        crf: make_cut(path, tmp_path / "1.mp4", Cut("r", clip, clip.span, Profile(crf=crf))).size for crf in (10, 45)
    }
    assert sizes[45] < sizes[10]
    assert make_cut(path, tmp_path / "2.mp4", Cut("r", clip, clip.span, Profile(bit_rate=60_000))).size < 60_000


def test_the_clock_is_burnt_into_the_upper_left_corner_and_nowhere_else(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    gray = np.full((360 * 3 // 2, 640), 128, np.uint8)
    encode(path, (gray for _ in range(30)), rate=Fraction(25))
    clip = clip_of(path)
    span = Span(START + 200_000_000, START + 900_000_000)
    pictures = []
    for clock in (False, True):
        make_cut(path, tmp_path / "1.mp4", Cut("r", clip, span, Profile(crf=10, clock=clock)))
        with open_video(tmp_path / "1.mp4") as video:
            pictures.append(np.array([luma.astype(int) for _, luma in video.luma()]))
    changed = np.abs(pictures[1] - pictures[0]) > 40
    assert changed[:, :40, :320].mean() > 0.1
    assert not changed[:, 60:].any()
    # Each frame has a time of its own, in tenths and milliseconds at the end of the line.
    assert all((a[:40] != b[:40]).any() for a, b in zip(pictures[1][1:], pictures[1][:-1], strict=True))


def test_frames_an_edit_list_hides_stay_out_of_a_cut(tmp_path: Path) -> None:
    whole, path = footage_file(tmp_path / "a.mp4", options={"bf": "2"}), tmp_path / "b.mp4"
    run = [program(), "-v", "error", "-nostdin", "-ss", "0.65", "-i", str(whole), "-c", "copy", str(path)]
    subprocess.run(run, check=True)
    clip = clip_of(path)
    with open_video(path) as video:
        assert video.samples > clip.stream.frames  # the file does hide frames
    for end in (800_000_000, 5 * NS):
        record = check(path, clip, Span(START, START + end), tmp_path / "1.mp4", Profile())
        assert record.method == "smart"  # the frames before the first keyframe that is shown are encoded anew
        assert record.native[0][0] > 0


@pytest.mark.whole
def test_a_cut_far_into_a_long_file_is_exact_in_every_container(tmp_path: Path) -> None:
    for suffix, codec in ((".mp4", "libx264"), (".mkv", "libx264"), (".ts", "libx264"), (".avi", "mpeg4")):
        path = footage_file(tmp_path / f"a{suffix}", count=3000, gop=50, codec=codec, options={"bf": "2"})
        clip = clip_of(path)
        for start in (80 * NS + 20_000_000, 100 * NS):
            check(path, clip, Span(START + start, START + start + NS), tmp_path / "1.mp4", Profile())


def test_the_same_cut_gives_the_same_bytes_and_another_one_another_name(tmp_path: Path) -> None:
    path = footage_file(tmp_path / "a.mp4", tone_hz=440)
    clip = clip_of(path)
    work = Cut("r", clip, Span(START + 440_000_000, START + NS), Profile(audio=True, clock=True))
    first = make_cut(path, tmp_path / "1.mp4", work)
    second = make_cut(path, tmp_path / "2.mp4", work)
    assert first == second
    others = [replace(work, span=Span(START, START + NS)), replace(work, profile=Profile()), replace(work, request="s")]
    assert [other.id == work.id for other in others] == [False, False, True]


@pytest.mark.parametrize("clock", [False, True])
def test_a_name_is_the_only_tag_and_makes_the_same_footage_another_file(tmp_path: Path, clock: bool) -> None:
    path = SOURCES["cfr"](tmp_path)
    clip = clip_of(path)
    work = Cut("r", clip, clip.span, Profile(clock=clock))
    products = [make_cut(path, tmp_path / f"{n}.mp4", work, name=name) for n, name in enumerate(("", "ab", "cd"))]
    assert len({product.sha256 for product in products}) == 3
    assert frames_of(tmp_path / "1.mp4") == frames_of(tmp_path / "2.mp4")
    for n, tags in enumerate(({}, {"comment": "ab"}, {"comment": "cd"})):
        with av.open(str(tmp_path / f"{n}.mp4")) as container:
            own = {"major_brand", "minor_version", "compatible_brands"}
            assert {name: value for name, value in container.metadata.items() if name not in own} == tags


def test_a_cut_that_cannot_be_made_is_refused_by_name_and_leaves_no_file(tmp_path: Path) -> None:
    path, target = SOURCES["cfr"](tmp_path), tmp_path / "1.mp4"
    clip = clip_of(path)
    with pytest.raises(ValueError, match="nothing of the clip"):
        Cut("r", clip, Span(START - NS, START), Profile())
    with pytest.raises(ValueError, match="request id"):
        Cut("../r", clip, clip.span, Profile())
    with pytest.raises(ValueError, match=r"\.mp4"):
        make_cut(path, tmp_path / "1.mkv", Cut("r", clip, clip.span, Profile()))
    between = Span(START + 41_000_000, START + 79_000_000)
    with pytest.raises(ClipError, match="cut: no frame lies in"):
        make_cut(path, target, Cut("r", clip, between, Profile()))
    with pytest.raises(ClipError, match=r"fetch: gone\.mp4 is not there"):
        make_cut(tmp_path / "gone.mp4", target, Cut("r", clip, clip.span, Profile()))
    other = replace(clip, stream=replace(clip.stream, codec="hevc"))
    with pytest.raises(ClipError, match="cut: the file is not the clip"):
        make_cut(path, target, Cut("r", other, clip.span, Profile()))
    with pytest.raises(ClipError, match=r"transcode: ffmpeg took more than 0\.001 s"):
        make_cut(path, target, Cut("r", clip, clip.span, Profile(codec="av1")), timeout_s=0.001)
    assert not target.exists()


def test_a_product_that_differs_from_the_source_in_anything_is_found(tmp_path: Path) -> None:
    path, target = SOURCES["vfr"](tmp_path), tmp_path / "1.mp4"
    clip = clip_of(path)
    make_cut(path, target, Cut("r", clip, Span(START, START + NS), Profile()))
    wanted, source = proof.frames(path, clip.stream.first_pts, clip.pts_at(START + NS), visit=lambda *_: None)
    got, product = proof.frames(target, None, None, visit=lambda *_: None)
    excerpt = Excerpt(0, clip.stream.end_pts, wanted[0].pts, wanted[-1].pts, source.time_base, START)
    assert proof.difference(got, product, wanted, excerpt) == ""
    assert "instead of" in proof.difference(got, product, wanted[:-1], excerpt)
    moved = [*wanted[:-1], replace(wanted[-1], pts=wanted[-1].pts + 1)]
    assert f"frame {len(got) - 1} is -0.0000" in proof.difference(got, product, moved, excerpt)
    product.samples += 1
    assert "1 frames more that are only hidden" in proof.difference(got, product, wanted, excerpt)
    short = replace(excerpt, stop_pts=wanted[-1].pts, last_pts=wanted[-2].pts)
    assert "frames from 0 to" in proof.out_of_bounds(got, product, short)


def test_a_truncated_source_is_refused_where_its_frames_are_missing(tmp_path: Path) -> None:
    path, target = footage_file(tmp_path / "a.mkv"), tmp_path / "1.mp4"
    clip = clip_of(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ClipError, match="decode: truncated"):
        make_cut(path, target, Cut("r", clip, clip.span, Profile()))
    assert not target.exists()


def test_a_profile_that_contradicts_itself_is_refused() -> None:
    for wrong in ({"crf": 20, "bit_rate": 1_000_000}, {"crf": 60}, {"height": 10}, {"codec": "vp8"}, {"colour": True}):
        with pytest.raises(ValidationError):
            Profile.model_validate(wrong)
    assert Profile(codec="av1", crf=60).asks_for_pixels
    assert not Profile(audio=True).asks_for_pixels


@pytest.mark.parametrize("name", ["road_above.avi", "vtest.avi", "traffic_camera_vfr.mp4", "residential_street.mp4"])
def test_real_footage_is_cut_exactly(name: str, footage: Path, tmp_path: Path) -> None:
    path = footage / "clips" / name
    clip = clip_of(path)
    span = Span(START + 2 * NS + 1, START + 4 * NS)
    record = make_cut(path, tmp_path / "1.mp4", Cut("r", clip, span, Profile(height=120)))
    with open_video(path) as video:
        unit, zero = clip.stream.time_base, clip.stream.first_pts
        inside = [
            (p - zero) * unit for p, _ in video.luma() if clip.pts_at(span.start_ns) <= p < clip.pts_at(span.end_ns)
        ]
    got = [t for _, t in frames_of(tmp_path / "1.mp4")]
    assert [t - got[0] for t in got] == [t - inside[0] for t in inside]
    assert (record.frames, record.height) == (len(inside), 120)


def test_a_setting_that_came_later_and_is_off_changes_no_name() -> None:
    """What was delivered by an earlier version is found under the name it got then."""
    assert "deinterlace" not in Profile().text
    assert Profile(deinterlace=True).text != Profile().text
