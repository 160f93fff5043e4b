"""A running camera by its URL, cut into clips on its keyframes: packets are copied, nothing is encoded.

A door to libav as those in pipeline/media/ are, and the only one that opens a network connection. No libav exception
leaves it, and no message tells the URL, which may hold a password.
"""

from __future__ import annotations

import re
import struct
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import av
from av.codec.context import CodecContext
from av.video.frame import VideoFrame

from pipeline.errors import LACKING, ClipError, ConfigError
from pipeline.media.decode import MAX_PIXELS
from pipeline.media.demux import packets as demuxed
from pipeline.span import NS
from workers.settings import RecorderSettings

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
_JUMP_S: Final = 10  # a stream's own time that jumps further ahead than this is another time
_KEYLESS_S: Final = 60  # longest wait for a keyframe, in the stream's own time
_AHEAD_S: Final = 20  # more than a server keeps of a running camera to send at once
# A header may claim any size, and memory is taken at once; libav counts whole blocks.
_LIMIT: Final = {"max_pixels": str(2 * MAX_PIXELS)}
_NAL: Final = re.compile(b"\x00\x00\x01")


class Timekeeper(StrEnum):
    """Which clock said when a clip began: the camera's, by its stream, or ours, by when its packets arrived."""

    STREAM = "stream"
    ARRIVAL = "arrival"


@dataclass(frozen=True, slots=True)
class Captured:
    """One finished clip: an MP4 at `path` whose first frame was shown at `start_ns` UTC, by `clock`.

    width, height: pixels. packets: of its video. ended: why it ends there ("length", "size", "picture", "time", "end").
    """

    path: Path
    start_ns: int
    clock: Timekeeper
    width: int
    height: int
    packets: int
    ended: str


def check_url(url: str) -> None:
    """Raise ConfigError, without telling the URL, unless it is of a kind that can be recorded here."""
    known = [scheme for scheme in SCHEMES if _speaks(scheme)]
    try:
        parts = urlsplit(url)
        scheme, ok = parts.scheme, bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        scheme, ok = "", False
    if not ok or scheme not in SCHEMES:
        raise ConfigError(f"wanted a camera's address such as rtsp://HOST/PATH (or {', '.join(known[1:])})")
    if scheme not in known:
        raise ConfigError(
            f"the libav inside this PyAV was built without {scheme}; wanted one of {', '.join(known)}, "
            f"or PyAV built from source against a libav with {scheme}"
        )


@cache
def _speaks(scheme: str) -> bool:
    # The protocol is looked up before the whitelist, and that lets nothing connect.
    try:
        av.open(f"{scheme}://host/", options={"protocol_whitelist": "none"}).close()
    except av.ProtocolNotFoundError:
        return False
    except av.FFmpegError:
        return True
    return True


def capture(
    url: str,
    folder: Path,
    *,
    settings: RecorderSettings,
    stop: Callable[[], bool],
    now_ns: Callable[[], int],
    ahead_ns: int = 0,
) -> Iterator[Captured]:
    """Connect once and yield clips, written into `folder`, until the stream ends or `stop` says so.

    A clip begins at a keyframe: the first one, the first after `clip_s` or `clip_bytes`, one with another picture size,
    the first after the stream's time jumped. Its start is what the camera's clock says (RTCP sender reports, which may
    also come later in the clip); else the latest instant with which no frame arrived, by `now_ns`, before it was shown:
    a server that first sends what it had kept does not move the clip into the future. `ahead_ns`: how far the camera's
    clock is known to be ahead, which is taken off what it says.

    Raises ClipError: "connect" (no answer, refused), "probe" (what comes is no video, or a recording and no running
    camera), "stream" (it broke off, fell silent or has no keyframes), "write" (a clip cannot be written).
    """
    with _connected(url, settings, now_ns) as (container, video, audio):
        segmenter = _Segmenter(folder, video, audio, settings=settings, now_ns=now_ns, ahead_ns=ahead_ns)
        packets = demuxed(container, *([video, audio] if audio else [video]))
        try:
            while not stop():
                try:
                    packet = next(packets)
                except StopIteration:
                    break
                except av.FFmpegError as error:
                    yield from segmenter.end("end")
                    raise ClipError("stream", f"broke off: {_text(error, settings.read_timeout_s)}") from None
                if packet.size:
                    yield from segmenter.add(packet)
            yield from segmenter.end("end")
        finally:
            segmenter.abandon()


