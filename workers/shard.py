"""Camera shards: each carries many cameras, makes their uploads durable, and only then says "accepted".

What was accepted lies in the store under inbox/ until its record exists, so a shard that is killed finds it again.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from types import ModuleType
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from pipeline.span import NS
from storage.access import StoreSettings
from storage.archive import Archive, short
from storage.contract import ObjectStore
from workers.blame import blame
from workers.inbox import SPARED, Held, Inbox, Upload
from workers.patience import Patient, open_once, pauses
from workers.settings import LiveSettings

P = ParamSpec("P")
T = TypeVar("T")
_LAST_S = 10.0  # how long a shard that is starting again is waited for at the end
_AGAIN_S, _AGAIN_MOST_S = 0.2, 2.0  # between two calls of a shard whose process is starting again


class Answer(StrEnum):
    """What a shard says to an upload."""

    ACCEPTED = "accepted"
    BUSY = "busy"
    HELD = "accepted before"
    ALREADY = "already done"
    ASIDE = "set aside"


@dataclass(frozen=True, slots=True)
class Reply:
    """A shard's answer; `station` and `reason` say why an upload was set aside or what is full, the rest of a bug."""

    answer: Answer
    station: str = ""
    reason: str = ""
    trace: str = ""
    place: str = ""


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
        self._taken: set[str] = set()
        self._since_s: dict[str, float] = {}  # when each arrived, by a clock that never goes back
        self._bytes = 0
        self._ready = False
        self._lock = threading.Lock()

    def offer(self, upload: Upload) -> Reply:
        """Make an upload durable and answer; it is the shard's own as soon as the answer is "accepted".

        An error nobody foresaw costs this upload alone. Raises StoreUnavailable or StoreRefused when the store is, and
        what else ends the run.
        """
        self._recover()
        try:
            return self._keep(upload)
        except Exception as error:  # noqa: BLE001 - one upload's bug must not cost the others
            said = blame(error)
            return Reply(Answer.ASIDE, said.station, said.reason, said.trace, said.place)

    def _keep(self, upload: Upload) -> Reply:
        mark = upload.job.mark
        if mark in self._held:
            return Reply(Answer.HELD)
        if self._is_in(upload):
            return Reply(Answer.ALREADY)
        if full := self._full(upload.size):
            return full
        held = self._inbox.keep(upload, self._open_bucket)
        with self._lock:
            self._hold(held)
        return Reply(Answer.ACCEPTED)

    def _hold(self, held: Held) -> None:
        # How long it waited is told by the clock that may jump this once.
        self._since_s[held.job.mark] = time.monotonic() - max(0, time.time_ns() - held.arrived_ns) / NS
        self._held[held.job.mark] = held
        self._bytes += held.size

    def _is_in(self, upload: Upload) -> bool:
        mark, start_ns = upload.job.mark, upload.job.start_ns
        known = self._archive.sources.get(mark)
        if known is not None and self._archive.clips.get(known.clip) is not None:
            return True
        return start_ns is not None and self._archive.is_forgotten(upload.job.camera, start_ns, mark=mark)

    def take(self, most: int) -> list[Held]:
        """Hand out up to `most` clips, the one that has waited longest first; none is handed out twice."""
        self._recover()
        with self._lock:
            free = list(islice((mark for mark in self._held if mark not in self._taken), most))
            self._taken.update(free)
            return [self._held[mark] for mark in free]

    def forget(self, marks: list[str]) -> None:
        """Forget clips whose records (or accounts) are written and whose bytes are gone from the inbox."""
        with self._lock:
            for mark in marks:
                self._taken.discard(mark)
                self._since_s.pop(mark, None)
                held = self._held.pop(mark, None)
                self._bytes -= held.size if held else 0

    def status(self) -> ShardStatus:
        """Tell how full the shard is."""
        self._recover()
        late_s = time.monotonic() - self._settings.behind_s
        with self._lock:
            behind = frozenset(held.job.camera for mark, held in self._held.items() if self._since_s[mark] < late_s)
            return ShardStatus(self._index, os.getpid(), len(self._held), self._bytes, behind)

    def knows(self, upload: Upload) -> bool:
        """Tell whether an upload is held or in already, or was removed for good."""
        self._recover()
        with self._lock:
            if upload.job.mark in self._held:
                return True
        return self._is_in(upload)

    def held(self) -> list[str]:
        """Return the marks of what is held."""
        self._recover()
        with self._lock:
            return list(self._held)

    def close(self) -> None:
        """Nothing to do: what is held is in the store."""

    def _recover(self) -> None:
        """Once, before anything else: find what an earlier process accepted and nobody finished."""
        with self._lock:
            if self._ready:
                return
            store = Patient.open(self._store)
            self._archive, self._inbox = Archive(store), Inbox(store, self._store)
            accounts = set(self._archive.aside.names())
            for held in sorted(self._inbox.held(), key=lambda held: (held.arrived_ns, held.key)):
                mine = shard_of(held.job.camera, self._settings.shards) == self._index
                if mine and not (short(held.job.name) in accounts and self._is_aside(held)):
                    self._hold(held)
            self._ready = True

    def _is_aside(self, held: Held) -> bool:
        """Tell whether a clip brought down its processes before: it would do so at every start."""
        account = self._archive.aside.get(short(held.job.name))
        return account is not None and account.mark == held.job.mark and account.station in SPARED

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

    def _open_bucket(self, bucket: str) -> ObjectStore:
        return open_once(self._store.of_bucket(bucket))


