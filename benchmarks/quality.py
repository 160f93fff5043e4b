"""How well motion is found: ours beside OpenCV's MOG2 and KNN, cell by cell, on labelled footage.

`python -m benchmarks.quality`; `--constants` also halves and doubles every setting of `measure`. The labels are those
of CDnet 2014 and SBI 2015: 255 moves, 50 is shadow, 85 and 170 are not scored.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.transform import resize

from benchmarks import report
from pipeline.motion import MeasureSettings, measure
from pipeline.video import open_video

_FOOTAGE = Path(os.environ.get("LAMPLIGHTER_FOOTAGE", Path(__file__).parents[2] / "shared" / "footage"))
_CELL = 16  # pixels of the labelled picture: the cell that is scored

Grid = NDArray[np.float64]


def cell_means(frames: NDArray[Any]) -> Grid:
    """Return the mean of every whole cell: (N, H, W) to float64 (N, H // 16, W // 16)."""
    count, height, width = frames.shape
    rows, columns = height // _CELL, width // _CELL
    cells = frames[:, : rows * _CELL, : columns * _CELL].reshape(count, rows, _CELL, columns, _CELL)
    means: Grid = cells.mean((2, 4))
    return means


def truth(folder: Path) -> tuple[slice, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the scored frames, and for their cells bool (N, R, C): whether they move, whether they are scored.

    A cell moves when more than 15 % of its known pixels do and is still below 2 %; what lies between is not scored.
    """
    first, last = (int(number) for number in (folder / "temporalROI.txt").read_text().split()[:2])
    names = sorted((folder / "groundtruth").glob("*.png"))[first - 1 : last]
    masks = np.stack([np.asarray(Image.open(name).convert("L")) for name in names])
    known = 1 - cell_means((masks == 85) | (masks == 170))
    moving = cell_means(masks == 255) / np.maximum(known, 1e-6)
    scored = (known > 0.5) & ((moving < 0.02) | (moving > 0.15))
    return slice(first - 1, first - 1 + len(names)), moving > 0.15, scored


def average_precision(score: Grid, label: NDArray[np.bool_]) -> float:
    """Return the mean precision over the labelled, each at its own rank; ties keep their order."""
    ranked = label[np.argsort(-score, kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked].sum() / max(ranked.sum(), 1))


def score(grid: NDArray[Any], folder: Path) -> tuple[float, float]:
    """Return average precision over cells, and of "this frame holds motion" (nan where all frames do or none does)."""
    part, moving, scored = truth(folder)
    cells = grid.astype(np.float64)[part]
    if cells.shape[1:] != moving.shape[1:]:
        cells = np.stack([resize(cell, moving.shape[1:], order=1, anti_aliasing=True) for cell in cells])  # type: ignore[no-untyped-call]
    if len(cells) != len(moving):
        raise SystemExit(f"{folder.name}: {len(cells)} frames measured where {len(moving)} are labelled")
    holds: NDArray[np.bool_] = np.any(moving & scored, axis=(1, 2))
    by_frame = float("nan") if holds.all() or not holds.any() else average_precision(cells.max((1, 2)), holds)
    return average_precision(cells[scored], moving[scored]), by_frame


def ours(video: Path, settings: MeasureSettings | None = None) -> NDArray[Any]:
    """Measure as the ingest does."""
    with open_video(video) as opened:
        return measure(opened.luma(), time_base=opened.time_base, settings=settings).share


def opencv(video: Path, make: str) -> NDArray[Any]:
    """Return the share of each cell that an OpenCV subtractor with its defaults calls foreground, shadows left out."""
    import av  # noqa: PLC0415 - a peer's own decoding, in colour
    import cv2  # noqa: PLC0415 - only this comparison needs it

    model = getattr(cv2, make)()
    shares = []
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            mask = cv2.medianBlur((model.apply(frame.to_ndarray(format="bgr24")) == 255).astype(np.uint8), 5)
            shares.append(cell_means(mask[None])[0])
    return np.stack(shares)


def main() -> None:
    """Measure, write JSON, draw."""
    help_text = "also halve and double every setting of measure"
    options = report.options(__doc__, ("--constants", {"action": "store_true", "help": help_text}))
    folders = sorted(path for path in (_FOOTAGE / "labelled").glob("*") if path.is_dir())
    folders = [folder for folder in folders if folder.name == "hall"] if options.quick else folders
    if not folders:
        raise SystemExit(f"no labelled footage at {_FOOTAGE}/labelled; set LAMPLIGHTER_FOOTAGE")
    makers: dict[str, Callable[[Path], NDArray[Any]]] = {
        "ours": ours,
        "MOG2": lambda video: opencv(video, "createBackgroundSubtractorMOG2"),
        "KNN": lambda video: opencv(video, "createBackgroundSubtractorKNN"),
    }
    results = [_row(name, maker, folders) for name, maker in makers.items()]
    best = {folder.name: max(row[folder.name] for row in results[1:]) for folder in folders}
    results.append({"what": "better of MOG2 and KNN"} | best | {"mean": round(sum(best.values()) / len(best), 3)})
    if options.constants:
        for name, knob in MeasureSettings.model_fields.items():
            for factor in (0.5, 2):
                changed = type(knob.default)(knob.default * factor)
                settings = MeasureSettings(**{name: changed})
                results.append(_row(f"{name} {changed:g}", lambda video, s=settings: ours(video, s), folders))  # type: ignore[misc]
    report.draw(report.write("quality", results, folder=options.out, quick=options.quick))


def _row(name: str, maker: Callable[[Path], NDArray[Any]], folders: list[Path]) -> dict[str, Any]:
    scores = {folder.name: score(maker(folder / "video.mp4"), folder) for folder in folders}
    cells = {folder: round(cell, 3) for folder, (cell, _) in scores.items()}
    frames = [frame for _, frame in scores.values() if not np.isnan(frame)]
    mean = sum(cell for cell, _ in scores.values()) / len(scores)
    return {"what": name} | cells | {"mean": round(mean, 3), "frame_ap": round(sum(frames) / max(len(frames), 1), 3)}


if __name__ == "__main__":
    main()
