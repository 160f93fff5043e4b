"""Uploaded clips and where they lie: folders, globs and bucket prefixes become jobs, or are refused by name."""

from __future__ import annotations

import glob
import hashlib
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Never

from pipeline.errors import ClipError, ConfigError
from pipeline.media.origin import Origin, PathTemplate, read_sidecar, sidecar_names
from pipeline.span import iso
from storage.archive import short
from storage.contract import CHUNK_BYTES, Head, MissingObject, ObjectStore, write_hashed
from storage.location import Location
from workers.receipt import Receipt, set_aside

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".3gp", ".flv"}
)
OpenBucket = Callable[[str], ObjectStore]


@dataclass(frozen=True, slots=True)
class IngestJob:
    """One uploaded file: where it lies, and its `mark`, which stands for its location, size and time of change.

    `camera` and `start_ns` are what its path or sidecar said; without a start the container's creation time counts.
    `inbox_key` is its key where it lies in the store already, `sha256` the hash of its bytes where these were read
    before: they must be the same still.
    """

    name: str
    location: Location
    mark: str
    camera: str
    start_ns: int | None
    inbox_key: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One uploaded file as it was found, its size in bytes.

    `version` changes with its content, `sidecar` reads its sidecar, if any. One that has gone since has the size None.
    """

    name: str
    location: Location
    size: int | None
    version: str
    sidecar: Callable[[], bytes | None]


def ingest_jobs(
    where: Iterable[str], template: PathTemplate, *, camera: str | None, known: set[str], open_bucket: OpenBucket
) -> tuple[list[IngestJob], list[Receipt[IngestJob, Never]]]:
    """Return the jobs for all files at `where`, and receipts for those refused before any work.

    A sidecar (CLIP.mp4.json or CLIP.json) outweighs `camera`, which outweighs the template. `known` are the ids of the
    catalogue's cameras; `open_bucket` opens a bucket by name. Raises ConfigError when there is nothing at one of them.
    """
    found: list[tuple[Source, IngestJob]] = []
    refused: list[Receipt[IngestJob, Never]] = []
    for source in (one for text in where for one in _find(text, open_bucket)):
        job = job_of(source, template, camera, known)
        if isinstance(job, Receipt):
            refused.append(job)
        else:
            found.append((source, job))
    jobs, clashing = _without_clashes(found, open_bucket)
    return jobs, refused + clashing


def job_of(
    source: Source, template: PathTemplate, camera: str | None, known: Container[str]
) -> IngestJob | Receipt[IngestJob, Never]:
    """Return the job for one file, or its refusal where its camera or start cannot be told or is not known."""
    try:
        camera, start_ns = _origin(source, template, camera, known)
    except ClipError as error:
        return set_aside(IngestJob(source.name, source.location, "", "", None), error.station, error.reason)
    mark = mark_of(source.location, source.version, camera, start_ns)
    return IngestJob(source.name, source.location, mark, camera, start_ns)


def mark_of(location: Location, version: str, camera: str, start_ns: int | None) -> str:
    """Return what stands for a source in the bucket: the same file has the same mark, whichever way it came in."""
    return short(f"{location}\0{version}\0{camera}\0{start_ns}")


def file_version(size: int, changed_ns: int) -> str:
    """Return the version of a file with that size (bytes) and time of change (ns since 1970)."""
    return f"{size} {changed_ns}"


def object_version(head: Head) -> str:
    """Return the version of an object in a bucket."""
    return f"{head.size} {head.version}"


def fetch(location: Location, path: Path, open_bucket: OpenBucket) -> tuple[str, int]:
    """Copy a source to `path`, reading it once; return the SHA-256 of its bytes in hexadecimal, and how many they are.

    Raises ClipError("fetch", ...) when it is gone, cannot be read or is empty, OSError for `path`.
    """
    if location.bucket:
        with source_faults():
            store = open_bucket(location.bucket)
            sha256 = store.fetch(location.path, path)
    else:
        with path.open("wb") as out:
            sha256 = write_hashed(out, _pieces(Path(location.path)))
    size = path.stat().st_size
    if not size:
        raise ClipError("fetch", "the file is empty (0 bytes); upload it again")
    return sha256, size


@contextmanager
def source_faults() -> Iterator[None]:
    """Turn what a source that is gone raises into a ClipError("fetch", ...)."""
    try:
        yield
    except (FileNotFoundError, MissingObject) as error:
        raise ClipError("fetch", "the file vanished after it was listed; upload it again") from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal. Raises ClipError("fetch", ...) as `fetch` does."""
    digest = hashlib.sha256()
    for piece in _pieces(path):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with source_faults(), path.open("rb") as file:
            while piece := file.read(CHUNK_BYTES):
                yield piece
    except OSError as error:
        raise ClipError("fetch", f"the file cannot be read: {error.strerror or error}") from error


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
            return replace(job, sha256=sha256_of(Path(job.location.path)))
        with open_bucket(job.location.bucket).draft() as path:
            return replace(job, sha256=fetch(job.location, path, open_bucket)[0])
    except ClipError:
        return job


