"""Camera shards: each carries many cameras, makes their uploads durable, and only then says "accepted".

What was accepted lies in the store under inbox/ until its record exists, so a shard that is killed finds it again.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from pipeline.errors import ClipError, StoreUnavailable
from pipeline.span import NS
from storage.archive import Archive
from storage.objects import ObjectStore, StoreSettings, check_key
from workers.patience import Patient
from workers.sources import IngestJob, copy_bytes, read_bytes, refuse_empty, source_faults

_PREFIX = "inbox/"
_NAME_CHARS = 400  # of an upload's own name that are kept; percent-encoded they must fit into S3's 2048 bytes
_AGAIN_S = 0.2


class LiveSettings(BaseModel):
    """How live ingest is bounded, and what happens when more arrives than can be worked off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shards: int = Field(2, ge=1, le=64, description="camera shards; each is one process of about 100 MB on Ray")
    queue: int = Field(64, ge=1, le=100_000, description="clips a shard has accepted and that are not done (clips)")
    disk_bytes: int = Field(
        4 * 2**30, ge=1, description="all accepted clips that are not done together, in the store (bytes)"
    )
    backlog: int = Field(64, ge=1, le=100_000, description="uploads that wait for each shard to accept them (uploads)")
    policy: Literal["block", "drop-oldest"] = Field(
        "block", description="when all is full: let sources wait, or drop the upload that has waited longest"
    )
    poll_s: float = Field(1.0, gt=0, le=3600, description="pause between two looks at a folder or bucket (seconds)")
    behind_s: float = Field(10.0, gt=0, description="a camera is behind when a clip of it waits longer (seconds)")
    drain_s: float = Field(
        60.0, ge=0, description="at the end of a timed run, how long what was accepted is worked off (seconds)"
    )
    metrics_host: str = Field("127.0.0.1", description="address the metrics are served at")
    metrics_port: int = Field(0, ge=0, le=65_535, description="port the metrics are served at; 0 = not served")


@dataclass(frozen=True, slots=True)
class Upload:
    """A clip that wants in: `job.place` is where it lies now. `size` in bytes, `arrived_ns` since 1970 UTC."""

    job: IngestJob
    size: int
    arrived_ns: int


@dataclass(frozen=True, slots=True)
class Held:
    """A clip that was accepted: `job.place` is where its durable bytes lie, `key` their key in the store."""

    job: IngestJob
    key: str
    size: int
    arrived_ns: int


class Answer(StrEnum):
    """What a shard says to an upload."""

    ACCEPTED = "accepted"
    BUSY = "busy"
    HELD = "accepted before"
    ALREADY = "already done"
    ASIDE = "set aside"


@dataclass(frozen=True, slots=True)
class Reply:
    """A shard's answer; `station` and `reason` say why an upload was set aside or what is full."""

    answer: Answer
    station: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """How full a shard is (clips, bytes), which of its cameras are behind, and which process it runs in."""

    index: int
    pid: int
    waiting: int
    held_bytes: int
    behind: frozenset[str]


def shard_of(camera: str, shards: int) -> int:
    """Return which of `shards` shards carries `camera`; the same in every process and run."""
    return int.from_bytes(hashlib.sha256(camera.encode()).digest()[:8], "big") % shards


