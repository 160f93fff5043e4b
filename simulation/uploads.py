"""How the clips of a fleet arrive: set off by motion or on end, late, twice, after an outage, by a wrong clock.

And what was uploaded read back, to score what was found in it.
"""

from __future__ import annotations

import heapq
import json
import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from pipeline.detection.score import Score, score
from pipeline.detection.trials import TuneSettings
from pipeline.errors import ConfigError
from pipeline.span import NS, Span, parse_iso
from simulation.fleet import HOUR_NS, Fleet, FleetCamera, FleetSettings
from simulation.reel import Reel, runs
from simulation.scenery import random
from simulation.traffic import Sight, frame_ns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

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
        return Reel(self.camera.picture, self.camera.place, self.camera.is_dark(self.start_ns))

    def runs(self, sights: Sequence[Sight]) -> tuple[range, ...]:
        """Return the reel's groups of pictures it is made of, given what its camera sees."""
        shown = [(sight.gop, sight.take) for sight in self._meeting(sights)]
        return runs(self.camera.picture, shown, first=self.first_gop, gops=self.gops)

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
    """Yield the uploads of all cameras in `seen` in the order they arrive, from the fleet's seed.

    span: only clips that start in it (default: the fleet's); they may arrive after its end. Memory does not grow with
    its length: only what is on its way is held. No upload arrives before the end of its clip, and a repeated one comes
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
    for upload in heapq.merge(*tracks, key=lambda upload: (upload.start_ns, upload.camera.id)):
        # Whatever starts later arrives later than this one starts.
        while waiting and waiting[0][0] <= upload.start_ns:
            yield heapq.heappop(waiting)[-1]
        heapq.heappush(waiting, (upload.arrival_ns, upload.name, upload.repeat, upload))
    while waiting:
        yield heapq.heappop(waiting)[-1]


def _track(
    fleet: Fleet, camera: FleetCamera, seen: Sequence[Sight], *, settings: FleetSettings, span: Span
) -> Iterator[Arrival]:
    """Yield the uploads of one camera in order of their start; a repeated one follows the first."""
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
        upload = Arrival(
            camera, first_gop, gops, start_ns, claimed_ns(fleet, camera, start_ns), end_ns - start_ns, arrival_ns
        )
        yield upload
        if again < settings.repeated:
            later_ns = arrival_ns + NS + math.floor(120 * NS * pause)
            yield Arrival(camera, first_gop, gops, start_ns, upload.claimed_ns, upload.length_ns, later_ns, repeat=True)


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
    gop_s = camera.picture.gop_s
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
    gop_s, last = camera.picture.gop_s, _last_gop(fleet, camera)
    least, most = math.ceil(SHORTEST_S / gop_s), max(math.floor(LONGEST_S / gop_s), 1)
    free = 0  # the first group that no clip holds yet
    start = end = -1  # the clip being recorded
    for at, length in _triggers(fleet, camera, seen, settings):
        # One group of pictures before and one after.
        if start >= 0 and at - 1 <= end:
            end = max(end, at + length + 1)
        else:
            if start >= 0:
                yield from _pieces(start, min(end, last), most=most)
                free = end
            start = max(at - 1, free)
            end = max(at + length + 1, start + least)
    if start >= 0:
        yield from _pieces(start, min(end, last), most=most)


def _pieces(start: int, end: int, *, most: int) -> Iterator[tuple[int, int]]:
    """Yield a recording in as few equal pieces as the longest clip allows."""
    count = -(-(end - start) // most)
    for piece in range(count):
        first, stop = start + (end - start) * piece // count, start + (end - start) * (piece + 1) // count
        yield first, stop - first


def _triggers(
    fleet: Fleet, camera: FleetCamera, seen: Sequence[Sight], settings: FleetSettings
) -> Iterator[tuple[int, int]]:
    """Return what sets a camera off, as (group of pictures, how many), in order: whom it sees, and leaves."""
    draw: Generator = random(fleet.seed, f"leaves {camera.id}")
    per_hour = HOUR_NS / NS / camera.picture.gop_s
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
    return math.floor(length_ns / (camera.picture.gop_s * NS))


@dataclass(frozen=True, slots=True)
class Uploaded:
    """One line of uploads.jsonl: a clip that was uploaded, and who is in it (thing, kind, frames; half-open).

    claimed_ns: what the camera's clock said, of which the name holds the whole seconds. things, rate: None for real
    footage, of which nothing is known.
    """

    name: str
    camera: str
    claimed_ns: int
    arrival_ns: int
    repeat: bool
    frames: int
    rate: Fraction | None
    things: tuple[tuple[int, str, range], ...] | None

    @property
    def start_ns(self) -> int:
        """Where the clip begins for whoever reads its name."""
        return self.claimed_ns - self.claimed_ns % NS

    def spans(self) -> list[Span]:
        """Return when somebody is visible, in the clip's own time (see `start_ns`), in order."""
        rate = self.rate or Fraction(1)
        return [
            Span(
                self.start_ns + math.floor(frames.start * NS / rate), self.start_ns + math.ceil(frames.stop * NS / rate)
            )
            for _, _, frames in self.things or ()
        ]


def load_uploads(lines: Iterable[str], *, name: str) -> Iterator[Uploaded]:
    """Read uploads.jsonl. Raises ConfigError naming the file and the line that is wrong."""
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            things = entry["things"]
            yield Uploaded(
                entry["name"],
                entry["camera"],
                parse_iso(entry["claimed"]),
                parse_iso(entry["arrival"]),
                entry["repeat"],
                entry["frames"],
                None if entry["rate"] is None else Fraction(entry["rate"]),
                None
                if things is None
                else tuple((one["thing"], one["kind"], range(one["first"], one["end"])) for one in things),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{name}, line {number}: is not a line of uploads.jsonl: {error!r}") from error


def score_uploads(
    events: Mapping[str, Sequence[Span]], uploads: Iterable[Uploaded], *, rule: TuneSettings | None = None
) -> Score | None:
    """Score the events found in each clip (by its name, in the clip's own time) against who was in it.

    A clip that is not in `events` had none found. Repeated uploads count once, real footage not at all. The rule is
    the tuner's. None when there is nothing to score.
    """
    rule, total, done = rule or TuneSettings(), None, set()
    for upload in uploads:
        if upload.name in done or upload.things is None or upload.rate is None:
            continue
        done.add(upload.name)
        length_ns = math.ceil(upload.frames * NS / upload.rate)
        one = score(events.get(upload.name, ()), upload.spans(), duration_ns=length_ns, rule=rule)
        total = one if total is None else total + one
    return total
