"""Clips to be broken: small ones of every container and codec that is taken, and the ways in which they are damaged.

All follows from a seed and a number: the same two give the same bytes again, as long as the encoders stay the same.
"""

from __future__ import annotations

import random
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.media.encode import encode
from pipeline.media.transcode import program

_WIDTH, _HEIGHT, _FRAMES, _RATE, _GOP = 128, 96, 20, Fraction(25), 8
_LARGEST = 200_000  # bytes of a foreign clip that is broken as well

# What is made by name: suffix, encoder, its options, and whether there is sound.
_MADE: dict[str, tuple[str, str, dict[str, str], bool]] = {
    "mp4-h264": (".mp4", "libx264", {}, True),
    "mp4-hevc": (".mp4", "libx265", {}, False),
    "mp4-av1": (".mp4", "libsvtav1", {"preset": "10"}, False),
    "mp4-mpeg4": (".mp4", "mpeg4", {}, False),
    "mov-mjpeg": (".mov", "mjpeg", {}, False),
    "3gp-h263": (".3gp", "h263", {}, False),
    "mkv-h264": (".mkv", "libx264", {}, True),
    "mkv-hevc": (".mkv", "libx265", {}, False),
    "mkv-mpeg2": (".mkv", "mpeg2video", {}, False),
    "webm-vp9": (".webm", "libvpx-vp9", {}, True),
    "webm-vp8": (".webm", "libvpx", {}, False),
    "avi-mpeg4": (".avi", "mpeg4", {}, True),
    "avi-mjpeg": (".avi", "mjpeg", {}, False),
    "avi-msmpeg4": (".avi", "msmpeg4", {}, False),
    "avi-raw": (".avi", "rawvideo", {}, False),
    "mkv-ffv1": (".mkv", "ffv1", {}, False),
    "ts-h264": (".ts", "libx264", {}, True),
    "ts-hevc": (".ts", "libx265", {}, False),
    "ts-mpeg2": (".ts", "mpeg2video", {}, False),
    "mpg-mpeg1": (".mpg", "mpeg1video", {}, False),
    "mpg-mpeg2": (".mpg", "mpeg2video", {}, True),
    "flv-h264": (".flv", "libx264", {}, True),
    "flv-flv1": (".flv", "flv", {}, False),
    "asf-wmv2": (".asf", "wmv2", {}, False),
}
# What else is made of one of them by ffmpeg, without decoding: suffix, of which, options.
_REPACKED: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "mp4-fragments": (".mp4", "mp4-h264", ("-movflags", "frag_keyframe+empty_moov")),
    "mp4-index-first": (".mp4", "mp4-h264", ("-movflags", "faststart")),
    "m2ts-h264": (".m2ts", "mp4-h264", ()),
    "ps-h264": (".mpg", "mp4-h264", ("-an", "-f", "vob")),
    "mkv-av1": (".mkv", "mp4-av1", ()),
}

Chunk: TypeAlias = tuple[int, int, int]
"""Where a part of a container begins, where its content does, and where it ends."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A clip before it is broken."""

    name: str
    suffix: str
    data: bytes


def wholes(folder: Path, foreign: Path | None = None) -> list[Whole]:
    """Make the clips in `folder`, and take the small ones of a folder of foreign ones as well, if there is one."""
    made = []
    for name, (suffix, codec, options, sound) in _MADE.items():
        path = folder / f"{name}{suffix}"
        encode(path, _pictures(), rate=_RATE, codec=codec, options=options, gop=_GOP, tone_hz=400 if sound else None)
        made.append(Whole(name, suffix, path.read_bytes()))
    for name, (suffix, source, options_of) in _REPACKED.items():
        path, origin = folder / f"{name}{suffix}", next(folder.glob(f"{source}.*"))
        words = [program(), "-v", "error", "-nostdin", "-y", "-i", str(origin), "-c", "copy", *options_of, str(path)]
        subprocess.run(words, check=True)
        made.append(Whole(name, suffix, path.read_bytes()))
    found = sorted(foreign.iterdir()) if foreign is not None and foreign.is_dir() else []
    return made + [
        Whole(f"odd-{path.stem}", path.suffix, path.read_bytes())
        for path in found
        if path.suffix not in {".md", ".json", ".txt"} and path.is_file() and path.stat().st_size <= _LARGEST
    ]


