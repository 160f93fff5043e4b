"""What a run says of itself in the bucket while it works, so that another terminal can tell what runs and waits."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from lamplighter.desk.holdings import Holdings
from pipeline.errors import LamplighterError
from storage.archive import Run, Wait, short

EVERY_S: Final = 5.0
"""How often a run says that it works."""


class Running:
    """One run's word of itself, in the bucket; told by one thread."""

    def __init__(
        self,
        holdings: Holdings,
        what: str,
        *,
        counts: Callable[[], Mapping[str, int]],
        waits: Callable[[], Sequence[Wait]] = tuple,
    ) -> None:
        self._shelf, self._what, self._counts, self._waits = holdings.archive.runs, what, counts, waits
        self._machine, self._began_ns, self._next = socket.gethostname(), time.time_ns(), 0.0
        verb = what.split(" ", maxsplit=1)[0]
        # `watch` runs once over a data folder; several of the others may run at a time.
        apart = "" if verb == "watch" else f"\0{os.getpid()}"
        self._id = short(f"{verb}\0{self._machine}\0{holdings.settings.data.absolute()}{apart}")

    def flush(self) -> None:
        """Say it when it is due. A store that is away hears nothing, which ends no run."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY_S
            with suppress(LamplighterError):
                self._say(ended=False)

    def end(self) -> None:
        """Say that it ended; of a command that runs often nothing stays."""
        with suppress(LamplighterError):
            if self._what.startswith("watch"):
                self._say(ended=True)
            else:
                self._shelf.remove(self._id)

    def _say(self, *, ended: bool) -> None:
        counts, waits = dict(self._counts()), tuple(self._waits())
        told = self._id, self._what, self._machine, os.getpid(), self._began_ns, time.time_ns()
        self._shelf.put(Run(*told, ended, counts, waits))


@contextmanager
def running(
    holdings: Holdings,
    what: str,
    *,
    counts: Callable[[], Mapping[str, int]],
    waits: Callable[[], Sequence[Wait]] = tuple,
) -> Iterator[Running]:
    """Say that a run works, as often as `flush` is called, and at the end that it ended."""
    run = Running(holdings, what, counts=counts, waits=waits)
    run.flush()
    try:
        yield run
    finally:
        run.end()
