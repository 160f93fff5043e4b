"""Products of the camera's own packets: copied alone, or joined with the few frames that have to be encoded.

What was copied is proven equal by its payloads and parameter sets, what was encoded is compared with its source.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from pipeline.errors import ClipError
from pipeline.media.decode import seek_point
from pipeline.media.likeness import FLOOR, Album
from pipeline.media.proof import Witness, difference, frames, play
from pipeline.media.splice import Part, described, profile_name, splice
from pipeline.media.transcode import Like, copy, transcode
from pipeline.media.units import free_number, renumbered

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pipeline.clip import Stream
    from pipeline.media.decode import Video
    from pipeline.media.passage import Native, Passage
    from pipeline.media.profile import Profile
    from pipeline.media.proof import Frame, Played
    from pipeline.media.transcode import Excerpt

Method: TypeAlias = Literal["remux", "smart", "transcode"]

# Pixels that x264 and x265 write as they are; the names with j say full range, which the stream says as well.
_PIXELS: Final = frozenset({"yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"})


@dataclass(frozen=True, slots=True)
class Made:
    """How a product was made, and what it is: see `Product`."""

    method: Method
    video: Video
    similarity: float | None = None
    native: tuple[tuple[int, int], ...] = ()


def remux(
    source: Path,
    target: Path,
    excerpt: Excerpt,
    profile: Profile,
    *,
    passage: Passage,
    wanted: Sequence[Frame],
    known: Stream,
    timeout_s: float,
) -> Made:
    """Write the excerpt with the camera's own packets wherever they can be; `passage` has some that can be copied.

    wanted: the frames it is to show. Raises ClipError where the product is not proven to be that; then it has to be
    encoded whole.
    """
    native = passage.native
    if native is None:
        raise ValueError(passage.why)
    first = passage.pts.index(native.start_pts)
    stop = first + len(native.order)
    if stop - first == len(passage.pts):
        copy(source, target, excerpt, run=native, timeout_s=timeout_s)
        played = play(target, passage.codec, Witness(native.packets, first=0))
        _check(played, passage, wanted, excerpt)
        if set(played.sets) != set(passage.header.sets):
            raise ClipError("cut", "the parameter sets of the product are not those of its source")
        return Made("remux", played.video, native=((0, len(passage.pts)),))
    job = _Job(source, excerpt, profile, passage, native, known, timeout_s)
    with Album((known.width, known.height)) as album, _beside(target) as name:
        folder = Path(name)
        parts, added = job.parts(folder, album, first, stop)
        length = excerpt.last_duration
        splice(target, parts, time_base=excerpt.time_base, last_duration=length, name=excerpt.name)
        compared = [*range(first), *range(stop, len(passage.pts))]
        place = {number: at for at, number in enumerate(compared)}
        least = 1.0

        def visit(number: int, luma: NDArray[np.uint8]) -> None:
            nonlocal least
            least = min(least, album.likeness(place[number], luma))

        witness = Witness(native.packets, first=first)
        played = play(target, passage.codec, witness, compare=place, visit=visit)
    _check(played, passage, wanted, excerpt)
    if set(played.sets) != {*passage.header.sets, *added}:
        raise ClipError("cut", "the parameter sets of the product are not those of its parts")
    if least < FLOOR:
        raise ClipError("cut", f"an encoded frame is like its source to {least:.2f}, wanted {FLOOR} of 1")
    return Made("smart", played.video, least, ((first, stop),))


def _beside(target: Path) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="parts-", dir=target.parent)


def _check(played: Played, passage: Passage, wanted: Sequence[Frame], excerpt: Excerpt) -> None:
    """Raise ClipError unless a product shows the wanted frames, and its native packets are those of the source."""
    if not played.native:
        raise ClipError("cut", "packets of the product are not those of its source")
    if played.packets != len(passage.pts):
        raise ClipError("cut", f"{played.packets} packets instead of {len(passage.pts)}")
    if late := difference(played.frames, played.video, wanted, excerpt):
        raise ClipError("cut", f"the product is not what was asked: {late}")


@dataclass(frozen=True, slots=True)
class _Job:
    """The making of the parts of one product."""

    source: Path
    excerpt: Excerpt
    profile: Profile
    passage: Passage
    native: Native
    known: Stream
    timeout_s: float

    def parts(self, folder: Path, album: Album, first: int, stop: int) -> tuple[list[Part], set[bytes]]:
        """Write the parts into a folder; first, stop: the numbers of the native frames.

        Returns them in order, and the parameter sets that the encoded ones bring. `album` gets the source's pictures of
        the encoded ones. Raises ClipError.
        """
        pts, shift = self.passage.pts, self.excerpt.first_pts
        middle = replace(self._part(pts[first:stop], self.native.stop_pts), sound=None if first else self.excerpt.sound)
        copy(self.source, folder / "own.mp4", middle, run=self.native, timeout_s=self.timeout_s)
        own = Part(folder / "own.mp4", tuple(at - shift for at in self.native.order), encoded=False)
        parts, added = [own], set[bytes]()
        for at, (begin, end) in enumerate(((0, first), (stop, len(pts)))):
            if begin == end:
                continue
            path = folder / f"{at}.mp4"
            limit = self.native.start_pts if not at else self.excerpt.stop_pts
            self._encode(path, pts[begin:end], limit, album)
            one = Part(
                path, tuple(when - shift for when in pts[begin:end]), encoded=True, ends=not at and self.native.open
            )
            parts.insert(at * len(parts), one)
            added |= _sets(path, self.passage)
        return parts, added

    def _part(self, pts: Sequence[int], stop_pts: int) -> Excerpt:
        """Return an excerpt of the frames at these pts alone."""
        last = pts[-1]
        whole = last == self.excerpt.last_pts
        ends = self.excerpt.last_duration if whole else self.passage.pts[self.passage.pts.index(last) + 1] - last
        return replace(
            self.excerpt,
            start_pts=pts[0],
            stop_pts=max(stop_pts, last + 1),
            first_pts=pts[0],
            last_pts=last,
            last_duration=ends,
        )

    def _encode(self, path: Path, pts: Sequence[int], stop_pts: int, album: Album) -> None:
        """Encode the frames at these pts to stand beside the camera's packets."""
        leads = pts[0] == self.excerpt.first_pts
        excerpt = self._part(pts, stop_pts)
        if not leads:
            seek = seek_point(self.source, pts[0], track=self.known.track)
            excerpt = replace(excerpt, sound=None, seek_pts=seek)
        found, video = frames(self.source, pts[0], stop_pts, visit=lambda _, luma: album.add(luma), known=self.known)
        if [frame.pts for frame in found] != list(pts) or any(frame.damaged for frame in found):
            raise ClipError("cut", "its packets do not tell which frames are shown, or some are damaged")
        excerpt = replace(excerpt, shown=replace(excerpt.shown, interlaced=video.interlaced))
        transcode(self.source, path, excerpt, self.profile, like=self._like(video), timeout_s=self.timeout_s)

    def _like(self, video: Video) -> Like:
        pixels = video.pixels.replace("yuvj", "yuv")
        if pixels not in _PIXELS:
            raise ClipError("cut", f"no encoder here writes its pixels ({pixels}) beside its own packets")
        if video.interlaced and self.passage.codec == "hevc":
            raise ClipError("cut", "its frames are fields, which no encoder of HEVC here writes beside its own packets")
        try:
            number = free_number(self.passage.codec, self.passage.keys)
            profile, references = profile_name(self.passage.header)
            return Like(self.passage.codec, pixels, profile, number, references)
        except ValueError as error:
            raise ClipError("cut", str(error)) from error


def _sets(path: Path, passage: Passage) -> set[bytes]:
    """Return the parameter sets of an encoded part, as they stand in the product."""
    return {renumbered(unit) if passage.codec == "hevc" else unit for unit in described(path, passage.codec).sets}
