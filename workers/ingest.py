"""One clip's way in, in one process: fetch, decode, measure, put, and the record last; and measuring it again."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from pipeline.activity import Activity
from pipeline.clip import Clip
from pipeline.errors import ClipError
from pipeline.measure.motion import MeasureSettings, measure
from pipeline.media.decode import Video, open_video
from pipeline.span import iso
from storage.archive import Archive, Ingested, Mark, clip_name, clip_prefix
from storage.objects import MissingObject, ObjectStore, StoreSettings
from workers.patience import Patient
from workers.receipt import Outcome, Stopwatch
from workers.sources import IngestJob, copy_bytes, source_faults


@dataclass(frozen=True, slots=True)
class Context:
    """What every unit of a run needs; small, and without secrets: a worker takes those from its own environment."""

    store: StoreSettings
    measure: MeasureSettings
    max_pixels: int

    @property
    def archive(self) -> Archive:
        """The run's archive, opened once in each process."""
        return _archive(self.store)

    def open_bucket(self, bucket: str) -> ObjectStore:
        """Open another bucket at the same endpoint."""
        return _archive(self.store.model_copy(update={"kind": "s3", "bucket": bucket})).store


@lru_cache(maxsize=8)
def _archive(settings: StoreSettings) -> Archive:
    return Archive(Patient.open(settings))


def ingest(job: IngestJob, context: Context, watch: Stopwatch) -> tuple[Outcome, Ingested]:
    """Take one uploaded file in and return its record; a file taken in before is left as it is.

    Raises ClipError when the clip is bad, StoreUnavailable or StoreRefused when the store is.
    """
    archive = context.archive
    with watch("record"):
        mark = archive.sources.get(job.mark)
        known = archive.clips.get(mark.clip) if mark else None
    if known is not None:
        return Outcome.ALREADY, known
    # What was hashed is what is measured and stored: a copy of our own, or an object of ours, which nobody writes to.
    if job.held and not job.place.startswith("s3://"):
        with watch("fetch"):
            sha256, size = copy_bytes(job.place, None, context.open_bucket)
        return _take_in(job, context, watch, path=Path(job.place), sha256=sha256, size=size)
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as scratch:
        path = Path(scratch) / f"clip{Path(job.place).suffix.lower()}"
        with watch("fetch"):
            sha256, size = copy_bytes(job.place, path, context.open_bucket)
        return _take_in(job, context, watch, path=path, sha256=sha256, size=size)


@dataclass(frozen=True, slots=True)
class RemeasureJob:
    """A clip in the store whose activity another `measure` made, or other settings; `known` is its record until now."""

    known: Ingested

    @property
    def name(self) -> str:
        """The clip's camera and id."""
        return f"{self.known.clip.camera}/{self.known.clip.id}"


def remeasure(job: RemeasureJob, context: Context, watch: Stopwatch) -> tuple[Outcome, Ingested]:
    """Measure a stored clip again from its bytes and return its new record; one that is up to date is left as it is.

    The new activity is put beside the old one and the record last, so that at every instant the record names an
    activity that is there. Who calls removes the old one once nobody can read of it any more. Raises ClipError when
    the clip or its record is gone or damaged, StoreUnavailable or StoreRefused when the store is.
    """
    archive, clip = context.archive, job.known.clip
    with watch("record"):
        record = archive.clips.get(clip_name(clip))
    if record is None:
        raise ClipError("record", "the store has no record of it any more; `lamplighter catalog rebuild` forgets it")
    if record.version == context.measure.version():
        return Outcome.ALREADY, record
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as scratch:
        path = Path(scratch) / f"clip{Path(clip.key).suffix}"
        with watch("fetch"):
            fetch_clip(archive, clip, path)
        with open_video(path, max_pixels=context.max_pixels) as video:
            activity = _measured(video, context, watch)
    record = replace(record, activity=_activity_key(clip, activity), version=activity.version)
    with watch("put"):
        archive.store.put(record.activity, activity.to_bytes())
        archive.clips.put(record)
    return Outcome.DONE, record


def fetch_clip(archive: Archive, clip: Clip, path: Path) -> None:
    """Copy a stored clip's bytes to `path`. Raises ClipError when they are gone or are not what was taken in."""
    try:
        archive.store.fetch(clip.key, path)
    except MissingObject as error:
        raise ClipError("fetch", f"{clip.key} is not in the store any more") from error
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != clip.sha256:
        raise ClipError("fetch", f"its content changed since it was taken in: wanted {clip.sha256}, got {found}")


def _measured(video: Video, context: Context, watch: Stopwatch) -> Activity:
    with watch("measure"):
        frames = watch.each("decode", video.luma())
        activity = measure(frames, time_base=video.time_base, settings=context.measure)
    watch.seconds["measure"] -= watch.seconds["decode"]
    return activity


def _activity_key(clip: Clip, activity: Activity) -> str:
    # The version is part of the key: an activity is never overwritten by another measure's.
    return f"activity/{clip_name(clip)}-{activity.version}.npz"


def _take_in(
    job: IngestJob, context: Context, watch: Stopwatch, *, path: Path, sha256: str, size: int
) -> tuple[Outcome, Ingested]:
    archive = context.archive
    with open_video(path, max_pixels=context.max_pixels) as video:
        start_ns = video.created_ns if job.start_ns is None else job.start_ns
        if start_ns is None:
            raise ClipError("start", "neither path, sidecar nor container says when it was made; add a sidecar")
        with watch("record"):
            known = _same_start(archive, job.camera, start_ns, sha256)
        if known is not None:
            archive.sources.put(Mark(job.mark, clip_name(known.clip)))
            return Outcome.ALREADY, known
        activity = _measured(video, context, watch)
        stream = video.stream
    draft = Clip(job.camera, start_ns, sha256, size, "", stream)
    key = f"clips/{clip_name(draft)}{path.suffix.lower()}"
    clip = Clip(job.camera, start_ns, sha256, size, key, stream)
    record = Ingested(clip, _activity_key(clip, activity), activity.version, Path(job.place).name)
    with watch("put"):
        if job.held:
            with source_faults():
                archive.store.copy(job.held, key, meta={"sha256": sha256})
        else:
            archive.store.put(key, path, meta={"sha256": sha256})
        archive.store.put(record.activity, activity.to_bytes())
        archive.clips.put(record)
        archive.sources.put(Mark(job.mark, clip_name(clip)))
    return Outcome.DONE, record


def _same_start(archive: Archive, camera: str, start_ns: int, sha256: str) -> Ingested | None:
    """Return the record of this very clip, if there is one. Raises ClipError when another clip has its start."""
    for record in archive.clips.all(clip_prefix(camera, start_ns)):
        if record.clip.sha256 == sha256:
            return record
        raise ClipError(
            "name",
            f"camera {camera} already has a clip that starts at {iso(start_ns)} with other content "
            f"({record.source}); two cameras under one name?",
        )
    return None
