"""The dispatcher: a bounded window of units in flight, on Ray or in this process, and what is done when one fails.

Ray's own retries are off: it cannot tell a clip that kills its process from a machine that went away, and it retries
for ever what ran out of memory. Here every lost process is charged to the one unit that ran in it, unless its machine
went away with it.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import ModuleType
from typing import Any, Generic, Protocol

from pipeline.errors import ConfigError, ScratchFull, StoreRefused, StoreUnavailable
from storage.access import StoreSettings
from workers.blame import Streak
from workers.flight import OnRay, unit_of
from workers.patience import pauses
from workers.receipt import SCRATCH, C, J, Outcome, R, Receipt, Work, attempt
from workers.settings import BatchSettings

_log = logging.getLogger(__name__)
_TICK_S = 0.05  # how soon jobs that had none to give are asked again
_PAUSES_S = (0.5, 30.0)  # the first and the longest while a store is away
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_task_oom_retries": "0",
    # Every lost process is told in a receipt. Ray would also print a paragraph about it to standard output, in the
    # middle of a progress bar or of the JSON another program reads; what fits this pattern is left out.
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^",
}


def run(
    jobs: Iterable[J | None], work: Work[J, C, R], context: C, *, settings: BatchSettings | None = None
) -> Iterator[Receipt[J, R]]:
    """Do `work(job, context, stopwatch)` for every job and yield each receipt as it comes; order is not kept.

    `jobs` is consumed as workers become free, on Ray one a worker ahead; None among them means: none now, ask again in
    a moment. While the store is away nothing new is handed over: the units that met it are tried again after a pause
    that grows, up to 30 s, and are not charged. Raises StoreUnavailable when that lasts longer than
    `store_patience_s`, StoreRefused and MachineError at once, RepeatedBug when different units meet one bug in a row.
    What was done until then is recorded; running again does only what is missing.
    """
    settings = settings or BatchSettings()
    queue, breaker, streak = _Queue(jobs), _Breaker(settings.store_patience_s), Streak()
    with _pool(work, context, settings) as pool:
        while True:
            while pool.free and breaker.closed and (unit := queue.pop()):
                pool.start(*unit)
            if pool.busy:
                asking = pool.idle and breaker.closed and not queue.ended
                receipts = pool.finished(timeout_s=_TICK_S if asking else breaker.remaining_s)
                for receipt in _last_words(receipts, queue, breaker):
                    yield receipt
                    if receipt.outcome is Outcome.DONE:
                        streak.done()
                    streak.add(receipt.job.name, receipt.blame)
            elif not breaker.closed:
                breaker.wait()
            elif queue.ended:
                return
            else:
                time.sleep(_TICK_S)


def _last_words(receipts: Iterable[Receipt[J, R]], queue: _Queue[J], breaker: _Breaker) -> Iterator[Receipt[J, R]]:
    """Yield the receipts that are the last word on their jobs; let the others' jobs be done again."""
    for receipt in receipts:
        if receipt.outcome is Outcome.REFUSED:
            raise StoreRefused(receipt.reason)
        if receipt.outcome is Outcome.NO_STORE:
            breaker.open(receipt.reason, ScratchFull if receipt.station == SCRATCH else StoreUnavailable)
            queue.again(receipt.job, receipt.attempts)
        else:
            if receipt.station != "process":
                breaker.reset()
            yield receipt


class _Queue(Generic[J]):
    """The jobs not yet started, those to be tried again first."""

    def __init__(self, jobs: Iterable[J | None]) -> None:
        self._jobs, self._again = iter(jobs), deque[tuple[J, int]]()
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether there will never be another job."""
        return self._ended and not self._again

    def pop(self) -> tuple[J, int] | None:
        """Remove and return the next job and which attempt it is, or None when there is none now."""
        if self._again:
            return self._again.popleft()
        try:
            job = next(self._jobs)
        except StopIteration:
            self._ended = True
            return None
        return None if job is None else (job, 1)

    def again(self, job: J, attempts: int) -> None:
        self._again.append((job, attempts))


class _Breaker:
    """Open while the store is away: nothing is started until its pause is over."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s, self._since, self._until = patience_s, 0.0, 0.0
        self._pauses: Iterator[float] | None = None

    @property
    def closed(self) -> bool:
        return time.monotonic() >= self._until

    @property
    def remaining_s(self) -> float | None:
        """Seconds until something may be started again, or None when nothing holds it up."""
        return None if self.closed else self._until - time.monotonic()

    def open(self, reason: str, kind: type[StoreUnavailable]) -> None:
        now = time.monotonic()
        if self._pauses is None:
            if self._patience_s > 0:
                _log.warning("waiting up to %.0f s: %s", self._patience_s, reason)
            self._since, self._pauses = now, pauses(*_PAUSES_S)
        if now - self._since > self._patience_s:
            raise kind(
                f"{reason} (for {now - self._since:.0f} s now); what was done is kept, run again when it is mended"
            )
        if self.closed:  # several units in flight meet one outage: it counts once
            self._until = now + next(self._pauses)

    def reset(self) -> None:
        self._pauses, self._until = None, 0.0

    def wait(self) -> None:
        time.sleep(max(0.0, self._until - time.monotonic()))


