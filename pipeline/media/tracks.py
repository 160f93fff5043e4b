"""Which video track of a file is the film: not its cover, not its preview; of two real ones the larger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from av.stream import Disposition

from pipeline.errors import ClipError
from pipeline.media.demux import packets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from av.container import InputContainer
    from av.video.stream import VideoStream

Track: TypeAlias = str | int
"""How the film is chosen: "largest", "first", "default", or its number among the video tracks without covers."""

_STILLS: Final = frozenset(
    {"mjpeg", "png", "apng", "bmp", "gif", "webp", "tiff", "jpegxl", "jpeg2000", "ljpeg", "jpegls", "ppm", "qoi"}
)
_NO_FILM: Final = Disposition.timed_thumbnails | Disposition.still_image
_PACKETS: Final = 100  # so many of a track of pictures are looked for before it is taken for a film


class Chosen(NamedTuple):
    """The film of a file: its stream, its number among the video tracks that are no covers, and what else there is."""

    stream: VideoStream
    number: int
    notes: tuple[str, ...] = ()


def choose(container: InputContainer, wanted: Track) -> Chosen:
    """Choose the film; reads packets of a file with several tracks, so that the caller has to go back to its start.

    Raises ClipError ("probe") for a file without a video track and a number it does not have.
    """
    tracks = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not tracks:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise ClipError("probe", f"there is no video in it, only {kinds}; wanted a video clip")
    if isinstance(wanted, int):
        if not 0 <= wanted < len(tracks):
            raise ClipError("probe", f"it has {_count(len(tracks))}, wanted number {wanted}, counted from 0")
        return Chosen(tracks[wanted], wanted, _told(tracks, tracks, tracks[wanted]))
    if len(tracks) == 1:
        return Chosen(tracks[0], 0)
    films = _films(container, tracks) or tracks
    film = films[0]
    if wanted == "largest":
        film = max(films, key=_pixels)  # the first of several equal ones
    elif wanted == "default":
        film = next((s for s in films if s.disposition & Disposition.default), film)
    return Chosen(film, tracks.index(film), _told(tracks, films, film))


def _films(container: InputContainer, tracks: Sequence[VideoStream]) -> list[VideoStream]:
    """Return the tracks that move: not marked as pictures, and with more than one picture in them."""
    films = [s for s in tracks if s.codec_context is not None and not s.disposition & _NO_FILM]
    unsure = {s.index: s.frames for s in films if s.codec_context.codec.canonical_name in _STILLS}
    if not unsure:
        return films
    counts = dict.fromkeys((s.index for s in films), 0)
    for packet in packets(container, films):
        counts[packet.stream_index] += packet.size > 0
        if max(counts.values()) >= _PACKETS:
            break
    # A preview has a picture every few seconds where the film has many.
    most = max(counts.values())
    return [s for s in films if s.index not in unsure or (counts[s.index] > 1 and counts[s.index] * 20 > most)]


def _told(tracks: Sequence[VideoStream], films: Sequence[VideoStream], film: VideoStream) -> tuple[str, ...]:
    others = [f"track {tracks.index(s)} ({_size(s)})" for s in films if s is not film]
    if not others:
        return ()
    this = f"the file has {_count(len(films))}; this is track {tracks.index(film)} ({_size(film)})"
    return (f"{this}, beside it {', '.join(others)}",)


def _count(tracks: int) -> str:
    return f"{tracks} video track{'s' if tracks != 1 else ''}"


def _pixels(stream: VideoStream) -> int:
    context = stream.codec_context
    return context.width * context.height if context is not None else 0


def _size(stream: VideoStream) -> str:
    context = stream.codec_context
    return f"{context.width} x {context.height}" if context is not None else "of an unknown codec"
