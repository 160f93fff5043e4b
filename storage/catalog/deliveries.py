"""The catalogue of what leaves: clips that are released, what became of them, and the letters that tell of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence

from pipeline.case.delivery import CaseKey, Delivery
from pipeline.case.letter import Letter
from pipeline.case.usage import Usage
from storage.archive import Archive
from storage.catalog import held, tables
from storage.catalog.audit import Line
from storage.catalog.database import Database, upsert
from storage.catalog.documents import Documents
from storage.catalog.outbox import Outbox


class Deliveries(Documents):
    """What was released for requests, and the outbox. Every method is one transaction."""

    def __init__(self, database: Database, archive: Archive) -> None:
        super().__init__(database, archive)
        self.outbox = Outbox(database, archive)

    def case_key(self, request: str) -> CaseKey:
        """Return the secret that the names and links of a request are made with; drawn when first asked for."""
        keys = self._archive.case_keys
        with self._database.turn():
            return keys.get(request) or keys.put_first(CaseKey(request, secrets.token_hex(32)))

    def release(
        self,
        settle: Callable[[], Sequence[Delivery]],
        *,
        letters: Callable[[Sequence[Delivery]], Iterable[Letter]] = lambda _: (),
    ) -> Sequence[Delivery]:
        """Write the accounts that `settle` says are released, in a turn in which nobody else settles anything.

        From then on they are released, and no word given later takes that back. `settle` reads the bucket alone, and is
        asked again when they are written: a turn holds in one catalogue, as long as its database knows of it. Whoever
        says something by another one writes it and then looks for accounts, who releases writes accounts and then looks
        for what was said: of the two one sees the other.
        """
        shelf = self._archive.deliveries
        with self._database.turn() as run:
            chosen = {f"{one.request}/{one.cut}": one for one in settle()}
            before = {name: shelf.get(name) for name in chosen}
            held.write(self._archive, shelf, chosen.values())
            hold = {f"{one.request}/{one.cut}" for one in settle()} if chosen else set[str]()
            for name in chosen.keys() - hold:
                shelf.put(old) if (old := before[name]) is not None else shelf.remove(name)
            released = [delivery for name, delivery in chosen.items() if name in hold]
            upsert(run, tables.deliveries, [self._row("deliveries", delivery) for delivery in released])
            self.outbox.enter(run, self.outbox.write(letters(released)))
        return released

    def tell(self, letters: Iterable[Letter]) -> None:
        """Put letters into the outbox that belong to what was settled before; one that is there stays as it is."""
        with self._database.turn() as run:
            self.outbox.enter(run, self.outbox.write(letters))

    def put_deliveries(self, deliveries: Iterable[Delivery]) -> None:
        """Index deliveries whose accounts are in the bucket."""
        with self._database.turn() as run:
            upsert(run, tables.deliveries, [self._row("deliveries", delivery) for delivery in deliveries])

    def deliveries(self, request: str) -> list[Delivery]:
        """Return what was delivered for a request, in order of its cuts."""
        return self._all(self._archive.deliveries, tables.deliveries, request=request)

    def put_usage(self, usage: Usage, line: Line | None = None) -> None:
        """Write what an agency says became of a released clip, with its line in the log."""
        with self._database.turn() as run:
            told = held.write(self._archive, self._archive.usage, [usage])
            upsert(run, tables.usage, [self._row("usage", usage)])
            self._log(run, line, told)

    def usage(self, request: str) -> dict[str, Usage]:
        """Return what became of the released clips of a request, by their names."""
        return {one.name: one for one in self._all(self._archive.usage, tables.usage, request=request)}

    def letters(self, *, request: str | None = None, owner: str | None = None) -> list[Letter]:
        """Return the letters of a request, of an owner, or both, in order of their dates."""
        return self.outbox.letters(request=request, owner=owner)
