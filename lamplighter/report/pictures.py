"""Draws what was measured and found: timelines, precision-recall curves and heat maps. Values in, PNG out.

Pictures are 1200 pixels wide, in colours that colour-blind people tell apart. The only door to matplotlib.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import ListedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from lamplighter.report.strips import COLUMNS, Strip
from pipeline.activity import Activity
from pipeline.span import NS, Span, iso

Point = tuple[float | None, float | None]
"""Precision and recall, 0 to 1; None where there is none: no event was found, or there was none to find."""

WIDTH = 1200  # pixels of every picture
_DPI = 100
_LEFT, _TOP = 190, 62  # pixels beside and above the axes
_RIGHT = WIDTH - _LEFT - COLUMNS
# Okabe and Ito, "Color Universal Design" (2008): told apart by people with every kind of colour blindness.
_BLUE, _ORANGE, _GREEN, _RED, _PURPLE = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7"
_ROWS = (_BLUE, _RED, _GREEN, _PURPLE, _ORANGE)
_MARKS = (("o", _GREEN, 21), ("s", _ORANGE, 13), ("*", _RED, 10))  # smaller and smaller: they often lie on one place
_INK, _FAINT = "#222222", "#767676"
_HOLE: dict[str, Any] = {"facecolor": "#ffffff", "edgecolor": "#8a8a8a", "hatch": "xxxx", "linewidth": 0}
_LOW = -3.0  # a score: by chance a thousand times a day
_THRESHOLD: dict[str, Any] = {"color": _INK, "linewidth": 2}
_STEPS_S = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
    *(3600, 2 * 3600, 3 * 3600, 6 * 3600, 12 * 3600, *(day * 86_400 for day in (1, 2, 5, 10, 30, 90, 365))),
)


@dataclass(frozen=True, slots=True, eq=False)
class Warmth:
    """The motion of each cell summed over frames, for a heat map of many clips: `a + b` for pictures of one size.

    total: int64 (R, C), the sum of shares (255 = all of the cell); frames: over how many; edges in pixels: `rows`
    (R + 1,) from the top, `columns` (C + 1,) from the left.
    """

    total: NDArray[np.int64]
    frames: int
    rows: NDArray[np.float64]
    columns: NDArray[np.float64]

    def fits(self, other: Warmth) -> bool:
        """Tell whether both have the same cells."""
        return np.array_equal(self.rows, other.rows) and np.array_equal(self.columns, other.columns)

    def __add__(self, other: Warmth) -> Warmth:
        if not self.fits(other):
            raise ValueError("wanted activities of one size of picture: cells of different clips lie differently")
        return Warmth(self.total + other.total, self.frames + other.frames, self.rows, self.columns)


def warmth(activity: Activity) -> Warmth:
    """Sum the frames whose background was known; all of them when none was."""
    frames = len(activity.share)
    first = activity.cold if activity.cold < frames else 0
    total = activity.share[first:].sum(0, dtype=np.int64)
    down, right = (edges.astype(np.float64) for edges in activity.layout.edges())
    return Warmth(total, frames - first, down, right)


def timeline(
    strips: Sequence[Strip],
    rows: Sequence[tuple[str, Sequence[Span]]],
    *,
    title: str,
    truth: Sequence[Span] | None = None,
) -> bytes:
    """Draw one camera's clips, one after the other in order of time, with a row of events for each (name, events).

    Where every strip has scores they are drawn above the rest, with the threshold. `truth`: the labelled times,
    drawn as a row of their own. Cold frames are shaded, holes in a clip are hatched, long
    times without footage left out.
    Raises ValueError without a strip.
    """
    if not strips:
        raise ValueError("wanted at least one clip to draw, got none")
    parts = sorted(strips, key=lambda one: one.start_ns)
    scale = _Scale(parts)
    lines = [(name, scale.bars(found), len(found), _ROWS[at % len(_ROWS)]) for at, (name, found) in enumerate(rows)]
    true = scale.bars(truth or [])
    lines = lines if truth is None else [("true (labels)", true, len(truth), _INK), *lines]
    curves = _curves(parts)
    heights = (*(curve.height for curve in curves), 44 * max(1, len(lines)))
    figure = _figure(_TOP + sum(heights) + 16 * len(curves) + 70)
    panels, top = [], _TOP
    for height in heights:
        panels.append(_axes(figure, left=_LEFT, top=top, width=COLUMNS, height=height))
        top += height + 16
    cold = scale.bars([Span(part.start_ns, part.start_ns + part.cold_ns) for part in parts if part.cold_ns])
    for axes in panels:
        axes.broken_barh(scale.breaks, (0, 1), transform=axes.get_xaxis_transform(), facecolors="#bdbdbd", zorder=4)
        axes.broken_barh(scale.holes, (0, 1), transform=axes.get_xaxis_transform(), **_HOLE, zorder=4)
        axes.broken_barh(
            cold, (0, 1), transform=axes.get_xaxis_transform(),
            facecolors="#ececec", edgecolors="#b5b5b5", hatch="///", linewidth=0, zorder=0,
        )  # fmt: skip
        axes.set_xlim(0, scale.length)
        _plain(axes)
    for axes, curve in zip(panels, curves, strict=False):
        axes.broken_barh(true, (0, 1), transform=axes.get_xaxis_transform(), facecolors="#f0e442", alpha=0.35, zorder=1)
        curve.draw(axes, parts, scale)
    _rows(panels[-1], lines)
    ticks = scale.ticks()
    panels[-1].set_xticks([at for at, _ in ticks], [label for _, label in ticks], fontsize=10)
    for axes in panels[:-1]:
        axes.set_xticks([at for at, _ in ticks])
    panels[-1].set_xlabel("time (UTC)" if scale.dated else "time from the first frame", fontsize=10.5, color=_INK)
    _legend(figure, cold=bool(cold), scale=scale, truth=bool(true), score=len(curves) > 2)
    _title(figure, title, left=24 / WIDTH)
    return _png(figure)


def curve(
    points: Sequence[Point],
    *,
    front: Sequence[Point],
    marks: Mapping[str, Point],
    title: str,
) -> bytes:
    """Draw settings by precision and recall: all tried, the Pareto front, and up to three that have a name, as PNG.

    A point without precision or recall is left out; the legend says so of those with a name.
    """
    figure = _figure(720)
    axes = figure.add_axes((0.07, 0.1, 0.51, 0.8))
    for f1 in (0.2, 0.4, 0.6, 0.8):
        recall = np.linspace(f1 / (2 - f1), 1, 200)
        axes.plot(recall, f1 * recall / (2 * recall - f1), color="#d0d0d0", linewidth=1, zorder=1)
        axes.text(1.01, f1 / (2 - f1), f"F1 {f1}", color=_FAINT, fontsize=9, va="center")
    known = _finite(points)
    axes.plot(*known.T[::-1], ".", color="#a8a8a8", markersize=9, mew=0, label=f"{len(known)} settings tried")
    edge = _finite(front)
    edge = edge[np.lexsort((-edge[:, 0], edge[:, 1]))]
    axes.plot(*edge.T[::-1], "o-", color=_BLUE, markersize=5, label=f"Pareto front, {len(edge)} of them")
    for (name, point), (marker, colour, size) in zip(marks.items(), _MARKS, strict=False):
        at = _finite([point])
        said = f"precision {at[0, 0]:.2f}, recall {at[0, 1]:.2f}" if len(at) else "no such point"
        label = f"{_printable(name)}: {said}"
        axes.plot(*at.T[::-1], marker, color=colour, markersize=size, mec="black", label=label, clip_on=False)
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=np.arange(0, 1.01, 0.1), yticks=np.arange(0, 1.01, 0.1))
    axes.set_xlabel("recall: share of true events that were found", fontsize=11, color=_INK)
    axes.set_ylabel("precision: share of found events that are true", fontsize=11, color=_INK)
    _plain(axes)
    axes.grid(color="#efefef")
    axes.set_axisbelow(True)
    _title(figure, title, left=0.07)
    axes.legend(loc="upper left", bbox_to_anchor=(1.16, 1), frameon=False, fontsize=11, labelspacing=1, borderaxespad=0)
    return _png(figure)


def heat(
    activity: Activity | Warmth,
    still: NDArray[np.uint8] | None,
    *,
    title: str,
    watched: NDArray[np.bool_] | None = None,
    measure: str = "mean share of the cell in motion (%)",
    note: str = "",
) -> bytes:
    """Draw how much each cell moved (mean share over the frames) over `still`, uint8 (H, W) luma, as PNG.

    `watched`: bool (R, C), the cells that count; their outline is drawn and the others are hatched. measure, note: what
    the colours stand for and what they are of, where they are no mean over frames.
    Raises ValueError when the still or `watched` has another size than the activity.
    """
    warm = warmth(activity) if isinstance(activity, Activity) else activity
    width, height = round(float(warm.columns[-1])), round(float(warm.rows[-1]))
    if still is not None and still.shape != (height, width):
        raise ValueError(f"wanted a still of {width} x {height} pixels, got {still.shape[1]} x {still.shape[0]}")
    if watched is not None and watched.shape != warm.total.shape:
        raise ValueError(f"wanted watched cells of shape {warm.total.shape}, got {watched.shape}")
    room = WIDTH - 150
    tall = min(900, max(120, round(room * height / width)))
    wide = min(room, round(tall * width / height))
    figure = _figure(tall + _TOP + 62)
    axes = _axes(figure, left=24, top=_TOP, width=wide, height=tall)
    extent = (0, width, height, 0)
    ground = np.full((1, 1), 200, np.uint8) if still is None else still
    axes.imshow(ground, cmap="gray", vmin=0, vmax=255, extent=extent, aspect="auto")
    mean = 100 * warm.total / (255 * max(1, warm.frames))
    top = float(mean.max() if watched is None or not watched.any() else mean[watched].max()) or 1.0
    # The square root shows a path that is used now and then beside a road that never rests.
    scale = PowerNorm(0.5, 0, top, clip=True)
    colours = np.asarray(colormaps["inferno"](0.25 + 0.75 * scale(mean), bytes=True))
    colours[..., 3] = 217 * scale(mean)
    at = (
        np.searchsorted(warm.rows, np.arange(height) + 0.5) - 1,
        np.searchsorted(warm.columns, np.arange(width) + 0.5) - 1,
    )
    axes.imshow(colours[np.ix_(*at)], extent=extent, aspect="auto", interpolation="nearest")
    note = (
        f"{note or f'{warm.frames:,} frames'}; {mean.shape[1]} x {mean.shape[0]} cells over {width} x {height} pixels"
    )
    if watched is not None and not watched.all():
        _zones(axes, warm, watched)
        note += f"; {int(watched.sum())} cells are watched (outlined), the hatched ones are not"
    axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    bar = _axes(figure, left=24 + wide + 20, top=_TOP, width=22, height=tall)
    shades = ListedColormap(colormaps["inferno"](np.linspace(0.25, 1, 256)))
    ticks = [top * (part / 5) ** 2 for part in range(6)]
    drawn = figure.colorbar(ScalarMappable(scale, shades), cax=bar, ticks=ticks, format="{x:.2g}")
    drawn.set_label(measure, fontsize=11, color=_INK)
    figure.text(24 / WIDTH, 22 / (tall + _TOP + 62), note, fontsize=10.5, color=_FAINT)
    _title(figure, title, left=24 / WIDTH)
    return _png(figure)


class _Scale:
    """Where instants stand on a time axis of clips one after the other, in drawn seconds from its left end.

    A time without footage longer than a fiftieth of all footage is drawn narrow: between two clips as a break, inside
    one as a hole, which is marked however short it is. squeezed: some hole is drawn narrower than it is.
    """

    def __init__(self, parts: Sequence[Strip]) -> None:
        self.parts = parts
        self.dated = parts[0].start_ns > 0
        footage = sum(part.length_ns for part in parts) / NS
        narrow = footage * min(0.02, 0.2 / len(parts))
        self.breaks: list[tuple[float, float]] = []
        self.holes: list[tuple[float, float]] = []
        self.squeezed = False
        self.starts = [0.0]
        for before, part in pairwise(parts):
            end = self.starts[-1] + before.length_ns / NS
            gap = (part.start_ns - before.start_ns - before.length_ns) / NS
            if part.goes_on:
                self.holes.append((end, min(gap, narrow)))
                self.squeezed |= gap > narrow
            elif gap > narrow:
                self.breaks.append((end, narrow))
            self.starts.append(end + max(0.0, min(gap, narrow)))
        self.length = self.starts[-1] + parts[-1].length_ns / NS

    def bars(self, spans: Sequence[Span]) -> list[tuple[float, float]]:
        """Return (left, width) of what of the spans lies in the clips, at least two pixels wide."""
        if not spans:
            return []
        begin, end = np.array([(span.start_ns, span.end_ns) for span in spans], np.int64).T
        found = []
        for part, left in zip(self.parts, self.starts, strict=True):
            low = np.maximum(begin, part.start_ns)
            high = np.minimum(end, part.start_ns + part.length_ns)
            inside = low < high
            at = left + (low[inside] - part.start_ns) / NS
            width = np.maximum((high - low)[inside] / NS, 2 * self.length / COLUMNS)
            found += list(zip(at.tolist(), width.tolist(), strict=True))
        return found

    def ticks(self) -> list[tuple[float, str]]:
        """Return at most a dozen (place, label)."""
        step = next((step for step in _STEPS_S if self.length / step <= 10), _STEPS_S[-1])
        ticks = []
        for part, left in zip(self.parts, self.starts, strict=True):
            if self.breaks or self.squeezed:
                ticks.append((0, left, part.start_ns, part.start_ns % (60 * NS) != 0))
            step_ns = round(step * NS)
            first = -(-part.start_ns // step_ns) * step_ns
            count = (part.start_ns + part.length_ns - first) // step_ns + 1
            whole = (first + n * step_ns for n in range(count))
            ticks += [(1, left + (t - part.start_ns) / NS, t, step < 60) for t in whole]
        kept: list[tuple[float, int, bool]] = []
        for _, at, t, fine in sorted(ticks):
            if all(abs(at - other) >= self.length * 0.075 for other, _, _ in kept):
                kept.append((at, t, fine))
        day, labelled = "", []
        for at, t, fine in sorted(kept):
            decimals = f".{t % NS:09d}"[: 1 + math.ceil(-math.log10(step))] if step < 1 else ""
            if not self.dated:
                labelled.append((at, f"{t // (3600 * NS)}{iso(t)[13:19]}{decimals}"))
                continue
            label = iso(t)[11 : 19 if fine else 16] + decimals
            date = iso(t)[:10]
            labelled.append((at, f"{label}\n{date}" if date != day else label))
            day = date
        return labelled


@dataclass(frozen=True, slots=True)
class _Curve:
    """One panel of a timeline: what of each strip it shows and how often, from `low` up to `high` at least."""

    name: str
    text: str
    colour: str
    height: int
    times: int
    low: float
    high: float

    def draw(self, axes: Axes, parts: Sequence[Strip], scale: _Scale) -> None:
        """Draw one curve for all clips, at the bottom between them: thousands of curves would take minutes."""
        edges = np.concatenate([left + part.edges for part, left in zip(parts, scale.starts, strict=True)])
        steps = self.times * np.concatenate([np.append(getattr(part, self.name), 0) for part in parts])[:-1]
        steps[np.cumsum([len(part.edges) for part in parts[:-1]], dtype=np.int64) - 1] = self.low
        axes.stairs(steps, edges, baseline=self.low, fill=True, color=self.colour, zorder=2, linewidth=0.6)
        axes.set_ylim(self.low, max(self.high, self.low + 1.04 * (float(steps.max()) - self.low)))
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.grid(axis="y", color="#dddddd", linewidth=0.8, zorder=1)
        axes.tick_params(labelbottom=False)
        axes.set_ylabel(self.text, fontsize=10.5, color=_INK, rotation=0, ha="right", va="center")
        axes.yaxis.set_label_coords(-46 / COLUMNS, 0.5)
        if self.name == "score":
            ends = [(left, left + part.length_ns / NS) for part, left in zip(parts, scale.starts, strict=True)]
            axes.hlines([part.threshold for part in parts], *zip(*ends, strict=True), **_THRESHOLD, zorder=3)


def _curves(parts: Sequence[Strip]) -> list[_Curve]:
    # A scale of less than a hundredth of the picture would blow noise up to look like motion.
    curves = [
        _Curve("peak", "largest cell\nin motion (%)", "#4d4d4d", 150, 100, 0, 104),
        _Curve("area", "moving area\n(% of picture)", "#56b4e9", 110, 100, 0, 1),
    ]
    if any(part.score is None for part in parts):
        return curves
    low = min(_LOW, *(math.floor(part.threshold) - 1.0 for part in parts))
    return [_Curve("score", "score: 0 is once\na day by chance", "#8c6bb1", 130, 1, low, 2), *curves]


def _rows(axes: Axes, lines: Sequence[tuple[str, list[tuple[float, float]], int, str]]) -> None:
    for at, (_, bars, _, colour) in enumerate(lines):
        edge = 0.4 if len(bars) < 300 else 0  # of many narrow bars the edges would be all there is
        axes.broken_barh(bars, (at - 0.3, 0.6), facecolors=colour, edgecolors="white", linewidth=edge, zorder=2)
        axes.axhline(at, color="#d5d5d5", linewidth=0.8, zorder=1)
    names = [
        f"{textwrap.shorten(_printable(name), 24, placeholder='…')}\n{count:,} {'event' if count == 1 else 'events'}"
        for name, _, count, _ in lines
    ]
    axes.set(ylim=(max(1, len(lines)) - 0.5, -0.5))
    axes.set_yticks(range(len(lines)), names, fontsize=10)
    axes.tick_params(axis="y", length=0, pad=14)
    for text, (_, _, _, colour) in zip(axes.get_yticklabels(), lines, strict=True):
        text.set_color(colour)


def _legend(figure: Figure, *, cold: bool, scale: _Scale, truth: bool, score: bool) -> None:
    hole = f"no frame inside a clip{' (not to scale)' if scale.squeezed else ''}"
    entries = [
        (cold, Patch(facecolor="#ececec", edgecolor="#b5b5b5", hatch="///", label="background not known yet")),
        (bool(scale.holes), Patch(**_HOLE, label=hole)),
        (bool(scale.breaks), Patch(facecolor="#bdbdbd", label="no footage (not to scale)")),
        (truth, Patch(facecolor="#f0e442", alpha=0.35, label="labelled as true")),
        (score, Line2D([], [], **_THRESHOLD, label="threshold")),
    ]
    shown = [patch for wanted, patch in entries if wanted]
    if shown:
        place = (1 - _RIGHT / WIDTH, 1 - 34 / figure.bbox.height)
        figure.legend(
            handles=shown, loc="upper right", bbox_to_anchor=place, ncols=5, frameon=False, fontsize=10, borderaxespad=0
        )


def _zones(axes: Axes, warm: Warmth, watched: NDArray[np.bool_]) -> None:
    """Hatch the cells that are not watched and draw a line around those that are."""
    down, right = warm.rows, warm.columns
    boxes = [
        [(right[c], down[r]), (right[c + 1], down[r]), (right[c + 1], down[r + 1]), (right[c], down[r + 1])]
        for r, c in zip(*np.nonzero(~watched), strict=True)
    ]
    axes.add_collection(
        PolyCollection(boxes, facecolors=(0, 0, 0, 0.35), edgecolors=(1, 1, 1, 0.45), hatch="//", linewidths=0)
    )
    framed = np.pad(watched, 1)
    lines = [
        ((right[c], down[r]), (right[c], down[r + 1]))
        for r, c in zip(*np.nonzero(framed[1:-1, 1:] != framed[1:-1, :-1]), strict=True)
    ] + [
        ((right[c], down[r]), (right[c + 1], down[r]))
        for r, c in zip(*np.nonzero(framed[1:, 1:-1] != framed[:-1, 1:-1]), strict=True)
    ]
    for colour, width in (("black", 5), ("#56b4e9", 2.5)):
        axes.add_collection(LineCollection(lines, colors=colour, linewidths=width, capstyle="projecting"))


def _finite(points: Sequence[Point]) -> NDArray[np.float64]:
    known = np.array(points, np.float64).reshape(-1, 2)
    return known[np.isfinite(known).all(1)]


def _figure(height: int) -> Figure:
    figure = Figure(figsize=(WIDTH / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _axes(figure: Figure, *, left: int, top: int, width: int, height: int) -> Axes:
    """Add axes by their place in pixels from the top left corner."""
    tall = figure.get_figheight() * _DPI
    return figure.add_axes((left / WIDTH, 1 - (top + height) / tall, width / WIDTH, height / tall))


def _plain(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=10, colors=_INK)


def _title(figure: Figure, title: str, *, left: float) -> None:
    text = textwrap.shorten(_printable(title), 100, placeholder="…")
    figure.text(left, 1 - 12 / figure.bbox.height, text, fontsize=14, fontweight="bold", color=_INK, va="top")


def _printable(text: str) -> str:
    """Return what the font has of a text, the rest as "?": it would be a warning and an empty box."""
    known = _glyphs()
    return "".join("\\$" if char == "$" else char if ord(char) in known else "?" for char in text)


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    fonts = [get_font(findfont(FontProperties(weight=weight))).get_charmap() for weight in ("normal", "bold")]
    return frozenset(set(fonts[0]) & set(fonts[1]))


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=_DPI)
    return out.getvalue()
