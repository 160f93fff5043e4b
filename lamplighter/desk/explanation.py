"""Why a clip has these events, or none; and which settings of a camera can never find any."""

from __future__ import annotations

from dataclasses import dataclass

from lamplighter.desk.comparison import camera_of
from lamplighter.desk.desk import Desk
from pipeline.clip import Camera, Clip
from pipeline.detection.explain import Explanation, explain, obstacles
from pipeline.detection.layers import Resolved


@dataclass(frozen=True, slots=True)
class Explained:
    """A clip, what holds for it, and what that made of its motion; habits: the digest of the camera's, "" for none."""

    clip: Clip
    holds: Resolved
    found: Explanation
    habits: str = ""


def explain_clip(desk: Desk, clip: str) -> Explained:
    """Return why a clip has these events, or none, from its stored activity. Raises NotFound when there is no such."""
    ingested, habits = desk.clip(clip), desk.in_force()
    camera = camera_of(desk, ingested)
    activity, holds = desk.motion(camera, ingested, habits)
    return Explained(ingested.clip, holds, explain(activity, holds.detection, holds.usual), habits.name(camera.id))


def never_fires(desk: Desk, camera: Camera) -> list[str]:
    """Return why the settings can find nothing in pictures of the camera's last clip, by day and by night."""
    clips = desk.clips(camera.id)
    if not clips:
        return []
    activity, _ = desk.motion(camera, clips[-1])
    held = [desk.settings.layers.of(camera.id, night=night) for night in (False, True)]
    return [f"by {holds.half}: {reason}" for holds in held for reason in obstacles(activity.layout, holds.detection)]
