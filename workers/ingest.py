"""One clip's way in, in one process: fetch, decode, measure, put, and the record last; and measuring it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pipeline.activity import Activity
from pipeline.clip import Clip, Clock, clip_id
from pipeline.errors import ClipError
from pipeline.measure.motion import MeasureSettings, measure
from pipeline.media.decode import Video, open_video
from pipeline.media.localtime import check_start
from pipeline.media.origin import corrected
from pipeline.media.tracks import Track
from pipeline.retention import id_of
from pipeline.span import iso
from storage.access import StoreSettings
from storage.archive import Archive, Ingested, Mark, clip_name, clip_prefix, start_of
from storage.contract import MissingObject, ObjectStore
from workers.patience import open_once
from workers.receipt import Outcome, Stopwatch
from workers.sources import IngestJob, fetch, latest_start, sha256_of, source_faults
from workers.taken_short import Claim, Rivals, rivals
from workers.taken_short import replace as replace_short

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Context:
    """What every unit of a run needs; small, and without secrets: a worker takes those from its own environment.

    `raw_rate`: frames a second of streams that do not say it, None where nobody did. `track`: see `open_video`.
    `future_slack_s`: how far ahead of now a start may be.
    """

    store: StoreSettings
    measure: MeasureSettings
    max_pixels: int
    raw_rate: Fraction | None = None
    track: Track = "largest"
    future_slack_s: float = 600.0

    @property
    def archive(self) -> Archive:
        """The run's archive, opened once in each process."""
        return _archive(self.store)

    def open_bucket(self, bucket: str) -> ObjectStore:
        """Open another bucket at the same endpoint."""
        return open_once(self.store.of_bucket(bucket))


@lru_cache(maxsize=8)
def _archive(settings: StoreSettings) -> Archive:
    return Archive(open_once(settings))


def ingest(job: IngestJob, context: Context, watch: Stopwatch) -> tuple[Outcome, Ingested | None]:
    """Take one uploaded file in and return its record; a file taken in before is left as it is.

    What expired or was forgotten stays so, under whatever name it comes: of that there is no record to return.

    Raises ClipError when the clip is bad, StoreUnavailable or StoreRefused when the store is.
    """
    archive = context.archive
    with watch("record"):
        mark = archive.sources.get(job.mark)
        known = archive.clips.get(mark.clip) if mark else None
        if known is not None:
            _check_unmoved(known, job)
        elif job.start_ns is not None and job.sha256:
            known = _same_start(archive, job, job.start_ns, job.sha256)
        if known is None and _forgotten(archive, job, mark):
            return Outcome.FORGOTTEN, None
    if known is not None:
        return Outcome.ALREADY, known
    with _fetched(job, context, watch) as source, _opened(source.path, context) as video:
        start_ns = _created(video, job.clock, context) if job.start_ns is None else job.start_ns
        with watch("record"):
            claim = Claim(job.camera, start_ns, source.sha256, source.size, source.path)
            found = rivals(archive, claim)
            name = clip_id(job.camera, start_ns, source.sha256)
            forgotten = found.known is None and archive.is_forgotten(job.camera, start_ns, clip=name)
        if found.known is not None:
            return Outcome.ALREADY, _settled(archive, job, found.known, found.short)
        if forgotten:
            return Outcome.FORGOTTEN, None
        activity = measured(video, context.measure, watch)
        draft = Clip(job.camera, start_ns, source.sha256, source.size, "", video.stream)
        clip = replace(draft, key=f"clips/{clip_name(draft)}{job.location.suffix}")
        record = Ingested(clip, _activity_key(clip, activity), activity.version, _file_name(job), job.clock)
        with watch("put"):
            _put_clip(job, source, clip, archive.store)
            archive.store.put(record.activity, activity.to_bytes())
            archive.clips.put(record)
            # Once more, with the record there: another worker may have had a shorter or a longer one in hand.
            longer, short = _since(archive, claim, found)
            if longer is not None:
                return Outcome.ALREADY, _settled(archive, job, longer, [record])
            _settled(archive, job, record, short)
    return Outcome.DONE, record


