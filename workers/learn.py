"""Learns the habits of one camera from its stored activity: two looks at every clip, one clip in memory at a time."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipeline.activity import Activity
from pipeline.clip import Camera
from pipeline.detection.habits import Learner, Past
from pipeline.detection.night import Darkness, is_night
from pipeline.errors import ClipError, DamagedDocument
from pipeline.layout import Layout
from pipeline.span import NS, Span
from storage.archive import Archive, Ingested, Learnt, habits_key
from workers.ingest import Context
from workers.prefetch import activities
from workers.receipt import Outcome, Stopwatch


@dataclass(frozen=True, slots=True)
class LearnJob:
    """A camera, how its nights are told, and the clips to learn from: the key of each activity, and its span.

    footage_ns: how long they are, holes and all, added up.
    """

    camera: Camera
    darkness: Darkness
    clips: tuple[tuple[str, Span], ...]
    footage_ns: int

    @classmethod
    def of(cls, camera: Camera, darkness: Darkness, clips: list[Ingested]) -> LearnJob:
        """Return the job of some clips of a camera, at least one, whatever their order."""
        known = sorted(((one.activity, one.clip.span) for one in clips), key=lambda one: (one[1], one[0]))
        return cls(camera, darkness, tuple(known), sum(one.clip.span.duration_ns for one in clips))

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self.camera.id

    @property
    def span(self) -> Span:
        """From the start of the first clip to the end of the last."""
        return Span(self.clips[0][1].start_ns, max(span.end_ns for _, span in self.clips))


def learn(job: LearnJob, context: Context, watch: Stopwatch) -> tuple[Outcome, Learnt]:
    """Learn a camera's habits, put them, and say last that they are in force; what says so already is left as it is.

    The same clips under the same settings give the same bytes. Of pictures whose cells lie in several ways those count
    that lie as the newest clip's. Raises ClipError when the activity of no clip can be read.
    """
    archive = context.archive
    watch.footage_s = job.footage_ns / NS
    with watch("learn"):
        layout = _newest(archive, job)
        learner = Learner(layout)
        for past in _pasts(job, context, layout):
            learner.look(past)
        seen = learner.known()
        for past in _pasts(job, context, layout):
            learner.look_again(past, seen)
        habits = learner.known()
    data = habits.to_bytes()
    left_out = len(job.clips) - habits.clips
    sha256, now_ns = hashlib.sha256(data).hexdigest(), time.time_ns()
    new = Learnt(job.camera.id, now_ns, sha256, job.span, job.footage_ns, habits.clips, left_out)
    with watch("put"):
        archive.store.put(habits_key(new.camera, new.digest), data)
        last = _last(archive, new.camera)
        if last is not None and replace(new, learnt_ns=last.learnt_ns) == last:
            return Outcome.ALREADY, last
        if last is not None:  # also when a clock was set back: what is learnt later is in force
            new = replace(new, learnt_ns=max(now_ns, last.learnt_ns + 1))
        archive.learnt.put(new)
    return Outcome.DONE, new


def _last(archive: Archive, camera: str) -> Learnt | None:
    name = archive.last_learnt(camera)
    try:
        return archive.learnt.get(name) if name else None
    except DamagedDocument:  # its name says when it was learnt, and a new one takes its place
        return None


def _newest(archive: Archive, job: LearnJob) -> Layout:
    """Return how the cells of the newest clip lie whose activity can be read."""
    reason = ""
    for key, _ in reversed(job.clips):
        try:
            return archive.activity_at(key).layout
        except DamagedDocument as error:
            reason = reason or str(error)
    raise ClipError("learn", f"the activity of none of its {len(job.clips)} clips can be read, such as {reason}")


def _pasts(job: LearnJob, context: Context, layout: Layout) -> Iterator[Past]:
    """Yield the clips whose cells lie so, in order of time."""
    for (_, span), found in zip(job.clips, activities((key for key, _ in job.clips), context.store), strict=True):
        if isinstance(found, Activity) and found.layout == layout:
            night = is_night(job.darkness, job.camera, start_ns=span.start_ns, luma=found.luma)
            yield Past(found, span, night)
