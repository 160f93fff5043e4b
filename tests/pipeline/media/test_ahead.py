"""Sound that begins before the picture: it is told, because a start may be meant of either."""

from pathlib import Path

import pytest
from films import ffmpeg, footage_file

from pipeline.media.decode import open_video

pytestmark = pytest.mark.whole  # films are encoded and decoded again, for seconds


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".mov"])
@pytest.mark.parametrize(("later_s", "told"), [("0", False), ("0.2", False), ("3", True)])
def test_sound_that_begins_before_the_picture_is_told(tmp_path: Path, suffix: str, later_s: str, *, told: bool) -> None:
    plain, path = footage_file(tmp_path / "plain.mp4", tone_hz=440), tmp_path / f"film{suffix}"
    late = ("-itsoffset", later_s, "-i", plain)
    ffmpeg("-i", plain, *late, "-map", "1:v", "-map", "0:a", "-c", "copy", path)
    with open_video(path) as video:
        assert len(list(video.luma())) == 60
        notes, first = video.stream.condition.notes, video.stream.condition.holes
    assert first == ()
    assert [note for note in notes if "its sound begins 3." in note or "its sound begins 2.9" in note] == list(notes)
    assert bool(notes) is told
