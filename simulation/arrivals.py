"""How the clips of a fleet arrive: set off by motion or on end, late, twice, after an outage, by a wrong clock.

An arrival is planned here, is fed by a feeder, and is an upload to the folder or bucket that gets it.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pipeline.span import NS, Span
from simulation.fleet import HOUR_NS, Fleet, FleetCamera
from simulation.reel import Reel, pieces
from simulation.scenery import random
from simulation.settings import FleetSettings
from simulation.traffic import Sight, frame_ns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.random import Generator

SHORTEST_S: Final = 10
LONGEST_S: Final = 60
"""How long a clip that motion sets off is at least and at most (seconds)."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One clip that arrives.

    first_gop, gops: what of the camera's recording it holds. start_ns: true instant of its first frame; claimed_ns:
    what the camera's clock said; length_ns: how long it is; arrival_ns: when it is there. repeat: it came before, under
    the same name and with the same bytes. All instants in nanoseconds UTC.
    """

    camera: FleetCamera
    first_gop: int
    gops: int
    start_ns: int
    claimed_ns: int
    length_ns: int
    arrival_ns: int
    repeat: bool = False

    @property
    def name(self) -> str:
        """Its path, as the template `{camera}/{start}.mp4` reads it: the camera's clock in whole seconds."""
        when = datetime.fromtimestamp(self.claimed_ns // NS, UTC)
        return f"{self.camera.id}/{when:%Y%m%dT%H%M%SZ}.mp4"

    @property
    def frames(self) -> range:
        """Which of the camera's frames it holds (half-open)."""
        return range(self.first_gop * self.camera.gop, (self.first_gop + self.gops) * self.camera.gop)

    @property
    def reel(self) -> Reel:
        """The reel it is cut from: by day or by night, as it is at its start."""
        return Reel(self.camera.encoding, self.camera.site, self.camera.is_dark(self.start_ns))

    def pieces(self, sights: Sequence[Sight]) -> tuple[range, ...]:
        """Return the pieces of the reel it is made of (groups of pictures), given what its camera sees."""
        shown = [(sight.gop, sight.take) for sight in self._meeting(sights)]
        return pieces(self.camera.encoding, shown, first=self.first_gop, gops=self.gops)

    def things(self, sights: Sequence[Sight]) -> list[tuple[Sight, range]]:
        """Return who is visible in it, with the frames of the clip (its first is 0, half-open)."""
        found, held = [], self.frames
        for sight in self._meeting(sights):
            first, end = max(sight.frames.start, held.start), min(sight.frames.stop, held.stop)
            if first < end:
                found.append((sight, range(first - held.start, end - held.start)))
        return found

    def _meeting(self, sights: Sequence[Sight]) -> Iterator[Sight]:
        end = self.first_gop + self.gops
        # They are in order and apart, so only the last that begins before the clip can reach into it.
        first = max(bisect_right(sights, self.first_gop, key=_gop) - 1, 0)
        found = sights[first : bisect_left(sights, end, key=_gop)]
        return (sight for sight in found if self.first_gop < sight.gop + sight.gops)


def _gop(sight: Sight) -> int:
    return sight.gop


def claimed_ns(fleet: Fleet, camera: FleetCamera, t_ns: int) -> int:
    """Return what a camera's clock says at an instant: off by its offset, and by its drift since the fleet's start."""
    return t_ns + camera.offset_ms * 1_000_000 + (t_ns - fleet.start_ns) * camera.drift_ppm // 1_000_000


def arrivals(
    fleet: Fleet,
    seen: Mapping[str, Sequence[Sight]],
    *,
    settings: FleetSettings | None = None,
    span: Span | None = None,
) -> Iterator[Arrival]:
    """Yield the arrivals of all cameras in `seen` in the order they come, from the fleet's seed.

    span: only clips that start in it (default: the fleet's); they may arrive after its end. Memory does not grow with
    its length: only what is on its way is held. No clip arrives before the end of its clip, and a repeated one comes
    after the first.
    """
    settings = settings or FleetSettings()
    span = fleet.span if span is None else span
    tracks = [
        _track(fleet, camera, seen[camera.id], settings=settings, span=span)
        for camera in fleet.cameras
        if camera.id in seen
    ]
    waiting: list[tuple[int, str, bool, Arrival]] = []
    for arrival in heapq.merge(*tracks, key=lambda arrival: (arrival.start_ns, arrival.camera.id)):
        # Whatever starts later arrives later than this one starts.
        while waiting and waiting[0][0] <= arrival.start_ns:
            yield heapq.heappop(waiting)[-1]
        heapq.heappush(waiting, (arrival.arrival_ns, arrival.name, arrival.repeat, arrival))
    while waiting:
        yield heapq.heappop(waiting)[-1]


def _track(
    fleet: Fleet, camera: FleetCamera, seen: Sequence[Sight], *, settings: FleetSettings, span: Span
) -> Iterator[Arrival]:
    """Yield the arrivals of one camera in order of their start; a repeated one follows the first."""
    draw = random(fleet.seed, f"uploads {camera.id}")
    outages = dict(_outages(fleet, camera, settings))
    clips = _segments(fleet, camera) if camera.mode == "continuous" else _triggered(fleet, camera, seen, settings)
    for first_gop, gops in clips:
        # Drawn for every clip, so that no clip's fate depends on another's.
        transfer, late, wait, again, pause = draw.random(5)
        start_ns = frame_ns(fleet, camera, first_gop * camera.gop)
        end_ns = frame_ns(fleet, camera, (first_gop + gops) * camera.gop)
        if start_ns >= span.end_ns:
            return
        ready_ns = end_ns
        outage = next((gap for gap in outages if gap.start_ns < end_ns and start_ns < gap.end_ns), None)
        if outage is not None:
            if outages[outage]:
                continue
            ready_ns = max(end_ns, outage.end_ns)
        # A fifth of the longest upload is the usual. (A power of a float is not the same on every machine.)
        slow = transfer * transfer * transfer
        arrival_ns = ready_ns + math.floor(settings.upload_s * NS * (0.05 + 0.15 * transfer + 0.8 * slow * slow))
        if late < settings.late:
            arrival_ns += math.floor(settings.late_s * NS * wait)
        if start_ns < span.start_ns:
            continue
        claims_ns = claimed_ns(fleet, camera, start_ns)
        arrival = Arrival(camera, first_gop, gops, start_ns, claims_ns, end_ns - start_ns, arrival_ns)
        yield arrival
        if again < settings.repeated:
            later_ns = arrival_ns + NS + math.floor(120 * NS * pause)
            yield replace(arrival, arrival_ns=later_ns, repeat=True)


def _outages(fleet: Fleet, camera: FleetCamera, settings: FleetSettings) -> list[tuple[Span, bool]]:
    """Draw when a camera has no connection, 2 to 20 minutes each, and whether it records nothing then either."""
    draw = random(fleet.seed, f"outages {camera.id}")
    found = []
    for block in range(fleet.hours):
        comes, at, length, dead = draw.random(4)
        if comes < settings.outages:
            start_ns = fleet.start_ns + block * HOUR_NS + math.floor(at * HOUR_NS)
            end_ns = start_ns + 120 * NS + math.floor(1080 * NS * length)
            found.append((Span(start_ns, end_ns), bool(dead < settings.dead)))
    return found


def _segments(fleet: Fleet, camera: FleetCamera) -> Iterator[tuple[int, int]]:
    """Yield segments on end, as (first group of pictures, how many).

    The first is cut at random, so that the cameras do not beat in time.
    """
    gop_s = camera.encoding.gop_s
    gops = max(min(math.ceil(camera.segment_s / gop_s), math.floor(LONGEST_S / gop_s)), 1)
    last = _last_gop(fleet, camera)
    at = -(int(random(fleet.seed, f"segments {camera.id}").integers(0, gops)))
    while at < last:
        first, end = max(at, 0), min(at + gops, last)
        yield first, end - first
        at += gops


def _triggered(
    fleet: Fleet, camera: FleetCamera, seen: Sequence[Sight], settings: FleetSettings
) -> Iterator[tuple[int, int]]:
    """Yield the clips that motion sets off, as (first group of pictures, how many), in order and apart."""
    gop_s, last = camera.encoding.gop_s, _last_gop(fleet, camera)
    least, most = math.ceil(SHORTEST_S / gop_s), max(math.floor(LONGEST_S / gop_s), 1)
    free = 0  # the first group that no clip holds yet
    start = end = -1  # the clip being recorded
    for at, length in _triggers(fleet, camera, seen, settings):
        # One group of pictures before and one after.
        if start >= 0 and at - 1 <= end:
            end = max(end, at + length + 1)
        else:
            if start >= 0:
                yield from _split(start, min(end, last), most=most)
                free = end
            start = max(at - 1, free)
            end = max(at + length + 1, start + least)
    if start >= 0:
        yield from _split(start, min(end, last), most=most)


def _split(start: int, end: int, *, most: int) -> Iterator[tuple[int, int]]:
    """Yield a recording as the fewest clips of equal length that the longest clip allows."""
    count = -(-(end - start) // most)
    for number in range(count):
        first, stop = start + (end - start) * number // count, start + (end - start) * (number + 1) // count
        yield first, stop - first


def _triggers(
    fleet: Fleet, camera: FleetCamera, seen: Sequence[Sight], settings: FleetSettings
) -> Iterator[tuple[int, int]]:
    """Return what sets a camera off, as (group of pictures, how many), in order: whom it sees, and leaves."""
    draw: Generator = random(fleet.seed, f"leaves {camera.id}")
    per_hour = HOUR_NS / NS / camera.encoding.gop_s
    found = [(sight.gop, sight.gops) for sight in seen]
    for block in range(fleet.hours):
        chances, at = draw.random(60), draw.random(60)
        found += [
            (math.floor((block + (minute + float(part)) / 60) * per_hour), 1)
            for minute, (chance, part) in enumerate(zip(chances, at, strict=True))
            if chance * 60 < settings.false_alarms
        ]
    return iter(sorted(found))


def _last_gop(fleet: Fleet, camera: FleetCamera) -> int:
    """Return how many whole groups of pictures a camera records in the fleet's time."""
    length_ns = fleet.span.duration_ns - camera.phase_ms * 1_000_000
    return math.floor(length_ns / (camera.encoding.gop_s * NS))
