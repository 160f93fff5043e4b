"""Nothing hides in a product: a marker is planted in every unit that is no picture, and found in none after."""

from __future__ import annotations

import re
import struct
from itertools import product as product_of
from typing import TYPE_CHECKING, Any

import av
import pytest
from av.stream import Disposition
from films import cut_out, ffmpeg, footage_file

from pipeline.media.clean import ONLY_PICTURES

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.whole  # films are encoded and decoded again, for seconds

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
        raw, pieces = folder / "raw.ivf", list[bytes]()
        with av.open(str(plain)) as film:
            packets = [bytes(packet) for packet in film.demux(film.streams.video[0]) if packet.size]
        for number, packet in enumerate(packets):  # after each temporal delimiter
            data = b"\x12\x00" + unit + packet.removeprefix(b"\x12\x00")
            pieces.append(struct.pack("<IQ", len(data), number) + data)
        head = struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, b"AV01", 128, 96, 25, 1, len(pieces), 0)
        raw.write_bytes(head + b"".join(pieces))
    else:
        raw = folder / f"raw.{codec}"
        ffmpeg("-i", plain, "-c", "copy", "-f", codec, raw)
        slices = {"h264": rb"[\x65\x41\x61\x01\x21]", "hevc": rb"[\x00\x02\x0c\x0e\x10\x12\x26\x28\x2a]\x01"}
        starts = rb"\x00\x00\x00?\x01" + slices[codec]
        raw.write_bytes(re.sub(starts, lambda found: unit + found[0], raw.read_bytes()))
    if suffix == raw.suffix:
        return raw
    ffmpeg(*([] if codec == "av1" else ["-framerate", "25", "-f", codec]), "-i", raw, "-c", "copy", marked)
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


@pytest.mark.parametrize("codec", ONLY_PICTURES)
def test_what_stands_in_a_source_is_in_no_encoded_product_and_encoders_sign_none(codec: Any, tmp_path: Path) -> None:
    for place in ("h264, user data", "h264, captions", "hevc, user data"):
        source = planted(tmp_path, ".mkv", *PLACES[place])
        product = cut_out(source, tmp_path / "1.mp4", codec=codec)
        data = (tmp_path / "1.mp4").read_bytes()
        assert (product.method, product.codec) == ("transcode", codec)
        assert not [word for word in (MARKER[:12], b"x264", b"x265", b"SVT", b"Lavc", b"Lavf", b"GA94") if word in data]


def test_the_parameter_sets_of_an_hevc_file_bring_no_sei_along(tmp_path: Path) -> None:
    for suffix in (".mp4", ".mkv"):
        source = footage_file(tmp_path / f"a{suffix}", codec="libx265", options={"preset": "ultrafast"})
        assert b"x265 (build" in source.read_bytes()
        assert cut_out(source, tmp_path / "1.mp4").method == "remux"
        assert b"x265" not in (tmp_path / "1.mp4").read_bytes()


@pytest.mark.parametrize(("suffix", "codec"), [(".avi", "mpeg4"), (".mp4", "mpeg4"), (".webm", "libvpx-vp9")])
def test_packets_that_no_filter_cleans_are_encoded_anew(suffix: str, codec: str, tmp_path: Path) -> None:
    source = footage_file(tmp_path / f"a{suffix}", codec=codec)
    assert cut_out(source, tmp_path / "1.mp4").method == "transcode"
    assert b"Lavc" not in (tmp_path / "1.mp4").read_bytes()


def test_nothing_of_what_a_container_says_besides_leaves(tmp_path: Path) -> None:
    words = {"title": "one", "comment": "two", "location": "three", "artist": "four", "make": "five"}
    film = footage_file(tmp_path / "film.mp4", tone_hz=440)
    chapters, subtitles, paper = tmp_path / "c.txt", tmp_path / "s.srt", tmp_path / "paper.txt"
    chapters.write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=900\ntitle=secret six\n")
    subtitles.write_text("1\n00:00:00,100 --> 00:00:02,000\nsecret seven\n")
    paper.write_text("secret eight")
    tags = [argument for name, word in words.items() for argument in ("-metadata", f"{name}=secret {word}")]
    kinds = ["handler_name=secret nine", "language=swe", "title=secret ten", "timecode=01:02:03:04"]
    tags += [argument for text in kinds for argument in ("-metadata:s:v", text)]
    tags += ["-disposition:v", "default+comment", "-metadata:s:a", "language=swe"]
    inputs = ["-i", film, "-i", chapters, "-i", subtitles, "-map", "0", "-map", "2", "-map_chapters", "1", "-c", "copy"]
    ffmpeg(*inputs, *tags, "-c:s", "mov_text", "-movflags", "use_metadata_tags", tmp_path / "a.mov")
    ffmpeg(*inputs, *tags, "-attach", paper, "-metadata:s:t", "mimetype=text/plain", tmp_path / "a.mkv")
    profiles: list[dict[str, Any]] = [{}, {"codec": "h264"}]
    for suffix, profile in product_of((".mov", ".mkv"), profiles):
        source = tmp_path / f"a{suffix}"
        assert b"secret" in source.read_bytes()
        cut_out(source, tmp_path / "1.mp4", audio=True, **profile)
        data = (tmp_path / "1.mp4").read_bytes()
        hidden = (b"secret", b"tmcd", b"text", b"chpl", b"VideoHandler", b"SoundHandler", b"Lav", b"paper")
        assert not [word for word in hidden if word in data]
        with av.open(str(tmp_path / "1.mp4")) as made:
            assert [stream.type for stream in made.streams] == ["video", "audio"]
            assert {stream.metadata.get("language", "und") for stream in made.streams} == {"und"}
            assert [stream.disposition for stream in made.streams] == [Disposition.default] * 2
