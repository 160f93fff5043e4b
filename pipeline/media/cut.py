"""A cut: exactly the asked time of one clip as a file of its own, checked frame by frame."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from pipeline.clip import Clip, check_id
from pipeline.errors import ClipError
from pipeline.media.decode import LIBAV, Video, open_video, seek_point
from pipeline.media.profile import Profile
from pipeline.media.transcode import Excerpt, copy, transcode, version
from pipeline.span import NS, Span

if TYPE_CHECKING:
    from pathlib import Path

_MP4_CODECS: Final = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4"})


@dataclass(frozen=True, slots=True)
class Cut:
    """One file to make: which time of which clip, for which request, looking how.

    A frame belongs to the cut if and only if its instant lies in `span`, also when it is shown beyond the end.
    Raises ValueError for a request that cannot stand in a key, and a span that has nothing of what the clip recorded or
    reaches across a hole: then one file would show two times as one.
    """

    request: str
    clip: Clip
    span: Span
    profile: Profile

    def __post_init__(self) -> None:
        check_id("request", self.request)
        if self.span & self.clip.span is None:
            raise ValueError(f"the asked time {self.span} has nothing of the clip's {self.clip.span}")
        if len(parts := self.clip.recorded(self.span)) != 1:
            found = " and ".join(map(str, parts)) or "nothing"
            raise ValueError(f"a cut is of one part without a hole: of {self.span} the clip recorded {found}")

    @property
    def id(self) -> str:
        """A name made of the work alone (clip, span, profile): who does it again writes the same to the same place."""
        span = f"{self.span.start_ns}\0{self.span.end_ns}"
        return _digest(f"{self.clip.id}\0{span}\0{self.profile.model_dump_json()}")


@dataclass(frozen=True, slots=True)
class Product:
    """What was written: its SHA-256 (64 hexadecimal digits) and bytes, the time it shows, and how it was made.

    `actual` goes from the first frame's instant to the last frame's end, inside asked and recorded time. method:
    "remux" are the camera's own packets, "transcode" is re-encoded. tools: the programs' versions and the profile's
    hash.
    """

    sha256: str
    size: int
    actual: Span
    frames: int
    method: Literal["remux", "transcode"]
    codec: str
    width: int
    height: int
    audio: str | None
    tools: str


def make_cut(source: Path, target: Path, cut: Cut, *, name: str = "", timeout_s: float = 3600) -> Product:
    """Write the cut of the clip in `source` to `target` (.mp4) and say what was written.

    The file begins with the first frame inside the span and holds nothing from outside it: no frame, not even one
    an edit list would hide, no sound, no tag of the source; `name` is written into it as its only tag, so that the same
    footage is another file in every case. The camera's packets are copied where the first frame is
    a keyframe, no frame leans on one outside and the profile asks for nothing else; otherwise it is re-encoded. Either
    way the product is decoded and compared before it counts: number of frames, their times, and for copied ones every
    pixel of the luma.

    Raises ValueError for a target that is no .mp4; ClipError: like `open_video`, "transcode" when ffmpeg refuses,
    "cut" when no frame lies in the span, the file is not the clip, or the product is not what was asked. Then there
    is no target.
    """
    if target.suffix != ".mp4":
        raise ValueError(f"a cut is written as .mp4, got {target.name}")
    clip, profile = cut.clip, cut.profile
    span = cut.span & clip.span
    if span is None:
        raise ValueError(f"the asked time {cut.span} has nothing of the clip's {clip.span}")
    start, stop = clip.pts_at(span.start_ns), clip.pts_at(span.end_ns)
    frames, video = _frames(source, start, stop)
    if video.time_base != clip.stream.time_base or video.codec != clip.stream.codec:
        raise ClipError("cut", "the file is not the clip that was measured: codec or time base differ; ingest it again")
    if not frames:
        raise ClipError("cut", f"no frame lies in {span}; ask for a longer time")
    excerpt = _excerpt(source, cut, span, frames, video=video, name=name)
    try:
        method, product = _make(
            source, target, excerpt, profile, frames, copyable=video.codec in _MP4_CODECS, timeout_s=timeout_s
        )
    except ClipError:
        target.unlink(missing_ok=True)
        raise
    end_ns = min(clip.time_ns(frames[-1].end_pts), span.end_ns)
    with target.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Product(
        sha256=sha256,
        size=target.stat().st_size,
        actual=Span(excerpt.first_ns, max(end_ns, excerpt.first_ns + 1)),
        frames=product.stream.frames,
        method=method,
        codec=product.codec,
        width=product.width,
        height=product.height,
        audio=product.audio,
        tools=f"{LIBAV}; ffmpeg {version()}; profile {_digest(profile.model_dump_json())}",
    )


def _excerpt(source: Path, cut: Cut, span: Span, frames: list[_Frame], *, video: Video, name: str) -> Excerpt:
    """Return what is to be taken out of the source: the frames in `span`, and their sound if it is asked for."""
    clip, first, last = cut.clip, frames[0], frames[-1]
    sound = None
    if cut.profile.audio and video.audio_rate:
        # The sound of the frames that are shown, and none of it from after the asked end.
        asked_end = clip.stream.first_pts * video.time_base + Fraction(span.end_ns - clip.start_ns, NS)
        heard_end = min(last.end_pts * video.time_base, asked_end)
        sound = (first.pts * video.time_base, heard_end, min(video.audio_rate, 48_000))
    return Excerpt(
        start_pts=clip.pts_at(span.start_ns),
        stop_pts=clip.pts_at(span.end_ns),
        first_pts=first.pts,
        time_base=video.time_base,
        first_ns=clip.time_ns(first.pts),
        last_duration=last.end_pts - last.pts,
        seek_pts=seek_point(source, first.pts),
        sound=sound,
        name=name,
        codec=video.codec,
    )


@dataclass(frozen=True, slots=True)
class _Frame:
    """A decoded frame: its pts, the pts at which it ends, the CRC-32 of its exact luma, whether it is a keyframe."""

    pts: int
    end_pts: int
    crc: int
    key: bool


def _frames(path: Path, start_pts: int | None, stop_pts: int | None) -> tuple[list[_Frame], Video]:
    """Decode the frames with start_pts <= pts < stop_pts; of a long file only what lies around them.

    Without bounds the whole file, with all its checks; then the video's `stream` is known.
    """
    found: list[_Frame] = []
    begun: tuple[int, int, bool] | None = None
    with open_video(path, loop_filter=True, start_pts=start_pts) as video:
        for pts, luma in video.luma():
            if begun is not None:
                found.append(_Frame(begun[0], pts, *begun[1:]))
                begun = None
            if stop_pts is not None and pts >= stop_pts:
                break
            if start_pts is None or pts >= start_pts:
                begun = (pts, zlib.crc32(np.ascontiguousarray(luma).data), video.key)
        if begun is not None:
            found.append(_Frame(begun[0], begun[0] + video.duration, *begun[1:]))
    return found, video


def _make(
    source: Path,
    target: Path,
    excerpt: Excerpt,
    profile: Profile,
    wanted: list[_Frame],
    *,
    copyable: bool,
    timeout_s: float,
) -> tuple[Literal["remux", "transcode"], Video]:
    """Write the target by the first way that stands the check; return how, and what was written."""
    if copyable and wanted[0].key and not profile.asks_for_pixels:
        try:
            copy(source, target, excerpt, timeout_s=timeout_s)
            got, video = _frames(target, None, None)
        except ClipError:
            pass
        else:
            if not _difference(got, video, wanted, excerpt) and [f.crc for f in got] == [f.crc for f in wanted]:
                return "remux", video
    # Should seeking in this file lead ffmpeg elsewhere than it led us, the whole file still holds every frame.
    ways = [excerpt, replace(excerpt, seek_pts=None)] if excerpt.seek_pts is not None else [excerpt]
    wrong = ""
    for way in ways:
        transcode(source, target, way, profile, timeout_s=timeout_s)
        got, video = _frames(target, None, None)
        wrong = _out_of_bounds(got, video, excerpt) if profile.fps else _difference(got, video, wanted, excerpt)
        if not wrong:
            return "transcode", video
    raise ClipError("cut", f"the product is not what was asked: {wrong}; the source may be damaged there")


def _difference(got: list[_Frame], video: Video, wanted: list[_Frame], excerpt: Excerpt) -> str:
    """Say how a product differs from the wanted frames, "" when it does not.

    Times relative to the first frame are equal as fractions where the product counts in the source's time base, and
    within one tick of its own otherwise.
    """
    if len(got) != len(wanted):
        return f"{len(got)} frames instead of {len(wanted)}"
    if video.samples != len(got):
        return f"{video.samples - len(got)} frames more that are only hidden"
    tick = video.time_base
    for index, (have, want) in enumerate(zip(got, wanted, strict=True)):
        late = (have.pts - got[0].pts) * tick - (want.pts - wanted[0].pts) * excerpt.time_base
        if abs(late) >= tick:
            return f"frame {index} is {float(late):.6f} s late"
    return ""


def _out_of_bounds(got: list[_Frame], video: Video, excerpt: Excerpt) -> str:
    """Say how a product of another frame rate reaches beyond the asked time, "" when it does not."""
    length = (excerpt.stop_pts - excerpt.first_pts) * excerpt.time_base
    last = got[-1].pts * video.time_base
    if got[0].pts < 0 or last >= length or video.samples != len(got):
        return f"frames from {got[0].pts} to {float(last):.6f} s of {float(length):.6f} s"
    return ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]
