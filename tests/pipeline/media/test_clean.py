"""Nothing hides in a product: a marker is planted in every unit that is no picture, and found in none after."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

import av
import pytest
from films import cut_out, ffmpeg, footage_file

if TYPE_CHECKING:
    from pathlib import Path

MARKER = b"lat=52.520008;lon=13.404954;vin=LRW3F7EK0RC000001"
CODECS = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1"}
OPTIONS = {
    "h264": {"bf": "0"},
    "hevc": {"preset": "ultrafast", "x265-params": "bframes=0"},
    "av1": {"preset": "10", "svtav1-params": "pred-struct=1"},
}


def unregistered() -> bytes:
    payload = bytes(range(16)) + MARKER
    return bytes([5, len(payload)]) + payload + b"\x80"


def captions() -> bytes:
    payload = b"\xb5\x00\x31GA94\x03" + MARKER
    return bytes([4, len(payload)]) + payload + b"\x80"


def h264_unit(kind: int, payload: bytes) -> bytes:
    return b"\x00\x00\x00\x01" + bytes([kind]) + payload


def hevc_unit(kind: int, payload: bytes) -> bytes:
    return b"\x00\x00\x00\x01" + bytes([kind << 1, 1]) + payload


def av1_unit(kind: int, payload: bytes) -> bytes:
    return bytes([kind << 3 | 2, len(payload)]) + payload


PLACES: dict[str, tuple[str, bytes]] = {
    "h264, user data": ("h264", h264_unit(6, unregistered())),
    "h264, captions": ("h264", h264_unit(6, captions())),
    "h264, unknown SEI": ("h264", h264_unit(6, bytes([200, len(MARKER)]) + MARKER + b"\x80")),
    "h264, delimiter": ("h264", h264_unit(9, b"\xf0" + MARKER)),
    "h264, filler": ("h264", h264_unit(12, b"\xff\xff" + MARKER + b"\x80")),
    **{f"h264, unit {kind}": ("h264", h264_unit(kind, MARKER + b"\x80")) for kind in (0, 14, 16, 18, 20, 22, 24, 31)},
    "hevc, user data": ("hevc", hevc_unit(39, unregistered())),
    "hevc, captions": ("hevc", hevc_unit(39, captions())),
    "hevc, suffix": ("hevc", hevc_unit(40, unregistered())),
    "hevc, delimiter": ("hevc", hevc_unit(35, b"\x50" + MARKER)),
    "hevc, filler": ("hevc", hevc_unit(38, b"\xff\xff" + MARKER + b"\x80")),
    **{f"hevc, unit {kind}": ("hevc", hevc_unit(kind, MARKER + b"\x80")) for kind in (24, 31, 41, 47, 48, 63)},
    "av1, captions": ("av1", av1_unit(5, b"\x04\xb5\x00\x31" + MARKER + b"\x80")),
    "av1, private metadata": ("av1", av1_unit(5, b"\x1f" + MARKER + b"\x80")),
    "av1, padding": ("av1", av1_unit(15, MARKER + b"\x80")),
    "av1, unit 9": ("av1", av1_unit(9, MARKER + b"\x80")),
}


def planted(folder: Path, suffix: str, codec: str, unit: bytes) -> Path:
    """A film with one more unit before each picture's first slice, where a decoder looks for nothing."""
    plain = footage_file(folder / "plain.mp4", count=20, codec=CODECS[codec], options=OPTIONS[codec])
    marked = folder / f"a{suffix}"
    if codec == "av1":
        raw, given = folder / "raw.ivf", []
        with av.open(str(plain)) as film:
            packets = [bytes(packet) for packet in film.demux(film.streams.video[0]) if packet.size]
        for number, packet in enumerate(packets):  # after each temporal delimiter
            data = b"\x12\x00" + unit + packet.removeprefix(b"\x12\x00")
            given.append(struct.pack("<IQ", len(data), number) + data)
        head = struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, b"AV01", 128, 96, 25, 1, len(given), 0)
        raw.write_bytes(head + b"".join(given))
    else:
        raw, given = folder / f"raw.{codec}", ["-framerate", "25", "-f", codec]
        ffmpeg("-i", plain, "-c", "copy", "-f", codec, raw)
        slices = {"h264": rb"[\x65\x41\x61\x01\x21]", "hevc": rb"[\x00\x02\x0c\x0e\x10\x12\x26\x28\x2a]\x01"}
        starts = rb"\x00\x00\x00?\x01" + slices[codec]
        raw.write_bytes(re.sub(starts, lambda found: unit + found[0], raw.read_bytes()))
    if suffix == raw.suffix:
        return raw
    ffmpeg(*([] if codec == "av1" else given), "-i", raw, "-c", "copy", marked)
    return marked


@pytest.mark.parametrize("place", PLACES)
def test_a_marker_in_any_unit_of_a_copied_stream_stays_behind(place: str, tmp_path: Path) -> None:
    codec, unit = PLACES[place]
    for suffix in (".ivf", ".mkv") if codec == "av1" else (".mp4", ".mkv", ".ts"):
        source = planted(tmp_path, suffix, codec, unit)
        if suffix != ".mkv" or codec != "av1":  # whose writer drops some of them itself
            assert source.read_bytes().count(MARKER[:12]) >= 15
        product = cut_out(source, tmp_path / "1.mp4")
        assert (suffix, product.method, product.frames) == (suffix, "remux", 20)
        assert MARKER[:12] not in (tmp_path / "1.mp4").read_bytes()
