"""The alerts of one run of `watch`: each clip is looked at once it is taken in, and the inbox keeps it until then."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Final

from lamplighter.desk.lookout import Lookout
from lamplighter.desk.teller import Teller
from pipeline.errors import StoreUnavailable
from workers.patience import pauses

if TYPE_CHECKING:
    from lamplighter.desk.alert_counts import AlertCounts
    from lamplighter.desk.holdings import Holdings
    from storage.archive import Ingested
    from workers.inbox import Held
    from workers.receipt import Receipt
    from workers.sources import IngestJob

_AWAY_S: Final = (0.2, 10.0)  # the first and the longest pause while the store is away
_MEASURING: Final = ("decode", "measure")


class Vigil(AbstractContextManager["Vigil"]):
    """Looks at clips in a thread of its own, and tells owners in others.

    `looked` is given each receipt once its alerts are durable, or there is nothing to look at; only then may the clip
    leave the inbox: who is killed before looks again. `fail` is given what ends a thread. At the end of its context it
    waits for what is told within `drain_s`; the rest is told by the next run.
    """

    def __init__(
        self,
        holdings: Holdings,
        counts: AlertCounts,
        *,
        looked: Callable[[Receipt[IngestJob, Ingested | None], Held], None],
        fail: Callable[[BaseException], None],
        drain_s: Callable[[], float],
    ) -> None:
        self._looked, self._fail, self._drain_s = looked, fail, drain_s
        self._teller = Teller(holdings, counts, fail=fail)
        self._lookout = Lookout(holdings, counts, found=self._teller.add)
        self._queue: queue.SimpleQueue[tuple[Receipt[IngestJob, Ingested | None], Held] | None] = queue.SimpleQueue()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="lookout", daemon=True)
        self._teller.start()
        self._thread.start()

    def add(self, receipt: Receipt[IngestJob, Ingested | None], held: Held) -> None:
        """Take up what came of one clip."""
        self._queue.put((receipt, held))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Look at what came in and tell of it, as long as there is time."""
        drain_s = 0.0 if kind is not None else self._drain_s()
        self._queue.put(None)
        until = time.monotonic() + drain_s
        self._thread.join(drain_s)
        self._over.set()
        self._thread.join()
        self._teller.close(max(0.0, until - time.monotonic()))
        if self._teller.failed is not None and error is None:
            raise self._teller.failed

    def _serve(self) -> None:
        try:
            while (found := self._queue.get()) is not None:
                self._look(*found)
        except BaseException as error:  # noqa: BLE001 - a thread's error must not vanish with it
            self._fail(error)

    def _look(self, receipt: Receipt[IngestJob, Ingested | None], held: Held) -> None:
        """Look at one clip, also while a store is away; once the run is over only at what gave no clip, a moment."""
        if self._over.is_set() and receipt.result is not None:
            return
        measured_s, away_s = sum(receipt.seconds.get(name, 0.0) for name in _MEASURING), pauses(*_AWAY_S)
        while receipt.result is not None:
            try:
                self._lookout.look(receipt.result, arrived_ns=held.arrived_ns, measured_s=measured_s)
                break
            except StoreUnavailable:
                if self._over.wait(next(away_s)):
                    return
        self._looked(receipt, held)
