"""What of a clip's stream may leave: the parts that pictures are made of, and how they are to be shown.

Cameras and editors write places, speeds, names and captions between the pictures, so what leaves is listed here and not
what stays. What hides inside the coded picture itself no filter of packets finds; re-encoding leaves it behind.
"""

from __future__ import annotations

import math
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import av
import numpy as np

from pipeline.media.decode import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from av.sidedata.sidedata import SideData
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
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file", "fflags": "-genpts"}
    with (
        suppress(av.FFmpegError, StopIteration),
        av.open(f"file:{path.resolve()}", "r", options=options, metadata_errors="replace") as container,
    ):
        video = cast("VideoStream", container.streams[track])
        video.codec_context.thread_count = 1
        if seek_pts is not None:
            container.seek(seek_pts, stream=video)
        frame = next(container.decode(video))
        told: dict[str, Any] = {}
        for data in cast("Iterator[SideData]", iter(frame.side_data)):  # not a mapping from its keys, as its type says
            told |= _options(data.type.name, bytes(cast("bytes", data)))
        return Shown(bool(frame.interlaced_frame), told)
    return PLAIN


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
