"""The only door to the ffmpeg program: builds its graph for one excerpt of one clip, runs it, sorts what goes wrong."""

from __future__ import annotations

import math
import os
import re
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, TypeAlias, cast

import ffmpeg
import imageio_ffmpeg
from PIL import ImageFont

from pipeline.errors import LACKING, ClipError
from pipeline.media.clean import NO_SIDE_DATA, ONLY_PICTURES, PLAIN, Shown, clean_head
from pipeline.media.container import FORMATS
from pipeline.media.encode import SAME_EVERYWHERE
from pipeline.media.extensions import extended
from pipeline.media.profile import Profile
from pipeline.media.splice import Own, Part, sets_of, splice
from pipeline.media.veil import BLOCK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.media.feed import Feed
    from pipeline.media.passage import Native
    from pipeline.media.units import Taken

Node: TypeAlias = Any  # a node of ffmpeg-python's graph; the package ships no types

# Encoder, its CRF where neither CRF nor bit rate is asked for, its presets, and what keeps it on one thread.
# The CRFs look alike on street scenes; each encoder counts on a scale of its own.
_ENCODERS: Final[dict[str, tuple[str, int, dict[str, str], dict[str, Any]]]] = {
    # It would write on the captions that it finds in the source (a53cc).
    "h264": (
        "libx264",
        20,
        {"fast": "veryfast", "medium": "medium", "slow": "slow"},
        {"a53cc": 0, "x264-params": SAME_EVERYWHERE},
    ),
    "hevc": (
        "libx265",
        23,
        {"fast": "ultrafast", "medium": "fast", "slow": "slow"},
        {"x265-params": "pools=none:frame-threads=1:log-level=error:info=0"},
    ),
    "av1": ("libsvtav1", 30, {"fast": "10", "medium": "8", "slow": "5"}, {"svtav1-params": "lp=1"}),
}
# A packet of AAC reaches over 2048 samples: so far around a muted part nothing else is heard in it.
_HUSH: Final = 2048
# What a hole in the sound is: longer than the jitter of time stamps, shorter than a packet (20 ms and more).
_SOUND_HOLE_S: Final = 0.015


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What to take out of a clip: its frames with start_pts <= pts < stop_pts, the first and last at these pts.

    All pts in `time_base` seconds. first_ns: the instant of the first frame in nanoseconds UTC. last_duration: for how
    many pts the last frame is shown, whatever its packet says: nothing in a transport stream, an hour before a pause.
    seek_pts: where reading may begin, None for the beginning. sound: the time of the audio to keep, half-open, in
    seconds of the clip, and how many samples a second it has; None leaves it out. muted: the parts of that time, in
    the same seconds, that are silence. name: the only tag of the product.
    codec: the coding of the clip's packets ("h264", "hevc", ...). track: the number of its stream in the file.
    shown: how its frames are to be shown.
    Raises ValueError unless start_pts <= first_pts <= last_pts < stop_pts.
    """

    start_pts: int
    stop_pts: int
    first_pts: int
    last_pts: int
    time_base: Fraction
    first_ns: int
    last_duration: int = 1
    seek_pts: int | None = None
    sound: tuple[Fraction, Fraction, int] | None = None
    muted: tuple[tuple[Fraction, Fraction], ...] = ()
    name: str = ""
    codec: str = ""
    track: int = 0
    shown: Shown = PLAIN

    def __post_init__(self) -> None:
        if not self.start_pts <= self.first_pts <= self.last_pts < self.stop_pts:
            ends = f"{self.first_pts} to {self.last_pts}"
            raise ValueError(f"the frames lie in {self.start_pts}..{self.stop_pts}, got {ends}")

    @property
    def hushed(self) -> tuple[tuple[Fraction, Fraction], ...]:
        """The parts of its sound that are silence, in seconds after the first frame."""
        zero = self.first_pts * self.time_base
        return tuple((start - zero, end - zero) for start, end in self.muted if self.sound is not None)


@dataclass(frozen=True, slots=True)
class Like:
    """What encoded pictures have to be to stand in one stream with the camera's own packets.

    codec: "h264" or "hevc". pixels: their format in ffmpeg's words. profile: of H.264, in x264's words. number: that of
    their parameter sets in H.264; those of HEVC are given theirs afterwards (see `units.renumbered`). references: how
    many pictures others may lean on; a decoder may forget what it has not shown yet where that number changes.
    """

    codec: str
    pixels: str
    profile: str
    number: int
    references: int = 1

    @property
    def options(self) -> dict[str, Any]:
        """The encoder's options: no picture is shown before one that is decoded before it, nor leans on two."""
        if self.codec == "h264":
            own = f"{_ENCODERS['h264'][3]['x264-params']}:sps-id={self.number}:scenecut=0"
            return {"profile:v": self.profile, "bf": 0, "refs": self.references, "g": 250, "x264-params": own}
        own = f"{_ENCODERS['hevc'][3]['x265-params']}:bframes=0:ref=1:wpp=0:open-gop=0:scenecut=0:repeat-headers=0"
        return {"x265-params": own, "g": 250}


