"""An owner's account: all that was ever asked of them and by whom, what they said, what left, and who looked."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lamplighter.desk.cases import check_own
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.register import check_owner
from pipeline.case.consent import Decision, Standing
from pipeline.case.delivery import Delivery
from pipeline.case.letter import Kind, Letter
from pipeline.case.life import State
from pipeline.case.order import Order
from pipeline.case.request import Request
from pipeline.case.usage import Usage
from pipeline.clip import Camera, Owner, Sharing
from storage.archive import Look


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
    """All that an owner may know of their own footage; the last first."""

    owner: Owner
    cameras: tuple[Camera, ...]
    asked: tuple[Asked, ...]
    looks: tuple[Look, ...]

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
    catalog, now_ns = holdings.catalog, time.time_ns()
    cameras = tuple(camera for camera in catalog.cameras() if camera.owner == owner)
    mine = {camera.id for camera in cameras}
    letters = [one for one in catalog.cases.letters(owner=owner) if one.due_ns <= now_ns]
    decisions = catalog.cases.decisions_of(owner)
    orders = [one for one in catalog.cases.orders() if one.approved_ns is not None and mine & set(one.cameras)]
    concerned = {letter.request for letter in letters} | set(decisions) | {one.request for one in orders}
    asked = []
    for request in catalog.cases.requests():
        # An earlier version wrote to nobody: of its requests what left is all there is to find.
        if request.id in concerned or request.own == owner or request.of_earlier_version:
            here = [one for one in orders if one.request == request.id]
            found = _asked(holdings, request, mine, letters=letters, orders=here, decision=decisions.get(request.id))
            if found.asked_ns or found.decision or found.left or found.orders or request.own == owner:
                asked.append(found)
    looks = [look for camera in cameras for look in holdings.archive.looks.all(f"{camera.id}/")]
    return Account(
        catalog.owner(owner) or Owner(owner),
        cameras,
        tuple(sorted(asked, key=lambda one: one.request.made_ns, reverse=True)),
        tuple(sorted(looks, key=lambda look: look.at_ns, reverse=True)),
    )


def _asked(
    holdings: Holdings,
    request: Request,
    mine: set[str],
    *,
    letters: Iterable[Letter],
    orders: Sequence[Order],
    decision: Decision | None,
) -> Asked:
    cases, now_ns = holdings.catalog.cases, time.time_ns()
    life = replace(cases.life(request), reviewers=holdings.settings.case.reviewers)
    agency = cases.agency(request.agency) if not request.own else None
    here = [letter for letter in letters if letter.request == request.id]
    told = tuple(one for one in orders if one.untold_until_ns is None or one.untold_until_ns <= now_ns)
    usage = cases.usage(request.id)
    left = [
        Left(one, usage.get(one.record.name))
        for one in sorted(cases.deliveries(request.id), key=lambda one: (one.record.released_ns, one.record.asked))
        if _camera(holdings, one) in mine and _known(one, told)
    ]
    return Asked(
        request,
        agency.name if agency else request.agency,
        agency.retention_days if agency else None,
        life.state(now_ns),
        next((letter.due_ns for letter in here if letter.kind is Kind.ASK), None),
        life.closes_ns,
        decision,
        tuple(sorted(letter.due_ns for letter in here if letter.kind is Kind.ANSWERED)),
        tuple(left),
        told,
    )


def _known(delivery: Delivery, told: Sequence[Order]) -> bool:
    """Tell whether the owner may know of what was released: not of what an order took that forbids to tell them yet."""
    if delivery.word != Standing.ORDERED.value:
        return True
    asked = delivery.record.asked
    return any(delivery.camera in one.cameras and one.span & asked == asked for one in told)


def _camera(holdings: Holdings, delivery: Delivery) -> str:
    """Return whose camera it was; earlier versions noted the clip alone."""
    if delivery.camera or (found := holdings.catalog.clip(delivery.clip)) is None:
        return delivery.camera
    return found.clip.camera
