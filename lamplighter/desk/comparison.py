"""What the settings in force and others find in the same clips, each activity read once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from lamplighter.desk.desk import Desk
from lamplighter.desk.habits import InForce
from lamplighter.desk.register import without_camera
from pipeline.activity import Activity
from pipeline.clip import Camera, Clip
from pipeline.detection.detect import Event, detect, events
from pipeline.detection.evidence import weigh
from pipeline.detection.gates import Detection
from pipeline.detection.habits import Habits
from pipeline.detection.layers import Resolved
from pipeline.detection.trace import Trace
from pipeline.detection.tracer import trace
from pipeline.errors import ConfigError, NotFound
from pipeline.span import Span
from storage.archive import Ingested

_IN_FORCE = "in force"
Side: TypeAlias = Callable[[Camera, Clip, Activity, Habits | None], Resolved]
"""What the settings that are compared say of a clip of a camera with such habits."""


class Follow(Protocol):
    """Hands on the clips of one step one after the other; who waits can so be shown how far it is."""

    def __call__(self, clips: Sequence[Ingested], what: str) -> Iterable[Ingested]:
        """Return the clips in their order; `what` says what is done with them."""


def unfollowed(clips: Sequence[Ingested], what: str) -> Iterable[Ingested]:  # noqa: ARG001 - nobody is told
    """Hand the clips on and show nothing."""
    return clips


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One clip with its activity, and what each side (the settings in force first) says of it and finds in it.

    traced: what the settings in force were applied to; footage_ns: how long all clips of its camera that are looked at
    recorded.
    """

    clip: Clip
    activity: Activity
    holds: tuple[Resolved, ...]
    events: tuple[tuple[Event, ...], ...]
    traced: Trace
    footage_ns: int

    def spans(self, side: int) -> list[Span]:
        """Return when the events of one side are."""
        return [self.clip.between(event.start_pts, event.end_pts) for event in self.events[side]]


@dataclass(frozen=True, slots=True)
class Found:
    """What one side finds: (clip, event) in order of time, and the settings `used` by day and by night."""

    name: str
    events: list[tuple[Clip, Event]] = field(default_factory=list)
    used: dict[str, Detection] = field(default_factory=dict)

    @property
    def spans(self) -> list[Span]:
        """When the events are."""
        return [clip.between(event.start_pts, event.end_pts) for clip, event in self.events]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was looked at, a clip or all those of a camera in order of time, and what each side found in it."""

    title: str
    clips: tuple[Ingested, ...]
    cold: tuple[int, ...]
    found: tuple[Found, ...]


def compare(
    desk: Desk,
    thing: str,
    *,
    others: Mapping[str, Side],
    saw: Callable[[Look], None],
    follow: Follow = unfollowed,
) -> Comparison:
    """Look at a clip, or at all clips of a camera, under the settings in force and the `others`, by their names.

    `saw` is given each look, so that it can be drawn without a second reading. Raises NotFound when there is no such
    clip or camera, ConfigError when the camera has no clips.
    """
    kind, clips = _clips(desk, thing)
    found = [Found(name) for name in (_IN_FORCE, *others)]
    cold = []
    for look in looks(desk, clips, tuple(others.values()), follow=follow, what="Reading activity"):
        for one, holds, there in zip(found, look.holds, look.events, strict=True):
            one.used.setdefault(holds.half, holds.detection)
            one.events.extend((look.clip, event) for event in there)
        cold.append(look.activity.cold)
        saw(look)
    return Comparison(f"{kind} {thing}", tuple(clips), tuple(cold), tuple(found))


def looks(
    desk: Desk, clips: Sequence[Ingested], others: Sequence[Side], *, follow: Follow, what: str
) -> Iterator[Look]:
    """Yield what each side finds in one clip after the other, one activity in memory at a time."""
    footage: dict[str, int] = {}
    habits = desk.in_force()
    for one in clips:
        footage[one.clip.camera] = footage.get(one.clip.camera, 0) + one.clip.footage_ns
    for camera, one, activity, in_force in read(desk, clips, habits, follow=follow, what=what):
        holds = (in_force, *(side(camera, one.clip, activity, habits.of(camera.id)) for side in others))
        traced = trace(weigh(activity, in_force.usual), in_force.detection)
        found = (
            tuple(events(traced, in_force.detection)),
            *(tuple(detect(activity, side.detection, side.usual)) for side in holds[1:]),
        )
        yield Look(one.clip, activity, holds, found, traced, footage[one.clip.camera])


def read(
    desk: Desk, clips: Sequence[Ingested], habits: InForce, *, follow: Follow, what: str
) -> Iterator[tuple[Camera, Ingested, Activity, Resolved]]:
    """Yield each clip with its camera, its stored activity, and the settings and habits in force for it."""
    cameras = {camera.id: camera for camera in desk.cameras()}
    for one in follow(clips, what):
        camera = cameras.get(one.clip.camera) or camera_of(desk, one)
        yield camera, one, *desk.motion(camera, one, habits)


def camera_of(desk: Desk, ingested: Ingested) -> Camera:
    """Return the camera of a clip. Raises NotFound when the catalogue has none of its id."""
    try:
        return desk.camera(ingested.clip.camera)
    except NotFound as error:
        raise without_camera(ingested.clip) from error


def _clips(desk: Desk, thing: str) -> tuple[str, list[Ingested]]:
    try:
        return "Clip", [desk.clip(thing)]
    except NotFound:
        pass
    try:
        clips = desk.clips(desk.camera(thing).id)
    except NotFound as error:
        raise NotFound(
            f"there is no clip and no camera {thing!r}; `lamplighter show` and `show CAMERA` list them"
        ) from error
    if not clips:
        raise ConfigError(f"camera {thing} has no clips yet; `lamplighter ingest` takes them in")
    return "Camera", clips
