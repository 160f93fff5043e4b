"""Packets without pictures: a recording's groups of pictures, and clips made of them by copying, nothing decoded.

The second door to libav, beside pipeline/media/decode.py; no libav exception leaves it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
from av.stream import Discard

from pipeline.errors import ClipError
from pipeline.media.container import open_file
from pipeline.media.demux import packets
from pipeline.span import iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from fractions import Fraction

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream


@dataclass(frozen=True, slots=True)
class Group:
    """One group of pictures: the packets from a keyframe up to the next, in the order of decoding.

    pts: of the keyframe; length: from there to the next group, both in the recording's time base; frames: how many
    packets, `leading` of them shown before the keyframe (they lean on the group before this one).
    """

    pts: int
    length: int
    frames: int
    leading: int


class Recording:
    """A long recording that clips are cut from, held open. Made by `open_recording`.

    time_base: seconds per pts (Fraction). groups: its groups of pictures, in order.
    """

    def __init__(self, container: InputContainer, video: VideoStream, name: str) -> None:
        self.name = name
        self.time_base: Fraction = cast("Fraction", video.time_base)
        self._container, self._video = container, video
        self.groups = self._index()

    def copy(
        self,
        target: Path,
        pieces: Sequence[range],
        *,
        created_ns: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> int:
        """Write the groups of `pieces`, one piece after the other, to an MP4 (whatever its suffix) from pts 0 on.

        pieces: each a range of group numbers, step 1. The pictures keep their distances in time, the time base stays;
        the sound is left out. At the start of a piece the frames that lean on the group before it are left out.
        created_ns: creation time (whole seconds are kept); metadata: further tags. Two copies of the same groups with
        unlike tags are unlike files: the tags make the content unique, not one picture is coded again.
        Returns the number of frames. The same arguments give the same bytes.

        Raises ValueError for no pieces or groups that are not there, ClipError ("packets") when the recording cannot be
        read or MP4 does not take its codec.
        """
        last = len(self.groups) - 1
        if not pieces or any(not one or one.step != 1 or one[0] < 0 or one[-1] > last for one in pieces):
            raise ValueError(f"wanted pieces of groups 0 to {last}, got {list(pieces)}")
        try:
            with av.open(str(target), "w", format="mp4", container_options={"fflags": "+bitexact"}) as out:
                out.metadata.update(metadata or {})
                if created_ns is not None:
                    out.metadata["creation_time"] = iso(created_ns)
                stream = out.add_stream_from_template(self._video)
                stream.time_base = self.time_base
                base = frames = 0
                for piece in pieces:
                    shift = base - self.groups[piece[0]].pts
                    for packet in self._packets(piece):
                        packet.stream = stream
                        packet.pts = cast("int", packet.pts) + shift
                        packet.dts = cast("int", packet.dts) + shift
                        out.mux_one(packet)
                        frames += 1
                    base += sum(self.groups[group].length for group in piece)
        except (av.FFmpegError, ValueError) as error:
            raise ClipError("packets", f"{self.name} cannot be copied: {error}") from error
        return frames

    def _packets(self, piece: range) -> Iterator[Packet[VideoStream]]:
        """Yield the packets of a piece in the order of decoding, without those that lean on the one before."""
        first, left = self.groups[piece[0]], sum(self.groups[group].frames for group in piece)
        self._container.seek(first.pts, stream=self._video)
        found = False
        for packet in packets(self._container, self._video):
            if not packet.size:
                break
            _time(packet, self.name)
            if not found and not (packet.is_keyframe and packet.pts == first.pts):
                if packet.pts is not None and packet.is_keyframe and packet.pts > first.pts:
                    break
                continue  # a container may seek farther back than asked
            found = True
            left -= 1
            if cast("int", packet.pts) >= first.pts:
                yield packet
            if left == 0:
                return
        raise ClipError("packets", f"{self.name} ends or jumps inside of group {piece[0]} and those after it")

    def _index(self) -> tuple[Group, ...]:
        """Read every packet once."""
        keys: list[int] = []
        times: list[list[int]] = []
        end = 0
        for packet in packets(self._container, self._video):
            if not packet.size:
                continue
            pts = _time(packet, self.name)
            if packet.is_keyframe:
                keys.append(pts)
                times.append([])
            if times:  # what comes before the first keyframe cannot be decoded
                times[-1].append(pts)
                end = max(end, pts + (packet.duration or 1))
        if not keys or any(a >= b for a, b in pairwise([*keys, end])):
            raise ClipError("packets", f"{self.name} has no keyframes in increasing order of time")
        return tuple(
            Group(key, after - key, len(shown), sum(pts < key for pts in shown))
            for key, after, shown in zip(keys, [*keys[1:], end], times, strict=True)
        )


@contextmanager
def open_recording(path: Path) -> Iterator[Recording]:
    """Open a recording (a file in one of pipeline.media.container.FORMATS) and read where its groups of pictures begin.

    Raises ClipError ("packets") when it cannot be read, holds no video, or has no keyframes or no time stamps.
    """
    try:
        with open_file(path) as container:
            video = next(iter(container.streams.video), None)
            if video is None or not video.time_base or video.codec_context is None:
                raise ClipError("packets", f"{path.name} holds no video that can be copied")
            for other in container.streams:
                if other.index != video.index:
                    other.discard = Discard.all
            yield Recording(container, video, path.name)
    except (av.FFmpegError, OSError) as error:
        raise ClipError("packets", f"{path.name} cannot be read: {error.strerror or error}") from error


def count(path: Path, track: int, *, start_pts: int, stop_pts: int) -> int:
    """Return how many pictures the stream with this number holds with start_pts <= pts < stop_pts, decodable or not.

    Those an edit list hides are not counted. Raises ClipError ("packets") when the file cannot be read.
    """
    try:
        with open_file(path) as container:
            times = [
                packet.dts if packet.pts is None else packet.pts
                for packet in packets(container, container.streams[track])
                if packet.size and not packet.is_discard
            ]
    except (av.FFmpegError, OSError) as error:
        raise ClipError("packets", f"{path.name} cannot be read: {error.strerror or error}") from error
    return sum(at is not None and start_pts <= at < stop_pts for at in times)


def _time(packet: Packet[VideoStream], name: str) -> int:
    """Return the packet's pts, set to its dts where the container keeps only that (AVI); see `Recording`."""
    if packet.pts is None:
        packet.pts = packet.dts
    if packet.dts is None:
        packet.dts = packet.pts
    if packet.pts is None:
        raise ClipError("packets", f"{name} has packets without a time; put it into an MP4 first")
    return packet.pts
