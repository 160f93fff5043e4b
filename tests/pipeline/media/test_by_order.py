"""The time of frames in files that tell when packets are decoded: ASF, and Matroska made of an AVI."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import pytest
from films import ffmpeg, footage_file, number_of

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


def _element(name: str, data: bytes) -> bytes:
    return bytes.fromhex(name) + (1 << 56 | len(data)).to_bytes(8) + data


def _number(name: str, value: int) -> bytes:
    return _element(name, value.to_bytes(4))


def matroska_of_an_avi(folder: Path, at: int) -> Path:
    """Write sixty frames of 40 ms of H.264 as Video for Windows in Matroska; from `at` on all come 20 s later."""
    stream = folder / "plain.ts"
    ffmpeg("-i", footage_file(folder / "plain.mp4", options={"bf": "0"}), "-c", "copy", stream)
    with av.open(str(stream)) as given:
        packets = [(p.is_keyframe, bytes(p)) for p in given.demux(video=0) if p.size]
    picture = struct.pack("<IiiHH4sIiiII", 40, 128, 96, 1, 24, b"H264", 128 * 96 * 3, 0, 0, 0, 0)
    track = _number("D7", 1) + _number("73C5", 1) + _number("83", 1) + _element("86", b"V_MS/VFW/FOURCC")
    track += _element("63A2", picture) + _element("E0", _number("B0", 128) + _number("BA", 96))
    film = _element("1549A966", _number("2AD7B1", 1_000_000)) + _element("1654AE6B", _element("AE", track))
    for number, (key, data) in enumerate(packets):
        block = b"\x81\x00\x00" + (b"\x80" if key else b"\x00") + data
        film += _element("1F43B675", _number("E7", 40 * number + HOLE_MS * (number >= at)) + _element("A3", block))
    path = folder / "film.mkv"
    path.write_bytes(_element("1A45DFA3", _element("4282", b"matroska")) + _element("18538067", film))
    return path


@pytest.mark.parametrize("threads", [1, 3])
def test_a_hole_in_what_was_an_avi_stays_a_hole_in_matroska(tmp_path: Path, threads: int) -> None:
    path = matroska_of_an_avi(tmp_path, at=33)
    with open_video(path, loop_filter=True, threads=threads) as video:
        shown = [(number_of(luma), float(pts * video.time_base * 1000)) for pts, luma in video.luma()]
    assert shown == [(n, 40 * n + HOLE_MS * (n >= 33)) for n in range(60)]
