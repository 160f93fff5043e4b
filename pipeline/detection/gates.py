"""The one table of gates: `Detection`, the operator's settings, each with what it lets pass and what is said of it.

`detect`, the matches that are kept, `explain`, `tune` and its grid are made from this table, and so is what describes
the settings to people. To add a gate, enter a setting with its gate into `Detection`:

    max_cells: Annotated[int, _MaxCells(tries=(20, 80))] = Field(10_000, ge=1, description="...")

where `_MaxCells` is a `MomentGate` that says which moments pass (`moments`) and how near to it others come (`nearest`,
`words`); `looser` and `obstacle` where there is something to say; without `tries` no sweep varies it. Then its line in
configs/default.toml, and its test. Nothing else knows one gate from another.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from pipeline.detection.gather import WHOLE
from pipeline.detection.rate import PerDay
from pipeline.detection.stretches import ticks
from pipeline.detection.zones import covered_cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from fractions import Fraction

    from numpy.typing import NDArray

    from pipeline.detection.stretches import Stretches
    from pipeline.detection.trace import Trace, View
    from pipeline.layout import Layout

    Bools: TypeAlias = NDArray[np.bool_]
    Ints: TypeAlias = NDArray[np.int64]

Value: TypeAlias = float | int | tuple[()]


class Step(IntEnum):
    """What a gate judges; the gates of one step come before those of the next."""

    COLD = 0
    """Moments, by whether the background was known: the one gate that is no setting."""
    CELLS = 1
    """Cells: which count, and from where on they move. A trace is made for these."""
    MOMENTS = 2
    """Moments, each a third of a second: which are active."""
    JOIN = 3
    """Active moments: which make one stretch."""
    STRETCHES = 4
    """Stretches: which are events."""
    ROLLS = 5
    """Nothing: what is kept before and after an event."""


class InForce(NamedTuple):
    """What the settings in force come to: a trace of every moment, and the stretches before any is dropped."""

    trace: Trace
    stretches: Stretches
    time_base: Fraction


@dataclass(frozen=True, eq=False, kw_only=True)
class Gate:
    """What a setting, or some that judge together, lets pass, and what is said of it. A kind of gate for each step.

    tries: the values that a sweep tries when it is not told others, none where it leaves the setting alone.
    words: a sentence for people on what did not pass, made of what was `got` and what is `wanted`.
    """

    step: ClassVar[Step]
    words: ClassVar[str] = ""
    tries: tuple[float, ...] = ()

    def looser(self, setting: str, in_force: InForce, settings: Detection) -> Sequence[Value]:
        """Return the values of one of its settings that let more pass than now and could matter, the nearest first."""
        return ()

    def obstacle(self, view: View, settings: Detection) -> str:
        """Return why nothing can ever pass in pictures of this size, "" when something can."""
        return ""


class CellGate(Gate):
    """A gate of cells."""

    step = Step.CELLS

    def cells(self, layout: Layout, settings: Detection) -> Bools | None:
        """Return bool (R, C): the cells that pass, None for all. Raises ConfigError when the settings fit no cell."""
        return None

    def moments(self, trace: Trace, settings: Detection) -> Bools:
        """Return bool (n,): the moments in which cells move that pass."""
        raise NotImplementedError


class MomentGate(Gate):
    """A gate of moments."""

    step = Step.MOMENTS

    def moments(self, trace: Trace, settings: Detection) -> Bools | None:
        """Return bool (n,): the moments that pass, None for all."""
        raise NotImplementedError

    def nearest(self, trace: Trace, settings: Detection, moments: Ints) -> float:
        """Return the nearest that any of some moments, none of which passes, comes to what is wanted, in its unit."""
        raise NotImplementedError


class JoinGate(Gate):
    """How far apart active moments may lie to be one stretch."""

    step = Step.JOIN


class StretchGate(Gate):
    """A gate of stretches."""

    step = Step.STRETCHES

    def stretches(self, stretches: Stretches, time_base: Fraction, settings: Detection) -> Bools:
        """Return bool (n,): the stretches that pass."""
        raise NotImplementedError

    def nearest(self, stretches: Stretches, time_base: Fraction, settings: Detection) -> float:
        """Return the nearest that any of some stretches, none of which passes, comes to what is wanted, in its unit."""
        raise NotImplementedError


class RollGate(Gate):
    """What is kept before and after an event: lets everything pass."""

    step = Step.ROLLS


class _Cold(MomentGate):
    step = Step.COLD

    def moments(self, trace: Trace, settings: Detection) -> Bools | None:
        return np.arange(len(trace.peak)) >= trace.cold if trace.cold else None


class _Sensitivity(CellGate):
    def moments(self, trace: Trace, settings: Detection) -> Bools:
        found = np.zeros(len(trace.peak), np.bool_)  # also outside of the zones, which are told apart
        found[trace.evidence.at] = (trace.evidence.beyond >= trace.level).any((1, 2))
        return found

    def looser(self, setting: str, in_force: InForce, settings: Detection) -> Sequence[Value]:
        return [rate for rate in _RATES if rate > settings.sensitivity]


_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Zone = Annotated[tuple[tuple[_Share, _Share], ...], Field(min_length=3)]  # a pipeline.zone.Zone, typed by an operator


class _Zones(CellGate):
    def cells(self, layout: Layout, settings: Detection) -> Bools | None:
        if not (settings.watch or settings.ignore):
            return None
        watched = covered_cells(layout, settings.watch, called="watch")
        return (watched | (not settings.watch)) & ~covered_cells(layout, settings.ignore, called="ignore")

    def moments(self, trace: Trace, settings: Detection) -> Bools:
        over: Bools = trace.peak >= trace.level
        return over

    def looser(self, setting: str, in_force: InForce, settings: Detection) -> Sequence[Value]:
        return [()] if getattr(settings, setting) else ()

    def obstacle(self, view: View, settings: Detection) -> str:
        rows, columns = view.watched.shape
        return "" if view.watched.any() else f"ignore leaves none of the {columns} x {rows} cells to watch"


class _MinCells(MomentGate):
    words = "at most {got:g} connected cells moved, min_cells wants {wanted:g}"

    def moments(self, trace: Trace, settings: Detection) -> Bools | None:
        return trace.reaching(settings.min_cells)

    def nearest(self, trace: Trace, settings: Detection, moments: Ints) -> float:
        return float(trace.cells[moments].max())

    def looser(self, setting: str, in_force: InForce, settings: Detection) -> Sequence[Value]:
        return lower(range(1, int(in_force.trace.cells.max()) + 1), than=settings.min_cells)

    def obstacle(self, view: View, settings: Detection) -> str:
        rows, columns = view.watched.shape
        if settings.min_cells <= view.room:
            return ""
        return (
            f"min_cells {settings.min_cells} is more than the {view.room} connected cells that are watched "
            f"of a grid of {columns} x {rows}"
        )


class _MaxArea(MomentGate):
    words = "{got:.2f} of the picture moved, max_area allows {wanted:g}"

    def moments(self, trace: Trace, settings: Detection) -> Bools | None:
        return trace.calm(settings.max_area)

    def nearest(self, trace: Trace, settings: Detection, moments: Ints) -> float:
        return float(trace.area[moments].min())

    def looser(self, setting: str, in_force: InForce, settings: Detection) -> Sequence[Value]:
        return higher(in_force.trace.area.tolist(), than=settings.max_area, most=1.0)

    def obstacle(self, view: View, settings: Detection) -> str:
        covered = 1 / WHOLE / view.watched.size  # a step of a share in one cell
        if covered <= settings.max_area:
            return ""
        return (
            f"max_area {settings.max_area:g} is less than the {covered:.6f} of the picture that one cell covers that "
            "moves as little as can be told"
        )


class _Travel(MomentGate):
    words = "it travelled {got:.3f} of the picture's longer side, travel wants {wanted:g}"

    def moments(self, trace: Trace, settings: Detection) -> Bools | None:
        if not settings.travel:
            return None
        far: Bools = trace.travelling(settings.travel) >= settings.min_cells
        return far

    def nearest(self, trace: Trace, settings: Detection, moments: Ints) -> float:
        regions = trace.regions
        large = np.isin(regions.moment, moments) & (regions.cells >= settings.min_cells)
        return float(regions.travel[large].max())

    def looser(self, setting: str, in_force: InForce, settings: Detection) -> Sequence[Value]:
        return lower(in_force.trace.regions.travel.tolist(), than=settings.travel) if settings.travel else ()

    def obstacle(self, view: View, settings: Detection) -> str:
        if settings.travel <= view.reach:
            return ""
        return f"travel {settings.travel:g} is farther than the watched cells reach, {view.reach:.3f}"


class _Gap(JoinGate):
    def looser(self, setting: str, in_force: InForce, settings: Detection) -> Sequence[Value]:
        apart = in_force.stretches.start[1:] - in_force.stretches.end[:-1]
        return higher((apart * float(in_force.time_base)).tolist(), than=settings.gap_s, most=3600.0)


class _MinEvent(StretchGate):
    words = "it lasted {got:.2f} s, min_event_s wants {wanted:g} s"

    def stretches(self, stretches: Stretches, time_base: Fraction, settings: Detection) -> Bools:
        long: Bools = stretches.end - stretches.start >= ticks(settings.min_event_s, time_base, math.ceil)
        return long

    def nearest(self, stretches: Stretches, time_base: Fraction, settings: Detection) -> float:
        return float((stretches.end - stretches.start).max() * time_base)

    def looser(self, setting: str, in_force: InForce, settings: Detection) -> Sequence[Value]:
        lengths = (in_force.stretches.end - in_force.stretches.start) * float(in_force.time_base)
        return lower(lengths.tolist(), than=settings.min_event_s)


def lower(values: Iterable[float], *, than: float) -> list[float]:
    """Return the values below one, the highest first; what is no integer rounded down to three decimals."""
    return list(dict.fromkeys(_down(value) for value in sorted({value for value in values if value < than})[::-1]))


def higher(values: Iterable[float], *, than: float, most: float) -> list[float]:
    """Return the values above one, the lowest first, rounded up to three decimals, but to `most` at most."""
    return list(dict.fromkeys(min(most, _up(value)) for value in sorted({value for value in values if value > than})))


def _down(value: float) -> float:
    return value if isinstance(value, int) else math.floor(value * 1000 + 1e-9) / 1000


def _up(value: float) -> float:
    return math.ceil(value * 1000 - 1e-9) / 1000


_ZONES, _ROLLS = _Zones(), RollGate()
_RATES = tuple(n * 10.0**power for power in range(-2, 5) for n in (1, 2, 5))  # events a day, as a person would say


class Detection(BaseModel):
    """The operator's settings: what counts as an event. Gates of one step are applied in the order they stand in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sensitivity: Annotated[PerDay, _Sensitivity(tries=(0.2, 2.0, 20.0, 200.0, 2000.0))] = Field(
        2.0,
        gt=0,
        le=100_000,
        description="false events that are tolerable; more finds more (of a camera: 2/day, 1/week, 0.5/hour)",
    )
    min_cells: Annotated[int, _MinCells(tries=(1, 2, 4, 8, 16))] = Field(
        1, ge=1, le=10_000, description="connected moving cells that are needed (count)"
    )
    max_area: Annotated[float, _MaxArea(tries=(0.6,))] = Field(
        0.6, gt=0, le=1, description="a moment with more in motion is a lamp, not a visitor (share of the picture)"
    )
    travel: Annotated[float, _Travel(tries=(0.0, 0.05))] = Field(
        0.0,
        ge=0,
        le=1,
        description="motion must move its centre this far, leaves return; 0 = off (share of the picture's longer side)",
    )
    watch: Annotated[tuple[_Zone, ...], _ZONES] = Field(
        (), description="zones to look at, none: everywhere (polygons, 0..1)"
    )
    ignore: Annotated[tuple[_Zone, ...], _ZONES] = Field(
        (), description="zones to leave out, also of `watch` (polygons, 0..1)"
    )
    min_event_s: Annotated[float, _MinEvent(tries=(0.0, 0.3, 0.6, 1.0, 2.0))] = Field(
        0.3, ge=0, le=3600, description="shorter events are dropped (s)"
    )
    gap_s: Annotated[float, _Gap(tries=(2.0, 5.0))] = Field(
        2.0, ge=0, le=3600, description="events this near are one (s)"
    )
    pre_roll_s: Annotated[float, _ROLLS] = Field(2.0, ge=0, le=600, description="kept before an event (s)")
    post_roll_s: Annotated[float, _ROLLS] = Field(2.0, ge=0, le=600, description="kept after an event (s)")


