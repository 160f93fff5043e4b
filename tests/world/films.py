"""The noun of the world: a film that lies in a file of some kind, what it truly shows and when; and how it is made."""

from __future__ import annotations

import subprocess
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Final

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from pipeline.span import Span, parse_iso
from world import picture

START_NS: Final = parse_iso("2026-01-31T18:00:00Z")
FRAMES: Final = 75
GROUP: Final = 20
"""Frames from one keyframe to the next; second boundaries lie inside of groups."""

Make = Callable[["Film", Path], None]


@dataclass(frozen=True)
class Film:
    """One file of the world and the truth of it; `name` is the id of its camera too.

    numbers, at: which frames can be shown, in order, and when, in seconds after the clip's start (its first packet).
    sound: codec of its sound, "" for none; heard: from when to when there is sound, in seconds after the clip's start;
    sound_at: which second of the sound is heard at the clip's start. turned: how the picture is to be turned for
    showing (x, y of the display's axes, as a matrix of four). pixel: width of one pixel over its height.
    fields: "" for a progressive picture, "t" or "b" for the field that is shown first. tail: how long the last frame
    is shown, in seconds. doubtful: numbers of frames whose picture is damaged or leans on one that is. silent: when a
    gap is in the sound. slack: by how much the file itself leaves open when its sound is due, in seconds. says: what
    `show` must tell of at least one of, such as "damaged frames". read: how a number is read.
    """

    name: str
    suffix: str
    container: str
    codec: str
    sound: str = ""
    make: Make | None = field(default=None, repr=False)
    numbers: tuple[int, ...] = tuple(range(FRAMES))
    at: tuple[Fraction, ...] = tuple(n / picture.RATE for n in range(FRAMES))
    heard: tuple[Fraction, Fraction] = (Fraction(0), FRAMES / picture.RATE)
    sound_at: Fraction = Fraction(0)
    turned: tuple[int, int, int, int] = (1, 0, 0, 1)
    pixel: Fraction = Fraction(1)
    full: bool = False
    fields: str = ""
    size: tuple[int, int] = (picture.WIDTH, picture.HEIGHT)
    tail: Fraction = 1 / picture.RATE
    doubtful: frozenset[int] = frozenset()
    slack: Fraction = Fraction(0)
    silent: tuple[Fraction, Fraction] | None = None
    says: tuple[str, ...] = ()
    read: Callable[[NDArray[np.uint8]], int | None] = field(default=picture.number_of, repr=False)

    def write(self, folder: Path) -> Path:
        """Make the file in `folder`/CAMERA/START.SUFFIX and return its path."""
        path = folder / self.name / f"20260131T180000Z{self.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.make is None:
            raise ValueError(f"{self.name} lies somewhere already")
        self.make(self, path)
        return path

    def wanted(self, asked: Span) -> tuple[tuple[int, Fraction], ...]:
        """Return number and time (seconds after the clip's start) of the frames inside the asked time."""
        start, end = (Fraction(at - START_NS, 10**9) for at in (asked.start_ns, asked.end_ns))
        return tuple((n, at) for n, at in zip(self.numbers, self.at, strict=True) if start <= at < end)


def ffmpeg(*words: str, given: bytes = b"") -> None:
    """Run the bundled program, quietly, on one thread; `given` is what it reads from its standard input."""
    command = [_program(), "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *words]
    if given:
        command.remove("-nostdin")
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.decode(errors='replace')}")


@cache
def _program() -> str:
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@cache
def pictures(first: int, count: int, width: int, height: int, fields: str) -> bytes:
    """Return that many pictures one after the other, from number `first` on."""
    return b"".join(picture.draw(n, width=width, height=height, fields=fields) for n in range(first, first + count))


def write_sound(path: Path, seconds: Fraction, *, hertz: int = 48_000) -> Path:
    """Write the sound of a film to a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(hertz)
        file.writeframes(picture.sound(seconds, hertz).tobytes())
    return path


VIDEO: Final[dict[str, Sequence[str]]] = {
    "h264": ("libx264", "-preset", "veryfast", "-crf", "20", "-bf", "0", "-sc_threshold", "0"),
    "h264-b": ("libx264", "-preset", "veryfast", "-crf", "20", "-bf", "3", "-sc_threshold", "0"),
    "h264-open": (
        *("libx264", "-preset", "veryfast", "-crf", "20", "-sc_threshold", "0"),
        *("-x264-params", "open-gop=1:bframes=3:b-adapt=0"),
    ),
    "h264-cavlc": ("libx264", "-preset", "ultrafast", "-crf", "20", "-profile:v", "baseline", "-sc_threshold", "0"),
    "h264-422": ("libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv422p", "-bf", "0"),
    "h264-10": ("libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p10le", "-bf", "2"),
    "h264-444": ("libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv444p", "-bf", "0"),
    "hevc": ("libx265", "-preset", "ultrafast", "-crf", "22", "-x265-params", "{x265}:bframes=0"),
    "hevc-b": ("libx265", "-preset", "ultrafast", "-crf", "22", "-x265-params", "{x265}:bframes=3"),
    "hevc-10": (
        *("libx265", "-preset", "ultrafast", "-crf", "22", "-pix_fmt", "yuv420p10le"),
        *("-x265-params", "{x265}:bframes=0"),
    ),
    "av1": ("libsvtav1", "-preset", "11", "-crf", "30", "-svtav1-params", "lp=1"),
    "vp8": ("libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "900k", "-auto-alt-ref", "0"),
    "vp9": ("libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "30", "-b:v", "0"),
    "mpeg4": ("mpeg4", "-q:v", "3", "-sc_threshold", "1000000000"),
    "mpeg4-b": ("mpeg4", "-q:v", "3", "-bf", "2", "-sc_threshold", "1000000000"),
    "mpeg2video": ("mpeg2video", "-q:v", "3", "-bf", "2", "-sc_threshold", "1000000000"),
    "mpeg2video-i": ("mpeg2video", "-q:v", "3", "-sc_threshold", "1000000000"),
    "mpeg1video": ("mpeg1video", "-q:v", "3", "-sc_threshold", "1000000000"),
    "mjpeg": ("mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p"),
    "h263": ("h263", "-q:v", "3"),
    "msmpeg4v3": ("msmpeg4", "-q:v", "3"),
    "wmv2": ("wmv2", "-q:v", "3"),
    "flv1": ("flv", "-q:v", "3"),
    "theora": ("libtheora", "-q:v", "9"),
    "prores": ("prores_ks", "-profile:v", "0", "-pix_fmt", "yuv422p10le"),
    "ffv1": ("ffv1", "-level", "3"),
}
"""How ffmpeg is told to code the pictures, by kind; what follows a dash in a kind's name is a way of the same codec."""

