"""The inbox: clips that were accepted and are not done, each one object of the store with all that is known of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote

from pipeline.clip import Clock
from storage.access import StoreSettings
from storage.contract import ObjectStore, check_key
from storage.location import Location
from workers.found import OpenBucket
from workers.sources import IngestJob, fetch

_PREFIX = "inbox/"
SPARED: Final = frozenset({"process", "deadline"})
"""Stations at which a clip need not be to blame: its bytes stay, and it is tried again when somebody asks for it."""
# Of an upload's own name, and of how its clock is known, percent-encoded: S3 takes 2048 bytes of metadata in all.
_NAME_BYTES, _KNOWN_BYTES = 1000, 300


@dataclass(frozen=True, slots=True)
class Upload:
    """A clip that wants in: `job.location` is where it lies now. `size` in bytes, `arrived_ns` since 1970 UTC."""

    job: IngestJob
    size: int
    arrived_ns: int


@dataclass(frozen=True, slots=True)
class Held:
    """A clip that was accepted: `job.location` is where its durable bytes lie, `key` their key in the store."""

    job: IngestJob
    key: str
    size: int
    arrived_ns: int


class Inbox:
    """The inbox of a store that was opened as `settings` say."""

    def __init__(self, store: ObjectStore, settings: StoreSettings) -> None:
        self._store, self._settings = store, settings

    def keep(self, upload: Upload, open_bucket: OpenBucket) -> Held:
        """Make an upload durable, reading it once; return what is held then.

        Raises ClipError("fetch", ...) as `fetch` does, StoreUnavailable or StoreRefused when the store is.
        """
        job = upload.job
        key = f"{_PREFIX}{job.camera}/{job.mark}/{_file_name(job.location)}"
        with self._store.draft() as path:
            sha256, size = fetch(job.location, path, open_bucket, init=job.init)
            # One object holds all there is to know, so there is no moment at which half of it is durable.
            meta = {
                "name": _tail(job.name),
                "start": "" if job.start_ns is None else str(job.start_ns),
                "arrived": str(upload.arrived_ns),
                "sha256": sha256,
                "clock": "" if job.clock is None else _clock_text(job.clock),
            }
            self._store.adopt(path, key, meta=meta)
        return self._held(key, size, meta)

    def held(self) -> Iterator[Held]:
        """Yield every clip that was accepted and is not done, in the order of keys."""
        for key in self._store.keys(_PREFIX):
            head = self._store.head(key)
            if head is None or len(key.split("/")) != 4:
                continue
            try:
                held = self._held(key, head.size, head.meta)
            except (KeyError, ValueError):  # not of our making, so it is left alone
                continue
            yield held

    def _held(self, key: str, size: int, meta: Mapping[str, str]) -> Held:
        _, camera, mark, _ = key.split("/")
        location = Location(key, self._settings.bucket)
        if self._settings.kind == "directory":  # its objects are plain files: a worker reads them where they are
            location = Location(str(Path(self._settings.path).absolute() / key))
        start_ns = int(meta["start"]) if meta["start"] else None
        clock = Clock(*json.loads(meta["clock"])) if meta.get("clock") else None
        sha256 = meta.get("sha256", "")
        job = IngestJob(meta["name"], location, mark, camera, start_ns, inbox_key=key, sha256=sha256, clock=clock)
        return Held(job, key, size, int(meta["arrived"]))


def _clock_text(clock: Clock) -> str:
    known = clock.known
    while len(quote(known)) > _KNOWN_BYTES:
        known = f"{known[:-2].removesuffix('…')}…"
    return json.dumps([clock.source, clock.zone, clock.offset_s, known], ensure_ascii=False)


def _file_name(location: Location) -> str:
    """Return the upload's own file name, which its record will name as the source, as far as a key can carry it."""
    try:
        check_key(location.name)
    except ValueError:
        suffix = PurePosixPath(location.path).suffix
        return f"clip{suffix}" if suffix.isascii() and len(suffix) < 9 else "clip"
    return location.name


def _tail(name: str) -> str:
    """Return the end of an upload's own name, as far as metadata can carry it."""
    printable = name.encode("utf-8", "backslashreplace").decode()[-_NAME_BYTES:]
    while len(quote(printable)) > _NAME_BYTES:
        printable = printable[len(printable) // 8 :]
    return printable
