"""Edit lists of MP4: what only delays a film or hides its begin or end, and what joins pieces of it."""

import struct
from pathlib import Path

import av
import pytest
from films import cut_out, footage_file, number_of

from pipeline.errors import ClipError
from pipeline.media.decode import open_video

Edits = list[tuple[int, int]]


def edited(folder: Path, edits: Edits, *, version: int = 0) -> Path:
    """Write a film of 60 frames of 40 ms, shown as these (duration, begin) say, both in ms; begin -1 is empty."""
    path = footage_file(folder / "film.mp4", options={"bf": "0"})
    with av.open(str(path)) as container:
        scale = container.streams.video[0].time_base
    assert scale is not None
    data = bytearray(path.read_bytes())
    form = ">qqi" if version else ">iii"
    entries = b"".join(
        struct.pack(form, duration, begin if begin < 0 else round(begin / 1000 / scale), 1 << 16)
        for duration, begin in edits
    )
    new = struct.pack(">BxxxI", version, len(edits)) + entries
    at = data.find(b"elst")
    (old,) = struct.unpack_from(">I", data, at - 4)
    data[at - 4 : at - 4 + old] = struct.pack(">I", 8 + len(new)) + b"elst" + new
    for name in (b"edts", b"trak", b"moov"):
        box = data.rfind(name, 0, at)
        (size,) = struct.unpack_from(">I", data, box - 4)
        struct.pack_into(">I", data, box - 4, size + 8 + len(new) - old)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    "edits",
    [
        [(800, 0), (800, 1600)],
        [(800, 0), (800, 0)],
        [(800, 800), (800, 0)],
        [(800, 0), (5000, -1), (800, 800)],
        [(400, -1), (800, 0), (800, 1200)],
    ],
)
def test_a_film_joined_of_pieces_is_refused_with_what_to_do(tmp_path: Path, edits: Edits, version: int) -> None:
    path = edited(tmp_path, edits, version=version)
    with pytest.raises(ClipError, match="ignore_editlist") as caught, open_video(path):
        pass
    assert caught.value.station == "probe"


@pytest.mark.parametrize(
    ("edits", "first", "frames"),
    [
        ([(2400, 0)], 0, 60),
        ([(2000, -1), (2400, 0)], 0, 60),
        ([(2000, -1), (1000, -1), (1600, 800)], 20, 40),
        ([(800, 0), (1600, 800)], 0, 60),
    ],
)
def test_a_film_that_begins_later_or_is_shown_in_part_is_taken(
    tmp_path: Path, edits: Edits, first: int, frames: int
) -> None:
    path = edited(tmp_path, edits)
    with open_video(path, loop_filter=True) as video:
        assert [number_of(luma) for _, luma in video.luma()] == list(range(first, first + frames))
    product = cut_out(path, tmp_path / "cut.mp4", 400, 800)
    assert product.frames == 10
