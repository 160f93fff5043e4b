"""The outbox: the letters of all requests, and whose link is whose."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from pipeline.case.delivery import CaseKey
from pipeline.case.letter import Letter
from storage.catalog import tables
from storage.catalog.database import upsert
from storage.catalog.documents import Documents
from storage.catalog.rows import asked_for, link_row

LETTERS_AT_ONCE: Final = 500


class Letters(Documents):
    """Letters and their links. Every method is one transaction."""

    def put_letters(self, letters: Iterable[Letter]) -> None:
        """Write letters that are there anew, and those that are not."""
        with self._database.turn() as run:
            self._put_letters(run, letters, again=True)

    def letters(
        self, *, due_ns: int | None = None, request: str | None = None, owner: str | None = None
    ) -> list[Letter]:
        """Return letters: those not sent yet and due at an instant (some at a time), of a request, of an owner."""
        table, query = tables.letters, sa.select(tables.letters.c.document)
        if due_ns is not None:
            query = query.where(table.c.waits, table.c.due_ns <= due_ns).limit(LETTERS_AT_ONCE)
        for column, value in ((table.c.request, request), (table.c.owner, owner)):
            query = query if value is None else query.where(column == asked_for(value))
        with self._database.transaction() as run:
            return self._loaded(
                run, query.order_by(table.c.due_ns, table.c.request, table.c.name), self._archive.letters
            )

    def link(self, token: str) -> tuple[str, str, int] | None:
        """Return the request, owner and revision that a link's token was made for, None for one that nobody made."""
        digest = hashlib.sha256(token.encode(errors="replace")).hexdigest()
        with self._database.transaction() as run:
            row = run.execute(sa.select(tables.links).where(tables.links.c.token_sha256 == digest)).first()
        return (row.request, row.owner, row.revision) if row else None

    def _put_letters(self, run: sa.Connection, letters: Iterable[Letter], *, again: bool = False) -> None:
        letters = list(letters)
        if not again:  # one that is there may have been sent
            letters = [self._archive.letters.put_first(letter) for letter in letters]
        else:
            for letter in letters:
                self._archive.letters.put(letter)
        upsert(run, tables.letters, [self._row("letters", letter) for letter in letters])
        keys: dict[str, CaseKey] = {}
        for letter in letters:
            if letter.request not in keys:
                shelf = self._archive.case_keys
                new = CaseKey(letter.request, secrets.token_hex(32))
                keys[letter.request] = shelf.get(letter.request) or shelf.put_first(new)
        upsert(run, tables.links, [link_row(letter, keys[letter.request]) for letter in letters])
