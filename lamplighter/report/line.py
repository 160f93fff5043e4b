"""A line of time for pages: footage one stretch after the other, what happened on it as paths of SVG, numbers alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

from pipeline.span import NS, Span, iso, merge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]

WIDTH: Final = 1000
"""How long a line is, in units of its drawing, and how many columns it has."""
_PARTS: Final = 200
_GAP: Final = 0.012  # of the line, at most, for a time without footage
_THIN: Final = 1.5
_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_APART: Final = 118.0  # between two labels
LOW, HIGH = -4.0, 4.0
"""Scores that the lowest and the highest bar stand for."""


class Stretch(NamedTuple):
    """Footage from `start_ns` to `end_ns`, drawn from `left` to `right`."""

    start_ns: int
    end_ns: int
    left: float
    right: float


@dataclass(frozen=True, slots=True)
class Line:
    """Where instants stand on a line; a time without footage is narrow, however long it was."""

    stretches: tuple[Stretch, ...]

    @classmethod
    def of(cls, recorded: Iterable[Span]) -> Line:
        """Return the line of some footage, at least one span."""
        spans, gap_ns = merge(recorded), 0
        while len(spans) > _PARTS:
            gap_ns = 2 * gap_ns or NS
            spans = merge(spans, gap_ns)
        total, most = sum(span.duration_ns for span in spans), min(_GAP, 0.2 / len(spans)) * WIDTH
        gaps = [0.0, *(most for _ in spans[1:])]
        unit, at, found = (WIDTH - sum(gaps)) / total, 0.0, []
        for span, gap in zip(spans, gaps, strict=True):
            left, at = at + gap, at + gap + span.duration_ns * unit
            found.append(Stretch(span.start_ns, span.end_ns, left, at))
        return cls(tuple(found))

    def x(self, times_ns: Ints) -> NDArray[np.float64]:
        """Return where instants stand: int64 (n,) to float64 (n,), 0 to `WIDTH`; between stretches in the gap."""
        ends = [(t, x) for one in self.stretches for t, x in ((one.start_ns, one.left), (one.end_ns, one.right))]
        first = self.stretches[0].start_ns
        at, x = np.array([t - first for t, _ in ends], np.float64), np.array([x for _, x in ends])
        found: NDArray[np.float64] = np.interp((times_ns - first).astype(np.float64), at, x)
        return found

    def column(self, times_ns: Ints) -> Ints:
        """Return in which column instants lie: int64 (n,) to int64 (n,), 0 to `WIDTH` - 1."""
        return np.minimum(self.x(times_ns).astype(np.int64), WIDTH - 1)

    def bars(self, spans: Sequence[tuple[int, int]], *, top: float, height: float) -> str:
        """Return a path with a bar for each (start, end) in ns, in order; bars that would touch are one."""
        if not len(spans):
            return ""
        left, right = self.x(np.array(spans, np.int64).reshape(-1, 2).T.ravel()).reshape(2, -1)
        right = np.maximum(right, left + _THIN)
        head = np.append(True, left[1:] > np.maximum.accumulate(right)[:-1] + 0.3)
        ends = np.maximum.reduceat(right, np.flatnonzero(head))
        pairs = zip(left[head].tolist(), ends.tolist(), strict=True)
        return "".join(f"M{a:.1f} {top:g}H{b:.1f}v{height:g}H{a:.1f}z" for a, b in pairs)

    def curve(self, scores: Sequence[float], *, height: float) -> str:
        """Return a path with a bar for each column that has a score, from `LOW` up to `HIGH`."""
        told, before = [], -2
        for column, score in enumerate(self._held(scores)):
            if math.isnan(score):
                continue
            y = height * (1 - min(1.0, max(0.004, (score - LOW) / (HIGH - LOW))))
            if column != before + 1:
                told.append(f"{'' if before < 0 else f'V{height:g}z'}M{column} {height:g}")
            told.append(f"V{y:.1f}h1")
            before = column
        return "".join(told) + (f"V{height:g}z" if told else "")

    def _held(self, scores: Sequence[float]) -> list[float]:
        """Return the scores with each going on to the next one of its stretch: a moment may be many columns wide."""
        found = list(scores)
        for one in self.stretches:
            last = math.nan
            for column in range(int(one.left), min(math.ceil(one.right), len(found))):
                last = last if math.isnan(found[column]) else found[column]
                found[column] = last
        return found

    def ticks(self) -> list[tuple[float, str, str]]:
        """Return (x, time, date) of instants that have room for a label, UTC; the date where it is another one."""
        first, last = self.stretches[0], self.stretches[-1]
        span_s = sum(one.end_ns - one.start_ns for one in self.stretches) / NS
        step_ns = next((s for s in _STEPS_S if span_s / s <= WIDTH / _APART), _STEPS_S[-1]) * NS
        wanted = [(0, first.left, first.start_ns)]
        for one in self.stretches:
            wanted.append((1, one.left, one.start_ns))
            whole = range(-(-one.start_ns // step_ns) * step_ns, one.end_ns, step_ns)
            wanted += [(2, x, t) for t, x in zip(whole, self.x(np.array(whole, np.int64)).tolist(), strict=True)]
        kept: list[tuple[float, int]] = []
        for _, x, t in sorted(wanted):
            if x <= last.right - 70 and all(abs(x - other) >= _APART for other, _ in kept):
                kept.append((x, t))
        told, day = [], ""
        for x, t in sorted(kept):
            date, time = iso(t - t % NS).removesuffix("Z").split("T")
            told.append((x, time, date if date != day else ""))
            day = date
        return told
