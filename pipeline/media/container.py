"""The door to a file: opened by libav within limits, its film chosen, all that it need not decode switched off.

No libav exception leaves it: what is wrong with a file leaves it as a ClipError.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import av
from av.stream import Discard

from pipeline.errors import ClipError
from pipeline.media.edits import joins_pieces
from pipeline.media.tracks import Chosen, Track, choose

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream as AnyStream
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

# Anything else libav can open (playlists, image sequences, devices) may name further files or hosts to read from.
FORMATS: Final = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,ivf,dhav,mpegvideo,h264,hevc,m4v,mjpeg,obu,wav,mp3,aac,flac"
RAW: Final = frozenset({"h264", "hevc", "mpegvideo", "m4v", "mjpeg", "obu"})
"""Streams of pictures without a container: their frames have no time."""
UNTIMED: Final = RAW | {"mpeg", "dhav"}
"""What tells the time of no frame or of some only."""
LOSSY: Final = UNTIMED | {"mpegts"}
"""What may lose packets on its way and is read as far as it goes."""

MISREAD: Final = (av.FFmpegError, ValueError, IndexError, KeyError, OverflowError, ArithmeticError, EOFError)
"""Whatever libav or PyAV raises about the bytes of a clip."""

MAX_SIDE: Final = 32_768
"""The longest side of a picture, in pixels: a sliver is hardly made smaller to be measured, and no camera makes one."""

_MEBI: Final = 1 << 20
_ASF_SECRETS: Final = (
    bytes.fromhex("fbb31122 23bdd211b4b700a0c955fc6e"),
    bytes.fromhex("14e68a292226174cb935dae07ee9289c"),
)
_JOINED: Final = (
    "its edit list joins pieces of a recording, so when what follows the first was is not known; add what the camera "
    "recorded, or take the edits out: `ffmpeg -ignore_editlist 1 -i IN -map 0:v -map 0:a? -c copy OUT.mp4`"
)
_LOCKED: Final = "it is encrypted and its key is not here; decrypt it with what recorded it and add the decrypted clip"


class Opened(NamedTuple):
    """A file that was opened: its container, its film, and how the film was chosen (see `Chosen`)."""

    container: InputContainer
    video: VideoStream
    track: int
    notes: tuple[str, ...]


@contextmanager
def opened(
    path: Path, *, max_pixels: int, track: Track = "largest", raw_rate: Fraction | None = None
) -> Iterator[Opened]:
    """Open a file, choose its film (see `tracks.choose`), switch off all it does not need.

    raw_rate: frames a second of a raw stream. Raises ClipError ("fetch", "probe"), see `open_video`.
    """
    limit = pixel_limit(max_pixels)
    with _container(path, raw_rate, **limit) as container, _again(path, raw_rate, container, track, limit) as found:
        fresh, chosen = found
        video = chosen.stream
        _check(path, fresh, video, max_pixels)
        for other in (s for s in fresh.streams if s.index != video.index):
            other.discard = Discard.all
        yield Opened(fresh, video, chosen.number, chosen.notes)


def told_rate(container: InputContainer, video: VideoStream, raw_rate: Fraction | None) -> Fraction | None:
    """Return the frames a second of a raw stream, None for one in a container. Raises ClipError where nobody tells it.

    MPEG-1 and MPEG-2 have to say their rate in every sequence; what the others say is seldom true.
    """
    name = container.format.name
    if name not in RAW:
        return None
    stated = video.codec_context.framerate if name == "mpegvideo" else None
    rate = raw_rate or stated
    if not rate or rate <= 0:
        raise ClipError(
            "probe",
            f"a raw {video.codec_context.codec.canonical_name} stream does not say how many frames a second it has; "
            "set ingest.raw_rate, such as 25",
        )
    return Fraction(rate)


def by_order(container: InputContainer, video: VideoStream) -> bool:
    """Tell whether a file says when packets are decoded and not when frames are shown: AVI, ASF, an AVI's in Matroska.

    Only what came from an AVI has a tag of four letters in Matroska.
    """
    if not container.format.name.startswith("matroska"):
        return container.format.name in {"avi", "asf"}
    try:
        return bool(video.codec_context.codec_tag.strip("\0"))
    except UnicodeDecodeError:  # a tag all the same
        return True


def check_open(packet: Packet[VideoStream], container: InputContainer) -> None:
    """Raise ClipError ("decode") for a packet of an MP4 that is encrypted."""
    if container.format.name.startswith("mov") and packet.has_sidedata("encryption_info"):
        raise ClipError("decode", _LOCKED)


def said(error: BaseException) -> str:
    """Return what libav says of an error, in lower case and on one line, or PyAV in its place."""
    # The text of libav's own errors also names the file, which is a draft of ours.
    text = error.strerror if isinstance(error, av.FFmpegError | OSError) else " ".join(str(error).split())[:200]
    return (text or type(error).__name__).lower()


@contextmanager
def _again(
    path: Path, raw_rate: Fraction | None, container: InputContainer, track: Track, limit: dict[str, str]
) -> Iterator[tuple[InputContainer, Chosen]]:
    """Give the container with its film, opened anew where choosing has read of it."""
    try:
        chosen = choose(container, track)
    except MISREAD as error:
        raise ClipError("probe", f"its tracks cannot be read: {said(error)}") from error
    if len(container.streams.video) == 1:
        yield container, chosen
        return
    with _container(path, raw_rate, **limit) as fresh:
        if chosen.stream.index >= len(fresh.streams):
            raise ClipError("probe", "its tracks are others each time it is opened; it is damaged, fetch it again")
        stream = cast("VideoStream", fresh.streams[chosen.stream.index])
        yield fresh, chosen._replace(stream=stream)


def _check(path: Path, container: InputContainer, video: VideoStream, max_pixels: int) -> None:
    size = _size(video)
    if 0 in size and _scrambled(path, container, video):
        raise ClipError("decode", _LOCKED)
    if 0 in size:  # Too large for probing, or nothing in it says how large: a look at the header alone.
        with _container(path, None, skip_frame="all") as again:
            if video.index < len(again.streams):
                size = _size(again.streams[video.index])
    if size[0] * size[1] > max_pixels:
        told = f"{size[0]} x {size[1]} is {size[0] * size[1]} pixels"
        raise ClipError("probe", f"its picture of {told}, wanted at most {max_pixels} (max_pixels)")
    if max(size) > MAX_SIDE:
        told = f"{size[0]} x {size[1]}"
        raise ClipError("probe", f"its picture of {told}, wanted at most {MAX_SIDE} pixels along a side")
    if 0 in _size(video):
        raise ClipError("probe", "the size of its picture cannot be found: no frame in it can be decoded")
    if container.format.name.startswith("mov") and joins_pieces(path, video.id):
        raise ClipError("probe", _JOINED)
    if not video.time_base:
        raise ClipError("probe", "it has no time base, so its frames have no time; put the stream into a container")
    if _scrambled(path, container, video):
        raise ClipError("decode", _LOCKED)


def _container(path: Path, raw_rate: Fraction | None, **options: str) -> InputContainer:
    try:
        if path.stat().st_size == 0:
            raise ClipError("probe", "the file is empty (0 bytes); fetch or record the clip again")
        if raw_rate is not None:
            options["framerate"] = str(raw_rate)  # of no meaning to a container
        return open_file(path, **options)
    except FileNotFoundError as error:
        raise ClipError("fetch", f"{path.name} is not there (any more); list the clips again") from error
    except av.FFmpegError as error:
        raise ClipError("probe", f"{_what_is(path)} ({said(error)})") from error
    except OSError as error:
        raise ClipError("fetch", f"{path.name} cannot be read: {error.strerror}") from error
    except MISREAD as error:
        raise ClipError("probe", f"{_what_is(path)} ({said(error)})") from error


def open_file(path: Path, **options: str) -> InputContainer:
    """Open a file in one of FORMATS, and nothing that it names; raises whatever PyAV does."""
    # PyAV asks for made-up pts where a container has none (AVI); they come out of order with B-frames.
    options |= {"format_whitelist": FORMATS, "protocol_whitelist": "file", "fflags": "-genpts"}
    # Without the prefix a name with a colon would be read as a protocol.
    return av.open(f"file:{path.resolve()}", "r", options=options, metadata_errors="replace")


def pixel_limit(max_pixels: int) -> dict[str, str]:
    """Return the option that keeps libav from decoding far larger pictures; it counts whole blocks, so it is looser."""
    return {"max_pixels": str(2 * max_pixels + 65_536)}


def _size(video: AnyStream) -> tuple[int, int]:
    context = cast("VideoCodecContext | None", video.codec_context)
    if context is None:
        raise ClipError("probe", "its codec is not known here; wanted H.264, HEVC, AV1, VP9, MPEG-4 or MJPEG")
    return context.width, context.height


def _scrambled(path: Path, container: InputContainer, video: VideoStream) -> bool:
    """Tell whether the film is encrypted, by what its container says: Matroska, ASF, or the packets of a TS."""
    kind = container.format.name
    if kind.startswith("matroska"):
        return "enc_key_id" in video.metadata
    if kind == "asf":
        with path.open("rb") as file:
            head = file.read(_MEBI)
        return any(secret in head for secret in _ASF_SECRETS)
    return kind == "mpegts" and _scrambled_packets(path, video.id)


def _scrambled_packets(path: Path, pid: int) -> bool:
    """Tell whether most packets of a transport stream's `pid` are marked as scrambled, by its first megabyte."""
    with path.open("rb") as file:
        head = file.read(_MEBI)
    for size in (188, 192, 204):
        first = next((at for at in range(size) if head[at : at + 5 * size : size] == b"\x47" * 5), None)
        if first is not None:
            break
    else:
        return False
    heads = (head[at : at + 4] for at in range(first, len(head) - 4, size) if head[at] == 0x47)
    flags = [bool(one[3] & 0x80) for one in heads if (one[1] & 0x1F) << 8 | one[2] == pid and one[3] & 0x10]
    return sum(flags) * 2 > len(flags)


def _what_is(path: Path) -> str:
    """Say in words what a file is that libav will not open."""
    head = b""
    with suppress(OSError), path.open("rb") as file:
        head = file.read(4096)
    if head[4:8] in {b"styp", b"sidx", b"moof"}:
        return "a segment of a stream without its init segment; put that in front (cat init.mp4 segment.m4s > clip.mp4)"
    if head[4:8] in {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"}:
        return "an MP4 file without its index (moov): cut off or still being written; fetch it again"
    if head and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        return "a text file, not a video; wanted MP4, MKV, AVI, TS or MPG"
    return "not a video that can be read; wanted MP4, MKV, AVI, TS or MPG"
