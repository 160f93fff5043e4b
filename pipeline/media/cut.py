"""A cut: exactly the asked time of one clip as a file of its own, checked frame by frame."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from pipeline.clip import Clip, check_id
from pipeline.cover import BARE, Cover
from pipeline.errors import ClipError
from pipeline.holes import never_came
from pipeline.media.clean import ONLY_PICTURES, shown_as
from pipeline.media.covered import check_hushed
from pipeline.media.decode import LIBAV
from pipeline.media.encoded import encode
from pipeline.media.likeness import Album
from pipeline.media.packets import count
from pipeline.media.passage import UnreadError, read_passage
from pipeline.media.profile import Profile
from pipeline.media.proof import Frame, Wanted, difference, frames
from pipeline.media.remux import Made, Method, remux
from pipeline.media.transcode import Excerpt, clock_rows, copy, version
from pipeline.media.veil import Veil, veil_of
from pipeline.span import NS, Span

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.activity import Activity
    from pipeline.media.clean import Shown
    from pipeline.media.passage import Passage

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
    "remux" are the camera's own packets, "transcode" is re-encoded, "smart" is some of both; the sound always is
    re-encoded. native: the frames that are the camera's own, bit for bit, as ranges (first, stop) of their numbers.
    why: in words, why not all of them are. width, height: of the upright picture. tools: the programs' versions and
    the profile's hash. damaged, missing: frames of the asked time of the source in which its decoder concealed
    something, and that are in it and give no picture. similarity: of re-encoded pictures, `likeness` of the frame least
    like its source; None for copied ones, which are equal.
    """

    sha256: str
    size: int
    actual: Span
    frames: int
    method: Method
    codec: str
    width: int
    height: int
    audio: str | None
    tools: str
    damaged: int = 0
    missing: int = 0
    similarity: float | None = None
    native: tuple[tuple[int, int], ...] = ()
    why: str = ""


def make_cut(
    source: Path, target: Path, cut: Cut, *, name: str = "", activity: Activity | None = None, timeout_s: float = 3600
) -> Product:
    """Write the cut of the clip in `source` to `target` (.mp4) and say what was written.

    The file begins with the first frame inside the span and holds nothing from outside it: no frame, not even one
    an edit list would hide, no sound, no tag and no metadata of the source; `name` is written into it as its only tag,
    so that the same footage is another file in every case. The camera's packets are copied from the first frame on that
    leans on none before it, where nothing hides in them that cannot be filtered out and the profile asks for nothing
    else; the frames before it, and those at the end that lean on one beyond, are encoded to stand beside them, or all
    frames where that cannot be. Copied packets are proven equal to the source's by their payloads, parameter sets and
    times, encoded frames are decoded and compared by their `likeness`, which has to reach FLOOR, and one decoding of
    the product shows that it plays. Sound lasts from the first frame to the last one's end, exact to the sample.

    The source's frames are decoded only where its packets do not tell them (see `read_passage`), where its clip is
    known to hold damaged ones, and where all of them are encoded. activity: of the clip, by which it is known what
    moves, where that is covered; every covered pixel of the product is looked at.

    Raises ValueError for a target that is no .mp4, or without an activity that is needed; ClipError: like `open_video`,
    "transcode" when ffmpeg refuses, "cut" when no frame lies in the span, the file is not the clip, or the product is
    not what was asked. Then there is no target.
    """
    if target.suffix != ".mp4":
        raise ValueError(f"a cut is written as .mp4, got {target.name}")
    span = cut.span & cut.clip.span
    if span is None:
        raise ValueError(f"the asked time {cut.span} has nothing of the clip's {cut.clip.span}")
    profile = cut.profile.plain() if cut.cover else cut.profile
    veil = veil_of(cut.cover, cut.clip.stream, height=profile.height, activity=activity)
    job = _Job(source, target, cut, span, name, timeout_s, profile, veil)
    try:
        return job.product(*(job.own() or job.encoded()))
    except ClipError:
        target.unlink(missing_ok=True)
        raise


