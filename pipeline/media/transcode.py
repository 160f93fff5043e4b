"""The only door to the ffmpeg program: builds its graph for one excerpt of one clip, runs it, sorts what goes wrong."""

from __future__ import annotations

import math
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

import ffmpeg
import imageio_ffmpeg
from PIL import ImageFont

from pipeline.errors import LACKING, ClipError
from pipeline.media.decode import FORMATS
from pipeline.media.profile import Profile

Node: TypeAlias = Any  # a node of ffmpeg-python's graph; the package ships no types

# Encoder, its CRF where neither CRF nor bit rate is asked for, its presets, and what keeps it on one thread.
# The CRFs look alike on street scenes; each encoder counts on a scale of its own.
_ENCODERS: Final[dict[str, tuple[str, int, dict[str, str], dict[str, Any]]]] = {
    # It would write on the captions that it finds in the source.
    "h264": ("libx264", 20, {"fast": "veryfast", "medium": "medium", "slow": "slow"}, {"a53cc": 0}),
    "hevc": (
        "libx265",
        23,
        {"fast": "ultrafast", "medium": "fast", "slow": "slow"},
        {"x265-params": "pools=none:frame-threads=1:log-level=error", "tag:v": "hvc1"},
    ),
    "av1": ("libsvtav1", 30, {"fast": "10", "medium": "8", "slow": "5"}, {"svtav1-params": "lp=1"}),
}

# What of copied packets stays: units that pictures are made of. SEI and its kin (units 6, 39 and 40, metadata OBUs) and
# units nobody has defined carry what makers like: places, speeds, captions, names.
_ONLY_PICTURES: Final = {
    "h264": "filter_units=remove_types=6|24-31",
    "hevc": "filter_units=remove_types=35|38-63",
    "av1": "filter_units=remove_types=5",
}


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What to take out of a clip: its frames with start_pts <= pts < stop_pts, the first of which has `first_pts`.

    All pts in `time_base` seconds. first_ns: the instant of the first frame in nanoseconds UTC. last_duration: how many
    pts the last frame is shown for where its packet does not say, as in a transport stream; an MP4 would hide it.
    seek_pts: where reading may begin, None for the beginning. sound: the time of the audio to keep, half-open, in
    seconds of the clip, and how many samples a second it gets; None leaves it out. name: the only tag of the product.
    codec: the coding of the clip's packets ("h264", "hevc", ...).
    Raises ValueError unless start_pts <= first_pts < stop_pts.
    """

    start_pts: int
    stop_pts: int
    first_pts: int
    time_base: Fraction
    first_ns: int
    last_duration: int = 1
    seek_pts: int | None = None
    sound: tuple[Fraction, Fraction, int] | None = None
    name: str = ""
    codec: str = ""

    def __post_init__(self) -> None:
        if not self.start_pts <= self.first_pts < self.stop_pts:
            raise ValueError(f"the first frame lies in {self.start_pts}..{self.stop_pts}, got {self.first_pts}")


def program() -> str:
    """Return the path of the ffmpeg program in use: IMAGEIO_FFMPEG_EXE, else the one its wheel brings."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@cache
def version() -> str:
    """Return the version of the ffmpeg program in use."""
    return str(imageio_ffmpeg.get_ffmpeg_version())


