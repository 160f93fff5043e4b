"""Who may do what of drafts, orders, usage, accounts and rounds: each operation times every role."""

from pathlib import Path

import pytest

from docket_calls import CALLS, Stage, emergency
from fleet_fixtures import Films, a_request, answer, as_owner, ask, change, put_film, submit
from lamplighter.desk.desk import Desk
from lamplighter.desk.roles import MAY
from logged import whole
from pipeline.actor import Role
from pipeline.errors import NotAllowed

NAMES = {
    Role.OFFICER: "otto",
    Role.REVIEWER: "rita",
    Role.LEGAL: "linus",
    Role.AUDITOR: "ada",
    Role.OWNER: "piet",
    Role.OPERATOR: "opal",
}


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


@pytest.mark.parametrize("role", Role)
def test_a_role_does_what_the_table_says_and_nothing_else(desk: Desk, stage: Stage, role: Role) -> None:
    mine = as_owner(desk, "piet") if role is Role.OWNER else desk.acting_for(NAMES[role])
    for name, call in CALLS.items():
        if role in MAY[name]:
            call(mine, stage)
            continue
        before = whole(desk)
        with pytest.raises(NotAllowed, match=str(mine.actor)) as caught:
            call(mine, stage)
        assert all(who in str(caught.value) for who in MAY[name]), "it says who could"
        assert whole(desk) == before, "nothing was done"