def program() -> str:
    """Return the path of the ffmpeg program in use: IMAGEIO_FFMPEG_EXE, else the one its wheel brings."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@cache
def version() -> str:
    """Return the version of the ffmpeg program in use."""
    return str(imageio_ffmpeg.get_ffmpeg_version())


def clock_rows(height: int) -> float:
    """Return the share of a picture's height, from the top, in which its clock stands."""
    return min(1.0, (16 + 1.4 * max(10, height / 27)) / height)


def transcode(
    source: Path,
    target: Path,
    excerpt: Excerpt,
    profile: Profile,
    *,
    feed: Feed | None = None,
    like: Like | None = None,
    timeout_s: float = 3600,
) -> None:
    """Re-encode an excerpt into an MP4 that begins with its first frame; every frame keeps its exact relative time.

    The picture stands upright, and keeps its colours' range and meaning and the shape of its pixels. Fields stay
    fields in H.264; they are woven into frames where the profile asks for it, where the height changes, because scaling
    would mix them, and in HEVC and AV1, which have none. With `profile.fps` frames are repeated or left out
    instead, each shown within half a step of its instant. One thread; the same input gives the same bytes. Nothing but
    picture, sound and `excerpt.name` is written: no metadata, chapters, subtitles or data of the source.
    feed: the excerpt's frames, to be taken instead of those that ffmpeg itself decodes; what its veil covers is filled,
    whose blocks are those of H.264 alone. like: encode them as they are stored, to stand beside packets of the source;
    then the profile says no more than how much time that may take.
    Raises ClipError ("transcode") when ffmpeg refuses or takes more than `timeout_s` seconds, and like `Feed.write`.
    """
    codec = like.codec if like else "h264" if profile.codec == "source" else profile.codec
    encoder, crf, presets, own = _ENCODERS[codec]
    rate = {"b:v": profile.bit_rate} if profile.bit_rate else {"crf": crf if profile.crf is None else profile.crf}
    woven = not like and _woven(excerpt, profile, codec)
    fields = "+ildct+ilme" if excerpt.shown.interlaced and not woven else ""
    options = {"c:v": encoder, "preset": presets[profile.preset], **rate, **own, "flags:v": f"+bitexact{fields}"}
    options |= like.options if like else {}
    # Left alone ffmpeg rounds every time to the nominal frame rate.
    options |= {"fps_mode": "passthrough", "enc_time_base:v": "filter"}
    if profile.fps is None and excerpt.time_base.denominator < 1 << 31:
        options["video_track_timescale"] = excerpt.time_base.denominator
    if feed is not None and feed.veil is not None:
        options["qmax:v"] = feed.veil.worst_qp
    end = (excerpt.last_pts + excerpt.last_duration - excerpt.first_pts) * excerpt.time_base
    until, usual = (f"round({float(at)!r}/TB)" for at in (end, excerpt.last_duration * excerpt.time_base))
    lasts = _until(until, usual, stated=feed is None)
    last = "" if profile.fps else f"setts=pts=PTS:dts=DTS:duration='{lasts}'"
    clip = _input(source, excerpt, {"noautorotate": None} if like else None)
    with _parts(target.parent) as folder:
        if feed is None:
            picture = clip[str(excerpt.track)].filter("trim", start_pts=excerpt.start_pts, end_pts=excerpt.stop_pts)
            picture = picture.filter("setpts", f"PTS-({excerpt.first_pts})")
        else:
            fed = ffmpeg.input("pipe:0", f="nut", threads=1, **feed.options(excerpt.shown))
            picture = fed["0"]
            for name, arguments in feed.filters.items():
                picture = picture.filter(name, **arguments)
        if woven:  # after the trim, so that no frame outside is woven in
            picture = picture.filter("bwdif", mode="send_frame", deint="interlaced")
        veiled = (feed, fed["1"]) if feed is not None and feed.veil is not None else None
        streams = [
            _bare(picture, like.pixels)
            if like
            else _picture(picture, excerpt, profile, folder=Path(folder), veiled=veiled)
        ]
        if excerpt.sound is not None:
            streams.append(_sound(clip, excerpt))
        _run(streams, target, options | _container(excerpt, codec, last), timeout_s, feed)