@contextmanager
def _connected(
    url: str, settings: RecorderSettings, now_ns: Callable[[], int]
) -> Iterator[tuple[InputContainer, VideoStream, AudioStream | None]]:
    options = {"protocol_whitelist": _PROTOCOLS, "format_whitelist": _FORMATS, "rtsp_transport": "tcp"}
    # Half a megabyte or a second is enough to know the streams; libav would read for five.
    options |= {"analyzeduration": "1000000", "probesize": "500000", **_LIMIT}
    timeout = (settings.open_timeout_s, settings.read_timeout_s)
    began_ns = now_ns()
    # "from None": libav's own exceptions hold the URL.
    try:
        container = av.open(url, "r", options=options, timeout=timeout, metadata_errors="replace")
    except av.EOFError:
        raise ClipError("connect", "the connection was closed before any video came") from None
    except (av.InvalidDataError, av.ArgumentError):  # the second: a format that is not on the list
        if now_ns() - began_ns >= settings.open_timeout_s * NS:  # how an RTSP handshake takes a time-out
            raise ClipError("connect", f"no answer for {settings.open_timeout_s:g} s") from None
        raise ClipError("probe", "what it sends is no video stream that can be recorded") from None
    except av.FFmpegError as error:
        raise ClipError("connect", _text(error, settings.open_timeout_s)) from None
    except OSError as error:
        raise ClipError("connect", (error.strerror or type(error).__name__).lower()) from None
    with container:
        video = next(iter(container.streams.video), None)
        if video is None or video.codec_context is None or not video.time_base:
            raise ClipError("probe", "there is no video in its stream")
        audio = next((one for one in container.streams.audio if one.codec_context), None)
        if audio is not None and audio.codec_context.codec.canonical_name not in _AUDIO:
            audio = None
        yield container, video, audio


