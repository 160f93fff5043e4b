"""Uploaded clips and where they lie: folders, globs and bucket prefixes become jobs, or are refused by name."""

from __future__ import annotations

import glob
import hashlib
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.errors import ClipError, ConfigError
from pipeline.media.origin import Origin, PathTemplate, read_sidecar
from pipeline.span import iso
from storage.archive import short
from storage.objects import CHUNK_BYTES, MissingObject, ObjectStore
from workers.receipt import Outcome, Receipt

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".3gp", ".flv"}
)
OpenBucket = Callable[[str], ObjectStore]


@dataclass(frozen=True, slots=True)
class IngestJob:
    """One uploaded file: `place` is its path or s3://BUCKET/KEY, `mark` stands for its place, size and time of change.

    `camera` and `start_ns` are what its path or sidecar said; without a start the container's creation time counts.
    `held` is its key where it lies in the store already.
    """

    name: str
    place: str
    mark: str
    camera: str
    start_ns: int | None
    held: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One uploaded file as it was found: `version` changes with its content, `sidecar` reads its sidecar, if any."""

    name: str
    place: str
    version: str
    sidecar: Callable[[], bytes | None]


def ingest_jobs(
    where: Iterable[str], template: PathTemplate, *, camera: str | None, known: set[str], open_bucket: OpenBucket
) -> tuple[list[IngestJob], list[Receipt[Any]]]:
    """Return the jobs for all files at `where`, and receipts for those refused before any work.

    A sidecar (CLIP.mp4.json or CLIP.json) outweighs `camera`, which outweighs the template. `known` are the ids of the
    catalogue's cameras; `open_bucket` opens a bucket by name. Raises ConfigError when a place does not exist.
    """
    jobs: list[IngestJob] = []
    refused: list[Receipt[Any]] = []
    for source in (found for place in where for found in _find(place, open_bucket)):
        try:
            jobs.append(job_of(source, template, camera, known))
        except ClipError as error:
            job = IngestJob(source.name, source.place, "", "", None)
            refused.append(Receipt(job, Outcome.ASIDE, station=error.station, reason=error.reason))
    return _without_clashes(jobs, refused, open_bucket), refused


def read_bytes(place: str, open_bucket: OpenBucket) -> Iterator[bytes]:
    """Yield a source's content in pieces. Raises ClipError("fetch", ...) when it is gone or cannot be read."""
    with source_faults():
        if place.startswith("s3://"):
            bucket, _, key = place.removeprefix("s3://").partition("/")
            yield from _in_ranges(open_bucket(bucket), key)
            return
        with Path(place).open("rb") as file:
            while piece := file.read(CHUNK_BYTES):
                yield piece


@contextmanager
def source_faults() -> Iterator[None]:
    """Turn what reading a source may raise into a ClipError("fetch", ...)."""
    try:
        yield
    except (FileNotFoundError, MissingObject) as error:
        raise ClipError("fetch", "the file vanished after it was listed; upload it again") from error
    except OSError as error:
        raise ClipError("fetch", f"the file cannot be read: {error.strerror or error}") from error


def copy_bytes(place: str, path: Path | None, open_bucket: OpenBucket) -> tuple[str, int]:
    """Copy a source to `path`, or only read it; return its SHA-256 in hexadecimal and its size in bytes.

    Raises ClipError("fetch", ...) as `read_bytes` does, and when there is not one byte.
    """
    digest, size = hashlib.sha256(), 0
    with nullcontext() if path is None else path.open("wb") as file:
        for piece in read_bytes(place, open_bucket):
            digest.update(piece)
            size += len(piece)
            if file is not None:
                file.write(piece)
    refuse_empty(size)
    return digest.hexdigest(), size


def refuse_empty(size: int) -> None:
    """Raise ClipError("fetch", ...) for a source of 0 bytes."""
    if not size:
        raise ClipError("fetch", "the file is empty (0 bytes); upload it again")


def _in_ranges(store: ObjectStore, key: str) -> Iterator[bytes]:
    start, step = 0, 8 << 20
    while piece := store.read(key, start=start, length=step):
        yield piece
        start += len(piece)


