"""What a run came to, counted out of its receipts as they come."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from pipeline.case.delivery import Delivery
from pipeline.clip import WHOLE
from pipeline.retention import Removal
from storage.archive import Ingested
from workers.names import LeftOut
from workers.receipt import Job, Outcome, Receipt, set_aside

_log = logging.getLogger(__name__)
J = TypeVar("J", bound=Job)
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class KeptBack:
    """A cut that was made and did not leave; `name` is its clip's id."""

    name: str


@dataclass
class Tally:
    """Units planned, receipts by outcome, and the seconds all workers together spent at each station.

    aside: the receipts of what was set aside; results: what the others hold. left: what was found and is no clip.
    habits: of the run that learnt cameras' habits from what came in, if any did. waits: cut, and not released yet.
    lacks: what the list of a case's releases lacks, in words. released: all of a case, now or before.
    alerts: the counts of those that came of it, where owners were to be told. replaced: the clips it removed, which had
    been taken in before they were whole.
    """

    planned: int = 0
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    aside: list[Receipt[Any, Any]] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)
    left: LeftOut = field(default_factory=LeftOut)
    habits: Tally | None = None
    waits: int = 0
    lacks: tuple[str, ...] = ()
    released: tuple[Delivery, ...] = ()
    released_now: int = 0
    alerts: dict[str, Any] | None = None
    replaced: list[Removal] = field(default_factory=list)

    def add(self, receipt: Receipt[Any, Any]) -> None:
        """Count one receipt."""
        self.outcomes[receipt.outcome] = self.outcomes.get(receipt.outcome, 0) + 1
        for station, seconds in receipt.seconds.items():
            self.seconds[station] = self.seconds.get(station, 0.0) + seconds
        if receipt.outcome is Outcome.ASIDE:
            self.aside.append(receipt)
        elif receipt.outcome is not Outcome.FORGOTTEN:
            self.results.append(receipt.result)

    def keep_back(self, waits: Delivery, why: str) -> None:
        """Count a cut as set aside that was done and whose owner's word no longer lets it out."""
        self.results = [one for one in self.results if one is not waits and getattr(one, "cut", None) != waits.cut]
        for outcome in (Outcome.DONE, Outcome.ALREADY):
            if self.outcomes.get(outcome):
                self.outcomes[outcome] -= 1
                break
        self.outcomes[Outcome.ASIDE] = self.outcomes.get(Outcome.ASIDE, 0) + 1
        self.aside.append(set_aside(KeptBack(waits.clip), "consent", why))

    def leave(self, name: str, why: str) -> None:
        """Count as set aside a record in a case of which nobody can tell what it is of."""
        self.outcomes[Outcome.ASIDE] = self.outcomes.get(Outcome.ASIDE, 0) + 1
        self.aside.append(set_aside(KeptBack(name), "record", why))

    def count_released(self, known: Mapping[str, Delivery], now: Collection[str]) -> None:
        """Leave of what was cut what is released: `known` by its cut, of which this run released those of `now`.

        What was cut and is not released yet is counted as waiting: no number tells that somebody shared before it does.
        """
        self.released = tuple(sorted(known.values(), key=lambda one: one.record.key))
        self.released_now = sum(one.cut in now for one in self.released)
        released = [known[one.cut] for one in self.results if one.cut in known]
        self.waits, self.results = len(self.results) - len(released), released
        new = sum(one.cut in now for one in released)
        for outcome, count in ((Outcome.DONE, new), (Outcome.ALREADY, len(released) - new)):
            self.outcomes.pop(outcome, None)
            if count:
                self.outcomes[outcome] = count

    @property
    def found(self) -> int:
        """How many files there were where it was looked, clips or not."""
        return self.planned + self.left.total

    @property
    def bugs(self) -> list[Receipt[Any, Any]]:
        """The receipts of what was set aside for a bug, or for want of memory: they hold its traceback."""
        return [receipt for receipt in self.aside if receipt.trace]

    @property
    def not_whole(self) -> list[Ingested]:
        """The clips it took in, or knew, of which there is something to tell: holes, damage, notes."""
        return [one for one in self.results if isinstance(one, Ingested) and one.clip.stream.condition != WHOLE]

    @property
    def learnt(self) -> list[str]:
        """The cameras whose habits the run learnt, in order."""
        return [] if self.habits is None else sorted(one.camera for one in self.habits.results)

    @property
    def finished(self) -> int:
        """How many units have a receipt."""
        return sum(self.outcomes.values())


Saw: TypeAlias = Callable[[Tally], None]
"""Told of a run when its plan is known and after each receipt; the tally is the run's own and goes on."""


def tallied(
    receipts: Iterable[Receipt[J, R]], *, planned: int, saw: Saw, enter: Callable[[Receipt[J, R]], None]
) -> Tally:
    """Count the receipts of a run as they come, give each to `enter`, and return the tally; `planned`: how many."""
    tally = Tally(planned=planned)
    saw(tally)
    for receipt in receipts:
        tell(receipt)
        tally.add(receipt)
        enter(receipt)
        saw(tally)
    return tally


def tell(receipt: Receipt[Any, Any]) -> None:
    """Tell whoever collects messages what came of one unit: which clip, for which request, and how long it took."""
    known = {
        "clip": receipt.job.name,
        "request": getattr(receipt.job, "request", ""),
        "outcome": receipt.outcome.value,
        "station": receipt.station,
        "reason": receipt.reason,
        "seconds": round(receipt.seconds.get("total", 0.0), 3),
        "attempts": receipt.attempts,
    }
    _log.info("%s: %s", receipt.job.name, receipt.outcome.value, extra=known)


def nobody(_tally: Tally) -> None:
    """Watch a run as nobody does."""
