"""The door to libav for clips: decode luma with exact timestamps.

No libav exception and no libav log line leaves this module: what is wrong with a clip leaves it as a ClipError.
"""

from __future__ import annotations

import math
import re
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import av
import numpy as np
from av.codec.context import ThreadType
from av.stream import Discard, Disposition
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from pipeline.clip import Stream
from pipeline.errors import ClipError
from pipeline.media.demux import OF_BYTES, of_bytes
from pipeline.media.demux import packets as packets_of
from pipeline.span import parse_iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer
    from av.stream import Stream as AnyStream
    from av.video.codeccontext import VideoCodecContext
    from av.video.format import VideoFormat
    from numpy.typing import NDArray

LIBAV: Final = ", ".join(
    f"{name} {'.'.join(map(str, av.library_versions[name]))}" for name in ("libavcodec", "libavformat")
)
"""The versions of the libraries in use, for a record."""

MAX_PIXELS: Final = 8192 * 4320
"""The largest picture that is decoded, in pixels (8K with room): a header of 16000 x 16000 asks for 384 MB a frame."""

MAX_SIDE: Final = 32_768
"""The longest side of a picture, in pixels: a sliver is hardly made smaller to be measured, and no camera makes one."""

# Anything else libav can open (playlists, image sequences, devices) may name further files or hosts to read from.
FORMATS: Final = "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,ivf,wav,mp3,aac,flac"
# A transport or program stream may begin between two keyframes and may lose packets on its way.
_LOSSY: Final = frozenset({"mpegts", "mpeg", "mpegvideo"})
_MSB_ALIGNED: Final = ("p010", "p012", "p016", "p210", "p212", "p216", "p410", "p412", "p416")


