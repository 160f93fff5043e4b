"""Watched places: what is new in a folder or a bucket prefix, each upload once, and never one half written."""

from __future__ import annotations

import hashlib
import heapq
import os
import stat
import threading
import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np

from pipeline.errors import ClipError, ConfigError, LamplighterError, StoreUnavailable
from pipeline.media.origin import PathTemplate
from storage.objects import Credentials, StoreSettings
from storage.s3 import S3Store
from workers.receipt import Outcome, Receipt
from workers.shard import Upload
from workers.sources import SUFFIXES, IngestJob, Source, job_of, read_first

_LOOK = 1000  # uploads one look gives at most: the oldest; the next look gives more
_HINT_PAUSE_S = 5.0


class Watched(Protocol):
    """A watched place."""

    @property
    def name(self) -> str:
        """What the user called it."""
        ...

    def look(self) -> list[Upload | Receipt[Any]]:
        """Return what is new since the last look, the oldest first: uploads, and receipts of what is refused.

        Raises StoreUnavailable or StoreRefused for a bucket.
        """
        ...

    def hints(self) -> Iterator[object]:
        """Yield whenever a look may be worth it; blocks, or ends where the place gives no hints."""
        ...


@dataclass(frozen=True, slots=True)
class Naming:
    """How an upload is told apart: by the template, under `camera` when one is given, among the `known` cameras."""

    template: PathTemplate
    known: Container[str]
    camera: str | None = None

    def upload(self, source: Source, size: int, *, arrived_ns: int) -> Upload | Receipt[Any]:
        """Return the upload, or the receipt of a file that is refused by name."""
        try:
            return Upload(job_of(source, self.template, self.camera, self.known), size, arrived_ns)
        except ClipError as error:
            job = IngestJob(source.name, source.place, "", "", None)
            return Receipt(job, Outcome.ASIDE, station=error.station, reason=error.reason)


class _Seen:
    """Which versions of which files were given to be taken in: 8 bytes for each that is still there, in order."""

    def __init__(self) -> None:
        self._seen, self._still = array("Q"), array("Q")

    def begin_look(self) -> None:
        """Forget what a look found that was broken off: it did not see all that is there."""
        self._still = array("Q")

    def is_new(self, place: str, version: str) -> bool:
        """Tell whether this version of the file was not given yet."""
        digest = _digest(place, version)
        at = bisect_left(self._seen, digest)
        if at == len(self._seen) or self._seen[at] != digest:
            return True
        self._still.append(digest)
        return False

    def end_look(self, given: Iterable[_Found]) -> None:
        """Remember what this look gives; forget what is not there any more."""
        self._still.extend(_digest(found.name, found.version) for found in given)
        self._seen = array("Q", np.sort(np.asarray(self._still)).tobytes())


def _digest(place: str, version: str) -> int:
    text = f"{place}\0{version}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


@dataclass(frozen=True, slots=True, order=True)
class _Found:
    written_ns: int
    name: str
    size: int
    version: str
    sidecars: tuple[str, ...]


