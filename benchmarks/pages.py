"""What somebody waits for at the pages: a slider of the tuner until its events are there, and the first page of all.

`python -m benchmarks.pages` (24 camera-hours in clips of a minute, some minutes), `--quick` (2 camera-hours). The pages
are served by this process over a store in a folder; each answer is asked for as the page's own script asks, through
HTTP, and compared with plain `detect` before its time is believed. Bare `detect` over the same is the floor.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np

from benchmarks import report
from benchmarks.stages import measured
from benchmarks.tuning import RATE, a_clip, sources
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import Settings, load
from lamplighter.web.server import listen, serve
from lamplighter.web.trial import SLIDERS, shown
from pipeline.activity import Activity
from pipeline.actor import Role
from pipeline.clip import Camera, Clip, Stream
from pipeline.detection.detect import detect
from pipeline.detection.gates import Detection
from pipeline.span import NS, parse_iso
from storage.archive import Ingested, clip_name

CAMERA, CLIP_S = "street-1", 60
_START_NS = parse_iso("2026-03-01T00:00:00Z")
_LIMIT_MS, _LIMIT_S = 150.0, 3.0
_STARTS = 5
COLUMNS = {
    "what": "what",
    "camera_hours": "camera-hours",
    "answers": "answers",
    "median_ms": "median (ms)",
    "p95_ms": "95th percentile (ms)",
    "most_ms": "most (ms)",
    "detect_s": "bare detect (s)",
    "first_page_s": "first page (s)",
}


def founded(folder: Path, hours: int) -> tuple[Settings, list[Activity]]:
    """Write a camera with so many hours of stored activity; return the settings, and the activities."""
    settings = load(flags=_flags(folder / "data", 0))
    templates = [measured(path) for path in sources(folder)]
    rng, found, clips = np.random.default_rng(3), [], []
    with open_desk(settings) as desk:
        desk.import_cameras([Camera(CAMERA, 16.37, 48.21, "olga")])
        desk.add_person("opal", Role.OPERATOR)
        archive = desk._holdings.archive  # noqa: SLF001 - what ingest writes, without the films
        for number in range(hours * 3600 // CLIP_S):
            activity, _ = a_clip([one.share for one in templates], templates[0], CLIP_S * RATE, rng)
            stream = Stream(
                "h264", activity.width, activity.height, activity.time_base, 0, CLIP_S * RATE * 1024, CLIP_S * RATE
            )
            clip = Clip(CAMERA, _START_NS + number * CLIP_S * NS, f"{number:064x}", 7, "clips/none", stream)
            one = Ingested(clip, f"activity/{clip_name(clip)}-1.npz", settings.measure.version(), "a.mp4")
            archive.store.put(one.activity, activity.to_bytes())
            archive.clips.put(one)
            found.append(activity)
            clips.append(one)
        desk._holdings.catalog.put_clips(clips)  # noqa: SLF001
    return settings, found


def _flags(data: Path, port: int) -> dict[str, Any]:
    return {"data": data, "store": {"kind": "directory"}, "batch": {"workers": 0}, "web": {"port": port}}


@contextmanager
def served(settings: Settings) -> Iterator[tuple[http.client.HTTPConnection, str, Desk]]:
    """Serve the pages; give a connection to them, the cookie of an operator, and the desk."""
    with listen(settings.web) as listening:
        port = listening.getsockname()[1]
        settings = load(flags=_flags(settings.data, port))
        with open_desk(settings) as desk:
            stop, up = threading.Event(), threading.Event()
            facts = {"stop": stop, "ready": lambda _: up.set()}
            thread = threading.Thread(target=serve, args=(desk, listening), kwargs=facts, daemon=True)
            thread.start()
            try:
                up.wait(30)
                secret = desk.enter_by_link(desk.make_link("opal")).secret
                yield http.client.HTTPConnection("localhost", port, timeout=600), f"session={secret}", desk
            finally:
                stop.set()
                thread.join(30)


def asked(connection: http.client.HTTPConnection, cookie: str, form: dict[str, str]) -> tuple[dict[str, Any], float]:
    """Ask what settings find, as the page's script does; return the answer and how long it took in milliseconds."""
    headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    began = time.perf_counter()
    connection.request("POST", f"/operator/cameras/{CAMERA}/try", urlencode(form), headers)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    if answer.status != 200:
        raise SystemExit(f"the tuner answers {answer.status}: {told}")
    return told, 1000 * (time.perf_counter() - began)


