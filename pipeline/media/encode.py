"""Encodes footage: films of simulated streets, and the clips of tests. Cuts are encoded by ffmpeg, see transcode.

No libav exception leaves this module.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from pipeline.media.container import said
from pipeline.span import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

SAME_EVERYWHERE: Final = "cpu-independent=1"
"""Of x264: on a processor with AVX-512 its look ahead reads memory that nobody wrote, so that a film came out otherwise
after each other one that had been decoded in the same process."""
_TONE_RATE: Final = 16_000
_TONE_CODEC: Final = {".avi": "pcm_s16le", ".ts": "mp2", ".mpg": "mp2", ".webm": "libopus"}
_OWN_OPTIONS: Final = {
    "libx265": ("x265-params", "pools=none:frame-threads=1:log-level=none:scenecut=0"),
    "libsvtav1": ("svtav1-params", "lp=1"),
}


def encode(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    *,
    rate: Fraction,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    codec: str = "libx264",
    options: Mapping[str, str] | None = None,
    gop: int = 30,
    tone_hz: int | None = None,
    created_ns: int | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write footage on one thread: the same frames and arguments give the same bytes.

    frames: I420 pictures, uint8 (H * 3 // 2, W), H and W even, all of one size. The container follows the suffix.
    rate: frames a second. pts: strictly increasing, one a frame, in `time_base` seconds (default 0, 1, 2, ... in
    1 / rate); the container may store them in another unit. codec: an encoder's name (libx264, libx265, mpeg4, mjpeg,
    libvpx-vp9, libsvtav1, mpeg1video, ...). options: the encoder's own. gop: frames from one keyframe to the next.
    tone_hz: adds an audio track, a sine of that pitch as long as the picture. created_ns: creation time in
    nanoseconds UTC (MP4 keeps whole seconds, TS, AVI and MPG nothing). metadata: further tags, such as title, location.

    Raises ValueError for frames, pts, a codec or a container that do not fit.
    """
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None or rate <= 0 or gop < 1 or (time_base is not None and time_base <= 0):
        raise ValueError(f"wanted frames, a positive rate, gop and time base, got {rate}, {gop} and {time_base}")
    unit = time_base or 1 / rate
    timed = _timed(chain([first], pictures), first.shape, pts)
    try:
        with av.open(str(path), "w", container_options={"fflags": "+bitexact"}) as container:
            container.metadata.update(metadata or {})
            if created_ns is not None:
                container.metadata["creation_time"] = iso(created_ns)
            stream = cast("VideoStream", container.add_stream(codec, rate=rate))
            context = stream.codec_context
            context.width, context.height = first.shape[-1], first.shape[0] * 2 // 3
            context.time_base = stream.time_base = unit
            context.thread_count = 1
            context.gop_size = gop
            context.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            context.options = _encoder_options(codec, options)
            tone = None if tone_hz is None else _Tone(container, path.suffix, tone_hz)
            for picture, at in timed:
                frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=context.pix_fmt)
                frame.pts, frame.time_base = at, unit
                container.mux(stream.encode(frame))
                if tone is not None:
                    tone.until(at * unit + 1 / rate)
            container.mux(stream.encode(None))
            if tone is not None:
                container.mux(tone.stream.encode(None))
    except av.FFmpegError as error:
        raise ValueError(f"cannot write {path.name} with {codec}: {said(error)}") from error


def _timed(
    pictures: Iterable[NDArray[np.uint8]], shape: tuple[int, ...], pts: Sequence[int] | None
) -> Iterator[tuple[NDArray[np.uint8], int]]:
    last = None
    for index, picture in enumerate(pictures):
        got = f"{picture.dtype} {picture.shape}"
        if picture.shape != shape or picture.dtype != np.uint8 or len(shape) != 2 or shape[0] % 3 or shape[1] % 2:
            raise ValueError(f"frame {index}: wanted I420, uint8 (H * 3 // 2, W) of one even size, got {got}")
        if pts is not None and index >= len(pts):
            raise ValueError(f"wanted a pts for every frame, got {len(pts)} and more frames")
        at = index if pts is None else pts[index]
        if last is not None and at <= last:
            raise ValueError(f"pts must increase from frame to frame, got {at} after {last} at frame {index}")
        yield picture, at
        last = at


class _Tone:
    """A sine beside the picture, from its time zero on."""

    def __init__(self, container: OutputContainer, suffix: str, hertz: int) -> None:
        self.stream = cast("AudioStream", container.add_stream(_TONE_CODEC.get(suffix, "aac"), rate=_TONE_RATE))
        self.stream.codec_context.layout = "mono"
        self.stream.codec_context.options = {"flags": "+bitexact"}
        self.stream.codec_context.thread_count = 1
        self._container, self._hertz, self._done = container, hertz, 0

    def until(self, seconds: Fraction) -> None:
        stop = math.floor(seconds * _TONE_RATE)
        if stop > self._done:
            wave = 8000 * np.sin(np.arange(self._done, stop) * (2 * math.pi * self._hertz / _TONE_RATE))
            frame = AudioFrame.from_ndarray(wave.astype(np.int16)[np.newaxis], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = _TONE_RATE, self._done, Fraction(1, _TONE_RATE)
            self._container.mux(self.stream.encode(frame))
            self._done = stop


def _encoder_options(codec: str, options: Mapping[str, str] | None) -> dict[str, str]:
    """Return the encoder's options, with what keeps it on one thread, off the terminal and true to `gop`."""
    chosen = {"flags": "+bitexact"} | dict(options or {})
    if codec == "libx264":
        return {"preset": "veryfast", "crf": "23", "sc_threshold": "0", "x264-params": SAME_EVERYWHERE} | chosen
    if codec in {"mpeg4", "mjpeg", "mpeg1video", "mpeg2video", "msmpeg4"}:
        return {"qmin": "2", "qmax": "5", "sc_threshold": "1000000000"} | chosen
    if codec in _OWN_OPTIONS:
        name, value = _OWN_OPTIONS[codec]
        chosen[name] = ":".join(filter(None, (value, chosen.get(name))))
    return chosen