def _origin(
    source: Source, template: PathTemplate, camera: str | None, known: Container[str]
) -> tuple[str, int | None]:
    """Return a source's camera and its start, if that can be told. Raises ClipError for a camera that is not known."""
    sidecar = source.sidecar()
    said = Origin() if sidecar is None else read_sidecar(sidecar)
    path = Origin()
    if said.camera is None or said.start_ns is None:
        try:
            path = template.read(source.name)
        except ClipError:
            if said.camera is None and camera is None:
                raise
            # The camera is known; the start may be in the container.
    found = said.camera or camera or path.camera
    if found is None:
        raise ClipError("name", "says no camera; use a template with {camera}, --camera, or a sidecar")
    if found not in known:
        raise ClipError("camera", f"{found} is not in the catalogue; import it first (lamplighter cameras import)")
    return found, path.start_ns if said.start_ns is None else said.start_ns


def _find(text: str, open_bucket: OpenBucket) -> Iterator[Source]:
    location = Location.parse(text)
    if location.bucket:
        yield from _in_bucket(location, open_bucket(location.bucket))
        return
    at = Path(location.path)
    if at.is_dir():
        # Hidden files are drafts of who writes there; patterns, watched folders and buckets leave them out too.
        clips = (path for path in at.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
        found = [path for path in clips if path.is_file()]
    elif at.is_file():
        found = [at]
    else:
        found = [Path(name) for name in glob.glob(text, recursive=True)]  # noqa: PTH207 - takes absolute patterns too
        found = [path for path in found if path.is_file() and path.suffix.lower() != ".json"]
        if not found:
            raise ConfigError(f"{text}: no such file or folder, and as a pattern it fits nothing")
    for path in sorted(found):
        try:
            facts = path.stat()
            size, version = facts.st_size, file_version(facts.st_size, facts.st_mtime_ns)
        except OSError:  # gone since it was listed: the job will say so
            size, version = None, "gone"
        sidecar = partial(read_sidecar_file, sidecar_names(str(path)))
        yield Source(str(path), Location(str(path.absolute())), size, version, sidecar)


def read_sidecar_file(paths: Sequence[str]) -> bytes | None:
    """Return the content of the first of these files that is there. Raises ClipError when it cannot be read."""
    for path in map(Path, paths):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ClipError("sidecar", f"{path.name} cannot be read: {error.strerror}") from error
    return None


def sidecar_object(store: ObjectStore, key: str, there: Container[str]) -> Callable[[], bytes | None]:
    """Return what reads the sidecar of the object `key`, given the keys that are `there`; it gives None for none."""
    name = next((name for name in sidecar_names(key) if name in there), None)
    return (lambda: None) if name is None else partial(store.get, name)


def _in_bucket(where: Location, store: ObjectStore) -> Iterator[Source]:
    sidecars = {key for key in store.keys(where.path) if key.endswith(".json")}
    for key in store.keys(where.path):
        location = Location(key, where.bucket)
        if location.suffix not in SUFFIXES:
            continue
        head = store.head(key)
        size, version = (head.size, object_version(head)) if head else (None, "gone")
        yield Source(str(location), location, size, version, sidecar_object(store, key, sidecars))
