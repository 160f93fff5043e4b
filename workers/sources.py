"""Uploaded clips and where they lie: folders, globs and bucket prefixes become jobs, or are refused by name."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Never

from pipeline.clip import Clock
from pipeline.errors import ClipError
from pipeline.media.localtime import Timed, check_start, settled, twice
from pipeline.media.origin import Naming, Origin, read_sidecar
from pipeline.span import NS, iso
from storage.archive import short
from storage.contract import CHUNK_BYTES, MissingObject, NotAKey, ObjectRefused, write_hashed
from storage.location import Location
from workers.found import OpenBucket, Source, find
from workers.names import LeftOut
from workers.receipt import Receipt, set_aside


@dataclass(frozen=True, slots=True)
class IngestJob:
    """One uploaded file: where it lies, and its `mark`, which stands for its location, size and time of change.

    `camera` and `start_ns` are what its path or sidecar said; without a start the container's creation time counts.
    `inbox_key` is its key where it lies in the store already, `sha256` the hash of its bytes where these were read
    before: they must be the same still. `init`: the init segment its bytes follow, where it is a fragment. `clock`: how
    its start is known, or will be.
    """

    name: str
    location: Location
    mark: str
    camera: str
    start_ns: int | None
    inbox_key: str = ""
    sha256: str = ""
    init: Location | None = None
    clock: Clock | None = None


def ingest_jobs(
    where: Iterable[str], naming: Naming, *, open_bucket: OpenBucket, left: LeftOut | None = None
) -> tuple[list[IngestJob], list[Receipt[IngestJob, Never]]]:
    """Return the jobs for all files at `where`, and receipts for those refused before any work.

    `open_bucket` opens a bucket by name; the files there that are no clips are counted as `left` out. An hour that came
    twice is told from the files beside. Raises ConfigError or NotFound for a place that is none.
    """
    found: list[tuple[Source, Origin]] = []
    refused: list[Receipt[IngestJob, Never]] = []
    for source in find(where, open_bucket, LeftOut() if left is None else left):
        origin = _origin(source, naming)
        if isinstance(origin, Receipt):
            refused.append(origin)
        else:
            found.append((source, origin))
    claims: list[tuple[Source, IngestJob]] = []
    for (source, origin), starts in zip(found, _settled(found), strict=True):
        job = _job(source, replace(origin, starts=starts), naming)
        if isinstance(job, Receipt):
            refused.append(job)
        else:
            claims.append((source, job))
    jobs, clashing = _without_clashes(claims, open_bucket)
    return jobs, refused + clashing


def job_of(source: Source, naming: Naming) -> IngestJob | Receipt[IngestJob, Never]:
    """Return the job for one file, or its refusal where its camera or start cannot be told or is not known."""
    origin = _origin(source, naming)
    return origin if isinstance(origin, Receipt) else _job(source, origin, naming)


def _origin(source: Source, naming: Naming) -> Origin | Receipt[IngestJob, Never]:
    if source.flaw:
        return _refused(source, ClipError("name", source.flaw))
    try:
        sidecar = source.sidecar()
        return naming.origin(source.name, None if sidecar is None else read_sidecar(sidecar))
    except ClipError as error:
        return _refused(source, error)


def _job(source: Source, origin: Origin, naming: Naming) -> IngestJob | Receipt[IngestJob, Never]:
    start_ns = origin.starts[0] if origin.starts else None
    try:
        if len(origin.starts) > 1 and origin.told_ns is not None:
            raise twice(origin.told_ns, origin.starts, origin.clock.zone)
        if start_ns is not None:
            check_start(start_ns, latest_ns=latest_start(naming.future_slack_s))
    except ClipError as error:
        return _refused(source, error)
    mark = mark_of(source.location, source.version, origin.camera, origin.told_ns)
    return IngestJob(source.name, source.location, mark, origin.camera, start_ns, init=source.init, clock=origin.clock)


def _settled(found: Sequence[tuple[Source, Origin]]) -> list[tuple[int, ...]]:
    """Return the possible starts of each, one where the clips of its camera beside it tell which."""
    starts = [origin.starts for _, origin in found]
    of_camera = defaultdict(list)
    for at, (_, origin) in enumerate(found):
        if origin.starts:
            of_camera[origin.camera].append(at)
    for places in of_camera.values():
        if any(len(starts[at]) > 1 for at in places):
            clips = [Timed(starts[at], found[at][1].number, found[at][0].written_ns) for at in places]
            for at, start_ns in zip(places, settled(clips), strict=True):
                starts[at] = starts[at] if start_ns is None else (start_ns,)
    return starts


def _refused(source: Source, error: ClipError) -> Receipt[IngestJob, Never]:
    return set_aside(IngestJob(source.name, source.location, "", "", None), error.station, error.reason)


def latest_start(slack_s: float) -> int:
    """Return the latest instant (ns UTC) at which a clip may claim to start now, `slack_s` seconds from now."""
    return time.time_ns() + round(slack_s * NS)


def mark_of(location: Location, version: str, camera: str, told_ns: int | None) -> str:
    """Return what stands for a source in the bucket: the same file has the same mark, whichever way it came in.

    told_ns: its start as it stands in its name, so that another zone or clock does not make it another file.
    """
    return short(f"{location}\0{version}\0{camera}\0{told_ns}")


def fetch(location: Location, path: Path, open_bucket: OpenBucket, *, init: Location | None = None) -> tuple[str, int]:
    """Copy a source to `path`, after its `init` segment if it has one, reading it once.

    Returns the SHA-256 of the bytes in hexadecimal, and how many they are. Raises ClipError("fetch", ...) when it is
    gone, cannot be read or is empty, OSError for `path`.
    """
    if not location.bucket:
        with path.open("wb") as out:
            sha256 = write_hashed(out, _pieces(location, init))
    elif init is None:
        with source_faults():
            sha256 = open_bucket(location.bucket).fetch(location.path, path)
    else:
        sha256 = _fetch_fragment(location, init, path, open_bucket)
    size = path.stat().st_size
    if not size:
        raise ClipError("fetch", "the file is empty (0 bytes); upload it again")
    return sha256, size


def _fetch_fragment(fragment: Location, init: Location, path: Path, open_bucket: OpenBucket) -> str:
    part = path.with_name(f"{path.name}.part")
    try:
        fetch(init, path, open_bucket)
        fetch(fragment, part, open_bucket)
        with path.open("ab") as out:
            write_hashed(out, _pieces(Location(str(part))))
        return sha256_of(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def source_faults() -> Iterator[None]:
    """Turn what a source raises that is gone, or that its store does not give, into a ClipError("fetch", ...)."""
    try:
        yield
    except (FileNotFoundError, MissingObject) as error:
        raise ClipError("fetch", "the file vanished after it was listed; upload it again") from error
    except (NotAKey, ObjectRefused) as error:
        raise ClipError("fetch", f"the store does not give it: {error}") from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal. Raises ClipError("fetch", ...) as `fetch` does."""
    return _sha256(Location(str(path)))


