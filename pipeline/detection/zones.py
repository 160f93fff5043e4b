"""The cells that a zone covers, of those that an operator draws over the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import skimage as ski  # loads its parts when they are first asked for

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.layout import Layout
    from pipeline.zone import Zone

_FINE = 4  # points along a cell's side by which its cover is found
_COVERED = 0.25  # of a cell is the least that makes it one of the zone's


def covered_cells(layout: Layout, zones: Sequence[Zone], *, called: str) -> NDArray[np.bool_]:
    """Return bool (R, C): the cells of which any zone covers at least a quarter.

    Raises ConfigError for a zone that covers no cell, by its number among those `called` so.
    """
    covered = np.zeros((layout.rows, layout.columns), np.bool_)
    for number, zone in enumerate(zones, 1):
        own = _cover(layout, zone) >= _COVERED
        if not own.any():
            raise ConfigError(
                f"{called} zone {number} {list(zone)} covers no cell of the {layout.columns} x {layout.rows} grid; "
                f"make it larger than a quarter of a cell (1/{layout.columns} by 1/{layout.rows} of the picture)"
            )
        covered |= own
    return covered


def _cover(layout: Layout, zone: Zone) -> NDArray[np.float64]:
    """Return how much of each cell a zone covers: float64 (R, C), 0 to 1, in sixteenths."""
    down, right = layout.edges()
    y, x = _points(down) / layout.height, _points(right) / layout.width
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    inside = ski.measure.points_in_poly(points, np.array(zone))  # type: ignore[no-untyped-call]
    cover: NDArray[np.float64] = inside.reshape(layout.rows, _FINE, layout.columns, _FINE).mean((1, 3))
    return cover


def _points(edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the coordinates of `_FINE` points in each cell between the edges: int64 (n + 1,) to float64 (4n,)."""
    steps = (np.arange(_FINE) + 0.5) / _FINE
    points: NDArray[np.float64] = (edges[:-1, None] + np.diff(edges)[:, None] * steps).ravel()
    return points
