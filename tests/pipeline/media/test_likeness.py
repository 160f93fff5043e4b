"""What counts as the picture of its source: other pictures stay below the floor, honest encodings above it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from films import cut_out, ffmpeg

from pipeline.errors import ClipError
from pipeline.media.decode import open_video
from pipeline.media.likeness import FLOOR, Album

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

pytestmark = pytest.mark.whole  # films are encoded and decoded again, for seconds

STREET = "testsrc2=s=640x360:r=25:d=0.8,noise=alls=6:allf=t"


def street(height: int = 360, width: int = 640) -> NDArray[np.uint8]:
    """A picture with large and small things in it, nowhere like itself."""
    rng, y, x = np.random.default_rng(3), np.arange(height), np.arange(width)
    picture = np.full((height, width), 125.0)
    for side, depth in ((6, 40), (12, 30), (24, 20)):
        blocks = rng.normal(0, depth, (side, side))
        picture += blocks[np.ix_(y * side // height, x * side // width)]
    return np.asarray(np.clip(picture, 16, 235), np.uint8)


def likeness(one: NDArray[np.uint8], two: NDArray[np.uint8], *, skip: float = 0.0) -> float:
    with Album((one.shape[1], one.shape[0]), skip=skip) as album:
        album.add(one)
        return album.likeness(0, two)


WRONG: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "black": lambda p: np.full_like(p, 16),
    "gray": lambda p: np.full_like(p, int(p.mean())),
    "upside down": lambda p: np.ascontiguousarray(p[::-1]),
    "mirrored": lambda p: np.ascontiguousarray(p[:, ::-1]),
    "negative": lambda p: 255 - p,
    "moved sideways": lambda p: np.roll(p, p.shape[1] // 20, axis=1),
    "moved down": lambda p: np.roll(p, p.shape[0] // 20, axis=0),
    "its lower half black": lambda p: np.concatenate([p[: len(p) // 2], np.full_like(p[len(p) // 2 :], 16)]),
    "noise": lambda p: np.random.default_rng(1).integers(16, 235, p.shape, np.uint8),
}


@pytest.mark.parametrize("shape", [(360, 640), (640, 360), (97, 131)])
@pytest.mark.parametrize("wrong", WRONG)
def test_another_picture_is_below_the_floor(wrong: str, shape: tuple[int, int]) -> None:
    right = street(*shape)
    assert likeness(right, WRONG[wrong](right)) < FLOOR


def test_the_same_picture_is_wholly_like_itself_at_every_size_and_light() -> None:
    right = street()
    assert likeness(right, right) == pytest.approx(1)
    assert likeness(right, right[::2, ::2]) > 0.97  # made smaller by the profile
    assert likeness(right, (right * 0.97 + 4).astype(np.uint8)) > 0.95
    assert likeness(np.full((90, 160), 16, np.uint8), np.full((90, 160), 17, np.uint8)) > 0.95  # at night


@pytest.mark.parametrize("profile", [
    {"codec": "h264"}, {"codec": "hevc"}, {"codec": "av1"}, {"crf": 40}, {"bit_rate": 100_000}, {"height": 120},
    {"clock": True}, {"fps": 10},
])  # fmt: skip
def test_an_honest_encoding_stays_far_above_the_floor(profile: dict[str, Any], tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", STREET, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", 12, tmp_path / "a.mp4")
    made = cut_out(tmp_path / "a.mp4", tmp_path / "1.mp4", **profile)
    assert made.method == "transcode"
    assert made.similarity is not None
    assert made.similarity > FLOOR + 0.2


def test_what_covers_less_than_a_sixteenth_it_cannot_see() -> None:
    """It is stated in docs, so that nobody takes the comparison for more."""
    right = street()
    hidden = right.copy()
    hidden[200:240, 300:340] = 128  # a face, a number plate
    assert likeness(right, hidden) > FLOOR


def test_where_a_clock_stands_nothing_is_compared() -> None:
    right = street()
    clock = right.copy()
    clock[:40, :300] = 235
    assert likeness(right, clock, skip=0.12) == pytest.approx(1)
    assert likeness(right, clock) < 0.9


def test_many_pictures_are_kept_apart_beyond_memory() -> None:
    rng = np.random.default_rng(2)
    pictures = [np.kron(rng.integers(16, 235, (6, 8), np.uint8), np.ones((12, 16), np.uint8)) for _ in range(40)]
    with Album((128, 72)) as album:
        album._file.rollover()
        for picture in pictures:
            album.add(picture)
        for number in (0, 39, 17):
            assert album.likeness(number, pictures[number]) == pytest.approx(1)
            assert album.likeness(number, pictures[number - 1]) < FLOOR


@pytest.mark.parametrize("wrong", ["black", "mirrored"])
def test_a_cut_with_one_wrong_frame_is_refused_by_its_number_and_leaves_no_file(wrong: str, tmp_path: Path) -> None:
    """The pictures that it is compared with are spoilt, as if the encoder had written others."""
    ffmpeg("-f", "lavfi", "-i", STREET, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", 12, tmp_path / "a.mp4")
    seen: list[int] = []
    plain = Album.add

    def add(album: Album, luma: NDArray[np.uint8]) -> None:
        seen.append(len(seen))
        plain(album, WRONG[wrong](np.ascontiguousarray(luma)) if seen[-1] == 7 else luma)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Album, "add", add)
        with pytest.raises(ClipError, match=r"cut: frame 7 of the product is like its source to 0\.\d+, wanted 0\.5"):
            cut_out(tmp_path / "a.mp4", tmp_path / "1.mp4", codec="h264")
    assert not (tmp_path / "1.mp4").exists()
    assert cut_out(tmp_path / "a.mp4", tmp_path / "1.mp4", codec="h264").frames == 20
    with open_video(tmp_path / "1.mp4") as video:
        assert sum(1 for _ in video.luma()) == 20
