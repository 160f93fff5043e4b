"""A page of strips for the ten worst misses and false alarms: frames, score over time, threshold, events and truth.

Of real footage: looked at, and never kept beside the results that are published.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.material import Job
from benchmarks.verdicts import Said, at_point, threshold
from pipeline.span import NS, Span

_WORST = 10
_FRAMES = 3  # of the stretch: where it begins, its middle, its end
U8 = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Fault:
    """A visit that no event finds, or an event that finds none."""

    said: Said
    span: Span
    is_miss: bool

    @property
    def shown(self) -> list[int]:
        """Which frames are shown."""
        times = self.said.clip.times_ns
        at = np.linspace(self.span.start_ns, self.span.end_ns - 1, 2 * _FRAMES + 1)[1::2]
        frames: list[int] = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 2).tolist()
        return frames


def worst(said: Sequence[Said]) -> list[Fault]:
    """Return the longest misses and the longest false alarms, half of each where there are as many, no kind thrice."""
    missed = [Fault(one, span, True) for one in said for span in one.missed]
    false = [Fault(one, span, False) for one in said if one.clip.truth.visible is not None for span in one.false_events]
    chosen: list[Fault] = []
    for faults, most in ((missed, _WORST // 2), (false, _WORST)):
        kinds: list[str] = []
        for fault in sorted(faults, key=lambda fault: -fault.span.duration_ns):
            kind = fault.said.clip.truth.kind
            if len(chosen) < most and kinds.count(kind) < 2:
                kinds.append(kind)
                chosen.append(fault)
    return chosen


def page(said: Sequence[Said], jobs: Sequence[Job], path: Path) -> None:
    """Draw the ten worst to `path` (PNG); the clips are made again for their frames."""
    faults = worst(said)
    if not faults:
        return
    pictures = _pictures(faults, jobs)
    mpl.use("Agg")
    figure = Figure(figsize=(13, 1.9 * len(faults)), layout="constrained")
    grid = figure.subplots(len(faults), _FRAMES + 1, width_ratios=[1] * _FRAMES + [2.2], squeeze=False)
    for fault, row in zip(faults, grid, strict=True):
        for axes, frame in zip(row[:_FRAMES], fault.shown, strict=True):
            axes.set_axis_off()
            if (picture := pictures.get((fault.said.clip.truth.key, frame))) is not None:
                axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
        row[0].set_title(
            f"{'missed' if fault.is_miss else 'false'}: {fault.said.clip.truth.key}", loc="left", fontsize=8
        )
        _course(row[-1], fault)
    figure.savefig(path, dpi=90)


def _pictures(faults: Sequence[Fault], jobs: Sequence[Job]) -> dict[tuple[str, int], U8]:
    wanted: dict[str, set[int]] = {}
    for fault in faults:
        wanted.setdefault(fault.said.clip.truth.key, set()).update(fault.shown)
    found: dict[tuple[str, int], U8] = {}
    for job in jobs:
        if not any(key.startswith(job.prefix) for key in wanted):
            continue
        for clip in job.clips():
            frames = wanted.get(clip.truth.key)
            if frames:
                kept: dict[int, U8] = clip.opened(partial(_kept, frames))
                found |= {(clip.truth.key, number): plane for number, plane in kept.items()}
    return found


def _kept(frames: set[int], planes: Iterable[tuple[int, U8]], _: Fraction) -> dict[int, U8]:
    return {number: plane.copy() for number, (_, plane) in enumerate(planes) if number in frames}


def _course(axes: Axes, fault: Fault) -> None:
    """Draw the score over time, the threshold, what was said and what was there."""
    said, clip = fault.said, fault.said.clip
    seconds = clip.times_ns[:-1] / NS
    if said.scores is not None:
        axes.plot(seconds, said.scores, color="#4477aa", linewidth=0.7)
        axes.axhline(threshold(at_point(None)), color="black", linewidth=0.8, linestyle=":")
    low, high = axes.get_ylim()
    for spans, colour, bottom in ((clip.visits, "#228833", 0.0), (said.events, "#cc3311", 0.08)):
        for span in spans:
            axes.axvspan(span.start_ns / NS, span.end_ns / NS, bottom, bottom + 0.07, color=colour)
    axes.axvspan(fault.span.start_ns / NS, fault.span.end_ns / NS, color="#ffee99", zorder=0)
    axes.set_ylim(low, high)
    axes.tick_params(labelsize=7)
    axes.set_xlabel("s (green: somebody is visible, red: events, dotted: threshold)", fontsize=7)