def written(settings: Detection, *keys: str) -> dict[str, Any]:
    """Return settings by name, of all or some keys, as a settings file writes them."""
    return settings.model_dump(mode="json", include=set(keys) or None)


class Judging(NamedTuple):
    """A gate of the table and the settings it has: one, two that judge together, or none."""

    settings: tuple[str, ...]
    gate: Gate


@functools.cache
def table(kind: type[Detection]) -> tuple[Judging, ...]:
    """Return the gates of a kind of settings, in the order they are applied."""
    names: dict[Gate, tuple[str, ...]] = {}
    for name, gate in _gates(kind):
        names[gate] = (*names.get(gate, ()), name)
    return Judging((), _Cold()), *(Judging(names[gate], gate) for gate in sorted(names, key=lambda one: one.step))


@functools.cache
def settings_at(kind: type[Detection], *steps: Step) -> tuple[str, ...]:
    """Return the names of the settings that are applied at some steps, in order."""
    return tuple(name for entry in table(kind) if entry.gate.step in steps for name in entry.settings)


def swept(kind: type[Detection]) -> dict[str, tuple[float, ...]]:
    """Return the settings that a sweep varies as they stand in the table, and what it tries when not told otherwise."""
    return {name: gate.tries for name, gate in _gates(kind) if gate.tries}


def _gates(kind: type[Detection]) -> Iterator[tuple[str, Gate]]:
    for name, field in kind.model_fields.items():
        yield from ((name, gate) for gate in field.metadata if isinstance(gate, Gate))
