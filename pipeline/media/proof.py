"""The proof of a product: that it shows the frames of its source, each at its time, and that it plays."""

from __future__ import annotations

import zlib
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pipeline.errors import ClipError
from pipeline.media.decode import open_video
from pipeline.media.likeness import FLOOR, Album
from pipeline.media.luma import Luma
from pipeline.media.units import Header, take_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence
    from pathlib import Path

    from av.packet import Packet
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from pipeline.clip import Stream
    from pipeline.media.decode import Video
    from pipeline.media.transcode import Excerpt
    from pipeline.media.units import Coding, Taken
    from pipeline.media.veil import Veil

Visit: TypeAlias = "Callable[[Fraction, NDArray[np.uint8]], None]"
"""Is shown the seconds of a frame after the first, and its luma, valid until it returns."""
Look: TypeAlias = "Callable[[int, NDArray[np.uint8]], None]"
"""Is shown the number of a frame and its luma, valid until it returns."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame: its pts, the pts at which it ends, and of a decoded one the CRC-32 of its exact luma.

    key: whether it is a keyframe; damaged: whether its decoder concealed something in it.
    """

    pts: int
    end_pts: int
    crc: int = 0
    key: bool = False
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a re-encoded product is compared with: the source's frames, their reduced pictures, and what the source is.

    timed: whether the file states the time of every one of them. veil: what is covered of them; the pictures are, too.
    """

    frames: Sequence[Frame]
    album: Album
    known: Stream
    timed: bool
    veil: Veil | None = None


def frames(
    path: Path,
    start_pts: int | None,
    stop_pts: int | None,
    *,
    visit: Visit,
    known: Stream | None = None,
    veil: Veil | None = None,
) -> tuple[list[Frame], Video]:
    """Decode the frames with start_pts <= pts < stop_pts and show them to `visit`; of a long file what lies around.

    Without bounds the whole file, with all its checks; then the video's `stream` is known. veil: what is covered first.
    """
    found: list[Frame] = []
    last = damaged = 0
    with open_video(path, loop_filter=True, start_pts=start_pts, known=known) as video:
        for pts, luma in video.luma():
            if found and found[-1].pts == last:
                found[-1] = replace(found[-1], end_pts=pts)
            if stop_pts is not None and pts >= stop_pts:
                break
            if start_pts is None or pts >= start_pts:
                seen = luma if veil is None else veil.over(luma, veil.blocks(pts))
                crc = zlib.crc32(np.ascontiguousarray(seen).data)
                found.append(Frame(pts, pts + video.duration, crc, video.key, video.damaged > damaged))
                visit((pts - found[0].pts) * video.time_base, seen)
            last, damaged = pts, video.damaged
    return found, video


class Comparison:
    """Compares the pictures of a product with those of its source, one after the other.

    Where the frame rate is another one, a frame may show any one of the source's within half a step of its time. Frames
    that the source's decoder concealed something in are not compared: another version conceals differently.
    """

    def __init__(self, wanted: Wanted, excerpt: Excerpt, *, fps: int | None) -> None:
        first, unit = excerpt.first_pts, excerpt.time_base
        self._wanted = wanted
        self._times = [(frame.pts - first) * unit for frame in wanted.frames] if fps else None
        self._step = Fraction(1, fps or 1)
        self._seen = self._worst = 0
        self.least = 1.0

    @property
    def complaint(self) -> str:
        """What is said of the frame least like its source."""
        return (
            f"frame {self._worst} of the product is like its source to {self.least:.2f}, wanted {FLOOR} of 1; "
            "ask for a better quality (crf, bit_rate, height)"
        )

    def visit(self, seconds: Fraction, luma: NDArray[np.uint8]) -> None:
        """Compare the next picture, shown these seconds after the first."""
        choice = (
            range(self._seen, self._seen + 1) if self._times is None else _near(self._times, seconds, step=self._step)
        )
        frames = [self._wanted.frames[one] for one in choice if one < len(self._wanted.frames)]
        if frames and not any(frame.damaged for frame in frames):
            likeness = max(self._likeness(one, luma) for one in choice)
            if likeness < self.least:
                self.least, self._worst = likeness, self._seen
        self._seen += 1

    def _likeness(self, number: int, luma: NDArray[np.uint8]) -> float:
        """Return how like the source's frame of this number a picture is, where it is not covered."""
        if (veil := self._wanted.veil) is not None:
            luma = veil.over(luma, veil.blocks(self._wanted.frames[number].pts))
        return self._wanted.album.likeness(number, luma)


