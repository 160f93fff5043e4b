"""The plain films of the world: every container we take with every codec it holds, three seconds each."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Final

from world.films import CONTAINERS, SLACK, Film, encode

_SMALL: Final = (176, 144)  # the only size of H.263 near to ours

_KINDS: Final[dict[str, str]] = {
    "mp4": "h264+aac h264-b+mp3 h264-open+ac3 h264-cavlc+opus h264-422+flac h264-10+alac h264-444+eac3 hevc+aac "
    "hevc-b+ac3 hevc-10+mp2 av1+opus vp9+opus mpeg4+mp3 mpeg4-b+aac mpeg2video+mp2 mpeg1video+mp3 mjpeg+aac",
    "fragmented mp4": "h264+aac h264-open+aac hevc+aac av1+opus",
    "m4s with init": "h264+flac",
    "mov": "h264+pcm_s16le h264-b+pcm_mulaw h264-open+pcm_alaw hevc+pcm_s24le mpeg4+adpcm_ima_qt mjpeg+pcm_s16be "
    "prores+pcm_s16le",
    "m4v": "h264+aac mpeg4+aac",
    "3gp": "h263+amrnb h264+aac mpeg4+amrnb",
    "matroska": "h264+vorbis h264-b+pcm_mulaw h264-open+pcm_alaw h264-cavlc+adpcm_ima_wav h264-10+flac hevc+opus "
    "hevc-b+mp3 av1+flac vp8+vorbis vp9+opus mpeg4-b+mp3 mpeg2video+ac3 mpeg1video+mp2 mjpeg+pcm_s16le ffv1+flac "
    "theora+vorbis wmv2+wmav2 msmpeg4v3+eac3 h264+g726",
    "webm": "vp8+vorbis vp9+opus av1+opus",
    "avi": "h264+pcm_s16le mpeg4+mp2 mpeg4-b+adpcm_ms mjpeg+pcm_mulaw mpeg2video+ac3 msmpeg4v3+adpcm_ima_wav "
    "wmv2+pcm_alaw ffv1+pcm_s16le",
    "mpeg-ts": "h264+aac h264-b+mp2 h264-open+ac3 hevc+aac hevc-b+mp2 mpeg2video+mp2 mpeg4+aac",
    "m2ts": "h264-b+pcm_bluray h264+ac3",
    "mpeg-ps": "mpeg1video+mp2 mpeg2video+mp2 h264+mp2",
    "vob": "mpeg2video+ac3 mpeg2video+mp2",
    "flv": "flv1+mp3 h264+aac h264-b+nellymoser flv1+adpcm_swf hevc+aac",
    "asf": "mpeg4+pcm_mulaw msmpeg4v3+mp3 h264+aac",
    "wmv": "wmv2+wmav2",
    "ogg": "theora+vorbis theora+opus vp8+flac",
    "ivf": "vp8 vp9 av1",
    "raw h264": "h264",
    "raw hevc": "hevc",
}
"""Codecs of picture and sound by container."""


def _parted(film: Film, path: Path) -> None:
    """Write the film as packagers do: what is before the first fragment in a file of its own beside it."""
    encode(film, path)
    data = path.read_bytes()
    at = min(data.index(name) for name in (b"styp", b"sidx", b"moof") if name in data) - 4
    path.with_name("init.mp4").write_bytes(data[:at])
    path.write_bytes(data[at:])


_MAKE: Final = {"m4s with init": _parted}


def plain() -> list[Film]:
    """Return the plain films, in order of container."""
    films = []
    for container, kinds in _KINDS.items():
        for kind in kinds.split():
            codec, _, sound = kind.partition("+")
            name = re.sub(r"[^a-z0-9]+", "-", f"{container} {codec} {sound}").strip("-")
            # An AVI does not say how far decoding runs ahead of showing, and Matroska rounds to milliseconds.
            slack = Fraction(41, 1000) if container == "avi" else SLACK.get(sound, Fraction(0))
            film = Film(
                name, CONTAINERS[container][0], container, codec, sound, make=_MAKE.get(container, encode), slack=slack
            )
            film = replace(film, full=codec == "mjpeg")
            # That of H.263 has pixels of its own.
            films.append(replace(film, size=_SMALL, pixel=Fraction(12, 11)) if codec == "h263" else film)
    return films
