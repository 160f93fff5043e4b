"""What does not state its times is cut to the frame too: ffmpeg is fed with the frames that our reader shows."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from films import MILLION, START, clip_of, cut_out, ffmpeg, footage_file, frames_of, number_of, samples_of

from pipeline.clip import Clip
from pipeline.errors import ClipError
from pipeline.media.cut import Cut, Product, make_cut
from pipeline.media.decode import open_video
from pipeline.media.feed import open_feed
from pipeline.media.profile import Profile
from pipeline.media.transcode import Excerpt, transcode
from pipeline.span import NS, Span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.whole  # films are encoded and decoded again, for seconds

B_FRAMES = {"bf": "2", "b_strategy": "0"}


def clip(path: Path, **how: Any) -> Clip:
    """The clip in a file, opened with the settings of a reader."""
    with open_video(path, **how) as video:
        for _ in video.luma():
            pass
    return Clip("cam-1", START, "ab" * 32, path.stat().st_size, f"clips/{path.name}", video.stream)


def shown(path: Path, of: Clip) -> list[tuple[int, int]]:
    """(number, pts) of every frame our reader shows."""
    with open_video(path, loop_filter=True, known=of.stream) as video:
        return [(number_of(luma), pts) for pts, luma in video.luma()]


def written(path: Path) -> list[tuple[int, Fraction]]:
    """(number, seconds after the first) of every frame of a product: read by PyAV alone."""
    with av.open(str(path)) as container:
        base = Fraction(container.streams.video[0].time_base or 1)
        decoded = list(container.decode(video=0))
    frames = [(number_of(one.to_ndarray(format="gray").astype(np.uint8)), (one.pts or 0) * base) for one in decoded]
    return [(number, at - frames[0][1]) for number, at in frames]


def check(path: Path, of: Clip, target: Path, start_ms: int = 0, end_ms: int = 3_600_000, **profile: Any) -> Product:
    """Make a cut and hold its frames and their times against those that the reader shows of its source."""
    span = Span(START + start_ms * MILLION, START + end_ms * MILLION)
    made = make_cut(path, target, Cut("r1", of, span, Profile(**profile)))
    first, stop = of.pts_at(span.start_ns), of.pts_at(span.end_ns)
    inside = [(number, pts) for number, pts in shown(path, of) if first <= pts < stop]
    got = written(target)
    assert [number for number, _ in got] == [number for number, _ in inside]
    for (_, at), (_, pts) in zip(got, inside, strict=True):
        assert abs(at - (pts - inside[0][1]) * of.stream.time_base) <= Fraction(1, 12_800)
    assert made.frames == len(inside) > 0
    return made


def spans() -> Iterator[tuple[int, int]]:
    """The whole, a part between keyframes, a part from a keyframe on, in milliseconds."""
    yield from ((0, 3_600_000), (530, 1450), (400, 1200))


@pytest.mark.parametrize(("encoder", "form"), [("libx264", "h264"), ("libx265", "hevc"), ("mpeg4", "m4v")])
def test_a_raw_stream_is_cut_at_the_rate_that_was_told(encoder: str, form: str, tmp_path: Path) -> None:
    options = {"libx264": B_FRAMES, "libx265": {"preset": "ultrafast"}}.get(encoder)
    source, raw = footage_file(tmp_path / "a.mkv", codec=encoder, options=options), tmp_path / f"a.{form}"
    ffmpeg("-i", source, "-c", "copy", *(["-bsf:v", "dump_extra"] if encoder == "mpeg4" else []), "-f", form, raw)
    of = clip(raw, raw_rate=Fraction(30_000, 1001))
    for start, end in spans():
        made = check(raw, of, tmp_path / "1.mp4", start, end)
        assert (made.method, made.damaged, made.missing) == ("transcode", 0, 0)
    assert check(raw, of, tmp_path / "1.mp4", codec="h264", height=64).height == 64


def sparse(path: Path, source: Path) -> Path:
    """A program stream whose packs tell the time of keyframes alone, as many recorders write it."""
    ffmpeg("-i", source, "-c:v", "copy", "-bsf:v", "h264_mp4toannexb", "-c:a", "mp2", "-f", "vob", path)
    data = bytearray(path.read_bytes())
    at, seen = 0, 0
    while (at := data.find(b"\x00\x00\x01\xe0", at)) >= 0:
        flags, size = data[at + 7] >> 6, data[at + 8]
        if flags:
            seen += 1
            if seen % 3 != 1:  # the place of the time stamps becomes stuffing
                data[at + 7] = 0
                data[at + 9 : at + 9 + size] = b"\xff" * size
        at += 9
    path.write_bytes(data)
    return path


def test_a_program_stream_that_tells_few_times_is_cut_at_those_the_reader_finds(tmp_path: Path) -> None:
    source = footage_file(tmp_path / "a.mkv", options=B_FRAMES, tone_hz=440)
    path = sparse(tmp_path / "a.mpg", source)
    of = clip(path)
    assert [number for number, _ in shown(path, of)] == list(range(60))
    with open_video(path) as video:
        assert sum(1 for _ in video.luma()) == 60
        assert not video.timed
    for start, end in spans():
        made = check(path, of, tmp_path / "1.mp4", start, end, audio=True)
        first, sound = samples_of(tmp_path / "1.mp4", 16_000)
        seconds = float((made.actual.end_ns - made.actual.start_ns) / NS)
        assert abs(len(sound) / 16_000 + float(first) - seconds) < 0.07
        assert np.sqrt((sound**2).mean()) > 0.01


@pytest.mark.parametrize("jump", [0, -1])
def test_a_time_stamp_that_stands_twice_or_goes_back_is_shown_a_tick_later_in_the_cut(
    jump: int, tmp_path: Path
) -> None:
    source, path = footage_file(tmp_path / "a.mkv", options={"bf": "0"}), tmp_path / "b.mkv"
    again = f"setts=pts='if(eq(N,23),PTS-{40 - jump},PTS)':dts='if(eq(N,23),DTS-{40 - jump},DTS)'"
    ffmpeg("-i", source, "-c", "copy", "-bsf:v", again, "-avoid_negative_ts", "disabled", path)
    of = clip(path)
    assert of.stream.condition.notes
    for start, end in spans():
        check(path, of, tmp_path / "1.mp4", start, end, crf=20)


def test_another_frame_rate_shows_the_frames_of_a_raw_stream_at_their_own_times(tmp_path: Path) -> None:
    source, raw = footage_file(tmp_path / "a.mkv", options=B_FRAMES), tmp_path / "a.h264"
    ffmpeg("-i", source, "-c", "copy", "-f", "h264", raw)
    of = clip(raw, raw_rate=Fraction(10))  # ffmpeg would take it for 25
    span = Span(START + NS, START + 3 * NS)
    make_cut(raw, tmp_path / "1.mp4", Cut("r", of, span, Profile(fps=5)))
    got = frames_of(tmp_path / "1.mp4")
    assert [at for _, at in got] == [Fraction(n, 5) for n in range(10)]
    assert all(abs(number - (10 + 10 * at)) <= 1 for number, at in got)


LAVFI = "testsrc2=s=160x120:r=25:d=0.4"
FULL = "scale=out_range=pc:out_color_matrix=bt709,format=yuv420p,setparams=range=pc:color_primaries=bt709"
KINDS: dict[str, tuple[str, str, tuple[object, ...]]] = {
    "8 bits": (".mkv", LAVFI, ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", 2)),
    "10 bits, 4:2:2": (".mkv", f"{LAVFI},format=yuv422p10le", ("-c:v", "libx264")),
    "full range": (".mp4", f"{LAVFI},{FULL}:color_trc=bt709:colorspace=bt709", ("-c:v", "libx264")),
    "wide pixels": (".mp4", f"{LAVFI},setsar=16/11", ("-c:v", "libx264", "-pix_fmt", "yuv420p")),
    "motion jpeg": (".avi", f"{LAVFI},format=yuvj420p", ("-c:v", "mjpeg", "-q:v", 2)),
    "mpeg-1": (".mpg", LAVFI, ("-c:v", "mpeg1video", "-b:v", "2M")),
    "rgb": (".mov", f"{LAVFI},format=rgb24", ("-c:v", "qtrle")),
    "an odd size": (".mkv", "testsrc2=s=161x121:r=25:d=0.4,format=yuv444p", ("-c:v", "libx264")),
    "fields": (
        ".mp4",
        "testsrc2=s=320x240:r=50:d=0.4,format=yuv420p,tinterlace=interleave_bottom",
        ("-c:v", "libx264", "-flags", "+ildct+ilme", "-x264opts", "bff"),
    ),
}


def looks(path: Path) -> tuple[list[bytes], list[object]]:
    """The pixels of all frames, and how they are to be shown."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        frames = list(container.decode(video))
        first = frames[0]
        meaning = [first.color_range, first.color_primaries, first.color_trc, first.colorspace, first.interlaced_frame]
        times = [(f.pts, f.duration) for f in frames]
        told: list[object] = [
            *meaning,
            video.sample_aspect_ratio,
            video.codec_context.field_order,
            video.duration,
            times,
        ]
    return [hashlib.sha256(f.to_ndarray().tobytes()).digest() for f in frames], told


