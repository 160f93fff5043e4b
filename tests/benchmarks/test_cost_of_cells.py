"""What cells cost is counted against what was drawn, and what they are for against their size."""

import numpy as np
import pytest

from benchmarks import places


def test_of_the_rules_only_that_of_touched_cells_misses_nobody() -> None:
    rows = {row["rule"]: row for row in places.costs(250, areas=2)}
    assert set(rows) == set(places.RULES)
    sizes = ("smallest", "middling", "largest")
    assert all(rows["touched"][f"missed {size}"] == 0 for size in sizes)
    assert all(rows[rule][f"missed {size}"] > 0 for rule in set(rows) - {"touched"} for size in sizes)
    wrongly = [rows[rule]["wrongly middling"] for rule in ("touched", "a quarter inside", "half inside")]
    assert wrongly == sorted(wrongly, reverse=True)
    assert places.line(rows["touched"]).count("|") == len(places.HEADS) + 1


def test_an_area_s_cells_hold_all_of_it() -> None:
    area = places.laid_out(places.SHAPES["corner"], 300_000, np.random.default_rng(3))
    _, share, middle = places.cells_of(area, 250)
    assert share.sum() * 250**2 == pytest.approx(area.area)
    assert middle.sum() < (share > 0).sum()


@pytest.mark.parametrize(("cell_m", "radius_m", "near"), [(250, 176.8, np.pi * 100**2 / 250**2), (150, 106.1, 0.993)])
def test_what_is_known_of_a_place_follows_from_its_cell(cell_m: float, radius_m: float, near: float) -> None:
    known = places.known(cell_m)
    assert known["radius_m"] == pytest.approx(radius_m, abs=0.1)
    assert known["near"] == pytest.approx(near, abs=0.005)
