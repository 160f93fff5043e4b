"""All tables of a catalogue read back from the bucket: what each is made of, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import sqlalchemy as sa

from pipeline.case.delivery import Delivery
from pipeline.clip import Owner
from pipeline.errors import DamagedDocument
from storage.archive import Archive
from storage.catalog import audit, search, tables
from storage.catalog.cases import Cases
from storage.catalog.database import Database
from storage.catalog.refill import Source, Unread, documents, fill, on
from storage.catalog.rows import camera_row, clip_row, mark_row


class ReadBack:
    """The tables of one fleet, filled from its bucket; `saw` is told, also of each document that cannot be read."""

    def __init__(self, archive: Archive, saw: Callable[[str], object]) -> None:
        self._archive, self._saw = archive, saw

    def unread(self, key: str, error: DamagedDocument) -> None:
        """Tell of a document that cannot be read."""
        self._saw(f"{key} is left out of the catalogue: {error}")

    def brought_up(self, database: Database, run: sa.Connection, names: set[str] | None) -> None:
        """Fill the tables of these names; None: all those of an empty catalogue, if the bucket holds anything."""
        if names is None and next(iter(self._archive.store.keys()), None) is None:
            return  # a fleet that begins
        if names is None:
            self._saw(f"the catalogue at {database.url} is empty and the bucket is not: it is filled from there")
        self.read_back(database, run, names, self.unread)

    def read_back(
        self, database: Database, run: sa.Connection, names: set[str] | None, unread: Unread
    ) -> dict[str, int]:
        """Empty the tables of these names, or all, and fill them from the bucket; return their rows."""
        told = set[str]()

        def once(key: str, error: DamagedDocument) -> None:  # one document may stand in two tables
            if key not in told:
                told.add(key)
                unread(key, error)

        sources = self.sources(database)
        chosen = {name: source for name, source in sources.items() if names is None or name in names}
        counts = fill(run, chosen, once)
        if "clips" in chosen:
            run.execute(tables.turn.update().values(longest_ns=search.longest()))
        if names is None or "entries" in names:
            counts["entries"] = audit.read_back(run, self._archive)
        return counts

    def sources(self, database: Database) -> dict[str, Source]:
        """Return for each table what gives the bucket's documents, when it is asked, and their rows."""
        archive = self._archive

        def deliveries(unread: Unread) -> Iterable[Delivery]:
            return chain(archive.to_rename(passing=unread), documents(archive.deliveries, unread))

        return {
            "owners": (on(archive.owners), self.owner_row),
            "cameras": (on(archive.cameras), camera_row),
            "clips": (on(archive.clips), clip_row),
            "marks": (on(archive.sources), mark_row),
            "deliveries": (deliveries, self._delivery_row),
            **Cases(database, archive).sources(),
        }

    def owner_row(self, owner: Owner) -> dict[str, Any]:
        """Return an owner by columns."""
        return {"id": owner.id, "document": self._archive.owners.dump(owner)}

    def _delivery_row(self, delivery: Delivery) -> dict[str, Any]:
        text = self._archive.deliveries.dump(delivery)
        return {"request": delivery.request, "cut": delivery.cut, "document": text}
