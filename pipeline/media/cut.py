"""A cut: exactly the asked time of one clip as a file of its own, checked frame by frame."""

from __future__ import annotations

import hashlib
import zlib
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from pipeline.clip import Clip, Stream, check_id
from pipeline.cover import BARE, Cover
from pipeline.errors import ClipError
from pipeline.holes import never_came
from pipeline.media.clean import ONLY_PICTURES, shown_as
from pipeline.media.covered import check_covered, check_hushed
from pipeline.media.decode import LIBAV, Video, open_video, seek_point
from pipeline.media.feed import open_feed
from pipeline.media.likeness import FLOOR, Album
from pipeline.media.packets import count
from pipeline.media.profile import Profile
from pipeline.media.transcode import Excerpt, clock_rows, copy, transcode, version
from pipeline.media.veil import TRIES, Veil, veil_of
from pipeline.span import NS, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from pipeline.activity import Activity

Visit: TypeAlias = "Callable[[Fraction, NDArray[np.uint8]], None]"
"""Is shown the seconds of a frame after the first, and its luma, valid until it returns."""

# Sampling rates that AAC has a number for, up to what players take.
_AAC_HZ: Final = frozenset({48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000})


@dataclass(frozen=True, slots=True)
class Cut:
    """One file to make: which time of which clip, for which request, looking how, with what covered.

    A frame belongs to the cut if and only if its instant lies in `span`, also when it is shown beyond the end. Where
    anything is covered all of it is re-encoded, as any player shows it: H.264 in whole frames, whatever `profile` says.
    Raises ValueError for a request that cannot stand in a key, and a span that has nothing of what the clip recorded or
    reaches across a hole: then one file would show two times as one.
    """

    request: str
    clip: Clip
    span: Span
    profile: Profile
    cover: Cover = BARE

    def __post_init__(self) -> None:
        object.__setattr__(self, "cover", self.cover.within(self.span, sound=self.profile.audio))
        check_id("request", self.request)
        if self.span & self.clip.span is None:
            raise ValueError(f"the asked time {self.span} has nothing of the clip's {self.clip.span}")
        if len(parts := self.clip.recorded(self.span)) != 1:
            found = " and ".join(map(str, parts)) or "nothing"
            raise ValueError(f"a cut is of one part without a hole: of {self.span} the clip recorded {found}")

    @property
    def id(self) -> str:
        """A name made of the work alone (clip, span, profile, cover): who does it again writes the same there."""
        span, cover = f"{self.span.start_ns}\0{self.span.end_ns}", f"\0{self.cover.text}" if self.cover else ""
        return _digest(f"{self.clip.id}\0{span}\0{self.profile.text}{cover}")