class Video:
    """One opened clip: what its header says, and its frames. Made by `open_video`.

    codec: name of the coding ("h264", "hevc", "mpeg4", "mjpeg", "vp9", "av1", ...), not of a decoder.
    width, height: pixels. time_base: seconds per pts. average_rate: frames a second, None when unknown.
    samples: how many frames the container declares, those an edit list hides included; 0 when it does not say.
    audio: codec of the first audio stream or None; audio_rate: its samples a second, 0 without one.
    created_ns: the container's creation time in nanoseconds UTC, or None.
    damaged: frames so far in which the decoder had to conceal something; shown all the same, because leaving a frame
    out would be the worse evidence. key, duration: of the frame shown last, whether it is a keyframe and its length.
    """

    def __init__(self, container: InputContainer, video: VideoStream, *, whole: bool) -> None:
        audio = next(iter(container.streams.audio), None)
        self._container = container
        self._video = video
        self._stream: Stream | None = None
        self._used = False
        self._whole = whole
        self.codec = video.codec_context.codec.canonical_name
        self.width = video.codec_context.width
        self.height = video.codec_context.height
        self.time_base = Fraction(video.time_base or 0)
        self.average_rate = Fraction(video.average_rate) if video.average_rate else None
        self.samples = video.frames
        known = audio is not None and bool(audio.codec_context)
        self.audio = None if audio is None else audio.codec_context.codec.canonical_name if known else "unknown"
        self.audio_rate = audio.codec_context.sample_rate if audio is not None and known else 0
        self.created_ns: int | None = None
        with suppress(ValueError):  # a clock that was never set says 1904, 1970 or nothing
            self.created_ns = max(0, parse_iso(container.metadata.get("creation_time", ""))) or None
        self.damaged = self.duration = 0
        self.key = False

    @property
    def stream(self) -> Stream:
        """What was decoded, exact. Raises RuntimeError before `luma` was read from the first frame to the last."""
        if self._stream is None:
            raise RuntimeError("the stream is known once every frame was decoded: read luma() to its end first")
        return self._stream

    def luma(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield (pts, luma) of every frame that is shown, in order of time; pts strictly increase. Once only.

        luma: uint8 (H, W), read-only, valid until the next step. For 8-bit YUV and gray it is a view of the decoder's
        memory, nothing is copied or converted; deeper formats are shifted down to 8 bits, RGB and palettes become
        gray.

        Raises ClipError ("decode") for damaged or missing data, timestamps that do not increase, a picture that
        changes its size, and a file without a single frame. A damaged packet is tolerated in a transport or program
        stream only, before the first frame or where the decoder conceals it (see `damaged`).
        """
        if self._used:
            raise RuntimeError("the frames of a video are read once: open it again")
        self._used = True
        luma = _Luma()
        count = step = 0
        first = last = None
        for frame in self._decode():
            pts = _pts(frame, last, step or self.nominal_step)
            if last is None:
                first = pts
            elif pts <= last:
                where = f"at frame {count}: {pts} after {last} (in {self.time_base} s)"
                raise ClipError("decode", f"timestamps jump back {where}; wanted increasing ones, remux the clip")
            else:
                step = pts - last
            if frame.width != self.width or frame.height != self.height:
                sizes = f"from {self.width} x {self.height} to {frame.width} x {frame.height}"
                raise ClipError("decode", f"the picture changes {sizes} at frame {count}; split the clip there")
            last = pts
            count += 1
            self.damaged += frame.is_corrupt
            self.key, self.duration = frame.key_frame, frame.duration or step or self.nominal_step
            with of_bytes("decode", f"frame {count - 1} cannot be shown"):
                plane = luma(frame)
            yield pts, plane
        if first is None or last is None:
            raise ClipError("decode", "no frame can be decoded; wanted at least one")
        if not self._whole:
            return
        end = last + self.duration
        self._check_end(end, max(self.nominal_step, math.ceil(Fraction(end - first, count))))
        self._stream = Stream(
            self.codec, self.width, self.height, self.time_base, first, end, frames=count, audio=self.audio
        )

    def _decode(self) -> Iterator[VideoFrame]:
        """Yield the frames in the order they are shown, with libav's errors sorted."""
        lossy = self._container.format.name in _LOSSY
        packets = shown = 0
        try:
            for packet in packets_of(self._container, self._video):
                if packet.is_corrupt and not lossy:
                    raise ClipError("decode", f"truncated or damaged at packet {packets}; fetch the clip again")
                packets += packet.size > 0
                try:
                    frames = packet.decode()
                except (av.FFmpegError, *OF_BYTES) as error:
                    if lossy and not shown and packet.size:
                        continue
                    raise ClipError(
                        "decode", f"invalid data in packet {packets - 1}, after {shown} good frames: {said(error)}"
                    ) from error
                shown += len(frames)
                yield from frames
        except (av.FFmpegError, *OF_BYTES) as error:
            raise ClipError("decode", f"cannot be read on after {shown} frames: {said(error)}") from error
        # The index of an MP4 lists every sample, of a fragmented one those of the fragments that were reached.
        listed = len(self._video.index_entries) if self._container.format.name.startswith("mov") else 0
        if packets < listed and self._whole:
            raise ClipError(
                "decode", f"truncated: the index lists {listed} frames, {packets} are in the file; fetch the clip again"
            )

    @property
    def nominal_step(self) -> int:
        """One frame at the rate the header states, in pts; 1 when it states none."""
        rate = self.average_rate or self._video.guessed_rate
        return max(1, round(1 / (Fraction(rate) * self.time_base))) if rate else 1

    def _check_end(self, end: int, step: int) -> None:
        """Refuse a file that ends before the end its header states; `step`: the usual pts from frame to frame.

        Transport and program streams state nothing: cut off between two frames they look like a shorter recording.
        """
        name, unit = self._container.format.name, self.time_base
        if name == "avi" and (short := _riff_missing(self._container.name.removeprefix("file:"))):
            raise ClipError("decode", f"truncated: {short} bytes of its RIFF are missing; fetch the clip again")
        if name in _LOSSY or name == "avi" or name.startswith("mov"):
            return
        stated = _seconds(self._video.metadata.get("DURATION", ""))
        slack = step * unit / 2
        # The container's duration is that of its longest stream, which sound may be; where it is a guess from the bit
        # rate, the stream has one as well.
        if stated is None and self._container.duration and self.audio is None and self._video.duration is None:
            stated = Fraction((self._container.start_time or 0) + self._container.duration, 1_000_000)
            slack = 2 * step * unit
        if stated is not None and (over := stated - end * unit) > slack:
            more = f"{float(over):.3f} s"
            raise ClipError("decode", f"truncated: its header states {more} more than it holds; fetch the clip again")


@contextmanager
def open_video(
    path: Path,
    *,
    threads: int = 1,
    max_pixels: int = MAX_PIXELS,
    loop_filter: bool = False,
    start_pts: int | None = None,
) -> Iterator[Video]:
    """Open a clip (MP4, MOV, MKV, WebM, AVI, TS, MPG, FLV, ASF) for one pass over its first video stream.

    threads: of the decoder. max_pixels: largest width x height accepted. loop_filter: True decodes the exact
    picture; False leaves out the deblocking, which analysis does not need and which costs a fifth of the time.
    start_pts: begin at a keyframe from which every frame from this pts on can be decoded (see `seek_point`); frames
    before it are still shown, and the checks of the whole file are left out.

    Raises ClipError: "fetch" when the file is not there or cannot be read, "probe" when it is empty, is not a video,
    has no video stream, an unknown codec, no timestamps or too many pixels; errors met later carry "decode".
    """
    target = None if start_pts is None else seek_point(path, start_pts)
    with _opened(path, max_pixels) as (container, video):
        context = video.codec_context
        context.thread_count = max(1, threads)  # 0 would mean every core
        # With frame threads a frame loses the decoding time of its packet, which is all the time an AVI has.
        alone = threads == 1 or container.format.name == "avi"
        context.thread_type = ThreadType.SLICE if alone else ThreadType.AUTO
        context.options = _limit(max_pixels) | ({} if loop_filter else {"skip_loop_filter": "all"})
        if target is not None:
            container.seek(target, stream=video)
        yield Video(container, video, whole=target is None)


def seek_point(path: Path, pts: int) -> int | None:
    """Return a pts to seek to so that every frame from `pts` on is decoded, or None: only from the beginning.

    The frames around the keyframe it leads to may lean on still earlier ones, so it lies 32 frames before `pts`, twice
    what any codec's reordering spans; 1000 where that leads to a keyframe too late, as in a transport stream.
    """
    with _opened(path, MAX_PIXELS) as (container, video):
        per_frame = 1 / Fraction(video.average_rate or 25) / Fraction(video.time_base or 1)
        latest = pts - math.ceil(32 * per_frame)
        for frames in (32, 1000):
            target = pts - math.ceil(frames * per_frame)
            if target <= (video.start_time or 0):
                return None
            try:
                container.seek(target, stream=video)
                key = next((p for p in packets_of(container, video) if p.is_keyframe), None)
            except (av.FFmpegError, *OF_BYTES):
                return None
            at = None if key is None else key.dts if key.pts is None else key.pts
            if at is not None and at <= latest:
                return target
    return None


@contextmanager
def _opened(path: Path, max_pixels: int) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file, choose its first video stream that is not a cover picture, switch off all it does not need."""
    with _container(path, **_limit(max_pixels)) as container:
        streams = container.streams
        video = next((s for s in streams.video if not s.disposition & Disposition.attached_pic), None)
        if video is None:
            kinds = ", ".join(sorted({s.type for s in streams})) or "nothing"
            raise ClipError("probe", f"there is no video in it, only {kinds}; wanted a video clip")
        size = _size(video)
        if 0 in size:  # Too large for probing, or nothing in it says how large: a look at the header alone.
            lost = of_bytes("probe", "its stream is found at one look and not at another")
            with _container(path, skip_frame="all") as again, lost:
                size = _size(again.streams[video.index])
        if size[0] * size[1] > max_pixels:
            told = f"{size[0]} x {size[1]} is {size[0] * size[1]} pixels"
            raise ClipError("probe", f"its picture of {told}, wanted at most {max_pixels} (max_pixels)")
        if max(size) > MAX_SIDE:
            raise ClipError(
                "probe", f"its picture of {size[0]} x {size[1]}, wanted at most {MAX_SIDE} pixels along a side"
            )
        if 0 in _size(video):
            raise ClipError("probe", "the size of its picture cannot be found: no frame in it can be decoded")
        if not video.time_base:
            raise ClipError("probe", "it has no time base, so its frames have no time; put the stream into a container")
        for other in (s for s in streams if s.index != video.index):
            other.discard = Discard.all
        try:
            yield container, video
        except av.FFmpegError as error:
            raise ClipError("decode", f"cannot be read: {said(error)}") from error


def _container(path: Path, **options: str) -> InputContainer:
    try:
        if path.stat().st_size == 0:
            raise ClipError("probe", "the file is empty (0 bytes); fetch or record the clip again")
        # PyAV asks for made-up pts where a container has none (AVI); they come out of order with B-frames.
        options |= {"format_whitelist": FORMATS, "protocol_whitelist": "file", "fflags": "-genpts"}
        # Without the prefix a name with a colon would be read as a protocol.
        return av.open(f"file:{path.resolve()}", "r", options=options, metadata_errors="replace")
    except FileNotFoundError as error:
        raise ClipError("fetch", f"{path.name} is not there (any more); list the clips again") from error
    except (av.FFmpegError, *OF_BYTES) as error:
        raise ClipError("probe", f"{_what_is(path)} ({said(error)})") from error
    except OSError as error:
        raise ClipError("fetch", f"{path.name} cannot be read: {error.strerror}") from error


def _limit(max_pixels: int) -> dict[str, str]:
    """Return the option that keeps libav from decoding far larger pictures; it counts whole blocks, so it is looser."""
    return {"max_pixels": str(2 * max_pixels + 65_536)}


def _size(video: AnyStream) -> tuple[int, int]:
    context = cast("VideoCodecContext | None", video.codec_context)
    if context is None:
        raise ClipError("probe", "its codec is not known here; wanted H.264, HEVC, AV1, VP9, MPEG-4 or MJPEG")
    return context.width, context.height


def _pts(frame: VideoFrame, last: int | None, step: int) -> int:
    """Return the frame's own pts; without one, the decoding time of its packet, if that goes on; else a step more.

    AVI stores no pts, only the order of decoding. A packed B-frame has no chunk of its own.
    """
    if frame.pts is not None:
        return frame.pts
    if frame.dts is not None and (last is None or frame.dts > last):
        return frame.dts
    return 0 if last is None else last + step


class _Luma:
    """Gets the luma out of a frame of any pixel format; remembers how for the format it saw last."""

    def __init__(self) -> None:
        self._format = ""
        self._shift: int | None = None
        self._via = ""
        self._scaler = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Return uint8 (H, W), read-only; see `Video.luma`."""
        if frame.format.name != self._format:
            self._learn(frame.format)
        if self._shift is None:
            frame = self._scaler.reformat(frame, format=self._via, threads=1)
        plane, shape = VideoPlane(frame, 0), (frame.height, frame.width)  # `frame.planes` would make all three
        buffer, line = cast("memoryview[int]", plane), plane.line_size
        if self._shift:
            luma = (np.ndarray(shape, "<u2", buffer, strides=(abs(line), 2)) >> self._shift).astype(np.uint8)
        else:
            luma = np.ndarray(shape, np.uint8, buffer, strides=(abs(line), 1))
        if line < 0:  # a picture stored bottom up, as AVI may
            luma = luma[::-1]
        luma.setflags(write=False)
        return luma

    def _learn(self, form: VideoFormat) -> None:
        first, *others = form.components
        alone = first.is_luma and first.plane == 0 and all(other.plane for other in others)
        plain = alone and not form.has_palette and not form.is_big_endian and 8 <= first.bits <= 16
        self._format = form.name
        self._shift = (8 if form.name.startswith(_MSB_ALIGNED) else first.bits - 8) if plain else None
        # Packed YUV keeps its luma when it is only taken apart; going to gray would also stretch its range.
        self._via = "yuv422p" if first.is_luma and any(other.is_chroma for other in others) else "gray"


def _seconds(text: str) -> Fraction | None:
    """Return "01:02:03.456000000" in seconds, or None when it is not that."""
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", text.strip())
    return None if match is None else int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3])


def _riff_missing(path: str) -> int:
    """Return how many bytes the first RIFF chunk of an AVI announces beyond the end of the file; live ones say 0."""
    with Path(path).open("rb") as file:
        announced = 8 + int.from_bytes(file.read(8)[4:], "little")
        return max(0, announced - file.seek(0, 2)) if announced < 0xFFFFFFFF else 0


def said(error: Exception) -> str:
    """Return what libav says of an error, in lower case, or PyAV in its place."""
    told = error.strerror if isinstance(error, av.FFmpegError) else " ".join(str(error).split())[:200]
    return (told or type(error).__name__).lower()


def _what_is(path: Path) -> str:
    """Say in words what a file is that libav will not open."""
    head = b""
    with suppress(OSError), path.open("rb") as file:
        head = file.read(4096)
    if head[4:8] in {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"}:
        return "an MP4 file without its index (moov): cut off or still being written; fetch it again"
    if head and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        return "a text file, not a video; wanted MP4, MKV, AVI, TS or MPG"
    return "not a video that can be read; wanted MP4, MKV, AVI, TS or MPG"
