"""Which clips answer a request, and why the others do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipeline.case.request import Request
from pipeline.clip import Camera, Clip
from pipeline.span import Span


class Verdict(StrEnum):
    """Why a camera or a clip answers a request or does not."""

    MATCH = "matches"
    OUTSIDE_AREA = "camera is outside the area"
    NO_CLIP = "camera has no clip in the span"
    OUTSIDE_SPAN = "clip is outside the span"
    NO_FRAME = "clip has no frame in the span"
    NO_MOTION = "nothing moved in the span"
    UNREADABLE = "what moved in it cannot be read"


@dataclass(frozen=True, slots=True)
class Match:
    """One camera's or clip's verdict; a match carries the motion events inside the asked time of its clip.

    span: the time that the clip shares with the request. recorded: what of that is no hole of the clip, in order.
    """

    camera: Camera
    verdict: Verdict
    clip: Clip | None = None
    span: Span | None = None
    recorded: tuple[Span, ...] = ()
    events: tuple[Span, ...] = ()


def match(
    request: Request,
    cameras: Iterable[Camera],
    *,
    clips: Callable[[Camera], Iterable[Clip]],
    events: Callable[[Clip], Sequence[Span] | None],
) -> Iterator[Match]:
    """Yield a verdict for every camera, and for every clip of the cameras inside the area.

    `clips` gives a camera's clips, `events` a clip's motion in time, None where that cannot be told; of a clip without
    a frame in the span it is not asked. What is asked of a matching clip is all that it recorded of the time it shares
    with the request, not the events alone, nor only the parts between holes in which something moved: evidence that
    starts at the first movement proves less.
    """
    for camera in cameras:
        if not request.area.covers(camera):
            yield Match(camera, Verdict.OUTSIDE_AREA)
            continue
        seen = False
        for clip in clips(camera):
            seen = True
            span = request.span & clip.span
            if span is None:
                yield Match(camera, Verdict.OUTSIDE_SPAN, clip)
                continue
            recorded = tuple(clip.recorded(span))
            if not recorded:
                yield Match(camera, Verdict.NO_FRAME, clip, span)
                continue
            moved = events(clip)
            if moved is None:
                yield Match(camera, Verdict.UNREADABLE, clip, span, recorded)
                continue
            inside = tuple(event for event in moved if any(event & part for part in recorded))
            yield Match(camera, Verdict.MATCH if inside else Verdict.NO_MOTION, clip, span, recorded, inside)
        if not seen:
            yield Match(camera, Verdict.NO_CLIP)
