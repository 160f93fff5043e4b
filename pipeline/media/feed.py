"""Decoded frames on their way to the ffmpeg program, each at the time and with the picture that our reader gives it.

ffmpeg finds other times where a file states none, repeats or mixes them, and its decoder may conceal other damage.
"""

from __future__ import annotations

from contextlib import contextmanager
from fractions import Fraction
from itertools import chain
from typing import IO, TYPE_CHECKING, Any, Final

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, VideoReformatter

from pipeline.errors import ClipError
from pipeline.media.container import said
from pipeline.media.decode import open_video
from pipeline.media.luma import UPRIGHT
from pipeline.media.veil import FILL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.container import OutputContainer

    from pipeline.clip import Stream
    from pipeline.media.clean import Shown
    from pipeline.media.decode import Video
    from pipeline.media.veil import Veil

# Where chroma is sampled is not told by PyAV. Their decoders say in the middle, all others to the left or nothing.
_CENTERED: Final = frozenset({"mjpeg", "mpeg1video", "h263", "flv1", "theora"})
# FFV1 without what makes it small: it is read at once.
_QUICK: Final = {"level": "3", "coder": "rice", "context": "0", "slicecrc": "0"}
# Where two streams meet, ffmpeg counts in microseconds instead of their own unit if it is finer than this.
_FINEST: Final = 200_000
_COARSE: Final = Fraction(1, 90_000)


class Feed:
    """The frames of one part of a clip, without loss, from pts 0 on. Made by `open_feed`.

    filters: those of ffmpeg, by name, that say again of the frames what a file of them cannot carry: the meaning of
    their colours and the shape of their pixels. veil: what is covered of them; then a second stream has a picture for
    each frame, one pixel a block, opaque where it is covered. time_base: the unit that pts are written in: not the
    clip's own where ffmpeg would not keep that.
    """

    def __init__(
        self, video: Video, frames: Iterator[tuple[int, VideoFrame]], *, fields: bool, veil: Veil | None = None
    ) -> None:
        """frames: those to write, at least one; fields: whether some of them have two."""
        self._video, self._fields, self.veil = video, fields, veil
        fine = veil is not None and video.time_base.denominator > _FINEST
        self.time_base = _COARSE if fine else video.time_base
        self._first_pts, frame = self._first = next(frames)
        self._frames = frames
        said_nothing = {"range": 0, "color_primaries": 2, "color_trc": 2, "colorspace": 2}
        told: dict[str, Any] = {
            "range": ColorRange.JPEG if frame.format.name.startswith("yuvj") else frame.color_range,
            "color_primaries": frame.color_primaries,
            "color_trc": frame.color_trc,
            "colorspace": frame.colorspace,
        }
        told = {name: int(value) for name, value in told.items() if value != said_nothing[name]}
        if video.codec in _CENTERED:
            told["chroma_location"] = "center"
        self.filters: dict[str, dict[str, Any]] = {"setparams": told} if told else {}
        if shape := video.pixel_shape:  # ffmpeg has turned the picture before
            shape = 1 / shape if video.turn.transposed else shape
            self.filters["setsar"] = {"sar": f"{shape.numerator}/{shape.denominator}"}

    def options(self, shown: Shown) -> dict[str, Any]:
        """Return how `shown` says it of ffmpeg's input; what no quarter turns is shown as it is stored, as we do."""
        turned = self._video.turn != UPRIGHT
        return {
            name.replace(":v", ":v:0"): value  # not of what covers them
            for name, value in shown.options.items()
            if turned or not name.startswith("display_")
        }

    def write(self, to: IO[bytes]) -> None:
        """Write the frames as NUT. Raises ClipError ("decode") for the source, OSError for what it is written to.

        Where frames have fields, FFV1 keeps with each which comes first; uncompressed frames, forty times as fast to
        write, cannot say it.
        """
        fields, base, scaler = self._fields, self.time_base, VideoReformatter()
        try:
            with av.open(to, "w", format="nut", buffer_size=1 << 20) as container:
                first = _plain(self._first[1], scaler, fields=fields)
                stream = container.add_stream("ffv1" if fields else "rawvideo")
                context = stream.codec_context
                context.width, context.height, context.pix_fmt = first.width, first.height, first.format.name
                context.time_base = stream.time_base = base
                context.thread_count, context.options = 1, _QUICK if fields else {}
                cover = None if self.veil is None else _CoverStream(container, self.veil, base)
                for pts, given in chain([self._first], self._frames):
                    frame = _plain(given, scaler, fields=fields)
                    frame.pts, frame.time_base = pts - self._first_pts, base
                    container.mux(stream.encode(frame))
                    if cover is not None:
                        cover.write(pts, frame.pts)
                container.mux(stream.encode(None))
        except BrokenPipeError:
            raise
        except (av.FFmpegError, ValueError) as error:
            raise ClipError("transcode", f"its frames cannot be handed on: {said(error)}") from error


class _CoverStream:
    """What covers the frames, as a stream of small pictures beside them: black, opaque or not, one pixel a block."""

    def __init__(self, container: OutputContainer, veil: Veil, base: Fraction) -> None:
        self._stream = container.add_stream("rawvideo")
        context = self._stream.codec_context
        context.width, context.height, context.pix_fmt = veil.columns, veil.rows, "yuva420p"
        context.time_base = self._stream.time_base = base
        self._container, self._veil, self._base = container, veil, base

    def write(self, pts: int, at: int) -> None:
        """Write what covers the frame with these pts in the clip and in the stream."""
        picture = VideoFrame(self._veil.columns, self._veil.rows, "yuva420p")
        opaque = np.where(self._veil.blocks(pts), np.uint8(255), np.uint8(0))
        for number, plane in enumerate(picture.planes):
            lines = np.zeros((plane.height, plane.line_size), np.uint8)
            lines[:, : plane.width] = FILL[number] if number < len(FILL) else opaque
            plane.update(lines.tobytes())
        picture.pts, picture.time_base = at, self._base
        self._container.mux(self._stream.encode(picture))


@contextmanager
def open_feed(
    source: Path, known: Stream, *, start_pts: int, stop_pts: int, fields: bool, veil: Veil | None = None
) -> Iterator[Feed]:
    """Open the frames with start_pts <= pts < stop_pts. Raises ClipError like `open_video`, "cut" where there is none.

    known: what an earlier pass found, see `open_video`. fields: whether frames have two fields. veil: what is covered.
    """
    with open_video(source, loop_filter=True, start_pts=start_pts, known=known) as video:
        yield Feed(video, _between(video, start_pts, stop_pts), fields=fields, veil=veil)


def _between(video: Video, start_pts: int, stop_pts: int) -> Iterator[tuple[int, VideoFrame]]:
    found = False
    for pts, frame in video.frames():
        if pts >= stop_pts:
            break
        if pts >= start_pts:
            found = True
            yield pts, frame
    if not found:
        raise ClipError("cut", f"no frame lies from {start_pts} to {stop_pts}; ask for a longer time")


def _plain(frame: VideoFrame, scaler: VideoReformatter, *, fields: bool) -> VideoFrame:
    """Return the frame in a format that is read as it is written: NUT keeps no palette, FFV1 no name for full range."""
    name = frame.format.name
    if frame.format.has_palette:
        return scaler.reformat(frame, format="bgra", threads=1)
    if fields and name.startswith("yuvj"):
        full = ColorRange.JPEG
        plain = name.replace("yuvj", "yuv")
        return scaler.reformat(frame, format=plain, src_color_range=full, dst_color_range=full, threads=1)
    return frame
