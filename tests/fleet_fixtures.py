"""A small simulated fleet: films made once for the session, and a desk over an empty directory store."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import load
from pipeline.actor import Actor, Role
from pipeline.case.area import Area
from pipeline.case.consent import Decision, Share
from pipeline.case.life import CHECKLIST
from pipeline.case.request import Request
from pipeline.clip import Camera, Sharing
from pipeline.media.encode import encode
from pipeline.people import Agency
from pipeline.span import NS, Span, parse_iso
from simulation.scene import Mover, Scene, render

START_NS = parse_iso("2026-01-31T18:00:00Z")
CAMERAS = (
    Camera("always-1", 4.8001, 52.0001, "olga", Sharing.ALWAYS),
    Camera("ask-1", 4.8002, 52.0002, "piet", Sharing.ASK),
    Camera("ask-2", 4.8003, 52.0001, "ruth", Sharing.ASK),
    Camera("never-1", 4.8004, 52.0002, "sven", Sharing.NEVER),
    Camera("far-1", 4.9000, 52.0002, "tina", Sharing.ALWAYS),
)


CAMERA_ROWS = (
    "id,lon,lat,owner,sharing",
    *(f"{one.id},{one.lon},{one.lat},{one.owner},{'never' if one.sharing == 'never' else 'ask'}" for one in CAMERAS),
)
"""The cameras as an operator imports them, in CSV: that one always shares is for its owner to say."""


@dataclass(frozen=True)
class Films:
    """Paths of films, 128 x 96 at 10 frames a second, 8 s with a keyframe every 2 s."""

    moving: Path
    other: Path
    still: Path


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Films:
    folder = tmp_path_factory.mktemp("films")
    drive = (Mover("vehicle", 3, ((-0.3, 0.8), (1.3, 0.8)), 2.0),)
    back = (Mover("vehicle", 3, ((1.3, 0.8), (-0.3, 0.8)), 2.0),)
    for name, movers in (("moving", drive), ("other", back), ("still", ())):
        scene = Scene(11, frames=80, width=128, height=96, leaves=False, movers=movers)
        encode(folder / f"{name}.mp4", render(scene), rate=Fraction(10), gop=20, options={"bf": "0"})
    return Films(*(folder / f"{name}.mp4" for name in ("moving", "other", "still")))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk over an empty directory store, in this process; requests may be as old as the films."""
    flags = {
        "data": tmp_path / "data",
        "batch": {"workers": 0},
        "request": {"max_age_days": 36_500},
        "case": {"tick_s": 0},
    }
    with open_desk(load(flags=flags)) as opened:
        move_in(opened, CAMERAS)
        yield opened


def change(desk: Desk, **sections: Any) -> None:
    """Let the desk go on under settings with these sections, as the next command would."""
    settings = desk.settings.model_copy(update=sections)
    desk._holdings = replace(desk._holdings, settings=settings)


def move_in(desk: Desk, cameras: Iterable[Camera]) -> None:
    """Import cameras, each in its owner's name, as they alone may say that it always shares."""
    for camera in cameras:
        as_owner(desk, camera.owner).import_cameras([camera])


def as_owner(desk: Desk, owner: str) -> Desk:
    return desk.acting_as(Actor(Role.OWNER, owner))


def staff(desk: Desk) -> None:
    """Register the agency `town` with the officer otto, the reviewers rita and remy, and linus and lena of legal."""
    if any(agency.id == "town" for agency in desk.agencies()):
        return
    desk.add_agency(Agency("town", "Town police", "desk 4"))
    desk.add_person("otto", Role.OFFICER, agency="town")
    for name, role in (("rita", "reviewer"), ("remy", "reviewer"), ("linus", "legal"), ("lena", "legal")):
        desk.add_person(name, Role(role))
    desk.add_person("ada", Role.AUDITOR)


def submit(desk: Desk, request: Request) -> Request:
    """Submit a request as an officer of the agency `town`."""
    staff(desk)
    return desk.acting_for("otto").new_request(request)


def approve(desk: Desk, request: Request) -> None:
    """Approve a request as the two reviewers whom it needs."""
    for reviewer in ("rita", "remy"):
        desk.acting_for(reviewer).review(request, approve=True, checked=CHECKLIST)


def ask(desk: Desk, request: Request) -> Request:
    """Submit a request, have it approved, and send it to the owners; return it as it was settled."""
    asked = submit(desk, request)
    approve(desk, asked)
    desk.send(asked)
    return asked


def staff_of(data: Path) -> None:
    """Register the staff in a data folder, beside what the command line does there."""
    with open_desk(load(flags={"data": data})) as desk:
        staff(desk)


def send_on(data: Path, request: str) -> str:
    """Have a request that the command line made approved and sent, and return its id."""
    with open_desk(load(flags={"data": data})) as desk:
        asked = desk.request(request)
        approve(desk, asked)
        desk.send(asked)
    return request


def answer(desk: Desk, request: Request, owner: str, *, share: Sequence[str | Share] | None) -> Decision:
    """Answer a request as its owner."""
    return as_owner(desk, owner).decide(request, owner, share=share)


def a_request(*, case: str = "C-1", start_s: int = 0, end_s: int = 900) -> Request:
    """Ask for the corner where all cameras but far-1 stand, from `start_s` to `end_s` after the films start."""
    west, south, east, north = 4.798, 51.9985, 4.803, 52.0015
    ring = ((west, south), (east, south), (east, north), (west, north), (west, south))
    span = Span(START_NS + start_s * NS, START_NS + end_s * NS)
    return Request(Area((ring,)), span, case, "town", "desk 4", "burglary", time.time_ns())


def put_film(film: Path, folder: Path, camera: str, *, after_s: int = 0) -> Path:
    """Copy a film to where the default template reads its camera and start."""
    seconds = START_NS // NS + after_s
    hours, rest = divmod(seconds % 86_400, 3600)
    path = folder / camera / f"20260131T{hours:02d}{rest // 60:02d}{rest % 60:02d}Z.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(film.read_bytes())
    return path
