"""The film of a file is found among covers, previews and other films; what else there is, is told."""

from pathlib import Path

import pytest
from numbered import HEIGHT, WIDTH, ffmpeg, number_of, read, refusal, write

from pipeline.media.decode import open_video


def two(folder: Path, suffix: str, *, small_first: bool = True) -> Path:
    """Two films in one file: frames 0 to 49 of 136 pixels, and 100 to 149 of 272."""
    small, large, both = folder / "s.mp4", folder / "l.mp4", folder / f"both{suffix}"
    write(small)
    write(large, first=100, width=272)
    first, second = (small, large) if small_first else (large, small)
    ffmpeg("-i", first, "-i", second, "-map", "0:v", "-map", "1:v", "-c", "copy", both)
    return both


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".mov"])
@pytest.mark.parametrize("small_first", [True, False])
def test_of_two_films_the_larger_is_taken_and_the_other_told(
    suffix: str,
    small_first: bool,
    tmp_path: Path,
) -> None:
    both = two(tmp_path, suffix, small_first=small_first)
    stream, _, numbers = read(both)
    assert numbers == list(range(100, 150))
    assert (stream.width, stream.track) == (272, int(small_first))
    this, other = int(small_first), int(not small_first)
    told = f"the file has 2 video tracks; this is track {this} (272 x 96), beside it track {other} (136 x 96)"
    assert stream.condition.notes == (told,)


def test_a_setting_chooses_the_film(tmp_path: Path) -> None:
    both = two(tmp_path, ".mkv")
    assert read(both, track="first")[2][0] == 0
    assert read(both, track=0)[2][0] == 0
    assert read(both, track=1)[2][0] == 100
    marked = tmp_path / "marked.mkv"
    ffmpeg("-i", both, "-map", "0", "-c", "copy", "-disposition:v:0", "0", "-disposition:v:1", "default", marked)
    assert read(marked, track="default")[2][0] == 100
    assert refusal(both, track=2) == "probe: it has 2 video tracks, wanted number 2, counted from 0"


def test_the_film_that_was_found_is_opened_again_whatever_is_set(tmp_path: Path) -> None:
    both = two(tmp_path, ".mkv")
    known = read(both, track="first")[0]
    with open_video(both, known=known, track="largest", start_pts=1000) as video:
        assert (video.track, video.stream_index) == (0, 0)
        assert number_of(next(video.luma())[1]) < 50


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
@pytest.mark.parametrize("cover_first", [True, False])
def test_a_still_is_no_film_however_large(suffix: str, cover_first: bool, tmp_path: Path) -> None:
    film, still, both = write(tmp_path / "a.mp4"), tmp_path / "s.jpg", tmp_path / f"b{suffix}"
    ffmpeg("-i", film, "-vf", "scale=640:480", "-frames:v", "1", still)
    first, second = (still, film) if cover_first else (film, still)
    ffmpeg("-i", first, "-i", second, "-map", "0:v", "-map", "1:v", "-c", "copy", both)
    stream, _, numbers = read(both)
    assert numbers == list(range(50))
    assert (stream.codec, stream.width, stream.height) == ("h264", WIDTH, HEIGHT)
    assert stream.track == int(cover_first)
    assert not stream.condition.notes


def test_an_attached_cover_is_passed_over_and_not_counted(tmp_path: Path) -> None:
    film, still, both = write(tmp_path / "a.mp4"), tmp_path / "s.png", tmp_path / "b.mp4"
    ffmpeg("-i", film, "-frames:v", "1", still)
    covered = ["-map", "1:v", "-map", "0:v", "-c", "copy", "-disposition:v:0", "attached_pic"]
    ffmpeg("-i", film, "-i", still, *covered, both)
    with open_video(both) as video:
        assert sum(1 for _ in video.luma()) == 50
        assert (video.codec, video.track) == ("h264", 0)


def test_a_film_of_pictures_alone_is_a_film(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", codec="mjpeg")
    assert read(path)[2] == list(range(50))


def test_the_cover_that_is_the_first_track_is_passed_over(footage: Path) -> None:
    stream = read(footage / "odd" / "jpeg_still_is_first_video_track.mkv")[0]
    assert (stream.codec, stream.frames, stream.track) == ("h264", 250, 1)