@dataclass(frozen=True, slots=True)
class InHand:
    """How many clips wait that were accepted, and how many of all that were worked on an earlier run had accepted."""

    waiting: int
    recovered: int


class _AnyShard(Protocol):
    def offer(self, upload: Upload) -> Reply: ...
    def take(self, most: int) -> list[Held]: ...
    def forget(self, marks: list[str]) -> None: ...
    def status(self) -> ShardStatus: ...
    def knows(self, upload: Upload) -> bool: ...
    def held(self) -> list[str]: ...
    def close(self) -> None: ...


class ShardLost(Exception):  # noqa: N818 - never leaves this part: the call is made again
    """The shard's process died during the call; it is started again by itself."""


class _ShardProcess:
    """A shard in a process of its own. Each call waits for its answer; a lost process raises ShardLost."""

    def __init__(self, ray: ModuleType, index: int, store: StoreSettings, settings: LiveSettings) -> None:
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
            concurrency_groups={"intake": 1, "work": 1},
        )
        self._actor = options(Shard).remote(index, store, settings)

    def offer(self, upload: Upload) -> Reply:
        return self._call(Shard.offer, "intake", upload)

    def take(self, most: int) -> list[Held]:
        return self._call(Shard.take, "work", most)

    def forget(self, marks: list[str]) -> None:
        self._call(Shard.forget, "work", marks)

    def status(self) -> ShardStatus:
        return self._call(Shard.status, "work")

    def knows(self, upload: Upload) -> bool:
        return self._call(Shard.knows, "work", upload)

    def held(self) -> list[str]:
        return self._call(Shard.held, "work")

    def close(self) -> None:
        self._ray.kill(self._actor)

    def _call(self, method: Callable[Concatenate[Shard, P], T], group: str, *args: P.args, **kwargs: P.kwargs) -> T:
        gone = self._ray.exceptions
        try:
            call = getattr(self._actor, method.__name__).options(concurrency_group=group)
            answer: T = self._ray.get(call.remote(*args, **kwargs))
        except gone.RayTaskError as error:
            raise error.cause from error
        except (gone.RayActorError, gone.PendingCallsLimitExceeded) as error:
            if getattr(error, "actor_init_failed", False):
                raise  # it would fail again: its machine lacks this project, or has another version of it
            raise ShardLost from error
        return answer