@dataclass(slots=True)
class _Job:
    """The making of one cut. profile: how it looks, what is covered of it as any player shows it.

    veil: what is covered of its pictures. why: why the camera's packets were not copied, or not all of them.
    """

    source: Path
    target: Path
    cut: Cut
    span: Span
    name: str
    timeout_s: float
    profile: Profile
    veil: Veil | None
    why: str = ""

    @property
    def bounds(self) -> tuple[int, int]:
        """The pts of the asked time, half-open."""
        return self.cut.clip.pts_at(self.span.start_ns), self.cut.clip.pts_at(self.span.end_ns)

    def own(self, decoded: Sequence[Frame] = ()) -> tuple[Made, Excerpt, list[Frame]] | None:
        """Make it with the camera's own packets, by what they tell of themselves; None where that cannot be.

        decoded: its frames, none of them damaged: without them a clip with damaged frames is left alone.
        """
        clip, profile = self.cut.clip, self.profile
        start, stop = self.bounds
        if self.cut.cover:
            self.why = "something of it is covered"
            return None
        if profile.asks_for_pixels or profile.deinterlace:
            self.why = "the profile asks for other pictures than the camera's"
            return None
        try:
            with read_passage(self.source, clip.stream, start_pts=start, stop_pts=stop) as passage:
                self._check_same(passage.codec, passage.time_base)
                if not passage.pts:
                    raise self._empty()
                self.why = passage.why
                if passage.native is None:
                    return None
                ends = [*passage.pts[1:], passage.end_pts]
                shown = [*decoded] or [Frame(pts, end) for pts, end in zip(passage.pts, ends, strict=True)]
                if clip.stream.condition.damaged and [frame.pts for frame in decoded] != list(passage.pts):
                    self.why = "frames of its clip are damaged"
                    return None
                return self._remux(shown, passage)
        except UnreadError as error:
            self.why = str(error)
            return None

    def encoded(self) -> tuple[Made, Excerpt, list[Frame]]:
        """Decode the source's frames, and make it the first way that stands the comparison with them."""
        clip, profile = self.cut.clip, self.profile
        size = _compared_size(clip, profile)
        with Album(size, skip=clock_rows(size[1]) if profile.clock else 0) as album:
            found, video = frames(
                self.source, *self.bounds, visit=lambda _, luma: album.add(luma), known=clip.stream, veil=self.veil
            )
            self._check_same(video.codec, video.time_base)
            if not found:
                raise self._empty()
            sound = not any(frame.damaged for frame in found)
            if clip.stream.condition.damaged and sound and (made := self.own(found)):
                return made
            found[-1] = replace(found[-1], end_pts=_end(clip, found[-1]))
            excerpt = self._excerpt(
                found, _Source(video.time_base, video.codec, video.stream_index, video.audio_rate, video.seek_pts)
            )
            excerpt = replace(
                excerpt, shown=replace(excerpt.shown, interlaced=excerpt.shown.interlaced or video.interlaced)
            )
            wanted = Wanted(found, album, clip.stream, video.timed, self.veil)
            whole = self._whole(excerpt, wanted)
            check_hushed(self.target, excerpt.hushed)
            return whole, excerpt, found

    def product(self, made: Made, excerpt: Excerpt, shown: list[Frame]) -> Product:
        """Say what was written."""
        clip = self.cut.clip
        end_ns = min(clip.time_ns(shown[-1].end_pts), self.cut.span.end_ns, clip.span.end_ns)
        stream = made.video.stream
        with self.target.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return Product(
            sha256=sha256,
            size=self.target.stat().st_size,
            actual=Span(excerpt.first_ns, max(end_ns, excerpt.first_ns + 1)),
            frames=stream.frames,
            method=made.method,
            codec=stream.codec,
            width=stream.width,
            height=stream.height,
            audio=stream.audio,
            tools=f"{LIBAV}; ffmpeg {version()}; profile {_digest(self.cut.profile.text)}",
            damaged=sum(frame.damaged for frame in shown),
            missing=_missing(self.source, clip, excerpt, [frame.pts for frame in shown]),
            similarity=made.similarity,
            native=made.native,
            why="" if made.method == "remux" else self.why,
        )

    def _remux(self, shown: list[Frame], passage: Passage) -> tuple[Made, Excerpt, list[Frame]] | None:
        """Copy what can be copied of these frames; None where the product is not proven, and why."""
        shown[-1] = replace(shown[-1], end_pts=_end(self.cut.clip, shown[-1]))
        excerpt = self._excerpt(
            shown,
            _Source(
                passage.time_base, passage.codec, passage.track, passage.audio_rate, passage.seek_pts, passage.shown
            ),
        )
        try:
            made = remux(
                self.source, self.target, excerpt, self.cut.profile,
                passage=passage, wanted=shown, known=self.cut.clip.stream, timeout_s=self.timeout_s,
            )  # fmt: skip
        except ClipError as error:
            self.why = error.reason
            return None
        if made.method == "smart":
            self.why = "the other frames lean on frames outside of the asked time"
        return made, excerpt, shown

    def _whole(self, excerpt: Excerpt, wanted: Wanted) -> Made:
        """Copy all packets, where a decoder finds all frames the same; else encode them all."""
        profile, shown = self.profile, wanted.frames
        woven = profile.deinterlace and excerpt.shown.interlaced
        if excerpt.codec in ONLY_PICTURES and shown[0].key and not profile.asks_for_pixels and not woven:
            try:
                copy(self.source, self.target, excerpt, timeout_s=self.timeout_s)
                got, video = frames(self.target, None, None, visit=lambda *_: None)
            except ClipError as error:
                self.why = self.why or error.reason
            else:
                same = [f.crc for f in got] == [f.crc for f in shown]
                if same and not difference(got, video, shown, excerpt):
                    return Made("remux", video, native=((0, len(shown)),))
                self.why = self.why or "its packets alone do not give all of its frames"
        self.why = self.why or "its first frame leans on frames before the asked time"
        return encode(self.source, self.target, excerpt, profile, wanted, timeout_s=self.timeout_s)

    def _excerpt(self, shown: list[Frame], source: _Source) -> Excerpt:
        """Return what is to be taken out of the source: the frames in the span, and their sound if it is asked for."""
        clip, first, last = self.cut.clip, shown[0], shown[-1]
        sound = None
        if self.cut.profile.audio and source.audio_rate:
            # The sound of the frames that are shown, and none of it from after the asked end.
            asked_end = clip.stream.first_pts * source.time_base + Fraction(self.span.end_ns - clip.start_ns, NS)
            heard_end = min(last.end_pts * source.time_base, asked_end)
            rate = source.audio_rate if source.audio_rate in _AAC_HZ else 48_000
            sound = (first.pts * source.time_base, heard_end, rate)
        zero, muted = clip.stream.first_pts * source.time_base, self.cut.cover.muted
        ends = [[zero + Fraction(at - clip.start_ns, NS) for at in (one.start_ns, one.end_ns)] for one in muted]
        return Excerpt(
            start_pts=self.bounds[0],
            stop_pts=self.bounds[1],
            first_pts=first.pts,
            last_pts=last.pts,
            time_base=source.time_base,
            first_ns=clip.time_ns(first.pts),
            last_duration=last.end_pts - last.pts,
            seek_pts=source.seek_pts,
            sound=sound,
            muted=tuple((start, end) for start, end in ends),
            name=self.name,
            codec=source.codec,
            track=source.track,
            shown=source.shown or shown_as(self.source, source.track, seek_pts=source.seek_pts),
        )

    def _check_same(self, codec: str, time_base: Fraction) -> None:
        known = self.cut.clip.stream
        if time_base != known.time_base or codec != known.codec:
            told = "codec or time base differ; ingest it again"
            raise ClipError("cut", f"the file is not the clip that was measured: {told}")

    def _empty(self) -> ClipError:
        return ClipError("cut", f"no frame lies in {self.span}; ask for a longer time")


