"""Where it moves before a camera: the motion of all its clips, cell by cell, over a still of the last one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lamplighter.report.pictures import Warmth, heat, warmth
from lamplighter.report.wording import clip_count, second
from pipeline.activity import Activity
from pipeline.clip import Clip

Still: TypeAlias = Callable[[Clip, int], NDArray[np.uint8] | None]
"""Returns the frame of a clip at a pts, uint8 (H, W) luma, or None when the clip's bytes are gone or cannot be read."""


_SIDEWAYS: Final = (
    "The clip was measured when pictures were not turned upright yet, so its cells do not lie on its frames; "
    "`lamplighter ingest --remeasure --all` mends that."
)


class HeatMap(NamedTuple):
    """A heat map as PNG, what is to be said of it, and whether it shows footage."""

    picture: bytes
    text: str
    shows_footage: bool


@dataclass(slots=True)
class CameraHeat:
    """The clips of one camera, added in order of time. The last one stands for what the camera sees.

    clip, watched, quiet_pts: the last clip, its cells that count (bool (R, C)) and its quietest frame: what is looked
    at is the place, not the people. warm: the motion of all clips by size of picture, and of how many; the last clip's
    size at the end.
    """

    clip: Clip | None = None
    watched: NDArray[np.bool_] | None = None
    quiet_pts: int = 0
    warm: list[tuple[Warmth, int]] = field(default_factory=list)
    zones_changed: bool = False

    def add(self, clip: Clip, activity: Activity, watched: NDArray[np.bool_]) -> None:
        """Add a clip that is later than all before it."""
        new, count = warmth(activity), 1
        for at, (known, clips) in enumerate(self.warm):
            if known.fits(new):
                new, count = known + new, clips + 1
                del self.warm[at]
                break
        self.warm.append((new, count))
        if self.watched is not None and self.watched.shape == watched.shape:
            self.zones_changed |= bool((self.watched != watched).any())
        self.clip, self.watched = clip, watched
        self.quiet_pts = int(activity.pts[activity.share.sum((1, 2), dtype=np.uint32).argmin()])

    def draw(self, still: Still | None, *, title: str) -> HeatMap:
        """Draw the heat map over a frame of the footage, over none without `still`. Raises ValueError without a clip.

        Whoever gives `still` sees footage: it is asked only once.
        """
        if self.clip is None:
            raise ValueError("wanted at least one clip to draw, got none")
        warm = self.warm[-1][0]
        frame = None if still is None else still(self.clip, self.quiet_pts)
        if still is None:
            ground = "It was asked for without a still."
        elif frame is None:
            ground = "The clip's footage could not be read, so there is no still below it."
        elif frame.shape != (round(float(warm.rows[-1])), round(float(warm.columns[-1]))):
            # The frame was looked at, but it does not lie below these cells.
            frame, ground = None, _SIDEWAYS
        else:
            ground = f"The ground is the quietest frame of the clip of {second(self.clip.start_ns)}."
        picture = heat(warm, frame, watched=self.watched, title=title)
        return HeatMap(picture, self._text(ground), frame is not None)

    def _text(self, ground: str) -> str:
        text = (
            f"{ground} Each cell shows the share of it that moved, on average over all frames with a known background."
        )
        clips = sum(count for _, count in self.warm)
        if left_out := clips - self.warm[-1][1]:
            text += f" Left out, for its picture has another size: {left_out:,} of {clip_count(clips)}."
        return f"{text} The zones are those of the last clip." if self.zones_changed else text
