"""What it costs that places are answered by cells: `python -m benchmarks.places` (a minute; `--quick` is rougher).

It prints the table of docs/explanation/places.md. Drawn from a seed, its figures are the same on every machine.

Towns of cameras, and areas of all shapes from the smallest to the largest that may be asked, laid over them anywhere.
A camera that is asked and stands outside of what was drawn was asked wrongly; one inside that is not asked is missed.
Beside it stands what the cells are for: how near the best guess comes to a camera whose cell is known.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from benchmarks import report
from pipeline.case.rules import Limits

Places = NDArray[np.float64]  # (N, 2), metres east and north of the town's corner
Shape = Callable[[float], shapely.Polygon]

CELLS_M: Final = (200, 250, 300, 400, 500)
TOWN_M: Final = 5000
NEAR_M: Final = 100
RULES: Final[Mapping[str, Callable[[NDArray[np.float64], NDArray[np.bool_]], NDArray[np.bool_]]]] = {
    "touched": lambda share, _: share > 0,
    "a quarter inside": lambda share, _: share >= 0.25,
    "half inside": lambda share, _: share >= 0.5,
    "its middle inside": lambda _, middle: middle,
}
HEADS: Final = (
    *("cell", "a cell is asked when", "wrongly asked: smallest area", "middling", "largest"),
    *("missed: smallest area", "middling", "largest", "all that fits is in a circle of", "a guess is within 100 m for"),
)


def streets(draw: np.random.Generator) -> Places:
    """Return cameras on a third of the houses of a grid of streets, 25 m apart on both sides."""
    along, rows = np.arange(0, TOWN_M, 25.0), np.arange(0, TOWN_M, 100.0)
    east, north = np.meshgrid(along, rows)
    houses = np.concatenate([np.stack([east.ravel(), north.ravel() + side], axis=1) for side in (-8, 8)])
    return houses[draw.random(len(houses)) < 1 / 3]


def scattered(draw: np.random.Generator) -> Places:
    """Return cameras anywhere."""
    return draw.uniform(0, TOWN_M, (3000, 2))


def hamlets(draw: np.random.Generator) -> Places:
    """Return cameras in dense clusters with little between."""
    middles = draw.uniform(0, TOWN_M, (60, 2))
    return (middles[:, None] + draw.normal(0, 120, (60, 50, 2))).reshape(-1, 2)


TOWNS: Final = {"streets": streets, "scattered": scattered, "hamlets": hamlets}


def _rectangle(ratio: float) -> Shape:
    def made(size_m2: float) -> shapely.Polygon:
        long, wide = math.sqrt(size_m2 * ratio), math.sqrt(size_m2 / ratio)
        return shapely.box(-long / 2, -wide / 2, long / 2, wide / 2)

    return made


def _circle(size_m2: float) -> shapely.Polygon:
    return shapely.Point(0, 0).buffer(math.sqrt(size_m2 / math.pi))


def _corner(size_m2: float) -> shapely.Polygon:
    side = math.sqrt(size_m2 / 5)
    return shapely.Polygon([(0, 0), (3 * side, 0), (3 * side, side), (side, side), (side, 3 * side), (0, 3 * side)])


SHAPES: Final[Mapping[str, Shape]] = {
    "square": _rectangle(1),
    "rectangle": _rectangle(2),
    "strip": _rectangle(5),
    "circle": _circle,
    "corner": _corner,
}


def sizes(limits: Limits) -> dict[str, float]:
    """Return the sizes that are laid out (square metres)."""
    least, most = limits.min_area_m2, limits.max_area_m2
    return {"smallest": least, "middling": math.sqrt(least * most), "largest": most}


def laid_out(shape: Shape, size_m2: float, draw: np.random.Generator) -> shapely.Polygon:
    """Return a shape, turned and moved to anywhere in the town."""
    turned = shapely.affinity.rotate(shape(size_m2), draw.uniform(0, 360), origin=(0, 0))
    east, north = draw.uniform(1200, TOWN_M - 1200, 2)
    moved: shapely.Polygon = shapely.affinity.translate(turned, east, north)
    return moved


def cells_of(area: shapely.Polygon, cell_m: float) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return the cells about an area, int64 (N, 2), which share of each is inside, and whether its middle is."""
    first = np.floor(np.array(area.bounds[:2]) / cell_m).astype(np.int64)
    last = np.floor(np.array(area.bounds[2:]) / cell_m).astype(np.int64)
    columns, rows = (np.arange(low, high + 1) for low, high in zip(first, last, strict=True))
    cells = np.stack([one.ravel() for one in np.meshgrid(columns, rows)], axis=1)
    low, high = cells * cell_m, (cells + 1) * cell_m
    squares = shapely.box(low[:, 0], low[:, 1], high[:, 0], high[:, 1])
    share = shapely.area(shapely.intersection(area, squares)) / cell_m**2
    middle = (low + high) / 2
    return cells, share, shapely.contains_xy(area, middle[:, 0], middle[:, 1])


def costs(cell_m: float, *, areas: int, seed: int = 1) -> Iterator[report.Row]:
    """Yield a row for each rule: who is wrongly asked and who is missed, as shares of those who are inside."""
    draw, limits = np.random.default_rng(seed), Limits()
    towns = [make(draw) for make in TOWNS.values()]
    counts = {(rule, size): np.zeros(3) for rule in RULES for size in sizes(limits)}
    for size, m2 in sizes(limits).items():
        for shape in SHAPES.values():
            for at in range(areas):
                area = laid_out(shape, m2, draw)
                cells, share, middle = cells_of(area, cell_m)
                places = towns[at % len(towns)]
                inside = shapely.contains_xy(area, places[:, 0], places[:, 1])
                of = np.floor(places / cell_m).astype(np.int64)
                for rule, chosen in RULES.items():
                    wanted = {tuple(cell) for cell in cells[chosen(share, middle)].tolist()}
                    asked = np.array([tuple(cell) in wanted for cell in of.tolist()])
                    counts[rule, size] += (inside.sum(), (asked & ~inside).sum(), (inside & ~asked).sum())
    for rule in RULES:
        row: report.Row = {"cell": cell_m, "rule": rule}
        for size in sizes(limits):
            within, wrongly, missed = counts[rule, size]
            row |= {f"wrongly {size}": wrongly / within, f"missed {size}": missed / within}
        yield row | known(cell_m)


def known(cell_m: float) -> report.Row:
    """Return how well a place is known of which the cell is, at the least: cells are as wide as this or wider."""
    steps = (np.arange(400) + 0.5) / 400 * cell_m - cell_m / 2
    near = np.hypot(*np.meshgrid(steps, steps)) < NEAR_M  # from the middle, the best guess there is
    return {"radius_m": cell_m / math.sqrt(2), "near": float(near.mean())}


def line(row: report.Row) -> str:
    """Return a row of the table, in Markdown."""
    shares = [row[f"{what} {size}"] for what in ("wrongly", "missed") for size in ("smallest", "middling", "largest")]
    cells = [f"{row['cell']} m", row["rule"], *(f"{share:.0%}" for share in shares), f"{row['radius_m']:.0f} m"]
    return f"| {' | '.join([*cells, format(row['near'], '.0%')])} |"


def main() -> None:
    """Measure all cells and rules, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small form that shows it works; its figures are rough")
    quick = parser.parse_args().quick
    print(f"| {' | '.join(HEADS)} |\n| --: | --- |{' --: |' * (len(HEADS) - 2)}")
    for cell_m in CELLS_M:
        for row in costs(cell_m, areas=6 if quick else 60):
            print(line(row), flush=True)


if __name__ == "__main__":
    main()
