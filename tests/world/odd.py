"""The odd films of the world, each a kind of what cameras, recorders and tools write and users report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import av
from av.packet import Packet

from world import picture
from world.films import CONTAINERS, FRAMES, GROUP, Film, encode, ffmpeg

_F: Final = 1 / picture.RATE
_ALL: Final = range(FRAMES)
Edit: TypeAlias = "Callable[[str, int, Packet[Any]], Fraction | None]"
"""From a packet's kind and its place in its stream to how much later it is to come (s); None leaves it out."""


def times(numbers: range | list[int], *, first: int = 0) -> tuple[Fraction, ...]:
    """Return when those frames are shown at the film's rate, in seconds after frame `first`."""
    return tuple((n - first) * _F for n in numbers)


def odd() -> list[Film]:
    """Return the odd films."""
    return [*_cut_in(), *_long_and_late(), *_damaged(), *_tracks(), *_sounds()]


def shapes() -> list[Film]:
    """Return the films that are to be shown otherwise than they are stored: turned, wide, in fields, in full range."""
    return list(_shapes())


def kind(name: str, container: str, codec: str, sound: str = "", **fields: Any) -> Film:
    """Return a film of that container and those codecs."""
    return Film(name, CONTAINERS[container][0], container, codec, sound, **fields)


# What happens to packets ----------------------------------------------------------------------------------------------


def remux(source: Path, target: Path, film: Film, edit: Edit, *, last_s: Fraction | None = None) -> None:
    """Copy a film packet by packet, each as `edit` says; `last_s`: how long the last picture says it is shown."""
    words = iter(CONTAINERS[film.container][1])
    form = next(words)
    options = {key.lstrip("-"): value for key, value in zip(words, words, strict=True)}
    with av.open(str(source)) as given, av.open(str(target), "w", format=form, options=options) as out:
        streams = {stream.index: out.add_stream_from_template(stream, opaque=True) for stream in given.streams}
        counts = dict.fromkeys(streams, 0)
        for packet in _in_order(given.demux()):
            number = counts[packet.stream.index]
            counts[packet.stream.index] += 1
            later = edit(packet.stream.type, number, packet)
            if later is None:
                continue
            assert packet.pts is not None
            assert packet.dts is not None
            packet.pts += round(later / packet.time_base)
            packet.dts += round(later / packet.time_base)
            if last_s is not None and packet.stream.type == "video" and number == FRAMES - 1:
                packet.duration = round(last_s / packet.time_base)
            packet.stream = streams[packet.stream.index]
            out.mux(packet)


def _in_order(packets: Iterator[Packet[Any]]) -> list[Packet[Any]]:
    return [packet for packet in packets if packet.size]


def made_of(film: Film, path: Path, edit: Edit, *, via: str = "", last_s: Fraction | None = None) -> None:
    """Encode the film plainly (`via`: into that container), then write it as `edit` says."""
    plain = path.with_name(f"plain{CONTAINERS[via or film.container][0]}")
    encode(_as(film, via or film.container), plain)
    remux(plain, path, film, edit, last_s=last_s)
    plain.unlink()


def _as(film: Film, container: str) -> Film:
    return kind(film.name, container, film.codec, film.sound, size=film.size, fields=film.fields)


# Begins between keyframes, holes, long last frames --------------------------------------------------------------------


def _cut_in() -> Iterator[Film]:
    """Yield films that begin between keyframes: the first frame of all can be decoded only with the next group."""
    for container, codec, sound, first in (
        ("mpeg-ts", "h264", "aac", 7),
        ("mpeg-ts", "hevc", "", 13),
        ("mpeg-ts", "mpeg2video-i", "mp2", 6),
        ("mp4", "h264", "aac", 7),
        ("mp4", "hevc", "", 15),
        ("mov", "mpeg4", "", 3),
        ("fragmented mp4", "h264", "", 9),
        ("matroska", "h264", "aac", 11),
        ("matroska", "vp9", "", 5),
        ("flv", "h264", "", 4),
    ):
        numbers = range(GROUP, FRAMES)
        yield kind(
            f"cut-in-{container.replace(' ', '-')}-{codec.partition('-')[0]}",
            *(container, codec, sound),
            make=partial(_cut_in_film, first=first),
            numbers=tuple(numbers),
            at=times(numbers, first=first),
            heard=(Fraction(0), (FRAMES - first) * _F),
            sound_at=first * _F,
            says=("holes",),
        )


