"""How an uploaded file says whose camera made it and when: by its path, or by a sidecar document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline.clip import Camera, Clock
from pipeline.errors import ClipError
from pipeline.media.localtime import LOCAL, Told, instants, no_such_time
from pipeline.media.template import NoFit, Readable, Reading
from pipeline.roster import Named
from pipeline.span import NS, iso, parse_iso


@dataclass(frozen=True, slots=True)
class Said:
    """What a sidecar says: the camera by a name, and the instant of the first packet; None for what it does not."""

    camera: str | None = None
    start_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of a clip before it is opened.

    told_ns: the start as it stands in its name, before zone and clock are reckoned in: it stays what it is when those
    change. starts: the instants it may mean: one; two in an hour that came twice; none where only the container can
    say it. clock: how it is known. number: its place in the camera's own count.
    """

    camera: str
    told_ns: int | None
    starts: tuple[int, ...]
    clock: Clock
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Naming:
    """How uploads are told apart: by a template or layout, among `cameras`.

    camera: of all of them, by id or alias, where no sidecar says another. zone: of local times, where neither the
    template nor the camera has one; "" for UTC. future_slack_s: how far ahead of now a start may be (seconds).
    """

    template: Readable
    cameras: Named
    camera: str | None = None
    zone: str = ""
    future_slack_s: float = 600.0

    def origin(self, path: str, said: Said | None) -> Origin:
        """Return what path and sidecar say together; the sidecar outweighs `camera`, which outweighs the path.

        Raises ClipError("name", "camera" or "start", ...) where they say nothing, no known camera, several, or no time.
        """
        said = said or Said()
        name = said.camera or self.camera
        readings = self._readings(path, needed=name is None, times=said.start_ns is None)
        if name is not None:
            camera = _one(self.cameras.named(name), name)
            named = [one for one in readings if one.camera is not None and camera in self.cameras.named(one.camera)]
            # No template was written for the path of a camera that it does not name: the first that fits is meant.
            first = min((one.rank for one in readings), default=0)
            readings = named or [one for one in readings if one.rank == first]
        else:
            camera, readings = self._by_path(readings)
        offset_s = camera.clock_offset_s
        if said.start_ns is not None:
            return Origin(camera.id, said.start_ns, (said.start_ns,), Clock("sidecar"))
        starts = list(dict.fromkeys(one.start for one in readings if one.start is not None))
        if not starts:
            return Origin(camera.id, None, (), Clock("container", "", offset_s, camera.clock_known))
        if len(starts) > 1:
            both = " or ".join(sorted(map(_wall, starts))[:4])
            raise ClipError("name", f"its path may say the start {both}; use a stricter template, or a sidecar")
        told, number = starts[0], next(one.number for one in readings if one.start is not None)
        zone = self._zone(told, camera)
        found = instants(told.wall_ns, zone) if zone else (told.wall_ns,)
        if not found:
            raise no_such_time(told.wall_ns, zone)
        zone = "" if told.zone == "UTC" else zone
        clock = Clock("path", zone, offset_s, camera.clock_known)
        return Origin(camera.id, told.wall_ns, tuple(corrected(one, clock) for one in found), clock, number)

    def _readings(self, path: str, *, needed: bool, times: bool) -> list[Reading]:
        try:
            return self.template.readings(path, times=times)
        except NoFit:
            if needed:
                raise
            return []  # the camera is known; the start may be in the container

    def _by_path(self, readings: Sequence[Reading]) -> tuple[Camera, list[Reading]]:
        """Return the one camera that a path can mean, and the ways to read it that name it."""
        found: dict[str, Camera] = {}
        of: list[tuple[Reading, str]] = []
        for reading in readings:
            for camera in self.cameras.named(reading.camera) if reading.camera is not None else ():
                found[camera.id] = camera
                of.append((reading, camera.id))
        if len(found) > 1:
            raise _several(found)
        if not found:
            names = sorted({one.camera for one in readings if one.camera is not None})
            if not names:
                raise ClipError("name", "says no camera; use a template with {camera}, --camera, or a sidecar")
            raise _nobody(names)
        return next(iter(found.values())), [reading for reading, _ in of]

    def _zone(self, told: Told, camera: Camera) -> str:
        """Return the zone a time is read in; "" for one that is UTC. Raises ClipError where it has to be said."""
        if told.zone not in {"", LOCAL}:
            return "" if told.zone == "UTC" else told.zone
        zone = camera.zone or self.zone
        if not zone and told.zone == LOCAL:
            raise ClipError(
                "start", "its name says a local time, and nobody says where: give --zone, or the camera a zone"
            )
        return zone


def corrected(t_ns: int, clock: Clock) -> int:
    """Return the true instant of what a camera's clock said: less how far it is ahead."""
    return t_ns - round(clock.offset_s * NS)


def _wall(told: Told) -> str:
    return iso(told.wall_ns) if told.zone == "UTC" else iso(told.wall_ns).removesuffix("Z")


def _one(cameras: Sequence[Camera], name: str) -> Camera:
    if len(cameras) > 1:
        raise _several(camera.id for camera in cameras)
    if not cameras:
        raise _nobody([name])
    return cameras[0]


def _several(names: Iterable[str]) -> ClipError:
    return ClipError(
        "camera",
        f"it may be of the cameras {' or '.join(sorted(names))}, and whose it is decides who is asked; use a stricter "
        "template, --camera, or a sidecar that names its camera",
    )


def _nobody(names: Sequence[str]) -> ClipError:
    told = " or ".join(map(repr, names[:3])) + (" ..." if len(names) > 3 else "")
    return ClipError(
        "camera",
        f"{told} is not in the catalogue, as a camera or as an alias of one; import it first (lamplighter cameras "
        "import)",
    )


def sidecar_names(clip: str) -> tuple[str, str]:
    """Return what the sidecar of a clip may be called, by path or key: CLIP.mp4.json, else CLIP.json."""
    return f"{clip}.json", f"{clip.removesuffix(PurePosixPath(clip).suffix)}.json"


def read_sidecar(data: bytes) -> Said:
    """Read `{"camera": "...", "start": "2026-01-31T18:00:00Z"}`, either of them optional.

    Raises ClipError("sidecar", ...) for anything else.
    """
    try:
        document = json.loads(data, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise ClipError("sidecar", f"is not JSON that can be read: {error}") from error
    if not isinstance(document, dict):
        raise ClipError("sidecar", f'wanted an object with "camera" and "start", got {type(document).__name__}')
    unknown = set(document) - {"camera", "start"}
    if unknown:
        raise ClipError("sidecar", f'wanted "camera" and "start", got also {", ".join(sorted(unknown))}')
    start = document.get("start")
    try:
        start_ns = None if start is None else parse_iso(str(start))
    except ValueError as error:
        raise ClipError("sidecar", str(error)) from error
    camera = document.get("camera")
    if isinstance(camera, list | dict | bool) or camera == "":
        raise ClipError("sidecar", f'wanted the id or an alias of a camera as "camera", got {camera!r}')
    return Said(None if camera is None else str(camera), start_ns)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object of JSON; one that says a thing twice is a ValueError: which is meant decides who is asked."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it says one thing twice")
    return found
