"""Reads a film with PyAV and NumPy alone, none of our code: its numbers, times, colours, orientation, fields, sound."""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import imageio_ffmpeg
import numpy as np
from av.audio.frame import AudioFrame
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from world import picture

Matrix = tuple[int, int, int, int]
Read = Callable[[NDArray[np.uint8]], int | None]
Colours = dict[str, tuple[float, float, float]]

_LAG_S = 0.02


@dataclass(frozen=True)
class Seen:
    """What a file shows: its tracks, its frames' numbers and times after the first one, and how they are to be shown.

    start: the first frame's time in the file. tail: how long the last frame is shown; both in seconds. colours: of the
    first frame, as stored and in 8 bits. matrix: of display. fields: per frame those of even and odd lines.
    """

    tracks: tuple[str, ...]
    codec: str
    tag: str
    numbers: tuple[int | None, ...]
    at: tuple[Fraction, ...]
    start: Fraction
    tail: Fraction
    tick: Fraction
    size: tuple[int, int]
    pixel: Fraction
    full: bool
    tags: tuple[int, int, int]
    matrix: Matrix
    colours: Colours
    fields: tuple[tuple[int | None, int | None], ...]
    flagged: frozenset[bool]
    corrupt: int


def see(path: Path, *, turned: Matrix = (1, 0, 0, 1), read: Read = picture.number_of) -> Seen:
    """Decode a film from end to end; `turned` is how its makers' picture is to be turned for showing.

    read: how the number is read from a picture, None for one that cannot be.
    """
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        context = video.codec_context
        frames = list(container.decode(video))
        tick = cast("Fraction", frames[0].time_base)
        pts = [cast("int", frame.pts) for frame in frames]
        matrix = _matrix(frames[0])
        upright = [_back(_turn(_plane(frame, 0), matrix), turned) for frame in frames]
        ratio = video.sample_aspect_ratio or Fraction(1)
        first = frames[0]
        planes = cast("Any", tuple(_back(_turn(_plane(first, n), matrix), turned) for n in range(3)))
        return Seen(
            tracks=tuple(stream.type for stream in container.streams),
            codec=context.codec.canonical_name,
            tag=context.codec_tag,
            numbers=tuple(map(read, upright)),
            at=tuple((p - pts[0]) * tick for p in pts),
            start=pts[0] * tick,
            tail=(frames[-1].duration or 0) * tick,
            tick=tick,
            size=(first.width, first.height),
            pixel=Fraction(ratio) if ratio else Fraction(1),
            full=int(first.color_range) == 2 or first.format.name.startswith("yuvj"),
            tags=(int(first.color_primaries), int(first.color_trc), int(first.colorspace)),
            matrix=matrix,
            colours=picture.colours_of(planes),
            fields=tuple(map(picture.fields_of, upright)),
            flagged=frozenset(bool(frame.interlaced_frame) for frame in frames),
            corrupt=sum(frame.is_corrupt for frame in frames),
        )


