"""Stills and copies of released files: which frames are shown, who wants a copy, and that it is the same film."""

from __future__ import annotations

import io
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from films import cut_out, ffmpeg, footage_file, frames_of, number_of
from PIL import Image

from pipeline.clip import Clip
from pipeline.errors import ClipError
from pipeline.media.copies import look_through, make_copy, still_numbers
from pipeline.media.cut import Cut
from pipeline.media.profile import Profile
from pipeline.media.transcode import program
from samples import NOON

NAME = "ab" * 16


def film(path: Path, *options: str, rate: str = "25", size: str = "160x120") -> Path:
    """Write two seconds of a test picture with a tone, however it is asked for."""
    picture = ("-f", "lavfi", "-i", f"testsrc=s={size}:r={rate}:d=2", "-f", "lavfi", "-i", "sine=r=48000:d=2")
    ffmpeg(*picture, "-c:v", "libx264", "-c:a", "aac", "-pix_fmt", "yuv420p", *options, path)
    return path


@pytest.mark.parametrize(
    ("frames", "numbers"),
    [(1, (0,)), (2, (0, 1)), (3, (0, 1, 2)), (5, (0, 1, 2, 3, 4)), (150, (0, 37, 74, 111, 149)), (9, (0, 2, 4, 6, 8))],
)
def test_stills_are_the_first_frame_each_quarter_and_the_last(frames: int, numbers: tuple[int, ...]) -> None:
    assert still_numbers(frames) == numbers


def test_a_still_is_the_very_frame_of_its_time(tmp_path: Path) -> None:
    path = footage_file(tmp_path / "film.mp4", 41)
    seen = look_through(path, frames=41)
    shown = frames_of(path)
    assert [(still.number, still.seconds) for still in seen.stills] == [shown[n] for n in still_numbers(41)]
    for still in seen.stills:
        picture = Image.open(io.BytesIO(still.png))
        assert number_of(np.asarray(picture.convert("L"))) == still.number
        assert not picture.info
        assert picture.size == (seen.stream.width, seen.stream.height)


def test_a_still_stands_upright(footage: Path) -> None:
    path = footage / "odd" / "rotated_90_display_matrix.mp4"
    still = look_through(path, frames=len(frames_of(path))).stills[0]
    assert Image.open(io.BytesIO(still.png)).size == (240, 320)
    shown = Image.open(io.BytesIO(ffmpeg("-i", path, "-frames:v", 1, "-f", "image2", "-c:v", "png", "-")))
    ours = np.asarray(Image.open(io.BytesIO(still.png)).convert("L"), np.int16)
    assert np.abs(ours - np.asarray(shown.convert("L"), np.int16)).max() < 8


def test_a_file_with_other_frames_than_its_record_says_is_refused(tmp_path: Path) -> None:
    path = footage_file(tmp_path / "film.mp4", 10)
    with pytest.raises(ClipError, match="it has 10 frames, its record says 11"):
        look_through(path, frames=11)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), ""),
        (("-an",), ""),
        (("-c:v", "libx265", "-x265-params", "log-level=error"), "coded as hevc"),
        (("-pix_fmt", "yuv444p"), "pictures are yuv444p"),
        (("-pix_fmt", "yuv420p10le"), "pictures are yuv420p10"),
        (("-flags", "+ildct+ilme", "-vf", "setfield=tff"), "interlaced"),
        (("-movflags", "frag_keyframe+empty_moov"), "no MP4 in one piece"),
        (("-c:a", "libopus"), "coded as opus"),
        (("-f", "matroska"), "no MP4 in one piece"),
    ],
)
def test_what_some_player_does_not_show_wants_a_copy_and_gets_one_like_it(
    tmp_path: Path, options: tuple[str, ...], why: str
) -> None:
    path, target = film(tmp_path / "film.mp4", *options), tmp_path / "copy.mp4"
    seen = look_through(path, frames=50)
    assert bool(seen.wants_copy) == bool(why)
    assert why in seen.wants_copy
    made = make_copy(path, target, seen, start_ns=NOON, request="r1", name=NAME)
    assert (made.codec, made.frames, made.audio) == ("h264", 50, "aac" if seen.stream.audio else None)
    assert made.actual.start_ns == NOON
    assert look_through(target, frames=50).wants_copy == ""
    assert [at for _, at in frames_of(target)] == [at - frames_of(path)[0][1] for _, at in frames_of(path)]


def test_a_copy_has_every_frame_at_its_time_and_its_name_as_its_only_tag(tmp_path: Path) -> None:
    path = footage_file(tmp_path / "film.mp4", 60)
    released, target = tmp_path / "released.mp4", tmp_path / "copy.mp4"
    cut_out(path, released, 100, 2000, codec="hevc")
    seen = look_through(released, frames=len(frames_of(released)))
    make_copy(released, target, seen, start_ns=NOON, request="r1", name=NAME)
    assert frames_of(target) == frames_of(released)
    told = subprocess.run([program(), "-i", target], capture_output=True, text=True, check=False).stderr
    assert re.findall(r"comment +: (\w+)", told) == [NAME]
    assert "released" not in target.read_bytes().decode("latin-1")


def test_a_pause_that_is_none_of_the_recordings_holes_is_copied(tmp_path: Path) -> None:
    """A camera that takes a frame a second, and 25 where something moves: of a part the pauses are most of it."""
    path = film(tmp_path / "film.mp4", "-vf", "setpts='PTS+if(gt(N,30),3/TB,0)'", "-an", "-fps_mode", "passthrough")
    seen = look_through(path, frames=50)
    assert seen.stream.condition.holes
    made = make_copy(path, tmp_path / "copy.mp4", seen, start_ns=NOON, request="r1", name=NAME)
    assert made.frames == 50
    of = Clip("cam-1", NOON, "ab" * 32, 1, "clips/x.mp4", seen.stream)
    with pytest.raises(ValueError, match="without a hole"):
        Cut("r1", of, of.span, Profile())
