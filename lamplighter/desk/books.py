"""The books of every run: what came of each unit is counted, and goes into accounts, catalogue and log."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from itertools import chain
from types import TracebackType
from typing import Generic, Never, TypeVar

from lamplighter.desk.holdings import Holdings
from lamplighter.desk.tally import Saw, Tally, tallied
from pipeline.errors import StoreUnavailable
from storage.archive import Aside, Ingested, short
from storage.catalog.arrears import Mark
from workers.batch import run
from workers.ingest import Context
from workers.receipt import Job, Outcome, Receipt, Work
from workers.sources import IngestJob

T = TypeVar("T")
J = TypeVar("J", bound=Job)
R = TypeVar("R")
_BATCH = 200  # clips the catalogue learns of in one transaction
_BEHIND_S = 0.5  # at most, before the catalogue is told of what is done; with what that takes it is a second
_SIGNED, _SIGNED_S = 1000, 60.0  # clips in one line of the log at most, and how long one waits for it
_AGAIN_S = 5.0  # after which a store or catalogue that was away is tried again


def carry_out(
    jobs: Sequence[J],
    work: Work[J, Context, R],
    holdings: Holdings,
    *,
    saw: Saw,
    enter: Callable[[Receipt[J, R]], None],
    refused: Iterable[Receipt[J, Never]] = (),
) -> Tally:
    """Do `work` for every job; give each receipt to `enter`, those `refused` before any work first; return the tally.

    Raises what the batch raises, once what was done until then is entered.
    """
    first = list(refused)
    # No Ray is started for nothing.
    done: Iterable[Receipt[J, R]] = run(jobs, work, holdings.context, settings=holdings.settings.batch) if jobs else ()
    return tallied(chain(first, done), planned=len(jobs) + len(first), saw=saw, enter=enter)


class Accounts:
    """The accounts of what was set aside, in the store; one is removed once its clip is done."""

    def __init__(self, holdings: Holdings) -> None:
        self._shelf = holdings.archive.aside
        self._there = set(self._shelf.names())

    def put(self, receipt: Receipt[Job, object]) -> None:
        """Write what a clip was set aside for, or remove what an earlier run wrote of it."""
        name = short(receipt.job.name)
        if receipt.outcome is Outcome.ASIDE:
            self._shelf.put(Aside(receipt.job.name, receipt.station, receipt.reason, receipt.trace))
            self._there.add(name)
        elif name in self._there:
            self._shelf.remove(name)
            self._there.discard(name)


class Books(AbstractContextManager["Books[T]"], Generic[T]):
    """Keeps the books of one run over clips; what is `add`ed is written in batches, and the rest at the end.

    action: what the log calls it, `note` what it says besides. accounts: whether every clip that was set aside gets an
    account in the store, or only one that met a bug; it is removed once they come in. cleared: given the sources of
    each batch that is written, so that what was needed only until then can go. most: receipts after which a batch is
    written; every_s: seconds after which one is. While the block lasts a thread writes what is due, and a mark in the
    bucket says that the catalogue may be behind, of `cameras` or of any; it goes once all is written. Any thread may
    call.
    """

    def __init__(
        self,
        holdings: Holdings,
        action: str,
        *,
        note: str = "",
        accounts: bool = True,
        cleared: Callable[[Sequence[T]], None] = lambda _: None,
        most: int = _BATCH,
        every_s: float = _BEHIND_S,
        cameras: Iterable[str] | None = None,
    ) -> None:
        self._holdings, self._action, self._cleared = holdings, action, cleared
        self._note, self._most, self._every_s = note, most, every_s
        self._accounts, self._asides = Accounts(holdings), accounts
        self._pending: list[tuple[Receipt[Job, Ingested | None], T | None]] = []
        self._counts: Counter[Outcome] = Counter()
        self._bugs: Counter[str] = Counter()
        self._ids: list[str] = []
        self._away = False
        self._cameras, self._block = cameras, ExitStack()
        self._mark: Mark | None = None
        self._writing, self._over = threading.RLock(), threading.Event()
        self._met: BaseException | None = None
        now = time.monotonic()
        self._next, self._next_line = now + every_s, now + _SIGNED_S

    def add(self, receipt: Receipt[Job, Ingested | None], source: T | None = None) -> None:
        """Take up what came of one clip."""
        self._pending.append((receipt, source))

    def __enter__(self) -> Books[T]:
        """Lay the mark, and write from now on what is due."""
        self._mark = self._block.enter_context(self._holdings.catalog.marked(self._cameras))
        writes = threading.Thread(target=self._keep, name="books", daemon=True)
        writes.start()
        self._block.callback(writes.join)
        self._block.callback(self._over.set)
        return self

    def _keep(self) -> None:
        while not self._over.wait(_BEHIND_S / 2):
            try:
                self.flush()
            except BaseException as error:  # noqa: BLE001 - a thread's error must not vanish with it
                self._met = error
                return

    def flush(self) -> None:
        """Write what is due. A store or catalogue that is away is tried again later."""
        if self._met is not None:
            raise self._met
        # Who writes may be waiting for a catalogue that is away; nobody else has to.
        if self._writing.acquire(blocking=False):
            try:
                self._flush()
            finally:
                self._writing.release()

    def _flush(self) -> None:
        now = time.monotonic()
        due = now >= self._next or (len(self._pending) >= self._most and not self._away)
        if not due or not (self._pending or self._counts):
            return
        try:
            self._write()
            if len(self._ids) >= _SIGNED or now >= self._next_line:
                self._sign()
            self._away, self._next = False, time.monotonic() + self._every_s
            if self._mark is not None:
                self._mark.keep()
        except StoreUnavailable:
            self._away, self._next = True, time.monotonic() + _AGAIN_S

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the rest. When the run ended because the store is away, that is what it says, whatever this meets."""
        self._over.set()
        with self._block, suppress(*([StoreUnavailable] if isinstance(error, StoreUnavailable) else [])), self._writing:
            self._holdings.catalog.again(self._write)
            if self._mark is not None:
                self._mark.clear()
            self._sign()

    def _write(self) -> None:
        batch = list(self._pending)
        for receipt, _ in batch:
            if receipt.outcome is not Outcome.ASIDE or self._asides or receipt.trace:
                self._accounts.put(receipt)
        results = [receipt.result for receipt, _ in batch if receipt.result is not None]
        if results:
            marks = {
                receipt.job.mark: receipt.result.clip.id
                for receipt, _ in batch
                if receipt.result is not None and isinstance(receipt.job, IngestJob)
            }
            self._holdings.catalog.put_clips(results, marks=marks)
        self._cleared([source for _, source in batch if source is not None])
        del self._pending[: len(batch)]
        self._counts.update(receipt.outcome for receipt, _ in batch)
        self._bugs.update(receipt.place for receipt, _ in batch if receipt.place)
        self._ids += [result.clip.id for result in results]

    def _sign(self) -> None:
        if not self._counts:
            return
        counts = ", ".join(f"{self._counts[outcome]} {outcome.value}" for outcome in Outcome if self._counts[outcome])
        counts += "".join(f"; {count} met {place}" for place, count in sorted(self._bugs.items()))
        digest = hashlib.sha256("\n".join(sorted(self._ids)).encode()).hexdigest()
        note = f"{self._note}; " if self._note else ""
        self._holdings.log(self._action, f"{len(self._ids)} clips", f"{note}{counts}; sha256 of ids {digest}")
        self._counts.clear()
        self._bugs.clear()
        self._ids.clear()
        self._next_line = time.monotonic() + _SIGNED_S