def _pictures() -> Iterator[NDArray[np.uint8]]:
    """I420 pictures of a scene before a camera that shakes: every part of `measure` has something to do."""
    rng = np.random.default_rng(7)
    scene = np.kron(rng.integers(40, 200, (16, 20)), np.ones((8, 8))).astype(np.uint8)
    for number in range(_FRAMES):
        picture = np.full((_HEIGHT * 3 // 2, _WIDTH), 128, np.uint8)
        down, right = (int(at) for at in rng.integers(0, 7, 2)) if number % 3 else (0, 0)
        picture[:_HEIGHT] = scene[down : down + _HEIGHT, right : right + _WIDTH]
        picture[30:50, 6 * number : 6 * number + 24] = 250
        yield picture


def mutant(clips: Sequence[Whole], seed: int, number: int) -> tuple[Whole, bytes]:
    """Return the broken clip of that number and the clip it was; the clips take turns, one to four damages each."""
    rng = random.Random(f"{seed}/{number}")  # noqa: S311 - chance that can be repeated
    whole = clips[number % len(clips)]
    data = bytearray(whole.data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        damage = rng.choice(_DAMAGES)
        damage(data, rng, clips)
        if not data:
            break
    return whole, bytes(data)


def chunks(data: bytes) -> list[Chunk]:
    """Return the parts of a container by what its first bytes say it is: boxes, elements, packets, units; or blocks."""
    found: list[Chunk] = []
    if data[4:8] in {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"}:
        _boxes(data, 0, len(data), found)
    elif data[:4] == b"\x1a\x45\xdf\xa3":
        _elements(data, 0, len(data), found)
    elif data[:4] == b"RIFF":
        _riff(data, 0, len(data), found)
    elif data[:3] == b"FLV":
        _tags(data, found)
    elif data[:4] == b"\x30\x26\xb2\x75":
        _objects(data, found)
    elif data[:1] == b"\x47" and data[188:189] == b"\x47":
        found = [(at, at + 4, at + 188) for at in range(0, len(data), 188)]
    elif data[4:5] == b"\x47" and data[196:197] == b"\x47":
        found = [(at, at + 8, at + 192) for at in range(0, len(data), 192)]
    elif data[:3] == b"\0\0\1" or data[:4] == b"\0\0\0\1":
        starts = []
        at = data.find(b"\0\0\1")
        while at >= 0:
            starts.append(at)
            at = data.find(b"\0\0\1", at + 3)
        found = [(a, a + 4, b) for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]
    return found or [(at, at + 16, min(at + 256, len(data))) for at in range(0, len(data), 256)]


def _boxes(data: bytes, start: int, end: int, found: list[Chunk]) -> None:
    while start + 8 <= end and len(found) < 5000:
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        head = 8
        if size == 1 and start + 16 <= end:
            size, head = int.from_bytes(data[start + 8 : start + 16]), 16
        stop = end if size == 0 else start + size
        if (size and size < head) or stop > end:
            return
        found.append((start, start + head, stop))
        if kind in {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf", b"mvex", b"edts", b"udta"}:
            _boxes(data, start + head, stop, found)
        elif kind == b"stsd":
            _boxes(data, start + head + 8, stop, found)
        elif kind in {b"avc1", b"hvc1", b"hev1", b"av01", b"mp4v", b"jpeg", b"s263"}:
            _boxes(data, start + head + 78, stop, found)
        start = stop


_MASTERS = {
    0x18538067,
    0x1F43B675,
    0x1654AE6B,
    0xAE,
    0xE0,
    0xE1,
    0x1549A966,
    0x1C53BB6B,
    0xBB,
    0xA0,
    0x114D9B74,
    0x4DBB,
}


def _elements(data: bytes, start: int, end: int, found: list[Chunk]) -> None:
    while start < end and len(found) < 5000:
        wide = 9 - data[start].bit_length()
        if wide > 4 or start + wide >= end:
            return
        name = int.from_bytes(data[start : start + wide])
        first = data[start + wide]
        long = 9 - first.bit_length()
        if long > 8:
            return
        size = int.from_bytes(data[start + wide : start + wide + long]) & ((1 << 7 * long) - 1)
        head = start + wide + long
        stop = end if size == (1 << 7 * long) - 1 else head + size
        if stop > end:
            return
        found.append((start, head, stop))
        if name in _MASTERS:
            _elements(data, head, stop, found)
        start = stop


def _riff(data: bytes, start: int, end: int, found: list[Chunk]) -> None:
    while start + 8 <= end and len(found) < 5000:
        kind, size = struct.unpack("<4sI", data[start : start + 8])
        stop = start + 8 + size + size % 2
        if stop > end:
            return
        found.append((start, start + 8, stop))
        if kind in {b"RIFF", b"LIST"}:
            _riff(data, start + 12, stop, found)
        start = stop


def _tags(data: bytes, found: list[Chunk]) -> None:
    start = 13
    while start + 11 <= len(data):
        stop = start + 11 + int.from_bytes(data[start + 1 : start + 4]) + 4
        found.append((start, start + 11, min(stop, len(data))))
        start = stop


def _objects(data: bytes, found: list[Chunk]) -> None:
    start = 0
    while start + 24 <= len(data):
        size = int.from_bytes(data[start + 16 : start + 24], "little")
        if size < 24 or start + size > len(data):
            break
        found.append((start, start + 24, start + size))
        start += 30 if data[start : start + 4] == b"\x30\x26\xb2\x75" else size  # into the header's own objects


_NUMBERS = (0, 1, 2, 3, 7, 8, 15, 16, 127, 128, 255, 256, 1023, 4096, 8192, 16_384, 32_767, 32_768, 65_535, 65_536)
_LARGE = (2**24 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)

Damage: TypeAlias = Callable[[bytearray, random.Random, Sequence[Whole]], None]


def _put_number(data: bytearray, at: int, rng: random.Random) -> None:
    """Overwrite one to eight bytes by a number that programs stumble over, or by the one there, a little changed."""
    wide = rng.choice((1, 2, 2, 3, 4, 4, 4, 8))
    order: Literal["big", "little"] = rng.choice(("big", "big", "little"))
    there = int.from_bytes(data[at : at + wide], order)
    number = rng.choice((*_NUMBERS, *_LARGE, there + 1, there - 1, there * 2, there // 2, -there))
    data[at : at + wide] = (number % 256**wide).to_bytes(wide, order)


def _somewhere(data: bytearray, rng: random.Random) -> int:
    """Return a place, in every second case near the beginning, where headers are."""
    return rng.randrange(min(len(data), 600) if rng.random() < 0.5 else len(data))


def _flip_bits(data: bytearray, rng: random.Random, _: Sequence[Whole]) -> None:
    for _flip in range(rng.choice((1, 1, 2, 4, 8, 32))):
        data[_somewhere(data, rng)] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, rng: random.Random, _: Sequence[Whole]) -> None:
    at, size = _somewhere(data, rng), rng.choice((1, 2, 4, 16, 64, 256, 1024))
    what = rng.choice((b"\0" * size, b"\xff" * size, rng.randbytes(size), b"%n\\u202e\n"[: size % 9 or 1]))
    data[at : at + size] = what[: len(data) - at]


def _cut_off(data: bytearray, rng: random.Random, _: Sequence[Whole]) -> None:
    del data[rng.randrange(len(data)) if rng.random() < 0.7 else -rng.randint(1, 64) :]


def _cut_out(data: bytearray, rng: random.Random, _: Sequence[Whole]) -> None:
    at = _somewhere(data, rng)
    del data[at : at + rng.choice((1, 2, 3, 7, 47, 188, 500, 3000))]


def _insert(data: bytearray, rng: random.Random, _: Sequence[Whole]) -> None:
    at = _somewhere(data, rng)
    data[at:at] = rng.randbytes(rng.choice((1, 2, 5, 47, 188, 1000)))


def _splice(data: bytearray, rng: random.Random, clips: Sequence[Whole]) -> None:
    """Go on with another clip, in every second case one of the same container."""
    alike = [one for one in clips if one.data[:4] == data[:4]] if rng.random() < 0.5 else []
    other = rng.choice(alike or list(clips)).data
    at = rng.randrange(len(data))
    start = at if at < len(other) and rng.random() < 0.5 else rng.randrange(len(other))
    data[at:] = other[start:]


def _number(data: bytearray, rng: random.Random, _: Sequence[Whole]) -> None:
    for _one in range(rng.choice((1, 1, 2))):
        _put_number(data, _somewhere(data, rng), rng)


def _of_chunk(data: bytearray, rng: random.Random, _: Sequence[Whole]) -> None:
    """Change the size or another number at the head of a part, or one of the first of its content."""
    start, head, end = rng.choice(chunks(bytes(data)))
    at = rng.randrange(start, head) if rng.random() < 0.6 else min(head + rng.randrange(64), end - 1)
    _put_number(data, min(at, len(data) - 1), rng)


def _drop_chunk(data: bytearray, rng: random.Random, _: Sequence[Whole]) -> None:
    start, _head, end = rng.choice(chunks(bytes(data)))
    del data[start:end]


def _double_chunk(data: bytearray, rng: random.Random, _: Sequence[Whole]) -> None:
    start, _head, end = rng.choice(chunks(bytes(data)))
    copies = rng.choice((1, 1, 2, 50)) if end - start < 2000 else 1
    data[end:end] = data[start:end] * copies


def _swap_chunks(data: bytearray, rng: random.Random, _: Sequence[Whole]) -> None:
    parts = chunks(bytes(data))
    first, second = sorted((rng.choice(parts), rng.choice(parts)))
    if first[2] <= second[0]:
        a, b = data[first[0] : first[2]], data[second[0] : second[2]]
        data[second[0] : second[2]] = a
        data[first[0] : first[2]] = b


_DAMAGES: tuple[Damage, ...] = (
    *(_flip_bits, _flip_bits, _overwrite, _cut_off, _cut_out, _insert, _splice, _number, _number),
    *(_of_chunk, _of_chunk, _of_chunk, _of_chunk, _drop_chunk, _double_chunk, _swap_chunks),
)