def _near(times: list[Fraction], at: Fraction, *, step: Fraction) -> range:
    """Return the numbers of the frames within half a step of a time, and of those on both sides of it."""
    shown = max(0, bisect_right(times, at) - 1)
    first, last = bisect_left(times, at - step / 2), bisect_right(times, at + step / 2)
    return range(max(0, min(first, shown - 1)), min(len(times), max(last, shown + 2)))


def difference(got: Sequence[Frame], video: Video, wanted: Sequence[Frame], excerpt: Excerpt) -> str:
    """Say how a product differs from the wanted frames, "" when it does not.

    Times relative to the first frame are equal as fractions where the product counts in the source's time base, and
    within one tick of its own otherwise.
    """
    if len(got) != len(wanted):
        return f"{len(got)} frames instead of {len(wanted)}"
    if video.samples != len(got):
        return f"{video.samples - len(got)} frames more that are only hidden"
    tick, begun = video.time_base, wanted[0].pts
    if tick == excerpt.time_base and all(a.pts - got[0].pts == b.pts - begun for a, b in zip(got, wanted, strict=True)):
        return ""
    for index, (have, want) in enumerate(zip(got, wanted, strict=True)):
        late = (have.pts - got[0].pts) * tick - (want.pts - begun) * excerpt.time_base
        if abs(late) >= tick:
            return f"frame {index} is {float(late):.6f} s late"
    return ""


def out_of_bounds(got: Sequence[Frame], video: Video, excerpt: Excerpt) -> str:
    """Say how a product of another frame rate reaches beyond the asked time, "" when it does not."""
    length = (excerpt.stop_pts - excerpt.first_pts) * excerpt.time_base
    last = got[-1].pts * video.time_base
    if got[0].pts < 0 or last >= length or video.samples != len(got):
        return f"frames from {got[0].pts} to {float(last):.6f} s of {float(length):.6f} s"
    return ""


@dataclass(frozen=True, slots=True)
class Played:
    """A product that was decoded once, in step with reading it.

    frames: what it shows. packets: how many it has; native: whether those it is to hold are among them. sets: the
    parameter sets of its description. video: what was opened.
    """

    frames: list[Frame]
    packets: int
    native: bool
    sets: tuple[bytes, ...]
    video: Video


class Witness:
    """Takes apart the packets of a product, all of what is in them, and compares those that are to be the source's.

    own: of the source, in the order of decoding; first: the number of the first of them in the product. packets: how
    many came so far; native: whether all of `own` were met.
    """

    def __init__(self, own: Sequence[Taken], *, first: int) -> None:
        self.header: Header | None = None
        self.packets = self._same = 0
        self._own, self._first = own, first

    @property
    def native(self) -> bool:
        """Whether all of the source's packets were met, each in its place."""
        return self._same == len(self._own)

    def __call__(self, packet: Packet[VideoStream]) -> None:
        """Take down the next packet. Raises ValueError for one that cannot be taken apart."""
        assert self.header is not None  # noqa: S101 - set before the first packet is read
        taken = take_apart(self.header, bytes(packet), only_pictures=False)
        at = self.packets - self._first
        self._same += 0 <= at < len(self._own) and self._own[at].same(taken)
        self.packets += 1


def play(
    path: Path, coding: Coding, witness: Witness, *, compare: Container[int] = (), visit: Look | None = None
) -> Played:
    """Decode a product once and let a witness see its packets on the way.

    compare: the numbers of the frames whose luma `visit` is shown. Raises ClipError: like `open_video`, "cut" where its
    decoder has to conceal anything, or its packets cannot be taken apart.
    """
    found: list[Frame] = []
    luma = Luma()
    try:
        with open_video(path, loop_filter=True, witness=witness) as video:
            witness.header = header = Header.read(coding, video.extradata)
            turn = video.turn
            for number, (pts, frame) in enumerate(video.frames()):
                found.append(Frame(pts, pts + video.duration))
                if visit is not None and number in compare:
                    visit(number, luma(frame, turn))
    except ValueError as error:
        raise ClipError("cut", f"the product cannot be read: {error}") from error
    if video.damaged:
        raise ClipError("cut", f"{video.damaged} frames of the product cannot be decoded whole")
    return Played(found, witness.packets, witness.native, header.sets, video)
