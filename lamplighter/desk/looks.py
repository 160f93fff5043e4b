"""Whoever looks at footage is in the log first, and its owner finds that in their account."""

from __future__ import annotations

from lamplighter.desk.holdings import Holdings
from pipeline.case.look import Look
from pipeline.clip import Clip


def note_look(holdings: Holdings, clip: Clip, frame_ns: int, action: str, detail: str) -> None:
    """Log that the actor looks at a clip, from an instant (nanoseconds UTC) on; call it before they see anything."""
    logged = holdings.log(action, clip.id, detail)
    entry = logged.entry
    # Once more where its owner's account finds it: the log is long, and in the order of what happened.
    if camera := holdings.catalog.camera(clip.camera):
        look = Look(camera.owner, camera.id, clip.id, frame_ns, entry.actor, entry.at_ns, logged.index)
        holdings.archive.looks.put(look)
