"""Units on Ray: each says where it runs and that it lives, so that a machine that died or froze costs no clip.

A unit is a generator. Its first word is the node it began on, then it says now and then that it goes on, and its last
word is its receipt. Ray alone would not do: of a node that is frozen, and of one it holds for dead, it may never say
anything to whoever waits for a task there.
"""

from __future__ import annotations

import logging
import os
import queue
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, cast

from workers.receipt import C, J, R, Receipt, Stopwatch, Work, attempt, set_aside
from workers.settings import BatchSettings

if TYPE_CHECKING:
    from ray import ObjectRefGenerator

_log = logging.getLogger(__name__)
_WORDS: Final = 4
"""How often a unit says that it lives while the silence lasts for which it would be taken for lost."""
_MOVING: Final = ("fetch", "put")
"""Stations that move bytes: how long they take is the net's affair, and the store's own time-outs watch over them."""
_LOOK_S: Final = 1.0  # how often it is looked for who fell silent
_NODES_S: Final = 10.0  # how often it is asked how many workers a cluster has
_REACH_S: Final = 1.0  # longest wait for a node to take a connection
_MEMORY, _PROCESS, _SILENT, _NODE = "ran out of memory", "brought down its process", "fell silent", "lost its node"
_CLIPS_OWN: Final = (_MEMORY, _PROCESS)
"""What a clip may bring about by itself, and is told of when it is set aside; the others are the operator's to know."""
_MOST_LOSSES: Final = 20
"""Processes one unit may lose, whoever is to blame: nothing is tried for ever."""


@dataclass(frozen=True, slots=True)
class Word:
    """What a unit says while it works: where it runs, and whether it has worked for longer than it may (seconds)."""

    node: str
    pid: int
    allowed_s: float = 0.0
    over: bool = False


@dataclass(frozen=True, slots=True)
class _Loss:
    """A process that a unit lost: on which node, "" where nobody knows, and how."""

    node: str
    how: str


@dataclass(slots=True)
class _Flight(Generic[J]):
    """One unit handed to Ray: when it was last heard of, its last word, and the processes it lost before."""

    job: J
    attempts: int
    number: int
    heard_s: float
    word: Word | None = None
    losses: tuple[_Loss, ...] = ()


Unit: TypeAlias = Callable[[J], "Iterator[Word | Receipt[J, R]]"]


def unit_of(work: Work[J, C, R], context: C, settings: BatchSettings) -> Unit[J, R]:
    """Return what a worker does with each job: it yields words, and its receipt last."""

    def unit(job: J) -> Iterator[Word | Receipt[J, R]]:
        import ray  # noqa: PLC0415 - in a worker, which has it

        node = ray.get_runtime_context().get_node_id()
        yield Word(node, os.getpid())
        watch, said = Stopwatch(), queue.SimpleQueue[Receipt[J, R] | BaseException]()

        def do() -> None:
            try:
                with within(settings.memory_bytes):
                    receipt = attempt(work, job, context, watch)
                said.put(receipt)
            except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that Ray listens to
                said.put(error)

        threading.Thread(target=do, daemon=True).start()
        yield from _words(node, watch, settings, said=said)

    return unit


def _words(
    node: str, watch: Stopwatch, settings: BatchSettings, *, said: queue.SimpleQueue[Receipt[J, R] | BaseException]
) -> Iterator[Word | Receipt[J, R]]:
    """Yield a word now and then until the last is there. Raises what the work raised.

    The time that it worked is added up in small steps: of hours in which its machine was frozen none counts.
    """
    pause_s, worked_s, last_s = settings.silence_s / _WORDS, 0.0, time.monotonic()
    while True:
        left_s = settings.allowed_s(watch.footage_s) - worked_s
        try:
            one = said.get(timeout=min(pause_s, left_s) if left_s > 0 else pause_s)
        except queue.Empty:
            now_s = time.monotonic()
            if watch.station not in _MOVING:
                worked_s += min(now_s - last_s, pause_s)
            last_s, allowed_s = now_s, settings.allowed_s(watch.footage_s)
            yield Word(node, os.getpid(), allowed_s, over=worked_s >= allowed_s)
            continue
        if isinstance(one, BaseException):
            raise one
        yield one
        return


