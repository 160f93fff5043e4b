"""The account of what a recording lacks: kept packet by packet and frame by frame, told at the end."""

from __future__ import annotations

from array import array
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.clip import Condition
from pipeline.errors import ClipError
from pipeline.holes import holes, never_came

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

# Every packet of theirs is one picture that is shown; VP8 has hidden ones, MPEG-4 has packets that say "as before".
_ONE_EACH: Final = frozenset({"h264", "hevc", "vvc", "av1", "vp9", "mpeg1video", "mpeg2video", "mjpeg"})
_CONSTANT: Final = 0.9  # of all steps alike: then a longer one is a picture that was lost


class Account:
    """What was met of one stream so far.

    times: pts of the frames shown. packets: how many there were; untimed: of them without a pts. end: the pts at which
    the last packet ends. concealed: frames in which the decoder concealed something; leaning: other frames that lean
    on data that was lost. guessed: frames that came without a time. repeats: time stamps that did not go on. late:
    frames left out because later ones had been shown. interlaced: whether a frame was.
    """

    def __init__(self, codec: str, *, time_base: Fraction, raw: bool, lossy: bool) -> None:
        """raw: whether the stream has no times; lossy: whether it may lose packets on its way."""
        self.times: array[int] = array("q")
        self.packets = self.untimed = self.end = self.concealed = self.leaning = 0
        self.guessed = self.repeats = self.late = 0
        self.interlaced = False
        self.lead = Lead()
        self._codec, self._base, self._raw, self._lossy = codec, time_base, raw, lossy
        self._packet_pts: array[int] = array("q")
        self._failed: list[int | None] = []  # the pts of packets that gave an error and no picture
        self._corrupt = 0
        self._lean_from: int | None = None

    @property
    def harmed(self) -> bool:
        """Whether something was damaged or lost so far."""
        return bool(self._corrupt or self._failed or self.concealed)

    def met(self, packet: Packet[VideoStream]) -> None:
        """Take down a packet before it is decoded."""
        if packet.is_corrupt:
            self._corrupt += 1
            self._lean(packet)
        self.packets += 1
        if not packet.is_discard:
            if (pts := packet.pts) is None:
                self.untimed += 1
            else:
                self._packet_pts.append(pts)
                self.end = max(self.end, pts + (packet.duration or 0))
        if not self.times:
            self.lead.met(packet, inter=self._codec != "mjpeg")

    def failed(self, packet: Packet[VideoStream]) -> None:
        """Take down a packet that gave an error instead of a picture."""
        self._failed.append(packet.pts)
        self._lean(packet)
        if not self.times:
            self.lead.failed()

    def shown(self, pts: int, frame: VideoFrame) -> None:
        """Take down a frame that is shown at `pts`."""
        self.interlaced = self.interlaced or frame.interlaced_frame
        if frame.is_corrupt:
            self.concealed += 1
        elif self._lean_from is not None and pts >= self._lean_from:
            if frame.key_frame:
                self._lean_from = None
            else:
                self.leaning += 1
        self.times.append(pts)

    def first_pts(self) -> int:
        """Return the time of the first packet; where packets have none, counted back from the first frame."""
        first = self.times[0]
        if self._raw:
            return 0
        if self.lead.fed:
            return min((pts for pts in self._packet_pts[: self.lead.fed] if pts < first), default=first)
        return first - self.lead.ticks

    def condition(self) -> tuple[int, Condition]:
        """Return the pts at which the recording begins and what it lacks.

        Set aside is what is mostly damaged: more than half of the frames from the first one shown on are missing, or
        such that the decoder had to conceal something in them. Raises ClipError ("decode") for it.
        """
        first, shown = self.first_pts(), np.asarray(self.times)
        lead, missing = self._missing(shown)
        gaps, never = (0, 0) if self._raw else self._never_came(shown)
        never = max(0, never - self.repeats)  # a frame whose time stamp stands twice left its own time empty
        if self._lossy and self._corrupt:
            missing += never
        frames = len(shown) + missing
        if 2 * (self.concealed + missing) > frames:
            lacks = f"{self.concealed} of its {frames} frames are damaged and {missing} missing"
            raise ClipError("decode", f"{lacks}, more than half of them; fetch or record the clip again")
        begins = [(first, int(shown[0]))] if first < shown[0] else []
        notes = list(self._told(int(shown[0]) - first))
        if never and not (self._lossy and self._corrupt):
            # No proof of damage, so no reason to set a clip aside: a camera may have been too slow.
            missing += never
            notes.append(f"{_count(never, 'frame')} never came: {_count(gaps, 'step')} between frames took too long")
        damaged = self.concealed + self.leaning
        return first, Condition((*begins, *holes(shown, self._base)), damaged, lead + missing, tuple(notes))

    def _lean(self, packet: Packet[VideoStream]) -> None:
        """Count what follows as damaged up to the next keyframe: it may lean on what this packet has lost."""
        if self.times and self._lean_from is None:
            self._lean_from = packet.pts if packet.pts is not None else self.times[-1]

    def _missing(self, shown: NDArray[np.int64]) -> tuple[int, int]:
        """Return how many frames gave no picture: before the first one that was shown, and after."""
        first = shown[0]
        if self._raw:
            return int(first), len(self._failed) - self.lead.failures + self.late
        given = np.unique(np.asarray(self._packet_pts))
        lead = int((given < first).sum())
        if self.untimed:
            lead = max(lead, self.lead.packets)
        after = [pts for pts in self._failed[self.lead.failures :] if pts is None or pts >= first]
        if self._codec in _ONE_EACH and not self.interlaced and len(given):
            # Two fields may be two packets of one frame, each with its time.
            missing = np.setdiff1d(given[given >= first], shown).size + sum(pts is None for pts in after)
        else:
            missing = len(after) + self.late
        return lead, missing

    def _never_came(self, shown: NDArray[np.int64]) -> tuple[int, int]:
        """Return how many steps between packets are longer than the others, and how many frames those lack."""
        given = np.unique(np.asarray(self._packet_pts))
        given = given[given >= shown[0]]
        return never_came(given, self._base, alike=_CONSTANT) if len(given) > self.untimed else (0, 0)

    def _told(self, ticks: int) -> Iterator[str]:
        if ticks:
            length = f"{float(ticks * self._base):.3f} s"
            why = "the recording begins between two keyframes"
            if self.lead.by_key:
                why = "its pictures lean on data that is damaged or was not recorded"
            yield f"the first {length} cannot be shown: {why}"
        if self._corrupt:
            yield f"{_count(self._corrupt, 'packet')} came damaged or after a loss on the way"
        if self.repeats:
            yield (
                f"{_count(self.repeats, 'time stamp')} stood twice or went back by less than a frame; "
                "each of these frames is shown a tick after the one before it"
            )


class Lead:
    """What came before the first frame that was shown, also of a stream whose packets have no time.

    fed: packets with a pts until then; packets, ticks: those before the keyframe that was shown first, and their time.
    failures: how many gave an error. by_key: whether the first of all is a keyframe.
    """

    def __init__(self) -> None:
        self.fed = self.packets = self.ticks = self.failures = 0
        self._seen = 0
        self._first: int | None = None
        self._key = self.by_key = False

    def met(self, packet: Packet[VideoStream], *, inter: bool) -> None:
        """Take down a packet; inter: whether the codec has others than keyframes."""
        if packet.is_discard:
            return
        self.fed += packet.pts is not None
        if not self._seen:
            self._first, self.by_key = packet.dts, packet.is_keyframe
        if not self._key and (packet.is_keyframe or not inter):
            self._key = True
            self.packets = self._seen
            if packet.dts is not None and self._first is not None:
                self.ticks = packet.dts - self._first
        self._seen += 1

    def failed(self) -> None:
        """Take down that a packet gave an error: the next keyframe may be the first that is shown."""
        self.failures += 1
        self._key = False


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"
