"""A recording begins with its first packet, also where the first pictures cannot be shown; that is told."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numbered import ffmpeg, number_of, read, scene_number, write

from pipeline.clip import Clip
from pipeline.media.decode import open_video
from pipeline.span import parse_iso

FAST: dict[str, dict[str, str]] = {
    "libx264": {"bf": "2", "b_strategy": "0"},
    "libx265": {"preset": "ultrafast", "x265-params": "open-gop=0:bframes=2:b-adapt=0"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8"},
    "libsvtav1": {"preset": "8", "crf": "10"},
    "mpeg4": {"bf": "2"},
}
KINDS = [
    ("libx264", ".ts"), ("libx264", ".mp4"), ("libx264", ".mov"), ("libx264", ".mkv"), ("libx264", ".flv"),
    ("libx265", ".ts"), ("libx265", ".mp4"), ("mpeg4", ".mp4"), ("mpeg4", ".mkv"),
    ("mpeg2video", ".ts"), ("mpeg2video", ".mpg"), ("libvpx-vp9", ".webm"), ("libvpx", ".webm"), ("libsvtav1", ".mp4"),
]  # fmt: skip


@pytest.mark.parametrize(("codec", "suffix"), KINDS)
def test_a_recording_that_begins_between_keyframes_begins_with_its_first_packet(
    codec: str, suffix: str, tmp_path: Path
) -> None:
    source = write(
        tmp_path / f"a{'.webm' if suffix == '.webm' else '.mkv'}", 100, gop=25, codec=codec, options=FAST.get(codec)
    )
    late = tmp_path / f"late{suffix}"
    ffmpeg("-copyts", "-i", source, "-c", "copy", "-bsf:v", "noise=drop='lt(n,10)'", "-muxdelay", "0", late)
    stream, pts, numbers = read(late)
    assert numbers == list(range(numbers[0], 100))
    assert numbers[0] in {25, 26, 27}  # pictures before a keyframe lean on the group before it
    lead = stream.condition.missing
    assert 13 <= lead <= 18
    assert (pts[0] - stream.first_pts) * stream.time_base == pytest.approx(Fraction(lead, 25), abs=0.0021)
    assert stream.condition.holes == ((stream.first_pts, pts[0]),)
    assert stream.condition.notes[0].startswith("the first 0.")
    assert "cannot be shown" in stream.condition.notes[0]
    assert stream.condition.damaged == 0
    # The same instants as in the whole recording.
    _, whole, every = read(source)
    unit = read(source)[0].time_base
    assert [(p - pts[0]) * stream.time_base for p in pts] == pytest.approx(
        [(p - whole[numbers[0]]) * unit for p in whole[every.index(numbers[0]) :]], abs=0.0011
    )


@pytest.mark.parametrize(("codec", "suffix"), [("mpeg4", ".avi"), ("libx264", ".avi"), ("msmpeg4", ".avi")])
def test_an_avi_that_begins_between_keyframes_is_counted_back_from_its_first_picture(
    codec: str, suffix: str, tmp_path: Path
) -> None:
    source = write(tmp_path / f"a{suffix}", 60, gop=25, codec=codec)
    whole = read(source)[1]
    late = tmp_path / f"late{suffix}"
    ffmpeg("-i", source, "-c", "copy", "-bsf:v", "noise=drop='lt(n,10)'", late)
    stream, pts, numbers = read(late)
    assert numbers == list(range(25, 60))
    assert stream.condition.missing == 15
    assert (stream.first_pts, pts[0]) == (whole[0], whole[25])  # its muxer moves the first packet to the beginning
    assert np.diff(pts).tolist() == np.diff(whole[25:]).tolist()


def test_an_intra_refresh_is_shown_from_where_it_is_complete(tmp_path: Path) -> None:
    options = {"x264-params": "intra-refresh=1:keyint=20:bframes=0"}
    source, late = write(tmp_path / "a.mkv", 100, options=options), tmp_path / "late.mkv"
    ffmpeg("-i", source, "-c", "copy", "-bsf:v", "noise=drop='lt(n,5)'", late)
    with open_video(source, loop_filter=True) as video:
        whole = [luma.copy() for _, luma in video.luma()]
    with open_video(late, loop_filter=True) as video:
        shown = [(number_of(luma), luma.copy()) for _, luma in video.luma()]
        stream = video.stream
    assert all((picture == whole[number]).all() for number, picture in shown)
    assert stream.condition.missing == 95 - len(shown) > 0
    assert stream.condition.holes[0][0] == stream.first_pts


@pytest.mark.parametrize(("codec", "options"), [
    ("libx264", {"x264-params": "open-gop=1:bframes=3:b-adapt=0"}),
    ("libx265", {"preset": "ultrafast", "x265-params": "open-gop=1:bframes=3:b-adapt=0"}),
    ("mpeg2video", {"bf": "2"}), ("mpeg4", {"bf": "2"}),
])  # fmt: skip
@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
def test_pictures_that_lean_on_the_group_before_the_first_are_not_shown(
    codec: str, options: dict[str, str], suffix: str, tmp_path: Path
) -> None:
    if (codec, suffix) in {("mpeg4", ".ts"), ("libx264", ".ts")}:
        suffix = ".mkv"  # where the headers do not stand in what is left out
    source, late = write(tmp_path / "a.mkv", 100, gop=24, codec=codec, options=options), tmp_path / f"late{suffix}"
    ffmpeg("-i", source, "-c", "copy", "-bsf:v", "noise=drop='lt(n,24)'", late)
    with open_video(source, loop_filter=True) as video:
        whole = [luma.copy() for _, luma in video.luma()]
    with open_video(late, loop_filter=True) as video:
        shown = [(number_of(luma), luma.copy()) for _, luma in video.luma()]
        condition = video.stream.condition
    assert all((picture == whole[number]).all() for number, picture in shown)
    assert condition.damaged == 0
    assert condition.missing == 76 - len(shown)


def test_packets_an_edit_list_hides_do_not_begin_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "b.mp4"
    ffmpeg("-ss", "0.68", "-i", write(tmp_path / "a.mp4", options={"bf": "2"}), "-c", "copy", path)
    stream, pts, numbers = read(path)
    assert numbers[0] == 17
    assert stream.first_pts == pts[0]
    assert stream.condition.missing == 0
    assert not stream.condition.notes


def test_the_time_of_a_running_stream_is_that_of_its_first_packet(footage: Path) -> None:
    path = footage / "odd" / "ts_begins_between_keyframes_20261125T180001Z.ts"
    with open_video(path) as video:
        shown = {pts: scene_number(luma) for pts, luma in video.luma()}
        stream = video.stream
    assert (stream.first_pts, stream.frames, stream.condition.missing) == (216_000, 150, 75)
    assert stream.condition.holes == ((216_000, 486_000),)
    assert stream.condition.notes == ("the first 3.000 s cannot be shown: the recording begins between two keyframes",)
    clip = Clip("cam-1", parse_iso("2026-11-25T18:00:01Z"), "ab" * 32, 1, "a.ts", stream)
    asked = [clip.pts_at(parse_iso(f"2026-11-25T18:00:0{second}Z")) for second in (4, 6)]
    assert [number for pts, number in shown.items() if asked[0] <= pts < asked[1]] == list(range(100, 150))
