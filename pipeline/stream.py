"""A running camera stream, cut into clips on its keyframes: packets are copied, nothing is encoded.

With pipeline/video.py the only door to libav, and the one part of the pipeline that opens a network connection.
"""

from __future__ import annotations

import re
import struct
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import av
from av.codec.context import CodecContext
from av.video.frame import VideoFrame
from pydantic import BaseModel, ConfigDict, Field

from pipeline.errors import ClipError, ConfigError
from pipeline.span import NS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

SCHEMES: Final = ("rtsp", "rtsps", "http", "https", "srt")
# A stream must not make us read files or further addresses, as a playlist can.
_PROTOCOLS: Final = "rtsp,rtp,tcp,tls,http,https,httpproxy,srt"
_FORMATS: Final = "rtsp,sdp,mpegts,flv,mov,matroska"
_AUDIO: Final = frozenset({"aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"})  # what an MP4 holds
_GAP_NS: Final = 2 * NS  # later than this after the time foretold, a stream has stood still
_JUMP_S: Final = 10  # a stream's own time that jumps further ahead than this is another time
_NAL: Final = re.compile(b"\x00\x00\x01")


class StreamSettings(BaseModel):
    """How cameras are recorded by their URL."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clip_s: float = Field(30.0, ge=1, le=3600, description="length of a clip; it ends at the next keyframe (seconds)")
    clip_bytes: int = Field(
        256 * 2**20,
        ge=2**16,
        description="size after which a clip ends at the next keyframe; at twice it, at once (bytes)",
    )
    open_timeout_s: float = Field(10.0, gt=0, le=300, description="longest wait for a camera to answer (seconds)")
    read_timeout_s: float = Field(10.0, gt=0, le=300, description="longest silence of a camera (seconds)")
    retry_s: float = Field(
        1.0, gt=0, le=300, description="first pause before a camera is tried again; it doubles (seconds)"
    )
    retry_most_s: float = Field(
        60.0, gt=0, le=3600, description="longest pause before a camera is tried again (seconds)"
    )
    clock_slack_s: float = Field(
        60.0, ge=0, description="a camera's own clock counts while it is this near to ours (seconds)"
    )


class Clock(StrEnum):
    """Which clock said when a clip began: the camera's, by its stream, or ours, by when its first packet arrived."""

    STREAM = "stream"
    ARRIVAL = "arrival"


@dataclass(frozen=True, slots=True)
class Take:
    """One finished clip: an MP4 at `path` whose first frame was shown at `start_ns` UTC, by `clock`.

    width, height: pixels. packets: of its video. ended: why it ends there ("length", "size", "picture", "time", "end").
    """

    path: Path
    start_ns: int
    clock: Clock
    width: int
    height: int
    packets: int
    ended: str


def check_url(url: str) -> None:
    """Raise ConfigError, without telling the URL, unless it is of a kind that can be recorded."""
    try:
        parts = urlsplit(url)
        ok = parts.scheme in SCHEMES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        ok = False
    if not ok:
        raise ConfigError(f"wanted a camera's address such as rtsp://HOST/PATH (or {', '.join(SCHEMES[1:])})")


def takes(
    url: str, folder: Path, *, settings: StreamSettings, stop: Callable[[], bool], now_ns: Callable[[], int]
) -> Iterator[Take]:
    """Connect once and yield clips, written into `folder`, until the stream ends or `stop` says so.

    A clip begins at a keyframe: the first one, the first after `clip_s` or `clip_bytes`, one with another picture size,
    the first after the stream's time jumped. Its start is what the camera's clock says (RTCP sender reports, which may
    also come later in the clip), else when its first packet arrived by `now_ns`; the clips of one connection follow
    each other by the stream's own time unless it stood still.

    Raises ClipError: "connect" (no answer, refused, no such protocol), "probe" (what comes is no video), "stream" (it
    broke off or fell silent); never telling the URL.
    """
    with _connected(url, settings) as (container, video, audio):
        reel = _Reel(folder, video, audio, settings=settings, now_ns=now_ns)
        try:
            for packet in container.demux([video, audio] if audio else [video]):
                if stop():
                    break
                if packet.size:
                    yield from reel.add(packet)
            yield from reel.end("end")
        except av.FFmpegError as error:
            yield from reel.end("end")
            raise ClipError("stream", f"broke off: {_text(error)}") from error
        finally:
            reel.abandon()


