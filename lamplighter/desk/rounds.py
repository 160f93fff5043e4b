"""One round of what falls due by itself: requests are sent, what may leave is cut and released, the rest expires."""

from __future__ import annotations

import time
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass

from lamplighter.desk import dispatch, posts
from lamplighter.desk.cases import life_of
from lamplighter.desk.delivery import deliver
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.lives import send
from lamplighter.desk.logs import seal_all
from lamplighter.desk.release_list import can_complete
from lamplighter.desk.retention import expire
from lamplighter.desk.tally import Tally, nobody
from pipeline.case.life import Life, State
from pipeline.case.request import Request
from pipeline.errors import Conflict, DamagedDocument
from pipeline.span import NS


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did: the requests it sent, those it looked after with what came of each, and those it could not.

    What came of a request is the tally of its delivery; its results are all that was released for it, now or before.
    released: how many clips were released in this round, expired: how many were removed.
    """

    sent: tuple[str, ...]
    delivered: tuple[tuple[str, Tally], ...]
    released: int
    failed: tuple[tuple[str, str], ...]
    expired: int = 0


_EXPIRY = "retention"  # beside the ids of requests, none of which is called so
_HOUR_NS = 3600 * NS


def go_round(holdings: Holdings, done: MutableMapping[str, int]) -> Round:
    """Send what is approved, release what is due, and remove posts and incidents past their time; see Desk.rounds."""
    start_ns, sent, delivered, released = time.time_ns(), [], [], 0
    keyed = can_complete(holdings)
    failed: list[tuple[str, str]] = []
    for request, life in _lives(holdings, failed):
        if request.own or life.held or life.state(time.time_ns()) is not State.APPROVED:
            continue
        try:
            send(holdings, request)
            sent.append(request.id)
        except (Conflict, DamagedDocument) as error:  # somebody else sent it, or holds it now
            failed.append((request.id, str(error)))
    for request, life in _lives(holdings, failed):
        orders = sum(one.in_force for one in holdings.catalog.cases.orders(request.id))
        lives = request.own or orders or life.state(time.time_ns()) in {State.SENT, State.CLOSED}
        nothing_due = done.get(request.id) in ({orders} if keyed else {orders, ~orders})
        if life.held or nothing_due or not (lives or _waits(holdings, request)):
            continue
        before = len(holdings.catalog.cases.deliveries(request.id))
        try:
            tally = deliver(holdings, request, saw=nobody)
        except (Conflict, DamagedDocument) as error:
            failed.append((request.id, str(error)))
            continue
        delivered.append((request.id, tally))
        released += len(holdings.catalog.cases.deliveries(request.id)) - before
        if _finished(holdings, request, life, tally):
            # Of a list that lacks a key's work it is remembered, for the round in which this machine has a key.
            done[request.id] = ~orders if tally.lacks else orders
    posts.sweep(holdings)
    dispatch.sweep(holdings)
    expired = _expire(holdings, done, failed)
    seal_all(holdings, start_ns)
    return Round(tuple(sent), tuple(delivered), released, tuple(failed), expired)


def _expire(holdings: Holdings, done: MutableMapping[str, int], failed: list[tuple[str, str]]) -> int:
    """Remove what is past its time, once an hour: each time all cameras are looked through."""
    hour = time.time_ns() // _HOUR_NS
    if done.get(_EXPIRY) == hour:
        return 0
    try:
        swept = expire(holdings)
    except (Conflict, DamagedDocument) as error:  # a hold that cannot be read keeps all: nothing is removed
        failed.append((_EXPIRY, str(error)))
        return 0
    done[_EXPIRY] = hour
    return swept.clips


def _lives(holdings: Holdings, failed: list[tuple[str, str]]) -> Iterator[tuple[Request, Life]]:
    """Yield the requests with their lives; one whose steps cannot be believed has `failed`, and costs no other."""
    for request in holdings.catalog.cases.requests():
        try:
            life = life_of(holdings, request)
        except DamagedDocument as error:
            if (told := (request.id, str(error))) not in failed:
                failed.append(told)
            continue
        yield request, life


def _finished(holdings: Holdings, request: Request, life: Life, tally: Tally) -> bool:
    """Tell whether nothing can fall due for a request any more: no answer comes, and nothing waits."""
    if not request.own:
        tick_ns = holdings.settings.case.tick_ns(time.time_ns())
        if life.closes_ns is None or tick_ns < life.closes_ns:
            return False
    return not tally.aside and not _waits(holdings, request)


def _waits(holdings: Holdings, request: Request) -> bool:
    """Tell whether anything is cut aside: of an order that was withdrawn it has to go, whatever became of the rest."""
    return next(holdings.archive.prepared.names(f"{request.id}/"), None) is not None