class _Segmenter:
    """Puts packets into clips."""

    def __init__(
        self,
        folder: Path,
        video: VideoStream,
        audio: AudioStream | None,
        *,
        settings: RecorderSettings,
        now_ns: Callable[[], int],
        ahead_ns: int,
    ) -> None:
        self._folder, self._video, self._audio, self._settings = folder, video, audio, settings
        self._now_ns, self._ahead_ns = now_ns, ahead_ns
        self._unit = Fraction(video.time_base or 1)
        self._form = _ParameterSets(video)
        self._segment: _Segment | None = None
        self._begun = 0
        self._last: int | None = None  # dts
        self._keyless: int | None = None  # dts since which a keyframe is waited for
        self._camera: tuple[int, int] | None = None  # a pts, and when that was by the camera's clock (ns)
        self._reports = 0
        self._since: tuple[int, int] | None = None  # a dts, and when it arrived
        self._arrived_ns = 0

    def add(self, packet: Packet[Any]) -> Iterator[Captured]:
        """Take up one packet; yields the clip that it ends."""
        if packet.stream_index != self._video.index:
            if self._segment is not None:
                self._segment.add_sound(packet)
            return
        arrived_ns = self._now_ns()
        pts = packet.dts if packet.pts is None else packet.pts
        dts = packet.pts if packet.dts is None else packet.dts
        if pts is None or dts is None:
            return  # before the first RTP time is known
        if self._last is not None and not 0 < (dts - self._last) * self._unit < _JUMP_S:
            yield from self.end("time")
            self._camera = self._keyless = self._since = None
        self._last = dts
        self._check_pace(dts, arrived_ns)
        self._note_clock(packet, pts, arrived_ns)
        if packet.is_keyframe:
            changed = self._form.update(packet)
            why = "picture" if changed else self._segment.full(pts, self._settings) if self._segment else ""
            if why:
                yield from self.end(why)
            if self._segment is None:
                self._begin(pts, dts)
        if self._segment is None:
            self._wait_for_keyframe(dts)
            return
        self._segment.add(packet, pts, dts, arrived_ns=arrived_ns)
        if self._segment.bytes > 2 * self._settings.clip_bytes:
            yield from self.end("size")

    def end(self, why: str) -> Iterator[Captured]:
        """End the clip in the making and yield it, if there is one."""
        if (segment := self._segment) is not None:
            segment.close()
            self._segment = None
            start_ns, clock = segment.latest_ns, Timekeeper.ARRIVAL
            if self._camera is not None:
                pts, at_ns = self._camera
                start_ns, clock = at_ns + int((segment.first - pts) * self._unit * NS), Timekeeper.STREAM
            yield Captured(segment.path, start_ns, clock, segment.width, segment.height, segment.packets, why)

    def abandon(self) -> None:
        """Throw away the clip in the making, if there is one."""
        if (segment := self._segment) is not None:
            self._segment = None
            with suppress(ClipError):
                segment.close()
            segment.path.unlink(missing_ok=True)

    def _begin(self, pts: int, dts: int) -> None:
        self._begun += 1
        self._keyless = None
        path = self._folder / f".{self._now_ns()}-{self._begun}.part"
        self._segment = _Segment(path, self._video, self._audio, self._form, first=pts, dts=dts)

    def _note_clock(self, packet: Packet[Any], pts: int, arrived_ns: int) -> None:
        """Learn the camera's clock from a packet that carries it, where it is near enough to ours."""
        if packet.has_sidedata("prft"):
            self._reports += 1
            if self._reports == 1:
                return  # after the first sender report libav's parser gives a frame the time of another (measured)
            # AVProducerReferenceTime: int64 microseconds since 1970, then flags.
            (micros,) = struct.unpack_from("=q", bytes(packet.get_sidedata("prft")))
            at_ns = micros * 1000 - self._ahead_ns
            near = abs(at_ns - arrived_ns) <= self._settings.clock_slack_s * NS
            self._camera = (pts, at_ns) if near else None

    def _check_pace(self, dts: int, arrived_ns: int) -> None:
        """Refuse a file behind a URL: it would be dated now, and recorded again and again."""
        if self._since is None or arrived_ns < self._arrived_ns:  # our own clock was set back
            self._since = (dts, arrived_ns)
        self._arrived_ns = arrived_ns
        if (dts - self._since[0]) * self._unit - Fraction(arrived_ns - self._since[1], NS) > _AHEAD_S:
            raise ClipError("probe", "it sends a recording faster than time passes; put the file into a watched folder")

    def _wait_for_keyframe(self, dts: int) -> None:
        if self._keyless is None:
            self._keyless = dts
        elif (dts - self._keyless) * self._unit > _KEYLESS_S:
            raise ClipError(
                "stream", f"no keyframe for {_KEYLESS_S} s, so no clip can begin; set its keyframe interval"
            )


class _ParameterSets:
    """The parameter sets and size of the picture now; a camera may change both without a word."""

    def __init__(self, video: VideoStream) -> None:
        context = video.codec_context
        self.width, self.height = context.width, context.height
        self.extradata = bytes(context.extradata or b"")
        self._codec = context.codec.canonical_name
        # An MP4 or FLV counts the bytes of each unit; in RTP and TS a start code separates them.
        self._in_band = self._codec in {"h264", "hevc"} and self.extradata[:1] != b"\x01"
        self._known = self._sets(self.extradata) if self._in_band else b""

    def update(self, packet: Packet[Any]) -> bool:
        """Learn them from a keyframe; return whether the picture has another form from it on."""
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
        decoder.options = dict(_LIMIT)
        with suppress(av.FFmpegError):
            for frame in [*decoder.decode(packet), *decoder.decode(None)]:
                if isinstance(frame, VideoFrame):
                    return frame.width, frame.height
        return None

    def _sets(self, data: bytes) -> bytes:
        """Return the sequence and picture parameter sets among the units of `data` before its first picture."""
        found, starts = [], [match.end() for match in _NAL.finditer(data)]
        for start, after in pairwise([*starts, len(data) + 3]):
            unit = data[start : after - 3]
            if not unit:
                continue
            kind = unit[0] & 31 if self._codec == "h264" else unit[0] >> 1 & 63
            if kind in ({1, 5} if self._codec == "h264" else range(32)):
                break
            if kind in ({7, 8} if self._codec == "h264" else {32, 33, 34}):
                found.append(b"\x00\x00\x00\x01" + unit.rstrip(b"\x00"))
        return b"".join(found)