class _Pool(Protocol[J, R]):
    @property
    def free(self) -> bool: ...  # it takes another unit
    @property
    def idle(self) -> bool: ...  # a worker has nothing to do
    @property
    def busy(self) -> bool: ...
    def start(self, job: J, attempts: int) -> None: ...
    def finished(self, *, timeout_s: float | None) -> list[Receipt[J, R]]: ...


class _Here(Generic[J, R]):
    """One unit at a time in this process: no deadline, and a unit that kills its process kills the run."""

    def __init__(self, unit: Callable[[J], Receipt[J, R]]) -> None:
        self._unit = unit
        self._next: tuple[J, int] | None = None

    @property
    def free(self) -> bool:
        return self._next is None

    @property
    def idle(self) -> bool:
        return self.free

    @property
    def busy(self) -> bool:
        return self._next is not None

    def start(self, job: J, attempts: int) -> None:
        self._next = (job, attempts)

    def finished(self, *, timeout_s: float | None) -> list[Receipt[J, R]]:  # noqa: ARG002 - it never has to wait
        if self._next is None:
            return []
        (job, attempts), self._next = self._next, None
        return [replace(self._unit(job), attempts=attempts)]


@contextmanager
def _pool(work: Work[J, C, R], context: C, settings: BatchSettings) -> Iterator[_Pool[J, R]]:
    with session(settings) as ray:
        if ray is None:
            yield _Here(lambda job: attempt(work, job, context))
        else:  # what a unit needs besides its job travels once a process, not with every job
            check_reach(ray, getattr(context, "store", None))
            yield OnRay(ray, unit_of(work, context, settings), settings)


def check_reach(ray: Any, store: StoreSettings | None) -> None:  # noqa: ANN401 - a module without types
    """Raise ConfigError where a store is a folder of this machine and workers may run on others."""
    if store is None or store.kind != "directory":
        return
    alive = [str(node["NodeManagerAddress"]) for node in ray.nodes() if node["Alive"]]
    if len(alive) > 1:
        raise ConfigError(
            f"the store is a folder ({store.path}), and the Ray cluster has {len(alive)} nodes ({', '.join(alive)}): "
            'each would write to its own disk. Set store.kind = "s3" and an endpoint that all of them reach, or run on '
            "one machine"
        )


@contextmanager
def session(settings: BatchSettings) -> Iterator[Any]:
    """Keep one Ray for several batches: the one this process already has, the cluster asked for, or one of its own.

    With `workers` 0 nothing is started. Raises ConfigError when no cluster answers at the address.
    """
    if settings.workers == 0:
        yield None
        return
    environment = dict(_ENVIRONMENT)
    if not settings.ray_address and "ray" not in sys.modules:
        # Once imported it has read them, and half a change locks us out. Without a token anyone on this machine could
        # run code in our workers; given here, none is left in a file.
        environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    for name, value in environment.items():
        os.environ.setdefault(name, value)
    import ray  # noqa: PLC0415 - it reads the variables above when it is imported, and costs a second

    if ray.is_initialized():
        yield ray
        return
    with nullcontext() if settings.ray_address else _short_folder():
        try:
            _start(ray, settings)
            yield ray
        finally:
            ray.shutdown()


def _start(ray: ModuleType, settings: BatchSettings) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if not settings.ray_address:
        memory = 128 * 2**20  # bytes; only keys and receipts pass through it
        ray.init("local", num_cpus=settings.workers, include_dashboard=False, object_store_memory=memory, **quiet)
        return
    try:
        ray.init(settings.ray_address, **quiet)
    except (ConnectionError, ValueError) as error:
        raise ConfigError(f"no Ray cluster answers at {settings.ray_address!r}: {error}") from error


@contextmanager
def _short_folder() -> Iterator[None]:
    """Let a Ray of our own live in a folder that goes with it.

    Its sockets are below that, and their paths have a limit of about 100 bytes: a short one, not TMPDIR.
    """
    if "RAY_TMPDIR" in os.environ:
        yield
        return
    folder = tempfile.mkdtemp(prefix="lamp-", dir="/tmp")
    os.environ["RAY_TMPDIR"] = folder
    try:
        yield
    finally:
        del os.environ["RAY_TMPDIR"]
        shutil.rmtree(folder, ignore_errors=True)
