"""How far the catalogue is behind the bucket: the mark of a run that takes clips in, and what is made up for it.

Workers put records into the bucket, and the run's own process tells the catalogue of them, within a second. Who kills
that process leaves its mark; whoever opens the catalogue next reads what was written since.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from pipeline.errors import DamagedDocument
from pipeline.span import NS
from storage.archive import Archive, Arrears
from storage.catalog import refill, tables
from storage.catalog.database import Database, upsert
from storage.catalog.refill import SOME, Source, Unread
from storage.shelf import Shelf

_SLACK_NS: Final = 600 * NS
"""So long before a mark was written records are read again too: a receipt may be so long on its way, and the clocks of
those who write to one folder so far apart."""
_RENEW_S: Final = 300.0  # after which the mark of a run that keeps up is written anew: there is less to read then
_KEEPS_UP_S: Final = 60.0  # between two times that a run was up to date; one that was stopped for longer is not trusted
_MOST_CAMERAS: Final = 500  # named in a mark; of more it says: of any


@dataclass(slots=True)
class Mark:
    """The mark of one run, which is there as long as the catalogue may be behind."""

    archive: Archive
    arrears: Arrears
    _kept: float
    _written: float

    def keep(self) -> None:
        """Note that the catalogue knows now all that the run knows."""
        now = time.monotonic()
        if now - self._kept < _KEEPS_UP_S and now - self._written > _RENEW_S:
            self.archive.behind.put(self.arrears)
            self._written = now
        self._kept = now

    def clear(self) -> None:
        """Take it away: all is in the catalogue."""
        self.archive.behind.remove(self.arrears.run)


def _lock(run: str) -> str:
    return f"run-{run}"


@contextmanager
def marked(database: Database, archive: Archive, cameras: Iterable[str] | None) -> Iterator[Mark]:
    """Let the bucket say that a run writes records of these cameras (None: of any) before the catalogue knows of them.

    The mark stays until it is cleared; with the block, or the process, ends that nobody touches it.
    """
    names = sorted(set(cameras or ()))
    arrears = Arrears(secrets.token_hex(8), tuple(names) if names and len(names) <= _MOST_CAMERAS else ())
    with _held(database, arrears.run):
        archive.behind.put(arrears)
        now = time.monotonic()
        yield Mark(archive, arrears, now, now)


@contextmanager
def _held(database: Database, run: str) -> Iterator[bool]:
    with database.alone(_lock(run)) as mine:
        try:
            yield mine
        finally:
            if mine and database.file is not None:
                Path(f"{database.file.path}.{_lock(run)}.lock").unlink(missing_ok=True)


class CatchingUp:
    """Brings the catalogue to what the bucket holds, where a run left it behind."""

    def __init__(self, database: Database, archive: Archive, sources: Mapping[str, Source]) -> None:
        self._database, self._archive, self._sources = database, archive, sources
        self._once = threading.Lock()

    def catch_up(self, *, saw: Callable[[str], object], unread: Unread) -> int:
        """Read what runs that are no more wrote since their marks; return how many records. Runs that go on are left.

        `saw` is told in one line of each such run, before and after.
        """
        count = 0
        with self._once:
            for key, _, written_ns in list(self._archive.store.listing(f"{self._archive.behind.prefix}/")):
                run = key.rpartition("/")[2].removesuffix(".json")
                with _held(self._database, run) as ended:
                    if not ended or (arrears := self._read(run)) is None:
                        continue
                    saw(
                        "the catalogue is behind the bucket: a run that took clips in was ended before it was told of "
                        "all; reading them"
                    )
                    found = self._take_up(arrears, since_ns=written_ns - _SLACK_NS, unread=unread)
                    self._archive.behind.remove(run)
                    saw(f"the catalogue is up to date: {found} records were read")
                    count += found
        return count

    def _read(self, run: str) -> Arrears | None:
        try:
            return self._archive.behind.get(run)
        except DamagedDocument:
            return Arrears(run)

    def _take_up(self, arrears: Arrears, *, since_ns: int, unread: Unread) -> int:
        archive = self._archive
        places = [f"{camera}/" for camera in arrears.cameras] or [""]
        count = sum(self._read_anew("clips", archive.clips, place, since_ns, unread) for place in places)
        self._read_anew("marks", archive.sources, "", since_ns, unread)
        return count

    def _read_anew(self, table: str, shelf: Shelf[Any], place: str, since_ns: int, unread: Unread) -> int:
        listing = self._archive.store.listing(f"{shelf.prefix}/{place}")
        names = (
            key[len(shelf.prefix) + 1 : -len(".json")]
            for key, _, written_ns in listing
            if written_ns >= since_ns and key.endswith(".json")
        )
        count = 0
        while some := list(islice(names, SOME)):
            # Read in the turn in which they are entered: a run that measures anew may write them once more.
            with self._database.turn() as run:
                source = partial(refill.documents, shelf, names=some), self._sources[table][1]
                for part in refill.rows(source, unread):
                    rows = [row for _, row in part]
                    if table == "clips":
                        lengthen(run, rows)
                    upsert(run, tables.meta.tables[table], rows)
                    count += len(rows)
        return count


def lengthen(run: sa.Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Let the catalogue know how long the longest of these clips is, before it knows of the clip."""
    longest_ns = max((row["end_ns"] - row["start_ns"] for row in rows), default=0)
    run.execute(tables.turn.update().where(tables.turn.c.longest_ns < longest_ns).values(longest_ns=longest_ns))