@pytest.mark.parametrize("turn", [0, 90])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_fed_gives_the_pictures_that_ffmpeg_gives_by_itself(kind: str, turn: int, tmp_path: Path) -> None:
    suffix, picture, options = KINDS[kind]
    path = tmp_path / f"a{suffix}"
    ffmpeg("-f", "lavfi", "-i", picture, *options, path)
    if turn and suffix in {".mp4", ".mkv", ".mov"}:
        ffmpeg("-display_rotation", turn, "-i", path, "-c", "copy", tmp_path / f"t{suffix}")
        path = tmp_path / f"t{suffix}"
    of = clip(path)
    work: list[tuple[Excerpt, Profile]] = []

    def noted(source: Path, target: Path, excerpt: Excerpt, profile: Profile, *, timeout_s: float) -> None:
        work.append((excerpt, profile))
        transcode(source, target, excerpt, profile, timeout_s=timeout_s)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.media.encoded.transcode", noted)
        make_cut(path, tmp_path / "own.mp4", Cut("r", of, of.span, Profile(codec="h264")))
    excerpt, profile = work[0]
    begins, ends, fields = excerpt.start_pts, excerpt.stop_pts, excerpt.shown.interlaced
    with open_feed(path, of.stream, start_pts=begins, stop_pts=ends, fields=fields) as feed:
        transcode(path, tmp_path / "fed.mp4", excerpt, profile, feed=feed)
    assert looks(tmp_path / "fed.mp4") == looks(tmp_path / "own.mp4")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
