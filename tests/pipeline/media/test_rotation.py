"""Luma is upright, whatever the display matrix of the file says, and so are width and height."""

from pathlib import Path

import numpy as np
import pytest
from numbered import HEIGHT, WIDTH, ffmpeg, read, write
from numpy.typing import NDArray

from pipeline.media.decode import open_video

TURNS = [
    (["-display_rotation", "90"], lambda a: np.rot90(a, 1)),
    (["-display_rotation", "-90"], lambda a: np.rot90(a, -1)),
    (["-display_rotation", "180"], lambda a: np.rot90(a, 2)),
    (["-display_hflip"], lambda a: a[:, ::-1]),
    (["-display_vflip"], lambda a: a[::-1]),
    (["-display_rotation", "90", "-display_hflip"], None),
]


def planes(path: Path) -> list[NDArray[np.uint8]]:
    with open_video(path, loop_filter=True) as video:
        size = video.height, video.width
        shown = [luma.copy() for _, luma in video.luma()]
        assert (video.stream.height, video.stream.width) == size
    assert all(plane.shape == size for plane in shown)
    return shown


def as_ffmpeg_shows(path: Path) -> NDArray[np.uint8]:
    raw = path.with_suffix(".raw")
    ffmpeg("-i", path, "-pix_fmt", "gray", "-vf", "extractplanes=y", "-f", "rawvideo", raw)
    return np.frombuffer(raw.read_bytes(), np.uint8)


@pytest.mark.parametrize(("options", "turn"), TURNS)
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_turned_picture_stands_upright_as_ffmpeg_shows_it(
    options: list[str], turn: object, suffix: str, tmp_path: Path
) -> None:
    source, turned = write(tmp_path / f"a{suffix}"), tmp_path / f"b{suffix}"
    ffmpeg(*options, "-i", source, "-c", "copy", turned)
    shown = planes(turned)
    np.testing.assert_array_equal(np.stack(shown).ravel(), as_ffmpeg_shows(turned))
    if callable(turn):
        for plane, stored in zip(shown, planes(source), strict=True):
            np.testing.assert_array_equal(plane, turn(stored))
            assert plane.flags.c_contiguous


def test_a_picture_turned_by_no_quarter_is_left_and_told(tmp_path: Path) -> None:
    source, turned = write(tmp_path / "a.mp4"), tmp_path / "b.mp4"
    ffmpeg("-display_rotation", "30", "-i", source, "-c", "copy", turned)
    stream = read(turned)[0]
    assert (stream.width, stream.height) == (WIDTH, HEIGHT)
    assert stream.condition.notes == (
        "its header turns the picture by an angle that is no quarter turn; it is shown as it was stored",
    )


def test_a_matroska_that_says_its_roll_stands_upright(tmp_path: Path) -> None:
    source, turned = write(tmp_path / "a.mp4"), tmp_path / "b.mkv"
    ffmpeg("-display_rotation", "90", "-i", source, "-c", "copy", turned)
    np.testing.assert_array_equal(np.stack(planes(turned)).ravel(), as_ffmpeg_shows(turned))
    assert planes(turned)[0].shape == (WIDTH, HEIGHT)


def test_an_orientation_in_the_bitstream_is_obeyed(tmp_path: Path) -> None:
    source, turned = write(tmp_path / "a.mp4"), tmp_path / "b.mkv"
    ffmpeg("-i", source, "-c", "copy", "-bsf:v", "h264_metadata=display_orientation=insert:rotate=90", turned)
    assert planes(turned)[0].shape == (WIDTH, HEIGHT)
    np.testing.assert_array_equal(np.stack(planes(turned)).ravel(), as_ffmpeg_shows(turned))


def test_the_rotated_film_stands_upright(footage: Path) -> None:
    stream = read(footage / "odd" / "rotated_90_display_matrix.mp4")[0]
    assert (stream.width, stream.height, stream.frames) == (240, 320, 250)
