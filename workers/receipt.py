"""What a unit of work hands back: what came of it, and where its time went."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Generic, Never, Protocol, TypeVar

from pipeline.errors import ScratchFull, StoreRefused, StoreUnavailable
from workers.blame import Blame, blame

T = TypeVar("T")


SCRATCH: Final = "scratch"
"""The station of a unit that found no room on the disk for work in progress, which is waited for as a store is."""


class Outcome(StrEnum):
    """What came of one unit of work."""

    DONE = "done"
    ALREADY = "already done"
    FORGOTTEN = "forgotten before"
    ASIDE = "set aside"
    NO_STORE = "store unavailable"
    REFUSED = "store refused"


class Job(Protocol):
    """A unit of work; `name` is what the user calls it."""

    @property
    def name(self) -> str:
        """What the user calls it."""
        ...


J = TypeVar("J", bound=Job)
C = TypeVar("C")
R = TypeVar("R")
J_co = TypeVar("J_co", bound=Job, covariant=True)
R_co = TypeVar("R_co", covariant=True)
J_contra = TypeVar("J_contra", bound=Job, contravariant=True)
C_contra = TypeVar("C_contra", contravariant=True)


class Stopwatch:
    """Seconds spent at each station of one unit of work, by a clock that never goes back (seconds).

    station: where the work is now; footage_s: how much footage it has gone through, or has to, which its deadline
    follows (seconds). Another thread may read both.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = {}
        self.station, self.footage_s = "", 0.0
        self._clock = clock

    @contextmanager
    def __call__(self, station: str) -> Iterator[None]:
        """Add the time of the block to `station`."""
        start, before = self._clock(), self.station
        self.station = station
        try:
            yield
        finally:
            self.station = before
            self._add(station, start)

    def each(self, station: str, items: Iterable[T]) -> Iterator[T]:
        """Yield the items, adding to `station` the time it takes to get each, but not what is done with it."""
        steps, start = iter(items), self._clock()
        for item in steps:
            self._add(station, start)
            yield item
            start = self._clock()
        self._add(station, start)

    def _add(self, station: str, start: float) -> None:
        self.seconds[station] = self.seconds.get(station, 0.0) + self._clock() - start


@dataclass(frozen=True, slots=True)
class Receipt(Generic[J_co, R_co]):
    """The small answer of one unit of work: its job, and no bytes of footage, only what was made of it.

    `result` is there when it is done (now or before), `station` and `reason` when it was set aside, `trace` and `place`
    when that was for a bug (see Blame). `seconds` is the time spent by station; `attempts` counts the processes that
    tried.
    """

    job: J_co
    outcome: Outcome
    result: R_co | None = None
    station: str = ""
    reason: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    pid: int = 0
    attempts: int = 1
    trace: str = ""
    place: str = ""

    @property
    def blame(self) -> Blame:
        """Why it was set aside."""
        return Blame(self.station, self.reason, self.trace, self.place)


def set_aside(
    job: J, station: str, reason: str, *, attempts: int = 1, trace: str = "", place: str = ""
) -> Receipt[J, Never]:
    """Return the receipt of a unit that was refused, or that `attempts` processes could not do."""
    return Receipt(job, Outcome.ASIDE, None, station, reason, attempts=attempts, trace=trace, place=place)


class Work(Protocol[J_contra, C_contra, R_co]):
    """What is done with each job, in whichever process; the context is what all jobs of a run share."""

    def __call__(self, job: J_contra, context: C_contra, watch: Stopwatch, /) -> tuple[Outcome, R_co]:
        """Do one unit of work; raises what `attempt` sorts."""
        ...


def attempt(work: Work[J, C, R], job: J, context: C, watch: Stopwatch | None = None) -> Receipt[J, R]:
    """Do one unit of work in this process and write its receipt; errors the run can act on become outcomes.

    What nobody foresaw costs the unit alone. `watch` may be read meanwhile. Raises what ends the run for all units (see
    blame).
    """
    watch = watch or Stopwatch()
    result: R | None = None
    said = Blame("", "")
    try:
        with watch("total"):
            outcome, result = work(job, context, watch)
    except StoreUnavailable as error:
        outcome, said = Outcome.NO_STORE, Blame(SCRATCH if isinstance(error, ScratchFull) else "store", str(error))
    except StoreRefused as error:
        outcome, said = Outcome.REFUSED, Blame("store", str(error))
    except Exception as error:  # noqa: BLE001 - one clip's bug must not cost the others
        outcome, said = Outcome.ASIDE, blame(error)
    return Receipt(
        *(job, outcome, result, said.station, said.reason, dict(watch.seconds), os.getpid()),
        trace=said.trace,
        place=said.place,
    )
