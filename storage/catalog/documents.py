"""The documents of cases as the catalogue's rows and back; a row holds its document as the bucket does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import sqlalchemy as sa

from pipeline.case.life import DONE, Step
from pipeline.span import NS
from storage.archive import Archive
from storage.catalog import audit, held, tables
from storage.catalog.audit import Line
from storage.catalog.database import Database
from storage.catalog.rows import asked_for, request_row
from storage.shelf import Shelf

T = TypeVar("T")

Row = dict[str, Any]
_SLACK_NS = 3600 * NS  # between the clocks of those who write the log


class Documents:
    """What all kinds of documents of cases are read and written with, over one database and one archive."""

    def __init__(self, database: Database, archive: Archive) -> None:
        self._database, self._archive = database, archive

    def _row(self, table: str, document: Any) -> Row:  # noqa: ANN401 - each table's own noun
        text = getattr(self._archive, table).dump(document)
        if table == "requests":
            return request_row(document, text)
        names = [column.name for column in tables.meta.tables[table].c if column.name != "document"]
        return {name: getattr(document, name) for name in names} | {"document": text}

    def _log(self, run: sa.Connection, line: Line | None, *told: Mapping[str, str]) -> None:
        """Append a line, which tells of documents too, as `held.write` says of them."""
        if line is not None:
            audit.append(run, self._archive, held.with_hashes(line, *told))

    def _first(self, **documents: object) -> dict[str, str]:
        """Return what a line tells of documents, by their shelves, that are written once: see `held.first`."""
        told: dict[str, str] = {}
        for shelf, document in documents.items():
            told |= held.first(self._archive, getattr(self._archive, shelf), document)
        return told

    def _note(self, run: sa.Connection, step: Step) -> None:
        """Write the line of a step whose taker was killed before it, unless it is there."""
        asked = self._archive.requests.get(step.request)
        line = Line(
            *(step.at_ns, f"{step.role} {step.by}", f"request {DONE[step.act]}", step.request, step.told),
            request=step.request,
            own=asked is not None and bool(asked.own),
        )
        written = audit.since(run, self._archive, step.at_ns - _SLACK_NS, log=line.log)
        if not any((entry.action, entry.subject) == (line.action, line.subject) for entry in written):
            # Who can write to the bucket can put a step there too: what was not written here is vouched for by none.
            key, known = self._archive.steps.place(step), self._archive.remembered
            lies = held.digest(self._archive.store, key)
            ours = known is not None and known.wrote(key, lies)
            self._log(run, line, {key if ours else f"{held.FOUND}{key}": lies})

    def _known(self, run: sa.Connection, table: sa.Table, **columns: str) -> str | None:
        """Return the document of a row as the catalogue has it, None without one."""
        query = sa.select(table.c.document)
        for name, value in columns.items():
            query = query.where(table.c[name] == value)
        found: str | None = run.scalar(query)
        return found

    def _loaded(self, run: sa.Connection, query: sa.Select[Any], shelf: Shelf[T]) -> list[T]:
        return [shelf.load(text) for text in run.scalars(query)]

    def _all(self, shelf: Shelf[T], table: sa.Table, **columns: str) -> list[T]:
        query = sa.select(table.c.document).order_by(*table.primary_key.columns)
        for name, value in columns.items():
            query = query.where(table.c[name] == asked_for(value))
        with self._database.transaction() as run:
            return self._loaded(run, query, shelf)

    def _one(self, shelf: Shelf[T], table: sa.Table, **columns: str) -> T | None:
        found = self._all(shelf, table, **columns)
        return found[0] if found else None