def transcode(source: Path, target: Path, excerpt: Excerpt, profile: Profile, *, timeout_s: float = 3600) -> None:
    """Re-encode an excerpt into an MP4 that begins with its first frame; every frame keeps its exact relative time.

    With `profile.fps` frames are repeated or left out instead, each shown within half a step of its instant. One
    thread; the same input gives the same bytes. Nothing but picture, sound and `excerpt.name` is written: no
    metadata, chapters, subtitles or data of the source.
    Raises ClipError ("transcode") when ffmpeg refuses or takes more than `timeout_s` seconds.
    """
    encoder, crf, presets, own = _ENCODERS["h264" if profile.codec == "source" else profile.codec]
    rate = {"b:v": profile.bit_rate} if profile.bit_rate else {"crf": crf if profile.crf is None else profile.crf}
    options = {"c:v": encoder, "preset": presets[profile.preset], **rate, **own, "flags:v": "+bitexact"}
    # Left alone ffmpeg rounds every time to the nominal frame rate.
    options |= {"fps_mode": "passthrough", "enc_time_base:v": "filter"}
    if profile.fps is None and excerpt.time_base.denominator < 1 << 31:
        options["video_track_timescale"] = excerpt.time_base.denominator
    clip = _input(source, excerpt)
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as folder:
        picture = clip.video.filter("trim", start_pts=excerpt.start_pts, end_pts=excerpt.stop_pts)
        picture = picture.filter("setpts", f"PTS-({excerpt.first_pts})")
        limit = "ih" if profile.height is None else f"min(ih,{profile.height})"
        # H.264 and the others want an even width and height in 4:2:0.
        picture = picture.filter("scale", f"max(2,2*round(iw*{limit}/ih/2))", f"max(2,2*trunc({limit}/2))")
        if profile.clock:
            picture = _clock(picture, excerpt.first_ns, Path(folder))
        if profile.fps is not None:
            length = (excerpt.stop_pts - excerpt.first_pts) * excerpt.time_base
            picture = picture.filter("fps", fps=profile.fps, start_time=0, eof_action="pass")
            picture = picture.filter("trim", end_pts=math.ceil(length * profile.fps))
        streams = [picture.filter("format", "yuv420p")]
        if excerpt.sound is not None:
            start, stop, hertz = excerpt.sound
            # atrim counts samples; the resampler makes sure of how many a second has (HE-AAC states half of them).
            sound = clip["a:0"].filter("aresample", hertz)
            sound = sound.filter("atrim", start_pts=math.ceil(start * hertz), end_pts=math.floor(stop * hertz))
            streams.append(sound.filter("asetpts", f"PTS-({round(excerpt.first_pts * excerpt.time_base * hertz)})"))
            options |= {"c:a": "aac", "b:a": "96k", "flags:a": "+bitexact"}
        _run(streams, target, options | _tag(excerpt), timeout_s)


def copy(source: Path, target: Path, excerpt: Excerpt, *, timeout_s: float = 3600) -> None:
    """Copy the packets of an excerpt into an MP4 without decoding them, none from before or after it.

    Whether they can be decoded on their own is for the caller to see. Audio is kept where its packets lie wholly
    inside; otherwise like `transcode`. Raises ClipError ("transcode"), also where MP4 cannot hold a codec.
    """
    clip = _input(source, excerpt)
    keep = f"noise=drop='lt(pts,{excerpt.start_pts})+gte(pts,{excerpt.stop_pts})'"
    shift = f"pts=PTS-({excerpt.first_pts}):dts=DTS-({excerpt.first_pts})"
    shift += f":duration='if(DURATION,DURATION,{excerpt.last_duration})'"
    only = _ONLY_PICTURES.get(excerpt.codec, "")
    options = {"c:v": "copy", "bsf:v": ",".join(filter(None, (keep, f"setts={shift}", only)))}
    streams = [clip["v:0"]]
    if excerpt.sound is not None:
        start, stop = (float(t) for t in excerpt.sound[:2])
        # The windows of audio codecs overlap: a packet also holds traces of the sound one packet further on.
        keep = f"noise=drop='lt(pts*tb,{start!r})+gt((pts+2*d)*tb,{stop!r})'"
        shift = f"floor({float(excerpt.first_pts * excerpt.time_base)!r}/TB+0.001)"
        options |= {"c:a": "copy", "bsf:a": f"{keep},setts=pts=PTS-{shift}:dts=DTS-{shift}"}
        streams.append(clip["a:0"])
    _run(streams, target, options | _tag(excerpt), timeout_s)


def _tag(excerpt: Excerpt) -> dict[str, str]:
    return {"metadata": f"comment={excerpt.name}"} if excerpt.name else {}


