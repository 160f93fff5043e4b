"""The catalogue of cases: the one place where the words of several people on one request are put in order.

What is settled here is settled in turn, in the bucket first: of two people who speak at once one is first, and whoever
releases asks for every word once more in a turn of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import sqlalchemy as sa

from pipeline.case.consent import Consent, Decision
from pipeline.case.delivery import Delivery
from pipeline.case.letter import Letter
from pipeline.case.life import Life, Step
from pipeline.case.order import Order
from pipeline.case.request import Request
from pipeline.case.rules import spelled
from pipeline.clip import Owner
from pipeline.errors import Conflict, LamplighterError, RequestRefused
from storage.catalog import held, tables
from storage.catalog.audit import Line
from storage.catalog.database import upsert
from storage.catalog.deliveries import Deliveries
from storage.catalog.people import People
from storage.catalog.refill import Source, on
from storage.catalog.rows import request_row
from storage.shelf import Shelf


class Cases(People, Deliveries):
    """Requests and all that is said to them, with the people and what leaves. Every method is one transaction."""

    def put_request(
        self,
        request: Request,
        submitted: Step,
        *,
        check: Callable[[Request, Sequence[Request]], None],
        line: Line | None = None,
    ) -> None:
        """Settle a request for good, with the step that submits it and its line in the log.

        `check` is given the agency's other requests first, those that were sent back left out, and may refuse it. What
        another catalogue put into the bucket counts too; what an owner asks for their own footage is nobody else's.
        """
        with self._database.turn() as run:
            fresh = self._catch_up(run)
            mine = tables.requests.c.agency == request_row(request, "")["agency"]
            known = self._loaded(run, sa.select(tables.requests.c.document).where(mine), self._archive.requests)
            if any(one.id == request.id for one in known):
                if request.id in fresh:  # of one that was killed before its line
                    self._log(run, line, self._first(requests=request, steps=submitted))
                return
            try:
                check(request, self._standing(run, known))
            except RequestRefused:
                # Another catalogue may know that one of them was sent back.
                self._read_steps(run, known)
                check(request, self._standing(run, known))
            # The request last: one without its step would count, and nobody could do anything with it.
            told = self._first(requests=request, steps=submitted)
            if (there := self._archive.requests.get(request.id)) is None:
                self._archive.steps.put_first(submitted)
                there = self._archive.requests.put_first(request)
            if there != request:
                raise Conflict(f"another request is called {request.id} already; make this one again, a moment later")
            upsert(run, tables.requests, [self._row("requests", request)])
            upsert(run, tables.steps, [self._row("steps", one) for one in self._archive.steps.all(f"{request.id}/")])
            self._log(run, line, told)

    def _catch_up(self, run: sa.Connection) -> set[str]:
        known = set(run.scalars(sa.select(tables.requests.c.id)))
        fresh = [name for name in self._archive.requests.names() if name not in known]
        found = [one for name in fresh if (one := self._archive.requests.get(name)) is not None]
        upsert(run, tables.requests, [self._row("requests", one) for one in found])
        self._read_steps(run, found)
        return {one.id for one in found}

    def _read_steps(self, run: sa.Connection, requests: Iterable[Request]) -> None:
        for one in requests:
            upsert(run, tables.steps, [self._row("steps", step) for step in self._archive.steps.all(f"{one.id}/")])

    def _standing(self, run: sa.Connection, requests: Iterable[Request]) -> list[Request]:
        return [one for one in requests if not one.own and not self._life(run, one).reasons]

    def request(self, request: str) -> Request | None:
        """Return the request of that id, or None."""
        return self._one(self._archive.requests, tables.requests, id=request)

    def requests(self, agency: str | None = None) -> list[Request]:
        """Return all requests, or those of one agency, the oldest first."""
        query = sa.select(tables.requests.c.document)
        if agency is not None:  # others cost nothing: how long it takes does not tell how many there are
            query = query.where(tables.requests.c.agency == spelled(agency))
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
        return self._archive.life(request, Life(request).reviewers, self._loaded(run, query, self._archive.steps))

    def step(
        self,
        request: Request,
        make: Callable[[Life], Step],
        *,
        letters: Callable[[Step], Iterable[Letter]] = lambda _: (),
        log: Callable[[Step], Line | None] = lambda _: None,
    ) -> Step:
        """Take the step that `make` makes of the life so far, with its letters and its line in the log.

        The letters are there when the step is. Who was killed in it takes it again and is told of the one that is in
        the bucket. Raises what `make` does, Conflict where another catalogue over this bucket took a step just now.
        """
        refused: LamplighterError | None = None
        taken: Step | None = None
        # Thousands of letters are written before the turn, in which nobody else is heard. Who is killed or refused then
        # leaves letters that nobody sends: they have no row, and the step was not taken.
        early, written = self._written_early(request, make, letters)
        with self._database.turn() as run:
            life = self._life_there(request)
            missed = self._missed(run, life)
            try:
                step = taken = _again(make, life, missed) or make(life)
            except LamplighterError as error:
                refused = error  # what was missed is known from now on all the same
            else:
                told = self._first(steps=step)
                if step not in life.steps:
                    same = early is not None and replace(early, number=step.number) == step
                    self.outbox.enter(run, written if same else self.outbox.write(letters(step)))
                    if self._archive.steps.put_first(step) != step:
                        raise Conflict(f"somebody else took a step of request {request.id} just now; look again")
                    upsert(run, tables.steps, [self._row("steps", step)])
                self._log(run, log(step), told)
            for one in missed:
                if one != taken:
                    self._note(run, one)
        if refused is not None:
            raise refused
        return step

    def _written_early(
        self, request: Request, make: Callable[[Life], Step], letters: Callable[[Step], Iterable[Letter]]
    ) -> tuple[Step | None, list[Letter]]:
        try:
            step = make(self._life_there(request))
        except LamplighterError:  # told in the turn, if it is so then
            return None, []
        return step, self.outbox.write(letters(step))

    def _life_there(self, request: Request) -> Life:
        return self._archive.life(request, Life(request).reviewers)

    def _missed(self, run: sa.Connection, life: Life) -> list[Step]:
        """Learn and return the steps that are in the bucket alone: of who was killed, or through another catalogue."""
        numbers = sa.select(tables.steps.c.number).where(tables.steps.c.request == life.request.id)
        known = set(run.scalars(numbers))
        missed = [step for step in life.steps if step.number not in known]
        if missed:
            upsert(run, tables.steps, [self._row("steps", step) for step in missed])
            self.outbox.enter(run, list(self._archive.letters.all(f"{life.request.id}/")))
        return missed

    # What is said to them

    def settle(
        self,
        request: str,
        owner: str,
        make: Callable[[Decision | None, Sequence[Delivery]], Decision],
        *,
        letters: Callable[[Decision], Iterable[Letter]] = lambda _: (),
        log: Callable[[Decision], Line | None] = lambda _: None,
    ) -> Decision:
        """Settle the decision that `make` makes of an owner's last one and of what was released; return what holds.

        It holds once it is in the bucket and nothing that it takes back was released until then. One that held before
        and was told to its owner gets no second letter and no second line in the log. `make` asks no catalogue.
        """
        released, shelf = self._archive.deliveries, self._archive.decisions
        refused: LamplighterError | None = None
        with self._database.turn() as run:
            before = shelf.get(f"{request}/{owner}")
            known = self._known(run, tables.decisions, request=request, owner=owner)
            try:
                decision = make(before, list(released.all(f"{request}/")))
            except LamplighterError as error:
                if before is None or self._row("decisions", before)["document"] == known:
                    raise
                decision, refused = before, error  # of who was killed in it: it is told, and logged, once
            row = self._row("decisions", decision)
            if decision == before and row["document"] == known:
                return decision
            self.outbox.enter(run, self.outbox.write(letters(decision)))
            told = held.write(self._archive, shelf, [decision])
            if decision != before:
                try:
                    make(before, list(released.all(f"{request}/")))
                except LamplighterError:
                    # Another catalogue over this bucket, or one whose turn was lost, released it meanwhile.
                    shelf.put(before) if before is not None else shelf.remove(f"{request}/{owner}")
                    raise
            upsert(run, tables.decisions, [row])
            self._log(run, log(decision), told)
        if refused is not None:
            raise refused
        return decision

    def decisions(self, request: str) -> dict[str, Decision]:
        """Return the decisions on a request by owner."""
        return {one.owner: one for one in self._all(self._archive.decisions, tables.decisions, request=request)}

    def decision(self, request: str, owner: str) -> Decision | None:
        """Return an owner's decision on a request, or None."""
        return self._one(self._archive.decisions, tables.decisions, request=request, owner=owner)

    def put_order(
        self,
        request: str,
        order: str,
        make: Callable[[Order | None], Order],
        *,
        letters: Callable[[Order], Iterable[Letter]] = lambda _: (),
        log: Callable[[Order], Line | None] = lambda _: None,
    ) -> Order:
        """Write what `make` makes of an order as it is, or of none; return it. Raises what `make` does."""
        refused: LamplighterError | None = None
        with self._database.turn() as run:
            before = self._archive.orders.get(f"{request}/{order}")
            try:
                now = make(before)
            except LamplighterError as error:
                known = self._known(run, tables.orders, request=request, id=order)
                if before is None or self._row("orders", before)["document"] == known:
                    raise
                now, refused = before, error  # who was killed in it does it again: it is told, and logged, once
            self.outbox.enter(run, self.outbox.write(letters(now)))
            told = held.write(self._archive, self._archive.orders, [now])
            upsert(run, tables.orders, [self._row("orders", now)])
            self._log(run, log(now), told)
        if refused is not None:
            raise refused
        return now

    def orders(self, request: str) -> list[Order]:
        """Return the orders that were entered for a request, in order of id."""
        return self._all(self._archive.orders, tables.orders, request=request)

    def consent(self, request: Request, owners: Iterable[Owner] = ()) -> Consent:
        """Return all that was said to a request, as the catalogue knows it; a worker asks the bucket."""
        out = frozenset(owner.id for owner in owners if owner.opted_out_ns is not None)
        return Consent(self.life(request), self.decisions(request.id), tuple(self.orders(request.id)), out)

    # Rows

    def sources(self) -> dict[str, Source]:
        """Return for each table of cases the bucket's documents, read when they are asked for, and their rows."""
        archive = self._archive

        shelves: dict[str, Shelf[Any]] = {
            "agencies": archive.agencies, "people": archive.people, "requests": archive.requests,
            "steps": archive.steps, "decisions": archive.decisions, "orders": archive.orders,
            "usage": archive.usage,
        }  # fmt: skip
        found: dict[str, Source] = {name: (on(shelf), partial(self._row, name)) for name, shelf in shelves.items()}
        found["letters"] = (on(archive.letters), self.outbox.row)
        return found | {"links": (on(archive.letters), self.outbox.link_row)}


def _again(make: Callable[[Life], Step], life: Life, missed: Sequence[Step]) -> Step | None:
    """Return the last step of a life when it is the very one that is taken now, by somebody who was not told of it."""
    if life.steps[-1:] != tuple(missed[-1:]) or not missed:
        return None
    try:
        step = make(replace(life, steps=life.steps[:-1]))
    except LamplighterError:
        return None
    last = life.steps[-1]
    return last if replace(step, at_ns=last.at_ns, until_ns=last.until_ns) == last else None