def _cut_in_film(film: Film, path: Path, *, first: int) -> None:
    def edit(stream: str, number: int, packet: Packet[Any]) -> Fraction | None:
        if stream == "video":
            return None if number < first else Fraction(0)
        assert packet.pts is not None
        return None if packet.pts * packet.time_base < first * _F else Fraction(0)

    made_of(film, path, edit, via="mp4" if film.codec != "mpeg2video-i" else "matroska")


def _holes() -> Iterator[Film]:
    for name, container, holes in (
        ("hole-hour-mp4", "mp4", {30: 3600}),
        ("hole-hour-mkv", "matroska", {30: 3600}),
        ("hole-20-mp4", "mp4", {30: 20}),
        ("hole-20-ts", "mpeg-ts", {30: 20}),
        ("hole-20-mkv", "matroska", {27: 20}),
        ("hole-20-flv", "flv", {30: 20}),
        ("hole-two-mp4", "mp4", {20: 20, 50: 40}),
    ):
        late = [sum(length for frame, length in holes.items() if n >= frame) for n in _ALL]
        at = tuple(n * _F + more for n, more in zip(_ALL, late, strict=True))
        yield kind(name, container, "h264", make=partial(_hole_film, late=late), at=at, says=("holes",))


def _hole_film(film: Film, path: Path, *, late: list[int]) -> None:
    made_of(film, path, lambda _, number, __: Fraction(late[number]), via="mp4")


def holes() -> list[Film]:
    """Return the films with a hole inside, or with an end that never was."""
    ends = [
        kind(f"eleven-hours-{name}", container, "h264", make=_eleven_hours)
        for name, container in (("mp4", "mp4"), ("mov", "mov"), ("mkv", "matroska"))
    ]
    return [*_holes(), *ends]


def _eleven_hours(film: Film, path: Path) -> None:
    made_of(film, path, lambda *_: Fraction(0), via="mp4", last_s=Fraction(11 * 3600))


# Times that look wrong and are not ------------------------------------------------------------------------------------


