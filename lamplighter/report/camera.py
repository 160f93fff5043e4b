"""What is drawn of cameras, a timeline and a heat map of each, gathered while their clips are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lamplighter.desk.comparison import Look
from lamplighter.report.heat import CameraHeat
from lamplighter.report.pictures import WIDTH, timeline
from lamplighter.report.strips import Strip, strips
from pipeline.span import Span


@dataclass(slots=True)
class CameraPictures:
    """The strips of one camera's timeline, and its heat; a few kilobytes for each clip."""

    strips: list[Strip] = field(default_factory=list)
    heat: CameraHeat = field(default_factory=CameraHeat)

    def add(self, look: Look) -> None:
        """Add a clip that is later than all before it."""
        # A month of a camera holds 39 million frames: a clip gets the pixel columns it will be drawn with.
        columns = 2 + WIDTH * look.clip.footage_ns // look.footage_ns
        start_ns = look.clip.time_ns(int(look.activity.pts[0]))
        self.strips += strips(look.activity, start_ns, columns=columns, traced=look.traced)
        self.heat.add(look.clip, look.activity, look.traced.view.watched)

    def timeline(
        self, rows: Sequence[tuple[str, Sequence[Span]]], *, title: str, truth: Sequence[Span] | None = None
    ) -> bytes:
        """Draw the clips with a row of events for each (name, events), as PNG."""
        return timeline(self.strips, rows, title=title, truth=truth)


@dataclass(slots=True)
class FleetPictures:
    """The same of several cameras, by their ids."""

    cameras: dict[str, CameraPictures] = field(default_factory=dict)

    def add(self, look: Look) -> None:
        """Add a clip that is later than all before it of its camera."""
        self.cameras.setdefault(look.clip.camera, CameraPictures()).add(look)
