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
from lamplighter.desk.retention import end_replaced
from lamplighter.desk.running import running
from lamplighter.desk.tally import Saw, Tally, tallied
from pipeline.errors import StoreUnavailable
from pipeline.retention import Removal
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
_AGAIN_S = 5.0  # after which a store or catalogue that was away is tried again


def carry_out(
    jobs: Sequence[J],
    work: Work[J, Context, R],
    holdings: Holdings,
    *,
    saw: Saw,
    enter: Callable[[Receipt[J, R]], None],
    refused: Iterable[Receipt[J, Never]] = (),
    what: str = "",
) -> Tally:
    """Do `work` for every job; give each receipt to `enter`, those `refused` before any work first; return the tally.

    what: how the run is called that says in the bucket that it works; one without says nothing. Raises what the batch
    raises, once what was done until then is entered.
    """
    first = list(refused)
    # No Ray is started for nothing.
    done: Iterable[Receipt[J, R]] = run(jobs, work, holdings.context, settings=holdings.settings.batch) if jobs else ()
    if not (what and jobs):
        return tallied(chain(first, done), planned=len(jobs) + len(first), saw=saw, enter=enter)
    tallies: list[Tally] = []

    def counts() -> dict[str, int]:
        found = {outcome.value: count for one in tallies for outcome, count in one.outcomes.items()}
        return {"planned": len(jobs) + len(first), **found}

    with running(holdings, what, counts=counts) as word:

        def told(tally: Tally) -> None:
            tallies[:] = [tally]
            word.flush()
            saw(tally)

        return tallied(chain(first, done), planned=len(jobs) + len(first), saw=told, enter=enter)


class Accounts:
    """The accounts of what was set aside, in the store; one is removed once its clip is done."""

    def __init__(self, holdings: Holdings) -> None:
        self._shelf = holdings.archive.aside
        self._there = set(self._shelf.names())

    def put(self, receipt: Receipt[Job, object], *, kept: bool = False) -> None:
        """Write what a clip was set aside for, or remove what an earlier run wrote of it; kept: in the inbox."""
        job, name = receipt.job, short(receipt.job.name)
        if receipt.outcome is Outcome.ASIDE:
            told = (receipt.station, receipt.reason, receipt.trace, time.time_ns())
            of_file: tuple[str, ...] = ()
            if isinstance(job, IngestJob):
                of_file = job.mark, str(job.location) if kept or not job.inbox_key else "", job.camera
            self._shelf.put(Aside(job.name, *told, *of_file))
            self._there.add(name)
        elif name in self._there:
            self._shelf.remove(name)
            self._there.discard(name)

    def has(self, source: str) -> bool:
        """Tell whether there is an account of what was called so."""
        return short(source) in self._there

    def give_up(self, account: Aside) -> None:
        """Write the account of what was given up."""
        self._shelf.put(account)
        self._there.add(short(account.source))


class Books(AbstractContextManager["Books[T]"], Generic[T]):
    """Keeps the books of one run over clips; what is `add`ed is written in batches, and the rest at the end.

    action: what the log calls it, `note` what it says besides. accounts: whether every clip that was set aside gets an
    account in the store, or only one that met a bug; it is removed once they come in. kept: whether the bytes of what
    was set aside stay where they are. replaced: clips that were taken short and went, as they go. first: given the
    sources of each batch before anything of it is written. cleared: given those of each that is written, so that what
    was needed only until then can go; log_first: once it is logged too. most: receipts after which a batch is written;
    every_s: seconds after which one is. While the block lasts a thread writes what is due, and a mark in the bucket
    says that the catalogue may be behind, of `cameras` or of any; it goes once all is written. Any thread may call.
    """

    def __init__(
        self,
        holdings: Holdings,
        action: str,
        *,
        note: str = "",
        accounts: bool = True,
        kept: Callable[[Receipt[Job, Ingested | None], T | None], bool] = lambda *_: False,
        first: Callable[[Sequence[T]], None] = lambda _: None,
        cleared: Callable[[Sequence[T]], None] = lambda _: None,
        book: Accounts | None = None,
        replaced: list[Removal] | None = None,
        log_first: bool = True,
        most: int = _BATCH,
        every_s: float = _BEHIND_S,
        cameras: Iterable[str] | None = None,
    ) -> None:
        self._holdings, self._action, self._first, self._cleared = holdings, action, first, cleared
        self._note, self._most, self._every_s = note, most, every_s
        self._accounts, self._asides, self._kept = book or Accounts(holdings), accounts, kept
        self._pending: list[tuple[Receipt[Job, Ingested | None], T | None]] = []
        self._log_first = log_first
        self._written: list[T] = []  # and not cleared yet
        self.replaced: list[Removal] = [] if replaced is None else replaced
        self._away = False
        self._cameras, self._block = cameras, ExitStack()
        self._mark: Mark | None = None
        self._writing, self._over = threading.RLock(), threading.Event()
        self._met: BaseException | None = None
        self._next = time.monotonic() + every_s

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
        if not due or not (self._pending or self._written):
            return
        try:
            self._write()
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

    def _write(self) -> None:
        batch = list(self._pending)
        sources = [source for _, source in batch if source is not None]
        if sources:
            self._first(sources)
        for receipt, source in batch:
            if receipt.outcome is not Outcome.ASIDE or self._asides or receipt.trace:
                self._accounts.put(receipt, kept=self._kept(receipt, source))
        results = [receipt.result for receipt, _ in batch if receipt.result is not None]
        if results:
            marks = {
                receipt.job.mark: receipt.result.clip.id
                for receipt, _ in batch
                if receipt.result is not None and isinstance(receipt.job, IngestJob)
            }
            self._holdings.catalog.put_clips(results, marks=marks)
            if marks:
                self.replaced += end_replaced(self._holdings)
        # What was accepted leaves the inbox only once the log tells of it: who is killed before tells it again.
        if self._log_first:
            self._sign(batch, results)
            del self._pending[: len(batch)]
        self._written += sources
        self._cleared(self._written)
        self._written.clear()
        if not self._log_first:
            self._sign(batch, results)
            del self._pending[: len(batch)]

    def _sign(self, batch: Sequence[tuple[Receipt[Job, Ingested | None], T | None]], results: list[Ingested]) -> None:
        if not batch:
            return
        counted = Counter(receipt.outcome for receipt, _ in batch)
        bugs = Counter(receipt.place for receipt, _ in batch if receipt.place)
        counts = ", ".join(f"{counted[outcome]} {outcome.value}" for outcome in Outcome if counted[outcome])
        counts += "".join(f"; {count} met {place}" for place, count in sorted(bugs.items()))
        digest = hashlib.sha256("\n".join(sorted(one.clip.id for one in results)).encode()).hexdigest()
        note = f"{self._note}; " if self._note else ""
        self._holdings.log(self._action, f"{len(results)} clips", f"{note}{counts}; sha256 of ids {digest}")
