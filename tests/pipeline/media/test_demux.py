"""Streams that come up on the way cost nothing, and pictures of any shape are read but for slivers."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.errors import ClipError
from pipeline.media.container import MAX_SIDE
from pipeline.media.decode import open_video
from pipeline.media.encode import encode
from pipeline.media.packets import open_recording

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

FRAMES, PACKET = 250, 188


def pictures(count: int, width: int = 128, height: int = 96) -> Iterator[NDArray[np.uint8]]:
    for number in range(count):
        picture = np.full((height * 3 // 2, width), 128, np.uint8)
        picture[:height] = np.arange(width) * 3 + number & 255
        yield picture


@pytest.fixture(scope="module")
def branching(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transport stream of ten seconds; late in it one frame goes by another number, as a stream of its own does."""
    path = tmp_path_factory.mktemp("ts") / "film.ts"
    encode(path, pictures(FRAMES), rate=Fraction(25), gop=25)
    data = bytearray(path.read_bytes())
    video = [at for at in range(0, len(data), PACKET) if data[at + 1] & 0x5F == 0x41 and data[at + 2] == 0]
    assert len(video) == FRAMES
    data[video[200] + 1] ^= 2  # of PID 0x100 it makes 0x300
    path.write_bytes(data)
    return path


def test_a_stream_that_comes_up_on_the_way_costs_no_other_frame(branching: Path) -> None:
    for _ in range(5):  # it depends on what lay in memory before
        with open_video(branching) as video:
            assert sum(1 for _ in video.luma()) == video.stream.frames == FRAMES - 1


def test_a_recording_in_which_a_stream_comes_up_on_the_way_is_read_to_its_end(branching: Path) -> None:
    for _ in range(5):
        with open_recording(branching) as recording:
            assert sum(group.frames for group in recording.groups) == FRAMES - 1


@pytest.mark.parametrize("size", [(MAX_SIDE + 2, 2), (2, MAX_SIDE + 2)])
def test_a_sliver_is_refused_before_it_is_decoded(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "sliver.avi"
    encode(path, pictures(2, *size), rate=Fraction(25), codec="rawvideo")
    told = rf"^probe: its picture of {size[0]} x {size[1]}, wanted at most {MAX_SIDE}"
    with pytest.raises(ClipError, match=told), open_video(path):
        pass


@pytest.mark.parametrize("size", [(16_384, 2), (2, 16_384), (16_384, 16), (64, 16_384), (MAX_SIDE, 2), (2, 2), (4, 2)])
def test_the_longest_and_the_smallest_pictures_are_read(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "odd.avi"
    encode(path, pictures(3, *size), rate=Fraction(25), codec="rawvideo")
    with open_video(path) as video:
        assert [luma.shape for _, luma in video.luma()] == [size[::-1]] * 3
