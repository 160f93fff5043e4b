"""The door to libav for clips: decode luma with exact timestamps.

No libav exception and no libav log line leaves this module: what is wrong with a clip leaves it as a ClipError.
"""

from __future__ import annotations

import math
import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

import av
from av.codec.context import ThreadType

from pipeline.clip import Stream
from pipeline.errors import ClipError
from pipeline.media.container import MISREAD, UNTIMED, Opened, by_order, opened, pixel_limit, said, told_rate
from pipeline.media.created import created_ns
from pipeline.media.demux import packets
from pipeline.media.luma import UPRIGHT, Luma, Turn, turn_of
from pipeline.media.pictures import Pictures
from pipeline.media.whole import missing_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from av.audio.stream import AudioStream
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from pipeline.media.tracks import Track

LIBAV: Final = ", ".join(
    f"{name} {'.'.join(map(str, av.library_versions[name]))}" for name in ("libavcodec", "libavformat")
)
"""The versions of the libraries in use, for a record."""

_AHEAD_S: Final = Fraction(1, 2)  # sound and picture seldom begin at once

MAX_PIXELS: Final = 8192 * 4320
"""The largest picture that is decoded, in pixels (8K with room): a header of 16000 x 16000 asks for 384 MB a frame."""


class Video:
    """One opened clip: what its header says, and its frames. Made by `open_video`.

    codec: name of the coding ("h264", "hevc", "mpeg4", "mjpeg", "vp9", "av1", ...), not of a decoder.
    time_base: seconds per pts. average_rate: frames a second, None when unknown. raw_rate: the same of a raw stream,
    None of one in a container. samples: how many frames the container declares, those an edit list hides included; 0
    when it does not say. audio: codec of the first audio stream or None; audio_rate: its samples a second, 0 without.
    created_ns: when the container says it was made (nanoseconds UTC), or None. stream_index: which stream of the
    container it is; track: which of its video tracks without covers (see `Stream.track`). interlaced: whether a frame
    so far was. key: whether the frame shown last is a keyframe. kind: libav's name of the container; by_order: see
    `container.by_order`. seek_pts: where reading began, None for the beginning.
    """

    def __init__(
        self,
        found: Opened,
        rate: Fraction | None,
        *,
        seek_pts: int | None,
        witness: Callable[[Packet[VideoStream]], None] | None,
    ) -> None:
        container, video = found.container, found.video
        audio = next(iter(container.streams.audio), None)
        self._container, self._video = container, video
        self._stream: Stream | None = None
        self._used = False
        self._whole = seek_pts is None
        self.seek_pts = seek_pts
        self.codec = video.codec_context.codec.canonical_name
        self.time_base = 1 / rate if rate else Fraction(video.time_base or 0)
        self.raw_rate = rate
        self.average_rate = rate or (Fraction(video.average_rate) if video.average_rate else None)
        self.samples = video.frames
        self.stream_index, self.track = video.index, found.track
        known = audio is not None and bool(audio.codec_context)
        self.audio = None if audio is None else audio.codec_context.codec.canonical_name if known else "unknown"
        self.audio_rate = audio.codec_context.sample_rate if audio is not None and known else 0
        self.created_ns = created_ns(container.metadata, *(s.metadata for s in (video, *container.streams)))
        self.key = False
        self.kind, self.by_order = container.format.name, by_order(container, video)
        self._pictures = Pictures(found, time_base=self.time_base, rate=rate, witness=witness)
        self._account, self._notes = self._pictures.account, (*found.notes, *_ahead(audio, video))
        self._frames = self._pictures.shown()
        self._first: tuple[int, VideoFrame] | None = None
        self._last: VideoFrame | None = None
        self._picture: _Picture | None = None

    @property
    def stream(self) -> Stream:
        """What was decoded, exact. Raises RuntimeError before `luma` was read from the first frame to the last."""
        if self._stream is None:
            raise RuntimeError("the stream is known once every frame was decoded: read luma() to its end first")
        return self._stream

    @property
    def width(self) -> int:
        """Pixels of the upright picture; decodes the first frame. Raises ClipError like `luma`."""
        return self._begin().width

    @property
    def height(self) -> int:
        """Pixels of the upright picture; decodes the first frame. Raises ClipError like `luma`."""
        return self._begin().height

    @property
    def turn(self) -> Turn:
        """How the stored picture is turned to stand upright; decodes the first frame. Raises ClipError like `luma`."""
        return self._begin().turn

    @property
    def damaged(self) -> int:
        """How many frames so far the decoder had to conceal something in, or lean on data that is lost.

        They are shown all the same, because leaving a frame out would be the worse evidence.
        """
        return self._account.concealed + self._account.leaning

    @property
    def template(self) -> VideoStream:
        """The stream itself, to write packets of it beside: valid as long as the video is open."""
        return self._video

    @property
    def extradata(self) -> bytes:
        """The description of the coding that the container keeps, b"" where it keeps none."""
        return self._video.codec_context.extradata or b""

    @property
    def pixels(self) -> str:
        """The format of the pixels of the frame shown last, in libav's words; "" before the first."""
        return self._last.format.name if self._last is not None else ""

    @property
    def nominal_step(self) -> int:
        """One frame at the rate that the header states, in pts; 1 when it states none."""
        return self._pictures.nominal_step

    @property
    def timed(self) -> bool:
        """Whether each frame so far was shown at a time that the file states for it, the only one with that time."""
        account = self._account
        return self.raw_rate is None and not (account.guessed or account.repeats or account.late)

    @property
    def pixel_shape(self) -> Fraction | None:
        """How wide a pixel is for its height, None where nothing says so."""
        shape = self._video.sample_aspect_ratio
        return Fraction(shape) if shape else None

    @property
    def interlaced(self) -> bool:
        """Whether one of the frames so far holds two fields, each at a time of its own."""
        return self._account.interlaced

    @property
    def duration(self) -> int:
        """How long the frame shown last is shown, in pts; 0 before the first."""
        return self._pictures.length(self._last) if self._last is not None else 0

    def luma(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield (pts, luma) of every frame that is shown, in order of time; pts strictly increase. Once only.

        luma: uint8 (H, W), upright, read-only, valid until the next step. For 8-bit YUV and gray that is stored upright
        it is a view of the decoder's memory, nothing is copied or converted; deeper formats are shifted down to 8 bits,
        RGB and palettes become gray.

        What leans on pictures from before the recording is not shown, and what the decoder had to conceal is shown and
        counted (`Stream.condition`). A time stamp that stands twice is taken as one tick later.

        Raises ClipError ("decode") for a truncated, an encrypted or a mostly damaged file (see `Account.condition`),
        timestamps that jump back, a picture that changes its size, and a file without a single frame.
        """
        luma, picture = Luma(), self._begin()
        for pts, frame in self.frames():
            try:
                plane = luma(frame, picture.turn)
            except MISREAD as error:
                raise ClipError("decode", f"its picture cannot be read: {said(error)}") from error
            yield pts, plane

    def frames(self) -> Iterator[tuple[int, VideoFrame]]:
        """Yield (pts, frame) like `luma`, which they are the frames of: as they are stored. Once, instead of it."""
        if self._used:
            raise RuntimeError("the frames of a video are read once: open it again")
        self._used = True
        picture = self._begin()
        assert self._first is not None  # noqa: S101 - _begin has set it
        for pts, frame in chain([self._first], self._frames):
            if (frame.width, frame.height) != picture.stored:
                sizes = f"from {picture.stored[0]} x {picture.stored[1]} to {frame.width} x {frame.height}"
                at = len(self._account.times) - 1
                raise ClipError("decode", f"the picture changes {sizes} at frame {at}; split the clip there")
            self.key, self._last, self._first = frame.key_frame, frame, None
            yield pts, frame
        if self._whole:
            self._finish(picture)

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Yield the packets, in the order of decoding, instead of the frames; once. Raises ClipError ("decode")."""
        if self._used:
            raise RuntimeError("the packets of a video are read once, and not beside its frames: open it again")
        self._used = True
        return self._pictures.packets()

    def _begin(self) -> _Picture:
        """Decode the first frame, once, and return how its picture stands."""
        if self._picture is None:
            self._first = next(self._frames)
            frame = self._first[1]
            turn = turn_of(frame)
            self._picture = _Picture((frame.width, frame.height), turn or UPRIGHT, turn is None)
        return self._picture

    def _finish(self, picture: _Picture) -> None:
        pictures, account = self._pictures, self._account
        end = account.times[-1] + self.duration
        self._check_end(max(end, account.end), max(pictures.nominal_step, pictures.usual))
        first, condition = account.condition()
        askew = "its header turns the picture by an angle that is no quarter turn; it is shown as it was stored"
        notes = (*self._notes, *condition.notes, *([askew] if picture.askew else []))
        self._stream = Stream(
            self.codec,
            picture.width,
            picture.height,
            self.time_base,
            first,
            end,
            frames=len(account.times),
            audio=self.audio,
            condition=replace(condition, notes=notes),
            track=self.track,
        )

    def _check_end(self, end: int, step: int) -> None:
        """Refuse a file that ends before the end its own structure states; `step`: the usual pts from frame to frame.

        Transport, program and raw streams state nothing: cut off between two frames they look like a shorter recording.
        """
        name = self._container.format.name
        if short := missing_bytes(Path(self._container.name.removeprefix("file:")), name):
            raise ClipError("decode", f"truncated: {short} bytes that it announces are missing; fetch the clip again")
        # The index of an MP4 lists every sample, of a fragmented one those of the fragments that were reached.
        listed, packets = len(self._video.index_entries) if name.startswith("mov") else 0, self._account.packets
        if packets < listed:
            raise ClipError(
                "decode", f"truncated: the index lists {listed} frames, {packets} are in the file; fetch the clip again"
            )
        if not name.startswith("matroska"):
            return
        # Its duration is that of the longest track, from zero or from the first time stamp on; the tag is this track's.
        stated = _seconds(self._video.metadata.get("DURATION", ""))
        slack = step * self.time_base / 2
        if stated is None and self._container.duration and len(self._container.streams) == 1:
            stated, slack = Fraction(self._container.duration, 1_000_000), 2 * step * self.time_base
        if stated is not None and (over := stated - end * self.time_base) > slack:
            more = f"{float(over):.3f} s"
            raise ClipError("decode", f"truncated: its header states {more} more than it holds; fetch the clip again")


@dataclass(frozen=True, slots=True)
class _Picture:
    """How the pictures of a clip stand: width and height as stored, how they are turned; askew: by no quarter turn."""

    stored: tuple[int, int]
    turn: Turn
    askew: bool

    @property
    def width(self) -> int:
        return self.stored[self.turn.transposed]

    @property
    def height(self) -> int:
        return self.stored[not self.turn.transposed]


@contextmanager
def open_video(
    path: Path,
    *,
    threads: int = 1,
    max_pixels: int = MAX_PIXELS,
    loop_filter: bool = False,
    start_pts: int | None = None,
    track: Track = "largest",
    raw_rate: Fraction | None = None,
    known: Stream | None = None,
    witness: Callable[[Packet[VideoStream]], None] | None = None,
) -> Iterator[Video]:
    """Open a clip (MP4, MOV, MKV, WebM, AVI, TS, MPG, FLV, ASF, DAV, OGG, IVF, raw streams) for one pass over its film.

    threads: of the decoder. max_pixels: largest width x height accepted. loop_filter: True decodes the exact
    picture; False leaves out the deblocking, which analysis does not need and which costs a fifth of the time.
    start_pts: begin at a keyframe from which every frame from this pts on can be decoded (see `seek_point`); frames
    before it are still shown, and the checks of the whole file are left out. track: which video track is the film:
    "largest", "first", "default" or its number. raw_rate: frames a second of a raw stream, which does not say it.
    known: what an earlier pass found: its track and rate are opened again, whatever `track` and `raw_rate` say.
    witness: is shown each packet before it is decoded.

    Raises ClipError: "fetch" when the file is not there or cannot be read, "probe" when it is empty, is not a video,
    has no video stream, an unknown codec, no timestamps or too many pixels; errors met later carry "decode".
    """
    if known is not None:
        track, raw_rate = known.track, 1 / known.time_base
    with ExitStack() as stack:
        again = partial(opened, path, max_pixels=max_pixels, track=track, raw_rate=raw_rate)
        found = stack.enter_context(again())
        target = None if start_pts is None else _seek_point(found, start_pts)
        if start_pts is not None and target is None:
            found = stack.enter_context(again())  # what was read of it looking for a place does not come again
        container, video = found.container, found.video
        rate = told_rate(container, video, raw_rate)
        context = video.codec_context
        context.thread_count = max(1, threads)  # 0 would mean every core
        # With frame threads a frame loses the decoding time of its packet, which is all the time an AVI or ASF has.
        alone = threads == 1 or by_order(container, video)
        context.thread_type = ThreadType.SLICE if alone else ThreadType.AUTO
        context.options = pixel_limit(max_pixels) | ({} if loop_filter else {"skip_loop_filter": "all"})
        if target is not None:
            try:
                container.seek(target, stream=video)
            except MISREAD as error:
                raise ClipError("decode", f"no place in it can be found: {said(error)}") from error
        yield Video(found, rate, seek_pts=target, witness=witness)


def seek_point(path: Path, pts: int, *, track: Track = "largest") -> int | None:
    """Return a pts to seek to so that every frame from `pts` on is decoded, or None: only from the beginning.

    The frames around the keyframe it leads to may lean on still earlier ones, so it lies 32 frames before `pts`, twice
    what any codec's reordering spans; 1000 where that leads to a keyframe too late, as in a transport stream. A raw
    stream and one that tells the time of some frames only have no times to seek to.
    """
    with opened(path, max_pixels=MAX_PIXELS, track=track) as found:
        return _seek_point(found, pts)


def _seek_point(found: Opened, pts: int) -> int | None:
    container, video = found.container, found.video
    if container.format.name in UNTIMED:
        return None
    per_frame = 1 / Fraction(video.average_rate or 25) / Fraction(video.time_base or 1)
    latest = pts - math.ceil(32 * per_frame)
    for frames in (32, 1000):
        target = pts - math.ceil(frames * per_frame)
        if target <= (video.start_time or 0):
            return None
        try:
            container.seek(target, stream=video)
            key = next((p for p in packets(container, video) if p.is_keyframe), None)
        except MISREAD:
            return None
        at = None if key is None else key.dts if key.pts is None else key.pts
        if at is not None and at <= latest:
            return target
    return None


def _ahead(audio: AudioStream | None, video: VideoStream) -> Iterator[str]:
    """Say by how much the sound begins before the picture, where nobody knows which of them a start is meant of."""
    if audio is None or None in (audio.start_time, audio.time_base, video.start_time, video.time_base):
        return
    begins = [Fraction(stream.start_time or 0) * Fraction(stream.time_base or 0) for stream in (video, audio)]
    if begins[0] - begins[1] >= _AHEAD_S:
        told = f"{float(begins[0] - begins[1]):.3f} s"
        yield f"its sound begins {told} before its picture; its start is taken as that of the picture"


def _seconds(text: str) -> Fraction | None:
    """Return "01:02:03.456000000" in seconds, or None when it is not that."""
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", text.strip())
    return None if match is None else int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3])
