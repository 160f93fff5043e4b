"""What of a clip's stream may leave: the parts that pictures are made of, and how they are to be shown.

Cameras and editors write places, speeds, names and captions between the pictures, so what leaves is listed here and not
what stays. What hides inside the coded picture itself no filter of packets finds; re-encoding leaves it behind.
"""

from __future__ import annotations

import math
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import av
import numpy as np

from pipeline.errors import ClipError
from pipeline.media.container import open_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from av.sidedata.sidedata import SideData
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Units by the number of their type. H.264: slices, parameter sets, end of sequence; HEVC: slices of pictures that it
# defines, parameter sets, ends; AV1: headers of sequences and frames, tiles. Not: SEI, delimiters, filler, metadata,
# padding, auxiliary and further layers, and all that nobody has defined. The second filter writes each header anew, so
# that nothing trails it.
ONLY_PICTURES: Final = {
    "h264": "filter_units=pass_types=1-5|7|8|10,h264_metadata",
    "hevc": "filter_units=pass_types=0-9|16-21|32-34|36|37,hevc_metadata",
    "av1": "filter_units=pass_types=1|3|4|6|7,av1_metadata",
}
"""The codecs whose packets are copied, and ffmpeg's filters that let nothing else through.

MPEG-4, VP9, MJPEG and the rest are encoded anew: no filter knows their user data, comments and trailing bytes.
"""

# Captions, time codes, profiles of colour and whatever came with a frame; what is left says how to show it.
NO_SIDE_DATA: Final = (
    "A53_CC", "AFD", "GOP_TIMECODE", "ICC_PROFILE", "S12M_TIMECODE", "DYNAMIC_HDR_PLUS", "DYNAMIC_HDR_VIVID",
    "SEI_UNREGISTERED", "FILM_GRAIN_PARAMS", "DETECTION_BOUNDING_BOXES", "DOVI_RPU_BUFFER", "DOVI_METADATA",
)  # fmt: skip
"""The side data of decoded frames that ffmpeg is to forget before it encodes them."""


# The boxes that lead to a codec's description, and how much of their own stands before what is in them.
_WAY: Final = {b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0, b"stsd": 8, b"hvc1": 78, b"av01": 78}


@dataclass(frozen=True, slots=True)
class Shown:
    """How a stream says it is to be shown. Made by `shown_as`.

    interlaced: whether its frames are two fields. options: of ffmpeg's input, what packets lose with their SEI and an
    MP4 says for itself: orientation, mastering display and light level. The colours' meaning is the codec's own.
    """

    interlaced: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


PLAIN: Final = Shown()
"""Progressive and upright, with nothing to tell."""


def shown_as(path: Path, track: int, *, seek_pts: int | None = None) -> Shown:
    """Return how the stream with this number is to be shown, by the first frame from `seek_pts` on that decodes."""
    with (
        suppress(av.FFmpegError, StopIteration),
        open_file(path) as container,
    ):
        video = cast("VideoStream", container.streams[track])
        video.codec_context.thread_count = 1
        if seek_pts is not None:
            container.seek(seek_pts, stream=video)
        return shown_of(next(container.decode(video)))
    return PLAIN


def shown_of(frame: VideoFrame) -> Shown:
    """Return how a stream is to be shown, by its first frame."""
    told: dict[str, Any] = {}
    for data in cast("Iterator[SideData]", iter(frame.side_data)):  # not a mapping from its keys, as its type says
        told |= _options(data.type.name, bytes(cast("bytes", data)))
    return Shown(bool(frame.interlaced_frame), told)


def clean_head(path: Path) -> None:
    """Take out of the head of an MP4 what its codec's description brings besides parameter sets; no size changes.

    ffmpeg's filters see the packets alone, and its writer copies SEI of hvcC and metadata of av1C as they are.
    """
    with path.open("r+b") as file:
        for kind, start, end in _boxes(file, 0, file.seek(0, 2)):
            if kind not in {b"hvcC", b"av1C"}:
                continue
            file.seek(start)
            old = file.read(end - start)
            try:
                new = _only_sets(old) if kind == b"hvcC" else _only_sequence(old)
            except IndexError as error:
                raise ClipError("transcode", "the description of its codec cannot be read") from error
            if spare := len(old) - len(new):  # a box of its own keeps the place: free, and empty
                new += struct.pack(">I4s", spare, b"free") + bytes(spare - 8)
                file.seek(start - 8)
                file.write(struct.pack(">I", 8 + len(old) - spare))
            file.seek(start)
            file.write(new)


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind, start and end of what is in each box on the way to the descriptions of codecs."""
    while start + 8 <= end:
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", file.read(8))[0], 16
        if size < head:
            return
        yield kind, start + head, start + size
        if kind in _WAY:
            yield from _boxes(file, start + head + _WAY[kind], start + size)
        start += size


def _only_sets(config: bytes) -> bytes:
    """Return an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1) with its VPS, SPS and PPS alone."""
    kept, at = [], 23
    for _ in range(config[22]):
        begun, kind, units = at, config[at] & 63, int.from_bytes(config[at + 1 : at + 3])
        at += 3
        for _ in range(units):
            at += 2 + int.from_bytes(config[at : at + 2])
        if kind in {32, 33, 34}:
            kept.append(config[begun:at])
    return config[:22] + bytes([len(kept)]) + b"".join(kept)


def _only_sequence(config: bytes) -> bytes:
    """Return an AV1CodecConfigurationRecord in which all but the sequence header is empty padding."""
    new, at = bytearray(config), 4
    while at < len(config):
        kind, size, shift, begun = config[at] >> 3 & 15, 0, 0, at
        at += 2 if config[at] & 4 else 1
        if config[begun] & 2:
            while True:
                byte = config[at]
                size |= (byte & 127) << shift
                at, shift = at + 1, shift + 7
                if byte < 128:
                    break
        else:
            size = len(config) - at
        if kind != 1:
            new[begun] = 15 << 3 | config[begun] & 6
            new[at : at + size] = bytes(size)
        at += size
    return bytes(new)


def _options(kind: str, data: bytes) -> dict[str, Any]:
    """Say one kind of side data of a frame in the words of ffmpeg's options."""
    if kind == "DISPLAYMATRIX":
        a, b, _, c, d = struct.unpack("5i", data[:20])
        mirrored = a * d - b * c < 0
        turn = round(math.degrees(math.atan2(c, -a if mirrored else a)))
        return {"display_rotation:v": turn} | ({"display_hflip:v": None} if mirrored else {})
    if kind == "CONTENT_LIGHT_LEVEL":
        return {"content_light:v": ",".join(map(str, struct.unpack("2I", data[:8])))}
    if kind == "MASTERING_DISPLAY_METADATA" and all(struct.unpack("2i", data[80:88])):
        above, below = np.frombuffer(data[:80], np.int32).reshape(10, 2).T.astype(float)
        red, green, blue, white = np.rint(50_000 * above / below)[:8].astype(int).reshape(4, 2)
        least, most = np.rint(10_000 * above / below)[8:].astype(int)
        points = zip("GBR", (green, blue, red), strict=True)
        shape = "".join(f"{name}({x},{y})" for name, (x, y) in [*points, ("WP", white)])
        return {"mastering_display:v": f"{shape}L({most},{least})"}
    return {}
