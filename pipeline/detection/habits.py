"""A camera's habits: what each of its cells usually shows, learnt from stored activity, by day and night and by hour.

What is usual somewhere is of two kinds. Steadily, a cell shows less than its upper quartile. In gusts, many cells show
much at once that are still at other times: wind, rain, headlights. A visitor is neither: few cells at a time, one after
the other. What travels over the ground is therefore left out of what is learnt.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeline.activity import packed
from pipeline.detection.gather import STEPS, WHOLE, Gathered, gather
from pipeline.detection.operating import LEVELS, Operating
from pipeline.detection.regions import travelling
from pipeline.detection.usual import FLEET, UNREST, Usual
from pipeline.layout import Layout
from pipeline.span import Span

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    from pipeline.activity import Activity

    Counts: TypeAlias = NDArray[np.int64]
    F32: TypeAlias = NDArray[np.float32]
    Powers: TypeAlias = NDArray[np.uint16]

HABITS_VERSION: Final = 1
"""Of the document."""

_EDGES = np.array([0, *(round(2 ** (half / 2)) for half in range(4, 27)), 9 * WHOLE**2])  # powers: two to a doubling
_BIN = np.searchsorted(_EDGES, (np.arange(3 * WHOLE * STEPS + 1) / STEPS) ** 2).astype(np.uint8)  # of each amplitude
_STEADY, _GUSTS = 0.75, 0.98  # of the time a cell shows less: steadily, and but for a minute of an hour
_TRAVELS = 0.15  # of the picture's longer side: what goes so far is a visitor ...
_COMPACT = 0.15  # ... unless it covers more of the picture than this
_MOVES = 4 * STEPS  # amplitude from which something is followed
_LASTS = 6  # moments between two chance events: 2 s, as events are joined
_PLAIN = 4.0  # strength beyond which nothing is taken for chance: a visitor who stands
_HOUR_S = 3600.0
_NEAR = {0: 1.0, 1: 0.5}  # how much the same hour of the day, and its neighbours, tell of this one; others ...
_FAR = 0.1
_KNOWN_H = 0.5  # hours of past weigh as much as none


@dataclass(frozen=True, slots=True, eq=False)
class Habits:
    """What one camera usually shows, in pictures of one layout.

    span: the past it was learnt from, of `clips` clips. slots: int64 (S, 2), night (0 or 1) and the hour of the day
    (UTC); footage_s: float64 (S,), how much was seen in each. steady, gusts: uint16 (S, C, R), the powers that cells
    show less than for most of that time; unrest: float64 (S,), see `Gathered`, their mean over its clips. chance: int64
    (2, L), by day and by night, how many events were nobody's and at least as strong as each of the `LEVELS`.
    """

    layout: Layout
    span: Span
    clips: int
    slots: Counts
    footage_s: NDArray[np.float64]
    steady: Powers
    gusts: Powers
    unrest: NDArray[np.float64]
    chance: Counts

    def __post_init__(self) -> None:
        count, cells = len(self.slots), (self.layout.columns, self.layout.rows)
        shapes = {
            "slots": (count, 2),
            "footage_s": (count,),
            "steady": (count, *cells),
            "gusts": (count, *cells),
            "unrest": (count,),
            "chance": (2, len(LEVELS)),
        }
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != shape:
                raise ValueError(f"{name} is {shape}, got {array.shape}")
            array.setflags(write=False)
        if (self.slots < 0).any() or (self.slots >= (2, 24)).any() or (self.footage_s <= 0).any():
            raise ValueError("a slot is a half and an hour of the day, with some footage")

    def usual(self, *, night: bool, hour: int) -> Usual:
        """Return what is usual in an hour of the day (UTC), by day or by night; hours near it tell most of it."""
        same = np.flatnonzero(self.slots[:, 0] == night)
        if not len(same):
            return FLEET
        apart = abs(self.slots[same, 1] - hour)
        apart = np.minimum(apart, 24 - apart)
        hours = self.footage_s[same] / _HOUR_S
        weight = hours * np.array([_NEAR.get(int(n), _FAR) for n in apart])
        steady = np.tensordot(weight / weight.sum(), self.steady[same].astype(np.float32), 1)
        sure = float(weight.sum() / (weight.sum() + _KNOWN_H))
        gusts = self.gusts[same].max(0)  # of any hour: wind does not keep to its own
        return Usual(
            steady=(sure * steady).astype(np.float32),
            gusts=(sure * gusts).astype(np.float32),
            # A day of it weighs as much as all cameras: few hours do not show the gusts of a calm place.
            unrest=float((UNREST[0] + (hours * self.unrest[same]).sum() / 24) / (1 + hours.sum() / 24)),
            operating=Operating.known(self.chance[int(night)], float(hours.sum()) / 24),
            hours=float(hours.sum()),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as plain arrays."""
        layout = self.layout
        return {
            "version": np.array(HABITS_VERSION),
            "layout": np.array([layout.width, layout.height, layout.side, layout.rows, layout.columns]),
            "span": np.array([self.span.start_ns, self.span.end_ns]),
            "clips": np.array(self.clips),
            "slots": self.slots,
            "footage_s": self.footage_s,
            "steady": self.steady,
            "gusts": self.gusts,
            "unrest": self.unrest,
            "chance": self.chance,
        }

    def to_bytes(self) -> bytes:
        """Return the arrays as a compressed .npz; the same habits give the same bytes."""
        return packed({name: np.asarray(array, order="C") for name, array in self.arrays().items()})

    @classmethod
    def from_bytes(cls, data: bytes) -> Habits:
        """Read what `to_bytes` wrote. Raises ValueError when it is anything else."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                found = {name: stored[name] for name in stored.files}
            _check(int(found.pop("version")))
            layout, span = Layout(*found.pop("layout").tolist()), Span(*found.pop("span").tolist())
            return cls(layout, span, int(found.pop("clips")), **found)
        except Exception as error:  # zipfile and NumPy raise what they like for damaged bytes
            raise ValueError(f"wanted a camera's habits (.npz), got something else: {error}") from error


def _check(version: int) -> None:
    if version != HABITS_VERSION:
        raise ValueError(f"wanted version {HABITS_VERSION}, got {version}")


@dataclass(frozen=True, slots=True)
class Past:
    """One clip of a camera's past: its activity, its span, and whether it was night."""

    activity: Activity
    span: Span
    night: bool

    @property
    def slot(self) -> tuple[int, int]:
        """The half of the day and the hour (UTC) it begins in."""
        return int(self.night), self.span.start_ns // (3600 * 10**9) % 24