def _parts(where: Path) -> tempfile.TemporaryDirectory[str]:
    """Make a folder in another for what a cut is made of; where there is none ffmpeg would not write either."""
    try:
        return tempfile.TemporaryDirectory(prefix="parts-", dir=where)
    except FileNotFoundError as error:
        raise ClipError("transcode", error.strerror or "No such file or directory") from error


def _woven(excerpt: Excerpt, profile: Profile, codec: str) -> bool:
    return excerpt.shown.interlaced and (profile.deinterlace or profile.height is not None or codec != "h264")


def _sized(picture: Node, height: int | None) -> Node:
    """Return the frames at most so high: H.264 and the others want an even width and height in 4:2:0."""
    limit = "ih" if height is None else f"min(ih,{height})"
    width = f"max(2,min(2*round(iw*{limit}/ih/2),2*trunc(iw/2)))"
    return picture.filter("scale", width, f"max(2,2*trunc({limit}/2))", interl=-1)


def _covered(picture: Node, cover: Node, feed: Feed, time_base: Fraction) -> Node:
    """Return the frames with what is covered filled, each by the picture of the same time: at their last size."""
    if "setparams" in feed.filters:  # else black would be turned into that of another range
        cover = cover.filter("setparams", **feed.filters["setparams"])
    cover = cover.filter("scale", f"{BLOCK}*iw", f"{BLOCK}*ih", flags="neighbor")
    picture = ffmpeg.filter([picture, cover], "overlay", format="yuv420", eof_action="endall")
    if feed.time_base == time_base:
        return picture
    # It was written in a coarser unit: the same numbers, of the clip's own unit again.
    ratio = time_base / feed.time_base
    picture = picture.filter("settb", f"{time_base.numerator}/{time_base.denominator}")
    return picture.filter("setpts", f"round(PTS*{ratio.numerator}/{ratio.denominator})")


def _picture(
    picture: Node, excerpt: Excerpt, profile: Profile, *, folder: Path, veiled: tuple[Feed, Node] | None
) -> Node:
    """Return the frames as an encoder wants them: of the profile's size and rate, with its clock, and nothing else.

    veiled: who feeds them, and the pictures that cover them.
    """
    picture = _sized(picture, profile.height)
    if veiled is not None:
        picture = _covered(picture, veiled[1], veiled[0], excerpt.time_base)
    if profile.clock:
        picture = _clock(picture, excerpt.first_ns, folder)
    if profile.fps is not None:
        length = (excerpt.stop_pts - excerpt.first_pts) * excerpt.time_base
        picture = picture.filter("fps", fps=profile.fps, start_time=0, eof_action="pass")
        picture = picture.filter("trim", end_pts=math.ceil(length * profile.fps))
    return _bare(picture, "yuv420p")


