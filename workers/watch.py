"""What is new in a watched folder or bucket prefix: each upload once, and never one half written."""

from __future__ import annotations

import hashlib
import heapq
import os
import threading
import time
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Collection, Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, Never, Protocol, TypeVar

import numpy as np

from pipeline.errors import ConfigError, LamplighterError, StoreUnavailable
from pipeline.media.origin import Naming, sidecar_names
from pipeline.media.whole import is_whole
from pipeline.span import NS
from storage.access import Credentials, StoreSettings
from storage.location import Location
from storage.s3 import S3Store
from workers.found import FileFound, ObjectFound, Source, addressed, files_below, objects_below
from workers.inbox import Upload
from workers.inotify import Inotify
from workers.names import SUFFIXES, LeftOut, rule_of, rule_of_folder
from workers.patience import pauses
from workers.receipt import Receipt
from workers.sources import IngestJob, job_of

_LOOK = 1000  # uploads one look gives at most: the oldest; the next look gives more
_FOUND = 100_000  # files of a folder that are held at most until they are given
_SWEEP_S, _SWEEP_SHARE = 60.0, 20  # a dear sweep is made so seldom, and takes one part of so many of the time
_AWAY_MOST_S = 30.0  # the longest pause while a store is away
_HINTS_S = 1.0  # the first pause before its hints are asked for again
F = TypeVar("F", FileFound, ObjectFound)
New = Upload | Receipt[IngestJob, Never]


class Watched(Protocol):
    """A folder or a bucket prefix that is watched."""

    @property
    def name(self) -> str:
        """What the user called it."""
        ...

    @property
    def left(self) -> LeftOut:
        """What the last whole look found that is no clip to be taken."""
        ...

    def look(self) -> list[New]:
        """Return what is new since the last look, the oldest first: uploads, and receipts of what is refused.

        Raises StoreUnavailable or StoreRefused for a bucket.
        """
        ...

    def hints(self) -> Iterator[object]:
        """Yield whenever a look may be worth it; blocks, or ends where there are no hints."""
        ...


def _upload(source: Source, naming: Naming, *, arrived_ns: int) -> New:
    """Return the upload, or the receipt of a file that is refused by name."""
    job = job_of(source, naming)
    return job if isinstance(job, Receipt) else Upload(job, source.size or 0, arrived_ns)


class _Seen:
    """Which versions of which files were found before: 8 bytes for each that is still there, in order."""

    def __init__(self) -> None:
        self._seen, self._still = array("Q"), array("Q")
        self._since = set[int]()  # found since the last whole look

    def begin_look(self) -> None:
        """Forget what a look found that was broken off: it did not see all that is there."""
        self._still = array("Q")

    def __contains__(self, file: tuple[str, str]) -> bool:
        """Tell whether this version of the file (name, version) was there at the end of a look before."""
        digest = _digest(*file)
        if digest in self._since:
            return True
        at = bisect_left(self._seen, digest)
        return at < len(self._seen) and self._seen[at] == digest

    def keep(self, name: str, version: str) -> None:
        """Note that this look found a version of a file that it need not find again."""
        self._still.append(_digest(name, version))

    def add(self, name: str, version: str) -> None:
        """Note a version of a file that was found, as if the last whole look had kept it."""
        self._since.add(_digest(name, version))

    def end_look(self) -> None:
        """Remember what this look kept, and nothing else: the rest is not there any more."""
        self._seen = array("Q", np.sort(np.asarray(self._still)).tobytes())
        self._since.clear()


def _digest(name: str, version: str) -> int:
    text = f"{name}\0{version}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


@dataclass(frozen=True, slots=True, order=True)
class _Found(Generic[F]):
    written_ns: int
    name: str
    version: str
    found: F = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Changing:
    """A file that may still be written to: its size and times, and since when they are these (s, of monotonic time).

    judged: whether it was looked into since; then it does not say that it is whole.
    """

    facts: tuple[int, int, int]
    since_s: float
    judged: bool = False


def _fragmented(name: str) -> bool:
    """Tell whether a name may be that of a fragment or its init segment, which are told apart by what lies beside."""
    low = name.lower()
    return low.endswith(".m4s") or ("init" in low and low.endswith(".mp4"))


def _says_whole(path: str) -> bool:
    try:
        return is_whole(Path(path))
    except OSError:  # its job will say so, once it lies still
        return False


