"""A product of encoded frames alone: made the cheapest way whose frames are those of its source."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.errors import ClipError
from pipeline.media.covered import check_covered
from pipeline.media.feed import open_feed
from pipeline.media.likeness import FLOOR
from pipeline.media.proof import Comparison, difference, frames, out_of_bounds
from pipeline.media.remux import Made
from pipeline.media.transcode import transcode
from pipeline.media.veil import TRIES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.media.profile import Profile
    from pipeline.media.proof import Wanted
    from pipeline.media.transcode import Excerpt


def encode(source: Path, target: Path, excerpt: Excerpt, profile: Profile, wanted: Wanted, *, timeout_s: float) -> Made:
    """Write the target the first way that stands the comparison. Raises ClipError where none does."""
    wrong = ""
    # ffmpeg's own decoder knows of nothing to cover.
    sure = wanted.timed and wanted.veil is None and not any(frame.damaged for frame in wanted.frames)
    for way, fed in _ways(excerpt, sure=sure, fed=TRIES if wanted.veil else 1):
        _transcode(source, target, way, profile, wanted=wanted if fed else None, timeout_s=timeout_s)
        comparison = Comparison(wanted, excerpt, fps=profile.fps)
        try:
            got, video = frames(target, None, None, visit=comparison.visit)
        except ClipError as error:
            wrong = f"nothing can be shown of the product: {error.reason}; the source may be damaged there"
            continue
        late = out_of_bounds(got, video, excerpt) if profile.fps else difference(got, video, wanted.frames, excerpt)
        wrong = f"the product is not what was asked: {late}; the source may be damaged there"
        if not late:
            wrong = comparison.complaint if comparison.least < FLOOR else _shows(target, wanted, excerpt, profile)
        if not wrong:
            return Made("transcode", video, comparison.least)
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
    source: Path, target: Path, excerpt: Excerpt, profile: Profile, *, wanted: Wanted | None, timeout_s: float
) -> None:
    """Encode an excerpt; wanted: what an earlier pass found, to feed ffmpeg with the frames of another such pass."""
    if wanted is None:
        transcode(source, target, excerpt, profile, timeout_s=timeout_s)
        return
    begins, ends, fields = excerpt.start_pts, excerpt.stop_pts, excerpt.shown.interlaced
    with open_feed(source, wanted.known, start_pts=begins, stop_pts=ends, fields=fields, veil=wanted.veil) as feed:
        transcode(source, target, excerpt, profile, feed=feed, timeout_s=timeout_s)


def _shows(target: Path, wanted: Wanted, excerpt: Excerpt, profile: Profile) -> str:
    """Say what of a product shows that is to be covered, "" for nothing; then it is coded more finely the next time."""
    if wanted.veil is None:
        return ""
    found = [((frame.pts - excerpt.first_pts) * excerpt.time_base, frame.pts) for frame in wanted.frames]
    try:
        check_covered(target, wanted.veil, found, fps=profile.fps, clock=profile.clock)
    except ClipError as error:
        wanted.veil.refine()
        return error.reason
    return ""