def test_what_is_fed_has_the_sound_that_it_has_otherwise_sample_by_sample(suffix: str, tmp_path: Path) -> None:
    path, target = footage_file(tmp_path / f"a{suffix}", options=B_FRAMES, tone_hz=440), tmp_path / "1.mp4"
    for start, end in spans():
        heard = []
        for timed in (True, False):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("pipeline.media.decode.Video.timed", timed)
                check(path, clip(path), target, start, end, crf=20, audio=True)
            heard.append(samples_of(target, 16_000))
        (own, one), (fed, two) = heard
        assert own == fed
        assert np.array_equal(one, two)


def test_a_feed_without_frames_and_one_that_ffmpeg_refuses_are_refused_by_name(tmp_path: Path) -> None:
    path = footage_file(tmp_path / "a.mkv")
    of, target = clip_of(path), tmp_path / "1.mp4"
    with (
        pytest.raises(ClipError, match="cut: no frame lies from 9000 to 9001"),
        open_feed(path, of.stream, start_pts=9000, stop_pts=9001, fields=False),
    ):
        pass
    excerpt = Excerpt(0, 2400, 0, 2360, of.stream.time_base, START, codec="h264")
    broken = replace(excerpt, sound=(Fraction(0), Fraction(1), 16_000))  # it has none
    for refused, profile, why in ((broken, Profile(), "transcode: "), (excerpt, Profile(codec="av1"), "more than 0")):
        with (
            open_feed(path, of.stream, start_pts=0, stop_pts=2400, fields=False) as feed,
            pytest.raises(ClipError, match=why),
        ):
            transcode(path, target, refused, profile, feed=feed, timeout_s=3600 if refused is broken else 0)
        assert not target.exists()