def _without_clashes(jobs: list[IngestJob], refused: list[Receipt[Any]], open_bucket: OpenBucket) -> list[IngestJob]:
    """Refuse files that claim one camera and one start with different content: whose is which cannot be told."""
    claims = defaultdict(list)
    for job in jobs:
        if job.start_ns is not None:
            claims[job.camera, job.start_ns].append(job)
    clashing: set[str] = set()
    for (camera, start_ns), claimants in claims.items():
        if len(claimants) > 1 and len({_digest(job.place, open_bucket) for job in claimants}) > 1:
            for job in claimants:
                others = ", ".join(other.name for other in claimants if other is not job)
                reason = f"claims camera {camera} at {iso(start_ns)} as {others} does, with other content; rename one"
                refused.append(Receipt(job, Outcome.ASIDE, station="name", reason=reason))
                clashing.add(job.place)
    return [job for job in jobs if job.place not in clashing]


def _digest(place: str, open_bucket: OpenBucket) -> str:
    digest = hashlib.sha256()
    try:
        for piece in read_bytes(place, open_bucket):
            digest.update(piece)
    except ClipError:
        return ""  # its own job will say why
    return digest.hexdigest()


def job_of(source: Source, template: PathTemplate, camera: str | None, known: Container[str]) -> IngestJob:
    """Return the job for one file. Raises ClipError when its camera or start cannot be told or is not known."""
    origin = _origin(source, template, camera)
    if origin.camera is None:
        raise ClipError("name", "says no camera; use a template with {camera}, --camera, or a sidecar")
    if origin.camera not in known:
        raise ClipError(
            "camera", f"{origin.camera} is not in the catalogue; import it first (lamplighter cameras import)"
        )
    mark = short(f"{source.place}\0{source.version}\0{origin.camera}\0{origin.start_ns}")
    return IngestJob(source.name, source.place, mark, origin.camera, origin.start_ns)


def _origin(source: Source, template: PathTemplate, camera: str | None) -> Origin:
    sidecar = source.sidecar()
    said = Origin() if sidecar is None else read_sidecar(sidecar)
    if said.camera is not None and said.start_ns is not None:
        return said
    try:
        path = template.read(source.name)
    except ClipError:
        if said.camera is None and camera is None:
            raise
        path = Origin()  # the camera is known; the start may be in the container
    start_ns = path.start_ns if said.start_ns is None else said.start_ns
    return Origin(said.camera or camera or path.camera, start_ns)


def _find(where: str, open_bucket: OpenBucket) -> Iterator[Source]:
    if where.startswith("s3://"):
        bucket, _, prefix = where.removeprefix("s3://").partition("/")
        yield from _in_bucket(bucket, prefix, open_bucket(bucket))
        return
    place = Path(where)
    if place.is_dir():
        found = [path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]
    elif place.is_file():
        found = [place]
    else:
        found = [Path(name) for name in glob.glob(where, recursive=True)]  # noqa: PTH207 - takes absolute patterns too
        found = [path for path in found if path.is_file() and path.suffix.lower() != ".json"]
        if not found:
            raise ConfigError(f"{where}: no such file or folder, and as a pattern it fits nothing")
    for path in sorted(found):
        try:
            facts = path.stat()
            version = f"{facts.st_size} {facts.st_mtime_ns}"
        except OSError:  # gone since it was listed: the job will say so
            version = "gone"
        sidecars = (Path(f"{path}.json"), path.with_suffix(".json"))
        yield Source(str(path), str(path.absolute()), version, lambda paths=sidecars: read_first(paths))  # type: ignore[misc]


def read_first(paths: tuple[Path, ...]) -> bytes | None:
    """Return the content of the first of these sidecars that is there. Raises ClipError when it cannot be read."""
    for path in paths:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ClipError("sidecar", f"{path.name} cannot be read: {error.strerror}") from error
    return None


def _in_bucket(bucket: str, prefix: str, store: ObjectStore) -> Iterator[Source]:
    sidecars = {key for key in store.keys(prefix) if key.endswith(".json")}
    for key in store.keys(prefix):
        path = PurePosixPath(key)
        if path.suffix.lower() not in SUFFIXES:
            continue
        head = store.head(key)
        mine = [name for name in (f"{key}.json", str(path.with_suffix(".json"))) if name in sidecars]
        yield Source(
            f"s3://{bucket}/{key}",
            f"s3://{bucket}/{key}",
            f"{head.size} {head.version}" if head else "gone",
            lambda names=mine: store.get(names[0]) if names else None,  # type: ignore[misc]
        )