@dataclass(slots=True)
class Learner:
    """Learns the habits of one camera: every clip of its past is shown twice, in any order.

    What cells usually show is counted at first (`look`), then what still seems an event (`look_again`).
    """

    layout: Layout
    seen: dict[tuple[int, int], Counts] = field(default_factory=dict)  # of each slot int64 (cells, bins)
    footage_s: dict[tuple[int, int], float] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    unrest: dict[tuple[int, int], list[float]] = field(default_factory=dict)
    chance: Counts = field(default_factory=lambda: np.zeros((2, len(LEVELS)), np.int64))

    def look(self, past: Past) -> None:
        """Count what each cell shows, where nobody travels."""
        gathered = gather(past.activity)
        brief = gathered.brief[:, :-1, :-1]
        cells = brief[0].size if len(brief) else self.layout.columns * self.layout.rows
        flat = np.arange(cells).reshape(brief.shape[1:]) * len(_EDGES) + _BIN[brief]
        counts = np.bincount(flat[~_visits(gathered)], minlength=cells * len(_EDGES)).reshape(-1, len(_EDGES))
        counts[:, 0] += len(gathered.first) - len(gathered.at)
        slot = past.slot
        self.seen[slot] = self.seen.get(slot, 0) + counts
        self.footage_s[slot] = self.footage_s.get(slot, 0.0) + past.span.duration_ns / 1e9
        self.spans.append(past.span)
        if gathered.unrest is not None:
            self.unrest.setdefault(slot, []).append(gathered.unrest)

    def known(self) -> Habits:
        """Return what is known so far."""
        slots = sorted(self.seen)
        cells = (self.layout.columns, self.layout.rows)
        counts = np.stack([self.seen[slot] for slot in slots])  # (S, cells, bins)
        below = np.cumsum(counts, axis=2)
        steady, gusts = (
            _EDGES[(below < share * below[..., -1:]).sum(2)].astype(np.uint16).reshape(-1, *cells)
            for share in (_STEADY, _GUSTS)
        )
        span = Span(min(span.start_ns for span in self.spans), max(span.end_ns for span in self.spans))
        footage = np.array([self.footage_s[slot] for slot in slots])
        at = np.array(slots, np.int64).reshape(-1, 2)
        unrest = np.array(
            [math.fsum(self.unrest.get(slot, ())) / max(1, len(self.unrest.get(slot, ()))) for slot in slots]
        )
        return Habits(self.layout, span, len(self.spans), at, footage, steady, gusts, unrest, self.chance.copy())

    def look_again(self, past: Past, known: Habits) -> None:
        """Count what seems an event though nobody travels."""
        night, hour = past.slot
        gathered = gather(past.activity)
        usual = known.usual(night=past.night, hour=hour)
        beyond = usual.beyond(gathered)[:, :-1, :-1] * ~_visits(gathered)
        peak = (beyond.max((1, 2)).astype(np.float64) / STEPS) ** 2 / usual.scale(gathered)  # (k,): strengths
        over = np.flatnonzero(peak >= LEVELS[0])
        if not len(over):
            return
        parts = np.flatnonzero(np.diff(gathered.at[over], prepend=-_LASTS - 1) > _LASTS)
        strongest = np.maximum.reduceat(peak[over], parts)
        strongest = strongest[strongest < _PLAIN]
        self.chance[night] += (strongest[:, None] >= LEVELS).sum(0)


def _visits(gathered: Gathered) -> NDArray[np.bool_]:
    """Return which cells are of somebody who goes somewhere: bool (k, C, R)."""
    beyond = FLEET.beyond(gathered)[:, :-1, :-1]
    return travelling(beyond, gathered.at, level=_MOVES, least=_TRAVELS, most=_COMPACT)
