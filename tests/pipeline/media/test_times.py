"""Times: holes, last frames, repeated and missing time stamps, late beginnings, streams without any time."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numbered import ffmpeg, read, refusal, scene_number, write

from pipeline.clip import WHOLE
from pipeline.media.decode import open_video

HOUR = 3600


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_pause_inside_a_file_is_a_hole(suffix: str, tmp_path: Path) -> None:
    times = [40 * n + (HOUR * 1000 if n >= 20 else 0) for n in range(50)]
    scale = 90 if suffix == ".ts" else 1
    path = write(tmp_path / f"a{suffix}", pts=[t * scale for t in times], time_base=Fraction(1, 1000 * scale))
    stream, pts, numbers = read(path)
    assert numbers == list(range(50))
    step = pts[1] - pts[0]
    assert stream.condition.holes == ((pts[19] + step, pts[20]),)
    assert stream.end_pts == pts[-1] + step


def test_a_last_frame_that_lasts_eleven_hours_lasts_as_long_as_the_others(tmp_path: Path) -> None:
    for count in (1, 2, 50):
        source, path = write(tmp_path / "a.mp4", count, options={"bf": "0"}), tmp_path / "b.mp4"
        last = f"setts=duration='if(eq(N,{count - 1}),{11 * HOUR}*12800,DURATION)'"
        ffmpeg("-i", source, "-c", "copy", "-bsf:v", last, path)
        stream, pts, _ = read(path)
        assert (stream.end_pts - pts[-1]) * stream.time_base == Fraction(1, 25)
        with open_video(path) as video:
            assert [video.duration for _ in video.luma()] == [512] * count


@pytest.mark.parametrize(("back", "which"), [(0, {20}), (1, {20}), (0, {10, 11, 12, 30}), (5, {49})])
def test_a_time_stamp_that_does_not_go_on_is_taken_a_tick_later_and_told(
    back: int, which: set[int], tmp_path: Path
) -> None:
    source, path = write(tmp_path / "a.mkv", codec="mjpeg"), tmp_path / "b.mkv"
    odd = "+".join(f"eq(N,{n})" for n in sorted(which))
    ffmpeg("-i", source, "-c", "copy", "-bsf:v", f"setts=ts='if({odd},TS-40-{back},TS)'", path)
    stream, pts, numbers = read(path)
    assert numbers == list(range(50))
    assert (np.diff(pts) > 0).all()
    assert abs(np.array(pts) - 40 * np.arange(50)).max() <= 40
    assert any("stood twice or went back by less than a frame" in note for note in stream.condition.notes)
    assert (stream.condition.damaged, stream.condition.missing) == (0, 0)


def test_a_recording_that_starts_late_is_whole(tmp_path: Path) -> None:
    for suffix in (".mkv", ".mp4", ".flv", ".ts", ".mov", ".asf"):
        source, late = write(tmp_path / "a.mp4", tone_hz=440), tmp_path / f"late{suffix}"
        for sound in ([], ["-an"]):
            ffmpeg("-i", source, *sound, "-c", "copy", "-output_ts_offset", "5", late)
            stream, _, numbers = read(late)
            assert numbers == list(range(50))
            assert stream.condition == WHOLE


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".flv", ".asf"])
def test_other_tracks_may_be_longer_than_the_film(suffix: str, tmp_path: Path) -> None:
    film, sound, words = write(tmp_path / "a.mp4"), tmp_path / "s.m4a", tmp_path / "w.srt"
    ffmpeg("-f", "lavfi", "-i", "sine=duration=9", "-c:a", "aac", sound)
    words.write_text("1\n00:00:01,000 --> 00:00:59,000\nhello\n")
    path = tmp_path / f"b{suffix}"
    others: list[list[str | Path]] = [["-i", sound]]
    if suffix in {".mkv", ".mp4"}:
        others += [["-i", words], ["-i", sound, "-i", words]]
    for other in others:
        maps = [word for n in range(len(other) // 2 + 1) for word in ("-map", str(n))]
        text = ["-c:s", "mov_text"] if suffix == ".mp4" else []
        ffmpeg("-i", film, *other, *maps, "-c", "copy", *text, path)
        data = path.read_bytes()
        path.write_bytes(data.replace(b"DURATION", b"XURATION"))
        stream, _, numbers = read(path)
        assert numbers == list(range(50))
        assert stream.condition == WHOLE
        path.write_bytes(data[: len(data) * 6 // 10])
        assert refusal(path).startswith(("decode: truncated", "probe: "))


def test_a_program_stream_whose_b_frames_have_no_time_keeps_its_pace(footage: Path) -> None:
    with open_video(footage / "odd" / "ps_h264_bframes_sparse_pts.mpg") as video:
        shown = [(pts, scene_number(luma)) for pts, luma in video.luma()]
        stream = video.stream
    assert [number for _, number in shown] == list(range(250))
    assert [pts for pts, _ in shown] == [52_200 + 3600 * n for n in range(250)]
    assert stream.condition == WHOLE


def test_the_odd_files_of_time_come_right(footage: Path) -> None:
    odd = footage / "odd"
    stream = read(odd / "mkv_starts_at_5s_no_DURATION_tags.mkv")[0]
    assert (stream.first_pts, stream.end_pts, stream.frames, stream.condition) == (5000, 9000, 100, WHOLE)
    stream = read(odd / "mkv_one_duplicate_timestamp.mkv")[0]
    assert (stream.frames, len(stream.condition.notes)) == (250, 1)
    stream = read(odd / "mp4_gap_of_one_hour_inside_20261125T180000Z.mp4")[0]
    assert stream.condition.holes == ((121 * 512, 121 * 512 + HOUR * 12_800),)


RAW = [("libx264", "h264", "h264"), ("libx265", "hevc", "hevc"), ("mjpeg", "mjpeg", "mjpeg"), ("mpeg4", "m4v", "mpeg4")]


@pytest.mark.parametrize(("encoder", "form", "codec"), RAW)
def test_a_raw_stream_is_read_at_the_rate_that_is_told(encoder: str, form: str, codec: str, tmp_path: Path) -> None:
    options = {"libx264": {"bf": "2"}, "libx265": {"preset": "ultrafast"}}.get(encoder)
    source, raw = write(tmp_path / "a.mkv", codec=encoder, options=options), tmp_path / "a.raw"
    headers = ["-bsf:v", "dump_extra"] if encoder == "mpeg4" else []
    ffmpeg("-i", source, "-c", "copy", *headers, "-f", form, raw)
    assert refusal(raw) == (
        f"probe: a raw {codec} stream does not say how many frames a second it has; set ingest.raw_rate, such as 25"
    )
    rate = Fraction(30_000, 1001)
    stream, pts, numbers = read(raw, raw_rate=rate)
    assert numbers == list(range(50))
    assert pts == list(range(50))
    assert (stream.time_base, stream.first_pts, stream.end_pts) == (1 / rate, 0, 50)
    assert stream.condition == WHOLE
    again, times, _ = read(raw, known=stream)
    assert (again, times) == (stream, pts)
    with open_video(raw, known=stream, start_pts=30) as video:
        assert [p for p, _ in video.luma()] == pts


def test_a_raw_stream_that_begins_between_keyframes_counts_what_it_cannot_show(tmp_path: Path) -> None:
    source, raw = write(tmp_path / "a.ts", 60, gop=25, options={"bf": "2"}), tmp_path / "b.h264"
    ffmpeg("-i", source, "-c", "copy", "-bsf:v", "noise=drop='lt(n,10)'", raw)
    stream, pts, numbers = read(raw, raw_rate=Fraction(25))
    assert numbers == list(range(numbers[0], 60))
    assert pts[0] == stream.condition.missing > 0
    assert stream.condition.holes == ((0, pts[0]),)


def test_mpeg_video_without_a_container_says_its_rate_itself(tmp_path: Path) -> None:
    source, raw = write(tmp_path / "a.mpg", codec="mpeg2video", options={"bf": "2"}), tmp_path / "a.m2v"
    ffmpeg("-i", source, "-c", "copy", raw)
    stream, pts, numbers = read(raw)
    assert numbers == list(range(50))
    assert pts == list(range(50))
    assert stream.time_base == Fraction(1, 25)


@pytest.mark.parametrize(("suffix", "codec"), [
    (".asf", "mpeg4"), (".wmv", "msmpeg4"), (".ogv", "libtheora"), (".ivf", "libvpx"), (".ps", "mpeg2video"),
    (".vob", "mpeg2video"), (".flv", "libx264"), (".m2ts", "libx264"), (".3gp", "mpeg4"),
])  # fmt: skip
def test_other_containers_are_read(suffix: str, codec: str, tmp_path: Path) -> None:
    source, path = write(tmp_path / "a.mkv", codec="libx264", options={"crf": "4"}), tmp_path / f"a{suffix}"
    muxer = ["-f", "vob"] if suffix == ".ps" else []
    ffmpeg("-i", source, "-c:v", codec, "-b:v", "2M", "-bf", "0", *muxer, path)
    stream, pts, numbers = read(path)
    assert numbers == list(range(50))
    assert [(p - pts[0]) * stream.time_base for p in pts] == pytest.approx([n / 25 for n in range(50)], abs=0.0011)
    assert stream.condition == WHOLE


def test_a_segment_with_its_init_in_front_is_read_and_without_it_refused(tmp_path: Path) -> None:
    dash = ["-f", "dash", "-seg_duration", "0.8", "-use_template", "1"]
    ffmpeg("-i", write(tmp_path / "a.mp4"), "-c", "copy", *dash, tmp_path / "x.mpd")
    init, second = tmp_path / "init-stream0.m4s", tmp_path / "chunk-stream0-00002.m4s"
    clip = tmp_path / "clip.m4s"
    clip.write_bytes(init.read_bytes() + second.read_bytes())
    stream, _, numbers = read(clip)
    assert numbers == list(range(20, 40))
    assert stream.first_pts * stream.time_base == Fraction(20, 25)
    assert "without its init segment" in refusal(second)