def _sha256(location: Location, init: Location | None = None) -> str:
    digest = hashlib.sha256()
    for piece in _pieces(location, init):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(location: Location, init: Location | None = None) -> Iterator[bytes]:
    """Yield the bytes of a file on this machine, those of its init segment first."""
    try:
        for place in (location,) if init is None else (init, location):
            with source_faults(), _opened(Path(place.path)) as file:
                while piece := file.read(CHUNK_BYTES):
                    yield piece
    except OSError as error:
        raise ClipError("fetch", f"the file cannot be read: {error.strerror or error}") from error


def _opened(path: Path) -> BinaryIO:
    # What was a file when it was listed may be a pipe by now, which would be waited for.
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ClipError("fetch", "it is not a regular file; wanted one that can be read from its beginning to its end")
    return file


def _without_clashes(
    found: Sequence[tuple[Source, IngestJob]], open_bucket: OpenBucket
) -> tuple[list[IngestJob], list[Receipt[IngestJob, Never]]]:
    """Refuse files that claim one camera and one start with different content: whose is which cannot be told.

    Only claimants of one size have to be read for that; what was learned of them goes with their jobs.
    """
    claims = defaultdict(list)
    for source, job in found:
        if job.start_ns is not None:
            claims[job.camera, job.start_ns].append((source, job))
    jobs = [job for _, job in found if job.start_ns is None]
    refused: list[Receipt[IngestJob, Never]] = []
    for (camera, start_ns), claimants in claims.items():
        sizes = {source.size for source, _ in claimants if source.size is not None}
        mine = [job for _, job in claimants]
        if len(claimants) > 1 and len(sizes) == 1:
            mine = [_read(job, open_bucket) for job in mine]
        if len(sizes) <= 1 and len({job.sha256 for job in mine if job.sha256}) <= 1:
            jobs += mine
            continue
        for job in mine:
            others = ", ".join(other.name for other in mine if other is not job)
            reason = f"claims camera {camera} at {iso(start_ns)} as {others} does, with other content; rename one"
            refused.append(set_aside(job, "name", reason))
    return jobs, refused


def _read(job: IngestJob, open_bucket: OpenBucket) -> IngestJob:
    """Return the job with the hash of its content; one whose content cannot be read will say so when it is done."""
    try:
        if not job.location.bucket:
            return replace(job, sha256=_sha256(job.location, job.init))
        with open_bucket(job.location.bucket).draft() as path:
            return replace(job, sha256=fetch(job.location, path, open_bucket, init=job.init)[0])
    except ClipError:
        return job