def _input(source: Path, excerpt: Excerpt) -> Node:
    options: dict[str, Any] = {"threads": 1, "format_whitelist": FORMATS, "protocol_whitelist": "file"}
    if excerpt.seek_pts is not None:
        # Timestamps stay those of the file, so that the filters cut and not the seek.
        seconds = math.floor(excerpt.seek_pts * excerpt.time_base * 1_000_000) / 1_000_000
        options |= {"ss": f"{seconds:.6f}", "seek_timestamp": 1, "noaccurate_seek": None}
    return ffmpeg.input(f"file:{source.resolve()}", **options)


def _clock(picture: Node, first_ns: int, folder: Path) -> Node:
    """Draw "2026-01-31 18:00:00.250 UTC" into the upper left corner, in the font that Pillow brings."""
    font, text = folder / "clock.ttf", folder / "clock.txt"
    font.write_bytes(_font())
    # A twentieth of a millisecond on top keeps a time such as 0.3 s, which is 0.2999... in floating point, at 300 ms.
    us = first_ns // 1000 + 50
    seconds, part = us // 1_000_000, f"{us % 1_000_000 / 1_000_000:.6f}"
    text.write_text(
        rf"%{{pts:gmtime:{seconds}{part[1:]}:%Y-%m-%d %H\:%M\:%S}}.%{{eif:floor(1000*mod(t+{part}\,1)):d:3}} UTC"
    )
    return picture.filter(
        "drawtext", fontfile=str(font), textfile=str(text), fontsize="max(10,h/27)", fontcolor="white", box=1,
        boxcolor="black@0.6", boxborderw="4", x=8, y=8,
    )  # fmt: skip


def _font() -> bytes:
    font = ImageFont.load_default(20)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("Pillow was built without FreeType; install the Pillow wheel of the lock file")
    return bytes(font.font_bytes)


def _run(streams: list[Node], target: Path, options: dict[str, Any], timeout_s: float) -> None:
    """Run ffmpeg on one thread, without a terminal, into an MP4 that starts playing before it is loaded."""
    options = options | {
        "f": "mp4", "movflags": "+faststart", "fflags": "+bitexact", "map_metadata": -1, "map_chapters": -1,
        "threads": 1, "filter_threads": 1, "loglevel": "error",
        # In seconds of processor time: ends ffmpeg also where this process was killed and cannot.
        "timelimit": math.ceil(timeout_s) + 1,
    }  # fmt: skip
    command = ffmpeg.output(*streams, f"file:{target.resolve()}", **options)
    command = command.global_args("-hide_banner", "-nostdin", "-copyts").overwrite_output()
    arguments: list[str] = command.compile(cmd=program())
    try:
        done = subprocess.run(
            arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=timeout_s,
            check=False, env=os.environ | {"SVT_LOG": "1"},
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        target.unlink(missing_ok=True)
        raise ClipError("transcode", f"ffmpeg took more than {timeout_s:g} s; ask for a shorter span") from error
    if done.returncode:
        target.unlink(missing_ok=True)
        reason = _reason(done.stderr) or f"ffmpeg ended with status {done.returncode}"
        raise ClipError("transcode", reason) from _of_machine(done.stderr, target)


def _of_machine(log: str, target: Path) -> OSError | None:
    """Return the error of the machine that ffmpeg met, where it says one: it is not the clip's."""
    code = next((code for code in LACKING if os.strerror(code) in log), None)
    return None if code is None else OSError(code, os.strerror(code), str(target))


def _reason(log: str) -> str:
    """Return the last line of ffmpeg's log that says something, without addresses and paths."""
    lines = [re.sub(r"^(\[[^\]]*\] *)+", "", line).strip() for line in log.splitlines()]
    told = [line for line in lines if line and not line.startswith("Conversion failed")]
    return re.sub(r"'?file:[^' ]*'?", "the file", told[-1]) if told else ""
