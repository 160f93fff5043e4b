"""Films with a mark in every place that can hold one: in the container, beside the picture, inside its packets."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import av

from world.bitstream import PACKETS, Mark, planted_units
from world.films import CONTAINERS, SLACK, Film, encode, ffmpeg
from world.odd import kind

HEAD: Final = "zQ7x"
"""How every mark begins; nothing else in the world holds it."""

_KINDS: Final[dict[str, str]] = {
    "mp4": "h264+aac hevc+aac av1+opus mpeg4+mp3 mjpeg+aac mpeg2video+aac h264+opus",
    "fragmented mp4": "h264+aac av1+opus",
    "mov": "h264+aac hevc+aac mjpeg+pcm_s16le mpeg4+pcm_s16le",
    "m4v": "mpeg4+aac",
    "3gp": "h264+aac",
    "matroska": "h264+aac hevc+opus av1+opus mpeg4+vorbis mpeg2video+ac3 mjpeg+vorbis vp8+vorbis vp9+opus theora+flac",
    "webm": "vp9+opus av1+vorbis",
    "avi": "h264+mp2 mpeg4+pcm_s16le mjpeg+pcm_s16le",
    "mpeg-ts": "h264+aac hevc+ac3 mpeg2video+mp2",
    "m2ts": "h264+ac3",
    "mpeg-ps": "mpeg1video+mp2 mpeg2video+mp2",
    "vob": "mpeg2video+ac3",
    "flv": "h264+aac flv1+mp3",
    "asf": "h264+aac mpeg4+mp3",
    "wmv": "wmv2+wmav2",
    "ogg": "theora+vorbis theora+opus",
    "ivf": "vp8 av1",
    "raw h264": "h264",
    "raw hevc": "hevc",
}


class Marks:
    """Hands out a mark for each place of a film, always the same for the same place."""

    def __init__(self, film: int) -> None:
        self._film = film
        self.places: dict[str, str] = {}

    def __call__(self, place: str) -> str:
        return self.places.setdefault(place, f"{HEAD}{self._film:02d}{len(self.places):03d}kW")


def planted() -> list[tuple[Film, Marks]]:
    """Return the films, each with its marks; these know their places once the film was written."""
    films: list[tuple[Film, Marks]] = []
    for container, kinds in _KINDS.items():
        for words in kinds.split():
            codec, _, sound = words.partition("+")
            marks = Marks(len(films))
            name = f"planted-{container.replace(' ', '-')}-{codec}-{sound}".strip("-").replace("_", "-")
            film = kind(name, container, codec, sound, full=codec == "mjpeg", make=partial(_write, marks=marks))
            film = replace(film, slack=Fraction(41, 1000) if container == "avi" else SLACK.get(sound, Fraction(0)))
            films.append((replace(film, suffix=f"-{marks('file name')}{film.suffix}"), marks))
    return films


def _write(film: Film, path: Path, *, marks: Marks) -> None:
    """Encode, plant into the packets, mux with all that the container takes beside them, plant into its bytes."""
    folder = path.parent
    base = kind("base", "matroska", film.codec, film.sound)
    plain, full, words = folder / "plain.mkv", folder / "full.mkv", list[str]()
    encode(base, plain, "-map_metadata", "-1")
    if film.codec in {"h264", "hevc"}:
        raw = folder / f"raw.{film.codec}"
        ffmpeg("-i", str(plain), "-map", "0:v", "-c", "copy", "-bsf:v", f"{film.codec}_mp4toannexb", str(raw))
        raw.write_bytes(planted_units(raw.read_bytes(), film.codec, marks))
        words += ["-r", "25", "-i", str(raw)]
    if {film.codec, film.sound} & PACKETS.keys():
        _plant_packets(plain, full, marks)
    else:
        plain.rename(full)
    words += ["-i", str(full), *beside(film, folder, marks, source=int(bool(words)))]
    ffmpeg(*words, "-f", *CONTAINERS[film.container][1], str(path))
    if plant := _BYTES.get(film.container):
        path.write_bytes(plant(path.read_bytes(), marks))
    for other in set(folder.iterdir()) - {path}:
        other.unlink()


def _plant_packets(source: Path, target: Path, marks: Marks) -> None:
    with av.open(str(source)) as given, av.open(str(target), "w", format="matroska") as out:
        # As they are: for some of these codecs libav has no encoder here.
        streams = {stream.index: out.add_stream_from_template(stream, opaque=True) for stream in given.streams}
        for packet in given.demux():
            if not packet.size:
                continue
            plant = PACKETS.get(packet.stream.codec_context.codec.canonical_name)
            new = av.Packet(plant(bytes(packet), marks) if plant else bytes(packet))
            new.pts, new.dts, new.duration, new.time_base = packet.pts, packet.dts, packet.duration, packet.time_base
            new.is_keyframe, new.stream = packet.is_keyframe, streams[packet.stream.index]
            out.mux(new)


# Beside the picture ---------------------------------------------------------------------------------------------------

_SUBTITLES: Final = {"mp4": "mov_text", "mov": "mov_text", "m4v": "mov_text", "matroska": "srt", "webm": "webvtt"}
_CHAPTERS: Final = frozenset({"mp4", "mov", "m4v", "matroska", "webm", "ogg", "asf", "wmv"})
_TAGS: Final = ("title", "artist", "comment", "copyright", "description", "location", "date", "album", "genre", "com.x")


def beside(film: Film, folder: Path, marks: Mark, *, source: int) -> list[str]:
    """Return ffmpeg's words for the streams, tags, chapters, subtitles, attachments and data a container takes.

    source: which input has the sound, and the picture too where it is 0.
    """
    form = film.container
    words, maps, count = list[str](), ["-map", "0:v:0"], source + 1
    if film.sound:
        maps += ["-map", f"{source}:a"]
    if form in _SUBTITLES:
        text = folder / "words.srt"
        text.write_text(f"1\n00:00:00,100 --> 00:00:02,800\n{marks('subtitle')}\n\n")
        words += ["-i", str(text)]
        maps += ["-map", str(count), "-c:s", _SUBTITLES[form], "-metadata:s:s:0", f"title={marks('subtitle title')}"]
        count += 1
    if form in _CHAPTERS:
        text = folder / "chapters.txt"
        chapter = "[CHAPTER]\nTIMEBASE=1/1000\nSTART={}\nEND={}\ntitle={}\n"
        text.write_text(";FFMETADATA1\n" + chapter.format(0, 1500, marks("chapter")) + chapter.format(1500, 3000, "b"))
        words += ["-f", "ffmetadata", "-i", str(text)]
        maps += ["-map_chapters", str(count)]
        count += 1
    if form in {"mp4", "matroska"}:
        cover = folder / "cover.jpg"
        encode(kind("cover", "matroska", "mjpeg", size=(160, 120)), folder / "cover.mkv", count=1)
        ffmpeg("-i", str(folder / "cover.mkv"), "-c", "copy", "-f", "mjpeg", str(cover))
        cover.write_bytes(PACKETS["mjpeg"](cover.read_bytes(), lambda place: marks(f"cover {place}")))
        if form != "matroska":
            words += ["-i", str(cover)]
            maps += ["-map", str(count), "-disposition:v:1", "attached_pic"]
        else:
            maps += ["-attach", str(cover), "-metadata:s:t", "mimetype=image/jpeg"]
            maps += ["-metadata:s:t", f"filename={marks('attachment name')}.jpg"]
    if form in {"mp4", "mov", "m4v"}:
        maps += ["-timecode", "10:11:12:00"]
        maps += ["-metadata:s:v:0", f"reel_name={marks('timecode reel')}"] if form == "mov" else []
    tags = [word for tag in _TAGS for word in ("-metadata", f"{tag}={marks(f'tag {tag}')}")]
    tags += ["-metadata", f"service_name={marks('service')}", "-metadata", f"service_provider={marks('provider')}"]
    for stream in ("v:0", "a:0") if film.sound else ("v:0",):
        tags += [f"-metadata:s:{stream}", f"handler_name={marks(f'handler {stream}')}"]
        tags += [f"-metadata:s:{stream}", f"title={marks(f'title of {stream}')}"]
    return [*words, *maps, "-c:v", "copy", "-c:a", "copy", *_strict(form), *tags]


def _strict(form: str) -> list[str]:
    return ["-strict", "-2", *(["-movflags", "+use_metadata_tags"] if form == "m4v" else [])]


# In the container's bytes ---------------------------------------------------------------------------------------------


def _box(name: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", 8 + len(payload)) + name + payload


_XMP_UUID: Final = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")


def _plant_mp4(data: bytes, mark: Mark) -> bytes:
    """Add boxes at the end, and to the index where nothing after it would move."""
    at, moov = 0, -1
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"moov":
            moov = at
        at += size
    inside = _box(b"udta", _box(b"\xa9xyz", b"\x00\x00\x00\x00" + mark("udta xyz").encode()))
    inside += _box(b"udta", _box(b"GPS ", mark("udta gps").encode()) + _box(b"ID32", mark("id32").encode()))
    inside += _box(b"uuid", bytes(16) + mark("uuid in moov").encode()) + _box(b"free", mark("free in moov").encode())
    size = int.from_bytes(data[moov : moov + 4], "big")
    if moov + size == len(data):
        data = data[:moov] + struct.pack(">I", size + len(inside)) + data[moov + 4 :] + inside
    data += _box(b"uuid", _XMP_UUID + mark("xmp").encode()) + _box(b"free", mark("free").encode())
    data += _box(b"skip", mark("skip").encode()) + _box(b"gps0", mark("unknown box").encode())
    return data + _box(b"mdat", mark("mdat nobody names").encode())


def _plant_ebml(data: bytes, mark: Mark) -> bytes:
    """Put a mark where the muxer signs, and a void element at the end."""
    signed = data.find(b"Lavf")
    length = next(n for n in range(4, 40) if data[signed + n] & 0x80 or data[signed + n] < 32)
    name = mark("muxing app").encode()
    assert length >= len(name), data[signed : signed + 40]
    data = data[:signed] + name + data[signed + len(name) :]
    void = mark("void").encode()
    return data + bytes([0xEC, 0x80 | len(void)]) + void


def _plant_riff(data: bytes, mark: Mark) -> bytes:
    more = b""
    for chunk in (b"JUNK", b"_PMX", b"id3 ", b"IDIT", b"gps0"):
        text = mark(f"chunk {chunk.decode()}").encode()
        more += chunk + struct.pack("<I", len(text)) + text + b"\x00" * (len(text) % 2)
    size = int.from_bytes(data[4:8], "little") + len(more)
    return data[:4] + struct.pack("<I", size) + data[8:] + more


def _plant_ts(data: bytes, mark: Mark, *, size: int = 188) -> bytes:
    """Put packets of no programme between others: empty ones, private ones, an ID3 tag."""
    out = bytearray(data[: 10 * size])
    for pid, place in ((0x1FFF, "null packet"), (0x0ABC, "private pid")):
        payload = b"\x00\x00\x01\xbd\x00\x40\x80\x00\x00ID3\x04" if pid == 0x0ABC else b""
        body = bytes([0x47, 0x40 | pid >> 8, pid & 0xFF, 0x10]) + payload + mark(place).encode()
        out += data[: size - 188] + body.ljust(188, b"\xff")
    # A packet of the picture's own stream without a payload: its adaptation field holds private data.
    video = next(p for p in range(9 * size, -1, -size) if _pid(data, p + size - 188) == 0x100)
    text = mark("adaptation field").encode()
    count = data[video + size - 188 + 3] & 0x0F
    body = bytes([0x47, 0x01, 0x00, 0x20 | count, 183, 0x02, len(text)]) + text
    out += data[: size - 188] + body.ljust(188, b"\xff")
    return bytes(out) + data[10 * size :]


def _pid(data: bytes, at: int) -> int:
    return int.from_bytes(data[at + 1 : at + 3], "big") & 0x1FFF


def _plant_ps(data: bytes, mark: Mark) -> bytes:
    """Put a padding packet and a private packet before the second and later packs."""
    more = b""
    for stream, place in ((0xBE, "padding packet"), (0xBF, "private stream 2")):
        text = mark(place).encode()
        more += b"\x00\x00\x01" + bytes([stream]) + struct.pack(">H", len(text)) + text
    at = data.find(b"\x00\x00\x01\xba", 4)
    return data[:at] + more + data[at:]


def _plant_flv(data: bytes, mark: Mark) -> bytes:
    """Put a tag of text after the header."""
    text = mark("script tag").encode()
    body = b"\x02\x00\x0aonTextData" + b"\x08\x00\x00\x00\x01\x00\x04text\x02" + struct.pack(">H", len(text)) + text
    body += b"\x00\x00\x09"
    tag = b"\x12" + len(body).to_bytes(3, "big") + bytes(7) + body
    return data[:13] + tag + struct.pack(">I", len(tag)) + data[13:]


def _plant_asf(data: bytes, mark: Mark) -> bytes:
    text = mark("unknown object").encode()
    return data + bytes(range(16)) + struct.pack("<Q", 24 + len(text)) + text


_BYTES: Final[dict[str, Callable[[bytes, Mark], bytes]]] = {
    **dict.fromkeys(("mp4", "mov", "m4v", "3gp", "fragmented mp4"), _plant_mp4),
    **dict.fromkeys(("matroska", "webm"), _plant_ebml),
    "avi": _plant_riff,
    "mpeg-ts": _plant_ts,
    "m2ts": cast("Any", partial(_plant_ts, size=192)),
    "mpeg-ps": _plant_ps,
    "vob": _plant_ps,
    "flv": _plant_flv,
    **dict.fromkeys(("asf", "wmv"), _plant_asf),
}
