"""What ffmpeg is asked for, and how its refusals come back."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pipeline.errors import ClipError
from pipeline.media.encode import encode
from pipeline.media.profile import Profile
from pipeline.media.transcode import Excerpt, copy, program, transcode, version

if TYPE_CHECKING:
    from pathlib import Path


def excerpt(**changes: Any) -> Excerpt:
    fields: dict[str, Any] = {
        "start_pts": 0,
        "stop_pts": 5,
        "first_pts": 0,
        "last_pts": 0,
        "time_base": Fraction(1, 25),
        "first_ns": 0,
        "codec": "h264",
    }
    return Excerpt(**(fields | changes))


def test_an_excerpt_whose_first_frame_lies_outside_is_refused() -> None:
    for first in (-1, 5):
        with pytest.raises(ValueError, match=r"the frames lie in 0\.\.5"):
            excerpt(first_pts=first)


def test_the_program_and_its_version_are_known() -> None:
    assert program()
    assert version()


def test_what_ffmpeg_refuses_names_the_reason_and_not_the_path(tmp_path: Path) -> None:
    source, target = tmp_path / "a.mp4", tmp_path / "b.mp4"
    source.write_text("not a video")
    for work in (partial(transcode, profile=Profile()), copy):
        with pytest.raises(ClipError) as caught:
            work(source, target, excerpt())
        assert caught.value.station == "transcode"
        assert "Invalid data" in caught.value.reason
        assert str(tmp_path) not in caught.value.reason
        assert not target.exists()


def test_a_folder_that_is_not_there_is_no_silent_success(tmp_path: Path) -> None:
    picture = np.full((96 * 3 // 2, 128), 128, np.uint8)
    encode(tmp_path / "a.mp4", [picture] * 5, rate=Fraction(25))
    with pytest.raises(ClipError, match=r"transcode: .*No such file"):
        transcode(tmp_path / "a.mp4", tmp_path / "none" / "b.mp4", excerpt(stop_pts=12_800), Profile())


def test_sound_that_is_not_there_is_refused(tmp_path: Path) -> None:
    picture = np.full((96 * 3 // 2, 128), 128, np.uint8)
    encode(tmp_path / "a.mp4", [picture] * 5, rate=Fraction(25))
    wanted = excerpt(stop_pts=12_800, sound=(Fraction(0), Fraction(1), 16_000))
    with pytest.raises(ClipError, match="transcode: "):
        transcode(tmp_path / "a.mp4", tmp_path / "b.mp4", wanted, Profile(audio=True))
    assert not (tmp_path / "b.mp4").exists()


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_the_same_excerpt_gives_the_same_bytes_whatever_lay_in_memory(
    codec: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = np.random.default_rng(1)
    noise = [np.kron(chance.integers(0, 256, (47, 42), np.uint8), np.ones((8, 8), np.uint8)) for _ in range(40)]
    pictures = [picture[:375, :334] for picture in noise]
    encode(tmp_path / "a.mp4", pictures, rate=Fraction(25))
    whole, made = excerpt(stop_pts=40 * 512, last_pts=39 * 512, time_base=Fraction(1, 12_800)), set()
    for filled in ("0", "85", "170"):
        monkeypatch.setenv("MALLOC_PERTURB_", filled)
        transcode(tmp_path / "a.mp4", tmp_path / "b.mp4", whole, Profile(codec=codec))
        made.add((tmp_path / "b.mp4").read_bytes())
    assert len(made) == 1