class _Segment:
    """One clip in the making.

    first: pts of its first frame. latest_ns: the latest instant at which that can have been shown, by when the packets
    so far arrived.
    """

    def __init__(
        self,
        path: Path,
        video: VideoStream,
        audio: AudioStream | None,
        form: _ParameterSets,
        *,
        first: int,
        dts: int,
    ) -> None:
        self.path, self.first, self.width, self.height = path, first, form.width, form.height
        self.latest_ns, self.bytes, self.packets = 0, 0, 0
        self._zero, self._unit = dts, Fraction(video.time_base or 1)
        with _writing():
            self._out: OutputContainer = av.open(f"file:{path}", "w", format="mp4")
            self._shown = self._out.add_stream_from_template(video, opaque=True)
            self._shown.time_base = self._unit
            context = cast("Any", self._shown.codec_context)
            context.width, context.height = form.width, form.height
            if form.extradata:
                context.extradata = form.extradata
            self._sound = self._out.add_stream_from_template(audio, opaque=True) if audio else None
        self._sound_unit = Fraction(audio.time_base or 1) if audio else Fraction(1)
        self._sound_last = -1

    def add(self, packet: Packet[Any], pts: int, dts: int, *, arrived_ns: int) -> None:
        """Copy a packet of the picture; one shown before the clip's first belongs to the clip before."""
        if pts < self.first:
            return
        latest_ns = arrived_ns - int((pts - self.first) * self._unit * NS)
        self.latest_ns = min(self.latest_ns, latest_ns) if self.packets else latest_ns
        packet.pts, packet.dts = pts - self._zero, dts - self._zero
        self._write(packet, self._shown)
        self.packets += 1

    def add_sound(self, packet: Packet[Any]) -> None:
        """Copy a packet of the sound, if it belongs to this clip."""
        if self._sound is None or packet.pts is None:
            return
        at = packet.pts - round(self._zero * self._unit / self._sound_unit)
        if at > self._sound_last:
            packet.pts = packet.dts = self._sound_last = at
            self._write(packet, self._sound)

    def full(self, pts: int, settings: RecorderSettings) -> str:
        """Say why the clip should end before this keyframe, or nothing."""
        if (pts - self.first) * self._unit >= Fraction(settings.clip_s):
            return "length"
        return "size" if self.bytes > settings.clip_bytes else ""

    def close(self) -> None:
        """Write the index and close the file."""
        with _writing():
            self._out.close()

    def _write(self, packet: Packet[Any], stream: Any) -> None:  # noqa: ANN401
        self.bytes += packet.size
        packet.stream = stream
        with _writing():
            self._out.mux(packet)


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, ValueError) as error:
        reason = _text(error) if isinstance(error, av.FFmpegError) else str(error)
        # Never libav's own error, which may tell the URL.
        met = error if isinstance(error, OSError) else OSError()
        cause = OSError(met.errno, met.strerror) if met.errno in LACKING else None
        raise ClipError("write", f"its clip cannot be written: {reason}") from cause


def _text(error: av.FFmpegError, patience_s: float = 0) -> str:
    if isinstance(error, av.ExitError):  # libav's word for a time-out of ours
        return f"no answer for {patience_s:g} s"
    return (error.strerror or type(error).__name__).lower()
