"""Makes a trace of evidence: each gate of cells says which of them count, then a moment becomes a few numbers."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from pipeline.detection.evidence import Evidence
from pipeline.detection.gates import CellGate, Detection, Step, settings_at, table
from pipeline.detection.trace import Trace, View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.activity import Activity
    from pipeline.layout import Layout

    Bools: TypeAlias = NDArray[np.bool_]


def trace(evidence: Evidence, detection: Detection, *, within: Bools | None = None) -> Trace:
    """Reduce evidence to a few numbers a moment; of `detection` only what judges cells changes them.

    within: bool (R, C), cells besides which none counts. Raises ConfigError for a zone that covers no cell.
    """
    view = view_of(evidence.layout, detection)
    if within is not None:
        view = View(view.watched & within)
    beyond = evidence.within(view.watched)
    peak = np.zeros(len(evidence.pts), np.uint16)
    peak[evidence.at] = beyond.reshape(len(beyond), beyond.shape[1] * beyond.shape[2]).max(1)
    return Trace(peak, evidence, view, evidence.level(detection.sensitivity))


def watched_cells(activity: Activity, detection: Detection) -> Bools:
    """Return bool (R, C), read-only: the cells that count.

    A cell belongs to a zone that covers at least a quarter of it. Raises ConfigError for a zone that covers no cell.
    """
    return view_of(activity.layout, detection).watched


def view_of(layout: Layout, detection: Detection) -> View:
    """Return which cells count in pictures of some layout. Raises ConfigError for a zone that covers no cell."""
    kind = type(detection)
    return _view(layout, kind, tuple(getattr(detection, name) for name in settings_at(kind, Step.CELLS)))


@functools.lru_cache(256)  # of a still clip zones would cost more than all else
def _view(layout: Layout, kind: type[Detection], values: tuple[Any, ...]) -> View:
    detection = kind.model_validate(dict(zip(settings_at(kind, Step.CELLS), values, strict=True)))
    watched = np.ones((layout.rows, layout.columns), np.bool_)
    for _, gate in table(kind):
        if isinstance(gate, CellGate) and (cells := gate.cells(layout, detection)) is not None:
            watched &= cells
    watched.setflags(write=False)
    return View(watched)