def dragged(
    connection: http.client.HTTPConnection,
    cookie: str,
    activities: list[Activity],
    form: dict[str, str],
    names: list[str],
) -> list[float]:
    """Drag sliders from end to end, one after the other, all others as they are; return the times of all answers."""
    times = []
    for name in names:
        for number, value in enumerate(SLIDERS[name]):
            told, ms = asked(connection, cookie, form | {name: value})
            times.append(ms)
            if number % 17 == 3:  # some of all, for to be sure costs seconds
                tried = Detection.model_validate({key: form[key] for key in SLIDERS} | {name: value})
                wanted = sum(len(detect(activity, tried)) for activity in activities)
                if told["count"] != wanted:
                    raise SystemExit(f"{name} = {value}: {told['count']} events, plain detect finds {wanted}")
    return times


def sliders(settings: Settings, activities: list[Activity], hours: int) -> list[report.Row]:
    """Return rows: how long each of the sliders takes to tell what it finds."""
    began = time.perf_counter()
    events = sum(len(detect(activity, Detection())) for activity in activities)
    floor = round(time.perf_counter() - began, 2)
    with served(settings) as (connection, cookie, desk):
        now = desk.settings.detection
        end_ns = _START_NS + hours * 3600 * NS
        form = {name: shown(now, name) for name in Detection.model_fields} | {"sent": "1", "scope": "camera"}
        form |= {"start": "2026-03-01T00:00:00Z", "end": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end_ns // NS))}
        told, first_ms = asked(connection, cookie, form)
        if told["count"] != events or not events:
            raise SystemExit(f"the page finds {told['count']} events, plain detect {events}")
        rows = [_row("the first answer, all activities read and weighed", hours, [first_ms], floor)]
        all_times = dragged(connection, cookie, activities, form, list(SLIDERS))
        rows.append(_row("a slider, others as shipped", hours, all_times, floor))
        report.against(rows[-1], "p95_ms", at_most=_LIMIT_MS)
        large = dragged(connection, cookie, activities, form | {"min_cells": "4"}, ["sensitivity"])
        rows.append(_row("sensitivity, where min_cells is 4: every level is new", hours, large, floor))
        travels = dragged(connection, cookie, activities, form | {"travel": "0.05"}, ["sensitivity"])
        rows.append(_row("sensitivity, where travel is 0.05: every level is new", hours, travels, floor))
        zone = form | {"watch": "0,0 0.5,0 0.5,1 0,1"}
        rows.append(_row("another zone", hours, [asked(connection, cookie, zone)[1]], floor))
    return rows


def _row(what: str, hours: int, times: list[float], floor: float) -> report.Row:
    p95 = sorted(times)[max(0, -int(-0.95 * len(times) // 1) - 1)]
    figures = {"median_ms": statistics.median(times), "p95_ms": p95, "most_ms": max(times)}
    told: report.Row = {"what": what, "camera_hours": hours, "answers": len(times), "detect_s": floor}
    return told | {name: round(value, 1) for name, value in figures.items()}


def cold_start(settings: Settings) -> report.Row:
    """Return a row: from the command to the first page, a process of its own each time."""
    seconds = []
    words = [sys.executable, "-m", "lamplighter", "--data", str(settings.data), "web", "--port", "0", "--json"]
    for _ in range(_STARTS):
        began = time.perf_counter()
        environment = os.environ | {"LAMPLIGHTER_STORE__KIND": "directory"}
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
            try:
                lines = iter(process.stdout.readline, "}\n") if process.stdout else []
                at = urlsplit(json.loads("".join(lines) + "}")["url"])
                connection = http.client.HTTPConnection("localhost", at.port, timeout=30)
                connection.request("GET", "/sign-in")
                answer = connection.getresponse()
                page = answer.read()
                seconds.append(time.perf_counter() - began)
                if answer.status != 200 or b"<form" not in page:
                    raise SystemExit(f"the first page answers {answer.status}")
            finally:
                process.terminate()
                process.wait(30)
    row: report.Row = {"what": f"`lamplighter web` to its first page, the median of {_STARTS}", "answers": _STARTS}
    row |= {"first_page_s": round(statistics.median(seconds), 2), "most_s": round(max(seconds), 2)}
    return report.against(row, "first_page_s", at_most=_LIMIT_S)


def main() -> None:
    """Measure, write JSON, draw."""
    options = report.options(__doc__)
    hours = 2 if options.quick else 24
    with tempfile.TemporaryDirectory() as folder:
        settings, activities = founded(Path(folder), hours)
        rows = list(itertools.chain([cold_start(settings)], sliders(settings, activities, hours)))
    report.draw(report.write("pages", rows, folder=options.out, quick=options.quick, columns=COLUMNS))


if __name__ == "__main__":
    main()
