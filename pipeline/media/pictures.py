"""The pictures of a stream in the order they are shown, each at its time.

No libav exception leaves it: what is wrong with a clip leaves it as a ClipError.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.errors import ClipError
from pipeline.holes import longest_step, usual_step
from pipeline.media.account import Account
from pipeline.media.container import LOSSY, MISREAD, RAW, UNTIMED, by_order, check_open, said
from pipeline.media.demux import packets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from pipeline.media.container import Opened

# Their decoders show what leans on pictures from before the beginning; those of H.264, HEVC, VP9 and AV1 do not.
_CARELESS: Final = frozenset(
    {"mpeg4", "msmpeg4v1", "msmpeg4v2", "msmpeg4v3", "mpeg1video", "mpeg2video", "h263", "flv1", "wmv1", "wmv2", "vc1"}
)
# So many pictures in a row may come late where data was lost; and where nothing but their order tells of a loss.
_MISLED: Final = 32
_UNHARMED: Final = 4
_SLOWEST: Final = Fraction(1, 120)  # frames a second; slower cameras take no films
_REORDERED: Final = frozenset({"h264", "hevc", "vvc"})


class Pictures:
    """Decodes one stream. `account` is what was met of it so far, whole once `shown` was read to its end."""

    def __init__(
        self,
        opened: Opened,
        *,
        time_base: Fraction,
        rate: Fraction | None,
        witness: Callable[[Packet[VideoStream]], None] | None = None,
    ) -> None:
        """rate: frames a second of a raw stream, whose frames have no time; None for one in a container.

        witness: is shown each packet before it is decoded.
        """
        self._witness = witness
        self._opened, self._base, self._rate = opened, time_base, rate
        name = opened.container.format.name
        self._lossy, self._codec = name in LOSSY, opened.video.codec_context.codec.canonical_name
        self._by_dts, self._sparse = by_order(opened.container, opened.video), name in UNTIMED - RAW
        self.account = Account(self._codec, time_base=time_base, raw=rate is not None, lossy=self._lossy)
        self._frames_measured = self._step = 0  # how long a frame is, and by how many frames that was found
        self._late, self._jump = 0, ""

    @property
    def usual(self) -> int:
        """How long a frame usually lasts, in pts: by those shown so far, before the second by the stream's header."""
        times = self.account.times
        return usual_step(np.asarray(times)) if len(times) > 1 else self.nominal_step

    @property
    def nominal_step(self) -> int:
        """One frame at the rate the header states, in pts; 1 when it states none."""
        video = self._opened.video
        rate = self._rate or video.average_rate or video.guessed_rate
        # A frame of eleven hours alone has a rate of one in eleven hours; what its coding says is better then.
        if rate and rate < _SLOWEST and (said := video.codec_context.framerate):
            rate = said
        return max(1, round(1 / (Fraction(rate) * self._base))) if rate else 1

    def length(self, frame: VideoFrame) -> int:
        """Return how long `frame`, the last one shown, is shown, in pts; never as long as a hole."""
        times = self.account.times
        step = times[-1] - times[-2] if len(times) > 1 else 0
        length = (0 if self._rate else frame.duration) or step or self.nominal_step
        if length <= longest_step(1, self._base):  # of no use to find the usual step, which takes all times until now
            return length
        usual = self.usual
        return usual if length > longest_step(usual, self._base) else length

    def shown(self) -> Iterator[tuple[int, VideoFrame]]:
        """Yield (pts, frame) in order of time; pts strictly increase. Raises ClipError ("decode")."""
        times, length = self.account.times, 0
        for frame, after in self._with_next():
            if not times and self._codec in _CARELESS and not frame.key_frame:
                continue
            pts = self._pts(frame, length, after)
            if times and pts <= (last := times[-1]):
                if not self._repeated(pts, last):
                    self._came_late(pts, last)
                    continue
                pts = last + 1
            self._late = 0
            self.account.shown(pts, frame)
            length = frame.duration
            yield pts, frame
        if not times:
            raise ClipError("decode", "no frame can be decoded; wanted at least one")
        if self._late:
            raise ClipError("decode", self._jump)

    def _with_next(self) -> Iterator[tuple[VideoFrame, VideoFrame | None]]:
        """Yield every frame with the one after it, where the time of one may be that of the other."""
        frames = self._decoded()
        if self._sparse:
            return pairwise(chain(frames, [None]))  # type: ignore[list-item]
        return ((frame, None) for frame in frames)

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Yield the packets that hold something, instead of `shown`. Raises ClipError ("decode")."""
        for number, packet in enumerate(packet for packet in self._read() if packet.size):
            self._check(packet, number)
            yield packet

    def _decoded(self) -> Iterator[VideoFrame]:
        """Yield the frames as the decoder shows them, with libav's errors sorted."""
        for packet in self._packets():
            try:
                frames = packet.decode()
            except MISREAD as error:
                check_open(packet, self._opened.container)
                if isinstance(error, MemoryError):  # of the machine, not of this packet alone
                    raise ClipError("decode", f"no memory to decode it: {said(error)}") from error
                if packet.size:
                    self.account.failed(packet)
                continue
            yield from frames

    def _read(self) -> Iterator[Packet[VideoStream]]:
        try:
            yield from packets(self._opened.container, self._opened.video)
        except MISREAD as error:
            many = len(self.account.times)
            raise ClipError("decode", f"cannot be read on after {many} frames: {said(error)}") from error

    def _check(self, packet: Packet[VideoStream], number: int) -> None:
        if not number:
            check_open(packet, self._opened.container)
        if packet.is_corrupt and not self._lossy:
            raise ClipError("decode", f"truncated or damaged at packet {number}; fetch the clip again")

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        for packet in self._read():
            if packet.size:
                self._check(packet, self.account.packets)
                self.account.met(packet)
                if self._witness is not None:
                    self._witness(packet)
            elif packet.pts is not None or packet.dts is not None:
                continue  # it says "as before"; a decoder would take it for the end
            yield packet

    def _pts(self, frame: VideoFrame, length: int, after: VideoFrame | None) -> int:
        """Return the frame's own pts; without one, when the frame before it ends.

        AVI and ASF store no pts, only times of decoding, but a packed B-frame has no chunk of its own. A program stream
        may tell the time of some frames only, and libav may give it to the frame before as well.
        """
        times = self.account.times
        last = times[-1] if times else None
        if self._rate:
            return self.account.lead.packets if last is None else last + 1
        twice = last is not None and self.account.untimed and after is not None and after.pts == frame.pts
        if frame.pts is not None and not twice:
            return frame.pts
        if frame.dts is not None and (last is None or (self._by_dts and frame.dts > last)):
            return frame.dts
        self.account.guessed += 1
        step = times[-1] - times[-2] if self._by_dts and len(times) > 1 else length
        return 0 if last is None else last + (step or self.nominal_step)

    def _repeated(self, pts: int, last: int) -> bool:
        """Count a time stamp that stands twice or goes back by less than a frame; its frame is shown a tick later.

        A copy of the packets keeps the time stamps as they are, so that a cut around such a frame is coded again.
        """
        shown = len(self.account.times)
        if shown >= 2 * self._frames_measured:
            self._frames_measured, self._step = shown, min(self.usual, self.nominal_step)
        self.account.repeats += last - pts < self._step
        return last - pts < self._step

    def _came_late(self, pts: int, last: int) -> None:
        """Leave out a frame that a decoder, misled by a loss, shows after later ones; raise ClipError for a jump back.

        The frames after a jump back are late for long; those of a misled decoder are on time again soon.
        """
        if not self._late:
            self._jump = self._jumped(pts, last)
        self._late += 1
        self.account.late += 1
        patience = _MISLED if self.account.harmed else _UNHARMED if self._codec in _REORDERED else 0
        if self._late > patience:
            raise ClipError("decode", self._jump)

    def _jumped(self, pts: int, last: int) -> str:
        where = f"at frame {len(self.account.times)}: {pts} after {last} (in {self._base} s)"
        how = "`ffmpeg -i IN -c copy -f segment -segment_times SECONDS OUT%d.mkv`"
        if self._lossy:
            how = "`ffmpeg -i IN -map 0 -c copy OUT.mkv`, which joins their times"
        return f"timestamps jump back {where}; two recordings stand in one file: split it there, {how}"
