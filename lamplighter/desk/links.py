"""Links: by which an owner answers without an account. Looking at one changes nothing, and each acts once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from lamplighter.desk.answers import check_unused, opt_out
from lamplighter.desk.holdings import Holdings
from pipeline.actor import Actor, Proof, Role
from pipeline.case.consent import Decision
from pipeline.case.life import State
from pipeline.case.request import Request
from pipeline.clip import Owner
from pipeline.errors import Conflict, NotFound
from pipeline.span import iso
from storage.catalog.outbox import LinkRow

# The same words for one that nobody made and one that is another's: they tell nobody which there are.
_NO_LINK: Final = "link: it is not one of yours; take the one in the last letter you got, whole and as it is there"


@dataclass(frozen=True, slots=True)
class Invited:
    """What a link lets somebody answer: the request, the owner, and as whom (`Desk.acting_as`).

    `revision`: how many answers they gave before; an answer by this link is to name it, so that the link acts once.
    `decision` is the last one, `closes_ns` when no answer is taken any more.
    """

    actor: Actor
    request: Request
    owner: str
    revision: int
    closes_ns: int | None
    decision: Decision | None


def by_link(holdings: Holdings, link: str) -> Invited:
    """Return whom a link lets answer what; see Desk.by_link."""
    row = _row(holdings, link)
    request = holdings.catalog.cases.request(row.request)
    if request is None or row.opt_out:
        raise NotFound(_NO_LINK)
    life, now_ns = holdings.catalog.cases.life(request), time.time_ns()
    decision = holdings.catalog.cases.decision(request.id, row.owner)
    check_unused(decision, row.revision)
    if life.state(now_ns) is State.CLOSED:
        raise Conflict(f"link: its request closed at {iso(life.closes_ns or 0)}; no answer is taken any more")
    if life.state(now_ns) is not State.SENT:
        raise NotFound(_NO_LINK)  # of a letter that never left
    return Invited(_theirs(row.owner), request, row.owner, row.revision, life.closes_ns, decision)


def opt_out_by_link(holdings: Holdings, link: str) -> Owner:
    """Let the owner of a link be asked nothing any more; see Desk.opt_out_by_link."""
    owner = _row(holdings, link).owner
    return opt_out(holdings.of(_theirs(owner)), owner, undo=False)


def _row(holdings: Holdings, link: str) -> LinkRow:
    row, actor = holdings.catalog.cases.outbox.link(link.strip().rstrip("/").rpartition("/")[2]), holdings.actor
    if row is None or (actor.role is Role.OWNER and actor.name != row.owner):
        raise NotFound(_NO_LINK)
    return row


def _theirs(owner: str) -> Actor:
    return Actor(Role.OWNER, owner, proof=Proof.LINK)
