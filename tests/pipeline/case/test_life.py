"""The life of a request: no way leads to the owners but by an officer, two reviewers and an operator, in this order."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_fixtures import START_NS, a_request
from pipeline.actor import Actor, Role
from pipeline.case.life import CHECKLIST, WHO, Act, Life, State, Step
from pipeline.errors import Conflict, NotAllowed
from pipeline.span import NS

NOON, DAY = START_NS, 86_400 * NS
ASKED = replace(a_request(), made_ns=NOON, officer="otto", nonce="ab" * 16)
OWN = replace(a_request(), made_ns=NOON, agency="olga", nonce="cd" * 16, own="olga")
OPEN_NS = 14 * DAY

# A name may come back in another role: who asks or approves under one name is one person.
NAMES = ("otto", "rita", "remy", "olga")


def actor(role: Role, name: str, agency: str = "town") -> Actor:
    return Actor(role, name, agency if role is Role.OFFICER else "")


@dataclass(frozen=True)
class Try:
    """Somebody tries to take a step."""

    act: Act
    who: Actor
    after_ns: int
    checked: tuple[str, ...]
    reasons: tuple[str, ...]

    def on(self, life: Life, at_ns: int) -> Step:
        until_ns = at_ns + OPEN_NS if self.act is Act.SEND else None
        return life.next(self.act, self.who, at_ns, reasons=self.reasons, checked=self.checked, until_ns=until_ns)


tries = st.builds(
    Try,
    st.sampled_from(Act),
    st.builds(actor, st.sampled_from(Role), st.sampled_from(NAMES), st.sampled_from(("town", "town", "county"))),
    st.sampled_from((0, 1, NS, DAY, OPEN_NS)),
    st.sampled_from((CHECKLIST, CHECKLIST, (), CHECKLIST[1:])),
    st.sampled_from(((), ("the area is larger than it needs",))),
)
# Half of them the right step by the right person, or a walk at random would hardly ever come as far as the sending.
RIGHT = (
    Try(Act.SUBMIT, actor(Role.OFFICER, "otto"), 0, (), ()),
    Try(Act.APPROVE, actor(Role.REVIEWER, "rita"), 1, CHECKLIST, ()),
    Try(Act.APPROVE, actor(Role.REVIEWER, "remy"), 1, CHECKLIST, ()),
    Try(Act.SEND, actor(Role.OPERATOR, "operator"), 1, (), ()),
)
walks = st.lists(st.one_of(tries, st.sampled_from(RIGHT)), max_size=25)


def lived(walk: list[Try], of: Life) -> tuple[Life, int]:
    """Take the steps that are not refused; return the life and when it is now."""
    life, now_ns, refused = of, NOON, list[tuple[Act, str]]()
    for one in walk:
        now_ns += one.after_ns
        try:
            life = replace(life, steps=(*life.steps, one.on(life, now_ns)))
        except (NotAllowed, Conflict) as error:
            refused.append((one.act, str(error)))
    # Each refusal names the step or the request.
    assert all(act in said or life.request.id in said for act, said in refused)
    return life, now_ns


@settings(max_examples=300)
@given(walks)
def test_nothing_is_sent_but_by_an_officer_two_reviewers_and_an_operator_in_this_order(walk: list[Try]) -> None:
    life, now_ns = lived(walk, Life(ASKED))
    steps = life.steps
    assert all(step.role in WHO[step.act] for step in steps)
    assert [step.act for step in steps].count(Act.SUBMIT) == min(1, len(steps))
    assert not steps or steps[0].act is Act.SUBMIT
    sent = [step for step in steps if step.act is Act.SEND]
    assert (life.state(now_ns) in {State.SENT, State.CLOSED}) == (len(sent) == 1)
    assert len(sent) <= 1
    if sent:
        before = steps[: sent[0].number - 1]
        approved = [step for step in before if step.act is Act.APPROVE]
        assert len({step.by for step in approved}) == len(approved) == 2
        assert all(step.role is Role.REVIEWER and set(step.checked) >= set(CHECKLIST) for step in approved)
        assert ASKED.officer not in {step.by for step in approved}
        assert not any(step.act is Act.SEND_BACK for step in steps)
    for step in steps:
        assert step.act is not Act.SEND_BACK or step.reasons


@settings(max_examples=100)
@given(walks)
def test_what_is_held_is_lifted_before_it_is_held_again(walk: list[Try]) -> None:
    life, _ = lived(walk, Life(ASKED))
    turns = [step.act for step in life.steps if step.act in {Act.HOLD, Act.LIFT}]
    assert turns == [Act.HOLD, Act.LIFT] * (len(turns) // 2) + [Act.HOLD] * (len(turns) % 2)
    assert life.held == (len(turns) % 2 == 1)


@settings(max_examples=100)
@given(walks, st.integers(-2, 2 * OPEN_NS))
def test_a_request_closes_by_the_clock_alone(walk: list[Try], later_ns: int) -> None:
    sent, now_ns = lived([*RIGHT], Life(ASKED))
    assert sent.closes_ns == now_ns + OPEN_NS
    life, _ = lived(walk, sent)
    at_ns = now_ns + later_ns
    assert life.state(at_ns) is (State.CLOSED if at_ns >= now_ns + OPEN_NS else State.SENT)
    assert life.closes_ns == sent.closes_ns


@settings(max_examples=100)
@given(walks)
def test_a_request_for_own_footage_is_submitted_by_its_owner_and_sent_to_nobody(walk: list[Try]) -> None:
    life, now_ns = lived(walk, Life(OWN))
    assert life.state(now_ns) is State.SUBMITTED
    assert all((step.role, step.by) == (Role.OWNER, "olga") for step in life.steps if step.act is Act.SUBMIT)
    assert {step.act for step in life.steps} <= {Act.SUBMIT, Act.HOLD, Act.LIFT}


@pytest.mark.parametrize("reviewers", [1, 2, 3, 5])
def test_it_takes_as_many_different_reviewers_as_are_set(reviewers: int) -> None:
    life = Life(ASKED, (RIGHT[0].on(Life(ASKED), NOON),), reviewers)
    for number in range(reviewers):
        assert life.state(NOON) is State.SUBMITTED
        with pytest.raises(Conflict, match="has to be approved"):
            RIGHT[3].on(life, NOON)
        step = Try(Act.APPROVE, actor(Role.REVIEWER, f"reviewer-{number}"), 0, CHECKLIST, ()).on(life, NOON)
        life = replace(life, steps=(*life.steps, step))
    assert life.state(NOON) is State.APPROVED


def test_a_reviewer_may_not_review_what_they_asked_for_in_another_role() -> None:
    life = Life(ASKED, (RIGHT[0].on(Life(ASKED), NOON),))
    for act in (Act.APPROVE, Act.SEND_BACK):
        with pytest.raises(NotAllowed, match=f"may not {act} it too"):
            Try(act, actor(Role.REVIEWER, "otto"), 0, CHECKLIST, ("no",)).on(life, NOON)


def test_a_request_cannot_close_before_it_is_sent() -> None:
    with pytest.raises(ValueError, match="after its sending"):
        Step(ASKED.id, 4, Act.SEND, Role.OPERATOR, "operator", NOON, until_ns=NOON)


def test_a_missing_step_is_no_life() -> None:
    first = RIGHT[0].on(Life(ASKED), NOON)
    with pytest.raises(ValueError, match="numbered 1 to 2"):
        Life(ASKED, (first, replace(first, number=3)))


@settings(max_examples=100)
@given(walks, st.booleans())
def test_a_life_in_which_each_step_followed_is_not_wrong(walk: list[Try], own: bool) -> None:
    life, _ = lived(walk, Life(OWN if own else ASKED))
    assert not life.wrong


@pytest.mark.parametrize("kept", [[0, 3], [0, 1, 1, 3], [0, 1], [1, 0], [3]])
def test_a_step_that_could_not_follow_is_named(kept: list[int]) -> None:
    """Somebody put a sending, or a second approval by the first reviewer, into the bucket by hand."""
    steps = lived([*RIGHT], Life(ASKED))[0].steps
    forged = Life(ASKED, tuple(replace(steps[at], number=number) for number, at in enumerate(kept, 1)))
    could = kept == [0, 1]
    assert bool(forged.wrong) != could
    assert could or forged.wrong.startswith("step ")


def test_nobody_approves_their_own_request_under_another_role_nor_sends_one_that_was_sent_back() -> None:
    submitted, approved, _, sent = lived([*RIGHT], Life(ASKED))[0].steps
    assert Life(ASKED, (submitted, replace(approved, by="otto"), replace(sent, number=3))).wrong
    back = replace(approved, number=3, by="remy", act=Act.SEND_BACK, reasons=("no",), checked=())
    assert not Life(ASKED, (submitted, approved, back)).wrong
    assert Life(ASKED, (submitted, approved, back, sent)).wrong