@pytest.mark.parametrize(("track", "first"), [("largest", 100), ("first", 0)])
def test_the_film_that_was_measured_is_the_one_that_is_cut(track: str, first: int, tmp_path: Path) -> None:
    small, large, both = tmp_path / "s.mp4", tmp_path / "l.mp4", tmp_path / "both.mkv"
    footage_file(small, 100)
    footage_file(tmp_path / "x.mp4", 200)
    ffmpeg("-ss", 4, "-i", tmp_path / "x.mp4", "-vf", "scale=256:192", "-g", 10, "-bf", 0, large)
    ffmpeg("-i", small, "-i", large, "-map", "0:v", "-map", "1:v", "-c", "copy", both)
    of = clip(both, track=track)
    for start, end in ((0, 4000), (2530, 3450), (2400, 3200)):
        for profile in ({}, {"crf": 20}):
            made = check(both, of, tmp_path / "1.mp4", start, end, **profile)
            assert written(tmp_path / "1.mp4")[0][0] == first + -(-start // 40)
            assert made.width == (256 if first else 128)


def test_a_lead_that_cannot_be_shown_is_cut_from_the_first_picture_on(tmp_path: Path) -> None:
    source = footage_file(tmp_path / "a.mkv", 100, gop=25, options={"bf": "0"})
    for suffix in (".ts", ".mp4", ".h264"):
        late = tmp_path / f"late{suffix}"
        form = ["-f", "h264"] if suffix == ".h264" else ["-muxdelay", 0]
        ffmpeg("-copyts", "-i", source, "-c", "copy", "-bsf:v", "noise=drop='lt(n,10)'", *form, late)
        of = clip(late, raw_rate=Fraction(25))
        assert of.stream.condition.missing == 15
        for profile in ({}, {"crf": 20}):
            (part,) = of.recorded(of.span)
            made = make_cut(late, tmp_path / "1.mp4", Cut("r", of, part, Profile(**profile)))
            assert [number for number, _ in written(tmp_path / "1.mp4")] == list(range(25, 100))
            assert (made.actual.start_ns - START, made.missing) == (600 * MILLION, 0), suffix


def test_each_recorded_part_beside_a_hole_is_a_cut_of_its_own(tmp_path: Path) -> None:
    times = [40 * n + (3_600_000 if n >= 25 else 0) for n in range(60)]
    for suffix in (".mkv", ".mp4"):
        path = footage_file(tmp_path / f"a{suffix}", pts=times, time_base=Fraction(1, 1000), options={"bf": "2"})
        of = clip(path)
        parts = of.recorded(of.span)
        for part, numbers in zip(parts, (range(25), range(25, 60)), strict=True):
            for profile in ({}, {"crf": 20}):
                made = make_cut(path, tmp_path / "1.mp4", Cut("r", of, part, Profile(**profile)))
                assert [number for number, _ in written(tmp_path / "1.mp4")] == list(numbers)
                assert made.actual == part


def test_damaged_and_missing_frames_of_the_asked_time_are_counted_in_the_product(tmp_path: Path) -> None:
    path = footage_file(tmp_path / "a.mkv", options={"bf": "0"})
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    at, size = places[13]
    assert at is not None
    data[at + 8 : at + size] = b"\xff" * (size - 8)  # nothing of it can be decoded
    path.write_bytes(data)
    of = clip(path)
    lacks = of.stream.condition
    assert lacks.damaged + lacks.missing > 0
    for profile in ({}, {"crf": 20}):
        hit = check(path, of, tmp_path / "1.mp4", 400, 800, **profile)
        assert (hit.damaged, hit.missing) == (lacks.damaged, lacks.missing)
        clean = check(path, of, tmp_path / "1.mp4", 800, 1600, **profile)
        assert (clean.damaged, clean.missing) == (0, 0)


def test_an_untimed_film_and_a_timed_one_are_told_apart(tmp_path: Path) -> None:
    for name, timed in (("a.mkv", True), ("a.ts", True), ("a.mp4", True), ("a.h264", False)):
        path = tmp_path / name
        if timed:
            footage_file(path, 20, options=B_FRAMES)
        else:
            ffmpeg("-i", tmp_path / "a.mkv", "-c", "copy", path)
        with open_video(path, raw_rate=Fraction(25)) as video:
            assert sum(1 for _ in video.luma()) == 20
            assert video.timed is timed, name
    assert cut_out(tmp_path / "a.ts", tmp_path / "1.mp4", crf=20).frames == 20


def test_a_film_that_is_turned_by_no_quarter_is_cut_as_it_is_shown(tmp_path: Path) -> None:
    source, path = footage_file(tmp_path / "a.mkv", options={"bf": "0"}), tmp_path / "b.mp4"
    ffmpeg("-display_rotation", 45, "-i", source, "-c", "copy", path)
    for start, end in spans():
        check(path, clip(path), tmp_path / "1.mp4", start, end, crf=20)


@pytest.mark.parametrize("suffix", [".ts", ".mkv", ".mpg"])
@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_film_is_cut_to_the_frames_that_the_reader_shows_of_it(
    suffix: str, seed: int, tmp_path: Path
) -> None:
    codec = "mpeg2video" if suffix == ".mpg" else "libx264"
    path = footage_file(tmp_path / f"a{suffix}", 100, codec=codec, gop=20, options={"bf": "2"})
    data, rng = bytearray(path.read_bytes()), np.random.default_rng(seed)
    with av.open(str(path)) as container:  # inside of packets, so that the container can still be read
        places = [p.pos + p.size // 3 for p in container.demux(video=0) if p.pos is not None and p.size > 60]
    for at in rng.choice(places, 4, replace=False):
        data[at : at + 12] = rng.bytes(12)
    path.write_bytes(data)
    of = clip(path)
    for part in of.recorded(of.span):
        inside = [one for one in shown(path, of) if of.pts_at(part.start_ns) <= one[1] < of.pts_at(part.end_ns)]
        made = make_cut(path, tmp_path / "1.mp4", Cut("r", of, part, Profile(crf=20)))
        got = written(tmp_path / "1.mp4")
        assert len(got) == len(inside) == made.frames
        assert sum(have != want for (have, _), (want, _) in zip(got, inside, strict=True)) <= made.damaged
        assert made.damaged <= of.stream.condition.damaged
        assert made.missing <= of.stream.condition.missing
