"""The camera's own packets of an asked time: the frames they are, and which of them can be copied as they stand.

Nothing is decoded. A file whose packets do not tell all of that is refused (`UnreadError`), and decoded instead.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from pipeline.media.clean import PLAIN, shown_of
from pipeline.media.container import MISREAD, UNTIMED
from pipeline.media.decode import open_video
from pipeline.media.units import Header, Key, Taken, key_of, notes_of, take_apart

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction
    from pathlib import Path

    from av.packet import Packet
    from av.video.stream import VideoStream

    from pipeline.clip import Stream
    from pipeline.media.clean import Shown
    from pipeline.media.decode import Video
    from pipeline.media.units import Coding


_OF_SHOWING: Final = frozenset({47, 137, 144})  # SEI: display orientation, mastering display, content light level
_IN_MEMORY: Final = 64 << 20  # bytes of packets: some minutes of a street


class UnreadError(Exception):
    """Why the packets of a file do not tell its frames; then they have to be decoded."""


class Piece(NamedTuple):
    """A packet in the order of decoding: its pts, and what it is. asked: whether it is a frame of the asked time."""

    pts: int
    asked: bool
    taken: Taken


@dataclass(frozen=True, slots=True)
class Native:
    """The run of packets that is copied: the frames with start_pts <= pts < stop_pts; packets in decoding order.

    order: their pts. open: whether its first picture begins a sequence only after an end of the one before (see
    `Taken`). held: whether all of them are in memory, as they stand in an MP4. template: their stream, as long as the
    passage is open.
    """

    start_pts: int
    stop_pts: int
    packets: tuple[Taken, ...]
    order: tuple[int, ...]
    open: bool
    held: bool
    template: VideoStream


@dataclass(frozen=True, slots=True)
class Passage:
    """The frames of an asked time: their pts, ascending, and that of the frame after the last, where there is one.

    native: what can be copied, None for nothing, and then `why`. header: what the stream's description says. keys:
    every parameter set that is in force somewhere in it. seek_pts: where reading may begin. shown: how it is to be
    shown, None where that is not known by the first packet.
    """

    pts: tuple[int, ...]
    end_pts: int
    native: Native | None
    why: str
    header: Header
    keys: frozenset[Key]
    seek_pts: int | None
    time_base: Fraction
    codec: Coding
    track: int
    audio_rate: int
    shown: Shown | None


@contextmanager
def read_passage(path: Path, known: Stream, *, start_pts: int, stop_pts: int) -> Iterator[Passage]:
    """Read the packets with start_pts <= pts < stop_pts of the film that an earlier pass found, and leave it open.

    Raises UnreadError where packets do not tell what is shown: codecs other than H.264 and HEVC, containers that keep
    no time of showing or not of each frame (AVI, ASF, program and raw streams), damaged packets, a time that stands
    twice.
    Raises ClipError like `open_video`.
    """
    with open_video(path, start_pts=start_pts, known=known) as video:
        if video.codec not in {"h264", "hevc"}:
            raise UnreadError(f"packets of {video.codec} are not taken apart")
        if video.kind in UNTIMED or video.by_order:
            raise UnreadError("its container does not tell when each frame is shown")
        try:
            passage = _read(video, known, start_pts, stop_pts)
        except (ValueError, IndexError) as error:
            raise UnreadError(str(error)) from error
        yield passage


def _read(video: Video, known: Stream, start_pts: int, stop_pts: int) -> Passage:
    header = Header.read(cast("Coding", video.codec), video.extradata)
    stated = header.by_key
    force, pieces, after, last = dict(stated), list[Piece](), list[int](), (0, 0)
    changed, room, look = False, _IN_MEMORY, cast("Shown | None", None)
    for number, packet in enumerate(video.packets()):
        pts = _time(packet)
        if not number and packet.is_keyframe:
            look = _shown(packet, header)
        taken = take_apart(header, bytes(packet), only_pictures=True)
        for unit in taken.sets:
            key = key_of(header.coding, unit)
            changed = changed or force.get(key) != unit
            force[key] = unit
        asked = start_pts <= pts < stop_pts and not packet.is_discard
        if asked or pieces:
            room -= len(taken.data)
            pieces.append(Piece(pts, asked, taken if room >= 0 else taken.sealed()))
        if asked and pts >= last[0]:
            last = pts, packet.duration or 0
        if pts >= stop_pts and not packet.is_discard:
            after.append(pts)
        if after and packet.dts is not None and packet.dts >= min(after):
            break
    shown = sorted(piece.pts for piece in pieces if piece.asked)
    if len(set(shown)) < len(shown):
        raise UnreadError("a time stamp stands twice")
    step = last[1] or (shown[-1] - shown[-2] if len(shown) > 1 else video.nominal_step)
    end = min(after, default=last[0] + step)
    short = not after and end + step < known.end_pts
    if short or (not after and start_pts <= known.first_pts and len(shown) != known.frames):
        raise UnreadError("it is no longer all of its clip")
    native, why = _native(pieces, video.template, changed=changed, header=header)
    return Passage(
        tuple(shown),
        end,
        native,
        why,
        header,
        frozenset(force),
        video.seek_pts,
        video.time_base,
        header.coding,
        video.stream_index,
        video.audio_rate,
        look,
    )


def _shown(packet: Packet[VideoStream], header: Header) -> Shown | None:
    """Return how a film is to be shown, by its first packet alone; None where that gives no picture.

    What its container says of that is copied with its packets, so that only their own notes are looked for.
    """
    if not header.more and not notes_of(header.coding, bytes(packet), header.length) & _OF_SHOWING:
        return PLAIN
    try:
        frame = next(iter([*packet.decode(), *packet.stream.codec_context.decode(None)]), None)
    except MISREAD:
        return None
    return None if frame is None else shown_of(frame)


def _time(packet: Packet[VideoStream]) -> int:
    if packet.is_corrupt:
        raise UnreadError("a packet came damaged")
    if packet.pts is None:
        raise UnreadError("its packets do not all tell when they are shown")
    if any(one.data_type == "new_extradata" for one in packet.iter_sidedata()):
        raise UnreadError("its description changes on the way")
    return packet.pts


def _native(pieces: list[Piece], template: VideoStream, *, changed: bool, header: Header) -> tuple[Native | None, str]:
    """Choose the run: from the first clean picture, to where a frame follows that leans on one beyond the end.

    Leading pictures are left to the part before: those that lean on it have to be, and the others are few.
    """
    why = "no picture in it can be decoded without those before it"
    for begin, first in enumerate(pieces):
        if not (first.asked and first.taken.clean) or any(one.pts > first.pts for one in pieces[:begin] if one.asked):
            continue
        if changed and not _complete(first, header):
            why = "its parameter sets change on the way"
            continue
        run = _closed([one for one in pieces[begin:] if one.pts >= first.pts])
        if run:
            order = tuple(one.pts for one in run)
            last, held = max(order), header.length in {0, 4} and all(one.taken.held for one in run)
            stop = min((one.pts for one in pieces if one.asked and one.pts > last), default=last + 1)
            own = tuple(one.taken for one in run)
            return Native(first.pts, stop, own, order, first.taken.open, held, template), ""
    return None, why


def _complete(first: Piece, header: Header) -> bool:
    """Tell whether a packet brings all kinds of parameter sets along, so that none from before is in force."""
    kinds = {key_of(header.coding, unit).kind for unit in first.taken.sets}
    return {7, 8} <= kinds or {32, 33, 34} <= kinds


def _closed(pieces: list[Piece]) -> list[Piece]:
    """Return the longest beginning, in decoding order, that is all asked for and shown without a gap."""
    end = next((at for at, one in enumerate(pieces) if not one.asked), len(pieces))
    while end:
        rest = min((one.pts for one in pieces[end:] if one.asked), default=None)
        over = None if rest is None else next((at for at, one in enumerate(pieces[:end]) if one.pts > rest), None)
        if over is None:
            return pieces[:end]
        end = over
    return []
