"""Live ingest: watched places and cameras by URL feed the shards, workers take from them, until told to stop.

A program drives it through lamplighter.desk.desk.Desk.watch, which keeps the books as well.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Never

from pipeline.clip import Clock
from pipeline.errors import LamplighterError, StoreUnavailable
from storage.archive import Ingested
from workers.batch import run
from workers.blame import Streak
from workers.inbox import Held, Upload
from workers.ingest import Context, ingest
from workers.names import LeftOut
from workers.patience import pauses
from workers.receipt import Receipt, Work, set_aside
from workers.recorder import STREAM_CLOCK, Fault, Recorder
from workers.settings import BatchSettings, LiveSettings, RecorderSettings
from workers.shard import Answer, Reply, Shards, shard_of
from workers.sources import IngestJob
from workers.watch import Patrol, Watched

_AWAY_S = (0.5, 30.0)  # the first and the longest pause while a store is away
_BUSY_S = 0.05  # between two offers to a shard that is full
_TAKE = 4  # clips taken from a shard at a time
_LOOK_S = 1.0  # between two looks at shards that said nothing
_JOIN_S = 5.0  # how long all threads together get to end; one that waits for a silent camera takes longer


@dataclass(frozen=True, slots=True)
class Accepted:
    """A shard holds the upload now."""

    upload: Upload


@dataclass(frozen=True, slots=True)
class Repeated:
    """The upload is held or done already; nothing is kept of it."""

    upload: Upload


@dataclass(frozen=True, slots=True)
class Dropped:
    """The upload was given up before it was accepted, since newer ones wait.

    `reason`: what is full, the shard's "queue" or its "disk"; "store" when that is away; "backlog" when uploads come
    faster than the shard makes them durable.
    """

    upload: Upload
    reason: str


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The upload was dropped by an earlier run and is not looked at again; `lamplighter aside retry` takes it in."""

    upload: Upload


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: what came to it, what of that nobody answered, what its shards hold (None: nobody can say).

    recovered: what an earlier run had accepted.
    """

    came: int
    waiting: int | None
    recovered: int
    undecided: int


Intake = Accepted | Repeated | Dropped | GivenUp | Fault | Receipt[IngestJob, Never]
"""What happens before the work; a Receipt is of a clip that was set aside on its way in."""


class _Lane(threading.Thread):
    """The uploads that wait for one shard, and the thread that offers them, the oldest first."""

    def __init__(self, live: Live, index: int) -> None:
        super().__init__(name=f"lane {index}", daemon=True)
        self._live, self._waiting = live, deque[tuple[Upload, Callable[[], None]]]()
        self._changed = threading.Condition()
        self.full, self.offering, self.away = "backlog", False, ""
        self._left: list[Upload] = []
        self._in_hand: Upload | None = None

    def add(self, upload: Upload, released: Callable[[], None]) -> None:
        """Add an upload; when the lane is full, wait or drop the oldest, as the operator chose."""
        settings, dropped = self._live.settings, None
        with self._changed:
            while settings.policy == "block" and len(self._waiting) >= settings.backlog:
                if self._live.ended.is_set():
                    break
                self._changed.wait(0.2)
            if self._live.ended.is_set():
                self._left.append(upload)  # it stays where it is, for the next run
                return
            if len(self._waiting) >= settings.backlog:
                dropped = self._waiting.popleft()
            self._waiting.append((upload, released))
            self._changed.notify_all()
        if dropped is not None:
            self._drop(*dropped)

    def _drop(self, upload: Upload, released: Callable[[], None]) -> None:
        """Give an upload up, unless it is in already: a run that starts again finds all files of before."""
        live, known = self._live, False
        if not self.away:
            with suppress(StoreUnavailable):
                known = live.shards.knows(upload)
        if known:
            live.saw(Repeated(upload))
            released()
        else:
            live.saw(Dropped(upload, "store" if self.away else self.full))
            live.given_up(released)

    @property
    def idle(self) -> bool:
        with self._changed:
            return not self._waiting and not self.offering

    def waiting(self) -> list[Upload]:
        with self._changed:
            return [upload for upload, _ in self._waiting]

    @property
    def undecided(self) -> int:
        """How many uploads came and nobody answered: they are where they were."""
        with self._changed:
            return len(self._waiting) + len(self._left) + (self._in_hand is not None)

    def run(self) -> None:
        try:
            while not self._live.ended.is_set():
                self._offer_next()
        except BaseException as error:  # noqa: BLE001 - a thread's error must not vanish with it
            self._live.fail(error)

    def _offer_next(self) -> None:
        with self._changed:
            if not self._waiting and not self._changed.wait_for(lambda: self._waiting, 0.2):
                return
            upload, released = self._waiting.popleft()
            self.offering, self._in_hand = True, upload
        try:
            answer = self._offer(upload)
            if answer is Answer.BUSY:
                with self._changed:
                    self._waiting.appendleft((upload, released))
                    self._in_hand = None
            else:
                with self._changed:
                    self._in_hand = None
                released()
        finally:
            with self._changed:
                self.offering = False
                self._changed.notify_all()
        if answer is Answer.BUSY:
            self._live.ended.wait(_BUSY_S)

    def _offer(self, upload: Upload) -> Answer:
        live, reply = self._live, self._reply(upload)
        if reply.answer is Answer.BUSY:
            self.full = reply.reason
        elif reply.answer is Answer.ACCEPTED:
            live.saw(Accepted(upload))
            live.met.done()
            live.more.set()
        elif reply.answer is Answer.ASIDE:
            receipt = set_aside(upload.job, reply.station, reply.reason, trace=reply.trace, place=reply.place)
            live.saw(receipt)
            live.met.add(upload.job.name, receipt.blame)
        else:
            live.saw(Repeated(upload))
        return reply.answer

    def _reply(self, upload: Upload) -> Reply:
        """Return what the shard says, also after a store that was away; "busy" when the run ends before that."""
        away_s = pauses(*_AWAY_S)
        while True:
            try:
                reply = self._live.shards.offer(upload)
            except StoreUnavailable as error:
                # Once a clip in work meets it, the run's breaker says when this lasts too long; nothing is lost by
                # waiting until then.
                self.away = str(error)
                if self._live.ended.wait(next(away_s)):
                    return Reply(Answer.BUSY, reason="store")
            else:
                self.away = ""
                return reply


class Live(AbstractContextManager["Live"]):
    """One run of live ingest. Add what it watches, then `run` it; `saw` is called from several threads.

    `work` is what is done with each clip: `ingest`, or what a test puts in its place. given_up: lets the file of an
    upload go that was dropped, once that is written down; gave_up: whether one was dropped by an earlier run. known:
    which files are in already, by their marks.
    """

    def __init__(
        self,
        context: Context,
        *,
        settings: LiveSettings,
        batch: BatchSettings,
        saw: Callable[[Intake], None],
        work: Work[IngestJob, Context, Ingested | None] = ingest,
        ray: ModuleType | None = None,
        given_up: Callable[[Callable[[], None]], None] = lambda released: released(),
        gave_up: Callable[[Upload], bool] = lambda _: False,
        known: Callable[[Collection[str]], Collection[str]] = lambda _: (),
    ) -> None:
        self._known = known
        self.settings, self.saw, self.given_up, self._gave_up = settings, saw, given_up, gave_up
        self.shards, self.met = Shards(context.store, settings, ray=ray), Streak()
        self.closed, self.ended, self.more = threading.Event(), threading.Event(), threading.Event()
        self._context, self._batch, self._work = context, batch, work
        self._lanes = [_Lane(self, index) for index in range(settings.shards)]
        self._sources: list[Patrol | Recorder] = []
        self._failures: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
        self._counting, self._came, self.ended_with = threading.Lock(), 0, Ended(0, None, 0, 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all threads and the shards' processes; what was accepted stays in the store."""
        self.closed.set()
        self.ended.set()
        until = time.monotonic() + _JOIN_S
        for thread in (*self._sources, *self._lanes):
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))
        held = None
        with suppress(LamplighterError):  # what else is told of the store is told by who met it first
            held = self.shards.held() if kind is None or issubclass(kind, LamplighterError) else None
        undecided = sum(lane.undecided for lane in self._lanes)
        recovered = 0 if held is None else held.recovered
        self.ended_with = Ended(self._came, None if held is None else held.waiting, recovered, undecided)
        self.shards.close()

    def watch(self, watched: Watched) -> None:
        """Watch a folder or a bucket prefix."""
        self._sources.append(
            Patrol(
                *(watched, self.enqueue),
                poll_s=self.settings.poll_s,
                stop=self.closed,
                fail=self.fail,
                known=self._known,
            )
        )

    def record(
        self, camera: str, url: str | None, *, spool: Path, settings: RecorderSettings, ahead: Clock = STREAM_CLOCK
    ) -> None:
        """Record a camera by its URL; its finished clips wait in `spool` to be accepted.

        Without a URL only what an earlier run left there is taken up. `ahead`: how far the camera's clock is ahead.
        """
        self._sources.append(
            Recorder(
                camera,
                url,
                spool=spool,
                settings=settings,
                enqueue=self.enqueue,
                saw=self.saw,
                stop=self.closed,
                fail=self.fail,
                ahead=ahead,
            )
        )

    def enqueue(self, found: Upload | Receipt[IngestJob, Never], released: Callable[[], None] = lambda: None) -> None:
        """Let an upload wait for its shard. `released` is called once it is accepted, done before, or given up."""
        with self._counting:
            self._came += 1
        if isinstance(found, Receipt):
            self.saw(found)
        elif self.settings.policy != "block" and self._gave_up(found):
            self.saw(GivenUp(found))
            released()
        else:
            self._lanes[shard_of(found.job.camera, self.settings.shards)].add(found, released)

    def waiting(self) -> list[Upload]:
        """Return the uploads that wait to be accepted."""
        return [upload for lane in self._lanes for upload in lane.waiting()]

    @property
    def full(self) -> str:
        """What of the shards was full when an upload was offered last, if anything."""
        return next((f"full: {lane.full}" for lane in self._lanes if lane.full != "backlog" and not lane.idle), "")

    @property
    def away(self) -> str:
        """What a store says that does not answer, or nothing."""
        patrols = [source.away for source in self._sources if isinstance(source, Patrol)]
        return next(filter(None, [*(lane.away for lane in self._lanes), *patrols]), "")

    @property
    def left(self) -> LeftOut:
        """What the watched places hold that is no clip, as of the last look at each."""
        return sum((source.left for source in self._sources if isinstance(source, Patrol)), LeftOut())

    def fail(self, error: BaseException) -> None:
        """Let an error of another thread end the run."""
        self._failures.put(error)

    def run(
        self, *, stop: threading.Event, tick: Callable[[], None], for_s: float | None = None
    ) -> Iterator[tuple[Held, Receipt[IngestJob, Ingested | None]]]:
        """Run until `stop`, or for `for_s` seconds once the shards are there; yield every clip with its receipt.

        After `stop` only the clips in work are finished. After `for_s` nothing new is looked at, and what was found is
        worked off for at most `drain_s`. `tick` is called from this thread whenever a worker is free.
        Raises what the batch dispatcher raises, and any error of a source.
        """
        # Nothing can be accepted before; a store that is away is waited for by those that meet it.
        with suppress(StoreUnavailable):
            self.shards.status()
        for thread in (*self._lanes, *self._sources):
            thread.start()
        for receipt in run(self._jobs(stop, tick, for_s), self._work, self._context, settings=self._batch):
            self.shards.answered(receipt.job.mark)
            yield self.shards.taken(receipt.job.mark), receipt

    def _jobs(self, stop: threading.Event, tick: Callable[[], None], for_s: float | None) -> Iterator[IngestJob | None]:
        until = None if for_s is None else time.monotonic() + for_s
        drained = 0.0
        ready: deque[Held] = deque()
        last_look = 0.0
        while not stop.is_set():
            tick()
            if not self._failures.empty():
                raise self._failures.get()
            now = time.monotonic()
            if until is not None and now >= until and not self.closed.is_set():
                self.closed.set()
                drained = now + self.settings.drain_s
            # Asked before the shards are: what a lane hands over in between is then still found.
            over = self.closed.is_set() and (all(lane.idle for lane in self._lanes) or now >= drained)
            if not ready and (self.more.is_set() or over or now - last_look >= _LOOK_S):
                self.more.clear()
                last_look = now
                ready.extend(self._take())
                if ready:
                    self.more.set()
            if self.closed.is_set() and (now >= drained or (over and not ready)):
                break
            yield ready.popleft().job if ready else None
        self.closed.set()
        self.ended.set()

    def _take(self) -> list[Held]:
        try:
            return self.shards.take(_TAKE)
        except StoreUnavailable:
            return []  # a shard that starts while the store is away; the batch's breaker keeps the time
