"""Legal orders and emergencies: entered by one person, approved by another, and the owners told."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from lamplighter.desk.cases import request as request_of
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.people import check_another
from pipeline.actor import Role
from pipeline.case.letter import Kind, Letter
from pipeline.case.order import Basis, Order
from pipeline.case.request import Request
from pipeline.errors import ConfigError, Conflict, NotAllowed, NotFound, RequestRefused
from pipeline.span import Span, iso
from storage.catalog.audit import Line


def enter(
    holdings: Holdings,
    request: Request,
    basis: Basis,
    *,
    authority: str,
    cameras: Sequence[str],
    span: Span,
    file: Path | None,
    untold_until_ns: int | None,
    uncovered: bool,
) -> Order:
    """Enter an order for a request; see Desk.enter_order."""
    asked, actor, now_ns = request_of(holdings, request.id), holdings.actor, time.time_ns()
    if actor.role is Role.OFFICER and basis is not Basis.EMERGENCY:
        raise NotAllowed(f"{actor} may not enter a {basis}; legal has to. An officer may enter an emergency alone")
    if asked.own:
        raise Conflict(f"request {asked.id} is an owner's for their own footage; an order is entered for an agency's")
    if span.end_ns > now_ns:
        raise RequestRefused("order", f"{span} ends in the future: there is no live view; enter it when it has passed")
    if untold_until_ns is not None and untold_until_ns <= now_ns:
        raise RequestRefused("order", "the time until which the owner is not to be told has passed; leave it out")
    order = Order(
        *("o" + secrets.token_hex(16), asked.id, basis, authority.strip(), tuple(cameras), span, actor.name, now_ns),
        file_sha256="" if file is None else _sha256(file),
        untold_until_ns=untold_until_ns,
        uncovered=uncovered,
    )
    if basis is Basis.EMERGENCY and span & asked.span != span:
        raise RequestRefused(
            "order",
            f"an emergency is for the time of its request, {asked.span}, got {span}; ask for that time too",
        )
    if actor.role is not Role.OFFICER:  # who is told nothing of cameras; whoever approves it is
        _check_cameras(holdings, asked, order)

    def make(before: Order | None) -> Order:
        if before is not None:
            raise Conflict(f"another order is called {order.id} already; enter it again")
        return order

    return holdings.catalog.cases.put_order(asked.id, order.id, make, log=lambda now: _line(holdings, "entered", now))


def approve(holdings: Holdings, request: Request, name: str, *, call_back: str) -> Order:
    """Approve an order as another person than who entered it; see Desk.approve_order."""
    asked, actor, now_ns = request_of(holdings, request.id), holdings.actor, time.time_ns()
    known = _order(holdings, asked, name)
    known.approved(actor, now_ns, call_back=call_back)  # who may not approve it is told that first
    check_another(holdings, [known.entered_by], f"entered order {known.id}")
    owners = _check_cameras(holdings, asked, known)

    def letters(order: Order) -> Iterable[Letter]:
        for owner in owners:
            due_ns = max(now_ns, order.untold_until_ns or 0)
            yield Letter(asked.id, owner, Kind.ORDERED, due_ns, about=order.id)

    def make(before: Order | None) -> Order:
        return (before or known).approved(actor, now_ns, call_back=call_back)

    def log(now: Order) -> Line:
        return _line(holdings, "approved", now, f", checked: {now.call_back}")

    return holdings.catalog.cases.put_order(asked.id, name, make, letters=letters, log=log)


def withdraw(holdings: Holdings, request: Request, name: str) -> Order:
    """Withdraw an order; see Desk.withdraw_order."""
    asked, now_ns = request_of(holdings, request.id), time.time_ns()
    known = _order(holdings, asked, name)

    def make(before: Order | None) -> Order:
        return (before or known).withdrawn(holdings.actor, now_ns)

    return holdings.catalog.cases.put_order(asked.id, name, make, log=lambda now: _line(holdings, "withdrawn", now))


def orders(holdings: Holdings, request: Request) -> list[Order]:
    """Return the orders that were entered for a request, the oldest first."""
    asked = request_of(holdings, request.id)
    return sorted(holdings.catalog.cases.orders(asked.id), key=lambda one: (one.entered_ns, one.id))


def _order(holdings: Holdings, request: Request, name: str) -> Order:
    found = next((one for one in holdings.catalog.cases.orders(request.id) if one.id == name), None)
    if found is None:
        raise NotFound(f"there is no order {name!r} for request {request.id}; `lamplighter order list` names them")
    return found


def _check_cameras(holdings: Holdings, request: Request, order: Order) -> list[str]:
    """Return whose its cameras are. Raises NotFound for one nobody knows, RequestRefused for one it may not name."""
    known = {name: holdings.catalog.camera(name) for name in order.cameras}
    if missing := [name for name, camera in known.items() if camera is None]:
        raise NotFound(f"the order names cameras that there are not: {', '.join(missing)}; enter it anew")
    cameras = [camera for camera in known.values() if camera is not None]
    # A court names what it wants wherever it is; of danger to life the people here are the judges, within its request.
    outside = [camera.id for camera in cameras if not request.area.covers(camera)]
    if order.basis is Basis.EMERGENCY and outside:
        raise RequestRefused(
            "order", f"an emergency is for the area of its request, and these are outside: {', '.join(outside)}"
        )
    return sorted({camera.owner for camera in cameras})


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            if not stream.read(1):
                raise ConfigError(f"{file}: wanted the order's file, got an empty one")
            stream.seek(0)
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{file}: the order's file cannot be read: {error.strerror}") from error


def _line(holdings: Holdings, what: str, order: Order, more: str = "") -> Line:
    file = f", file sha256 {order.file_sha256}" if order.file_sha256 else ""
    uncovered = ", private zones uncovered" if order.uncovered else ""
    untold = "" if order.untold_until_ns is None else f", untold until {iso(order.untold_until_ns)}"
    told = f"order {order.id}: {order.basis}, cameras {' '.join(order.cameras)}, {order.span}"
    return holdings.line(f"order {what}", order.request, f"{told}{uncovered}{untold}{file}{more}")
