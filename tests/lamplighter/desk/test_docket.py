"""Who may do what of drafts, orders, usage, accounts and rounds: each operation times every role."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fleet_fixtures import Films, a_request, answer, as_owner, ask, change, put_film, submit
from lamplighter.desk.desk import Desk
from lamplighter.desk.roles import MAY
from pipeline.actor import Role
from pipeline.case.draft import Typed
from pipeline.case.order import Basis, Order
from pipeline.case.request import Request
from pipeline.case.usage import Use
from pipeline.errors import NotAllowed

NAMES = {
    Role.OFFICER: "otto",
    Role.REVIEWER: "rita",
    Role.LEGAL: "linus",
    Role.AUDITOR: "ada",
    Role.OWNER: "piet",
    Role.OPERATOR: "opal",
}


@dataclass(frozen=True)
class Stage:
    """What there is when a role goes through these operations: all that it may do can be done."""

    sent: Request
    back: Request
    released: str
    orders: tuple[Order, ...]


@pytest.fixture
def stage(desk: Desk, films: Films, tmp_path: Path) -> Stage:
    """A request with a released clip, one that was sent back, and orders that legal's other person entered."""
    put_film(films.moving, tmp_path / "in", "ask-1")
    desk.ingest([str(tmp_path / "in")])
    change(desk, request=desk.settings.request.model_copy(update={"max_per_incident": 100}))
    sent, back = ask(desk, a_request()), submit(desk, a_request())
    desk.acting_for("rita").review(back, approve=False, reasons=["which doors?"])
    answer(desk, sent, "piet", share=None)
    desk.deliver(sent)
    (released,) = desk._holdings.catalog.cases.deliveries(sent.id)
    desk.add_person("opal", Role.OPERATOR)
    orders = tuple(emergency(desk.acting_for("lena"), sent) for _ in range(2))
    return Stage(sent, back, released.record.name, orders)


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
    "submit_draft": lambda desk, on: desk.submit_draft(desk.redraft(on.back).id),
    "enter_order": lambda desk, on: emergency(desk, on.sent),
    "approve_order": lambda desk, on: desk.approve_order(on.sent, on.orders[0].id, call_back="called back"),
    "withdraw_order": lambda desk, on: desk.withdraw_order(on.sent, on.orders[1].id),
    "orders": lambda desk, on: desk.orders(on.sent),
    "tell_usage": lambda desk, on: desk.tell_usage(on.sent, on.released, Use.USED),
    "account": lambda desk, _: desk.account("piet"),
    "rounds": lambda desk, _: desk.rounds(),
}
"""A call of every operation of the docket that does something, by its name."""


@pytest.mark.parametrize("role", Role)
def test_a_role_does_what_the_table_says_and_nothing_else(desk: Desk, stage: Stage, role: Role) -> None:
    mine = as_owner(desk, "piet") if role is Role.OWNER else desk.acting_for(NAMES[role])
    for name, call in CALLS.items():
        if role in MAY[name]:
            call(mine, stage)
            continue
        before = desk.verify_log()
        with pytest.raises(NotAllowed, match=str(mine.actor)) as caught:
            call(mine, stage)
        assert all(who in str(caught.value) for who in MAY[name]), "it says who could"
        assert desk.verify_log() == before, "nothing was done"
