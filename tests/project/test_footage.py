"""The whole trip as a user makes it: the real clips, a Ray of two workers, a real MinIO, by the command line alone."""

import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.media.decode import open_video
from pipeline.span import NS, Span, parse_iso
from storage import minio_server
from storage.access import StoreSettings
from storage.s3 import S3Store

START = "2026-01-31T18:00:00Z"
ASKED = Span(parse_iso("2026-01-31T18:00:03.3Z"), parse_iso("2026-01-31T18:00:09.3Z"))


class Person:
    """Someone at the command line, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("LAMPLIGHTER_")
        } | {
            "LAMPLIGHTER_STORE__KIND": "s3",
            "LAMPLIGHTER_REQUEST__MIN_SPAN_S": "5",
            "LAMPLIGHTER_REQUEST__MAX_AGE_DAYS": "36500",
        }

    def runs(self, *words: str, code: int = 0) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "lamplighter", *words, "--json"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr + done.stdout
        return json.loads(done.stdout)


@pytest.fixture
def person(tmp_path: Path, footage: Path, minio_binary: None) -> Person:  # noqa: ARG001
    rows = ["id,lon,lat,owner,sharing"]
    for number, clip in enumerate(sorted((footage / "clips").iterdir())):
        camera = clip.stem.replace("_", "-")
        target = tmp_path / "uploads" / camera / f"20260131T180000Z{clip.suffix}"
        target.parent.mkdir(parents=True)
        shutil.copyfile(clip, target)
        rows.append(f"{camera},{4.8 + number / 10_000},52.0,owner,ask")
    (tmp_path / "cameras.csv").write_text("\n".join(rows))
    ring = [[4.797, 51.9985], [4.804, 51.9985], [4.804, 52.0015], [4.797, 52.0015], [4.797, 51.9985]]
    (tmp_path / "area.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    return Person(tmp_path)


@pytest.mark.timeout(600)
def test_the_real_clips_go_from_upload_to_verified_delivery_and_a_second_run_does_nothing_new(person: Person) -> None:
    uploads, data = person.folder / "uploads", person.folder / "lamplighter-data"
    person.runs("minio", "start")
    try:
        server = minio_server.status(data / "minio")
        assert server is not None
        assert len(person.runs("cameras", "import", "cameras.csv")["imported"]) == 12
        template = ("--template", "{camera}/{start:%Y%m%dT%H%M%SZ}{any}")
        first = person.runs("ingest", "uploads", *template, "--workers", "2")
        assert first["outcomes"] == {"done": 12}
        assert first["set_aside"] == []
        made = person.runs(
            *("request", "new", "--area", "area.geojson", "--start", "2026-01-31T18:00:03.3Z"),
            *("--end", "2026-01-31T18:00:09.3Z", "--own", "owner"),
        )["request"]
        delivered = person.runs("deliver", made, "--workers", "2")["delivered"]
        assert len(delivered) >= 8
        store = S3Store(StoreSettings(kind="s3", endpoint=server.endpoint, secure=False), server.credentials)
        clips = {clip["clip"]: clip for clip in first["clips"]}
        made_of = {one["key"]: one["clip"] for one in person.runs("show", made)["delivered"]}
        for record in delivered:
            copy = person.folder / "got.mp4"
            store.fetch(record["key"], copy)
            assert sha256(copy.read_bytes()).hexdigest() == record["sha256"]
            source = uploads / clips[made_of[record["key"]]]["camera"] / clips[made_of[record["key"]]]["source"]
            compare(source, copy, record)
        assert person.runs("ingest", "uploads", *template, "--workers", "2")["outcomes"] == {"already done": 12}
        assert person.runs("deliver", made, "--workers", "2")["outcomes"] == {"already done": len(delivered)}
        audit = person.runs("log", "audit")
        assert (audit["wrong"], audit["delivered"]) == ([], len(delivered))
    finally:
        person.runs("minio", "stop")


def compare(source: Path, copy: Path, record: dict[str, Any]) -> None:
    """Hold every delivered frame against the source's frame of the same instant."""
    start_ns = parse_iso(START)
    with open_video(source, loop_filter=True) as video:
        frames = [(pts, plane.copy()) for pts, plane in islice(video.luma(), 400)]
        first = frames[0][0]
        times = [start_ns + (pts - first) * video.time_base * NS for pts, _ in frames]
    wanted = [index for index, t in enumerate(times) if ASKED.start_ns <= t < ASKED.end_ns]
    with open_video(copy, loop_filter=True) as video:
        got = [(pts * video.time_base, plane.copy()) for pts, plane in video.luma()]
    assert len(got) == len(wanted) == record["frames"]
    for (t, plane), index in zip(got, wanted, strict=True):
        offset = (t - got[0][0]) * NS - (times[index] - times[wanted[0]])
        assert abs(offset) < NS / 10_000, f"{source.name}: frame {index} is {float(offset) / 1e6} ms off"
        error = mean_difference(plane, frames[index][1])
        assert error < (0.01 if record["method"] == "remux" else 6), f"{source.name}: frame {index} differs by {error}"


def mean_difference(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    return float(np.abs(a.astype(np.int16) - b).mean())