class WatchedFolder:
    """A folder and all below it, by the rules of `workers.found`.

    A file is looked at closer when two looks found it with the same size and times, or at once when the last thing
    done to it was no write: one that was renamed into place has been changed later than it was written. It is taken
    when it says of itself that it is whole, or was left as it is for `still_s` seconds: an upload may stall. A look at
    all of it is dear when it takes longer than `dear_s`.
    """

    def __init__(self, folder: Path, naming: Naming, *, still_s: float = 0.0, dear_s: float = 0.2) -> None:
        if not os.path.isdir(folder):  # noqa: PTH112 - which never raises
            raise ConfigError(f"{folder}: wanted a folder to watch, there is none; make it first")
        self._folder, self._naming, self._seen = folder, naming, _Seen()
        self._changing: dict[str, _Changing] = {}
        self._began_ns, self._still_s, self._dear_s = time.time_ns(), still_s, dear_s
        self._ready: deque[_Found[FileFound]] = deque()
        self._inotify, self._next_sweep = Inotify(), 0.0
        self._folders: dict[str, tuple[int, bool]] = {}  # when each changed last (ns), and whether its changes are told
        self._doubted, self._listed_again = set[str](), set[str]()
        self.left = LeftOut()

    @property
    def name(self) -> str:
        """The folder."""
        return str(self._folder)

    def look(self) -> list[New]:
        """See Watched.

        Where to list it all is dear that is done seldom; in between the system says what is new (see `Inotify`), and
        only folders that changed without a word are listed.
        """
        if not self._ready:
            if time.monotonic() >= self._next_sweep or self._inotify.lost:
                self._sweep()
            else:
                self._glance()
        oldest = [self._ready.popleft() for _ in range(min(_LOOK, len(self._ready)))]
        uploads = [self._upload(found) for found in oldest]
        for found in oldest:
            self._seen.add(found.name, found.version)
        return sorted(uploads, key=_by_time)

    def _sweep(self) -> None:
        """Find what is new by a look at all there is."""
        began, before, left = time.monotonic(), self._changing, LeftOut()
        self._changing, self._folders, self._inotify.lost = {}, {}, False
        self._inotify.told()  # what it said until now is found here
        self._seen.begin_look()
        self._ready = deque(heapq.nsmallest(_FOUND, self._fresh(before, left)))
        self._seen.end_look()
        self.left = left
        took_s = time.monotonic() - began
        dear = took_s > self._dear_s and len(self._ready) < _FOUND
        self._next_sweep = time.monotonic() + max(_SWEEP_S, _SWEEP_SHARE * took_s) if dear else 0.0

    def _glance(self) -> None:
        """Find what is new by what the system said, by the times of folders, and what was being written."""
        before, self._changing, self._listed_again = self._changing, {}, set()
        told = self._inotify.told()
        files = {path: file for path in before if (file := self._file(path))}
        for folder in self._silent(told):
            files |= {file.path: file for file in self._below(folder)}
        for folder, names in told.items():
            for name in names:
                files |= {file.path: file for file in self._named(folder, name)}
        self._ready = deque(sorted(self._judged(files.values(), before)))

    def _silent(self, told: Container[str]) -> list[str]:
        """Return the folders that changed since they were listed, and of which nothing was said, now or before."""
        found, doubted = [], set[str]()
        for folder, (listed_ns, watched) in list(self._folders.items()):
            try:
                changed_ns = os.stat(folder).st_mtime_ns  # noqa: PTH116
            except OSError:
                del self._folders[folder]
                continue
            if folder in told:
                self._folders[folder] = changed_ns, watched
            elif changed_ns != listed_ns and (folder in self._doubted or not watched):
                found.append(folder)
            elif changed_ns != listed_ns:
                doubted.add(folder)  # its word may be on its way
        self._doubted = doubted
        return found

    def _named(self, folder: str, name: str) -> Iterator[FileFound]:
        """Yield the clips that something new of that name in a folder is, or belongs to."""
        path = os.path.join(folder, name)  # noqa: PTH118
        if os.path.isdir(path):  # noqa: PTH112
            if rule_of_folder(name) is None and not os.path.islink(path):  # noqa: PTH114
                yield from self._below(path)
        elif name.lower().endswith(".json"):  # a sidecar: of CLIP.mp4.json or of CLIP.json
            stem = path[: -len(".json")]
            for clip in (stem, *(f"{stem}{suffix}" for ending in SUFFIXES for suffix in (ending, ending.upper()))):
                if file := self._file(clip):
                    yield file
        elif _fragmented(name):
            yield from self._below(folder)
        elif file := self._file(path):
            yield file

    def _file(self, path: str) -> FileFound | None:
        """Return a clip's file by its path, None where there is none or it takes a look at its folder to tell."""
        folder, name = os.path.split(path)
        if not name or _fragmented(name) or rule_of(name) is not None or not os.path.isfile(path):  # noqa: PTH113
            return next((one for one in self._below(folder) if one.path == path), None) if _fragmented(name) else None
        sidecars = (os.path.join(folder, side) for side in sidecar_names(name))  # noqa: PTH118
        return FileFound(path, tuple(filter(os.path.isfile, sidecars)), "", "")

    def _below(self, folder: str) -> list[FileFound]:
        if folder in self._listed_again:
            return []
        self._listed_again.add(folder)
        return list(files_below(folder, LeftOut(), entered=self._entered))

    def _entered(self, folder: str) -> None:
        """Note a folder that is about to be listed: what happens to it from now on is told, or seen by its time."""
        watched = self._inotify.watch(folder)
        with suppress(OSError):
            changed_ns = os.stat(folder).st_mtime_ns  # noqa: PTH116
            # A change of the same tick of the clock could not be told from this one.
            fresh = not watched and abs(time.time_ns() - changed_ns) < NS
            self._folders[folder] = (0 if fresh else changed_ns), watched

    def hints(self) -> Iterator[object]:
        """See Watched: there are none."""
        return iter(())

    def _fresh(self, before: dict[str, _Changing], left: LeftOut) -> Iterator[_Found[FileFound]]:
        return self._judged(files_below(str(self._folder), left, entered=self._entered), before)

    def _judged(self, files: Iterable[FileFound], before: dict[str, _Changing]) -> Iterator[_Found[FileFound]]:
        for file in files:
            path = file.path
            try:
                facts = os.stat(path)  # noqa: PTH116 - a hundred thousand of them a look
                # What comes later makes another version, so that what was refused for want of it is not.
                version = f"{file.version(facts)} {len(file.sidecars)}"
            except OSError:
                continue  # gone since it was listed
            if (path, version) in self._seen:
                self._seen.keep(path, version)
                continue
            arrived_ns = self._arrived_ns(path, facts, before.get(path))
            if arrived_ns is not None:
                yield _Found(max(arrived_ns, self._began_ns), path, version, file)

    def _arrived_ns(self, path: str, facts: os.stat_result, before: _Changing | None) -> int | None:
        """Return when a file was there as a whole (ns since 1970); None while it may go on: then it is noted."""
        now = (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
        same, still_ns = before is not None and before.facts == now, round(self._still_s * NS)
        begun = before if before is not None and same else _Changing(now, time.monotonic())
        if same or (facts.st_size and facts.st_ctime_ns > facts.st_mtime_ns):
            # By the clock that may jump only what lay there before we looked for the first time.
            if facts.st_ctime_ns <= self._began_ns - still_ns:
                return facts.st_ctime_ns
            if time.monotonic() - begun.since_s >= self._still_s:
                return facts.st_ctime_ns + still_ns
            if not begun.judged:
                if _says_whole(path):
                    return facts.st_ctime_ns
                begun = replace(begun, judged=True)
        self._changing[path] = begun
        return None

    def _upload(self, found: _Found[FileFound]) -> New:
        return _upload(found.found.source(), self._naming, arrived_ns=found.written_ns)


class WatchedBucket:
    """The objects below a prefix of a bucket at the endpoint of `store`."""

    def __init__(self, where: Location, store: StoreSettings, naming: Naming) -> None:
        self._where = where
        credentials = Credentials.from_env(os.environ)
        if credentials is None:
            raise ConfigError(f"{where}: a bucket needs credentials in the environment; see `lamplighter doctor`")
        self._store = S3Store(store.of_bucket(where.bucket), credentials)
        self._naming, self._seen = naming, _Seen()
        self._began_ns = time.time_ns()
        self.name = str(where)
        self.left = LeftOut()

    def look(self) -> list[New]:
        """See Watched."""
        left = LeftOut()
        self._seen.begin_look()
        with addressed(self._where):
            oldest = heapq.nsmallest(_LOOK, self._fresh(left))
        uploads = [self._upload(found) for found in oldest]
        for found in oldest:  # not before: the store may have gone away in the middle
            self._seen.keep(found.name, found.version)
        self._seen.end_look()
        self.left = left
        return sorted(uploads, key=_by_time)

    def hints(self) -> Iterator[object]:
        """See Watched: MinIO tells what was written."""
        return self._store.changes(self._where.path)

    def _fresh(self, left: LeftOut) -> Iterator[_Found[ObjectFound]]:
        prefix = self._where.path
        for one in objects_below(prefix, self._store.listing(prefix), left):
            version = f"{one.version} {len(one.sidecars)}"
            if (one.key, version) in self._seen:
                self._seen.keep(one.key, version)
            else:
                yield _Found(max(one.written_ns, self._began_ns), one.key, version, one)

    def _upload(self, found: _Found[ObjectFound]) -> New:
        source = found.found.source(self._where.bucket, self._store)
        return _upload(source, self._naming, arrived_ns=found.written_ns)


def open_watched(where: str, store: StoreSettings, naming: Naming, *, still_s: float) -> Watched:
    """Watch a folder's path or s3://BUCKET/PREFIX; see WatchedFolder. Raises ConfigError when it is neither."""
    location = Location.parse(where)
    if location.bucket:
        return WatchedBucket(location, store, naming)
    return WatchedFolder(Path(where), naming, still_s=still_s)


def _by_time(found: New) -> tuple[int, str]:
    if isinstance(found, Receipt):
        return 0, found.job.name
    return found.job.start_ns or found.arrived_ns, found.job.name


class Patrol(threading.Thread):
    """Looks again and again until `stop`, and hands what is new to `enqueue`, which may block.

    A look at many files takes long; it gets at most a fifth of this thread's time. Apart from that a hint makes it look
    at once. A store that is away is asked again after pauses that grow; any other error goes to `fail` and ends it.
    known: which of these marks are in already; they are not handed on.
    """

    def __init__(
        self,
        watched: Watched,
        enqueue: Callable[[New], None],
        *,
        poll_s: float,
        stop: threading.Event,
        fail: Callable[[BaseException], None],
        known: Callable[[Collection[str]], Collection[str]] = lambda _: (),
    ) -> None:
        super().__init__(name=f"look at {watched.name}", daemon=True)
        self._watched, self._enqueue, self._poll_s, self._stop_now, self._fail = watched, enqueue, poll_s, stop, fail
        self._hint, self._known = threading.Event(), known
        self.away = ""

    @property
    def left(self) -> LeftOut:
        """What the last whole look found that is no clip."""
        return self._watched.left

    def run(self) -> None:
        """Look until told to stop."""
        threading.Thread(target=self._listen, name=f"hints of {self._watched.name}", daemon=True).start()
        away_s = self._pauses(self._poll_s)
        try:
            while not self._stop_now.is_set():
                self._hint.clear()
                began = time.monotonic()
                try:
                    found = self._watched.look()
                except StoreUnavailable as error:
                    self.away = str(error)
                    self._stop_now.wait(next(away_s))
                    continue
                self.away, away_s = "", self._pauses(self._poll_s)
                took_s = time.monotonic() - began
                for upload in self._unknown(found):
                    self._enqueue(upload)
                if len(found) < _LOOK:
                    self._stop_now.wait(4 * took_s)
                    self._await_hint(self._poll_s - 4 * took_s)
        except BaseException as error:  # noqa: BLE001 - a thread's error must not vanish with it
            self._fail(error)

    def _unknown(self, found: list[New]) -> list[New]:
        """Leave out what the catalogue knows, a thousand in one question; what it cannot say, the shards can."""
        known: Collection[str] = ()
        with suppress(StoreUnavailable):
            known = self._known([one.job.mark for one in found if isinstance(one, Upload)])
        return [one for one in found if one.job.mark not in known or isinstance(one, Receipt)] if known else found

    def _await_hint(self, most_s: float) -> None:
        until = time.monotonic() + most_s
        while not self._stop_now.is_set() and not self._hint.is_set() and (left := until - time.monotonic()) > 0:
            self._hint.wait(min(left, 0.2))

    def _listen(self) -> None:
        away_s = self._pauses(_HINTS_S)
        while not self._stop_now.is_set():
            try:
                for _ in self._watched.hints():
                    self._hint.set()
                    away_s = self._pauses(_HINTS_S)
            except StoreUnavailable:
                self._stop_now.wait(next(away_s))
            except LamplighterError:
                return  # this server has none: listing alone
            else:
                return

    @staticmethod
    def _pauses(first_s: float) -> Iterator[float]:
        return pauses(first_s, max(first_s, _AWAY_MOST_S))