@dataclass(frozen=True, slots=True)
class Product:
    """What was written: its SHA-256 (64 hexadecimal digits) and bytes, the time it shows, and how it was made.

    `actual` goes from the first frame's instant to the last frame's end, inside asked and recorded time. method:
    "remux" are the camera's own packets, "transcode" is re-encoded; the sound always is. width, height: of the upright
    picture. tools: the programs' versions and the profile's hash. damaged, missing: frames of the asked time of the
    source in which its decoder concealed something, and that are in it and give no picture. similarity: of re-encoded
    pictures, `likeness` of the frame least like its source; None for copied ones, which are equal.
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
    damaged: int = 0
    missing: int = 0
    similarity: float | None = None


def make_cut(
    source: Path, target: Path, cut: Cut, *, name: str = "", activity: Activity | None = None, timeout_s: float = 3600
) -> Product:
    """Write the cut of the clip in `source` to `target` (.mp4) and say what was written.

    The file begins with the first frame inside the span and holds nothing from outside it: no frame, not even one
    an edit list would hide, no sound, no tag and no metadata of the source; `name` is written into it as its only tag,
    so that the same footage is another file in every case. The camera's packets are copied where the first frame is
    a keyframe, no frame leans on one outside, nothing hides in them that cannot be filtered out, and the profile asks
    for nothing else; otherwise it is re-encoded. Either way the product is decoded and compared before it counts:
    number of frames, their times, every pixel of the luma of copied ones, and the `likeness` of re-encoded ones, which
    has to reach FLOOR. Sound lasts from the first frame to the last one's end, exact to the sample. activity: of the
    clip, by which it is known what moves, where that is covered. Every covered pixel of the product is looked at.

    Raises ValueError for a target that is no .mp4, or without an activity that is needed; ClipError: like `open_video`,
    "transcode" when ffmpeg refuses, "cut" when no frame lies in the span, the file is not the clip, or the product is
    not what was asked. Then there is no target.
    """
    if target.suffix != ".mp4":
        raise ValueError(f"a cut is written as .mp4, got {target.name}")
    clip, profile = cut.clip, cut.profile.plain() if cut.cover else cut.profile
    veil = veil_of(cut.cover, clip.stream, height=profile.height, activity=activity)
    span = cut.span & clip.span
    if span is None:
        raise ValueError(f"the asked time {cut.span} has nothing of the clip's {clip.span}")
    size = _compared_size(clip, profile)
    with Album(size, skip=clock_rows(size[1]) if profile.clock else 0) as album:
        frames, video = _frames(
            source,
            clip.pts_at(span.start_ns),
            clip.pts_at(span.end_ns),
            visit=lambda _, luma: album.add(luma),
            known=clip.stream,
            veil=veil,
        )
        if video.time_base != clip.stream.time_base or video.codec != clip.stream.codec:
            told = "codec or time base differ; ingest it again"
            raise ClipError("cut", f"the file is not the clip that was measured: {told}")
        if not frames:
            raise ClipError("cut", f"no frame lies in {span}; ask for a longer time")
        frames[-1] = replace(frames[-1], end_pts=_end(clip, frames[-1]))
        excerpt = _excerpt(source, cut, span, frames, video=video, name=name)
        try:
            wanted = _Wanted(frames, album, clip.stream, video.timed, veil)
            made = _make(source, target, excerpt, profile, wanted, timeout_s=timeout_s)
            check_hushed(target, excerpt.hushed)
        except ClipError:
            target.unlink(missing_ok=True)
            raise
    missing = _missing(source, clip, excerpt, [frame.pts for frame in frames])
    return _product(target, cut, excerpt, frames, made=made, missing=missing)


def _product(target: Path, cut: Cut, excerpt: Excerpt, frames: list[_Frame], *, made: _Made, missing: int) -> Product:
    """Say what was written."""
    end_ns = min(cut.clip.time_ns(frames[-1].end_pts), cut.span.end_ns, cut.clip.span.end_ns)
    stream = made.video.stream
    with target.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Product(
        sha256=sha256,
        size=target.stat().st_size,
        actual=Span(excerpt.first_ns, max(end_ns, excerpt.first_ns + 1)),
        frames=stream.frames,
        method=made.method,
        codec=stream.codec,
        width=stream.width,
        height=stream.height,
        audio=stream.audio,
        tools=f"{LIBAV}; ffmpeg {version()}; profile {_digest(cut.profile.text)}",
        damaged=sum(frame.damaged for frame in frames),
        missing=missing,
        similarity=made.similarity,
    )


def _excerpt(source: Path, cut: Cut, span: Span, frames: list[_Frame], *, video: Video, name: str) -> Excerpt:
    """Return what is to be taken out of the source: the frames in `span`, and their sound if it is asked for."""
    clip, first, last = cut.clip, frames[0], frames[-1]
    sound = None
    if cut.profile.audio and video.audio_rate:
        # The sound of the frames that are shown, and none of it from after the asked end.
        asked_end = clip.stream.first_pts * video.time_base + Fraction(span.end_ns - clip.start_ns, NS)
        heard_end = min(last.end_pts * video.time_base, asked_end)
        rate = video.audio_rate if video.audio_rate in _AAC_HZ else 48_000
        sound = (first.pts * video.time_base, heard_end, rate)
    zero = clip.stream.first_pts * video.time_base
    muted = [[zero + Fraction(at - clip.start_ns, NS) for at in (one.start_ns, one.end_ns)] for one in cut.cover.muted]
    seek = seek_point(source, first.pts, track=clip.stream.track)
    shown = shown_as(source, video.stream_index, seek_pts=seek)
    return Excerpt(
        start_pts=clip.pts_at(span.start_ns),
        stop_pts=clip.pts_at(span.end_ns),
        first_pts=first.pts,
        last_pts=last.pts,
        time_base=video.time_base,
        first_ns=clip.time_ns(first.pts),
        last_duration=last.end_pts - last.pts,
        seek_pts=seek,
        sound=sound,
        muted=tuple((start, end) for start, end in muted),
        name=name,
        codec=video.codec,
        track=video.stream_index,
        shown=replace(shown, interlaced=shown.interlaced or video.interlaced),
    )


def _missing(source: Path, clip: Clip, excerpt: Excerpt, shown: list[int]) -> int:
    """Return how many frames of the excerpt are in the source and give no picture, or never came; shown: pts."""
    if not clip.stream.condition.missing:
        return 0
    there = count(source, excerpt.track, start_pts=excerpt.start_pts, stop_pts=excerpt.stop_pts)
    # Of a short cut half of the steps have to tell the rate; that the clip's is even was seen before.
    _, gone = never_came(np.array(shown, np.int64), clip.stream.time_base, alike=0.5)
    return min(max(0, there - len(shown), gone), clip.stream.condition.missing)


def _end(clip: Clip, last: _Frame) -> int:
    """Return the pts at which the last frame ends: no frame lasts into a hole or beyond the end of its clip."""
    ends = [hole[0] for hole in clip.stream.condition.holes if hole[0] > last.pts]
    return min(end for end in (last.end_pts, clip.stream.end_pts, *ends) if end > last.pts)


def _compared_size(clip: Clip, profile: Profile) -> tuple[int, int]:
    """Return the width and height that a product has, a pixel more or less."""
    w, h = clip.stream.width, clip.stream.height
    height = min(h, profile.height or h)
    return max(2, round(w * height / h)), height


@dataclass(frozen=True, slots=True)
class _Frame:
    """A decoded frame: its pts, the pts at which it ends, the CRC-32 of its exact luma, whether it is a keyframe."""

    pts: int
    end_pts: int
    crc: int
    key: bool
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a product is compared with: the source's frames, their reduced pictures, and what the source is.

    timed: whether the file states the time of every one of them. veil: what is covered of them; the pictures are, too.
    """

    frames: list[_Frame]
    album: Album
    known: Stream
    timed: bool
    veil: Veil | None = None


