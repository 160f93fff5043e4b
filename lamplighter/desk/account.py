"""An owner's account: all that was ever asked of them and by whom, what they said, what left, and who looked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lamplighter.desk.cases import check_own, life_of
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.register import check_owner
from lamplighter.desk.retention import Keeping, keeping, look_ahead
from pipeline.case.consent import Decision, Standing
from pipeline.case.delivery import Delivery
from pipeline.case.letter import Kind, Letter
from pipeline.case.life import State
from pipeline.case.look import Look
from pipeline.case.order import Order
from pipeline.case.request import Request
from pipeline.case.usage import Usage
from pipeline.clip import Camera, Owner, Sharing
from pipeline.retention import Due

AHEAD_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class Left:
    """A clip of the owner's that was released, and what its agency says became of it, None while it says nothing."""

    delivery: Delivery
    usage: Usage | None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that concerned the owner.

    agency: what who asks is called; retention_days: how long it says it keeps what it is given, None if nobody knows.
    asked_ns: when they were asked, None for who was not. answered: when they answered, the first time first. orders:
    those for cameras of theirs that they may know of.
    """

    request: Request
    agency: str
    retention_days: int | None
    state: State
    asked_ns: int | None
    closes_ns: int | None
    decision: Decision | None
    answered: tuple[int, ...]
    left: tuple[Left, ...]
    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """All that an owner may know of their own footage; the last first.

    keeping: how long it is kept. expires: what of it expires by its plan within `AHEAD_DAYS`, by camera and day.
    """

    owner: Owner
    cameras: tuple[Camera, ...]
    asked: tuple[Asked, ...]
    looks: tuple[Look, ...]
    keeping: Keeping
    expires: tuple[Due, ...]

    @property
    def open(self) -> tuple[Asked, ...]:
        """The requests they may still answer."""
        return tuple(one for one in self.asked if one.state is State.SENT and one.asked_ns is not None)

    @property
    def expiring(self) -> tuple[Camera, ...]:
        """The cameras that always share, the one first whose "always" runs out first."""
        always = [camera for camera in self.cameras if camera.sharing is Sharing.ALWAYS]
        return tuple(sorted(always, key=lambda camera: camera.always_until_ns or 0))


def account(holdings: Holdings, owner: str) -> Account:
    """Return an owner's account; see Desk.account."""
    check_own(holdings, owner)
    check_owner(holdings, owner)
    catalog = holdings.catalog
    return Account(
        catalog.owner(owner) or Owner(owner),
        of_owner(holdings, owner),
        asked_of_owner(holdings, owner),
        tuple(sorted(holdings.archive.looks.all(f"{owner}/"), key=lambda look: look.at_ns, reverse=True)),
        keeping=keeping(holdings, owner)[0],
        expires=tuple(look_ahead(holdings, owner, days=AHEAD_DAYS)),
    )


def of_owner(holdings: Holdings, owner: str) -> tuple[Camera, ...]:
    """Return an owner's cameras, in order of id."""
    return tuple(holdings.catalog.cameras(owner=owner))


def asked_of_owner(holdings: Holdings, owner: str, *, only: str = "") -> tuple[Asked, ...]:
    """Return the requests that concerned an owner, the last first; the one with the id `only`, if it did."""
    cases, now_ns = holdings.catalog.cases, time.time_ns()
    # One that may not be sent yet is of an order that forbids to tell them.
    letters = [one for one in cases.letters(owner=owner) if one.due_ns <= now_ns]
    concerned = {letter.request for letter in letters}
    one = cases.request(only) if only else None
    requests = cases.requests() if not only else [one] if one else []
    asked = []
    for request in requests:
        # An earlier version wrote to nobody: of its requests what was said and what left is all there is to find.
        if request.id in concerned or request.own == owner or request.of_earlier_version:
            here = [letter for letter in letters if letter.request == request.id]
            found = _asked(holdings, request, owner, letters=here)
            if here or found.decision or found.left or request.own == owner:
                asked.append(found)
    return tuple(sorted(asked, key=lambda one: one.request.made_ns, reverse=True))


def _asked(holdings: Holdings, request: Request, owner: str, *, letters: Sequence[Letter]) -> Asked:
    cases = holdings.catalog.cases
    life = life_of(holdings, request)
    agency = cases.agency(request.agency) if not request.own else None
    told = {letter.about for letter in letters if letter.kind is Kind.ORDERED}
    orders = tuple(order for order in cases.orders(request.id) if order.id in told) if told else ()
    usage = cases.usage(request.id)
    left = [
        Left(one, usage.get(one.record.name))
        for one in sorted(cases.deliveries(request.id), key=lambda one: (one.record.released_ns, one.record.asked))
        if _owner(holdings, one) == owner and _known(one, orders)
    ]
    return Asked(
        request,
        agency.name if agency else request.agency,
        agency.retention_days if agency else None,
        life.state(time.time_ns()),
        next((letter.due_ns for letter in letters if letter.kind is Kind.ASK), None),
        life.closes_ns,
        cases.decisions(request.id).get(owner),
        tuple(sorted(letter.due_ns for letter in letters if letter.kind is Kind.ANSWERED)),
        tuple(left),
        orders,
    )


def _known(delivery: Delivery, told: Sequence[Order]) -> bool:
    """Tell whether the owner may know of what was released: not of what an order took that forbids to tell them yet."""
    if delivery.word != Standing.ORDERED.value:
        return True
    asked = delivery.record.asked
    return any(delivery.camera in one.cameras and one.span & asked == asked for one in told)


def _owner(holdings: Holdings, delivery: Delivery) -> str:
    """Return whose footage it was when it was released; of an earlier version's, whose camera it is now."""
    if delivery.owner or (found := holdings.catalog.clip(delivery.clip)) is None:
        return delivery.owner
    camera = holdings.catalog.camera(found.clip.camera)
    return "" if camera is None else camera.owner
