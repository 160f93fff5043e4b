"""The gate of a live run: each clip that was accepted, and each upload that was given up, goes into the log."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lamplighter.desk.holdings import Holdings
from pipeline.errors import StoreUnavailable
from storage.archive import Aside, short
from storage.catalog.audit import Line
from workers.inbox import Upload
from workers.live import Accepted, Dropped, Intake

if TYPE_CHECKING:
    from lamplighter.desk.books import Accounts

DROPPED: Final = "dropped"
"""The station of what was given up before it was accepted."""
_DROPPED: Final = "clips dropped"
_LINE: Final = 200  # clips that one line names
_EVERY_S: Final = 0.4  # between two lines
_KEEP_S: Final = 0.1  # between two looks whether a book is due


@dataclass
class _Pending:
    accepted: list[str] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    released: list[Callable[[], None]] = field(default_factory=list)


class GateBook:
    """Writes down what was accepted and what was dropped, a moment after it was; told from any thread.

    An upload that was dropped gets an account, and its file is let go only then: who is killed before offers it again.
    """

    def __init__(self, holdings: Holdings, accounts: Accounts) -> None:
        self._holdings, self._accounts = holdings, accounts
        self._pending, self._lock = _Pending(), threading.Lock()
        self._next = 0.0
        self._logged = set[int]()  # of those that are being written

    def saw(self, event: Intake) -> None:
        """Take up what happened on a clip's way in."""
        with self._lock:
            if isinstance(event, Accepted):
                self._pending.accepted.append(event.upload.job.mark)
            elif isinstance(event, Dropped):
                self._pending.dropped.append(event)

    def given_up(self, released: Callable[[], None]) -> None:
        """Take up what lets the file of a dropped upload go."""
        with self._lock:
            self._pending.released.append(released)

    def gave_up(self, upload: Upload) -> bool:
        """Tell whether an earlier run dropped this version of a file, which nobody took in since."""
        if not self._accounts.has(upload.job.name):
            return False
        with suppress(StoreUnavailable):
            known = self._holdings.archive.aside.get(short(upload.job.name))
            return known is not None and (known.station, known.mark) == (DROPPED, upload.job.mark)
        return False

    def flush(self) -> None:
        """Write down what is due."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY_S
            self.close()

    def close(self) -> None:
        """Write down what was not yet. Raises StoreUnavailable; what was not written is written later."""
        with self._lock:
            pending, self._pending = self._pending, _Pending()
        if not (pending.accepted or pending.dropped):
            return
        try:
            for at in range(0, len(pending.dropped), _LINE):
                part, at_ns = pending.dropped[at : at + _LINE], time.time_ns()
                accounts = [_account(one, at_ns) for one in part]
                for account in accounts:
                    self._accounts.give_up(account)
                self._log_dropped(accounts, at_ns)
                self._logged.update(id(one) for one in part)
            if pending.accepted:
                self._holdings.catalog.logs.append(*self._accepted(pending.accepted))
        except StoreUnavailable:
            with self._lock:
                later, self._pending = self._pending, pending
                pending.accepted += later.accepted
                pending.dropped = [one for one in pending.dropped if id(one) not in self._logged] + later.dropped
                pending.released += later.released
            raise
        self._logged.clear()
        for released in pending.released:
            released()

    def catch_up(self) -> None:
        """Log what a run that was killed gave up and had no time to log: the last accounts it wrote."""
        dropped = [one for one in self._holdings.archive.aside.all() if one.station == DROPPED]
        last_ns = max((one.at_ns for one in dropped), default=0)
        if last_ns and not self._holdings.catalog.logs.tells(_DROPPED, last_ns):
            self._log_dropped([one for one in dropped if one.at_ns == last_ns], last_ns)

    def _accepted(self, marks: Sequence[str]) -> Iterator[Line]:
        """Yield the lines that name each clip by its mark, which is that of its file in the bucket."""
        for at in range(0, len(marks), _LINE):
            part = marks[at : at + _LINE]
            yield self._holdings.line("clips accepted", f"{len(part)} clips", f"marks {' '.join(part)}")

    def _log_dropped(self, accounts: Sequence[Aside], at_ns: int) -> None:
        """Log what was given up; its instant is that of the accounts, by which it is found who is killed in between."""
        full = Counter(one.reason.rpartition(": ")[2] for one in accounts)
        told = ", ".join(f"{count} for want of {reason}" for reason, count in sorted(full.items()))
        marks = " ".join(one.mark for one in accounts)
        line = self._holdings.line(_DROPPED, f"{len(accounts)} clips", f"{told}; marks {marks}", at_ns=at_ns)
        self._holdings.catalog.logs.append(line)


def _account(dropped: Dropped, at_ns: int) -> Aside:
    job = dropped.upload.job
    reason = f"given up before it was accepted, since newer ones waited; full was: {dropped.reason}"
    return Aside(job.name, DROPPED, reason, "", at_ns, job.mark, str(job.location), job.camera)


@contextmanager
def keeping(*flushes: Callable[[], None], fail: Callable[[BaseException], None]) -> Iterator[None]:
    """Write the books down again and again in a thread of their own: the run's own may wait long for a clip.

    A store that is away is tried again; any other error goes to `fail`.
    """
    over = threading.Event()

    def keep() -> None:
        try:
            while not over.wait(_KEEP_S):
                for flush in flushes:
                    with suppress(StoreUnavailable):
                        flush()
        except BaseException as error:  # noqa: BLE001 - a thread's error must not vanish with it
            fail(error)

    thread = threading.Thread(target=keep, name="books", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
