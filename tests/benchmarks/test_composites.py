"""The hard cases are what they say: their truth is where the movers are, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.composites import CASES, COUNT, SIZE, Cutout, Footage


def test_a_cutout_moves_with_its_label() -> None:
    label = np.zeros(SIZE, np.bool_)
    label[50:60, 70:90] = True
    cutout = Cutout(label * np.float32(200), label.astype(np.float32), label).moved(3, -2)
    assert np.argwhere(cutout.label).min(0).tolist() == [53, 68]
    assert np.argwhere(cutout.mirrored().label).max(0).tolist() == [62, SIZE[1] - 1 - 68]
    assert cutout.luma[55, 75] == 200


def test_a_real_case_changes_where_it_is_labelled(footage: Path) -> None:
    case = CASES["shadows"](Footage(footage))
    assert case.frames.shape == case.masks.shape == (COUNT, *SIZE)
    assert set(np.unique(case.masks)) == {0, 50, 255}
    away = abs(case.frames[::30] - np.median(case.frames[::60], axis=0))
    masks = case.masks[::30]
    assert away[masks == 255].mean() > 20
    assert 20 < away[masks == 50].mean() < 90
    assert away[masks == 0].mean() < 3
