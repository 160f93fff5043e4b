"""How well motion is found: ours beside OpenCV's MOG2 and KNN, cell by cell, on labelled footage and on hard cases.

`python -m benchmarks.quality`; `--constants` also halves and doubles every setting and constant of `measure`. The
labels are those of CDnet 2014 and SBI 2015: 255 moves, 50 is shadow, 85 and 170 are not scored; the hard cases are
those of `benchmarks/composites.py`, and one scene at many frame rates those of `benchmarks/rates.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from fractions import Fraction
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.transform import resize

from benchmarks import composites, lights, rates, report
from pipeline import layout
from pipeline.measure import background, grid, leaves, motion, shadows, shake, shares
from pipeline.measure import lights as measured_lights
from pipeline.measure.motion import MeasureSettings, measure
from pipeline.media.decode import open_video

_CELL = 16  # pixels of the labelled picture: the cell that is scored
MODULES = {
    "motion": motion,
    "background": background,
    "grid": grid,
    "layout": layout,
    "leaves": leaves,
    "lights": measured_lights,
    "shadows": shadows,
    "shake": shake,
    "shares": shares,
}
_PEERS = ("MOG2", "KNN")
_CONSTANT = re.compile(r"_[A-Z_]+")
# On the result: how much is done at once, and what the arithmetic of words is made of.
_WITHOUT_EFFECT = {
    *("motion._CHUNK", "shares._FRAMES", "shadows._UNIT"),
    *(f"grid.{name}" for name in ("_EVEN_BYTES", "_ONE_A_LANE", "_EIGHTH", "_KEEP_EVEN", "_GATHER")),
}

Cells = NDArray[np.float64]


def cell_means(frames: NDArray[Any]) -> Cells:
    """Return the mean of every whole cell: (N, H, W) to float64 (N, H // 16, W // 16)."""
    count, height, width = frames.shape
    rows, columns = height // _CELL, width // _CELL
    cells = frames[:, : rows * _CELL, : columns * _CELL].reshape(count, rows, _CELL, columns, _CELL)
    means: Cells = cells.mean((2, 4))
    return means


def labelled(masks: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return for every cell of labels (N, H, W) whether it moves, and whether it is scored: two bool (N, R, C).

    A cell moves when more than 15 % of its known pixels do and is still below 2 %; what lies between is not scored.
    """
    known = 1 - cell_means((masks == 85) | (masks == 170))
    moving = cell_means(masks == 255) / np.maximum(known, 1e-6)
    scored = (known > 0.5) & ((moving < 0.02) | (moving > 0.15))
    return moving > 0.15, scored


def truth(folder: Path) -> tuple[slice, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the scored frames of a sequence, and for their cells what `labelled` tells."""
    first, last = (int(number) for number in (folder / "temporalROI.txt").read_text().split()[:2])
    names = sorted((folder / "groundtruth").glob("*.png"))[first - 1 : last]
    masks = np.stack([np.asarray(Image.open(name).convert("L")) for name in names])
    return slice(first - 1, first - 1 + len(names)), *labelled(masks)


def average_precision(score: Cells, label: NDArray[np.bool_]) -> float:
    """Return the mean precision over the labelled, each at its own rank; ties keep their order."""
    ranked = label[np.argsort(-score, kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked].sum() / max(ranked.sum(), 1))


def score(grid: NDArray[Any], folder: Path) -> tuple[float, float]:
    """Return average precision over cells, and of "this frame holds motion" (nan where all frames do or none does)."""
    part, moving, scored = truth(folder)
    if len(grid[part]) != len(moving):
        raise SystemExit(f"{folder.name}: {len(grid[part])} frames measured where {len(moving)} are labelled")
    return scores(grid[part], moving, scored)


def scores(grid: NDArray[Any], moving: NDArray[np.bool_], scored: NDArray[np.bool_]) -> tuple[float, float]:
    """Return what `score` does, of as many frames as are labelled; a grid of another geometry is resampled."""
    cells = grid.astype(np.float64)
    if cells.shape[1:] != moving.shape[1:]:
        cells = np.stack([resize(cell, moving.shape[1:], order=1, anti_aliasing=True) for cell in cells])  # type: ignore[no-untyped-call]
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

    with av.open(str(video)) as container:
        return subtracted((frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)), make)


def subtracted(pictures: Iterable[NDArray[Any]], make: str) -> NDArray[Any]:
    """Return what `opencv` does, of pictures (H, W, 3) or (H, W)."""
    import cv2  # noqa: PLC0415 - only this comparison needs it

    model = getattr(cv2, make)()
    masks = (cv2.medianBlur((model.apply(picture) == 255).astype(np.uint8), 5) for picture in pictures)
    return np.stack([cell_means(mask[None])[0] for mask in masks])


@contextmanager
def changed(name: str, value: Any) -> Iterator[MeasureSettings]:  # noqa: ANN401 - of any constant
    """Run with another setting of `measure`, or another constant (MODULE.NAME) of its modules; yield the settings."""
    if "." not in name:
        yield MeasureSettings(**{name: value})
        return
    home, constant = name.split(".")
    module = MODULES[home]
    before = getattr(module, constant)
    setattr(module, constant, value)
    background.looked_at.cache_clear()  # it depends on constants
    try:
        yield MeasureSettings()
    finally:
        setattr(module, constant, before)
        background.looked_at.cache_clear()


def variants() -> Iterator[tuple[str, Any]]:
    """Yield every setting and every constant of measure, halved and doubled, by the name that `changed` takes."""
    known = {name: knob.default for name, knob in MeasureSettings.model_fields.items()}
    for module, found in MODULES.items():
        known |= {f"{module}.{name}": value for name, value in vars(found).items() if _CONSTANT.fullmatch(name)}
    for name, value in known.items():
        if name in _WITHOUT_EFFECT:
            continue
        for factor in (0.5, 2):
            if isinstance(value, tuple):
                yield (
                    name,
                    tuple(max(1, round(part * factor)) if isinstance(part, int) else part * factor for part in value),
                )
            else:
                yield name, max(1, round(value * factor)) if isinstance(value, int) else value * factor


def main() -> None:
    """Measure, write JSON, draw."""
    help_text = "also halve and double every setting and every constant of measure (some ten minutes)"
    options = report.options(__doc__, ("--constants", {"action": "store_true", "help": help_text}))
    folders = sorted(path for path in (report.FOOTAGE / "labelled").glob("*") if path.is_dir())
    folders = [folder for folder in folders if folder.name == "hall"] if options.quick else folders
    if not folders:
        raise SystemExit(f"no labelled footage at {report.FOOTAGE}/labelled; set LAMPLIGHTER_FOOTAGE")
    makers: dict[str, Callable[[Path], NDArray[Any]]] = {
        "ours": ours,
        "MOG2": lambda video: opencv(video, "createBackgroundSubtractorMOG2"),
        "KNN": lambda video: opencv(video, "createBackgroundSubtractorKNN"),
    }
    results = [_row(name, maker, folders) for name, maker in makers.items()]
    best = {folder.name: max(row[folder.name] for row in results[1:]) for folder in folders}
    results.append({"what": "better of MOG2 and KNN"} | best | {"mean": round(sum(best.values()) / len(best), 3)})
    if not options.quick:
        report.against(results[0], "mean", at_least=0.94)
    report.draw(report.write("quality", results, folder=options.out, quick=options.quick))
    for name, row, cases in (
        ("composites", _case, list(composites.CASES)),
        ("rates", _at_rate, list(rates.CASES)),
        ("harder", _harder, sorted(path.parent.name for path in (report.FOOTAGE / "harder").glob("*/temporalROI.txt"))),
    ):
        if cases:
            rows = _cases(row, cases[: 1 if options.quick else None])
            report.draw(report.write(name, rows, folder=options.out, quick=options.quick))
    report.draw(report.write("lights", _lights(quick=options.quick), folder=options.out, quick=options.quick))
    if options.constants:
        table = _constants(folders, quick=options.quick)
        report.draw(report.write("constants", table, folder=options.out, quick=options.quick))


def _cases(row_of: Callable[[str], report.Row], names: list[str]) -> list[report.Row]:
    """Return a row for each case by its name: ours, MOG2 and KNN, over cells and over frames."""
    # Nothing is timed here, so every core may help.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        results: list[report.Row] = list(pool.map(row_of, names))
    keys = [key for key in results[0] if key != "what"]
    results.append({"what": "mean"} | {key: round(float(np.nanmean([row[key] for row in results])), 3) for key in keys})
    return results


def _lights(*, quick: bool) -> list[report.Row]:
    """Return a row for each light that changes and each kind of visitors: ours, MOG2 and KNN, over cells and frames."""
    names = [(name, visitors) for name in lights.LIGHTS for visitors in lights.VISITORS][: 1 if quick else None]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        results: list[report.Row] = list(pool.map(_light, names))
    return results


def _light(named: tuple[str, str]) -> report.Row:
    name, visitors = named
    made, rate = lights.case(name, visitors, _footage()), lights.LIGHTS[name].rate
    grids = {"ours": measure(enumerate(made.frames), time_base=Fraction(1, rate)).share}
    for peer in ("MOG2", "KNN"):
        grids[peer] = subtracted(made.frames, f"createBackgroundSubtractor{peer}")
    row: report.Row = {"what": f"{name}, {visitors}"}
    for who, share in grids.items():
        cell, frame = scores(share, *labelled(made.masks))
        row |= {who: round(cell, 3), f"{who}, frames": round(frame, 3)}
    empty = measure(enumerate(lights.case(name, "nobody", _footage()).frames), time_base=Fraction(1, rate)).share
    return row | {"ours, cells that move with nobody there": round(lights.quiet(empty, lights.LIGHTS[name]), 4)}


def _case(name: str) -> report.Row:
    case = composites.CASES[name](_footage())
    grids = {"ours": _measured(case, MeasureSettings())} | _peers(case.frames)
    return _compared(name, grids, *labelled(case.masks))


def _at_rate(name: str) -> report.Row:
    case = rates.CASES[name](_footage())
    share = measure(zip(case.pts.tolist(), case.frames, strict=True), time_base=rates.TIME_BASE).share
    return _compared(name, {"ours": share} | _peers(case.frames), *labelled(case.masks))


def _harder(name: str) -> report.Row:
    """Return the row of a sequence on which measuring itself was once wrong."""
    folder = report.FOOTAGE / "harder" / name
    video = folder / "video.mp4"
    part, moving, scored = truth(folder)
    grids = {"ours": ours(video)} | {peer: opencv(video, f"createBackgroundSubtractor{peer}") for peer in _PEERS}
    return _compared(name, {who: grid[part] for who, grid in grids.items()}, moving, scored)


def _peers(frames: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    return {peer: subtracted(frames, f"createBackgroundSubtractor{peer}") for peer in _PEERS}


def _compared(
    name: str, grids: dict[str, NDArray[Any]], moving: NDArray[np.bool_], scored: NDArray[np.bool_]
) -> report.Row:
    row: report.Row = {"what": name}
    for who, share in grids.items():
        cell, frame = scores(share, moving, scored)
        row |= {who: round(cell, 3), f"{who}, frames": round(frame, 3)}
    return row


@cache
def _footage() -> composites.Footage:
    return composites.Footage(report.FOOTAGE)


def _constants(folders: list[Path], *, quick: bool) -> list[report.Row]:
    """Return the mean scores over labelled sequences and over hard cases, with every constant halved and doubled."""
    names = list(composites.CASES)[: 1 if quick else None]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        labelled_means = np.mean(list(pool.map(_varied, folders)), axis=0)
        hard_means = np.mean(list(pool.map(_varied, names)), axis=0)
    return [
        {
            "what": name if value is None else f"{name} = {value}",
            "labelled": round(float(labelled_mean), 3),
            "hard cases": round(float(hard_mean), 3),
        }
        for (name, value), labelled_mean, hard_mean in zip(_variants(), labelled_means, hard_means, strict=True)
    ]


def _variants() -> list[tuple[str, Any]]:
    return [("as it is", None), *variants()]


def _varied(case: Path | str) -> list[float]:
    """Return the score over cells of a labelled sequence, or of a hard case by its name, for each of the variants."""
    if isinstance(case, Path):
        part, moving, scored = truth(case)
        with open_video(case / "video.mp4") as video:
            frames = [(pts, plane.copy()) for pts, plane in video.luma()]
        time_base = video.time_base
    else:
        made = composites.CASES[case](_footage())
        part, (moving, scored) = slice(None), labelled(made.masks)
        frames, time_base = list(enumerate(made.frames)), Fraction(1, composites.RATE)
    found = []
    for name, value in _variants():
        with changed(name, value) if value is not None else nullcontext(MeasureSettings()) as settings:
            share = measure(frames, time_base=time_base, settings=settings).share
            found.append(scores(share[part], moving, scored)[0])
    return found


def _measured(case: composites.Case, settings: MeasureSettings) -> NDArray[Any]:
    return measure(enumerate(case.frames), time_base=Fraction(1, composites.RATE), settings=settings).share


def _row(name: str, maker: Callable[[Path], NDArray[Any]], folders: list[Path]) -> dict[str, Any]:
    scores = {folder.name: score(maker(folder / "video.mp4"), folder) for folder in folders}
    cells = {folder: round(cell, 3) for folder, (cell, _) in scores.items()}
    frames = [frame for _, frame in scores.values() if not np.isnan(frame)]
    mean = sum(cell for cell, _ in scores.values()) / len(scores)
    return {"what": name} | cells | {"mean": round(mean, 3), "frame_ap": round(sum(frames) / max(len(frames), 1), 3)}


if __name__ == "__main__":
    main()
