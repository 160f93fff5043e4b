"""A small fleet with cases of which clips were released, and two logs of some thousand entries that grew in steps."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any, Final

from lamplighter.desk import logs
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.desk.holdings import Holdings, opened, operator
from lamplighter.report.package import pages
from lamplighter.settings import Settings, load
from pipeline.actor import Actor, Role
from pipeline.case.area import Area
from pipeline.case.life import CHECKLIST
from pipeline.case.order import Basis
from pipeline.case.request import Request
from pipeline.case.usage import Use
from pipeline.clip import Camera, Owner, Sharing
from pipeline.evidence.keys import Purpose, Signer
from pipeline.log.entry import LogName
from pipeline.log.note import COSIGNATURE, Signature, Verifier
from pipeline.media.encode import encode
from pipeline.people import Agency
from pipeline.span import NS, Span, parse_iso
from simulation.scene import Mover, Scene, render
from storage.catalog.audit import Line
from storage.remembered import Remembered

_START_NS: Final = parse_iso("2026-01-31T18:00:00Z")
_OWNERS: Final = ("piet", "ruth", "olga")
_CASES: Final = ("C-1", "C-2")
_TICKS: Final = 6
"""How often both logs are sealed while they grow."""
_OPEN: Final = ("request submitted", "request approved", "request sent", "fetched", "usage told")
_KEPT: Final = ("decision", "sharing set", "letters", "kept back", "still taken", "camera added")


@dataclass(frozen=True, slots=True)
class Fleet:
    """Where its bucket is, under which settings, and the bucket's logs as they were when they were sealed before.

    packages: the folders of its cases as they were exported.
    """

    settings: Settings
    bucket: Path
    older: Sequence[Mapping[str, bytes]]
    packages: Sequence[Path]


def released(folder: Path, *, entries: int) -> Fleet:
    """Make a fleet in an empty folder, with about so many entries in each log."""
    council = Signer.make(Purpose.LOG, 1)
    key = Verifier("witness.example/council", bytes.fromhex(council.key.public), COSIGNATURE)
    bucket = folder / "bucket"
    flags: dict[str, Any] = {
        "data": folder / "home",
        "store": {"path": str(bucket)},
        "batch": {"workers": 0},
        "request": {"max_age_days": 36_500},
        "case": {"tick_s": 0},
        "log": {"witnesses": [{"url": "http://127.0.0.1:9", "key": str(key)}], "witness_s": 0.2},
    }
    settings = load(flags=flags)
    with open_desk(settings) as desk:
        _move_in(desk)
        desk.make_keys()
    with open_desk(settings) as desk:
        _film(folder / "in")
        desk.ingest([str(folder / "in")])
        requests = [_release(desk, case) for case in _CASES]
        packages = [folder / f"package-{at}" for at in range(len(requests))]
        for request, package in zip(requests, packages, strict=True):
            desk.export_case(request, str(package), pages=pages)
    with opened(settings, operator()) as holdings:
        older = _grow(holdings, entries)
        _cosign(holdings, key, council)
    return Fleet(settings, bucket, older, packages)


def _cameras() -> list[Camera]:
    return [Camera(f"ask-{at}", 4.8001 + at / 10_000, 52.0001, one, Sharing.ASK) for at, one in enumerate(_OWNERS)]


def _move_in(desk: Desk) -> None:
    desk.import_owners([Owner(one, mail=f"{one}@example.org") for one in _OWNERS])
    for camera in _cameras():
        desk.acting_as(Actor(Role.OWNER, camera.owner)).import_cameras([camera])
    away = Camera("away-1", 4.9, 52.1, "olga", Sharing.ASK)
    for camera in (away, replace(away, owner="ruth")):  # it changes hands
        desk.import_cameras([camera])
    desk.acting_as(Actor(Role.OWNER, "ruth")).set_private("away-1", [((0.1, 0.1), (0.4, 0.1), (0.4, 0.5))])
    desk.add_agency(Agency("town", "Town police", "desk 4"))
    desk.add_person("otto", Role.OFFICER, agency="town")
    for reviewer in ("rita", "remy"):
        desk.add_person(reviewer, Role.REVIEWER)


def _film(folder: Path) -> None:
    for at, camera in enumerate(_cameras()):
        way = ((-0.3 - at / 10, 0.8), (1.3, 0.8))  # none is filmed twice alike
        drive = (Mover("vehicle", 3, way if at % 2 else way[::-1], 2.0),)
        scene = Scene(11, frames=80, width=128, height=96, leaves=False, movers=drive)
        path = folder / camera.id / "20260131T180000Z.mp4"
        path.parent.mkdir(parents=True)
        encode(path, render(scene), rate=Fraction(10), gop=20, options={"bf": "0"})


def _release(desk: Desk, case: str) -> str:
    west, south, east, north = 4.798, 51.9985, 4.803, 52.0015
    ring = ((west, south), (east, south), (east, north), (west, north), (west, south))
    span = Span(_START_NS, _START_NS + 900 * NS)
    wanted = Request(Area((ring,)), span, case, "town", "desk 4", "burglary", time.time_ns())
    asked = desk.acting_for("otto").new_request(wanted)
    for reviewer in ("rita", "remy"):
        desk.acting_for(reviewer).review(asked, approve=True, checked=CHECKLIST)
    desk.send(asked)
    for owner in _OWNERS:
        desk.acting_as(Actor(Role.OWNER, owner)).decide(asked, owner, share=None)
    desk.deliver(asked)
    officer = desk.acting_for("otto")
    for clip in officer.case(asked.id).clips[:1]:
        officer.tell_usage(asked, clip.name, Use.USED)
    officer.enter_order(
        asked, Basis.EMERGENCY, authority="danger to life, 7/26", cameras=["ask-0"], span=asked.span, file=None
    )
    return asked.id


def _grow(holdings: Holdings, entries: int) -> list[dict[str, bytes]]:
    """Append lines in turns of some, seal now and then, and return what lay in the logs each time."""
    chance, older = Random(entries), []  # noqa: S311 - chance that can be repeated
    for tick in range(_TICKS):
        for name, actions in ((LogName.OPEN, _OPEN), (LogName.KEPT, _KEPT)):
            while holdings.catalog.logs.size(name) < entries * (tick + 1) // _TICKS:
                lines = [
                    _line(holdings, chance.choice(actions), chance) for _ in range(chance.choice((1, 1, 2, 9, 60)))
                ]
                holdings.catalog.logs.append(*lines)
        logs.seal_tick(holdings, start_ns=time.time_ns())
        older.append(_of_logs(Path(holdings.archive.store.url)))
    return older[:-1]


def _line(holdings: Holdings, action: str, chance: Random) -> Line:
    request = chance.randbytes(16).hex()
    return holdings.line(action, f"r{request}", f"told {chance.randrange(100)}", request=request)


def _of_logs(bucket: Path) -> dict[str, bytes]:
    found = (path for top in ("log", "entries") for path in (bucket / top).rglob("*") if path.is_file())
    return {str(path.relative_to(bucket)): path.read_bytes() for path in found}


def _cosign(holdings: Holdings, key: Verifier, council: Signer) -> None:
    """Let the council sign the open log's checkpoint, as a witness does, and this machine remember that."""
    note = logs.sealed(holdings, LogName.OPEN)
    at_s = time.time_ns() // NS
    signature = council.sign(f"cosignature/v1\ntime {at_s}\n{note.text}".encode())
    line = Signature(key.name, key.id, at_s.to_bytes(8) + signature)
    signed = holdings.catalog.logs.add_signatures(LogName.OPEN, note, [line])
    if signed is None:
        raise RuntimeError("somebody else sealed the log of this benchmark")
    Remembered(holdings.settings.data.absolute() / "logs", holdings.archive.store.url).put(LogName.OPEN, signed)