@contextmanager
def within(memory_bytes: int | None) -> Iterator[None]:
    """Let this process take no more memory than it has and so much besides: who wants more meets a MemoryError.

    memory_bytes: None for no limit; nor is there one where the system cannot tell what a process has.
    """
    held = None if memory_bytes is None else _held_bytes()
    if memory_bytes is None or held is None:
        yield
        return
    before, most = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = held + memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if most < 0 else min(wanted, most), most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, most))


def _held_bytes() -> int | None:
    """Return the data of this process as its limit counts it, in bytes; None where the system does not tell."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123 - no path of ours
            found = [line.split()[1] for line in file if line.startswith("VmData:")]
    except OSError:
        return None
    return int(found[0]) * 1024 if found else None


class OnRay(Generic[J, R]):
    """One unit for every worker and one more to follow it; what is lost with its machine is begun again elsewhere.

    A worker that has nothing to follow is given back to Ray and asked for again, which costs as much as all else.
    Those that wait are begun in the order they were handed over; when a worker dies, they go elsewhere.
    """

    def __init__(self, ray: ModuleType, unit: Unit[J, R], settings: BatchSettings) -> None:
        self._ray, self._settings, self._gone = ray, settings, _Gone(ray)
        self._here = ray.get_runtime_context().get_node_id()
        self._unit = ray.remote(num_cpus=1, max_retries=0, max_calls=settings.clips_per_process)(unit)
        self._flying: dict[ObjectRefGenerator[object], _Flight[J]] = {}
        self._number = 0
        self._looked_s = self._counted_s = time.monotonic()
        self._count()

    def _count(self) -> None:
        cpus = int(self._ray.cluster_resources().get("CPU", 1))
        self._workers = max(1, min(cpus, self._settings.workers or cpus))
        # Where more CPUs are there than were asked for, the next unit would not wait but run.
        self._window = self._workers if self._workers < cpus else 2 * self._workers

    @property
    def free(self) -> bool:
        """Whether it takes another unit."""
        return len(self._flying) < self._window

    @property
    def idle(self) -> bool:
        """Whether a worker has nothing to do."""
        return len(self._flying) < self._workers

    @property
    def busy(self) -> bool:
        """Whether a unit is out."""
        return bool(self._flying)

    def start(self, job: J, attempts: int) -> None:
        """Hand a unit over; `attempts` counts this one too."""
        self._hand_over(job, attempts, ())

    def _hand_over(self, job: J, attempts: int, losses: tuple[_Loss, ...]) -> None:
        self._number += 1
        flight = _Flight(job, attempts, self._number, time.monotonic(), losses=losses)
        self._flying[self._unit.remote(job)] = flight

    def finished(self, *, timeout_s: float | None) -> list[Receipt[J, R]]:
        """Listen for at most so long (seconds), and return the receipts of what came to its end, often of nothing."""
        now_s = time.monotonic()
        # Whoever reads the receipts may have been busy for minutes, in which nobody listened.
        if (away_s := now_s - self._looked_s) > _LOOK_S:
            for flight in self._flying.values():
                flight.heard_s += away_s
        wait_s = _LOOK_S if timeout_s is None else min(_LOOK_S, max(0.0, timeout_s))
        flying = list(self._flying)
        ready, _ = self._ray.wait(flying, num_returns=1, timeout=wait_s)
        if ready and len(flying) > 1:
            ready, _ = self._ray.wait(flying, num_returns=len(flying), timeout=0)
        receipts = [receipt for one in ready if (receipt := self._heard(one)) is not None]
        receipts += [receipt for one in self._silent() if (receipt := self._lost(one, _SILENT)) is not None]
        self._looked_s = time.monotonic()
        if self._settings.ray_address and self._looked_s - self._counted_s > _NODES_S:
            self._counted_s = self._looked_s
            self._count()
        return receipts

    def _heard(self, one: ObjectRefGenerator[object]) -> Receipt[J, R] | None:
        """Take in a unit's next word; return its receipt when it was the last."""
        gone, flight = self._ray.exceptions, self._flying[one]
        try:
            said = self._ray.get(next(one), timeout=self._settings.silence_s)
        except gone.RayTaskError as error:
            raise error.cause from error  # what ends the run, as it is
        except gone.OutOfMemoryError:
            return self._lost(one, _MEMORY)
        except gone.WorkerCrashedError:
            return self._lost(one, _PROCESS)
        except (gone.NodeDiedError, gone.LocalRayletDiedError, gone.ObjectLostError, gone.GetTimeoutError):
            return self._lost(one, _NODE)
        flight.heard_s = time.monotonic()
        if isinstance(said, Receipt):
            del self._flying[one]
            return replace(cast("Receipt[J, R]", said), attempts=self._attempts(flight))
        flight.word = cast("Word", said)
        if not flight.word.over:
            return None
        self._stop(one)
        reason = f"took longer than {flight.word.allowed_s:g} s and was stopped"
        return set_aside(flight.job, "deadline", reason, attempts=self._attempts(flight))

    def _silent(self) -> list[ObjectRefGenerator[object]]:
        """Return the units that were to say something and did not; and those that others overtook long since.

        They are begun in order: one that has not, while a later one has, was given to a machine that froze just then.
        """
        before_s = time.monotonic() - self._settings.silence_s
        begun = [flight.number for flight in self._flying.values() if flight.word is not None]
        latest = max(begun, default=0)
        return [
            one
            for one, flight in self._flying.items()
            if flight.heard_s < before_s and (flight.word is not None or flight.number < latest or not begun)
        ]

    def _stop(self, one: ObjectRefGenerator[object]) -> _Flight[J]:
        self._ray.cancel(one, force=True)
        return self._flying.pop(one)

    def _lost(self, one: ObjectRefGenerator[object], how: str) -> Receipt[J, R] | None:
        """Begin a unit again whose process is gone; return its receipt where it brought down too many."""
        flight = self._stop(one) if how == _SILENT else self._flying.pop(one)
        if how == _SILENT and flight.word is not None and flight.word.node == self._here:
            with suppress(OSError):  # a frozen process obeys nobody else, and would keep its worker's place
                os.kill(flight.word.pid, signal.SIGKILL)
        node = flight.word.node if flight.word else ""
        if how == _SILENT and not node:  # it had not begun, so it lost nothing
            self._hand_over(flight.job, flight.attempts, flight.losses)
            return None
        lost = replace(flight, losses=(*flight.losses, _Loss(node, how)))
        charged = self._charged(lost.losses)
        tries = lost.attempts + len(charged) - 1
        silent = sum(loss.how == _SILENT for loss in charged)
        # That a machine is frozen is known for certain only later, so the first silence is on the house.
        if tries - min(silent, 1) < self._settings.attempts and len(lost.losses) < _MOST_LOSSES:
            level = logging.INFO if how in _CLIPS_OWN else logging.WARNING
            known = {"clip": lost.job.name, "request": getattr(lost.job, "request", "")}
            what = f"clip {lost.job.name} {how} on node {node or 'unknown'}; it is begun again"
            _log.log(level, "%s", what, extra=known)
            self._hand_over(lost.job, lost.attempts, lost.losses)
            return None
        same = sum(loss.how == how for loss in lost.losses)
        reason = f"{how} {same} times in {len(lost.losses)} attempts"
        return set_aside(lost.job, "process", reason, attempts=max(1, tries))

    def _attempts(self, flight: _Flight[J]) -> int:
        return flight.attempts + len(self._charged(flight.losses))

    def _charged(self, losses: tuple[_Loss, ...]) -> list[_Loss]:
        """Return the losses that a unit has to answer for: not those of a machine that went away."""
        return [loss for loss in losses if loss.how != _NODE and not self._gone(loss.node)]


class _Gone:
    """Tells whether a node went away: Ray says so, or nothing there takes a connection any more.

    Ray says it after seconds, and of a silent one after more than a minute; a machine that was switched off, or whose
    Ray was killed, is known at once by its closed door.
    """

    def __init__(self, ray: ModuleType) -> None:
        self._ray = ray
        self._known: set[str] = set()

    def __call__(self, node: str) -> bool:
        if not node or node in self._known:
            return bool(node)
        mine = [one for one in self._ray.nodes() if one["NodeID"] == node]
        if mine and mine[0]["Alive"] and _answers(mine[0]["NodeManagerAddress"], mine[0]["NodeManagerPort"]):
            return False
        self._known.add(node)
        return True


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_REACH_S):
            return True
    except OSError:
        return False
