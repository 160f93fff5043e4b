"""The time of an ASF's frames, which it tells by when they are decoded."""

from fractions import Fraction
from pathlib import Path

import av
import pytest
from films import footage_file, number_of

from pipeline.media.decode import open_video

HOLE_MS = 20_000


def asf_with_a_hole(folder: Path, codec: str, options: dict[str, str], at: int) -> Path:
    """Write sixty frames of 40 ms as an ASF; from packet `at` on all come 20 s later."""
    plain = footage_file(folder / "plain.mp4", codec=codec, options=options)
    path = folder / "film.asf"
    with av.open(str(plain)) as given, av.open(str(path), "w", format="asf") as out:
        stream = out.add_stream_from_template(given.streams.video[0], opaque=True)
        for number, packet in enumerate(p for p in given.demux(video=0) if p.size):
            assert packet.pts is not None
            assert packet.dts is not None
            later = round(Fraction(HOLE_MS, 1000) / packet.time_base) if number >= at else 0
            packet.pts, packet.dts, packet.stream = packet.pts + later, packet.dts + later, stream
            out.mux(packet)
    return path


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("codec", "options", "reordered"),
    [
        ("libx264", {"bf": "0"}, 0),
        ("libx264", {"bf": "2", "x264-params": "open-gop=0"}, 2),
        ("mpeg4", {}, 0),
        ("mpeg2video", {}, 1),
    ],
)
def test_a_hole_in_an_asf_stays_a_hole(
    tmp_path: Path, codec: str, options: dict[str, str], reordered: int, threads: int
) -> None:
    path = asf_with_a_hole(tmp_path, codec, options, at=33)
    with open_video(path, loop_filter=True, threads=threads) as video:
        shown = [(number_of(luma), pts * video.time_base * 1000) for pts, luma in video.luma()]
        holes = [(end - start) * video.time_base for start, end in video.stream.condition.holes]
    assert [number for number, _ in shown] == list(range(60))
    # A decoder that reorders shows a frame when later ones are read, so as many around the hole may be on either side.
    for number, at_ms in shown:
        if not 33 - reordered <= number < 33 + reordered:
            wanted = 40 * number + HOLE_MS * (number >= 33)
            assert abs(at_ms - shown[0][1] - wanted) <= 40 * (reordered > 0), number
    assert [round(length * 1000) for length in holes] == [HOLE_MS]