def _since(archive: Archive, claim: Claim, found: Rivals) -> tuple[Ingested | None, Sequence[Ingested]]:
    """Return the record of a longer clip that came meanwhile, if any, and those of shorter ones."""
    try:
        later = rivals(archive, claim)
    except ClipError:  # another recording that came meanwhile: both are in, as two of one name ever were
        return None, found.short
    if later.known is not None and later.known.clip.sha256 != claim.sha256:
        return later.known, ()
    return None, later.short


def _settled(archive: Archive, job: IngestJob, record: Ingested, short: Sequence[Ingested]) -> Ingested:
    """Return the record by which a file is in, having said so, and that it takes the place of shorter ones."""
    replace_short(archive, record, short)
    archive.sources.put(Mark(job.mark, clip_name(record.clip)))
    return record


def _forgotten(archive: Archive, job: IngestJob, mark: Mark | None) -> bool:
    """Tell whether a file became a clip that was removed, without reading it: by its mark and the start of its name."""
    if mark is not None:
        camera, _, name = mark.clip.partition("/")
        return archive.is_forgotten(camera, start_of(name), clip=id_of(name))
    return job.start_ns is not None and archive.is_forgotten(job.camera, job.start_ns, mark=job.mark)


def _created(video: Video, clock: Clock | None, context: Context) -> int:
    """Return the start that the container says, by a clock that may be off. Raises ClipError when it says none."""
    if video.created_ns is None:
        raise ClipError("start", "neither path, sidecar nor container says when it was made; add a sidecar")
    start_ns = video.created_ns if clock is None else corrected(video.created_ns, clock)
    check_start(start_ns, latest_ns=latest_start(context.future_slack_s))
    return start_ns


def _check_unmoved(known: Ingested, job: IngestJob) -> None:
    """Raise ClipError when a file that was taken in says another start now, for want of a zone or clock before."""
    if job.start_ns not in {None, known.clip.start_ns}:
        raise ClipError(
            "start",
            f"it was taken in before as starting at {iso(known.clip.start_ns)}; by the zones and clocks of now that "
            f"is {iso(job.start_ns or 0)}. What is in the store is not moved: the two would be one recording twice",
        )


def _opened(path: Path, context: Context) -> AbstractContextManager[Video]:
    return open_video(path, max_pixels=context.max_pixels, track=context.track, raw_rate=context.raw_rate)


@dataclass(frozen=True, slots=True)
class _Fetched:
    """A clip's bytes where they can be decoded, in a file that nobody writes to any more; `size` in bytes."""

    path: Path
    sha256: str
    size: int


@contextmanager
def _fetched(job: IngestJob, context: Context, watch: Stopwatch) -> Iterator[_Fetched]:
    """Give the bytes of a job, read once where they were not read before, and gone at the end unless they are stored.

    What was hashed is what is measured and stored: a draft of our own, or an object of ours, which is never changed.
    """
    if job.inbox_key and not job.location.bucket:
        path = Path(job.location.path)
        with watch("fetch"), source_faults():
            found = _Fetched(path, job.sha256 or sha256_of(path), path.stat().st_size)
        yield found
        return
    with context.archive.store.draft(job.location.suffix) as path:
        with watch("fetch"):
            found = _Fetched(path, *fetch(job.location, path, context.open_bucket, init=job.init))
        if job.sha256 not in {"", found.sha256}:
            raise ClipError(
                "fetch", f"its content changed after it was first read: {_hashes(job.sha256, found.sha256)}"
            )
        yield found


def _put_clip(job: IngestJob, source: _Fetched, clip: Clip, store: ObjectStore) -> None:
    if job.inbox_key:
        with source_faults():
            store.copy(job.inbox_key, clip.key, meta={"sha256": clip.sha256})
    else:
        store.adopt(source.path, clip.key, meta={"sha256": clip.sha256})


def _file_name(job: IngestJob) -> str:
    """Return what the uploaded file was called; a key of the inbox cannot carry every name."""
    return PurePosixPath(job.name).name if job.inbox_key else job.location.name