def _plane(frame: VideoFrame, index: int) -> NDArray[np.uint8]:
    """Return a plane of a YUV picture of 8 or 10 bits, in 8 bits."""
    plane, bits = frame.planes[index], frame.format.components[index].bits
    kind = np.dtype(np.uint8) if bits == 8 else np.dtype("<u2")
    held: NDArray[np.uint16] = np.frombuffer(cast("memoryview[int]", plane), kind)
    lines = held.reshape(plane.height, plane.line_size // kind.itemsize)[:, : plane.width]
    eight: NDArray[np.uint8] = (lines >> (bits - 8)).astype(np.uint8)
    return eight


def beside(frame: VideoFrame) -> Iterator[tuple[Type, bytes]]:
    """Yield what lies beside a frame, kind by kind."""
    for data in cast("Iterable[SideData]", frame.side_data):
        yield data.type, bytes(data)


def _matrix(frame: VideoFrame) -> Matrix:
    """Return the four numbers of the display matrix that turn and mirror: what x and y of the picture add to x, y."""
    for kind, data in beside(frame):
        if kind == Type.DISPLAYMATRIX:
            a, b, _, c, d, *_ = struct.unpack("=9i", data)
            return cast("Matrix", tuple(round(value / 65536) for value in (a, b, c, d)))
    return (1, 0, 0, 1)


def _turn(plane: NDArray[np.uint8], matrix: Matrix) -> NDArray[np.uint8]:
    a, b, c, d = matrix
    if a == 0:
        plane = plane.T
    if a + c < 0:
        plane = plane[:, ::-1]
    if b + d < 0:
        plane = plane[::-1]
    return plane


def _back(plane: NDArray[np.uint8], matrix: Matrix) -> NDArray[np.uint8]:
    a, b, c, d = matrix
    return _turn(plane, (a, c, b, d))


def order_of_fields(path: Path) -> str:
    """Return "t" or "b" where the first frame says that it is interlaced and which field comes first, else ""."""
    words = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-i", str(path), "-vf", "showinfo"]
    done = subprocess.run(
        [*words, "-frames:v", "1", "-f", "null", "-"], capture_output=True, text=True, errors="replace", check=True
    )
    found = re.search(r" i:([PTB]) ", done.stderr)
    assert found is not None, done.stderr
    return {"P": "", "T": "t", "B": "b"}[found[1]]


@dataclass(frozen=True)
class Heard:
    """The sound of a file: samples (-1 to 1) on a line of time without gaps; `first`: when the first one is heard.

    In seconds after the first frame of the picture; where nothing was said the line holds zeros. lasts: how long the
    file says that it is, in seconds, without what the last packet holds beyond.
    """

    codec: str
    hertz: int
    first: Fraction
    samples: NDArray[np.float64]
    lasts: Fraction

    def audible(self) -> tuple[Fraction, Fraction]:
        """Return when the sound begins and ends, to the sample that reaches a twentieth of the film's loudness."""
        loud = np.flatnonzero(np.abs(self.samples) > 0.05 * 9000 / 32768)
        return self.first + Fraction(int(loud[0]), self.hertz), self.first + Fraction(int(loud[-1]) + 1, self.hertz)

    def pitch(self, at: Fraction, *, seconds: float = 0.1) -> float:
        """Return the pitch (Hz) around an instant."""
        middle, half = round((at - self.first) * self.hertz), round(seconds * self.hertz / 2)
        piece = self.samples[middle - half : middle + half]
        spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), 1 << 16))
        return float(np.argmax(spectrum)) * self.hertz / (1 << 16)

    def lag(self, at: Fraction, *, shift: Fraction) -> Fraction:
        """Return by how much the sound is late around an instant where its pitch changes (s), to the sample.

        shift: which instant of the film's own sound is due at the time zero of this file (seconds).
        """
        reach, most = round(0.1 * self.hertz), round(_LAG_S * self.hertz)
        middle = round((at - self.first) * self.hertz)
        piece = self.samples[middle - reach : middle + reach]
        due = float(self.first + shift) + np.arange(middle - reach - most, middle + reach + most) / self.hertz
        match = np.correlate(picture.wave(due), piece, "valid")
        return Fraction(most - int(np.argmax(match)), self.hertz)


def hear(path: Path) -> Heard | None:
    """Decode the sound of a film, None where there is none."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        sound = container.streams.audio[0]
        frames: list[AudioFrame] = list(container.decode(sound))
        codec = sound.codec_context.codec.canonical_name
        lasts = (sound.duration or 0) * Fraction(sound.time_base or 0)
    with av.open(str(path)) as container:
        picture_start = min(
            cast("int", frame.pts) * cast("Fraction", frame.time_base)
            for frame, _ in zip(container.decode(video=0), range(4), strict=False)
        )
    if not frames:
        return Heard(codec, 1, Fraction(0), np.zeros(0), lasts)
    hertz = frames[0].sample_rate
    starts = [round(cast("int", f.pts) * cast("Fraction", f.time_base) * hertz) for f in frames]
    line = np.zeros(max(start + frame.samples for start, frame in zip(starts, frames, strict=True)) - starts[0])
    for start, frame in zip(starts, frames, strict=True):
        line[start - starts[0] :][: frame.samples] = _mono(frame)
    return Heard(codec, hertz, Fraction(starts[0], hertz) - picture_start, line, lasts)


def _mono(frame: AudioFrame) -> NDArray[np.float64]:
    array: NDArray[Any] = frame.to_ndarray()
    channels = frame.layout.nb_channels
    if not frame.format.is_planar:
        array = array.reshape(-1, channels).T
    scale = 1.0 if array.dtype.kind == "f" else float(np.iinfo(array.dtype).max)
    offset = 128 if array.dtype == np.uint8 else 0
    mono: NDArray[np.float64] = (array[0].astype(np.float64) - offset) / scale
    return mono