def _bare(picture: Node, pixels: str) -> Node:
    """Return the frames in a pixel format, without what came with them."""
    for kind in NO_SIDE_DATA:
        picture = picture.filter("sidedata", mode="delete", type=kind)
    return picture.filter("format", pixels)


def copy(source: Path, target: Path, excerpt: Excerpt, *, run: Native | None = None, timeout_s: float = 3600) -> None:
    """Copy the pictures' packets of an excerpt into an MP4 without decoding them, none from before or after it.

    Whether they can be decoded on their own is for the caller to see. Of the packets only what pictures are made of is
    written (see pipeline.media.clean), with the display's orientation. Sound and all else like `transcode`.
    run: the packets, where they were read before; those in memory are written without reading the source again.
    Raises ClipError ("transcode"), also for a codec whose packets cannot be cleaned.
    """
    if excerpt.codec not in ONLY_PICTURES:
        raise ClipError("transcode", f"packets of {excerpt.codec} cannot be copied without what else is in them")
    own: Sequence[Taken] = ()
    if run is not None and _needs_no_program(run, excerpt):
        own, order = run.packets, tuple(at - excerpt.first_pts for at in run.order)
        part = Part(source, order, encoded=False, own=Own(run.packets, run.template))
        splice(target, [part], time_base=excerpt.time_base, last_duration=excerpt.last_duration, name=excerpt.name)
    else:
        _copy(source, target, excerpt, timeout_s)
    if excerpt.codec == "hevc" and extended(sets_of(target, "hevc", own)):
        target.unlink()
        raise ClipError("transcode", "its parameter sets or slices have room for data of extensions nobody has defined")


def _needs_no_program(run: Native, excerpt: Excerpt) -> bool:
    """Tell whether an excerpt is packets in memory alone: no sound to encode, no orientation to be written beside."""
    plain = excerpt.sound is None and not excerpt.shown.options
    return plain and run.held and excerpt.time_base.numerator == 1 and excerpt.time_base.denominator < 1 << 31


def _copy(source: Path, target: Path, excerpt: Excerpt, timeout_s: float) -> None:
    clip = _input(source, excerpt, excerpt.shown.options)
    keep = f"noise=drop='lt(pts,{excerpt.start_pts})+gte(pts,{excerpt.stop_pts})'"
    shift = f"pts=PTS-({excerpt.first_pts}):dts=DTS-({excerpt.first_pts})"
    shift += f":duration='{_until(excerpt.last_pts + excerpt.last_duration, excerpt.last_duration)}'"
    streams = [clip[str(excerpt.track)]]
    if excerpt.sound is not None:
        streams.append(_sound(clip, excerpt))
    _run(streams, target, {"c:v": "copy"} | _container(excerpt, excerpt.codec, f"{keep},setts={shift}"), timeout_s)


def _until(end: object, usual: object, *, stated: bool = True) -> str:
    """Return for `setts` how long a packet is shown: as it states, else the usual, but none of them beyond `end`."""
    return f"min({f'if(DURATION,DURATION,{usual})' if stated else usual},{end}-PTS)"


def _sound(clip: Node, excerpt: Excerpt) -> Node:
    """Return the sound of an excerpt, from its first sample to its last: silence where the source has none.

    It is never copied: its packets' windows reach over both ends, and hold what no filter takes out.
    """
    if excerpt.sound is None:
        raise ValueError("wanted an excerpt with sound")
    start, stop, hertz = excerpt.sound
    first, end = math.ceil(start * hertz), math.floor(stop * hertz)
    # The resampler makes sure of how many samples a second has (HE-AAC states half of them), and begins at `first`.
    exact = {"async": 1, "min_hard_comp": _SOUND_HOLE_S, "first_pts": first}
    sound = clip["a:0"].filter("aresample", hertz, **exact).filter("atrim", start_pts=first, end_pts=end)
    sound = sound.filter("apad", whole_len=max(1, end - first))
    if excerpt.muted:
        parts = [
            (math.floor(a * hertz) - first - _HUSH, math.ceil(b * hertz) - first + _HUSH) for a, b in excerpt.muted
        ]
        silent = "+".join(f"between(n,{a},{b})" for a, b in parts)
        sound = sound.filter("aeval", f"if({silent},0,val(ch))", c="same")
    return sound.filter("asetpts", f"PTS-({round(excerpt.first_pts * excerpt.time_base * hertz)})")


