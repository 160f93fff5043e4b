"""The street of the demonstration: a dozen cameras on one evening, their owners, and the films they made."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pipeline.case.area import Area
from pipeline.clip import Camera, Sharing
from pipeline.span import NS, Span
from simulation.film import FilmJob, film
from simulation.scene import Scene
from workers.batch import run
from workers.receipt import Receipt
from workers.settings import BatchSettings

CAMERAS: Final = 12
_CLIPS, _RATE = 3, 10
_LON, _LAT = 4.8000, 52.0000  # a meadow: the street is nobody's
_METRES_PER_DEGREE = 111_320
_DAY_NS = 86_400 * NS


@dataclass(frozen=True, slots=True)
class Street:
    """Cameras on both sides of a street, the films they make, and the 20 minutes in which they make them."""

    cameras: tuple[Camera, ...]
    films: tuple[FilmJob, ...]
    evening: Span

    @property
    def asked(self) -> tuple[Area, Span]:
        """What an officer may ask for: fifteen of the minutes, around all but the last two cameras."""
        inside = self.cameras[:-2]
        west, east = inside[0].lon - 0.0010, inside[-1].lon + 0.0004
        south, north = _LAT - 0.0012, _LAT + 0.0013
        ring = ((west, south), (east, south), (east, north), (west, north), (west, south))
        start_ns = self.evening.start_ns + 300 * NS
        return Area((ring,)), Span(start_ns, start_ns + 900 * NS)


def lay_out(folder: Path, *, seed: int, seconds: int) -> Street:
    """Place the cameras and their films in `folder`, yesterday evening; the same seed films the same clips."""
    draw = random.Random(seed)  # noqa: S311 - a simulation
    start_ns = time.time_ns() // _DAY_NS * _DAY_NS - _DAY_NS + 18 * 3600 * NS
    cameras, films = [], []
    sharing = [Sharing.ALWAYS] * 3 + [Sharing.NEVER] + [Sharing.ASK] * (CAMERAS - 4)
    draw.shuffle(sharing)
    for number in range(CAMERAS):
        # The last two stand down the road, beyond every cell of the map that the area touches.
        east_m, north_m = number // 2 * 60.0 + (300.0 if number >= CAMERAS - 2 else 0.0), 12.0 * (number % 2)
        lat = _LAT + north_m / _METRES_PER_DEGREE
        lon = _LON + east_m / (_METRES_PER_DEGREE * math.cos(math.radians(_LAT)))
        name = f"cam-{number + 1:02d}"
        owner = f"owner-{(number + 2) // 2 if number < 4 else number + 1:02d}"
        cameras.append(Camera(name, round(lon, 7), round(lat, 7), owner, sharing[number]))
        for clip in range(_CLIPS):
            quiet = draw.random() < 0.25
            scene = Scene(
                seed * 10_000 + number * 100 + clip,
                frames=seconds * _RATE,
                busy=0 if quiet else draw.uniform(2, 6),
                site=seed * 100 + number,
                night=number % 4 == 3,
                rain=number == 5,
                clouds=draw.random() < 0.2,
            )
            at = start_ns + (clip * 420 + draw.randrange(300)) * NS
            stamp = datetime.fromtimestamp(at // NS, UTC).strftime("%Y%m%dT%H%M%SZ")
            films.append(FilmJob(scene, folder / name / f"{stamp}.mp4"))
    return Street(tuple(cameras), tuple(films), Span(start_ns, start_ns + 1200 * NS))


def film_street(street: Street, *, settings: BatchSettings) -> Iterator[Receipt[FilmJob, Path]]:
    """Film what is not there yet; yield the receipt of each film as it comes."""
    yield from run(street.films, film, None, settings=settings)