@dataclass(frozen=True, slots=True)
class _Made:
    """How a product was made, and what it is."""

    method: Literal["remux", "transcode"]
    video: Video
    similarity: float | None = None


def _frames(
    path: Path,
    start_pts: int | None,
    stop_pts: int | None,
    *,
    visit: Visit,
    known: Stream | None = None,
    veil: Veil | None = None,
) -> tuple[list[_Frame], Video]:
    """Decode the frames with start_pts <= pts < stop_pts and show them to `visit`; of a long file what lies around.

    Without bounds the whole file, with all its checks; then the video's `stream` is known. veil: what is covered first.
    """
    found: list[_Frame] = []
    last = damaged = 0
    with open_video(path, loop_filter=True, start_pts=start_pts, known=known) as video:
        for pts, luma in video.luma():
            if found and found[-1].pts == last:
                found[-1] = replace(found[-1], end_pts=pts)
            if stop_pts is not None and pts >= stop_pts:
                break
            if start_pts is None or pts >= start_pts:
                seen = luma if veil is None else veil.over(luma, veil.blocks(pts))
                crc = zlib.crc32(np.ascontiguousarray(seen).data)
                found.append(_Frame(pts, pts + video.duration, crc, video.key, video.damaged > damaged))
                visit((pts - found[0].pts) * video.time_base, seen)
            last, damaged = pts, video.damaged
    return found, video


def _make(
    source: Path, target: Path, excerpt: Excerpt, profile: Profile, wanted: _Wanted, *, timeout_s: float
) -> _Made:
    """Write the target by the first way that stands the check; return how, and what was written."""
    woven = profile.deinterlace and excerpt.shown.interlaced
    if excerpt.codec in ONLY_PICTURES and wanted.frames[0].key and not profile.asks_for_pixels and not woven:
        try:
            copy(source, target, excerpt, timeout_s=timeout_s)
            got, video = _frames(target, None, None, visit=lambda *_: None)
        except ClipError:
            pass
        else:
            same = [f.crc for f in got] == [f.crc for f in wanted.frames]
            if same and not _difference(got, video, wanted.frames, excerpt):
                return _Made("remux", video)
    wrong = ""
    # ffmpeg's own decoder knows of nothing to cover.
    sure = wanted.timed and wanted.veil is None and not any(frame.damaged for frame in wanted.frames)
    for way, fed in _ways(excerpt, sure=sure, fed=TRIES if wanted.veil else 1):
        _transcode(source, target, way, profile, wanted=wanted if fed else None, timeout_s=timeout_s)
        comparison = _Comparison(wanted, excerpt, fps=profile.fps)
        try:
            got, video = _frames(target, None, None, visit=comparison.visit)
        except ClipError as error:
            wrong = f"nothing can be shown of the product: {error.reason}; the source may be damaged there"
            continue
        late = _out_of_bounds(got, video, excerpt) if profile.fps else _difference(got, video, wanted.frames, excerpt)
        wrong = f"the product is not what was asked: {late}; the source may be damaged there"
        if not late:
            wrong = comparison.complaint if comparison.least < FLOOR else _shows(target, wanted, excerpt, profile)
        if not wrong:
            return _Made("transcode", video, comparison.least)
    raise ClipError("cut", wrong)


