"""What one would use instead to decide: the published default rules of other tools, written from their documentation.

- DVR-Scan's rule (its documentation and dvr-scan.cfg): a subtractor on grey frames, its foreground opened with a square
  of 3 pixels (5 from 1280 pixels of width on, 7 from 1920), a frame's score the mean of the mask (255 = all of it),
  threshold 0.15, `min-event-length` 0.1 s, an event goes on until 2 s without motion. With MOG2, its default, and
  with KNN, which it does not offer. Where `dvr-scan` itself is on PATH, it is run as well.
- Frigate's motion detection (its documentation, "motion" in the reference configuration): five frames a second, 100
  pixels high, contrast stretched between percentiles, blurred, the difference from a running average (frame_alpha 0.01)
  over a threshold of 30, contours of more than 10 pixels. It has no rule of events of its own: frames at most 2 s
  apart are one.

Not here: GSOC and LSBP (`cv2.bgsegm`, in opencv-contrib alone) and SuBSENSE; see `absent`.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.material import Clip, ranges
from pipeline.media.encode import encode

U8 = NDArray[np.uint8]
Scores = NDArray[np.float64]

_DVR_THRESHOLD, _DVR_LEAST_S, _DVR_AFTER_S = 0.15, 0.1, 2.0
_FRIGATE_HZ, _FRIGATE_HEIGHT, _FRIGATE_DIFFERENCE, _FRIGATE_AREA = 5, 100, 30, 10
_FRIGATE_ALPHA, _FRIGATE_CALIBRATING, _FRIGATE_LIGHTNING, _FRIGATE_PERSISTS = 0.01, 0.2, 0.8, 10
_FRIGATE_CONTRASTS = 50  # frames over which the percentiles are averaged
_FRIGATE_PERCENTILES = (4, 96)
_TIME = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


def absent() -> dict[str, str]:
    """Return what is not compared here, with the reason."""
    import cv2  # noqa: PLC0415 - an extra of the benchmarks

    found = {}
    if not hasattr(cv2, "bgsegm"):
        found["GSOC, LSBP"] = "cv2.bgsegm is not in this OpenCV; opencv-contrib-python-headless has it"
    if importlib.util.find_spec("pybgs") is None:
        found["SuBSENSE"] = "pybgs is not installed; for this Python and machine its index has sources alone"
    if not shutil.which("dvr-scan"):
        found["DVR-Scan"] = "dvr-scan is not on PATH; its rule, written after its documentation, stands for it"
    return found


def subtractors() -> dict[str, Callable[[], Any]]:
    """Return what makes each subtractor of OpenCV there is here, as DVR-Scan sets it up."""
    import cv2  # noqa: PLC0415

    cv2.setNumThreads(1)
    found: dict[str, Callable[[], Any]] = {
        "MOG2": lambda: cv2.createBackgroundSubtractorMOG2(detectShadows=False),
        "KNN": lambda: cv2.createBackgroundSubtractorKNN(detectShadows=False),
    }
    more = getattr(cv2, "bgsegm", None)
    if more is not None:
        found |= {"GSOC": more.createBackgroundSubtractorGSOC, "LSBP": more.createBackgroundSubtractorLSBP}
    return found


def dvr_scores(planes: Iterable[U8], model: Any) -> Scores:  # noqa: ANN401 - of any subtractor
    """Return a score of every frame (N,), 0 to 255: the mean of the subtractor's opened foreground."""
    import cv2  # noqa: PLC0415

    scores = []
    for plane in planes:
        side = 7 if plane.shape[1] >= 1920 else 5 if plane.shape[1] >= 1280 else 3
        mask = cv2.morphologyEx(model.apply(plane), cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
        scores.append(float(mask.mean()))
    return np.array(scores[:1] and [0.0, *scores[1:]])  # nothing is known in the first frame


def dvr_events(scores: Scores, rate: float, *, threshold: float = _DVR_THRESHOLD) -> list[tuple[int, int]]:
    """Return the events as half-open ranges of frames, without what is kept before and after them."""
    over = scores >= threshold
    least = max(1, round(_DVR_LEAST_S * rate))
    events: list[tuple[int, int]] = []
    for first, end in ranges(over):
        if events and first - events[-1][1] < _DVR_AFTER_S * rate:
            events[-1] = events[-1][0], end
        elif end - first >= least:
            events.append((first, end))
    return events


def frigate_areas(planes: Iterable[U8]) -> Scores:
    """Return the area of the largest contour that moves in every frame (N,), in pixels of a picture 100 high.

    0 while it says of itself that it is calibrating.
    """
    import cv2  # noqa: PLC0415

    average, contrasts, calibrating, moved, areas = None, [(0.0, 255.0)] * _FRIGATE_CONTRASTS, True, 0, []
    for plane in planes:
        height, width = plane.shape
        small = cv2.resize(plane, (_FRIGATE_HEIGHT * width // height, _FRIGATE_HEIGHT), interpolation=cv2.INTER_NEAREST)
        low, high = (float(at) for at in np.percentile(small, _FRIGATE_PERCENTILES).astype(np.uint8))
        if low < high:
            contrasts = [*contrasts[1:], (low, high)]
            low, high = np.mean(contrasts, axis=0)
            small = ((small.clip(low, high) - low) / (high - low) * 255).astype(np.uint8)
        small = cv2.GaussianBlur(small, (3, 3), 1)
        if average is None:
            average = np.zeros(small.shape, np.float32)
        over = (cv2.absdiff(small, cv2.convertScaleAbs(average)) > _FRIGATE_DIFFERENCE).astype(np.uint8)
        contours, _ = cv2.findContours(
            cv2.dilate(over, np.ones((3, 3), np.uint8)), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
        )
        sizes = [cv2.contourArea(contour) for contour in contours]
        boxes, share = sum(size > _FRIGATE_AREA for size in sizes), sum(sizes) / small.size
        if share < 0.05 and boxes <= 4:
            calibrating = False
        calibrating = calibrating or share > _FRIGATE_LIGHTNING
        areas.append(0.0 if calibrating else max(sizes, default=0.0))
        moved = moved + 1 if boxes else 0
        if not boxes or moved >= _FRIGATE_PERSISTS:
            cv2.accumulateWeighted(small, average, _FRIGATE_CALIBRATING if calibrating else _FRIGATE_ALPHA)
    return np.array(areas)


def frigate_events(areas: Scores, rate: float, *, area: float = _FRIGATE_AREA) -> list[tuple[int, int]]:
    """Return the events as half-open ranges of frames."""
    events: list[tuple[int, int]] = []
    for first, end in ranges(areas > area):
        if events and first - events[-1][1] <= _DVR_AFTER_S * rate:
            events[-1] = events[-1][0], end
        else:
            events.append((first, end))
    return events


def judged(clip: Clip) -> dict[str, dict[str, Any]]:
    """Return what every rule says of a clip, by its name: `events`, half-open ranges of frames, and `scores` (N,)."""
    rate, count = clip.truth.rate, clip.truth.frames
    found: dict[str, dict[str, Any]] = {}
    for name, make in subtractors().items():
        model = make()
        scores = clip.opened(partial(_dvr_scored, model))
        found[f"DVR-Scan's rule, {name}"] = {"events": dvr_events(scores, rate), "scores": scores.round(3).tolist()}
    step = max(1, round(rate / _FRIGATE_HZ))
    areas = clip.opened(lambda frames, _: frigate_areas(p for n, (_, p) in enumerate(frames) if n % step == 0))
    every = np.repeat(areas, step)[:count]
    found["Frigate's method"] = {"events": frigate_events(every, rate), "scores": every.tolist()}
    if shutil.which("dvr-scan"):
        found["DVR-Scan, defaults"] = {"events": clip.opened(lambda frames, _: _dvr_scan(frames, rate)), "scores": None}
    return found


def _dvr_scored(model: Any, frames: Iterable[tuple[int, U8]], _: Fraction) -> Scores:  # noqa: ANN401
    return dvr_scores((plane for _, plane in frames), model)


def judged_bytes(clip: Clip) -> bytes:
    """Return `judged` as JSON, to be kept."""
    return json.dumps(judged(clip)).encode()


def _dvr_scan(frames: Iterable[tuple[int, U8]], rate: float) -> list[tuple[int, int]]:
    """Run DVR-Scan itself over the frames, written nearly without loss."""
    with TemporaryDirectory(prefix="lamplighter-") as folder:
        path = Path(folder) / "clip.mp4"
        encode(
            path,
            (_i420(plane) for _, plane in frames),
            rate=Fraction(rate).limit_denominator(1000),
            options={"crf": "10"},
        )
        command = [
            "dvr-scan",
            "-i",
            str(path),
            "-so",
            "-q",
            "--ignore-user-config",
            "-tb",
            "0",
            "-tp",
            str(_DVR_AFTER_S),
        ]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    times = [60 * (60 * int(h) + int(m)) + float(s) for h, m, s in _TIME.findall(said)]
    pairs = itertools.batched(times, 2) if hasattr(itertools, "batched") else zip(times[::2], times[1::2], strict=True)
    return [
        (round(begin * rate), max(round(begin * rate) + 1, round((end - _DVR_AFTER_S) * rate))) for begin, end in pairs
    ]


def _i420(plane: U8) -> U8:
    height, width = plane.shape[0] // 2 * 2, plane.shape[1] // 2 * 2
    return np.concatenate([plane[:height, :width], np.full((height // 2, width), 128, np.uint8)])


def names(found: Sequence[dict[str, Any]]) -> list[str]:
    """Return the rules that have judged, in the order they first come."""
    return list(dict.fromkeys(name for one in found for name in one))
