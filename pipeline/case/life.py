"""The life of a request, as a pure state machine: which step follows which, who may take it, and what state it is in.

draft -> submitted -> sent back | approved -> sent -> closed. A request closes by the clock alone, at an instant that
is fixed when it is sent: nobody's answer, and no lack of one, moves it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from pipeline.actor import Actor, Role
from pipeline.case.request import Request
from pipeline.clip import check_id
from pipeline.errors import Conflict, NotAllowed
from pipeline.span import iso


class State(StrEnum):
    """How far a request has come."""

    SUBMITTED = "submitted"
    SENT_BACK = "sent back"
    APPROVED = "approved"
    SENT = "sent"
    CLOSED = "closed"


class Act(StrEnum):
    """What somebody does to a request."""

    SUBMIT = "submit"
    SEND_BACK = "send back"
    APPROVE = "approve"
    SEND = "send"
    HOLD = "hold"
    LIFT = "lift"
    RESOLVE = "resolve"


DONE: Final = {
    Act.SUBMIT: "submitted", Act.SEND_BACK: "sent back", Act.APPROVE: "approved", Act.SEND: "sent", Act.HOLD: "held",
    Act.LIFT: "no longer held", Act.RESOLVE: "resolved",
}  # fmt: skip
"""What the log calls a request after a step."""

WHO: Final = {
    Act.SUBMIT: frozenset({Role.OFFICER}),
    Act.SEND_BACK: frozenset({Role.REVIEWER}),
    Act.APPROVE: frozenset({Role.REVIEWER}),
    Act.SEND: frozenset({Role.OPERATOR}),
    Act.HOLD: frozenset({Role.REVIEWER, Role.LEGAL}),
    Act.LIFT: frozenset({Role.REVIEWER, Role.LEGAL}),
    Act.RESOLVE: frozenset({Role.OFFICER}),
}
"""Which roles may take a step; an owner who asks for their own footage submits it too."""

CLOSES: Final = "closes "
"""What the log says of a sending begins with; the instant follows."""

CHECKLIST: Final = ("incident", "area", "span", "purpose", "text", "incidents")
"""What a reviewer says they looked at: is it an incident that happened, are area and span no larger than it needs, is
the purpose allowed, does the text name nobody, and were the agency's other requests for the place looked at."""