class Shard:
    """One shard, in whichever process it was made. `offer` runs in one thread, the rest may in another.

    The store is opened and read with the first call, which then says what is wrong with it: an actor that cannot be
    made is started again for ever.
    """

    def __init__(self, index: int, store: StoreSettings, settings: LiveSettings) -> None:
        self._index, self._settings, self._store = index, settings, store
        self._bytes_free = max(1, settings.disk_bytes // settings.shards)
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._given: set[str] = set()
        self._bytes = 0
        self._ready = False
        self._lock = threading.Lock()

    def offer(self, upload: Upload) -> Reply:
        """Make an upload durable and answer; it is the shard's own as soon as the answer is "accepted".

        Raises StoreUnavailable or StoreRefused when the store is.
        """
        self._recover()
        mark = upload.job.mark
        if mark in self._held:
            return Reply(Answer.HELD)
        known = self._archive.sources.get(mark)
        if known is not None and self._archive.clips.get(known.clip) is not None:
            return Reply(Answer.ALREADY)
        if full := self._full(upload.size):
            return full
        try:
            held = self._keep(upload)
        except ClipError as error:
            return Reply(Answer.ASIDE, error.station, error.reason)
        with self._lock:
            self._held[mark] = held
            self._bytes += held.size
        return Reply(Answer.ACCEPTED)

    def take(self, most: int) -> list[Held]:
        """Hand out up to `most` clips, the one that has waited longest first; none is handed out twice."""
        self._recover()
        with self._lock:
            free = [mark for mark in self._held if mark not in self._given][:most]
            self._given.update(free)
            return [self._held[mark] for mark in free]

    def forget(self, marks: list[str]) -> None:
        """Forget clips whose records (or accounts) are written and whose bytes are gone from the inbox."""
        with self._lock:
            for mark in marks:
                self._given.discard(mark)
                held = self._held.pop(mark, None)
                self._bytes -= held.size if held else 0

    def status(self) -> ShardStatus:
        """Tell how full the shard is."""
        self._recover()
        late_ns = time.time_ns() - int(self._settings.behind_s * NS)
        with self._lock:
            behind = frozenset(held.job.camera for held in self._held.values() if held.arrived_ns < late_ns)
            return ShardStatus(self._index, os.getpid(), len(self._held), self._bytes, behind)

    def close(self) -> None:
        """Nothing to do: what is held is in the store."""

    def _recover(self) -> None:
        """Once, before anything else: find what an earlier process accepted and nobody finished."""
        with self._lock:
            if self._ready:
                return
            self._archive = Archive(Patient.open(self._store))
            found = sorted(inbox(self._archive.store, self._store), key=lambda held: (held.arrived_ns, held.key))
            for held in found:
                if shard_of(held.job.camera, self._settings.shards) == self._index:
                    self._held[held.job.mark] = held
                    self._bytes += held.size
            self._ready = True

    def _full(self, size: int) -> Reply | None:
        with self._lock:
            if len(self._held) >= self._settings.queue:
                return Reply(Answer.BUSY, reason="queue")
            if self._held and self._bytes + size > self._bytes_free:
                return Reply(Answer.BUSY, reason="disk")
        if size > self._bytes_free:
            reason = f"of {size} bytes is more than a shard may hold ({self._bytes_free}); raise live.disk_bytes"
            return Reply(Answer.ASIDE, "inbox", f"the clip {reason}")
        return None

    def _keep(self, upload: Upload) -> Held:
        job = upload.job
        key = f"{_PREFIX}{job.camera}/{job.mark}/{_file_name(job.place)}"
        # One put holds all there is to know, so there is no moment at which half of it is durable.
        meta = {
            "name": job.name.encode("utf-8", "backslashreplace").decode()[-_NAME_CHARS:],
            "start": "" if job.start_ns is None else str(job.start_ns),
            "arrived": str(upload.arrived_ns),
        }
        if not job.place.startswith("s3://"):
            return _held(key, self._put(key, job.place, meta), meta, self._store)
        with tempfile.TemporaryDirectory(prefix="lamplighter-") as scratch:
            path = Path(scratch) / "clip"
            _, size = copy_bytes(job.place, path, self._bucket)
            self._archive.store.put(key, path, meta=meta)
        return _held(key, size, meta, self._store)

    def _put(self, key: str, place: str, meta: Mapping[str, str]) -> int:
        """Put a file as it lies there, and return its size in bytes."""
        with source_faults():
            size = Path(place).stat().st_size
            refuse_empty(size)
            try:
                self._archive.store.put(key, Path(place), meta=meta)
            except StoreUnavailable:
                for _ in read_bytes(place, self._bucket):  # it may be the file that cannot be read
                    pass
                raise
        return size

    def _bucket(self, bucket: str) -> ObjectStore:
        return _open_bucket(self._store.model_copy(update={"kind": "s3", "bucket": bucket}))


def inbox(store: ObjectStore, settings: StoreSettings) -> Iterator[Held]:
    """Yield every clip that was accepted and is not done, in the order of keys."""
    for key in store.keys(_PREFIX):
        head = store.head(key)
        if head is not None and len(key.split("/")) == 4 and "arrived" in head.meta:
            yield _held(key, head.size, head.meta, settings)


def _held(key: str, size: int, meta: Mapping[str, str], settings: StoreSettings) -> Held:
    _, camera, mark, _ = key.split("/")
    # A worker reads a directory store's objects as the plain files they are.
    place = f"s3://{settings.bucket}/{key}" if settings.kind == "s3" else str(Path(settings.path).absolute() / key)
    start_ns = int(meta["start"]) if meta["start"] else None
    return Held(IngestJob(meta["name"], place, mark, camera, start_ns, key), key, size, int(meta["arrived"]))


def _file_name(place: str) -> str:
    """Return the upload's own file name, which its record will name as the source, as far as a key can carry it."""
    path = PurePosixPath(place)
    try:
        check_key(path.name)
    except ValueError:
        return f"clip{path.suffix}" if path.suffix.isascii() and len(path.suffix) < 9 else "clip"
    return path.name


@lru_cache(maxsize=8)
def _open_bucket(settings: StoreSettings) -> ObjectStore:
    return Patient.open(settings)


class _Handle(Protocol):
    def offer(self, upload: Upload) -> Reply: ...
    def take(self, most: int) -> list[Held]: ...
    def forget(self, marks: list[str]) -> None: ...
    def status(self) -> ShardStatus: ...
    def close(self) -> None: ...


class ShardLost(Exception):  # noqa: N818 - never leaves this part: the call is made again
    """The shard's process died during the call; it is started again by itself."""


class _OnRay:
    """A shard in a process of its own. Each call waits for its answer; a lost process raises ShardLost."""

    def __init__(self, ray: Any, index: int, store: StoreSettings, settings: LiveSettings) -> None:  # noqa: ANN401
        self._ray = ray
        here = ray.get_runtime_context().get_node_id()
        options = ray.remote(
            num_cpus=0,
            # Watched folders and the spool of recorded cameras are on this machine.
            scheduling_strategy=ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(here, soft=False),
            max_restarts=-1,
            max_task_retries=0,
            max_pending_calls=16,
            # An upload that takes long must not keep workers waiting for what was accepted long ago.
            concurrency_groups={"intake": 1, "desk": 1},
        )
        self._actor = options(Shard).remote(index, store, settings)

    def offer(self, upload: Upload) -> Reply:
        return self._call("offer", "intake", upload)  # type: ignore[no-any-return]

    def take(self, most: int) -> list[Held]:
        return self._call("take", "desk", most)  # type: ignore[no-any-return]

    def forget(self, marks: list[str]) -> None:
        self._call("forget", "desk", marks)

    def status(self) -> ShardStatus:
        return self._call("status", "desk")  # type: ignore[no-any-return]

    def close(self) -> None:
        self._ray.kill(self._actor)

    def _call(self, method: str, group: str, *arguments: object) -> Any:  # noqa: ANN401
        gone = self._ray.exceptions
        try:
            call = getattr(self._actor, method).options(concurrency_group=group)
            return self._ray.get(call.remote(*arguments))
        except gone.RayTaskError as error:
            raise error.cause from error
        except (gone.RayActorError, gone.PendingCallsLimitExceeded) as error:
            if getattr(error, "actor_init_failed", False):
                raise  # it would fail again: its machine lacks this project, or has another version of it
            raise ShardLost from error


class Shards:
    """All shards of a run behind one face: in processes of their own on Ray, or in this one without."""

    def __init__(self, store: StoreSettings, settings: LiveSettings, *, ray: Any = None) -> None:  # noqa: ANN401
        self.count = settings.shards
        self._handles: list[_Handle] = [
            Shard(index, store, settings) if ray is None else _OnRay(ray, index, store, settings)
            for index in range(settings.shards)
        ]
        # A shard that starts again hands out again what it finds; here is what is being worked on already.
        self._closed = threading.Event()
        self._out: dict[str, Held] = {}
        self._offered: set[str] = set()
        self.recovered = 0  # clips an earlier run had accepted and not done
        self._unforgotten: dict[int, set[str]] = {index: set() for index in range(settings.shards)}

    def offer(self, upload: Upload) -> Reply:
        """Offer to the shard of the upload's camera, again when its process dies meanwhile.

        Busy once `close` was called.
        """
        handle, lost, mark = self._handles[shard_of(upload.job.camera, self.count)], False, upload.job.mark
        before = mark in self._offered
        self._offered.add(mark)
        while True:
            try:
                reply = handle.offer(upload)
            except ShardLost:
                if self._closed.wait(_AGAIN_S):
                    return Reply(Answer.BUSY, reason="closed")
                lost = True
                continue
            # The process whose answer was lost may have made it durable, and the next one handed it out already.
            if lost and (reply.answer is Answer.HELD or (reply.answer is Answer.ALREADY and mark not in self._offered)):
                return replace(reply, answer=Answer.ACCEPTED)
            if reply.answer is not Answer.ACCEPTED and not before:
                self._offered.discard(mark)
            return reply

    def take(self, most: int) -> list[Held]:
        """Take up to `most` clips per shard to work on; a shard that is starting again gives none."""
        taken = []
        for handle in self._handles:
            try:
                found = handle.take(most)
            except ShardLost:
                continue
            for held in found:
                mark = held.job.mark
                if mark not in self._out:
                    self.recovered += mark not in self._offered
                    self._offered.discard(mark)
                    self._out[mark] = held
                    taken.append(held)
        return taken

    def held(self, mark: str) -> Held:
        """Return the clip that was taken under that mark."""
        return self._out[mark]

    def forget(self, marks: Iterable[str]) -> None:
        """Tell the shards that clips are done and their bytes gone; told again later to one that is starting again."""
        for mark in marks:
            self._unforgotten[shard_of(self._out[mark].job.camera, self.count)].add(mark)
        for index, waiting in self._unforgotten.items():
            if waiting:
                try:
                    self._handles[index].forget(sorted(waiting))
                except ShardLost:
                    continue
                for mark in waiting:
                    del self._out[mark]
                waiting.clear()

    def close(self) -> None:
        """End the shards' processes; what they hold stays in the store for the next run."""
        self._closed.set()
        for handle in self._handles:
            handle.close()

    def status(self) -> list[ShardStatus]:
        """Tell how full each shard is that answers."""
        found = []
        for handle in self._handles:
            try:
                found.append(handle.status())
            except ShardLost:
                continue
        return found
