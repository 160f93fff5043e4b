"""What happens in a fleet's streets: people and vehicles that pass one camera after the other, and callers at doors.

A function of the fleet alone: it is the truth that detection is measured against.
"""

from __future__ import annotations

import heapq
import json
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.errors import ConfigError
from pipeline.span import NS, iso
from simulation.fleet import HOUR_NS, HOUSE_M, HOUSES, Fleet, FleetCamera
from simulation.reel import takes
from simulation.scenery import random

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.random import Generator

    from simulation.scene import Kind

TRUTH_VERSION: Final = 1
"""Of the truth file."""

_STREET_M: Final = HOUSES * HOUSE_M
_MS: Final = NS // 1000
# Who would pass while someone else is before the camera waits so long at most; after that the other hides them.
_WAIT_NS: Final = 4 * NS
# Everybody comes home at the same time: in this hour four times as many callers come in the first ten minutes.
_RUSH_HOUR: Final = 18


@dataclass(frozen=True, slots=True)
class Sight:
    """One thing seen by one camera: from which of the camera's groups of pictures on, in which take of the reel.

    frames: half-open, counted from the camera's first frame; in the first and in the last of them it is visible.
    """

    thing: int
    kind: Kind
    take: str
    gop: int
    gops: int
    frames: range


@dataclass(slots=True)
class _Trip:
    """A thing on its way: the cameras it passes with the metres from its start, and how fast it goes."""

    thing: int
    stops: Sequence[tuple[FleetCamera, int]]
    mm_per_s: int
    vehicle: bool
    side: int
    forward: bool


def frame_ns(fleet: Fleet, camera: FleetCamera, frame: int) -> int:
    """Return the true instant a camera takes a frame (its first is 0), in nanoseconds UTC, rounded down."""
    return fleet.start_ns + camera.phase_ms * _MS + math.floor(frame * NS / camera.rate)


def sights(fleet: Fleet) -> dict[str, list[Sight]]:
    """Return who is seen by each camera, in order and never two at a time; a camera that sees nobody has an empty list.

    A thing that goes down a street is shown by its cameras one after the other, each no earlier than its way from the
    one before takes; it is left out where another stands before it for longer than it waits, and at cameras where it
    would not be gone before the fleet's time is over.
    """
    seen: dict[str, list[Sight]] = {camera.id: [] for camera in fleet.cameras}
    for street in range(len(fleet.traffic)):
        cameras = [camera for camera in fleet.cameras if camera.street == street]
        _walk(fleet, _trips(fleet, street, cameras), seen)
    return seen


def _trips(fleet: Fleet, street: int, cameras: Sequence[FleetCamera]) -> list[tuple[int, _Trip]]:
    """Draw who comes to a street, with the instant each sets out (nanoseconds UTC)."""
    first_hour = fleet.start_ns // HOUR_NS
    ways = {
        forward: [
            (camera, camera.along_m if forward else max(_STREET_M - camera.along_m, 0))
            for camera in sorted(cameras, key=lambda camera: (camera.along_m, camera.id), reverse=not forward)
        ]
        for forward in (True, False)
    }
    drawn: list[tuple[int, _Trip]] = []
    for block in range(fleet.hours):
        hour, start_ns = (first_hour + block) % 24, fleet.start_ns + block * HOUR_NS
        draw = random(fleet.seed, f"street {street} hour {block}")
        for at_ns in _instants(draw, fleet.traffic[street][hour], start_ns):
            what, way, side, pace = (int(n) for n in draw.integers(0, 1000, 4))
            vehicle, forward = what < 450, way < 500
            speed = 6000 + pace * 4 if vehicle else 1100 + pace * 7 // 10
            drawn.append((at_ns, _Trip(0, ways[forward], speed, vehicle, side % 2, forward)))
        for camera in cameras:
            draw = random(fleet.seed, f"door {camera.id} hour {block}")
            calls = max(camera.busy[hour] - fleet.traffic[street][hour], 0.0)
            drawn += [
                (at_ns, _Trip(0, [(camera, 0)], 1, vehicle=False, side=-1, forward=True))
                for at_ns in _instants(draw, calls, start_ns, rush=hour == _RUSH_HOUR)
            ]
    drawn.sort(key=lambda entry: entry[0])
    for number, (_, trip) in enumerate(drawn):
        trip.thing = street * 10_000_000 + number
    return drawn


def _instants(draw: Generator, per_hour: float, start_ns: int, *, rush: bool = False) -> Iterator[int]:
    """Yield the instants of an hour at which somebody comes: at most one in a second."""
    weights = np.full(3600, 1.0)
    if rush:
        weights[:600], weights[600:] = 4.0, 0.4
    for second in np.flatnonzero(draw.random(3600) * 3600 < per_hour * weights):
        yield start_ns + int(second) * NS


