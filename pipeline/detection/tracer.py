"""Makes a trace of an activity: each gate of cells says which of them count, then every frame becomes a few numbers."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from pipeline.detection.gates import CellGate, Detection, Step, settings_at, table
from pipeline.detection.regions import Labelling
from pipeline.detection.trace import Trace, View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.activity import Activity
    from pipeline.layout import Layout

    Bools: TypeAlias = NDArray[np.bool_]
    Ints: TypeAlias = NDArray[np.int64]

_BLOCK = 1024  # frames traced at once: what is made of them stays in the cache


def trace(activity: Activity, detection: Detection, *, labelling: Labelling = Labelling.FEW) -> Trace:
    """Reduce an activity to a few numbers a frame; of `detection` only what judges cells changes them.

    At least `labelling` is done, and what the other gates need. Raises ConfigError for a zone that covers no cell.
    """
    view = view_of(activity.layout, detection)
    watched, level = view.watched, view.level
    # The frames of a cell lie side by side, so that each step takes as many frames at once as the cache holds.
    share = activity.share.T
    columns, rows, frames = share.shape
    everywhere = bool(watched.all())
    peak, block = np.zeros((2, frames), np.uint8)
    moving = np.zeros((columns, frames), np.min_scalar_type(rows))
    for start in range(0, frames, _BLOCK):
        part: slice | Ints = slice(start, start + _BLOCK)
        seen = share[..., part]
        peak[part] = seen.max((0, 1)) if everywhere else seen[watched.T].max(0, initial=0)
        busy = start + np.flatnonzero(peak[part] >= level)
        if not len(busy):
            continue
        if 3 * len(busy) < seen.shape[2]:
            part, seen = busy, share[..., busy]
        over = seen >= level
        if not everywhere:
            over &= watched.T[..., None]
        moving[:, part] = over.view(np.uint8).sum(1, dtype=moving.dtype)
        block[part] = _most_in_block(over.view(np.uint8))
    cold = activity.cold if activity.cold < frames else 0
    labelling = max(labelling, labelling_for(detection))
    resumes = tuple(np.searchsorted(activity.pts, [end for _, end in activity.holes])) if activity.holes else ()
    return Trace(peak, moving, block, cold, activity.share, view, labelling, resumes)


def labelling_for(detection: Detection) -> Labelling:
    """Return of which frames the gates need the regions under some settings."""
    return max(gate.labelling(detection) for _, gate in table(type(detection)))


def watched_cells(activity: Activity, detection: Detection) -> Bools:
    """Return bool (R, C), read-only: the cells that count.

    A cell belongs to a zone that covers at least a quarter of it. Raises ConfigError for a zone that covers no cell.
    """
    return view_of(activity.layout, detection).watched


def view_of(layout: Layout, detection: Detection) -> View:
    """Return how cells are judged in pictures of some layout. Raises ConfigError for a zone that covers no cell."""
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
    return View(watched, max(1, math.ceil(Fraction(str(detection.sensitivity)) * 255)))


def _most_in_block(moving: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the most moving cells in a 2 x 2: 0 or 1 (C, R, n) to uint8 (n,). Two that touch are in one."""
    if len(moving) > 1:
        moving = moving[1:] + moving[:-1]
    if moving.shape[1] > 1:
        moving = moving[:, 1:] + moving[:, :-1]
    most: NDArray[np.uint8] = moving.max((0, 1))
    return most