@contextmanager
def _connected(url: str, settings: StreamSettings) -> Iterator[tuple[InputContainer, VideoStream, AudioStream | None]]:
    options = {"protocol_whitelist": _PROTOCOLS, "format_whitelist": _FORMATS, "rtsp_transport": "tcp"}
    # Half a megabyte or a second is enough to know the streams; libav would read for five.
    options |= {"analyzeduration": "1000000", "probesize": "500000"}
    timeout = (settings.open_timeout_s, settings.read_timeout_s)
    try:
        container = av.open(url, "r", options=options, timeout=timeout, metadata_errors="replace")
    except av.InvalidDataError as error:
        raise ClipError("probe", "what it sends is no video stream that can be recorded") from error
    except av.FFmpegError as error:
        raise ClipError("connect", _text(error)) from error
    except OSError as error:
        raise ClipError("connect", (error.strerror or type(error).__name__).lower()) from error
    with container:
        video = next(iter(container.streams.video), None)
        if video is None or video.codec_context is None or not video.time_base:
            raise ClipError("probe", "there is no video in its stream")
        audio = next((one for one in container.streams.audio if one.codec_context), None)
        if audio is not None and audio.codec_context.codec.canonical_name not in _AUDIO:
            audio = None
        yield container, video, audio


class _Reel:
    """Puts packets into clips."""

    def __init__(
        self,
        folder: Path,
        video: VideoStream,
        audio: AudioStream | None,
        *,
        settings: StreamSettings,
        now_ns: Callable[[], int],
    ) -> None:
        self._folder, self._video, self._audio, self._settings = folder, video, audio, settings
        self._now_ns = now_ns
        self._unit = Fraction(video.time_base or 1)
        self._times = _Times(self._unit, settings.clock_slack_s)
        self._picture = _Picture(video)
        self._film: _Film | None = None
        self._last: int | None = None  # dts
        self._films = 0

    def add(self, packet: Packet[Any]) -> Iterator[Take]:
        """Take up one packet; yields the clip that it ends."""
        if packet.stream_index != self._video.index:
            if self._film is not None:
                self._film.add_sound(packet)
            return
        arrived_ns = self._now_ns()
        if packet.pts is None and packet.dts is None:
            return  # before the first RTP time is known
        pts = packet.dts if packet.pts is None else packet.pts
        dts = packet.pts if packet.dts is None else packet.dts
        assert pts is not None  # noqa: S101 - one of them is there
        assert dts is not None  # noqa: S101
        if self._last is not None and not 0 < (dts - self._last) * self._unit < _JUMP_S:
            yield from self.end("time")
            self._times.forget()
        self._last = dts
        self._times.note(packet, pts, arrived_ns)
        if packet.is_keyframe:
            changed = self._picture.changes(packet)
            why = "picture" if changed else self._film.full(pts, self._settings) if self._film else ""
            if why:
                yield from self.end(why)
            if self._film is None:
                self._begin(pts, dts, arrived_ns)
        film = self._film
        if film is not None:
            film.add(packet, pts, dts)
            if film.bytes > 2 * self._settings.clip_bytes:
                yield from self.end("size")

    def end(self, why: str) -> Iterator[Take]:
        """End the clip in the making and yield it, if there is one."""
        film, self._film = self._film, None
        if film is not None:
            film.close()
            start_ns, clock = self._times.start(film.first, film.arrived_ns)
            yield Take(film.path, start_ns, clock, film.width, film.height, film.packets, why)

    def abandon(self) -> None:
        """Throw away the clip in the making, if there is one."""
        if self._film is not None:
            self._film.close()
            self._film.path.unlink(missing_ok=True)
            self._film = None

    def _begin(self, pts: int, dts: int, arrived_ns: int) -> None:
        self._films += 1
        path = self._folder / f".{arrived_ns}-{self._films}.part"
        self._film = _Film(path, self._video, self._audio, self._picture, first=pts, dts=dts)
        self._film.arrived_ns = self._times.arrival(pts, arrived_ns)


class _Times:
    """Knows when a pts was: by the camera's clock and by ours."""

    def __init__(self, unit: Fraction, slack_s: float) -> None:
        self._unit, self._slack_ns = unit, int(slack_s * NS)
        self._camera: tuple[int, int] | None = None  # pts, ns
        self._anchor: tuple[int, int] | None = None

    def note(self, packet: Packet[Any], pts: int, arrived_ns: int) -> None:
        """Learn the camera's clock from a packet that carries it, where it is near enough to ours."""
        if packet.has_sidedata("prft"):
            # AVProducerReferenceTime: int64 microseconds since 1970, then flags.
            (micros,) = struct.unpack_from("=q", bytes(packet.get_sidedata("prft")))
            near = abs(micros * 1000 - arrived_ns) <= self._slack_ns
            self._camera = (pts, micros * 1000) if near else None

    def arrival(self, pts: int, arrived_ns: int) -> int:
        """Return when `pts` was, by arrival: foretold by the stream's own time, anew after a standstill."""
        if self._anchor is not None:
            foretold_ns = self._at(self._anchor, pts)
            if arrived_ns - foretold_ns <= _GAP_NS:
                return foretold_ns
        self._anchor = (pts, arrived_ns)
        return arrived_ns

    def start(self, pts: int, arrived_ns: int) -> tuple[int, Clock]:
        """Return when a clip that begins at `pts` began."""
        if self._camera is not None:
            return self._at(self._camera, pts), Clock.STREAM
        return arrived_ns, Clock.ARRIVAL

    def forget(self) -> None:
        """Forget both clocks: the stream's own time is another one from here on."""
        self._camera = self._anchor = None

    def _at(self, known: tuple[int, int], pts: int) -> int:
        return known[1] + int((pts - known[0]) * self._unit * NS)


