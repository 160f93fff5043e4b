"""The catalogue's tables filled from the bucket: some documents at a time, and one that cannot be read costs itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, Final, TypeAlias, TypeVar

import sqlalchemy as sa

from pipeline.errors import DamagedDocument
from storage.catalog import tables
from storage.catalog.database import upsert
from storage.shelf import Shelf

T = TypeVar("T")
Row: TypeAlias = dict[str, Any]
Unread: TypeAlias = Callable[[str, DamagedDocument], object]
"""Is told of a document that cannot be read, by its key."""
Source: TypeAlias = tuple[Callable[[Unread], Iterable[Any]], Callable[[Any], Row]]
"""What gives the documents of a table, when it is asked for them, and makes a row of each."""

SOME: Final = 500
"""Documents held at a time, so that ten million need no more memory than a thousand."""
_AT_ONCE: Final = 8  # read at a time, out of a store that may be far away


def documents(shelf: Shelf[T], unread: Unread, names: Iterable[str] | None = None) -> Iterator[T]:
    """Yield the documents of a shelf, all or those of these names, in order, but for those that cannot be read."""

    def get(name: str) -> T | None:
        try:
            return shelf.get(name)
        except DamagedDocument as error:
            unread(shelf.key(name), error)
            return None

    waiting = iter(shelf.names() if names is None else names)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while some := list(islice(waiting, SOME)):
            for found in pool.map(get, some):
                if found is not None:
                    yield found


def on(shelf: Shelf[Any]) -> Callable[[Unread], Iterator[Any]]:
    """Return what gives all documents of a shelf."""
    return lambda unread: documents(shelf, unread)


def rows(source: Source, unread: Unread) -> Iterator[list[tuple[Any, Row]]]:
    """Yield the documents of a table with their rows, some at a time."""
    found, row = source
    waiting = iter(found(unread))
    while some := list(islice(waiting, SOME)):
        made = []
        for one in some:
            try:
                made.append((one, row(one)))
            except DamagedDocument as error:  # of a document that its row also tells of
                unread(str(error).partition(" ")[0], error)
        yield made


def fill(run: sa.Connection, sources: Mapping[str, Source], unread: Unread) -> dict[str, int]:
    """Empty the tables of these names and fill them; return their rows."""
    counts = {}
    for name, source in sources.items():
        table = tables.meta.tables[name]
        run.execute(table.delete())
        for some in rows(source, unread):
            upsert(run, table, [row for _, row in some])
        counts[name] = run.scalar(sa.select(sa.func.count()).select_from(table)) or 0
    return counts
