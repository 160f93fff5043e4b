"""A call of every operation of the docket (drafts, orders, usage, accounts, rounds), to ask who may do it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lamplighter.desk.desk import Desk
from pipeline.case.draft import Typed
from pipeline.case.order import Basis, Order
from pipeline.case.request import Request
from pipeline.case.usage import Use


@dataclass(frozen=True)
class Stage:
    """What there is when a role goes through these operations: all that it may do can be done."""

    sent: Request
    back: Request
    released: str
    orders: tuple[Order, ...]


def emergency(desk: Desk, request: Request) -> Order:
    return desk.enter_order(
        request, Basis.EMERGENCY, authority="a child is missing", cameras=["ask-1"], span=request.span
    )


CALLS: dict[str, Callable[[Desk, Stage], Any]] = {
    "save_draft": lambda desk, _: desk.save_draft(Typed(note="a draft")),
    "drafts": lambda desk, _: desk.drafts(),
    "draft": lambda desk, _: desk.draft(desk.save_draft(Typed()).id),
    "redraft": lambda desk, on: desk.redraft(on.back),
    "drop_draft": lambda desk, _: desk.drop_draft(desk.save_draft(Typed()).id),
    "check_draft": lambda desk, _: desk.check_draft(Typed(note="a draft")),
    "submit_draft": lambda desk, on: desk.submit_draft(desk.redraft(on.back).id),
    "enter_order": lambda desk, on: emergency(desk, on.sent),
    "approve_order": lambda desk, on: desk.approve_order(on.sent, on.orders[0].id, call_back="called back"),
    "withdraw_order": lambda desk, on: desk.withdraw_order(on.sent, on.orders[1].id),
    "orders": lambda desk, on: desk.orders(on.sent),
    "tell_usage": lambda desk, on: desk.tell_usage(on.sent, on.released, Use.USED),
    "usages": lambda desk, on: desk.usages(on.sent.id),
    "account": lambda desk, _: desk.account("piet"),
    "plans": lambda desk, _: desk.plans("piet"),
    "set_plan": lambda desk, _: desk.set_plan("piet", 30),
    "keeping": lambda desk, _: desk.keeping("piet"),
    "look_ahead": lambda desk, _: desk.look_ahead("piet"),
    "expire": lambda desk, _: desk.expire(),
    "forget": lambda desk, _: desk.forget(camera="ask-1", reason="asked for", dry_run=True),
    "rounds": lambda desk, _: desk.rounds(),
}
"""A call of every operation of the docket that does something, by its name."""