def _ways(excerpt: Excerpt, *, sure: bool, fed: int) -> Iterator[tuple[Excerpt, bool]]:
    """Yield the ways to encode an excerpt, each with whether ffmpeg is fed with the frames that we have decoded.

    Its own decoding is the cheapest; should seeking in this file lead it elsewhere than it led us, the whole file still
    holds every frame. sure: whether it finds the same times and pictures as we: not where a file does not state the
    times, which goes unseen once the frame rate is another as well, nor where its decoder conceals another way.
    fed: how often it is fed.
    """
    if sure:
        yield excerpt, False
        if excerpt.seek_pts is not None:
            yield replace(excerpt, seek_pts=None), False
    for _ in range(fed):
        yield excerpt, True


def _transcode(
    source: Path, target: Path, excerpt: Excerpt, profile: Profile, *, wanted: _Wanted | None, timeout_s: float
) -> None:
    """Encode an excerpt; wanted: what an earlier pass found, to feed ffmpeg with the frames of another such pass."""
    if wanted is None:
        transcode(source, target, excerpt, profile, timeout_s=timeout_s)
        return
    of = {"start_pts": excerpt.start_pts, "stop_pts": excerpt.stop_pts}
    with open_feed(source, wanted.known, **of, fields=excerpt.shown.interlaced, veil=wanted.veil) as feed:
        transcode(source, target, excerpt, profile, feed=feed, timeout_s=timeout_s)


def _shows(target: Path, wanted: _Wanted, excerpt: Excerpt, profile: Profile) -> str:
    """Say what of a product shows that is to be covered, "" for nothing; then it is coded more finely the next time."""
    if wanted.veil is None:
        return ""
    frames = [((frame.pts - excerpt.first_pts) * excerpt.time_base, frame.pts) for frame in wanted.frames]
    try:
        check_covered(target, wanted.veil, frames, fps=profile.fps, clock=profile.clock)
    except ClipError as error:
        wanted.veil.refine()
        return error.reason
    return ""


class _Comparison:
    """Compares the pictures of a product with those of its source, one after the other.

    Where the frame rate is another one, a frame may show any one of the source's within half a step of its time. Frames
    that the source's decoder concealed something in are not compared: another version conceals differently.
    """

    def __init__(self, wanted: _Wanted, excerpt: Excerpt, *, fps: int | None) -> None:
        first, unit = excerpt.first_pts, excerpt.time_base
        self._wanted = wanted
        self._times = [(frame.pts - first) * unit for frame in wanted.frames] if fps else None
        self._step = Fraction(1, fps or 1)
        self._seen = self._worst = 0
        self.least = 1.0

    @property
    def complaint(self) -> str:
        return (
            f"frame {self._worst} of the product is like its source to {self.least:.2f}, wanted {FLOOR} of 1; "
            "ask for a better quality (crf, bit_rate, height)"
        )

    def visit(self, seconds: Fraction, luma: NDArray[np.uint8]) -> None:
        """Compare the next picture, shown these seconds after the first."""
        choice = (
            range(self._seen, self._seen + 1) if self._times is None else _near(self._times, seconds, step=self._step)
        )
        frames = [self._wanted.frames[one] for one in choice if one < len(self._wanted.frames)]
        if frames and not any(frame.damaged for frame in frames):
            likeness = max(self._likeness(one, luma) for one in choice)
            if likeness < self.least:
                self.least, self._worst = likeness, self._seen
        self._seen += 1

    def _likeness(self, number: int, luma: NDArray[np.uint8]) -> float:
        """Return how like the source's frame of this number a picture is, where it is not covered."""
        if (veil := self._wanted.veil) is not None:
            luma = veil.over(luma, veil.blocks(self._wanted.frames[number].pts))
        return self._wanted.album.likeness(number, luma)


def _near(times: list[Fraction], at: Fraction, *, step: Fraction) -> range:
    """Return the numbers of the frames within half a step of a time, and of those on both sides of it."""
    shown = max(0, bisect_right(times, at) - 1)
    first, last = bisect_left(times, at - step / 2), bisect_right(times, at + step / 2)
    return range(max(0, min(first, shown - 1)), min(len(times), max(last, shown + 2)))


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