class Shards:
    """All shards of a run behind one face: in processes of their own on Ray, or in this one without."""

    def __init__(self, store: StoreSettings, settings: LiveSettings, *, ray: ModuleType | None = None) -> None:
        self.count = settings.shards
        self._shards: list[_AnyShard] = [
            Shard(index, store, settings) if ray is None else _ShardProcess(ray, index, store, settings)
            for index in range(settings.shards)
        ]
        self._closed = threading.Event()
        # A shard that starts again hands out again what it finds; here is what is being worked on already.
        self._taken: dict[str, Held] = {}
        self._offered: set[str] = set()
        self.recovered = 0  # clips an earlier run had accepted and not done
        self._answered: set[str] = set()  # what has its receipt
        self._unsaid: set[str] = set()  # what may be held though its offer was never answered
        self._unforgotten: dict[int, set[str]] = {index: set() for index in range(settings.shards)}

    def offer(self, upload: Upload) -> Reply:
        """Offer to the shard of the upload's camera, again when its process dies meanwhile.

        Busy once `close` was called.
        """
        shard, lost, mark = self._shards[shard_of(upload.job.camera, self.count)], False, upload.job.mark
        before, again_s = mark in self._offered, pauses(_AGAIN_S, _AGAIN_MOST_S)
        self._offered.add(mark)
        while True:
            try:
                reply = shard.offer(upload)
            except ShardLost:
                if self._closed.wait(next(again_s)):
                    self._unsaid.add(mark)
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
        fresh = []
        for shard in self._shards:
            try:
                found = shard.take(most)
            except ShardLost:
                continue
            for held in found:
                mark = held.job.mark
                if mark not in self._taken:
                    self.recovered += mark not in self._offered
                    self._offered.discard(mark)
                    self._taken[mark] = held
                    fresh.append(held)
        return fresh

    def taken(self, mark: str) -> Held:
        """Return the clip that was taken under that mark."""
        return self._taken[mark]

    def answered(self, mark: str) -> None:
        """Note that a clip that was taken has its receipt."""
        self._answered.add(mark)

    def knows(self, upload: Upload) -> bool:
        """Tell whether an upload is held or in already; a shard that is starting again is waited for, until `close`."""
        again_s = pauses(_AGAIN_S, _AGAIN_MOST_S)
        while True:
            try:
                return self._shards[shard_of(upload.job.camera, self.count)].knows(upload)
            except ShardLost:
                if self._closed.wait(next(again_s)):
                    return False

    def held(self) -> InHand | None:
        """Return what the shards hold that has no receipt; None where one cannot be asked."""
        marks, again_s, until = set[str](), pauses(_AGAIN_S, _AGAIN_MOST_S), time.monotonic() + _LAST_S
        for shard in self._shards:
            while True:
                try:
                    marks.update(shard.held())
                    break
                except ShardLost:
                    if time.monotonic() > until:
                        return None
                    time.sleep(next(again_s))
        untaken = marks - self._taken.keys() - self._offered
        return InHand(len(marks - self._answered - self._unsaid), self.recovered + len(untaken))

    def forget(self, marks: Iterable[str]) -> None:
        """Tell the shards that clips are done and their bytes gone; told again later to one that is starting again."""
        for mark in marks:
            self._unforgotten[shard_of(self._taken[mark].job.camera, self.count)].add(mark)
        for index, waiting in self._unforgotten.items():
            if waiting:
                try:
                    self._shards[index].forget(sorted(waiting))
                except ShardLost:
                    continue
                for mark in waiting:
                    del self._taken[mark]
                self._answered -= waiting
                waiting.clear()

    def close(self) -> None:
        """End the shards' processes; what they hold stays in the store for the next run."""
        self._closed.set()
        for shard in self._shards:
            shard.close()

    def status(self) -> list[ShardStatus]:
        """Tell how full each shard is that answers."""
        found = []
        for shard in self._shards:
            try:
                found.append(shard.status())
            except ShardLost:
                continue
        return found
