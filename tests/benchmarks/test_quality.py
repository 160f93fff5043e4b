"""The scorer that judges `measure` has rules of its own."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.quality import MODULES, average_precision, cell_means, changed, score, truth, variants
from pipeline.measure.motion import MeasureSettings


def test_a_perfect_ranking_scores_one_and_a_reversed_one_the_least() -> None:
    label = np.array([True, True, False, False])
    assert average_precision(np.array([4.0, 3, 2, 1]), label) == 1
    assert average_precision(np.array([1.0, 2, 3, 4]), label) == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_nothing_labelled_scores_nothing() -> None:
    assert average_precision(np.array([1.0, 2]), np.array([False, False])) == 0


def test_the_mean_of_a_cell_leaves_out_what_is_no_whole_cell() -> None:
    frames = np.zeros((1, 40, 33))
    frames[:, :16, :16] = 1
    assert cell_means(frames).tolist() == [[[1, 0], [0, 0]]]


def _sequence(folder: Path) -> None:
    (folder / "groundtruth").mkdir()
    for number in range(4):
        mask = np.zeros((32, 48), np.uint8)
        mask[:16, :16] = 255 if number >= 2 else 0
        mask[16:, 32:] = 170  # never scored
        mask[:1, 16:32] = 255  # 6 % of a cell: neither moving nor still
        Image.fromarray(mask).save(folder / "groundtruth" / f"gt{number:06}.png")
    (folder / "temporalROI.txt").write_text("2 4\n")


def test_only_the_scored_frames_and_cells_count(tmp_path: Path) -> None:
    _sequence(tmp_path)
    part, moving, scored = truth(tmp_path)
    assert (part.start, part.stop) == (1, 4)
    assert moving[:, 0, 0].tolist() == [False, True, True]
    assert scored[0].tolist() == [[True, False, True], [True, True, False]]


def test_a_grid_of_another_geometry_is_resampled(tmp_path: Path) -> None:
    _sequence(tmp_path)
    grid = np.zeros((4, 4, 6), np.uint8)
    grid[2:, :2, :2] = 255
    assert score(grid, tmp_path) == (1.0, 1.0)


def test_a_grid_that_misses_frames_is_refused(tmp_path: Path) -> None:
    _sequence(tmp_path)
    with pytest.raises(SystemExit, match="2 frames measured where 3 are labelled"):
        score(np.zeros((3, 2, 3), np.uint8), tmp_path)


def test_every_constant_of_measure_is_halved_and_doubled_and_put_back() -> None:
    tried = list(variants())
    names = {name for name, _ in tried}
    assert set(MeasureSettings.model_fields) <= names
    assert {"shares._SUPPORT", "layout._WORK_PIXELS", "leaves._FITS", "background._REGIONS", "shake._REACH"} <= names
    for name, value in tried:
        with changed(name, value) as settings:
            if "." not in name:
                assert getattr(settings, name) == value
                continue
            module, constant = name.split(".")
            assert getattr(MODULES[module], constant) == value
    assert list(variants()) == tried
