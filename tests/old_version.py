"""A bucket and a catalogue as an earlier version wrote them: its code is checked out of git and run as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
COMMIT = "0dbda7b2dcce1cbab4ebbfeaccc09a7c6f6d1ccd"
"""The last state before documents carried their schema and names told nothing."""

# Run by the old code: films, cameras and a request old enough to need no limits.
_MAKE = """
import json, sys
from fractions import Fraction
from pathlib import Path
from pipeline.scene import Mover, Scene, render
from pipeline.video import encode

folder = Path(sys.argv[1])
drive = (Mover("vehicle", 3, ((-0.3, 0.8), (1.3, 0.8)), 2.0),)
back = (Mover("vehicle", 3, ((1.3, 0.8), (-0.3, 0.8)), 2.0),)
for camera, movers in (("front", drive), ("back", back), ("never", drive)):
    scene = Scene(11, frames=80, width=128, height=96, leaves=False, movers=movers)
    path = folder / "in" / camera / "20260131T180000Z.mp4"
    path.parent.mkdir(parents=True)
    encode(path, render(scene), rate=Fraction(10), gop=20, options={"bf": "0"})
(folder / "cameras.csv").write_text(
    "id,lon,lat,owner,sharing\\nfront,4.8001,52.0001,olga,always\\nback,4.8002,52.0002,piet,ask\\n"
    "never,4.8003,52.0002,sven,never\\n"
)
ring = [[4.798, 51.9985], [4.803, 51.9985], [4.803, 52.0015], [4.798, 52.0015], [4.798, 51.9985]]
(folder / "area.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
"""


@dataclass(frozen=True)
class OldData:
    """The data folder an earlier version wrote, and what it said of it: its answers by command, as JSON."""

    data: Path
    request: str
    said: dict[str, Any]


def write_old_data(folder: Path) -> OldData:
    """Have the earlier version take clips in, be asked, hear an owner and deliver, all in `folder`.

    Raises CalledProcessError where git has no such commit, as in a clone without history.
    """
    code, data = folder / "code", folder / "data"
    code.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", COMMIT], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(code)], input=archive, check=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LAMPLIGHTER_")}
    environment = kept | {"PYTHONPATH": str(code), "LAMPLIGHTER_REQUEST__MAX_AGE_DAYS": "36500"}

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=code, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def lamplighter(*words: str) -> Any:
        return json.loads(run("-m", "lamplighter", "--data", str(data), *words, "--json"))

    run("-c", _MAKE, str(folder))
    lamplighter("cameras", "import", str(folder / "cameras.csv"))
    lamplighter("ingest", str(folder / "in"), "--workers", "0")
    area, times = str(folder / "area.geojson"), ("2026-01-31T18:00:00Z", "2026-01-31T18:15:00Z")
    who = ("--case", "C-1", "--agency", "Town police", "--contact", "desk 4", "--incident", "burglary")
    request = lamplighter("request", "new", "--area", area, "--start", times[0], "--end", times[1], *who)["request"]
    lamplighter("decide", request, "--owner", "piet", "--share-all")
    asked = {
        "deliver": ("deliver", request, "--workers", "0"),
        "match": ("match", request),
        "show": ("show",),
        "camera": ("show", "front"),
        "request": ("show", request),
        "audit": ("audit", "verify"),
    }
    return OldData(data, request, {name: lamplighter(*words) for name, words in asked.items()})