def _container(excerpt: Excerpt, codec: str, filters: str) -> dict[str, Any]:
    """Return how pictures and sound are written into the MP4: nothing but them, and the name."""
    options: dict[str, Any] = {"bsf:v": ",".join(filter(None, (filters, ONLY_PICTURES[codec])))}
    options |= {"disposition": "default", "write_tmcd": 0, "empty_hdlr_name": 1}
    options["metadata:s:v"] = f"encoder={codec}"  # else it signs "Lavc libx264"
    if codec == "hevc":
        options["tag:v"] = "hvc1"  # Apple's players refuse hev1, which ffmpeg would write
    if excerpt.sound is not None:
        options |= {"c:a": "aac", "b:a": "128k", "flags:a": "+bitexact"}
    return options | ({"metadata": f"comment={excerpt.name}"} if excerpt.name else {})


def _input(source: Path, excerpt: Excerpt, shown: Mapping[str, Any] | None = None) -> Node:
    options = dict(shown or {}) | {"threads": 1, "format_whitelist": FORMATS, "protocol_whitelist": "file"}
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


def _run(
    streams: list[Node], target: Path, options: dict[str, Any], timeout_s: float, feed: Feed | None = None
) -> None:
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
        status, log = _ended(arguments, timeout_s, feed)
    except subprocess.TimeoutExpired as error:
        target.unlink(missing_ok=True)
        raise ClipError("transcode", f"ffmpeg took more than {timeout_s:g} s; ask for a shorter span") from error
    except ClipError:
        target.unlink(missing_ok=True)
        raise
    if status:
        target.unlink(missing_ok=True)
        reason = _reason(log) or f"ffmpeg ended with status {status}"
        raise ClipError("transcode", reason) from _of_machine(log, target)
    clean_head(target)


def _of_machine(log: str, target: Path) -> OSError | None:
    """Return the error of the machine that ffmpeg met, where it says one: it is not the clip's."""
    code = next((code for code in LACKING if os.strerror(code) in log), None)
    return None if code is None else OSError(code, os.strerror(code), str(target))


def _ended(arguments: list[str], timeout_s: float, feed: Feed | None) -> tuple[int, str]:
    """Run a command to its end and return its status and log; while frames are fed, its own time limit ends it."""
    environment = os.environ | {"SVT_LOG": "1"}
    if feed is None:
        done = subprocess.run(
            arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=timeout_s,
            check=False, env=environment,
        )  # fmt: skip
        return done.returncode, done.stderr
    with (
        tempfile.TemporaryFile("w+", errors="replace") as log,  # a pipe that nobody reads would fill up
        subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log, env=environment
        ) as process,
    ):
        try:
            # It goes when it has seen enough, or refuses; its status says which.
            with suppress(BrokenPipeError), cast("IO[bytes]", process.stdin) as pipe:
                feed.write(pipe)
            process.wait(timeout_s)
        finally:
            process.kill()
        log.seek(0)
        return process.returncode, log.read()


def _reason(log: str) -> str:
    """Return the last line of ffmpeg's log that says something, without addresses and paths."""
    lines = [re.sub(r"^(\[[^\]]*\] *)+", "", line).strip() for line in log.splitlines()]
    told = [line for line in lines if line and not line.startswith("Conversion failed")]
    return re.sub(r"'?file:[^' ]*'?", "the file", told[-1]) if told else ""
