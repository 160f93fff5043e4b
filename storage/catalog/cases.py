"""The catalogue of cases: the one place where the words of several people on one request are put in order.

What is settled here is settled in turn, in the bucket first: of two people who speak at once one is first, and whoever
releases asks for every word once more in a turn of its own.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from pipeline.case.consent import Consent, Decision
from pipeline.case.delivery import CaseKey, Delivery
from pipeline.case.letter import Letter
from pipeline.case.life import Life, Step
from pipeline.case.order import Order
from pipeline.case.request import Request
from pipeline.case.usage import Usage
from pipeline.clip import Owner
from pipeline.errors import Conflict, RequestRefused
from pipeline.people import Agency, Person
from storage.archive import Archive
from storage.catalog import tables
from storage.catalog.database import Database, upsert
from storage.catalog.rows import asked_for, link_row, request_row
from storage.shelf import Shelf

T = TypeVar("T")

Row = dict[str, Any]
LETTERS_AT_ONCE: Final = 500


class Cases:
    """People, agencies, requests and all that is said to them. Every method is one transaction."""

    def __init__(self, database: Database, archive: Archive) -> None:
        self._database, self._archive = database, archive

    # People

    def put_agency(self, agency: Agency) -> None:
        """Write an agency, in place of the one of its id."""
        with self._database.turn() as run:
            self._archive.agencies.put(agency)
            upsert(run, tables.agencies, [self._row("agencies", agency)])

    def agency(self, agency: str) -> Agency | None:
        """Return the agency of that id, or None."""
        return self._one(self._archive.agencies, tables.agencies, id=agency)

    def agencies(self) -> list[Agency]:
        """Return all agencies, in order of id."""
        return self._all(self._archive.agencies, tables.agencies)

    def put_person(self, person: Person) -> None:
        """Write a person, in place of the one of their id."""
        with self._database.turn() as run:
            self._archive.people.put(person)
            upsert(run, tables.people, [self._row("people", person)])

    def person(self, person: str) -> Person | None:
        """Return the person of that id, or None."""
        return self._one(self._archive.people, tables.people, id=person)

    def people(self) -> list[Person]:
        """Return all persons, in order of id."""
        return self._all(self._archive.people, tables.people)

    # Requests and their lives

    def put_request(
        self, request: Request, submitted: Step, *, check: Callable[[Request, Sequence[Request]], None]
    ) -> None:
        """Settle a request for good, with the step that submits it.

        `check` is given the agency's other requests first, those that were sent back left out, and may refuse it. What
        another catalogue put into the bucket counts too.
        """
        with self._database.turn() as run:
            self._catch_up(run)
            mine = tables.requests.c.agency == request_row(request, "")["agency"]
            known = self._loaded(run, sa.select(tables.requests.c.document).where(mine), self._archive.requests)
            if any(one.id == request.id for one in known):
                return
            try:
                check(request, self._standing(run, known))
            except RequestRefused:
                # Another catalogue may know that one of them was sent back.
                self._read_steps(run, known)
                check(request, self._standing(run, known))
            if self._archive.requests.put_first(request) != request:
                raise Conflict(f"another request is called {request.id} already; make this one again, a moment later")
            self._archive.steps.put_first(submitted)
            upsert(run, tables.requests, [self._row("requests", request)])
            upsert(run, tables.steps, [self._row("steps", submitted)])

    def _catch_up(self, run: sa.Connection) -> None:
        known = set(run.scalars(sa.select(tables.requests.c.id)))
        fresh = [name for name in self._archive.requests.names() if name not in known]
        found = [one for name in fresh if (one := self._archive.requests.get(name)) is not None]
        upsert(run, tables.requests, [self._row("requests", one) for one in found])
        self._read_steps(run, found)

    def _read_steps(self, run: sa.Connection, requests: Iterable[Request]) -> None:
        for one in requests:
            upsert(run, tables.steps, [self._row("steps", step) for step in self._archive.steps.all(f"{one.id}/")])

    def _standing(self, run: sa.Connection, requests: Iterable[Request]) -> list[Request]:
        return [one for one in requests if not self._life(run, one).reasons]

    def request(self, request: str) -> Request | None:
        """Return the request of that id, or None."""
        return self._one(self._archive.requests, tables.requests, id=request)

    def requests(self, agency: str | None = None) -> list[Request]:
        """Return all requests, or those of one agency, the oldest first."""
        query = sa.select(tables.requests.c.document)
        with self._database.transaction() as run:
            found = self._loaded(run, query, self._archive.requests)
        mine = [one for one in found if agency is None or one.agency == agency]
        return sorted(mine, key=lambda request: (request.made_ns, request.id))

    def life(self, request: Request) -> Life:
        """Return the life of a request so far."""
        with self._database.transaction() as run:
            return self._life(run, request)

    def _life(self, run: sa.Connection, request: Request) -> Life:
        query = sa.select(tables.steps.c.document).where(tables.steps.c.request == request.id)
        return Life(request, tuple(self._loaded(run, query, self._archive.steps)))

    def step(
        self,
        request: Request,
        make: Callable[[Life], Step],
        *,
        letters: Callable[[Step], Iterable[Letter]] = lambda _: (),
    ) -> Step:
        """Take the step that `make` makes of the life so far, and write the letters that go with it.

        The letters are there when the step is, also after a kill in between. Raises what `make` does.
        """
        with self._database.turn() as run:
            life = Life(request, tuple(self._archive.steps.all(f"{request.id}/")))
            step = make(life)
            # Letters first: who is killed before the step leaves letters that nobody sends, since it is not sent.
            self._put_letters(run, letters(step))
            self._archive.steps.put(step)
            upsert(run, tables.steps, [self._row("steps", one) for one in (*life.steps, step)])
        return step

    # What is said to them

    def settle(
        self,
        request: str,
        owner: str,
        make: Callable[[Decision | None, Sequence[Delivery]], Decision],
        *,
        letters: Callable[[Decision], Iterable[Letter]] = lambda _: (),
    ) -> Decision:
        """Settle the decision that `make` makes of an owner's last one and of what was released; return what holds."""
        with self._database.turn() as run:
            before = self._archive.decisions.get(f"{request}/{owner}")
            decision = make(before, list(self._archive.deliveries.all(f"{request}/")))
            if decision != before:
                self._put_letters(run, letters(decision))
                self._archive.decisions.put(decision)
            upsert(run, tables.decisions, [self._row("decisions", decision)])
        return decision

    def decisions(self, request: str) -> dict[str, Decision]:
        """Return the decisions on a request by owner."""
        return {one.owner: one for one in self._all(self._archive.decisions, tables.decisions, request=request)}

    def put_order(
        self,
        request: str,
        order: str,
        make: Callable[[Order | None], Order],
        *,
        letters: Callable[[Order], Iterable[Letter]] = lambda _: (),
    ) -> Order:
        """Write what `make` makes of an order as it is, or of none; return it."""
        with self._database.turn() as run:
            now = make(self._archive.orders.get(f"{request}/{order}"))
            self._put_letters(run, letters(now))
            self._archive.orders.put(now)
            upsert(run, tables.orders, [self._row("orders", now)])
        return now

    def orders(self, request: str) -> list[Order]:
        """Return the orders that were entered for a request, in order of id."""
        return self._all(self._archive.orders, tables.orders, request=request)

    def consent(self, request: Request, owners: Iterable[Owner] = ()) -> Consent:
        """Return all that was said to a request, as the catalogue knows it; a worker asks the bucket."""
        out = frozenset(owner.id for owner in owners if owner.opted_out_ns is not None)
        return Consent(self.life(request), self.decisions(request.id), tuple(self.orders(request.id)), out)

    # What leaves

    def case_key(self, request: str) -> CaseKey:
        """Return the secret that the names and links of a request are made with; drawn when first asked for."""
        keys = self._archive.case_keys
        with self._database.turn():
            return keys.get(request) or keys.put_first(CaseKey(request, secrets.token_hex(32)))

    def release(self, settle: Callable[[], Sequence[Delivery]]) -> Sequence[Delivery]:
        """Write the accounts that `settle` says are released, in a turn in which nobody else settles anything.

        From then on they are released, and no word given later takes that back.
        """
        with self._database.turn() as run:
            released = settle()
            for delivery in released:
                self._archive.deliveries.put(delivery)
            upsert(run, tables.deliveries, [self._row("deliveries", delivery) for delivery in released])
        return released

    def put_deliveries(self, deliveries: Iterable[Delivery]) -> None:
        """Index deliveries whose accounts are in the bucket."""
        with self._database.transaction() as run:
            upsert(run, tables.deliveries, [self._row("deliveries", delivery) for delivery in deliveries])

    def deliveries(self, request: str) -> list[Delivery]:
        """Return what was delivered for a request, in order of its cuts."""
        return self._all(self._archive.deliveries, tables.deliveries, request=request)

    def put_usage(self, usage: Usage) -> None:
        """Write what an agency says became of a released clip."""
        with self._database.turn() as run:
            self._archive.usage.put(usage)
            upsert(run, tables.usage, [self._row("usage", usage)])

    def usage(self, request: str) -> dict[str, Usage]:
        """Return what became of the released clips of a request, by their names."""
        return {one.name: one for one in self._all(self._archive.usage, tables.usage, request=request)}

    # Letters

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

    # Rows

    def sources(self) -> dict[str, tuple[Iterable[Any], Callable[[Any], Row]]]:
        """Return for each table of cases the bucket's documents, read when they are asked for, and their rows."""
        archive = self._archive

        def rows(name: str) -> Callable[[Any], Row]:
            return lambda document: self._row(name, document)

        def link(letter: Letter) -> Row:
            key = archive.case_keys.get(letter.request)
            return link_row(letter, key or CaseKey(letter.request, secrets.token_hex(32)))

        shelves: dict[str, Shelf[Any]] = {
            "agencies": archive.agencies, "people": archive.people, "requests": archive.requests,
            "steps": archive.steps, "decisions": archive.decisions, "orders": archive.orders,
            "usage": archive.usage, "letters": archive.letters,
        }  # fmt: skip
        found: dict[str, tuple[Iterable[Any], Callable[[Any], Row]]] = {
            name: (shelf.all(), rows(name)) for name, shelf in shelves.items()
        }
        return found | {"links": (archive.letters.all(), link)}

    def _row(self, table: str, document: Any) -> Row:  # noqa: ANN401 - each table's own noun
        text = getattr(self._archive, table).dump(document)
        if table == "requests":
            return request_row(document, text)
        names = [column.name for column in tables.meta.tables[table].c if column.name not in {"document", "waits"}]
        row = {name: getattr(document, name) for name in names} | {"document": text}
        return row | {"waits": document.sent_ns is None and not document.failed} if table == "letters" else row

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