_X265: Final = "pools=none:frame-threads=1:log-level=none:scenecut=0:keyint=20:min-keyint=20:open-gop=0"

SOUND: Final[dict[str, Sequence[str]]] = {
    "aac": ("aac", "-b:a", "96k"),
    "mp3": ("libmp3lame", "-b:a", "96k"),
    "mp2": ("mp2", "-b:a", "128k"),
    "ac3": ("ac3", "-b:a", "96k"),
    "eac3": ("eac3", "-b:a", "96k"),
    "opus": ("libopus", "-b:a", "64k"),
    "vorbis": ("libvorbis", "-q:a", "5"),
    "flac": ("flac", "-strict", "-2"),
    "wmav2": ("wmav2", "-b:a", "96k"),
    "amrnb": ("libopencore_amrnb", "-b:a", "12.2k", "-ar", "8000"),
    "g726": ("g726", "-b:a", "32k", "-ar", "8000"),
    "nellymoser": ("nellymoser", "-ar", "22050"),
    "adpcm_swf": ("adpcm_swf", "-ar", "22050"),
    "pcm_mulaw": ("pcm_mulaw", "-ar", "8000"),
    "pcm_alaw": ("pcm_alaw", "-ar", "8000"),
    "pcm_bluray": ("pcm_bluray", "-ac", "2"),
}
"""How ffmpeg is told to code the sound, by codec; one that is not here goes by its own name."""

# Their decoders begin later, or their blocks have no exact time.
SLACK: Final[dict[str, Fraction]] = {
    "wmav2": Fraction(45, 1000),
    "amrnb": Fraction(3, 1000),
    "adpcm_ima_wav": Fraction(6, 1000),
    "nellymoser": Fraction(6, 1000),
}

CONTAINERS: Final[dict[str, tuple[str, Sequence[str]]]] = {
    "mp4": (".mp4", ("mp4",)),
    "fragmented mp4": (".mp4", ("mp4", "-movflags", "+frag_keyframe+delay_moov+default_base_moof")),
    "m4s with init": (".m4s", ("mp4", "-movflags", "+frag_keyframe+empty_moov+default_base_moof+dash")),
    "mov": (".mov", ("mov",)),
    "m4v": (".m4v", ("mp4",)),
    "3gp": (".3gp", ("3gp",)),
    "matroska": (".mkv", ("matroska",)),
    "webm": (".webm", ("webm",)),
    "avi": (".avi", ("avi",)),
    "mpeg-ts": (".ts", ("mpegts",)),
    "m2ts": (".m2ts", ("mpegts", "-mpegts_m2ts_mode", "1")),
    "mpeg-ps": (".mpg", ("mpeg",)),
    "vob": (".vob", ("vob",)),
    "flv": (".flv", ("flv",)),
    "asf": (".asf", ("asf",)),
    "wmv": (".wmv", ("asf",)),
    "ogg": (".ogv", ("ogg",)),
    "ivf": (".ivf", ("ivf",)),
    "raw h264": (".h264", ("h264",)),
    "raw hevc": (".hevc", ("hevc",)),
}
"""How ffmpeg is told to write a container, and the ending of its files."""


def encode(film: Film, path: Path, *more: str, video: str = "", first: int = 0, count: int = FRAMES) -> None:
    """Write the film's pictures and its sound as they are told to be; `more`: further words for ffmpeg's output."""
    width, height = film.size
    words = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}", "-r", str(picture.RATE), "-i", "-"]
    if film.sound:
        wav = write_sound(path.with_suffix(".wav"), count / picture.RATE)
        words += ["-i", str(wav), "-map", "0:v", "-map", "1:a", "-c:a", *SOUND.get(film.sound, (film.sound,))]
    coder = [word.format(x265=_X265) for word in VIDEO[video or film.codec]]
    words += ["-c:v", *coder, "-g", str(GROUP), "-keyint_min", str(GROUP), "-threads", "1", *more]
    given = pictures(first, count, width, height, film.fields)
    ffmpeg(*words, "-f", *CONTAINERS[film.container][1], str(path), given=given)
    path.with_suffix(".wav").unlink(missing_ok=True)