def _wrong_in(reason: str) -> str:
    """Return what is wrong with a reason, empty for one that its agency can read."""
    if not reason.strip() or len(reason) > 500:
        return f"a reason has 1 to 500 characters, got {len(reason.strip())}"
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in reason):
        return f"a reason is one line of plain text, got {reason!r}"
    return ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step in the life of a request: what was done, by whom, when.

    `number` counts from 1. `by` is who: a person's id. `reasons` are what the agency is told of a request that is sent
    back; `checked` is what a reviewer looked at (see CHECKLIST). `until_ns`: of the sending, when the request closes.
    Raises ValueError for a step that cannot be.
    """

    request: str
    number: int
    act: Act
    role: Role
    by: str
    at_ns: int
    reasons: tuple[str, ...] = ()
    checked: tuple[str, ...] = ()
    until_ns: int | None = None

    def __post_init__(self) -> None:
        check_id("request", self.request)
        object.__setattr__(self, "act", Act(self.act))
        object.__setattr__(self, "role", Role(self.role))
        object.__setattr__(self, "reasons", tuple(self.reasons))
        object.__setattr__(self, "checked", tuple(self.checked))
        if self.number < 1 or not self.by:
            raise ValueError(f"a step is numbered from 1 and somebody's, got {self}")
        if wrong := next(filter(None, map(_wrong_in, self.reasons)), ""):
            raise ValueError(wrong)
        if (self.until_ns is not None) != (self.act is Act.SEND) or (self.until_ns or self.at_ns + 1) <= self.at_ns:
            raise ValueError(f"a request closes at an instant after its sending, which fixes it, got {self}")

    @property
    def told(self) -> str:
        """What the log says of it besides; of the sending when the request closes."""
        if self.until_ns is not None:
            return f"{CLOSES}{iso(self.until_ns)}"
        return "; ".join(self.reasons) or ", ".join(self.checked)


@dataclass(frozen=True, slots=True)
class Life:
    """The steps of one request in order, and what follows from them.

    reviewers: how many different persons have to approve. Raises ValueError when a step is missing or out of order.
    """

    request: Request
    steps: tuple[Step, ...] = ()
    reviewers: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(sorted(self.steps, key=lambda step: step.number)))
        if [step.number for step in self.steps] != list(range(1, len(self.steps) + 1)):
            raise ValueError(f"the steps of request {self.request.id} are numbered 1 to {len(self.steps)}, got others")

    @property
    def approved_by(self) -> frozenset[str]:
        """Who approved it."""
        return frozenset(step.by for step in self._of(Act.APPROVE))

    @property
    def sent_ns(self) -> int | None:
        """When it was sent to the owners, None for one that was not."""
        if self.request.of_earlier_version:
            return self.request.made_ns
        return next((step.at_ns for step in self._of(Act.SEND)), None)

    @property
    def closes_ns(self) -> int | None:
        """When it closes, None before it is sent and for one of an earlier version, which never does."""
        return next((step.until_ns for step in self._of(Act.SEND)), None)

    @property
    def held(self) -> bool:
        """Whether somebody holds it: nothing is released until that is lifted."""
        last = next((step.act for step in reversed(self.steps) if step.act in {Act.HOLD, Act.LIFT}), Act.LIFT)
        return last is Act.HOLD

    @property
    def lifted_ns(self) -> int | None:
        """When it was held no longer, None when it never was."""
        return next((step.at_ns for step in reversed(self.steps) if step.act is Act.LIFT), None)

    @property
    def resolved_ns(self) -> int | None:
        """When its agency said that the matter is resolved, None when it did not."""
        return next((step.at_ns for step in self._of(Act.RESOLVE)), None)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it was sent back."""
        return next((step.reasons for step in self._of(Act.SEND_BACK)), ())

    def state(self, now_ns: int) -> State:
        """Return how far it has come at an instant."""
        if self.sent_ns is not None:
            closed = self.closes_ns is not None and now_ns >= self.closes_ns
            return State.CLOSED if closed else State.SENT
        if next(self._of(Act.SEND_BACK), None):
            return State.SENT_BACK
        return State.APPROVED if len(self.approved_by) >= self.reviewers else State.SUBMITTED

    def open_at(self, now_ns: int) -> bool:
        """Tell whether its owners are asked and may answer at an instant."""
        return self.state(now_ns) is State.SENT

    def next(
        self,
        act: Act,
        actor: Actor,
        at_ns: int,
        *,
        reasons: Iterable[str] = (),
        checked: Iterable[str] = (),
        until_ns: int | None = None,
    ) -> Step:
        """Return the step that an actor takes at an instant.

        Raises NotAllowed for a role that may not take it and for who approves their own step, Conflict where it does
        not follow from the state, each naming the step.
        """
        self._check_who(act, actor)
        reasons, checked, state = tuple(reasons), tuple(checked), self.state(at_ns)
        self._check_follows(act, state, at_ns)
        if act is Act.SEND_BACK and not reasons:
            raise Conflict(f"request {self.request.id} is sent back with at least one reason that its agency can read")
        if wrong := next(filter(None, map(_wrong_in, reasons)), ""):
            raise Conflict(f"request {self.request.id} is not sent back: {wrong}")
        if act in {Act.APPROVE, Act.SEND_BACK}:
            if actor.name == self.request.officer:
                raise NotAllowed(f"{actor} asked for it and may not {act} it too; another reviewer has to")
            if actor.name in self.approved_by:
                raise Conflict(f"{actor} approved request {self.request.id} before; another reviewer has to")
        if act is Act.APPROVE and (missing := [item for item in CHECKLIST if item not in checked]):
            raise Conflict(
                f"request {self.request.id} is approved once all is looked at; missing: {', '.join(missing)}"
            )
        number = len(self.steps) + 1
        return Step(self.request.id, number, act, actor.role, actor.name, at_ns, reasons, checked, until_ns)

    @property
    def wrong(self) -> str:
        """Which step could not follow from those before it and why, "" for a life in which each could.

        What the desk writes always could: it is asked of what was found in the bucket, where others may write.
        """
        # As many as were wanted then, and at least one; of one that was sent back more than there were.
        reviewers = max(1, len(self.approved_by) + bool(self.reasons))
        before = Life(self.request, (), reviewers)
        for step in self.steps:
            try:
                actor = Actor(step.role, step.by, self.request.agency if step.role is Role.OFFICER else "")
                # What a checklist held is of its time.
                before.next(
                    step.act, actor, step.at_ns, reasons=step.reasons, checked=CHECKLIST, until_ns=step.until_ns
                )
            except (NotAllowed, Conflict, ValueError) as error:
                return f"step {step.number}: {error}"
            before = replace(before, steps=(*before.steps, step))
        return ""

    def _check_who(self, act: Act, actor: Actor) -> None:
        """Raise NotAllowed unless an actor is of a role that may take a step, and of the request's own people."""
        own, name = self.request.own, self.request.id
        roles = frozenset({Role.OWNER}) if own and act is Act.SUBMIT else WHO[act]
        if actor.role not in roles:
            raise NotAllowed(f"{actor} may not {act} a request; who may: {', '.join(sorted(roles))}")
        if actor.role is Role.OWNER and actor.name != own:
            raise NotAllowed(f"{actor} may not {act} request {name}, which is for the footage of {own}")
        if actor.role is Role.OFFICER and actor.agency != self.request.agency:
            raise NotAllowed(f"{actor} may not {act} request {name}; an officer of {self.request.agency} may")

    def _check_follows(self, act: Act, state: State, at_ns: int) -> None:
        """Raise Conflict unless a step follows from the state."""
        wanted: dict[Act, set[State]] = {
            Act.SEND_BACK: {State.SUBMITTED},
            Act.APPROVE: {State.SUBMITTED},
            Act.SEND: {State.APPROVED},
            Act.RESOLVE: {State.SENT, State.CLOSED},
        }
        name = self.request.id
        if act is Act.SUBMIT:
            if self.steps:
                raise Conflict(f"request {name} was submitted before; it is never edited or deleted: make another one")
            return
        if not self.steps:
            raise Conflict(
                f"request {name} was made by an earlier version or was not submitted; there is no step to take"
            )
        if self.request.own and act in {Act.SEND_BACK, Act.APPROVE, Act.SEND}:
            raise Conflict(f"request {name} is for its owner's own footage: it is not reviewed, and nobody is asked")
        if act in wanted and state not in wanted[act]:
            when = f" at {iso(self.closes_ns)}" if self.closes_ns is not None and at_ns >= self.closes_ns else ""
            raise Conflict(
                f"request {name} is {state}{when}; to {act} it, it has to be {' or '.join(sorted(wanted[act]))}"
            )
        if act is Act.HOLD and self.held:
            raise Conflict(f"request {name} is held already")
        if act is Act.LIFT and not self.held:
            raise Conflict(f"request {name} is not held")
        if act is Act.RESOLVE and self.resolved_ns is not None:
            raise Conflict(f"request {name} was resolved at {iso(self.resolved_ns)}")

    def _of(self, act: Act) -> Iterator[Step]:
        return iter([step for step in self.steps if step.act is act])
