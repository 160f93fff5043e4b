"""The outbox: letters that wait for a mail server, those that were sent, and whose link a secret opens."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from pipeline.case.delivery import CaseKey
from pipeline.case.letter import Letter
from storage.archive import Archive
from storage.catalog import tables
from storage.catalog.database import Database, upsert
from storage.catalog.rows import asked_for, letter_row, link_row, token_hash

_AT_ONCE: Final = 16  # documents written at a time, into a store that may be far away
_SOME: Final = 500  # letters read at a time


@dataclass(frozen=True, slots=True)
class LinkRow:
    """What a link's secret was made for; `opt_out`: it is the one by which an owner opts out of all requests."""

    request: str
    owner: str
    revision: int
    opt_out: bool = False


class Outbox:
    """The letters of all requests. What changes one is in the bucket first."""

    def __init__(self, database: Database, archive: Archive) -> None:
        self._database, self._archive = database, archive

    def write(self, letters: Iterable[Letter]) -> list[Letter]:
        """Write the documents of letters, several at a time, and return them as they are there: one may be sent.

        No turn is held for it. A letter without a row waits for nothing, so the rows decide.
        """
        letters = list(letters)
        if len(letters) < 2:
            return [self._archive.letters.put_first(letter) for letter in letters]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(self._archive.letters.put_first, letters))

    def enter(self, run: sa.Connection, letters: Sequence[Letter]) -> None:
        """Index letters whose documents are there, and their links, in a turn."""
        keys = {request: self._key(request) for request in {letter.request for letter in letters}}
        upsert(run, tables.letters, [self.row(letter) for letter in letters])
        upsert(run, tables.links, [link_row(letter, keys[letter.request]) for letter in letters])

    def mark(self, letter: Letter) -> None:
        """Write a letter that was sent, or that none will be sent for any more, in place of the one that waited.

        Into the bucket alone, which is what counts: `index` brings many into the catalogue at once.
        """
        self._archive.letters.put(letter)

    def index(self, letters: Iterable[Letter]) -> None:
        """Let the catalogue know of letters that were marked."""
        with self._database.turn() as run:
            upsert(run, tables.letters, [self.row(letter) for letter in letters])

    def read(self, letter: Letter) -> Letter:
        """Return a letter as the bucket has it, whatever the catalogue knows of it."""
        return self._archive.letters.get(f"{letter.request}/{letter.name}") or letter

    def letters(self, *, request: str | None = None, owner: str | None = None) -> list[Letter]:
        """Return the letters of a request, of an owner, or both, in order of their dates."""
        table, query = tables.letters, sa.select(tables.letters.c.document)
        for column, value in ((table.c.request, request), (table.c.owner, owner)):
            query = query if value is None else query.where(column == asked_for(value))
        with self._database.transaction() as run:
            return self._loaded(run, query.order_by(table.c.due_ns, table.c.request, table.c.name))

    def due(self, now_ns: int) -> Iterator[list[Letter]]:
        """Yield the letters that wait and are due at an instant, some at a time, each once."""
        table = tables.letters
        order = (table.c.due_ns, table.c.request, table.c.name)
        query = sa.select(table.c.document).where(table.c.waits, table.c.due_ns <= now_ns).order_by(*order).limit(_SOME)
        after: tuple[int, str, str] | None = None
        while True:
            more = query if after is None else query.where(sa.tuple_(*order) > sa.tuple_(*map(sa.literal, after)))
            with self._database.transaction() as run:
                letters = self._loaded(run, more)
            if not letters:
                return
            after = (letters[-1].due_ns, letters[-1].request, letters[-1].name)
            yield letters

    def of_message(self, message_id: str) -> Letter | None:
        """Return the letter of a Message-ID (its left part), or None."""
        query = sa.select(tables.letters.c.document).where(tables.letters.c.message_id == asked_for(message_id))
        with self._database.transaction() as run:
            found = self._loaded(run, query)
        return found[0] if found else None

    def link(self, token: str) -> LinkRow | None:
        """Return what a link's secret was made for, None for one that nobody made."""
        table, digest = tables.links, token_hash(token)
        query = sa.select(table).where(sa.or_(table.c.token_sha256 == digest, table.c.opt_out_sha256 == digest))
        with self._database.transaction() as run:
            row = run.execute(query).first()
        return LinkRow(row.request, row.owner, row.revision, row.opt_out_sha256 == digest) if row else None

    def alone(self) -> AbstractContextManager[bool]:
        """Tell whether this process alone sends letters from this catalogue, and keep others from it meanwhile."""
        return self._database.alone("post")

    def row(self, letter: Letter) -> dict[str, Any]:
        """Return the row of a letter."""
        return letter_row(letter, self._archive.letters.dump(letter))

    def link_row(self, letter: Letter) -> dict[str, Any]:
        """Return the row of a letter's links, when a catalogue is read back from the bucket."""
        key = self._archive.case_keys.get(letter.request)
        return link_row(letter, key or CaseKey(letter.request, secrets.token_hex(32)))

    def _key(self, request: str) -> CaseKey:
        shelf = self._archive.case_keys
        return shelf.get(request) or shelf.put_first(CaseKey(request, secrets.token_hex(32)))

    def _loaded(self, run: sa.Connection, query: sa.Select[Any]) -> list[Letter]:
        return [self._archive.letters.load(text) for text in run.scalars(query)]
