"""Every row of the catalogue held against what the bucket says, and the pages of an SQLite file; it changes nothing."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from pipeline.errors import DamagedDocument
from pipeline.finding import Finding
from pipeline.log.entry import LogName
from storage.archive import Archive
from storage.catalog import audit, refill, search, tables
from storage.catalog.database import Database
from storage.catalog.refill import SOME, Row, Source
from storage.log import Log

MOST: Final = 1000
"""Findings that are named; the others are counted."""
_FLAWS: Final = 100  # of pages
_KEYS: Final = 5000  # read at a time
_REBUILD: Final = "(`lamplighter catalog rebuild` reads it back)"


_NOTHING: Final = object()


@dataclass(slots=True)
class Compared:
    """What a comparison found. rows: how many were compared, by table. more: how many findings are not named."""

    rows: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    more: int = 0

    def found(self, place: str, what: str) -> None:
        """Note one thing that differs."""
        if len(self.findings) < MOST:
            self.findings.append(Finding(place, what))
        else:
            self.more += 1


def compare(database: Database, archive: Archive, sources: Mapping[str, Source]) -> Compared:
    """Compare all rows with the bucket's documents; what differs is looked at once more, since others may be at work.

    It holds some documents and eight bytes for each row. Raises StoreUnavailable and StoreRefused as the store does.
    """
    told = Compared()
    if database.file is not None:
        for flaw in database.file.flaws(most=_FLAWS, keys=True):
            told.found(str(database.file.path), f"its pages are damaged: {flaw} {_REBUILD}")
    for name, source in sources.items():
        _Table(database, told, tables.meta.tables[name]).check(_of(source, told))
    _Table(database, told, tables.entries).check(_entries(archive))
    with database.transaction() as run:
        if (run.scalar(sa.select(tables.turn.c.longest_ns)) or 0) < (run.scalar(sa.select(search.longest())) or 0):
            told.found("turn", f"a clip is longer than the longest it knows, so that searches miss it {_REBUILD}")
    return told


def _of(source: Source, told: Compared) -> Iterator[list[Row]]:
    def unread(key: str, error: DamagedDocument) -> None:
        told.found(key, f"cannot be read, so no row of it can be compared: {error}")

    return ([row for _, row in some] for some in refill.rows(source, unread))


def _entries(archive: Archive) -> Iterator[list[Row]]:
    rows = (row for name in LogName for batch in Log(archive, name).batches() for row in audit.rows(batch))
    while some := list(islice(rows, SOME)):
        yield some


class _Table:
    """One table, and which of its rows the bucket knows."""

    def __init__(self, database: Database, told: Compared, table: sa.Table) -> None:
        self._database, self._told, self._table = database, told, table
        self._keys = list(table.primary_key.columns)
        self._known = array("Q")

    def check(self, wanted: Iterable[list[Row]]) -> None:
        """Name each row that is missing, differs, or that the bucket does not know."""
        before = np.sort(np.fromiter((_digest(key) for key in self._stored()), dtype=np.uint64))
        count = 0
        for some in wanted:
            by_key = {self._key(row): row for row in some}
            with self._database.transaction() as run:
                there = self._there(run, list(by_key))
            for key, row in by_key.items():
                self._known.append(_digest(key))
                if (what := self._differs(row, there.get(key))) and (what := self._again(key, row)):
                    self._told.found(self._place(key), f"{what} {_REBUILD}")
            count += len(by_key)
        self._told.rows[self._table.name] = count
        known = np.sort(np.asarray(self._known, dtype=np.uint64))
        # The bucket comes first, so it had what was a row before it was read, unless that goes just now.
        strange = set(np.setdiff1d(before, known).tolist())
        for key in self._stored() if strange else ():
            if _digest(key) in strange:
                self._told.found(self._place(key), f"is in the catalogue and not in the bucket {_REBUILD}")

    def _again(self, key: tuple[Any, ...], row: Row) -> str:
        """Return what differs still, once all that was under way is over."""
        with self._database.turn() as run:
            return self._differs(row, self._there(run, [key]).get(key))

    def _stored(self) -> Iterator[tuple[Any, ...]]:
        """Yield the keys of all rows, some at a time: nobody has to wait meanwhile."""
        after: tuple[Any, ...] | None = None
        while True:
            query = sa.select(*self._keys).order_by(*self._keys).limit(_KEYS)
            if after is not None:
                query = query.where(sa.tuple_(*self._keys) > sa.tuple_(*map(sa.literal, after)))
            with self._database.transaction() as run:
                found = [tuple(row) for row in run.execute(query)]
            if not found:
                return
            yield from found
            after = found[-1]

    def _differs(self, row: Row, found: Row | None) -> str:
        if found is None:
            return "is in the bucket and not in the catalogue"
        names = [column.name for column in self._table.c if found.get(column.name, _NOTHING) != row.get(column.name)]
        return f"is otherwise in the bucket: {', '.join(names)}" if names else ""

    def _there(self, run: sa.Connection, keys: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], Row]:
        query = sa.select(self._table).where(sa.tuple_(*self._keys).in_(keys))
        try:
            found = [dict(row) for row in run.execute(query).mappings()]
        except (ValueError, ArithmeticError):  # of a column that holds no such value
            if len(keys) == 1:
                return {keys[0]: {}}
            return {key: row for one in keys for key, row in self._there(run, [one]).items()}
        return {self._key(row): row for row in found}

    def _key(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[column.name] for column in self._keys)

    def _place(self, key: tuple[Any, ...]) -> str:
        return f"{self._table.name} {'/'.join(map(str, key))}"


def _digest(key: tuple[Any, ...]) -> int:
    return int.from_bytes(blake2b(repr(key).encode(), digest_size=8).digest())