class _Source(NamedTuple):
    """What an excerpt has to know of an opened source: see `Video`."""

    time_base: Fraction
    codec: str
    track: int
    audio_rate: int
    seek_pts: int | None
    shown: Shown | None = None


def _missing(source: Path, clip: Clip, excerpt: Excerpt, shown: list[int]) -> int:
    """Return how many frames of the excerpt are in the source and give no picture, or never came; shown: pts."""
    if not clip.stream.condition.missing:
        return 0
    there = count(source, excerpt.track, start_pts=excerpt.start_pts, stop_pts=excerpt.stop_pts)
    # Of a short cut half of the steps have to tell the rate; that the clip's is even was seen before.
    _, gone = never_came(np.array(shown, np.int64), clip.stream.time_base, alike=0.5)
    return min(max(0, there - len(shown), gone), clip.stream.condition.missing)


def _end(clip: Clip, last: Frame) -> int:
    """Return the pts at which the last frame ends: no frame lasts into a hole or beyond the end of its clip."""
    ends = [hole[0] for hole in clip.stream.condition.holes if hole[0] > last.pts]
    return min(end for end in (last.end_pts, clip.stream.end_pts, *ends) if end > last.pts)


def _compared_size(clip: Clip, profile: Profile) -> tuple[int, int]:
    """Return the width and height that a product has, a pixel more or less."""
    w, h = clip.stream.width, clip.stream.height
    height = min(h, profile.height or h)
    return max(2, round(w * height / h)), height


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]
