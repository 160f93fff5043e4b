"""The gate of a live run: each clip that was accepted, and each upload that was given up, goes into the log."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lamplighter.desk.holdings import Holdings
from pipeline.errors import StoreUnavailable
from pipeline.span import NS
from storage.archive import Aside, short
from storage.catalog.audit import Line
from workers.inbox import Inbox, Upload
from workers.live import Accepted, Dropped, Intake

if TYPE_CHECKING:
    from lamplighter.desk.books import Accounts

DROPPED: Final = "dropped"
"""The station of what was given up before it was accepted."""
_DROPPED: Final = "clips dropped"
_ACCEPTED: Final = "clips accepted"
_LINE: Final = 200  # clips that one line names
_EVERY_S: Final = 0.4  # between two lines
_SLACK_NS: Final = 600 * NS  # so far the store's clock may be ahead of that of who wrote the log
_KEEP_S: Final = 0.1  # between two looks whether a book is due


@dataclass
class _Pending:
    accepted: list[str] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    released: list[Callable[[], None]] = field(default_factory=list)


class GateBook:
    """Writes down what was accepted and what was dropped, a moment after it was; told from any thread.

    An upload that was dropped gets an account, and its file is let go only then: who is killed before offers it again.
    What was accepted leaves the inbox only once a line names it: what that of a killed run holds and no line names is
    caught up with.
    """

    def __init__(self, holdings: Holdings, accounts: Accounts) -> None:
        self._holdings, self._accounts = holdings, accounts
        self._pending, self._lock = _Pending(), threading.Lock()
        self._writing = threading.Lock()  # who finds nothing to write waits for the one who took it to write it
        self._named = set[str]()  # marks that are written, or will be with the next line, until they are done
        self._early = set[str]()  # those that were done before anybody said that they were accepted
        self._next = 0.0
        self._logged = set[int]()  # of those that are being written

    def saw(self, event: Intake) -> None:
        """Take up what happened on a clip's way in."""
        with self._lock:
            if isinstance(event, Accepted):
                mark = event.upload.job.mark
                if mark in self._early:
                    self._early.discard(mark)
                else:
                    self._pending.accepted.append(mark)
                    self._named.add(mark)
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

    def name(self, marks: Iterable[str]) -> None:
        """Return once the log names these clips, of which something is to be written. Raises StoreUnavailable."""
        with self._lock:
            early = [mark for mark in marks if mark not in self._named]
            self._pending.accepted += early
            self._named.update(early)
            self._early.update(early)
        self.close()

    def done(self, marks: Iterable[str]) -> None:
        """Forget clips that left the inbox."""
        with self._lock:
            self._named.difference_update(marks)

    def flush(self) -> None:
        """Write down what is due."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY_S
            self.close()

    def close(self) -> None:
        """Write down what was not yet. Raises StoreUnavailable; what was not written is written later."""
        with self._writing:
            self._close()

    def _close(self) -> None:
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
        """Log what a run that was killed gave up or accepted and had no time to log.

        Of what it gave up those are the last accounts it wrote; what it accepted is in the inbox.
        """
        dropped = [one for one in self._holdings.archive.aside.all() if one.station == DROPPED]
        last_ns = max((one.at_ns for one in dropped), default=0)
        if last_ns and not self._holdings.catalog.logs.tells(_DROPPED, last_ns):
            self._log_dropped([one for one in dropped if one.at_ns == last_ns], last_ns)
        # What is kept of an account was named before the account was written.
        store, logs = self._holdings.archive.store, self._holdings.catalog.logs
        written = {key: at_ns for key, _, at_ns in store.listing("inbox/")}
        inbox = Inbox(store, self._holdings.store).held() if written else ()
        held = {one.job.mark: one.key for one in inbox if not self._accounts.has(one.job.name)}
        if held:
            lines = logs.since(min(written.get(key, 0) for key in held.values()) - _SLACK_NS)
            told = {mark for one in lines if one.action == _ACCEPTED for mark in _marks(one.detail)}
            if left := [mark for mark in held if mark not in told]:
                logs.append(*self._accepted(left))
        self._named.update(held)

    def _accepted(self, marks: Sequence[str]) -> Iterator[Line]:
        """Yield the lines that name each clip by its mark, which is that of its file in the bucket."""
        for at in range(0, len(marks), _LINE):
            part = marks[at : at + _LINE]
            yield self._holdings.line(_ACCEPTED, f"{len(part)} clips", f"marks {' '.join(part)}")

    def _log_dropped(self, accounts: Sequence[Aside], at_ns: int) -> None:
        """Log what was given up; its instant is that of the accounts, by which it is found who is killed in between."""
        full = Counter(one.reason.rpartition(": ")[2] for one in accounts)
        told = ", ".join(f"{count} for want of {reason}" for reason, count in sorted(full.items()))
        marks = " ".join(one.mark for one in accounts)
        line = self._holdings.line(_DROPPED, f"{len(accounts)} clips", f"{told}; marks {marks}", at_ns=at_ns)
        self._holdings.catalog.logs.append(line)


def _marks(detail: str) -> list[str]:
    return detail.partition("marks ")[2].split()


def _account(dropped: Dropped, at_ns: int) -> Aside:
    job = dropped.upload.job
    reason = f"given up before it was accepted, since newer ones waited; full was: {dropped.reason}"
    return Aside(job.name, DROPPED, reason, "", at_ns, job.mark, str(job.location), job.camera)


@contextmanager
def keeping(*flushes: Callable[[], None], fail: Callable[[BaseException], None]) -> Iterator[None]:
    """Write the books down again and again in a thread of their own: the run's own may wait long for a clip.

    A store that is away is tried again; any other error goes to `fail`.
    """

    def keep() -> None:
        for flush in flushes:
            with suppress(StoreUnavailable):
                flush()

    with beside(keep, every_s=_KEEP_S, fail=fail, name="books"):
        yield


@contextmanager
def beside(
    do: Callable[[], object], *, every_s: float, fail: Callable[[BaseException], None], name: str
) -> Iterator[None]:
    """Do something again and again in a thread of its own, as long as the block lasts; its error goes to `fail`."""
    over = threading.Event()

    def go() -> None:
        try:
            while not over.wait(every_s):
                do()
        except BaseException as error:  # noqa: BLE001 - a thread's error must not vanish with it
            fail(error)

    thread = threading.Thread(target=go, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