def _long_and_late() -> Iterator[Film]:
    for container, seconds in (("mp4", 5), ("matroska", 5), ("mpeg-ts", 7), ("flv", 5), ("mov", 3), ("avi", 0)):
        if seconds:
            yield kind(
                f"starts-late-{container}", container, "h264", "aac", make=partial(_starts_late, seconds=seconds)
            )
    # 2^33 ticks of 90 kHz are 95,443.7 s: the count of a transport stream begins anew inside the film.
    yield kind("time-stamp-wraps-ts", "mpeg-ts", "h264", "aac", make=partial(_offset, seconds="95442.5"))
    for container, name in (("mp4", "mp4"), ("matroska", "mkv")):
        yield kind(f"subtitle-longer-{name}", container, "h264", make=_subtitle)
        yield kind(f"sound-longer-{name}", container, "h264", "aac", make=_sound_longer)
    shown = range(13, FRAMES)
    yield kind(
        *("edit-list-hides-mp4", "mp4", "h264"),
        make=_hidden_by_edit_list,
        numbers=tuple(shown),
        at=times(shown, first=13),
    )
    uneven = [n * 40 + (n % 3) * 7 + n // 5 * 11 for n in _ALL]
    for container, name in (("mp4", "mp4"), ("matroska", "mkv"), ("mpeg-ts", "ts")):
        at = tuple(Fraction(ms, 1000) for ms in uneven)
        yield kind(f"uneven-{name}", container, "h264", make=partial(_uneven, uneven=uneven), at=at)


def _starts_late(film: Film, path: Path, *, seconds: int) -> None:
    made_of(film, path, lambda *_: Fraction(seconds), via="mp4")


def _offset(film: Film, path: Path, *, seconds: str) -> None:
    encode(film, path, "-output_ts_offset", seconds)


def _subtitle(film: Film, path: Path) -> None:
    text = path.with_name("words.srt")
    text.write_text("1\n00:00:00,000 --> 00:00:12,000\nno end\n\n")
    plain = path.with_name("plain.mp4")
    encode(_as(film, "mp4"), plain)
    coder = "mov_text" if film.container == "mp4" else "srt"
    words = ["-i", str(plain), "-i", str(text), "-map", "0:v", "-map", "1", "-c:v", "copy", "-c:s", coder]
    ffmpeg(*words, "-f", *CONTAINERS[film.container][1], str(path))
    plain.unlink()
    text.unlink()


def _sound_longer(film: Film, path: Path) -> None:
    def edit(stream: str, number: int, _: Packet[Any]) -> Fraction | None:
        return None if stream == "video" and number >= FRAMES else Fraction(0)

    plain = path.with_name("plain.mp4")
    encode(_as(film, "mp4"), plain, count=2 * FRAMES)
    remux(plain, path, film, edit)
    plain.unlink()


def _hidden_by_edit_list(film: Film, path: Path) -> None:
    plain = path.with_name("plain.mp4")
    encode(film, plain)
    ffmpeg("-ss", "0.52", "-i", str(plain), "-c", "copy", "-f", "mp4", str(path))
    plain.unlink()


def _uneven(film: Film, path: Path, *, uneven: list[int]) -> None:
    made_of(film, path, lambda _, n, __: Fraction(uneven[n] - 40 * n, 1000), via="matroska")


# Damage ---------------------------------------------------------------------------------------------------------------

HURT: Final = (25, 32, 47, 63)
LOST: Final = range(30, 34)


def _damaged() -> Iterator[Film]:
    for container, codec in (("mp4", "h264"), ("matroska", "h264"), ("mpeg-ts", "h264"), ("mp4", "hevc")):
        doubtful = frozenset(n for hurt in HURT for n in range(hurt, -(-hurt // GROUP) * GROUP))
        fields: dict[str, Any] = {"make": _hurt_film, "doubtful": doubtful, "says": ("damaged frames",)}
        yield kind(f"damaged-{container}-{codec}", container, codec, **fields)
    for container in ("mp4", "matroska", "mpeg-ts"):
        left = [n for n in _ALL if n not in LOST]
        fields = {"make": _lost_film, "numbers": tuple(left), "at": times(left), "doubtful": frozenset(range(34, 40))}
        yield kind(
            f"lost-{container}-h264", container, "h264", says=("damaged frames", "missing frames", "notes"), **fields
        )
    fields = {"make": _repeated, "doubtful": frozenset({29, 30}), "says": ("notes",)}
    yield kind("repeated-time-mkv", "matroska", "h264", **fields)
    yield kind("repeated-time-ts", "mpeg-ts", "h264", **fields)


def _hurt_film(film: Film, path: Path) -> None:
    def edit(stream: str, number: int, packet: Packet[Any]) -> Fraction | None:
        if stream == "video" and number in HURT:
            data = bytearray(bytes(packet))
            for at in range(len(data) // 3, len(data) // 2):
                data[at] ^= 0x5A
            packet.update(bytes(data))
        return Fraction(0)

    made_of(film, path, edit, via="mp4")


def _lost_film(film: Film, path: Path) -> None:
    made_of(film, path, lambda _, n, __: None if n in LOST else Fraction(0), via="mp4")


def _repeated(film: Film, path: Path) -> None:
    """Give frame 30 the time of frame 29, by the file's bytes: no muxer would write it."""
    made_of(film, path, lambda *_: Fraction(0), via="mp4")
    data = path.read_bytes()
    if film.container == "matroska":
        with av.open(str(path)) as container:
            both = [bytes(packet) for packet in container.demux(video=0)][29:31]
        before, at = (data.find(one) for one in both)  # a block: its track, its time in its cluster (16 bits), flags
        data = data[: at - 3] + data[before - 3 : before - 1] + data[at - 1 :]
    else:
        base = round(29 * _F * 90_000)
        data = data.replace(_pes_time(base + 3600), _pes_time(base))
    path.write_bytes(data)


def _pes_time(ticks: int) -> bytes:
    """Return a PTS as the header of a packet of a transport stream holds it where it has no DTS."""
    parts = ((ticks >> 30) << 1 | 1 | 0x20, (ticks >> 15 & 0x7FFF) << 1 | 1, (ticks & 0x7FFF) << 1 | 1)
    return parts[0].to_bytes(1, "big") + parts[1].to_bytes(2, "big") + parts[2].to_bytes(2, "big")


# More than one picture track ------------------------------------------------------------------------------------------


def _tracks() -> Iterator[Film]:
    for name, container in (("mkv", "matroska"), ("mp4", "mp4"), ("mov", "mov")):
        yield kind(f"still-first-{name}", container, "h264", "aac", make=partial(_beside, how="still"))
        yield kind(f"small-first-{name}", container, "h264", "aac", make=partial(_beside, how="small"))
    yield kind("small-first-ts", "mpeg-ts", "h264", "aac", make=partial(_beside, how="small"))
    yield kind("cover-first-mp4", "mp4", "h264", make=partial(_beside, how="cover"))
    yield kind("cover-first-mkv", "matroska", "h264", make=partial(_beside, how="cover"))


def _beside(film: Film, path: Path, *, how: str) -> None:
    plain, other = path.with_name("plain.mp4"), path.with_name("other.mp4")
    encode(_as(film, "mp4"), plain)
    count = FRAMES if how == "small" else 1
    small = kind("other", "mp4", "h264" if how == "small" else "mjpeg", size=(160, 120))
    encode(small, other, first=2000, count=count)
    words = ["-i", str(other), "-i", str(plain), "-map", "0:v", "-map", "1", "-c", "copy"]
    if how == "cover":
        words += ["-disposition:v:0", "attached_pic"]
    ffmpeg(*words, "-f", *CONTAINERS[film.container][1], str(path))
    plain.unlink()
    other.unlink()


# How the picture is to be shown ---------------------------------------------------------------------------------------

TURNS: Final[dict[str, tuple[int, int, int, int]]] = {
    "90": (0, -1, 1, 0),
    "180": (-1, 0, 0, -1),
    "270": (0, 1, -1, 0),
    "hflip": (-1, 0, 0, 1),
    "vflip": (1, 0, 0, -1),
}
"""Display matrices by how ffmpeg is asked for them (degrees against the clock)."""


def _shapes() -> Iterator[Film]:
    for container, name in (("mp4", "mp4"), ("mov", "mov"), ("matroska", "mkv")):
        for how in TURNS if container == "mp4" else ("90", "180"):
            yield kind(f"turned-{how}-{name}", container, "h264", make=partial(_turned, how=how), turned=TURNS[how])
    yield kind("turned-90-hevc-mov", "mov", "hevc", "aac", make=partial(_turned, how="90"), turned=TURNS["90"])
    yield kind("turned-by-sei-ts", "mpeg-ts", "h264", make=_turned_by_sei, turned=TURNS["90"])
    wide = Fraction(4, 3)
    for container, codec in (
        ("mp4", "h264"), ("matroska", "h264"), ("mpeg-ts", "h264"), ("mpeg-ts", "mpeg2video"), ("mov", "mpeg4"),
        ("matroska", "vp9"),
    ):  # fmt: skip
        yield kind(f"wide-{container}-{codec}", container, codec, make=_plainly("-vf", "setsar=4/3"), pixel=wide)
    for order in ("t", "b"):
        field_first = ("-flags", "+ildct+ilme", "-vf", f"setfield={order}ff")
        fields: dict[str, Any] = {"make": _plainly(*field_first), "fields": order}
        for container in ("mp4", "mpeg-ts", "matroska"):
            yield kind(f"interlaced-{order}-{container}-h264", container, "h264", **fields)
        yield kind(f"interlaced-{order}-mpg-mpeg2", "mpeg-ps", "mpeg2video", **fields)
    full = ("-vf", "scale=out_range=full", "-pix_fmt", "yuvj420p")
    for container, codec in (("mp4", "h264"), ("matroska", "h264"), ("mpeg-ts", "h264"), ("mp4", "hevc")):
        yield kind(f"full-range-{container}-{codec}", container, codec, make=_plainly(*full), full=True)
    for width, height in ((322, 242), (326, 250)):
        for codec in ("h264", "hevc", "vp9", "mpeg4"):
            yield kind(f"size-{width}-{codec}", "matroska", codec, make=_plainly(), size=(width, height))
    for codec in ("mjpeg", "ffv1", "vp9"):
        crop = ("-vf", "crop=321:241:0:0:exact=1") + (("-pix_fmt", "yuv420p") if codec != "mjpeg" else ())
        yield kind(f"size-odd-{codec}", "matroska", codec, make=_plainly(*crop), size=(322, 242), full=codec == "mjpeg")


def _plainly(*more: str) -> Callable[[Film, Path], None]:
    return lambda film, path: encode(film, path, *more)


def _turned(film: Film, path: Path, *, how: str) -> None:
    plain = path.with_name("plain.mp4")
    encode(_as(film, "mp4"), plain)
    word = ["-display_rotation", how] if how.isdigit() else [f"-display_{how}"]
    ffmpeg(*word, "-i", str(plain), "-c", "copy", "-f", *CONTAINERS[film.container][1], str(path))
    plain.unlink()


def _turned_by_sei(film: Film, path: Path) -> None:
    plain = path.with_name("plain.mp4")
    encode(_as(film, "mp4"), plain)
    units = "h264_mp4toannexb,h264_metadata=aud=insert:display_orientation=insert:rotate=90"
    ffmpeg("-i", str(plain), "-c", "copy", "-bsf:v", units, "-f", "mpegts", str(path))
    plain.unlink()


# Sound ----------------------------------------------------------------------------------------------------------------


def _sounds() -> Iterator[Film]:
    for container, sound in (("mp4", "aac"), ("matroska", "opus"), ("mpeg-ts", "mp2"), ("mov", "pcm_s16le")):
        late, early = (Fraction(7, 10), Fraction(3)), (Fraction(0), Fraction(17, 10))
        gap = (Fraction(0), Fraction(3))
        for how, heard in (("late", late), ("early", early), ("gap", gap)):
            if how == "gap" and container == "mov":
                continue
            fields = {"heard": heard, "silent": GAP if how == "gap" else None}
            yield kind(f"sound-{how}-{container}", container, "h264", sound, make=partial(_silent, how=how), **fields)
    for container, name in (("mp4", "mp4"), ("matroska", "mkv")):
        yield kind(f"he-aac-{name}", container, "h264", "aac", make=_he_aac, slack=Fraction(22, 1000))


GAP: Final = (Fraction(6, 10), Fraction(15, 10))


def _silent(film: Film, path: Path, *, how: str) -> None:
    """Leave sound packets out: those before 0.7 s, those from 1.7 s on, or those from 0.6 to 1.5 s."""

    def edit(stream: str, _: int, packet: Packet[Any]) -> Fraction | None:
        assert packet.pts is not None
        at = packet.pts * packet.time_base
        out = {"late": at < Fraction(7, 10), "early": at >= Fraction(17, 10), "gap": GAP[0] <= at < GAP[1]}[how]
        return None if stream == "audio" and out else Fraction(0)

    made_of(film, path, edit, via="matroska" if film.sound in {"opus", "mp2"} else "mov")


def _he_aac(film: Film, path: Path) -> None:
    """Say of AAC of 24 kHz that it is HE-AAC of 48 kHz without anything in its upper band, as the standard allows."""
    plain = path.with_name("plain.mp4")
    encode(_as(film, "mp4"), plain, "-ar", "24000")
    # Object type 5 (SBR), 24 kHz, mono, extension 48 kHz, object type 2 (LC).
    config = int("0010101100001001100010000", 2) << 7
    with av.open(str(plain)) as given, av.open(str(path), "w", format=CONTAINERS[film.container][1][0]) as out:
        streams = {stream.index: out.add_stream_from_template(stream, opaque=True) for stream in given.streams}
        sound = next(stream for stream in streams.values() if stream.type == "audio")
        sound.codec_context.extradata = config.to_bytes(4, "big")
        for packet in _in_order(given.demux()):
            packet.stream = streams[packet.stream.index]
            out.mux(packet)
    plain.unlink()
