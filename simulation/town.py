"""The town of the demonstration with many owners: one camera each, a few films shared out among them, and their minds.

What each owner does with a request is drawn beforehand, so that the same seed tells the same story.
"""

from __future__ import annotations

import math
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from pipeline.case.area import Area
from pipeline.clip import Camera, Owner, Sharing
from pipeline.span import NS, Span
from simulation.film import FilmJob, film
from simulation.scene import Scene
from workers.batch import run
from workers.receipt import Receipt
from workers.settings import BatchSettings

_FILMS: Final = 8
_RATE: Final = 10
_STREETS: Final = 14  # houses side by side
_HOUSE_M, _STREET_M = 30.0, 60.0
_LON, _LAT = 4.8200, 52.0100  # a meadow
_METRES_PER_DEGREE = 111_320
_DAY_NS = 86_400 * NS
_LANGUAGES: Final = ("en", "es", "de", "fr")


class Mind(StrEnum):
    """What an owner does with a request."""

    SHARES = "shares"
    SHARES_PART = "shares a part"
    DECLINES = "declines"
    SILENT = "is silent"
    WITHDRAWS = "shares, then withdraws"
    OPTS_OUT = "opts out"


_SHARES_OF_ALL: Final = {
    Mind.SHARES: 0.40, Mind.SHARES_PART: 0.05, Mind.DECLINES: 0.17, Mind.SILENT: 0.28, Mind.WITHDRAWS: 0.05,
    Mind.OPTS_OUT: 0.05,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Town:
    """Owners with a camera each, what they will do, and the films that their cameras made in the `evening`.

    films: what is filmed; copies: which camera's clip is which film. asked: where and when an officer asks.
    """

    owners: tuple[Owner, ...]
    cameras: tuple[Camera, ...]
    minds: dict[str, Mind]
    films: tuple[FilmJob, ...]
    copies: tuple[tuple[Path, Path], ...]
    asked: tuple[Area, Span]


def lay_out(folder: Path, *, owners: int, seed: int, seconds: int) -> Town:
    """Build a town of so many owners, its films of `seconds` in `folder`, yesterday evening."""
    draw = random.Random(seed)  # noqa: S311 - a simulation
    start_ns = time.time_ns() // _DAY_NS * _DAY_NS - _DAY_NS + 18 * 3600 * NS
    films = tuple(_film(folder / "films", number, seed=seed, seconds=seconds) for number in range(_FILMS))
    people, cameras, copies, minds = [], [], [], {}
    for number in range(owners):
        name = f"owner-{number + 1:03d}"
        east_m, north_m = number % _STREETS * _HOUSE_M, number // _STREETS * _STREET_M
        lat = _LAT + north_m / _METRES_PER_DEGREE
        lon = _LON + east_m / (_METRES_PER_DEGREE * math.cos(math.radians(_LAT)))
        sharing = Sharing.ALWAYS if number % 20 == 7 else Sharing.NEVER if number % 20 == 13 else Sharing.ASK
        camera = Camera(f"cam-{number + 1:03d}", round(lon, 7), round(lat, 7), name, sharing)
        language = _LANGUAGES[number % len(_LANGUAGES)]
        people.append(Owner(name, f"Owner {number + 1}", f"{name}@town.example", language))
        minds[name] = draw.choices(list(_SHARES_OF_ALL), list(_SHARES_OF_ALL.values()))[0]
        cameras.append(camera)
        at = datetime.fromtimestamp(start_ns // NS + 300 + draw.randrange(500), UTC)
        copies.append((draw.choice(films).path, folder / "clips" / camera.id / f"{at:%Y%m%dT%H%M%SZ}.mp4"))
    return Town(tuple(people), tuple(cameras), minds, films, tuple(copies), _asked(cameras, start_ns))


def _film(folder: Path, number: int, *, seed: int, seconds: int) -> FilmJob:
    """Return what one of the films shows; the first an empty street: who is asked does not tell what was filmed."""
    busy = 6.0 if number else 0.0
    site, night = seed * 100 + number, number == 3
    scene = Scene(seed * 10_000 + number, frames=seconds * _RATE, busy=busy, site=site, night=night)
    return FilmJob(scene, folder / f"{number}.mp4")


def _asked(cameras: list[Camera], start_ns: int) -> tuple[Area, Span]:
    """Return an area around all houses, large enough to be asked for, and twenty minutes."""
    margin = 0.0012
    west, east = min(one.lon for one in cameras) - 2 * margin, max(one.lon for one in cameras) + margin
    south, north = min(one.lat for one in cameras) - margin, max(one.lat for one in cameras) + margin
    ring = ((west, south), (east, south), (east, north), (west, north), (west, south))
    return Area((ring,)), Span(start_ns, start_ns + 1200 * NS)


def film_town(town: Town, *, settings: BatchSettings) -> Iterator[Receipt[FilmJob, Path]]:
    """Film what is not there yet, yielding each receipt, and give every camera its clip at the end."""
    yield from run(town.films, film, None, settings=settings)
    for source, target in town.copies:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copyfile(source, target)
