"""One MP4 out of the camera's own packets, and of pictures encoded to stand before and after them."""

from __future__ import annotations

import heapq
import io
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import av
from av.bitstream import BitStreamFilterContext
from av.packet import Packet
from av.stream import Disposition

from pipeline.errors import ClipError
from pipeline.media.clean import ONLY_PICTURES, clean_head
from pipeline.media.container import open_file, said
from pipeline.media.demux import packets
from pipeline.media.units import (
    Header,
    avcc,
    depths_of,
    ended,
    hvcc,
    joined,
    key_of,
    kind_of,
    profile_of,
    renumbered,
    sampling_of,
    split,
    take_apart,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.video.stream import VideoStream

    from pipeline.media.units import Coding, Taken

_START: Final = b"\x00\x00\x00\x01"
_PROFILES: Final = {66: "baseline", 77: "main", 100: "high", 110: "high10", 122: "high422", 244: "high444"}


class Own(NamedTuple):
    """Packets of the camera that were taken apart before, and their stream, which is open."""

    packets: Sequence[Taken]
    video: VideoStream


@dataclass(frozen=True, slots=True)
class Part:
    """A file of packets, and the pts of its pictures in the order of decoding, in the product's time base.

    encoded: whether they were encoded to stand beside the camera's. ends: whether its sequence has to be ended.
    own: its packets, where they were taken out of the camera's file before; then nothing is read of it.
    """

    path: Path
    pts: tuple[int, ...]
    encoded: bool
    ends: bool = False
    own: Own | None = None


def profile_name(header: Header) -> tuple[str, int]:
    """Return x264's name for the profile of an H.264 stream, and how many pictures others lean on; "", 1 of HEVC.

    Raises ValueError for a profile that it has no name for.
    """
    if header.coding == "hevc":
        return "", 1
    sps = next((unit for unit in header.sets if kind_of("h264", unit) == 7), None)
    if sps is None:
        raise ValueError("its description holds no parameter sets")
    number = profile_of(sps)[0]
    if number not in _PROFILES:
        raise ValueError(f"no encoder here writes its profile {number}")
    return _PROFILES[number], min(16, max(1, sampling_of(sps).references))


def described(path: Path, coding: Coding) -> Header:
    """Return what the description of a part says. Raises ClipError ("transcode")."""
    try:
        with open_file(path) as container:
            return Header.read(coding, container.streams.video[0].codec_context.extradata or b"")
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise ClipError("transcode", f"a part cannot be read: {said(error)}") from error


def sets_of(path: Path, coding: Coding, own: Sequence[Taken] = ()) -> list[bytes]:
    """Return the parameter sets of an MP4 of one film, those in its packets too.

    own: its packets, where they are known. Raises ClipError ("transcode").
    """
    header = described(path, coding)
    if own:
        return [*header.sets, *(unit for taken in own for unit in taken.sets)]
    try:
        with open_file(path) as container:
            read = (bytes(one) for one in packets(container, container.streams.video[0]))
            return [*header.sets, *(unit for one in read for unit in take_apart(header, one, only_pictures=True).sets)]
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise ClipError("transcode", f"a copied part cannot be read: {said(error)}") from error


def splice(target: Path, parts: Sequence[Part], *, time_base: Fraction, last_duration: int, name: str) -> None:
    """Join the parts, one of them copied, with the sound of the first, where its packets are not taken out of it.

    Their times are those that `parts` state; last_duration: for how long the last picture is shown. The description
    holds the parameter sets of both, each with numbers of its own; the camera's packets stay as they are. name: the
    only tag. The same arguments give the same bytes. Raises ClipError ("transcode") where they do not fit together.
    """
    try:
        with ExitStack() as stack:
            pieces = [_Film.of(part, stack) for part in parts]
            heard = None if parts[0].own else stack.enter_context(open_file(parts[0].path))
            out = stack.enter_context(av.open(str(target), "w", format="mp4", container_options=_options(time_base)))
            if name:
                out.metadata["comment"] = name
            streams: list[Iterator[Packet[Any]]] = [
                _timed(_add_pictures(out, pieces, time_base), pieces, last_duration)
            ]
            if heard is not None and heard.streams.audio:
                streams.append(_sound(heard, out))
            for packet in heapq.merge(*streams, key=_at):
                out.mux_one(packet)
        clean_head(target)
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise ClipError("transcode", f"its own packets and encoded ones cannot be joined: {said(error)}") from error


@dataclass(frozen=True, slots=True)
class _Film:
    """An opened part: its pictures, and what their description says."""

    container: InputContainer | None
    video: VideoStream
    part: Part
    header: Header

    @classmethod
    def of(cls, part: Part, stack: ExitStack) -> _Film:
        container = None if part.own else stack.enter_context(open_file(part.path))
        video = part.own.video if part.own else cast("InputContainer", container).streams.video[0]
        coding = cast("Coding", video.codec_context.codec.canonical_name)
        return cls(container, video, part, Header.read(coding, video.codec_context.extradata or b""))

    def units(self) -> Iterator[tuple[bytes, bool]]:
        """Yield the packets as they are to be written, and whether each is a keyframe."""
        if self.container is None:
            yield from self._own()
            return
        changed = self.part.encoded and self.header.coding == "hevc"
        left = len(self.part.pts)
        for packet in packets(self.container, self.video):
            if not packet.size:
                continue
            data, left = bytes(packet), left - 1
            if changed:
                units = [renumbered(unit) for unit in split(data, self.header.length)]
                data = joined(ended(units) if self.part.ends and not left else units)
            elif self.header.length != 4:
                data = joined(split(data, self.header.length))
            yield data, packet.is_keyframe

    def _own(self) -> Iterator[tuple[bytes, bool]]:
        """Yield the camera's packets; those of more than slices pass the filters that leave nothing behind a header."""
        strict = BitStreamFilterContext(ONLY_PICTURES[self.header.coding], self.video)
        for taken in self.part.own.packets if self.part.own else ():
            data = taken.data
            if not taken.plain:
                if not self.header.length:
                    data = b"".join(_START + unit for unit in split(data, 4))
                data = joined(unit for one in strict.filter(Packet(data)) for unit in split(bytes(one), 0))
            yield data, taken.clean


def _options(time_base: Fraction) -> dict[str, str]:
    options = {"movflags": "+faststart", "write_tmcd": "0", "empty_hdlr_name": "1", "fflags": "+bitexact"}
    return options | {"video_track_timescale": str(time_base.denominator)}


def _add_pictures(out: OutputContainer, films: Sequence[_Film], time_base: Fraction) -> VideoStream:
    """Add the stream of pictures: as the camera's own is described, and with the encoder's parameter sets."""
    own = next(film for film in films if not film.part.encoded)
    added: list[bytes] = []
    for film in films:
        if film.part.encoded:
            change = renumbered if film.header.coding == "hevc" else bytes
            added += [unit for one in film.header.sets if (unit := change(one)) not in added]
    coding = own.header.coding
    if len({_samplings(film) for film in films}) > 1:
        raise ValueError("the encoder samples their pixels in another way")
    keys = [key_of(coding, unit) for unit in (*own.header.sets, *added)]
    if len(set(keys)) < len(keys):
        raise ValueError("two parameter sets would have one number")
    if own.container is None and _cleaned(own) != own.header.sets:
        raise ValueError("more than parameter sets stands in its description")
    stream = out.add_stream_from_template(own.video, opaque=True)
    stream.time_base, stream.disposition = time_base, Disposition.default
    context = stream.codec_context
    context.codec_tag = "hvc1" if coding == "hevc" else "avc1"
    context.extradata = hvcc(own.header, added) if coding == "hevc" else avcc(own.header, added)
    stream.metadata["encoder"] = coding
    return stream


def _cleaned(film: _Film) -> tuple[bytes, ...]:
    """Return the parameter sets of a description as the filters write them anew: without what trails them."""
    with av.open(io.BytesIO(), "w", format="mp4") as nowhere:
        stream = nowhere.add_stream_from_template(film.video, opaque=True)
        BitStreamFilterContext(ONLY_PICTURES[film.header.coding], film.video, stream)
        return Header.read(film.header.coding, stream.codec_context.extradata or b"").sets


def _samplings(film: _Film) -> frozenset[tuple[int, ...]]:
    """Return how the pixels of a part are sampled: chroma format, bits of luma and chroma."""
    if film.header.coding == "hevc":
        return frozenset(depths_of(unit) for unit in film.header.sets if kind_of("hevc", unit) == 33)
    return frozenset(sampling_of(unit)[:3] for unit in film.header.sets if kind_of("h264", unit) == 7)


def _timed(stream: VideoStream, films: Sequence[_Film], last_duration: int) -> Iterator[Packet[VideoStream]]:
    """Yield all packets with their times. Each is decoded as late as the deepest reordering in the parts allows."""
    order = [pts for film in films for pts in film.part.pts]
    shown = sorted(order)
    place = {pts: at for at, pts in enumerate(shown)}
    lead = max(at - place[pts] for at, pts in enumerate(order))
    step = (shown[-1] - shown[0]) // max(1, len(shown) - 1) or 1
    before = [shown[0] - step * (lead - at) for at in range(lead)]
    ends = [*shown[1:], shown[-1] + last_duration]
    given = (one for film in films for one in film.units())
    base = cast("Fraction", stream.time_base)
    for at, (pts, (data, key)) in enumerate(zip(order, given, strict=True)):
        packet: Packet[Any] = Packet(data)
        packet.stream, packet.time_base = stream, base
        packet.pts, packet.dts = pts, before[at] if at < lead else shown[at - lead]
        packet.duration, packet.is_keyframe = ends[place[pts]] - pts, key
        yield packet


def _sound(heard: InputContainer, out: OutputContainer) -> Iterator[Packet[AudioStream]]:
    source = heard.streams.audio[0]
    stream = out.add_stream_from_template(source, opaque=True)
    stream.disposition = Disposition.default
    return _copied(heard, source, stream)


def _copied(heard: InputContainer, source: AudioStream, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
    for packet in packets(heard, source):
        if packet.size:
            packet.stream = stream
            yield packet


def _at(packet: Packet[Any]) -> Fraction:
    return cast("int", packet.dts) * Fraction(packet.time_base or 1)