class _Picture:
    """The parameter sets and size of the picture now; a camera may change both without a word."""

    def __init__(self, video: VideoStream) -> None:
        context = video.codec_context
        self.width, self.height = context.width, context.height
        self.extradata = bytes(context.extradata or b"")
        self._codec = context.codec.canonical_name
        # An MP4 or FLV counts the bytes of each unit; in RTP and TS a start code separates them.
        self._in_band = self._codec in {"h264", "hevc"} and self.extradata[:1] != b"\x01"
        self._known = self._sets(self.extradata) if self._in_band else b""

    def changes(self, packet: Packet[Any]) -> bool:
        """Tell whether the picture has another form from this keyframe on."""
        fresh = b""
        if self._in_band:
            fresh = self._sets(bytes(memoryview(packet)[:4096]))
        elif packet.has_sidedata("new_extradata"):
            fresh = bytes(packet.get_sidedata("new_extradata"))
        if not fresh or fresh == self._known:
            return False
        first, self._known = not self._known, fresh
        size = self._decoded_size(packet, fresh)
        if size is None or (first and size == (self.width, self.height)):
            return False
        (self.width, self.height), self.extradata = size, fresh
        return True

    def _decoded_size(self, packet: Packet[Any], extradata: bytes) -> tuple[int, int] | None:
        decoder = cast("Any", CodecContext.create(self._codec, "r"))
        decoder.thread_count = 1
        decoder.extradata = extradata
        with suppress(av.FFmpegError):
            for frame in [*decoder.decode(packet), *decoder.decode(None)]:
                if isinstance(frame, VideoFrame):
                    return frame.width, frame.height
        return None

    def _sets(self, data: bytes) -> bytes:
        """Return the sequence and picture parameter sets among the units of `data` before its first picture."""
        found, starts = [], [match.end() for match in _NAL.finditer(data)]
        for start, after in zip(starts, [*starts[1:], len(data) + 3], strict=True):
            unit = data[start : after - 3]
            if not unit:
                continue
            kind = unit[0] & 31 if self._codec == "h264" else unit[0] >> 1 & 63
            if kind in ({1, 5} if self._codec == "h264" else range(32)):
                break
            if kind in ({7, 8} if self._codec == "h264" else {32, 33, 34}):
                found.append(b"\x00\x00\x00\x01" + unit.rstrip(b"\x00"))
        return b"".join(found)


class _Film:
    """One clip in the making."""

    def __init__(
        self,
        path: Path,
        video: VideoStream,
        audio: AudioStream | None,
        picture: _Picture,
        *,
        first: int,
        dts: int,
    ) -> None:
        self.path, self.first, self.width, self.height = path, first, picture.width, picture.height
        self.arrived_ns = self.bytes = self.packets = 0
        self._zero, self._unit = dts, Fraction(video.time_base or 1)
        self._out: OutputContainer = av.open(f"file:{path}", "w", format="mp4")
        self._picture = self._out.add_stream_from_template(video, opaque=True)
        context = cast("Any", self._picture.codec_context)
        context.width, context.height = picture.width, picture.height
        if picture.extradata:
            context.extradata = picture.extradata
        self._sound = self._out.add_stream_from_template(audio, opaque=True) if audio else None
        self._sound_unit = Fraction(audio.time_base or 1) if audio else Fraction(1)
        self._sound_last = -1

    def add(self, packet: Packet[Any], pts: int, dts: int) -> None:
        """Copy a packet of the picture; one shown before the clip's first belongs to the clip before."""
        if pts < self.first:
            return
        packet.pts, packet.dts = pts - self._zero, dts - self._zero
        self._write(packet, self._picture)
        self.packets += 1

    def add_sound(self, packet: Packet[Any]) -> None:
        """Copy a packet of the sound, if it belongs to this clip."""
        if self._sound is None or packet.pts is None:
            return
        at = packet.pts - round(self._zero * self._unit / self._sound_unit)
        if at > self._sound_last:
            packet.pts = packet.dts = self._sound_last = at
            self._write(packet, self._sound)

    def full(self, pts: int, settings: StreamSettings) -> str:
        """Say why the clip should end before this keyframe, or nothing."""
        if (pts - self.first) * self._unit >= Fraction(settings.clip_s):
            return "length"
        return "size" if self.bytes > settings.clip_bytes else ""

    def close(self) -> None:
        """Write the index and close the file."""
        self._out.close()

    def _write(self, packet: Packet[Any], stream: Any) -> None:  # noqa: ANN401
        self.bytes += packet.size
        packet.stream = stream
        self._out.mux(packet)


def _text(error: av.FFmpegError) -> str:
    return (error.strerror or type(error).__name__).lower()
