"""What a unit of work hands back: what came of it, and where its time went."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from pipeline.errors import ClipError, StoreRefused, StoreUnavailable

R = TypeVar("R")
T = TypeVar("T")


class Outcome(StrEnum):
    """What came of one unit of work."""

    DONE = "done"
    ALREADY = "already done"
    ASIDE = "set aside"
    NO_STORE = "store unavailable"
    REFUSED = "store refused"


class Job(Protocol):
    """A unit of work; `name` is what the user calls it."""

    @property
    def name(self) -> str:
        """What the user calls it."""
        ...


class Stopwatch:
    """Seconds spent at each station of one unit of work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, station: str) -> Iterator[None]:
        """Add the time of the block to `station`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._add(station, start)

    def each(self, station: str, items: Iterable[T]) -> Iterator[T]:
        """Yield the items, adding to `station` the time it takes to get each, but not what is done with it."""
        steps, start = iter(items), time.perf_counter()
        for item in steps:
            self._add(station, start)
            yield item
            start = time.perf_counter()
        self._add(station, start)

    def _add(self, station: str, start: float) -> None:
        self.seconds[station] = self.seconds.get(station, 0.0) + time.perf_counter() - start


@dataclass(frozen=True, slots=True)
class Receipt(Generic[R]):
    """The small answer of one unit of work: no bytes of footage, only what was made of it.

    `result` is there when it is done (now or before), `station` and `reason` when it was set aside. `seconds` is the
    time spent by station; `attempts` counts the processes that tried.
    """

    job: Job
    outcome: Outcome
    result: R | None = None
    station: str = ""
    reason: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    pid: int = 0
    attempts: int = 1


Work = Callable[[Any, Any, Stopwatch], tuple[Outcome, Any]]


def attempt(work: Work, job: Job, context: object) -> Receipt[Any]:
    """Do one unit of work in this process and write its receipt; errors the run can act on become outcomes."""
    watch = Stopwatch()
    outcome, result, station, reason = Outcome.DONE, None, "", ""
    try:
        with watch("total"):
            outcome, result = work(job, context, watch)
    except ClipError as error:
        outcome, station, reason = Outcome.ASIDE, error.station, error.reason
    except StoreUnavailable as error:
        outcome, station, reason = Outcome.NO_STORE, "store", str(error)
    except StoreRefused as error:
        outcome, station, reason = Outcome.REFUSED, "store", str(error)
    return Receipt(job, outcome, result, station, reason, dict(watch.seconds), os.getpid())
