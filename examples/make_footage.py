"""Films the street of the tutorial: `python examples/make_footage.py uploads`.

Five cameras, two clips each of half a minute, on 31 January 2026. The same clips everywhere, on any day: nobody lives
there. `--labels` prints who is in them when, as `lamplighter tune` reads it; that is what labels.csv holds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

from simulation.film import FilmJob, film
from simulation.scene import Scene, crossings
from workers.receipt import Stopwatch

CAMERAS = ("front-door", "driveway", "corner", "porch", "garden")
AFTERNOON, EVENING = datetime(2026, 1, 31, 14, 4, tzinfo=UTC), datetime(2026, 1, 31, 18, 4, tzinfo=UTC)
FRAMES, RATE = 300, Fraction(10)


def scenes() -> Iterator[tuple[str, datetime, Scene]]:
    """Yield (camera, start, scene) of every clip."""
    for number, camera in enumerate(CAMERAS):
        for start in (AFTERNOON, EVENING):
            night = start == EVENING
            scene = Scene(
                7_000 + 10 * number + night,
                frames=FRAMES,
                rate=RATE,
                busy=0 if camera == "garden" and night else 5,
                night=night,
                site=700 + number,
            )
            yield camera, start + timedelta(seconds=97 * number), scene


def make(folder: Path) -> list[Path]:
    """Film what is missing in `folder`, under {camera}/{start}.mp4, and return all the files."""
    jobs = [FilmJob(scene, folder / camera / f"{start:%Y%m%dT%H%M%SZ}.mp4") for camera, start, scene in scenes()]
    for job in jobs:
        film(job, None, Stopwatch())
    return [job.path for job in jobs]


def labels() -> Iterator[str]:
    """Yield the lines of labels.csv: from when to when somebody is in sight for a second or more."""
    yield "camera,start,end"
    for camera, start, scene in scenes():
        spans: list[list[int]] = []
        for first, last in sorted((frames.start, frames.stop) for _, frames in crossings(scene)):
            if spans and first <= spans[-1][1]:
                spans[-1][1] = max(last, spans[-1][1])
            else:
                spans.append([first, last])
        for span in spans:
            if span[1] - span[0] >= RATE:
                begin, end = (start + timedelta(seconds=float(n / RATE)) for n in span)
                yield f"{camera},{begin.isoformat()},{end.isoformat()}".replace("+00:00", "Z")


def main() -> None:
    """Film into the folder that is named, or print the labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("uploads"))
    parser.add_argument("--labels", action="store_true", help="print who is in the clips when, and film nothing")
    chosen = parser.parse_args()
    if chosen.labels:
        print("\n".join(labels()))
    else:
        print(f"{len(make(chosen.folder))} clips in {chosen.folder}/")


if __name__ == "__main__":
    main()
