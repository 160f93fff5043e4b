"""One table of gates: what stands in it is in `detect`, `explain` and `tune`; a new gate is one entry."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from pipeline.activity import Activity
from pipeline.detection.detect import detect
from pipeline.detection.explain import explain, obstacles
from pipeline.detection.gates import Detection, InForce, MomentGate, Step, Value, higher, settings_at, swept, table
from pipeline.detection.layers import CameraLayer, Layers
from pipeline.detection.sweep import Footage, sweep
from pipeline.detection.trace import Trace, View
from pipeline.detection.trials import GRID, SWEPT, TuneSettings
from samples import clip, stream

# A gate that there is not: cars are larger than people. All that is to be done for one, besides a line in
# configs/default.toml, is this class and its entry in the table.


class _MaxCells(MomentGate):
    words = "{got:g} connected cells moved, max_cells allows {wanted:g}"

    def moments(self, trace: Trace, settings: Detection) -> NDArray[np.bool_]:
        small: NDArray[np.bool_] = trace.cells <= cast("Tried", settings).max_cells
        return small

    def nearest(self, trace: Trace, settings: Detection, moments: NDArray[np.int64]) -> float:  # noqa: ARG002
        return float(trace.cells[moments].min())

    def looser(self, setting: str, in_force: InForce, settings: Detection) -> Sequence[Value]:
        return higher(in_force.trace.cells.tolist(), than=getattr(settings, setting), most=10_000)

    def obstacle(self, view: View, settings: Detection) -> str:  # noqa: ARG002
        most = cast("Tried", settings).max_cells
        return "" if most >= settings.min_cells else f"max_cells {most} is less than min_cells {settings.min_cells}"


class Tried(Detection):
    max_cells: Annotated[int, _MaxCells(tries=(4, 8))] = Field(10_000, ge=1, description="not more than this (count)")


ENTRIES = {
    "": Step.COLD,
    "sensitivity": Step.CELLS,
    "watch, ignore": Step.CELLS,
    "min_cells": Step.MOMENTS,
    "max_area": Step.MOMENTS,
    "travel": Step.MOMENTS,
    "gap_s": Step.JOIN,
    "min_event_s": Step.STRETCHES,
    "pre_roll_s, post_roll_s": Step.ROLLS,
}


def an_activity(*moving: tuple[int, int, int]) -> Activity:
    """Return 120 frames, 6 a second, over 9 x 12 cells; (first, last, cells) moves so many at the left of a row."""
    share = np.zeros((120, 9, 12), np.uint8)
    for first, last, cells in moving:
        share[first:last, 4, :cells] = 255
    pts, luma = np.arange(120, dtype=np.int64), np.full(120, 90, np.uint8)
    return Activity(share, pts, luma, Fraction(1, 6), 0, 192, 144, "1-test", 16)


def tried(**values: Any) -> Tried:
    return Tried(**({"pre_roll_s": 0, "post_roll_s": 0, "gap_s": 0} | values))


def test_every_setting_has_its_gate_and_the_gates_are_applied_step_by_step() -> None:
    assert {", ".join(names): gate.step for names, gate in table(Detection)} == ENTRIES
    assert sorted(name for names, _ in table(Detection) for name in names) == sorted(Detection.model_fields)
    steps = [gate.step for _, gate in table(Detection)]
    assert steps == sorted(steps)
    assert settings_at(Detection, Step.MOMENTS, Step.CELLS) == (
        *("sensitivity", "watch", "ignore"),
        *("min_cells", "max_area", "travel"),
    )
    assert table(CameraLayer)[1:] == table(Detection)[1:]


def test_a_sweep_varies_what_the_table_has_values_for() -> None:
    assert tuple(swept(Detection)) == SWEPT == tuple(TuneSettings.model_fields)[: len(SWEPT)]
    assert set(SWEPT).isdisjoint({"watch", "ignore", "pre_roll_s", "post_roll_s"})
    assert {name: getattr(TuneSettings(), name) for name in SWEPT} == swept(Detection)


def test_explain_tells_every_gate_in_order_of_its_step() -> None:
    told = [left.setting for left in explain(an_activity((10, 20, 3)), Detection()).steps]
    judging = [
        name or "cold"
        for name, step in ENTRIES.items()
        if step in {Step.COLD, Step.CELLS, Step.MOMENTS, Step.STRETCHES}
    ]
    assert told == judging


def test_a_gate_entered_into_the_table_is_applied_by_detect() -> None:
    activity = an_activity((20, 40, 3), (60, 80, 5))
    assert [event.start_pts for event in detect(activity, tried())] == [20, 60]
    assert [event.start_pts for event in detect(activity, tried(max_cells=4))] == [20]
    assert detect(activity, tried(max_cells=2)) == []


def test_a_gate_entered_into_the_table_is_told_by_explain() -> None:
    activity = an_activity((20, 40, 3), (60, 80, 5))
    some = explain(activity, tried(max_cells=4))
    assert {left.setting: left.frames for left in some.steps}["max_cells"] == 20
    assert [(run.dropped_by, run.got, run.wanted, run.why) for run in some.runs] == [
        ("", 0, 0, ""),
        ("max_cells", 5, 4, "5 connected cells moved, max_cells allows 4"),
    ]
    none = explain(activity, tried(max_cells=2))
    assert [(one.setting, one.value, one.start_pts) for one in none.remedies] == [("max_cells", 3, 20)]
    assert obstacles(activity.layout, tried(max_cells=2, min_cells=3)) == ["max_cells 2 is less than min_cells 3"]


def test_a_gate_entered_into_the_table_is_swept_by_tune() -> None:
    settings = TuneSettings.of(Tried)(min_cells=(1, 4), gap_s=(0.0,), sensitivity=(0.2,), min_event_s=(0.3,))
    assert (settings.shape(), len(settings.grid())) == ((1, 2, 1, 2, 1, 1, 2), 8)
    assert [trial["max_cells"] for trial in settings.trials()[1:4]] == [10_000, 4, 8]
    activity = an_activity((20, 40, 3), (60, 80, 5))
    timed = {"time_base": activity.time_base, "first_pts": 0, "end_pts": 120, "frames": 120}
    item = Footage(clip(stream=stream(width=192, height=144, **timed)), activity, tried())
    counts = sweep([item], settings.trials(), rule=settings).cameras["cam-1"]
    for number, changes in enumerate(settings.trials()):
        assert counts.events[number] == len(detect(activity, item.under(changes)))
    assert {int(counts.events[GRID + n]) for n in range(8)} == {0, 1, 2}
    with pytest.raises(ValidationError, match="max_cells: Input should be greater than or equal to 1, got 0"):
        TuneSettings.of(Tried)(max_cells=(0,))


def test_a_gate_entered_into_the_table_holds_by_camera_and_by_night() -> None:
    layers = Layers(tried(max_cells=7), night=Tried(max_cells=3), cameras={"door": CameraLayer(gap_s=9)})
    for night, most in ((False, 7), (True, 3)):
        held = layers.of("door", night=night).detection
        assert isinstance(held, Tried)
        assert (held.max_cells, held.gap_s) == (most, 9)
