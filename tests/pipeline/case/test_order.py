"""An order lets something out once two persons stand behind it, and until one of them takes it back."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.actor import Actor, Role
from pipeline.case.order import Basis, Order
from pipeline.errors import Conflict, NotAllowed, RequestRefused
from pipeline.span import NS, Span, parse_iso

NOON = parse_iso("2026-03-01T12:00:00Z")
ORDER = Order(
    *("o-1", "r-1", Basis.COURT, "district court 7", ("cam-1",), Span(NOON, NOON + 60 * NS), "linus", NOON, "ab" * 32)
)
EMERGENCY = replace(ORDER, basis=Basis.EMERGENCY, file_sha256="")

actors = st.builds(
    lambda role, name: Actor(role, name, "town" if role is Role.OFFICER else ""),
    st.sampled_from(Role),
    st.sampled_from(("linus", "lena", "rita")),
)
acts = st.tuples(st.sampled_from(("approve", "withdraw")), actors, st.sampled_from(("", " ", "by telephone")))


@settings(max_examples=200)
@given(st.sampled_from((ORDER, EMERGENCY)), st.lists(acts, max_size=12))
def test_two_persons_of_the_right_role_stand_behind_an_order_in_force(
    order: Order, walk: list[tuple[str, Actor, str]]
) -> None:
    done, refused = list[tuple[str, Actor]](), list[str]()
    for act, who, call_back in walk:
        try:
            if act == "approve":
                order = order.approved(who, NOON + 1, call_back=call_back)
            else:
                order = order.withdrawn(who, NOON + 2)
        except (NotAllowed, Conflict) as error:
            refused.append(str(error))
        else:
            done.append((act, who))
    assert all("order" in said for said in refused)
    assert all(who.role in {Role.LEGAL, Role.REVIEWER} for _, who in done)
    assert order.in_force == ([act for act, _ in done] == ["approve"])
    if order.in_force:
        assert order.approved_by not in {"", order.entered_by}
        assert order.call_back == "by telephone"
    assert [act for act, _ in done] in ([], ["approve"], ["withdraw"], ["approve", "withdraw"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"cameras": ()},
        {"cameras": ("../x",)},
        {"authority": " x "},
        {"file_sha256": ""},
        {"file_sha256": "AB" * 32},
        {"approved_by": "linus", "approved_ns": NOON},
        {"approved_by": "lena"},
        {"withdrawn_by": "lena"},
        {"basis": Basis.EMERGENCY, "untold_until_ns": NOON},
    ],
    ids=str,
)
def test_an_order_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(RequestRefused, match=r"^order"):
        replace(ORDER, **wrong)  # type: ignore[arg-type]