def _hashes(wanted: str, got: str) -> str:
    return f"wanted the SHA-256 {wanted}, got {got}"


@dataclass(frozen=True, slots=True)
class RemeasureJob:
    """A stored clip whose activity is gone, or made by another `measure` or other settings; `known` is its record."""

    known: Ingested
    anew: bool = False
    """Whether it is measured again though it is up to date."""

    @property
    def name(self) -> str:
        """The clip's camera and id."""
        return f"{self.known.clip.camera}/{self.known.clip.id}"


def remeasure(job: RemeasureJob, context: Context, watch: Stopwatch) -> tuple[Outcome, Ingested]:
    """Measure a stored clip again from its bytes and return its new record; one that is up to date and there is left.

    The new activity is put beside the old one and the record last, so that at every instant the record names an
    activity that is there. Who calls removes the old one once nobody can read of it any more. Raises ClipError when
    the clip or its record is gone or damaged, StoreUnavailable or StoreRefused when the store is.
    """
    archive, clip = context.archive, job.known.clip
    with watch("record"):
        record = archive.clips.get(clip_name(clip))
    if record is None:
        raise ClipError("record", "the store has no record of it any more; `lamplighter catalog rebuild` forgets it")
    if record.version == context.measure.version() and not job.anew and archive.store.head(record.activity) is not None:
        return Outcome.ALREADY, record
    with archive.store.draft(Path(clip.key).suffix) as path:
        with watch("fetch"):
            fetch_clip(archive, clip, path)
        with open_video(path, max_pixels=context.max_pixels, known=clip.stream) as video:
            activity = measured(video, context.measure, watch)
            # As it is decoded now: an earlier version may not have seen its holes, nor that it stands upright.
            clip = replace(clip, stream=video.stream)
    record = replace(record, clip=clip, activity=_activity_key(clip, activity), version=activity.version)
    with watch("put"):
        if archive.is_forgotten(clip.camera, clip.start_ns, clip=clip.id):
            raise ClipError("record", "it expired or was forgotten while it was measured; nothing is written of it")
        archive.store.put(record.activity, activity.to_bytes())
        archive.clips.put(record)
    return Outcome.DONE, record


def fetch_clip(archive: Archive, clip: Clip, path: Path) -> None:
    """Copy a stored clip's bytes to `path`. Raises ClipError when they are gone or are not what was taken in."""
    try:
        found = archive.store.fetch(clip.key, path)
    except MissingObject as error:
        raise ClipError("fetch", f"{clip.key} is not in the store any more") from error
    if found != clip.sha256:
        raise ClipError("fetch", f"its content changed since it was taken in: {_hashes(clip.sha256, found)}")


def measured(video: Video, settings: MeasureSettings, watch: Stopwatch) -> Activity:
    """Return the activity of an opened clip, the time for it parted into the stations "decode" and "measure"."""
    with watch("measure"):
        frames = watch.each("decode", _counted(video, watch))
        activity = measure(frames, time_base=video.time_base, settings=settings)
    watch.seconds["measure"] -= watch.seconds["decode"]
    return activity


def _counted(video: Video, watch: Stopwatch) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield the frames, and say how much footage has passed: what a header states of it may be wrong."""
    first: int | None = None
    for pts, luma in video.luma():
        first = pts if first is None else first
        watch.footage_s = float((pts - first) * video.time_base)
        yield pts, luma


def _activity_key(clip: Clip, activity: Activity) -> str:
    # The version is part of the key: an activity is never overwritten by another measure's.
    return f"activity/{clip_name(clip)}-{activity.version}.npz"


def _same_start(archive: Archive, job: IngestJob, start_ns: int, sha256: str) -> Ingested | None:
    """Return the record of this very clip, if it alone has its start, and mark its source as taken in."""
    records = list(archive.clips.all(clip_prefix(job.camera, start_ns)))
    if len(records) != 1 or records[0].clip.sha256 != sha256:
        return None  # its bytes will tell
    archive.sources.put(Mark(job.mark, clip_name(records[0].clip)))
    return records[0]