class WatchedFolder:
    """A folder and all below it. Hidden files and other suffixes are not looked at.

    A file is taken when two looks found it with the same size and times, or at once when the last thing done to it
    was no write: a file that was renamed into place (or whose times were set by a finished copy) has been changed
    later than it was written.
    """

    def __init__(self, folder: Path, naming: Naming) -> None:
        if not folder.is_dir():
            raise ConfigError(f"{folder}: wanted a folder to watch, there is none; make it first")
        self._folder, self._naming, self._seen = folder, naming, _Seen()
        self._changing: dict[str, tuple[int, int, int]] = {}
        self._began_ns = time.time_ns()

    @property
    def name(self) -> str:
        """The folder."""
        return str(self._folder)

    def look(self) -> list[Upload | Receipt[Any]]:
        """See Watched."""
        before, self._changing = self._changing, {}
        self._seen.begin_look()
        oldest = heapq.nsmallest(_LOOK, self._fresh(before))
        uploads = [self._upload(found) for found in oldest]
        self._seen.end_look(oldest)
        return sorted(uploads, key=_by_time)

    def hints(self) -> Iterator[object]:
        """See Watched: there are none."""
        return iter(())

    def _fresh(self, before: dict[str, tuple[int, int, int]]) -> Iterator[_Found]:
        for folder, _, names in os.walk(self._folder):
            there = set(names)
            for name in names:
                if name.startswith(".") or PurePosixPath(name).suffix.lower() not in SUFFIXES:
                    continue
                path = os.path.join(folder, name)  # noqa: PTH118 - a hundred thousand of them a look
                sidecars = tuple(
                    os.path.join(folder, side)  # noqa: PTH118
                    for side in (f"{name}.json", f"{PurePosixPath(name).stem}.json")
                    if side in there
                )
                try:
                    facts = os.stat(path)  # noqa: PTH116
                except OSError:
                    continue  # gone since it was listed
                if not stat.S_ISREG(facts.st_mode):
                    continue
                # A sidecar that comes later makes another version, so that what was refused for want of it is not.
                version = f"{facts.st_size} {facts.st_mtime_ns} {len(sidecars)}"
                if not self._seen.is_new(path, version):
                    continue
                now = (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
                if before.get(path) == now or (facts.st_size and facts.st_ctime_ns > facts.st_mtime_ns):
                    yield _Found(max(facts.st_ctime_ns, self._began_ns), path, facts.st_size, version, sidecars)
                else:
                    self._changing[path] = now

    def _upload(self, found: _Found) -> Upload | Receipt[Any]:
        paths = tuple(Path(path) for path in found.sidecars)
        version = found.version.rpartition(" ")[0]  # as `ingest` makes it, so that nothing is taken in by both
        source = Source(found.name, str(Path(found.name).absolute()), version, lambda: read_first(paths))
        return self._naming.upload(source, found.size, arrived_ns=found.written_ns)


class WatchedBucket:
    """The objects below a prefix, given as s3://BUCKET/PREFIX, at the endpoint of `store`."""

    def __init__(self, where: str, store: StoreSettings, naming: Naming) -> None:
        self._bucket, _, self._prefix = where.removeprefix("s3://").partition("/")
        credentials = Credentials.from_env(os.environ)
        if credentials is None:
            raise ConfigError(f"{where}: a bucket needs credentials in the environment; see `lamplighter doctor`")
        settings = store.model_copy(update={"kind": "s3", "bucket": self._bucket})
        # One object serves one thread: looks and hints have their own.
        self._store, self._told = S3Store(settings, credentials), S3Store(settings, credentials)
        self._naming, self._seen = naming, _Seen()
        self._began_ns = time.time_ns()
        self.name = where

    def look(self) -> list[Upload | Receipt[Any]]:
        """See Watched."""
        jsons: set[str] = set()
        self._seen.begin_look()
        oldest = heapq.nsmallest(_LOOK, self._fresh(jsons))
        uploads = [self._upload(found, jsons) for found in oldest]
        self._seen.end_look(oldest)  # not before: the store may have gone away in the middle
        return sorted(uploads, key=_by_time)

    def hints(self) -> Iterator[object]:
        """See Watched: MinIO tells what was written."""
        return self._told.changes(self._prefix)

    def _fresh(self, jsons: set[str]) -> Iterator[_Found]:
        for key, head, written_ns in self._store.listing(self._prefix):
            if key.endswith(".json"):
                jsons.add(key)
            elif PurePosixPath(key).suffix.lower() in SUFFIXES:
                version = f"{head.size} {head.version}"
                if self._seen.is_new(key, version):
                    yield _Found(max(written_ns, self._began_ns), key, head.size, version, ())

    def _upload(self, found: _Found, jsons: set[str]) -> Upload | Receipt[Any]:
        place = f"s3://{self._bucket}/{found.name}"
        sides = (f"{found.name}.json", str(PurePosixPath(found.name).with_suffix(".json")))
        mine = next((key for key in sides if key in jsons), None)
        source = Source(place, place, found.version, lambda: self._store.get(mine) if mine else None)
        return self._naming.upload(source, found.size, arrived_ns=found.written_ns)


def open_watched(where: str, store: StoreSettings, naming: Naming) -> Watched:
    """Return the watched place at a folder's path or s3://BUCKET/PREFIX. Raises ConfigError when it is neither."""
    return WatchedBucket(where, store, naming) if where.startswith("s3://") else WatchedFolder(Path(where), naming)


def _by_time(found: Upload | Receipt[Any]) -> tuple[int, str]:
    if isinstance(found, Receipt):
        return 0, found.job.name
    return found.job.start_ns or found.arrived_ns, found.job.name


class Patrol(threading.Thread):
    """Looks at one place again and again until `stop`, and gives what is new to `give`, which may block.

    A look at a large place takes long; it gets at most a fifth of this thread's time. Apart from that a hint makes it
    look at once. A store that is away is asked again; any other error goes to `fail` and ends it.
    """

    def __init__(
        self,
        place: Watched,
        give: Callable[[Upload | Receipt[Any]], None],
        *,
        poll_s: float,
        stop: threading.Event,
        fail: Callable[[BaseException], None],
    ) -> None:
        super().__init__(name=f"look at {place.name}", daemon=True)
        self._place, self._give, self._poll_s, self._stop_now, self._fail = place, give, poll_s, stop, fail
        self._hint = threading.Event()
        self.away = ""

    def run(self) -> None:
        """Look until told to stop."""
        threading.Thread(target=self._listen, name=f"hints of {self._place.name}", daemon=True).start()
        try:
            while not self._stop_now.is_set():
                self._hint.clear()
                began = time.monotonic()
                try:
                    found = self._place.look()
                    self.away = ""
                except StoreUnavailable as error:
                    found, self.away = [], str(error)
                took_s = time.monotonic() - began
                for upload in found:
                    self._give(upload)
                if len(found) < _LOOK:
                    self._stop_now.wait(4 * took_s)
                    self._await_hint(self._poll_s - 4 * took_s)
        except BaseException as error:  # noqa: BLE001 - a thread's error must not vanish with it
            self._fail(error)

    def _await_hint(self, most_s: float) -> None:
        until = time.monotonic() + most_s
        while not self._stop_now.is_set() and not self._hint.is_set() and (left := until - time.monotonic()) > 0:
            self._hint.wait(min(left, 0.2))

    def _listen(self) -> None:
        while not self._stop_now.is_set():
            try:
                for _ in self._place.hints():
                    self._hint.set()
            except StoreUnavailable:
                self._stop_now.wait(_HINT_PAUSE_S)
            except LamplighterError:
                return  # this server has none: listing alone
            else:
                return