def _walk(fleet: Fleet, trips: Sequence[tuple[int, _Trip]], seen: dict[str, list[Sight]]) -> None:
    """Let the things of a street pass its cameras in order of time; who comes first is seen first."""
    ahead = [(at_ns + _leg_ns(trip, 0), trip.thing, 0, trip) for at_ns, trip in trips if trip.stops]
    heapq.heapify(ahead)
    while ahead:
        at_ns, thing, stop, trip = heapq.heappop(ahead)
        camera = trip.stops[stop][0]
        sight = _seat(fleet, camera, trip, at_ns, seen[camera.id])
        if sight is not None:
            seen[camera.id].append(sight)
            at_ns = frame_ns(fleet, camera, sight.gop * camera.gop)
        if stop + 1 < len(trip.stops):
            heapq.heappush(ahead, (at_ns + _leg_ns(trip, stop + 1), thing, stop + 1, trip))


def _leg_ns(trip: _Trip, stop: int) -> int:
    """Return how long the way to a stop takes from the one before it, or from the start."""
    before = trip.stops[stop - 1][1] if stop else 0
    return (trip.stops[stop][1] - before) * 1000 * NS // trip.mm_per_s


def _seat(fleet: Fleet, camera: FleetCamera, trip: _Trip, at_ns: int, before: list[Sight]) -> Sight | None:
    """Seat a thing on the camera's first free group of pictures, or nowhere."""
    gop_ns = camera.encoding.gop_s * NS
    wanted = max(math.ceil(Fraction(at_ns - frame_ns(fleet, camera, 0)) / gop_ns), 0)
    free = before[-1].gop + before[-1].gops if before else 0
    gop = max(wanted, free)
    if (gop - wanted) * gop_ns > _WAIT_NS:
        return None
    name = _take(camera, trip)
    take = takes(camera.encoding)[name]
    at = gop * camera.gop
    frames = range(at + take.seen.start, at + take.seen.stop)
    if take.kind is None or frame_ns(fleet, camera, at + take.gops * camera.gop) > fleet.span.end_ns:
        return None
    return Sight(trip.thing, take.kind, name, gop, take.gops, frames)


def _take(camera: FleetCamera, trip: _Trip) -> str:
    """Return the take that shows the trip: a camera looks across the street, side 0 towards side 1."""
    if trip.side < 0:
        return "door"
    way = "right" if trip.forward == (camera.side == 0) else "left"
    if trip.vehicle:
        return f"drive-{way}"
    return f"walk-{'near' if trip.side == camera.side else 'far'}-{way}"


def dump_truth(fleet: Fleet, seen: Mapping[str, Sequence[Sight]]) -> Iterator[str]:
    """Yield the truth as JSON lines: what the numbers mean, then one line a sight, by camera and in order of time.

    `first` and `end` are frames of the camera, half-open, of which frame 0 is taken `phase_ms` after the fleet's start.
    Cameras that replay real footage are left out: who is in that is not known.
    """
    head = {
        "truth_version": TRUTH_VERSION,
        "seed": fleet.seed,
        "start": iso(fleet.start_ns),
        "hours": fleet.hours,
        "cameras": sum(not camera.replay for camera in fleet.cameras),
        "sights": sum(len(seen[camera.id]) for camera in fleet.cameras if not camera.replay),
    }
    yield json.dumps(head) + "\n"
    for camera in fleet.cameras:
        if camera.replay:
            continue
        for sight in seen[camera.id]:
            yield (
                f'{{"camera":"{camera.id}","thing":{sight.thing},"kind":"{sight.kind}",'
                f'"first":{sight.frames.start},"end":{sight.frames.stop}}}\n'
            )


def load_truth(lines: Iterable[str], *, name: str) -> dict[str, list[tuple[int, str, range]]]:
    """Read what `dump_truth` wrote: for each camera (thing, kind, frames) in order of time.

    Raises ConfigError naming the file and the line that is wrong, also when lines are missing.
    """
    found: dict[str, list[tuple[int, str, range]]] = {}
    head: dict[str, int] = {}
    number = count = 0
    try:
        for number, line in enumerate(lines, 1):
            entry = json.loads(line)
            if number == 1:
                head = entry
                if head["truth_version"] != TRUTH_VERSION:
                    raise ConfigError(f"{name}: wanted truth of version {TRUTH_VERSION}, got {head['truth_version']!r}")
                continue
            frames = range(entry["first"], entry["end"])
            found.setdefault(entry["camera"], []).append((entry["thing"], entry["kind"], frames))
            count += 1
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{name}, line {number}: is not the truth of a fleet: {error!r}") from error
    if not head or count != head.get("sights"):
        raise ConfigError(
            f"{name}: wanted {head.get('sights', 'a head and')} sights, got {count}; make the fleet again"
        )
    return found
